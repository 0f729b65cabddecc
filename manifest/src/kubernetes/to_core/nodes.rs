//! Nodes: what they have, say and repel.

use std::sync::Arc;

use k8s_openapi::api::core::v1 as api;
use wavetank_core::model::{ConditionKind, Meta, Node, NodeImage, NodeSpec, NodeStatus, Status3, Taint, TaintEffect};
use wavetank_core::time::Time;

use super::resources;
use crate::kubernetes::parts::{name, optional};

pub(super) fn node(meta: Meta, object: &api::Node) -> Node {
    let spec = object.spec.as_ref();
    let mut node = Node { meta, ..Node::default() };
    node.spec = NodeSpec {
        unschedulable: spec.and_then(|spec| spec.unschedulable).unwrap_or(false),
        taints: spec.and_then(|spec| spec.taints.as_ref()).into_iter().flatten().map(taint).collect(),
    };
    let Some(status) = &object.status else { return node };
    node.status = NodeStatus {
        capacity: resources(status.capacity.as_ref()),
        allocatable: resources(status.allocatable.as_ref().or(status.capacity.as_ref())),
        images: node_images(status.images.as_deref().unwrap_or_default()),
        ..NodeStatus::default()
    };
    let addresses = status.addresses.iter().flatten();
    node.status.address = addresses.filter(|it| it.type_ == "InternalIP").map(|it| name(&it.address)).next();
    for condition in status.conditions.iter().flatten() {
        let kind = match condition.type_.as_str() {
            "Ready" => ConditionKind::Ready,
            "MemoryPressure" => ConditionKind::MemoryPressure,
            "DiskPressure" => ConditionKind::DiskPressure,
            "PIDPressure" => ConditionKind::PidPressure,
            "NetworkUnavailable" => ConditionKind::NetworkUnavailable,
            _ => continue,
        };
        let (reason, message) = (optional(condition.reason.as_ref()), optional(condition.message.as_ref()));
        node.status.conditions.set(kind, status3(&condition.status), &reason, &message, Time::ZERO);
    }
    node
}

pub(super) fn node_images(images: &[api::ContainerImage]) -> Option<Arc<[NodeImage]>> {
    let image = |image: &api::ContainerImage| NodeImage {
        names: image.names.iter().flatten().map(|text| name(text)).collect(),
        size_bytes: image.size_bytes.unwrap_or(0),
    };
    (!images.is_empty()).then(|| images.iter().map(image).collect())
}

pub(super) fn status3(text: &str) -> Status3 {
    match text {
        "True" => Status3::True,
        "False" => Status3::False,
        _ => Status3::Unknown,
    }
}

pub(super) fn taint(taint: &api::Taint) -> Taint {
    Taint {
        key: name(&taint.key),
        value: optional(taint.value.as_ref()),
        effect: effect(&taint.effect),
        added_at: None,
    }
}

pub(super) fn effect(text: &str) -> TaintEffect {
    match text {
        "NoSchedule" => TaintEffect::NoSchedule,
        "PreferNoSchedule" => TaintEffect::PreferNoSchedule,
        "NoExecute" => TaintEffect::NoExecute,
        other => unreachable!("effect {other} is refused by validation"),
    }
}
