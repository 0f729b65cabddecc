//! Equal inputs, equal runs: over repetitions, threads and kinds of heartbeats; other seeds, other runs.

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use wavetank_reports::record::{FactRow, RunRecord};
use wavetank_sim::execute::execute;
use wavetank_sim::expect::Watch;
use wavetank_sim::history::Detail;
use wavetank_sim::plan::scenario::{Inputs, Loaded, Settings};

const REPETITIONS: u64 = 100;

fn scenarios() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let mut files: Vec<PathBuf> = [root.clone(), root.join("features"), root.join("workloads")]
        .iter()
        .flat_map(|dir| std::fs::read_dir(dir).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "yaml"))
        .collect();
    files.sort();
    assert!(files.len() >= 10, "found {} scenarios", files.len());
    files
}

fn run(file: &Path, settings: Settings) -> RunRecord {
    run_keeping(file, settings, Detail::Everything)
}

fn run_keeping(file: &Path, settings: Settings, detail: Detail) -> RunRecord {
    let inputs = Inputs::open(file, settings).unwrap();
    let read = Loaded::read_with(inputs, Watch::new);
    let (loaded, watch) = read.unwrap_or_else(|rejected| panic!("{}", rejected.errors));
    execute(&loaded, watch, detail, &mut |_| {}).record
}

fn node_failure(seed: Option<u64>) -> (String, String) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/node-failure.yaml");
    let summary = run(&file, Settings { seed, ..Settings::default() }).summary;
    (summary.fingerprint, summary.digest)
}

#[test]
fn a_hundred_runs_on_one_thread_and_on_two_have_one_fingerprint() {
    let first = node_failure(None);
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let runs: Vec<_> = pool.install(|| (0..REPETITIONS / 2).into_par_iter().map(|_| node_failure(None)).collect());
        assert!(runs.iter().all(|run| *run == first), "{threads} threads");
    }
}

#[test]
fn another_seed_is_another_run() {
    let mut fingerprints: Vec<String> = (1..=20).map(|seed| node_failure(Some(seed)).0).collect();
    fingerprints.sort();
    fingerprints.dedup();
    assert_eq!(fingerprints.len(), 20);
}

#[test]
fn what_is_kept_of_a_run_changes_nothing_in_it() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/node-failure.yaml");
    let keeping = |detail| run_keeping(&file, Settings::default(), detail);
    let everything = keeping(Detail::Everything);
    assert!(!everything.facts.is_empty() && !everything.events.is_empty());
    let mut account = keeping(Detail::Account);
    assert!(account.series.pods_by_phase.rows.is_empty() && account.events.is_empty());
    (account.series, account.events) = (everything.series.clone(), everything.events.clone());
    assert_eq!(account, everything, "but for the series and the Kubernetes events");
    let mut outcome = keeping(Detail::Outcome);
    assert!(outcome.facts.is_empty() && outcome.events.is_empty());
    outcome.facts = everything.facts.clone();
    (outcome.series, outcome.events) = (everything.series.clone(), everything.events.clone());
    assert_eq!(outcome, everything, "but for the facts, the series and the Kubernetes events");
}

#[test]
fn exact_and_analytic_heartbeats_tell_the_same_facts_of_every_scenario() {
    let mut left_out = 0;
    for file in scenarios() {
        let [exact, analytic] = ["exact", "analytic"].map(|heartbeats| {
            let set = vec![format!("spec.controlPlane.heartbeats={heartbeats}")];
            run(&file, Settings { set, ..Settings::default() })
        });
        let differ = exact.facts.iter().zip(&analytic.facts).find(|(one, other)| one != other);
        let told = |fact: &FactRow| format!("{} {} {} {}", fact.time_ns, fact.subject, fact.reason, fact.message);
        let differ = differ.map(|(one, other)| format!("exact: {}\nanalytic: {}", told(one), told(other)));
        assert_eq!(differ, None, "{}", file.display());
        assert_eq!(exact.facts.len(), analytic.facts.len(), "{}", file.display());
        // On lossy links every renewal is a message in any case, and the switch itself costs a few.
        left_out += exact.summary.events.saturating_sub(analytic.summary.events);
    }
    assert!(left_out > 1_000, "only {left_out} heartbeats were left out: the comparison says little");
}
