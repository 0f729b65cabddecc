//! CSV tables.
//!
//! Every time has two columns: `…_s`, seconds with nine decimals, and `…_ns`, the same as an integer. Both are exact,
//! and both are empty when the thing did not happen.

use crate::format::seconds_exact;
use crate::record::{Interval, RunRecord, StepSeries, StudyPoint};

/// A file of the run's directory: its path in it and its bytes.
pub(crate) type File = (String, Vec<u8>);

/// All tables of a record.
pub(crate) fn files(record: &RunRecord) -> Result<Vec<File>, csv::Error> {
    let mut files = vec![
        ("facts.csv".to_owned(), facts(record)?),
        ("events.csv".to_owned(), events(record)?),
        ("pods.csv".to_owned(), pods(record)?),
        ("nodes.csv".to_owned(), nodes(record)?),
        ("services.csv".to_owned(), services(record)?),
    ];
    if let Some(study) = &record.summary.study {
        files.push(("study.csv".to_owned(), study_points(&study.points)?));
    }
    for (stem, steps) in record.series.files() {
        files.push((format!("series/{stem}.csv"), series(steps)?));
    }
    Ok(files)
}

const FACT_COLUMNS: &[&str] =
    &["time_s", "time_ns", "seq", "category", "subject", "reason", "message", "by", "targets"];

fn facts(record: &RunRecord) -> Result<Vec<u8>, csv::Error> {
    table(FACT_COLUMNS, &record.facts, |fact, row| {
        row.time(Some(fact.time_ns));
        row.number(fact.seq);
        row.texts(&[&fact.category, &fact.subject, &fact.reason, &fact.message, &fact.by, &fact.targets.join(" ")]);
    })
}

const EVENT_COLUMNS: &[&str] =
    &["first_s", "first_ns", "last_s", "last_ns", "count", "type", "reason", "subject", "source", "message"];

fn events(record: &RunRecord) -> Result<Vec<u8>, csv::Error> {
    table(EVENT_COLUMNS, &record.events, |event, row| {
        row.time(Some(event.first_ns));
        row.time(Some(event.last_ns));
        row.number(event.count);
        row.texts(&[&event.kind, &event.reason, &event.subject, &event.source, &event.message]);
    })
}

const STUDY_COLUMNS: &[&str] = &[
    "demand_percent",
    "allocation_percent",
    "fragmentation_percent",
    "fragmentation_of_idle_percent",
    "unscheduled_pods",
];

fn study_points(points: &[StudyPoint]) -> Result<Vec<u8>, csv::Error> {
    table(STUDY_COLUMNS, points, |point, row| {
        row.number(u64::from(point.demand_percent));
        let values = [
            point.allocation_percent,
            point.fragmentation_percent,
            point.fragmentation_of_idle_percent,
            point.unscheduled_pods,
        ];
        for value in values {
            row.texts(&[&format!("{value:.4}")]);
        }
    })
}

const POD_COLUMNS: &[&str] = &[
    "namespace",
    "name",
    "owner",
    "node",
    "phase",
    "reason",
    "restarts",
    "created_s",
    "created_ns",
    "scheduled_s",
    "scheduled_ns",
    "pulled_s",
    "pulled_ns",
    "started_s",
    "started_ns",
    "ready_s",
    "ready_ns",
    "deleted_s",
    "deleted_ns",
    "gone_s",
    "gone_ns",
];

fn pods(record: &RunRecord) -> Result<Vec<u8>, csv::Error> {
    table(POD_COLUMNS, &record.pods, |pod, row| {
        row.texts(&[&pod.namespace, &pod.name, &pod.owner, pod.node.as_deref().unwrap_or("")]);
        row.texts(&[&pod.phase, &pod.reason]);
        row.number(pod.restarts);
        row.time(Some(pod.created_ns));
        for time_ns in [pod.scheduled_ns, pod.pulled_ns, pod.started_ns, pod.ready_ns, pod.deleted_ns, pod.gone_ns] {
            row.time(time_ns);
        }
    })
}

const NODE_COLUMNS: &[&str] = &[
    "name",
    "zone",
    "cpu_milli",
    "memory_bytes",
    "pods_allocatable",
    "pods_end",
    "pods_max",
    "created_s",
    "created_ns",
    "ready_s",
    "ready_ns",
    "gone_s",
    "gone_ns",
    "not_ready_times",
    "not_ready_s",
    "not_ready_ns",
    "not_ready_intervals_ns",
];

fn nodes(record: &RunRecord) -> Result<Vec<u8>, csv::Error> {
    let end_ns = record.summary.duration_ns;
    table(NODE_COLUMNS, &record.nodes, |node, row| {
        row.texts(&[&node.name, &node.zone]);
        for number in [node.cpu_milli, node.memory_bytes, node.pods, node.pods_end, node.pods_max] {
            row.number(number);
        }
        row.time(Some(node.created_ns));
        row.time(node.ready_ns);
        row.time(node.gone_ns);
        row.number(node.not_ready.len() as u64);
        row.time(Some(total_ns(&node.not_ready, end_ns)));
        let intervals: Vec<String> = node.not_ready.iter().map(interval).collect();
        row.texts(&[&intervals.join(" ")]);
    })
}

const SERVICE_COLUMNS: &[&str] = &[
    "namespace",
    "name",
    "first_ready_s",
    "first_ready_ns",
    "without_endpoints_s",
    "without_endpoints_ns",
    "ready_min",
    "ready_end",
    "not_ready_end",
];

fn services(record: &RunRecord) -> Result<Vec<u8>, csv::Error> {
    table(SERVICE_COLUMNS, &record.services, |service, row| {
        row.texts(&[&service.namespace, &service.name]);
        row.time(service.first_ready_ns);
        row.time(Some(service.without_endpoints_ns));
        for number in [service.ready_min, service.ready_end, service.not_ready_end] {
            row.number(number);
        }
    })
}

fn series(steps: &StepSeries) -> Result<Vec<u8>, csv::Error> {
    let columns: Vec<&str> =
        ["time_s", "time_ns"].into_iter().chain(steps.columns.iter().map(String::as_str)).collect();
    table(&columns, &steps.rows, |(time_ns, values), row| {
        row.time(Some(*time_ns));
        for value in values {
            row.texts(&[&value.to_string()]);
        }
    })
}

/// Time spent in the intervals; an open one ends with the run.
pub(crate) fn total_ns(intervals: &[Interval], end_ns: u64) -> u64 {
    intervals.iter().map(|interval| interval.to_ns.unwrap_or(end_ns).saturating_sub(interval.from_ns)).sum()
}

/// `from..to`, or `from..` for one that lasted to the end.
fn interval(interval: &Interval) -> String {
    match interval.to_ns {
        Some(to_ns) => format!("{}..{to_ns}", interval.from_ns),
        None => format!("{}..", interval.from_ns),
    }
}

fn table<T>(columns: &[&str], items: &[T], fill: impl Fn(&T, &mut Row)) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(columns)?;
    let mut row = Row::default();
    for item in items {
        row.0.clear();
        fill(item, &mut row);
        writer.write_record(&row.0)?;
    }
    writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))
}

/// One row in the making.
#[derive(Default)]
struct Row(csv::StringRecord);

impl Row {
    fn texts(&mut self, texts: &[&str]) {
        for text in texts {
            self.0.push_field(text);
        }
    }

    fn number(&mut self, number: u64) {
        self.0.push_field(&number.to_string());
    }

    fn time(&mut self, time_ns: Option<u64>) {
        self.0.push_field(&time_ns.map(seconds_exact).unwrap_or_default());
        self.0.push_field(&time_ns.map(|time_ns| time_ns.to_string()).unwrap_or_default());
    }
}
