//! What a killed node costs, over 1,000 seeds: the distributions that Kubernetes' own settings imply.
//!
//! Sketch: renewals come every 10 to 10.4 s with a drawn phase and a node is NotReady 50 s after the monitor's pass
//! that saw its last one, with a pass every 5 s; so kill → NotReady lies in about 39.8 … 55.1 s. Pods endure
//! `unreachable` for 300 s, so a replacement runs about 342 … 360 s after the kill. Endpoints lose a pod at NotReady,
//! five minutes before its eviction. When several nodes of a zone fail at once they are tainted one every 10 s
//! (`--node-eviction-rate` 0.1).
//!
//! The kill comes at a time drawn per seed, so that it meets the renewals and the monitor's passes at any phase.
//! Requests and watch news take 5 to 50 ms each and containers 2 to 5 s to start, as in the model that the bounds are
//! from: Kubernetes' timers alone, drawn 40,000 times.
//!
//! Run with `cargo bench -p wavetank-benches --bench node_kill`; a first argument changes the number of seeds. It
//! prints least, mean, 99th percentile and greatest in seconds and whether the bounds held, and fails if a run lacks an
//! event: a statistic of the runs that went well would mean nothing.

mod cluster;

use wavetank_core::draw::{Purpose, draw, span_below};
use wavetank_core::facts::{Fact, What};
use wavetank_core::id::HostId;
use wavetank_core::time::{Span, Time};
use wavetank_sim::plan::{Delay, Fault, FaultKind, Plan};
use wavetank_sim::record::Outcome;
use wavetank_sim::world::{Unobserved, run};

const SEEDS: u64 = 1_000;
const NODES: u32 = 12;
const PODS: u32 = 24;
/// The kill comes at this time or up to [`KILL_SPREAD`] later: a common multiple of what happens every 5 and 10 s.
const KILL_FIRST: Time = Time::from_secs(60);
const KILL_SPREAD: Span = Span::from_secs(20);

fn main() {
    let seeds = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(SEEDS);
    let not_ready = Bounds { least: 39.8, greatest: 55.1, mean: Some((47.6, 0.5)) };
    let within = |least, greatest| Some(Bounds { least, greatest, mean: None });
    let mut rows = [
        Row::new("kill -> NotReady", Some(not_ready)),
        Row::new("kill -> endpoints without its pods", None),
        Row::new("NotReady -> first eviction", within(300.0, 300.2)),
        Row::new("kill -> first replacement running", within(342.0, 360.0)),
        Row::new("endpoints -> eviction", None),
        Row::new("k-th -> (k+1)-th node tainted NoExecute", None),
    ];
    for seed in 0..seeds {
        let kill = kill_time(seed);
        let one = after_kill(&run(&plan(seed, kill, &[0]), &mut Unobserved), seed, kill);
        rows[0].spans.push(one.not_ready);
        rows[1].spans.push(one.endpoints);
        rows[2].spans.push(Span(one.eviction.0.saturating_sub(one.not_ready.0)));
        rows[3].spans.push(one.replacement);
        rows[4].spans.push(Span(one.eviction.0.saturating_sub(one.endpoints.0)));
        // Nodes 0, 3, 6, 9 are the whole of one zone; 0 and 3 are half of it, which is below the disruption threshold.
        rows[5].spans.extend(taint_gaps(&run(&plan(seed, kill, &[0, 3]), &mut Unobserved), seed));
    }
    println!("{seeds} seeds, {NODES} nodes, {PODS} pods; seconds: least, mean, 99th percentile, greatest");
    rows.iter_mut().for_each(Row::print);
}

fn kill_time(seed: u64) -> Time {
    KILL_FIRST + span_below(draw(seed, Purpose::Plan, 0, 0), KILL_SPREAD)
}

/// The times of one run, from the kill on.
struct AfterKill {
    not_ready: Span,
    endpoints: Span,
    eviction: Span,
    replacement: Span,
}

fn plan(seed: u64, kill: Time, killed: &[u32]) -> Plan {
    let mut plan = cluster::plan(seed, NODES, PODS);
    let latency = Delay::Uniform { min: Span::from_millis(5), max: Span::from_millis(50) };
    plan.network.request = latency.clone();
    plan.network.watch = latency.clone();
    plan.network.node.delay = latency;
    plan.behaviours[0].start_delay = Delay::Uniform { min: Span::from_secs(2), max: Span::from_secs(5) };
    let kind = FaultKind::Crash { hosts: killed.iter().copied().map(HostId).collect() };
    plan.faults.push(Fault { from: kill, to: None, kind, label: "a node is killed".into(), place: String::new() });
    plan
}

fn first(outcome: &Outcome, seed: u64, kill: Time, what: &str, wanted: impl Fn(&Fact) -> bool) -> Time {
    let found = outcome.facts.iter().find(|(at, fact)| *at >= kill && wanted(fact));
    found.unwrap_or_else(|| panic!("seed {seed}: {what} never happened")).0
}

fn after_kill(outcome: &Outcome, seed: u64, kill: Time) -> AfterKill {
    let at = |what: &str, wanted: &dyn Fn(&Fact) -> bool| first(outcome, seed, kill, what, wanted) - kill;
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

/// What a distribution must keep to, in seconds.
#[derive(Clone, Copy)]
struct Bounds {
    least: f64,
    greatest: f64,
    /// The mean and how far it may be off.
    mean: Option<(f64, f64)>,
}

/// One distribution.
struct Row {
    name: &'static str,
    bounds: Option<Bounds>,
    spans: Vec<Span>,
}

impl Row {
    fn new(name: &'static str, bounds: Option<Bounds>) -> Row {
        Row { name, bounds, spans: Vec::new() }
    }

    fn print(&mut self) {
        self.spans.sort_unstable();
        let spans = &self.spans;
        let seconds = |span: Span| span.as_millis() as f64 / 1_000.0;
        let mean = spans.iter().map(|span| seconds(*span)).sum::<f64>() / spans.len() as f64;
        let percentile = seconds(spans[(spans.len() * 99).div_ceil(100) - 1]);
        let (least, greatest) = (seconds(spans[0]), seconds(spans[spans.len() - 1]));
        let verdict = self.bounds.map_or(String::new(), |bounds| bounds.verdict(least, mean, greatest));
        println!("{:<42} {least:>9.3} {mean:>9.3} {percentile:>9.3} {greatest:>9.3}  {verdict}", self.name);
    }
}

impl Bounds {
    fn verdict(self, least: f64, mean: f64, greatest: f64) -> String {
        let mean_held = self.mean.is_none_or(|(wanted, tolerance)| (mean - wanted).abs() <= tolerance);
        let held = least >= self.least && greatest <= self.greatest && mean_held;
        let mean = self.mean.map_or(String::new(), |(wanted, tolerance)| format!(", mean {wanted} +- {tolerance}"));
        format!("{} ... {}{mean}: {}", self.least, self.greatest, if held { "held" } else { "MISSED" })
    }
}
