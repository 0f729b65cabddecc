//! The node side: pods as containers of this machine's Docker engine.
//!
//! A small, typed layer over the engine's HTTP API, in the kubelet's words: a *sandbox* (a pause container that holds a
//! pod's namespaces), *containers* that join it, *attempts* that count restarts, and a *watch* that tells what changed.
//!
//! Invariant: every call ends within a stated time. Invariant: nothing is remembered between calls; the engine's own
//! state, found again by labels, is the truth, so a restarted program recognises what it already did.
//! Absent on purpose: restart policy, back-off, probes and image pulls (the core decides those); the engine's own
//! restart policy is never set, because two deciders would fight.
//!
//! Parts: `engine` is the connection, `error` what can go wrong; `sandbox`, `container`, `images`, `exec`, `files` and
//! `watch` are what is asked of it; `identity`, `status`, `resources`, `reference` and `program` are the words.

mod container;
mod engine;
mod error;
mod exec;
mod files;
mod identity;
mod images;
mod program;
mod reference;
mod resources;
mod sandbox;
mod status;
mod time;
mod watch;

pub use container::{ContainerSpec, LogLine, LogStream};
pub use engine::{Engine, MachineInfo};
pub use error::EngineError;
pub use files::FileSpec;
pub use identity::{Attempt, ClusterName, ContainerId, ContainerName, Identity, NameError, PodIdentity, Role};
pub use images::{Image, PAUSE_PROGRAM, ProgramImage, pause_image_name};
pub use program::{ProgramError, StaticProgram};
pub use reference::{ImageName, ImageNameError};
pub use resources::{Bytes, MilliCpu, Resources};
pub use sandbox::{DnsConfig, Sandbox, SandboxNetwork, SandboxSpec, host_name_of_pod};
pub use status::{Container, Listing, Phase};
pub use time::{EngineTime, EngineTimeError};
pub use watch::{Change, Watch};
