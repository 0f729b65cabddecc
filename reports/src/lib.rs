//! Reports: plots, tables, pages and terminal text from the record of one finished run.
//!
//! Both worlds fill the same [`record::RunRecord`] and call [`write_directory`] once, when the run is over. Nothing
//! here knows the core, the simulator or Docker: plain data comes in, files go out.
//!
//! Invariant: the bytes written depend on the record alone. The same record gives the same directory on any machine,
//! so a directory can be compared with `diff -r`. Absent on purpose: wall-clock time, host names, absolute paths, the
//! speed of the run (the terminal shows that), and any recomputation of what the run has decided.
//!
//! Every file that is written is described in `docs/output.md`.

mod account;
mod directory;
mod format;
mod html;
pub mod junit;
mod latency;
pub mod plots;
pub mod record;
pub mod recorded;
pub mod story;
mod tables;
pub mod text;

pub use directory::{Error, refuse_directory, write_directory, write_directory_unless};
