//! What is said about nodes and their pods.
//!
//! Source: pkg/controller/nodelifecycle/node_lifecycle_controller.go, pkg/controller/util/node/controller_utils.go
//! (v1.34.1).

use crate::context::Context;
use crate::events::Event;
use crate::id::{Name, Uid};
use crate::model::{Kind, Node, ObjectKey, Pod};

/// How this controller names itself in events.
const REPORTER: &str = "node-controller";

/// A node is new to the controller.
pub(super) fn registered(ctx: &mut Context<'_>, node: &Node) {
    let name = &node.meta.name;
    let message = format!("Node {name} event: Registered Node {name} in Controller");
    ctx.event(
        ObjectKey::new(Kind::Node, "", name),
        Event::normal(REPORTER, "RegisteredNode", message).about(&node.meta),
    );
}

/// A node is gone.
pub(super) fn removing(ctx: &mut Context<'_>, name: &Name, uid: Uid) {
    let message = format!("Node {name} event: Removing Node {name} from Controller");
    let event = Event { uid: Some(uid), ..Event::normal(REPORTER, "RemovingNode", message) };
    ctx.event(ObjectKey::new(Kind::Node, "", name), event);
}

/// A node has ceased to be ready.
pub(super) fn not_ready(ctx: &mut Context<'_>, node: &Node) {
    let message = format!("Node {} status is now: NodeNotReady", node.meta.name);
    let event = Event::normal(REPORTER, "NodeNotReady", message).about(&node.meta);
    ctx.event(ObjectKey::new(Kind::Node, "", &node.meta.name), event);
}

/// A pod was marked not ready because of its node, or should have been.
pub(super) fn pod_not_ready(ctx: &mut Context<'_>, pod: &Pod) {
    let event = Event::warning(REPORTER, "NodeNotReady", "Node is not ready").about(&pod.meta);
    ctx.event(ObjectKey::new(Kind::Pod, &pod.meta.namespace, &pod.meta.name), event);
}
