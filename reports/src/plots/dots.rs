//! Means with their confidence intervals, one row for each combination of settings.

use plotters_backend::DrawingBackend;

use super::canvas::{Align, Canvas, CanvasError, Type, fitted, text_width};
use super::labels::{TITLE_BLOCK, heading};
use super::theme::{AXIS, GRID, INK, INK_SOFT, LABEL_SIZE, MARGIN_RIGHT, PAPER, TICK_SIZE, WIDTH, cycle};
use super::value_axis::Axis;

/// One picture.
#[derive(Clone, Debug)]
pub struct DotFigure {
    /// The stem of its files.
    pub stem: String,
    /// What it is, in a few words.
    pub title: String,
    /// The smaller line below the title.
    pub subtitle: String,
    /// What the horizontal axis is, with its unit.
    pub x_label: String,
    /// The rows, from top to bottom.
    pub rows: Vec<DotRow>,
}

/// One row.
#[derive(Clone, Debug)]
pub struct DotRow {
    /// What stands left of it.
    pub label: String,
    /// Rows of one group have one colour.
    pub group: usize,
    /// The mean.
    pub mean: f64,
    /// Half of the interval's width; 0 draws none.
    pub half_width: f64,
    /// The single values, drawn small.
    pub values: Vec<f64>,
}

const ROW: f64 = 24.0;
const AXIS_BLOCK: f64 = 46.0;
const LEFT: f64 = 18.0;
/// Longer labels are cut.
const LABEL_MAX: f64 = 300.0;
const DOT: f64 = 4.5;
const VALUE_DOT: f64 = 2.0;
const VALUE_RIM: f64 = 3.0;
const CAP: f64 = 5.0;

impl DotFigure {
    /// Width and height in logical pixels.
    pub(crate) fn size(&self) -> (f64, f64) {
        (WIDTH, (TITLE_BLOCK + ROW * self.rows.len().max(1) as f64 + AXIS_BLOCK).ceil())
    }

    pub(crate) fn draw<B: DrawingBackend>(&self, canvas: &mut Canvas<'_, B>) -> Result<(), CanvasError<B>> {
        let (width, height) = self.size();
        canvas.rectangle((0.0, 0.0), (width, height), PAPER.with_alpha(1.0))?;
        let right = WIDTH - MARGIN_RIGHT;
        heading(canvas, &self.title, &self.subtitle, (LEFT, right))?;
        let labels: Vec<String> =
            self.rows.iter().map(|row| fitted(&row.label, LABEL_MAX, LABEL_SIZE, false)).collect();
        let widest = labels.iter().map(|label| text_width(label, LABEL_SIZE, false)).fold(0.0, f64::max);
        let left = LEFT + widest + 14.0;
        let (top, bottom) = (TITLE_BLOCK, TITLE_BLOCK + ROW * self.rows.len().max(1) as f64);
        let axis = Axis::around(self.rows.iter().flat_map(|row| {
            let interval = (row.mean - row.half_width, row.mean + row.half_width);
            row.values.iter().map(|value| (*value, *value)).chain([interval])
        }));
        let x = |value: f64| left + axis.share(value) * (right - left);
        for (value, label) in &axis.ticks {
            canvas.line(&[(x(*value), top), (x(*value), bottom)], 1.0, GRID.with_alpha(1.0))?;
            canvas.text(label, (x(*value), bottom + 17.0), Type::plain(TICK_SIZE, INK_SOFT, Align::Middle))?;
        }
        canvas.line(&[(left, bottom), (right, bottom)], 1.0, AXIS.with_alpha(1.0))?;
        let label_at = ((left + right) / 2.0, bottom + 37.0);
        canvas.text(&self.x_label, label_at, Type::plain(LABEL_SIZE, INK_SOFT, Align::Middle))?;
        for (index, (row, label)) in self.rows.iter().zip(&labels).enumerate() {
            let y = top + ROW * (index as f64 + 0.5);
            let at = (left - 10.0, y + LABEL_SIZE * 0.36);
            canvas.text(label, at, Type::plain(LABEL_SIZE, INK, Align::End))?;
            row.draw(canvas, y, &x)?;
        }
        Ok(())
    }
}

impl DotRow {
    fn draw<B: DrawingBackend>(
        &self,
        canvas: &mut Canvas<'_, B>,
        y: f64,
        x: &impl Fn(f64) -> f64,
    ) -> Result<(), CanvasError<B>> {
        let colour = cycle(self.group);
        if self.half_width > 0.0 {
            let (low, high) = (x(self.mean - self.half_width), x(self.mean + self.half_width));
            let ink = colour.with_alpha(1.0);
            canvas.line(&[(low, y), (high, y)], 2.0, ink)?;
            canvas.line(&[(low, y - CAP), (low, y + CAP)], 1.5, ink)?;
            canvas.line(&[(high, y - CAP), (high, y + CAP)], 1.5, ink)?;
        }
        canvas.disc((x(self.mean), y), DOT, colour.with_alpha(1.0))?;
        // On the interval's line, and on the mean where they are it: a rim keeps them apart from both.
        for value in &self.values {
            canvas.disc((x(*value), y), VALUE_RIM, PAPER.with_alpha(1.0))?;
            canvas.disc((x(*value), y), VALUE_DOT, INK.with_alpha(1.0))?;
        }
        Ok(())
    }
}
