//! Endpoints.

use serde_json::{Map, Value, json};
use wavetank_core::model::{EndpointAddress, EndpointSubset, EndpointTarget, Endpoints};

use super::{protocol, set};

/// What a writer may say of an object that an address belongs to beside what the core knows.
const TARGET_EXTRAS: [&str; 3] = ["apiVersion", "fieldPath", "resourceVersion"];

pub(super) fn show_endpoints(root: &mut Map<String, Value>, endpoints: &Endpoints) {
    let written = root.remove("subsets").unwrap_or_default();
    if !endpoints.subsets.is_empty() {
        let subsets = endpoints.subsets.iter().map(|it| subset(it, &written));
        set(root, "subsets", subsets.collect::<Vec<_>>());
    }
}

fn subset(subset: &EndpointSubset, written: &Value) -> Value {
    let mut map = Map::new();
    for (key, list) in [("addresses", &subset.addresses), ("notReadyAddresses", &subset.not_ready)] {
        if !list.is_empty() {
            set(&mut map, key, list.iter().map(|it| address(it, written)).collect::<Vec<_>>());
        }
    }
    let ports = subset.ports.iter().map(|it| {
        let mut port = json!({"port": it.number, "protocol": protocol(it.protocol)});
        if !it.name.is_empty() {
            port["name"] = (*it.name).into();
        }
        if let Some(said) = &it.app_protocol.0 {
            port["appProtocol"] = (**said).into();
        }
        port
    });
    if !subset.ports.is_empty() {
        set(&mut map, "ports", ports.collect::<Vec<_>>());
    }
    Value::Object(map)
}

fn address(address: &EndpointAddress, written: &Value) -> Value {
    let mut map = Map::new();
    set(&mut map, "ip", address.address.to_string());
    for (key, value) in [("hostname", &address.hostname), ("nodeName", &address.node)] {
        if let Some(value) = value {
            set(&mut map, key, &**value);
        }
    }
    if let Some(target) = &address.target {
        let mut target = target_ref(target);
        let lists = items(written, &["addresses", "notReadyAddresses"]);
        let found = lists
            .map(|other| &other["targetRef"])
            .find(|other| ["kind", "namespace", "name", "uid"].iter().all(|key| other.get(key) == target.get(*key)));
        for key in TARGET_EXTRAS {
            if let Some(said) = found.and_then(|found| found.get(key)) {
                set(&mut target, key, said.clone());
            }
        }
        set(&mut map, "targetRef", target);
    }
    Value::Object(map)
}

fn target_ref(target: &EndpointTarget) -> Map<String, Value> {
    let mut map = Map::new();
    for (key, text) in [("kind", &target.kind), ("namespace", &target.namespace), ("name", &target.name)] {
        if !text.is_empty() {
            set(&mut map, key, &**text);
        }
    }
    if let Some(uid) = target.uid {
        set(&mut map, "uid", uid.to_string());
    }
    map
}

/// The items of some lists of all subsets that somebody has written.
fn items<'a>(written: &'a Value, lists: &'a [&str]) -> impl Iterator<Item = &'a Value> {
    let subsets = written.as_array().into_iter().flatten();
    subsets.flat_map(move |subset| lists.iter().filter_map(|list| subset[*list].as_array()).flatten())
}
