//! Stories of containers on simulated machines.

use super::*;
use wavetank_core::digest::Shared;
use wavetank_core::kubelet::Boot;
use wavetank_core::model::{Container as Spec, Labels, Meta, PodSpec, PullPolicy, Resources, Selector};

use crate::plan::{Behaviour, Delay, Exit, HealthPlan, ScriptedStart};

mod usage;

const HOST: HostId = HostId(0);
const APP: ContainerIndex = ContainerIndex::Main(0);

fn host(name: &str) -> HostPlan {
    let boot = Boot {
        node: name.into(),
        labels: Labels::default(),
        capacity: Resources::default(),
        allocatable: Resources::default(),
        taints: Vec::new(),
        address: "192.168.0.1".into(),
        pod_network: "10.0.0.0/24".into(),
        static_pods: Vec::new(),
    };
    HostPlan {
        boot: Arc::new(boot),
        starts_at: Time::ZERO,
        pull_bytes_per_second: 10_000_000,
        images: Vec::new(),
        image_filesystem_bytes: None,
        pids: 0,
    }
}

fn behaviour() -> Behaviour {
    Behaviour {
        namespace: None,
        pods: Selector::default(),
        container: None,
        start_delay: Delay::Constant(Span::from_secs(2)),
        readiness_delay: Delay::Constant(Span::from_secs(5)),
        run_time: None,
        exit: Exit::Code(0),
        stop_delay: Delay::Constant(Span::from_secs(4)),
        which: Default::default(),
        hooks: Default::default(),
        health: Default::default(),
        usage: Default::default(),
    }
}

fn plan(behaviour: Behaviour) -> Plan {
    Plan { hosts: vec![host("n1"), host("n2")], behaviours: vec![behaviour], ..Plan::default() }
}

fn pod(uid: u128) -> Arc<Pod> {
    let app = Spec { name: "app".into(), image: "web:1".into(), ..Spec::default() };
    let spec = PodSpec { containers: vec![app.clone()], init_containers: vec![app], ..PodSpec::default() };
    let meta = Meta { uid: Uid::new(uid), ..Meta::named("default", &format!("p{uid}")) };
    Arc::new(Pod { meta: meta.into(), spec: Shared::new(spec), ..Pod::default() })
}

/// A fleet with its own small queue; what kubelets are told is written down.
struct Yard {
    fleet: Fleet,
    now: Time,
    pending: Vec<(Time, FleetEvent)>,
    told: Vec<(u64, RuntimeEvent)>,
}

impl Yard {
    fn new(plan: &Plan) -> Yard {
        Yard { fleet: Fleet::new(plan), now: Time::ZERO, pending: Vec::new(), told: Vec::new() }
    }

    fn ask(&mut self, request: RuntimeRequest) {
        let mut out = Vec::new();
        self.fleet.ask(self.now, HOST, request, &mut out);
        self.take(out);
    }

    fn take(&mut self, out: Vec<Outcome>) {
        for outcome in out {
            match outcome {
                Outcome::Tell(event) => self.told.push((self.now.since(Time::ZERO).as_secs(), event)),
                Outcome::Later(at, event) => self.pending.push((at, event)),
            }
        }
    }

    fn run_until(&mut self, seconds: u64) {
        let end = Time::from_secs(seconds);
        while let Some(next) =
            (0..self.pending.len()).filter(|i| self.pending[*i].0 <= end).min_by_key(|i| self.pending[*i].0)
        {
            let (at, event) = self.pending.remove(next);
            self.now = at;
            let mut out = Vec::new();
            self.fleet.happen(at, HOST, event, &mut out);
            self.take(out);
        }
        self.now = end;
    }

    fn start(&mut self, pod: &Arc<Pod>, container: ContainerIndex, attempt: u32) {
        self.ask(RuntimeRequest::CreateSandbox { pod: pod.clone() });
        self.ask(RuntimeRequest::StartContainer { pod: pod.clone(), container, attempt, config: None });
    }

    fn stop(&mut self, pod: &Arc<Pod>, grace: u64) {
        let (pod, grace) = (pod.meta.uid, Span::from_secs(grace));
        self.ask(RuntimeRequest::StopContainer { pod, container: APP, attempt: 0, grace });
    }

    fn pull(&mut self, image: &str, policy: PullPolicy) {
        self.ask(RuntimeRequest::PullImage {
            pod: Uid::new(1),
            container: APP,
            image: image.into(),
            policy,
            secrets: Vec::new(),
        });
    }

    /// When containers ended, and how.
    fn exits(&self) -> Vec<(u64, i32)> {
        let exit = |(at, event): &(u64, RuntimeEvent)| match event {
            RuntimeEvent::ContainerExited { exit_code, .. } => Some((*at, *exit_code)),
            _ => None,
        };
        self.told.iter().filter_map(exit).collect()
    }
}

#[test]
fn a_container_starts_serves_and_then_costs_no_event() {
    let mut yard = Yard::new(&plan(behaviour()));
    let web = pod(1);
    yard.start(&web, APP, 0);
    yard.run_until(2);
    let kind = ProbeKind::Readiness;
    yard.ask(RuntimeRequest::Probe {
        pod: web.meta.uid,
        container: APP,
        attempt: 0,
        kind,
        probe: None,
        ticks_from: Time::ZERO,
    });
    yard.run_until(100);
    let (pod, container, attempt) = (web.meta.uid, APP, 0);
    let expected = [
        (0, RuntimeEvent::SandboxReady { pod, address: "10.0.0.2".into() }),
        (2, RuntimeEvent::ContainerStarted { pod, container, attempt, serves: false }),
        (7, RuntimeEvent::ProbeChanged { pod, container, attempt, kind, passing: true }),
    ];
    assert_eq!(yard.told, expected);
    assert_eq!(yard.pending, [], "a container that runs has nothing pending");
}

#[test]
fn a_container_that_needs_no_time_to_serve_says_so_with_its_start() {
    let unhealthy = HealthPlan { never_ready: true, ..HealthPlan::default() };
    for (delay, health, expected) in
        [(0, HealthPlan::default(), true), (1, HealthPlan::default(), false), (0, unhealthy, false)]
    {
        let readiness_delay = Delay::Constant(Span::from_secs(delay));
        let mut yard = Yard::new(&plan(Behaviour { readiness_delay, health, ..behaviour() }));
        yard.start(&pod(1), APP, 0);
        yard.run_until(10);
        let told = yard.told.iter().find_map(|(_, event)| match event {
            RuntimeEvent::ContainerStarted { serves, .. } => Some(*serves),
            _ => None,
        });
        assert_eq!(told, Some(expected), "after {delay} s");
    }
}

#[test]
fn term_ends_a_container_in_its_own_time_and_kill_ends_it_at_the_end_of_its_grace() {
    for (grace, expected) in [(30, (14, 0)), (3, (13, KILLED)), (0, (10, KILLED))] {
        let mut yard = Yard::new(&plan(behaviour()));
        let web = pod(1);
        yard.start(&web, APP, 0);
        yard.run_until(10);
        yard.stop(&web, grace);
        yard.run_until(100);
        assert_eq!(yard.exits(), [expected], "grace {grace}");
    }
}

#[test]
fn a_shorter_grace_brings_the_end_forward_and_a_longer_one_does_not_put_it_off() {
    let mut yard = Yard::new(&plan(Behaviour { stop_delay: Delay::Constant(Span::from_secs(60)), ..behaviour() }));
    let web = pod(1);
    yard.start(&web, APP, 0);
    yard.run_until(10);
    yard.stop(&web, 30);
    yard.run_until(12);
    yard.stop(&web, 3);
    yard.stop(&web, 40);
    yard.run_until(100);
    assert_eq!(yard.exits(), [(15, KILLED)]);
    yard.stop(&web, 30);
    assert_eq!(yard.exits().len(), 2, "asked again, it says again how it ended");
}

#[test]
fn a_script_says_how_each_start_ends_and_the_start_after_the_last_entry_runs_for_ever() {
    let crash = |seconds, code| ScriptedStart { run_time: Some(Delay::Constant(Span::from_secs(seconds))), code };
    let script = Exit::Script(vec![crash(3, 1), crash(5, 2)]);
    let mut yard = Yard::new(&plan(Behaviour { exit: script, start_delay: Delay::default(), ..behaviour() }));
    let web = pod(1);
    for attempt in 0..3 {
        yard.now = Time::from_secs(10 * u64::from(attempt));
        yard.start(&web, APP, attempt);
        yard.run_until(10 * u64::from(attempt) + 9);
    }
    assert_eq!(yard.exits(), [(3, 1), (15, 2)]);
    assert_eq!(yard.fleet.running_containers(), 1);
}

#[test]
fn an_init_container_without_a_run_time_ends_well_at_once() {
    let mut yard = Yard::new(&plan(behaviour()));
    yard.start(&pod(1), ContainerIndex::Init(0), 0);
    yard.run_until(100);
    assert_eq!(yard.exits(), [(2, 0)]);
}

#[test]
fn an_image_takes_its_transfer_once_and_pulls_wait_for_each_other() {
    let mut plan = plan(behaviour());
    plan.registry.images.insert("big".into(), Some(50_000_000));
    plan.registry.images.insert("gone:2".into(), None);
    plan.registry.default_size_bytes = 10_000_000;
    plan.registry.latency = Delay::Constant(Span::from_secs(1));
    let mut yard = Yard::new(&plan);
    yard.pull("big", PullPolicy::IfNotPresent);
    yard.pull("small", PullPolicy::IfNotPresent);
    yard.pull("gone:2", PullPolicy::Always);
    yard.pull("big", PullPolicy::Never);
    yard.run_until(20);
    yard.pull("big", PullPolicy::IfNotPresent);
    yard.pull("big", PullPolicy::Always);
    yard.run_until(30);
    let told: Vec<String> = yard
        .told
        .iter()
        .map(|(at, event)| match event {
            RuntimeEvent::ImageReady { already_present, .. } => format!("{at} ready, there before: {already_present}"),
            RuntimeEvent::ImageFailed { reason, .. } => format!("{at} {reason}"),
            other => format!("{at} {other:?}"),
        })
        .collect();
    let expected = [
        "0 ErrImageNeverPull",
        "1 ErrImagePull",
        "6 ready, there before: false",
        "7 ready, there before: false",
        "20 ready, there before: true",
        "21 ready, there before: false",
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_machine_that_loses_power_forgets_its_pods_and_keeps_its_images() {
    let mut yard = Yard::new(&plan(behaviour()));
    yard.pull("web:1", PullPolicy::IfNotPresent);
    yard.run_until(1);
    yard.start(&pod(1), APP, 0);
    yard.run_until(5);
    let before = yard.fleet.power_cycle(HOST);
    yard.fleet.power_off(HOST);
    assert_ne!(yard.fleet.power_cycle(HOST), before, "answers under way are void");
    yard.told.clear();
    yard.ask(RuntimeRequest::List);
    yard.pull("web:1", PullPolicy::IfNotPresent);
    assert_eq!(yard.told[0], (5, RuntimeEvent::Pods(Vec::new())));
    assert!(matches!(yard.told[1..], [(5, RuntimeEvent::ImageReady { already_present: true, .. })]), "{:?}", yard.told);
}

#[test]
fn addresses_are_unique_across_hosts_and_run_out() {
    let mut fleet = Fleet::new(&plan(behaviour()));
    let mut addresses = std::collections::BTreeSet::new();
    let (mut made, mut failed) = (0, 0);
    for (host, uid) in [HostId(0), HostId(1)].into_iter().flat_map(|host| (0..254).map(move |uid| (host, uid))) {
        let mut out = Vec::new();
        fleet.ask(Time::ZERO, host, RuntimeRequest::CreateSandbox { pod: pod(uid) }, &mut out);
        match &out[0] {
            Outcome::Tell(RuntimeEvent::SandboxReady { address, .. }) => {
                made += 1;
                assert!(addresses.insert(address.clone()), "{address} was given out twice");
            }
            Outcome::Tell(RuntimeEvent::SandboxFailed { .. }) => failed += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((made, failed), (2 * 253, 2), "a /24 without its network, gateway and broadcast addresses");
}

#[test]
fn the_address_of_a_removed_pod_is_given_out_again_when_its_turn_comes() {
    let mut fleet = Fleet::new(&plan(behaviour()));
    let ask = |fleet: &mut Fleet, request| {
        let mut out = Vec::new();
        fleet.ask(Time::ZERO, HOST, request, &mut out);
        match out.swap_remove(0) {
            Outcome::Tell(RuntimeEvent::SandboxReady { address, .. }) => address.to_string(),
            other => format!("{other:?}"),
        }
    };
    let create = |fleet: &mut Fleet, uid| ask(fleet, RuntimeRequest::CreateSandbox { pod: pod(uid) });
    assert_eq!(create(&mut fleet, 0), "10.0.0.2");
    assert_eq!(create(&mut fleet, 1), "10.0.0.3");
    assert_eq!(create(&mut fleet, 1), "10.0.0.3", "its sandbox is there");
    // The lower halves of these two uids are the same.
    let (one, other) = (7, 7 | 1 << 64);
    assert_eq!((create(&mut fleet, one), create(&mut fleet, other)), ("10.0.0.4".into(), "10.0.0.5".into()));
    ask(&mut fleet, RuntimeRequest::RemovePod { pod: Uid::new(other) });
    assert_eq!(create(&mut fleet, one), "10.0.0.4", "the other one is gone");
    ask(&mut fleet, RuntimeRequest::RemovePod { pod: Uid::new(0) });
    let next: Vec<String> = (10..259).map(|uid| create(&mut fleet, uid)).collect();
    assert_eq!((&*next[0], &*next[248]), ("10.0.0.6", "10.0.0.254"));
    assert_eq!(create(&mut fleet, 300), "10.0.0.2", "that of the removed pod, at the beginning again");
    assert_eq!(create(&mut fleet, 301), "10.0.0.5", "and that of the one with a twin");
    assert!(create(&mut fleet, 302).contains("no IP addresses available"));
    fleet.power_off(HOST);
    assert_eq!(create(&mut fleet, 303), "10.0.0.6");
}

#[test]
fn what_a_container_does_is_drawn_by_pod_and_attempt_alone() {
    let noisy = Behaviour {
        start_delay: Delay::Exponential { mean: Span::from_secs(5) },
        run_time: Some(Delay::Uniform { min: Span::from_secs(1), max: Span::from_secs(100) }),
        exit: Exit::Chance(vec![(0, 3), (1, 1)]),
        ..behaviour()
    };
    let behaviours = Behaviours::new(vec![noisy]);
    let mut bad = 0;
    for uid in 0..4_000 {
        let pod = pod(uid);
        let start = Start { seed: 3, meta: &pod.meta, spec: &pod.spec, container: APP, attempt: 0 };
        assert_eq!(start.end(&behaviours), start.end(&behaviours));
        bad += u32::from(start.end(&behaviours).is_some_and(|(_, code)| code == 1));
    }
    assert!((900..1_100).contains(&bad), "{bad} of 4000 ended badly at one in four");
}
