//! A figure: a title, panels above one another on one time axis, fault bands across all of them, legends below.
//!
//! A legend never covers data: it has its own rows under the panels. Labels of faults have their own rows above.

use plotters_backend::DrawingBackend;

use super::axis::{TimeAxis, ValueAxis, ValueFormat};
use super::canvas::{Align, Canvas, CanvasError, Point, Type};
use super::labels::{
    PlacedLabel, SWATCH, TITLE_BLOCK, block_height, heading, no_data, place_above, place_legend, swatch_of, value_label,
};
use super::overlap::turns;
use super::steps::{corners, thin};
use super::theme::{
    AXIS, Colour, GRID, INK, INK_SOFT, LABEL_SIZE, MARGIN_LEFT, MARGIN_RIGHT, PANEL_HEIGHT, PAPER, TICK_SIZE,
    VERMILLION, WIDTH,
};
use crate::record::Marker;

/// Everything that one picture shows.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// The stem of its files.
    pub(crate) stem: String,
    /// What it is, in a few words.
    pub(crate) title: String,
    /// The smaller line below the title.
    pub(crate) subtitle: String,
    /// What the horizontal axis is, without its unit.
    pub(crate) time_label: &'static str,
    pub(crate) time: TimeAxis,
    pub(crate) panels: Vec<Panel>,
    pub(crate) markers: Vec<Marker>,
}

/// One plotting area.
#[derive(Clone, Debug)]
pub(crate) struct Panel {
    /// What the vertical axis is, with its unit.
    pub(crate) value_label: String,
    pub(crate) format: ValueFormat,
    /// The least range that the axis covers, so that a share of 1 % does not fill the picture.
    pub(crate) at_least: i64,
    pub(crate) kind: PanelKind,
    pub(crate) tracks: Vec<Track>,
    /// Upright dashed lines with a label, such as a median.
    pub(crate) marks: Vec<Mark>,
}

/// How the tracks of a panel are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PanelKind {
    /// Each on its own.
    Lines,
    /// Filled, each on top of the tracks before it. The tracks must share their times.
    Stack,
}

/// One step function.
#[derive(Clone, Debug)]
pub(crate) struct Track {
    pub(crate) label: String,
    pub(crate) colour: Colour,
    /// Logical pixels.
    pub(crate) width: f64,
    /// `(time in nanoseconds, value)`, in order of time.
    pub(crate) points: Vec<(u64, i64)>,
}

/// An upright line at one time.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    pub(crate) at_ns: u64,
    pub(crate) label: String,
}

/// Where everything is, in logical pixels.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) width: f64,
    pub(crate) height: f64,
    /// Rows of fault labels above the first panel.
    label_rows: Vec<PlacedLabel>,
    left: f64,
    right: f64,
    panels: Vec<PanelPlace>,
}

#[derive(Clone, Debug)]
struct PanelPlace {
    top: f64,
    bottom: f64,
    legend: Vec<PlacedLabel>,
    mark_rows: Vec<PlacedLabel>,
}

const AXIS_BLOCK: f64 = 42.0;
const PANEL_GAP: f64 = 16.0;
const FOOT: f64 = 8.0;
/// With more faults than this, edges of bands would hide the data: the shading alone is left.
const EDGED_BANDS_MAX: usize = 8;

impl Figure {
    pub(crate) fn layout(&self) -> Layout {
        let (left, right) = (MARGIN_LEFT, WIDTH - MARGIN_RIGHT);
        let places: Vec<f64> =
            self.markers.iter().map(|marker| left + self.time.position(marker.from_ns, right - left)).collect();
        let texts: Vec<&str> = self.markers.iter().map(|marker| marker.label.as_str()).collect();
        let label_rows = place_above(&places, &texts, (left, right));
        let mut y = TITLE_BLOCK + block_height(&label_rows);
        let mut panels = Vec::new();
        for (index, panel) in self.panels.iter().enumerate() {
            let places: Vec<f64> =
                panel.marks.iter().map(|mark| left + self.time.position(mark.at_ns, right - left)).collect();
            let texts: Vec<&str> = panel.marks.iter().map(|mark| mark.label.as_str()).collect();
            let mark_rows = place_above(&places, &texts, (left, right));
            let top = y + block_height(&mark_rows);
            let bottom = top + PANEL_HEIGHT;
            let labels = |panel: &Panel| panel.tracks.iter().map(|track| track.label.clone()).collect::<Vec<_>>();
            let told_below = self.panels.get(index + 1).is_some_and(|next| labels(next) == labels(panel));
            let legend = if told_below { vec![] } else { panel.legend((left, right)) };
            let axis = if index + 1 == self.panels.len() { AXIS_BLOCK } else { 24.0 };
            let legend_rows = legend.last().map_or(0.0, |entry| entry.y);
            y = bottom + axis + legend_rows + if index + 1 == self.panels.len() { 0.0 } else { PANEL_GAP };
            panels.push(PanelPlace { top, bottom, legend, mark_rows });
        }
        Layout { width: WIDTH, height: (y + FOOT).ceil(), label_rows, left, right, panels }
    }

    /// Draws the figure on a canvas of the layout's size.
    pub(crate) fn draw<B: DrawingBackend>(
        &self,
        layout: &Layout,
        canvas: &mut Canvas<'_, B>,
    ) -> Result<(), CanvasError<B>> {
        assert_eq!(self.panels.len(), layout.panels.len(), "the layout is another figure's");
        canvas.rectangle((0.0, 0.0), (layout.width, layout.height), PAPER.with_alpha(1.0))?;
        let mut subtitle = self.subtitle.clone();
        if layout.label_rows.len() < self.markers.len() {
            subtitle += &format!(" · {} faults, {} of them labelled", self.markers.len(), layout.label_rows.len());
        }
        heading(canvas, &self.title, &subtitle, (layout.left, layout.right))?;
        for (index, (panel, place)) in self.panels.iter().zip(&layout.panels).enumerate() {
            self.draw_panel(panel, place, layout, index + 1 == self.panels.len(), canvas)?;
        }
        for label in &layout.label_rows {
            let at = (label.x, TITLE_BLOCK + label.y);
            canvas.text(&label.text, at, Type::plain(TICK_SIZE, VERMILLION, Align::Start))?;
        }
        Ok(())
    }

    fn draw_panel<B: DrawingBackend>(
        &self,
        panel: &Panel,
        place: &PanelPlace,
        layout: &Layout,
        last: bool,
        canvas: &mut Canvas<'_, B>,
    ) -> Result<(), CanvasError<B>> {
        let area =
            Area { panel, time: &self.time, axis: panel.value_axis(), place, left: layout.left, right: layout.right };
        area.draw_bands(&self.markers, canvas)?;
        area.draw_grid(canvas)?;
        area.draw_axes(canvas)?;
        match panel.kind {
            PanelKind::Lines => area.draw_lines(canvas)?,
            PanelKind::Stack => area.draw_stack(canvas)?,
        }
        area.draw_band_edges(&self.markers, canvas)?;
        area.draw_marks(canvas)?;
        if panel.tracks.iter().all(|track| track.points.is_empty()) {
            no_data(canvas, (area.left, area.right), (place.top, place.bottom))?;
        }
        if last {
            let label = format!("{} ({})", self.time_label, self.time.unit);
            let at = ((area.left + area.right) / 2.0, place.bottom + 36.0);
            canvas.text(&label, at, Type::plain(LABEL_SIZE, INK_SOFT, Align::Middle))?;
        }
        let legend_top = place.bottom + if last { AXIS_BLOCK } else { 24.0 };
        for entry in &place.legend {
            draw_legend_entry(panel, entry, legend_top, canvas)?;
        }
        Ok(())
    }
}

impl Panel {
    fn legend(&self, between: (f64, f64)) -> Vec<PlacedLabel> {
        place_legend(self.tracks.iter().map(|track| track.label.as_str()), between)
    }

    fn value_axis(&self) -> ValueAxis {
        let (mut low, mut high) = (0, self.at_least);
        match self.kind {
            PanelKind::Lines => {
                for &(_, value) in self.tracks.iter().flat_map(|track| &track.points) {
                    (low, high) = (low.min(value), high.max(value));
                }
            }
            PanelKind::Stack => {
                let total = stacked(&self.tracks).pop().unwrap_or_default();
                high = total.into_iter().map(|(_, value)| value).fold(high, i64::max);
            }
        }
        ValueAxis::new(low, high, self.format)
    }
}

/// A panel at its place, with its axes.
struct Area<'a> {
    panel: &'a Panel,
    time: &'a TimeAxis,
    axis: ValueAxis,
    place: &'a PanelPlace,
    left: f64,
    right: f64,
}

impl Area<'_> {
    fn x(&self, time_ns: u64) -> f64 {
        self.left + self.time.position(time_ns, self.right - self.left)
    }

    fn y(&self, value: i64) -> f64 {
        self.place.bottom - self.axis.position(value, self.place.bottom - self.place.top)
    }

    fn path(&self, points: &[(u64, i64)]) -> Vec<Point> {
        let columns = (self.right - self.left) as u64;
        let thinned = thin(points, (self.time.end_ns / columns).max(1));
        let pixels: Vec<Point> = thinned.into_iter().map(|(time_ns, value)| (self.x(time_ns), self.y(value))).collect();
        corners(&pixels, self.right)
    }

    fn draw_grid<B: DrawingBackend>(&self, canvas: &mut Canvas<'_, B>) -> Result<(), CanvasError<B>> {
        for tick in &self.axis.ticks {
            let y = self.y(tick.value);
            canvas.line(&[(self.left, y), (self.right, y)], 1.0, GRID.with_alpha(1.0))?;
            let at = (self.left - 9.0, y + TICK_SIZE * 0.36);
            canvas.text(&tick.label, at, Type::plain(TICK_SIZE, INK_SOFT, Align::End))?;
        }
        Ok(())
    }

    /// Behind the data, so that a band does not change the colours that the legend explains.
    fn draw_bands<B: DrawingBackend>(
        &self,
        markers: &[Marker],
        canvas: &mut Canvas<'_, B>,
    ) -> Result<(), CanvasError<B>> {
        let crowded = markers.len() > EDGED_BANDS_MAX;
        for marker in markers {
            let (from, to) = self.band(marker);
            // A band too short to see, or an instant, is drawn one pixel wide where it gets no edges.
            let to = if crowded { to.max(from + 1.0).min(self.right) } else { to };
            if to > from {
                let alpha = if crowded { 0.18 } else { 0.10 };
                canvas.rectangle((from, self.place.top), (to, self.place.bottom), VERMILLION.with_alpha(alpha))?;
            }
        }
        Ok(())
    }

    fn draw_band_edges<B: DrawingBackend>(
        &self,
        markers: &[Marker],
        canvas: &mut Canvas<'_, B>,
    ) -> Result<(), CanvasError<B>> {
        if markers.len() > EDGED_BANDS_MAX {
            return Ok(());
        }
        for marker in markers {
            let (from, to) = self.band(marker);
            self.draw_band_edge(from, canvas)?;
            if to > from && marker.to_ns.is_some_and(|to_ns| to_ns <= self.time.end_ns) {
                self.draw_band_edge(to, canvas)?;
            }
        }
        Ok(())
    }

    fn draw_band_edge<B: DrawingBackend>(&self, x: f64, canvas: &mut Canvas<'_, B>) -> Result<(), CanvasError<B>> {
        let (top, bottom) = ((x, self.place.top), (x, self.place.bottom));
        if self.panel.kind == PanelKind::Stack {
            // Dashes of any hue drown in some area's colour: they get a light ground.
            canvas.line(&[top, bottom], 2.0, PAPER.with_alpha(0.75))?;
        }
        canvas.dashes(top, bottom, 1.0, VERMILLION.with_alpha(0.9))
    }

    fn band(&self, marker: &Marker) -> (f64, f64) {
        (self.x(marker.from_ns), self.x(marker.to_ns.unwrap_or(self.time.end_ns)))
    }

    fn draw_lines<B: DrawingBackend>(&self, canvas: &mut Canvas<'_, B>) -> Result<(), CanvasError<B>> {
        let paths: Vec<Vec<Point>> = self.panel.tracks.iter().map(|track| self.path(&track.points)).collect();
        for (track, path) in self.panel.tracks.iter().zip(&paths) {
            canvas.line(path, track.width, track.colour.with_alpha(1.0))?;
        }
        let widths: Vec<f64> = self.panel.tracks.iter().map(|track| track.width).collect();
        for turn in turns(&paths, &widths, (self.left, self.right)) {
            let track = &self.panel.tracks[turn.line];
            canvas.line(&[(turn.from, turn.y), (turn.to, turn.y)], track.width, track.colour.with_alpha(1.0))?;
        }
        Ok(())
    }

    /// From the highest sum down, each painted over the one before: opaque, so no seam shows between two areas.
    fn draw_stack<B: DrawingBackend>(&self, canvas: &mut Canvas<'_, B>) -> Result<(), CanvasError<B>> {
        for (track, sums) in self.panel.tracks.iter().zip(stacked(&self.panel.tracks)).rev() {
            let mut path = self.path(&sums);
            if let (Some(&first), Some(&last)) = (path.first(), path.last()) {
                path.push((last.0, self.place.bottom));
                path.push((first.0, self.place.bottom));
                canvas.polygon(&path, track.colour.with_alpha(1.0))?;
            }
        }
        Ok(())
    }

    fn draw_marks<B: DrawingBackend>(&self, canvas: &mut Canvas<'_, B>) -> Result<(), CanvasError<B>> {
        for mark in &self.panel.marks {
            let x = self.x(mark.at_ns);
            canvas.dashes((x, self.place.top), (x, self.place.bottom), 1.0, INK_SOFT.with_alpha(1.0))?;
        }
        let block_top = self.place.top - block_height(&self.place.mark_rows);
        for label in &self.place.mark_rows {
            let at = (label.x, block_top + label.y);
            canvas.text(&label.text, at, Type::plain(TICK_SIZE, INK_SOFT, Align::Start))?;
        }
        Ok(())
    }

    fn draw_axes<B: DrawingBackend>(&self, canvas: &mut Canvas<'_, B>) -> Result<(), CanvasError<B>> {
        let (top, bottom) = (self.place.top, self.place.bottom);
        let ink = AXIS.with_alpha(1.0);
        canvas.line(&[(self.left, top), (self.left, bottom)], 1.0, ink)?;
        let zero = self.y(0);
        canvas.line(&[(self.left, zero), (self.right, zero)], 1.0, ink)?;
        for tick in &self.time.ticks {
            let x = self.x(tick.value);
            canvas.line(&[(x, bottom), (x, bottom + 4.0)], 1.0, ink)?;
            canvas.text(&tick.label, (x, bottom + 17.0), Type::plain(TICK_SIZE, INK_SOFT, Align::Middle))?;
        }
        let ticks = self.axis.ticks.iter().map(|tick| tick.label.as_str());
        value_label(canvas, &self.panel.value_label, ticks, self.left, (top, bottom))
    }
}

/// Running sums over the tracks: the upper edges of a stack.
fn stacked(tracks: &[Track]) -> Vec<Vec<(u64, i64)>> {
    let mut sums: Vec<Vec<(u64, i64)>> = Vec::with_capacity(tracks.len());
    for track in tracks {
        let edge = match sums.last() {
            None => track.points.clone(),
            Some(below) => {
                assert_eq!(below.len(), track.points.len(), "stacked tracks do not share their times");
                let add =
                    |(&(time_ns, value), &(_, base)): (&(u64, i64), &(u64, i64))| (time_ns, base.saturating_add(value));
                track.points.iter().zip(below).map(add).collect()
            }
        };
        sums.push(edge);
    }
    sums
}

fn draw_legend_entry<B: DrawingBackend>(
    panel: &Panel,
    entry: &PlacedLabel,
    top: f64,
    canvas: &mut Canvas<'_, B>,
) -> Result<(), CanvasError<B>> {
    let track = &panel.tracks[entry.index];
    let colour = track.colour.with_alpha(1.0);
    let (from, middle) = swatch_of(entry, top);
    match panel.kind {
        PanelKind::Stack => {
            canvas.rectangle((from + 2.0, middle - 6.0), (from + SWATCH, middle + 6.0), colour)?;
        }
        PanelKind::Lines => {
            canvas.line(&[(from, middle), (from + SWATCH, middle)], track.width.max(2.0), colour)?;
        }
    }
    canvas.text(&entry.text, (entry.x, top + entry.y), Type::plain(LABEL_SIZE, INK, Align::Start))
}
