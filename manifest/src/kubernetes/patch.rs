//! Patches of an object's JSON, as the API server applies them: JSON patch, JSON merge patch and strategic merge patch.
//!
//! A strategic merge patch merges lists of objects by a key that depends on the list's name. Invariant: a patch that
//! changes nothing gives equal JSON. Absent on purpose: server-side apply.
//!
//! What such a patch adds to a list comes before what the object alone has, unless the patch tells the order.
//!
//! Source: RFC 6902; RFC 7386; staging/src/k8s.io/apimachinery/pkg/util/strategicpatch/patch.go and the `patchMergeKey`
//! tags of staging/src/k8s.io/api/{core,apps,batch}/v1/types.go (v1.34.1).

use serde_json::{Map, Value};

/// How a patch is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchType {
    /// `application/json-patch+json`: operations one after the other.
    Json,
    /// `application/merge-patch+json`: lists are replaced.
    Merge,
    /// `application/strategic-merge-patch+json`: lists of objects are merged by their keys.
    StrategicMerge,
}

impl PatchType {
    /// The patch of a media type; `None` if it is none of the three.
    pub fn of_media_type(text: &str) -> Option<PatchType> {
        match text {
            "application/json-patch+json" => Some(PatchType::Json),
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
    ("addresses", "", "type"),
    ("podIPs", "", "ip"),
    ("hostIPs", "", "ip"),
    ("ownerReferences", "", "uid"),
    ("secrets", "", "name"),
    ("drivers", "", "name"),
];

/// Lists that a kind replaces as a whole, although others merge theirs of that name.
const WHOLE_LISTS: [(&str, &str); 4] = [
    ("EndpointSlice", "ports"),
    ("ServiceAccount", "imagePullSecrets"),
    ("Endpoints", "addresses"),
    ("Endpoints", "ports"),
];

/// Lists of plain values that are merged as sets.
pub(super) const MERGED_SETS: &[&str] = &["finalizers", "podCIDRs"];

/// Applies a patch to an object's JSON.
///
/// Errors: an operation of a JSON patch that does not fit; nothing is changed then that anybody should keep.
pub fn apply_patch(kind: PatchType, target: &mut Value, patch: &Value) -> Result<(), String> {
    match kind {
        PatchType::Json => return operations(target, patch),
        PatchType::Merge => merge(target, patch),
        PatchType::StrategicMerge => {
            let kind = target["kind"].as_str().unwrap_or_default().to_owned();
            strategic(target, patch, &kind, "");
        }
    }
    Ok(())
}

/// Source: RFC 6902, section 4.
fn operations(target: &mut Value, patch: &Value) -> Result<(), String> {
    let list = patch.as_array().ok_or("a JSON patch is a list of operations")?;
    for operation in list {
        let text =
            |field: &str| operation[field].as_str().ok_or_else(|| format!("operation {operation}: {field} not set"));
        let (op, path) = (text("op")?, text("path")?);
        let value = || operation.get("value").cloned().unwrap_or_default();
        match op {
            "add" => add(target, path, value())?,
            "remove" => drop(remove(target, path)?),
            // The API server's library lets a field that is not there be replaced, but not an element of a list.
            "replace" => match target.pointer_mut(path) {
                Some(place) => *place = value(),
                None => match parent(target, path)? {
                    (Value::Object(map), key) => drop(map.insert(key, value())),
                    _ => return Err(missing(path)),
                },
            },
            "move" => {
                let moved = remove(target, text("from")?)?;
                add(target, path, moved)?;
            }
            "copy" => {
                let copied = target.pointer(text("from")?).cloned().ok_or_else(|| missing(path))?;
                add(target, path, copied)?;
            }
            "test" if target.pointer(path).cloned().unwrap_or_default() == value() => {}
            "test" => return Err(format!("testing value {path} failed")),
            other => return Err(format!("unknown operation {other:?}")),
        }
    }
    Ok(())
}

fn missing(path: &str) -> String {
    format!("there is nothing at {path}")
}

/// The parent of a place, and the place's own key.
fn parent<'a>(target: &'a mut Value, path: &str) -> Result<(&'a mut Value, String), String> {
    let (above, key) = path.rsplit_once('/').ok_or_else(|| missing(path))?;
    let key = key.replace("~1", "/").replace("~0", "~");
    Ok((target.pointer_mut(above).ok_or_else(|| missing(above))?, key))
}

fn add(target: &mut Value, path: &str, value: Value) -> Result<(), String> {
    if path.is_empty() {
        *target = value;
        return Ok(());
    }
    match parent(target, path)? {
        (Value::Object(map), key) => drop(map.insert(key, value)),
        (Value::Array(list), key) => {
            let place = if key == "-" { Some(list.len()) } else { key.parse().ok().filter(|it| *it <= list.len()) };
            list.insert(place.ok_or_else(|| missing(path))?, value);
        }
        _ => return Err(missing(path)),
    }
    Ok(())
}

fn remove(target: &mut Value, path: &str) -> Result<Value, String> {
    match parent(target, path)? {
        (Value::Object(map), key) => map.remove(&key).ok_or_else(|| missing(path)),
        (Value::Array(list), key) => {
            let place = key.parse().ok().filter(|it| *it < list.len()).ok_or_else(|| missing(path))?;
            Ok(list.remove(place))
        }
        _ => Err(missing(path)),
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

/// `kind` is the object's, `list` the name of the list that the target is an element of, or empty.
fn strategic(target: &mut Value, patch: &Value, kind: &str, list: &str) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    match changes.get("$patch").and_then(Value::as_str) {
        Some("replace") => {
            let kept = changes.iter().filter(|(key, _)| *key != "$patch");
            *target = Value::Object(kept.map(|(key, value)| (key.clone(), value.clone())).collect());
            return;
        }
        Some("delete") => {
            *target = Value::Object(Map::new());
            return;
        }
        _ => {}
    }
    if let Some(Value::Array(retained)) = changes.get("$retainKeys") {
        as_map(target).retain(|key, _| retained.iter().any(|kept| kept == key));
    }
    let map = as_map(target);
    for (name, change) in changes {
        if let Some(field) = name.strip_prefix("$deleteFromPrimitiveList/") {
            if let (Some(Value::Array(present)), Value::Array(gone)) = (map.get_mut(field), change) {
                present.retain(|value| !gone.contains(value));
            }
        } else if let Some(field) = name.strip_prefix("$setElementOrder/") {
            // A list that the patch does not change may be put in order all the same.
            if let (Some(Value::Array(present)), Value::Array(order), false) =
                (map.get_mut(field), change, changes.contains_key(field))
            {
                let before = present.clone();
                put_in_order(present, &before, order, merge_key(kind, field, list));
            }
        } else if name.starts_with('$') {
            // Directives that are handled above.
        } else if change.is_null() {
            map.remove(name);
        } else {
            let order = changes.get(&format!("$setElementOrder/{name}")).and_then(Value::as_array);
            field(map.entry(name.clone()).or_insert(Value::Null), change, order, (kind, name, list));
        }
    }
}

/// By which key the elements of a list of objects are told apart; `None` if they are replaced together.
pub(super) fn merge_key(kind: &str, name: &str, list: &str) -> Option<&'static str> {
    if WHOLE_LISTS.contains(&(kind, name)) {
        return None;
    }
    let fits = |(field, parent, _): &&(&str, &str, &str)| *field == name && (parent.is_empty() || *parent == list);
    MERGED_LISTS.iter().find(fits).map(|(_, _, key)| *key)
}

fn field(target: &mut Value, change: &Value, order: Option<&Vec<Value>>, place: (&str, &str, &str)) {
    let (kind, name, list) = place;
    let Value::Array(changes) = change else {
        if kind == "PodDisruptionBudget" && name == "selector" {
            *target = change.clone();
            return;
        }
        return strategic(target, change, kind, "");
    };
    if MERGED_SETS.contains(&name) {
        let present = as_list(target);
        let before = present.clone();
        let new: Vec<Value> = changes.iter().filter(|value| !before.contains(value)).cloned().collect();
        present.extend(new);
        return put_in_order(present, &before, order.unwrap_or(changes), None);
    }
    let key = merge_key(kind, name, list);
    let Some(key) = key.filter(|_| changes.iter().all(Value::is_object)) else {
        *target = change.clone();
        return;
    };
    let present = as_list(target);
    let before = present.clone();
    if changes.iter().any(|change| change["$patch"] == "replace") {
        present.clear();
    }
    for change in changes.iter().filter(|change| change["$patch"] != "replace") {
        let place = present.iter().position(|element| element[key] == change[key]);
        match (place, change["$patch"] == "delete") {
            (Some(place), true) => drop(present.remove(place)),
            (None, true) => {}
            (Some(place), false) => strategic(&mut present[place], change, kind, name),
            (None, false) => present.push(change.clone()),
        }
    }
    put_in_order(present, &before, order.unwrap_or(changes), Some(key));
}

/// Puts a merged list in order: what the patch names as it names it, the rest as it was, and of two from either side
/// the one that was first, or the patch's if that is new.
///
/// Source: `normalizeElementOrder`, `mergeSortedSlice`.
fn put_in_order(list: &mut Vec<Value>, before: &[Value], named: &[Value], key: Option<&str>) {
    let same = |one: &Value, other: &Value| key.map_or(one == other, |key| one[key] == other[key]);
    let place_in = |all: &[Value], wanted: &Value| all.iter().position(|element| same(element, wanted));
    let (mut theirs, mut own): (Vec<Value>, Vec<Value>) =
        list.drain(..).partition(|element| place_in(named, element).is_some());
    theirs.sort_by_key(|element| place_in(named, element));
    own.sort_by_key(|element| place_in(before, element));
    let (mut theirs, mut own) = (theirs.into_iter().peekable(), own.into_iter().peekable());
    while let (Some(one), Some(other)) = (own.peek(), theirs.peek()) {
        let first = match (place_in(before, one), place_in(before, other)) {
            (Some(one), Some(other)) if one < other => own.next(),
            _ => theirs.next(),
        };
        list.extend(first);
    }
    list.extend(own);
    list.extend(theirs);
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
        apply_patch(kind, &mut target, &patch).expect("the patch fits");
        target
    }

    #[test]
    fn a_json_patch_is_done_operation_by_operation() {
        let target = json!({"spec": {"ports": [1, 3], "gates": ["a"]}, "labels": {"a/b": "c"}});
        let patch = json!([
            {"op": "test", "path": "/spec/ports/0", "value": 1},
            {"op": "add", "path": "/spec/ports/1", "value": 2},
            {"op": "add", "path": "/spec/ports/-", "value": 4},
            {"op": "remove", "path": "/labels/a~1b"},
            {"op": "replace", "path": "/spec/gates", "value": []},
            {"op": "copy", "from": "/spec/ports", "path": "/ports"},
            {"op": "move", "from": "/spec/gates", "path": "/gates"},
        ]);
        let expected = json!({"spec": {"ports": [1, 2, 3, 4]}, "labels": {}, "ports": [1, 2, 3, 4], "gates": []});
        assert_eq!(patched(PatchType::Json, target, patch), expected);
    }

    #[test]
    fn a_json_patch_that_does_not_fit_is_refused() {
        let refused =
            |operation: Value| apply_patch(PatchType::Json, &mut json!({"a": [1]}), &json!([operation])).is_err();
        assert!(refused(json!({"op": "test", "path": "/a", "value": 2})));
        assert!(refused(json!({"op": "replace", "path": "/a/1", "value": 2})));
        assert!(refused(json!({"op": "replace", "path": "/b/c", "value": 2})));
        assert!(!refused(json!({"op": "replace", "path": "/b", "value": 2})));
        assert!(refused(json!({"op": "remove", "path": "/a/1"})));
        assert!(refused(json!({"op": "add", "path": "/a/5", "value": 2})));
        assert!(refused(json!({"op": "grow", "path": "/a"})));
        assert!(!refused(json!({"op": "test", "path": "/a", "value": [1]})));
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
            {"name": "app", "image": "app:v2", "ports": [{"containerPort": 81}, {"containerPort": 80, "name": "http"}]},
            {"name": "new"},
        ]});
        assert_eq!(patched(PatchType::StrategicMerge, target, patch), expected);
    }

    #[test]
    fn what_a_strategic_patch_adds_comes_first_unless_it_tells_the_order() {
        let ports = |list: &[u32]| json!({"ports": list.iter().map(|port| json!({"port": port})).collect::<Vec<_>>()});
        let patched = |patch: Value| patched(PatchType::StrategicMerge, ports(&[80, 81, 82]), patch);
        assert_eq!(patched(ports(&[90])), ports(&[90, 80, 81, 82]));
        assert_eq!(patched(ports(&[81, 90])), ports(&[80, 81, 90, 82]));
        let mut ordered = ports(&[90]);
        ordered["$setElementOrder/ports"] = json!([{"port": 82}, {"port": 80}, {"port": 90}]);
        assert_eq!(patched(ordered.clone()), ports(&[81, 82, 80, 90]));
        ordered.as_object_mut().expect("it is an object").remove("ports");
        assert_eq!(patched(ordered), ports(&[81, 82, 80]));
    }

    #[test]
    fn an_account_s_pull_secrets_are_replaced_and_those_of_a_pod_are_merged() {
        let of = |kind: &str, names: &[&str]| {
            let secrets: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
            json!({"kind": kind, "imagePullSecrets": secrets, "status": {"podIPs": [{"ip": "10.0.0.1"}]}})
        };
        let patch = json!({"imagePullSecrets": [{"name": "b"}], "status": {"podIPs": [{"ip": "10.0.0.1"}]}});
        for (kind, after) in [("ServiceAccount", &["b"][..]), ("Pod", &["b", "a"])] {
            assert_eq!(patched(PatchType::StrategicMerge, of(kind, &["a"]), patch.clone()), of(kind, after));
        }
        let other = json!({"status": {"podIPs": [{"ip": "10.0.0.2"}]}});
        let both = patched(PatchType::StrategicMerge, of("Pod", &["a"]), other);
        assert_eq!(both["status"]["podIPs"], json!([{"ip": "10.0.0.2"}, {"ip": "10.0.0.1"}]));
    }

    #[test]
    fn taints_and_selectors_of_budgets_are_replaced() {
        let target = json!({"kind": "Node", "spec": {"taints": [{"key": "a"}]}});
        let patch = json!({"spec": {"taints": [{"key": "b"}]}});
        let expected = json!({"kind": "Node", "spec": {"taints": [{"key": "b"}]}});
        assert_eq!(patched(PatchType::StrategicMerge, target, patch), expected);
        let of = |kind: &str, labels: Value| json!({"kind": kind, "spec": {"selector": {"matchLabels": labels}}});
        let patch = json!({"spec": {"selector": {"matchLabels": {"b": "2"}}}});
        for (kind, expected) in
            [("PodDisruptionBudget", json!({"b": "2"})), ("Deployment", json!({"a": "1", "b": "2"}))]
        {
            let target = of(kind, json!({"a": "1"}));
            assert_eq!(patched(PatchType::StrategicMerge, target, patch.clone()), of(kind, expected));
        }
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
