//! Numbers as people read them, computed in integers so that every machine prints the same digits.

/// Nanoseconds in one second.
pub(crate) const SECOND_NS: u64 = 1_000_000_000;

/// Seconds with nine decimals, for tables: exact.
pub(crate) fn seconds_exact(time_ns: u64) -> String {
    format!("{}.{:09}", time_ns / SECOND_NS, time_ns % SECOND_NS)
}

/// A time or span for people, rounded to a precision that suits its size: `340 µs`, `3.204 s`, `6 min 47.1 s`.
pub(crate) fn duration(ns: u64) -> String {
    let precision = match ns {
        0..1_000 => 1,
        1_000..1_000_000 => 1_000,
        1_000_000..60_000_000_000 => 1_000_000,
        60_000_000_000..3_600_000_000_000 => SECOND_NS / 10,
        3_600_000_000_000..86_400_000_000_000 => SECOND_NS,
        _ => 60 * SECOND_NS,
    };
    let ns = (ns / precision + u64::from(ns % precision >= precision.div_ceil(2))).saturating_mul(precision);
    let seconds = ns / SECOND_NS;
    match ns {
        0 => "0 s".to_owned(),
        1..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{} µs", ns / 1_000),
        1_000_000..SECOND_NS => format!("{} ms", ns / 1_000_000),
        _ if seconds < 60 => format!("{} s", decimals(ns, 3)),
        _ if seconds < 3_600 => format!("{} min {} s", seconds / 60, decimals(ns % (60 * SECOND_NS), 1)),
        _ if seconds < 86_400 => format!("{} h {} min {} s", seconds / 3_600, seconds / 60 % 60, seconds % 60),
        _ => format!("{} d {} h {} min", seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60),
    }
}

/// Seconds with three decimals and thousands apart, for columns of times: `1,204.500`.
pub(crate) fn seconds_column(time_ns: u64) -> String {
    format!("{}.{:03}", thousands(time_ns / SECOND_NS), time_ns % SECOND_NS / 1_000_000)
}

/// A count with commas: `1,234,567`.
pub(crate) fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 pod`, `12 pods`, `2 policies`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    format!("{} {}", thousands(count), if count == 1 { noun.to_owned() } else { plural(noun) })
}

/// The plural of a Kubernetes noun.
fn plural(noun: &str) -> String {
    match noun.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{stem}ies"),
        _ if noun.ends_with(['s', 'x']) => format!("{noun}es"),
        _ => format!("{noun}s"),
    }
}

/// A binary size: `16 GiB`, `1.5 GiB`, `900 KiB`; one decimal, cut.
pub(crate) fn binary_size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1_024 {
        return format!("{bytes} B");
    }
    let mut power = 0;
    while power + 1 < UNITS.len() && bytes >> (10 * (power + 2)) > 0 {
        power += 1;
    }
    let unit = 1u64 << (10 * (power + 1));
    let tenths = (u128::from(bytes % unit) * 10 / u128::from(unit)) as u64;
    match tenths {
        0 => format!("{} {}", bytes / unit, UNITS[power]),
        _ => format!("{}.{tenths} {}", bytes / unit, UNITS[power]),
    }
}

/// CPU in cores: `4`, `0.25`, `1.5`.
pub(crate) fn cores(milli: u64) -> String {
    trimmed(format!("{}.{:03}", milli / 1_000, milli % 1_000))
}

/// Seconds with up to `places` decimals, without trailing zeros.
fn decimals(ns: u64, places: u32) -> String {
    let unit = 10u64.pow(9 - places);
    let fraction = ns % SECOND_NS / unit;
    trimmed(format!("{}.{fraction:0width$}", ns / SECOND_NS, width = places as usize))
}

fn trimmed(number: String) -> String {
    number.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_told_in_the_unit_that_a_person_would_use() {
        let told = [0, 12, 3_500, 250_000_000, 3_204_000_000, 60_000_000_000, 407_100_000_000, 7_265_000_000_000];
        let told: Vec<_> = told.into_iter().map(duration).collect();
        let expected = ["0 s", "12 ns", "4 µs", "250 ms", "3.204 s", "1 min 0 s", "6 min 47.1 s", "2 h 1 min 5 s"];
        assert_eq!(told, expected);
        assert_eq!(duration(u64::MAX), "213503 d 23 h 34 min");
        let rounded = [3_499, 999_500, 1_204_600_000, 59_999_600_000, 407_150_000_000, 3_599_950_000_000];
        let expected = ["3 µs", "1 ms", "1.205 s", "1 min 0 s", "6 min 47.2 s", "1 h 0 min 0 s"];
        assert_eq!(rounded.map(duration), expected);
    }

    #[test]
    fn counts_sizes_and_cores_read_well() {
        assert_eq!([thousands(0), thousands(999), thousands(1_234_567)], ["0", "999", "1,234,567"]);
        assert_eq!(
            [counted(1, "pod"), counted(2, "policy"), counted(3, "gateway")],
            ["1 pod", "2 policies", "3 gateways"]
        );
        assert_eq!([binary_size(512), binary_size(1_536), binary_size(16 << 30)], ["512 B", "1.5 KiB", "16 GiB"]);
        assert_eq!(binary_size(u64::MAX), "15.9 EiB");
        assert_eq!([cores(4_000), cores(250), cores(0)], ["4", "0.25", "0"]);
        assert_eq!(seconds_exact(1_000_000_042), "1.000000042");
        assert_eq!(seconds_column(1_204_500_000_000), "1,204.500");
    }
}
