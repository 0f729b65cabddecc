//! `sim validate`.

use std::path::PathBuf;

use super::{Exit, Unusable, complain, open, print};
use crate::plan::scenario::Settings;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The scenario files.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Exit {
    let mut exit = Exit::Held;
    let mut told = String::new();
    for file in &arguments.files {
        match open(file, Settings::default()) {
            Ok((loaded, _)) => {
                let plan = &loaded.plan;
                told.push_str(&format!(
                    "{}: valid ({}, {}, {}, {})\n",
                    file.display(),
                    counted(plan.hosts.len(), "node"),
                    counted(plan.steps.iter().filter(|step| !step.label.is_empty()).count(), "request"),
                    counted(plan.faults.len(), "fault"),
                    counted(loaded.scenario.spec.expect.len(), "expectation")
                ));
                for warning in &loaded.warnings {
                    told.push_str(&format!("  warning: {warning}\n"));
                }
            }
            Err(Unusable(text)) => {
                complain(&text);
                exit = Exit::BadInput;
            }
        }
    }
    print(&told, exit)
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
