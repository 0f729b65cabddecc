//! `sim conform`: our cluster against recordings of real ones.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use rayon::prelude::*;

use super::numbers::{count, seed, some};
use super::{Exit, complain, print};
use wavetank_core::time::Span;

use crate::conform::bench::play;
use crate::conform::recording::Recording;
use crate::conform::{Comparison, Verdict, conform};

/// Folders of recordings, or folders that hold such folders.
#[derive(Args)]
pub(super) struct Arguments {
    /// A recording's folder, or a folder of recordings; repeats (NAME, NAME-b, NAME-c) are compared together.
    #[arg(required = true, value_name = "DIR")]
    folders: Vec<PathBuf>,
    /// Play each recording with so many seeds, which stand for what a cluster leaves to chance.
    #[arg(long, value_name = "N", default_value_t = 64, allow_negative_numbers = true, value_parser = some)]
    seeds: usize,
    /// The first seed.
    #[arg(long, value_name = "N", default_value_t = 1, allow_negative_numbers = true, value_parser = seed)]
    seed: u64,
    /// Tell so many tracks of each recording that agree in the fewest plays, with their number.
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true, value_parser = count)]
    weakest: usize,
    /// Write what our cluster did with the first seed to DIR/NAME/events.jsonl instead of comparing it.
    #[arg(long, value_name = "DIR")]
    write: Option<PathBuf>,
    /// Tell so many differences of each recording.
    #[arg(long, value_name = "N", default_value_t = 1, allow_negative_numbers = true, value_parser = count)]
    differences: usize,
}

pub(super) fn run(arguments: Arguments) -> Exit {
    let folders = match find(&arguments.folders) {
        Ok(folders) => folders,
        Err(error) => {
            complain(&error);
            return Exit::BadInput;
        }
    };
    let mut scenarios: BTreeMap<String, Vec<Recording>> = BTreeMap::new();
    for folder in &folders {
        match Recording::read(folder) {
            Ok(recording) => scenarios.entry(recording.scenario().to_owned()).or_default().push(recording),
            Err(error) => {
                complain(&error);
                return Exit::BadInput;
            }
        }
    }
    let seeds: Vec<u64> = (0..arguments.seeds as u64).map(|index| arguments.seed.wrapping_add(index)).collect();
    if let Some(into) = &arguments.write {
        return write(scenarios.values().flatten(), into, arguments.seed);
    }
    let scenarios: Vec<Vec<Recording>> = scenarios.into_values().collect();
    let verdicts: Vec<Verdict> = scenarios.par_iter().flat_map_iter(|repeats| conform(repeats, &seeds)).collect();
    let all_equal = verdicts.iter().all(|verdict| matches!(verdict.outcome, Comparison::Equal(_)));
    print(
        &table(&verdicts, arguments.differences, arguments.weakest),
        if all_equal { Exit::Held } else { Exit::Differs },
    )
}

/// Writes our own events in the form of recordings.
fn write<'a>(recordings: impl Iterator<Item = &'a Recording>, into: &Path, seed: u64) -> Exit {
    for recording in recordings {
        let folder = into.join(&recording.name);
        let text: String =
            play(recording, seed, Span::ZERO).lines.iter().map(|line| format!("{}\n", line.to_json())).collect();
        let file = folder.join("events.jsonl");
        if let Err(error) = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&file, text)) {
            complain(&format!("cannot write {}: {error}", file.display()));
            return Exit::NotWritten;
        }
    }
    Exit::Held
}

/// The folders that hold a recording.
fn find(folders: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let is_recording = |folder: &PathBuf| folder.join("steps.yaml").is_file() || folder.join("bad.jsonl").is_file();
    let mut found = Vec::new();
    for folder in folders {
        if is_recording(folder) {
            found.push(folder.clone());
            continue;
        }
        let entries = std::fs::read_dir(folder).map_err(|error| {
            format!("cannot read {}: {error}; expected the folder of a recording, or of several", folder.display())
        })?;
        let mut inside: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_recording).collect();
        if inside.is_empty() {
            return Err(format!("{}: no recording (steps.yaml or bad.jsonl) in it", folder.display()));
        }
        inside.sort();
        found.extend(inside);
    }
    Ok(found)
}

fn table(verdicts: &[Verdict], differences: usize, weakest: usize) -> String {
    let width = verdicts.iter().map(|verdict| verdict.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    let (mut equal, mut differing, mut missing) = (0, 0, 0);
    for Verdict { name, outcome, agreements } in verdicts {
        match outcome {
            Comparison::Equal(_) => equal += 1,
            Comparison::Differs(..) => differing += 1,
            Comparison::NotCovered(_) | Comparison::Without(..) => missing += 1,
        }
        text += &format!("{name:width$}  {}\n", told(outcome, differences));
        for (plays, track) in agreements.iter().take(weakest) {
            text += &format!("    {plays:4} plays  {track}\n");
        }
    }
    text += &format!("{equal} equal, {differing} different, {missing} not covered, of {}\n", verdicts.len());
    text
}

/// One outcome, with so many of its differences.
fn told(outcome: &Comparison, differences: usize) -> String {
    match outcome {
        Comparison::Equal(tracks) => format!("equal ({tracks} tracks)"),
        Comparison::NotCovered(what) => format!("not covered: {}", what.join(", ")),
        Comparison::Without(kinds, rest) => {
            format!("not covered: {}; without that: {}", kinds.join(", "), told(rest, differences))
        }
        Comparison::Differs(found, tracks) => {
            let mut text = format!("differs in {} of {tracks} tracks", found.len());
            for one in found.iter().take(differences) {
                text += &format!("\n    {:.3} s  {}", one.at_ms as f64 / 1e3, one.track);
                text += &format!("\n        recorded  {}\n        ours      {}", one.recorded, one.ours);
            }
            text
        }
    }
}
