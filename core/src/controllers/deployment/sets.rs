//! The ReplicaSets of a Deployment: which is new, which are old, their revisions, annotations and names.
//!
//! Source: pkg/controller/deployment/util/deployment_util.go (v1.34.1).

use std::sync::Arc;

use crate::controllers::owned_by;
use crate::controllers::revisions::template_hash;
use crate::id::{Name, Revision, literal};
use crate::model::{Deployment, DeploymentStrategy, Kind, Labels, Meta, PodTemplate, ReplicaSet, Selector};
use crate::time::Time;

/// The label that tells the pods of one template from another's.
pub(super) const TEMPLATE_HASH: Name = literal!("pod-template-hash");
/// Which rollout a ReplicaSet belongs to, counted from 1.
pub(super) const REVISION: Name = literal!("deployment.kubernetes.io/revision");
/// Earlier revisions of a ReplicaSet that was rolled back to.
const REVISION_HISTORY: Name = literal!("deployment.kubernetes.io/revision-history");
/// How many pods the Deployment wanted when it last scaled the ReplicaSet.
const DESIRED_REPLICAS: Name = literal!("deployment.kubernetes.io/desired-replicas");
/// How many pods it allowed then, surge included.
const MAX_REPLICAS: Name = literal!("deployment.kubernetes.io/max-replicas");
/// Annotations of a Deployment that are not copied to its ReplicaSets.
const NOT_COPIED: [Name; 6] = [
    literal!("kubectl.kubernetes.io/last-applied-configuration"),
    REVISION,
    REVISION_HISTORY,
    DESIRED_REPLICAS,
    MAX_REPLICAS,
    literal!("deprecated.deployment.rollback.to"),
];
/// The longest history of revisions, in characters.
const HISTORY_LIMIT: usize = 2_000;
/// The longest name of a ReplicaSet: that of a DNS subdomain.
const NAME_LIMIT: usize = 253;

/// A ReplicaSet as the sync believes it to be once its requests are granted.
#[derive(Clone)]
pub(super) struct Set {
    /// Its content; the stored version as long as the sync changes nothing.
    pub(super) set: Arc<ReplicaSet>,
    /// The version that it was made from; `None` until the API server has created it.
    pub(super) version: Option<Revision>,
}

/// How many pods more than wanted there may be, and how many of the wanted ones may be unavailable.
///
/// Source: `ResolveFenceposts`, `MaxUnavailable`, `MaxSurge` (v1.34.1): both zero would hold every rollout, so one pod
/// may then be unavailable.
pub(super) fn fenceposts(deployment: &Deployment) -> (i64, i64) {
    let wanted = deployment.replicas;
    let DeploymentStrategy::RollingUpdate { max_surge, max_unavailable } = deployment.strategy else { return (0, 0) };
    let surge = max_surge.of_rounded_up(wanted);
    let unavailable = match max_unavailable.of_rounded_down(wanted) {
        0 if surge == 0 => 1,
        count => count,
    };
    (i64::from(surge), i64::from(unavailable.min(wanted)))
}

/// The place of the oldest ReplicaSet with the Deployment's template, if there is one.
pub(super) fn find_new(deployment: &Deployment, sets: &[Set]) -> Option<usize> {
    sets.iter().position(|it| same_template(&it.set.template, &deployment.template))
}

/// Whether two templates are equal but for the template hash.
pub(super) fn same_template(one: &PodTemplate, other: &PodTemplate) -> bool {
    fn compared(labels: &Labels) -> impl Iterator<Item = (&Name, &Name)> {
        labels.iter().filter(|(key, _)| **key != TEMPLATE_HASH)
    }
    one.spec == other.spec && one.annotations == other.annotations && compared(&one.labels).eq(compared(&other.labels))
}

/// The new ReplicaSet of a Deployment, without its size and annotations.
pub(super) fn make_new(deployment: &Deployment) -> ReplicaSet {
    let collisions = Some(deployment.status.collision_count).filter(|count| *count > 0);
    let hash = template_hash(&deployment.template, collisions);
    let labels = deployment.template.labels.with(TEMPLATE_HASH, hash.clone());
    let match_labels = deployment.selector.match_labels.with(TEMPLATE_HASH, hash.clone());
    // Most Deployments select by all labels of their template: one allocation then serves for both.
    let match_labels = if match_labels == labels { labels.clone() } else { match_labels };
    ReplicaSet {
        meta: Meta {
            labels: labels.clone(),
            owners: [owned_by(Kind::Deployment, &deployment.meta)].into(),
            ..Meta::named(&deployment.meta.namespace, &name_of(&deployment.meta.name, &hash))
        },
        min_ready: deployment.min_ready,
        selector: Selector { match_labels, match_expressions: deployment.selector.match_expressions.clone() },
        template: PodTemplate { labels, ..deployment.template.clone() },
        ..ReplicaSet::default()
    }
}

/// A ReplicaSet's name: the Deployment's, cut to leave room for the hash.
///
/// Source: `generateReplicaSetName`, pkg/controller/deployment/sync.go (v1.34).
pub(super) fn name_of(deployment: &str, hash: &str) -> String {
    let longest = NAME_LIMIT.saturating_sub(hash.len() + 1);
    let base = if longest > 0 { deployment.get(..longest).unwrap_or(deployment) } else { deployment };
    format!("{base}-{hash}")
}

/// The highest revision among ReplicaSets; those without a readable one do not count.
pub(super) fn highest_revision<'a>(sets: impl Iterator<Item = &'a Set>) -> u64 {
    sets.map(|it| revision_of(&it.set)).max().unwrap_or(0)
}

/// A ReplicaSet's revision; 0 if it has none.
pub(super) fn revision_of(set: &ReplicaSet) -> u64 {
    set.meta.annotations.get(&REVISION).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// How many pods the Deployment wanted when it last scaled the ReplicaSet.
pub(super) fn desired_when_scaled(set: &ReplicaSet) -> Option<u64> {
    number(set, &DESIRED_REPLICAS)
}

/// How many pods it allowed then.
pub(super) fn most_when_scaled(set: &ReplicaSet) -> Option<u64> {
    number(set, &MAX_REPLICAS)
}

/// A number that is noted on a ReplicaSet: digits alone, at most the largest 32-bit integer; everything else counts as
/// absent.
///
/// Source: `getNonNegativeInt32FromAnnotation` (v1.34).
fn number(set: &ReplicaSet, annotation: &str) -> Option<u64> {
    let text = set.meta.annotations.get(annotation)?;
    let value: u64 = text.parse().ok().filter(|_| !text.starts_with('+'))?;
    (value <= i32::MAX as u64).then_some(value)
}

/// The annotations of the new ReplicaSet: the Deployment's own, and a revision above every old one's; `None` if those
/// that it has are as they should be.
pub(super) fn annotations_of_new(deployment: &Deployment, present: &Labels, revision: u64) -> Option<Labels> {
    let mut annotations = None;
    let copied = deployment.meta.annotations.iter().filter(|(key, _)| !NOT_COPIED.contains(*key));
    for (key, value) in copied.filter(|(key, value)| present.get(key) != Some(*value)) {
        annotations = Some(annotations.as_ref().unwrap_or(present).with(key.clone(), value.clone()));
    }
    let before = present.get(&REVISION);
    let before_number = before.map_or(Some(0), |before| before.parse::<u64>().ok());
    if let Some(older) = before_number.filter(|older| *older < revision) {
        let renumbered = annotations.as_ref().unwrap_or(present).with(REVISION, revision.to_string());
        let has_history = before.is_some();
        annotations = Some(if has_history { with_history(&renumbered, &older.to_string()) } else { renumbered });
    }
    annotations
}

/// Notes a revision that a ReplicaSet had before it was rolled back to; the oldest are forgotten if there are many.
fn with_history(annotations: &Labels, older: &str) -> Labels {
    let history = annotations.get(&REVISION_HISTORY).cloned().unwrap_or_default();
    let mut revisions: Vec<&str> = history.split(',').filter(|revision| !revision.is_empty()).collect();
    revisions.push(older);
    let length = |revisions: &[&str]| revisions.iter().map(|revision| revision.len() + 1).sum::<usize>() - 1;
    while revisions.len() > 1 && length(&revisions) > HISTORY_LIMIT {
        revisions.remove(0);
    }
    annotations.with(REVISION_HISTORY, revisions.join(","))
}

/// Notes on a ReplicaSet for which size of the Deployment it was scaled; returns whether that changes anything.
pub(super) fn note_scale(deployment: &Deployment, set: &mut Arc<ReplicaSet>) -> bool {
    let (wanted, most) =
        (u64::from(deployment.replicas), (i64::from(deployment.replicas) + fenceposts(deployment).0) as u64);
    if desired_when_scaled(set) == Some(wanted) && most_when_scaled(set) == Some(most) {
        return false;
    }
    let annotations = &mut Arc::make_mut(set).meta.annotations;
    *annotations = annotations.with(DESIRED_REPLICAS, wanted.to_string()).with(MAX_REPLICAS, most.to_string());
    true
}

/// Older first; of two created in the same second, which is all that the API keeps, the smaller name first.
///
/// Source: `ReplicaSetsByCreationTimestamp`, pkg/controller/controller_utils.go (v1.34.1).
pub(super) fn sort_by_creation(sets: &mut [Set]) {
    sets.sort_by(|one, other| age(&one.set.meta).cmp(&age(&other.set.meta)));
}

/// By what ReplicaSets are older or newer than others.
pub(super) fn age(meta: &Meta) -> (Time, &Name) {
    (meta.created_at.whole_second(), &meta.name)
}
