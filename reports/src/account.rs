//! The account of a run: its facts, with bursts of like ones folded into one line.
//!
//! Like facts have one category and one reason and, of pods, one owner's worth of company: they follow one another
//! within [`BURST_GAP_NS`]. A fault, an action or an expectation ends every burst, so that what happened before it and
//! what happened after it never share a line. The terminal and the page show the same account.

use std::collections::{BTreeMap, HashSet};

use crate::format::{SECOND_NS, counted, seconds_column};
use crate::record::{FactRow, Text};

/// Like facts that are further apart than this are told apart.
const BURST_GAP_NS: u64 = 5 * SECOND_NS;
/// So many like facts are still told one by one.
const BURST_MIN: u64 = 3;
/// A folded line names so many subjects.
const NAMED_MAX: usize = 3;

/// One line of the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// When the first of its facts happened.
    pub(crate) from_ns: u64,
    pub(crate) weight: Weight,
    pub(crate) category: Text,
    pub(crate) reason: Text,
    /// What it concerns: one subject, or `12 pods`.
    pub(crate) subject: String,
    /// The message of a single fact; of a burst, how long it took and whom it concerned.
    pub(crate) detail: String,
    /// How many facts it stands for.
    pub(crate) facts: u64,
}

impl Line {
    /// Whether it tells of harm: a fault, or an expectation that broke.
    pub(crate) fn alarming(&self) -> bool {
        self.category == "fault" || (self.category == "expectation" && self.reason == "Broken")
    }
}

/// How much a line matters to someone who wants to know what happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Weight {
    /// What was done to the cluster, and what was expected of it.
    Landmark,
    /// What befell a node.
    Node,
    /// Everything else.
    Ordinary,
}

fn weight(category: &str) -> Weight {
    match category {
        "fault" | "action" | "expectation" => Weight::Landmark,
        "node" => Weight::Node,
        _ => Weight::Ordinary,
    }
}

/// The whole account, in order of time.
pub(crate) fn account(facts: &[FactRow]) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut open: BTreeMap<(&str, &str), Burst> = BTreeMap::new();
    for (index, fact) in facts.iter().enumerate() {
        let key = (fact.category.as_str(), fact.reason.as_str());
        let landmark = weight(&fact.category) == Weight::Landmark;
        if landmark {
            // Like landmarks of one instant (200 nodes cut at once) still make one burst.
            let closing: Vec<_> = open.keys().copied().filter(|&other| other != key).collect();
            for other in closing {
                close(facts, open.remove(&other), &mut lines);
            }
        }
        let gap_ns = if landmark { 0 } else { BURST_GAP_NS };
        if open.get(&key).is_some_and(|burst| fact.time_ns - burst.last_ns > gap_ns) {
            close(facts, open.remove(&key), &mut lines);
        }
        let burst = open.entry(key).or_insert(Burst { members: vec![], last_ns: fact.time_ns });
        burst.members.push(index);
        burst.last_ns = fact.time_ns;
    }
    for (_, burst) in open {
        close(facts, Some(burst), &mut lines);
    }
    lines.sort_by_key(|&(first, _)| first);
    lines.into_iter().map(|(_, line)| line).collect()
}

/// The account cut to `most` lines: the weightiest stay, then the earliest. Also returns how many facts were cut.
pub(crate) fn cut(lines: Vec<Line>, most: usize) -> (Vec<Line>, u64) {
    if lines.len() <= most {
        return (lines, 0);
    }
    let mut order: Vec<usize> = (0..lines.len()).collect();
    order.sort_by_key(|&index| (lines[index].weight, index));
    let mut kept = vec![false; lines.len()];
    for &index in &order[..most] {
        kept[index] = true;
    }
    let cut = lines.iter().zip(&kept).filter(|(_, kept)| !**kept).map(|(line, _)| line.facts).sum();
    (lines.into_iter().zip(kept).filter(|(_, kept)| *kept).map(|(line, _)| line).collect(), cut)
}

/// Like facts that follow one another, as indices.
struct Burst {
    members: Vec<usize>,
    last_ns: u64,
}

/// Turns a burst into its line, or into one line per fact when there are few; each with the index of its first fact.
fn close(facts: &[FactRow], burst: Option<Burst>, lines: &mut Vec<(usize, Line)>) {
    let Some(burst) = burst else { return };
    if (burst.members.len() as u64) < BURST_MIN {
        lines.extend(burst.members.iter().map(|&index| (index, single(&facts[index]))));
        return;
    }
    lines.push((burst.members[0], folded(facts, &burst)));
}

fn single(fact: &FactRow) -> Line {
    Line {
        from_ns: fact.time_ns,
        weight: weight(&fact.category),
        category: fact.category.clone(),
        reason: fact.reason.clone(),
        subject: plain(&fact.subject),
        detail: if repeats(&fact.reason, &fact.message) { String::new() } else { fact.message.to_string() },
        facts: 1,
    }
}

fn folded(facts: &[FactRow], burst: &Burst) -> Line {
    let first = &facts[burst.members[0]];
    let mut subjects: Vec<&str> = Vec::new();
    let mut distinct = HashSet::new();
    for &index in &burst.members {
        let subject = facts[index].subject.as_str();
        if distinct.insert(subject) && subjects.len() < NAMED_MAX {
            subjects.push(short_name(subject));
        }
    }
    let (count, times) = (distinct.len() as u64, burst.members.len() as u64);
    let more = if count > NAMED_MAX as u64 { ", …" } else { "" };
    let mut detail = match burst.last_ns {
        last_ns if last_ns == first.time_ns => "all at once".to_owned(),
        last_ns => format!("until {} s", seconds_column(last_ns)),
    };
    if times > count {
        detail += &format!(", {times} times");
    }
    let message = burst.members.iter().all(|&index| facts[index].message == first.message);
    if message && !first.message.is_empty() && !repeats(&first.reason, &first.message) {
        detail += &format!(": {}", first.message);
    }
    if count > 1 {
        detail += &format!(" ({}{more})", subjects.join(", "));
    }
    Line {
        from_ns: first.time_ns,
        weight: weight(&first.category),
        category: first.category.clone(),
        reason: first.reason.clone(),
        subject: if count == 1 { plain(&first.subject) } else { counted(count, &first.category) },
        detail,
        facts: times,
    }
}

/// A subject without the namespace `default`, as kubectl shows it: `pod/web-abc` of `pod/default/web-abc`.
pub(crate) fn plain(subject: &str) -> String {
    subject.replacen("/default/", "/", 1)
}

/// Whether a message says what its reason says already: `deletion requested` beside `DeletionRequested`.
fn repeats(reason: &str, message: &str) -> bool {
    let letters = |text: &str| text.chars().filter(|letter| *letter != ' ').collect::<String>().to_lowercase();
    letters(reason).ends_with(&letters(message))
        || matches!((reason, message), ("Deleted", "gone") | ("Unready", "not ready"))
}

/// The last part of a subject: `web-abc` of `pod/default/web-abc`.
fn short_name(subject: &str) -> &str {
    subject.rsplit('/').next().unwrap_or(subject)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(seconds: u64, category: &str, subject: &str, reason: &str) -> FactRow {
        FactRow::new((seconds * SECOND_NS, 0), category, subject, reason, "")
    }

    fn told(facts: &[FactRow]) -> Vec<String> {
        let line = |line: Line| format!("{} {} {}", line.from_ns / SECOND_NS, line.subject, line.reason);
        account(facts).into_iter().map(line).collect()
    }

    #[test]
    fn a_burst_is_one_line_and_interleaved_bursts_do_not_break_each_other() {
        let mut facts = Vec::new();
        for index in 0..12 {
            let pod = format!("pod/default/web-{index}");
            facts.push(fact(index / 4, "pod", &pod, "Scheduled"));
            facts.push(fact(index / 4, "pod", &pod, "Started"));
        }
        assert_eq!(told(&facts), ["0 12 pods Scheduled", "0 12 pods Started"]);
        assert_eq!(account(&facts)[0].detail, "until 2.000 s (web-0, web-1, web-2, …)");
    }

    #[test]
    fn nothing_is_said_twice() {
        assert!(repeats("NodeReady", "ready") && repeats("DeletionRequested", "deletion requested"));
        assert!(!repeats("Unready", "not ready (lost)") && !repeats("Scheduled", "bound to worker-1"));
        assert_eq!(plain("pod/default/web"), "pod/web");
        assert_eq!(plain("pod/other/web"), "pod/other/web");
    }

    #[test]
    fn a_fault_ends_every_burst() {
        let pods = |from: u64| (from..from + 3).map(|index| fact(1, "pod", &format!("pod/a/{index}"), "Started"));
        let mut facts: Vec<FactRow> = pods(0).collect();
        facts.push(fact(1, "fault", "node/n1", "Crash"));
        facts.extend(pods(3));
        assert_eq!(told(&facts), ["1 3 pods Started", "1 node/n1 Crash", "1 3 pods Started"]);
    }

    #[test]
    fn two_facts_of_a_kind_keep_their_own_lines_and_a_pause_parts_a_burst() {
        let facts: Vec<FactRow> =
            [0, 1, 100, 101, 102].map(|seconds| fact(seconds, "pod", &format!("pod/a/{seconds}"), "Killing")).into();
        assert_eq!(told(&facts), ["0 pod/a/0 Killing", "1 pod/a/1 Killing", "100 3 pods Killing"]);
    }

    #[test]
    fn a_cut_account_keeps_the_faults() {
        let mut facts: Vec<FactRow> = (0..100).map(|index| fact(index * 10, "pod", "pod/a/x", "BackOff")).collect();
        facts.push(fact(2_000, "fault", "node/n1", "Crash"));
        let (lines, cut_facts) = cut(account(&facts), 10);
        assert_eq!((lines.len(), cut_facts), (10, 91));
        assert_eq!(lines.last().map(|line| line.reason.as_str()), Some("Crash"));
    }
}
