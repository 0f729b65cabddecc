//! What an API server makes for itself when it starts.

use std::net::Ipv4Addr;

use serde_json::json;
use wavetank_core::Core;
use wavetank_core::api::Request;
use wavetank_core::config::AddressRange;
use wavetank_core::model::Object;

use super::{Outcome, Path, translate};

const NAMESPACE: &str = "default";
const NAME: &str = "kubernetes";

/// Whether it is the Service by which pods reach the API server.
pub fn is_service(object: &Object) -> bool {
    let meta = object.meta();
    matches!(object, Object::Service(_)) && (&*meta.namespace, &*meta.name) == (NAMESPACE, NAME)
}

/// The creation of the Service by which pods reach the API server; it has the first address of the range.
///
/// Source: `CreateOrUpdateMasterServiceIfNeeded`, pkg/controlplane/controller/kubernetesservice/controller.go
/// (v1.34.1).
pub fn service(core: &Core, addresses: AddressRange) -> Vec<Request> {
    let body = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME, "labels": {"component": "apiserver", "provider": "kubernetes"}},
        "spec": {
            "clusterIP": Ipv4Addr::from(addresses.first + 1).to_string(),
            "ports": [{"name": "https", "port": 443, "targetPort": 6443}],
        },
    });
    let path = Path { namespace: NAMESPACE.to_owned(), plural: "services".to_owned(), ..Path::default() };
    match translate(core, "POST", &path, "", &body) {
        Outcome::Ask(requests) => requests,
        other => panic!("the Service of the API server became {other:?}"),
    }
}
