//! Writes the sample record's directory and prints how long that took: `cargo run --release -p wavetank-reports
//! --example sample_run -- out/sample`.

use std::path::PathBuf;
use std::time::Instant;

#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../tests/sample/mod.rs"]
mod sample;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Some(dir) = std::env::args_os().nth(1).map(PathBuf::from) else {
        return Err("expected a directory to write, such as out/sample".into());
    };
    let record = sample::record();
    print!("{}", wavetank_reports::text::render_account(&record, 100, false));
    for _ in 0..3 {
        let started = Instant::now();
        wavetank_reports::write_directory(&record, &dir, &[])?;
        println!("written in {:?}", started.elapsed());
    }
    Ok(())
}
