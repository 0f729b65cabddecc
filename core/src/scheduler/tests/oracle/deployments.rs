//! Many small Deployments among many nodes, with the default constraints: the case that a rollout makes.

use std::sync::Arc;

use super::{HOSTNAME, ZONE, compare};
use crate::config::SchedulerConfig;
use crate::digest::Shared;
use crate::id::{RowId, Uid};
use crate::model::{
    Container, Kind, Labels, Meta, Node, Object, OwnerReference, Pod, PodSpec, ReplicaSet, Resources, Selector,
};
use crate::scheduler::placement::Placement;
use crate::time::Time;

/// As many as tell Deployments whose pods are tallied from those whose are not.
const NODES: u32 = 150;
const DEPLOYMENTS: u32 = 6;

/// Three zones of different size; some nodes are in none, and some have room for few pods.
fn node(number: u32) -> Arc<Node> {
    let name = format!("n{number}");
    let mut node = Node { meta: Meta::named("", &name), ..Node::default() };
    node.meta.labels = Labels::new([(HOSTNAME, name)]);
    if !number.is_multiple_of(29) {
        node.meta.labels = node.meta.labels.with(ZONE, format!("z{}", number * number % 7 / 2));
    }
    let pods = if number.is_multiple_of(11) { 1 } else { 110 };
    node.status.allocatable = Resources { cpu_milli: 4_000, memory_bytes: 8 << 30, pods, ..Resources::default() };
    Arc::new(node)
}

fn pod(deployment: u32) -> Pod {
    let name = format!("app-{deployment}");
    let requests = Resources { cpu_milli: 50 + i64::from(deployment % 2), ..Resources::default() };
    let container = Container { requests, ..Container::default() };
    let mut meta = Meta::named("default", &name);
    meta.labels = Labels::new([("app", &*name)]);
    let (kind, name, uid) = (Kind::ReplicaSet, name.into(), Uid::default());
    meta.owners = [OwnerReference { kind, name, uid, controller: true, block_owner_deletion: true }].into();
    Pod {
        meta: meta.into(),
        spec: Shared::new(PodSpec { containers: vec![container], ..PodSpec::default() }),
        ..Pod::default()
    }
}

#[test]
fn many_small_deployments_are_spread_as_by_looking_at_every_node() {
    let mut placement = Placement::new(3, &SchedulerConfig::default());
    (0..NODES).for_each(|number| placement.set_node(&node(number)));
    let pods: Vec<Pod> = (0..DEPLOYMENTS).map(pod).collect();
    for pod in &pods {
        let meta = Meta::named("default", &pod.meta.name);
        let selector = Selector::from_labels(pod.meta.labels.clone());
        placement.set_object(&Object::ReplicaSet(Arc::new(ReplicaSet { meta, selector, ..ReplicaSet::default() })));
    }
    for number in 0..200 {
        let row = RowId { index: number, generation: 0 };
        // The first Deployment is the largest.
        let deployment = if number.is_multiple_of(2) { 0 } else { number / 2 % DEPLOYMENTS };
        let node = placement.place_pod(row, &pods[deployment as usize]).expect("there is room");
        match number % 5 {
            0 => {
                let mut ending = pods[deployment as usize].clone();
                ending.meta.deleted_at = Some(Time::ZERO);
                placement.put(row, &ending, &node);
            }
            1 => placement.remove_pod(RowId { index: number / 2, generation: 0 }),
            _ => {}
        }
        if number.is_multiple_of(10) {
            compare(&mut placement, &pods, u64::from(number) + 1).unwrap();
        }
    }
}
