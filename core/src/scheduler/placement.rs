//! Placement alone: nodes, pods on them, and the choice of a node for a pod; no queue, no API server, no time.
//!
//! The scheduler process wraps this. Studies of placement, benchmarks and comparisons use it directly.

use std::sync::Arc;

use crate::config::{SchedulerConfig, Ties};
use crate::digest::Shared;
use crate::id::{Name, RowId};
use crate::model::{Kind, Node, Object, Pod, PodSpec};
use crate::scheduler::cache::Cache;
use crate::scheduler::classes::{ClassId, Classes};
use crate::scheduler::diagnosis::{Diagnosis, diagnose, rejected};
use crate::scheduler::plugins::volume_binding::Decision;
use crate::scheduler::plugins::{Reason, Refusal, texts};
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
        self.place_class(row, class, None)
    }

    /// The same for a pod whose namespace, labels and owner are known, which rules about other pods ask for.
    pub fn place_pod(&mut self, row: RowId, pod: &Pod) -> Result<Name, String> {
        let class = self.classes.of(&pod.spec, &Identity::of(pod));
        self.place_class(row, class, pod.pinned_to())
    }

    fn place_class(&mut self, row: RowId, class: ClassId, pinned_to: Option<&Name>) -> Result<Name, String> {
        self.classes.hold(class);
        let verdict = self.search(class, pinned_to);
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

    /// A namespace, Service, ReplicaSet, StatefulSet or an object about storage has appeared or changed. Other kinds of objects are no
    /// mistake.
    pub fn set_object(&mut self, object: &Object) {
        self.around.storage.set(None, Some(object));
        let around = &mut self.around;
        match object {
            Object::Namespace(it) => around.set_namespace(&it.meta.name, Some(&it.meta.labels)),
            Object::Service(it) => around.set_service(&it.meta.namespace, &it.meta.name, it.selector.as_ref()),
            Object::ReplicaSet(it) => {
                around.set_owner(Kind::ReplicaSet, &it.meta.namespace, &it.meta.name, Some(&it.selector));
            }
            Object::StatefulSet(it) => {
                around.set_owner(Kind::StatefulSet, &it.meta.namespace, &it.meta.name, Some(&it.selector));
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
        let refusal_of = |slot: u32| match pod.pinned_to() {
            Some(name) if cache.slot(slot).name != *name => Refusal::for_good(Reason::NotNamed),
            _ => case.refusal(slot),
        };
        let verdict = |slot: &u32| {
            let (node, refusal) = (cache.slot(*slot), refusal_of(*slot));
            if let Some(Rejection { message, .. }) = &rejection {
                let refused = vec![message.clone()];
                return NodeVerdict { node: node.name.clone(), refused, resolvable: false, scores: vec![] };
            }
            let refused = texts(case.pod(), node, refusal);
            NodeVerdict { node: node.name.clone(), refused, resolvable: !refusal.is_unresolvable(), scores: vec![] }
        };
        let mut verdicts: Vec<NodeVerdict> = cache.order().iter().map(verdict).collect();
        let feasible: Vec<u32> = cache.order().iter().copied().filter(|slot| refusal_of(*slot).is_none()).collect();
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

    /// Filter, PostFilter and Score for one pod of a class that may go to any node, or to one only.
    pub(super) fn search(&mut self, class: ClassId, pinned_to: Option<&Name>) -> Verdict {
        self.cache.refresh();
        let nodes = self.cache.node_count();
        if nodes == 0 {
            return Verdict::NoNodes;
        }
        if let Some(rejection) = self.rejection(class) {
            return Verdict::Unschedulable(rejected(nodes, rejection));
        }
        if let Some(name) = pinned_to {
            return self.search_one(class, name);
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

/// Looking at one node only.
impl Placement {
    /// PreFilter has left one node: the others are not looked at, and nothing is scored. What the class's board holds of
    /// all nodes is not needed, so it costs the same in a cluster of any size.
    ///
    /// Source: `findNodesThatFitPod`, pkg/scheduler/schedule_one.go (v1.34.1). Spread constraints count all nodes here,
    /// where Kubernetes counts only the one that the pod's node affinity leaves.
    fn search_one(&mut self, class: ClassId, name: &Name) -> Verdict {
        let (profile, around) = (&self.profile, &self.around);
        let relations = Relations::of(profile, &mut self.cache, &mut self.classes, around, class);
        let (cache, classes) = (&self.cache, &self.classes);
        let case = Case { profile, cache, classes, class, relations: relations.as_ref() };
        let named = cache.present_slot(name).map(|slot| (slot, case.refusal(slot)));
        self.start = (self.start + u32::from(named.is_some())) % cache.node_count();
        match named {
            Some((slot, refusal)) if refusal.is_none() => {
                Verdict::Node(slot, relations.as_ref().and_then(|relations| relations.decision(cache, slot)))
            }
            named => Verdict::Unschedulable(diagnose(cache, case.pod(), |position| match named {
                Some((slot, refusal)) if cache.order()[position as usize] == slot => refusal,
                _ => Refusal::for_good(Reason::NotNamed),
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
