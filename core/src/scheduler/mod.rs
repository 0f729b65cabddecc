//! The scheduler: it chooses a node for every pod that has none.
//!
//! One attempt takes the next pod from the [`queue`], looks for a node ([`placement`]), counts the pod there by
//! assumption and sends a bind request; the next attempt does not wait for the answer. What an attempt costs of the
//! scheduler's time is a model ([`effort`]): its requests leave when that time is over, and then the next attempt
//! begins. Invariants: a pod counts on at most one node; a pod is in the queue, being bound, or placed, never in two of
//! these; without pods to place there are no timers. Absent on purpose: leader election, extenders, and the plugins
//! listed in [`plugins`].
//!
//! Parts of one attempt, in their order: [`queue`], `cycle`, [`placement`], which searches with `reference` (the plain
//! way) or `board` and `first_look` (which remember, or pass once), `sampling`, then `prebind`; without a node
//! `diagnosis`, and `preemption` with `dry_run`, `nominations` and `evictions`; `explain` tells it all. What they look
//! at: `cache` (nodes and the pods on them, in the order of `node_tree`, of which a `stretch` is a part), `classes` of
//! like pods with their `traits`, `labels_asked` and `tally`, `appraisal`, `score_tree`, `relations`, `terms`,
//! `topology` and `sieve` (what other pods mean), `surroundings`, `storage` and `volumes`. What decides: `profile`,
//! [`plugins`], `policies` (with `gpu`); `events` are what can help a pod that waits; `float` is the rounding of
//! Kubernetes, and `rows` how tables of all pods grow.
//!
//! Source: pkg/scheduler/{schedule_one,eventhandlers}.go (v1.34.1).

mod appraisal;
mod board;
mod cache;
mod classes;
mod cycle;
mod diagnosis;
mod dry_run;
mod effort;
mod events;
mod evictions;
mod explain;
mod first_look;
mod float;
pub mod gpu;
mod labels_asked;
mod late_news;
mod node_tree;
mod nominations;
mod placement;
mod plugins;
pub mod policies;
mod prebind;
mod preemption;
mod profile;
mod queue;
mod reference;
mod relations;
mod rows;
mod sampling;
mod score_tree;
mod sieve;
mod storage;
mod stretch;
mod surroundings;
mod tally;
mod terms;
#[cfg(test)]
mod tests;
mod topology;
mod traits;
mod volumes;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use explain::{CandidateNode, Detail, Explained, NodeVerdict, Preempted};
pub use placement::Placement;
pub use profile::WEIGHT_SUM_MAX;

use crate::api::Client;
use crate::config::{Config, SchedulerConfig, SchedulingCost};
use crate::context::{Component, Context};
use crate::id::{ProcId, RequestId, RowId};
use crate::model::{
    Kind, Namespace, Node, Object, Pod, PodDisruptionBudget, PodSpec, ReplicaSet, ReplicationController, Service,
    StatefulSet,
};
use crate::scheduler::cache::{Standing, makes_room};
use crate::scheduler::classes::ClassId;
use crate::scheduler::cycle::Binding;
use crate::scheduler::events::{Event, node_changes};
use crate::scheduler::evictions::Evictions;
use crate::scheduler::late_news::LateNews;
use crate::scheduler::prebind::Prebinds;
use crate::scheduler::queue::Queue;
use crate::scheduler::surroundings::Owner;
use crate::scheduler::traits::{Identity, PodTraits};
use crate::seam::{Msg, TimerKind};
use crate::store::{Change, View};
use crate::time::Time;

/// Whether a node satisfies the node selector and the required node affinity of a pod's spec.
pub(crate) fn node_fits_affinity(spec: &PodSpec, node: &Node) -> bool {
    plugins::node_affinity_matches(spec, node)
}

/// The kinds that plugins about volumes look at.
const STORAGE_KINDS: [Kind; 7] = [
    Kind::StorageClass,
    Kind::PersistentVolume,
    Kind::PersistentVolumeClaim,
    Kind::CSINode,
    Kind::CSIDriver,
    Kind::CSIStorageCapacity,
    Kind::VolumeAttachment,
];
/// The scheduler's only API client.
const CLIENT: u8 = 0;

/// One scheduler process.
pub struct Scheduler {
    placement: Placement,
    queue: Queue,
    client: Client,
    /// Bind requests that wait for their answer.
    bindings: BTreeMap<RequestId, Binding>,
    /// Pods whose claims are being bound before they are.
    prebinds: Prebinds,
    /// Pods whose end makes room for others.
    evictions: Evictions,
    cost: SchedulingCost,
    /// The status of a pod that no node took, while it is being written and the next attempt waits for that.
    reporting: Option<RequestId>,
    async_api_calls: bool,
    late_news: LateNews,
    timers: Timers,
}

/// For when each timer is armed, so that nothing is armed twice for one time.
#[derive(Default)]
struct Timers {
    cycle: Option<Time>,
    backoff: Option<Time>,
    flush: Option<Time>,
}

impl Scheduler {
    /// A scheduler that has not started.
    pub fn new(config: &Config) -> Scheduler {
        let scheduler: &SchedulerConfig = &config.scheduler;
        Scheduler {
            placement: Placement::new(config.seed, scheduler),
            queue: Queue::new(scheduler, Time::ZERO),
            client: Client::new(CLIENT, scheduler.client_limit),
            bindings: BTreeMap::new(),
            prebinds: Prebinds::default(),
            evictions: Evictions::default(),
            cost: scheduler.cost,
            reporting: None,
            async_api_calls: scheduler.async_api_calls,
            late_news: LateNews::new(config.seed, scheduler.late_volume_news_percent),
            timers: Timers::default(),
        }
    }

    fn on_node(&mut self, old: Option<&Arc<Node>>, new: Option<&Arc<Node>>, now: Time) {
        match (old, new) {
            (None, Some(node)) => {
                self.placement.set_node(node);
                self.queue.on_event(&self.placement, &Event::NodeAdded(node), None, now);
            }
            (Some(old), Some(new)) => {
                let changes: Vec<_> = node_changes(old, new).collect();
                // A heartbeat changes nothing that matters here.
                if !changes.is_empty() || old.spec != new.spec {
                    self.placement.set_node(new);
                }
                for what in changes {
                    let event = Event::NodeChanged { old, new, what };
                    self.queue.on_event(&self.placement, &event, None, now);
                }
            }
            (Some(old), None) => {
                self.placement.remove_node(&old.meta.name);
                self.queue.on_event(&self.placement, &Event::NodeGone(old), None, now);
            }
            (None, None) => {}
        }
    }

    fn on_namespace(&mut self, old: Option<&Arc<Namespace>>, new: Option<&Arc<Namespace>>) {
        let Some(meta) = new.or(old).map(|it| &it.meta) else { return };
        self.placement.around.set_namespace(&meta.name, new.map(|new| &new.meta.labels));
    }

    fn on_service(&mut self, old: Option<&Arc<Service>>, new: Option<&Arc<Service>>) {
        let Some(meta) = new.or(old).map(|it| &it.meta) else { return };
        let selector = new.and_then(|new| new.selector.as_ref());
        self.placement.around.set_service(&meta.namespace, &meta.name, selector);
    }

    fn on_owner<T: Owner>(&mut self, old: Option<&Arc<T>>, new: Option<&Arc<T>>) {
        // Most changes of an owner are of its status.
        if old.zip(new).is_some_and(|(old, new)| old.selector() == new.selector()) {
            return;
        }
        let Some(meta) = new.or(old).map(|it| it.meta()) else { return };
        self.placement.around.set_owner(T::KIND, &meta.namespace, &meta.name, new.map(|new| new.selector()));
    }

    fn on_budget(&mut self, old: Option<&Arc<PodDisruptionBudget>>, new: Option<&Arc<PodDisruptionBudget>>) {
        let Some(meta) = new.or(old).map(|it| &it.meta) else { return };
        self.placement.around.set_budget(&meta.namespace, &meta.name, new);
    }

    /// A pod that has finished counts as gone: its requests are free.
    fn on_pod(&mut self, row: RowId, old: Option<&Arc<Pod>>, new: Option<&Arc<Pod>>, now: Time) {
        let old = old.filter(|pod| !pod.is_finished());
        match new.filter(|pod| !pod.is_finished()) {
            None => {
                let Some(old) = old else { return };
                // Kubernetes lets an assumed pod that was deleted count until its bind request fails; here it goes with
                // its row, whose number may soon belong to another pod.
                if old.node.is_some() || self.placement.cache.is_assumed(row) {
                    self.placed_pod_gone(row, old, now);
                } else {
                    self.queue.remove(&mut self.placement.classes, row);
                    self.unplaced_pod_gone(row, old, now);
                }
            }
            Some(pod) => match &pod.node {
                // A report of its kubelet that changes nothing that counts here.
                Some(_) if old.is_some_and(|old| counts_alike(old, pod)) => {}
                Some(node) => {
                    let placement = &mut self.placement;
                    self.queue.remove(&mut placement.classes, row);
                    let class = placement.class_of(row, pod);
                    placement.nominations.remove(&mut placement.classes, row);
                    placement.cache.set_pod(&mut placement.classes, row, node, class, Standing::of(pod));
                    if self.queue.minds_other_pods() {
                        self.tell_queue_of_placed(old, pod, now);
                    }
                    // Its nomination ends with its waiting: `deletePodFromSchedulingQueue`, eventhandlers.go.
                    if let Some(old) = old.filter(|old| old.node.is_none() && old.status.nominated_node.is_some()) {
                        self.nomination_gone(old, now);
                    }
                }
                None if self.placement.has_profile(&pod.spec.scheduler_name) => self.on_unplaced(row, old, pod, now),
                None => {}
            },
        }
    }

    fn unplaced_pod_gone(&mut self, row: RowId, old: &Arc<Pod>, now: Time) {
        let placement = &mut self.placement;
        placement.nominations.remove(&mut placement.classes, row);
        if old.status.nominated_node.is_some() {
            self.nomination_gone(old, now);
        }
    }

    /// A pod is nominated no more, or elsewhere: for others of its priority or less that is as if it had been deleted
    /// from its node.
    ///
    /// Source: `deletePodFromSchedulingQueue`, `updatePodInSchedulingQueue`, pkg/scheduler/eventhandlers.go (v1.34.1).
    fn nomination_gone(&mut self, old: &Pod, now: Time) {
        let traits = PodTraits::of(&old.spec, &Identity::of(old));
        let event = Event::PlacedPodGone(&traits);
        self.queue.on_event_up_to(&self.placement, &event, old.spec.priority, now);
    }

    fn placed_pod_gone(&mut self, row: RowId, old: &Arc<Pod>, now: Time) {
        let placement = &mut self.placement;
        let class = placement.class_of(row, old);
        placement.classes.hold(class);
        placement.cache.remove_pod(&mut placement.classes, row);
        let event = Event::PlacedPodGone(placement.classes.traits(class));
        self.queue.on_event(placement, &event, None, now);
        self.placement.classes.release(class);
    }

    /// A pod that is new on its node, or has other labels there, can help pods that wait for others.
    fn tell_queue_of_placed(&mut self, old: Option<&Arc<Pod>>, pod: &Arc<Pod>, now: Time) {
        let placement = &self.placement;
        let new = PodTraits::of(&pod.spec, &Identity::of(pod));
        match old.filter(|old| old.node.is_some()) {
            None => self.queue.on_event(placement, &Event::PodPlaced(&new), None, now),
            Some(old) if old.meta.labels != pod.meta.labels => {
                let old = PodTraits::of(&old.spec, &Identity::of(old));
                self.queue.on_event(placement, &Event::PlacedPodRelabelled { old: &old, new: &new }, None, now);
            }
            Some(_) => {}
        }
    }

    fn on_unplaced(&mut self, row: RowId, old: Option<&Arc<Pod>>, pod: &Arc<Pod>, now: Time) {
        let classes = &mut self.placement.classes;
        let Some(old) = old else {
            let class = classes.of(&pod.spec, &Identity::of(pod));
            if let Some(node) = &pod.status.nominated_node {
                self.placement.nominations.set(classes, row, class, node);
            }
            return self.queue.add(classes, row, class, pod.pinned_to(), now);
        };
        if self.placement.cache.is_assumed(row) {
            return;
        }
        self.on_unplaced_update(row, old, pod, now);
        if old.status.nominated_node.is_some() && old.status.nominated_node != pod.status.nominated_node {
            self.nomination_gone(old, now);
        }
    }

    /// A nomination that the status does not yet name stays.
    ///
    /// Source: `UpdateNominatedPod`, pkg/scheduler/backend/queue/nominator.go (v1.34.1).
    fn renominate(&mut self, row: RowId, old: &Pod, pod: &Pod, class: ClassId) {
        let Placement { classes, nominations, .. } = &mut self.placement;
        let named = match (&old.status.nominated_node, &pod.status.nominated_node) {
            (None, None) => nominations.node_of(row).cloned(),
            (_, new) => new.clone(),
        };
        match named {
            Some(node) => nominations.set(classes, row, class, &node),
            None => nominations.remove(classes, row),
        }
    }

    fn on_unplaced_update(&mut self, row: RowId, old: &Arc<Pod>, pod: &Arc<Pod>, now: Time) {
        let identity = Identity::of(pod);
        let same = old.spec == pod.spec && Identity::of(old) == identity;
        let classes = &mut self.placement.classes;
        if !same || old.status.nominated_node != pod.status.nominated_node {
            let class = classes.of(&pod.spec, &identity);
            classes.hold(class);
            self.renominate(row, old, pod, class);
            self.placement.classes.release(class);
        }
        let classes = &mut self.placement.classes;
        if same || !self.queue.contains(row) {
            return;
        }
        let class = classes.of(&pod.spec, &identity);
        self.queue.set_class(classes, row, class);
        if old.meta.labels != pod.meta.labels {
            let traits = |pod: &Pod| PodTraits::of(&pod.spec, &Identity::of(pod));
            let (old, new) = (traits(old), traits(pod));
            self.queue.on_event(&self.placement, &Event::Relabelled { old: &old, new: &new }, Some(row), now);
        }
        if old.spec.tolerations.len() != pod.spec.tolerations.len() {
            self.queue.on_event(&self.placement, &Event::TolerationsChanged, Some(row), now);
        }
        let lowered = pod.spec.containers.iter().zip(&old.spec.containers).any(|(new, old)| {
            new.requests.cpu_milli < old.requests.cpu_milli || new.requests.memory_bytes < old.requests.memory_bytes
        });
        if lowered {
            self.queue.on_event(&self.placement, &Event::RequestsLowered, Some(row), now);
        }
    }
}

/// Whether a pod counts on its node as it did before.
fn counts_alike(old: &Pod, pod: &Pod) -> bool {
    pod.is_report_of(old) && makes_room(old) == makes_room(pod)
}

impl Component for Scheduler {
    fn start(&mut self, ctx: &mut Context<'_>, view: View<'_>) {
        self.queue = Queue::new(&ctx.config.scheduler, ctx.now);
        for (_, namespace) in view.all::<Namespace>() {
            self.placement.set_object(&Object::Namespace(namespace.clone()));
        }
        for (_, service) in view.all::<Service>() {
            self.placement.set_object(&Object::Service(service.clone()));
        }
        for (_, replica_set) in view.all::<ReplicaSet>() {
            self.on_owner(None, Some(replica_set));
        }
        for (_, stateful_set) in view.all::<StatefulSet>() {
            self.on_owner(None, Some(stateful_set));
        }
        for (_, controller) in view.all::<ReplicationController>() {
            self.on_owner(None, Some(controller));
        }
        for (_, budget) in view.all::<PodDisruptionBudget>() {
            self.on_budget(None, Some(budget));
        }
        for kind in STORAGE_KINDS {
            for (_, object) in view.objects(kind) {
                self.placement.set_object(&object);
            }
        }
        for (_, node) in view.all::<Node>() {
            self.on_node(None, Some(node), ctx.now);
        }
        for (row, pod) in view.all::<Pod>() {
            self.on_pod(row, None, Some(pod), ctx.now);
        }
        self.work(ctx, view);
    }

    fn on_changes(&mut self, ctx: &mut Context<'_>, view: View<'_>, changes: &[Change]) {
        // A kubelet's report of a pod that goes on changes nothing that counts here.
        for change in changes.iter().filter(|change| !change.is_report) {
            let (before, after) = (view.before(change.revision), view.at(change.revision));
            match change.kind {
                Kind::Node => self.on_node(before.get(change.row), after.get(change.row), ctx.now),
                Kind::Pod => self.on_pod(change.row, before.get(change.row), after.get(change.row), ctx.now),
                Kind::Namespace => self.on_namespace(before.get(change.row), after.get(change.row)),
                Kind::Service => self.on_service(before.get(change.row), after.get(change.row)),
                Kind::ReplicaSet => self.on_owner::<ReplicaSet>(before.get(change.row), after.get(change.row)),
                Kind::StatefulSet => self.on_owner::<StatefulSet>(before.get(change.row), after.get(change.row)),
                Kind::ReplicationController => {
                    self.on_owner::<ReplicationController>(before.get(change.row), after.get(change.row));
                }
                Kind::PodDisruptionBudget => self.on_budget(before.get(change.row), after.get(change.row)),
                kind if STORAGE_KINDS.contains(&kind) => {
                    let object = |view: View<'_>| view.object(kind, change.row);
                    self.on_storage(object(before).as_ref(), object(after).as_ref(), ctx.now);
                }
                _ => {}
            }
        }
        self.work(ctx, view);
    }

    fn on_message(&mut self, ctx: &mut Context<'_>, view: View<'_>, from: ProcId, body: Msg) {
        match body {
            Msg::Response(id, answer) => self.on_answer(ctx, view, id, answer),
            other => panic!("{from} sent the scheduler what only others understand: {other:?}"),
        }
        self.work(ctx, view);
    }

    fn on_timer(&mut self, ctx: &mut Context<'_>, view: View<'_>, kind: TimerKind) {
        match kind {
            TimerKind::ClientTokens(CLIENT) => self.client.on_tokens(ctx),
            TimerKind::SchedulerCycle => {
                self.timers.cycle = None;
                self.client.release(ctx);
            }
            TimerKind::SchedulerBackoff => {
                self.timers.backoff = None;
                self.queue.on_backoff(ctx.now);
            }
            TimerKind::SchedulerVolumes => self.check_prebinds(ctx, view),
            TimerKind::SchedulerFlush => {
                self.timers.flush = None;
                self.queue.on_flush(ctx.now);
            }
            other => panic!("the scheduler has no timer {other:?}"),
        }
        self.work(ctx, view);
    }
}
