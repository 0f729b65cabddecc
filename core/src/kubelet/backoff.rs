//! Growing waits: for containers that keep ending and for images that cannot be pulled.
//!
//! Source: `Backoff`, staging/src/k8s.io/client-go/util/flowcontrol/backoff.go (v1.34.1). Invariant: a wait is zero
//! (nothing has gone wrong yet) or between the initial and the largest one.

use crate::config::KubeletConfig;
use crate::time::{Span, Time};

/// How long the next wait is, and when that was last decided.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Backoff {
    delay: Span,
    updated: Time,
}

impl Backoff {
    /// When a wait that counts from `event` ends; `None` if there is none, be it for the lack of earlier trouble or
    /// because all has been well for twice the largest wait.
    pub(super) fn until(&self, event: Time, config: &KubeletConfig) -> Option<Time> {
        (self.delay > Span::ZERO && !self.has_expired(event, config)).then(|| event + self.delay)
    }

    /// When the wait ends that began with the last attempt, if it is not over by now.
    ///
    /// Source: `IsInBackOffSinceUpdate` (v1.34.1).
    pub(super) fn until_since_update(&self, now: Time) -> Option<Time> {
        Some(self.updated + self.delay).filter(|until| *until > now)
    }

    /// When the next wait was last decided.
    pub(super) fn updated(&self) -> Time {
        self.updated
    }

    /// The next wait.
    pub(super) fn delay(&self) -> Span {
        self.delay
    }

    /// Takes note of one more attempt after `event`: the next wait is twice as long.
    pub(super) fn grow(&mut self, event: Time, now: Time, config: &KubeletConfig) {
        let fresh = self.delay == Span::ZERO || self.has_expired(event, config);
        self.delay = if fresh { config.backoff_initial } else { (self.delay * 2).min(config.backoff_max) };
        self.updated = now;
    }

    fn has_expired(&self, event: Time, config: &KubeletConfig) -> bool {
        event.since(self.updated) > config.backoff_max * 2
    }
}

/// A span as Go prints it, for messages: `10s`, `1m20.5s`, `5m0s`, `250ms`. Rounds down to whole milliseconds.
pub(super) fn go_duration(span: Span) -> String {
    let (seconds, millis) = (span.as_secs(), span.0 / 1_000_000 % 1_000);
    let fraction = match millis {
        0 => String::new(),
        _ => format!(".{millis:03}").trim_end_matches('0').to_owned(),
    };
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0) if millis > 0 => format!("{millis}ms"),
        (0, 0, seconds) => format!("{seconds}{fraction}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds}{fraction}s"),
        (hours, minutes, seconds) => format!("{hours}h{minutes}m{seconds}{fraction}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_as_go_writes_them() {
        for (millis, text) in [
            (0, "0s"),
            (7, "7ms"),
            (999, "999ms"),
            (1_000, "1s"),
            (1_250, "1.25s"),
            (61_005, "1m1.005s"),
            (3_600_000, "1h0m0s"),
        ] {
            assert_eq!(go_duration(Span::from_millis(millis)), text);
        }
    }

    #[test]
    fn waits_double_up_to_five_minutes_and_begin_anew_after_ten_good_minutes() {
        let config = KubeletConfig::default();
        let mut backoff = Backoff::default();
        assert_eq!(backoff.until(Time::ZERO, &config), None, "the first restart is immediate");
        let mut waits = Vec::new();
        for _ in 0..7 {
            backoff.grow(Time::ZERO, Time::ZERO, &config);
            waits.push(go_duration(backoff.delay()));
        }
        assert_eq!(waits, ["10s", "20s", "40s", "1m20s", "2m40s", "5m0s", "5m0s"]);
        assert_eq!(backoff.until(Time::from_secs(600), &config), Some(Time::from_secs(900)));
        assert_eq!(backoff.until(Time::from_secs(601), &config), None);
        backoff.grow(Time::from_secs(601), Time::from_secs(601), &config);
        assert_eq!(backoff.delay(), Span::from_secs(10));
    }
}
