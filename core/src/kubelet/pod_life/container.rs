//! One container of a pod: what it does, how its last start ended, and what holds it back.

use std::sync::Arc;

use crate::id::Name;
use crate::kubelet::backoff::Backoff;
use crate::kubelet::ending::Stopping;
use crate::model::Terminated;
use crate::time::Time;

/// A container's place in its life.
pub(in crate::kubelet) struct ContainerLife {
    pub(in crate::kubelet) doing: Doing,
    /// The number of the newest start, or of the next one if none has been used up.
    pub(in crate::kubelet) attempt: u32,
    /// The number has been used: the container has run under it.
    pub(in crate::kubelet) ran: bool,
    /// The kubelet has listed it as running (PLEG).
    pub(in crate::kubelet) seen: bool,
    /// A stop is under way.
    pub(in crate::kubelet) stopping: Option<Box<Stopping>>,
    /// The kubelet killed it to start it again, whatever the policy says of how it ended; until it has seen it run.
    pub(in crate::kubelet) again: bool,
    pub(in crate::kubelet) post_start: PostStart,
    pub(in crate::kubelet) ready: bool,
    pub(in crate::kubelet) started: bool,
    /// How the newest start ended; kept while the next one is under way.
    pub(in crate::kubelet) ended: Option<Arc<Terminated>>,
    /// How the start before that ended.
    pub(in crate::kubelet) before: Option<Arc<Terminated>>,
    /// Only for a container that something has gone wrong with.
    pub(in crate::kubelet) trouble: Option<Box<Trouble>>,
}

/// How far a running container's post-start hook is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::kubelet) enum PostStart {
    /// It has none, or it has ended well.
    Done,
    /// It runs; the kubelet has not listed the container yet.
    Running,
    /// It runs; the kubelet would take note of the container if it were done.
    RunningSeen,
    /// It has failed, and the container is stopped for that.
    Failed,
}

/// What a container is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::kubelet) enum Doing {
    /// It has not run in this sandbox.
    Waiting,
    /// The runtime is asked whether the image is there.
    Checking,
    /// Its pull waits for its turn.
    Queued,
    /// Its image is being pulled.
    Pulling,
    /// The runtime starts it.
    Starting,
    /// It runs since then.
    Running(Time),
    /// It has ended; see `ended`.
    Ended,
}

/// What has gone wrong with a container, and until when it waits for that.
#[derive(Default)]
pub(in crate::kubelet) struct Trouble {
    pub(in crate::kubelet) crashes: Backoff,
    pub(in crate::kubelet) pulls: Backoff,
    pub(in crate::kubelet) until: Time,
    /// The waiting reason, such as `CrashLoopBackOff`; empty once the wait is over.
    pub(in crate::kubelet) reason: Name,
    pub(in crate::kubelet) message: Name,
    /// When `ErrImagePull` becomes `ImagePullBackOff`.
    pub(in crate::kubelet) back_off_shown_at: Option<Time>,
    /// The image that it was started with, if the pod names another one by now.
    pub(in crate::kubelet) outdated: Option<Name>,
}

impl ContainerLife {
    pub(in crate::kubelet) fn new() -> ContainerLife {
        ContainerLife {
            doing: Doing::Waiting,
            attempt: 0,
            ran: false,
            seen: false,
            stopping: None,
            again: false,
            post_start: PostStart::Done,
            ready: false,
            started: false,
            ended: None,
            before: None,
            trouble: None,
        }
    }

    pub(in crate::kubelet) fn is_running(&self) -> bool {
        matches!(self.doing, Doing::Running(_))
    }

    pub(super) fn is_being_started(&self) -> bool {
        let hooked = matches!(self.post_start, PostStart::Running | PostStart::RunningSeen);
        hooked || matches!(self.doing, Doing::Checking | Doing::Queued | Doing::Pulling | Doing::Starting)
    }

    /// Whether the kubelet has not yet listed it, and nothing has gone wrong with it.
    pub(super) fn is_unheard_of(&self) -> bool {
        !self.seen && self.doing != Doing::Ended && self.ended.is_none() && self.trouble.is_none()
    }

    pub(super) fn is_held(&self, now: Time) -> bool {
        self.trouble.as_ref().is_some_and(|trouble| trouble.until > now)
    }

    pub(in crate::kubelet) fn hold(&mut self, until: Time, reason: &str, message: String) {
        let trouble = self.trouble.get_or_insert_default();
        trouble.until = until;
        trouble.reason = reason.into();
        trouble.message = message.into();
        trouble.back_off_shown_at = None;
    }
}
