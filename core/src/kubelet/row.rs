//! One host's kubelet while it runs: its pods, its requests under way, and what its relist has yet to show it.
//!
//! Invariant: at most one request per pod is under way, and the newest status wins: an answer is followed by a look at
//! whether there is more to say. A request without an answer is made anew after the timeout, from what is known then.
//! Invariant: pods are neither started nor stopped before the runtime has said what it has and the API server has
//! listed the node's pods.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::api::{Answer, Patch, Propagation, Refusal, Reply, Request};
use crate::context::Context;
use crate::digest::Shared;
use crate::draw::{Draws, Purpose, draw, span_below};
use crate::facts::What;
use crate::id::{HostId, Name, ProcId, RequestId, Uid};
use crate::kubelet::configs::Configs;
use crate::kubelet::files::FileMounts;
use crate::kubelet::heartbeat::{self, HOSTNAME, Heartbeat, LeaseClock, RUNTIME_AWAY_MAX, Runtime};
use crate::kubelet::images::Pulls;
use crate::kubelet::pod_life::{Doing, Host, PodLife};
use crate::kubelet::pressure::Pressure;
use crate::kubelet::services::Services;
use crate::kubelet::shutdown::Shutdown;
use crate::kubelet::static_pods::Statics;
use crate::kubelet::volumes::Mounts;
use crate::kubelet::{Boot, ContainerIndex, RunningPod, RuntimeEvent, RuntimeRequest, admission, status};
use crate::model::{Kind, Object, ObjectKey, Pod, Resources, Terminated};
use crate::seam::{Msg, TimerKind};
use crate::time::{Span, Time};

/// First back-off of a watch that has broken, before jitter of up to as much again.
///
/// Source: `NewReflectorWithOptions`, staging/src/k8s.io/client-go/tools/cache/reflector.go (v1.34.1).
const REFLECTOR_BACKOFF: Span = Span::from_millis(800);

/// A running kubelet.
pub(super) struct Row {
    pub(super) boot: Arc<Boot>,
    clock: LeaseClock,
    heartbeat: Option<Box<Heartbeat>>,
    pub(super) pods: BTreeMap<Uid, Box<PodLife>>,
    /// What the pods that were admitted and have not ended take.
    used: Resources,
    pulls: Pulls,
    /// The volumes of pods with claims.
    mounts: BTreeMap<Uid, Mounts>,
    /// The ConfigMaps and Secrets that pods name.
    pub(super) configs: Configs,
    /// The Services, if containers are told of them.
    services: Option<Box<Services>>,
    /// The pods that wait for files of them.
    pub(super) files: BTreeMap<Uid, FileMounts>,
    /// What the node was last told to use of them.
    in_use: Vec<Name>,
    /// Container events that the next relist will show, in order.
    unseen: Vec<Unseen>,
    /// Requests under way, by number.
    asked: Vec<(RequestId, Asked, Time)>,
    requests: u64,
    retry_armed: Option<Time>,
    /// When to list and watch the node's pods (again).
    watch_at: Option<Time>,
    reconnections: u64,
    /// The runtime has said what it has.
    listed: bool,
    runtime: Runtime,
    /// When a runtime that is away is taken to be down.
    runtime_down_at: Option<Time>,
    /// Only on hosts with static pods.
    pub(super) statics: Option<Box<Statics>>,
    /// Only while the node runs short of something.
    pub(super) pressure: Option<Box<Pressure>>,
    /// Only while the machine shuts down.
    pub(super) shutdown: Option<Box<Shutdown>>,
}

/// What a request under way is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Asked {
    Register,
    /// The node as it is stored, by way of one of its labels.
    Node,
    NodeStatus,
    Watch,
    Pod(Uid),
    /// Something about a pod's volumes.
    Volume(Uid),
    /// Which volumes the node uses.
    InUse,
    /// A ConfigMap or Secret.
    Config,
    /// The Services.
    Services,
    /// The mirror pod of a static pod.
    Mirror(Uid),
}

enum Unseen {
    Started(Uid, ContainerIndex, u32),
    Exited(Uid, ContainerIndex, u32, Exit),
}

#[derive(Clone, Copy)]
struct Exit {
    code: i32,
    out_of_memory: bool,
    at: Time,
}

impl Row {
    /// A kubelet that starts; `start` counts its earlier starts.
    pub(super) fn start(ctx: &mut Context<'_>, boot: Arc<Boot>, start: u64, exact: bool) -> Row {
        let clock = LeaseClock { host: HostId(ctx.me.index()), started: ctx.now, start };
        let statics = Statics::of(&boot);
        let mut row = Row {
            boot,
            clock,
            heartbeat: None,
            pods: BTreeMap::new(),
            used: Resources::default(),
            pulls: Pulls::default(),
            mounts: BTreeMap::new(),
            configs: Configs::default(),
            services: ctx.config.kubelet.service_variables.then(Box::default),
            files: BTreeMap::new(),
            in_use: Vec::new(),
            unseen: Vec::new(),
            asked: Vec::new(),
            requests: 0,
            retry_armed: None,
            watch_at: None,
            reconnections: 0,
            listed: false,
            runtime: Runtime::Up,
            runtime_down_at: None,
            statics,
            pressure: None,
            shutdown: None,
        };
        row.host(ctx).ask(RuntimeRequest::List);
        row.watch_usage(ctx);
        let node = Object::Node(Arc::new(heartbeat::new_node(&row.boot, row.health(), ctx.now)));
        row.request(ctx, Asked::Register, Request::Create(node));
        row.set_exact(ctx, exact);
        row
    }

    /// Ends the kubelet: its timers go, its containers stay.
    pub(super) fn stop(self, ctx: &mut Context<'_>) {
        for kind in [TimerKind::LeaseRenewal, TimerKind::Relist, TimerKind::KubeletRetry] {
            ctx.disarm(kind);
        }
        if self.pressure.is_some() {
            ctx.disarm(TimerKind::NodePressure);
            ctx.disarm(TimerKind::ImageGc);
        }
        if self.shutdown.is_some() {
            ctx.disarm(TimerKind::Shutdown);
        }
        for uid in self.pods.into_keys() {
            ctx.disarm(TimerKind::Pod(uid));
        }
    }

    pub(super) fn lease_clock(&self) -> LeaseClock {
        self.clock
    }

    pub(super) fn pod_count(&self) -> usize {
        self.pods.len()
    }

    /// Switches between sending each renewal and leaving them to the world.
    pub(super) fn set_exact(&mut self, ctx: &mut Context<'_>, exact: bool) {
        match (exact, &self.heartbeat) {
            (true, None) => {
                let heartbeat = Heartbeat::from(self.clock, ctx.config, ctx.now);
                ctx.arm(TimerKind::LeaseRenewal, heartbeat.due());
                self.heartbeat = Some(Box::new(heartbeat));
            }
            (false, Some(_)) => {
                self.heartbeat = None;
                ctx.disarm(TimerKind::LeaseRenewal);
            }
            _ => {}
        }
    }

    pub(super) fn on_timer(&mut self, ctx: &mut Context<'_>, kind: TimerKind) {
        match kind {
            TimerKind::LeaseRenewal => self.renew(ctx),
            TimerKind::Pod(uid) => self.with_pod(ctx, uid, |life, host| life.on_timer(host)),
            TimerKind::Relist => self.relist(ctx),
            TimerKind::KubeletRetry => self.retry(ctx),
            TimerKind::NodePressure | TimerKind::ImageGc => self.on_pressure_timer(ctx, kind),
            TimerKind::Shutdown => self.next_group(ctx),
            other => panic!("a kubelet has no timer {other:?}"),
        }
    }

    fn renew(&mut self, ctx: &mut Context<'_>) {
        let Some(heartbeat) = self.heartbeat.as_mut().filter(|heartbeat| heartbeat.due() <= ctx.now) else { return };
        let renewal = heartbeat.take();
        ctx.arm(TimerKind::LeaseRenewal, heartbeat.due());
        ctx.send(ProcId::API_SERVER, Msg::Renew { node: self.boot.node.clone(), renewal });
    }

    /// The connection to the API server has come back: the watch is broken, and the node may be held for dead.
    pub(super) fn on_reconnected(&mut self, ctx: &mut Context<'_>) {
        let entity = u64::from(ctx.me.bits());
        let jitter = Draws::starting_at(ctx.seed(), Purpose::RetryJitter, entity, self.reconnections).next();
        let wait = REFLECTOR_BACKOFF + span_below(jitter.unwrap_or_default(), REFLECTOR_BACKOFF);
        self.reconnections += 1;
        self.watch_at = Some(ctx.now + wait);
        self.arm_retry(ctx, ctx.now + wait);
        self.look_at_node(ctx);
        // Whatever was under way may have been lost with the connection: it is made anew at once.
        self.make_anew(ctx, |asked| matches!(asked, Asked::Register | Asked::Pod(_) | Asked::Mirror(_)));
    }

    // ---- requests to the API server

    pub(super) fn request(&mut self, ctx: &mut Context<'_>, asked: Asked, request: Request) -> RequestId {
        let id = RequestId(self.clock.start << 40 | self.requests);
        self.requests += 1;
        self.asked.push((id, asked, ctx.now));
        ctx.send(ProcId::API_SERVER, Msg::Request(id, Box::new(request)));
        let timeout = ctx.now + ctx.config.kubelet.request_timeout;
        self.arm_retry(ctx, timeout);
        id
    }

    /// One timer serves all requests: it is armed for the earliest need and looks again when it comes due.
    pub(super) fn arm_retry(&mut self, ctx: &mut Context<'_>, at: Time) {
        if self.retry_armed.is_none_or(|armed| at < armed) {
            self.retry_armed = Some(at);
            ctx.arm(TimerKind::KubeletRetry, at);
        }
    }

    fn retry(&mut self, ctx: &mut Context<'_>) {
        self.retry_armed = None;
        if self.watch_at.take_if(|at| *at <= ctx.now).is_some() {
            self.watch(ctx);
        }
        if self.runtime_down_at.take_if(|at| *at <= ctx.now).is_some() {
            self.set_runtime(ctx, Runtime::Down);
        }
        self.retry_mirrors(ctx);
        let (now, timeout) = (ctx.now, ctx.config.kubelet.request_timeout);
        let due = |mounts: &Mounts| mounts.due().is_some_and(|at| at <= now);
        let waiting: Vec<Uid> = self.mounts.iter().filter(|(_, mounts)| due(mounts)).map(|(uid, _)| *uid).collect();
        for uid in waiting {
            self.see_to_volumes(ctx, uid);
        }
        self.look_at_files(ctx);
        let late: Vec<RequestId> =
            self.asked.iter().filter(|(_, _, sent)| *sent + timeout <= now).map(|(id, ..)| *id).collect();
        for id in late {
            self.ask_again(ctx, id);
        }
        let next = self
            .asked
            .iter()
            .map(|(_, _, sent)| *sent + timeout)
            .chain(self.watch_at)
            .chain(self.runtime_down_at)
            .chain(self.mounts.values().filter_map(Mounts::due))
            .chain(self.files.values().map(FileMounts::due))
            .chain(self.mirrors_due())
            .min();
        if let Some(at) = next {
            self.arm_retry(ctx, at);
        }
    }

    fn make_anew(&mut self, ctx: &mut Context<'_>, which: impl Fn(Asked) -> bool) {
        let chosen: Vec<RequestId> =
            self.asked.iter().filter(|(_, asked, _)| which(*asked)).map(|(id, ..)| *id).collect();
        for id in chosen {
            self.ask_again(ctx, id);
        }
    }

    fn ask_again(&mut self, ctx: &mut Context<'_>, id: RequestId) {
        let Some(asked) = self.take_asked(id) else { return };
        match asked {
            Asked::Config => {
                if let Some(key) = self.configs.key_of(id) {
                    let id = self.request(ctx, Asked::Config, Request::WatchConfig(key.clone()));
                    self.configs.asked(&key, id);
                }
            }
            Asked::Register => {
                let node = Object::Node(Arc::new(heartbeat::new_node(&self.boot, self.health(), ctx.now)));
                self.request(ctx, Asked::Register, Request::Create(node));
            }
            Asked::Node | Asked::NodeStatus => self.look_at_node(ctx),
            Asked::Watch => self.watch(ctx),
            Asked::Services => self.watch_services(ctx),
            Asked::Mirror(uid) => self.on_mirror_silence(ctx, uid),
            Asked::InUse => {
                self.in_use.clear();
                self.report_in_use(ctx);
            }
            Asked::Volume(uid) => {
                if let Some(mounts) = self.mounts.get_mut(&uid) {
                    mounts.asked = false;
                }
                self.see_to_volumes(ctx, uid);
            }
            Asked::Pod(uid) => {
                if let Some(life) = self.pods.get_mut(&uid) {
                    life.asked = None;
                    life.delete_asked = false;
                }
                self.settle(ctx, uid);
            }
        }
    }

    /// Answers to requests of this sort concern nobody any more.
    pub(super) fn forget_asked(&mut self, which: Asked) {
        self.asked.retain(|(_, asked, _)| *asked != which);
    }

    fn take_asked(&mut self, id: RequestId) -> Option<Asked> {
        let place = self.asked.iter().position(|(other, ..)| *other == id)?;
        Some(self.asked.swap_remove(place).1)
    }

    fn watch(&mut self, ctx: &mut Context<'_>) {
        self.watch_at = None;
        self.watch_services(ctx);
        self.forget_asked(Asked::Watch);
        let node = self.boot.node.clone();
        self.request(ctx, Asked::Watch, Request::WatchPods { node });
        self.rewatch_configs(ctx);
    }

    fn watch_services(&mut self, ctx: &mut Context<'_>) {
        self.forget_asked(Asked::Services);
        if self.services.is_some() {
            self.request(ctx, Asked::Services, Request::WatchServices);
        }
    }

    fn set_runtime(&mut self, ctx: &mut Context<'_>, runtime: Runtime) {
        if std::mem::replace(&mut self.runtime, runtime) != runtime {
            self.look_at_node(ctx);
        }
    }

    /// What the node's conditions say.
    fn health(&self) -> heartbeat::Health {
        let shutting_down = self.shutdown.is_some();
        heartbeat::Health { runtime: self.runtime, pressure: self.pressure_conditions(), shutting_down }
    }

    pub(super) fn node_name(&self) -> Name {
        self.boot.node.clone()
    }

    /// Asks for the stored node by setting the host name label, which it has.
    pub(super) fn look_at_node(&mut self, ctx: &mut Context<'_>) {
        let is_node = |asked: &Asked| matches!(asked, Asked::Node | Asked::NodeStatus);
        if self.asked.iter().any(|(_, asked, _)| *asked == Asked::Register) {
            return;
        }
        self.asked.retain(|(_, asked, _)| !is_node(asked));
        let value = heartbeat::hostname(&self.boot);
        self.set_label(ctx, HOSTNAME.into(), value);
    }

    fn set_label(&mut self, ctx: &mut Context<'_>, key: Name, value: Name) {
        let object = ObjectKey { kind: Kind::Node, namespace: "".into(), name: self.boot.node.clone() };
        let patch = Patch::Label { key, value: Some(value) };
        self.request(ctx, Asked::Node, Request::Patch { key: object, patch });
    }

    pub(super) fn on_answer(&mut self, ctx: &mut Context<'_>, id: RequestId, answer: Answer) {
        let Some(asked) = self.take_asked(id) else { return };
        if let (true, Ok(Reply::Object(Object::Node(node), _))) = (self.statics.is_some(), &answer) {
            self.on_node_uid(ctx, node.meta.uid);
        }
        match (asked, answer) {
            (Asked::Mirror(uid), answer) => self.on_mirror_answer(ctx, uid, answer),
            (Asked::Watch, Ok(Reply::Pods(pods))) => self.on_list(ctx, pods),
            (Asked::Services, Ok(Reply::Services(list))) => {
                if let Some(services) = &mut self.services {
                    services.on_list(list);
                }
            }
            (Asked::Pod(uid), answer) => self.on_pod_answer(ctx, uid, id, answer),
            (Asked::Volume(uid), answer) => {
                if let Some(mounts) = self.mounts.get_mut(&uid) {
                    mounts.on_answer(&answer, ctx.now);
                    self.report_in_use(ctx);
                    self.see_to_volumes(ctx, uid);
                }
            }
            (Asked::Config, answer) => {
                self.configs.on_answer(id, answer);
                self.on_config_read(ctx);
            }
            (Asked::Register, Err(Refusal::AlreadyExists { .. })) => self.look_at_node(ctx),
            (Asked::Node, Ok(Reply::Object(Object::Node(node), _))) => {
                let labels = self.boot.labels.clone();
                let missing = labels.iter().find(|(key, value)| node.meta.labels.get(key) != Some(*value));
                if let Some((key, value)) = missing {
                    self.set_label(ctx, key.clone(), value.clone());
                } else if let Some(node) = heartbeat::status_to_post(&self.boot, self.health(), &node, ctx.now) {
                    let request = Request::UpdateStatus { object: Object::Node(Arc::new(node)), expected: None };
                    self.request(ctx, Asked::NodeStatus, request);
                }
            }
            // A node that was deleted under its kubelet stays deleted until the kubelet starts again.
            _ => {}
        }
    }

    fn on_pod_answer(&mut self, ctx: &mut Context<'_>, uid: Uid, id: RequestId, answer: Answer) {
        let Some(life) = self.pods.get_mut(&uid).filter(|life| life.asked == Some(id)) else { return };
        life.asked = None;
        match answer {
            Ok(Reply::Object(Object::Pod(pod), _)) | Ok(Reply::Deleted(Some(Object::Pod(pod)))) => {
                self.on_pod(ctx, pod);
            }
            Ok(Reply::Deleted(None)) | Err(Refusal::NotFound(_) | Refusal::WrongUid { .. }) => {
                self.on_pod_removed(ctx, uid);
            }
            _ => {}
        }
    }

    // ---- what the API server wants

    fn on_list(&mut self, ctx: &mut Context<'_>, pods: Vec<Object>) {
        let mut gone: Vec<Uid> = self.pods.keys().copied().filter(|uid| !self.is_static(*uid)).collect();
        if self.statics.is_some() {
            let listed: Vec<Uid> = pods.iter().map(Object::uid).collect();
            self.on_mirrors_listed(ctx, &listed);
        }
        for object in pods {
            if let Object::Pod(pod) = object {
                gone.retain(|uid| *uid != pod.meta.uid);
                self.on_pod(ctx, pod);
            }
        }
        for uid in gone {
            self.on_pod_removed(ctx, uid);
        }
    }

    /// A pod is new or has changed.
    pub(super) fn on_pod(&mut self, ctx: &mut Context<'_>, pod: Arc<Pod>) {
        if !self.listed || self.on_mirror(ctx, &pod) {
            return;
        }
        let uid = pod.meta.uid;
        let mut fields_changed = false;
        match self.pods.get_mut(&uid) {
            Some(life) if life.confirmed && life.is_echo(&pod) => {
                life.pod = pod;
                // Nothing has happened since the report was computed: it would come out as it is. What follows the last
                // report of a pod that ends is its deletion.
                if life.asked.is_some() || !(life.news || life.pod.meta.is_terminating()) {
                    debug_assert!(life.asked.is_some() || status::desired(life, ctx.now) == *life.pod.status);
                    return;
                }
            }
            Some(life) => {
                let (old, new) = (&life.pod.meta, &pod.meta);
                fields_changed = (&old.labels, &old.annotations) != (&new.labels, &new.annotations);
                life.take_version(pod);
            }
            None => self.take_on(ctx, pod),
        }
        if fields_changed {
            self.tell_of_fields(ctx, uid);
        }
        let mut adopted = false;
        self.with_pod(ctx, uid, |life, host| {
            if !life.confirmed {
                life.confirm(host);
                // Its containers run, so its volumes are there; which they are has to be found out again.
                adopted = true;
            }
            if life.pod.meta.is_terminating() {
                let grace = life.pod.meta.deletion_grace.unwrap_or(life.pod.spec.termination_grace);
                life.end(grace, true, host);
            }
        });
        if adopted {
            self.take_configs(ctx, uid);
        }
        if adopted
            && let Some(life) = self.pods.get(&uid)
            && let Some(mounts) = Mounts::of(&life.pod, ctx.now, true)
        {
            self.mounts.insert(uid, mounts);
            self.see_to_volumes(ctx, uid);
        }
    }

    // ---- volumes

    /// A ConfigMap or Secret is new or has changed.
    pub(super) fn on_config(&mut self, ctx: &mut Context<'_>, object: Object) {
        let key = object.key();
        if let (Kind::Service, Some(services)) = (key.kind, &mut self.services) {
            return services.on_changed(object);
        }
        self.configs.on_changed(object);
        self.on_config_read(ctx);
        self.set_up_again(ctx, &key);
    }

    /// A ConfigMap or Secret is gone.
    pub(super) fn on_config_removed(&mut self, ctx: &mut Context<'_>, key: &ObjectKey) {
        if let (Kind::Service, Some(services)) = (key.kind, &mut self.services) {
            return services.on_removed(key);
        }
        self.configs.on_removed(key);
        self.set_up_again(ctx, key);
    }

    /// Some of a pod's volumes are there: it begins if it waits for no others.
    pub(super) fn volumes_are_there(&mut self, ctx: &mut Context<'_>, uid: Uid) {
        let waits = self.files.contains_key(&uid) || self.mounts.get(&uid).is_some_and(|mounts| !mounts.is_done());
        let Some(life) = self.pods.get_mut(&uid).filter(|_| !waits) else { return };
        if std::mem::take(&mut life.waits_for_volumes) {
            self.with_pod(ctx, uid, |_, _| {});
        }
    }

    /// Asks for what is to be known next of a pod's volumes, and lets the pod begin when all is there.
    fn see_to_volumes(&mut self, ctx: &mut Context<'_>, uid: Uid) {
        let node = self.boot.node.clone();
        let (Some(mounts), Some(life)) = (self.mounts.get_mut(&uid), self.pods.get_mut(&uid)) else { return };
        if let Some(complaint) = mounts.complaint(&node, &life.pod.meta, ctx.now) {
            ctx.event(life.key(), complaint);
        }
        if mounts.is_done() {
            return self.volumes_are_there(ctx, uid);
        }
        if let Some(question) = mounts.question(&node, ctx.now) {
            mounts.asked = true;
            self.request(ctx, Asked::Volume(uid), question);
        } else if let Some(due) = mounts.due() {
            self.arm_retry(ctx, due);
        }
    }

    /// Tells which volumes the node uses, if that is news. While it is not known what adopted pods use, nothing is told.
    fn report_in_use(&mut self, ctx: &mut Context<'_>) {
        if self.mounts.values().any(|mounts| mounts.adopted && !mounts.is_done()) {
            return;
        }
        let mut in_use: Vec<Name> = self.mounts.values().flat_map(Mounts::in_use).cloned().collect();
        in_use.sort();
        in_use.dedup();
        if in_use != self.in_use {
            self.in_use.clone_from(&in_use);
            let key = ObjectKey { kind: Kind::Node, namespace: "".into(), name: self.boot.node.clone() };
            self.request(ctx, Asked::InUse, Request::Patch { key, patch: Patch::VolumesInUse(in_use) });
        }
    }

    /// The volumes of a pod in which nothing runs any more, or that is gone, are given back.
    fn release_volumes(&mut self, ctx: &mut Context<'_>, uid: Uid) {
        self.give_configs_back(ctx, uid);
        if !self.mounts.is_empty() && self.mounts.remove(&uid).is_some() {
            self.report_in_use(ctx);
        }
    }

    fn take_on(&mut self, ctx: &mut Context<'_>, pod: Arc<Pod>) {
        let uid = pod.meta.uid;
        let mut life = PodLife::new(pod, ctx.now);
        if life.pod.is_finished() {
            life.containers = Box::default();
        } else if let Err(rejection) = self.admit(&mut life) {
            let (reason, message) = (rejection.reason.clone(), rejection.message.clone());
            life.warn_pod(&reason, message.strip_prefix("Pod was rejected: ").unwrap_or(&message), ctx);
            ctx.record(life.key(), What::Rejected { reason, message });
            life.rejection = Some(Box::new(rejection));
            life.containers = Box::default();
        } else {
            life.remember(ctx.now);
            if let Some(mounts) = Mounts::of(&life.pod, ctx.now, false) {
                life.waits_for_volumes = true;
                self.mounts.insert(uid, mounts);
            }
        }
        let begins = !life.containers.is_empty();
        self.pods.insert(uid, Box::new(life));
        if begins {
            self.take_configs(ctx, uid);
            self.begin_files(ctx, uid);
        }
        self.see_to_volumes(ctx, uid);
    }

    fn admit(&mut self, life: &mut PodLife) -> Result<(), admission::Rejection> {
        if !life.pod.meta.is_terminating() {
            if self.shutdown.is_some() {
                let message = "Pod was rejected: Pod was rejected as the node is shutting down.".into();
                return Err(admission::Rejection { reason: "NodeShutdown".into(), message });
            }
            if let Some(why) = self.pressure_refusal(&life.pod) {
                let message = format!("Pod was rejected: {why}").into();
                return Err(admission::Rejection { reason: "Evicted".into(), message });
            }
            admission::admit(&life.pod.spec, &self.used, &self.boot.allocatable)?;
            if admission::has_host_ports(&life.pod.spec) {
                let mut others = self.pods.values().filter(|other| other.counted);
                if others.any(|other| admission::ports_clash(&life.pod.spec, &other.pod.spec)) {
                    return Err(admission::port_taken());
                }
            }
        }
        self.used.add(&admission::requests(&life.pod.spec));
        life.counted = true;
        Ok(())
    }

    /// A pod's object is gone: what is left of it on the node goes too.
    pub(super) fn on_pod_removed(&mut self, ctx: &mut Context<'_>, uid: Uid) {
        if self.on_mirror_removed(ctx, uid) {
            return;
        }
        self.with_pod(ctx, uid, |life, host| {
            life.gone = true;
            let grace = life.pod.meta.deletion_grace.filter(|grace| *grace > Span::ZERO);
            life.end(grace.unwrap_or(life.pod.spec.termination_grace), true, host);
        });
    }

    // ---- what the runtime tells

    pub(super) fn on_runtime(&mut self, ctx: &mut Context<'_>, event: RuntimeEvent) {
        match event {
            RuntimeEvent::Pods(running) => self.on_pods(ctx, running),
            RuntimeEvent::Down => {
                let at = ctx.now + RUNTIME_AWAY_MAX;
                self.runtime_down_at = Some(at);
                self.arm_retry(ctx, at);
            }
            RuntimeEvent::Up => {
                self.runtime_down_at = None;
                self.set_runtime(ctx, Runtime::Up);
            }
            RuntimeEvent::UsageLow => self.on_usage_low(ctx),
            RuntimeEvent::Usage(usage) => self.on_usage(ctx, &usage),
            RuntimeEvent::ShuttingDown => self.on_shutting_down(ctx),
            RuntimeEvent::HookEnded { pod, container, attempt, kind, error } => {
                self.with_container(ctx, pod, container, |life, place, host| {
                    if life.containers[place].attempt == attempt {
                        life.on_hook_ended(place, kind, &error, host);
                    }
                });
            }
            RuntimeEvent::SandboxReady { pod, address } => self.with_pod(ctx, pod, |life, _| life.on_sandbox(address)),
            RuntimeEvent::SandboxFailed { pod, .. } => {
                self.with_pod(ctx, pod, |life, host| life.on_sandbox_failed(host.ctx.now));
            }
            RuntimeEvent::SandboxLost { pod } => self.with_pod(ctx, pod, |life, _| life.on_sandbox_lost()),
            RuntimeEvent::PodRemoved { pod } => self.with_pod(ctx, pod, |life, _| life.on_removed()),
            RuntimeEvent::ImageReady { pod, container, already_present } => {
                self.pulls.finish((pod, container));
                self.with_pod(ctx, pod, |life, host| life.on_image(container, already_present, host));
            }
            RuntimeEvent::ImageFailed { pod, container, reason, message } => {
                self.pulls.finish((pod, container));
                self.with_pod(ctx, pod, |life, host| life.on_image_failed(container, (reason, message), host));
            }
            RuntimeEvent::ContainerFailed { pod, container, attempt, reason, message } => {
                self.with_container(ctx, pod, container, |life, place, host| {
                    life.on_start_failed(place, attempt, (reason, message), host);
                });
            }
            RuntimeEvent::ProbeChanged { pod, container, attempt, kind, passing } => {
                self.with_container(ctx, pod, container, |life, place, host| {
                    if life.containers[place].attempt == attempt {
                        life.on_probe(place, kind, passing, host);
                    }
                });
            }
            RuntimeEvent::ContainerStarted { pod, container, attempt } => {
                self.with_container(ctx, pod, container, |life, place, host| life.on_started(place, attempt, host));
                self.see(ctx, Unseen::Started(pod, container, attempt));
            }
            RuntimeEvent::ContainerExited { pod, container, attempt, exit_code, out_of_memory } => {
                let exit = Exit { code: exit_code, out_of_memory, at: ctx.now };
                self.record_exit(ctx, pod, container, attempt, &exit);
                self.see(ctx, Unseen::Exited(pod, container, attempt, exit));
            }
        }
        self.pump_pulls(ctx);
    }

    fn record_exit(&self, ctx: &mut Context<'_>, pod: Uid, container: ContainerIndex, attempt: u32, exit: &Exit) {
        let Some(life) = self.pods.get(&pod) else { return };
        let Some(place) = life.place(container) else { return };
        if life.containers[place].is_running() && life.containers[place].attempt == attempt {
            let container = life.spec(place).name.clone();
            if exit.out_of_memory {
                ctx.record(life.key(), What::OutOfMemory { container: container.clone() });
            }
            ctx.record(life.key(), What::Exited { container, exit_code: exit.code });
        }
    }

    /// The kubelet sees what it did itself at once, and everything else at its next relist.
    fn see(&mut self, ctx: &mut Context<'_>, event: Unseen) {
        let (Unseen::Started(uid, container, _) | Unseen::Exited(uid, container, ..)) = &event;
        let by_itself = self.pods.get(uid).is_some_and(|life| {
            let stopping = life.place(*container).is_some_and(|place| life.containers[place].stopping.is_some());
            life.ending.is_some() || stopping
        });
        if by_itself || ctx.config.kubelet.relist_period == Span::ZERO {
            return self.show(ctx, event);
        }
        if self.unseen.is_empty() {
            ctx.arm(TimerKind::Relist, next_relist(ctx));
        }
        self.unseen.push(event);
    }

    fn relist(&mut self, ctx: &mut Context<'_>) {
        for event in std::mem::take(&mut self.unseen) {
            self.show(ctx, event);
        }
        self.pump_pulls(ctx);
    }

    fn show(&mut self, ctx: &mut Context<'_>, event: Unseen) {
        match event {
            Unseen::Started(uid, container, attempt) => {
                self.with_container(ctx, uid, container, |life, place, host| life.on_seen(place, attempt, host));
            }
            Unseen::Exited(uid, container, attempt, exit) => {
                self.with_container(ctx, uid, container, |life, place, host| {
                    let how = life.how_it_ended(place, exit.code, exit.out_of_memory, exit.at);
                    life.on_exited(place, attempt, how, host);
                });
            }
        }
    }

    /// What the runtime has when the kubelet starts: containers that run go on running.
    fn on_pods(&mut self, ctx: &mut Context<'_>, running: Vec<RunningPod>) {
        if self.listed {
            return;
        }
        self.listed = true;
        for found in running {
            let mut life = PodLife::adopted(found);
            self.used.add(&admission::requests(&life.pod.spec));
            life.counted = true;
            self.pods.insert(life.uid(), Box::new(life));
        }
        self.begin_statics(ctx);
        self.watch(ctx);
    }

    // ---- the common end of every event

    pub(super) fn host<'a, 'b>(&'a mut self, ctx: &'a mut Context<'b>) -> Host<'a, 'b> {
        Host {
            ctx,
            pulls: &mut self.pulls,
            configs: &self.configs,
            services: self.services.as_deref(),
            boot: &self.boot,
        }
    }

    fn with_container(
        &mut self,
        ctx: &mut Context<'_>,
        uid: Uid,
        container: ContainerIndex,
        change: impl FnOnce(&mut PodLife, usize, &mut Host<'_, '_>),
    ) {
        self.with_pod(ctx, uid, |life, host| {
            if let Some(place) = life.place(container) {
                change(life, place, host);
            }
        });
    }

    /// Changes a pod's row, lets it do the next thing, and reports what is new. News of unknown pods is old news.
    pub(super) fn with_pod(
        &mut self,
        ctx: &mut Context<'_>,
        uid: Uid,
        change: impl FnOnce(&mut PodLife, &mut Host<'_, '_>),
    ) {
        let Some(life) = self.pods.get_mut(&uid) else { return };
        let mut host = Host {
            ctx,
            pulls: &mut self.pulls,
            configs: &self.configs,
            services: self.services.as_deref(),
            boot: &self.boot,
        };
        change(life, &mut host);
        life.advance(&mut host);
        self.pump_pulls(ctx);
        self.settle(ctx, uid);
        if self.pressure.is_some() {
            self.look_at_victim(ctx, uid);
        }
        if self.shutdown.is_some() {
            self.look_at_group(ctx);
        }
    }

    fn pump_pulls(&mut self, ctx: &mut Context<'_>) {
        while let Some((uid, container)) = self.pulls.next(&ctx.config.kubelet) {
            let Some(life) = self.pods.get_mut(&uid) else { continue };
            let mut host = Host {
                ctx,
                pulls: &mut self.pulls,
                configs: &self.configs,
                services: self.services.as_deref(),
                boot: &self.boot,
            };
            if life.begin_pull(container, &mut host) {
                self.pulls.begin((uid, container));
            } else if life.place(container).is_some() {
                life.advance(&mut host);
                self.settle(ctx, uid);
            }
        }
    }

    /// Gives back what an ended pod took, forgets a pod that is gone everywhere, and reports what is new.
    fn settle(&mut self, ctx: &mut Context<'_>, uid: Uid) {
        if self.pods.get(&uid).is_some_and(|life| life.is_settled()) {
            self.release_volumes(ctx, uid);
        }
        let Some(life) = self.pods.get_mut(&uid) else { return };
        if life.counted && life.is_settled() {
            life.counted = false;
            self.used.subtract(&admission::requests(&life.pod.spec));
            self.used.pods -= 1;
        }
        if life.gone && life.is_removed() {
            self.release_volumes(ctx, uid);
            self.pods.remove(&uid);
            return ctx.disarm(TimerKind::Pod(uid));
        }
        if self.statics.is_some() && self.is_static(uid) {
            return self.reflect(ctx, uid);
        }
        let Some(life) = self.pods.get_mut(&uid) else { return };
        if life.gone || life.asked.is_some() || life.is_in_first_sync() || life.is_starting_again() {
            life.news = true;
            return;
        }
        life.news = false;
        let status = status::desired(life, ctx.now);
        let request = if status != *life.pod.status {
            let Pod { meta, spec, own, node, status: _ } = &*life.pod;
            let status = Shared::new(status);
            let (own, node) = (own.clone(), node.clone());
            let pod = Pod { meta: meta.clone(), spec: spec.clone(), own, node, status: status.clone() };
            life.said = Some(status);
            let object = Object::Pod(Arc::new(pod));
            Request::UpdateStatus { object, expected: None }
        } else if life.pod.meta.is_terminating() && life.is_removed() && !life.delete_asked {
            life.delete_asked = true;
            let propagation = Propagation::Background;
            Request::Delete { key: life.key(), uid: Some(uid), grace: Some(Span::ZERO), propagation }
        } else {
            return;
        };
        let id = self.request(ctx, Asked::Pod(uid), request);
        if let Some(life) = self.pods.get_mut(&uid) {
            life.asked = Some(id);
        }
    }
}

/// The first relist after now; each host's relists have a phase of their own.
fn next_relist(ctx: &Context<'_>) -> Time {
    let period = ctx.config.kubelet.relist_period;
    let phase = span_below(draw(ctx.seed(), Purpose::RelistPhase, u64::from(ctx.me.index()), 0), period);
    let passed = (ctx.now + period).since(Time::ZERO + phase).0 / period.0;
    Time::ZERO + phase + Span(passed * period.0)
}

impl PodLife {
    /// How a container ended, for its status.
    fn how_it_ended(&self, place: usize, exit_code: i32, out_of_memory: bool, finished_at: Time) -> Terminated {
        let reason = match (out_of_memory, exit_code) {
            (true, _) => "OOMKilled",
            (false, 0) => "Completed",
            (false, _) => "Error",
        };
        let started_at = match self.containers[place].doing {
            Doing::Running(since) => since,
            _ => finished_at,
        };
        Terminated { exit_code, reason: reason.into(), started_at, finished_at }
    }
}
