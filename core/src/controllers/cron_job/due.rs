//! Which time of its schedule a CronJob has to serve, and when to look at it again.
//!
//! Source: `mostRecentScheduleTime`, `nextScheduleTimeDuration`, pkg/controller/cronjob/utils.go (v1.34.1). Times here
//! are Unix times in whole seconds, as the API has them.

use crate::model::CronJob;
use crate::time::{Span, Time};

/// How much later than the schedule's time a CronJob is looked at, against clocks that are a little behind.
const PADDING: Span = Span::from_millis(100);
/// More missed times than this are too many.
const MISSED_LIMIT: i64 = 100;

/// How many times of the schedule have gone by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Missed {
    None,
    Few,
    Many,
}

/// What has become due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Due {
    /// The time from which on the schedule was looked at.
    pub(super) earliest: i64,
    /// The newest time of the schedule that has come.
    pub(super) time: Option<i64>,
    /// How many have gone by, roughly.
    pub(super) missed: Missed,
}

/// The clock of a sync: Unix time and the run's own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// The Unix time of the run's start.
    pub(super) epoch: i64,
    /// The time of the run.
    pub(super) now: Time,
}

impl Clock {
    /// The Unix time of a moment of the run, rounded down.
    pub(super) fn unix(self, at: Time) -> i64 {
        self.epoch + i64::try_from(at.0 / 1_000_000_000).expect("a run's seconds fit into 63 bits")
    }

    /// The moment of the run at a Unix time; its start if that is earlier.
    pub(super) fn time(self, unix: i64) -> Time {
        Time::from_secs(u64::try_from(unix - self.epoch).unwrap_or(0))
    }
}

/// What has become due of a CronJob. With `within_deadline`, times that are too late to be served are left out.
///
/// Errors: a schedule whose times do not lie apart, such as "31 February".
pub(super) fn due(cron_job: &CronJob, clock: Clock, within_deadline: bool) -> Result<Due, &'static str> {
    let now = clock.unix(clock.now);
    let mut earliest = clock.unix(cron_job.status.last_scheduled.unwrap_or(cron_job.meta.created_at));
    if let Some(deadline) = cron_job.starting_deadline.filter(|_| within_deadline) {
        earliest = earliest.max(now.saturating_sub_unsigned(deadline.as_secs()));
    }
    let next = |after| cron_job.schedule.next(after);
    let none = Err("time difference between two schedules is less than 1 second");
    let Some(first) = next(earliest) else { return none };
    if now < first {
        return Ok(Due { earliest, time: None, missed: Missed::None });
    }
    let Some(second) = next(first) else { return none };
    if now < second {
        return Ok(Due { earliest, time: Some(first), missed: Missed::None });
    }
    let apart = second - first;
    if apart < 1 {
        return none;
    }
    // An estimate, as if all times lay as far apart as the first two.
    let missed = (now - first) / apart + 1;
    let mut time = None;
    let mut candidate = next(first + (missed - 2) * apart);
    while let Some(found) = candidate.filter(|found| *found <= now) {
        time = Some(found);
        candidate = next(found);
    }
    Ok(Due { earliest, time, missed: if missed > MISSED_LIMIT { Missed::Many } else { Missed::Few } })
}

/// How long until a CronJob has to be looked at again; `None` if its schedule has no next time.
pub(super) fn until_next(cron_job: &CronJob, clock: Clock) -> Option<Span> {
    let now = clock.unix(clock.now);
    let from = match due(cron_job, clock, false) {
        Ok(Due { time: Some(time), .. }) => time,
        Ok(Due { earliest, missed: Missed::None, .. }) => earliest,
        Ok(_) | Err(_) => now,
    };
    let next = cron_job.schedule.next(from)?;
    Some(clock.time(next).saturating_add(PADDING).since(clock.now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DEFAULT_EPOCH;
    use crate::model::{CronJobStatus, Meta, Schedule, Times};

    fn clock(seconds: u64) -> Clock {
        Clock { epoch: DEFAULT_EPOCH, now: Time::from_secs(seconds) }
    }

    /// A CronJob of every hour, made at a time and last served at another.
    fn hourly(created: u64, last: Option<u64>) -> CronJob {
        let Times::Calendar { hours, days, months, weekdays, both_days, .. } = Times::default() else { unreachable!() };
        let times = Times::Calendar { minutes: 1, hours, days, months, weekdays, both_days };
        let meta = Meta { created_at: Time::from_secs(created), ..Meta::named("default", "c") };
        let status = CronJobStatus { last_scheduled: last.map(Time::from_secs), ..CronJobStatus::default() };
        CronJob { meta, schedule: Schedule { times, ..Schedule::default() }, status, ..CronJob::default() }
    }

    /// What is due, as seconds of the run.
    fn found(cron_job: &CronJob, now: u64, within_deadline: bool) -> (Option<i64>, Missed) {
        let due = due(cron_job, clock(now), within_deadline).unwrap();
        (due.time.map(|time| time - DEFAULT_EPOCH), due.missed)
    }

    const HOUR: u64 = 3_600;

    #[test]
    fn a_time_is_due_when_it_has_come_and_was_not_served() {
        let new = hourly(10, None);
        assert_eq!(found(&new, HOUR - 1, true), (None, Missed::None));
        assert_eq!(found(&new, HOUR, true), (Some(3_600), Missed::None));
        assert_eq!(found(&new, 2 * HOUR - 1, true), (Some(3_600), Missed::None));
        assert_eq!(found(&hourly(10, Some(HOUR)), 2 * HOUR - 1, true), (None, Missed::None));
        assert_eq!(found(&hourly(10, Some(HOUR)), 2 * HOUR, true), (Some(7_200), Missed::None));
    }

    #[test]
    fn of_several_missed_times_the_newest_is_due() {
        assert_eq!(found(&hourly(10, None), 3 * HOUR + 5, true), (Some(3 * 3_600), Missed::Few));
        assert_eq!(found(&hourly(10, None), 90 * HOUR, true), (Some(90 * 3_600), Missed::Few));
        assert_eq!(found(&hourly(10, None), 101 * HOUR, true), (Some(101 * 3_600), Missed::Many));
    }

    #[test]
    fn a_deadline_leaves_out_what_is_too_late() {
        let mut limited = hourly(10, None);
        limited.starting_deadline = Some(Span::from_secs(600));
        assert_eq!(found(&limited, 200 * HOUR + 60, true), (Some(200 * 3_600), Missed::None));
        assert_eq!(found(&limited, 200 * HOUR + 601, true), (None, Missed::None));
        assert_eq!(
            found(&limited, 200 * HOUR + 601, false).1,
            Missed::Many,
            "when to look again does not depend on it"
        );
    }

    #[test]
    fn irregular_schedules_are_searched_from_the_estimate_on() {
        let mut weekdays = hourly(0, None);
        // 6:30, 10:30 and 14:30 on Mondays to Fridays; the run begins on a Wednesday.
        weekdays.schedule.times = Times::Calendar {
            minutes: 1 << 30,
            hours: 1 << 6 | 1 << 10 | 1 << 14,
            days: u64::MAX,
            months: u64::MAX,
            weekdays: 0b0111110,
            both_days: true,
        };
        let saturday = 3 * 24 * HOUR + 12 * HOUR;
        let friday = 2 * 24 * 3_600 + 14 * 3_600 + 1_800;
        // The estimate of 20 missed times lies after the last real one: nothing is found, as in Kubernetes.
        let (time, missed) = found(&weekdays, saturday, true);
        assert_eq!(missed, Missed::Few);
        assert!(time.is_none() || time == Some(friday), "{time:?}");
        assert_eq!(found(&weekdays, 24 * HOUR + 11 * HOUR, true).0, Some(24 * 3_600 + 10 * 3_600 + 1_800));
    }

    #[test]
    fn a_date_that_never_comes_is_an_error() {
        let mut never = hourly(0, None);
        never.schedule.times = Times::Calendar {
            minutes: 1,
            hours: 1,
            days: 1 << 30,
            months: 1 << 2,
            weekdays: u64::MAX,
            both_days: true,
        };
        assert!(due(&never, clock(HOUR), true).is_err());
        assert_eq!(until_next(&never, clock(HOUR)), None);
    }

    #[test]
    fn the_next_look_comes_a_little_after_the_next_time() {
        let wait = |cron_job: &CronJob, now| until_next(cron_job, clock(now)).unwrap();
        assert_eq!(wait(&hourly(10, None), 10), Span::from_millis(3_590_100));
        assert_eq!(wait(&hourly(10, Some(HOUR)), HOUR), Span::from_millis(3_600_100));
        // A time is due but was not served: the next is the one after it.
        assert_eq!(wait(&hourly(10, None), HOUR + 600), Span::from_millis(3_000_100));
        assert_eq!(wait(&hourly(10, None), 5 * HOUR + 600), Span::from_millis(3_000_100));
        let every = |seconds| {
            let mut cron_job = hourly(10, None);
            cron_job.schedule.times = Times::Every(seconds);
            cron_job
        };
        assert_eq!(wait(&every(90), 10), Span::from_millis(90_100));
        assert_eq!(wait(&every(90), 110), Span::from_millis(80_100), "counted from the CronJob's creation");
    }
}
