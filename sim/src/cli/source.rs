//! A recorded run as a sequence of inputs, whichever world it took place in.

use std::fs::File;
use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};

use wavetank_core::facts::Fact;
use wavetank_core::journal::{Line, Replay};
use wavetank_core::seam::{Effect, Input};
use wavetank_core::time::Time;

use super::{Unusable, load};
use crate::plan::scenario::Inputs;
use crate::world::Simulation;

/// The journal of a run in the real world.
pub(super) const JOURNAL: &str = "inputs.log";

/// A recorded run that is told again, input by input.
#[expect(clippy::large_enum_variant, reason = "there are at most two of them")]
pub(super) enum Source {
    /// Simulated again from its scenario.
    Simulated { simulation: Simulation, shown: usize },
    /// Folded from its journal.
    Journal(Journal),
}

/// A journal's file, folded over a core.
pub(super) struct Journal {
    path: PathBuf,
    lines: Lines<BufReader<File>>,
    number: u64,
    pub(super) replay: Replay,
    pub(super) ended: bool,
}

/// One input and the facts that came of it.
pub(super) struct Event {
    pub(super) now: Time,
    pub(super) input: Input,
    pub(super) facts: Vec<(Time, Fact)>,
}

impl Source {
    /// Opens a run's directory.
    pub(super) fn open(dir: &Path) -> Result<Source, Unusable> {
        if dir.join(JOURNAL).is_file() {
            return Journal::open(&dir.join(JOURNAL)).map(Source::Journal).map_err(Unusable);
        }
        let (loaded, _) = load(Inputs::from_run(dir).map_err(Unusable)?)?;
        Ok(Source::Simulated { simulation: Simulation::new(&loaded.plan), shown: 0 })
    }

    /// The next input; `None` at the end. Errors: a journal that is damaged or tells something else.
    pub(super) fn next(&mut self) -> Result<Option<Event>, String> {
        match self {
            Source::Simulated { simulation, shown } => {
                let Some((now, input)) = simulation.step() else { return Ok(None) };
                let input = input.clone();
                let facts = simulation.world().facts();
                let new = facts[*shown..].to_vec();
                *shown = facts.len();
                Ok(Some(Event { now, input, facts: new }))
            }
            Source::Journal(journal) => journal.next(),
        }
    }
}

impl Journal {
    pub(super) fn open(path: &Path) -> Result<Journal, String> {
        let file = File::open(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let mut lines = BufReader::new(file).lines();
        let first = read_line(path, 1, lines.next())?.ok_or_else(|| format!("{} is empty", path.display()))?;
        let Line::Header(header) = first else {
            return Err(format!("{}:1: expected the journal's header", path.display()));
        };
        let replay = Replay::new(&header).map_err(|error| format!("{}:1: {error}", path.display()))?;
        Ok(Journal { path: path.to_owned(), lines, number: 1, replay, ended: false })
    }

    pub(super) fn next(&mut self) -> Result<Option<Event>, String> {
        self.number += 1;
        let Some(line) = read_line(&self.path, self.number, self.lines.next())? else { return Ok(None) };
        let step = match &line {
            Line::Step(step) => Some((step.now, step.input.clone())),
            Line::Header(_) | Line::End(_) => None,
        };
        let place = format!("{}:{}", self.path.display(), self.number);
        let effects = self.replay.take(line).map_err(|error| format!("{place}: {error}"))?;
        let Some((now, input)) = step else {
            self.ended = true;
            return Ok(None);
        };
        let facts = effects.iter().filter_map(|effect| match effect {
            Effect::Record(fact) => Some((now, fact.clone())),
            _ => None,
        });
        Ok(Some(Event { now, input, facts: facts.collect() }))
    }
}

fn read_line(path: &Path, number: u64, line: Option<std::io::Result<String>>) -> Result<Option<Line>, String> {
    let place = || format!("{}:{number}", path.display());
    match line {
        None => Ok(None),
        Some(Err(error)) => Err(format!("{}: {error}", place())),
        // A run that was killed leaves half a last line, which says nothing.
        Some(Ok(text)) => match serde_json::from_str(&text) {
            Ok(line) => Ok(Some(line)),
            Err(error) if error.is_eof() => Ok(None),
            Err(error) => Err(format!("{}: not a line of a journal: {error}", place())),
        },
    }
}
