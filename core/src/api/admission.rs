//! What admission adds to a pod: default tolerations and the status of a pod that nobody has touched.

use crate::model::{Pod, PodStatus, TaintEffect, Toleration, TolerationOperator};
use crate::time::Time;

/// The taint of a node whose kubelet says that it is not ready.
pub const NOT_READY: &str = "node.kubernetes.io/not-ready";
/// The taint of a node whose kubelet is silent.
pub const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
/// How long a pod endures them by default, in seconds.
const DEFAULT_TOLERATION_SECONDS: i64 = 300;

/// Completes a pod on its way into the store.
pub(super) fn admit_pod(_now: Time, pod: &mut Pod) {
    pod.status = PodStatus::default();
    add_default_tolerations(pod);
}

/// Source: plugin/pkg/admission/defaulttolerationseconds/admission.go (v1.34.1).
fn add_default_tolerations(pod: &mut Pod) {
    let covers = |toleration: &Toleration, key: &str| {
        (*toleration.key == *key || toleration.key.is_empty())
            && toleration.effect.is_none_or(|effect| effect == TaintEffect::NoExecute)
    };
    let missing: Vec<&str> = [NOT_READY, UNREACHABLE]
        .into_iter()
        .filter(|key| !pod.spec.tolerations.iter().any(|toleration| covers(toleration, key)))
        .collect();
    if missing.is_empty() {
        return;
    }
    let mut spec = (*pod.spec).clone();
    spec.tolerations.extend(missing.into_iter().map(|key| Toleration {
        key: key.into(),
        operator: TolerationOperator::Exists,
        value: "".into(),
        effect: Some(TaintEffect::NoExecute),
        seconds: Some(DEFAULT_TOLERATION_SECONDS),
    }));
    pod.spec = crate::digest::Shared::new(spec);
}
