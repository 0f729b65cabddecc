//! What a sync of a volume wants: to follow its claim, or to be reclaimed once that is gone.

use super::{Plan, REPORTER, sync_claim};
use crate::events::Event;
use crate::model::{
    BOUND_BY_CONTROLLER, PROVISIONED_BY, PersistentVolume, PersistentVolumeClaim, ReclaimPolicy, VolumePhase,
    VolumeSource,
};
use crate::store::View;

/// Source: `syncVolume`.
pub(super) fn sync_volume(view: View<'_>, volume: &PersistentVolume) -> Plan {
    let Some((reference, uid)) = volume.claim.as_ref().and_then(|claim| Some((claim, claim.uid?))) else {
        return Plan::default().volume_phase(volume, VolumePhase::Available, "");
    };
    let found = view.find::<PersistentVolumeClaim>(&reference.namespace, &reference.name);
    let Some((_, claim)) = found.filter(|(_, claim)| claim.meta.uid == uid) else {
        return release(view, volume);
    };
    if claim.spec.volume.is_empty() {
        if claim.spec.mode != volume.mode {
            let (of_volume, of_claim) = (&volume.meta.name, &claim.meta.name);
            let volume_message = format!(
                "Cannot bind PersistentVolume to requested PersistentVolumeClaim \"{of_claim}\" due to incompatible \
                 volumeMode."
            );
            let claim_message = format!(
                "Cannot bind PersistentVolume \"{of_volume}\" to requested PersistentVolumeClaim due to incompatible \
                 volumeMode."
            );
            let plan = Plan::default()
                .say_of_volume(volume, Event::warning(REPORTER, "VolumeMismatch", volume_message))
                .say(claim, Event::warning(REPORTER, "VolumeMismatch", claim_message));
            return plan.unsettled();
        }
        // The claim's own sync binds it.
        return sync_claim(view, claim);
    }
    if claim.spec.volume == volume.meta.name {
        return Plan::default().volume_phase(volume, VolumePhase::Bound, "");
    }
    let provisioned = volume.meta.annotations.get(PROVISIONED_BY).is_some();
    if provisioned && volume.reclaim_policy == ReclaimPolicy::Delete {
        return release(view, volume);
    }
    unbind(view, volume, Plan::default())
}

/// The claim is gone: the volume is released and reclaimed.
fn release(view: View<'_>, volume: &PersistentVolume) -> Plan {
    let mut plan = Plan::default();
    if !matches!(volume.status.phase, VolumePhase::Released | VolumePhase::Failed) {
        plan = plan.volume_phase(volume, VolumePhase::Released, "");
        // What follows is done when the phase has been seen.
        return plan;
    }
    match (volume.reclaim_policy, &volume.source) {
        (ReclaimPolicy::Retain, _) => plan,
        (ReclaimPolicy::Recycle, VolumeSource::HostPath(_) | VolumeSource::Nfs { .. }) => {
            let plan = plan.say_of_volume(volume, Event::normal(REPORTER, "VolumeRecycled", "Volume recycled"));
            unbind(view, volume, plan)
        }
        (ReclaimPolicy::Recycle, _) => {
            fail(plan, volume, "VolumeFailedRecycle", "No recycler plugin found for the volume!")
        }
        (ReclaimPolicy::Delete, _) if volume.meta.annotations.get(PROVISIONED_BY).is_some() => plan,
        // An external deleter's.
        (ReclaimPolicy::Delete, VolumeSource::Csi { .. }) => plan,
        (ReclaimPolicy::Delete, VolumeSource::HostPath(path)) if is_scratch(path) => plan.delete_volume(volume),
        (ReclaimPolicy::Delete, source) => fail(plan, volume, "VolumeFailedDelete", &no_deleter(volume, source)),
    }
}

/// Why the controller cannot delete a volume itself.
///
/// Source: `findDeletablePlugin`, `doDeleteVolume`; `FindDeletablePluginBySpec`, pkg/volume/plugins.go (v1.34.1).
fn no_deleter(volume: &PersistentVolume, source: &VolumeSource) -> String {
    let why = match source {
        VolumeSource::HostPath(path) => {
            return format!("host_path deleter only supports /tmp/.+ but received provided {path}");
        }
        VolumeSource::Nfs { .. } => "no deletable volume plugin matched",
        VolumeSource::Other(field) if matches!(&**field, "fc" | "iscsi") => "no deletable volume plugin matched",
        _ => "no volume plugin matched",
    };
    format!("error getting deleter volume plugin for volume \"{}\": {why}", volume.meta.name)
}

/// Whether a directory is one that the controller removes itself: `/tmp/` and something more is in its path.
///
/// Source: `hostPathDeleter.Delete`, pkg/volume/hostpath/host_path.go (v1.34.1).
fn is_scratch(path: &str) -> bool {
    path.split_once("/tmp/").is_some_and(|(_, rest)| !rest.is_empty())
}

/// Source: `updateVolumePhaseWithEvent`.
fn fail(plan: Plan, volume: &PersistentVolume, reason: &'static str, message: &str) -> Plan {
    if volume.status.phase == VolumePhase::Failed {
        return plan;
    }
    let plan = plan.volume_phase(volume, VolumePhase::Failed, message);
    plan.say_of_volume(volume, Event::warning(REPORTER, reason, message.to_owned()))
}

/// Source: `unbindVolume`.
fn unbind(view: View<'_>, volume: &PersistentVolume, plan: Plan) -> Plan {
    let mut changed = volume.clone();
    if volume.meta.annotations.get(BOUND_BY_CONTROLLER).is_some() {
        changed.claim = None;
        changed.meta.annotations = changed.meta.annotations.without(BOUND_BY_CONTROLLER);
    } else if let Some(reference) = &mut changed.claim {
        reference.uid = None;
    }
    plan.update(view, changed).volume_phase(volume, VolumePhase::Available, "")
}
