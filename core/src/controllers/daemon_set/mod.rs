//! The DaemonSet controller: one pod on every node that is meant.
//!
//! A sync has these stages of requests: claim (revisions and pods without an owner, those that no longer match),
//! history (the template becomes a ControllerRevision), create and delete for nodes that need it ([`manage`]), the same
//! for one step of a rolling update ([`rollout`]), status with the removal of old revisions. Pods are pinned to their
//! nodes and bound by the scheduler. Invariant: pods are created or deleted only when the watch has shown everything
//! that was asked for before. Source: pkg/controller/daemon (v1.34.1). The nodes are looked at once for a whole sync,
//! as there.
//!
//! Beside the stages: `fit` says which nodes are meant, `history` keeps the revisions, `backoff` paces the removal of
//! failed pods, `events` is what is said.

mod backoff;
mod events;
mod fit;
mod history;
mod manage;
mod rollout;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::api::{Answer, Refusal, Reply, Request};
use crate::config::ControllerManagerConfig;
use crate::context::Context;
use crate::controllers::claims::{Claims, Orphans, claim};
use crate::controllers::expectations::{Deletions, Expectations};
use crate::controllers::news::{News, Topics};
use crate::controllers::pods::{deletion_of, from_template, refused_creations, slow_start};
use crate::controllers::reconciler::{Desk, Reconciler, Step};
use crate::controllers::requests::Ended;
use crate::controllers::revisions::adopted;
use crate::controllers::{NamespacedName, managing};
use crate::id::{Name, RowId};
use crate::model::{
    ControllerRevision, DaemonSet, DaemonSetStrategy, Kind, Meta, Node, Object, Pod, PodOwn, PodTemplate,
};
use crate::store::{IndexKey, View};
use crate::time::Span;

use backoff::Backoff;
use fit::NodeFit;
use history::History;
use manage::{Situation, Wanted, pods_by_node};

/// The number of this controller's client and work queue.
pub(super) const NUMBER: u8 = 9;
/// `--concurrent-daemonset-syncs`, if syncs are as concurrent as by default.
const WORKERS: u32 = 2;
/// The most pods that one sync creates, and the most that it deletes.
const BURST: usize = 250;
/// Added to the time until a pod becomes available.
const SKEW: Span = Span::from_secs(1);

/// The controller.
pub(super) struct DaemonSets {
    desk: Desk<NamespacedName, Stage>,
    expectations: Expectations,
    orphans: Orphans,
    orphan_revisions: Orphans,
    backoff: Backoff,
}

/// A sync between two stages.
pub(in crate::controllers) struct Sync {
    set: Arc<DaemonSet>,
    nodes: Vec<NodeFit>,
    history: History,
    /// What a sync does now: manage, then roll.
    rolling: bool,
    failed: bool,
}

/// What a sync waits for.
pub(in crate::controllers) enum Stage {
    /// Adoptions and releases, of revisions first.
    Claim(Arc<DaemonSet>, Vec<Arc<ControllerRevision>>, Claims<ControllerRevision>),
    /// The creation of the template's revision.
    Create(Sync),
    /// The revision whose name was taken.
    Taken(Sync),
    /// One more collision in the status; the sync fails anyway.
    Collision,
    /// What keeps the revisions in order.
    History(Sync),
    /// Creations of pods; the pods to be deleted then.
    Pods(Sync, Vec<Arc<Pod>>),
    Deletions(Sync, Vec<Arc<Pod>>),
    Cleanup(Sync),
    /// The status update; the delay until the next look, and whether the sync has failed.
    Status {
        failed: bool,
        next: Option<Span>,
    },
}

impl DaemonSets {
    /// The controller before its start.
    pub(super) fn new(config: &ControllerManagerConfig) -> DaemonSets {
        let tolerated: fn(&Refusal) -> bool =
            |refusal| matches!(refusal, Refusal::NotFound(_)) || refusal.is_namespace_terminating();
        DaemonSets {
            desk: Desk::new(NUMBER, config.concurrent_syncs.min(WORKERS), config.client_limit, tolerated)
                .telling(events::told),
            expectations: Expectations::default(),
            orphans: Orphans::default(),
            orphan_revisions: Orphans::default(),
            backoff: Backoff::default(),
        }
    }

    /// The template's revision is there: brings the rest of the history in order.
    fn settle(
        &mut self,
        ctx: &mut Context<'_>,
        view: View<'_>,
        key: NamespacedName,
        mut sync: Sync,
    ) -> Step<NamespacedName, Stage> {
        let pods = pods_by_node(view, &sync.set, true);
        let writes = sync.history.writes(pods.values().flatten());
        self.desk.begin(ctx, key, Stage::History(sync), writes)
    }

    /// Creates and deletes what the nodes need, or what the rollout's next step asks for.
    fn act(
        &mut self,
        ctx: &mut Context<'_>,
        view: View<'_>,
        key: NamespacedName,
        sync: Sync,
    ) -> Step<NamespacedName, Stage> {
        let (pods, hash) = (pods_by_node(view, &sync.set, false), sync.history.hash());
        let situation = Situation { now: ctx.now, set: &sync.set, hash: &hash, nodes: &sync.nodes, pods: &pods };
        let wanted = if sync.rolling { situation.roll() } else { situation.manage(&mut self.backoff) };
        let Wanted { mut creations, mut deletions, ended, look_again, misses_node } = wanted;
        if misses_node {
            return self.update_status(ctx, view, key, Sync { failed: true, ..sync }, true);
        }
        for pod in ended {
            ctx.event(key.of(Kind::DaemonSet), events::ended(&pod).about(&sync.set.meta));
        }
        if let Some(delay) = look_again {
            self.desk.queue.add_after(ctx, key.clone(), delay);
        }
        creations.truncate(BURST);
        deletions.truncate(BURST);
        self.expectations.expect(&key, creations.len(), Deletions::Number(deletions.len()), ctx.now);
        let batches = if creations.is_empty() { Vec::new() } else { batches(&sync.set, &hash, creations) };
        self.desk.begin(ctx, key, Stage::Pods(sync, deletions), batches)
    }

    /// The name of the revision is taken: by an equal one, which is the current one then, or by another, so that the
    /// next name must differ.
    fn collided(
        &mut self,
        ctx: &mut Context<'_>,
        view: View<'_>,
        key: NamespacedName,
        mut sync: Sync,
        answers: &[Answer],
    ) -> Step<NamespacedName, Stage> {
        match answers {
            [Ok(Reply::Object(Object::ControllerRevision(taken), _)), _] if taken.template == sync.set.template => {
                sync.history.current = Some(ControllerRevision::clone(taken));
                self.settle(ctx, view, key, sync)
            }
            [_, Ok(Reply::Object(Object::DaemonSet(stored), _))]
                if stored.status.collision_count == sync.set.status.collision_count =>
            {
                let mut more = DaemonSet::clone(stored);
                more.status.collision_count = Some(more.status.collision_count.unwrap_or(0) + 1);
                let object = Object::DaemonSet(Arc::new(more));
                let update = Request::UpdateStatus { object, expected: None };
                self.desk.begin(ctx, key, Stage::Collision, [vec![update]])
            }
            _ => self.desk.finish(ctx, &key, true),
        }
    }

    /// What comes after pods were created and deleted.
    fn go_on(
        &mut self,
        ctx: &mut Context<'_>,
        view: View<'_>,
        key: NamespacedName,
        mut sync: Sync,
    ) -> Step<NamespacedName, Stage> {
        if sync.failed {
            return self.update_status(ctx, view, key, sync, true);
        }
        let rolls = matches!(sync.set.strategy, DaemonSetStrategy::RollingUpdate { .. });
        if !sync.rolling && rolls && self.expectations.satisfied(&key, ctx.now) {
            sync.rolling = true;
            return self.act(ctx, view, key, sync);
        }
        let surplus = sync.history.surplus(&sync.set, &pods_by_node(view, &sync.set, true));
        self.desk.begin(ctx, key, Stage::Cleanup(sync), [surplus])
    }

    fn update_status(
        &mut self,
        ctx: &mut Context<'_>,
        view: View<'_>,
        key: NamespacedName,
        sync: Sync,
        observed: bool,
    ) -> Step<NamespacedName, Stage> {
        let (pods, hash, set) = (pods_by_node(view, &sync.set, false), sync.history.hash(), &sync.set);
        let situation = Situation { now: ctx.now, set, hash: &hash, nodes: &sync.nodes, pods: &pods };
        let status = situation.count(observed);
        let next = (set.min_ready > Span::ZERO && status.ready != status.available).then_some(set.min_ready);
        let mut requests = Vec::new();
        if status != set.status {
            let object = Object::DaemonSet(Arc::new(DaemonSet { status, ..DaemonSet::clone(set) }));
            // Kubernetes writes again over a conflict; writing without a condition comes to the same.
            requests.push(Request::UpdateStatus { object, expected: None });
        }
        self.desk.begin(ctx, key, Stage::Status { failed: sync.failed, next }, [requests])
    }

    fn on_pod(&mut self, ctx: &mut Context<'_>, view: View<'_>, row: RowId, old: Option<&Pod>, new: Option<&Pod>) {
        self.orphans.note(row, old.map(|pod| &*pod.meta), new.map(|pod| &*pod.meta));
        match (old, new) {
            (_, Some(pod)) if pod.meta.is_terminating() => self.pod_leaves(view, pod),
            (None, Some(pod)) => match managing::<DaemonSet>(view, &pod.meta) {
                Some((key, _)) => {
                    self.expectations.created(&key, 1);
                    self.desk.queue.add(key);
                }
                None => self.offer(view, &pod.meta),
            },
            (Some(old), Some(pod)) => self.pod_changes(ctx, view, old, pod),
            (Some(old), None) => self.pod_leaves(view, old),
            (None, None) => {}
        }
    }

    fn pod_changes(&mut self, ctx: &mut Context<'_>, view: View<'_>, old: &Pod, pod: &Pod) {
        let changes_hands = old.meta.controller() != pod.meta.controller();
        if changes_hands && let Some((key, _)) = managing::<DaemonSet>(view, &old.meta) {
            self.desk.queue.add(key);
        }
        if let Some((key, set)) = managing::<DaemonSet>(view, &pod.meta) {
            self.desk.queue.add(key.clone());
            if set.min_ready > Span::ZERO && !old.is_ready() && pod.is_ready() {
                self.desk.queue.add_after(ctx, key, set.min_ready + SKEW);
            }
        } else if changes_hands || old.meta.labels != pod.meta.labels {
            self.offer(view, &pod.meta);
        }
    }

    fn pod_leaves(&mut self, view: View<'_>, pod: &Pod) {
        if let Some((key, _)) = managing::<DaemonSet>(view, &pod.meta) {
            self.expectations.deleted(&key, pod.meta.uid);
            self.desk.queue.add(key);
        }
    }

    /// Wakes every DaemonSet that could adopt an object.
    fn offer(&mut self, view: View<'_>, meta: &Meta) {
        if meta.is_managed() {
            return;
        }
        for (_, set) in view.in_namespace::<DaemonSet>(&meta.namespace) {
            if !set.selector.is_empty() && set.selector.matches(&meta.labels) {
                self.desk.queue.add(NamespacedName::of_meta(&set.meta));
            }
        }
    }

    /// A node that is gone wakes nobody: its pods are collected by others, and their end does.
    ///
    /// Source: `syncNodeUpdate`, pkg/controller/daemon/daemon_controller.go (v1.34.1).
    fn on_node(&mut self, view: View<'_>, old: Option<&Node>, new: Option<&Node>) {
        let Some(node) = new else { return };
        if old.is_some_and(|old| old.meta.labels == node.meta.labels && old.spec.taints == node.spec.taints) {
            return;
        }
        let pods: Vec<&Arc<Pod>> =
            view.under::<Pod>(IndexKey::Node(node.meta.name.clone())).map(|(_, pod)| pod).collect();
        for (_, set) in view.all::<DaemonSet>() {
            let has_pod = pods.iter().any(|pod| pod.meta.controller().is_some_and(|owner| owner.uid == set.meta.uid));
            let fit = fit::node(set, node);
            let matters = if has_pod { !fit.may_stay || set.status.misscheduled > 0 } else { fit.should_run };
            if matters {
                self.desk.queue.add(NamespacedName::of_meta(&set.meta));
            }
        }
    }

    fn on_revision(&mut self, view: View<'_>, row: RowId, old: Option<&Meta>, new: Option<&Meta>) {
        self.orphan_revisions.note(row, old, new);
        let managers = [old, new].into_iter().flatten().filter_map(|meta| managing::<DaemonSet>(view, meta));
        // Its own creation is no news to a DaemonSet.
        let managers: Vec<NamespacedName> = managers.map(|(key, _)| key).filter(|_| old.is_some()).collect();
        managers.into_iter().for_each(|key| self.desk.queue.add(key));
        if let Some(meta) = new {
            self.offer(view, meta);
        }
    }

    /// Takes in what became of creations.
    fn created(&mut self, ctx: &mut Context<'_>, key: &NamespacedName, answers: &[Answer], skipped: usize) {
        let refused = refused_creations(ctx, &key.of(Kind::DaemonSet), answers);
        self.expectations.created(key, refused + skipped);
    }
}

impl Reconciler for DaemonSets {
    type Key = NamespacedName;
    type Stage = Stage;

    fn topics(&self) -> Topics {
        Topics::of_all(&[Kind::DaemonSet, Kind::ControllerRevision, Kind::Node]).and(Topics::pods_of(Kind::DaemonSet))
    }

    fn desk(&mut self) -> &mut Desk<NamespacedName, Stage> {
        &mut self.desk
    }

    fn list(&mut self, ctx: &mut Context<'_>, view: View<'_>) {
        for (_, set) in view.all::<DaemonSet>() {
            self.desk.queue.add(NamespacedName::of_meta(&set.meta));
        }
        for (row, revision) in view.all::<ControllerRevision>() {
            self.on_revision(view, row, None, Some(&revision.meta));
        }
        for (row, pod) in view.all::<Pod>() {
            self.on_pod(ctx, view, row, None, Some(pod));
        }
    }

    fn note(&mut self, ctx: &mut Context<'_>, view: View<'_>, News { change, pods, .. }: &News<'_>) {
        let after = view.at(change.revision);
        match change.kind {
            Kind::Pod => self.on_pod(ctx, after, change.row, pods.0, pods.1),
            Kind::Node => {
                let (old, new) = view.sides::<Node>(change);
                self.on_node(after, old, new);
            }
            Kind::DaemonSet => {
                if let Some(key) = self.expectations.of_changed::<DaemonSet>(view, change) {
                    self.desk.queue.add(key);
                }
            }
            Kind::ControllerRevision => {
                let (old, new) = view.sides::<ControllerRevision>(change);
                self.on_revision(after, change.row, old.map(|it| &it.meta), new.map(|it| &it.meta));
            }
            _ => {}
        }
    }

    fn sync(&mut self, ctx: &mut Context<'_>, view: View<'_>, key: NamespacedName) -> Step<NamespacedName, Stage> {
        let Some((_, set)) = view.find::<DaemonSet>(&key.namespace, &key.name) else {
            self.expectations.forget(&key);
            return self.desk.finish(ctx, &key, false);
        };
        if set.selector.is_empty() {
            ctx.event(key.of(Kind::DaemonSet), events::selecting_all().about(&set.meta));
            return self.desk.finish(ctx, &key, false);
        }
        if set.meta.is_terminating() {
            return self.desk.finish(ctx, &key, false);
        }
        let set = set.clone();
        let (kind, selects) = (Kind::DaemonSet, |meta: &Meta| set.selector.matches(&meta.labels));
        let of_revision = |revision: &ControllerRevision| selects(&revision.meta);
        let (revisions, mut of_revisions) = claim(view, &self.orphan_revisions, kind, &set.meta, of_revision);
        let (_, mut of_pods) = claim(view, &self.orphans, kind, &set.meta, |pod: &Pod| selects(&pod.meta));
        let batches = [std::mem::take(&mut of_revisions.requests), std::mem::take(&mut of_pods.requests)];
        let adopter = of_revisions.adopter(kind, &set.meta).or_else(|| of_pods.adopter(kind, &set.meta));
        self.desk.begin_claims(ctx, key, Stage::Claim(set, revisions, of_revisions), adopter, batches)
    }

    fn proceed(
        &mut self,
        ctx: &mut Context<'_>,
        view: View<'_>,
        ended: Ended<NamespacedName, Stage>,
    ) -> Step<NamespacedName, Stage> {
        let Ended { key, stage, answers, skipped, error } = ended;
        match stage {
            Stage::Claim(..) | Stage::History(_) if error.is_some() => self.desk.finish(ctx, &key, true),
            Stage::Claim(set, mut revisions, of_revisions) => {
                let of_pods_from = of_revisions.len();
                let owned = |it| adopted(Kind::DaemonSet, &set.meta, it);
                revisions.extend(of_revisions.adopted(&answers[..of_pods_from]).map(owned));
                let (nodes, history) = (fit::nodes(view, &set), History::of(&set, revisions));
                let sync = Sync { set, nodes, history, rolling: false, failed: false };
                if sync.history.current.is_some() {
                    return self.settle(ctx, view, key, sync);
                }
                let creation = sync.history.creation(&sync.set);
                self.desk.begin(ctx, key, Stage::Create(sync), [vec![creation]])
            }
            Stage::Create(mut sync) => match (answers.into_iter().next(), error) {
                (Some(Ok(Reply::Object(Object::ControllerRevision(revision), _))), _) => {
                    sync.history.current = Some(Arc::unwrap_or_clone(revision));
                    self.settle(ctx, view, key, sync)
                }
                (_, Some(Refusal::AlreadyExists { key: taken, .. })) => {
                    let questions = vec![Request::Get(taken), Request::Get(key.of(Kind::DaemonSet))];
                    self.desk.begin(ctx, key, Stage::Taken(sync), [questions])
                }
                _ => self.desk.finish(ctx, &key, true),
            },
            Stage::Taken(sync) => self.collided(ctx, view, key, sync, &answers),
            Stage::Collision => self.desk.finish(ctx, &key, true),
            Stage::History(sync) if self.expectations.satisfied(&key, ctx.now) => self.act(ctx, view, key, sync),
            Stage::History(sync) => self.update_status(ctx, view, key, sync, false),
            Stage::Pods(mut sync, doomed) => {
                self.created(ctx, &key, &answers, skipped);
                sync.failed = error.is_some();
                let requests = doomed.iter().map(|pod| deletion_of(pod)).collect();
                self.desk.begin(ctx, key, Stage::Deletions(sync, doomed), [requests])
            }
            Stage::Deletions(mut sync, doomed) => {
                for (pod, _) in doomed.iter().zip(&answers).filter(|(_, answer)| answer.is_err()) {
                    self.expectations.deleted(&key, pod.meta.uid);
                }
                sync.failed |= error.is_some();
                self.go_on(ctx, view, key, sync)
            }
            Stage::Cleanup(sync) => self.update_status(ctx, view, key, Sync { failed: error.is_some(), ..sync }, true),
            Stage::Status { failed, next } => {
                let failed = failed || error.is_some();
                if let (Some(delay), false) = (next, failed) {
                    self.desk.queue.add_after(ctx, key.clone(), delay);
                }
                self.desk.finish(ctx, &key, failed)
            }
        }
    }
}

/// The creations of pods for these nodes, in growing batches. All but the node is shared by the pods of one sync.
fn batches(set: &DaemonSet, hash: &Name, nodes: Vec<Name>) -> Vec<Vec<Request>> {
    let template: PodTemplate = fit::pod_template(set, hash);
    let made = from_template(&template, Kind::DaemonSet, &set.meta);
    let creation = |node: Name| {
        let own = PodOwn { node: Some(node), ..PodOwn::default() };
        Request::Create(Object::Pod(Arc::new(Pod { own: Some(Box::new(own)), ..made.clone() })))
    };
    slow_start(nodes.into_iter().map(creation))
}
