use serde_json::json;
use wavetank_core::id::Revision;
use wavetank_core::model::{Kind, ObjectKey};

use super::edge::tests::Bed;
use super::line::Line;
use super::recording::{Beside, Deed, Recording, Step};
use super::{bench, edge, is_shown, looking_period_secs, says_the_same, shown, unwatched};

#[test]
fn what_periodic_looks_leave_behind_tells_whose_phase_is_open() {
    let line = |kind: &str, mut fields: serde_json::Value| {
        let all = json!({"t_ms": 0, "type": "MODIFIED", "kind": kind, "name": "shop/it"});
        fields.as_object_mut().expect("fields").extend(all.as_object().expect("fields").clone());
        Line::from_json(fields).expect("the line is whole")
    };
    let said = |reason: &str| line("Event", json!({"reason": reason}));
    assert_eq!(looking_period_secs(&[said("Scheduled")]), 0);
    assert_eq!(looking_period_secs(&[said("ProvisioningFailed")]), bench::BINDER_PERIOD_SECS);
    let why = json!({"DisruptionTarget": "True(DeletionByPodGC): PodGC: node no longer exists"});
    let orphan = line("Pod", json!({"nodeName": "n1", "conditions": why}));
    assert_eq!(looking_period_secs(&[said("FailedBinding"), orphan]), bench::POD_GC_PERIOD_SECS);
    let never_bound = json!({"phase": "Failed", "deletionTimestamp": "2026-11-22T01:36:59Z"});
    assert_eq!(looking_period_secs(&[line("Pod", never_bound.clone())]), bench::POD_GC_PERIOD_SECS);
    assert_eq!(looking_period_secs(&[line("Job", never_bound)]), 0);
    let taint = json!({"taints": ["node.kubernetes.io/out-of-service=shutdown:NoExecute"]});
    assert_eq!(looking_period_secs(&[line("Node", taint.clone())]), bench::POD_GC_PERIOD_SECS);
    assert_eq!(looking_period_secs(&[line("Pod", taint)]), 0);
}

#[test]
fn a_kind_of_which_a_command_made_an_object_that_no_line_shows_was_not_watched() {
    let mut recording = Recording::empty("shop".to_owned());
    let made = |command: &str, code| Step {
        at_ms: 0,
        from_ms: 0,
        what: Deed::Kubectl(command.to_owned(), code, Beside::default()),
    };
    recording.steps.push(made("create configmap till --from-literal=a=b", 1));
    let kinds = |recording: &Recording| unwatched(recording).into_iter().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(kinds(&recording), ["Endpoints"], "it failed, and nothing shows Endpoints, which most Services have");
    recording.steps.push(made("create secret generic key --from-literal=a=b", 0));
    assert_eq!(kinds(&recording), ["Endpoints", "Secret"]);
}

#[test]
fn a_field_of_a_spec_that_a_recording_shows_of_no_object_of_a_kind_is_not_compared() {
    let line = |kind: &str, field: &str| {
        let line = json!({"t_ms": 1, "type": "ADDED", "kind": kind, "name": "shop/a", field: 3});
        Line::from_json(line).expect("it is whole")
    };
    let lines = vec![line("ReplicaSet", "spec.replicas"), line("ReplicationController", "generation")];
    let recording = Recording { lines, ..Recording::empty("shop".to_owned()) };
    assert!(is_shown("ReplicaSet/a spec.replicas", &recording));
    assert!(!is_shown("ReplicationController/a spec.replicas", &recording));
    assert!(is_shown("ReplicationController/a generation", &recording));
    assert!(is_shown("ReplicationController: order of created", &recording));
    let slice = |endpoint: serde_json::Value| {
        let line = json!({"t_ms": 1, "type": "ADDED", "kind": "EndpointSlice", "name": "shop/a",
            "endpoints": {"b": endpoint}});
        Recording { lines: vec![Line::from_json(line).expect("it is whole")], ..Recording::empty("shop".to_owned()) }
    };
    let (without, with) = (slice(json!({"ready": true})), slice(json!({"hints": {"forZones": [{"name": "z"}]}})));
    for track in ["EndpointSlice/a endpoint b hints", "EndpointSlice/a endpoint b-* hints lives"] {
        assert!(!is_shown(track, &without) && is_shown(track, &with), "{track}");
    }
    assert!(is_shown("EndpointSlice/a endpoint b", &without));
}

#[test]
fn fields_that_a_recorder_may_choose_are_told_of_ours() {
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let selector = json!({"matchLabels": {"a": "b"}});
    let cases = [
        (Kind::StatefulSet, json!({"minReadySeconds": 4, "ordinals": {"start": 2}, "serviceName": "s"})),
        (Kind::DaemonSet, json!({"minReadySeconds": 3})),
    ];
    for (kind, mut spec) in cases {
        let chosen = spec.clone();
        (spec["selector"], spec["template"]) = (selector.clone(), template.clone());
        let mut bed = Bed::new();
        let plural = kind.plural();
        let path = edge::Path::parse(&format!("/apis/apps/v1/namespaces/shop/{plural}")).expect("a path of objects");
        let body = json!({"metadata": {"name": "x"}, "spec": spec});
        let edge::Outcome::Ask(requests) = edge::translate(&bed.core, "POST", &path, "", &body) else {
            panic!("{plural} can be made");
        };
        requests.into_iter().for_each(|request| bed.ask(request).expect("it is in order"));
        let object = bed.core.find(&ObjectKey::new(kind, "shop", "x")).expect("it was made");
        let line = shown::line(0, None, Some(&object), Revision(1), 0).expect("it is there");
        for (field, value) in chosen.as_object().expect("a spec") {
            assert_eq!(line.fields.get(&format!("spec.{field}")), Some(value), "{plural} {field}");
        }
    }
}

#[test]
fn reasons_in_brackets_may_come_in_any_order() {
    let one = r#"pods "a" is forbidden: [maximum cpu is 1, but limit is 2, maximum memory is 1Gi, but limit is 2Gi]"#;
    let other = r#"pods "a" is forbidden: [maximum memory is 1Gi, but limit is 2Gi, maximum cpu is 1, but limit is 2]"#;
    assert!(says_the_same(one, other));
    assert!(!says_the_same(one, &other.replace("2Gi", "3Gi")));
    assert!(!says_the_same(one, &other.replace("\"a\"", "\"b\"")));
    assert!(!says_the_same("not found", "found"));
}
