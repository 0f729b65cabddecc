//! EndpointSlices that people write: endpoints outside the cluster, or those of a Service without a selector.

use k8s_openapi::api::discovery::v1 as api;
use wavetank_core::digest::Shared;
use wavetank_core::model::{AppProtocol, Endpoint, EndpointHints, EndpointPort, EndpointSlice, Meta};

use super::{protocol, uid};
use crate::kubernetes::parts::name;

/// The core's slice. Conditions that are left open count as they do for consumers: ready and serving are true,
/// terminating is false.
///
/// Errors: what the core does not model: addresses other than IPv4, several addresses of one endpoint, and ports for
/// which no number is said.
pub(super) fn slice(meta: Meta, object: &api::EndpointSlice) -> Result<EndpointSlice, &'static str> {
    if object.address_type != "IPv4" {
        return Err("only slices of IPv4 addresses are modelled");
    }
    let mut endpoints = object.endpoints.iter().map(endpoint).collect::<Result<Vec<_>, _>>()?;
    endpoints.sort_by(|one, other| one.address.cmp(&other.address));
    let port = |port: &api::EndpointPort| {
        let number = port.port.and_then(|number| u16::try_from(number).ok()).ok_or("a port without a number")?;
        Ok(EndpointPort {
            name: name(port.name.as_deref().unwrap_or_default()),
            protocol: protocol(port.protocol.as_deref()),
            number,
            app_protocol: AppProtocol(port.app_protocol.as_deref().map(name)),
        })
    };
    let ports = object.ports.iter().flatten().map(port).collect::<Result<Vec<_>, &'static str>>()?;
    Ok(EndpointSlice { meta, ports, endpoints: endpoints.into_iter().map(Shared::new).collect() })
}

fn endpoint(endpoint: &api::Endpoint) -> Result<Endpoint, &'static str> {
    let [address] = endpoint.addresses.as_slice() else {
        return Err("an endpoint has exactly one address here");
    };
    let target = endpoint.target_ref.as_ref().filter(|target| target.kind.as_deref() == Some("Pod"));
    let said = endpoint.conditions.as_ref();
    let text = |text: &Option<String>| text.as_deref().map(name);
    Ok(Endpoint {
        address: address.as_str().into(),
        pod_uid: target.and_then(|target| target.uid.as_deref()).map(uid).unwrap_or_default(),
        pod: name(target.and_then(|target| target.name.as_deref()).unwrap_or_default()),
        node: text(&endpoint.node_name),
        zone: text(&endpoint.zone),
        ready: said.and_then(|said| said.ready).unwrap_or(true),
        serving: said.and_then(|said| said.serving).unwrap_or(true),
        terminating: said.and_then(|said| said.terminating).unwrap_or(false),
        hostname: text(&endpoint.hostname),
        hints: endpoint.hints.as_ref().map(hints).unwrap_or_default().into(),
    })
}

fn hints(hints: &api::EndpointHints) -> EndpointHints {
    EndpointHints {
        zones: hints.for_zones.iter().flatten().map(|zone| name(&zone.name)).collect(),
        nodes: hints.for_nodes.iter().flatten().map(|node| name(&node.name)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use wavetank_core::id::Revision;
    use wavetank_core::model::Object;

    use crate::kubernetes::{read_admitted, to_json, to_object};

    fn object(text: &str) -> Result<Object, String> {
        let located = read_admitted("slice.yaml", text).expect("the manifest is admitted").remove(0);
        to_object(&located).map_err(|errors| errors.to_string())
    }

    const HEAD: &str = "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: db-x, labels: \
                        {kubernetes.io/service-name: db}}";

    #[test]
    fn a_slice_of_outside_addresses_is_sorted_and_shown_without_targets() {
        let endpoints = "[{addresses: [10.1.2.9]}, {addresses: [10.1.2.3], conditions: {ready: false}, nodeName: n1}]";
        let text = format!("{HEAD}, addressType: IPv4, ports: [{{port: 5432}}], endpoints: {endpoints}}}");
        let object = object(&text).expect("the slice is modelled");
        let json = to_json(&object, Revision(1), 0);
        let shown: Vec<_> = json["endpoints"].as_array().expect("endpoints").iter().collect();
        assert_eq!(
            (shown[0]["addresses"][0].as_str(), shown[1]["addresses"][0].as_str()),
            (Some("10.1.2.3"), Some("10.1.2.9"))
        );
        assert_eq!(
            (shown[0]["conditions"]["ready"].as_bool(), shown[0]["nodeName"].as_str()),
            (Some(false), Some("n1"))
        );
        assert!(shown.iter().all(|endpoint| endpoint.get("targetRef").is_none()), "{json}");
        assert_eq!(json["ports"], serde_json::json!([{"name": "", "protocol": "TCP", "port": 5432}]));
    }

    #[test]
    fn a_mirror_of_endpoints_shows_nothing_but_readiness() {
        let mirror = HEAD.replace(
            "{kubernetes.io",
            "{endpointslice.kubernetes.io/managed-by: \
             endpointslicemirroring-controller.k8s.io, kubernetes.io",
        );
        for (head, expected) in [
            (HEAD, serde_json::json!({"ready": true, "serving": true, "terminating": false})),
            (&mirror, serde_json::json!({"ready": true})),
        ] {
            let mut object = object(&format!("{head}, addressType: IPv4, endpoints: [{{addresses: [10.1.2.9]}}]}}"))
                .expect("the slice is modelled");
            object.meta_mut().original = None;
            assert_eq!(to_json(&object, Revision(1), 0)["endpoints"][0]["conditions"], expected);
        }
    }

    #[test]
    fn what_is_not_modelled_of_a_slice_is_said() {
        let fault = |rest: &str| object(&format!("{HEAD}, {rest}}}")).expect_err("the slice is not modelled");
        assert!(fault("addressType: IPv6, endpoints: []").contains("only slices of IPv4 addresses"));
        let two = fault("addressType: IPv4, endpoints: [{addresses: [10.1.2.3, 10.1.2.4]}]");
        assert!(two.contains("exactly one address"), "{two}");
    }
}
