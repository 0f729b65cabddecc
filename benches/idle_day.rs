//! A day in which nothing happens: 5,000 machines with 50,000 pods for 24 simulated hours, the start of every pod
//! included. What changes nothing must cost nothing.
//!
//! Sketch: 50,000 pods take about 20 inputs each to be created, bound and run (10⁶ inputs, about 1 µs each); then the
//! node lifecycle looks at 5,000 nodes 17,280 times, which must not visit each. Expect below 2 s of CPU time; alarm
//! above that. Memory: a pod is about 20 allocations of 50 B; target 1 KB per pod beyond the same cluster without pods,
//! which runs first.
//!
//! Run with `cargo bench -p wavetank-benches --bench idle_day` (Linux: CPU time and memory are read from /proc). It
//! prints CPU time, inputs, the fingerprint and a hash of all facts with their times, which a change that only makes
//! things faster must leave as it is. It fails if not every pod is running at the end: a day in which nothing runs would
//! be fast for nothing.

mod cluster;

use wavetank_core::Core;
use wavetank_core::config::Heartbeats;
use wavetank_core::digest::Fingerprint;
use wavetank_core::facts::Fact;
use wavetank_core::model::Pod;
use wavetank_core::time::{Span, Time};
use wavetank_sim::plan::Plan;
use wavetank_sim::world::{Flow, Observer, Options, Simulation};

const NODES: u32 = 5_000;
const PODS: u32 = 50_000;
/// When all pods have long been started.
const STARTED: Time = Time::from_secs(600);
const CPU_SECONDS_MAX: f64 = 2.0;
const BYTES_PER_POD_MAX: u64 = 1_000;

fn main() {
    let empty = day(0);
    let empty_bytes = resident_bytes_max();
    let full = day(PODS);
    let bytes_per_pod = (resident_bytes_max() - empty_bytes) / u64::from(PODS);
    full.print(PODS);
    empty.print(0);
    let verdict = |held: bool| if held { "held" } else { "MISSED" };
    let cpu = full.cpu_seconds;
    println!("CPU time at most {CPU_SECONDS_MAX} s: {cpu:.2} s, {}", verdict(cpu <= CPU_SECONDS_MAX));
    let held = verdict(bytes_per_pod <= BYTES_PER_POD_MAX);
    println!("resident memory at most {BYTES_PER_POD_MAX} B per pod beyond no pods: {bytes_per_pod} B, {held}");
}

/// Runs the cluster for a day.
fn day(pods: u32) -> Watch {
    let plan = plan(pods);
    let mut watch = Watch { began: cpu_seconds(), ..Watch::default() };
    let options = Options { keep_facts: false, ..Options::default() };
    let mut simulation: Simulation = Simulation::with_options(&plan, options);
    simulation.run(&mut watch);
    watch.cpu_seconds = cpu_seconds() - watch.began;
    let core = simulation.core();
    let ready = core.newest().all::<Pod>().filter(|(_, pod)| pod.is_ready()).count();
    assert_eq!(ready as u32, pods, "every pod is ready at the end of the day");
    watch.steps = core.steps();
    watch.hashes = format!("fingerprint {}, digest {}, facts {}", core.fingerprint(), core.digest(), watch.facts);
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

/// Looks on, hashes all facts, and notes what the start of the pods took.
#[derive(Default)]
struct Watch {
    facts: Fingerprint,
    began: f64,
    start_seconds: Option<f64>,
    start_steps: u64,
    cpu_seconds: f64,
    steps: u64,
    hashes: String,
}

impl Observer for Watch {
    fn settled(&mut self, now: Time, core: &Core, facts_since: &[(Time, Fact)]) -> Flow {
        for (at, fact) in facts_since {
            self.facts.absorb(*at, fact);
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

/// CPU time of this thread so far.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells a thread's CPU time");
    let nanoseconds = text.split(' ').next().and_then(|word| word.parse::<u64>().ok());
    nanoseconds.expect("the first number is nanoseconds on a CPU") as f64 / 1e9
}

/// The most memory that this process has had so far.
fn resident_bytes_max() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").expect("Linux tells a process's memory");
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the status has a high-water mark");
    let kibibytes = line.trim().strip_suffix(" kB").and_then(|number| number.parse::<u64>().ok());
    kibibytes.expect("the high-water mark is in kB") * 1_024
}
