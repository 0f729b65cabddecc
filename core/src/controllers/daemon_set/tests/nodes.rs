//! What becomes of a DaemonSet's pods when nodes come, go and change, and whose pods are whose.

use super::*;
use crate::model::{ContainerPort, Protocol};
use crate::model::{PlacementRules, Service};

fn label_node(bed: &mut Testbed, node: &str, key: &str, value: Option<&str>) {
    let patch = Patch::Label { key: key.into(), value: value.map(Into::into) };
    bed.request(Request::Patch { key: key_of_node(node), patch });
    bed.run_for(Span::from_secs(10));
}

fn key_of_node(node: &str) -> ObjectKey {
    key(Kind::Node, node)
}

fn on_ssd() -> DaemonSet {
    let agent = agent();
    let spec = PodSpec { node_selector: Labels::new([("disk", "ssd")]), ..PodSpec::clone(&agent.template.spec) };
    let template = PodTemplate { spec: Shared::new(spec), ..agent.template.clone() };
    DaemonSet { template, ..agent }
}

#[test]
fn without_nodes_nothing_is_made_and_a_node_that_joins_gets_its_pod() {
    let mut bed = bed(0);
    bed.create(agent());
    bed.run_for(Span::from_secs(5));
    assert_eq!((placed(&bed).as_str(), counts(&bed)), ("", [0; 6]));
    assert_eq!(set(&bed).status.observed_generation, 1);
    bed.add_node(0, "n0", "a", 8_000, 1 << 34);
    bed.run_for(Span::from_secs(10));
    assert_eq!(placed(&bed), "n0:v1");
    bed.silence(0);
    delete(&mut bed, Kind::Node, "n0", Propagation::Background);
    bed.run_for(Span::from_secs(1));
    assert_eq!(counts(&bed)[0], 1, "the end of a node wakes nobody");
    bed.run_for(Span::from_secs(120));
    assert_eq!(
        (placed(&bed).as_str(), counts(&bed)[0]),
        ("", 0),
        "the end of its pod, which the collector sees to, does"
    );
}

#[test]
fn labels_and_taints_of_nodes_make_pods_come_and_go() {
    let mut bed = bed(2);
    bed.create(on_ssd());
    bed.run_for(Span::from_secs(5));
    assert_eq!(placed(&bed), "");
    label_node(&mut bed, "n1", "disk", Some("ssd"));
    assert_eq!(placed(&bed), "n1:v1");
    label_node(&mut bed, "n1", "other", Some("label"));
    assert_eq!(placed(&bed), "n1:v1");
    label_node(&mut bed, "n1", "disk", Some("hdd"));
    assert_eq!(placed(&bed), "");
    taint(&mut bed, "n0", TaintEffect::NoSchedule);
    label_node(&mut bed, "n0", "disk", Some("ssd"));
    assert_eq!(placed(&bed), "", "its pods do not tolerate the taint");
    let patch = Patch::RemoveTaint { key: "dedicated".into(), effect: None };
    bed.request(Request::Patch { key: key_of_node("n0"), patch });
    bed.run_for(Span::from_secs(10));
    assert_eq!(placed(&bed), "n0:v1");
    assert_eq!(counts(&bed), [1, 1, 1, 1, 1, 0]);
}

#[test]
fn a_pod_that_only_lost_the_right_to_come_is_counted_as_misscheduled() {
    let mut bed = bed(2);
    bed.create(agent());
    bed.run_for(Span::from_secs(10));
    taint(&mut bed, "n0", TaintEffect::NoSchedule);
    bed.run_for(Span::from_secs(10));
    assert_eq!(placed(&bed), "n0:v1 n1:v1");
    assert_eq!(counts(&bed), [2, 2, 2, 2, 2, 0], "such a taint alone wakes no set that has its pod there");
    let note = Patch::Annotation { key: "touched".into(), value: Some("yes".into()) };
    bed.request(Request::Patch { key: key(Kind::DaemonSet, "agent"), patch: note });
    bed.run_for(Span::from_secs(10));
    assert_eq!(placed(&bed), "n0:v1 n1:v1");
    assert_eq!(counts(&bed), [1, 1, 1, 1, 1, 1]);
    let patch = Patch::RemoveTaint { key: "dedicated".into(), effect: None };
    bed.request(Request::Patch { key: key_of_node("n0"), patch });
    bed.run_for(Span::from_secs(10));
    assert_eq!(counts(&bed)[5], 0, "a node that changes wakes sets with misscheduled pods");
}

#[test]
fn a_pod_is_made_for_a_node_that_has_no_room_and_waits_there() {
    let mut bed = bed(1);
    let agent = agent();
    let mut spec = PodSpec::clone(&agent.template.spec);
    spec.containers[0].requests.cpu_milli = 9_000;
    let template = PodTemplate { spec: Shared::new(spec), ..agent.template.clone() };
    bed.create(DaemonSet { template, ..agent });
    bed.run_for(Span::from_secs(10));
    assert_eq!(placed(&bed), "?:v1", "whether it fits is the scheduler's business");
    assert_eq!(counts(&bed), [1, 1, 0, 1, 0, 0]);
}

#[test]
fn a_set_that_is_being_deleted_or_selects_everything_makes_no_pods() {
    let mut bed = bed(2);
    let mut held = agent();
    held.meta.finalizers = ["example.com/hold".into()].into();
    bed.create(held);
    bed.run_for(Span::from_secs(10));
    delete(&mut bed, Kind::DaemonSet, "agent", Propagation::Background);
    bed.add_node(2, "n2", "a", 8_000, 1 << 34);
    bed.run_for(Span::from_secs(10));
    assert_eq!(placed(&bed), "n0:v1 n1:v1");
    let mut other = self::bed(1);
    other.create(DaemonSet { selector: Selector::default(), ..agent() });
    other.run_for(Span::from_secs(10));
    assert_eq!(placed(&other), "");
    assert!(other.events(Kind::DaemonSet, "agent")[0].contains("SelectingAll"));
}

#[test]
fn pods_change_hands_by_owner_and_labels() {
    let mut bed = bed(1);
    bed.create(agent());
    bed.run_for(Span::from_secs(10));
    let name = pods(&bed)[0].meta.name.clone();
    let relabel = |bed: &mut Testbed, value: &str| {
        let patch = Patch::Label { key: "app".into(), value: Some(value.into()) };
        bed.request(Request::Patch { key: key(Kind::Pod, &name), patch });
        bed.run_for(Span::from_secs(10));
    };
    relabel(&mut bed, "debug");
    assert_eq!(placed(&bed), "n0:v1 n0:v1", "released and replaced");
    assert!(bed.get::<Pod>("default", &name).unwrap().meta.owners.is_empty());
    relabel(&mut bed, "agent");
    assert_eq!(pods(&bed).len(), 1, "adopted again, and the younger of two went");
    assert_eq!(*pods(&bed)[0].meta.name, *name);

    bed.create(Service { meta: Meta::named("default", "someone"), ..Service::default() });
    let owner = crate::controllers::owned_by(Kind::Service, &bed.get::<Service>("default", "someone").unwrap().meta);
    let labels = Labels::new([("app", "agent")]);
    let meta = Meta { labels, owners: [owner].into(), ..Meta::named("default", "foreign") };
    bed.create(Pod { meta: meta.into(), node: Some("n0".into()), ..Pod::default() });
    bed.run_for(Span::from_secs(10));
    assert_eq!(pods(&bed).len(), 2, "a pod of another manager is neither counted nor deleted");
    assert_eq!(counts(&bed)[1], 1);
}

#[test]
fn a_set_that_comes_again_under_its_name_starts_without_old_expectations() {
    let mut bed = bed(60);
    bed.create(agent());
    bed.run_for(Span::from_millis(200));
    delete(&mut bed, Kind::DaemonSet, "agent", Propagation::Background);
    bed.create(agent());
    bed.run_for(Span::from_secs(60));
    assert_eq!((pods(&bed).len(), counts(&bed)[2]), (60, 60));
}

#[test]
fn a_template_that_names_its_node_has_one_pod_there_if_selector_and_affinity_agree() {
    let named = |node: &str, disk: Option<&str>| {
        let rules = Some(Box::new(PlacementRules { template_node: Some(node.into()), ..PlacementRules::default() }));
        let agent = agent();
        let mut spec = PodSpec { rules, ..PodSpec::clone(&agent.template.spec) };
        if let Some(disk) = disk {
            spec.node_selector = Labels::new([("disk", disk)]);
        }
        let template = PodTemplate { spec: Shared::new(spec), ..agent.template.clone() };
        DaemonSet { template, ..agent }
    };
    for (node, disk, expected) in [
        ("n1", None, "n1:v1"),
        ("elsewhere", None, ""),
        ("n1", Some("ssd"), "n1:v1"),
        ("n1", Some("hdd"), ""),
        ("n0", Some("ssd"), ""),
    ] {
        let mut bed = bed(3);
        bed.input(crate::seam::Input::Crashed(crate::id::ProcId::SCHEDULER));
        label_node(&mut bed, "n1", "disk", Some("ssd"));
        bed.create(named(node, disk));
        bed.run_for(Span::from_secs(10));
        assert_eq!(placed(&bed), expected, "on {node}, {disk:?}: no scheduler is needed");
    }
}

#[test]
fn a_pod_is_made_for_a_node_whose_host_port_is_taken_and_waits_there() {
    let mut bed = bed(1);
    let mut spec = PodSpec::clone(&agent().template.spec);
    spec.containers[0].ports =
        vec![ContainerPort { name: "".into(), port: 80, host_port: Some(666), host_ip: None, protocol: Protocol::Tcp }];
    let template = PodTemplate { spec: Shared::new(spec), ..agent().template };
    let holder = Pod { meta: Meta::named("default", "holder").into(), spec: template.spec.clone(), ..Pod::default() };
    bed.create(Pod { node: Some("n0".into()), ..holder });
    bed.run_for(Span::from_secs(5));
    bed.create(DaemonSet { template, ..agent() });
    bed.run_for(Span::from_secs(10));
    let own = pods(&bed).into_iter().find(|pod| !pod.meta.owners.is_empty()).expect("the pod is made");
    assert_eq!((own.node.clone(), counts(&bed)), (None, [1, 1, 0, 1, 0, 0]));
}

#[test]
fn a_node_that_changes_concerns_only_the_sets_that_select_it() {
    let mut bed = bed(1);
    let selecting = |name: &str, label: &str| {
        let mut set = agent();
        set.meta.name = name.into();
        let node_selector = Labels::new([(label, "yes")]);
        set.template.spec = Shared::new(PodSpec { node_selector, ..PodSpec::clone(&set.template.spec) });
        set
    };
    bed.create(selecting("disks", "disk"));
    bed.create(selecting("cards", "gpu"));
    bed.run_for(Span::from_secs(5));
    assert_eq!(pods(&bed).len(), 0);
    let patch = Patch::Label { key: "disk".into(), value: Some("yes".into()) };
    bed.request(Request::Patch { key: key(Kind::Node, "n0"), patch });
    bed.run_for(Span::from_secs(5));
    let owners: Vec<String> = pods(&bed).iter().map(|pod| pod.meta.owners[0].name.to_string()).collect();
    assert_eq!(owners, ["disks"]);
    bed.add_node(1, "n1", "a", 8_000, 1 << 34);
    bed.run_for(Span::from_secs(5));
    assert_eq!(pods(&bed).len(), 1, "a node without the labels concerns neither");
}

#[test]
fn a_pod_that_has_ended_and_is_being_deleted_is_replaced_before_it_is_gone() {
    for (phase, replaced) in [(Phase::Running, false), (Phase::Failed, true), (Phase::Succeeded, true)] {
        let mut bed = bed(1);
        bed.create(agent());
        bed.run_for(Span::from_secs(5));
        let mut held = Pod::clone(&pods(&bed)[0]);
        held.meta.finalizers = ["example.com/hold".into()].into();
        bed.request(Request::Update { object: Object::Pod(Arc::new(held.clone())), expected: None });
        delete(&mut bed, Kind::Pod, &held.meta.name, Propagation::Background);
        held.status.phase = phase;
        bed.request(Request::UpdateStatus { object: Object::Pod(Arc::new(held.clone())), expected: None });
        bed.run_for(Span::from_secs(10));
        let there: Vec<bool> = pods(&bed).iter().map(|pod| pod.meta.is_terminating()).collect();
        assert!(there.contains(&true), "{phase:?}: somebody holds it");
        assert_eq!(there.contains(&false), replaced, "{phase:?}: {:?}", bed.told());
    }
}
