//! `sim test`: many scenarios on all cores, a table, and a JUnit file.

use std::path::{Path, PathBuf};
use std::time::Instant;

use rayon::prelude::*;
use wavetank_reports::junit::{Failure, ScenarioOutcome, render};

use super::numbers::{some, threads};
use super::pin::pinned;
use super::run::verdict;
use super::{Exit, Overrides, Unusable, complain, open, print};
use crate::execute::{Executed, execute};
use crate::history::Detail;
use crate::plan::scenario::Settings;
use crate::plan::scenario::format::API_VERSION;
use crate::whole::write_whole;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Scenario files, or directories that are searched for them.
    #[arg(required = true, value_name = "DIR|FILE")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    overrides: Overrides,
    /// Write the results as JUnit XML into this file.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write each run's fingerprint into its scenario file (`spec.fingerprint`).
    #[arg(long, conflicts_with_all = ["seed", "set", "until"])]
    update_fingerprints: bool,
    /// How many scenarios run at once; one per core if not said.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = some)]
    threads: Option<usize>,
}

/// One scenario's line in the table.
struct Line {
    exit: Exit,
    fingerprint: String,
    outcome: ScenarioOutcome,
    expectations: usize,
    /// How many of them were.
    broken: usize,
}

pub(super) fn run(arguments: Arguments) -> Exit {
    let files = match find(&arguments.paths) {
        Ok(files) => files,
        Err(message) => {
            complain(&message);
            return Exit::BadInput;
        }
    };
    let pool = match rayon::ThreadPoolBuilder::new().num_threads(threads(arguments.threads, files.len())).build() {
        Ok(pool) => pool,
        Err(error) => {
            complain(&format!("cannot start threads: {error}"));
            return Exit::BadInput;
        }
    };
    let settings: Settings = arguments.overrides.into();
    let lines: Vec<Line> = pool.install(|| files.par_iter().map(|file| one(file, settings.clone())).collect());
    if arguments.update_fingerprints {
        return update(&lines);
    }
    let mut exit = lines.iter().map(|line| line.exit).max().unwrap_or(Exit::Held);
    if let Some(file) = &arguments.junit {
        let outcomes: Vec<ScenarioOutcome> = lines.iter().map(|line| line.outcome.clone()).collect();
        if let Err(error) = render("wavetank", &outcomes).and_then(|text| write_whole(file, text.as_bytes())) {
            complain(&format!("cannot write {}: {error}", file.display()));
            exit = Exit::NotWritten;
        }
    }
    print(&table(&lines), exit)
}

/// Pins every run that has nothing against it but its old fingerprint.
fn update(lines: &[Line]) -> Exit {
    let mut exit = Exit::Held;
    let mut told = String::new();
    for line in lines {
        let file = &line.outcome.file;
        if !matches!(line.exit, Exit::Held | Exit::Differs) {
            complain(&format!("{file}: not pinned, because it does not pass"));
            exit = exit.max(line.exit);
            continue;
        }
        let path = Path::new(file);
        let written = std::fs::read_to_string(path).map_err(|error| error.to_string()).and_then(|text| {
            let edited = pinned(&text, &line.fingerprint)?;
            write_whole(path, edited.as_bytes()).map_err(|error| error.to_string())
        });
        match written {
            Ok(()) => told.push_str(&format!("{}  {file}\n", line.fingerprint)),
            Err(problem) => {
                complain(&format!("{file}: not pinned: {problem}"));
                exit = exit.max(Exit::NotWritten);
            }
        }
    }
    print(&told, exit)
}

/// The scenario files of some paths, sorted. A file that is named must be a scenario; in a directory, other YAML files
/// (manifests) are passed over.
fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let before = files.len();
            search(path, &mut files)?;
            if files.len() == before {
                return Err(format!("there is no scenario in {}", path.display()));
            }
        } else {
            files.push(path.clone());
        }
    }
    files.sort();
    files.dedup();
    Ok(files)
}

fn search(dir: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let cannot = |what: &str, path: &Path, error| format!("cannot {what} {}: {error}", path.display());
    for entry in std::fs::read_dir(dir).map_err(|error| cannot("search", dir, error))? {
        let path = entry.map_err(|error| cannot("search", dir, error))?.path();
        if path.is_dir() {
            search(&path, files)?;
        } else if path.extension().is_some_and(|end| end == "yaml" || end == "yml") {
            // What is not even text has no header and is passed over like any other file that is not a scenario.
            let text = String::from_utf8_lossy(&std::fs::read(&path).map_err(|error| cannot("read", &path, error))?)
                .into_owned();
            // A scenario says so in its first lines; a broken one must not be passed over, so it is not parsed here.
            let header = |line: &str| line.starts_with("apiVersion:") && line.contains(API_VERSION);
            if text.lines().any(header) {
                files.push(path);
            }
        }
    }
    Ok(())
}

fn one(file: &Path, settings: Settings) -> Line {
    let began = Instant::now();
    let name = file.display().to_string();
    let outcome = ScenarioOutcome { scenario: name.clone(), file: name, ..ScenarioOutcome::default() };
    match open(file, settings) {
        Err(Unusable(text)) => Line {
            exit: Exit::BadInput,
            fingerprint: String::new(),
            outcome: ScenarioOutcome { error: Some(text), ..outcome },
            expectations: 0,
            broken: 0,
        },
        Ok((loaded, watch)) => {
            let executed = execute(&loaded, watch, Detail::Outcome, &mut |_| {});
            let summary = &executed.record.summary;
            Line {
                exit: verdict(&executed),
                fingerprint: summary.fingerprint.clone(),
                expectations: summary.expectations.len(),
                broken: summary.expectations.iter().filter(|one| !one.held).count(),
                outcome: ScenarioOutcome {
                    scenario: summary.scenario.clone(),
                    seconds: Some(began.elapsed().as_secs_f64()),
                    failures: failures(&executed),
                    ..outcome
                },
            }
        }
    }
}

/// Everything that keeps a run from passing.
fn failures(executed: &Executed) -> Vec<Failure> {
    let broken = executed.record.summary.expectations.iter().filter(|one| !one.held);
    let mut failures: Vec<Failure> = broken
        .map(|one| Failure {
            expectation: one.name.clone(),
            message: format!(
                "{} at {}: {} ({})",
                one.expression,
                wavetank_core::time::Time(one.at_ns.unwrap_or_default()),
                one.evidence,
                one.place
            ),
        })
        .collect();
    if executed.nothing_scheduled {
        let message = "pods were asked for and not one was bound to a node".to_owned();
        failures.push(Failure { expectation: "something is scheduled".to_owned(), message });
    }
    let found = &executed.record.summary.fingerprint;
    if let Some(pinned) = &executed.record.summary.pinned_fingerprint {
        let message = format!("pinned is {pinned}, found {found}");
        failures.push(Failure { expectation: "fingerprint".to_owned(), message });
    }
    failures
}

fn table(lines: &[Line]) -> String {
    let width = lines.iter().map(|line| line.outcome.file.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for line in lines {
        let word = match line.exit {
            Exit::Held => "ok",
            Exit::BadInput => "invalid",
            _ => "FAILED",
        };
        let file = &line.outcome.file;
        let padding = " ".repeat(width - file.chars().count());
        // What else keeps a run from passing has a line of its own.
        let broken = line.broken;
        text.push_str(&format!("{word:<7}  {file}{padding}  {:>2} expected  {broken:>2} broken", line.expectations));
        text.push_str(&format!("  {}\n", line.fingerprint));
        for failure in &line.outcome.failures {
            text.push_str(&format!("         {}: {}\n", failure.expectation, failure.message));
        }
        for problem in line.outcome.error.iter().flat_map(|error| error.lines()) {
            text.push_str(&format!("         {problem}\n"));
        }
    }
    let passed = lines.iter().filter(|line| line.exit == Exit::Held).count();
    text.push_str(&format!("{passed} of {} scenarios passed\n", lines.len()));
    text
}
