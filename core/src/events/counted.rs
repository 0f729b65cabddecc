//! Correlation as `tools/record` does it: equal events are counted, similar ones combined, spam is left out.
//!
//! Similar are events of one source, object, type and reason. From the tenth different message within ten minutes on,
//! they are written as one event whose message says so. Every event then is either the first of its kind or raises the
//! count of one that was written before, and last comes the filter against spam: what it stops has been counted
//! nevertheless. Source: staging/src/k8s.io/client-go/tools/record/events_cache.go (v1.34.1).

use std::collections::{BTreeMap, BTreeSet};

use crate::digest::StableHasher;
use crate::events::lru::Lru;
use crate::events::spam::Bucket;
use crate::events::{Event, EventType, FieldPath, Text};
use crate::id::{Name, Uid};
use crate::model::ObjectKey;
use crate::time::{Span, Time};

/// How many different messages make similar events one (`defaultAggregateMaxEvents`).
const SIMILAR_MAX: usize = 10;
/// After how long a silence similar events are a new matter (`defaultAggregateIntervalInSeconds`).
const SIMILAR_FOR: Span = Span::from_secs(600);
/// The reason of what a process on a node says first.
const STARTING: &str = "Starting";

/// A source, which of its lives it is in, and an object.
type SpamKey = (Name, u32, ObjectKey, Option<Uid>, EventType);
/// Similar events, by source, object and reason.
type SimilarKey = (SpamKey, Text);
/// Equal events: similar ones with one message and field, or those that were combined.
type EqualKey = (SimilarKey, Option<(Text, FieldPath)>);

/// What one component's recorder remembers.
#[derive(Clone, Debug, Default)]
pub(super) struct Correlator {
    similar: Lru<(u64, SimilarKey), Similar>,
    equal: Lru<(u64, EqualKey), Option<Observed>>,
    spam: Lru<(u64, SpamKey), Bucket>,
    hosts: Hosts,
}

/// The hosts on each of which a component has a process and so a recorder of its own.
#[derive(Clone, Debug, Default)]
struct Hosts {
    /// Those where it has said that it starts.
    started: BTreeSet<Name>,
    /// How often it has said so again; only where it has.
    restarts: BTreeMap<Name, u32>,
}

impl Hosts {
    /// Which life of its process says this. A process's first word is that it starts.
    fn life(&mut self, host: &Name, event: &Event) -> u32 {
        if event.reason == STARTING && !host.is_empty() && !self.started.insert(host.clone()) {
            *self.restarts.entry(host.clone()).or_default() += 1;
        }
        if self.restarts.is_empty() { 0 } else { self.restarts.get(host).copied().unwrap_or(0) }
    }
}

/// The different messages of similar events.
#[derive(Clone, Debug, Default)]
struct Similar {
    messages: BTreeSet<Text>,
    last: Option<Time>,
}

/// What was written about equal events.
#[derive(Clone, Copy, Debug)]
struct Observed {
    count: u32,
    first: Time,
    /// Where the log has it; `None` if it was stopped as spam.
    place: Option<usize>,
}

/// What becomes of an event.
pub(super) enum Correlated {
    /// It is written as a new one, with this message.
    New { message: Text, count: u32, first: Time, key: Key },
    /// It is written over the one at this place of the log.
    Again { place: usize, message: Text, count: u32 },
    /// It is not written.
    Spam,
}

/// Under which key a new event's place is to be noted.
pub(super) struct Key(u64, EqualKey);

impl Correlator {
    /// Decides on an event.
    pub(super) fn correlate(&mut self, now: Time, subject: &ObjectKey, event: &Event) -> Correlated {
        let host = &event.reporter.host;
        let life = self.hosts.life(host, event);
        let spam_key = (host.clone(), life, subject.clone(), event.uid, event.event_type);
        let spam_hash = StableHasher::hash_one(&spam_key);
        let similar_key = (spam_key.clone(), event.reason.clone());
        let similar_hash = StableHasher::hash_one(&(spam_hash, &event.reason));
        let combined = self.combines(now, (similar_hash, similar_key.clone()), &event.message);
        let (message, own) = if combined {
            (Text::from(format!("(combined from similar events): {}", event.message)), None)
        } else {
            (event.message.clone(), Some((event.message.clone(), event.field_path.clone())))
        };
        let equal_hash = StableHasher::hash_one(&(similar_hash, &own));
        let equal_key = (equal_hash, (similar_key, own));
        let slot = self.equal.entry(&equal_key);
        let before = *slot;
        let observed = match before {
            Some(before) => Observed { count: before.count + 1, ..before },
            None => Observed { count: 1, first: now, place: None },
        };
        *slot = Some(observed);
        if !self.spam.entry(&(spam_hash, spam_key)).take(now) {
            return Correlated::Spam;
        }
        match observed.place {
            Some(place) => Correlated::Again { place, message, count: observed.count },
            // One whose first was stopped is written by a patch of what is not there, and then as new.
            None => Correlated::New {
                message,
                count: observed.count,
                first: observed.first,
                key: Key(equal_key.0, equal_key.1),
            },
        }
    }

    /// Notes where the log has put a new event.
    pub(super) fn placed(&mut self, key: Key, place: usize) {
        if let Some(observed) = self.equal.entry(&(key.0, key.1)) {
            observed.place = Some(place);
        }
    }

    /// Whether an event is combined with those that differ by their message only.
    ///
    /// Source: `EventAggregator.EventAggregate`. Of ten messages it forgets any one; here the least that is not the
    /// newest.
    fn combines(&mut self, now: Time, key: (u64, SimilarKey), message: &Text) -> bool {
        let similar = self.similar.entry(&key);
        if similar.last.is_none_or(|last| now.since(last) > SIMILAR_FOR) {
            similar.messages.clear();
        }
        similar.messages.insert(message.clone());
        similar.last = Some(now);
        if similar.messages.len() < SIMILAR_MAX {
            return false;
        }
        let forgotten = similar.messages.iter().find(|other| *other != message).cloned();
        if let Some(forgotten) = forgotten {
            similar.messages.remove(&forgotten);
        }
        true
    }
}
