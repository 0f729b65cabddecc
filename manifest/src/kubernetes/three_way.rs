//! The patch that `kubectl apply` makes of three objects: the configuration that was applied last, the one that is to
//! be applied, and what is there.
//!
//! What the new configuration says otherwise than the object is set, what the last had and the new one has not is
//! removed, and what others set stays.
//!
//! Source: `CreateThreeWayMergePatch`, `diffMaps`, `diffLists`,
//! staging/src/k8s.io/apimachinery/pkg/util/strategicpatch/patch.go (v1.34.1).

use serde_json::{Map, Value, json};

use super::patch::{MERGED_SETS, merge_key};

/// Fields of which only what a patch says stays, as far as a patch says anything of them: of Deployments and volumes,
/// what belongs to another type than theirs.
const RETAINED: [&str; 2] = ["strategy", "volumes"];

/// A strategic merge patch of what is there; an empty object if there is nothing to change. Without a configuration
/// that was applied last nothing is removed.
pub fn three_way_patch(last: Option<&Value>, wanted: &Value, current: &Value) -> Value {
    let kind = wanted["kind"].as_str().unwrap_or_default();
    let none = Map::new();
    let map = |value: Option<&'_ Value>| value.and_then(Value::as_object).cloned().unwrap_or_default();
    let (last, current) = (map(last), map(Some(current)));
    Value::Object(fields(&last, wanted.as_object().unwrap_or(&none), &current, (kind, "", false)))
}

/// Where a map is: the object's kind, the list that it is an element of (or nothing), and whether what it says no
/// longer goes.
type Place<'a> = (&'a str, &'a str, bool);

fn fields(
    last: &Map<String, Value>,
    wanted: &Map<String, Value>,
    current: &Map<String, Value>,
    place: Place<'_>,
) -> Map<String, Value> {
    let (kind, list, retains) = place;
    let mut patch = Map::new();
    for (name, value) in wanted {
        let (was, now) = (last.get(name), current.get(name));
        match (value, now) {
            (Value::Object(_), Some(Value::Object(_))) if kind == "PodDisruptionBudget" && name == "selector" => {
                if now != Some(value) {
                    patch.insert(name.clone(), value.clone());
                }
            }
            (Value::Object(value), Some(Value::Object(now))) => {
                let none = Map::new();
                let was = was.and_then(Value::as_object).unwrap_or(&none);
                let inner = fields(was, value, now, (kind, "", RETAINED.contains(&name.as_str())));
                if !inner.is_empty() {
                    patch.insert(name.clone(), Value::Object(inner));
                }
            }
            (Value::Array(value), Some(Value::Array(now))) => {
                let was = was.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
                elements(&mut patch, name, (was, value, now), (kind, list));
            }
            (_, now) if now == Some(value) => {}
            _ => drop(patch.insert(name.clone(), value.clone())),
        }
    }
    for name in last.keys().filter(|name| !wanted.contains_key(*name)) {
        patch.insert(name.clone(), Value::Null);
    }
    if retains && !patch.is_empty() {
        patch.insert("$retainKeys".to_owned(), wanted.keys().cloned().collect());
    }
    patch
}

/// What changes of a list, with the directives beside it.
fn elements(
    patch: &mut Map<String, Value>,
    name: &str,
    (last, wanted, current): (&[Value], &[Value], &[Value]),
    (kind, list): (&str, &str),
) {
    let key = merge_key(kind, name, list);
    let has_key = |key: &str| [last, wanted, current].concat().iter().all(|element| element.get(key).is_some());
    let (changed, gone, order): (Vec<Value>, Vec<Value>, Vec<Value>) = match key {
        Some(key) if has_key(key) => {
            let find = |all: &[Value], like: &Value| all.iter().find(|it| it[key] == like[key]).cloned();
            let map = |value: Option<Value>| value.as_ref().and_then(Value::as_object).cloned().unwrap_or_default();
            let change = |element: &Value| {
                let Some(now) = find(current, element) else { return Some(element.clone()) };
                let (was, element, now) = (map(find(last, element)), map(Some(element.clone())), map(Some(now)));
                let mut inner = fields(&was, &element, &now, (kind, name, RETAINED.contains(&name)));
                let is_changed = !inner.is_empty();
                inner.insert(key.to_owned(), element[key].clone());
                is_changed.then_some(Value::Object(inner))
            };
            let gone = last.iter().filter(|element| find(wanted, element).is_none());
            let gone = gone.map(|element| json!({key: element[key], "$patch": "delete"}));
            let changed = wanted.iter().filter_map(change).chain(gone).collect();
            (changed, Vec::new(), wanted.iter().map(|element| json!({key: element[key]})).collect())
        }
        None if MERGED_SETS.contains(&name) => {
            let lacks = |all: &[Value], value: &&Value| !all.contains(value);
            let new = wanted.iter().filter(|value| lacks(current, value)).cloned().collect();
            let gone = last.iter().filter(|value| lacks(wanted, value)).cloned().collect();
            (new, gone, wanted.to_vec())
        }
        _ => {
            if wanted != current {
                patch.insert(name.to_owned(), Value::Array(wanted.to_vec()));
            }
            return;
        }
    };
    if changed.is_empty() && gone.is_empty() && is_in_order(wanted, current, key) {
        return;
    }
    for (field, values) in [
        (name.to_owned(), changed),
        (format!("$deleteFromPrimitiveList/{name}"), gone),
        (format!("$setElementOrder/{name}"), order),
    ] {
        if !values.is_empty() {
            patch.insert(field, Value::Array(values));
        }
    }
}

/// Whether two lists have the same elements in the same order.
fn is_in_order(one: &[Value], other: &[Value], key: Option<&str>) -> bool {
    let name = |value: &Value| key.map_or_else(|| value.clone(), |key| value[key].clone());
    one.iter().map(name).eq(other.iter().map(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::{PatchType, apply_patch};

    /// What comes of applying `wanted` after `last` to what is there.
    fn applied(last: Value, wanted: Value, current: &Value) -> Value {
        let patch = three_way_patch(Some(&last), &wanted, current);
        let mut after = current.clone();
        apply_patch(PatchType::StrategicMerge, &mut after, &patch).expect("it fits");
        after
    }

    #[test]
    fn what_was_applied_and_is_no_longer_goes_and_what_others_set_stays() {
        let last = json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"replicas": 3, "paused": true}});
        let current = json!({
            "metadata": {"labels": {"a": "1", "b": "9", "c": "3"}, "uid": "x"},
            "spec": {"replicas": 7, "paused": true, "minReadySeconds": 5},
        });
        let wanted = json!({"metadata": {"labels": {"a": "2"}}, "spec": {}});
        let after = applied(last.clone(), wanted.clone(), &current);
        let expected = json!({
            "metadata": {"labels": {"a": "2", "c": "3"}, "uid": "x"}, "spec": {"minReadySeconds": 5},
        });
        assert_eq!(after, expected);
        assert_eq!(three_way_patch(Some(&wanted), &wanted, &after), json!({}));
        let unknown = three_way_patch(None, &wanted, &current);
        assert_eq!(unknown, json!({"metadata": {"labels": {"a": "2"}}}), "nothing is removed");
    }

    #[test]
    fn elements_of_lists_are_told_apart_by_their_keys() {
        let of = |containers: Value| json!({"kind": "Pod", "spec": {"containers": containers}});
        let last = of(json!([{"name": "a", "image": "a:1", "env": [{"name": "X", "value": "1"}]}, {"name": "b"}]));
        let current = of(json!([
            {"name": "a", "image": "a:1", "env": [{"name": "X", "value": "1"}], "tty": true},
            {"name": "b", "image": "b:1"},
            {"name": "side", "image": "s:1"},
        ]));
        let wanted = of(json!([{"name": "new"}, {"name": "a", "image": "a:2", "env": []}]));
        let expected = of(json!([
            {"name": "new"},
            {"name": "a", "image": "a:2", "env": [], "tty": true},
            {"name": "side", "image": "s:1"},
        ]));
        assert_eq!(applied(last, wanted, &current), expected);
    }

    #[test]
    fn sets_lose_what_was_applied_and_plain_lists_are_replaced() {
        let of = |finalizers: Value, args: Value| json!({"metadata": {"finalizers": finalizers}, "args": args});
        let current = of(json!(["a", "b", "c"]), json!([1, 2]));
        let after = applied(of(json!(["a", "b"]), json!([1])), of(json!(["b", "d"]), json!([2, 1])), &current);
        assert_eq!(after, of(json!(["b", "d", "c"]), json!([2, 1])));
    }

    #[test]
    fn a_volume_or_strategy_of_another_type_has_nothing_left_of_the_type_before() {
        let rolling = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}});
        let volumes = |volume: Value| json!([{"name": "v", "emptyDir": volume}]);
        let of = |strategy: Value, volume: Value| json!({"strategy": strategy, "volumes": volumes(volume)});
        let current = of(rolling, json!({}));
        let mut wanted = of(json!({"type": "Recreate"}), json!({}));
        wanted["volumes"] = json!([{"name": "v", "hostPath": {"path": "/x"}}]);
        assert_eq!(applied(json!({}), wanted.clone(), &current), wanted);
    }
}
