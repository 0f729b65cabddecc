//! What is written around a plot: the heading, labels above a panel, the legend below it, the names of the axes.
//!
//! No text covers data or another text: each has rows of its own, and what is too long is cut.

use plotters_backend::DrawingBackend;

use super::canvas::{Align, Canvas, CanvasError, Type, fitted, text_width};
use super::theme::{INK, INK_SOFT, LABEL_SIZE, TICK_SIZE, TITLE_SIZE};

/// Height of the heading.
pub(super) const TITLE_BLOCK: f64 = 52.0;
/// Width of a legend's colour, and from one of its rows to the next.
pub(super) const SWATCH: f64 = 14.0;
const LEGEND_ROW: f64 = 19.0;
/// From one row of labels above a panel to the next.
const LABEL_ROW: f64 = 16.0;
/// More rows of labels than this would leave no room for the data.
const LABEL_ROWS_MAX: usize = 3;
/// A longer label is cut, unless there are so few that each has more room.
const LABEL_WIDTH_MAX: f64 = 240.0;
/// Between two labels of a row.
const GAP: f64 = 10.0;

/// A text at its place; `index` says of what.
#[derive(Clone, Debug)]
pub(super) struct PlacedLabel {
    pub(super) index: usize,
    pub(super) text: String,
    /// Where the text begins.
    pub(super) x: f64,
    /// The text's baseline, from the top of its block.
    pub(super) y: f64,
}

/// Title and subtitle at the top of a picture, cut at `right`.
pub(super) fn heading<B: DrawingBackend>(
    canvas: &mut Canvas<'_, B>,
    title: &str,
    subtitle: &str,
    (left, right): (f64, f64),
) -> Result<(), CanvasError<B>> {
    let title = fitted(title, right - left, TITLE_SIZE, true);
    canvas.text(&title, (left, 24.0), Type { bold: true, ..Type::plain(TITLE_SIZE, INK, Align::Start) })?;
    let subtitle = fitted(subtitle, right - left, TICK_SIZE, false);
    canvas.text(&subtitle, (left, 41.0), Type::plain(TICK_SIZE, INK_SOFT, Align::Start))
}

/// What the upright axis at `left` is, beside its ticks.
pub(super) fn value_label<'t, B: DrawingBackend>(
    canvas: &mut Canvas<'_, B>,
    label: &str,
    ticks: impl Iterator<Item = &'t str>,
    left: f64,
    (top, bottom): (f64, f64),
) -> Result<(), CanvasError<B>> {
    let widest = ticks.map(|tick| text_width(tick, TICK_SIZE, false)).fold(0.0, f64::max);
    let label = fitted(label, bottom - top, LABEL_SIZE, false);
    let upright = Type { upright: true, ..Type::plain(LABEL_SIZE, INK_SOFT, Align::Middle) };
    canvas.text(&label, ((left - widest - 22.0).max(LABEL_SIZE), (top + bottom) / 2.0), upright)
}

/// Says in the middle of an empty plot that it is empty.
pub(super) fn no_data<B: DrawingBackend>(
    canvas: &mut Canvas<'_, B>,
    (left, right): (f64, f64),
    (top, bottom): (f64, f64),
) -> Result<(), CanvasError<B>> {
    let middle = ((left + right) / 2.0, (top + bottom) / 2.0);
    canvas.text("no data", middle, Type::plain(LABEL_SIZE, INK_SOFT, Align::Middle))
}

/// Puts texts into rows above a panel, each beside its place, so that none covers another. What finds no room in
/// [`LABEL_ROWS_MAX`] rows is left out: its band is drawn all the same.
pub(super) fn place_above(places: &[f64], texts: &[&str], (left, right): (f64, f64)) -> Vec<PlacedLabel> {
    let mut row_ends: Vec<f64> = Vec::new();
    let mut placed: Vec<PlacedLabel> = Vec::new();
    let widest = LABEL_WIDTH_MAX.max((right - left) / texts.len().max(1) as f64 - GAP);
    for (index, (&x, text)) in places.iter().zip(texts).enumerate() {
        let text = fitted(text, widest, TICK_SIZE, false);
        let width = text_width(&text, TICK_SIZE, false);
        let x = x.min(right - width).max(left);
        let row = row_ends.iter().position(|&end| end + GAP <= x).unwrap_or(row_ends.len());
        if row == LABEL_ROWS_MAX {
            continue;
        }
        if row == row_ends.len() {
            row_ends.push(0.0);
        }
        row_ends[row] = x + width;
        placed.push(PlacedLabel { index, text, x, y: LABEL_ROW * (row + 1) as f64 - 5.0 });
    }
    // What was cut takes the room that its row has left.
    for at in 0..placed.len() {
        let next = placed[at + 1..].iter().find(|label| label.y == placed[at].y);
        let end = next.map_or(right, |label| label.x - GAP);
        placed[at].text = fitted(texts[placed[at].index], end - placed[at].x, TICK_SIZE, false);
    }
    placed
}

/// The height of placed labels.
pub(super) fn block_height(rows: &[PlacedLabel]) -> f64 {
    rows.iter().map(|label| label.y + 5.0).fold(0.0, f64::max)
}

/// Legend entries from left to right, in as many rows as they need; a [`SWATCH`] stands before each text.
pub(super) fn place_legend<'t>(
    labels: impl ExactSizeIterator<Item = &'t str>,
    (left, right): (f64, f64),
) -> Vec<PlacedLabel> {
    let mut placed = Vec::new();
    let (mut x, mut y) = (left, LEGEND_ROW - 4.0);
    let widest = LABEL_WIDTH_MAX.max((right - left) / labels.len().max(1) as f64 - 50.0);
    for (index, label) in labels.enumerate() {
        let text = fitted(label, widest, LABEL_SIZE, false);
        let width = SWATCH + 8.0 + text_width(&text, LABEL_SIZE, false);
        if x > left && x + width > right {
            (x, y) = (left, y + LEGEND_ROW);
        }
        placed.push(PlacedLabel { index, text, x: x + SWATCH + 8.0, y });
        x += width + 22.0;
    }
    placed
}

/// Where the swatch of a legend's entry is: its left end and its middle line, `top` being the legend's upper edge.
pub(super) fn swatch_of(entry: &PlacedLabel, top: f64) -> (f64, f64) {
    (entry.x - SWATCH - 8.0, top + entry.y - LABEL_SIZE * 0.36)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_above_a_panel_never_cover_one_another_and_the_fourth_row_is_left_out() {
        let places = [10.0, 12.0, 14.0, 16.0, 400.0];
        let placed = place_above(&places, &["worker-1 crashes"; 5], (0.0, 800.0));
        let rows: Vec<(usize, f64)> = placed.iter().map(|label| (label.index, label.y)).collect();
        assert_eq!(rows, [(0, 11.0), (1, 27.0), (2, 43.0), (4, 11.0)]);
    }

    #[test]
    fn a_long_label_is_cut_only_where_another_one_stands() {
        let long = "network cut between the control plane and the nodes worker-1, worker-2 and worker-3";
        let alone = place_above(&[10.0, 700.0, 701.0], &[long, "short", "short"], (0.0, 800.0));
        assert_eq!(alone[0].text, long);
        let beside = place_above(&[10.0, 300.0, 700.0], &[long, "short", "short"], (0.0, 800.0));
        assert!(beside[0].text.ends_with('…') && text_width(&beside[0].text, TICK_SIZE, false) <= 280.0, "{beside:?}");
    }

    #[test]
    fn a_legend_begins_a_row_where_the_next_entry_would_leave_the_picture() {
        let long = "a policy with a name that is far too long for any legend to show it whole";
        let placed = place_legend(["short", long, long, long].into_iter(), (100.0, 500.0));
        assert!(placed.iter().all(|entry| entry.x + text_width(&entry.text, LABEL_SIZE, false) <= 500.0), "{placed:?}");
        let rows: Vec<f64> = placed.iter().map(|entry| entry.y).collect();
        assert_eq!(rows, [15.0, 15.0, 34.0, 53.0]);
        assert!(placed[1].text.ends_with('…'), "{placed:?}");
    }
}
