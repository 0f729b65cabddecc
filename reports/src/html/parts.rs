//! The page's tables: services, nodes, pods, facts; and its notes.

use super::{ROWS_MAX, escaped, put};
use crate::format::{binary_size, cores, seconds_column, thousands};
use crate::record::{NodeRow, RunRecord};
use crate::tables::total_ns;

pub(super) fn services(record: &RunRecord, page: &mut String) {
    if record.services.is_empty() {
        return;
    }
    *page += "<h2 id=\"services\">Services</h2>\n";
    let columns = [
        "Service",
        "#First ready (s)",
        "#Without endpoints (s)",
        "#Fewest ready",
        "#Ready at the end",
        "#Not ready at the end",
    ];
    table(page, "services-table", &columns, &record.services, "services.csv", |service| {
        vec![
            format!("{}/{}", service.namespace, service.name),
            time(service.first_ready_ns),
            seconds_column(service.without_endpoints_ns),
            thousands(service.ready_min),
            thousands(service.ready_end),
            thousands(service.not_ready_end),
        ]
    });
}

pub(super) fn nodes(record: &RunRecord, page: &mut String) {
    let end_ns = record.summary.duration_ns;
    *page += "<h2 id=\"nodes\">Nodes</h2>\n";
    let columns = [
        "=Node",
        "=Zone",
        "#CPU (cores)",
        "#Memory",
        "#Pods at the end",
        "#Most pods",
        "#Allowed",
        "#Not ready (s)",
        "Not ready from, to (s)",
    ];
    table(page, "nodes-table", &columns, &record.nodes, "nodes.csv", |node| {
        vec![
            node.name.clone(),
            node.zone.clone(),
            cores(node.cpu_milli),
            binary_size(node.memory_bytes),
            thousands(node.pods_end),
            thousands(node.pods_max),
            thousands(node.pods),
            seconds_column(total_ns(&node.not_ready, end_ns)),
            intervals(node),
        ]
    });
}

/// The first few intervals; `nodes.csv` has all.
fn intervals(node: &NodeRow) -> String {
    const SHOWN: usize = 3;
    let shown = node.not_ready.iter().take(SHOWN).map(|interval| match interval.to_ns {
        Some(to_ns) => format!("{}–{}", seconds_column(interval.from_ns), seconds_column(to_ns)),
        None => format!("{}–end", seconds_column(interval.from_ns)),
    });
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if node.not_ready.len() > SHOWN {
        text += &format!(", … ({} in all)", node.not_ready.len());
    }
    text
}

pub(super) fn pods(record: &RunRecord, page: &mut String) {
    *page += "<h2 id=\"pods\">Pods</h2>\n";
    filter(page, "pods-table", "Filter pods: words that a row must contain");
    let columns = [
        "=Pod",
        "=Node",
        "Phase",
        "#Created (s)",
        "#Bound (s)",
        "#Started (s)",
        "#Ready (s)",
        "#Deleted (s)",
        "#Gone (s)",
        "#Restarts",
    ];
    table(page, "pods-table", &columns, &record.pods, "pods.csv", |pod| {
        let phase =
            if pod.reason.is_empty() { pod.phase.to_string() } else { format!("{} ({})", pod.phase, pod.reason) };
        vec![
            format!("{}/{}", pod.namespace, pod.name),
            pod.node.as_deref().unwrap_or("–").to_owned(),
            phase,
            seconds_column(pod.created_ns),
            time(pod.scheduled_ns),
            time(pod.started_ns),
            time(pod.ready_ns),
            time(pod.deleted_ns),
            time(pod.gone_ns),
            thousands(pod.restarts),
        ]
    });
}

pub(super) fn events(record: &RunRecord, page: &mut String) {
    *page += "<h2 id=\"events\">Kubernetes events</h2>\n\
              <details><summary>As <code>kubectl get events</code> shows them</summary>\n";
    filter(page, "events-table", "Filter events: words that a row must contain");
    let columns = ["#First (s)", "#Last (s)", "#Count", "Type", "Reason", "Object", "From", "Message"];
    table(page, "events-table", &columns, &record.events, "events.csv", |event| {
        vec![
            seconds_column(event.first_ns),
            seconds_column(event.last_ns),
            thousands(event.count),
            event.kind.to_string(),
            event.reason.to_string(),
            event.subject.to_string(),
            event.source.to_string(),
            event.message.to_string(),
        ]
    });
    *page += "</details>\n";
}

pub(super) fn facts(record: &RunRecord, page: &mut String) {
    *page += "<h2 id=\"facts\">Facts</h2>\n<details><summary>Every single fact</summary>\n";
    filter(page, "facts-table", "Filter facts: words that a row must contain");
    let columns = ["#Time (s)", "Category", "Subject", "Reason", "Message"];
    table(page, "facts-table", &columns, &record.facts, "facts.csv", |fact| {
        vec![
            seconds_column(fact.time_ns),
            fact.category.to_string(),
            fact.subject.to_string(),
            fact.reason.to_string(),
            fact.message.to_string(),
        ]
    });
    *page += "</details>\n";
}

pub(super) fn notes(record: &RunRecord, page: &mut String) {
    let summary = &record.summary;
    for (title, notes) in [("Warnings", &summary.warnings), ("Given but not modelled", &summary.not_modelled)] {
        if notes.is_empty() {
            continue;
        }
        put(page, format_args!("<h2>{title}</h2>\n<div class=\"card\"><ul class=\"notes\">\n"));
        for note in notes.iter().take(ROWS_MAX) {
            put(page, format_args!("<li>{}</li>\n", escaped(note)));
        }
        *page += "</ul></div>\n";
    }
}

/// The box is hidden until the script runs: without it, it would do nothing.
fn filter(page: &mut String, table: &str, hint: &str) {
    put(
        page,
        format_args!(
            "<input class=\"filter\" type=\"search\" data-filters=\"{table}\" placeholder=\"{hint}\" \
             aria-label=\"{hint}\" hidden>\n"
        ),
    );
}

/// A table of at most [`ROWS_MAX`] rows. A column whose title begins with `#` is set as numbers, one with `=` holds
/// names that stay on one line.
fn table<T>(page: &mut String, id: &str, columns: &[&str], items: &[T], file: &str, cells: impl Fn(&T) -> Vec<String>) {
    put(page, format_args!("<div class=\"card scroll\"><table id=\"{id}\">\n<thead><tr>"));
    for column in columns {
        match column_class(column) {
            ("number", title) => put(page, format_args!("<th class=\"number\">{title}</th>")),
            (_, title) => put(page, format_args!("<th>{title}</th>")),
        }
    }
    *page += "</tr></thead>\n<tbody>\n";
    for item in items.iter().take(ROWS_MAX) {
        let cells = cells(item);
        assert_eq!(cells.len(), columns.len(), "table {id}");
        *page += "<tr>";
        for (cell, column) in cells.iter().zip(columns) {
            put(page, format_args!("<td class=\"{}\">{}</td>", column_class(column).0, escaped(cell)));
        }
        *page += "</tr>\n";
    }
    *page += "</tbody></table></div>\n";
    if items.is_empty() {
        *page += "<p class=\"note\">There were none.</p>\n";
    }
    if items.len() > ROWS_MAX {
        let (shown, all) = (thousands(ROWS_MAX as u64), thousands(items.len() as u64));
        put(
            page,
            format_args!(
                "<p class=\"note\">The first {shown} of {all} rows; <code>{file}</code> has all of them.</p>\n"
            ),
        );
    }
}

/// How the cells of a column are set, and the title without its mark.
fn column_class(column: &str) -> (&'static str, &str) {
    match (column.strip_prefix('#'), column.strip_prefix('=')) {
        (Some(title), _) => ("number", title),
        (None, Some(title)) => ("whole", title),
        (None, None) => ("name", column),
    }
}

fn time(time_ns: Option<u64>) -> String {
    time_ns.map_or("–".to_owned(), seconds_column)
}
