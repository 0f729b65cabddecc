//! The world's clock.

use std::time::{Duration, Instant};

use wavetank_core::time::Time;

/// Time since the start of the run, by the machine's monotonic clock. Copies agree.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that begins with this call.
    pub fn start() -> Clock {
        Clock { start: Instant::now() }
    }

    /// How long ago the run started. Never less than what an earlier call said, whatever thread asks.
    pub fn now(self) -> Time {
        // `Instant` is guarded against regression by the standard library: a step backwards gives zero.
        Time(u64::try_from(self.start.elapsed().as_nanos()).expect("a run is shorter than 584 years"))
    }

    /// How long to wait from now until `at`; zero if that has passed.
    pub fn until(self, at: Time) -> Duration {
        Duration::from_nanos(at.since(self.now()).0)
    }
}
