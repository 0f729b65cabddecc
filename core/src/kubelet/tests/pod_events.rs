//! What kubelets say of pods whose sandboxes, images or volumes make trouble, and of devices.

use super::node::tell;
use super::*;
use crate::model::{
    ClaimReference, PersistentVolume, PersistentVolumeClaim, PodVolume, PodVolumeSource, VolumeMode, VolumeSource,
};

fn said(bed: &Testbed, name: &str, reason: &str) -> Vec<String> {
    bed.events(Kind::Pod, name).into_iter().filter(|line| line.split(' ').nth(2) == Some(reason)).collect()
}

#[test]
fn a_sandbox_that_cannot_be_made_is_complained_about_each_time() {
    let mut bed = bed(FakeRuntime { sandbox_error: "no addresses left".into(), ..FakeRuntime::new() });
    create(&mut bed, "web", spec(&["app"]));
    bed.run_until(Time::from_secs(25));
    let sentence = "0s Warning FailedCreatePodSandBox x3: Failed to create pod sandbox: no addresses left";
    assert_eq!(said(&bed, "web", "FailedCreatePodSandBox"), [sentence]);
    bed.runtime.as_mut().unwrap().sandbox_error = "".into();
    bed.run_until(Time::from_secs(40));
    assert!(pod(&bed, "web").is_ready());
    assert_eq!(said(&bed, "web", "SandboxChanged"), [""; 0], "there was none before");
}

#[test]
fn a_sandbox_that_was_lost_is_told_of_if_the_pod_gets_another() {
    use RestartPolicy::{Always, Never, OnFailure};
    let second = Span::from_secs(1);
    for (policy, containers, told) in [
        (Always, &["app"][..], true),
        (OnFailure, &["app"], true),
        (OnFailure, &["good", "app"], true),
        (Never, &["app"], false),
        (Always, &["good"], true),
    ] {
        let mut bed = bed(FakeRuntime::new().with_exits("good", &[(second, 0)]));
        create(&mut bed, "web", PodSpec { restart_policy: policy, ..spec(containers) });
        bed.run_until(Time::from_secs(5));
        let lost = RuntimeEvent::SandboxLost { pod: pod(&bed, "web").meta.uid };
        tell(&mut bed, lost);
        bed.run_until(Time::from_secs(20));
        let sentence = "5s Normal SandboxChanged x1: Pod sandbox changed, it will be killed and re-created.";
        let expected: &[&str] = if told { &[sentence] } else { &[] };
        assert_eq!(said(&bed, "web", "SandboxChanged"), expected, "{policy:?} {containers:?}");
    }
}

#[test]
fn a_pod_that_is_being_deleted_gets_no_other_sandbox() {
    let mut bed = bed(FakeRuntime { stop: Span::from_secs(20), ..FakeRuntime::new() });
    create(&mut bed, "web", spec(&["app"]));
    bed.run_until(Time::from_secs(5));
    delete(&mut bed, "web", None);
    bed.run_until(Time::from_secs(6));
    let lost = RuntimeEvent::SandboxLost { pod: pod(&bed, "web").meta.uid };
    tell(&mut bed, lost);
    bed.run_until(Time::from_secs(40));
    assert_eq!(said(&bed, "web", "SandboxChanged"), [""; 0]);
}

#[test]
fn a_name_that_names_no_image_is_told_as_what_it_is() {
    let mut bed = bed(FakeRuntime::new().with_image("app:1", Image::Misnamed));
    create(&mut bed, "web", spec(&["app"]));
    bed.run_until(Time::from_secs(1));
    let why = "Failed to apply default image tag \"app:1\": couldn't parse image name";
    assert_eq!(said(&bed, "web", "InspectFailed"), [format!("0s Warning InspectFailed x1: {why}")]);
    assert_eq!(said(&bed, "web", "Failed"), ["0s Warning Failed x1: Error: InvalidImageName"]);
}

#[test]
fn a_device_that_a_pod_gets_is_told_with_both_its_places_and_a_file_system_is_not() {
    for (mode, source, folder) in [
        (VolumeMode::Block, VolumeSource::Local("/dev/sdb".into()), Some("kubernetes.io~local-volume")),
        (VolumeMode::Filesystem, VolumeSource::Local("/mnt/a".into()), None),
        (VolumeMode::Block, VolumeSource::HostPath("/mnt/a".into()), None),
    ] {
        let mut bed = bed(FakeRuntime::new());
        let claim = ClaimReference { namespace: "default".into(), name: "data".into(), uid: None };
        let meta = Meta::named("", "disk");
        bed.create(PersistentVolume { meta, mode, source, claim: Some(claim), ..PersistentVolume::default() });
        let mut data = PersistentVolumeClaim { meta: Meta::named("default", "data"), ..Default::default() };
        (data.spec.mode, data.spec.volume) = (mode, "disk".into());
        bed.create(data);
        bed.run_for(Span::from_secs(20));
        let volume =
            PodVolume { name: "v".into(), source: PodVolumeSource::Claim { name: "data".into(), read_only: false } };
        create(&mut bed, "web", PodSpec { volumes: vec![volume], ..spec(&["app"]) });
        bed.run_for(Span::from_secs(20));
        assert!(pod(&bed, "web").is_ready(), "{:#?}", bed.told());
        let uid = pod(&bed, "web").meta.uid;
        let lines = said(&bed, "web", "SuccessfulMountVolume");
        let Some(folder) = folder else {
            assert_eq!(lines, [""; 0], "{mode:?}");
            continue;
        };
        let told = "Normal SuccessfulMountVolume x1: MapVolume.MapPodDevice succeeded for volume \"disk\"";
        let node = format!("{told} globalMapPath \"/var/lib/kubelet/plugins/{folder}/volumeDevices/disk\"");
        let own = format!("{told} volumeMapPath \"/var/lib/kubelet/pods/{uid}/volumeDevices/{folder}\"");
        let lines: Vec<&str> = lines.iter().map(|line| line.split_once(' ').unwrap().1).collect();
        assert_eq!(lines, [node, own]);
        bed.input(Input::Crashed(kubelet()));
        bed.run_for(Span::from_secs(5));
        bed.input(Input::Started(kubelet()));
        bed.run_for(Span::from_secs(20));
        assert_eq!(said(&bed, "web", "SuccessfulMountVolume").len(), 2, "a kubelet that comes back finds it there");
    }
}
