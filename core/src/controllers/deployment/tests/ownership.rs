//! Whose ReplicaSets are whose, and what a Deployment that goes or selects everything does.

use super::*;
use crate::model::ObjectKey;

fn key_of(kind: Kind, name: &str) -> ObjectKey {
    NamespacedName::new("default".into(), name.into()).of(kind)
}

fn named(name: &str, replicas: u32) -> Deployment {
    Deployment { meta: Meta::named("default", name), ..web(replicas) }
}

#[test]
fn two_deployments_of_one_selector_leave_each_others_sets_alone() {
    let mut bed = bed();
    bed.create(named("blue", 2));
    bed.create(named("green", 3));
    bed.run_for(Span::from_secs(10));
    for (name, size) in [("blue", 2), ("green", 3)] {
        let owner = bed.get::<Deployment>("default", name).unwrap();
        assert_eq!((owner.status.replicas, owner.status.available), (size, size), "{name}");
        let sets: Vec<_> =
            bed.core.newest().controlled_by::<ReplicaSet>(owner.meta.uid).map(|(_, set)| set.replicas).collect();
        assert_eq!(sets, [size], "{name}");
    }
    let set =
        bed.core.newest().all::<ReplicaSet>().find(|(_, set)| set.replicas == 3).map(|(_, set)| set.clone()).unwrap();
    bed.request(Request::Delete {
        key: key_of(Kind::ReplicaSet, &set.meta.name),
        uid: None,
        grace: None,
        propagation: Propagation::Background,
    });
    bed.run_for(Span::from_secs(10));
    assert_eq!(sizes(&bed), [2, 3], "a deleted ReplicaSet wakes its own Deployment, which makes it anew");
    assert_eq!(bed.get::<Deployment>("default", "blue").unwrap().status.collision_count, 0);
}

#[test]
fn a_set_that_is_relabelled_is_released_and_its_name_counts_as_taken() {
    let mut bed = bed();
    bed.create(web(2));
    bed.run_for(Span::from_secs(10));
    let name = bed.core.newest().all::<ReplicaSet>().next().unwrap().1.meta.name.clone();
    let patch = Patch::Label { key: "app".into(), value: Some("debug".into()) };
    bed.request(Request::Patch { key: key_of(Kind::ReplicaSet, &name), patch });
    bed.run_for(Span::from_secs(10));
    assert!(bed.get::<ReplicaSet>("default", &name).unwrap().meta.owners.is_empty(), "released");
    assert_eq!(sizes(&bed), [2, 2], "another one is made");
    assert_eq!(deployment(&bed).status.collision_count, 1);
    assert_eq!(deployment(&bed).status.replicas, 2, "the released one counts no more");
    let patch = Patch::Label { key: "app".into(), value: Some("web".into()) };
    bed.request(Request::Patch { key: key_of(Kind::ReplicaSet, &name), patch });
    bed.run_for(Span::from_secs(20));
    let owners = bed.get::<ReplicaSet>("default", &name).unwrap().meta.owners.len();
    assert_eq!(owners, 1, "an orphan with the right labels wakes the Deployment, which adopts it");
    assert_eq!(sizes(&bed), [2, 0], "and, being older and of the same template, it is the new one");
}

#[test]
fn a_deployment_that_is_being_deleted_only_reports() {
    let mut bed = bed();
    bed.create(web(3));
    bed.run_for(Span::from_secs(10));
    let mut held = Deployment::clone(&deployment(&bed));
    held.meta.finalizers = ["example.com/hold".into()].into();
    bed.request(Request::Update { object: Object::Deployment(Arc::new(held)), expected: None });
    bed.run_for(Span::ZERO);
    let key = key_of(Kind::Deployment, "web");
    bed.request(Request::Delete { key, uid: None, grace: None, propagation: Propagation::Background });
    patch(&mut bed, Patch::Replicas(7));
    bed.run_for(Span::from_secs(20));
    assert!(deployment(&bed).meta.is_terminating());
    assert_eq!(sizes(&bed), [3], "no ReplicaSet is scaled any more");
    assert_eq!(deployment(&bed).status.observed_generation, deployment(&bed).meta.generation);
}

#[test]
fn annotations_of_a_deployment_make_a_new_generation_and_labels_do_not() {
    let mut bed = bed();
    bed.create(web(1));
    bed.run_for(Span::from_secs(10));
    assert_eq!(deployment(&bed).meta.generation, 1, "its controller writes the revision with the status");
    patch(&mut bed, Patch::Label { key: "team".into(), value: Some("till".into()) });
    bed.run_for(Span::from_secs(1));
    assert_eq!(deployment(&bed).meta.generation, 1);
    patch(&mut bed, Patch::Annotation { key: "note".into(), value: Some("x".into()) });
    bed.run_for(Span::from_secs(1));
    assert_eq!((deployment(&bed).meta.generation, deployment(&bed).status.observed_generation), (2, 2));
}

#[test]
fn a_deployment_that_selects_everything_makes_nothing() {
    let mut bed = bed();
    bed.create(Deployment { selector: Selector::default(), ..web(3) });
    bed.run_for(Span::from_secs(10));
    assert_eq!(sizes(&bed), [0_u32; 0]);
    assert_eq!(deployment(&bed).status.observed_generation, 1);
    assert!(
        bed.events(Kind::Deployment, "web")[0].contains("Warning SelectingAll"),
        "{:?}",
        bed.events(Kind::Deployment, "web")
    );
}

#[test]
fn recreate_does_not_wait_for_pods_that_have_finished_but_nothing_wakes_it_before_its_deadline() {
    let mut bed =
        bed().with_ends(|pod| pod.spec.containers[0].image.ends_with("v1").then_some((Span::from_secs(20), 1)));
    let (strategy, progress_deadline) = (DeploymentStrategy::Recreate, Some(Span::from_secs(60)));
    bed.create(Deployment { strategy, progress_deadline, ..web(1) });
    bed.run_for(Span::from_secs(23));
    let ended = bed.core.newest().all::<Pod>().filter(|(_, pod)| pod.is_finished()).count();
    assert_eq!(ended, 1, "the first pod has failed and was replaced");
    image(&mut bed, "app:v2");
    bed.run_for(Span::from_secs(15));
    // The end of a pod wakes the Deployment only if no pod of any kind is left, as in Kubernetes.
    assert_eq!(sizes(&bed), [0]);
    bed.run_for(Span::from_secs(60));
    assert_eq!(sizes(&bed), [0, 1]);
    assert_eq!(deployment(&bed).status.available, 1);
    let left: Vec<_> = bed.core.newest().all::<Pod>().map(|(_, pod)| pod.status.phase).collect();
    assert!(left.contains(&crate::model::Phase::Failed), "the finished pod is still there: {left:?}");
}

#[test]
fn recreate_waits_for_old_pods_of_every_phase_that_is_not_final() {
    use crate::model::Phase::{Failed, Pending, Running, Succeeded, Unknown};
    use crate::testbed::StandIn;
    let slow = StandIn { start: Span::ZERO, ready: Span::ZERO, term: Span::from_secs(10_000) };
    for (phases, waits) in [
        ([Running, Running], true),
        ([Unknown, Failed], true),
        ([Pending, Succeeded], true),
        ([Failed, Running], true),
        ([Failed, Succeeded], false),
        ([Succeeded, Succeeded], false),
    ] {
        let mut bed = bed().with_stand_in(slow);
        let mut other = web(1);
        other.meta.name = "other".into();
        other.selector = Selector::from_labels(Labels::new([("app", "other")]));
        other.template.labels = Labels::new([("app", "other")]);
        bed.create(other);
        bed.create(Deployment { strategy: DeploymentStrategy::Recreate, ..web(2) });
        bed.run_for(Span::from_secs(5));
        image(&mut bed, "app:v2");
        bed.run_for(Span::from_secs(1));
        let is_old = |pod: &Pod| pod.meta.is_terminating();
        let old: Vec<_> =
            bed.core.newest().all::<Pod>().map(|(_, pod)| pod.clone()).filter(|pod| is_old(pod)).collect();
        assert_eq!(old.len(), 2, "the pods of the other Deployment stay: {:?}", bed.told());
        for (pod, phase) in old.iter().zip(phases) {
            let mut changed = Pod::clone(pod);
            changed.status.phase = phase;
            bed.request(Request::UpdateStatus { object: Object::Pod(Arc::new(changed)), expected: None });
        }
        // Nothing but the end of the last pod wakes the Deployment; so does a change of its own.
        patch(&mut bed, Patch::Annotation { key: "look".into(), value: Some("again".into()) });
        bed.run_for(Span::from_secs(5));
        let sets = bed.core.newest().all::<ReplicaSet>().filter(|(_, set)| set.meta.name.starts_with("web-")).count();
        assert_eq!(sets == 1, waits, "{phases:?}: {:?}", bed.told());
    }
}

#[test]
fn an_orphan_goes_to_the_deployment_that_selects_it_and_one_that_nobody_selects_to_none() {
    let mut bed = bed();
    let app = |name: &str| Labels::new([("app", name)]);
    for name in ["a", "b", "c"] {
        let selector = Selector::from_labels(app(name));
        let template = PodTemplate { labels: app(name), ..web(1).template };
        bed.create(Deployment { selector, template, ..named(name, 0) });
    }
    bed.run_for(Span::from_secs(1));
    for name in ["a", "b", "c", "d", "e"] {
        let meta = Meta { labels: app(name), ..Meta::named("default", &format!("set-{name}")) };
        let template = PodTemplate { labels: app(name), ..web(1).template };
        bed.create(ReplicaSet { meta, selector: Selector::from_labels(app(name)), template, ..ReplicaSet::default() });
    }
    bed.run_for(Span::from_secs(5));
    for (name, owner) in [("a", Some("a")), ("b", Some("b")), ("c", Some("c")), ("d", None), ("e", None)] {
        let set = bed.get::<ReplicaSet>("default", &format!("set-{name}")).expect("the ReplicaSet is there");
        assert_eq!(set.meta.controller().map(|owner| &*owner.name), owner, "set-{name}");
    }
}
