//! A sweep's plots: the curves of a study, one line per value of one axis, one set of figures per combination of the
//! others.

use wavetank_reports::plots::bands::{BandFigure, BandPoint, Curve, Scale};
use wavetank_reports::plots::{PlotError, pictures};
use wavetank_reports::record::StudyPoint;

use super::matrix::shown;
use super::tables::{File, QUANTITIES, Quantity, by_cell, curve};
use super::{Axis, Cell, Done, RunResult, Sweep};

/// From this demand on, policies differ; it gets a panel of its own.
const NEAR_FULL_PERCENT: f64 = 80.0;

/// More lines than there are colours tell nothing apart; the others are in `curves.csv`.
const LINES_MAX: usize = 8;

/// Title and vertical axis of a quantity.
struct Look {
    title: &'static str,
    y_label: &'static str,
    /// Whether the panel near the full cluster is drawn.
    near_full: bool,
    /// Whether only GPUs can be fragmented, so that a study of CPU has no such figure.
    gpus_only: bool,
}

/// The look of each of [`QUANTITIES`]; `RESOURCE` stands for what the study looks at.
const LOOKS: [Look; 4] = [
    Look {
        title: "RESOURCE allocation against arrived demand",
        y_label: "allocated (% of the cluster's capacity)",
        near_full: true,
        gpus_only: false,
    },
    Look {
        title: "Fragmentation against arrived demand",
        y_label: "fragmented GPU (% of the cluster's GPUs)",
        near_full: false,
        gpus_only: true,
    },
    Look {
        title: "Fragmentation of what is idle",
        y_label: "fragmented (% of idle GPU)",
        near_full: false,
        gpus_only: true,
    },
    Look {
        title: "Unscheduled pods against arrived demand",
        y_label: "pods that no node took",
        near_full: false,
        gpus_only: false,
    },
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
    let mut files: Vec<File> = Vec::new();
    for (rest, lines) in &groups {
        let of_gpus = lines.iter().flat_map(|(_, results)| results).any(|result| result.resource == "gpu");
        for (quantity, look) in QUANTITIES.into_iter().zip(&LOOKS).filter(|(_, look)| of_gpus || !look.gpus_only) {
            let figure = Figure { sweep, rest, lines, of_gpus }.of(quantity, look);
            let (svg, png) = pictures(&figure)?;
            let name = unused(&format!("plots/{}", figure.stem), &files);
            files.push((format!("{name}.svg"), svg.into_bytes()));
            files.push((format!("{name}.png"), png));
        }
    }
    Ok(files)
}

/// The name, with a number behind it if another combination has it: `traces/a/pods.csv` and `traces/b/pods.csv` look
/// alike where only the file's stem is shown.
fn unused(name: &str, files: &[File]) -> String {
    let is_free = |name: &String| !files.iter().any(|(known, _)| known.strip_suffix(".svg") == Some(name));
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    std::iter::once(name.to_owned()).chain(numbered).find(is_free).expect("there are more numbers than files")
}

/// The axis whose values are lines: the one that is named, else the policy, else the first.
fn line_axis<'s>(sweep: &'s Sweep, named: Option<&str>) -> Option<&'s Axis> {
    let axes = &sweep.matrix.0;
    let find = |name: &str| axes.iter().find(|axis| axis.name() == name || axis.path == name);
    named.and_then(find).or_else(|| find("policy")).or(axes.first())
}

/// One combination of the axes that are no lines.
struct Figure<'s> {
    sweep: &'s Sweep,
    rest: &'s Cell,
    lines: &'s [Line<'s>],
    of_gpus: bool,
}

impl Figure<'_> {
    fn of(&self, (name, value): Quantity, look: &Look) -> BandFigure {
        let curves: Vec<Curve> =
            self.lines.iter().take(LINES_MAX).map(|(label, results)| line(label, results, value)).collect();
        let end = curves.iter().filter_map(|curve| curve.points.last()).map(|point| point.x).fold(1.0, f64::max);
        let mut panels = vec![(0.0, end)];
        if look.near_full && end > NEAR_FULL_PERCENT + 10.0 {
            panels.push((NEAR_FULL_PERCENT, end));
        }
        BandFigure {
            stem: self.stem(name),
            title: look.title.replace("RESOURCE", if self.of_gpus { "GPU" } else { "CPU" }),
            subtitle: self.subtitle(),
            x_label: "arrived demand (% of the cluster's capacity)".to_owned(),
            y_label: look.y_label.to_owned(),
            curves,
            panels,
            scale: Scale::Linear,
        }
    }

    fn subtitle(&self) -> String {
        let file = self.sweep.file.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        let about = if self.rest.values.is_empty() { String::new() } else { format!("{} · ", self.rest.label()) };
        let spread = match self.lines.iter().map(|(_, results)| results.len()).max().unwrap_or(0) {
            1 => "one run each".to_owned(),
            runs => format!("means of {runs} runs, bands are 95 % confidence intervals"),
        };
        let left_out = match self.lines.len() {
            0..=LINES_MAX => String::new(),
            lines => format!(" · {LINES_MAX} of {lines} lines, all are in curves.csv"),
        };
        format!("{file} · {about}{spread}{left_out}")
    }

    /// The values of the other axes and the quantity, as far as a file name can show them.
    fn stem(&self, name: &str) -> String {
        let of_rest: Vec<&str> = self.rest.values.iter().map(|(_, value)| shown(value)).collect();
        let parts = [of_rest.join("_"), name.replace("_percent", "").replace('_', "-")];
        let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let safe = |letter: char| if letter.is_ascii_alphanumeric() || "._-".contains(letter) { letter } else { '-' };
        parts.join("_").chars().map(safe).collect()
    }
}

/// As far as every run has come: beyond that the means would be those of fewer runs, with intervals to match.
pub(super) fn line(label: &str, results: &[&RunResult], value: fn(&StudyPoint) -> f64) -> Curve {
    let runs = results.iter().filter(|result| !result.points.is_empty()).count();
    let common = curve(results, value).into_iter().filter(|(_, estimate)| estimate.count == runs);
    let points = common.map(|(percent, estimate)| BandPoint {
        x: f64::from(percent),
        mean: estimate.mean,
        half_width: estimate.half_width,
    });
    Curve { label: label.to_owned(), points: points.collect() }
}
