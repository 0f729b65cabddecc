//! What machines have left, and when they run short of it.
//!
//! Use only grows between two events (starts, ends, images, faults), so the time at which something runs short is found
//! by halving, and one event stands for it. Machines on which nothing is used that can run short cost nothing.
//!
//! A machine without memory for all that its containers use ends the one with the highest score, as the kernel does:
//! its share of the memory in thousandths, and the adjustment that the kubelet sets by class of service.

use wavetank_core::config::EvictionSignal;
use wavetank_core::id::{HostId, Uid};
use wavetank_core::kubelet::{
    ContainerIndex, ContainerUsage, ImageUsage, NodeUsage, PodUsage, RuntimeEvent, Supply, UsageLevels,
};
use wavetank_core::model::{EmptyDir, PodVolumeSource};
use wavetank_core::time::{Span, Time};

use super::behaviour::spec_of;
use super::machine::{Container, Machine, Sandbox, State, Uses};
use super::{Fleet, FleetEvent, KILLED, Outcome};
use crate::plan::{Growth, HostPlan, PressedResource};

/// What a machine has, and what uses it beside pods.
#[derive(Clone, Debug)]
pub(super) struct Supplies {
    memory: u64,
    allocatable_memory: u64,
    nodefs: u64,
    /// The images' own file system, if they have one.
    imagefs: Option<u64>,
    pids: u64,
    /// What faults use, by [`PressedResource`].
    pressed: [u64; 4],
    /// What the kubelet wants to be told of, once.
    pub(super) watch: Option<UsageLevels>,
    /// Tells the newest prediction from those that something has changed since.
    prediction: u32,
    /// Whether an event of the newest prediction is pending.
    predicted: bool,
}

impl Supplies {
    pub(super) fn new(host: &HostPlan) -> Supplies {
        let positive = |amount: i64| u64::try_from(amount).unwrap_or(0);
        let capacity = &host.boot.capacity;
        Supplies {
            memory: positive(capacity.memory_bytes),
            allocatable_memory: positive(host.boot.allocatable.memory_bytes),
            nodefs: positive(capacity.ephemeral_bytes),
            imagefs: host.image_filesystem_bytes,
            pids: host.pids,
            pressed: [0; 4],
            watch: None,
            prediction: 0,
            predicted: false,
        }
    }

    fn pressed(&self, resource: PressedResource) -> u64 {
        self.pressed[resource as usize]
    }

    /// Whether images count: some file system of known size holds them.
    fn counts_images(&self) -> bool {
        self.imagefs.is_some() || self.nodefs > 0
    }
}

/// How much of everything is used.
#[derive(Clone, Copy, Default)]
struct Used {
    memory: u64,
    disk: u64,
    images: u64,
    processes: u64,
}

impl Uses {
    fn memory_at(&self, since: Time, now: Time) -> u64 {
        let own = self.memory.as_ref().map_or(0, |growth: &Growth| growth.at(now.since(since)));
        if self.in_memory { own.saturating_add(self.written_at(since, now)) } else { own }
    }

    fn disk_at(&self, since: Time, now: Time) -> u64 {
        if self.in_memory { 0 } else { self.written_at(since, now) }
    }

    /// What it has written, to whatever medium.
    fn written_at(&self, since: Time, now: Time) -> u64 {
        self.disk.as_ref().map_or(0, |growth: &Growth| growth.at(now.since(since)))
    }

    /// After how much time it uses more memory than so many bytes; `None` is not within `within`.
    pub(super) fn exceeds_memory(&self, bytes: u64, within: Span) -> Option<Span> {
        if !self.in_memory || self.disk.is_none() {
            return self.memory.as_ref()?.exceeds(bytes);
        }
        let exceeds = |after: u64| self.memory_at(Time::ZERO, Time(after)) > bytes;
        if exceeds(0) {
            return Some(Span::ZERO);
        }
        let (mut below, mut above) = (0, within.0);
        if !exceeds(above) {
            return None;
        }
        while above - below > 1 {
            let middle = below + (above - below) / 2;
            if exceeds(middle) { above = middle } else { below = middle }
        }
        Some(Span(above))
    }
}

fn supply(capacity: u64, used: u64) -> Supply {
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    Supply { capacity: number(capacity), available: number(capacity.saturating_sub(used)) }
}

impl Machine {
    /// How much memory there is for pods, in bytes; 0 is not known.
    pub(super) fn memory_for_pods(&self) -> u64 {
        self.supplies.allocatable_memory
    }

    fn used(&self, now: Time, image_bytes: u64) -> Used {
        let supplies = &self.supplies;
        let mut used = Used {
            memory: supplies.pressed(PressedResource::Memory),
            disk: supplies.pressed(PressedResource::NodeFilesystem),
            images: image_bytes + supplies.pressed(PressedResource::ImageFilesystem),
            processes: supplies.pressed(PressedResource::Pids),
        };
        for container in self.sandboxes.iter().flat_map(|sandbox| sandbox.containers.iter()) {
            let Some(uses) = container.uses() else { continue };
            used.memory = used.memory.saturating_add(uses.memory_at(container.started_at, now));
            used.disk = used.disk.saturating_add(uses.disk_at(container.started_at, now));
            used.processes += uses.processes;
        }
        if supplies.imagefs.is_none() {
            used.disk = used.disk.saturating_add(used.images);
            used.images = used.disk;
        }
        used
    }

    fn supply_of(&self, signal: EvictionSignal, used: &Used) -> Supply {
        let supplies = &self.supplies;
        match signal {
            EvictionSignal::MemoryAvailable => supply(supplies.memory, used.memory),
            EvictionSignal::NodeFsAvailable => supply(supplies.nodefs, used.disk),
            EvictionSignal::ImageFsAvailable => supply(supplies.imagefs.unwrap_or(supplies.nodefs), used.images),
            EvictionSignal::PidAvailable => supply(supplies.pids, used.processes),
        }
    }

    /// Whether the kubelet wants to know how things are.
    fn is_low(&self, now: Time, used: &Used) -> bool {
        let Some(levels) = &self.supplies.watch else { return false };
        let below = levels.available.iter().any(|(signal, level)| {
            let supply = self.supply_of(*signal, used);
            supply.capacity > 0 && supply.available < level.of(supply.capacity)
        });
        let images = self.supply_of(EvictionSignal::ImageFsAvailable, used);
        let free_percent = i128::from(images.available) * 100 / i128::from(images.capacity.max(1));
        let full = images.capacity > 0
            && levels.imagefs_used_percent > 0
            && 100 - free_percent >= i128::from(levels.imagefs_used_percent);
        below || full || self.is_over_disk_limit(now)
    }

    /// Whether some regular container has more on its disk than its limit allows, a pod more than those of its
    /// containers together, or a volume more than its own.
    fn is_over_disk_limit(&self, now: Time) -> bool {
        self.sandboxes.iter().any(|sandbox| {
            let mut total = 0;
            let over = sandbox.containers.iter().any(|container| {
                let Some(uses) = container.uses() else { return false };
                let used = uses.disk_at(container.started_at, now);
                total += used;
                let ContainerIndex::Main(_) = container.index else { return false };
                if !uses.volume.is_empty() {
                    return false;
                }
                let limit = spec_of(&sandbox.spec, container.index).map_or(0, |spec| spec.limits.ephemeral_bytes);
                limit > 0 && used > limit.unsigned_abs()
            });
            over || total > 0 && sandbox.is_over_volume_limit(now)
                || total > 0 && {
                    let limit = sandbox.spec.sum_of_containers(|container| container.limits.clone()).ephemeral_bytes;
                    limit > 0 && total > limit.unsigned_abs()
                }
        })
    }

    fn is_out_of_memory(&self, used: &Used) -> bool {
        self.supplies.memory > 0 && used.memory > self.supplies.memory
    }

    /// Whether there is anything to look for. `use_something` is whether any container of the fleet may.
    fn can_run_short(&self, use_something: bool) -> bool {
        let uses = || self.sandboxes.iter().flat_map(|sandbox| sandbox.containers.iter()).any(|it| it.uses().is_some());
        self.supplies.counts_images() || self.supplies.pressed != [0; 4] || use_something && uses()
    }
}

impl Sandbox {
    /// Whether some empty directory holds more than its limit allows.
    fn is_over_volume_limit(&self, now: Time) -> bool {
        self.spec.volumes.iter().any(|volume| {
            let PodVolumeSource::EmptyDir(EmptyDir { size_limit: Some(limit), .. }) = &volume.source else {
                return false;
            };
            let writes = |it: &Container| {
                it.uses().filter(|uses| uses.volume == volume.name).map(|uses| uses.disk_at(it.started_at, now))
            };
            let used: u64 = self.containers.iter().filter_map(writes).sum();
            limit.value() > 0 && used > limit.value().unsigned_abs()
        })
    }
}

impl Fleet {
    /// Something that is no pod begins to use so much of a machine, or ceases to.
    pub(crate) fn press(
        &mut self,
        now: Time,
        host: HostId,
        resource: PressedResource,
        used: u64,
        begins: bool,
        out: &mut Vec<Outcome>,
    ) {
        let slot = &mut self.machines[host.0 as usize].supplies.pressed[resource as usize];
        *slot = if begins { slot.saturating_add(used) } else { slot.saturating_sub(used) };
        self.look_ahead(now, host, out);
    }

    /// What a machine has left and what uses it.
    pub(super) fn usage(&self, now: Time, host: HostId) -> NodeUsage {
        let machine = &self.machines[host.0 as usize];
        let used = machine.used(now, self.image_bytes(machine));
        let mut pods = Vec::new();
        for sandbox in machine.sandboxes.iter() {
            let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
            let counts = |it: &&Container| it.uses().is_some() || it.state == State::Running;
            let containers = sandbox.containers.iter().filter(counts);
            let containers: Vec<ContainerUsage> = containers
                .map(|container| {
                    let uses = container.uses();
                    ContainerUsage {
                        container: container.index,
                        memory_bytes: number(uses.map_or(0, |uses| uses.memory_at(container.started_at, now))),
                        volume: uses.filter(|uses| !uses.in_memory).map(|uses| uses.volume.clone()).unwrap_or_default(),
                        disk_bytes: number(uses.map_or(0, |uses| uses.disk_at(container.started_at, now))),
                        processes: number(uses.map_or(0, |uses| uses.processes)),
                    }
                })
                .collect();
            if !containers.is_empty() {
                pods.push(PodUsage { pod: sandbox.meta.uid, containers });
            }
        }
        let in_use = self.images_in_use(machine);
        let images = machine.images.iter().map(|image| {
            let (name, size) = &self.image_sizes[image.number as usize];
            ImageUsage {
                image: name.clone(),
                size_bytes: i64::try_from(*size).unwrap_or(i64::MAX),
                since: image.since,
                last_used: (!in_use.contains(&image.number)).then_some(image.used_at),
            }
        });
        NodeUsage {
            memory: machine.supply_of(EvictionSignal::MemoryAvailable, &used),
            nodefs: machine.supply_of(EvictionSignal::NodeFsAvailable, &used),
            imagefs: machine.supply_of(EvictionSignal::ImageFsAvailable, &used),
            dedicated_imagefs: machine.supplies.imagefs.is_some(),
            pids: machine.supply_of(EvictionSignal::PidAvailable, &used),
            images: images.collect(),
            pods,
        }
    }

    fn image_bytes(&self, machine: &Machine) -> u64 {
        machine.images.iter().map(|image| self.image_sizes[image.number as usize].1).sum()
    }

    fn images_in_use(&self, machine: &Machine) -> Vec<u32> {
        let of = |sandbox: &super::machine::Sandbox| {
            let specs = sandbox.containers.iter().filter_map(|container| spec_of(&sandbox.spec, container.index));
            specs.filter_map(|spec| self.images.get(&spec.image).copied()).collect::<Vec<_>>()
        };
        machine.sandboxes.iter().flat_map(of).collect()
    }

    /// A pod is about to be removed: its images were in use until now.
    pub(super) fn note_use_of_images(&mut self, now: Time, host: HostId, pod: Uid) {
        let Machine { sandboxes, images, .. } = &mut self.machines[host.0 as usize];
        let Some(sandbox) = sandboxes.get(pod) else { return };
        let specs = sandbox.containers.iter().filter_map(|container| spec_of(&sandbox.spec, container.index));
        for number in specs.filter_map(|spec| self.images.get(&spec.image)) {
            if let Some(image) = images.iter_mut().find(|image| image.number == *number) {
                image.used_at = now;
            }
        }
    }

    /// Something has changed: when does the machine run short next?
    pub(super) fn look_ahead(&mut self, now: Time, host: HostId, out: &mut Vec<Outcome>) {
        let image_bytes = {
            let machine = &self.machines[host.0 as usize];
            if !machine.supplies.predicted && !machine.can_run_short(self.behaviours.use_something) {
                return;
            }
            self.image_bytes(machine)
        };
        let end = self.end;
        let machine = &mut self.machines[host.0 as usize];
        let short = |at: Time| {
            let used = machine.used(at, image_bytes);
            let somebody_dies = machine.is_out_of_memory(&used) && most_expendable(machine, at).is_some();
            somebody_dies || machine.is_low(at, &used)
        };
        let at = if short(now) {
            Some(now)
        } else if end > now && short(end) {
            let (mut well, mut bad) = (now.0, end.0);
            while bad - well > 1 {
                let middle = well + (bad - well) / 2;
                if short(Time(middle)) { bad = middle } else { well = middle }
            }
            Some(Time(bad))
        } else {
            None
        };
        machine.supplies.prediction = machine.supplies.prediction.wrapping_add(1);
        machine.supplies.predicted = at.is_some();
        if let Some(at) = at {
            out.push(Outcome::Later(at, FleetEvent::RunsShort { number: machine.supplies.prediction }));
        }
    }

    /// A machine runs short: the kernel ends containers, and the kubelet is told if it wants to know.
    pub(super) fn runs_short(&mut self, now: Time, host: HostId, number: u32, out: &mut Vec<Outcome>) {
        let machine = &self.machines[host.0 as usize];
        if machine.supplies.prediction != number {
            return;
        }
        let image_bytes = self.image_bytes(machine);
        let machine = &mut self.machines[host.0 as usize];
        while machine.is_out_of_memory(&machine.used(now, image_bytes)) {
            let Some((pod, place)) = most_expendable(machine, now) else { break };
            let Some(sandbox) = machine.sandbox(pod) else { break };
            let container = &mut sandbox.containers[place];
            container.exit(KILLED, now);
            let (container, attempt) = (container.index, container.attempt);
            let (exit_code, out_of_memory) = (KILLED, true);
            let event = RuntimeEvent::ContainerExited { pod, container, attempt, exit_code, out_of_memory };
            out.push(Outcome::Tell(event));
        }
        if machine.is_low(now, &machine.used(now, image_bytes)) {
            machine.supplies.watch = None;
            out.push(Outcome::Tell(RuntimeEvent::UsageLow));
        }
        self.look_ahead(now, host, out);
    }
}

/// The container that the kernel ends first; `None` if none uses memory.
fn most_expendable(machine: &Machine, now: Time) -> Option<(Uid, usize)> {
    let capacity = machine.supplies.memory.max(1);
    let mut worst: Option<(i128, Uid, usize)> = None;
    for sandbox in machine.sandboxes.iter() {
        for (place, container) in sandbox.containers.iter().enumerate() {
            let Some(uses) = container.uses().filter(|_| container.state == State::Running) else { continue };
            let bytes = uses.memory_at(container.started_at, now);
            let Some(spec) = spec_of(&sandbox.spec, container.index).filter(|_| bytes > 0) else { continue };
            let memory = i64::try_from(capacity).unwrap_or(i64::MAX);
            let adjust = i128::from(sandbox.spec.oom_score_adjust(spec, memory));
            let score = adjust + i128::from(bytes) * 1_000 / i128::from(capacity);
            let candidate = (score, sandbox.meta.uid, place);
            if worst.is_none_or(|worst| (candidate.0, candidate.1) > (worst.0, worst.1)) {
                worst = Some(candidate);
            }
        }
    }
    worst.map(|(_, pod, place)| (pod, place))
}
