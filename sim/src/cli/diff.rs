//! `sim diff`: two recorded runs in lockstep, up to the first input in which they differ.

use std::collections::VecDeque;
use std::fmt::Write;
use std::path::PathBuf;

use wavetank_core::facts::Fact;
use wavetank_core::time::Time;

use super::source::{Event, Source};
use super::{Exit, Unusable, complain, print};

/// So many common facts before the difference are shown.
const BEFORE_MAX: usize = 8;
/// So many facts of each side after it are shown.
const AFTER_MAX: usize = 8;
/// So many inputs of each side are looked through for those facts.
const SEARCHED_MAX: usize = 100_000;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The directory of one run.
    run_a: PathBuf,
    /// The directory of the other run.
    run_b: PathBuf,
}

pub(super) fn run(arguments: Arguments) -> Exit {
    let opened = Source::open(&arguments.run_a).and_then(|a| Ok((a, Source::open(&arguments.run_b)?)));
    match opened {
        Ok((a, b)) => match compare(a, b) {
            Ok((text, exit)) => print(&text, exit),
            Err(problem) => {
                complain(&problem);
                Exit::BadInput
            }
        },
        Err(Unusable(text)) => {
            complain(&text);
            Exit::BadInput
        }
    }
}

fn compare(mut a: Source, mut b: Source) -> Result<(String, Exit), String> {
    let mut before: VecDeque<(Time, Fact)> = VecDeque::new();
    let mut count = 0u64;
    loop {
        match (a.next()?, b.next()?) {
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
                let mut text = format!("the runs differ at event {}\n\nboth before it:\n", count + 1);
                facts(&mut text, before.iter());
                side(&mut text, "A", one, &mut a)?;
                side(&mut text, "B", other, &mut b)?;
                return Ok((text, Exit::Differs));
            }
        }
    }
}

/// One side's event, and the facts that follow.
fn side(text: &mut String, name: &str, event: Option<Event>, source: &mut Source) -> Result<(), String> {
    let Some(event) = event else {
        text.push_str(&format!("\n{name}: the run has ended\n"));
        return Ok(());
    };
    // Writing to a string cannot fail.
    let _ = write!(text, "\n{name} at {}: {:#?}\n", event.now, event.input);
    let mut after = event.facts;
    for _ in 0..SEARCHED_MAX {
        if after.len() >= AFTER_MAX {
            break;
        }
        let Some(next) = source.next()? else { break };
        after.extend(next.facts);
    }
    after.truncate(AFTER_MAX);
    let _ = writeln!(text, "what follows in {name}:");
    facts(text, after.iter());
    Ok(())
}

fn facts<'a>(text: &mut String, facts: impl Iterator<Item = &'a (Time, Fact)>) {
    let mut any = false;
    for (at, fact) in facts {
        any = true;
        let _ = writeln!(text, "  {at:<12} {} {}", fact.subject, fact.what);
    }
    if !any {
        text.push_str("  (no facts)\n");
    }
}
