//! Which pods and starts a behaviour is for, how they answer probes and run hooks, and what they use.

use wavetank_core::quantity::Quantity;
use wavetank_core::time::Span;
use wavetank_manifest::Spanned;

use super::Problems;
use crate::plan::scenario::format::{self, Amount, Behaviour, Spread};
use crate::plan::{CpuUse, Delay, Growth, HealthPlan, HookPlan, Outage, Usage, Which};

/// The time in which memory and disk grow by what the file says, if it does not say how long.
const EVERY: Span = Span::from_secs(60);

pub(super) fn which(behaviour: &Behaviour, path: &str, problems: &mut Problems) -> Which {
    let mut from_one = |numbers: &Option<Spanned<Vec<u32>>>, field: &str| {
        let Some(numbers) = numbers else { return Vec::new() };
        if numbers.value.is_empty() || numbers.value.contains(&0) {
            problems.add(numbers.span, &format!("{path}.{field}"), "expected numbers from 1, at least one");
        }
        numbers.value.clone()
    };
    Which {
        replicas: from_one(&behaviour.replicas, "replicas"),
        ordinals: behaviour.ordinals.clone(),
        on_starts: from_one(&behaviour.on_starts, "onStarts"),
    }
}

pub(super) fn hooks(behaviour: &Behaviour) -> HookPlan {
    let delay = |spread: &Option<Spread>| spread.as_ref().map_or_else(Delay::default, |spread| spread.0.clone());
    HookPlan {
        post_start: delay(&behaviour.post_start),
        post_start_fails: behaviour.post_start_fails,
        pre_stop: delay(&behaviour.pre_stop),
    }
}

pub(super) fn health(behaviour: &Behaviour, path: &str, problems: &mut Problems) -> HealthPlan {
    let outage = |outage: &format::Outage| Outage {
        from: outage.from.0,
        to: outage.to.map(|to| to.0),
        readiness_only: outage.readiness_only,
    };
    let mut outages = Vec::new();
    if let Some(listed) = &behaviour.outages {
        outages = listed.value.iter().map(outage).collect::<Vec<Outage>>();
        let backwards = outages.iter().any(|outage| outage.to.is_some_and(|to| to <= outage.from));
        let overlap = outages.windows(2).any(|pair| pair[0].to.is_none_or(|to| to > pair[1].from));
        if backwards || overlap {
            let message = "expected outages in order, each ending after its beginning and before the next one";
            problems.add(listed.span, &format!("{path}.outages"), message);
        }
    }
    HealthPlan {
        never_ready: behaviour.never_ready,
        response_time: behaviour.response_time.map_or(Span::ZERO, |time| time.0),
        outages,
        start_error: behaviour.start_error.as_deref().map(Into::into),
    }
}

pub(super) fn usage(behaviour: &Behaviour, path: &str, problems: &mut Problems) -> Usage {
    let mut growth = |written: &Option<Spanned<format::Growth>>, field: &str| {
        let Spanned { value: written, span } = written.as_ref()?;
        let every = written.every.map_or(EVERY, |every| every.0);
        if every == Span::ZERO {
            problems.add(*span, &format!("{path}.{field}.every"), "expected a time above zero");
        }
        if written.spread > 100 {
            problems.add(*span, &format!("{path}.{field}.spread"), "expected a percentage up to 100");
        }
        Some(Growth {
            base: written.base.0,
            grows_by: written.grows_by.map_or(0, |bytes| bytes.0),
            every: every.max(Span(1)),
            up_to: written.up_to.map(|bytes| bytes.0),
            spread_percent: written.spread.min(100),
        })
    };
    let (memory, disk) = (growth(&behaviour.memory, "memory"), growth(&behaviour.disk, "disk"));
    let cpu = behaviour.cpu.as_ref().and_then(|written| cpu(written, &format!("{path}.cpu"), problems));
    let volume = behaviour.disk_volume.as_ref();
    if let Some(volume) = volume.filter(|_| disk.is_none()) {
        problems.add(
            volume.span,
            &format!("{path}.diskVolume"),
            "expected `disk` beside it: how much is written there",
        );
    }
    let disk_volume = volume.map(|volume| volume.value.as_str().into()).unwrap_or_default();
    Usage { memory, disk, disk_volume, cpu, processes: behaviour.processes }
}

fn cpu(written: &Spanned<format::Cpu>, path: &str, problems: &mut Problems) -> Option<CpuUse> {
    let place = written.span;
    let mut milli = |amount: &Amount| match amount.0.parse::<Quantity>() {
        Ok(quantity) if !quantity.is_negative() => Some(quantity.milli_value().unsigned_abs()),
        Ok(_) => {
            problems.add(place, path, "expected an amount that is not negative");
            None
        }
        Err(error) => {
            problems.no_quantity(place, path, &amount.0, error);
            None
        }
    };
    let format::Cpu { usage, steps, repeat_every, wave } = &written.value;
    match (usage, steps, wave) {
        (Some(usage), None, None) if repeat_every.is_none() => {
            Some(CpuUse::Steps { steps: vec![(Span::ZERO, milli(usage)?)], repeat: None })
        }
        (None, Some(steps), None) => {
            let steps: Option<Vec<_>> = steps.iter().map(|step| Some((step.at.0, milli(&step.usage)?))).collect();
            let steps = steps?;
            if steps.is_empty() || steps.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
                problems.add(place, &format!("{path}.steps"), "expected steps in the order of their times");
                return None;
            }
            Some(CpuUse::Steps { steps, repeat: repeat_every.map(|repeat| repeat.0).filter(|span| *span > Span::ZERO) })
        }
        (None, None, Some(wave)) if repeat_every.is_none() => {
            let (mean_milli, amplitude_milli) = (milli(&wave.mean)?, milli(&wave.amplitude)?);
            let peak_at = wave.peak_at.map_or(Span::ZERO, |at| at.0);
            if wave.period.0 == Span::ZERO {
                problems.add(place, &format!("{path}.wave.period"), "expected a time above zero");
            }
            Some(CpuUse::Wave { mean_milli, amplitude_milli, period: wave.period.0.max(Span(1)), peak_at })
        }
        _ => {
            problems.add(place, path, "expected one of usage, steps (with repeatEvery or without) and wave");
            None
        }
    }
}
