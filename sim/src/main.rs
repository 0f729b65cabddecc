//! The simulator's program; everything is in the library's `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    wavetank_sim::cli::main()
}
