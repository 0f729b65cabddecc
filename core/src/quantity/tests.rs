//! Tables over the same ground as Kubernetes' own quantity tests, and properties.

use proptest::prelude::*;

use super::{Format, ParseQuantityError, Quantity};
use Format::{BinarySi, DecimalExponent, DecimalSi};

const UNIT: i128 = 1_000_000_000;

fn quantity(text: &str) -> Quantity {
    text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

/// Text, exact amount in nano-units, notation, printed text.
const READ_AND_PRINTED: &[(&str, i128, Format, &str)] = &[
    // Zero is `0` whatever its suffix, and keeps the suffix's notation.
    ("0", 0, DecimalSi, "0"),
    ("00", 0, DecimalSi, "0"),
    ("0n", 0, DecimalSi, "0"),
    ("0Ki", 0, BinarySi, "0"),
    ("0T", 0, DecimalSi, "0"),
    ("0e5", 0, DecimalExponent, "0"),
    // Every suffix.
    ("5n", 5, DecimalSi, "5n"),
    ("4u", 4_000, DecimalSi, "4u"),
    ("3m", 3_000_000, DecimalSi, "3m"),
    ("9", 9 * UNIT, DecimalSi, "9"),
    ("8k", 8_000 * UNIT, DecimalSi, "8k"),
    ("7M", 7_000_000 * UNIT, DecimalSi, "7M"),
    ("6G", 6_000_000_000 * UNIT, DecimalSi, "6G"),
    ("40T", 40_000_000_000_000 * UNIT, DecimalSi, "40T"),
    ("2P", 2_000_000_000_000_000 * UNIT, DecimalSi, "2P"),
    ("12E", 12_000_000_000_000_000_000 * UNIT, DecimalSi, "12E"),
    ("1Ki", UNIT << 10, BinarySi, "1Ki"),
    ("7Mi", (7 * UNIT) << 20, BinarySi, "7Mi"),
    ("6Gi", (6 * UNIT) << 30, BinarySi, "6Gi"),
    ("100Ti", (100 * UNIT) << 40, BinarySi, "100Ti"),
    ("4Pi", (4 * UNIT) << 50, BinarySi, "4Pi"),
    ("3Ei", (3 * UNIT) << 60, BinarySi, "3Ei"),
    ("1e3", 1_000 * UNIT, DecimalExponent, "1e3"),
    ("1E-3", 1_000_000, DecimalExponent, "1E-3"),
    ("1e14", 100_000_000_000_000 * UNIT, DecimalExponent, "100e12"),
    ("1.7E18", 1_700_000_000_000_000_000 * UNIT, DecimalExponent, "1700e15"),
    // Fractions move to a smaller suffix.
    ("1.5", 1_500_000_000, DecimalSi, "1500m"),
    ("1500m", 1_500_000_000, DecimalSi, "1500m"),
    ("0.001", 1_000_000, DecimalSi, "1m"),
    ("0.0005k", 500_000_000, DecimalSi, "500m"),
    ("0.5e-2", 5_000_000, DecimalExponent, "5e-3"),
    ("8.1k", 8_100 * UNIT, DecimalSi, "8100"),
    ("1.01E", 1_010_000_000_000_000_000 * UNIT, DecimalSi, "1010P"),
    ("0.5Gi", UNIT << 29, BinarySi, "512Mi"),
    ("1.5Gi", (3 * UNIT) << 29, BinarySi, "1536Mi"),
    ("100.035Ki", 102_435_840_000_000, BinarySi, "102435840m"),
    ("0.05Gi", 53_687_091_200_000_000, BinarySi, "53687091200m"),
    // The largest suffix that loses nothing.
    ("1024Ki", UNIT << 20, BinarySi, "1Mi"),
    ("1024Mi", UNIT << 30, BinarySi, "1Gi"),
    ("1001Gi", (1001 * UNIT) << 30, BinarySi, "1001Gi"),
    ("1000M", 1_000_000_000 * UNIT, DecimalSi, "1G"),
    ("0.001T", 1_000_000_000 * UNIT, DecimalSi, "1G"),
    ("1080000000n", 1_080_000_000, DecimalSi, "1080m"),
    (".001e12", 1_000_000_000 * UNIT, DecimalExponent, "1e9"),
    ("1000e-12", 1, DecimalExponent, "1e-9"),
    ("1234567M", 1_234_567_000_000 * UNIT, DecimalSi, "1234567M"),
    // Finer than a nano-unit: away from zero.
    ("3.001n", 4, DecimalSi, "4n"),
    ("1.1E-9", 2, DecimalExponent, "2e-9"),
    ("0.0000000001", 1, DecimalSi, "1n"),
    ("0.9n", 1, DecimalSi, "1n"),
    ("0.00000012354", 124, DecimalSi, "124n"),
    ("1e-99999999", 1, DecimalExponent, "1e-9"),
    // Binary notation below one, or below 1024 when printed, is decimal.
    (".001Ki", 1_024_000_000, BinarySi, "1024m"),
    (".000001Ki", 1_024_000, DecimalSi, "1024u"),
    (".000000000001Ki", 2, DecimalSi, "2n"),
    // Binary notation is capped at 2^63 - 1, decimal is not.
    ("9Ei", i64::MAX as i128 * UNIT, BinarySi, "9223372036854775807"),
    ("9223372036854775807Ki", i64::MAX as i128 * UNIT, BinarySi, "9223372036854775807"),
    ("99999999999999999999999999999999999999999999Ki", i64::MAX as i128 * UNIT, BinarySi, "9223372036854775807"),
    ("9223372036854775808", (1 << 63) * UNIT, DecimalSi, "9223372036854775808"),
    ("1000E", 1_000_000_000_000_000_000_000 * UNIT, DecimalSi, "1000E"),
    // Spellings that look canonical to Kubernetes and are given back as they are.
    ("1.500", 1_500_000_000, DecimalSi, "1.500"),
    ("01", UNIT, DecimalSi, "01"),
    ("1E3", 1_000 * UNIT, DecimalExponent, "1E3"),
    ("100.035k", 100_035 * UNIT, DecimalSi, "100.035k"),
    ("1.G", 1_000_000_000 * UNIT, DecimalSi, "1.G"),
    ("1.", UNIT, DecimalSi, "1."),
    ("7.123456M", 7_123_456 * UNIT, DecimalSi, "7.123456M"),
    ("0008Ki", (8 * UNIT) << 10, BinarySi, "8Ki"),
    ("0009Ki", (9 * UNIT) << 10, BinarySi, "0009Ki"),
    ("000000000000000000000000000000001", UNIT, DecimalSi, "1"),
    // Without a digit it is zero, as long as the 64-bit scanner handles it.
    (".", 0, DecimalSi, "0"),
    (".Ti", 0, BinarySi, "0"),
    ("m", 0, DecimalSi, "0"),
];

#[test]
fn texts_are_read_exactly_and_printed_as_kubernetes_prints_them() {
    for (text, nano, format, printed) in READ_AND_PRINTED {
        let read = quantity(text);
        assert_eq!(read.nano(), *nano, "{text}");
        assert_eq!(read.format(), *format, "{text}");
        assert_eq!(read.to_string(), *printed, "{text}");
    }
}

#[test]
fn a_sign_mirrors_the_amount_and_changes_nothing_else() {
    for (text, nano, format, _) in READ_AND_PRINTED {
        let (negative, positive) = (quantity(&format!("-{text}")), quantity(&format!("+{text}")));
        assert_eq!((negative.nano(), negative.format()), (-nano, *format), "-{text}");
        assert_eq!((positive.nano(), positive.format()), (*nano, *format), "+{text}");
    }
    assert_eq!(quantity("-0").to_string(), "0");
    assert_eq!(quantity("-1.5").to_string(), "-1500m");
    assert_eq!(quantity("-1024Mi").to_string(), "-1Gi");
    assert_eq!(quantity("-.000000000001Ki").to_string(), "-2n");
    assert_eq!(quantity("+1").to_string(), "+1");
    assert_eq!(quantity("+1.5").to_string(), "1500m");
}

#[test]
fn a_text_that_is_no_quantity_says_which_part_is_wrong() {
    use ParseQuantityError::{Format, Numeric, OutOfRange, Suffix};
    let table = [
        ("", Format),
        ("1.1.M", Format),
        ("1+1.0M", Format),
        ("aoeu", Format),
        (" 1", Format),
        ("1 ", Format),
        ("0.1am", Format),
        ("1e3M", Format),
        ("1é", Format),
        ("0.1mi", Suffix),
        (".5i", Suffix),
        ("1i", Suffix),
        ("1mm", Suffix),
        ("1K", Suffix),
        ("-3.01e-", Suffix),
        ("1e", Suffix),
        ("--1", Suffix),
        ("1e9223372036854775808", Suffix),
        (".Pi", Numeric),
        (".e-10", Numeric),
        ("1e30", OutOfRange),
        ("-1e30", OutOfRange),
        ("1e9223372036854775807", OutOfRange),
    ];
    for (text, error) in table {
        assert_eq!(text.parse::<Quantity>(), Err(error), "{text:?}");
    }
    assert_eq!(format!("1{}", "0".repeat(1024)).parse::<Quantity>(), Err(OutOfRange));
}

#[test]
fn errors_read_as_the_api_server_words_them() {
    let message = |text: &str| text.parse::<Quantity>().expect_err("not a quantity").to_string();
    let expression = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
    assert_eq!(message("one"), expression);
    assert_eq!(message(".Pi"), "unable to parse numeric part of quantity");
    assert_eq!(message("1Q"), expression);
    assert_eq!(message("1KK"), "unable to parse quantity's suffix");
}

#[test]
fn units_and_thousandths_are_rounded_away_from_zero() {
    for (text, units, thousandths) in [
        ("9.01", 10, 9010),
        ("-9.01", -10, -9010),
        ("1n", 1, 1),
        ("-1n", -1, -1),
        ("100m", 1, 100),
        ("1500u", 1, 2),
        ("2", 2, 2000),
        ("1Gi", 1 << 30, 1000 << 30),
        ("12E", i64::MAX, i64::MAX),
        ("-12E", i64::MIN, i64::MIN),
    ] {
        assert_eq!((quantity(text).value(), quantity(text).milli_value()), (units, thousandths), "{text}");
    }
}

#[test]
fn pod_defaults_round_to_thousandths_and_keep_a_spelling_that_needs_no_rounding() {
    let rounded = |text: &str| quantity(text).rounded_up_to_milli().expect("in range").to_string();
    assert_eq!(rounded("1.500"), "1.500");
    assert_eq!(rounded("1.000500"), "1001m");
    assert_eq!(rounded("-1u"), "-1m");
    assert_eq!(Quantity::from_nano(i128::MAX, DecimalSi).rounded_up_to_milli(), None);
}

#[test]
fn order_looks_at_the_amount_alone() {
    assert_eq!(quantity("1000m"), quantity("1e0"));
    assert_eq!(quantity("1.500"), quantity("1.5"));
    assert!(quantity("10000T") > quantity("100Gi"));
    assert!(quantity("50m") < quantity("100m"));
    assert!(quantity("-1Ei") < quantity("0"));
}

#[test]
fn a_sum_keeps_the_left_notation_unless_the_left_is_zero() {
    let add = |left: &str, right: &str| quantity(left).checked_add(quantity(right)).expect("in range").to_string();
    let sub = |left: &str, right: &str| quantity(left).checked_sub(quantity(right)).expect("in range").to_string();
    assert_eq!(add("1Gi", "1G"), "2073741824");
    assert_eq!(add("1Ki", "1024"), "2Ki");
    assert_eq!(add("0", "1Gi"), "1Gi");
    assert_eq!(add("0Ki", "100m"), "100m");
    assert_eq!(add("1.500", "0"), "1500m");
    assert_eq!(sub("0", "1Gi"), "-1Gi");
    assert_eq!(sub("10", "1e1"), "0");
    assert_eq!(quantity("-10Ki").checked_mul(-2).expect("in range").to_string(), "20Ki");
    assert_eq!(quantity("1e29").checked_add(quantity("1e29")), None);
    assert_eq!(quantity("1e29").checked_mul(2), None);
}

#[test]
fn made_quantities_print_in_their_notation() {
    assert_eq!(Quantity::from_units(1_234_000, DecimalSi).to_string(), "1234k");
    assert_eq!(Quantity::from_units(1 << 20, BinarySi).to_string(), "1Mi");
    assert_eq!(Quantity::from_units(1025, BinarySi).to_string(), "1025");
    assert_eq!(Quantity::from_units(5, BinarySi).to_string(), "5");
    assert_eq!(Quantity::from_milli(1 << 20, BinarySi).to_string(), "1048576m");
    assert_eq!(Quantity::from_milli(1_000_000, DecimalExponent).to_string(), "1e3");
    assert_eq!(format!("{:>6}|", Quantity::from_milli(80, DecimalExponent)), " 80e-3|");
    assert_eq!(Quantity::default(), Quantity::ZERO);
}

#[test]
fn json_strings_numbers_and_null_are_read_and_strings_written() {
    for (json, written) in [
        (r#"" 1""#, r#""1""#),
        (r#""1Gi ""#, r#""1Gi""#),
        ("10", r#""10""#),
        ("-1", r#""-1""#),
        ("1000", r#""1k""#),
        ("0.1", r#""100m""#),
        ("1.5", r#""1500m""#),
        ("18446744073709551615", r#""18446744073709551615""#),
        ("null", r#""0""#),
    ] {
        let read: Quantity = serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"));
        assert_eq!(serde_json::to_string(&read).expect("a string"), written, "{json}");
    }
    let error = serde_json::from_str::<Quantity>(r#""1KK""#).expect_err("no such suffix").to_string();
    assert!(error.starts_with("unable to parse quantity's suffix (found \"1KK\")"), "{error}");
    assert!(serde_json::from_str::<Quantity>("[1]").expect_err("no list").to_string().contains("expected a quantity"));
}

fn any_format() -> impl Strategy<Value = Format> {
    prop_oneof![Just(DecimalSi), Just(BinarySi), Just(DecimalExponent)]
}

/// Amounts of every size, with and without many trailing zeros in either base.
fn any_nano() -> impl Strategy<Value = i128> {
    let sized = (any::<i128>(), 1_u32..127).prop_map(|(nano, bits)| nano >> bits);
    let decimal = (-999_i128..1000, 0_u32..30).prop_map(|(digits, zeros)| digits * 10_i128.pow(zeros));
    let binary = (-1023_i128..1024, 0_u32..=5).prop_map(|(digits, power)| (digits * UNIT) << (10 * power));
    prop_oneof![sized, decimal, binary]
}

proptest! {
    #[test]
    fn printed_text_reads_back_as_the_same_amount_and_prints_the_same(nano in any_nano(), format in any_format()) {
        let written = Quantity::from_nano(nano, format);
        let read = quantity(&written.to_string());
        let capped = format == BinarySi && nano.abs() > i64::MAX as i128 * UNIT && read.format() == BinarySi;
        prop_assert_eq!(read.nano().abs(), if capped { i64::MAX as i128 * UNIT } else { nano.abs() });
        prop_assert_eq!(read.is_negative(), written.is_negative());
        // A binary amount without a binary suffix reads back as decimal: 10000 is then printed 10k, as in Kubernetes.
        if !capped && (read.format() == format || format == DecimalExponent) {
            prop_assert_eq!(read.to_string(), written.to_string());
        }
    }

    #[test]
    fn a_fraction_is_its_digits_divided_and_rounded_away_from_zero(
        whole in 0_i128..1_000_000, fraction in "[0-9]{1,15}", power in 0_u32..=5,
    ) {
        let denominator = 10_i128.pow(fraction.len() as u32);
        let numerator = (whole * denominator + fraction.parse::<i128>().expect("digits")) << (10 * power);
        let suffix = ["", "Ki", "Mi", "Gi", "Ti", "Pi"][power as usize];
        // 10^21 * 2^50 would not leave room for the nine zeros of nano-units, hence in two steps.
        let (units, rest) = (numerator / denominator, numerator % denominator);
        let nano = units * UNIT + (rest * UNIT + denominator - 1) / denominator;
        let capped = if power == 0 { nano } else { nano.min(i64::MAX as i128 * UNIT) };
        prop_assert_eq!(quantity(&format!("{whole}.{fraction}{suffix}")).nano(), capped);
    }

    #[test]
    fn no_text_panics(text in "[-+.0-9eEinumkKMGTP ]{0,40}") {
        if let Ok(read) = text.parse::<Quantity>() {
            prop_assert_eq!(quantity(&read.to_string()), read);
        }
    }

    #[test]
    fn additions_and_subtractions_cancel(left in any_nano(), right in any_nano()) {
        let (left, right) = (Quantity::from_nano(left / 4, DecimalSi), Quantity::from_nano(right / 4, BinarySi));
        let sum = left.checked_add(right).expect("half the range");
        prop_assert_eq!(sum.checked_sub(right), Some(left));
    }
}
