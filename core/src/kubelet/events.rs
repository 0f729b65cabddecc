//! Kubernetes events of kubelets.
//!
//! Source: pkg/kubelet/events/event.go and the call sites of the recorder in pkg/kubelet (v1.34.1).

use std::fmt;

use crate::context::Context;
use crate::draw::{Purpose, draw_uid};
use crate::events::{Event, FieldPath, Repeats, Text};
use crate::kubelet::pod_life::{BackOff, Host, PodLife};
use crate::kubelet::row::Row;
use crate::kubelet::{ContainerIndex, image_gc};
use crate::model::{ConditionKind, Node, NodeStatus, Status3};

/// How kubelets name themselves in events.
const REPORTER: &str = "kubelet";

impl PodLife {
    /// Says something about a container in the nature of things.
    pub(super) fn say(&self, place: usize, reason: &'static str, message: fmt::Arguments<'_>, host: &mut Host<'_, '_>) {
        if host.ctx.says_events() {
            let event = Event::normal(REPORTER, reason, message.to_string()).at_field(self.field_path(place));
            self.say_event(event, host.ctx);
        }
    }

    /// Says that something is amiss with a container.
    pub(super) fn warn(
        &self,
        place: usize,
        reason: &'static str,
        message: fmt::Arguments<'_>,
        host: &mut Host<'_, '_>,
    ) {
        if host.ctx.says_events() {
            let event = Event::warning(REPORTER, reason, message.to_string()).at_field(self.field_path(place));
            self.say_event(event, host.ctx);
        }
    }

    /// Says that tries of a probe fail, or that none of those that begin to be told so is made any more.
    pub(super) fn say_unhealthy(&self, place: usize, message: String, repeats: Repeats, host: &mut Host<'_, '_>) {
        let event = Event::warning(REPORTER, "Unhealthy", message);
        self.say_event(event.at_field(self.field_path(place)).repeated(repeats), host.ctx);
    }

    /// Says that a container is held back, or that it is so no more.
    pub(super) fn say_back_off(&self, place: usize, of: BackOff, repeats: Repeats, host: &mut Host<'_, '_>) {
        if !host.ctx.says_events() {
            return;
        }
        let path = self.field_path(place);
        let mut say = |event: Event, message: String| {
            // An end holds for whatever image it was.
            let message = if repeats == Repeats::Over { String::new() } else { message };
            let event = Event { message: message.into(), ..event };
            self.say_event(event.at_field(path.clone()).repeated(repeats), host.ctx);
        };
        match of {
            BackOff::Start => {
                let (name, pod) = (&self.spec(place).name, self.full_name());
                let message = format!("Back-off restarting failed container {name} in pod {pod}");
                say(Event::warning(REPORTER, "BackOff", ""), message);
            }
            BackOff::Pull => {
                let message = format!("Back-off pulling image \"{}\"", self.image_of(place));
                say(Event::normal(REPORTER, "BackOff", ""), message);
                say(Event::warning(REPORTER, "Failed", ""), "Error: ImagePullBackOff".to_owned());
            }
        }
    }

    /// Says something about the pod as a whole in the nature of things.
    pub(super) fn say_of_pod(&self, reason: &'static str, message: &'static str, ctx: &mut Context<'_>) {
        self.say_event(Event::normal(REPORTER, reason, message), ctx);
    }

    /// Says that something is amiss with the pod as a whole.
    pub(super) fn warn_pod(&self, reason: impl Into<Text>, message: String, ctx: &mut Context<'_>) {
        let reason = reason.into();
        // A pod that has used up its time is nothing amiss to the kubelet.
        let event = match &*reason {
            "DeadlineExceeded" => Event::normal(REPORTER, "", message),
            _ => Event::warning(REPORTER, "", message),
        };
        self.say_event(Event { reason, ..event }, ctx);
    }

    fn say_event(&self, event: Event, ctx: &mut Context<'_>) {
        let node = self.pod.node.clone().unwrap_or_default();
        ctx.event(self.key(), event.about(&self.pod.meta).on_host(&node));
    }

    fn field_path(&self, place: usize) -> FieldPath {
        let name = self.spec(place).name.clone();
        match self.index(place) {
            ContainerIndex::Init(_) => FieldPath::InitContainer(name),
            ContainerIndex::Main(_) => FieldPath::Container(name),
        }
    }
}

impl Row {
    /// What a kubelet says as it starts. The image collector looks at once, before there are figures of the disk.
    ///
    /// Source: `BirthCry`, `StartGarbageCollection`, pkg/kubelet/kubelet.go; `enforceNodeAllocatableCgroups`,
    /// pkg/kubelet/cm/node_container_manager_linux.go (v1.34.1).
    pub(super) fn say_of_start(&self, ctx: &mut Context<'_>) {
        self.say_of_node(ctx, "Starting", "Starting kubelet.");
        if image_gc::is_on(&ctx.config.kubelet.image_gc) {
            self.warn_of_node(ctx, "InvalidDiskCapacity", "invalid capacity 0 on image filesystem");
        }
        self.say_of_node(ctx, "NodeAllocatableEnforced", "Updated Node Allocatable limit across pods");
    }

    /// What a kubelet says as it makes the node's status anew: the pressure that is not what the stored status says,
    /// and the readiness that has changed. A status that says nothing of readiness is that of a new node.
    ///
    /// Source: `MemoryPressureCondition`, `DiskPressureCondition`, `PIDPressureCondition`, `ReadyCondition`,
    /// pkg/kubelet/nodestatus/setters.go (v1.34.1).
    pub(super) fn say_of_status(&self, ctx: &mut Context<'_>, before: &NodeStatus) {
        use ConditionKind::{DiskPressure, MemoryPressure, PidPressure, Ready};
        let health = self.health();
        let [memory, disk, pids] = health.pressure;
        for (kind, holds, bad, good) in [
            (MemoryPressure, memory, "NodeHasInsufficientMemory", "NodeHasSufficientMemory"),
            (DiskPressure, disk, "NodeHasDiskPressure", "NodeHasNoDiskPressure"),
            (PidPressure, pids, "NodeHasInsufficientPID", "NodeHasSufficientPID"),
        ] {
            let status = if holds { Status3::True } else { Status3::False };
            if before.conditions.get(kind).map(|it| it.status) != Some(status) {
                self.say_of_state(ctx, if holds { bad } else { good });
            }
        }
        let status = if health.is_ready() { Status3::True } else { Status3::False };
        if before.conditions.get(Ready).is_some_and(|it| it.status != status) {
            self.say_of_state(ctx, if health.is_ready() { "NodeReady" } else { "NodeNotReady" });
        }
    }

    /// Says that the node has been cordoned or is so no more.
    ///
    /// Source: `recordNodeSchedulableEvent`, pkg/kubelet/kubelet_node_status.go (v1.34.1). A kubelet says it with its
    /// next look at the node's status, up to 10 s later; here it says it at once.
    pub(super) fn say_of_cordon(&mut self, ctx: &mut Context<'_>, node: &Node) {
        let cordoned = node.spec.unschedulable;
        if std::mem::replace(&mut self.cordoned, cordoned) != cordoned {
            self.say_of_state(ctx, if cordoned { "NodeNotSchedulable" } else { "NodeSchedulable" });
        }
    }

    /// Says that the machine of a node that was there before has been switched on again.
    ///
    /// Source: `MachineInfo`, pkg/kubelet/nodestatus/setters.go (v1.34.1).
    pub(super) fn say_of_reboot(&mut self, ctx: &mut Context<'_>) {
        let Some(reboot) = self.reboot.take() else { return };
        let boot_id = draw_uid(ctx.seed(), Purpose::BootId, u64::from(ctx.me.index()), 2 * reboot);
        let message = format!("Node {} has been rebooted, boot id: {boot_id}", self.boot.node);
        self.warn_of_node(ctx, "Rebooted", message);
    }

    fn say_of_state(&self, ctx: &mut Context<'_>, reason: &'static str) {
        self.say_of_node(ctx, reason, format!("Node {} status is now: {reason}", self.boot.node));
    }

    /// Says something about the node.
    pub(super) fn say_of_node(&self, ctx: &mut Context<'_>, reason: &'static str, message: impl Into<Text>) {
        let event = Event::normal(REPORTER, reason, message).on_host(&self.boot.node);
        ctx.event(self.node_key(), event);
    }

    /// Says that something is amiss with the node.
    pub(super) fn warn_of_node(&self, ctx: &mut Context<'_>, reason: &'static str, message: impl Into<Text>) {
        let event = Event::warning(REPORTER, reason, message).on_host(&self.boot.node);
        ctx.event(self.node_key(), event);
    }

    /// A kubelet that ends says nothing more.
    pub(super) fn fall_silent(&self, ctx: &mut Context<'_>) {
        if self.pods.in_order().any(|life| life.repeats_something(ctx.now)) {
            let event = Event::normal(REPORTER, "", "").on_host(&self.boot.node);
            ctx.event(self.node_key(), event.repeated(Repeats::AllOver));
        }
    }

    /// Says that the node runs short and something is done about it.
    pub(super) fn warn_of_reclaim(&self, ctx: &mut Context<'_>, resource: &'static str) {
        self.warn_of_node(ctx, "EvictionThresholdMet", format!("Attempting to reclaim {resource}"));
    }
}
