//! The published results of the study: means and standard deviations, and its runs one by one if their file is there.

use std::collections::BTreeMap;
use std::path::Path;

use wavetank_sim::sweep::{Estimate, RunResult};

/// How many seeds the published study has.
pub(crate) const RUNS: usize = 10;
/// The file with the curves of all runs, as the study's repository has it.
pub(crate) const CURVES: &str = "analysis_allo_discrete.csv";
/// How far two curves may be apart that are equal: values there are rounded to 0.01, averaged and rounded again.
const ROUNDED: f64 = 0.010_1;

/// Mean and standard deviation of ten runs, by policy.
type At = [(f64, f64); 6];

/// Workload, and by policy the GPU allocation in percent at 100 % and at 130 % of arrived demand.
///
/// Source: the ten seeds of `analysis_allo_discrete.csv`, the results in the artefact of Weng et al., Beware of
/// Fragmentation, USENIX ATC 2023.
pub(crate) const PUBLISHED: [(&str, At, At); 17] = [
    (
        "default",
        [(86.30, 0.33), (90.62, 0.19), (91.65, 0.61), (91.78, 0.53), (92.86, 0.14), (95.23, 0.11)],
        [(87.47, 0.32), (90.85, 0.20), (91.88, 0.62), (92.00, 0.54), (93.08, 0.13), (95.39, 0.08)],
    ),
    (
        "cpu050",
        [(89.02, 0.26), (93.03, 0.19), (93.52, 0.34), (93.46, 0.32), (93.56, 0.13), (95.00, 0.11)],
        [(91.24, 0.21), (93.27, 0.19), (93.79, 0.32), (93.72, 0.30), (93.79, 0.14), (95.21, 0.09)],
    ),
    (
        "cpu100",
        [(87.44, 0.28), (91.73, 0.27), (92.42, 0.40), (92.50, 0.42), (93.26, 0.13), (95.21, 0.14)],
        [(89.11, 0.29), (91.96, 0.27), (92.64, 0.44), (92.72, 0.46), (93.44, 0.13), (95.35, 0.14)],
    ),
    (
        "cpu200",
        [(83.03, 0.27), (87.46, 0.61), (89.67, 0.38), (89.98, 0.48), (92.15, 0.21), (94.82, 0.16)],
        [(83.77, 0.34), (87.70, 0.62), (89.92, 0.39), (90.23, 0.50), (92.40, 0.24), (95.05, 0.16)],
    ),
    (
        "cpu250",
        [(80.00, 0.33), (83.57, 0.45), (87.75, 0.61), (88.05, 0.68), (91.21, 0.25), (93.20, 0.29)],
        [(80.42, 0.29), (83.81, 0.46), (87.99, 0.58), (88.28, 0.65), (91.45, 0.22), (93.41, 0.28)],
    ),
    (
        "gpushare100",
        [(78.90, 0.15), (81.98, 0.30), (82.23, 0.51), (82.13, 0.50), (84.62, 0.22), (86.64, 0.16)],
        [(79.44, 0.13), (82.42, 0.31), (82.65, 0.48), (82.57, 0.49), (85.01, 0.20), (86.90, 0.15)],
    ),
    (
        "gpushare40",
        [(84.86, 0.34), (89.30, 0.14), (89.76, 0.62), (89.77, 0.53), (91.44, 0.20), (93.96, 0.07)],
        [(86.00, 0.36), (89.56, 0.14), (90.02, 0.59), (90.03, 0.50), (91.69, 0.21), (94.15, 0.07)],
    ),
    (
        "gpushare60",
        [(82.81, 0.35), (86.82, 0.28), (86.90, 0.41), (87.15, 0.37), (89.06, 0.18), (91.26, 0.13)],
        [(83.65, 0.29), (87.12, 0.28), (87.20, 0.42), (87.45, 0.38), (89.36, 0.19), (91.40, 0.12)],
    ),
    (
        "gpushare80",
        [(80.62, 0.28), (84.14, 0.19), (84.50, 0.54), (84.65, 0.50), (86.66, 0.24), (89.08, 0.11)],
        [(81.22, 0.29), (84.49, 0.20), (84.85, 0.54), (85.00, 0.49), (87.01, 0.24), (89.31, 0.12)],
    ),
    (
        "gpuspec10",
        [(86.26, 0.25), (90.17, 0.39), (91.96, 0.71), (92.24, 0.65), (93.10, 0.21), (94.66, 0.19)],
        [(87.43, 0.27), (90.39, 0.38), (92.18, 0.72), (92.46, 0.67), (93.31, 0.20), (94.95, 0.21)],
    ),
    (
        "gpuspec20",
        [(85.90, 0.35), (88.29, 0.17), (89.11, 0.21), (89.28, 0.25), (88.46, 0.12), (94.66, 0.13)],
        [(87.24, 0.32), (89.97, 0.40), (92.25, 0.61), (92.94, 0.64), (93.30, 0.09), (94.84, 0.12)],
    ),
    (
        "gpuspec25",
        [(85.42, 0.34), (85.44, 0.16), (86.41, 0.29), (86.77, 0.35), (85.67, 0.20), (93.91, 0.11)],
        [(86.94, 0.38), (89.63, 0.36), (92.08, 0.64), (92.98, 0.72), (93.23, 0.08), (94.74, 0.25)],
    ),
    (
        "gpuspec33",
        [(83.87, 0.26), (79.82, 0.25), (81.09, 0.22), (82.22, 0.39), (80.40, 0.27), (87.84, 0.18)],
        [(86.46, 0.13), (89.14, 0.38), (92.12, 0.68), (93.22, 0.63), (93.09, 0.15), (94.55, 0.14)],
    ),
    (
        "multigpu20",
        [(86.92, 0.52), (91.85, 0.32), (93.34, 0.60), (93.50, 0.64), (93.73, 0.25), (95.53, 0.16)],
        [(88.69, 0.48), (92.06, 0.32), (93.56, 0.61), (93.71, 0.64), (93.93, 0.23), (95.65, 0.16)],
    ),
    (
        "multigpu30",
        [(86.63, 0.47), (93.11, 0.31), (94.55, 0.32), (94.70, 0.32), (94.57, 0.24), (96.36, 0.10)],
        [(89.27, 0.41), (93.28, 0.30), (94.72, 0.31), (94.87, 0.32), (94.72, 0.22), (96.46, 0.09)],
    ),
    (
        "multigpu40",
        [(85.38, 0.76), (94.04, 0.22), (95.35, 0.30), (95.59, 0.31), (95.10, 0.23), (96.91, 0.10)],
        [(90.09, 0.44), (94.19, 0.21), (95.50, 0.31), (95.74, 0.30), (95.24, 0.24), (96.99, 0.09)],
    ),
    (
        "multigpu50",
        [(81.28, 0.83), (94.73, 0.20), (95.69, 0.28), (96.06, 0.31), (95.62, 0.18), (97.09, 0.11)],
        [(90.28, 0.44), (94.85, 0.21), (95.81, 0.29), (96.18, 0.31), (95.74, 0.19), (97.18, 0.10)],
    ),
];

/// A published mean with what is known of it.
pub(crate) fn estimate((mean, deviation): (f64, f64)) -> Estimate {
    Estimate::known(RUNS, mean, deviation)
}

/// The published runs' curves by workload, number of the policy and seed: the allocation at each percent of demand.
pub(crate) struct Curves(BTreeMap<(String, usize, u64), Vec<f64>>);

impl Curves {
    /// The file in a directory, if it is there. Panics on a file that is not what it should be.
    pub(crate) fn read(dir: &Path) -> Option<Curves> {
        let text = std::fs::read_to_string(dir.join(CURVES)).ok()?;
        Some(Curves(text.lines().skip(1).map(curve).collect()))
    }

    /// A published run's allocation at a percentage of demand.
    pub(crate) fn at(&self, workload: &str, policy: usize, seed: u64, percent: u32) -> f64 {
        self.curve(workload, policy, seed)[percent as usize]
    }

    /// Whether a run's allocation is the published one at every percent of demand.
    pub(crate) fn equal(&self, workload: &str, policy: usize, seed: u64, result: &RunResult) -> bool {
        let curve = self.curve(workload, policy, seed);
        let mut pairs = result.points.iter().zip(curve);
        result.points.len() == curve.len()
            && pairs.all(|(point, published)| (point.allocation_percent - published).abs() < ROUNDED)
    }

    fn curve(&self, workload: &str, policy: usize, seed: u64) -> &[f64] {
        let run = self.0.get(&(workload.to_owned(), policy, seed));
        run.unwrap_or_else(|| panic!("{CURVES} has no run of {workload} with policy {policy} and seed {seed}"))
    }
}

/// A line: workload, policy (its number before a dash), inflation, seed, GPUs, and the values at 0 % to 130 %.
fn curve(line: &str) -> ((String, usize, u64), Vec<f64>) {
    let fields: Vec<&str> = line.split(',').collect();
    let wrong = || panic!("{CURVES}: not a run: {line}");
    let [workload, policy, _, seed, _, values @ ..] = fields.as_slice() else { wrong() };
    let number = policy.split_once('-').and_then(|(number, _)| number.parse::<usize>().ok());
    let (Some(workload), Some(number), Ok(seed)) = (workload.strip_prefix("openb_pod_list_"), number, seed.parse())
    else {
        wrong()
    };
    let values = values.iter().map(|value| value.parse().unwrap_or_else(|_| wrong())).collect();
    ((workload.to_owned(), number - 1, seed), values)
}
