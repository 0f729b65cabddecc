//! Names for things: processes, hosts, rows, revisions, unique ids and interned text.
//!
//! Every id is a type of its own, so that two numbers of different meaning never meet.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

pub use arcstr::literal;

/// Shared immutable text: an object's name, a label, an image. One pointer wide, for a pod holds dozens; a literal
/// ([`literal!`]) takes no memory of its own and is cloned for nothing. Equal names that were cloned from one another
/// are found equal without being read.
pub type Name = arcstr::ArcStr;

/// The order of two names; those that were cloned from one another are compared without being read.
pub fn order_of_names(one: &Name, other: &Name) -> Ordering {
    if Name::ptr_eq(one, other) { Ordering::Equal } else { one.cmp(other) }
}

/// A machine that can run pods: the index of its kubelet and of its container runtime. Not the Node object, which can
/// be deleted and registered again while the machine stays.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HostId(pub u32);

/// What a process is. The numbers are part of the event order (see `sim`'s queue): changing one changes results.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[repr(u8)]
pub enum ProcKind {
    /// The world itself: its notices to the core, such as a healed link.
    World = 0,
    /// Whoever sends requests from outside: the scenario's timeline, a user's kubectl.
    Client = 1,
    /// An API server with its store.
    ApiServer = 2,
    /// A scheduler.
    Scheduler = 3,
    /// A controller manager with all its controllers.
    ControllerManager = 4,
    /// The kubelet of one host.
    Kubelet = 5,
    /// The container runtime of one host; it lives in the world, never in the core.
    Runtime = 6,
}

/// A process: its kind and an index within the kind, packed into 24 bits (4 + 20).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProcId(u32);

impl ProcId {
    /// The most processes of one kind (2²⁰ = 1,048,576).
    pub const INDEX_LIMIT: u32 = 1 << 20;
    /// The world, as a sender of notices.
    pub const WORLD: ProcId = ProcId::new(ProcKind::World, 0);
    /// The scenario's timeline or the user's command line.
    pub const CLIENT: ProcId = ProcId::new(ProcKind::Client, 0);
    /// The first API server.
    pub const API_SERVER: ProcId = ProcId::new(ProcKind::ApiServer, 0);
    /// The first scheduler.
    pub const SCHEDULER: ProcId = ProcId::new(ProcKind::Scheduler, 0);
    /// The first controller manager.
    pub const CONTROLLER_MANAGER: ProcId = ProcId::new(ProcKind::ControllerManager, 0);

    /// The process number `index` of a kind. Panics if the index is not below [`ProcId::INDEX_LIMIT`].
    #[inline]
    pub const fn new(kind: ProcKind, index: u32) -> ProcId {
        assert!(index < ProcId::INDEX_LIMIT, "a process index has 20 bits");
        ProcId((kind as u32) << 20 | index)
    }

    /// The kubelet of a host.
    #[inline]
    pub const fn kubelet(host: HostId) -> ProcId {
        ProcId::new(ProcKind::Kubelet, host.0)
    }

    /// The container runtime of a host.
    #[inline]
    pub const fn runtime(host: HostId) -> ProcId {
        ProcId::new(ProcKind::Runtime, host.0)
    }

    /// What kind of process this is.
    #[inline]
    pub fn kind(self) -> ProcKind {
        match self.0 >> 20 {
            0 => ProcKind::World,
            1 => ProcKind::Client,
            2 => ProcKind::ApiServer,
            3 => ProcKind::Scheduler,
            4 => ProcKind::ControllerManager,
            5 => ProcKind::Kubelet,
            6 => ProcKind::Runtime,
            other => panic!("process kind {other} does not exist"),
        }
    }

    /// The index within the kind.
    #[inline]
    pub const fn index(self) -> u32 {
        self.0 & (ProcId::INDEX_LIMIT - 1)
    }

    /// The host of a kubelet or runtime; `None` for every other kind.
    #[inline]
    pub fn host(self) -> Option<HostId> {
        matches!(self.kind(), ProcKind::Kubelet | ProcKind::Runtime).then(|| HostId(self.index()))
    }

    /// All 24 bits: the source part of an event's key.
    #[inline]
    pub const fn bits(self) -> u32 {
        self.0
    }
}

impl fmt::Debug for ProcId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}-{}", self.kind(), self.index())
    }
}

impl fmt::Display for ProcId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The number of a write in the store, counted from 1; 0 is the empty store. Printed as `resourceVersion`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl Revision {
    /// The empty store.
    pub const ZERO: Revision = Revision(0);

    /// The next write's number.
    pub const fn next(self) -> Revision {
        Revision(self.0 + 1)
    }
}

/// An object's identity for its whole life: 128 bits, printed as a UUID of version 4. They are kept as two words, so
/// that what holds an identity need not be aligned to more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(from = "u128", into = "u128")]
pub struct Uid {
    high: u64,
    low: u64,
}

impl Uid {
    /// The identity of these bits.
    pub const fn new(bits: u128) -> Uid {
        Uid { high: (bits >> 64) as u64, low: bits as u64 }
    }

    /// All bits.
    pub const fn bits(self) -> u128 {
        (self.high as u128) << 64 | self.low as u128
    }

    /// The lower half of the bits, nearly all of which are random.
    pub const fn low(self) -> u64 {
        self.low
    }
}

impl From<u128> for Uid {
    fn from(bits: u128) -> Uid {
        Uid::new(bits)
    }
}

impl From<Uid> for u128 {
    fn from(uid: Uid) -> u128 {
        uid.bits()
    }
}

impl Hash for Uid {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(self.bits());
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:032x}", self.bits());
        write!(f, "{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A row of one of the store's tables. The generation tells a row from the earlier users of its slot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct RowId {
    /// The slot in the table.
    pub index: u32,
    /// How often the slot had been given up before this row got it.
    pub generation: u32,
}

/// A request's number, chosen by its sender; the answer carries it back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub u64);

impl RequestId {
    /// The bits that are not the client's (56: 2.2 years in nanoseconds).
    const NUMBERS: u64 = (1 << 56) - 1;

    /// A request of one client of its process; of the number the lower 56 bits count.
    pub fn of_client(client: u8, number: u64) -> RequestId {
        RequestId(u64::from(client) << 56 | number & RequestId::NUMBERS)
    }

    /// Which client of its process it came from.
    pub fn client(self) -> u8 {
        (self.0 >> 56) as u8
    }
}
