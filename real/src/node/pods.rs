//! What the node remembers of each pod.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use tokio::task::JoinSet;
use wavetank_core::{
    id::Uid,
    kubelet::ContainerIndex,
    model::{Address, Container, Pod},
    time::{Span, Time},
};

use crate::docker::{ContainerId, Identity, PodIdentity, Role, Sandbox};

/// One pod.
#[derive(Debug)]
pub(super) struct PodRecord {
    pub(super) pod: Arc<Pod>,
    pub(super) identity: PodIdentity,
    /// The machine's address, for a pod on its network.
    pub(super) host: IpAddr,
    /// The sandbox that runs.
    pub(super) sandbox: Option<Sandbox>,
    /// How many sandboxes were tried before the next one.
    pub(super) sandbox_attempt: u32,
    /// Whether a sandbox is being made.
    pub(super) making: bool,
    /// Sandboxes that were seen to end while one was being made.
    pub(super) ended_sandboxes: BTreeSet<ContainerId>,
    /// Each container's starts, by their number.
    pub(super) containers: BTreeMap<ContainerIndex, BTreeMap<u32, ContainerRecord>>,
    /// Everything of the pod that the engine has shown and not removed since.
    pub(super) engine_ids: BTreeSet<ContainerId>,
    /// Whether the kubelet wants the pod removed.
    pub(super) removing: bool,
    pub(super) removal_began: bool,
}

/// One start of a container.
#[derive(Debug, Default)]
pub(super) struct ContainerRecord {
    /// Known once it has been created and started.
    pub(super) id: Option<ContainerId>,
    /// When its start was told.
    pub(super) started_at: Option<Time>,
    /// Exit code and when its end (or its failure to start) was told.
    pub(super) exited: Option<(i32, Time)>,
    /// It was seen to have ended before its start was told.
    pub(super) ended_early: Option<(i32, bool)>,
    /// It is to be stopped as soon as its start is told.
    pub(super) stop_wanted: Option<Span>,
    /// Its probes; they end with the record.
    pub(super) probes: JoinSet<()>,
}

impl ContainerRecord {
    pub(super) fn is_running(&self) -> bool {
        self.started_at.is_some() && self.exited.is_none()
    }

    fn is_starting(&self) -> bool {
        self.started_at.is_none() && self.exited.is_none()
    }
}

impl PodRecord {
    pub(super) fn new(pod: Arc<Pod>, identity: PodIdentity, host: IpAddr) -> PodRecord {
        PodRecord {
            pod,
            identity,
            host,
            sandbox: None,
            sandbox_attempt: 0,
            making: false,
            ended_sandboxes: BTreeSet::new(),
            containers: BTreeMap::new(),
            engine_ids: BTreeSet::new(),
            removing: false,
            removal_began: false,
        }
    }

    /// The pod's address: its sandbox's, or the machine's if it has none of its own.
    pub(super) fn address(&self) -> Address {
        let address = self.sandbox.as_ref().and_then(|sandbox| sandbox.address).unwrap_or(self.host);
        address.to_string().into()
    }

    pub(super) fn container(&self, index: ContainerIndex, attempt: u32) -> Option<&ContainerRecord> {
        self.containers.get(&index)?.get(&attempt)
    }

    pub(super) fn container_mut(&mut self, index: ContainerIndex, attempt: u32) -> Option<&mut ContainerRecord> {
        self.containers.get_mut(&index)?.get_mut(&attempt)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (ContainerIndex, u32, &ContainerRecord)> {
        let starts = self.containers.iter();
        starts.flat_map(|(index, starts)| starts.iter().map(|(attempt, record)| (*index, *attempt, record)))
    }

    /// Whether a job is under way that creates something.
    pub(super) fn is_creating(&self) -> bool {
        self.making || self.all().any(|(_, _, record)| record.is_starting())
    }

    /// The engine's containers of a start before the last one: the newest that ended is kept for its log.
    pub(super) fn superseded(&mut self, index: ContainerIndex, attempt: u32) -> Vec<ContainerId> {
        let Some(starts) = self.containers.get_mut(&index) else { return Vec::new() };
        let kept = starts.split_off(&attempt.saturating_sub(1));
        let old = std::mem::replace(starts, kept);
        old.into_values().filter_map(|record| record.id).collect()
    }

    /// Everything of the pod that is or may be on the engine.
    pub(super) fn everything(&self) -> Vec<ContainerId> {
        let mut ids = self.engine_ids.clone();
        ids.extend(self.sandbox.as_ref().map(|sandbox| sandbox.id.clone()));
        ids.extend(self.all().filter_map(|(_, _, record)| record.id.clone()));
        ids.into_iter().collect()
    }

    /// The place in the pod of a container with these labels.
    pub(super) fn index_of(&self, identity: &Identity) -> Option<ContainerIndex> {
        let Role::Container(container) = &identity.role else { return None };
        let container = container.to_string();
        let place = |containers: &[Container]| {
            let place = containers.iter().position(|found| *found.name == *container)?;
            u16::try_from(place).ok()
        };
        let main = place(&self.pod.spec.containers).map(ContainerIndex::Main);
        main.or_else(|| place(&self.pod.spec.init_containers).map(ContainerIndex::Init))
    }
}

/// The container at a place of a pod.
pub(super) fn spec_of(pod: &Pod, index: ContainerIndex) -> Option<&Container> {
    match index {
        ContainerIndex::Init(place) => pod.spec.init_containers.get(usize::from(place)),
        ContainerIndex::Main(place) => pod.spec.containers.get(usize::from(place)),
    }
}

/// The pod's uid as the labels have it; `None` if it was not written by us.
pub(super) fn uid_of(identity: &Identity) -> Option<Uid> {
    let digits: String = identity.pod.uid().split('-').collect();
    u128::from_str_radix(&digits, 16).ok().map(Uid::new)
}
