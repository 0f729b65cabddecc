//! Every field of the scenario format occurs in some scenario of the repository, and in its documentation.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;
use wavetank_manifest::{Duplicates, Node, yaml};

/// Walks a document beside the schema that describes it and notes where each property occurs first.
struct Walk<'a> {
    root: &'a Value,
    file: String,
    lines: Vec<String>,
    /// Property → file and line.
    seen: BTreeMap<String, (String, String)>,
}

impl<'a> Walk<'a> {
    fn document(&mut self, schema: &'a Value, place: &str, document: &Node) {
        if let Some(target) = schema["$ref"].as_str() {
            let place = target.trim_start_matches("#/$defs/");
            return self.document(&self.root["$defs"][place], place, document);
        }
        for union in ["oneOf", "anyOf", "allOf"] {
            for branch in schema[union].as_array().into_iter().flatten() {
                self.document(branch, place, document);
            }
        }
        match &document.value {
            yaml::Value::Seq(items) => {
                for item in items {
                    self.document(&schema["items"], &format!("{place}[]"), item);
                }
            }
            yaml::Value::Map(entries) => {
                for (key, value) in entries {
                    self.entry(schema, place, key, value);
                }
            }
            _ => {}
        }
    }

    fn entry(&mut self, schema: &'a Value, place: &str, key: &yaml::Key, value: &Node) {
        if let Some(inner) = schema["properties"].get(&key.text) {
            let place = format!("{place}.{}", key.text);
            self.document(inner, &place, value);
            let line = self.lines[key.span.line as usize - 1].trim().to_owned();
            self.seen.entry(place).or_insert((self.file.clone(), line));
        } else if schema["additionalProperties"].is_object() {
            self.document(&schema["additionalProperties"], &format!("{place}.*"), value);
        }
    }
}

/// Every property of a schema, by the same names.
fn properties(schema: &Value, place: &str, all: &mut BTreeSet<String>) {
    for union in ["oneOf", "anyOf", "allOf"] {
        for branch in schema[union].as_array().into_iter().flatten() {
            properties(branch, place, all);
        }
    }
    properties_below(&schema["items"], &format!("{place}[]"), all);
    properties_below(&schema["additionalProperties"], &format!("{place}.*"), all);
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let place = format!("{place}.{name}");
        properties_below(inner, &place, all);
        all.insert(place);
    }
}

fn properties_below(schema: &Value, place: &str, all: &mut BTreeSet<String>) {
    if schema.is_object() {
        properties(schema, place, all);
    }
}

fn schema() -> Value {
    serde_json::from_str(wavetank_sim::plan::scenario::schema()).unwrap()
}

fn all_properties(schema: &Value) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    properties(schema, "", &mut all);
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        properties(definition, name, &mut all);
    }
    assert!(all.len() > 100, "the schema has {} fields", all.len());
    all
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// `UPDATE_EXPECTED=1 cargo test -p wavetank-sim --test features` writes `docs/scenario-fields.md` anew.
#[test]
fn the_scenarios_of_the_repository_use_every_field_of_the_format_and_a_table_says_where() {
    let schema = schema();
    let mut walk = Walk { root: &schema, file: String::new(), lines: Vec::new(), seen: BTreeMap::new() };
    for dir in ["scenarios/features", "scenarios", "scenarios/workloads"] {
        let entries = std::fs::read_dir(repository().join(dir)).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        for name in names.into_iter().filter(|name| name.ends_with(".yaml")) {
            walk.file = format!("{dir}/{name}");
            let text = std::fs::read_to_string(repository().join(&walk.file)).unwrap();
            walk.lines = text.lines().map(str::to_owned).collect();
            let documents = yaml::parse(&text, Duplicates::Refused).unwrap();
            walk.document(&schema, "", &documents[0]);
        }
    }
    let mut all = all_properties(&schema);
    // Whether the repository's runs are pinned changes nothing in the format; the tests of the program pin one.
    all.remove("spec.fingerprint");
    walk.seen.remove("spec.fingerprint");
    let missing: Vec<&String> = all.iter().filter(|place| !walk.seen.contains_key(*place)).collect();
    assert!(missing.is_empty(), "no scenario of the repository has {missing:#?}");

    let mut table = String::from(
        "# Every field of a scenario, with an example\n\nWritten by `UPDATE_EXPECTED=1 cargo test -p wavetank-sim \
         --test features`, which also checks that no field is \
         missing.\n[`scenario-format.md`](scenario-format.md) says what they \
         mean.\n\n| field | example | of |\n|---|---|---|\n",
    );
    for (place, (file, line)) in &walk.seen {
        let (place, line) = (place.trim_start_matches('.'), line.replace('|', "\\|"));
        let name = file.trim_start_matches("scenarios/");
        table.push_str(&format!("| `{place}` | `{line}` | [{name}](../{file}) |\n"));
    }
    let path = repository().join("docs/scenario-fields.md");
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(&path, &table).unwrap();
    }
    assert!(std::fs::read_to_string(&path).unwrap() == table, "docs/scenario-fields.md is not what this test writes");
}

#[test]
fn the_documentation_names_every_field_of_the_format() {
    let text = std::fs::read_to_string(repository().join("docs/scenario-format.md")).unwrap();
    let words: BTreeSet<&str> = text.split(|letter: char| !letter.is_alphanumeric()).collect();
    let all = all_properties(&schema());
    let names = all.iter().filter_map(|place| place.rsplit('.').next());
    let missing: BTreeSet<&str> = names.filter(|name| !words.contains(name)).collect();
    assert!(missing.is_empty(), "docs/scenario-format.md does not name {missing:?}");
}
