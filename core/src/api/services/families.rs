//! Which families of addresses a Service has, on a cluster of IPv4 alone.
//!
//! Source: `initIPFamilyFields`, pkg/registry/core/service/storage/alloc.go (v1.34.1).

use crate::api::together;
use crate::model::{IpFamily, IpFamilyPolicy, Service};

/// Fills in policy and families, and refuses what this cluster cannot have. The error is the message of a 422.
pub(super) fn complete(service: &mut Service, before: Option<&Service>) -> Result<(), String> {
    if service.is_alias() || before.is_some_and(|before| prefers_the_same(service, before)) {
        return Ok(());
    }
    let selects_nothing = service.headless && service.selector.as_ref().is_none_or(|it| it.is_empty());
    let policy = service.family_policy.or(before.and_then(|before| before.family_policy)).unwrap_or({
        // Whoever writes the endpoints of such a Service may write addresses of any family.
        if selects_nothing { IpFamilyPolicy::RequireDualStack } else { IpFamilyPolicy::SingleStack }
    });
    service.family_policy = Some(policy);
    let shown = policy.name();
    if policy != IpFamilyPolicy::SingleStack
        && before.is_some_and(|before| (1..before.families.len()).contains(&service.families.len()))
    {
        return Err(format!(
            "spec.ipFamilyPolicy: Invalid value: {shown:?}: must be 'SingleStack' to release the secondary IP family"
        ));
    }
    if policy == IpFamilyPolicy::SingleStack {
        let same = before.is_some_and(|before| before.families == service.families);
        if same {
            service.families.truncate(1);
        }
        if service.families.len() > 1 {
            return Err(format!(
                "spec.ipFamilyPolicy: Invalid value: {shown:?}: must be 'RequireDualStack' or 'PreferDualStack' when \
                 multiple IP families are specified"
            ));
        }
    }
    if selects_nothing {
        if service.families.is_empty() {
            service.families.push(IpFamily::V4);
        }
        if policy != IpFamilyPolicy::SingleStack && service.families.len() == 1 {
            let other = if service.families[0] == IpFamily::V4 { IpFamily::V6 } else { IpFamily::V4 };
            service.families.push(other);
        }
        return Ok(());
    }
    let mut faults = Vec::new();
    if policy == IpFamilyPolicy::RequireDualStack {
        faults.push(format!(
            "spec.ipFamilyPolicy: Invalid value: {shown:?}: this cluster is not configured for dual-stack services"
        ));
    }
    for (index, family) in service.families.iter().enumerate().filter(|(_, family)| **family == IpFamily::V6) {
        let name = family.name();
        faults.push(format!("spec.ipFamilies[{index}]: Invalid value: {name:?}: not configured on this cluster"));
    }
    if let Some(said) = together(&faults) {
        return Err(said);
    }
    if service.families.is_empty() {
        service.families.push(IpFamily::V4);
    }
    Ok(())
}

/// Whether a Service prefers two families as it did before, with the same address and families: it keeps these then,
/// whatever the cluster has.
///
/// Source: `isMatchingPreferDualStackClusterIPFields`, pkg/registry/core/service/storage/alloc.go (v1.34.1).
fn prefers_the_same(service: &Service, before: &Service) -> bool {
    let prefers = Some(IpFamilyPolicy::PreferDualStack);
    let policies_agree = service.family_policy == prefers && before.family_policy.is_none_or(|it| Some(it) == prefers);
    let same_address = (&service.cluster_ip, service.headless) == (&before.cluster_ip, before.headless);
    policies_agree && service.service_type == before.service_type && same_address && service.families == before.families
}
