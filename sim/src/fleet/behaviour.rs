//! What one start of a container does: looked up in the plan and drawn by pod, container and attempt.

use wavetank_core::digest::StableHasher;
use wavetank_core::draw::{Purpose, below, draw};
use wavetank_core::id::Name;
use wavetank_core::kubelet::ContainerIndex;
use wavetank_core::model::{Container, Pod};
use wavetank_core::time::Span;

use crate::plan::{Behaviour, Delay, Exit};

/// One start of one container, by which everything about it is drawn.
#[derive(Clone, Copy)]
pub(super) struct Start<'a> {
    pub(super) seed: u64,
    pub(super) pod: &'a Pod,
    pub(super) container: ContainerIndex,
    pub(super) attempt: u32,
}

/// How a container ends by itself: after how long, and with which code.
pub(super) type End = Option<(Span, i32)>;

/// The container's part of the pod's spec; `None` if the spec has no such container.
pub(super) fn spec_of(pod: &Pod, container: ContainerIndex) -> Option<&Container> {
    match container {
        ContainerIndex::Init(n) => pod.spec.init_containers.get(usize::from(n)),
        ContainerIndex::Main(n) => pod.spec.containers.get(usize::from(n)),
    }
}

impl Start<'_> {
    /// The first entry that matches the pod and the container's name.
    fn behaviour<'b>(&self, behaviours: &'b [Behaviour]) -> Option<&'b Behaviour> {
        let name = spec_of(self.pod, self.container).map(|spec| &spec.name);
        behaviours.iter().find(|behaviour| {
            behaviour.namespace.as_ref().is_none_or(|namespace| *namespace == self.pod.meta.namespace)
                && behaviour.container.as_ref().is_none_or(|wanted| Some(wanted) == name)
                && behaviour.pods.matches(&self.pod.meta.labels)
        })
    }

    fn draw(&self, purpose: Purpose) -> u64 {
        let entity = StableHasher::hash_one(&(self.pod.meta.uid, self.container));
        draw(self.seed, purpose, entity, u64::from(self.attempt))
    }

    fn sample(&self, delay: &Delay, purpose: Purpose) -> Span {
        match delay {
            Delay::Constant(span) => *span,
            delay => delay.sample(self.draw(purpose)),
        }
    }

    /// From the start request to a running container.
    pub(super) fn start_delay(&self, behaviours: &[Behaviour]) -> Span {
        self.behaviour(behaviours).map_or(Span::ZERO, |it| self.sample(&it.start_delay, Purpose::StartDelay))
    }

    /// From a running container to one that serves.
    pub(super) fn readiness_delay(&self, behaviours: &[Behaviour]) -> Span {
        self.behaviour(behaviours).map_or(Span::ZERO, |it| self.sample(&it.readiness_delay, Purpose::ReadinessDelay))
    }

    /// From TERM to the end of a container that is left the time for it.
    pub(super) fn stop_delay(&self, behaviours: &[Behaviour]) -> Span {
        self.behaviour(behaviours).map_or(Span::ZERO, |it| self.sample(&it.stop_delay, Purpose::StopDelay))
    }

    /// When and how the container ends by itself; `None` runs for ever.
    ///
    /// An init container that is no sidecar holds its pod back until it ends, so one for which no run time is given
    /// ends well at once, while any other container runs for ever.
    pub(super) fn end(&self, behaviours: &[Behaviour]) -> End {
        let ends = matches!(self.container, ContainerIndex::Init(_))
            && !spec_of(self.pod, self.container).is_some_and(|spec| spec.sidecar);
        self.planned_end(behaviours).or(ends.then_some((Span::ZERO, 0)))
    }

    fn planned_end(&self, behaviours: &[Behaviour]) -> End {
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
