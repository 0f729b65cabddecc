//! What an update may not change, with the API server's own words, and what only the API server sets in one.
//!
//! Source: pkg/apis/apps/validation/validation.go (`ValidateStatefulSetUpdate`, `ValidateDaemonSetUpdate`,
//! `ValidateControllerRevisionUpdate`), pkg/registry/apps/{daemonset,deployment,replicaset}/strategy.go (v1.34.1).

use crate::model::{ControllerRevision, DaemonSet, Deployment, ReplicaSet, Selector, StatefulSet};

/// Everything but the fields that the message names.
pub(super) fn stateful_set(new: &mut StatefulSet, old: &StatefulSet) -> Result<(), String> {
    let kept = new.selector == old.selector
        && new.service_name == old.service_name
        && new.management == old.management
        && new.claim_templates == old.claim_templates;
    if kept {
        return Ok(());
    }
    let fields = "'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', \
                  'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds'";
    Err(format!("spec: Forbidden: updates to statefulset spec for fields other than {fields} are forbidden"))
}

/// The selector; the API server counts the changes of the template.
pub(super) fn daemon_set(new: &mut DaemonSet, old: &DaemonSet) -> Result<(), String> {
    new.template_generation = old.template_generation + u64::from(new.template != old.template);
    immutable_selector(&new.selector, &old.selector)
}

/// The selector.
pub(super) fn deployment(new: &mut Deployment, old: &Deployment) -> Result<(), String> {
    immutable_selector(&new.selector, &old.selector)
}

/// The selector.
pub(super) fn replica_set(new: &mut ReplicaSet, old: &ReplicaSet) -> Result<(), String> {
    immutable_selector(&new.selector, &old.selector)
}

/// The template. Its revision may change.
pub(super) fn controller_revision(new: &mut ControllerRevision, old: &ControllerRevision) -> Result<(), String> {
    let kept = new.template == old.template;
    if kept { Ok(()) } else { Err("data: Invalid value: \"<value omitted>\": field is immutable".to_owned()) }
}

fn immutable_selector(new: &Selector, old: &Selector) -> Result<(), String> {
    if new == old {
        return Ok(());
    }
    Err(format!("spec.selector: Invalid value: {}: field is immutable", as_json(new)))
}

/// A selector as the API server shows it.
fn as_json(selector: &Selector) -> String {
    let mut parts = Vec::new();
    if !selector.match_labels.is_empty() {
        let pairs = selector.match_labels.iter().map(|(key, value)| format!("{key:?}:{value:?}"));
        parts.push(format!("\"matchLabels\":{{{}}}", pairs.collect::<Vec<_>>().join(",")));
    }
    if !selector.match_expressions.is_empty() {
        let shown = selector.match_expressions.iter().map(|it| {
            let values = it.values.iter().map(|value| format!("{value:?}")).collect::<Vec<_>>().join(",");
            let values = if values.is_empty() { String::new() } else { format!(",\"values\":[{values}]") };
            format!("{{\"key\":{:?},\"operator\":\"{:?}\"{values}}}", it.key, it.operator)
        });
        parts.push(format!("\"matchExpressions\":[{}]", shown.collect::<Vec<_>>().join(",")));
    }
    format!("{{{}}}", parts.join(","))
}
