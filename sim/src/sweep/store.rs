//! The directory of a sweep: one file per run below `runs/`, tables and plots beside them.
//!
//! Every file is written under another name, forced to the disk and renamed, so that a killed sweep leaves whole files
//! only. A directory that is not a sweep's is never written to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::Job;
use super::matrix::shown;
use super::result::{RunResult, hash};
use crate::plan::scenario::Settings;
use crate::whole::write_whole;
use wavetank_manifest::text_file;

/// Says that the directory is a sweep's.
const MARK: &str = "sweep.json";
const RUNS: &str = "runs";

/// A sweep's directory.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    /// The scenario's directory, from which the paths in it lead.
    base: PathBuf,
    scenario: String,
    /// Hashes of files by the path that the scenario writes, each read once.
    hashes: Mutex<BTreeMap<String, Option<String>>>,
}

impl Store {
    /// Opens a directory for a sweep of a scenario, or makes it.
    ///
    /// Errors: a sentence; the directory is somebody else's, or cannot be made, or the scenario cannot be read.
    pub fn open(dir: &Path, file: &Path, described: &serde_json::Value) -> Result<Store, String> {
        let text = text_file::read(file)?;
        let occupied = dir.exists()
            && !dir.join(MARK).is_file()
            && std::fs::read_dir(dir).map_or(true, |mut entries| entries.next().is_some());
        if occupied {
            let place = dir.display();
            return Err(format!(
                "{place} exists and is not the directory of a sweep: choose another one, or remove it"
            ));
        }
        let runs = dir.join(RUNS);
        std::fs::create_dir_all(&runs).map_err(|error| format!("cannot make {}: {error}", runs.display()))?;
        let store = Store {
            dir: dir.to_owned(),
            base: file.parent().unwrap_or(Path::new("")).to_owned(),
            scenario: hash(&text),
            hashes: Mutex::default(),
        };
        let mut mark = serde_json::to_vec_pretty(described).expect("a description is plain data");
        mark.push(b'\n');
        store.write(MARK, &mark)?;
        Ok(store)
    }

    /// The result of a run, if there is one that belongs to the scenario and files as they are.
    pub(super) fn find(&self, job: &Job, settings: &Settings) -> Option<RunResult> {
        let text = std::fs::read_to_string(self.dir.join(name(job))).ok()?;
        let result: RunResult = serde_json::from_str(&text).ok()?;
        result.is_of(&self.scenario, settings, |path| self.hash_of(path)).then_some(result)
    }

    /// Keeps a run's result.
    pub(super) fn keep(&self, job: &Job, result: &RunResult) -> Result<(), String> {
        let mut text = serde_json::to_vec(result).expect("a result is plain data");
        text.push(b'\n');
        self.write(&name(job), &text)
    }

    /// Writes a file, whole or not at all.
    ///
    /// Errors: a sentence that names it.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), String> {
        let path = self.dir.join(name);
        let parent = path.parent().unwrap_or(&self.dir);
        let written = std::fs::create_dir_all(parent).and_then(|()| write_whole(&path, bytes));
        written.map_err(|error| format!("cannot write {}: {error}", path.display()))
    }

    fn hash_of(&self, path: &str) -> Option<String> {
        let mut hashes = self.hashes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let read = || std::fs::read_to_string(self.base.join(path)).ok().map(|text| hash(&text));
        hashes.entry(path.to_owned()).or_insert_with(read).clone()
    }
}

/// The place of a run's result: its values as far as a file name can show them, its seed, and a hash of all of it.
fn name(job: &Job) -> String {
    let safe = |letter: char| if letter.is_ascii_alphanumeric() || "._".contains(letter) { letter } else { '-' };
    let values = job.cell.values.iter().map(|(_, value)| shown(value).chars().map(safe).take(40).collect::<String>());
    let values = values.collect::<Vec<_>>().join("_");
    let settings = job.cell.settings().collect::<Vec<_>>().join("\n");
    let hash = &hash(&settings)[..8];
    format!("{RUNS}/{}{hash}_seed-{}.json", if values.is_empty() { values } else { values + "_" }, job.seed)
}
