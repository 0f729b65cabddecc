//! Shared pieces of the benchmarks.

pub mod measure;

/// The allocator of the program `sim`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
