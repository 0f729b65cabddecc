use super::*;
use crate::api::Request;
use crate::config::Config;
use crate::digest::Shared;
use crate::model::Resource;
use crate::model::{ClaimSpec, Meta};
use crate::testbed::Testbed;

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
    bed.ask(Request::Create(T::into_object(Arc::new(object))))
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
fn a_request_above_the_limit_that_is_filled_in_makes_the_pod_invalid() {
    let defaults = LimitRangeItem { default_limits: amounts(&[("cpu", "500m")]), ..item(LimitType::Container) };
    let above = "must be less than or equal to cpu limit of 500m";
    assert_eq!(
        refusal(range(vec![defaults.clone()]), pod(&[(1000, 0)])),
        format!(r#"Pod "p" is invalid: spec.containers[0].resources.requests: Invalid value: "1": {above}"#)
    );
    let field = "spec.containers[1].resources.requests";
    let both = refusal(range(vec![defaults.clone()]), pod(&[(500, 0), (600, 0), (700, 700), (800, 0)]));
    let last = format!(r#"spec.containers[3].resources.requests: Invalid value: "800m": {above}"#);
    assert_eq!(both, format!(r#"Pod "p" is invalid: [{field}: Invalid value: "600m": {above}, {last}]"#));
    assert_eq!(refusal(range(vec![defaults]), pod(&[(500, 0)])), "");
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

/// A pod of one resource: containers in words, `2x100/200` for two that request 100 and limit 200 (or `100/`, `/200`,
/// `/`), and init containers alike, with `+` for a sidecar.
fn pod_of(resource: &str, unit: &str, containers: &str, inits: &str) -> Pod {
    let amount = |text: &str| {
        let mut named = Resources::default();
        if !text.is_empty() {
            named.set_quantity(resource, format!("{text}{unit}").parse().expect("a quantity"));
        }
        named
    };
    let container = |word: &str| {
        let (count, pair) = word.split_once('x').unwrap_or(("1", word));
        let (request, limit) = pair.trim_start_matches('+').split_once('/').expect("a request and a limit");
        let (requests, limits, sidecar) = (amount(request), amount(limit), pair.starts_with('+'));
        let one = Container { name: "c".into(), requests, limits, sidecar, ..Container::default() };
        vec![one; count.parse().expect("a count")]
    };
    let all = |words: &str| words.split_whitespace().flat_map(container).collect();
    let spec = PodSpec { containers: all(containers), init_containers: all(inits), ..PodSpec::default() };
    Pod { meta: Meta::named("default", "p").into(), spec: Shared::new(spec), ..Pod::default() }
}

#[test]
fn every_bound_holds_for_every_resource_of_containers_and_of_the_pod() {
    use LimitType::{Container as OfContainer, Pod as OfPod};
    // Whom the bound is for, the bound, the containers, the init containers, what is said of it if it is broken.
    let table = [
        (OfContainer, "min=50", "100/", "", ""),
        (OfContainer, "min=50", "100/200", "", ""),
        (OfContainer, "min=50", "2x60/100", "", ""),
        (OfContainer, "min=50", "40/", "", "minimum R usage per Container is 50U, but request is 40U"),
        (OfContainer, "min=50", "40/200", "", "minimum R usage per Container is 50U, but request is 40U"),
        (OfContainer, "min=50", "/", "", "minimum R usage per Container is 50U.  No request is specified"),
        (OfContainer, "min=50", "60/ 40/", "", "minimum R usage per Container is 50U, but request is 40U"),
        (OfContainer, "min=50", "60/", "40/", "minimum R usage per Container is 50U, but request is 40U"),
        (OfContainer, "max=500", "250/500", "", ""),
        (OfContainer, "max=500", "/500", "", ""),
        (OfContainer, "max=500", "2x250/500", "", ""),
        (OfContainer, "max=500", "250/600", "", "maximum R usage per Container is 500U, but limit is 600U"),
        (OfContainer, "max=500", "2x/600", "", "maximum R usage per Container is 500U, but limit is 600U"),
        (OfContainer, "max=500", "/", "", "maximum R usage per Container is 500U.  No limit is specified"),
        (OfContainer, "max=500", "/400", "/600", "maximum R usage per Container is 500U, but limit is 600U"),
        (OfPod, "min=100", "2x75/", "", ""),
        (OfPod, "min=100", "2x75/200", "", ""),
        (OfPod, "min=100", "2x40/", "100/", ""),
        (OfPod, "min=100", "2x40/100", "+30/100", ""),
        (OfPod, "min=100", "75/", "", "minimum R usage per Pod is 100U, but request is 75U"),
        (OfPod, "min=100", "75/200", "80/100", "minimum R usage per Pod is 100U, but request is 80U"),
        (OfPod, "min=100", "/", "", "minimum R usage per Pod is 100U.  No request is specified"),
        (OfPod, "max=900", "2x200/400", "", ""),
        (OfPod, "max=900", "2x/400", "", ""),
        (OfPod, "max=900", "2x/400", "/900 /900", ""),
        (OfPod, "max=900", "2x200/400", "300/600 +50/100", ""),
        (OfPod, "max=900", "3x200/310", "", "maximum R usage per Pod is 900U, but limit is 930U"),
        (OfPod, "max=900", "3x/310", "", "maximum R usage per Pod is 900U, but limit is 930U"),
        (OfPod, "max=900", "/400", "/950", "maximum R usage per Pod is 900U, but limit is 950U"),
        (OfPod, "max=900", "2x/400", "+/110", "maximum R usage per Pod is 900U, but limit is 910U"),
        (OfPod, "max=900", "2x/", "", "maximum R usage per Pod is 900U.  No limit is specified"),
    ];
    for (resource, unit) in [("cpu", "m"), ("memory", "Mi"), ("ephemeral-storage", "Mi")] {
        for (limit_type, bound, containers, inits, expected) in &table {
            let (which, amount) = bound.split_once('=').expect("a bound and its amount");
            let given = amounts(&[(resource, &format!("{amount}{unit}"))]);
            let mut bounds = item(limit_type.clone());
            *(if which == "min" { &mut bounds.min } else { &mut bounds.max }) = given;
            let pod = Object::Pod(Arc::new(pod_of(resource, unit, containers, inits)));
            let mut found = faults(&bounds, &pod);
            found.dedup();
            let found = found.join(", ");
            let story = format!("{limit_type:?} {bound} of {resource}: {containers:?}, init {inits:?}");
            assert_eq!(found, expected.replace('R', resource).replace('U', unit), "{story}");
        }
        for (limit_type, containers, keeps) in [
            (OfContainer, "500/750", true),
            (OfContainer, "500/760", false),
            (OfPod, "3x300/450", true),
            (OfPod, "3x250/500", false),
            (OfPod, "250/300 250/500", false),
        ] {
            let bounds = LimitRangeItem { max_ratio: amounts(&[(resource, "1.5")]), ..item(limit_type) };
            let pod = Object::Pod(Arc::new(pod_of(resource, unit, containers, "")));
            assert_eq!(faults(&bounds, &pod).is_empty(), keeps, "{:?} {containers} of {resource}", bounds.limit_type);
        }
    }
}

#[test]
fn what_a_pod_asks_for_as_a_whole_stands_for_its_containers() {
    let mut whole = pod_of("cpu", "m", "3x50/", "");
    let own = Some(Box::new([(crate::model::ResourceName::Cpu, 160)].into()));
    whole.spec = Shared::new(PodSpec { pod_requests: own, ..PodSpec::clone(&whole.spec) });
    for (least, keeps) in [("150m", true), ("160m", true), ("161m", false)] {
        let bounds = LimitRangeItem { min: amounts(&[("cpu", least)]), ..item(LimitType::Pod) };
        let found = faults(&bounds, &Object::Pod(Arc::new(whole.clone())));
        assert_eq!(found.is_empty(), keeps, "{least}: {found:?}");
    }
}
