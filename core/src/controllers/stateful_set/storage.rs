//! The claims of a StatefulSet's pods: made before their pod, kept or removed as the retention policy says.
//!
//! A claim goes when its owner goes, so the policy is a matter of owner references. Source:
//! pkg/controller/statefulset/stateful_set_utils.go (`isClaimOwnerUpToDate`, `updateClaimOwnerRefForSetAndPod`,
//! `updateStorage`) and stateful_pod_control.go (v1.34.1).

use std::sync::Arc;

use crate::api::Request;
use crate::controllers::owned_by;
use crate::controllers::stateful_set::identity;
use crate::digest::Shared;
use crate::id::{Name, RowId, Uid};
use crate::model::{
    ClaimTemplate, Kind, Meta, MetaExtras, Object, OwnerReference, OwnerReferences, PersistentVolumeClaim, Pod,
    PodSpec, PodVolume, PodVolumeSource, StatefulSet,
};
use crate::store::View;

/// A claim that does not exist yet.
pub(super) struct Missing {
    pub(super) name: Name,
    pub(super) request: Request,
}

/// The name of the claim of a template for a pod.
fn claim_name(set: &StatefulSet, template: &ClaimTemplate, ordinal: u32) -> Name {
    format!("{}-{}-{ordinal}", template.name, set.meta.name).into()
}

/// The claims of a pod, each with its template.
fn claims<'a>(set: &'a StatefulSet, pod: &Pod) -> impl Iterator<Item = (Name, &'a ClaimTemplate)> {
    let ordinal = identity::ordinal(pod);
    let templates = set.claim_templates.iter();
    templates.filter_map(move |template| Some((claim_name(set, template, ordinal?), template)))
}

/// The stored claims of a pod.
fn stored<'a>(view: View<'a>, set: &'a StatefulSet, pod: &Pod) -> Vec<&'a Arc<PersistentVolumeClaim>> {
    rows(view, set, pod).into_iter().map(|(_, claim)| claim).collect()
}

fn rows<'a>(view: View<'a>, set: &'a StatefulSet, pod: &Pod) -> Vec<(RowId, &'a Arc<PersistentVolumeClaim>)> {
    let names = claims(set, pod).map(|(name, _)| name);
    names.filter_map(|name| view.find::<PersistentVolumeClaim>(&set.meta.namespace, &name)).collect()
}

/// Puts the pod's claims among its volumes, in place of volumes of the same names.
pub(super) fn mount(set: &StatefulSet, pod: &mut Pod) {
    if set.claim_templates.is_empty() {
        return;
    }
    let mut volumes: Vec<PodVolume> = claims(set, pod)
        .map(|(claim, template)| {
            let source = PodVolumeSource::Claim { name: claim, read_only: false };
            PodVolume { name: template.name.clone(), source }
        })
        .collect();
    let own = |volume: &&PodVolume| !set.claim_templates.iter().any(|template| template.name == volume.name);
    volumes.extend(pod.spec.volumes.iter().filter(own).cloned());
    pod.spec = Shared::new(PodSpec { volumes, ..PodSpec::clone(&pod.spec) });
}

/// Whether each of the pod's claims is among its volumes.
pub(super) fn is_mounted(set: &StatefulSet, pod: &Pod) -> bool {
    claims(set, pod).all(|(claim, template)| {
        let mut volumes = pod.spec.volumes.iter().filter(|volume| volume.name == template.name);
        volumes.any(|volume| matches!(&volume.source, PodVolumeSource::Claim { name, .. } if *name == claim))
    })
}

/// The claims that have to be made for a pod, and what is wrong with those that are there but going.
pub(super) fn missing(view: View<'_>, set: &StatefulSet, pod: &Pod) -> (Vec<Missing>, Vec<String>) {
    let (mut missing, mut faults) = (Vec::new(), Vec::new());
    for (name, template) in claims(set, pod) {
        match view.find::<PersistentVolumeClaim>(&set.meta.namespace, &name) {
            Some((_, claim)) if claim.meta.is_terminating() => faults.push(format!("pvc {name} is being deleted")),
            Some(_) => {}
            None => {
                let request = Request::Create(Object::PersistentVolumeClaim(Arc::new(claim_of(set, template, &name))));
                missing.push(Missing { name, request });
            }
        }
    }
    (missing, faults)
}

/// A claim as it is asked for; it has the labels that the set selects by.
fn claim_of(set: &StatefulSet, template: &ClaimTemplate, name: &Name) -> PersistentVolumeClaim {
    let selected = set.selector.match_labels.iter();
    let labels = selected.fold(template.labels.clone(), |labels, (key, value)| labels.with(key.clone(), value.clone()));
    let (annotations, original) = (template.annotations.clone(), template.original.clone());
    let meta = Meta {
        labels,
        extras: MetaExtras { annotations, original, ..MetaExtras::default() }.into(),
        ..Meta::named(&set.meta.namespace, name)
    };
    PersistentVolumeClaim { meta, spec: template.spec.clone(), ..PersistentVolumeClaim::default() }
}

/// Whether a claim still belongs to a pod of this name that is gone: it will go with it, and a new pod must wait.
pub(super) fn is_stale(view: View<'_>, set: &StatefulSet, pod: &Pod) -> bool {
    let stale = |claim: &&Arc<PersistentVolumeClaim>| has_stale(&claim.meta.owners, Kind::Pod, &pod.meta);
    set.claim_retention.deleted_with_pod && stored(view, set, pod).iter().any(stale)
}

/// The writes that bring the owners of a pod's claims in line with the retention policy, by the claims' names. They are
/// of the versions that are seen: what binds a claim to its volume may be quicker.
pub(super) fn retention(view: View<'_>, set: &StatefulSet, pod: &Pod) -> Vec<(Name, Request)> {
    let outdated = rows(view, set, pod).into_iter().filter(|(_, claim)| !is_up_to_date(&claim.meta.owners, set, pod));
    let update = |(row, claim): (RowId, &Arc<PersistentVolumeClaim>)| {
        let mut changed = PersistentVolumeClaim::clone(claim);
        changed.meta.owners = owners(&claim.meta.owners, set, pod);
        let object = Object::PersistentVolumeClaim(Arc::new(changed));
        let expected = view.version_of::<PersistentVolumeClaim>(row);
        (claim.meta.name.clone(), Request::Update { object, expected })
    };
    outdated.map(update).collect()
}

/// The claims of a pod that somebody else manages, though the retention policy wants the set or the pod to.
///
/// Source: `UpdatePodClaimForRetentionPolicy`, stateful_pod_control.go.
pub(super) fn conflicting(view: View<'_>, set: &StatefulSet, pod: &Pod) -> Vec<Name> {
    let claims = stored(view, set, pod).into_iter();
    let conflicting = claims.filter(|claim| has_unexpected_controller(&claim.meta.owners, set, pod));
    conflicting.map(|claim| claim.meta.name.clone()).collect()
}

/// Who a claim should belong to: with a pod that is scaled away it goes with that pod, else with the set.
fn wanted(set: &StatefulSet, pod: &Pod) -> Option<Kind> {
    let in_range = identity::ordinal(pod).is_some_and(|ordinal| identity::ordinals(set).contains(&ordinal));
    let retention = set.claim_retention;
    match (retention.deleted_with_pod, retention.deleted_with_set) {
        (true, _) if !in_range => Some(Kind::Pod),
        (_, true) => Some(Kind::StatefulSet),
        _ => None,
    }
}

pub(super) fn is_up_to_date(owners: &[OwnerReference], set: &StatefulSet, pod: &Pod) -> bool {
    let has = |uid: Uid| owners.iter().any(|owner| owner.uid == uid);
    if has_stale(owners, Kind::StatefulSet, &set.meta) || has_stale(owners, Kind::Pod, &pod.meta) {
        return true;
    }
    let (of_set, of_pod) = (has(set.meta.uid), has(pod.meta.uid));
    if has_unexpected_controller(owners, set, pod) {
        return !of_set && !of_pod;
    }
    let own = |owner: &&OwnerReference| owner.uid == set.meta.uid || owner.uid == pod.meta.uid;
    if owners.iter().filter(own).any(|owner| !owner.controller) {
        return false;
    }
    let wanted = wanted(set, pod);
    of_set == (wanted == Some(Kind::StatefulSet)) && of_pod == (wanted == Some(Kind::Pod))
}

pub(super) fn owners(owners: &[OwnerReference], set: &StatefulSet, pod: &Pod) -> OwnerReferences {
    let is_ours =
        |owner: &&OwnerReference| names(owner, Kind::StatefulSet, &set.meta) || names(owner, Kind::Pod, &pod.meta);
    let others = owners.iter().filter(|owner| !is_ours(owner)).cloned();
    let added = match wanted(set, pod) {
        _ if has_unexpected_controller(owners, set, pod) => None,
        Some(Kind::Pod) => Some(owned_by(Kind::Pod, &pod.meta)),
        Some(_) => Some(owned_by(Kind::StatefulSet, &set.meta)),
        None => None,
    };
    others.chain(added).collect()
}

/// Whether somebody else manages the claim while the policy wants the set or the pod to.
fn has_unexpected_controller(owners: &[OwnerReference], set: &StatefulSet, pod: &Pod) -> bool {
    let retention = set.claim_retention;
    (retention.deleted_with_set || retention.deleted_with_pod)
        && owners.iter().any(|owner| {
            let of_set = names(owner, Kind::StatefulSet, &set.meta);
            let of_pod = names(owner, Kind::Pod, &pod.meta);
            match (of_set, of_pod) {
                (true, _) => owner.uid != set.meta.uid,
                (_, true) => owner.uid != pod.meta.uid,
                _ => owner.controller,
            }
        })
}

/// Whether the first owner of this kind and name is another object than this one.
fn has_stale(owners: &[OwnerReference], kind: Kind, meta: &Meta) -> bool {
    owners.iter().find(|owner| names(owner, kind, meta)).is_some_and(|owner| owner.uid != meta.uid)
}

fn names(owner: &OwnerReference, kind: Kind, meta: &Meta) -> bool {
    owner.kind == kind && owner.name == meta.name
}
