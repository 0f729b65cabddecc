//! What the API server refuses of a new version of a Job, a ResourceQuota, a PriorityClass, a ConfigMap or a Secret.
//!
//! Source: `ValidateJobSpecUpdate`, pkg/apis/batch/validation/validation.go (v1.34.1). The API server quotes the whole
//! value in its message; here values that are no numbers or words are left out of it.

use std::collections::BTreeSet;

use crate::api::priority::preemption_policy;
use crate::api::{Refusal, together};
use crate::digest::Shared;
use crate::model::{
    ConfigMap, JOB_NAME_LABELS, JOB_UID_LABELS, Job, JobSpec, Labels, ObjectKey, PodSpec, PodTemplate, PriorityClass,
    Resource, ResourceQuota, Secret, SelectorOperator,
};
use crate::store::Store;

/// Refuses a new version of a Job that changes what may not be changed.
pub(super) fn check_job(store: &Store, new: &Job) -> Result<(), Refusal> {
    let Some((_, old)) = store.newest().find::<Job>(&new.meta.namespace, &new.meta.name) else { return Ok(()) };
    let Some(text) = together(&faults(&new.spec, old)) else { return Ok(()) };
    let key = ObjectKey { kind: Job::KIND, namespace: new.meta.namespace.clone(), name: new.meta.name.clone() };
    Err(Refusal::Invalid { key, message: text.into() })
}

/// Refuses a status of a Job that says of more pods that they are ready than that they are active. The Job controller
/// runs into this while it waits to replace a failed pod beside others, and tries again.
///
/// Source: `validateJobStatus`, pkg/apis/batch/validation/validation.go (v1.34.1); its other checks hold of whatever
/// the controller here writes.
pub(super) fn check_job_status(store: &Store, new: &Job) -> Result<(), Refusal> {
    let Some((_, old)) = store.newest().find::<Job>(&new.meta.namespace, &new.meta.name) else { return Ok(()) };
    let counts = |job: &Job| (job.status.active, job.status.ready.unwrap_or(0));
    let (active, ready) = counts(new);
    if ready <= active || counts(new) == counts(old) {
        return Ok(());
    }
    let key = ObjectKey { kind: Job::KIND, namespace: new.meta.namespace.clone(), name: new.meta.name.clone() };
    let message = format!("status.ready: Invalid value: {ready}: cannot set more ready pods than active");
    Err(Refusal::Invalid { key, message: message.into() })
}

fn faults(new: &JobSpec, old: &Job) -> Vec<String> {
    let was = &old.spec;
    let mut faults = Vec::new();
    let mut immutable = |field: &str, value: Option<String>, differs: bool| {
        if differs {
            let value = value.map(|value| format!(": {value}")).unwrap_or_default();
            faults.push(format!("spec.{field}: Invalid value{value}: field is immutable"));
        }
    };
    let number = |value: Option<u32>| value.map_or_else(|| "null".to_owned(), |value| value.to_string());
    if !old.is_indexed() {
        immutable("completions", Some(number(new.completions)), new.completions != was.completions);
    }
    immutable("selector", None, new.selector != was.selector);
    let may_move = was.suspend && old.status.started_at.is_none();
    let same_template =
        if may_move { but_placement(&new.template, &was.template) } else { new.template == was.template };
    immutable("template", None, !same_template);
    immutable("completionMode", Some(format!("\"{:?}\"", new.mode)), new.mode != was.mode);
    immutable("podFailurePolicy", None, new.pod_failure_policy != was.pod_failure_policy);
    let (limit, before) = (new.backoff_limit_per_index, was.backoff_limit_per_index);
    immutable("backoffLimitPerIndex", Some(number(limit)), limit != before);
    let manager = new.managed_by.as_ref().map_or_else(|| "null".to_owned(), |manager| format!("{manager:?}"));
    immutable("managedBy", Some(manager), new.managed_by != was.managed_by);
    immutable("successPolicy", None, new.success_policy != was.success_policy);
    let in_tandem = new.completions == was.completions || new.completions == Some(new.parallelism);
    if old.is_indexed() && !in_tandem {
        let value = number(new.completions);
        let detail = "can only be modified in tandem with spec.parallelism";
        faults.insert(0, format!("spec.completions: Invalid value: {value}: {detail}"));
    }
    faults
}

/// Whether two templates differ at most in where their pods may run, and in labels and annotations: a Job that has not
/// begun may be given to other nodes.
fn but_placement(new: &PodTemplate, old: &PodTemplate) -> bool {
    let plain = |template: &PodTemplate| {
        let mut spec: PodSpec = (*template.spec).clone();
        spec.node_selector = Labels::default();
        spec.required_node_affinity.clear();
        spec.preferred_node_affinity.clear();
        spec.tolerations.clear();
        spec.original = None;
        if let Some(rules) = &mut spec.rules {
            rules.scheduling_gates.clear();
        }
        Shared::new(spec)
    };
    plain(new) == plain(old)
}

/// A manifest's version with the selector and the labels that the API server has made: what a manifest does not name
/// stays when it is applied.
pub(super) fn with_made_labels(new: &Job, old: &Job) -> Job {
    let mut merged = new.clone();
    if !old.spec.manual_selector && !new.spec.manual_selector {
        for key in JOB_NAME_LABELS.iter().chain(&JOB_UID_LABELS) {
            if let (None, Some(made)) = (merged.spec.template.labels.get(key), old.spec.template.labels.get(key)) {
                merged.spec.template.labels = merged.spec.template.labels.with(*key, made.clone());
            }
        }
        if merged.spec.selector.is_empty() {
            merged.spec.selector = old.spec.selector.clone();
        }
    }
    if merged.meta.labels.is_empty() {
        merged.meta.labels = old.meta.labels.clone();
    }
    merged
}

/// The scopes of a quota stay.
///
/// Source: `ValidateResourceQuotaUpdate`, pkg/apis/core/validation/validation.go (v1.34.1).
pub(super) fn resource_quota(new: &mut ResourceQuota, old: &ResourceQuota) -> Result<(), String> {
    let plain = |quota: &ResourceQuota| -> BTreeSet<&'static str> {
        let exists = quota.scopes.iter().filter(|it| it.operator == SelectorOperator::Exists);
        exists.map(|it| it.scope.name()).collect()
    };
    if plain(new) == plain(old) {
        return Ok(());
    }
    let names: Vec<String> = plain(new).into_iter().map(|name| format!("{name:?}")).collect();
    Err(format!("spec.scopes: Invalid value: [{}]: field is immutable", names.join(",")))
}

/// What a PriorityClass makes of its pods stays.
///
/// Source: `ValidatePriorityClassUpdate`, pkg/apis/scheduling/validation/validation.go (v1.34.1).
pub(super) fn priority_class(new: &mut PriorityClass, old: &PriorityClass) -> Result<(), String> {
    let mut faults = Vec::new();
    if new.value != old.value {
        faults.push("value: Forbidden: may not be changed in an update.".to_owned());
    }
    if new.never_preempts != old.never_preempts {
        faults.push(format!(
            "preemptionPolicy: Invalid value: {:?}: field is immutable",
            preemption_policy(new.never_preempts)
        ));
    }
    refused(&faults)
}

/// What an immutable object says to each change.
const IMMUTABLE: &str = "Forbidden: field is immutable when `immutable` is set";

/// Once immutable, a ConfigMap keeps its values and stays immutable.
///
/// Source: `ValidateConfigMapUpdate`, pkg/apis/core/validation/validation.go (v1.34.1).
pub(super) fn config_map(new: &mut ConfigMap, old: &ConfigMap) -> Result<(), String> {
    if old.immutable != Some(true) {
        return Ok(());
    }
    let changed = [
        ("immutable", new.immutable != Some(true)),
        ("data", new.data != old.data),
        ("binaryData", new.binary != old.binary),
    ];
    let faults = changed.iter().filter(|(_, changed)| *changed).map(|(field, _)| format!("{field}: {IMMUTABLE}"));
    refused(&faults.collect::<Vec<_>>())
}

/// A Secret keeps its type and, once immutable, its values.
///
/// Source: `ValidateSecretUpdate`, pkg/apis/core/validation/validation.go (v1.34.1).
pub(super) fn secret(new: &mut Secret, old: &Secret) -> Result<(), String> {
    if new.secret_type.is_empty() {
        new.secret_type = old.secret_type.clone();
    }
    let mut faults = Vec::new();
    if new.secret_type != old.secret_type {
        faults.push(format!("type: Invalid value: {:?}: field is immutable", new.secret_type));
    }
    if old.immutable == Some(true) {
        let changed = [("immutable", new.immutable != Some(true)), ("data", new.data != old.data)];
        faults.extend(changed.iter().filter(|(_, changed)| *changed).map(|(field, _)| format!("{field}: {IMMUTABLE}")));
    }
    refused(&faults)
}

/// Several faults stand in brackets.
fn refused(faults: &[String]) -> Result<(), String> {
    match faults {
        [] => Ok(()),
        [only] => Err(only.clone()),
        several => Err(format!("[{}]", several.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::api::{Patch, Request};
    use crate::config::Config;
    use crate::model::{CompletionMode, Container, Kind, Meta, Object};
    use crate::testbed::Testbed;
    use crate::time::Span;

    fn job(spec: JobSpec) -> Job {
        Job { meta: Meta::named("default", "j"), spec, ..Job::default() }
    }

    /// What the API server says to a changed Job.
    fn refusal(spec: JobSpec, change: impl FnOnce(&mut JobSpec)) -> String {
        let mut bed = Testbed::new(Config::default());
        bed.create(job(spec));
        let mut changed = Job::clone(&bed.get::<Job>("default", "j").unwrap());
        change(&mut changed.spec);
        bed.ask(Request::Update { object: Object::Job(Arc::new(changed)), expected: None })
    }

    fn with_container(spec: &mut JobSpec) {
        let containers = vec![Container { name: "c".into(), ..Container::default() }];
        spec.template.spec = Shared::new(PodSpec { containers, ..PodSpec::default() });
    }

    #[test]
    fn most_of_a_job_may_not_change() {
        let plain = JobSpec::default;
        let completions = refusal(plain(), |spec| spec.completions = Some(3));
        assert_eq!(completions, "Job.batch \"j\" is invalid: spec.completions: Invalid value: 3: field is immutable");
        assert!(refusal(plain(), with_container).ends_with("spec.template: Invalid value: field is immutable"));
        let mode = refusal(plain(), |spec| spec.mode = CompletionMode::Indexed);
        assert!(mode.ends_with("spec.completionMode: Invalid value: \"Indexed\": field is immutable"), "{mode}");
        for allowed in [
            |spec: &mut JobSpec| spec.parallelism = 7,
            |spec: &mut JobSpec| spec.suspend = true,
            |spec: &mut JobSpec| spec.backoff_limit = 1,
            |spec: &mut JobSpec| spec.active_deadline = Some(Span::from_secs(5)),
            |spec: &mut JobSpec| spec.ttl_after_finished = Some(Span::ZERO),
        ] {
            assert_eq!(refusal(plain(), allowed), "");
        }
    }

    #[test]
    fn an_indexed_job_changes_its_completions_with_its_parallelism() {
        let indexed = || JobSpec { mode: CompletionMode::Indexed, completions: Some(5), ..JobSpec::default() };
        let alone = refusal(indexed(), |spec| spec.completions = Some(3));
        assert!(
            alone.ends_with("spec.completions: Invalid value: 3: can only be modified in tandem with spec.parallelism"),
            "{alone}"
        );
        let both = |spec: &mut JobSpec| (spec.completions, spec.parallelism) = (Some(3), 3);
        assert_eq!(refusal(indexed(), both), "");
    }

    #[test]
    fn a_suspended_job_that_never_began_may_go_to_other_nodes() {
        let suspended = || JobSpec { suspend: true, ..JobSpec::default() };
        let elsewhere = |spec: &mut JobSpec| {
            let node_selector = Labels::new([("disk", "ssd")]);
            spec.template.spec = Shared::new(PodSpec { node_selector, ..(*spec.template.spec).clone() });
        };
        assert_eq!(refusal(suspended(), elsewhere), "");
        assert_ne!(refusal(JobSpec::default(), elsewhere), "");
        assert_ne!(refusal(suspended(), with_container), "");
    }

    #[test]
    fn a_job_has_the_selector_and_labels_that_the_api_server_makes() {
        let mut bed = Testbed::new(Config::default());
        let mut wanted = job(JobSpec::default());
        wanted.spec.template.labels = Labels::new([("app", "x")]);
        bed.create(wanted);
        let made = bed.get::<Job>("default", "j").unwrap();
        let uid = made.meta.uid.to_string();
        let labels = Labels::new([
            ("app", "x"),
            ("batch.kubernetes.io/controller-uid", &uid),
            ("batch.kubernetes.io/job-name", "j"),
            ("controller-uid", &uid),
            ("job-name", "j"),
        ]);
        assert_eq!((&made.spec.template.labels, &made.meta.labels), (&labels, &labels));
        assert_eq!(made.spec.selector.match_labels, Labels::new([("batch.kubernetes.io/controller-uid", &*uid)]));
        // Applying the same manifest again changes nothing.
        let mut again = job(JobSpec::default());
        again.spec.template.labels = Labels::new([("app", "x")]);
        bed.request(Request::Apply { object: Object::Job(Arc::new(again)), sets_replicas: false });
        bed.run_for(Span::ZERO);
        assert_eq!(bed.get::<Job>("default", "j").unwrap(), made);
    }

    #[test]
    fn jobs_and_cron_jobs_are_suspended_by_a_patch() {
        let mut bed = Testbed::new(Config::default());
        bed.create(job(JobSpec { managed_by: Some("example.com/other".into()), ..JobSpec::default() }));
        let key = ObjectKey::new(Kind::Job, "default", "j");
        bed.request(Request::Patch { key, patch: Patch::Suspended(true) });
        bed.run_for(Span::ZERO);
        let job = bed.get::<Job>("default", "j").unwrap();
        assert!(job.spec.suspend);
        assert_eq!(job.meta.generation, 2);
    }
}
