//! Who a StatefulSet's pods are: names, ordinals, revisions.
//!
//! Source: pkg/controller/statefulset/stateful_set_utils.go (v1.34.1).

use crate::controllers::pods::from_template;
use crate::controllers::revisions::REVISION_LABEL;
use crate::controllers::stateful_set::storage;
use crate::id::Name;
use crate::model::{ControllerRevision, Kind, Labels, Phase, Pod, PodOwn, StatefulSet, StatefulSetStrategy};
use crate::time::Time;

/// The label with a pod's name, for Services of single pods.
const POD_NAME: &str = "statefulset.kubernetes.io/pod-name";
/// The label with a pod's ordinal.
const POD_INDEX: &str = "apps.kubernetes.io/pod-index";
/// The largest ordinal that is read from a name.
const ORDINAL_MAX: u32 = i32::MAX as u32;

/// The name of a pod's parent and its ordinal, as the pod's name has them: `db-3` is the pod 3 of `db`.
pub(super) fn parent_and_ordinal(pod: &Pod) -> Option<(&str, Option<u32>)> {
    let (parent, digits) = pod.meta.name.rsplit_once('-')?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| (parent, digits.parse().ok().filter(|ordinal| *ordinal <= ORDINAL_MAX)))
}

/// A pod's ordinal; `None` if its name has none.
pub(super) fn ordinal(pod: &Pod) -> Option<u32> {
    parent_and_ordinal(pod).and_then(|(_, ordinal)| ordinal)
}

/// Whether the pod's name makes it a member of the set.
pub(super) fn is_member(set: &StatefulSet, pod: &Pod) -> bool {
    parent_and_ordinal(pod).is_some_and(|(parent, _)| *parent == *set.meta.name)
}

/// The ordinals that the set should have.
pub(super) fn ordinals(set: &StatefulSet) -> std::ops::Range<u32> {
    let start = set.start_ordinal.unwrap_or(0);
    start..start.saturating_add(set.replicas)
}

/// The name of the pod of an ordinal.
pub(super) fn pod_name(set: &StatefulSet, ordinal: u32) -> Name {
    format!("{}-{ordinal}", set.meta.name).into()
}

/// The revision that a pod was made from; empty if it does not say.
pub(super) fn revision(pod: &Pod) -> &str {
    pod.meta.labels.get(REVISION_LABEL).map_or("", |name| name)
}

/// Whether the pod carries the name that the set gives it, as label too.
pub(super) fn identity_matches(set: &StatefulSet, pod: &Pod) -> bool {
    let named = ordinal(pod).is_some_and(|ordinal| *pod_name(set, ordinal) == *pod.meta.name);
    named && is_member(set, pod) && pod.meta.labels.get(POD_NAME) == Some(&pod.meta.name)
}

/// A pod's labels with the name and ordinal that it has.
pub(super) fn labels_of(pod: &Pod) -> Labels {
    let labels = pod.meta.labels.with(POD_NAME, pod.meta.name.clone());
    ordinal(pod).map_or(labels.clone(), |ordinal| labels.with(POD_INDEX, ordinal.to_string()))
}

/// The pod of an ordinal as it is asked for: of the current revision before the partition, else of the update's.
pub(super) fn new_pod(
    set: &StatefulSet,
    current: &ControllerRevision,
    update: &ControllerRevision,
    ordinal: u32,
) -> Pod {
    let start = set.start_ordinal.unwrap_or(0);
    let before = match set.strategy {
        StatefulSetStrategy::RollingUpdate { partition } => start + partition.unwrap_or(set.status.current),
        StatefulSetStrategy::OnDelete => start,
    };
    let revision = if ordinal < before { current } else { update };
    let mut pod = from_template(&revision.template, Kind::StatefulSet, &set.meta);
    pod.meta.name = pod_name(set, ordinal);
    pod.meta.generate_name = false;
    pod.meta.labels = labels_of(&pod).with(REVISION_LABEL, revision.meta.name.clone());
    let (hostname, subdomain) = (pod.meta.name.clone(), set.service_name.clone());
    storage::mount(set, &mut pod);
    pod.own = Some(Box::new(PodOwn { node: None, hostname, subdomain }));
    pod
}

/// Whether the pod runs and is ready.
pub(super) fn is_running_and_ready(pod: &Pod) -> bool {
    pod.status.phase == Phase::Running && pod.is_ready()
}

/// Whether the pod cannot be counted on: not available, or being deleted.
pub(super) fn is_unavailable(set: &StatefulSet, pod: &Pod, now: Time) -> bool {
    !pod.is_available(set.min_ready, now) || pod.meta.is_terminating()
}
