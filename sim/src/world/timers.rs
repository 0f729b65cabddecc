//! The timers of all processes: at most one per process and kind, re-armed lazily.
//!
//! Moving a timer to a later time leaves its entry in the queue; when the entry comes up early it is pushed again at
//! the new time. Invariant: a timer in the table has exactly one live entry in the queue, recognised by its count and
//! time, at or before the time that it is due. The tie count is that of the arming, so lazy and eager re-arming give
//! one order.

use wavetank_core::id::ProcId;
use wavetank_core::seam::TimerKind;
use wavetank_core::time::Time;

/// One timer with an entry in the queue.
#[derive(Clone, Debug)]
struct Timer {
    kind: TimerKind,
    /// When it is due; `None` is disarmed, with an entry that has not come up yet.
    due: Option<Time>,
    /// Where its entry is.
    queued: Time,
    /// The tie count of its live entry.
    entry: u32,
    /// The tie count of its last arming.
    count: u32,
}

/// What to do with an entry that has come up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Due {
    /// The timer fires.
    Fire,
    /// It was moved: push it again.
    Later { at: Time, count: u32 },
    /// It was disarmed, or has another entry.
    Stale,
}

/// All timers, by process kind and index. A process has few, so its own are searched one by one.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    by_kind: [Vec<Vec<Timer>>; 8],
}

impl Timers {
    /// Arms or moves a timer; whether an entry must be pushed for it.
    pub(crate) fn arm(&mut self, process: ProcId, kind: TimerKind, at: Time, count: u32) -> bool {
        let timers = self.of(process);
        let Some(timer) = timers.iter_mut().find(|timer| timer.kind == kind) else {
            timers.push(Timer { kind, due: Some(at), queued: at, entry: count, count });
            return true;
        };
        timer.due = Some(at);
        timer.count = count;
        if at >= timer.queued {
            return false;
        }
        timer.queued = at;
        timer.entry = count;
        true
    }

    /// Disarms a timer, if it is armed.
    pub(crate) fn disarm(&mut self, process: ProcId, kind: TimerKind) {
        if let Some(timer) = self.of(process).iter_mut().find(|timer| timer.kind == kind) {
            timer.due = None;
        }
    }

    /// Forgets all timers of a process that has died.
    pub(crate) fn forget(&mut self, process: ProcId) {
        self.of(process).clear();
    }

    /// An entry has come up.
    pub(crate) fn come_up(&mut self, now: Time, process: ProcId, kind: TimerKind, entry: u32) -> Due {
        let timers = self.of(process);
        let Some(index) = timers.iter().position(|it| it.kind == kind && it.entry == entry && it.queued == now) else {
            return Due::Stale;
        };
        let timer = &mut timers[index];
        match timer.due {
            Some(at) if at > now => {
                timer.queued = at;
                timer.entry = timer.count;
                Due::Later { at, count: timer.count }
            }
            due => {
                timers.swap_remove(index);
                if due.is_some() { Due::Fire } else { Due::Stale }
            }
        }
    }

    fn of(&mut self, process: ProcId) -> &mut Vec<Timer> {
        let table = &mut self.by_kind[process.kind() as usize];
        let index = process.index() as usize;
        if table.len() <= index {
            table.resize_with(index + 1, Vec::new);
        }
        &mut table[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHO: ProcId = ProcId::SCHEDULER;
    const KIND: TimerKind = TimerKind::SchedulerCycle;

    #[test]
    fn a_timer_that_moves_later_keeps_its_entry_and_is_pushed_again_when_that_comes_up() {
        let mut timers = Timers::default();
        assert!(timers.arm(WHO, KIND, Time(10), 1));
        assert!(!timers.arm(WHO, KIND, Time(20), 2));
        assert_eq!(timers.come_up(Time(10), WHO, KIND, 1), Due::Later { at: Time(20), count: 2 });
        assert_eq!(timers.come_up(Time(20), WHO, KIND, 2), Due::Fire);
        assert_eq!(timers.come_up(Time(20), WHO, KIND, 2), Due::Stale);
    }

    #[test]
    fn a_timer_that_moves_earlier_leaves_a_stale_entry() {
        let mut timers = Timers::default();
        assert!(timers.arm(WHO, KIND, Time(10), 1));
        assert!(timers.arm(WHO, KIND, Time(5), 2));
        assert_eq!(timers.come_up(Time(5), WHO, KIND, 2), Due::Fire);
        assert!(timers.arm(WHO, KIND, Time(30), 3));
        assert_eq!(timers.come_up(Time(10), WHO, KIND, 1), Due::Stale);
        assert_eq!(timers.come_up(Time(30), WHO, KIND, 3), Due::Fire);
    }

    #[test]
    fn a_disarmed_timer_does_not_fire_and_can_be_armed_again() {
        let mut timers = Timers::default();
        timers.arm(WHO, KIND, Time(10), 1);
        timers.disarm(WHO, KIND);
        assert!(!timers.arm(WHO, KIND, Time(12), 2), "the old entry leads to the new time");
        timers.disarm(WHO, KIND);
        assert_eq!(timers.come_up(Time(10), WHO, KIND, 1), Due::Stale);
        assert!(timers.arm(WHO, KIND, Time(15), 3));
        timers.forget(WHO);
        assert!(timers.arm(WHO, KIND, Time(20), 3), "a count may be used again");
        assert_eq!(timers.come_up(Time(15), WHO, KIND, 3), Due::Stale);
        assert_eq!(timers.come_up(Time(20), WHO, KIND, 3), Due::Fire);
    }
}
