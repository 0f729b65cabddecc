//! From CSV text to rows. A mistake is told with its line and column, as mistakes of every other file are.

use std::collections::BTreeSet;

use wavetank_core::id::Name;
use wavetank_core::scheduler::gpu::{DEVICES_MAX, GpuRequest};
use wavetank_manifest::yaml::Position;
use wavetank_manifest::{Error, Errors};

use super::{TraceNode, TracePod};

/// What a whole GPU counts.
const WHOLE: i64 = wavetank_core::scheduler::gpu::WHOLE as i64;

/// The machines of a file.
///
/// Errors: columns that are missing, values that are not what their column says, two machines of one name.
pub fn nodes(file: &str, text: &str) -> Result<Vec<TraceNode>, Errors> {
    let mut table = Table::of(file, text, &["sn", "cpu_milli", "memory_mib", "gpu", "model"], &[])?;
    let mut names = BTreeSet::new();
    table.rows(|row| {
        let node = TraceNode {
            name: row.text(0).to_owned(),
            cpu_milli: row.number(1)?,
            memory_mib: row.number(2)?,
            gpus: u16::try_from(row.at_most(3, DEVICES_MAX as i64)?).expect("a device count is small"),
            model: row.text(4).to_owned(),
        };
        if !names.insert(node.name.clone()) {
            return Err(row.wrong(0, format!("there are two nodes of the name {:?}", node.name)));
        }
        Ok(node)
    })
}

/// The pods of a file.
///
/// Errors: as of [`nodes`]; and a pod that asks for parts of several GPUs.
pub fn pods(file: &str, text: &str) -> Result<Vec<TracePod>, Errors> {
    let required = ["name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli"];
    let mut table = Table::of(file, text, &required, &["gpu_spec", "creation_time", "deletion_time"])?;
    let mut names = BTreeSet::new();
    table.rows(|row| {
        let name = row.text(0).to_owned();
        if !names.insert(name.clone()) {
            return Err(row.wrong(0, format!("there are two pods of the name {name:?}")));
        }
        let (devices, milli) = (row.at_most(3, DEVICES_MAX as i64)?, row.at_most(4, WHOLE)?);
        let gpu = match (devices, milli) {
            (0, _) => GpuRequest::NONE,
            (_, 0) => return Err(row.wrong(4, "expected what is taken of each GPU, 1 to 1000, found 0".to_owned())),
            (1, share) => GpuRequest::of_total(share),
            (many, WHOLE) => GpuRequest::of_total(many * WHOLE),
            (many, share) => {
                return Err(
                    row.wrong(4, format!("expected 1000 of each of {many} GPUs, found {share}: only one is shared"))
                );
            }
        };
        let models: Vec<Name> = row.text(5).split('|').filter(|it| !it.is_empty()).map(Name::from).collect();
        let (created_s, deleted_s) = (row.time(6)?, row.time(7)?);
        if let (Some(created), Some(deleted)) = (created_s, deleted_s)
            && deleted < created
        {
            return Err(row.wrong(7, format!("it leaves at {deleted} s, before it comes at {created} s")));
        }
        Ok(TracePod { name, cpu_milli: row.number(1)?, memory_mib: row.number(2)?, gpu, models, created_s, deleted_s })
    })
}

/// A file with the places of the columns that are asked for.
struct Table<'t> {
    file: &'t str,
    reader: csv::Reader<&'t [u8]>,
    /// The names asked for, and where each stands; only optional ones may be missing.
    columns: Vec<(&'static str, Option<usize>)>,
}

/// One line of it.
struct Row<'t> {
    file: &'t str,
    record: &'t csv::StringRecord,
    columns: &'t [(&'static str, Option<usize>)],
}

impl<'t> Table<'t> {
    fn of(
        file: &'t str,
        text: &'t str,
        required: &[&'static str],
        optional: &[&'static str],
    ) -> Result<Table<'t>, Errors> {
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
        let header = reader.headers().map_err(|error| malformed(file, &error))?.clone();
        let place = |name: &&'static str| (*name, header.iter().position(|column| column == *name));
        let columns: Vec<_> = required.iter().chain(optional).map(place).collect();
        let missing = columns[..required.len()].iter().filter(|(_, place)| place.is_none()).map(|(name, _)| *name);
        let missing: Vec<&str> = missing.collect();
        if !missing.is_empty() {
            let found: Vec<&str> = header.iter().collect();
            let message = format!("expected the columns {}, found {}", missing.join(", "), found.join(", "));
            return Err(Error::new(file, Position { line: 1, column: 1 }, "", message).into());
        }
        Ok(Table { file, reader, columns })
    }

    fn rows<T>(&mut self, mut read: impl FnMut(&Row<'_>) -> Result<T, Box<Error>>) -> Result<Vec<T>, Errors> {
        let (mut rows, mut errors) = (Vec::new(), Vec::new());
        let mut record = csv::StringRecord::new();
        loop {
            match self.reader.read_record(&mut record) {
                Ok(false) => break,
                Ok(true) => match read(&Row { file: self.file, record: &record, columns: &self.columns }) {
                    Ok(row) => rows.push(row),
                    Err(error) => errors.push(*error),
                },
                Err(error) => {
                    errors.push(malformed(self.file, &error));
                    break;
                }
            }
        }
        if errors.is_empty() { Ok(rows) } else { Err(Errors(errors)) }
    }
}

impl Row<'_> {
    /// The text in a column; empty if there is no such column.
    fn text(&self, column: usize) -> &str {
        self.columns[column].1.and_then(|place| self.record.get(place)).unwrap_or("")
    }

    /// A whole number that is not negative.
    fn number(&self, column: usize) -> Result<i64, Box<Error>> {
        let text = self.text(column);
        let number = text.parse::<i64>().ok().filter(|number| *number >= 0);
        number
            .ok_or_else(|| self.wrong(column, format!("expected a whole number that is not negative, found {text:?}")))
    }

    fn at_most(&self, column: usize, most: i64) -> Result<i64, Box<Error>> {
        let number = self.number(column)?;
        if number > most {
            return Err(self.wrong(column, format!("expected at most {most}, found {number}")));
        }
        Ok(number)
    }

    /// Seconds, or nothing. Some exports write them with a fraction, which is cut off.
    fn time(&self, column: usize) -> Result<Option<u64>, Box<Error>> {
        let text = self.text(column);
        if text.is_empty() {
            return Ok(None);
        }
        let whole = text.split_once('.').map_or(text, |(whole, _)| whole);
        let seconds = whole.parse().map_err(|_| self.wrong(column, format!("expected seconds, found {text:?}")))?;
        Ok(Some(seconds))
    }

    fn wrong(&self, column: usize, message: String) -> Box<Error> {
        let line = self.record.position().map_or(0, |position| position.line() as u32);
        let (name, place) = self.columns[column];
        let before = self.record.iter().take(place.unwrap_or(0)).map(|field| field.chars().count() as u32 + 1);
        let at = Position { line, column: before.sum::<u32>() + 1 };
        Box::new(Error::new(self.file, at, name, message))
    }
}

fn malformed(file: &str, error: &csv::Error) -> Error {
    let line = error.position().map_or(1, |position| position.line() as u32);
    Error::new(file, Position { line, column: 1 }, "", format!("this is no CSV table: {error}"))
}
