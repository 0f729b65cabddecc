//! What an API server answers, and why it refuses.

use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

use crate::id::{Name, Revision, Uid};
use crate::model::{Object, ObjectKey};
use crate::time::Span;

/// How a request ended.
pub type Answer = Result<Reply, Refusal>;

/// A granted request.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Reply {
    /// The object as it is stored now, and the revision of that version.
    Object(Object, Revision),
    /// The object is gone or, if given, waits for its grace period or finalizers.
    Deleted(Option<Object>),
    /// The pods of the node, by namespace and name; if they are watched, changes follow as messages.
    Pods(Vec<Object>),
    /// All Services; changes follow as messages.
    Services(Vec<Object>),
}

/// Why a request was refused: the `reason` of an API server's Status, with the facts for its message.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// 404.
    #[error("{} \"{}\" not found", .0.kind.qualified_plural(), .0.name)]
    NotFound(ObjectKey),
    /// 409: the name is taken.
    #[error("{}{} \"{}\" already exists{}", taken.before(), key.kind.qualified_plural(), key.name, taken.after())]
    AlreadyExists {
        /// The object that has the name.
        key: ObjectKey,
        /// What else the answer tells of it.
        taken: Taken,
    },
    /// 409: somebody else has written since.
    #[error(
        "Operation cannot be fulfilled on {} \"{}\": the object has been modified; please apply your changes to the \
         latest version and try again",
        key.kind.qualified_plural(),
        key.name
    )]
    Conflict {
        /// The object.
        key: ObjectKey,
        /// The version that the sender had.
        expected: Revision,
        /// The version that is stored.
        stored: Revision,
    },
    /// 409: the object of that name is another one.
    #[error("Precondition failed: UID in precondition: {expected}, UID in object meta: {stored}")]
    WrongUid {
        /// The identity that the sender had.
        expected: Uid,
        /// The identity that is stored.
        stored: Uid,
    },
    /// 403.
    #[error("{} \"{}\" is forbidden: {message}", key.kind.qualified_plural(), key.name)]
    Forbidden {
        /// The object.
        key: ObjectKey,
        /// Why.
        message: Name,
    },
    /// 429: a disruption budget holds.
    #[error("Cannot evict pod as it would violate the pod's disruption budget.")]
    TooManyRequests {
        /// Which budget, and what it lacks.
        cause: Name,
        /// When to ask again; zero leaves it to the client.
        retry_after: Span,
    },
    /// 500: something that the API server needed was not to be had.
    #[error("Internal error occurred: {message}")]
    Internal {
        /// What failed and why.
        message: Name,
    },
    /// 500.
    #[error("This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.")]
    SeveralBudgets,
    /// 422.
    #[error("{} \"{}\" is invalid: {message}", key.kind.qualified_name(), key.name)]
    Invalid {
        /// The object.
        key: ObjectKey,
        /// Which field and why.
        message: Name,
    },
}

/// What is told of a name that is taken.
///
/// Source: `Store.create`, staging/src/k8s.io/apiserver/pkg/registry/generic/registry/store.go;
/// `NewGenerateNameConflict`, staging/src/k8s.io/apimachinery/pkg/api/errors/errors.go (v1.34.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Taken {
    /// Whether the object that has the name is being deleted.
    pub by_one_that_ends: bool,
    /// Whether the creation had a `generateName`.
    pub though_generated: bool,
}

/// That there is nothing more to tell adds nothing, so that only runs with something to tell have other fingerprints.
impl Hash for Taken {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        if *self != Taken::default() {
            (self.by_one_that_ends, self.though_generated).hash(hasher);
        }
    }
}

impl Taken {
    fn before(self) -> &'static str {
        if self.by_one_that_ends { "object is being deleted: " } else { "" }
    }

    fn after(self) -> &'static str {
        if self.though_generated { ", the server was not able to generate a unique name for the object" } else { "" }
    }
}

/// How the refusal of a creation in a namespace that is being emptied ends.
pub(crate) const NAMESPACE_TERMINATING: &str = "because it is being terminated";

impl Refusal {
    /// Whether a creation was refused because its namespace is being deleted.
    pub fn is_namespace_terminating(&self) -> bool {
        matches!(self, Refusal::Forbidden { message, .. } if message.ends_with(NAMESPACE_TERMINATING))
    }
}
