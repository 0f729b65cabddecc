//! How often the failed pod of a node is removed: at once, then after 1 s, 2 s, 4 s … 15 min.
//!
//! Without it a pod that its kubelet refuses would be made again without end. Source: `Backoff`,
//! staging/src/k8s.io/client-go/util/flowcontrol/backoff.go, with the values of
//! cmd/kube-controller-manager/app/apps.go (v1.34.1).

use std::collections::BTreeMap;

use crate::id::{Name, Uid};
use crate::time::{Span, Time};

const FIRST: Span = Span::from_secs(1);
const MAX: Span = Span::from_secs(15 * 60);

/// The DaemonSet, the generation that it had observed, and the node.
pub(super) type Key = (Uid, u64, Name);

/// The failed pods of all nodes.
#[derive(Default)]
pub(super) struct Backoff {
    entries: BTreeMap<Key, Entry>,
}

struct Entry {
    delay: Span,
    since: Time,
}

impl Backoff {
    /// Notes that a failed pod was found: `Ok` if it may be removed now, else the delay after which to look again.
    pub(super) fn found(&mut self, key: Key, now: Time) -> Result<(), Span> {
        // What is forgotten here would count as expired anyway.
        self.entries.retain(|_, entry| now.since(entry.since) <= Span(2 * MAX.0));
        match self.entries.get_mut(&key) {
            Some(entry) if now.since(entry.since) < entry.delay => Err(entry.delay),
            Some(entry) => {
                *entry = Entry { delay: Span(2 * entry.delay.0).min(MAX), since: now };
                Ok(())
            }
            None => {
                self.entries.insert(key, Entry { delay: FIRST, since: now });
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_and_is_forgotten_after_half_an_hour_of_peace() {
        let mut backoff = Backoff::default();
        let key = || (Uid::new(1), 1, Name::from("n1"));
        assert_eq!(backoff.found(key(), Time::ZERO), Ok(()));
        assert_eq!(backoff.found(key(), Time::from_millis(999)), Err(Span::from_secs(1)));
        assert_eq!(backoff.found(key(), Time::from_secs(1)), Ok(()));
        assert_eq!(backoff.found(key(), Time::from_millis(2_500)), Err(Span::from_secs(2)));
        assert_eq!(backoff.found((Uid::new(1), 1, "n2".into()), Time::from_millis(2_500)), Ok(()), "another node");
        assert_eq!(
            backoff.found((Uid::new(1), 2, "n1".into()), Time::from_millis(2_500)),
            Ok(()),
            "another generation"
        );
        let mut now = Time::from_secs(3);
        for _ in 0..20 {
            assert_eq!(backoff.found(key(), now), Ok(()));
            now += MAX;
        }
        assert_eq!(backoff.found(key(), now), Ok(()));
        assert_eq!(backoff.found(key(), now + Span::from_secs(899)), Err(MAX));
        let much_later = now + Span::from_secs(1_801);
        assert_eq!(backoff.found(key(), much_later), Ok(()));
        assert_eq!(backoff.found(key(), much_later), Err(FIRST));
    }
}
