//! What the API server refuses of written statuses: those of Jobs, claims, quotas, load balancers and pods.

use serde_json::{Value, json};
use wavetank_manifest::kubernetes::{PatchType, apply_defaults, apply_patch, read_manifests, validate_status_update};

/// An object as it is stored, without its status.
fn stored(kind: &str) -> Value {
    let containers = json!([{"name": "main", "image": "shop:1"}]);
    let (version, spec) = match kind {
        "Pod" => (
            "v1",
            json!({"containers": containers, "initContainers": [
            {"name": "once", "image": "shop:1"}, {"name": "side", "image": "shop:1", "restartPolicy": "Always"}]}),
        ),
        "Job" => {
            let template = json!({"spec": {"containers": containers, "restartPolicy": "Never"}});
            (
                "batch/v1",
                json!({"template": template, "completions": 9, "completionMode": "Indexed", "backoffLimitPerIndex": 1}),
            )
        }
        "Service" => ("v1", json!({"ports": [{"port": 80}], "type": "LoadBalancer"})),
        "ResourceQuota" => ("v1", json!({"hard": {"pods": "4"}})),
        "PersistentVolumeClaim" => {
            ("v1", json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}}))
        }
        other => panic!("no {other} here"),
    };
    json!({"apiVersion": version, "kind": kind, "metadata": {"name": "x", "namespace": "shop"}, "spec": spec})
}

/// What is said of a status that is written over another, without the words before the first field; both statuses are
/// JSON, and so are changes of the spec.
fn said_of(kind: &str, spec: &str, old: &str, new: &str) -> String {
    let parsed = |text: &str| -> Value { serde_json::from_str(text).unwrap_or_else(|it| panic!("{text}: {it}")) };
    let mut object = stored(kind);
    apply_patch(PatchType::Merge, &mut object, &json!({"spec": parsed(spec)})).expect("a merge patch always fits");
    let mut read = read_manifests("x.json", &object.to_string()).unwrap_or_else(|errors| panic!("{errors}"));
    let mut manifest = read.remove(0).value;
    apply_defaults(&mut manifest);
    let with = |status: &str| {
        let mut object = object.clone();
        object["status"] = parsed(status);
        object
    };
    let answer = validate_status_update(&manifest, &with(new), &with(old));
    let message = answer.err().map(|invalid| invalid.to_string()).unwrap_or_default();
    message.split_once(" is invalid: ").map_or_else(String::new, |(_, why)| why.to_owned())
}

fn assert_said(kind: &str, rows: &[(&str, &str, &str, &str)]) {
    for (spec, old, new, expected) in rows {
        assert_eq!(said_of(kind, spec, old, new), *expected, "{kind} {spec} {old} > {new}");
    }
}

const DONE: &str = r#"{"startTime": "2025-11-03T08:00:00Z", "completionTime": "2025-11-03T08:05:00Z", "succeeded": 9,
    "conditions": [{"type": "SuccessCriteriaMet", "status": "True"}, {"type": "Complete", "status": "True"}]}"#;
const LOST: &str = r#"{"startTime": "2025-11-03T08:00:00Z", "failed": 1,
    "conditions": [{"type": "FailureTarget", "status": "True"}, {"type": "Failed", "status": "True"}]}"#;

#[test]
fn a_job_ends_as_its_controller_would_end_it() {
    let conditions = |names: &[&str]| -> String {
        let list: Vec<Value> = names.iter().map(|name| json!({"type": name, "status": "True"})).collect();
        json!({"conditions": list, "startTime": "2025-11-03T08:00:00Z"}).to_string()
    };
    let complete = conditions(&["Complete"]);
    assert_said(
        "Job",
        &[
            ("{}", "{}", DONE, ""),
            ("{}", "{}", LOST, ""),
            ("{}", DONE, DONE, ""),
            (
                "{}",
                "{}",
                &complete,
                "[status.completionTime: Required value: completionTime is required for Complete jobs, \
                 status.conditions: Invalid value: cannot set Complete=True condition without the \
                 SuccessCriteriaMet=true condition]",
            ),
            (
                "{}",
                "{}",
                &conditions(&["Failed"]),
                "status.conditions: Invalid value: cannot set Failed=True condition without the FailureTarget=true \
                 condition",
            ),
            (
                "{}",
                &conditions(&["FailureTarget"]),
                "{}",
                "[status.conditions: Invalid value: cannot disable the terminal FailureTarget=True condition, \
                 status.startTime: Required value: startTime cannot be removed for unsuspended job]",
            ),
            (
                "{}",
                "{}",
                r#"{"completionTime": "2025-11-03T08:05:00Z"}"#,
                "status.completionTime: Invalid value: \"2025-11-03T08:05:00Z\": cannot set completionTime when there \
                 is no Complete=True condition",
            ),
            (
                "{}",
                DONE,
                LOST,
                concat!(
                    "[status.conditions: Invalid value: cannot disable the terminal Complete=True condition, ",
                    "status.succeeded: Invalid value: 0: cannot decrease the succeeded counter, ",
                    "status.conditions: Invalid value: cannot disable the SuccessCriteriaMet=True condition]"
                ),
            ),
        ],
    );
}

#[test]
fn a_jobs_counts_and_indexes_fit_its_spec() {
    let suspended = r#"{"suspend": true}"#;
    let shrinks = r#"{"parallelism": 9}"#;
    let plain = r#"{"completionMode": "NonIndexed", "backoffLimitPerIndex": null}"#;
    let started = r#"{"startTime": "2025-11-03T08:00:00Z"}"#;
    assert_said(
        "Job",
        &[
            (
                "{}",
                "{}",
                // A count of ready pods that is not told is compared with nothing.
                r#"{"active": -1}"#,
                "status.active: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                "{}",
                "{}",
                r#"{"active": 1, "ready": 2}"#,
                "status.ready: Invalid value: 2: cannot set more ready pods than active",
            ),
            ("{}", r#"{"failed": 2}"#, "{}", "status.failed: Invalid value: 0: cannot decrease the failed counter"),
            (
                "{}",
                r#"{"succeeded": 2}"#,
                "{}",
                "status.succeeded: Invalid value: 0: cannot decrease the succeeded counter",
            ),
            (shrinks, r#"{"succeeded": 2}"#, "{}", ""),
            (suspended, started, "{}", ""),
            ("{}", "{}", r#"{"completedIndexes": "0,2-4,8"}"#, ""),
            (
                "{}",
                "{}",
                r#"{"completedIndexes": "2-1"}"#,
                "status.completedIndexes: Invalid value: \"2-1\": error parsing \
              completedIndexes: non-increasing order, previous: 2, current: 1",
            ),
            (
                "{}",
                "{}",
                r#"{"completedIndexes": "3,3"}"#,
                "status.completedIndexes: Invalid value: \"3,3\": error parsing \
              completedIndexes: non-increasing order, previous: 3, current: 3",
            ),
            (
                "{}",
                "{}",
                r#"{"completedIndexes": "9"}"#,
                "status.completedIndexes: Invalid value: \"9\": error parsing \
              completedIndexes: too large index: \"9\"",
            ),
            (
                "{}",
                "{}",
                r#"{"completedIndexes": "a"}"#,
                "status.completedIndexes: Invalid value: \"a\": error parsing \
              completedIndexes: cannot convert string to integer for index: \"a\"",
            ),
            (
                "{}",
                "{}",
                r#"{"completedIndexes": "0-3", "failedIndexes": "1,5"}"#,
                "status.failedIndexes: Invalid value: \
              \"1,5\": failedIndexes and completedIndexes overlap at index: 1",
            ),
            ("{}", r#"{"completedIndexes": "11"}"#, r#"{"completedIndexes": "11"}"#, ""),
            (
                plain,
                "{}",
                r#"{"completedIndexes": "1", "failedIndexes": "2"}"#,
                "[status.completedIndexes: Invalid value: \"1\": cannot set non-empty completedIndexes when \
                 non-indexed completion mode, status.failedIndexes: Invalid value: \"2\": cannot set non-null \
                 failedIndexes when backoffLimitPerIndex is null]",
            ),
            (
                "{}",
                "{}",
                r#"{"uncountedTerminatedPods": {"succeeded": ["a", ""], "failed": ["a"]}}"#,
                "[status.uncountedTerminatedPods.succeeded[1]: Invalid value: \"\": must not be empty, \
              status.uncountedTerminatedPods.failed[0]: Duplicate value: \"a\"]",
            ),
        ],
    );
}

#[test]
fn what_a_claim_and_a_quota_have_are_amounts_of_known_things() {
    assert_said(
        "PersistentVolumeClaim",
        &[
            ("{}", "{}", r#"{"capacity": {"storage": "2Gi"}}"#, ""),
            (
                "{}",
                "{}",
                r#"{"capacity": {"storage": "-2"}}"#,
                "status.capacity[storage]: Invalid value: -2: must be a valid \
              resource quantity",
            ),
            (
                "{}",
                "{}",
                r#"{"allocatedResources": {"cpu": "1"}}"#,
                "status.allocatedResources: Unsupported value: \"cpu\": \
              supported values: \"storage\"",
            ),
            (
                "{}",
                "{}",
                r#"{"allocatedResourceStatuses": {"storage": "Growing"}}"#,
                "status.allocatedResourceStatuses: Unsupported value: \"storage\": supported values: \
                 \"ControllerResizeInProgress\", \"ControllerResizeInfeasible\", \"NodeResizeInProgress\", \
                 \"NodeResizeInfeasible\", \"NodeResizePending\"",
            ),
        ],
    );
    assert_said(
        "ResourceQuota",
        &[
            ("{}", "{}", r#"{"hard": {"pods": "4"}, "used": {"pods": "1"}}"#, ""),
            (
                "{}",
                "{}",
                r#"{"hard": {"pods": "1.5"}}"#,
                "status.hard[pods]: Invalid value: \"1500m\": must be an integer",
            ),
            (
                "{}",
                "{}",
                r#"{"used": {"tills": "1"}}"#,
                "[status.used[tills]: Invalid value: \"tills\": must be a standard resource type or fully qualified, \
                 status.used[tills]: Invalid value: \"tills\": must be a standard resource for quota]",
            ),
        ],
    );
}

#[test]
fn a_load_balancer_has_addresses_or_names() {
    let ip = |text: &str| format!(r#"{{"loadBalancer": {{"ingress": [{text}]}}}}"#);
    let bad = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
    let field = "status.loadBalancer.ingress[0]";
    assert_said(
        "Service",
        &[
            ("{}", "{}", &ip(r#"{"ip": "192.0.2.7"}"#), ""),
            ("{}", "{}", &ip(r#"{"ip": "192.0.2"}"#), &format!("{field}.ip: Invalid value: \"192.0.2\": {bad}")),
            ("{}", &ip(r#"{"ip": "192.0.2"}"#), &ip(r#"{"ip": "192.0.2"}"#), ""),
            (
                "{}",
                "{}",
                &ip(r#"{"hostname": "a", "ipMode": "VIP"}"#),
                &format!(
                    "{field}.ipMode: Forbidden: may not be \
              specified when `ip` is not set"
                ),
            ),
            (
                "{}",
                "{}",
                &ip(r#"{"ip": "192.0.2.7", "ipMode": "Any"}"#),
                &format!(
                    "{field}.ipMode: Unsupported value: \
              \"Any\": supported values: \"Proxy\", \"VIP\""
                ),
            ),
            (
                "{}",
                "{}",
                &ip(r#"{"hostname": "192.0.2.7"}"#),
                &format!(
                    "{field}.hostname: Invalid value: \"192.0.2.7\": must \
              be a DNS name, not an IP address"
                ),
            ),
            (
                r#"{"type": "NodePort"}"#,
                "{}",
                &ip(r#"{"ip": "192.0.2.7"}"#),
                "status.loadBalancer.ingress: Forbidden: may \
              only be used when `spec.type` is 'LoadBalancer'",
            ),
        ],
    );
}

#[test]
fn a_pod_has_one_address_of_each_family_and_so_has_its_node() {
    let bad = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
    let two = "may specify no more than one IP for each IP family";
    assert_said(
        "Pod",
        &[
            ("{}", "{}", r#"{"podIP": "10.0.0.4", "podIPs": [{"ip": "10.0.0.4"}, {"ip": "fd00::4"}]}"#, ""),
            ("{}", "{}", r#"{"podIP": "10.0.0"}"#, &format!("status.podIPs[0]: Invalid value: \"10.0.0\": {bad}")),
            ("{}", "{}", r#"{"podIP": "10.0.0.4", "podIPs": [{"ip": "ten"}]}"#, ""),
            ("{}", r#"{"podIPs": [{"ip": "ten"}]}"#, r#"{"podIPs": [{"ip": "ten"}]}"#, ""),
            (
                "{}",
                "{}",
                r#"{"podIPs": [{"ip": "10.0.0.4"}, {"ip": "10.0.0.5"}]}"#,
                &format!(
                    "status.podIPs: Invalid value: \
              [{{\"IP\":\"10.0.0.4\"}},{{\"IP\":\"10.0.0.5\"}}]: {two}"
                ),
            ),
            (
                "{}",
                "{}",
                r#"{"hostIP": "10.0.0.1", "hostIPs": [{"ip": "10.0.0.2"}]}"#,
                "status.hostIPs[0].ip: Invalid value: \
              \"10.0.0.2\": must be equal to `hostIP`",
            ),
            (
                "{}",
                "{}",
                r#"{"hostIP": "10.0.0.1", "hostIPs": [{"ip": "10.0.0.1"}, {"ip": "x"}]}"#,
                &format!(
                    "[status.hostIPs[1]: Invalid value: \"x\": {bad}, status.hostIPs: Internal error: failed to check \
                     for dual stack with error:invalid IP[1]: <nil>, status.hostIPs: Invalid value: \
                     [{{\"IP\":\"10.0.0.1\"}},{{\"IP\":\"x\"}}]: {two}]"
                ),
            ),
        ],
    );
}

#[test]
fn a_pods_conditions_have_names_and_what_has_ended_stays_so() {
    let ended = |name: &str, list: &str, code: i64| {
        json!({list: [{"name": name, "state": {"terminated": {"exitCode": code}}}]}).to_string()
    };
    let runs = |name: &str, list: &str| json!({list: [{"name": name, "state": {"running": {}}}]}).to_string();
    let (never, failing) = (r#"{"restartPolicy": "Never"}"#, r#"{"restartPolicy": "OnFailure"}"#);
    let stays =
        |list: &str| format!("status.{list}[0].state: Forbidden: may not be transitioned to non-terminated state");
    let (all, init) = ("containerStatuses", "initContainerStatuses");
    assert_said(
        "Pod",
        &[
            ("{}", "{}", r#"{"conditions": [{"type": "shop.example/open", "status": "True"}]}"#, ""),
            (
                "{}",
                "{}",
                r#"{"conditions": [{"type": "Ready", "observedGeneration": -2}]}"#,
                "status.conditions[0].observedGeneration: Invalid value: -2: must be a non-negative integer",
            ),
            ("{}", &ended("main", all, 1), &runs("main", all), ""),
            (never, &ended("main", all, 1), &runs("main", all), &stays(all)),
            (failing, &ended("main", all, 1), &runs("main", all), ""),
            (failing, &ended("main", all, 0), &runs("main", all), &stays(all)),
            (never, &ended("once", init, 0), &runs("once", init), &stays(init)),
            (never, &ended("side", init, 0), &runs("side", init), ""),
            (
                "{}",
                "{}",
                r#"{"containerStatuses": [{"name": "main", "user": {"linux": {"uid": -1, "gid": 0}}}]}"#,
                "status.containerStatuses[0].user.linux.uid: Invalid value: -1: must be between 0 and 2147483647, \
                 inclusive",
            ),
        ],
    );
    let nameless = said_of("Pod", "{}", "{}", r#"{"conditions": [{"type": "not a name", "status": "True"}]}"#);
    assert!(
        nameless.starts_with("status.conditions[0].Type: Invalid value: \"not a name\": name part must"),
        "{nameless}"
    );
}
