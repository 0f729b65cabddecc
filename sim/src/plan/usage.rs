//! What a container uses of its machine: memory and disk that grow, CPU that follows a course.
//!
//! All of it is a function of the time since the container's start, so nothing is sampled: whoever wants to know
//! computes it. Floating point stays in the wave, whose sine comes from `libm`, so that every machine agrees.

use serde::{Deserialize, Serialize};
use wavetank_core::id::Name;
use wavetank_core::time::Span;

/// What one container uses; nothing by default.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Its working set.
    pub memory: Option<Growth>,
    /// Its writable layer and logs, or what it writes to `disk_volume`.
    pub disk: Option<Growth>,
    /// The `emptyDir` volume that its disk use lies in, if the pod has one of this name.
    #[serde(default)]
    pub disk_volume: Name,
    /// Its CPU.
    pub cpu: Option<CpuUse>,
    /// Its processes.
    pub processes: u32,
}

impl Usage {
    /// Whether anything is used that can run short.
    pub fn is_nothing(&self) -> bool {
        self.memory.is_none() && self.disk.is_none() && self.processes == 0
    }
}

/// An amount in bytes that grows evenly.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Growth {
    /// At the start.
    pub base: u64,
    /// So much more …
    pub grows_by: u64,
    /// … in each of these (> 0).
    pub every: Span,
    /// But never more than this.
    pub up_to: Option<u64>,
    /// How far base and growth of one start may be from these, in percent (0 ..= 100), drawn evenly.
    pub spread_percent: u32,
}

impl Growth {
    /// The growth of one start; the draw decides where in the spread it is.
    pub fn drawn(&self, draw: u64) -> Growth {
        let width = 2 * u128::from(self.spread_percent) * 10_000;
        let parts_per_million = 1_000_000 - width / 2 + ((u128::from(draw) * width) >> 64);
        let scaled = |bytes: u64| (u128::from(bytes) * parts_per_million / 1_000_000) as u64;
        Growth { base: scaled(self.base), grows_by: scaled(self.grows_by), spread_percent: 0, ..self.clone() }
    }

    /// Bytes after so much time, rounded down.
    pub fn at(&self, since_start: Span) -> u64 {
        let grown = u128::from(self.grows_by) * u128::from(since_start.0) / u128::from(self.every.0.max(1));
        let bytes = u64::try_from(u128::from(self.base) + grown).unwrap_or(u64::MAX);
        self.up_to.map_or(bytes, |most| bytes.min(most))
    }

    /// After how much time there are more than so many bytes; `None` is never.
    pub fn exceeds(&self, bytes: u64) -> Option<Span> {
        if self.up_to.is_some_and(|most| most <= bytes) {
            return None;
        }
        let missing = u128::from(bytes) + 1;
        let Some(missing) = missing.checked_sub(u128::from(self.base)) else { return Some(Span::ZERO) };
        if missing > 0 && self.grows_by == 0 {
            return None;
        }
        let nanos = (missing * u128::from(self.every.0.max(1))).div_ceil(u128::from(self.grows_by.max(1)));
        u64::try_from(nanos).ok().map(Span)
    }
}

/// The course of a container's CPU use, in thousandths of a core.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum CpuUse {
    /// From each time on, so much; nothing before the first.
    Steps {
        /// (Since the start, thousandths of a core), by time.
        steps: Vec<(Span, u64)>,
        /// After this the steps begin again; `None` keeps to the last one.
        repeat: Option<Span>,
    },
    /// A sine wave around a mean, never below zero.
    Wave {
        /// The middle.
        mean_milli: u64,
        /// How far from the middle it gets.
        amplitude_milli: u64,
        /// From one peak to the next (> 0).
        period: Span,
        /// When the first peak is, since the start.
        peak_at: Span,
    },
}

impl CpuUse {
    /// CPU use after so much time, in thousandths of a core, rounded down.
    pub fn at(&self, since_start: Span) -> u64 {
        match self {
            CpuUse::Steps { steps, repeat } => {
                let at = repeat.map_or(since_start.0, |repeat| since_start.0 % repeat.0.max(1));
                steps.iter().rev().find(|(from, _)| from.0 <= at).map_or(0, |(_, milli)| *milli)
            }
            CpuUse::Wave { mean_milli, amplitude_milli, period, peak_at } => {
                let turn = (since_start.0 as f64 - peak_at.0 as f64) / period.0.max(1) as f64;
                let wave = libm::cos(2.0 * core::f64::consts::PI * turn);
                (*mean_milli as f64 + *amplitude_milli as f64 * wave).max(0.0) as u64
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn growth() -> Growth {
        Growth { base: 100, grows_by: 10, every: Span::from_secs(60), up_to: Some(200), spread_percent: 0 }
    }

    #[test]
    fn memory_grows_evenly_up_to_its_bound() {
        let at = |seconds| growth().at(Span::from_secs(seconds));
        assert_eq!([at(0), at(60), at(90), at(600), at(6_000)], [100, 110, 115, 200, 200]);
    }

    #[test]
    fn the_time_at_which_a_limit_is_exceeded_is_exact() {
        let limit = growth().exceeds(150).unwrap();
        assert_eq!(growth().at(limit), 151);
        assert_eq!(growth().at(Span(limit.0 - 1)), 150);
        assert_eq!(growth().exceeds(99), Some(Span::ZERO));
        assert_eq!(growth().exceeds(200), None, "it never gets there");
        assert_eq!(Growth { grows_by: 0, ..growth() }.exceeds(100), None);
    }

    #[test]
    fn a_spread_is_even_around_the_middle() {
        let spread = Growth { base: 1_000_000, spread_percent: 20, ..growth() };
        assert_eq!(spread.drawn(0).base, 800_000);
        assert_eq!(spread.drawn(u64::MAX).base, 1_199_999);
        assert_eq!(spread.drawn(1 << 63).base, 1_000_000);
    }

    #[test]
    fn cpu_follows_steps_that_repeat_and_waves() {
        let seconds = Span::from_secs;
        let steps = CpuUse::Steps { steps: vec![(seconds(10), 100), (seconds(20), 500)], repeat: Some(seconds(30)) };
        let at: Vec<u64> = [0, 10, 19, 20, 29, 30, 40].map(|second| steps.at(seconds(second))).to_vec();
        assert_eq!(at, [0, 100, 100, 500, 500, 0, 100]);
        let wave = CpuUse::Wave { mean_milli: 300, amplitude_milli: 400, period: seconds(60), peak_at: seconds(15) };
        assert_eq!([wave.at(seconds(15)), wave.at(seconds(45)), wave.at(seconds(75))], [700, 0, 700]);
    }
}
