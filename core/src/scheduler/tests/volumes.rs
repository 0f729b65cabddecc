//! The plugins about volumes: what they say of nodes, by pods that only they can refuse.

use std::sync::Arc;

use crate::config::SchedulerConfig;
use crate::digest::Shared;
use crate::id::RowId;
use crate::model::{
    AccessMode, BIND_COMPLETED, BindingMode, CSIDriver, CSINode, CSIStorageCapacity, ClaimPhase, ClaimSpec,
    CsiNodeDriver, Disk, Labels, Meta, Node, Object, PersistentVolume, PersistentVolumeClaim, Pod, PodSpec, PodVolume,
    PodVolumeSource, Resources, SELECTED_NODE, Selector, SelectorOperator, SelectorRequirement, StorageClass,
    TopologyRequirement, VolumeAttachment, VolumePhase, VolumeSource,
};
use crate::scheduler::explain::Detail;
use crate::scheduler::placement::Placement;

const ZONE: &str = "topology.kubernetes.io/zone";
const BETA_ZONE: &str = "failure-domain.beta.kubernetes.io/zone";
const REGION: &str = "topology.kubernetes.io/region";
const DRIVER: &str = "csi.example.com";

/// Nodes n-a and n-b in zones a and b, and whatever else is set.
struct World {
    placement: Placement,
    rows: u32,
}

impl World {
    fn new() -> World {
        let mut world = World { placement: Placement::new(1, &SchedulerConfig::default()), rows: 0 };
        world.node("n-a", &[(ZONE, "a")]);
        world.node("n-b", &[(ZONE, "b")]);
        world
    }

    fn node(&mut self, name: &str, labels: &[(&str, &str)]) {
        let mut node = Node { meta: Meta::named("", name), ..Node::default() };
        node.meta.labels = Labels::new(labels.iter().copied());
        node.status.allocatable =
            Resources { cpu_milli: 4_000, memory_bytes: 8 << 30, pods: 110, ..Resources::default() };
        self.placement.set_node(&Arc::new(node));
    }

    fn with<T: crate::model::Resource>(&mut self, object: T) -> &mut World {
        self.placement.set_object(&T::into_object(Arc::new(object)));
        self
    }

    fn place(&mut self, node: &str, pod: &Pod) -> &mut World {
        self.rows += 1;
        self.placement.put(RowId { index: self.rows, generation: 0 }, pod, &node.into());
        self
    }

    /// What is said of each node, by the nodes' names; empty for a node that takes the pod.
    fn said(&mut self, pod: &Pod) -> Vec<String> {
        self.rows += 1;
        let row = RowId { index: self.rows, generation: 0 };
        let explained = self.placement.place_explained(row, pod, Detail::Nodes);
        self.placement.remove_pod(row);
        explained.nodes.into_iter().map(|verdict| verdict.reasons.join("; ")).collect()
    }

    /// The message of an attempt that fails.
    fn failure(&mut self, pod: &Pod) -> String {
        self.rows += 1;
        let row = RowId { index: self.rows, generation: 0 };
        self.placement.place_pod(row, pod).expect_err("no node should take the pod")
    }
}

fn pod(sources: &[PodVolumeSource]) -> Pod {
    let named = |(index, source): (usize, &PodVolumeSource)| PodVolume {
        name: format!("v{index}").into(),
        source: source.clone(),
    };
    let spec = PodSpec { volumes: sources.iter().enumerate().map(named).collect(), ..PodSpec::default() };
    Pod { meta: Meta::named("default", "p").into(), spec: Shared::new(spec), ..Pod::default() }
}

fn of_claim(name: &str) -> PodVolumeSource {
    PodVolumeSource::Claim { name: name.into(), read_only: false }
}

fn disk(disk: Disk) -> PodVolumeSource {
    PodVolumeSource::Disk(disk)
}

fn claim(name: &str, class: &str, size: &str) -> PersistentVolumeClaim {
    let spec = ClaimSpec {
        access_modes: vec![AccessMode::ReadWriteOnce],
        request: size.parse().expect("a quantity"),
        storage_class: Some(class.into()),
        ..ClaimSpec::default()
    };
    PersistentVolumeClaim { meta: Meta::named("default", name), spec, ..PersistentVolumeClaim::default() }
}

fn bound(name: &str, volume: &str) -> PersistentVolumeClaim {
    let mut claim = claim(name, "x", "1Gi");
    claim.spec.volume = volume.into();
    claim.status.phase = ClaimPhase::Bound;
    claim.meta.annotations = Labels::new([(BIND_COMPLETED, "yes")]);
    claim
}

fn volume(name: &str, class: &str, size: &str) -> PersistentVolume {
    let mut volume = PersistentVolume {
        meta: Meta::named("", name),
        capacity: size.parse().expect("a quantity"),
        access_modes: vec![AccessMode::ReadWriteOnce],
        storage_class: class.into(),
        source: VolumeSource::Csi { driver: DRIVER.into(), handle: name.into(), read_only: false },
        ..PersistentVolume::default()
    };
    volume.status.phase = VolumePhase::Available;
    volume
}

fn in_zone(mut volume: PersistentVolume, zone: &str) -> PersistentVolume {
    let (operator, values) = (SelectorOperator::In, vec![zone.into()]);
    volume.node_affinity = Some(vec![vec![SelectorRequirement { key: ZONE.into(), operator, values }]]);
    volume
}

fn class(name: &str, provisioner: &str, binding_mode: BindingMode) -> StorageClass {
    let (meta, provisioner) = (Meta::named("", name), provisioner.into());
    StorageClass { meta, provisioner, binding_mode, ..StorageClass::default() }
}

fn late() -> StorageClass {
    class("late", DRIVER, BindingMode::WaitForFirstConsumer)
}

#[test]
fn one_writer_per_disk_and_node() {
    let gce = |name: &str, read_only| disk(Disk::GcePersistentDisk { name: name.into(), read_only });
    let aws = |id: &str| disk(Disk::AwsElasticBlockStore { id: id.into() });
    let iscsi = |iqn: &str, read_only| disk(Disk::Iscsi { iqn: iqn.into(), read_only });
    let rbd = |monitors: &[&str], image: &str, read_only| {
        let monitors = monitors.iter().map(|monitor| (*monitor).into()).collect();
        disk(Disk::Rbd { monitors, pool: "rbd".into(), image: image.into(), read_only })
    };
    let taken = "node(s) had no available disk";
    for (there, comes, expected) in [
        (gce("d", false), gce("d", false), taken),
        (gce("d", false), gce("d", true), taken),
        (gce("d", true), gce("d", true), ""),
        (gce("d", false), gce("e", false), ""),
        (aws("d"), aws("d"), taken),
        (aws("d"), aws("e"), ""),
        (iscsi("i", false), iscsi("i", false), taken),
        (iscsi("i", true), iscsi("i", true), ""),
        (iscsi("i", false), iscsi("j", false), ""),
        (rbd(&["a", "b"], "m", false), rbd(&["b", "c"], "m", false), taken),
        (rbd(&["a", "b"], "m", false), rbd(&["c"], "m", false), ""),
        (rbd(&["a"], "m", false), rbd(&["a"], "n", false), ""),
        (rbd(&["a"], "m", true), rbd(&["a"], "m", true), ""),
        (gce("d", false), aws("d"), ""),
    ] {
        let mut world = World::new();
        world.place("n-a", &pod(std::slice::from_ref(&there)));
        assert_eq!(world.said(&pod(std::slice::from_ref(&comes))), [expected, ""], "{there:?} and {comes:?}");
    }
}

#[test]
fn a_claim_for_one_pod_has_one_pod_in_the_whole_cluster() {
    let mut single = bound("c", "v");
    single.spec.access_modes = vec![AccessMode::ReadWriteOncePod];
    let mut world = World::new();
    world.with(single).with(bound("d", "w")).with(volume("v", "x", "1Gi")).with(volume("w", "x", "1Gi"));
    assert_eq!(world.said(&pod(&[of_claim("c")])), ["", ""]);
    world.place("n-a", &pod(&[of_claim("c"), of_claim("d")]));
    let told = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode";
    assert_eq!(world.said(&pod(&[of_claim("c")])), [told, told]);
    assert_eq!(world.said(&pod(&[of_claim("d")])), ["", ""]);
}

fn csi_node(name: &str, limit: Option<u32>, migrated: &str) -> CSINode {
    let mut meta = Meta::named("", name);
    meta.annotations = Labels::new([("storage.alpha.kubernetes.io/migrated-plugins", migrated)]);
    let of = |name: &str| CsiNodeDriver { name: name.into(), allocatable: limit, ..CsiNodeDriver::default() };
    CSINode { meta, drivers: vec![of(DRIVER), of("ebs.csi.aws.com")] }
}

#[test]
fn a_node_takes_as_many_volumes_as_its_driver_says_and_counts_each_once() {
    let full = "node(s) exceed max volume count";
    let mut world = World::new();
    for name in ["1", "2", "3"] {
        world.with(bound(name, &format!("v{name}"))).with(volume(&format!("v{name}"), "x", "1Gi"));
    }
    world.place("n-a", &pod(&[of_claim("1")])).place("n-a", &pod(&[of_claim("1")]));
    assert_eq!(world.said(&pod(&[of_claim("2")])), ["", ""], "without a CSINode nothing is counted");
    world.with(csi_node("n-a", Some(1), ""));
    assert_eq!(world.said(&pod(&[of_claim("2")])), [full, ""]);
    assert_eq!(world.said(&pod(&[of_claim("1")])), ["", ""], "it is there already");
    world.with(csi_node("n-a", Some(2), ""));
    assert_eq!(world.said(&pod(&[of_claim("2")])), ["", ""]);
    assert_eq!(world.said(&pod(&[of_claim("2"), of_claim("3")])), [full, ""]);
    // An attachment that no pod stands for any more takes a place too.
    let (meta, attacher) = (Meta::named("", "va"), DRIVER.into());
    let (node, volume) = ("n-a".into(), "v3".into());
    world.with(VolumeAttachment { meta, attacher, node, volume, ..VolumeAttachment::default() });
    assert_eq!(world.said(&pod(&[of_claim("2")])), [full, ""]);
    world.with(csi_node("n-a", None, ""));
    assert_eq!(world.said(&pod(&[of_claim("2")])), ["", ""]);
}

#[test]
fn volumes_that_are_yet_to_be_made_and_migrated_disks_are_counted() {
    let full = "node(s) exceed max volume count";
    let aws = |id: &str| disk(Disk::AwsElasticBlockStore { id: id.into() });
    let mut world = World::new();
    world.with(late()).with(claim("new", "late", "1Gi")).with(csi_node("n-a", Some(0), ""));
    assert_eq!(world.said(&pod(&[of_claim("new")])), [full, ""]);
    assert_eq!(world.said(&pod(&[aws("e")])), ["", ""], "the node has not migrated the type");
    world.with(csi_node("n-a", Some(1), "kubernetes.io/aws-ebs"));
    world.place("n-a", &pod(&[aws("a/d")]));
    assert_eq!(world.said(&pod(&[aws("e")])), [full, ""]);
}

#[test]
fn zones_and_regions_of_volumes_bind_their_pods() {
    let wrong = "node(s) had no available volume zone";
    let labelled = |labels: &[(&str, &str)]| {
        let mut volume = volume("v", "x", "1Gi");
        volume.meta.labels = Labels::new(labels.iter().copied());
        volume
    };
    for (labels, expected) in [
        (&[(ZONE, "a")][..], ["", wrong, "", wrong]),
        (&[(BETA_ZONE, "a")], ["", wrong, "", wrong]),
        (&[(ZONE, "a__b")], ["", "", "", wrong]),
        (&[(ZONE, "a__")], ["", "", "", ""]),
        (&[(REGION, "r")], [wrong, wrong, "", ""]),
        (&[(ZONE, "c"), (REGION, "r")], [wrong, wrong, "", wrong]),
        (&[("other", "a")], ["", "", "", ""]),
    ] {
        let mut world = World::new();
        world.node("n-none", &[]);
        world.node("n-r", &[(REGION, "r")]);
        world.with(bound("c", "v")).with(labelled(labels));
        assert_eq!(world.said(&pod(&[of_claim("c")])), expected, "{labels:?}");
    }
}

#[test]
fn claims_that_cannot_be_looked_at_refuse_every_node() {
    let attempt = |prepare: &dyn Fn(&mut World)| {
        let mut world = World::new();
        prepare(&mut world);
        world.failure(&pod(&[of_claim("c")]))
    };
    fn set(world: &mut World, claim: PersistentVolumeClaim) {
        world.with(claim);
    }
    let message = |why: &str| format!("0/2 nodes are available: {why}. not found");
    assert_eq!(attempt(&|_| {}), message("persistentvolumeclaim \"c\" not found"));
    assert_eq!(
        attempt(&|world| set(world, claim("c", "x", "1Gi"))),
        message("pod has unbound immediate PersistentVolumeClaims")
    );
    let lost = || {
        let mut claim = bound("c", "v");
        claim.status.phase = ClaimPhase::Lost;
        claim
    };
    assert_eq!(
        attempt(&|world| set(world, lost())),
        message("persistentvolumeclaim \"c\" bound to non-existent persistentvolume \"v\"")
    );
    let leaving = || {
        let mut claim = bound("c", "v");
        claim.meta.deleted_at = Some(crate::time::Time::ZERO);
        claim
    };
    assert_eq!(attempt(&|world| set(world, leaving())), message("persistentvolumeclaim \"c\" is being deleted"));
    assert_eq!(attempt(&|world| set(world, bound("c", "v"))), message("persistentvolume \"v\" not found"));
}

#[test]
fn a_pod_goes_where_its_bound_volume_can_be_reached() {
    let mut world = World::new();
    world.with(bound("c", "v")).with(in_zone(volume("v", "x", "1Gi"), "b"));
    assert_eq!(world.said(&pod(&[of_claim("c")])), ["node(s) didn't match PersistentVolume's node affinity", ""]);
}

#[test]
fn delayed_claims_take_volumes_of_the_zone_each_its_own() {
    let none = "node(s) didn't find available persistent volumes to bind";
    let no_provisioner = || class("late", crate::model::NO_PROVISIONER, BindingMode::WaitForFirstConsumer);
    let mut world = World::new();
    world.with(no_provisioner()).with(claim("c", "late", "2Gi")).with(claim("d", "late", "1Gi"));
    world.with(in_zone(volume("v1", "late", "2Gi"), "a"));
    assert_eq!(world.said(&pod(&[of_claim("c")])), ["", none]);
    assert_eq!(world.said(&pod(&[of_claim("c"), of_claim("d")])), [none, none]);
    world.with(in_zone(volume("v2", "late", "1Gi"), "a")).with(in_zone(volume("v3", "late", "1Gi"), "b"));
    assert_eq!(world.said(&pod(&[of_claim("c"), of_claim("d")])), ["", none]);
    assert_eq!(world.said(&pod(&[of_claim("d")])), ["", ""]);
    let mut taken = volume("v2", "late", "1Gi");
    taken.status.phase = VolumePhase::Bound;
    world.with(in_zone(taken, "a"));
    assert_eq!(world.said(&pod(&[of_claim("c"), of_claim("d")])), [none, none]);
}

#[test]
fn delayed_claims_without_a_volume_are_made_where_class_and_room_allow() {
    let none = "node(s) didn't find available persistent volumes to bind";
    let full = "node(s) did not have enough free storage";
    let mut world = World::new();
    world.with(late()).with(claim("c", "late", "5Gi"));
    assert_eq!(world.said(&pod(&[of_claim("c")])), ["", ""]);
    let term = vec![TopologyRequirement { key: ZONE.into(), values: vec!["b".into(), "c".into()] }];
    world.with(StorageClass { allowed_topologies: vec![term], ..late() });
    assert_eq!(world.said(&pod(&[of_claim("c")])), [none, ""]);
    world.with(late());
    world.with(CSIDriver { meta: Meta::named("", DRIVER), storage_capacity: true, ..CSIDriver::default() });
    assert_eq!(world.said(&pod(&[of_claim("c")])), [full, full]);
    let room = |name: &str, zone: &str, capacity: &str, largest: Option<&str>| CSIStorageCapacity {
        meta: Meta::named("default", name),
        storage_class: "late".into(),
        topology: Some(Selector::from_labels(Labels::new([(ZONE, zone)]))),
        capacity: Some(capacity.parse().expect("a quantity")),
        maximum_volume_size: largest.map(|text| text.parse().expect("a quantity")),
    };
    world.with(room("a", "a", "5Gi", None)).with(room("b", "b", "9Gi", Some("4Gi")));
    assert_eq!(world.said(&pod(&[of_claim("c")])), ["", full]);
    let mut selected = claim("c", "late", "5Gi");
    selected.meta.annotations = Labels::new([(SELECTED_NODE, "n-b")]);
    world.with(selected).with(room("b", "b", "5Gi", None));
    assert_eq!(world.said(&pod(&[of_claim("c")])), [none, ""], "another pod has chosen n-b");
}

#[test]
fn a_pod_with_plain_volumes_only_is_of_no_concern() {
    let mut world = World::new();
    let plain = pod(&[PodVolumeSource::EmptyDir(Default::default()), PodVolumeSource::HostPath("/s".into())]);
    assert_eq!(world.said(&plain), ["", ""]);
    world.placement.set_object(&Object::StorageClass(Arc::new(late())));
    assert_eq!(world.said(&plain), ["", ""]);
}
