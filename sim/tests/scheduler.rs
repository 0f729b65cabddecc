//! `sim place` against answers recorded from kube-scheduler 1.34.1: one small cluster in full detail, one under a
//! configuration, and one with preemption. The example compares any number of them.

#[path = "../examples/scheduler_recordings.rs"]
#[expect(dead_code, reason = "the example's own main function is not called here")]
mod recordings;

fn compared(name: &str) -> recordings::Tally {
    let mut tally = recordings::Tally::default();
    let path = format!("{}/tests/data/scheduler/{name}.json", env!("CARGO_MANIFEST_DIR"));
    recordings::compare_case(&path, &mut tally).expect("the recording can be read");
    tally
}

#[test]
fn every_pod_of_a_recorded_cluster_gets_the_recorded_node_scores_refusals_and_message() {
    let tally = compared("mixed-small-02");
    assert_eq!(tally.rows["mixed-small"], (48, 48), "{:#?}", tally.fields);
    for field in ["scores by all plugins", "rejected by NodeResourcesFit", "message", "top"] {
        assert!(tally.fields[field].1 > 0, "the recording has {field}");
    }
}

#[test]
fn a_configuration_changes_scores_and_refusals_as_it_does_in_kube_scheduler() {
    let tally = compared("config-11");
    assert_eq!(tally.rows["config"], (60, 60), "{:#?}", tally.fields);
}

#[test]
fn pods_of_lower_priority_make_room_as_in_kube_scheduler() {
    let tally = compared("preempt-02");
    assert_eq!(tally.rows["preempt"], (90, 90), "{:#?}", tally.fields);
    for part in ["victims", "candidates", "message"] {
        assert!(tally.fields[&format!("preemption: {part}")].1 > 0, "the recording has {part}");
    }
}
