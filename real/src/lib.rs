//! `wavetank-real`: the orchestration core with this machine's Docker engine as its world.
//!
//! [`world`] joins the core to a clock, a [journal](wavetank_journal) and channels; [`node`] turns the kubelet's
//! requests into containers by way of [`docker`]; [`cluster`] puts them together and [`control`] lets other programs
//! talk to a running cluster.
//!
//! Invariant: this is the only package of the workspace with an asynchronous runtime.

pub mod clock;
pub mod cluster;
pub mod control;
pub mod docker;
pub mod doctor;
pub mod manifests;
pub mod node;
pub mod tables;
pub mod world;
