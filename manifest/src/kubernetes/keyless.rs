//! Elements of strategic merge patches that cannot be merged with others.

use serde_json::Value;

use super::patch::merge_key;

/// The element of a strategic merge patch that cannot be merged with what there is, because it has not got the key of
/// its list, and that key; `None` if every element has it.
///
/// Source: `mergeSliceWithoutSpecialElements`, staging/src/k8s.io/apimachinery/pkg/util/strategicpatch/patch.go
/// (v1.34.1).
pub fn without_merge_key<'a>(target: &Value, patch: &'a Value) -> Option<(&'a Value, &'static str)> {
    keyless(target, patch, target["kind"].as_str().unwrap_or_default(), "")
}

fn keyless<'a>(target: &Value, patch: &'a Value, kind: &str, list: &str) -> Option<(&'a Value, &'static str)> {
    let (Value::Object(map), Value::Object(changes)) = (target, patch) else { return None };
    changes.iter().find_map(|(name, change)| {
        let present = map.get(name).filter(|present| !present.is_null())?;
        let Value::Array(changes) = change else { return keyless(present, change, kind, "") };
        let key = merge_key(kind, name, list)?;
        if !changes.iter().all(Value::is_object) || !present.is_array() {
            return None;
        }
        let plain = changes.iter().filter(|change| change["$patch"] != "replace");
        plain.into_iter().find_map(|change| {
            if change.get(key).is_none() {
                return Some((change, key));
            }
            let element = present.as_array()?.iter().find(|element| element[key] == change[key])?;
            keyless(element, change, kind, name)
        })
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_element_without_its_list_s_key_is_found_wherever_there_is_such_a_list() {
        let target = json!({"kind": "Pod", "spec": {"containers": [{"name": "c", "env": [{"name": "A"}]}]}});
        let found = |patch: Value| without_merge_key(&target, &patch).map(|(element, key)| (element.clone(), key));
        assert_eq!(found(json!({"spec": {"containers": [{"image": "a"}]}})), Some((json!({"image": "a"}), "name")));
        let deeper = json!({"spec": {"containers": [{"name": "c", "env": [{"value": "b"}]}]}});
        assert_eq!(found(deeper), Some((json!({"value": "b"}), "name")));
        assert_eq!(found(json!({"spec": {"containers": [{"name": "new", "env": [{}]}], "volumes": [{}]}})), None);
    }
}
