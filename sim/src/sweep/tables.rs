//! A sweep's tables: every run, every cell's means, and the cells' curves.

use std::collections::BTreeMap;

use wavetank_reports::record::StudyPoint;

use super::matrix::name_of;
use super::{Cell, Done, Estimate, RunResult, Sweep};

/// A file: its name and its bytes.
pub(super) type File = (String, Vec<u8>);

/// What of a curve is told: its name and its value at a point.
pub(super) type Quantity = (&'static str, fn(&StudyPoint) -> f64);

/// The quantities of a study's curve.
pub(super) const QUANTITIES: [Quantity; 4] = [
    ("allocation_percent", |point| point.allocation_percent),
    ("fragmentation_percent", |point| point.fragmentation_percent),
    ("fragmentation_of_idle_percent", |point| point.fragmentation_of_idle_percent),
    ("unscheduled_pods", |point| point.unscheduled_pods),
];

/// The cells in their order, each with the results that it has.
pub(super) fn by_cell<'d>(sweep: &Sweep, done: &'d [Done]) -> Vec<(Cell, Vec<&'d RunResult>)> {
    let results = |cell: &Cell| {
        let mine = done.iter().filter(|done| done.job.cell == *cell);
        mine.filter_map(|done| done.result.as_ref().ok()).collect::<Vec<_>>()
    };
    sweep.matrix.cells().into_iter().map(|cell| (results(&cell), cell)).map(|(results, cell)| (cell, results)).collect()
}

/// A curve's estimates by whole percent of demand.
pub(super) fn curve(results: &[&RunResult], value: fn(&StudyPoint) -> f64) -> BTreeMap<u32, Estimate> {
    let mut values: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
    for point in results.iter().flat_map(|result| &result.points) {
        values.entry(point.demand_percent).or_default().push(value(point));
    }
    let estimate = |(percent, values): (u32, Vec<f64>)| Some((percent, Estimate::of(&values)?));
    values.into_iter().filter_map(estimate).collect()
}

pub(super) fn tables(sweep: &Sweep, done: &[Done]) -> Result<Vec<File>, csv::Error> {
    let cells = by_cell(sweep, done);
    let mut files = vec![("runs.csv".to_owned(), runs(sweep, done)?), ("cells.csv".to_owned(), means(sweep, &cells)?)];
    if cells.iter().any(|(_, results)| results.iter().any(|result| !result.points.is_empty())) {
        files.push(("curves.csv".to_owned(), curves(sweep, &cells)?));
    }
    Ok(files)
}

fn axes(sweep: &Sweep) -> Vec<String> {
    let names: Vec<&str> = sweep.matrix.0.iter().map(|axis| axis.name()).collect();
    // Two axes whose paths end alike are told by their whole paths.
    let alone = |name: &str| names.iter().filter(|other| **other == name).count() == 1;
    let name = |path: &String| if alone(name_of(path)) { name_of(path).to_owned() } else { path.clone() };
    sweep.matrix.0.iter().map(|axis| name(&axis.path)).collect()
}

fn values(cell: &Cell) -> impl Iterator<Item = String> {
    cell.values.iter().map(|(_, value)| value.clone())
}

fn runs(sweep: &Sweep, done: &[Done]) -> Result<Vec<u8>, csv::Error> {
    let results = || done.iter().filter_map(|done| done.result.as_ref().ok());
    let mut metrics: Vec<&str> = results().flat_map(|result| result.metrics.keys()).map(String::as_str).collect();
    metrics.sort_unstable();
    metrics.dedup();
    let mut table = csv::Writer::from_writer(Vec::new());
    let fixed = ["seed", "status", "message", "fingerprint"].map(str::to_owned);
    table.write_record(axes(sweep).into_iter().chain(fixed).chain(metrics.iter().map(|name| (*name).to_owned())))?;
    for done in done {
        let (status, message, fingerprint) = match &done.result {
            Ok(result) if result.held => ("held", String::new(), result.fingerprint.as_str()),
            Ok(result) => ("broken", result.broken.join("; "), result.fingerprint.as_str()),
            Err(failure) => ("failed", failure.to_string(), ""),
        };
        let metric = |name: &&str| done.result.as_ref().ok().and_then(|result| result.metrics.get(*name)).copied();
        let metrics = metrics.iter().map(|name| metric(name).map_or_else(String::new, number));
        let fixed = [done.job.seed.to_string(), status.to_owned(), message, fingerprint.to_owned()];
        table.write_record(values(&done.job.cell).chain(fixed).chain(metrics))?;
    }
    Ok(table.into_inner().expect("a vector takes everything"))
}

fn means(sweep: &Sweep, cells: &[(Cell, Vec<&RunResult>)]) -> Result<Vec<u8>, csv::Error> {
    let mut table = csv::Writer::from_writer(Vec::new());
    let fixed = ["metric", "runs", "mean", "standard_deviation", "ci95_low", "ci95_high"].map(str::to_owned);
    table.write_record(axes(sweep).into_iter().chain(fixed))?;
    for (cell, results) in cells {
        let mut metrics: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for (name, value) in results.iter().flat_map(|result| &result.metrics) {
            metrics.entry(name).or_default().push(*value);
        }
        for (name, found) in metrics {
            let Some(estimate) = Estimate::of(&found) else { continue };
            table.write_record(values(cell).chain([name.to_owned()]).chain(columns(estimate)))?;
        }
    }
    Ok(table.into_inner().expect("a vector takes everything"))
}

fn curves(sweep: &Sweep, cells: &[(Cell, Vec<&RunResult>)]) -> Result<Vec<u8>, csv::Error> {
    let mut table = csv::Writer::from_writer(Vec::new());
    let fixed = ["quantity", "demand_percent", "runs", "mean", "standard_deviation", "ci95_low", "ci95_high"];
    table.write_record(axes(sweep).into_iter().chain(fixed.map(str::to_owned)))?;
    for (cell, results) in cells {
        for (name, value) in QUANTITIES {
            for (percent, estimate) in curve(results, value) {
                let fixed = [name.to_owned(), percent.to_string()];
                table.write_record(values(cell).chain(fixed).chain(columns(estimate)))?;
            }
        }
    }
    Ok(table.into_inner().expect("a vector takes everything"))
}

fn columns(estimate: Estimate) -> [String; 5] {
    let Estimate { count, mean, deviation, half_width } = estimate;
    [count.to_string(), number(mean), number(deviation), number(mean - half_width), number(mean + half_width)]
}

/// Six decimals at most.
fn number(value: f64) -> String {
    let text = format!("{value:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}
