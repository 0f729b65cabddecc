//! One pod's life as facts tell it.

use wavetank_core::digest::Shared;
use wavetank_core::facts::What;
use wavetank_core::id::literal;
use wavetank_core::model::{ObjectKey, Pod, PodSpec, Resources};
use wavetank_core::store::View;
use wavetank_core::time::Time;
use wavetank_reports::record::{PodRow, Text};

use super::{Detail, History, subject_of};

/// A pod's row and what is needed to count it.
pub(super) struct PodState {
    pub(super) row: PodRow,
    /// How the account names it; empty if there is none.
    pub(super) subject: Text,
    /// Its spec from the time on at which it is bound, if somebody will read the allocation.
    spec: Option<Shared<PodSpec>>,
    ready: bool,
}

impl PodState {
    pub(super) fn new(key: &ObjectKey, subject: Text, owner: Text, at: Time) -> PodState {
        let row = PodRow::created(key.namespace.clone(), key.name.clone(), owner, at.0);
        PodState { row, subject, spec: None, ready: false }
    }

    pub(super) fn take(&mut self, at: Time, what: &What) {
        let row = &mut self.row;
        match what {
            What::Scheduled { node } => {
                row.node = Some(node.clone());
                row.scheduled_ns = Some(at.0);
                row.reason = Text::new();
            }
            What::FailedScheduling { .. } => row.reason = literal!("Unschedulable"),
            What::Pulled { .. } if row.started_ns.is_none() => row.pulled_ns = Some(at.0),
            What::PullFailed { .. } => row.reason = literal!("ErrImagePull"),
            What::Started { restarts, .. } => row.restarts += u64::from(*restarts > 0),
            What::BackOff { .. } => row.reason = literal!("CrashLoopBackOff"),
            What::Running => {
                row.phase = literal!("Running");
                row.reason = Text::new();
                row.started_ns.get_or_insert(at.0);
            }
            What::Ready => {
                self.ready = true;
                row.reason = Text::new();
                row.ready_ns.get_or_insert(at.0);
            }
            What::Unready { reason } => {
                self.ready = false;
                // Of a pod that has ended, the condition's reason says no more than the phase.
                if !is_over(row) {
                    row.reason = reason.clone();
                }
            }
            What::Succeeded => {
                self.ready = false;
                row.phase = literal!("Succeeded");
                row.reason = Text::new();
            }
            What::Failed { reason } | What::Rejected { reason, .. } => {
                self.ready = false;
                row.phase = literal!("Failed");
                row.reason = reason.clone();
            }
            What::Evicted { .. } => row.reason = literal!("TaintManagerEviction"),
            What::DeletionRequested => {
                row.deleted_ns.get_or_insert(at.0);
            }
            What::Deleted => {
                row.gone_ns = Some(at.0);
                row.deleted_ns.get_or_insert(at.0);
            }
            _ => {}
        }
    }

    /// The pod's column in `POD_PHASES`; `None` once it is gone.
    pub(super) fn phase_column(&self) -> Option<usize> {
        let row = &self.row;
        if row.gone_ns.is_some() {
            return None;
        }
        Some(match (row.phase.as_str(), self.ready, row.deleted_ns, row.scheduled_ns) {
            (_, _, Some(_), _) => 4,
            ("Failed", ..) => 5,
            ("Succeeded", ..) => 6,
            ("Running", true, ..) => 0,
            ("Running", false, ..) => 1,
            (_, _, _, Some(_)) => 2,
            (_, _, _, None) => 3,
        })
    }

    /// Whether it takes room on its node.
    pub(super) fn holds(&self) -> bool {
        self.row.node.is_some() && self.row.gone_ns.is_none() && !is_over(&self.row)
    }
}

/// Whether a pod has ended.
fn is_over(row: &PodRow) -> bool {
    matches!(row.phase.as_str(), "Failed" | "Succeeded")
}

/// What the scheduler sets aside for a pod.
///
/// Source: `PodRequests`, staging/src/k8s.io/component-helpers/resource/helpers.go (v1.34.1).
fn requests(spec: &PodSpec) -> Resources {
    let mut sum = spec.requested();
    sum.add(&spec.overhead);
    sum
}

impl History {
    /// Takes in a fact of a pod and gives its place in `pods`; `None` for a pod of whose creation nothing was told.
    pub(super) fn pod(&mut self, at: Time, key: &ObjectKey, what: &What, view: View<'_>) -> Option<usize> {
        let names = (key.namespace.clone(), key.name.clone());
        if let What::Created { owner } = what {
            let place = self.pods.len();
            self.living.insert(names, place);
            let subject = if self.detail >= Detail::Account { subject_of(key).into() } else { Text::new() };
            let owner = self.words.of(owner);
            self.pods.push(PodState::new(key, subject, owner, at));
            self.count(at, None, self.pods[place].phase_column());
            return Some(place);
        }
        let &place = self.living.get(&names)?;
        let before = self.pods[place].phase_column();
        let held = self.pods[place].holds();
        if let (What::Scheduled { .. }, Detail::Everything) = (what, self.detail) {
            self.pods[place].spec = view.find::<Pod>(&key.namespace, &key.name).map(|(_, pod)| pod.spec.clone());
        }
        self.pods[place].take(at, what);
        let after = self.pods[place].phase_column();
        let holds = self.pods[place].holds();
        self.count(at, before, after);
        if held != holds {
            self.occupy(at, place, if holds { 1 } else { -1 });
        }
        if matches!(what, What::Deleted) {
            self.living.remove(&names);
        }
        Some(place)
    }

    /// A pod takes room on its node or gives it back.
    fn occupy(&mut self, at: Time, place: usize, sign: i64) {
        let pod = &self.pods[place];
        let Some(node) = pod.row.node.as_deref().and_then(|node| self.node_places.get(node)) else { return };
        let node = &mut self.nodes[*node];
        node.pods += sign;
        node.row.pods_max = node.row.pods_max.max(u64::try_from(node.pods).unwrap_or(0));
        if let Some(spec) = &pod.spec {
            self.allocation.take(at, &node.row.zone, &requests(spec), sign);
        }
    }

    fn count(&mut self, at: Time, before: Option<usize>, after: Option<usize>) {
        if before == after {
            return;
        }
        before.into_iter().for_each(|column| self.by_phase[column] -= 1);
        after.into_iter().for_each(|column| self.by_phase[column] += 1);
        self.pod_steps.push(at, &self.by_phase);
    }
}
