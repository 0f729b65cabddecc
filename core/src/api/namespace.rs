//! What a namespace says of its content: whether anything may come into it, and whether that still holds it.

use crate::api::Refusal;
use crate::id::Name;
use crate::model::{Kind, Namespace, ObjectKey};
use crate::seam::NAMESPACE_TERMINATING;
use crate::store::View;

/// Holds a namespace until it is empty; among the finalizers of its spec.
pub const NAMESPACE_CONTENT: &str = "kubernetes";

/// Whether somebody has yet to be done with a namespace.
pub(super) fn is_held_by_content(namespace: &Namespace) -> bool {
    !namespace.finalizers.is_empty()
}

/// The name of the object's namespace, which must be there and stay.
pub(super) fn check_namespace(view: View<'_>, key: &ObjectKey) -> Result<Name, Refusal> {
    let Some((_, namespace)) = view.find::<Namespace>(&Name::default(), &key.namespace) else {
        return Err(Refusal::NotFound(ObjectKey::new(Kind::Namespace, "", &key.namespace)));
    };
    if namespace.meta.is_terminating() {
        let message = format!("unable to create new content in namespace {} {NAMESPACE_TERMINATING}", key.namespace);
        return Err(Refusal::Forbidden { key: key.clone(), message: message.into() });
    }
    Ok(namespace.meta.name.clone())
}
