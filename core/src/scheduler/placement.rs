//! Placement alone: nodes, pods on them, and the choice of a node for a pod; no queue, no API server, no time.
//!
//! The scheduler process wraps this. Studies of placement, benchmarks and comparisons use it directly.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::{SchedulerConfig, Ties};
use crate::digest::Shared;
use crate::draw::{Purpose, draw};
use crate::id::{Name, RowId};
use crate::model::{Kind, Node, Object, Pod, PodSpec};
use crate::scheduler::cache::{Cache, Standing};
use crate::scheduler::classes::{ClassId, Classes};
use crate::scheduler::diagnosis::{Diagnosis, diagnose, rejected};
use crate::scheduler::dry_run::DryRun;
use crate::scheduler::effort::Effort;
use crate::scheduler::first_look;
use crate::scheduler::nominations::Nominations;
use crate::scheduler::plugins::AnyPlugin;
use crate::scheduler::plugins::volume_binding::Decision;
use crate::scheduler::plugins::{Reason, Refusal};
use crate::scheduler::policies::NodeView;
use crate::scheduler::preemption::{PostFilter, Preemption, Reach, Seeker};
use crate::scheduler::profile::Profile;
use crate::scheduler::reference::{Case, Outcome, Search, decide};
use crate::scheduler::relations::Relations;
use crate::scheduler::sampling::{TieBreak, feasible_nodes_wanted};
use crate::scheduler::surroundings::Surroundings;
use crate::scheduler::traits::Identity;
use crate::scheduler::volumes::{self, Rejection};

/// The placement algorithm with its state.
pub struct Placement {
    pub(super) cache: Cache,
    pub(super) classes: Classes,
    pub(super) around: Surroundings,
    /// The identity of pods of which only the spec is known.
    nobody: Identity,
    pub(super) nominations: Nominations,
    pub(super) ties: Ties,
    pub(super) seed: u64,
    /// Where the next search begins.
    start: u32,
    /// How many searches there have been.
    pub(super) searches: u64,
}

/// What a search for a node came to.
pub(super) enum Verdict {
    /// This slot takes the pod; what is to be done about its claims first.
    Node(u32, Option<Decision>),
    /// There are no nodes at all.
    NoNodes,
    /// No node takes the pod.
    Unschedulable(Failure),
}

/// Why no node takes a pod, and what becomes of it.
pub(super) struct Failure {
    /// The plugins that refused some node, in their order, each once.
    pub(super) plugins: Vec<AnyPlugin>,
    /// The scheduler's message: what the filters say and what PostFilter adds.
    pub(super) message: String,
    pub(super) preemption: Preemption,
}

impl Placement {
    /// An empty cluster with the configuration's profiles and policies.
    pub fn new(seed: u64, config: &SchedulerConfig) -> Placement {
        let profiles = config.profiles.iter().map(|profile| Profile::of(profile, config));
        Placement {
            cache: Cache::default(),
            classes: Classes::new(profiles.collect()),
            around: Surroundings::default(),
            nobody: Identity::default(),
            nominations: Nominations::default(),
            ties: config.ties,
            seed,
            start: 0,
            searches: 0,
        }
    }

    /// Whether some profile has the name, so that pods that ask for it are placed.
    pub fn has_profile(&self, name: &str) -> bool {
        self.classes.profiles().iter().any(|profile| *profile.name == *name)
    }

    /// Whether gates keep a pod from being tried at all.
    pub fn is_gated(&self, pod: &Pod) -> bool {
        let has_gates = pod.spec.rules.as_ref().is_some_and(|rules| !rules.scheduling_gates.is_empty());
        let mut profiles = self.classes.profiles().iter();
        has_gates && profiles.any(|profile| profile.name == pod.spec.scheduler_name && profile.minds_gates)
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
    /// Panics if the row has a pod already, or if no profile places such pods.
    pub fn place(&mut self, row: RowId, spec: &Shared<PodSpec>) -> Result<Name, String> {
        let class = self.classes.of(spec, &self.nobody);
        self.place_class(Seeker { row, class, pinned_to: None, nominated: None }, Standing::default())
    }

    /// The same for a pod whose namespace, labels and owner are known, which rules about other pods ask for.
    pub fn place_pod(&mut self, row: RowId, pod: &Pod) -> Result<Name, String> {
        let class = self.classes.of(&pod.spec, &Identity::of(pod));
        self.place_class(Seeker::of(row, class, pod), Standing::of(pod))
    }

    /// As [`Placement::place`], for callers who do not ask why no node takes the pod: finding that out costs more than
    /// the search.
    pub fn try_place(&mut self, row: RowId, spec: &Shared<PodSpec>) -> Option<Name> {
        let class = self.classes.of(spec, &self.nobody);
        self.classes.hold(class);
        let look = self.look(Seeker { row, class, pinned_to: None, nominated: None });
        let placed = look.and_then(|look| look.outcome.slot).map(|slot| {
            self.assume(row, slot, class, Standing::default());
            self.cache.slot(slot).name.clone()
        });
        self.classes.release(class);
        placed
    }

    /// What policies see of a node; `None` if there is no such node.
    pub fn node(&self, name: &Name) -> Option<NodeView<'_>> {
        self.cache.present_slot(name).map(|slot| NodeView(self.cache.slot(slot)))
    }

    /// The node on which a pod counts.
    pub fn node_of(&self, row: RowId) -> Option<NodeView<'_>> {
        self.cache.slot_of_pod(row).map(|slot| NodeView(self.cache.slot(slot)))
    }

    fn place_class(&mut self, seeker: Seeker<'_>, standing: Standing<'_>) -> Result<Name, String> {
        let Seeker { row, class, .. } = seeker;
        self.classes.hold(class);
        let (verdict, _) = self.search(seeker);
        let placed = match verdict {
            Verdict::Node(slot, _) => {
                self.assume(row, slot, class, standing);
                Ok(self.cache.slot(slot).name.clone())
            }
            Verdict::NoNodes => Err(NO_NODES.to_string()),
            Verdict::Unschedulable(failure) => Err(failure.message),
        };
        self.classes.release(class);
        placed
    }

    /// Reserve: a pod counts where it is about to be bound, on the GPUs there that the policy gives it, and is
    /// nominated no more.
    pub(super) fn assume(&mut self, row: RowId, slot: u32, class: ClassId, standing: Standing<'_>) {
        self.nominations.remove(&mut self.classes, row);
        let draw = || draw(self.seed, Purpose::Policy, self.searches, 1);
        let devices = self.classes.profile(class).devices(self.classes.traits(class), self.cache.slot(slot), draw);
        self.cache.assume(&mut self.classes, row, slot, class, devices, standing);
    }

    /// A pod's class: mostly the one that it counts with, if it counts somewhere.
    pub(super) fn class_of(&mut self, row: RowId, pod: &Pod) -> ClassId {
        let known = self.cache.class_of(row).filter(|class| self.classes.traits(*class).are_of(pod));
        known.unwrap_or_else(|| self.classes.of(&pod.spec, &Identity::of(pod)))
    }

    /// Counts a pod on a node that somebody else chose.
    pub fn put(&mut self, row: RowId, pod: &Pod, node: &Name) {
        let class = self.class_of(row, pod);
        self.cache.set_pod(&mut self.classes, row, node, class, Standing::of(pod));
    }

    /// A namespace, Service, ReplicaSet, StatefulSet, ReplicationController, disruption budget or an object about
    /// storage has appeared or changed. Other kinds of objects are no mistake.
    pub fn set_object(&mut self, object: &Object) {
        self.around.storage.set(None, Some(object));
        let around = &mut self.around;
        match object {
            Object::Namespace(it) => around.set_namespace(&it.meta.name, Some(&it.meta.labels)),
            Object::Service(it) => around.set_service(&it.meta.namespace, &it.meta.name, it.selector.as_ref()),
            Object::ReplicaSet(it) => {
                around.set_owner(Kind::ReplicaSet, &it.meta.namespace, &it.meta.name, Some(&it.selector));
            }
            Object::ReplicationController(it) => {
                let kind = Kind::ReplicationController;
                around.set_owner(kind, &it.meta.namespace, &it.meta.name, Some(&it.selector));
            }
            Object::StatefulSet(it) => {
                around.set_owner(Kind::StatefulSet, &it.meta.namespace, &it.meta.name, Some(&it.selector));
            }
            Object::PodDisruptionBudget(it) => around.set_budget(&it.meta.namespace, &it.meta.name, Some(it)),
            _ => {}
        }
    }

    /// A placed pod is gone.
    pub fn remove_pod(&mut self, row: RowId) {
        self.cache.remove_pod(&mut self.classes, row);
    }

    /// PreFilter, where a plugin refuses every node.
    fn rejection(&self, profile: &Profile, class: ClassId) -> Option<Rejection> {
        let pod = self.classes.traits(class).volumes.as_ref()?;
        volumes::Filter::of(profile, pod, &self.around.storage, &self.cache).err()
    }

    /// Filter, PostFilter and Score for one pod, which may go to any node or to one only.
    pub(super) fn search(&mut self, seeker: Seeker<'_>) -> (Verdict, Effort) {
        let Some(look) = self.look(seeker) else { return (Verdict::NoNodes, Effort::default()) };
        let mut effort = self.effort(seeker, &look);
        if let Some(slot) = look.outcome.slot {
            return (Verdict::Node(slot, look.decision(self, slot)), effort);
        }
        let Diagnosis { plugins, reasons: mut message } = self.diagnose(seeker, &look);
        let PostFilter { text, preemption, tried } = self.post_filter(seeker, look, Reach::Enough);
        effort.tried = tried;
        if let Some(text) = text {
            message.push(' ');
            message.push_str(&text);
        }
        (Verdict::Unschedulable(Failure { plugins, message, preemption }), effort)
    }

    /// Filter and Score; `None` if there are no nodes at all.
    pub(super) fn look(&mut self, seeker: Seeker<'_>) -> Option<Look> {
        let class = seeker.class;
        self.cache.refresh();
        if self.cache.node_count() == 0 {
            return None;
        }
        let profiles = self.classes.profiles().clone();
        let profile = &profiles[self.classes.profile_number(class).expect("only pods of some profile are placed")];
        if let Some(rejection) = self.rejection(profile, class) {
            return Some(Look::rejected(rejection));
        }
        Some(match seeker.pinned_to {
            Some(node) => self.look_at_one(profile, seeker, node),
            None => self.look_at_all(profile, seeker),
        })
    }

    fn look_at_all(&mut self, profile: &Profile, seeker: Seeker<'_>) -> Look {
        let (class, nodes) = (seeker.class, self.cache.node_count());
        self.searches += 1;
        // Only nodes that the pod names are looked at, if it names any.
        let named = profile.named_nodes(self.classes.traits(class)).map(|names| self.cache.present(names));
        let wanted = match profile.has_scorers {
            true => feasible_nodes_wanted(profile.percentage, named.unwrap_or(nodes)).max(1),
            false => 1,
        };
        let tie_break = TieBreak::of(self.ties, self.seed, self.searches);
        let draw = if profile.has_no_policies() { 0 } else { draw(self.seed, Purpose::Policy, self.searches, 0) };
        let search = Search { start: self.start % nodes, wanted, tie_break, draw };
        let relations = Relations::of(profile, &mut self.cache, &mut self.classes, &self.around, class);
        let relations = self.with_nominated(profile, seeker, relations);
        if !self.classes.note_search(class)
            && seeker.nominated.is_none()
            && let Some(outcome) = first_look::decide(self.case(class, relations.as_ref()), search)
        {
            debug_assert!(
                nodes > ORACLE_NODES_MAX || outcome == decide(self.case(class, relations.as_ref()), search),
                "the search in one pass is wrong: {outcome:?} for {search:?}"
            );
            return self.looked(search, relations, outcome, named);
        }
        let (pod, board) = self.classes.board(class);
        board.sync(profile, &self.cache, pod, relations.is_some());
        self.classes.trim_boards(nodes);
        let case = self.case(class, relations.as_ref());
        // The nominated node is probably the only one that takes the pod, so it is tried first, alone.
        if let Some(start) = self.takes_nominated(case, seeker) {
            let outcome = Outcome { slot: Some(self.cache.order()[start as usize]), feasible: 1, processed: 1 };
            let search = Search { start, ..search };
            return Look { search, relations, outcome, checked: 1, rejection: None };
        }
        let outcome = self.classes.board_of(class).decide(case, search);
        debug_assert!(
            nodes > ORACLE_NODES_MAX || outcome == decide(case, search),
            "the cached search is wrong: {outcome:?} for {search:?}"
        );
        self.looked(search, relations, outcome, named)
    }

    /// A search has come to an end: the next begins behind it. Of `named` nodes only those were looked at.
    fn looked(&mut self, search: Search, relations: Option<Relations>, outcome: Outcome, named: Option<u32>) -> Look {
        let checked = named.unwrap_or(outcome.processed);
        self.start = (search.start + checked) % self.cache.node_count();
        Look { search, relations, outcome, checked, rejection: None }
    }

    /// The position of the node that the pod is nominated to, if that takes it.
    ///
    /// Source: `evaluateNominatedNode`, pkg/scheduler/schedule_one.go (v1.34.1).
    fn takes_nominated(&self, case: Case<'_>, seeker: Seeker<'_>) -> Option<u32> {
        let position = self.cache.position(self.cache.slot_of(seeker.nominated?)?)?;
        let slot = self.cache.order()[position as usize];
        let own = self.classes.board_of(seeker.class).refusal(position);
        case.with_related(own, slot).is_none().then_some(position)
    }

    /// The relations with what nodes say beside the pods that are nominated to them.
    fn with_nominated(
        &mut self,
        profile: &Profile,
        seeker: Seeker<'_>,
        relations: Option<Relations>,
    ) -> Option<Relations> {
        if self.nominations.is_empty() {
            return relations;
        }
        let present = |node| self.cache.slot_of(node).filter(|slot| self.cache.position(*slot).is_some());
        let slots: Vec<u32> = self.nominations.nodes().filter_map(present).collect();
        let mut run = self.in_thought(profile, seeker, relations);
        let mut refused = BTreeMap::new();
        for slot in slots {
            let node = run.cache.slot(slot).clone();
            let said = run.beside_nominated(&node, slot).filter(|(refusal, _)| !refusal.is_none());
            refused.extend(said.map(|said| (slot, said)));
        }
        Relations::with_nominated(run.relations, refused)
    }

    /// A cluster to take pods away from in thought, for a pod that seeks a node.
    pub(super) fn in_thought<'a>(
        &'a mut self,
        profile: &'a Profile,
        seeker: Seeker<'_>,
        relations: Option<Relations>,
    ) -> DryRun<'a> {
        DryRun {
            profile,
            cache: &mut self.cache,
            classes: &self.classes,
            around: &self.around,
            nominations: &self.nominations,
            row: seeker.row,
            class: seeker.class,
            relations,
        }
    }

    /// Why no node takes the pod. The cluster must be as it was at the search.
    pub(super) fn diagnose(&self, seeker: Seeker<'_>, look: &Look) -> Diagnosis {
        let case = self.case(seeker.class, look.relations.as_ref());
        if let Some(rejection) = &look.rejection {
            return rejected(case, rejection);
        }
        let refusals = self.refusals(seeker, look);
        diagnose(case, |position| refusals[position as usize])
    }

    /// Every node's refusal, by position, after a search that PreFilter has not ended.
    pub(super) fn refusals(&self, seeker: Seeker<'_>, look: &Look) -> Vec<Refusal> {
        let (case, order) = (self.case(seeker.class, look.relations.as_ref()), self.cache.order());
        if let Some(name) = seeker.pinned_to {
            let refusal = |slot: &u32| match self.cache.slot(*slot) {
                node if node.name == *name => case.refusal(*slot),
                _ => Refusal::for_good(Reason::NotNamed),
            };
            return order.iter().map(refusal).collect();
        }
        let board = self.classes.board_of(seeker.class);
        (0..).zip(order).map(|(position, slot)| case.with_related(board.refusal(position), *slot)).collect()
    }

    /// A pod's case, with what other nodes' pods mean for it.
    pub(super) fn case<'a>(&'a self, class: ClassId, relations: Option<&'a Relations>) -> Case<'a> {
        let profile = self.classes.profile(class);
        Case { profile, cache: &self.cache, classes: &self.classes, around: &self.around, class, relations }
    }
}

/// A search and what it found.
pub(super) struct Look {
    pub(super) search: Search,
    pub(super) relations: Option<Relations>,
    pub(super) outcome: Outcome,
    /// How many nodes were looked at; none that PreFilter passes over.
    pub(super) checked: u32,
    /// Why PreFilter passed over all nodes, if it did.
    pub(super) rejection: Option<Rejection>,
}

impl Look {
    /// A plugin's PreFilter has refused the pod on every node: none was looked at.
    fn rejected(rejection: Rejection) -> Look {
        let search = Search { start: 0, wanted: 1, tie_break: TieBreak::First, draw: 0 };
        let outcome = Outcome { slot: None, feasible: 0, processed: 0 };
        Look { search, relations: None, outcome, checked: 0, rejection: Some(rejection) }
    }

    /// What is to be done about the pod's claims on the node that was chosen.
    fn decision(&self, placement: &Placement, slot: u32) -> Option<Decision> {
        let storage = &placement.around.storage;
        self.relations.as_ref().and_then(|relations| relations.decision(storage, &placement.cache, slot))
    }
}

/// Looking at one node only.
impl Placement {
    /// PreFilter has left one node: the others are not looked at, and nothing is scored. What the class's board holds
    /// of all nodes is not needed, so it costs the same in a cluster of any size.
    ///
    /// Source: `findNodesThatFitPod`, pkg/scheduler/schedule_one.go (v1.34.1). Spread constraints count all nodes here,
    /// where Kubernetes counts only the one that the pod's node affinity leaves.
    fn look_at_one(&mut self, profile: &Profile, seeker: Seeker<'_>, name: &Name) -> Look {
        let (class, nodes) = (seeker.class, self.cache.node_count());
        let relations = Relations::of(profile, &mut self.cache, &mut self.classes, &self.around, class);
        let relations = self.with_nominated(profile, seeker, relations);
        let case = self.case(class, relations.as_ref());
        let named = self.cache.present_slot(name);
        let slot = named.filter(|slot| case.refusal(*slot).is_none());
        let checked = u32::from(named.is_some());
        let outcome = Outcome { slot, feasible: u32::from(slot.is_some()), processed: checked };
        let search = Search { start: self.start, wanted: 1, tie_break: TieBreak::First, draw: 0 };
        self.start = (self.start + checked) % nodes;
        Look { search, relations, outcome, checked, rejection: None }
    }
}

/// Up to this number of nodes, builds with debug assertions check each outcome against the plain search.
const ORACLE_NODES_MAX: u32 = 64;

/// What is said when there is no node at all.
///
/// Source: `ErrNoNodesAvailable`, pkg/scheduler/scheduler.go (v1.34.1).
pub(super) const NO_NODES: &str = "no nodes available to schedule pods";
