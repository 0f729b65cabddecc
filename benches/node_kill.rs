//! What a killed node costs, over 1,000 seeds: the distributions that Kubernetes' own settings imply.
//!
//! Sketch: renewals come every 10 to 10.4 s with a drawn phase and a node is NotReady 50 s after its last one, noticed
//! every 5 s; so kill → NotReady lies in about 39.6 … 55 s. Pods endure `unreachable` for 300 s, so a replacement runs
//! about 340 … 360 s after the kill. Endpoints lose a pod at NotReady, five minutes before its eviction. When several
//! nodes of a zone fail at once they are tainted one every 10 s (`--node-eviction-rate` 0.1).
//!
//! Run with `cargo bench -p wavetank-benches --bench node_kill`; a first argument changes the number of seeds. It prints
//! least, mean, 99th percentile and greatest in seconds, and fails if a run lacks an event: a statistic of the runs that
//! went well would mean nothing.

mod cluster;

use wavetank_core::facts::{Fact, What};
use wavetank_core::id::HostId;
use wavetank_core::time::{Span, Time};
use wavetank_sim::plan::{Fault, FaultKind, Plan};
use wavetank_sim::record::Outcome;
use wavetank_sim::world::{Unobserved, run};

const SEEDS: u64 = 1_000;
const NODES: u32 = 12;
const PODS: u32 = 24;
const KILL: Time = Time::from_secs(120);

fn main() {
    let seeds = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(SEEDS);
    let mut rows: [(&str, Vec<Span>); 6] = [
        ("kill -> NotReady", Vec::new()),
        ("kill -> endpoints without its pods", Vec::new()),
        ("kill -> first eviction", Vec::new()),
        ("kill -> first replacement running", Vec::new()),
        ("endpoints -> eviction", Vec::new()),
        ("k-th -> (k+1)-th node tainted NoExecute", Vec::new()),
    ];
    for seed in 0..seeds {
        // The kill meets the renewals at any phase, because every kubelet draws its own.
        let one = after_kill(&run(&plan(seed, &[0]), &mut Unobserved), seed);
        rows[0].1.push(one.not_ready);
        rows[1].1.push(one.endpoints);
        rows[2].1.push(one.eviction);
        rows[3].1.push(one.replacement);
        rows[4].1.push(Span(one.eviction.0.saturating_sub(one.endpoints.0)));
        // Nodes 0, 3, 6, 9 are the whole of one zone; 0 and 3 are half of it, which is below the disruption threshold.
        rows[5].1.extend(taint_gaps(&run(&plan(seed, &[0, 3]), &mut Unobserved), seed));
    }
    println!("{seeds} seeds, {NODES} nodes, {PODS} pods; seconds: least, mean, 99th percentile, greatest");
    for (name, spans) in &mut rows {
        print_row(name, spans);
    }
}

/// The times of one run, from the kill on.
struct AfterKill {
    not_ready: Span,
    endpoints: Span,
    eviction: Span,
    replacement: Span,
}

fn plan(seed: u64, killed: &[u32]) -> Plan {
    let mut plan = cluster::plan(seed, NODES, PODS);
    let kind = FaultKind::Crash { hosts: killed.iter().copied().map(HostId).collect() };
    plan.faults.push(Fault { from: KILL, to: None, kind, label: "a node is killed".into(), place: String::new() });
    plan
}

fn first(outcome: &Outcome, seed: u64, what: &str, wanted: impl Fn(&Fact) -> bool) -> Time {
    let found = outcome.facts.iter().find(|(at, fact)| *at >= KILL && wanted(fact));
    found.unwrap_or_else(|| panic!("seed {seed}: {what} never happened")).0
}

fn after_kill(outcome: &Outcome, seed: u64) -> AfterKill {
    let at = |what: &str, wanted: &dyn Fn(&Fact) -> bool| first(outcome, seed, what, wanted) - KILL;
    AfterKill {
        not_ready: at("NotReady", &|fact| matches!(fact.what, What::NodeNotReady { .. })),
        endpoints: at(
            "a change of endpoints",
            &|fact| matches!(fact.what, What::Endpoints { ready, .. } if ready < PODS),
        ),
        eviction: at("an eviction", &|fact| fact.what == What::DeletionRequested),
        replacement: at("a replacement", &|fact| fact.what == What::Running),
    }
}

fn taint_gaps(outcome: &Outcome, seed: u64) -> Vec<Span> {
    let tainted = |fact: &Fact| matches!(&fact.what, What::Tainted { taint } if taint.ends_with(":NoExecute"));
    let times: Vec<Time> = outcome.facts.iter().filter(|(_, fact)| tainted(fact)).map(|(at, _)| *at).collect();
    assert!(times.len() >= 2, "seed {seed}: {} of two nodes were tainted", times.len());
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

fn print_row(name: &str, spans: &mut [Span]) {
    spans.sort_unstable();
    let seconds = |span: Span| span.as_millis() as f64 / 1_000.0;
    let mean = spans.iter().map(|span| seconds(*span)).sum::<f64>() / spans.len() as f64;
    let percentile = spans[(spans.len() * 99).div_ceil(100) - 1];
    let (least, greatest) = (seconds(spans[0]), seconds(spans[spans.len() - 1]));
    println!("{name:<42} {least:>9.3} {mean:>9.3} {:>9.3} {greatest:>9.3}", seconds(percentile));
}
