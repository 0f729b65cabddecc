//! What LimitRanges add to pods, and which pods and claims they keep out.
//!
//! Source: plugin/pkg/admission/limitranger/admission.go (v1.34.1). Where Kubernetes goes through the resources of a
//! limit in a random order they are in order here. A limit of zero counts as none.
//! Absent on purpose: limits of the pod as a whole.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::id::Name;
use crate::model::{
    Amounts, Container, LimitRange, LimitRangeItem, LimitType, Object, PersistentVolumeClaim, Pod, PodSpec, Resources,
};
use crate::quantity::Quantity;
use crate::store::View;

/// The annotation that says what was filled in.
pub(super) const ANNOTATION: &str = "kubernetes.io/limit-ranger";

/// Requests and limits that a namespace gives to containers that name none, one pair for each LimitRange.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct ContainerDefaults(Vec<(Amounts, Amounts)>);

impl ContainerDefaults {
    /// Those of a namespace.
    pub(super) fn of(view: View<'_>, namespace: &Name) -> ContainerDefaults {
        let of_range = |(_, range): (_, &Arc<LimitRange>)| {
            let (mut requests, mut limits) = (Amounts::new(), Amounts::new());
            for item in range.limits.iter().filter(|item| item.limit_type == LimitType::Container) {
                requests.extend(item.default_requests.clone());
                limits.extend(item.default_limits.clone());
            }
            (requests, limits)
        };
        let pairs = view.in_namespace::<LimitRange>(namespace).map(of_range);
        ContainerDefaults(pairs.filter(|(requests, limits)| !requests.is_empty() || !limits.is_empty()).collect())
    }

    /// Completes a pod's containers; says what was filled in, as the annotation has it, if anything was.
    pub(super) fn apply(&self, spec: &mut PodSpec) -> Option<Name> {
        let mut last = None;
        for (requests, limits) in &self.0 {
            let mut said = Vec::new();
            let containers = spec.containers.iter_mut().map(|it| ("container", it));
            let all = containers.chain(spec.init_containers.iter_mut().map(|it| ("init container", it)));
            for (what, container) in all {
                complete(what, container, requests, limits, &mut said);
            }
            if !said.is_empty() {
                last = Some(format!("LimitRanger plugin set: {}", said.join("; ")).into());
            }
        }
        last
    }
}

fn complete(what: &str, container: &mut Container, requests: &Amounts, limits: &Amounts, said: &mut Vec<String>) {
    let written = container.written_requests();
    let mut fill = |named: &mut Resources, present: Amounts, defaults: &Amounts, part: &str| {
        let absent: Vec<(&Name, &Quantity)> =
            defaults.iter().filter(|(name, _)| !present.contains_key(*name)).collect();
        for (name, amount) in &absent {
            named.set_quantity(name, **amount);
        }
        if !absent.is_empty() {
            let names = absent.iter().map(|(name, _)| &***name).collect::<Vec<_>>().join(", ");
            said.push(format!("{names} {part} for {what} {}", container.name));
        }
    };
    fill(&mut container.requests, written, requests, "request");
    let written = container.limits.quantities();
    fill(&mut container.limits, written, limits, "limit");
}

/// What validation says of containers whose request is above the limit that was filled in, or whose extended resource
/// has another limit than request; `None` if nothing.
///
/// Source: `ValidateContainerResourceRequirements`, pkg/apis/core/validation/validation.go (v1.34.1).
pub(super) fn requests_beyond_limits(spec: &PodSpec) -> Option<Name> {
    let lists = [("containers", &spec.containers), ("initContainers", &spec.init_containers)];
    // The API server looks at init containers after the others.
    let mut faults = Vec::new();
    for (field, containers) in lists {
        for (index, container) in containers.iter().enumerate() {
            let limits = container.limits.quantities();
            for (name, request) in container.written_requests() {
                let Some(limit) = limits.get(&name) else { continue };
                let must_be = match name.contains('/') || name.starts_with("hugepages-") {
                    true if request != *limit => "equal to",
                    false if request > *limit => "less than or equal to",
                    _ => continue,
                };
                faults.push(format!(
                    "spec.{field}[{index}].resources.requests: Invalid value: \"{request}\": must be {must_be} {name} \
                     limit of {limit}"
                ));
            }
        }
    }
    match faults.as_slice() {
        [] => None,
        [only] => Some(only.as_str().into()),
        several => Some(format!("[{}]", several.join(", ")).into()),
    }
}

/// Why a pod or claim must not be stored; objects of other kinds may.
pub(super) fn check(view: View<'_>, object: &Object) -> Result<(), String> {
    for (_, range) in view.in_namespace::<LimitRange>(&object.meta().namespace) {
        let faults: Vec<String> = range.limits.iter().flat_map(|item| faults(item, object)).collect();
        let mut distinct: Vec<String> = Vec::new();
        for fault in faults {
            if !distinct.contains(&fault) {
                distinct.push(fault);
            }
        }
        match distinct.as_slice() {
            [] => {}
            [only] => return Err(only.clone()),
            several => return Err(format!("[{}]", several.join(", "))),
        }
    }
    Ok(())
}

fn faults(item: &LimitRangeItem, object: &Object) -> Vec<String> {
    match (&item.limit_type, object) {
        (LimitType::Container, Object::Pod(pod)) => {
            let containers = pod.spec.containers.iter().chain(&pod.spec.init_containers);
            containers
                .flat_map(|it| of_lists(item, "Container", &it.written_requests(), &it.limits.quantities()))
                .collect()
        }
        (LimitType::Pod, Object::Pod(pod)) => of_pod(item, pod),
        (LimitType::PersistentVolumeClaim, Object::PersistentVolumeClaim(claim)) => of_claim(item, claim),
        _ => Vec::new(),
    }
}

fn of_pod(item: &LimitRangeItem, pod: &Pod) -> Vec<String> {
    let requests = pod.spec.requested().quantities();
    let limits = pod.spec.sum_of_containers(|container| container.limits.clone());
    of_lists(item, "Pod", &requests, &limits.quantities())
}

fn of_lists(item: &LimitRangeItem, what: &str, requests: &Amounts, limits: &Amounts) -> Vec<String> {
    let pair = |name: &Name| (requests.get(name).copied(), limits.get(name).copied());
    let below = item.min.iter().filter_map(|(name, least)| too_little(name, what, *least, pair(name)));
    let above = item.max.iter().filter_map(|(name, most)| too_much(name, what, *most, pair(name)));
    let apart = item.max_ratio.iter().filter_map(|(name, ratio)| too_far_apart(name, what, *ratio, pair(name)));
    below.chain(above).chain(apart).collect()
}

type Pair = (Option<Quantity>, Option<Quantity>);

fn too_little(name: &str, what: &str, least: Quantity, (request, limit): Pair) -> Option<String> {
    let rule = format!("minimum {name} usage per {what} is {least}");
    match (request, limit) {
        (None, _) => Some(format!("{rule}.  No request is specified")),
        (Some(request), _) if request < least => Some(format!("{rule}, but request is {request}")),
        (_, Some(limit)) if limit < least => Some(format!("{rule}, but limit is {limit}")),
        _ => None,
    }
}

fn too_much(name: &str, what: &str, most: Quantity, (request, limit): Pair) -> Option<String> {
    let rule = format!("maximum {name} usage per {what} is {most}");
    match (request, limit) {
        (_, None) => Some(format!("{rule}.  No limit is specified")),
        (_, Some(limit)) if limit > most => Some(format!("{rule}, but limit is {limit}")),
        (Some(request), _) if request > most => Some(format!("{rule}, but request is {request}")),
        _ => None,
    }
}

fn too_far_apart(name: &str, what: &str, most: Quantity, (request, limit): Pair) -> Option<String> {
    let rule = format!("{name} max limit to request ratio per {what} is {most}, but ");
    let Some(request) = request.filter(|request| !request.is_zero()) else {
        return Some(format!("{rule}no request is specified or request is 0"));
    };
    let Some(limit) = limit else { return Some(format!("{rule}no limit is specified or limit is 0")) };
    let (request, limit) = (i128::from(request.milli_value()), i128::from(limit.milli_value()));
    let exceeds = limit * 1_000 > i128::from(most.milli_value()) * request;
    // The ratio in millionths, rounded: what `%f` of Go prints.
    let millionths = (limit * 1_000_000 + request / 2) / request;
    exceeds.then(|| format!("{rule}provided ratio is {}.{:06}", millionths / 1_000_000, millionths % 1_000_000))
}

fn of_claim(item: &LimitRangeItem, claim: &PersistentVolumeClaim) -> Vec<String> {
    let what = "PersistentVolumeClaim";
    let asked = |name: &Name| (&**name == "storage").then_some(claim.spec.request);
    let below = item.min.iter().filter_map(|(name, least)| too_little(name, what, *least, (asked(name), None)));
    let above = item.max.iter().filter_map(|(name, most)| {
        let rule = format!("maximum {name} usage per {what} is {most}");
        match asked(name) {
            None => Some(format!("{rule}.  No request is specified")),
            Some(request) if request > *most => Some(format!("{rule}, but request is {request}")),
            Some(_) => None,
        }
    });
    below.chain(above).collect()
}
