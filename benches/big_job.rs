//! One Job of a million completions, ten thousand at a time, on a thousand nodes: a batch as large as Kubernetes
//! admits.
//!
//! Sketch: a pod takes about 20 inputs from its creation to its count, so 2·10⁷ inputs at about 1.5 µs each: 30 s. A
//! sync of the Job comes once a second and makes or counts at most 500 pods, so pods of 18 s keep ten thousand under
//! way and the whole takes a little over 2,000 simulated seconds. A controller that looked at all pods in each sync
//! would look at 10⁸ of them. Alarm above 60 s of CPU time.
//!
//! Run with `cargo bench -p wavetank-benches --bench big_job` (Linux: CPU time is read from /proc). Arguments:
//! completions, parallelism, nodes, and `indexed` for an Indexed Job. It prints the figure and HELD or MISSED, and
//! fails if the Job is not complete at the end, or if a pod was counted twice or not at all.

mod cluster;

use std::sync::Arc;

use wavetank_benches::measure::cpu_seconds;
use wavetank_core::api::Request;
use wavetank_core::config::Heartbeats;
use wavetank_core::digest::Shared;
use wavetank_core::model::{
    CompletionMode, ConditionKind, Container, Job, JobSpec, Labels, Meta, Object, PodSpec, PodTemplate, Resources,
    RestartPolicy,
};
use wavetank_core::time::Span;
use wavetank_sim::plan::{Delay, Plan, Step};
use wavetank_sim::world::{Options, Simulation, Unobserved};

const CPU_SECONDS_MAX: f64 = 60.0;
/// How long a pod runs: with 500 more each second, ten thousand are under way.
const RUN_TIME: Span = Span::from_secs(18);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let number = |place: usize, preset: u32| {
        arguments.get(place).and_then(|argument| argument.parse::<u32>().ok()).unwrap_or(preset)
    };
    let (completions, parallelism, nodes) = (number(0, 1_000_000), number(1, 10_000), number(2, 1_000));
    let indexed = arguments.iter().any(|argument| argument == "indexed");
    let began = cpu_seconds();
    let plan = plan(completions, parallelism, nodes, indexed);
    let mut simulation: Simulation =
        Simulation::with_options(&Arc::new(plan), Options { keep_facts: false, events: false, ..Options::default() });
    simulation.run(&mut Unobserved);
    let seconds = cpu_seconds() - began;
    let core = simulation.core();
    let (_, job) = core.newest().all::<Job>().next().expect("the Job is there");
    let status = &job.status;
    let counted = (status.succeeded, status.failed, status.active);
    assert_eq!(counted, (completions, 0, 0), "succeeded, failed and active pods of the Job at the end");
    assert!(status.conditions.is_true(ConditionKind::Complete), "the Job is complete: {:?}", status.conditions);
    if indexed {
        assert_eq!(status.completed_indexes.to_string(), format!("0-{}", completions - 1));
    }
    let mode = if indexed { "Indexed" } else { "NonIndexed" };
    let ended = status.completed_at.expect("a complete Job has a time");
    println!("{mode} Job, {completions} completions, {parallelism} at a time, {nodes} nodes: complete at {ended}");
    println!("  {} inputs, {seconds:.1} s of CPU time, fingerprint {}", core.steps(), core.fingerprint());
    let verdict = if seconds <= CPU_SECONDS_MAX { "HELD" } else { "MISSED" };
    println!("CPU time at most {CPU_SECONDS_MAX} s: {seconds:.1} s, {verdict}");
}

fn plan(completions: u32, parallelism: u32, nodes: u32, indexed: bool) -> Plan {
    let mut plan = cluster::plan(1, nodes, 0);
    plan.config.heartbeats = Heartbeats::Analytic;
    plan.config.controller_manager.client_limit = None;
    plan.config.scheduler.client_limit = None;
    plan.behaviours[0].start_delay = Delay::Constant(Span::from_millis(500));
    plan.behaviours[0].readiness_delay = Delay::default();
    plan.behaviours[0].run_time = Some(Delay::Constant(RUN_TIME));
    let rounds = u64::from(completions.div_ceil(parallelism.max(1)));
    let at_most_500_a_second = u64::from(completions) / 400;
    plan.duration = Span::from_secs((rounds * 30).max(at_most_500_a_second) + 600);
    let request = Request::Create(Object::Job(Arc::new(job(completions, parallelism, indexed))));
    plan.steps.push(Step { at: Default::default(), request, label: "create the Job".into(), place: "big_job".into() });
    plan
}

fn job(completions: u32, parallelism: u32, indexed: bool) -> Job {
    let container = Container {
        name: "part".into(),
        image: "web:1".into(),
        requests: Resources { cpu_milli: 100, ..Resources::default() },
        ..Container::default()
    };
    let pod = PodSpec { containers: vec![container], restart_policy: RestartPolicy::Never, ..PodSpec::default() };
    let template =
        PodTemplate { labels: Labels::new([("app", "part")]), spec: Shared::new(pod), ..PodTemplate::default() };
    let spec = JobSpec {
        completions: Some(completions),
        parallelism,
        mode: if indexed { CompletionMode::Indexed } else { CompletionMode::NonIndexed },
        template,
        ..JobSpec::default()
    };
    Job { meta: Meta::named("default", "parts"), spec, ..Job::default() }
}
