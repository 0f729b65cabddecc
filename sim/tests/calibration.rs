//! The defaults of the model of the scheduler's own time give what was published of kube-scheduler.

use wavetank_core::config::SchedulingCost;
use wavetank_sim::calibration::{Kind, Measured, WORKLOADS, Workload, measure};

fn compare(workload: &Workload, measured: Measured) {
    let differ = (measured.pods_per_second / workload.published - 1.0).abs() * 100.0;
    assert!(
        differ <= f64::from(workload.tolerance_percent),
        "{}: published {}, simulated {:.1} pods per second",
        workload.name,
        workload.published,
        measured.pods_per_second
    );
}

#[test]
fn without_a_limit_of_requests_the_scheduler_is_as_fast_as_its_own_benchmark_says() {
    // A pod for one node takes the same in a cluster of any size, so all share one.
    let fitted: Vec<&Workload> = WORKLOADS.iter().filter(|workload| workload.is_fitted).collect();
    let kinds: Vec<Kind> = fitted.iter().map(|workload| workload.kind).collect();
    let measured = measure(5_000, &kinds, SchedulingCost::KUBERNETES_1_34, 30);
    assert_eq!(measured.len(), 8);
    fitted.into_iter().zip(measured).for_each(|(workload, measured)| compare(workload, measured));
}

#[test]
fn controllers_set_the_pace_until_the_scheduler_does() {
    for workload in WORKLOADS.iter().filter(|workload| !workload.is_fitted) {
        let Kind::Replicas(per_second) = workload.kind else { panic!("{} has no controller", workload.name) };
        let pods = (per_second * 4).min(800);
        let measured = measure(workload.nodes, &[workload.kind], SchedulingCost::KUBERNETES_1_34, pods);
        compare(workload, measured[0]);
    }
}
