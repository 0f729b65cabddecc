//! What was probably meant by a text that is no quantity.

use wavetank_core::quantity::Quantity;

/// Units as people write them, in lower case and without the `s` of several, and Kubernetes' suffixes for them.
const UNITS: [(&[&str], &str); 17] = [
    (&["b", "byte", "core", "cpu", "vcpu"], ""),
    (&["mcpu", "millicpu", "millicore", "milli"], "m"),
    (&["k", "kb", "kilobyte"], "k"),
    (&["mb", "megabyte"], "M"),
    (&["g", "gb", "gigabyte"], "G"),
    (&["t", "tb", "terabyte"], "T"),
    (&["p", "pb", "petabyte"], "P"),
    (&["eb", "exabyte"], "E"),
    (&["m"], "m"),
    (&["ki", "kib", "kibibyte"], "Ki"),
    (&["mi", "mib", "mebibyte"], "Mi"),
    (&["gi", "gib", "gibibyte"], "Gi"),
    (&["ti", "tib", "tebibyte"], "Ti"),
    (&["pi", "pib", "pebibyte"], "Pi"),
    (&["ei", "eib", "exbibyte"], "Ei"),
    (&["u", "µ"], "u"),
    (&["n"], "n"),
];

/// The quantity that a text was probably meant to be, as Kubernetes writes it: `1G` of `1gb`, `500m` of `500 m`. `None`
/// for a text that is one, and for one that could mean anything.
pub fn meant_quantity(text: &str) -> Option<String> {
    if text.parse::<Quantity>().is_ok() {
        return None;
    }
    let text = text.trim();
    let unit_from = text.find(|letter: char| !(letter.is_ascii_digit() || "+-.,_ ".contains(letter)));
    let (number, unit) = text.split_at(unit_from.unwrap_or(text.len()));
    let number = number.trim().replace('_', "");
    let number = match number.split_once(',') {
        // `1,000` is a thousand to some and one to others.
        Some((_, fraction)) if fraction.len() == 3 || fraction.contains([',', '.']) => return None,
        Some((whole, fraction)) => format!("{whole}.{fraction}"),
        None => number,
    };
    // `M` is not `m`, but `MB` is `mb`.
    let as_written = UNITS.iter().map(|(_, suffix)| *suffix).find(|suffix| *suffix == unit);
    let lower = unit.to_lowercase();
    let single = if lower.len() > 1 { lower.trim_end_matches('s') } else { &lower };
    let known = || UNITS.iter().find(|(names, _)| names.contains(&single)).map(|(_, suffix)| *suffix);
    let suffix = if unit.is_empty() { Some("") } else { as_written.or_else(known) }?;
    let meant = format!("{number}{suffix}");
    let has_digits = number.contains(|letter: char| letter.is_ascii_digit());
    (has_digits && meant.parse::<Quantity>().is_ok()).then_some(meant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_as_people_write_them_are_understood() {
        for (written, meant) in [
            ("1gb", "1G"),
            ("1GB", "1G"),
            ("1g", "1G"),
            ("64mib", "64Mi"),
            ("64 MiB", "64Mi"),
            ("500 m", "500m"),
            ("500 M", "500M"),
            ("0.5cpu", "0.5"),
            ("2 cores", "2"),
            ("250millicores", "250m"),
            ("0,5", "0.5"),
            ("1_000", "1000"),
            ("1K", "1k"),
            (" 1Gi", "1Gi"),
            ("100 bytes", "100"),
        ] {
            assert_eq!(meant_quantity(written).as_deref(), Some(meant), "{written:?}");
        }
    }

    #[test]
    fn what_could_mean_anything_has_no_suggestion() {
        for written in ["", "lots", "1,000", "1.2.3", "1h", "10%", "gb", "1 2", "--1", "1Gi"] {
            assert_eq!(meant_quantity(written), None, "{written:?}");
        }
    }
}
