//! What each controller is called.

/// The name of controller `number`; `None` if there is no such controller.
///
/// Source: cmd/kube-controller-manager/names/controller_names.go (v1.34.1). What stands for all CSI drivers and the
/// API server's own namespaces has no name there.
pub(crate) fn name_of(number: u8) -> Option<&'static str> {
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
    use super::name_of;
    use crate::config::Config;
    use crate::controllers::ControllerManager;

    #[test]
    fn every_controller_has_a_name() {
        let manager = ControllerManager::new(&Config::default());
        let nameless: Vec<u8> =
            manager.controllers.iter().map(|it| it.number).filter(|number| name_of(*number).is_none()).collect();
        assert_eq!(nameless, Vec::<u8>::new());
    }
}
