//! The FGD study against its published results: 17 workloads, 6 policies, by the way that `sim sweep` takes.
//!
//! Sketch: some 10,600 pods at 1,213 nodes; a pod finds its node in a tree of cached scores, and a bind makes one node
//! stale in each of some 150 kinds of pods, of which an attempt brings one up to date: about 40 scores of 0.5 µs.
//! Expect 0.3 s of CPU per experiment with FGD, the dearest; limit 1 s, and 10 min of two cores for all 1,020.
//!
//! Fidelity: the mean GPU allocation of the ten published seeds, at 100 % and at 130 % of arrived demand, is within 0.3
//! points of the published mean, with the orders that the published simulator draws from these seeds (`draws:
//! published`). With them all policies but Random have nothing left to chance, and each run can be compared with the
//! published one at every percent of demand. Random's nodes depend there on which thread is first, so that its runs
//! agree in distribution only.
//!
//! Beside it stands the mean of 40 runs with orders of our own. The ten published orders are a sample too: where a
//! policy's runs have a standard deviation of 0.6 points, the difference has a 95 % interval of ± 0.45 around it
//! (Welch). It says whether a difference is more than chance; one in twenty intervals excludes 0 by chance alone.
//!
//! Run with `cargo bench -p wavetank-benches --bench fgd -- TRACE_DIR [WORKLOAD…]`: the directory has the files
//! `openb_node_list_gpu_node.csv` and `openb_pod_list_*.csv` (docs/policies.md says where to get them), and, for the
//! comparison run by run, `analysis_allo_discrete.csv`. Without a directory it runs the small trace of the repository,
//! and says that it compares nothing.

mod published;

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use published::{CURVES, Curves, PUBLISHED, RUNS};
use rayon::prelude::*;
use wavetank_sim::plan::scenario::Settings;
use wavetank_sim::sweep::{Axis, Cell, Estimate, Job, Matrix, RunResult, Sweep, run_one};

/// The published seeds.
const SEEDS_PUBLISHED: RangeInclusive<u64> = 42..=51;
/// The seeds of the runs with orders of our own.
const SEEDS_OWN: RangeInclusive<u64> = 100..=139;
/// How far a mean may be from the published one, in points.
const TOLERANCE: f64 = 0.3;
/// CPU time of one experiment.
const LIMIT: Duration = Duration::from_secs(1);
/// CPU time of all experiments: ten minutes of two cores.
const LIMIT_ALL: Duration = Duration::from_secs(2 * 600);
const POLICIES: [&str; 6] = ["Random", "DotProduct", "GpuClustering", "GpuPacking", "BestFit", "FGD"];

/// What the lines say together.
#[derive(Default)]
struct Tally {
    lines: usize,
    held: usize,
    own_within: usize,
    own_beyond_chance: usize,
    curves_compared: usize,
    curves_equal: usize,
    used: Duration,
    runs: u32,
}

fn main() -> ExitCode {
    // Cargo adds `--bench`.
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let scenario = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/scheduling/fgd.yaml"));
    let Some(dir) = arguments.next().map(PathBuf::from) else {
        return small(scenario);
    };
    let wanted: Vec<String> = arguments.collect();
    let known = |name: &String| PUBLISHED.iter().any(|(workload, ..)| workload == name);
    if let Some(unknown) = wanted.iter().find(|name| !known(name)) {
        eprintln!("there are no published results of the workload {unknown:?}");
        return ExitCode::FAILURE;
    }
    let curves = Curves::read(&dir);
    if curves.is_none() {
        println!("not compared run by run: there is no {CURVES}");
    }
    println!("{:<33}| seeds 42-51, orders as published     | seeds 100-139, orders of our own", "");
    println!(
        "workload      policy         demand | published   here  differ           equal | here   differ ± 95 %   \
         beyond chance"
    );
    let mut tally = Tally::default();
    for (workload, ..) in PUBLISHED.iter().filter(|(name, ..)| wanted.is_empty() || wanted.iter().any(|it| it == name))
    {
        for policy in 0..POLICIES.len() {
            compare(scenario, &dir, workload, policy, curves.as_ref(), &mut tally);
        }
    }
    tally.verdict(curves.is_some())
}

/// Runs a workload with a policy and prints a line for each demand.
fn compare(scenario: &Path, dir: &Path, workload: &str, policy: usize, curves: Option<&Curves>, tally: &mut Tally) {
    let began = cpu();
    let as_published = results(&experiment(scenario, dir, workload, POLICIES[policy], "published", SEEDS_PUBLISHED));
    let own = results(&experiment(scenario, dir, workload, POLICIES[policy], "own", SEEDS_OWN));
    tally.used += cpu() - began;
    tally.runs += (as_published.len() + own.len()) as u32;
    let equal = curves.map(|curves| {
        let runs = SEEDS_PUBLISHED.zip(&as_published);
        runs.filter(|(seed, result)| curves.equal(workload, policy, *seed, result)).count()
    });
    // Random's runs are not the published ones: see above.
    let random = POLICIES[policy] == "Random";
    if let Some(equal) = equal.filter(|_| !random) {
        tally.curves_compared += RUNS;
        tally.curves_equal += equal;
    }
    let (_, at_100, at_130) = PUBLISHED.iter().find(|(name, ..)| *name == workload).expect("it is listed");
    for (percent, known) in [(100, at_100[policy]), (130, at_130[policy])] {
        let known = published::estimate(known);
        let values: Vec<f64> = as_published.iter().map(|result| allocation(result, percent)).collect();
        let here = Estimate::of(&values).expect("there are seeds");
        let differ = here.mean - known.mean;
        let held = differ.abs() <= TOLERANCE;
        let by_run = curves.map(|curves| {
            let pairs = SEEDS_PUBLISHED.zip(&values);
            let differences: Vec<f64> =
                pairs.map(|(seed, value)| value - curves.at(workload, policy, seed, percent)).collect();
            format!("± {:.2}", Estimate::of(&differences).expect("there are seeds").half_width)
        });
        let values: Vec<f64> = own.iter().map(|result| allocation(result, percent)).collect();
        let own = Estimate::of(&values).expect("there are seeds");
        let (own_differ, width) = own.above(&known);
        let beyond = own_differ.abs() > width;
        tally.lines += 1;
        tally.held += usize::from(held);
        tally.own_within += usize::from(own_differ.abs() <= TOLERANCE);
        tally.own_beyond_chance += usize::from(beyond);
        println!(
            "{workload:<12}  {:<13}  {percent:>4} % | {:>9.2}  {:>5.2}  {differ:>+5.2} {:<6} {}  {:>5} | {:>5.2}  \
             {own_differ:>+5.2} ± {width:.2}  {}",
            POLICIES[policy],
            known.mean,
            here.mean,
            by_run.unwrap_or_default(),
            verdict(held),
            equal.map_or(String::new(), |equal| format!("{equal}/{RUNS}")),
            own.mean,
            if beyond { "yes" } else { "no" },
        );
    }
}

impl Tally {
    fn verdict(&self, compared: bool) -> ExitCode {
        let lines = self.lines;
        let fidelity = self.held == lines;
        println!("fidelity: {} of {lines} lines within {TOLERANCE} points {}", self.held, verdict(fidelity));
        if compared {
            println!(
                "runs of the policies without chance that are the published ones at every percent of demand: {} of {}",
                self.curves_equal, self.curves_compared
            );
        }
        println!(
            "with orders of our own: {} of {lines} lines within {TOLERANCE} points; {} intervals exclude 0, {:.0} \
             would by chance",
            self.own_within,
            self.own_beyond_chance,
            lines as f64 * 0.05
        );
        let each = self.used / self.runs;
        let all = each * (PUBLISHED.len() * POLICIES.len() * RUNS) as u32;
        println!(
            "one experiment: {:.2} s of CPU, mean of {}; limit {LIMIT:?} {}",
            each.as_secs_f64(),
            self.runs,
            verdict(each <= LIMIT)
        );
        println!(
            "all 1,020: {:.0} s of CPU by that mean, {:.1} min on two cores; limit 10 min {}",
            all.as_secs_f64(),
            all.as_secs_f64() / 120.0,
            verdict(all <= LIMIT_ALL)
        );
        if fidelity && each <= LIMIT && all <= LIMIT_ALL { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

fn verdict(held: bool) -> &'static str {
    if held { "HELD" } else { "MISSED" }
}

/// The sweep of one workload and policy over some seeds.
fn experiment(
    scenario: &Path,
    dir: &Path,
    workload: &str,
    policy: &str,
    draws: &str,
    seeds: RangeInclusive<u64>,
) -> Sweep {
    let file = |name: String| dir.join(name).display().to_string();
    let set = vec![
        format!("spec.workload.trace.nodes={}", file("openb_node_list_gpu_node.csv".to_owned())),
        format!("spec.workload.trace.draws={draws}"),
    ];
    let axis = |path: &str, value: String| Axis { path: path.to_owned(), values: vec![value] };
    let matrix = Matrix(vec![
        axis("spec.workload.trace.pods", file(format!("openb_pod_list_{workload}.csv"))),
        axis("spec.controlPlane.policy", policy.to_owned()),
    ]);
    let settings = Settings { set, ..Settings::default() };
    Sweep { file: scenario.to_owned(), settings, matrix, seeds: seeds.collect() }
}

/// The results, by seed.
fn results(sweep: &Sweep) -> Vec<RunResult> {
    sweep.jobs().par_iter().map(|job| run(sweep, job)).collect()
}

fn run(sweep: &Sweep, job: &Job) -> RunResult {
    let ran = run_one(&sweep.file, sweep.settings_of(job));
    ran.unwrap_or_else(|error| panic!("{} with seed {}: {error}", job.cell.label(), job.seed))
}

fn allocation(result: &RunResult, percent: u32) -> f64 {
    let point = result.points.iter().find(|point| point.demand_percent == percent);
    point.unwrap_or_else(|| panic!("the run never came to {percent} % of demand")).allocation_percent
}

/// What can be said without the published trace: that every policy runs, and how they compare on a made-up one.
fn small(scenario: &Path) -> ExitCode {
    println!("no trace directory is given: the small made-up trace, which has no published results to compare with");
    for policy in POLICIES {
        let values = vec![("spec.controlPlane.policy".to_owned(), policy.to_owned())];
        let sweep = Sweep {
            file: scenario.to_owned(),
            settings: Settings::default(),
            matrix: Matrix::default(),
            seeds: SEEDS_OWN.collect(),
        };
        let jobs = SEEDS_OWN.map(|seed| Job { cell: Cell { values: values.clone() }, seed });
        let values: Vec<f64> = jobs.map(|job| allocation(&run(&sweep, &job), 130)).collect();
        let here = Estimate::of(&values).expect("there are seeds");
        println!("{policy:<13}  130 %  {:>5.2} ± {:.2}", here.mean, here.half_width);
    }
    ExitCode::SUCCESS
}

/// User and system time of this process so far.
fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("the system counts this process's time");
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(u64::try_from(micros).expect("time used is not negative"))
}
