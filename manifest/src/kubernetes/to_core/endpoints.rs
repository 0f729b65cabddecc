//! Endpoints that people write: addresses outside the cluster, or those of a Service without a selector.

use k8s_openapi::api::core::v1 as api;
use wavetank_core::digest::Shared;
use wavetank_core::model::{
    AppProtocol, EndpointAddress, EndpointPort, EndpointSubset, EndpointTarget, Endpoints, Meta,
};

use super::{protocol, uid};
use crate::kubernetes::parts::{name, optional};

/// The core's Endpoints, in the order in which they are written.
///
/// Errors: what the core does not model: addresses other than IPv4.
pub(super) fn endpoints(meta: Meta, object: &api::Endpoints) -> Result<Endpoints, &'static str> {
    let subsets = object.subsets.iter().flatten().map(subset).collect::<Result<_, _>>()?;
    Ok(Endpoints { meta, subsets })
}

fn subset(subset: &api::EndpointSubset) -> Result<EndpointSubset, &'static str> {
    let list =
        |list: &Option<Vec<api::EndpointAddress>>| list.iter().flatten().map(address).collect::<Result<Vec<_>, _>>();
    let port = |port: &api::EndpointPort| {
        let number = u16::try_from(port.port).expect("the port has been validated");
        EndpointPort {
            name: optional(port.name.as_ref()),
            protocol: protocol(port.protocol.as_deref()),
            number,
            app_protocol: AppProtocol(port.app_protocol.as_deref().map(name)),
        }
    };
    let ports = subset.ports.iter().flatten().map(port).collect();
    Ok(EndpointSubset { addresses: list(&subset.addresses)?, not_ready: list(&subset.not_ready_addresses)?, ports })
}

fn address(address: &api::EndpointAddress) -> Result<Shared<EndpointAddress>, &'static str> {
    if address.ip.contains(':') {
        return Err("only IPv4 addresses are modelled");
    }
    let target = |target: &api::ObjectReference| EndpointTarget {
        kind: optional(target.kind.as_ref()),
        namespace: optional(target.namespace.as_ref()),
        name: optional(target.name.as_ref()),
        uid: target.uid.as_deref().map(uid),
    };
    Ok(Shared::new(EndpointAddress {
        address: address.ip.as_str().into(),
        hostname: address.hostname.as_deref().map(name),
        node: address.node_name.as_deref().map(name),
        target: address.target_ref.as_ref().map(target),
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wavetank_core::id::Revision;
    use wavetank_core::model::Object;

    use crate::kubernetes::{read_admitted, to_json, to_object};

    fn object(subsets: &str) -> Result<Object, String> {
        let text = format!("{{apiVersion: v1, kind: Endpoints, metadata: {{name: db}}, subsets: {subsets}}}");
        let located = read_admitted("db.yaml", &text).expect("the manifest is admitted").remove(0);
        to_object(&located).map_err(|errors| errors.to_string())
    }

    #[test]
    fn endpoints_are_kept_and_shown_as_they_are_written() {
        let subsets = "[{addresses: [{ip: 10.1.2.9, hostname: b}, {ip: 10.1.2.3, nodeName: n1, targetRef: {kind: Host, \
                       name: h, apiVersion: v7}}], ports: [{port: 5432, name: pg, appProtocol: acme.com/pg}]}, \
                       {notReadyAddresses: [{ip: 10.1.2.4}]}]";
        let json = to_json(&object(subsets).expect("they are modelled"), Revision(1), 0);
        let target = json!({"kind": "Host", "name": "h", "apiVersion": "v7"});
        let addresses = json!([
            {"ip": "10.1.2.9", "hostname": "b"},
            {"ip": "10.1.2.3", "nodeName": "n1", "targetRef": target},
        ]);
        let port = json!({"name": "pg", "port": 5432, "protocol": "TCP", "appProtocol": "acme.com/pg"});
        let shown = json!([
            {"addresses": addresses, "ports": [port]},
            {"notReadyAddresses": [{"ip": "10.1.2.4"}]},
        ]);
        assert_eq!(json["subsets"], shown);
        assert!(json["metadata"].get("generation").is_none());
    }

    #[test]
    fn addresses_that_are_not_modelled_are_said() {
        let fault = object("[{addresses: [{ip: 'fd00::1'}]}]").expect_err("they are not modelled");
        assert!(fault.contains("subsets: only IPv4 addresses are modelled"), "{fault}");
    }
}
