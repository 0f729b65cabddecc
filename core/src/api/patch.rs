//! Single changes of objects, as `kubectl scale`, `label`, `set image` and `rollout` make them, and as components patch
//! lists and conditions that others write too.

use std::sync::Arc;

use crate::api::{Answer, Patch, Refusal, read, undo, update};
use crate::context::Context;
use crate::digest::Shared;
use crate::id::Name;
use crate::model::{Deployment, Node, NodeVolumes, Object, ObjectKey, PodSpec, PodTemplate};
use crate::store::Store;

/// The annotation by which `kubectl rollout restart` makes a template differ.
const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

/// Makes one change.
pub(super) fn patch(ctx: &Context<'_>, store: &mut Store, key: &ObjectKey, patch: Patch) -> Answer {
    let mut object = read::current(store, key).ok_or_else(|| Refusal::NotFound(key.clone()))?;
    if let (Object::Pod(pod), Patch::PodCondition { kind, status, reason, message }) = (&mut object, &patch) {
        Arc::make_mut(pod).status.conditions.set(*kind, *status, reason, message, ctx.now);
        return update::update_status(ctx, store, object, None);
    }
    if let (Object::Pod(pod), Patch::PodNomination { node, condition }) = (&mut object, &patch) {
        let status = &mut Arc::make_mut(pod).status;
        status.nominated_node = node.clone();
        if let Some((kind, holds, reason, message)) = condition {
            status.conditions.set(*kind, *holds, reason, message, ctx.now);
        }
        return update::update_status(ctx, store, object, None);
    }
    if let (Object::Node(node), Patch::VolumesAttached(_) | Patch::VolumesInUse(_)) = (&object, &patch) {
        return patch_volumes(store, node, patch);
    }
    if let Err(message) = change(ctx, store, &mut object, patch) {
        return Err(Refusal::Invalid { key: key.clone(), message: message.into() });
    }
    update::update(ctx, store, object, None)
}

/// Makes the change in a copy, or says why there is no such change.
fn change(ctx: &Context<'_>, store: &Store, object: &mut Object, patch: Patch) -> Result<(), String> {
    match (object, patch) {
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
        (object, Patch::Undo) => match (undo::previous_template(store, object)?, object) {
            (template, Object::Deployment(deployment)) => Arc::make_mut(deployment).template = template,
            (template, Object::StatefulSet(set)) => Arc::make_mut(set).template = template,
            (template, Object::DaemonSet(set)) => Arc::make_mut(set).template = template,
            (_, other) => unreachable!("a {} has no template", other.kind().name()),
        },
        (Object::Pod(pod), Patch::Image { container, image }) => {
            let spec = with_image(&pod.spec, &container, &image)?;
            Arc::make_mut(pod).spec = Shared::new(spec);
        }
        (Object::ReplicationController(set), Patch::Replicas(replicas)) => Arc::make_mut(set).replicas = replicas,
        (Object::ReplicationController(set), Patch::Image { container, image }) => {
            set_image(&mut Arc::make_mut(set).template, &container, &image)?;
        }
        (Object::Job(job), Patch::Replicas(parallelism)) => Arc::make_mut(job).spec.parallelism = parallelism,
        (Object::Job(job), Patch::Suspended(suspend)) => Arc::make_mut(job).spec.suspend = suspend,
        (Object::CronJob(cron_job), Patch::Suspended(suspend)) => Arc::make_mut(cron_job).suspend = suspend,
        (Object::CronJob(cron_job), Patch::Image { container, image }) => {
            let spec = Arc::make_mut(&mut Arc::make_mut(cron_job).template.spec);
            set_image(&mut spec.template, &container, &image)?;
        }
        (Object::Deployment(deployment), patch) => patch_deployment(ctx, Arc::make_mut(deployment), patch)?,
        (Object::ReplicaSet(set), Patch::Replicas(replicas)) => Arc::make_mut(set).replicas = replicas,
        (Object::ReplicaSet(set), Patch::Image { container, image }) => {
            set_image(&mut Arc::make_mut(set).template, &container, &image)?;
        }
        (Object::StatefulSet(set), Patch::Replicas(replicas)) => Arc::make_mut(set).replicas = replicas,
        (Object::StatefulSet(set), patch) => {
            patch_template(ctx, "StatefulSet", &mut Arc::make_mut(set).template, patch)?;
        }
        (Object::DaemonSet(set), patch) => {
            patch_template(ctx, "DaemonSet", &mut Arc::make_mut(set).template, patch)?;
        }
        (Object::Node(node), patch) => patch_node(Arc::make_mut(node), patch)?,
        (object, patch) => return Err(format!("{} has nothing that {patch:?} could change", object.kind().name())),
    }
    Ok(())
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
    let (row, _) = update::checked(store, stored, None)?;
    let mut node = Node::clone(stored);
    let mut volumes = node.status.volumes.take().map(Arc::unwrap_or_clone).unwrap_or_default();
    match patch {
        Patch::VolumesAttached(attached) => volumes.attached = attached,
        Patch::VolumesInUse(in_use) => volumes.in_use = in_use,
        other => unreachable!("{other:?} says nothing of volumes"),
    }
    node.status.volumes = (volumes != NodeVolumes::default()).then(|| Arc::new(volumes));
    Ok(update::replace(store, row, &**stored, node))
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
