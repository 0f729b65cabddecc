//! Changing objects: updates of spec and status, apply, and single changes.

use std::sync::Arc;

use crate::api::{Answer, Patch, Refusal, Reply, admission, create, deletion, immutable, set_updates, storage, undo};
use crate::context::Context;
use crate::digest::Shared;
use crate::id::{Name, Revision};
use crate::model::{
    CSIDriver, CSINode, CSIStorageCapacity, ConfigMap, ControllerRevision, CronJob, DaemonSet, Deployment,
    EndpointSlice, Job, LimitRange, Namespace, Node, NodeVolumes, Object, ObjectKey, PersistentVolume,
    PersistentVolumeClaim, Pod, PodDisruptionBudget, PodSpec, PodTemplate, PriorityClass, ReplicaSet,
    ReplicationController, Resource, ResourceQuota, Secret, Service, ServiceAccount, StatefulSet, StorageClass,
    VolumeAttachment, with_kind, with_object,
};
use crate::store::Store;

/// The annotation by which `kubectl rollout restart` makes a template differ.
const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

/// How a kind's objects divide into what clients want and what components report.
trait Parts: Resource {
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
    Namespace: [finalizers, conditions] generation if |new, old| false, held by deletion::is_held_by_content;
    Node: [status] generation if |new, old| new.spec != old.spec;
    Pod: [node, status] generation if |new, old| new.spec != old.spec;
    ReplicaSet: [status] generation if |new, old|
        (new.replicas, new.min_ready, &new.selector, &new.template) != (old.replicas, old.min_ready, &old.selector, &old.template),
        updated by set_updates::replica_set;
    Deployment: [status] generation if |new, old| differs_beyond_meta(new, old), updated by set_updates::deployment;
    Service: [] generation if |new, old| false;
    PodDisruptionBudget: [status] generation if |new, old|
        (&new.selector, new.limit, new.unhealthy_pods) != (&old.selector, old.limit, old.unhealthy_pods);
    EndpointSlice: [] generation if |new, old| new.endpoints != old.endpoints || new.ports != old.ports;
    StatefulSet: [status] generation if |new, old| differs_beyond_meta(new, old), updated by set_updates::stateful_set;
    DaemonSet: [status] generation if |new, old| differs_beyond_meta(new, old), updated by set_updates::daemon_set;
    ControllerRevision: [] generation if |new, old| false, updated by set_updates::controller_revision;
    Job: [status] generation if |new, old| new.spec != old.spec;
    ReplicationController: [status] generation if |new, old|
        (new.replicas, new.min_ready, &new.selector, &new.template) != (old.replicas, old.min_ready, &old.selector, &old.template);
    CronJob: [status] generation if |new, old| {
        let plain = CronJob { meta: old.meta.clone(), status: old.status.clone(), ..new.clone() };
        plain != *old
    };
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

/// The newest version of an object.
pub(super) fn current(store: &Store, key: &ObjectKey) -> Option<Object> {
    let view = store.newest();
    with_kind!(key.kind, T => view.find::<T>(&key.namespace, &key.name).map(|(_, object)| T::into_object(object.clone())))
}

/// The revision of the newest version of an object.
pub(super) fn version(store: &Store, key: &ObjectKey) -> Option<Revision> {
    let view = store.newest();
    with_kind!(key.kind, T => {
        let (row, _) = view.find::<T>(&key.namespace, &key.name)?;
        view.version_of::<T>(row)
    })
}

/// Replaces everything but identity and status.
pub(super) fn update(ctx: &Context<'_>, store: &mut Store, object: Object, expected: Option<Revision>) -> Answer {
    if let Object::Job(job) = &object {
        immutable::check_job(store, job)?;
    }
    storage::check_update(store, &object)?;
    with_object!(object, version => write(ctx, store, version, expected, |new, old| {
        new.take_status(old);
        keep_identity(new, old);
    }))
}

/// Replaces everything of a namespace but identity and status.
///
/// Source: `namespaceFinalizeStrategy.PrepareForUpdate`, pkg/registry/core/namespace/strategy.go (v1.34.1).
pub(super) fn finalize(
    ctx: &Context<'_>,
    store: &mut Store,
    namespace: Arc<Namespace>,
    expected: Option<Revision>,
) -> Answer {
    write(ctx, store, namespace, expected, |new, old| {
        new.conditions = old.conditions.clone();
        keep_identity(new, old);
    })
}

/// What an update to this version would be refused for, for what it changes; `None` if it changes nothing that must stay.
pub(crate) fn update_fault(store: &Store, object: &Object) -> Option<Name> {
    let checks = || -> Result<(), Refusal> {
        if let Object::Job(job) = object {
            immutable::check_job(store, job)?;
        }
        storage::check_update(store, object)
    };
    if let Err(Refusal::Invalid { message, .. }) = checks() {
        return Some(message);
    }
    with_object!(object, version => fault_of(store, version)).map(Name::from)
}

fn fault_of<T: Parts>(store: &Store, version: &Arc<T>) -> Option<String> {
    let (_, old) = store.newest().find::<T>(&version.meta().namespace, &version.meta().name)?;
    let mut new = T::clone(version);
    new.take_status(old);
    keep_identity(&mut new, old);
    new.on_update(old).err()
}

/// Replaces the status only.
pub(super) fn update_status(store: &mut Store, object: Object, expected: Option<Revision>) -> Answer {
    match object {
        Object::Pod(pod) => write_pod_status(store, pod, expected),
        Object::Job(job) => {
            immutable::check_job_status(store, &job)?;
            write_status(store, &job, expected, |new, from: &Job| new.status = from.status.clone())
        }
        // The volumes are the word of two writers, each of whom patches its own list.
        Object::Node(node) => write_status(store, &node, expected, |new, from: &Node| {
            let volumes = new.status.volumes.take();
            new.status = from.status.clone();
            new.status.volumes = volumes;
        }),
        Object::Namespace(namespace) => write_status(store, &namespace, expected, |new, from: &Namespace| {
            new.conditions = from.conditions.clone();
        }),
        // Kubernetes lets the annotations of a Deployment (its revision) be written with its status.
        Object::Deployment(deployment) => write_status(store, &deployment, expected, |new, from: &Deployment| {
            new.status = from.status.clone();
            new.meta.annotations = from.meta.annotations.clone();
        }),
        other => {
            with_object!(other, version => write_status(store, &version, expected, |new, from| new.take_status(from)))
        }
    }
}

/// What `kubectl apply` makes of a manifest and the stored object.
pub(super) fn merge_for_apply(object: Object, stored: &Object, sets_replicas: bool) -> Object {
    let mut merged = match (object, stored) {
        (Object::Deployment(new), Object::Deployment(old)) if !sets_replicas => {
            let mut new = Arc::unwrap_or_clone(new);
            new.replicas = old.replicas;
            Object::Deployment(Arc::new(new))
        }
        (Object::ReplicaSet(new), Object::ReplicaSet(old)) if !sets_replicas => {
            let mut new = Arc::unwrap_or_clone(new);
            new.replicas = old.replicas;
            Object::ReplicaSet(Arc::new(new))
        }
        (Object::ReplicationController(new), Object::ReplicationController(old)) if !sets_replicas => {
            let mut new = Arc::unwrap_or_clone(new);
            new.replicas = old.replicas;
            Object::ReplicationController(Arc::new(new))
        }
        (Object::StatefulSet(new), Object::StatefulSet(old)) if !sets_replicas => {
            let mut new = Arc::unwrap_or_clone(new);
            new.replicas = old.replicas;
            Object::StatefulSet(Arc::new(new))
        }
        (Object::Job(new), Object::Job(old)) => Object::Job(Arc::new(immutable::with_made_labels(&new, old))),
        (Object::PersistentVolumeClaim(new), Object::PersistentVolumeClaim(old)) => {
            let mut new = Arc::unwrap_or_clone(new);
            if new.spec.volume.is_empty() {
                new.spec.volume = old.spec.volume.clone();
            }
            new.spec.storage_class = new.spec.storage_class.or_else(|| old.spec.storage_class.clone());
            Object::PersistentVolumeClaim(Arc::new(new))
        }
        (Object::PersistentVolume(new), Object::PersistentVolume(old)) if new.claim.is_none() => {
            let mut new = Arc::unwrap_or_clone(new);
            new.claim = old.claim.clone();
            Object::PersistentVolume(Arc::new(new))
        }
        (Object::Node(new), Object::Node(old)) => {
            let mut new = Arc::unwrap_or_clone(new);
            new.spec =
                crate::model::NodeSpec { unschedulable: new.spec.unschedulable, taints: old.spec.taints.clone() };
            Object::Node(Arc::new(new))
        }
        (object, _) => object,
    };
    // Annotations that the manifest does not name belong to others (the Deployment's revision, say): they stay.
    let mut annotations = stored.meta().annotations.clone();
    for (key, value) in merged.meta().annotations.clone().iter() {
        annotations = annotations.with(key.clone(), value.clone());
    }
    let (owners, finalizers) = (stored.meta().owners.clone(), stored.meta().finalizers.clone());
    let meta = merged.meta_mut();
    meta.annotations = annotations;
    meta.owners = owners;
    meta.finalizers = finalizers;
    merged
}

/// Makes one change.
pub(super) fn patch(ctx: &Context<'_>, store: &mut Store, key: &ObjectKey, patch: Patch) -> Answer {
    let mut object = current(store, key).ok_or_else(|| Refusal::NotFound(key.clone()))?;
    if let (Object::Pod(pod), Patch::PodCondition { kind, status, reason, message }) = (&mut object, &patch) {
        Arc::make_mut(pod).status.conditions.set(*kind, *status, reason, message, ctx.now);
        return update_status(store, object, None);
    }
    if let (Object::Pod(pod), Patch::PodNomination { node, condition }) = (&mut object, &patch) {
        let status = &mut Arc::make_mut(pod).status;
        status.nominated_node = node.clone();
        if let Some((kind, holds, reason, message)) = condition {
            status.conditions.set(*kind, *holds, reason, message, ctx.now);
        }
        return update_status(store, object, None);
    }
    if let (Object::Node(node), Patch::VolumesAttached(_) | Patch::VolumesInUse(_)) = (&object, &patch) {
        return patch_volumes(store, node, patch);
    }
    let refuse = |message: String| Err(Refusal::Invalid { key: key.clone(), message: message.into() });
    match (&mut object, patch) {
        (object, Patch::Label { key, value }) => {
            let meta = object.meta_mut();
            meta.labels = value.map_or_else(|| meta.labels.without(&key), |value| meta.labels.with(key.clone(), value));
        }
        (object, Patch::Annotation { key, value }) => {
            let meta = object.meta_mut();
            let changed =
                value.map_or_else(|| meta.annotations.without(&key), |value| meta.annotations.with(key.clone(), value));
            meta.annotations = changed;
        }
        (object, Patch::Finalizer { name, present }) => {
            let meta = object.meta_mut();
            if meta.finalizers.contains(&name) != present {
                let others = meta.finalizers.iter().filter(|finalizer| **finalizer != name).cloned();
                meta.finalizers = others.chain(present.then(|| name.clone())).collect();
            }
        }
        (object, Patch::Labels(labels)) => object.meta_mut().labels = labels,
        (Object::ReplicationController(set), Patch::Replicas(replicas)) => Arc::make_mut(set).replicas = replicas,
        (Object::ReplicationController(set), Patch::Image { container, image }) => {
            if let Err(message) = set_image(&mut Arc::make_mut(set).template, &container, &image) {
                return refuse(message);
            }
        }
        (object, Patch::Undo) => match (undo::previous_template(store, object), object) {
            (Ok(template), Object::Deployment(deployment)) => Arc::make_mut(deployment).template = template,
            (Ok(template), Object::StatefulSet(set)) => Arc::make_mut(set).template = template,
            (Ok(template), Object::DaemonSet(set)) => Arc::make_mut(set).template = template,
            (Ok(_), other) => unreachable!("a {} has no template", other.kind().name()),
            (Err(message), _) => return refuse(message),
        },
        (Object::Pod(pod), Patch::Image { container, image }) => match with_image(&pod.spec, &container, &image) {
            Ok(spec) => Arc::make_mut(pod).spec = Shared::new(spec),
            Err(message) => return refuse(message),
        },
        (Object::Job(job), Patch::Replicas(parallelism)) => Arc::make_mut(job).spec.parallelism = parallelism,
        (Object::Job(job), Patch::Suspended(suspend)) => Arc::make_mut(job).spec.suspend = suspend,
        (Object::CronJob(cron_job), Patch::Suspended(suspend)) => Arc::make_mut(cron_job).suspend = suspend,
        (Object::CronJob(cron_job), Patch::Image { container, image }) => {
            let spec = Arc::make_mut(&mut Arc::make_mut(cron_job).template.spec);
            if let Err(message) = set_image(&mut spec.template, &container, &image) {
                return refuse(message);
            }
        }
        (Object::Deployment(deployment), patch) => {
            if let Err(message) = patch_deployment(ctx, Arc::make_mut(deployment), patch) {
                return refuse(message);
            }
        }
        (Object::ReplicaSet(set), Patch::Replicas(replicas)) => Arc::make_mut(set).replicas = replicas,
        (Object::ReplicaSet(set), Patch::Image { container, image }) => {
            if let Err(message) = set_image(&mut Arc::make_mut(set).template, &container, &image) {
                return refuse(message);
            }
        }
        (Object::StatefulSet(set), Patch::Replicas(replicas)) => Arc::make_mut(set).replicas = replicas,
        (Object::StatefulSet(set), patch) => {
            if let Err(message) = patch_template(ctx, "StatefulSet", &mut Arc::make_mut(set).template, patch) {
                return refuse(message);
            }
        }
        (Object::DaemonSet(set), patch) => {
            if let Err(message) = patch_template(ctx, "DaemonSet", &mut Arc::make_mut(set).template, patch) {
                return refuse(message);
            }
        }
        (Object::Node(node), patch) => {
            if let Err(message) = patch_node(Arc::make_mut(node), patch) {
                return refuse(message);
            }
        }
        (object, patch) => return refuse(format!("{} has nothing that {patch:?} could change", object.kind().name())),
    }
    update(ctx, store, object, None)
}

fn patch_deployment(ctx: &Context<'_>, deployment: &mut Deployment, patch: Patch) -> Result<(), String> {
    match patch {
        Patch::Replicas(replicas) => deployment.replicas = replicas,
        Patch::Paused(paused) => deployment.paused = paused,
        other => patch_template(ctx, "Deployment", &mut deployment.template, other)?,
    }
    Ok(())
}

/// What can be changed in the template of any kind whose rollouts can be restarted.
fn patch_template(ctx: &Context<'_>, kind: &str, template: &mut PodTemplate, patch: Patch) -> Result<(), String> {
    match patch {
        Patch::Image { container, image } => set_image(template, &container, &image)?,
        Patch::Restart => template.annotations = template.annotations.with(RESTARTED_AT, ctx.now.to_string()),
        other => return Err(format!("a {kind} has nothing that {other:?} could change")),
    }
    Ok(())
}

fn patch_node(node: &mut Node, patch: Patch) -> Result<(), String> {
    let taints = &mut node.spec.taints;
    match patch {
        Patch::Unschedulable(unschedulable) => node.spec.unschedulable = unschedulable,
        Patch::AddTaint(taint) => match taints.iter_mut().find(|present| present.same_mark(&taint)) {
            Some(present) => *present = taint,
            None => taints.push(taint),
        },
        Patch::RemoveTaint { key, effect } => {
            taints.retain(|taint| taint.key != key || effect.is_some_and(|effect| effect != taint.effect));
        }
        Patch::Taints { seen, wanted } => {
            if *taints != seen {
                return Err("the taints have changed since they were read".to_string());
            }
            *taints = wanted;
        }
        other => return Err(format!("a Node has nothing that {other:?} could change")),
    }
    Ok(())
}

fn patch_volumes(store: &mut Store, stored: &Arc<Node>, patch: Patch) -> Answer {
    let (row, _) = checked(store, stored, None)?;
    let mut node = Node::clone(stored);
    let mut volumes = node.status.volumes.take().map(Arc::unwrap_or_clone).unwrap_or_default();
    match patch {
        Patch::VolumesAttached(attached) => volumes.attached = attached,
        Patch::VolumesInUse(in_use) => volumes.in_use = in_use,
        other => unreachable!("{other:?} says nothing of volumes"),
    }
    node.status.volumes = (volumes != NodeVolumes::default()).then(|| Arc::new(volumes));
    if node == **stored {
        let revision = store.newest().version_of::<Node>(row).expect("the row is present");
        return Ok(Reply::Object(Object::Node(stored.clone()), revision));
    }
    let revision = store.replace(row, node);
    Ok(create::stored::<Node>(store, row, revision))
}

/// Sets the image of one container of a template or, with `*`, of all.
fn set_image(template: &mut PodTemplate, container: &str, image: &Name) -> Result<(), String> {
    template.spec = Shared::new(with_image(&template.spec, container, image)?);
    Ok(())
}

/// The same for a pod's spec.
fn with_image(spec: &PodSpec, container: &str, image: &Name) -> Result<PodSpec, String> {
    let mut spec = spec.clone();
    let mut found = false;
    for candidate in spec.containers.iter_mut().chain(spec.init_containers.iter_mut()) {
        if container == "*" || *candidate.name == *container {
            candidate.image = image.clone();
            found = true;
        }
    }
    if !found {
        let names: Vec<&str> = spec.containers.iter().map(|container| &*container.name).collect();
        return Err(format!("there is no container {container:?}; the pod template has {}", names.join(", ")));
    }
    Ok(spec)
}

fn keep_identity<T: Resource>(new: &mut T, old: &T) {
    let (old, new) = (old.meta(), new.meta_mut());
    new.uid = old.uid;
    new.generation = old.generation;
    new.created_at = old.created_at;
    new.deleted_at = old.deleted_at;
    new.deletion_grace = old.deletion_grace;
    new.generate_name = false;
}

fn write<T: Parts>(
    ctx: &Context<'_>,
    store: &mut Store,
    version: Arc<T>,
    expected: Option<Revision>,
    prepare: impl FnOnce(&mut T, &T),
) -> Answer {
    let (row, old) = checked(store, &version, expected)?;
    let mut new = Arc::unwrap_or_clone(version);
    prepare(&mut new, &old);
    if new == *old {
        let revision = store.newest().version_of::<T>(row).expect("the row is present");
        return Ok(Reply::Object(T::into_object(old), revision));
    }
    if let Err(message) = new.on_update(&old) {
        let meta = new.meta();
        let key = ObjectKey { kind: T::KIND, namespace: meta.namespace.clone(), name: meta.name.clone() };
        return Err(Refusal::Invalid { key, message: message.into() });
    }
    admission::admit_update(store, ctx.now, &new, &old)?;
    if new.new_generation(&old) {
        new.meta_mut().generation += 1;
    }
    if deletion::is_released(new.meta()) && !new.is_held() {
        store.remove::<T>(row);
        return Ok(Reply::Deleted(None));
    }
    let revision = store.replace(row, new);
    Ok(create::stored::<T>(store, row, revision))
}

/// As [`write_status`], for the kind whose status is written most: the sender's version becomes the stored one, with
/// everything but its status as it was, so that no status is copied if nobody else has that version.
fn write_pod_status(store: &mut Store, version: Arc<Pod>, expected: Option<Revision>) -> Answer {
    let (row, old) = checked(store, &version, expected)?;
    let (wanted, stored) = (version.meta.uid, old.meta.uid);
    if wanted != stored {
        return Err(Refusal::WrongUid { expected: wanted, stored });
    }
    if version.status == old.status {
        let revision = store.newest().version_of::<Pod>(row).expect("the row is present");
        return Ok(Reply::Object(Object::Pod(old), revision));
    }
    let Pod { meta, spec, own, node, status: _ } = &*old;
    let (meta, spec, own, node) = (meta.clone(), spec.clone(), own.clone(), node.clone());
    let revision = store.replace(row, Pod { meta, spec, own, node, status: version.status.clone() });
    Ok(create::stored::<Pod>(store, row, revision))
}

fn write_status<T: Parts>(
    store: &mut Store,
    version: &Arc<T>,
    expected: Option<Revision>,
    take: impl FnOnce(&mut T, &T),
) -> Answer {
    let (row, old) = checked(store, version, expected)?;
    let (wanted, stored) = (version.meta().uid, old.meta().uid);
    if wanted != stored {
        return Err(Refusal::WrongUid { expected: wanted, stored });
    }
    let mut new = T::clone(&old);
    take(&mut new, version);
    if new == *old {
        let revision = store.newest().version_of::<T>(row).expect("the row is present");
        return Ok(Reply::Object(T::into_object(old), revision));
    }
    let revision = store.replace(row, new);
    Ok(create::stored::<T>(store, row, revision))
}

/// Finds the stored version and checks that it is the one that the writer had.
fn checked<T: Resource>(
    store: &Store,
    version: &Arc<T>,
    expected: Option<Revision>,
) -> Result<(crate::id::RowId, Arc<T>), Refusal> {
    let meta = version.meta();
    let key = || ObjectKey { kind: T::KIND, namespace: meta.namespace.clone(), name: meta.name.clone() };
    let (row, old) = store.newest().find::<T>(&meta.namespace, &meta.name).ok_or_else(|| Refusal::NotFound(key()))?;
    let stored = store.newest().version_of::<T>(row).expect("the row is present");
    match expected {
        Some(expected) if expected != stored => Err(Refusal::Conflict { key: key(), expected, stored }),
        _ => Ok((row, old.clone())),
    }
}
