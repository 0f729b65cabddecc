//! Whose ReplicaSets are whose, and what a Deployment that goes or selects everything does.

use super::*;
use crate::model::ObjectKey;

fn key_of(kind: Kind, name: &str) -> ObjectKey {
    NamespacedName { namespace: "default".into(), name: name.into() }.of(kind)
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
