//! The API server's process: dispatch of requests, durability of answers, and news to watchers.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::api::accounts::{self, Held};
use crate::api::admission::Admission;
use crate::api::leases::Leases;
use crate::api::services::Allocators;
use crate::api::{Answer, Refusal, Reply, Request, changes, pod_security};
use crate::author::Author;
use crate::context::Context;
use crate::digest::StableHasher;
use crate::growth::KEPT_MAX;
use crate::id::{Name, ProcId, ProcKind, RequestId, Revision};
use crate::model::{Kind, Node, Object, ObjectKey, Pod, Resource, Service, with_kind};
use crate::seam::{Effect, Msg, TimerKind};
use crate::store::hash_index::HashIndex;
use crate::store::{IndexKey, Store};

/// The components that share the API server's memory and read the store through cursors.
const READERS: [ProcId; 2] = [ProcId::SCHEDULER, ProcId::CONTROLLER_MANAGER];

/// One API server.
#[derive(Default)]
pub struct ApiServer {
    up: bool,
    /// How many objects have been created, which is what uids and drawn names are drawn by.
    pub(super) creations: u64,
    /// The addresses and node ports of Services.
    pub(super) services: Allocators,
    pub(super) admission: Admission,
    leases: Leases,
    pod_watchers: PodWatchers,
    /// Which kubelets watch a ConfigMap or Secret.
    config_watchers: BTreeMap<ObjectKey, BTreeSet<ProcId>>,
    /// Which kubelets watch the Services.
    service_watchers: BTreeSet<ProcId>,
    /// Requests for pods whose account is not there yet.
    held: Held,
    /// Answers that wait for their write to be durable, by revision.
    unanswered: VecDeque<Unanswered>,
    /// Revisions in the middle of requests that write an object several times (a pod that goes without grace is marked,
    /// then removed): a watch shows each.
    midway: VecDeque<Revision>,
    /// The newest revision that stable storage was asked for. The newest that it has is the API server's own cursor,
    /// so that the versions before every write that could still be lost stay there.
    persist_asked: Revision,
}

/// Which kubelet watches the pods of a node; each change of a pod needs a look-up.
#[derive(Default)]
struct PodWatchers {
    watchers: Vec<(Name, ProcId)>,
    /// Places among the watchers by the hash of the node's name.
    by_node: HashIndex,
}

impl PodWatchers {
    fn place(&self, node: &Name) -> Option<usize> {
        let mut places = self.by_node.get(StableHasher::hash_one(node)).map(|place| place as usize);
        places.find(|place| self.watchers[*place].0 == *node)
    }

    fn of(&self, node: &Name) -> Option<ProcId> {
        self.place(node).map(|place| self.watchers[place].1)
    }

    fn set(&mut self, node: &Name, kubelet: ProcId) {
        match self.place(node) {
            Some(place) => self.watchers[place].1 = kubelet,
            None => {
                self.by_node.insert(StableHasher::hash_one(node), self.watchers.len() as u32);
                self.watchers.push((node.clone(), kubelet));
            }
        }
    }

    fn clear(&mut self) {
        *self = PodWatchers::default();
    }
}

/// An answer that waits for its write to be durable.
struct Unanswered {
    written: Revision,
    to: ProcId,
    id: RequestId,
    answer: Answer,
    /// Whether it tells its asker of the write at that revision, so that a watch need not tell of it as well: an answer
    /// leaves at the same time and by the same way as the news, and the kubelet does the same with both.
    tells_of_write: bool,
}

impl ApiServer {
    /// An API server that has not started.
    pub fn new() -> ApiServer {
        ApiServer::default()
    }

    /// When each node's kubelet last renewed its lease.
    pub fn leases(&self) -> &Leases {
        &self.leases
    }

    /// The process has started; clients may connect.
    pub(crate) fn start(&mut self, store: &mut Store) {
        self.up = true;
        if store.cursor(ProcId::API_SERVER).is_none() {
            store.open_cursor(ProcId::API_SERVER);
        }
    }

    /// The process has died: what is not durable is lost, and so is every connection.
    pub(crate) fn crash(&mut self, store: &mut Store) {
        self.up = false;
        self.unanswered.clear();
        self.midway.clear();
        self.pod_watchers.clear();
        self.config_watchers.clear();
        self.service_watchers.clear();
        self.held.clear();
        self.persist_asked = persisted(store);
        store.roll_back_to(self.persist_asked);
        self.services = Allocators::of(store);
    }

    /// A message to the API server. One that arrives while the process is down is lost.
    pub(crate) fn on_message(&mut self, ctx: &mut Context<'_>, store: &mut Store, from: ProcId, body: Msg) {
        if !self.up {
            return;
        }
        match body {
            Msg::Request(id, request) => self.on_request(ctx, store, from, id, *request),
            Msg::Renew { node, renewal } => {
                self.leases.renew(&node, ctx.now);
                ctx.send(ProcId::CONTROLLER_MANAGER, Msg::LeaseRenewed { node, renewal });
            }
            Msg::Unwatch(key) => {
                if let Some(watchers) = self.config_watchers.get_mut(&key) {
                    watchers.remove(&from);
                    if watchers.is_empty() {
                        self.config_watchers.remove(&key);
                    }
                }
            }
            other => panic!("{from} sent an API server what only others understand: {other:?}"),
        }
    }

    /// Every write up to `revision` is durable: answers leave, watchers hear of it.
    pub(crate) fn on_persisted(&mut self, ctx: &mut Context<'_>, store: &mut Store, revision: Revision) {
        if !self.up || revision <= persisted(store) || revision > store.head() {
            return;
        }
        self.tell_kubelets(ctx, store, revision);
        store.advance_cursor(ProcId::API_SERVER, revision);
        let midway = self.midway.partition_point(|shown| *shown <= revision);
        for reader in READERS {
            if store.cursor(reader).is_some() {
                let shown = self.midway.iter().take(midway).copied().chain([revision]);
                shown.for_each(|revision| ctx.send(reader, Msg::Advance(revision)));
            }
        }
        self.midway.drain(..midway);
        while self.unanswered.front().is_some_and(|first| first.written <= revision) {
            let Unanswered { to, id, answer, .. } =
                self.unanswered.pop_front().expect("the queue was just seen to hold an answer");
            ctx.send(to, Msg::Response(id, answer));
        }
        if self.unanswered.is_empty() && self.unanswered.capacity() > KEPT_MAX {
            self.unanswered = VecDeque::new();
        }
        store.trim();
    }

    /// A timer of the API server: requests that waited for an account are looked at again.
    pub(crate) fn on_timer(&mut self, ctx: &mut Context<'_>, store: &mut Store, kind: TimerKind) {
        if !self.up {
            return;
        }
        match kind {
            TimerKind::AccountLookup => {
                for (from, id, request) in self.held.take_due(store, ctx.now) {
                    self.answer(ctx, store, from, id, request);
                }
                if let Some(next) = self.held.next() {
                    ctx.arm(TimerKind::AccountLookup, next);
                }
            }
            other => panic!("an API server has no timer {other:?}"),
        }
    }

    fn on_request(&mut self, ctx: &mut Context<'_>, store: &mut Store, from: ProcId, id: RequestId, request: Request) {
        if !accounts::waits_for_account(store, &request) {
            return self.answer(ctx, store, from, id, request);
        }
        self.held.hold(ctx.seed(), ctx.now, from, id, request);
        let next = self.held.next().expect("a request was just held");
        ctx.arm(TimerKind::AccountLookup, next);
    }

    fn answer(&mut self, ctx: &mut Context<'_>, store: &mut Store, from: ProcId, id: RequestId, request: Request) {
        let before = store.head();
        // A kubelet that hears no answer to these asks again, so the answer's loss loses no news. A creation it would
        // ask for in vain.
        let answer_is_news = matches!(request, Request::UpdateStatus { .. } | Request::Delete { .. });
        let is_told_in_steps = matches!(request, Request::Delete { .. } | Request::Evict { .. });
        let (by, is_judged) = (Author::of(from, id), pod_security::judges(&request));
        let answer = match request {
            Request::WatchConfig(key) => self.watch_config(store, from, key),
            Request::WatchPods { node } => Ok(self.watch_pods(store, from, node)),
            Request::WatchServices => Ok(self.watch_services(store, from)),
            Request::DryRun(request) => self.try_out(ctx, store, *request, by),
            request => self.write(ctx, store, request),
        };
        changes::record_facts(ctx, store, before, by);
        if is_judged {
            pod_security::record_told(ctx, store, before, by);
        }
        self.services.follow(store, before);
        let written = store.head();
        if written == persisted(store) {
            ctx.send(from, Msg::Response(id, answer));
            return;
        }
        if is_told_in_steps {
            self.midway.extend((before.0 + 1..written.0).map(Revision));
        }
        let tells_of_write = answer_is_news && written > before && answer.is_ok();
        self.unanswered.push_back(Unanswered { written, to: from, id, answer, tells_of_write });
        if written > self.persist_asked {
            self.persist_asked = written;
            ctx.out.push(Effect::Persist(written));
        }
    }

    fn write(&mut self, ctx: &mut Context<'_>, store: &mut Store, request: Request) -> Answer {
        match request {
            Request::Create(object) => self.create(ctx, store, object),
            Request::Update { mut object, expected } => {
                self.prepare_service_update(ctx, store, &mut object)?;
                super::update::update(ctx, store, object, expected)
            }
            Request::UpdateStatus { mut object, expected } => {
                super::storage::stamp(ctx, store, &mut object);
                super::update::update_status(ctx, store, object, expected)
            }
            Request::Finalize { namespace, expected } => super::update::finalize(ctx, store, namespace, expected),
            Request::Apply { object, sets_replicas } => self.apply(ctx, store, object, sets_replicas),
            Request::Patch { key, patch } => super::patch::patch(ctx, store, &key, patch),
            Request::Delete { key, uid, grace, propagation } => {
                super::deletion::delete(ctx, store, &key, uid, grace, propagation)
            }
            Request::DeleteMatching { kind, namespace, selector, grace, propagation } => {
                super::deletion::delete_matching(ctx, store, (kind, &namespace), &selector, grace, propagation)
            }
            Request::Evict { key, uid, grace, dry_run } => {
                super::eviction::evict(ctx, store, &key, uid, grace, dry_run)
            }
            Request::Bind { namespace, name, uid, node } => bind(ctx, store, namespace, name, uid, node),
            Request::Get(key) => super::read::read(store, key),
            Request::PodsOf { node } => {
                let pods = store.newest().under::<Pod>(IndexKey::Node(node));
                Ok(Reply::Pods(pods.map(|(_, pod)| Pod::into_object(pod.clone())).collect()))
            }
            // Whatever it writes is undone with the rest of the dry run that it is part of.
            Request::DryRun(request) => self.write(ctx, store, *request),
            Request::WatchConfig(_) | Request::WatchPods { .. } | Request::WatchServices => {
                unreachable!("a watch is no write")
            }
        }
    }

    /// Does a request for its answer alone: its writes are undone before anybody can have seen them.
    ///
    /// Source: `DryRunnableStorage`, staging/src/k8s.io/apiserver/pkg/registry/generic/registry/dryrun.go (v1.34.1).
    fn try_out(&mut self, ctx: &mut Context<'_>, store: &mut Store, request: Request, by: Author) -> Answer {
        let (before, effects) = (store.head(), ctx.out.len());
        let (creations, services) = (self.creations, self.services.clone());
        let is_judged = pod_security::judges(&request);
        let answer = self.write(ctx, store, request);
        ctx.out.truncate(effects);
        if is_judged {
            pod_security::record_told(ctx, store, before, by);
        }
        store.roll_back_to(before);
        self.creations = creations;
        self.services = services;
        answer
    }

    /// A kubelet lists its pods as they are durable now; news of later writes follow.
    fn watch_pods(&mut self, store: &Store, kubelet: ProcId, node: Name) -> Reply {
        self.pod_watchers.set(&node, kubelet);
        // What the kubelet asked in a former life or over a former connection it will not understand the answer to: (1)
        // it reports; (2) it starts again and lists its pods as they were before the report; (3) the report is durable.
        for unanswered in self.unanswered.iter_mut().filter(|it| it.to == kubelet) {
            unanswered.tells_of_write = false;
        }
        let durable = store.newest().at(persisted(store));
        Reply::Pods(durable.under::<Pod>(IndexKey::Node(node)).map(|(_, pod)| Pod::into_object(pod.clone())).collect())
    }

    /// A kubelet reads a ConfigMap or Secret as it is durable now; news of later writes follow.
    fn watch_config(&mut self, store: &Store, kubelet: ProcId, key: ObjectKey) -> Answer {
        let durable = store.newest().at(persisted(store));
        let found = with_kind!(key.kind, T => {
            let found = durable.find::<T>(&key.namespace, &key.name);
            found.map(|(row, it)| (T::into_object(it.clone()), durable.version_of::<T>(row).unwrap_or_default()))
        });
        self.config_watchers.entry(key.clone()).or_default().insert(kubelet);
        found.map(|(object, revision)| Reply::Object(object, revision)).ok_or(Refusal::NotFound(key))
    }

    /// A kubelet lists the Services as they are durable now; news of later writes follow.
    fn watch_services(&mut self, store: &Store, kubelet: ProcId) -> Reply {
        self.service_watchers.insert(kubelet);
        let durable = store.newest().at(persisted(store));
        Reply::Services(durable.all::<Service>().map(|(_, service)| Service::into_object(service.clone())).collect())
    }

    fn tell_watchers(&self, ctx: &mut Context<'_>, old: Option<Object>, new: Option<Object>) {
        let Some(key) = new.as_ref().or(old.as_ref()).map(Object::key) else { return };
        let of_kind = if key.kind == Kind::Service { Some(&self.service_watchers) } else { None };
        for kubelet in self.config_watchers.get(&key).or(of_kind).into_iter().flatten() {
            let news = new.clone().map_or_else(|| Msg::ConfigRemoved(key.clone()), Msg::ConfigChanged);
            ctx.send(*kubelet, news);
        }
    }

    fn tell_kubelets(&self, ctx: &mut Context<'_>, store: &Store, revision: Revision) {
        let mut answers = self.unanswered.iter().filter(|it| it.tells_of_write).peekable();
        for change in store.changes_between(persisted(store), revision) {
            let view = store.newest().at(change.revision);
            let is_watched = match change.kind {
                Kind::ConfigMap | Kind::Secret => !self.config_watchers.is_empty(),
                Kind::Service => !self.service_watchers.is_empty(),
                _ => false,
            };
            if is_watched {
                let old = view.before(change.revision).object(change.kind, change.row);
                self.tell_watchers(ctx, old, view.object(change.kind, change.row));
            }
            if !matches!(change.kind, Kind::Pod | Kind::Node) {
                continue;
            }
            while answers.next_if(|it| it.written < change.revision).is_some() {}
            let told = answers.peek().filter(|it| it.written == change.revision).map(|it| it.to);
            // Most changes are kubelets' reports of their own pods.
            if change.is_report && told.is_some_and(|asker| asker.kind() == ProcKind::Kubelet) {
                continue;
            }
            if change.kind == Kind::Node {
                self.tell_of_node(ctx, view.before(change.revision).get(change.row), view.get(change.row), told);
                continue;
            }
            let (old, new) = (view.before(change.revision).get::<Pod>(change.row), view.get::<Pod>(change.row));
            let Some(node) = new.or(old).and_then(|pod| pod.node.as_ref()) else { continue };
            let Some(kubelet) = self.pod_watchers.of(node) else { continue };
            // A kubelet hears what a request comes to, not what it writes on the way: of a pod that is removed by
            // force, the removal alone.
            if told == Some(kubelet) || self.midway.binary_search(&change.revision).is_ok() {
                continue;
            }
            match (old, new) {
                (_, Some(pod)) => ctx.send(kubelet, Msg::PodChanged(pod.clone())),
                (Some(pod), None) => ctx.send(kubelet, Msg::PodRemoved(pod.meta.uid)),
                (None, None) => {}
            }
        }
    }

    /// A kubelet hears of its node what others decide of it: labels and spec. What it reports itself it knows.
    fn tell_of_node(
        &self,
        ctx: &mut Context<'_>,
        old: Option<&Arc<Node>>,
        new: Option<&Arc<Node>>,
        told: Option<ProcId>,
    ) {
        let (Some(old), Some(new)) = (old, new) else { return };
        if old.spec == new.spec && old.meta.labels == new.meta.labels {
            return;
        }
        if let Some(kubelet) = self.pod_watchers.of(&new.meta.name).filter(|kubelet| told != Some(*kubelet)) {
            ctx.send(kubelet, Msg::NodeChanged(new.clone()));
        }
    }
}

/// The newest durable revision.
fn persisted(store: &Store) -> Revision {
    store.cursor(ProcId::API_SERVER).unwrap_or_default()
}

/// Binds a pod to a node: write-once.
///
/// Source: `BindingREST.setPodHostAndAnnotations`, pkg/registry/core/pod/storage/storage.go (v1.34.1).
fn bind(ctx: &Context<'_>, store: &mut Store, namespace: Name, name: Name, uid: crate::id::Uid, node: Name) -> Answer {
    let key = ObjectKey { kind: Kind::Pod, namespace, name };
    super::namespace::check_namespace(store.newest(), &key)?;
    let Some((row, pod)) = store.newest().find::<Pod>(&key.namespace, &key.name) else {
        return Err(Refusal::NotFound(key));
    };
    if pod.meta.uid != uid {
        return Err(Refusal::WrongUid { expected: uid, stored: pod.meta.uid });
    }
    if pod.meta.is_terminating() {
        let message = format!("pod {} is being deleted, cannot be assigned to a host", key.name);
        return Err(Refusal::Forbidden { key, message: message.into() });
    }
    if let Some(bound) = &pod.node {
        let message = format!("pod {} is already assigned to node \"{bound}\"", key.name);
        return Err(Refusal::Forbidden { key, message: message.into() });
    }
    let mut pod = Pod::clone(pod);
    pod.node = Some(node);
    // A nomination stays behind: `ClearingNominatedNodeNameAfterBinding` is off.
    pod.status.conditions.set(crate::model::ConditionKind::PodScheduled, crate::model::Status3::True, "", "", ctx.now);
    let revision = store.replace(row, pod);
    let stored = store.newest().get::<Pod>(row).expect("the pod was just written").clone();
    Ok(Reply::Object(Pod::into_object(stored), revision))
}
