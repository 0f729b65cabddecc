//! One container of a pod: what it does, how its last start ended, and what holds it back.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use crate::id::Name;
use crate::kubelet::admission::Rejection;
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
    pub(in crate::kubelet) ready: bool,
    pub(in crate::kubelet) started: bool,
    /// Only for a container that more has happened to than that it was started.
    incidents: Option<Box<Incidents>>,
}

/// What happens to a container beside its start: hooks, its stop, its ends, and what goes wrong with it.
pub(in crate::kubelet) struct Incidents {
    /// A stop is under way.
    pub(in crate::kubelet) stopping: Option<Stopping>,
    /// The kubelet killed it to start it again, whatever the policy says of how it ended; until it has seen it run.
    pub(in crate::kubelet) again: bool,
    pub(in crate::kubelet) post_start: PostStart,
    /// It has served since its start, told while a hook or a startup probe kept it from being ready.
    pub(in crate::kubelet) serves: bool,
    /// How the newest start ended; kept while the next one is under way.
    pub(in crate::kubelet) ended: Option<Arc<Terminated>>,
    /// How the start before that ended.
    pub(in crate::kubelet) before: Option<Arc<Terminated>>,
    /// What there was of it in the sandbox before was removed: its next start knows of no end.
    pub(in crate::kubelet) purged: bool,
    /// How many of its starts were removed with their sandbox and do not count any more.
    pub(in crate::kubelet) uncounted: u32,
    /// Up to when tries of its probes fail, as far as that is said without another report: of readiness, liveness and
    /// startup. Only for a container of which more than one such try was told at once.
    pub(in crate::kubelet) failing: Option<Box<[Time; 3]>>,
    /// Only for a container that something has gone wrong with.
    pub(in crate::kubelet) trouble: Option<Box<Trouble>>,
}

impl Incidents {
    const NONE: Incidents = Incidents {
        stopping: None,
        again: false,
        post_start: PostStart::Done,
        serves: false,
        ended: None,
        before: None,
        purged: false,
        uncounted: 0,
        failing: None,
        trouble: None,
    };
}

/// The containers of a pod, in their order. Nearly every pod has one, which lies with what is kept of the pod.
pub(in crate::kubelet) enum Containers {
    One(ContainerLife),
    Several(Box<[ContainerLife]>),
    /// The pod was refused, so that it runs none.
    Refused(Box<Rejection>),
}

impl Containers {
    /// Why the pod was refused, if it was.
    pub(in crate::kubelet) fn refusal(&self) -> Option<&Rejection> {
        match self {
            Containers::Refused(rejection) => Some(rejection),
            Containers::One(_) | Containers::Several(_) => None,
        }
    }

    /// The containers of a pod that runs none.
    pub(in crate::kubelet) fn none() -> Containers {
        Containers::Several(Box::default())
    }

    /// So many containers that have not run.
    pub(in crate::kubelet) fn new(count: usize) -> Containers {
        match count {
            1 => Containers::One(ContainerLife::new()),
            _ => Containers::Several((0..count).map(|_| ContainerLife::new()).collect()),
        }
    }
}

impl Deref for Containers {
    type Target = [ContainerLife];

    fn deref(&self) -> &[ContainerLife] {
        match self {
            Containers::One(container) => std::slice::from_ref(container),
            Containers::Several(containers) => containers,
            Containers::Refused(_) => &[],
        }
    }
}

impl DerefMut for Containers {
    fn deref_mut(&mut self) -> &mut [ContainerLife] {
        match self {
            Containers::One(container) => std::slice::from_mut(container),
            Containers::Several(containers) => containers,
            Containers::Refused(_) => &mut [],
        }
    }
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
    pub(in crate::kubelet) pulls: FailedPulls,
    pub(in crate::kubelet) until: Time,
    /// The waiting reason, such as `CrashLoopBackOff`; empty once the container has been seen to run.
    pub(in crate::kubelet) reason: Name,
    pub(in crate::kubelet) message: Name,
    /// What the next sync finds, and tells in place of `reason` and `message`.
    pub(in crate::kubelet) next_told: Option<(Time, Told)>,
    /// What is told anew by each sync that finds it waiting.
    pub(in crate::kubelet) backs_off: Option<BacksOff>,
    /// The image that it was started with, if the pod names another one by now.
    pub(in crate::kubelet) outdated: Option<Name>,
}

/// What has come of a sync, which the status that the next sync makes tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::kubelet) enum Told {
    /// A container that has ended was held back.
    CrashLoopBackOff,
    /// The pull has failed.
    PullFailed,
    /// The image was not pulled again yet.
    ImagePullBackOff,
}

/// What is held back for its failures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::kubelet) enum BackOff {
    /// A container's start.
    Start,
    /// The pull of its image.
    Pull,
}

/// Syncs that find a container held back.
#[derive(Clone, Copy, Debug)]
pub(in crate::kubelet) struct BacksOff {
    pub(in crate::kubelet) of: BackOff,
    /// When the first of them was.
    pub(in crate::kubelet) since: Time,
    /// When the last one will be, unless the wait is over before.
    pub(in crate::kubelet) last: Time,
}

/// The pulls of an image that have failed, as they count for all containers of the pod with that image.
#[derive(Default)]
pub(in crate::kubelet) struct FailedPulls {
    /// The image; empty is none.
    pub(in crate::kubelet) image: Name,
    pub(in crate::kubelet) backoff: Backoff,
    /// How the last one failed, `ErrImagePull` mostly.
    pub(in crate::kubelet) reason: Name,
    pub(in crate::kubelet) message: Name,
}

impl ContainerLife {
    fn new() -> ContainerLife {
        ContainerLife {
            doing: Doing::Waiting,
            attempt: 0,
            ran: false,
            seen: false,
            ready: false,
            started: false,
            incidents: None,
        }
    }

    /// What has happened to it beside its start.
    pub(in crate::kubelet) fn incidents(&self) -> &Incidents {
        const NONE: &Incidents = &Incidents::NONE;
        self.incidents.as_deref().unwrap_or(NONE)
    }

    /// The same to be changed, of a container to which something has happened.
    pub(in crate::kubelet) fn incidents_mut(&mut self) -> Option<&mut Incidents> {
        self.incidents.as_deref_mut()
    }

    /// The same for something to happen.
    pub(in crate::kubelet) fn note(&mut self) -> &mut Incidents {
        self.incidents.get_or_insert_with(|| Box::new(Incidents::NONE))
    }

    pub(in crate::kubelet) fn stopping_mut(&mut self) -> Option<&mut Stopping> {
        self.incidents_mut()?.stopping.as_mut()
    }

    pub(in crate::kubelet) fn trouble_mut(&mut self) -> Option<&mut Trouble> {
        self.incidents_mut()?.trouble.as_deref_mut()
    }

    /// How the newest start ended.
    pub(in crate::kubelet) fn ended(&self) -> Option<&Arc<Terminated>> {
        self.incidents().ended.as_ref()
    }

    pub(in crate::kubelet) fn is_running(&self) -> bool {
        matches!(self.doing, Doing::Running(_))
    }

    pub(in crate::kubelet) fn is_being_started(&self) -> bool {
        let hooked = matches!(self.incidents().post_start, PostStart::Running | PostStart::RunningSeen);
        hooked || matches!(self.doing, Doing::Checking | Doing::Queued | Doing::Pulling | Doing::Starting)
    }

    /// Whether the kubelet has not yet listed it, and nothing has gone wrong with it.
    pub(super) fn is_unheard_of(&self) -> bool {
        let Incidents { ended, trouble, .. } = self.incidents();
        !self.seen && self.doing != Doing::Ended && ended.is_none() && trouble.is_none()
    }

    pub(super) fn is_held(&self, now: Time) -> bool {
        self.incidents().trouble.as_ref().is_some_and(|trouble| trouble.until > now)
    }

    /// Whether it has never ended, and nothing that has gone wrong is told of it.
    pub(in crate::kubelet) fn is_new_to_trouble(&self) -> bool {
        let Incidents { ended, trouble, .. } = self.incidents();
        ended.is_none() && trouble.as_ref().is_none_or(|trouble| trouble.reason.is_empty())
    }

    /// What was purged is forgotten as soon as there is a new container.
    pub(super) fn forget_purged(&mut self) {
        if let Some(incidents) = self.incidents_mut()
            && std::mem::take(&mut incidents.purged)
        {
            (incidents.ended, incidents.before) = (None, None);
        }
    }

    /// It waits for nothing any more.
    pub(in crate::kubelet) fn no_reason_to_wait(&mut self) {
        if let Some(trouble) = self.trouble_mut() {
            trouble.reason = "".into();
            trouble.message = "".into();
        }
    }

    /// What it waits for from now on, as its status tells.
    pub(in crate::kubelet) fn tell(&mut self, reason: &str, message: String) {
        let trouble = self.note().trouble.get_or_insert_default();
        (trouble.reason, trouble.message) = (reason.into(), message.into());
    }

    pub(in crate::kubelet) fn hold(&mut self, until: Time, reason: &str, message: String) {
        self.tell(reason, message);
        let trouble = self.note().trouble.get_or_insert_default();
        (trouble.until, trouble.next_told) = (until, None);
    }
}
