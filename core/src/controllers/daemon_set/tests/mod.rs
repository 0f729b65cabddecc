mod nodes;
mod steps;
mod updates;

use super::*;
use crate::api::{Patch, Propagation};
use crate::config::Config;
use crate::digest::Shared;
use crate::model::{
    Container, DaemonSetStatus, IntOrPercent, Labels, ObjectKey, Phase, PodSpec, Selector, Taint, TaintEffect,
};
use crate::testbed::{StandIn, Testbed};

/// Pods of this image run but are never ready; the stand-in kubelet goes by the name.
const BROKEN: &str = "app:never-ready";

/// A cluster of so many nodes whose pods the core's own scheduler places.
fn bed(nodes: u32) -> Testbed {
    let mut bed = Testbed::new(Config::default());
    for host in 0..nodes {
        bed.add_node(host, &format!("n{host}"), "a", 8_000, 1 << 34);
    }
    bed
}

fn agent() -> DaemonSet {
    let labels = Labels::new([("app", "agent")]);
    let container = Container { name: "app".into(), image: "app:v1".into(), ..Container::default() };
    let spec = Shared::new(PodSpec { containers: vec![container], ..PodSpec::default() });
    DaemonSet {
        meta: Meta::named("default", "agent"),
        selector: Selector::from_labels(labels.clone()),
        template: PodTemplate { labels, spec, ..PodTemplate::default() },
        revision_history_limit: 10,
        ..DaemonSet::default()
    }
}

fn rolling(surge: u32, unavailable: u32) -> DaemonSetStrategy {
    let (max_surge, max_unavailable) = (IntOrPercent::Int(surge), IntOrPercent::Int(unavailable));
    DaemonSetStrategy::RollingUpdate { max_surge, max_unavailable }
}

fn key(kind: Kind, name: &str) -> ObjectKey {
    ObjectKey::new(kind, if kind == Kind::Node { "" } else { "default" }, name)
}

fn image(bed: &mut Testbed, image: &str) {
    let patch = Patch::Image { container: "app".into(), image: image.into() };
    bed.request(Request::Patch { key: key(Kind::DaemonSet, "agent"), patch });
}

fn taint(bed: &mut Testbed, node: &str, effect: TaintEffect) {
    let patch = Patch::AddTaint(Taint { key: "dedicated".into(), value: "".into(), effect, added_at: None });
    bed.request(Request::Patch { key: key(Kind::Node, node), patch });
}

fn delete(bed: &mut Testbed, kind: Kind, name: &str, propagation: Propagation) {
    bed.request(Request::Delete { key: key(kind, name), uid: None, grace: None, propagation });
}

fn set(bed: &Testbed) -> Arc<DaemonSet> {
    bed.get::<DaemonSet>("default", "agent").expect("the set is there")
}

fn pods(bed: &Testbed) -> Vec<Arc<Pod>> {
    bed.core.newest().all::<Pod>().map(|(_, pod)| pod.clone()).collect()
}

/// Nodes with the images of their pods, by node: `n0:v1 n1:v2`. Pods that are being deleted are marked with `-`.
fn placed(bed: &Testbed) -> String {
    let mut shown: Vec<String> = pods(bed)
        .iter()
        .map(|pod| {
            let image = pod.spec.containers[0].image.rsplit(':').next().expect("a split has a part").to_owned();
            let mark = if pod.meta.is_terminating() { "-" } else { "" };
            format!("{}:{mark}{image}", pod.node.as_deref().unwrap_or("?"))
        })
        .collect();
    shown.sort();
    shown.join(" ")
}

/// desired, current, ready, updated, available, misscheduled.
fn counts(bed: &Testbed) -> [u32; 6] {
    let DaemonSetStatus { desired, current, ready, updated, available, misscheduled, .. } = set(bed).status;
    [desired, current, ready, updated, available, misscheduled]
}

fn revisions(bed: &Testbed) -> Vec<u64> {
    let mut all: Vec<u64> = bed.core.newest().all::<ControllerRevision>().map(|(_, it)| it.revision).collect();
    all.sort_unstable();
    all
}

fn set_phase(bed: &mut Testbed, pod: &Pod, phase: Phase) {
    let mut changed = pod.clone();
    changed.status.phase = phase;
    bed.request(Request::UpdateStatus { object: Object::Pod(Arc::new(changed)), expected: None });
}

#[test]
fn every_node_gets_one_pod_which_is_pinned_to_it_and_bound_by_the_scheduler() {
    let mut bed = bed(3);
    taint(&mut bed, "n1", TaintEffect::NoSchedule);
    bed.create(agent());
    bed.run_for(Span::from_secs(10));
    assert_eq!(placed(&bed), "n0:v1 n2:v1");
    assert_eq!(counts(&bed), [2, 2, 2, 2, 2, 0]);
    let pods = pods(&bed);
    for pod in &pods {
        assert_eq!(pod.pinned_to(), pod.node.as_ref());
        assert!(pod.spec.same(&pods[0].spec), "all but the node is stored once");
        let label = |name: &str| pod.meta.labels.get(name).map(|value| value.to_string()).unwrap_or_default();
        assert_eq!(label("pod-template-generation"), "1");
        let revision = bed.core.newest().all::<ControllerRevision>().next().unwrap().1.meta.name.clone();
        assert_eq!(format!("agent-{}", label("controller-revision-hash")), *revision);
    }
    // A node joins.
    bed.add_node(3, "n3", "a", 8_000, 1 << 34);
    bed.run_for(Span::from_secs(5));
    assert_eq!(placed(&bed), "n0:v1 n2:v1 n3:v1");
    assert_eq!(counts(&bed), [3, 3, 3, 3, 3, 0]);
}

#[test]
fn a_no_execute_taint_drives_the_pod_out_and_a_cordon_does_not() {
    let mut bed = bed(3);
    bed.create(agent());
    bed.run_for(Span::from_secs(10));
    bed.request(Request::Patch { key: key(Kind::Node, "n0"), patch: Patch::Unschedulable(true) });
    bed.run_for(Span::from_secs(5));
    assert_eq!(counts(&bed), [3, 3, 3, 3, 3, 0]);
    // Recorded: ds-basic: the node counts as misscheduled until its pod is gone.
    taint(&mut bed, "n2", TaintEffect::NoExecute);
    bed.run_for(Span::from_millis(500));
    assert_eq!(counts(&bed), [2, 2, 2, 2, 2, 1]);
    bed.run_for(Span::from_secs(5));
    assert_eq!((placed(&bed).as_str(), counts(&bed)), ("n0:v1 n1:v1", [2, 2, 2, 2, 2, 0]));
    let patch = Patch::RemoveTaint { key: "dedicated".into(), effect: None };
    bed.request(Request::Patch { key: key(Kind::Node, "n2"), patch });
    bed.run_for(Span::from_secs(5));
    assert_eq!(placed(&bed), "n0:v1 n1:v1 n2:v1");
}

#[test]
fn pods_leave_nodes_that_no_longer_match_the_selector() {
    let mut bed = bed(2);
    for node in ["n0", "n1"] {
        let patch = Patch::Label { key: "disk".into(), value: Some("ssd".into()) };
        bed.request(Request::Patch { key: key(Kind::Node, node), patch });
    }
    let mut wanted = agent();
    let spec = PodSpec { node_selector: Labels::new([("disk", "ssd")]), ..PodSpec::clone(&wanted.template.spec) };
    wanted.template.spec = Shared::new(spec);
    bed.create(wanted);
    bed.run_for(Span::from_secs(10));
    assert_eq!(placed(&bed), "n0:v1 n1:v1");
    let patch = Patch::Label { key: "disk".into(), value: None };
    bed.request(Request::Patch { key: key(Kind::Node, "n0"), patch });
    bed.run_for(Span::from_secs(5));
    assert_eq!((placed(&bed).as_str(), counts(&bed)), ("n1:v1", [1, 1, 1, 1, 1, 0]));
}

#[test]
fn a_failed_pod_is_removed_at_once_and_then_with_growing_pauses() {
    let never = Span::from_secs(10_000);
    let mut bed = bed(1).with_stand_in(StandIn { start: never, ready: never, term: Span::ZERO });
    bed.create(agent());
    bed.run_for(Span::from_secs(5));
    let mut removed = Vec::new();
    for _ in 0..3 {
        let pod = pods(&bed)[0].clone();
        set_phase(&mut bed, &pod, Phase::Failed);
        let from = bed.now();
        while bed.get::<Pod>("default", &pod.meta.name).is_some() {
            bed.run_for(Span::from_millis(100));
            assert!(bed.now().since(from) < Span::from_secs(60), "{} stays", pod.meta.name);
        }
        removed.push(bed.now().since(from).as_secs());
        bed.run_for(Span::from_millis(50));
    }
    // The pauses are 1 s and 2 s since the pod before was removed.
    assert_eq!(removed[0], 0);
    assert!(removed[2] > removed[1] && removed[2] <= 2, "{removed:?}");
    let said = bed.events(Kind::DaemonSet, "agent");
    let about = |text: &str| said.iter().any(|line| line.contains(text));
    assert!(about("Warning FailedDaemonPod") && about("will try to kill it"), "{said:?}");
    assert!(about("Normal SuccessfulCreate") && about("Normal SuccessfulDelete"), "{said:?}");
    let pod = pods(&bed)[0].clone();
    set_phase(&mut bed, &pod, Phase::Succeeded);
    bed.run_for(Span::from_millis(100));
    assert!(bed.get::<Pod>("default", &pod.meta.name).is_none(), "one that has succeeded goes at once");
}

#[test]
fn pods_of_a_silent_node_stay_where_they_are() {
    let mut bed = bed(3);
    bed.create(agent());
    bed.run_for(Span::from_secs(10));
    bed.silence(1);
    bed.run_for(Span::from_secs(600));
    // Recorded: node-dies-and-returns: nobody touches the pod, but the node's NoSchedule taint makes it a misplaced
    // one.
    assert_eq!(placed(&bed), "n0:v1 n1:v1 n2:v1");
    assert_eq!(counts(&bed), [2, 2, 2, 2, 2, 1]);
    image(&mut bed, "app:v2");
    bed.run_for(Span::from_secs(60));
    assert_eq!(placed(&bed), "n0:v1 n1:-v1 n2:v1", "a pod that is not available goes first and holds up the rest");
}

#[test]
fn a_pod_for_a_node_that_is_gone_before_it_was_bound_is_removed() {
    let mut bed = bed(2);
    let mut large = agent();
    let container = Container {
        name: "app".into(),
        image: "app:v1".into(),
        requests: crate::model::Resources { cpu_milli: 9_000, ..Default::default() },
        ..Container::default()
    };
    large.template.spec = Shared::new(PodSpec { containers: vec![container], ..PodSpec::default() });
    bed.create(large);
    bed.run_for(Span::from_secs(5));
    assert_eq!(placed(&bed), "?:v1 ?:v1", "no node has room");
    let told = bed.told();
    let expected = "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) didn't satisfy plugin(s) [NodeAffinity].";
    assert!(told.iter().any(|line| line.contains(expected)), "{told:?}");
    delete(&mut bed, Kind::Node, "n1", Propagation::Background);
    bed.run_for(Span::from_secs(5));
    assert_eq!(pods(&bed).len(), 2, "a node that is gone wakes nobody");
    image(&mut bed, "app:v2");
    bed.run_for(Span::from_secs(5));
    assert_eq!(pods(&bed).len(), 1);
}

#[test]
fn an_orphan_is_adopted_and_a_second_pod_of_a_node_goes() {
    let mut bed = bed(1);
    let template = agent().template;
    let orphan = Pod {
        meta: Meta { labels: template.labels.clone(), ..Meta::named("default", "lone") }.into(),
        spec: template.spec,
        node: Some("n0".into()),
        ..Pod::default()
    };
    bed.create(orphan.clone());
    bed.run_for(Span::from_secs(5));
    bed.create(agent());
    bed.run_for(Span::from_secs(10));
    // The adopted pod is of no known revision: the rolling update replaces it.
    assert_eq!(placed(&bed), "n0:v1");
    assert!(bed.get::<Pod>("default", "lone").is_none());
    let second = Pod { meta: Meta { name: "second".into(), ..Meta::clone(&orphan.meta) }.into(), ..orphan };
    bed.create(second);
    bed.run_for(Span::from_secs(10));
    assert!(bed.get::<Pod>("default", "second").is_none(), "the older of two stays");
    assert_eq!(placed(&bed), "n0:v1");
}

#[test]
fn a_burst_of_creations_is_limited_and_all_nodes_get_their_pod_in_the_end() {
    let mut bed = bed(300);
    // The nodes lose the taint with which they are born at the rate of the node lifecycle's client.
    bed.run_for(Span::from_secs(60));
    bed.create(agent());
    // 30 requests at once and 20 per second, of which one is the revision's.
    bed.run_for(Span::from_secs(5));
    let early = pods(&bed).len();
    assert!((120..=130).contains(&early), "{early}");
    bed.run_for(Span::from_secs(30));
    assert_eq!(counts(&bed), [300, 300, 300, 300, 300, 0]);
    assert_eq!(pods(&bed).len(), 300, "no node has two");
}

#[test]
fn an_update_of_the_selector_is_refused_in_the_api_servers_words() {
    let mut bed = bed(1);
    bed.create(agent());
    let mut changed = DaemonSet::clone(&set(&bed));
    changed.selector = Selector::from_labels(Labels::new([("app", "other")]));
    let id = bed.request(Request::Update { object: Object::DaemonSet(Arc::new(changed)), expected: None });
    bed.run_for(Span::ZERO);
    let expected = "DaemonSet.apps \"agent\" is invalid: spec.selector: Invalid value: \
                    {\"matchLabels\":{\"app\":\"other\"}}: field is immutable";
    assert_eq!(bed.answers[&id].as_ref().unwrap_err().to_string(), expected);
}

#[test]
fn a_set_that_is_deleted_takes_its_pods_and_revisions_along_unless_they_are_orphaned() {
    let mut bed = bed(2);
    bed.create(agent());
    bed.run_for(Span::from_secs(10));
    delete(&mut bed, Kind::DaemonSet, "agent", Propagation::Orphan);
    bed.run_for(Span::from_secs(5));
    assert_eq!((pods(&bed).len(), revisions(&bed)), (2, vec![1]));
    let names: Vec<_> = pods(&bed).iter().map(|pod| pod.meta.name.clone()).collect();
    bed.create(agent());
    bed.run_for(Span::from_secs(10));
    assert_eq!(pods(&bed).iter().map(|pod| pod.meta.name.clone()).collect::<Vec<_>>(), names, "taken over as they are");
    assert_eq!(revisions(&bed), [1]);
    delete(&mut bed, Kind::DaemonSet, "agent", Propagation::Foreground);
    bed.run_for(Span::from_secs(10));
    assert_eq!((pods(&bed).len(), revisions(&bed)), (0, vec![]));
}

#[test]
fn a_controller_manager_that_is_restarted_makes_no_pod_twice() {
    use crate::id::ProcId;
    use crate::seam::Input;
    let mut bed = bed(6);
    bed.create(DaemonSet { strategy: rolling(0, 3), ..agent() });
    for step in 0..30 {
        if step == 8 {
            image(&mut bed, "app:v2");
        }
        bed.run_for(Span::from_millis(700));
        bed.input(Input::Crashed(ProcId::CONTROLLER_MANAGER));
        bed.run_for(Span::from_millis(300));
        bed.input(Input::Started(ProcId::CONTROLLER_MANAGER));
        let mut nodes: Vec<_> =
            pods(&bed).iter().filter(|pod| pod.is_active()).filter_map(|pod| pod.pinned_to().cloned()).collect();
        nodes.sort();
        nodes.dedup();
        assert_eq!(nodes.len(), pods(&bed).iter().filter(|pod| pod.is_active()).count(), "at {}", bed.now());
    }
    bed.run_for(Span::from_secs(10));
    assert_eq!(placed(&bed), "n0:v2 n1:v2 n2:v2 n3:v2 n4:v2 n5:v2");
}
