//! VolumeZone: a pod goes where the zone and region labels of its volumes say.
//!
//! Source: pkg/scheduler/framework/plugins/volumezone/volume_zone.go (v1.34.1).

use std::collections::BTreeSet;

use crate::id::Name;
use crate::model::{BindingMode, PersistentVolume};
use crate::scheduler::cache::NodeInfo;
use crate::scheduler::events::{Event, Hint, NodeChange};
use crate::scheduler::plugins::{Reason, Refusal};
use crate::scheduler::storage::Storage;
use crate::scheduler::traits::{PodTraits, PodVolumes};

/// The labels that are looked at, each with the one that took its place.
const LABELS: [(&str, &str); 4] = [
    ("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"),
    ("failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region"),
    ("topology.kubernetes.io/zone", "topology.kubernetes.io/zone"),
    ("topology.kubernetes.io/region", "topology.kubernetes.io/region"),
];

/// What separates the zones of a label that names several.
const DELIMITER: &str = "__";

/// A label that the node must have with one of the values.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::scheduler) struct Topology {
    label: usize,
    values: BTreeSet<Name>,
}

/// PreFilter: the labels of all bound volumes.
pub(in crate::scheduler) fn pre_filter(pod: &PodVolumes, storage: &Storage) -> Result<Vec<Topology>, String> {
    let mut found = Vec::new();
    for name in pod.direct_claims() {
        let missing = || format!("persistentvolumeclaim \"{name}\" not found");
        let claim = storage.claim(&pod.namespace, name).ok_or_else(missing)?;
        if claim.spec.volume.is_empty() {
            let class = claim.class();
            if class.is_empty() {
                return Err("PersistentVolumeClaim had no pv name and storageClass name".to_owned());
            }
            let missing = || format!("storageclass.storage.k8s.io \"{class}\" not found");
            if storage.class(&class).ok_or_else(missing)?.binding_mode == BindingMode::WaitForFirstConsumer {
                continue;
            }
            return Err("PersistentVolume had no name".to_owned());
        }
        let missing = || format!("persistentvolume \"{}\" not found", claim.spec.volume);
        found.extend(topologies(storage.volume(&claim.spec.volume).ok_or_else(missing)?));
    }
    Ok(found)
}

/// A label that names an empty zone is passed over.
///
/// Source: `getPVTopologies`, and `LabelZonesToSet`, staging/src/k8s.io/cloud-provider/volume/helpers/zones.go
/// (v1.34.1).
fn topologies(volume: &PersistentVolume) -> Vec<Topology> {
    let of_label = |(label, (key, _)): (usize, &(&str, &str))| {
        let values = volume.meta.labels.get(key)?.split(DELIMITER).map(str::trim);
        let values: BTreeSet<Name> = values.map(Name::from).collect();
        (!values.iter().any(|value| value.is_empty())).then_some(Topology { label, values })
    };
    LABELS.iter().enumerate().filter_map(of_label).collect()
}

/// Filter.
pub(in crate::scheduler) fn filter(topologies: &[Topology], node: &NodeInfo) -> Refusal {
    let Some(labels) = node.node.as_ref().map(|node| &node.meta.labels) else { return Refusal::NONE };
    if topologies.is_empty() || LABELS.iter().all(|(key, _)| labels.get(key).is_none()) {
        return Refusal::NONE;
    }
    let fits = |topology: &Topology| {
        let (key, successor) = LABELS[topology.label];
        let value = labels.get(key).or_else(|| labels.get(successor));
        value.is_some_and(|value| topology.values.contains(value))
    };
    if topologies.iter().all(fits) { Refusal::NONE } else { Refusal::for_good(Reason::VolumeZoneConflict) }
}

/// Queueing hint.
pub(super) fn hint(pod: &PodTraits, event: &Event<'_>) -> Hint {
    let Some(volumes) = &pod.volumes else { return Hint::Skip };
    match event {
        Event::NodeAdded(_) | Event::NodeChanged { what: NodeChange::Labels, .. } => Hint::Queue,
        Event::ClassChanged { old: None, new } => Hint::queue_if(new.binding_mode == BindingMode::WaitForFirstConsumer),
        Event::ClaimChanged { new, .. } => Hint::queue_if(
            new.meta.namespace == volumes.namespace && volumes.direct_claims().any(|name| *name == new.meta.name),
        ),
        Event::VolumeChanged { old: None, .. } => Hint::Queue,
        Event::VolumeChanged { old: Some(old), new } => Hint::queue_if(topologies(old) != topologies(new)),
        _ => Hint::Skip,
    }
}
