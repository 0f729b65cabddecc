//! Secondary keys: how a component finds the pods of a node or the children of an owner without looking at every row.

use crate::id::{Name, Uid};

/// A secondary key of a row.
///
/// The index is a superset: a row stays listed under a key as long as any version that somebody can still read has
/// that key, and the reader filters by the version that it sees.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum IndexKey {
    /// The uid of the owner that manages the object.
    Controller(Uid),
    /// The node that a pod is bound to.
    Node(Name),
    /// The Service that an EndpointSlice belongs to.
    Service(Name),
}
