//! The filter that keeps one source from saying too much about one object: 25 at once, then one every five minutes.
//!
//! Source: `EventSourceObjectSpamFilter`, staging/src/k8s.io/client-go/tools/record/events_cache.go (v1.34.1).

use crate::time::{Span, Time};

/// How much may be said at once (`defaultSpamBurst`).
const BURST: u64 = 25;
/// How long it takes until one more may be said (1 / `defaultSpamQPS`).
const REFILL: Span = Span::from_secs(300);

/// The bucket of one source and object.
#[derive(Clone, Debug, Default)]
pub(super) struct Bucket {
    /// How much was said since the bucket was last full, each counting until it is refilled: the bucket is empty while
    /// this is more than `BURST - 1` refills ahead of the time.
    full_at: Time,
}

impl Bucket {
    /// Takes a token; `false` if there is none.
    pub(super) fn take(&mut self, now: Time) -> bool {
        let full_at = self.full_at.max(now);
        if full_at.since(now).0 > (BURST - 1) * REFILL.0 {
            return false;
        }
        self.full_at = full_at + REFILL;
        true
    }
}
