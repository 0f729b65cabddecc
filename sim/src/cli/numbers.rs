//! Numbers on the command line, refused in words that name no type of the program.

/// A seed.
///
/// Errors: a phrase that says what was expected.
pub(super) fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("expected a whole number from 0 to {}", u64::MAX))
}

/// How many of something, none included.
///
/// Errors: a phrase that says what was expected.
pub(super) fn count(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| "expected a whole number, 0 or more".to_owned())
}

/// How many of something of which there must be one.
///
/// Errors: a phrase that says what was expected.
pub(super) fn some(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|count| *count > 0).ok_or_else(|| "expected a whole number, 1 or more".to_owned())
}

/// How many threads are started: no more than there are things to do, and 0, which is one per core, if nobody says.
pub(super) fn threads(wanted: Option<usize>, things: usize) -> usize {
    wanted.map_or(0, |wanted| wanted.min(things.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_range_are_refused_with_the_range() {
        assert_eq!(seed("18446744073709551615"), Ok(u64::MAX));
        for wrong in ["-1", "18446744073709551616", "1.5", ""] {
            assert_eq!(
                seed(wrong),
                Err("expected a whole number from 0 to 18446744073709551615".to_owned()),
                "{wrong}"
            );
        }
        assert_eq!((count("0"), some("1")), (Ok(0), Ok(1)));
        assert_eq!([threads(Some(99_999), 37), threads(Some(2), 37), threads(None, 37)], [37, 2, 0]);
        assert_eq!(threads(Some(5), 0), 1, "0 would be one per core");
        assert!(count("-1").is_err() && some("0").is_err() && some("x").is_err());
    }
}
