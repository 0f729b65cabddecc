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
                    "{}: valid ({} nodes, {} requests, {} faults, {} expectations)\n",
                    file.display(),
                    plan.hosts.len(),
                    plan.steps.iter().filter(|step| !step.label.is_empty()).count(),
                    plan.faults.len(),
                    loaded.scenario.spec.expect.len()
                ));
            }
            Err(Unusable(text)) => {
                complain(&text);
                exit = Exit::BadInput;
            }
        }
    }
    print(&told, exit)
}
