use std::sync::Arc;

use crate::api::Request;
use crate::config::Config;
use crate::digest::Shared;
use crate::id::ProcId;
use crate::model::{
    Amounts, ClaimPhase, Container, Meta, Object, PersistentVolumeClaim, Phase, Pod, PodSpec, QuotaScope, Resource,
    ResourceQuota, Resources, ScopeRequirement, SelectorOperator, Service, ServicePort, ServiceType,
};
use crate::seam::Input;
use crate::testbed::Testbed;
use crate::time::Span;

pub(crate) fn amounts(pairs: &[(&str, &str)]) -> Amounts {
    pairs.iter().map(|(name, amount)| ((*name).into(), amount.parse().expect("a quantity"))).collect()
}

fn quota(name: &str, hard: &[(&str, &str)]) -> ResourceQuota {
    ResourceQuota { meta: Meta::named("default", name), hard: amounts(hard), ..ResourceQuota::default() }
}

fn pod(name: &str, cpu_milli: i64, memory_bytes: i64) -> Pod {
    let requests = Resources { cpu_milli, memory_bytes, ..Resources::default() };
    let containers = vec![Container { name: "c".into(), requests, ..Container::default() }];
    let spec = PodSpec { containers, ..PodSpec::default() };
    Pod { meta: Meta::named("default", name).into(), spec: Shared::new(spec), ..Pod::default() }
}

/// Asks for a creation; the refusal's words, or nothing.
fn create<T: Resource>(bed: &mut Testbed, object: T) -> String {
    bed.ask(Request::Create(T::into_object(Arc::new(object))))
}

fn used(bed: &Testbed, name: &str) -> String {
    let quota = bed.get::<ResourceQuota>("default", name).expect("the quota is there");
    quota.status.used.iter().map(|(name, amount)| format!("{name}={amount}")).collect::<Vec<_>>().join(" ")
}

fn bed_with(quotas: &[ResourceQuota]) -> Testbed {
    let mut bed = Testbed::new(Config::default());
    for quota in quotas {
        bed.create(quota.clone());
    }
    bed.run_for(Span::from_secs(1));
    bed
}

#[test]
fn what_does_not_fit_is_refused_with_the_numbers_and_charges_nothing() {
    let mut bed = bed_with(&[quota("q", &[("pods", "3"), ("requests.cpu", "1"), ("requests.memory", "1Gi")])]);
    assert_eq!(used(&bed, "q"), "pods=0 requests.cpu=0 requests.memory=0");
    let refusal = create(&mut bed, pod("none", 0, 0));
    assert_eq!(
        refusal,
        "pods \"none\" is forbidden: failed quota: q: must specify requests.cpu for: c; requests.memory for: c"
    );
    let refusal = create(&mut bed, pod("large", 2_000, 2 << 30));
    assert_eq!(
        refusal,
        "pods \"large\" is forbidden: exceeded quota: q, requested: requests.cpu=2,requests.memory=2Gi, used: \
         requests.cpu=0,requests.memory=0, limited: requests.cpu=1,requests.memory=1Gi"
    );
    assert_eq!(create(&mut bed, pod("fits", 600, 64 << 20)), "");
    assert_eq!(used(&bed, "q"), "pods=1 requests.cpu=600m requests.memory=64Mi");
    let refusal = create(&mut bed, pod("second", 600, 64 << 20));
    assert!(refusal.ends_with("requested: requests.cpu=600m, used: requests.cpu=600m, limited: requests.cpu=1"));
    assert_eq!(used(&bed, "q"), "pods=1 requests.cpu=600m requests.memory=64Mi");
}

#[test]
fn what_would_count_for_less_than_nothing_is_refused() {
    let mut bed = bed_with(&[quota("q", &[("persistentvolumeclaims", "3"), ("requests.storage", "10Gi")])]);
    let claim = |name: &str, size: &str| {
        let mut claim =
            PersistentVolumeClaim { meta: Meta::named("default", name), ..PersistentVolumeClaim::default() };
        claim.spec.request = size.parse().expect("a quantity");
        claim
    };
    let refusal = create(&mut bed, claim("less", "-1Gi"));
    let why = "quota usage is negative for resource(s): requests.storage";
    assert!(
        refusal.starts_with("persistentvolumeclaims \"less\" is forbidden: ") && refusal.ends_with(why),
        "{refusal}"
    );
    assert_eq!(create(&mut bed, claim("some", "1Gi")), "");
    assert_eq!(used(&bed, "q"), "persistentvolumeclaims=1 requests.storage=1Gi");
}

#[test]
fn two_quotas_are_charged_together_or_not_at_all() {
    let mut bed = bed_with(&[quota("a", &[("pods", "5")]), quota("b", &[("count/pods", "1")])]);
    assert_eq!(create(&mut bed, pod("first", 0, 0)), "");
    let refusal = create(&mut bed, pod("second", 0, 0));
    assert!(refusal.contains("exceeded quota: b, requested: count/pods=1, used: count/pods=1, limited: count/pods=1"));
    assert_eq!((used(&bed, "a"), used(&bed, "b")), ("pods=1".to_owned(), "count/pods=1".to_owned()));
}

#[test]
fn a_quota_limits_nothing_before_its_controller_has_counted() {
    let mut bed = Testbed::new(Config::default());
    bed.input(crate::seam::Input::Crashed(crate::id::ProcId::CONTROLLER_MANAGER));
    bed.create(quota("q", &[("pods", "0")]));
    assert_eq!(create(&mut bed, pod("quick", 0, 0)), "");
    bed.input(crate::seam::Input::Started(crate::id::ProcId::CONTROLLER_MANAGER));
    bed.run_for(Span::from_secs(1));
    assert!(create(&mut bed, pod("late", 0, 0)).contains("used: pods=1, limited: pods=0"));
}

#[test]
fn a_name_that_is_taken_is_charged_until_the_next_count() {
    let mut bed = bed_with(&[quota("q", &[("pods", "5")])]);
    assert_eq!(create(&mut bed, pod("web", 0, 0)), "");
    assert_eq!(create(&mut bed, pod("web", 0, 0)), "pods \"web\" already exists");
    assert_eq!(used(&bed, "q"), "pods=2");
    bed.run_for(Span::from_secs(300));
    assert_eq!(used(&bed, "q"), "pods=1");
}

#[test]
fn objects_are_counted_by_kind() {
    let hard = [("count/configmaps", "1"), ("persistentvolumeclaims", "1"), ("resourcequotas", "1"), ("services", "2")];
    let mut bed = bed_with(&[quota("q", &hard)]);
    assert!(used(&bed, "q").contains("resourcequotas=1"), "{}", used(&bed, "q"));
    let refusal = create(&mut bed, quota("other", &[]));
    assert!(refusal.starts_with("resourcequotas \"other\" is forbidden: exceeded quota: q"), "{refusal}");
    let claim = |name: &str| PersistentVolumeClaim { meta: Meta::named("default", name), ..Default::default() };
    assert_eq!(create(&mut bed, claim("a")), "");
    assert!(create(&mut bed, claim("b")).contains("requested: persistentvolumeclaims=1"));
}

fn service(name: &str, service_type: ServiceType, ports: u16) -> Service {
    let port = |port| ServicePort {
        name: format!("p{port}").into(),
        protocol: Default::default(),
        port,
        target: crate::model::IntOrName::Int(port),
        node_port: None,
        app_protocol: Default::default(),
    };
    Service {
        meta: Meta::named("default", name),
        service_type,
        ports: (1..=ports).map(port).collect(),
        ..Service::default()
    }
}

#[test]
fn an_update_pays_for_what_it_adds_and_gets_nothing_back_at_once() {
    let mut bed = bed_with(&[quota("q", &[("services.nodeports", "3")])]);
    assert_eq!(create(&mut bed, service("s", ServiceType::ClusterIp, 2)), "");
    let update = |bed: &mut Testbed, ports| {
        let object = Object::Service(Arc::new(service("s", ServiceType::NodePort, ports)));
        bed.ask(Request::Update { object, expected: None })
    };
    assert_eq!(update(&mut bed, 2), "");
    assert_eq!(used(&bed, "q"), "services.nodeports=2");
    assert_eq!(update(&mut bed, 1), "");
    assert_eq!(used(&bed, "q"), "services.nodeports=2", "what is given back is counted later");
    let refusal = update(&mut bed, 4);
    assert!(
        refusal.contains("requested: services.nodeports=3, used: services.nodeports=2, limited: services.nodeports=3")
    );
}

#[test]
fn a_quota_of_a_scope_leaves_other_pods_alone() {
    let of_scope = |name: &str, scope| ResourceQuota {
        scopes: vec![ScopeRequirement::exists(scope)],
        ..quota(name, &[("pods", "1")])
    };
    let mut bed = bed_with(&[of_scope("best", QuotaScope::BestEffort), of_scope("other", QuotaScope::NotBestEffort)]);
    assert_eq!(create(&mut bed, pod("plain", 0, 0)), "");
    assert_eq!(create(&mut bed, pod("asking", 100, 0)), "");
    assert_eq!((used(&bed, "best"), used(&bed, "other")), ("pods=1".to_owned(), "pods=1".to_owned()));
    assert!(create(&mut bed, pod("asking-2", 100, 0)).contains("exceeded quota: other,"));
}

#[test]
fn which_of_two_quotas_that_a_pod_exceeds_is_named_is_chance() {
    let mut bed = bed_with(&[quota("a", &[("pods", "0")]), quota("b", &[("pods", "0")])]);
    let mut named = std::collections::BTreeSet::new();
    for number in 0..20 {
        let refusal = create(&mut bed, pod(&format!("p{number}"), 0, 0));
        named.extend(["quota: a,", "quota: b,"].into_iter().filter(|name| refusal.contains(*name)));
        bed.run_for(Span::from_millis(10));
    }
    assert_eq!(named.len(), 2, "{named:?}");
}

#[test]
fn what_is_only_tried_charges_nothing_and_is_refused_all_the_same() {
    let mut bed = bed_with(&[quota("q", &[("pods", "1")])]);
    let try_out = |bed: &mut Testbed, name: &str| {
        let creation = Request::Create(Object::Pod(Arc::new(pod(name, 0, 0))));
        bed.ask(Request::DryRun(Box::new(creation)))
    };
    assert_eq!(try_out(&mut bed, "a"), "");
    assert_eq!((try_out(&mut bed, "a"), used(&bed, "q")), (String::new(), "pods=0".to_owned()));
    assert_eq!(create(&mut bed, pod("b", 0, 0)), "");
    assert!(try_out(&mut bed, "a").contains("exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1"));
}

#[test]
fn a_pod_over_its_quota_lives_on_and_its_status_is_written() {
    let mut bed = bed_with(&[quota("q", &[("pods", "1")])]);
    assert_eq!(create(&mut bed, pod("web", 0, 0)), "");
    let object = Object::ResourceQuota(Arc::new(quota("q", &[("pods", "0")])));
    bed.request(Request::Update { object, expected: None });
    bed.run_for(Span::from_secs(1));
    assert!(create(&mut bed, pod("late", 0, 0)).contains("used: pods=1, limited: pods=0"));
    let mut web = Pod::clone(&bed.get::<Pod>("default", "web").expect("it is there"));
    web.status.phase = Phase::Failed;
    let id = bed.request(Request::UpdateStatus { object: Object::Pod(Arc::new(web)), expected: None });
    bed.run_for(Span::ZERO);
    assert!(bed.answers[&id].is_ok(), "{:?}", bed.answers[&id]);
}

/// A claim of a gibibyte, bound, that wants one class and has another; an empty text is none.
fn claim_of(wanted: &str, has: &str) -> PersistentVolumeClaim {
    let class = |name: &str| (!name.is_empty()).then(|| name.into());
    let mut claim = PersistentVolumeClaim { meta: Meta::named("default", "c"), ..PersistentVolumeClaim::default() };
    claim.spec.request = "1Gi".parse().expect("a quantity");
    claim.spec.attributes_class = class(wanted);
    claim.status.attributes_class = class(has);
    claim.status.phase = ClaimPhase::Bound;
    claim
}

#[test]
fn a_claim_is_charged_to_the_quotas_of_the_classes_that_it_wants_and_has() {
    let of_class = |class: &str, count: &str| ResourceQuota {
        scopes: vec![ScopeRequirement {
            scope: QuotaScope::VolumeAttributesClass,
            operator: SelectorOperator::In,
            values: vec![class.into()],
        }],
        ..quota(class, &[("persistentvolumeclaims", count), ("requests.storage", "10Gi")])
    };
    // What the claim wants and has, first and then, and how many claims each quota has counted after that. A quota gets
    // nothing back before its controller has counted again; that of copper allows nothing, which binds no status.
    for (before, after, status, counted) in [
        (("", ""), ("gold", ""), false, [1, 0, 0]),
        (("gold", ""), ("gold", "gold"), true, [1, 0, 0]),
        (("gold", "gold"), ("silver", "gold"), false, [1, 1, 0]),
        (("silver", "gold"), ("silver", "silver"), true, [1, 1, 0]),
        (("silver", "gold"), ("copper", "gold"), false, [1, 1, 0]),
        (("gold", "gold"), ("gold", "copper"), true, [1, 0, 1]),
    ] {
        let mut bed = bed_with(&[of_class("gold", "3"), of_class("silver", "1"), of_class("copper", "0")]);
        bed.input(Input::Crashed(ProcId::CONTROLLER_MANAGER));
        let refusal = create(&mut bed, claim_of(before.0, ""));
        assert_eq!(refusal, "", "{before:?}");
        let write = |bed: &mut Testbed, claim: PersistentVolumeClaim, status: bool| {
            let stored = bed.get::<PersistentVolumeClaim>("default", "c").expect("it is there");
            let object =
                Object::PersistentVolumeClaim(Arc::new(PersistentVolumeClaim { meta: stored.meta.clone(), ..claim }));
            bed.ask(match status {
                true => Request::UpdateStatus { object, expected: None },
                false => Request::Update { object, expected: None },
            })
        };
        assert_eq!(write(&mut bed, claim_of(before.0, before.1), true), "", "{before:?}");
        let refusal = write(&mut bed, claim_of(after.0, after.1), status);
        let is_too_much = after.0 == "copper";
        assert_eq!(refusal.contains("exceeded quota: copper"), is_too_much, "{before:?} {after:?}: {refusal}");
        let count = |class| used(&bed, class).starts_with("persistentvolumeclaims=1 requests.storage=1Gi");
        let found = ["gold", "silver", "copper"].map(|class| i32::from(count(class)));
        assert_eq!(found, counted, "{before:?} {after:?}");
    }
}
