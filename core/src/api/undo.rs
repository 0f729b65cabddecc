//! `kubectl rollout undo`: the template that a rollout goes back to.
//!
//! kubectl reads the revisions and patches the template; here the API server does both at once, so that an action of a
//! scenario stays one request. Source: staging/src/k8s.io/kubectl/pkg/polymorphichelpers/rollback.go (v1.34.1).

use crate::model::{ControllerRevision, Deployment, Object, PodTemplate, ReplicaSet};
use crate::store::Store;

/// The label and the annotation of a Deployment's ReplicaSet.
const TEMPLATE_HASH: &str = "pod-template-hash";
const REVISION: &str = "deployment.kubernetes.io/revision";

/// The template of the revision before the newest.
pub(super) fn previous_template(store: &Store, object: &Object) -> Result<PodTemplate, String> {
    let mut templates: Vec<(u64, PodTemplate)> = match object {
        Object::Deployment(deployment) if deployment.paused => {
            let name = &deployment.meta.name;
            return Err(format!(
                "you cannot rollback a paused deployment; resume it first with 'kubectl rollout resume \
                 deployment/{name}' and try again"
            ));
        }
        Object::Deployment(deployment) => of_replica_sets(store, deployment),
        Object::StatefulSet(_) | Object::DaemonSet(_) => {
            let revisions = store.newest().controlled_by::<ControllerRevision>(object.uid());
            revisions.map(|(_, revision)| (revision.revision, revision.template.clone())).collect()
        }
        other => return Err(format!("a {} has no rollouts to undo", other.kind().name())),
    };
    templates.sort_by_key(|(revision, _)| *revision);
    templates.pop();
    templates.pop().map(|(_, template)| template).ok_or_else(|| "no last revision to roll back to".to_owned())
}

fn of_replica_sets(store: &Store, deployment: &Deployment) -> Vec<(u64, PodTemplate)> {
    let sets = store.newest().controlled_by::<ReplicaSet>(deployment.meta.uid);
    let numbered = sets.filter_map(|(_, set)| {
        let revision = set.meta.annotations.get(REVISION)?.parse().ok()?;
        let labels = set.template.labels.without(TEMPLATE_HASH);
        Some((revision, PodTemplate { labels, ..set.template.clone() }))
    });
    numbered.collect()
}
