//! What a run was made from: the scenario's text, the manifests that it names, and what the command line set.
//!
//! Enough to run again anywhere: a recorded run carries this, not paths.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use wavetank_core::time::Span;

use wavetank_manifest::text_file;

/// The version of a recorded run's `inputs/inputs.json`.
const VERSION: u32 = 1;

/// What the command line set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// `--seed`.
    pub seed: Option<u64>,
    /// `--until`.
    pub until: Option<Span>,
    /// `--set`, in order, each `path=value`.
    pub set: Vec<String>,
    /// How many of them, the last ones, are values of a sweep's `--matrix`: for messages.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub of_matrix: usize,
}

impl Settings {
    /// Whether the command line changes the run: a pinned fingerprint belongs to the unchanged one.
    pub fn is_empty(&self) -> bool {
        *self == Settings::default()
    }

    /// The settings with the option that each was given with.
    pub(super) fn options(&self) -> impl DoubleEndedIterator<Item = (&'static str, &str)> {
        let of_command = self.set.len() - self.of_matrix;
        let option = move |place: usize| if place < of_command { "--set" } else { "--matrix" };
        self.set.iter().enumerate().map(move |(place, setting)| (option(place), setting.as_str()))
    }
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// Where the files that a scenario names come from.
#[derive(Clone, Debug)]
pub enum Files {
    /// The disk, relative to this directory.
    Disk(PathBuf),
    /// A recorded run: texts by the path that the scenario writes.
    Recorded(BTreeMap<String, String>),
}

/// A scenario's text and everything else that determines a run.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// The file as the user named it, for messages and reports.
    pub name: String,
    /// Its text.
    pub text: String,
    /// What the command line set.
    pub settings: Settings,
    files: Files,
    /// Files that were read: path as written, name for messages, text.
    read: BTreeMap<String, (String, String)>,
}

/// The shape of `inputs/inputs.json`.
#[derive(Serialize, Deserialize)]
struct Recorded {
    version: u32,
    name: String,
    #[serde(flatten)]
    settings: Settings,
    /// Path as the scenario writes it → path below `inputs/`.
    manifests: BTreeMap<String, String>,
}

impl Inputs {
    /// A scenario file on the disk.
    ///
    /// Errors: a sentence that names the file.
    pub fn open(path: &Path, settings: Settings) -> Result<Inputs, String> {
        let name = path.display().to_string();
        let text = text_file::read(path)?;
        let base = path.parent().unwrap_or(Path::new("")).to_owned();
        Ok(Inputs::new(name, text, settings, Files::Disk(base)))
    }

    /// A scenario of a text.
    pub fn new(name: String, text: String, settings: Settings, files: Files) -> Inputs {
        Inputs { name, text, settings, files, read: BTreeMap::new() }
    }

    /// The text of a file that the scenario names, and its name for messages; it is remembered.
    ///
    /// Errors: a phrase for a message that has the place already.
    pub fn file(&mut self, path: &str) -> Result<(String, String), String> {
        if let Some(known) = self.read.get(path) {
            return Ok(known.clone());
        }
        let found = match &self.files {
            Files::Recorded(texts) => {
                let text = texts.get(path).ok_or_else(|| format!("the recorded run has no file {path:?}"))?;
                (path.to_owned(), text.clone())
            }
            Files::Disk(base) => {
                let place = base.join(path);
                (place.display().to_string(), text_file::read(&place)?)
            }
        };
        self.read.insert(path.to_owned(), found.clone());
        Ok(found)
    }

    /// The files that were read: the path as the scenario writes it, and the text.
    pub fn files_read(&self) -> impl Iterator<Item = (&str, &str)> {
        self.read.iter().map(|(path, (_, text))| (path.as_str(), text.as_str()))
    }

    /// The scenario file's name without directories: reports do not depend on where the user keeps it.
    pub fn file_name(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or(&self.name)
    }

    /// All texts by their names for messages.
    pub fn texts(&self) -> Vec<(String, String)> {
        let mut texts = vec![(self.name.clone(), self.text.clone())];
        texts.extend(self.read.values().cloned());
        texts
    }

    /// The files of a recorded run that hold these inputs.
    pub fn to_files(&self) -> Vec<(String, Vec<u8>)> {
        let mut files = vec![("inputs/scenario.yaml".to_owned(), self.text.clone().into_bytes())];
        let mut manifests = BTreeMap::new();
        for (index, (path, (_, text))) in self.read.iter().enumerate() {
            let end = if path.ends_with(".csv") { "csv" } else { "yaml" };
            let stored = format!("manifests/{index}.{end}");
            files.push((format!("inputs/{stored}"), text.clone().into_bytes()));
            manifests.insert(path.clone(), stored);
        }
        let recorded = Recorded {
            version: VERSION,
            name: self.file_name().to_owned(),
            settings: self.settings.clone(),
            manifests,
        };
        let mut text = serde_json::to_vec_pretty(&recorded).expect("inputs are plain data");
        text.push(b'\n');
        files.push(("inputs/inputs.json".to_owned(), text));
        files
    }

    /// The inputs of a recorded run.
    ///
    /// Errors: a sentence that names what is missing or not readable.
    pub fn from_run(dir: &Path) -> Result<Inputs, String> {
        let read = |name: &str| text_file::read(&dir.join("inputs").join(name));
        if !dir.join("inputs/inputs.json").is_file() {
            let place = dir.display();
            return Err(format!(
                "{place} is not the directory of a run: expected one that `sim run --out` or `real up` has written"
            ));
        }
        let recorded: Recorded = serde_json::from_str(&read("inputs.json")?).map_err(|error| {
            format!("{} is not a record of inputs: {error}", dir.join("inputs/inputs.json").display())
        })?;
        if recorded.version != VERSION {
            let found = recorded.version;
            return Err(format!("{} has inputs of version {found}, expected {VERSION}", dir.display()));
        }
        let mut texts = BTreeMap::new();
        for (path, stored) in &recorded.manifests {
            texts.insert(path.clone(), read(stored)?);
        }
        Ok(Inputs::new(recorded.name, read("scenario.yaml")?, recorded.settings, Files::Recorded(texts)))
    }
}
