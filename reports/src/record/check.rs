//! The invariants of a record, and what is wrong with one that does not keep them.

use super::{POD_PHASES, RunRecord, SCHEMA, StepSeries};

/// What is wrong with a record. It is the caller's mistake, never the scenario's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The record was made for another version of this library.
    #[error("the record's schema is {found:?}, expected {SCHEMA:?}")]
    Schema {
        /// The schema found.
        found: String,
    },
    /// A series has columns other than its plot needs.
    #[error("series {series}: columns are {found:?}, expected {expected}")]
    Columns {
        /// Which series.
        series: String,
        /// The columns found.
        found: Vec<String>,
        /// The columns expected, in words.
        expected: String,
    },
    /// A row has too few or too many values.
    #[error("series {series}: row {row} has {found} values, expected {expected}")]
    Width {
        /// Which series.
        series: String,
        /// Which row, from zero.
        row: u64,
        /// Values found.
        found: u64,
        /// Values expected.
        expected: u64,
    },
    /// A time is earlier than the one before it.
    #[error("{what}: row {row} is at {found_ns} ns, before its predecessor at {previous_ns} ns")]
    Order {
        /// Which table or series.
        what: String,
        /// Which row, from zero.
        row: u64,
        /// The time found.
        found_ns: u64,
        /// The time of the row before.
        previous_ns: u64,
    },
    /// Two series would be written to one file.
    #[error("two series would be written to series/{stem}.csv: give them different names")]
    SameFile {
        /// The file's stem.
        stem: String,
    },
}

impl RunRecord {
    /// Whether the record keeps the invariants of this module.
    ///
    /// # Errors
    /// The first thing found that does not.
    pub fn check(&self) -> Result<(), Malformed> {
        if self.summary.schema != SCHEMA {
            return Err(Malformed::Schema { found: self.summary.schema.clone() });
        }
        check_order("facts", self.facts.iter().map(|fact| fact.time_ns))?;
        check_order("markers", self.markers.iter().map(|marker| marker.from_ns))?;
        check_columns("pods-by-phase", &self.series.pods_by_phase, &POD_PHASES)?;
        check_columns("nodes", &self.series.nodes, &["ready", "not_ready"])?;
        for steps in &self.series.endpoints {
            check_columns(&steps.name, steps, &["ready", "not_ready"])?;
        }
        let mut stems = std::collections::BTreeSet::new();
        for (stem, steps) in self.series.files() {
            check_rows(&stem, steps)?;
            if !stems.insert(stem.clone()) {
                return Err(Malformed::SameFile { stem });
            }
        }
        Ok(())
    }
}

/// An empty series may leave its columns out, so that a caller without the thing has nothing to fill in.
fn check_columns(series: &str, steps: &StepSeries, expected: &[&str]) -> Result<(), Malformed> {
    if steps.rows.is_empty() || steps.columns == expected {
        return Ok(());
    }
    Err(Malformed::Columns {
        series: series.to_owned(),
        found: steps.columns.clone(),
        expected: format!("{expected:?}"),
    })
}

fn check_rows(series: &str, steps: &StepSeries) -> Result<(), Malformed> {
    for (row, (_, values)) in (0u64..).zip(&steps.rows) {
        if values.len() != steps.columns.len() {
            let (found, expected) = (values.len() as u64, steps.columns.len() as u64);
            return Err(Malformed::Width { series: series.to_owned(), row, found, expected });
        }
    }
    check_order(series, steps.rows.iter().map(|(time, _)| *time))
}

fn check_order(what: &str, times: impl Iterator<Item = u64>) -> Result<(), Malformed> {
    let mut previous_ns = 0;
    for (row, found_ns) in (0u64..).zip(times) {
        if found_ns < previous_ns {
            return Err(Malformed::Order { what: what.to_owned(), row, found_ns, previous_ns });
        }
        previous_ns = found_ns;
    }
    Ok(())
}
