//! The kubelets' settings: fields of the KubeletConfiguration.

use std::collections::BTreeMap;

use wavetank_core::config::{EvictionAmount, EvictionSignal, EvictionThreshold, KubeletConfig, RateLimit};
use wavetank_core::quantity::Quantity;
use wavetank_core::time::Span;
use wavetank_manifest::Spanned;

use super::Problems;
use crate::plan::scenario::format::{Amount, Duration, Kubelet};
use crate::plan::scenario::units::meant;

const PATH: &str = "spec.controlPlane.kubelet";
const SIGNALS: [(&str, EvictionSignal); 4] = [
    ("memory.available", EvictionSignal::MemoryAvailable),
    ("nodefs.available", EvictionSignal::NodeFsAvailable),
    ("imagefs.available", EvictionSignal::ImageFsAvailable),
    ("pid.available", EvictionSignal::PidAvailable),
];

pub(super) fn apply(config: &mut KubeletConfig, written: &Kubelet, problems: &mut Problems) {
    config.max_parallel_image_pulls = written.max_parallel_image_pulls.or(config.max_parallel_image_pulls);
    let burst = written.registry_burst.or(config.registry_limit.map(|limit| limit.burst)).unwrap_or(1).max(1);
    config.registry_limit = match written.registry_pull_qps.or(config.registry_limit.map(|limit| limit.per_second)) {
        None | Some(0) => None,
        Some(per_second) => Some(RateLimit { per_second, burst }),
    };
    images(config, written, problems);
    eviction(config, written, problems);
    let shutdown = &mut config.shutdown;
    set(&mut shutdown.grace, written.shutdown_grace_period);
    set(&mut shutdown.critical_grace, written.shutdown_grace_period_critical_pods);
    let groups = written.shutdown_grace_period_by_pod_priority.iter();
    shutdown.by_priority =
        groups.map(|it| (it.priority, Span::from_secs(it.shutdown_grace_period_seconds.into()))).collect();
}

fn set(slot: &mut Span, value: Option<Duration>) {
    if let Some(Duration(span)) = value {
        *slot = span;
    }
}

fn images(config: &mut KubeletConfig, written: &Kubelet, problems: &mut Problems) {
    let gc = &mut config.image_gc;
    set(&mut gc.minimum_age, written.image_minimum_gc_age);
    let (high, low) = (written.image_gc_high_threshold_percent, written.image_gc_low_threshold_percent);
    gc.high_threshold_percent = high.map_or(gc.high_threshold_percent, |percent| percent.value);
    gc.low_threshold_percent = low.map_or(gc.low_threshold_percent, |percent| percent.value);
    if gc.high_threshold_percent > 100 || gc.low_threshold_percent >= gc.high_threshold_percent {
        let place = high.or(low).map_or_else(Default::default, |percent| percent.span);
        let message = "expected percentages, the low threshold below the high one";
        problems.add(place, &format!("{PATH}.imageGCHighThresholdPercent"), message);
    }
}

fn eviction(config: &mut KubeletConfig, written: &Kubelet, problems: &mut Problems) {
    let eviction = &mut config.eviction;
    if let Some(hard) = &written.eviction_hard {
        let hard = amounts(hard, "evictionHard", problems);
        let hard = hard.into_iter().filter(|(_, value)| is_on(*value));
        eviction.thresholds = hard.map(|(signal, value)| EvictionThreshold { signal, value, grace: None }).collect();
    }
    let graces = &written.eviction_soft_grace_period;
    for (name, amount) in &written.eviction_soft {
        let Some(grace) = graces.get(name) else {
            let message = format!("a soft threshold needs its grace in evictionSoftGracePeriod.{name}");
            problems.add(amount.span, &format!("{PATH}.evictionSoft"), message);
            continue;
        };
        let found = signal(name, amount, "evictionSoft", problems).zip(value(amount, "evictionSoft", problems));
        if let Some((signal, value)) = found.filter(|(_, value)| is_on(*value)) {
            eviction.thresholds.push(EvictionThreshold { signal, value, grace: Some(grace.value.0) });
        }
    }
    for (name, grace) in graces.iter().filter(|(name, _)| !written.eviction_soft.contains_key(*name)) {
        let known = written.eviction_soft.keys().map(String::as_str);
        problems.unknown(grace.span, &format!("{PATH}.evictionSoftGracePeriod"), "soft threshold", name, known);
    }
    eviction.minimum_reclaim = amounts(&written.eviction_minimum_reclaim, "evictionMinimumReclaim", problems);
    set(&mut eviction.max_pod_grace, written.eviction_max_pod_grace_period);
    set(&mut eviction.pressure_transition_period, written.eviction_pressure_transition_period);
}

fn amounts(
    written: &BTreeMap<String, Spanned<Amount>>,
    field: &str,
    problems: &mut Problems,
) -> Vec<(EvictionSignal, EvictionAmount)> {
    let mut found = Vec::new();
    for (name, amount) in written {
        found.extend(signal(name, amount, field, problems).zip(value(amount, field, problems)));
    }
    found
}

fn signal(name: &str, amount: &Spanned<Amount>, field: &str, problems: &mut Problems) -> Option<EvictionSignal> {
    let found = SIGNALS.iter().find(|(known, _)| *known == name).map(|(_, signal)| *signal);
    if found.is_none() {
        let known = SIGNALS.iter().map(|(known, _)| *known);
        problems.unknown(amount.span, &format!("{PATH}.{field}"), "eviction signal", name, known);
    }
    found
}

/// Whether there is a threshold at all: shares of nothing and of everything switch one off.
///
/// Source: `parseThresholdStatement`, pkg/kubelet/eviction/helpers.go (v1.34.1).
fn is_on(value: EvictionAmount) -> bool {
    !matches!(value, EvictionAmount::Permille(0 | 1_000))
}

/// `100Mi` or `10%`. Nothing at all is no threshold, and a share of nothing is no minimum reclaim.
///
/// Source: `parseThresholdStatement`, `parseMinimumReclaims`, pkg/kubelet/eviction/helpers.go (v1.34.1), which also
/// takes a minimum reclaim of more than everything.
fn value(amount: &Spanned<Amount>, field: &str, problems: &mut Problems) -> Option<EvictionAmount> {
    let text = &amount.value.0;
    let found = match text.strip_suffix('%') {
        Some(share) => share
            .parse::<Quantity>()
            .ok()
            .and_then(|share| u32::try_from(share.checked_mul(10)?.value()).ok())
            .filter(|permille| *permille <= 1_000)
            .map(EvictionAmount::Permille),
        None => {
            text.parse::<Quantity>().ok().filter(|it| !it.is_negative()).map(|it| EvictionAmount::Number(it.value()))
        }
    };
    let is_reclaim = field == "evictionMinimumReclaim";
    let found = found.filter(|value| match value {
        EvictionAmount::Number(number) => is_reclaim || *number > 0,
        EvictionAmount::Permille(share) => !is_reclaim || *share > 0,
    });
    if found.is_none() {
        let message =
            format!("expected a quantity such as 100Mi or a share such as 10%, found {text:?}{}", meant(text));
        problems.add(amount.span, &format!("{PATH}.{field}"), message);
    }
    found
}
