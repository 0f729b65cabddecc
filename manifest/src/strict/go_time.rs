//! Times as the API server's types read them, with Go's words for what is none.
//!
//! Source: `parse` of Go's time/format.go; `Time.UnmarshalJSON`, `MicroTime.UnmarshalJSON`,
//! staging/src/k8s.io/apimachinery/pkg/apis/meta/v1/{time,micro_time}.go (v1.34.1).

/// The layout of `Time`.
const SECONDS: &str = "2006-01-02T15:04:05Z07:00";
/// The layout of `MicroTime`.
const MICROSECONDS: &str = "2006-01-02T15:04:05.000000Z07:00";

/// What Go says of a text that is no time; `None` if it is one. `micro` is whether six digits of a second are wanted.
pub(super) fn fault(text: &str, micro: bool) -> Option<String> {
    let layout = if micro { MICROSECONDS } else { SECONDS };
    // Only where an element is missing is the layout told.
    let said = |why: &str| Some(format!("parsing time {}: {why}", quoted(text)));
    let cannot = |rest: &str, element: &str| {
        Some(format!("parsing time {} as {layout:?}: cannot parse {} as {element:?}", quoted(text), quoted(rest)))
    };
    let parts: [(&str, &str, usize, u32, u32); 6] = [
        ("", "2006", 4, 0, 9_999),
        ("-", "01", 2, 1, 12),
        ("-", "02", 2, 1, 31),
        ("T", "15", 2, 0, 23),
        (":", "04", 2, 0, 59),
        (":", "05", 2, 0, 59),
    ];
    let mut rest = text;
    let mut numbers = [0; 6];
    for (at, (before, element, digits, min, max)) in parts.into_iter().enumerate() {
        let Some(value) = rest.strip_prefix(before) else { return cannot(rest, before) };
        // Hours may have one digit, though the layout has two.
        let has_second = value.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
        let digits = if element == "15" && !has_second { 1 } else { digits };
        let Some(number) = value.get(..digits).filter(|it| it.bytes().all(|byte| byte.is_ascii_digit())) else {
            return cannot(value, element);
        };
        numbers[at] = number.parse().unwrap_or(0);
        rest = &value[digits..];
        // A day is compared with its month, when all has been read.
        if !(min..=max).contains(&numbers[at]) && element != "02" {
            let name = ["year", "month", "day", "hour", "minute", "second"][at];
            return said(&format!("{name} out of range"));
        }
    }
    if micro {
        let is_fraction = |it: &&str| it.starts_with('.') && it[1..].bytes().all(|byte| byte.is_ascii_digit());
        if rest.get(..7).filter(is_fraction).is_none() {
            return cannot(rest, ".000000");
        }
        rest = &rest[7..];
    } else if rest.starts_with(['.', ',']) && rest.as_bytes().get(1).is_some_and(u8::is_ascii_digit) {
        rest = rest[1..].trim_start_matches(|letter: char| letter.is_ascii_digit());
    }
    let zone = rest;
    if let Some(after) = rest.strip_prefix('Z') {
        rest = after;
    } else {
        let is_zone = |it: &&str| {
            let bytes = it.as_bytes();
            matches!(bytes[0], b'+' | b'-')
                && bytes[3] == b':'
                && [1, 2, 4, 5].iter().all(|&at: &usize| bytes[at].is_ascii_digit())
        };
        if rest.get(..6).filter(is_zone).is_none() {
            return cannot(zone, "Z07:00");
        }
        rest = &rest[6..];
    }
    if !rest.is_empty() {
        return said(&format!("extra text: {}", quoted(rest)));
    }
    let [year, month, day, ..] = numbers;
    let days = match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    (!(1..=days).contains(&day)).then(|| said("day out of range")).flatten()
}

/// A text in quotes; bytes beyond ASCII, and those that cannot be seen, are told by number.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => quoted.extend(['\\', char::from(byte)]),
            b' '..=b'~' => quoted.push(char::from(byte)),
            other => quoted.push_str(&format!("\\x{other:02x}")),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::fault;

    #[test]
    fn a_text_that_is_no_time_is_refused_where_it_ceases_to_be_one() {
        for (text, why) in [
            ("2026-01-02T03:04:05Z", ""),
            ("2026-01-02T03:04:05.5+01:00", ""),
            ("", r#"cannot parse "" as "2006""#),
            ("tomorrow", r#"cannot parse "tomorrow" as "2006""#),
            ("2026", r#"cannot parse "" as "-""#),
            ("2026-13-02T03:04:05Z", "month out of range"),
            ("2026-02-30T03:04:05Z", "day out of range"),
            ("2026-01-02 03:04:05Z", r#"cannot parse " 03:04:05Z" as "T""#),
            ("2026-01-02T03:04:05", r#"cannot parse "" as "Z07:00""#),
            ("2026-01-02T03:04:05Zx", r#"extra text: "x""#),
        ] {
            let said = fault(text, false).unwrap_or_default();
            assert!(said.ends_with(why) && said.is_empty() == why.is_empty(), "{text}: {said}");
        }
        let layout = "2006-01-02T15:04:05.000000Z07:00";
        let said = format!(r#"parsing time "2026-01-02T03:04:05Z" as "{layout}": cannot parse "Z" as ".000000""#);
        assert_eq!(fault("2026-01-02T03:04:05Z", true), Some(said));
        assert_eq!(fault("2026-01-02T03:04:05.000001Z", true), None);
        let said = r#"parsing time "2026-13-02T03:04:05Z": month out of range"#;
        assert_eq!(fault("2026-13-02T03:04:05Z", false).as_deref(), Some(said), "the layout is not told");
        let said = fault("\u{e9}", false).unwrap_or_default();
        assert!(said.starts_with(r#"parsing time "\xc3\xa9" as "#), "{said}");
    }
}
