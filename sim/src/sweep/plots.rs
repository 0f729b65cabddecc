//! A sweep's plots: the curves of a study, one line per value of one axis, one set of figures per combination of the
//! others.

use wavetank_reports::plots::bands::{BandFigure, BandPoint, Curve, Scale};
use wavetank_reports::plots::{PlotError, pictures};

use super::matrix::shown;
use super::tables::{File, QUANTITIES, Quantity, by_cell, curve};
use super::{Axis, Cell, Done, RunResult, Sweep};

/// From this demand on, policies differ; it gets a panel of its own.
const NEAR_FULL_PERCENT: f64 = 80.0;

/// Title, vertical axis and whether the panel near the full cluster is drawn, of each of [`QUANTITIES`].
const LOOKS: [(&str, &str, bool); 4] = [
    ("GPU allocation against arrived demand", "allocated (% of the cluster's capacity)", true),
    ("Fragmentation against arrived demand", "fragmented GPU (% of the cluster's GPUs)", false),
    ("Fragmentation of what is idle", "fragmented (% of idle GPU)", false),
    ("Unscheduled pods against arrived demand", "pods that no node took", false),
];

/// What the legend says, and the runs behind it.
type Line<'d> = (String, Vec<&'d RunResult>);

/// The figures of all studies in the sweep; none if there are none. `lines` names the axis that tells lines apart.
pub(super) fn plots(sweep: &Sweep, done: &[Done], lines: Option<&str>) -> Result<Vec<File>, PlotError> {
    let cells = by_cell(sweep, done);
    let line_axis = line_axis(sweep, lines);
    let mut groups: Vec<(Cell, Vec<Line<'_>>)> = Vec::new();
    for (cell, results) in cells {
        if results.iter().all(|result| result.points.is_empty()) {
            continue;
        }
        let path = line_axis.map(|axis| axis.path.as_str());
        let label =
            path.and_then(|path| cell.value(path)).map_or_else(|| cell.label(), |value| shown(value).to_owned());
        let others = cell.values.into_iter().filter(|(known, _)| Some(known.as_str()) != path);
        let rest = Cell { values: others.collect() };
        match groups.iter_mut().find(|(known, _)| *known == rest) {
            Some((_, lines)) => lines.push((label, results)),
            None => groups.push((rest, vec![(label, results)])),
        }
    }
    let mut files = Vec::new();
    for (rest, lines) in &groups {
        for (quantity, look) in QUANTITIES.into_iter().zip(LOOKS) {
            let figure = figure(sweep, rest, lines, quantity, look);
            let (svg, png) = pictures(&figure)?;
            files.push((format!("plots/{}.svg", figure.stem), svg.into_bytes()));
            files.push((format!("plots/{}.png", figure.stem), png));
        }
    }
    Ok(files)
}

/// The axis whose values are lines: the one that is named, else the policy, else the first.
fn line_axis<'s>(sweep: &'s Sweep, named: Option<&str>) -> Option<&'s Axis> {
    let axes = &sweep.matrix.0;
    let find = |name: &str| axes.iter().find(|axis| axis.name() == name || axis.path == name);
    named.and_then(find).or_else(|| find("policy")).or(axes.first())
}

fn figure(
    sweep: &Sweep,
    rest: &Cell,
    lines: &[Line<'_>],
    (name, value): Quantity,
    (title, y_label, near_full): (&str, &str, bool),
) -> BandFigure {
    let curves: Vec<Curve> = lines
        .iter()
        .map(|(label, results)| {
            let points = curve(results, value).into_iter().map(|(percent, estimate)| BandPoint {
                x: f64::from(percent),
                mean: estimate.mean,
                half_width: estimate.half_width,
            });
            Curve { label: label.clone(), points: points.collect() }
        })
        .collect();
    let end = curves.iter().filter_map(|curve| curve.points.last()).map(|point| point.x).fold(1.0, f64::max);
    let mut panels = vec![(0.0, end)];
    if near_full && end > NEAR_FULL_PERCENT + 10.0 {
        panels.push((NEAR_FULL_PERCENT, end));
    }
    let about = if rest.values.is_empty() { String::new() } else { format!("{} · ", rest.label()) };
    let runs = lines.iter().map(|(_, results)| results.len()).max().unwrap_or(0);
    let spread = match runs {
        1 => "one run each".to_owned(),
        runs => format!("means of {runs} runs, bands are 95 % confidence intervals"),
    };
    let file = sweep.file.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let of_rest: Vec<&str> = rest.values.iter().map(|(_, value)| shown(value)).collect();
    let stem = [of_rest.join("_"), name.replace("_percent", "").replace('_', "-")];
    let stem: Vec<String> = stem.into_iter().filter(|part| !part.is_empty()).collect();
    let safe = |letter: char| if letter.is_ascii_alphanumeric() || "._-".contains(letter) { letter } else { '-' };
    BandFigure {
        stem: stem.join("_").chars().map(safe).collect(),
        title: title.to_owned(),
        subtitle: format!("{file} · {about}{spread}"),
        x_label: "arrived demand (% of the cluster's capacity)".to_owned(),
        y_label: y_label.to_owned(),
        curves,
        panels,
        scale: Scale::Linear,
    }
}
