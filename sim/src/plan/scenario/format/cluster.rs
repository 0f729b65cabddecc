//! The cluster: the control plane's settings and the machines.

use std::collections::BTreeMap;

use serde::Deserialize;
use wavetank_manifest::Spanned;

use super::{Bytes, Duration, NameAt, Policy, Spread};

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
    /// Whether every lease renewal is a message; not by default.
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
    /// Scheduler: what it scores nodes by.
    pub policy: Option<Spanned<Policy>>,
    /// Scheduler: a KubeSchedulerConfiguration in place or the path of one; it is read from the tree.
    pub scheduler_configuration: Option<serde::de::IgnoredAny>,
    /// Scheduler: how ties are broken.
    pub ties: Option<Ties>,
    /// Scheduler: `percentageOfNodesToScore`; 0 is adaptive.
    pub percentage_of_nodes_to_score: Option<u32>,
    /// Scheduler: how long one cycle takes, whatever it looks at.
    pub scheduling_cycle_time: Option<Duration>,
    /// Scheduler: what a cycle's time is made of.
    #[serde(default)]
    pub scheduling_cost: SchedulingCost,
    /// Scheduler: `podInitialBackoffSeconds`.
    pub pod_initial_backoff: Option<Duration>,
    /// Scheduler: `podMaxBackoffSeconds`.
    pub pod_max_backoff: Option<Duration>,
    /// API server: the configuration of its plugin PodSecurity.
    #[serde(default)]
    pub pod_security: PodSecurity,
    /// Kubelet: `nodeLeaseDurationSeconds`; renewals come after a quarter of it.
    pub node_lease_duration: Option<Duration>,
    /// Kubelet: `serializeImagePulls`.
    pub serialize_image_pulls: Option<bool>,
    /// Kubelet: how often it lists its containers.
    pub relist_period: Option<Duration>,
    /// All kubelets: fields of the KubeletConfiguration by their Kubernetes names.
    #[serde(default)]
    pub kubelet: Kubelet,
}

/// What stands where a namespace's labels say nothing of PodSecurity, each a level or `level:version`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodSecurity {
    /// What pods must hold to.
    pub enforce: Option<NameAt>,
    /// What the audit is told of.
    pub audit: Option<NameAt>,
    /// What users are warned of.
    pub warn: Option<NameAt>,
    /// The namespaces whose labels are ignored, and whose pods may have anything.
    #[serde(default)]
    pub exempt_namespaces: Vec<String>,
}

/// What one scheduling cycle takes: a sum of these.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SchedulingCost {
    /// Every attempt.
    pub attempt: Option<Duration>,
    /// Each node that is scored, or on which a preemption is tried.
    pub scored_node: Option<Duration>,
    /// Each node looked at for a pod with a node selector or a required node affinity.
    pub selected_node: Option<Duration>,
    /// Each node, for a pod with required spread constraints.
    pub spread_node: Option<Duration>,
    /// Each node, for a pod that is spread by preference.
    pub preferred_spread_node: Option<Duration>,
    /// Each node, for a pod with required affinity to other pods.
    pub affinity_node: Option<Duration>,
    /// Each node, for a pod with required anti-affinity.
    pub anti_affinity_node: Option<Duration>,
    /// Each node, for a pod with preferred affinity or anti-affinity.
    pub preferred_affinity_node: Option<Duration>,
}

/// Fields of the KubeletConfiguration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kubelet {
    /// Pulls at once, if they are not serial.
    pub max_parallel_image_pulls: Option<u32>,
    /// Pulls per second; 0 is no limit.
    #[serde(rename = "registryPullQPS")]
    pub registry_pull_qps: Option<u32>,
    /// Pulls at once after a pause.
    pub registry_burst: Option<u32>,
    /// From this share of the image file system on images are removed, in percent.
    #[serde(rename = "imageGCHighThresholdPercent")]
    pub image_gc_high_threshold_percent: Option<Spanned<u32>>,
    /// Down to this share, in percent.
    #[serde(rename = "imageGCLowThresholdPercent")]
    pub image_gc_low_threshold_percent: Option<Spanned<u32>>,
    /// An image that has been there for less stays.
    #[serde(rename = "imageMinimumGCAge")]
    pub image_minimum_gc_age: Option<Duration>,
    /// Thresholds that act at once; replaces all that Kubernetes has by itself.
    pub eviction_hard: Option<BTreeMap<String, Spanned<Amount>>>,
    /// Thresholds that must have been met for their grace.
    #[serde(default)]
    pub eviction_soft: BTreeMap<String, Spanned<Amount>>,
    /// The graces of the soft thresholds.
    #[serde(default)]
    pub eviction_soft_grace_period: BTreeMap<String, Spanned<Duration>>,
    /// So much more than the threshold must be available before it counts as not met.
    #[serde(default)]
    pub eviction_minimum_reclaim: BTreeMap<String, Spanned<Amount>>,
    /// The grace of pods that a soft threshold evicts.
    pub eviction_max_pod_grace_period: Option<Duration>,
    /// How long a condition stays after it was last seen.
    pub eviction_pressure_transition_period: Option<Duration>,
    /// The time for all pods when a machine shuts down.
    pub shutdown_grace_period: Option<Duration>,
    /// The end of that time, for critical pods.
    pub shutdown_grace_period_critical_pods: Option<Duration>,
    /// The time by priority.
    #[serde(default)]
    pub shutdown_grace_period_by_pod_priority: Vec<ShutdownGroup>,
}

/// The time for pods from a priority on when a machine shuts down.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShutdownGroup {
    /// From this priority on.
    pub priority: i32,
    /// How long.
    pub shutdown_grace_period_seconds: u32,
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
    /// Nothing but the scheduler's choice of nodes: no API server, no kubelets, no containers.
    Placement,
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
    /// Manifests of pods that the kubelets have from their own files: paths or objects, read from the tree.
    #[serde(default)]
    pub static_pods: Vec<serde::de::IgnoredAny>,
    /// When the machines are switched on.
    pub starts_at: Option<Spread>,
    /// The file system that only images are on; without it they are on that of `ephemeral-storage`.
    pub image_filesystem: Option<Bytes>,
    /// How many processes a machine can have; not modelled if not said.
    pub pids: Option<u32>,
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
