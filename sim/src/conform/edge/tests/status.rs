//! Statuses that are written from outside.

use wavetank_core::config::DEFAULT_EPOCH;
use wavetank_manifest::kubernetes::to_json;

use super::*;

const JOBS: &str = "/apis/batch/v1/namespaces/shop";
const APPS: &str = "/apis/apps/v1/namespaces/shop";

impl Bed {
    /// An object as clients see it, with its times on the clock of the core.
    fn shown(&self, kind: Kind, name: &str) -> Value {
        let stored = self.stored(kind, name).unwrap_or_else(|| panic!("{name} is not there"));
        to_json(&stored, wavetank_core::id::Revision(0), self.core.config().epoch)
    }

    /// Writes a status that is granted, and shows what is stored of it then.
    fn status(&mut self, kind: Kind, path: &str, name: &str, status: Value) -> Value {
        self.grant(&format!("PATCH {path}/{name}/status"), json!({"status": status}));
        self.shown(kind, name)["status"].clone()
    }
}

/// A time of the wall clock, so many seconds after the run's start.
fn at(secs: u64) -> String {
    wavetank_manifest::kubernetes::timestamp(wavetank_core::time::Time::from_secs(secs), DEFAULT_EPOCH)
}

fn template() -> Value {
    json!({"metadata": {"labels": {"app": "till"}}, "spec": {"containers": [{"name": "till", "image": "till:1"}]}})
}

fn sets(kind: &str) -> Value {
    let spec = json!({"selector": {"matchLabels": {"app": "till"}}, "template": template(), "serviceName": "till"});
    json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "till"}, "spec": spec})
}

#[test]
fn counts_and_conditions_of_workloads_are_what_was_written() {
    let mut bed = Bed::new();
    for (kind, plural) in [(Kind::Deployment, "deployments"), (Kind::ReplicaSet, "replicasets")] {
        let mut body = sets(kind.name());
        body["spec"].as_object_mut().expect("a spec").remove("serviceName");
        bed.grant(&format!("POST {APPS}/{plural}"), body);
        let condition = json!({"type": "ReplicaFailure", "status": "True", "reason": "Full", "message": "no room"});
        let wanted = json!({"replicas": 3, "readyReplicas": 2, "availableReplicas": 1, "observedGeneration": 1,
            "conditions": [condition]});
        let path = format!("{APPS}/{plural}");
        let stored = bed.status(kind, &path, "till", wanted);
        let counts = ["replicas", "readyReplicas", "availableReplicas", "observedGeneration"];
        assert_eq!(counts.map(|field| stored[field].as_u64()), [Some(3), Some(2), Some(1), Some(1)], "{kind:?}");
        assert_eq!(stored["conditions"][0]["reason"], "Full");
        // A merge patch replaces the list, so what is not in it is gone.
        let stored = bed.status(kind, &path, "till", json!({"conditions": [], "replicas": 2}));
        assert!(stored["conditions"].as_array().is_none_or(Vec::is_empty), "{kind:?}: {stored}");
        let (code, message) = bed.send(&format!("PATCH {path}/till/status"), json!({"status": {"readyReplicas": 9}}));
        assert!(code == 422 && message.contains("cannot be greater than status.replicas"), "{message}");
    }
    bed.grant(&format!("POST {APPS}/statefulsets"), sets("StatefulSet"));
    let wanted = json!({"replicas": 2, "currentReplicas": 1, "currentRevision": "till-a", "collisionCount": 1});
    let stored = bed.status(Kind::StatefulSet, &format!("{APPS}/statefulsets"), "till", wanted);
    assert_eq!((&stored["currentRevision"], &stored["collisionCount"]), (&json!("till-a"), &json!(1)));
    let mut body = sets("DaemonSet");
    body["spec"].as_object_mut().expect("a spec").remove("serviceName");
    bed.grant(&format!("POST {APPS}/daemonsets"), body);
    let wanted = json!({"desiredNumberScheduled": 4, "numberReady": 3, "numberMisscheduled": 1});
    let stored = bed.status(Kind::DaemonSet, &format!("{APPS}/daemonsets"), "till", wanted);
    let counts = ["desiredNumberScheduled", "numberReady", "numberMisscheduled"];
    assert_eq!(counts.map(|field| stored[field].as_u64()), [Some(4), Some(3), Some(1)]);
}

#[test]
fn what_jobs_and_cron_jobs_report_is_what_was_written() {
    let mut bed = Bed::new();
    let mut pods = template();
    pods["spec"]["restartPolicy"] = json!("Never");
    let body = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "count"},
        "spec": {"completions": 5, "completionMode": "Indexed", "template": pods}});
    bed.grant(&format!("POST {JOBS}/jobs"), body);
    let uid = "0b5a3c9e-7f3e-4a55-8f27-d6a1f9a2c001";
    let wanted = json!({"active": 2, "ready": 1, "succeeded": 3, "failed": 1, "startTime": at(7),
        "completedIndexes": "0-2", "uncountedTerminatedPods": {"failed": [uid]}});
    let stored = bed.status(Kind::Job, &format!("{JOBS}/jobs"), "count", wanted.clone());
    for field in ["active", "ready", "succeeded", "failed", "startTime", "completedIndexes", "uncountedTerminatedPods"]
    {
        assert_eq!(stored[field], wanted[field], "{field}");
    }
    let cron_job = json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "tick"},
        "spec": {"schedule": "5 1 * * *", "jobTemplate": {"spec": {"template": pods}}}});
    bed.grant(&format!("POST {JOBS}/cronjobs"), cron_job);
    let wanted = json!({"active": [{"name": "tick-1", "uid": uid}], "lastScheduleTime": at(60)});
    let stored = bed.status(Kind::CronJob, &format!("{JOBS}/cronjobs"), "tick", wanted);
    assert_eq!((&stored["active"][0]["name"], &stored["active"][0]["uid"]), (&json!("tick-1"), &json!(uid)));
    assert_eq!(stored["lastScheduleTime"], at(60));
}

#[test]
fn volumes_and_claims_have_the_phase_that_was_written() {
    let mut bed = Bed::new();
    let spec = json!({"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/a"}});
    bed.grant("POST /api/v1/persistentvolumes", json!({"metadata": {"name": "disk"}, "spec": spec}));
    let wanted = json!({"phase": "Failed", "message": "it broke", "reason": "Broken"});
    let stored = bed.status(Kind::PersistentVolume, "/api/v1/persistentvolumes", "disk", wanted.clone());
    for field in ["phase", "message", "reason"] {
        assert_eq!(stored[field], wanted[field]);
    }
    assert!(stored["lastPhaseTransitionTime"].is_string(), "the API server says when");
    let claims = "/api/v1/namespaces/shop/persistentvolumeclaims";
    let spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
    bed.grant(&format!("POST {claims}"), json!({"metadata": {"name": "data"}, "spec": spec}));
    let wanted = json!({"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "2Gi"},
        "allocatedResources": {"storage": "3Gi"}, "allocatedResourceStatuses": {"storage": "NodeResizePending"}});
    let stored = bed.status(Kind::PersistentVolumeClaim, claims, "data", wanted.clone());
    for field in ["phase", "accessModes", "capacity", "allocatedResources", "allocatedResourceStatuses"] {
        assert_eq!(stored[field], wanted[field]);
    }
}

#[test]
fn quotas_budgets_and_namespaces_say_what_was_written() {
    let mut bed = Bed::new();
    let quotas = "/api/v1/namespaces/shop/resourcequotas";
    bed.grant(&format!("POST {quotas}"), json!({"metadata": {"name": "few"}, "spec": {"hard": {"pods": "5"}}}));
    let wanted = json!({"hard": {"pods": "9"}, "used": {"pods": "7"}});
    assert_eq!(bed.status(Kind::ResourceQuota, quotas, "few", wanted.clone()), wanted);
    // What the status says is enforced is what a creation is measured by.
    bed.grant(&format!("PATCH {quotas}/few/status"), json!({"status": {"hard": {"pods": "7"}}}));
    let (code, message) = bed.send("POST /api/v1/namespaces/shop/pods", pod("a", json!({})));
    assert!(code == 403 && message.contains("exceeded quota: few"), "{message}");
    let budgets = "/apis/policy/v1/namespaces/shop/poddisruptionbudgets";
    let spec = json!({"minAvailable": 1, "selector": {"matchLabels": {"app": "till"}}});
    bed.grant(&format!("POST {budgets}"), json!({"metadata": {"name": "most"}, "spec": spec}));
    let wanted = json!({"disruptionsAllowed": 2, "currentHealthy": 3, "desiredHealthy": 1, "expectedPods": 3,
        "observedGeneration": 1, "disruptedPods": {"till-1": at(5)}});
    let stored = bed.status(Kind::PodDisruptionBudget, budgets, "most", wanted.clone());
    for (field, wanted) in wanted.as_object().expect("an object") {
        assert_eq!(stored[field], *wanted, "{field}");
    }
    let condition = json!({"type": "NamespaceContentRemaining", "status": "True", "reason": "SomeResourcesRemain",
        "message": "pods.", "lastTransitionTime": at(3)});
    let namespace = |status: Value| ("PATCH /api/v1/namespaces/shop/status", json!({"status": status}));
    let (path, body) = namespace(json!({"conditions": [condition.clone()]}));
    bed.grant(path, body);
    assert_eq!(bed.shown(Kind::Namespace, "shop")["status"], json!({"phase": "Active", "conditions": [condition]}));
    let (path, body) = namespace(json!({"phase": "Terminating"}));
    assert_eq!(bed.send(path, body).0, 422);
}

#[test]
fn finalizers_of_a_namespace_s_spec_are_not_written_with_the_namespace() {
    let mut bed = Bed::new();
    let before = bed.shown(Kind::Namespace, "shop");
    let body = json!({"metadata": {"name": "shop"}, "spec": {"finalizers": ["not a name"]}});
    bed.grant("PUT /api/v1/namespaces/shop", body.clone());
    bed.grant("PATCH /api/v1/namespaces/shop", json!({"spec": {"finalizers": ["shop.example/other"]}}));
    assert_eq!(bed.shown(Kind::Namespace, "shop")["spec"], before["spec"]);
    let (code, message) = bed.send("PUT /api/v1/namespaces/shop/finalize", body);
    assert!(code == 422 && message.contains("spec.finalizers"), "{code} {message}");
}

#[test]
fn a_service_keeps_the_addresses_of_its_load_balancer_until_they_are_written_again() {
    let mut bed = Bed::new();
    let services = "/api/v1/namespaces/shop/services";
    let spec = json!({"type": "LoadBalancer", "selector": {"app": "till"}, "ports": [{"port": 80}]});
    let status = json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}});
    let body = json!({"metadata": {"name": "till"}, "spec": spec, "status": status});
    bed.grant(&format!("POST {services}"), body);
    let shown = bed.shown(Kind::Service, "till");
    assert_eq!(shown["status"], json!({"loadBalancer": {}}), "nothing has a status before somebody reports one");
    let written = bed.status(Kind::Service, services, "till", status.clone());
    assert_eq!(written["loadBalancer"]["ingress"][0]["ip"], "192.0.2.7");
    assert_eq!(bed.shown(Kind::Service, "till")["spec"], shown["spec"]);
    bed.grant(&format!("PATCH {services}/till"), json!({"metadata": {"labels": {"a": "1"}}, "status": {}}));
    assert_eq!(bed.shown(Kind::Service, "till")["status"], written, "a write of the Service leaves it");
    let both =
        json!({"metadata": {"labels": {"a": "2"}}, "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.8"}]}}});
    bed.grant(&format!("PATCH {services}/till/status"), both);
    let shown = bed.shown(Kind::Service, "till");
    assert_eq!(
        (&shown["metadata"]["labels"]["a"], &shown["status"]["loadBalancer"]["ingress"][0]["ip"]),
        (&json!("2"), &json!("192.0.2.8"))
    );
    let gone = bed.status(Kind::Service, services, "till", json!({"loadBalancer": {"ingress": null}}));
    assert!(gone["loadBalancer"].get("ingress").is_none());
}

#[test]
fn pods_have_the_containers_and_nodes_the_machine_that_was_written() {
    let mut bed = Bed::new();
    bed.pod("a", json!({}));
    let container = json!({"name": "till", "image": "till:1", "imageID": "", "ready": true, "started": true,
        "restartCount": 7, "state": {"running": {"startedAt": at(3)}},
        "lastState": {"terminated": {"exitCode": 3, "reason": "Error", "startedAt": at(1), "finishedAt": at(2)}}});
    let wanted = json!({"phase": "Running", "podIP": "10.1.0.9", "startTime": at(1), "containerStatuses": [container]});
    let stored = bed.status(Kind::Pod, "/api/v1/namespaces/shop/pods", "a", wanted.clone());
    for field in ["phase", "podIP", "startTime"] {
        assert_eq!(stored[field], wanted[field]);
    }
    for field in ["ready", "restartCount", "state", "lastState"] {
        assert_eq!(stored["containerStatuses"][0][field], wanted["containerStatuses"][0][field], "{field}");
    }
    bed.grant("POST /api/v1/nodes", json!({"metadata": {"name": "n1"}}));
    let wanted = json!({"capacity": {"cpu": "4", "shop.example/tills": "2"},
        "allocatable": {"cpu": "3", "shop.example/tills": "2"}});
    let stored = bed.status(Kind::Node, "/api/v1/nodes", "n1", wanted);
    assert_eq!((&stored["capacity"]["cpu"], &stored["allocatable"]["cpu"]), (&json!("4"), &json!("3")));
    assert_eq!(stored["allocatable"]["shop.example/tills"], "2");
}

#[test]
fn metadata_is_written_with_a_status_as_far_as_its_strategy_lets_it() {
    let mut bed = Bed::new();
    let mut body = sets("Deployment");
    body["spec"].as_object_mut().expect("a spec").remove("serviceName");
    bed.grant(&format!("POST {APPS}/deployments"), body);
    let written = json!({"metadata": {"labels": {"a": "1"}, "annotations": {"b": "2"}}, "spec": {"replicas": 9},
        "status": {"replicas": 1}});
    bed.grant(&format!("PATCH {APPS}/deployments/till/status"), written.clone());
    let till = bed.shown(Kind::Deployment, "till");
    assert_eq!((till["metadata"].get("labels"), &till["metadata"]["annotations"]["b"]), (None, &json!("2")));
    assert_eq!((&till["spec"]["replicas"], &till["status"]["replicas"]), (&json!(1), &json!(1)));
    bed.pod("a", json!({}));
    bed.grant("PATCH /api/v1/namespaces/shop/pods/a/status", json!({"metadata": {"labels": {"a": "1"}}}));
    assert_eq!(bed.shown(Kind::Pod, "a")["metadata"]["labels"]["a"], "1");
    // A status that is not there is no other.
    let head = bed.core.revision();
    bed.grant(&format!("PATCH {APPS}/deployments/till/status"), written);
    assert_eq!(bed.core.revision(), head);
}

#[test]
fn what_the_core_has_no_place_for_is_not_covered() {
    let mut bed = Bed::new();
    bed.pod("a", json!({}));
    let path = Path::parse("/api/v1/namespaces/shop/pods/a/status").expect("a path of objects");
    let body = json!({"status": {"resize": "InProgress"}});
    let outcome = translate(&bed.core, "PATCH", &path, "application/merge-patch+json", &body);
    assert!(matches!(&outcome, Outcome::NotCovered(what) if what.contains("resize")), "{outcome:?}");
}
