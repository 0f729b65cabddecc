//! Pulls that have failed: for whom that counts, and what ends the wait for the next one.

use super::node::tell;
use super::*;
use crate::api::Patch;
use crate::kubelet::ContainerIndex;

fn waiting(bed: &Testbed, place: usize) -> (String, String) {
    match &pod(bed, "web").status.containers[place].state {
        ContainerState::Waiting { reason, message } => (reason.to_string(), message.to_string()),
        other => panic!("the container waits, it does not do {other:?}"),
    }
}

#[test]
fn a_pull_that_has_failed_counts_for_all_containers_of_the_pod_with_that_image() {
    let mut bed = bed(FakeRuntime::new().with_image("app:1", Image::Missing));
    let containers = vec![container("app"), Container { image: "app:1".into(), ..container("twin") }, container("x")];
    create(&mut bed, "web", PodSpec { containers, ..PodSpec::default() });
    create(&mut bed, "other", spec(&["app"]));
    bed.run_until(Time::from_secs(5));
    assert_eq!(times(&bed, "web", "Pulling"), ["0s"], "the second container does not try");
    assert_eq!(times(&bed, "other", "Pulling"), ["0s"], "another pod does");
    assert_eq!(waiting(&bed, 0), ("ErrImagePull".into(), "not found".into()));
    let message = "Back-off pulling image \"app:1\": ErrImagePull: not found";
    assert_eq!(waiting(&bed, 1), ("ImagePullBackOff".into(), message.into()));
    bed.run_until(Time::from_secs(15));
    assert_eq!(times(&bed, "web", "Pulling"), ["0s", "11s"]);
    bed.runtime.as_mut().unwrap().images.clear();
    bed.run_until(Time::from_secs(40));
    assert_eq!(pod(&bed, "web").status.phase, Phase::Running);
}

#[test]
fn an_image_that_another_pod_has_pulled_is_found_by_the_next_sync() {
    let mut bed = bed(FakeRuntime::new().with_image("app:1", Image::Missing));
    let always = Container { pull_policy: PullPolicy::Always, ..container("app") };
    create(&mut bed, "web", spec(&["app"]));
    create(&mut bed, "eager", PodSpec { containers: vec![always.clone()], ..PodSpec::default() });
    bed.run_until(Time::from_secs(75));
    assert_eq!(times(&bed, "web", "Pulling"), ["0s", "11s", "31s", "71s"], "the next pull is at 151 s");
    bed.runtime.as_mut().unwrap().images.insert("app:1".into(), Image::Remote(Span::from_secs(3)));
    create(&mut bed, "third", PodSpec { containers: vec![always], ..PodSpec::default() });
    bed.run_until(Time::from_millis(77_999));
    bed.runtime.as_mut().unwrap().images.insert("app:1".into(), Image::Present);
    bed.run_until(Time::from_secs(150));
    assert_eq!(times(&bed, "third", "Started"), ["78.5s"]);
    assert_eq!(times(&bed, "web", "Started"), ["81.5s"], "a sync finds it, and those are every ten seconds");
    assert_eq!(times(&bed, "eager", "Started"), Vec::<String>::new(), "it always pulls, and so it waits");
}

#[test]
fn a_container_that_waits_starts_at_once_with_another_image() {
    let now = (Span::ZERO, 1);
    let crashes = [now, now, now, now, (Span::from_secs(9_999), 0)];
    let mut bed = bed(FakeRuntime::new().with_image("app:1", Image::Missing).with_exits("loop", &crashes));
    create(&mut bed, "web", spec(&["app", "loop"]));
    bed.run_until(Time::from_secs(35));
    let set_image = |bed: &mut Testbed, container: &str, image: &str| {
        let patch = Patch::Image { container: container.into(), image: image.into() };
        bed.request(Request::Patch { key: ObjectKey::new(Kind::Pod, "default", "web"), patch });
    };
    set_image(&mut bed, "app", "app:2");
    set_image(&mut bed, "loop", "loop:2");
    bed.run_until(Time::from_secs(40));
    let starts = times(&bed, "web", "Started");
    assert!(starts.contains(&"35.5s".to_owned()) && starts.contains(&"36s".to_owned()), "{starts:?}");
    assert!(pod(&bed, "web").is_ready());
}

#[test]
fn a_registry_that_is_not_there_has_a_reason_of_its_own() {
    let mut bed = bed(FakeRuntime::new().with_image("app:1", Image::Remote(Span::from_secs(3_600))));
    create(&mut bed, "web", spec(&["app"]));
    bed.run_until(Time::from_secs(5));
    let event = RuntimeEvent::ImageFailed {
        pod: pod(&bed, "web").meta.uid,
        container: ContainerIndex::Main(0),
        reason: "ErrImagePull".into(),
        message: "RegistryUnavailable: connection refused".into(),
    };
    tell(&mut bed, event);
    bed.run_until(Time::from_secs(10));
    let message = "image pull failed for app:1 because the registry is unavailable: connection refused";
    assert_eq!(waiting(&bed, 0), ("RegistryUnavailable".into(), message.into()));
    assert_eq!(bed.times_said("Failed to pull image \"app:1\": RegistryUnavailable: connection refused"), 1);
    assert_eq!(bed.times_said("Error: RegistryUnavailable"), 1);
    bed.run_until(Time::from_millis(16_000));
    let message = format!("Back-off pulling image \"app:1\": RegistryUnavailable: {message}");
    assert_eq!(waiting(&bed, 0), ("ImagePullBackOff".into(), message));
}
