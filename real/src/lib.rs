//! `wavetank-real`: the orchestration core with this machine's Docker engine as its world.
//!
//! Invariant: this is the only package of the workspace with an asynchronous runtime.

pub mod docker;
pub mod doctor;
