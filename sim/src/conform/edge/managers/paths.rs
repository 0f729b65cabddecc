//! Paths of fields, and the fields that an object has.
//!
//! Source: `Path.String`, `PathElement.Less`, `Set.Iterate`,
//! vendor/sigs.k8s.io/structured-merge-diff/v6/fieldpath (v1.34.1).

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::super::LAST_APPLIED;
use super::schema::{self, Shape};

/// One step of a path.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Step {
    /// A field, or a key of a map.
    Field(String),
    /// The element of a list that has these keys, as JSON.
    Element(Vec<(&'static str, String)>),
    /// An element of a set, as JSON.
    Member(String),
}

/// The way to a field.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct FieldPath(pub(super) Vec<Step>);

/// Fields with their values. An element of a list has a path of its own, whose value says nothing.
pub(super) type Fields = BTreeMap<FieldPath, Value>;

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.0 {
            match step {
                Step::Field(name) => write!(f, ".{name}")?,
                Step::Element(keys) => {
                    let keys: Vec<String> = keys.iter().map(|(key, value)| format!("{key}={value}")).collect();
                    write!(f, "[{}]", keys.join(","))?;
                }
                Step::Member(value) => write!(f, "[={value}]")?,
            }
        }
        Ok(())
    }
}

impl FieldPath {
    /// Whether it leads to something within what another leads to.
    pub(super) fn is_within(&self, other: &FieldPath) -> bool {
        self.0.len() > other.0.len() && self.0.starts_with(&other.0)
    }

    /// Whether it leads to kubectl's note of what its client applied last.
    pub(super) fn is_last_applied(&self) -> bool {
        let is = |step: &Step, wanted: &str| matches!(step, Step::Field(name) if name == wanted);
        match &self.0[..] {
            [one, two, three] => is(one, "metadata") && is(two, "annotations") && is(three, LAST_APPLIED),
            _ => false,
        }
    }

    /// Whether it is a field by which an element of a list is told from others: it goes when the element goes.
    pub(super) fn is_key(&self) -> bool {
        match &self.0[..] {
            [.., Step::Element(keys), Step::Field(name)] => keys.iter().any(|(key, _)| key == name),
            _ => false,
        }
    }

    /// The order in which a set is told: at each level what ends there before what goes on.
    pub(super) fn told_before(&self, other: &FieldPath) -> Ordering {
        for (at, (one, two)) in self.0.iter().zip(&other.0).enumerate() {
            let goes_on = |path: &FieldPath| at + 1 < path.0.len();
            match goes_on(self).cmp(&goes_on(other)).then_with(|| one.cmp(two)) {
                Ordering::Equal => {}
                decided => return decided,
            }
        }
        self.0.len().cmp(&other.0.len())
    }
}

/// Fields of an object's metadata that nobody owns.
///
/// Source: `stripSet`, staging/src/k8s.io/apimachinery/pkg/util/managedfields/internal/stripmeta.go (v1.34.1).
const STRIPPED: [&str; 9] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "name",
    "namespace",
    "resourceVersion",
    "uid",
];

/// The fields of an object that have owners, but for those at the top with these names.
pub(super) fn fields_of(object: &Value, without: &[&str]) -> Fields {
    let mut fields = Fields::new();
    for (name, value) in object.as_object().into_iter().flatten() {
        match name.as_str() {
            "apiVersion" | "kind" => {}
            name if without.contains(&name) => {}
            "metadata" => {
                let kept = value.as_object().into_iter().flatten();
                for (field, value) in kept.filter(|(field, _)| !STRIPPED.contains(&field.as_str())) {
                    let path = vec![Step::Field("metadata".to_owned()), Step::Field(field.clone())];
                    collect(&mut fields, &["metadata", field], &path, value);
                }
            }
            name => collect(&mut fields, &[name], &[Step::Field(name.to_owned())], value),
        }
    }
    fields
}

fn collect(fields: &mut Fields, trail: &[&str], path: &[Step], value: &Value) {
    let step = |step: Step| path.iter().cloned().chain([step]).collect::<Vec<Step>>();
    match schema::shape(trail, value) {
        _ if value.is_null() => {}
        Shape::Whole => drop(fields.insert(FieldPath(path.to_vec()), value.clone())),
        Shape::Fields => {
            for (name, value) in value.as_object().into_iter().flatten() {
                let trail: Vec<&str> = trail.iter().copied().chain([name.as_str()]).collect();
                collect(fields, &trail, &step(Step::Field(name.clone())), value);
            }
        }
        Shape::Set => {
            for member in value.as_array().into_iter().flatten() {
                fields.insert(FieldPath(step(Step::Member(told(member)))), Value::Null);
            }
        }
        Shape::Keyed(keys) => {
            let is_whole = trail.last().is_some_and(|field| schema::is_of_whole(field));
            for element in value.as_array().into_iter().flatten() {
                let path = step(element_step(keys, element));
                if is_whole {
                    fields.insert(FieldPath(path), element.clone());
                    continue;
                }
                for (name, value) in element.as_object().into_iter().flatten() {
                    let trail: Vec<&str> = trail.iter().copied().chain([name.as_str()]).collect();
                    let path: Vec<Step> = path.iter().cloned().chain([Step::Field(name.clone())]).collect();
                    collect(fields, &trail, &path, value);
                }
                fields.insert(FieldPath(path), Value::Null);
            }
        }
    }
}

/// The step to an element of a list with keys.
pub(super) fn element_step(keys: &'static [&'static str], element: &Value) -> Step {
    Step::Element(keys.iter().map(|key| (*key, told(&schema::key_of(element, key)))).collect())
}

/// A key's value, or a member of a set, as a path tells it.
pub(super) fn told(value: &Value) -> String {
    value.to_string()
}
