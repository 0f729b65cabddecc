//! From a typed file and a seed to an explicit [`Plan`]: names are resolved, times are drawn.
//!
//! All mistakes are collected, so that one run of `sim validate` shows them together. Times of the timeline that are
//! distributions are drawn here, by their place in the file: taking one entry out changes no other.
//!
//! A file for each section: `settings`, `ranges` and `kubelet` (control plane and kubelets), `machines`, `objects` and
//! `static_pods` (manifests), `behaviours` with `conduct`, `storage`, `trace` and `timeline`.

mod behaviours;
mod conduct;
mod kubelet;
mod machines;
mod objects;
mod ranges;
mod settings;
mod static_pods;
mod storage;
mod timeline;
mod trace;

use std::collections::BTreeMap;

use wavetank_core::draw::{Purpose, draw};
use wavetank_core::id::Name;
use wavetank_core::quantity::ParseQuantityError;
use wavetank_core::time::Time;
use wavetank_manifest::yaml::{Position, Span as Place};
use wavetank_manifest::{Error, Errors, Node, meant_quantity};

use super::Inputs;
use super::format::{Scenario, Spread};
use crate::plan::{Plan, RegistryPlan};
use machines::Fleet;
use objects::Objects;

/// What a scenario file expands to.
#[derive(Debug)]
pub struct Expansion {
    /// The plan.
    pub plan: Plan,
    /// Fields of the user's manifests that are kept but have no effect.
    pub not_modelled: Vec<String>,
    /// What the user has hardly meant although it is valid.
    pub warnings: Vec<String>,
}

/// Expands a scenario. `tree` is the tree that it was typed from.
///
/// Errors: references to names that are not there, combinations that make no sense, manifests that are refused.
pub fn expand(scenario: &Scenario, tree: &Node, inputs: &mut Inputs) -> Result<Expansion, Errors> {
    let mut problems = Problems { file: inputs.name.clone(), errors: Vec::new() };
    let spec = &scenario.spec;
    let mut plan = Plan { duration: spec.duration.value.0, ..Plan::default() };
    if plan.duration == wavetank_core::time::Span::ZERO {
        problems.add(spec.duration.span, "spec.duration", "expected a duration above zero");
    }
    if let Some(pinned) = spec.fingerprint.as_ref().filter(|it| !is_fingerprint(&it.value)) {
        let message = format!("expected 16 hex digits, found {:?}", pinned.value);
        problems.add(pinned.span, "spec.fingerprint", &message);
    }
    settings::apply(&mut plan, scenario, &mut problems, tree, inputs);
    storage::apply(&mut plan, scenario, &mut problems);
    let mut fleet = Fleet::expand(spec, &mut plan, &mut problems);
    let mut objects = Objects::default();
    objects.manifests(spec, tree, inputs, &mut plan, &mut problems);
    static_pods::expand(spec, tree, inputs, &fleet, &mut objects, &mut plan, &mut problems);
    trace::expand(spec, inputs, &mut fleet, &mut plan, &mut problems);
    settings::policy(spec, &mut plan, &mut problems);
    timeline::expand(spec, tree, inputs, &fleet, &mut objects, &mut plan, &mut problems);
    plan.registry = registry(spec);
    let warnings = behaviours::expand(spec, &objects, &mut plan, &mut problems);
    if plan.placement_only {
        trace::check_placement(spec, &plan, &mut problems);
    }
    if problems.errors.is_empty() {
        let not_modelled = objects.not_modelled(&plan.config.api_server.pod_security);
        Ok(Expansion { plan, not_modelled, warnings })
    } else {
        Err(Errors(problems.errors).sorted())
    }
}

/// As fingerprints are written.
fn is_fingerprint(text: &str) -> bool {
    text.len() == 16 && text.chars().all(|digit| matches!(digit, '0'..='9' | 'a'..='f'))
}

fn registry(spec: &super::format::Spec) -> RegistryPlan {
    let images: BTreeMap<Name, Option<u64>> = spec
        .registry
        .images
        .iter()
        .map(|(name, image)| (name.as_str().into(), (!image.missing).then(|| image.size.map_or(0, |size| size.0))))
        .collect();
    let secret = |(name, image): (&String, &super::format::Image)| {
        image.secret.as_ref().map(|secret| (name.as_str().into(), secret.as_str().into()))
    };
    RegistryPlan {
        images,
        secrets: spec.registry.images.iter().filter_map(secret).collect(),
        default_size_bytes: spec.registry.default_size.map_or(0, |size| size.0),
        latency: spec.registry.latency.clone().map(|spread| spread.0).unwrap_or_default(),
    }
}

/// The mistakes found so far.
struct Problems {
    file: String,
    errors: Vec<Error>,
}

impl Problems {
    /// A mistake at a place.
    fn add(&mut self, place: Place, path: &str, message: impl Into<String>) {
        self.errors.push(Error::new(&self.file, place.start(), path, message));
    }

    /// A text that is no quantity.
    fn no_quantity(&mut self, place: Place, path: &str, text: &str, error: ParseQuantityError) {
        let error = Error::new(&self.file, place.start(), path, format!("{text:?} is no quantity: {error}"));
        self.errors.push(Error { suggestion: meant_quantity(text), ..error });
    }

    /// A name that is not there.
    fn unknown<'a>(
        &mut self,
        place: Place,
        path: &str,
        what: &str,
        name: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) {
        let error = Error::new(&self.file, place.start(), path, format!("unknown {what} {name:?}"));
        self.errors.push(error.expecting(name, known));
    }

    fn extend(&mut self, errors: Errors) {
        self.errors.extend(errors.0);
    }
}

/// A time of the file: drawn, if it is a distribution, by where it stands (`entity`) and which of its entry's it is.
fn drawn(seed: u64, spread: &Spread, entity: u64, k: u64) -> Time {
    Time(spread.0.sample(draw(seed, Purpose::Plan, entity, k)).0)
}

/// `file.yaml:34`, with the file's name alone: reports do not depend on where the user keeps it.
fn place(inputs: &Inputs, position: Position) -> String {
    format!("{}:{}", inputs.file_name(), position.line)
}
