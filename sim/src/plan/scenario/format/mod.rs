//! The typed scenario file: one struct per mapping, one field per key, in the file's own words.
//!
//! Described for users in `docs/scenario-format.md` and as JSON Schema in `schema.json`; a test holds the three
//! together. Absent on purpose: checks that need more than one field (see `expand`).
//!
//! Here is the file as a whole; its sections are in `cluster`, `workload`, `behaviours`, `storage`, `timeline` and
//! `on_machines`.

mod behaviours;
mod cluster;
mod on_machines;
mod storage;
mod timeline;
mod workload;

pub use behaviours::*;
pub use cluster::*;
pub use on_machines::*;
pub use storage::*;
pub use timeline::*;
pub use workload::*;

use serde::Deserialize;
use serde::de::IgnoredAny;
use wavetank_core::calendar::Civil;
use wavetank_core::config::DEFAULT_EPOCH;
use wavetank_core::time::Span;
use wavetank_manifest::Spanned;

use crate::plan::Delay;

/// The `apiVersion` of every scenario file.
pub const API_VERSION: &str = "wavetank/v1";
/// The `kind` of every scenario file.
pub const KIND: &str = "Scenario";

/// A length of time, written `90s`, `1m30s` or `500ms`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Duration(pub Span);

/// A length of time or a named distribution of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Spread(pub Delay);

/// A number of bytes, written as a Kubernetes quantity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bytes(pub u64);

/// A name and its place.
pub type NameAt = Spanned<String>;

/// A scenario file.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scenario {
    /// Always [`API_VERSION`].
    pub api_version: String,
    /// Always [`KIND`].
    pub kind: String,
    /// Name and description.
    pub metadata: Metadata,
    /// What happens.
    pub spec: Spec,
}

impl Scenario {
    /// The Unix time of the run's start, in seconds.
    ///
    /// Errors: a text that is no date and time in UTC.
    pub fn epoch(&self) -> Result<i64, String> {
        let Some(start) = &self.spec.start_time else { return Ok(DEFAULT_EPOCH) };
        let number = |from: usize, to: usize| start.value.get(from..to).and_then(|digits| digits.parse::<i64>().ok());
        let fields = [number(0, 4), number(5, 7), number(8, 10), number(11, 13), number(14, 16), number(17, 19)];
        let civil = match fields {
            [
                Some(year),
                Some(month @ 1..=12),
                Some(day),
                Some(hour @ 0..24),
                Some(minute @ 0..60),
                Some(second @ 0..60),
            ] => Some(Civil { year, month, day, second_of_day: hour * 3_600 + minute * 60 + second }),
            _ => None,
        };
        // What is written back as it was read has all its signs, and its day in the month.
        let seconds = civil.map(Civil::seconds).filter(|seconds| Civil::at(*seconds).rfc3339(0) == start.value);
        seconds.ok_or_else(|| format!("expected a date and time such as 2025-01-01T00:00:00Z, found {:?}", start.value))
    }
}

/// Name and description of a scenario.
#[derive(Clone, Debug, Deserialize)]
pub struct Metadata {
    /// The scenario's name.
    pub name: String,
    /// What it is about.
    #[serde(default)]
    pub description: String,
}

/// What happens in a run.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    /// Where every draw comes from.
    #[serde(default)]
    pub seed: u64,
    /// The date and time at which the run begins; 2025-01-01T00:00:00Z if not said.
    pub start_time: Option<NameAt>,
    /// When the run ends.
    pub duration: Spanned<Duration>,
    /// The control plane's settings.
    #[serde(default)]
    pub control_plane: ControlPlane,
    /// The machines; may be left out if a trace brings them.
    #[serde(default)]
    pub nodes: Vec<NodeGroup>,
    /// Pods of a recorded trace.
    pub workload: Option<Spanned<Workload>>,
    /// Images and the registry that has them.
    #[serde(default)]
    pub registry: Registry,
    /// Kubernetes objects that are applied when the run begins: paths, or objects in place.
    #[serde(default)]
    pub manifests: Vec<Spanned<IgnoredAny>>,
    /// The CSI drivers of the cluster.
    #[serde(default)]
    pub storage: Storage,
    /// What containers do.
    #[serde(default)]
    pub behaviours: Vec<Behaviour>,
    /// Actions of the user and faults.
    #[serde(default)]
    pub timeline: Vec<Spanned<Entry>>,
    /// What must come of it.
    #[serde(default)]
    pub expect: Vec<Spanned<Expectation>>,
    /// The fingerprint that the run must have: 16 hex digits.
    pub fingerprint: Option<NameAt>,
}

/// One thing that must come of the run.
#[derive(Clone, Debug, Deserialize)]
pub struct Expectation {
    /// Its name.
    pub name: NameAt,
    /// The condition, in CEL.
    pub that: NameAt,
    /// It must hold at this time.
    pub at: Option<Spanned<Duration>>,
    /// It must hold at some time in this window.
    pub within: Option<Spanned<Window>>,
    /// It must hold at all times in this window.
    pub always: Option<Spanned<Window>>,
    /// It must hold at no time in this window.
    pub never: Option<Spanned<Window>>,
}

/// A stretch of the run, both ends included.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct Window {
    /// Its beginning; the run's if not said.
    pub from: Option<Duration>,
    /// Its end; the run's if not said.
    pub to: Option<Duration>,
}
