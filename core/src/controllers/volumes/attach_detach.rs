//! The attach/detach controller: volumes of CSI drivers are attached to the nodes whose pods use them, and to no
//! others.
//!
//! A volume for one node is attached to a second one only when it has left the first. It leaves a node when the kubelet
//! there says that it is not in use any more; a node that is not ready is waited for at most six minutes, a node with
//! the out-of-service taint not at all. Differences: it looks when something has changed instead of every 100 ms; the
//! name of an attachment is a shorter hash; only PersistentVolumes are attached, not volumes that a pod writes out.
//!
//! Source: pkg/controller/volume/attachdetach/reconciler/reconciler.go and
//! staging/src/k8s.io/kubernetes pkg/volume/csi/csi_attacher.go (v1.34.1).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::attaching::Attempt;
use super::{is_pod_terminated, object, versions};
use crate::api::{Patch, Propagation, Refusal, Request};
use crate::config::ControllerManagerConfig;
use crate::context::Context;
use crate::controllers::NamespacedName;
use crate::controllers::news::{News, Topics};
use crate::controllers::reconciler::{Desk, Reconciler, Step};
use crate::digest::StableHasher;
use crate::events::Event;
use crate::id::Name;
use crate::model::{
    AccessMode, CSIDriver, Kind, Meta, Node, ObjectKey, PersistentVolume, PersistentVolumeClaim, Pod, VolumeAttachment,
};
use crate::store::{IndexKey, View};
use crate::time::{Span, Time};

/// The number of this controller's client and work queue.
pub(in crate::controllers) const NUMBER: u8 = 15;
/// How the controller names itself in events.
pub(super) const REPORTER: &str = "attachdetach-controller";
/// How long a node that is not ready may keep a volume that nobody uses.
///
/// Source: `ReconcilerMaxWaitForUnmountDuration`, `DefaultTimerConfig`, attach_detach_controller.go (v1.34.1).
const MAX_WAIT_FOR_UNMOUNT: Span = Span::from_secs(360);
/// The taint of a node that an administrator declares dead.
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";

/// The controller.
pub(in crate::controllers) struct AttachDetach {
    pub(super) desk: Desk<Name, ()>,
    /// Since when a volume is to leave a node, by volume and node.
    leaving: BTreeMap<(Name, Name), Time>,
    /// Second nodes that a volume for one node was refused to, which is told once.
    refused: BTreeSet<(Name, Name)>,
    /// Attachments that have been told of.
    told: BTreeSet<Name>,
    /// What is being waited for, by attachment.
    pub(super) attaching: BTreeMap<Name, Attempt>,
}

/// The unique name of a CSI volume in a node's status.
pub(crate) fn unique_name(driver: &str, handle: &str) -> Name {
    format!("kubernetes.io/csi/{driver}^{handle}").into()
}

/// The unique name of the volume of an attachment; `None` if the volume is gone.
fn name_of(view: View<'_>, attachment: &VolumeAttachment) -> Option<Name> {
    let (_, volume) = view.find::<PersistentVolume>(&Name::default(), &attachment.volume)?;
    volume.source.csi().map(|(driver, handle)| unique_name(&driver, &handle))
}

/// Whether a driver's volumes are attached at all.
pub(crate) fn is_attached_by(driver: Option<&CSIDriver>) -> bool {
    driver.is_none_or(|driver| driver.attach_required)
}

impl AttachDetach {
    /// The controller before its start.
    pub(in crate::controllers) fn new(config: &ControllerManagerConfig) -> AttachDetach {
        let tolerated: fn(&Refusal) -> bool = |refusal| {
            matches!(refusal, Refusal::NotFound(_) | Refusal::AlreadyExists { .. } | Refusal::WrongUid { .. })
        };
        let desk = Desk::new(NUMBER, 1, config.client_limit, tolerated);
        AttachDetach {
            desk,
            leaving: BTreeMap::new(),
            refused: BTreeSet::new(),
            told: BTreeSet::new(),
            attaching: BTreeMap::new(),
        }
    }

    /// The volumes of a pod's claims.
    fn add_volumes_of(&mut self, view: View<'_>, pod: &Pod) {
        for (name, _) in pod.claims() {
            if let Some((_, claim)) = view.find::<PersistentVolumeClaim>(&pod.meta.namespace, &name)
                && !claim.spec.volume.is_empty()
            {
                self.desk.queue.add(claim.spec.volume.clone());
            }
        }
    }

    /// What is attached to a node and shall leave may be freed by what the node says.
    fn on_node(&mut self, view: View<'_>, old: Option<&Arc<Node>>, new: Option<&Arc<Node>>) {
        let Some(node) = new.or(old) else { return };
        let facts = |node: &Arc<Node>| (node.is_ready(), node.spec.taints.clone(), node.status.volumes.clone());
        if old.map(facts) != new.map(facts) {
            for (_, attachment) in view.under::<VolumeAttachment>(IndexKey::Node(node.meta.name.clone())) {
                self.desk.queue.add(attachment.volume.clone());
            }
        }
    }

    fn sync_volume(&mut self, ctx: &mut Context<'_>, view: View<'_>, volume: &PersistentVolume) -> Vec<Vec<Request>> {
        let Some((driver, handle)) = volume.source.csi() else { return Vec::new() };
        let unique = unique_name(&driver, &handle);
        let wanted = users(view, volume);
        let all = view.all::<VolumeAttachment>().map(|(_, attachment)| attachment);
        let present: Vec<&Arc<VolumeAttachment>> = all.filter(|it| it.volume == volume.meta.name).collect();
        let (mut batches, mut held_by) = (Vec::new(), BTreeSet::new());
        self.refused.retain(|(refused, node)| *refused != volume.meta.name || wanted.contains_key(node));
        for attachment in &present {
            let key = (volume.meta.name.clone(), attachment.node.clone());
            // What is about to be attached or detached is waited for in silence.
            let settled = attachment.status.attached || attachment.status.attach_error.is_some();
            let holds = settled && !attachment.meta.is_terminating();
            match wanted.get(&attachment.node) {
                Some(pods) => {
                    held_by.extend(holds.then_some(&attachment.node));
                    self.leaving.remove(&key);
                    self.refused.remove(&key);
                    if !attachment.status.attached && !attachment.meta.is_terminating() {
                        self.await_attached(ctx, attachment, (&driver, &handle), pods);
                    }
                    batches.extend(self.report(ctx, view, attachment, pods));
                }
                None if attachment.meta.is_terminating() => self.forget(attachment),
                None => {
                    let requests = self.detach(ctx, view, attachment, (&key, &unique));
                    held_by.extend((holds && requests.is_empty()).then_some(&attachment.node));
                    batches.extend(requests);
                }
            }
        }
        let found = view.find::<CSIDriver>(&Name::default(), &driver).map(|(_, driver)| &**driver);
        if !is_attached_by(found) {
            return batches;
        }
        for (node, pods) in &wanted {
            if present.iter().any(|attachment| attachment.node == *node) {
                continue;
            }
            if !present.is_empty() && !may_be_attached_twice(volume) {
                if !held_by.is_empty() && self.refused.insert((volume.meta.name.clone(), node.clone())) {
                    let others = wanted.iter().filter(|(other, _)| held_by.contains(other));
                    refuse(ctx, volume, pods, others.flat_map(|(_, it)| it));
                }
                continue;
            }
            let meta = Meta::named("", &attachment_name(&driver, &handle, node));
            let (node, name) = (node.clone(), volume.meta.name.clone());
            let attacher = driver.clone();
            let new = VolumeAttachment { meta, attacher, node, volume: name, ..VolumeAttachment::default() };
            batches.push(vec![Request::Create(object(new))]);
            if !may_be_attached_twice(volume) {
                break;
            }
        }
        batches
    }

    /// An attachment goes: what was noted of it is over.
    fn forget(&mut self, attachment: &VolumeAttachment) {
        self.leaving.remove(&(attachment.volume.clone(), attachment.node.clone()));
        self.told.remove(&attachment.meta.name);
        self.attaching.remove(&attachment.meta.name);
    }

    /// Tells the node what is attached to it, and the pods that their volume is.
    fn report(
        &mut self,
        ctx: &mut Context<'_>,
        view: View<'_>,
        attachment: &VolumeAttachment,
        pods: &[&Arc<Pod>],
    ) -> Option<Vec<Request>> {
        if !attachment.status.attached || attachment.meta.is_terminating() {
            return None;
        }
        self.attaching.remove(&attachment.meta.name);
        if self.told.insert(attachment.meta.name.clone()) {
            for pod in pods {
                let message = format!("AttachVolume.Attach succeeded for volume \"{}\" ", attachment.volume);
                let event = Event::normal(REPORTER, "SuccessfulAttachVolume", message).about(&pod.meta);
                ctx.event(NamespacedName::of_meta(&pod.meta).of(Kind::Pod), event);
            }
        }
        status_of(view, &attachment.node, None).map(|request| vec![request])
    }

    /// Detaches what nobody wants on a node, as soon as it may be.
    fn detach(
        &mut self,
        ctx: &mut Context<'_>,
        view: View<'_>,
        attachment: &VolumeAttachment,
        of: (&(Name, Name), &Name),
    ) -> Vec<Vec<Request>> {
        let (key, unique) = of;
        let since = *self.leaving.entry(key.clone()).or_insert(ctx.now);
        let node = view.find::<Node>(&Name::default(), &attachment.node).map(|(_, node)| node);
        let in_use = |node: &Arc<Node>| node.status.volumes.as_ref().is_some_and(|it| it.in_use.contains(unique));
        let out_of_service = |node: &Arc<Node>| node.spec.taints.iter().any(|taint| *taint.key == *OUT_OF_SERVICE);
        let expired = ctx.now.since(since) > MAX_WAIT_FOR_UNMOUNT;
        let may_leave = node.is_none_or(|node| !in_use(node) || (expired && !node.is_ready()) || out_of_service(node));
        if !may_leave {
            if !expired {
                // A moment later than the limit, which must be exceeded.
                let due = since + MAX_WAIT_FOR_UNMOUNT + Span::from_millis(100);
                self.desk.queue.add_after(ctx, key.0.clone(), due.since(ctx.now));
            }
            return Vec::new();
        }
        let status = node.and_then(|_| status_of(view, &attachment.node, Some(&attachment.meta.name)));
        let object = ObjectKey::new(Kind::VolumeAttachment, "", &attachment.meta.name);
        let propagation = Propagation::Background;
        let delete = Request::Delete { key: object, uid: Some(attachment.meta.uid), grace: None, propagation };
        vec![status.into_iter().collect(), vec![delete]]
    }
}

/// Says to the pods of a second node that their volume is elsewhere, and which pods of the node that holds it use it.
///
/// Source: `reportMultiAttachError`.
fn refuse<'a>(
    ctx: &mut Context<'_>,
    volume: &PersistentVolume,
    pods: &[&Arc<Pod>],
    others: impl Iterator<Item = &'a &'a Arc<Pod>>,
) {
    let names: Vec<&str> = others.map(|other| &*other.meta.name).collect();
    let why = if names.is_empty() {
        "Volume is already exclusively attached to one node and can't be attached to another".to_owned()
    } else {
        format!("Volume is already used by pod(s) {}", names.join(", "))
    };
    for pod in pods {
        let message = format!("Multi-Attach error for volume \"{}\" {why}", volume.meta.name);
        let event = Event::warning(REPORTER, "FailedAttachVolume", message).about(&pod.meta);
        ctx.event(NamespacedName::of_meta(&pod.meta).of(Kind::Pod), event);
    }
}

/// The pods that use a volume, by their node. Claims of one namespace use it, so pods of one namespace do.
fn users<'a>(view: View<'a>, volume: &PersistentVolume) -> BTreeMap<Name, Vec<&'a Arc<Pod>>> {
    let mut users: BTreeMap<Name, Vec<&Arc<Pod>>> = BTreeMap::new();
    let Some(reference) = &volume.claim else { return users };
    let found = view.find::<PersistentVolumeClaim>(&reference.namespace, &reference.name);
    if found.is_none_or(|(_, claim)| claim.spec.volume != volume.meta.name) {
        return users;
    }
    for (_, pod) in view.in_namespace::<Pod>(&reference.namespace) {
        if let Some(node) = &pod.node
            && pod.claims().any(|(name, _)| name == reference.name)
            && !is_pod_terminated(pod)
        {
            users.entry(node.clone()).or_default().push(pod);
        }
    }
    users
}

/// The patch that tells a node what is attached to it, without one attachment; `None` if it says so already.
fn status_of(view: View<'_>, node: &Name, without: Option<&Name>) -> Option<Request> {
    let attachments = view.under::<VolumeAttachment>(IndexKey::Node(node.clone())).map(|(_, attachment)| attachment);
    let attached = attachments.filter(|it| it.status.attached && !it.meta.is_terminating());
    let mut names: Vec<Name> =
        attached.filter(|it| Some(&it.meta.name) != without).filter_map(|it| name_of(view, it)).collect();
    names.sort();
    let (_, stored) = view.find::<Node>(&Name::default(), node)?;
    let known = stored.status.volumes.as_ref().map_or(&[][..], |volumes| &volumes.attached);
    let key = ObjectKey::new(Kind::Node, "", node);
    if *known == *names { None } else { Some(Request::Patch { key, patch: Patch::VolumesAttached(names) }) }
}

/// Source: `IsMultiAttachAllowed`, pkg/controller/volume/attachdetach/util/util.go (v1.34.1).
fn may_be_attached_twice(volume: &PersistentVolume) -> bool {
    let modes = &volume.access_modes;
    modes.is_empty() || modes.iter().any(|it| matches!(it, AccessMode::ReadWriteMany | AccessMode::ReadOnlyMany))
}

/// Source: `getAttachmentName`, csi_attacher.go, which hashes the same with SHA-256.
fn attachment_name(driver: &str, handle: &str, node: &str) -> String {
    let hash = |salt: u8| StableHasher::hash_one(&(salt, handle, driver, node));
    format!("csi-{:016x}{:016x}", hash(0), hash(1))
}

impl Reconciler for AttachDetach {
    type Key = Name;
    type Stage = ();

    fn topics(&self) -> Topics {
        Topics::of_all(&[Kind::PersistentVolumeClaim, Kind::PersistentVolume, Kind::VolumeAttachment, Kind::Node])
            .and(Topics::POD_VOLUMES)
    }

    fn desk(&mut self) -> &mut Desk<Name, ()> {
        &mut self.desk
    }

    fn list(&mut self, _ctx: &mut Context<'_>, view: View<'_>) {
        for (_, volume) in view.all::<PersistentVolume>() {
            self.desk.queue.add(volume.meta.name.clone());
        }
    }

    fn note(&mut self, _ctx: &mut Context<'_>, view: View<'_>, News { change, .. }: &News<'_>) {
        if let Some((old, new)) = versions::<Pod>(view, change)
            && let Some(pod) = new.or(old)
            && !pod.spec.volumes.is_empty()
        {
            self.add_volumes_of(view, pod);
        }
        if let Some((old, new)) = versions::<PersistentVolumeClaim>(view, change)
            && let Some(claim) = new.or(old)
            && !claim.spec.volume.is_empty()
        {
            self.desk.queue.add(claim.spec.volume.clone());
        }
        if let Some((_, Some(volume))) = versions::<PersistentVolume>(view, change) {
            self.desk.queue.add(volume.meta.name.clone());
        }
        if let Some((old, new)) = versions::<VolumeAttachment>(view, change)
            && let Some(attachment) = new.or(old)
        {
            self.desk.queue.add(attachment.volume.clone());
            if new.is_none() {
                self.forget(attachment);
            }
        }
        if let Some((old, new)) = versions::<Node>(view, change) {
            self.on_node(view, old, new);
        }
    }

    fn sync(&mut self, ctx: &mut Context<'_>, view: View<'_>, key: Name) -> Step<Name, ()> {
        let found = view.find::<PersistentVolume>(&Name::default(), &key);
        let batches = match found {
            Some((_, volume)) => self.sync_volume(ctx, view, volume),
            None => Vec::new(),
        };
        self.desk.begin(ctx, key, (), batches)
    }
}
