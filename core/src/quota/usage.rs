//! How much an object uses.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::Name;
use crate::model::{Amounts, Container, Object, PersistentVolumeClaim, Pod, Service, ServiceType};
use crate::quantity::{Format, Quantity};
use crate::quota::{CLASS_SUFFIX, count_alias, count_name, is_native};
use crate::time::{Span, Time};

/// The resources that every container must name if a quota limits them.
const MANDATORY: [&str; 6] = ["cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"];

/// What an object counts, by resource.
pub(crate) fn usage(object: &Object, now: Time) -> Amounts {
    let kind = object.kind();
    let mut used = Amounts::from([(count_name(kind).into(), units(1))]);
    used.extend(count_alias(kind).map(|alias| (alias.into(), units(1))));
    match object {
        Object::Pod(pod) if is_counted(pod, now) => used.extend(of_pod(pod)),
        Object::Service(service) => used.extend(of_service(service)),
        Object::PersistentVolumeClaim(claim) => used.extend(of_claim(claim)),
        _ => {}
    }
    used
}

fn units(count: usize) -> Quantity {
    Quantity::from_units(i64::try_from(count).unwrap_or(i64::MAX), Format::DecimalSi)
}

/// Whether a pod still counts for more than its object: not when it has ended or should be long gone.
///
/// Source: `QuotaV1Pod`, pkg/quota/v1/evaluator/core/pods.go (v1.34.1).
pub(crate) fn is_counted(pod: &Pod, now: Time) -> bool {
    // The API keeps whole seconds.
    let overdue = |at: Time, grace: Span| now > at.whole_second() + grace;
    !pod.is_finished()
        && !pod.meta.deleted_at.zip(pod.meta.deletion_grace).is_some_and(|(at, grace)| overdue(at, grace))
}

/// Source: `PodUsageFunc`, pkg/quota/v1/evaluator/core/pods.go; `PodRequests`, `PodLimits`,
/// staging/src/k8s.io/component-helpers/resource/helpers.go (v1.34.1).
fn of_pod(pod: &Pod) -> Amounts {
    let mut requests = pod.spec.requested();
    requests.add(&pod.spec.overhead);
    let mut limits = pod.spec.sum_of_containers(|container| container.limits.clone());
    // Overhead counts only where there is a limit to add it to.
    let mut overhead = pod.spec.overhead.clone();
    for (amount, limit) in [
        (&mut overhead.cpu_milli, limits.cpu_milli),
        (&mut overhead.memory_bytes, limits.memory_bytes),
        (&mut overhead.ephemeral_bytes, limits.ephemeral_bytes),
    ] {
        if limit == 0 {
            *amount = 0;
        }
    }
    overhead.extended.retain(|name, _| limits.extended.contains_key(name));
    limits.add(&overhead);
    compute(&requests.quantities(), &limits.quantities())
}

/// Source: `podComputeUsageHelper`, pkg/quota/v1/evaluator/core/pods.go (v1.34.1).
fn compute(requests: &Amounts, limits: &Amounts) -> Amounts {
    let mut used = Amounts::from([("pods".into(), units(1))]);
    for (name, amount) in requests {
        let huge = name.starts_with("hugepages-");
        if huge || matches!(&**name, "cpu" | "memory" | "ephemeral-storage") {
            used.insert(name.clone(), *amount);
        } else if is_native(name) || name.starts_with("requests.") {
            continue;
        }
        used.insert(format!("requests.{name}").into(), *amount);
    }
    for (name, amount) in limits {
        if matches!(&**name, "cpu" | "memory" | "ephemeral-storage") {
            used.insert(format!("limits.{name}").into(), *amount);
        }
    }
    used
}

/// What of the restricted resources the containers of a pod do not name, although they must: in the words of the API
/// server.
///
/// Source: `podEvaluator.Constraints`, pkg/quota/v1/evaluator/core/pods.go (v1.34.1).
pub(crate) fn missing(pod: &Pod, restricted: &[&Name]) -> Option<String> {
    if pod.spec.pod_requests.is_some() {
        return None;
    }
    let mut missing: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let containers = || pod.spec.containers.iter().chain(&pod.spec.init_containers);
    let named: Vec<(&Container, Amounts)> =
        containers().map(|it| (it, compute(&it.written_requests(), &it.limits.quantities()))).collect();
    for resource in restricted.iter().filter(|name| MANDATORY.contains(&&****name)) {
        for (container, used) in named.iter().filter(|(_, used)| !used.contains_key(*resource)) {
            debug_assert!(!used.is_empty(), "each container counts as a pod");
            missing.entry(resource).or_default().insert(&container.name);
        }
    }
    let of = |(resource, containers): (&&str, &BTreeSet<&str>)| {
        format!("{resource} for: {}", containers.iter().copied().collect::<Vec<_>>().join(","))
    };
    let parts: Vec<String> = missing.iter().map(of).collect();
    (!parts.is_empty()).then(|| format!("must specify {}", parts.join("; ")))
}

/// Source: `serviceEvaluator.Usage`, pkg/quota/v1/evaluator/core/services.go (v1.34.1).
fn of_service(service: &Service) -> Amounts {
    let (balancers, ports) = match service.service_type {
        ServiceType::NodePort => (0, service.ports.len()),
        ServiceType::LoadBalancer if service.allocates_node_ports == Some(false) => {
            (1, service.ports.iter().filter(|port| port.node_port.is_some()).count())
        }
        ServiceType::LoadBalancer => (1, service.ports.len()),
        ServiceType::ClusterIp | ServiceType::ExternalName(_) => (0, 0),
    };
    Amounts::from([
        ("services".into(), units(1)),
        ("services.loadbalancers".into(), units(balancers)),
        ("services.nodeports".into(), units(ports)),
    ])
}

/// Source: `pvcEvaluator.Usage`, pkg/quota/v1/evaluator/core/persistent_volume_claims.go (v1.34.1).
fn of_claim(claim: &PersistentVolumeClaim) -> Amounts {
    // What is being grown to counts, also after the user has settled for less.
    let growing_to = claim.status.growth.map(|(allocated, _)| allocated).filter(|it| *it > claim.spec.request);
    let request = growing_to.unwrap_or(claim.spec.request);
    let whole = Quantity::from_units(request.value(), request.format());
    let storage = if whole == request { request } else { whole };
    let mut used = Amounts::from([("persistentvolumeclaims".into(), units(1)), ("requests.storage".into(), storage)]);
    let class = claim.class();
    if !class.is_empty() {
        used.insert(format!("{class}{CLASS_SUFFIX}persistentvolumeclaims").into(), units(1));
        used.insert(format!("{class}{CLASS_SUFFIX}requests.storage").into(), storage);
    }
    used
}
