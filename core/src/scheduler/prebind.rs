//! VolumeBinding's Reserve, PreBind and Unreserve: a pod is bound only when its claims are.
//!
//! Reserve assumes what has been decided; PreBind writes it, volume by volume and claim by claim, and then looks every
//! second whether the binder has finished. Invariant: what a pod's attempt has assumed is taken back when it fails.
//!
//! Source: `AssumePodVolumes`, `BindPodVolumes`, `checkBindings`,
//! pkg/scheduler/framework/plugins/volumebinding/binder.go (v1.34.1).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::api::{Answer, Reply, Request};
use crate::context::Context;
use crate::id::{Name, RequestId, Revision, RowId};
use crate::model::{Labels, Node, Object, PersistentVolume, PersistentVolumeClaim, Pod, SELECTED_NODE};
use crate::scheduler::Scheduler;
use crate::scheduler::cache::Standing;
use crate::scheduler::cycle::{note, tell_failure};
use crate::scheduler::events::Event;
use crate::scheduler::plugins::volume_binding::Decision;
use crate::scheduler::queue::Queued;
use crate::scheduler::storage::Key;
use crate::seam::TimerKind;
use crate::store::{Stored, View};
use crate::time::{Span, Time};
use crate::volumes::bound_to_claim;

/// How often it is looked whether the claims are bound.
const CHECK_PERIOD: Span = Span::from_secs(1);
/// `bindTimeoutSeconds`.
///
/// Source: `SetDefaults_VolumeBindingArgs`, pkg/scheduler/apis/config/v1/defaults.go (v1.34.1).
const BIND_TIMEOUT: Span = Span::from_secs(600);

/// All pods whose claims are being bound.
#[derive(Default)]
pub(super) struct Prebinds {
    pods: BTreeMap<RowId, Prebind>,
    asked: BTreeMap<RequestId, RowId>,
    armed: Option<Time>,
}

/// A pod with a node whose claims are being bound.
struct Prebind {
    queued: Queued,
    /// The pod as it was when it got its node.
    pod: Arc<Pod>,
    slot: u32,
    node: Name,
    /// The claims that have a volume, and that volume.
    bindings: Vec<(Key, Name)>,
    /// The claims whose volumes are being made.
    provisions: Vec<Key>,
    writes: VecDeque<Request>,
    /// Which version of what has been written: news of an older one is old.
    written: Vec<(Object, Revision)>,
    /// `None` while writes are under way.
    checks: Option<Checks>,
}

#[derive(Clone, Copy)]
struct Checks {
    next: Time,
    deadline: Time,
}

/// What a look at the claims shows.
enum Finding {
    Bound,
    NotYet,
    Failed(String),
}

impl Scheduler {
    /// Reserve, and the beginning of PreBind.
    pub(super) fn reserve_volumes(
        &mut self,
        ctx: &mut Context<'_>,
        view: View<'_>,
        queued: Queued,
        decided: (u32, Decision),
    ) {
        let (slot, decision) = decided;
        let pod = view.get::<Pod>(queued.row).expect("a queued pod is in the view");
        let (row, pod) = (queued.row, pod.clone());
        let placement = &mut self.placement;
        placement.assume(row, slot, queued.class, Standing::of(&pod));
        let node = placement.cache.slot(slot).name.clone();
        let storage = &mut placement.around.storage;
        let (mut writes, mut bindings, mut provisions) = (VecDeque::new(), Vec::new(), Vec::new());
        for (claim, volume) in decision.bindings {
            bindings.push((key_of(&claim), volume.meta.name.clone()));
            let Some(bound) = bound_to_claim(&volume, &claim).map(Arc::new) else { continue };
            let found = view.find::<PersistentVolume>(&Name::default(), &volume.meta.name);
            let expected = found.and_then(|(row, _)| view.version_of::<PersistentVolume>(row));
            storage.assume_volume(bound.clone());
            writes.push_back(Request::Update { object: Object::PersistentVolume(bound), expected });
        }
        for claim in decision.provisions {
            provisions.push(key_of(&claim));
            let mut selected = PersistentVolumeClaim::clone(&claim);
            selected.meta.annotations = selected.meta.annotations.with(SELECTED_NODE, node.clone());
            let selected = Arc::new(selected);
            let found = view.find::<PersistentVolumeClaim>(&claim.meta.namespace, &claim.meta.name);
            let expected = found.and_then(|(row, _)| view.version_of::<PersistentVolumeClaim>(row));
            storage.assume_claim(selected.clone());
            writes.push_back(Request::Update { object: Object::PersistentVolumeClaim(selected), expected });
        }
        let (written, checks) = (Vec::new(), None);
        let prebind = Prebind { queued, pod, slot, node, bindings, provisions, writes, written, checks };
        self.prebinds.pods.insert(row, prebind);
        self.next_write(ctx, row);
    }

    /// Takes in the answer to one of the writes; `None` if it is another request's.
    pub(super) fn on_prebind_answer(
        &mut self,
        ctx: &mut Context<'_>,
        view: View<'_>,
        id: RequestId,
        answer: &Answer,
    ) -> Option<()> {
        let row = self.prebinds.asked.remove(&id)?;
        match answer {
            Ok(Reply::Object(object, revision)) => {
                let prebind = self.prebinds.pods.get_mut(&row).expect("a pod's writes end before its PreBind");
                prebind.written.push((object.clone(), *revision));
                self.next_write(ctx, row);
            }
            Ok(other) => panic!("an update was answered with {other:?}"),
            Err(refusal) => self.fail_prebind(ctx, view, row, &refusal.to_string()),
        }
        Some(())
    }

    fn next_write(&mut self, ctx: &mut Context<'_>, row: RowId) {
        let prebind = self.prebinds.pods.get_mut(&row).expect("a pod's writes end before its PreBind");
        match prebind.writes.pop_front() {
            Some(write) => {
                let id = self.client.send(ctx, write);
                self.prebinds.asked.insert(id, row);
            }
            None => {
                prebind.checks = Some(Checks { next: ctx.now + CHECK_PERIOD, deadline: ctx.now + BIND_TIMEOUT });
                self.prebinds.arm(ctx);
            }
        }
    }

    /// Looks at the claims of all pods whose turn it is.
    pub(super) fn check_prebinds(&mut self, ctx: &mut Context<'_>, view: View<'_>) {
        self.prebinds.armed = None;
        let is_due = |prebind: &Prebind| prebind.checks.is_some_and(|checks| checks.next <= ctx.now);
        let due: Vec<RowId> =
            self.prebinds.pods.iter().filter(|(_, prebind)| is_due(prebind)).map(|(row, _)| *row).collect();
        for row in due {
            let prebind = self.prebinds.pods.get_mut(&row).expect("the pod was just seen");
            let checks = prebind.checks.as_mut().expect("only pods with checks are due");
            checks.next = ctx.now + CHECK_PERIOD;
            let timed_out = ctx.now >= checks.deadline;
            let finding =
                if timed_out { Finding::Failed("context deadline exceeded".to_owned()) } else { prebind.look(view) };
            match finding {
                Finding::NotYet => {}
                Finding::Bound => {
                    let prebind = self.prebinds.pods.remove(&row).expect("the pod was just seen");
                    let pod = view.get_uid::<Pod>(row, prebind.pod.meta.uid).expect("the look has found the pod");
                    self.bind(ctx, pod, prebind.queued, prebind.slot);
                }
                Finding::Failed(why) => self.fail_prebind(ctx, view, row, &format!("binding volumes: {why}")),
            }
        }
        self.prebinds.arm(ctx);
    }

    /// Unreserve: takes back what was assumed, and tries the pod again later.
    fn fail_prebind(&mut self, ctx: &mut Context<'_>, view: View<'_>, row: RowId, why: &str) {
        let prebind = self.prebinds.pods.remove(&row).expect("a PreBind that fails is under way");
        let storage = &mut self.placement.around.storage;
        prebind.bindings.iter().for_each(|(_, volume)| storage.restore_volume(volume));
        prebind.provisions.iter().for_each(|claim| storage.restore_claim(claim));
        let message = format!("running PreBind plugin \"VolumeBinding\": {why}");
        // Of a pod that has gone meanwhile it is said too.
        if view.get_uid::<Pod>(row, prebind.pod.meta.uid).is_none() {
            tell_failure(ctx, view, row, &prebind.pod, note(&message));
        }
        self.binding_failed(ctx, view, prebind.queued, prebind.pod.meta.uid, &message);
    }

    /// What one attempt went without is known by now.
    pub(super) fn hear_late_news(&mut self) {
        for (old, new) in self.late_news.waiting.drain(..) {
            self.placement.around.storage.set(old.as_ref(), Some(&new));
        }
        self.hear_of_claims(None);
    }

    /// New claims are known that came before now; all if no time is given.
    pub(super) fn hear_of_claims(&mut self, now: Option<Time>) {
        for claim in self.late_news.known_claims(now) {
            self.placement.around.storage.set(None, Some(&claim));
        }
    }

    /// An object about storage has changed: what is known of it, and pods that wait for that.
    pub(super) fn on_storage(&mut self, old: Option<&Object>, new: Option<&Object>, now: Time) {
        self.hear_late_news();
        if !self.late_news.take(old, new, now) {
            self.placement.around.storage.set(old, new);
        }
        let event = match (old, new) {
            (_, Some(Object::PersistentVolumeClaim(new))) => Event::ClaimChanged { old: of_kind(old), new },
            (_, Some(Object::PersistentVolume(new))) => Event::VolumeChanged { old: of_kind(old), new },
            (_, Some(Object::StorageClass(new))) => Event::ClassChanged { old: of_kind(old), new },
            (_, Some(Object::CSINode(new))) => Event::CsiNodeChanged { old: of_kind(old), new },
            (_, Some(Object::CSIStorageCapacity(new))) => Event::CapacityChanged { old: of_kind(old), new },
            (Some(Object::CSIDriver(old)), Some(Object::CSIDriver(new))) => Event::CsiDriverChanged { old, new },
            (Some(Object::VolumeAttachment(old)), None) => Event::AttachmentGone(old),
            _ => return,
        };
        self.queue.on_event(&self.placement, &event, None, now);
    }
}

fn of_kind<T: crate::model::Resource>(object: Option<&Object>) -> Option<&T> {
    object.and_then(T::from_object).map(|version| &**version)
}

fn key_of(claim: &PersistentVolumeClaim) -> Key {
    (claim.meta.namespace.clone(), claim.meta.name.clone())
}

impl Prebinds {
    fn arm(&mut self, ctx: &mut Context<'_>) {
        let next = self.pods.values().filter_map(|prebind| prebind.checks.map(|checks| checks.next)).min();
        if let Some(next) = next.filter(|next| self.armed.is_none_or(|armed| *next < armed)) {
            self.armed = Some(next);
            ctx.arm(TimerKind::SchedulerVolumes, next);
        }
    }
}

impl Prebind {
    /// Whether the binder has finished, as far as the watch has shown.
    fn look(&self, view: View<'_>) -> Finding {
        let Some((_, node)) = view.find::<Node>(&Name::default(), &self.node) else {
            return Finding::Failed(format!("failed to get node \"{0}\": node \"{0}\" not found", self.node));
        };
        if view.get_uid::<Pod>(self.queued.row, self.pod.meta.uid).is_none() {
            return Finding::Failed(format!("pod does not exist any more: pod \"{}\" not found", self.pod.meta.name));
        }
        let labels = &node.meta.labels;
        let bindings = self.bindings.iter().map(|(claim, volume)| self.look_at_binding(view, labels, claim, volume));
        let provisions = self.provisions.iter().map(|claim| self.look_at_provision(view, labels, claim));
        for finding in bindings.chain(provisions) {
            if !matches!(finding, Finding::Bound) {
                return finding;
            }
        }
        Finding::Bound
    }

    /// Whether the watch has yet to show what was written of an object.
    fn is_behind<T: Stored>(&self, view: View<'_>, row: RowId, object: &T) -> bool {
        let same = |written: &Object| written.kind() == T::KIND && written.uid() == object.meta().uid;
        let written = self.written.iter().find(|(written, _)| same(written)).map(|(_, revision)| *revision);
        written > view.version_of::<T>(row)
    }

    fn look_at_binding(&self, view: View<'_>, labels: &Labels, claim: &Key, volume: &Name) -> Finding {
        let Some((row, volume)) = view.find::<PersistentVolume>(&Name::default(), volume) else {
            return Finding::Failed(format!(
                "failed to check binding: could not find v1.PersistentVolume \"{volume}\""
            ));
        };
        let Some((_, claim)) = view.find::<PersistentVolumeClaim>(&claim.0, &claim.1) else {
            let what = "could not find v1.PersistentVolumeClaim";
            return Finding::Failed(format!("failed to check binding: {what} \"{}/{}\"", claim.0, claim.1));
        };
        if self.is_behind(view, row, &**volume) {
            return Finding::NotYet;
        }
        if !volume.is_reached_from(labels) {
            return Finding::Failed(self.unreachable(&volume.meta.name));
        }
        if volume.claim.as_ref().is_none_or(|claim| claim.uid.is_none()) {
            return Finding::Failed(format!("ClaimRef got reset for pv \"{}\"", volume.meta.name));
        }
        if claim.is_fully_bound() { Finding::Bound } else { Finding::NotYet }
    }

    fn look_at_provision(&self, view: View<'_>, labels: &Labels, key: &Key) -> Finding {
        let Some((row, claim)) = view.find::<PersistentVolumeClaim>(&key.0, &key.1) else {
            let what = "could not find v1.PersistentVolumeClaim";
            return Finding::Failed(format!("failed to check provisioning pvc: {what} \"{}/{}\"", key.0, key.1));
        };
        if self.is_behind(view, row, &**claim) {
            return Finding::NotYet;
        }
        if claim.meta.annotations.get(SELECTED_NODE) != Some(&self.node) {
            return Finding::Failed(format!("provisioning failed for PVC \"{}\"", claim.meta.name));
        }
        if !claim.spec.volume.is_empty() {
            match view.find::<PersistentVolume>(&Name::default(), &claim.spec.volume) {
                None => return Finding::NotYet,
                Some((_, volume)) if !volume.is_reached_from(labels) => {
                    return Finding::Failed(self.unreachable(&volume.meta.name));
                }
                Some(_) => {}
            }
        }
        if claim.is_fully_bound() { Finding::Bound } else { Finding::NotYet }
    }

    fn unreachable(&self, volume: &Name) -> String {
        let node = &self.node;
        format!("pv \"{volume}\" node affinity doesn't match node \"{node}\": no matching NodeSelectorTerms")
    }
}
