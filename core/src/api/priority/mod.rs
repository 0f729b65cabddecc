//! From a pod's PriorityClass to its priority.
//!
//! Source: plugin/pkg/admission/priority/admission.go (v1.34.1). The two classes of the system are known without
//! objects. A pod may repeat what its class says of it and may not say anything else; without any class it preempts.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::id::Name;
use crate::model::{PlacementRules, PodSpec, PriorityClass, SYSTEM_PRIORITY_CLASSES};
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
                "the integer value of priority ({given}) must not be provided in pod spec; priority admission \
                 controller computed {value} from the given PriorityClass name"
            ));
        }
        let never = found.as_ref().is_some_and(|priority| priority.never_preempts);
        let given = spec.rules.as_ref().and_then(|rules| match (rules.never_preempts, rules.says_it_preempts) {
            (true, _) => Some(true),
            (false, true) => Some(false),
            (false, false) => None,
        });
        if let Some(given) = given.filter(|given| *given != never) {
            return Err(format!(
                "the string value of PreemptionPolicy ({}) must not be provided in pod spec; priority admission \
                 controller computed {} from the given PriorityClass name",
                preemption_policy(given),
                preemption_policy(never)
            ));
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

/// Whether a pod of this spec says itself something of its priority, which its class says for it once it is admitted.
pub(super) fn is_given(spec: &PodSpec) -> bool {
    spec.given_priority.is_some() || spec.rules.as_ref().is_some_and(|rules| rules.says_it_preempts)
}

/// Takes back what a manifest says of a priority: admission has found that it agrees with the class.
pub(super) fn forget_given(spec: &mut PodSpec) {
    spec.given_priority = None;
    if let Some(rules) = &mut spec.rules {
        rules.says_it_preempts = false;
        if **rules == PlacementRules::default() {
            spec.rules = None;
        }
    }
}

/// How manifests call whether a pod preempts others.
pub(super) fn preemption_policy(never: bool) -> &'static str {
    if never { "Never" } else { "PreemptLowerPriority" }
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
