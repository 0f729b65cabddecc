use std::sync::Arc;

use crate::api::{Patch, Request};
use crate::config::Config;
use crate::digest::Shared;
use crate::model::pod_security::{Levels, Minors, Violation};
use crate::model::{
    ConditionKind, Container, Deployment, Job, Kind, Labels, Meta, Namespace, Object, ObjectKey, Pod, PodSecurity,
    PodSpec, PodTemplate, ReplicaSet, Resource, Selector,
};
use crate::testbed::Testbed;
use crate::time::Span;

/// A spec of one container, with what its manifest was found to say of its security.
fn spec(found: Option<Vec<Violation>>) -> PodSpec {
    let container = Container { name: "app".into(), image: "app:1".into(), ..Container::default() };
    let security = found.map_or_else(PodSecurity::default, |found| PodSecurity::of(found, &["app"]));
    PodSpec { containers: vec![container], security, ..PodSpec::default() }
}

/// What is found about a pod that shares its node's network.
fn shares_network() -> Violation {
    let both: Levels = (Minors::since(0), Minors::since(0));
    Violation::new(both, ("host namespaces", "hostNetwork=true".to_owned()))
}

fn pod(name: &str, found: Option<Vec<Violation>>) -> Pod {
    Pod { meta: Meta::named("default", name).into(), spec: Shared::new(spec(found)), ..Pod::default() }
}

fn create<T: Resource>(bed: &mut Testbed, object: T) -> String {
    bed.ask(Request::Create(T::into_object(Arc::new(object))))
}

fn label(bed: &mut Testbed, mode: &str, value: &str) -> String {
    let key = ObjectKey::new(Kind::Namespace, "", "default");
    let patch = Patch::Label { key: format!("{}{mode}", super::PREFIX).into(), value: Some(value.into()) };
    bed.ask(Request::Patch { key, patch })
}

const PLAIN: &str = "allowPrivilegeEscalation != false (container \"app\" must set \
                     securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container \"app\" \
                     must set securityContext.capabilities.drop=[\"ALL\"]), runAsNonRoot != true (pod or container \
                     \"app\" must set securityContext.runAsNonRoot=true), seccompProfile (pod or container \"app\" \
                     must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")";

#[test]
fn the_level_of_the_namespace_decides_what_a_pod_may_have() {
    let mut bed = Testbed::new(Config::default());
    let refused = |name: &str, why: &str| format!("pods {name:?} is forbidden: violates PodSecurity {why}");
    assert_eq!(create(&mut bed, pod("free", Some(vec![shares_network()]))), "");
    assert_eq!(label(&mut bed, "enforce", "baseline"), "");
    assert_eq!(create(&mut bed, pod("plain", None)), "");
    let shared = create(&mut bed, pod("shared", Some(vec![shares_network()])));
    assert_eq!(shared, refused("shared", "\"baseline:latest\": host namespaces (hostNetwork=true)"));
    assert_eq!(label(&mut bed, "enforce", "restricted"), "");
    assert_eq!(create(&mut bed, pod("lax", None)), refused("lax", &format!("\"restricted:latest\": {PLAIN}")));
    assert_eq!(create(&mut bed, pod("strict", Some(Vec::new()))), "");
    assert_eq!(label(&mut bed, "enforce-version", "v1.7"), "");
    let old = create(&mut bed, pod("old", None));
    assert!(old.starts_with(&refused("old", "\"restricted:v1.7\": runAsNonRoot != true (")), "{old}");
    // A pod that is there is looked at when it gets another image, and only then.
    let key = ObjectKey::new(Kind::Pod, "default", "plain");
    let note = Patch::Annotation { key: "note".into(), value: Some("x".into()) };
    assert_eq!(bed.ask(Request::Patch { key: key.clone(), patch: note }), "");
    let image = Patch::Image { container: "app".into(), image: "app:2".into() };
    let changed = bed.ask(Request::Patch { key, patch: image });
    assert!(changed.starts_with(&refused("plain", "\"restricted:v1.7\": ")), "{changed}");
}

#[test]
fn a_controller_that_may_not_make_its_pods_says_why() {
    let mut bed = Testbed::new(Config::default());
    assert_eq!(label(&mut bed, "enforce", "restricted"), "");
    let labels = Labels::new([("app", "web")]);
    let template = PodTemplate { labels: labels.clone(), spec: Shared::new(spec(None)), ..PodTemplate::default() };
    let web = Deployment {
        meta: Meta::named("default", "web"),
        replicas: 2,
        selector: Selector::from_labels(labels),
        template: template.clone(),
        ..Deployment::default()
    };
    assert_eq!(create(&mut bed, web), "", "nobody refuses a workload");
    let mut job = Job { meta: Meta::named("default", "once"), ..Job::default() };
    job.spec.template = PodTemplate { labels: Labels::default(), ..template };
    assert_eq!(create(&mut bed, job), "");
    bed.run_for(Span::from_secs(1));
    let set = bed.core.newest().all::<ReplicaSet>().next().expect("the Deployment has made a ReplicaSet").1.clone();
    let condition = set.status.conditions.get(ConditionKind::ReplicaFailure).expect("it has failed").clone();
    assert_eq!(&*condition.reason, "FailedCreate");
    let said = |name: &str, message: &str| {
        let (before, after) = (format!("pods \"{name}-"), "violates PodSecurity \"restricted:latest\": ");
        assert!(
            message.contains(&before) && message.contains(&format!("\" is forbidden: {after}{PLAIN}")),
            "{message}"
        );
    };
    said(&set.meta.name, &condition.message);
    let web = bed.get::<Deployment>("default", "web").expect("it is there");
    let condition = web.status.conditions.get(ConditionKind::ReplicaFailure).expect("it shows its set's");
    said(&set.meta.name, &condition.message);
    let events = bed.events(Kind::Job, "once");
    let failed = events.iter().find(|event| event.contains("FailedCreate")).expect("the Job's controller says it");
    said("once", failed);
    assert_eq!(label(&mut bed, "enforce", "privileged"), "");
    bed.run_for(Span::from_secs(60));
    assert_eq!(bed.core.newest().all::<Pod>().count(), 3, "it is tried again");
}

#[test]
fn labels_that_name_no_level_or_version_are_refused_and_what_is_wrong_may_stay() {
    let mut bed = Testbed::new(Config::default());
    let labelled = |name: &str, label: &str, value: &str| {
        let labels = Labels::new([(format!("{}{label}", super::PREFIX), value.to_owned())]);
        Namespace { meta: Meta { labels, ..Meta::named("", name) }, ..Namespace::default() }
    };
    assert_eq!(create(&mut bed, labelled("a", "enforce", "baseline")), "");
    assert_eq!(create(&mut bed, labelled("b", "warn-version", "v1.34")), "");
    let place = "Namespace \"c\" is invalid: metadata.labels[pod-security.kubernetes.io/";
    let why = "must be one of privileged, baseline, restricted";
    let level = create(&mut bed, labelled("c", "audit", "strict"));
    assert_eq!(level, format!("{place}audit]: Invalid value: \"strict\": {why}"));
    let version = create(&mut bed, labelled("c", "enforce-version", "1.34"));
    assert_eq!(version, format!("{place}enforce-version]: Invalid value: \"1.34\": must be \"latest\" or \"v1.x\""));
    let later = label(&mut bed, "enforce", "none");
    assert!(later.starts_with("Namespace \"default\" is invalid: metadata.labels["), "{later}");
    assert_eq!(label(&mut bed, "enforce", "restricted"), "");
}

#[test]
fn whoever_writes_is_warned_of_the_level_that_is_not_enforced() {
    let mut bed = Testbed::new(Config::default());
    let warned = |bed: &Testbed, object: Object, before: Option<&Object>| {
        super::warning(bed.core.newest(), &object, before).unwrap_or_default()
    };
    let would = |policy: &str, why: &str| format!("would violate PodSecurity \"{policy}\": {why}");
    let shared = || Object::Pod(pod("shared", Some(vec![shares_network()])).into());
    let template = PodTemplate { spec: Shared::new(spec(None)), ..PodTemplate::default() };
    let plain = || {
        Object::Deployment(
            Deployment { template: template.clone(), meta: Meta::named("default", "web"), ..Deployment::default() }
                .into(),
        )
    };
    assert_eq!(warned(&bed, shared(), None), "");
    assert_eq!(label(&mut bed, "warn", "baseline"), "");
    assert_eq!(warned(&bed, shared(), None), would("baseline:latest", "host namespaces (hostNetwork=true)"));
    assert_eq!(warned(&bed, shared(), Some(&shared())), "", "it has been looked at");
    assert_eq!(warned(&bed, plain(), None), "");
    assert_eq!((label(&mut bed, "warn", "restricted"), label(&mut bed, "warn-version", "v1.7")), Default::default());
    assert_eq!(
        warned(&bed, plain(), Some(&plain())),
        would(
            "restricted:v1.7",
            "runAsNonRoot != true (pod or container \"app\" must set securityContext.runAsNonRoot=true)"
        )
    );
    // Without a level of its own it is the enforced one, of which pods are not told: they were refused.
    let mut bed = Testbed::new(Config::default());
    assert_eq!(label(&mut bed, "enforce", "restricted"), "");
    assert_eq!(warned(&bed, plain(), None), would("restricted:latest", PLAIN));
    assert_eq!(warned(&bed, shared(), None), "");
    assert_eq!(label(&mut bed, "warn", "privileged"), "");
    assert_eq!(warned(&bed, plain(), None), "");
}
