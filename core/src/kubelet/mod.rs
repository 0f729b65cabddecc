//! The kubelet: what a node does with the pods bound to it.
//!
//! One row per host; the same functions serve 10⁵ simulated nodes and the single row of a real node's agent. Containers
//! live in the world: the kubelet sends [`RuntimeRequest`]s and hears of [`RuntimeEvent`]s, and never learns whether a
//! simulator or a container engine answers.

mod protocol;

pub use protocol::{Boot, ContainerIndex, ProbeKind, RunningContainer, RunningPod, RuntimeEvent, RuntimeRequest};

use crate::id::ProcId;
use crate::machine::Context;
use crate::seam::{Msg, TimerKind};

/// The kubelets of this core, one row per host.
#[derive(Default)]
pub struct Kubelets {}

impl Kubelets {
    /// No kubelets.
    pub fn new() -> Kubelets {
        Kubelets::default()
    }

    /// A kubelet's process has started.
    pub fn start(&mut self, _ctx: &mut Context<'_>) {}

    /// A kubelet's process has died.
    pub fn crash(&mut self, _ctx: &mut Context<'_>) {}

    /// A message to a kubelet.
    pub fn on_message(&mut self, _ctx: &mut Context<'_>, _from: ProcId, _body: Msg) {}

    /// A kubelet's timer.
    pub fn on_timer(&mut self, _ctx: &mut Context<'_>, _kind: TimerKind) {}
}
