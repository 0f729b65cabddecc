//! The status that a kubelet reports of a pod: container states, phase and conditions, computed from the row.
//!
//! Invariant: the result depends on the row, on the status that the API server has, and on the time only where a
//! condition changes; so "is there something to report" is a comparison. Conditions of others (`DisruptionTarget`) are
//! kept, a nomination is not.
//!
//! Source: `generateAPIPodStatus` and `getPhase`, pkg/kubelet/kubelet_pods.go; pkg/kubelet/status/generate.go;
//! `TerminatePod`, `mergePodStatus`, pkg/kubelet/status/status_manager.go (v1.34.1).

use std::sync::Arc;

use crate::id::{Name, literal};
use crate::kubelet::adoption::LOST;
use crate::kubelet::pod_life::{ContainerLife, Doing, Incidents, PodLife, Sandbox};
use crate::model::{
    ConditionKind, Conditions, Container, ContainerState, ContainerStatus, Phase, PodSpec, PodStatus, RestartPolicy,
    Status3, Terminated, WantedCondition,
};
use crate::time::Time;

/// The conditions that a kubelet sets. Of a pod that it refuses it says none, and so takes away what others have set.
///
/// Source: `PodConditionsByKubelet`, pkg/kubelet/types/pod_status.go; `rejectPod`, pkg/kubelet/kubelet.go (v1.34.1).
const OF_KUBELETS: [ConditionKind; 5] = [
    ConditionKind::Ready,
    ConditionKind::PodScheduled,
    ConditionKind::PodReadyToStartContainers,
    ConditionKind::Initialized,
    ConditionKind::ContainersReady,
];

/// What the API server ought to know of a pod.
///
/// That the kubelet has seen a new spec is told at once, that it has seen the pod's deletion with whatever it tells
/// next: a kubelet of Kubernetes writes the status once more for each pod that is deleted, with nothing else in it.
///
/// Source: `SetPodStatus`, pkg/kubelet/status/status_manager.go (v1.34.1).
pub(super) fn desired(life: &PodLife, now: Time) -> PodStatus {
    let mut status = status_of(life, now);
    let (meta, before) = (&life.pod.meta, &*life.pod.status);
    let is_told_of = life.containers.refusal().is_some() || life.confirmed && !life.containers.is_empty();
    if is_told_of && meta.generation > before.observed_generation && (!meta.is_terminating() || status != *before) {
        status.observed_generation = meta.generation;
    }
    status
}

fn status_of(life: &PodLife, now: Time) -> PodStatus {
    let before = &*life.pod.status;
    if let Some(rejection) = life.containers.refusal() {
        let mut status = before.clone();
        for kind in OF_KUBELETS {
            status.conditions.remove(kind);
        }
        status.phase = Phase::Failed;
        status.reason = rejection.reason.clone();
        status.message = rejection.message.clone();
        status.started_at = status.started_at.get().unwrap_or(life.taken_on_at).into();
        return status;
    }
    if !life.confirmed || life.containers.is_empty() {
        return before.clone();
    }
    let spec = &life.pod.spec;
    let (init, main) = life.containers.split_at(life.init_count());
    let init_waiting = literal!("PodInitializing");
    let waiting = if init.is_empty() { literal!("ContainerCreating") } else { init_waiting.clone() };
    let stays = !life.pod.meta.is_terminating();
    let mut status = PodStatus {
        phase: before.phase,
        observed_generation: before.observed_generation,
        conditions: Conditions::default(),
        pod_ip: life.address().or(before.pod_ip.as_ref()).cloned(),
        started_at: before.started_at.get().unwrap_or(life.taken_on_at).into(),
        containers: main.iter().map(|container| container_status(container, &waiting, stays)).collect(),
        extras: before.extras.clone(),
    };
    if status.nominated_node.is_some() {
        status.nominated_node = None;
    }
    if !(init.is_empty() && status.init_containers.is_empty()) {
        let init = init.iter().map(|container| container_status(container, &init_waiting, stays));
        status.init_containers = init.collect();
        for (container, spec) in status.extras.init_containers.iter_mut().zip(&spec.init_containers) {
            if !spec.sidecar {
                container.ready = ended_well(&container.state);
            }
        }
    }
    let verdict = life.verdict();
    let ended_before = matches!(before.phase, Phase::Succeeded | Phase::Failed);
    status.phase = match before.phase {
        terminal if ended_before => terminal,
        _ if life.is_past_deadline() => Phase::Failed,
        _ => phase(spec, &status, life.is_settled(), life.initialized),
    };
    // Whoever has ended a pod: if all its containers have ended well, it has succeeded, and nobody says why it ended.
    let has_succeeded = status.phase == Phase::Succeeded;
    if verdict.is_some() || life.is_removed() && (life.gone || life.pod.meta.is_terminating()) {
        give_up_the_missing(spec, &mut status, life.taken_on_at);
    }
    let mut disrupted = None;
    if let Some(verdict) = verdict {
        if !has_succeeded {
            status.phase = Phase::Failed;
            status.reason = verdict.reason.clone();
            status.message = verdict.message.clone();
        }
        if let Some(message) = &verdict.disruption {
            let (kind, reason) = (ConditionKind::DisruptionTarget, literal!("TerminationByKubelet"));
            let conditions = disrupted.insert(before.conditions.clone());
            conditions.set(kind, Status3::True, reason, message.clone(), now);
        }
    }
    let conditions_before = disrupted.as_ref().unwrap_or(&before.conditions);
    // The sandbox of a pod in which nothing runs any more is stopped.
    let has_sandbox = matches!(life.sandbox, Sandbox::Ready(_)) && !life.is_settled();
    status.conditions = conditions(&status, conditions_before, spec, has_sandbox, now);
    // That a pod has ended is told when nothing of it runs any more; its conditions say so before.
    if !ended_before && matches!(status.phase, Phase::Succeeded | Phase::Failed) && !life.is_settled() {
        status.phase = before.phase;
    }
    status
}

/// The status of a container that shows this reason while it waits for the first time. What has ended in a pod that
/// does not stay waits for nothing.
fn container_status(container: &ContainerLife, waiting: &Name, stays: bool) -> ContainerStatus {
    let Incidents { ended, before, trouble, uncounted, .. } = container.incidents();
    let last = ended.clone();
    let trouble = trouble.as_ref().filter(|trouble| !trouble.reason.is_empty() && (stays || ended.is_none()));
    let (state, last_terminated) = match (container.doing, ended, trouble) {
        (Doing::Running(since), _, _) if container.seen => (ContainerState::Running { since }, last),
        (_, _, Some(trouble)) => {
            let (reason, message) = (trouble.reason.clone(), trouble.message.clone());
            (ContainerState::Waiting { reason, message }, last)
        }
        (_, Some(ended), None) => (ContainerState::Terminated(ended.clone()), before.clone()),
        (_, None, None) => (ContainerState::Waiting { reason: waiting.clone(), message: Name::default() }, None),
    };
    // A start that is lost counts before there is another one.
    let lost = !container.ran && ended.as_ref().is_some_and(|how| how.reason == *LOST);
    let counts = lost || container.ran && (container.seen || !container.is_running());
    ContainerStatus {
        state,
        last_terminated,
        ready: container.ready,
        started: container.started,
        restarts: container.attempt.saturating_sub(u32::from(!counts)).saturating_sub(*uncounted),
    }
}

fn ended_well(state: &ContainerState) -> bool {
    matches!(state, ContainerState::Terminated(how) if how.exit_code == 0)
}

/// Counts of one kind of container.
#[derive(Default)]
struct Tally {
    running: u32,
    waiting: u32,
    stopped: u32,
    succeeded: u32,
    pending_sidecars: u32,
    pending_init: u32,
    failed_init: u32,
}

/// The phase. `settled` is that nothing runs any more and nothing will; `initialized` that the init containers of this
/// sandbox are done, after which sidecars that start again hold nothing back.
pub(super) fn phase(spec: &PodSpec, status: &PodStatus, settled: bool, initialized: bool) -> Phase {
    let mut tally = Tally::default();
    for (container, status) in spec.init_containers.iter().zip(&status.init_containers) {
        count_init(&mut tally, container, status);
    }
    for status in &status.containers {
        match (&status.state, &status.last_terminated) {
            (ContainerState::Running { .. }, _) => tally.running += 1,
            (ContainerState::Terminated(how), _) => {
                tally.stopped += 1;
                tally.succeeded += u32::from(how.exit_code == 0);
            }
            (ContainerState::Waiting { .. }, Some(_)) => tally.stopped += 1,
            (ContainerState::Waiting { .. }, None) => tally.waiting += 1,
        }
    }
    if tally.failed_init > 0 && spec.restart_policy == RestartPolicy::Never {
        return Phase::Failed;
    }
    if tally.pending_init > 0 || (tally.pending_sidecars > 0 && !initialized) || tally.waiting > 0 {
        return Phase::Pending;
    }
    match (tally.running, tally.stopped) {
        (1.., _) => Phase::Running,
        (0, 0) => Phase::Pending,
        _ if settled && tally.stopped == tally.succeeded => Phase::Succeeded,
        _ if settled => Phase::Failed,
        _ if spec.restart_policy == RestartPolicy::Always => Phase::Running,
        _ if tally.stopped == tally.succeeded => Phase::Succeeded,
        _ if spec.restart_policy == RestartPolicy::Never => Phase::Failed,
        _ => Phase::Running,
    }
}

fn count_init(tally: &mut Tally, container: &Container, status: &ContainerStatus) {
    match (&status.state, &status.last_terminated, container.sidecar) {
        (ContainerState::Running { .. }, _, true) => {
            tally.pending_sidecars += u32::from(!status.started);
            tally.running += 1;
        }
        (ContainerState::Terminated(_), _, true) | (ContainerState::Waiting { .. }, Some(_), true) => {}
        (ContainerState::Waiting { .. }, None, true) => {
            tally.pending_sidecars += 1;
            tally.waiting += 1;
        }
        (ContainerState::Terminated(how), _, false) | (ContainerState::Waiting { .. }, Some(how), false) => {
            tally.failed_init += u32::from(how.exit_code != 0);
        }
        (ContainerState::Running { .. }, _, false) | (ContainerState::Waiting { .. }, None, false) => {
            tally.pending_init += 1;
        }
    }
}

/// Whether the init containers are done: a regular container has run, or each of them has ended well.
fn has_initialized(spec: &PodSpec, status: &PodStatus) -> bool {
    let has_run = |status: &ContainerStatus| {
        !matches!(status.state, ContainerState::Waiting { .. }) || status.last_terminated.is_some()
    };
    status.containers.iter().any(has_run) || unfinished_init(spec, status).next().is_none()
}

fn unfinished_init<'a>(spec: &'a PodSpec, status: &'a PodStatus) -> impl Iterator<Item = &'a Container> + Clone {
    let pairs = spec.init_containers.iter().zip(&status.init_containers);
    let unfinished = pairs.filter(
        |(container, status)| {
            if container.sidecar { !status.started } else { !ended_well(&status.state) }
        },
    );
    unfinished.map(|(container, _)| container)
}

/// The containers that keep a pod from being ready: sidecars, then regular ones.
fn unready<'a>(spec: &'a PodSpec, status: &'a PodStatus) -> impl Iterator<Item = &'a Container> + Clone {
    let sidecars = spec.init_containers.iter().zip(&status.init_containers).filter(|(container, _)| container.sidecar);
    let mains = spec.containers.iter().zip(&status.containers);
    sidecars.chain(mains).filter(|(_, status)| !status.ready).map(|(container, _)| container)
}

/// A sentence about containers, by their names: `containers with unready status: [app proxy]`. The one that is there
/// `before` is kept if it says so.
fn sentence<'a>(before: Option<&Name>, what: &str, containers: impl Iterator<Item = &'a Container> + Clone) -> Name {
    let opening = |number| if number == 0 { ": [" } else { " " };
    let named = containers.enumerate().map(|(number, container)| (opening(number), &*container.name));
    fn after<'t>(text: &'t str, (opening, name): (&str, &str)) -> Option<&'t str> {
        text.strip_prefix(opening)?.strip_prefix(name)
    }
    let says_so = |text: &&Name| {
        let after_names = text.strip_prefix(what).and_then(|text| named.clone().try_fold(text, after));
        after_names == Some("]")
    };
    if let Some(before) = before.filter(says_so) {
        return before.clone();
    }
    let mut text = String::with_capacity(80);
    text.push_str(what);
    named.for_each(|(opening, name)| text.extend([opening, name]));
    text.push(']');
    text.into()
}

/// A pod that has been removed leaves nothing unsaid: containers that should have run and did not end count as lost,
/// the phase is final. Init containers after the last one that ever started still wait, and so do regular ones before
/// the pod was initialized.
///
/// Source: `TerminatePod`, `hasPodInitialized`, `initializedContainers`, pkg/kubelet/status/status_manager.go (v1.34).
pub(super) fn give_up_the_missing(spec: &PodSpec, status: &mut PodStatus, taken_on_at: Time) {
    let has_started = |status: &ContainerStatus| {
        !matches!(status.state, ContainerState::Waiting { .. }) || status.last_terminated.is_some()
    };
    let last = spec.init_containers.iter().zip(&status.init_containers).next_back();
    let last_is_done = last.is_none_or(|(container, status)| {
        let ended_before = status.last_terminated.as_ref().is_some_and(|how| how.exit_code == 0);
        let runs = matches!(status.state, ContainerState::Running { .. }) && status.started;
        if container.sidecar { runs } else { ended_before || ended_well(&status.state) }
    });
    let initialized = last_is_done || status.containers.iter().any(has_started);
    let reached = status.init_containers.iter().rposition(has_started).map_or(1, |place| place + 1);
    let missing_init = status.extras.init_containers.iter_mut().take(reached);
    let missing = status.containers.iter_mut().filter(|_| initialized);
    for container in missing_init.chain(missing).filter(|it| !matches!(it.state, ContainerState::Terminated(_))) {
        container.state = ContainerState::Terminated(Arc::new(Terminated {
            exit_code: 137,
            reason: LOST.clone(),
            started_at: taken_on_at,
            finished_at: taken_on_at,
        }));
    }
    if !matches!(status.phase, Phase::Succeeded | Phase::Failed) {
        status.phase = Phase::Failed;
    }
}

/// The conditions of a pod whose containers and phase are these.
pub(super) fn conditions(
    status: &PodStatus,
    before: &Conditions,
    spec: &PodSpec,
    has_sandbox: bool,
    now: Time,
) -> Conditions {
    use ConditionKind::{ContainersReady, Initialized, PodReadyToStartContainers, PodScheduled, Ready};
    use Status3::{False, True};
    const NOTHING: Name = Name::new();
    const COMPLETED: Name = literal!("PodCompleted");
    let initialized = match status.phase {
        Phase::Succeeded => (True, COMPLETED, NOTHING),
        _ if has_initialized(spec, status) => (True, NOTHING, NOTHING),
        _ => {
            let unfinished = unfinished_init(spec, status);
            let message = sentence(before.message(Initialized), "containers with incomplete status", unfinished);
            (False, literal!("ContainersNotInitialized"), message)
        }
    };
    let containers = match status.phase {
        Phase::Succeeded => (False, COMPLETED, NOTHING),
        Phase::Failed => (False, literal!("PodFailed"), NOTHING),
        _ if unready(spec, status).next().is_none() => (True, NOTHING, NOTHING),
        _ => {
            let unready = unready(spec, status);
            let message = sentence(before.message(ContainersReady), "containers with unready status", unready);
            (False, literal!("ContainersNotReady"), message)
        }
    };
    let gates = missing_gates(spec).filter(|_| containers.0 == True);
    let gated = gates.map(|message| (False, literal!("ReadinessGatesNotReady"), Name::from(message)));
    let ready = gated.as_ref().unwrap_or(&containers);
    let wanted = [
        (Ready, ready),
        (PodScheduled, &(True, NOTHING, NOTHING)),
        (PodReadyToStartContainers, &(Status3::from(has_sandbox), NOTHING, NOTHING)),
        (Initialized, &initialized),
        (ContainersReady, &containers),
    ];
    let wanted =
        wanted.map(|(kind, (status, reason, message))| WantedCondition { kind, status: *status, reason, message });
    before.with_all(wanted, now)
}

/// What the Ready condition says of readiness gates whose conditions are not there; `None` for a pod without gates.
///
/// Conditions of other types than the kubelet's own cannot be set in this model, so a gate never opens.
fn missing_gates(spec: &PodSpec) -> Option<String> {
    let gate = |gate: &Name| format!("corresponding condition of pod readiness gate \"{gate}\" does not exist.");
    (!spec.readiness_gates.is_empty()).then(|| spec.readiness_gates.iter().map(gate).collect::<Vec<_>>().join(", "))
}
