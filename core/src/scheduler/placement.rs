//! Placement alone: nodes, pods on them, and the choice of a node for a pod; no queue, no API server, no time.
//!
//! The scheduler process wraps this. Studies of placement, benchmarks and comparisons use it directly.

use std::sync::Arc;

use crate::config::{SchedulerConfig, Ties};
use crate::digest::Shared;
use crate::id::{Name, RowId};
use crate::model::{Node, Object, Pod, PodSpec};
use crate::scheduler::cache::Cache;
use crate::scheduler::classes::{ClassId, Classes};
use crate::scheduler::diagnosis::{Diagnosis, diagnose, rejected};
use crate::scheduler::plugins::texts;
use crate::scheduler::plugins::volume_binding::Decision;
use crate::scheduler::profile::Profile;
use crate::scheduler::reference::{Case, Search, decide, normalized};
use crate::scheduler::relations::Relations;
use crate::scheduler::sampling::{TieBreak, feasible_nodes_wanted};
use crate::scheduler::surroundings::Surroundings;
use crate::scheduler::traits::Identity;
use crate::scheduler::volumes::{self, Rejection};

/// The placement algorithm with its state.
pub struct Placement {
    pub(super) profile: Profile,
    pub(super) cache: Cache,
    pub(super) classes: Classes,
    pub(super) around: Surroundings,
    /// The identity of pods of which only the spec is known.
    nobody: Identity,
    ties: Ties,
    percentage: u32,
    seed: u64,
    /// Where the next search begins.
    start: u32,
    /// How many searches there have been.
    searches: u64,
}

/// What the plugins say of one node for one pod.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeVerdict {
    /// The node.
    pub node: Name,
    /// The reasons of the first plugin that refuses it, as people read them; empty if it takes the pod.
    pub refused: Vec<String>,
    /// Whether the removal of pods could lift the refusal.
    pub resolvable: bool,
    /// Weighted scores by plugin name, of the plugins that score the pod.
    pub scores: Vec<(&'static str, i64)>,
}

/// What a search for a node came to.
pub(super) enum Verdict {
    /// This slot takes the pod; what is to be done about its claims first.
    Node(u32, Option<Decision>),
    /// There are no nodes at all.
    NoNodes,
    /// No node takes the pod.
    Unschedulable(Diagnosis),
}

impl Placement {
    /// An empty cluster with the default profile.
    pub fn new(seed: u64, config: &SchedulerConfig) -> Placement {
        Placement {
            profile: Profile::default_scheduler(),
            cache: Cache::default(),
            classes: Classes::default(),
            around: Surroundings::default(),
            nobody: Identity::default(),
            ties: config.ties,
            percentage: config.percentage_of_nodes_to_score,
            seed,
            start: 0,
            searches: 0,
        }
    }

    /// A node has appeared or changed.
    pub fn set_node(&mut self, node: &Arc<Node>) {
        self.cache.set_node(node);
    }

    /// A node is gone.
    pub fn remove_node(&mut self, name: &Name) {
        self.cache.remove_node(name);
    }

    /// Chooses a node for a new pod and counts the pod there; the message says why no node takes it.
    ///
    /// Panics if the row has a pod already.
    pub fn place(&mut self, row: RowId, spec: &Shared<PodSpec>) -> Result<Name, String> {
        let class = self.classes.of(spec, &self.nobody);
        self.place_class(row, class)
    }

    /// The same for a pod whose namespace, labels and owner are known, which rules about other pods ask for.
    pub fn place_pod(&mut self, row: RowId, pod: &Pod) -> Result<Name, String> {
        let class = self.classes.of(&pod.spec, &Identity::of(pod));
        self.place_class(row, class)
    }

    fn place_class(&mut self, row: RowId, class: ClassId) -> Result<Name, String> {
        self.classes.hold(class);
        let verdict = self.search(class);
        let placed = match verdict {
            Verdict::Node(slot, _) => {
                self.cache.assume(&mut self.classes, row, slot, class);
                Ok(self.cache.slot(slot).name.clone())
            }
            Verdict::NoNodes => Err(NO_NODES.to_string()),
            Verdict::Unschedulable(diagnosis) => Err(diagnosis.message),
        };
        self.classes.release(class);
        placed
    }

    /// Counts a pod on a node that somebody else chose.
    pub fn put(&mut self, row: RowId, pod: &Pod, node: &Name) {
        let class = self.classes.of(&pod.spec, &Identity::of(pod));
        self.cache.set_pod(&mut self.classes, row, node, class);
    }

    /// A namespace, Service, ReplicaSet or an object about storage has appeared or changed. Other kinds of objects are no
    /// mistake.
    pub fn set_object(&mut self, object: &Object) {
        self.around.storage.set(None, Some(object));
        let around = &mut self.around;
        match object {
            Object::Namespace(it) => around.set_namespace(&it.meta.name, Some(&it.meta.labels)),
            Object::Service(it) => around.set_service(&it.meta.namespace, &it.meta.name, it.selector.as_ref()),
            Object::ReplicaSet(it) => {
                around.set_replica_set(&it.meta.namespace, &it.meta.name, Some(&it.selector));
            }
            _ => {}
        }
    }

    /// What every plugin says of every node for a pod, in the order in which nodes are looked at. Nothing is placed.
    ///
    /// Scores are normalized over all nodes that take the pod and weighted.
    pub fn explain(&mut self, pod: &Pod) -> Vec<NodeVerdict> {
        self.cache.refresh();
        let class = self.classes.of(&pod.spec, &Identity::of(pod));
        self.classes.hold(class);
        let relations = Relations::of(&self.profile, &mut self.cache, &mut self.classes, &self.around, class);
        let (profile, cache, classes) = (&self.profile, &self.cache, &self.classes);
        let volumes = classes.traits(class).volumes.as_ref();
        let rejection = volumes.and_then(|pod| volumes::Filter::of(profile, pod, &self.around.storage, cache).err());
        let case = Case { profile, cache, classes, class, relations: relations.as_ref() };
        let verdict = |slot: &u32| {
            let (node, refusal) = (cache.slot(*slot), case.refusal(*slot));
            if let Some(Rejection { message, .. }) = &rejection {
                let refused = vec![message.clone()];
                return NodeVerdict { node: node.name.clone(), refused, resolvable: false, scores: vec![] };
            }
            let refused = texts(case.pod(), node, refusal);
            NodeVerdict { node: node.name.clone(), refused, resolvable: !refusal.is_unresolvable(), scores: vec![] }
        };
        let mut verdicts: Vec<NodeVerdict> = cache.order().iter().map(verdict).collect();
        let feasible: Vec<u32> = cache.order().iter().copied().filter(|slot| case.refusal(*slot).is_none()).collect();
        let feasible = if rejection.is_some() { Vec::new() } else { feasible };
        let own = profile.scorers(case.pod());
        let own = own.map(|enabled| (enabled, normalized(cache, case.pod(), &feasible, enabled.plugin)));
        let related = relations.iter().flat_map(|relations| relations.scores(cache, classes, class, &feasible));
        for (enabled, scores) in own.chain(related) {
            for (verdict, score) in verdicts.iter_mut().filter(|it| it.refused.is_empty()).zip(scores) {
                verdict.scores.push((enabled.plugin.name(), enabled.weight * score));
            }
        }
        self.classes.release(class);
        verdicts
    }

    /// A placed pod is gone.
    pub fn remove_pod(&mut self, row: RowId) {
        self.cache.remove_pod(&mut self.classes, row);
    }

    /// PreFilter, where a plugin refuses every node.
    fn rejection(&self, class: ClassId) -> Option<Rejection> {
        let pod = self.classes.traits(class).volumes.as_ref()?;
        volumes::Filter::of(&self.profile, pod, &self.around.storage, &self.cache).err()
    }

    /// Filter, PostFilter and Score for one pod of a class.
    pub(super) fn search(&mut self, class: ClassId) -> Verdict {
        self.cache.refresh();
        let nodes = self.cache.node_count();
        if nodes == 0 {
            return Verdict::NoNodes;
        }
        if let Some(rejection) = self.rejection(class) {
            return Verdict::Unschedulable(rejected(nodes, rejection));
        }
        self.searches += 1;
        let search = Search {
            start: self.start % nodes,
            wanted: feasible_nodes_wanted(self.percentage, nodes),
            tie_break: TieBreak::of(self.ties, self.seed, self.searches),
        };
        let (profile, around) = (&self.profile, &self.around);
        let relations = Relations::of(profile, &mut self.cache, &mut self.classes, around, class);
        let (pod, board) = self.classes.board(class);
        board.sync(profile, &self.cache, pod);
        let (cache, classes, relations) = (&self.cache, &self.classes, relations.as_ref());
        let case = Case { profile, cache, classes, class, relations };
        let board = classes.board_of(class);
        let outcome = board.decide(case, search);
        debug_assert!(
            nodes > ORACLE_NODES_MAX || outcome == decide(case, search),
            "the cached search is wrong: {outcome:?} for {search:?}"
        );
        self.start = (search.start + outcome.processed) % nodes;
        match outcome.slot {
            Some(slot) => Verdict::Node(slot, relations.and_then(|relations| relations.decision(cache, slot))),
            None => Verdict::Unschedulable(diagnose(cache, case.pod(), |position| {
                let own = board.refusal(position);
                if own.is_none() { case.related_refusal(cache.order()[position as usize]) } else { own }
            })),
        }
    }
}

/// Up to this number of nodes, builds with debug assertions check each outcome against the plain search.
const ORACLE_NODES_MAX: u32 = 64;

/// What is said when there is no node at all.
///
/// Source: `ErrNoNodesAvailable`, pkg/scheduler/scheduler.go (v1.34.1).
pub(super) const NO_NODES: &str = "no nodes available to schedule pods";
