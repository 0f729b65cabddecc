//! The core's scheduler against answers recorded from kube-scheduler 1.34.1: one small cluster in full detail. The
//! example compares any number of them.

#[path = "../examples/scheduler_recordings.rs"]
#[expect(dead_code, reason = "the example's own main function is not called here")]
mod recordings;

#[test]
fn every_pod_of_a_recorded_cluster_gets_the_recorded_scores_refusals_and_messages() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/scheduler/mixed-small-02.json");
    let mut tally = recordings::Tally::default();
    recordings::compare_case(path, &mut tally).expect("the recording can be read");
    assert_eq!(tally.rows["pod with everything"], (48, 48), "{:#?}", tally.rows);
    for plugin in ["PodTopologySpread", "InterPodAffinity", "ImageLocality", "NodeAffinity", "TaintToleration"] {
        let (_, compared) = tally.rows[&format!("score of {plugin}")];
        assert!(compared > 0, "the recording has scores of {plugin}");
    }
}
