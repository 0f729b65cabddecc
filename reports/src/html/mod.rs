//! `report.html`: one page that needs nothing else, neither files nor network.
//!
//! Invariant: every string of the record goes through [`escaped`]. The plots are the same SVG documents as in `plots/`;
//! the style sheet swaps their neutral inks in dark mode.

mod parts;

use std::fmt::Write;

use crate::account::{Weight, account, cut};
use crate::format::{duration, seconds_column, thousands};
use crate::plots::{Picture, Shown};
use crate::record::{ExpectationResult, RunRecord, World};

/// The account's most lines on the page.
const ACCOUNT_MAX: usize = 400;
/// The most rows of facts, pods and nodes on the page each; the tables beside it have all.
const ROWS_MAX: usize = 2_000;

/// The page of a record, with its figures and their SVG documents.
pub(crate) fn page(record: &RunRecord, figures: &[(&Shown, &str)]) -> String {
    let mut page = String::with_capacity(1 << 16);
    let title = escaped(&record.summary.scenario);
    page += "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
    page += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
    put(&mut page, format_args!("<title>{title} · Wavetank run report</title>\n"));
    put(&mut page, format_args!("<style>\n{}</style>\n</head>\n<body>\n<main>\n", include_str!("style.css")));
    head(record, &mut page);
    expectations(&record.summary.expectations, &mut page);
    parts::notes(record, &mut page);
    plots(figures, &mut page);
    timeline(record, &mut page);
    parts::services(record, &mut page);
    parts::nodes(record, &mut page);
    parts::pods(record, &mut page);
    parts::events(record, &mut page);
    parts::facts(record, &mut page);
    reproduce(record, &mut page);
    put(&mut page, format_args!("<footer>Wavetank {}. ", escaped(&record.summary.wavetank_version)));
    let clock = if record.summary.world == World::Sim { "virtual seconds" } else { "seconds" };
    put(&mut page, format_args!("Times are {clock} since the start of the run.</footer>\n</main>\n"));
    put(&mut page, format_args!("<script>\n{}</script>\n</body>\n</html>\n", include_str!("filter.js")));
    page
}

fn head(record: &RunRecord, page: &mut String) {
    let summary = &record.summary;
    *page += "<header>\n<p class=\"kicker\">Wavetank run report</p>\n";
    put(page, format_args!("<h1>{}</h1>\n", escaped(&summary.scenario)));
    if !summary.description.is_empty() {
        put(page, format_args!("<p>{}</p>\n", escaped(&summary.description)));
    }
    *page += "</header>\n";
    let broken = summary.expectations.iter().filter(|one| !one.held).count();
    let all = summary.expectations.len();
    let (mut class, mut verdict) = match (all, broken) {
        (0, _) => ("none", "The scenario has no expectations.".to_owned()),
        (1, 0) => ("held", "The expectation held.".to_owned()),
        (_, 0) => ("held", format!("All {all} expectations held.")),
        _ => ("broken", format!("{broken} of {all} expectations broken.")),
    };
    if let Some(pinned) = &summary.pinned_fingerprint {
        class = "broken";
        verdict += &format!(" The scenario pins fingerprint {pinned}, the run has {}.", summary.fingerprint);
    }
    put(page, format_args!("<div class=\"card verdict {class}\">{}</div>\n", escaped(&verdict)));
    let services = if record.services.is_empty() { "" } else { "<a href=\"#services\">Services</a>" };
    *page += "<nav><a href=\"#expectations\">Expectations</a><a href=\"#plots\">Plots</a>\
              <a href=\"#account\">What happened</a>";
    *page += services;
    *page += "<a href=\"#nodes\">Nodes</a><a href=\"#pods\">Pods</a><a href=\"#events\">Events</a>\
              <a href=\"#facts\">Facts</a><a href=\"#reproduce\">Reproduce</a></nav>\n";
    identity(record, page);
}

fn identity(record: &RunRecord, page: &mut String) {
    let (summary, counts) = (&record.summary, &record.summary.counts);
    let world = match summary.world {
        World::Sim => "simulated",
        World::Real => "real (Docker)",
    };
    let items = [
        ("World", format!("{world}, {} control plane", summary.fidelity)),
        ("Mirrors", format!("Kubernetes {}", summary.kubernetes_version)),
        ("Length", duration(summary.duration_ns)),
        ("Events", thousands(summary.events)),
        ("Nodes ready at the end", format!("{} of {}", thousands(counts.nodes_ready_end), thousands(counts.nodes))),
        ("Pods created, deleted", format!("{}, {}", thousands(counts.pods_created), thousands(counts.pods_deleted))),
        (
            "Pods running, pending at the end",
            format!("{}, {}", thousands(counts.pods_running_end), thousands(counts.pods_pending_end)),
        ),
        ("Faults, restarts", format!("{}, {}", thousands(counts.faults), thousands(counts.restarts))),
    ];
    *page += "<h2>Run</h2>\n<div class=\"card\"><dl class=\"facts\">\n";
    for (name, value) in items {
        put(page, format_args!("<div><dt>{name}</dt><dd>{}</dd></div>\n", escaped(&value)));
    }
    for method in &summary.methods {
        put(page, format_args!("<div class=\"wide\"><dt>Model</dt><dd>{}</dd></div>\n", escaped(method)));
    }
    for (name, value) in [
        ("Seed", &summary.seed.to_string()),
        ("Fingerprint", &summary.fingerprint),
        ("Digest", &summary.digest),
        ("Scenario file", &summary.file),
    ] {
        put(page, format_args!("<div><dt>{name}</dt><dd class=\"mono\">{}</dd></div>\n", escaped(value)));
    }
    *page += "</dl></div>\n";
}

fn expectations(expectations: &[ExpectationResult], page: &mut String) {
    *page += "<h2 id=\"expectations\">Expectations</h2>\n<div class=\"card\">\n";
    if expectations.is_empty() {
        *page += "<p class=\"note\">The scenario has none.</p>\n";
    }
    *page += "<ul class=\"expectations\">\n";
    for one in expectations {
        let (class, mark) = if one.held { ("held", "✔") } else { ("broken", "✘") };
        let word = if one.held { "held" } else { "broken" };
        let when = one.at_ns.map_or(word.to_owned(), |at_ns| format!("{word} at {} s", seconds_column(at_ns)));
        put(page, format_args!("<li class=\"{class}\"><span class=\"mark\">{mark}</span>"));
        put(page, format_args!("<span class=\"name\">{}</span><span class=\"when\">{when}</span>", escaped(&one.name)));
        put(
            page,
            format_args!("<span class=\"rest\"><code>{} {}</code></span>", one.kind.name(), escaped(&one.expression)),
        );
        put(
            page,
            format_args!(
                "<span class=\"rest\">{} <span class=\"mono\">({})</span></span></li>\n",
                escaped(&one.evidence),
                escaped(&one.place)
            ),
        );
    }
    *page += "</ul>\n</div>\n";
}

fn plots(figures: &[(&Shown, &str)], page: &mut String) {
    *page += "<h2 id=\"plots\">Plots</h2>\n";
    for (figure, svg) in figures {
        put(page, format_args!("<figure class=\"card\" id=\"plot-{}\">\n", escaped(figure.stem())));
        put(
            page,
            format_args!(
                "{}</figure>\n",
                svg.replacen("<svg ", &format!("<svg role=\"img\" aria-label=\"{}\" ", escaped(figure.title())), 1)
            ),
        );
    }
}

fn timeline(record: &RunRecord, page: &mut String) {
    let (lines, cut_facts) = cut(account(&record.facts), ACCOUNT_MAX);
    *page += "<h2 id=\"account\">What happened</h2>\n<div class=\"card scroll\"><table>\n";
    *page += "<thead><tr><th class=\"number\">Time (s)</th>\
              <th>Subject</th><th>Event</th><th>Detail</th></tr></thead>\n<tbody>\n";
    for line in &lines {
        let class = match line.weight {
            Weight::Landmark if line.alarming() => "alarm",
            Weight::Landmark => "landmark",
            Weight::Node => "node",
            Weight::Ordinary => "ordinary",
        };
        put(
            page,
            format_args!(
                "<tr class=\"{class}\"><td class=\"number\">{}</td><td class=\"name\">{}</td>\
                 <td class=\"reason\">{}</td><td class=\"soft\">{}</td></tr>\n",
                seconds_column(line.from_ns),
                escaped(&line.subject),
                escaped(&line.reason),
                escaped(&line.detail),
            ),
        );
    }
    *page += "</tbody></table></div>\n";
    if cut_facts > 0 {
        let cut_facts = thousands(cut_facts);
        put(
            page,
            format_args!(
                "<p class=\"note\">{cut_facts} more facts are not told here; \
                 <code>facts.csv</code> has all of them.</p>\n"
            ),
        );
    }
}

/// A run's directory holds all that its repetition needs, so the command names no file of the user's.
fn reproduce(record: &RunRecord, page: &mut String) {
    *page += "<h2 id=\"reproduce\">How to reproduce</h2>\n<div class=\"card\">\n";
    *page += "<p>In the directory of this report, which holds everything that went into the run:</p>\n";
    *page += "<pre>sim replay .</pre>\n";
    if record.summary.world == World::Sim {
        put(
            page,
            format_args!(
                "<p class=\"note\">Wavetank {} gives the fingerprint <code>{}</code> on any machine.</p>\n",
                escaped(&record.summary.wavetank_version),
                escaped(&record.summary.fingerprint)
            ),
        );
    }
    *page += "</div>\n";
}

/// The text with everything that HTML gives a meaning to written as what it is.
pub(crate) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            _ if letter.is_control() => safe.push(' '),
            _ => safe.push(letter),
        }
    }
    safe
}

/// Appends formatted text.
fn put(page: &mut String, text: std::fmt::Arguments<'_>) {
    page.write_fmt(text).expect("a string takes any text");
}

#[cfg(test)]
mod tests {
    use crate::plots::theme;

    #[test]
    fn dark_mode_knows_every_neutral_ink_of_the_plots() {
        let style = include_str!("style.css");
        for (attribute, ink) in [
            ("fill", theme::PAPER),
            ("fill", theme::INK),
            ("fill", theme::INK_SOFT),
            ("stroke", theme::INK_SOFT),
            ("stroke", theme::GRID),
            ("stroke", theme::AXIS),
            ("fill", theme::VERMILLION),
        ] {
            let selector = format!("[{attribute}=\"{}\"]", ink.hex());
            assert!(style.contains(&selector), "style.css has no rule for {selector}");
        }
    }
}
