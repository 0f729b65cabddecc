//! Sweeps of a small study.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

fn scenario() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/scheduling/fgd.yaml")
}

/// A directory of its own for each test, cleared before.
fn directory(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("wavetank-sweep-{name}-{}", std::process::id()));
    if dir.exists() {
        std::fs::remove_dir_all(&dir).unwrap();
    }
    dir
}

fn sweep(axes: &[&str], seeds: &str) -> Sweep {
    let matrix = Matrix(axes.iter().map(|axis| Axis::parse(axis).unwrap()).collect());
    Sweep { file: scenario(), settings: Settings::default(), matrix, seeds: parse_seeds(seeds).unwrap() }
}

fn store(dir: &Path, sweep: &Sweep) -> Store {
    Store::open(dir, &sweep.file, &serde_json::json!({})).unwrap()
}

#[test]
fn axes_and_seeds_are_read_as_people_write_them() {
    let axis = Axis::parse("controlPlane.policy=FGD, {scores: {FGD: 1, BestFit: 2}},\"a,b\"").unwrap();
    assert_eq!(axis.path, "spec.controlPlane.policy");
    assert_eq!(axis.values, ["FGD", "{scores: {FGD: 1, BestFit: 2}}", "\"a,b\""]);
    assert_eq!(Axis::parse("metadata.name=x").unwrap().path, "metadata.name");
    for wrong in ["policy", "=FGD", "policy=", "policy=a,,b", "policy=a,a"] {
        assert!(Axis::parse(wrong).is_err(), "{wrong}");
    }
    assert_eq!(parse_seeds("42..45,7").unwrap(), [7, 42, 43, 44, 45]);
    assert_eq!(parse_seeds("1..999999"), Err("\"1..999999\" are too many seeds: expected 100000 at most".to_owned()));
    assert!(parse_seeds("5..4").is_err() && parse_seeds("x").is_err() && parse_seeds("").is_err());
    let cells = Matrix(vec![Axis::parse("a=1,2").unwrap(), Axis::parse("b=x,y").unwrap()]).cells();
    let labels: Vec<String> = cells.iter().map(Cell::label).collect();
    assert_eq!(labels, ["a=1 b=x", "a=1 b=y", "a=2 b=x", "a=2 b=y"]);
}

#[test]
fn a_sweep_goes_on_where_it_was_and_one_failure_does_not_stop_it() {
    let dir = directory("resume");
    let sweep = sweep(&["controlPlane.policy=FGD,Nonsense,Random"], "1..2");
    let ran = AtomicUsize::new(0);
    let count = |done: &Done| {
        ran.fetch_add(usize::from(!done.reused), Ordering::Relaxed);
    };
    let done = sweep.run(&store(&dir, &sweep), &count);
    let failed: Vec<&Done> = done.iter().filter(|done| done.result.is_err()).collect();
    assert_eq!((done.len(), failed.len()), (6, 2));
    let message = failed[0].result.as_ref().unwrap_err().to_string();
    assert!(message.contains("unknown policy \"Nonsense\""), "{message}");
    // As if it had been killed: one result is missing, and one file was being written.
    let runs: Vec<PathBuf> = std::fs::read_dir(dir.join("runs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(runs.len(), 4);
    let random = runs.iter().find(|path| path.display().to_string().contains("Random")).unwrap();
    std::fs::remove_file(random).unwrap();
    ran.store(0, Ordering::Relaxed);
    let again = sweep.run(&store(&dir, &sweep), &count);
    assert_eq!(ran.load(Ordering::Relaxed), 3, "the missing one and the two that fail");
    let results = |done: &[Done]| done.iter().filter_map(|done| done.result.clone().ok()).collect::<Vec<_>>();
    assert_eq!(results(&done), results(&again));
    // Another setting is another run.
    let other = Sweep {
        settings: Settings { set: vec!["spec.workload.trace.demand=0.5".into()], ..sweep.settings.clone() },
        ..sweep
    };
    ran.store(0, Ordering::Relaxed);
    other.run(&store(&dir, &other), &count);
    assert_eq!(ran.load(Ordering::Relaxed), 6);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn the_report_has_a_line_per_policy_and_a_figure_per_quantity() {
    let dir = directory("report");
    let sweep = sweep(&["controlPlane.policy=FGD,Random", "workload.trace.demand=1.2,1.0"], "1..3");
    let store = store(&dir, &sweep);
    let done = sweep.run(&store, &|_| {});
    let files = report(&sweep, &store, &done, None).unwrap();
    let plots = files.iter().filter(|name| name.starts_with("plots/") && name.ends_with(".svg")).count();
    assert_eq!(plots, 8, "{files:?}");
    let svg = std::fs::read_to_string(dir.join("plots/1.2_allocation.svg")).unwrap();
    for text in ["FGD", "Random", "demand=1.2", "means of 3 runs"] {
        assert!(svg.contains(text), "{text}");
    }
    let cells = std::fs::read_to_string(dir.join("cells.csv")).unwrap();
    assert!(cells.starts_with("policy,demand,metric,runs,mean,standard_deviation,ci95_low,ci95_high\n"), "{cells}");
    let allocation: Vec<&str> = cells.lines().filter(|line| line.contains("allocation_percent_end")).collect();
    assert_eq!(allocation.len(), 4);
    let mean = |line: &str| line.split(',').nth(4).unwrap().parse::<f64>().unwrap();
    assert!(mean(allocation[0]) > mean(allocation[2]), "FGD packs better than chance: {allocation:#?}");
    let runs = std::fs::read_to_string(dir.join("runs.csv")).unwrap();
    assert_eq!(runs.lines().count(), 13);
    std::fs::write(dir.join("keep.txt"), "mine").unwrap();
    assert!(Store::open(&dir, &sweep.file, &serde_json::json!({})).is_ok(), "a sweep's directory may have more in it");
    std::fs::remove_file(dir.join("sweep.json")).unwrap();
    let refused = Store::open(&dir, &sweep.file, &serde_json::json!({})).unwrap_err();
    assert!(refused.contains("is not the directory of a sweep"), "{refused}");
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_curve_ends_where_the_first_of_its_runs_does() {
    let dir = directory("ends");
    let sweep = sweep(&["controlPlane.policy=FGD"], "42..44");
    let store = store(&dir, &sweep);
    let done = sweep.run(&store, &|_| {});
    let results: Vec<&RunResult> = done.iter().filter_map(|one| one.result.as_ref().ok()).collect();
    let ends: Vec<u32> = results.iter().map(|result| result.points.last().unwrap().demand_percent).collect();
    let (first, last) = (*ends.iter().min().unwrap(), *ends.iter().max().unwrap());
    assert!(first < last, "the seeds are chosen so that the runs end apart: {ends:?}");
    let curve = plots::line("FGD", &results, |point| point.allocation_percent);
    assert_eq!(curve.points.last().unwrap().x, f64::from(first), "means of two runs are not those of three");
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn rows_of_one_axis_show_values_and_the_subtitle_its_name() {
    let dir = directory("rows");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/node-failure.yaml");
    let sweep = Sweep { file, ..sweep(&["controlPlane.nodeMonitorGracePeriod=40s,45s"], "1..2") };
    let store = store(&dir, &sweep);
    let done = sweep.run(&store, &|_| {});
    report(&sweep, &store, &done, None).unwrap();
    let svg = std::fs::read_to_string(dir.join("plots/startup_latency_p99_s.svg")).unwrap();
    for text in
        ["\n40s\n", "\n45s\n", "node-failure · by nodeMonitorGracePeriod · means of 2 runs", "small dots the runs"]
    {
        assert!(svg.contains(text), "{text:?} in {svg}");
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_sweep_is_refused_as_a_whole_only_if_no_combination_can_be_run() {
    assert!(sweep(&["controlPlane.policy=FDG,FGD"], "1").loads().is_ok());
    let refused = sweep(&["controlPlane.policy=FDG,RND"], "1").loads().unwrap_err();
    assert!(refused.contains("unknown policy \"FDG\"; did you mean \"FGD\"?"), "{refused}");
    assert!(refused.starts_with("--matrix spec.controlPlane.policy=FDG: "), "{refused}");
}

#[test]
fn a_study_without_gpus_is_one_of_cpu_and_has_no_fragmentation() {
    let dir = directory("cpu");
    std::fs::create_dir_all(&dir).unwrap();
    let text = "apiVersion: wavetank/v1
kind: Scenario
metadata: {name: cpu}
spec:
  duration: 1m
  controlPlane: {fidelity: placement}
  workload: {trace: {pods: pods.csv, nodes: nodes.csv}}
";
    std::fs::write(dir.join("cpu.yaml"), text).unwrap();
    std::fs::write(dir.join("nodes.csv"), "sn,cpu_milli,memory_mib,gpu,model\nn-1,8000,8192,0,\n").unwrap();
    let pods = "name,cpu_milli,memory_mib,num_gpu,gpu_milli\np-1,4000,1024,0,0\np-2,2000,1024,0,0\n";
    std::fs::write(dir.join("pods.csv"), pods).unwrap();
    let mut sweep = sweep(&["controlPlane.ties=first,seeded"], "1");
    sweep.file = dir.join("cpu.yaml");
    let store = store(&dir.join("out"), &sweep);
    let done = sweep.run(&store, &|_| {});
    let files = report(&sweep, &store, &done, None).unwrap();
    let plots: Vec<&str> = files.iter().filter_map(|name| name.strip_prefix("plots/")?.strip_suffix(".svg")).collect();
    assert_eq!(plots, ["allocation", "unscheduled-pods"]);
    let svg = std::fs::read_to_string(dir.join("out/plots/allocation.svg")).unwrap();
    assert!(svg.contains("CPU allocation against arrived demand"), "{svg}");
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn no_plot_replaces_another_and_lines_beyond_the_colours_are_told() {
    let dir = directory("names");
    let seeds: Vec<String> = (1..=9).map(|interval| format!("{interval}s")).collect();
    // Both values look alike in a file name.
    let sweep = sweep(&[&format!("workload.trace.interval={}", seeds.join(",")), "metadata.description=a b,a-b"], "1");
    let store = store(&dir, &sweep);
    let done = sweep.run(&store, &|_| {});
    let files = report(&sweep, &store, &done, None).unwrap();
    let mut plots: Vec<&String> = files.iter().filter(|name| name.ends_with(".svg")).collect();
    assert_eq!(plots.len(), 8);
    plots.dedup();
    assert_eq!(plots.len(), 8, "{plots:?}");
    let svg = std::fs::read_to_string(dir.join("plots/a-b_allocation.svg")).unwrap();
    assert!(svg.contains("8 of 9 lines, all are in curves.csv"), "{svg}");
    std::fs::remove_dir_all(&dir).unwrap();
}
