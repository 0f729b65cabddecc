//! What a sync of a claim wants: a volume that suits it, one that is made for it, or the one that it names.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Plan, REPORTER, is_pod_terminated};
use crate::api::default_class;
use crate::events::Event;
use crate::id::Name;
use crate::model::{
    AccessMode, BETA_STORAGE_PROVISIONER, BIND_COMPLETED, BOUND_BY_CONTROLLER, ClaimPhase, PersistentVolume,
    PersistentVolumeClaim, Pod, SELECTED_NODE, STORAGE_PROVISIONER, StorageClass, VolumePhase,
};
use crate::store::View;
use crate::volumes::{
    Seeker, bound_to_claim, contains_all, driver_of, find_matching_volume, has_access_modes, waits_for_pod,
};

/// Source: `syncClaim`.
pub(super) fn sync_claim(view: View<'_>, claim: &PersistentVolumeClaim) -> Plan {
    if claim.meta.annotations.get(BIND_COMPLETED).is_some() {
        return sync_bound_claim(view, claim);
    }
    if claim.spec.volume.is_empty() { seek_volume(view, claim) } else { take_named_volume(view, claim) }
}

fn find_volume<'a>(view: View<'a>, name: &Name) -> Option<&'a Arc<PersistentVolume>> {
    view.find::<PersistentVolume>(&Name::default(), name).map(|(_, volume)| volume)
}

fn class_of<'a>(view: View<'a>, claim: &PersistentVolumeClaim) -> Option<&'a Arc<StorageClass>> {
    view.find::<StorageClass>(&Name::default(), &claim.class()).map(|(_, class)| class)
}

/// A claim that names no volume.
///
/// Source: `syncUnboundClaim`, first half.
fn seek_volume(view: View<'_>, claim: &PersistentVolumeClaim) -> Plan {
    let class = class_of(view, claim);
    let delayed = waits_for_pod(class);
    if let Some(volume) = best_match(view, claim, delayed) {
        return bind(view, volume, claim);
    }
    if !claim.has_class()
        && let Some(class) = default_class(view)
    {
        let mut changed = claim.clone();
        changed.spec.storage_class = Some(class.clone());
        return Plan::default().update(view, changed);
    }
    if delayed && claim.meta.annotations.get(SELECTED_NODE).is_none() {
        let (reason, message) = waited_for(view, claim);
        let plan = Plan::default().say(claim, Event::normal(REPORTER, reason, message));
        return plan.claim_phase(claim, ClaimPhase::Pending, None).unsettled();
    }
    if !claim.class().is_empty() {
        return provision(view, claim, class);
    }
    let message = "no persistent volumes available for this claim and no storage class is set";
    let plan = Plan::default().say(claim, Event::normal(REPORTER, "FailedBinding", message));
    plan.claim_phase(claim, ClaimPhase::Pending, None).unsettled()
}

/// Of the volumes that can be used in all wanted ways those with the fewest further ways come first.
///
/// Source: `findByClaim`, `allPossibleMatchingAccessModes`, index.go, where the order among equals is arbitrary.
fn best_match<'a>(view: View<'a>, claim: &PersistentVolumeClaim, delayed: bool) -> Option<&'a Arc<PersistentVolume>> {
    let mut groups: BTreeMap<(usize, String), Vec<&Arc<PersistentVolume>>> = BTreeMap::new();
    for (_, volume) in view.all::<PersistentVolume>() {
        if contains_all(&volume.access_modes, &claim.spec.access_modes) {
            let modes = AccessMode::list(&volume.access_modes);
            groups.entry((modes.split(',').count(), modes)).or_default().push(volume);
        }
    }
    let seeker = Seeker::Binder { waits_for_pod: delayed };
    groups.into_values().find_map(|volumes| find_matching_volume(claim, volumes.into_iter(), &seeker))
}

/// Source: `emitEventForUnboundDelayBindingClaim`.
fn waited_for(view: View<'_>, claim: &PersistentVolumeClaim) -> (&'static str, String) {
    let uses = |pod: &&Arc<Pod>| pod.claims().any(|(name, _)| name == claim.meta.name);
    let pods = view.in_namespace::<Pod>(&claim.meta.namespace).map(|(_, pod)| pod);
    let waiting = pods.filter(|pod| pod.node.is_none() && !is_pod_terminated(pod)).filter(uses);
    let names: Vec<&str> = waiting.map(|pod| &*pod.meta.name).collect();
    match names.as_slice() {
        [] => ("WaitForFirstConsumer", "waiting for first consumer to be created before binding".to_owned()),
        [name] => ("WaitForPodScheduled", format!("waiting for pod {name} to be scheduled")),
        names => ("WaitForPodScheduled", format!("waiting for pods {} to be scheduled", names.join(","))),
    }
}

/// Source: `provisionClaim`, `findProvisionablePlugin`, `provisionClaimOperationExternal`.
fn provision(view: View<'_>, claim: &PersistentVolumeClaim, class: Option<&Arc<StorageClass>>) -> Plan {
    let failed = |message: String| {
        Plan::default().say(claim, Event::warning(REPORTER, "ProvisioningFailed", message)).unsettled()
    };
    let Some(class) = class else {
        return failed(format!("storageclass.storage.k8s.io \"{}\" not found", claim.class()));
    };
    let (provisioner, migrated) = driver_of(&class.provisioner);
    if migrated.is_none() && provisioner.starts_with("kubernetes.io/") {
        return failed(format!("no volume plugin matched name: {provisioner}"));
    }
    let mut plan = Plan::default();
    if claim.meta.annotations.get(STORAGE_PROVISIONER).is_none_or(|named| **named != *provisioner) {
        let mut changed = claim.clone();
        let annotations = changed.meta.annotations.with(STORAGE_PROVISIONER, provisioner);
        changed.meta.annotations = annotations.with(BETA_STORAGE_PROVISIONER, provisioner);
        plan = plan.update(view, changed);
    }
    let message = format!(
        "Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the \
         system administrator. If volume creation is delayed, please verify that the provisioner is running and \
         correctly registered."
    );
    plan.say(claim, Event::normal(REPORTER, "ExternalProvisioning", message)).unsettled()
}

/// A claim that names a volume.
///
/// Source: `syncUnboundClaim`, second half.
fn take_named_volume(view: View<'_>, claim: &PersistentVolumeClaim) -> Plan {
    let Some(volume) = find_volume(view, &claim.spec.volume) else {
        return Plan::default().claim_phase(claim, ClaimPhase::Pending, None).unsettled();
    };
    if volume.claim.is_none() {
        return match mismatch(volume, claim) {
            None => bind(view, volume, claim),
            Some(why) => {
                let message = format!("Cannot bind to requested volume \"{}\": {why}", volume.meta.name);
                let plan = Plan::default().say(claim, Event::warning(REPORTER, "VolumeMismatch", message));
                plan.claim_phase(claim, ClaimPhase::Pending, None).unsettled()
            }
        };
    }
    if volume.is_bound_to(claim) {
        return bind(view, volume, claim);
    }
    let message = format!("volume \"{}\" already bound to a different claim.", volume.meta.name);
    let plan = Plan::default().say(claim, Event::warning(REPORTER, "FailedBinding", message)).unsettled();
    let by_controller = claim.meta.annotations.get(BOUND_BY_CONTROLLER).is_some();
    if by_controller { plan } else { plan.claim_phase(claim, ClaimPhase::Pending, None) }
}

/// Source: `checkVolumeSatisfyClaim`.
fn mismatch(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> Option<String> {
    let attributes = |class: &Option<Name>| class.clone().unwrap_or_default();
    let why = if volume.meta.is_terminating() {
        return Some(format!("the volume is marked for deletion \"{}\"", volume.meta.name));
    } else if volume.capacity.value() < claim.spec.request.value() {
        "requested PV is too small"
    } else if *volume.class() != claim.class() {
        "storageClassName does not match"
    } else if attributes(&volume.attributes_class) != attributes(&claim.spec.attributes_class) {
        "volumeAttributesClassName does not match"
    } else if volume.mode != claim.spec.mode {
        "incompatible volumeMode"
    } else if !has_access_modes(claim, volume) {
        "incompatible accessMode"
    } else {
        return None;
    };
    Some(why.to_owned())
}

/// Source: `syncBoundClaim`.
fn sync_bound_claim(view: View<'_>, claim: &PersistentVolumeClaim) -> Plan {
    let lost = |reason: &'static str, message: &'static str| {
        let mut plan = Plan::default();
        if claim.status.phase != ClaimPhase::Lost {
            plan = plan.say(claim, Event::warning(REPORTER, reason, message));
        }
        plan.claim_phase(claim, ClaimPhase::Lost, None).unsettled()
    };
    if claim.spec.volume.is_empty() {
        let message = "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!";
        return lost("ClaimLost", message);
    }
    let Some(volume) = find_volume(view, &claim.spec.volume) else {
        return lost("ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!");
    };
    match &volume.claim {
        Some(reference) if reference.uid != Some(claim.meta.uid) => {
            lost("ClaimMisbound", "Two claims are bound to the same volume, this one is bound incorrectly")
        }
        _ => bind(view, volume, claim),
    }
}

/// Brings both sides together, as far as they are not: volume, its phase, claim, its phase.
///
/// Source: `bind`.
fn bind(view: View<'_>, volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> Plan {
    let mut plan = Plan::default();
    if let Some(bound) = bound_to_claim(volume, claim) {
        plan = plan.update(view, bound);
    }
    plan = plan.volume_phase(volume, VolumePhase::Bound, "");
    let mut bound = claim.clone();
    if bound.spec.volume != volume.meta.name {
        bound.spec.volume = volume.meta.name.clone();
        if bound.meta.annotations.get(BOUND_BY_CONTROLLER).is_none() {
            bound.meta.annotations = bound.meta.annotations.with(BOUND_BY_CONTROLLER, "yes");
        }
    }
    if bound.meta.annotations.get(BIND_COMPLETED).is_none() {
        bound.meta.annotations = bound.meta.annotations.with(BIND_COMPLETED, "yes");
    }
    if bound != *claim {
        plan = plan.update(view, bound);
    }
    plan.claim_phase(claim, ClaimPhase::Bound, Some(volume))
}
