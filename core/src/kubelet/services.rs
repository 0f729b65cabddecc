//! The variables by which containers find Services: those of their namespace, and always those of `default/kubernetes`.
//!
//! A kubelet watches all Services for that, if it is told to (`KubeletConfig::service_variables`): nothing in a
//! simulated container reads variables, so a simulated node does without.
//!
//! Source: `getServiceEnvVarMap`, pkg/kubelet/kubelet_pods.go; pkg/kubelet/envvars/envvars.go (v1.34.1).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::id::Name;
use crate::model::{Object, ObjectKey, Protocol, Service};

/// The Services of `default` that every container hears of.
const MASTER_SERVICES: [&str; 1] = ["kubernetes"];

/// What a kubelet knows of Services.
#[derive(Default)]
pub(super) struct Services {
    /// The first list has come.
    synced: bool,
    /// By namespace and name; what is known stays known while the watch is broken.
    known: BTreeMap<(Name, Name), Arc<Service>>,
}

impl Services {
    /// Takes in the list of all Services.
    pub(super) fn on_list(&mut self, services: Vec<Object>) {
        self.synced = true;
        self.known.clear();
        services.into_iter().for_each(|service| self.on_changed(service));
    }

    /// A Service is new or has changed.
    pub(super) fn on_changed(&mut self, object: Object) {
        if let Object::Service(service) = object {
            self.known.insert((service.meta.namespace.clone(), service.meta.name.clone()), service);
        }
    }

    /// A Service is gone.
    pub(super) fn on_removed(&mut self, key: &ObjectKey) {
        self.known.remove(&(key.namespace.clone(), key.name.clone()));
    }

    /// The variables of a container of this namespace, by name; `links` is whether it wants those of the namespace's
    /// own Services (`enableServiceLinks`). The error is why they are not known yet.
    pub(super) fn variables(&self, namespace: &Name, links: bool) -> Result<BTreeMap<Name, Name>, String> {
        if !self.synced {
            return Err("services have not yet been read at least once, cannot construct envvars".to_owned());
        }
        let is_master =
            |service: &Service| *service.meta.namespace == *"default" && MASTER_SERVICES.contains(&&*service.meta.name);
        let mut chosen: BTreeMap<&Name, &Service> = BTreeMap::new();
        for service in self.known.values().filter(|service| service.cluster_ip.is_some()) {
            // A Service of the namespace goes before the one of that name that all hear of.
            if links && service.meta.namespace == *namespace {
                chosen.insert(&service.meta.name, service);
            } else if is_master(service) {
                chosen.entry(&service.meta.name).or_insert(service);
            }
        }
        let mut variables = BTreeMap::new();
        chosen.into_values().for_each(|service| add_variables(service, &mut variables));
        Ok(variables)
    }
}

/// The variables of one Service: where it is, and the same as Docker once told of linked containers.
fn add_variables(service: &Service, variables: &mut BTreeMap<Name, Name>) {
    let (Some(address), Some(first)) = (&service.cluster_ip, service.ports.first()) else { return };
    let prefix = variable_name(&service.meta.name);
    let mut set = |name: String, value: String| drop(variables.insert(name.into(), value.into()));
    set(format!("{prefix}_SERVICE_HOST"), address.to_string());
    set(format!("{prefix}_SERVICE_PORT"), first.port.to_string());
    for port in service.ports.iter().filter(|port| !port.name.is_empty()) {
        set(format!("{prefix}_SERVICE_PORT_{}", variable_name(&port.name)), port.port.to_string());
    }
    for (place, port) in service.ports.iter().enumerate() {
        let protocol = match port.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Sctp => "sctp",
        };
        let number = port.port;
        let url = format!("{protocol}://{address}:{number}");
        if place == 0 {
            set(format!("{prefix}_PORT"), url.clone());
        }
        let of_port = format!("{prefix}_PORT_{number}_{}", protocol.to_ascii_uppercase());
        set(format!("{of_port}_PROTO"), protocol.to_owned());
        set(format!("{of_port}_PORT"), number.to_string());
        set(format!("{of_port}_ADDR"), address.to_string());
        set(of_port, url);
    }
}

fn variable_name(name: &str) -> String {
    name.replace('-', "_").to_ascii_uppercase()
}
