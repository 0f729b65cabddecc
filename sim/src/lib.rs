//! The simulated world: a queue of events under a virtual clock, links, disks, a fleet of machines, and faults.
//!
//! Where to start reading: [`plan`] (what a run consists of, expanded from a scenario before it starts), [`world`]
//! (how a plan becomes inputs of the core), [`queue`] (the order of events).

pub mod calibration;
pub mod cli;
pub mod conform;
pub mod drain;
pub mod execute;
pub mod expect;
mod fleet;
pub mod history;
mod net;
pub mod place;
pub mod placement;
pub mod plan;
pub mod queue;
pub mod record;
pub mod sweep;
mod whole;
pub mod world;
