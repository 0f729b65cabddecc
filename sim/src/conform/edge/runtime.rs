//! The RuntimeClass plugin, in a cluster that has no such classes.
//!
//! Source: plugin/pkg/admission/runtimeclass/admission.go (v1.34.1).

use wavetank_manifest::kubernetes::ApiPod;

use super::Status;

fn rejected(name: &str, why: &str) -> Status {
    Status::new(403, "Forbidden", format!("pods {name:?} is forbidden: pod rejected: {why}"))
}

/// What is said, before it is validated, to a pod of a class: there is none.
pub(super) fn unknown_class(pod: &ApiPod, name: &str) -> Option<Status> {
    let class = pod.spec.as_ref()?.runtime_class_name.as_ref()?;
    Some(rejected(name, &format!("RuntimeClass {class:?} not found")))
}

/// What is said, after it was validated, to a pod that brings the overhead which only a class may give it.
pub(super) fn wrong_overhead(pod: &ApiPod, name: &str) -> Option<Status> {
    let spec = pod.spec.as_ref()?;
    spec.overhead.as_ref().filter(|_| spec.runtime_class_name.is_none())?;
    Some(rejected(name, "Pod Overhead set without corresponding RuntimeClass defined Overhead"))
}
