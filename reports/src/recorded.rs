//! What a run's directory tells: its facts and its events, read back from their tables.
//!
//! Columns are found by their names, so that a table may gain some. A directory of a version that wrote no authors is
//! refused: without them a story would leave out causes that the run has had.

use std::path::{Path, PathBuf};

use crate::directory::summary;
use crate::record::{EventRow, FactRow, Text};

/// The facts and events of a finished run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// What happened, ordered by time and then by `seq`.
    pub facts: Vec<FactRow>,
    /// The Kubernetes events, ordered by their first time.
    pub events: Vec<EventRow>,
}

/// Why a directory could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It is no run's directory.
    #[error("{} is not the directory of a finished run: {}", .dir.display(), .cause)]
    NoRun {
        /// The directory.
        dir: PathBuf,
        /// What is wrong with its summary.
        cause: String,
    },
    /// A table has not even its header: the disk has lost it.
    #[error("{} is empty, although every table has a header: the file is damaged; record the run again", .0.display())]
    Empty(PathBuf),
    /// A table cannot be read.
    #[error("cannot read {}: {cause}", .path.display())]
    Table {
        /// The table's file.
        path: PathBuf,
        /// What is wrong.
        cause: csv::Error,
    },
    /// A table has not the column.
    #[error("{} has no column {column:?}: another version has written it; record the run again", .path.display())]
    Column {
        /// The table's file.
        path: PathBuf,
        /// The missing column.
        column: &'static str,
    },
    /// A table has not all the rows that the run's summary counts.
    #[error("{} has {found} rows, the run had {expected}: the file is damaged; record the run again", .path.display())]
    Rows {
        /// The table's file.
        path: PathBuf,
        /// How many there were.
        expected: u64,
        /// How many there are.
        found: usize,
    },
    /// A number is none.
    #[error("{}:{line}: column {column:?}: expected a whole number, found {found:?}", .path.display())]
    Number {
        /// The table's file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The column.
        column: &'static str,
        /// What stands there.
        found: String,
    },
}

/// Reads the tables of a run's directory.
///
/// # Errors
/// When it is no run's directory, or a table is missing, damaged or of another version.
pub fn read_directory(dir: &Path) -> Result<Recorded, Unreadable> {
    let summary = summary(dir).map_err(|cause| Unreadable::NoRun { dir: dir.to_owned(), cause })?;
    // Older versions did not count them.
    let expected = |table: &str| summary["rows"][table].as_u64();
    let facts = rows(&dir.join("facts.csv"), expected("facts"), |row| {
        let targets = row.text("targets")?;
        Ok(FactRow {
            time_ns: row.number("time_ns")?,
            seq: row.number("seq")?,
            category: row.text("category")?,
            subject: row.text("subject")?,
            reason: row.text("reason")?,
            message: row.text("message")?,
            by: row.text("by")?,
            targets: targets.split_whitespace().map(Text::from).collect(),
        })
    })?;
    let events = rows(&dir.join("events.csv"), expected("events"), |row| {
        Ok(EventRow {
            first_ns: row.number("first_ns")?,
            last_ns: row.number("last_ns")?,
            count: row.number("count")?,
            kind: row.text("type")?,
            reason: row.text("reason")?,
            subject: row.text("subject")?,
            source: row.text("source")?,
            message: row.text("message")?,
        })
    })?;
    Ok(Recorded { facts, events })
}

fn rows<T>(
    path: &Path,
    expected: Option<u64>,
    make: impl Fn(&Row<'_>) -> Result<T, Unreadable>,
) -> Result<Vec<T>, Unreadable> {
    let damaged = |cause| Unreadable::Table { path: path.to_owned(), cause };
    let mut reader = csv::Reader::from_path(path).map_err(damaged)?;
    let header = reader.headers().map_err(damaged)?.clone();
    if header.is_empty() {
        return Err(Unreadable::Empty(path.to_owned()));
    }
    let record = |record: Result<csv::StringRecord, csv::Error>| {
        let record = record.map_err(damaged)?;
        make(&Row { path, header: &header, record: &record })
    };
    let rows: Vec<T> = reader.records().map(record).collect::<Result<_, _>>()?;
    let found = rows.len();
    match expected.filter(|expected| *expected != found as u64) {
        Some(expected) => Err(Unreadable::Rows { path: path.to_owned(), expected, found }),
        None => Ok(rows),
    }
}

/// One row of a table.
struct Row<'a> {
    path: &'a Path,
    header: &'a csv::StringRecord,
    record: &'a csv::StringRecord,
}

impl Row<'_> {
    fn text(&self, column: &'static str) -> Result<Text, Unreadable> {
        let missing = || Unreadable::Column { path: self.path.to_owned(), column };
        let place = self.header.iter().position(|name| name == column).ok_or_else(missing)?;
        // The reader has refused every row that is shorter than the header.
        Ok(self.record.get(place).unwrap_or_default().into())
    }

    fn number(&self, column: &'static str) -> Result<u64, Unreadable> {
        let found = self.text(column)?;
        let line = self.record.position().map_or(0, csv::Position::line);
        let not_a_number =
            |_| Unreadable::Number { path: self.path.to_owned(), line, column, found: found.to_string() };
        found.parse().map_err(not_a_number)
    }
}
