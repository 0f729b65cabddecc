//! Placeholder.

use crate::config::Config;
use crate::id::ProcId;
use crate::machine::{Component, Context};
use crate::seam::{Msg, TimerKind};
use crate::store::{Change, View};

/// Placeholder.
pub struct ControllerManager {}

impl ControllerManager {
    /// Placeholder.
    pub fn new(_config: &Config) -> ControllerManager {
        ControllerManager {}
    }
}

impl Component for ControllerManager {
    fn start(&mut self, _ctx: &mut Context<'_>, _view: View<'_>) {}
    fn on_changes(&mut self, _ctx: &mut Context<'_>, _view: View<'_>, _changes: &[Change]) {}
    fn on_message(&mut self, _ctx: &mut Context<'_>, _view: View<'_>, _from: ProcId, _body: Msg) {}
    fn on_timer(&mut self, _ctx: &mut Context<'_>, _view: View<'_>, _kind: TimerKind) {}
}
