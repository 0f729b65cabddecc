//! Pods placed per CPU-second by the placement algorithm alone.

use wavetank_benches::measure::{cpu_seconds, verdict};
use wavetank_core::config::SchedulerConfig;
use wavetank_core::id::RowId;
use wavetank_core::model::Pod;
use wavetank_core::scheduler::Placement;

use crate::cases::Case;

/// Runs the rounds and prints what came of them; `true` if the claim was held or there is none.
pub(crate) fn report(case: &Case) -> bool {
    let Measured { seconds, hash } = measure(case);
    let rate = f64::from(case.pods) / seconds.median;
    let verdict = case.rate_min.map(|least| format!("; target {least:.0}: {}", verdict(rate >= least)));
    println!(
        "placement: {}: {rate:.0} pods per CPU-second ({:.3} s, range {:.3} to {:.3} s of {} rounds; choices \
         {hash:016x}){}",
        case.name(),
        seconds.median,
        seconds.fastest,
        seconds.slowest,
        case.rounds,
        verdict.unwrap_or_default()
    );
    case.rate_min.is_none_or(|least| rate >= least)
}

/// The median CPU time per pod, in µs.
pub(crate) fn cost(case: &Case) -> f64 {
    measure(case).seconds.median * 1e6 / f64::from(case.pods)
}

struct Measured {
    seconds: Seconds,
    hash: u64,
}

struct Seconds {
    fastest: f64,
    median: f64,
    slowest: f64,
}

/// Panics if two rounds choose differently: then their times mean nothing.
fn measure(case: &Case) -> Measured {
    let pods = case.pods();
    let mut rounds: Vec<(f64, u64)> = (0..case.rounds).map(|_| round(case, &pods)).collect();
    let hash = rounds[0].1;
    assert!(rounds.iter().all(|(_, other)| *other == hash), "two runs of one seed placed pods differently");
    rounds.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (fastest, median, slowest) = (rounds[0].0, rounds[rounds.len() / 2].0, rounds[rounds.len() - 1].0);
    Measured { seconds: Seconds { fastest, median, slowest }, hash }
}

/// CPU-seconds for all pods on empty nodes, and the hash of the nodes chosen. Every pod must find a node.
pub(crate) fn round(case: &Case, pods: &[Pod]) -> (f64, u64) {
    let config = SchedulerConfig { percentage_of_nodes_to_score: case.percentage, ..SchedulerConfig::default() };
    let mut placement = Placement::new(7, &config);
    case.nodes().for_each(|node| placement.set_node(&node));
    let mut hash = 0_u64;
    let start = cpu_seconds();
    for number in 0..case.pods {
        let row = RowId { index: number, generation: 0 };
        let chosen = placement.place_pod(row, &pods[number as usize % pods.len()]);
        let name = chosen.unwrap_or_else(|message| panic!("pod {number}: {message}"));
        hash = name
            .bytes()
            .fold(hash, |hash, byte| (hash.rotate_left(5) ^ u64::from(byte)).wrapping_mul(0x517c_c1b7_2722_0a95));
    }
    (cpu_seconds() - start, hash)
}
