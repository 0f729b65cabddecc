//! Modelled CSI drivers: what the sidecars of a real one do, with drawn delays in place of a storage system.
//!
//! For each driver of the configuration: its CSIDriver object is there, every node has it in its CSINode, claims that
//! ask for it get a volume (external-provisioner), released volumes with the policy Delete go, and attachments are
//! carried out (external-attacher), and volumes grow (`growth`). Invariant: without drivers in the configuration this
//! does nothing and costs nothing. Absent on purpose: failures of the storage system, snapshots, and the finalizers of
//! released volumes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{growth, object, versions};
use crate::api::{Patch, Propagation, Refusal, Request};
use crate::config::{Config, CsiDriverConfig, SpanRange};
use crate::context::Context;
use crate::controllers::NamespacedName;
use crate::controllers::news::{News, Topics};
use crate::controllers::reconciler::{Desk, Reconciler, Step};
use crate::controllers::requests::Ended;
use crate::digest::StableHasher;
use crate::draw::{Purpose, draw, span_below};
use crate::events::Event;
use crate::id::Name;
use crate::model::{
    BindingMode, CSIDriver, CSINode, ClaimReference, CsiNodeDriver, Kind, Labels, Meta, Node, ObjectKey,
    OwnerReference, PROVISIONED_BY, PersistentVolume, PersistentVolumeClaim, Phase, Pod, ReclaimPolicy, SELECTED_NODE,
    STORAGE_PROVISIONER, SelectorOperator, SelectorRequirement, StorageClass, VolumeAttachment, VolumePhase,
    VolumeSource,
};
use crate::store::View;
use crate::time::{Span, Time};

/// The number of this controller's client and work queue.
pub(in crate::controllers) const NUMBER: u8 = 30;
/// How the provisioner names itself in events.
const REPORTER: &str = "external-provisioner";
/// How many operations are under way at once (`--worker-threads`).
const WORKERS: u32 = 100;
/// Holds an attachment until its volume is detached.
const ATTACHER: &str = "external-attacher/csi";

/// The drivers.
pub(in crate::controllers) struct Drivers {
    desk: Desk<Key, Stage>,
    drivers: Vec<CsiDriverConfig>,
    /// When an operation that has begun is over.
    pub(super) begun: BTreeMap<Key, Time>,
    /// How many operations have begun, which is what their times are drawn by.
    operations: u64,
}

/// What an operation is about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(in crate::controllers) enum Key {
    /// A driver's own object.
    Driver(Name),
    /// What a node says of the drivers.
    Node(Name),
    /// A claim that asks for a volume.
    Claim(NamespacedName),
    /// A volume that is to go.
    Volume(Name),
    /// A volume that is to be attached.
    Attach(Name),
    /// A volume that is to be detached.
    Detach(Name),
    /// A claim that asks for more than it has.
    Grow(NamespacedName),
}

/// What is said when the writes are granted.
pub(in crate::controllers) struct Stage {
    events: Vec<(ObjectKey, Event)>,
}

impl Drivers {
    /// The drivers before their start.
    pub(in crate::controllers) fn new(config: &Config) -> Drivers {
        let tolerated: fn(&Refusal) -> bool = |refusal| {
            matches!(refusal, Refusal::NotFound(_) | Refusal::AlreadyExists { .. } | Refusal::WrongUid { .. })
        };
        let desk = Desk::new(NUMBER, WORKERS, config.controller_manager.client_limit, tolerated);
        Drivers { desk, drivers: config.storage.drivers.clone(), begun: BTreeMap::new(), operations: 0 }
    }

    pub(super) fn driver(&self, name: &str) -> Option<&CsiDriverConfig> {
        self.drivers.iter().find(|driver| *driver.name == *name)
    }

    /// Whether an operation's time is over; begins it if it has not.
    pub(super) fn is_over(&mut self, ctx: &mut Context<'_>, key: &Key, range: SpanRange) -> bool {
        if let Some(end) = self.begun.get(key) {
            return *end <= ctx.now;
        }
        let entity = StableHasher::hash_one(&format!("{key:?}"));
        let drawn = draw(ctx.seed(), Purpose::StorageDelay, entity, self.operations);
        self.operations += 1;
        let span = range.min + span_below(drawn, Span(range.max.0.saturating_sub(range.min.0)));
        self.begun.insert(key.clone(), ctx.now + span);
        if span == Span::ZERO {
            return true;
        }
        self.desk.queue.add_after(ctx, key.clone(), span);
        false
    }

    fn on_claim(&mut self, claim: &PersistentVolumeClaim) {
        let asked = claim.meta.annotations.get(STORAGE_PROVISIONER);
        if claim.spec.volume.is_empty() && asked.is_some_and(|name| self.driver(name).is_some()) {
            self.desk.queue.add(Key::Claim(NamespacedName::of_meta(&claim.meta)));
        }
        if growth::wants_more(claim) {
            self.desk.queue.add(Key::Grow(NamespacedName::of_meta(&claim.meta)));
        }
    }

    fn on_volume(&mut self, volume: &PersistentVolume) {
        let ours = volume.meta.annotations.get(PROVISIONED_BY).is_some_and(|name| self.driver(name).is_some());
        let goes = volume.status.phase == VolumePhase::Released && volume.reclaim_policy == ReclaimPolicy::Delete;
        if ours && goes && !volume.meta.is_terminating() {
            self.desk.queue.add(Key::Volume(volume.meta.name.clone()));
        }
        if let Some(claim) = volume.claim.as_ref().filter(|_| volume.status.phase == VolumePhase::Bound) {
            let (namespace, name) = (claim.namespace.clone(), claim.name.clone());
            self.desk.queue.add(Key::Grow(NamespacedName::new(namespace, name)));
        }
    }

    /// A pod has begun to run: the file systems of its claims may grow.
    fn on_pod(&mut self, view: View<'_>, pod: &Pod) {
        for claim in pod.spec.volumes.iter().filter_map(|volume| volume.claim_name(&pod.meta.name)) {
            let found = view.find::<PersistentVolumeClaim>(&pod.meta.namespace, &claim.0).map(|(_, claim)| claim);
            found.into_iter().for_each(|claim| self.on_claim(claim));
        }
    }

    fn on_attachment(&mut self, attachment: &VolumeAttachment) {
        if self.driver(&attachment.attacher).is_none() {
            return;
        }
        let name = attachment.meta.name.clone();
        if attachment.meta.is_terminating() {
            self.begun.remove(&Key::Attach(name.clone()));
            self.desk.queue.add(Key::Detach(name));
        } else if !attachment.status.attached {
            self.desk.queue.add(Key::Attach(name));
        }
    }

    /// A node's CSINode, which belongs to the node.
    fn csi_node(&self, node: &Node) -> Request {
        let driver = |driver: &CsiDriverConfig| CsiNodeDriver {
            name: driver.name.clone(),
            node_id: node.meta.name.clone(),
            allocatable: driver.volumes_per_node,
            topology_keys: driver.topology_keys.clone(),
        };
        let (kind, name, uid) = (Kind::Node, node.meta.name.clone(), node.meta.uid);
        let owner = OwnerReference { kind, name, uid, controller: false, block_owner_deletion: false };
        let meta = Meta { owners: [owner].into(), ..Meta::named("", &node.meta.name) };
        Request::Create(object(CSINode { meta, drivers: self.drivers.iter().map(driver).collect() }))
    }

    fn sync_claim(&mut self, ctx: &mut Context<'_>, view: View<'_>, key: &Key, name: &NamespacedName) -> Work {
        let found = view.find::<PersistentVolumeClaim>(&name.namespace, &name.name).map(|(_, claim)| claim);
        let Some(claim) = found.filter(|claim| claim.spec.volume.is_empty() && !claim.meta.is_terminating()) else {
            self.begun.remove(key);
            return Work::default();
        };
        let class = view.find::<StorageClass>(&Name::default(), &claim.class()).map(|(_, class)| class);
        let named = claim.meta.annotations.get(STORAGE_PROVISIONER).cloned().unwrap_or_default();
        let (Some(class), Some(driver)) = (class, self.driver(&named).cloned()) else { return Work::default() };
        let selected = claim.meta.annotations.get(SELECTED_NODE);
        if class.binding_mode == BindingMode::WaitForFirstConsumer && selected.is_none() {
            self.begun.remove(key);
            return Work::default();
        }
        let subject = name.of(Kind::PersistentVolumeClaim);
        if !self.begun.contains_key(key) {
            let message =
                format!("External provisioner is provisioning volume for claim \"{}/{}\"", name.namespace, name.name);
            ctx.event(subject.clone(), Event::normal(REPORTER, "Provisioning", message).about(&claim.meta));
        }
        if !self.is_over(ctx, key, driver.provision) {
            return Work::default();
        }
        self.begun.remove(key);
        let volume = provisioned(ctx, view, claim, class, &driver);
        let message = format!("Successfully provisioned volume {}", volume.meta.name);
        let event = Event::normal(REPORTER, "ProvisioningSucceeded", message).about(&claim.meta);
        Work { writes: vec![Request::Create(object(volume))], events: vec![(subject, event)] }
    }

    fn sync_volume(&mut self, ctx: &mut Context<'_>, view: View<'_>, key: &Key, name: &Name) -> Work {
        let found = view.find::<PersistentVolume>(&Name::default(), name).map(|(_, volume)| volume);
        let released = |volume: &&Arc<PersistentVolume>| volume.status.phase == VolumePhase::Released;
        let attached = view.all::<VolumeAttachment>().any(|(_, attachment)| attachment.volume == *name);
        let Some(volume) = found.filter(released) else {
            self.begun.remove(key);
            return Work::default();
        };
        let by = volume.meta.annotations.get(PROVISIONED_BY).cloned().unwrap_or_default();
        let Some(driver) = self.driver(&by).cloned() else { return Work::default() };
        // A volume that is still attached cannot be deleted; its attachment's end brings it here again.
        if attached || !self.is_over(ctx, key, driver.provision) {
            return Work::default();
        }
        self.begun.remove(key);
        let object = ObjectKey::new(Kind::PersistentVolume, "", name);
        let (uid, propagation) = (Some(volume.meta.uid), Propagation::Background);
        Work { writes: vec![Request::Delete { key: object, uid, grace: None, propagation }], events: Vec::new() }
    }

    fn sync_attachment(&mut self, ctx: &mut Context<'_>, view: View<'_>, key: &Key, name: &Name) -> Work {
        let found = view.find::<VolumeAttachment>(&Name::default(), name).map(|(_, attachment)| attachment);
        let Some(attachment) = found else {
            self.begun.remove(key);
            return Work::default();
        };
        let Some(driver) = self.driver(&attachment.attacher).cloned() else { return Work::default() };
        let object_key = ObjectKey::new(Kind::VolumeAttachment, "", name);
        let finalizer = |present| {
            let patch = Patch::Finalizer { name: ATTACHER.into(), present };
            Request::Patch { key: object_key.clone(), patch }
        };
        let detaches = matches!(key, Key::Detach(_));
        if detaches != attachment.meta.is_terminating() || (!detaches && attachment.status.attached) {
            return Work::default();
        }
        if !detaches && attachment.meta.finalizers.is_empty() {
            return Work { writes: vec![finalizer(true)], events: Vec::new() };
        }
        if !self.is_over(ctx, key, if detaches { driver.detach } else { driver.attach }) {
            return Work::default();
        }
        self.begun.remove(key);
        if detaches {
            return Work { writes: vec![finalizer(false)], events: Vec::new() };
        }
        let mut attached = VolumeAttachment::clone(attachment);
        attached.status.attached = true;
        Work { writes: vec![Request::UpdateStatus { object: object(attached), expected: None }], events: Vec::new() }
    }
}

/// What an operation comes to.
#[derive(Default)]
pub(super) struct Work {
    pub(super) writes: Vec<Request>,
    pub(super) events: Vec<(ObjectKey, Event)>,
}

/// The volume that is made for a claim, as external-provisioner writes it.
fn provisioned(
    ctx: &Context<'_>,
    view: View<'_>,
    claim: &PersistentVolumeClaim,
    class: &StorageClass,
    driver: &CsiDriverConfig,
) -> PersistentVolume {
    let name = format!("pvc-{}", claim.meta.uid);
    let mut meta = Meta::named("", &name);
    meta.annotations = Labels::new([(PROVISIONED_BY, &*driver.name)]);
    let reference = ClaimReference {
        namespace: claim.meta.namespace.clone(),
        name: claim.meta.name.clone(),
        uid: Some(claim.meta.uid),
    };
    PersistentVolume {
        meta,
        capacity: claim.spec.request,
        access_modes: claim.spec.access_modes.clone(),
        reclaim_policy: class.reclaim_policy,
        storage_class: class.meta.name.clone(),
        mode: claim.spec.mode,
        attributes_class: claim.spec.attributes_class.clone(),
        claim: Some(reference),
        source: VolumeSource::Csi { driver: driver.name.clone(), handle: name.into(), read_only: false },
        node_affinity: topology(ctx, view, claim, class, driver).map(|term| vec![term]),
        ..PersistentVolume::default()
    }
}

/// Where the volume is: at the selected node; without one, at a node that the class allows, drawn by the claim.
fn topology(
    ctx: &Context<'_>,
    view: View<'_>,
    claim: &PersistentVolumeClaim,
    class: &StorageClass,
    driver: &CsiDriverConfig,
) -> Option<Vec<SelectorRequirement>> {
    let labels = match claim.meta.annotations.get(SELECTED_NODE) {
        Some(node) => view.find::<Node>(&Name::default(), node).map(|(_, node)| &node.meta.labels)?,
        None => {
            let nodes = view.all::<Node>().map(|(_, node)| &node.meta.labels);
            let mut allowed: Vec<&Labels> = nodes.filter(|labels| class.allows(labels)).collect();
            let place = |labels: &Labels| -> Vec<Option<Name>> {
                driver.topology_keys.iter().map(|key| labels.get(key).cloned()).collect()
            };
            allowed.sort_by_key(|labels| place(labels));
            allowed.dedup_by_key(|labels| place(labels));
            let count = allowed.len() as u64;
            let entity = StableHasher::hash_one(&claim.meta.uid);
            let drawn = draw(ctx.seed(), Purpose::StoragePlace, entity, 0);
            *allowed.get(if count == 0 { 0 } else { crate::draw::below(drawn, count) as usize })?
        }
    };
    let requirement = |key: &Name| {
        let values = vec![labels.get(key)?.clone()];
        Some(SelectorRequirement { key: key.clone(), operator: SelectorOperator::In, values })
    };
    let term: Vec<SelectorRequirement> = driver.topology_keys.iter().filter_map(requirement).collect();
    (!term.is_empty()).then_some(term)
}

impl Reconciler for Drivers {
    type Key = Key;
    type Stage = Stage;

    fn topics(&self) -> Topics {
        Topics::of_all(&[Kind::PersistentVolumeClaim, Kind::PersistentVolume, Kind::VolumeAttachment, Kind::Node])
            .and(Topics::POD_VOLUMES)
    }

    fn desk(&mut self) -> &mut Desk<Key, Stage> {
        &mut self.desk
    }

    fn list(&mut self, _ctx: &mut Context<'_>, view: View<'_>) {
        if self.drivers.is_empty() {
            return;
        }
        for driver in &self.drivers {
            self.desk.queue.add(Key::Driver(driver.name.clone()));
        }
        for (_, node) in view.all::<Node>() {
            self.desk.queue.add(Key::Node(node.meta.name.clone()));
        }
        for (_, claim) in view.all::<PersistentVolumeClaim>() {
            self.on_claim(claim);
        }
        for (_, volume) in view.all::<PersistentVolume>() {
            self.on_volume(volume);
        }
        for (_, attachment) in view.all::<VolumeAttachment>() {
            self.on_attachment(attachment);
        }
    }

    fn note(&mut self, ctx: &mut Context<'_>, view: View<'_>, News { change, .. }: &News<'_>) {
        if let Some((Some(old), Some(new))) = versions::<PersistentVolumeClaim>(view, change) {
            self.tell_of_growth_elsewhere(ctx, view, old, new);
        }
        if self.drivers.is_empty() {
            return;
        }
        if let Some((None, Some(node))) = versions::<Node>(view, change) {
            self.desk.queue.add(Key::Node(node.meta.name.clone()));
        }
        if let Some((_, Some(claim))) = versions::<PersistentVolumeClaim>(view, change) {
            self.on_claim(claim);
        }
        if let Some((_, Some(volume))) = versions::<PersistentVolume>(view, change) {
            self.on_volume(volume);
        }
        if let Some((old, Some(pod))) = versions::<Pod>(view, change) {
            let runs = |pod: &Arc<Pod>| pod.status.phase == Phase::Running;
            if runs(pod) && !old.is_some_and(runs) && !pod.spec.volumes.is_empty() {
                self.on_pod(view, pod);
            }
        }
        if let Some((old, new)) = versions::<VolumeAttachment>(view, change) {
            match (old, new) {
                (_, Some(attachment)) => self.on_attachment(attachment),
                (Some(gone), None) => self.desk.queue.add(Key::Volume(gone.volume.clone())),
                (None, None) => {}
            }
        }
    }

    fn sync(&mut self, ctx: &mut Context<'_>, view: View<'_>, key: Key) -> Step<Key, Stage> {
        let work = match &key {
            Key::Driver(name) => {
                let attach_required = self.driver(name).is_none_or(|driver| driver.attach_required);
                let meta = Meta::named("", name);
                let driver = CSIDriver { meta, attach_required, ..CSIDriver::default() };
                Work { writes: vec![Request::Create(object(driver))], events: Vec::new() }
            }
            Key::Node(name) => {
                let node = view.find::<Node>(&Name::default(), name).map(|(_, node)| self.csi_node(node));
                Work { writes: node.into_iter().collect(), events: Vec::new() }
            }
            Key::Claim(name) => self.sync_claim(ctx, view, &key, name),
            Key::Volume(name) => self.sync_volume(ctx, view, &key, name),
            Key::Attach(name) | Key::Detach(name) => self.sync_attachment(ctx, view, &key, name),
            Key::Grow(name) => self.sync_growth(ctx, view, &key, name),
        };
        self.desk.begin(ctx, key, Stage { events: work.events }, [work.writes])
    }

    fn proceed(&mut self, ctx: &mut Context<'_>, _: View<'_>, ended: Ended<Key, Stage>) -> Step<Key, Stage> {
        let Ended { key, stage, error, .. } = ended;
        if error.is_none() {
            stage.events.into_iter().for_each(|(subject, event)| ctx.event(subject, event));
        }
        self.desk.finish(ctx, &key, error.is_some())
    }
}
