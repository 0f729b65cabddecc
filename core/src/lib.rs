//! The orchestration core of Wavetank: one deterministic function from (state, time, input) to (state, effects).
//!
//! The same core runs in two worlds. In a simulator the world is a queue of events under a virtual clock; in a real
//! cluster it is a channel fed by sockets and container engines. The core cannot tell them apart: it never waits,
//! reads a clock, draws entropy, spawns, locks, prints or iterates a hash map (`clippy.toml` beside this crate and
//! `tests/purity.rs` hold that line).
//!
//! Where to start reading: [`seam`] (what goes in and comes out), [`machine`] (how one input is dispatched),
//! [`store`] (the versioned objects), then one component: [`scheduler`], [`controllers`] or [`kubelet`].

#![deny(clippy::float_arithmetic)]

pub mod api;
pub mod author;
pub mod calendar;
pub mod chunks;
pub mod config;
pub mod context;
pub mod controllers;
pub mod digest;
pub mod draw;
pub mod events;
pub mod facts;
pub mod growth;
pub mod id;
pub mod journal;
pub mod keys;
pub mod kubelet;
pub mod machine;
pub mod model;
pub mod one_or_several;
pub mod quantity;
mod quota;
pub mod scheduler;
pub mod seam;
pub mod store;
pub mod time;
mod volumes;
pub mod world;

#[cfg(test)]
mod testbed;

pub use machine::Core;
pub use seam::{Effect, Input};
pub use world::{World, drive};
