//! Stories of selection, hooks, outages, memory and disk on simulated machines.

use super::*;
use wavetank_core::config::{EvictionAmount, EvictionSignal};
use wavetank_core::kubelet::{ContainerUsage, HookKind, UsageLevels};
use wavetank_core::model::{EmptyDir, Hook, IntOrName, Medium, PodVolume, PodVolumeSource, ProbeAction};

use crate::plan::{Growth, HealthPlan, HookPlan, Outage, PressedResource, Usage, Which};

const MIB: u64 = 1 << 20;

fn growing(base: u64, grows_by: u64) -> Usage {
    let memory = Growth {
        base: base * MIB,
        grows_by: grows_by * MIB,
        every: Span::from_secs(1),
        up_to: None,
        spread_percent: 0,
    };
    Usage { memory: Some(memory), ..Usage::default() }
}

fn quick() -> Behaviour {
    Behaviour { start_delay: Delay::default(), readiness_delay: Delay::default(), ..behaviour() }
}

/// A pod with a memory limit and request in MiB; 0 is none.
fn with_memory(uid: u128, request: i64, limit: i64) -> Arc<Pod> {
    let list = |mib: i64| Resources { memory_bytes: mib << 20, ..Resources::default() };
    let app = Spec { name: "app".into(), requests: list(request), limits: list(limit), ..Spec::default() };
    let spec = PodSpec { containers: vec![app], ..PodSpec::default() };
    let meta = Meta { uid: Uid::new(uid), ..Meta::named("default", &format!("p{uid}")) }.into();
    Arc::new(Pod { meta, spec: Shared::new(spec), ..Pod::default() })
}

fn sized(mut plan: Plan, memory_mib: i64, disk: i64) -> Plan {
    for host in &mut plan.hosts {
        let mut boot = Boot::clone(&host.boot);
        boot.capacity = Resources { memory_bytes: memory_mib << 20, ephemeral_bytes: disk, ..Resources::default() };
        host.boot = Arc::new(boot);
    }
    plan.duration = Span::from_secs(10_000);
    plan
}

impl Yard {
    /// When containers of which pods were ended for their memory.
    fn out_of_memory(&self) -> Vec<(u64, u128)> {
        let end = |(at, event): &(u64, RuntimeEvent)| match event {
            RuntimeEvent::ContainerExited { pod, out_of_memory: true, exit_code: KILLED, .. } => {
                Some((*at, pod.bits()))
            }
            _ => None,
        };
        self.told.iter().filter_map(end).collect()
    }

    fn low(&self) -> Vec<u64> {
        self.told.iter().filter(|(_, event)| *event == RuntimeEvent::UsageLow).map(|(at, _)| *at).collect()
    }

    fn watch(&mut self, signal: EvictionSignal, level: i64) {
        let available = vec![(signal, EvictionAmount::Number(level))];
        self.ask(RuntimeRequest::WatchUsage(UsageLevels { available, imagefs_used_percent: 0 }));
    }

    fn press(&mut self, resource: PressedResource, used: u64) {
        let mut out = Vec::new();
        self.fleet.press(self.now, HOST, resource, used, true, &mut out);
        self.take(out);
    }
}

#[test]
fn a_container_that_grows_beyond_its_limit_is_killed_for_it() {
    let usage = growing(100, 10);
    let mut yard = Yard::new(&sized(plan(Behaviour { usage, ..quick() }), 100_000, 0));
    yard.start(&with_memory(1, 100, 300), APP, 0);
    yard.start(&with_memory(2, 100, 0), APP, 0);
    yard.run_until(1_000);
    // 300 MiB are reached after 20 s and exceeded in the next nanosecond or so.
    assert_eq!(yard.out_of_memory(), [(20, 1)]);
}

#[test]
fn a_machine_without_memory_ends_the_careless_first_and_only_as_many_as_it_must() {
    let mut yard = Yard::new(&sized(plan(Behaviour { usage: growing(0, 1), ..quick() }), 300, 0));
    yard.start(&with_memory(1, 200, 200), APP, 0);
    yard.start(&with_memory(2, 0, 0), APP, 0);
    yard.start(&with_memory(3, 100, 0), APP, 0);
    yard.run_until(101);
    assert_eq!(yard.out_of_memory(), [(100, 2)], "three times 100 MiB, and the one without requests goes");
    yard.run_until(149);
    assert_eq!(yard.out_of_memory().len(), 1);
    yard.run_until(151);
    assert_eq!(yard.out_of_memory(), [(100, 2), (150, 3)]);
}

#[test]
fn the_kubelet_is_told_once_when_less_is_left_than_it_wants() {
    let mut yard = Yard::new(&sized(plan(Behaviour { usage: growing(0, 1), ..quick() }), 300, 0));
    yard.watch(EvictionSignal::MemoryAvailable, 100 << 20);
    yard.start(&with_memory(1, 0, 0), APP, 0);
    yard.run_until(150);
    assert_eq!(yard.low(), [0; 0]);
    yard.run_until(250);
    assert_eq!(yard.low(), [200]);
    yard.ask(RuntimeRequest::Usage);
    let Some((_, RuntimeEvent::Usage(usage))) = yard.told.last() else { panic!("it does not answer") };
    assert_eq!((usage.memory.available, usage.pods[0].containers[0].memory_bytes), (50 << 20, 250 << 20));
    yard.watch(EvictionSignal::MemoryAvailable, 100 << 20);
    yard.run_until(251);
    assert_eq!(yard.low(), [200, 250], "asked again while it is so, it says so at once");
}

/// Writes to the volume `cache`, which lies in memory, with 100 MiB of its own.
fn with_memory_volume(uid: u128, limit: i64, size: Option<&str>) -> Arc<Pod> {
    let mut pod = Pod::clone(&with_memory(uid, 0, limit));
    let size_limit = size.map(|size| size.parse().expect("a quantity"));
    let source = PodVolumeSource::EmptyDir(EmptyDir { size_limit, medium: Medium::Memory });
    pod.spec.volumes = vec![PodVolume { name: "cache".into(), source }];
    Arc::new(pod)
}

#[test]
fn what_is_written_to_a_volume_in_memory_counts_as_the_containers_memory_and_is_full_at_its_size() {
    let of = |base: u64, grows_by: u64| Growth {
        base: base * MIB,
        grows_by: grows_by * MIB,
        every: Span::from_secs(1),
        up_to: None,
        spread_percent: 0,
    };
    let usage =
        Usage { memory: Some(of(100, 0)), disk: Some(of(0, 10)), disk_volume: "cache".into(), ..Usage::default() };
    let run = |limit, size, until| {
        let mut yard = Yard::new(&sized(plan(Behaviour { usage: usage.clone(), ..quick() }), 2_000, 1_000_000));
        yard.ask(RuntimeRequest::WatchUsage(UsageLevels::default()));
        yard.start(&with_memory_volume(1, limit, size), APP, 0);
        yard.run_until(until);
        yard.ask(RuntimeRequest::Usage);
        let Some((_, RuntimeEvent::Usage(usage))) = yard.told.last() else { panic!("it does not answer") };
        let of = |it: &ContainerUsage| (it.memory_bytes >> 20, it.disk_bytes, it.volume.to_string());
        let used: Vec<_> = usage.pods.iter().flat_map(|pod| pod.containers.iter().map(of)).collect();
        let left = (usage.memory.available >> 20, usage.nodefs.available);
        (used, left, yard.out_of_memory(), yard.low())
    };
    let none: [u64; 0] = [];
    let (used, left, killed, low) = run(0, None, 50);
    assert_eq!((used, left), (vec![(600, 0, String::new())], (1_400, 1_000_000)), "no disk is used");
    assert_eq!((killed, low), (vec![], none.to_vec()));
    let (used, _, killed, low) = run(0, Some("200Mi"), 50);
    assert_eq!(used, [(300, 0, String::new())], "more than its size does not fit");
    assert_eq!((killed, low), (vec![], none.to_vec()), "so that nobody is evicted for it");
    let (_, _, killed, _) = run(400, None, 50);
    assert_eq!(killed, [(30, 1)], "the container's limit counts both");
    let (used, left, _, _) = run(400, None, 50);
    // A few bytes more than 300 MiB were written when it was ended.
    assert_eq!((used, left.0), (vec![(300, 0, String::new())], 1_699), "what was written outlives the container");
}

#[test]
fn what_is_written_to_a_volume_stays_when_its_container_is_started_again_and_has_a_limit_of_its_own() {
    let disk = Growth { base: 10, grows_by: 10, every: Span::from_secs(1), up_to: None, spread_percent: 0 };
    let usage = Usage { disk: Some(disk), disk_volume: "cache".into(), ..Usage::default() };
    let run_time = Some(Delay::Constant(Span::from_secs(10)));
    let mut yard = Yard::new(&sized(plan(Behaviour { usage, run_time, ..quick() }), 300, 100_000));
    let volume = |name: &str, limit: Option<&str>| PodVolume {
        name: name.into(),
        source: PodVolumeSource::EmptyDir(EmptyDir {
            size_limit: limit.map(|limit| limit.parse().expect("a quantity")),
            ..EmptyDir::default()
        }),
    };
    let mut with_cache = Pod::clone(&with_memory(1, 0, 0));
    with_cache.spec.volumes = vec![volume("other", Some("1")), volume("cache", Some("200"))];
    let with_cache = Arc::new(with_cache);
    yard.ask(RuntimeRequest::WatchUsage(UsageLevels::default()));
    yard.start(&with_cache, APP, 0);
    yard.run_until(15);
    let used = |yard: &mut Yard| {
        yard.ask(RuntimeRequest::Usage);
        let Some((_, RuntimeEvent::Usage(usage))) = yard.told.last() else { panic!("it does not answer") };
        let of = |it: &ContainerUsage| (it.volume.to_string(), it.disk_bytes);
        usage.pods.iter().flat_map(|pod| pod.containers.iter().map(of)).collect::<Vec<_>>()
    };
    assert_eq!(used(&mut yard), [("cache".to_owned(), 110)], "it has ended after ten seconds");
    assert_eq!(yard.low(), [0; 0]);
    yard.start(&with_cache, APP, 1);
    yard.run_until(23);
    assert_eq!(used(&mut yard), [("cache".to_owned(), 200)], "a hundred and ten, ten and eighty");
    assert_eq!(yard.low(), [0; 0]);
    yard.run_until(24);
    assert_eq!(yard.low().len(), 1, "its limit is exceeded");
    // A pod without such a volume writes to its own layer.
    let plain = with_memory(2, 0, 0);
    yard.start(&plain, APP, 0);
    yard.run_until(25);
    assert!(used(&mut yard).contains(&(String::new(), 20)), "{:?}", used(&mut yard));
}

#[test]
fn what_is_no_pod_can_use_a_machine_up_without_end() {
    let mut yard = Yard::new(&sized(plan(quick()), 300, 1_000));
    yard.watch(EvictionSignal::MemoryAvailable, 100 << 20);
    yard.press(PressedResource::Memory, 500 * MIB);
    yard.run_until(10);
    assert_eq!((yard.low(), yard.out_of_memory()), (vec![0], vec![]), "nobody is there to be ended");
    yard.watch(EvictionSignal::NodeFsAvailable, 100);
    yard.press(PressedResource::NodeFilesystem, 950);
    yard.run_until(20);
    assert_eq!(yard.low(), [0, 10]);
}

#[test]
fn images_fill_their_file_system_and_leave_it_when_they_are_removed() {
    let mut plan = sized(plan(quick()), 300, 0);
    plan.registry.default_size_bytes = 40;
    plan.hosts[0].image_filesystem_bytes = Some(100);
    let mut yard = Yard::new(&plan);
    yard.ask(RuntimeRequest::WatchUsage(UsageLevels { available: Vec::new(), imagefs_used_percent: 80 }));
    yard.pull("one", PullPolicy::IfNotPresent);
    yard.run_until(5);
    assert_eq!(yard.low(), [0; 0]);
    yard.pull("two", PullPolicy::IfNotPresent);
    yard.run_until(10);
    assert_eq!(yard.low(), [5]);
    yard.ask(RuntimeRequest::RemoveImages(vec!["one".into()]));
    yard.ask(RuntimeRequest::Usage);
    let Some((_, RuntimeEvent::Usage(usage))) = yard.told.last() else { panic!("it does not answer") };
    let left: Vec<&str> = usage.images.iter().map(|image| &*image.image).collect();
    assert_eq!((left, usage.imagefs.available), (vec!["two"], 60));
    yard.pull("one", PullPolicy::Never);
    assert!(matches!(yard.told.last(), Some((_, RuntimeEvent::ImageFailed { .. }))), "it is gone");
}

#[test]
fn pods_are_told_apart_by_their_order_their_ordinal_and_their_start() {
    let script = |which: Which, code| Behaviour {
        which,
        run_time: Some(Delay::Constant(Span::from_secs(1))),
        exit: Exit::Code(code),
        ..quick()
    };
    let mut plan = plan(quick());
    plan.behaviours = vec![
        script(Which { replicas: vec![2], on_starts: vec![3], ..Which::default() }, 7),
        script(Which { ordinals: vec![5], ..Which::default() }, 8),
        quick(),
    ];
    let mut yard = Yard::new(&plan);
    let named = |uid: u128, name: &str| {
        let mut pod = Pod::clone(&pod(uid));
        pod.meta.name = name.into();
        Arc::new(pod)
    };
    let pods = [named(1, "web-a"), named(2, "web-b"), named(3, "db-5"), named(4, "web-c")];
    for (attempt, pod) in (0..3).flat_map(|attempt| pods.iter().map(move |pod| (attempt, pod))) {
        yard.start(pod, APP, attempt);
        yard.run_until(10 * u64::from(attempt + 1));
    }
    yard.run_until(100);
    let ends: Vec<(u128, u32, i32)> = yard
        .told
        .iter()
        .filter_map(|(_, event)| match event {
            RuntimeEvent::ContainerExited { pod, attempt, exit_code, .. } => Some((pod.bits(), *attempt, *exit_code)),
            _ => None,
        })
        .collect();
    assert_eq!(ends, [(3, 0, 8), (3, 1, 8), (2, 2, 7), (3, 2, 8)]);
}

#[test]
fn hooks_take_their_time_within_the_limit() {
    let hooks = HookPlan {
        post_start: Delay::Constant(Span::from_secs(3)),
        post_start_fails: true,
        pre_stop: Delay::Constant(Span::from_secs(9)),
    };
    let mut yard = Yard::new(&plan(Behaviour { hooks, ..quick() }));
    let web = pod(1);
    yard.start(&web, APP, 0);
    yard.run_until(10);
    let exec = Hook::Exec { command: vec!["/hook".into()] };
    let sleep = Hook::Sleep { length: Span::from_secs(5) };
    let asked = [
        (HookKind::PostStart, exec.clone(), None),
        (HookKind::PreStop, exec, Some(Span::from_secs(4))),
        (HookKind::PreStop, sleep, Some(Span::from_secs(30))),
    ];
    for (kind, hook, limit) in asked {
        yard.ask(RuntimeRequest::RunHook {
            pod: Uid::new(1),
            container: APP,
            attempt: 0,
            kind,
            hook: Box::new(hook),
            limit,
        });
    }
    yard.run_until(100);
    let ended: Vec<(u64, bool)> = yard
        .told
        .iter()
        .filter_map(|(at, event)| match event {
            RuntimeEvent::HookEnded { error, .. } => Some((*at, error.is_empty())),
            _ => None,
        })
        .collect();
    assert_eq!(ended, [(13, false), (14, false), (15, true)]);
}

#[test]
fn an_outage_fails_the_liveness_probe_only_if_the_container_is_dead() {
    let outage = |readiness_only| Outage { from: Span::from_secs(30), to: Some(Span::from_secs(60)), readiness_only };
    for (readiness_only, expected) in [(true, vec![(0, true)]), (false, vec![(0, true), (50, false), (60, true)])] {
        let health = HealthPlan { outages: vec![outage(readiness_only)], ..HealthPlan::default() };
        let mut yard = Yard::new(&plan(Behaviour { health, ..quick() }));
        yard.start(&pod(1), APP, 0);
        yard.run_until(0);
        let probe = Probe {
            action: ProbeAction::TcpSocket { port: IntOrName::Int(80) },
            initial_delay: Span::ZERO,
            period: Span::from_secs(10),
            timeout: Span::from_secs(1),
            success_threshold: 1,
            failure_threshold: 3,
            termination_grace: None,
        };
        for kind in [ProbeKind::Readiness, ProbeKind::Liveness] {
            let probe = Some(probe.clone());
            yard.ask(RuntimeRequest::Probe {
                pod: Uid::new(1),
                container: APP,
                attempt: 0,
                kind,
                probe: probe.map(Box::new),
                ticks_from: Time::ZERO,
            });
        }
        yard.run_until(200);
        let told = |wanted: ProbeKind| -> Vec<(u64, bool)> {
            let result = |(at, event): &(u64, RuntimeEvent)| match event {
                RuntimeEvent::ProbeChanged { kind, passing, .. } if *kind == wanted => Some((*at, *passing)),
                _ => None,
            };
            yard.told.iter().filter_map(result).collect()
        };
        assert_eq!(told(ProbeKind::Readiness), [(0, true), (50, false), (60, true)]);
        assert_eq!(told(ProbeKind::Liveness), expected);
    }
}

#[test]
fn a_container_that_cannot_be_started_says_why() {
    let start_error: Option<Name> = Some("exec: \"/app\": no such file".into());
    let mut yard =
        Yard::new(&plan(Behaviour { health: HealthPlan { start_error, ..HealthPlan::default() }, ..quick() }));
    yard.start(&pod(1), APP, 0);
    yard.run_until(1);
    let failed = yard.told.iter().find_map(|(_, event)| match event {
        RuntimeEvent::ContainerFailed { reason, message, .. } => Some((reason.to_string(), message.to_string())),
        _ => None,
    });
    assert_eq!(failed, Some(("RunContainerError".to_owned(), "exec: \"/app\": no such file".to_owned())));
    assert_eq!(yard.fleet.running_containers(), 0);
}
