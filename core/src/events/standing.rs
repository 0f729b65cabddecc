//! What is repeated, until it has been said for the last time or is over.
//!
//! Invariant: each repetition that goes on is in `due`, `repetitions` and `numbers` exactly once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::events::{Event, FieldPath, Reporter, Text};
use crate::id::Uid;
use crate::model::ObjectKey;
use crate::time::{Span, Time};

/// All repetitions that go on.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    /// By the time at which they are said next; at one time in the order in which they began.
    due: BTreeSet<(Time, u64)>,
    repetitions: BTreeMap<u64, Repetition>,
    /// By what is said, so that those which one fact ends lie together.
    numbers: BTreeMap<Reporter, BTreeMap<Key, u64>>,
    /// How many have begun.
    begun: u64,
}

/// What a reporter repeats. The message comes last because what ends a repetition may leave the message's end open.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Key {
    subject: ObjectKey,
    uid: Option<Uid>,
    field_path: FieldPath,
    reason: Text,
    message: Text,
}

#[derive(Clone, Debug)]
struct Repetition {
    next: Time,
    period: Span,
    last: Time,
    said: Arc<(ObjectKey, Event)>,
}

impl Standing {
    /// An event that is said now is said again after each period, up to the last time. It takes the place of an equal
    /// one.
    ///
    /// Panics if the period is zero.
    pub(super) fn begin(&mut self, now: Time, subject: &ObjectKey, event: &Event, (period, last): (Span, Time)) {
        assert!(period > Span::ZERO, "{} is repeated without a pause", event.reason);
        let next = now.saturating_add(period);
        let numbers = self.numbers.entry(event.reporter.clone()).or_default();
        let key = Key::of(subject, event);
        let before = if next <= last { numbers.insert(key, self.begun) } else { numbers.remove(&key) };
        self.leave_out(before);
        if next <= last {
            let said = Arc::new((subject.clone(), event.clone()));
            self.repetitions.insert(self.begun, Repetition { next, period, last, said });
            self.due.insert((next, self.begun));
            self.begun += 1;
        }
        self.drop_if_silent(&event.reporter);
    }

    /// Ends the repetitions that differ from an event at most by the end of their message.
    pub(super) fn end(&mut self, subject: &ObjectKey, event: &Event) {
        let Some(numbers) = self.numbers.get_mut(&event.reporter) else { return };
        let from = Key::of(subject, event);
        let is_meant = |key: &Key| {
            let Key { subject, uid, field_path, reason, message } = key;
            (subject, uid, field_path, reason) == (&from.subject, &from.uid, &from.field_path, &from.reason)
                && message.starts_with(&*from.message)
        };
        let meant: Vec<Key> = numbers.range(&from..).map(|it| it.0).take_while(|key| is_meant(key)).cloned().collect();
        let ended: Vec<Option<u64>> = meant.iter().map(|key| numbers.remove(key)).collect();
        for number in ended {
            self.leave_out(number);
        }
        self.drop_if_silent(&event.reporter);
    }

    /// Ends everything that a reporter repeats.
    pub(super) fn end_all(&mut self, reporter: &Reporter) {
        for number in self.numbers.remove(reporter).into_iter().flat_map(BTreeMap::into_values) {
            self.leave_out(Some(number));
        }
    }

    /// Ends everything that a component repeats, on whatever node.
    pub(super) fn forget(&mut self, component: &str) {
        let reporters: Vec<Reporter> = self.numbers.keys().filter(|it| it.component == component).cloned().collect();
        for reporter in &reporters {
            self.end_all(reporter);
        }
    }

    /// What is said next, and when, if that is due; then it is due again a period later, unless that was the last time.
    pub(super) fn next(&mut self, is_due: impl Fn(Time) -> bool) -> Option<(Time, Arc<(ObjectKey, Event)>)> {
        let &(at, number) = self.due.first().filter(|(at, _)| is_due(*at))?;
        self.due.pop_first();
        let repetition = self.repetitions.get_mut(&number).expect("what is due goes on");
        let said = Arc::clone(&repetition.said);
        repetition.next = at.saturating_add(repetition.period);
        if repetition.next <= repetition.last {
            self.due.insert((repetition.next, number));
        } else {
            self.repetitions.remove(&number);
            let (subject, event) = &*said;
            if let Some(numbers) = self.numbers.get_mut(&event.reporter) {
                numbers.remove(&Key::of(subject, event));
            }
            self.drop_if_silent(&event.reporter);
        }
        Some((at, said))
    }

    /// A repetition goes on no more; its key is gone or another one's.
    fn leave_out(&mut self, number: Option<u64>) {
        if let Some((number, repetition)) = number.and_then(|number| Some((number, self.repetitions.remove(&number)?)))
        {
            self.due.remove(&(repetition.next, number));
        }
    }

    fn drop_if_silent(&mut self, reporter: &Reporter) {
        if self.numbers.get(reporter).is_some_and(BTreeMap::is_empty) {
            self.numbers.remove(reporter);
        }
    }
}

impl Key {
    fn of(subject: &ObjectKey, event: &Event) -> Key {
        Key {
            subject: subject.clone(),
            uid: event.uid,
            field_path: event.field_path.clone(),
            reason: event.reason.clone(),
            message: event.message.clone(),
        }
    }
}
