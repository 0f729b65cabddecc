//! Named distributions of time, sampled from draws.
//!
//! Floating point stays in this file; logarithm and exponential come from `libm`, so every machine agrees.

use serde::{Deserialize, Serialize};
use wavetank_core::time::Span;

/// A distribution of spans of time.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Delay {
    /// Always the same.
    Constant(Span),
    /// Each span from `min` up to, but not including, `max` is as likely.
    Uniform {
        /// The least.
        min: Span,
        /// The bound.
        max: Span,
    },
    /// Memoryless, with this mean.
    Exponential {
        /// The mean.
        mean: Span,
    },
    /// Bell-shaped; negative values count as zero.
    Normal {
        /// The mean.
        mean: Span,
        /// The standard deviation.
        standard_deviation: Span,
    },
    /// Skewed to the right: the logarithm is bell-shaped around the median's, with `sigma_milli` thousandths as its
    /// standard deviation.
    LogNormal {
        /// Half of the values are below.
        median: Span,
        /// Thousandths of the logarithm's standard deviation.
        sigma_milli: u32,
    },
}

impl Default for Delay {
    fn default() -> Self {
        Delay::Constant(Span::ZERO)
    }
}

impl Delay {
    /// The span that a 64-bit draw selects; longer than about 290 years counts as that.
    pub fn sample(&self, draw: u64) -> Span {
        match self {
            Delay::Constant(span) => *span,
            Delay::Uniform { min, max } => {
                let width = max.0.saturating_sub(min.0);
                Span(min.0 + ((u128::from(draw) * u128::from(width)) >> 64) as u64)
            }
            Delay::Exponential { mean } => from_float(-libm::log(unit(draw)) * mean.0 as f64),
            Delay::Normal { mean, standard_deviation } => {
                from_float(mean.0 as f64 + standard_deviation.0 as f64 * normal(draw))
            }
            Delay::LogNormal { median, sigma_milli } => {
                from_float(median.0 as f64 * libm::exp(f64::from(*sigma_milli) / 1_000.0 * normal(draw)))
            }
        }
    }

    /// No sample is longer than this: the value of the most extreme draw, rounded up.
    pub fn longest(&self) -> Span {
        let bound = match self {
            Delay::Constant(span) => *span,
            Delay::Uniform { min, max } => *(min.max(max)),
            Delay::Exponential { mean } => from_float(-libm::log(unit(0)) * mean.0 as f64),
            Delay::Normal { mean, standard_deviation } => {
                from_float(mean.0 as f64 + standard_deviation.0 as f64 * NORMAL_MAX)
            }
            Delay::LogNormal { median, sigma_milli } => {
                from_float(median.0 as f64 * libm::exp(f64::from(*sigma_milli) / 1_000.0 * NORMAL_MAX))
            }
        };
        Span(bound.0.saturating_add(1))
    }

    /// Whether every sample is zero.
    pub fn is_zero(&self) -> bool {
        *self == Delay::Constant(Span::ZERO)
    }
}

/// No value of [`normal`] is greater: its radius comes from 32 bits, and sqrt(2 · 32 · ln 2) = 6.66.
const NORMAL_MAX: f64 = 6.67;

/// A draw as a number in (0, 1].
fn unit(draw: u64) -> f64 {
    ((draw >> 11) + 1) as f64 / (1u64 << 53) as f64
}

/// One standard normal value of a draw (Box–Muller over its two halves).
fn normal(draw: u64) -> f64 {
    let radius = ((draw >> 32) + 1) as f64 / (1u64 << 32) as f64;
    let angle = (draw & 0xffff_ffff) as f64 / (1u64 << 32) as f64;
    libm::sqrt(-2.0 * libm::log(radius)) * libm::cos(2.0 * core::f64::consts::PI * angle)
}

fn from_float(nanos: f64) -> Span {
    Span(nanos.clamp(0.0, 9.2e18) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_core::draw::{Purpose, draw};

    fn mean_of(delay: &Delay) -> u64 {
        (0..20_000).map(|k| delay.sample(draw(1, Purpose::LinkDelay, 0, k)).0).sum::<u64>() / 20_000
    }

    #[test]
    fn no_draw_is_longer_than_the_longest() {
        let ms = Span::from_millis;
        for delay in [
            Delay::Constant(ms(5)),
            Delay::Uniform { min: ms(2), max: ms(8) },
            Delay::Exponential { mean: ms(5) },
            Delay::Normal { mean: ms(50), standard_deviation: ms(5) },
            Delay::LogNormal { median: ms(5), sigma_milli: 500 },
        ] {
            let extremes = [0, 1, u64::MAX, u64::MAX >> 32, u64::MAX << 32, 0x7fff_ffff, 0x8000_0000];
            let draws = (0..10_000).map(|k| draw(1, Purpose::LinkDelay, 0, k)).chain(extremes);
            let longest = draws.map(|draw| delay.sample(draw)).max();
            assert!(longest <= Some(delay.longest()), "{delay:?}: {longest:?}");
        }
    }

    #[test]
    fn distributions_have_the_means_that_they_are_named_by() {
        let ms = Span::from_millis;
        let close = |delay: Delay, wanted: Span| {
            let mean = mean_of(&delay);
            assert!(mean.abs_diff(wanted.0) < wanted.0 / 50, "{delay:?} has mean {mean}");
        };
        close(Delay::Constant(ms(5)), ms(5));
        close(Delay::Uniform { min: ms(2), max: ms(8) }, ms(5));
        close(Delay::Exponential { mean: ms(5) }, ms(5));
        close(Delay::Normal { mean: ms(50), standard_deviation: ms(5) }, ms(50));
        let median = Delay::LogNormal { median: ms(5), sigma_milli: 500 };
        let below = (0..20_000).filter(|k| median.sample(draw(1, Purpose::LinkDelay, 0, *k)) < ms(5)).count();
        assert!((9_700..10_300).contains(&below), "{below} of 20000 are below the median");
    }
}
