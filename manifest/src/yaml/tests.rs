use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

fn read(text: &str) -> Json {
    match parse(text, Duplicates::LastWins) {
        Ok(documents) => {
            assert_eq!(documents.len(), 1, "documents in {text:?}");
            documents[0].to_json()
        }
        Err(error) => panic!("{text:?}: {error}"),
    }
}

fn refusal(text: &str) -> String {
    match parse(text, Duplicates::LastWins) {
        Ok(documents) => panic!("{text:?} was read as {documents:?}"),
        Err(error) => error.to_string(),
    }
}

fn check(table: &[(&str, Json)]) {
    for (text, expected) in table {
        assert_eq!(read(&format!("v: {text}\n"))["v"], *expected, "{text}");
    }
}

#[test]
fn the_known_traps_are_read_as_kubectl_reads_them() {
    check(&[
        ("0644", json!(420)),
        ("yes", json!(true)),
        ("on", json!(true)),
        ("y", json!(true)),
        ("1_000", json!(1000)),
        ("1.0", json!(1)),
        ("08", json!(8)),
    ]);
    assert_eq!(read("base: &b {x: 1, y1: 2}\nv:\n  <<: *b\n  x: 3\n")["v"], json!({"x": 3, "y1": 2}));
    assert_eq!(read("a: 1\na: 2\n"), json!({"a": 2}));
    assert_eq!(read("on: 1\ny: 2\nno: 3\n8080: 4\n1.5: 5\n0x10: 6\n"), {
        json!({"true": 2, "false": 3, "8080": 4, "1.5": 5, "16": 6})
    });
}

#[test]
fn integers_have_go_prefixes_and_underscores() {
    check(&[
        ("0o644", json!(420)),
        ("0O17", json!(15)),
        ("0x1F", json!(31)),
        ("0X1", json!(1)),
        ("0b101", json!(5)),
        ("0B1", json!(1)),
        ("-0x1F", json!(-31)),
        ("-0644", json!(-420)),
        ("-0b11", json!(-3)),
        ("-0o7", json!(-7)),
        ("+12", json!(12)),
        ("0x_1F", json!(31)),
        ("1__0", json!(10)),
        ("1_", json!(1)),
        ("0_7", json!(7)),
        ("00", json!(0)),
        ("-0", json!(0)),
        ("018", json!(18)),
        ("-08", json!(-8)),
        ("9223372036854775807", json!(9_223_372_036_854_775_807_i64)),
        ("-9223372036854775808", json!(i64::MIN)),
        // kubectl's unstructured reader rounds this to a float; a seed must keep all of its bits.
        ("18446744073709551615", json!(u64::MAX)),
        ("999999999999999999999999", json!(1e24)),
        ("0x1ffffffffffffffff", json!("0x1ffffffffffffffff")),
    ]);
}

#[test]
fn what_only_looks_like_a_number_is_text() {
    for text in
        ["_1", "0o8", "0b2", "0xG", "0b", "0o", "0x_", "1e", "e3", "1.2.3", "+", ".", "..", "-.", "1-", "1e5x", "12e"]
    {
        check(&[(text, json!(text))]);
    }
    for text in ["1e400", "1:20", "190:20:30", "1:20.5", "2001-01-01", "2001-12-14t21:59:43.10-05:00", "0x1p-2", "+-1"]
    {
        check(&[(text, json!(text))]);
    }
    for text in ["inf", "Inf", "nan", "NaN", "infinity", "tRue", "yEs", "nULL", "=", "<<"] {
        check(&[(text, json!(text))]);
    }
}

#[test]
fn floats_stay_floats_unless_they_are_whole() {
    check(&[
        ("1.5", json!(1.5)),
        (".5", json!(0.5)),
        ("+.5", json!(0.5)),
        ("5.", json!(5)),
        ("1e3", json!(1000)),
        ("1E+3", json!(1000)),
        ("1.e3", json!(1000)),
        ("-1.0", json!(-1)),
        ("-0.0", json!(0)),
        ("1_0.5", json!(10.5)),
        ("1_000.5_0", json!(1000.5)),
        ("12e03", json!(12000)),
        ("1.0e-7", json!(1e-7)),
        ("123456789.125", json!(123_456_789.125)),
        ("1e21", json!(1e21)),
    ]);
}

#[test]
fn words_for_true_false_and_null_count_only_when_plain() {
    for text in ["yes", "Yes", "YES", "y", "Y", "true", "True", "TRUE", "on", "On", "ON"] {
        check(&[(text, json!(true))]);
    }
    for text in ["no", "No", "NO", "n", "N", "false", "False", "FALSE", "off", "Off", "OFF"] {
        check(&[(text, json!(false))]);
    }
    check(&[
        ("~", json!(null)),
        ("null", json!(null)),
        ("Null", json!(null)),
        ("NULL", json!(null)),
        ("", json!(null)),
    ]);
    check(&[("\"yes\"", json!("yes")), ("'0644'", json!("0644")), ("''", json!("")), ("\"null\"", json!("null"))]);
    assert_eq!(read("v: |\n  yes\n"), json!({"v": "yes\n"}));
    assert_eq!(read("v: >-\n  12\n"), json!({"v": "12"}));
    assert_eq!(read("{\"y\": 1}"), json!({"y": 1}));
}

#[test]
fn tags_decide_what_a_scalar_is() {
    check(&[
        ("!!str 1", json!("1")),
        ("!!str yes", json!("yes")),
        ("!!str", json!("")),
        ("! 1", json!("1")),
        ("! yes", json!("yes")),
        ("!custom foo", json!("foo")),
        ("!!int \"1\"", json!(1)),
        ("!!int 0x10", json!(16)),
        ("!!float 1", json!(1)),
        ("!!float \"1.5\"", json!(1.5)),
        ("!!bool \"yes\"", json!(true)),
        ("!!null ~", json!(null)),
        ("!!timestamp 2001-01-01", json!("2001-01-01")),
        ("!!binary aGVsbG8=", json!("hello")),
        ("!<tag:yaml.org,2002:str> 1", json!("1")),
    ]);
    assert!(refusal("v: !!int x").contains("cannot read the string \"x\" as !!int"));
    assert!(refusal("v: !!int 1.5").contains("cannot read the number 1.5 as !!int"));
    assert!(refusal("v: !!bool 1").contains("cannot read the integer 1 as !!bool"));
    assert!(refusal("v: !!null x").contains("!!null"));
    assert!(refusal("v: !!binary '*'").contains("base64"));
}

#[test]
fn what_json_cannot_hold_is_refused_with_its_place() {
    for text in [".inf", "-.inf", "+.inf", ".Inf", ".INF", ".nan", ".NaN"] {
        let message = refusal(&format!("a: 1\nv: {text}\n"));
        assert!(message.starts_with("2:4: "), "{message}");
        assert!(message.contains("finite"), "{message}");
    }
    assert!(refusal("{null: c}").contains("a mapping's key must be a string, a number or a boolean, found null"));
    assert!(refusal("{? [1] : 2}").contains("key must be a string"));
}

#[test]
fn merge_keys_merge_in_the_order_of_the_text() {
    assert_eq!(read("{a: {x: 1}, <<: {a: 3, b: 4}, b: 5}"), json!({"a": 3, "b": 5}));
    assert_eq!(read("{<<: [{a: 1},{a: 2, b: 3}], c: 1}"), json!({"a": 1, "b": 3, "c": 1}));
    assert!(refusal("{<<: 1}").contains("merges a mapping or a sequence of mappings, found the integer 1"));
    assert_eq!(read("{\"<<\": 1}"), json!({"<<": 1}));
    // A key beside a merge of the same key is no duplicate.
    assert!(parse("{<<: {a: 1}, a: 2}", Duplicates::Refused).is_ok());
}

#[test]
fn a_duplicate_key_can_be_refused_with_both_places() {
    let error = parse("a: 1\nb: 2\na: 3\n", Duplicates::Refused).unwrap_err();
    assert_eq!(error.to_string(), "3:1: key \"a\" is already set in this mapping, at 1:1");
}

#[test]
fn every_document_of_a_stream_is_read_and_empty_ones_are_not_documents() {
    let documents =
        parse("# only a comment\n---\na: 1\n---\n---\n# nothing\n---\n- 2\n...\n", Duplicates::LastWins).unwrap();
    let values: Vec<Json> = documents.iter().map(Node::to_json).collect();
    assert_eq!(values, [json!({"a": 1}), json!([2])]);
    assert_eq!(parse("", Duplicates::LastWins).unwrap(), []);
    assert_eq!(parse("\n# c\n", Duplicates::LastWins).unwrap(), []);
}

#[test]
fn json_files_are_yaml_also_with_tabs_and_a_byte_order_mark() {
    let text = "\u{feff}{\n\t\"a\": [1, 2.0, \"\\u00e9\\/\", null],\n\t\"b\": {\"c\": true}\n}\n";
    assert_eq!(read(text), json!({"a": [1, 2, "é/", null], "b": {"c": true}}));
}

#[test]
fn nodes_know_their_line_and_column() {
    let documents = parse("spec:\n  é: [a,  bc]\n  image: \"x y\"\n  empty:\nlast: 1\n", Duplicates::LastWins).unwrap();
    let root = &documents[0];
    let spec = root.get("spec").unwrap();
    let Value::Seq(items) = &spec.get("é").unwrap().value else { panic!("no sequence") };
    assert_eq!(items[1].span, Span { line: 2, column: 11, end: Position { line: 2, column: 13 } });
    assert_eq!(spec.get("image").unwrap().span.start(), Position { line: 3, column: 10 });
    // A value that is not there is placed behind its key, not at the next token.
    assert_eq!(spec.get("empty").unwrap().span.start(), Position { line: 4, column: 8 });
    assert_eq!(root.locate("spec.é[1]"), Position { line: 2, column: 11 });
    assert_eq!(root.locate("spec.image"), Position { line: 3, column: 3 });
    assert_eq!(root.locate("spec.absent.more"), Position { line: 1, column: 1 });
}

#[test]
fn an_alias_stands_where_it_is_written() {
    let documents = parse("a: &x\n  k: 1\nb: *x\n", Duplicates::LastWins).unwrap();
    let alias = documents[0].get("b").unwrap();
    assert_eq!(alias.span.start(), Position { line: 3, column: 4 });
    assert_eq!(alias.get("k").unwrap().span.start(), Position { line: 2, column: 6 });
    assert!(refusal("a: *nowhere").contains("1:4"));
    assert!(refusal("a: &x [*x]").contains("contains itself"));
    assert!(refusal("--- {a: &x 1}\n--- {b: *x}\n").starts_with("2:"));
}

#[test]
fn a_billion_laughs_are_refused() {
    let mut text = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..10 {
        let below = format!("*a{}", level - 1);
        text.push_str(&format!("a{level}: &a{level} [{}]\n", vec![below; 9].join(", ")));
    }
    assert!(refusal(&text).contains("aliases expand to more than"), "{}", refusal(&text));
}

#[test]
fn too_deep_a_nest_is_refused() {
    assert!(parse(&("[".repeat(100) + &"]".repeat(100)), Duplicates::LastWins).is_ok());
    parse(&("[".repeat(100_000) + &"]".repeat(100_000)), Duplicates::LastWins).unwrap_err();
    let block: String = (0..1000).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
    parse(&block, Duplicates::LastWins).unwrap_err();
    let mut aliases = "a0: &a0 [1]\n".to_owned();
    for level in 1..200 {
        aliases.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
    }
    assert!(refusal(&aliases).contains("deep"));
}

#[test]
fn broken_yaml_is_refused_with_its_place() {
    for (text, line) in
        [("a: [1, 2\n", 2), ("a: 1\n b: 2\n", 2), ("ok: 1\na: @x\n", 2), ("a: b: c\n", 1), ("a: \"x\n", 2)]
    {
        let error = parse(text, Duplicates::LastWins).unwrap_err();
        assert!(error.position.line <= line && error.position.line >= 1, "{text:?}: {error}");
        assert!(!error.message.is_empty(), "{text:?}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC*") {
        let _ = parse(&text, Duplicates::LastWins);
    }

    #[test]
    fn no_text_of_yaml_signs_makes_the_reader_panic(text in "[-a0:.&*<>!|?%@`\"'{}\\[\\], #\n\t~=+_exo]{0,80}") {
        let _ = parse(&text, Duplicates::Refused);
    }

    #[test]
    fn json_comes_back_as_it_was(
        numbers in proptest::collection::vec(any::<i64>(), 0..8),
        words in proptest::collection::vec("\\PC{0,12}", 0..8),
    ) {
        let value = json!({"numbers": numbers, "words": words});
        prop_assert_eq!(read(&value.to_string()), value);
    }
}
