//! How the plots look: sizes, inks and the colour-blind-safe palette of Okabe and Ito.
//!
//! The neutral inks are also named by `html/style.css`, which swaps them in dark mode; a test holds the two together.

use plotters_backend::BackendColor;

/// A colour without transparency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Colour(pub(crate) u8, pub(crate) u8, pub(crate) u8);

impl Colour {
    /// The colour for a backend, `alpha` from 0 (clear) to 1 (opaque).
    pub(crate) fn with_alpha(self, alpha: f64) -> BackendColor {
        BackendColor { alpha, rgb: (self.0, self.1, self.2) }
    }

    /// `#RRGGBB`, as the SVG backend writes it.
    #[cfg(test)]
    pub(crate) fn hex(self) -> String {
        format!("#{:02X}{:02X}{:02X}", self.0, self.1, self.2)
    }
}

/// Behind everything.
pub(crate) const PAPER: Colour = Colour(0xFF, 0xFF, 0xFF);
/// Titles.
pub(crate) const INK: Colour = Colour(0x1F, 0x29, 0x33);
/// Axis labels, ticks, legends.
pub(crate) const INK_SOFT: Colour = Colour(0x52, 0x60, 0x6D);
/// Axis lines.
pub(crate) const AXIS: Colour = Colour(0x9A, 0xA5, 0xB1);
/// Grid lines.
pub(crate) const GRID: Colour = Colour(0xE4, 0xE7, 0xEB);

/// Okabe and Ito's colours, in an order in which neighbours differ in lightness too.
pub(crate) const BLUE: Colour = Colour(0x00, 0x72, 0xB2);
pub(crate) const ORANGE: Colour = Colour(0xE6, 0x9F, 0x00);
pub(crate) const GREEN: Colour = Colour(0x00, 0x9E, 0x73);
pub(crate) const PURPLE: Colour = Colour(0xCC, 0x79, 0xA7);
pub(crate) const SKY: Colour = Colour(0x56, 0xB4, 0xE9);
pub(crate) const VERMILLION: Colour = Colour(0xD5, 0x5E, 0x00);
pub(crate) const YELLOW: Colour = Colour(0xF0, 0xE4, 0x42);
/// Not of their palette: for what is on its way out.
pub(crate) const GREY: Colour = Colour(0x8A, 0x94, 0xA0);

const CYCLE: [Colour; 8] = [BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION, YELLOW, GREY];

/// The colour of the `index`th of several like lines; repeats after eight.
pub(crate) fn cycle(index: usize) -> Colour {
    CYCLE[index % CYCLE.len()]
}

/// The font's name, followed by families of like widths for viewers that lack it.
pub(crate) const FONT_FAMILY: &str = "DejaVu Sans, Verdana, Bitstream Vera Sans, Helvetica, Arial, sans-serif";

/// Font sizes in logical pixels per em.
pub(crate) const TITLE_SIZE: f64 = 15.0;
pub(crate) const LABEL_SIZE: f64 = 12.0;
pub(crate) const TICK_SIZE: f64 = 11.0;

/// Width of every figure, in logical pixels.
pub(crate) const WIDTH: f64 = 920.0;
/// Height of a panel's plotting area, in logical pixels.
pub(crate) const PANEL_HEIGHT: f64 = 220.0;
/// Room left of the plotting area, for the tick labels and the axis label.
pub(crate) const MARGIN_LEFT: f64 = 76.0;
/// Room right of it, for half a tick label.
pub(crate) const MARGIN_RIGHT: f64 = 28.0;
