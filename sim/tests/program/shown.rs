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
