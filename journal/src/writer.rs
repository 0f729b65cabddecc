//! Writing a journal.
//!
//! Invariant: a line is with the operating system before the core takes its input, so whatever ends this program, the
//! journal holds everything that the core has seen. Absent on purpose: waiting for the disk. A power failure can cost
//! the last seconds, which is no loss while a cluster's containers die with the machine too.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
};

use wavetank_core::{
    digest::Fingerprint,
    journal::{EffectsHasher, End, Header, Line, Step},
    seam::{Effect, Input},
    time::Time,
};

use crate::JournalError;

/// Writes a journal.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    file: File,
    effects: EffectsHasher,
}

impl Writer {
    /// Begins a journal at `path`; an older one there is replaced.
    pub fn create(path: &Path, header: Header) -> Result<Writer, JournalError> {
        let file = File::create(path).map_err(|error| JournalError::Write { path: path.to_owned(), error })?;
        let mut writer = Writer { path: path.to_owned(), file, effects: EffectsHasher::default() };
        writer.line(&Line::Header(Box::new(header)))?;
        Ok(writer)
    }

    /// Writes the input that the core is about to take.
    pub fn step(&mut self, now: Time, input: &Input) -> Result<(), JournalError> {
        let answered = std::mem::take(&mut self.effects).finish();
        self.line(&Line::Step(Step { now, input: input.clone(), answered }))
    }

    /// Takes note of an effect of the step under way.
    pub fn effect(&mut self, effect: &Effect) {
        self.effects.absorb(effect);
    }

    /// Ends the journal in order.
    pub fn end(mut self, fingerprint: Fingerprint) -> Result<(), JournalError> {
        let answered = self.effects.finish();
        self.line(&Line::End(End { answered, fingerprint }))
    }

    fn line(&mut self, line: &Line) -> Result<(), JournalError> {
        let mut text = serde_json::to_vec(line).expect("a line has text keys only, and memory takes all");
        text.push(b'\n');
        self.file.write_all(&text).map_err(|error| JournalError::Write { path: self.path.clone(), error })
    }
}
