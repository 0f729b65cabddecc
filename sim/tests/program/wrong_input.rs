//! What the program says of wrong input, and the code with which it ends.

use super::{Place, READY, code, err, out, small};

#[test]
fn wrong_input_is_refused_with_its_place_and_the_nearest_name() {
    let place = Place::new("wrong");
    let expectation = |that: &str| small(&format!("  expect:\n    - name: x\n      at: 1s\n      that: {that}\n"));
    let cases = [
        (
            small("  timline: []\n"),
            "f.yaml:12:3: spec.timline: unknown field \"timline\"; did you mean \"timeline\"?\n",
        ),
        (
            small("").replace("60s", "60"),
            "f.yaml:5:13: spec.duration: expected a duration with its unit, such as 90s, 1m30s or 500ms, found the \
             integer 60\n",
        ),
        (
            small("  timeline:\n    - {at: 5s, crash: {node: worker-2}}\n"),
            "f.yaml:13:30: spec.timeline[0].crash: unknown node \"worker-2\"; did you mean \"worker-1\"?\n",
        ),
        (
            small("  timeline:\n    - {at: 5s, scale: {deployment: web, replicas: 1}}\n"),
            "f.yaml:13:36: spec.timeline[0].scale.deployment: unknown Deployment \"web\" in namespace default\n",
        ),
        (
            expectation("size(podz) == 1"),
            "f.yaml:15:18: spec.expect[0].that: unknown variable \"podz\"; did you mean \"pods\"?\n",
        ),
        (
            expectation(">-\n        size(pods) == 1 &&\n        redy(pods[0])"),
            "f.yaml:17:13: spec.expect[0].that: unknown function \"redy\"; did you mean \"ready\"?\n",
        ),
        (
            small("").replace("apiVersion: wavetank/v1", "apiVersion: wavetank/v2"),
            "f.yaml:1:13: apiVersion: expected \"wavetank/v1\", found the string \"wavetank/v2\"; did you mean \
             \"wavetank/v1\"?\n",
        ),
        (
            small("").replace("image: web", "imag: web"),
            "f.yaml:11:40: spec.containers[0].imag: unknown field \"imag\"; did you mean \"image\"?\n",
        ),
        (
            small("").replace("image: web", "image: web, resources: {limits: {memory: 1gb}}"),
            "f.yaml:11:81: spec.containers[0].resources.limits[memory]: \"1gb\" is no quantity: quantities must match \
             the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'; did you mean \"1G\"?\n",
        ),
        (
            small("").replace("count: 1", "capacity: {cpu: 0.5cpu}"),
            "f.yaml:6:42: spec.nodes[0].capacity.cpu: \"0.5cpu\" is no quantity: quantities must match the regular \
             expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'; did you mean \"0.5\"?\n",
        ),
        (
            small("  registry: {defaultSize: 64 MiB}\n"),
            "f.yaml:12:27: spec.registry.defaultSize: expected a number of bytes such as 60Mi or 1G, found \
             \"64 MiB\"; did you mean \"64Mi\"?\n",
        ),
    ];
    for (text, expected) in cases {
        let file = place.file("f.yaml", &text);
        for command in ["validate", "run"] {
            let output = place.sim(&[command, &file]);
            assert_eq!(err(&output), expected, "{text}");
            assert_eq!(code(&output), 2);
            assert_eq!(out(&output), "");
        }
    }
}

#[test]
fn several_mistakes_are_told_together() {
    let place = Place::new("several");
    let text = small(
        "  timeline:\n    - {at: 5s, crash: {node: a}}\n    - {at: 5s, cordon: {zone: z}}\n    \
         - {crash: {all: true}}\n    - {at: 61s, crash: {all: true}}\n  \
         expect:\n    - {name: x, at: 1s, that: size(podz) == 1}\n",
    );
    let output = place.sim(&["validate", &place.file("f.yaml", &text)]);
    assert_eq!(err(&output).lines().count(), 5, "{}", err(&output));
}

#[test]
fn what_a_wrong_manifest_would_have_brought_is_not_told_as_unknown_too() {
    let place = Place::new("consequences");
    let namespace = "    - {apiVersion: v1, kind: Namespace, metadata: {name: shop, FIELD}}\n";
    let used = "    - {apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: shop}}\n";
    let scales = "  timeline:\n    - {at: 5s, scale: {deployment: web, namespace: shop, replicas: 1}}\n";
    let deployment = "    - {apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: shop}}\n";
    let said = |namespace: &str, deployment: &str| {
        let file = place.file("f.yaml", &small(&format!("{namespace}{used}{deployment}{scales}")));
        let said = err(&place.sim(&["validate", &file]));
        said.lines().map(|line| line.split_once(": ").map_or(line, |(_, told)| told).to_owned()).collect::<Vec<_>>()
    };
    let unread = said(&namespace.replace("FIELD", "lables: {}"), deployment);
    assert!(unread[0].contains("unknown field \"lables\""), "{unread:?}");
    let refused = said(&namespace.replace("FIELD", "labels: {\"-\": x}"), deployment);
    assert!(refused[0].contains("metadata.labels"), "{refused:?}");
    let good = said(&namespace.replace("FIELD", "labels: {a: b}"), deployment);
    for told in [&unread, &refused, &good] {
        assert!(told.iter().all(|line| !line.contains("unknown namespace")), "{told:?}");
        assert!(told.iter().all(|line| !line.contains("unknown Deployment")), "{told:?}");
    }
    let missing = said("", "");
    let unknown = missing.iter().filter(|line| line.contains("unknown namespace \"shop\"")).count();
    assert_eq!((missing.len(), unknown), (2, 2), "{missing:?}");
}

#[test]
fn a_directory_that_is_no_run_is_refused_and_left_alone() {
    let place = Place::new("occupied");
    std::fs::create_dir(place.0.join("mine")).unwrap();
    place.file("mine/thesis.txt", "years of work");
    let file = place.file("small.yaml", &small(""));
    let output = place.sim(&["run", &file, "--out", "mine"]);
    assert_eq!(code(&output), 4, "{}", err(&output));
    assert_eq!(place.read("mine/thesis.txt"), "years of work");
    assert_eq!(std::fs::read_dir(place.0.join("mine")).unwrap().count(), 1);
    assert_eq!(code(&place.sim(&["replay", "mine"])), 2);
}

#[test]
fn an_occupied_directory_is_refused_before_the_run() {
    let place = Place::new("before");
    let file = place.file("small.yaml", &small(""));
    let output = place.sim(&["run", &file, "--out", &file]);
    assert_eq!(code(&output), 4);
    assert_eq!(out(&output), "", "nothing has been run");
    assert_eq!(place.read("small.yaml"), small(""));
}

#[test]
fn files_that_are_no_scenarios_are_refused_by_name() {
    let place = Place::new("files");
    std::fs::write(place.0.join("binary.yaml"), [0xff, 0x00, 0xfe]).unwrap();
    place.file("empty.yaml", "");
    place.file("list.yaml", "[1, 2]\n");
    place.file("text.yaml", "hello\n");
    place.file("tabs.yaml", "a:\n\t- b\n");
    place.file("bomb.yaml", "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\n");
    place.file("twice.yaml", &small("  duration: 5s\n"));
    place.file("manifest.yaml", &small("").replace("kind: Pod", "kind: PodTemplate"));
    for (file, expected) in [
        ("missing.yaml", "cannot read missing.yaml: "),
        (".", "cannot read .: "),
        ("binary.yaml", "cannot read binary.yaml: "),
        ("empty.yaml", "empty.yaml:1:1: the file has no content\n"),
        ("tabs.yaml", "tabs.yaml:2:2: tabs "),
        ("list.yaml", "list.yaml:1:1: expected a mapping with apiVersion, kind and spec, found a sequence\n"),
        ("text.yaml", "text.yaml:1:1: expected a mapping with apiVersion, kind and spec, found the string \"hello\"\n"),
        ("bomb.yaml", "bomb.yaml:1:1: apiVersion: expected \"wavetank/v1\", found nothing\n"),
        ("twice.yaml", "twice.yaml:12:3: key \"duration\" is already set in this mapping, at 5:3\n"),
        ("manifest.yaml", "manifest.yaml:9:13: kind: kind \"PodTemplate\" of v1 is not supported yet"),
    ] {
        let output = place.sim(&["run", file]);
        assert!(err(&output).starts_with(expected), "{file}: {}", err(&output));
        assert_eq!(code(&output), 2, "{file}");
        assert_eq!(out(&output), "", "{file}");
    }
}

#[test]
fn numbers_that_are_none_and_flags_that_hang_a_run_are_refused() {
    let place = Place::new("numbers");
    let file = place.file("small.yaml", &small(READY));
    let refused = |arguments: &[&str]| {
        let output = place.sim(arguments);
        assert_eq!(code(&output), 2, "{arguments:?}");
        err(&output)
    };
    for seed in ["-1", "18446744073709551616", "x"] {
        let told = refused(&["run", &file, "--seed", seed]);
        assert!(told.contains("expected a whole number from 0 to 18446744073709551615"), "{told}");
    }
    let told = refused(&["run", &file, "--until", "-5s"]);
    assert!(told.contains("expected a duration such as 90s, 1m30s or 500ms, found \"-5s\""), "{told}");
    let told = refused(&["run", &file, "--set", "spec.nodes[0]count=2"]);
    assert!(told.ends_with("\"spec.nodes[0]count\" is not a path such as spec.nodes[0].count\n"), "{told}");
    let many = place.sim(&["test", &file, "--threads", "1000000"]);
    assert_eq!(code(&many), 0, "there are no more threads than scenarios: {}", err(&many));
    assert!(refused(&["test", &file, "--threads", "0"]).contains("expected a whole number, 1 or more"));
    let told = refused(&["run", &file, "--set", "spec.controlPlane.nodeMonitorPeriod=0s"]);
    assert!(told.ends_with("spec.controlPlane.nodeMonitorPeriod: expected 0.001s at least, found 0s\n"), "{told}");
    let told = refused(&["run", &file, "--set", "spec.node[0].count=2"]);
    assert!(told.ends_with("spec.node: the file has no such list; did you mean \"nodes\"?\n"), "{told}");
}

#[test]
fn files_that_cannot_be_read_are_told_with_what_was_expected() {
    let place = Place::new("unreadable");
    let file = place.file("small.yaml", &small(READY));
    std::fs::write(place.0.join("bytes.yaml"), b"a: b\n\xff").unwrap();
    std::fs::create_dir(place.0.join("folder")).unwrap();
    for (arguments, told) in [
        (vec!["run", "smal.yaml"], "cannot read smal.yaml: there is no such file; did you mean \"small.yaml\"?\n"),
        (vec!["run", "folder"], "cannot read folder: expected a file, found a directory\n"),
        (
            vec!["run", "bytes.yaml"],
            "cannot read bytes.yaml: expected text in UTF-8, found other bytes in line 2, column 1\n",
        ),
        (
            vec!["replay", "folder"],
            "folder is not the directory of a run: expected one that `sim run --out` or `real up` has written\n",
        ),
        (
            vec!["place", "-f", &file],
            "there is no pod to place: expected Pods among the objects, such as `kubectl get nodes,pods -o json` \
             gives\n",
        ),
    ] {
        let output = place.sim(&arguments);
        assert_eq!((code(&output), err(&output).as_str()), (2, told), "{arguments:?}");
        assert_eq!(out(&output), "");
    }
}

#[test]
fn a_sweep_of_which_nothing_can_be_run_makes_no_directory() {
    let place = Place::new("sweep");
    let file = place.file("small.yaml", &small(READY));
    let output = place.sim(&["sweep", &file, "--matrix", "nodes[0].cont=1,2", "--out", "sweep"]);
    assert_eq!(code(&output), 2);
    assert!(err(&output).contains("unknown field \"cont\"; did you mean \"count\"?"), "{}", err(&output));
    assert!(!place.0.join("sweep").exists());
}

#[test]
fn a_sweep_in_which_nothing_is_scheduled_says_so_as_a_run_does() {
    let place = Place::new("sweep-idle");
    let file = place.file("small.yaml", &small(""));
    let matrix = ["--matrix", "nodes[0].capacity.pods=0,10", "--seeds", "1", "--out", "sweep"];
    let output = place.sim(&[["sweep", &file].as_slice(), &matrix].concat());
    assert_eq!(code(&output), 3, "{}{}", out(&output), err(&output));
}

#[test]
fn a_broken_link_among_scenarios_is_told_by_its_name() {
    let place = Place::new("links");
    place.file("small.yaml", &small(READY));
    std::os::unix::fs::symlink("gone.yaml", place.0.join("link.yaml")).unwrap();
    let output = place.sim(&["test", "."]);
    assert_eq!(code(&output), 2);
    assert!(err(&output).starts_with("cannot read ./link.yaml: "), "{}", err(&output));
}

#[test]
fn a_behaviour_that_concerns_nobody_is_a_warning() {
    let place = Place::new("idle");
    let idle = "  behaviours: [{selector: {matchLabels: {app: wbe}}, startDelay: 5s}]\n";
    let file = place.file("small.yaml", &small(idle));
    let given = idle.replace("app: wbe", "batch.kubernetes.io/job-completion-index: \"2\"");
    let told = out(&place.sim(&["validate", &place.file("given.yaml", &small(&given))]));
    assert!(!told.contains("concerns no container"), "controllers give such labels: {told}");
    let expected = "spec.behaviours[0] concerns no container: no pod of the manifests or the timeline fits it";
    for command in ["run", "validate"] {
        let output = place.sim(&[command, &file]);
        assert_eq!(code(&output), 0, "{}", err(&output));
        let words: Vec<String> = out(&output).split_whitespace().map(str::to_owned).collect();
        assert!(words.join(" ").contains(expected), "{command}: {}", out(&output));
    }
}

#[test]
fn what_a_run_has_recorded_is_told_by_its_place_when_it_cannot_be_read() {
    let place = Place::new("damaged");
    let file = place.file("small.yaml", &small(READY));
    assert_eq!(code(&place.sim(&["run", &file, "--out", "a"])), 0);
    place.file("a/inputs/scenario.yaml", "x: [");
    for command in [&["replay", "a"][..], &["diff", "a", "a"]] {
        let output = place.sim(command);
        assert_eq!(code(&output), 2);
        let told = err(&output);
        let expected =
            "what the run has recorded in a/inputs cannot be run again:\nsmall.yaml:1:4: unclosed bracket '['\n";
        assert_eq!(told, expected);
    }
    place.file("a/inputs/inputs.json", "[]");
    let told = err(&place.sim(&["replay", "a"]));
    assert!(told.starts_with("a/inputs/inputs.json is not a record of inputs: "), "{told}");
}

#[test]
fn machines_that_were_left_out_for_a_mistake_are_not_told_as_unknown_too() {
    let place = Place::new("left-out");
    let more = "  timeline:\n    - {at: 5s, crash: {node: worker-2}}\n    - {at: 6s, cordon: {node: worker-2}}\n";
    let twice = "[{name: worker, count: 1}, {name: worker, count: 2}]";
    for (nodes, expected) in [
        (twice, "small.yaml:6:44: spec.nodes[1].name: there are two nodes of the name \"worker-1\"\n"),
        ("[{name: worker, count: 4000000000}]", "4000000000 machines are too many: at most 1048576\n"),
    ] {
        let file = place.file("small.yaml", &small(more).replace("[{name: worker, count: 1}]", nodes));
        let told = err(&place.sim(&["validate", &file]));
        assert!(told.ends_with(expected) && told.lines().count() == 1, "{told}");
    }
    let file = place.file("small.yaml", &small(more));
    let told = err(&place.sim(&["validate", &file]));
    assert_eq!(told.matches("unknown node \"worker-2\"; did you mean \"worker-1\"?").count(), 2, "{told}");
}
