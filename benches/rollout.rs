//! Many Deployments: 10,000 of them with 150,000 pods on 5,000 nodes, all rolled out once; and the same with a second
//! rollout, to another image. A pod must cost little memory, and creating, placing and starting one little time, also
//! where no two Deployments have anything in common.
//!
//! Sketch: a pod takes about 13 inputs to be created, bound and run and 10 to be ended; at 0.7 µs each that is 16 µs.
//! At least 50,000 creations per second of CPU time; alarm below that. Memory: the objects of a Deployment and its
//! ReplicaSet (2 KB) over 15 pods, and a pod's own object, row, kubelet row, sandbox and place in the scheduler (700
//! B): at most 1,000 B per pod beyond the same cluster without Deployments, which runs first.
//!
//! As in a run of `sim` without `--out`, nobody reads Kubernetes events, so none are said. The pods have no readiness
//! probe, so that they are ready as soon as they run.
//!
//! Run with `cargo bench -p wavetank-benches --bench rollout -- 5000 10000 15` (nodes, Deployments, pods of each;
//! Linux: CPU time and memory are read from /proc). Each of the two runs has a process of its own, so that neither
//! finds memory that the other has left; the words `once` and `twice` run one of them alone, and with the word `facts`
//! a hash of all facts is printed too. It fails if not every pod is of the newest template and ready at the end.

mod cluster;

use std::process::Command;
use std::sync::Arc;

use wavetank_benches::measure::{self, cpu_seconds, resident_bytes, resident_bytes_max, verdict};
use wavetank_core::Core;
use wavetank_core::api::{Patch, Request};
use wavetank_core::config::Heartbeats;
use wavetank_core::digest::{Fingerprint, Shared};
use wavetank_core::facts::{Fact, What};
use wavetank_core::model::{
    Container, Deployment, Kind, Labels, Meta, Object, ObjectKey, Pod, PodSpec, PodTemplate, Resources, Selector,
};
use wavetank_core::time::{Span, Time};
use wavetank_sim::plan::{Delay, Plan, Step};
use wavetank_sim::world::{Flow, Observer, Options, Simulation};

/// Deployments differ in name and labels; this many different specs are among them.
const SPECS: u32 = 8;
/// When each gets another image, if it does.
const SECOND_ROLLOUT: Time = Time::from_secs(600);
const CREATIONS_PER_SECOND_MIN: f64 = 50_000.0;
const BYTES_PER_POD_MAX: u64 = 1_000;

/// How often the Deployments are rolled out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rollouts {
    Once,
    Twice,
}

impl Rollouts {
    const ALL: [Rollouts; 2] = [Rollouts::Once, Rollouts::Twice];

    fn word(self) -> &'static str {
        match self {
            Rollouts::Once => "once",
            Rollouts::Twice => "twice",
        }
    }

    /// The image that the pods have at the end.
    fn last_image(self) -> &'static str {
        match self {
            Rollouts::Once => "web:1",
            Rollouts::Twice => "web:2",
        }
    }

    /// When all has long been done.
    fn end(self) -> Span {
        match self {
            Rollouts::Once => Span::from_secs(600),
            Rollouts::Twice => Span::from_secs(1_800),
        }
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some(rollouts) = Rollouts::ALL.into_iter().find(|it| words.iter().any(|word| word == it.word())) else {
        let program = std::env::current_exe().expect("a program knows where it is");
        for rollouts in Rollouts::ALL {
            let status = Command::new(&program).args(&words).arg(rollouts.word()).status();
            assert!(status.expect("the program can be run").success(), "rolled out {}", rollouts.word());
        }
        return;
    };
    let numbers: Vec<u32> = words.iter().filter_map(|word| word.parse().ok()).collect();
    let [nodes, deployments, replicas] = numbers[..] else { return run(5_000, 10_000, 15, rollouts) };
    run(nodes, deployments, replicas, rollouts);
}

fn run(nodes: u32, deployments: u32, replicas: u32, rollouts: Rollouts) {
    let pods = deployments * replicas;
    let empty = roll_out(nodes, 0, 0, rollouts);
    let full = roll_out(nodes, deployments, replicas, rollouts);
    println!("{nodes} nodes, {deployments} Deployments, {pods} pods, rolled out {}", rollouts.word());
    println!("  {:.2} s of CPU time, {} inputs, {} pods created", full.cpu_seconds, full.steps, full.creations);
    println!("  {}", full.hashes);
    let per_pod = |full: u64, empty: u64| full.saturating_sub(empty) / u64::from(pods);
    println!("  most memory at any time: {} B per pod", per_pod(full.bytes_max, empty.bytes_max));
    let speed = full.creations as f64 / full.cpu_seconds;
    let held = verdict(speed >= CREATIONS_PER_SECOND_MIN);
    println!("  pod creations per second of CPU time at least {CREATIONS_PER_SECOND_MIN}: {speed:.0}, {held}");
    let bytes = per_pod(full.bytes, empty.bytes);
    let held = verdict(bytes <= BYTES_PER_POD_MAX);
    println!("  resident memory at most {BYTES_PER_POD_MAX} B per pod beyond no Deployments: {bytes} B, {held}");
}

/// Runs the cluster, and asks when all is done what that has cost.
fn roll_out(nodes: u32, deployments: u32, replicas: u32, rollouts: Rollouts) -> Watch {
    let plan = plan(nodes, deployments, replicas, rollouts);
    let mut watch = Watch { facts: measure::hash_of_facts(), began: cpu_seconds(), ..Watch::default() };
    let options = Options { keep_facts: false, events: watch.facts.is_some(), ..Options::default() };
    let mut simulation: Simulation = Simulation::with_options(&Arc::new(plan), options);
    simulation.run(&mut watch);
    watch.cpu_seconds = cpu_seconds() - watch.began;
    (watch.bytes, watch.bytes_max) = (resident_bytes(), resident_bytes_max());
    let core = simulation.core();
    let is_new = |pod: &Pod| pod.is_ready() && *pod.spec.containers[0].image == *rollouts.last_image();
    let ready = core.newest().all::<Pod>().filter(|(_, pod)| is_new(pod)).count();
    assert_eq!(ready as u32, deployments * replicas, "every pod is of the newest template and ready");
    assert_eq!(core.newest().all::<Pod>().count(), ready, "and the former pods are gone");
    watch.steps = core.steps();
    watch.hashes = measure::hashes(core, watch.facts);
    watch
}

fn plan(nodes: u32, deployments: u32, replicas: u32, rollouts: Rollouts) -> Plan {
    let mut plan = cluster::plan(1, nodes, 0);
    plan.config.heartbeats = Heartbeats::Analytic;
    plan.config.controller_manager.client_limit = None;
    plan.config.scheduler.client_limit = None;
    plan.duration = rollouts.end();
    plan.behaviours[0].readiness_delay = Delay::Constant(Span::ZERO);
    for host in &mut plan.hosts {
        host.images.push("web:2".into());
    }
    let specs: Vec<_> = (0..SPECS).map(|number| Shared::new(spec(number))).collect();
    let name = |number: u32| format!("app-{number}");
    let step = |at, request, name: &str| Step { at, request, label: name.to_string(), place: "benches/rollout".into() };
    let creations = (0..deployments).map(|number| {
        let spec = specs[(number % SPECS) as usize].clone();
        let deployment = deployment(&name(number), replicas, spec);
        step(Time::ZERO, Request::Create(Object::Deployment(Arc::new(deployment))), &name(number))
    });
    let again = if rollouts == Rollouts::Twice { 0..deployments } else { 0..0 };
    let second_rollouts = again.map(|number| {
        let key = ObjectKey::new(Kind::Deployment, "default", &name(number));
        let patch = Patch::Image { container: "app".into(), image: "web:2".into() };
        step(SECOND_ROLLOUT, Request::Patch { key, patch }, &name(number))
    });
    // The first step makes the namespace; the bench has no Service and no ReplicaSet of its own.
    plan.steps.truncate(1);
    plan.steps.extend(creations);
    plan.steps.extend(second_rollouts);
    plan
}

fn spec(number: u32) -> PodSpec {
    let requests = Resources { cpu_milli: 50 + i64::from(number), ..Resources::default() };
    let container = Container { name: "app".into(), image: "web:1".into(), requests, ..Container::default() };
    PodSpec { containers: vec![container], ..PodSpec::default() }
}

fn deployment(name: &str, replicas: u32, spec: Shared<PodSpec>) -> Deployment {
    let labels = Labels::new([("app", name)]);
    Deployment {
        meta: Meta { labels: labels.clone(), ..Meta::named("default", name) },
        replicas,
        selector: Selector::from_labels(labels.clone()),
        template: PodTemplate { labels, spec, ..PodTemplate::default() },
        revision_history_limit: 10,
        progress_deadline: Some(Span::from_secs(600)),
        ..Deployment::default()
    }
}

/// Looks on, hashes all facts if it is asked to, and counts created pods.
#[derive(Default)]
struct Watch {
    facts: Option<Fingerprint>,
    began: f64,
    creations: u64,
    cpu_seconds: f64,
    bytes: u64,
    bytes_max: u64,
    steps: u64,
    hashes: String,
}

impl Observer for Watch {
    fn settled(&mut self, _now: Time, _core: &Core, facts_since: &[(Time, Fact)]) -> Flow {
        for (at, fact) in facts_since {
            if let Some(hash) = &mut self.facts {
                hash.absorb(*at, fact);
            }
            let is_new_pod = fact.subject.kind == Kind::Pod && matches!(fact.what, What::Created { .. });
            self.creations += u64::from(is_new_pod);
        }
        Flow::Continue
    }
}
