//! Jobs and CronJobs.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{Name, Uid};
use crate::model::{
    ConditionKind, Conditions, IndexSet, Kind, Labels, Meta, Pod, PodTemplate, Schedule, Selector, Status3,
};
use crate::time::{Span, Time};

/// The labels of a Job's pods that the API server makes: by name and by uid, in the old and the new spelling.
pub(crate) const JOB_NAME_LABELS: [&str; 2] = ["job-name", "batch.kubernetes.io/job-name"];
/// The same by uid; the last one is what the Job selects by.
pub(crate) const JOB_UID_LABELS: [&str; 2] = ["controller-uid", "batch.kubernetes.io/controller-uid"];

/// The finalizer by which a pod waits until its Job has counted it.
pub const JOB_TRACKING: &str = "batch.kubernetes.io/job-tracking";
/// The annotation and label with a pod's completion index.
pub const COMPLETION_INDEX: &str = "batch.kubernetes.io/job-completion-index";
/// The environment variable with a pod's completion index.
pub const COMPLETION_INDEX_ENV: &str = "JOB_COMPLETION_INDEX";
/// The Job controller's own name, for `managedBy`.
pub const JOB_CONTROLLER: &str = "kubernetes.io/job-controller";

/// A Job.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Job {
    /// Names, labels, owner.
    pub meta: Meta,
    /// What is wanted.
    pub spec: JobSpec,
    /// What the controller last counted.
    pub status: JobStatus,
}

/// What is wanted of a Job.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct JobSpec {
    /// How many pods may run at once.
    pub parallelism: u32,
    /// How many pods must succeed; `None` is any one, after which no further pod is made.
    pub completions: Option<u32>,
    /// Whether each completion has an index.
    pub mode: CompletionMode,
    /// Whether its pods are held back, and ended if they run.
    pub suspend: bool,
    /// How long the Job may be active without a break.
    pub active_deadline: Option<Span>,
    /// How many pods may fail (with restart policy `OnFailure`: how often containers may be started again).
    pub backoff_limit: u32,
    /// How many pods of one index may fail before the index has failed.
    pub backoff_limit_per_index: Option<u32>,
    /// How many indexes may fail before the Job fails at once.
    pub max_failed_indexes: Option<u32>,
    /// Which failures count and which end the Job; the first rule that fits decides.
    pub pod_failure_policy: Option<Vec<FailureRule>>,
    /// When an Indexed Job has succeeded before all indexes have; the first rule that fits decides.
    pub success_policy: Option<Vec<SuccessRule>>,
    /// When a pod that is being deleted is replaced.
    pub pod_replacement: PodReplacement,
    /// How long the finished Job stays.
    pub ttl_after_finished: Option<Span>,
    /// Whose controller the Job belongs to, if not Kubernetes' own.
    pub managed_by: Option<Name>,
    /// Whether the user chose the selector; otherwise the API server makes it from the uid.
    pub manual_selector: bool,
    /// Which pods are its own.
    pub selector: Selector,
    /// What its pods are made from.
    pub template: PodTemplate,
}

impl Default for JobSpec {
    /// Source: `SetDefaults_Job`, pkg/apis/batch/v1/defaults.go (v1.34.1).
    fn default() -> Self {
        JobSpec {
            parallelism: 1,
            completions: Some(1),
            mode: CompletionMode::NonIndexed,
            suspend: false,
            active_deadline: None,
            backoff_limit: 6,
            backoff_limit_per_index: None,
            max_failed_indexes: None,
            pod_failure_policy: None,
            success_policy: None,
            pod_replacement: PodReplacement::TerminatingOrFailed,
            ttl_after_finished: None,
            managed_by: None,
            manual_selector: false,
            selector: Selector::default(),
            template: PodTemplate::default(),
        }
    }
}

/// Whether completions are told apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum CompletionMode {
    /// Any success counts.
    NonIndexed,
    /// Each index from 0 to `completions` − 1 must succeed once.
    Indexed,
}

/// When a pod that is being deleted is replaced.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum PodReplacement {
    /// As soon as its deletion is asked for.
    TerminatingOrFailed,
    /// When it has ended.
    Failed,
}

/// One rule of a pod failure policy.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct FailureRule {
    /// What becomes of a pod that fits.
    pub action: FailureAction,
    /// Which pods fit.
    pub on: FailurePattern,
}

/// What a pod failure policy does with a failed pod.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum FailureAction {
    /// The Job has failed.
    FailJob,
    /// The pod's index has failed.
    FailIndex,
    /// The failure does not count.
    Ignore,
    /// The failure counts, as it does without a policy.
    Count,
}

/// Which failed pods a rule fits.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum FailurePattern {
    /// A container has ended with such a code.
    ExitCodes {
        /// The container; `None` is any.
        container: Option<Name>,
        /// Whether the code must be one of the list, or none of it. Zero never fits.
        is_in: bool,
        /// The codes.
        codes: Vec<i32>,
    },
    /// The pod has one of these conditions: type and status.
    Conditions(Vec<(Name, Status3)>),
}

/// One rule of a success policy: which indexes must have succeeded, and how many of them.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct SuccessRule {
    /// The indexes that count; `None` is all.
    pub indexes: Option<Name>,
    /// How many of them must have succeeded; `None` is all.
    pub count: Option<u32>,
}

/// What the Job controller last counted.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct JobStatus {
    /// Pods that have neither ended nor are being deleted.
    pub active: u32,
    /// Of those, pods that are ready; `None` before the first count.
    pub ready: Option<u32>,
    /// Pods that are being deleted and have not ended; `None` before the first count.
    pub terminating: Option<u32>,
    /// Pods that have ended well.
    pub succeeded: u32,
    /// Pods that have ended badly, as far as they count.
    pub failed: u32,
    /// When the Job was started or last resumed, in whole seconds.
    pub started_at: Option<Time>,
    /// When the Job was complete, in whole seconds.
    pub completed_at: Option<Time>,
    /// Indexed: the indexes that have succeeded.
    pub completed_indexes: IndexSet,
    /// With a back-off limit per index: the indexes that have failed.
    pub failed_indexes: Option<IndexSet>,
    /// Pods that have ended and are about to be counted: they have, or had a moment ago, their finalizer.
    pub uncounted: Uncounted,
    /// Suspended, SuccessCriteriaMet, Complete, FailureTarget, Failed.
    pub conditions: Conditions,
}

/// Ended pods between two writes of a Job's status, by how they ended.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Uncounted {
    /// Pods that ended well.
    pub succeeded: Vec<Uid>,
    /// Pods that ended badly.
    pub failed: Vec<Uid>,
}

impl Job {
    /// Whether each completion has an index.
    pub fn is_indexed(&self) -> bool {
        self.spec.mode == CompletionMode::Indexed
    }

    /// How the Job has finished, and since when; `None` while it goes on.
    ///
    /// Source: `FinishedCondition`, pkg/controller/job/util/utils.go (v1.34.1).
    pub fn finished(&self) -> Option<(ConditionKind, Time)> {
        let ends = [ConditionKind::Complete, ConditionKind::Failed];
        ends.into_iter().find_map(|kind| {
            let condition = self.status.conditions.get(kind)?;
            (condition.status == Status3::True).then_some((kind, condition.changed_at))
        })
    }

    /// Whether the controller manager's own Job controller leaves this Job alone.
    pub fn is_managed_elsewhere(&self) -> bool {
        self.spec.managed_by.as_ref().is_some_and(|manager| **manager != *JOB_CONTROLLER)
    }
}

impl Pod {
    /// The completion index of a pod of an Indexed Job; `None` for other pods, and for what is no index.
    ///
    /// Source: `getCompletionIndex`, pkg/controller/job/indexed_job_utils.go (v1.34.1).
    pub fn completion_index(&self) -> Option<u32> {
        self.meta.annotations.get(COMPLETION_INDEX)?.parse().ok()
    }

    /// Whether the pod waits for its Job to count it.
    pub fn is_tracked_by_job(&self) -> bool {
        self.meta.finalizers.iter().any(|finalizer| **finalizer == *JOB_TRACKING)
    }

    /// What its Job sets for this pod alone, so that all pods of a Job can share one spec: host name and completion
    /// index. `None` for pods that no Indexed Job has made.
    pub fn of_index(&self) -> Option<(Name, u32)> {
        let job = self.meta.controller().filter(|owner| owner.kind == Kind::Job)?;
        let index = self.completion_index()?;
        Some((format!("{}-{index}", job.name).into(), index))
    }
}

/// A CronJob.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct CronJob {
    /// Names and labels.
    pub meta: Meta,
    /// When Jobs are made.
    pub schedule: Schedule,
    /// How late a Job may be started; `None` is any time later.
    pub starting_deadline: Option<Span>,
    /// What happens if a Job is due while an earlier one still runs.
    pub concurrency: Concurrency,
    /// Whether no Jobs are made.
    pub suspend: bool,
    /// How many complete Jobs are kept.
    pub successful_history: Option<u32>,
    /// How many failed Jobs are kept.
    pub failed_history: Option<u32>,
    /// What its Jobs are made from.
    pub template: JobTemplate,
    /// What the controller last saw.
    pub status: CronJobStatus,
}

/// What a CronJob makes Jobs from.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct JobTemplate {
    /// Labels of the Jobs.
    pub labels: Labels,
    /// Annotations of the Jobs.
    pub annotations: Labels,
    /// The Jobs' spec, shared by all of them.
    pub spec: Arc<JobSpec>,
}

/// What happens if a Job is due while an earlier one still runs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Concurrency {
    /// Both run.
    #[default]
    Allow,
    /// The new one is left out.
    Forbid,
    /// The earlier one is deleted.
    Replace,
}

/// What the CronJob controller last saw.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct CronJobStatus {
    /// Jobs that run: name and uid, in the order of their start.
    pub active: Vec<(Name, Uid)>,
    /// The newest time of the schedule for which a Job was made.
    pub last_scheduled: Option<Time>,
    /// When a Job last completed.
    pub last_successful: Option<Time>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_finished_only_by_a_condition_that_is_true() {
        use ConditionKind::{Complete, Failed, FailureTarget, Suspended};
        use Status3::{False, True, Unknown};
        type Row<'a> = (&'a [(ConditionKind, Status3)], Option<ConditionKind>);
        let table: [Row<'_>; 11] = [
            (&[], None),
            (&[(Complete, True)], Some(Complete)),
            (&[(Complete, False)], None),
            (&[(Complete, Unknown)], None),
            (&[(Failed, True)], Some(Failed)),
            (&[(Failed, False)], None),
            (&[(Failed, Unknown)], None),
            (&[(Suspended, False), (Complete, True)], Some(Complete)),
            (&[(Complete, False), (Failed, True)], Some(Failed)),
            (&[(Complete, Unknown), (Failed, False)], None),
            (&[(Suspended, True), (FailureTarget, True)], None),
        ];
        for (conditions, expected) in table {
            let mut job = Job::default();
            for (kind, status) in conditions {
                job.status.conditions.set(*kind, *status, "", "", Time::from_secs(7));
            }
            let found = job.finished();
            assert_eq!(found, expected.map(|kind| (kind, Time::from_secs(7))), "{conditions:?}");
        }
    }
}
