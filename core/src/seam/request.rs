//! What can be asked of an API server.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{Name, Revision, Uid};
use crate::model::{ConditionKind, Kind, Labels, Namespace, Object, ObjectKey, Selector, Status3, Taint, TaintEffect};
use crate::time::Span;

/// What a client asks for.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Request {
    /// Store a new object.
    Create(Object),
    /// Replace an object's labels, annotations, owners, finalizers and spec; its status stays.
    Update {
        /// The new object, found by its key.
        object: Object,
        /// The version that it was made from; `None` replaces whatever is there.
        expected: Option<Revision>,
    },
    /// Replace an object's status; everything else stays.
    UpdateStatus {
        /// The object with its new status, found by its key and uid.
        object: Object,
        /// The version that it was made from; `None` replaces whatever is there.
        expected: Option<Revision>,
    },
    /// Create the object or bring an existing one to what it says, as `kubectl apply` does.
    Apply {
        /// The object as the user's manifest has it.
        object: Object,
        /// Whether the manifest names a number of replicas; if not, an existing object keeps its own.
        sets_replicas: bool,
    },
    /// Change one thing about an object.
    Patch {
        /// The object.
        key: ObjectKey,
        /// The change.
        patch: Patch,
    },
    /// Delete an object.
    Delete {
        /// The object.
        key: ObjectKey,
        /// Refuse if the object of that name has another identity.
        uid: Option<Uid>,
        /// Grace for a pod; `None` is the pod's own, zero removes it at once.
        grace: Option<Span>,
        /// What becomes of the objects that it owns.
        propagation: Propagation,
    },
    /// Delete the objects of a kind whose labels a selector matches, as `kubectl delete -l` does, by name.
    DeleteMatching {
        /// The kind.
        kind: Kind,
        /// The namespace; empty for cluster-scoped kinds.
        namespace: Name,
        /// Which ones.
        selector: Selector,
        /// Grace for pods; `None` is their own, zero removes them at once.
        grace: Option<Span>,
        /// What becomes of the objects that they own.
        propagation: Propagation,
    },
    /// Delete a pod if its disruption budget allows it (the eviction subresource).
    Evict {
        /// The pod.
        key: ObjectKey,
        /// Refuse if the pod of that name has another identity.
        uid: Option<Uid>,
        /// Grace; `None` is the pod's own.
        grace: Option<Span>,
        /// Only say whether it would be granted.
        dry_run: bool,
    },
    /// Bind a pod to a node; refused if it is bound already.
    Bind {
        /// The pod's namespace.
        namespace: Name,
        /// The pod's name.
        name: Name,
        /// The pod's identity.
        uid: Uid,
        /// The node's name.
        node: Name,
    },
    /// Read an object as it is stored now. Controllers do so before some writes, and each reading costs a token.
    Get(ObjectKey),
    /// List the pods that are bound to a node.
    PodsOf {
        /// The node's name.
        node: Name,
    },
    /// A kubelet reads a ConfigMap or Secret and watches it from then on, whether or not it is there.
    WatchConfig(ObjectKey),
    /// A kubelet lists its node's pods and watches them from then on.
    WatchPods {
        /// The node's name.
        node: Name,
    },
    /// Replace a namespace's labels, annotations and finalizers, those of its spec too (the finalize subresource).
    Finalize {
        /// The namespace, found by its name.
        namespace: Arc<Namespace>,
        /// The version that it was made from; `None` replaces whatever is there.
        expected: Option<Revision>,
    },
    /// A kubelet lists all Services and watches them from then on.
    WatchServices,
    /// Say what another request would be answered with, and store nothing.
    DryRun(Box<Request>),
}

impl Request {
    /// The one object that it would change; `None` if it only reads or means several.
    pub fn target(&self) -> Option<ObjectKey> {
        match self {
            Request::Create(object)
            | Request::Update { object, .. }
            | Request::UpdateStatus { object, .. }
            | Request::Apply { object, .. } => Some(object.key()),
            Request::Finalize { namespace, .. } => {
                Some(ObjectKey { kind: Kind::Namespace, namespace: Name::default(), name: namespace.meta.name.clone() })
            }
            Request::Patch { key, .. } | Request::Delete { key, .. } | Request::Evict { key, .. } => Some(key.clone()),
            Request::Bind { namespace, name, .. } => {
                Some(ObjectKey { kind: Kind::Pod, namespace: namespace.clone(), name: name.clone() })
            }
            Request::DeleteMatching { .. }
            | Request::Get(_)
            | Request::PodsOf { .. }
            | Request::WatchConfig(_)
            | Request::WatchServices
            | Request::DryRun(_)
            | Request::WatchPods { .. } => None,
        }
    }
}

/// One change of an object.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Patch {
    /// Deployment, ReplicaSet, StatefulSet, ReplicationController: the wanted number (`kubectl scale`); Job: its
    /// parallelism.
    Replicas(u32),
    /// Pod, Deployment, ReplicaSet, StatefulSet, DaemonSet: an image (`kubectl set image`).
    Image {
        /// The container; `*` is every container.
        container: Name,
        /// The image.
        image: Name,
    },
    /// Deployment, StatefulSet, DaemonSet: make new pods of the same template (`kubectl rollout restart`).
    Restart,
    /// Deployment, StatefulSet, DaemonSet: go back to the template before (`kubectl rollout undo`).
    Undo,
    /// Deployment: hold or go on with rollouts.
    Paused(bool),
    /// Node: cordon or uncordon.
    Unschedulable(bool),
    /// Node: add a taint or change its value.
    AddTaint(Taint),
    /// Node: remove the taints of a key, of one effect or of every effect.
    RemoveTaint {
        /// The key.
        key: Name,
        /// The effect; `None` is every effect.
        effect: Option<TaintEffect>,
    },
    /// Any kind: set (`Some`) or remove (`None`) a label.
    Label {
        /// The key.
        key: Name,
        /// The value.
        value: Option<Name>,
    },
    /// Any kind: set (`Some`) or remove (`None`) an annotation.
    Annotation {
        /// The key.
        key: Name,
        /// The value.
        value: Option<Name>,
    },
    /// Node: replace the whole list of taints, if it still is what the sender saw.
    Taints {
        /// What the sender saw.
        seen: Vec<Taint>,
        /// What it shall be.
        wanted: Vec<Taint>,
    },
    /// Pod: set one condition and leave the rest of the status to its owner.
    PodCondition {
        /// Which condition.
        kind: ConditionKind,
        /// Whether it holds.
        status: Status3,
        /// One CamelCase word.
        reason: Name,
        /// A sentence.
        message: Name,
    },
    /// Pod: the node that preemption makes room on, and one condition with it.
    PodNomination {
        /// The node; `None` is none.
        node: Option<Name>,
        /// Which condition, whether it holds, one CamelCase word and a sentence.
        condition: Option<(ConditionKind, Status3, Name, Name)>,
    },
    /// Any kind: replace all labels.
    Labels(Labels),
    /// Node: the volumes that are attached to it, sorted (`status.volumesAttached`).
    VolumesAttached(Vec<Name>),
    /// Node: the volumes that its pods use, sorted (`status.volumesInUse`).
    VolumesInUse(Vec<Name>),
    /// Any kind: add (`true`) or take away a finalizer.
    Finalizer {
        /// The finalizer.
        name: Name,
        /// Whether it shall be there.
        present: bool,
    },
    /// Job, CronJob: hold or go on with its pods or Jobs (`spec.suspend`).
    Suspended(bool),
}

/// What becomes of the objects that a deleted object owns.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Propagation {
    /// The garbage collector removes them afterwards, unless the object's finalizers say otherwise: a deletion that
    /// names no policy.
    #[default]
    Background,
    /// The object stays, marked, until they are gone.
    Foreground,
    /// They lose their owner and stay.
    Orphan,
    /// The garbage collector removes them afterwards, whatever was asked for before: a deletion that names this policy.
    BackgroundAnyway,
    /// They lose their owner and stay, unless the object's finalizers say otherwise: a deletion that names no policy,
    /// of a kind of which the dependents stay by default.
    OrphanByDefault,
}
