//! The facts that a write shows, found by comparing an object before and after it.

use std::collections::BTreeSet;

use crate::author::Author;
use crate::context::Context;
use crate::digest::Shared;
use crate::facts::{EndpointMoves, What};
use crate::id::{Name, Revision};
use crate::model::{
    Condition, ConditionKind, Conditions, Deployment, Endpoint, EndpointSlice, Kind, Node, Object, ObjectKey, Phase,
    Pod, ReplicaSet, StatefulSet, Status3, Taint,
};
use crate::seam::Effect;
use crate::store::Store;

/// Records the facts of every write after `before`, all of them asked for by `by`.
pub(super) fn record_facts(ctx: &mut Context<'_>, store: &Store, before: Revision, by: Author) {
    let first = ctx.out.len();
    for change in store.changes_between(before, store.head()) {
        let old = store.object_at(change.kind, change.row, Revision(change.revision.0 - 1));
        let new = store.object_at(change.kind, change.row, change.revision);
        compare(ctx, old.as_ref(), new.as_ref());
    }
    for effect in &mut ctx.out[first..] {
        if let Effect::Record(fact) = effect {
            fact.by = Some(by);
        }
    }
}

fn compare(ctx: &mut Context<'_>, old: Option<&Object>, new: Option<&Object>) {
    let Some(key) = new.or(old).map(Object::key) else { return };
    match (old, new) {
        (None, Some(created)) if key.kind != Kind::EndpointSlice => {
            let owner = created.meta().controller();
            let owner = owner.map(|owner| Name::from([owner.kind.name(), "/", &owner.name].concat()));
            ctx.record(key.clone(), What::Created { owner: owner.unwrap_or_default() });
        }
        (Some(_), None) if key.kind != Kind::EndpointSlice => ctx.record(key.clone(), What::Deleted),
        _ => {}
    }
    match (old, new) {
        (old, Some(Object::Pod(pod))) => compare_pod(ctx, &key, pod_of(old), pod),
        (old, Some(Object::Node(node))) => compare_node(ctx, &key, node_of(old), node),
        (Some(Object::ReplicaSet(old)), Some(Object::ReplicaSet(new))) => compare_replica_set(ctx, &key, old, new),
        (Some(Object::ReplicationController(old)), Some(Object::ReplicationController(new))) => {
            if old.replicas != new.replicas {
                ctx.record(key.clone(), What::Scaled { from: old.replicas, to: new.replicas });
            }
            compare_conditions(ctx, &key, &old.status.conditions, &new.status.conditions);
        }
        (Some(Object::Job(old)), Some(Object::Job(new))) => {
            compare_conditions(ctx, &key, &old.status.conditions, &new.status.conditions);
        }
        (Some(Object::Namespace(old)), Some(Object::Namespace(new))) => {
            // That nothing is wrong is said of every namespace that goes.
            let tells =
                |condition: &Condition| condition.status == Status3::True || old.conditions.is_true(condition.kind);
            let told = new.conditions.iter().filter(tells);
            told.for_each(|condition| compare_condition(ctx, &key, &old.conditions, &condition));
        }
        (Some(Object::Deployment(old)), Some(Object::Deployment(new))) => compare_deployment(ctx, &key, old, new),
        (Some(Object::StatefulSet(old)), Some(Object::StatefulSet(new))) => compare_stateful_set(ctx, &key, old, new),
        (Some(Object::DaemonSet(old)), Some(Object::DaemonSet(new))) if old.template != new.template => {
            ctx.record(key.clone(), What::TemplateChanged);
        }
        (old, new) if key.kind == Kind::EndpointSlice => compare_endpoints(ctx, slice_of(old), slice_of(new)),
        _ => {}
    }
    let asked_before = old.is_some_and(|old| old.meta().is_terminating());
    if !asked_before && new.is_some_and(|new| new.meta().is_terminating()) {
        ctx.record(key, What::DeletionRequested);
    }
}

fn compare_pod(ctx: &mut Context<'_>, key: &ObjectKey, old: Option<&Pod>, new: &Pod) {
    let node_before = old.and_then(|old| old.node.as_ref());
    if let (None, Some(node)) = (node_before, &new.node) {
        ctx.record(key.clone(), What::Scheduled { node: node.clone() });
    }
    let phase_before = old.map_or(Phase::Pending, |old| old.status.phase);
    if phase_before != new.status.phase {
        match new.status.phase {
            Phase::Running => ctx.record(key.clone(), What::Running),
            Phase::Succeeded => ctx.record(key.clone(), What::Succeeded),
            Phase::Failed => ctx.record(key.clone(), What::Failed { reason: new.status.reason.clone() }),
            Phase::Pending | Phase::Unknown => {}
        }
    }
    match (old.is_some_and(Pod::is_ready), new.is_ready()) {
        (false, true) => ctx.record(key.clone(), What::Ready),
        (true, false) => {
            let reason = new.status.conditions.get(ConditionKind::Ready).map(|ready| ready.reason.clone());
            ctx.record(key.clone(), What::Unready { reason: reason.unwrap_or_default() });
        }
        _ => {}
    }
}

fn compare_node(ctx: &mut Context<'_>, key: &ObjectKey, old: Option<&Node>, new: &Node) {
    let status = |node: &Node| node.status.conditions.get(ConditionKind::Ready).map(|ready| ready.status);
    let before = old.and_then(status);
    match status(new) {
        Some(Status3::True) if before != Some(Status3::True) => ctx.record(key.clone(), What::NodeReady),
        Some(Status3::False | Status3::Unknown) if before == Some(Status3::True) => {
            let reason = new.status.conditions.get(ConditionKind::Ready).map(|ready| ready.reason.clone());
            ctx.record(key.clone(), What::NodeNotReady { reason: reason.unwrap_or_default() });
        }
        _ => {}
    }
    let before: &[Taint] = old.map_or(&[], |old| &old.spec.taints);
    for taint in new.spec.taints.iter().filter(|taint| !before.iter().any(|other| other.same_mark(taint))) {
        ctx.record(key.clone(), What::Tainted { taint: mark(taint) });
    }
    for taint in before.iter().filter(|taint| !new.spec.taints.iter().any(|other| other.same_mark(taint))) {
        ctx.record(key.clone(), What::Untainted { taint: mark(taint) });
    }
    match (old.is_some_and(|old| old.spec.unschedulable), new.spec.unschedulable) {
        (false, true) => ctx.record(key.clone(), What::Cordoned),
        (true, false) => ctx.record(key.clone(), What::Uncordoned),
        _ => {}
    }
}

fn compare_replica_set(ctx: &mut Context<'_>, key: &ObjectKey, old: &ReplicaSet, new: &ReplicaSet) {
    if old.replicas != new.replicas {
        ctx.record(key.clone(), What::Scaled { from: old.replicas, to: new.replicas });
    }
    compare_conditions(ctx, key, &old.status.conditions, &new.status.conditions);
}

fn compare_deployment(ctx: &mut Context<'_>, key: &ObjectKey, old: &Deployment, new: &Deployment) {
    if old.replicas != new.replicas {
        ctx.record(key.clone(), What::Scaled { from: old.replicas, to: new.replicas });
    }
    if old.template != new.template {
        ctx.record(key.clone(), What::TemplateChanged);
    }
    compare_conditions(ctx, key, &old.status.conditions, &new.status.conditions);
}

fn compare_stateful_set(ctx: &mut Context<'_>, key: &ObjectKey, old: &StatefulSet, new: &StatefulSet) {
    if old.replicas != new.replicas {
        ctx.record(key.clone(), What::Scaled { from: old.replicas, to: new.replicas });
    }
    if old.template != new.template {
        ctx.record(key.clone(), What::TemplateChanged);
    }
}

fn compare_conditions(ctx: &mut Context<'_>, key: &ObjectKey, old: &Conditions, new: &Conditions) {
    new.iter().for_each(|condition| compare_condition(ctx, key, old, &condition));
}

fn compare_condition(ctx: &mut Context<'_>, key: &ObjectKey, old: &Conditions, condition: &Condition) {
    let before = old.get(condition.kind);
    let same = before.is_some_and(|before| before.status == condition.status && before.reason == condition.reason);
    if !same {
        let text = format!("{:?}={:?} ({})", condition.kind, condition.status, condition.reason);
        ctx.record(key.clone(), What::Condition { text: text.into() });
    }
}

/// One slice's change is told as the Service's; a Service of several slices is told slice by slice.
fn compare_endpoints(ctx: &mut Context<'_>, old: Option<&EndpointSlice>, new: Option<&EndpointSlice>) {
    let count = |slice: &EndpointSlice| {
        let ready = slice.endpoints.iter().filter(|endpoint| endpoint.ready).count() as u32;
        (ready, slice.endpoints.len() as u32 - ready)
    };
    let (before, after) = (old.map(count).unwrap_or_default(), new.map(count).unwrap_or_default());
    if before == after {
        return;
    }
    let (was, is) =
        (ready_of_one(endpoints_of(old), endpoints_of(new)), ready_of_one(endpoints_of(new), endpoints_of(old)));
    let moves =
        EndpointMoves { joined: is.difference(&was).cloned().collect(), left: was.difference(&is).cloned().collect() };
    let Some(slice) = new.or(old) else { return };
    let Some(service) = slice.meta.labels.get("kubernetes.io/service-name") else { return };
    let subject = ObjectKey { kind: Kind::Service, namespace: slice.meta.namespace.clone(), name: service.clone() };
    ctx.record(subject, What::Endpoints { ready: after.0, not_ready: after.1, moves: moves.into() });
}

fn endpoints_of(slice: Option<&EndpointSlice>) -> &[Shared<Endpoint>] {
    slice.map_or(&[], |slice| &slice.endpoints)
}

/// The pods of the ready endpoints of one list that are not, as the very same value, in another as well. Both are
/// sorted by address and pod, and most of their endpoints are shared.
fn ready_of_one(endpoints: &[Shared<Endpoint>], mut others: &[Shared<Endpoint>]) -> BTreeSet<Name> {
    let mut is_in_others = |endpoint: &Shared<Endpoint>| {
        while let [first, rest @ ..] = others {
            let same = first.same(endpoint);
            if !same && (&first.address, &first.pod) >= (&endpoint.address, &endpoint.pod) {
                return false;
            }
            others = rest;
            if same {
                return true;
            }
        }
        false
    };
    let own = endpoints.iter().filter(|endpoint| !is_in_others(endpoint));
    own.filter(|endpoint| endpoint.ready).map(|endpoint| endpoint.pod.clone()).collect()
}

fn mark(taint: &Taint) -> Name {
    format!("{}:{:?}", taint.key, taint.effect).into()
}

fn pod_of(object: Option<&Object>) -> Option<&Pod> {
    match object {
        Some(Object::Pod(pod)) => Some(pod),
        _ => None,
    }
}

fn node_of(object: Option<&Object>) -> Option<&Node> {
    match object {
        Some(Object::Node(node)) => Some(node),
        _ => None,
    }
}

fn slice_of(object: Option<&Object>) -> Option<&EndpointSlice> {
    match object {
        Some(Object::EndpointSlice(slice)) => Some(slice),
        _ => None,
    }
}
