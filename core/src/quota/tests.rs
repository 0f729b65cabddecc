use super::*;
use crate::digest::Shared;
use crate::id::Name;
use crate::model::{
    ClaimSpec, Container, Growth, IntOrName, Meta, Object, PersistentVolumeClaim, Phase, PlacementRules, Pod, PodSpec,
    PodTerm, QuotaScope, Resources, ScopeRequirement, Selector, SelectorOperator, Service, ServicePort, ServiceType,
};
use crate::time::{Span, Time};
use std::sync::Arc;

fn container(name: &str, requests: (i64, i64), limits: (i64, i64)) -> Container {
    let list =
        |(cpu_milli, memory): (i64, i64)| Resources { cpu_milli, memory_bytes: memory << 20, ..Resources::default() };
    Container { name: name.into(), requests: list(requests), limits: list(limits), ..Container::default() }
}

fn pod(spec: PodSpec) -> Pod {
    Pod { meta: Meta::named("team", "p").into(), spec: Shared::new(spec), ..Pod::default() }
}

fn object(pod: Pod) -> Object {
    Object::Pod(Arc::new(pod))
}

fn shown(amounts: &Amounts) -> String {
    amounts.iter().map(|(name, amount)| format!("{name}={amount}")).collect::<Vec<_>>().join(" ")
}

fn used(pod: Pod) -> String {
    shown(&usage(&object(pod), Time::ZERO))
}

#[test]
fn a_pod_counts_what_its_containers_name_beside_itself() {
    let containers = vec![container("a", (250, 64), (500, 0)), container("b", (250, 0), (0, 128))];
    let counted = used(pod(PodSpec { containers, ..PodSpec::default() }));
    let expected = "count/pods=1 cpu=500m limits.cpu=500m limits.memory=128Mi memory=64Mi pods=1 requests.cpu=500m \
                    requests.memory=64Mi";
    assert_eq!(counted, expected);
}

#[test]
fn init_containers_count_as_far_as_they_need_more_and_sidecars_beside() {
    let containers = vec![container("app", (200, 0), (0, 0))];
    let sidecar = Container { sidecar: true, ..container("log", (100, 0), (0, 0)) };
    let spec = |init: i64| PodSpec {
        containers: containers.clone(),
        init_containers: vec![sidecar.clone(), container("init", (init, 0), (0, 0))],
        ..PodSpec::default()
    };
    assert!(used(pod(spec(150))).contains(" requests.cpu=300m"), "200 + 100 beats 150 + 100");
    assert!(used(pod(spec(400))).contains(" requests.cpu=500m"), "400 + 100 beats 200 + 100");
}

#[test]
fn overhead_counts_as_a_request_and_where_there_is_a_limit() {
    let overhead = Resources { cpu_milli: 10, memory_bytes: 1 << 20, ..Resources::default() };
    let spec = PodSpec { containers: vec![container("a", (90, 0), (190, 0))], overhead, ..PodSpec::default() };
    let counted = used(pod(spec));
    assert!(counted.contains("limits.cpu=200m") && counted.contains("requests.cpu=100m"), "{counted}");
    assert!(counted.contains("requests.memory=1Mi") && !counted.contains("limits.memory"), "{counted}");
}

#[test]
fn devices_count_as_requests_only_and_huge_pages_both_ways() {
    let mut it = container("a", (0, 0), (0, 0));
    it.requests.extended = [("example.com/gpu".into(), 2), ("hugepages-2Mi".into(), 4 << 20)].into();
    let counted = used(pod(PodSpec { containers: vec![it], ..PodSpec::default() }));
    let expected = "count/pods=1 hugepages-2Mi=4Mi pods=1 requests.example.com/gpu=2 requests.hugepages-2Mi=4Mi";
    assert_eq!(counted, expected);
}

#[test]
fn a_pod_that_has_ended_or_is_overdue_counts_as_an_object_only() {
    let plain = pod(PodSpec { containers: vec![container("a", (100, 0), (0, 0))], ..PodSpec::default() });
    let mut ended = plain.clone();
    ended.status.phase = Phase::Succeeded;
    assert_eq!(used(ended), "count/pods=1");
    let mut leaving = plain;
    leaving.meta.deleted_at = Some(Time::from_millis(30_900));
    leaving.meta.deletion_grace = Some(Span::from_secs(30));
    let at = |millis| usage(&object(leaving.clone()), Time::from_millis(millis)).len();
    assert_eq!((at(60_000), at(60_500)), (4, 1), "grace after the second in which it should have gone");
}

#[test]
fn services_count_their_node_ports_and_load_balancers() {
    let port = |port| ServicePort {
        name: Name::default(),
        protocol: Default::default(),
        port,
        target: IntOrName::Int(port),
        node_port: None,
        app_protocol: Default::default(),
    };
    let counted = |service_type| {
        let service = Service { service_type, ports: vec![port(80), port(443)], ..Service::default() };
        shown(&usage(&Object::Service(Arc::new(service)), Time::ZERO))
    };
    let line = |balancers, ports| {
        format!("count/services=1 services=1 services.loadbalancers={balancers} services.nodeports={ports}")
    };
    assert_eq!(counted(ServiceType::ClusterIp), line(0, 0));
    assert_eq!(counted(ServiceType::NodePort), line(0, 2));
    assert_eq!(counted(ServiceType::LoadBalancer), line(1, 2));
}

#[test]
fn a_claim_counts_for_its_class_too_in_whole_bytes() {
    let request = "1500m".parse().expect("a quantity");
    let spec = ClaimSpec { storage_class: Some("gold".into()), request, ..ClaimSpec::default() };
    let claim = PersistentVolumeClaim { spec, ..PersistentVolumeClaim::default() };
    let counted = shown(&usage(&Object::PersistentVolumeClaim(Arc::new(claim)), Time::ZERO));
    let expected = "count/persistentvolumeclaims=1 gold.storageclass.storage.k8s.io/persistentvolumeclaims=1 \
                    gold.storageclass.storage.k8s.io/requests.storage=2 persistentvolumeclaims=1 requests.storage=2";
    assert_eq!(counted, expected);
}

#[test]
fn a_claim_counts_what_it_grows_to_until_that_is_given_up() {
    let amount = |text: &str| text.parse::<Quantity>().expect("a quantity");
    for (request, growing_to, counted) in
        [("5Gi", None, "5Gi"), ("5Gi", Some("5Gi"), "5Gi"), ("3Gi", Some("5Gi"), "5Gi"), ("9Gi", Some("5Gi"), "9Gi")]
    {
        let mut claim = PersistentVolumeClaim::default();
        claim.spec.request = amount(request);
        claim.status.growth = growing_to.map(|size| (amount(size), Growth::ControllerResizeInProgress));
        let used = usage(&Object::PersistentVolumeClaim(Arc::new(claim)), Time::ZERO);
        assert_eq!(used[&Name::from("requests.storage")], amount(counted), "{request} on the way to {growing_to:?}");
    }
}

#[test]
fn names_are_counted_by_the_kinds_that_they_are_about() {
    let cases = [
        (Kind::Pod, "requests.example.com/gpu", true),
        (Kind::Pod, "requests.storage", false),
        (Kind::Pod, "example.com/gpu", false),
        (Kind::Deployment, "count/deployments.apps", true),
        (Kind::Deployment, "deployments", false),
        (Kind::ReplicationController, "replicationcontrollers", true),
        (Kind::PersistentVolumeClaim, "gold.storageclass.storage.k8s.io/requests.storage", true),
        (Kind::PersistentVolumeClaim, "gold.example.com/requests.storage", false),
        (Kind::Service, "services.nodeports", true),
    ];
    for (kind, name, counts) in cases {
        assert_eq!(counts_under(kind, name), counts, "{kind:?} {name}");
    }
}

fn scoped(scope: QuotaScope, operator: SelectorOperator, values: &[&str]) -> ResourceQuota {
    let values = values.iter().map(|value| Name::from(*value)).collect();
    ResourceQuota { scopes: vec![ScopeRequirement { scope, operator, values }], ..ResourceQuota::default() }
}

#[test]
fn scopes_pick_pods_by_deadline_class_and_what_they_ask_for() {
    use QuotaScope::*;
    use SelectorOperator::{DoesNotExist, Exists, In, NotIn};
    let plain = pod(PodSpec { containers: vec![container("a", (0, 0), (0, 0))], ..PodSpec::default() });
    let term = PodTerm { namespace_selector: Some(Selector::default()), ..PodTerm::default() };
    let mut rules = PlacementRules::default();
    rules.pod_affinity.required.push(term);
    let busy = pod(PodSpec {
        containers: vec![container("a", (100, 0), (0, 0))],
        active_deadline: Some(Span::from_secs(5)),
        priority_class: "high".into(),
        rules: Some(Box::new(rules)),
        ..PodSpec::default()
    });
    let cases: [(QuotaScope, SelectorOperator, &[&str], bool, bool); 10] = [
        (Terminating, Exists, &[], false, true),
        (NotTerminating, Exists, &[], true, false),
        (BestEffort, Exists, &[], true, false),
        (NotBestEffort, Exists, &[], false, true),
        (CrossNamespacePodAffinity, Exists, &[], false, true),
        (PriorityClass, Exists, &[], false, true),
        (PriorityClass, DoesNotExist, &[], true, false),
        (PriorityClass, In, &["low", "high"], false, true),
        (PriorityClass, NotIn, &["high"], true, false),
        (VolumeAttributesClass, Exists, &[], false, false),
    ];
    for (scope, operator, values, of_plain, of_busy) in cases {
        let quota = scoped(scope, operator, values);
        let found = [&plain, &busy].map(|pod| matches_scopes(&quota, &object(pod.clone())));
        assert_eq!(found, [of_plain, of_busy], "{scope:?} {operator:?} {values:?}");
    }
}

#[test]
fn objects_other_than_pods_and_claims_meet_no_scope() {
    let service = Object::Service(Arc::new(Service::default()));
    assert!(!matches_scopes(&scoped(QuotaScope::NotBestEffort, SelectorOperator::Exists, &[]), &service));
    assert!(matches_scopes(&ResourceQuota::default(), &service));
    let spec = ClaimSpec { attributes_class: Some("fast".into()), ..ClaimSpec::default() };
    let claim = Object::PersistentVolumeClaim(Arc::new(PersistentVolumeClaim { spec, ..Default::default() }));
    assert!(matches_scopes(&scoped(QuotaScope::VolumeAttributesClass, SelectorOperator::In, &["fast"]), &claim));
    assert!(!matches_scopes(&scoped(QuotaScope::VolumeAttributesClass, SelectorOperator::In, &["slow"]), &claim));
    assert!(!matches_scopes(&scoped(QuotaScope::PriorityClass, SelectorOperator::Exists, &[]), &claim));
}
