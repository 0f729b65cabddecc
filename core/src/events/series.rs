//! Correlation as `tools/events` does it: repetitions about one version of an object become a series.
//!
//! The first repetition is written, with a count of two. Further ones are counted and written every 30 minutes, and
//! when the series has ended: six to twelve minutes after its last event, when its key is forgotten too.
//!
//! Source: staging/src/k8s.io/client-go/tools/events/event_broadcaster.go (v1.34.1).

use std::collections::BTreeMap;

use crate::digest::StableHasher;
use crate::events::{Event, EventType, Text};
use crate::id::{Name, Revision, Uid};
use crate::model::ObjectKey;
use crate::time::{Span, Time};

/// How long after the last event a series has ended, and how often the ended ones are looked for (`finishTime`).
const FINISH: Span = Span::from_secs(360);

/// How often the counts of series are written (`refreshTime`).
const REFRESH: Span = Span::from_secs(1_800);

/// What makes two events the same matter.
type SameKey = (u64, ObjectKey, Option<Uid>, Option<Revision>, EventType, Text, Text, Name, Option<ObjectKey>);

/// What one component's recorder remembers.
#[derive(Clone, Debug, Default)]
pub(super) struct Correlator {
    cache: BTreeMap<SameKey, Observed>,
    /// Up to when the rounds of refreshing and ending have been made. They are counted from time zero.
    looked_at: Time,
}

/// What is known of one series, or of one event that is none yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Observed {
    /// Where the log has it.
    pub(super) place: usize,
    /// How often it was said (≥ 1).
    pub(super) count: u32,
    /// When it was last said.
    pub(super) last: Time,
}

/// What becomes of an event.
pub(super) enum Correlated {
    /// It is written as a new one; to be noted at this place of the log.
    New,
    /// It makes a series of the one before it, which is written.
    Series(Observed),
    /// It is counted.
    Counted(usize),
}

impl Correlator {
    /// Decides on an event; a new one will stand at `next_place` of the log.
    pub(super) fn correlate(&mut self, now: Time, subject: &ObjectKey, event: &Event, next_place: usize) -> Correlated {
        let key = key_of(subject, event);
        let Some(observed) = self.cache.get_mut(&key) else {
            self.cache.insert(key, Observed { place: next_place, count: 1, last: now });
            return Correlated::New;
        };
        observed.count += 1;
        observed.last = now;
        if observed.count == 2 { Correlated::Series(*observed) } else { Correlated::Counted(observed.place) }
    }

    /// Makes the rounds that are due by now; what is returned is written.
    ///
    /// Source: `refreshExistingEventSeries`, `finishSeries`.
    pub(super) fn rounds(&mut self, now: Time) -> Vec<Observed> {
        let newest = |period: Span| Some(Time(now.0 / period.0 * period.0)).filter(|at| *at > self.looked_at);
        let (refresh, finish) = (newest(REFRESH), newest(FINISH));
        self.looked_at = now;
        // Between two rounds, which is nearly always, there is nothing to look at.
        if refresh.is_none() && finish.is_none() {
            return Vec::new();
        }
        let ended = |observed: &Observed| finish.is_some_and(|at| observed.last + FINISH < at);
        let is_due = |observed: &&Observed| observed.count > 1 && (refresh.is_some() || ended(observed));
        let written = self.cache.values().filter(is_due).copied().collect();
        if finish.is_some() {
            self.cache.retain(|_, observed| !ended(observed));
        }
        written
    }
}

fn key_of(subject: &ObjectKey, event: &Event) -> SameKey {
    let hash = StableHasher::hash_one(&(subject, event.uid, event.version, &event.reason));
    (
        hash,
        subject.clone(),
        event.uid,
        event.version,
        event.event_type,
        event.action.clone(),
        event.reason.clone(),
        event.reporter.host.clone(),
        event.related.clone(),
    )
}
