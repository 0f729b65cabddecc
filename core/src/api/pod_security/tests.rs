use std::sync::Arc;

use crate::api::{Patch, Request};
use crate::config::{Config, PodSecurityConfig, PodSecurityLevel};
use crate::digest::Shared;
use crate::facts::What;
use crate::model::pod_security::{Judged, Levels, Minors, Violation};
use crate::model::{
    ConditionKind, ConfigMap, Container, Deployment, Job, Kind, Labels, Meta, Namespace, ObjectKey, OwnerReference,
    Pod, PodSecurity, PodSpec, PodTemplate, ReplicaSet, Resource, Selector,
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

/// What has been told since the last look: to the user who asked, and to the audit.
fn told(bed: &mut Testbed) -> Vec<String> {
    let facts = std::mem::take(&mut bed.facts);
    let told = facts.into_iter().filter(|(_, fact)| matches!(fact.what, What::Warned { .. } | What::Audited { .. }));
    told.map(|(_, fact)| format!("{} {}", fact.what.reason(), fact.what)).collect()
}

fn would(policy: &str, why: &str) -> String {
    format!("would violate PodSecurity \"{policy}\": {why}")
}

fn deployment(name: &str) -> Deployment {
    let labels = Labels::new([("app", name)]);
    let template = PodTemplate { labels: labels.clone(), spec: Shared::new(spec(None)), ..PodTemplate::default() };
    let selector = Selector::from_labels(labels);
    Deployment { template, selector, meta: Meta::named("default", name), ..Deployment::default() }
}

#[test]
fn whoever_writes_is_warned_of_the_level_that_is_not_enforced() {
    let mut bed = Testbed::new(Config::default());
    let key = |kind, name: &str| ObjectKey::new(kind, "default", name);
    let shared = |name: &str| pod(name, Some(vec![shares_network()]));
    let note = |bed: &mut Testbed, key: ObjectKey| {
        let patch = Patch::Annotation { key: "note".into(), value: Some("x".into()) };
        assert_eq!(bed.ask(Request::Patch { key, patch }), "");
    };
    assert_eq!(create(&mut bed, shared("a")), "");
    assert_eq!(label(&mut bed, "warn", "baseline"), "");
    assert_eq!(told(&mut bed), [""; 0]);
    let of_baseline = would("baseline:latest", "host namespaces (hostNetwork=true)");
    assert_eq!(create(&mut bed, shared("b")), "");
    assert_eq!(told(&mut bed), [format!("Warning {of_baseline}")]);
    note(&mut bed, key(Kind::Pod, "b"));
    assert_eq!(create(&mut bed, deployment("web")), "");
    assert_eq!(told(&mut bed), [""; 0], "the one has been looked at, the other suits");
    let image = Patch::Image { container: "app".into(), image: "app:2".into() };
    let image = Request::Patch { key: key(Kind::Pod, "b"), patch: image };
    assert_eq!(bed.ask(Request::DryRun(Box::new(image.clone()))), "");
    assert_eq!(told(&mut bed), [format!("Warning {of_baseline}")]);
    assert_eq!(bed.ask(image), "");
    assert_eq!(told(&mut bed), [format!("Warning {of_baseline}")]);
    assert_eq!((label(&mut bed, "warn", "restricted"), label(&mut bed, "warn-version", "v1.7")), Default::default());
    note(&mut bed, key(Kind::Deployment, "web"));
    let root = "runAsNonRoot != true (pod or container \"app\" must set securityContext.runAsNonRoot=true)";
    assert_eq!(told(&mut bed), [format!("Warning {}", would("restricted:v1.7", root))]);
    let scale = Patch::Replicas(3);
    assert_eq!(bed.ask(Request::Patch { key: key(Kind::Deployment, "web"), patch: scale }), "");
    bed.run_for(Span::from_secs(5));
    assert_eq!(told(&mut bed), [""; 0], "a size is a resource of its own, and controllers are no users");
    // Without a level of its own it is the enforced one, of which pods are not told: they are refused.
    let mut bed = Testbed::new(Config::default());
    assert_eq!(label(&mut bed, "enforce", "restricted"), "");
    assert_eq!(create(&mut bed, deployment("web")), "");
    assert_eq!(told(&mut bed), [format!("Warning {}", would("restricted:latest", PLAIN))]);
    assert_ne!(create(&mut bed, shared("a")), "");
    assert_eq!(label(&mut bed, "warn", "privileged"), "");
    assert_eq!(create(&mut bed, deployment("api")), "");
    assert_eq!(told(&mut bed), [""; 0]);
}

#[test]
fn the_audit_is_told_of_whoever_writes() {
    let mut bed = Testbed::new(Config::default());
    assert_eq!(label(&mut bed, "audit", "restricted"), "");
    assert_eq!(create(&mut bed, Deployment { replicas: 2, ..deployment("web") }), "");
    bed.run_for(Span::from_secs(5));
    let told: Vec<(String, Option<String>)> = bed
        .facts
        .iter()
        .filter(|(_, fact)| {
            matches!(&fact.what, What::Audited { message } if **message == *would("restricted:latest", PLAIN))
        })
        .map(|(_, fact)| (fact.subject.kind.name().to_owned(), fact.by.map(|by| by.to_string())))
        .collect();
    let by = |kind: &str, by: &str| (kind.to_owned(), Some(by.to_owned()));
    let set = "replicaset-controller";
    // Of a status nothing is told, although a Deployment's revision is written with it.
    let expected =
        [by("Deployment", "user"), by("ReplicaSet", "deployment-controller"), by("Pod", set), by("Pod", set)];
    assert_eq!(told, expected);
    assert_eq!(label(&mut bed, "audit-version", "v1.7"), "");
    assert_eq!(label(&mut bed, "enforce", "restricted"), "");
    assert_eq!(label(&mut bed, "enforce-version", "v1.7"), "");
    bed.facts.clear();
    assert_ne!(create(&mut bed, pod("a", None)), "", "who is refused is not stored");
    assert!(!bed.facts.iter().any(|(_, fact)| matches!(fact.what, What::Audited { .. })));
}

#[test]
fn who_makes_a_namespace_stricter_hears_of_the_pods_that_are_there() {
    let mut bed = Testbed::new(Config::default());
    for name in ["c", "a", "b"] {
        assert_eq!(create(&mut bed, pod(name, None)), "");
    }
    for name in ["y", "x"] {
        assert_eq!(create(&mut bed, pod(name, Some(vec![shares_network()]))), "");
    }
    let heard = |level: &str| {
        format!("Warning existing pods in namespace \"default\" violate the new PodSecurity enforce level \"{level}\"")
    };
    let shared = "Warning x (and 1 other pod): host namespaces";
    assert_eq!(label(&mut bed, "enforce", "baseline"), "");
    assert_eq!(told(&mut bed), [heard("baseline:latest"), shared.to_owned()]);
    assert_eq!(label(&mut bed, "enforce", "restricted"), "");
    let lacks = "allowPrivilegeEscalation != false, unrestricted capabilities, runAsNonRoot != true, seccompProfile";
    let plain = format!("Warning a (and 2 other pods): {lacks}");
    assert_eq!(told(&mut bed), [heard("restricted:latest"), plain, shared.to_owned()]);
    assert_eq!(label(&mut bed, "enforce-version", "v1.7"), "");
    let old = "Warning a (and 2 other pods): runAsNonRoot != true".to_owned();
    assert_eq!(told(&mut bed), [heard("restricted:v1.7"), old, shared.to_owned()]);
    assert_eq!(label(&mut bed, "enforce", "baseline"), "");
    assert_eq!(label(&mut bed, "warn", "restricted"), "");
    assert_eq!(label(&mut bed, "enforce-version", "latest"), "");
    assert_eq!(told(&mut bed), [heard("baseline:latest"), shared.to_owned()], "only what is enforced counts");
    assert_eq!(label(&mut bed, "enforce", "privileged"), "");
    assert_eq!(told(&mut bed), [""; 0]);
}

#[test]
fn of_very_many_pods_some_are_looked_at_one_of_each_controller_first() {
    let mut bed = Testbed::new(Config::default());
    assert_eq!(create(&mut bed, ConfigMap { meta: Meta::named("default", "owner"), ..ConfigMap::default() }), "");
    let uid = bed.get::<ConfigMap>("default", "owner").expect("it was just made").meta.uid;
    let owner = |name: &str| OwnerReference {
        kind: Kind::ConfigMap,
        name: name.into(),
        uid,
        controller: true,
        block_owner_deletion: false,
    };
    for number in 0..super::CHECKED_PODS_MAX {
        let mut pod = pod(&format!("a-{number}"), None);
        pod.meta.owners = [owner("owner")].into_iter().collect();
        assert_eq!(create(&mut bed, pod), "");
    }
    assert_eq!(create(&mut bed, pod("z", Some(vec![shares_network()]))), "");
    assert_eq!(label(&mut bed, "enforce", "baseline"), "");
    let told = told(&mut bed);
    let first = "Warning new PodSecurity enforce level only checked against the first 3000 of 3001 existing pods";
    assert_eq!((told.len(), &*told[0], &*told[2]), (3, first, "Warning z: host namespaces"));
}

#[test]
fn a_template_is_judged_as_it_is_and_its_pods_as_they_are_filled_in() {
    let mut bed = Testbed::new(Config::default());
    let both: Levels = (Minors::since(0), Minors::since(0));
    let of = |judged, port: &str| Violation {
        judged,
        ..Violation::new(both, ("hostPort", format!("container \"app\" uses hostPort {port}")))
    };
    let found = || Some(vec![shares_network(), of(Judged::Pod, "80"), of(Judged::Template, "9")]);
    assert_eq!(label(&mut bed, "warn", "baseline"), "");
    let template = PodTemplate { spec: Shared::new(spec(found())), ..PodTemplate::default() };
    assert_eq!(create(&mut bed, Deployment { template, ..deployment("web") }), "");
    assert_eq!(create(&mut bed, pod("p", found())), "");
    let said = |port: &str| {
        let why = format!("host namespaces (hostNetwork=true), hostPort (container \"app\" uses hostPort {port})");
        format!("Warning {}", would("baseline:latest", &why))
    };
    assert_eq!(told(&mut bed), [said("9"), said("80")]);
}

#[test]
fn the_configuration_stands_where_labels_say_nothing_and_exempt_namespaces_ignore_them() {
    let mut config = Config::default();
    let level = |level: &str, version: &str| PodSecurityLevel { level: level.into(), version: version.into() };
    config.api_server.pod_security = PodSecurityConfig {
        enforce: level("baseline", "latest"),
        audit: PodSecurityLevel::default(),
        warn: level("restricted", "v1.7"),
        exempt_namespaces: vec!["system".into()],
    };
    let mut bed = Testbed::new(config);
    let shared = |namespace: &str| {
        let meta = Meta::named(namespace, "shared").into();
        Pod { meta, ..pod("shared", Some(vec![shares_network()])) }
    };
    let refused = create(&mut bed, shared("default"));
    assert!(
        refused.ends_with("violates PodSecurity \"baseline:latest\": host namespaces (hostNetwork=true)"),
        "{refused}"
    );
    assert_eq!(create(&mut bed, pod("plain", None)), "");
    let root = "runAsNonRoot != true (pod or container \"app\" must set securityContext.runAsNonRoot=true)";
    assert_eq!(told(&mut bed), [format!("Warning {}", would("restricted:v1.7", root))]);
    // A label goes before the configuration; the level to warn of stays the stricter one.
    assert_eq!(label(&mut bed, "enforce", "privileged"), "");
    assert_eq!(create(&mut bed, shared("default")), "");
    assert!(told(&mut bed)[0].starts_with("Warning would violate PodSecurity \"restricted:v1.7\": "));
    let labelled = |name: &str, labels: &[(&str, &str)]| {
        let labels = Labels::new(labels.iter().map(|(mode, value)| (format!("{}{mode}", super::PREFIX), *value)));
        Namespace { meta: Meta { labels, ..Meta::named("", name) }, ..Namespace::default() }
    };
    assert_eq!(create(&mut bed, labelled("other", &[("enforce", "restricted")])), "");
    assert_eq!(told(&mut bed), [""; 0]);
    assert_eq!(create(&mut bed, labelled("system", &[("enforce", "restricted"), ("audit-version", "v1.9")])), "");
    let ignored = "namespace \"system\" is exempt from Pod Security, and the policy (enforce=restricted:latest) will \
                   be ignored";
    assert_eq!(told(&mut bed), [format!("Warning {ignored}")]);
    assert_eq!(create(&mut bed, shared("system")), "");
    assert_eq!(told(&mut bed), [""; 0]);
    let key = ObjectKey::new(Kind::Namespace, "", "system");
    let version = Patch::Label { key: format!("{}enforce-version", super::PREFIX).into(), value: Some("v1.8".into()) };
    assert_eq!(bed.ask(Request::Patch { key, patch: version }), "");
    assert_eq!(
        told(&mut bed),
        [format!("Warning {}", ignored.replace("latest", "v1.8"))],
        "its pods are not looked at"
    );
}
