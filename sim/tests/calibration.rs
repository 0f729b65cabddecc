//! The defaults of the model of the scheduler's own time give what was published of kube-scheduler.

use wavetank_core::config::SchedulingCost;
use wavetank_sim::calibration::{Kind, WORKLOADS, measure};

#[test]
fn the_defaults_give_the_published_throughputs() {
    for workload in &WORKLOADS {
        let pods = if let Kind::Replicas(per_second) = workload.kind { (per_second * 6).clamp(120, 900) } else { 60 };
        let measured = measure(workload, SchedulingCost::KUBERNETES_1_34, pods);
        let differ = (measured.pods_per_second / workload.published - 1.0).abs() * 100.0;
        let tolerance = f64::from(workload.tolerance_percent);
        assert!(
            differ <= tolerance,
            "{}: published {}, simulated {:.1} pods per second",
            workload.name,
            workload.published,
            measured.pods_per_second
        );
    }
}

#[test]
fn without_a_cost_only_requests_limit_the_throughput() {
    let limited = measure(&WORKLOADS[10], SchedulingCost::NONE, 6_000);
    assert!(limited.pods_per_second > 1_900.0, "2,000 requests per second: {limited:?}");
}
