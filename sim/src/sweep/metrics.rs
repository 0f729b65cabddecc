//! A sweep's plots of single numbers: each cell's mean of a metric with its confidence interval.
//!
//! Over one axis of numbers these are curves, with a line for each combination of the other axes; otherwise one row for
//! each cell. A metric that is 0 in every run says nothing and is not drawn.

use std::collections::BTreeMap;

use wavetank_reports::plots::bands::{BandFigure, BandPoint, Curve, Scale};
use wavetank_reports::plots::dots::{DotFigure, DotRow};
use wavetank_reports::plots::{PlotError, pictures, pictures_of_dots};

use super::matrix::shown;
use super::tables::{File, by_cell};
use super::{Axis, Cell, Done, Estimate, RunResult, Sweep};

/// More lines than colours tell nothing apart.
const LINES_MAX: usize = 7;

/// The cells with the values of one metric.
type Found<'c> = Vec<(&'c Cell, Vec<f64>)>;

/// A figure for each metric that some run has. `lines` names the axis that tells lines or colours apart.
pub(super) fn plots(sweep: &Sweep, done: &[Done], lines: Option<&str>) -> Result<Vec<File>, PlotError> {
    let cells = by_cell(sweep, done);
    let results = || cells.iter().flat_map(|(_, results)| results);
    let mut names: Vec<&str> = results().flat_map(|result| result.metrics.keys()).map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    let mut files = Vec::new();
    for name in names {
        let values = |results: &[&RunResult]| -> Vec<f64> {
            results.iter().filter_map(|result| result.metrics.get(name)).copied().collect()
        };
        let found: Found<'_> = cells.iter().map(|(cell, results)| (cell, values(results))).collect();
        if found.iter().all(|(_, values)| values.iter().all(|value| *value == 0.0)) {
            continue;
        }
        let (svg, png) = match numbers(sweep, lines) {
            Some(axis) => pictures(&curves(sweep, axis, name, &found))?,
            None => pictures_of_dots(&rows(sweep, lines, name, &found))?,
        };
        files.push((format!("plots/{name}.svg"), svg.into_bytes()));
        files.push((format!("plots/{name}.png"), png));
    }
    Ok(files)
}

/// The axis of numbers to draw over: the first that has three values at least and is not the one of lines, if the
/// others make few lines.
fn numbers<'s>(sweep: &'s Sweep, lines: Option<&str>) -> Option<&'s Axis> {
    let axes = &sweep.matrix.0;
    let is_number = |axis: &&Axis| {
        let named = lines.is_some_and(|name| axis.name() == name || axis.path == name);
        !named && axis.values.len() >= 3 && axis.values.iter().all(|value| number(value).is_some())
    };
    let axis = axes.iter().find(is_number)?;
    let others = axes.iter().filter(|other| other.path != axis.path).map(|other| other.values.len());
    (others.product::<usize>() <= LINES_MAX).then_some(axis)
}

fn number(value: &str) -> Option<f64> {
    value.parse::<f64>().ok().filter(|number| number.is_finite())
}

fn curves(sweep: &Sweep, axis: &Axis, name: &str, found: &Found<'_>) -> BandFigure {
    let mut by_line: BTreeMap<String, Vec<BandPoint>> = BTreeMap::new();
    let mut order: Vec<String> = Vec::new();
    for (cell, values) in found {
        let others = cell.values.iter().filter(|(path, _)| *path != axis.path).cloned().collect::<Vec<_>>();
        let label = if others.is_empty() { title(name) } else { Cell { values: others }.label() };
        if !order.contains(&label) {
            order.push(label.clone());
        }
        let Some(estimate) = Estimate::of(values) else { continue };
        let x = cell.value(&axis.path).and_then(number).expect("the axis has numbers only");
        let point = BandPoint { x, mean: estimate.mean, half_width: estimate.half_width };
        by_line.entry(label).or_default().push(point);
    }
    let curve = |label: String| {
        let mut points = by_line.remove(&label).unwrap_or_default();
        points.sort_by(|one, other| one.x.total_cmp(&other.x));
        Curve { label, points }
    };
    let curves: Vec<Curve> = order.into_iter().map(curve).collect();
    let all = || curves.iter().flat_map(|curve| &curve.points).map(|point| point.x);
    let stretch = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
    BandFigure {
        stem: name.to_owned(),
        title: title(name),
        subtitle: subtitle(sweep, found, "bands"),
        x_label: axis.name().to_owned(),
        y_label: label(name),
        curves,
        panels: vec![stretch],
        scale: Scale::Linear,
    }
}

fn rows(sweep: &Sweep, lines: Option<&str>, name: &str, found: &Found<'_>) -> DotFigure {
    let axes = &sweep.matrix.0;
    let named = lines.and_then(|name| axes.iter().find(|axis| axis.name() == name || axis.path == name));
    let groups = named.or(axes.first());
    let group = |cell: &Cell| {
        let value = groups.and_then(|axis| Some((axis, cell.value(&axis.path)?)));
        value.and_then(|(axis, value)| axis.values.iter().position(|known| known == value)).unwrap_or(0)
    };
    let row = |(cell, values): &(&Cell, Vec<f64>)| {
        let estimate = Estimate::of(values)?;
        let shown: Vec<String> = match axes.as_slice() {
            [_] => cell.values.iter().map(|(_, value)| shown(value).to_owned()).collect(),
            _ => vec![cell.label()],
        };
        let label = if cell.values.is_empty() { "all runs".to_owned() } else { shown.join(" ") };
        let (mean, half_width) = (estimate.mean, estimate.half_width);
        let values = if values.len() > 1 { values.clone() } else { Vec::new() };
        Some(DotRow { label, group: group(cell), mean, half_width, values })
    };
    DotFigure {
        stem: name.to_owned(),
        title: title(name),
        subtitle: subtitle(sweep, found, "bars"),
        x_label: label(name),
        rows: found.iter().filter_map(row).collect(),
    }
}

fn subtitle(sweep: &Sweep, found: &Found<'_>, what: &str) -> String {
    let file = sweep.file.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    // Of several axes a row says which it is of; of one it shows the value alone.
    let by = match sweep.matrix.0.as_slice() {
        [axis] if what == "bars" => format!(" · by {}", axis.name()),
        _ => String::new(),
    };
    match found.iter().map(|(_, values)| values.len()).max().unwrap_or(0) {
        0 | 1 => format!("{file}{by} · one run each"),
        runs if what == "bars" => {
            format!("{file}{by} · means of {runs} runs, bars are 95 % confidence intervals, small dots the runs")
        }
        runs => format!("{file}{by} · means of {runs} runs, {what} are 95 % confidence intervals"),
    }
}

/// `scheduling_latency_p50_s` is `Scheduling latency, p50`.
fn title(name: &str) -> String {
    let bare = name.strip_suffix("_s").unwrap_or(name);
    let words =
        bare.replace("startup", "start-up").replace("_percent", "").replace("_p50", ", p50").replace("_p99", ", p99");
    let words = words.replace("_end", " at the end").replace('_', " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The title with the unit.
fn label(name: &str) -> String {
    let unit = if name.ends_with("_s") {
        " (s)"
    } else if name.contains("_percent") {
        " (%)"
    } else {
        ""
    };
    format!("{}{unit}", title(name).to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_called_by_words_and_its_unit() {
        assert_eq!(label("scheduling_latency_p50_s"), "scheduling latency, p50 (s)");
        assert_eq!(title("startup_latency_p99_s"), "Start-up latency, p99");
        assert_eq!(title("pods_running_end"), "Pods running at the end");
        assert_eq!(label("allocation_percent_at_100"), "allocation at 100 (%)");
    }
}
