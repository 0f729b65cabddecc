//! The facts that a write shows, found by comparing an object before and after it.

use std::collections::BTreeSet;

use crate::author::Author;
use crate::context::Context;
use crate::digest::Shared;
use crate::facts::{EndpointMoves, What};
use crate::id::{Name, Revision};
use crate::model::{
    Condition, ConditionKind, Conditions, DaemonSet, Deployment, Endpoint, EndpointSlice, Job, Kind, Namespace, Node,
    ObjectKey, Phase, Pod, ReplicaSet, ReplicationController, Resource, StatefulSet, Status3, Taint, with_kind,
};
use crate::seam::Effect;
use crate::store::{Change, Store, Stored, View};

/// Records the facts of every write after `before`, all of them asked for by `by`.
pub(super) fn record_facts(ctx: &mut Context<'_>, store: &Store, before: Revision, by: Author) {
    let first = ctx.out.len();
    for change in store.changes_between(before, store.head()) {
        compare(ctx, store.newest(), change);
    }
    for effect in &mut ctx.out[first..] {
        if let Effect::Record(fact) = effect {
            fact.by = Some(by);
        }
    }
}

fn compare(ctx: &mut Context<'_>, view: View<'_>, change: &Change) {
    match change.kind {
        Kind::Pod => tell(ctx, view, change, compare_pod),
        Kind::Node => tell(ctx, view, change, compare_node),
        Kind::ReplicaSet => tell(ctx, view, change, of_both(compare_replica_set)),
        Kind::ReplicationController => tell(ctx, view, change, of_both(compare_replication_controller)),
        Kind::Job => tell(ctx, view, change, of_both(compare_job)),
        Kind::Namespace => tell(ctx, view, change, of_both(compare_namespace)),
        Kind::Deployment => tell(ctx, view, change, of_both(compare_deployment)),
        Kind::StatefulSet => tell(ctx, view, change, of_both(compare_stateful_set)),
        Kind::DaemonSet => tell(ctx, view, change, of_both(compare_daemon_set)),
        Kind::EndpointSlice => {
            let (old, new) = view.sides::<EndpointSlice>(change);
            compare_endpoints(ctx, old, new);
            tell_of_deletion(ctx, old, new);
        }
        kind => with_kind!(kind, T => tell(ctx, view, change, |_, _: Option<&T>, _: &T| {})),
    }
}

/// What a write tells of any object, and between its beginning and its end what `compare` finds between the version
/// before, if there was one, and the one after.
fn tell<T: Stored>(
    ctx: &mut Context<'_>,
    view: View<'_>,
    change: &Change,
    compare: impl Fn(&mut Context<'_>, Option<&T>, &T),
) {
    let (old, new) = view.sides::<T>(change);
    match (old, new) {
        (None, Some(created)) => {
            let owner = created.meta().controller();
            let owner = owner.map(|owner| Name::from([owner.kind.name(), "/", &owner.name].concat()));
            ctx.record(key_of(created), What::Created { owner: owner.unwrap_or_default() });
        }
        (Some(gone), None) => ctx.record(key_of(gone), What::Deleted),
        _ => {}
    }
    if let Some(new) = new {
        compare(ctx, old, new);
    }
    tell_of_deletion(ctx, old, new);
}

fn tell_of_deletion<T: Resource>(ctx: &mut Context<'_>, old: Option<&T>, new: Option<&T>) {
    let asked_before = old.is_some_and(|old| old.meta().is_terminating());
    if let Some(new) = new.filter(|new| !asked_before && new.meta().is_terminating()) {
        ctx.record(key_of(new), What::DeletionRequested);
    }
}

/// A comparison that tells nothing of a creation.
fn of_both<T>(compare: impl Fn(&mut Context<'_>, &T, &T)) -> impl Fn(&mut Context<'_>, Option<&T>, &T) {
    move |ctx, old, new| {
        if let Some(old) = old {
            compare(ctx, old, new);
        }
    }
}

fn key_of<T: Resource>(object: &T) -> ObjectKey {
    let meta = object.meta();
    ObjectKey { kind: T::KIND, namespace: meta.namespace.clone(), name: meta.name.clone() }
}

fn compare_pod(ctx: &mut Context<'_>, old: Option<&Pod>, new: &Pod) {
    let node_before = old.and_then(|old| old.node.as_ref());
    if let (None, Some(node)) = (node_before, &new.node) {
        ctx.record(key_of(new), What::Scheduled { node: node.clone() });
    }
    let phase_before = old.map_or(Phase::Pending, |old| old.status.phase);
    if phase_before != new.status.phase {
        match new.status.phase {
            Phase::Running => ctx.record(key_of(new), What::Running),
            Phase::Succeeded => ctx.record(key_of(new), What::Succeeded),
            Phase::Failed => ctx.record(key_of(new), What::Failed { reason: new.status.reason.clone() }),
            Phase::Pending | Phase::Unknown => {}
        }
    }
    match (old.is_some_and(Pod::is_ready), new.is_ready()) {
        (false, true) => ctx.record(key_of(new), What::Ready),
        (true, false) => {
            let reason = new.status.conditions.get(ConditionKind::Ready).map(|ready| ready.reason.clone());
            ctx.record(key_of(new), What::Unready { reason: reason.unwrap_or_default() });
        }
        _ => {}
    }
}

fn compare_node(ctx: &mut Context<'_>, old: Option<&Node>, new: &Node) {
    let status = |node: &Node| node.status.conditions.get(ConditionKind::Ready).map(|ready| ready.status);
    let before = old.and_then(status);
    match status(new) {
        Some(Status3::True) if before != Some(Status3::True) => ctx.record(key_of(new), What::NodeReady),
        Some(Status3::False | Status3::Unknown) if before == Some(Status3::True) => {
            let reason = new.status.conditions.get(ConditionKind::Ready).map(|ready| ready.reason.clone());
            ctx.record(key_of(new), What::NodeNotReady { reason: reason.unwrap_or_default() });
        }
        _ => {}
    }
    let before: &[Taint] = old.map_or(&[], |old| &old.spec.taints);
    for taint in new.spec.taints.iter().filter(|taint| !before.iter().any(|other| other.same_mark(taint))) {
        ctx.record(key_of(new), What::Tainted { taint: mark(taint) });
    }
    for taint in before.iter().filter(|taint| !new.spec.taints.iter().any(|other| other.same_mark(taint))) {
        ctx.record(key_of(new), What::Untainted { taint: mark(taint) });
    }
    match (old.is_some_and(|old| old.spec.unschedulable), new.spec.unschedulable) {
        (false, true) => ctx.record(key_of(new), What::Cordoned),
        (true, false) => ctx.record(key_of(new), What::Uncordoned),
        _ => {}
    }
}

fn compare_replica_set(ctx: &mut Context<'_>, old: &ReplicaSet, new: &ReplicaSet) {
    if old.replicas != new.replicas {
        ctx.record(key_of(new), What::Scaled { from: old.replicas, to: new.replicas });
    }
    compare_conditions(ctx, new, &old.status.conditions, &new.status.conditions);
}

fn compare_deployment(ctx: &mut Context<'_>, old: &Deployment, new: &Deployment) {
    if old.replicas != new.replicas {
        ctx.record(key_of(new), What::Scaled { from: old.replicas, to: new.replicas });
    }
    if old.template != new.template {
        ctx.record(key_of(new), What::TemplateChanged);
    }
    compare_conditions(ctx, new, &old.status.conditions, &new.status.conditions);
}

fn compare_stateful_set(ctx: &mut Context<'_>, old: &StatefulSet, new: &StatefulSet) {
    if old.replicas != new.replicas {
        ctx.record(key_of(new), What::Scaled { from: old.replicas, to: new.replicas });
    }
    if old.template != new.template {
        ctx.record(key_of(new), What::TemplateChanged);
    }
}

fn compare_replication_controller(ctx: &mut Context<'_>, old: &ReplicationController, new: &ReplicationController) {
    if old.replicas != new.replicas {
        ctx.record(key_of(new), What::Scaled { from: old.replicas, to: new.replicas });
    }
    compare_conditions(ctx, new, &old.status.conditions, &new.status.conditions);
}

fn compare_daemon_set(ctx: &mut Context<'_>, old: &DaemonSet, new: &DaemonSet) {
    if old.template != new.template {
        ctx.record(key_of(new), What::TemplateChanged);
    }
}

fn compare_job(ctx: &mut Context<'_>, old: &Job, new: &Job) {
    compare_conditions(ctx, new, &old.status.conditions, &new.status.conditions);
}

fn compare_namespace(ctx: &mut Context<'_>, old: &Namespace, new: &Namespace) {
    // That nothing is wrong is said of every namespace that goes.
    let tells = |condition: &Condition| condition.status == Status3::True || old.conditions.is_true(condition.kind);
    let told = new.conditions.iter().filter(tells);
    told.for_each(|condition| compare_condition(ctx, new, &old.conditions, &condition));
}

fn compare_conditions<T: Resource>(ctx: &mut Context<'_>, object: &T, old: &Conditions, new: &Conditions) {
    new.iter().for_each(|condition| compare_condition(ctx, object, old, &condition));
}

fn compare_condition<T: Resource>(ctx: &mut Context<'_>, object: &T, old: &Conditions, condition: &Condition) {
    let before = old.get(condition.kind);
    let same = before.is_some_and(|before| before.status == condition.status && before.reason == condition.reason);
    if !same {
        let text = format!("{:?}={:?} ({})", condition.kind, condition.status, condition.reason);
        ctx.record(key_of(object), What::Condition { text: text.into() });
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
