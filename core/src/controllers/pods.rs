//! What controllers that make pods share: pods from templates, batches of creations, deletions, availability.

use std::sync::Arc;

use crate::api::{Answer, Propagation, Refusal, Request};
use crate::context::Context;
use crate::controllers::owned_by;
use crate::facts::What;
use crate::model::{ConditionKind, Kind, Meta, MetaExtras, ObjectKey, Pod, PodTemplate};
use crate::time::{Span, Time};

/// The size of the first batch of creations; each following is twice as large.
const FIRST_BATCH: usize = 1;
/// The most creations in one batch.
const BATCH_MAX: usize = 500;
/// The longest name of a pod, in characters.
const NAME_LIMIT: usize = 253;

/// A pod as its owner asks for it: the spec, labels and annotations are shared with the template, and the API server
/// completes the name. A template that names a node has its pods there without a scheduler's choice.
///
/// Source: `GetPodFromTemplate`, pkg/controller/controller_utils.go (v1.34.1).
pub(crate) fn from_template(template: &PodTemplate, kind: Kind, owner: &Meta) -> Pod {
    let dash = if owner.name.len() < NAME_LIMIT { "-" } else { "" };
    let meta = Meta {
        namespace: owner.namespace.clone(),
        name: format!("{}{dash}", owner.name).into(),
        generate_name: true,
        labels: template.labels.clone(),
        owners: [owned_by(kind, owner)].into(),
        extras: MetaExtras { annotations: template.annotations.clone(), ..MetaExtras::default() }.into(),
        ..Meta::default()
    };
    let node = template.spec.rules.as_ref().and_then(|rules| rules.template_node.clone());
    Pod { meta: meta.into(), spec: template.spec.clone(), node, ..Pod::default() }
}

/// Creations in batches of 1, 2, 4 … so that a whole burst does not fail for one and the same reason.
///
/// Source: `slowStartBatch`, pkg/controller/replicaset/replica_set.go (v1.34.1).
pub(crate) fn slow_start<T>(creations: impl IntoIterator<Item = T>) -> Vec<Vec<T>> {
    let mut creations = creations.into_iter().peekable();
    let (mut batches, mut size) = (Vec::new(), FIRST_BATCH);
    while creations.peek().is_some() {
        batches.push(creations.by_ref().take(size).collect());
        size = (2 * size).min(BATCH_MAX);
    }
    batches
}

/// The deletion of this very pod, with its own grace.
pub(crate) fn deletion_of(pod: &Pod) -> Request {
    let key = ObjectKey { kind: Kind::Pod, namespace: pod.meta.namespace.clone(), name: pod.meta.name.clone() };
    Request::Delete { key, uid: Some(pod.meta.uid), grace: None, propagation: Propagation::Background }
}

/// What is told of a refused creation.
pub(crate) fn told_of_creation(refusal: &Refusal) -> String {
    format!("Error creating: {refusal}")
}

/// Records which creations of pods were refused and says how many; what is refused because the namespace is going is no
/// news.
pub(crate) fn refused_creations(ctx: &mut Context<'_>, owner: &ObjectKey, answers: &[Answer]) -> usize {
    let refused = answers.iter().filter_map(|answer| answer.as_ref().err());
    let news = refused.filter(|refusal| !refusal.is_namespace_terminating()).inspect(|refusal| {
        ctx.record(owner.clone(), What::Refused { message: told_of_creation(refusal).into() });
    });
    news.count()
}

/// How long until the next ready pod counts as available; `None` if there is none to wait for.
///
/// Source: `FindMinNextPodAvailabilityCheck`, pkg/controller/controller_utils.go (v1.34.1).
pub(crate) fn next_availability<'a>(
    pods: impl IntoIterator<Item = &'a Arc<Pod>>,
    min_ready: Span,
    now: Time,
) -> Option<Span> {
    let waits = pods.into_iter().filter(|pod| pod.is_ready()).filter_map(|pod| {
        let ready = pod.status.conditions.get(ConditionKind::Ready)?;
        let wait = ready.changed_at.whole_second().saturating_add(min_ready).since(now);
        (wait > Span::ZERO).then_some(wait)
    });
    waits.min().filter(|_| min_ready > Span::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn creations_start_slowly_and_double_as_recorded() {
        let sizes = |count: usize| slow_start(0..count).iter().map(Vec::len).collect::<Vec<_>>();
        // Recorded: rs-scale-big, 0 -> 60.
        assert_eq!(sizes(60), [1, 2, 4, 8, 16, 29]);
        assert_eq!(sizes(1), [1]);
        assert_eq!(sizes(0), Vec::<usize>::new());
        assert_eq!(sizes(1_600)[8..], [256, 500, 500, 89]);
        assert_eq!(slow_start(0..60).concat(), (0..60).collect::<Vec<_>>(), "nothing is lost or moved");
    }

    #[test]
    fn a_pod_is_named_after_its_owner_with_a_dash_if_there_is_room() {
        let name =
            |owner: &str| from_template(&PodTemplate::default(), Kind::ReplicaSet, &Meta::named("default", owner));
        assert_eq!(&*name("web").meta.name, "web-");
        let longest = "w".repeat(253);
        assert_eq!(*name(&longest).meta.name, *longest);
    }
}
