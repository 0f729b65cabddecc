//! Jobs, CronJobs, and what a Job gives each of its pods.

use serde_json::{Map, Value, json};
use wavetank_core::model::{
    COMPLETION_INDEX, COMPLETION_INDEX_ENV, CronJob, FailurePattern, FailureRule, Job, JobSpec, Pod, Schedule,
    SuccessRule,
};

use super::{
    Show, entry, selector, set, set_counts, set_labels, set_unless_empty, show_template, status as status_text,
};

impl Show<'_> {
    pub(super) fn job(&self, root: &mut Map<String, Value>, job: &Job) {
        job_spec(entry(root, "spec"), &job.spec, true);
        let counts = &job.status;
        let status = entry(root, "status");
        set_counts(status, [("active", counts.active), ("succeeded", counts.succeeded), ("failed", counts.failed)]);
        for (key, count) in [("ready", counts.ready), ("terminating", counts.terminating)] {
            if let Some(count) = count {
                set(status, key, count);
            }
        }
        for (key, at) in [("startTime", counts.started_at), ("completionTime", counts.completed_at)] {
            if let Some(at) = at {
                set(status, key, self.time(at));
            }
        }
        if !counts.completed_indexes.is_empty() {
            set(status, "completedIndexes", counts.completed_indexes.to_string());
        }
        if let Some(failed) = &counts.failed_indexes {
            set(status, "failedIndexes", failed.to_string());
        }
        if counts.ready.is_some() {
            let mut uncounted = Map::new();
            for (key, uids) in [("succeeded", &counts.uncounted.succeeded), ("failed", &counts.uncounted.failed)] {
                if !uids.is_empty() {
                    set(&mut uncounted, key, uids.iter().map(ToString::to_string).collect::<Vec<_>>());
                }
            }
            set(status, "uncountedTerminatedPods", uncounted);
        }
        let mut conditions = self.conditions(&counts.conditions);
        for condition in conditions.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
            let at = condition.get("lastTransitionTime").cloned();
            set(condition, "lastProbeTime", at);
        }
        set_unless_empty(status, "conditions", conditions);
    }

    pub(super) fn cron_job(&self, root: &mut Map<String, Value>, cron_job: &CronJob) {
        let spec = entry(root, "spec");
        let Schedule { text, zone, .. } = &cron_job.schedule;
        set(spec, "schedule", &**text);
        if let Some(zone) = &zone.name {
            set(spec, "timeZone", &**zone);
        }
        set(spec, "concurrencyPolicy", format!("{:?}", cron_job.concurrency));
        set(spec, "suspend", cron_job.suspend);
        let limits = [
            ("successfulJobsHistoryLimit", cron_job.successful_history),
            ("failedJobsHistoryLimit", cron_job.failed_history),
        ];
        for (key, limit) in limits {
            if let Some(limit) = limit {
                set(spec, key, limit);
            }
        }
        if let Some(deadline) = cron_job.starting_deadline {
            set(spec, "startingDeadlineSeconds", deadline.as_secs());
        }
        let template = entry(spec, "jobTemplate");
        let metadata = entry(template, "metadata");
        set_labels(metadata, "labels", &cron_job.template.labels);
        set_labels(metadata, "annotations", &cron_job.template.annotations);
        // What the API server adds to a Job it adds to each Job, not to the template: that is as the user wrote it.
        show_template(entry(entry(template, "spec"), "template"), &cron_job.template.spec.template);
        let status = entry(root, "status");
        let active = cron_job.status.active.iter().map(|(name, uid)| {
            json!({
                "apiVersion": "batch/v1",
                "kind": "Job",
                "namespace": &*cron_job.meta.namespace,
                "name": &**name,
                "uid": uid.to_string(),
            })
        });
        let active: Vec<Value> = active.collect();
        if !active.is_empty() {
            set(status, "active", active);
        }
        let times = [
            ("lastScheduleTime", cron_job.status.last_scheduled),
            ("lastSuccessfulTime", cron_job.status.last_successful),
        ];
        for (key, at) in times {
            if let Some(at) = at {
                set(status, key, self.time(at));
            }
        }
    }
}

fn job_spec(spec: &mut Map<String, Value>, shown: &JobSpec, with_selector: bool) {
    set(spec, "parallelism", shown.parallelism);
    set(spec, "completionMode", format!("{:?}", shown.mode));
    set(spec, "suspend", shown.suspend);
    set(spec, "backoffLimit", shown.backoff_limit);
    set(spec, "podReplacementPolicy", format!("{:?}", shown.pod_replacement));
    set(spec, "manualSelector", shown.manual_selector);
    let counts = [
        ("completions", shown.completions.map(u64::from)),
        ("activeDeadlineSeconds", shown.active_deadline.map(|span| span.as_secs())),
        ("backoffLimitPerIndex", shown.backoff_limit_per_index.map(u64::from)),
        ("maxFailedIndexes", shown.max_failed_indexes.map(u64::from)),
        ("ttlSecondsAfterFinished", shown.ttl_after_finished.map(|span| span.as_secs())),
    ];
    for (key, count) in counts {
        match count {
            Some(count) => set(spec, key, count),
            None => {
                spec.remove(key);
            }
        }
    }
    if let Some(manager) = &shown.managed_by {
        set(spec, "managedBy", &**manager);
    }
    if let Some(rules) = &shown.pod_failure_policy {
        set(spec, "podFailurePolicy", json!({"rules": rules.iter().map(failure_rule).collect::<Vec<_>>()}));
    }
    if let Some(rules) = &shown.success_policy {
        set(spec, "successPolicy", json!({"rules": rules.iter().map(success_rule).collect::<Vec<_>>()}));
    }
    if with_selector {
        set(spec, "selector", selector(&shown.selector));
    }
    show_template(entry(spec, "template"), &shown.template);
}

fn failure_rule(rule: &FailureRule) -> Value {
    let mut map = Map::new();
    set(&mut map, "action", format!("{:?}", rule.action));
    match &rule.on {
        FailurePattern::ExitCodes { container, is_in, codes } => {
            let on = entry(&mut map, "onExitCodes");
            if let Some(container) = container {
                set(on, "containerName", &**container);
            }
            set(on, "operator", if *is_in { "In" } else { "NotIn" });
            set(on, "values", codes.clone());
        }
        FailurePattern::Conditions(patterns) => {
            let shown = patterns.iter().map(|(kind, it)| json!({"type": &**kind, "status": status_text(*it)}));
            set(&mut map, "onPodConditions", shown.collect::<Vec<_>>());
        }
    }
    Value::Object(map)
}

fn success_rule(rule: &SuccessRule) -> Value {
    let mut map = Map::new();
    if let Some(indexes) = &rule.indexes {
        set(&mut map, "succeededIndexes", &**indexes);
    }
    if let Some(count) = rule.count {
        set(&mut map, "succeededCount", count);
    }
    Value::Object(map)
}

/// Shows what a pod of an Indexed Job has for itself: its host name, and its index in the environment.
pub(super) fn of_index(spec: &mut Map<String, Value>, pod: &Pod) {
    let Some((host_name, _)) = pod.of_index() else { return };
    set(spec, "hostname", &*host_name);
    let field = format!("metadata.labels['{COMPLETION_INDEX}']");
    for group in ["containers", "initContainers"] {
        for container in spec.get_mut(group).and_then(Value::as_array_mut).into_iter().flatten() {
            let Some(container) = container.as_object_mut() else { continue };
            let env = container.entry("env").or_insert_with(|| json!([]));
            let Some(list) = env.as_array_mut() else { continue };
            if !list.iter().any(|variable| variable["name"] == COMPLETION_INDEX_ENV) {
                let source = json!({"fieldRef": {"apiVersion": "v1", "fieldPath": field}});
                list.push(json!({"name": COMPLETION_INDEX_ENV, "valueFrom": source}));
            }
        }
    }
}
