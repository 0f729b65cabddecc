//! The core's modules stand in layers, and each knows only those below it. Tests may look anywhere.

#![expect(clippy::disallowed_methods, reason = "a test reads sources; the core does not")]

use std::fs;
use std::path::{Path, PathBuf};

/// From the ground up; modules of one layer do not know each other.
const LAYERS: &[&[&str]] = &[
    &["calendar", "chunks", "growth", "id", "one_or_several", "quantity", "time"],
    &["author", "digest", "draw", "keys"],
    &["model"],
    &["config", "quota", "store", "volumes"],
    &["events"],
    &["facts"],
    &["seam"],
    &["context"],
    &["api"],
    &["scheduler"],
    &["controllers", "kubelet"],
    &["machine"],
    &["journal", "world"],
];

#[test]
fn every_module_knows_only_those_below_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut seen, mut wrong) = (0, Vec::new());
    for file in sources(&root) {
        let path = file.strip_prefix(&root).expect("it was found there").to_string_lossy().into_owned();
        let own = path.split(['/', '.']).next().expect("a path begins with something");
        if own == "lib" || own == "testbed" {
            continue;
        }
        let text = fs::read_to_string(&file).expect("a source can be read");
        for used in modules_used(&text) {
            seen += 1;
            if used != own && layer(&used) >= layer(own) {
                wrong.push(format!("{path} uses {used}"));
            }
        }
    }
    assert!(seen > 1_000, "the walk finds what modules use: {seen}");
    assert_eq!(wrong, Vec::<String>::new(), "modules reach up or aside");
}

/// Every source but those of tests alone.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder can be read") {
        let path = entry.expect("an entry can be read").path();
        let name = path.file_stem().expect("an entry has a name").to_string_lossy();
        if name == "tests" {
            continue;
        } else if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
    found
}

/// The modules that a source names from the crate's root on, without its tests and comments.
fn modules_used(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]\nmod tests {").next().expect("a split has a first part");
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines
        .flat_map(|line| line.split("crate::").skip(1))
        .map(|rest| rest.chars().take_while(|letter| letter.is_ascii_lowercase() || *letter == '_').collect())
        .filter(|name: &String| !name.is_empty() && name != "testbed")
        .collect()
}

fn layer(module: &str) -> usize {
    let place = LAYERS.iter().position(|layer| layer.contains(&module));
    place.unwrap_or_else(|| panic!("{module} stands in no layer: give it one"))
}
