//! Dates of the Gregorian calendar from and to seconds since 1970, without time zones of their own.
//!
//! Seconds here are those of the Unix clock, which knows no leap seconds.

/// Seconds in a day.
pub const DAY: i64 = 86_400;

/// A date and a time of day.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Civil {
    /// The year.
    pub year: i64,
    /// The month, 1 to 12.
    pub month: i64,
    /// The day of the month, 1 to 31.
    pub day: i64,
    /// Seconds since midnight, 0 to 86,399.
    pub second_of_day: i64,
}

impl Civil {
    /// The date at a number of seconds since 1970-01-01T00:00:00.
    pub fn at(seconds: i64) -> Civil {
        let (year, month, day) = date(seconds.div_euclid(DAY));
        Civil { year, month, day, second_of_day: seconds.rem_euclid(DAY) }
    }

    /// The number of seconds since 1970-01-01T00:00:00. Months beyond 12 count on into the next years, and days beyond
    /// the month's last into the next months.
    pub fn seconds(self) -> i64 {
        let months = self.year * 12 + self.month - 1;
        (days_before(months.div_euclid(12), months.rem_euclid(12) + 1) + self.day - 1) * DAY + self.second_of_day
    }

    /// The hour, 0 to 23.
    pub fn hour(self) -> i64 {
        self.second_of_day / 3_600
    }

    /// The minute, 0 to 59.
    pub fn minute(self) -> i64 {
        self.second_of_day / 60 % 60
    }

    /// The second, 0 to 59.
    pub fn second(self) -> i64 {
        self.second_of_day % 60
    }

    /// The day of the week, 0 (Sunday) to 6.
    pub fn weekday(self) -> i64 {
        (self.seconds().div_euclid(DAY) + 4).rem_euclid(7)
    }

    /// RFC 3339: `2025-01-31T12:30:00Z`, or with `+02:00` for an offset of so many seconds from UTC.
    pub fn rfc3339(self, offset: i32) -> String {
        let (hour, minute, second) = (self.hour(), self.minute(), self.second());
        let zone = if offset == 0 { "Z".to_owned() } else { offset_text(offset, ":") };
        format!("{:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}{zone}", self.year, self.month, self.day)
    }

    /// RFC 1123 with a numeric zone: `Fri, 31 Jan 2025 12:30:00 +0000`.
    pub fn rfc1123(self, offset: i32) -> String {
        const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
        const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let (weekday, month) = (DAYS[self.weekday() as usize], MONTHS[self.month as usize - 1]);
        let (hour, minute, second) = (self.hour(), self.minute(), self.second());
        let zone = offset_text(offset, "");
        format!("{weekday}, {:02} {month} {:04} {hour:02}:{minute:02}:{second:02} {zone}", self.day, self.year)
    }
}

fn offset_text(offset: i32, joint: &str) -> String {
    let (sign, minutes) = if offset < 0 { ('-', -offset / 60) } else { ('+', offset / 60) };
    format!("{sign}{:02}{joint}{:02}", minutes / 60, minutes % 60)
}

/// Year, month and day of a number of days since 1970-01-01 (the method of counting in 400-year eras).
fn date(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Days from 1970-01-01 to the first of a month.
fn days_before(year: i64, month: i64) -> i64 {
    let (year, shifted_month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * shifted_month + 2) / 5;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_turn_into_each_other_over_all_kinds_of_years() {
        for days in (-800_000..800_000).step_by(97) {
            let seconds = days * DAY + 4_711;
            assert_eq!(Civil::at(seconds).seconds(), seconds);
        }
        let leap = Civil::at(951_782_399);
        assert_eq!(leap.rfc3339(0), "2000-02-28T23:59:59Z");
        assert_eq!(Civil::at(951_782_400).rfc3339(-5_400), "2000-02-29T00:00:00-01:30");
        assert_eq!(Civil::at(1_735_689_600).rfc1123(0), "Wed, 01 Jan 2025 00:00:00 +0000");
    }

    #[test]
    fn months_and_days_count_on_beyond_their_ends() {
        let new_year = Civil { year: 2025, month: 13, day: 1, second_of_day: 0 };
        assert_eq!(Civil::at(new_year.seconds()).rfc3339(0), "2026-01-01T00:00:00Z");
        let march = Civil { year: 2025, month: 2, day: 29, second_of_day: 0 };
        assert_eq!(Civil::at(march.seconds()).rfc3339(0), "2025-03-01T00:00:00Z");
    }
}
