//! One machine: its image cache, its addresses and its pods, in rows of a few dozen bytes.

use wavetank_core::chunks::Chunks;
use wavetank_core::digest::Shared;
use wavetank_core::id::{Name, Uid};
use wavetank_core::keys::Keys;
use wavetank_core::kubelet::ContainerIndex;
use wavetank_core::model::{Address, Meta, Pod, PodOwn, PodSpec, PodStatus};
use wavetank_core::one_or_several::OneOrSeveral;
use wavetank_core::time::{Span, Time};

use super::behaviour::Start;
use super::supply::Supplies;
use crate::plan::{Growth, HostPlan};

/// Addresses of one host at most: a /24 network.
const ADDRESSES_MAX: u32 = 256;
/// Network, gateway: addresses at the start of a host's block that no pod gets. The last one is the broadcast address.
const ADDRESSES_RESERVED: u32 = 2;
/// The address of a pod that shares its machine's network.
const HOST_NETWORK: u32 = u32::MAX;

/// A container's end that has been decided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ends {
    pub(super) at: Time,
    pub(super) code: i32,
    /// Tells the event of this end from those of ends that were moved.
    pub(super) number: u32,
    /// The container's own limit of memory is the reason.
    pub(super) out_of_memory: bool,
}

/// Where a container is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    Starting,
    Running,
    Exited,
}

/// One container.
#[derive(Clone, Debug)]
pub(super) struct Container {
    pub(super) index: ContainerIndex,
    pub(super) attempt: u32,
    pub(super) started_at: Time,
    pub(super) state: State,
    /// Only for a container that ends, or that uses something.
    beside: Option<Box<Beside>>,
}

/// What there is to a container beside that it runs.
#[derive(Clone, Debug, Default)]
struct Beside {
    /// Its end, if that has been decided.
    ends: Option<Ends>,
    /// What it uses, or has left in a volume; `None` is nothing that can run short.
    uses: Option<Uses>,
}

/// What one start of a container uses, as drawn.
#[derive(Clone, Debug)]
pub(super) struct Uses {
    pub(super) memory: Option<Growth>,
    pub(super) disk: Option<Growth>,
    /// The `emptyDir` volume that the disk use lies in; empty is the container's own layer.
    pub(super) volume: Name,
    /// Whether that volume lies in memory, so that the disk use is none of a disk.
    pub(super) in_memory: bool,
    pub(super) processes: u64,
}

const _: () = assert!(size_of::<Container>() <= 32, "a container is a few dozen bytes");
const _: () = assert!(size_of::<Sandbox>() <= 64, "a pod with one container is a few dozen bytes more");

impl Container {
    /// A container that is being started.
    pub(super) fn new(index: ContainerIndex, attempt: u32, now: Time) -> Container {
        Container { index, attempt, started_at: now, state: State::Starting, beside: None }
    }

    /// The end that has been decided for it while it runs.
    pub(super) fn ends(&self) -> Option<&Ends> {
        self.beside.as_ref()?.ends.as_ref().filter(|_| self.state == State::Running)
    }

    /// With which code it ended, and when.
    pub(super) fn exited(&self) -> Option<(i32, Time)> {
        let ends = self.beside.as_ref()?.ends.as_ref().filter(|_| self.state == State::Exited)?;
        Some((ends.code, ends.at))
    }

    /// What it uses, or has left in a volume; `None` is nothing that can run short.
    pub(super) fn uses(&self) -> Option<&Uses> {
        self.beside.as_ref()?.uses.as_ref()
    }

    /// It runs from now on, and uses this; what an earlier start has left in a volume is still there.
    pub(super) fn run(&mut self, now: Time, uses: Option<Uses>) {
        self.started_at = now;
        self.state = State::Running;
        let Some(mut uses) = uses else { return };
        let beside = self.beside.get_or_insert_default();
        let left = beside.uses.take().and_then(|left| left.disk).map_or(0, |left| left.base);
        if let Some(disk) = uses.disk.as_mut().filter(|_| !uses.volume.is_empty()) {
            disk.base = disk.base.saturating_add(left);
        }
        beside.uses = Some(uses);
    }

    /// It ends: of what it used only what lies in a volume is left. Returns whether it used anything.
    pub(super) fn exit(&mut self, code: i32, now: Time) -> bool {
        self.state = State::Exited;
        let beside = self.beside.get_or_insert_default();
        let number = beside.ends.as_ref().map_or(0, |ends| ends.number);
        beside.ends = Some(Ends { at: now, code, number, out_of_memory: false });
        let Some(Uses { disk, volume, in_memory, .. }) = beside.uses.take() else { return false };
        if let Some(disk) = disk.filter(|_| !volume.is_empty()) {
            let left = Growth { base: disk.at(now.since(self.started_at)), grows_by: 0, up_to: None, ..disk };
            beside.uses = Some(Uses { memory: None, disk: Some(left), volume, in_memory, processes: 0 });
        }
        true
    }

    /// What another start of it has left in a volume is still there.
    fn inherit(&mut self, before: &mut Container) {
        let left = before.beside.as_mut().filter(|_| before.state != State::Running).and_then(|it| it.uses.take());
        if left.is_some() {
            self.beside.get_or_insert_default().uses = left;
        }
    }

    /// Decides the end of a running container; the number of its event, or `None` if it ends no later anyway.
    pub(super) fn end_at(&mut self, at: Time, code: i32) -> Option<u32> {
        self.end(at, code, false)
    }

    /// As [`Container::end_at`], also for a container that its limit of memory ends.
    pub(super) fn end(&mut self, at: Time, code: i32, out_of_memory: bool) -> Option<u32> {
        assert!(self.state == State::Running, "{:?} does not run: {:?}", self.index, self.state);
        let ends = &mut self.beside.get_or_insert_default().ends;
        let number = match ends {
            Some(earlier) if earlier.at <= at => return None,
            Some(later) => later.number + 1,
            None => 0,
        };
        *ends = Some(Ends { at, code, number, out_of_memory });
        Some(number)
    }
}

/// One pod on a machine. Of the pod there is what stays as it is, so that no former status is kept for it.
#[derive(Clone, Debug)]
pub(super) struct Sandbox {
    pub(super) meta: Shared<Meta>,
    pub(super) spec: Shared<PodSpec>,
    own: Option<Box<PodOwn>>,
    address: u32,
    /// Those that have been started.
    pub(super) containers: OneOrSeveral<Container>,
}

impl Sandbox {
    /// Adds a container or replaces an earlier start of it.
    pub(super) fn put(&mut self, mut container: Container) {
        match self.containers.iter_mut().find(|it| it.index == container.index) {
            Some(row) => {
                container.inherit(row);
                *row = container;
            }
            None => self.containers.push(container),
        }
    }

    /// A start of one of its containers.
    pub(super) fn start(&self, seed: u64, container: ContainerIndex, attempt: u32) -> Start<'_> {
        Start { seed, meta: &self.meta, spec: &self.spec, container, attempt }
    }

    /// The pod, without a status.
    pub(super) fn pod(&self, machine: &Machine) -> Pod {
        let (meta, spec, own) = (self.meta.clone(), self.spec.clone(), self.own.clone());
        Pod { meta, spec, own, node: Some(machine.node.clone()), status: machine.no_status.clone() }
    }

    /// A start of a container, unless it has been started again since.
    pub(super) fn container(&mut self, index: ContainerIndex, attempt: u32) -> Option<&mut Container> {
        self.containers.iter_mut().find(|it| it.index == index && it.attempt == attempt)
    }

    /// The pod's address.
    pub(super) fn address(&self, machine: &Machine) -> Address {
        if self.address == HOST_NETWORK {
            return machine.address.clone();
        }
        let [_, second, third, fourth] = self.address.to_be_bytes();
        Address::v4([10, second, third, fourth])
    }
}

/// How many pods lie together: a block of theirs is little smaller than what an allocator gives for it.
const CHUNK: usize = 6;

/// The pods of a machine, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(super) struct Sandboxes {
    keys: Keys,
    sandboxes: Chunks<Sandbox, CHUNK>,
}

impl Sandboxes {
    fn place(&self, pod: Uid) -> Option<usize> {
        self.keys.place(pod, |place| self.sandboxes[place].meta.uid == pod)
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Sandbox> {
        self.sandboxes.iter()
    }

    /// That of a pod.
    pub(super) fn get(&self, pod: Uid) -> Option<&Sandbox> {
        Some(&self.sandboxes[self.place(pod)?])
    }

    /// That of a pod, to change it.
    pub(super) fn get_mut(&mut self, pod: Uid) -> Option<&mut Sandbox> {
        let place = self.place(pod)?;
        Some(&mut self.sandboxes[place])
    }

    fn push(&mut self, sandbox: Sandbox) {
        self.keys.push(sandbox.meta.uid);
        self.sandboxes.push(sandbox);
    }

    fn remove(&mut self, pod: Uid) -> Option<Sandbox> {
        let place = self.place(pod)?;
        self.keys.remove(place);
        Some(self.sandboxes.remove(place))
    }

    fn clear(&mut self) {
        self.keys.clear();
        self.sandboxes.clear();
    }
}

/// A machine's block of addresses, and which of them pods have.
#[derive(Clone, Debug)]
struct Addresses {
    first: u32,
    count: u32,
    /// Where the search for a free one begins: an address is not given out again at once.
    next: u32,
    /// A bit for each address of the block.
    taken: [u64; ADDRESSES_MAX as usize / 64],
}

impl Addresses {
    fn new(first: u32, count: u32) -> Addresses {
        Addresses { first, count, next: 0, taken: [0; _] }
    }

    /// Takes the next free address; `None` if there is none.
    fn take(&mut self) -> Option<u32> {
        let usable = self.count - ADDRESSES_RESERVED - 1;
        let mut offsets = (0..usable).map(|step| (self.next + step) % usable);
        let offset = offsets.find(|offset| !self.is_taken(ADDRESSES_RESERVED + offset))?;
        self.next = (offset + 1) % usable;
        let number = ADDRESSES_RESERVED + offset;
        self.taken[number as usize / 64] |= 1 << (number % 64);
        Some(self.first + number)
    }

    fn is_taken(&self, number: u32) -> bool {
        self.taken[number as usize / 64] & 1 << (number % 64) != 0
    }

    /// Gives a pod's address back. That of its machine is nobody's own.
    fn give_back(&mut self, address: u32) {
        if address != HOST_NETWORK {
            let number = address - self.first;
            self.taken[number as usize / 64] &= !(1 << (number % 64));
        }
    }
}

/// An image on a machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Image {
    /// Its number in the fleet.
    pub(super) number: u32,
    pub(super) since: Time,
    /// When a container that used it was last removed.
    pub(super) used_at: Time,
}

/// One machine.
#[derive(Debug)]
pub(super) struct Machine {
    node: Name,
    address: Address,
    bytes_per_second: u64,
    pub(super) images: Vec<Image>,
    pub(super) supplies: Supplies,
    pub(super) sandboxes: Sandboxes,
    addresses: Addresses,
    /// The status of the pods in sandboxes.
    no_status: Shared<PodStatus>,
    /// When the link to the registry is free.
    transfers_until: Time,
    /// How many pulls there have been.
    pub(super) pulls: u32,
    pub(super) power_cycle: u32,
    /// When the kubelet has asked what there is, as each does that starts: what was asked for before is not told.
    pub(super) listed_at: Time,
}

impl Machine {
    pub(super) fn new(host: &HostPlan, images: Vec<u32>, first: u32, addresses: u32) -> Machine {
        let image = |number| Image { number, since: Time::ZERO, used_at: Time::ZERO };
        Machine {
            node: host.boot.node.clone(),
            address: host.boot.address.clone().into(),
            bytes_per_second: host.pull_bytes_per_second.max(1),
            images: images.into_iter().map(image).collect(),
            supplies: Supplies::new(host),
            sandboxes: Sandboxes::default(),
            addresses: Addresses::new(first, addresses),
            no_status: Shared::default(),
            transfers_until: Time::ZERO,
            pulls: 0,
            power_cycle: 0,
            listed_at: Time::ZERO,
        }
    }

    /// Everything but the images is gone.
    pub(super) fn power_off(&mut self) {
        self.sandboxes.clear();
        self.addresses.taken = [0; _];
        self.transfers_until = Time::ZERO;
        self.power_cycle += 1;
        self.supplies.watch = None;
    }

    /// Makes a pod's sandbox, or finds the one that is there; `None` if no address is left.
    pub(super) fn create(&mut self, pod: &Pod) -> Option<Address> {
        if let Some(sandbox) = self.sandboxes.get(pod.meta.uid) {
            return Some(sandbox.address(self));
        }
        let address = if pod.spec.host_network { HOST_NETWORK } else { self.addresses.take()? };
        let (meta, spec, own) = (pod.meta.clone(), pod.spec.clone(), pod.own.clone());
        let sandbox = Sandbox { meta, spec, own, address, containers: OneOrSeveral::new() };
        let address = sandbox.address(self);
        self.sandboxes.push(sandbox);
        Some(address)
    }

    pub(super) fn sandbox(&mut self, pod: Uid) -> Option<&mut Sandbox> {
        self.sandboxes.get_mut(pod)
    }

    pub(super) fn container(&mut self, pod: Uid, index: ContainerIndex, attempt: u32) -> Option<&mut Container> {
        self.sandbox(pod)?.container(index, attempt)
    }

    pub(super) fn remove(&mut self, pod: Uid) {
        if let Some(removed) = self.sandboxes.remove(pod) {
            self.addresses.give_back(removed.address);
        }
    }

    /// Transfers bytes from the registry, one image after the other; when it is done.
    pub(super) fn transfer(&mut self, from: Time, bytes: u64) -> Time {
        self.pulls += 1;
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second);
        let took = Span(u64::try_from(nanos).unwrap_or(u64::MAX));
        if bytes == 0 {
            return from;
        }
        self.transfers_until = from.max(self.transfers_until).saturating_add(took);
        self.transfers_until
    }

    pub(super) fn has_image(&self, number: u32) -> bool {
        self.images.iter().any(|image| image.number == number)
    }

    pub(super) fn keep_image(&mut self, number: u32, now: Time) {
        if !self.has_image(number) {
            self.images.push(Image { number, since: now, used_at: now });
        }
    }

    pub(super) fn running(&self) -> u64 {
        let containers = self.sandboxes.iter().flat_map(|sandbox| sandbox.containers.iter());
        containers.filter(|it| it.state == State::Running).count() as u64
    }
}

/// How many of the 2²⁴ addresses of 10.0.0.0/8 each host gets: a power of two, 256 at most.
///
/// Panics if there are so many hosts that one would get fewer than 8.
pub(super) fn addresses_per_host(hosts: usize) -> u32 {
    let mut addresses = ADDRESSES_MAX;
    while u64::from(addresses) * hosts as u64 > 1 << 24 {
        addresses /= 2;
    }
    assert!(addresses >= 8, "{hosts} hosts leave too few of the 2^24 addresses to each");
    addresses
}
