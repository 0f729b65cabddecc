//! Stand-in kubelets, which move pods along with fixed delays, as the one behind the recorded answers of the real
//! controllers does. A pod whose first image ends in `never-ready` runs but never becomes ready.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Testbed;
use crate::api::{Propagation, Reply, Request};
use crate::id::{HostId, Name, ProcId, Uid};
use crate::model::{ConditionKind, ContainerState, ContainerStatus, Object, Phase, Pod, Status3, Terminated};
use crate::seam::{Input, Msg};
use crate::time::{Span, Time};

/// How fast the stand-in kubelets are.
#[derive(Clone, Copy)]
pub(crate) struct StandIn {
    /// From bound to Running.
    pub(crate) start: Span,
    /// From Running to Ready.
    pub(crate) ready: Span,
    /// From the deletion request to the end.
    pub(crate) term: Span,
}

/// What the stand-in kubelet does to a pod later.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Run,
    Ready,
    Exit(i32),
    Remove,
}

/// The stand-in kubelets of all hosts.
pub(super) struct StandIns {
    /// `None` while the core's own kubelets are there.
    pub(super) speed: Option<StandIn>,
    /// How long the containers of a pod run and with which code they end; `None` is for ever.
    ends: fn(&Pod) -> Option<(Span, i32)>,
    pods: BTreeMap<Uid, Arc<Pod>>,
    pub(super) steps: BTreeMap<(Time, u64), (Uid, Step)>,
    /// The next lease renewal of each, and how many it has made.
    pub(super) beats: BTreeMap<HostId, (Time, Name, u64)>,
    dead: Vec<HostId>,
}

impl Default for StandIns {
    fn default() -> StandIns {
        StandIns {
            speed: Some(StandIn { start: Span::from_secs(1), ready: Span::from_secs(2), term: Span::from_secs(1) }),
            ends: |_| None,
            pods: BTreeMap::new(),
            steps: BTreeMap::new(),
            beats: BTreeMap::new(),
            dead: Vec::new(),
        }
    }
}

impl Testbed {
    /// Other speeds of the stand-in kubelets.
    pub(crate) fn with_stand_in(mut self, stand_in: StandIn) -> Testbed {
        self.stand_ins.speed = Some(stand_in);
        self
    }

    /// Lets the containers of pods end some time after they have started, all with one code.
    pub(crate) fn with_ends(mut self, ends: fn(&Pod) -> Option<(Span, i32)>) -> Testbed {
        self.stand_ins.ends = ends;
        self
    }

    /// The stand-in kubelet of a host falls silent: its pods stay as they are and its lease is not renewed.
    pub(crate) fn silence(&mut self, host: u32) {
        self.stand_ins.dead.push(HostId(host));
        self.stand_ins.beats.remove(&HostId(host));
    }

    /// No stand-in kubelet renews its lease by itself any longer; tests send renewals with [`Testbed::renew_at`].
    pub(crate) fn stop_renewals(&mut self) {
        self.stand_ins.beats.clear();
    }

    /// The stand-in kubelet of a host is back: it says that its node is ready and renews its lease.
    pub(crate) fn wake(&mut self, host: u32, name: &str) {
        self.stand_ins.dead.retain(|dead| *dead != HostId(host));
        self.stand_ins.beats.insert(HostId(host), (self.now, name.into(), 0));
        self.set_node_condition(name, ConditionKind::Ready, Status3::True, "KubeletReady");
    }

    /// A kubelet's renewal reaches the API server at a time.
    pub(crate) fn renew_at(&mut self, at: Time, host: u32, name: &str, renewal: u64) {
        let body = Msg::Renew { node: name.into(), renewal };
        self.push(at, Input::Message { from: ProcId::kubelet(HostId(host)), to: ProcId::API_SERVER, body });
    }

    pub(super) fn stand_in_message(&mut self, to: ProcId, body: Msg) {
        if to.host().is_some_and(|host| self.stand_ins.dead.contains(&host)) {
            return;
        }
        let (start, term) = self.stand_ins.speed.as_ref().map_or((Span::ZERO, Span::ZERO), |it| (it.start, it.term));
        match body {
            Msg::PodChanged(pod) => {
                let before = self.stand_ins.pods.insert(pod.meta.uid, pod.clone());
                let was_terminating = before.as_ref().is_some_and(|pod| pod.meta.is_terminating());
                if before.is_none() && !pod.meta.is_terminating() && !pod.is_finished() {
                    self.later(start, pod.meta.uid, Step::Run);
                }
                if pod.meta.is_terminating() && !was_terminating {
                    self.later(term.min(pod.meta.deletion_grace.unwrap_or_default()), pod.meta.uid, Step::Remove);
                }
            }
            Msg::PodRemoved(uid) => {
                self.stand_ins.pods.remove(&uid);
            }
            Msg::Response(_, Ok(Reply::Pods(pods))) => {
                for pod in pods {
                    if let Object::Pod(pod) = pod {
                        self.stand_in_message(to, Msg::PodChanged(pod));
                    }
                }
            }
            _ => {}
        }
    }

    /// Puts the renewals that come before the next input or step into the queue.
    pub(super) fn beat(&mut self) {
        if self.stand_ins.speed.is_none() {
            return;
        }
        let next_input = self.queue.first_key_value().map(|((at, _), _)| *at);
        let next_step = self.stand_ins.steps.first_key_value().map(|((at, _), _)| *at);
        let horizon = next_input.into_iter().chain(next_step).min().unwrap_or(Time::ZERO);
        let due: Vec<HostId> =
            self.stand_ins.beats.iter().filter(|(_, (at, ..))| *at <= horizon).map(|(host, _)| *host).collect();
        for host in due {
            let (at, name, renewal) = self.stand_ins.beats[&host].clone();
            self.stand_ins.beats.insert(host, (at + Span::from_secs(10), name.clone(), renewal + 1));
            self.renew_at(at, host.0, &name, renewal);
        }
    }

    fn later(&mut self, span: Span, uid: Uid, step: Step) {
        self.pushed += 1;
        self.stand_ins.steps.insert((self.now + span, self.pushed), (uid, step));
    }

    pub(super) fn stand_in_step(&mut self, uid: Uid, step: Step) {
        let Some(pod) = self.stand_ins.pods.get(&uid) else { return };
        let mut new = Pod::clone(pod);
        let now = self.now;
        let ready = self.stand_ins.speed.as_ref().map_or(Span::ZERO, |it| it.ready);
        let set_ready = |pod: &mut Pod, ready: bool| {
            pod.status.conditions.set(ConditionKind::Ready, ready.into(), "", "", now);
            pod.status.conditions.set(ConditionKind::ContainersReady, ready.into(), "", "", now);
        };
        match step {
            Step::Run if new.meta.is_terminating() => return,
            Step::Run => {
                new.status.phase = Phase::Running;
                new.status.pod_ip = Some(format!("10.0.0.{}", uid.bits() % 250).into());
                new.status.containers = new.spec.containers.iter().map(|_| running(now)).collect();
                let ready_at_once = ready == Span::ZERO && !is_never_ready(&new);
                set_ready(&mut new, ready_at_once);
                if ready > Span::ZERO && !is_never_ready(&new) {
                    self.later(ready, uid, Step::Ready);
                }
                if let Some((span, code)) = (self.stand_ins.ends)(&new) {
                    self.later(span, uid, Step::Exit(code));
                }
            }
            Step::Ready | Step::Exit(_) if new.is_finished() => return,
            Step::Exit(code) => end(&mut new, code, now),
            Step::Ready if new.meta.is_terminating() => return,
            Step::Ready => set_ready(&mut new, true),
            Step::Remove => {
                if !new.is_finished() && new.is_tracked_by_job() {
                    // A kubelet says how a pod ended before it lets the object go.
                    end(&mut new, 137, now);
                    self.request(Request::UpdateStatus { object: Object::Pod(Arc::new(new)), expected: None });
                }
                let Some(pod) = self.stand_ins.pods.get(&uid) else { return };
                let key = Object::Pod(pod.clone()).key();
                let propagation = Propagation::Background;
                self.request(Request::Delete { key, uid: Some(uid), grace: Some(Span::ZERO), propagation });
                return;
            }
        }
        self.request(Request::UpdateStatus { object: Object::Pod(Arc::new(new)), expected: None });
    }
}

/// All containers of a pod end now; so does the pod.
fn end(pod: &mut Pod, exit_code: i32, now: Time) {
    pod.status.phase = if exit_code == 0 { Phase::Succeeded } else { Phase::Failed };
    for kind in [ConditionKind::Ready, ConditionKind::ContainersReady] {
        pod.status.conditions.set(kind, Status3::False, "", "", now);
    }
    let reason = if exit_code == 0 { "Completed" } else { "Error" };
    for container in &mut pod.status.containers {
        let ContainerState::Running { since } = container.state else { continue };
        let end = Terminated { exit_code, reason: reason.into(), started_at: since, finished_at: now };
        *container =
            ContainerStatus { state: ContainerState::Terminated(Arc::new(end)), ready: false, ..container.clone() };
    }
}

fn is_never_ready(pod: &Pod) -> bool {
    pod.spec.containers.first().is_some_and(|container| container.image.ends_with("never-ready"))
}

fn running(now: Time) -> ContainerStatus {
    ContainerStatus {
        state: ContainerState::Running { since: now },
        last_terminated: None,
        ready: true,
        started: true,
        restarts: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::digest::Shared;
    use crate::model::{Container, Meta, PodSpec};

    #[test]
    fn a_bound_pod_runs_becomes_ready_and_goes_when_it_is_deleted() {
        let mut bed = Testbed::new(Config::default());
        bed.add_node(0, "n1", "a", 4_000, 1 << 30);
        let spec = PodSpec {
            containers: vec![Container { name: "app".into(), ..Container::default() }],
            ..PodSpec::default()
        };
        let pod = Pod {
            meta: Meta::named("default", "p").into(),
            spec: Shared::new(spec),
            node: Some("n1".into()),
            ..Pod::default()
        };
        bed.create(pod);
        bed.run_for(Span::from_secs(5));
        let pod = bed.get::<Pod>("default", "p").unwrap();
        assert!(pod.is_ready(), "{:?}", bed.told());
        assert_eq!(pod.spec.tolerations.len(), 2, "the default tolerations are added");
        let key = Object::Pod(pod).key();
        bed.request(Request::Delete { key, uid: None, grace: None, propagation: Propagation::Background });
        bed.run_for(Span::from_secs(2));
        assert!(bed.get::<Pod>("default", "p").is_none(), "{:?}", bed.told());
    }
}
