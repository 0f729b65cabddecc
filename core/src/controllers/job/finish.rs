//! How a Job ends, as its conditions say it.

use crate::id::Name;
use crate::model::{ConditionKind, JobStatus, Status3};

/// How a Job ends: the condition, its reason and message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Finish {
    pub(super) kind: ConditionKind,
    pub(super) reason: Name,
    pub(super) message: Name,
}

impl Finish {
    pub(super) fn new(kind: ConditionKind, reason: &str, message: &str) -> Finish {
        Finish { kind, reason: reason.into(), message: message.into() }
    }

    /// The Job has got what it was made for.
    pub(super) fn completed() -> Finish {
        let message = "Reached expected number of succeeded pods";
        Finish::new(ConditionKind::SuccessCriteriaMet, "CompletionsReached", message)
    }

    /// The same as the condition that was written for it before.
    pub(super) fn of(status: &JobStatus, kind: ConditionKind, becomes: ConditionKind) -> Option<Finish> {
        let condition = status.conditions.get(kind).filter(|condition| condition.status == Status3::True)?;
        Some(Finish::new(becomes, &condition.reason, &condition.message))
    }

    pub(super) fn succeeds(&self) -> bool {
        matches!(self.kind, ConditionKind::SuccessCriteriaMet | ConditionKind::Complete)
    }
}
