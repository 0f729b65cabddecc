//! Pod classes: pods that the scheduler cannot tell apart are one class, so what it knows of them is computed once.
//!
//! Pods are alike in their spec and in what other pods see of them, their [`Identity`]; being deleted makes no other
//! class of a pod. Classes of one spec share a [`Board`], because what a node alone says of a pod depends on the spec
//! only. A class also knows on which nodes its
//! pods are: that is how pods are counted by labels without looking at every pod.
//!
//! Invariant: a class lives as long as some pod, queued or placed, holds it; its number may then be used again.

use std::sync::Arc;

use crate::digest::{Shared, StableHasher};
use crate::id::Name;
use crate::model::{Labels, PodSpec};
use crate::scheduler::board::Board;
use crate::scheduler::labels_asked::{LabelsAsked, label_hash};
use crate::scheduler::plugins::topology_spread::{Eligibility, Inclusion};
use crate::scheduler::profile::Profile;
use crate::scheduler::tally::Tally;
use crate::scheduler::terms::{Pods, Term, Terms};
use crate::scheduler::topology::Domains;
use crate::scheduler::traits::{Identity, PodTraits, SpecTraits};
use crate::store::ByHash;

/// A class is tallied when it has at least one pod for so many slots; a slot takes 4 B of the tally.
const SLOTS_PER_POD_MAX: usize = 8;

/// A class's number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct ClassId(u32);

#[cfg(test)]
impl ClassId {
    pub(super) const FIRST: ClassId = ClassId(0);
}

/// A class.
pub(super) struct Class {
    pub(super) traits: PodTraits,
    /// The slot and the row index of each of its pods that count on a node, in no order that means anything: of those
    /// that stay.
    staying: Vec<(u32, u32)>,
    /// Of those that are being deleted, which spreading does not count.
    ending: Vec<(u32, u32)>,
    /// Only while it saves work: see [`Classes::tally`].
    tally: Option<Box<Tally>>,
    /// Its required and its preferred spread constraints and where they count, as far as it is known.
    pub(super) eligibility: [Option<Arc<Eligibility>>; 2],
    sheet: u32,
    /// The profile that places its pods; `None` if no profile has the name.
    profile: Option<u32>,
    holders: u32,
}

impl Class {
    /// The slots of its pods that count on a node, each as often as it has such pods.
    pub(super) fn slots(&self) -> impl Iterator<Item = u32> {
        self.staying.iter().chain(&self.ending).map(|(slot, _)| *slot)
    }

    /// The same without pods that are being deleted.
    pub(super) fn slots_of_staying(&self) -> impl ExactSizeIterator<Item = u32> {
        self.staying.iter().map(|(slot, _)| *slot)
    }

    /// How many of its pods count on each of so many slots, without those that are being deleted, if that is at hand.
    pub(super) fn tally_by_slot(&self, slots: usize) -> Option<&[u32]> {
        self.tally.as_ref().map(|tally| &tally.by_slot[..]).filter(|pods| pods.len() == slots)
    }

    /// How many of its pods count in each of these domains, if that is at hand.
    pub(super) fn tally_by_domain(&self, domains: &Arc<Domains>) -> Option<&[u32]> {
        self.tally.as_ref().filter(|tally| Arc::ptr_eq(&tally.domains, domains)).map(|tally| &tally.by_domain[..])
    }

    /// Whether none of its pods counts on a node.
    pub(super) fn is_unplaced(&self) -> bool {
        self.staying.is_empty() && self.ending.is_empty()
    }

    /// Its pods on nodes that are being deleted, or those that are not.
    fn placed(&mut self, is_ending: bool) -> &mut Vec<(u32, u32)> {
        if is_ending { &mut self.ending } else { &mut self.staying }
    }
}

/// How many entries all boards together may have; a board has one for each node, of about 9 B with its tree.
const BOARD_ENTRIES_MAX: u64 = 8_000_000;
/// So many boards may always be there.
const BOARDS_MIN: usize = 8;

/// What all classes of one spec share.
struct Sheet {
    traits: Arc<SpecTraits>,
    board: Board,
    /// Which nodes the required and the preferred spread constraints of a class include that was looked at lately.
    inclusion: [Option<Arc<Inclusion>>; 2],
    classes: u32,
    /// Numbers the uses of all boards; 0 while this one is empty.
    used_at: u64,
    /// Whether a node was ever sought for such a pod.
    was_sought: bool,
}

impl Sheet {
    fn of(spec: &Shared<PodSpec>) -> Sheet {
        Sheet {
            traits: Arc::new(SpecTraits::of(spec)),
            board: Board::default(),
            inclusion: [None, None],
            classes: 0,
            used_at: 0,
            was_sought: false,
        }
    }
}

/// All classes.
#[derive(Default)]
pub(super) struct Classes {
    profiles: Arc<[Profile]>,
    classes: Vec<Option<Box<Class>>>,
    free: Vec<u32>,
    /// By the hash of spec and identity; several of one hash are told apart by comparing them.
    by_hash: ByHash<u64, Vec<ClassId>>,
    sheets: Vec<Option<Sheet>>,
    free_sheets: Vec<u32>,
    /// The sheets by their spec's stable hash.
    by_spec: ByHash<u64, Vec<u32>>,
    /// By the hash of a namespace and one of the pods' labels there: who asks for pods by labels looks at few classes.
    by_label: ByHash<u64, Vec<ClassId>>,
    /// Classes with terms about other pods, by the hash of a label that some term asks for: who is meant looks at few
    /// classes.
    terms_by_label: ByHash<u64, Vec<ClassId>>,
    /// Those of which some term asks for no label's value.
    terms_by_none: Vec<ClassId>,
    /// How many classes have terms.
    with_terms: u32,
    /// How many sheets' boards are not empty.
    boards: usize,
    /// How often boards have been used.
    uses: u64,
}

impl Classes {
    /// No classes yet; their pods will choose among these profiles.
    pub(super) fn new(profiles: Arc<[Profile]>) -> Classes {
        Classes { profiles, ..Classes::default() }
    }

    /// All profiles.
    pub(super) fn profiles(&self) -> &Arc<[Profile]> {
        &self.profiles
    }

    /// The number of the profile that places the class's pods.
    pub(super) fn profile_number(&self, id: ClassId) -> Option<usize> {
        self.class(id).profile.map(|number| number as usize)
    }

    /// The profile that places the class's pods. Panics if there is none.
    pub(super) fn profile(&self, id: ClassId) -> &Profile {
        &self.profiles[self.profile_number(id).expect("only pods of some profile are placed")]
    }

    /// Whether gates keep the class's pods out of the queue.
    pub(super) fn is_gated(&self, id: ClassId) -> bool {
        self.traits(id).has_gates() && self.profile_number(id).is_some_and(|number| self.profiles[number].minds_gates)
    }

    /// The class of pods with a spec and an identity, made if it is new. The caller holds it or the class stays until
    /// somebody has.
    pub(super) fn of(&mut self, spec: &Shared<PodSpec>, identity: &Identity) -> ClassId {
        let hash = hash(spec, identity);
        let known = self.by_hash.get(&hash).into_iter().flatten().copied();
        let same = |traits: &PodTraits| traits.spec == *spec && traits.identity == *identity;
        if let Some(id) = known.into_iter().find(|id| same(self.traits(*id))) {
            return id;
        }
        let profile = self.profiles.iter().position(|profile| profile.name == spec.scheduler_name);
        let profile = profile.map(|number| number as u32);
        let (sheet, by_spec) = self.sheet_of(spec);
        let class = Box::new(Class {
            traits: PodTraits::with(&by_spec, identity),
            staying: Vec::new(),
            ending: Vec::new(),
            tally: None,
            eligibility: [None, None],
            sheet,
            profile,
            holders: 0,
        });
        let (labels, by_none) = class.traits.terms.as_deref().map_or((Vec::new(), false), Terms::labels_asked_for);
        self.with_terms += u32::from(class.traits.terms.is_some());
        let index = put(&mut self.classes, &mut self.free, class);
        let id = ClassId(index);
        self.by_hash.get_or_default(&hash).push(id);
        for pair in identity.labels.iter() {
            self.by_label.get_or_default(&label_hash(&identity.namespace, pair)).push(id);
        }
        for label in labels {
            self.terms_by_label.get_or_default(&label).push(id);
        }
        if by_none {
            self.terms_by_none.push(id);
        }
        id
    }

    /// Keeps where the class's required (0) or preferred (1) spread constraints count.
    pub(super) fn set_eligibility(&mut self, id: ClassId, which: usize, eligibility: &Arc<Eligibility>) {
        let class = self.classes[id.0 as usize].as_mut().expect("a class number is used after its last holder");
        class.eligibility[which] = Some(eligibility.clone());
    }

    /// Which nodes the required (0) or preferred (1) spread constraints include of a class of the same spec.
    pub(super) fn inclusion(&self, id: ClassId, which: usize) -> Option<&Arc<Inclusion>> {
        self.sheet(id).inclusion[which].as_ref()
    }

    /// Keeps what [`Classes::inclusion`] gives.
    pub(super) fn set_inclusion(&mut self, id: ClassId, which: usize, inclusion: &Arc<Inclusion>) {
        let sheet = self.class(id).sheet as usize;
        let sheet = self.sheets[sheet].as_mut().expect("a class's sheet lives as long as the class");
        sheet.inclusion[which] = Some(inclusion.clone());
    }

    /// Its pods' priority.
    pub(super) fn priority(&self, id: ClassId) -> i32 {
        self.traits(id).spec.priority
    }

    /// What is known of the class's pods.
    pub(super) fn traits(&self, id: ClassId) -> &PodTraits {
        &self.class(id).traits
    }

    /// Notes that a node is sought for a pod of this spec. Whether that was so before.
    pub(super) fn note_search(&mut self, id: ClassId) -> bool {
        let sheet = self.class(id).sheet;
        let sheet = self.sheets[sheet as usize].as_mut().expect("a class's sheet lives as long as the class");
        std::mem::replace(&mut sheet.was_sought, true)
    }

    /// The class's traits and its spec's cached results.
    pub(super) fn board(&mut self, id: ClassId) -> (&PodTraits, &mut Board) {
        let class = self.classes[id.0 as usize].as_ref().expect("a class number is used after its last holder");
        let sheet = self.sheets[class.sheet as usize].as_mut().expect("a class's sheet lives as long as the class");
        self.uses += 1;
        self.boards += usize::from(sheet.used_at == 0);
        sheet.used_at = self.uses;
        (&class.traits, &mut sheet.board)
    }

    /// Empties boards that have not been used for long, so that many specs on many nodes do not fill the memory. An
    /// empty board is made again when it is needed.
    pub(super) fn trim_boards(&mut self, nodes: u32) {
        let kept = usize::try_from(BOARD_ENTRIES_MAX / u64::from(nodes.max(1))).unwrap_or(usize::MAX).max(BOARDS_MIN);
        while self.boards > kept {
            let in_use = self.sheets.iter_mut().flatten().filter(|sheet| sheet.used_at > 0);
            let oldest = in_use.min_by_key(|sheet| sheet.used_at).expect("there are more than are kept");
            (oldest.board, oldest.used_at) = (Board::default(), 0);
            self.boards -= 1;
        }
    }

    /// The cached results of the class's spec.
    pub(super) fn board_of(&self, id: ClassId) -> &Board {
        &self.sheet(id).board
    }

    fn sheet(&self, id: ClassId) -> &Sheet {
        let sheet = self.sheets[self.class(id).sheet as usize].as_ref();
        sheet.expect("a class's sheet lives as long as the class")
    }

    /// The classes of a namespace that these selectors could mean, and some that they do not.
    pub(super) fn candidates(&self, namespace: &Name, pods: &Pods) -> impl Iterator<Item = &Class> {
        self.candidate_ids(&LabelsAsked::of(namespace, pods)).map(|id| self.class(id))
    }

    /// The numbers of the classes with the rarest of the labels that are asked for, or of all if none is.
    pub(super) fn candidate_ids(&self, labels: &LabelsAsked) -> impl Iterator<Item = ClassId> + use<'_> {
        let classes = |label| self.by_label.get(label).map_or(&[][..], |ids| ids);
        let rarest: Option<&[ClassId]> = labels.0.iter().map(classes).min_by_key(|ids| ids.len());
        let all = if rarest.is_none() { &self.classes[..] } else { &[] };
        let all = (0u32..).zip(all).filter(|(_, class)| class.is_some()).map(|(index, _)| ClassId(index));
        rarest.unwrap_or_default().iter().copied().chain(all)
    }

    /// The classes whose pods could have terms about pods with these labels, and some that do not.
    pub(super) fn with_terms_about(&self, labels: &Labels) -> impl Iterator<Item = &Class> {
        let by_label = labels.iter().filter_map(|pair| self.terms_by_label.get(&StableHasher::hash_one(&pair)));
        let mut ids: Vec<ClassId> = by_label.chain([&self.terms_by_none]).flatten().copied().collect();
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter().map(|id| self.class(id))
    }

    /// The classes that a pod's own term could be about, each once, and some that it is not.
    pub(super) fn candidates_of(&self, term: &Term) -> impl Iterator<Item = &Class> {
        let asks_labels = term.pods.0.iter().flatten().any(|part| !part.match_labels.is_empty());
        let is_narrow = asks_labels && term.namespace_selector.is_none();
        let mut namespaces: Vec<&Name> = if is_narrow { term.namespaces.iter().collect() } else { Vec::new() };
        namespaces.sort_unstable();
        namespaces.dedup();
        let narrow = namespaces.into_iter().flat_map(move |namespace| {
            let classes = self.candidates(namespace, &term.pods);
            classes.filter(move |class| class.traits.identity.namespace == *namespace)
        });
        let all = if is_narrow { &[][..] } else { &self.classes[..] };
        narrow.chain(all.iter().flatten().map(|class| &**class))
    }

    /// Whether some class has terms about other pods.
    pub(super) fn any_terms(&self) -> bool {
        self.with_terms > 0
    }

    /// Has a tally by slot and by these domains at hand if the class has many pods. For few it is as cheap to go
    /// through their list, and a tally of all slots would be large beside it.
    pub(super) fn tally(&mut self, id: ClassId, domains: &Arc<Domains>) {
        let pods_min = domains.slot_count() / SLOTS_PER_POD_MAX;
        let class = self.classes[id.0 as usize].as_mut().expect("a class number is used after its last holder");
        if class.staying.len() < pods_min {
            class.tally = None;
        } else if class.tally_by_domain(domains).is_none() {
            class.tally = Some(Box::new(Tally::of(domains, class.slots_of_staying())));
        }
    }

    /// One more pod of the class, given by its slot and its row's index, counts on a node, being deleted or not. Gives
    /// its place in the class's list of such pods.
    pub(super) fn count(&mut self, id: ClassId, pod: (u32, u32), is_ending: bool) -> u32 {
        let class = self.classes[id.0 as usize].as_mut().expect("a class number is used after its last holder");
        if let Some(tally) = class.tally.as_mut().filter(|_| !is_ending) {
            tally.add(pod.0, 1);
        }
        let placed = class.placed(is_ending);
        placed.push(pod);
        placed.len() as u32 - 1
    }

    /// The pod at a place of such a list counts no more. The list's last pod takes its place; gives that pod's row
    /// index.
    pub(super) fn uncount(&mut self, id: ClassId, place: u32, is_ending: bool) -> Option<u32> {
        let class = self.classes[id.0 as usize].as_mut().expect("a class number is used after its last holder");
        let placed = class.placed(is_ending);
        let (slot, _) = placed.swap_remove(place as usize);
        let moved = placed.get(place as usize).map(|(_, pod)| *pod);
        if let Some(tally) = class.tally.as_mut().filter(|_| !is_ending) {
            tally.add(slot, -1);
        }
        moved
    }

    /// One more pod holds the class.
    pub(super) fn hold(&mut self, id: ClassId) {
        let class = self.classes[id.0 as usize].as_mut().expect("a class number is used after its last holder");
        class.holders += 1;
    }

    /// One pod fewer holds the class; with the last one it goes.
    pub(super) fn release(&mut self, id: ClassId) {
        let class = self.classes[id.0 as usize].as_mut().expect("a class number is used after its last holder");
        assert!(class.holders > 0, "{id:?} is released more often than held");
        class.holders -= 1;
        if class.holders > 0 {
            return;
        }
        assert!(class.is_unplaced(), "{id:?} goes while its pods count");
        let class = self.classes[id.0 as usize].take().expect("the class was just seen");
        unlist(&mut self.by_hash, hash(&class.traits.spec, &class.traits.identity), id);
        let identity = &class.traits.identity;
        for pair in identity.labels.iter() {
            unlist(&mut self.by_label, label_hash(&identity.namespace, pair), id);
        }
        if let Some(terms) = &class.traits.terms {
            self.with_terms -= 1;
            let (labels, _) = terms.labels_asked_for();
            labels.into_iter().for_each(|label| unlist(&mut self.terms_by_label, label, id));
            self.terms_by_none.retain(|other| *other != id);
        }
        self.free.push(id.0);
        let sheet = self.sheets[class.sheet as usize].as_mut().expect("a class's sheet lives as long as the class");
        sheet.classes -= 1;
        if sheet.classes == 0 {
            self.boards -= usize::from(sheet.used_at > 0);
            unlist(&mut self.by_spec, class.traits.spec.stable_hash(), class.sheet);
            self.sheets[class.sheet as usize] = None;
            self.free_sheets.push(class.sheet);
        }
    }

    /// The sheet of one more class of a spec, made if it is new.
    fn sheet_of(&mut self, spec: &Shared<PodSpec>) -> (u32, Arc<SpecTraits>) {
        let alike = self.by_spec.get_or_default(&spec.stable_hash());
        let is_of_spec =
            |index: &&u32| self.sheets[**index as usize].as_ref().is_some_and(|it| it.traits.spec == *spec);
        let index = alike.iter().find(is_of_spec).copied().unwrap_or_else(|| {
            let index = put(&mut self.sheets, &mut self.free_sheets, Sheet::of(spec));
            alike.push(index);
            index
        });
        let sheet = self.sheets[index as usize].as_mut().expect("the sheet was just found or made");
        sheet.classes += 1;
        (index, sheet.traits.clone())
    }

    /// The class itself.
    pub(super) fn class(&self, id: ClassId) -> &Class {
        self.classes[id.0 as usize].as_ref().expect("a class number is used after its last holder")
    }
}

/// Namespace and owner are left to the comparison: pods that differ in nothing else are rare.
fn hash(spec: &Shared<PodSpec>, identity: &Identity) -> u64 {
    spec.stable_hash() ^ identity.labels.stable_hash().rotate_left(31)
}

/// Puts a value into a free place or a new one.
fn put<T>(places: &mut Vec<Option<T>>, free: &mut Vec<u32>, value: T) -> u32 {
    let index = free.pop().unwrap_or_else(|| {
        places.push(None);
        u32::try_from(places.len() - 1).expect("at most 2^32 classes")
    });
    places[index as usize] = Some(value);
    index
}

fn unlist<T: PartialEq>(lists: &mut ByHash<u64, Vec<T>>, hash: u64, what: T) {
    let alike = lists.get_mut(&hash).expect("what is unlisted is listed by its hash");
    alike.retain(|other| *other != what);
    if alike.is_empty() {
        lists.remove(&hash);
    }
}
