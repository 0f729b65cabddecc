//! `sim place`.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use wavetank_core::config::{SchedulerConfig, Ties};
use wavetank_core::scheduler::Detail;
use wavetank_manifest::Errors;
use wavetank_manifest::kubernetes::Snapshot;
use wavetank_manifest::scheduler_configuration::SchedulerConfiguration;

use super::numbers::seed;
use super::{Exit, complain, told};
use crate::place::{Manner, Row, Status, place, render, settings};
use wavetank_manifest::text_file;

/// Places the pods of Kubernetes objects on their nodes, in the order of the files, and says why.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Objects as YAML or JSON, such as a dump by `kubectl get -o json`; - is standard input.
    #[arg(short, long = "filename", value_name = "OBJECTS", required = true, num_args = 1..)]
    filename: Vec<PathBuf>,
    /// A KubeSchedulerConfiguration.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Which of several best nodes is taken.
    #[arg(long, value_enum, default_value_t = TieBreak::First)]
    ties: TieBreak,
    /// Where the draws of `--ties seeded` come from.
    #[arg(long, value_name = "N", default_value_t = 1, allow_negative_numbers = true, value_parser = seed)]
    seed: u64,
    /// Let pods of lower priority make room: they are removed at once and the pod is tried again.
    #[arg(long)]
    preempt: bool,
    /// How much is told of each pod.
    #[arg(long, value_enum, default_value_t = Explain::Top)]
    explain: Explain,
    /// What is printed.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TieBreak {
    /// The lexicographically smallest name.
    First,
    /// One of them by a draw.
    Seeded,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Explain {
    /// Where it goes, or the scheduler's message.
    None,
    /// Also the best nodes and their score; as text, also what each node lacked for a pod that goes nowhere.
    Top,
    /// Also every plugin's score of every node, and why each other node was refused.
    Full,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table for people.
    Text,
    /// One JSON object per pod.
    Jsonl,
}

pub(super) fn run(arguments: &Arguments) -> Exit {
    let (snapshot, config) = match read(arguments) {
        Ok(read) => read,
        Err(message) => {
            complain(&message);
            return Exit::BadInput;
        }
    };
    if snapshot.pods.is_empty() {
        complain(
            "there is no pod to place: expected Pods among the objects, such as `kubectl get nodes,pods -o json` gives",
        );
        return Exit::BadInput;
    }
    for note in notes(&snapshot) {
        complain(&note);
    }
    let detail = match (arguments.explain, arguments.format) {
        (Explain::None, _) => Detail::Place,
        (Explain::Top, Format::Jsonl) => Detail::Top,
        (Explain::Top, Format::Text) => Detail::Refusals,
        (Explain::Full, _) => Detail::Nodes,
    };
    let manner = Manner { seed: arguments.seed, detail, preempt: arguments.preempt };
    let (mut wanted, mut placed) = (0_usize, 0_usize);
    let mut count = |row: &Row| {
        wanted += usize::from(matches!(row.status, Status::Bound | Status::Unschedulable));
        placed += usize::from(row.status == Status::Bound);
    };
    let written = match arguments.format {
        Format::Jsonl => {
            let mut out = BufWriter::new(io::stdout().lock());
            let mut result = Ok(());
            place(&snapshot, &config, manner, &mut |row| {
                count(&row);
                if result.is_ok() {
                    let line = serde_json::to_string(&row).expect("a row is plain data");
                    result = writeln!(out, "{line}");
                }
            });
            result.and_then(|()| out.flush())
        }
        Format::Text => {
            let mut rows = Vec::new();
            place(&snapshot, &config, manner, &mut |row| {
                count(&row);
                rows.push(row);
            });
            io::stdout().lock().write_all(render(&rows).as_bytes())
        }
    };
    told(written, if wanted > 0 && placed == 0 { Exit::NothingScheduled } else { Exit::Held })
}

/// Reads all files. Errors: for people, with places.
fn read(arguments: &Arguments) -> Result<(Snapshot, SchedulerConfig), String> {
    let mut texts = Vec::new();
    for path in &arguments.filename {
        texts.push(text_of(path)?);
    }
    let configuration = match &arguments.config {
        Some(path) => {
            let (name, text) = text_of(path)?;
            Some(SchedulerConfiguration::read(&name, &text).map_err(short)?)
        }
        None => None,
    };
    let snapshot = Snapshot::read(&texts).map_err(short)?;
    let ties = if arguments.ties == TieBreak::First { Ties::First } else { Ties::Seeded };
    Ok((snapshot, SchedulerConfig { ties, ..settings(configuration.as_ref()) }))
}

fn short(mut errors: Errors) -> String {
    let more = errors.0.len().saturating_sub(super::ERRORS_MAX);
    errors.0.truncate(super::ERRORS_MAX);
    if more > 0 { format!("{errors}\n… and {more} more errors") } else { errors.to_string() }
}

fn text_of(path: &Path) -> Result<(String, String), String> {
    if path != Path::new("-") {
        return Ok((path.display().to_string(), text_file::read(path)?));
    }
    let text =
        io::read_to_string(io::stdin().lock()).map_err(|error| format!("cannot read standard input: {error}"))?;
    Ok(("-".to_owned(), text))
}

/// What was read and has no effect, as one line each.
fn notes(snapshot: &Snapshot) -> Vec<String> {
    let mut notes = Vec::new();
    if !snapshot.skipped.is_empty() {
        let kinds: Vec<String> = snapshot.skipped.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        notes.push(format!("note: passed over what does not steer placement: {}", kinds.join(", ")));
    }
    if snapshot.unmerged > 0 {
        notes.push(format!(
            "note: {} pods have matchLabelKeys in affinity terms that the API server has not merged into the \
             selectors; the scheduler itself does not look at them",
            snapshot.unmerged
        ));
    }
    notes
}
