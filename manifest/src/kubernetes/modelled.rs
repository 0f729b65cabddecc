//! Which fields of a manifest the core acts on, so that the others can be named rather than passed over in silence.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use super::kinds::Manifest;
use super::located::Located;
use crate::yaml::{Node, Value};

/// Paths that the core acts on or that change nothing. `[]` is any item, `**` everything below; `@pod` stands for a
/// pod's spec and `@container` for a container.
const MODELLED: &[(&str, &[&str])] = &[
    ("", &["apiVersion", "kind", "metadata.**"]),
    ("Namespace", &["spec.finalizers", "status.**"]),
    ("EndpointSlice", &["addressType", "endpoints.**", "ports.**"]),
    ("Endpoints", &["subsets.**"]),
    (
        "Node",
        &["spec.unschedulable", "spec.taints.**", "spec.providerID", "spec.podCIDR", "spec.podCIDRs", "status.**"],
    ),
    ("Pod", &["spec.@pod", "spec.hostname", "spec.subdomain", "status.**"]),
    (
        "ReplicaSet",
        &[
            "spec.replicas",
            "spec.minReadySeconds",
            "spec.selector.**",
            "spec.template.metadata.**",
            "spec.template.spec.@pod",
            "status.**",
        ],
    ),
    (
        "ReplicationController",
        &[
            "spec.replicas",
            "spec.minReadySeconds",
            "spec.selector.**",
            "spec.template.metadata.**",
            "spec.template.spec.@pod",
            "status.**",
        ],
    ),
    (
        "Deployment",
        &[
            "spec.replicas",
            "spec.minReadySeconds",
            "spec.selector.**",
            "spec.strategy.**",
            "spec.paused",
            "spec.revisionHistoryLimit",
            "spec.progressDeadlineSeconds",
            "spec.template.metadata.**",
            "spec.template.spec.@pod",
            "status.**",
        ],
    ),
    (
        "StatefulSet",
        &[
            "spec.replicas",
            "spec.minReadySeconds",
            "spec.ordinals.start",
            "spec.selector.**",
            "spec.serviceName",
            "spec.podManagementPolicy",
            "spec.updateStrategy.type",
            "spec.updateStrategy.rollingUpdate.partition",
            "spec.revisionHistoryLimit",
            "spec.persistentVolumeClaimRetentionPolicy.**",
            "spec.volumeClaimTemplates.**",
            "spec.template.metadata.**",
            "spec.template.spec.@pod",
            "status.**",
        ],
    ),
    (
        "DaemonSet",
        &[
            "spec.minReadySeconds",
            "spec.selector.**",
            "spec.updateStrategy.**",
            "spec.revisionHistoryLimit",
            "spec.template.metadata.**",
            "spec.template.spec.@pod",
            "status.**",
        ],
    ),
    (
        "PodDisruptionBudget",
        &[
            "spec.minAvailable",
            "spec.maxUnavailable",
            "spec.selector.**",
            "spec.unhealthyPodEvictionPolicy",
            "status.**",
        ],
    ),
    (
        "Job",
        &[
            "spec.parallelism",
            "spec.completions",
            "spec.completionMode",
            "spec.suspend",
            "spec.activeDeadlineSeconds",
            "spec.backoffLimit",
            "spec.backoffLimitPerIndex",
            "spec.maxFailedIndexes",
            "spec.podFailurePolicy.**",
            "spec.successPolicy.**",
            "spec.podReplacementPolicy",
            "spec.ttlSecondsAfterFinished",
            "spec.managedBy",
            "spec.manualSelector",
            "spec.selector.**",
            "spec.template.metadata.**",
            "spec.template.spec.@pod",
            "status.**",
        ],
    ),
    (
        "CronJob",
        &[
            "spec.schedule",
            "spec.timeZone",
            "spec.startingDeadlineSeconds",
            "spec.concurrencyPolicy",
            "spec.suspend",
            "spec.successfulJobsHistoryLimit",
            "spec.failedJobsHistoryLimit",
            "spec.jobTemplate.metadata.**",
            "spec.jobTemplate.spec.parallelism",
            "spec.jobTemplate.spec.completions",
            "spec.jobTemplate.spec.completionMode",
            "spec.jobTemplate.spec.suspend",
            "spec.jobTemplate.spec.activeDeadlineSeconds",
            "spec.jobTemplate.spec.backoffLimit",
            "spec.jobTemplate.spec.backoffLimitPerIndex",
            "spec.jobTemplate.spec.maxFailedIndexes",
            "spec.jobTemplate.spec.podFailurePolicy.**",
            "spec.jobTemplate.spec.successPolicy.**",
            "spec.jobTemplate.spec.podReplacementPolicy",
            "spec.jobTemplate.spec.ttlSecondsAfterFinished",
            "spec.jobTemplate.spec.managedBy",
            "spec.jobTemplate.spec.manualSelector",
            "spec.jobTemplate.spec.selector.**",
            "spec.jobTemplate.spec.template.metadata.**",
            "spec.jobTemplate.spec.template.spec.@pod",
            "status.**",
        ],
    ),
    (
        "Service",
        &[
            "spec.selector.**",
            "spec.ports.**",
            "spec.type",
            "spec.externalName",
            "spec.clusterIP",
            "spec.clusterIPs.**",
            "spec.publishNotReadyAddresses",
            "spec.sessionAffinity",
            "spec.sessionAffinityConfig.**",
            "spec.ipFamilies.**",
            "spec.ipFamilyPolicy",
            "spec.internalTrafficPolicy",
            "spec.externalTrafficPolicy",
            "spec.allocateLoadBalancerNodePorts",
            "spec.healthCheckNodePort",
            "spec.trafficDistribution",
            "status.**",
        ],
    ),
    (
        "PersistentVolume",
        &[
            "spec.capacity.**",
            "spec.accessModes.**",
            "spec.persistentVolumeReclaimPolicy",
            "spec.storageClassName",
            "spec.volumeMode",
            "spec.volumeAttributesClassName",
            "spec.claimRef.**",
            "spec.nodeAffinity.required.nodeSelectorTerms.[].matchExpressions.**",
            "spec.csi.**",
            "spec.hostPath.**",
            "spec.local.**",
            "spec.nfs.**",
            "spec.gcePersistentDisk.**",
            "spec.awsElasticBlockStore.**",
            "spec.azureDisk.**",
            "spec.cinder.**",
            "spec.iscsi.**",
            "spec.rbd.**",
            "status.**",
        ],
    ),
    (
        "PersistentVolumeClaim",
        &[
            "spec.accessModes.**",
            "spec.resources.requests.storage",
            "spec.selector.**",
            "spec.storageClassName",
            "spec.volumeMode",
            "spec.volumeAttributesClassName",
            "spec.volumeName",
            "status.**",
        ],
    ),
    ("ConfigMap", &["data.**", "binaryData.**", "immutable"]),
    ("Secret", &["data.**", "stringData.**", "type", "immutable"]),
    ("ServiceAccount", &["secrets.**", "imagePullSecrets.**", "automountServiceAccountToken"]),
    ("ResourceQuota", &["spec.**", "status.**"]),
    ("LimitRange", &["spec.**"]),
    ("PriorityClass", &["value", "globalDefault", "preemptionPolicy", "description"]),
    ("StorageClass", &["provisioner", "reclaimPolicy", "volumeBindingMode", "allowedTopologies.**"]),
    ("CSINode", &["spec.drivers.**"]),
    ("CSIDriver", &["spec.attachRequired", "spec.storageCapacity"]),
    ("CSIStorageCapacity", &["storageClassName", "nodeTopology.**", "capacity", "maximumVolumeSize"]),
    ("VolumeAttachment", &["spec.attacher", "spec.nodeName", "spec.source.persistentVolumeName", "status.**"]),
];

const POD: &[&str] = &[
    "volumes.[].name",
    "volumes.[].emptyDir.**",
    "volumes.[].persistentVolumeClaim.**",
    "volumes.[].ephemeral.volumeClaimTemplate.**",
    "volumes.[].configMap.**",
    "volumes.[].secret.**",
    "volumes.[].downwardAPI.**",
    "volumes.[].projected.defaultMode",
    "volumes.[].projected.sources.[].configMap.**",
    "volumes.[].projected.sources.[].secret.**",
    "volumes.[].projected.sources.[].downwardAPI.**",
    "serviceAccountName",
    "serviceAccount",
    "automountServiceAccountToken",
    "enableServiceLinks",
    "imagePullSecrets.**",
    "volumes.[].csi.driver",
    "volumes.[].gcePersistentDisk.**",
    "volumes.[].awsElasticBlockStore.**",
    "volumes.[].azureDisk.**",
    "volumes.[].cinder.**",
    "volumes.[].iscsi.**",
    "volumes.[].rbd.**",
    "containers.[].@container",
    "initContainers.[].@container",
    "restartPolicy",
    "terminationGracePeriodSeconds",
    "nodeName",
    "nodeSelector.**",
    "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms.[].matchExpressions.**",
    "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms.[].matchFields.**",
    "affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution.[].weight",
    "affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution.[].preference.matchExpressions.**",
    "affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution.[].preference.matchFields.**",
    "affinity.podAffinity.**",
    "affinity.podAntiAffinity.**",
    "topologySpreadConstraints.**",
    "schedulingGates.**",
    "preemptionPolicy",
    "priorityClassName",
    "tolerations.**",
    "overhead.**",
    "resources.requests.**",
    "priority",
    "schedulerName",
    "hostNetwork",
    "activeDeadlineSeconds",
    "readinessGates.**",
];

const CONTAINER: &[&str] = &[
    "name",
    "image",
    "imagePullPolicy",
    "command.**",
    "args.**",
    "workingDir",
    "env.[].name",
    "env.[].value",
    "env.[].valueFrom.fieldRef.**",
    "env.[].valueFrom.resourceFieldRef.**",
    "env.[].valueFrom.configMapKeyRef.**",
    "env.[].valueFrom.secretKeyRef.**",
    "envFrom.**",
    "volumeMounts.[].name",
    "volumeMounts.[].mountPath",
    "volumeMounts.[].subPath",
    "ports.**",
    "resources.requests.**",
    "resources.limits.**",
    "restartPolicy",
    "readinessProbe.**",
    "livenessProbe.**",
    "startupProbe.**",
    "lifecycle.**",
];

/// What the levels of PodSecurity look at in a pod and in a container, and nothing else does.
const POD_LEVELS: &[&str] = &[
    "hostPID",
    "hostIPC",
    "securityContext.appArmorProfile.**",
    "securityContext.runAsNonRoot",
    "securityContext.runAsUser",
    "securityContext.seLinuxOptions.**",
    "securityContext.seccompProfile.**",
    "securityContext.sysctls.**",
    "securityContext.windowsOptions.hostProcess",
];
const CONTAINER_LEVELS: &[&str] = &[
    "securityContext.allowPrivilegeEscalation",
    "securityContext.appArmorProfile.**",
    "securityContext.capabilities.**",
    "securityContext.privileged",
    "securityContext.procMount",
    "securityContext.runAsNonRoot",
    "securityContext.runAsUser",
    "securityContext.seLinuxOptions.**",
    "securityContext.seccompProfile.**",
    "securityContext.windowsOptions.hostProcess",
];

/// The modelled fields of each kind; those of every kind stand under the empty name and in each of the others.
type Trees = BTreeMap<&'static str, Branch>;

static TREES: LazyLock<Trees> = LazyLock::new(|| {
    let common = MODELLED.iter().filter(|(of, _)| of.is_empty()).flat_map(|(_, paths)| *paths);
    let tree = |own: &'static [&str]| {
        let mut tree = Branch::default();
        common.clone().chain(own).for_each(|path| tree.grow(path, false));
        tree
    };
    MODELLED.iter().map(|(kind, own)| (*kind, tree(own))).collect()
});

/// A field on the way to modelled ones, or one of them.
#[derive(Default)]
struct Branch {
    /// It is modelled, with all that is below it.
    modelled: bool,
    /// Only levels look at it, or at what is below it.
    for_levels: bool,
    below: BTreeMap<&'static str, Branch>,
}

impl Branch {
    /// Adds the fields of a path of [`MODELLED`] that begins here, `for_levels` if nothing else looks at them.
    fn grow(&mut self, path: &'static str, for_levels: bool) {
        let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
        let (group, looked_at) = match first {
            "@pod" => (POD, POD_LEVELS),
            "@container" => (CONTAINER, CONTAINER_LEVELS),
            "**" => return self.modelled = true,
            field => {
                let branch = self.below.entry(field).or_insert(Branch { for_levels, ..Branch::default() });
                branch.for_levels &= for_levels;
                return match rest {
                    Some(rest) => branch.grow(rest, for_levels),
                    None => branch.modelled = true,
                };
            }
        };
        group.iter().for_each(|path| self.grow(path, for_levels));
        looked_at.iter().for_each(|path| self.grow(path, true));
    }
}

/// Where a field changes nothing in the cluster: the levels of PodSecurity look at some that nothing else looks at,
/// where a namespace's labels enforce one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Unmodelled {
    /// Everywhere.
    Everywhere,
    /// Where no level is enforced.
    WithoutLevel,
    /// Where one is enforced; elsewhere it is named as part of a larger field.
    UnderLevel,
}

impl Unmodelled {
    /// Whether it is so in a namespace that enforces a level, or in one that does not.
    pub fn holds(self, under_level: bool) -> bool {
        match self {
            Unmodelled::Everywhere => true,
            Unmodelled::WithoutLevel => !under_level,
            Unmodelled::UnderLevel => under_level,
        }
    }
}

/// The fields of an object that were written, are valid, and change nothing in the cluster: they are kept and shown
/// again, that is all. Each path once, list items as `[]`, sorted, with where that is so.
pub fn unmodelled_fields(located: &Located<Manifest>) -> Vec<(String, Unmodelled)> {
    let tree = TREES.get(located.value.kind().kind).unwrap_or(&TREES[""]);
    let mut found = BTreeSet::new();
    walk(&located.source, tree, true, &mut Vec::new(), &mut found);
    found.into_iter().collect()
}

/// Walks a node; `everywhere` unless a field above it is named already where no level is enforced.
fn walk<'n>(
    node: &'n Node,
    branch: &Branch,
    everywhere: bool,
    path: &mut Vec<&'n str>,
    found: &mut BTreeSet<(String, Unmodelled)>,
) {
    let mut enter = |name: &'n str, value: &'n Node| {
        if value.value == Value::Null {
            return;
        }
        path.push(name);
        let mut note = |path: &[&str], what| {
            found.insert((path.join(".").replace(".[]", "[]"), what));
        };
        match branch.below.get(name) {
            Some(below) => {
                if everywhere && below.for_levels {
                    note(path, Unmodelled::WithoutLevel);
                }
                if !below.modelled {
                    walk(value, below, everywhere && !below.for_levels, path, found);
                }
            }
            None => note(path, if everywhere { Unmodelled::Everywhere } else { Unmodelled::UnderLevel }),
        }
        path.pop();
    };
    match &node.value {
        Value::Map(entries) => entries.iter().for_each(|(key, value)| enter(&key.text, value)),
        Value::Seq(items) => items.iter().for_each(|item| enter("[]", item)),
        _ => {}
    }
}
