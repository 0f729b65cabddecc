//! `sim sweep`: a scenario under all combinations of settings and seeds, on all cores.

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::numbers::{some, threads};
use super::{Exit, Overrides, complain, print};
use crate::sweep::{Axis, Done, Estimate, Failure, Matrix, Store, Sweep, parse_seeds, report};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The scenario file.
    file: PathBuf,
    /// A field and the values that it takes, such as controlPlane.policy=FGD,BestFit; all combinations are run.
    #[arg(long, value_name = "PATH=V1,V2,…", value_parser = Axis::parse)]
    matrix: Vec<Axis>,
    /// The seeds of every combination, such as 42..51 (both included).
    #[arg(long, value_name = "SEEDS", value_parser = seeds, default_value = "1..10")]
    seeds: Seeds,
    /// How many runs are under way at once; one per core if not said.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = some)]
    jobs: Option<usize>,
    /// Results, tables and plots go into this directory; what is there already is not run again.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The axis whose values are the lines of a plot; the policy if there is one, else the first.
    #[arg(long, value_name = "PATH")]
    lines: Option<String>,
    #[command(flatten)]
    overrides: Overrides,
}

/// Some seeds.
#[derive(Clone, Debug)]
struct Seeds(Vec<u64>);

fn seeds(text: &str) -> Result<Seeds, String> {
    parse_seeds(text).map(Seeds)
}

pub(super) fn run(arguments: Arguments) -> Exit {
    if arguments.overrides.seed.is_some() {
        complain("a sweep takes --seeds, not --seed");
        return Exit::BadInput;
    }
    let sweep = Sweep {
        file: arguments.file,
        settings: arguments.overrides.into(),
        matrix: Matrix(arguments.matrix),
        seeds: arguments.seeds.0,
    };
    if let Some(lines) = &arguments.lines
        && !sweep.matrix.0.iter().any(|axis| axis.path == *lines || axis.name() == lines)
    {
        complain(&format!("--lines names no axis of the matrix: {lines:?}"));
        return Exit::BadInput;
    }
    let paths: Vec<&str> = sweep.matrix.0.iter().map(|axis| axis.path.as_str()).collect();
    if let Some(twice) = paths.iter().enumerate().find(|(place, path)| paths[..*place].contains(path)) {
        complain(&format!("--matrix names {} twice", twice.1));
        return Exit::BadInput;
    }
    if let Err(message) = sweep.loads() {
        complain(&message);
        return Exit::BadInput;
    }
    let store = match Store::open(&arguments.out, &sweep.file, &described(&sweep)) {
        Ok(store) => store,
        Err(message) => {
            complain(&message);
            return Exit::NotWritten;
        }
    };
    let pool = match rayon::ThreadPoolBuilder::new().num_threads(threads(arguments.jobs, sweep.jobs().len())).build() {
        Ok(pool) => pool,
        Err(error) => {
            complain(&format!("cannot start threads: {error}"));
            return Exit::BadInput;
        }
    };
    let done = pool.install(|| with_bar(&sweep, &store));
    let mut exit = verdict(&done);
    failures(&done);
    match report(&sweep, &store, &done, arguments.lines.as_deref()) {
        Err(message) => {
            complain(&message);
            exit = Exit::NotWritten;
        }
        Ok(files) => {
            let plots = files.iter().filter(|name| name.ends_with(".png")).count();
            let dir = arguments.out.display();
            return print(&format!("{}\n{dir}: runs.csv, cells.csv and {plots} plots\n", table(&sweep, &done)), exit);
        }
    }
    exit
}

fn described(sweep: &Sweep) -> serde_json::Value {
    let axes = sweep.matrix.0.iter().map(|axis| serde_json::json!({ "path": axis.path, "values": axis.values }));
    serde_json::json!({
        "schema": "wavetank/sweep/v1",
        "scenario": sweep.file.file_name().map(|name| name.to_string_lossy()),
        "set": sweep.settings.set,
        "matrix": axes.collect::<Vec<_>>(),
        "seeds": sweep.seeds,
    })
}

fn with_bar(sweep: &Sweep, store: &Store) -> Vec<Done> {
    let failed = AtomicUsize::new(0);
    let bar = match io::stderr().is_terminal() {
        true => ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10)),
        false => ProgressBar::hidden(),
    };
    let style = ProgressStyle::with_template("{bar:30} {pos} of {len} runs, {eta} left {msg}");
    bar.set_style(style.expect("the template is a constant"));
    bar.set_length(sweep.jobs().len() as u64);
    let done = sweep.run(store, &|done: &Done| {
        if done.result.is_err() {
            let failed = failed.fetch_add(1, Ordering::Relaxed) + 1;
            bar.set_message(format!("({failed} failed)"));
        }
        bar.inc(1);
    });
    bar.finish_and_clear();
    done
}

/// The worst of all runs.
fn verdict(done: &[Done]) -> Exit {
    let one = |done: &Done| match &done.result {
        Ok(result) if !result.held => Exit::Broken,
        Ok(result) if result.nothing_scheduled => Exit::NothingScheduled,
        Ok(_) => Exit::Held,
        Err(Failure::Run(_)) => Exit::BadInput,
        Err(Failure::NotKept(_)) => Exit::NotWritten,
    };
    done.iter().map(one).max().unwrap_or(Exit::Held)
}

/// Each different failure once, with how many runs it struck.
fn failures(done: &[Done]) {
    let mut seen: Vec<(&Failure, usize, String)> = Vec::new();
    for one in done {
        let Err(failure) = &one.result else { continue };
        match seen.iter_mut().find(|(known, ..)| *known == failure) {
            Some((_, count, _)) => *count += 1,
            None => seen.push((failure, 1, format!("{}, seed {}", one.job.cell.label(), one.job.seed))),
        }
    }
    for (failure, count, first) in seen {
        let others = if count > 1 { format!(" and {} more runs", count - 1) } else { String::new() };
        complain(&format!("{first}{others}: {failure}"));
    }
}

/// The metrics that are shown of a study of placement, and of other runs, with their decimals.
const OF_STUDIES: [(&str, usize); 3] =
    [("allocation_percent_at_100", 2), ("allocation_percent_end", 2), ("pods_unscheduled", 2)];
const OF_OTHERS: [(&str, usize); 3] =
    [("pods_scheduled", 2), ("scheduling_latency_p99_s", 3), ("startup_latency_p99_s", 3)];

/// A line for each cell, with the metrics that differ most between studies: mean ± half of the confidence interval.
fn table(sweep: &Sweep, done: &[Done]) -> String {
    let is_study = |done: &Done| done.result.as_ref().is_ok_and(|result| !result.points.is_empty());
    let shown = if done.iter().any(is_study) { OF_STUDIES } else { OF_OTHERS };
    let titles = ["", "runs", "broken", "failed"].into_iter().chain(shown.map(|(name, _)| name)).map(str::to_owned);
    let mut rows: Vec<Vec<String>> = vec![titles.collect()];
    for cell in &sweep.matrix.cells() {
        let mine = || done.iter().filter(|done| done.job.cell == *cell);
        let results: Vec<_> = mine().filter_map(|done| done.result.as_ref().ok()).collect();
        let broken = results.iter().filter(|result| !result.held).count();
        let counts = [results.len(), broken, mine().count() - results.len()].map(|count| count.to_string());
        let estimates = shown.map(|(name, decimals)| {
            let values: Vec<f64> = results.iter().filter_map(|result| result.metrics.get(name)).copied().collect();
            Estimate::of(&values)
                .map_or_else(String::new, |it| format!("{:.decimals$} ± {:.decimals$}", it.mean, it.half_width))
        });
        rows.push([cell.label()].into_iter().chain(counts).chain(estimates).collect());
    }
    aligned(&rows)
}

/// Rows as lines; the first column to the left, the others to the right.
fn aligned(rows: &[Vec<String>]) -> String {
    let length = |text: &String| text.chars().count();
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| length(&row[column])).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cell = |(index, text): (usize, &String)| {
            let padding = " ".repeat(widths[index] - length(text));
            if index == 0 { format!("{text}{padding}") } else { format!("  {padding}{text}") }
        };
        let line: String = row.iter().enumerate().map(cell).collect();
        format!("{}\n", line.trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_its_numbers_below_one_another() {
        let rows = [["", "runs", "p99"], ["count=6", "3", "0.031 ± 0.001"], ["count=12", "10", ""]];
        let rows = rows.map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(aligned(&rows), "          runs            p99\ncount=6      3  0.031 ± 0.001\ncount=12    10\n");
    }
}
