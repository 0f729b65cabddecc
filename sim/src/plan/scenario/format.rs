//! The typed scenario file: one struct per mapping, one field per key, in the file's own words.
//!
//! Described for users in `docs/scenario-format.md` and as JSON Schema in `schema.json`; a test holds the three
//! together. Absent on purpose: checks that need more than one field (see `expand`).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use wavetank_core::time::Span;
use wavetank_manifest::Spanned;

use crate::plan::Delay;

/// The `apiVersion` of every scenario file.
pub const API_VERSION: &str = "wavetank/v1";
/// The `kind` of every scenario file.
pub const KIND: &str = "Scenario";

/// A length of time, written `90s`, `1m30s` or `500ms`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Duration(pub Span);

/// A length of time or a named distribution of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Spread(pub Delay);

/// A number of bytes, written as a Kubernetes quantity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bytes(pub u64);

/// A name and its place.
pub type NameAt = Spanned<String>;

/// A scenario file.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scenario {
    /// Always [`API_VERSION`].
    pub api_version: String,
    /// Always [`KIND`].
    pub kind: String,
    /// Name and description.
    pub metadata: Metadata,
    /// What happens.
    pub spec: Spec,
}

/// Name and description of a scenario.
#[derive(Clone, Debug, Deserialize)]
pub struct Metadata {
    /// The scenario's name.
    pub name: String,
    /// What it is about.
    #[serde(default)]
    pub description: String,
}

/// What happens in a run.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    /// Where every draw comes from.
    #[serde(default)]
    pub seed: u64,
    /// When the run ends.
    pub duration: Spanned<Duration>,
    /// The control plane's settings.
    #[serde(default)]
    pub control_plane: ControlPlane,
    /// The machines.
    pub nodes: Vec<NodeGroup>,
    /// Images and the registry that has them.
    #[serde(default)]
    pub registry: Registry,
    /// Kubernetes objects that are applied when the run begins: paths, or objects in place.
    #[serde(default)]
    pub manifests: Vec<Spanned<IgnoredAny>>,
    /// What containers do.
    #[serde(default)]
    pub behaviours: Vec<Behaviour>,
    /// Actions of the user and faults.
    #[serde(default)]
    pub timeline: Vec<Spanned<Entry>>,
    /// What must come of it.
    #[serde(default)]
    pub expect: Vec<Spanned<Expectation>>,
    /// The fingerprint that the run must have: 16 hex digits.
    pub fingerprint: Option<NameAt>,
}

/// The control plane's settings: how close to reality, and the flags of its components by their Kubernetes names.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ControlPlane {
    /// Whether messages and requests take time.
    #[serde(default)]
    pub fidelity: Fidelity,
    /// What the API server needs for a request, network included.
    pub api_latency: Option<Spread>,
    /// From a write to its news at a component.
    pub watch_delay: Option<Spread>,
    /// Bringing a write to stable storage.
    pub persist_delay: Option<Spread>,
    /// Between a machine and the API server, one way.
    pub node_link: Option<Link>,
    /// Whether every lease renewal is a message.
    pub heartbeats: Option<Heartbeats>,
    /// Controller manager: `--kube-api-qps`; 0 is no limit.
    #[serde(rename = "kubeAPIQPS")]
    pub kube_api_qps: Option<u32>,
    /// Controller manager: `--kube-api-burst`.
    #[serde(rename = "kubeAPIBurst")]
    pub kube_api_burst: Option<u32>,
    /// Controller manager: `--concurrent-deployment-syncs` and the like.
    pub concurrent_syncs: Option<u32>,
    /// `--node-monitor-period`.
    pub node_monitor_period: Option<Duration>,
    /// `--node-monitor-grace-period`.
    pub node_monitor_grace_period: Option<Duration>,
    /// `--node-startup-grace-period`.
    pub node_startup_grace_period: Option<Duration>,
    /// `--node-eviction-rate`, nodes per second.
    pub node_eviction_rate: Option<f64>,
    /// `--secondary-node-eviction-rate`, nodes per second.
    pub secondary_node_eviction_rate: Option<f64>,
    /// `--large-cluster-size-threshold`.
    pub large_cluster_size_threshold: Option<u32>,
    /// `--unhealthy-zone-threshold`, a share between 0 and 1.
    pub unhealthy_zone_threshold: Option<f64>,
    /// Scheduler: `clientConnection.qps`; 0 is no limit.
    #[serde(rename = "schedulerQPS")]
    pub scheduler_qps: Option<u32>,
    /// Scheduler: `clientConnection.burst`.
    pub scheduler_burst: Option<u32>,
    /// Scheduler: how ties are broken.
    pub ties: Option<Ties>,
    /// Scheduler: `percentageOfNodesToScore`; 0 is adaptive.
    pub percentage_of_nodes_to_score: Option<u32>,
    /// Scheduler: how long one cycle takes.
    pub scheduling_cycle_time: Option<Duration>,
    /// Scheduler: `podInitialBackoffSeconds`.
    pub pod_initial_backoff: Option<Duration>,
    /// Scheduler: `podMaxBackoffSeconds`.
    pub pod_max_backoff: Option<Duration>,
    /// Kubelet: `nodeLeaseDurationSeconds`; renewals come after a quarter of it.
    pub node_lease_duration: Option<Duration>,
    /// Kubelet: `serializeImagePulls`.
    pub serialize_image_pulls: Option<bool>,
    /// Kubelet: how often it lists its containers.
    pub relist_period: Option<Duration>,
}

/// Whether messages and requests take time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fidelity {
    /// Nothing takes time and no client is limited: studies of placement.
    Instant,
    /// Latencies, watch delays and the client limits of Kubernetes.
    #[default]
    Modelled,
}

/// Whether every lease renewal is a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Heartbeats {
    /// Each is.
    Exact,
    /// Only those that can change something.
    Analytic,
}

/// How the scheduler chooses among nodes of the same score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Ties {
    /// By a draw, as kube-scheduler does.
    Seeded,
    /// The first name.
    First,
}

/// A link's delay and loss.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Link {
    /// One way.
    pub delay: Spread,
    /// Lost packets per million.
    #[serde(default)]
    pub loss_per_million: u32,
}

/// Machines of one kind.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeGroup {
    /// The group's name; its machines are `name-1`, `name-2` and so on, or `name` itself without a count.
    pub name: NameAt,
    /// How many machines.
    pub count: Option<Spanned<u32>>,
    /// Zones, given to the machines in turn.
    #[serde(default)]
    pub zones: Vec<NameAt>,
    /// What each machine has, as Kubernetes quantities: cpu, memory, pods, others.
    #[serde(default)]
    pub capacity: BTreeMap<String, Spanned<Amount>>,
    /// What pods may use of it; what is not named is the capacity.
    #[serde(default)]
    pub allocatable: BTreeMap<String, Spanned<Amount>>,
    /// Further labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Taints from the start.
    #[serde(default)]
    pub taints: Vec<Taint>,
    /// Bytes per second when pulling images.
    pub pull_bandwidth: Option<Spanned<Bytes>>,
    /// Images that are on the machines from the start.
    #[serde(default)]
    pub images: Vec<String>,
    /// When the machines are switched on.
    pub starts_at: Option<Spread>,
}

/// A quantity as text or as a whole number.
#[derive(Clone, Debug)]
pub struct Amount(pub String);

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Amount, D::Error> {
        struct AmountVisitor;
        impl serde::de::Visitor<'_> for AmountVisitor {
            type Value = Amount;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a quantity such as 4, 500m or 16Gi")
            }
            fn visit_i64<E>(self, number: i64) -> Result<Amount, E> {
                Ok(Amount(number.to_string()))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Amount, E> {
                Ok(Amount(number.to_string()))
            }
            fn visit_str<E>(self, text: &str) -> Result<Amount, E> {
                Ok(Amount(text.to_owned()))
            }
        }
        deserializer.deserialize_any(AmountVisitor)
    }
}

/// A taint.
#[derive(Clone, Debug, Deserialize)]
pub struct Taint {
    /// The key.
    pub key: String,
    /// The value.
    #[serde(default)]
    pub value: String,
    /// What it does.
    pub effect: TaintEffect,
}

/// What a taint does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the names are those of Kubernetes")]
pub enum TaintEffect {
    NoSchedule,
    PreferNoSchedule,
    NoExecute,
}

/// Images and the registry that has them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Registry {
    /// Images by their full names.
    #[serde(default)]
    pub images: BTreeMap<String, Image>,
    /// The size of every other image.
    pub default_size: Option<Bytes>,
    /// From a request to the first byte.
    pub latency: Option<Spread>,
}

/// One image.
#[derive(Clone, Debug, Deserialize)]
pub struct Image {
    /// Its size.
    pub size: Option<Bytes>,
    /// True if it cannot be pulled.
    #[serde(default)]
    pub missing: bool,
}

/// What the containers of some pods do.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Behaviour {
    /// Which pods, by their labels.
    #[serde(default)]
    pub selector: LabelSelector,
    /// In which namespace; every one if not said.
    pub namespace: Option<NameAt>,
    /// Which container; every one if not said.
    pub container: Option<String>,
    /// The size of the images of these pods.
    pub image_size: Option<Spanned<Bytes>>,
    /// From the start request to a running container.
    pub start_delay: Option<Spread>,
    /// From a running container to a ready one.
    pub readiness_delay: Option<Spread>,
    /// From a running container to its end by itself.
    pub run_time: Option<Spread>,
    /// How it ends by itself.
    pub exit_code: Option<i32>,
    /// How it ends by itself, by chance.
    pub exit_codes: Option<Spanned<Vec<ExitChance>>>,
    /// What its first, second, … start does; after the last entry it runs for ever.
    pub starts: Option<Spanned<Vec<Start>>>,
    /// From the TERM signal to its end.
    pub stop_delay: Option<Spread>,
}

/// A label selector of Kubernetes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LabelSelector {
    /// Labels that must be there.
    #[serde(default)]
    pub match_labels: BTreeMap<String, String>,
    /// Further requirements.
    #[serde(default)]
    pub match_expressions: Vec<Requirement>,
}

/// One requirement of a label selector.
#[derive(Clone, Debug, Deserialize)]
pub struct Requirement {
    /// The label.
    pub key: String,
    /// How its value is compared.
    pub operator: Operator,
    /// The values compared with.
    #[serde(default)]
    pub values: Vec<String>,
}

/// How a label selector compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the names are those of Kubernetes")]
pub enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

/// One exit code and how likely it is.
#[derive(Clone, Debug, Deserialize)]
pub struct ExitChance {
    /// The exit code.
    pub code: i32,
    /// How likely it is among the others' weights.
    pub weight: u32,
}

/// What one start of a container does.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Start {
    /// How long it runs; for ever if not said.
    pub run_time: Option<Spread>,
    /// Its exit code.
    #[serde(default)]
    pub exit_code: i32,
}

/// Something at a time: one action of the user, or one fault.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// When.
    pub at: Option<Spread>,
    /// Faults: when they end.
    pub recover: Option<Spread>,
    /// Faults: how long they last.
    #[serde(rename = "for")]
    pub lasts: Option<Spread>,
    /// The same again, several times.
    pub repeat: Option<Repeat>,
    /// Apply a manifest: a path, or an object in place.
    pub apply: Option<Spanned<IgnoredAny>>,
    /// Change the wanted number of pods.
    pub scale: Option<Scale>,
    /// Change an image.
    pub set_image: Option<SetImage>,
    /// Delete an object.
    pub delete: Option<Delete>,
    /// Make new pods of the same template.
    pub restart: Option<Rollout>,
    /// Hold a rollout.
    pub pause: Option<Rollout>,
    /// Go on with a rollout.
    pub resume: Option<Rollout>,
    /// Let no new pods onto nodes.
    pub cordon: Option<Machines>,
    /// Let new pods onto nodes again.
    pub uncordon: Option<Machines>,
    /// Add a taint to nodes.
    pub taint: Option<TaintNodes>,
    /// Remove a taint from nodes.
    pub untaint: Option<UntaintNodes>,
    /// Set or remove a label.
    pub label: Option<Label>,
    /// Fault: machines crash and boot again at the end.
    pub crash: Option<Machines>,
    /// Fault: a zone loses power and gets it back at the end.
    pub power_loss: Option<ZoneName>,
    /// Fault: kubelets stop; containers run on.
    pub kubelet_stop: Option<Machines>,
    /// Fault: no message passes between two groups.
    pub network_cut: Option<NetworkCut>,
    /// Fault: slow or lossy links to the API server.
    pub slow_link: Option<SlowLink>,
}

/// The same again, several times.
#[derive(Clone, Debug, Deserialize)]
pub struct Repeat {
    /// From one to the next.
    pub every: Spread,
    /// How often in all.
    pub times: Spanned<u32>,
}

/// A Deployment.
#[derive(Clone, Debug, Deserialize)]
pub struct Rollout {
    /// Its name.
    pub deployment: Option<NameAt>,
    /// The namespace, if not `default`.
    pub namespace: Option<NameAt>,
}

/// `kubectl scale`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scale {
    /// The Deployment.
    pub deployment: Option<NameAt>,
    /// The ReplicaSet.
    pub replica_set: Option<NameAt>,
    /// The namespace, if not `default`.
    pub namespace: Option<NameAt>,
    /// The wanted number of pods.
    pub replicas: u32,
}

/// `kubectl set image`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SetImage {
    /// The Deployment.
    pub deployment: Option<NameAt>,
    /// The ReplicaSet.
    pub replica_set: Option<NameAt>,
    /// The namespace, if not `default`.
    pub namespace: Option<NameAt>,
    /// The container; every one if not said.
    pub container: Option<NameAt>,
    /// The image.
    pub image: String,
}

/// `kubectl delete`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the first fields are kinds and name an object")]
pub struct Delete {
    pub deployment: Option<NameAt>,
    pub replica_set: Option<NameAt>,
    pub pod: Option<NameAt>,
    pub service: Option<NameAt>,
    pub node: Option<NameAt>,
    /// The namespace; alone it is the object to be deleted.
    pub namespace: Option<NameAt>,
    /// The pod's grace, if not its own.
    pub grace_period: Option<Duration>,
    /// What becomes of the objects that it owns.
    #[serde(default)]
    pub propagation: Propagation,
}

/// What becomes of the objects that a deleted object owns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are those of kubectl")]
pub enum Propagation {
    #[default]
    Background,
    Foreground,
    Orphan,
}

/// Some of the machines.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Machines {
    /// One by name.
    pub node: Option<NameAt>,
    /// Several by name.
    pub nodes: Option<Vec<NameAt>>,
    /// All of a group.
    pub group: Option<NameAt>,
    /// All of a zone.
    pub zone: Option<NameAt>,
    /// All of several zones.
    pub zones: Option<Vec<NameAt>>,
    /// All there are.
    #[serde(default)]
    pub all: bool,
}

/// A zone.
#[derive(Clone, Debug, Deserialize)]
pub struct ZoneName {
    /// Its name.
    pub zone: NameAt,
}

/// `kubectl taint`.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "as in Machines and Taint")]
pub struct TaintNodes {
    pub node: Option<NameAt>,
    pub nodes: Option<Vec<NameAt>>,
    pub group: Option<NameAt>,
    pub zone: Option<NameAt>,
    pub key: String,
    #[serde(default)]
    pub value: String,
    pub effect: TaintEffect,
}

/// `kubectl taint … key-`.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "as in Machines and Taint")]
pub struct UntaintNodes {
    pub node: Option<NameAt>,
    pub nodes: Option<Vec<NameAt>>,
    pub group: Option<NameAt>,
    pub zone: Option<NameAt>,
    pub key: String,
    pub effect: Option<TaintEffect>,
}

/// `kubectl label`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the first fields are kinds and name an object")]
pub struct Label {
    pub deployment: Option<NameAt>,
    pub replica_set: Option<NameAt>,
    pub pod: Option<NameAt>,
    pub service: Option<NameAt>,
    pub node: Option<NameAt>,
    /// The namespace, if not `default`.
    pub namespace: Option<NameAt>,
    /// The label.
    pub key: String,
    /// Its value; the label is removed without one.
    pub value: Option<String>,
}

/// No message passes between two groups.
#[derive(Clone, Debug, Deserialize)]
pub struct NetworkCut {
    /// The two groups.
    pub between: Spanned<Vec<Side>>,
}

/// One side of a network cut.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "as in Machines")]
pub struct Side {
    /// Whether the control plane is on this side.
    #[serde(default)]
    pub control_plane: bool,
    pub node: Option<NameAt>,
    pub nodes: Option<Vec<NameAt>>,
    pub group: Option<NameAt>,
    pub zone: Option<NameAt>,
    pub zones: Option<Vec<NameAt>>,
    #[serde(default)]
    pub all: bool,
}

/// Slow or lossy links between machines and the API server.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "as in Machines and Link")]
pub struct SlowLink {
    pub node: Option<NameAt>,
    pub nodes: Option<Vec<NameAt>>,
    pub group: Option<NameAt>,
    pub zone: Option<NameAt>,
    pub zones: Option<Vec<NameAt>>,
    #[serde(default)]
    pub all: bool,
    pub delay: Option<Spread>,
    #[serde(default)]
    pub loss_per_million: Option<Spanned<u32>>,
}

/// One thing that must come of the run.
#[derive(Clone, Debug, Deserialize)]
pub struct Expectation {
    /// Its name.
    pub name: NameAt,
    /// The condition, in CEL.
    pub that: NameAt,
    /// It must hold at this time.
    pub at: Option<Spanned<Duration>>,
    /// It must hold at some time in this window.
    pub within: Option<Spanned<Window>>,
    /// It must hold at all times in this window.
    pub always: Option<Spanned<Window>>,
    /// It must hold at no time in this window.
    pub never: Option<Spanned<Window>>,
}

/// A stretch of the run, both ends included.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct Window {
    /// Its beginning; the run's if not said.
    pub from: Option<Duration>,
    /// Its end; the run's if not said.
    pub to: Option<Duration>,
}
