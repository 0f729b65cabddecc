//! A day in which nothing happens: 5,000 machines with 50,000 pods for 24 simulated hours, the start of every pod
//! included. What changes nothing must cost nothing.
//!
//! Sketch: 50,000 pods take about 16 inputs each to be created, bound and run (8·10⁵ inputs, about 2 µs each, for each
//! touches memory that has long left the caches); then the node lifecycle looks at 5,000 nodes 17,280 times, which must
//! not visit each. Expect below 2 s of CPU time; alarm
//! above that. Memory: a pod is about 20 allocations of 50 B; target 1 KB per pod beyond the same cluster without pods,
//! which runs first.
//!
//! The same day with fidelity `instant`, all delays of the control plane zero, delivers each change of a pod by itself
//! and not in batches, which makes 2.6 times as many inputs: there must be no work per change that grows with the
//! number of pods. Expect at most twice the CPU time.
//!
//! Run with `cargo bench -p wavetank-benches --bench idle_day` (Linux: CPU time and memory are read from /proc). It
//! prints CPU time, inputs, fingerprint and digest; with the word `facts` also a hash of all facts with their times,
//! which a change that only makes things faster must leave as it is, and which costs time of its own. It fails if not
//! every pod is running at the end: a day in which nothing runs would be fast for nothing.

mod cluster;

use std::sync::Arc;

use wavetank_benches::measure::{self, cpu_seconds, resident_bytes_max, verdict};
use wavetank_core::Core;
use wavetank_core::config::Heartbeats;
use wavetank_core::digest::Fingerprint;
use wavetank_core::facts::Fact;
use wavetank_core::model::Pod;
use wavetank_core::time::{Span, Time};
use wavetank_sim::plan::{NetworkPlan, Plan};
use wavetank_sim::world::{Flow, Observer, Options, Simulation};

const NODES: u32 = 5_000;
const PODS: u32 = 50_000;
/// When all pods have long been started.
const STARTED: Time = Time::from_secs(600);
const CPU_SECONDS_MAX: f64 = 2.0;
const BYTES_PER_POD_MAX: u64 = 1_000;
/// How much longer a day with instant fidelity may take.
const INSTANT_TIMES_MAX: f64 = 2.0;

fn main() {
    let pods = std::env::args().find_map(|word| word.parse().ok()).unwrap_or(PODS);
    let empty = day(plan(0), 0);
    let empty_bytes = resident_bytes_max();
    let full = day(plan(pods), pods);
    let bytes_per_pod = (resident_bytes_max() - empty_bytes) / u64::from(pods);
    let instant = day(instant(plan(pods)), pods);
    full.print(pods);
    empty.print(0);
    let cpu = full.cpu_seconds;
    println!("CPU time at most {CPU_SECONDS_MAX} s: {cpu:.2} s, {}", verdict(cpu <= CPU_SECONDS_MAX));
    let held = verdict(bytes_per_pod <= BYTES_PER_POD_MAX);
    println!("resident memory at most {BYTES_PER_POD_MAX} B per pod beyond no pods: {bytes_per_pod} B, {held}");
    println!("the same with all delays of the control plane zero:");
    instant.print(pods);
    let times = instant.cpu_seconds / full.cpu_seconds;
    let held = verdict(times <= INSTANT_TIMES_MAX);
    println!("CPU time of instant fidelity at most {INSTANT_TIMES_MAX} times as much: {times:.2}, {held}");
}

/// Runs the cluster for a day.
fn day(plan: Plan, pods: u32) -> Watch {
    let mut watch = Watch { began: cpu_seconds(), facts: measure::hash_of_facts(), ..Watch::default() };
    let options = Options { keep_facts: false, events: watch.facts.is_some(), ..Options::default() };
    let mut simulation: Simulation = Simulation::with_options(&Arc::new(plan), options);
    simulation.run(&mut watch);
    watch.cpu_seconds = cpu_seconds() - watch.began;
    let core = simulation.core();
    let ready = core.newest().all::<Pod>().filter(|(_, pod)| pod.is_ready()).count();
    assert_eq!(ready as u32, pods, "every pod is ready at the end of the day");
    watch.steps = core.steps();
    watch.hashes = measure::hashes(core, watch.facts);
    watch
}

fn plan(pods: u32) -> Plan {
    let mut plan = cluster::plan(1, NODES, pods);
    plan.config.heartbeats = Heartbeats::Analytic;
    plan.config.controller_manager.client_limit = None;
    plan.config.scheduler.client_limit = None;
    plan.duration = Span::from_secs(24 * 3_600);
    plan
}

/// The same plan with no delays but those of containers.
fn instant(plan: Plan) -> Plan {
    Plan { network: NetworkPlan::default(), ..plan }
}

/// Looks on, hashes all facts if it is asked to, and notes what the start of the pods took.
#[derive(Default)]
struct Watch {
    facts: Option<Fingerprint>,
    began: f64,
    start_seconds: Option<f64>,
    start_steps: u64,
    cpu_seconds: f64,
    steps: u64,
    hashes: String,
}

impl Observer for Watch {
    fn settled(&mut self, now: Time, core: &Core, facts_since: &[(Time, Fact)]) -> Flow {
        if let Some(hash) = &mut self.facts {
            facts_since.iter().for_each(|(at, fact)| hash.absorb(*at, fact));
        }
        if now >= STARTED && self.start_seconds.is_none() {
            self.start_seconds = Some(cpu_seconds() - self.began);
            self.start_steps = core.steps();
        }
        Flow::Continue
    }

    fn next_wake(&self) -> Option<Time> {
        self.start_seconds.is_none().then_some(STARTED)
    }
}

impl Watch {
    fn print(&self, pods: u32) {
        let start_seconds = self.start_seconds.expect("a day is longer than ten minutes");
        println!("{NODES} nodes, {pods} pods, 24 h: {:.2} s of CPU time altogether", self.cpu_seconds);
        println!("  first ten minutes: {start_seconds:.2} s, {} inputs", self.start_steps);
        let (seconds, steps) = (self.cpu_seconds - start_seconds, self.steps - self.start_steps);
        println!("  the rest of the day: {seconds:.2} s, {steps} inputs");
        println!("  {}", self.hashes);
    }
}
