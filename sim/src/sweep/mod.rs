//! Sweeps: one scenario under all combinations of some settings and seeds, and what is the same and what differs.
//!
//! A *cell* is one combination of settings; it is run once per seed. Every run's result is a file of its own that
//! appears whole or not at all, and is used again if nothing that went into it has changed: so a sweep that was killed
//! goes on where it was. Invariant: the tables and plots depend on the results alone, not on who ran when.
//!
//! Parts: `matrix` is the cells, `store` the directory, `statistics` the means, `tables`, `plots` and `metrics` what is
//! shown.

mod matrix;
mod metrics;
mod plots;
mod result;
mod statistics;
mod store;
mod tables;
#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

pub use matrix::{Axis, Cell, Matrix, parse_seeds};
pub use result::RunResult;
pub use statistics::Estimate;
pub use store::Store;

use crate::execute::execute;
use crate::expect::Watch;
use crate::history::Detail;
use crate::plan::scenario::{Inputs, Loaded, Settings};

/// What is to be run.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// The scenario file.
    pub file: PathBuf,
    /// Settings of every run.
    pub settings: Settings,
    /// The combinations.
    pub matrix: Matrix,
    /// The seeds of every cell.
    pub seeds: Vec<u64>,
}

/// One run of a sweep.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its cell.
    pub cell: Cell,
    /// Its seed.
    pub seed: u64,
}

/// Why a run has no result.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Failure {
    /// It could not be run: what `sim run` would say.
    #[error("{0}")]
    Run(String),
    /// Its result could not be written.
    #[error("{0}")]
    NotKept(String),
}

/// What became of one run.
#[derive(Debug)]
pub struct Done {
    /// Which.
    pub job: Job,
    /// Its result, or why there is none.
    pub result: Result<RunResult, Failure>,
    /// Whether the result was there already.
    pub reused: bool,
}

impl Sweep {
    /// All runs, cell by cell.
    pub fn jobs(&self) -> Vec<Job> {
        let cells = self.matrix.cells();
        let of_cell = |cell: Cell| self.seeds.iter().map(move |seed| Job { cell: cell.clone(), seed: *seed });
        cells.into_iter().flat_map(of_cell).collect()
    }

    /// Whether there is a combination that can be run at all, for programs that ask before they make a directory.
    ///
    /// Errors: what is wrong with the first combination.
    pub fn loads(&self) -> Result<(), String> {
        let mut first = None;
        for cell in self.matrix.cells() {
            let job = Job { cell, seed: self.seeds.first().copied().unwrap_or_default() };
            match load(&self.file, self.settings_of(&job)) {
                Ok(_) => return Ok(()),
                Err(message) => first = first.or(Some(message)),
            }
        }
        Err(first.unwrap_or_else(|| "there is nothing to run".to_owned()))
    }

    /// Carries out all runs that have no result yet, on all threads of the current pool. One that fails does not keep
    /// the others from going on. `told` hears of each as it is done.
    pub fn run(&self, store: &Store, told: &(impl Fn(&Done) + Sync)) -> Vec<Done> {
        let jobs = self.jobs();
        let one = |job: &Job| {
            let done = self.one(store, job);
            told(&done);
            done
        };
        jobs.par_iter().map(one).collect()
    }

    fn one(&self, store: &Store, job: &Job) -> Done {
        let settings = self.settings_of(job);
        if let Some(result) = store.find(job, &settings) {
            return Done { job: job.clone(), result: Ok(result), reused: true };
        }
        // A defect in one combination should not cost the others.
        let ran = catch_unwind(AssertUnwindSafe(|| run_one(&self.file, settings)));
        let result = match ran {
            Ok(result) => result.map_err(Failure::Run),
            Err(panic) => Err(Failure::Run(format!("the run broke off: {}", panic_text(panic.as_ref())))),
        };
        let stored = result.and_then(|result| store.keep(job, &result).map(|()| result).map_err(Failure::NotKept));
        Done { job: job.clone(), result: stored, reused: false }
    }

    /// What the command line would set for this run.
    pub fn settings_of(&self, job: &Job) -> Settings {
        let mut settings = self.settings.clone();
        settings.seed = Some(job.seed);
        settings.set.extend(job.cell.settings());
        settings.of_matrix = job.cell.values.len();
        settings
    }
}

/// Runs one combination with one seed.
///
/// Errors: what `sim run` would say.
pub fn run_one(file: &Path, settings: Settings) -> Result<RunResult, String> {
    let (loaded, watch) = load(file, settings)?;
    let executed = execute(&loaded, watch, Detail::Outcome, &mut |_| {});
    Ok(RunResult::of(&executed, &loaded.inputs))
}

fn load(file: &Path, settings: Settings) -> Result<(Loaded, Watch), String> {
    let inputs = Inputs::open(file, settings)?;
    Loaded::read_with(inputs, Watch::new).map_err(|rejected| rejected.errors.to_string())
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

/// Writes the tables and plots of all results into the sweep's directory, and names the files.
///
/// Errors: a sentence that names the file that could not be written.
pub fn report(sweep: &Sweep, store: &Store, done: &[Done], lines: Option<&str>) -> Result<Vec<String>, String> {
    let mut files = tables::tables(sweep, done).map_err(|error| format!("cannot make a table: {error}"))?;
    let is_study = |done: &Done| done.result.as_ref().is_ok_and(|result| !result.points.is_empty());
    let plots = if done.iter().any(is_study) { plots::plots } else { metrics::plots };
    files.extend(plots(sweep, done, lines).map_err(|error| error.to_string())?);
    for (name, bytes) in &files {
        store.write(name, bytes)?;
    }
    Ok(files.into_iter().map(|(name, _)| name).collect())
}
