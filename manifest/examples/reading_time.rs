//! How long reading a manifest takes: `cargo run --release -p wavetank-manifest --example reading_time [file]`.
//!
//! Sketch: 1.5 KB of YAML are some 120 nodes; at a few microseconds each for parsing, decoding, defaulting and
//! validating, expect 100-400 microseconds, alarm above 2 ms. The objects of each round are counted, so that nothing
//! is optimised away.

use std::time::Instant;

use wavetank_manifest::kubernetes::read_admitted;

const ROUNDS: u32 = 1_000;

fn main() {
    let (file, text) = match std::env::args().nth(1) {
        Some(file) => {
            let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
            (file, text)
        }
        None => ("web.yaml".to_owned(), include_str!("../tests/data/web.yaml").to_owned()),
    };
    let mut nanos: Vec<u128> = Vec::new();
    let mut objects = 0;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        match read_admitted(&file, &text) {
            Ok(read) => objects += read.len(),
            Err(errors) => return eprintln!("{}", errors.render(&text)),
        }
        nanos.push(start.elapsed().as_nanos());
    }
    nanos.sort_unstable();
    let at = |percent: usize| nanos[(nanos.len() - 1) * percent / 100] as f64 / 1_000.0;
    println!(
        "{file}: {} bytes, {} objects; {ROUNDS} readings: first quartile {:.0} us, median {:.0} us, 99th percentile \
         {:.0} us",
        text.len(),
        objects / ROUNDS as usize,
        at(25),
        at(50),
        at(99)
    );
}
