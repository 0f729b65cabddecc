//! The binder of claims and volumes (`persistentvolume-binder-controller`).
//!
//! Unbound claims are looked at again every 15 s, as the resynchronisation of the real one does. Differences: one worker
//! for claims and volumes together; a volume is recycled at once, without a pod that does it; the growth of volumes and
//! the migration of in-tree volumes' annotations are not modelled.
//!
//! Source: pkg/controller/volume/persistentvolume/{pv_controller,index}.go (v1.34.1).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{is_pod_terminated, object, versions};
use crate::api::{Propagation, Request, default_class};
use crate::config::ControllerManagerConfig;
use crate::context::Context;
use crate::controllers::NamespacedName;
use crate::controllers::reconciler::{Desk, Reconciler, Step};
use crate::controllers::requests::Ended;
use crate::events::Event;
use crate::id::Name;
use crate::model::{
    AccessMode, BETA_STORAGE_PROVISIONER, BIND_COMPLETED, BOUND_BY_CONTROLLER, ClaimPhase, Kind, Meta,
    PRE_RESIZE_CAPACITY, PROVISIONED_BY, PersistentVolume, PersistentVolumeClaim, Pod, ReclaimPolicy, SELECTED_NODE,
    STORAGE_PROVISIONER, StorageClass, VolumePhase, VolumeSource,
};
use crate::store::{Change, View};
use crate::time::{Span, Time};
use crate::volumes::{
    Seeker, bound_to_claim, contains_all, driver_of, find_matching_volume, has_access_modes, waits_for_pod,
};

/// The number of this controller's client and work queue.
pub(in crate::controllers) const NUMBER: u8 = 14;
/// How the controller names itself in events.
const REPORTER: &str = "persistentvolume-controller";
/// `--pvclaimbinder-sync-period`.
const RESYNC_PERIOD: Span = Span::from_secs(15);

/// The controller.
pub(in crate::controllers) struct Binder {
    desk: Desk<Key, Stage>,
    started_at: Time,
    /// Claims that will be looked at again at the next resynchronisation.
    unsettled: BTreeSet<Key>,
}

/// What a sync is for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in crate::controllers) enum Key {
    /// A claim.
    Claim(NamespacedName),
    /// A volume.
    Volume(Name),
}

/// What a sync says once its writes have been granted.
pub(in crate::controllers) struct Stage {
    events: Vec<(crate::model::ObjectKey, Event)>,
}

/// What a sync wants: writes, one after the other, and what is said after them.
#[derive(Default)]
struct Plan {
    writes: Vec<Request>,
    events: Vec<(crate::model::ObjectKey, Event)>,
    /// Whether the claim is to be looked at again at the next resynchronisation.
    unsettled: bool,
}

impl Binder {
    /// The controller before its start.
    pub(in crate::controllers) fn new(config: &ControllerManagerConfig) -> Binder {
        let desk = Desk::new(NUMBER, 1, config.client_limit, |_| false);
        Binder { desk, started_at: Time::ZERO, unsettled: BTreeSet::new() }
    }

    fn on_claim(&mut self, meta: &Meta) {
        self.desk.queue.add(Key::Claim(NamespacedName::of_meta(meta)));
    }

    /// The next point of the grid on which everything is looked at again.
    fn until_resync(&self, now: Time) -> Span {
        let passed = now.since(self.started_at).0 % RESYNC_PERIOD.0;
        Span(RESYNC_PERIOD.0 - passed)
    }
}

impl Reconciler for Binder {
    type Key = Key;
    type Stage = Stage;

    fn desk(&mut self) -> &mut Desk<Key, Stage> {
        &mut self.desk
    }

    fn list(&mut self, ctx: &mut Context<'_>, view: View<'_>) {
        self.started_at = ctx.now;
        for (_, volume) in view.all::<PersistentVolume>() {
            self.desk.queue.add(Key::Volume(volume.meta.name.clone()));
        }
        for (_, claim) in view.all::<PersistentVolumeClaim>() {
            self.on_claim(&claim.meta);
        }
    }

    fn note(&mut self, _ctx: &mut Context<'_>, view: View<'_>, change: &Change) {
        if let Some((old, new)) = versions::<PersistentVolume>(view, change) {
            let Some(volume) = new.or(old) else { return };
            self.desk.queue.add(Key::Volume(volume.meta.name.clone()));
            if new.is_none()
                && let Some(claim) = &volume.claim
            {
                let (namespace, name) = (claim.namespace.clone(), claim.name.clone());
                self.desk.queue.add(Key::Claim(NamespacedName { namespace, name }));
            }
        }
        if let Some((old, new)) = versions::<PersistentVolumeClaim>(view, change) {
            let Some(claim) = new.or(old) else { return };
            self.on_claim(&claim.meta);
            if new.is_none() && !claim.spec.volume.is_empty() {
                self.desk.queue.add(Key::Volume(claim.spec.volume.clone()));
            }
        }
    }

    fn sync(&mut self, ctx: &mut Context<'_>, view: View<'_>, key: Key) -> Step<Key, Stage> {
        self.unsettled.remove(&key);
        let plan = match &key {
            Key::Claim(name) => match view.find::<PersistentVolumeClaim>(&name.namespace, &name.name) {
                Some((_, claim)) => sync_claim(view, claim),
                None => Plan::default(),
            },
            Key::Volume(name) => match view.find::<PersistentVolume>(&Name::default(), name) {
                Some((_, volume)) => sync_volume(view, volume),
                None => Plan::default(),
            },
        };
        if plan.unsettled && self.unsettled.insert(key.clone()) {
            let delay = self.until_resync(ctx.now);
            self.desk.queue.add_after(ctx, key.clone(), delay);
        }
        let batches = plan.writes.into_iter().map(|write| vec![write]);
        self.desk.begin(ctx, key, Stage { events: plan.events }, batches)
    }

    fn proceed(&mut self, ctx: &mut Context<'_>, _view: View<'_>, ended: Ended<Key, Stage>) -> Step<Key, Stage> {
        let Ended { key, stage, error, .. } = ended;
        if error.is_none() {
            for (subject, event) in stage.events {
                ctx.event(subject, event);
            }
        } else if self.unsettled.insert(key.clone()) {
            // A refusal means that something has changed, which will be seen; the resynchronisation comes anyway.
            let delay = self.until_resync(ctx.now);
            self.desk.queue.add_after(ctx, key.clone(), delay);
        }
        self.desk.finish(ctx, &key, false)
    }
}

impl Plan {
    fn say(mut self, claim: &PersistentVolumeClaim, event: Event) -> Plan {
        self.events.push((key_of(Kind::PersistentVolumeClaim, &claim.meta), event.about(&claim.meta)));
        self
    }

    fn say_of_volume(mut self, volume: &PersistentVolume, event: Event) -> Plan {
        self.events.push((key_of(Kind::PersistentVolume, &volume.meta), event.about(&volume.meta)));
        self
    }

    fn unsettled(mut self) -> Plan {
        self.unsettled = true;
        self
    }

    /// A claim's new phase, with what it has of its volume.
    ///
    /// Source: `updateClaimStatus`.
    fn claim_phase(mut self, claim: &PersistentVolumeClaim, phase: ClaimPhase, of: Option<&PersistentVolume>) -> Plan {
        let mut changed = claim.clone();
        let status = &mut changed.status;
        match of {
            None => {
                status.access_modes.clear();
                status.capacity = None;
                status.attributes_class = None;
            }
            Some(volume) => {
                status.access_modes.clone_from(&volume.access_modes);
                if status.phase != phase {
                    let before = volume.meta.annotations.get(PRE_RESIZE_CAPACITY).and_then(|text| text.parse().ok());
                    status.capacity = Some(before.unwrap_or(volume.capacity));
                    status.attributes_class.clone_from(&volume.attributes_class);
                }
            }
        }
        status.phase = phase;
        if changed.status != claim.status {
            self.writes.push(Request::UpdateStatus { object: object(changed), expected: None });
        }
        self
    }

    /// Source: `updateVolumePhase`.
    fn volume_phase(mut self, volume: &PersistentVolume, phase: VolumePhase, message: &str) -> Plan {
        if volume.status.phase != phase {
            let mut changed = volume.clone();
            changed.status.phase = phase;
            changed.status.message = message.into();
            self.writes.push(Request::UpdateStatus { object: object(changed), expected: None });
        }
        self
    }

    fn update_volume(mut self, view: View<'_>, changed: PersistentVolume) -> Plan {
        let found = view.find::<PersistentVolume>(&Name::default(), &changed.meta.name);
        let expected = found.and_then(|(row, _)| view.version_of::<PersistentVolume>(row));
        self.writes.push(Request::Update { object: object(changed), expected });
        self
    }

    fn delete_volume(mut self, volume: &PersistentVolume) -> Plan {
        let key = key_of(Kind::PersistentVolume, &volume.meta);
        let propagation = Propagation::Background;
        self.writes.push(Request::Delete { key, uid: Some(volume.meta.uid), grace: None, propagation });
        self
    }

    fn update_claim(mut self, view: View<'_>, changed: PersistentVolumeClaim) -> Plan {
        let found = view.find::<PersistentVolumeClaim>(&changed.meta.namespace, &changed.meta.name);
        let expected = found.and_then(|(row, _)| view.version_of::<PersistentVolumeClaim>(row));
        self.writes.push(Request::Update { object: object(changed), expected });
        self
    }
}

fn key_of(kind: Kind, meta: &Meta) -> crate::model::ObjectKey {
    NamespacedName::of_meta(meta).of(kind)
}

/// Source: `syncClaim`.
fn sync_claim(view: View<'_>, claim: &PersistentVolumeClaim) -> Plan {
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
        return Plan::default().update_claim(view, changed);
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
        plan = plan.update_claim(view, changed);
    }
    let message = format!(
        "Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the system \
         administrator. If volume creation is delayed, please verify that the provisioner is running and correctly \
         registered."
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
        plan = plan.update_volume(view, bound);
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
        plan = plan.update_claim(view, bound);
    }
    plan.claim_phase(claim, ClaimPhase::Bound, Some(volume))
}

/// Source: `syncVolume`.
fn sync_volume(view: View<'_>, volume: &PersistentVolume) -> Plan {
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
            return plan;
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
    plan.update_volume(view, changed).volume_phase(volume, VolumePhase::Available, "")
}
