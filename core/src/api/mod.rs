//! The API server: requests in, answers and watch news out, and the store between them.
//!
//! Invariants: a request changes nothing or is one write (the end of a pod may be two, a creation charges quotas first,
//! and a deletion by labels is one for each object); an answer that promises a write, and the watch news of it,
//! leave only after the write is on stable storage. Absent on purpose: latency and loss (links belong to the world),
//! rate limits (they belong to clients), and reading JSON (the edges do that).
//!
//! Parts: `server` is the process. What can be asked of it is in `create`, `read`, `update` (whole objects, or their
//! status), `patch` (single changes, `undo` among them), `apply`, `deletion` and `eviction`. On the way into the store
//! come `admission` with `accounts`, `priority`, `limit_ranger`, `pod_security` and `quota`, and `services` for
//! addresses and ports; `namespace` is what one says of its content, `parts` which part of a kind is its status,
//! `immutable`, `set_updates` and `storage` what may not change. `changes` tells facts of writes, `leases` keeps
//! renewals, `client` is the side of who asks.

mod accounts;
pub mod admission;
mod apply;
mod changes;
mod client;
mod create;
pub mod deletion;
pub mod eviction;
mod immutable;
pub mod leases;
mod limit_ranger;
mod namespace;
mod parts;
mod patch;
mod pod_security;
mod priority;
mod quota;
mod read;
mod server;
mod services;
mod set_updates;
mod storage;
mod undo;
mod update;

pub(crate) use client::Bucket;
pub use client::Client;
pub use namespace::NAMESPACE_CONTENT;
pub(crate) use read::find;
pub use server::ApiServer;
pub(crate) use storage::default_class;
pub(crate) use update::update_fault;

pub use crate::seam::{Answer, Patch, Propagation, Refusal, Reply, Request, Taken};

/// What is said of several faults, as Go shows a list of errors; `None` if there are none.
pub fn together(faults: &[String]) -> Option<String> {
    match faults {
        [] => None,
        [only] => Some(only.clone()),
        several => Some(format!("[{}]", several.join(", "))),
    }
}
