//! One sync of a Job: what it counts, what it concludes, and what it will write.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::id::{Revision, Uid};
use crate::model::{ConditionKind, IndexSet, Job, JobSpec, JobStatus, Phase, Pod, Status3};
use crate::time::{Span, Time};

use super::UNCOUNTED_LIMIT;
use super::backoff::{Backoff, finish_time};
use super::finish::Finish;
use super::making::{FAILURES, count, count_all};
use super::policy::{Verdict, has_failed, judge, met, replaces_only_failed};
use super::roster::Roster;
use crate::model::FailureAction;

/// A sync between two stages.
pub(in crate::controllers) struct Sync {
    pub(super) job: Arc<Job>,
    /// The version that the next status is made from.
    pub(super) version: Option<Revision>,
    /// The status as it will be written.
    pub(super) status: JobStatus,
    /// Whether pods may be made and deleted.
    pub(super) satisfied: bool,
    /// Pods that have ended or are being deleted and have yet to be counted, by completion index.
    pub(super) uncounted: Vec<Arc<Pod>>,
    /// Active pods that wait to be counted, as far as this sync has to do with them.
    pub(super) others: Vec<Arc<Pod>>,
    pub(super) active: u32,
    pub(super) ready: u32,
    pub(super) terminating: u32,
    pub(super) succeeded: u32,
    pub(super) failed: u32,
    pub(super) backoff: Backoff,
    pub(super) finish: Option<Finish>,
    /// Indexed: what had succeeded before, and what has by now.
    before: IndexSet,
    pub(super) indexes: IndexSet,
    /// With a back-off limit per index: what has failed by now.
    pub(super) failed_indexes: Option<IndexSet>,
    /// With a back-off limit per index: the failed pod of each index that waits for its replacement.
    pub(super) delayed: BTreeMap<u32, Arc<Pod>>,
    /// Whether the status must be written.
    pub(super) needs_flush: bool,
    /// Pods whose finalizers will be taken off.
    pub(super) to_release: Vec<Arc<Pod>>,
    /// Uids of pods that have their finalizers.
    pub(super) tracked: BTreeSet<Uid>,
    pub(super) reached_limit: bool,
    /// Whether a request has failed.
    pub(super) failed_sync: bool,
    /// Whether the status that is being written ends the Job.
    pub(super) ends: bool,
    /// Whether the Job was found suspended or resumed.
    pub(super) suspension_changed: bool,
}

/// What a sync knows of the pods: their counts, and those that have yet to be counted.
pub(super) struct Found {
    pub(super) roster: Arc<Roster>,
    pub(super) uncounted: Vec<Arc<Pod>>,
}

impl Sync {
    /// Counts, and concludes whether the Job is over. `backoff` is what was remembered of earlier failures.
    ///
    /// Source: `syncJob`.
    pub(super) fn new(
        (job, version): (Arc<Job>, Option<Revision>),
        satisfied: bool,
        found: &Found,
        backoff: Backoff,
        now: Time,
    ) -> Sync {
        let spec = &job.spec;
        let mut status = job.status.clone();
        if status.started_at.is_none() && !spec.suspend {
            status.started_at = Some(now);
        }
        let fits = |pod: &&Arc<Pod>| !job.is_indexed() || index_of(spec, pod).is_some();
        let fresh = |known: &[Uid], wanted: &dyn Fn(&Pod) -> bool| -> Vec<&Arc<Pod>> {
            let known: BTreeSet<&Uid> = known.iter().collect();
            let new = found.uncounted.iter().filter(fits).filter(|pod| !known.contains(&pod.meta.uid));
            new.filter(|pod| wanted(pod)).collect()
        };
        let succeeded = fresh(&status.uncounted.succeeded, &|pod| pod.status.phase == Phase::Succeeded);
        let failed = fresh(&status.uncounted.failed, &|pod| has_failed(spec, pod));
        let counted = failed.iter().filter(|pod| judge(spec, pod).counts).count() as u32;
        let ends = |pods: &[&Arc<Pod>]| pods.iter().map(|pod| finish_time(pod)).collect::<Vec<_>>();
        let backoff = backoff.after(&ends(&succeeded), &ends(&failed));
        let mut sync = Sync {
            succeeded: status.succeeded + (succeeded.len() + status.uncounted.succeeded.len()) as u32,
            failed: status.failed + counted + status.uncounted.failed.len() as u32,
            version,
            satisfied,
            uncounted: found.uncounted.clone(),
            others: Vec::new(),
            active: found.roster.active_count,
            ready: found.roster.ready,
            terminating: found.roster.terminating,
            backoff,
            finish: None,
            before: IndexSet::default(),
            indexes: IndexSet::default(),
            failed_indexes: None,
            delayed: BTreeMap::new(),
            needs_flush: false,
            to_release: Vec::new(),
            tracked: BTreeSet::new(),
            reached_limit: false,
            failed_sync: false,
            ends: false,
            suspension_changed: false,
            status,
            job: job.clone(),
        };
        sync.conclude(found, now);
        sync
    }

    fn spec(&self) -> &JobSpec {
        &self.job.spec
    }

    fn completions(&self) -> u32 {
        self.spec().completions.unwrap_or(0)
    }

    /// Whether the Job is over: what was found before stands; then failure, then success.
    fn conclude(&mut self, found: &Found, now: Time) {
        let job = self.job.clone();
        let spec = &job.spec;
        let before = Finish::of(&self.status, ConditionKind::SuccessCriteriaMet, ConditionKind::SuccessCriteriaMet);
        let failure = || Finish::of(&self.status, ConditionKind::FailureTarget, ConditionKind::Failed);
        self.finish = before.or_else(failure).or_else(|| self.failed_by_policy()).or_else(|| {
            let target = |reason, message| Some(Finish::new(ConditionKind::FailureTarget, reason, message));
            if self.failed > spec.backoff_limit || too_many_restarts(spec, &found.roster) {
                return target("BackoffLimitExceeded", "Job has reached the specified backoff limit");
            }
            let past = self.deadline_left(now).is_some_and(|left| left == Span::ZERO);
            if past { target("DeadlineExceeded", "Job was active longer than specified deadline") } else { None }
        });
        if !job.is_indexed() {
            return;
        }
        let succeeded = self.uncounted.iter().filter(|pod| pod.status.phase == Phase::Succeeded);
        let new = IndexSet::of(succeeded.filter_map(|pod| index_of(spec, pod)));
        self.before = self.status.completed_indexes.below(self.completions());
        self.indexes = self.before.union(&new);
        self.succeeded = self.indexes.len();
        if spec.backoff_limit_per_index.is_some() {
            self.conclude_by_index(found);
        }
        if self.finish.is_none()
            && let Some(message) =
                met(spec.success_policy.as_deref().unwrap_or_default(), self.completions(), &self.indexes)
        {
            self.finish = Some(Finish::new(ConditionKind::SuccessCriteriaMet, "SuccessPolicy", &message));
        }
    }

    fn failed_by_policy(&self) -> Option<Finish> {
        let mut failed = self.uncounted.iter().filter(|pod| has_failed(self.spec(), pod));
        let message = failed.find_map(|pod| judge(self.spec(), pod).fails_job)?;
        Some(Finish::new(ConditionKind::FailureTarget, "PodFailurePolicy", &message))
    }

    fn conclude_by_index(&mut self, found: &Found) {
        let spec = &self.job.spec;
        let known = self.status.failed_indexes.as_ref().map(|known| known.below(self.completions()));
        let new = self.uncounted.iter().filter(|pod| fails_its_index(spec, pod));
        let failed = known.unwrap_or_default().union(&IndexSet::of(new.filter_map(|pod| index_of(spec, pod))));
        if self.finish.is_none() {
            let target = |reason, message| Some(Finish::new(ConditionKind::FailureTarget, reason, message));
            if spec.max_failed_indexes.is_some_and(|limit| failed.len() > limit) {
                let message = "Job has exceeded the specified maximal number of failed indexes";
                self.finish = target("MaxFailedIndexesExceeded", message);
            } else if !failed.is_empty() && failed.len() + self.indexes.len() >= self.completions() {
                self.finish = target("FailedIndexes", "Job has failed indexes");
            }
        }
        self.delayed = self.waiting_for_replacement(&found.roster, &failed);
        self.failed_indexes = Some(failed);
    }

    /// The failed pods whose indexes go on without an active pod: each hands its count of failures on to the next, so
    /// it is kept until that is there. Of several, the last.
    ///
    /// Source: `getPodsWithDelayedDeletionPerIndex`.
    fn waiting_for_replacement(&self, roster: &Roster, failed: &IndexSet) -> BTreeMap<u32, Arc<Pod>> {
        let mut waiting: BTreeMap<u32, Arc<Pod>> = BTreeMap::new();
        for pod in self.uncounted.iter().filter(|pod| has_failed(self.spec(), pod)) {
            let Some(index) = index_of(self.spec(), pod) else { continue };
            if self.indexes.contains(index) || failed.contains(index) || roster.is_active(index) {
                continue;
            }
            let is_later =
                |before: &Arc<Pod>| count_all(before) <= count_all(pod) && finish_time(before) <= finish_time(pod);
            if waiting.get(&index).is_none_or(is_later) {
                waiting.insert(index, pod.clone());
            }
        }
        waiting
    }

    /// How long the Job may still be active; `None` without a deadline, and while it is suspended.
    pub(super) fn deadline_left(&self, now: Time) -> Option<Span> {
        let deadline = self.spec().active_deadline.filter(|_| !self.spec().suspend)?;
        Some(self.status.started_at?.saturating_add(deadline).since(now))
    }

    /// Whether enough pods have succeeded and none is active.
    pub(super) fn is_complete(&self) -> bool {
        self.active == 0 && self.spec().completions.map_or(self.succeeded > 0, |wanted| self.succeeded >= wanted)
    }

    /// Says in the status whether the Job is suspended. A Job that was not, and is not, says nothing.
    pub(super) fn note_suspension(&mut self, now: Time) {
        let conditions = &mut self.status.conditions;
        if self.job.spec.suspend {
            let (reason, message) = ("JobSuspended", "Job suspended");
            self.suspension_changed = conditions.set(ConditionKind::Suspended, Status3::True, reason, message, now);
        } else if conditions.get(ConditionKind::Suspended).is_some() {
            let (reason, message) = ("JobResumed", "Job resumed");
            self.suspension_changed = conditions.set(ConditionKind::Suspended, Status3::False, reason, message, now);
            if self.suspension_changed {
                self.status.started_at = Some(now);
            }
        }
    }

    /// Whether active pods matter to what is counted: they do when they are all let go, and when some of them could
    /// have been noted in the status.
    pub(super) fn needs_others(&self) -> bool {
        let uncounted = &self.status.uncounted;
        let all_go = self.finish.is_some() || self.job.meta.is_terminating();
        all_go || !uncounted.succeeded.is_empty() || !uncounted.failed.is_empty()
    }

    /// Takes the counts into the status, and picks the pods that are counted next.
    ///
    /// Source: `trackJobStatusAndRemoveFinalizers`.
    pub(super) fn track(&mut self, now: Time) {
        let job = self.job.clone();
        let counts = (Some(self.ready), Some(self.terminating));
        self.needs_flush |= self.suspension_changed
            || self.active != self.status.active
            || counts != (self.status.ready, self.status.terminating);
        self.status.active = self.active;
        (self.status.ready, self.status.terminating) = counts;
        self.status.started_at = self.status.started_at.map(Time::whole_second);
        let mut pods = std::mem::take(&mut self.uncounted);
        let active_pods = std::mem::take(&mut self.others);
        let all_go = self.finish.is_some() || job.meta.is_terminating();
        self.tracked = pods.iter().chain(&active_pods).map(|pod| pod.meta.uid).collect();
        if all_go {
            pods.extend(active_pods);
            if job.is_indexed() {
                pods.sort_by_key(|pod| pod.completion_index());
            }
        }
        self.needs_flush |= self.count_released();
        let known = Known::of(&self.status);
        let mut new_indexes = 0;
        for pod in pods {
            let failed = has_failed(&job.spec, &pod);
            if !(all_go || pod.status.phase == Phase::Succeeded || failed && !self.waits(&pod)) {
                continue;
            }
            new_indexes += usize::from(self.count(&job, &pod, failed, &known));
            self.to_release.push(pod);
            let uncounted = &self.status.uncounted;
            if new_indexes + uncounted.succeeded.len() + uncounted.failed.len() >= UNCOUNTED_LIMIT {
                self.reached_limit = true;
                break;
            }
        }
        if job.is_indexed() {
            self.needs_flush |= self.indexes != self.status.completed_indexes;
            self.status.succeeded = self.indexes.len();
            self.status.completed_indexes = self.indexes.clone();
            self.needs_flush |= self.failed_indexes != self.status.failed_indexes;
            self.status.failed_indexes = self.failed_indexes.clone();
        }
        self.note_interim(now);
    }

    /// Whether a failed pod is kept until its index has another.
    fn waits(&self, pod: &Pod) -> bool {
        let waiting = pod.completion_index().and_then(|index| self.delayed.get(&index));
        waiting.is_some_and(|waiting| waiting.meta.uid == pod.meta.uid)
    }

    /// Notes one pod as about to be counted; returns whether its index has newly succeeded.
    fn count(&mut self, job: &Job, pod: &Pod, failed: bool, known: &Known) -> bool {
        let index = index_of(&job.spec, pod);
        let uncounted = &mut self.status.uncounted;
        let uid = pod.meta.uid;
        if pod.status.phase == Phase::Succeeded && !known.failed.contains(&uid) {
            if job.is_indexed() {
                // The index is enough to count a success once.
                let is_new = index.is_some_and(|index| !self.before.contains(index));
                self.needs_flush |= is_new;
                return is_new;
            }
            if !known.succeeded.contains(&uid) {
                uncounted.succeeded.push(uid);
                self.needs_flush = true;
            }
        } else if failed || self.finish.as_ref().is_some_and(|finish| !finish.succeeds()) {
            // When a Job has failed, each pod that has not ended counts as failed.
            let fits = !job.is_indexed() || index.is_some();
            if fits && !known.failed.contains(&uid) && judge(&job.spec, pod).counts {
                uncounted.failed.push(uid);
                self.needs_flush = true;
            }
        }
        false
    }

    /// Writes the condition that comes before the last one, and makes that the aim.
    fn note_interim(&mut self, now: Time) {
        let Some(finish) = &mut self.finish else { return };
        let last = match finish.kind {
            ConditionKind::FailureTarget => ConditionKind::Failed,
            ConditionKind::SuccessCriteriaMet => ConditionKind::Complete,
            _ => return,
        };
        let (reason, message) = (&finish.reason, &finish.message);
        if !self.status.conditions.is_true(finish.kind) {
            self.status.conditions.set(finish.kind, Status3::True, reason, message, now);
            self.needs_flush = true;
        }
        finish.kind = last;
    }

    /// Counts the uncounted pods that have lost their finalizers; returns whether there were any.
    ///
    /// Source: `cleanUncountedPodsWithoutFinalizers`.
    pub(super) fn count_released(&mut self) -> bool {
        let Sync { status, tracked, .. } = self;
        let release = |uids: &mut Vec<Uid>, count: &mut u32| {
            let before = uids.len();
            uids.retain(|uid| tracked.contains(uid));
            *count += (before - uids.len()) as u32;
            before != uids.len()
        };
        let succeeded = release(&mut status.uncounted.succeeded, &mut status.succeeded);
        release(&mut status.uncounted.failed, &mut status.failed) || succeeded
    }

    /// Writes the last condition if nothing is left to be counted or to end; returns whether the Job is finished.
    ///
    /// Source: `enactJobFinished`.
    pub(super) fn enact(&mut self, now: Time) -> bool {
        let Some(finish) = &self.finish else { return false };
        let uncounted = &self.status.uncounted;
        let open = !uncounted.succeeded.is_empty() || !uncounted.failed.is_empty() || self.terminating > 0;
        if self.reached_limit || open {
            return false;
        }
        self.status.conditions.set(finish.kind, Status3::True, &finish.reason, &finish.message, now);
        if finish.kind == ConditionKind::Complete {
            self.status.completed_at = Some(now.whole_second());
        }
        true
    }

    /// The indexes that may get a pod now, at most so many.
    ///
    /// Source: `firstPendingIndexes`.
    pub(super) fn pending_indexes(&self, roster: &Roster, wanted: usize) -> Vec<u32> {
        let mut taken = self.indexes.union(&roster.active_indexes());
        if replaces_only_failed(self.spec()) {
            taken = taken.union(&roster.ending_indexes());
        }
        if let Some(failed) = &self.failed_indexes {
            taken = taken.union(failed);
        }
        taken.first_absent(wanted, self.completions())
    }

    /// How many pods shall be active.
    pub(super) fn wanted(&self) -> u32 {
        match self.spec().completions {
            None if self.succeeded > 0 => self.active,
            None => self.spec().parallelism,
            Some(completions) => completions.saturating_sub(self.succeeded).min(self.spec().parallelism),
        }
    }
}

/// The pods that an earlier sync has noted as about to be counted.
struct Known {
    succeeded: BTreeSet<Uid>,
    failed: BTreeSet<Uid>,
}

impl Known {
    fn of(status: &JobStatus) -> Known {
        let set = |uids: &[Uid]| uids.iter().copied().collect();
        Known { succeeded: set(&status.uncounted.succeeded), failed: set(&status.uncounted.failed) }
    }
}

/// A pod's completion index if it is one of the Job's.
fn index_of(spec: &JobSpec, pod: &Pod) -> Option<u32> {
    pod.completion_index().filter(|index| spec.completions.is_some_and(|completions| *index < completions))
}

/// Source: `isIndexFailed`.
fn fails_its_index(spec: &JobSpec, pod: &Pod) -> bool {
    if !has_failed(spec, pod) {
        return false;
    }
    let Verdict { counts, action, .. } = judge(spec, pod);
    let limit = spec.backoff_limit_per_index.unwrap_or(u32::MAX);
    action == Some(FailureAction::FailIndex) || counts && count(pod, FAILURES) >= limit
}

/// Source: `pastBackoffLimitOnFailure`.
fn too_many_restarts(spec: &JobSpec, roster: &Roster) -> bool {
    let on_failure = spec.template.spec.restart_policy == crate::model::RestartPolicy::OnFailure;
    on_failure && roster.restarts >= u64::from(spec.backoff_limit.max(1))
}
