//! A recorded run as a sequence of inputs, whichever world it took place in.

use std::path::Path;

use wavetank_core::facts::{Fact, What};
use wavetank_core::seam::{Effect, Input};
use wavetank_core::time::Time;
use wavetank_journal::{FILE_NAME, Reader};

use super::{Unusable, load_recorded};
use crate::world::Simulation;

/// A recorded run that is told again, input by input.
#[expect(clippy::large_enum_variant, reason = "there are at most two of them")]
pub(super) enum Source {
    /// Simulated again from its scenario.
    Simulated { simulation: Simulation, shown: usize },
    /// Folded from its journal.
    Journal(Reader),
}

/// One input and the facts that came of it, without Kubernetes events: these name versions of objects, which differ
/// between histories that tell the same.
pub(super) struct Event {
    pub(super) now: Time,
    pub(super) input: Input,
    pub(super) facts: Vec<(Time, Fact)>,
}

impl Source {
    /// Opens a run's directory.
    pub(super) fn open(dir: &Path) -> Result<Source, Unusable> {
        if dir.join(FILE_NAME).is_file() {
            let reader = Reader::open(&dir.join(FILE_NAME)).map_err(|error| Unusable(error.to_string()))?;
            return Ok(Source::Journal(reader));
        }
        let (loaded, _) = load_recorded(dir)?;
        if loaded.plan.placement_only {
            let place = dir.display();
            return Err(Unusable(format!(
                "{place} is a run of placement alone, which has no events: compare pods.csv"
            )));
        }
        Ok(Source::Simulated { simulation: Simulation::new(&loaded.plan), shown: 0 })
    }

    /// The next input; `None` at the end. Errors: a journal that is damaged or tells something else.
    pub(super) fn next(&mut self) -> Result<Option<Event>, String> {
        match self {
            Source::Simulated { simulation, shown } => {
                let Some((now, input)) = simulation.step() else { return Ok(None) };
                let input = input.clone();
                let facts = simulation.world().facts();
                let new = facts[*shown..].iter().filter(|(_, fact)| !is_event(fact)).cloned().collect();
                *shown = facts.len();
                Ok(Some(Event { now, input, facts: new }))
            }
            Source::Journal(reader) => {
                let Some(step) = reader.step().map_err(|error| error.to_string())? else { return Ok(None) };
                let facts = step.effects.iter().filter_map(|effect| match effect {
                    Effect::Record(fact) if !is_event(fact) => Some((step.now, fact.clone())),
                    _ => None,
                });
                let facts = facts.collect();
                Ok(Some(Event { now: step.now, input: step.input, facts }))
            }
        }
    }
}

fn is_event(fact: &Fact) -> bool {
    matches!(fact.what, What::Event(_))
}
