//! Stories of ConfigMaps and Secrets that pods name: missing, found, changed.

use std::sync::Arc;

use super::*;
use crate::api::Patch;
use crate::kubelet::{ContainerConfig, RuntimeRequest};
use crate::model::{
    ConfigKind, ConfigMap, EnvFrom, EnvSource, EnvVar, FileSource, FileVolume, KeyToPath, Labels, Object,
    ObjectReference, PodVolume, PodVolumeSource, ROOT_CERTIFICATE, Secret, VolumeMount,
};

fn map(data: &[(&str, &str)]) -> ConfigMap {
    ConfigMap {
        meta: Meta::named("default", "settings"),
        data: Labels::new(data.iter().copied()),
        ..ConfigMap::default()
    }
}

fn reference(volume: Option<&str>) -> ObjectReference {
    let volume = volume.map(Name::from);
    ObjectReference { kind: ConfigKind::ConfigMap, name: "settings".into(), optional: false, keys: Vec::new(), volume }
}

fn from_key(name: &str, key: &str, optional: bool) -> EnvVar {
    let object = ObjectReference { optional, ..reference(None) };
    let from = Some(Box::new(EnvSource::Key { object, key: key.into() }));
    EnvVar { name: name.into(), value: Name::default(), from }
}

fn from(name: &str, source: EnvSource) -> EnvVar {
    EnvVar { name: name.into(), value: Name::default(), from: Some(Box::new(source)) }
}

/// A pod with one variable of the ConfigMap.
fn with_variable(optional: bool) -> PodSpec {
    let container = Container { env: vec![from_key("COLOR", "color", optional)], ..container("app") };
    PodSpec { containers: vec![container], references: vec![reference(None)], ..PodSpec::default() }
}

/// A pod that mounts the ConfigMap.
fn with_volume(items: &[(&str, &str)], optional: bool) -> PodSpec {
    let items =
        items.iter().map(|(key, path)| KeyToPath { key: (*key).into(), path: (*path).into(), mode: Some(0o400) });
    let source =
        FileSource::Keys { kind: ConfigKind::ConfigMap, name: "settings".into(), optional, items: items.collect() };
    let files = FileVolume { default_mode: 0o644, projected: false, sources: vec![source] };
    let volume = PodVolume { name: "etc".into(), source: PodVolumeSource::Files(Box::new(files)) };
    let mount = |path: &str, sub_path: &str| VolumeMount {
        name: "etc".into(),
        path: path.into(),
        sub_path: sub_path.into(),
        read_only: true,
    };
    let container = Container { mounts: vec![mount("/etc/app", ""), mount("/one", "sub/color")], ..container("app") };
    let references = vec![reference(Some("etc"))];
    PodSpec { containers: vec![container], references, volumes: vec![volume], ..PodSpec::default() }
}

/// What the containers that were started got from elsewhere.
fn given(bed: &Testbed) -> Vec<Arc<ContainerConfig>> {
    let start = |(_, _, body): &(Time, ProcId, Msg)| match body {
        Msg::Runtime(RuntimeRequest::StartContainer { config, .. }) => config.clone(),
        _ => None,
    };
    bed.to_runtimes.iter().filter_map(start).collect()
}

fn waiting(bed: &Testbed, name: &str) -> (String, String) {
    match &pod(bed, name).status.containers[0].state {
        ContainerState::Waiting { reason, message } => (reason.to_string(), message.to_string()),
        other => panic!("{other:?}"),
    }
}

fn said(bed: &Testbed, name: &str, reason: &str) -> Vec<String> {
    bed.events(Kind::Pod, name).into_iter().filter(|line| line.contains(reason)).collect()
}

#[test]
fn a_variable_of_a_missing_config_map_holds_its_container_back_until_it_is_there() {
    let mut bed = bed(FakeRuntime::new());
    create(&mut bed, "web", with_variable(false));
    bed.run_until(Time::from_secs(5));
    let reason = "CreateContainerConfigError".to_owned();
    assert_eq!(waiting(&bed, "web"), (reason.clone(), "configmap \"settings\" not found".to_owned()));
    bed.create(map(&[("size", "xl")]));
    bed.run_until(Time::from_secs(15));
    assert_eq!(waiting(&bed, "web"), (reason, "couldn't find key color in ConfigMap default/settings".to_owned()));
    assert_eq!(
        said(&bed, "web", "Failed"),
        [
            "0s Warning Failed x1: Error: configmap \"settings\" not found",
            "10s Warning Failed x1: Error: couldn't find key color in ConfigMap default/settings",
        ]
    );
    let full = map(&[("color", "blue")]);
    bed.request(Request::Update { object: Object::ConfigMap(Arc::new(full)), expected: None });
    bed.run_until(Time::from_secs(30));
    assert_eq!(times(&bed, "web", "Started"), ["20.5s"]);
    assert_eq!(given(&bed)[0].values, [Some("blue".into())]);
    assert!(pod(&bed, "web").is_ready());
}

#[test]
fn what_is_optional_is_left_out() {
    let mut bed = bed(FakeRuntime::new());
    create(&mut bed, "web", with_variable(true));
    create(&mut bed, "files", with_volume(&[("color", "sub/color")], true));
    bed.run_until(Time::from_secs(5));
    assert_eq!(times(&bed, "web", "Started"), ["0.5s"]);
    assert_eq!(times(&bed, "files", "Started"), ["0.5s"]);
    assert_eq!((&given(&bed)[0].values, given(&bed)[1].files.len()), (&vec![None], 0));
}

#[test]
fn a_volume_of_a_missing_config_map_is_tried_again_after_growing_waits() {
    let mut bed = bed(FakeRuntime::new());
    create(&mut bed, "web", with_volume(&[("color", "sub/color")], false));
    bed.run_until(Time::from_secs(10));
    assert_eq!(waiting(&bed, "web"), ("ContainerCreating".to_owned(), String::new()));
    // At 0, 0.5, 1.5, 3.5 and 7.5 s.
    let missing = "MountVolume.SetUp failed for volume \"etc\" : configmap \"settings\" not found";
    assert_eq!(said(&bed, "web", "FailedMount"), [format!("0s Warning FailedMount x5: {missing}")]);
    bed.create(map(&[("size", "xl")]));
    bed.run_until(Time::from_secs(16));
    let key = "MountVolume.SetUp failed for volume \"etc\" : configmap references non-existent config key: color";
    assert_eq!(said(&bed, "web", "FailedMount")[1..], [format!("15.5s Warning FailedMount x1: {key}")]);
    let full = map(&[("color", "blue")]);
    bed.request(Request::Update { object: Object::ConfigMap(Arc::new(full)), expected: None });
    bed.run_until(Time::from_secs(40));
    assert_eq!(times(&bed, "web", "Started"), ["32s"]);
    let files = given(&bed)[0].files.clone();
    let found: Vec<(&str, u16, &[u8])> = files.iter().map(|it| (&*it.path, it.mode, &*it.data)).collect();
    assert_eq!(found, [("/etc/app/sub/color", 0o400, &b"blue"[..]), ("/one", 0o400, b"blue")]);
}

#[test]
fn a_pod_that_waits_for_long_says_only_what_goes_wrong_with_its_volumes() {
    let mut bed = bed(FakeRuntime::new());
    create(&mut bed, "web", with_volume(&[], false));
    bed.run_until(Time::from_secs(300));
    assert_eq!(said(&bed, "web", "Unable"), [""; 0]);
    assert!(!said(&bed, "web", "MountVolume").is_empty());
}

#[test]
fn a_changed_config_map_reaches_files_within_a_sync_but_no_variables() {
    let mut bed = bed(FakeRuntime::new());
    bed.create(map(&[("color", "blue")]));
    let mut spec = with_volume(&[("color", "sub/color")], false);
    spec.containers[0].env = vec![from_key("COLOR", "color", false)];
    create(&mut bed, "web", spec);
    bed.run_until(Time::from_secs(100));
    bed.request(Request::Update { object: Object::ConfigMap(Arc::new(map(&[("color", "red")]))), expected: None });
    bed.run_until(Time::from_secs(190));
    let updates: Vec<_> = bed
        .to_runtimes
        .iter()
        .filter_map(|(_, _, body)| match body {
            Msg::Runtime(RuntimeRequest::UpdateFiles { config, .. }) => Some(config.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(updates.len(), 1);
    let files: Vec<(bool, &[u8])> = updates[0].files.iter().map(|it| (it.updated, &*it.data)).collect();
    assert_eq!(files, [(true, &b"red"[..]), (false, b"red")], "what is mounted by subPath stays");
    assert!(updates[0].values.is_empty());
    assert_eq!(times(&bed, "web", "FilesUpdated").len(), 1);
    assert_eq!(times(&bed, "web", "Started").len(), 1);
}

#[test]
fn a_deleted_config_map_leaves_running_pods_alone_but_is_missed_by_their_volumes() {
    let mut bed = bed(FakeRuntime::new());
    bed.create(map(&[("color", "blue")]));
    create(&mut bed, "web", with_volume(&[("color", "sub/color")], false));
    bed.run_until(Time::from_secs(10));
    let key = ObjectKey::new(Kind::ConfigMap, "default", "settings");
    bed.request(Request::Delete { key, uid: None, grace: None, propagation: Propagation::Background });
    bed.run_until(Time::from_secs(101));
    assert!(pod(&bed, "web").is_ready());
    let missing = "MountVolume.SetUp failed for volume \"etc\" : configmap \"settings\" not found";
    assert!(bed.times_said(missing) >= 1);
}

#[test]
fn a_changed_label_reaches_the_file_that_tells_of_it() {
    let mut bed = bed(FakeRuntime::new());
    let value = EnvSource::Field { path: "metadata.labels['tier']".into() };
    let source = FileSource::Downward { path: "tier".into(), value, mode: None };
    let files = FileVolume { default_mode: 0o644, projected: false, sources: vec![source] };
    let volume = PodVolume { name: "about".into(), source: PodVolumeSource::Files(Box::new(files)) };
    let mount =
        VolumeMount { name: "about".into(), path: "/about".into(), sub_path: Name::default(), read_only: false };
    let app = Container { mounts: vec![mount], ..container("app") };
    create(&mut bed, "web", PodSpec { containers: vec![app], volumes: vec![volume], ..PodSpec::default() });
    bed.run_until(Time::from_secs(10));
    assert_eq!(&*given(&bed)[0].files[0].data, b"");
    let key = ObjectKey::new(Kind::Pod, "default", "web");
    let patch = Patch::Label { key: "tier".into(), value: Some("gold".into()) };
    bed.request(Request::Patch { key, patch });
    bed.run_until(Time::from_secs(100));
    let updates = bed.to_runtimes.iter().filter_map(|(_, _, body)| match body {
        Msg::Runtime(RuntimeRequest::UpdateFiles { config, .. }) => Some(config.files[0].data.to_vec()),
        _ => None,
    });
    assert_eq!(updates.collect::<Vec<_>>(), [b"gold".to_vec()]);
}

#[test]
fn variables_tell_of_the_pod_and_its_resources_and_all_keys_of_a_secret() {
    let mut bed = bed(FakeRuntime::new());
    bed.create(Secret {
        meta: Meta::named("default", "keys"),
        data: [("a".into(), b"1"[..].into()), ("b".into(), b"2"[..].into())].into(),
        ..Secret::default()
    });
    let field = |path: &str| EnvSource::Field { path: path.into() };
    let amount = |resource: &str, divisor_milli| EnvSource::Resource {
        container: Name::default(),
        resource: resource.into(),
        divisor_milli,
    };
    let sources = [
        field("metadata.name"),
        field("metadata.labels['app']"),
        field("metadata.labels"),
        field("spec.nodeName"),
        field("spec.serviceAccountName"),
        field("status.hostIP"),
        field("status.podIP"),
        amount("limits.cpu", 1_000),
        amount("limits.cpu", 1),
        amount("requests.memory", 1_048_576_000),
        amount("limits.memory", 1_000),
    ];
    let limits = Resources { cpu_milli: 1_500, ..Resources::default() };
    let requests = Resources { cpu_milli: 1_500, memory_bytes: (3 << 20) + 1, ..Resources::default() };
    let secret = EnvFrom { kind: ConfigKind::Secret, name: "keys".into(), optional: false, prefix: "K_".into() };
    let env = sources.into_iter().map(|source| from("X", source)).collect();
    let app = Container { env, env_from: vec![secret], limits, requests, ..container("app") };
    let keys = ObjectReference { kind: ConfigKind::Secret, name: "keys".into(), ..reference(None) };
    let spec = PodSpec { containers: vec![app], references: vec![keys], ..PodSpec::default() };
    let meta = Meta { labels: Labels::new([("app", "web"), ("tier", "\"a\"")]), ..Meta::named("default", "web") };
    bed.create(Pod { meta: meta.into(), spec: Shared::new(spec), node: Some("n1".into()), ..Pod::default() });
    bed.run_until(Time::from_secs(5));
    let config = given(&bed)[0].clone();
    let pairs: Vec<(&str, &str)> = config.variables.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(pairs, [("K_a", "1"), ("K_b", "2")]);
    let values: Vec<&str> = config.values.iter().map(|value| value.as_deref().expect("each has a value")).collect();
    let address = pod(&bed, "web").status.pod_ip.clone().expect("it runs").to_string();
    let (labels, all) = ("app=\"web\"\ntier=\"\\\"a\\\"\"", (1_u64 << 32).to_string());
    let expected = ["web", "web", labels, "n1", "default", "192.168.0.0", &address, "2", "1500", "4", &all];
    assert_eq!(values, expected);
}

#[test]
fn without_the_root_certificate_no_pod_with_a_token_starts() {
    let mut bed = bed(FakeRuntime::new());
    bed.input(crate::seam::Input::Crashed(ProcId::CONTROLLER_MANAGER));
    let key = ObjectKey::new(Kind::ConfigMap, "default", &ROOT_CERTIFICATE);
    bed.request(Request::Delete { key, uid: None, grace: None, propagation: Propagation::Background });
    bed.run_for(Span::ZERO);
    create(&mut bed, "web", spec(&["app"]));
    create(&mut bed, "plain", PodSpec { automount: Some(false), ..spec(&["app"]) });
    bed.run_for(Span::from_secs(2));
    let volume = pod(&bed, "web").token_volume().expect("it has a token");
    let missing = format!("MountVolume.SetUp failed for volume {volume:?} : configmap \"kube-root-ca.crt\" not found");
    assert!(said(&bed, "web", "FailedMount")[0].ends_with(&missing), "{:?}", said(&bed, "web", "FailedMount"));
    assert_eq!(times(&bed, "plain", "Started").len(), 1);
    assert_eq!(times(&bed, "web", "Started").len(), 0);
}
