//! Patches of an object's JSON, as the API server applies them: JSON merge patch and strategic merge patch.
//!
//! A strategic merge patch merges lists of objects by a key that depends on the list's name. Invariant: a patch that
//! changes nothing gives equal JSON. Absent on purpose: JSON patch (RFC 6902) and server-side apply.
//!
//! Source: RFC 7386; staging/src/k8s.io/apimachinery/pkg/util/strategicpatch/patch.go and the `patchMergeKey` tags of
//! staging/src/k8s.io/api/{core,apps,batch}/v1/types.go (v1.34.1).

use serde_json::{Map, Value};

/// How a patch is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchType {
    /// `application/merge-patch+json`: lists are replaced.
    Merge,
    /// `application/strategic-merge-patch+json`: lists of objects are merged by their keys.
    StrategicMerge,
}

impl PatchType {
    /// The patch of a media type; `None` if it is neither of the two.
    pub fn of_media_type(text: &str) -> Option<PatchType> {
        match text {
            "application/merge-patch+json" => Some(PatchType::Merge),
            "application/strategic-merge-patch+json" => Some(PatchType::StrategicMerge),
            _ => None,
        }
    }
}

/// Lists whose elements are merged: the list's field, a field that an element's parent list must be in (or empty), and
/// the key. The first that fits is taken.
const MERGED_LISTS: &[(&str, &str, &str)] = &[
    ("containers", "", "name"),
    ("initContainers", "", "name"),
    ("ephemeralContainers", "", "name"),
    ("env", "", "name"),
    ("ports", "containers", "containerPort"),
    ("ports", "initContainers", "containerPort"),
    ("ports", "ephemeralContainers", "containerPort"),
    ("ports", "", "port"),
    ("volumeMounts", "", "mountPath"),
    ("volumeDevices", "", "devicePath"),
    ("volumes", "", "name"),
    ("imagePullSecrets", "", "name"),
    ("hostAliases", "", "ip"),
    ("topologySpreadConstraints", "", "topologyKey"),
    ("schedulingGates", "", "name"),
    ("resourceClaims", "", "name"),
    ("conditions", "", "type"),
    ("taints", "", "key"),
    ("addresses", "", "type"),
    ("ownerReferences", "", "uid"),
    ("secrets", "", "name"),
];

/// Lists of plain values that are merged as sets.
const MERGED_SETS: &[&str] = &["finalizers", "podCIDRs"];

/// Applies a patch to an object's JSON.
pub fn apply_patch(kind: PatchType, target: &mut Value, patch: &Value) {
    match kind {
        PatchType::Merge => merge(target, patch),
        PatchType::StrategicMerge => strategic(target, patch, ""),
    }
}

/// Source: RFC 7386, section 2.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    let map = as_map(target);
    for (key, change) in changes {
        if change.is_null() {
            map.remove(key);
        } else {
            merge(map.entry(key.clone()).or_insert(Value::Null), change);
        }
    }
}

/// `list` is the name of the list that the target is an element of, or empty.
fn strategic(target: &mut Value, patch: &Value, list: &str) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if changes.get("$patch").and_then(Value::as_str) == Some("replace") {
        let kept = changes.iter().filter(|(key, _)| *key != "$patch");
        *target = Value::Object(kept.map(|(key, value)| (key.clone(), value.clone())).collect());
        return;
    }
    if let Some(Value::Array(retained)) = changes.get("$retainKeys") {
        as_map(target).retain(|key, _| retained.iter().any(|kept| kept == key));
    }
    let map = as_map(target);
    for (key, change) in changes {
        if let Some(field) = key.strip_prefix("$deleteFromPrimitiveList/") {
            if let (Some(Value::Array(present)), Value::Array(gone)) = (map.get_mut(field), change) {
                present.retain(|value| !gone.contains(value));
            }
        } else if key.starts_with('$') {
            // The order of a list's elements, which nothing here depends on, and the directives handled above.
        } else if change.is_null() {
            map.remove(key);
        } else {
            field(map.entry(key.clone()).or_insert(Value::Null), change, key, list);
        }
    }
}

fn field(target: &mut Value, change: &Value, name: &str, list: &str) {
    let Value::Array(changes) = change else { return strategic(target, change, "") };
    if MERGED_SETS.contains(&name) {
        let present = as_list(target);
        let new: Vec<Value> = changes.iter().filter(|value| !present.contains(value)).cloned().collect();
        present.extend(new);
        return;
    }
    let fits = |(field, parent, _): &&(&str, &str, &str)| *field == name && (parent.is_empty() || *parent == list);
    let key = MERGED_LISTS.iter().find(fits).map(|(_, _, key)| *key);
    let Some(key) = key.filter(|_| changes.iter().all(Value::is_object)) else {
        *target = change.clone();
        return;
    };
    let present = as_list(target);
    if changes.iter().any(|change| change["$patch"] == "replace") {
        present.clear();
    }
    for change in changes.iter().filter(|change| change["$patch"] != "replace") {
        let place = present.iter().position(|element| element[key] == change[key]);
        match (place, change["$patch"] == "delete") {
            (Some(place), true) => drop(present.remove(place)),
            (None, true) => {}
            (Some(place), false) => strategic(&mut present[place], change, name),
            (None, false) => present.push(change.clone()),
        }
    }
}

fn as_map(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut().expect("it was just made an object")
}

fn as_list(value: &mut Value) -> &mut Vec<Value> {
    if !value.is_array() {
        *value = Value::Array(Vec::new());
    }
    value.as_array_mut().expect("it was just made a list")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patched(kind: PatchType, mut target: Value, patch: Value) -> Value {
        apply_patch(kind, &mut target, &patch);
        target
    }

    #[test]
    fn a_merge_patch_replaces_lists_and_removes_what_is_null() {
        let target = json!({"spec": {"paused": true, "ports": [1, 2], "kept": 3}});
        let patch = json!({"spec": {"paused": null, "ports": [9]}, "new": {"a": {"b": null}}});
        let expected = json!({"spec": {"ports": [9], "kept": 3}, "new": {"a": {}}});
        assert_eq!(patched(PatchType::Merge, target, patch), expected);
    }

    #[test]
    fn a_strategic_patch_changes_one_container_and_leaves_the_others() {
        let target = json!({"containers": [
            {"name": "app", "image": "app:v1", "ports": [{"containerPort": 80, "name": "http"}]},
            {"name": "log", "image": "log:v1"},
        ]});
        let patch = json!({"containers": [
            {"name": "app", "image": "app:v2", "ports": [{"containerPort": 81}]},
            {"name": "log", "$patch": "delete"},
            {"name": "new"},
        ]});
        let expected = json!({"containers": [
            {"name": "app", "image": "app:v2", "ports": [{"containerPort": 80, "name": "http"}, {"containerPort": 81}]},
            {"name": "new"},
        ]});
        assert_eq!(patched(PatchType::StrategicMerge, target, patch), expected);
    }

    #[test]
    fn sets_grow_tolerations_are_replaced_and_directives_leave_no_trace() {
        let target = json!({
            "finalizers": ["a"],
            "tolerations": [{"key": "x"}, {"key": "y"}],
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}},
        });
        let patch = json!({
            "finalizers": ["a", "b"],
            "tolerations": [{"key": "z"}],
            "strategy": {"$retainKeys": ["type"], "type": "Recreate"},
            "$setElementOrder/containers": [{"name": "app"}],
        });
        let expected = json!({
            "finalizers": ["a", "b"],
            "tolerations": [{"key": "z"}],
            "strategy": {"type": "Recreate"},
        });
        assert_eq!(patched(PatchType::StrategicMerge, target, patch), expected);
    }
}
