//! Kubernetes events: what components say about objects, as `kubectl get events` shows it.
//!
//! A component says an [`Event`] with [`Context::event`](crate::context::Context::event); it leaves the core as a fact.
//! What the API server would hold in the end (equal events counted, similar ones combined, spam left out) is made from
//! these facts by an [`EventLog`], only where somebody reads them: the core itself never does. So an event costs one
//! fact, and no request. Absent on purpose: the tokens that writing events takes from the limits of their components'
//! clients, and their loss on the way.
//!
//! What a component says again and again for one cause (tries of a probe that fail, syncs that find a container in its
//! back-off) is one fact that tells the period ([`Repeats`]), and another one if it ends before its time.
//!
//! Parts: `log` is the fold, with `standing` for what is repeated, `spam`, and `counted` or `series` for the two ways
//! of combining; `lru` is how much they remember.
//!
//! Source: staging/src/k8s.io/client-go/tools/{record,events} (v1.34.1).

mod counted;
mod log;
mod lru;
mod series;
mod spam;
mod standing;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use log::{EventLog, EventObject, Written};

use crate::id::{Name, Revision, Uid};
use crate::model::{Meta, ObjectKey};
use crate::time::{Span, Time};

/// Text that most often is known when the program is built.
pub type Text = Cow<'static, str>;

/// Whether an event is in the nature of things.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub enum EventType {
    /// Things go their way.
    #[default]
    Normal,
    /// Something is amiss.
    Warning,
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            EventType::Normal => "Normal",
            EventType::Warning => "Warning",
        })
    }
}

/// Which of the two client libraries a component says its events with.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Library {
    /// `tools/record`: equal events are counted, similar ones combined, and an object's spam is left out.
    Record,
    /// `tools/events` (kube-scheduler): repetitions about one version of an object become a series.
    Events,
}

/// Who says an event: the component and, if there is one on each node, the node.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Reporter {
    /// The component, such as `deployment-controller`.
    pub component: Text,
    /// The node of a kubelet; empty for every other component.
    pub host: Name,
}

/// Which part of an object an event is about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub enum FieldPath {
    /// The whole object.
    #[default]
    Whole,
    /// The init container of a name.
    InitContainer(Name),
    /// The container of a name.
    Container(Name),
}

impl fmt::Display for FieldPath {
    /// As `involvedObject.fieldPath` has it: `spec.containers{app}`, nothing for the whole object.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FieldPath::Whole => Ok(()),
            FieldPath::InitContainer(name) => write!(f, "spec.initContainers{{{name}}}"),
            FieldPath::Container(name) => write!(f, "spec.containers{{{name}}}"),
        }
    }
}

/// How an event goes on after it has been said.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Repeats {
    /// It is said once.
    #[default]
    Never,
    /// It is said now and every period after, for the last time at `last` or before, unless it is over before that. It
    /// takes the place of an equal one that is repeated.
    Every {
        /// From one time to the next; more than zero.
        period: Span,
        /// Not after this; `Time::FAR_FUTURE` is until it is over.
        last: Time,
    },
    /// It is not said. What is repeated of the same reporter, object, part, identity and reason is repeated no more if
    /// its message begins with this one's, not even what is due now.
    Over,
    /// It is not said. Nothing that its reporter repeats is repeated any more.
    AllOver,
}

impl Repeats {
    /// Whether it is said once.
    pub fn is_never(&self) -> bool {
        *self == Repeats::Never
    }
}

/// What a component says about one object.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Event {
    /// Who says it.
    pub reporter: Reporter,
    /// With which library, which decides how it is correlated with others.
    pub library: Library,
    /// Whether it is in the nature of things.
    pub event_type: EventType,
    /// One CamelCase word.
    pub reason: Text,
    /// A sentence.
    pub message: Text,
    /// The identity of the object, as far as the component names it.
    pub uid: Option<Uid>,
    /// The version of the object, as far as the component names it; it decides what belongs to a series.
    pub version: Option<Revision>,
    /// Which part of the object it is about.
    pub field_path: FieldPath,
    /// What was being done, in the events of `tools/events`; empty otherwise.
    pub action: Text,
    /// Another object that has to do with it, in the events of `tools/events`.
    pub related: Option<ObjectKey>,
    /// Whether it is said again without another fact, or ends such a repetition.
    #[serde(default, skip_serializing_if = "Repeats::is_never")]
    pub repeats: Repeats,
}

impl Event {
    /// An event in the nature of things, about an object as a whole.
    pub fn normal(component: &'static str, reason: &'static str, message: impl Into<Text>) -> Event {
        Event {
            reporter: Reporter { component: component.into(), host: Name::default() },
            library: Library::Record,
            event_type: EventType::Normal,
            reason: reason.into(),
            message: message.into(),
            uid: None,
            version: None,
            field_path: FieldPath::Whole,
            action: Text::default(),
            related: None,
            repeats: Repeats::Never,
        }
    }

    /// The same for something that is amiss.
    pub fn warning(component: &'static str, reason: &'static str, message: impl Into<Text>) -> Event {
        Event { event_type: EventType::Warning, ..Event::normal(component, reason, message) }
    }

    /// Names the object's identity.
    pub fn about(mut self, meta: &Meta) -> Event {
        self.uid = Some(meta.uid);
        self
    }

    /// Says it as the kubelet of a node does.
    pub fn on_host(mut self, node: &Name) -> Event {
        self.reporter.host = node.clone();
        self
    }

    /// Narrows it to a part of the object.
    pub fn at_field(mut self, path: FieldPath) -> Event {
        self.field_path = path;
        self
    }

    /// Says it more than once, or ends that.
    pub fn repeated(mut self, repeats: Repeats) -> Event {
        self.repeats = repeats;
        self
    }

    /// Says it with `tools/events`, while doing something, about one version of the object.
    pub fn in_series(mut self, action: &'static str, version: Option<Revision>) -> Event {
        self.library = Library::Events;
        self.action = action.into();
        self.version = version;
        self
    }
}
