//! `sim conform` on recordings of our own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn recordings() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings")
}

fn conform(arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sim"));
    command.arg("conform").args(arguments).arg(folder).output().expect("the program starts")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A copy of the recorded rollout whose events were changed.
fn changed(name: &str, change: impl Fn(&str) -> String) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name).join("shop-rollout");
    fs::create_dir_all(&folder).expect("a folder for the test");
    for file in ["steps.yaml", "summary.md", "events.jsonl"] {
        let original = fs::read_to_string(recordings().join("shop-rollout").join(file)).expect("a recorded file");
        let text = if file == "events.jsonl" { change(&original) } else { original };
        fs::write(folder.join(file), text).expect("a file of the test");
    }
    folder
}

#[test]
fn our_own_recordings_are_equal() {
    let output = conform(&["--seeds", "2"], &recordings());
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).ends_with("5 equal, 0 different, 0 not covered, of 5\n"), "{}", text(&output));
}

#[test]
fn another_size_is_found_and_told_with_both_sides() {
    let folder = changed("another-size", |events| events.replace("\"spec.replicas\":3", "\"spec.replicas\":4"));
    let output = conform(&["--seeds", "1", "--differences", "9"], &folder);
    assert_eq!(output.status.code(), Some(5), "{}", text(&output));
    let told = text(&output);
    assert!(told.contains("Deployment/till spec.replicas"), "{told}");
    assert!(
        told.contains("recorded  2 [0.0 s] > 4 [20.0 s]") && told.contains("ours      2 [0.0 s] > 3 [20.0 s]"),
        "{told}"
    );
}

#[test]
fn a_condition_that_ours_lacks_and_a_reason_that_is_another_are_found() {
    let folder = changed("another-reason", |events| events.replace("(NewReplicaSetAvailable)", "(SomethingElse)"));
    let output = conform(&["--seeds", "1"], &folder);
    assert_eq!(output.status.code(), Some(5), "{}", text(&output));
    assert!(text(&output).contains("Deployment/till condition Progressing"), "{}", text(&output));
}

#[test]
fn kinds_that_are_not_there_are_named_and_are_no_success() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("unknown-kind");
    fs::create_dir_all(&folder).expect("a folder for the test");
    let steps = "namespace: shop\nsteps:\n- t_ms: 0\n  request: POST /apis/shop.example/v1/namespaces/shop/tills\n  \
                 response_code: 201\n  body: {apiVersion: shop.example/v1, kind: Till, metadata: {name: a}}\n";
    fs::write(folder.join("steps.yaml"), steps).expect("a file of the test");
    let output = conform(&[], &folder);
    assert_eq!(output.status.code(), Some(5), "{}", text(&output));
    assert!(text(&output).contains("not covered: Till"), "{}", text(&output));
}

#[test]
fn what_is_beside_a_kind_that_is_not_there_is_compared_all_the_same() {
    let folder = changed("beside-unknown", |events| events.to_owned());
    let steps = fs::read_to_string(folder.join("steps.yaml")).expect("the steps");
    let more = "- t_ms: 1000\n  request: POST /apis/shop.example/v1/namespaces/shop/tills\n  response_code: 201\n  \
                body: {apiVersion: shop.example/v1, kind: Till, metadata: {name: a}}\n";
    fs::write(folder.join("steps.yaml"), steps + more).expect("a file of the test");
    let output = conform(&["--seeds", "2", "--weakest", "1"], &folder);
    assert_eq!(output.status.code(), Some(5), "{}", text(&output));
    assert!(text(&output).contains("not covered: Till; without that: equal ("), "{}", text(&output));
    assert!(text(&output).contains(" plays  "), "{}", text(&output));
}

#[test]
fn a_command_of_a_transcript_that_had_another_outcome_is_found() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("transcript").join("shop-desk");
    fs::create_dir_all(&folder).expect("a folder for the test");
    for file in ["steps.yaml", "summary.md", "events.jsonl", "kubectl.txt"] {
        let original = fs::read_to_string(recordings().join("shop-desk").join(file)).expect("a recorded file");
        let text = original.replace("shift=day\n(rc 1)", "shift=day\n(rc 0)");
        fs::write(folder.join(file), text).expect("a file of the test");
    }
    let output = conform(&["--seeds", "1"], &folder);
    assert_eq!(output.status.code(), Some(5), "{}", text(&output));
    assert!(text(&output).contains("exit code of kubectl label deploy till shift=day"), "{}", text(&output));
}

/// A machine's only pod, which its DaemonSet's controller and the one of taints are both to delete.
const TAINTED: &str = "namespace: shop
steps:
- t_ms: 0
  fake_kubelet: {op: add, name: till-1}
- t_ms: 100
  request: POST /apis/apps/v1/namespaces/shop/daemonsets
  response_code: 201
  body:
    apiVersion: apps/v1
    kind: DaemonSet
    metadata: {name: scanner}
    spec:
      selector: {matchLabels: {app: scanner}}
      template:
        metadata: {labels: {app: scanner}}
        spec: {containers: [{name: c, image: \"scanner:v1\"}]}
- t_ms: 5000
  request: PATCH /api/v1/nodes/till-1
  response_code: 200
  content_type: application/strategic-merge-patch+json
  body: {spec: {taints: [{key: spill, value: wet, effect: NoExecute}]}}
";

/// A folder with the tainted machine's steps, and what a play of them with a seed came to; whether the pod was marked
/// first.
fn tainted(name: &str) -> (PathBuf, impl Fn(u64) -> (String, bool)) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).expect("a folder for the test");
    fs::write(folder.join("steps.yaml"), TAINTED).expect("a file of the test");
    let namespace = "{\"t_ms\":0,\"rv\":1,\"type\":\"ADDED\",\"kind\":\"Namespace\",\"name\":\"shop\"}\n";
    fs::write(folder.join("events.jsonl"), namespace).expect("a file of the test");
    let (of, name) = (folder.clone(), name.to_owned());
    let play = move |seed: u64| {
        let written = of.with_file_name(format!("{name}-played")).join(seed.to_string());
        let written_to = written.to_str().expect("a folder's name");
        let output = conform(&["--seed", &seed.to_string(), "--seeds", "1", "--write", written_to], &of);
        assert!(written.is_dir(), "{}", text(&output));
        let events = fs::read_to_string(written.join(&name).join("events.jsonl")).expect("what was played");
        let first =
            |word: &str| events.lines().position(|line| line.contains("\"kind\":\"Pod\"") && line.contains(word));
        let (marked, deleted) = (first("DisruptionTarget"), first("deletionTimestamp"));
        let marked_first = marked.expect("the one of taints says why") < deleted.expect("the pod is deleted");
        (events, marked_first)
    };
    (folder, play)
}

#[test]
fn of_two_controllers_that_see_one_change_either_acts_first_by_the_seed() {
    let (_, play) = tainted("shop-taint");
    let firsts: Vec<bool> = (32..40).map(|seed| play(seed).1).collect();
    assert!(firsts.contains(&true) && firsts.contains(&false), "{firsts:?}");
}

#[test]
fn what_the_first_plays_do_not_show_is_looked_for_in_others() {
    let (folder, play) = tainted("shop-taint-rare");
    // In plays of the first kind it is always the same controller that is first.
    let usual = play(0).1;
    let rare = (32..64).map(play).find(|(_, first)| *first != usual).expect("a play where the other is first").0;
    fs::write(folder.join("events.jsonl"), rare).expect("a file of the test");
    let output = conform(&["--seed", "0", "--seeds", "32", "--differences", "9"], &folder);
    assert!(output.status.success(), "{}", text(&output));
}

/// Objects that a step names by what the recorded API server drew, and one of a kind that nobody watched.
const DRAWN_STEPS: &str = "namespace: shop
steps:
- t_ms: 0
  request: POST /api/v1/namespaces/shop/configmaps
  response_code: 201
  body:
    kind: ConfigMap
    metadata:
      name: till
      labels:
        n: '5'
- t_ms: 500
  request: POST /api/v1/namespaces/shop/configmaps
  response_code: 201
  body:
    kind: ConfigMap
    metadata:
      name: drawer
      ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: till, uid: 0a1b2c3d-0000-4000-8000-000000000000}]
- t_ms: 600
  request: POST /apis/scheduling.k8s.io/v1/priorityclasses
  response_code: 201
  body: {kind: PriorityClass, metadata: {name: rush}, value: 5}
- t_ms: 700
  request: POST /api/v1/namespaces/shop/configmaps
  response_code: 201
  body: {kind: ConfigMap, metadata: {generateName: bag-}}
- t_ms: 800
  request: POST /api/v1/namespaces/shop/persistentvolumeclaims
  response_code: 201
  body:
    kind: PersistentVolumeClaim
    metadata: {name: box}
    spec:
      accessModes: [ReadWriteOnce]
      storageClassName: ''
      volumeName: crate
      resources: {requests: {storage: 1Gi}}
- t_ms: 900
  request: POST /api/v1/persistentvolumes
  response_code: 201
  body:
    kind: PersistentVolume
    metadata: {name: crate}
    spec:
      accessModes: [ReadWriteOnce]
      capacity: {storage: 1Gi}
      hostPath: {path: /crate}
      storageClassName: ''
      claimRef: {namespace: shop, name: box, uid: 3a1b2c3d-0000-4000-8000-000000000000}
- t_ms: 9000
  request: DELETE /api/v1/namespaces/shop/configmaps/till
  response_code: 200
- t_ms: 9100
  request: DELETE /api/v1/namespaces/shop/configmaps/bag-x7k2p
  response_code: 200
";

const DRAWN_EVENTS: &[(i64, &str, &str, &str)] = &[
    (5, "ADDED", "till", "0a1b2c3d"),
    (505, "ADDED", "drawer", "1a1b2c3d"),
    (705, "ADDED", "bag-x7k2p", "2a1b2c3d"),
    (9_005, "DELETED", "till", "0a1b2c3d"),
    (9_040, "DELETED", "drawer", "1a1b2c3d"),
    (9_105, "DELETED", "bag-x7k2p", "2a1b2c3d"),
];

/// A volume that was made for a claim by its uid, and how the two find each other.
const BOUND_EVENTS: &[(i64, &str, &str, &str)] = &[
    (805, "ADDED", "shop/box", "Pending"),
    (905, "ADDED", "crate", "Pending"),
    (915, "MODIFIED", "crate", "Bound"),
    (920, "MODIFIED", "shop/box", "Bound"),
];

#[test]
fn what_the_recorded_api_server_drew_is_ours_of_the_same_place() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("drawn");
    fs::create_dir_all(&folder).expect("a folder for the test");
    fs::write(folder.join("steps.yaml"), DRAWN_STEPS).expect("a file of the test");
    let events = DRAWN_EVENTS.iter().map(|(at_ms, what, name, uid)| {
        let owner = if *name == "drawer" { r#","owner":"ConfigMap/till""# } else { "" };
        let labels = if *name == "till" { r#","labels":{"n":"5"}"# } else { "" };
        let start = format!(r#"{{"t_ms":{at_ms},"type":"{what}","kind":"ConfigMap","name":"shop/{name}""#);
        format!("{start},\"uid\":\"{uid}\"{owner}{labels}}}\n")
    });
    let namespace =
        r#"{"t_ms":-500,"type":"ADDED","kind":"Namespace","name":"shop","spec":{"finalizers":["kubernetes"]},"#;
    let there = format!("{namespace}\"status\":{{\"phase\":\"Active\"}}}}\n");
    let bound = BOUND_EVENTS.iter().map(|(at_ms, what, name, phase)| {
        let (kind, uid, spec) = match *name {
            "crate" => ("PersistentVolume", "4a1b2c3d", r#"{"claimRef":{"name":"box"}}"#),
            _ => ("PersistentVolumeClaim", "3a1b2c3d", r#"{"volumeName":"crate"}"#),
        };
        let start = format!(r#"{{"t_ms":{at_ms},"type":"{what}","kind":"{kind}","name":"{name}","uid":"{uid}""#);
        format!("{start},\"spec\":{spec},\"status\":{{\"phase\":\"{phase}\"}}}}\n")
    });
    let lines: String = std::iter::once(there).chain(events).chain(bound).collect();
    fs::write(folder.join("events.jsonl"), lines).expect("a file of the test");
    let output = conform(&["--seeds", "2", "--differences", "9"], &folder);
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
fn a_folder_without_a_recording_is_bad_input() {
    let output = conform(&[], &recordings().join("shop-rollout").join("nothing"));
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
}

#[test]
fn files_are_applied_and_what_a_command_is_told_of_a_level_is_compared() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("files").join("shop-files");
    fs::create_dir_all(&folder).expect("a folder for the test");
    let body = |replicas: &str| {
        format!(
            "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: till}}, spec: {{{replicas}selector: \
             {{matchLabels: {{a: b}}}}, template: {{metadata: {{labels: {{a: b}}}}, spec: {{hostPID: true, containers: \
             [{{name: c, image: 'c:1'}}]}}}}}}}}"
        )
    };
    let told = "Warning: would violate PodSecurity \"baseline:latest\": host namespaces (hostPID=true)";
    // An earlier run may have left it.
    let _ = fs::remove_file(folder.join("events.jsonl"));
    let step = |at: u32, line: &str, more: &str| format!("- t_ms: {at}\n  kubectl: {line}\n  rc: 0\n{more}");
    let prefix = "pod-security.kubernetes.io";
    let there = "  stderr: |\n    Warning: existing pods in namespace \"shop\" violate the new PodSecurity enforce \
                 level \"baseline:latest\"\n    Warning: lone: host namespaces\n";
    let lone = "apiVersion: v1\nkind: Pod\nmetadata: {name: lone}\nspec: {hostPID: true, containers: [{name: c, image: \
                'c:1'}]}";
    let lone = lone.lines().map(|line| format!("    {line}\n")).collect::<String>();
    let steps = |said: &str| {
        let stderr = format!("  stderr: '{said}'\n  body: ");
        "namespace: shop\nt0_unix: 1700000000.0\nsteps:\n".to_owned()
            + &step(0, &format!("label namespace shop {prefix}/warn=baseline"), "")
            + &step(1_000, "-n shop apply -f till.yaml", &format!("{stderr}{}\n", body("replicas: 3, ")))
            + &step(9_000, "-n shop apply -f till.yaml", &format!("{stderr}{}\n", body("")))
            + &step(9_500, "-n shop set image deployment/till c=c:2", &format!("  stderr: '{said}'\n"))
            + &step(15_000, "-n shop delete deployment till --wait=false", "")
            + &step(20_000, "-n shop apply -f lone.yaml", &format!("  stderr: '{said}'\n  body: |\n{lone}"))
            + &step(25_000, &format!("label namespace shop {prefix}/enforce=baseline"), there)
    };
    let run = |said: &str, more: &[&str]| {
        fs::write(folder.join("steps.yaml"), steps(said)).expect("a file of the test");
        conform(&[&["--seeds", "2", "--differences", "9"], more].concat(), &folder)
    };
    let made = folder.with_file_name("made");
    let output = run(told, &["--write", made.to_str().expect("a path of text")]);
    assert!(!text(&output).contains("not covered") && !text(&output).contains("kubectl"), "{}", text(&output));
    let events = fs::read_to_string(made.join("shop-files/events.jsonl")).expect("what ours did");
    let sizes: Vec<&str> = events
        .lines()
        .filter(|line| line.contains("\"kind\":\"Deployment\""))
        .map(|line| {
            line.split("\"spec.replicas\":").nth(1).and_then(|rest| rest.split([',', '}']).next()).unwrap_or("")
        })
        .collect();
    assert_eq!((sizes.first(), sizes.last()), (Some(&"3"), Some(&"1")), "a size that is applied no longer goes");
    // With what ours did as the recorded events it is compared.
    fs::write(folder.join("events.jsonl"), events).expect("a file of the test");
    let output = run(told, &[]);
    assert!(output.status.success(), "{}", text(&output));
    let output = run("", &[]);
    assert!(text(&output).contains("warnings of kubectl -n shop apply -f till.yaml"), "{}", text(&output));
}

#[test]
fn the_api_server_applies_files_and_knows_whose_fields_are() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("server-side").join("shop-owners");
    fs::create_dir_all(&folder).expect("a folder for the test");
    let map = |data: &str| format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: list}}, data: {{{data}}}}}");
    let step = |at: u32, line: &str, code: u32, data: &str| {
        format!("- t_ms: {at}\n  kubectl: -n shop {line}\n  rc: {code}\n  body: '{}'\n", map(data))
    };
    let steps = "namespace: shop\nt0_unix: 1700000000.0\nsteps:\n".to_owned()
        + &step(0, "apply -f list.yaml", 0, "a: one, b: one, c: one")
        // What the client applied and nobody has changed since may be taken; what is said no longer goes.
        + &step(1_000, "apply --server-side -f list.yaml", 0, "a: two, b: one")
        + &step(2_000, "apply --server-side --field-manager=till -f list.yaml", 1, "a: three")
        + &step(3_000, "apply --server-side --field-manager=till -f list.yaml", 0, "a: two, d: one")
        + &step(4_000, "apply --server-side --field-manager=till --force-conflicts -f list.yaml", 0, "a: three, d: one")
        + &step(5_000, "apply --server-side -f list.yaml", 1, "a: two, b: one")
        + &step(6_000, "apply --server-side -f list.yaml", 0, "b: two");
    fs::write(folder.join("steps.yaml"), steps).expect("a file of the test");
    let made = folder.with_file_name("made");
    // An earlier run may have left it.
    let _ = fs::remove_file(folder.join("events.jsonl"));
    let output = conform(&["--seeds", "2", "--write", made.to_str().expect("text")], &folder);
    assert!(!text(&output).contains("not covered"), "{}", text(&output));
    let events = fs::read_to_string(made.join("shop-owners/events.jsonl")).expect("what ours did");
    let of_map: Vec<&str> = events.lines().filter(|line| line.contains("\"name\":\"shop/list\"")).collect();
    // Made, applied, what was left of the client's; two of the till; and the last one.
    assert_eq!(of_map.len(), 6, "{events}");
    let applied = |line: &str| line.contains(r#"\"data\":{\"a\":\"two\",\"b\":\"one\"}"#);
    assert!(applied(of_map[1]) && applied(of_map[2]), "kubectl's note of what was applied stays and is kept true");
    // With what ours did as the recorded events it is compared, the commands' exit codes too.
    fs::write(folder.join("events.jsonl"), &events).expect("a file of the test");
    let output = conform(&["--seeds", "2", "--differences", "9"], &folder);
    assert!(output.status.success(), "{}", text(&output));
}
