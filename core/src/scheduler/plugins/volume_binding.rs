//! VolumeBinding: a pod's claims are bound, or can be bound or provisioned where it goes.
//!
//! Its score is behind StorageCapacityScoring, which is off in 1.34, so there is none. Reserve and PreBind are in
//! [`super::super::prebind`].
//!
//! Source: pkg/scheduler/framework/plugins/volumebinding/{volume_binding,binder}.go (v1.34.1).

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::id::Name;
use crate::model::{
    CSINode, CSIStorageCapacity, ClaimPhase, Labels, NO_PROVISIONER, PersistentVolume, PersistentVolumeClaim,
    PodVolumeSource, SELECTED_NODE,
};
use crate::quantity::Quantity;
use crate::scheduler::cache::NodeInfo;
use crate::scheduler::events::{Event, Hint, NodeChange};
use crate::scheduler::plugins::{Reason, Refusal};
use crate::scheduler::storage::Storage;
use crate::scheduler::traits::{PodTraits, PodVolumes};
use crate::volumes::{Seeker, find_matching_volume, waits_for_pod};

/// The pod's claims, by what is to be done about them.
#[derive(Clone, Default, Debug)]
pub(in crate::scheduler) struct Claims {
    bound: Vec<Arc<PersistentVolumeClaim>>,
    /// Waiting for this pod, by the size they ask for.
    delayed: Vec<Arc<PersistentVolumeClaim>>,
}

/// What is to be bound and made for a pod on one node.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(in crate::scheduler) struct Decision {
    /// Claims with the volumes that are there for them.
    pub(in crate::scheduler) bindings: Vec<(Arc<PersistentVolumeClaim>, Arc<PersistentVolume>)>,
    /// Claims whose volumes are to be made.
    pub(in crate::scheduler) provisions: Vec<Arc<PersistentVolumeClaim>>,
}

/// PreFilter: every claim is there, is alive, and is bound unless it waits for a pod.
pub(in crate::scheduler) fn pre_filter(pod: &PodVolumes, storage: &Storage) -> Result<Option<Claims>, String> {
    let mut claims = Claims::default();
    let mut unbound_immediate = false;
    for (name, owned) in pod.claims() {
        let claim = storage.claim(&pod.namespace, &name).ok_or_else(|| {
            let ephemeral = "waiting for ephemeral volume controller to create the persistentvolumeclaim";
            if owned {
                format!("{ephemeral} \"{name}\"")
            } else {
                format!("persistentvolumeclaim \"{name}\" not found")
            }
        })?;
        if claim.status.phase == ClaimPhase::Lost {
            let volume = &claim.spec.volume;
            return Err(format!(
                "persistentvolumeclaim \"{name}\" bound to non-existent persistentvolume \"{volume}\""
            ));
        }
        if claim.meta.is_terminating() {
            return Err(format!("persistentvolumeclaim \"{name}\" is being deleted"));
        }
        if owned && claim.meta.controller().is_none_or(|owner| owner.uid != pod.uid) {
            let namespace = &pod.namespace;
            let whose = format!("PVC {namespace}/{name} was not created for pod {namespace}/{}", pod.pod);
            return Err(format!("{whose} (pod is not owner)"));
        }
        if claim.is_fully_bound() {
            claims.bound.push(claim.clone());
        } else if waits_for_pod(storage.class(&claim.class())) && claim.spec.volume.is_empty() {
            claims.delayed.push(claim.clone());
        } else {
            unbound_immediate = true;
        }
    }
    if unbound_immediate {
        return Err("pod has unbound immediate PersistentVolumeClaims".to_owned());
    }
    claims.delayed.sort_by_key(|claim| claim.spec.request);
    Ok((!claims.bound.is_empty() || !claims.delayed.is_empty()).then_some(claims))
}

impl Claims {
    /// Whether something is to be bound before the pod can be.
    pub(in crate::scheduler) fn wait(&self) -> bool {
        !self.delayed.is_empty()
    }

    /// Filter: what is to be done on a node, or why it cannot be.
    ///
    /// Source: `FindPodVolumes`.
    pub(in crate::scheduler) fn decide(&self, storage: &Storage, node: &NodeInfo) -> Result<Decision, Refusal> {
        let Some(labels) = node.node.as_ref().map(|node| &node.meta.labels) else { return Ok(Decision::default()) };
        // Both faults of bound and of unbound claims are told; within each kind the first.
        let bound = self.check_bound(storage, labels);
        let unbound = self.decide_delayed(storage, &node.name, labels);
        match (bound, unbound) {
            (Refusal::NONE, unbound) => unbound,
            (bound, Ok(_)) => Err(bound),
            (bound, Err(unbound)) => Err(bound.and(unbound)),
        }
    }

    /// Source: `checkBoundClaims`.
    fn check_bound(&self, storage: &Storage, labels: &Labels) -> Refusal {
        for claim in &self.bound {
            let Some(volume) = storage.volume(&claim.spec.volume) else {
                return Refusal::for_good(Reason::VolumeMissing);
            };
            if !volume.is_reached_from(labels) {
                return Refusal::for_good(Reason::VolumeUnreachable);
            }
        }
        Refusal::NONE
    }

    fn decide_delayed(&self, storage: &Storage, node: &Name, labels: &Labels) -> Result<Decision, Refusal> {
        let mut decision = Decision::default();
        let mut unmatched = Vec::new();
        let mut taken = BTreeSet::new();
        let selected = |claim: &PersistentVolumeClaim| claim.meta.annotations.get(SELECTED_NODE).cloned();
        if self.delayed.iter().filter_map(|claim| selected(claim)).any(|selected| selected != *node) {
            return Err(Refusal::for_good(Reason::NoVolumeToBind));
        }
        decision.provisions.extend(self.delayed.iter().filter(|claim| selected(claim).is_some()).cloned());
        for claim in self.delayed.iter().filter(|claim| selected(claim).is_none()) {
            let seeker = Seeker::Scheduler { labels, taken: &taken };
            match find_matching_volume(claim, storage.volumes_of(&claim.class()), &seeker).cloned() {
                Some(volume) => {
                    taken.insert(volume.meta.name.clone());
                    decision.bindings.push((claim.clone(), volume));
                }
                None => unmatched.push(claim.clone()),
            }
        }
        decision.provisions.extend(unmatched);
        for claim in &decision.provisions {
            check_provision(claim, storage, labels)?;
        }
        Ok(decision)
    }
}

/// Source: `checkVolumeProvisions`.
fn check_provision(claim: &PersistentVolumeClaim, storage: &Storage, labels: &Labels) -> Result<(), Refusal> {
    let class = storage.class(&claim.class());
    let Some(class) = class.filter(|it| *it.provisioner != *NO_PROVISIONER && it.allows(labels)) else {
        return Err(Refusal::for_good(Reason::NoVolumeToBind));
    };
    if !storage.driver(&class.provisioner).is_some_and(|driver| driver.storage_capacity) {
        return Ok(());
    }
    let size = claim.spec.request.value();
    let fits = storage.capacities().any(|capacity| {
        capacity.storage_class == class.meta.name
            && limit(capacity).is_some_and(|limit| limit.value() >= size)
            && capacity.topology.as_ref().is_some_and(|topology| topology.matches(labels))
    });
    if fits { Ok(()) } else { Err(Refusal::for_good(Reason::NotEnoughStorage)) }
}

/// Source: `volumeLimit`.
fn limit(capacity: &CSIStorageCapacity) -> Option<Quantity> {
    capacity.maximum_volume_size.or(capacity.capacity)
}

/// Queueing hint.
pub(super) fn hint(pod: &PodTraits, event: &Event<'_>) -> Hint {
    let Some(volumes) = &pod.volumes else { return Hint::Skip };
    let plugins = |node: &CSINode| {
        node.meta.annotations.get("storage.alpha.kubernetes.io/migrated-plugins").cloned().unwrap_or_default()
    };
    match event {
        Event::NodeAdded(_)
        | Event::NodeChanged { what: NodeChange::Labels, .. }
        | Event::VolumeChanged { .. }
        | Event::ClassChanged { old: None, .. }
        | Event::CsiNodeChanged { old: None, .. }
        | Event::CapacityChanged { old: None, .. } => Hint::Queue,
        Event::ClassChanged { old: Some(old), new } => Hint::queue_if(old.allowed_topologies != new.allowed_topologies),
        Event::ClaimChanged { new, .. } => Hint::queue_if(volumes.uses(new)),
        Event::CsiNodeChanged { old: Some(old), new } => Hint::queue_if(plugins(old) != plugins(new)),
        Event::CapacityChanged { old: Some(old), new } => {
            let value = |capacity| limit(capacity).map(|limit: Quantity| limit.value());
            Hint::queue_if(value(new) > value(old))
        }
        Event::CsiDriverChanged { old, new } => {
            let name = &new.meta.name;
            let inline = |source: &PodVolumeSource| matches!(source, PodVolumeSource::Csi { driver } if driver == name);
            let disabled = old.storage_capacity && !new.storage_capacity;
            Hint::queue_if(disabled && volumes.volumes.iter().any(|volume| inline(&volume.source)))
        }
        _ => Hint::Skip,
    }
}
