//! What a pod asks for as a whole, and how much it is worth when its node runs short.

use serde::{Deserialize, Serialize};

use crate::model::{Container, PodSpec, ResourceName, Resources};

/// How much a pod is worth when its node runs short.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum QosClass {
    /// No container has requests or limits.
    BestEffort,
    /// Anything between.
    Burstable,
    /// Every container's limits of CPU and memory are set and equal its requests.
    Guaranteed,
}

/// From this priority on a pod is critical for its cluster.
///
/// Source: `SystemCriticalPriority`, pkg/apis/scheduling/types.go (v1.34.1).
pub const SYSTEM_CRITICAL_PRIORITY: i32 = 2_000_000_000;

/// The kernel's adjustments for the best and the worst class of service.
const GUARANTEED_OOM_ADJUST: i64 = -997;
const BEST_EFFORT_OOM_ADJUST: i64 = 1_000;

impl PodSpec {
    /// The sum over containers and sidecars, or what some init container needs beside the sidecars started before it,
    /// whichever is larger; without overhead.
    pub fn sum_of_containers(&self, of_container: impl Fn(&Container) -> Resources) -> Resources {
        let mut sum = Resources::default();
        for container in &self.containers {
            sum.add(&of_container(container));
        }
        let (mut sidecars, mut starting) = (Resources::default(), Resources::default());
        for container in &self.init_containers {
            let requests = of_container(container);
            if container.sidecar {
                sum.add(&requests);
                sidecars.add(&requests);
                starting.max_with(&sidecars);
            } else {
                let mut beside = requests;
                beside.add(&sidecars);
                starting.max_with(&beside);
            }
        }
        sum.max_with(&starting);
        sum
    }

    /// What the pod asks for as quotas and limits see it, without overhead: its containers' sum or, resource by
    /// resource, what the pod asks for itself.
    pub fn requested(&self) -> Resources {
        let mut sum = self.sum_of_containers(|container| container.requests.clone());
        for (name, amount) in self.pod_requests.iter().flat_map(|own| own.iter()) {
            sum.set(name, *amount);
        }
        sum
    }

    /// The pod's class of service. Only CPU and memory count; of a pod that asks for them as a whole, or limits itself
    /// as a whole, not what its containers say.
    ///
    /// Source: `ComputePodQOS`, pkg/apis/core/v1/helper/qos/qos.go (v1.34.1).
    pub fn qos_class(&self) -> QosClass {
        let (mut any, mut guaranteed) = (false, true);
        let mut count = |requests: &Resources, limits: &Resources| {
            let pairs = [(requests.cpu_milli, limits.cpu_milli), (requests.memory_bytes, limits.memory_bytes)];
            any |= pairs.iter().any(|(request, limit)| *request > 0 || *limit > 0);
            guaranteed &= pairs.iter().all(|(request, limit)| *limit > 0 && (*request == 0 || request == limit));
        };
        if self.pod_requests.is_some() || self.pod_limits.0.is_some() {
            count(&self.requested(), self.pod_limits.0.as_deref().unwrap_or(&Resources::default()));
        } else {
            let containers = self.containers.iter().chain(&self.init_containers);
            containers.for_each(|container| count(&container.requests, &container.limits));
        }
        match (any, guaranteed) {
            (false, _) => QosClass::BestEffort,
            (true, true) => QosClass::Guaranteed,
            (true, false) => QosClass::Burstable,
        }
    }

    /// How readily the kernel ends a container when the machine runs out of memory (-997 ..= 1000; more is sooner).
    ///
    /// Source: `GetContainerOOMScoreAdjust`, pkg/kubelet/qos/policy.go (v1.34.1). Panics if the memory is not positive.
    pub fn oom_score_adjust(&self, container: &Container, memory_bytes: i64) -> i64 {
        assert!(memory_bytes > 0, "a machine has memory");
        let class = self.qos_class();
        if self.priority > SYSTEM_CRITICAL_PRIORITY || class == QosClass::Guaranteed {
            return GUARANTEED_OOM_ADJUST;
        }
        if class == QosClass::BestEffort {
            return BEST_EFFORT_OOM_ADJUST;
        }
        let for_request = |bytes: i64| {
            let share = 1_000 * i128::from(bytes) / i128::from(memory_bytes);
            BEST_EFFORT_OOM_ADJUST - i64::try_from(share).unwrap_or(i64::MAX)
        };
        let share = self.unassigned_memory_per_container();
        let mut score = for_request(container.requests.memory_bytes + share);
        if container.sidecar {
            let least = self.containers.iter().map(|it| it.requests.memory_bytes).min().unwrap_or(0);
            score = score.min(for_request(least + share));
        }
        score.clamp(BEST_EFFORT_OOM_ADJUST + GUARANTEED_OOM_ADJUST, BEST_EFFORT_OOM_ADJUST - 1)
    }

    /// A container's even share of the memory, in bytes, that the pod asks for as a whole and none of its containers
    /// for itself; 0 unless the pod asks for memory as a whole.
    ///
    /// Source: `remainingPodMemReqPerContainer`, pkg/kubelet/qos/helpers.go (v1.34.1).
    fn unassigned_memory_per_container(&self) -> i64 {
        let of_pod = self.pod_requests.as_ref().and_then(|own| own.get(&ResourceName::Memory)).copied().unwrap_or(0);
        if of_pod == 0 {
            return 0;
        }
        let of_containers = self.sum_of_containers(|container| container.requests.clone()).memory_bytes;
        let containers = self.containers.len() + self.init_containers.len();
        (of_pod - of_containers) / i64::try_from(containers.max(1)).unwrap_or(i64::MAX)
    }

    /// How much memory in bytes the pod's control group allows, overhead included; `None` is no limit, as of a pod one
    /// of whose containers has none.
    ///
    /// Source: `ResourceConfigForPod`, pkg/kubelet/cm/helpers_linux.go (v1.34.1).
    pub fn memory_limit(&self) -> Option<i64> {
        let of_pod = self.pod_limits.0.as_ref().map_or(0, |limits| limits.memory_bytes);
        let mut containers = self.containers.iter().chain(&self.init_containers);
        let bytes = match of_pod {
            0 if containers.any(|container| container.limits.memory_bytes == 0) => return None,
            0 => self.sum_of_containers(|container| container.limits.clone()).memory_bytes,
            of_pod => of_pod,
        };
        Some(bytes + self.overhead.memory_bytes).filter(|bytes| *bytes > 0)
    }

    /// Whether the node keeps the pod as long as it can.
    ///
    /// Source: `IsCriticalPod`, pkg/kubelet/types/pod_update.go (v1.34.1). Static and mirror pods are told apart by
    /// annotations of the pod, not by its spec.
    pub fn is_critical(&self) -> bool {
        self.priority >= SYSTEM_CRITICAL_PRIORITY
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PodLimits;

    fn container(request: (i64, i64), limit: (i64, i64)) -> Container {
        let list = |(cpu_milli, memory_bytes)| Resources { cpu_milli, memory_bytes, ..Resources::default() };
        Container { requests: list(request), limits: list(limit), ..Container::default() }
    }

    #[test]
    fn the_class_of_service_follows_from_requests_and_limits() {
        let class =
            |containers: &[Container]| PodSpec { containers: containers.to_vec(), ..PodSpec::default() }.qos_class();
        assert_eq!(class(&[container((0, 0), (0, 0))]), QosClass::BestEffort);
        assert_eq!(class(&[container((100, 64), (100, 64))]), QosClass::Guaranteed);
        assert_eq!(class(&[container((0, 0), (100, 64))]), QosClass::Guaranteed, "requests default to the limits");
        assert_eq!(class(&[container((100, 64), (200, 64))]), QosClass::Burstable);
        assert_eq!(class(&[container((0, 64), (0, 64))]), QosClass::Burstable, "CPU has no limit");
        assert_eq!(class(&[container((100, 64), (100, 64)), container((0, 0), (0, 0))]), QosClass::Burstable);
    }

    #[test]
    fn a_pod_that_asks_as_a_whole_is_not_classed_by_its_containers() {
        let limits = |cpu_milli, memory_bytes| {
            PodLimits(Some(Box::new(Resources { cpu_milli, memory_bytes, ..Resources::default() })))
        };
        let asked = |cpu, memory| Some(Box::new([(ResourceName::Cpu, cpu), (ResourceName::Memory, memory)].into()));
        let class = |pod_requests, pod_limits| {
            let containers = vec![container((0, 0), (0, 0)), container((100, 0), (0, 0))];
            PodSpec { containers, pod_requests, pod_limits, ..PodSpec::default() }.qos_class()
        };
        assert_eq!(class(None, PodLimits::default()), QosClass::Burstable);
        assert_eq!(class(asked(500, 64), limits(500, 64)), QosClass::Guaranteed, "whatever its containers say");
        assert_eq!(class(asked(500, 64), limits(500, 0)), QosClass::Burstable, "memory has no limit");
        assert_eq!(class(asked(500, 64), limits(500, 65)), QosClass::Burstable);
        assert_eq!(class(asked(500, 64), PodLimits::default()), QosClass::Burstable);
    }

    #[test]
    fn who_asked_for_more_memory_is_ended_later() {
        let gib = 1 << 30;
        let adjust = |containers: &[Container], of: usize| {
            let spec = PodSpec { containers: containers.to_vec(), ..PodSpec::default() };
            spec.oom_score_adjust(&spec.containers[of], 10 * gib)
        };
        assert_eq!(adjust(&[container((0, 0), (0, 0))], 0), 1_000);
        assert_eq!(adjust(&[container((100, gib), (100, gib))], 0), -997);
        let two = [container((0, gib), (0, 0)), container((100, 0), (0, 0))];
        assert_eq!((adjust(&two, 0), adjust(&two, 1)), (900, 999));
    }

    #[test]
    fn what_a_pod_asks_for_as_a_whole_is_shared_out_among_its_containers() {
        let gib = 1 << 30;
        let asked = Some(Box::new([(ResourceName::Memory, 5 * gib)].into()));
        let sidecar = Container { sidecar: true, ..container((0, 0), (0, 0)) };
        let spec = PodSpec {
            containers: vec![container((0, 2 * gib), (0, 0)), container((0, gib), (0, 0))],
            init_containers: vec![sidecar, container((0, 0), (0, 0))],
            pod_requests: asked,
            ..PodSpec::default()
        };
        let adjust = |container: &Container| spec.oom_score_adjust(container, 10 * gib);
        // 2 GiB are nobody's: half a GiB for each of the four.
        assert_eq!(spec.containers.iter().map(adjust).collect::<Vec<_>>(), [750, 850]);
        assert_eq!(spec.init_containers.iter().map(adjust).collect::<Vec<_>>(), [850, 950]);
    }

    #[test]
    fn a_pod_may_use_what_its_containers_may_together_unless_one_has_no_limit() {
        let limit = |limits: &[i64], of_pod: i64| {
            let containers = limits.iter().map(|bytes| container((0, 0), (0, *bytes))).collect();
            let whole = Resources { memory_bytes: of_pod, ..Resources::default() };
            let pod_limits = PodLimits((of_pod > 0).then(|| Box::new(whole)));
            PodSpec { containers, pod_limits, ..PodSpec::default() }.memory_limit()
        };
        assert_eq!(limit(&[64, 32], 0), Some(96));
        assert_eq!(limit(&[64, 0], 0), None);
        assert_eq!(limit(&[64, 0], 200), Some(200));
    }
}
