//! What a cluster's operator can set: the flags of the components, with the defaults of Kubernetes 1.34.

mod pod_security;
mod profile;
mod scheduling_cost;
mod typical_pods;

use serde::{Deserialize, Serialize};

use crate::id::Name;
use crate::time::Span;

pub use pod_security::{PodSecurityConfig, PodSecurityLevel};
pub use profile::{
    AddedAffinity, BalanceArgs, FitArgs, NodeTerm, Plugin, PluginArgs, PodAffinityArgs, Point, PreemptionArgs,
    ProfileConfig, ScoringStrategy, SpreadDefaults, VolumeBindingArgs,
};
pub use scheduling_cost::SchedulingCost;
pub use typical_pods::{TypicalPod, TypicalPods};

/// All settings of a core.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Config {
    /// Where every draw comes from.
    pub seed: u64,
    /// The Unix time of the run's start, in whole seconds: what schedules count from.
    pub epoch: i64,
    /// The API server.
    pub api_server: ApiServerConfig,
    /// The node lifecycle and the other controllers.
    pub controller_manager: ControllerManagerConfig,
    /// The scheduler.
    pub scheduler: SchedulerConfig,
    /// All kubelets.
    pub kubelet: KubeletConfig,
    /// The CSI drivers that are there.
    pub storage: StorageConfig,
    /// Whether lease renewals are messages or vouched for by the world.
    pub heartbeats: Heartbeats,
    /// Whether components say Kubernetes events. Nothing that happens depends on them, so a world in which nobody reads
    /// them need not pay for their sentences.
    #[serde(default = "said")]
    pub says_events: bool,
}

fn said() -> bool {
    true
}

/// The epoch unless somebody chooses another: 2025-01-01T00:00:00Z.
pub const DEFAULT_EPOCH: i64 = 1_735_689_600;

impl Default for Config {
    fn default() -> Self {
        Config {
            seed: 0,
            epoch: DEFAULT_EPOCH,
            api_server: ApiServerConfig::default(),
            controller_manager: ControllerManagerConfig::default(),
            scheduler: SchedulerConfig::default(),
            kubelet: KubeletConfig::default(),
            storage: StorageConfig::default(),
            heartbeats: Heartbeats::default(),
            says_events: said(),
        }
    }
}

/// The API server's flags.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct ApiServerConfig {
    /// `--service-cluster-ip-range`: where Services' addresses come from.
    pub service_addresses: AddressRange,
    /// `--service-node-port-range`: the first node port …
    pub node_port_min: u16,
    /// … and the last.
    pub node_port_max: u16,
    /// `--admission-control-config-file`: that of the plugin PodSecurity.
    #[serde(default)]
    pub pod_security: PodSecurityConfig,
}

impl Default for ApiServerConfig {
    /// The addresses are those of kubeadm (the API server's own default is 10.0.0.0/24); the ports are the API
    /// server's.
    fn default() -> Self {
        let service_addresses = AddressRange { first: 10 << 24 | 96 << 16, prefix: 12 };
        ApiServerConfig {
            service_addresses,
            node_port_min: 30_000,
            node_port_max: 32_767,
            pod_security: PodSecurityConfig::default(),
        }
    }
}

/// A range of IPv4 addresses, such as 10.96.0.0/12.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct AddressRange {
    /// The network's address as a number; the bits behind the prefix are zero.
    pub first: u32,
    /// How many bits are the network's (8 ..= 30).
    pub prefix: u8,
}

impl AddressRange {
    /// How many addresses there are, with the network's own and the broadcast address.
    pub fn size(self) -> u32 {
        1 << (32 - u32::from(self.prefix))
    }
}

/// The CSI drivers of a cluster.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct StorageConfig {
    /// The drivers; on every node.
    pub drivers: Vec<CsiDriverConfig>,
}

/// A modelled CSI driver.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct CsiDriverConfig {
    /// Its name, which StorageClasses give as their provisioner.
    pub name: Name,
    /// Whether its volumes are attached to nodes before they are mounted.
    pub attach_required: bool,
    /// The node labels that tell where a volume can be reached; empty is everywhere.
    pub topology_keys: Vec<Name>,
    /// How many volumes a node can have; `None` is no limit.
    pub volumes_per_node: Option<u32>,
    /// How long it takes to make or to delete a volume.
    pub provision: SpanRange,
    /// How long it takes to attach a volume.
    pub attach: SpanRange,
    /// How long it takes to detach a volume.
    pub detach: SpanRange,
    /// How long it takes to enlarge a volume.
    pub resize: SpanRange,
}

/// A time that is drawn evenly from `min` up to `max`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct SpanRange {
    /// The least.
    pub min: Span,
    /// The bound; not below the least.
    pub max: Span,
}

/// How lease renewals reach the node lifecycle. Both give the same facts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Heartbeats {
    /// Each renewal is a message of its own.
    #[default]
    Exact,
    /// The world vouches for nodes whose renewals come in time; only what can change something is delivered.
    Analytic,
}

/// A client's rate limit: a bucket of `burst` tokens that refills with `per_second`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct RateLimit {
    /// Requests per second in the long run (≥ 1).
    pub per_second: u32,
    /// Requests at once after a pause (≥ 1).
    pub burst: u32,
}

/// The controller manager's flags.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct ControllerManagerConfig {
    /// `--kube-api-qps`, `--kube-api-burst`, for each controller's client; `None` is no limit.
    pub client_limit: Option<RateLimit>,
    /// `--concurrent-deployment-syncs`, `--concurrent-replicaset-syncs` and so on (most are 5).
    pub concurrent_syncs: u32,
    /// `--node-monitor-period`.
    pub node_monitor_period: Span,
    /// `--node-monitor-grace-period`.
    pub node_monitor_grace_period: Span,
    /// `--node-startup-grace-period`.
    pub node_startup_grace_period: Span,
    /// `--node-eviction-rate` in nodes per 1,000 s (default 100, which is 0.1 per second).
    pub node_eviction_rate_per_1000_s: u32,
    /// `--secondary-node-eviction-rate` in nodes per 1,000 s (default 10).
    pub secondary_node_eviction_rate_per_1000_s: u32,
    /// `--large-cluster-size-threshold`.
    pub large_cluster_size_threshold: u32,
    /// `--unhealthy-zone-threshold` in percent (default 55).
    pub unhealthy_zone_threshold_percent: u32,
    /// How often pods of nodes that are gone are collected.
    pub pod_gc_period: Span,
    /// How long a node must have been gone before its pods are collected.
    pub pod_gc_quarantine: Span,
}

impl Default for ControllerManagerConfig {
    /// Source: kubernetes-semantics §1.1, §1.2 (v1.34).
    fn default() -> Self {
        ControllerManagerConfig {
            client_limit: Some(RateLimit { per_second: 20, burst: 30 }),
            concurrent_syncs: 5,
            node_monitor_period: Span::from_secs(5),
            node_monitor_grace_period: Span::from_secs(50),
            node_startup_grace_period: Span::from_secs(60),
            node_eviction_rate_per_1000_s: 100,
            secondary_node_eviction_rate_per_1000_s: 10,
            large_cluster_size_threshold: 50,
            unhealthy_zone_threshold_percent: 55,
            pod_gc_period: Span::from_secs(20),
            pod_gc_quarantine: Span::from_secs(40),
        }
    }
}

/// How a node is chosen among several with the top score.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Ties {
    /// Drawn, as kube-scheduler does.
    #[default]
    Seeded,
    /// The lexicographically smallest name, for comparisons.
    First,
}

/// What decides on nodes beside, or instead of, the scores of Kubernetes; see [`crate::scheduler::policies`].
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct PolicyConfig {
    /// Scores by name, of Kubernetes' plugins or of policies, with their weights (≥ 1); no other scores count.
    pub scores: Vec<(Name, i64)>,
    /// Filters beside those of Kubernetes.
    pub filters: Vec<Name>,
    /// What the workload is typically made of, for the policies that ask.
    pub typical_pods: TypicalPods,
}

/// The scheduler's settings.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct SchedulerConfig {
    /// `clientConnection.qps` and `burst`; `None` is no limit.
    pub client_limit: Option<RateLimit>,
    /// How ties are broken.
    pub ties: Ties,
    /// `percentageOfNodesToScore` of profiles that do not set their own; 0 is adaptive.
    pub percentage_of_nodes_to_score: u32,
    /// What attempts cost of the scheduler's own time: nothing in the real world, where that passes by itself, and in
    /// studies of placement alone.
    pub cost: SchedulingCost,
    /// `podInitialBackoffSeconds`.
    pub backoff_initial: Span,
    /// `podMaxBackoffSeconds`.
    pub backoff_max: Span,
    /// How long a pod stays unschedulable before it is tried again without cause.
    pub unschedulable_flush_after: Span,
    /// `profiles`, with distinct names; pods that name none of them are nobody's.
    pub profiles: Vec<ProfileConfig>,
    /// Policies beside the plugins of every profile; `None` leaves the profiles as they are.
    pub policy: Option<PolicyConfig>,
    /// Whether the next pod is tried while the status of one that no node took is being written
    /// (`SchedulerAsyncAPICalls`).
    #[serde(default = "asynchronous")]
    pub async_api_calls: bool,
    /// In how many of a hundred cases a change of a claim or volume moves the queue before `VolumeBinding` has heard of
    /// it: each has a handler of its own, and which is called first is chance. A pod that is tried at once then fails
    /// as before, and waits for the next change; if the claim is new, the attempt ends in an error. 0 is never.
    #[serde(default)]
    pub late_volume_news_percent: u8,
}

fn asynchronous() -> bool {
    true
}

impl Default for SchedulerConfig {
    /// Source: pkg/scheduler/apis/config/v1/defaults.go (v1.34).
    fn default() -> Self {
        SchedulerConfig {
            client_limit: Some(RateLimit { per_second: 50, burst: 100 }),
            ties: Ties::Seeded,
            percentage_of_nodes_to_score: 0,
            cost: SchedulingCost::NONE,
            backoff_initial: Span::from_secs(1),
            backoff_max: Span::from_secs(10),
            unschedulable_flush_after: Span::from_secs(300),
            profiles: vec![ProfileConfig::default()],
            policy: None,
            async_api_calls: asynchronous(),
            late_volume_news_percent: 0,
        }
    }
}

/// The kubelets' settings.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct KubeletConfig {
    /// Time between lease renewals before jitter (a quarter of `nodeLeaseDurationSeconds`).
    pub lease_renew_interval: Span,
    /// Jitter of that time in percent: each interval is drawn from 100 % to 100 % + this.
    pub lease_jitter_percent: u32,
    /// How often the containers are listed (PLEG); zero if the runtime's events are themselves the truth.
    pub relist_period: Span,
    /// First back-off of a crashing container or a failing pull.
    pub backoff_initial: Span,
    /// Largest back-off of a crashing container or a failing pull.
    pub backoff_max: Span,
    /// `serializeImagePulls`.
    pub serialize_image_pulls: bool,
    /// How long a request to the API server may go unanswered before it is sent again.
    pub request_timeout: Span,
    /// `maxParallelImagePulls`, if pulls are not serial; `None` is no limit.
    pub max_parallel_image_pulls: Option<u32>,
    /// `registryPullQPS` and `registryBurst`; `None` is no limit.
    pub registry_limit: Option<RateLimit>,
    /// When images that no container uses are removed.
    pub image_gc: ImageGcConfig,
    /// When pods are evicted because the node runs short.
    pub eviction: EvictionConfig,
    /// How a machine that shuts down ends its pods.
    pub shutdown: ShutdownConfig,
    /// Whether containers are given the variables of Services, for which each kubelet watches all of them. Where
    /// nothing reads variables they would cost a message per node and Service.
    #[serde(default)]
    pub service_variables: bool,
}

impl Default for KubeletConfig {
    /// Source: kubernetes-semantics §1.1, §1.7 (v1.34).
    fn default() -> Self {
        KubeletConfig {
            lease_renew_interval: Span::from_secs(10),
            lease_jitter_percent: 4,
            relist_period: Span::from_secs(1),
            backoff_initial: Span::from_secs(10),
            backoff_max: Span::from_secs(300),
            serialize_image_pulls: true,
            request_timeout: Span::from_secs(10),
            max_parallel_image_pulls: None,
            registry_limit: Some(RateLimit { per_second: 5, burst: 10 }),
            image_gc: ImageGcConfig::default(),
            eviction: EvictionConfig::default(),
            shutdown: ShutdownConfig::default(),
            service_variables: false,
        }
    }
}

/// The kubelets' garbage collection of images.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct ImageGcConfig {
    /// `imageGCHighThresholdPercent`: from this share of the image file system on images are removed.
    pub high_threshold_percent: u32,
    /// `imageGCLowThresholdPercent`: down to this share.
    pub low_threshold_percent: u32,
    /// `imageMinimumGCAge`: an image that has been there for less stays.
    pub minimum_age: Span,
    /// How often the share is looked at.
    pub period: Span,
}

impl Default for ImageGcConfig {
    /// Source: kubernetes-semantics §1.7; `ImageGCPeriod`, pkg/kubelet/kubelet.go (v1.34.1).
    fn default() -> Self {
        ImageGcConfig {
            high_threshold_percent: 85,
            low_threshold_percent: 80,
            minimum_age: Span::from_secs(120),
            period: Span::from_secs(300),
        }
    }
}

/// What a node can run short of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum EvictionSignal {
    /// `memory.available`.
    MemoryAvailable,
    /// `nodefs.available`.
    NodeFsAvailable,
    /// `imagefs.available`.
    ImageFsAvailable,
    /// `pid.available`.
    PidAvailable,
}

/// How much of something, as a number or as a share of all there is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum EvictionAmount {
    /// Bytes, or processes.
    Number(i64),
    /// Thousandths of the capacity.
    Permille(u32),
}

/// One threshold of eviction: met while less than `value` is available.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct EvictionThreshold {
    /// Of what.
    pub signal: EvictionSignal,
    /// How little is too little.
    pub value: EvictionAmount,
    /// How long it must have been met; `None` is a hard threshold, which acts at once.
    pub grace: Option<Span>,
}

/// The kubelets' eviction of pods from nodes that run short.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct EvictionConfig {
    /// `evictionHard`, `evictionSoft` with `evictionSoftGracePeriod`.
    pub thresholds: Vec<EvictionThreshold>,
    /// `evictionMinimumReclaim`: so much more than the threshold must be available before it counts as not met.
    pub minimum_reclaim: Vec<(EvictionSignal, EvictionAmount)>,
    /// `evictionPressureTransitionPeriod`: how long a condition stays after it was last seen.
    pub pressure_transition_period: Span,
    /// `evictionMaxPodGracePeriod`: the grace of pods that a soft threshold evicts.
    pub max_pod_grace: Span,
    /// How often the node is looked at while it runs short.
    pub period: Span,
}

impl Default for EvictionConfig {
    /// Source: pkg/kubelet/eviction/defaults_linux.go; `evictionMonitoringPeriod`, pkg/kubelet/kubelet.go (v1.34.1).
    fn default() -> Self {
        let hard = |signal, value| EvictionThreshold { signal, value, grace: None };
        EvictionConfig {
            thresholds: vec![
                hard(EvictionSignal::MemoryAvailable, EvictionAmount::Number(100 << 20)),
                hard(EvictionSignal::NodeFsAvailable, EvictionAmount::Permille(100)),
                hard(EvictionSignal::ImageFsAvailable, EvictionAmount::Permille(150)),
            ],
            minimum_reclaim: Vec::new(),
            pressure_transition_period: Span::from_secs(300),
            max_pod_grace: Span::ZERO,
            period: Span::from_secs(10),
        }
    }
}

/// How a machine that shuts down ends its pods.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct ShutdownConfig {
    /// `shutdownGracePeriod`, the time for all pods together; zero ends them without a word.
    pub grace: Span,
    /// `shutdownGracePeriodCriticalPods`: the end of that time, which belongs to critical pods alone.
    pub critical_grace: Span,
    /// `shutdownGracePeriodByPodPriority`: (priority from which on, time); replaces the other two if it is not empty.
    pub by_priority: Vec<(i32, Span)>,
}
