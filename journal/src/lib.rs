//! The journal's file, `inputs.log`: JSON lines of [`wavetank_core::journal`], which `real` writes and `sim` reads.
//!
//! Absent on purpose: what a line says, which is the core's; and any other file of a run.

mod reader;
mod writer;

use std::{io, path::PathBuf};

use wavetank_core::journal::Divergence;

pub use reader::{Reader, Taken, Told, replay};
pub use writer::Writer;

/// The file's name in a run's directory.
pub const FILE_NAME: &str = "inputs.log";

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
    /// The journal is of a build that this one cannot read.
    #[error("{}:1: {divergence}", path.display())]
    Format {
        /// The journal.
        path: PathBuf,
        /// Which format it has.
        divergence: Divergence,
    },
    /// The journal and this build's core part.
    #[error("{}:{line}: {divergence}{}", path.display(), step_text(step))]
    Diverged {
        /// The journal.
        path: PathBuf,
        /// The line of the step where they part, counted from 1.
        line: u64,
        /// How they part.
        divergence: Divergence,
        /// That step as it is written there; `None` if the line is none of a step.
        step: Option<String>,
    },
}

/// So many characters of a step are shown.
const SHOWN_MAX: usize = 300;

fn step_text(step: &Option<String>) -> String {
    let Some(step) = step else { return String::new() };
    let shown: String = step.chars().take(SHOWN_MAX).collect();
    let cut = if shown.len() < step.len() { " ..." } else { "" };
    format!("\n  the step: {shown}{cut}")
}
