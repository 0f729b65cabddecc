//! What the core wants is carried out: timers, the disk, messages with their delays; what it writes is written down.

use wavetank_core::digest::StableHasher;
use wavetank_core::draw::{Purpose, below, draw};
use wavetank_core::events::{Event, Written};
use wavetank_core::facts::{Fact, What};
use wavetank_core::id::{Name, ProcId, ProcKind};
use wavetank_core::model::{Namespace, ObjectKey};
use wavetank_core::seam::{Effect, Input, Msg};
use wavetank_core::time::{Span, Time};

use super::{Bench, Happening};
use crate::conform::edge::{self, EPOCH};
use crate::conform::shown;

/// A message's delay: at least this …
const DELAY_MIN: Span = Span::from_micros(1_500);

/// … and up to so much more.
const DELAY_MORE: Span = Span::from_micros(3_000);

/// How long stable storage takes.
const DISK: Span = Span::from_micros(2_000);

impl Bench<'_> {
    pub(super) fn step_core(&mut self, input: Input) {
        if let Input::Timer(process, kind) = &input {
            self.timers.remove(&(*process, *kind));
        }
        let mut effects = Vec::new();
        let writer = self.managers.is_some().then(|| self.writer(&input));
        self.core.step(self.now, input, &mut effects);
        self.note_owners(writer);
        self.show();
        for effect in effects {
            self.perform(effect);
        }
    }

    /// Writes down what the step has changed.
    pub(super) fn show(&mut self) {
        let at_ms = self.at_ms();
        for (revision, before, after) in self.core.written_since(self.shown) {
            self.twins.note(before.as_ref(), after.as_ref());
            // Recordings show their own namespace; the API server's Service is in another.
            if before.as_ref().or(after.as_ref()).is_some_and(edge::is_own_service) {
                continue;
            }
            self.played.lines.extend(shown::line(at_ms, before.as_ref(), after.as_ref(), revision, EPOCH));
        }
        self.shown = self.core.revision();
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Arm(process, kind, at) => {
                self.perform(Effect::Disarm(process, kind));
                let key = self.push(at, Happening::Input(Input::Timer(process, kind)));
                self.timers.insert((process, kind), key);
            }
            Effect::Disarm(process, kind) => {
                if let Some(key) = self.timers.remove(&(process, kind)) {
                    self.queue.remove(&key);
                }
            }
            Effect::Persist(revision) => {
                self.push(self.now + Span(DISK.0 * self.pace.factor), Happening::Input(Input::Persisted(revision)));
            }
            Effect::Record(Fact { subject, what: What::Event(event), .. }) => self.say(&subject, &event),
            Effect::Record(Fact { subject, what: What::Warned { message }, .. }) => self.warned(&subject, &message),
            Effect::Record(_) => {}
            Effect::Send { from, to, body } => self.send(from, to, body),
        }
    }

    /// Writes down what a component says as an event, which is an object of its namespace: a new one cannot be made
    /// where nothing can.
    fn say(&mut self, subject: &ObjectKey, event: &Event) {
        let namespace = self.core.newest().find::<Namespace>(&Name::default(), &subject.namespace);
        let ends = namespace.is_some_and(|(_, namespace)| namespace.meta.is_terminating());
        let (place, is_new) = match self.log.take(self.now, subject, event) {
            Written::New(place) if ends => {
                self.lost.insert(place);
                return;
            }
            Written::Again(place) if self.lost.contains(&place) => return,
            Written::Counted(_) | Written::Spam => return,
            Written::New(place) => (place, true),
            Written::Again(place) => (place, false),
        };
        self.played.lines.push(shown::event(self.at_ms(), is_new, &self.log.all()[place]));
    }

    fn send(&mut self, from: ProcId, to: ProcId, body: Msg) {
        match (to.kind(), body) {
            (ProcKind::Client, Msg::Response(id, answer)) => self.answered(id, &answer),
            (ProcKind::Client | ProcKind::Runtime | ProcKind::World, _) => {}
            (ProcKind::Kubelet, body) => self.tell_kubelet(to.host().expect("a kubelet has a host"), body),
            (_, body) => {
                // What a client asks for at once goes over connections of its own. Answers do so too: those of a real
                // cluster may come before the watch shows what was written.
                let (lane, leaves_at) = match &body {
                    Msg::Request(id, request) if matches!(from, ProcId::CONTROLLER_MANAGER | ProcId::SCHEDULER) => {
                        (Lane::Requests, self.pace.leaves(from, id.client(), request, self.now))
                    }
                    Msg::Request(..) => (Lane::Requests, self.now),
                    Msg::Response(..) if self.pace.overtaking => (Lane::Answers, self.now),
                    Msg::Advance(revision) => (Lane::Watch, self.now + self.pace.news_late(to, revision.0)),
                    _ => (Lane::Watch, self.now),
                };
                let at = self.arrival(from, to, lane, leaves_at);
                self.push(at, Happening::Input(Input::Message { from, to, body }));
            }
        }
    }

    fn arrival(&mut self, from: ProcId, to: ProcId, lane: Lane, leaves_at: Time) -> Time {
        let link = StableHasher::hash_one(&(from.bits(), to.bits()));
        let (last, count) = self.links.entry((from, to)).or_default();
        let drawn = below(draw(self.seed, Purpose::LinkDelay, link, *count), DELAY_MORE.0);
        let at = leaves_at + Span((DELAY_MIN.0 + drawn) * self.pace.factor);
        let at = if lane == Lane::Watch { at.max(*last) } else { at };
        if lane != Lane::Answers {
            *last = at.max(*last);
        }
        *count += 1;
        at
    }
}

/// What a message is, as far as its order matters: only what watches show never overtakes itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lane {
    Requests,
    Answers,
    Watch,
}
