//! Pods: what is wanted of them. Their containers are in `container`, what has become of both in `pod_status`.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

use crate::digest::Shared;
use crate::id::Name;
use crate::model::{
    ConditionKind, Container, Labels, Meta, ObjectReference, Phase, PlacementRules, PodSecurity, PodStatus, PodVolume,
    ResourceName, Resources, SelectorRequirement, Taint, TaintEffect, TokenVolume,
};
use crate::time::{Span, Time};

/// The annotation of a mirror pod: the hash of the static pod that it is the image of.
pub const CONFIG_MIRROR: &str = "kubernetes.io/config.mirror";
/// The annotation of a static pod: the hash of its file.
pub const CONFIG_HASH: &str = "kubernetes.io/config.hash";
/// The annotation that says where a kubelet has a pod from.
pub const CONFIG_SOURCE: &str = "kubernetes.io/config.source";

/// A pod.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Pod {
    /// Names, labels, owner; shared by the pod's versions.
    pub meta: Shared<Meta>,
    /// What is wanted, shared by all pods of a template.
    pub spec: Shared<PodSpec>,
    /// What is wanted of this pod alone; most have nothing.
    pub own: Option<Box<PodOwn>>,
    /// The node that it is bound to; written once.
    pub node: Option<Name>,
    /// What has become of it, shared by who reports it and who stores it.
    pub status: Shared<PodStatus>,
}

/// The part of a pod's spec that it does not share with the other pods of its template. Written once.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct PodOwn {
    /// The only node that may run it: a required node affinity to `metadata.name`, in place of any other.
    pub node: Option<Name>,
    /// Its name in the network, if it has one of its own.
    pub hostname: Name,
    /// The headless Service under which that name stands; empty is none.
    pub subdomain: Name,
}

/// What is wanted of a pod.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct PodSpec {
    /// Containers that run side by side.
    pub containers: Vec<Container>,
    /// Containers that run before, one after the other; those with restart policy Always are sidecars.
    pub init_containers: Vec<Container>,
    /// What happens when a container ends.
    pub restart_policy: RestartPolicy,
    /// How long a pod may take to end by itself.
    pub termination_grace: Span,
    /// Labels that the node must have.
    pub node_selector: Labels,
    /// Required node affinity: alternatives, each a list of requirements; empty is no requirement at all.
    pub required_node_affinity: Vec<Vec<SelectorRequirement>>,
    /// Preferred node affinity: the node with the heaviest matching terms is liked best.
    pub preferred_node_affinity: Vec<PreferredNodeTerm>,
    /// Taints that the pod endures.
    pub tolerations: Vec<Toleration>,
    /// Resources that the pod takes beside its containers'.
    pub overhead: Resources,
    /// What the pod as a whole asks for (`resources.requests`): in place of its containers' sum, resource by resource.
    pub pod_requests: Option<Box<BTreeMap<ResourceName, i64>>>,
    /// What the pod as a whole is limited to.
    #[serde(default)]
    pub pod_limits: PodLimits,
    /// Higher is scheduled first.
    pub priority: i32,
    /// The PriorityClass that the priority comes from, or empty.
    pub priority_class: Name,
    /// The priority that the manifest names itself: refused unless it is what admission finds. `None` in pods that are
    /// stored.
    pub given_priority: Option<i32>,
    /// The scheduler profile that places it.
    pub scheduler_name: Name,
    /// Whether it shares its node's network.
    pub host_network: bool,
    /// How long the pod may be active on its node (`activeDeadlineSeconds`), counted from `status.startTime`.
    pub active_deadline: Option<Span>,
    /// Condition types that must be true besides ContainersReady for the pod to be ready (`readinessGates`).
    pub readiness_gates: Vec<Name>,
    /// What the pod takes from ConfigMaps and Secrets, by name: a missing one that is not optional keeps a container
    /// that names it from being created, and a volume of it the pod from its sandbox.
    pub references: Vec<ObjectReference>,
    /// Its volumes.
    pub volumes: Vec<PodVolume>,
    /// The account that it runs under; empty until admission has said.
    pub account: Name,
    /// Whether it wants the account's token; `None` leaves that to the account.
    pub automount: Option<bool>,
    /// The volume with that token, if the pod gets it.
    pub token: Option<Box<TokenVolume>>,
    /// The Secrets with which its images are pulled, by name.
    pub image_pull_secrets: Vec<Name>,
    /// Gates, topology spread and affinity to other pods; `None` for a pod without any.
    pub rules: Option<Box<PlacementRules>>,
    /// The template as the user wrote it (JSON text); parts that the core does not model are shown from here.
    pub original: Option<Name>,
    /// Whether its containers are told of the Services of its namespace.
    #[serde(default)]
    pub service_links: ServiceLinks,
    /// What the levels of the Pod Security Standards have against it.
    #[serde(default)]
    pub security: PodSecurity,
}

/// What a pod as a whole may take of CPU and memory (`resources.limits`), in the units of [`Resources`]; `None` if it
/// has no limits of its own.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PodLimits(pub Option<Box<Resources>>);

/// A spec without them has the hash that it would have without this field, so that fingerprints stay.
impl Hash for PodLimits {
    fn hash<H: Hasher>(&self, state: &mut H) {
        if let Some(limits) = &self.0 {
            limits.hash(state);
        }
    }
}

/// Whether containers are given the variables of the Services of their namespace (`enableServiceLinks`); they are
/// unless somebody says no.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ServiceLinks(pub bool);

impl Default for ServiceLinks {
    fn default() -> ServiceLinks {
        ServiceLinks(true)
    }
}

/// A spec that does not say no has the hash that it would have without this field, so that fingerprints stay.
impl Hash for ServiceLinks {
    fn hash<H: Hasher>(&self, state: &mut H) {
        if !self.0 {
            state.write_u8(0);
        }
    }
}

impl Default for PodSpec {
    fn default() -> Self {
        PodSpec {
            containers: Vec::new(),
            init_containers: Vec::new(),
            restart_policy: RestartPolicy::Always,
            termination_grace: Span::from_secs(30),
            node_selector: Labels::default(),
            required_node_affinity: Vec::new(),
            preferred_node_affinity: Vec::new(),
            tolerations: Vec::new(),
            overhead: Resources::default(),
            pod_requests: None,
            pod_limits: PodLimits::default(),
            priority: 0,
            priority_class: Name::default(),
            given_priority: None,
            scheduler_name: "default-scheduler".into(),
            host_network: false,
            active_deadline: None,
            readiness_gates: Vec::new(),
            references: Vec::new(),
            volumes: Vec::new(),
            account: Name::default(),
            automount: None,
            token: None,
            image_pull_secrets: Vec::new(),
            rules: None,
            original: None,
            service_links: ServiceLinks::default(),
            security: PodSecurity::default(),
        }
    }
}

/// A preferred term of node affinity.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct PreferredNodeTerm {
    /// What a match counts (1 ..= 100).
    pub weight: i32,
    /// All must hold; a term without requirements matches nothing.
    pub requirements: Vec<SelectorRequirement>,
}

/// What happens when a container ends.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum RestartPolicy {
    /// It is started again.
    Always,
    /// It is started again if it failed.
    OnFailure,
    /// It stays ended.
    Never,
}

/// A taint that a pod endures.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Toleration {
    /// The taint's key; empty with `Exists` is every key.
    pub key: Name,
    /// How the value is compared.
    pub operator: TolerationOperator,
    /// The value for `Equal`.
    pub value: Name,
    /// The effect; `None` is every effect.
    pub effect: Option<TaintEffect>,
    /// How long a NoExecute taint is endured; `None` is for ever.
    pub seconds: Option<i64>,
}

/// How a toleration compares values.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum TolerationOperator {
    /// Any value.
    Exists,
    /// The same value.
    Equal,
}

impl Toleration {
    /// Whether this toleration covers the taint, whatever the time.
    ///
    /// Source: `ToleratesTaint`, staging/src/k8s.io/api/core/v1/toleration.go (v1.34.1).
    pub fn tolerates(&self, taint: &Taint) -> bool {
        if self.effect.is_some_and(|effect| effect != taint.effect) {
            return false;
        }
        if !self.key.is_empty() && self.key != taint.key {
            return false;
        }
        match self.operator {
            TolerationOperator::Exists => true,
            TolerationOperator::Equal => self.value == taint.value,
        }
    }
}

impl Pod {
    /// The only node that may run the pod, if its controller has made it for one.
    pub fn pinned_to(&self) -> Option<&Name> {
        self.own.as_ref().and_then(|own| own.node.as_ref())
    }

    /// The pod's own name in the network; `None` if it has none of its own.
    pub fn hostname(&self) -> Option<&Name> {
        self.own.as_ref().map(|own| &own.hostname).filter(|name| !name.is_empty())
    }

    /// The headless Service under which the hostname stands; `None` if there is none.
    pub fn subdomain(&self) -> Option<&Name> {
        self.own.as_ref().map(|own| &own.subdomain).filter(|name| !name.is_empty())
    }

    /// Whether the Ready condition is true.
    pub fn is_ready(&self) -> bool {
        self.status.conditions.is_true(ConditionKind::Ready)
    }

    /// Whether the pod has ended for good.
    pub fn is_finished(&self) -> bool {
        matches!(self.status.phase, Phase::Succeeded | Phase::Failed)
    }

    /// Whether it is the pod of an earlier version in everything but what its kubelet reports, where that was and taken
    /// on when that was. Versions that share nothing may be told apart though they are equal.
    pub fn is_report_of(&self, before: &Pod) -> bool {
        let same_parts = self.meta.same(&before.meta) && self.spec.same(&before.spec) && self.node == before.node;
        same_parts && self.status.started_at == before.status.started_at
    }

    /// Whether it is a report of an earlier version that runs, and neither ends nor has ended.
    pub fn goes_on_since(&self, before: &Pod) -> bool {
        self.is_report_of(before) && self.node.is_some() && self.is_active() && !before.is_finished()
    }

    /// Whether a controller counts it: not finished and not being deleted.
    ///
    /// Source: `IsPodActive`, pkg/controller/controller_utils.go (v1.34.1).
    pub fn is_active(&self) -> bool {
        !self.is_finished() && !self.meta.is_terminating()
    }

    /// Whether the pod has been ready for at least `min_ready` by now, from the whole second in which it became so,
    /// which is what the API stores.
    ///
    /// Source: `IsPodAvailable`, pkg/api/v1/pod/util.go (v1.34.1).
    pub fn is_available(&self, min_ready: Span, now: Time) -> bool {
        match self.status.conditions.changed_at(ConditionKind::Ready) {
            Some(since) if self.is_ready() => {
                min_ready == Span::ZERO || since.whole_second().saturating_add(min_ready) <= now
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_report_of_a_pod_that_stays_as_and_where_it_is_goes_on() {
        let mut running = Pod { node: Some("node-1".into()), ..Pod::default() };
        running.status.phase = Phase::Running;
        running.status.started_at = Time::from_secs(1).into();
        let after = |change: fn(&mut Pod)| {
            let mut pod = running.clone();
            change(&mut pod);
            pod.goes_on_since(&running)
        };
        assert!(after(|_| {}));
        assert!(after(|pod| pod.status.pod_ip = Some("10.0.0.1".into())));
        assert!(after(|pod| pod.status.phase = Phase::Pending));
        assert!(!after(|pod| pod.status.phase = Phase::Failed));
        assert!(!after(|pod| pod.status.started_at = None.into()));
        assert!(!after(|pod| pod.node = Some("node-2".into())));
        assert!(!after(|pod| pod.meta.labels = Labels::new([("app", "web")])));
        assert!(!after(|pod| pod.spec.priority = 1));
        let mut ending = running.clone();
        ending.meta.deleted_at = Some(Time::ZERO);
        assert!(!ending.goes_on_since(&ending), "who makes room for whom may be reported late");
        let waiting = Pod { node: None, ..running.clone() };
        assert!(!waiting.goes_on_since(&waiting) && !running.goes_on_since(&waiting));
    }
}
