//! Correlation as `tools/record` does it: equal events are counted, similar ones combined, spam is left out.
//!
//! Similar are events of one source, object, type and reason. From the tenth different message within ten minutes on,
//! they are written as one event whose message says so. Every event then is either the first of its kind or raises the
//! count of one that was written before, and last comes the filter against spam: what it stops has been counted
//! nevertheless. Source: staging/src/k8s.io/client-go/tools/record/events_cache.go (v1.34.1).

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

/// An object, and whether something is amiss with it: what one source says too much about.
type SpamKey = (ObjectKey, Option<Uid>, EventType);
/// Similar events, by object and reason.
type SimilarKey = (SpamKey, Text);
/// Equal events: similar ones with one message and field, or those that were combined.
type EqualKey = (SimilarKey, Option<(Name, FieldPath)>);

/// What the recorder of one source remembers: of a component, or of its process on one node.
#[derive(Clone, Debug, Default)]
pub(super) struct Correlator {
    similar: Lru<SimilarKey, Similar>,
    equal: Lru<EqualKey, Option<Observed>>,
    spam: Lru<SpamKey, Bucket>,
}

/// The different messages of similar events.
#[derive(Clone, Debug, Default)]
struct Similar {
    messages: Vec<Name>,
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
    New { message: Name, count: u32, first: Time, key: Key },
    /// It is written over the one at this place of the log.
    Again { place: usize, message: Name, count: u32 },
    /// It is not written.
    Spam,
}

/// Under which key a new event's place is to be noted, before the next event is correlated.
pub(super) struct Key(usize);

impl Correlator {
    /// Decides on an event.
    pub(super) fn correlate(&mut self, now: Time, subject: &ObjectKey, event: &Event) -> Correlated {
        let spam_key: SpamKey = (subject.clone(), event.uid, event.event_type);
        let spam_hash = StableHasher::hash_one(&spam_key);
        let similar_hash = StableHasher::hash_one(&(spam_hash, &event.reason));
        let is_similar = |(source, reason): &SimilarKey| *reason == event.reason && *source == spam_key;
        let similar_key = || (spam_key.clone(), event.reason.clone());
        let similar = self.similar.place_of(similar_hash, is_similar, similar_key);
        let message = Name::from(&*event.message);
        let combined = self.similar.at(similar).combines(now, &message);
        let own = (!combined).then_some((&message, &event.field_path));
        let equal_hash = StableHasher::hash_one(&(similar_hash, own));
        let is_equal = |(similar, other): &EqualKey| {
            other.as_ref().map(|(message, path)| (message, path)) == own && is_similar(similar)
        };
        let equal_key = || (similar_key(), own.map(|(message, path)| (message.clone(), path.clone())));
        let equal = self.equal.place_of(equal_hash, is_equal, equal_key);
        let slot = self.equal.at(equal);
        let observed = match *slot {
            Some(before) => Observed { count: before.count + 1, ..before },
            None => Observed { count: 1, first: now, place: None },
        };
        *slot = Some(observed);
        let spam = self.spam.place_of(spam_hash, |other| *other == spam_key, || spam_key.clone());
        if !self.spam.at(spam).take(now) {
            return Correlated::Spam;
        }
        let message = if combined { Name::from(format!("(combined from similar events): {message}")) } else { message };
        let Observed { count, first, place } = observed;
        match place {
            Some(place) => Correlated::Again { place, message, count },
            // One whose first was stopped is written by a patch of what is not there, and then as new.
            None => Correlated::New { message, count, first, key: Key(equal) },
        }
    }

    /// Notes where the log has put a new event.
    pub(super) fn placed(&mut self, key: &Key, place: usize) {
        if let Some(observed) = self.equal.at(key.0) {
            observed.place = Some(place);
        }
    }
}

impl Similar {
    /// Whether an event is combined with those that differ by their message only.
    ///
    /// Source: `EventAggregator.EventAggregate`. Of ten messages it forgets any one; here the least that is not the
    /// newest.
    fn combines(&mut self, now: Time, message: &Name) -> bool {
        if self.last.is_none_or(|last| now.since(last) > SIMILAR_FOR) {
            self.messages.clear();
        }
        self.last = Some(now);
        if !self.messages.contains(message) {
            self.messages.push(message.clone());
        }
        if self.messages.len() < SIMILAR_MAX {
            return false;
        }
        let others = (0..self.messages.len()).filter(|place| self.messages[*place] != *message);
        if let Some(least) = others.min_by_key(|place| &self.messages[*place]) {
            self.messages.swap_remove(least);
        }
        true
    }
}
