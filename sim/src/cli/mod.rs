//! The program `sim`: what its commands print, and its exit codes.
//!
//! Results go to standard output, everything about a failure to standard error. Absent on purpose: settings of the
//! simulation, which belong into scenario files (or `--set`).
//!
//! A file for each command; `source` reads recorded runs for them, `numbers` what stands on the
//! command line, and `pin` writes fingerprints into scenarios.

mod conform;
mod diff;
mod explain;
mod numbers;
mod pin;
mod place;
mod replay;
mod run;
mod source;
mod sweep;
mod test;
mod validate;

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use wavetank_core::time::Span;
use wavetank_reports::record::RunRecord;

use crate::expect::Watch;
use crate::plan::scenario::{Inputs, Loaded, Rejected, Settings, parse_span};

/// The columns of an account that is not written to a terminal.
const WIDTH_ELSEWHERE: usize = 120;

/// So many errors of one scenario are told.
const ERRORS_MAX: usize = 30;

/// How the program ends. The numbers are part of its interface; `docs/scenario-format.md` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// Every expectation held.
    Held = 0,
    /// At least one expectation was broken.
    Broken = 1,
    /// The input is wrong: the command line, a scenario, a manifest, a run's directory.
    BadInput = 2,
    /// Pods were asked for and not one was scheduled.
    NothingScheduled = 3,
    /// The output could not be written.
    NotWritten = 4,
    /// A run differs from the one that it should be equal to: a pinned fingerprint, a replay, a comparison.
    Differs = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Simulates Kubernetes clusters from scenario files.
#[derive(Parser)]
#[command(name = "sim", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a scenario and say what happened and whether its expectations held.
    Run(run::Arguments),
    /// Run many scenarios on all cores and print a table.
    Test(test::Arguments),
    /// Run a scenario under all combinations of settings and seeds, and compare.
    Sweep(sweep::Arguments),
    /// Run a recorded run again; it must come to the same fingerprint.
    Replay(replay::Arguments),
    /// Name the first event in which two recorded runs differ.
    Diff(diff::Arguments),
    /// Tell what befell one object of a recorded run, and why.
    Explain(explain::Arguments),
    /// Place pods on nodes without simulating anything around it, and say why each goes where it goes.
    Place(place::Arguments),
    /// Do the steps of recordings of real clusters again and compare what comes of them.
    Conform(conform::Arguments),
    /// Check scenarios without running them.
    Validate(validate::Arguments),
    /// Print the JSON Schema of scenario files, for editors.
    Schema,
}

/// What is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Changes of a scenario from the command line.
#[derive(clap::Args, Clone, Debug, Default)]
struct Overrides {
    /// Use this seed instead of the scenario's.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = numbers::seed)]
    seed: Option<u64>,
    /// Set a field of the scenario, such as spec.nodes[0].count=9.
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
    /// End the run at this time.
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true, value_parser = parse_span)]
    until: Option<Span>,
}

impl From<Overrides> for Settings {
    fn from(from: Overrides) -> Settings {
        Settings { seed: from.seed, until: from.until, set: from.set, of_matrix: 0 }
    }
}

/// Runs the program with the process's own arguments.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let exit = match arguments.command {
        Command::Run(arguments) => run::run(arguments),
        Command::Test(arguments) => test::run(arguments),
        Command::Sweep(arguments) => sweep::run(arguments),
        Command::Replay(arguments) => replay::run(arguments),
        Command::Diff(arguments) => diff::run(arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Place(arguments) => place::run(&arguments),
        Command::Conform(arguments) => conform::run(arguments),
        Command::Validate(arguments) => validate::run(&arguments),
        Command::Schema => print(crate::plan::scenario::schema(), Exit::Held),
    };
    exit.into()
}

/// Prints a result. A reader that has gone away (`sim … | head`) is no failure; a full disk is.
fn print(text: &str, exit: Exit) -> Exit {
    told(io::stdout().lock().write_all(text.as_bytes()), exit)
}

/// How the program ends after it has written its result.
fn told(written: io::Result<()>, exit: Exit) -> Exit {
    match written {
        Ok(()) => exit,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => exit,
        Err(error) => {
            complain(&format!("cannot write the result: {error}"));
            Exit::NotWritten
        }
    }
}

/// Says on standard error what is wrong.
fn complain(text: &str) {
    // Nothing is left to be done when not even this can be written.
    let _ = writeln!(io::stderr().lock(), "{}", text.trim_end());
}

/// Why a scenario cannot be run, for people.
struct Unusable(String);

impl From<Rejected> for Unusable {
    fn from(mut rejected: Rejected) -> Unusable {
        let more = rejected.errors.0.len().saturating_sub(ERRORS_MAX);
        rejected.errors.0.truncate(ERRORS_MAX);
        // Lines with carets are for people at a terminal; elsewhere one line per error is easier to read by programs.
        let mut text = if io::stderr().is_terminal() { rejected.render() } else { rejected.errors.to_string() };
        if more > 0 {
            text = format!("{}\n… and {more} more errors", text.trim_end());
        }
        Unusable(text)
    }
}

/// Reads a scenario and parses its expectations; the errors of both are told together.
fn load(inputs: Inputs) -> Result<(Loaded, Watch), Unusable> {
    Ok(Loaded::read_with(inputs, Watch::new)?)
}

/// Reads the inputs that a run has recorded. Errors name the recorded file too: the user's own may be as it should.
fn load_recorded(dir: &Path) -> Result<(Loaded, Watch), Unusable> {
    load(Inputs::from_run(dir).map_err(Unusable)?).map_err(|Unusable(text)| {
        let place = dir.join("inputs");
        Unusable(format!("what the run has recorded in {} cannot be run again:\n{text}", place.display()))
    })
}

/// Reads a scenario file.
fn open(file: &Path, settings: Settings) -> Result<(Loaded, Watch), Unusable> {
    load(Inputs::open(file, settings).map_err(Unusable)?)
}

/// The account of a run, as wide and as colourful as the terminal.
fn account(record: &RunRecord) -> String {
    let (width, colour) = terminal();
    wavetank_reports::text::render_account(record, width, colour)
}

/// The columns of standard output, and whether it shows colours.
fn terminal() -> (usize, bool) {
    let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    // COLUMNS is for people who pipe the text into a file or a pager.
    let wanted = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let terminal = || console::Term::stdout().size_checked().map(|(_, columns)| usize::from(columns));
    (wanted.or_else(terminal).unwrap_or(WIDTH_ELSEWHERE), colour)
}
