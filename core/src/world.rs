//! What a world is to the core, and the loop that joins them.
//!
//! A world never calls back into the core while it performs an effect; "no re-entrancy" is structural.

use crate::machine::Core;
use crate::seam::{Effect, Input};
use crate::time::Time;

/// Everything outside the orchestration core: a seeded simulator, or a tokio runtime with Docker nodes.
pub trait World {
    /// Waits, virtually or really, for the next input. `None` ends the run.
    fn next_input(&mut self) -> Option<(Time, Input)>;
    /// Carries out one effect; never calls back into the core.
    fn perform(&mut self, now: Time, effect: Effect);
    /// Lets the world look at the core after a step and all its effects; it cannot change anything.
    fn observe(&mut self, _now: Time, _core: &Core) {}
}

/// Runs a core in a world until the world ends the run.
pub fn drive(core: &mut Core, world: &mut impl World) {
    let mut effects = Vec::new();
    while let Some((now, input)) = world.next_input() {
        core.step(now, input, &mut effects);
        for effect in effects.drain(..) {
            world.perform(now, effect);
        }
        world.observe(now, core);
    }
}
