//! `sim run`.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use wavetank_core::time::{Span, Time};

use super::{Exit, Format, Overrides, Unusable, account, complain, open, print};
use crate::execute::{Executed, execute};
use crate::expect::Watch;
use crate::history::Detail;
use crate::plan::scenario::{Inputs, Loaded};
use crate::whole::whole;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The scenario file.
    file: PathBuf,
    #[command(flatten)]
    overrides: Overrides,
    /// Write summary.json, CSV files, plots and report.html into this directory.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// What is printed.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub(super) fn run(arguments: Arguments) -> Exit {
    if !writable(arguments.out.as_deref()) {
        return Exit::NotWritten;
    }
    let (loaded, watch) = match open(&arguments.file, arguments.overrides.into()) {
        Ok(opened) => opened,
        Err(Unusable(text)) => {
            complain(&text);
            return Exit::BadInput;
        }
    };
    let executed = with_progress(&loaded, watch, detail(arguments.out.as_deref()));
    let mut exit = verdict(&executed);
    if let Some(dir) = &arguments.out
        && let Err(error) = write(&executed, &loaded.inputs, dir)
    {
        complain(&error);
        exit = Exit::NotWritten;
    }
    let exit = print(&rendered(&executed, arguments.format), exit);
    // Last, where whoever looks at the terminal finds it.
    explain(&executed);
    exit
}

/// Says before the run, which may be long, that its report would have no place.
pub(super) fn writable(out: Option<&Path>) -> bool {
    let refused = out.and_then(|dir| whole(|_| wavetank_reports::refuse_directory(dir).err()));
    if let Some(error) = &refused {
        complain(&error.to_string());
    }
    refused.is_none()
}

/// What a run has to keep: a directory tells more than the account.
pub(super) fn detail(out: Option<&Path>) -> Detail {
    if out.is_some() { Detail::Everything } else { Detail::Account }
}

/// Runs with a bar on standard error if that is a terminal.
pub(super) fn with_progress(loaded: &Loaded, watch: Watch, detail: Detail) -> Executed {
    if !io::stderr().is_terminal() {
        return execute(loaded, watch, detail, &mut |_| {});
    }
    let began = Instant::now();
    let target = ProgressDrawTarget::stderr_with_hz(10);
    let bar = ProgressBar::with_draw_target(Some(loaded.plan.duration.as_millis()), target);
    let style = ProgressStyle::with_template("{bar:30} {msg}").expect("the template is a constant");
    bar.set_style(style);
    let mut shown = began;
    let executed = execute(loaded, watch, detail, &mut |now: Time| {
        // Asking the clock is cheap; making the text is not.
        if shown.elapsed().as_millis() < 100 {
            return;
        }
        shown = Instant::now();
        let speed = now.0 as f64 / 1e9 / began.elapsed().as_secs_f64();
        let (now_shown, end) = (clock(Span(now.0)), clock(loaded.plan.duration));
        bar.set_message(format!("{now_shown} of {end} virtual time, {speed:.0} times as fast as real time"));
        bar.set_position(now.0 / 1_000_000);
    });
    bar.finish_and_clear();
    executed
}

/// `hours:minutes:seconds`, which keeps its width while it counts.
fn clock(span: Span) -> String {
    let seconds = span.as_millis() / 1_000;
    format!("{}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// How the program ends after a run.
pub(super) fn verdict(executed: &Executed) -> Exit {
    match executed {
        broken if !broken.held() => Exit::Broken,
        Executed { nothing_scheduled: true, .. } => Exit::NothingScheduled,
        other if other.record.summary.pinned_fingerprint.is_some() => Exit::Differs,
        _ => Exit::Held,
    }
}

/// Says why a run whose expectations hold does not pass.
fn explain(executed: &Executed) {
    if executed.nothing_scheduled {
        complain("nothing was scheduled although pods were asked for");
    }
    let found = &executed.record.summary.fingerprint;
    if let Some(pinned) = &executed.record.summary.pinned_fingerprint {
        complain(&format!("the scenario pins fingerprint {pinned}, the run has {found}"));
    }
}

pub(super) fn write(executed: &Executed, inputs: &Inputs, dir: &Path) -> Result<(), String> {
    let written =
        whole(|stop| wavetank_reports::write_directory_unless(&executed.record, dir, &inputs.to_files(), stop));
    written.map_err(|error| error.to_string())
}

pub(super) fn rendered(executed: &Executed, format: Format) -> String {
    match format {
        Format::Text => account(&executed.record),
        Format::Json => {
            let mut value = serde_json::to_value(&executed.record.summary).expect("a summary is plain data");
            value["held"] = executed.held().into();
            value["exit"] = (verdict(executed) as u8).into();
            let mut text = serde_json::to_string_pretty(&value).expect("a summary is plain data");
            text.push('\n');
            text
        }
    }
}
