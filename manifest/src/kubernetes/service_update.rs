//! What the API server makes of a changed Service before it validates it.
//!
//! Source: `normalizeClusterIPs`, pkg/registry/core/service/storage/storage.go; `dropTypeDependentFields`,
//! pkg/registry/core/service/strategy.go (v1.34.1).

use serde_json::{Value, json};

/// Fields that belong to certain types only, and the types.
const DEPENDENT: [(&str, &[&str]); 8] = [
    ("clusterIP", &["ClusterIP", "NodePort", "LoadBalancer"]),
    ("clusterIPs", &["ClusterIP", "NodePort", "LoadBalancer"]),
    ("ipFamilies", &["ClusterIP", "NodePort", "LoadBalancer"]),
    ("ipFamilyPolicy", &["ClusterIP", "NodePort", "LoadBalancer"]),
    ("externalTrafficPolicy", &["NodePort", "LoadBalancer"]),
    ("allocateLoadBalancerNodePorts", &["LoadBalancer"]),
    ("loadBalancerClass", &["LoadBalancer"]),
    ("healthCheckNodePort", &["LoadBalancer"]),
];

/// Brings the JSON of a changed Service into the form that is validated: one address and the list of addresses agree,
/// and what the new type has no use for and the writer has not touched is gone.
pub fn settle_service(new: &mut Value, old: &Value) {
    let (spec, before) = (&mut new["spec"], &old["spec"]);
    if spec["clusterIP"] != before["clusterIP"] && spec["clusterIPs"] == before["clusterIPs"] {
        match spec["clusterIP"].as_str().filter(|address| !address.is_empty()).map(str::to_owned) {
            Some(address) => spec["clusterIPs"] = json!([address]),
            None => remove(spec, "clusterIPs"),
        }
    }
    let kind = spec["type"].as_str().unwrap_or("ClusterIP").to_owned();
    let was = before["type"].as_str().unwrap_or("ClusterIP");
    // A port for health checks goes with the policy that needs it, unless the writer has chosen another.
    let is_checked =
        |spec: &Value, kind: &str| kind == "LoadBalancer" && spec["externalTrafficPolicy"].as_str() == Some("Local");
    let has_same_port = spec["healthCheckNodePort"] == before["healthCheckNodePort"];
    if is_checked(before, was) && !is_checked(spec, &kind) && has_same_port {
        remove(spec, "healthCheckNodePort");
    }
    if kind == was {
        return;
    }
    for (field, types) in DEPENDENT {
        if types.contains(&was) && !types.contains(&kind.as_str()) && spec[field] == before[field] {
            remove(spec, field);
        }
    }
    let has_node_ports = |kind: &str| matches!(kind, "NodePort" | "LoadBalancer");
    if has_node_ports(was) && !has_node_ports(&kind) {
        let numbers = |spec: &Value| -> Vec<Value> {
            let ports = spec["ports"].as_array().into_iter().flatten();
            ports.map(|port| port["nodePort"].clone()).filter(|number| !number.is_null()).collect()
        };
        let had = numbers(before);
        if numbers(spec).iter().all(|number| had.contains(number)) {
            spec["ports"].as_array_mut().into_iter().flatten().for_each(|port| remove(port, "nodePort"));
        }
    }
}

fn remove(map: &mut Value, key: &str) {
    if let Value::Object(map) = map {
        map.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_is_no_longer_on_node_ports_loses_them_unless_it_asks_for_others() {
        let old = json!({"spec": {"type": "NodePort", "externalTrafficPolicy": "Cluster", "clusterIP": "10.96.0.9",
            "clusterIPs": ["10.96.0.9"], "ports": [{"port": 80, "nodePort": 30080}]}});
        let mut new = old.clone();
        new["spec"]["type"] = "ClusterIP".into();
        let mut other = new.clone();
        settle_service(&mut new, &old);
        assert_eq!(new["spec"]["ports"], json!([{"port": 80}]));
        assert!(new["spec"]["externalTrafficPolicy"].is_null());
        assert_eq!(new["spec"]["clusterIP"], "10.96.0.9");
        other["spec"]["ports"][0]["nodePort"] = 30081.into();
        settle_service(&mut other, &old);
        assert_eq!(other["spec"]["ports"][0]["nodePort"], 30081, "validation has something to say about that");
    }

    #[test]
    fn the_list_of_addresses_follows_the_one_address() {
        let old = json!({"spec": {"clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9"]}});
        let mut new = json!({"spec": {"clusterIP": "None", "clusterIPs": ["10.96.0.9"]}});
        settle_service(&mut new, &old);
        assert_eq!(new["spec"]["clusterIPs"], json!(["None"]));
        let mut cleared = json!({"spec": {"clusterIPs": ["10.96.0.9"]}});
        settle_service(&mut cleared, &old);
        assert!(cleared["spec"]["clusterIPs"].is_null());
    }
}
