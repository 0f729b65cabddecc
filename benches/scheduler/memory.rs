//! The memory that a comparison takes at its peak, measured in a process of its own.

use std::process::Command;

use wavetank_benches::measure::{resident_bytes_max, verdict};

use crate::cases::Case;
use crate::throughput::round;

/// The argument that makes this program the measured process.
pub(crate) const CHILD: &str = "memory-child";
/// The claim.
const MEGABYTES_MAX: u64 = 300;

/// Prints the peak of one round; `true` if the claim was held.
pub(crate) fn report(case: &Case) -> bool {
    let program = std::env::current_exe().expect("the system knows this program's path");
    let output = Command::new(program).arg(CHILD).output().expect("this program runs");
    assert!(output.status.success(), "the measured process ended with {}", output.status);
    let text = String::from_utf8(output.stdout).expect("the measured process prints a number");
    let bytes: u64 = text.trim().parse().expect("the measured process prints a number");
    let megabytes = bytes.div_ceil(1_000_000);
    let held = megabytes <= MEGABYTES_MAX;
    println!(
        "placement: {}: {megabytes} MB of memory at the peak, target {MEGABYTES_MAX}: {}",
        case.name(),
        verdict(held)
    );
    held
}

/// Places the pods once and prints the most memory, in bytes, that this took.
pub(crate) fn child(case: &Case) -> bool {
    round(case, &case.pods());
    println!("{}", resident_bytes_max());
    true
}
