//! What every controller that owns by selector does alike: it adopts only while it stays, an object that changes hands
//! wakes both owners, and what is refused is tried again without anything being done twice.

use std::sync::Arc;

use super::{ControllerManager, owned_by};
use crate::api::{Patch, Propagation, Refusal, Request};
use crate::author::controller_name;
use crate::config::Config;
use crate::digest::Shared;
use crate::id::Revision;
use crate::model::{
    Container, DaemonSet, Deployment, Job, JobSpec, Kind, Labels, Meta, MetaExtras, Object, ObjectKey, Pod, PodSpec,
    PodTemplate, ReplicaSet, RestartPolicy, Selector, StatefulSet,
};
use crate::store::Stored;
use crate::testbed::Testbed;
use crate::time::Span;

const KINDS: [Kind; 5] = [Kind::Deployment, Kind::ReplicaSet, Kind::StatefulSet, Kind::DaemonSet, Kind::Job];

fn bed() -> Testbed {
    let mut config = Config::default();
    config.controller_manager.client_limit = None;
    Testbed::new(config).with_binder(&["n1"])
}

fn labels() -> Labels {
    Labels::new([("app", "web")])
}

fn template(kind: Kind) -> PodTemplate {
    let restart_policy = if kind == Kind::Job { RestartPolicy::Never } else { RestartPolicy::Always };
    let container = Container { name: "app".into(), image: "app:v1".into(), ..Container::default() };
    let spec = PodSpec { containers: vec![container], restart_policy, ..PodSpec::default() };
    PodTemplate { labels: labels(), spec: Shared::new(spec), ..PodTemplate::default() }
}

/// An owner that wants so many objects, and that stays when it is deleted until somebody lets it go.
fn owner(kind: Kind, name: &str, replicas: u32) -> Object {
    let extras = MetaExtras { finalizers: ["example.com/hold".into()].into(), ..MetaExtras::default() }.into();
    let meta = Meta { extras, ..Meta::named("default", name) };
    let (selector, template) = (Selector::from_labels(labels()), template(kind));
    match kind {
        Kind::Deployment => {
            let deployment =
                Deployment { meta, replicas, selector, template, revision_history_limit: 10, ..Deployment::default() };
            Object::Deployment(Arc::new(deployment))
        }
        Kind::ReplicaSet => {
            Object::ReplicaSet(Arc::new(ReplicaSet { meta, replicas, selector, template, ..ReplicaSet::default() }))
        }
        Kind::StatefulSet => {
            Object::StatefulSet(Arc::new(StatefulSet { meta, replicas, selector, template, ..StatefulSet::default() }))
        }
        Kind::DaemonSet => Object::DaemonSet(Arc::new(DaemonSet { meta, selector, template, ..DaemonSet::default() })),
        Kind::Job => {
            let spec = JobSpec {
                parallelism: replicas,
                completions: None,
                manual_selector: true,
                backoff_limit: 6,
                selector,
                template,
                ..JobSpec::default()
            };
            Object::Job(Arc::new(Job { meta, spec, ..Job::default() }))
        }
        other => panic!("{other:?} owns nothing by selector"),
    }
}

/// An object without an owner that an owner of this kind selects.
fn orphan(kind: Kind) -> Object {
    let meta = Meta { labels: labels(), ..Meta::named("default", "web-0") };
    match kind {
        Kind::Deployment => {
            let (selector, template) = (Selector::from_labels(labels()), template(kind));
            Object::ReplicaSet(Arc::new(ReplicaSet { meta, selector, template, ..ReplicaSet::default() }))
        }
        _ => {
            let spec = template(kind).spec;
            Object::Pod(Arc::new(Pod { meta: meta.into(), spec, node: Some("n1".into()), ..Pod::default() }))
        }
    }
}

/// Whether `web` has made `web-0` its own, or has already deleted it as one too many.
fn is_taken(bed: &Testbed, kind: Kind) -> bool {
    let taken = |meta: &Meta| meta.is_terminating() || meta.controller().is_some_and(|owner| *owner.name == *"web");
    match kind {
        Kind::Deployment => bed.get::<ReplicaSet>("default", "web-0").is_none_or(|set| taken(&set.meta)),
        _ => bed.get::<Pod>("default", "web-0").is_none_or(|pod| taken(&pod.meta)),
    }
}

/// How many pods an owner has that are not being deleted; for a Deployment, how many its ReplicaSets want.
fn size(bed: &Testbed, kind: Kind, owner: &str) -> u32 {
    let is_own = |meta: &Meta| meta.controller().is_some_and(|it| it.kind == kind && *it.name == *owner);
    let view = bed.core.newest();
    match kind {
        Kind::Deployment => {
            view.all::<ReplicaSet>().filter(|(_, set)| is_own(&set.meta)).map(|(_, set)| set.replicas).sum()
        }
        _ => view.all::<Pod>().filter(|(_, pod)| is_own(&pod.meta) && !pod.meta.is_terminating()).count() as u32,
    }
}

fn create(bed: &mut Testbed, object: Object) {
    let id = bed.request(Request::Create(object));
    bed.run_for(Span::ZERO);
    assert!(bed.answers[&id].is_ok(), "{:?}", bed.answers[&id]);
}

#[test]
fn every_controller_has_a_name() {
    let manager = ControllerManager::new(&Config::default());
    let nameless: Vec<u8> =
        manager.controllers.iter().map(|it| it.number).filter(|number| controller_name(*number).is_none()).collect();
    assert_eq!(nameless, Vec::<u8>::new());
}

#[test]
fn an_owner_whose_deletion_the_watch_has_yet_to_show_adopts_nothing() {
    for kind in KINDS {
        for deleted in [false, true] {
            let mut bed = bed();
            create(&mut bed, owner(kind, "web", 0));
            bed.run_for(Span::from_secs(5));
            // Both are stored before the first of them is told.
            bed.request(Request::Create(orphan(kind)));
            if deleted {
                let key = ObjectKey::new(kind, "default", "web");
                bed.request(Request::Delete { key, uid: None, grace: None, propagation: Propagation::Background });
            }
            bed.run_for(Span::from_secs(3));
            assert_eq!(is_taken(&bed, kind), !deleted, "{kind:?}, deleted: {deleted}: {:#?}", bed.told());
        }
    }
}

#[test]
fn an_object_whose_owner_is_exchanged_in_one_write_wakes_both() {
    for kind in KINDS {
        let mut bed = bed();
        bed.add_node(0, "n1", "a", 8_000, 1 << 34);
        create(&mut bed, owner(kind, "web", 1));
        bed.run_for(Span::from_secs(10));
        create(&mut bed, owner(kind, "other", 0));
        bed.run_for(Span::from_secs(10));
        // A DaemonSet has a pod on each node whatever is asked for.
        let of_other = u32::from(kind == Kind::DaemonSet);
        let sizes = |bed: &Testbed| (size(bed, kind, "web"), size(bed, kind, "other"));
        assert_eq!(sizes(&bed), (1, of_other), "{kind:?} before: {:#?}", bed.told());
        let view = bed.core.newest();
        let new_owner = match kind {
            Kind::Deployment => owned_by(kind, &bed.get::<Deployment>("default", "other").unwrap().meta),
            Kind::ReplicaSet => owned_by(kind, &bed.get::<ReplicaSet>("default", "other").unwrap().meta),
            Kind::StatefulSet => owned_by(kind, &bed.get::<StatefulSet>("default", "other").unwrap().meta),
            Kind::DaemonSet => owned_by(kind, &bed.get::<DaemonSet>("default", "other").unwrap().meta),
            _ => owned_by(kind, &bed.get::<Job>("default", "other").unwrap().meta),
        };
        let is_web_s = |meta: &Meta| meta.controller().is_some_and(|owner| *owner.name == *"web");
        let object = if kind == Kind::Deployment {
            let mut set = view.all::<ReplicaSet>().find(|(_, set)| is_web_s(&set.meta)).unwrap().1.clone();
            Arc::make_mut(&mut set).meta.owners = [new_owner].into();
            Object::ReplicaSet(set)
        } else {
            let mut pod = view.all::<Pod>().find(|(_, pod)| is_web_s(&pod.meta)).unwrap().1.clone();
            Arc::make_mut(&mut pod).meta.owners = [new_owner].into();
            Object::Pod(pod)
        };
        let id = bed.request(Request::Update { object, expected: None });
        bed.run_for(Span::ZERO);
        assert!(bed.answers[&id].is_ok(), "{kind:?}: {:?}", bed.answers[&id]);
        bed.run_for(Span::from_secs(20));
        assert_eq!(sizes(&bed), (1, of_other), "{kind:?} after: {:#?}", bed.told());
    }
}

/// How many pods (for a Deployment ReplicaSets) there are, those that are being deleted included.
fn all(bed: &Testbed, kind: Kind) -> usize {
    match kind {
        Kind::Deployment => bed.core.newest().all::<ReplicaSet>().count(),
        _ => bed.core.newest().all::<Pod>().count(),
    }
}

/// The kind of what an owner of this kind owns.
fn owned_kind(kind: Kind) -> Kind {
    if kind == Kind::Deployment { Kind::ReplicaSet } else { Kind::Pod }
}

fn scale(bed: &mut Testbed, kind: Kind, to: u32) {
    // The pods of a DaemonSet are as many as its nodes.
    let (key, patch) = match kind {
        Kind::DaemonSet => {
            let taint = Patch::Label { key: "agents".into(), value: (to > 0).then(|| "yes".into()) };
            (ObjectKey::new(Kind::Node, "", "n1"), taint)
        }
        _ => (ObjectKey::new(kind, "default", "web"), Patch::Replicas(to)),
    };
    bed.request(Request::Patch { key, patch });
}

/// A bed with an owner of no pods; a DaemonSet that wants nodes with a label which none has.
fn bed_of(kind: Kind) -> Testbed {
    let mut bed = bed();
    bed.add_node(0, "n1", "a", 8_000, 1 << 34);
    let mut web = owner(kind, "web", 0);
    if let Object::DaemonSet(set) = &mut web {
        let set = Arc::make_mut(set);
        let node_selector = Labels::new([("agents", "yes")]);
        set.template.spec = Shared::new(PodSpec { node_selector, ..PodSpec::clone(&set.template.spec) });
    }
    create(&mut bed, web);
    bed.run_for(Span::from_secs(5));
    bed
}

/// What is refused in the tests below, and how often.
const REFUSED: u32 = 2;

fn refusals() -> [Refusal; 2] {
    let key = ObjectKey::new(Kind::Pod, "default", "p");
    let conflict = Refusal::Conflict { key, expected: Revision(1), stored: Revision(2) };
    [Refusal::Internal { message: "the disk is full".into() }, conflict]
}

#[test]
fn an_adoption_that_is_refused_ends_the_sync_and_is_tried_again() {
    for kind in KINDS {
        let mut bed = bed_of(kind);
        let before = all(&bed, kind);
        bed.refuse(
            REFUSED,
            move |request| matches!(request, Request::Update { object, .. } if object.kind() == owned_kind(kind)),
        );
        // One is wanted, and one is there that can be adopted.
        bed.request(Request::Create(orphan(kind)));
        scale(&mut bed, kind, 1);
        bed.run_for(Span::from_millis(4));
        assert_eq!(all(&bed, kind), before + 1, "{kind:?} makes another while it cannot adopt");
        bed.run_for(Span::from_secs(30));
        assert_eq!(bed.refusals_left(), 0, "{kind:?}: {:#?}", bed.told());
        assert!(is_taken(&bed, kind), "{kind:?}: {:#?}", bed.told());
        assert_eq!(size(&bed, kind, "web"), 1, "{kind:?}: {:#?}", bed.told());
    }
}

#[test]
fn a_creation_that_is_refused_is_tried_again_and_nothing_is_made_twice() {
    for kind in KINDS {
        let mut bed = bed_of(kind);
        let owner_kind = kind;
        bed.refuse(REFUSED, move |request| {
            matches!(request, Request::Create(object) if object.kind() == Kind::Pod && owner_kind != Kind::Deployment
                || object.kind() == Kind::ReplicaSet)
        });
        if kind == Kind::Deployment {
            let key = ObjectKey::new(kind, "default", "web");
            bed.request(Request::Patch { key, patch: Patch::Image { container: "*".into(), image: "app:v2".into() } });
        }
        scale(&mut bed, kind, 1);
        bed.run_for(Span::from_secs(60));
        assert_eq!(bed.refusals_left(), 0, "{kind:?}: {:#?}", bed.told());
        assert_eq!(size(&bed, kind, "web"), 1, "{kind:?}: {:#?}", bed.told());
        let pods = bed.core.newest().all::<Pod>().count();
        assert_eq!(pods, 1, "{kind:?}: {:#?}", bed.told());
    }
}

#[test]
fn a_deletion_that_is_refused_is_tried_again_and_no_pod_goes_in_its_place() {
    for kind in [Kind::ReplicaSet, Kind::StatefulSet, Kind::DaemonSet, Kind::Job] {
        let mut bed = bed_of(kind);
        let most = if kind == Kind::DaemonSet { 1 } else { 3 };
        scale(&mut bed, kind, most);
        bed.run_for(Span::from_secs(20));
        assert_eq!(size(&bed, kind, "web"), most, "{kind:?}: {:#?}", bed.told());
        bed.refuse(REFUSED, |request| matches!(request, Request::Delete { key, .. } if key.kind == Kind::Pod));
        scale(&mut bed, kind, most - 1);
        bed.run_for(Span::from_millis(2));
        assert_eq!(all(&bed, kind) as u32, most, "{kind:?}");
        bed.run_for(Span::from_secs(40));
        assert_eq!(bed.refusals_left(), 0, "{kind:?}: {:#?}", bed.told());
        assert_eq!(size(&bed, kind, "web"), most - 1, "{kind:?}: {:#?}", bed.told());
        assert_eq!(all(&bed, kind) as u32, most - 1, "{kind:?}: {:#?}", bed.told());
    }
}

/// The counts of an owner's status, and the generation that they belong to.
fn counted(bed: &Testbed, kind: Kind) -> (u32, u32) {
    fn read<T: Stored>(bed: &Testbed) -> Arc<T> {
        bed.get::<T>("default", "web").expect("the owner is there")
    }
    match kind {
        Kind::Deployment => {
            let status = &read::<Deployment>(bed).status;
            (status.replicas, status.observed_generation)
        }
        Kind::ReplicaSet => {
            let status = &read::<ReplicaSet>(bed).status;
            (status.replicas, status.observed_generation)
        }
        Kind::StatefulSet => {
            let status = &read::<StatefulSet>(bed).status;
            (status.replicas, status.observed_generation)
        }
        Kind::DaemonSet => {
            let status = &read::<DaemonSet>(bed).status;
            (status.current, status.observed_generation)
        }
        _ => (read::<Job>(bed).status.active, 0),
    }
}

#[test]
fn a_status_that_is_refused_is_written_later() {
    for kind in KINDS {
        for refusal in refusals() {
            let mut bed = bed_of(kind);
            bed.refuse_with(
                REFUSED,
                refusal.clone(),
                move |request| matches!(request, Request::UpdateStatus { object, .. } if object.kind() == kind),
            );
            scale(&mut bed, kind, 1);
            bed.run_for(Span::from_secs(60));
            assert_eq!(bed.refusals_left(), 0, "{kind:?}, {refusal}: {:#?}", bed.told());
            let generation = match kind {
                Kind::Job => 0,
                Kind::DaemonSet => 1,
                _ => 2,
            };
            assert_eq!(counted(&bed, kind), (1, generation), "{kind:?}, {refusal}: {:#?}", bed.told());
            assert_eq!(bed.core.newest().all::<Pod>().count(), 1, "{kind:?}, {refusal}: {:#?}", bed.told());
        }
    }
}
