//! `sim diff`: two recorded runs in lockstep, up to the first input in which they differ.
//!
//! Says where the histories part in three steps, from the machine's view to people's: the first input that differs,
//! what exactly is different in it, and the first fact that differs. Absent on purpose: everything after that, which
//! follows from it.

use std::collections::VecDeque;
use std::fmt::Write;
use std::path::PathBuf;

use wavetank_core::facts::Fact;
use wavetank_core::seam::{Input, Msg};
use wavetank_core::time::Time;

use super::source::{Event, Source};
use super::{Exit, Unusable, complain, print};

/// So many common facts before the difference are shown.
const BEFORE_MAX: usize = 4;
/// So many facts of each side are shown from the first different one on.
const AFTER_MAX: usize = 4;
/// So many different lines of one input are shown.
const FIELDS_MAX: usize = 8;
/// A longer line is cut.
const LINE_MAX: usize = 160;
/// So many inputs of each side are looked through for the first different fact.
const SEARCHED_MAX: usize = 10_000_000;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The directory of one run.
    run_a: PathBuf,
    /// The directory of the other run.
    run_b: PathBuf,
}

pub(super) fn run(arguments: Arguments) -> Exit {
    let opened = Source::open(&arguments.run_a).and_then(|a| Ok((a, Source::open(&arguments.run_b)?)));
    let compared = opened.and_then(|(a, b)| compare(Side::new("A", a), Side::new("B", b)).map_err(Unusable));
    match compared {
        Ok((text, exit)) => print(&text, exit),
        Err(Unusable(text)) => {
            complain(&text);
            Exit::BadInput
        }
    }
}

/// One of the two runs.
struct Side {
    name: &'static str,
    source: Source,
    /// Facts that the comparison of facts has not seen yet.
    facts: VecDeque<(Time, Fact)>,
    searched: usize,
}

impl Side {
    fn new(name: &'static str, source: Source) -> Side {
        Side { name, source, facts: VecDeque::new(), searched: 0 }
    }

    /// The next fact; `None` at the run's end.
    fn next_fact(&mut self) -> Result<Option<(Time, Fact)>, String> {
        while self.facts.is_empty() && self.searched < SEARCHED_MAX {
            self.searched += 1;
            let Some(event) = self.source.next()? else { break };
            self.facts.extend(event.facts);
        }
        Ok(self.facts.pop_front())
    }
}

fn compare(mut a: Side, mut b: Side) -> Result<(String, Exit), String> {
    let mut before: VecDeque<(Time, Fact)> = VecDeque::new();
    let mut count = 0u64;
    loop {
        match (a.source.next()?, b.source.next()?) {
            (None, None) => return Ok((format!("the runs are equal: {count} events\n"), Exit::Held)),
            (Some(one), Some(other))
                if one.now == other.now && one.input == other.input && one.facts == other.facts =>
            {
                count += 1;
                before.extend(one.facts);
                while before.len() > BEFORE_MAX {
                    before.pop_front();
                }
            }
            (one, other) => {
                let mut text = format!("the runs differ at event {}\n", count + 1);
                // Writing to a string cannot fail, here and below.
                let _ = writeln!(text, "  {}  {}\n  {}  {}", a.name, told(one.as_ref()), b.name, told(other.as_ref()));
                fields(&mut text, one.as_ref(), other.as_ref());
                a.facts.extend(one.into_iter().flat_map(|event| event.facts));
                b.facts.extend(other.into_iter().flat_map(|event| event.facts));
                facts(&mut text, before, &mut a, &mut b)?;
                return Ok((text, Exit::Differs));
            }
        }
    }
}

/// One input in one line: when, what, and between whom.
fn told(event: Option<&Event>) -> String {
    let Some(event) = event else { return "the run has ended".to_owned() };
    let what = match &event.input {
        Input::Timer(process, kind) => format!("{process}: timer {kind:?}"),
        Input::Message { from, to, body } => format!("{from} to {to}: {}", kind(body)),
        Input::Persisted(revision) => format!("storage: everything up to revision {} is persisted", revision.0),
        Input::Crashed(process) => format!("{process}: crashed"),
        Input::Started(process) => format!("{process}: started"),
    };
    format!("{} s  {what}", seconds(event.now))
}

/// What a message is, in two or three words: the names that its text begins with.
fn kind(body: &Msg) -> String {
    let text = format!("{body:?}");
    let words = text.split(|letter: char| !letter.is_alphanumeric());
    let names = words.filter(|word| word.starts_with(|letter: char| letter.is_ascii_uppercase()));
    // The number of a request is no part of what it is.
    names.filter(|word| *word != "RequestId").take(3).collect::<Vec<_>>().join(" ")
}

/// The lines in which two inputs differ, as `path: A's value / B's value` as far as they can be set side by side.
fn fields(text: &mut String, a: Option<&Event>, b: Option<&Event>) {
    let (Some(a), Some(b)) = (a, b) else { return };
    let (one, other) = (format!("{:#?}", a.input), format!("{:#?}", b.input));
    let (one, other): (Vec<&str>, Vec<&str>) = (one.lines().collect(), other.lines().collect());
    // Inputs of different shapes have nothing to set side by side; their first lines have said what they are.
    if one.len() != other.len() || told_without_time(a) != told_without_time(b) {
        return;
    }
    let pairs: Vec<(usize, (&str, &str))> =
        one.iter().copied().zip(other.iter().copied()).enumerate().filter(|(_, (x, y))| x != y).collect();
    if pairs.is_empty() {
        return;
    }
    text.push_str("different in it\n");
    for (line, (x, y)) in pairs.iter().take(FIELDS_MAX) {
        let path = path(&one, *line);
        let (x, y) = (value(x), value(y));
        let _ = writeln!(text, "  {}", cut(&format!("{path}  {x}  /  {y}")));
    }
    if pairs.len() > FIELDS_MAX {
        let _ = writeln!(text, "  … and {} more fields", pairs.len() - FIELDS_MAX);
    }
}

fn told_without_time(event: &Event) -> String {
    told(Some(event)).split_once("  ").map_or(String::new(), |(_, what)| what.to_owned())
}

/// The names of the fields that enclose a line of an indented text, and its own.
fn path(lines: &[&str], line: usize) -> String {
    let indent = |text: &str| text.len() - text.trim_start().len();
    let name = |text: &str| {
        let field = text.trim().split_once(": ").map(|(name, _)| name.trim_matches('"'));
        field.filter(|name| !name.is_empty()).map(str::to_owned)
    };
    let mut names: Vec<String> = name(lines[line]).into_iter().collect();
    let mut depth = indent(lines[line]);
    for outer in lines[..line].iter().rev() {
        if indent(outer) < depth {
            depth = indent(outer);
            names.extend(name(outer));
        }
    }
    names.reverse();
    if names.is_empty() { "value".to_owned() } else { names.join(".") }
}

/// What stands after a line's field name.
fn value(line: &str) -> &str {
    let line = line.trim().trim_end_matches(',');
    line.split_once(": ").map_or(line, |(_, value)| value)
}

/// The first fact that differs, with what both had told before and what each tells next.
fn facts(text: &mut String, mut before: VecDeque<(Time, Fact)>, a: &mut Side, b: &mut Side) -> Result<(), String> {
    let (mut one, mut other) = (a.next_fact()?, b.next_fact()?);
    while one.is_some() && one == other {
        before.extend(one);
        if before.len() > BEFORE_MAX {
            before.pop_front();
        }
        (one, other) = (a.next_fact()?, b.next_fact()?);
    }
    if one.is_none() && other.is_none() {
        text.push_str("the facts are the same to the end\n");
        return Ok(());
    }
    text.push_str("the last facts that are the same\n");
    for fact in &before {
        tell(text, fact);
    }
    if before.is_empty() {
        text.push_str("  none\n");
    }
    for (side, first) in [(a, one), (b, other)] {
        let _ = writeln!(text, "the next facts of {}", side.name);
        let Some(first) = first else {
            text.push_str("  none: the run has ended\n");
            continue;
        };
        tell(text, &first);
        for _ in 1..AFTER_MAX {
            let Some(fact) = side.next_fact()? else { break };
            tell(text, &fact);
        }
    }
    Ok(())
}

fn tell(text: &mut String, (at, fact): &(Time, Fact)) {
    let line = format!("{:>12} s  {}  {}", seconds(*at), fact.subject, fact.what);
    let _ = writeln!(text, "  {}", cut(&line));
}

/// Seconds to the nanosecond: runs may part by one.
fn seconds(at: Time) -> String {
    format!("{}.{:09}", at.0 / 1_000_000_000, at.0 % 1_000_000_000)
}

fn cut(line: &str) -> String {
    if line.chars().count() <= LINE_MAX {
        return line.to_owned();
    }
    format!("{}…", line.chars().take(LINE_MAX - 1).collect::<String>().trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_named_by_all_that_encloses_it() {
        let text =
            "Message {\n    from: A,\n    body: Response(\n        Node {\n            uid: 3,\n        },\n    ),\n}";
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(path(&lines, 4), "body.uid");
        assert_eq!(value(lines[4]), "3");
        assert_eq!(path(&lines, 0), "value");
    }
}
