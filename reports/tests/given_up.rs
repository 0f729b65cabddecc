//! A report that somebody wants no longer while it is written.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use wavetank_reports::{Error, write_directory, write_directory_unless};

mod sample;

/// What is in a directory: files by their names, with their bytes, in order.
fn entries(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let found = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let mut found: Vec<_> = found.map(|path| (name(&path), fs::read(&path).unwrap_or_default())).collect();
    found.sort();
    found
}

#[test]
fn a_report_that_is_given_up_leaves_nothing_and_the_earlier_one_as_it_was() {
    let scratch = std::env::temp_dir().join(format!("wavetank-reports-{}-given-up", std::process::id()));
    let dir = scratch.join("run");
    fs::create_dir_all(&scratch).unwrap();
    write_directory(&sample::empty(), &dir, &[]).unwrap();
    let (names, earlier) = (vec![("run".to_owned(), Vec::new())], entries(&dir));
    let mut given_up = 0;
    loop {
        let asked = AtomicU32::new(0);
        match write_directory_unless(&sample::record(), &dir, &[], &|| asked.fetch_add(1, SeqCst) >= given_up) {
            Err(error) => assert!(matches!(error, Error::GivenUp), "{error}"),
            Ok(()) => break,
        }
        assert_eq!(entries(&scratch), names, "after {given_up}");
        assert_eq!(entries(&dir), earlier, "after {given_up}");
        given_up += 5;
    }
    let files = entries(&dir).len();
    assert!(given_up as usize > files, "it is asked before each of {files} files");
    assert_eq!(entries(&scratch), names);
    fs::remove_dir_all(&scratch).unwrap();
}

#[test]
fn a_report_that_is_killed_half_way_has_no_summary_by_which_it_would_pass_for_a_run() {
    let scratch = std::env::temp_dir().join(format!("wavetank-reports-{}-killed", std::process::id()));
    let partial = scratch.join(".run.partial");
    let extra = [("inputs/scenario.yaml".to_owned(), b"spec: {}".to_vec())];
    let looks = AtomicU32::new(0);
    write_directory_unless(&sample::record(), &scratch.join("run"), &extra, &|| {
        // Whoever asks is about to write a file: this is what a killed program leaves.
        if partial.join("facts.csv").exists() {
            looks.fetch_add(1, SeqCst);
            assert!(!partial.join("summary.json").exists(), "a file is missing");
        }
        false
    })
    .unwrap();
    assert!(looks.load(SeqCst) > 3, "most files come after the facts");
    assert!(scratch.join("run/summary.json").exists() && scratch.join("run/inputs/scenario.yaml").exists());
    fs::remove_dir_all(&scratch).unwrap();
}
