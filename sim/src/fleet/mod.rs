//! The fleet: a simulated container runtime for every machine.
//!
//! It answers what kubelets ask of their runtimes ([`RuntimeRequest`]) the way the plan's behaviours say. Invariant: a
//! container that runs and changes nothing has no event pending. Invariant: switching a machine off loses its pods and
//! every answer that is under way, and keeps its images. Absent on purpose: time to make a sandbox (it belongs to the
//! containers' start delay), and pulls that fail for want of disk.
//!
//! A container that TERM ends within its grace has exit code 0, as the test application of the real world does; one
//! that KILL ends has 137.
//!
//! Parts: `machine` is one machine's rows, `images` what it has and pulls, `behaviour` what a start does, `probe` when
//! probes change, `supply` what runs short.

mod behaviour;
mod images;
mod machine;
mod probe;
mod supply;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use wavetank_core::id::{HostId, Name, Uid};
use wavetank_core::kubelet::{
    ContainerIndex, FailedTries, HookKind, ProbeKind, RunningContainer, RunningPod, RuntimeEvent, RuntimeRequest,
};
use wavetank_core::model::{Pod, Probe};
use wavetank_core::time::{Span, Time};

use crate::plan::{HostPlan, Plan, RegistryPlan};
use behaviour::{Behaviours, Start, spec_of};
use machine::{Container, Machine, Sandbox, State};

/// The exit code of a container that KILL ended: 128 + 9.
const KILLED: i32 = 137;
/// The exit code of a container that could not be started.
const CANNOT_START: i32 = 128;
/// The exit code of a container that TERM ended in time.
const TERMINATED: i32 = 0;

/// Something that happens on a machine by itself, some time after it was set off.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum FleetEvent {
    /// An image has arrived, or the registry has refused it.
    Pulled { pod: Uid, container: ContainerIndex, image: Name, found: bool },
    /// A container runs.
    Started { pod: Uid, container: ContainerIndex, attempt: u32 },
    /// A container ends, unless its end has been moved since.
    Ends { pod: Uid, container: ContainerIndex, attempt: u32, end: u32 },
    /// A probe's result changes.
    Probed { pod: Uid, container: ContainerIndex, attempt: u32, kind: ProbeKind, passing: bool },
    /// A probe is tried in vain, as the kubelet asked for at that time.
    TriedInVain {
        pod: Uid,
        container: ContainerIndex,
        attempt: u32,
        kind: ProbeKind,
        asked: Time,
        tries: Box<FailedTries>,
    },
    /// A container cannot be started.
    StartFailed { pod: Uid, container: ContainerIndex, attempt: u32, message: Name },
    /// A hook ends.
    Hooked { pod: Uid, container: ContainerIndex, attempt: u32, kind: HookKind, error: Name },
    /// A machine runs short of something, unless what is used has changed since.
    RunsShort { number: u32 },
}

/// What a request or event leads to.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Outcome {
    /// Tell the kubelet at once.
    Tell(RuntimeEvent),
    /// Something happens on the machine later.
    Later(Time, FleetEvent),
}

/// All machines and what they share.
#[derive(Debug)]
pub(crate) struct Fleet {
    seed: u64,
    behaviours: Behaviours,
    registry: RegistryPlan,
    /// Numbers of images, so that a machine's cache is a list of numbers.
    images: BTreeMap<Name, u32>,
    /// Names and sizes of images by number.
    image_sizes: Vec<(Name, u64)>,
    machines: Vec<Machine>,
    /// When the run ends: nothing is looked for after it.
    end: Time,
}

impl Fleet {
    pub(crate) fn new(plan: &Plan) -> Fleet {
        let mut fleet = Fleet {
            seed: plan.config.seed,
            behaviours: Behaviours::new(plan.behaviours.clone()),
            end: Time::ZERO.saturating_add(plan.duration),
            registry: plan.registry.clone(),
            images: BTreeMap::new(),
            image_sizes: Vec::new(),
            machines: Vec::new(),
        };
        let block = machine::addresses_per_host(plan.hosts.len());
        for (index, host) in (0u32..).zip(&plan.hosts) {
            let machine = fleet.machine(host, index, block);
            fleet.machines.push(machine);
        }
        fleet
    }

    fn machine(&mut self, host: &HostPlan, index: u32, block: u32) -> Machine {
        let images = host.images.iter().map(|image| self.image_number(image)).collect();
        Machine::new(host, images, index * block, block)
    }

    /// A machine loses power: nothing on it runs any more.
    pub(crate) fn power_off(&mut self, host: HostId) {
        self.machines[host.0 as usize].power_off();
    }

    /// How often a machine has lost power; answers from before are void.
    pub(crate) fn power_cycle(&self, host: HostId) -> u32 {
        self.machines[host.0 as usize].power_cycle
    }

    /// How many containers run.
    pub(crate) fn running_containers(&self) -> u64 {
        self.machines.iter().map(Machine::running).sum()
    }

    /// A kubelet asks.
    pub(crate) fn ask(&mut self, now: Time, host: HostId, request: RuntimeRequest, out: &mut Vec<Outcome>) {
        match request {
            RuntimeRequest::CreateSandbox { pod } => self.create_sandbox(host, &pod, out),
            RuntimeRequest::PullImage { pod, container, image, policy, secrets } => {
                self.pull(now, host, (pod, container), (image, &secrets), policy, out);
            }
            RuntimeRequest::StartContainer { pod, container, attempt, .. } => {
                self.start(now, host, &pod, container, attempt, out);
            }
            RuntimeRequest::StopContainer { pod, container, attempt, grace } => {
                self.stop(now, host, (pod, container, attempt), grace, out);
            }
            RuntimeRequest::Probe { pod, container, attempt, kind, probe, ticks_from } => {
                self.probe((now, ticks_from), host, (pod, container, attempt), kind, probe.as_deref(), out);
            }
            RuntimeRequest::RunHook { pod, container, attempt, kind, hook, limit } => {
                let Some(sandbox) = self.machines[host.0 as usize].sandbox(pod) else { return };
                let start = sandbox.start(self.seed, container, attempt);
                let (takes, error) = start.hook(&self.behaviours, kind, &hook);
                let (takes, error) = match limit.filter(|limit| *limit < takes) {
                    Some(limit) => (limit, "the grace is over".into()),
                    None => (takes, error),
                };
                let ended = FleetEvent::Hooked { pod, container, attempt, kind, error };
                out.push(Outcome::Later(now.saturating_add(takes), ended));
            }
            RuntimeRequest::WatchUsage(levels) => {
                self.machines[host.0 as usize].supplies.watch = Some(levels);
                self.look_ahead(now, host, out);
            }
            RuntimeRequest::Usage => out.push(Outcome::Tell(RuntimeEvent::Usage(Arc::new(self.usage(now, host))))),
            RuntimeRequest::RemoveImages(images) => {
                let numbers: Vec<u32> = images.iter().map(|image| self.image_number(image)).collect();
                self.machines[host.0 as usize].images.retain(|image| !numbers.contains(&image.number));
                self.look_ahead(now, host, out);
            }
            // The world switches machines off; see `SimWorld::send`.
            RuntimeRequest::PowerOff => {}
            // Nothing in a simulated container reads its files.
            RuntimeRequest::UpdateFiles { .. } => {}
            RuntimeRequest::RemovePod { pod } => {
                self.note_use_of_images(now, host, pod);
                self.machines[host.0 as usize].remove(pod);
                self.look_ahead(now, host, out);
                out.push(Outcome::Tell(RuntimeEvent::PodRemoved { pod }));
            }
            RuntimeRequest::List => {
                self.machines[host.0 as usize].listed_at = now;
                out.push(Outcome::Tell(RuntimeEvent::Pods(self.list(host))));
            }
        }
    }

    /// Something happens on a machine.
    pub(crate) fn happen(&mut self, now: Time, host: HostId, event: FleetEvent, out: &mut Vec<Outcome>) {
        match event {
            FleetEvent::Pulled { pod, container, image, found } => {
                let told = self.pulled(now, host, (pod, container), &image, found);
                out.push(Outcome::Tell(told));
                self.look_ahead(now, host, out);
            }
            FleetEvent::StartFailed { pod, container, attempt, message } => {
                let Some(row) = self.machines[host.0 as usize].container(pod, container, attempt) else { return };
                if row.state == State::Starting {
                    row.exit(CANNOT_START, now);
                    let reason = "RunContainerError".into();
                    out.push(Outcome::Tell(RuntimeEvent::ContainerFailed { pod, container, attempt, reason, message }));
                }
            }
            FleetEvent::Hooked { pod, container, attempt, kind, error } => {
                let row = self.machines[host.0 as usize].container(pod, container, attempt);
                if row.is_some_and(|row| row.state == State::Running) {
                    out.push(Outcome::Tell(RuntimeEvent::HookEnded { pod, container, attempt, kind, error }));
                }
            }
            FleetEvent::RunsShort { number } => self.runs_short(now, host, number, out),
            FleetEvent::Started { pod, container, attempt } => self.started(now, host, pod, container, attempt, out),
            FleetEvent::Ends { pod, container, attempt, end } => {
                let Some(row) = self.machines[host.0 as usize].container(pod, container, attempt) else { return };
                let Some(ends) = row.ends() else { return };
                if ends.number == end {
                    let (exit_code, out_of_memory) = (ends.code, ends.out_of_memory);
                    let used = row.exit(exit_code, now);
                    let event = RuntimeEvent::ContainerExited { pod, container, attempt, exit_code, out_of_memory };
                    out.push(Outcome::Tell(event));
                    if used {
                        self.look_ahead(now, host, out);
                    }
                }
            }
            FleetEvent::TriedInVain { pod, container, attempt, kind, asked, tries } => {
                self.tried_in_vain(host, (pod, container, attempt), kind, (asked, tries), out);
            }
            FleetEvent::Probed { pod, container, attempt, kind, passing } => {
                let Some(row) = self.machines[host.0 as usize].container(pod, container, attempt) else { return };
                if row.state == State::Running {
                    out.push(Outcome::Tell(RuntimeEvent::ProbeChanged { pod, container, attempt, kind, passing }));
                }
            }
        }
    }

    /// A try of a probe fails, of a container that runs and for a kubelet that still is the one that has asked.
    fn tried_in_vain(
        &mut self,
        host: HostId,
        (pod, container, attempt): (Uid, ContainerIndex, u32),
        kind: ProbeKind,
        (asked, tries): (Time, Box<FailedTries>),
        out: &mut Vec<Outcome>,
    ) {
        let machine = &mut self.machines[host.0 as usize];
        let is_asked = asked >= machine.listed_at;
        let row = machine.container(pod, container, attempt).filter(|_| is_asked);
        if row.is_some_and(|row| row.state == State::Running) {
            out.push(Outcome::Tell(RuntimeEvent::ProbeFailed { pod, container, attempt, kind, tries }));
        }
    }

    fn create_sandbox(&mut self, host: HostId, pod: &Pod, out: &mut Vec<Outcome>) {
        let (machine, uid) = (&mut self.machines[host.0 as usize], pod.meta.uid);
        self.behaviours.number(pod);
        let answer = match machine.create(pod) {
            Some(address) => RuntimeEvent::SandboxReady { pod: uid, address },
            None => RuntimeEvent::SandboxFailed {
                pod: uid,
                message: "plugin type=\"bridge\" failed (add): failed to allocate for range 0: no IP addresses \
                          available in range set"
                    .into(),
            },
        };
        out.push(Outcome::Tell(answer));
    }

    fn start(
        &mut self,
        now: Time,
        host: HostId,
        pod: &Arc<Pod>,
        container: ContainerIndex,
        attempt: u32,
        out: &mut Vec<Outcome>,
    ) {
        let uid = pod.meta.uid;
        let machine = &mut self.machines[host.0 as usize];
        let failure = match machine.sandbox(uid) {
            None => Some("the pod has no sandbox".to_string()),
            Some(_) if spec_of(&pod.spec, container).is_none() => {
                Some(format!("the pod has no container {container:?}"))
            }
            Some(sandbox) => {
                sandbox.put(Container::new(container, attempt, now));
                None
            }
        };
        if let Some(message) = failure {
            let (reason, message) = ("CreateContainerError".into(), message.into());
            out.push(Outcome::Tell(RuntimeEvent::ContainerFailed { pod: uid, container, attempt, reason, message }));
            return;
        }
        let start = Start { seed: self.seed, meta: &pod.meta, spec: &pod.spec, container, attempt };
        let delay = start.start_delay(&self.behaviours);
        let event = match start.start_error(&self.behaviours) {
            Some(message) => FleetEvent::StartFailed { pod: uid, container, attempt, message },
            None => FleetEvent::Started { pod: uid, container, attempt },
        };
        out.push(Outcome::Later(now.saturating_add(delay), event));
    }

    fn started(
        &mut self,
        now: Time,
        host: HostId,
        pod: Uid,
        container: ContainerIndex,
        attempt: u32,
        out: &mut Vec<Outcome>,
    ) {
        let end_of_run = self.end;
        let memory = self.machines[host.0 as usize].memory_for_pods();
        let Some(sandbox) = self.machines[host.0 as usize].sandbox(pod) else { return };
        let start = sandbox.start(self.seed, container, attempt);
        let serves = start.serves_at_once(&self.behaviours, now);
        let end = start.end(&self.behaviours);
        let uses = start.uses(&self.behaviours, memory);
        let limit = spec_of(&sandbox.spec, container).map_or(0, |spec| spec.limits.memory_bytes);
        let Some(row) = sandbox.container(container, attempt) else { return };
        if row.state != State::Starting {
            return;
        }
        let uses_something = uses.is_some();
        row.run(now, uses);
        let uses = row.uses().filter(|_| uses_something && limit > 0);
        let exceeds = uses.and_then(|uses| uses.exceeds_memory(limit.unsigned_abs(), end_of_run.since(now)));
        out.push(Outcome::Tell(RuntimeEvent::ContainerStarted { pod, container, attempt, serves }));
        if let Some((run_time, code)) = end {
            let at = now.saturating_add(run_time);
            let number = row.end_at(at, code).expect("a container that has just started has no end yet");
            out.push(Outcome::Later(at, FleetEvent::Ends { pod, container, attempt, end: number }));
        }
        if let Some(after) = exceeds {
            let at = now.saturating_add(after);
            if let Some(end) = row.end(at, KILLED, true) {
                out.push(Outcome::Later(at, FleetEvent::Ends { pod, container, attempt, end }));
            }
        }
        if uses_something {
            self.look_ahead(now, host, out);
        }
    }

    fn stop(
        &mut self,
        now: Time,
        host: HostId,
        (pod, container, attempt): (Uid, ContainerIndex, u32),
        grace: Span,
        out: &mut Vec<Outcome>,
    ) {
        let Some(sandbox) = self.machines[host.0 as usize].sandbox(pod) else {
            out.push(exited(pod, container, attempt, KILLED));
            return;
        };
        let delay = sandbox.start(self.seed, container, attempt).stop_delay(&self.behaviours);
        let Some(row) = sandbox.container(container, attempt) else {
            out.push(exited(pod, container, attempt, KILLED));
            return;
        };
        match row.state {
            State::Exited => {
                let (code, _) = row.exited().expect("a container that has ended has a code");
                out.push(exited(pod, container, attempt, code));
            }
            State::Starting => {
                row.exit(KILLED, now);
                out.push(exited(pod, container, attempt, KILLED));
            }
            State::Running => {
                // A grace of zero is KILL at once, whatever the program would have done.
                let in_time = delay <= grace && grace > Span::ZERO;
                let (after, code) = if in_time { (delay, TERMINATED) } else { (grace, KILLED) };
                let at = now.saturating_add(after);
                if let Some(end) = row.end_at(at, code) {
                    out.push(Outcome::Later(at, FleetEvent::Ends { pod, container, attempt, end }));
                }
            }
        }
    }

    fn probe(
        &mut self,
        (now, ticks_from): (Time, Time),
        host: HostId,
        (pod, container, attempt): (Uid, ContainerIndex, u32),
        kind: ProbeKind,
        probe: Option<&Probe>,
        out: &mut Vec<Outcome>,
    ) {
        let Some(sandbox) = self.machines[host.0 as usize].sandbox(pod) else { return };
        let started = match sandbox.container(container, attempt) {
            Some(Container { state: State::Running, started_at, .. }) => *started_at,
            _ => return,
        };
        let start = sandbox.start(self.seed, container, attempt);
        let course = start.course(&self.behaviours, kind, probe, started);
        let told = |(at, passing)| Outcome::Later(at, FleetEvent::Probed { pod, container, attempt, kind, passing });
        let Some(probe) = probe else {
            // Without a probe a container is ready from the first time that it serves.
            let serves = course.iter().find(|(_, serves)| *serves);
            out.extend(serves.map(|(at, _)| told(((*at).max(now), true))));
            return;
        };
        let probe::Results { changes, failures } = probe::results(probe, kind, (now, ticks_from), started, &course);
        // Before a result that changes at the same time.
        for (at, last) in failures {
            let how = start.failure(&self.behaviours, kind, probe, (started, at));
            let tries = Box::new(FailedTries { how, until: Some(last) });
            out.push(Outcome::Later(at, FleetEvent::TriedInVain { pod, container, attempt, kind, asked: now, tries }));
        }
        out.extend(changes.into_iter().map(told));
    }

    fn list(&self, host: HostId) -> Vec<RunningPod> {
        let machine = &self.machines[host.0 as usize];
        let running = |sandbox: &Sandbox| RunningPod {
            pod: Arc::new(sandbox.pod(machine)),
            address: sandbox.address(machine),
            containers: sandbox.containers.iter().filter_map(listed).collect(),
        };
        machine.sandboxes.iter().map(running).collect()
    }
}

fn listed(container: &Container) -> Option<RunningContainer> {
    let (attempt, started_at, exited) = (container.attempt, container.started_at, container.exited());
    let is_there = container.state != State::Starting;
    is_there.then_some(RunningContainer { container: container.index, attempt, started_at, exited })
}

fn exited(pod: Uid, container: ContainerIndex, attempt: u32, exit_code: i32) -> Outcome {
    Outcome::Tell(RuntimeEvent::ContainerExited { pod, container, attempt, exit_code, out_of_memory: false })
}
