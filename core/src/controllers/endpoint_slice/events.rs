//! What is said about a Service whose slices could not be brought up to date.
//!
//! Source: `syncService`, pkg/controller/endpointslice/endpointslice_controller.go (v1.34.1).

use crate::api::Refusal;
use crate::context::Context;
use crate::events::Event;
use crate::id::Name;
use crate::model::{Kind, ObjectKey, Service};

use super::Stage;

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

impl Stage {
    /// That the write at a place was refused, and why.
    ///
    /// Source: `finalize`, staging/src/k8s.io/endpointslice/reconciler.go (v1.34.1).
    pub(super) fn refused(&self, service: &Service, place: usize, refusal: &Refusal) -> String {
        let rest = self.changed.iter().map(|name| ("update", name));
        let mut rest = rest.chain(self.deleted.iter().map(|(name, _)| ("delete", name)));
        let what = match place.checked_sub(self.made).and_then(|place| rest.nth(place)) {
            Some((verb, name)) => format!("{verb} {name} EndpointSlice"),
            None => "create EndpointSlice".to_owned(),
        };
        format!("failed to {what} for Service {}/{}: {refusal}", service.meta.namespace, service.meta.name)
    }
}

/// Pods were left out for want of their node, or a write was refused.
pub(super) fn not_updated(
    ctx: &mut Context<'_>,
    service: &Service,
    left_out: &[(Name, Name)],
    refused: Option<String>,
) {
    let (namespace, name) = (&service.meta.namespace, &service.meta.name);
    let skipped = left_out
        .iter()
        .map(|(pod, node)| format!("skipping Pod {pod} for Service {namespace}/{name}: Node {node} Not Found"));
    let errors: Vec<String> = skipped.chain(refused).collect();
    let text = if errors.len() == 1 { errors[0].clone() } else { format!("[{}]", errors.join(", ")) };
    let message = format!("Error updating Endpoint Slices for Service {namespace}/{name}: {text}");
    let event = Event::warning(REPORTER, "FailedToUpdateEndpointSlices", message).about(&service.meta);
    ctx.event(ObjectKey::new(Kind::Service, namespace, name), event);
}
