//! The pods of each Job, counted and sorted as they change, so that a sync looks only at pods that have ended.
//!
//! Invariant: a roster says what a look at every pod of its Job would say; `sync` compares the two in debug builds.
//! Pods that have ended and have been counted (no finalizer any more) are in no roster: a Job of a million completions
//! costs no more than the pods that it has now.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::controllers::managing;
use crate::id::{RowId, Uid};
use crate::model::{IndexSet, Job, Phase, Pod};
use crate::store::View;

/// The pods of one Job that its selector matches.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Roster {
    /// Pods that have neither ended nor are being deleted, by completion index.
    active: BTreeMap<Option<u32>, BTreeSet<RowId>>,
    /// How many those are.
    pub(super) active_count: u32,
    /// Of those, ready ones.
    pub(super) ready: u32,
    /// Pods that are being deleted and have not ended, by completion index.
    ending: BTreeMap<Option<u32>, BTreeSet<RowId>>,
    /// How many those are.
    pub(super) terminating: u32,
    /// Pods that have ended or are being deleted and have yet to be counted, by completion index.
    uncounted: BTreeSet<(Option<u32>, RowId)>,
    /// How often the containers of pods that have not ended were started again.
    pub(super) restarts: u64,
    /// Pods that name the Job and are not selected.
    strangers: BTreeSet<RowId>,
}

/// Where a pod is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Standing {
    job: Uid,
    selected: bool,
    index: Option<u32>,
    ended: bool,
    terminating: bool,
    tracked: bool,
    ready: bool,
    restarts: u32,
}

/// The rosters of all Jobs.
#[derive(Default)]
pub(super) struct Rosters {
    /// Shared with a sync while it looks; nobody else holds one, so that changes copy nothing.
    by_job: BTreeMap<Uid, Arc<Roster>>,
    standings: BTreeMap<RowId, Standing>,
}

impl Rosters {
    /// A row has become another pod; `None` is absence.
    pub(super) fn note(&mut self, view: View<'_>, row: RowId, pod: Option<&Pod>) {
        let new = pod.and_then(|pod| standing(view, pod));
        let old = match new {
            Some(new) => self.standings.insert(row, new),
            None => self.standings.remove(&row),
        };
        if old == new {
            return;
        }
        if let Some(old) = old {
            let roster = self.by_job.get_mut(&old.job).expect("the Job of a noted pod has a roster");
            let roster = Arc::make_mut(roster);
            roster.take_out(row, &old);
            if roster.is_empty() {
                self.by_job.remove(&old.job);
            }
        }
        if let Some(new) = new {
            Arc::make_mut(self.by_job.entry(new.job).or_default()).put_in(row, &new);
        }
    }

    /// Whether a row is a pod of a Job.
    pub(super) fn has(&self, row: RowId) -> bool {
        self.standings.contains_key(&row)
    }

    /// The roster of a Job; `None` if it has no pods.
    pub(super) fn of(&self, job: Uid) -> Option<&Arc<Roster>> {
        self.by_job.get(&job)
    }
}

impl Roster {
    /// The roster as a look at every pod gives it.
    pub(super) fn walked(view: View<'_>, job: Uid) -> Arc<Roster> {
        let mut rosters = Rosters::default();
        for (row, pod) in view.controlled_by::<Pod>(job) {
            rosters.note(view, row, Some(pod));
        }
        rosters.by_job.remove(&job).unwrap_or_default()
    }

    /// The rows of active pods, by completion index.
    pub(super) fn active_rows(&self) -> impl Iterator<Item = RowId> {
        self.active.values().flatten().copied()
    }

    /// The rows of pods that have ended or are being deleted and have yet to be counted, by completion index.
    pub(super) fn uncounted_rows(&self) -> impl Iterator<Item = RowId> {
        self.uncounted.iter().map(|(_, row)| *row)
    }

    /// The rows of pods that name the Job and are not selected.
    pub(super) fn stranger_rows(&self) -> impl Iterator<Item = RowId> {
        self.strangers.iter().copied()
    }

    /// The completion indexes of active pods.
    pub(super) fn active_indexes(&self) -> IndexSet {
        IndexSet::of(self.active.keys().copied().flatten())
    }

    /// Whether an active pod has this completion index.
    pub(super) fn is_active(&self, index: u32) -> bool {
        self.active.contains_key(&Some(index))
    }

    /// The completion indexes of pods that are being deleted and have not ended.
    pub(super) fn ending_indexes(&self) -> IndexSet {
        IndexSet::of(self.ending.keys().copied().flatten())
    }

    /// Whether some active pods of an Indexed Job have to go: of one index, without one, or beyond the last.
    pub(super) fn has_misfits(&self, completions: u32) -> bool {
        let beyond = self.active.last_key_value().is_some_and(|(index, _)| index.is_some_and(|it| it >= completions));
        beyond || self.active.contains_key(&None) || self.active.len() < self.active_count as usize
    }

    /// Counts a pod that the Job has adopted and that the watch has yet to show as its own.
    pub(super) fn adopt(&mut self, job: &Job, row: RowId, pod: &Pod) {
        let standing = Standing { tracked: true, ..standing_of(job, pod) };
        self.put_in(row, &standing);
    }

    fn put_in(&mut self, row: RowId, pod: &Standing) {
        if !pod.selected {
            self.strangers.insert(row);
            return;
        }
        if pod.ended || pod.terminating {
            if pod.tracked {
                self.uncounted.insert((pod.index, row));
            }
        } else {
            self.active.entry(pod.index).or_default().insert(row);
            self.active_count += 1;
            self.ready += u32::from(pod.ready);
        }
        if !pod.ended {
            self.restarts += u64::from(pod.restarts);
            if pod.terminating {
                self.ending.entry(pod.index).or_default().insert(row);
                self.terminating += 1;
            }
        }
    }

    fn take_out(&mut self, row: RowId, pod: &Standing) {
        if !pod.selected {
            self.strangers.remove(&row);
            return;
        }
        if pod.ended || pod.terminating {
            self.uncounted.remove(&(pod.index, row));
        } else {
            remove(&mut self.active, pod.index, row);
            self.active_count -= 1;
            self.ready -= u32::from(pod.ready);
        }
        if !pod.ended {
            self.restarts -= u64::from(pod.restarts);
            if pod.terminating {
                remove(&mut self.ending, pod.index, row);
                self.terminating -= 1;
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.active.is_empty() && self.ending.is_empty() && self.uncounted.is_empty() && self.strangers.is_empty()
    }
}

fn remove(groups: &mut BTreeMap<Option<u32>, BTreeSet<RowId>>, index: Option<u32>, row: RowId) {
    let rows = groups.get_mut(&index).expect("the index of a noted pod is there");
    let was_there = rows.remove(&row);
    assert!(was_there, "a pod leaves that never came: {row:?}");
    if rows.is_empty() {
        groups.remove(&index);
    }
}

/// Where a pod is counted; `None` for pods of others, and for those that are over and done with.
fn standing(view: View<'_>, pod: &Pod) -> Option<Standing> {
    let (_, job) = managing::<Job>(view, &pod.meta)?;
    let standing = standing_of(job, pod);
    let is_done = standing.ended && !standing.tracked && standing.selected;
    (!is_done).then_some(standing)
}

fn standing_of(job: &Job, pod: &Pod) -> Standing {
    let restarts = pod.status.containers.iter().chain(&pod.status.init_containers).map(|container| container.restarts);
    let counts_restarts = matches!(pod.status.phase, Phase::Pending | Phase::Running);
    Standing {
        job: job.meta.uid,
        selected: job.spec.selector.matches(&pod.meta.labels),
        index: pod.completion_index(),
        ended: pod.is_finished(),
        terminating: pod.meta.is_terminating(),
        tracked: pod.is_tracked_by_job(),
        ready: pod.is_ready(),
        restarts: if counts_restarts { restarts.sum() } else { 0 },
    }
}
