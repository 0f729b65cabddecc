//! What may be changed of a pod's spec, in the API server's words.
//!
//! Source: `ValidatePodUpdate`, pkg/apis/core/validation/validation.go (v1.34.1). The difference that the API server prints
//! after the list of fields is left out.

use serde_json::Value;

/// The fields that may be changed, as a refusal lists them.
const UPDATABLE: &str = "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,\
                         `spec.tolerations` (only additions to existing tolerations),\
                         `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// What is wrong with a change of a pod's spec; `None` if nothing is. Both sides with defaults.
pub fn pod_update_fault(old: &Value, new: &Value) -> Option<String> {
    for list in ["containers", "initContainers"] {
        if length(&new[list]) != length(&old[list]) {
            let message = "Forbidden: pod updates may not add or remove containers";
            return Some(format!("spec.{list}: {message}"));
        }
    }
    let mut faults = Vec::new();
    match (old["activeDeadlineSeconds"].as_i64(), new["activeDeadlineSeconds"].as_i64()) {
        (Some(before), Some(now)) if before < now => {
            let message = "must be less than or equal to previous value";
            return Some(format!("spec.activeDeadlineSeconds: Invalid value: {now}: {message}"));
        }
        (Some(_), None) => {
            let message = "must not update from a positive integer to nil value";
            faults.push(format!("spec.activeDeadlineSeconds: Invalid value: null: {message}"));
        }
        _ => {}
    }
    let items = |spec: &Value, list: &str| spec[list].as_array().cloned().unwrap_or_default();
    let kept = items(new, "tolerations");
    if !items(old, "tolerations").iter().all(|toleration| kept.contains(toleration)) {
        faults.push(
            "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds".into(),
        );
    }
    let gates = items(old, "schedulingGates");
    for gate in items(new, "schedulingGates").iter().filter(|gate| !gates.contains(gate)) {
        let name = gate["name"].as_str().unwrap_or_default();
        let message =
            format!("Invalid value: {name:?}: only deletion is allowed, but found new scheduling gate '{name}'");
        faults.push(format!("spec.schedulingGates: {message}"));
    }
    let is_gated = !gates.is_empty();
    if without_updatable(old, old, is_gated) != without_updatable(new, old, is_gated) {
        faults.push(format!("spec: Forbidden: pod updates may not change fields other than {UPDATABLE}"));
    }
    match &faults[..] {
        [] => None,
        [only] => Some(only.clone()),
        several => Some(format!("[{}]", several.join(", "))),
    }
}

fn length(list: &Value) -> usize {
    list.as_array().map_or(0, Vec::len)
}

/// A spec with the old one's values of what may be changed.
fn without_updatable(spec: &Value, old: &Value, is_gated: bool) -> Value {
    let mut munged = spec.clone();
    for list in ["containers", "initContainers"] {
        for container in munged[list].as_array_mut().into_iter().flatten() {
            if let Value::Object(container) = container {
                container.remove("image");
            }
        }
    }
    let mut fields = vec!["activeDeadlineSeconds", "schedulingGates", "tolerations"];
    if is_gated {
        fields.push("nodeSelector");
        if let Value::Object(affinity) = &mut munged["affinity"] {
            affinity.remove("nodeAffinity");
        }
        if munged["affinity"].as_object().is_none_or(serde_json::Map::is_empty) {
            fields.push("affinity");
        }
    }
    let grace = |spec: &Value| spec["terminationGracePeriodSeconds"].as_i64();
    if grace(old).is_some_and(|grace| grace < 0) && grace(spec) == Some(1) {
        munged["terminationGracePeriodSeconds"] = old["terminationGracePeriodSeconds"].clone();
    }
    if let Value::Object(spec) = &mut munged {
        spec.retain(|field, value| !fields.contains(&field.as_str()) && !value.is_null());
    }
    munged
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod() -> Value {
        json!({"containers": [{"name": "till", "image": "till:1"}], "nodeName": "n1", "activeDeadlineSeconds": 60,
            "tolerations": [{"key": "a", "operator": "Exists"}]})
    }

    fn fault(change: impl FnOnce(&mut Value)) -> String {
        let mut new = pod();
        change(&mut new);
        pod_update_fault(&pod(), &new).unwrap_or_default()
    }

    #[test]
    fn images_more_tolerations_and_a_shorter_deadline_are_allowed() {
        let allowed = fault(|spec| {
            spec["containers"][0]["image"] = "till:2".into();
            spec["activeDeadlineSeconds"] = 30.into();
            spec["tolerations"].as_array_mut().unwrap().push(json!({"key": "b"}));
        });
        assert_eq!(allowed, "");
    }

    #[test]
    fn everything_else_is_not() {
        let node = fault(|spec| spec["nodeName"] = "n2".into());
        assert!(
            node.starts_with("spec: Forbidden: pod updates may not change fields other than `spec.containers"),
            "{node}"
        );
        let deadline = fault(|spec| spec["activeDeadlineSeconds"] = 90.into());
        assert_eq!(
            deadline,
            "spec.activeDeadlineSeconds: Invalid value: 90: must be less than or equal to previous value"
        );
        let more = fault(|spec| spec["containers"].as_array_mut().unwrap().push(json!({"name": "b"})));
        assert_eq!(more, "spec.containers: Forbidden: pod updates may not add or remove containers");
        assert!(fault(|spec| spec["schedulingGates"] = json!([{"name": "g"}])).contains("only deletion is allowed"));
        assert!(fault(|spec| spec["tolerations"] = json!([])).starts_with("spec.tolerations: Forbidden"));
    }

    #[test]
    fn a_gated_pod_may_still_be_given_to_other_nodes() {
        let gated = json!({"containers": [], "schedulingGates": [{"name": "g"}]});
        let freed = json!({"containers": [], "nodeSelector": {"disk": "ssd"}});
        assert_eq!(pod_update_fault(&gated, &freed), None);
        assert!(pod_update_fault(&json!({"containers": []}), &freed).is_some(), "one without gates may not");
    }
}
