//! Whole clusters in their simulated world: what a plan leads to, and what must not depend on how it is run.

use super::*;
use proptest::prelude::*;
use wavetank_core::config::{Config, KubeletConfig};
use wavetank_core::digest::Shared;
use wavetank_core::facts::What;
use wavetank_core::kubelet::Boot;
use wavetank_core::model::{
    Container, Labels, Meta, Namespace, Object, PodSpec, PodTemplate, ReplicaSet, Resources, Selector,
};
use wavetank_core::time::Span;

use crate::plan::{Behaviour, Delay, Exit, Fault, FaultKind, HostPlan, LinkProfile, NetworkPlan, Side, Step};
use crate::queue::HeapQueue;
use crate::record::Outcome;

fn seconds(seconds: u64) -> Delay {
    Delay::Constant(Span::from_secs(seconds))
}

fn host(index: usize) -> HostPlan {
    let name = format!("n{index}");
    let capacity = Resources { cpu_milli: 4_000, memory_bytes: 8 << 30, pods: 110, ..Resources::default() };
    let boot = Boot {
        node: name.as_str().into(),
        labels: Labels::new([("kubernetes.io/hostname", name.as_str()), ("topology.kubernetes.io/zone", "a")]),
        capacity: capacity.clone(),
        allocatable: capacity,
        taints: Vec::new(),
        address: format!("192.168.0.{index}").into(),
        pod_network: "".into(),
        static_pods: Vec::new(),
    };
    HostPlan {
        boot: Arc::new(boot),
        starts_at: Time::ZERO,
        pull_bytes_per_second: 100_000_000,
        images: vec!["web:1".into()],
        image_filesystem_bytes: None,
        pids: 0,
    }
}

fn step(at: Time, request: Request) -> Step {
    Step { at, request, label: String::new(), place: "test.yaml:1".into() }
}

fn fault(from: u64, to: Option<u64>, kind: FaultKind) -> Fault {
    let (from, to) = (Time::from_millis(from), to.map(Time::from_millis));
    Fault { from, to, kind, label: String::new(), place: "test.yaml:2".into() }
}

fn replica_set(replicas: u32) -> Object {
    let labels = Labels::new([("app", "web")]);
    let container = Container {
        name: "app".into(),
        image: "web:1".into(),
        requests: Resources { cpu_milli: 100, ..Resources::default() },
        ..Container::default()
    };
    let template = PodTemplate {
        labels: labels.clone(),
        spec: Shared::new(PodSpec { containers: vec![container], ..PodSpec::default() }),
        ..PodTemplate::default()
    };
    Object::ReplicaSet(Arc::new(ReplicaSet {
        meta: Meta::named("default", "web"),
        replicas,
        selector: Selector::from_labels(labels),
        template,
        ..ReplicaSet::default()
    }))
}

/// `hosts` machines with `replicas` pods, one seed, and the given faults, for ten minutes.
fn plan(hosts: usize, replicas: u32, faults: Vec<Fault>) -> Plan {
    let kubelet = KubeletConfig { relist_period: Span::ZERO, ..KubeletConfig::default() };
    let namespace = Object::Namespace(Arc::new(Namespace::named("default")));
    Plan {
        config: Config { seed: 11, kubelet, ..Config::default() },
        network: NetworkPlan {
            request: Delay::Constant(Span::from_millis(2)),
            response: Delay::Constant(Span::from_millis(1)),
            watch: Delay::Uniform { min: Span::from_millis(1), max: Span::from_millis(20) },
            persist: Delay::Constant(Span::from_millis(3)),
            node: LinkProfile { delay: Delay::Exponential { mean: Span::from_millis(3) }, loss_per_million: 0 },
        },
        hosts: (0..hosts).map(host).collect(),
        behaviours: vec![Behaviour {
            namespace: None,
            pods: Selector::default(),
            container: None,
            start_delay: Delay::Uniform { min: Span::from_millis(500), max: Span::from_secs(2) },
            readiness_delay: seconds(1),
            run_time: None,
            exit: Exit::Code(0),
            stop_delay: seconds(2),
            which: Default::default(),
            hooks: Default::default(),
            health: Default::default(),
            usage: Default::default(),
        }],
        steps: vec![
            step(Time::ZERO, Request::Create(namespace)),
            step(Time::from_secs(1), Request::Create(replica_set(replicas))),
        ],
        faults,
        duration: Span::from_secs(600),
        ..Plan::default()
    }
}

fn outcome(plan: &Plan) -> Outcome {
    run(plan, &mut Unobserved)
}

fn with_heartbeats(plan: &Plan, heartbeats: Heartbeats) -> Plan {
    let mut plan = plan.clone();
    plan.config.heartbeats = heartbeats;
    plan
}

/// Facts as lines.
fn told(outcome: &Outcome) -> Vec<String> {
    let line = |(at, fact): &(Time, Fact)| format!("{at} {} {}: {}", fact.subject, fact.what.reason(), fact.what);
    outcome.facts.iter().map(line).collect()
}

fn times_of(outcome: &Outcome, wanted: impl Fn(&What) -> bool) -> Vec<Time> {
    outcome.facts.iter().filter(|(_, fact)| wanted(&fact.what)).map(|(at, _)| *at).collect()
}

#[test]
fn machines_of_time_zero_are_ready_before_the_first_request_of_the_user() {
    let outcome = outcome(&plan(3, 6, Vec::new()));
    assert_eq!(outcome.refusals, []);
    let ready = times_of(&outcome, |what| *what == What::NodeReady);
    assert_eq!(ready, [Time::ZERO; 3], "{:#?}", told(&outcome));
    let pods = times_of(&outcome, |what| *what == What::Ready);
    assert_eq!(pods.len(), 6, "{:#?}", told(&outcome));
    assert!(pods.iter().all(|at| *at > Time::from_secs(2) && *at < Time::from_secs(6)), "{pods:?}");
}

#[test]
fn a_refused_step_is_reported_with_its_number() {
    let mut plan = plan(1, 0, Vec::new());
    plan.steps.push(step(Time::from_secs(3), Request::Create(replica_set(1))));
    let outcome = outcome(&plan);
    assert_eq!(outcome.refusals.len(), 1);
    assert_eq!(outcome.refusals[0].step, 2);
    assert_eq!(outcome.refusals[0].refusal.to_string(), "replicasets.apps \"web\" already exists");
}

#[test]
fn a_run_is_the_same_with_either_queue_and_in_single_steps() {
    let kind = FaultKind::Crash { hosts: vec![HostId(1)] };
    let plan = Arc::new(plan(3, 9, vec![fault(60_000, Some(200_000), kind)]));
    let expected = outcome(&plan);
    assert!(expected.steps > 1_000, "{} steps", expected.steps);
    let mut heap: Simulation<HeapQueue> = Simulation::new(&plan);
    heap.run(&mut Unobserved);
    assert_eq!(heap.outcome(), expected);
    let mut steps: Simulation = Simulation::new(&plan);
    while steps.step().is_some() {}
    assert_eq!(steps.core().fingerprint(), expected.fingerprint);
    assert_eq!(steps.core().digest(), expected.digest);
}

#[test]
fn a_fingerprint_does_not_depend_on_the_thread() {
    let plan = Arc::new(plan(2, 4, Vec::new()));
    let runs: Vec<_> = (0..3)
        .map(|_| {
            let plan = Arc::clone(&plan);
            std::thread::spawn(move || outcome(&plan).fingerprint)
        })
        .collect();
    let expected = outcome(&plan).fingerprint;
    for run in runs {
        assert_eq!(run.join().expect("the run ends"), expected);
    }
}

#[test]
fn other_tie_orders_take_other_paths_to_a_cluster_with_the_same_pods_ready() {
    let plan = Arc::new(plan(3, 9, Vec::new()));
    let mut fingerprints = std::collections::BTreeSet::new();
    for seed in 0..5 {
        let options = Options { ties: TieOrder::Mixed(seed), ..Options::default() };
        let mut simulation: Simulation = Simulation::with_options(&plan, options);
        simulation.run(&mut Unobserved);
        let outcome = simulation.outcome();
        assert_eq!(times_of(&outcome, |what| *what == What::NodeReady), [Time::ZERO; 3]);
        assert_eq!(times_of(&outcome, |what| *what == What::Ready).len(), 9);
        fingerprints.insert(outcome.fingerprint.0);
    }
    assert_eq!(fingerprints.len(), 5);
}

#[test]
fn a_run_takes_the_same_path_whether_or_not_events_are_said() {
    let crash = fault(100_000, Some(500_000), FaultKind::Crash { hosts: vec![HostId(0)] });
    let plan = Arc::new(plan(3, 9, vec![crash]));
    let [said, unsaid] = [true, false].map(|events| {
        let mut simulation: Simulation = Simulation::with_options(&plan, Options { events, ..Options::default() });
        simulation.run(&mut Unobserved);
        simulation.outcome()
    });
    assert_eq!((said.fingerprint, said.digest), (unsaid.fingerprint, unsaid.digest));
    let (events, others): (Vec<_>, Vec<_>) = said.facts.into_iter().partition(|(_, fact)| is_event(fact));
    assert!(events.len() > 50 && !unsaid.facts.iter().any(|(_, fact)| is_event(fact)), "{} events", events.len());
    assert_eq!(others, unsaid.facts);
}

fn is_event(fact: &Fact) -> bool {
    matches!(fact.what, What::Event(_))
}

#[test]
fn a_machine_that_crashes_becomes_not_ready_and_comes_back_when_the_last_of_its_faults_ends() {
    let crash = |from, to| fault(from, Some(to), FaultKind::Crash { hosts: vec![HostId(0)] });
    let outcome = outcome(&plan(3, 3, vec![crash(100_000, 200_000), crash(150_000, 300_000)]));
    let lost = times_of(&outcome, |what| matches!(what, What::NodeNotReady { .. }));
    let back = times_of(&outcome, |what| *what == What::NodeReady);
    assert_eq!(lost.len(), 1, "{:#?}", told(&outcome));
    assert!(lost[0] > Time::from_secs(140) && lost[0] < Time::from_secs(156), "{lost:?}");
    assert_eq!(back.len(), 4, "{:#?}", told(&outcome));
    assert!(back[3] >= Time::from_secs(300) && back[3] < Time::from_secs(312), "{back:?}");
}

#[test]
fn a_short_cut_loses_news_and_the_kubelet_catches_up_when_it_heals() {
    let sides = |hosts| (Side { control_plane: true, hosts: Vec::new() }, Side { control_plane: false, hosts });
    let (a, b) = sides(vec![HostId(0)]);
    let mut plan = plan(1, 0, vec![fault(500, Some(10_000), FaultKind::NetworkCut { a, b })]);
    plan.steps[1].request = Request::Create(replica_set(2));
    let outcome = outcome(&plan);
    let bound = times_of(&outcome, |what| matches!(what, What::Scheduled { .. }));
    let ready = times_of(&outcome, |what| *what == What::Ready);
    assert!(bound.iter().all(|at| *at < Time::from_secs(10)) && bound.len() == 2, "{bound:?}");
    assert!(ready.iter().all(|at| *at > Time::from_secs(10)) && ready.len() == 2, "{ready:?}");
    assert_eq!(times_of(&outcome, |what| matches!(what, What::NodeNotReady { .. })), []);
}

#[test]
fn an_observer_looks_when_it_wants_to_and_can_end_the_run() {
    struct Clock(Vec<Time>);
    impl Observer for Clock {
        fn settled(&mut self, now: Time, _core: &wavetank_core::Core, _facts_since: &[(Time, Fact)]) -> Flow {
            if self.next_wake() == Some(now) {
                self.0.push(now);
            }
            if self.0.len() == 3 { Flow::Stop } else { Flow::Continue }
        }

        fn next_wake(&self) -> Option<Time> {
            Some(Time::from_secs(100 * (self.0.len() as u64 + 1)))
        }
    }
    let mut clock = Clock(Vec::new());
    let outcome = run(&plan(1, 1, Vec::new()), &mut clock);
    assert_eq!(clock.0, [100, 200, 300].map(Time::from_secs));
    assert_eq!(outcome.end, Time::from_secs(300));
}

#[test]
fn taking_a_fault_out_leaves_what_happened_before_it_as_it_was() {
    let crash = |from| fault(from, None, FaultKind::Crash { hosts: vec![HostId(1)] });
    let before = |outcome: &Outcome| -> Vec<String> {
        let until = outcome.facts.iter().take_while(|(at, _)| *at < Time::from_secs(300)).count();
        told(outcome)[..until].to_vec()
    };
    let (with, without) = (outcome(&plan(3, 6, vec![crash(300_000)])), outcome(&plan(3, 6, Vec::new())));
    assert_eq!(before(&with), before(&without));
    assert_ne!(with.fingerprint, without.fingerprint);
}

fn any_hosts() -> impl Strategy<Value = Vec<HostId>> {
    prop::collection::btree_set(0..4_u32, 1..3).prop_map(|hosts| hosts.into_iter().map(HostId).collect())
}

fn any_kind() -> impl Strategy<Value = FaultKind> {
    let slow = (0..20_000_u64, 0..300_000_u32).prop_map(|(milli, loss_per_million)| {
        let delay = Delay::Exponential { mean: Span::from_millis(milli) };
        LinkProfile { delay, loss_per_million }
    });
    prop_oneof![
        3 => any_hosts().prop_map(|hosts| FaultKind::Crash { hosts }),
        2 => any_hosts().prop_map(|hosts| FaultKind::KubeletStop { hosts }),
        1 => any_hosts().prop_map(|hosts| FaultKind::Shutdown { hosts }),
        3 => any_hosts().prop_map(|hosts| FaultKind::NetworkCut {
            a: Side { control_plane: true, hosts: Vec::new() },
            b: Side { control_plane: false, hosts },
        }),
        2 => (any_hosts(), slow).prop_map(|(hosts, profile)| FaultKind::SlowLink { hosts, profile }),
    ]
}

/// Faults that last from nothing to some minutes, often overlapping.
fn any_faults() -> impl Strategy<Value = Vec<Fault>> {
    let length = prop_oneof![2 => 0..60_000_u64, 3 => 30_000..200_000_u64];
    let one = (0..500_000_u64, prop::option::weighted(0.9, length), any_kind());
    prop::collection::vec(one, 1..5).prop_map(|faults| {
        faults.into_iter().map(|(from, length, kind)| fault(from, length.map(|it| from + it), kind)).collect()
    })
}

/// What the network is like in which renewals are on their way for seconds, so that faults meet them there.
fn slow_down(plan: &mut Plan) {
    plan.network.node.delay = Delay::Uniform { min: Span::from_millis(100), max: Span::from_secs(5) };
    plan.network.watch = Delay::Uniform { min: Span::ZERO, max: Span::from_secs(4) };
}

#[test]
fn a_node_that_goes_before_it_was_seen_is_missed_as_late_as_if_each_of_its_renewals_were_sent() {
    let crash = FaultKind::Crash { hosts: vec![HostId(3)] };
    let mut plan = plan(4, 6, vec![fault(5_001, None, crash)]);
    plan.config.seed = 925;
    slow_down(&mut plan);
    plan.hosts[3].starts_at = Time::from_secs(1);
    let [exact, analytic] =
        [Heartbeats::Exact, Heartbeats::Analytic].map(|kind| outcome(&with_heartbeats(&plan, kind)));
    assert_eq!(told(&exact), told(&analytic));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn vouching_for_renewals_tells_the_same_story_as_sending_each(
        faults in any_faults(), seed in 0..1_000_u64, late in 0..200_u64, slow in any::<bool>(),
    ) {
        let mut plan = plan(4, 6, faults);
        plan.config.seed = seed;
        if slow {
            slow_down(&mut plan);
        }
        plan.hosts[3].starts_at = Time::from_secs(late);
        let exact = outcome(&with_heartbeats(&plan, Heartbeats::Exact));
        let analytic = outcome(&with_heartbeats(&plan, Heartbeats::Analytic));
        prop_assert_eq!(told(&exact), told(&analytic));
        prop_assert!(analytic.steps < exact.steps, "{} steps against {}", analytic.steps, exact.steps);
    }
}
