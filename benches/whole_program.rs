//! The program as a user meets it: start-up, the CPU time of the study that the README begins with, that of a day of a
//! large cluster in which nothing happens, and that of many Deployments from a manifest.
//!
//! Sketch: a static table of commands and no state on disk, so start-up is the loader's work, a few milliseconds; the
//! study has some 2,000 inputs of a few microseconds each, and as much again for reading YAML and checking
//! expectations. Expect 5 ms and 15 ms; alarm above 20 ms (wall) and 50 ms (CPU). The large day has 1.8 million inputs,
//! almost all of them before its pods run, of less than 1 µs each; alarm above 2 s of CPU time, as for the simulation
//! alone in `idle_day`. The Deployments are those of `rollout` at their creation, with Kubernetes' own client limits:
//! at least 50,000 pods per second of CPU time and at most 1 KB of memory per pod beyond the same nodes without them,
//! reading the manifest and telling the account included.
//!
//! Run with `cargo build --release && cargo bench -p wavetank-benches --bench whole_program`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use wavetank_benches::measure::verdict;

const RUNS: usize = 21;
const LARGE_RUNS: usize = 3;
const DEPLOYMENTS: u64 = 10_000;
const REPLICAS: u64 = 15;
const PODS_PER_SECOND_MIN: f64 = 50_000.0;
const BYTES_PER_POD_MAX: u64 = 1_000;

fn main() {
    let program = program();
    let study = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/node-failure.yaml"));
    let study = study.to_str().expect("the repository's path is text");
    let large = concat!(env!("CARGO_MANIFEST_DIR"), "/idle-day.yaml");
    report("sim --version", "wall", 20, measure(&program, &["--version"], RUNS).0);
    report("sim validate node-failure.yaml", "wall", 20, measure(&program, &["validate", study], RUNS).0);
    report("sim run node-failure.yaml", "CPU", 50, measure(&program, &["run", study], RUNS).1);
    // Its memory is told against that of smaller runs only.
    many_deployments(&program);
    report("sim run idle-day.yaml", "CPU", 2_000, measure(&program, &["run", large], LARGE_RUNS).1);
}

/// Writes a scenario with many Deployments and one without, and runs both.
fn many_deployments(program: &Path) {
    let folder = std::env::temp_dir().join(format!("wavetank-whole-program-{}", std::process::id()));
    fs::create_dir(&folder).expect("the system has a folder for temporary files");
    let write = |name: &str, text: String| {
        let file = folder.join(name);
        fs::write(&file, text).expect("the folder can be written to");
        file.into_os_string().into_string().expect("the folder's path is text")
    };
    write("deployments.yaml", (0..DEPLOYMENTS).map(deployment).collect());
    let empty = write("empty.yaml", scenario(""));
    let full = write("full.yaml", scenario("  manifests: [deployments.yaml]\n"));
    // The system tells the most memory of any child so far: the smaller cluster runs first.
    let memory = |file: &str| {
        let cpu = measure(program, &["run", file], LARGE_RUNS).1;
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("the system counts its children's memory");
        (cpu, u64::try_from(usage.max_rss()).expect("memory used is not negative") * 1_024)
    };
    let (_, least) = memory(&empty);
    let (mut cpu, most) = memory(&full);
    fs::remove_dir_all(&folder).expect("the folder can be removed");
    cpu.sort();
    let pods = DEPLOYMENTS * REPLICAS;
    let speed = pods as f64 / cpu[cpu.len() / 2].as_secs_f64();
    let bytes = most.saturating_sub(least) / pods;
    println!(
        "sim run with {DEPLOYMENTS} Deployments: {speed:.0} pods per second of CPU time, median of {}; \
         at least {PODS_PER_SECOND_MIN} {}; most memory {bytes} B per pod, at most {BYTES_PER_POD_MAX} {}",
        cpu.len(),
        verdict(speed >= PODS_PER_SECOND_MIN),
        verdict(bytes <= BYTES_PER_POD_MAX),
    );
}

fn scenario(manifests: &str) -> String {
    format!(
        "apiVersion: wavetank/v1\nkind: Scenario\nmetadata: {{name: many-deployments}}\nspec:\n  seed: 1\n  \
         duration: 4h\n  nodes:\n    - {{name: worker, count: 5000, zones: [a, b, c], capacity: {{cpu: \"16\", \
         memory: 64Gi, pods: \"110\"}}}}\n{manifests}"
    )
}

fn deployment(number: u64) -> String {
    format!(
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: app-{number}}}\nspec:\n  \
         replicas: {REPLICAS}\n  selector: {{matchLabels: {{app: app-{number}}}}}\n  \
         template:\n    metadata: {{labels: {{app: app-{number}}}}}\n    spec:\n      \
         containers:\n        - {{name: app, image: \"web:1\", resources: {{requests: {{cpu: 50m, memory: 64Mi}}}}}}\n"
    )
}

/// The `sim` program beside this benchmark: both are built by the release profile of one target directory.
fn program() -> PathBuf {
    let here = std::env::current_exe().expect("the system knows this program's path");
    let folder = here.ancestors().nth(2).expect("a benchmark lies in the target directory");
    let program = folder.join("sim");
    assert!(program.is_file(), "there is no {}: run `cargo build --release` first", program.display());
    program
}

/// Wall and CPU times of the program, over all runs but a first one that warms the caches.
fn measure(program: &Path, arguments: &[&str], runs: usize) -> (Vec<Duration>, Vec<Duration>) {
    let (mut wall, mut cpu) = (Vec::new(), Vec::new());
    for run in 0..=runs {
        let (began, used) = (Instant::now(), children_cpu());
        let status = Command::new(program).args(arguments).stdout(Stdio::null()).status().expect("the program runs");
        assert!(status.success(), "{} {arguments:?} ended with {status}", program.display());
        if run > 0 {
            wall.push(began.elapsed());
            cpu.push(children_cpu() - used);
        }
    }
    (wall, cpu)
}

/// User and system time of all children that have ended.
fn children_cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("the system counts its children's time");
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(u64::try_from(micros).expect("time used is not negative"))
}

fn report(what: &str, kind: &str, limit_ms: u64, mut times: Vec<Duration>) {
    times.sort();
    let median = times[times.len() / 2];
    let verdict = if median <= Duration::from_millis(limit_ms) { "held" } else { "MISSED" };
    println!(
        "{what}: {kind} {:.1} ms least, {:.1} ms median, {:.1} ms greatest of {} runs; limit {limit_ms} ms {verdict}",
        millis(times[0]),
        millis(median),
        millis(times[times.len() - 1]),
        times.len(),
    );
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
