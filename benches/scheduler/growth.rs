//! How the cost of a pod grows with the number of nodes.
pub(crate) fn draw() -> bool { true }
