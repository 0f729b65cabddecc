//! The cluster: the control plane's settings and the machines.

use std::collections::BTreeMap;

use serde::Deserialize;
use wavetank_manifest::Spanned;

use super::{Bytes, Duration, NameAt, Spread};

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
    /// Scheduler: a KubeSchedulerConfiguration in place or the path of one; it is read from the tree.
    pub scheduler_configuration: Option<serde::de::IgnoredAny>,
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
