//! What objects count against ResourceQuotas: the rules on which admission and the quota controller agree.
//!
//! Source: pkg/quota/v1/evaluator/core/{pods,services,persistent_volume_claims,registry}.go and
//! staging/src/k8s.io/apiserver/pkg/quota/v1 (v1.34.1). A limit of zero counts as none. Absent on
//! purpose: resource claims, limits of the pod as a whole, and resizes in place.

mod scopes;
#[cfg(test)]
mod tests;
mod usage;

pub(crate) use scopes::matches_scopes;
pub(crate) use usage::{is_counted, missing, usage};

use crate::id::Name;
use crate::model::{Amounts, Kind, Object, ResourceQuota};
use crate::quantity::Quantity;

/// What counts a pod's own resources.
const POD_RESOURCES: [&str; 11] = [
    "count/pods",
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
];
const SERVICE_RESOURCES: [&str; 4] = ["count/services", "services", "services.nodeports", "services.loadbalancers"];
/// What counts claims; each also behind `CLASS.storageclass.storage.k8s.io/`.
const CLAIM_RESOURCES: [&str; 2] = ["persistentvolumeclaims", "requests.storage"];
const CLASS_SUFFIX: &str = ".storageclass.storage.k8s.io/";

/// The name under which the objects of a kind are counted: `count/deployments.apps`.
fn count_name(kind: Kind) -> String {
    format!("count/{}", kind.qualified_plural())
}

/// The older name of such a count, for the kinds that have one.
fn count_alias(kind: Kind) -> Option<&'static str> {
    matches!(kind.plural(), "configmaps" | "resourcequotas" | "replicationcontrollers" | "secrets")
        .then(|| kind.plural())
}

/// Whether a kind's objects count under a resource's name.
pub(crate) fn counts_under(kind: Kind, name: &str) -> bool {
    match kind {
        Kind::Pod => {
            POD_RESOURCES.contains(&name)
                || name.starts_with("hugepages-")
                || name.starts_with("requests.hugepages-")
                || (!is_native(name) && name.starts_with("requests."))
        }
        Kind::Service => SERVICE_RESOURCES.contains(&name),
        Kind::PersistentVolumeClaim => {
            let of_class = |it: &str| name.strip_suffix(it).is_some_and(|class| class.ends_with(CLASS_SUFFIX));
            name == count_name(kind) || CLAIM_RESOURCES.iter().any(|it| name == *it || of_class(it))
        }
        _ => name == count_name(kind) || count_alias(kind) == Some(name),
    }
}

/// A resource of Kubernetes itself rather than of a device plugin.
fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

/// Those of a quota's enforced resources under which a kind's objects count.
pub(crate) fn restricted(quota: &ResourceQuota, kind: Kind) -> Vec<&Name> {
    quota.status.hard.keys().filter(|name| counts_under(kind, name)).collect()
}

/// Whether a quota enforces anything for an object.
pub(crate) fn applies_to(quota: &ResourceQuota, object: &Object) -> bool {
    quota.status.hard.keys().any(|name| counts_under(object.kind(), name)) && matches_scopes(quota, object)
}

/// The sum of two lists, by name.
///
/// Panics if an amount leaves the range of quantities, 1.7 · 10²⁹ units.
pub(crate) fn sum(left: &Amounts, right: &Amounts) -> Amounts {
    let mut sum = left.clone();
    for (name, amount) in right {
        let entry = sum.entry(name.clone()).or_insert(Quantity::ZERO);
        *entry = entry.checked_add(*amount).expect("what a namespace uses is far below 10^29 units");
    }
    sum
}

/// The amounts of some names only.
pub(crate) fn masked(amounts: &Amounts, names: &Amounts) -> Amounts {
    amounts.iter().filter(|(name, _)| names.contains_key(*name)).map(|(name, amount)| (name.clone(), *amount)).collect()
}
