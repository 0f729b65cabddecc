//! Whose pods are whose: adoption, release, overlapping sets, sets that go and come again.

use super::*;
use crate::facts::What;
use crate::model::{PodStatus, ResourceQuota};
use crate::quantity::{Format, Quantity};

fn named(name: &str, label: (&str, &str), replicas: u32) -> ReplicaSet {
    let labels = Labels::new([("app", "web"), label]);
    let selector = Selector::from_labels(labels.clone());
    let template = PodTemplate { labels, ..web(1).template };
    ReplicaSet { meta: Meta::named("default", name), selector, template, ..web(replicas) }
}

fn bare(name: &str) -> Pod {
    let labels = Labels::new([("app", "web")]);
    Pod { meta: Meta { labels, ..Meta::named("default", name) }.into(), ..Pod::default() }
}

fn label(bed: &mut Testbed, pod: &str, key: &str, value: Option<&str>) {
    let patch = Patch::Label { key: key.into(), value: value.map(Into::into) };
    bed.request(Request::Patch { key: ObjectKey::new(Kind::Pod, "default", pod), patch });
    bed.run_for(Span::from_secs(10));
}

fn owned(bed: &Testbed, set: &str) -> usize {
    let uid = bed.get::<ReplicaSet>("default", set).unwrap().meta.uid;
    bed.core.newest().controlled_by::<Pod>(uid).count()
}

fn delete(bed: &mut Testbed, kind: Kind, name: &str, propagation: Propagation) {
    let key = ObjectKey::new(kind, "default", name);
    bed.request(Request::Delete { key, uid: None, grace: None, propagation });
}

#[test]
fn sets_of_one_selector_keep_to_their_own_pods() {
    let mut bed = bed();
    for name in ["a", "b", "c"] {
        bed.create(ReplicaSet { meta: Meta::named("default", name), ..web(2) });
    }
    bed.run_for(Span::from_secs(10));
    assert_eq!(["a", "b", "c"].map(|name| owned(&bed, name)), [2, 2, 2]);
    let first =
        bed.core.newest().all::<Pod>().find(|(_, pod)| pod.meta.name.starts_with("b-")).unwrap().1.meta.name.clone();
    delete(&mut bed, Kind::Pod, &first, Propagation::Background);
    bed.run_for(Span::from_secs(10));
    assert_eq!(["a", "b", "c"].map(|name| owned(&bed, name)), [2, 2, 2], "its own set replaces it");
}

#[test]
fn an_orphan_goes_to_one_of_the_sets_that_select_it_and_a_pod_of_another_manager_to_none() {
    let mut bed = bed();
    bed.create(web(1));
    bed.create(named("other", ("role", "db"), 0));
    bed.run_for(Span::from_secs(10));
    // One of the managers has the name of the set.
    for name in ["someone", "web"] {
        let mut foreign = bare(&format!("foreign-{name}"));
        bed.create(Service { meta: Meta::named("default", name), ..Service::default() });
        let owner = bed.get::<Service>("default", name).unwrap();
        foreign.meta.owners = [owned_by(Kind::Service, &owner.meta)].into();
        bed.create(foreign);
        bed.run_for(Span::from_secs(1));
        assert_eq!(owned(&bed, "web"), 1, "{name}");
        assert_eq!(bed.get::<ReplicaSet>("default", "web").unwrap().status.replicas, 1, "it is not counted either");
    }
    bed.create(bare("extra"));
    bed.run_for(Span::from_secs(10));
    assert_eq!(owned(&bed, "web"), 1, "the orphan was adopted and one of two went");
    assert!(bed.told().iter().any(|line| line.contains("extra") || line.contains("web-")), "something was deleted");
}

#[test]
fn a_pod_that_changes_its_labels_changes_its_set() {
    let mut bed = bed();
    bed.create(named("blue", ("color", "blue"), 1));
    bed.create(named("green", ("color", "green"), 1));
    bed.run_for(Span::from_secs(10));
    let pod =
        bed.core.newest().all::<Pod>().find(|(_, pod)| pod.meta.name.starts_with("blue-")).unwrap().1.meta.name.clone();
    label(&mut bed, &pod, "extra", Some("label"));
    assert_eq!(pods(&bed).len(), 2, "labels that nobody selects by change nothing");
    label(&mut bed, &pod, "color", Some("green"));
    assert_eq!((owned(&bed, "blue"), owned(&bed, "green")), (1, 1), "released here, adopted there, one too many went");
    label(&mut bed, &pod, "color", None);
    let left = bed.get::<Pod>("default", &pod);
    assert!(left.is_none_or(|pod| pod.meta.owners.is_empty()), "what nobody selects belongs to nobody");
    assert_eq!((owned(&bed, "blue"), owned(&bed, "green")), (1, 1));
}

#[test]
fn a_set_that_is_being_deleted_neither_adopts_nor_releases_nor_makes_pods() {
    let mut bed = bed();
    let mut held = web(2);
    held.meta.finalizers = ["example.com/hold".into()].into();
    bed.create(held);
    bed.run_for(Span::from_secs(10));
    delete(&mut bed, Kind::ReplicaSet, "web", Propagation::Background);
    bed.run_for(Span::from_secs(1));
    bed.create(bare("lone"));
    let own = pods(&bed).iter().find(|pod| pod.meta.name.starts_with("web-")).unwrap().meta.name.clone();
    label(&mut bed, &own, "app", Some("debug"));
    scale(&mut bed, 5);
    bed.run_for(Span::from_secs(10));
    assert!(bed.get::<Pod>("default", "lone").unwrap().meta.owners.is_empty());
    assert_eq!(bed.get::<Pod>("default", &own).unwrap().meta.owners.len(), 1);
    assert_eq!(pods(&bed).len(), 3);
}

#[test]
fn a_set_that_comes_again_under_its_name_starts_without_old_expectations() {
    // The controller's client is slow, so the first set goes while most of its pods are still being asked for.
    let mut bed = Testbed::new(Config::default());
    bed.create(web(200));
    bed.run_for(Span::from_secs(2));
    delete(&mut bed, Kind::ReplicaSet, "web", Propagation::Background);
    bed.create(web(3));
    bed.run_for(Span::from_secs(60));
    let set = bed.get::<ReplicaSet>("default", "web").unwrap();
    assert_eq!((owned(&bed, "web"), set.status.replicas), (3, 3));
    assert_eq!(pods(&bed).len(), 3, "the pods of the first set are gone");
}

#[test]
fn a_scale_down_and_up_again_waits_for_the_deletions_that_it_asked_for() {
    let slow = StandIn { start: Span::ZERO, ready: Span::ZERO, term: Span::from_secs(20) };
    let mut bed = bed().with_stand_in(slow);
    bed.create(web(6));
    bed.run_for(Span::from_secs(5));
    scale(&mut bed, 2);
    bed.run_for(Span::from_millis(100));
    let ends = |bed: &Testbed| pods(bed).iter().filter(|pod| pod.meta.is_terminating()).count();
    assert_eq!(ends(&bed), 4, "a deletion counts as seen when the pod begins to end");
    scale(&mut bed, 3);
    bed.run_for(Span::from_secs(1));
    assert_eq!((pods(&bed).len(), ends(&bed)), (7, 4), "one is made beside those that end, none is deleted twice");
    bed.run_for(Span::from_secs(30));
    assert_eq!(pods(&bed).len(), 3);
}

#[test]
fn a_burst_stops_at_the_first_batch_that_is_refused() {
    let mut bed = bed();
    let mut quota = ResourceQuota { meta: Meta::named("default", "few"), ..ResourceQuota::default() };
    quota.hard = [("pods".into(), Quantity::from_units(10, Format::DecimalSi))].into();
    bed.create(quota);
    bed.create(web(100));
    bed.run_for(Span::from_secs(2));
    assert_eq!(pods(&bed).len(), 10);
    let set = bed.get::<ReplicaSet>("default", "web").unwrap();
    let condition = set.status.conditions.get(ConditionKind::ReplicaFailure).unwrap();
    assert_eq!((&*condition.reason, set.status.replicas), ("FailedCreate", 10));
    // 1 + 2 + 4 + 8 were asked for, of which five were refused, and no more.
    let until = bed.facts.iter().position(|(_, fact)| matches!(&fact.what, What::Condition { .. })).unwrap();
    let refused = bed.facts[..until].iter().filter(|(_, fact)| matches!(fact.what, What::Refused { .. })).count();
    assert_eq!(refused, 5, "{:?}", bed.told());
}

#[test]
fn a_set_that_was_refused_tries_again_when_a_pod_of_it_changes() {
    let mut bed = bed();
    let mut quota = ResourceQuota { meta: Meta::named("default", "few"), ..ResourceQuota::default() };
    quota.hard = [("pods".into(), Quantity::from_units(3, Format::DecimalSi))].into();
    bed.create(quota);
    bed.create(web(5));
    // By now the back-off is 20 s and more: the next try of itself is due after 40 s.
    bed.run_for(Span::from_secs(25));
    let refused = |bed: &Testbed| bed.facts.iter().filter(|(_, it)| matches!(it.what, What::Refused { .. })).count();
    let before = refused(&bed);
    bed.run_for(Span::from_secs(5));
    assert_eq!(refused(&bed), before, "nothing happens, so nothing is tried");
    let mut pod = Pod::clone(&pods(&bed)[0]);
    let mut status = PodStatus::clone(&pod.status);
    status.message = "a change that no count shows".into();
    pod.status = status.into();
    bed.request(Request::UpdateStatus { object: Object::Pod(Arc::new(pod)), expected: None });
    bed.run_for(Span::from_secs(5));
    assert!(refused(&bed) > before, "{:?}", bed.told());
}

#[test]
fn a_template_that_names_its_node_has_all_its_pods_there() {
    use crate::model::PlacementRules;
    let mut bed = Testbed::new(Config::default());
    bed.add_node(0, "n1", "a", 8_000, 1 << 34);
    bed.add_node(1, "n2", "b", 8_000, 1 << 34);
    let rules = Some(Box::new(PlacementRules { template_node: Some("n2".into()), ..PlacementRules::default() }));
    let set = web(3);
    let spec = Shared::new(PodSpec { rules, ..PodSpec::clone(&set.template.spec) });
    bed.create(ReplicaSet { template: PodTemplate { spec, ..set.template.clone() }, ..set });
    bed.run_for(Span::from_secs(10));
    assert!(pods(&bed).iter().all(|pod| pod.node.as_deref() == Some("n2") && pod.is_ready()), "{:?}", bed.told());
    assert_eq!(owned(&bed, "web"), 3);
}
