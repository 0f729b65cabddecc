//! What the API server would hold of events: a fold over what components have said.

use std::collections::BTreeMap;

use crate::events::standing::Standing;
use crate::events::{Event, EventType, FieldPath, Library, Repeats, Reporter, Text, counted, series};
use crate::id::{Name, Uid};
use crate::model::ObjectKey;
use crate::time::{Span, Time};

/// How long an event is kept after it was last written (`--event-ttl`).
const TIME_TO_LIVE: Span = Span::from_secs(3_600);

/// The reason of what a process on a node says first.
const STARTING: &str = "Starting";

/// One Event object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EventObject {
    /// The object that it is about. The Event's namespace is that object's, or `default`.
    pub subject: ObjectKey,
    /// That object's identity, if its component named it.
    pub uid: Option<Uid>,
    /// Which part of the object.
    pub field_path: FieldPath,
    /// Another object that has to do with it.
    pub related: Option<ObjectKey>,
    /// Who says it.
    pub reporter: Reporter,
    /// With which library: it decides whether `count` or `series.count` shows how often.
    pub library: Library,
    /// Whether it is in the nature of things.
    pub event_type: EventType,
    /// One CamelCase word.
    pub reason: Text,
    /// A sentence.
    pub message: Name,
    /// What was being done; empty for `tools/record`.
    pub action: Text,
    /// How often it was said, as far as it was written (≥ 1).
    pub count: u32,
    /// When it was first said.
    pub first: Time,
    /// When it was last said, as far as it was written.
    pub last: Time,
}

impl EventObject {
    /// The Event's namespace.
    pub fn namespace(&self) -> &str {
        if self.subject.namespace.is_empty() { "default" } else { &self.subject.namespace }
    }

    /// The Event's name: the object's, and the nanosecond of its first time in hexadecimal digits.
    ///
    /// Source: `makeEvent`, staging/src/k8s.io/client-go/tools/record/event.go (v1.34.1).
    pub fn name(&self) -> String {
        format!("{}.{:016x}", self.subject.name, self.first.0)
    }
}

/// What a said event has done to the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Written {
    /// A new object, at this place of [`EventLog::all`].
    New(usize),
    /// A higher count of the object at this place.
    Again(usize),
    /// Nothing yet: its component counts it for the object at this place and writes the count later.
    Counted(usize),
    /// Nothing: its source says too much about its object.
    Spam,
    /// Nothing: it has only ended repetitions.
    Ended,
}

/// All Event objects of a run, in the order of their creation.
///
/// What is repeated is said at its own time: before a fact of a later time is taken. In one instant repetitions come
/// after the facts, and among themselves in the order in which they began.
#[derive(Clone, Debug, Default)]
pub struct EventLog {
    objects: Vec<EventObject>,
    /// By component and, if it has a process on each node, by node.
    counted: BTreeMap<Text, BTreeMap<Name, counted::Correlator>>,
    series: BTreeMap<Text, series::Correlator>,
    standing: Standing,
}

impl EventLog {
    /// Takes in what a component said. Times must not run backwards.
    pub fn take(&mut self, now: Time, subject: &ObjectKey, event: &Event) -> Written {
        self.say_standing(|due| due < now);
        let Reporter { component, host } = &event.reporter;
        if event.reason == STARTING && !host.is_empty() {
            // A process that starts knows nothing of what was said before.
            self.standing.end_all(&event.reporter);
            entry(&mut self.counted, component).remove(host);
        }
        match event.repeats {
            Repeats::Never => {}
            Repeats::Every { period, last } => self.standing.begin(now, subject, event, (period, last)),
            Repeats::Over => {
                self.standing.end(subject, event);
                return Written::Ended;
            }
            Repeats::AllOver => {
                self.standing.end_all(&event.reporter);
                return Written::Ended;
            }
        }
        self.say(now, subject, event)
    }

    /// Says what is repeated up to `now`, which counts. What is taken later must not be of an earlier time.
    pub fn catch_up(&mut self, now: Time) {
        self.say_standing(|due| due <= now);
    }

    fn say_standing(&mut self, is_due: impl Fn(Time) -> bool) {
        while let Some((at, said)) = self.standing.next(&is_due) {
            self.say(at, &said.0, &said.1);
        }
    }

    fn say(&mut self, now: Time, subject: &ObjectKey, event: &Event) -> Written {
        match event.library {
            Library::Record => self.take_counted(now, subject, event),
            Library::Events => self.take_series(now, subject, event),
        }
    }

    /// A component has been restarted: its recorder knows nothing of what it has said before, and repeats nothing.
    pub fn forget(&mut self, component: &str) {
        self.standing.forget(component);
        self.counted.remove(component);
        self.series.remove(component);
    }

    /// Every Event object there ever was, oldest first, as of what was last taken or caught up with.
    pub fn all(&self) -> &[EventObject] {
        &self.objects
    }

    /// Those that the API server still has, as of what was last taken or caught up with.
    pub fn kept(&self, now: Time) -> impl Iterator<Item = &EventObject> {
        self.objects.iter().filter(move |object| object.last + TIME_TO_LIVE > now)
    }

    fn take_counted(&mut self, now: Time, subject: &ObjectKey, event: &Event) -> Written {
        let Reporter { component, host } = &event.reporter;
        let of_component = entry(&mut self.counted, component);
        let correlator = entry(of_component, host);
        match correlator.correlate(now, subject, event) {
            counted::Correlated::Spam => Written::Spam,
            counted::Correlated::Again { place, message, count } => {
                let object = &mut self.objects[place];
                (object.message, object.count, object.last) = (message, count, now);
                Written::Again(place)
            }
            counted::Correlated::New { message, count, first, key } => {
                correlator.placed(&key, self.objects.len());
                self.push(EventObject { count, first, ..object_of(now, subject, event, message) })
            }
        }
    }

    fn take_series(&mut self, now: Time, subject: &ObjectKey, event: &Event) -> Written {
        let correlator = entry(&mut self.series, &event.reporter.component);
        for series in correlator.rounds(now) {
            (self.objects[series.place].count, self.objects[series.place].last) = (series.count, series.last);
        }
        match correlator.correlate(now, subject, event, self.objects.len()) {
            series::Correlated::New => self.push(object_of(now, subject, event, Name::from(&*event.message))),
            series::Correlated::Series(series) => {
                (self.objects[series.place].count, self.objects[series.place].last) = (series.count, series.last);
                Written::Again(series.place)
            }
            series::Correlated::Counted(place) => Written::Counted(place),
        }
    }

    fn push(&mut self, object: EventObject) -> Written {
        self.objects.push(object);
        Written::New(self.objects.len() - 1)
    }
}

/// What is under a key, which is copied only if nothing is yet.
fn entry<'a, K: Ord + Clone, V: Default>(map: &'a mut BTreeMap<K, V>, key: &K) -> &'a mut V {
    if !map.contains_key(key) {
        map.insert(key.clone(), V::default());
    }
    map.get_mut(key).expect("the entry was just seen or made")
}

fn object_of(now: Time, subject: &ObjectKey, event: &Event, message: Name) -> EventObject {
    EventObject {
        subject: subject.clone(),
        uid: event.uid,
        field_path: event.field_path.clone(),
        related: event.related.clone(),
        reporter: Reporter { component: event.reporter.component.clone(), host: Name::clone(&event.reporter.host) },
        library: event.library,
        event_type: event.event_type,
        reason: event.reason.clone(),
        message,
        action: event.action.clone(),
        count: 1,
        first: now,
        last: now,
    }
}
