//! Plots: figures as SVG and PNG.
//!
//! `bands` draws curves over several runs and `dots` rows of means, both on the axes of `value_axis`; `theme` (looks),
//! `canvas` (drawing and text), `labels` (what is written around a plot), `axis` (ticks), `steps` (step functions),
//! `overlap` (lines that lie on one another) and `cdf` know nothing of records; `figure` puts them together. `figures`
//! says which figures a record gives. Absent on purpose: any layout that depends on the machine's fonts.

mod axis;
pub mod bands;
mod canvas;
mod cdf;
pub mod dots;
mod figure;
mod figures;
mod labels;
mod overlap;
mod steps;
pub(crate) mod theme;
mod value_axis;

use plotters_backend::DrawingBackend;
use plotters_bitmap::BitMapBackend;
use plotters_svg::SVGBackend;

use self::bands::BandFigure;
use self::canvas::Canvas;
use self::dots::DotFigure;
pub(crate) use self::figure::Figure;
pub(crate) use self::figures::figures;

/// Backend pixels per logical pixel in a PNG: sharp on a dense screen and in print.
const PNG_SCALE: u32 = 2;
/// Coordinates per logical pixel in an SVG, which the backend writes as integers.
const SVG_SCALE: u32 = 4;
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
