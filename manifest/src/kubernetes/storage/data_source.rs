//! The two fields for what a claim's volume begins with, which the API server keeps equal: `dataSource` is the older
//! one, `dataSourceRef` may also name what is in another namespace.
//!
//! Source: `EnforceDataSourceBackwardsCompatibility`, `NormalizeDataSources`,
//! pkg/api/persistentvolumeclaim/util.go; `defaultOnReadPvc`,
//! pkg/registry/core/persistentvolumeclaim/storage/storage.go (v1.34.1).

use serde_json::{Map, Value};

const OLD: &str = "dataSource";
const NEW: &str = "dataSourceRef";

/// Gives each field of a claim's spec the value of the other where that is missing. What is neither a claim nor a
/// snapshot is passed over where the older field names it alone.
pub(super) fn fill_in(spec: &mut Map<String, Value>) {
    let is_given = |spec: &Map<String, Value>, field: &str| spec.get(field).is_some_and(|it| !it.is_null());
    match (is_given(spec, OLD), is_given(spec, NEW)) {
        (true, false) if is_known(&spec[OLD]) => copy(spec, OLD, NEW),
        (true, false) => drop(spec.remove(OLD)),
        (false, true) if spec[NEW]["namespace"].as_str().unwrap_or_default().is_empty() => copy(spec, NEW, OLD),
        _ => {}
    }
}

/// Brings the JSON of a changed claim into the form that is stored: an older client, which does not know of the newer
/// field, keeps what the claim begins with, whatever that is.
pub fn settle_claim(new: &mut Value, old: &Value) {
    let was_given = [OLD, NEW].iter().any(|field| !old["spec"][field].is_null());
    let Some(spec) = new["spec"].as_object_mut().filter(|_| was_given) else { return };
    if spec.get(OLD).is_some_and(Value::is_object) && spec.get(NEW).is_none_or(Value::is_null) {
        copy(spec, OLD, NEW);
    }
}

fn is_known(source: &Value) -> bool {
    let text = |field: &str| source[field].as_str().unwrap_or_default();
    let known = [("PersistentVolumeClaim", ""), ("VolumeSnapshot", "snapshot.storage.k8s.io")];
    known.contains(&(text("kind"), text("apiGroup")))
}

fn copy(spec: &mut Map<String, Value>, from: &str, to: &str) {
    let fields = ["apiGroup", "kind", "name"].into_iter().filter_map(|field| {
        let value = spec[from].get(field).filter(|value| !value.is_null())?;
        Some((field.to_owned(), value.clone()))
    });
    let source: Map<String, Value> = fields.collect();
    spec.insert(to.to_owned(), source.into());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filled(spec: Value) -> Value {
        let Value::Object(mut spec) = spec else { panic!("a spec is an object") };
        fill_in(&mut spec);
        spec.into()
    }

    #[test]
    fn each_of_the_two_fields_fills_in_the_other() {
        let claim = json!({"kind": "PersistentVolumeClaim", "name": "old"});
        let both = json!({"dataSource": claim, "dataSourceRef": claim});
        assert_eq!(filled(json!({"dataSource": claim})), both);
        assert_eq!(filled(json!({"dataSource": null, "dataSourceRef": claim})), both);
        let populator = json!({"apiGroup": "a.example.com", "kind": "Filler", "name": "f"});
        assert_eq!(filled(json!({"dataSource": populator})), json!({}), "the older field names no such thing alone");
        let both = json!({"dataSource": populator, "dataSourceRef": populator});
        assert_eq!(filled(json!({"dataSourceRef": populator})), both);
        let elsewhere = json!({"dataSourceRef": {"kind": "PersistentVolumeClaim", "name": "c", "namespace": "n"}});
        assert_eq!(filled(elsewhere.clone()), elsewhere);
    }

    #[test]
    fn an_older_client_keeps_what_a_claim_begins_with() {
        let populator = json!({"apiGroup": "a.example.com", "kind": "Filler", "name": "f"});
        let old = json!({"spec": {"dataSource": populator, "dataSourceRef": populator}});
        let mut new = json!({"spec": {"dataSource": populator}});
        settle_claim(&mut new, &old);
        assert_eq!(new, old);
        let mut new = json!({"spec": {"dataSource": populator}});
        settle_claim(&mut new, &json!({"spec": {}}));
        assert_eq!(new, json!({"spec": {"dataSource": populator}}));
    }
}
