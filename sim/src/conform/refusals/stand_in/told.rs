//! What an answer to a PUT tells of the object that was there, beyond what may not change: what fits together in it.

use serde_json::{Map, Value, json};
use wavetank_core::model::Kind;

use crate::conform::edge::Status;

/// Makes what was written, and the plain object that lends values to it, like the one that was there.
pub(super) fn tell(kind: Kind, written: &mut Value, plain: &mut Value, answer: &Status) {
    let says = |words: &str| answer.message.contains(words);
    // A selector that may not change and did not is the old one, whatever the new template's labels are.
    let keeps = !says("spec.selector: ") && !says("updates to statefulset spec");
    let selector = written["spec"]["selector"].clone();
    let labels = if selector["matchLabels"].is_object() { &selector["matchLabels"] } else { &selector };
    if says("`selector` does not match template `labels`") && keeps && labels.is_object() {
        for object in [&mut *written, plain] {
            object["spec"]["template"]["metadata"]["labels"] = labels.clone();
        }
        if !written["spec"]["template"]["spec"].is_object() {
            written["spec"]["template"]["spec"] = plain["spec"]["template"]["spec"].clone();
        }
        plain["spec"]["selector"] = selector;
    }
    match kind {
        Kind::Secret => secret(written, plain),
        Kind::Service => service(written),
        Kind::Job => job(written),
        _ => {}
    }
}

/// A Secret had what its type asks for.
fn secret(written: &Value, plain: &mut Value) {
    let data = match written["type"].as_str().unwrap_or_default() {
        "kubernetes.io/dockerconfigjson" => json!({".dockerconfigjson": "e30="}),
        "kubernetes.io/dockercfg" => json!({".dockercfg": "e30="}),
        "kubernetes.io/basic-auth" => json!({"username": "YQ==", "password": "YQ=="}),
        "kubernetes.io/ssh-auth" => json!({"ssh-privatekey": "YQ=="}),
        "kubernetes.io/tls" => json!({"tls.crt": "YQ==", "tls.key": "YQ=="}),
        "kubernetes.io/service-account-token" => {
            plain["metadata"]["annotations"] = json!({"kubernetes.io/service-account.name": "default"});
            json!({})
        }
        _ => return,
    };
    plain["type"] = written["type"].clone();
    plain["data"] = data;
}

/// A Service had a type that what it has left is of, and its address in both places.
fn service(written: &mut Value) {
    let spec = &mut written["spec"];
    let has = |field: &str| spec.get(field).is_some_and(|value| !value.is_null());
    let balances =
        ["allocateLoadBalancerNodePorts", "loadBalancerClass", "loadBalancerSourceRanges"].into_iter().any(has);
    let has_ports = spec["ports"].as_array().into_iter().flatten().any(|it| it["nodePort"].as_i64().unwrap_or(0) != 0);
    if spec["type"] != "LoadBalancer" && balances {
        spec["type"] = "LoadBalancer".into();
    } else if has_ports && !["NodePort", "LoadBalancer"].contains(&spec["type"].as_str().unwrap_or_default()) {
        spec["type"] = "NodePort".into();
    }
    if let Some(first) = spec["clusterIPs"][0].as_str().map(str::to_owned) {
        spec["clusterIP"] = first.into();
    }
}

/// What a Job gets of its identity, the stand-in gets of its own.
fn job(written: &mut Value) {
    let is_given = |key: &str| key.ends_with("controller-uid") || key.ends_with("job-name");
    if written["spec"]["manualSelector"] == true {
        return;
    }
    written["spec"].as_object_mut().map(|spec| spec.remove("selector"));
    let labels = written.pointer_mut("/spec/template/metadata/labels").and_then(Value::as_object_mut);
    if let Some(labels) = labels {
        *labels = std::mem::take(labels).into_iter().filter(|(key, _)| !is_given(key)).collect::<Map<_, _>>();
    }
}

/// A body with the identity of ours in the place of the one that its Job had.
pub(in crate::conform::refusals) fn with_uid(body: &Value, uid: &str) -> Value {
    let told = body.pointer("/spec/selector/matchLabels/batch.kubernetes.io~1controller-uid");
    match told.and_then(Value::as_str).filter(|told| told.len() == uid.len()) {
        Some(told) => serde_json::from_str(&body.to_string().replace(told, uid)).unwrap_or_else(|_| body.clone()),
        None => body.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_selector_tells_the_labels_that_a_template_had() {
        let message = "x is invalid: spec.template.metadata.labels: Invalid value: null: `selector` does not match \
                       template `labels`";
        let answer = Status { code: 422, reason: "Invalid".to_owned(), message: message.to_owned() };
        let mut written = json!({"spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {}}});
        let mut plain = json!({"spec": {"template": {"spec": {"containers": []}}}});
        tell(Kind::Deployment, &mut written, &mut plain, &answer);
        assert_eq!(
            written["spec"]["template"],
            json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": []}})
        );
    }

    #[test]
    fn a_service_had_the_type_of_what_it_has_left_and_a_job_its_own_identity() {
        let mut written =
            json!({"spec": {"type": "ClusterIP", "clusterIPs": ["10.0.0.7"], "ports": [{"nodePort": 30000}]}});
        service(&mut written);
        assert_eq!((&written["spec"]["type"], &written["spec"]["clusterIP"]), (&json!("NodePort"), &json!("10.0.0.7")));
        let labels = json!({"batch.kubernetes.io/controller-uid": "1", "job-name": "j", "app": "a"});
        let template = json!({"metadata": {"labels": labels}});
        let sent = json!({"spec": {"selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": "1"}},
            "template": template}});
        let mut written = sent.clone();
        job(&mut written);
        assert_eq!(written, json!({"spec": {"template": {"metadata": {"labels": {"app": "a"}}}}}));
        let ours = with_uid(&sent, "2");
        assert_eq!(ours["spec"]["template"]["metadata"]["labels"]["batch.kubernetes.io/controller-uid"], "2");
    }
}
