//! The program as a user meets it: start-up, the CPU time of the study that the README begins with, and that of a day
//! of a large cluster in which nothing happens.
//!
//! Sketch: a static table of commands and no state on disk, so start-up is the loader's work, a few milliseconds; the
//! study has some 2,000 inputs of a few microseconds each, and as much again for reading YAML and checking
//! expectations. Expect 5 ms and 15 ms; alarm above 20 ms (wall) and 50 ms (CPU). The large day has 1.8 million inputs,
//! almost all of them before its pods run, of less than 1 µs each; alarm above 2 s of CPU time, as for the simulation
//! alone in `idle_day`.
//!
//! Run with `cargo build --release && cargo bench -p wavetank-benches --bench whole_program`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

const RUNS: usize = 21;
const LARGE_RUNS: usize = 3;

fn main() {
    let program = program();
    let study = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/node-failure.yaml"));
    let study = study.to_str().expect("the repository's path is text");
    let large = concat!(env!("CARGO_MANIFEST_DIR"), "/idle-day.yaml");
    report("sim --version", "wall", 20, measure(&program, &["--version"], RUNS).0);
    report("sim validate node-failure.yaml", "wall", 20, measure(&program, &["validate", study], RUNS).0);
    report("sim run node-failure.yaml", "CPU", 50, measure(&program, &["run", study], RUNS).1);
    report("sim run idle-day.yaml", "CPU", 2_000, measure(&program, &["run", large], LARGE_RUNS).1);
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
