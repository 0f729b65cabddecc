//! Services and EndpointSlices.

use serde_json::{Map, Value, json};
use wavetank_core::model::{Endpoint, EndpointSlice, ExternalTraffic, IntOrName, Service, ServiceType};

use super::{entry, protocol, set, set_labels};

pub(super) fn show_service(root: &mut Map<String, Value>, service: &Service) {
    let spec = entry(root, "spec");
    spec.remove("ports");
    let ports = service.ports.iter().map(|port| {
        let mut map = Map::new();
        if let Some(said) = &port.app_protocol.0 {
            set(&mut map, "appProtocol", &**said);
        }
        if !port.name.is_empty() {
            set(&mut map, "name", &*port.name);
        }
        set(&mut map, "protocol", protocol(port.protocol));
        set(&mut map, "port", port.port);
        match &port.target {
            IntOrName::Int(number) => set(&mut map, "targetPort", *number),
            IntOrName::Name(name) => set(&mut map, "targetPort", &**name),
        }
        if let Some(number) = port.node_port {
            set(&mut map, "nodePort", number.0);
        }
        Value::Object(map)
    });
    if !service.ports.is_empty() {
        set(spec, "ports", ports.collect::<Vec<_>>());
    }
    if let Some(selector) = &service.selector {
        set_labels(spec, "selector", selector);
    }
    match service.publish_not_ready {
        true => set(spec, "publishNotReadyAddresses", true),
        false => drop(spec.remove("publishNotReadyAddresses")),
    }
    let kind = match &service.service_type {
        ServiceType::ClusterIp => "ClusterIP",
        ServiceType::NodePort => "NodePort",
        ServiceType::LoadBalancer => "LoadBalancer",
        ServiceType::ExternalName(name) => {
            set(spec, "externalName", &**name);
            "ExternalName"
        }
    };
    set(spec, "type", kind);
    match (&service.cluster_ip, service.headless) {
        (Some(address), _) => {
            set(spec, "clusterIP", &**address);
            set(spec, "clusterIPs", vec![Value::from(&**address)]);
        }
        (None, true) => {
            set(spec, "clusterIP", "None");
            set(spec, "clusterIPs", vec![Value::from("None")]);
        }
        (None, false) => {
            spec.remove("clusterIP");
            spec.remove("clusterIPs");
        }
    }
    show_choices(spec, service);
    entry(root, "status").entry("loadBalancer").or_insert_with(|| json!({}));
}

/// What the API server chooses for a Service: a field that its type has no use for is not shown, whoever wrote it.
pub(super) fn show_choices(spec: &mut Map<String, Value>, service: &Service) {
    let families: Vec<Value> = service.families.iter().map(|family| family.name().into()).collect();
    let policy = service.external_traffic.map(|policy| match policy {
        ExternalTraffic::Cluster => "Cluster",
        ExternalTraffic::Local => "Local",
    });
    let distribution = service.traffic_distribution;
    let fields: [(&str, Option<Value>); 6] = [
        ("ipFamilies", (!families.is_empty()).then(|| families.into())),
        ("ipFamilyPolicy", service.family_policy.map(|policy| policy.name().into())),
        ("externalTrafficPolicy", policy.map(Value::from)),
        ("allocateLoadBalancerNodePorts", service.allocates_node_ports.map(Value::from)),
        ("trafficDistribution", (!distribution.is_anywhere()).then(|| distribution.name().into())),
        ("healthCheckNodePort", service.health_check_node_port.map(|port| port.0.into())),
    ];
    for (key, value) in fields {
        match value {
            Some(value) => set(spec, key, value),
            None => drop(spec.remove(key)),
        }
    }
    set(spec, "sessionAffinity", if service.client_ip_affinity.is_some() { "ClientIP" } else { "None" });
    match service.client_ip_affinity {
        Some(span) => set(spec, "sessionAffinityConfig", json!({"clientIP": {"timeoutSeconds": span.as_secs()}})),
        None => drop(spec.remove("sessionAffinityConfig")),
    }
    // It is stored of every Service and shown of those that have an address.
    if service.is_alias() {
        spec.remove("internalTrafficPolicy");
    } else {
        spec.entry("internalTrafficPolicy").or_insert_with(|| "Cluster".into());
    }
}

/// What the writer of a slice said of an endpoint's conditions: one that was left open is not shown as if it were not.
/// A slice that a controller wrote has no such JSON.
fn said_conditions(written: Option<&Value>, endpoint: &Endpoint) -> Option<Value> {
    let address = endpoint.address.to_string();
    let is_it = |other: &&Value| other["addresses"][0] == *address;
    let found = written?.as_array()?.iter().find(is_it)?;
    Some(found.get("conditions").cloned().unwrap_or_default())
}

/// Whether a slice mirrors Endpoints, of whose addresses nothing but their readiness is known.
fn is_mirror(slice: &EndpointSlice) -> bool {
    let manager = slice.meta.labels.get("endpointslice.kubernetes.io/managed-by");
    manager.is_some_and(|manager| **manager == *"endpointslicemirroring-controller.k8s.io")
}

pub(super) fn show_slice(root: &mut Map<String, Value>, slice: &EndpointSlice) {
    set(root, "addressType", "IPv4");
    let is_mirror = is_mirror(slice);
    let written = root.remove("endpoints");
    let endpoints = slice.endpoints.iter().map(|endpoint| {
        let mut map = Map::new();
        set(&mut map, "addresses", vec![Value::from(endpoint.address.to_string())]);
        let mut conditions = match is_mirror {
            true => json!({"ready": endpoint.ready}),
            false => json!({"ready": endpoint.ready, "serving": endpoint.serving, "terminating": endpoint.terminating}),
        };
        if let (Some(said), Value::Object(shown)) = (said_conditions(written.as_ref(), endpoint), &mut conditions) {
            shown.retain(|condition, _| said.get(condition).is_some_and(|said| !said.is_null()));
        }
        set(&mut map, "conditions", conditions);
        if !endpoint.pod.is_empty() {
            let (namespace, uid) = (&*slice.meta.namespace, endpoint.pod_uid.to_string());
            let target = json!({"kind": "Pod", "namespace": namespace, "name": &*endpoint.pod, "uid": uid});
            set(&mut map, "targetRef", target);
        }
        for (key, value) in [("nodeName", &endpoint.node), ("zone", &endpoint.zone), ("hostname", &endpoint.hostname)] {
            if let Some(value) = value {
                set(&mut map, key, &**value);
            }
        }
        if !endpoint.hints.is_absent() {
            let mut hints = Map::new();
            for (key, names) in [("forZones", &endpoint.hints.zones), ("forNodes", &endpoint.hints.nodes)] {
                if !names.is_empty() {
                    set(&mut hints, key, names.iter().map(|name| json!({"name": &**name})).collect::<Vec<_>>());
                }
            }
            set(&mut map, "hints", hints);
        }
        Value::Object(map)
    });
    set(root, "endpoints", endpoints.collect::<Vec<_>>());
    let ports = slice.ports.iter().map(|it| {
        let mut port = json!({"name": &*it.name, "protocol": protocol(it.protocol), "port": it.number});
        if let Some(said) = &it.app_protocol.0 {
            port["appProtocol"] = (**said).into();
        }
        port
    });
    set(root, "ports", ports.collect::<Vec<_>>());
}
