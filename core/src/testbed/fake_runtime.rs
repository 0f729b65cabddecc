//! A container runtime for tests of the real kubelet: fixed delays, scripted exits, images that are there or not.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::id::{Name, Uid};
use crate::kubelet::{
    ContainerIndex, ImageSize, NodeUsage, ProbeKind, RunningContainer, RunningPod, RuntimeEvent, RuntimeRequest,
};
use crate::model::{Address, Pod, PullPolicy};
use crate::time::{Span, Time};

/// What becomes of an image when it is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Image {
    /// It is there, as every image is that nothing is said about.
    Present,
    /// It can be pulled, which takes so long.
    Remote(Span),
    /// It cannot be pulled.
    Missing,
    /// Its name is none.
    Misnamed,
}

/// The runtime of one host.
pub(crate) struct FakeRuntime {
    /// From the question what runs to the answer.
    pub(crate) list: Span,
    /// From the request to the running container.
    pub(crate) start: Span,
    /// From the request to probe it to readiness; `None` is never.
    pub(crate) ready: Option<Span>,
    /// From TERM to the end, if the grace lets it.
    pub(crate) stop: Span,
    /// The exit code of a container that has been told to end.
    pub(crate) stop_code: i32,
    /// Images that are not simply there.
    pub(crate) images: BTreeMap<Name, Image>,
    /// For a container's name, how long its starts run and with which code they end, by attempt; the last entry is for
    /// all further attempts. Containers that are not named run until they are stopped.
    pub(crate) exits: BTreeMap<Name, Vec<(Span, i32)>>,
    /// After how long containers of a name fail their liveness probe.
    pub(crate) dead_after: BTreeMap<Name, Span>,
    /// For a container's name, how long its hooks take and what goes wrong with them; hooks of others end at once.
    pub(crate) hooks: BTreeMap<Name, (Span, Name)>,
    /// Why no sandbox can be made; empty is that they can.
    pub(crate) sandbox_error: Name,
    /// What the machine has left.
    pub(crate) usage: NodeUsage,
    /// What it has.
    pub(crate) pods: BTreeMap<Uid, RunningPod>,
}

impl FakeRuntime {
    /// Containers start in 500 ms, are ready after 1 s more, and take 1 s to end.
    pub(crate) fn new() -> FakeRuntime {
        FakeRuntime {
            list: Span::ZERO,
            start: Span::from_millis(500),
            ready: Some(Span::from_secs(1)),
            stop: Span::from_secs(1),
            stop_code: 143,
            images: BTreeMap::new(),
            exits: BTreeMap::new(),
            dead_after: BTreeMap::new(),
            hooks: BTreeMap::new(),
            sandbox_error: Name::default(),
            usage: NodeUsage::default(),
            pods: BTreeMap::new(),
        }
    }

    /// Ends of a container's starts, as `(run for, exit code)`.
    pub(crate) fn with_exits(mut self, container: &str, exits: &[(Span, i32)]) -> FakeRuntime {
        self.exits.insert(container.into(), exits.to_vec());
        self
    }

    /// An image that is not simply there.
    pub(crate) fn with_image(mut self, name: &str, image: Image) -> FakeRuntime {
        self.images.insert(name.into(), image);
        self
    }

    /// How many containers run.
    pub(crate) fn running(&self) -> usize {
        self.pods.values().flat_map(|pod| &pod.containers).filter(|container| container.exited.is_none()).count()
    }

    /// How many pods have a sandbox.
    pub(crate) fn sandboxes(&self) -> usize {
        self.pods.len()
    }

    /// The events that answer a request, each with its delay.
    pub(crate) fn answer(&mut self, request: &RuntimeRequest) -> Vec<(Span, RuntimeEvent)> {
        match request.clone() {
            RuntimeRequest::CreateSandbox { pod } if !self.sandbox_error.is_empty() => {
                let message = self.sandbox_error.clone();
                vec![(Span::ZERO, RuntimeEvent::SandboxFailed { pod: pod.meta.uid, message })]
            }
            RuntimeRequest::CreateSandbox { pod } => {
                let uid = pod.meta.uid;
                let address = Address::from(format!("10.0.0.{}", uid.bits() % 250));
                let running = RunningPod { pod, address: address.clone(), containers: Vec::new() };
                self.pods.insert(uid, running);
                vec![(Span::ZERO, RuntimeEvent::SandboxReady { pod: uid, address })]
            }
            RuntimeRequest::PullImage { pod, container, image, policy, .. } => {
                vec![self.pull(pod, container, image, policy)]
            }
            RuntimeRequest::StartContainer { pod, container, attempt, .. } => self.start(&pod, container, attempt),
            RuntimeRequest::StopContainer { pod, container, attempt, grace } => {
                let (delay, exit_code) = if self.stop <= grace { (self.stop, self.stop_code) } else { (grace, 137) };
                let out_of_memory = false;
                vec![(delay, RuntimeEvent::ContainerExited { pod, container, attempt, exit_code, out_of_memory })]
            }
            RuntimeRequest::Probe { pod, container, attempt, kind, .. } => {
                let name = self.pods.get(&pod).map(|running| name_of(&running.pod, container)).unwrap_or_default();
                let delay = match kind {
                    ProbeKind::Liveness => self.dead_after.get(&name).copied(),
                    ProbeKind::Readiness | ProbeKind::Startup => self.ready,
                };
                let passing = kind != ProbeKind::Liveness;
                let event = RuntimeEvent::ProbeChanged { pod, container, attempt, kind, passing };
                delay.map(|delay| (delay, event)).into_iter().collect()
            }
            RuntimeRequest::RunHook { pod, container, attempt, kind, limit, .. } => {
                let name = self.pods.get(&pod).map(|running| name_of(&running.pod, container)).unwrap_or_default();
                let (length, error) = self.hooks.get(&name).cloned().unwrap_or_default();
                let length = limit.map_or(length, |limit| length.min(limit));
                vec![(length, RuntimeEvent::HookEnded { pod, container, attempt, kind, error })]
            }
            RuntimeRequest::Usage => vec![(Span::ZERO, RuntimeEvent::Usage(Arc::new(self.usage.clone())))],
            RuntimeRequest::RemoveImages(images) => {
                self.usage.images.retain(|image| !images.contains(&image.image));
                Vec::new()
            }
            RuntimeRequest::WatchUsage(_) | RuntimeRequest::PowerOff | RuntimeRequest::UpdateFiles { .. } => Vec::new(),
            RuntimeRequest::RemovePod { pod } => {
                self.pods.remove(&pod);
                vec![(Span::ZERO, RuntimeEvent::PodRemoved { pod })]
            }
            RuntimeRequest::List => {
                vec![(self.list, RuntimeEvent::Pods(self.pods.values().cloned().collect()))]
            }
        }
    }

    /// Something is about to happen; returns whether it does. What has ended does not end again.
    pub(crate) fn happens(&mut self, now: Time, event: &RuntimeEvent) -> bool {
        match event {
            RuntimeEvent::ContainerStarted { pod, container, attempt, .. } => {
                let Some(running) = self.pods.get_mut(pod) else { return false };
                let (container, attempt) = (*container, *attempt);
                running.containers.push(RunningContainer { container, attempt, started_at: now, exited: None });
                true
            }
            RuntimeEvent::ContainerExited { pod, container, attempt, exit_code, .. } => {
                self.end(now, pod, *container, *attempt, *exit_code)
            }
            _ => true,
        }
    }

    fn end(&mut self, now: Time, pod: &Uid, container: ContainerIndex, attempt: u32, exit_code: i32) -> bool {
        let Some(running) = self.pods.get_mut(pod) else { return false };
        let mut ended = false;
        for other in &mut running.containers {
            if other.container == container && other.attempt == attempt && other.exited.is_none() {
                other.exited = Some((exit_code, now));
                ended = true;
            }
        }
        ended
    }

    fn pull(&mut self, pod: Uid, container: ContainerIndex, name: Name, policy: PullPolicy) -> (Span, RuntimeEvent) {
        let failed = |reason: &str, message: &str| RuntimeEvent::ImageFailed {
            pod,
            container,
            reason: reason.into(),
            message: message.into(),
        };
        let size = ImageSize(20_000_000);
        let ready = |already_present| RuntimeEvent::ImageReady { pod, container, already_present, size };
        match (self.images.get(&name).copied().unwrap_or(Image::Present), policy) {
            (Image::Present, _) => (Span::ZERO, ready(true)),
            (Image::Misnamed, _) => (Span::ZERO, failed("InvalidImageName", "couldn't parse image name")),
            (_, PullPolicy::Never) => (Span::ZERO, failed("ErrImageNeverPull", "the image is not present")),
            (Image::Missing, _) => (Span::ZERO, failed("ErrImagePull", "not found")),
            (Image::Remote(span), _) => {
                self.images.insert(name, Image::Present);
                (span, ready(false))
            }
        }
    }

    fn start(&self, pod: &Arc<Pod>, container: ContainerIndex, attempt: u32) -> Vec<(Span, RuntimeEvent)> {
        let (uid, serves) = (pod.meta.uid, self.ready == Some(Span::ZERO));
        let mut events = vec![(self.start, RuntimeEvent::ContainerStarted { pod: uid, container, attempt, serves })];
        let script = self.exits.get(&name_of(pod, container)).and_then(|all| all.get(attempt as usize).or(all.last()));
        if let Some((run, exit_code)) = script.copied() {
            let out_of_memory = false;
            let event = RuntimeEvent::ContainerExited { pod: uid, container, attempt, exit_code, out_of_memory };
            events.push((self.start + run, event));
        }
        events
    }
}

fn name_of(pod: &Pod, container: ContainerIndex) -> Name {
    match container {
        ContainerIndex::Init(number) => pod.spec.init_containers[usize::from(number)].name.clone(),
        ContainerIndex::Main(number) => pod.spec.containers[usize::from(number)].name.clone(),
    }
}
