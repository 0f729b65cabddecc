//! Which figures a record gives.

use super::Shown;
use super::axis::{TimeAxis, ValueFormat};
use super::bands::{self, BandFigure};
use super::cdf::distribution;
use super::figure::{Figure, Mark, Panel, PanelKind, Track};
use super::theme::{self, BLUE, Colour, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILLION};
use crate::format::{counted, duration};
use crate::latency::{Latencies, Stretch};
use crate::record::{POD_PHASES, RunRecord, StepSeries, Study, StudyPoint, World, file_stem};

/// A figure of endpoints has at most so many panels; the rest is in `series/`.
const SERVICES_MAX: usize = 4;
/// A panel has at most so many lines, as there are colours to tell apart; the rest is in `series/`.
const LINES_MAX: usize = 8;

/// The figures of a record, in the order in which a report shows them.
pub(crate) fn figures(record: &RunRecord) -> Vec<Shown> {
    let study = record.summary.study.iter().flat_map(|study| study_figures(study, &subtitle(record)));
    let over_time = figures_over_time(record);
    study.map(Shown::OverDemand).chain(over_time.into_iter().map(Shown::OverTime)).collect()
}

/// A study's curves against the arrived demand.
fn study_figures(study: &Study, subtitle: &str) -> Vec<BandFigure> {
    type Line = (&'static str, fn(&StudyPoint) -> f64);
    let what = if study.resource == "gpu" { "GPU" } else { "CPU" };
    let end = study.points.last().map_or(1.0, |point| f64::from(point.demand_percent)).max(1.0);
    let figure = |stem: &str, title: String, y_label: &str, lines: &[Line]| BandFigure {
        stem: stem.to_owned(),
        title,
        subtitle: subtitle.to_owned(),
        x_label: "arrived demand (% of the cluster's capacity)".to_owned(),
        y_label: y_label.to_owned(),
        curves: lines
            .iter()
            .map(|(label, value)| bands::Curve {
                label: (*label).to_owned(),
                points: study
                    .points
                    .iter()
                    .map(|point| bands::BandPoint {
                        x: f64::from(point.demand_percent),
                        mean: value(point),
                        half_width: 0.0,
                    })
                    .collect(),
            })
            .collect(),
        panels: vec![(0.0, end)],
        scale: bands::Scale::Linear,
    };
    let allocated: Line = ("allocated", |point| point.allocation_percent);
    let fragmented: Line = ("fragmented", |point| point.fragmentation_percent);
    let both = if study.resource == "gpu" { vec![allocated, fragmented] } else { vec![allocated] };
    vec![
        figure("study-allocation", format!("{what} allocation against arrived demand"), "% of the capacity", &both),
        figure(
            "study-unscheduled",
            "Unscheduled pods against arrived demand".to_owned(),
            "pods that no node took",
            &[("unscheduled", |point| point.unscheduled_pods)],
        ),
    ]
}

fn figures_over_time(record: &RunRecord) -> Vec<Figure> {
    // Placement alone has one instant per pod: nodes are always ready, and nothing is slow.
    if record.summary.study.is_some() {
        return std::iter::once(pods(record)).chain(allocation(record)).collect();
    }
    let mut figures = vec![pods(record), nodes(record)];
    figures.extend(allocation(record));
    if !record.series.endpoints.is_empty() {
        figures.push(endpoints(record));
    }
    figures.push(latency(record, Stretch::Scheduling));
    figures.push(latency(record, Stretch::Startup));
    figures.extend(record.series.other.iter().map(|steps| other(record, steps)));
    figures
}

fn pods(record: &RunRecord) -> Figure {
    let panel = Panel {
        value_label: "pods".to_owned(),
        format: ValueFormat::Count,
        at_least: 1,
        kind: PanelKind::Stack,
        tracks: tracks(&record.series.pods_by_phase, |index, column| {
            assert!(index < POD_PHASES.len(), "column {column} is none of the phases");
            let (label, colour) = PHASE_LOOKS[index];
            (label.to_owned(), colour)
        }),
        marks: vec![],
    };
    over_time(record, "pods", "Pods by phase", vec![without_idle_tracks(panel)])
}

/// In the order of [`POD_PHASES`].
const PHASE_LOOKS: [(&str, Colour); 7] = [
    ("Running, ready", GREEN),
    ("Running, not ready", ORANGE),
    ("Pending, on its node", SKY),
    ("Pending, unscheduled", PURPLE),
    ("Terminating", GREY),
    ("Failed", VERMILLION),
    ("Succeeded", BLUE),
];

fn nodes(record: &RunRecord) -> Figure {
    over_time(record, "nodes", "Node readiness", vec![readiness_panel("nodes".to_owned(), &record.series.nodes)])
}

fn endpoints(record: &RunRecord) -> Figure {
    let all = &record.series.endpoints;
    let panels =
        all.iter().take(SERVICES_MAX).map(|steps| readiness_panel(format!("endpoints of {}", steps.name), steps));
    let title = match all.len() {
        0..=SERVICES_MAX => "Service endpoints".to_owned(),
        count => format!("Service endpoints: {SERVICES_MAX} of {count} services"),
    };
    over_time(record, "endpoints", &title, panels.collect())
}

fn readiness_panel(value_label: String, steps: &StepSeries) -> Panel {
    let look = |index: usize, _: &str| if index == 0 { ("ready", GREEN) } else { ("not ready", VERMILLION) };
    let tracks = tracks(steps, |index, column| {
        let (label, colour) = look(index, column);
        (label.to_owned(), colour)
    });
    Panel { value_label, format: ValueFormat::Count, at_least: 1, kind: PanelKind::Lines, tracks, marks: vec![] }
}

/// A panel for CPU and one for memory; of what no pod asks for there is none.
fn allocation(record: &RunRecord) -> Option<Figure> {
    let panel = |what: &str, steps: &StepSeries| {
        let mut tracks = tracks(steps, |index, column| match index {
            0 => ("all nodes".to_owned(), BLUE),
            _ => (format!("zone {column}"), theme::cycle(index)),
        });
        // The mean of the zones often lies where they do: it is seen behind them.
        if let [all_nodes, _, ..] = tracks.as_mut_slice() {
            all_nodes.width = 4.5;
        }
        tracks.truncate(LINES_MAX);
        Panel {
            value_label: format!("{what} requested (%)"),
            format: ValueFormat::Percent,
            at_least: 100,
            kind: PanelKind::Lines,
            tracks,
            marks: vec![],
        }
    };
    let resources = [("CPU", &record.series.allocated_cpu), ("memory", &record.series.allocated_memory)];
    let asked = |(_, steps): &(&str, &StepSeries)| {
        steps.rows.is_empty() || steps.rows.iter().any(|(_, values)| values.iter().any(|value| *value != 0))
    };
    let drawn: Vec<_> = resources.into_iter().filter(asked).collect();
    let columns = drawn.iter().map(|(_, steps)| steps.columns.len()).max()?;
    let names: Vec<&str> = drawn.iter().map(|(what, _)| *what).collect();
    let title = format!("Requested share of allocatable {}", names.join(" and "));
    let mut figure =
        over_time(record, "allocation", &title, drawn.iter().map(|(what, steps)| panel(what, steps)).collect());
    figure.subtitle += &left_out(columns);
    Some(figure)
}

fn other(record: &RunRecord, steps: &StepSeries) -> Figure {
    let mut tracks = tracks(steps, |index, column| (column.to_owned(), theme::cycle(index)));
    tracks.truncate(LINES_MAX);
    let format = if steps.unit == "per mille" { ValueFormat::Percent } else { ValueFormat::Count };
    let value_label = if format == ValueFormat::Percent { "%".to_owned() } else { steps.unit.clone() };
    let panel = Panel { value_label, format, at_least: 1, kind: PanelKind::Lines, tracks, marks: vec![] };
    let mut figure = over_time(record, "", &steps.name, vec![panel]);
    figure.subtitle += &left_out(steps.columns.len());
    figure.stem = format!("other-{}", file_stem(&steps.name));
    figure
}

/// What the subtitle says when not all of so many lines are drawn.
fn left_out(columns: usize) -> String {
    if columns > LINES_MAX { format!(" · {LINES_MAX} of {columns} lines, all are in series/") } else { String::new() }
}

fn latency(record: &RunRecord, stretch: Stretch) -> Figure {
    let (stem, title) = match stretch {
        Stretch::Scheduling => ("scheduling-latency", "Scheduling latency: created to bound"),
        Stretch::Startup => ("startup-latency", "Start-up latency: created to ready"),
    };
    let latencies = Latencies::of(&record.pods, stretch);
    let marks = [("median", 500), ("p99", 990)];
    let marks = marks.into_iter().filter_map(|(name, per_mille)| {
        latencies.quantile_ns(per_mille).map(|at_ns| Mark { at_ns, label: format!("{name} {}", duration(at_ns)) })
    });
    let points =
        if record.pods.is_empty() { vec![] } else { distribution(&latencies.sorted_ns, record.pods.len() as u64) };
    let panel = Panel {
        value_label: "pods (%)".to_owned(),
        format: ValueFormat::Percent,
        at_least: 1_000,
        kind: PanelKind::Lines,
        tracks: vec![Track { label: sample_label(&latencies), colour: BLUE, width: 2.0, points }],
        marks: marks.collect(),
    };
    let longest_ns = latencies.max_ns().unwrap_or(0);
    let end_ns = longest_ns.saturating_add(longest_ns / 20);
    Figure {
        stem: stem.to_owned(),
        title: title.to_owned(),
        subtitle: subtitle(record),
        time_label: "latency",
        time: TimeAxis::new(end_ns),
        panels: vec![panel],
        markers: vec![],
    }
}

fn sample_label(latencies: &Latencies) -> String {
    let finished = counted(latencies.sorted_ns.len() as u64, "pod");
    match latencies.unfinished {
        0 => format!("empirical distribution of {finished}"),
        left => format!("empirical distribution of {finished}; {left} more never got there"),
    }
}

fn over_time(record: &RunRecord, stem: &str, title: &str, panels: Vec<Panel>) -> Figure {
    Figure {
        stem: stem.to_owned(),
        title: title.to_owned(),
        subtitle: subtitle(record),
        time_label: match record.summary.world {
            World::Sim => "virtual time",
            World::Real => "time since the start",
        },
        time: TimeAxis::new(record.summary.duration_ns),
        panels,
        markers: record.markers.clone(),
    }
}

fn subtitle(record: &RunRecord) -> String {
    let summary = &record.summary;
    format!("{} · seed {} · Kubernetes {}", summary.scenario, summary.seed, summary.kubernetes_version)
}

fn tracks(steps: &StepSeries, look: impl Fn(usize, &str) -> (String, Colour)) -> Vec<Track> {
    let track = |(index, column): (usize, &String)| {
        let (label, colour) = look(index, column);
        let points = steps.rows.iter().map(|(time_ns, values)| (*time_ns, values[index])).collect();
        Track { label, colour, width: 2.0, points }
    };
    steps.columns.iter().enumerate().map(track).collect()
}

/// Leaves out what is zero all along: it would only lengthen the legend.
fn without_idle_tracks(mut panel: Panel) -> Panel {
    panel.tracks.retain(|track| track.points.iter().any(|&(_, value)| value != 0));
    panel
}
