//! Stories about whole clusters on the real Docker engine, through the program that a user runs.
//!
//! Each story has a cluster of its own, which is removed at its end, and a journal, which is folded over a fresh core
//! whenever a run has ended: the core must have decided the same.

mod cluster;
#[expect(dead_code, reason = "the stories about single pods use the rest")]
#[path = "../support/mod.rs"]
mod support;

use std::{
    fs,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use cluster::{PAUSE, Up, WAIT_LIMIT, run_real, web};
use support::{Link, get, get_once, story};
use wavetank_core::model::Pod;
use wavetank_journal::FILE_NAME;
use wavetank_real::docker::Role;

fn address(pod: &Pod) -> Option<std::net::IpAddr> {
    pod.status.pod_ip.as_ref().map(|address| address.to_string().parse().expect("an address"))
}

fn restarts(pods: &[Arc<Pod>]) -> u32 {
    pods.iter().flat_map(|pod| &pod.status.containers).map(|container| container.restarts).sum()
}

#[test]
fn every_pod_of_a_deployment_answers() {
    story("every_pod_of_a_deployment_answers", |stage| async move {
        let mut up = Up::start(&stage, 2, &[]);
        let pods = up.until_ready(2).await;
        for pod in &pods {
            assert_eq!(get(address(pod), "/").await.1, format!("v1 {}\n", pod.meta.name));
        }
        assert!(up.real(&["get", "deployments"]).contains("2/2"), "{}", up.real(&["get", "deployments"]));
        up.end().await;
        assert_eq!(up.containers().await, [], "Ctrl-C leaves nothing behind");
    });
}

#[test]
fn a_pod_waits_for_its_config_map_and_has_it_as_variable_and_file() {
    story("a_pod_waits_for_its_config_map_and_has_it_as_variable_and_file", |stage| async move {
        let mut up = Up::start(&stage, 1, &[]);
        up.until_ready(1).await;
        up.apply(
            "reader.yaml",
            "apiVersion: v1
kind: Pod
metadata: {name: reader}
spec:
  containers:
  - name: app
    image: testapp:v1
    env:
    - {name: VERSION, valueFrom: {configMapKeyRef: {name: settings, key: version}}}
    volumeMounts: [{name: settings, mountPath: /etc/settings}]
  volumes:
  - {name: settings, configMap: {name: settings, items: [{key: motd, path: deep/motd}]}}
",
        );
        let reader = |pods: &[Arc<Pod>]| pods.iter().find(|pod| *pod.meta.name == *"reader").cloned();
        up.until("a pod that waits", |pods| reader(pods).is_some_and(|pod| !pod.status.containers.is_empty())).await;
        let settings =
            "{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {version: v7, motd: hello}}";
        up.apply("settings.yaml", settings);
        let pods = up.until("a reader", |pods| reader(pods).is_some_and(|pod| pod.is_ready())).await;
        let address = address(&reader(&pods).expect("it was just seen"));
        assert_eq!(get(address, "/").await.1, "v7 reader\n");
        assert_eq!(get(address, "/etc/settings/deep/motd").await.1, "hello");
        let shown = up.real(&["get", "configmaps"]);
        assert!(shown.contains("settings") && shown.contains("kube-root-ca.crt"), "{shown}");
        up.end().await;
    });
}

#[test]
fn a_killed_container_is_started_again_and_counted() {
    story("a_killed_container_is_started_again_and_counted", |stage| async move {
        let mut up = Up::start(&stage, 1, &[]);
        let before = up.until_ready(1).await;
        stage.engine.kill(&up.running(false).await.id).await.expect("it runs");
        let restarted = |pods: &[Arc<Pod>]| restarts(pods) == 1 && pods.len() == 1 && pods[0].is_ready();
        let after = up.until("one restart", restarted).await;
        assert_eq!(after[0].meta.uid, before[0].meta.uid, "the pod stays");
        assert_eq!(get(address(&after[0]), "/").await.1, format!("v1 {}\n", after[0].meta.name));
        up.end().await;
    });
}

#[test]
fn a_container_that_somebody_removed_is_replaced() {
    story("a_container_that_somebody_removed_is_replaced", |stage| async move {
        let mut up = Up::start(&stage, 1, &[]);
        up.until_ready(1).await;
        let victim = up.running(false).await;
        stage.engine.remove(&victim.id).await.expect("it can be removed");
        let restarted = |pods: &[Arc<Pod>]| restarts(pods) == 1 && pods.len() == 1 && pods[0].is_ready();
        up.until("one restart", restarted).await;
        assert_ne!(up.running(false).await.id, victim.id);
        up.end().await;
    });
}

#[test]
fn a_sandbox_that_somebody_removed_is_replaced_with_all_that_was_in_it() {
    story("a_sandbox_that_somebody_removed_is_replaced_with_all_that_was_in_it", |stage| async move {
        let mut up = Up::start(&stage, 1, &[]);
        up.until_ready(1).await;
        let victim = up.running(true).await;
        stage.engine.remove(&victim.id).await.expect("it can be removed");
        let began = Instant::now();
        loop {
            let sandboxes = up.containers().await.into_iter();
            let mut sandboxes =
                sandboxes.filter(|found| found.identity.role == Role::Sandbox && found.phase.is_running());
            if sandboxes.any(|found| found.id != victim.id) {
                break;
            }
            assert!(began.elapsed() < WAIT_LIMIT, "no new sandbox:\n{}", up.account());
            tokio::time::sleep(PAUSE).await;
        }
        let pods = up.until_ready(1).await;
        assert_eq!(get(address(&pods[0]), "/").await.1, format!("v1 {}\n", pods[0].meta.name));
        up.end().await;
    });
}

#[test]
fn a_deployment_grows_by_command_and_shrinks_by_its_edited_manifest() {
    story("a_deployment_grows_by_command_and_shrinks_by_its_edited_manifest", |stage| async move {
        let mut up = Up::start(&stage, 2, &[]);
        up.until_ready(2).await;
        up.real(&["scale", "deployment/web", "--replicas", "3"]);
        up.until_ready(3).await;
        fs::write(up.folder.join("web.yaml"), web(1, "testapp:v1")).expect("room on the disk");
        up.signal("-HUP");
        up.until_ready(1).await;
        let began = Instant::now();
        while up.containers().await.len() > 2 {
            assert!(began.elapsed() < WAIT_LIMIT, "more than a sandbox and a container:\n{}", up.account());
            tokio::time::sleep(PAUSE).await;
        }
        up.end().await;
    });
}

#[test]
fn a_rolling_update_never_leaves_fewer_pods_ready_than_allowed() {
    story("a_rolling_update_never_leaves_fewer_pods_ready_than_allowed", |stage| async move {
        let mut up = Up::start(&stage, 6, &[]);
        up.until_ready(6).await;
        up.real(&["set-image", "deployment/web", "app=testapp:v2"]);
        let began = Instant::now();
        loop {
            let pods = up.pods().await;
            let ready: Vec<_> = pods.iter().filter(|pod| pod.is_ready()).collect();
            // A quarter may be unavailable, rounded down.
            assert!(ready.len() >= 5, "{} ready pods:\n{}", ready.len(), up.account());
            // A pod can end between the list and the question, but not all of them.
            let answers = |pod: &&&Arc<Pod>| address(pod).is_some_and(|address| get_once(address, "/").is_ok());
            assert!(ready.iter().any(|pod| answers(&pod)), "nobody answers:\n{}", up.account());
            let updated = |pod: &Pod| &*pod.spec.containers[0].image == "testapp:v2";
            if pods.len() == 6 && ready.len() == 6 && ready.iter().all(|pod| updated(pod)) {
                break;
            }
            assert!(began.elapsed() < WAIT_LIMIT, "the update does not end:\n{}", up.account());
            tokio::time::sleep(PAUSE).await;
        }
        for pod in up.pods().await {
            assert_eq!(get(address(&pod), "/").await.1, format!("v2 {}\n", pod.meta.name));
        }
        up.end().await;
    });
}

#[test]
fn a_container_that_fails_its_liveness_probe_is_stopped_by_its_own_leave_and_started_again() {
    story("a_container_that_fails_its_liveness_probe", |stage| async move {
        let mut up = Up::start(&stage, 1, &[]);
        up.until_ready(1).await;
        // It listens at once, but would be healthy after 1,000 s only.
        let sick = web(1, "testapp:v1").replace("web}", "sick}").replace("/healthz, port: http}", "/, port: http}")
            + "        env: [{name: READY_AFTER, value: '1000'}]
        livenessProbe:
          httpGet: {path: /healthz, port: 8080}
          periodSeconds: 1
          failureThreshold: 2
";
        fs::write(up.folder.join("sick.yaml"), sick).expect("room on the disk");
        let path = up.folder.join("sick.yaml").display().to_string();
        up.real(&["apply", "--manifest", &path]);
        let pods = up.until("a restart", |pods| restarts(pods) >= 1).await;
        let sick = pods.iter().find(|pod| pod.meta.name.starts_with("sick-")).expect("it was restarted");
        let last = sick.status.containers[0].last_terminated.as_ref().expect("it ended");
        assert_eq!(last.exit_code, 0, "SIGTERM reached it, so it could finish");
        assert_eq!(restarts(&pods), sick.status.containers[0].restarts, "nobody else was restarted");
        up.end().await;
    });
}

#[test]
fn a_missing_image_is_reported_and_harms_nobody_else() {
    story("a_missing_image_is_reported_and_harms_nobody_else", |stage| async move {
        let mut up = Up::start(&stage, 1, &[]);
        up.until_ready(1).await;
        let broken = web(1, "wavetank.invalid/none:v1").replace("web}", "broken}");
        fs::write(up.folder.join("broken.yaml"), broken).expect("room on the disk");
        let path = up.folder.join("broken.yaml").display().to_string();
        up.real(&["apply", "--manifest", &path]);
        let began = Instant::now();
        while !up.account().contains("ErrImagePull") && !up.account().contains("ImagePullBackOff") {
            assert!(began.elapsed() < WAIT_LIMIT, "no word of the image:\n{}", up.account());
            tokio::time::sleep(PAUSE).await;
        }
        let ready = up.pods().await.iter().filter(|pod| pod.is_ready()).count();
        assert_eq!(ready, 1);
        up.end().await;
    });
}

#[test]
fn kept_containers_go_on_until_they_are_taken_down() {
    story("kept_containers_go_on_until_they_are_taken_down", |stage| async move {
        let mut up = Up::start(&stage, 1, &["--keep"]);
        let pods = up.until_ready(1).await;
        up.end().await;
        assert_eq!(get(address(&pods[0]), "/").await.1, format!("v1 {}\n", pods[0].meta.name));
        assert!(up.account().contains("real down --cluster"), "{}", up.account());
        assert!(up.real(&["down"]).contains("2 containers"), "a sandbox and a container");
        assert_eq!(up.containers().await, []);
    });
}

#[test]
fn a_killed_program_leaves_a_journal_and_containers_that_the_next_run_replaces() {
    story("a_killed_program_leaves_a_journal_and_containers_that_the_next_run_replaces", |stage| async move {
        let mut up = Up::start(&stage, 1, &[]);
        up.until_ready(1).await;
        up.signal("-KILL");
        up.ended().await;
        let told = up.replay();
        assert!(told.steps > 0 && !told.ended, "{told:?}");
        let left = up.containers().await;
        assert_eq!(left.len(), 2, "a sandbox and a container go on");
        up.child = Up::command(&stage, &up.folder, &[]).spawn().expect("the program was built");
        up.until_ready(1).await;
        let now = up.containers().await;
        assert!(left.iter().all(|old| now.iter().all(|new| new.id != old.id)), "{now:?}");
        up.end().await;
    });
}

#[test]
fn a_deployment_that_is_deleted_takes_its_pods_along() {
    story("a_deployment_that_is_deleted_takes_its_pods_along", |stage| async move {
        let mut up = Up::start(&stage, 2, &[]);
        up.until_ready(2).await;
        let told = up.real(&["delete", "deployment/web"]);
        assert_eq!(told, "deployments/default/web deleted\n");
        up.until("no pods", <[_]>::is_empty).await;
        assert!(up.real(&["get", "replicasets"]).starts_with("no replicasets"), "{}", up.account());
        up.end().await;
    });
}

#[test]
fn an_engine_that_goes_away_for_a_while_costs_nothing_but_the_time() {
    story("an_engine_that_goes_away_for_a_while_costs_nothing_but_the_time", |stage| async move {
        let socket = std::env::temp_dir().join(format!("wavetank-{}.link", stage.cluster));
        let link = Link::open(&socket, stage.engine.socket());
        let mut up = Up::start_through(&stage, &socket);
        let before = up.until_ready(1).await;
        link.cut().await;
        up.until_told("the Docker engine does not answer").await;
        stage.engine.kill(&up.running(false).await.id).await.expect("it runs");
        let link = Link::open(&socket, stage.engine.socket());
        up.until_told("the Docker engine answers again").await;
        let restarted = |pods: &[Arc<Pod>]| restarts(pods) == 1 && pods.len() == 1 && pods[0].is_ready();
        let after = up.until("one restart", restarted).await;
        assert_eq!(after[0].meta.uid, before[0].meta.uid, "the pod stays");
        up.end().await;
        link.cut().await;
    });
}

#[test]
fn a_journal_that_cannot_be_written_ends_the_run_with_its_reason() {
    story("a_journal_that_cannot_be_written_ends_the_run_with_its_reason", |stage| async move {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(stage.cluster.to_string());
        fs::create_dir_all(&folder).expect("a writable folder");
        std::os::unix::fs::symlink("/dev/full", folder.join(FILE_NAME)).expect("a writable folder");
        let (cluster, out) = (stage.cluster.to_string(), folder.display().to_string());
        // In a task of its own, so that the story's time limit holds.
        let run = move || run_real(&["up", "--cluster", &cluster, "--out", &out]);
        let output = tokio::task::spawn_blocking(run).await.expect("it ends");
        fs::remove_dir_all(&folder).expect("the folder is ours");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains("cannot write") && error.contains("No space left on device"), "{error}");
    });
}

#[test]
fn a_run_that_is_ended_while_its_pods_are_made_leaves_nothing_behind() {
    story("a_run_that_is_ended_while_its_pods_are_made_leaves_nothing_behind", |stage| async move {
        let mut up = Up::start(&stage, 5, &[]);
        up.until("five pods", |pods| pods.len() == 5).await;
        up.end().await;
        // A container that was still being made would appear later.
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(up.containers().await, [], "{}", up.account());
    });
}

#[test]
fn a_second_program_cannot_run_the_same_cluster() {
    story("a_second_program_cannot_run_the_same_cluster", |stage| async move {
        let mut up = Up::start(&stage, 1, &[]);
        up.until_ready(1).await;
        let second = run_real(&["up", "--cluster", &stage.cluster.to_string()]);
        assert!(!second.status.success());
        let error = String::from_utf8_lossy(&second.stderr).into_owned();
        assert!(error.contains("is running already"), "{error}");
        assert_eq!(up.pods().await.iter().filter(|pod| pod.is_ready()).count(), 1);
        up.end().await;
    });
}

#[test]
fn a_mistake_in_a_manifest_is_told_with_its_place_before_anything_starts() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("mistake-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a writable folder");
    let path = folder.join("web.yaml");
    fs::write(&path, web(2, "testapp:v1").replace("replicas", "replcas")).expect("room on the disk");
    let output = run_real(&["up", "--manifest", &path.display().to_string()]);
    fs::remove_dir_all(&folder).expect("the folder is ours");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(error.contains("web.yaml:5:3"), "{error}");
    assert!(error.contains("replicas"), "{error}");
}

#[test]
fn talking_to_a_cluster_that_does_not_run_says_so() {
    let output = run_real(&["get", "pods", "--cluster", "nobody-runs-this"]);
    assert!(!output.status.success());
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("cluster nobody-runs-this is not running"), "{error}");
}
