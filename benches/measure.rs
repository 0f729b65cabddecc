//! What a run costs, as Linux tells it, and how a figure is held against its limit.

use wavetank_core::Core;
use wavetank_core::digest::Fingerprint;

/// Where the facts of a run are to be hashed, if the command line has the word `facts`: that costs time of its own.
pub fn hash_of_facts() -> Option<Fingerprint> {
    std::env::args().any(|word| word == "facts").then(Fingerprint::default)
}

/// What tells whether a run took the same path as another.
pub fn hashes(core: &Core, facts: Option<Fingerprint>) -> String {
    let facts = facts.map_or_else(String::new, |hash| format!(", facts {hash}"));
    format!("fingerprint {}, digest {}{facts}", core.fingerprint(), core.digest())
}

/// CPU time of this thread so far, in seconds.
pub fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells a thread's CPU time");
    let nanoseconds = text.split(' ').next().and_then(|word| word.parse::<u64>().ok());
    nanoseconds.expect("the first number is nanoseconds on a CPU") as f64 / 1e9
}

/// The most memory that this process has had so far.
pub fn resident_bytes_max() -> u64 {
    status_bytes("VmHWM:")
}

/// The memory that this process has.
pub fn resident_bytes() -> u64 {
    status_bytes("VmRSS:")
}

/// How a figure stands to its limit.
pub fn verdict(held: bool) -> &'static str {
    if held { "held" } else { "MISSED" }
}

fn status_bytes(field: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").expect("Linux tells a process's memory");
    let line = text.lines().find_map(|line| line.strip_prefix(field)).expect("the status has this field");
    let kibibytes = line.trim().strip_suffix(" kB").and_then(|number| number.parse::<u64>().ok());
    kibibytes.expect("memory is told in kB") * 1_024
}
