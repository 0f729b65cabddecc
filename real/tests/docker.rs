//! Stories about single pods on the real Docker engine.

mod support;

use std::{path::PathBuf, time::Duration};

use support::{Link, PORT, Stage, get, story, until};
use tokio::task::JoinSet;
use wavetank_real::docker::{
    Attempt, Bytes, Change, ContainerId, DnsConfig, Engine, EngineError, LogStream, Phase, Resources, Role,
    SandboxNetwork,
};

/// SIGKILL's number on top of 128.
const KILLED: i64 = 137;

#[test]
fn pods_have_addresses_and_host_names_of_their_own() {
    story("pods_have_addresses_and_host_names_of_their_own", |stage| async move {
        let (first, _) = stage.pod_with("web-0", &[]).await;
        let (second, _) = stage.pod_with("web-1", &[]).await;
        assert_ne!(first.address, second.address);
        assert_eq!(get(first.address, "/").await.1, "v1 web-0\n");
        assert_eq!(get(second.address, "/").await.1, "v1 web-1\n");
    });
}

#[test]
fn pods_that_start_at_once_do_not_disturb_each_other() {
    story("pods_that_start_at_once_do_not_disturb_each_other", |stage| async move {
        let mut starts = JoinSet::new();
        for index in 0..8 {
            let stage = stage.clone();
            starts.spawn(async move {
                let name = format!("web-{index}");
                let (sandbox, _) = stage.pod_with(&name, &[]).await;
                assert_eq!(get(sandbox.address, "/").await.1, format!("v1 {name}\n"));
                sandbox.address
            });
        }
        let mut addresses = starts.join_all().await;
        addresses.sort();
        addresses.dedup();
        assert_eq!(addresses.len(), 8, "{addresses:?}");
        assert_eq!(stage.engine.list(&stage.cluster).await.expect("a list").containers.len(), 16);
    });
}

#[test]
fn containers_of_one_pod_share_its_network() {
    story("containers_of_one_pod_share_its_network", |stage| async move {
        let (sandbox, first) = stage.pod_with("web-0", &[]).await;
        stage.log_with(&first, "listening").await;
        // Two programs cannot listen on one port of one network.
        let second = stage.run(&stage.container_spec("web-0", &sandbox, "side", &[])).await;
        assert_eq!(stage.ended(&second).await.phase.exit_code(), Some(1));
        let log = stage.log_with(&second, "in use").await;
        assert!(log.contains(&format!("cannot listen on port {PORT}")), "{log}");
    });
}

#[test]
fn a_pod_resolves_names_as_it_was_told_to() {
    story("a_pod_resolves_names_as_it_was_told_to", |stage| async move {
        let mut spec = stage.sandbox_spec("web-0");
        spec.dns = DnsConfig {
            servers: vec!["10.96.0.10".parse().expect("an address")],
            searches: vec!["default.svc.cluster.local".to_owned(), "svc.cluster.local".to_owned()],
            options: vec!["ndots:5".to_owned()],
        };
        let sandbox = stage.engine.run_sandbox(&spec).await.expect("a sandbox");
        stage.run(&stage.container_spec("web-0", &sandbox, "app", &[])).await;
        let (_, file) = get(sandbox.address, "/etc/resolv.conf").await;
        for line in ["nameserver 10.96.0.10", "search default.svc.cluster.local svc.cluster.local", "options ndots:5"] {
            assert!(file.lines().any(|found| found == line), "{line:?} is not in {file:?}");
        }
    });
}

#[test]
fn a_pod_without_a_network_has_no_address() {
    story("a_pod_without_a_network_has_no_address", |stage| async move {
        let mut spec = stage.sandbox_spec("web-0");
        spec.network = SandboxNetwork::Unconnected;
        assert_eq!(stage.engine.run_sandbox(&spec).await.expect("a sandbox").address, None);
    });
}

#[test]
fn a_program_is_not_ready_before_its_time() {
    story("a_program_is_not_ready_before_its_time", |stage| async move {
        let (late, _) = stage.pod_with("late", &[("READY_AFTER", "1000")]).await;
        let (ready, _) = stage.pod_with("ready", &[]).await;
        assert_eq!(get(late.address, "/healthz").await.0, "HTTP/1.1 503 Service Unavailable");
        assert_eq!(get(ready.address, "/healthz").await.0, "HTTP/1.1 200 OK");
    });
}

#[test]
fn a_command_in_a_container_gives_its_exit_code_and_what_it_says() {
    story("a_command_in_a_container_gives_its_exit_code_and_what_it_says", |stage| async move {
        let (_, id) = stage.pod_with("web-0", &[]).await;
        stage.log_with(&id, "listening").await;
        let limit = Duration::from_secs(60);
        // The program itself once more: its port is taken.
        let (code, written) = stage.engine.exec(&id, &["/app".to_owned()], limit).await.expect("it can be run");
        assert_eq!(code, 1);
        assert!(written.contains("in use"), "{written}");
        let missing = stage.engine.exec(&id, &["/none".to_owned()], limit).await;
        assert!(!matches!(missing, Ok((0, _))), "{missing:?}");
        stage.engine.kill(&id).await.expect("it runs");
        stage.ended(&id).await;
        let late = stage.engine.exec(&id, &["/app".to_owned()], limit).await;
        assert!(matches!(late, Err(EngineError::Conflict { .. })), "{late:?}");
    });
}

#[test]
fn an_image_that_no_registry_gives_is_an_error_with_the_engines_words() {
    story("an_image_that_no_registry_gives_is_an_error_with_the_engines_words", |stage| async move {
        let image = "wavetank.invalid/none:v1".parse().expect("a valid name");
        let error = stage.engine.pull_image(&image).await.expect_err("there is no such registry").to_string();
        assert!(error.contains("pull of wavetank.invalid/none:v1"), "{error}");
    });
}

#[test]
fn a_killed_container_is_reported_with_its_exit_code() {
    story("a_killed_container_is_reported_with_its_exit_code", |stage| async move {
        let (_, id) = stage.pod_with("web-0", &[]).await;
        let mut watch = stage.engine.watch(&stage.cluster);
        until(&mut watch, "the first list", |change| matches!(change, Change::Synced).then_some(())).await;
        stage.engine.kill(&id).await.expect("it runs");
        let code = until(&mut watch, "the death", |change| exit_of(&id, change)).await;
        assert_eq!(code, KILLED);
        assert!(matches!(stage.engine.kill(&id).await, Err(EngineError::Conflict { .. })), "the dead cannot be killed");
    });
}

#[test]
fn a_container_that_ends_by_itself_keeps_its_code() {
    story("a_container_that_ends_by_itself_keeps_its_code", |stage| async move {
        let mut watch = stage.engine.watch(&stage.cluster);
        let (_, id) = stage.pod_with("job-0", &[("EXIT_AFTER", "0"), ("EXIT_CODE", "3")]).await;
        assert_eq!(until(&mut watch, "the end", |change| exit_of(&id, change)).await, 3);
        let phase = stage.ended(&id).await.phase;
        let Phase::Exited { oom_killed: false, started: Some(started), finished: Some(finished), error, .. } = phase
        else {
            panic!("{phase:?}")
        };
        assert!(started <= finished, "{started} > {finished}");
        assert_eq!(error, "");
    });
}

#[test]
fn a_deleted_container_is_reported_as_gone() {
    story("a_deleted_container_is_reported_as_gone", |stage| async move {
        let (_, id) = stage.pod_with("web-0", &[]).await;
        let mut watch = stage.engine.watch(&stage.cluster);
        until(&mut watch, "the first list", |change| matches!(change, Change::Synced).then_some(())).await;
        stage.engine.remove(&id).await.expect("it can be removed");
        let identity = until(&mut watch, "the removal", |change| match change {
            Change::Gone(gone, identity) if gone == id => Some(identity),
            _ => None,
        });
        assert_eq!(identity.await.pod.name(), "web-0");
        stage.engine.remove(&id).await.expect("removing twice is no error");
        assert!(matches!(stage.engine.inspect(&id).await, Err(EngineError::NotFound { .. })));
    });
}

#[test]
fn a_polite_program_finishes_within_its_grace() {
    story("a_polite_program_finishes_within_its_grace", |stage| async move {
        let (_, id) = stage.pod_with("web-0", &[]).await;
        stage.log_with(&id, "listening").await;
        stage.engine.stop(&id, Duration::from_secs(60)).await.expect("it ends");
        assert_eq!(stage.ended(&id).await.phase.exit_code(), Some(0));
        stage.log_with(&id, "SIGTERM: finishing").await;
        stage.engine.stop(&id, Duration::ZERO).await.expect("stopping twice is no error");
    });
}

#[test]
fn a_program_that_ignores_sigterm_is_killed_after_its_grace() {
    story("a_program_that_ignores_sigterm_is_killed_after_its_grace", |stage| async move {
        let (_, id) = stage.pod_with("web-0", &[("IGNORE_SIGTERM", "1")]).await;
        stage.log_with(&id, "listening").await;
        stage.engine.stop(&id, Duration::from_millis(1500)).await.expect("it ends");
        assert_eq!(stage.ended(&id).await.phase.exit_code(), Some(KILLED));
        stage.log_with(&id, "ignoring SIGTERM").await;
    });
}

#[test]
fn the_pause_program_leaves_when_told_to() {
    story("the_pause_program_leaves_when_told_to", |stage| async move {
        let sandbox = stage.sandbox("web-0").await;
        // A process 1 that has not come so far loses the signal, and is killed when the grace is over.
        stage.log_with(&sandbox.id, "holding the pod's namespaces").await;
        stage.engine.stop(&sandbox.id, Duration::from_secs(60)).await.expect("it ends");
        assert_eq!(stage.ended(&sandbox.id).await.phase.exit_code(), Some(0), "killed, instead of leaving by itself");
    });
}

#[test]
fn a_container_over_its_memory_limit_is_told_apart() {
    story("a_container_over_its_memory_limit_is_told_apart", |stage| async move {
        let sandbox = stage.sandbox("greedy").await;
        let mut spec = stage.container_spec("greedy", &sandbox, "app", &[("EAT_MIB", "128")]);
        spec.resources = Resources { memory_limit: Some(Bytes(32 << 20)), ..Resources::default() };
        let id = stage.run(&spec).await;
        let phase = stage.ended(&id).await.phase;
        assert!(matches!(phase, Phase::Exited { code: KILLED, oom_killed: true, .. }), "{phase:?}");
    });
}

#[test]
fn a_missing_image_is_told_by_name() {
    story("a_missing_image_is_told_by_name", |stage| async move {
        let sandbox = stage.sandbox("web-0").await;
        let mut spec = stage.container_spec("web-0", &sandbox, "app", &[]);
        spec.image = "testapp:never-made".parse().expect("a valid name");
        match stage.engine.create_container(&spec).await {
            Err(EngineError::ImageMissing { image }) => assert_eq!(image, spec.image),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn every_spelling_of_an_image_is_found() {
    story("every_spelling_of_an_image_is_found", |stage| async move {
        for spelling in ["testapp:v2", "library/testapp:v2", "docker.io/library/testapp:v2"] {
            let name = spelling.parse().expect("a valid name");
            assert!(stage.engine.has_image(&name).await.expect("an answer"), "{spelling}");
        }
        let images = stage.engine.images().await.expect("a list");
        let v2 = images.iter().find(|image| image.names.iter().any(|name| name == "testapp:v2"));
        assert!(v2.is_some_and(|image| image.size > Bytes(100_000)), "{images:?}");
    });
}

#[test]
fn a_program_that_is_not_in_its_image_cannot_run() {
    story("a_program_that_is_not_in_its_image_cannot_run", |stage| async move {
        let sandbox = stage.sandbox("web-0").await;
        let mut spec = stage.container_spec("web-0", &sandbox, "app", &[]);
        spec.command = vec!["/no-such-program".to_owned()];
        let id = stage.engine.create_container(&spec).await.expect("creating does not look inside");
        match stage.engine.start(&id).await {
            Err(EngineError::CannotRun { container, message }) => {
                assert_eq!(container, id);
                assert!(message.contains("/no-such-program"), "{message}");
            }
            other => panic!("{other:?}"),
        }
        let phase = stage.engine.inspect(&id).await.expect("it stays").phase;
        assert!(
            matches!(&phase, Phase::Exited { code: 127, started: None, error, .. } if !error.is_empty()),
            "{phase:?}"
        );
    });
}

#[test]
fn a_restarted_program_finds_what_it_left() {
    story("a_restarted_program_finds_what_it_left", |stage| async move {
        let (sandbox, first) = stage.pod_with("web-0", &[]).await;
        let again = stage.container_spec("web-0", &sandbox, "app", &[]);
        match stage.engine.create_container(&again).await {
            Err(EngineError::Conflict { .. }) => {}
            other => panic!("the same attempt was created twice: {other:?}"),
        }
        let next = stage.run(&wavetank_real::docker::ContainerSpec { attempt: Attempt(1), ..again }).await;

        let listing = Engine::connect().await.expect("the engine").list(&stage.cluster).await.expect("a list");
        let found: Vec<_> = listing
            .containers
            .iter()
            .map(|found| (&found.id, found.identity.role == Role::Sandbox, found.identity.attempt.0))
            .collect();
        assert_eq!(found, [(&sandbox.id, true, 0), (&first, false, 0), (&next, false, 1)]);
        assert!(listing.containers.iter().all(|found| found.identity.pod == stage.pod("web-0")));
        assert_eq!(listing.containers[0].address, sandbox.address);
    });
}

#[test]
fn the_tail_of_a_log_has_the_last_lines_of_both_outputs() {
    story("the_tail_of_a_log_has_the_last_lines_of_both_outputs", |stage| async move {
        let (_, id) = stage.pod_with("job-0", &[("EXIT_AFTER", "1"), ("EXIT_CODE", "9")]).await;
        stage.ended(&id).await;
        stage.log_with(&id, "leaving with 9").await;
        let last = stage.engine.logs_tail(&id, 1).await.expect("a log");
        assert_eq!(
            last.iter().map(|line| (line.stream, line.text.as_str())).collect::<Vec<_>>(),
            [(LogStream::Error, "leaving with 9")]
        );
        assert_eq!(stage.engine.logs_tail(&id, 100).await.expect("a log").len(), 2);
    });
}

#[test]
fn the_machine_tells_what_it_has() {
    story("the_machine_tells_what_it_has", |stage| async move {
        let info = stage.engine.info().await.expect("an answer");
        assert!(info.cpu.0 >= 1000 && info.cpu.0 % 1000 == 0, "{info:?}");
        assert!(info.memory > Bytes(256 << 20), "{info:?}");
        assert!(info.api_version.starts_with("1."), "{info:?}");
    });
}

#[test]
fn what_happens_while_the_engine_is_away_is_told_when_it_is_back() {
    story("what_happens_while_the_engine_is_away_is_told_when_it_is_back", |stage| async move {
        let (_, killed) = stage.pod_with("killed", &[]).await;
        let (_, removed) = stage.pod_with("removed", &[]).await;
        let folder = Folder::new(&stage);
        let socket = folder.0.join("docker.sock");
        let link = Link::open(&socket, stage.engine.socket());
        let far = Engine::connect_to(socket.clone()).await.expect("the engine behind the link");
        let mut watch = far.watch(&stage.cluster);
        until(&mut watch, "the first list", |change| matches!(change, Change::Synced).then_some(())).await;

        link.cut().await;
        until(&mut watch, "the loss", |change| match change {
            Change::EngineLost(error) => Some(error),
            Change::EngineBack => panic!("back before it was lost"),
            _ => None,
        })
        .await;
        stage.engine.kill(&killed).await.expect("it runs");
        stage.engine.remove(&removed).await.expect("it is there");
        let (_, new) = stage.pod_with("new", &[]).await;

        let _link = Link::open(&socket, stage.engine.socket());
        let mut told = [false; 3];
        until(&mut watch, "the return", |change| {
            match change {
                Change::Gone(id, _) if id == removed => told[1] = true,
                Change::Seen(container) if container.id == killed => {
                    told[0] = container.phase.exit_code() == Some(KILLED)
                }
                Change::Seen(container) if container.id == new => told[2] = container.phase.is_running(),
                Change::EngineBack => return Some(()),
                _ => {}
            }
            None
        })
        .await;
        assert_eq!(told, [true; 3], "killed, removed, new");
    });
}

fn exit_of(id: &ContainerId, change: Change) -> Option<i64> {
    match change {
        Change::Seen(container) if container.id == *id => container.phase.exit_code(),
        _ => None,
    }
}

/// A folder that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(stage: &Stage) -> Self {
        let folder = std::env::temp_dir().join(format!("wavetank-{}", stage.cluster));
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Not removed is not wrong, and a second panic would hide the first.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
