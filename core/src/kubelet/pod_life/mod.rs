//! One pod's life on its node: the state machine from the sandbox to the last restart.
//!
//! Every event changes what the row knows and then calls [`PodLife::advance`], which looks at the whole row and does
//! the next thing, or nothing. So an event that comes twice, late or in another order leads to the same place.
//! Invariant: at most one container of a pod is between "wanted" and "started"; the containers start in their order,
//! as `SyncPod` starts them. [`container`] has what is kept of each, [`starting`] says which starts next, [`news`] has
//! what the runtime tells, [`repeating`] what is said more than once; the end of a life is in `ending`, what the API
//! server is told of it in `status`.
//!
//! Source: `SyncPod`, `computePodActions`, `computeInitContainerActions`, pkg/kubelet/kuberuntime (v1.34.1).

mod container;
mod news;
mod repeating;
mod starting;

use std::sync::Arc;

use crate::context::Context;
use crate::digest::Shared;
use crate::id::{HostId, ProcId, Uid};
use crate::kubelet::backoff::go_duration;
use crate::kubelet::configs::Configs;
use crate::kubelet::ending::Ending;
use crate::kubelet::images::Pulls;
use crate::kubelet::services::Services;
use crate::kubelet::{Boot, ContainerIndex, RuntimeRequest};
use crate::model::{Address, Container, Kind, ObjectKey, Pod, PodStatus, RestartPolicy};
use crate::seam::{Msg, TimerKind};
use crate::time::{Span, Time};

pub(super) use container::{
    BackOff, BacksOff, ContainerLife, Containers, Doing, FailedPulls, Incidents, PostStart, Told,
};

/// When a start that failed before there was a container is tried again.
///
/// Source: `backOffPeriod`, pkg/kubelet/kubelet.go (v1.34.1), without its jitter of up to a half.
pub(super) const SYNC_RETRY: Span = Span::from_secs(10);

/// A pod on its node.
pub(super) struct PodLife {
    /// The pod as the API server last told of it.
    pub(super) pod: Arc<Pod>,
    /// Init containers, then the others. Empty for a pod that was refused or had ended before this kubelet saw it.
    pub(super) containers: Containers,
    pub(super) sandbox: Sandbox,
    pub(super) taken_on_at: Time,
    /// The status that the API server was last told.
    pub(super) said: Option<Shared<PodStatus>>,
    pub(super) ending: Option<Box<Ending>>,
    /// A request about this pod is under way.
    pub(super) asked: bool,
    /// All regular init containers of this sandbox have ended well.
    pub(super) initialized: bool,
    /// The API server has named the pod since this kubelet started.
    pub(super) confirmed: bool,
    /// The API server has no such pod.
    pub(super) gone: bool,
    /// Its requests are in the row's sum.
    pub(super) counted: bool,
    /// Something has happened since the request under way was made.
    pub(super) news: bool,
    /// Its volumes are not all there: nothing begins before they are.
    pub(super) waits_for_volumes: bool,
    /// The ConfigMaps and Secrets that it names are watched for it.
    pub(super) uses_configs: bool,
}

/// The pod's network and address.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Sandbox {
    Absent,
    Asked,
    /// It is there, with this address; or it was, until it was removed at the end of the pod.
    Ready(Address),
    /// It died; what ran in it is being stopped.
    Lost,
    /// It could not be made and is tried again then.
    Failed(Time),
}

const _: () = assert!(size_of::<PodLife>() <= 88, "there are hundreds of thousands of pods");

/// What a pod's life needs of its host during one step.
pub(super) struct Host<'a, 'b> {
    pub(super) ctx: &'a mut Context<'b>,
    pub(super) pulls: &'a mut Pulls,
    pub(super) configs: &'a Configs,
    pub(super) services: Option<&'a Services>,
    pub(super) boot: &'a Boot,
}

impl Host<'_, '_> {
    /// Asks the host's container runtime.
    pub(super) fn ask(&mut self, request: RuntimeRequest) {
        let host = HostId(self.ctx.me.index());
        self.ctx.send(ProcId::runtime(host), Msg::Runtime(request));
    }
}

impl PodLife {
    /// A pod that the API server has just told of.
    pub(super) fn new(pod: Arc<Pod>, now: Time) -> PodLife {
        let containers = pod.spec.init_containers.len() + pod.spec.containers.len();
        PodLife {
            containers: Containers::new(containers),
            sandbox: Sandbox::Absent,
            taken_on_at: pod.status.started_at.get().unwrap_or(now),
            pod,
            said: None,
            ending: None,
            asked: false,
            initialized: false,
            confirmed: true,
            gone: false,
            counted: false,
            news: false,
            waits_for_volumes: false,
            uses_configs: false,
        }
    }

    /// Whether a version of the pod is what this kubelet's own last report has made of the version that it had: it
    /// tells nothing that the kubelet does not know.
    pub(super) fn is_echo(&self, pod: &Pod) -> bool {
        let Pod { meta, spec, own, node, status: _ } = &*self.pod;
        let others_say_the_same = || (meta, spec, own, node) == (&pod.meta, &pod.spec, &pod.own, &pod.node);
        self.said.as_ref() == Some(&pod.status) && others_say_the_same()
    }

    /// Whether the pod's worker is in its first sync and has reported as that began: sandbox, images and containers are
    /// being made, and nothing is said of them before the kubelet has listed a container or something has gone wrong.
    ///
    /// Source: `SyncPod`, pkg/kubelet/kubelet.go (v1.34.1): the status is made once, before anything is done; the
    /// next one is made by the sync that the next relist sets off.
    pub(super) fn is_in_first_sync(&self) -> bool {
        let has_sandbox = matches!(self.sandbox, Sandbox::Asked | Sandbox::Ready(_));
        let is_undisturbed = self.confirmed && self.ending.is_none();
        has_sandbox
            && is_undisturbed
            && self.containers.iter().all(ContainerLife::is_unheard_of)
            && self.said.as_ref() == Some(&self.pod.status)
    }

    /// Whether a container that the kubelet killed to start it again has ended and was not yet seen to run again: all
    /// this is one sync, in which nothing is said, not even of an end that would be that of the pod.
    pub(super) fn is_starting_again(&self) -> bool {
        self.ending.is_none() && self.containers.iter().any(|container| container.incidents().again)
    }

    pub(super) fn uid(&self) -> Uid {
        self.pod.meta.uid
    }

    pub(super) fn init_count(&self) -> usize {
        self.pod.spec.init_containers.len()
    }

    /// The place of a container; `None` for one that the pod does not have.
    pub(super) fn place(&self, container: ContainerIndex) -> Option<usize> {
        let place = match container {
            ContainerIndex::Init(number) => usize::from(number),
            ContainerIndex::Main(number) => self.init_count() + usize::from(number),
        };
        (place < self.containers.len()).then_some(place)
    }

    pub(super) fn index(&self, place: usize) -> ContainerIndex {
        match place.checked_sub(self.init_count()) {
            None => ContainerIndex::Init(place as u16),
            Some(number) => ContainerIndex::Main(number as u16),
        }
    }

    pub(super) fn spec(&self, place: usize) -> &Container {
        match place.checked_sub(self.init_count()) {
            None => &self.pod.spec.init_containers[place],
            Some(number) => &self.pod.spec.containers[number],
        }
    }

    /// The pod's address.
    pub(super) fn address(&self) -> Option<&Address> {
        match &self.sandbox {
            Sandbox::Ready(address) => Some(address),
            Sandbox::Absent | Sandbox::Asked | Sandbox::Lost | Sandbox::Failed(_) => None,
        }
    }

    pub(super) fn key(&self) -> ObjectKey {
        ObjectKey { kind: Kind::Pod, namespace: self.pod.meta.namespace.clone(), name: self.pod.meta.name.clone() }
    }

    /// The pod as messages name it: `web_default(uid)`.
    pub(super) fn full_name(&self) -> String {
        let meta = &self.pod.meta;
        format!("{}_{}({})", meta.name, meta.namespace, meta.uid)
    }

    /// Does the next thing, if there is one to do.
    pub(super) fn advance(&mut self, host: &mut Host<'_, '_>) {
        if self.ending.is_none() && self.is_over() {
            let grace = self.pod.spec.termination_grace;
            self.end(grace, false, host);
        }
        self.look_at_deadline(host);
        if self.ending.is_some() {
            if !self.finishes_sync(host) {
                self.go_on_ending(host);
            }
            return;
        }
        if !self.confirmed || self.containers.is_empty() {
            return;
        }
        for place in 0..self.containers.len() {
            self.replace_outdated(place, host);
            self.go_on_stopping(place, true, host);
        }
        if self.sandbox == Sandbox::Lost && (self.leave_lost_sandbox(host) || self.is_stuck()) {
            return self.arm_for_holds(host);
        }
        let now = host.ctx.now;
        match self.sandbox {
            Sandbox::Ready(_) => {}
            Sandbox::Asked => return,
            Sandbox::Failed(until) if until > now => return self.arm_for_holds(host),
            _ if self.waits_for_volumes => return,
            Sandbox::Absent | Sandbox::Failed(_) | Sandbox::Lost => {
                self.sandbox = Sandbox::Asked;
                self.purge_init_containers();
                self.look_at_pull_secrets(host);
                return host.ask(RuntimeRequest::CreateSandbox { pod: self.pod.clone() });
            }
        }
        if self.containers.iter().any(ContainerLife::is_being_started) {
            return;
        }
        match self.next_to_start(now) {
            Some(place) => self.begin(place, host),
            None => self.arm_for_holds(host),
        }
    }

    /// Whether every container that decides it has ended for good.
    fn is_over(&self) -> bool {
        let ended_for_good = |place: &usize| {
            let container = &self.containers[*place];
            container.doing == Doing::Ended && !self.restarts(*place)
        };
        let (init, all) = (self.init_count(), self.containers.len());
        if all == 0 || !self.confirmed {
            return false;
        }
        let init_failed = (0..init).any(|place| {
            let failed = self.containers[place].ended().is_some_and(|ended| ended.exit_code != 0);
            !self.spec(place).sidecar && failed && ended_for_good(&place)
        });
        init_failed || (init..all).all(|place| ended_for_good(&place))
    }

    /// Whether a container that has ended is started again.
    fn restarts(&self, place: usize) -> bool {
        let Incidents { ended, again, .. } = self.containers[place].incidents();
        let failed = ended.as_ref().is_none_or(|ended| ended.exit_code != 0);
        if self.spec(place).sidecar || *again {
            return true;
        }
        match self.pod.spec.restart_policy {
            RestartPolicy::Always => failed || place >= self.init_count(),
            RestartPolicy::OnFailure => failed,
            RestartPolicy::Never => false,
        }
    }

    /// Stops what still runs in a sandbox that has died; returns whether anything does.
    fn leave_lost_sandbox(&mut self, host: &mut Host<'_, '_>) -> bool {
        let grace = self.pod.spec.termination_grace;
        for place in 0..self.containers.len() {
            self.stop(place, grace, host);
        }
        self.containers.iter().any(|container| container.is_running() || container.doing == Doing::Starting)
    }

    /// Whether a pod that has lost its sandbox gets no other: it may not restart, and some container was there already.
    /// It does not end by that: what never ran is waited for in vain.
    ///
    /// Source: `computePodActions`, pkg/kubelet/kuberuntime/kuberuntime_manager.go (v1.34.1).
    fn is_stuck(&self) -> bool {
        let was_there = |container: &ContainerLife| container.ran || container.ended().is_some();
        self.pod.spec.restart_policy == RestartPolicy::Never && self.containers.iter().any(was_there)
    }

    /// The pod's timer: waits that are over, and syncs that tell what has come of the one before.
    pub(super) fn on_timer(&mut self, host: &mut Host<'_, '_>) {
        let now = host.ctx.now;
        for place in 0..self.containers.len() {
            let Some(trouble) = self.containers[place].trouble_mut() else { continue };
            let Some((_, told)) = trouble.next_told.take_if(|(at, _)| *at <= now) else { continue };
            match told {
                Told::CrashLoopBackOff => {
                    let delay = go_duration(trouble.crashes.delay());
                    let (name, pod) = (self.spec(place).name.clone(), self.full_name());
                    let message = format!("back-off {delay} restarting failed container={name} pod={pod}");
                    self.containers[place].tell("CrashLoopBackOff", message);
                }
                Told::PullFailed => self.tell_failed_pull(place, host),
                Told::ImagePullBackOff => self.tell_pull_back_off(place),
            }
        }
    }

    /// The pod's timer for whatever it waits for that comes first.
    pub(super) fn arm_for_holds(&self, host: &mut Host<'_, '_>) {
        let now = host.ctx.now;
        let troubles = self.containers.iter().filter_map(|container| container.incidents().trouble.as_ref());
        let next = troubles.flat_map(|trouble| [Some(trouble.until), trouble.next_told.map(|(at, _)| at)]).flatten();
        let sandbox = match self.sandbox {
            Sandbox::Failed(until) => Some(until),
            _ => None,
        };
        let next = next.chain(sandbox).chain(self.deadline());
        if let Some(at) = next.filter(|at| *at > now).min() {
            host.ctx.arm(TimerKind::Pod(self.uid()), at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_takes_little_memory_beside_its_object() {
        let (row, container) = (size_of::<PodLife>(), size_of::<ContainerLife>());
        assert!(row <= 104, "a pod with one container takes {row} bytes");
        assert!(container <= 32, "each container of a pod with several takes {container} bytes");
    }
}
