//! The scheduling queue: pods to be tried, pods that back off, and pods that wait for something to change.
//!
//! Pods are tried by priority, then by the time at which they were queued, then in the order of arrival. A pod that no
//! node takes waits until an event passes the hint of a plugin that refused it, or until it has waited for long. A pod
//! that failed by an error backs off and is tried again. The back-off ends on whole seconds; pods that back off after
//! a refusal are taken early if nobody else is waiting (`SchedulerPopFromBackoffQ`), those after an error are not.
//!
//! Invariants: a row is in at most one of the four sets, in none while it is being tried or bound; timers are asked
//! for only while something can come of them. A pod behind scheduling gates (PreEnqueue) is in no set until its gates
//! are gone. Attempts are atomic here, so there are no events to remember for pods that are being tried.
//!
//! Source: pkg/scheduler/backend/queue/{scheduling_queue,backoff_queue,active_queue}.go (v1.34.1).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::config::SchedulerConfig;
use crate::id::{Name, RowId};
use crate::scheduler::classes::{ClassId, Classes};
use crate::scheduler::events::{Event, Hint};
use crate::scheduler::placement::Placement;
use crate::scheduler::plugins::{AnyPlugin, Plugin};
use crate::scheduler::rows::{Rows, make_row};
use crate::time::{Span, Time};

/// How often Kubernetes looks for pods that have waited for long.
const FLUSH_PERIOD: Span = Span::from_secs(30);

/// The grain of back-off.
const SECOND: Span = Span::from_secs(1);

/// A pod in the queue, or just taken from it.
#[derive(Clone, Debug)]
pub(super) struct Queued {
    pub(super) row: RowId,
    pub(super) class: ClassId,
    /// The only node that may take the pod, if there is only one.
    pub(super) pinned_to: Option<Name>,
    priority: i32,
    /// When it was queued or last came back.
    queued_at: Time,
    /// Orders pods that were queued at one time.
    number: u64,
    /// How often no node took it.
    refusals: u32,
    /// How often in a row it failed by an error.
    errors: u32,
    /// The plugins that refused nodes in the last attempt.
    plugins: Vec<AnyPlugin>,
    place: Place,
    /// Whether its victims' ends are being asked for: it is not tried meanwhile (PreEnqueue of DefaultPreemption).
    held: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Active,
    /// Until this time, a whole second.
    Backoff(Time),
    ErrorBackoff(Time),
    Waiting,
    /// Behind scheduling gates.
    Gated,
}

impl Queued {
    fn minds_other_pods(&self) -> bool {
        let others = [Plugin::PodTopologySpread, Plugin::InterPodAffinity].map(AnyPlugin::InTree);
        self.place == Place::Waiting && self.plugins.iter().any(|plugin| others.contains(plugin))
    }
}

/// Priority (highest first), time, number.
type Order = (Reverse<i32>, Time, u64, RowId);

/// The queue.
pub(super) struct Queue {
    backoff_initial: Span,
    backoff_max: Span,
    flush_after: Span,
    started_at: Time,
    numbers: u64,
    /// By the pod row's index; most pods are placed and not here.
    entries: Rows<Box<Queued>>,
    active: BTreeSet<Order>,
    backoff: BTreeSet<(Time, Order)>,
    error_backoff: BTreeSet<(Time, Order)>,
    waiting: BTreeSet<(Time, u64, RowId)>,
    /// How many of the waiting were refused because of other pods.
    waiting_for_others: u32,
}

impl Queue {
    /// An empty queue of a scheduler that starts now.
    pub(super) fn new(config: &SchedulerConfig, now: Time) -> Queue {
        Queue {
            backoff_initial: config.backoff_initial,
            backoff_max: config.backoff_max,
            flush_after: config.unschedulable_flush_after,
            started_at: now,
            numbers: 0,
            entries: Rows::default(),
            active: BTreeSet::new(),
            backoff: BTreeSet::new(),
            error_backoff: BTreeSet::new(),
            waiting: BTreeSet::new(),
            waiting_for_others: 0,
        }
    }

    /// A new pod, which may go to any node or to one only. Panics if its row is queued already.
    pub(super) fn add(
        &mut self,
        classes: &mut Classes,
        row: RowId,
        class: ClassId,
        pinned_to: Option<&Name>,
        now: Time,
    ) {
        assert!(!self.contains(row), "{row:?} is queued twice");
        classes.hold(class);
        let priority = classes.priority(class);
        let (number, plugins) = (self.next_number(), Vec::new());
        let place = if classes.is_gated(class) { Place::Gated } else { Place::Active };
        self.insert(Queued {
            row,
            class,
            pinned_to: pinned_to.cloned(),
            priority,
            queued_at: now,
            number,
            refusals: 0,
            errors: 0,
            plugins,
            place,
            held: false,
        });
    }

    /// Whether a pod waits here.
    pub(super) fn contains(&self, row: RowId) -> bool {
        self.entry(row).is_some()
    }

    /// A pod is gone, or somebody has bound it. One that is not here is no mistake.
    pub(super) fn remove(&mut self, classes: &mut Classes, row: RowId) {
        if let Some(queued) = self.take(row) {
            classes.release(queued.class);
        }
    }

    /// A pod that waits here has another spec or identity. Without gates it is tried.
    pub(super) fn set_class(&mut self, classes: &mut Classes, row: RowId, class: ClassId) {
        let Some(mut queued) = self.take(row) else { return };
        classes.hold(class);
        classes.release(queued.class);
        queued.class = class;
        if queued.place == Place::Gated && !classes.is_gated(class) {
            queued.place = Place::Active;
        }
        queued.priority = classes.priority(class);
        self.insert(queued);
    }

    /// Whether some pod waits because of the pods on nodes, so that a further pod there could help it.
    pub(super) fn minds_other_pods(&self) -> bool {
        self.waiting_for_others > 0
    }

    /// Takes the next pod. The caller gives it back or releases its class.
    pub(super) fn pop(&mut self) -> Option<Queued> {
        let next = self.active.first().or(self.backoff.first().map(|(_, order)| order));
        let row = next.map(|(_, _, _, row)| *row)?;
        let mut queued = self.take(row).expect("the sets and the entries agree");
        queued.plugins.clear();
        Some(queued)
    }

    /// No node took the pod: it waits for an event that concerns these plugins.
    pub(super) fn refused(&mut self, mut queued: Queued, plugins: Vec<AnyPlugin>, now: Time) {
        assert!(!plugins.is_empty(), "a refusal needs a plugin that refused");
        queued.refusals += 1;
        queued.errors = 0;
        queued.plugins = plugins;
        queued.place = Place::Waiting;
        self.come_back(queued, now);
    }

    /// The attempt failed by an error: the pod backs off.
    pub(super) fn failed(&mut self, mut queued: Queued, now: Time) {
        queued.errors += 1;
        queued.plugins.clear();
        queued.queued_at = now;
        queued.place = match self.backoff_end(&queued) {
            Some(end) if is_backing_off(end, now) => Place::ErrorBackoff(end),
            _ => Place::Active,
        };
        self.come_back(queued, now);
    }

    /// Tries the waiting pods again that the event could help; `only` restricts it to one pod.
    pub(super) fn on_event(&mut self, placement: &Placement, event: &Event<'_>, only: Option<RowId>, now: Time) {
        self.on_event_for(placement, event, |queued| only.is_none_or(|only| only == queued.row), now);
    }

    /// The same for pods of at most this priority.
    pub(super) fn on_event_up_to(&mut self, placement: &Placement, event: &Event<'_>, priority: i32, now: Time) {
        self.on_event_for(placement, event, |queued| queued.priority <= priority, now);
    }

    fn on_event_for(
        &mut self,
        placement: &Placement,
        event: &Event<'_>,
        concerns: impl Fn(&Queued) -> bool,
        now: Time,
    ) {
        let (classes, around) = (&placement.classes, &placement.around);
        let mut answers: BTreeMap<(ClassId, Vec<AnyPlugin>, bool), bool> = BTreeMap::new();
        let mut helped = Vec::new();
        for (_, _, row) in &self.waiting {
            let queued = self.entry(*row).expect("the sets and the entries agree");
            if !concerns(queued) {
                continue;
            }
            // To a pod for one node NodeAffinity says the same of all others.
            let elsewhere = queued.pinned_to.as_ref().is_some_and(|node| event.is_about_another_node(node));
            let worth = answers.entry((queued.class, queued.plugins.clone(), elsewhere)).or_insert_with(|| {
                let (pod, args) = (classes.traits(queued.class), &classes.profile(queued.class).args);
                let silent = elsewhere.then_some(AnyPlugin::InTree(Plugin::NodeAffinity));
                let mut plugins = queued.plugins.iter().filter(|plugin| Some(**plugin) != silent);
                plugins.any(|plugin| plugin.hint(args, around, pod, event) == Hint::Queue)
            });
            if *worth {
                helped.push(*row);
            }
        }
        for row in helped {
            self.retry(row, now);
        }
    }

    /// A pod's victims' ends are being asked for, or have been. A pod that is not here is no mistake.
    pub(super) fn hold(&mut self, row: RowId, held: bool) {
        if self.contains(row) {
            let entry = self.entries[row.index as usize].as_mut().expect("the entry was just seen");
            entry.held = held;
        }
    }

    /// Tries a pod at once, if it is here and has no gates.
    ///
    /// Source: `PriorityQueue.Activate`, scheduling_queue.go (v1.34.1).
    pub(super) fn activate(&mut self, row: RowId) {
        if self.entry(row).is_some_and(|queued| queued.place != Place::Gated) {
            self.move_to(row, Place::Active);
        }
    }

    /// Ends the back-off that is over by now.
    pub(super) fn on_backoff(&mut self, now: Time) {
        let over: Vec<RowId> = [&self.backoff, &self.error_backoff]
            .into_iter()
            .flat_map(|set| set.iter().take_while(|(end, _)| !is_backing_off(*end, now)))
            .map(|(_, (_, _, _, row))| *row)
            .collect();
        for row in over {
            self.move_to(row, Place::Active);
        }
    }

    /// Tries pods again that have waited for long.
    pub(super) fn on_flush(&mut self, now: Time) {
        let flush_after = self.flush_after;
        let old = self.waiting.iter().take_while(|(queued_at, _, _)| now.since(*queued_at) > flush_after);
        let old: Vec<RowId> = old.map(|(_, _, row)| *row).collect();
        for row in old {
            self.retry(row, now);
        }
    }

    /// When the next back-off ends.
    pub(super) fn backoff_due(&self) -> Option<Time> {
        let ends = [self.backoff.first(), self.error_backoff.first()].into_iter().flatten().map(|(end, _)| *end);
        ends.min().map(|end| end + SECOND)
    }

    /// When a pod will have waited for long, on the grid on which Kubernetes looks.
    pub(super) fn flush_due(&self) -> Option<Time> {
        let (oldest, _, _) = self.waiting.first()?;
        let waited = (*oldest + self.flush_after).since(self.started_at);
        Some(self.started_at + Span((waited.0 / FLUSH_PERIOD.0 + 1) * FLUSH_PERIOD.0))
    }

    fn retry(&mut self, row: RowId, now: Time) {
        let queued = self.entry(row).expect("the sets and the entries agree");
        if queued.held {
            return;
        }
        match self.backoff_end(queued) {
            Some(end) if is_backing_off(end, now) => self.move_to(row, Place::Backoff(end)),
            _ => self.move_to(row, Place::Active),
        }
    }

    /// When the pod's back-off ends, cut to a whole second; `None` without one.
    ///
    /// Source: `getBackoffTime`, `calculateBackoffDuration`, backoff_queue.go (v1.34.1).
    fn backoff_end(&self, queued: &Queued) -> Option<Time> {
        let count = if queued.errors > 0 { queued.errors } else { queued.refusals };
        if count == 0 || self.backoff_max == Span::ZERO {
            return None;
        }
        let shift = count - 1;
        let longest = self.backoff_max.0.checked_shr(shift).unwrap_or(0);
        let backoff =
            if self.backoff_initial.0 > longest { self.backoff_max } else { Span(self.backoff_initial.0 << shift) };
        Some((queued.queued_at + backoff).whole_second())
    }

    fn come_back(&mut self, mut queued: Queued, now: Time) {
        queued.queued_at = now;
        queued.number = self.next_number();
        self.insert(queued);
    }

    fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn entry(&self, row: RowId) -> Option<&Queued> {
        self.entries.get(row.index as usize)?.as_deref().filter(|queued| queued.row == row)
    }

    fn move_to(&mut self, row: RowId, place: Place) {
        let mut queued = self.take(row).expect("the sets and the entries agree");
        queued.place = place;
        self.insert(queued);
    }

    fn insert(&mut self, queued: Queued) {
        let order = order(&queued);
        let new = match queued.place {
            Place::Active => self.active.insert(order),
            Place::Backoff(end) => self.backoff.insert((end, order)),
            Place::ErrorBackoff(end) => self.error_backoff.insert((end, order)),
            Place::Waiting => self.waiting.insert((queued.queued_at, queued.number, queued.row)),
            Place::Gated => true,
        };
        assert!(new, "{:?} is queued twice", queued.row);
        self.waiting_for_others += u32::from(queued.minds_other_pods());
        let index = queued.row.index;
        make_row(&mut self.entries, index);
        let before = self.entries[index as usize].replace(Box::new(queued));
        assert!(before.is_none(), "two pods are queued in row {index}");
    }

    fn take(&mut self, row: RowId) -> Option<Queued> {
        self.entry(row)?;
        let queued = *self.entries[row.index as usize].take().expect("the entry was just seen");
        let order = order(&queued);
        let there = match queued.place {
            Place::Active => self.active.remove(&order),
            Place::Backoff(end) => self.backoff.remove(&(end, order)),
            Place::ErrorBackoff(end) => self.error_backoff.remove(&(end, order)),
            Place::Waiting => self.waiting.remove(&(queued.queued_at, queued.number, queued.row)),
            Place::Gated => true,
        };
        assert!(there, "{row:?} is in no set");
        self.waiting_for_others -= u32::from(queued.minds_other_pods());
        Some(queued)
    }
}

fn order(queued: &Queued) -> Order {
    (Reverse(queued.priority), queued.queued_at, queued.number, queued.row)
}

/// Whether a back-off that ends at `end` still lasts. The second in which it ends belongs to it.
fn is_backing_off(end: Time, now: Time) -> bool {
    end >= now.whole_second()
}
