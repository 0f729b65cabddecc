//! The journal's file, `inputs.log`: JSON lines of [`wavetank_core::journal`].
//!
//! Invariant: a line is with the operating system before the core takes its input, so whatever ends this program, the
//! journal holds everything that the core has seen. Absent on purpose: waiting for the disk. A power failure can cost
//! the last seconds, which is no loss while a cluster's containers die with the machine too.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
};

use wavetank_core::{
    Effect, Input,
    digest::Fingerprint,
    journal::{Divergence, EffectsHasher, End, Header, Line, Replay, Step},
    time::Time,
};

/// The file's name in a run's directory.
pub const FILE_NAME: &str = "inputs.log";

/// Writes a journal.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    file: File,
    effects: EffectsHasher,
}

/// What went wrong with a journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file cannot be written.
    #[error("cannot write {}: {error}", path.display())]
    Write {
        /// The journal.
        path: PathBuf,
        /// The system's own words.
        error: io::Error,
    },
    /// The file cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Read {
        /// The journal.
        path: PathBuf,
        /// The system's own words.
        error: io::Error,
    },
    /// A line is not of a journal.
    #[error("{}:{line}: not a line of a journal: {problem}", path.display())]
    Line {
        /// The journal.
        path: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// The journal and this build's core part.
    #[error("{}:{line}: {divergence}", path.display())]
    Diverged {
        /// The journal.
        path: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// How they part.
        divergence: Divergence,
    },
}

/// What a journal was found to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// How many steps were taken again with the same effects.
    pub steps: u64,
    /// The time of the last of them.
    pub until: Time,
    /// Whether the run ended in order, and its fingerprint was compared.
    pub ended: bool,
    /// The fingerprint after the last step.
    pub fingerprint: Fingerprint,
}

impl Writer {
    /// Begins a journal at `path`; an older one there is replaced.
    pub fn create(path: &Path, header: Header) -> Result<Writer, JournalError> {
        let file = File::create(path).map_err(|error| JournalError::Write { path: path.to_owned(), error })?;
        let mut writer = Writer { path: path.to_owned(), file, effects: EffectsHasher::default() };
        writer.line(&Line::Header(header))?;
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

/// Folds a journal over a fresh core and compares every step's effects. A last line that was cut off is left out.
pub fn replay(path: &Path) -> Result<Told, JournalError> {
    let unreadable = |error| JournalError::Read { path: path.to_owned(), error };
    let mut file = BufReader::new(File::open(path).map_err(unreadable)?);
    let (mut replay, mut ended, mut number, mut text) = (None, false, 0, Vec::new());
    loop {
        text.clear();
        file.read_until(b'\n', &mut text).map_err(unreadable)?;
        let Some(text) = text.strip_suffix(b"\n") else { break };
        number += 1;
        let wrong = |problem: String| JournalError::Line { path: path.to_owned(), line: number, problem };
        let diverged = |divergence| JournalError::Diverged { path: path.to_owned(), line: number, divergence };
        let line: Line = serde_json::from_slice(text).map_err(|error| wrong(error.to_string()))?;
        ended = matches!(line, Line::End(_));
        match (&mut replay, line) {
            (None, Line::Header(header)) => replay = Some(Replay::new(&header).map_err(diverged)?),
            (None, _) => return Err(wrong("expected the header".to_owned())),
            (Some(replay), line) => {
                replay.take(line).map_err(diverged)?;
            }
        }
    }
    let replay = replay.ok_or_else(|| JournalError::Line {
        path: path.to_owned(),
        line: 1,
        problem: "there is no whole line".to_owned(),
    })?;
    let core = replay.core();
    Ok(Told { steps: core.steps(), until: core.now(), ended, fingerprint: core.fingerprint() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, OpenOptions};
    use wavetank_core::{Core, config::Config, id::ProcId};

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let folder = std::env::temp_dir().join(format!("wavetank-{name}-{}", std::process::id()));
            fs::create_dir_all(&folder).expect("a temporary folder");
            Folder(folder)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).expect("the folder is ours");
        }
    }

    fn write(path: &Path) -> (Writer, Core) {
        let config = Config { seed: 7, ..Config::default() };
        let mut writer = Writer::create(path, Header::new(config.clone())).expect("a writable folder");
        let mut core = Core::new(config);
        let mut effects = Vec::new();
        for (second, process) in [ProcId::API_SERVER, ProcId::SCHEDULER].into_iter().enumerate() {
            let (now, input) = (Time::from_secs(second as u64), Input::Started(process));
            writer.step(now, &input).expect("room on the disk");
            core.step(now, input, &mut effects);
            effects.drain(..).for_each(|effect| writer.effect(&effect));
        }
        (writer, core)
    }

    #[test]
    fn a_run_that_ended_in_order_is_told_again_to_its_end() {
        let folder = Folder::new("journal-whole");
        let path = folder.0.join(FILE_NAME);
        let (writer, core) = write(&path);
        writer.end(core.fingerprint()).expect("room on the disk");
        let told = replay(&path).expect("a sound journal");
        let until = Time::from_secs(1);
        assert_eq!(told, Told { steps: 2, until, ended: true, fingerprint: core.fingerprint() });
    }

    #[test]
    fn a_run_that_was_killed_while_it_wrote_is_told_up_to_the_last_whole_line() {
        let folder = Folder::new("journal-torn");
        let path = folder.0.join(FILE_NAME);
        drop(write(&path));
        let mut file = OpenOptions::new().append(true).open(&path).expect("the journal");
        file.write_all(b"{\"Step\":{\"now\":2000000000,\"inp").expect("room on the disk");
        let told = replay(&path).expect("a sound journal");
        assert_eq!((told.steps, told.ended), (2, false));
    }

    #[test]
    fn a_file_that_is_no_journal_is_refused_with_its_line() {
        let folder = Folder::new("journal-foreign");
        let path = folder.0.join(FILE_NAME);
        fs::write(&path, "kind: Deployment\n").expect("room on the disk");
        let error = replay(&path).expect_err("this is a manifest").to_string();
        assert!(error.contains("inputs.log:1: not a line of a journal"), "{error}");
    }
}
