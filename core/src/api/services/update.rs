//! What becomes of an address and of ports when a Service changes.

use crate::api::together;
use crate::model::{NodePort, Service, ServiceType};

/// Puts back what the API server has given and the new version leaves out, so that a manifest can be applied again.
///
/// Source: `patchAllocatedValues`, pkg/registry/core/service/storage/storage.go (v1.34.1).
pub(super) fn keep_given(new: &mut Service, old: &Service) {
    if !old.is_alias() && !new.is_alias() {
        if new.cluster_ip.is_none() && !new.headless {
            (new.cluster_ip, new.headless) = (old.cluster_ip.clone(), old.headless);
        }
        if new.families.is_empty() {
            new.families = old.families.clone();
        }
    }
    if may_draw_ports(old) && may_draw_ports(new) {
        let kept = |number: NodePort| new.ports.iter().any(|port| port.node_port == Some(number));
        let used: Vec<NodePort> =
            old.ports.iter().filter_map(|port| port.node_port).filter(|port| kept(*port)).collect();
        for port in new.ports.iter_mut().filter(|port| port.node_port.is_none()) {
            let before = old.ports.iter().rfind(|before| before.name == port.name);
            port.node_port = before.and_then(|before| before.node_port).filter(|number| !used.contains(number));
        }
    }
    if old.needs_health_check() && new.needs_health_check() && new.health_check_node_port.is_none() {
        new.health_check_node_port = old.health_check_node_port;
    }
}

/// Takes away what the new type has no use for and the writer has not touched.
///
/// Source: `dropTypeDependentFields`, pkg/registry/core/service/strategy.go (v1.34.1).
pub(super) fn drop_unused(new: &mut Service, old: &Service) {
    if !old.is_alias() && new.is_alias() {
        if (&new.cluster_ip, new.headless) == (&old.cluster_ip, old.headless) {
            (new.cluster_ip, new.headless) = (None, false);
        }
        if new.families == old.families {
            new.families.clear();
        }
        if new.family_policy == old.family_policy {
            new.family_policy = None;
        }
    }
    if old.uses_node_ports() && !new.uses_node_ports() {
        let had = |number: NodePort| old.ports.iter().any(|port| port.node_port == Some(number));
        if new.ports.iter().filter_map(|port| port.node_port).all(had) {
            new.ports.iter_mut().for_each(|port| port.node_port = None);
        }
        if new.external_traffic == old.external_traffic {
            new.external_traffic = None;
        }
    }
    if !new.needs_health_check() && new.health_check_node_port == old.health_check_node_port {
        new.health_check_node_port = None;
    }
    if new.service_type != ServiceType::LoadBalancer && new.allocates_node_ports == old.allocates_node_ports {
        new.allocates_node_ports = None;
    }
}

/// Refuses a change of what stays once it is set. The error is the message of a 422.
///
/// Source: `validateUpgradeDowngradeClusterIPs`, `validateUpgradeDowngradeIPFamilies`,
/// `validateServiceExternalTrafficFieldsUpdate`, pkg/apis/core/validation/validation.go (v1.34.1).
pub(super) fn check(new: &Service, old: &Service) -> Result<(), String> {
    let mut faults = Vec::new();
    if !old.is_alias() && !new.is_alias() {
        if (&new.cluster_ip, new.headless) != (&old.cluster_ip, old.headless) {
            let wanted = if new.headless { "None" } else { new.cluster_ip.as_deref().unwrap_or_default() };
            faults.push(format!("spec.clusterIPs[0]: Invalid value: [{wanted:?}]: may not change once set"));
        }
        if let (Some(wanted), Some(before)) = (new.families.first(), old.families.first())
            && wanted != before
        {
            let names: Vec<String> = new.families.iter().map(|family| format!("{:?}", family.name())).collect();
            faults.push(format!("spec.ipFamilies[0]: Invalid value: [{}]: may not change once set", names.join(",")));
        }
    }
    if old.needs_health_check() && new.needs_health_check() && new.health_check_node_port != old.health_check_node_port
    {
        faults.push("spec.healthCheckNodePort: Forbidden: field is immutable".to_owned());
    }
    together(&faults).map_or(Ok(()), Err)
}

/// Whether the API server may have drawn ports for it.
fn may_draw_ports(service: &Service) -> bool {
    service.uses_node_ports() && service.allocates_node_ports != Some(false)
}
