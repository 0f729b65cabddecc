use super::*;
use crate::api::Request;
use crate::config::Config;
use crate::digest::Shared;
use crate::model::Resource;
use crate::model::{ClaimSpec, Meta};
use crate::testbed::Testbed;
use crate::time::Span;

fn amounts(pairs: &[(&str, &str)]) -> Amounts {
    pairs.iter().map(|(name, amount)| ((*name).into(), amount.parse().expect("a quantity"))).collect()
}

fn item(limit_type: LimitType) -> LimitRangeItem {
    let none = Amounts::new;
    let (min, max, default_limits, default_requests, max_ratio) = (none(), none(), none(), none(), none());
    LimitRangeItem { limit_type, min, max, default_limits, default_requests, max_ratio }
}

fn range(limits: Vec<LimitRangeItem>) -> LimitRange {
    LimitRange { meta: Meta::named("default", "lr"), limits }
}

fn pod(containers: &[(i64, i64)]) -> Pod {
    let cpu = |cpu_milli| Resources { cpu_milli, ..Resources::default() };
    let container = |(index, (request, limit)): (usize, &(i64, i64))| Container {
        name: format!("c{index}").into(),
        requests: cpu(*request),
        limits: cpu(*limit),
        ..Container::default()
    };
    let containers = containers.iter().enumerate().map(container).collect();
    let spec = Shared::new(PodSpec { containers, ..PodSpec::default() });
    Pod { meta: Meta::named("default", "p").into(), spec, ..Pod::default() }
}

fn refusal<T: Resource>(range: LimitRange, object: T) -> String {
    let mut bed = Testbed::new(Config::default());
    bed.create(range);
    let id = bed.request(Request::Create(T::into_object(Arc::new(object))));
    bed.run_for(Span::ZERO);
    bed.answers[&id].as_ref().err().map(ToString::to_string).unwrap_or_default()
}

#[test]
fn what_a_container_only_limits_it_requests_too() {
    let mut bed = Testbed::new(Config::default());
    let mut limited = pod(&[(0, 500), (200, 500), (0, 0)]);
    limited.spec.containers[2].limits.extended.insert("example.com/fan".into(), 2);
    bed.create(limited);
    let stored = bed.get::<Pod>("default", "p").expect("the pod is there");
    let cpu: Vec<i64> = stored.spec.containers.iter().map(|container| container.requests.cpu_milli).collect();
    assert_eq!(cpu, [500, 200, 0]);
    assert_eq!(stored.spec.containers[2].requests.extended["example.com/fan"], 2);
}

#[test]
fn containers_without_amounts_get_the_defaults_and_the_pod_says_so() {
    let defaults = LimitRangeItem {
        default_limits: amounts(&[("cpu", "200m"), ("memory", "256Mi")]),
        default_requests: amounts(&[("cpu", "100m")]),
        ..item(LimitType::Container)
    };
    let mut bed = Testbed::new(Config::default());
    bed.create(range(vec![defaults]));
    let mut given = pod(&[(0, 0), (50, 60)]);
    let init = Container { name: "init".into(), ..Container::default() };
    given.spec = Shared::new(PodSpec { init_containers: vec![init], ..(*given.spec).clone() });
    bed.create(given);
    let pod = bed.get::<Pod>("default", "p").expect("the pod is there");
    let [first, second] = &pod.spec.containers[..] else { panic!("two containers") };
    assert_eq!((first.requests.cpu_milli, first.limits.cpu_milli, first.limits.memory_bytes), (100, 200, 256 << 20));
    assert_eq!((second.requests.cpu_milli, second.limits.cpu_milli, second.limits.memory_bytes), (50, 60, 256 << 20));
    assert_eq!(pod.spec.init_containers[0].limits.cpu_milli, 200);
    let said = pod.meta.annotations.get(ANNOTATION).expect("the annotation is there");
    assert_eq!(
        &**said,
        "LimitRanger plugin set: cpu request for container c0; cpu, memory limit for container c0; memory limit for \
         container c1; cpu request for init container init; cpu, memory limit for init container init"
    );
}

#[test]
fn a_container_outside_its_bounds_is_refused_in_kubernetes_words() {
    let bounds = || {
        range(vec![LimitRangeItem {
            min: amounts(&[("cpu", "50m")]),
            max: amounts(&[("cpu", "2")]),
            max_ratio: amounts(&[("cpu", "4")]),
            ..item(LimitType::Container)
        }])
    };
    let cases = [
        ((500, 1_000), ""),
        ((1_000, 4_000), "maximum cpu usage per Container is 2, but limit is 4"),
        (
            (500, 0),
            "[maximum cpu usage per Container is 2.  No limit is specified, \
                    cpu max limit to request ratio per Container is 4, but no limit is specified or limit is 0]",
        ),
        ((0, 500), ""),
        (
            (0, 0),
            "[minimum cpu usage per Container is 50m.  No request is specified, \
                    maximum cpu usage per Container is 2.  No limit is specified, \
                    cpu max limit to request ratio per Container is 4, but no request is specified or request is 0]",
        ),
        ((10, 30), "minimum cpu usage per Container is 50m, but request is 10m"),
        ((300, 2_000), "cpu max limit to request ratio per Container is 4, but provided ratio is 6.666667"),
    ];
    for (container, expected) in cases {
        let found = refusal(bounds(), pod(&[container]));
        let found = found.strip_prefix("pods \"p\" is forbidden: ").unwrap_or(&found);
        assert_eq!(found, expected, "{container:?}");
    }
}

#[test]
fn a_fault_that_two_containers_share_is_named_once() {
    let bounds = LimitRangeItem { max: amounts(&[("cpu", "1")]), ..item(LimitType::Container) };
    let found = refusal(range(vec![bounds]), pod(&[(100, 2_000), (100, 2_000)]));
    assert_eq!(found, "pods \"p\" is forbidden: maximum cpu usage per Container is 1, but limit is 2");
}

#[test]
fn a_pod_is_measured_as_a_whole() {
    let bounds = || LimitRangeItem { max: amounts(&[("cpu", "800m")]), ..item(LimitType::Pod) };
    assert_eq!(refusal(range(vec![bounds()]), pod(&[(100, 400), (100, 400)])), "");
    let found = refusal(range(vec![bounds()]), pod(&[(100, 500), (100, 500)]));
    assert_eq!(found, "pods \"p\" is forbidden: maximum cpu usage per Pod is 800m, but limit is 1");
}

#[test]
fn claims_are_measured_by_what_they_ask_for() {
    let bounds = LimitRangeItem {
        min: amounts(&[("storage", "1Gi")]),
        max: amounts(&[("storage", "5Gi")]),
        ..item(LimitType::PersistentVolumeClaim)
    };
    let claim = |request: &str| PersistentVolumeClaim {
        meta: Meta::named("default", "c"),
        spec: ClaimSpec { request: request.parse().expect("a quantity"), ..ClaimSpec::default() },
        ..PersistentVolumeClaim::default()
    };
    let found = |request: &str| refusal(range(vec![bounds.clone()]), claim(request));
    let prefix = "persistentvolumeclaims \"c\" is forbidden: ";
    assert_eq!(found("3Gi"), "");
    assert_eq!(
        found("500Mi"),
        format!("{prefix}minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 500Mi")
    );
    assert_eq!(
        found("6Gi"),
        format!("{prefix}maximum storage usage per PersistentVolumeClaim is 5Gi, but request is 6Gi")
    );
}
