//! The journal of a run: everything that went into a core, so that the run can be told again.
//!
//! A journal is a file of JSON lines: a [`Line::Header`], one [`Line::Step`] per input, and a [`Line::End`] if the run
//! ended in order. A step is written *before* the core takes it. What the core answered is only known afterwards; its
//! hash travels on the next line, so each line is written once and nothing is written back. A run that is killed leaves
//! a journal without an end, perhaps with half a last line; all before that is sound, and only what the very last step
//! answered cannot be compared.
//!
//! Invariant: folding a journal's steps over a fresh core of the header's configuration gives the same effects, step by
//! step; [`Replay`] says where it does not. Absent on purpose: files and JSON texts, which belong to the edges.

use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::digest::{Fingerprint, StableHasher};
use crate::machine::Core;
use crate::seam::{Effect, Input};
use crate::time::Time;

/// The format that this build writes and reads.
pub const FORMAT: u32 = 2;

/// One line of a journal.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Line {
    /// The first line.
    Header(Box<Header>),
    /// One input.
    Step(Step),
    /// The last line of a run that ended in order.
    End(End),
}

/// What a run began with.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT`] of the program that wrote the journal.
    pub format: u32,
    /// The version of that program, for people.
    pub version: String,
    /// The core's settings, the seed among them.
    pub config: Config,
}

/// One input, as it was given to the core.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Step {
    /// The time of the step.
    pub now: Time,
    /// The input.
    pub input: Input,
    /// What the step before this one had for effects; that of no effects for the first step.
    pub answered: EffectsHash,
}

/// How a run ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct End {
    /// What the last step had for effects.
    pub answered: EffectsHash,
    /// The core's fingerprint after the last step.
    pub fingerprint: Fingerprint,
}

/// The hash of one step's effects, in their order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EffectsHash(pub u64);

/// Hashes one step's effects, one after the other.
#[derive(Clone, Copy, Debug, Default)]
pub struct EffectsHasher(StableHasher);

/// A journal that is folded over a core, line by line.
pub struct Replay {
    core: Core,
    effects: Vec<Effect>,
    answered: EffectsHash,
    ended: bool,
}

/// Where a journal and this build's core part.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Divergence {
    /// The journal is of another format.
    #[error("the journal has format {found}, expected {FORMAT}")]
    Format {
        /// The journal's format.
        found: u32,
    },
    /// A line stands where it cannot: a second header, or a step after the end.
    #[error("after step {steps}: {found} is out of place")]
    OutOfPlace {
        /// How many steps had been taken.
        steps: u64,
        /// What stands there.
        found: &'static str,
    },
    /// Time runs backwards.
    #[error("step {step} is at {found}, before {now}")]
    Backwards {
        /// The step, counted from 1.
        step: u64,
        /// Its time.
        found: Time,
        /// The time of the step before it.
        now: Time,
    },
    /// A step's effects are not those that were recorded.
    #[error(
        "step {step} at {at} has other effects than recorded: recorded {:016x}, found {:016x}",
        recorded.0,
        found.0
    )]
    Effects {
        /// The step, counted from 1.
        step: u64,
        /// Its time.
        at: Time,
        /// The recorded hash.
        recorded: EffectsHash,
        /// The hash now.
        found: EffectsHash,
    },
    /// All effects are the same, but the fingerprint is not: lines are missing.
    #[error("the fingerprint after the last step is {found}, recorded was {recorded}")]
    Fingerprint {
        /// The recorded fingerprint.
        recorded: Fingerprint,
        /// The fingerprint now.
        found: Fingerprint,
    },
}

impl Header {
    /// The header of a journal that this build writes.
    pub fn new(config: Config) -> Header {
        Header { format: FORMAT, version: env!("CARGO_PKG_VERSION").to_owned(), config }
    }
}

impl EffectsHasher {
    /// Takes the next effect in.
    pub fn absorb(&mut self, effect: &Effect) {
        effect.hash(&mut self.0);
    }

    /// The hash of the effects so far.
    pub fn finish(&self) -> EffectsHash {
        EffectsHash(self.0.finish())
    }
}

impl Replay {
    /// A fresh core of the header's settings. Refuses a journal of another format.
    pub fn new(header: &Header) -> Result<Replay, Divergence> {
        if header.format != FORMAT {
            return Err(Divergence::Format { found: header.format });
        }
        let core = Core::new(header.config.clone());
        Ok(Replay { core, effects: Vec::new(), answered: EffectsHasher::default().finish(), ended: false })
    }

    /// Takes the next line, compares what can be compared, and gives the effects of this step.
    pub fn take(&mut self, line: Line) -> Result<&[Effect], Divergence> {
        self.effects.clear();
        if self.ended {
            return Err(Divergence::OutOfPlace { steps: self.core.steps(), found: "a line after the end" });
        }
        match line {
            Line::Header(_) => Err(Divergence::OutOfPlace { steps: self.core.steps(), found: "a header" }),
            Line::Step(step) => {
                self.compare(step.answered)?;
                if step.now < self.core.now() {
                    let (step_number, found) = (self.core.steps() + 1, step.now);
                    return Err(Divergence::Backwards { step: step_number, found, now: self.core.now() });
                }
                self.core.step(step.now, step.input, &mut self.effects);
                let mut hasher = EffectsHasher::default();
                self.effects.iter().for_each(|effect| hasher.absorb(effect));
                self.answered = hasher.finish();
                Ok(&self.effects)
            }
            Line::End(end) => {
                self.ended = true;
                self.compare(end.answered)?;
                let found = self.core.fingerprint();
                if found != end.fingerprint {
                    return Err(Divergence::Fingerprint { recorded: end.fingerprint, found });
                }
                Ok(&self.effects)
            }
        }
    }

    /// The effects of the step that was taken last.
    pub fn effects(&self) -> &[Effect] {
        &self.effects
    }

    /// The core as the journal has brought it so far.
    pub fn core(&self) -> &Core {
        &self.core
    }

    fn compare(&self, recorded: EffectsHash) -> Result<(), Divergence> {
        let found = self.answered;
        if recorded == found {
            return Ok(());
        }
        Err(Divergence::Effects { step: self.core.steps(), at: self.core.now(), recorded, found })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ProcId;
    use crate::world::{World, drive};
    use std::collections::VecDeque;

    /// A world that records what it gives, as a real one does.
    struct Recorder {
        inputs: VecDeque<(Time, Input)>,
        lines: Vec<Line>,
        hasher: EffectsHasher,
    }

    impl World for Recorder {
        fn next_input(&mut self) -> Option<(Time, Input)> {
            let (now, input) = self.inputs.pop_front()?;
            let answered = std::mem::take(&mut self.hasher).finish();
            self.lines.push(Line::Step(Step { now, input: input.clone(), answered }));
            Some((now, input))
        }

        fn perform(&mut self, _: Time, effect: Effect) {
            self.hasher.absorb(&effect);
        }
    }

    fn recorded() -> (Header, Vec<Line>) {
        let header = Header::new(Config::default());
        let mut core = Core::new(header.config.clone());
        let starts = [ProcId::API_SERVER, ProcId::SCHEDULER, ProcId::CONTROLLER_MANAGER];
        let inputs = starts.into_iter().enumerate();
        let inputs = inputs.map(|(second, process)| (Time::from_secs(second as u64), Input::Started(process)));
        let mut world = Recorder { inputs: inputs.collect(), lines: Vec::new(), hasher: EffectsHasher::default() };
        drive(&mut core, &mut world);
        let end = End { answered: world.hasher.finish(), fingerprint: core.fingerprint() };
        world.lines.push(Line::End(end));
        (header, world.lines)
    }

    fn replay(header: &Header, lines: Vec<Line>) -> Result<u64, Divergence> {
        let mut replay = Replay::new(header)?;
        for line in lines {
            replay.take(line)?;
        }
        Ok(replay.core().steps())
    }

    #[test]
    fn a_run_is_told_again_from_its_journal() {
        let (header, lines) = recorded();
        assert_eq!(replay(&header, lines), Ok(3));
    }

    #[test]
    fn a_journal_without_its_end_can_be_told_as_far_as_it_goes() {
        let (header, mut lines) = recorded();
        lines.truncate(2);
        assert_eq!(replay(&header, lines), Ok(2));
    }

    #[test]
    fn a_line_that_is_missing_or_changed_is_noticed() {
        let (header, lines) = recorded();
        let mut missing = lines.clone();
        missing.remove(2);
        assert!(replay(&header, missing).is_err());
        let mut changed = lines;
        if let Line::Step(step) = &mut changed[2] {
            step.answered.0 ^= 1;
        }
        assert!(matches!(replay(&header, changed), Err(Divergence::Effects { step: 2, .. })));
    }
}
