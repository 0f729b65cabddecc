//! How a kind's objects divide into what clients want and what components report.

use crate::api::{immutable, namespace, set_updates};
use crate::model::{
    CSIDriver, CSINode, CSIStorageCapacity, ConfigMap, ControllerRevision, CronJob, DaemonSet, Deployment,
    EndpointSlice, Endpoints, Job, LimitRange, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod,
    PodDisruptionBudget, PriorityClass, ReplicaSet, ReplicationController, Resource, ResourceQuota, Secret, Service,
    ServiceAccount, StatefulSet, StorageClass, VolumeAttachment,
};
use crate::store::Stored;

/// How a kind's objects divide into what clients want and what components report.
pub(super) trait Parts: Stored {
    /// Takes over another version's reported part.
    fn take_status(&mut self, from: &Self);
    /// Whether a change from the other version to this one counts as a new generation.
    fn new_generation(&self, before: &Self) -> bool;
    /// Sets what only the API server may set in an update, and refuses a change of what is immutable.
    fn on_update(&mut self, _before: &Self) -> Result<(), String> {
        Ok(())
    }
    /// Whether something beside grace and finalizers keeps an object that is being deleted.
    fn is_held(&self) -> bool {
        false
    }
}

macro_rules! parts {
    ($($kind:ident: [$($status:ident),*] generation if |$new:ident, $old:ident| $differs:expr
        $(, updated by $on_update:path)? $(, held by $is_held:path)?;)*) => {
        $(impl Parts for $kind {
            #[allow(unused_variables, reason = "kinds without a status take nothing over")]
            fn take_status(&mut self, from: &Self) { $(self.$status = from.$status.clone();)* }
            #[allow(unused_variables, reason = "kinds without a spec have no generations")]
            fn new_generation(&self, before: &Self) -> bool { let ($new, $old) = (self, before); $differs }
            $(fn on_update(&mut self, before: &Self) -> Result<(), String> { $on_update(self, before) })?
            $(fn is_held(&self) -> bool { $is_held(self) })?
        })*
    };
}

parts! {
    Namespace: [finalizers, conditions] generation if |new, old| false, held by namespace::is_held_by_content;
    Node: [status] generation if |new, old| new.spec != old.spec;
    Pod: [node, status] generation if |new, old| new.spec != old.spec;
    ReplicaSet: [status] generation if |new, old|
        (new.replicas, new.min_ready) != (old.replicas, old.min_ready)
            || (&new.selector, &new.template) != (&old.selector, &old.template),
        updated by set_updates::replica_set;
    Deployment: [status] generation if |new, old|
        differs_beyond_meta(new, old) || new.meta.annotations != old.meta.annotations, updated by set_updates::deployment;
    Service: [] generation if |new, old| false;
    PodDisruptionBudget: [status] generation if |new, old|
        (&new.selector, new.limit, new.unhealthy_pods) != (&old.selector, old.limit, old.unhealthy_pods);
    EndpointSlice: [] generation if |new, old|
        new.endpoints != old.endpoints || new.ports != old.ports || new.meta.labels != old.meta.labels;
    Endpoints: [] generation if |new, old| false;
    StatefulSet: [status] generation if |new, old| differs_beyond_meta(new, old), updated by set_updates::stateful_set;
    DaemonSet: [status] generation if |new, old| differs_beyond_meta(new, old), updated by set_updates::daemon_set;
    ControllerRevision: [] generation if |new, old| false, updated by set_updates::controller_revision;
    Job: [status] generation if |new, old| new.spec != old.spec;
    ReplicationController: [status] generation if |new, old|
        (new.replicas, new.min_ready) != (old.replicas, old.min_ready)
            || (&new.selector, &new.template) != (&old.selector, &old.template);
    CronJob: [status] generation if |new, old| differs_beyond_meta(new, old);
    PersistentVolume: [status] generation if |new, old| false;
    PersistentVolumeClaim: [status] generation if |new, old| false;
    StorageClass: [] generation if |new, old| false;
    CSINode: [] generation if |new, old| false;
    VolumeAttachment: [status] generation if |new, old| false;
    ConfigMap: [] generation if |new, old| false, updated by immutable::config_map;
    Secret: [] generation if |new, old| false, updated by immutable::secret;
    ServiceAccount: [] generation if |new, old| false;
    ResourceQuota: [status] generation if |new, old| false, updated by immutable::resource_quota;
    LimitRange: [] generation if |new, old| false;
    PriorityClass: [] generation if |new, old| false, updated by immutable::priority_class;
    CSIDriver: [] generation if |new, old| false;
    CSIStorageCapacity: [] generation if |new, old| false;
}

/// Whether two versions, which agree in their status, differ in anything but their meta.
fn differs_beyond_meta<T: Resource>(new: &T, old: &T) -> bool {
    let mut plain = new.clone();
    *plain.meta_mut() = old.meta().clone();
    plain != *old
}
