//! What one start of a container does: looked up in the plan and drawn by pod, container and attempt.

use std::collections::BTreeMap;

use wavetank_core::digest::StableHasher;
use wavetank_core::draw::{Purpose, below, draw};
use wavetank_core::id::{Name, Uid};
use wavetank_core::kubelet::{ContainerIndex, HookKind, ProbeFailure, ProbeKind};
use wavetank_core::model::{Container, EmptyDir, Hook, Medium, Meta, Pod, PodSpec, PodVolume, PodVolumeSource, Probe};
use wavetank_core::time::{Span, Time};

use super::machine::Uses;
use super::probe::Course;
use crate::plan::{Behaviour, Delay, Exit, HealthPlan, Outage};

/// The plan's behaviours, and the numbers of the pods that some of them ask for.
#[derive(Debug)]
pub(super) struct Behaviours {
    all: Vec<Behaviour>,
    /// For a behaviour's place, its pods by uid, numbered from 1 in the order in which they began on a node. Only for
    /// behaviours that select by number.
    numbers: BTreeMap<usize, BTreeMap<Uid, u32>>,
    /// Whether anything that a container uses can matter.
    pub(super) use_something: bool,
}

impl Behaviours {
    pub(super) fn new(all: Vec<Behaviour>) -> Behaviours {
        let numbered = all.iter().enumerate().filter(|(_, behaviour)| !behaviour.which.replicas.is_empty());
        let numbers = numbered.map(|(place, _)| (place, BTreeMap::new())).collect();
        let use_something = all.iter().any(|behaviour| !behaviour.usage.is_nothing());
        Behaviours { all, numbers, use_something }
    }

    /// A pod begins on a node.
    pub(super) fn number(&mut self, pod: &Pod) {
        for (place, numbers) in &mut self.numbers {
            let next = numbers.len() as u32 + 1;
            if selects(&self.all[*place], &pod.meta) {
                numbers.entry(pod.meta.uid).or_insert(next);
            }
        }
    }
}

fn selects(behaviour: &Behaviour, meta: &Meta) -> bool {
    behaviour.namespace.as_ref().is_none_or(|namespace| *namespace == meta.namespace)
        && behaviour.pods.matches(&meta.labels)
}

/// The number at the end of a name of the form `web-3`.
fn ordinal(name: &str) -> Option<u32> {
    name.rsplit_once('-')?.1.parse().ok()
}

/// One start of one container, by which everything about it is drawn.
#[derive(Clone, Copy)]
pub(super) struct Start<'a> {
    pub(super) seed: u64,
    pub(super) meta: &'a Meta,
    pub(super) spec: &'a PodSpec,
    pub(super) container: ContainerIndex,
    pub(super) attempt: u32,
}

/// How a container ends by itself: after how long, and with which code.
pub(super) type End = Option<(Span, i32)>;

/// The container's part of the pod's spec; `None` if the spec has no such container.
pub(super) fn spec_of(spec: &PodSpec, container: ContainerIndex) -> Option<&Container> {
    match container {
        ContainerIndex::Init(n) => spec.init_containers.get(usize::from(n)),
        ContainerIndex::Main(n) => spec.containers.get(usize::from(n)),
    }
}

impl Start<'_> {
    /// The first entry that matches the pod, its number, the container's name and the start's number.
    fn behaviour<'b>(&self, behaviours: &'b Behaviours) -> Option<&'b Behaviour> {
        let name = spec_of(self.spec, self.container).map(|spec| &spec.name);
        let mut all = behaviours.all.iter().enumerate();
        let found = all.find(|(place, behaviour)| {
            let which = &behaviour.which;
            let number = || behaviours.numbers.get(place)?.get(&self.meta.uid).copied();
            let among = |numbers: &[u32], number: Option<u32>| number.is_some_and(|number| numbers.contains(&number));
            behaviour.container.as_ref().is_none_or(|wanted| Some(wanted) == name)
                && selects(behaviour, self.meta)
                && (which.replicas.is_empty() || among(&which.replicas, number()))
                && (which.ordinals.is_empty() || among(&which.ordinals, ordinal(&self.meta.name)))
                && (which.on_starts.is_empty() || which.on_starts.contains(&(self.attempt + 1)))
        });
        found.map(|(_, behaviour)| behaviour)
    }

    fn draw(&self, purpose: Purpose) -> u64 {
        let entity = StableHasher::hash_one(&(self.meta.uid, self.container));
        draw(self.seed, purpose, entity, u64::from(self.attempt))
    }

    fn sample(&self, delay: &Delay, purpose: Purpose) -> Span {
        match delay {
            Delay::Constant(span) => *span,
            delay => delay.sample(self.draw(purpose)),
        }
    }

    /// From the start request to a running container.
    pub(super) fn start_delay(&self, behaviours: &Behaviours) -> Span {
        self.behaviour(behaviours).map_or(Span::ZERO, |it| self.sample(&it.start_delay, Purpose::StartDelay))
    }

    /// Why the container cannot be started, if it cannot.
    pub(super) fn start_error(&self, behaviours: &Behaviours) -> Option<Name> {
        self.behaviour(behaviours)?.health.start_error.clone()
    }

    /// From TERM to the end of a container that is left the time for it.
    pub(super) fn stop_delay(&self, behaviours: &Behaviours) -> Span {
        self.behaviour(behaviours).map_or(Span::ZERO, |it| self.sample(&it.stop_delay, Purpose::StopDelay))
    }

    /// When a container that started then answers a probe, or counts as ready without one.
    pub(super) fn course(
        &self,
        behaviours: &Behaviours,
        kind: ProbeKind,
        probe: Option<&Probe>,
        started: Time,
    ) -> Course {
        let Some(behaviour) = self.behaviour(behaviours) else { return vec![(started, true)] };
        let HealthPlan { never_ready, response_time, outages, .. } = &behaviour.health;
        let too_slow = probe.is_some_and(|probe| *response_time > probe.timeout);
        if too_slow || *never_ready && kind == ProbeKind::Readiness {
            return Course::new();
        }
        let serves = started.saturating_add(self.sample(&behaviour.readiness_delay, Purpose::ReadinessDelay));
        let mut course = vec![(serves, true)];
        for outage in outages.iter().filter(|outage| !outage.readiness_only || kind == ProbeKind::Readiness) {
            let ends = outage.to.map_or(Time::FAR_FUTURE, |to| started.saturating_add(to));
            if ends <= serves {
                continue;
            }
            let begins = started.saturating_add(outage.from);
            if begins <= serves {
                course.clear();
            } else {
                course.push((begins, false));
            }
            if ends < Time::FAR_FUTURE {
                course.push((ends, true));
            }
        }
        course
    }

    /// How a try of a probe fails that does so at a time, by what is known of the container then.
    pub(super) fn failure(
        &self,
        behaviours: &Behaviours,
        kind: ProbeKind,
        probe: &Probe,
        (started, at): (Time, Time),
    ) -> ProbeFailure {
        let Some(behaviour) = self.behaviour(behaviours) else { return ProbeFailure::Refused };
        let HealthPlan { never_ready, response_time, outages, .. } = &behaviour.health;
        let serves = started.saturating_add(self.sample(&behaviour.readiness_delay, Purpose::ReadinessDelay));
        let age = at.since(started);
        let is_over = |outage: &Outage| outage.to.is_some_and(|to| to <= age);
        let outage = outages.iter().find(|outage| outage.from <= age && !is_over(outage));
        if *response_time > probe.timeout {
            ProbeFailure::TimedOut
        } else if at < serves {
            ProbeFailure::Refused
        } else if *never_ready && kind == ProbeKind::Readiness || outage.is_some_and(|outage| outage.readiness_only) {
            ProbeFailure::Unhealthy
        } else {
            ProbeFailure::TimedOut
        }
    }

    /// Whether a container that started just now serves from then on, and so is ready without a readiness probe.
    pub(super) fn serves_at_once(&self, behaviours: &Behaviours, started: Time) -> bool {
        let course = self.course(behaviours, ProbeKind::Readiness, None, started);
        course.first().is_some_and(|(at, serves)| *serves && *at <= started)
    }

    /// How long a hook takes, and what goes wrong with it.
    pub(super) fn hook(&self, behaviours: &Behaviours, kind: HookKind, hook: &Hook) -> (Span, Name) {
        let plan = self.behaviour(behaviours).map(|behaviour| &behaviour.hooks);
        let (delay, purpose, fails) = match kind {
            HookKind::PostStart => {
                (plan.map(|it| &it.post_start), Purpose::PostStartHook, plan.is_some_and(|it| it.post_start_fails))
            }
            HookKind::PreStop => (plan.map(|it| &it.pre_stop), Purpose::PreStopHook, false),
        };
        let takes = match hook {
            Hook::Sleep { length } => *length,
            Hook::Exec { .. } | Hook::HttpGet { .. } => delay.map_or(Span::ZERO, |delay| self.sample(delay, purpose)),
        };
        let error = if fails { "the hook ended with exit code 1" } else { "" };
        (takes, error.into())
    }

    /// What this start uses, as drawn, on a machine with so much memory for pods (0 is not known); `None` if it uses
    /// nothing that can run short.
    pub(super) fn uses(&self, behaviours: &Behaviours, memory: u64) -> Option<Uses> {
        if !behaviours.use_something {
            return None;
        }
        let usage = &self.behaviour(behaviours)?.usage;
        if usage.is_nothing() {
            return None;
        }
        let empty_dir = |volume: &'_ PodVolume| match &volume.source {
            PodVolumeSource::EmptyDir(it) if volume.name == usage.disk_volume => Some(it.clone()),
            _ => None,
        };
        let volume = self.spec.volumes.iter().find_map(empty_dir);
        let medium = volume.as_ref().map(|it| it.medium).unwrap_or_default();
        let mut disk = usage.disk.as_ref().map(|growth| growth.drawn(self.draw(Purpose::DiskUse)));
        match (medium, &mut disk, &volume) {
            // What is in memory is full at its size; more cannot be written.
            (Medium::Memory, Some(disk), Some(volume)) => {
                let most = self.size_in_memory(volume, memory);
                disk.up_to = disk.up_to.into_iter().chain(most).min();
            }
            // Huge pages are set aside from the start.
            (Medium::HugePages, disk, _) => *disk = None,
            _ => {}
        }
        Some(Uses {
            volume: volume.map(|_| usage.disk_volume.clone()).unwrap_or_default(),
            in_memory: medium == Medium::Memory,
            memory: usage.memory.as_ref().map(|growth| growth.drawn(self.draw(Purpose::MemoryUse))),
            disk,
            processes: u64::from(usage.processes),
        })
    }

    /// How much fits into an empty directory in memory: not more than its limit, than the pod may use or than the node
    /// has for pods; `None` if nothing of it is known.
    ///
    /// Source: `calculateEmptyDirMemorySize`, pkg/volume/emptydir/empty_dir.go (v1.34.1).
    fn size_in_memory(&self, volume: &EmptyDir, memory: u64) -> Option<u64> {
        let limit = volume.size_limit.map(|limit| u64::try_from(limit.value()).unwrap_or(0));
        let of_pod = self.spec.memory_limit().map(i64::unsigned_abs);
        [Some(memory), limit, of_pod].into_iter().flatten().filter(|bytes| *bytes > 0).min()
    }

    /// When and how the container ends by itself; `None` runs for ever.
    ///
    /// An init container that is no sidecar holds its pod back until it ends, so one for which no run time is given
    /// ends well at once, while any other container runs for ever.
    pub(super) fn end(&self, behaviours: &Behaviours) -> End {
        let ends = matches!(self.container, ContainerIndex::Init(_))
            && !spec_of(self.spec, self.container).is_some_and(|spec| spec.sidecar);
        self.planned_end(behaviours).or(ends.then_some((Span::ZERO, 0)))
    }

    fn planned_end(&self, behaviours: &Behaviours) -> End {
        let behaviour = self.behaviour(behaviours)?;
        if let Exit::Script(starts) = &behaviour.exit {
            let start = starts.get(self.attempt as usize)?;
            return Some((self.sample(start.run_time.as_ref()?, Purpose::RunTime), start.code));
        }
        let run_time = self.sample(behaviour.run_time.as_ref()?, Purpose::RunTime);
        let code = match &behaviour.exit {
            Exit::Code(code) => *code,
            Exit::Chance(codes) => self.chosen(codes),
            Exit::Script(_) => unreachable!("scripts are handled above"),
        };
        Some((run_time, code))
    }

    fn chosen(&self, codes: &[(i32, u32)]) -> i32 {
        let total: u64 = codes.iter().map(|(_, weight)| u64::from(*weight)).sum();
        assert!(total > 0, "a choice of exit codes has a positive weight");
        let mut left = below(self.draw(Purpose::ExitCode), total);
        for (code, weight) in codes {
            match left.checked_sub(u64::from(*weight)) {
                None => return *code,
                Some(rest) => left = rest,
            }
        }
        unreachable!("the draw is below the total weight")
    }
}

/// The message of a registry that does not have an image.
pub(super) fn pull_error(image: &Name) -> Name {
    let repository =
        image.rsplit_once(':').map_or(&**image, |(repository, tag)| if tag.contains('/') { image } else { repository });
    format!(
        "failed to pull and unpack image \"{image}\": failed to resolve reference \"{image}\": pull access denied for \
         {repository}, repository does not exist or may require authorization"
    )
    .into()
}
