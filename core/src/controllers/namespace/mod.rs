//! The namespace controller: empties a namespace that is being deleted, then lets it go.
//!
//! Pods go first, gracefully; only when none is left do the other kinds follow, in a fixed order, that of
//! `Kind::ALL` backwards (Kubernetes' is random). What is left and what went wrong is told in the namespace's
//! conditions, whose change is what brings the second pass 5 s after the first. Source: pkg/controller/namespace
//! (v1.34.1). Differences: one request per object where Kubernetes deletes whole collections, with the client limit
//! that Kubernetes raises for this controller; what is left is told from the answers to these, without a list.

mod content;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::api::NAMESPACE_CONTENT;
use crate::api::{Answer, Propagation, Refusal, Reply, Request};
use crate::config::{ControllerManagerConfig, RateLimit};
use crate::context::Context;
use crate::controllers::kinds;
use crate::controllers::namespace::content::Findings;
use crate::controllers::news::{News, Topics};
use crate::controllers::reconciler::{Desk, Reconciler, Step};
use crate::controllers::requests::Ended;
use crate::id::{Name, Revision, Uid};
use crate::model::{Kind, Namespace, Object, ObjectKey, Pod};
use crate::store::View;
use crate::time::{Span, Time};

/// The number of this controller's client and work queue.
pub(super) const NUMBER: u8 = 4;
/// `--concurrent-namespace-syncs`.
const WORKERS: u32 = 10;
/// Largest back-off of a namespace whose end has failed. Source: `nsControllerRateLimiter`, pkg/controller/namespace
/// (v1.34.1).
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
}

/// A namespace as the API server had it.
pub(in crate::controllers) struct Read {
    namespace: Arc<Namespace>,
    version: Revision,
}

/// What a pass waits for.
pub(in crate::controllers) enum Stage {
    /// The namespace as it is now.
    Reading,
    /// The deletion of the pods, which may take so long.
    Pods { read: Read, estimate: Span },
    /// The deletion of everything else: how many objects of which kinds.
    Others { read: Read, findings: Findings, kinds: Vec<(Kind, usize)> },
    /// The conditions, before the pass ends or the namespace is let go.
    Conditions { read: Read, findings: Findings, is_empty: bool },
    /// The namespace's own end.
    Finalizing(Uid),
    /// The namespace as it is now, because somebody has written it since; it must still be this one.
    ReadingAgain(Uid),
}

/// How a pass ends.
enum End {
    /// There is nothing more to do.
    Done,
    /// Something is left, which may take so long.
    Remaining(Span),
    /// Something was refused.
    Failed,
}

impl Namespaces {
    /// The controller before its start.
    pub(super) fn new(config: &ControllerManagerConfig) -> Namespaces {
        let limit = config.client_limit.map(|limit| RateLimit {
            per_second: limit.per_second.saturating_mul(RATE_FACTOR),
            burst: limit.burst.saturating_mul(BURST_FACTOR),
        });
        // A refusal ends no stage: the other kinds are deleted all the same.
        let mut desk = Desk::new(NUMBER, WORKERS, limit, |_| true);
        desk.queue = desk.queue.with_largest_backoff(BACKOFF_MAX);
        Namespaces { desk }
    }

    /// Source: `worker`, pkg/controller/namespace/namespace_controller.go (v1.34.1).
    fn end(&mut self, ctx: &mut Context<'_>, name: &Name, end: End) -> Step<Name, Stage> {
        match end {
            End::Done => self.desk.queue.forget(name),
            // Half of what it may take, plus a second. Earlier failures are not forgotten.
            End::Remaining(estimate) => {
                self.desk.queue.add_after(ctx, name.clone(), Span::from_secs(estimate.as_secs() / 2 + 1));
            }
            End::Failed => self.desk.queue.add_rate_limited(ctx, name.clone()),
        }
        self.desk.queue.done(name);
        None
    }

    fn on_namespace(&mut self, ctx: &mut Context<'_>, namespace: &Namespace) {
        if namespace.meta.is_terminating() {
            self.desk.queue.add_after(ctx, namespace.meta.name.clone(), SETTLING);
        }
    }

    /// Begins with the pods of a namespace, if it is one that has yet to be emptied.
    fn begin(&mut self, ctx: &mut Context<'_>, view: View<'_>, name: Name, answer: &Answer) -> Step<Name, Stage> {
        let read = match found(answer) {
            Ok(Some(read)) => read,
            Ok(None) => return self.end(ctx, &name, End::Done),
            Err(_) => return self.end(ctx, &name, End::Failed),
        };
        let Some(deleted_at) = read.namespace.meta.deleted_at.filter(|_| !read.namespace.finalizers.is_empty()) else {
            return self.end(ctx, &name, End::Done);
        };
        let estimate = estimate_of_pods(view, &name, deleted_at, ctx.now);
        let requests = deletions(view, Kind::Pod, &name);
        self.desk.begin(ctx, name, Stage::Pods { read, estimate }, [requests])
    }

    /// Writes the conditions if they say anything new.
    fn tell(
        &mut self,
        ctx: &mut Context<'_>,
        name: Name,
        (read, findings): (Read, Findings),
        is_whole: bool,
    ) -> Step<Name, Stage> {
        let is_empty = is_whole && !findings.has_failed() && findings.estimate == Span::ZERO;
        let mut namespace = Namespace::clone(&read.namespace);
        let changed = findings.tell(&mut namespace.conditions, is_whole, ctx.now);
        let (object, expected) = (Object::Namespace(Arc::new(namespace)), Some(read.version));
        let write = changed.then_some(Request::UpdateStatus { object, expected });
        self.desk.begin(ctx, name, Stage::Conditions { read, findings, is_empty }, [write.into_iter().collect()])
    }

    fn finalize(&mut self, ctx: &mut Context<'_>, name: Name, read: &Read) -> Step<Name, Stage> {
        let mut namespace = Namespace::clone(&read.namespace);
        let others = namespace.finalizers.iter().filter(|finalizer| ***finalizer != *NAMESPACE_CONTENT);
        namespace.finalizers = others.cloned().collect();
        let stage = Stage::Finalizing(namespace.meta.uid);
        let request = Request::Finalize { namespace: Arc::new(namespace), expected: Some(read.version) };
        self.desk.begin(ctx, name, stage, [vec![request]])
    }
}

impl Reconciler for Namespaces {
    type Key = Name;
    type Stage = Stage;

    fn topics(&self) -> Topics {
        Topics::of(Kind::Namespace)
    }

    fn desk(&mut self) -> &mut Desk<Name, Stage> {
        &mut self.desk
    }

    fn list(&mut self, ctx: &mut Context<'_>, view: View<'_>) {
        for (_, namespace) in view.all::<Namespace>() {
            self.on_namespace(ctx, namespace);
        }
    }

    fn note(&mut self, ctx: &mut Context<'_>, view: View<'_>, News { change, .. }: &News<'_>) {
        if let Some(namespace) = view.at(change.revision).get::<Namespace>(change.row) {
            self.on_namespace(ctx, namespace);
        }
    }

    fn sync(&mut self, ctx: &mut Context<'_>, view: View<'_>, name: Name) -> Step<Name, Stage> {
        if view.find::<Namespace>(&Name::default(), &name).is_none() {
            return self.end(ctx, &name, End::Done);
        }
        let read = Request::Get(key(&name));
        self.desk.begin(ctx, name, Stage::Reading, [vec![read]])
    }

    fn proceed(&mut self, ctx: &mut Context<'_>, view: View<'_>, ended: Ended<Name, Stage>) -> Step<Name, Stage> {
        let Ended { key: name, stage, answers, .. } = ended;
        match stage {
            Stage::Reading => self.begin(ctx, view, name, &answers[0]),
            Stage::Pods { read, estimate } => {
                let mut findings = Findings::default();
                if findings.add(&name, Kind::Pod, &answers, estimate) {
                    return self.tell(ctx, name, (read, findings), false);
                }
                let others = Kind::ALL.iter().rev().filter(|kind| kind.is_namespaced() && **kind != Kind::Pod);
                let batches: Vec<_> = others.map(|kind| (*kind, deletions(view, *kind, &name))).collect();
                let kinds = batches.iter().map(|(kind, requests)| (*kind, requests.len())).collect();
                let batches: Vec<_> = batches.into_iter().map(|(_, requests)| requests).collect();
                self.desk.begin(ctx, name, Stage::Others { read, findings, kinds }, batches)
            }
            Stage::Others { read, mut findings, kinds } => {
                let mut rest = &answers[..];
                for (kind, count) in kinds {
                    let (of_kind, others) = rest.split_at(count);
                    findings.add(&name, kind, of_kind, Span::ZERO);
                    rest = others;
                }
                self.tell(ctx, name, (read, findings), true)
            }
            // Whether the conditions could be written makes no difference.
            Stage::Conditions { findings, .. } if findings.has_failed() => self.end(ctx, &name, End::Failed),
            Stage::Conditions { read, is_empty: true, .. } => self.finalize(ctx, name, &read),
            Stage::Conditions { findings, .. } => self.end(ctx, &name, End::Remaining(findings.estimate)),
            Stage::Finalizing(uid) => match &answers[0] {
                Err(Refusal::Conflict { .. }) => {
                    let read = Request::Get(key(&name));
                    self.desk.begin(ctx, name, Stage::ReadingAgain(uid), [vec![read]])
                }
                Ok(_) | Err(Refusal::NotFound(_)) => self.end(ctx, &name, End::Done),
                Err(_) => self.end(ctx, &name, End::Failed),
            },
            Stage::ReadingAgain(uid) => match found(&answers[0]) {
                Ok(Some(read)) if read.namespace.meta.uid == uid => self.finalize(ctx, name, &read),
                Ok(None) => self.end(ctx, &name, End::Done),
                Ok(Some(_)) | Err(_) => self.end(ctx, &name, End::Failed),
            },
        }
    }
}

fn key(name: &Name) -> ObjectKey {
    ObjectKey { kind: Kind::Namespace, namespace: Name::default(), name: name.clone() }
}

/// The namespace that was asked for; `None` if it is gone.
fn found(answer: &Answer) -> Result<Option<Read>, ()> {
    match answer {
        Ok(Reply::Object(Object::Namespace(namespace), version)) => {
            Ok(Some(Read { namespace: namespace.clone(), version: *version }))
        }
        Err(Refusal::NotFound(_)) => Ok(None),
        _ => Err(()),
    }
}

/// How long the pods of a namespace may take: the longest grace of those that have not ended, none once that is over.
///
/// Source: `estimateGracefulTermination`, pkg/controller/namespace/deletion/namespaced_resources_deleter.go (v1.34.1).
fn estimate_of_pods(view: View<'_>, namespace: &Name, deleted_at: Time, now: Time) -> Span {
    let lasting = view.in_namespace::<Pod>(namespace).filter(|(_, pod)| !pod.is_finished());
    let longest = lasting.map(|(_, pod)| pod.spec.termination_grace).max().unwrap_or_default();
    // The mark of a deletion is a whole second.
    if now.since(deleted_at.whole_second()) >= longest { Span::ZERO } else { longest }
}

/// The deletions of a kind's objects in a namespace, also of those that are being deleted.
fn deletions(view: View<'_>, kind: Kind, namespace: &Name) -> Vec<Request> {
    let delete = |meta: &crate::model::Meta| Request::Delete {
        key: kinds::key_of(kind, meta),
        uid: None,
        grace: None,
        propagation: Propagation::BackgroundAnyway,
    };
    kinds::in_namespace(view, kind, namespace).into_iter().map(delete).collect()
}
