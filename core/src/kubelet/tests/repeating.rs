//! What is said again and again: tries of probes that fail, and syncs that find a container in its back-off.

use super::node::tell;
use super::*;
use crate::kubelet::{ContainerIndex, FailedTries, ProbeFailure, ProbeKind};

/// How often an event was said of the pod as far as it was written, and when for the first and the last time, in
/// seconds; of each event with this reason whose message begins so.
fn counts(bed: &Testbed, reason: &str, begins: &str) -> Vec<(u32, u64, u64)> {
    let said = bed.said_by_now();
    let wanted = said.all().iter().filter(|it| it.reason == reason && it.message.starts_with(begins));
    wanted.map(|it| (it.count, it.first.since(Time::ZERO).as_secs(), it.last.since(Time::ZERO).as_secs())).collect()
}

/// A pod whose container has these probes of the runtime's own; it runs from half a second on.
fn probed(kinds: &[ProbeKind], runtime: FakeRuntime) -> Testbed {
    let ten = Probe { period: Span::from_secs(10), failure_threshold: 3, ..probe() };
    let of = |kind| kinds.contains(&kind).then(|| ten.clone());
    let app = Container {
        readiness_probe: of(ProbeKind::Readiness),
        liveness_probe: of(ProbeKind::Liveness),
        startup_probe: of(ProbeKind::Startup),
        ..container("app")
    };
    let mut bed = bed(FakeRuntime { ready: None, ..runtime });
    create(&mut bed, "web", PodSpec { containers: vec![app], ..PodSpec::default() });
    bed.run_until(Time::from_secs(1));
    bed
}

/// The runtime tells that tries fail from now on, for so many seconds or for ever.
fn fail(bed: &mut Testbed, attempt: u32, kind: ProbeKind, seconds: Option<u64>) {
    let (pod, container) = (pod(bed, "web").meta.uid, ContainerIndex::Main(0));
    let until = Some(seconds.map_or(Time::FAR_FUTURE, |seconds| bed.now() + Span::from_secs(seconds)));
    let tries = Box::new(FailedTries { how: ProbeFailure::Refused, until });
    tell(bed, RuntimeEvent::ProbeFailed { pod, container, attempt, kind, tries });
    bed.run_for(Span::ZERO);
}

fn result(bed: &mut Testbed, attempt: u32, kind: ProbeKind, passing: bool) {
    let (pod, container) = (pod(bed, "web").meta.uid, ContainerIndex::Main(0));
    tell(bed, RuntimeEvent::ProbeChanged { pod, container, attempt, kind, passing });
}

#[test]
fn a_crash_loop_says_at_each_sync_that_it_backs_off_until_that_is_spam() {
    let runtime = FakeRuntime { start: Span::ZERO, ..FakeRuntime::new() }.with_exits("app", &[(Span::ZERO, 1)]);
    let mut bed = bed(runtime);
    create(&mut bed, "web", spec(&["app"]));
    // It starts at 0, 0, 10, 30, 70, 150 and 310 s, and ends at once; a sync at its start finds it no more held back.
    for (at, count, last) in [(9, 1, 0), (19, 2, 10), (29, 3, 20), (69, 7, 60), (149, 15, 140), (249, 25, 240)] {
        bed.run_until(Time::from_secs(at));
        assert_eq!(counts(&bed, "BackOff", ""), [(count, 0, last)], "at {at} s");
    }
    bed.run_until(Time::from_secs(299));
    assert_eq!(counts(&bed, "BackOff", ""), [(25, 0, 240)], "what is spam is counted and not written");
    bed.run_until(Time::from_secs(305));
    assert_eq!(counts(&bed, "BackOff", ""), [(31, 0, 300)], "one more after five minutes");
}

#[test]
fn syncs_say_that_a_pull_is_held_back() {
    let mut bed = bed(FakeRuntime::new().with_image("app:1", Image::Missing));
    create(&mut bed, "web", spec(&["app"]));
    // Pulls at 0, 11, 31, 71 and 151 s.
    for (at, count, last) in [(10, 1, 1), (30, 2, 21), (70, 5, 61), (150, 12, 141), (235, 20, 231)] {
        bed.run_until(Time::from_secs(at));
        assert_eq!(counts(&bed, "BackOff", "Back-off pulling image"), [(count, 1, last)], "at {at} s");
    }
    assert_eq!(counts(&bed, "Pulling", ""), [(5, 0, 151)]);
    // Two more warnings than that come of each pull: the 25th thing that is amiss is said at 181 s.
    assert_eq!(counts(&bed, "Failed", "Error: ErrImagePull"), [(5, 0, 151)]);
    assert_eq!(counts(&bed, "Failed", "Error: ImagePullBackOff"), [(15, 1, 181)]);
    bed.run_until(Time::from_secs(305));
    assert_eq!(counts(&bed, "Failed", "Error: ImagePullBackOff"), [(27, 1, 301)]);
}

#[test]
fn a_wait_that_ends_early_is_said_no_more() {
    let mut bed = bed(FakeRuntime::new().with_image("app:1", Image::Missing));
    create(&mut bed, "web", spec(&["app"]));
    bed.run_until(Time::from_secs(95));
    assert_eq!(counts(&bed, "BackOff", ""), [(7, 1, 91)]);
    let patch = crate::api::Patch::Image { container: "app".into(), image: "app:2".into() };
    bed.request(Request::Patch { key: ObjectKey::new(Kind::Pod, "default", "web"), patch });
    bed.run_until(Time::from_secs(200));
    assert!(pod(&bed, "web").is_ready());
    assert_eq!(counts(&bed, "BackOff", ""), [(7, 1, 91)]);
    assert_eq!(counts(&bed, "Failed", "Error: ImagePullBackOff"), [(7, 1, 91)]);
    // The end of the pod.
    let runtime = FakeRuntime { start: Span::ZERO, ..FakeRuntime::new() }.with_exits("app", &[(Span::ZERO, 1)]);
    let mut bed = self::bed(runtime);
    create(&mut bed, "web", spec(&["app"]));
    bed.run_until(Time::from_secs(105));
    delete(&mut bed, "web", None);
    bed.run_until(Time::from_secs(300));
    assert_eq!(counts(&bed, "BackOff", ""), [(11, 0, 100)]);
}

#[test]
fn a_sync_for_one_container_finds_the_others_held_back() {
    let forty = Span::from_secs(40);
    let runtime = FakeRuntime { start: Span::ZERO, ..FakeRuntime::new() };
    let runtime =
        runtime.with_exits("app", &[(Span::ZERO, 1)]).with_exits("side", &[(Span::from_secs(34), 0), (forty, 0)]);
    let mut bed = bed(runtime);
    create(&mut bed, "web", spec(&["app", "side"]));
    // At 30 s the one container waits for 40 s; at 34 s the other one ends and is started again at once.
    bed.run_until(Time::from_secs(69));
    assert_eq!(counts(&bed, "BackOff", ""), [(8, 0, 64)], "at 0, 10, 20, 30, 34, 44, 54 and 64 s");
}

#[test]
fn a_readiness_probe_that_never_passes_is_told_of_at_each_try() {
    let mut bed = probed(&[ProbeKind::Readiness], FakeRuntime::new());
    fail(&mut bed, 0, ProbeKind::Readiness, None);
    bed.run_until(Time::from_secs(21));
    result(&mut bed, 0, ProbeKind::Readiness, false);
    let address = pod(&bed, "web").status.pod_ip.clone().unwrap();
    let message = format!("Readiness probe failed: dial tcp {address}:80: connect: connection refused");
    for (at, count, last) in
        [(21, 3, 21), (200, 20, 191), (250, 25, 241), (300, 25, 241), (305, 31, 301), (600, 31, 301)]
    {
        bed.run_until(Time::from_secs(at));
        assert_eq!(counts(&bed, "Unhealthy", &message), [(count, 1, last)], "at {at} s");
    }
    bed.run_until(Time::from_secs(605));
    assert_eq!(counts(&bed, "Unhealthy", &message), [(61, 1, 601)]);
    assert_eq!(times(&bed, "web", "Unhealthy"), ["21s"], "the result has changed once");
}

#[test]
fn a_container_that_fails_its_liveness_probe_is_killed_after_it_was_told_of_each_try() {
    let mut bed = probed(&[ProbeKind::Liveness], FakeRuntime { stop: Span::from_secs(15), ..FakeRuntime::new() });
    bed.run_until(Time::from_secs(5));
    fail(&mut bed, 0, ProbeKind::Liveness, Some(20));
    bed.run_until(Time::from_secs(25));
    result(&mut bed, 0, ProbeKind::Liveness, false);
    bed.run_until(Time::from_secs(100));
    assert_eq!(counts(&bed, "Unhealthy", "Liveness probe failed: "), [(3, 5, 25)]);
    assert_eq!(counts(&bed, "Killing", "Container app failed liveness probe, will be restarted"), [(1, 25, 25)]);
    assert_eq!(times(&bed, "web", "Started"), ["0.5s", "40.5s"]);
}

#[test]
fn failures_that_change_nothing_are_told_of() {
    let mut bed = probed(&[ProbeKind::Readiness], FakeRuntime::new());
    result(&mut bed, 0, ProbeKind::Readiness, true);
    bed.run_until(Time::from_secs(30));
    fail(&mut bed, 0, ProbeKind::Readiness, Some(10));
    bed.run_until(Time::from_secs(100));
    assert_eq!(counts(&bed, "Unhealthy", "Readiness probe failed: "), [(2, 30, 40)]);
    assert_eq!(times(&bed, "web", "Unhealthy"), [""; 0]);
    assert!(pod(&bed, "web").is_ready());
}

#[test]
fn a_startup_probe_is_told_of_and_others_only_after_it_has_passed() {
    let kinds = [ProbeKind::Startup, ProbeKind::Liveness, ProbeKind::Readiness];
    let mut bed = probed(&kinds, FakeRuntime::new());
    fail(&mut bed, 0, ProbeKind::Startup, Some(10));
    fail(&mut bed, 0, ProbeKind::Liveness, None);
    fail(&mut bed, 0, ProbeKind::Readiness, None);
    bed.run_until(Time::from_secs(21));
    result(&mut bed, 0, ProbeKind::Startup, true);
    bed.run_until(Time::from_secs(22));
    fail(&mut bed, 0, ProbeKind::Startup, None);
    fail(&mut bed, 0, ProbeKind::Readiness, Some(10));
    bed.run_until(Time::from_secs(100));
    assert_eq!(counts(&bed, "Unhealthy", "Startup probe failed: "), [(2, 1, 11)]);
    assert_eq!(counts(&bed, "Unhealthy", "Liveness"), []);
    assert_eq!(counts(&bed, "Unhealthy", "Readiness probe failed: "), [(2, 22, 32)]);
}

#[test]
fn a_container_that_ends_is_not_tried_any_more() {
    let exits = [(Span::from_millis(35_500), 1), (Span::from_secs(1_000), 0)];
    let mut bed = probed(&[ProbeKind::Readiness], FakeRuntime::new().with_exits("app", &exits));
    fail(&mut bed, 0, ProbeKind::Readiness, None);
    bed.run_until(Time::from_secs(60));
    assert_eq!(counts(&bed, "Unhealthy", ""), [(4, 1, 31)]);
    fail(&mut bed, 1, ProbeKind::Readiness, Some(20));
    bed.run_until(Time::from_secs(100));
    assert_eq!(counts(&bed, "Unhealthy", ""), [(7, 1, 80)], "the next start goes on with the count");
}

#[test]
fn a_pod_that_is_deleted_is_asked_for_its_readiness_alone() {
    let kinds = [ProbeKind::Liveness, ProbeKind::Readiness];
    let mut bed = probed(&kinds, FakeRuntime { stop: Span::from_secs(20), ..FakeRuntime::new() });
    for kind in kinds {
        fail(&mut bed, 0, kind, None);
    }
    bed.run_until(Time::from_secs(25));
    delete(&mut bed, "web", None);
    bed.run_until(Time::from_secs(30));
    fail(&mut bed, 0, ProbeKind::Liveness, None);
    bed.run_until(Time::from_secs(100));
    assert_eq!(times(&bed, "web", "Deleted").len(), 1);
    assert_eq!(counts(&bed, "Unhealthy", "Liveness"), [(3, 1, 21)]);
    assert_eq!(counts(&bed, "Unhealthy", "Readiness"), [(5, 1, 41)]);
}

#[test]
fn a_kubelet_that_has_died_says_nothing_and_forgets_what_it_has_said() {
    let mut bed = probed(&[ProbeKind::Readiness], FakeRuntime::new().with_image("late:1", Image::Missing));
    create(&mut bed, "late", spec(&["late"]));
    fail(&mut bed, 0, ProbeKind::Readiness, None);
    bed.run_until(Time::from_secs(90));
    assert_eq!(counts(&bed, "Unhealthy", ""), [(9, 1, 81)]);
    assert_eq!(counts(&bed, "BackOff", ""), [(6, 2, 82)]);
    bed.input(Input::Crashed(kubelet()));
    bed.run_until(Time::from_secs(130));
    bed.input(Input::Started(kubelet()));
    bed.run_until(Time::from_secs(140));
    fail(&mut bed, 0, ProbeKind::Readiness, Some(30));
    bed.run_until(Time::from_secs(145));
    assert_eq!(counts(&bed, "Unhealthy", ""), [(9, 1, 81), (1, 140, 140)]);
    bed.run_until(Time::from_secs(200));
    assert_eq!(counts(&bed, "Unhealthy", ""), [(9, 1, 81), (4, 140, 170)]);
    assert_eq!(counts(&bed, "BackOff", "")[0], (6, 2, 82));
    assert_eq!(counts(&bed, "BackOff", "").len(), 2);
}
