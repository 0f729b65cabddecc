//! Jobs and CronJobs: what is refused, and how they are shown.

use super::*;

/// The API server's message for a Job with a plain template, without its beginning.
fn job_refusal(spec: &str) -> String {
    let text = format!(
        "{{apiVersion: batch/v1, kind: Job, metadata: {{name: j}}, spec: {{{spec}template: {{spec: {{restartPolicy: \
         Never, containers: [{{name: c, image: i}}]}}}}}}}}"
    );
    refusal(&text).replace("Job.batch \"j\" is invalid: ", "")
}

#[test]
fn a_job_is_refused_in_the_api_server_s_words() {
    assert_eq!(job_refusal(""), "");
    assert_eq!(job_refusal("completionMode: Indexed, completions: 3, backoffLimitPerIndex: 1, "), "");
    for (spec, message) in [
        ("parallelism: -1, ", "spec.parallelism: Invalid value: -1: must be greater than or equal to 0"),
        (
            "completionMode: Indexed, parallelism: 1, ",
            "spec.completions: Required value: when completion mode is Indexed",
        ),
        ("backoffLimitPerIndex: 1, ", "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode"),
        (
            "completionMode: Odd, ",
            "spec.completionMode: Unsupported value: \"Odd\": supported values: \"NonIndexed\", \"Indexed\"",
        ),
        (
            "podFailurePolicy: {rules: [{action: FailJob}]}, ",
            "spec.podFailurePolicy.rules[0]: Invalid value: specifying one of OnExitCodes and OnPodConditions is \
             required",
        ),
        (
            "podFailurePolicy: {rules: [{action: FailIndex, onExitCodes: {operator: In, values: [2, 1]}}]}, ",
            "[spec.podFailurePolicy.rules[0].action: Invalid value: \"FailIndex\": requires the backoffLimitPerIndex \
             to be set, spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: [2,1]: must be ordered]",
        ),
        (
            "completionMode: Indexed, completions: 5, successPolicy: {rules: [{succeededIndexes: \"1-7\"}]}, ",
            "spec.successPolicy.rules[0].succeededIndexes: Invalid value: \"1-7\": error parsing succeededIndexes: too \
             large index: \"7\"",
        ),
        (
            "managedBy: me, ",
            "spec.managedBy: Invalid value: \"me\": must be a domain-prefixed path (such as \"acme.io/foo\")",
        ),
        (
            "manualSelector: true, ",
            "[spec.selector: Required value, spec.template.metadata.labels: Invalid value: null: `selector` does not \
             match template `labels`]",
        ),
    ] {
        assert_eq!(job_refusal(spec), message, "{spec}");
    }
    let text = "{apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {template: {spec: {containers: [{name: c, \
                image: i}]}}}}";
    let message = "Job.batch \"j\" is invalid: spec.template.spec.restartPolicy: Required value: valid values: \
                   \"OnFailure\", \"Never\"";
    assert_eq!(refusal(text), message);
}

#[test]
fn a_cron_job_is_refused_in_the_api_server_s_words() {
    let refused = |spec: &str| {
        let text = format!(
            "{{apiVersion: batch/v1, kind: CronJob, metadata: {{name: c}}, spec: {{{spec}, jobTemplate: {{spec: \
             {{template: {{spec: {{restartPolicy: Never, containers: [{{name: c, image: i}}]}}}}}}}}}}}}"
        );
        refusal(&text).replace("CronJob.batch \"c\" is invalid: ", "")
    };
    assert_eq!(refused("schedule: \"*/5 8-18 * * mon-fri\", timeZone: Asia/Tokyo"), "");
    assert_eq!(refused("schedule: '@every 90s'"), "");
    for (spec, message) in [
        (
            "schedule: \"61 * * * *\"",
            "spec.schedule: Invalid value: \"61 * * * *\": end of range (61) above maximum (59): 61",
        ),
        ("schedule: \"\"", "spec.schedule: Required value"),
        (
            "schedule: \"TZ=UTC 0 0 * * *\"",
            "spec.schedule: Invalid value: \"TZ=UTC 0 0 * * *\": cannot use TZ or CRON_TZ in schedule, use timeZone \
             field instead",
        ),
        (
            "schedule: '@daily', timeZone: Mars/Olympus",
            "spec.timeZone: Invalid value: \"Mars/Olympus\": unknown time zone Mars/Olympus",
        ),
        (
            "schedule: '@daily', concurrencyPolicy: Maybe",
            "spec.concurrencyPolicy: Unsupported value: \"Maybe\": supported values: \"Allow\", \"Forbid\", \
             \"Replace\"",
        ),
        (
            "schedule: '@daily', failedJobsHistoryLimit: -1",
            "spec.failedJobsHistoryLimit: Invalid value: -1: must be greater than or equal to 0",
        ),
    ] {
        assert_eq!(refused(spec), message, "{spec}");
    }
}

#[test]
fn jobs_are_shown_as_they_were_written_with_what_the_core_knows() {
    use wavetank_core::id::Revision;
    let text = "
apiVersion: batch/v1
kind: CronJob
metadata: {name: c}
spec:
  schedule: '0 3 * * *'
  timeZone: Europe/Berlin
  jobTemplate:
    spec:
      backoffLimit: 2
      template:
        spec: {restartPolicy: Never, containers: [{name: c, image: i}], dnsPolicy: Default}
---
apiVersion: batch/v1
kind: Job
metadata: {name: j}
spec:
  completionMode: Indexed
  completions: 4
  podFailurePolicy: {rules: [{action: Ignore, onPodConditions: [{type: DisruptionTarget}]}]}
  template:
    spec: {restartPolicy: Never, containers: [{name: c, image: i}]}
";
    let shown: Vec<serde_json::Value> = read_admitted("a.yaml", text)
        .unwrap()
        .iter()
        .map(|located| to_json(&to_object(located).unwrap(), Revision(3), 0))
        .collect();
    let (cron_job, job) = (&shown[0]["spec"], &shown[1]["spec"]);
    assert_eq!((&cron_job["timeZone"], &cron_job["concurrencyPolicy"]), (&"Europe/Berlin".into(), &"Allow".into()));
    assert_eq!(cron_job["jobTemplate"]["spec"]["template"]["spec"]["dnsPolicy"], "Default");
    assert_eq!(cron_job["jobTemplate"]["spec"]["backoffLimit"], 2);
    assert_eq!((&job["parallelism"], &job["backoffLimit"]), (&1.into(), &6.into()));
    assert_eq!(job["podReplacementPolicy"], "Failed", "with a failure policy");
    assert_eq!(job["podFailurePolicy"]["rules"][0]["onPodConditions"][0]["status"], "True");
    assert_eq!(job["completionMode"], "Indexed");
}
