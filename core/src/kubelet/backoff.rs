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

/// A span as Go prints it, for messages: `10s`, `1m20s`, `5m0s`. Rounds down to whole seconds.
pub(super) fn go_duration(span: Span) -> String {
    match (span.as_secs() / 60, span.as_secs() % 60) {
        (0, seconds) => format!("{seconds}s"),
        (minutes, seconds) => format!("{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
