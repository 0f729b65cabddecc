//! Curves with bands: a mean over several runs and its confidence interval, over a number such as a demand.
//!
//! Axes may begin above zero, so that curves that differ at one end can be seen to. The legend has its own rows.

use plotters_backend::DrawingBackend;

use super::canvas::{Align, Canvas, CanvasError, Point, Type};
use super::labels::{
    PlacedLabel, SWATCH, TITLE_BLOCK, block_height, heading, no_data, place_legend, swatch_of, value_label,
};
use super::overlap::shared_pieces;
use super::theme::{AXIS, GRID, INK, INK_SOFT, LABEL_SIZE, MARGIN_LEFT, MARGIN_RIGHT, PAPER, TICK_SIZE, WIDTH, cycle};
use super::value_axis::Axis;
pub use super::value_axis::Scale;

/// One picture: panels side by side that share their legend.
#[derive(Clone, Debug)]
pub struct BandFigure {
    /// The stem of its files.
    pub stem: String,
    /// What it is, in a few words.
    pub title: String,
    /// The smaller line below the title.
    pub subtitle: String,
    /// What the horizontal axes are, with their unit.
    pub x_label: String,
    /// What the vertical axes are, with their unit.
    pub y_label: String,
    /// The curves, in the order of the legend.
    pub curves: Vec<Curve>,
    /// The stretch of the horizontal axis that each panel shows, both ends included.
    pub panels: Vec<(f64, f64)>,
    /// How both axes are divided.
    pub scale: Scale,
}

/// One curve.
#[derive(Clone, Debug)]
pub struct Curve {
    /// What the legend says.
    pub label: String,
    /// Its points, from left to right.
    pub points: Vec<BandPoint>,
}

/// A mean and its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BandPoint {
    /// Where.
    pub x: f64,
    /// The mean.
    pub mean: f64,
    /// Half of the interval's width; 0 draws no band.
    pub half_width: f64,
}

const PLOT_HEIGHT: f64 = 330.0;
const AXIS_BLOCK: f64 = 46.0;
/// Between two panels: room for tick labels.
const GAP: f64 = 58.0;
const FOOT: f64 = 10.0;
const BAND_ALPHA: f64 = 0.20;
const LINE: f64 = 1.75;
/// A curve of no more points has a dot at each: between them nothing is known.
const DOTTED_MAX: usize = 24;
const DOT: f64 = 3.0;

/// What of a point the axis must show.
pub(super) fn ends(point: &BandPoint) -> (f64, f64) {
    (point.mean - point.half_width, point.mean + point.half_width)
}

impl BandFigure {
    fn legend(&self) -> Vec<PlacedLabel> {
        let labels = self.curves.iter().map(|curve| curve.label.as_str());
        place_legend(labels, (MARGIN_LEFT, WIDTH - MARGIN_RIGHT))
    }

    /// Width and height in logical pixels.
    pub(crate) fn size(&self) -> (f64, f64) {
        let legend = block_height(&self.legend());
        (WIDTH, (TITLE_BLOCK + PLOT_HEIGHT + AXIS_BLOCK + legend + FOOT).ceil())
    }

    pub(crate) fn draw<B: DrawingBackend>(&self, canvas: &mut Canvas<'_, B>) -> Result<(), CanvasError<B>> {
        let (width, height) = self.size();
        canvas.rectangle((0.0, 0.0), (width, height), PAPER.with_alpha(1.0))?;
        let (left, right) = (MARGIN_LEFT, WIDTH - MARGIN_RIGHT);
        heading(canvas, &self.title, &self.subtitle, (left, right))?;
        let count = self.panels.len() as f64;
        let each = (right - left - GAP * (count - 1.0)) / count;
        for (index, stretch) in self.panels.iter().enumerate() {
            let from = left + index as f64 * (each + GAP);
            self.panel(*stretch, from, from + each, index == 0, canvas)?;
        }
        let label_at = ((left + right) / 2.0, TITLE_BLOCK + PLOT_HEIGHT + 37.0);
        canvas.text(&self.x_label, label_at, Type::plain(LABEL_SIZE, INK_SOFT, Align::Middle))?;
        let top = TITLE_BLOCK + PLOT_HEIGHT + AXIS_BLOCK;
        for entry in self.legend() {
            let (curve, colour) = (&self.curves[entry.index], cycle(entry.index));
            let (from, middle) = swatch_of(&entry, top);
            if curve.points.iter().any(|point| point.half_width > 0.0) {
                canvas.rectangle((from, middle - 6.0), (from + SWATCH, middle + 6.0), colour.with_alpha(BAND_ALPHA))?;
            }
            canvas.line(&[(from, middle), (from + SWATCH, middle)], 2.0, colour.with_alpha(1.0))?;
            canvas.text(&entry.text, (entry.x, top + entry.y), Type::plain(LABEL_SIZE, INK, Align::Start))?;
        }
        Ok(())
    }

    fn panel<B: DrawingBackend>(
        &self,
        (low, high): (f64, f64),
        left: f64,
        right: f64,
        first: bool,
        canvas: &mut Canvas<'_, B>,
    ) -> Result<(), CanvasError<B>> {
        let (top, bottom) = (TITLE_BLOCK, TITLE_BLOCK + PLOT_HEIGHT);
        let shown: Vec<Vec<BandPoint>> = self
            .curves
            .iter()
            .map(|curve| curve.points.iter().copied().filter(|point| (low..=high).contains(&point.x)).collect())
            .collect();
        let (x_axis, y_axis) = match self.scale {
            Scale::Linear => (Axis::exactly(low, high), Axis::around(shown.iter().flatten().map(ends))),
            Scale::Decades => {
                (Axis::decades([low, high]), Axis::decades(shown.iter().flatten().map(|point| point.mean)))
            }
        };
        let area = Area { x_axis, y_axis, left, right, top, bottom };
        area.draw_grid(canvas)?;
        area.draw_bands(&shown, canvas)?;
        area.draw_curves(&shown, canvas)?;
        area.draw_axes(canvas)?;
        if shown.iter().all(Vec::is_empty) {
            no_data(canvas, (left, right), (top, bottom))?;
        }
        if first {
            let ticks = area.y_axis.ticks.iter().map(|(_, label)| label.as_str());
            value_label(canvas, &self.y_label, ticks, left, (top, bottom))?;
        }
        Ok(())
    }
}

/// A panel's plotting area, with its axes.
struct Area {
    x_axis: Axis,
    y_axis: Axis,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl Area {
    fn x(&self, value: f64) -> f64 {
        self.left + self.x_axis.share(value) * (self.right - self.left)
    }

    fn y(&self, value: f64) -> f64 {
        self.bottom - self.y_axis.share(value) * (self.bottom - self.top)
    }

    fn draw_grid<B: DrawingBackend>(&self, canvas: &mut Canvas<'_, B>) -> Result<(), CanvasError<B>> {
        for (value, label) in &self.y_axis.ticks {
            let y = self.y(*value);
            canvas.line(&[(self.left, y), (self.right, y)], 1.0, GRID.with_alpha(1.0))?;
            let at = (self.left - 9.0, y + TICK_SIZE * 0.36);
            canvas.text(label, at, Type::plain(TICK_SIZE, INK_SOFT, Align::End))?;
        }
        Ok(())
    }

    fn draw_bands<B: DrawingBackend>(
        &self,
        curves: &[Vec<BandPoint>],
        canvas: &mut Canvas<'_, B>,
    ) -> Result<(), CanvasError<B>> {
        for (points, index) in curves.iter().zip(0..) {
            let above = points.iter().map(|point| (self.x(point.x), self.y(point.mean + point.half_width)));
            let below = points.iter().rev().map(|point| (self.x(point.x), self.y(point.mean - point.half_width)));
            if points.iter().any(|point| point.half_width > 0.0) {
                let edge: Vec<Point> = above.chain(below).collect();
                canvas.polygon(&edge, cycle(index).with_alpha(BAND_ALPHA))?;
            }
        }
        Ok(())
    }

    fn draw_curves<B: DrawingBackend>(
        &self,
        curves: &[Vec<BandPoint>],
        canvas: &mut Canvas<'_, B>,
    ) -> Result<(), CanvasError<B>> {
        let line = |points: &Vec<BandPoint>| points.iter().map(|point| (self.x(point.x), self.y(point.mean))).collect();
        let lines: Vec<Vec<Point>> = curves.iter().map(line).collect();
        for (line, index) in lines.iter().zip(0..) {
            canvas.line(line, LINE, cycle(index).with_alpha(1.0))?;
        }
        for piece in shared_pieces(&lines) {
            canvas.line(&[piece.from, piece.to], LINE, cycle(piece.curve).with_alpha(1.0))?;
        }
        for (line, index) in lines.iter().zip(0..).filter(|(line, _)| line.len() <= DOTTED_MAX) {
            for point in line {
                canvas.disc(*point, DOT, cycle(index).with_alpha(1.0))?;
            }
        }
        Ok(())
    }

    fn draw_axes<B: DrawingBackend>(&self, canvas: &mut Canvas<'_, B>) -> Result<(), CanvasError<B>> {
        let ink = AXIS.with_alpha(1.0);
        canvas.line(&[(self.left, self.top), (self.left, self.bottom)], 1.0, ink)?;
        canvas.line(&[(self.left, self.bottom), (self.right, self.bottom)], 1.0, ink)?;
        for (value, label) in &self.x_axis.ticks {
            let x = self.x(*value);
            canvas.line(&[(x, self.bottom), (x, self.bottom + 4.0)], 1.0, ink)?;
            canvas.text(label, (x, self.bottom + 17.0), Type::plain(TICK_SIZE, INK_SOFT, Align::Middle))?;
        }
        Ok(())
    }
}
