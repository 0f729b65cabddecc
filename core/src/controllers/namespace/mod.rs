//! The namespace controller: empties a namespace that is being deleted, then lets it go.
//!
//! Pods go first, gracefully; only when none is left do the other kinds follow, in a fixed order, that of
//! `Kind::ALL` backwards (Kubernetes' is random). Source: pkg/controller/namespace (v1.34.1). Differences: one request
//! per object where Kubernetes deletes whole collections, with the client limit that Kubernetes raises for this
//! controller; namespace conditions are not modelled, but the second pass comes 5 s after the first as their change
//! brings about.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::api::deletion::NAMESPACE_CONTENT;
use crate::api::{Propagation, Refusal, Reply, Request};
use crate::config::{ControllerManagerConfig, RateLimit};
use crate::context::Context;
use crate::controllers::kinds;
use crate::controllers::reconciler::{Desk, Reconciler, Step};
use crate::controllers::requests::Ended;
use crate::id::Name;
use crate::model::{Kind, Namespace, Object, Pod};
use crate::store::{Change, View};
use crate::time::Span;

/// The number of this controller's client and work queue.
pub(super) const NUMBER: u8 = 4;
/// `--concurrent-namespace-syncs`.
const WORKERS: u32 = 10;
/// Largest back-off of a namespace whose end has failed. Source: `nsControllerRateLimiter`, pkg/controller/namespace (v1.34.1).
const BACKOFF_MAX: Span = Span::from_secs(60);
/// How long a namespace waits before it is looked at after a change.
const SETTLING: Span = Span::from_secs(5);
/// How much more the client may ask than others. Source: `startModifiedNamespaceController`,
/// cmd/kube-controller-manager/app/core.go (v1.34.1).
const RATE_FACTOR: u32 = 20;
/// The same for the burst.
const BURST_FACTOR: u32 = 100;

/// The controller.
pub(super) struct Namespaces {
    desk: Desk<Name, Stage>,
    /// Namespaces whose pods have been deleted once.
    begun: BTreeSet<Name>,
}

/// What a pass waits for.
pub(in crate::controllers) enum Stage {
    /// The deletion of the pods; how many were being deleted already, and the longest grace.
    Pods { leaving: usize, grace: Span },
    /// The deletion of everything else; how much was being deleted already.
    Others { leaving: usize },
    /// The namespace's own end.
    Finalizer,
}

impl Namespaces {
    /// The controller before its start.
    pub(super) fn new(config: &ControllerManagerConfig) -> Namespaces {
        let limit = config.client_limit.map(|limit| RateLimit {
            per_second: limit.per_second.saturating_mul(RATE_FACTOR),
            burst: limit.burst.saturating_mul(BURST_FACTOR),
        });
        let tolerated: fn(&Refusal) -> bool =
            |refusal| matches!(refusal, Refusal::NotFound(_) | Refusal::WrongUid { .. });
        let mut desk = Desk::new(NUMBER, WORKERS, limit, tolerated);
        desk.queue = desk.queue.with_largest_backoff(BACKOFF_MAX);
        Namespaces { desk, begun: BTreeSet::new() }
    }

    fn finish(&mut self, ctx: &mut Context<'_>, name: &Name, again: Option<Span>, failed: bool) -> Step<Name, Stage> {
        if let Some(delay) = again {
            self.desk.queue.add_after(ctx, name.clone(), delay);
        }
        self.desk.finish(ctx, name, failed)
    }

    fn on_namespace(&mut self, ctx: &mut Context<'_>, namespace: &Namespace) {
        if namespace.meta.is_terminating() {
            self.desk.queue.add_after(ctx, namespace.meta.name.clone(), SETTLING);
        }
    }
}

impl Reconciler for Namespaces {
    type Key = Name;
    type Stage = Stage;

    fn desk(&mut self) -> &mut Desk<Name, Stage> {
        &mut self.desk
    }

    fn list(&mut self, ctx: &mut Context<'_>, view: View<'_>) {
        for (_, namespace) in view.all::<Namespace>() {
            self.on_namespace(ctx, namespace);
        }
    }

    fn note(&mut self, ctx: &mut Context<'_>, view: View<'_>, change: &Change) {
        if change.kind == Kind::Namespace
            && let Some(namespace) = view.at(change.revision).get::<Namespace>(change.row)
        {
            self.on_namespace(ctx, namespace);
        }
    }

    fn sync(&mut self, ctx: &mut Context<'_>, view: View<'_>, name: Name) -> Step<Name, Stage> {
        let namespace = view.find::<Namespace>(&Name::default(), &name).map(|(_, namespace)| namespace);
        if !namespace.is_some_and(|namespace| namespace.meta.is_terminating()) {
            self.begun.remove(&name);
            return self.finish(ctx, &name, None, false);
        }
        let (requests, leaving) = deletions(view, Kind::Pod, &name);
        let lasting = view.in_namespace::<Pod>(&name).filter(|(_, pod)| !pod.is_finished());
        let grace = lasting.map(|(_, pod)| pod.spec.termination_grace).max().unwrap_or_default();
        self.desk.begin(ctx, name, Stage::Pods { leaving, grace }, [requests])
    }

    fn proceed(&mut self, ctx: &mut Context<'_>, view: View<'_>, ended: Ended<Name, Stage>) -> Step<Name, Stage> {
        let Ended { key: name, stage, answers, error, .. } = ended;
        let held = answers.iter().filter(|answer| matches!(answer, Ok(Reply::Deleted(Some(_))))).count();
        match stage {
            _ if error.is_some() => self.finish(ctx, &name, None, true),
            Stage::Pods { leaving, grace } if leaving + held > 0 => {
                let is_first = self.begun.insert(name.clone());
                // Half the time that the pods may take, plus a second; sooner after the first pass, whose change of
                // the namespace's conditions wakes the controller.
                let pause = Span::from_secs(grace.as_secs() / 2 + 1);
                let delay = if is_first { pause.min(SETTLING) } else { pause };
                self.finish(ctx, &name, Some(delay), false)
            }
            Stage::Pods { .. } => {
                let others = Kind::ALL.iter().rev().filter(|kind| kind.is_namespaced() && **kind != Kind::Pod);
                let of_kinds = others.map(|kind| deletions(view, *kind, &name));
                let (batches, leaving): (Vec<_>, Vec<_>) = of_kinds.unzip();
                let stage = Stage::Others { leaving: leaving.into_iter().sum() };
                self.desk.begin(ctx, name, stage, batches)
            }
            Stage::Others { leaving } if leaving + held > 0 => self.finish(ctx, &name, Some(SETTLING), false),
            Stage::Others { .. } => {
                let released = released(view, &name);
                self.desk.begin(ctx, name, Stage::Finalizer, [released])
            }
            Stage::Finalizer => {
                self.begun.remove(&name);
                self.finish(ctx, &name, None, false)
            }
        }
    }
}

/// The deletions of a kind's objects in a namespace, and how many are being deleted already.
fn deletions(view: View<'_>, kind: Kind, namespace: &Name) -> (Vec<Request>, usize) {
    let (leaving, staying): (Vec<_>, Vec<_>) =
        kinds::in_namespace(view, kind, namespace).into_iter().partition(|meta| meta.is_terminating());
    let delete = |meta: &crate::model::Meta| Request::Delete {
        key: kinds::key_of(kind, meta),
        uid: Some(meta.uid),
        grace: None,
        propagation: Propagation::Background,
    };
    (staying.into_iter().map(delete).collect(), leaving.len())
}

/// The write that takes the namespace's finalizer away.
fn released(view: View<'_>, name: &Name) -> Vec<Request> {
    let Some((row, stored)) = view.find::<Namespace>(&Name::default(), name) else { return Vec::new() };
    let mut namespace = Namespace::clone(stored);
    let others = namespace.meta.finalizers.iter().filter(|finalizer| ***finalizer != *NAMESPACE_CONTENT);
    namespace.meta.finalizers = others.cloned().collect();
    let expected = view.version_of::<Namespace>(row);
    vec![Request::Update { object: Object::Namespace(Arc::new(namespace)), expected }]
}
