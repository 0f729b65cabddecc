//! The scheduler's speed: pods placed per CPU-second, the memory that takes, and how the cost of a pod grows with the
//! number of nodes.
//!
//! One thread computes and nothing waits; times are that thread's CPU time. Every pod must find a node, every round
//! must choose the same nodes, and the hash of all choices is printed: the same build must print the same hash, or the
//! figures mean nothing. That the choices are right is the property test's business.
//!
//! Sketch: a bind changes one node. What each of the templates knows of it costs one entry (filter, two scores: 50 ns)
//! and a walk up 13 levels of a tree of scores (16 B per entry, 256 KiB per template and 5,000 nodes): 50 templates in
//! turns redo 50 nodes each time, 3 to 6 µs. A pod like no other is one pass over all nodes, 10 to 20 ns each: 50 to
//! 100 µs. Rules about other pods are such a pass too, over counts that binds keep up to date.
//!
//! Run with `cargo bench -p wavetank-benches --bench scheduler`; with `-- growth` it draws the plot of the
//! documentation in their place (`docs/images/scheduler-growth.svg` and `.png`).

mod cases;
mod growth;
mod memory;
mod process;
mod throughput;

use std::process::ExitCode;

use cases::{Case, Kind};

/// The claims. In each, all nodes are scored.
const CLAIMS: [Case; 5] = [
    // 150,000 binds of 50 redone entries: 7.5 million, 0.1 µs each.
    claim(Kind::Templates(50), 5_000, 150_000, 100_000.0),
    claim(Kind::Templates(50), 1_000, 100_000, 200_000.0),
    // 200 Deployments in turns: rules about pods are never about the pod before.
    claim(Kind::Hard(200), 5_000, 20_000, 10_000.0),
    claim(Kind::Soft(200), 5_000, 20_000, 10_000.0),
    // No pod profits from what was computed for another.
    claim(Kind::Different, 5_000, 20_000, 5_000.0),
];

const fn claim(kind: Kind, nodes: u32, pods: u32, rate_min: f64) -> Case {
    Case { kind, nodes, pods, percentage: 100, rounds: 5, rate_min: Some(rate_min) }
}

fn main() -> ExitCode {
    // Cargo adds `--bench`.
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let held = match arguments.next().as_deref() {
        None => compare(),
        Some("growth") => growth::draw(),
        Some(memory::CHILD) => memory::child(&CLAIMS[0]),
        Some(number) => match number.parse::<usize>().ok().and_then(|number| CLAIMS.get(number)) {
            Some(case) => throughput::report(case),
            None => {
                eprintln!("expected `growth`, the number of a claim from 0 to {}, or nothing", CLAIMS.len() - 1);
                return ExitCode::FAILURE;
            }
        },
    };
    // A busy machine is no error of the program, so a missed figure is printed and not an exit code.
    if !held {
        println!("scheduler: some figure was MISSED");
    }
    ExitCode::SUCCESS
}

fn compare() -> bool {
    let mut held = true;
    for nodes in [1_000, 5_000] {
        for percentage in [0, 100] {
            let kind = Kind::Templates(4);
            held &= throughput::report(&Case { kind, nodes, pods: 50_000, percentage, rounds: 5, rate_min: None });
        }
    }
    for case in &CLAIMS {
        held &= throughput::report(case);
    }
    held &= memory::report(&CLAIMS[0]);
    for percentage in [0, 100] {
        held &= process::report(5_000, percentage);
    }
    held
}
