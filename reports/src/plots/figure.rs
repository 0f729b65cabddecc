//! A figure: a title, panels above one another on one time axis, fault bands across all of them, legends below.
//!
//! A legend never covers data: it has its own rows under the panels. Labels of faults have their own rows above.

use plotters_backend::DrawingBackend;

use super::axis::{TimeAxis, ValueAxis, ValueFormat};
use super::canvas::{Align, Canvas, CanvasError, Point, Type, fitted, text_width};
use super::steps::{corners, thin};
use super::theme::{
    AXIS, Colour, GRID, INK, INK_SOFT, LABEL_SIZE, MARGIN_LEFT, MARGIN_RIGHT, PANEL_HEIGHT, PAPER, TICK_SIZE,
    TITLE_SIZE, VERMILLION, WIDTH,
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

/// A text at its place; `index` says of what.
#[derive(Clone, Debug)]
struct PlacedLabel {
    index: usize,
    text: String,
    /// Where the text begins.
    x: f64,
    /// The text's baseline, from the top of its block.
    y: f64,
}

const TITLE_BLOCK: f64 = 52.0;
const ROW: f64 = 16.0;
const AXIS_BLOCK: f64 = 42.0;
const LEGEND_ROW: f64 = 19.0;
const SWATCH: f64 = 12.0;
const PANEL_GAP: f64 = 16.0;
const FOOT: f64 = 8.0;
/// More rows of fault labels than this would leave no room for the data.
const LABEL_ROWS_MAX: usize = 3;
/// A longer label is cut, unless there are so few that each has more room.
const LABEL_WIDTH_MAX: f64 = 240.0;
/// With more faults than this, edges of bands would hide the data: the shading alone is left.
const EDGED_BANDS_MAX: usize = 8;

impl Figure {
    pub(crate) fn layout(&self) -> Layout {
        let (left, right) = (MARGIN_LEFT, WIDTH - MARGIN_RIGHT);
        let places: Vec<f64> =
            self.markers.iter().map(|marker| left + self.time.position(marker.from_ns, right - left)).collect();
        let texts: Vec<&str> = self.markers.iter().map(|marker| marker.label.as_str()).collect();
        let label_rows = place_above(&places, &texts, left, right);
        let mut y = TITLE_BLOCK + block_height(&label_rows);
        let mut panels = Vec::new();
        for (index, panel) in self.panels.iter().enumerate() {
            let places: Vec<f64> =
                panel.marks.iter().map(|mark| left + self.time.position(mark.at_ns, right - left)).collect();
            let texts: Vec<&str> = panel.marks.iter().map(|mark| mark.label.as_str()).collect();
            let mark_rows = place_above(&places, &texts, left, right);
            let top = y + block_height(&mark_rows);
            let bottom = top + PANEL_HEIGHT;
            let labels = |panel: &Panel| panel.tracks.iter().map(|track| track.label.clone()).collect::<Vec<_>>();
            let told_below = self.panels.get(index + 1).is_some_and(|next| labels(next) == labels(panel));
            let legend = if told_below { vec![] } else { place_legend(&panel.tracks, left, right) };
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
        let room = layout.right - layout.left;
        let title = fitted(&self.title, room, TITLE_SIZE, true);
        canvas.text(&title, (layout.left, 24.0), look(TITLE_SIZE, INK, Align::Start, true))?;
        let mut subtitle = self.subtitle.clone();
        if layout.label_rows.len() < self.markers.len() {
            subtitle += &format!(" · {} faults, {} of them labelled", self.markers.len(), layout.label_rows.len());
        }
        let subtitle = fitted(&subtitle, room, TICK_SIZE, false);
        canvas.text(&subtitle, (layout.left, 41.0), look(TICK_SIZE, INK_SOFT, Align::Start, false))?;
        for (index, (panel, place)) in self.panels.iter().zip(&layout.panels).enumerate() {
            self.draw_panel(panel, place, layout, index + 1 == self.panels.len(), canvas)?;
        }
        for label in &layout.label_rows {
            let at = (label.x, TITLE_BLOCK + label.y);
            canvas.text(&label.text, at, look(TICK_SIZE, VERMILLION, Align::Start, false))?;
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
            let middle = ((area.left + area.right) / 2.0, (place.top + place.bottom) / 2.0);
            canvas.text("no data", middle, look(LABEL_SIZE, INK_SOFT, Align::Middle, false))?;
        }
        if last {
            let label = format!("{} ({})", self.time_label, self.time.unit);
            let at = ((area.left + area.right) / 2.0, place.bottom + 36.0);
            canvas.text(&label, at, look(LABEL_SIZE, INK_SOFT, Align::Middle, false))?;
        }
        let legend_top = place.bottom + if last { AXIS_BLOCK } else { 24.0 };
        for entry in &place.legend {
            draw_legend_entry(panel, entry, legend_top, canvas)?;
        }
        Ok(())
    }
}

impl Panel {
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
            canvas.text(&tick.label, at, look(TICK_SIZE, INK_SOFT, Align::End, false))?;
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
        for track in &self.panel.tracks {
            canvas.line(&self.path(&track.points), track.width, track.colour.with_alpha(1.0))?;
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
            canvas.text(&label.text, at, look(TICK_SIZE, INK_SOFT, Align::Start, false))?;
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
            canvas.text(&tick.label, (x, bottom + 17.0), look(TICK_SIZE, INK_SOFT, Align::Middle, false))?;
        }
        let label = fitted(&self.panel.value_label, bottom - top, LABEL_SIZE, false);
        let mut upright = look(LABEL_SIZE, INK_SOFT, Align::Middle, false);
        upright.upright = true;
        let widest = self.axis.ticks.iter().map(|tick| text_width(&tick.label, TICK_SIZE, false)).fold(0.0, f64::max);
        canvas.text(&label, ((self.left - widest - 22.0).max(LABEL_SIZE), (top + bottom) / 2.0), upright)
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

fn look(size: f64, colour: Colour, align: Align, bold: bool) -> Type {
    Type { size, bold, colour, align, upright: false }
}

fn draw_legend_entry<B: DrawingBackend>(
    panel: &Panel,
    entry: &PlacedLabel,
    top: f64,
    canvas: &mut Canvas<'_, B>,
) -> Result<(), CanvasError<B>> {
    let baseline = top + entry.y;
    let track = &panel.tracks[entry.index];
    let colour = track.colour.with_alpha(1.0);
    let (from, middle) = (entry.x - SWATCH - 6.0, baseline - LABEL_SIZE * 0.36);
    match panel.kind {
        PanelKind::Stack => {
            canvas.rectangle((from, middle - SWATCH / 2.0), (from + SWATCH, middle + SWATCH / 2.0), colour)?;
        }
        PanelKind::Lines => {
            canvas.line(&[(from - 4.0, middle), (from + SWATCH, middle)], track.width.max(2.0), colour)?
        }
    }
    canvas.text(&entry.text, (entry.x, baseline), look(LABEL_SIZE, INK, Align::Start, false))
}

/// Puts texts into rows above a panel, each beside its place, so that none covers another. What finds no room in
/// [`LABEL_ROWS_MAX`] rows is left out: its band is drawn all the same.
fn place_above(places: &[f64], texts: &[&str], left: f64, right: f64) -> Vec<PlacedLabel> {
    let mut row_ends: Vec<f64> = Vec::new();
    let mut placed = Vec::new();
    let widest = LABEL_WIDTH_MAX.max((right - left) / texts.len().max(1) as f64 - 10.0);
    for (index, (&x, text)) in places.iter().zip(texts).enumerate() {
        let text = fitted(text, widest, TICK_SIZE, false);
        let width = text_width(&text, TICK_SIZE, false);
        let x = x.min(right - width).max(left);
        let row = row_ends.iter().position(|&end| end + 10.0 <= x).unwrap_or(row_ends.len());
        if row == LABEL_ROWS_MAX {
            continue;
        }
        if row == row_ends.len() {
            row_ends.push(0.0);
        }
        row_ends[row] = x + width;
        placed.push(PlacedLabel { index, text, x, y: ROW * (row + 1) as f64 - 5.0 });
    }
    placed
}

fn block_height(rows: &[PlacedLabel]) -> f64 {
    rows.iter().map(|label| label.y + 5.0).fold(0.0, f64::max)
}

/// Legend entries from left to right, in as many rows as they need.
fn place_legend(tracks: &[Track], left: f64, right: f64) -> Vec<PlacedLabel> {
    let mut placed = Vec::new();
    let (mut x, mut y) = (left, LEGEND_ROW - 4.0);
    let widest = LABEL_WIDTH_MAX.max((right - left) / tracks.len().max(1) as f64 - 50.0);
    for (index, track) in tracks.iter().enumerate() {
        let text = fitted(&track.label, widest, LABEL_SIZE, false);
        let width = SWATCH + 10.0 + text_width(&text, LABEL_SIZE, false);
        if x > left && x + width > right {
            (x, y) = (left, y + LEGEND_ROW);
        }
        placed.push(PlacedLabel { index, text, x: x + SWATCH + 10.0, y });
        x += width + 22.0;
    }
    placed
}
