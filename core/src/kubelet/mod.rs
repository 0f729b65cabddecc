//! The kubelet: what a node does with the pods bound to it.
//!
//! One row per host; the same functions serve 10⁵ simulated nodes and the single row of a real node's agent. Containers
//! live in the world: the kubelet sends [`RuntimeRequest`]s and hears of [`RuntimeEvent`]s, and never learns whether a
//! simulator or a container engine answers.
//!
//! Invariant: what a kubelet holds in memory dies with it; only who the host is ([`Boot`]), how often its kubelet has
//! started, and how its renewals travel stay. Absent on purpose: the client's rate limit of
//! 50 requests per second, which a single node's pods do not reach.

mod admission;
mod adoption;
mod backoff;
mod configs;
mod ending;
mod events;
mod eviction;
mod files;
mod heartbeat;
mod hooks;
mod image_gc;
mod images;
mod pod_life;
mod preemption;
mod pressure;
mod probe;
mod replacing;
mod row;
mod services;
mod shutdown;
mod static_pods;
mod status;
#[cfg(test)]
mod tests;
mod values;
mod volumes;

use std::sync::Arc;

pub use crate::seam::{
    Boot, ContainerConfig, ContainerIndex, ContainerUsage, HookKind, ImageSize, ImageUsage, MountedFile, NodeUsage,
    PodUsage, ProbeKind, RunningContainer, RunningPod, RuntimeEvent, RuntimeRequest, Supply, UsageLevels,
};
pub use heartbeat::LeaseClock;
pub use probe::{ProbeTally, first_try};

use crate::config::Heartbeats;
use crate::context::Context;
use crate::id::{HostId, ProcId};
use crate::seam::{Msg, TimerKind};
use row::{PodNews, Row};

/// The kubelets of this core, one row per host.
#[derive(Default)]
pub struct Kubelets {
    hosts: Vec<HostRow>,
}

/// A host, with a kubelet or without.
#[derive(Default)]
struct HostRow {
    boot: Option<Arc<Boot>>,
    starts: u64,
    /// How often the machine has been switched on again, and of which of these times a kubelet has told.
    reboots: u64,
    reboots_told: u64,
    /// What the world last said about this host's renewals; `None` is the setting of the whole cluster.
    exact: Option<bool>,
    kubelet: Option<Row>,
}

impl Kubelets {
    /// No kubelets.
    pub fn new() -> Kubelets {
        Kubelets::default()
    }

    /// What a host's lease renewals are computed from; `None` while its kubelet does not run.
    pub fn lease_clock(&self, host: HostId) -> Option<LeaseClock> {
        self.running(host).map(Row::lease_clock)
    }

    /// How many pods a host's kubelet has in hand; `None` while it does not run.
    pub fn pod_count(&self, host: HostId) -> Option<usize> {
        self.running(host).map(Row::pod_count)
    }

    /// A kubelet's process has started. Panics if its host has not been introduced with [`Msg::Boot`].
    pub fn start(&mut self, ctx: &mut Context<'_>) {
        let host = self.host(ctx.me);
        assert!(host.kubelet.is_none(), "{} has started twice", ctx.me);
        let Some(boot) = host.boot.clone() else { panic!("{} started before its host was introduced", ctx.me) };
        let exact = host.exact.unwrap_or(ctx.config.heartbeats == Heartbeats::Exact);
        let mut row = Row::start(ctx, boot, host.starts, exact);
        row.reboot = (host.reboots > host.reboots_told).then_some(host.reboots);
        host.kubelet = Some(row);
        host.starts += 1;
    }

    /// A kubelet's process has died. Its containers go on.
    pub fn crash(&mut self, ctx: &mut Context<'_>) {
        let host = self.host(ctx.me);
        if let Some(row) = host.kubelet.take() {
            if row.reboot.is_none() {
                host.reboots_told = host.reboots;
            }
            row.stop(ctx);
        }
    }

    /// A message to a kubelet. One that arrives while it does not run is lost, but for what the world says of the host.
    pub fn on_message(&mut self, ctx: &mut Context<'_>, from: ProcId, body: Msg) {
        let host = self.host(ctx.me);
        match body {
            Msg::Boot(boot) => return host.boot = Some(boot),
            Msg::Heartbeats { exact } => host.exact = Some(exact),
            Msg::Rebooted => return host.reboots += 1,
            _ => {}
        }
        let Some(row) = &mut host.kubelet else { return };
        match body {
            Msg::Heartbeats { exact } => row.set_exact(ctx, exact),
            Msg::PodChanged(pod) => row.on_pod_news(ctx, PodNews::Changed(pod)),
            Msg::PodRemoved(uid) => row.on_pod_news(ctx, PodNews::Removed(uid)),
            Msg::ConfigChanged(object) => row.on_config(ctx, object),
            Msg::ConfigRemoved(key) => row.on_config_removed(ctx, &key),
            Msg::Response(id, answer) => row.on_answer(ctx, id, answer),
            Msg::RuntimeEvent(event) => row.on_runtime(ctx, event),
            Msg::Reconnected => row.on_reconnected(ctx),
            Msg::NodeChanged(node) => row.on_node_changed(ctx, node),
            other => panic!("{from} sent a kubelet what only others understand: {other:?}"),
        }
    }

    /// A kubelet's timer.
    pub fn on_timer(&mut self, ctx: &mut Context<'_>, kind: TimerKind) {
        if let Some(row) = &mut self.host(ctx.me).kubelet {
            row.on_timer(ctx, kind);
        }
    }

    fn running(&self, host: HostId) -> Option<&Row> {
        self.hosts.get(host.0 as usize)?.kubelet.as_ref()
    }

    fn host(&mut self, kubelet: ProcId) -> &mut HostRow {
        let place = kubelet.index() as usize;
        if self.hosts.len() <= place {
            self.hosts.resize_with(place + 1, HostRow::default);
        }
        &mut self.hosts[place]
    }
}
