//! The whole core: its processes, and how one input is dispatched to one of them.
//!
//! Invariant: a step handles one input for one process and returns; what it wants from others it sends. Invariant:
//! time never moves backwards. A core need not run every process: a lab machine's agent runs its kubelet alone.

use crate::api::ApiServer;
use crate::config::Config;
use crate::context::{Component, Context};
use crate::controllers::ControllerManager;
use crate::digest::{Digest, Fingerprint};
use crate::id::{Name, ProcId, ProcKind, Revision};
use crate::kubelet::Kubelets;
use crate::model::{Object, ObjectKey};
use crate::scheduler::Scheduler;
use crate::seam::{Effect, Input, Msg, TimerKind};
use crate::store::{Change, Store, View};
use crate::time::Time;

/// The orchestration core: a deterministic function from (state, time, input) to (state, effects).
pub struct Core {
    config: Config,
    now: Time,
    steps: u64,
    fingerprint: Fingerprint,
    store: Store,
    api: ApiServer,
    scheduler: Option<Scheduler>,
    controllers: Option<ControllerManager>,
    kubelets: Kubelets,
}

impl Core {
    /// A core in which nothing runs yet; processes begin with [`Input::Started`].
    pub fn new(config: Config) -> Core {
        Core {
            config,
            now: Time::ZERO,
            steps: 0,
            fingerprint: Fingerprint::default(),
            store: Store::new(),
            api: ApiServer::new(),
            scheduler: None,
            controllers: None,
            kubelets: Kubelets::new(),
        }
    }

    /// Handles one input. Panics if `now` is before the last step's time.
    pub fn step(&mut self, now: Time, input: Input, out: &mut Vec<Effect>) {
        assert!(now >= self.now, "time moved backwards from {} to {now}", self.now);
        self.now = now;
        self.steps += 1;
        self.fingerprint.absorb(now, &input);
        match input {
            Input::Started(process) => self.start(process, out),
            Input::Crashed(process) => self.crash(process, out),
            Input::Timer(process, kind) => self.fire(process, kind, out),
            Input::Persisted(revision) => {
                let mut ctx = Context { now, me: ProcId::API_SERVER, config: &self.config, out };
                self.api.on_persisted(&mut ctx, &mut self.store, revision);
            }
            Input::Message { from, to, body } => self.deliver(from, to, body, out),
        }
    }

    /// The time of the last step.
    pub fn now(&self) -> Time {
        self.now
    }

    /// How many inputs have been handled.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The rolling hash over all steps so far.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The order-free hash of the store.
    pub fn digest(&self) -> Digest {
        self.store.digest()
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The store as it is now, for observers.
    pub fn newest(&self) -> View<'_> {
        self.store.newest()
    }

    /// The store's newest revision.
    pub fn revision(&self) -> Revision {
        self.store.head()
    }

    /// What the last step has written after a revision: each write with the object before and after it. Older writes
    /// may be told without the object, whose versions are kept only as long as a component needs them.
    pub fn written_since(&self, after: Revision) -> Vec<(Revision, Option<Object>, Option<Object>)> {
        let changes = self.store.changes_between(after, self.store.head());
        let at = |change: &Change, revision: Revision| self.store.object_at(change.kind, change.row, revision);
        changes.iter().map(|it| (it.revision, at(it, Revision(it.revision.0 - 1)), at(it, it.revision))).collect()
    }

    /// The newest version of an object.
    pub fn find(&self, key: &ObjectKey) -> Option<Object> {
        crate::api::find(self.newest(), key)
    }

    /// What the API server would refuse an update to this version for: fields that must stay. `None` if there are none.
    pub fn update_fault(&self, object: &Object) -> Option<Name> {
        crate::api::update_fault(&self.store, object)
    }

    /// The API server, for observers.
    pub fn api(&self) -> &ApiServer {
        &self.api
    }

    /// The kubelets of this core, for observers.
    pub fn kubelets(&self) -> &Kubelets {
        &self.kubelets
    }

    fn start(&mut self, me: ProcId, out: &mut Vec<Effect>) {
        let mut ctx = Context { now: self.now, me, config: &self.config, out };
        match me.kind() {
            ProcKind::ApiServer => self.api.start(&mut self.store),
            ProcKind::Scheduler => {
                self.store.open_cursor(me);
                let scheduler = self.scheduler.insert(Scheduler::new(&self.config));
                scheduler.start(&mut ctx, self.store.view_of(me));
            }
            ProcKind::ControllerManager => {
                self.store.open_cursor(me);
                let controllers = self.controllers.insert(ControllerManager::new(&self.config));
                controllers.start(&mut ctx, self.store.view_of(me));
            }
            ProcKind::Kubelet => self.kubelets.start(&mut ctx),
            ProcKind::World | ProcKind::Client | ProcKind::Runtime => {
                panic!("{me} lives in the world, not in the core")
            }
        }
    }

    fn crash(&mut self, me: ProcId, out: &mut Vec<Effect>) {
        let mut ctx = Context { now: self.now, me, config: &self.config, out };
        match me.kind() {
            ProcKind::ApiServer => self.api.crash(&mut self.store),
            ProcKind::Scheduler => {
                self.scheduler = None;
                self.store.close_cursor(me);
            }
            ProcKind::ControllerManager => {
                self.controllers = None;
                self.store.close_cursor(me);
            }
            ProcKind::Kubelet => self.kubelets.crash(&mut ctx),
            ProcKind::World | ProcKind::Client | ProcKind::Runtime => {
                panic!("{me} lives in the world, not in the core")
            }
        }
    }

    fn fire(&mut self, me: ProcId, kind: TimerKind, out: &mut Vec<Effect>) {
        let mut ctx = Context { now: self.now, me, config: &self.config, out };
        match me.kind() {
            ProcKind::Kubelet => self.kubelets.on_timer(&mut ctx, kind),
            ProcKind::ApiServer => self.api.on_timer(&mut ctx, &mut self.store, kind),
            _ => {
                let store = &self.store;
                if let Some(component) = component(&mut self.scheduler, &mut self.controllers, me) {
                    component.on_timer(&mut ctx, store.view_of(me), kind);
                }
            }
        }
    }

    fn deliver(&mut self, from: ProcId, me: ProcId, body: Msg, out: &mut Vec<Effect>) {
        let mut ctx = Context { now: self.now, me, config: &self.config, out };
        match (me.kind(), body) {
            (ProcKind::ApiServer, body) => self.api.on_message(&mut ctx, &mut self.store, from, body),
            (ProcKind::Kubelet, body) => self.kubelets.on_message(&mut ctx, from, body),
            (ProcKind::World | ProcKind::Client | ProcKind::Runtime, body) => {
                panic!("a message to {me} was delivered to the core: {body:?}")
            }
            (_, Msg::Advance(revision)) => {
                let Some(component) = component(&mut self.scheduler, &mut self.controllers, me) else { return };
                let Some(from) = self.store.advance_cursor(me, revision) else { return };
                let changes = self.store.changes_between(from, revision);
                component.on_changes(&mut ctx, self.store.view_of(me), changes);
                self.store.trim();
            }
            (_, body) => {
                let store = &self.store;
                if let Some(component) = component(&mut self.scheduler, &mut self.controllers, me) {
                    component.on_message(&mut ctx, store.view_of(me), from, body);
                }
            }
        }
    }
}

/// The component of a process; `None` while it is down: what reaches it then is lost, as with a closed connection.
fn component<'a>(
    scheduler: &'a mut Option<Scheduler>,
    controllers: &'a mut Option<ControllerManager>,
    me: ProcId,
) -> Option<&'a mut dyn Component> {
    match me.kind() {
        ProcKind::Scheduler => scheduler.as_mut().map(|it| it as &mut dyn Component),
        ProcKind::ControllerManager => controllers.as_mut().map(|it| it as &mut dyn Component),
        other => panic!("{other:?} is not a component that reads the store"),
    }
}
