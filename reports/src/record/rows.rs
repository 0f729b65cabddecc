//! One row for each thing that happened, and for each object that there was.
//!
//! Hundreds of thousands of rows tell of some thousands of things in a few words: their [`Text`] is shared.

use arcstr::literal;
use serde::{Deserialize, Serialize};

/// Immutable text; a clone takes no memory of its own.
pub type Text = arcstr::ArcStr;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactRow {
    /// When, in nanoseconds.
    pub time_ns: u64,
    /// Orders the facts of one instant.
    pub seq: u64,
    /// What it concerns: `node`, `pod`, `deployment`, `replicaset`, `service`, `fault`, `action`, `expectation`, …
    pub category: Text,
    /// Which object, such as `pod/default/web-abc`.
    pub subject: Text,
    /// One CamelCase word, such as `Scheduled` or `NodeNotReady`; of an expectation `Held` or `Broken`.
    pub reason: Text,
    /// One sentence; may be empty.
    pub message: Text,
    /// Who asked for the write that shows it, such as `replicaset-controller` or `user`; empty if no write shows it.
    #[serde(default)]
    pub by: Text,
    /// Of a fault or an action: the objects that it was aimed at, as subjects.
    #[serde(default)]
    pub targets: Vec<Text>,
}

impl FactRow {
    /// A row that names no author and was aimed at nothing.
    pub fn new(
        (time_ns, seq): (u64, u64),
        category: impl Into<Text>,
        subject: impl Into<Text>,
        reason: impl Into<Text>,
        message: impl Into<Text>,
    ) -> FactRow {
        let (category, subject, reason, message) = (category.into(), subject.into(), reason.into(), message.into());
        FactRow { time_ns, seq, category, subject, reason, message, by: Text::new(), targets: Vec::new() }
    }
}

/// One Kubernetes event: what a component said about an object, once or often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRow {
    /// When it was first said, in nanoseconds.
    pub first_ns: u64,
    /// When it was last said, as far as that was written, in nanoseconds.
    pub last_ns: u64,
    /// How often it was said (≥ 1).
    pub count: u64,
    /// `Normal` or `Warning`.
    pub kind: Text,
    /// One CamelCase word, such as `FailedCreate`.
    pub reason: Text,
    /// Which object, such as `pod/default/web-abc`.
    pub subject: Text,
    /// Who says it, such as `deployment-controller`, or `kubelet, node-1`.
    pub source: Text,
    /// One sentence.
    pub message: Text,
}

/// The life of one pod. A time is `None` when that did not happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodRow {
    /// The pod's namespace.
    pub namespace: Text,
    /// The pod's name.
    pub name: Text,
    /// The controlling object, such as `ReplicaSet/web-5d4f`; empty for a bare pod.
    pub owner: Text,
    /// The node it was bound to.
    pub node: Option<Text>,
    /// Written to the API server.
    pub created_ns: u64,
    /// Bound to its node.
    pub scheduled_ns: Option<u64>,
    /// All images on the node.
    pub pulled_ns: Option<u64>,
    /// All containers started for the first time.
    pub started_ns: Option<u64>,
    /// Ready for the first time.
    pub ready_ns: Option<u64>,
    /// Deletion requested.
    pub deleted_ns: Option<u64>,
    /// Removed from the API server.
    pub gone_ns: Option<u64>,
    /// Container restarts.
    pub restarts: u64,
    /// The last phase: Pending, Running, Succeeded, Failed or Unknown.
    pub phase: Text,
    /// The last reason, such as `CrashLoopBackOff` or `Unschedulable`; empty when there is none.
    pub reason: Text,
}

impl PodRow {
    /// A pod that was written to the API server and to which nothing has happened yet.
    pub fn created(namespace: Text, name: Text, owner: Text, created_ns: u64) -> PodRow {
        PodRow {
            namespace,
            name,
            owner,
            node: None,
            created_ns,
            scheduled_ns: None,
            pulled_ns: None,
            started_ns: None,
            ready_ns: None,
            deleted_ns: None,
            gone_ns: None,
            restarts: 0,
            phase: literal!("Pending"),
            reason: Text::new(),
        }
    }
}

/// The life of one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRow {
    /// The node's name.
    pub name: String,
    /// Its `topology.kubernetes.io/zone`; empty when it has none.
    pub zone: String,
    /// Allocatable CPU, in thousandths of a core.
    pub cpu_milli: u64,
    /// Allocatable memory, in bytes.
    pub memory_bytes: u64,
    /// Allocatable pods.
    pub pods: u64,
    /// Registered with the API server.
    pub created_ns: u64,
    /// Ready for the first time.
    pub ready_ns: Option<u64>,
    /// Removed from the API server.
    pub gone_ns: Option<u64>,
    /// When its Ready condition was not True, after the first time that it was.
    pub not_ready: Vec<Interval>,
    /// Pods bound to it when the run ended.
    pub pods_end: u64,
    /// The most pods that were bound to it at one time.
    pub pods_max: u64,
}

/// A stretch of time. `to_ns` is `None` when it lasted to the end of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    /// Where it begins.
    pub from_ns: u64,
    /// Where it ends.
    pub to_ns: Option<u64>,
}

/// One service, as its endpoint slices tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceRow {
    /// The service's namespace.
    pub namespace: String,
    /// The service's name.
    pub name: String,
    /// First time that an endpoint was ready.
    pub first_ready_ns: Option<u64>,
    /// Time without a ready endpoint, after the first time that there was one.
    pub without_endpoints_ns: u64,
    /// The fewest ready endpoints after the first time that there was one.
    pub ready_min: u64,
    /// Ready endpoints when the run ended.
    pub ready_end: u64,
    /// Endpoints that were not ready when the run ended.
    pub not_ready_end: u64,
}

/// A fault, as a stretch of time on the plots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// When it struck.
    pub from_ns: u64,
    /// When it was undone: equal to `from_ns` for an instant, `None` when it lasted to the end of the run.
    pub to_ns: Option<u64>,
    /// A few words.
    pub label: String,
}
