//! A random cluster: its nodes, its storage, and how they change.

use std::sync::Arc;

use proptest::prelude::*;

use super::{CLASSES, HOSTNAME, ZONE, check_details};
use crate::id::RowId;
use crate::model::{
    BIND_COMPLETED, BindingMode, CSINode, ClaimSpec, CsiNodeDriver, Labels, Meta, NO_PROVISIONER, Node, NodeImage,
    NodeSpec, NodeStatus, Object, PersistentVolume, PersistentVolumeClaim, Pod, Resources, SelectorOperator,
    SelectorRequirement, Service, StorageClass, Taint, TaintEffect, VolumePhase, VolumeSource,
};
use crate::scheduler::explain::Detail;
use crate::scheduler::placement::Placement;

/// One change of the cluster. Numbers choose among what there is.
#[derive(Clone, Debug)]
pub(in crate::scheduler::tests) enum Step {
    SetNode(Shape),
    /// A volume of a zone is there for claims, or is taken.
    SetVolume {
        zone: u8,
        free: bool,
    },
    RemoveNode {
        name: u8,
    },
    Place {
        class: u8,
    },
    RemovePod {
        number: u16,
    },
}

/// What a node is like.
#[derive(Clone, Copy, Debug)]
pub(in crate::scheduler::tests) struct Shape {
    name: u8,
    cpu_milli: i64,
    memory_bytes: i64,
    pods: i64,
    zone: u8,
    taint: u8,
    cordoned: bool,
    disk: u8,
}

pub(in crate::scheduler::tests) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => shape().prop_map(Step::SetNode),
        1 => (0..24_u8).prop_map(|name| Step::RemoveNode { name }),
        8 => (0..CLASSES).prop_map(|class| Step::Place { class }),
        3 => any::<u16>().prop_map(|number| Step::RemovePod { number }),
        2 => (0..3_u8, any::<bool>()).prop_map(|(zone, free)| Step::SetVolume { zone, free }),
    ]
}

fn shape() -> impl Strategy<Value = Shape> {
    (0..24_u8, 0..5_i64, 0..5_i64, 0..6_i64, 0..4_u8, 0..6_u8, 0..8_u8, 0..4_u8).prop_map(
        |(name, cpu, memory, pods, zone, taint, cordoned, disk)| Shape {
            name,
            cpu_milli: cpu * 1_000,
            memory_bytes: memory << 30,
            pods,
            zone,
            taint,
            cordoned: cordoned == 0,
            disk,
        },
    )
}

fn node(shape: Shape) -> Node {
    let Shape { name, cpu_milli, memory_bytes, pods, zone, taint, cordoned, disk } = shape;
    let mut meta = Meta::named("", &format!("n{name}"));
    meta.labels = Labels::new([(HOSTNAME.to_string(), format!("n{name}")), ("disk".to_string(), format!("d{disk}"))]);
    if zone < 3 {
        meta.labels = meta.labels.with(ZONE, format!("z{zone}"));
    }
    let effect = [TaintEffect::NoSchedule, TaintEffect::PreferNoSchedule, TaintEffect::PreferNoSchedule];
    let taints = effect.into_iter().take(usize::from(taint.saturating_sub(2)));
    let taints = taints.zip(["x", "y", "z"]).skip(usize::from(taint == 4)).map(|(effect, key)| Taint {
        key: key.into(),
        value: "".into(),
        effect,
        added_at: None,
    });
    let mut allocatable = Resources { cpu_milli, memory_bytes, pods, ..Resources::default() };
    if disk == 1 {
        allocatable.extended.insert("example.com/gpu".into(), 2);
    }
    let image = NodeImage { names: vec!["web:latest".into()], size_bytes: 300 << 20 };
    let images = (disk > 1).then(|| vec![image].into());
    Node {
        meta,
        spec: NodeSpec { unschedulable: cordoned, taints: taints.collect() },
        status: NodeStatus { allocatable, images, ..NodeStatus::default() },
    }
}

pub(super) fn zonal(name: &str, zone: &str, free: bool) -> PersistentVolume {
    let (operator, values) = (SelectorOperator::In, vec![zone.into()]);
    let mut volume =
        PersistentVolume { meta: Meta::named("", name), storage_class: "late".into(), ..PersistentVolume::default() };
    volume.node_affinity = Some(vec![vec![SelectorRequirement { key: ZONE.into(), operator, values }]]);
    volume.source = VolumeSource::Csi { driver: "csi".into(), handle: name.into(), read_only: false };
    volume.status.phase = if free { VolumePhase::Available } else { VolumePhase::Bound };
    volume
}

/// What the classes with volumes need: one node can have one volume of the driver.
pub(in crate::scheduler::tests) fn set_storage(placement: &mut Placement) {
    let claim = |name: &str| PersistentVolumeClaim {
        meta: Meta::named("default", name),
        spec: ClaimSpec { storage_class: Some("late".into()), ..ClaimSpec::default() },
        ..PersistentVolumeClaim::default()
    };
    let mut bound = claim("bound");
    bound.spec.volume = "v".into();
    bound.meta.annotations = Labels::new([(BIND_COMPLETED, "yes")]);
    let mut volume = zonal("v", "z1", false);
    volume.meta.labels = Labels::new([(ZONE, "z1")]);
    let (meta, provisioner) = (Meta::named("", "late"), NO_PROVISIONER.into());
    let binding_mode = BindingMode::WaitForFirstConsumer;
    let class = StorageClass { meta, provisioner, binding_mode, ..StorageClass::default() };
    placement.set_object(&Object::StorageClass(Arc::new(class)));
    for claim in [claim("waiting"), bound] {
        placement.set_object(&Object::PersistentVolumeClaim(Arc::new(claim)));
    }
    placement.set_object(&Object::PersistentVolume(Arc::new(volume)));
    for node in 0..24 {
        let driver = CsiNodeDriver { name: "csi".into(), allocatable: Some(1), ..CsiNodeDriver::default() };
        let csi_node = CSINode { meta: Meta::named("", &format!("n{node}")), drivers: vec![driver] };
        placement.set_object(&Object::CSINode(Arc::new(csi_node)));
    }
}

pub(super) fn service() -> Object {
    let meta = Meta::named("default", "served");
    let selector = Some(Labels::new([("served", "yes")]));
    Object::Service(Arc::new(Service { meta, selector, ..Service::default() }))
}

pub(in crate::scheduler::tests) fn apply(placement: &mut Placement, step: &Step, rows: &mut Vec<RowId>, pods: &[Pod]) {
    match *step {
        Step::SetVolume { zone, free } => {
            let volume = zonal(&format!("free{zone}"), &format!("z{zone}"), free);
            placement.set_object(&Object::PersistentVolume(Arc::new(volume)));
        }
        Step::SetNode(shape) => placement.set_node(&Arc::new(node(shape))),
        Step::RemoveNode { name } => placement.remove_node(&format!("n{name}").into()),
        Step::Place { class } => {
            let row = RowId { index: rows.len() as u32, generation: 0 };
            rows.push(row);
            // A refusal is as good an outcome as a node here.
            let explained = placement.place_explained(row, &pods[usize::from(class)], Detail::Nodes);
            check_details(&explained);
        }
        Step::RemovePod { number } if !rows.is_empty() => {
            placement.remove_pod(rows[usize::from(number) % rows.len()]);
        }
        Step::RemovePod { .. } => {}
    }
}
