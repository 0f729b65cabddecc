//! `sim replay`: a recorded run again, from what it recorded alone.

use std::path::{Path, PathBuf};

use wavetank_journal::{FILE_NAME, JournalError, Told};

use super::run::{detail, rendered, with_progress, writable, write};
use super::{Exit, Format, Unusable, complain, load_recorded, print};
use wavetank_manifest::text_file;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The directory of a run: written by `sim run --out`, or by the real world with its inputs.log.
    run_dir: PathBuf,
    /// Write the report of the repeated run into this directory.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// What is printed.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub(super) fn run(arguments: Arguments) -> Exit {
    let told = if arguments.run_dir.join(FILE_NAME).is_file() {
        replay_journal(&arguments.run_dir.join(FILE_NAME))
    } else {
        replay_scenario(&arguments)
    };
    match told {
        Ok((text, exit)) => print(&text, exit),
        Err(Unusable(text)) => {
            complain(&text);
            Exit::BadInput
        }
    }
}

fn replay_scenario(arguments: &Arguments) -> Result<(String, Exit), Unusable> {
    let dir = &arguments.run_dir;
    if !writable(arguments.out.as_deref()) {
        return Ok((String::new(), Exit::NotWritten));
    }
    let (loaded, watch) = load_recorded(dir)?;
    let recorded = recorded_fingerprint(dir).map_err(Unusable)?;
    let executed = with_progress(&loaded, watch, detail(arguments.out.as_deref()));
    let mut exit = Exit::Held;
    if let Some(out) = &arguments.out
        && let Err(error) = write(&executed, &loaded.inputs, out)
    {
        complain(&error);
        exit = Exit::NotWritten;
    }
    let found = &executed.record.summary.fingerprint;
    let mut text = rendered(&executed, arguments.format);
    if *found != recorded {
        complain(&format!("the replay differs: recorded fingerprint {recorded}, found {found}"));
        exit = Exit::Differs;
    } else if arguments.format == Format::Text {
        text.push_str(&format!("\nthe replay reached the recorded fingerprint {recorded}\n"));
    }
    Ok((text, exit))
}

fn recorded_fingerprint(dir: &Path) -> Result<String, String> {
    let path = dir.join("summary.json");
    let text = text_file::read(&path)?;
    let summary: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| format!("{} is not a summary: {error}", path.display()))?;
    let fingerprint = summary["fingerprint"].as_str();
    fingerprint.map(str::to_owned).ok_or_else(|| format!("{} has no fingerprint", path.display()))
}

/// Folds a journal over a core; each step's effects are compared with the recorded ones.
fn replay_journal(path: &Path) -> Result<(String, Exit), Unusable> {
    let told = match wavetank_journal::replay(path) {
        Ok(told) => told,
        Err(differs @ JournalError::Diverged { .. }) => {
            complain(&format!("the replay differs: {differs}"));
            return Ok((String::new(), Exit::Differs));
        }
        Err(error) => return Err(Unusable(error.to_string())),
    };
    let Told { steps, decisions, until, ended, fingerprint } = told;
    let end = match ended {
        true => "to its end",
        false => "as far as it goes (the run did not end in order; its last step cannot be compared)",
    };
    let text = format!(
        "the run was told again {end}: {steps} steps until {until}\n\
         the core has decided the same at every step: {decisions} decisions\n\
         fingerprint {fingerprint}\n"
    );
    Ok((text, Exit::Held))
}
