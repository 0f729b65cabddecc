//! The commands of `real` around a running cluster.

pub(crate) mod client;
pub(crate) mod up;

use std::time::Duration;

use wavetank_real::docker::ClusterName;

/// The cluster's name unless `--cluster` says otherwise.
pub(crate) const CLUSTER_DEFAULT: &str = "wavetank";

pub(crate) fn cluster_name(text: &str) -> Result<ClusterName, String> {
    ClusterName::new(text).map_err(|error| error.to_string())
}

/// `1 container`, `3 containers`.
pub(crate) fn containers(count: usize) -> String {
    format!("{count} container{}", if count == 1 { "" } else { "s" })
}

/// A length of time such as `90s`, `5m`, `2h` or `500ms`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let problem =
        || format!("{text:?} is no length of time: expected a whole number and a unit, such as 500ms, 90s, 5m or 2h");
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().map_err(|_| problem())?;
    let millis = match &text[digits..] {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    millis.and_then(|unit: u64| unit.checked_mul(number)).map(Duration::from_millis).ok_or_else(problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_have_a_unit() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        for bad in ["", "90", "s", "1d", "-1s", "1.5s", "99999999999999999999s", "18446744073709551615h"] {
            assert!(duration(bad).is_err(), "{bad:?}");
        }
    }
}
