//! What is kept of a run: its facts, its refused steps, and a ladder of hashes by which two runs are bisected.

use wavetank_core::api::Refusal;
use wavetank_core::digest::{Digest, Fingerprint};
use wavetank_core::facts::Fact;
use wavetank_core::time::Time;

/// The most rungs that a ladder has; at more, every second one goes.
const RUNGS_MAX: usize = 1024;

/// A step of the plan that the API server refused.
#[derive(Clone, PartialEq, Debug)]
pub struct StepRefusal {
    /// When it answered.
    pub at: Time,
    /// The step's place in the plan's list.
    pub step: u32,
    /// Why.
    pub refusal: Refusal,
}

/// Something that a drain of the plan has said.
#[derive(Clone, PartialEq, Debug)]
pub struct DrainNote {
    /// When.
    pub at: Time,
    /// The drain's place in the plan's list.
    pub drain: u32,
    /// One CamelCase word.
    pub reason: &'static str,
    /// A line; may be empty.
    pub text: String,
    /// Whether it is the last line of a drain that could not do everything.
    pub failed: bool,
}

/// The state of a run after some number of steps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rung {
    /// How many inputs had been handled.
    pub steps: u64,
    /// The time.
    pub at: Time,
    /// The rolling hash over the inputs.
    pub fingerprint: Fingerprint,
    /// The hash of the store.
    pub digest: Digest,
}

/// How a run ended.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    /// When it ended.
    pub end: Time,
    /// How many inputs the core handled.
    pub steps: u64,
    /// The rolling hash over all of them.
    pub fingerprint: Fingerprint,
    /// The hash of the store at the end.
    pub digest: Digest,
    /// Everything that happened, in order; empty if the run was told to keep none.
    pub facts: Vec<(Time, Fact)>,
    /// Steps of the plan that were refused.
    pub refusals: Vec<StepRefusal>,
    /// What the drains of the plan have said.
    pub drain_notes: Vec<DrainNote>,
    /// Hashes at even distances, at most 1,024.
    pub ladder: Vec<Rung>,
}

/// A ladder of bounded size over a run of unknown length: the distance of its rungs doubles when it is full.
#[derive(Clone, Debug)]
pub(crate) struct Ladder {
    rungs: Vec<Rung>,
    distance: u64,
}

impl Ladder {
    pub(crate) fn new() -> Ladder {
        Ladder { rungs: Vec::new(), distance: 1 }
    }

    /// Whether a rung is due after so many steps.
    pub(crate) fn is_due(&self, steps: u64) -> bool {
        steps.is_multiple_of(self.distance)
    }

    pub(crate) fn push(&mut self, rung: Rung) {
        self.rungs.push(rung);
        if self.rungs.len() > RUNGS_MAX {
            self.distance *= 2;
            self.rungs.retain(|rung| rung.steps.is_multiple_of(self.distance));
        }
    }

    pub(crate) fn rungs(&self) -> &[Rung] {
        &self.rungs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ladder_stays_bounded_and_its_rungs_stay_evenly_spaced() {
        let mut ladder = Ladder::new();
        for steps in 1..=1_000_000 {
            if ladder.is_due(steps) {
                let (fingerprint, digest) = (Fingerprint::default(), Digest::default());
                ladder.push(Rung { steps, at: Time(steps), fingerprint, digest });
            }
        }
        let rungs = ladder.rungs();
        assert!((RUNGS_MAX / 2 - 1..=RUNGS_MAX).contains(&rungs.len()), "{}", rungs.len());
        assert!(rungs.windows(2).all(|pair| pair[1].steps - pair[0].steps == rungs[0].steps));
    }
}
