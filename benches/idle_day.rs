//! A day in which nothing happens: 5,000 machines with 50,000 pods for 24 simulated hours, the start of every pod
//! included. What changes nothing must cost nothing.
//!
//! Sketch: 50,000 pods take about 20 inputs each to be created, bound and run (10⁶ inputs, about 1 µs each); then the
//! node lifecycle looks at 5,000 nodes 17,280 times, which must not visit each. Expect below 2 s; alarm above that.
//!
//! Run with `cargo bench -p wavetank-benches --bench idle_day`. It prints CPU time, inputs and the fingerprint, and
//! fails if not every pod is running at the end: a day in which nothing runs would be fast for nothing.

mod cluster;

use std::time::Instant;

use wavetank_core::config::Heartbeats;
use wavetank_core::model::Pod;
use wavetank_core::time::{Span, Time};
use wavetank_sim::world::{Options, Simulation};

const NODES: u32 = 5_000;
const PODS: u32 = 50_000;

fn main() {
    let mut plan = cluster::plan(1, NODES, PODS);
    plan.config.heartbeats = Heartbeats::Analytic;
    plan.config.controller_manager.client_limit = None;
    plan.config.scheduler.client_limit = None;
    plan.duration = Span::from_secs(24 * 3_600);
    let began = Instant::now();
    let options = Options { keep_facts: false, ..Options::default() };
    let mut simulation: Simulation = Simulation::with_options(&plan, options);
    let (mut started, mut start_steps) = (None, 0);
    while let Some((now, _)) = simulation.step() {
        if started.is_none() && now > Time::from_secs(600) {
            (started, start_steps) = (Some(began.elapsed()), simulation.core().steps());
        }
    }
    let took = began.elapsed();
    let ready = simulation.core().newest().all::<Pod>().filter(|(_, pod)| pod.is_ready()).count();
    assert_eq!(ready as u32, PODS, "every pod is ready at the end of the day");
    let started = started.unwrap_or(took);
    let steps = simulation.core().steps();
    println!("{NODES} nodes, {PODS} pods, 24 h: {:.2} s altogether", took.as_secs_f64());
    println!("  first ten minutes: {:.2} s, {start_steps} inputs", started.as_secs_f64());
    println!("  the rest of the day: {:.2} s, {} inputs", (took - started).as_secs_f64(), steps - start_steps);
    println!("  fingerprint {}, digest {}", simulation.core().fingerprint(), simulation.core().digest());
}
