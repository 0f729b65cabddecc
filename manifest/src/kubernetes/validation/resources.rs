//! Checks of containers' requests and limits.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Container, PodSpec, ResourceClaim, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as QuantityText;

use super::names;
use super::report::{AsJson, At, Report};
use wavetank_core::quantity::Quantity;

/// Names without a domain that are resources somewhere (quotas included).
const STANDARD: [&str; 20] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "storage",
    "requests.storage",
    "services.nodeports",
    "services.loadbalancers",
];

/// Checks the requests and limits of one container; `claims` are the names of its pod's resource claims.
pub(super) fn check(report: &mut Report, at: &At, resources: &ResourceRequirements, claims: &BTreeSet<&str>) {
    requirements(report, at, resources, container_name);
    claimed(report, &at.child("claims"), resources.claims.as_deref().unwrap_or_default(), claims);
}

/// Checks what a pod needs beside its containers.
pub(super) fn overhead(report: &mut Report, at: &At, overhead: Option<&BTreeMap<String, QuantityText>>) {
    let limits = overhead.cloned();
    let resources = ResourceRequirements { limits, ..ResourceRequirements::default() };
    requirements(report, at, &resources, container_name);
}

/// Source: `validateResourceClaimNames`, pkg/apis/core/validation/validation.go (v1.34.1).
fn claimed(report: &mut Report, at: &At, claims: &[ResourceClaim], of_pod: &BTreeSet<&str>) {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for (index, claim) in claims.iter().enumerate() {
        let (at, name) = (at.index(index), claim.name.as_str());
        if name.is_empty() {
            report.required(&at, "");
            continue;
        }
        if seen.contains(name) {
            report.duplicate(&at, &name, "");
        } else {
            let request = claim.request.as_deref().filter(|request| !request.is_empty());
            let key = request.map_or_else(|| name.to_owned(), |request| format!("{name}/{request}"));
            if let Some(request) = request {
                report.invalid_each(&at.child("request"), &request, names::dns_label(request));
            }
            if seen.contains(&key) {
                report.duplicate(&at, &key, "");
            } else if request.is_none() {
                for _ in seen.iter().filter(|seen| seen.split_once('/').is_some_and(|(claim, _)| claim == name)) {
                    report.duplicate(&at, &name, "");
                }
            }
            seen.insert(key);
        }
        if !of_pod.contains(name) {
            let names: Vec<&str> = of_pod.iter().copied().collect();
            let list = if names.is_empty() { " which is empty".to_owned() } else { format!(": {}", names.join(", ")) };
            report.not_found_with(&at, &name, &format!("must be one of the names in pod.spec.resourceClaims{list}"));
        }
    }
}

/// Checks the requests and limits of a pod as a whole, which must cover its containers' requests.
///
/// Source: `validatePodResources`, pkg/apis/core/validation/validation.go (v1.34.1), without huge pages' limits.
pub(super) fn check_pod(report: &mut Report, at: &At, spec: &PodSpec) {
    let Some(resources) = &spec.resources else { return };
    if spec.os.as_ref().is_some_and(|os| os.name == "windows") {
        return report.forbidden(at, "may not be set for a windows pod");
    }
    if resources.claims.is_some() {
        report.forbidden(&at.child("claims"), "claims may not be set for Resources at pod-level");
    }
    requirements(report, at, resources, pod_name);
    for (name, text) in resources.requests.iter().flatten() {
        let containers = containers_request(spec, name);
        if let (Some(containers), Ok(own)) = (containers, text.0.parse::<Quantity>())
            && containers > own
        {
            let detail = format!("must be greater than or equal to aggregate container requests of {containers}");
            report.invalid(&at.child("requests").key(name), &own.to_string(), &detail);
        }
    }
    for (index, container) in spec.containers.iter().enumerate() {
        let limits = container.resources.iter().flat_map(|it| it.limits.iter().flatten());
        for (name, text) in limits {
            let own = resources.limits.as_ref().and_then(|limits| limits.get(name)).map(|text| text.0.parse());
            if let (Some(Ok(own)), Ok(limit)) = (own, text.0.parse::<Quantity>())
                && limit > own
            {
                // The API server puts the container below the pod's resources.
                let at = at.child("containers").index(index).key(name).child("limits");
                report.invalid(&at, &limit.to_string(), &format!("must be less than or equal to pod limits of {own}"));
            }
        }
    }
}

/// What all containers of a pod together ask for of one resource; `None` if none asks.
fn containers_request(spec: &PodSpec, name: &str) -> Option<Quantity> {
    let request = |container: &Container| {
        let text = container.resources.as_ref()?.requests.as_ref()?.get(name)?;
        text.0.parse::<Quantity>().ok()
    };
    let add = |sum: Option<Quantity>, more: Option<Quantity>| match (sum, more) {
        (Some(sum), Some(more)) => sum.checked_add(more),
        (one, other) => one.or(other),
    };
    let mut sum = spec.containers.iter().map(request).fold(None, add);
    let (mut sidecars, mut starting) = (None, None);
    for container in spec.init_containers.iter().flatten() {
        let asked = request(container);
        let beside = add(sidecars, asked);
        starting = starting.max(beside);
        if container.restart_policy.as_deref() == Some("Always") {
            sum = add(sum, asked);
            sidecars = beside;
        }
    }
    sum.max(starting)
}

fn requirements(report: &mut Report, at: &At, resources: &ResourceRequirements, check_name: NameCheck) {
    let (limits_at, requests_at) = (at.child("limits"), at.child("requests"));
    let limits = parsed(report, &limits_at, resources.limits.as_ref());
    let requests = parsed(report, &requests_at, resources.requests.as_ref());
    for (&name, &limit) in &limits {
        resource(report, &limits_at.key(name), name, limit, check_name);
        huge_page(report, &limits_at.key(name), name, limit);
    }
    for (&name, &request) in &requests {
        resource(report, &requests_at.key(name), name, request, check_name);
        let overcommit = is_native(name) && !is_huge_page(name);
        match limits.get(name) {
            Some(limit) if !overcommit && request != *limit => {
                let detail = format!("must be equal to {name} limit of {limit}");
                report.invalid(&requests_at, &request.to_string(), &detail);
            }
            Some(limit) if request > *limit => {
                let detail = format!("must be less than or equal to {name} limit of {limit}");
                report.invalid(&requests_at, &request.to_string(), &detail);
            }
            None if !overcommit => report.required(&limits_at, "Limit must be set for non overcommitable resources"),
            _ => {}
        }
        huge_page(report, &requests_at.key(name), name, request);
    }
    let names = || limits.keys().chain(requests.keys());
    if names().any(|name| is_huge_page(name)) && !names().any(|name| matches!(*name, "cpu" | "memory")) {
        report.forbidden(at, "HugePages require cpu or memory");
    }
}

/// The quantities that can be read; the API server refuses an object with others before it validates.
fn parsed<'a>(
    report: &mut Report,
    at: &At,
    quantities: Option<&'a BTreeMap<String, QuantityText>>,
) -> BTreeMap<&'a str, Quantity> {
    let mut read = BTreeMap::new();
    for (name, text) in quantities.into_iter().flatten() {
        match text.0.parse::<Quantity>() {
            Ok(quantity) => {
                read.insert(name.as_str(), quantity);
            }
            Err(error) => report.invalid(&at.key(name), &text.0, &error.to_string()),
        }
    }
    read
}

/// Checks a resource's name.
type NameCheck = fn(&mut Report, &At, &str);

/// Checks that a name is one of a resource at all; `false` if it is not.
fn any_name(report: &mut Report, at: &At, name: &str) -> bool {
    let faults = name_faults(name);
    let good = faults.is_empty();
    report.invalid_each(at, &name, faults);
    good
}

fn pod_name(report: &mut Report, at: &At, name: &str) {
    if any_name(report, at, name) && !matches!(name, "cpu" | "memory") && !is_huge_page(name) {
        report.not_supported(at, &name, &["cpu", "hugepages-", "memory"]);
    }
}

pub(super) fn container_name(report: &mut Report, at: &At, name: &str) {
    any_name(report, at, name);
    let plain = !name.contains('/');
    if plain && !matches!(name, "cpu" | "memory" | "ephemeral-storage") && !is_huge_page(name) {
        report.invalid(at, &name, "must be a standard resource for containers");
    } else if !plain && !is_native(name) && !is_extended(name) {
        report.invalid(at, &name, "doesn't follow extended resource name standard");
    }
}

fn resource(report: &mut Report, at: &At, name: &str, quantity: Quantity, check_name: NameCheck) {
    check_name(report, at, name);
    if quantity.is_negative() {
        report.invalid(at, &quantity.to_string(), "must be greater than or equal to 0");
    }
    if is_extended(name) && quantity.milli_value() % 1_000 != 0 {
        report.invalid(at, &AsJson(&quantity.to_string()), "must be an integer");
    }
}

/// Checks that there are whole pages.
fn huge_page(report: &mut Report, at: &At, name: &str, quantity: Quantity) {
    let Some(size) = name.strip_prefix("hugepages-") else { return };
    let size =
        size.parse::<Quantity>().ok().filter(|size| *size > Quantity::default() && size.milli_value() % 1_000 == 0);
    if size.is_none_or(|size| quantity.value() % size.value() != 0) {
        let detail = format!("{quantity} is not positive integer multiple of {name}");
        report.invalid(at, &quantity.to_string(), &detail);
    }
}

/// What is wrong with the name of any resource.
///
/// Source: `validateResourceName`, pkg/apis/core/validation/validation.go (v1.34).
pub(super) fn name_faults(name: &str) -> Vec<String> {
    let faults = names::qualified_name(name);
    if faults.is_empty() && !name.contains('/') && !STANDARD.contains(&name) && !is_huge_page(name) {
        return vec!["must be a standard resource type or fully qualified".to_owned()];
    }
    faults
}

/// Whether quotas know a resource without a domain.
pub(super) fn is_standard_for_quota(name: &str) -> bool {
    (name != "storage" && STANDARD.contains(&name)) || is_huge_page(name) || name.starts_with("requests.hugepages-")
}

/// Checks an amount of a quota or of what a node has.
///
/// Source: `ValidateResourceQuantityValue`, pkg/apis/core/validation/validation.go (v1.34).
pub(super) fn amount(report: &mut Report, at: &At, name: &str, text: &QuantityText) {
    let quantity = match text.0.parse::<Quantity>() {
        Ok(quantity) => quantity,
        Err(error) => return report.invalid(at, &text.0, &error.to_string()),
    };
    if quantity.is_negative() {
        report.invalid(at, &quantity.to_string(), "must be greater than or equal to 0");
    }
    let counted = STANDARD.contains(&name) && !["cpu", "memory", "storage"].iter().any(|it| name.ends_with(it));
    if (counted || is_extended(name)) && quantity.milli_value() % 1_000 != 0 {
        report.invalid(at, &AsJson(&quantity.to_string()), "must be an integer");
    }
}

/// Whether a limit may exceed its request.
pub(super) fn may_be_overcommitted(name: &str) -> bool {
    is_native(name) && !is_huge_page(name)
}

/// A resource of Kubernetes itself rather than of a device plugin.
fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

fn is_extended(name: &str) -> bool {
    let quota_name = format!("requests.{name}");
    !is_native(name) && !name.starts_with("requests.") && names::qualified_name(&quota_name).is_empty()
}

fn is_huge_page(name: &str) -> bool {
    name.starts_with("hugepages-")
}
