//! What a class's pods would get of each node.

/// Cached results of one class.
#[derive(Default)]
pub(super) struct Board {}
