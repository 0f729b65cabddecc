use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize, PartialEq)]
struct Scenario {
    name: String,
    #[serde(default)]
    replicas: u32,
    #[serde(default)]
    rate: Option<f64>,
    #[serde(default)]
    groups: Vec<Group>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    fault: Option<Fault>,
    #[serde(default)]
    on_group: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Group {
    name: String,
    #[serde(default)]
    cpu: Option<u8>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Fault {
    PowerLoss,
    Partition { first: String, second: String },
    Slow(u32),
}

fn read(text: &str) -> Result<Scenario, Errors> {
    from_str("a.yaml", text, Duplicates::Refused)
}

fn refusals(text: &str) -> Vec<String> {
    match read(text) {
        Ok(scenario) => panic!("{text:?} was read as {scenario:?}"),
        Err(errors) => errors.0.iter().map(Error::to_string).collect(),
    }
}

#[test]
fn a_right_document_is_read_whole() {
    let text =
        "name: a\nreplicas: 3\nrate: 2\ngroups: [{name: g, cpu: 4}]\nlabels: {on: x}\nfault: {slow: 5}\non_group: g\n";
    let scenario = read(text).unwrap();
    assert_eq!((scenario.replicas, scenario.rate), (3, Some(2.0)));
    assert_eq!(scenario.groups, [Group { name: "g".to_owned(), cpu: Some(4) }]);
    assert_eq!(scenario.labels, BTreeMap::from([("true".to_owned(), "x".to_owned())]));
    assert_eq!(scenario.fault, Some(Fault::Slow(5)));
    let group = scenario.on_group.unwrap();
    assert_eq!((group.value.as_str(), group.span.line, group.span.column), ("g", 7, 11));
}

#[test]
fn all_unknown_fields_are_told_together_with_the_nearest_known_ones() {
    let errors =
        read("name: a\nreplcas: 3\ngroups:\n- name: g\n  cpus: 4\n- nam: h\n  name: x\nzzzzz: 1\n").unwrap_err();
    assert_eq!(
        errors.to_string(),
        "a.yaml:2:1: replcas: unknown field \"replcas\"; did you mean \"replicas\"?\n\
         a.yaml:5:3: groups[0].cpus: unknown field \"cpus\"; did you mean \"cpu\"?\n\
         a.yaml:6:3: groups[1].nam: unknown field \"nam\"; did you mean \"name\"?\n\
         a.yaml:8:1: zzzzz: unknown field \"zzzzz\"; expected one of \"name\", \"replicas\", \"rate\", \"groups\", \
         \"labels\", \"fault\", \"on_group\""
    );
    assert_eq!(errors.0[0].suggestion.as_deref(), Some("replicas"));
    assert_eq!(errors.0[0].expected.len(), 7);
}

#[test]
fn unknown_fields_are_told_beside_the_wrong_type_that_stops_the_reading() {
    let told = refusals("groups: [{name: g, cpus: 1}]\nname: 5\n");
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(
        told[1],
        "a.yaml:2:7: name: expected a string, found the integer 5 (put it in quotes to make it a string)"
    );
}

#[test]
fn wrong_types_are_told_in_words_with_path_and_place() {
    let cases = [
        ("name: yes", "1:7: name: expected a string, found the boolean true (put it in quotes to make it a string)"),
        ("name: a\nreplicas: three", "2:11: replicas: expected a whole number, found the string \"three\""),
        ("name: a\nreplicas: 1.5", "2:11: replicas: expected a whole number, found the number 1.5"),
        (
            "name: a\nreplicas: -1",
            "2:11: replicas: expected a whole number between 0 and 4294967295, found the integer -1",
        ),
        (
            "name: a\nreplicas: 100000000000000000000",
            "2:11: replicas: expected a whole number between 0 and 4294967295, found the number 100000000000000000000",
        ),
        ("name: a\nrate: fast", "2:7: rate: expected a number, found the string \"fast\""),
        ("name: a\ngroups: {}", "2:9: groups: expected a sequence, found a mapping"),
        (
            "name: a\ngroups: [{name: g, cpu: 256}]",
            "2:25: groups[0].cpu: expected a whole number between 0 and 255, found the integer 256",
        ),
        (
            "name: a\nlabels: {a: 1}",
            "2:13: labels[a]: expected a string, found the integer 1 (put it in quotes to make it a string)",
        ),
        ("name: a\ngroups: [4]", "2:10: groups[0]: expected a mapping (Group), found the integer 4"),
        ("name:", "1:5: name: expected a string, found null"),
        ("replicas: 1", "1:1: missing field \"name\""),
        ("name: a\ngroups: [{cpu: 1}]", "2:10: groups[0]: missing field \"name\""),
        ("[]", "1:1: expected a mapping (Scenario), found a sequence"),
    ];
    for (text, expected) in cases {
        assert_eq!(refusals(text), [format!("a.yaml:{expected}")], "{text}");
    }
}

#[test]
fn an_unknown_variant_is_told_with_the_nearest_one() {
    assert_eq!(
        refusals("name: a\nfault: power-los"),
        ["a.yaml:2:8: fault: unknown value \"power-los\"; did you mean \"power-loss\"?"]
    );
    assert_eq!(
        refusals("name: a\nfault: fire"),
        ["a.yaml:2:8: fault: unknown value \"fire\"; expected one of \"power-loss\", \"partition\", \"slow\""]
    );
    assert_eq!(
        refusals("name: a\nfault: {partition: {first: x, secnd: y, second: z}}"),
        ["a.yaml:2:31: fault.partition.secnd: unknown field \"secnd\"; did you mean \"second\"?"]
    );
    assert!(refusals("name: a\nfault: slow")[0].contains("\"slow\" needs a value"));
    assert!(refusals("name: a\nfault: {slow: 1, partition: 2}")[0].contains("one key, found 2 keys"));
    assert!(refusals("name: a\nfault: {power-loss: 2}")[0].contains("expected nothing, found the integer 2"));
}

#[test]
fn keys_become_numbers_where_the_type_asks_for_them() {
    let read: BTreeMap<u16, bool> = from_str("a", "{80: yes, 443: no}", Duplicates::Refused).unwrap();
    assert_eq!(read, BTreeMap::from([(80, true), (443, false)]));
    let error = from_str::<BTreeMap<u16, bool>>("a", "{x: yes}", Duplicates::Refused).unwrap_err();
    assert_eq!(error.to_string(), "a:1:2: x: expected a whole number between 0 and 65535 as the key, found \"x\"");
}

#[test]
fn tuples_have_their_length() {
    assert_eq!(from_str::<(u8, u8)>("a", "[1, 2]", Duplicates::Refused).unwrap(), (1, 2));
    let error = from_str::<(u8, u8)>("a", "[1, 2, 3]", Duplicates::Refused).unwrap_err();
    assert_eq!(error.to_string(), "a:1:1: expected 2 elements, found 3");
    let error = from_str::<(u8, u8)>("a", "[1]", Duplicates::Refused).unwrap_err();
    assert!(error.to_string().contains("found 1 elements"), "{error}");
}

#[test]
fn a_file_must_have_one_document() {
    assert_eq!(refusals(""), ["a.yaml:1:1: the file has no content"]);
    assert!(refusals("name: a\n---\nname: b\n")[0].starts_with("a.yaml:3:1: a second document begins here"));
    assert!(refusals("name: a\nname: b\n")[0].contains("already set in this mapping, at 1:1"));
    assert!(refusals("name: [\n")[0].starts_with("a.yaml:"));
}

#[test]
fn the_terminal_form_shows_the_line_and_a_caret() {
    let text = "name: a\nreplcas: 3\n";
    assert_eq!(
        read(text).unwrap_err().render(text),
        "a.yaml:2:1: replcas: unknown field \"replcas\"; did you mean \"replicas\"?\n    2 | replcas: 3\n      | \
         ^^^^^^^ replicas\n"
    );
}

#[test]
fn the_nearest_name_is_near_or_there_is_none() {
    let names = ["replicas", "selector", "template", "paused"];
    assert_eq!(nearest("replcas", names), Some("replicas"));
    assert_eq!(nearest("Selector", names), Some("selector"));
    assert_eq!(nearest("tmeplate", names), Some("template"));
    assert_eq!(nearest("image", names), None);
    assert_eq!(nearest("x", ["y"]), None);
    assert_eq!(nearest("", names), None);
}
