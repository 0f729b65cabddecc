//! The schedule of a CronJob: which minutes it means, in its time zone.
//!
//! The schedule's text and the time zone's rules are read at the edge (`wavetank-manifest`), with the time-zone
//! database that is compiled in there; here they are plain data, so the next time is a pure calculation. Source:
//! `SpecSchedule.Next`, github.com/robfig/cron/v3 spec.go (v3.0.1), the library of Kubernetes' CronJob controller, with
//! its ways around changes of the clock: a time that a change skips is skipped, and one that occurs twice is met twice.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::calendar::Civil;
use crate::id::Name;

/// How many years ahead a next time is looked for.
const YEARS_AHEAD: i64 = 5;

/// The schedule of a CronJob.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Schedule {
    /// The text as the user wrote it.
    pub text: Name,
    /// Which times it means.
    pub times: Times,
    /// The time zone that they are in.
    pub zone: Zone,
}

/// Which times a schedule means.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Times {
    /// Minutes by the fields of a calendar; bit n of a field is the number n.
    Calendar {
        /// Minutes of the hour, 0 to 59.
        minutes: u64,
        /// Hours of the day, 0 to 23.
        hours: u64,
        /// Days of the month, 1 to 31.
        days: u64,
        /// Months, 1 to 12.
        months: u64,
        /// Days of the week, 0 (Sunday) to 6.
        weekdays: u64,
        /// Whether a day must fit both as a day of the month and of the week: it must if one of the two was left open.
        both_days: bool,
    },
    /// So many whole seconds (≥ 1) after the one before.
    Every(u64),
}

impl Default for Times {
    /// Every minute.
    fn default() -> Self {
        let upto = |last: u32| (1u64 << (last + 1)) - 1;
        Times::Calendar {
            minutes: upto(59),
            hours: upto(23),
            days: upto(31) & !1,
            months: upto(12) & !1,
            weekdays: upto(6),
            both_days: true,
        }
    }
}

/// A time zone: its offsets from UTC over time.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Zone {
    /// The zone's name as the user wrote it; `None` is the controller manager's own zone, which is UTC.
    pub name: Option<Name>,
    /// The offset before the first change, in seconds east of UTC.
    pub first: i32,
    /// Since which second (Unix time) which offset holds, in order of time.
    pub changes: Arc<[(i64, i32)]>,
}

impl Zone {
    /// The offset at a moment (Unix time), in seconds east of UTC, and the moments between which it holds.
    fn period(&self, at: i64) -> (i32, i64, i64) {
        let after = self.changes.partition_point(|(since, _)| *since <= at);
        let (since, offset) = match after {
            0 => (i64::MIN, self.first),
            place => self.changes[place - 1],
        };
        let until = self.changes.get(after).map_or(i64::MAX, |(since, _)| *since);
        (offset, since, until)
    }

    /// The offset at a moment (Unix time), in seconds east of UTC.
    pub fn offset(&self, at: i64) -> i32 {
        self.period(at).0
    }

    /// What the clock shows at a moment.
    pub fn civil(&self, at: i64) -> Civil {
        Civil::at(at + i64::from(self.offset(at)))
    }

    /// The moment at which the clock shows a date. Of two such moments, and for dates that the clock skips, the one
    /// that Go's `time.Date` takes.
    ///
    /// Source: `Date`, time/time.go (Go 1.24).
    fn moment(&self, civil: Civil) -> i64 {
        let local = civil.seconds();
        let (offset, since, until) = self.period(local);
        let guess = local - i64::from(offset);
        if (since..until).contains(&guess) {
            return guess;
        }
        local - i64::from(self.offset(guess))
    }
}

impl Schedule {
    /// The first time of the schedule after a second (Unix time); `None` if there is none within five years, as of
    /// "31 February".
    pub fn next(&self, after: i64) -> Option<i64> {
        match self.times {
            Times::Every(seconds) => Some(after.saturating_add(i64::try_from(seconds).unwrap_or(i64::MAX))),
            Times::Calendar { minutes, hours, days, months, weekdays, both_days } => {
                let fits = |set: u64, number: i64| set >> number & 1 == 1;
                let day_fits = |civil: Civil| {
                    let (by_month, by_week) = (fits(days, civil.day), fits(weekdays, civil.weekday()));
                    if both_days { by_month && by_week } else { by_month || by_week }
                };
                let search = Search { zone: &self.zone, at: after + 1, moved: false };
                search.first(
                    |civil| fits(months, civil.month),
                    day_fits,
                    |civil| fits(hours, civil.hour()),
                    |civil| fits(minutes, civil.minute()),
                )
            }
        }
    }
}

/// A moment that moves on, the largest field first, until all fields fit.
struct Search<'a> {
    zone: &'a Zone,
    at: i64,
    /// Whether the moment has been moved; the first move of a field takes the smaller fields back to their beginning.
    moved: bool,
}

impl Search<'_> {
    fn civil(&self) -> Civil {
        self.zone.civil(self.at)
    }

    /// Whether this is the first move.
    fn first_move(&mut self) -> bool {
        !std::mem::replace(&mut self.moved, true)
    }

    fn first(
        mut self,
        month: impl Fn(Civil) -> bool,
        day: impl Fn(Civil) -> bool,
        hour: impl Fn(Civil) -> bool,
        minute: impl Fn(Civil) -> bool,
    ) -> Option<i64> {
        let last_year = self.civil().year + YEARS_AHEAD;
        // Each field that wraps around begins the search anew, for the larger fields may no longer fit.
        while self.civil().year <= last_year {
            let settled = self.until(&month, Search::next_month)
                && self.until(&day, Search::next_day)
                && self.until(&hour, Search::next_hour)
                && self.until(&minute, Search::next_minute)
                && self.until(&|civil: Civil| civil.second() == 0, Search::next_second);
            if settled {
                return Some(self.at);
            }
        }
        None
    }

    /// Moves one field on until it fits; false if it has wrapped around before that.
    fn until(&mut self, fits: &impl Fn(Civil) -> bool, step: fn(&mut Self) -> bool) -> bool {
        while !fits(self.civil()) {
            if step(self) {
                return false;
            }
        }
        true
    }

    fn next_month(&mut self) -> bool {
        if self.first_move() {
            self.at = self.zone.moment(Civil { day: 1, second_of_day: 0, ..self.civil() });
        }
        let civil = self.civil();
        self.at = self.zone.moment(Civil { month: civil.month + 1, ..civil });
        self.civil().month == 1
    }

    fn next_day(&mut self) -> bool {
        if self.first_move() {
            self.at = self.zone.moment(Civil { second_of_day: 0, ..self.civil() });
        }
        let civil = self.civil();
        self.at = self.zone.moment(Civil { day: civil.day + 1, ..civil });
        // A change of the clock at midnight leaves 23 or 1 o'clock.
        match self.civil().hour() {
            0 => {}
            hour @ 13.. => self.at += (24 - hour) * 3_600,
            hour => self.at -= hour * 3_600,
        }
        self.civil().day == 1
    }

    fn next_hour(&mut self) -> bool {
        if self.first_move() {
            let civil = self.civil();
            self.at = self.zone.moment(Civil { second_of_day: civil.hour() * 3_600, ..civil });
        }
        self.at += 3_600;
        self.civil().hour() == 0
    }

    fn next_minute(&mut self) -> bool {
        if self.first_move() {
            self.at -= self.at.rem_euclid(60);
        }
        self.at += 60;
        self.civil().minute() == 0
    }

    fn next_second(&mut self) -> bool {
        self.first_move();
        self.at += 1;
        self.civil().second() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long trying every minute goes on.
    const SEARCH_SECONDS: i64 = (YEARS_AHEAD + 1) * 366 * crate::calendar::DAY;

    /// Berlin in 2025: one hour ahead of UTC, two from 30 March 01:00 UTC to 26 October 01:00 UTC.
    fn berlin() -> Zone {
        let changes = [(1_743_296_400, 7_200), (1_761_440_400, 3_600)].into();
        Zone { name: Some("Europe/Berlin".into()), first: 3_600, changes }
    }

    fn bits(numbers: &[u32]) -> u64 {
        numbers.iter().map(|number| 1u64 << number).sum()
    }

    /// A schedule of minutes and hours on all days.
    fn daily(minutes: &[u32], hours: &[u32], zone: Zone) -> Schedule {
        let Times::Calendar { days, months, weekdays, both_days, .. } = Times::default() else { unreachable!() };
        let times = Times::Calendar { minutes: bits(minutes), hours: bits(hours), days, months, weekdays, both_days };
        Schedule { text: "".into(), times, zone }
    }

    fn at(text: &str) -> i64 {
        let number = |range: std::ops::Range<usize>| text[range].parse::<i64>().unwrap();
        let second_of_day = number(11..13) * 3_600 + number(14..16) * 60 + number(17..19);
        Civil { year: number(0..4), month: number(5..7), day: number(8..10), second_of_day }.seconds()
    }

    /// The times after a moment, as UTC.
    fn times(schedule: &Schedule, after: &str, count: usize) -> Vec<String> {
        let mut now = at(after);
        let next = std::iter::from_fn(|| {
            now = schedule.next(now)?;
            Some(Civil::at(now).rfc3339(0)[5..16].to_owned())
        });
        next.take(count).collect()
    }

    #[test]
    fn every_minute_is_the_next_full_minute() {
        let schedule = Schedule::default();
        assert_eq!(times(&schedule, "2025-12-31T23:58:00", 3), ["12-31T23:59", "01-01T00:00", "01-01T00:01"]);
        assert_eq!(schedule.next(at("2025-01-01T00:00:59")), Some(at("2025-01-01T00:01:00")));
    }

    #[test]
    fn days_of_the_month_and_of_the_week_are_alternatives_unless_one_is_left_open() {
        let on = |days: &[u32], weekdays: &[u32], both_days| {
            let Times::Calendar { months, .. } = Times::default() else { unreachable!() };
            let times =
                Times::Calendar { minutes: 1, hours: 1, days: bits(days), months, weekdays: bits(weekdays), both_days };
            Schedule { times, ..Schedule::default() }
        };
        // 2025-06-01 is a Sunday.
        let either = on(&[13], &[5], false);
        assert_eq!(times(&either, "2025-06-06T00:00:00", 3), ["06-13T00:00", "06-20T00:00", "06-27T00:00"]);
        let all_days: Vec<u32> = (1..32).collect();
        let fridays = on(&all_days, &[5], true);
        assert_eq!(times(&fridays, "2025-05-31T00:00:00", 2), ["06-06T00:00", "06-13T00:00"]);
        assert_eq!(
            on(&[31], &[0, 1, 2, 3, 4, 5, 6], true).next(at("2025-05-31T00:00:00")),
            Some(at("2025-07-31T00:00:00"))
        );
    }

    #[test]
    fn a_date_that_never_comes_has_no_next_time() {
        let Times::Calendar { weekdays, .. } = Times::default() else { unreachable!() };
        let times =
            Times::Calendar { minutes: 1, hours: 1, days: bits(&[30]), months: bits(&[2]), weekdays, both_days: true };
        assert_eq!(Schedule { times, ..Schedule::default() }.next(0), None);
        let leap =
            Times::Calendar { minutes: 1, hours: 1, days: bits(&[29]), months: bits(&[2]), weekdays, both_days: true };
        let next = Schedule { times: leap, ..Schedule::default() }.next(at("2025-01-01T00:00:00"));
        assert_eq!(next, Some(at("2028-02-29T00:00:00")));
    }

    #[test]
    fn a_local_time_moves_in_utc_when_the_clock_changes() {
        let schedule = daily(&[30], &[9], berlin());
        assert_eq!(times(&schedule, "2025-03-29T00:00:00", 3), ["03-29T08:30", "03-30T07:30", "03-31T07:30"]);
        assert_eq!(times(&schedule, "2025-10-25T00:00:00", 3), ["10-25T07:30", "10-26T08:30", "10-27T08:30"]);
    }

    #[test]
    fn a_time_that_the_change_skips_is_skipped_and_one_that_occurs_twice_is_met_twice() {
        let schedule = daily(&[30], &[2], berlin());
        assert_eq!(times(&schedule, "2025-03-29T00:00:00", 3), ["03-29T01:30", "03-31T00:30", "04-01T00:30"]);
        assert_eq!(times(&schedule, "2025-10-25T12:00:00", 3), ["10-26T00:30", "10-26T01:30", "10-27T01:30"]);
        let hourly = daily(&[30], &(0..24).collect::<Vec<u32>>(), berlin());
        assert_eq!(times(&hourly, "2025-10-25T23:00:00", 3), ["10-25T23:30", "10-26T00:30", "10-26T01:30"]);
    }

    #[test]
    fn a_change_of_the_clock_at_midnight_does_not_lose_the_day() {
        // A zone that goes from 00:00 to 01:00 on 2 March.
        let zone = Zone { name: None, first: 0, changes: [(at("2025-03-02T00:00:00"), 3_600)].into() };
        let schedule = daily(&[15], &[6], zone);
        assert_eq!(times(&schedule, "2025-03-01T12:00:00", 2), ["03-02T05:15", "03-03T05:15"]);
    }

    #[test]
    fn every_so_often_counts_from_the_time_before() {
        let schedule = Schedule { times: Times::Every(90), ..Schedule::default() };
        assert_eq!(times(&schedule, "2025-01-01T00:00:10", 2), ["01-01T00:01", "01-01T00:03"]);
    }

    /// The next time by trying every minute.
    fn tried(schedule: &Schedule, after: i64) -> Option<i64> {
        let Times::Calendar { minutes, hours, days, months, weekdays, both_days } = schedule.times else {
            unreachable!()
        };
        let fits = |set: u64, number: i64| set >> number & 1 == 1;
        let first = after.div_euclid(60) * 60 + 60;
        (first..first + SEARCH_SECONDS).step_by(60).find(|moment| {
            let civil = Civil::at(*moment);
            let (by_month, by_week) = (fits(days, civil.day), fits(weekdays, civil.weekday()));
            let day = if both_days { by_month && by_week } else { by_month || by_week };
            day && fits(months, civil.month) && fits(hours, civil.hour()) && fits(minutes, civil.minute())
        })
    }

    #[test]
    fn the_search_finds_what_trying_every_minute_finds() {
        use crate::draw::{Draws, Purpose, below};
        let mut draws = Draws::starting_at(5, Purpose::NameSuffix, 0, 0);
        let mut below = |limit| below(draws.next().expect("draws do not end"), limit);
        for _ in 0..150 {
            let mut some = |first: u32, last: u32| -> u64 {
                let all: u64 = (first..=last).map(|number| 1u64 << number).sum();
                match below(3) {
                    0 => all,
                    _ => 1u64 << (u64::from(first) + below(u64::from(last - first + 1))),
                }
            };
            let times = Times::Calendar {
                minutes: some(0, 59),
                hours: some(0, 23),
                days: some(1, 28),
                months: some(1, 12),
                weekdays: some(0, 6),
                both_days: false,
            };
            let schedule = Schedule { times, ..Schedule::default() };
            let after = at("2025-01-01T00:00:00") + below(40_000_000) as i64;
            assert_eq!(schedule.next(after), tried(&schedule, after), "{schedule:?} after {after}");
        }
    }
}
