//! Which pods of a node a drain makes go, which it passes over, and which make it fail.
//!
//! Source: staging/src/k8s.io/kubectl/pkg/drain/filters.go (v1.34.1).

use std::collections::{BTreeMap, BTreeSet};

use wavetank_core::id::Uid;
use wavetank_core::model::CONFIG_MIRROR;
use wavetank_core::model::{Kind, ObjectKey, Pod, PodVolumeSource};

use super::DrainOptions;

/// A node's pods, sorted.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Sorted {
    /// Those that have to go.
    pub(super) going: Vec<(ObjectKey, Uid)>,
    /// What is remarkable about them, one line for each matter.
    pub(super) warnings: Vec<String>,
    /// Why the node cannot be drained, one line for each matter.
    pub(super) errors: Vec<String>,
}

/// What is said of a pod.
enum Verdict {
    Goes,
    GoesWithWarning(&'static str),
    Stays,
    StaysWithWarning(&'static str),
    Error(String),
}

/// The DaemonSet that a drain looks up before it judges the pod.
pub(super) fn daemon_set_of(pod: &Pod) -> Option<ObjectKey> {
    let owner = pod.meta.controller().filter(|owner| owner.kind == Kind::DaemonSet && !pod.is_finished())?;
    Some(ObjectKey::new(Kind::DaemonSet, &pod.meta.namespace, &owner.name))
}

/// Sorts pods, in their order; `gone` are DaemonSets that are not there.
pub(super) fn sort<'a>(
    pods: impl Iterator<Item = &'a Pod>,
    gone: &BTreeSet<ObjectKey>,
    options: &DrainOptions,
) -> Sorted {
    let (mut warnings, mut errors) = (BTreeMap::<_, Vec<String>>::new(), BTreeMap::<_, Vec<String>>::new());
    let mut sorted = Sorted::default();
    for pod in pods {
        let name = format!("{}/{}", pod.meta.namespace, pod.meta.name);
        let verdict = verdict(pod, gone, options);
        if let Verdict::Goes | Verdict::GoesWithWarning(_) = verdict {
            sorted.going.push((ObjectKey::new(Kind::Pod, &pod.meta.namespace, &pod.meta.name), pod.meta.uid));
        }
        match verdict {
            Verdict::Goes | Verdict::Stays => {}
            Verdict::GoesWithWarning(text) | Verdict::StaysWithWarning(text) => {
                warnings.entry(text.to_owned()).or_default().push(name);
            }
            Verdict::Error(text) => errors.entry(text).or_default().push(name),
        }
    }
    let line = |(text, pods): (String, Vec<String>)| format!("{text}: {}", pods.join(", "));
    sorted.warnings = warnings.into_iter().map(line).collect();
    sorted.errors = errors.into_iter().map(|entry| format!("cannot delete {}", line(entry))).collect();
    sorted
}

fn verdict(pod: &Pod, gone: &BTreeSet<ObjectKey>, options: &DrainOptions) -> Verdict {
    let is_managed = pod.meta.is_managed();
    if let Some(daemon_set) = daemon_set_of(pod) {
        // An orphan goes by force, and the filters after this one take the warning about it back.
        match (gone.contains(&daemon_set), options.force, options.ignore_daemon_sets) {
            (true, true, _) => {}
            (true, false, _) => return Verdict::Error(format!("daemonsets.apps {:?} not found", &*daemon_set.name)),
            (false, _, true) => return Verdict::StaysWithWarning("ignoring DaemonSet-managed Pods"),
            (false, _, false) => {
                return Verdict::Error("DaemonSet-managed Pods (use --ignore-daemonsets to ignore)".to_owned());
            }
        }
    }
    if pod.meta.annotations.get(CONFIG_MIRROR).is_some() {
        return Verdict::Stays;
    }
    if pod.is_finished() {
        return Verdict::Goes;
    }
    let is_local = pod.spec.volumes.iter().any(|volume| matches!(volume.source, PodVolumeSource::EmptyDir(_)));
    if is_local && !options.delete_empty_dir_data {
        return Verdict::Error("Pods with local storage (use --delete-emptydir-data to override)".to_owned());
    }
    match is_managed {
        false if !options.force => {
            Verdict::Error("cannot delete Pods that declare no controller (use --force to override)".to_owned())
        }
        false => Verdict::GoesWithWarning("deleting Pods that declare no controller"),
        true if is_local => Verdict::GoesWithWarning("deleting Pods with local storage"),
        true => Verdict::Goes,
    }
}
