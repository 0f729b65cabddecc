//! Plots: which figures a record gives, and their pictures.
//!
//! `bands` draws curves over several runs and `dots` rows of means, both on the axes of `value_axis`; `theme` (looks),
//! `canvas` (drawing and text), `axis` (ticks), `steps` (step functions) and `cdf` know nothing of records; `figure`
//! puts them together. Absent on purpose: any layout that depends on the machine's fonts.

mod axis;
pub mod bands;
mod canvas;
mod cdf;
pub mod dots;
mod figure;
mod steps;
pub(crate) mod theme;
mod value_axis;

use plotters_backend::DrawingBackend;
use plotters_bitmap::BitMapBackend;
use plotters_svg::SVGBackend;

use self::axis::{TimeAxis, ValueFormat};
use self::bands::BandFigure;
use self::canvas::Canvas;
use self::cdf::distribution;
use self::dots::DotFigure;
pub(crate) use self::figure::Figure;
use self::figure::{Mark, Panel, PanelKind, Track};
use self::theme::{BLUE, Colour, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILLION};
use crate::format::{counted, duration};
use crate::latency::{Latencies, Stretch};
use crate::record::{POD_PHASES, RunRecord, StepSeries, Study, StudyPoint, World, file_stem};

/// Backend pixels per logical pixel in a PNG: sharp on a dense screen and in print.
const PNG_SCALE: u32 = 2;
/// Coordinates per logical pixel in an SVG, which the backend writes as integers.
const SVG_SCALE: u32 = 4;
/// A figure of endpoints has at most so many panels; the rest is in `series/`.
const SERVICES_MAX: usize = 4;
/// A panel has at most so many lines, as there are colours to tell apart; the rest is in `series/`.
const LINES_MAX: usize = 8;

/// What could not be drawn or encoded.
#[derive(Debug, thiserror::Error)]
#[error("plot {stem}: {cause}")]
pub struct PlotError {
    stem: String,
    cause: String,
}

impl PlotError {
    fn new(figure: &impl Picture, cause: impl std::fmt::Display) -> PlotError {
        PlotError { stem: figure.stem().to_owned(), cause: cause.to_string() }
    }
}

/// A figure of a report.
#[derive(Clone, Debug)]
pub(crate) enum Shown {
    /// Over time, or over a latency.
    OverTime(Figure),
    /// Over the demand of a study.
    OverDemand(BandFigure),
}

impl Shown {
    /// What it is, in a few words.
    pub(crate) fn title(&self) -> &str {
        match self {
            Shown::OverTime(figure) => &figure.title,
            Shown::OverDemand(figure) => &figure.title,
        }
    }
}

impl Picture for Shown {
    fn stem(&self) -> &str {
        match self {
            Shown::OverTime(figure) => figure.stem(),
            Shown::OverDemand(figure) => figure.stem(),
        }
    }

    fn size(&self) -> (f64, f64) {
        match self {
            Shown::OverTime(figure) => Picture::size(figure),
            Shown::OverDemand(figure) => Picture::size(figure),
        }
    }

    fn draw_on<B: DrawingBackend>(&self, canvas: &mut Canvas<'_, B>) -> Result<(), canvas::CanvasError<B>> {
        match self {
            Shown::OverTime(figure) => figure.draw_on(canvas),
            Shown::OverDemand(figure) => figure.draw_on(canvas),
        }
    }
}

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
        return vec![pods(record), allocation(record)];
    }
    let mut figures = vec![pods(record), nodes(record), allocation(record)];
    if !record.series.endpoints.is_empty() {
        figures.push(endpoints(record));
    }
    figures.push(latency(record, Stretch::Scheduling));
    figures.push(latency(record, Stretch::Startup));
    figures.extend(record.series.other.iter().map(|steps| other(record, steps)));
    figures
}

/// What can be drawn on any canvas.
pub(crate) trait Picture {
    /// The stem of its files.
    fn stem(&self) -> &str;
    /// Width and height in logical pixels.
    fn size(&self) -> (f64, f64);
    /// Draws it on a canvas of that size.
    fn draw_on<B: DrawingBackend>(&self, canvas: &mut Canvas<'_, B>) -> Result<(), canvas::CanvasError<B>>;
}

impl Picture for Figure {
    fn stem(&self) -> &str {
        &self.stem
    }

    fn size(&self) -> (f64, f64) {
        let layout = self.layout();
        (layout.width, layout.height)
    }

    fn draw_on<B: DrawingBackend>(&self, canvas: &mut Canvas<'_, B>) -> Result<(), canvas::CanvasError<B>> {
        self.draw(&self.layout(), canvas)
    }
}

impl Picture for DotFigure {
    fn stem(&self) -> &str {
        &self.stem
    }

    fn size(&self) -> (f64, f64) {
        DotFigure::size(self)
    }

    fn draw_on<B: DrawingBackend>(&self, canvas: &mut Canvas<'_, B>) -> Result<(), canvas::CanvasError<B>> {
        self.draw(canvas)
    }
}

impl Picture for BandFigure {
    fn stem(&self) -> &str {
        &self.stem
    }

    fn size(&self) -> (f64, f64) {
        BandFigure::size(self)
    }

    fn draw_on<B: DrawingBackend>(&self, canvas: &mut Canvas<'_, B>) -> Result<(), canvas::CanvasError<B>> {
        self.draw(canvas)
    }
}

/// A figure of curves as an SVG document and as a PNG file.
///
/// # Errors
/// What could not be drawn or encoded.
pub fn pictures(figure: &BandFigure) -> Result<(String, Vec<u8>), PlotError> {
    Ok((svg(figure)?, png(figure)?))
}

/// A figure of rows as an SVG document and as a PNG file.
///
/// # Errors
/// What could not be drawn or encoded.
pub fn pictures_of_dots(figure: &DotFigure) -> Result<(String, Vec<u8>), PlotError> {
    Ok((svg(figure)?, png(figure)?))
}

/// The figure as an SVG document.
pub(crate) fn svg(figure: &impl Picture) -> Result<String, PlotError> {
    let (width, height) = figure.size();
    let (width, height) = (width as u32, height as u32);
    let mut document = String::new();
    {
        let mut backend = SVGBackend::with_string(&mut document, (width * SVG_SCALE, height * SVG_SCALE));
        let mut canvas = Canvas::of_paths(&mut backend, f64::from(SVG_SCALE));
        figure.draw_on(&mut canvas).map_err(|error| PlotError::new(figure, error))?;
        backend.present().map_err(|error| PlotError::new(figure, error))?;
    }
    // The backend makes the document as large as its coordinates; the picture is smaller by the scale.
    let (inner, outer) = (
        format!("<svg width=\"{}\" height=\"{}\"", width * SVG_SCALE, height * SVG_SCALE),
        format!("<svg width=\"{width}\" height=\"{height}\""),
    );
    let Some(rest) = document.strip_prefix(&inner) else {
        return Err(PlotError::new(figure, "the SVG backend began its document in another way than expected"));
    };
    Ok(format!("{outer}{rest}"))
}

/// The figure as a PNG file.
pub(crate) fn png(figure: &impl Picture) -> Result<Vec<u8>, PlotError> {
    let (width, height) = figure.size();
    let (width, height) = (width as u32 * PNG_SCALE, height as u32 * PNG_SCALE);
    let mut pixels = vec![0u8; width as usize * height as usize * 3];
    {
        let mut backend = BitMapBackend::with_buffer(&mut pixels, (width, height));
        let mut canvas = Canvas::of_pixels(&mut backend, f64::from(PNG_SCALE));
        figure.draw_on(&mut canvas).map_err(|error| PlotError::new(figure, error))?;
        backend.present().map_err(|error| PlotError::new(figure, error))?;
    }
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header().map_err(|error| PlotError::new(figure, error))?;
    writer.write_image_data(&pixels).map_err(|error| PlotError::new(figure, error))?;
    writer.finish().map_err(|error| PlotError::new(figure, error))?;
    Ok(file)
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

fn allocation(record: &RunRecord) -> Figure {
    let panel = |what: &str, steps: &StepSeries| {
        let mut tracks = tracks(steps, |index, column| match index {
            0 => ("all nodes".to_owned(), BLUE),
            _ => (column.to_owned(), theme::cycle(index)),
        });
        // Each thinner than those before it, so that lines of equal height show as nested and none hides another.
        for (track, width) in tracks.iter_mut().zip([4.5, 3.25, 2.25].into_iter().chain(std::iter::repeat(1.25))) {
            track.width = width;
        }
        tracks.truncate(LINES_MAX);
        Panel {
            value_label: format!("{what} (%)"),
            format: ValueFormat::Percent,
            at_least: 100,
            kind: PanelKind::Lines,
            tracks,
            marks: vec![],
        }
    };
    let panels = vec![
        panel("CPU requested", &record.series.allocated_cpu),
        panel("memory requested", &record.series.allocated_memory),
    ];
    let columns = record.series.allocated_cpu.columns.len().max(record.series.allocated_memory.columns.len());
    let mut figure = over_time(record, "allocation", "Requested share of allocatable CPU and memory", panels);
    figure.subtitle += &left_out(columns);
    figure
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
