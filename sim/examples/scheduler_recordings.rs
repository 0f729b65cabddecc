//! Compares `sim place` with answers recorded from kube-scheduler.
//!
//! `cargo run --release -p wavetank-sim --example scheduler_recordings -- FOLDER/{mixed,config,preempt}-*.json` reads
//! each list of objects, the `.config.yaml` beside it if there is one, and the `.expect.jsonl`. The pods go through the
//! very code that `sim place --explain full --ties first` runs (with `--preempt` for `preempt-*`), so a difference in
//! one pod can bring others with it.
//!
//! A row agrees if all fields that the recording has are equal: node, message, plugins, the numbers of nodes, the best
//! score and who has it, and where recorded each node's score by each plugin or its refusal with code and reasons. The
//! order of one node's reasons is random in kube-scheduler, so they are compared sorted. The recorded scheduler got
//! terms about other pods with their `matchLabelKeys` unmerged, which it ignores; so does `sim place`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use serde_json::Value;
use wavetank_core::config::{SchedulerConfig, Ties};
use wavetank_core::scheduler::Detail;
use wavetank_manifest::kubernetes::Snapshot;
use wavetank_manifest::scheduler_configuration::SchedulerConfiguration;
use wavetank_sim::place::{Manner, place, settings};

/// So many differences are printed.
const SHOWN_MAX: u32 = 20;

/// What was compared.
#[derive(Default)]
pub(crate) struct Tally {
    /// Agreeing and all rows, by kind of recording.
    pub(crate) rows: BTreeMap<String, (u32, u32)>,
    /// Agreeing and all values, by field.
    pub(crate) fields: BTreeMap<String, (u32, u32)>,
    shown: u32,
}

fn main() -> ExitCode {
    let mut tally = Tally::default();
    for path in std::env::args().skip(1) {
        if let Err(message) = compare_case(&path, &mut tally) {
            eprintln!("{path}: {message}");
            return ExitCode::FAILURE;
        }
    }
    for (what, (equal, all)) in &tally.fields {
        println!("{what}: {equal} of {all} agree");
    }
    for (what, (equal, all)) in &tally.rows {
        println!("{what}: {equal} of {all} rows agree");
    }
    let differing = tally.rows.values().any(|(equal, all)| equal != all);
    if differing || tally.rows.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Places the objects of one recording and compares every row. Errors: a file that cannot be read.
pub(crate) fn compare_case(path: &str, tally: &mut Tally) -> Result<(), String> {
    let read = |path: &str| std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"));
    let stem = path.strip_suffix(".json").ok_or("expected a .json file")?;
    let expect = read(&format!("{stem}.expect.jsonl"))?;
    let configuration = match std::fs::read_to_string(format!("{stem}.config.yaml")) {
        Ok(text) => Some(SchedulerConfiguration::read(path, &text).map_err(|errors| errors.to_string())?),
        Err(_) => None,
    };
    let snapshot = Snapshot::read(&[(path.to_owned(), read(path)?)]).map_err(|errors| errors.to_string())?;
    let config = SchedulerConfig { ties: Ties::First, ..settings(configuration.as_ref()) };
    let mut rows = Vec::new();
    let name = stem.rsplit('/').next().unwrap_or(stem);
    // Those recordings were made with preemption on, the others without.
    let manner = Manner { seed: 1, detail: Detail::Nodes, preempt: name.starts_with("preempt-") };
    place(&snapshot, &config, manner, &mut |row| rows.push(row));
    let kind = name.rsplit_once('-').map_or(name, |(kind, _)| kind).to_owned();
    if expect.lines().count() != rows.len() {
        return Err(format!("{} pods are recorded, {} are there", expect.lines().count(), rows.len()));
    }
    for (line, row) in expect.lines().zip(rows) {
        let wanted: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let found = serde_json::to_value(&row).map_err(|error| error.to_string())?;
        let equal = tally.compare(&format!("{name} {}", row.pod), &wanted, &found);
        let (agreeing, all) = tally.rows.entry(kind.clone()).or_default();
        *agreeing += u32::from(equal);
        *all += 1;
    }
    Ok(())
}

impl Tally {
    fn compare(&mut self, pod: &str, wanted: &Value, found: &Value) -> bool {
        let mut equal = true;
        for (field, value) in wanted.as_object().into_iter().flatten() {
            equal &= match field.as_str() {
                "rejected" | "scores" => self.nodes(pod, field, value, &found[field]),
                "preemption" => self.preemption(pod, value, &found[field]),
                _ => self.value(field, value == &found[field], || {
                    format!("{pod}: {field} recorded {value}, here {}", found[field])
                }),
            };
        }
        equal
    }

    fn nodes(&mut self, pod: &str, field: &str, wanted: &Value, found: &Value) -> bool {
        let nodes = |value: &Value| value.as_object().map_or(0, serde_json::Map::len);
        let mut equal = self.value(&format!("{field}: number of nodes"), nodes(wanted) == nodes(found), || {
            format!("{pod}: {field} of {} nodes recorded, here of {}", nodes(wanted), nodes(found))
        });
        for (node, wanted) in wanted.as_object().into_iter().flatten() {
            let (wanted, found) = (sorted(wanted.clone()), sorted(found[node].clone()));
            let plugin = wanted["plugin"].as_str().unwrap_or("all plugins").to_owned();
            equal &= self.value(&format!("{field} by {plugin}"), wanted == found, || {
                format!("{pod} {node}: recorded {wanted}, here {found}")
            });
        }
        equal
    }

    /// Each part of what preemption came to. Start times are left out: the recording has made-up ones, in file order.
    fn preemption(&mut self, pod: &str, wanted: &Value, found: &Value) -> bool {
        let mut wanted = wanted.clone();
        for candidate in wanted["candidates"].as_array_mut().into_iter().flatten() {
            candidate.as_object_mut().map(|it| it.remove("earliestStartOfHighest"));
        }
        let mut equal = true;
        for (part, value) in wanted.as_object().into_iter().flatten() {
            equal &= self.value(&format!("preemption: {part}"), *value == found[part], || {
                format!("{pod}: {part} recorded {value}, here {}", found[part])
            });
        }
        equal
    }

    fn value(&mut self, field: &str, equal: bool, difference: impl Fn() -> String) -> bool {
        let (agreeing, all) = self.fields.entry(field.to_owned()).or_default();
        *all += 1;
        *agreeing += u32::from(equal);
        if !equal && self.shown < SHOWN_MAX {
            self.shown += 1;
            println!("{}", difference());
        }
        equal
    }
}

/// A node's verdict with its reasons sorted.
fn sorted(mut verdict: Value) -> Value {
    if let Some(reasons) = verdict["reasons"].as_array_mut() {
        reasons.sort_by_key(ToString::to_string);
    }
    verdict
}
