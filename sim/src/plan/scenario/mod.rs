//! Scenario files: YAML that says what a run consists of, and its expansion to a [`Plan`].
//!
//! [`Loaded::read`] goes from a file to everything that a run needs: the typed file ([`mod@format`]), the manifests
//! that it names, and the plan. All that was read travels along as [`Inputs`], so that a run can be recorded and
//! repeated without the user's files. Invariant: a scenario that loads has no unknown field and no reference to a name
//! that is not there. Absent on purpose: the expectations' language (see [`crate::expect`]), which works on what is
//! read here.
//!
//! Parts: `format` is the typed file (`units` in it, `schema` for editors), `overrides` are settings of the command
//! line, `inputs` is all that was read, `expand` makes the plan.

mod expand;
pub mod format;
mod inputs;
mod overrides;
mod schema;
#[cfg(test)]
mod tests;
mod units;

pub use expand::{Expansion, expand};
pub use inputs::{Files, Inputs, Settings};
pub use schema::schema;
pub use units::parse_span;

use std::sync::Arc;

use wavetank_manifest::yaml::{self, Duplicates, Position, Value};
use wavetank_manifest::{Error, Errors, Node, from_node};

use crate::plan::Plan;
use format::Scenario;

/// A scenario that has been read, checked and expanded.
#[derive(Debug)]
pub struct Loaded {
    /// The file, typed.
    pub scenario: Scenario,
    /// What happens in the run.
    pub plan: Arc<Plan>,
    /// Fields of the user's manifests that are kept but have no effect.
    pub not_modelled: Vec<String>,
    /// What the user has hardly meant although it is valid.
    pub warnings: Vec<String>,
    /// Everything that was read and set.
    pub inputs: Inputs,
}

/// A scenario that cannot be run: what is wrong with it, and the texts for the lines to be shown.
#[derive(Debug)]
pub struct Rejected {
    /// What is wrong, over all files.
    pub errors: Errors,
    /// The files that were read: name and text.
    pub texts: Vec<(String, String)>,
}

impl Rejected {
    /// The errors for a terminal, each with its line and a caret.
    pub fn render(&self) -> String {
        let mut out = String::new();
        for error in &self.errors.0 {
            let text = self.texts.iter().find(|(name, _)| *name == error.file).map_or("", |(_, text)| text.as_str());
            out.push_str(&Errors(vec![error.clone()]).render(text));
        }
        out
    }
}

impl Loaded {
    /// Reads a scenario from its inputs, which collect the manifests as they are read.
    ///
    /// Errors: everything that is wrong with the file, its overrides or its manifests.
    pub fn read(inputs: Inputs) -> Result<Loaded, Rejected> {
        Loaded::read_with(inputs, |_, _| Ok(())).map(|(loaded, ())| loaded)
    }

    /// As [`Loaded::read`], with a further reader of the typed file, whose errors are told together with the others.
    pub fn read_with<T>(
        mut inputs: Inputs,
        also: impl FnOnce(&Scenario, &Inputs) -> Result<T, Errors>,
    ) -> Result<(Loaded, T), Rejected> {
        match Loaded::read_parts(&mut inputs, also) {
            Ok((scenario, expansion, other)) => {
                let Expansion { plan, not_modelled, warnings } = expansion;
                Ok((Loaded { scenario, plan: Arc::new(plan), not_modelled, warnings, inputs }, other))
            }
            Err(errors) => Err(Rejected { errors, texts: inputs.texts() }),
        }
    }

    fn read_parts<T>(
        inputs: &mut Inputs,
        also: impl FnOnce(&Scenario, &Inputs) -> Result<T, Errors>,
    ) -> Result<(Scenario, Expansion, T), Errors> {
        let name = inputs.name.clone();
        let mut tree = document(&name, &inputs.text)?;
        header(&name, &tree)?;
        for setting in inputs.settings.options() {
            overrides::apply(&mut tree, setting)?;
        }
        let mut scenario: Scenario =
            from_node(&name, &tree).map_err(|errors| overrides::name_source(errors, inputs))?;
        if let Some(seed) = inputs.settings.seed {
            scenario.spec.seed = seed;
        }
        if let Some(until) = inputs.settings.until {
            scenario.spec.duration.value = format::Duration(until);
        }
        match (expand(&scenario, &tree, inputs), also(&scenario, inputs)) {
            (Ok(expansion), Ok(other)) => Ok((scenario, expansion, other)),
            (expansion, other) => {
                let mut errors = expansion.err().map_or(Vec::new(), |errors| errors.0);
                errors.extend(other.err().into_iter().flat_map(|errors| errors.0));
                Err(overrides::name_source(Errors(errors).sorted(), inputs))
            }
        }
    }
}

/// The one document of a scenario file.
fn document(name: &str, text: &str) -> Result<Node, Errors> {
    let documents = yaml::parse(text, Duplicates::Refused)
        .map_err(|error| Errors::from(Error::new(name, error.position, "", error.message)))?;
    let mut documents = documents.into_iter();
    match (documents.next(), documents.next()) {
        (Some(document), None) => Ok(document),
        (None, _) => Err(Error::new(name, Position { line: 1, column: 1 }, "", "the file has no content").into()),
        (Some(_), Some(second)) => {
            let message = "a second document begins here; a scenario file has one";
            Err(Error::new(name, second.span.start(), "", message).into())
        }
    }
}

/// Checks `apiVersion` and `kind` first: whoever gives another kind of file should not read about its fields.
fn header(name: &str, tree: &Node) -> Result<(), Errors> {
    if !matches!(tree.value, Value::Map(_)) {
        let message = format!("expected a mapping with apiVersion, kind and spec, found {}", tree.value.describe());
        return Err(Error::new(name, tree.span.start(), "", message).into());
    }
    for (field, expected) in [("apiVersion", format::API_VERSION), ("kind", format::KIND)] {
        let found = tree.get(field);
        if found.and_then(Node::as_str) != Some(expected) {
            let written = found.map_or_else(|| "nothing".to_owned(), |node| node.value.describe());
            let place = found.unwrap_or(tree).span.start();
            let mut error = Error::new(name, place, field, format!("expected {expected:?}, found {written}"));
            error.suggestion = found.and_then(Node::as_str).map(|_| expected.to_owned());
            return Err(error.into());
        }
    }
    Ok(())
}
