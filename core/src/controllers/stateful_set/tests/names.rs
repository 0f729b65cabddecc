//! Names, ordinals, labels and volumes of single pods.

use super::*;
use crate::controllers::stateful_set::storage;
use crate::model::{ClaimTemplate, PodVolume, PodVolumeSource};

fn with_data(replicas: u32) -> StatefulSet {
    let data = ClaimTemplate { name: "data".into(), ..ClaimTemplate::default() };
    StatefulSet { claim_templates: vec![data], ..db(replicas) }
}

fn member(set: &StatefulSet, ordinal: u32) -> Pod {
    let template = set.template.clone();
    let revision = ControllerRevision { meta: Meta::named("default", "db-1"), revision: 1, template };
    identity::new_pod(set, &revision, &revision, ordinal)
}

fn renamed(name: &str) -> Pod {
    Pod { meta: Meta::named("default", name).into(), ..Pod::default() }
}

#[test]
fn a_pod_is_a_member_by_the_name_before_its_last_dash() {
    let set = db(3);
    let table = [
        ("db-1", Some(("db", Some(1))), true),
        ("db-007", Some(("db", Some(7))), true),
        ("other-1", Some(("other", Some(1))), false),
        ("db-1-1", Some(("db-1", Some(1))), false),
        ("1-db", None, false),
        ("db", None, false),
        ("db-", None, false),
        ("db-4294967296", Some(("db", None)), true),
    ];
    for (name, parts, expected) in table {
        let pod = renamed(name);
        assert_eq!(identity::parent_and_ordinal(&pod), parts, "{name}");
        assert_eq!(identity::is_member(&set, &pod), expected, "{name}");
    }
}

#[test]
fn a_pod_without_its_name_as_label_is_given_it() {
    let set = with_data(3);
    let pod = member(&set, 1);
    assert!(identity::identity_matches(&set, &pod));
    let mut nameless = pod.clone();
    nameless.meta.labels = pod.meta.labels.without("statefulset.kubernetes.io/pod-name");
    assert!(!identity::identity_matches(&set, &nameless));
    nameless.meta.labels = identity::labels_of(&nameless);
    assert!(identity::identity_matches(&set, &nameless));
    for name in ["db", "db-01", "other-1"] {
        let mut wrong = pod.clone();
        wrong.meta.name = name.into();
        assert!(!identity::identity_matches(&set, &wrong), "{name}");
    }
}

#[test]
fn a_pod_without_its_claims_among_its_volumes_is_given_them() {
    let set = with_data(3);
    let pod = member(&set, 1);
    assert!(storage::is_mounted(&set, &pod));
    let with = |volumes: Vec<PodVolume>| {
        let mut pod = pod.clone();
        pod.spec = Shared::new(PodSpec { volumes, ..PodSpec::clone(&pod.spec) });
        pod
    };
    let volume = |name: &str, source: PodVolumeSource| PodVolume { name: name.into(), source };
    let claim = |name: &str| PodVolumeSource::Claim { name: name.into(), read_only: false };
    let broken = [
        with(vec![]),
        with(vec![volume("data", claim("else"))]),
        with(vec![volume("other", claim("data-db-1"))]),
        with(vec![volume("data", claim("data-db-2")), volume("logs", claim("logs"))]),
    ];
    for mut broken in broken {
        assert!(!storage::is_mounted(&set, &broken), "{:?}", broken.spec.volumes);
        let others = broken.spec.volumes.iter().filter(|volume| &*volume.name != "data").count();
        storage::mount(&set, &mut broken);
        assert!(storage::is_mounted(&set, &broken));
        assert_eq!(broken.spec.volumes.len(), 1 + others, "what is not of a template stays");
    }
}

#[test]
fn a_pod_without_an_ordinal_has_no_claims() {
    let set = with_data(3);
    for (name, has) in [("db-1", true), ("db", false), ("db-", false), ("db-4294967296", false)] {
        let mut pod = Pod { meta: Meta::named("default", name).into(), ..member(&set, 1) };
        storage::mount(&set, &mut pod);
        assert_eq!(!pod.spec.volumes.is_empty(), has, "{name}");
    }
}

#[test]
fn a_pod_runs_and_is_ready_only_if_both_hold() {
    let mut pod = member(&db(1), 0);
    assert!(!identity::is_running_and_ready(&pod));
    pod.status.phase = Phase::Running;
    assert!(!identity::is_running_and_ready(&pod));
    pod.status.conditions.set(crate::model::ConditionKind::Ready, crate::model::Status3::True, "", "", Time::ZERO);
    assert!(identity::is_running_and_ready(&pod));
    pod.status.phase = Phase::Pending;
    assert!(!identity::is_running_and_ready(&pod));
}

#[test]
fn new_pods_are_of_the_revision_that_their_place_asks_for() {
    let revision = |name: &str, image: &str| ControllerRevision {
        meta: Meta::named("default", name),
        revision: 1,
        template: template(image),
    };
    let (old, new) = (revision("db-old", "app:v1"), revision("db-new", "app:v2"));
    let of = |strategy, start: Option<u32>, current: u32| {
        let status = StatefulSetStatus { current, ..StatefulSetStatus::default() };
        let set = StatefulSet { strategy, start_ordinal: start, status, ..db(4) };
        let pods = identity::ordinals(&set).map(|ordinal| identity::new_pod(&set, &old, &new, ordinal));
        pods.map(|pod| format!("{}:{}", pod.meta.name, identity::revision(&pod))).collect::<Vec<_>>().join(" ")
    };
    let rolling = |partition| StatefulSetStrategy::RollingUpdate { partition };
    assert_eq!(of(rolling(Some(0)), None, 4), "db-0:db-new db-1:db-new db-2:db-new db-3:db-new");
    assert_eq!(of(rolling(Some(2)), None, 4), "db-0:db-old db-1:db-old db-2:db-new db-3:db-new");
    assert_eq!(of(rolling(Some(2)), Some(5), 4), "db-5:db-old db-6:db-old db-7:db-new db-8:db-new");
    assert_eq!(of(rolling(None), None, 3), "db-0:db-old db-1:db-old db-2:db-old db-3:db-new");
    assert_eq!(of(StatefulSetStrategy::OnDelete, None, 4), "db-0:db-new db-1:db-new db-2:db-new db-3:db-new");
}
