//! `sim explain`, as its users run it: on the directory of a small run of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Two nodes; one dies for good and its pod is evicted after ten seconds, before that the user has scaled up.
const SCENARIO: &str = r#"apiVersion: wavetank/v1
kind: Scenario
metadata: {name: story}
spec:
  duration: 300s
  nodes: [{name: worker, count: 2}]
  manifests:
    - apiVersion: apps/v1
      kind: Deployment
      metadata: {name: web}
      spec:
        replicas: 2
        selector: {matchLabels: {app: web}}
        template:
          metadata: {labels: {app: web}}
          spec:
            tolerations:
            - {key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 10}
            containers: [{name: main, image: web}]
    - apiVersion: v1
      kind: Pod
      metadata: {name: huge}
      spec: {containers: [{name: main, image: web, resources: {requests: {cpu: "900"}}}]}
  timeline:
    - {at: 20s, scale: {deployment: web, replicas: 3}}
    - {at: 60s, crash: {node: worker-2}}
"#;

/// One node that is full of a Service's pods when one of higher priority comes.
const PREEMPTION: &str = r#"apiVersion: wavetank/v1
kind: Scenario
metadata: {name: room}
spec:
  duration: 60s
  nodes: [{name: only, capacity: {cpu: "2"}}]
  manifests:
    - {apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: high}, value: 1000}
    - apiVersion: v1
      kind: Service
      metadata: {name: web}
      spec: {selector: {app: web}, ports: [{port: 80}]}
    - apiVersion: v1
      kind: Pod
      metadata: {name: low, labels: {app: web}}
      spec: {containers: [{name: main, image: web, resources: {requests: {cpu: "1500m"}}}]}
  timeline:
    - at: 20s
      apply:
        apiVersion: v1
        kind: Pod
        metadata: {name: urgent}
        spec: {priorityClassName: high, containers: [{name: main, image: web, resources: {requests: {cpu: "1"}}}]}
"#;

/// One machine that runs short of memory and is shut down later, for longer than its silence goes unnoticed.
const PRESSURE: &str = r#"apiVersion: wavetank/v1
kind: Scenario
metadata: {name: pressure}
spec:
  duration: 600s
  controlPlane: {kubelet: {shutdownGracePeriod: 30s, evictionPressureTransitionPeriod: 30s}}
  nodes: [{name: only, capacity: {cpu: "2", memory: 4Gi}}]
  manifests:
    - apiVersion: v1
      kind: Pod
      metadata: {name: hog, labels: {app: hog}}
      spec: {containers: [{name: main, image: a}]}
    - apiVersion: v1
      kind: Pod
      metadata: {name: calm, labels: {app: calm}}
      spec: {containers: [{name: main, image: a}]}
  behaviours:
    - {selector: {matchLabels: {app: hog}}, memory: {base: 4000Mi}, stopDelay: 1m}
    - {selector: {matchLabels: {app: calm}}, stopDelay: 5s}
  timeline:
    - {at: 200s, memoryPressure: {node: only, used: 1Mi}}
    - {at: 300s, nodeShutdown: {node: only}, recover: 500s}
"#;

/// Two pods that want one image of a slow registry on one machine, in a zone that is lost later.
const PULLS: &str = r#"apiVersion: wavetank/v1
kind: Scenario
metadata: {name: pulls}
spec:
  duration: 400s
  nodes: [{name: only, zones: [a], pullBandwidth: 100Mi}]
  registry: {defaultSize: 2Gi}
  manifests:
    - {apiVersion: v1, kind: Pod, metadata: {name: first}, spec: {containers: [{name: main, image: big}]}}
  timeline:
    - at: 10s
      apply: {apiVersion: v1, kind: Pod, metadata: {name: second}, spec: {containers: [{name: main, image: big}]}}
    - {at: 100s, powerLoss: {zone: a}}
"#;

/// A pod that never becomes ready.
const PROBES: &str = r#"apiVersion: wavetank/v1
kind: Scenario
metadata: {name: probes}
spec:
  duration: 95s
  nodes: [{name: worker, count: 1}]
  manifests:
    - apiVersion: v1
      kind: Pod
      metadata: {name: web}
      spec:
        containers: [{name: main, image: web, readinessProbe: {httpGet: {path: /, port: 80}, periodSeconds: 10}}]
  behaviours: [{neverReady: true}]
"#;

struct Run(PathBuf);

impl Run {
    fn new(name: &str) -> Run {
        Run::of(name, SCENARIO)
    }

    fn of(name: &str, scenario: &str) -> Run {
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&place);
        std::fs::create_dir_all(&place).unwrap();
        std::fs::write(place.join("story.yaml"), scenario).unwrap();
        let run = Run(place);
        let output = run.sim(&["run", "story.yaml", "--out", "run"]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        run
    }

    fn sim(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sim"));
        command.args(arguments).current_dir(&self.0).env("COLUMNS", "400").output().unwrap()
    }

    /// What the story of an object says, after its first two lines.
    fn story(&self, object: &str) -> String {
        let output = self.sim(&["explain", "run", object]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn refusal(&self, dir: &str, object: &str) -> String {
        let output = self.sim(&["explain", dir, object]);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
        String::from_utf8(output.stderr).unwrap()
    }

    /// The pods of which facts with this reason are told, in order.
    fn pods(&self, reason: &str) -> Vec<String> {
        let facts = std::fs::read_to_string(self.0.join("run/facts.csv")).unwrap();
        let rows = facts.lines().map(|line| line.split(',').collect::<Vec<_>>());
        rows.filter(|row| row[3] == "pod" && row[5] == reason).map(|row| row[4].to_owned()).collect()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Whether the texts stand in a story in this order.
fn in_order(story: &str, texts: &[&str]) {
    let mut rest = story;
    for text in texts {
        let place = rest.find(text).unwrap_or_else(|| panic!("{text:?} is missing or too early in\n{story}"));
        rest = &rest[place + text.len()..];
    }
}

#[test]
fn a_story_goes_back_to_the_fault_and_to_the_request() {
    let run = Run::new("explain");
    let evicted = run.pods("TaintManagerEviction");
    let crash = "because at 60.000 s worker-2 crashes (story.yaml:26)";
    assert!(!evicted.is_empty());
    in_order(
        &run.story(&evicted[0]),
        &[
            "controlled by replicaset/web-",
            "created by ReplicaSet/web-",
            "bound to worker-2",
            "  Unready ",
            "because at ",
            "node/worker-2 not ready (NodeStatusUnknown)",
            crash,
            "evicted: node.kubernetes.io/unreachable",
            "node/worker-2 taint node.kubernetes.io/unreachable:NoExecute added by the node-lifecycle-controller",
            crash,
            "deletion requested by the taint-eviction-controller",
            "evicted: node.kubernetes.io/unreachable",
        ],
    );
    let created = run.pods("Created");
    // The last pods make up for the evicted ones; before them, one was asked for.
    let replacement = &created[created.len() - 1];
    in_order(&run.story(replacement), &["because at ", "deletion requested by the taint-eviction-controller", crash]);
    let scaled = &created[created.len() - 1 - evicted.len()];
    in_order(
        &run.story(scaled),
        &[
            "because at ",
            "scaled from 2 to 3 by the deployment-controller",
            "deployment/web scaled from 2 to 3 by the user",
            "because at 20.000 s scale deployment/web to 3 requested by the user (story.yaml:25)",
        ],
    );
    in_order(
        &run.story("node/worker-2"),
        &["crashes (story", "NodeNotReady", crash, "Tainted", "TaintManagerEviction"],
    );
    in_order(&run.story("deploy/web"), &["apply deployment/web", "scaled from 2 to 3 by the user", "replicaset/web-"]);
    in_order(&run.story("pod/hu"), &["apply pod/huge", "0/2 nodes are available"]);
}

#[test]
fn a_service_tells_who_joined_and_left_and_a_victim_for_whom_it_went() {
    let run = Run::of("explain-room", PREEMPTION);
    let request = "because at 20.000 s apply pod/urgent requested by the user";
    in_order(
        &run.story("pod/low"),
        &["makes room for pod/urgent on only", "pod/urgent", request, "deletion requested by the default-scheduler"],
    );
    assert!(!run.story("pod/low").contains("Preempted by pod"), "it has been told for whom it made room");
    in_order(
        &run.story("svc/web"),
        &[
            "1 ready and 0 unready endpoints: low joined",
            "pod/low ready",
            "endpoints: low left",
            "pod/low deletion requested by the default-scheduler",
            "pod/low makes room for pod/urgent on only",
        ],
    );
}

#[test]
fn what_a_kubelet_does_for_its_node_goes_back_to_the_node_and_is_told_once() {
    let run = Run::of("explain-pressure", PRESSURE);
    let hog = run.story("pod/hog");
    let evicted = "Evicted: The node was low on resource: memory.";
    let killed = ["Killing", "because at", evicted];
    in_order(&hog, &[&["Ended", evicted, "because at ", "node/only MemoryPressure begins"][..], &killed].concat());
    assert!(!hog.contains("  Evicted  "), "the event says what the end has said:\n{hog}");
    in_order(
        &run.story("pod/calm"),
        &[
            "Ended",
            "imminent node shutdown",
            "because at 300.000 s node/only shutting down",
            "because at 300.000 s only",
        ],
    );
    let pods = std::fs::read_to_string(run.0.join("run/pods.csv")).unwrap();
    assert!(pods.contains("default,hog,,only,Failed,Evicted,"), "{pods}");
    assert!(pods.contains("default,calm,,only,Succeeded,,"), "{pods}");
    let taint = "node.kubernetes.io";
    in_order(
        &run.story("node/only"),
        &[
            "MemoryPressure begins",
            "pod/hog Evicted: ",
            &format!("taint {taint}/memory-pressure:NoSchedule added"),
            "MemoryPressure begins",
            &format!("taint {taint}/memory-pressure:NoSchedule removed"),
            "MemoryPressure ends",
            "pod/calm Terminated: ",
            "NodeNotReady",
            "because at 300.000 s only shuts down (story.yaml:22)",
            &format!("taint {taint}/not-ready:NoSchedule added"),
            "not ready (KubeletNotReady)",
            &format!("taint {taint}/unreachable:NoSchedule added"),
            "because at 300.000 s only shuts down (story.yaml:22)",
            &format!("taint {taint}/not-ready:NoSchedule removed"),
            &format!("s taint {taint}/unreachable:NoSchedule added"),
            "NodeReady",
            "because at 500.000 s only shuts down is undone",
            &format!("taint {taint}/unreachable:NoSchedule removed"),
            "s ready",
        ],
    );
}

#[test]
fn a_story_is_json_too_and_its_causes_are_earlier_than_what_they_caused() {
    let run = Run::new("explain-json");
    let evicted = run.pods("TaintManagerEviction");
    let output = run.sim(&["explain", "run", &evicted[0], "--format", "json"]);
    let story: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(story["subject"], *evicted[0]);
    let lines = story["lines"].as_array().unwrap();
    let mut causes = 0;
    for line in lines {
        let mut at = line["time_ns"].as_u64().unwrap();
        for cause in line["because"].as_array().unwrap() {
            let before = cause["time_ns"].as_u64().unwrap();
            assert!(before <= at, "{line}");
            (at, causes) = (before, causes + 1);
        }
    }
    assert!(lines.len() > 8 && causes > 5, "{story}");
}

#[test]
fn a_pod_tells_for_whose_pull_it_waits_and_a_zone_is_no_node() {
    let run = Run::of("explain-pulls", PULLS);
    in_order(
        &run.story("pod/second"),
        &[
            "bound to only",
            "Pulling  ",
            "waits for its turn to pull image \"big\"",
            "because at ",
            "pod/first pulling image big",
            "Pulling  ",
            "pulling image big",
            "because at ",
            "pod/first image big pulled",
            "image big pulled",
        ],
    );
    assert!(!run.story("pod/first").contains("waits for its turn"));
    in_order(&run.story("zone/a"), &["zone/a\n", "ZoneState", "zone state FullDisruption"]);
    assert!(run.refusal("run", "node/zone").contains("the run has no node/zone"));
}

#[test]
fn a_pod_tells_what_its_probes_find_and_how_often_and_when_that_counts() {
    let run = Run::of("probes", PROBES);
    let story = run.story("pod/web");
    let tries = "Unhealthy  Readiness probe failed: HTTP probe failed with statuscode: 503 (10 times, last at 90.";
    in_order(&story, &[" Started ", tries, "Unhealthy  Readiness probe of container main failed"]);
    assert_eq!(story.matches(" Unhealthy ").count(), 2, "{story}");
}

#[test]
fn a_table_that_is_cut_at_the_end_of_a_line_is_found_out() {
    let run = Run::new("explain-cut");
    for (table, header) in [("facts.csv", true), ("events.csv", false)] {
        let whole = std::fs::read_to_string(run.0.join("run").join(table)).unwrap();
        let lines: Vec<&str> = whole.lines().collect();
        let kept = if header { 1 } else { lines.len() - 1 };
        std::fs::write(run.0.join("run").join(table), lines[..kept].join("\n") + "\n").unwrap();
        let (found, all) = (kept - 1, lines.len() - 1);
        let expected = format!("{table} has {found} rows, the run had {all}: the file is damaged");
        assert!(run.refusal("run", "pod/huge").contains(&expected));
        std::fs::write(run.0.join("run").join(table), whole).unwrap();
    }
}

#[test]
fn what_is_no_run_and_no_object_is_said() {
    let run = Run::new("explain-refused");
    assert!(run.refusal(".", "pod/web").contains("is not the directory of a finished run"));
    assert!(run.refusal("run", "pod/web-").contains("is not one object; it could be\n  pod/default/web-"));
    assert!(run.refusal("run", "pod/hugo").contains("the run has no pod/hugo; it has\n  pod/default/huge\n"));
    assert!(run.refusal("run", "podd/huge").contains("the run has no podd: did you mean pod?"));
    assert!(run.refusal("run", "huge").contains("expected KIND/NAME"));
    assert!(run.refusal("run", "quux/huge").contains("the run has no \"quux\"; it has "));
    assert!(run.refusal("run", "/huge").contains(", pod, "));
    std::fs::write(run.0.join("run/facts.csv"), "time_ns,seq,category,subject,reason,message\n0,0,a,b,c,d\n").unwrap();
    assert!(run.refusal("run", "pod/huge").contains("has no column \"targets\": another version"));
    let events = std::fs::read(run.0.join("run/events.csv")).unwrap();
    std::fs::write(run.0.join("run/facts.csv"), "").unwrap();
    assert!(run.refusal("run", "pod/huge").contains("facts.csv is empty, although every table has a header"));
    std::fs::write(run.0.join("run/facts.csv"), events).unwrap();
    std::fs::write(run.0.join("run/summary.json"), "{\"schema\": \"wavetank/run/v9\"}").unwrap();
    let expected = "its summary.json has the schema \"wavetank/run/v9\", expected \"wavetank/run/v1\"";
    assert!(run.refusal("run", "pod/huge").contains(expected));
    std::fs::write(run.0.join("run/summary.json"), "{\"schema\": ").unwrap();
    assert!(run.refusal("run", "pod/huge").contains("its summary.json is damaged: EOF"));
}
