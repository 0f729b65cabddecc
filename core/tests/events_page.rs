//! `docs/events.md` and the code say the same events: what is listed is said somewhere, what is said is listed, and
//! what is left out is said nowhere.

#![expect(clippy::disallowed_methods, reason = "the test reads the sources; the core does not")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// After these an event's reason is the next text, or the one after the component's name.
const SAYINGS: [&str; 15] = [
    "Event::normal(",
    "Event::warning(",
    "say_of_node(ctx,",
    "warn_of_node(ctx,",
    "self.say(place,",
    "self.warn(place,",
    "life.warn(place,",
    "say_of_pod(",
    "warn_pod(",
    "events::say(ctx,",
    "events::warn(ctx,",
    "fail(plan, volume,",
    "lost(",
    "failed(\"",
    "Rejection::new(",
];

/// How far the text may be from there.
const REACH: usize = 60;

/// Reasons that are chosen before the event is made.
const CHOSEN: [&str; 27] = [
    "DeadlineExceeded",
    "SuccessfulCreate",
    "SuccessfulUpdate",
    "SuccessfulDelete",
    "FailedCreate",
    "FailedUpdate",
    "FailedDelete",
    "Suspended",
    "Resumed",
    "WaitForFirstConsumer",
    "WaitForPodScheduled",
    "NodeHasSufficientMemory",
    "NodeHasNoDiskPressure",
    "NodeHasSufficientPID",
    "NodeHasInsufficientMemory",
    "NodeHasDiskPressure",
    "NodeHasInsufficientPID",
    "NodeReady",
    "NodeNotReady",
    "NodeSchedulable",
    "NodeNotSchedulable",
    "ReplicaSetCreateError",
    "ClaimLost",
    "ClaimMisbound",
    "FailedToCreateEndpoint",
    "FailedToUpdateEndpoint",
    "Preempting",
];

fn sources(folder: &Path, texts: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("a folder of the crate can be read") {
        let path = entry.expect("an entry can be read").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && name != "tests" && name != "testbed" {
            sources(&path, texts);
        } else if name.ends_with(".rs") && name != "tests.rs" {
            let text = fs::read_to_string(&path).expect("a source file can be read");
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            let code: Vec<&str> = code.take_while(|line| line.trim() != "#[cfg(test)]" || name == "mod.rs").collect();
            texts.push(code.join("\n"));
        }
    }
}

fn is_reason(word: &str) -> bool {
    let mut letters = word.chars();
    letters.next().is_some_and(|first| first.is_ascii_uppercase()) && letters.all(|it| it.is_ascii_alphanumeric())
}

/// The reasons that the code says, as far as they are written where it says them.
fn said(texts: &[String]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for text in texts {
        for saying in SAYINGS {
            for (at, _) in text.match_indices(saying) {
                let rest = &text[at + saying.trim_end_matches('"').len()..];
                let mut parts = rest.splitn(5, '"');
                let [before, first, between, second] = [(); 4].map(|()| parts.next().unwrap_or_default());
                if before.len() > REACH || before.contains(';') {
                    continue;
                }
                let word = if between.trim() == "," && !is_reason(first) { second } else { first };
                if is_reason(word) {
                    found.insert(word.to_owned());
                }
            }
        }
    }
    found
}

/// The reasons in the first column of the page's tables: those that are said, and those that are left out.
fn listed() -> [BTreeSet<String>; 2] {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/events.md");
    let page = fs::read_to_string(page).expect("the page is there");
    let (said, left_out) = page.split_once("## Left out").expect("the page has this heading");
    [said, left_out].map(|part| {
        let rows = part.lines().filter_map(|line| line.strip_prefix("| `"));
        rows.filter_map(|row| Some(row.split_once('`')?.0.to_owned())).collect()
    })
}

#[test]
fn the_page_on_events_lists_what_is_said_and_nothing_else() {
    let mut texts = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut texts);
    let [listed, left_out] = listed();
    assert!(listed.len() > 80, "the page's tables are found: {}", listed.len());
    assert!(left_out.len() > 30, "and what is left out: {}", left_out.len());

    let mut said = said(&texts);
    assert!(said.len() > 60, "the walk finds what is said: {said:?}");
    for reason in CHOSEN {
        let literal = format!("\"{reason}\"");
        assert!(texts.iter().any(|text| text.contains(&literal)), "{reason} is a text of the code");
        said.insert(reason.to_owned());
    }
    let unlisted: Vec<&String> = said.difference(&listed).collect();
    assert!(unlisted.is_empty(), "said, but not in docs/events.md: {unlisted:?}");
    let unsaid: Vec<&String> = listed.difference(&said).collect();
    assert!(unsaid.is_empty(), "in docs/events.md, but nobody says it: {unsaid:?}");
    let both: Vec<&String> = left_out.intersection(&said).collect();
    assert!(both.is_empty(), "left out in docs/events.md, but said: {both:?}");
}
