//! A story for the terminal.

use super::Story;
use crate::account::plain;
use crate::format::seconds_column;
use crate::text::{Look, Page, columns, padded, printable, wrapped};

/// Texts get at least so many columns, whatever the terminal has.
const TEXT_MIN: usize = 24;
/// How much deeper each cause stands than what it caused.
const DEEPER: usize = 2;

/// The story for a terminal `width` columns wide, with ANSI colours if `colour`: each step in a line, its causes
/// below it, each under what it caused. Ends with a line feed.
pub fn render_story(story: &Story, width: usize, colour: bool) -> String {
    let mut page = Page::new(width, colour);
    page.heading(&printable(&plain(&story.subject)));
    if !story.owner.is_empty() {
        page.line(&[(Look::Dim, &format!("  controlled by {}", printable(&plain(&story.owner))))]);
    }
    let own = plain(&story.subject);
    let time = |ns: u64| format!("{} s", seconds_column(ns));
    let time_width = story.lines.iter().map(|step| columns(&time(step.time_ns))).max().unwrap_or(0);
    let reason_width = story.lines.iter().map(|step| columns(&step.reason)).max().unwrap_or(0);
    let margin = 2 + time_width + 2 + reason_width + 2;
    for step in &story.lines {
        // The object itself is named by the heading.
        let whole = if step.subject == own { step.text.clone() } else { format!("{} {}", step.subject, step.text) };
        let (reason, at) =
            (padded(&printable(&step.reason), reason_width), format!("{:>time_width$}", time(step.time_ns)));
        let look = if step.from_outside { Look::Notable } else { Look::Plain };
        for (index, part) in wrapped(&printable(&whole), room(page.width, margin)).iter().enumerate() {
            let blank = " ".repeat(margin);
            match index {
                0 => page.line(&[
                    (Look::Dim, "  "),
                    (Look::Dim, &at),
                    (Look::Plain, "  "),
                    (if step.from_outside { Look::Notable } else { Look::Bold }, &reason),
                    (Look::Plain, "  "),
                    (look, part),
                ]),
                _ => page.line(&[(Look::Plain, &blank), (look, part)]),
            }
        }
        for (depth, cause) in step.because.iter().enumerate() {
            let who = if cause.subject == own { String::new() } else { format!("{} ", cause.subject) };
            let text = format!("because at {} {who}{}", time(cause.time_ns), cause.text);
            let margin = margin + DEEPER * depth;
            for (index, part) in wrapped(&printable(&text), room(page.width, margin + DEEPER)).iter().enumerate() {
                let blank = " ".repeat(if index == 0 { margin } else { margin + DEEPER });
                page.line(&[(Look::Plain, &blank), (Look::Dim, part)]);
            }
        }
    }
    page.text
}

fn room(width: usize, margin: usize) -> usize {
    width.saturating_sub(margin).max(TEXT_MIN)
}
