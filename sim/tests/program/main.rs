//! The program as its users run it: commands, messages, exit codes, files.

mod shown;
mod wrong_input;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use wavetank_core::Core;
use wavetank_core::api::Request;
use wavetank_core::config::Config;
use wavetank_core::id::{ProcId, RequestId};
use wavetank_core::journal::Header;
use wavetank_core::model::{Namespace, Object};
use wavetank_core::seam::{Input, Msg};
use wavetank_core::time::Time;
use wavetank_journal::Writer;

/// A directory of its own for one test, removed at the end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&place);
        std::fs::create_dir_all(&place).unwrap();
        Place(place)
    }

    fn file(&self, name: &str, text: &str) -> String {
        std::fs::write(self.0.join(name), text).unwrap();
        name.to_owned()
    }

    fn sim(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_sim")).args(arguments).current_dir(&self.0).output().unwrap()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn scenarios() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios")
}

/// A scenario of one node and one pod, with more lines of `spec` at the end.
fn small(more: &str) -> String {
    format!(
        "apiVersion: wavetank/v1\nkind: Scenario\nmetadata: {{name: small}}\nspec:\n  duration: 60s\n  nodes: \
         [{{name: worker, count: 1}}]\n  manifests:\n    \
         - apiVersion: v1\n      kind: Pod\n      metadata: {{name: web}}\n      \
         spec: {{containers: [{{name: main, image: web}}]}}\n{more}"
    )
}

const READY: &str = "  expect:\n    - {name: runs, at: 50s, that: 'ready(pod(\"web\"))'}\n";

#[test]
fn every_scenario_of_the_repository_holds_on_one_thread_and_on_two() {
    let place = Place::new("all");
    let dir = scenarios();
    let [one, two] = ["1", "2"].map(|threads| {
        let output = place.sim(&["test", dir.to_str().unwrap(), "--threads", threads]);
        assert_eq!(code(&output), 0, "{}", out(&output));
        out(&output)
    });
    assert_eq!(one, two, "the table holds the fingerprints, which no thread count may change");
}

#[test]
fn a_run_that_holds_exits_with_0_and_says_so_as_text_and_as_json() {
    let place = Place::new("held");
    let file = place.file("small.yaml", &small(READY));
    let output = place.sim(&["run", &file]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert!(out(&output).contains("fingerprint"), "{}", out(&output));
    assert_eq!(err(&output), "");
    let output = place.sim(&["run", &file, "--format", "json"]);
    let summary: serde_json::Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(summary["held"], true);
    assert_eq!(summary["exit"], 0);
    assert_eq!(summary["counts"]["pods_scheduled"], 1);
    assert_eq!(summary["expectations"][0]["place"], "small.yaml:13");
}

#[test]
fn ctrl_c_while_a_report_is_written_leaves_nothing_half_written() {
    let place = Place::new("interrupted");
    let file = place.file("small.yaml", &small(READY));
    let names = || {
        let entries = std::fs::read_dir(&place.0).unwrap();
        let mut names: Vec<String> = entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    for signal in ["-INT", "-TERM"] {
        let mut sim = Command::new(env!("CARGO_BIN_EXE_sim"))
            .args(["run", &file, "--out", "report"])
            .current_dir(&place.0)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let partial = place.0.join(".report.partial/summary.json");
        while !partial.exists() && sim.try_wait().unwrap().is_none() {
            std::hint::spin_loop();
        }
        let sent = Command::new("kill").args([signal, &sim.id().to_string()]).status().unwrap().success();
        let ended = sim.wait().unwrap();
        // Whoever was too late to be stopped has written all of it.
        let whole = place.0.join("report/report.html").exists();
        assert!(whole || sent && ended.code().is_none(), "{ended}");
        let expected: &[&str] = if whole { &["report", "small.yaml"] } else { &["small.yaml"] };
        assert_eq!(names(), expected, "after {signal}");
    }
}

#[test]
fn ctrl_c_while_a_sweep_keeps_its_results_leaves_whole_files_only() {
    let place = Place::new("interrupted-sweep");
    let file = place.file("small.yaml", &small(READY));
    let runs = place.0.join("sweep/runs");
    let names = || -> Vec<String> {
        let entries = std::fs::read_dir(&runs).into_iter().flatten().flatten();
        entries.map(|it| it.file_name().into_string().unwrap()).collect()
    };
    for (round, signal) in (0..6).zip(["-INT", "-TERM"].into_iter().cycle()) {
        let mut sim = Command::new(env!("CARGO_BIN_EXE_sim"))
            .args(["sweep", &file, "--seeds", "1..4000", "--jobs", "4", "--out", "sweep"])
            .current_dir(&place.0)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let before = names().len();
        while names().len() < before + 5 && sim.try_wait().unwrap().is_none() {
            std::hint::spin_loop();
        }
        let sent = Command::new("kill").args([signal, &sim.id().to_string()]).status().unwrap().success();
        let ended = sim.wait().unwrap();
        assert!(sent && ended.code().is_none(), "{ended}");
        let half: Vec<String> = names().into_iter().filter(|name| name.ends_with(".partial")).collect();
        assert!(half.is_empty(), "after {signal} in round {round}: {half:?}");
    }
}

#[test]
fn a_broken_expectation_exits_with_1_and_shows_the_values() {
    let place = Place::new("broken");
    let file = place.file("small.yaml", &small("  expect:\n    - {name: two, at: 50s, that: size(pods) == 2}\n"));
    let output = place.sim(&["run", &file]);
    assert_eq!(code(&output), 1);
    assert!(out(&output).contains("size(pods) = 1"), "{}", out(&output));
    assert!(out(&output).contains("small.yaml:13"), "{}", out(&output));
}

#[test]
fn a_run_that_schedules_nothing_does_not_pass_silently() {
    let place = Place::new("nothing");
    let file = place.file("small.yaml", &small(""));
    let output = place.sim(&["run", &file, "--set", "spec.nodes[0].count=0"]);
    assert_eq!(code(&output), 3, "{}", out(&output));
    assert_eq!(err(&output), "nothing was scheduled although pods were asked for\n");
}

#[test]
fn what_the_api_server_tells_of_levels_is_a_warning_and_what_its_audit_notes_a_fact() {
    let place = Place::new("levels");
    let namespace = |label: &str| {
        let labels =
            format!("labels: {{pod-security.kubernetes.io/{label}, pod-security.kubernetes.io/audit: baseline}}");
        format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: shop, {labels}}}}}")
    };
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop}, spec: {hostPID: true, containers: \
               [{name: main, image: web}]}}";
    let text = format!(
        "apiVersion: wavetank/v1\nkind: Scenario\nmetadata: {{name: levels}}\nspec:\n  duration: 60s\n  nodes: \
         [{{name: worker, count: 1}}]\n  manifests:\n    - {}\n    - {pod}\n  timeline:\n    - {{at: 20s, apply: \
         {}}}\n",
        namespace("warn: baseline"),
        namespace("enforce: baseline")
    );
    let file = place.file("levels.yaml", &text);
    let output = place.sim(&["run", &file, "--out", "report"]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let said = format!("{}{}", out(&output), err(&output));
    let would = "would violate PodSecurity \"baseline:latest\": host namespaces (hostPID=true)";
    let there = "existing pods in namespace \"shop\" violate the new PodSecurity enforce level \"baseline:latest\"";
    let pods = "web: host namespaces";
    for line in
        [format!("pod/shop/web: {would}"), format!("namespace/shop: {there}"), format!("namespace/shop: {pods}")]
    {
        assert_eq!(said.matches(&line).count(), 1, "{line} in {said}");
    }
    let facts = place.read("report/facts.csv");
    let audited = facts.lines().find(|line| line.contains(",Audited,")).expect("the audit is told");
    assert!(audited.contains("pod/shop/web") && audited.ends_with(",user,"), "{audited}");
}

#[test]
fn a_cluster_whose_requests_take_no_time_warns_of_nothing_that_the_user_did_not_ask_for() {
    let place = Place::new("instant");
    let file = place.file(
        "instant.yaml",
        "apiVersion: wavetank/v1\nkind: Scenario\nmetadata: {name: instant}\nspec:\n  duration: 60s\n  nodes: [{name: \
         worker, count: 1}]\n  controlPlane: {fidelity: instant}\n  manifests:\n    - {apiVersion: v1, kind: Pod, \
         metadata: {name: web}, spec: {containers: [{name: main, image: web}]}}\n",
    );
    let output = place.sim(&["run", &file]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert!(!out(&output).contains("Warnings"), "{}", out(&output));
}

#[test]
fn set_changes_the_run_and_is_refused_where_no_field_is() {
    let place = Place::new("set");
    let file = place.file("small.yaml", &small(""));
    let counted = |arguments: &[&str]| {
        let output = place.sim(&[&["run", &file, "--format", "json"], arguments].concat());
        assert_eq!(code(&output), 0, "{}", err(&output));
        serde_json::from_str::<serde_json::Value>(&out(&output)).unwrap()["counts"]["nodes"].clone()
    };
    assert_eq!(counted(&[]), 1);
    assert_eq!(counted(&["--set", "spec.nodes[0].count=4"]), 4);
    let refused = |setting: &str| {
        let output = place.sim(&["run", &file, "--set", setting]);
        assert_eq!(code(&output), 2);
        err(&output)
    };
    assert_eq!(
        refused("spec.controlPlane.nodeMonitorGracePriod=40s"),
        "--set spec.controlPlane.nodeMonitorGracePriod=40s: spec.controlPlane.nodeMonitorGracePriod: unknown field \
         \"nodeMonitorGracePriod\"; did you mean \"nodeMonitorGracePeriod\"?\n"
    );
    assert_eq!(
        refused("spec.nodes[3].count=1"),
        "--set spec.nodes[3].count=1: spec.nodes[3]: the list has one element, [0]\n"
    );
}

#[test]
fn seed_and_until_change_what_they_say() {
    let place = Place::new("seed");
    let file = place.file("small.yaml", &small(""));
    let summary = |arguments: &[&str]| {
        let output = place.sim(&[&["run", &file, "--format", "json"], arguments].concat());
        serde_json::from_str::<serde_json::Value>(&out(&output)).unwrap()
    };
    let plain = summary(&[]);
    assert_eq!(plain["fingerprint"], summary(&["--seed", "0"])["fingerprint"]);
    assert_ne!(plain["fingerprint"], summary(&["--seed", "1"])["fingerprint"]);
    assert_eq!(summary(&["--until", "20s"])["duration_ns"], 20_000_000_000u64);
}

#[test]
fn a_recorded_run_is_replayed_without_its_files_and_two_are_compared() {
    let place = Place::new("replay");
    let manifest = scenarios().join("features/manifests/web.yaml");
    place.file("web.yaml", &std::fs::read_to_string(manifest).unwrap());
    let text = "apiVersion: wavetank/v1\nkind: Scenario\nmetadata: {name: recorded}\nspec:\n  duration: 60s\n  nodes: \
                [{name: worker, count: 3}]\n  manifests: [web.yaml]\n";
    let file = place.file("recorded.yaml", text);
    for (dir, seed) in [("a", "1"), ("b", "2"), ("c", "1")] {
        let output = place.sim(&["run", &file, "--seed", seed, "--out", dir]);
        assert_eq!(code(&output), 0, "{}", err(&output));
    }
    for name in ["summary.json", "report.html", "facts.csv", "inputs/inputs.json"] {
        assert!(!place.read(&format!("a/{name}")).is_empty());
        assert_eq!(place.read(&format!("a/{name}")), place.read(&format!("c/{name}")), "{name}");
    }
    std::fs::remove_file(place.0.join("recorded.yaml")).unwrap();
    std::fs::remove_file(place.0.join("web.yaml")).unwrap();
    let output = place.sim(&["replay", "a"]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert!(out(&output).contains("reached the recorded fingerprint"));
    let output = place.sim(&["diff", "a", "c"]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert!(out(&output).starts_with("the runs are equal: "), "{}", out(&output));
    let output = place.sim(&["diff", "a", "b"]);
    assert_eq!(code(&output), 5);
    assert!(out(&output).starts_with("the runs differ at event "), "{}", out(&output));
    let told = out(&output);
    assert!(told.contains("\n  A  0.000000000 s  ApiServer-0 to Kubelet-0: Response Ok Object\n"), "{told}");
    assert!(told.contains("different in it\n  body.meta.uid  "), "{told}");
    assert!(told.contains("the next facts of A\n") && told.contains("the next facts of B\n"), "{told}");
    assert!(told.lines().count() <= 25, "{told}");
    let summary = place.read("a/summary.json");
    let recorded: serde_json::Value = serde_json::from_str(&summary).unwrap();
    let other = summary.replace(recorded["fingerprint"].as_str().unwrap(), "0123456789abcdef");
    place.file("a/summary.json", &other);
    let output = place.sim(&["replay", "a"]);
    assert_eq!(code(&output), 5);
    assert!(err(&output).starts_with("the replay differs: recorded fingerprint 0123456789abcdef"), "{}", err(&output));
}

/// Writes a journal as the real world does: the processes start, and a client creates a namespace.
fn journal(path: &Path) {
    let config = Config { seed: 7, ..Config::default() };
    let mut writer = Writer::create(path, Header::new(config.clone())).unwrap();
    let mut core = Core::new(config);
    let namespace = Object::Namespace(Namespace::named("default").into());
    let body = Msg::Request(RequestId(0), Box::new(Request::Create(namespace)));
    let create = Input::Message { from: ProcId::CLIENT, to: ProcId::API_SERVER, body };
    let started = [ProcId::API_SERVER, ProcId::SCHEDULER, ProcId::CONTROLLER_MANAGER].map(Input::Started);
    let mut effects = Vec::new();
    for (second, input) in started.into_iter().chain([create]).enumerate() {
        let now = Time::from_secs(second as u64);
        writer.step(now, &input).unwrap();
        core.step(now, input, &mut effects);
        effects.drain(..).for_each(|effect| writer.effect(&effect));
    }
    writer.end(core.fingerprint()).unwrap();
}

#[test]
fn a_run_of_the_real_world_is_replayed_from_its_journal_and_a_change_is_noticed() {
    let place = Place::new("journal");
    for dir in ["whole", "tampered", "torn"] {
        std::fs::create_dir(place.0.join(dir)).unwrap();
        journal(&place.0.join(dir).join(wavetank_journal::FILE_NAME));
    }
    let output = place.sim(&["replay", "whole"]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert!(out(&output).starts_with("the run was told again to its end: 4 steps until 3s\n"), "{}", out(&output));
    let text = place.read("whole/inputs.log");
    let lines: Vec<&str> = text.lines().collect();
    let swapped = [lines[0], lines[1], lines[4], lines[3], lines[2], lines[5], ""].join("\n");
    place.file("tampered/inputs.log", &swapped);
    let output = place.sim(&["replay", "tampered"]);
    assert_eq!(code(&output), 5, "{}", err(&output));
    assert!(err(&output).starts_with("the replay differs: tampered/inputs.log:"), "{}", err(&output));
    assert!(err(&output).contains("\n  the step: {\"Step\":"), "{}", err(&output));
    let output = place.sim(&["diff", "whole", "whole"]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    place.file("torn/inputs.log", &[lines[0], &lines[1][..20], lines[2], ""].join("\n"));
    let output = place.sim(&["replay", "torn"]);
    assert_eq!(code(&output), 2, "{}", err(&output));
    assert!(err(&output).starts_with("torn/inputs.log:2: not a line of a journal"), "{}", err(&output));
}

#[test]
fn outputs_do_not_depend_on_where_the_scenario_lies() {
    let place = Place::new("where");
    std::fs::create_dir(place.0.join("deep")).unwrap();
    let file = place.file("deep/small.yaml", &small(READY));
    let absolute = place.0.join(&file);
    assert_eq!(code(&place.sim(&["run", &file, "--out", "a"])), 0);
    assert_eq!(code(&place.sim(&["run", absolute.to_str().unwrap(), "--out", "b"])), 0);
    assert_eq!(code(&place.sim(&["replay", "a", "--out", "c"])), 0);
    for name in ["summary.json", "report.html", "facts.csv", "inputs/inputs.json"] {
        assert_eq!(place.read(&format!("a/{name}")), place.read(&format!("b/{name}")), "{name}");
        assert_eq!(place.read(&format!("a/{name}")), place.read(&format!("c/{name}")), "{name}");
    }
}

#[test]
fn one_command_pins_the_runs_that_pass() {
    let place = Place::new("pins");
    place.file("good.yaml", &small(READY));
    let broken = small("  expect:\n    - {name: two, at: 50s, that: size(pods) == 2}\n");
    place.file("broken.yaml", &broken);
    let output = place.sim(&["test", "--update-fingerprints", "."]);
    assert_eq!(code(&output), 1);
    assert_eq!(err(&output), "./broken.yaml: not pinned, because it does not pass\n");
    assert_eq!(place.read("broken.yaml"), broken);
    let pinned = place.read("good.yaml");
    assert!(pinned.contains("spec:\n  fingerprint: \""), "{pinned}");
    assert_eq!(code(&place.sim(&["test", "good.yaml"])), 0);
    place.file("good.yaml", &pinned.replace("  duration:", "  seed: 5\n  duration:"));
    let output = place.sim(&["test", "good.yaml"]);
    assert_eq!(code(&output), 5, "the pin belongs to another run");
    assert!(out(&output).contains("  1 expected   0 broken  "), "{}", out(&output));
    assert_eq!(code(&place.sim(&["test", "--update-fingerprints", "good.yaml"])), 0);
    assert_eq!(code(&place.sim(&["test", "good.yaml"])), 0);
}

#[test]
fn the_test_runner_prints_a_table_and_writes_junit() {
    let place = Place::new("runner");
    place.file("a.yaml", &small(READY));
    place.file("b.yaml", &small("  expect:\n    - {name: two, at: 50s, that: size(pods) == 2}\n"));
    place.file("c.yaml", &small("  timline: []\n"));
    place.file("manifest.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: other}\n");
    let output = place.sim(&["test", ".", "--junit", "junit.xml"]);
    assert_eq!(code(&output), 2, "{}", out(&output));
    assert!(out(&output).ends_with("1 of 3 scenarios passed\n"), "{}", out(&output));
    let junit = place.read("junit.xml");
    assert!(
        junit.contains("tests=\"3\"") && junit.contains("failures=\"1\"") && junit.contains("errors=\"1\""),
        "{junit}"
    );
    assert_eq!(code(&place.sim(&["test", "a.yaml"])), 0);
    assert_eq!(code(&place.sim(&["test", "a.yaml", "b.yaml"])), 1);
}

#[test]
fn a_pinned_fingerprint_is_compared() {
    let place = Place::new("pinned");
    let file = place.file("small.yaml", &small("  fingerprint: \"0123456789abcdef\"\n"));
    let output = place.sim(&["run", &file]);
    assert_eq!(code(&output), 5);
    assert!(err(&output).starts_with("the scenario pins fingerprint 0123456789abcdef, the run has "));
    let found = err(&output).trim_end().rsplit(' ').next().unwrap().to_owned();
    place.file("small.yaml", &small(&format!("  fingerprint: \"{found}\"\n")));
    assert_eq!(code(&place.sim(&["run", &file])), 0);
}

#[test]
fn every_scenario_fits_the_schema_that_the_program_prints() {
    let place = Place::new("schema");
    let schema: serde_json::Value = serde_json::from_str(&out(&place.sim(&["schema"]))).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut seen = 0;
    for dir in [scenarios(), scenarios().join("features"), scenarios().join("workloads")] {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|end| end != "yaml") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let documents = wavetank_manifest::yaml::parse(&text, wavetank_manifest::Duplicates::Refused).unwrap();
            let json = documents[0].to_json();
            let errors: Vec<String> = validator.iter_errors(&json).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{}: {errors:#?}", path.display());
            seen += 1;
        }
    }
    assert!(seen >= 10, "found {seen} scenarios");
    let wrong = serde_json::json!({"apiVersion": "wavetank/v1", "kind": "Scenario", "metadata": {"name": "x"},
        "spec": {"duration": "1s", "nodes": [], "timline": []}});
    assert!(!validator.is_valid(&wrong));
}
