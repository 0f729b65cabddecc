//! The line that the core never crosses, checked on its dependency tree. (`clippy.toml` checks its code.)

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Crates that bring clocks, entropy, threads of their own, sockets or a runtime.
const FORBIDDEN: &[&str] = &[
    "tokio",
    "mio",
    "async-std",
    "smol",
    "rand",
    "getrandom",
    "fastrand",
    "chrono",
    "time",
    "socket2",
    "rayon",
    "hyper",
];

#[test]
fn the_core_depends_on_nothing_that_could_wait_draw_entropy_or_talk() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .expect("cargo metadata can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let reached = normal_dependencies(&metadata, "wavetank-core");
    assert!(reached.contains("rand_chacha"), "the walk over the dependencies finds the known ones: {reached:?}");
    let found: Vec<&&str> = FORBIDDEN.iter().filter(|name| reached.contains(**name)).collect();
    assert!(found.is_empty(), "wavetank-core reaches {found:?}");
}

/// The names of all packages that a package reaches through dependencies that are neither for tests nor for builds.
fn normal_dependencies(metadata: &Value, root: &str) -> BTreeSet<String> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let names: BTreeMap<String, String> =
        list(&metadata["packages"]).iter().map(|package| (text(&package["id"]), text(&package["name"]))).collect();
    let nodes: BTreeMap<String, Value> =
        list(&metadata["resolve"]["nodes"]).iter().map(|node| (text(&node["id"]), node.clone())).collect();
    let mut waiting: Vec<String> = names.iter().filter(|(_, name)| *name == root).map(|(id, _)| id.clone()).collect();
    let mut reached = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        for dependency in list(&nodes[&id]["deps"]) {
            let is_normal = list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null());
            let package = text(&dependency["pkg"]);
            if is_normal && reached.insert(package.clone()) {
                waiting.push(package);
            }
        }
    }
    reached.iter().map(|id| names[id].clone()).collect()
}
