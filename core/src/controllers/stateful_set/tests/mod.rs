mod claim_faults;
mod claim_owners;
mod claims;
mod members;
mod names;
mod updates;

use super::*;
use crate::api::Patch;
use crate::config::Config;
use crate::digest::Shared;
use crate::model::{
    ClaimRetention, Container, ControllerRevision, Labels, ObjectKey, Phase, PodManagement, PodSpec, PodTemplate,
    Selector, StatefulSetStatus, StatefulSetStrategy,
};
use crate::testbed::{StandIn, Testbed};
use crate::time::Time;

/// Pods of this image run but are never ready; the stand-in kubelet goes by the name.
const BROKEN: &str = "app:never-ready";

fn bed() -> Testbed {
    let mut bed = Testbed::new(Config::default()).with_binder(&["n1", "n2", "n3"]);
    for (host, zone) in ["a", "b", "c"].into_iter().enumerate() {
        bed.add_node(host as u32, &format!("n{}", host + 1), zone, 8_000, 1 << 34);
    }
    bed
}

fn template(image: &str) -> PodTemplate {
    let container = Container { name: "app".into(), image: image.into(), ..Container::default() };
    let spec = Shared::new(PodSpec { containers: vec![container], ..PodSpec::default() });
    PodTemplate { labels: Labels::new([("app", "db")]), spec, ..PodTemplate::default() }
}

fn db(replicas: u32) -> StatefulSet {
    StatefulSet {
        meta: Meta::named("default", "db"),
        replicas,
        selector: Selector::from_labels(Labels::new([("app", "db")])),
        template: template("app:v1"),
        service_name: "db".into(),
        revision_history_limit: Some(10),
        ..StatefulSet::default()
    }
}

fn parallel(replicas: u32) -> StatefulSet {
    StatefulSet { management: PodManagement::Parallel, ..db(replicas) }
}

fn key(kind: Kind, name: &str) -> ObjectKey {
    ObjectKey::new(kind, "default", name)
}

fn patch(bed: &mut Testbed, patch: Patch) {
    bed.request(Request::Patch { key: key(Kind::StatefulSet, "db"), patch });
}

fn image(bed: &mut Testbed, image: &str) {
    patch(bed, Patch::Image { container: "app".into(), image: image.into() });
}

fn delete(bed: &mut Testbed, kind: Kind, name: &str, propagation: Propagation) {
    bed.request(Request::Delete { key: key(kind, name), uid: None, grace: None, propagation });
}

/// Writes a change of the stored set, as a user's update does.
fn update(bed: &mut Testbed, change: impl FnOnce(&mut StatefulSet)) -> Answer {
    let mut changed = StatefulSet::clone(&set(bed));
    change(&mut changed);
    let id = bed.request(Request::Update { object: Object::StatefulSet(Arc::new(changed)), expected: None });
    bed.run_for(Span::ZERO);
    bed.answers[&id].clone()
}

fn set(bed: &Testbed) -> Arc<StatefulSet> {
    bed.get::<StatefulSet>("default", "db").expect("the set is there")
}

fn pods(bed: &Testbed) -> Vec<Arc<Pod>> {
    bed.core.newest().all::<Pod>().map(|(_, pod)| pod.clone()).collect()
}

/// Names and images of the pods: `db-0:v1 db-1:v2`.
fn images(bed: &Testbed) -> String {
    let shown = |pod: &Arc<Pod>| {
        let image = &pod.spec.containers[0].image;
        format!("{}:{}", pod.meta.name, image.rsplit(':').next().expect("a split has a part"))
    };
    pods(bed).iter().map(shown).collect::<Vec<_>>().join(" ")
}

/// What happened to pods as the recordings write it: created, ready, deletion asked for, gone.
fn steps_since(bed: &Testbed, since: Time) -> String {
    let of_pods = bed.facts.iter().filter(|(at, fact)| fact.subject.kind == Kind::Pod && *at >= since);
    let steps = of_pods.filter_map(|(_, fact)| {
        let mark = match &fact.what {
            What::Created { .. } => "+",
            What::Ready => "R",
            What::DeletionRequested => "x",
            What::Deleted => "-",
            _ => return None,
        };
        Some(format!("{mark}{}", fact.subject.name.strip_prefix("db-").unwrap_or(&fact.subject.name)))
    });
    steps.collect::<Vec<_>>().join(" ")
}

fn revisions(bed: &Testbed) -> Vec<Arc<ControllerRevision>> {
    let mut all: Vec<_> = bed.core.newest().all::<ControllerRevision>().map(|(_, it)| it.clone()).collect();
    revisions::sort(&mut all);
    all
}

/// replicas, ready, available, current, updated.
fn counts(bed: &Testbed) -> [u32; 5] {
    let StatefulSetStatus { replicas, ready, available, current, updated, .. } = set(bed).status;
    [replicas, ready, available, current, updated]
}

#[test]
fn pods_come_one_by_one_go_from_the_end_and_are_replaced_from_the_end_as_recorded() {
    let mut bed = bed();
    bed.create(db(5));
    bed.run_for(Span::from_secs(20));
    image(&mut bed, "app:v2");
    bed.run_for(Span::from_secs(40));
    patch(&mut bed, Patch::Replicas(2));
    bed.run_for(Span::from_secs(10));
    patch(&mut bed, Patch::Replicas(4));
    bed.run_for(Span::from_secs(10));
    // Recorded: sts-ordered-scale-update, both runs.
    let expected = "+0 R0 +1 R1 +2 R2 +3 R3 +4 R4 \
                    x4 -4 +4 R4 x3 -3 +3 R3 x2 -2 +2 R2 x1 -1 +1 R1 x0 -0 +0 R0 \
                    x4 -4 x3 -3 x2 -2 +2 R2 +3 R3";
    assert_eq!(steps_since(&bed, Time::ZERO), expected);
    assert_eq!(images(&bed), "db-0:v2 db-1:v2 db-2:v2 db-3:v2");
    assert_eq!(counts(&bed), [4, 4, 4, 4, 4]);
    let status = set(&bed).status.clone();
    assert_eq!(status.current_revision, status.update_revision);
    assert_eq!((revisions(&bed).len(), status.collision_count), (2, Some(0)));
}

#[test]
fn a_pod_has_the_name_the_labels_and_the_hostname_of_its_ordinal() {
    let mut bed = bed();
    bed.create(StatefulSet { start_ordinal: Some(3), ..db(2) });
    bed.run_for(Span::from_secs(10));
    let names: Vec<_> = pods(&bed).iter().map(|pod| pod.meta.name.to_string()).collect();
    assert_eq!(names, ["db-3", "db-4"]);
    let pod = bed.get::<Pod>("default", "db-3").unwrap();
    let revision = &revisions(&bed)[0].meta;
    let label = |name: &str| pod.meta.labels.get(name).map(|value| value.to_string()).unwrap_or_default();
    assert_eq!(label("statefulset.kubernetes.io/pod-name"), "db-3");
    assert_eq!(label("apps.kubernetes.io/pod-index"), "3");
    assert_eq!(label("controller-revision-hash"), *revision.name);
    assert_eq!((pod.hostname().map(|name| &**name), pod.subdomain().map(|name| &**name)), (Some("db-3"), Some("db")));
    let hash = revision.labels.get("controller.kubernetes.io/hash").unwrap();
    assert_eq!(*revision.name, *format!("db-{hash}"));
    assert_eq!(revision.controller().unwrap().uid, set(&bed).meta.uid);
    let other = pods(&bed)[1].clone();
    assert!(pod.spec.same(&other.spec), "what is shared by all pods is stored once");
}

#[test]
fn a_pod_that_is_never_ready_holds_up_the_next_but_not_in_parallel() {
    let mut ordered = bed();
    ordered.create(StatefulSet { template: template(BROKEN), ..db(3) });
    ordered.run_for(Span::from_secs(30));
    // Recorded: sts-create-never-ready.
    assert_eq!(steps_since(&ordered, Time::ZERO), "+0");
    assert_eq!(counts(&ordered), [1, 0, 0, 1, 1]);

    let mut bed = bed();
    bed.create(StatefulSet { template: template(BROKEN), ..parallel(3) });
    bed.run_for(Span::from_secs(30));
    assert_eq!(steps_since(&bed, Time::ZERO), "+0 +1 +2");
    image(&mut bed, "app:v2");
    bed.run_for(Span::from_secs(60));
    assert_eq!(images(&bed), "db-0:v2 db-1:v2 db-2:v2", "pods that are not ready are replaced all the same");
}

#[test]
fn in_parallel_all_come_and_go_at_once_and_updates_still_go_pod_by_pod() {
    let mut bed = bed();
    bed.create(parallel(5));
    bed.run_for(Span::from_millis(500));
    assert_eq!(steps_since(&bed, Time::ZERO), "+0 +1 +2 +3 +4");
    bed.run_for(Span::from_secs(10));
    let since = bed.now();
    image(&mut bed, "app:v2");
    bed.run_for(Span::from_secs(40));
    let expected = "x4 -4 +4 R4 x3 -3 +3 R3 x2 -2 +2 R2 x1 -1 +1 R1 x0 -0 +0 R0";
    assert_eq!(steps_since(&bed, since), expected);
    let since = bed.now();
    patch(&mut bed, Patch::Replicas(2));
    bed.run_for(Span::from_millis(500));
    // Recorded: sts-parallel: all three at once, the highest first.
    assert_eq!(steps_since(&bed, since), "x4 x3 x2");
    bed.run_for(Span::from_secs(5));
    assert_eq!(images(&bed), "db-0:v2 db-1:v2");
}

#[test]
fn a_pod_on_a_node_that_is_gone_is_not_replaced_until_it_is_removed_by_force() {
    let mut bed = bed();
    bed.create(db(3));
    bed.run_for(Span::from_secs(15));
    let victim = pods(&bed).iter().find(|pod| pod.node.as_deref() == Some("n2")).cloned().expect("n2 has a pod");
    bed.silence(1);
    let since = bed.now();
    bed.run_for(Span::from_secs(600));
    let name = victim.meta.name.strip_prefix("db-").unwrap().to_owned();
    // Recorded: node-dies-and-returns: the pod stays in its terminating state.
    assert_eq!(steps_since(&bed, since), format!("x{name}"));
    assert!(bed.get::<Pod>("default", &victim.meta.name).unwrap().meta.is_terminating());
    let key = key(Kind::Pod, &victim.meta.name);
    let grace = Some(Span::ZERO);
    bed.request(Request::Delete { key, uid: None, grace, propagation: Propagation::Background });
    bed.run_for(Span::from_millis(100));
    assert_eq!(steps_since(&bed, since), format!("x{name} -{name} +{name}"));
}

#[test]
fn pods_that_have_failed_or_succeeded_are_made_anew() {
    for phase in [Phase::Failed, Phase::Succeeded] {
        let mut bed = bed();
        bed.create(db(2));
        bed.run_for(Span::from_secs(10));
        let since = bed.now();
        let mut pod = Pod::clone(&bed.get::<Pod>("default", "db-0").unwrap());
        pod.status.phase = phase;
        bed.request(Request::UpdateStatus { object: Object::Pod(Arc::new(pod)), expected: None });
        bed.run_for(Span::from_secs(10));
        assert_eq!(
            steps_since(&bed, since),
            "x0 -0 +0 R0",
            "{phase:?}: a pod that has ended is marked and gone at once"
        );
    }
}

#[test]
fn scaling_in_goes_on_past_the_first_pod_that_is_not_well() {
    let mut bed = bed();
    bed.create(db(3));
    bed.run_for(Span::from_secs(15));
    image(&mut bed, BROKEN);
    bed.run_for(Span::from_secs(10));
    assert_eq!(images(&bed), "db-0:v1 db-1:v1 db-2:never-ready");
    let since = bed.now();
    patch(&mut bed, Patch::Replicas(1));
    bed.run_for(Span::from_secs(10));
    // db-2 is the first that is not well, so it may go; then db-1, and what is left is updated.
    assert!(steps_since(&bed, since).starts_with("x2 -2 x1 -1 x0"), "{}", steps_since(&bed, since));
}

#[test]
fn a_pod_counts_as_available_after_min_ready_and_the_next_waits_for_that() {
    let mut bed = bed();
    bed.create(StatefulSet { min_ready: Span::from_secs(10), ..db(2) });
    bed.run_for(Span::from_secs(5));
    assert_eq!(counts(&bed), [1, 1, 0, 1, 1]);
    bed.run_for(Span::from_secs(7));
    assert_eq!(steps_since(&bed, Time::ZERO), "+0 R0");
    // It is available at 13 s, but the queue has the set down for 10 s and, looked at then, for 20 s.
    bed.run_for(Span::from_secs(9));
    assert_eq!(steps_since(&bed, Time::ZERO), "+0 R0 +1");
    bed.run_for(Span::from_secs(40));
    assert_eq!(counts(&bed), [2, 2, 2, 2, 2]);
}

#[test]
fn moving_the_start_ordinal_makes_the_new_pods_first_and_removes_the_old_ones_then() {
    let mut bed = bed();
    bed.create(db(2));
    bed.run_for(Span::from_secs(10));
    let since = bed.now();
    assert!(update(&mut bed, |set| set.start_ordinal = Some(1)).is_ok());
    bed.run_for(Span::from_secs(15));
    assert_eq!(steps_since(&bed, since), "+2 R2 x0 -0");
}

#[test]
fn an_orphan_of_the_right_name_is_adopted_and_named_and_others_are_left_alone() {
    let mut bed = bed();
    let orphan = |name: &str| Pod {
        meta: Meta { labels: Labels::new([("app", "db")]), ..Meta::named("default", name) }.into(),
        ..Pod::default()
    };
    bed.create(orphan("db-1"));
    bed.create(orphan("other-0"));
    bed.create(db(2));
    bed.run_for(Span::from_secs(20));
    let owner = |name: &str| bed.get::<Pod>("default", name).unwrap().meta.controller().map(|owner| owner.uid);
    assert_eq!(owner("db-1"), Some(set(&bed).meta.uid));
    assert_eq!(owner("other-0"), None);
    let adopted = bed.get::<Pod>("default", "db-1").unwrap();
    assert_eq!(adopted.meta.labels.get("statefulset.kubernetes.io/pod-name").map(|name| &**name), Some("db-1"));
}

#[test]
fn a_pod_that_no_longer_matches_is_released_and_its_name_stays_taken() {
    let mut bed = bed();
    bed.create(db(2));
    bed.run_for(Span::from_secs(10));
    let label = Patch::Label { key: "app".into(), value: Some("debug".into()) };
    bed.request(Request::Patch { key: key(Kind::Pod, "db-0"), patch: label });
    bed.run_for(Span::from_secs(5));
    let released = bed.get::<Pod>("default", "db-0").unwrap();
    assert!(released.meta.owners.is_empty());
    assert_eq!(pods(&bed).len(), 2, "no second pod of that name can be made");
    assert_eq!(counts(&bed)[0], 1);
    delete(&mut bed, Kind::Pod, "db-0", Propagation::Background);
    bed.run_for(Span::from_secs(2_000));
    assert_eq!(counts(&bed), [2, 2, 2, 2, 2]);
}

#[test]
fn a_set_that_is_being_deleted_makes_no_pods_and_its_orphans_can_be_adopted() {
    let mut bed = bed();
    bed.create(db(3));
    bed.run_for(Span::from_secs(15));
    delete(&mut bed, Kind::StatefulSet, "db", Propagation::Orphan);
    bed.run_for(Span::from_secs(5));
    assert!(bed.get::<StatefulSet>("default", "db").is_none());
    assert_eq!((pods(&bed).len(), revisions(&bed).len()), (3, 1), "orphans stay");
    let since = bed.now();
    bed.create(db(3));
    bed.run_for(Span::from_secs(20));
    assert_eq!(steps_since(&bed, since), "", "the pods and their revision are taken over");
    assert_eq!((counts(&bed), revisions(&bed).len()), ([3, 3, 3, 3, 3], 1));
    delete(&mut bed, Kind::StatefulSet, "db", Propagation::Foreground);
    bed.run_for(Span::from_secs(10));
    assert_eq!((pods(&bed).len(), revisions(&bed).len()), (0, 0));
}

#[test]
fn a_deletion_of_the_set_takes_pods_and_revisions_along() {
    let mut bed = bed();
    bed.create(db(3));
    bed.run_for(Span::from_secs(15));
    delete(&mut bed, Kind::StatefulSet, "db", Propagation::Background);
    bed.run_for(Span::from_secs(10));
    assert_eq!((pods(&bed).len(), revisions(&bed).len()), (0, 0));
}

#[test]
fn what_is_immutable_is_refused_in_the_api_servers_words() {
    let mut bed = bed();
    bed.create(db(1));
    let refused = update(&mut bed, |set| set.service_name = "other".into()).unwrap_err();
    let expected = "StatefulSet.apps \"db\" is invalid: spec: Forbidden: updates to statefulset spec for fields other \
                    than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', \
                    'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
    assert_eq!(refused.to_string(), expected);
    assert!(update(&mut bed, |set| set.management = PodManagement::Parallel).is_err());
    assert!(update(&mut bed, |set| set.selector = Selector::from_labels(Labels::new([("app", "x")]))).is_err());
    let retention = ClaimRetention { deleted_with_set: true, deleted_with_pod: false };
    assert!(update(&mut bed, |set| set.claim_retention = retention).is_ok());
    assert!(update(&mut bed, |set| set.min_ready = Span::from_secs(1)).is_ok());
    assert_eq!(set(&bed).meta.generation, 3);
}

#[test]
fn a_slow_end_of_a_pod_is_waited_for() {
    let slow = StandIn { start: Span::ZERO, ready: Span::ZERO, term: Span::from_secs(20) };
    let mut bed = bed().with_stand_in(slow);
    bed.create(db(2));
    bed.run_for(Span::from_secs(5));
    let since = bed.now();
    patch(&mut bed, Patch::Replicas(0));
    bed.run_for(Span::from_secs(19));
    assert_eq!(steps_since(&bed, since), "x1");
    bed.run_for(Span::from_secs(25));
    assert_eq!(steps_since(&bed, since), "x1 -1 x0 -0");
}

#[test]
fn a_controller_manager_that_is_restarted_in_mid_rollout_goes_on_where_it_was() {
    use crate::id::ProcId;
    use crate::seam::Input;
    let mut bed = bed();
    bed.create(db(3));
    bed.run_for(Span::from_secs(15));
    image(&mut bed, "app:v2");
    for _ in 0..15 {
        bed.run_for(Span::from_millis(700));
        bed.input(Input::Crashed(ProcId::CONTROLLER_MANAGER));
        bed.run_for(Span::from_millis(300));
        bed.input(Input::Started(ProcId::CONTROLLER_MANAGER));
    }
    bed.run_for(Span::from_secs(15));
    assert_eq!(images(&bed), "db-0:v2 db-1:v2 db-2:v2");
    assert_eq!(counts(&bed), [3, 3, 3, 3, 3]);
}

#[test]
fn ordinals_are_read_from_names_as_the_source_does() {
    let ordinal = |name: &str| {
        let pod = Pod { meta: Meta::named("default", name).into(), ..Pod::default() };
        identity::parent_and_ordinal(&pod).map(|(parent, ordinal)| (parent.to_owned(), ordinal))
    };
    assert_eq!(ordinal("db-0"), Some(("db".to_owned(), Some(0))));
    assert_eq!(ordinal("db-a-007"), Some(("db-a".to_owned(), Some(7))));
    assert_eq!(ordinal("-5"), Some((String::new(), Some(5))));
    for name in ["db", "db-", "db-1a", "db-+1", "db1"] {
        assert_eq!(ordinal(name), None, "{name}");
    }
    assert_eq!(ordinal("db-2147483648"), Some(("db".to_owned(), None)), "too large for an ordinal");
}

#[test]
fn what_the_controller_does_is_said_in_its_own_words() {
    let mut bed = bed();
    bed.create(db(1));
    bed.run_for(Span::from_secs(5));
    patch(&mut bed, Patch::Replicas(0));
    bed.run_for(Span::from_secs(5));
    let said: Vec<String> =
        bed.events(Kind::StatefulSet, "db").iter().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect();
    let expected = [
        "Normal SuccessfulCreate x1: create Pod db-0 in StatefulSet db successful",
        "Normal SuccessfulDelete x1: delete Pod db-0 in StatefulSet db successful",
    ];
    assert_eq!(said, expected);
}
