//! Compiles `images/pause.rs` into a static Linux program, which the library embeds
//! (`wavetank_real::docker::PAUSE_PROGRAM`).
//!
//! Only `rustc` and its own linker driver are needed: the program uses neither Rust's nor C's standard library.

use std::{env, fs, path::PathBuf, process::Command};

const SOURCE: &str = "images/pause.rs";
/// Larger than this means that something was linked in that does not belong there.
const PROGRAM_BYTES_MAX: u64 = 64 * 1024;

fn main() {
    println!("cargo::rerun-if-changed={SOURCE}");
    println!("cargo::rerun-if-changed=build.rs");
    let target = variable("TARGET");
    let (system, machine) = (variable("CARGO_CFG_TARGET_OS"), variable("CARGO_CFG_TARGET_ARCH"));
    if system != "linux" || !["x86_64", "aarch64"].contains(&machine.as_str()) {
        println!("cargo::error=wavetank-real runs on Linux on x86_64 or aarch64, this target is {target}");
        return;
    }
    let program = PathBuf::from(variable("OUT_DIR")).join("pause");
    let mut rustc = Command::new(variable("RUSTC"));
    rustc.args(["--edition=2024", "--crate-type=bin", "--crate-name=pause", "--target", &target]);
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        rustc.arg("-C").arg(format!("linker={}", linker.display()));
    }
    for option in ["opt-level=s", "panic=abort", "strip=symbols", "relocation-model=static", "debuginfo=0"] {
        rustc.args(["-C", option]);
    }
    for option in ["-nostdlib", "-nostartfiles", "-static", "-no-pie", "-Wl,--build-id=none"] {
        rustc.args(["-C", &format!("link-arg={option}")]);
    }
    let outcome = rustc.arg("-o").arg(&program).arg(SOURCE).output();
    match outcome {
        Err(error) => println!("cargo::error=cannot run {rustc:?}: {error}"),
        Ok(output) if !output.status.success() => {
            for line in String::from_utf8_lossy(&output.stderr).lines() {
                println!("cargo::error={SOURCE}: {line}");
            }
        }
        Ok(_) => describe(&program),
    }
}

/// Tells the library the program's fingerprint: it becomes the tag of the pause image, so another program is another
/// image.
fn describe(program: &PathBuf) {
    let bytes = fs::read(program).expect("rustc reported success, so its output exists");
    assert!(
        bytes.len() as u64 <= PROGRAM_BYTES_MAX,
        "pause has {} bytes, at most {PROGRAM_BYTES_MAX} expected",
        bytes.len()
    );
    // FNV-1a, 64 bits: a name, not a defence.
    let fingerprint = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    println!("cargo::rustc-env=WAVETANK_PAUSE_FINGERPRINT={fingerprint:016x}");
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|error| panic!("cargo sets {name} for a build script: {error}"))
}
