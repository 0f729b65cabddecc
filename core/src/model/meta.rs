//! What every object has: names, identity, labels, owners and deletion marks.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, DerefMut};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::digest::{Shared, StableHasher};
use crate::id::{Name, Uid};
use crate::model::{Absent, OwnerReference, OwnerReferences, Seldom};
use crate::time::{Span, Time};

/// An immutable set of labels or annotations, shared by all objects that came from one template. An empty set takes no
/// memory.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Labels(Option<Shared<Box<[Pair]>>>);

/// A key with its value.
type Pair = (Name, Name);

impl Labels {
    /// A set from pairs; of two pairs with one key the later wins.
    pub fn new<K: Into<Name>, V: Into<Name>>(pairs: impl IntoIterator<Item = (K, V)>) -> Labels {
        let by_key: BTreeMap<Name, Name> = pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        Labels((!by_key.is_empty()).then(|| Shared::new(by_key.into_iter().collect())))
    }

    /// The value under a key.
    pub fn get(&self, key: &str) -> Option<&Name> {
        let pairs = self.pairs();
        // Most sets are small, and keys differ in their lengths: comparing is cheaper than searching.
        match pairs.len() {
            0..=8 => pairs.iter().find(|(other, _)| **other == *key).map(|(_, value)| value),
            _ => pairs.binary_search_by(|(other, _)| (**other).cmp(key)).ok().map(|place| &pairs[place].1),
        }
    }

    /// Whether there are no pairs.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// All pairs, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &Name)> {
        self.pairs().iter().map(|(key, value)| (key, value))
    }

    /// The same set with one more or changed pair.
    pub fn with(&self, key: impl Into<Name>, value: impl Into<Name>) -> Labels {
        Labels::new(self.pairs().iter().cloned().chain([(key.into(), value.into())]))
    }

    /// The same set without a key.
    pub fn without(&self, key: &str) -> Labels {
        Labels::new(self.pairs().iter().filter(|(other, _)| **other != *key).cloned())
    }

    /// Whether both are the very same allocation; equal sets need not be.
    pub fn same(&self, other: &Labels) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => one.same(other),
            (None, None) => true,
            _ => false,
        }
    }

    /// The stable hash of all pairs, computed at most once.
    pub fn stable_hash(&self) -> u64 {
        self.0.as_ref().map_or_else(|| StableHasher::hash_one(&[] as &[Pair]), Shared::stable_hash)
    }

    fn pairs(&self) -> &[Pair] {
        self.0.as_ref().map_or(&[], |pairs| pairs)
    }
}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.stable_hash());
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::<Name, Name>::deserialize(deserializer).map(Labels::new)
    }
}

/// A label selector: all pairs and all requirements must match. The empty selector matches everything.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Selector {
    /// Pairs that must be there.
    pub match_labels: Labels,
    /// Further requirements.
    pub match_expressions: Vec<SelectorRequirement>,
}

/// One requirement of a label selector.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct SelectorRequirement {
    /// The label's key.
    pub key: Name,
    /// How the value is compared.
    pub operator: SelectorOperator,
    /// The values of `In` and `NotIn`; one integer as text for `Gt` and `Lt`.
    pub values: Vec<Name>,
}

/// How a selector requirement compares. `Gt` and `Lt` exist in node selectors only.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum SelectorOperator {
    /// The value is one of the list.
    In,
    /// The key is absent or its value is none of the list.
    NotIn,
    /// The key is present.
    Exists,
    /// The key is absent.
    DoesNotExist,
    /// The value is an integer greater than the one listed.
    Gt,
    /// The value is an integer less than the one listed.
    Lt,
}

impl Selector {
    /// A selector for exactly these pairs.
    pub fn from_labels(labels: Labels) -> Selector {
        Selector { match_labels: labels, match_expressions: Vec::new() }
    }

    /// Whether the labels satisfy every part of the selector.
    pub fn matches(&self, labels: &Labels) -> bool {
        let pairs_match = || self.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value));
        // A pod's labels often are the very set that its ReplicaSet selects by.
        (self.match_labels.same(labels) || pairs_match())
            && self.match_expressions.iter().all(|requirement| requirement.matches(labels))
    }

    /// Whether the selector has no part at all, and so matches everything.
    pub fn is_empty(&self) -> bool {
        self.match_labels.is_empty() && self.match_expressions.is_empty()
    }
}

impl SelectorRequirement {
    /// Whether the labels satisfy this requirement.
    ///
    /// Source: `Requirement.Matches`, staging/src/k8s.io/apimachinery/pkg/labels/selector.go (v1.34.1).
    pub fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.key);
        let listed = || value.is_some_and(|value| self.values.contains(value));
        match self.operator {
            SelectorOperator::In => listed(),
            SelectorOperator::NotIn => !listed(),
            SelectorOperator::Exists => value.is_some(),
            SelectorOperator::DoesNotExist => value.is_none(),
            SelectorOperator::Gt => self.compares(value, |have, limit| have > limit),
            SelectorOperator::Lt => self.compares(value, |have, limit| have < limit),
        }
    }

    fn compares(&self, value: Option<&Name>, holds: impl Fn(i64, i64) -> bool) -> bool {
        let have = value.and_then(|value| value.parse().ok());
        let limit = self.values.first().and_then(|limit| limit.parse().ok());
        matches!((have, limit), (Some(have), Some(limit)) if holds(have, limit))
    }
}

/// An owner of a kind that is not modelled: nobody here can say whether it is there.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Stranger {
    /// The version of the API that is said to have the kind.
    pub api_version: Name,
    /// The kind.
    pub kind: Name,
    /// Whether it manages the object.
    pub controller: bool,
}

impl Absent for Vec<Stranger> {
    const ABSENT: &'static Self = &Vec::new();
}

/// What every object has.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Meta {
    /// The namespace; empty for cluster-scoped kinds.
    pub namespace: Name,
    /// The name. In a create request it may end in `-` with `generate_name` set.
    pub name: Name,
    /// Whether the API server appends five drawn letters to the name when it creates the object.
    pub generate_name: bool,
    /// Counts changes of the spec; the API server sets it.
    pub generation: u32,
    /// The identity; the API server sets it.
    pub uid: Uid,
    /// When the API server created the object.
    pub created_at: Time,
    /// Labels.
    pub labels: Labels,
    /// Owners.
    pub owners: OwnerReferences,
    /// What few objects have, read and written as if it stood here.
    #[serde(flatten)]
    pub extras: Seldom<MetaExtras>,
}

const _: () = assert!(size_of::<Meta>() <= 72, "there are hundreds of thousands of objects");

/// What few objects have beside what all have.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct MetaExtras {
    /// When the deletion takes effect (request time plus grace), if one was asked for.
    pub deleted_at: Option<Time>,
    /// The grace of the deletion.
    pub deletion_grace: Option<Span>,
    /// Annotations.
    pub annotations: Labels,
    /// Names that hold the object back from being removed.
    pub finalizers: Vec<Name>,
    /// The object as the user wrote it (JSON text); parts that the core does not model are shown from here.
    pub original: Option<Name>,
    /// Owners of kinds that are not modelled, which are shown from the original.
    #[serde(default, skip_serializing_if = "Seldom::is_absent")]
    pub strangers: Seldom<Vec<Stranger>>,
}

impl Absent for MetaExtras {
    const ABSENT: &'static Self = &MetaExtras {
        deleted_at: None,
        deletion_grace: None,
        annotations: Labels(None),
        finalizers: Vec::new(),
        original: None,
        strangers: Seldom::NOTHING,
    };
}

impl Deref for Meta {
    type Target = MetaExtras;

    fn deref(&self) -> &MetaExtras {
        &self.extras
    }
}

impl DerefMut for Meta {
    fn deref_mut(&mut self) -> &mut MetaExtras {
        &mut self.extras
    }
}

/// In the order of the API, whatever few objects have. Owners of unknown kinds are in the original.
impl Hash for Meta {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Meta { namespace, name, generate_name, generation, uid, created_at, labels, owners, extras } = self;
        let MetaExtras { deleted_at, deletion_grace, annotations, finalizers, original, strangers: _ } = &**extras;
        (namespace, name, generate_name, uid, u64::from(*generation), created_at).hash(state);
        (deleted_at, deletion_grace, labels, annotations, owners, finalizers, original).hash(state);
    }
}

impl Meta {
    /// The meta of a new object of a namespace.
    pub fn named(namespace: &str, name: &str) -> Meta {
        Meta { namespace: namespace.into(), name: name.into(), ..Meta::default() }
    }

    /// The owner that manages this object.
    pub fn controller(&self) -> Option<&OwnerReference> {
        self.owners.iter().find(|owner| owner.controller)
    }

    /// The owner of a kind that is not modelled that manages this object.
    pub fn strange_controller(&self) -> Option<&Stranger> {
        self.strangers.iter().find(|owner| owner.controller)
    }

    /// Whether somebody manages this object, of whatever kind.
    pub fn is_managed(&self) -> bool {
        self.controller().is_some() || self.strange_controller().is_some()
    }

    /// Whether a deletion has been asked for.
    pub fn is_terminating(&self) -> bool {
        self.deleted_at.is_some()
    }
}
