//! Containers that the kubelet kills to start them again, and what is said meanwhile.

use super::node::tell;
use super::*;
use crate::api::Patch;
use crate::config::ShutdownConfig;
use crate::kubelet::{ContainerIndex, ProbeKind, RuntimeRequest};

use RestartPolicy::{Always, Never, OnFailure};

fn set_image(bed: &mut Testbed, container: &str, image: &str) {
    let patch = Patch::Image { container: container.into(), image: image.into() };
    bed.request(Request::Patch { key: ObjectKey::new(Kind::Pod, "default", "web"), patch });
}

/// The starts that the runtime was asked for: container, attempt and image.
fn starts(bed: &Testbed) -> Vec<String> {
    let of = |body: &Msg| match body {
        Msg::Runtime(RuntimeRequest::StartContainer { pod, container, attempt, .. }) => {
            let container = match container {
                ContainerIndex::Init(number) => &pod.spec.init_containers[usize::from(*number)],
                ContainerIndex::Main(number) => &pod.spec.containers[usize::from(*number)],
            };
            Some(format!("{} {attempt} {}", container.name, container.image))
        }
        _ => None,
    };
    bed.to_runtimes.iter().filter_map(|(_, _, body)| of(body)).collect()
}

fn sidecar(name: &str) -> Container {
    Container { sidecar: true, ..container(name) }
}

#[test]
fn a_kubelet_tells_at_once_that_it_has_seen_a_new_spec_and_of_a_deletion_with_what_it_tells_next() {
    let mut bed = bed(FakeRuntime { ready: Some(Span::ZERO), stop: Span::from_secs(5), ..FakeRuntime::new() });
    create(&mut bed, "web", spec(&["app"]));
    let observed = |bed: &Testbed| (pod(bed, "web").meta.generation, pod(bed, "web").status.observed_generation);
    bed.run_until(Time::from_millis(1));
    assert_eq!(observed(&bed), (1, 1));
    bed.runtime.as_mut().unwrap().images.insert("app:2".into(), Image::Remote(Span::from_secs(5)));
    bed.run_until(Time::from_secs(10));
    set_image(&mut bed, "app", "app:2");
    bed.run_until(Time::from_millis(10_001));
    assert_eq!(observed(&bed), (2, 2), "the image is still being pulled");
    bed.run_until(Time::from_secs(30));
    delete(&mut bed, "web", None);
    bed.run_until(Time::from_millis(30_001));
    let revision = bed.core.revision();
    bed.run_until(Time::from_secs(34));
    assert_eq!((observed(&bed), bed.core.revision()), ((3, 2), revision), "nothing is written for that alone");
}

#[test]
fn a_container_whose_image_is_changed_is_replaced_whatever_the_policy() {
    for policy in [Always, OnFailure, Never] {
        for stop_code in [0, 143] {
            let mut bed = bed(FakeRuntime { stop_code, ..FakeRuntime::new() });
            let init_containers = vec![container("once"), sidecar("side")];
            bed.runtime.as_mut().unwrap().exits.insert("once".into(), vec![(Span::from_secs(1), 0)]);
            create(&mut bed, "web", PodSpec { restart_policy: policy, init_containers, ..spec(&["app", "other"]) });
            bed.run_until(Time::from_secs(10));
            assert!(pod(&bed, "web").is_ready());
            bed.runtime.as_mut().unwrap().images.insert("app:2".into(), Image::Remote(Span::from_secs(5)));
            set_image(&mut bed, "app", "app:2");
            set_image(&mut bed, "once", "once:2");
            bed.run_until(Time::from_secs(40));
            let story = format!("{policy:?}, exit code {stop_code}");
            let first = ["once 0 once:1", "side 0 side:1", "app 0 app:1", "other 0 other:1"];
            assert_eq!(starts(&bed), [&first[..], &["app 1 app:2"]].concat(), "{story}");
            let web = pod(&bed, "web");
            assert!(web.is_ready() && web.status.phase == Phase::Running, "{story}: {:?}", web.status);
            assert_eq!(web.status.containers[0].restarts, 1, "{story}");
            for reason in ["Failed", "Succeeded"] {
                assert_eq!(times(&bed, "web", reason), Vec::<String>::new(), "{story}: it was no end of the pod");
            }
            assert_eq!(bed.times_said("Container app definition changed, will be restarted"), 1, "{story}");
            set_image(&mut bed, "side", "side:2");
            bed.run_until(Time::from_secs(60));
            assert_eq!(starts(&bed).last().unwrap(), "side 1 side:2", "{story}");
            assert_eq!(bed.times_said("Init container side definition changed"), 1, "{story}");
        }
    }
}

#[test]
fn a_start_that_is_under_way_goes_on_with_the_image_that_it_has_begun_with() {
    let mut bed = bed(FakeRuntime::new().with_image("app:1", Image::Remote(Span::from_secs(10))));
    create(&mut bed, "web", spec(&["app"]));
    bed.run_until(Time::from_secs(2));
    set_image(&mut bed, "app", "app:2");
    bed.run_until(Time::from_secs(4));
    set_image(&mut bed, "app", "app:3");
    bed.run_until(Time::from_secs(30));
    assert_eq!(starts(&bed), ["app 0 app:1", "app 1 app:3"]);
    // There and back again before anything was started anew.
    let mut bed = self::bed(FakeRuntime::new().with_image("app:1", Image::Remote(Span::from_secs(10))));
    create(&mut bed, "web", spec(&["app"]));
    bed.run_until(Time::from_secs(2));
    set_image(&mut bed, "app", "app:2");
    bed.run_until(Time::from_secs(4));
    set_image(&mut bed, "app", "app:1");
    bed.run_until(Time::from_secs(30));
    assert_eq!(starts(&bed), ["app 0 app:1"]);
}

#[test]
fn a_replacement_that_cannot_be_started_is_tried_again_only_if_the_policy_says_so() {
    for (policy, phase) in [(Always, Phase::Running), (OnFailure, Phase::Running), (Never, Phase::Failed)] {
        let mut bed = bed(FakeRuntime::new().with_image("app:2", Image::Missing));
        create(&mut bed, "web", PodSpec { restart_policy: policy, ..spec(&["app"]) });
        bed.run_until(Time::from_secs(10));
        set_image(&mut bed, "app", "app:2");
        bed.run_until(Time::from_secs(100));
        assert_eq!(pod(&bed, "web").status.phase, phase, "{policy:?}");
        let pulls = times(&bed, "web", "PullFailed").len();
        assert_eq!(pulls == 1, policy == Never, "{policy:?}: {pulls}");
    }
}

#[test]
fn a_container_killed_for_its_probe_starts_again_even_if_it_ends_well() {
    for (policy, restarts, phase) in
        [(Always, true, Phase::Running), (OnFailure, true, Phase::Running), (Never, false, Phase::Succeeded)]
    {
        let mut runtime = FakeRuntime { stop_code: 0, ..FakeRuntime::new() };
        runtime.dead_after.insert("app".into(), Span::from_secs(3));
        let mut bed = bed(runtime);
        let app = Container { liveness_probe: Some(probe()), ..container("app") };
        create(&mut bed, "web", PodSpec { restart_policy: policy, containers: vec![app], ..PodSpec::default() });
        bed.run_until(Time::from_secs(7));
        assert_eq!(pod(&bed, "web").status.phase, phase, "{policy:?}");
        assert_eq!(times(&bed, "web", "Started").len() == 2, restarts, "{policy:?}");
    }
}

/// A probe of the pod's only container has a result.
fn decide(bed: &mut Testbed, attempt: u32, kind: ProbeKind, passing: bool) {
    let (pod, container) = (pod(bed, "web").meta.uid, ContainerIndex::Main(0));
    tell(bed, RuntimeEvent::ProbeChanged { pod, container, attempt, kind, passing });
    bed.run_for(Span::from_millis(100));
}

/// Which probes the runtime was asked to run: kind and attempt.
fn probed(bed: &Testbed) -> Vec<String> {
    let of = |body: &Msg| match body {
        Msg::Runtime(RuntimeRequest::Probe { attempt, kind, .. }) => Some(format!("{kind:?} {attempt}")),
        _ => None,
    };
    bed.to_runtimes.iter().filter_map(|(_, _, body)| of(body)).collect()
}

#[test]
fn a_probe_that_has_decided_is_on_hold_until_the_container_is_another_one() {
    use ProbeKind::{Liveness, Startup};
    let probed_by = |startup: bool, liveness: bool| Container {
        startup_probe: startup.then(probe),
        liveness_probe: liveness.then(probe),
        ..container("app")
    };
    let runtime = || FakeRuntime { ready: None, stop: Span::from_secs(3), ..FakeRuntime::new() };
    // A startup probe that has failed: what it says while its container ends is not heard.
    let mut bed = bed(runtime());
    create(&mut bed, "web", PodSpec { containers: vec![probed_by(true, false)], ..PodSpec::default() });
    bed.run_until(Time::from_secs(2));
    decide(&mut bed, 0, Startup, false);
    assert_eq!(bed.times_said("Container app failed startup probe, will be restarted"), 1);
    decide(&mut bed, 0, Startup, true);
    decide(&mut bed, 0, Startup, false);
    assert_eq!(probed(&bed), ["Startup 0"], "the container has not started up");
    assert_eq!(times(&bed, "web", "Unhealthy").len(), 1);
    bed.run_until(Time::from_secs(10));
    decide(&mut bed, 1, Startup, true);
    assert_eq!(probed(&bed), ["Startup 0", "Startup 1", "Readiness 1"], "the next container starts from the beginning");
    assert!(pod(&bed, "web").status.containers[0].started);
    // Nothing is heard of it any more either once it has succeeded.
    decide(&mut bed, 1, Startup, false);
    bed.run_until(Time::from_secs(20));
    assert_eq!(times(&bed, "web", "Killing").len(), 1);
    // A liveness probe that has failed.
    let mut bed = self::bed(runtime());
    create(&mut bed, "web", PodSpec { containers: vec![probed_by(false, true)], ..PodSpec::default() });
    bed.run_until(Time::from_secs(2));
    decide(&mut bed, 0, Liveness, false);
    decide(&mut bed, 0, Liveness, true);
    decide(&mut bed, 0, Liveness, false);
    bed.run_until(Time::from_secs(10));
    assert_eq!((times(&bed, "web", "Unhealthy").len(), times(&bed, "web", "Started").len()), (1, 2));
    decide(&mut bed, 1, Liveness, false);
    bed.run_until(Time::from_secs(60));
    assert_eq!((times(&bed, "web", "Unhealthy").len(), times(&bed, "web", "Started").len()), (2, 3));
}

#[test]
fn a_container_that_was_made_but_could_not_be_started_has_ended() {
    let kinds =
        [("app", ContainerIndex::Main(0)), ("first", ContainerIndex::Init(0)), ("side", ContainerIndex::Init(0))];
    for policy in [Always, OnFailure, Never] {
        for (name, index) in kinds {
            let story = format!("{policy:?} {name}");
            let mut bed = bed(FakeRuntime { start: Span::from_secs(1_000), ..FakeRuntime::new() });
            let init_containers = match name {
                "first" => vec![container("first")],
                "side" => vec![sidecar("side")],
                _ => Vec::new(),
            };
            create(&mut bed, "web", PodSpec { restart_policy: policy, init_containers, ..spec(&["app"]) });
            bed.run_until(Time::from_secs(1));
            let uid = pod(&bed, "web").meta.uid;
            let fail = |bed: &mut Testbed, attempt: u32| {
                let (reason, message) = ("RunContainerError".into(), "no such file".into());
                tell(bed, RuntimeEvent::ContainerFailed { pod: uid, container: index, attempt, reason, message });
                bed.run_for(Span::from_secs(1));
            };
            fail(&mut bed, 0);
            let shown = |bed: &Testbed| {
                let status = pod(bed, "web").status;
                let container = status.init_containers.first().unwrap_or(&status.containers[0]).clone();
                (status.phase, container)
            };
            if policy == Never && name != "side" {
                let (phase, container) = shown(&bed);
                assert_eq!(phase, Phase::Failed, "{story}");
                let ContainerState::Terminated(how) = container.state else { panic!("{story}: {:?}", container.state) };
                assert_eq!((how.exit_code, &*how.reason), (128, "StartError"), "{story}");
                continue;
            }
            let again = [format!("{name} 0 {name}:1"), format!("{name} 1 {name}:1")];
            assert_eq!(starts(&bed), again, "{story}: the first restart is immediate");
            fail(&mut bed, 1);
            let (phase, container) = shown(&bed);
            assert_eq!(phase, if name == "app" { Phase::Running } else { Phase::Pending }, "{story}");
            let reason = container.last_terminated.map(|how| how.reason.clone());
            assert_eq!((container.restarts, reason.as_deref()), (1, Some("StartError")), "{story}");
            bed.run_until(Time::from_secs(11));
            assert_eq!(starts(&bed).len(), 2, "{story}");
            bed.run_until(Time::from_secs(13));
            assert_eq!(starts(&bed).len(), 3, "{story}: the second one waits for 10 s");
        }
    }
}

#[test]
fn what_a_kubelet_knows_of_a_removed_pod_counts_more_than_what_the_api_server_still_shows() {
    // Whether the third container ever ran.
    for third_waits in [false, true] {
        let runtime = FakeRuntime::new()
            .with_exits("first", &[(Span::from_secs(1), 0)])
            .with_exits("good", &[(Span::from_secs(20), 0)])
            .with_exits("bad", &[(Span::from_secs(20), 2)]);
        let third = if third_waits { "late" } else { "app" };
        let mut bed = bed(runtime.with_image("late:1", Image::Missing));
        let init_containers = vec![container("first")];
        let web = PodSpec { restart_policy: Never, init_containers, ..spec(&["good", "bad", third]) };
        create(&mut bed, "web", web);
        bed.run_until(Time::from_secs(15));
        let shown = |bed: &Testbed| -> Vec<String> {
            let status = pod(bed, "web").status;
            let state = |state: &ContainerState| match state {
                ContainerState::Waiting { .. } => "waits".to_owned(),
                ContainerState::Running { .. } => "runs".to_owned(),
                ContainerState::Terminated(how) => format!("{} {}", how.reason, how.exit_code),
            };
            status.init_containers.iter().chain(&status.containers).map(|it| state(&it.state)).collect()
        };
        bed.set_cut(0, true);
        bed.run_until(Time::from_secs(30));
        let last = if third_waits { "waits" } else { "runs" };
        assert_eq!(shown(&bed), ["Completed 0", "runs", "runs", last], "the API server has not heard of the ends");
        // A finalizer keeps the object, so that its last status can be seen.
        let key = ObjectKey::new(Kind::Pod, "default", "web");
        bed.request(Request::Patch { key, patch: Patch::Finalizer { name: "a/keep".into(), present: true } });
        delete(&mut bed, "web", None);
        bed.run_until(Time::from_secs(31));
        bed.set_cut(0, false);
        bed.run_until(Time::from_secs(70));
        let last = if third_waits { "ContainerStatusUnknown 137" } else { "Error 143" };
        assert_eq!(shown(&bed), ["Completed 0", "Completed 0", "Error 2", last]);
        assert_eq!(pod(&bed, "web").status.phase, Phase::Failed);
    }
}

#[test]
fn a_pod_is_marked_as_disrupted_by_its_kubelet_only_when_nothing_of_it_runs() {
    let shutdown = ShutdownConfig { grace: Span::from_secs(30), ..ShutdownConfig::default() };
    let kubelet = KubeletConfig { relist_period: Span::ZERO, shutdown, ..KubeletConfig::default() };
    let runtime = FakeRuntime { stop: Span::from_secs(20), ..FakeRuntime::new() };
    let mut bed = bed_with(Config { kubelet, ..Config::default() }, runtime);
    create(&mut bed, "web", spec(&["app"]));
    create(&mut bed, "marked", spec(&["app"]));
    bed.run_until(Time::from_secs(50));
    let patch = Patch::PodCondition {
        kind: ConditionKind::DisruptionTarget,
        status: Status3::False,
        reason: "Spared".into(),
        message: "by somebody".into(),
    };
    bed.request(Request::Patch { key: ObjectKey::new(Kind::Pod, "default", "marked"), patch });
    let told = |bed: &Testbed, name: &str| {
        let status = pod(bed, name).status;
        let condition = status.conditions.get(ConditionKind::DisruptionTarget);
        let text = condition.map(|it| format!("{:?} {} {}", it.status, it.reason, it.changed_at));
        format!("{:?} {}", status.phase, text.unwrap_or_default())
    };
    tell(&mut bed, RuntimeEvent::ShuttingDown);
    bed.run_until(Time::from_secs(60));
    assert_eq!(told(&bed, "web"), "Running ");
    assert_eq!(told(&bed, "marked"), "Running False Spared 50s", "what others say stays as long");
    bed.run_until(Time::from_secs(90));
    assert_eq!(told(&bed, "web"), "Failed True TerminationByKubelet 70s");
    assert_eq!(told(&bed, "marked"), "Failed True TerminationByKubelet 70s");
}
