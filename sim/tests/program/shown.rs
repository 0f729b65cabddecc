//! What expectations see of objects beyond what is stored of them.

use super::*;

#[test]
fn what_follows_from_node_and_spec_is_there_for_expectations_to_see() {
    let place = Place::new("shown");
    let that = "pod(\"web\").status.hostIP == nodes[0].status.addresses[0].address && \
                pod(\"web\").status.qosClass == \"BestEffort\" && \
                pod(\"web\").status.observedGeneration == pod(\"web\").metadata.generation";
    let file =
        place.file("small.yaml", &small(&format!("  expect:\n    - {{name: shown, at: 50s, that: '{that}'}}\n")));
    let output = place.sim(&["run", &file]);
    assert_eq!(code(&output), 0, "{}{}", out(&output), err(&output));
}

#[test]
fn a_pod_keeps_the_address_of_its_host_when_the_nodes_object_is_deleted() {
    let place = Place::new("host-address");
    let file = place.file(
        "gone.yaml",
        r#"apiVersion: wavetank/v1
kind: Scenario
metadata: {name: gone}
spec:
  duration: 50s
  nodes: [{name: only}]
  manifests:
    - {apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {containers: [{name: main, image: web}]}}
  timeline:
    - {at: 30s, crash: {node: only}}
    - {at: 31s, delete: {node: only}}
  expect:
    - {name: gone, at: 40s, that: 'size(nodes) == 0 && pod("web").status.hostIP.startsWith("172.16.")'}
"#,
    );
    let output = place.sim(&["run", &file]);
    assert_eq!(code(&output), 0, "{}{}", out(&output), err(&output));
}
