//! Published and simulated throughput of the scheduler, side by side.
//!
//! `cargo run --release -p wavetank-sim --example scheduler_calibration`

use wavetank_core::config::SchedulingCost;
use wavetank_sim::calibration::{WORKLOADS, measure};

/// Enough that the first and the last pod do not matter.
const PODS: u32 = 2_000;

fn main() {
    println!("pods per second in virtual time, and the time from creation to binding of pods that come all at once");
    println!(
        "{:<42} {:>6} {:>9} {:>9} {:>7}  {:>9} {:>9}  basis",
        "workload", "nodes", "published", "simulated", "differ", "median", "longest"
    );
    for workload in &WORKLOADS {
        let measured = measure(workload.nodes, &[workload.kind], SchedulingCost::KUBERNETES_1_34, PODS)[0];
        let differ = (measured.pods_per_second / workload.published - 1.0) * 100.0;
        println!(
            "{:<42} {:>6} {:>9.1} {:>9.1} {:>+6.1}%  {:>9} {:>9}  {} ({})",
            workload.name,
            workload.nodes,
            workload.published,
            measured.pods_per_second,
            differ,
            measured.median.to_string(),
            measured.longest.to_string(),
            if workload.is_fitted { "fitted" } else { "check" },
            workload.source
        );
    }
}
