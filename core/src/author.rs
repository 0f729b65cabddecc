//! Who asked for a write, as far as the request itself says it: the sender and which of its clients.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{ProcId, ProcKind, RequestId};

/// Who asked for a write.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Author {
    /// Whoever sends requests from outside: a scenario's timeline, a drain, a user's kubectl.
    User,
    /// A scheduler.
    Scheduler,
    /// A kubelet.
    Kubelet,
    /// A controller, by the number of its client.
    Controller(u8),
    /// The control plane about itself, or the world.
    Machinery,
}

impl Author {
    /// Whoever sent a request of this number.
    pub fn of(from: ProcId, id: RequestId) -> Author {
        match from.kind() {
            ProcKind::Client => Author::User,
            ProcKind::Scheduler => Author::Scheduler,
            ProcKind::Kubelet => Author::Kubelet,
            ProcKind::ControllerManager => Author::Controller(id.client()),
            ProcKind::World | ProcKind::ApiServer | ProcKind::Runtime => Author::Machinery,
        }
    }
}

impl fmt::Display for Author {
    /// The component's name as Kubernetes has it; `user` for whoever is none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Author::User => f.write_str("user"),
            Author::Scheduler => f.write_str("default-scheduler"),
            Author::Kubelet => f.write_str("kubelet"),
            Author::Machinery => f.write_str("kube-apiserver"),
            Author::Controller(number) => match controller_name(*number) {
                Some(name) => f.write_str(name),
                None => write!(f, "controller {number}"),
            },
        }
    }
}

/// The name of controller `number`; `None` if there is no such controller.
///
/// Source: cmd/kube-controller-manager/names/controller_names.go (v1.34.1). What stands for all CSI drivers and the
/// API server's own namespaces has no name there.
pub(crate) fn controller_name(number: u8) -> Option<&'static str> {
    Some(match number {
        0 => "deployment-controller",
        1 => "replicaset-controller",
        2 => "endpointslice-controller",
        3 => "garbage-collector-controller",
        4 => "namespace-controller",
        5 => "node-lifecycle-controller",
        6 => "taint-eviction-controller",
        7 => "pod-garbage-collector-controller",
        8 => "statefulset-controller",
        9 => "daemonset-controller",
        10 => "job-controller",
        11 => "cronjob-controller",
        12 => "ttl-after-finished-controller",
        13 => "replicationcontroller-controller",
        14 => "persistentvolume-binder-controller",
        15 => "persistentvolume-attach-detach-controller",
        16 => "persistentvolume-protection-controller",
        17 => "disruption-controller",
        18 => "resourcequota-controller",
        19 => "serviceaccount-controller",
        20 => "root-ca-certificate-publisher-controller",
        21 => "ephemeral-volume-controller",
        22 => "endpoints-controller",
        23 => "endpointslice-mirroring-controller",
        30 => "csi-drivers",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_its_controller() {
        let said = |from, number: u64| Author::of(from, RequestId(number << 56 | 77)).to_string();
        assert_eq!(said(ProcId::CONTROLLER_MANAGER, 6), "taint-eviction-controller");
        assert_eq!(said(ProcId::CONTROLLER_MANAGER, 1), "replicaset-controller");
        assert_eq!(said(ProcId::CONTROLLER_MANAGER, 200), "controller 200");
        assert_eq!(said(ProcId::CLIENT, 0), "user");
        assert_eq!(said(ProcId::SCHEDULER, 0), "default-scheduler");
    }
}
