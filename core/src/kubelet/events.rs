//! Kubernetes events of kubelets.
//!
//! Source: pkg/kubelet/events/event.go and the call sites of the recorder in pkg/kubelet (v1.34.1). Absent on purpose:
//! how long a pull took and how large the image is, which the runtime does not tell; what a failing probe has said; and
//! the failures of a probe that change nothing, since runtimes tell of changes only.

use crate::context::Context;
use crate::events::{Event, FieldPath};
use crate::id::Name;
use crate::kubelet::ContainerIndex;
use crate::kubelet::pod_life::{Host, PodLife};
use crate::kubelet::row::Row;

/// How kubelets name themselves in events.
const REPORTER: &str = "kubelet";

impl PodLife {
    /// Says something about a container in the nature of things.
    pub(super) fn say(&self, place: usize, reason: &'static str, message: String, host: &mut Host<'_, '_>) {
        let event = Event::normal(REPORTER, reason, message).at_field(self.field_path(place));
        self.say_event(event, host.ctx);
    }

    /// Says that something is amiss with a container.
    pub(super) fn warn(&self, place: usize, reason: &'static str, message: String, host: &mut Host<'_, '_>) {
        let event = Event::warning(REPORTER, reason, message).at_field(self.field_path(place));
        self.say_event(event, host.ctx);
    }

    /// Says that something is amiss with the pod as a whole.
    pub(super) fn warn_pod(&self, reason: &Name, message: &str, ctx: &mut Context<'_>) {
        let message = message.to_owned();
        // A pod that has used up its time is nothing amiss to the kubelet.
        let event = match &**reason {
            "DeadlineExceeded" => Event::normal(REPORTER, "", message),
            _ => Event::warning(REPORTER, "", message),
        };
        let event = Event { reason: reason.to_string().into(), ..event };
        self.say_event(event, ctx);
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
    /// Says something about the node.
    pub(super) fn say_of_node(&self, ctx: &mut Context<'_>, reason: &'static str, message: String) {
        let event = Event::normal(REPORTER, reason, message).on_host(&self.node_name());
        ctx.event(self.node_key(), event);
    }

    /// Says that the node runs short and something is done about it.
    pub(super) fn warn_of_reclaim(&self, ctx: &mut Context<'_>, resource: &'static str) {
        let message = format!("Attempting to reclaim {resource}");
        let event = Event::warning(REPORTER, "EvictionThresholdMet", message).on_host(&self.node_name());
        ctx.event(self.node_key(), event);
    }
}
