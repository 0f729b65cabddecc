//! Static pods of node groups: manifests among the kubelets' own files.

use std::sync::Arc;

use wavetank_core::model::{Object, Pod, PodVolumeSource};
use wavetank_manifest::kubernetes::{Located, Manifest, to_object};
use wavetank_manifest::{Error, Node};

use super::Problems;
use super::machines::Fleet;
use super::objects::{Objects, item, read};
use crate::plan::Plan;
use crate::plan::scenario::Inputs;
use crate::plan::scenario::format::Spec;

/// Gives the machines of each group their static pods.
pub(super) fn expand(
    spec: &Spec,
    tree: &Node,
    inputs: &mut Inputs,
    fleet: &Fleet,
    objects: &mut Objects,
    plan: &mut Plan,
    problems: &mut Problems,
) {
    let groups = tree.get("spec").and_then(|spec| spec.get("nodes"));
    for (index, group) in spec.nodes.iter().enumerate() {
        let written = groups.and_then(|groups| item(groups, index)).and_then(|group| group.get("staticPods"));
        let mut pods: Vec<Arc<Pod>> = Vec::new();
        for number in 0..group.static_pods.len() {
            let Some(node) = written.and_then(|list| item(list, number)) else { continue };
            let path = format!("spec.nodes[{index}].staticPods[{number}]");
            if plan.placement_only {
                problems.add(node.span, &path, "there are no kubelets with the fidelity placement");
            }
            match read(node, &path, inputs) {
                Ok(manifests) => pods.extend(manifests.into_iter().filter_map(|it| static_pod(it, objects, problems))),
                Err(errors) => problems.extend(errors),
            }
        }
        if let Some(name) = twice(&pods) {
            let message = format!("there are two static pods of the name {name:?}");
            problems.add(group.name.span, &format!("spec.nodes[{index}].staticPods"), message);
        }
        if !pods.is_empty() {
            for host in fleet.members(&group.name.value) {
                Arc::make_mut(&mut plan.hosts[host.0 as usize].boot).static_pods.clone_from(&pods);
            }
        }
    }
}

/// A manifest as a kubelet takes it from a file; one that it does not take is a problem.
fn static_pod(mut located: Located<Manifest>, objects: &mut Objects, problems: &mut Problems) -> Option<Arc<Pod>> {
    let object = match located.admit().and_then(|()| to_object(&located)) {
        Ok(object) => object,
        Err(errors) => {
            problems.extend(errors);
            return None;
        }
    };
    let (field, why) = match &object {
        Object::Pod(pod) => match why_not(pod) {
            None => {
                objects.note(&located, &object);
                return Some(pod.clone());
            }
            Some((field, why)) => (field, why.to_owned()),
        },
        other => ("kind", format!("expected a Pod, found a {}", other.kind().name())),
    };
    let place = located.source.locate(field);
    problems.errors.push(Error::new(&located.file, place, field, why));
    None
}

/// The name of two pods that have the same name in the same namespace.
fn twice(pods: &[Arc<Pod>]) -> Option<&str> {
    let mut names: Vec<_> = pods.iter().map(|pod| (&pod.meta.namespace, &pod.meta.name)).collect();
    names.sort();
    names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| &**pair[0].1)
}

/// What a kubelet does not take from a file: the field and why.
fn why_not(pod: &Pod) -> Option<(&'static str, &'static str)> {
    if pod.node.is_some() {
        return Some(("spec.nodeName", "a static pod runs on the node whose kubelet has its file"));
    }
    let claims =
        |source: &PodVolumeSource| matches!(source, PodVolumeSource::Claim { .. } | PodVolumeSource::Ephemeral(_));
    // A kubelet would look for the claim in vain as long as it has no connection: such a pod is not modelled.
    pod.spec
        .volumes
        .iter()
        .any(|volume| claims(&volume.source))
        .then_some(("spec.volumes", "static pods with PersistentVolumeClaims are not modelled"))
}
