//! Stand-in kubelets, as the recordings had them: they move pods along with the delays that annotations name.
//!
//! | annotation | meaning | default |
//! |---|---|---|
//! | `sim/start-delay` | from the first look at the pod to Running; `never` | 1,000 ms |
//! | `sim/ready-delay` | from Running to Ready; 0 is together with Running; `never` | 2,000 ms |
//! | `sim/unready-after` | from Running to not ready | none |
//! | `sim/term-delay` | from the deletion request to the end, at most the grace | 1,000 ms |
//! | `sim/run-for` | from Running to the container's end | none |
//! | `sim/exit-code`, `sim/exit-codes` | the exit code, or one per completion index | 0 |
//!
//! An image `bad:…` cannot be pulled. Probes and readiness gates are ignored.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use wavetank_core::Core;
use wavetank_core::api::{Propagation, Request};
use wavetank_core::digest::StableHasher;
use wavetank_core::id::{HostId, Name, Uid};
use wavetank_core::model::{
    ConditionKind, ContainerState, ContainerStatus, Object, Phase, Pod, RestartPolicy, Status3, Terminated,
};
use wavetank_core::time::{Span, Time};

/// How long a kubelet takes to notice a pod.
const NOTICE: Span = Span::from_millis(20);
/// The first back-off of a container that has ended.
const BACK_OFF: Span = Span::from_secs(10);

/// What a kubelet does to a pod when its time comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Duty {
    /// Says that it has seen the pod.
    Accept,
    /// Says that the image cannot be pulled.
    FailPull,
    /// Starts the containers.
    Start,
    /// Says that the pod is ready.
    Ready,
    /// Says that the pod is not ready any more.
    Unready,
    /// The container ends by itself.
    Exit,
    /// Starts the container again.
    Restart,
    /// Says that the containers have been stopped.
    Stop,
    /// Removes the object.
    Remove,
}

/// A duty that is due.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    /// The pod.
    pub uid: Uid,
    /// What is to be done.
    pub duty: Duty,
    /// In which life of its kubelet it was planned.
    life: u32,
    /// In which run of the containers: after so many restarts.
    run: u32,
}

impl Due {
    /// Whom a draw about it is for.
    pub fn entity(&self) -> u64 {
        StableHasher::hash_one(&self.uid)
    }
}

/// What a kubelet asks for, and what it plans next.
pub type Act = (Option<(HostId, Request)>, Vec<(Span, Due)>);

/// All machines.
#[derive(Default)]
pub struct Kubelets {
    machines: Vec<Machine>,
    pods: BTreeMap<Uid, Known>,
    addresses: u32,
}

struct Machine {
    node: Name,
    alive: bool,
    life: u32,
}

struct Known {
    pod: Arc<Pod>,
    host: HostId,
    was_ready: bool,
}

impl Kubelets {
    /// Another machine.
    pub fn add(&mut self, node: &str) -> HostId {
        self.machines.push(Machine { node: node.into(), alive: true, life: 0 });
        HostId(u32::try_from(self.machines.len() - 1).expect("few machines"))
    }

    /// The machine of a node.
    pub fn host(&self, node: &str) -> Option<HostId> {
        let place = self.machines.iter().position(|machine| *machine.node == *node)?;
        Some(HostId(u32::try_from(place).expect("few machines")))
    }

    /// The node of a machine.
    pub fn node(&self, host: HostId) -> &Name {
        &self.machines[host.0 as usize].node
    }

    /// Whether a machine is up.
    pub fn is_alive(&self, host: HostId) -> bool {
        self.machines[host.0 as usize].alive
    }

    /// A machine dies or comes back; what its kubelet had planned is forgotten.
    pub fn set_alive(&mut self, host: HostId, alive: bool) {
        let machine = &mut self.machines[host.0 as usize];
        machine.alive = alive;
        machine.life += 1;
        self.pods.retain(|_, known| known.host != host || alive);
    }

    /// A kubelet hears of a pod; what it plans.
    pub fn hears(&mut self, host: HostId, pod: &Arc<Pod>) -> Vec<(Span, Due)> {
        let machine = &self.machines[host.0 as usize];
        if !machine.alive {
            return Vec::new();
        }
        let life = machine.life;
        let uid = pod.meta.uid;
        let run = restarts(pod);
        let due = |delay: Span, duty: Duty| (delay, Due { uid, duty, life, run });
        let before = self.pods.insert(uid, Known { pod: pod.clone(), host, was_ready: pod.is_ready() });
        let mut plans = Vec::new();
        let new = before.is_none();
        if new && !pod.meta.is_terminating() {
            match pod.status.phase {
                Phase::Pending => plans.push(due(NOTICE, Duty::Accept)),
                Phase::Running if !pod.is_ready() => plans.push(due(NOTICE, Duty::Ready)),
                _ => {}
            }
        }
        let was_terminating = before.as_ref().is_some_and(|known| known.pod.meta.is_terminating());
        if pod.meta.is_terminating() && (new || !was_terminating) {
            let grace = pod.meta.deletion_grace.unwrap_or_default();
            let term = millis(pod, "sim/term-delay", Some(1_000)).unwrap_or(grace).min(grace);
            plans.push(due(term, Duty::Stop));
        }
        plans
    }

    /// A kubelet hears that a pod's object is gone.
    pub fn forgets(&mut self, uid: Uid) {
        self.pods.remove(&uid);
    }

    /// A duty is due: what the kubelet asks for, and what it plans next.
    pub fn act(&mut self, core: &Core, now: Time, due: Due) -> Act {
        let nothing = (None, Vec::new());
        let Some(known) = self.pods.get_mut(&due.uid) else { return nothing };
        let (host, machine) = (known.host, &self.machines[known.host.0 as usize]);
        if !machine.alive || machine.life != due.life {
            return nothing;
        }
        let key = Object::Pod(known.pod.clone()).key();
        // The newest version: a status is written as a patch, which leaves others' conditions alone.
        let Some((_, pod)) = core.newest().find::<Pod>(&key.namespace, &key.name) else { return nothing };
        if pod.meta.uid != due.uid {
            return nothing;
        }
        let next = |delay: Span, duty: Duty| (delay, Due { duty, ..due });
        let mut new = Pod::clone(pod);
        // That the pod is to go it hears a little later: what is due by then it still does.
        let terminating = known.pod.meta.is_terminating();
        let mut plans = Vec::new();
        match due.duty {
            Duty::Remove => {
                let propagation = Propagation::Background;
                let request = Request::Delete { key, uid: Some(due.uid), grace: Some(Span::ZERO), propagation };
                return (Some((host, request)), Vec::new());
            }
            Duty::Stop => {
                stop(&mut new, now);
                plans.push(next(NOTICE, Duty::Remove));
            }
            _ if terminating || pod.is_finished() => return nothing,
            // What was planned for a run that has ended is not done in the pause after it, nor in the next one.
            Duty::Ready | Duty::Unready | Duty::Exit if !is_running(pod) || restarts(pod) != due.run => return nothing,
            Duty::Accept => {
                accept(&mut new, now);
                if bad_image(pod) {
                    plans.push(next(millis(pod, "sim/start-delay", Some(1_000)).unwrap_or_default(), Duty::FailPull));
                } else if let Some(delay) = millis(pod, "sim/start-delay", Some(1_000)) {
                    plans.push(next(delay, Duty::Start));
                }
            }
            Duty::FailPull => {
                for container in &mut new.status.containers {
                    container.state =
                        ContainerState::Waiting { reason: "ErrImagePull".into(), message: Name::default() };
                }
            }
            Duty::Start | Duty::Restart => {
                if pod.status.pod_ip.is_none() {
                    self.addresses += 1;
                    new.status.pod_ip = Some(format!("10.200.{}.{}", self.addresses >> 8, self.addresses & 255).into());
                }
                let ready = millis(pod, "sim/ready-delay", Some(2_000));
                let run = restarts(pod) + u32::from(due.duty == Duty::Restart);
                let next = |delay: Span, duty: Duty| (delay, Due { duty, run, ..due });
                start(&mut new, run, now);
                set_ready(&mut new, ready == Some(Span::ZERO), now);
                plans.extend(ready.filter(|ready| *ready > Span::ZERO).map(|ready| next(ready, Duty::Ready)));
                plans.extend(millis(pod, "sim/run-for", None).map(|run| next(run, Duty::Exit)));
                plans.extend(millis(pod, "sim/unready-after", None).map(|after| next(after, Duty::Unready)));
            }
            Duty::Ready => set_ready(&mut new, true, now),
            Duty::Unready => set_ready(&mut new, false, now),
            Duty::Exit => {
                let code = exit_code(pod);
                if runs_again(pod, code) {
                    plans.push(next(Span(BACK_OFF.0 << restarts(pod).min(5)), Duty::Restart));
                    wait_for_restart(&mut new, code, now);
                } else {
                    end(&mut new, code, now);
                }
            }
        }
        known.was_ready = new.is_ready();
        let request = Request::UpdateStatus { object: Object::Pod(Arc::new(new)), expected: None };
        (Some((host, request)), plans)
    }
}

/// Ends the containers of a pod that is to go, unless they have ended by themselves.
fn stop(pod: &mut Pod, now: Time) {
    if pod.is_finished() {
        return;
    }
    // A container that never ran counts as killed.
    let ran = pod.status.containers.iter().any(|it| it.started);
    let code = match (ran, pod.spec.restart_policy) {
        (false, _) => 137,
        (true, RestartPolicy::Always) => 0,
        (true, _) => 143,
    };
    end(pod, code, now);
}

fn runs_again(pod: &Pod, code: i32) -> bool {
    match pod.spec.restart_policy {
        RestartPolicy::Always => true,
        RestartPolicy::OnFailure => code != 0,
        RestartPolicy::Never => false,
    }
}

fn annotation<'a>(pod: &'a Pod, key: &str) -> Option<&'a Name> {
    pod.meta.annotations.get(key)
}

/// A delay in milliseconds; `None` for `never`, and where there is neither the annotation nor a default.
fn millis(pod: &Pod, key: &str, default: Option<u64>) -> Option<Span> {
    match annotation(pod, key) {
        Some(text) => text.parse().ok().map(Span::from_millis),
        None => default.map(Span::from_millis),
    }
}

/// How often the containers were started again.
fn restarts(pod: &Pod) -> u32 {
    pod.status.containers.iter().map(|it| it.restarts).max().unwrap_or(0)
}

fn is_running(pod: &Pod) -> bool {
    pod.status.containers.iter().any(|it| matches!(it.state, ContainerState::Running { .. }))
}

fn exit_code(pod: &Pod) -> i32 {
    let index = annotation(pod, "batch.kubernetes.io/job-completion-index");
    let codes = annotation(pod, "sim/exit-codes").and_then(|text| serde_json::from_str::<Value>(text).ok());
    let by_index = codes.zip(index).and_then(|(codes, index)| codes[&**index].as_i64());
    let by_index = by_index.and_then(|code| i32::try_from(code).ok());
    by_index.or_else(|| annotation(pod, "sim/exit-code")?.parse().ok()).unwrap_or(0)
}

fn bad_image(pod: &Pod) -> bool {
    pod.spec.containers.first().is_some_and(|container| container.image.starts_with("bad"))
}

/// `containers with unready status: [app]`.
fn unready_message(pod: &Pod) -> String {
    let names: Vec<&str> = pod.spec.containers.iter().map(|container| &*container.name).collect();
    format!("containers with unready status: [{}]", names.join(" "))
}

fn accept(pod: &mut Pod, now: Time) {
    pod.status.started_at = now.into();
    let waiting = ContainerState::Waiting { reason: "ContainerCreating".into(), message: Name::default() };
    let container =
        ContainerStatus { state: waiting, last_terminated: None, ready: false, started: false, restarts: 0 };
    pod.status.containers = vec![container; pod.spec.containers.len()].into();
    let conditions = &mut pod.status.conditions;
    conditions.set(ConditionKind::PodReadyToStartContainers, Status3::False, "", "", now);
    conditions.set(ConditionKind::Initialized, Status3::True, "", "", now);
    conditions.set(ConditionKind::PodScheduled, Status3::True, "", "", now);
    set_ready(pod, false, now);
}

fn start(pod: &mut Pod, restarts: u32, now: Time) {
    pod.status.phase = Phase::Running;
    for container in &mut pod.status.containers {
        container.state = ContainerState::Running { since: now };
        container.started = true;
        container.restarts = restarts;
    }
    pod.status.conditions.set(ConditionKind::PodReadyToStartContainers, Status3::True, "", "", now);
}

fn set_ready(pod: &mut Pod, ready: bool, now: Time) {
    let message = unready_message(pod);
    let (status, reason, message) =
        if ready { (Status3::True, "", "") } else { (Status3::False, "ContainersNotReady", message.as_str()) };
    for kind in [ConditionKind::Ready, ConditionKind::ContainersReady] {
        pod.status.conditions.set(kind, status, reason, message, now);
    }
    pod.status.containers.iter_mut().for_each(|container| container.ready = ready);
}

fn terminated(container: &ContainerStatus, code: i32, now: Time) -> Arc<Terminated> {
    let started_at = match container.state {
        ContainerState::Running { since } => since,
        _ => now,
    };
    let reason = if code == 0 { "Completed" } else { "Error" };
    Arc::new(Terminated { exit_code: code, reason: reason.into(), started_at, finished_at: now })
}

fn wait_for_restart(pod: &mut Pod, code: i32, now: Time) {
    for container in &mut pod.status.containers {
        container.last_terminated = Some(terminated(container, code, now));
        container.state = ContainerState::Waiting { reason: "CrashLoopBackOff".into(), message: Name::default() };
    }
    set_ready(pod, false, now);
}

fn end(pod: &mut Pod, code: i32, now: Time) {
    let (phase, reason) = if code == 0 { (Phase::Succeeded, "PodCompleted") } else { (Phase::Failed, "PodFailed") };
    pod.status.phase = phase;
    for container in &mut pod.status.containers {
        container.state = ContainerState::Terminated(terminated(container, code, now));
        container.ready = false;
    }
    let conditions = &mut pod.status.conditions;
    conditions.set(ConditionKind::PodReadyToStartContainers, Status3::False, "", "", now);
    if code == 0 {
        conditions.set(ConditionKind::Initialized, Status3::True, reason, "", now);
    }
    for kind in [ConditionKind::Ready, ConditionKind::ContainersReady] {
        conditions.set(kind, Status3::False, reason, "", now);
    }
}
