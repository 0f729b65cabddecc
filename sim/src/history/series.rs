//! Step functions over time, one row per instant.

use wavetank_core::time::Time;
use wavetank_reports::record::StepSeries;

/// Rows in order of time; of one instant the last stays.
#[derive(Debug, Default)]
pub(super) struct Steps {
    rows: Vec<(u64, Vec<i64>)>,
    /// Nobody will read them: there are none.
    unread: bool,
}

impl Steps {
    /// No rows yet, and never any unless somebody will read them.
    pub(super) fn new(read: bool) -> Steps {
        Steps { unread: !read, ..Steps::default() }
    }

    pub(super) fn push(&mut self, at: Time, values: &[i64]) {
        if self.unread {
            return;
        }
        match self.rows.last_mut() {
            Some((last, row)) if *last == at.0 => row.clone_from_slice(values),
            Some((_, row)) if row.as_slice() == values => {}
            _ => self.rows.push((at.0, values.to_vec())),
        }
    }

    pub(super) fn series(self, name: String, unit: &str, columns: &[&str]) -> StepSeries {
        let columns = columns.iter().map(|&column| column.to_owned()).collect();
        StepSeries { name, unit: unit.to_owned(), columns, rows: self.rows }
    }
}
