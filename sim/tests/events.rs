//! Kubernetes events of whole runs: how often the kubelets say what they say again and again.

use std::path::Path;

use wavetank_reports::record::{EventRow, RunRecord};
use wavetank_sim::execute::execute;
use wavetank_sim::expect::Watch;
use wavetank_sim::history::Detail;
use wavetank_sim::plan::scenario::{Inputs, Loaded, Settings};

/// Pods that fail their probes in different ways, and one that crashes; the second machine dies at 35 s.
const SCENARIO: &str = r#"apiVersion: wavetank/v1
kind: Scenario
metadata: {name: counts}
spec:
  duration: 95s
  nodes: [{name: worker, count: 2}]
  manifests:
    - apiVersion: v1
      kind: Pod
      metadata: {name: never, labels: {app: never}}
      spec:
        nodeName: worker-1
        containers:
        - {name: main, image: a, readinessProbe: {httpGet: {path: /ok, port: 80}, periodSeconds: 10}}
    - apiVersion: v1
      kind: Pod
      metadata: {name: lost, labels: {app: never}}
      spec:
        nodeName: worker-2
        containers:
        - {name: main, image: a, readinessProbe: {httpGet: {path: /ok, port: 80}, periodSeconds: 10}}
    - apiVersion: v1
      kind: Pod
      metadata: {name: slow, labels: {app: slow}}
      spec:
        nodeName: worker-1
        containers: [{name: main, image: a, readinessProbe: {tcpSocket: {port: 80}, periodSeconds: 10}}]
    - apiVersion: v1
      kind: Pod
      metadata: {name: flaky, labels: {app: flaky}}
      spec:
        nodeName: worker-1
        containers:
        - {name: main, image: a, readinessProbe: {httpGet: {path: /ok, port: 80}, periodSeconds: 10}}
    - apiVersion: v1
      kind: Pod
      metadata: {name: sick, labels: {app: sick}}
      spec:
        nodeName: worker-1
        containers: [{name: main, image: a, livenessProbe: {exec: {command: [probe]}, periodSeconds: 5}}]
    - apiVersion: v1
      kind: Pod
      metadata: {name: starts, labels: {app: starts}}
      spec:
        nodeName: worker-1
        containers:
        - name: main
          image: a
          startupProbe: {grpc: {port: 9000}, periodSeconds: 5, failureThreshold: 30}
          readinessProbe: {tcpSocket: {port: 80}, periodSeconds: 10}
    - apiVersion: v1
      kind: Pod
      metadata: {name: crashes, labels: {app: crashes}}
      spec: {nodeName: worker-1, containers: [{name: main, image: a}]}
  behaviours:
    - {selector: {matchLabels: {app: never}}, neverReady: true}
    - {selector: {matchLabels: {app: slow}}, readinessDelay: 25s}
    - {selector: {matchLabels: {app: flaky}}, outages: [{from: 25s, to: 45s}]}
    - {selector: {matchLabels: {app: sick}}, onStarts: [1], outages: [{from: 12s}]}
    - {selector: {matchLabels: {app: starts}}, readinessDelay: 13s}
    - {selector: {matchLabels: {app: crashes}}, runTime: 1s, exitCode: 1}
  timeline:
    - {at: 35s, crash: {node: worker-2}}
"#;

/// What comes of the scenario, for a test of this name.
fn run(test: &str, detail: Detail) -> RunRecord {
    let folder = format!("events-{}-{test}-{detail:?}", std::process::id());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
    std::fs::create_dir_all(&folder).expect("the build's own folder can be written");
    let file = folder.join("counts.yaml");
    std::fs::write(&file, SCENARIO).expect("the build's own folder can be written");
    let inputs = Inputs::open(&file, Settings::default()).expect("the scenario was just written");
    let read = Loaded::read_with(inputs, Watch::new);
    let (loaded, watch) = read.unwrap_or_else(|rejected| panic!("{}", rejected.errors));
    std::fs::remove_dir_all(&folder).expect("what was made can be removed");
    execute(&loaded, watch, detail, &mut |_| {}).record
}

/// An event's count, and how long after the first time the last one was, in seconds.
fn told(record: &RunRecord, pod: &str, reason: &str) -> Vec<(u64, u64, String)> {
    let subject = format!("pod/default/{pod}");
    let is_it = |event: &&EventRow| event.subject == subject.as_str() && event.reason == reason;
    let events = record.events.iter().filter(is_it);
    events.map(|it| (it.count, (it.last_ns - it.first_ns) / 1_000_000_000, it.message.to_string())).collect()
}

#[test]
fn each_try_that_fails_and_each_sync_that_finds_a_back_off_counts() {
    let record = run("counts", Detail::Everything);
    let unhealthy = |pod: &str| {
        let told = told(&record, pod, "Unhealthy");
        told.into_iter()
            .map(|(count, seconds, message)| format!("{count} in {seconds} s: {message}"))
            .collect::<Vec<_>>()
    };
    let status = "Readiness probe failed: HTTP probe failed with statuscode: 503";
    assert_eq!(unhealthy("never"), [format!("10 in 90 s: {status}")], "up to the end of the run");
    assert_eq!(unhealthy("lost"), [format!("4 in 30 s: {status}")], "up to the end of its machine");
    let [slow] = &unhealthy("slow")[..] else { panic!("one event: {:?}", unhealthy("slow")) };
    assert!(slow.starts_with("3 in 20 s: Readiness probe failed: dial tcp 10.0.0."), "{slow}");
    let [flaky] = &unhealthy("flaky")[..] else { panic!("one event: {:?}", unhealthy("flaky")) };
    assert!(flaky.starts_with("2 in 10 s: Readiness probe failed: Get \"http://10.0.0."), "{flaky}");
    assert!(flaky.ends_with(":80/ok\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)"));
    let timeout = "Liveness probe failed: command timed out: \"probe\" timed out after 1s";
    assert_eq!(unhealthy("sick"), [format!("3 in 10 s: {timeout}")]);
    assert_eq!(told(&record, "sick", "Killing").len(), 1);
    let [starts, ready @ ..] = &unhealthy("starts")[..] else { panic!("events of its probes") };
    assert!(starts.starts_with("2 in 5 s: Startup probe failed: timeout: failed to connect service"), "{starts}");
    assert_eq!(ready, [""; 0], "its readiness is tried only when it has started, and then it serves");
    // It runs for a second each time; the waits from its second end on are of 10, 20, 40 and 80 s.
    let back_off = told(&record, "crashes", "BackOff");
    assert_eq!(back_off.iter().map(|it| it.0).collect::<Vec<_>>(), [9], "1 + 2 + 4 and 2 up to the end: {back_off:?}");
    let flaky = record.facts.iter().filter(|fact| fact.subject == "pod/default/flaky");
    assert_eq!(flaky.filter(|fact| fact.reason == "Unhealthy" || fact.reason == "Unready").count(), 0);
}

#[test]
fn a_run_is_the_same_whether_or_not_anybody_reads_how_often_probes_fail() {
    let [read, unread] = [Detail::Everything, Detail::Account].map(|detail| run("sameness", detail));
    assert!(!read.events.is_empty() && unread.events.is_empty());
    assert_eq!(read.summary.fingerprint, unread.summary.fingerprint);
    assert_eq!(read.summary.digest, unread.summary.digest);
    assert_eq!(read.facts, unread.facts);
}
