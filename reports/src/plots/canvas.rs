//! A drawing surface in logical pixels, on top of the plotters backends.
//!
//! The backends take whole pixels. A canvas multiplies by its scale first, so that a bitmap has more pixels and an SVG
//! finer coordinates, from one drawing routine. Text is set with the bundled DejaVu Sans: no font is looked up on the
//! machine, so a bitmap has the same bytes everywhere.

use std::convert::Infallible;
use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, PxScale, ScaleFont, point};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind, FontFamily,
    FontStyle, FontTransform, text_anchor,
};

use super::theme::{Colour, FONT_FAMILY};

/// A backend with a scale.
pub(crate) struct Canvas<'a, B: DrawingBackend> {
    backend: &'a mut B,
    /// Backend pixels per logical pixel.
    scale: f64,
    /// Whether level and plumb lines are drawn as rectangles. The bitmap backend's strokes lose a pixel at some
    /// corners.
    strokes_as_rectangles: bool,
}

/// What a canvas can fail with.
pub(crate) type CanvasError<B> = DrawingErrorKind<<B as DrawingBackend>::ErrorType>;

/// A point in logical pixels, from the upper left corner.
pub(crate) type Point = (f64, f64);

/// Where a text's anchor point is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Start,
    Middle,
    End,
}

/// How a text looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Type {
    /// Logical pixels per em.
    pub(crate) size: f64,
    pub(crate) bold: bool,
    pub(crate) colour: Colour,
    pub(crate) align: Align,
    /// Turned a quarter to the left, to be read from below.
    pub(crate) upright: bool,
}

impl Type {
    /// Level and not bold.
    pub(crate) fn plain(size: f64, colour: Colour, align: Align) -> Type {
        Type { size, bold: false, colour, align, upright: false }
    }
}

impl<'a, B: DrawingBackend> Canvas<'a, B> {
    /// A canvas whose backend turns coordinates into paths, such as SVG.
    pub(crate) fn of_paths(backend: &'a mut B, scale: f64) -> Self {
        assert!(scale >= 1.0, "a canvas of scale {scale}");
        Canvas { backend, scale, strokes_as_rectangles: false }
    }

    /// A canvas whose backend turns coordinates into pixels.
    pub(crate) fn of_pixels(backend: &'a mut B, scale: f64) -> Self {
        Canvas { strokes_as_rectangles: true, ..Canvas::of_paths(backend, scale) }
    }

    /// Fills the rectangle between two corners.
    pub(crate) fn rectangle(&mut self, from: Point, to: Point, fill: BackendColor) -> Result<(), CanvasError<B>> {
        let (from, to) = (self.pixel(from), self.pixel(to));
        self.backend.draw_rect((from.0.min(to.0), from.1.min(to.1)), (from.0.max(to.0), from.1.max(to.1)), &fill, true)
    }

    /// Fills the polygon; fewer than three points draw nothing.
    pub(crate) fn polygon(&mut self, points: &[Point], fill: BackendColor) -> Result<(), CanvasError<B>> {
        if points.len() < 3 {
            return Ok(());
        }
        let points: Vec<_> = points.iter().map(|&point| self.pixel(point)).collect();
        self.backend.fill_polygon(points, &fill)
    }

    /// Fills a disc, as a polygon of sixteen corners.
    pub(crate) fn disc(&mut self, (x, y): Point, radius: f64, fill: BackendColor) -> Result<(), CanvasError<B>> {
        let corner = |index: u32| {
            let (sine, cosine) = (std::f64::consts::TAU * f64::from(index) / 16.0).sin_cos();
            (x + radius * cosine, y + radius * sine)
        };
        self.polygon(&(0..16).map(corner).collect::<Vec<_>>(), fill)
    }

    /// Draws a line through the points, `width` logical pixels wide; fewer than two points draw nothing.
    pub(crate) fn line(&mut self, points: &[Point], width: f64, colour: BackendColor) -> Result<(), CanvasError<B>> {
        let mut pixels: Vec<BackendCoord> = points.iter().map(|&point| self.pixel(point)).collect();
        // Two equal points in a row have no direction, which the bitmap backend divides by.
        pixels.dedup();
        if pixels.len() < 2 {
            return Ok(());
        }
        let level_or_plumb = |pair: &[BackendCoord]| pair[0].0 == pair[1].0 || pair[0].1 == pair[1].1;
        if self.strokes_as_rectangles && pixels.windows(2).all(level_or_plumb) {
            return self.stroke_rectangles(&pixels, width, colour);
        }
        let stroke = Stroke { colour, width: (width * self.scale).round().max(1.0) as u32 };
        self.backend.draw_path(pixels, &stroke)
    }

    /// One rectangle per segment, longer by half the width at both ends, so that corners are filled.
    fn stroke_rectangles(
        &mut self,
        pixels: &[BackendCoord],
        width: f64,
        colour: BackendColor,
    ) -> Result<(), CanvasError<B>> {
        let width = (width * self.scale).round().max(1.0) as i32;
        let (before, after) = (width / 2, width - width / 2);
        let last = pixels.len() - 2;
        for (index, pair) in pixels.windows(2).enumerate() {
            let (low, high) = (pair[0].min(pair[1]), pair[0].max(pair[1]));
            let (mut from, mut to) = ((low.0 - before, low.1 - before), (high.0 + after, high.1 + after));
            // The two free ends are cut where the line ends.
            let plumb = pair[0].0 == pair[1].0;
            for (end, free) in [(pair[0], index == 0), (pair[1], index == last)] {
                match (free, plumb) {
                    (false, _) => {}
                    (true, true) => (from.1, to.1) = if end == low { (low.1, to.1) } else { (from.1, high.1) },
                    (true, false) => (from.0, to.0) = if end == low { (low.0, to.0) } else { (from.0, high.0) },
                }
            }
            // The bitmap backend leaves out the far row and column of a filled rectangle.
            self.backend.draw_rect(from, to, &colour, true)?;
        }
        Ok(())
    }

    /// A level or plumb line of dashes.
    pub(crate) fn dashes(
        &mut self,
        from: Point,
        to: Point,
        width: f64,
        colour: BackendColor,
    ) -> Result<(), CanvasError<B>> {
        const DASH: f64 = 4.0;
        const GAP: f64 = 3.0;
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length = dx.abs().max(dy.abs());
        let mut along = 0.0;
        while along < length {
            let end = (along + DASH).min(length);
            let at = |way: f64| (from.0 + dx * way / length, from.1 + dy * way / length);
            self.line(&[at(along), at(end)], width, colour)?;
            along += DASH + GAP;
        }
        Ok(())
    }

    /// Sets one line of text on the baseline through `at`.
    pub(crate) fn text(&mut self, text: &str, at: Point, look: Type) -> Result<(), CanvasError<B>> {
        let style = TextStyle { em: look.size * self.scale, look };
        // Backends hang text by the middle of its small letters; half of DejaVu's x-height below that is the baseline.
        let middle = look.size * X_HEIGHT_HALF;
        let at = if look.upright { (at.0 - middle, at.1) } else { (at.0, at.1 - middle) };
        let pixel = self.pixel(at);
        self.backend.draw_text(&printable(text), &style, pixel)
    }

    fn pixel(&self, point: Point) -> BackendCoord {
        ((point.0 * self.scale).round() as i32, (point.1 * self.scale).round() as i32)
    }
}

/// Width of a text in logical pixels when set at `size` logical pixels per em.
pub(crate) fn text_width(text: &str, size: f64, bold: bool) -> f64 {
    let font = font(bold);
    let scaled = font.as_scaled(px_scale(font, size));
    text.chars().map(|letter| f64::from(scaled.h_advance(scaled.glyph_id(letter)))).sum()
}

/// The text, cut with an ellipsis so that it is at most `width` logical pixels wide.
pub(crate) fn fitted(text: &str, width: f64, size: f64, bold: bool) -> String {
    let ellipsis = text_width("…", size, bold);
    let font = font(bold);
    let scaled = font.as_scaled(px_scale(font, size));
    let (mut used, mut kept) = (0.0, 0);
    for (start, letter) in text.char_indices() {
        used += f64::from(scaled.h_advance(scaled.glyph_id(letter)));
        if used > width {
            return format!("{}…", text[..kept].trim_end());
        }
        if used + ellipsis <= width {
            kept = start + letter.len_utf8();
        }
    }
    text.to_owned()
}

/// Half of DejaVu Sans' x-height, in em.
const X_HEIGHT_HALF: f64 = 0.273;

/// Plotters' text size is 1.24 times the em that its SVG backend writes.
const PLOTTERS_SIZE_PER_EM: f64 = 1.24;

/// XML has no way to write most control characters.
fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

fn font(bold: bool) -> &'static FontRef<'static> {
    static REGULAR: LazyLock<FontRef<'static>> = LazyLock::new(|| bundled(dejavu::sans::regular()));
    static BOLD: LazyLock<FontRef<'static>> = LazyLock::new(|| bundled(dejavu::sans::bold()));
    if bold { &BOLD } else { &REGULAR }
}

fn bundled(bytes: &'static [u8]) -> FontRef<'static> {
    FontRef::try_from_slice(bytes).expect("the bundled font is a font")
}

/// ab_glyph scales by the font's height, a type designer by its em.
fn px_scale(font: &FontRef<'static>, em: f64) -> PxScale {
    let units_per_em = font.units_per_em().expect("the bundled font has units per em");
    PxScale::from(em as f32 * font.height_unscaled() / units_per_em)
}

struct Stroke {
    colour: BackendColor,
    width: u32,
}

impl BackendStyle for Stroke {
    fn color(&self) -> BackendColor {
        self.colour
    }

    fn stroke_width(&self) -> u32 {
        self.width
    }
}

/// Text as the backends want it: the SVG backend asks for its attributes, the bitmap backend for its pixels.
struct TextStyle {
    /// Backend pixels per em.
    em: f64,
    look: Type,
}

impl BackendTextStyle for TextStyle {
    type FontError = Infallible;

    fn color(&self) -> BackendColor {
        self.look.colour.with_alpha(1.0)
    }

    fn size(&self) -> f64 {
        self.em * PLOTTERS_SIZE_PER_EM
    }

    fn transform(&self) -> FontTransform {
        if self.look.upright { FontTransform::Rotate270 } else { FontTransform::None }
    }

    fn style(&self) -> FontStyle {
        if self.look.bold { FontStyle::Bold } else { FontStyle::Normal }
    }

    fn anchor(&self) -> text_anchor::Pos {
        let horizontal = match self.look.align {
            Align::Start => text_anchor::HPos::Left,
            Align::Middle => text_anchor::HPos::Center,
            Align::End => text_anchor::HPos::Right,
        };
        text_anchor::Pos::new(horizontal, text_anchor::VPos::Center)
    }

    fn family(&self) -> FontFamily<'_> {
        FontFamily::Name(FONT_FAMILY)
    }

    fn layout_box(&self, text: &str) -> Result<((i32, i32), (i32, i32)), Infallible> {
        let width = text_width(text, self.em, self.look.bold);
        Ok(((0, 0), (width.round() as i32, self.em.round() as i32)))
    }

    fn draw<E, F>(&self, text: &str, at: BackendCoord, mut draw: F) -> Result<Result<(), E>, Infallible>
    where
        F: FnMut(i32, i32, BackendColor) -> Result<(), E>,
    {
        let font = font(self.look.bold);
        let scaled = font.as_scaled(px_scale(font, self.em));
        // The box's middle is the middle of the small letters, as in SVG.
        let baseline = (self.em / 2.0 + self.em * X_HEIGHT_HALF).round() as f32;
        let mut pen = 0.0f32;
        for letter in text.chars() {
            let id = scaled.glyph_id(letter);
            let glyph = id.with_scale_and_position(scaled.scale(), point(pen, baseline));
            pen += scaled.h_advance(id);
            let Some(outline) = font.outline_glyph(glyph) else { continue };
            let corner = outline.px_bounds().min;
            let mut failure = None;
            outline.draw(|x, y, coverage| {
                if coverage > 0.0 && failure.is_none() {
                    let (x, y) = (at.0 + corner.x as i32 + x as i32, at.1 + corner.y as i32 + y as i32);
                    failure = draw(x, y, self.color().mix(f64::from(coverage.min(1.0)))).err();
                }
            });
            if let Some(error) = failure {
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fitted_text_is_never_wider_than_its_room_and_whole_when_it_fits() {
        let whole = "node-2 loses power";
        let room = text_width(whole, 11.0, false);
        assert_eq!(fitted(whole, room, 11.0, false), whole);
        for part in 12..100 {
            let room = room * f64::from(part) / 101.0;
            let cut = fitted(whole, room, 11.0, false);
            assert!(cut.ends_with('…') && text_width(&cut, 11.0, false) <= room, "{cut:?} in {room}");
        }
    }
}
