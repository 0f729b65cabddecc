//! The timers of all processes: at most one per process and kind.
//!
//! Of each process the queue holds one entry, that of its first timer; the others wait here. Most timers are disarmed
//! long before they are due (the grace period of a pod that ends in a second), and leave nothing behind. An entry whose
//! timer has been moved or disarmed comes up, and the entry of the timer that is then the first takes its place.
//! Invariant: a process with timers has an entry in the queue, recognised by its key, at or before its first timer.

use wavetank_core::id::ProcId;
use wavetank_core::seam::TimerKind;

use crate::queue::EventKey;

/// One timer: when it is due, and its place among simultaneous events.
#[derive(Clone, Debug)]
struct Timer {
    kind: TimerKind,
    key: EventKey,
}

/// The timers of one process, in no order: it has few.
#[derive(Clone, Debug, Default)]
struct Armed {
    timers: Vec<Timer>,
    /// Which entry of the queue is its.
    entry: Option<EventKey>,
}

/// All timers, by process kind and index.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    by_kind: [Vec<Armed>; 8],
}

impl Timers {
    /// Arms or moves a timer; whether an entry must be pushed for it.
    pub(crate) fn arm(&mut self, process: ProcId, kind: TimerKind, key: EventKey) -> bool {
        let armed = self.of(process);
        match armed.timers.iter_mut().find(|timer| timer.kind == kind) {
            Some(timer) => timer.key = key,
            None => armed.timers.push(Timer { kind, key }),
        }
        let is_first = armed.entry.is_none_or(|entry| key < entry);
        if is_first {
            armed.entry = Some(key);
        }
        is_first
    }

    /// Disarms a timer, if it is armed.
    pub(crate) fn disarm(&mut self, process: ProcId, kind: TimerKind) {
        let timers = &mut self.of(process).timers;
        if let Some(place) = timers.iter().position(|timer| timer.kind == kind) {
            timers.swap_remove(place);
        }
    }

    /// Forgets all timers of a process that has died.
    pub(crate) fn forget(&mut self, process: ProcId) {
        *self.of(process) = Armed::default();
    }

    /// An entry has come up. The timer that fires, if it is still armed for this, and the entry to push next.
    pub(crate) fn come_up(&mut self, process: ProcId, entry: EventKey) -> (Option<TimerKind>, Option<EventKey>) {
        let armed = self.of(process);
        if armed.entry != Some(entry) {
            return (None, None);
        }
        let due = armed.timers.iter().position(|timer| timer.key == entry);
        let fires = due.map(|place| armed.timers.swap_remove(place).kind);
        armed.entry = armed.timers.iter().map(|timer| timer.key).min();
        (fires, armed.entry)
    }

    fn of(&mut self, process: ProcId) -> &mut Armed {
        let table = &mut self.by_kind[process.kind() as usize];
        let index = process.index() as usize;
        if table.len() <= index {
            table.resize_with(index + 1, Armed::default);
        }
        &mut table[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::{Source, TieOrder};

    const WHO: ProcId = ProcId::SCHEDULER;
    const KIND: TimerKind = TimerKind::SchedulerCycle;
    const OTHER: TimerKind = TimerKind::SchedulerFlush;

    fn key(at: u64, count: u32) -> EventKey {
        TieOrder::Canonical.key(at, 2, Source::new(WHO.bits()), count)
    }

    #[test]
    fn a_timer_that_moves_later_keeps_its_entry_and_is_pushed_again_when_that_comes_up() {
        let mut timers = Timers::default();
        assert!(timers.arm(WHO, KIND, key(10, 1)));
        assert!(!timers.arm(WHO, KIND, key(20, 2)));
        assert_eq!(timers.come_up(WHO, key(10, 1)), (None, Some(key(20, 2))));
        assert_eq!(timers.come_up(WHO, key(20, 2)), (Some(KIND), None));
        assert_eq!(timers.come_up(WHO, key(20, 2)), (None, None));
    }

    #[test]
    fn a_timer_that_moves_earlier_leaves_a_stale_entry() {
        let mut timers = Timers::default();
        assert!(timers.arm(WHO, KIND, key(10, 1)));
        assert!(timers.arm(WHO, KIND, key(5, 2)));
        assert_eq!(timers.come_up(WHO, key(5, 2)), (Some(KIND), None));
        assert!(timers.arm(WHO, KIND, key(30, 3)));
        assert_eq!(timers.come_up(WHO, key(10, 1)), (None, None));
        assert_eq!(timers.come_up(WHO, key(30, 3)), (Some(KIND), None));
    }

    #[test]
    fn a_disarmed_timer_does_not_fire_and_can_be_armed_again() {
        let mut timers = Timers::default();
        timers.arm(WHO, KIND, key(10, 1));
        timers.disarm(WHO, KIND);
        assert!(!timers.arm(WHO, KIND, key(12, 2)), "the old entry leads to the new time");
        timers.disarm(WHO, KIND);
        assert_eq!(timers.come_up(WHO, key(10, 1)), (None, None));
        assert!(timers.arm(WHO, KIND, key(15, 3)));
        timers.forget(WHO);
        assert!(timers.arm(WHO, KIND, key(20, 3)), "a count may be used again");
        assert_eq!(timers.come_up(WHO, key(15, 3)), (None, None));
        assert_eq!(timers.come_up(WHO, key(20, 3)), (Some(KIND), None));
    }

    #[test]
    fn a_process_has_one_entry_and_its_timers_fire_in_order() {
        let mut timers = Timers::default();
        assert!(timers.arm(WHO, KIND, key(10, 1)));
        assert!(!timers.arm(WHO, OTHER, key(10, 2)), "the second waits without an entry");
        assert_eq!(timers.come_up(WHO, key(10, 1)), (Some(KIND), Some(key(10, 2))));
        assert!(timers.arm(WHO, KIND, key(10, 0)), "what comes before the entry gets one of its own");
        assert_eq!(timers.come_up(WHO, key(10, 0)), (Some(KIND), Some(key(10, 2))));
        assert_eq!(timers.come_up(WHO, key(10, 2)), (Some(OTHER), None));
        assert_eq!(timers.come_up(WHO, key(10, 2)), (None, None), "the first of two equal entries was its");
    }
}
