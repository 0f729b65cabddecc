//! Every field of the scenario format occurs in some scenario of the repository, and in its documentation.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

/// Walks a document beside the schema that describes it and notes each property that occurs.
struct Walk<'a> {
    root: &'a Value,
    seen: BTreeSet<String>,
}

impl<'a> Walk<'a> {
    fn document(&mut self, schema: &'a Value, place: &str, document: &Value) {
        if let Some(target) = schema["$ref"].as_str() {
            let place = target.trim_start_matches("#/$defs/");
            return self.document(&self.root["$defs"][place], place, document);
        }
        for union in ["oneOf", "anyOf", "allOf"] {
            for branch in schema[union].as_array().into_iter().flatten() {
                self.document(branch, place, document);
            }
        }
        for item in document.as_array().into_iter().flatten() {
            self.document(&schema["items"], &format!("{place}[]"), item);
        }
        for (name, value) in document.as_object().into_iter().flatten() {
            if let Some(inner) = schema["properties"].get(name) {
                let place = format!("{place}.{name}");
                self.document(inner, &place, value);
                self.seen.insert(place);
            } else if schema["additionalProperties"].is_object() {
                self.document(&schema["additionalProperties"], &format!("{place}.*"), value);
            }
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

#[test]
fn the_scenarios_of_the_repository_use_every_field_of_the_format() {
    let schema: Value = serde_json::from_str(wavetank_sim::plan::scenario::schema()).unwrap();
    let mut all = BTreeSet::new();
    properties(&schema, "", &mut all);
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        properties(definition, name, &mut all);
    }
    assert!(all.len() > 100, "the schema has {} fields", all.len());
    let mut walk = Walk { root: &schema, seen: BTreeSet::new() };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    for dir in [root.clone(), root.join("features")] {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "yaml") {
                let text = std::fs::read_to_string(&path).unwrap();
                let documents = wavetank_manifest::yaml::parse(&text, wavetank_manifest::Duplicates::Refused).unwrap();
                walk.document(&schema, "", &documents[0].to_json());
            }
        }
    }
    let missing: Vec<&String> = all.difference(&walk.seen).collect();
    assert!(missing.is_empty(), "no scenario of the repository has {missing:#?}");
}

#[test]
fn the_documentation_names_every_field_of_the_format() {
    let schema: Value = serde_json::from_str(wavetank_sim::plan::scenario::schema()).unwrap();
    let mut all = BTreeSet::new();
    properties(&schema, "", &mut all);
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        properties(definition, name, &mut all);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/scenario-format.md");
    let text = std::fs::read_to_string(path).unwrap();
    let words: BTreeSet<&str> = text.split(|letter: char| !letter.is_alphanumeric()).collect();
    let names = all.iter().filter_map(|place| place.rsplit('.').next());
    let missing: BTreeSet<&str> = names.filter(|name| !words.contains(name)).collect();
    assert!(missing.is_empty(), "docs/scenario-format.md does not name {missing:?}");
}
