//! When the node lifecycle last heard of a node, by its own clock.
//!
//! A sign of life is not a time that the node names but the pass that first saw it. The lease and the Ready condition
//! are two sources of such signs. For a node that the world vouches for, no renewal is delivered; when it ceases to
//! vouch, [`Health::cease`] replays the passes since and arrives at what each delivery would have led to. Source:
//! `tryUpdateNodeHealth`, pkg/controller/nodelifecycle/node_lifecycle_controller.go (v1.34.1).

use std::collections::VecDeque;

use crate::controllers::node_lifecycle::zones::ZoneKey;
use crate::id::Uid;
use crate::model::{Condition, ConditionKind, Node, Status3};
use crate::time::Time;

/// The conditions that become Unknown when a kubelet falls silent; NetworkUnavailable is not the kubelet's.
const KUBELET_CONDITIONS: [ConditionKind; 4] =
    [ConditionKind::Ready, ConditionKind::MemoryPressure, ConditionKind::DiskPressure, ConditionKind::PidPressure];
/// How many passes are remembered: 64 × 5 s, far more than the four newest renewals span.
const PASSES: usize = 64;

/// The times of the newest passes.
#[derive(Default)]
pub(super) struct Passes {
    times: VecDeque<Time>,
    forgotten: u64,
}

impl Passes {
    /// Notes that a pass begins.
    pub(super) fn begin(&mut self, now: Time) {
        self.times.push_back(now);
        if self.times.len() > PASSES {
            self.times.pop_front();
            self.forgotten += 1;
        }
    }

    /// How many passes there have been.
    fn count(&self) -> u64 {
        self.forgotten + self.times.len() as u64
    }

    /// The time of a pass that is remembered.
    fn time(&self, number: u64) -> Option<Time> {
        self.times.get(usize::try_from(number.checked_sub(self.forgotten)?).ok()?).copied()
    }
}

/// A sign of life, or what stands for one, in the Ready condition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Report {
    /// The condition is as it was.
    None,
    /// The condition has been written since the last pass, or the node is new.
    Fresh,
    /// The node is new and has no Ready condition: it counts from the second of its creation.
    NeverSince(Time),
}

/// What the passes have seen of a node's signs of life.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
struct Contact {
    /// The pass that saw the newest sign; `None` before the first pass.
    probe: Option<Time>,
    /// Whether there is a lease at all.
    lease: bool,
    /// Whether a renewal has come that no pass has seen.
    renewed: bool,
    /// Whether the last pass took note of the lease. A report of the Ready condition makes it forget (Kubernetes
    /// replaces the whole record), so the pass after counts the lease as new, renewed or not.
    noted: bool,
}

impl Contact {
    fn renew(&mut self) {
        self.lease = true;
        self.renewed = true;
    }

    fn pass(&mut self, now: Time, report: Report) {
        let news = self.lease && (!self.noted || self.renewed);
        match report {
            Report::None => {}
            Report::Fresh => {
                self.probe = Some(now);
                self.noted = false;
            }
            Report::NeverSince(created) => self.probe = Some(created),
        }
        if news {
            self.probe = Some(now);
            self.noted = true;
        }
        self.renewed = false;
    }
}

/// What the world's word stands for.
struct Vouch {
    /// The first pass under it.
    from: u64,
    /// The first pass under it that has looked at the node: until the view shows a node none does.
    looks_from: Option<u64>,
    /// The reports that passes under it have seen, by pass.
    reports: Vec<(u64, Report)>,
}

/// What is known of one node.
#[derive(Default)]
pub(super) struct Health {
    contact: Contact,
    vouch: Option<Vouch>,
    /// Whether a pass has looked at the node, under whatever identity.
    seen: bool,
    /// The Ready condition as of the last report, or as this controller has written it since.
    ready: Option<Condition>,
    /// The identity that the node had when a pass first saw it, if it was there in the last pass.
    pub(super) known: Option<Uid>,
    /// Whether its pods could not all be marked and must be tried again.
    pub(super) retry: bool,
    /// As what the node counts in its zone.
    pub(super) counted: Option<(ZoneKey, bool)>,
}

impl Health {
    /// A renewal has been delivered.
    pub(super) fn renew(&mut self) {
        self.contact.renew();
    }

    /// Whether the world vouches for the node's renewals.
    pub(super) fn is_vouched(&self) -> bool {
        self.vouch.is_some()
    }

    /// The Ready status as last seen or written; `None` if there is no Ready condition.
    pub(super) fn ready_status(&self) -> Option<Status3> {
        self.ready.as_ref().map(|ready| ready.status)
    }

    /// The world vouches from here on.
    pub(super) fn vouch(&mut self, passes: &Passes) {
        if self.vouch.is_none() {
            let from = passes.count();
            self.vouch = Some(Vouch { from, looks_from: self.seen.then_some(from), reports: Vec::new() });
        }
    }

    /// The world ceases to vouch. `delivered` are the newest times at which renewals would have been delivered, oldest
    /// first.
    pub(super) fn cease(&mut self, passes: &Passes, delivered: &[Time]) {
        let Some(vouch) = self.vouch.take() else { return };
        let Some(mut from) = vouch.looks_from else {
            if !delivered.is_empty() {
                self.contact.renew();
            }
            return;
        };
        if from > vouch.from && passes.time(from - 1).is_some_and(|before| delivered.iter().any(|at| *at <= before)) {
            // Before the first look, which hears of it.
            self.contact.renew();
        }
        if from < passes.forgotten {
            // So long ago that only the list matters: every pass of the list's span is remembered.
            from = passes.forgotten;
            self.contact.lease = true;
            self.contact.noted = true;
            self.contact.renewed = false;
        }
        let mut before = from.checked_sub(1).and_then(|number| passes.time(number));
        for number in from..passes.count() {
            let now = passes.time(number).expect("the pass is remembered");
            if delivered.iter().any(|at| *at <= now && before.is_none_or(|before| *at > before)) {
                self.contact.renew();
            }
            let report = vouch.reports.iter().find(|(pass, _)| *pass == number);
            self.contact.pass(now, report.map_or(Report::None, |(_, report)| *report));
            before = Some(now);
        }
        if delivered.iter().any(|at| before.is_none_or(|before| *at > before)) {
            self.contact.renew();
        }
    }

    /// A pass looks at the node. Returns the newest sign of life, or `None` if the world vouches for one.
    pub(super) fn look(&mut self, node: &Node, passes: &Passes, now: Time) -> Option<Time> {
        let current = node.status.conditions.get(ConditionKind::Ready);
        let report = match (self.seen, &self.ready, &current) {
            (false, _, None) => Report::NeverSince(node.meta.created_at.whole_second()),
            (false, ..) => Report::Fresh,
            (true, None, None) => Report::None,
            // A view that is behind this controller's own write is no sign of life: its transition is the older one.
            (true, Some(saved), Some(current)) if !is_newer(saved, current) => Report::None,
            (true, ..) => Report::Fresh,
        };
        self.seen = true;
        if report != Report::None {
            self.ready = current;
        }
        if let Some(vouch) = &mut self.vouch {
            vouch.looks_from.get_or_insert(passes.count() - 1);
            vouch.reports.retain(|(pass, _)| *pass >= passes.forgotten);
            if report != Report::None {
                vouch.reports.push((passes.count() - 1, report));
            }
            return None;
        }
        self.contact.pass(now, report);
        self.contact.probe
    }

    /// This controller has written the node's conditions.
    pub(super) fn written(&mut self, ready: Option<Condition>) {
        self.ready = ready;
        self.contact.noted = self.contact.lease;
    }
}

fn is_newer(saved: &Condition, current: &Condition) -> bool {
    current.updated_at != saved.updated_at || current.changed_at > saved.changed_at
}

/// The node with its kubelet's conditions Unknown; `None` if its Ready condition is that already.
pub(super) fn silent(node: &Node, now: Time) -> Option<Node> {
    let mut new = node.clone();
    let since = (now, node.meta.created_at);
    let conditions = &mut new.status.conditions;
    for kind in KUBELET_CONDITIONS {
        match conditions.get(kind) {
            None => {
                let message = "Kubelet never posted node status.";
                conditions.overrule(kind, Status3::Unknown, "NodeStatusNeverUpdated", message, since);
            }
            Some(condition) if condition.status != Status3::Unknown => {
                let message = "Kubelet stopped posting node status.";
                conditions.overrule(kind, Status3::Unknown, "NodeStatusUnknown", message, since);
            }
            Some(_) => {}
        }
    }
    let differs = conditions.get(ConditionKind::Ready) != node.status.conditions.get(ConditionKind::Ready);
    differs.then_some(new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Meta;

    #[test]
    fn a_node_that_never_said_anything_counts_from_the_second_of_its_creation() {
        let created_at = Time::from_millis(12_900);
        let node = Node { meta: Meta { created_at, ..Meta::named("", "mute") }, ..Node::default() };
        let mut passes = Passes::default();
        passes.begin(Time::from_secs(15));
        let seen = Health::default().look(&node, &passes, Time::from_secs(15));
        assert_eq!(seen, Some(Time::from_secs(12)));
    }
}
