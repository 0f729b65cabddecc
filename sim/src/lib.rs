//! placeholder
pub mod queue;
