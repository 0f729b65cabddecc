//! Which objects a quota with scopes counts.

use crate::id::Name;
use crate::model::{
    Object, PersistentVolumeClaim, Pod, PodTerm, QosClass, QuotaScope, ResourceQuota, ScopeRequirement,
    SelectorOperator,
};

/// Whether an object meets all of a quota's scopes. Objects other than pods and claims meet none.
///
/// Source: `Matches`, staging/src/k8s.io/apiserver/pkg/quota/v1/generic/evaluator.go (v1.34.1).
pub(crate) fn matches_scopes(quota: &ResourceQuota, object: &Object) -> bool {
    quota.scopes.iter().all(|requirement| match object {
        Object::Pod(pod) => pod_matches(requirement, pod),
        Object::PersistentVolumeClaim(claim) => claim_matches(requirement, claim),
        _ => false,
    })
}

/// Source: `podMatchesScopeFunc`, pkg/quota/v1/evaluator/core/pods.go (v1.34.1).
fn pod_matches(requirement: &ScopeRequirement, pod: &Pod) -> bool {
    let best_effort = || pod.spec.qos_class() == QosClass::BestEffort;
    match requirement.scope {
        QuotaScope::Terminating => pod.spec.active_deadline.is_some(),
        QuotaScope::NotTerminating => pod.spec.active_deadline.is_none(),
        QuotaScope::BestEffort => best_effort(),
        QuotaScope::NotBestEffort => !best_effort(),
        QuotaScope::PriorityClass => {
            let class = &pod.spec.priority_class;
            has_value(requirement, if class.is_empty() { &[] } else { std::slice::from_ref(class) })
        }
        QuotaScope::CrossNamespacePodAffinity => reaches_other_namespaces(pod),
        QuotaScope::VolumeAttributesClass => false,
    }
}

/// Whether a requirement on a class holds for an object with these classes, mostly one or none.
fn has_value(requirement: &ScopeRequirement, classes: &[Name]) -> bool {
    match requirement.operator {
        SelectorOperator::Exists => !classes.is_empty(),
        SelectorOperator::DoesNotExist => classes.is_empty(),
        SelectorOperator::In => classes.iter().any(|class| requirement.values.contains(class)),
        SelectorOperator::NotIn => {
            classes.is_empty() || classes.iter().any(|class| !requirement.values.contains(class))
        }
        SelectorOperator::Gt | SelectorOperator::Lt => unreachable!("scope selectors compare no numbers"),
    }
}

fn reaches_other_namespaces(pod: &Pod) -> bool {
    let Some(rules) = &pod.spec.rules else { return false };
    let beyond = |term: &PodTerm| !term.namespaces.is_empty() || term.namespace_selector.is_some();
    [&rules.pod_affinity, &rules.pod_anti_affinity]
        .into_iter()
        .any(|terms| terms.required.iter().any(beyond) || terms.preferred.iter().any(|weighted| beyond(&weighted.term)))
}

/// Source: `pvcMatchesScopeFunc`, pkg/quota/v1/evaluator/core/persistent_volume_claims.go (v1.34.1).
fn claim_matches(requirement: &ScopeRequirement, claim: &PersistentVolumeClaim) -> bool {
    let classes = [&claim.spec.attributes_class, &claim.status.attributes_class];
    let classes: Vec<Name> = classes.into_iter().flatten().filter(|class| !class.is_empty()).cloned().collect();
    requirement.scope == QuotaScope::VolumeAttributesClass && has_value(requirement, &classes)
}
