//! Which pods of a node a drain makes go, which it passes over, and which make it fail.
//!
//! Source: staging/src/k8s.io/kubectl/pkg/drain/filters.go (v1.34.1).

use std::collections::BTreeMap;

use wavetank_core::id::Uid;
use wavetank_core::model::{Kind, ObjectKey, Pod, PodVolumeSource};

use super::DrainOptions;

/// The annotation of the API server's image of a static pod.
const MIRROR: &str = "kubernetes.io/config.mirror";

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
    Error(&'static str),
}

/// Sorts pods, in their order.
pub(super) fn sort<'a>(pods: impl Iterator<Item = &'a Pod>, options: &DrainOptions) -> Sorted {
    let (mut warnings, mut errors) = (BTreeMap::<_, Vec<String>>::new(), BTreeMap::<_, Vec<String>>::new());
    let mut sorted = Sorted::default();
    for pod in pods {
        let name = format!("{}/{}", pod.meta.namespace, pod.meta.name);
        let verdict = verdict(pod, options);
        if let Verdict::Goes | Verdict::GoesWithWarning(_) = verdict {
            sorted.going.push((ObjectKey::new(Kind::Pod, &pod.meta.namespace, &pod.meta.name), pod.meta.uid));
        }
        match verdict {
            Verdict::Goes | Verdict::Stays => {}
            Verdict::GoesWithWarning(text) | Verdict::StaysWithWarning(text) => {
                warnings.entry(text).or_default().push(name);
            }
            Verdict::Error(text) => errors.entry(text).or_default().push(name),
        }
    }
    let line = |(text, pods): (&str, Vec<String>)| format!("{text}: {}", pods.join(", "));
    sorted.warnings = warnings.into_iter().map(line).collect();
    sorted.errors = errors.into_iter().map(|entry| format!("cannot delete {}", line(entry))).collect();
    sorted
}

fn verdict(pod: &Pod, options: &DrainOptions) -> Verdict {
    let controller = pod.meta.controller();
    if !pod.is_finished() && controller.is_some_and(|owner| owner.kind == Kind::DaemonSet) {
        return if options.ignore_daemon_sets {
            Verdict::StaysWithWarning("ignoring DaemonSet-managed Pods")
        } else {
            Verdict::Error("DaemonSet-managed Pods (use --ignore-daemonsets to ignore)")
        };
    }
    if pod.meta.annotations.get(MIRROR).is_some() {
        return Verdict::Stays;
    }
    if pod.is_finished() {
        return Verdict::Goes;
    }
    let is_local = pod.spec.volumes.iter().any(|volume| volume.source == PodVolumeSource::EmptyDir);
    if is_local && !options.delete_empty_dir_data {
        return Verdict::Error("Pods with local storage (use --delete-emptydir-data to override)");
    }
    match controller {
        None if !options.force => {
            Verdict::Error("cannot delete Pods that declare no controller (use --force to override)")
        }
        None => Verdict::GoesWithWarning("deleting Pods that declare no controller"),
        Some(_) if is_local => Verdict::GoesWithWarning("deleting Pods with local storage"),
        Some(_) => Verdict::Goes,
    }
}
