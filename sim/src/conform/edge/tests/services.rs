//! What of Services and EndpointSlices is kept that nothing here acts on.

use wavetank_core::id::Revision;
use wavetank_manifest::kubernetes::to_json;

use super::*;
use crate::conform::shown;

const SERVICES: &str = "/api/v1/namespaces/shop/services";
const TILL: &str = "PATCH /api/v1/namespaces/shop/services/till";

fn with_service() -> Bed {
    let mut bed = Bed::new();
    let spec = json!({"selector": {"app": "till"}, "ports": [{"port": 80, "appProtocol": "http"}]});
    bed.grant(&format!("POST {SERVICES}"), json!({"metadata": {"name": "till"}, "spec": spec}));
    bed
}

fn spec(bed: &Bed) -> Value {
    to_json(&bed.stored(Kind::Service, "till").expect("the Service"), Revision(0), EPOCH)["spec"].clone()
}

#[test]
fn unready_pods_that_are_no_longer_published_are_not_spoken_of() {
    let mut bed = with_service();
    bed.grant(TILL, json!({"spec": {"publishNotReadyAddresses": true}}));
    assert_eq!(spec(&bed)["publishNotReadyAddresses"], true);
    bed.grant(TILL, json!({"spec": {"publishNotReadyAddresses": false}}));
    assert_eq!(spec(&bed).get("publishNotReadyAddresses"), None);
}

#[test]
fn the_protocol_of_an_application_stays_with_its_port() {
    let mut bed = with_service();
    assert_eq!(spec(&bed)["ports"][0]["appProtocol"], "http");
    let ports = json!([{"name": "a", "port": 80}, {"name": "b", "port": 81, "appProtocol": "https"}]);
    bed.grant(TILL, json!({"spec": {"ports": ports}}));
    let ports = spec(&bed)["ports"].clone();
    assert_eq!((ports[0].get("appProtocol"), &ports[1]["appProtocol"]), (None, &json!("https")));
}

#[test]
fn an_alias_hides_where_traffic_may_go_and_has_it_again_when_it_is_none() {
    let mut bed = with_service();
    bed.grant(TILL, json!({"spec": {"internalTrafficPolicy": "Local"}}));
    let alias = json!({"type": "ExternalName", "externalName": "till.example", "clusterIP": null, "clusterIPs": null});
    bed.grant(TILL, json!({"spec": alias}));
    assert_eq!(spec(&bed).get("internalTrafficPolicy"), None);
    bed.grant(TILL, json!({"spec": {"type": "ClusterIP", "externalName": null}}));
    assert_eq!(spec(&bed)["internalTrafficPolicy"], "Local");
}

#[test]
fn a_patch_that_names_another_object_is_refused_as_a_put_is() {
    let mut bed = with_service();
    let message = "the name of the object (desk) does not match the name on the URL (till)";
    assert_eq!(bed.send(TILL, json!({"metadata": {"name": "desk"}})), (400, message.to_owned()));
}

#[test]
fn conditions_that_a_slice_leaves_open_are_not_shown_and_endpoints_without_pods_go_by_their_address() {
    let mut bed = Bed::new();
    let endpoints = json!([{"addresses": ["192.0.2.9"], "conditions": {"ready": true}}, {"addresses": ["192.0.2.10"]}]);
    let slice = json!({
        "metadata": {"name": "own", "labels": {"kubernetes.io/service-name": "till"}}, "addressType": "IPv4",
        "endpoints": endpoints, "ports": [{"name": "p", "port": 80}],
    });
    bed.grant("POST /apis/discovery.k8s.io/v1/namespaces/shop/endpointslices", slice);
    let stored = bed.stored(Kind::EndpointSlice, "own").expect("the slice");
    let conditions = |number: usize| to_json(&stored, Revision(0), EPOCH)["endpoints"][number]["conditions"].clone();
    assert_eq!((conditions(0), conditions(1)), (json!({"ready": true}), json!({})));
    let line = shown::line(0, None, Some(&stored), Revision(0), EPOCH).expect("a line");
    let shown = line.fields["endpoints"].as_object().expect("endpoints");
    assert_eq!(shown.keys().collect::<Vec<_>>(), ["192.0.2.10", "192.0.2.9"]);
}

#[test]
fn of_owners_of_which_none_manages_the_first_is_shown() {
    let mut bed = Bed::new();
    let owner = |name: &str, uid: u8| json!({"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": format!("00000000-0000-4000-8000-0000000000{uid:02}")});
    let meta = json!({"name": "slip", "ownerReferences": [owner("till", 1), owner("desk", 2)]});
    bed.grant("POST /api/v1/namespaces/shop/configmaps", json!({"metadata": meta}));
    let stored = bed.stored(Kind::ConfigMap, "slip").expect("the map");
    let line = shown::line(0, None, Some(&stored), Revision(0), EPOCH).expect("a line");
    assert_eq!(line.text("owner"), "ConfigMap/till");
}
