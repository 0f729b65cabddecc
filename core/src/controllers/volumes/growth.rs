//! How the volume of a claim that asks for more grows: the storage system enlarges it, then the node its file system.
//!
//! The stand-in for external-resizer, and for the kubelet, which looks at the claims of a running pod about once a
//! minute and at those of a new pod when it mounts them. A claim says with conditions and
//! `allocatedResourceStatuses` how far it has come; its capacity is what pods can use.
//!
//! Source: pkg/controller/volume/expand/expand_controller.go, pkg/volume/util/operationexecutor/node_expander.go
//! (v1.34.1); external-resizer (v1.14). Absent on purpose: growth that fails, and a claim that then asks for less.

use std::sync::Arc;

use super::drivers::{Drivers, Key, Work};
use super::object;
use crate::api::Request;
use crate::config::SpanRange;
use crate::context::Context;
use crate::controllers::NamespacedName;
use crate::events::Event;
use crate::id::Name;
use crate::model::{
    ClaimPhase, ConditionKind, Growth, Kind, Node, ObjectKey, PersistentVolume, PersistentVolumeClaim,
    PersistentVolumeClaimStatus, Phase, Pod, Status3, VolumeMode,
};
use crate::store::View;
use crate::time::Span;

/// How the resizer names itself in events.
const RESIZER: &str = "external-resizer";
/// Within what time a kubelet sees that the volume of a running pod has grown.
///
/// Source: `SyncFrequency`, pkg/kubelet/apis/config/v1beta1/defaults.go (v1.34.1), without its jitter.
const SEEN_BY_KUBELET: SpanRange = SpanRange { min: Span::ZERO, max: Span::from_secs(60) };
/// What a claim whose file system is to be enlarged says.
const PENDING: &str = "Waiting for user to (re-)start a pod to finish file system resize of volume on node.";

/// What is said of a claim whose volume somebody outside the controller manager is to enlarge.
const ELSEWHERE: &str = "waiting for an external controller to expand this PVC";

/// Whether a claim asks for more than it has.
pub(super) fn wants_more(claim: &PersistentVolumeClaim) -> bool {
    let is_bound = claim.status.phase == ClaimPhase::Bound && !claim.meta.is_terminating();
    is_bound && claim.status.capacity.is_some_and(|capacity| capacity < claim.spec.request)
}

impl Drivers {
    /// The controller manager enlarges no volume itself: of one that no driver here enlarges it says so, once.
    pub(super) fn tell_of_growth_elsewhere(
        &self,
        ctx: &mut Context<'_>,
        view: View<'_>,
        old: &PersistentVolumeClaim,
        claim: &PersistentVolumeClaim,
    ) {
        if claim.spec.request <= old.spec.request || !wants_more(claim) {
            return;
        }
        let volume = view.find::<PersistentVolume>(&Name::default(), &claim.spec.volume).map(|(_, volume)| volume);
        let Some(volume) = volume.filter(|volume| volume.is_bound_to(claim)) else { return };
        if volume.source.csi().is_none_or(|(driver, _)| self.driver(&driver).is_none()) {
            ctx.event(
                claim_key(claim),
                Event::normal("volume_expand", "ExternalExpanding", ELSEWHERE).about(&claim.meta),
            );
        }
    }

    pub(super) fn sync_growth(
        &mut self,
        ctx: &mut Context<'_>,
        view: View<'_>,
        key: &Key,
        name: &NamespacedName,
    ) -> Work {
        let found = view.find::<PersistentVolumeClaim>(&name.namespace, &name.name).map(|(_, claim)| claim);
        let Some(claim) = found.filter(|claim| wants_more(claim)) else {
            self.begun.remove(key);
            return Work::default();
        };
        let volume = view.find::<PersistentVolume>(&Name::default(), &claim.spec.volume).map(|(_, volume)| volume);
        let Some(volume) = volume.filter(|volume| volume.is_bound_to(claim)) else { return Work::default() };
        let driver = volume.source.csi().and_then(|(driver, _)| self.driver(&driver).cloned());
        let Some(driver) = driver else { return Work::default() };
        if volume.capacity < claim.spec.request {
            if !claim.status.conditions.is_true(ConditionKind::Resizing) {
                return begin(ctx, claim, volume);
            }
            if !self.is_over(ctx, key, driver.resize) {
                return Work::default();
            }
            self.begun.remove(key);
            let grown = PersistentVolume { capacity: claim.spec.request, ..PersistentVolume::clone(volume) };
            let write = Request::Update { object: object(grown), expected: None };
            return Work { writes: vec![write], events: Vec::new() };
        }
        if volume.mode == VolumeMode::Block {
            let event = Event::normal(RESIZER, "VolumeResizeSuccessful", "Resize volume succeeded");
            return finished(claim, volume, vec![(claim_key(claim), event.about(&claim.meta))]);
        }
        if !claim.status.conditions.is_true(ConditionKind::FileSystemResizePending) {
            let event =
                Event::normal(RESIZER, "FileSystemResizeRequired", "Require file system resize of volume on node");
            let events = vec![(claim_key(claim), event.about(&claim.meta))];
            return with_status(claim, events, |status| {
                status.conditions.remove(ConditionKind::Resizing);
                let kind = ConditionKind::FileSystemResizePending;
                status.conditions.set(kind, Status3::True, "", PENDING, ctx.now);
                status.growth = Some((volume.capacity, Growth::NodeResizePending));
            });
        }
        self.on_node(ctx, view, key, claim, volume)
    }

    /// A node where a pod uses the volume enlarges its file system; without such a pod it waits for one.
    fn on_node(
        &mut self,
        ctx: &mut Context<'_>,
        view: View<'_>,
        key: &Key,
        claim: &PersistentVolumeClaim,
        volume: &PersistentVolume,
    ) -> Work {
        let Some((pod, node)) = user(view, claim) else {
            self.begun.remove(key);
            return Work::default();
        };
        let pending = claim.status.conditions.get(ConditionKind::FileSystemResizePending);
        let mounts_it_now = pending.zip(pod.status.started_at.get()).is_some_and(|(since, at)| at >= since.changed_at);
        if !mounts_it_now && !self.is_over(ctx, key, SEEN_BY_KUBELET) {
            return Work::default();
        }
        self.begun.remove(key);
        let message = format!("MountVolume.NodeExpandVolume succeeded for volume {:?} {node}", &*volume.meta.name);
        let event = Event::normal("kubelet", "FileSystemResizeSuccessful", message);
        let of_pod = (ObjectKey::new(Kind::Pod, &pod.meta.namespace, &pod.meta.name), event.clone().about(&pod.meta));
        let of_claim = (claim_key(claim), event.about(&claim.meta));
        let events = [of_pod, of_claim].map(|(subject, event)| (subject, event.on_host(&node)));
        finished(claim, volume, events.into())
    }
}

/// The storage system is asked: what the controller manager and the resizer say, and the claim's first condition.
fn begin(ctx: &Context<'_>, claim: &PersistentVolumeClaim, volume: &PersistentVolume) -> Work {
    let begins = format!("External resizer is resizing volume {}", volume.meta.name);
    let events =
        [Event::normal("volume_expand", "ExternalExpanding", ELSEWHERE), Event::normal(RESIZER, "Resizing", begins)];
    let events = events.map(|event| (claim_key(claim), event.about(&claim.meta)));
    with_status(claim, events.into(), |status| {
        status.conditions.set(ConditionKind::Resizing, Status3::True, "", "", ctx.now);
        status.growth = Some((claim.spec.request, Growth::ControllerResizeInProgress));
    })
}

fn finished(claim: &PersistentVolumeClaim, volume: &PersistentVolume, events: Vec<(ObjectKey, Event)>) -> Work {
    with_status(claim, events, |status| {
        status.capacity = Some(volume.capacity);
        status.conditions.remove(ConditionKind::Resizing);
        status.conditions.remove(ConditionKind::FileSystemResizePending);
        status.growth = None;
    })
}

fn with_status(
    claim: &PersistentVolumeClaim,
    events: Vec<(ObjectKey, Event)>,
    change: impl FnOnce(&mut PersistentVolumeClaimStatus),
) -> Work {
    let mut changed = claim.clone();
    change(&mut changed.status);
    Work { writes: vec![Request::UpdateStatus { object: object(changed), expected: None }], events }
}

fn claim_key(claim: &PersistentVolumeClaim) -> ObjectKey {
    ObjectKey::new(Kind::PersistentVolumeClaim, &claim.meta.namespace, &claim.meta.name)
}

/// A running pod that uses a claim, on a node that is ready.
fn user(view: View<'_>, claim: &PersistentVolumeClaim) -> Option<(Arc<Pod>, Name)> {
    let uses = |pod: &&Arc<Pod>| {
        let names = pod.spec.volumes.iter().filter_map(|volume| volume.claim_name(&pod.meta.name));
        names.into_iter().any(|(name, _)| name == claim.meta.name)
    };
    let pods = view.in_namespace::<Pod>(&claim.meta.namespace).map(|(_, pod)| pod);
    let mut running = pods.filter(|pod| pod.status.phase == Phase::Running && !pod.meta.is_terminating()).filter(uses);
    running.find_map(|pod| {
        let node = pod.node.clone()?;
        let (_, host) = view.find::<Node>(&Name::default(), &node)?;
        host.status.conditions.is_true(ConditionKind::Ready).then(|| (pod.clone(), node))
    })
}
