//! One machine: its image cache, its addresses and its pods, in rows of a few dozen bytes.

use std::ops::{Deref, DerefMut};

use wavetank_core::chunks::Chunks;
use wavetank_core::digest::Shared;
use wavetank_core::growth::make_room;
use wavetank_core::id::{Name, Uid};
use wavetank_core::kubelet::ContainerIndex;
use wavetank_core::model::{Address, Meta, Pod, PodOwn, PodSpec, PodStatus};
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
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum State {
    Starting,
    Running { ends: Option<Box<Ends>> },
    Exited { code: i32, at: Time },
}

/// One container.
#[derive(Clone, Debug)]
pub(super) struct Container {
    pub(super) index: ContainerIndex,
    pub(super) attempt: u32,
    pub(super) started_at: Time,
    pub(super) state: State,
    /// What it uses; `None` is nothing that can run short.
    pub(super) uses: Option<Box<Uses>>,
}

/// What one start of a container uses, as drawn.
#[derive(Clone, Debug)]
pub(super) struct Uses {
    pub(super) memory: Option<Growth>,
    pub(super) disk: Option<Growth>,
    pub(super) processes: u64,
}

const _: () = assert!(size_of::<Container>() <= 40, "a container is a few dozen bytes");
const _: () = assert!(size_of::<Sandbox>() <= 72, "a pod with one container is a few dozen bytes more");

impl Container {
    /// Decides the end of a running container; the number of its event, or `None` if it ends no later anyway.
    pub(super) fn end_at(&mut self, at: Time, code: i32) -> Option<u32> {
        self.end(at, code, false)
    }

    /// As [`Container::end_at`], also for a container that its limit of memory ends.
    pub(super) fn end(&mut self, at: Time, code: i32, out_of_memory: bool) -> Option<u32> {
        let State::Running { ends } = &mut self.state else {
            panic!("{:?} does not run: {:?}", self.index, self.state)
        };
        let number = match ends {
            Some(earlier) if earlier.at <= at => return None,
            Some(later) => later.number + 1,
            None => 0,
        };
        *ends = Some(Box::new(Ends { at, code, number, out_of_memory }));
        Some(number)
    }
}

/// The containers of a pod that have been started. Most pods have one, which lies with what is kept of the pod.
#[derive(Clone, Debug)]
pub(super) enum Containers {
    One(Container),
    Several(Vec<Container>),
}

impl Containers {
    fn push(&mut self, container: Container) {
        *self = match std::mem::replace(self, Containers::Several(Vec::new())) {
            Containers::Several(none) if none.is_empty() => Containers::One(container),
            Containers::One(first) => Containers::Several(vec![first, container]),
            Containers::Several(mut containers) => {
                containers.reserve_exact(1);
                containers.push(container);
                Containers::Several(containers)
            }
        };
    }
}

impl Deref for Containers {
    type Target = [Container];

    fn deref(&self) -> &[Container] {
        match self {
            Containers::One(container) => std::slice::from_ref(container),
            Containers::Several(containers) => containers,
        }
    }
}

impl DerefMut for Containers {
    fn deref_mut(&mut self) -> &mut [Container] {
        match self {
            Containers::One(container) => std::slice::from_mut(container),
            Containers::Several(containers) => containers,
        }
    }
}

/// One pod on a machine. Of the pod there is what stays as it is, so that no former status is kept for it.
#[derive(Clone, Debug)]
pub(super) struct Sandbox {
    pub(super) meta: Shared<Meta>,
    pub(super) spec: Shared<PodSpec>,
    own: Option<Box<PodOwn>>,
    address: u32,
    pub(super) containers: Containers,
}

impl Sandbox {
    /// Adds a container or replaces an earlier start of it.
    pub(super) fn put(&mut self, container: Container) {
        match self.containers.iter_mut().find(|it| it.index == container.index) {
            Some(row) => *row = container,
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
const CHUNK: usize = 7;
/// Room for so many keys at least is made at once: a cache line.
const KEYS_MIN: usize = 16;

/// The pods of a machine, in the order in which they came. A search goes by the last bits of their uids, which lie
/// together.
#[derive(Clone, Debug, Default)]
pub(super) struct Sandboxes {
    keys: Vec<u32>,
    sandboxes: Chunks<Sandbox, CHUNK>,
}

impl Sandboxes {
    fn place(&self, pod: Uid) -> Option<usize> {
        let key = key_of(pod);
        let alike = self.keys.iter().enumerate().filter(|(_, other)| **other == key);
        alike.map(|(place, _)| place).find(|place| self.sandboxes[*place].meta.uid == pod)
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
        make_room(&mut self.keys, KEYS_MIN);
        self.keys.push(key_of(sandbox.meta.uid));
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

fn key_of(pod: Uid) -> u32 {
    pod.low() as u32
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
        let sandbox = Sandbox { meta, spec, own, address, containers: Containers::Several(Vec::new()) };
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
        containers.filter(|it| matches!(it.state, State::Running { .. })).count() as u64
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
