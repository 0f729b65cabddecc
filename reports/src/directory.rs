//! The run's directory: everything about one run, whole or not at all.
//!
//! All files are written into a hidden sibling, `.NAME.partial`, and forced to the disk; then the sibling is renamed.
//! An older run of the same name is first renamed to `.NAME.replaced` and deleted at the end. A program that is killed
//! half-way leaves a hidden sibling behind, which the next run clears: of `.partial` nothing is kept, `.replaced` is
//! put back if the directory itself is missing.
//!
//! Invariant: a directory that this module did not write is never deleted or changed.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

use serde::Serialize;

use crate::latency::{Latencies, LatencySummary, Stretch};
use crate::plots::{self, Picture, Shown};
use crate::record::{Malformed, RunRecord, SCHEMA, Summary};
use crate::{html, tables};

/// The file by which a run's directory is known; it is written last.
const SUMMARY: &str = "summary.json";

/// Why a run's directory could not be written. Nothing was left half-written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The record contradicts itself.
    #[error("the run's record cannot be reported: {0}")]
    Malformed(#[from] Malformed),
    /// The directory is somebody's, and not an earlier run's.
    #[error(
        "{} exists and is not the directory of an earlier run (it has no summary.json with the schema {SCHEMA:?}): \
         choose another directory, or remove it",
        .0.display()
    )]
    Occupied(PathBuf),
    /// The path does not end in a name.
    #[error("{} cannot be a run's directory: expected a path that ends in a name, such as out/run-1", .0.display())]
    Nameless(PathBuf),
    /// Another program is writing the same directory at this moment.
    #[error("another run is writing {} at this moment: choose another directory, or wait for it", .0.display())]
    Busy(PathBuf),
    /// Somebody wanted it no longer.
    #[error("the report was given up half-way, and nothing of it is left")]
    GivenUp,
    /// An extra file would leave the directory or overwrite a file of the report.
    #[error("extra file {name:?} cannot be added: {cause}")]
    ExtraFile {
        /// The name as given.
        name: String,
        /// What is wrong with it.
        cause: &'static str,
    },
    /// The file system said no.
    #[error("cannot {action} {}: {cause}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file or directory.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A table could not be written.
    #[error("cannot write a table: {0}")]
    Table(#[from] csv::Error),
    /// The summary could not be written.
    #[error("cannot write summary.json: {0}")]
    Summary(#[from] serde_json::Error),
    /// A plot could not be drawn.
    #[error(transparent)]
    Plot(#[from] plots::PlotError),
}

/// Writes the whole report of a run into `dir`, together with `extra_files` (path in the directory, bytes).
///
/// `dir` appears whole or not at all. The directory of an earlier run is replaced; an empty one is filled. The files
/// are described in `docs/output.md`; equal records give equal bytes.
///
/// # Errors
/// [`Error::Occupied`] when `dir` holds anything else, and the other cases of [`Error`]. `dir` is then as it was
/// before.
pub fn write_directory(record: &RunRecord, dir: &Path, extra_files: &[(String, Vec<u8>)]) -> Result<(), Error> {
    write_directory_unless(record, dir, extra_files, &|| false)
}

/// Whether what is being made is to be given up.
type Stop<'a> = &'a (dyn Fn() -> bool + Sync);

/// As [`write_directory`], for programs that may be told to end meanwhile: `stop` is asked before each figure and file.
/// Once all files are there it is asked no more, as what is left to do takes no time.
///
/// # Errors
/// [`Error::GivenUp`] when `stop` said so, and those of [`write_directory`]. `dir` is then as it was before.
pub fn write_directory_unless(
    record: &RunRecord,
    dir: &Path,
    extra_files: &[(String, Vec<u8>)],
    stop: Stop<'_>,
) -> Result<(), Error> {
    record.check()?;
    let place = Place::of(dir)?;
    place.refuse_if_occupied()?;
    let mut files = report_files(record, stop)?;
    add_extra_files(&mut files, extra_files)?;
    // The summary is what tells a run's directory from others: nothing that lacks a file has one.
    let summary = files.iter().position(|(name, _)| name == SUMMARY).expect("every report has a summary");
    files[summary..].rotate_left(1);
    let _lock = place.claim()?;
    let written = fill(&place.partial, &files, stop).and_then(|()| place.publish());
    if written.is_err() {
        // What failed is reported; a partial directory that cannot be removed either is cleared by the next run.
        let _ = fs::remove_dir_all(&place.partial);
    }
    written
}

/// Whether [`write_directory`] would refuse `dir`, for programs that ask before a long run.
///
/// # Errors
/// [`Error::Occupied`] and [`Error::Nameless`], as of [`write_directory`]; [`Error::Io`] where nothing can be made.
pub fn refuse_directory(dir: &Path) -> Result<(), Error> {
    let place = Place::of(dir)?;
    place.refuse_if_occupied()?;
    place.refuse_if_unwritable()
}

/// What `summary.json` holds: the record's summary, the latencies and the list of files.
#[derive(Serialize)]
struct SummaryFile<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
    held: bool,
    scheduling_latency: LatencySummary,
    startup_latency: LatencySummary,
    rows: Rows,
    plots: Vec<&'a str>,
}

/// How many rows the tables have from which a run is told again: a table that a killed copy has cut at the end of a
/// line looks whole.
#[derive(Serialize)]
struct Rows {
    facts: usize,
    events: usize,
}

/// Every file of the report, by its path in the directory.
fn report_files(record: &RunRecord, stop: Stop<'_>) -> Result<Vec<tables::File>, Error> {
    let figures = plots::figures(record);
    let pictures = draw(&figures, stop)?;
    let summary = SummaryFile {
        summary: &record.summary,
        held: record.summary.expectations.iter().all(|one| one.held),
        scheduling_latency: Latencies::of(&record.pods, Stretch::Scheduling).summary(),
        startup_latency: Latencies::of(&record.pods, Stretch::Startup).summary(),
        rows: Rows { facts: record.facts.len(), events: record.events.len() },
        plots: figures.iter().map(Picture::stem).collect(),
    };
    let mut text = serde_json::to_vec_pretty(&summary)?;
    text.push(b'\n');
    let mut files = vec![(SUMMARY.to_owned(), text)];
    files.extend(tables::files(record)?);
    let inline: Vec<(&Shown, &str)> =
        figures.iter().zip(&pictures).map(|(figure, (svg, _))| (figure, svg.as_str())).collect();
    files.push(("report.html".to_owned(), html::page(record, &inline).into_bytes()));
    for (figure, (svg, png)) in figures.iter().zip(pictures) {
        files.push((format!("plots/{}.svg", figure.stem()), svg.into_bytes()));
        files.push((format!("plots/{}.png", figure.stem()), png));
    }
    Ok(files)
}

/// Draws every figure, on as many threads as the machine has cores; the pictures keep the figures' order.
fn draw(figures: &[Shown], stop: Stop<'_>) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(figures.len()).max(1);
    std::thread::scope(|scope| {
        let work = |first: usize| {
            let mine = figures.iter().skip(first).step_by(threads);
            let drawn = |figure| match stop() {
                true => Err(Error::GivenUp),
                false => Ok((plots::svg(figure)?, plots::png(figure)?)),
            };
            mine.map(drawn).collect::<Vec<_>>()
        };
        let handles: Vec<_> = (0..threads).map(|first| scope.spawn(move || work(first))).collect();
        let mut shares: Vec<_> = handles
            .into_iter()
            .map(|handle| handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).into_iter())
            .collect();
        (0..figures.len()).map(|index| shares[index % threads].next().expect("every figure was drawn")).collect()
    })
}

fn add_extra_files(files: &mut Vec<tables::File>, extra_files: &[(String, Vec<u8>)]) -> Result<(), Error> {
    for (name, bytes) in extra_files {
        let refuse = |cause| Err(Error::ExtraFile { name: name.clone(), cause });
        let inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        if name.is_empty() || !inside {
            return refuse("expected a path inside the run's directory, such as scenario.yaml");
        }
        if files.iter().any(|(taken, _)| Path::new(taken) == Path::new(name)) {
            return refuse("the report has a file of that name");
        }
        files.push((name.clone(), bytes.clone()));
    }
    Ok(())
}

/// The directory and its hidden siblings.
struct Place {
    dir: PathBuf,
    parent: PathBuf,
    partial: PathBuf,
    replaced: PathBuf,
}

impl Place {
    fn of(dir: &Path) -> Result<Place, Error> {
        // A link to an earlier run stays a link: what it points at is replaced.
        let dir = if dir.exists() { fs::canonicalize(dir).map_err(io_error("resolve", dir))? } else { dir.to_owned() };
        let (Some(name), Some(parent)) = (dir.file_name(), dir.parent()) else {
            return Err(Error::Nameless(dir));
        };
        let parent = if parent.as_os_str().is_empty() { PathBuf::from(".") } else { parent.to_owned() };
        let sibling = |suffix: &str| {
            let mut hidden = OsString::from(".");
            hidden.push(name);
            hidden.push(suffix);
            parent.join(hidden)
        };
        Ok(Place { partial: sibling(".partial"), replaced: sibling(".replaced"), dir: dir.clone(), parent })
    }

    fn refuse_if_occupied(&self) -> Result<(), Error> {
        match fs::symlink_metadata(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(io_error("look at", &self.dir)(error)),
            Ok(found) if !found.is_dir() => Err(Error::Occupied(self.dir.clone())),
            Ok(_) => {
                let mut entries = fs::read_dir(&self.dir).map_err(io_error("list", &self.dir))?;
                if entries.next().is_none() || is_run(&self.dir) {
                    Ok(())
                } else {
                    Err(Error::Occupied(self.dir.clone()))
                }
            }
        }
    }

    /// Makes a directory where the first one would be made, and removes it again.
    fn refuse_if_unwritable(&self) -> Result<(), Error> {
        let existing = self.parent.ancestors().find(|above| above.exists()).unwrap_or(Path::new("."));
        let probe = existing.join(self.partial.file_name().expect("a partial directory has a name"));
        match fs::create_dir(&probe) {
            Ok(()) => fs::remove_dir(&probe).map_err(io_error("remove", &probe)),
            // A killed program or one that is at work has left it: it could.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(io_error("create", &self.dir)(error)),
        }
    }

    /// Makes the partial directory this program's own, empties it, and mends what a killed program left behind.
    ///
    /// The lock goes when the handle is dropped, or with the program.
    fn claim(&self) -> Result<File, Error> {
        fs::create_dir_all(&self.partial).map_err(io_error("create", &self.partial))?;
        let lock = File::open(&self.partial).map_err(io_error("open", &self.partial))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Busy(self.dir.clone())),
            Err(TryLockError::Error(cause)) => return Err(io_error("lock", &self.partial)(cause)),
        }
        for entry in fs::read_dir(&self.partial).map_err(io_error("list", &self.partial))? {
            let path = entry.map_err(io_error("list", &self.partial))?.path();
            let directory = fs::symlink_metadata(&path).map_err(io_error("look at", &path))?.is_dir();
            let removed = if directory { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(io_error("clear", &path))?;
        }
        if self.replaced.exists() {
            if self.dir.exists() {
                fs::remove_dir_all(&self.replaced).map_err(io_error("remove", &self.replaced))?;
            } else {
                fs::rename(&self.replaced, &self.dir).map_err(io_error("put back", &self.replaced))?;
            }
        }
        Ok(lock)
    }

    /// Renames the partial directory to its name, with the earlier run out of the way.
    fn publish(&self) -> Result<(), Error> {
        // Asked again: drawing takes time, and somebody may have put something there.
        self.refuse_if_occupied()?;
        let earlier = self.dir.exists();
        if earlier {
            fs::rename(&self.dir, &self.replaced).map_err(io_error("replace", &self.dir))?;
        }
        if let Err(cause) = fs::rename(&self.partial, &self.dir) {
            if earlier {
                fs::rename(&self.replaced, &self.dir).map_err(io_error("put back", &self.dir))?;
            }
            return Err(io_error("create", &self.dir)(cause));
        }
        sync_directory(&self.parent)?;
        if earlier {
            fs::remove_dir_all(&self.replaced).map_err(io_error("remove", &self.replaced))?;
        }
        Ok(())
    }
}

/// Whether the directory was written by this module, in this version of the record.
pub(crate) fn is_run(dir: &Path) -> bool {
    summary(dir).is_ok()
}

/// The summary of a run's directory, or why it is none.
pub(crate) fn summary(dir: &Path) -> Result<serde_json::Value, String> {
    let text = fs::read(dir.join(SUMMARY)).map_err(|_| format!("it has no {SUMMARY} of one"))?;
    let summary: serde_json::Value =
        serde_json::from_slice(&text).map_err(|error| format!("its {SUMMARY} is damaged: {error}"))?;
    match summary.get("schema").and_then(serde_json::Value::as_str) {
        Some(SCHEMA) => Ok(summary),
        Some(other) => Err(format!("its {SUMMARY} has the schema {other:?}, expected {SCHEMA:?}")),
        None => Err(format!("its {SUMMARY} has no schema, expected {SCHEMA:?}")),
    }
}

fn fill(root: &Path, files: &[tables::File], stop: Stop<'_>) -> Result<(), Error> {
    let mut directories = std::collections::BTreeSet::from([root.to_owned()]);
    for (name, bytes) in files {
        if stop() {
            return Err(Error::GivenUp);
        }
        let path = root.join(name);
        let mut parent = path.parent().expect("a file below the root has a parent");
        fs::create_dir_all(parent).map_err(io_error("create", parent))?;
        while parent != root && directories.insert(parent.to_owned()) {
            parent = parent.parent().expect("a directory below the root has a parent");
        }
        let mut file = File::create_new(&path).map_err(io_error("create", &path))?;
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(io_error("write", &path))?;
    }
    directories.iter().try_for_each(|directory| sync_directory(directory))
}

/// Forces a directory's entries to the disk.
fn sync_directory(path: &Path) -> Result<(), Error> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(io_error("sync", path))
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |cause| Error::Io { action, path: path.to_owned(), cause }
}
