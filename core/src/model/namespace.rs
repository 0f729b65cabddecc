//! Namespaces.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::Name;
use crate::model::{Conditions, Meta};

/// A namespace. Its phase is no field: it is `Terminating` while the meta has a deletion mark, else `Active`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Namespace {
    /// Names and labels.
    pub meta: Meta,
    /// Who has to be done with the namespace before it may go (`spec.finalizers`), beside the finalizers of its meta.
    /// The API server adds `kubernetes`, which stands for the namespace controller.
    #[serde(default)]
    pub finalizers: Arc<[Name]>,
    /// What the namespace controller says of its end (`status.conditions`).
    #[serde(default)]
    pub conditions: Conditions,
}

impl Namespace {
    /// A namespace as a client asks for it, with nothing but a name.
    pub fn named(name: &str) -> Namespace {
        Namespace { meta: Meta::named("", name), ..Namespace::default() }
    }
}

/// A namespace with nothing but its meta has the hash of that, so that its creation counts in a fingerprint as it did
/// when there was nothing else.
impl Hash for Namespace {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.meta.hash(state);
        if !self.finalizers.is_empty() || self.conditions.iter().next().is_some() {
            self.finalizers.hash(state);
            self.conditions.hash(state);
        }
    }
}
