//! What is said about a Service whose slices could not be brought up to date.
//!
//! Source: `syncService`, pkg/controller/endpointslice/endpointslice_controller.go (v1.34.1).

use crate::api::Refusal;
use crate::context::Context;
use crate::events::Event;
use crate::id::Name;
use crate::model::{Kind, ObjectKey, Service};

/// How this controller names itself in events.
pub(super) const REPORTER: &str = "endpoint-slice-controller";

/// Endpoints have got hints, or cannot have them.
///
/// Source: `reconcileByAddressType`, staging/src/k8s.io/endpointslice/reconciler.go (v1.34.1).
pub(super) fn about_hints(ctx: &mut Context<'_>, service: &Service, said: Vec<Event>) {
    for event in said {
        let key = ObjectKey::new(Kind::Service, &service.meta.namespace, &service.meta.name);
        ctx.event(key, event.about(&service.meta));
    }
}

/// Pods were left out for want of their node, or a write was refused.
pub(super) fn not_updated(
    ctx: &mut Context<'_>,
    service: &Service,
    left_out: &[(Name, Name)],
    refusal: Option<&Refusal>,
) {
    let (namespace, name) = (&service.meta.namespace, &service.meta.name);
    let skipped = left_out
        .iter()
        .map(|(pod, node)| format!("skipping Pod {pod} for Service {namespace}/{name}: Node {node} Not Found"));
    let errors: Vec<String> = skipped.chain(refusal.map(|refusal| refusal.to_string())).collect();
    let text = if errors.len() == 1 { errors[0].clone() } else { format!("[{}]", errors.join(", ")) };
    let message = format!("Error updating Endpoint Slices for Service {namespace}/{name}: {text}");
    let event = Event::warning(REPORTER, "FailedToUpdateEndpointSlices", message).about(&service.meta);
    ctx.event(ObjectKey::new(Kind::Service, namespace, name), event);
}
