//! Reading a journal: its steps are folded over a fresh core, and what the core answers is compared with the record.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

use wavetank_core::{
    Core,
    digest::Fingerprint,
    journal::{Divergence, Line, Replay},
    seam::{Effect, Input},
    time::Time,
};

use crate::JournalError;

/// A journal's file, folded over a core step by step.
pub struct Reader {
    path: PathBuf,
    file: BufReader<File>,
    /// The line that was read last, counted from 1.
    number: u64,
    text: Vec<u8>,
    /// The line before it.
    before: Vec<u8>,
    replay: Replay,
    ended: bool,
    decisions: u64,
}

/// One step of a journal: what the core was given and what it answered.
#[derive(Debug)]
pub struct Taken<'a> {
    /// The time of the step.
    pub now: Time,
    /// The input.
    pub input: Input,
    /// The effects.
    pub effects: &'a [Effect],
}

/// What a journal was found to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// How many steps were taken again.
    pub steps: u64,
    /// How many effects they had: the decisions of the core. All were compared, but for those of the last step of a run
    /// that was killed.
    pub decisions: u64,
    /// The time of the last step.
    pub until: Time,
    /// Whether the run ended in order, and its fingerprint was compared.
    pub ended: bool,
    /// The fingerprint after the last step.
    pub fingerprint: Fingerprint,
}

/// Folds a whole journal over a fresh core and compares every step's effects. A last line that was cut off is left out.
pub fn replay(path: &Path) -> Result<Told, JournalError> {
    let mut reader = Reader::open(path)?;
    while reader.step()?.is_some() {}
    Ok(reader.told())
}

impl Reader {
    /// Reads the header and makes a core of its settings. Errors: no such file, no journal, another format.
    pub fn open(path: &Path) -> Result<Reader, JournalError> {
        let mut file = File::open(path).map(BufReader::new).map_err(|error| unreadable(path, error))?;
        let mut text = Vec::new();
        let problem =
            |problem: &str| JournalError::Line { path: path.to_owned(), line: 1, problem: problem.to_owned() };
        let header = match read_line(path, &mut file, 1, &mut text)? {
            Some(Line::Header(header)) => *header,
            Some(Line::Step(_) | Line::End(_)) => return Err(problem("expected the header")),
            None => return Err(problem("there is no whole line")),
        };
        let replay =
            Replay::new(&header).map_err(|divergence| JournalError::Format { path: path.to_owned(), divergence })?;
        let path = path.to_owned();
        Ok(Reader { path, file, number: 1, text, before: Vec::new(), replay, ended: false, decisions: 0 })
    }

    /// Takes the next step; `None` at the end. Errors: a damaged line, or a core that decides otherwise.
    pub fn step(&mut self) -> Result<Option<Taken<'_>>, JournalError> {
        self.number += 1;
        std::mem::swap(&mut self.text, &mut self.before);
        let Some(line) = read_line(&self.path, &mut self.file, self.number, &mut self.text)? else { return Ok(None) };
        let step = match &line {
            Line::Step(step) => Some((step.now, step.input.clone())),
            Line::Header(_) | Line::End(_) => None,
        };
        let ends = matches!(line, Line::End(_));
        if let Err(divergence) = self.replay.take(line) {
            return Err(self.diverged(divergence));
        }
        let Some((now, input)) = step else {
            assert!(ends, "a second header diverges");
            self.ended = true;
            return self.step();
        };
        let effects = self.replay.effects();
        self.decisions += effects.len() as u64;
        Ok(Some(Taken { now, input, effects }))
    }

    /// The core as the journal has brought it so far.
    pub fn core(&self) -> &Core {
        self.replay.core()
    }

    /// What was told so far.
    pub fn told(&self) -> Told {
        let (core, ended) = (self.core(), self.ended);
        let (steps, until, fingerprint) = (core.steps(), core.now(), core.fingerprint());
        Told { steps, decisions: self.decisions, until, ended, fingerprint }
    }

    /// A step's effects are recorded on the line after it: there the two are found to part, but the step is what
    /// counts.
    fn diverged(&self, divergence: Divergence) -> JournalError {
        let text = |line: &[u8]| Some(String::from_utf8_lossy(line).trim_end().to_owned());
        let (line, step) = match &divergence {
            Divergence::Effects { .. } => (self.number - 1, text(&self.before)),
            Divergence::OutOfPlace { .. } | Divergence::Backwards { .. } => (self.number, text(&self.text)),
            Divergence::Fingerprint { .. } | Divergence::Format { .. } => (self.number, None),
        };
        JournalError::Diverged { path: self.path.clone(), line, divergence, step }
    }
}

/// The next line; `None` at the end of the file. A run that was killed leaves half a last line, which says nothing.
fn read_line(
    path: &Path,
    file: &mut BufReader<File>,
    line: u64,
    text: &mut Vec<u8>,
) -> Result<Option<Line>, JournalError> {
    text.clear();
    file.read_until(b'\n', text).map_err(|error| unreadable(path, error))?;
    let Some(whole) = text.strip_suffix(b"\n") else { return Ok(None) };
    let parsed = serde_json::from_slice(whole);
    let wrong =
        |error: serde_json::Error| JournalError::Line { path: path.to_owned(), line, problem: error.to_string() };
    parsed.map(Some).map_err(wrong)
}

fn unreadable(path: &Path, error: std::io::Error) -> JournalError {
    JournalError::Read { path: path.to_owned(), error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FILE_NAME, Writer};
    use std::sync::Arc;
    use std::{
        fs::{self, OpenOptions},
        io::Write,
    };
    use wavetank_core::{
        api::Request,
        config::Config,
        id::{ProcId, RequestId},
        journal::{Header, Step},
        model::{Namespace, Object},
        seam::Msg,
    };

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
        let namespace = Object::Namespace(Arc::new(Namespace::named("default")));
        let body = Msg::Request(RequestId(0), Box::new(Request::Create(namespace)));
        let create = Input::Message { from: ProcId::CLIENT, to: ProcId::API_SERVER, body };
        for (second, input) in [Input::Started(ProcId::API_SERVER), create].into_iter().enumerate() {
            let now = Time::from_secs(second as u64);
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
        assert!(told.decisions > 0, "the processes arm their timers");
        let decisions = told.decisions;
        assert_eq!(told, Told { steps: 2, decisions, until, ended: true, fingerprint: core.fingerprint() });
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

    #[test]
    fn a_step_that_was_tampered_with_is_named() {
        let folder = Folder::new("journal-tampered");
        let path = folder.0.join(FILE_NAME);
        let (writer, core) = write(&path);
        writer.end(core.fingerprint()).expect("room on the disk");
        let text = fs::read_to_string(&path).expect("the journal");
        let mut lines: Vec<&str> = text.lines().collect();
        let mut step: Line = serde_json::from_str(lines[2]).expect("a line");
        let Line::Step(Step { input, .. }) = &mut step else { panic!("{step:?} is no step") };
        *input = Input::Started(ProcId::SCHEDULER);
        let other = serde_json::to_string(&step).expect("text keys");
        lines[2] = &other;
        fs::write(&path, format!("{}\n", lines.join("\n"))).expect("room on the disk");
        let error = replay(&path).expect_err("the effects are others");
        assert!(matches!(&error, JournalError::Diverged { line: 3, step: Some(_), .. }), "{error}");
        assert!(error.to_string().contains("inputs.log:3: step 2 at 1"), "{error}");
        // A line that is cut off in the middle is damage, not the end.
        let mut torn: Vec<&str> = text.lines().collect();
        torn[2] = &torn[2][..9];
        fs::write(&path, format!("{}\n", torn.join("\n"))).expect("room on the disk");
        let error = replay(&path).expect_err("a line is cut off").to_string();
        assert!(error.contains("inputs.log:3: not a line of a journal"), "{error}");
    }
}
