//! The terminal's account of a run.

use crate::account::{Line, Weight, account, cut};
use crate::format::{duration, seconds_column, thousands};
use crate::record::{ExpectationResult, RunRecord, World};

/// A longer account is cut; `facts.csv` has all of it.
const LINES_MAX: usize = 150;
/// A narrower terminal is written to as if it were this wide.
const WIDTH_MIN: usize = 60;
/// A layout is good that leaves so many columns for the details.
const DETAIL_GOOD: usize = 50;
/// A detail that would be clipped to less than this says nothing and is left out.
const DETAIL_MIN: usize = 12;

/// What happened, whether the expectations held, and the run's fingerprint and digest, for a terminal `width` columns
/// wide, with ANSI colours if `colour`. Ends with a line feed.
pub fn render_account(record: &RunRecord, width: usize, colour: bool) -> String {
    let mut page = Page::new(width, colour);
    page.account(record);
    page.expectations(&record.summary.expectations);
    page.notes(record);
    page.identity(record);
    page.text
}

/// How a stretch of text is shown.
#[derive(Clone, Copy)]
pub(crate) enum Look {
    Plain,
    Bold,
    Dim,
    Good,
    Bad,
    Notable,
}

impl Look {
    fn code(self) -> &'static str {
        match self {
            Look::Plain => "",
            Look::Bold => "\u{1b}[1m",
            Look::Dim => "\u{1b}[2m",
            Look::Good => "\u{1b}[32m",
            Look::Bad => "\u{1b}[1;31m",
            Look::Notable => "\u{1b}[33m",
        }
    }
}

pub(crate) struct Page {
    pub(crate) text: String,
    pub(crate) width: usize,
    colour: bool,
}

impl Page {
    pub(crate) fn new(width: usize, colour: bool) -> Page {
        Page { text: String::new(), width: width.max(WIDTH_MIN), colour }
    }

    fn account(&mut self, record: &RunRecord) {
        self.heading("What happened");
        let (lines, cut_facts) = cut(account(&record.facts), LINES_MAX);
        if lines.is_empty() {
            self.line(&[(Look::Dim, "  nothing")]);
        }
        let time_width = columns(&seconds_column(record.summary.duration_ns));
        let layout = Layout::of(&lines, time_width, self.width);
        for line in &lines {
            self.account_line(line, &layout);
        }
        if cut_facts > 0 {
            let note = format!("  … {} more facts; with --out DIR, facts.csv has them all", thousands(cut_facts));
            self.line(&[(Look::Dim, &note)]);
        }
    }

    fn account_line(&mut self, line: &Line, layout: &Layout) {
        let time = format!("{:>1$} s", seconds_column(line.from_ns), layout.time_width);
        let reason = printable(&line.reason);
        let most = self.width.saturating_sub(2 + columns(&time) + 2 + 2 + columns(&reason));
        let subject = padded(&clipped(&printable(&line.subject), most), layout.subject_width);
        let overflows = columns(&subject) > layout.subject_width;
        let reason = padded(&reason, if overflows { 0 } else { layout.reason_width });
        let used = 2 + columns(&time) + 2 + columns(&subject) + 2 + columns(&reason) + 2;
        let room = self.width.saturating_sub(used);
        let detail = if room < DETAIL_MIN { String::new() } else { clipped(&printable(&line.detail), room) };
        let look = match line.weight {
            Weight::Landmark if line.alarming() => Look::Bad,
            Weight::Landmark => Look::Bold,
            Weight::Node => Look::Notable,
            Weight::Ordinary => Look::Plain,
        };
        self.line(&[
            (Look::Dim, "  "),
            (Look::Dim, &time),
            (Look::Plain, "  "),
            (look, &subject),
            (Look::Plain, "  "),
            (look, &reason),
            (Look::Plain, "  "),
            (Look::Dim, &detail),
        ]);
    }

    fn expectations(&mut self, expectations: &[ExpectationResult]) {
        self.heading("Expectations");
        if expectations.is_empty() {
            self.line(&[(Look::Dim, "  the scenario has none")]);
            return;
        }
        let when =
            |one: &ExpectationResult| one.at_ns.map_or(String::new(), |at_ns| format!("{} s", seconds_column(at_ns)));
        let when_width = expectations.iter().map(|one| columns(&when(one))).max().unwrap_or(0);
        for one in expectations {
            let (mark, look) = if one.held { ("✔", Look::Good) } else { ("✘", Look::Bad) };
            let mut when = format!("{:>when_width$}  ", when(one));
            for (index, part) in wrapped(&printable(&one.name), self.width - when_width - 6).iter().enumerate() {
                let mark = if index == 0 { mark } else { " " };
                self.line(&[
                    (look, "  "),
                    (look, mark),
                    (Look::Plain, " "),
                    (Look::Dim, &when),
                    (if one.held { Look::Plain } else { Look::Bad }, part),
                ]);
                when = " ".repeat(when_width + 2);
            }
            // A broken expectation tells all of itself, over as many lines as that needs.
            let condition = format!("{} {}", one.kind.name(), printable(&one.expression));
            let rest: &[&str] = if one.held { &[] } else { &[&condition, &one.place] };
            for text in std::iter::once(&one.evidence.as_str()).chain(rest).filter(|text| !text.is_empty()) {
                for part in wrapped(&printable(text), self.width - when_width - 6) {
                    let margin = " ".repeat(when_width + 6);
                    self.line(&[(Look::Dim, &margin), (if one.held { Look::Dim } else { Look::Plain }, &part)]);
                }
            }
        }
        let held = expectations.iter().filter(|one| one.held).count();
        let verdict = format!("  {held} of {} held", expectations.len());
        self.line(&[(if held == expectations.len() { Look::Good } else { Look::Bad }, &verdict)]);
    }

    fn notes(&mut self, record: &RunRecord) {
        for (title, notes) in [("Warnings", &record.summary.warnings), ("Not modelled", &record.summary.not_modelled)] {
            if notes.is_empty() {
                continue;
            }
            self.heading(title);
            for note in notes {
                for (index, part) in wrapped(&printable(note), self.width - 4).into_iter().enumerate() {
                    self.line(&[(Look::Notable, if index == 0 { "  - " } else { "    " }), (Look::Plain, &part)]);
                }
            }
        }
    }

    fn identity(&mut self, record: &RunRecord) {
        let summary = &record.summary;
        self.text.push('\n');
        let time = if summary.world == World::Sim { " of virtual time" } else { "" };
        let length = format!("{}{time}, {} events", duration(summary.duration_ns), thousands(summary.events));
        let seed = summary.seed.to_string();
        for (name, value) in [
            ("length     ", &length),
            ("seed       ", &seed),
            ("fingerprint", &summary.fingerprint),
            ("digest     ", &summary.digest),
        ] {
            self.line(&[(Look::Dim, "  "), (Look::Dim, name), (Look::Plain, "  "), (Look::Plain, value)]);
        }
        for method in &summary.methods {
            for (index, part) in wrapped(&printable(method), self.width - 15).into_iter().enumerate() {
                let name = if index == 0 { "model      " } else { "           " };
                self.line(&[(Look::Dim, "  "), (Look::Dim, name), (Look::Plain, "  "), (Look::Plain, &part)]);
            }
        }
    }

    pub(crate) fn heading(&mut self, title: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.line(&[(Look::Bold, title)]);
    }

    /// One line without trailing blanks.
    pub(crate) fn line(&mut self, parts: &[(Look, &str)]) {
        let last = parts.iter().rposition(|(_, text)| !text.trim_end().is_empty()).map_or(0, |last| last + 1);
        for (index, (look, text)) in parts[..last].iter().enumerate() {
            let text = if index + 1 == last { text.trim_end() } else { text };
            let code = if self.colour && !text.trim().is_empty() { look.code() } else { "" };
            self.text.push_str(code);
            self.text.push_str(text);
            if !code.is_empty() {
                self.text.push_str("\u{1b}[0m");
            }
        }
        self.text.push('\n');
    }
}

/// How the account's columns are set. A name that is wider than its column pushes the rest of its line to the right,
/// where details are clipped; a name is clipped only where not even its reason would find room.
struct Layout {
    time_width: usize,
    subject_width: usize,
    reason_width: usize,
}

impl Layout {
    /// The most orderly of three ways that leaves the details room: every subject fits its column; landmarks (whose
    /// names are sentences) overflow theirs; reasons have no column at all.
    fn of(lines: &[Line], time_width: usize, width: usize) -> Layout {
        let widest = |part: fn(&Line) -> &str, all: bool| {
            let counted = lines.iter().filter(|line| all || line.weight != Weight::Landmark);
            counted.map(|line| columns(part(line))).max().unwrap_or(0)
        };
        let subject: fn(&Line) -> &str = |line| &line.subject;
        let reason_width = widest(|line| &line.reason, true);
        let ways = [(widest(subject, true), reason_width), (widest(subject, false).min(width / 2), reason_width)];
        let room = |(subject, reason): &(usize, usize)| width.saturating_sub(time_width + 10 + subject + reason);
        let fitting = ways.into_iter().find(|way| room(way) >= DETAIL_GOOD);
        let (subject_width, reason_width) = fitting.unwrap_or((ways[1].0, 0));
        Layout { time_width, subject_width, reason_width }
    }
}

/// What a scenario's author wrote must not steer the terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// Columns that a text takes; wide letters count as one, as names in Kubernetes are ASCII.
pub(crate) fn columns(text: &str) -> usize {
    text.chars().count()
}

pub(crate) fn padded(text: &str, width: usize) -> String {
    format!("{text:<width$}")
}

/// At most `width` columns, with an ellipsis for what is cut at the end.
fn clipped(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    if width == 0 { String::new() } else { format!("{}…", kept.trim_end()) }
}

/// Breaks a text at blanks into lines of at most `width` columns; a longer word is broken where it must.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let mut letters: Vec<char> = word.chars().collect();
        while !letters.is_empty() {
            let line = lines.last_mut().expect("there is always a line");
            let gap = usize::from(!line.is_empty());
            let room = width.saturating_sub(columns(line) + gap);
            if letters.len() <= room || line.is_empty() {
                let part: String = letters.drain(..letters.len().min(width)).collect();
                line.push_str(if gap == 1 { " " } else { "" });
                line.push_str(&part);
            } else {
                lines.push(String::new());
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_broken_at_blanks_and_long_words_anywhere() {
        assert_eq!(wrapped("ready pods of web fell to 9", 12), ["ready pods", "of web fell", "to 9"]);
        assert_eq!(wrapped("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrapped("", 4), [""]);
    }

    #[test]
    fn no_line_of_the_account_is_wider_than_the_terminal() {
        let line = Line {
            from_ns: 390_000_000_000,
            weight: Weight::Landmark,
            category: "expectation".into(),
            reason: "Held".into(),
            subject: "the drained node keeps its pod as long as the crashed one's is not replaced".to_owned(),
            detail: "true from 60s to 390s".to_owned(),
            facts: 1,
        };
        for width in [60, 80, 100, 140] {
            let mut page = Page::new(width, false);
            page.account_line(&line, &Layout::of(std::slice::from_ref(&line), 7, width));
            let told = page.text.trim_end();
            assert!(columns(told) <= width && told.contains("  Held"), "{width}: {told}");
            assert_eq!(told.contains('…'), width < 100, "{width}: {told}");
        }
    }

    #[test]
    fn a_clipped_text_says_so() {
        assert_eq!(clipped("deployment", 6), "deplo…");
        assert_eq!(clipped("web", 3), "web");
    }
}
