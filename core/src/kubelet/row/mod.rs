//! One host's kubelet while it runs: its pods, its requests under way, and what its relist has yet to show it.
//!
//! Invariant: at most one request per pod is under way, and the newest status wins: an answer is followed by a look at
//! whether there is more to say. A request without an answer is made anew after the timeout, from what is known then.
//! Invariant: pods are neither started nor stopped before the runtime has said what it has and the API server has
//! listed the node's pods.
//!
//! Here are its beginning and end, its timers and its node; [`lives`] is the list of its pods, [`pods`], [`needs`],
//! [`requests`] and [`runtime`] have the rest.

mod lives;
mod needs;
mod pods;
mod requests;
mod runtime;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::api::{Patch, Request};
use crate::context::Context;
use crate::draw::{Draws, Purpose, span_below};
use crate::id::{HostId, Name, ProcId, RequestId, Uid};
use crate::kubelet::configs::Configs;
use crate::kubelet::files::FileMounts;
use crate::kubelet::heartbeat::{HOSTNAME, Heartbeat, LeaseClock, Runtime};
use crate::kubelet::images::Pulls;
use crate::kubelet::pressure::Pressure;
use crate::kubelet::row::lives::Lives;
use crate::kubelet::row::runtime::Unseen;
use crate::kubelet::services::Services;
use crate::kubelet::shutdown::Shutdown;
use crate::kubelet::static_pods::Statics;
use crate::kubelet::volumes::Mounts;
use crate::kubelet::{Boot, RuntimeRequest, heartbeat, preemption};
use crate::model::{Kind, Node, NodeStatus, Object, ObjectKey, Resources, Taint};
use crate::seam::{Msg, TimerKind};
use crate::time::{Span, Time};

pub(super) use requests::{Asked, PodNews};

/// First back-off of a watch that has broken, before jitter of up to as much again.
///
/// Source: `NewReflectorWithOptions`, staging/src/k8s.io/client-go/tools/cache/reflector.go (v1.34.1).
const REFLECTOR_BACKOFF: Span = Span::from_millis(800);

/// A running kubelet. A large cluster has so many that few are in the processor's cache when a message comes, so what
/// every message reads stands first and together.
#[repr(C, align(64))]
pub(super) struct Row {
    pub(super) boot: Arc<Boot>,
    pub(super) pods: Lives,
    /// Only on hosts with static pods.
    pub(super) statics: Option<Box<Statics>>,
    /// Requests under way, by number.
    asked: Vec<(RequestId, Asked, Time)>,
    requests: u64,
    clock: LeaseClock,
    /// Only while the node runs short of something.
    pub(super) pressure: Option<Box<Pressure>>,
    /// Only while the machine shuts down.
    pub(super) shutdown: Option<Box<Shutdown>>,
    /// The Services, if containers are told of them.
    services: Option<Box<Services>>,
    retry_armed: Option<Time>,
    /// News of pods that wait until the kubelet has seen its node, which it goes by; `None` once it has.
    early: Option<Vec<PodNews>>,
    /// The runtime has said what it has.
    listed: bool,
    runtime: Runtime,
    /// Whether the node was cordoned when its kubelet last made its status.
    pub(super) cordoned: bool,
    pulls: Pulls,
    /// Container events that the next relist will show, in order.
    unseen: Vec<Unseen>,
    /// The pods that wait for files of ConfigMaps and Secrets.
    pub(super) files: BTreeMap<Uid, FileMounts>,
    /// The volumes of pods with claims.
    mounts: BTreeMap<Uid, Mounts>,
    /// The node as the API server last showed it.
    node: Option<Arc<Node>>,
    /// What the pods that were admitted and have not ended take.
    used: Resources,
    /// The machine was switched on again, for so many times by now, and the node has yet to tell of it.
    pub(super) reboot: Option<u64>,
    heartbeat: Option<Box<Heartbeat>>,
    /// The ConfigMaps and Secrets that pods name.
    pub(super) configs: Configs,
    /// The volumes that the node was last told to be in use.
    in_use: Vec<Name>,
    /// When to list and watch the node's pods (again).
    watch_at: Option<Time>,
    reconnections: u64,
    /// When a runtime that is away is taken to be down.
    runtime_down_at: Option<Time>,
    /// The critical pods for which others make room.
    pub(super) room: Vec<preemption::Waiting>,
}

impl Row {
    /// A kubelet that starts; `start` counts its earlier starts.
    pub(super) fn start(ctx: &mut Context<'_>, boot: Arc<Boot>, start: u64, exact: bool) -> Row {
        let clock = LeaseClock { host: HostId(ctx.me.index()), started: ctx.now, start };
        let statics = Statics::of(&boot);
        let mut row = Row {
            boot,
            node: None,
            early: Some(Vec::new()),
            cordoned: false,
            reboot: None,
            clock,
            heartbeat: None,
            pods: Lives::default(),
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
            room: Vec::new(),
        };
        row.say_of_start(ctx);
        row.host(ctx).ask(RuntimeRequest::List);
        row.watch_usage(ctx);
        row.register(ctx);
        row.set_exact(ctx, exact);
        row
    }

    /// Ends the kubelet: its timers go, its containers stay.
    pub(super) fn stop(self, ctx: &mut Context<'_>) {
        self.fall_silent(ctx);
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
        for uid in self.pods.uids() {
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
    pub(super) fn health(&self) -> heartbeat::Health {
        let shutting_down = self.shutdown.is_some();
        heartbeat::Health { runtime: self.runtime, pressure: self.pressure_conditions(), shutting_down }
    }

    /// Registers the node.
    fn register(&mut self, ctx: &mut Context<'_>) {
        self.say_of_status(ctx, &NodeStatus::default());
        let node = Object::Node(Arc::new(self.node_to_register(ctx.now)));
        self.request(ctx, Asked::Register, Request::Create(node));
    }

    /// The node as this kubelet would make it.
    fn node_to_register(&self, now: Time) -> Node {
        heartbeat::new_node(&self.boot, self.health(), now)
    }

    /// The node's taints; those that it is registered with while the API server has not shown it.
    fn taints(&self) -> &[Taint] {
        self.node.as_ref().map_or(&self.boot.taints, |node| &node.spec.taints)
    }

    /// Others have changed the node.
    pub(super) fn on_node_changed(&mut self, ctx: &mut Context<'_>, node: Arc<Node>) {
        self.say_of_cordon(ctx, &node);
        self.node = Some(node);
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
}
