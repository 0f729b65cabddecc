//! From a pod's PriorityClass to its priority.
//!
//! Source: plugin/pkg/admission/priority/admission.go (v1.34.1). The two classes of the system are known without
//! objects. Difference: a pod without any class may say that it never preempts others.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::id::Name;
use crate::model::{PodSpec, PriorityClass, SYSTEM_PRIORITY_CLASSES};
use crate::store::View;

/// What admission finds out about a pod's priority.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Priority {
    class: Name,
    value: i32,
    never_preempts: bool,
}

impl Priority {
    /// The priority of a pod by the class that it names or by the cluster's default; `None` if there is neither, which
    /// makes 0 of what a manifest has left open. The error is why the pod must not be stored.
    pub(super) fn of(view: View<'_>, spec: &PodSpec) -> Result<Option<Priority>, String> {
        let found = if spec.priority_class.is_empty() {
            default_class(view).map(|class| Priority::of_class(class))
        } else {
            Some(named(view, &spec.priority_class)?)
        };
        let value = found.as_ref().map_or(0, |priority| priority.value);
        if let Some(given) = spec.given_priority.filter(|given| *given != value) {
            return Err(format!(
                "the integer value of priority ({given}) must not be provided in pod spec; priority admission controller \
                 computed {value} from the given PriorityClass name"
            ));
        }
        let given_never = spec.rules.as_ref().is_some_and(|rules| rules.never_preempts);
        if given_never && found.as_ref().is_some_and(|priority| !priority.never_preempts) {
            return Err(
                "the string value of PreemptionPolicy (Never) must not be provided in pod spec; priority admission \
                        controller computed PreemptLowerPriority from the given PriorityClass name"
                    .to_owned(),
            );
        }
        Ok(found)
    }

    fn of_class(class: &PriorityClass) -> Priority {
        Priority { class: class.meta.name.clone(), value: class.value, never_preempts: class.never_preempts }
    }

    /// Writes it into a pod.
    pub(super) fn apply(&self, spec: &mut PodSpec) {
        spec.priority_class = self.class.clone();
        spec.priority = self.value;
        if self.never_preempts {
            spec.rules.get_or_insert_default().never_preempts = true;
        }
    }
}

fn named(view: View<'_>, name: &Name) -> Result<Priority, String> {
    if let Some((_, class)) = view.find::<PriorityClass>(&Name::default(), name) {
        return Ok(Priority::of_class(class));
    }
    let system = SYSTEM_PRIORITY_CLASSES.iter().find(|(system, _)| *system == &**name);
    let (_, value) = system.ok_or_else(|| format!("no PriorityClass with name {name} was found"))?;
    Ok(Priority { class: name.clone(), value: *value, never_preempts: false })
}

/// The class of pods that name none: of several the least.
fn default_class(view: View<'_>) -> Option<&Arc<PriorityClass>> {
    view.all::<PriorityClass>().map(|(_, class)| class).filter(|class| class.global_default).min_by_key(|it| it.value)
}

/// Whether a class may be stored beside the others.
pub(super) fn check_class(view: View<'_>, class: &PriorityClass) -> Result<(), String> {
    match default_class(view) {
        Some(default) if class.global_default && default.meta.name != class.meta.name => {
            Err(format!("PriorityClass {} is already marked as default. Only one default can exist", default.meta.name))
        }
        _ => Ok(()),
    }
}
