//! Which time is due, and when to look again, of schedules of all sorts.

use super::*;
use crate::controllers::cron_job::due::{Clock, Due, Missed, due, until_next};

/// The run begins at 10:00 on Thursday, 2016-05-19.
const EPOCH: i64 = 1_463_652_000;
const MINUTE: u64 = 60;
const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

fn at_minutes(minutes: u64, hours: u64, weekdays: u64) -> Times {
    Times::Calendar { minutes, hours, days: u64::MAX, months: u64::MAX, weekdays: weekdays as _, both_days: true }
}

fn hours(list: &[u64]) -> u64 {
    list.iter().map(|hour| 1 << hour).sum()
}

fn every_hour() -> Times {
    at_minutes(1, u64::MAX, u64::MAX)
}

fn on_weekdays(list: &[u64]) -> Times {
    at_minutes(1 << 30, hours(list), 0b011_1110)
}

fn every_five_minutes() -> Times {
    at_minutes((0..12).map(|place| 1 << (5 * place)).sum(), u64::MAX, u64::MAX)
}

fn cron_job(times: Times, created: u64, last: Option<u64>, deadline: Option<u64>) -> CronJob {
    let mut it = minutely(|it| it.schedule.times = times);
    it.meta.created_at = Time::from_secs(created);
    it.status.last_scheduled = last.map(Time::from_secs);
    it.starting_deadline = deadline.map(Span::from_secs);
    it
}

fn clock(now: u64) -> Clock {
    Clock { epoch: EPOCH, now: Time::from_secs(now) }
}

#[test]
fn the_newest_time_since_the_last_one_is_due() {
    use Missed::{Few, Many, None as Nothing};
    let five_hours = hours(&[6, 10, 14]);
    assert_eq!(five_hours, 1 << 6 | 1 << 10 | 1 << 14);
    let half = Some(30 * MINUTE);
    // The story; the CronJob; now; the earliest time looked at, the newest that has come, how many were missed.
    let table = [
        ("not yet", cron_job(every_hour(), 0, None, None), 30, (0, None, Nothing)),
        ("just come", cron_job(every_hour(), 0, None, None), 61 * MINUTE, (0, Some(HOUR), Nothing)),
        ("five missed", cron_job(every_hour(), 10, None, None), 301 * MINUTE, (10, Some(5 * HOUR), Few)),
        (
            "on weekdays",
            cron_job(on_weekdays(&[6, 10, 14]), 0, half, None),
            DAY + 31 * MINUTE,
            (1_800, Some(DAY + 30 * MINUTE), Few),
        ),
        (
            "over the estimate",
            cron_job(on_weekdays(&[10, 11, 12]), 0, half, None),
            30 * HOUR + 30 * MINUTE,
            (1_800, None, Few),
        ),
        (
            "over a weekend",
            cron_job(on_weekdays(&[6, 10, 14]), 0, half, None),
            4 * DAY + 31 * MINUTE,
            (1_800, Some(4 * DAY + 30 * MINUTE), Few),
        ),
        (
            "on weekdays, never before",
            cron_job(on_weekdays(&[6, 10, 14]), 0, None, None),
            DAY + 31 * MINUTE,
            (0, Some(DAY + 30 * MINUTE), Few),
        ),
        (
            "every hour from the last",
            cron_job(Times::Every(3_600), 0, Some(MINUTE), Some(10)),
            7 * DAY,
            (60, Some(6 * DAY + 23 * HOUR + MINUTE), Many),
        ),
        ("made when last scheduled", cron_job(every_hour(), 0, Some(0), None), 30, (0, None, Nothing)),
        ("from the last", cron_job(every_five_minutes(), 0, half, None), 31 * MINUTE, (1_800, None, Nothing)),
        (
            "from the last, with a deadline",
            cron_job(every_five_minutes(), 0, half, Some(60)),
            31 * MINUTE,
            (1_800, None, Nothing),
        ),
    ];
    for (story, cron_job, now, (earliest, time, missed)) in table {
        let since = |seconds: u64| EPOCH + seconds as i64;
        let expected = Due { earliest: since(earliest), time: time.map(since), missed };
        assert_eq!(due(&cron_job, clock(now), false), Ok(expected), "{story}");
    }
    let limited = cron_job(every_five_minutes(), 0, half, Some(60));
    assert_eq!(
        due(&limited, clock(32 * MINUTE), true).unwrap().earliest,
        EPOCH + 31 * 60,
        "no earlier than the deadline"
    );
}

#[test]
fn an_hourly_schedule_is_served_once_an_hour() {
    // T1 is one hour after the start; the CronJob is made ten minutes before it.
    let (t1, t2) = (HOUR, 2 * HOUR);
    let next = |created, last, deadline, now| {
        let found = due(&cron_job(every_hour(), created, last, deadline), clock(now), true).unwrap();
        found.time.map(|time| (time - EPOCH) as u64)
    };
    assert_eq!(next(t1 - 600, None, None, t1 - 420), None);
    assert_eq!(next(t1 - 600, None, None, t1 + 2), Some(t1));
    assert_eq!(next(t1 - 600, Some(t1), None, t1 + 120), None);
    assert_eq!(next(t1 - 600, Some(t1), None, t2 + 300), Some(t2));
    assert_eq!(next(0, Some(0), None, t2 + 300), Some(t2), "of two the newer");
    assert_eq!(next(0, Some(0), None, t2 + 10 * DAY), Some(t2 + 10 * DAY));
    assert_eq!(next(0, Some(0), Some(7_200), t2 + 10 * DAY), Some(t2 + 10 * DAY));
}

#[test]
fn the_next_look_is_at_the_next_time_of_the_schedule() {
    let wait = |times, last, now| {
        let span = until_next(&cron_job(times, 0, last, None), clock(now)).unwrap();
        assert_eq!(span.0 % 1_000_000_000, 100_000_000, "a tenth of a second later than the schedule says");
        span.0 / 1_000_000_000
    };
    let half = Some(30 * MINUTE);
    assert_eq!(wait(on_weekdays(&[6, 10, 14]), half, DAY + 31 * MINUTE), 3 * HOUR + 59 * MINUTE);
    assert_eq!(wait(on_weekdays(&[10, 11, 12]), half, 30 * HOUR + 30 * MINUTE), 66 * HOUR, "over a weekend");
    let thursdays = at_minutes(1, hours(&[12]), 1 << 4);
    assert_eq!(wait(thursdays, Some(2 * HOUR), 19 * DAY + 90 * MINUTE), 48 * HOUR + 30 * MINUTE, "two were missed");
    let fridays = at_minutes(1, hours(&[12]), 1 << 5);
    assert_eq!(wait(fridays, None, 6 * HOUR), 20 * HOUR, "it never ran");
}
