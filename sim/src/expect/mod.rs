//! Expectations: conditions in CEL that a run must meet, and when.
//!
//! All expressions are parsed, and all their names checked, before the run. During the run an expectation is looked at
//! only inside its window and only if an object of a kind that it mentions has been written (or if it mentions `now`).
//! Invariant: looking changes nothing, so a run has the same fingerprint with and without expectations.
//! A runtime error (a missing field) is not true: it breaks `at`, `always` and `never`, and `within` goes on waiting.
//!
//! Parts: `program` reads expressions and `syntax` tells why one cannot be read, `objects` and `json` are what they see
//! of the cluster.

mod json;
mod objects;
mod program;
mod syntax;
#[cfg(test)]
mod tests;

use cel::common::types::{CelBool, CelDuration};
use cel::common::value::Val;
use cel::{Context, Value};
use wavetank_core::config::DEFAULT_EPOCH;
use wavetank_core::model::Kind;
use wavetank_core::store::View;
use wavetank_core::time::Time;
use wavetank_manifest::yaml::{Position, Span as Place};
use wavetank_manifest::{Error, Errors};
use wavetank_reports::record::{ExpectationKind, ExpectationResult};

use crate::plan::HostPlan;
use crate::plan::scenario::Inputs;
use crate::plan::scenario::format::{Expectation, Fidelity, Scenario, Window};
use objects::{Finder, Lookup, Objects};
use program::{Compiled, ENDPOINTS, ENV, FINDERS, Fault, LISTS, NOW, READY, STUDY};

/// The expectations of one run, and what has become of them so far.
#[derive(Debug)]
pub struct Watch {
    tracked: Vec<Tracked>,
    objects: Objects,
}

#[derive(Debug)]
struct Tracked {
    name: String,
    expression: String,
    place: String,
    kind: ExpectationKind,
    from: Time,
    to: Time,
    compiled: Compiled,
    /// The writes of its kinds when it was last looked at.
    seen: Option<Vec<u64>>,
    /// The newest look: what the operands were.
    last: Option<(Time, String)>,
    /// Whether it has been looked at in its window's first instant, and in its last.
    opened: bool,
    decided: Option<Decision>,
}

#[derive(Debug)]
struct Decision {
    held: bool,
    at: Time,
    evidence: String,
}

/// What an expression came to.
enum Look {
    Truth(bool),
    Failed(String),
}

impl Watch {
    /// Parses a scenario's expectations.
    ///
    /// Errors: what is no CEL, unknown names, windows outside of the run; each with its place in the file.
    pub fn new(scenario: &Scenario, inputs: &Inputs) -> Result<Watch, Errors> {
        let mut errors = Vec::new();
        let mut tracked: Vec<Tracked> = Vec::new();
        let end = Time(scenario.spec.duration.value.0.0);
        for (index, expectation) in scenario.spec.expect.iter().enumerate() {
            let path = format!("spec.expect[{index}]");
            let one = &expectation.value;
            let mut refuse = |place: Place, field: &str, message: String| {
                errors.push(Error::new(&inputs.name, place.start(), &format!("{path}{field}"), message));
            };
            if tracked.iter().any(|other| other.name == one.name.value) {
                let message = format!("another expectation has the name {:?}", one.name.value);
                refuse(one.name.span, ".name", message);
            }
            let window = match window(one, end) {
                Ok(window) => window,
                Err(message) => {
                    refuse(expectation.span, "", message);
                    continue;
                }
            };
            let (kind, from, to) = window;
            if from > end && inputs.settings.until.is_none() {
                refuse(expectation.span, "", format!("it begins at {from}, after the run's end at {end}"));
            }
            let placement_only = scenario.spec.control_plane.fidelity == Fidelity::Placement;
            if placement_only && kind != ExpectationKind::At {
                let message = "placement alone is looked at once, at its end: expected at".to_owned();
                refuse(expectation.span, "", message);
            }
            let compiled = Compiled::parse(&one.that.value);
            if let Some(message) = compiled.as_ref().ok().and_then(|compiled| misplaced(compiled, placement_only)) {
                refuse(one.that.span, ".that", message);
            }
            match compiled {
                Ok(compiled) => tracked.push(Tracked {
                    name: one.name.value.clone(),
                    expression: one.that.value.split_whitespace().collect::<Vec<_>>().join(" "),
                    place: format!("{}:{}", inputs.file_name(), expectation.span.line),
                    kind,
                    from,
                    to,
                    compiled,
                    seen: None,
                    last: None,
                    opened: false,
                    decided: None,
                }),
                Err(faults) => errors.extend(faults.into_iter().map(|fault| {
                    let at = locate(&inputs.text, one.that.span, &one.that.value, &fault);
                    let mut error = Error::new(&inputs.name, at, &format!("{path}.that"), fault.message);
                    error.suggestion = fault.suggestion;
                    error
                })),
            }
        }
        if errors.is_empty() {
            Ok(Watch { tracked, objects: Objects::new(scenario.epoch().unwrap_or(DEFAULT_EPOCH)) })
        } else {
            Err(Errors(errors).sorted())
        }
    }

    /// The cluster has these machines.
    pub fn set_hosts(&mut self, hosts: &[HostPlan]) {
        self.objects.set_hosts(hosts);
    }

    /// When somebody must look although nothing may happen then: the next beginning or end of a window after `now`.
    pub fn next_wake(&self, now: Option<Time>) -> Option<Time> {
        let open = self.tracked.iter().filter(|one| one.decided.is_none());
        let edges = open.flat_map(|one| [one.from, one.to]);
        edges.filter(|edge| now.is_none_or(|now| *edge > now)).min()
    }

    /// Looks at the cluster after everything of this instant has happened. Returns the places of the expectations that
    /// were decided now.
    pub fn settled(&mut self, now: Time, view: View<'_>) -> Vec<usize> {
        let mut decided = Vec::new();
        for (index, one) in self.tracked.iter_mut().enumerate() {
            if one.decided.is_none() && (one.from..=one.to).contains(&now) {
                one.look(now, view, &mut self.objects);
                if one.decided.is_some() {
                    decided.push(index);
                }
            }
        }
        decided
    }

    /// What has become of an expectation that [`Watch::settled`] has named.
    pub fn result(&self, index: usize) -> Option<ExpectationResult> {
        let one = &self.tracked[index];
        one.decided.as_ref().map(|decision| one.result(decision))
    }

    /// What has become of all expectations when the run has ended. Those whose time has not come (`--until`) are named
    /// in the second list.
    pub fn finish(mut self, end: Time) -> (Vec<ExpectationResult>, Vec<String>) {
        let mut unseen = Vec::new();
        let mut results = Vec::new();
        for one in &mut self.tracked {
            match one.at_end(end) {
                Some(decision) => results.push(one.result(&decision)),
                None => unseen.push(one.name.clone()),
            }
        }
        (results, unseen)
    }
}

impl Watch {
    /// What has become of the expectations of a study of placement, which are looked at once, at its end.
    pub fn of_study(self, end: Time, study: &serde_json::Value) -> Vec<ExpectationResult> {
        let look = |one: Tracked| {
            let mut context = Context::with_env(ENV.clone());
            context.add_variable_as_val(STUDY.to_owned(), json::value(study));
            let (held, evidence) = match evaluate(&one.compiled, &context) {
                Look::Truth(held) => (held, evidence(&one.compiled, &context)),
                Look::Failed(message) => (false, message),
            };
            one.result(&Decision { held, at: end, evidence })
        };
        self.tracked.into_iter().map(look).collect()
    }
}

impl Tracked {
    fn look(&mut self, now: Time, view: View<'_>, objects: &mut Objects) {
        let writes: Vec<u64> = self.compiled.kinds.iter().map(|kind| view.writes(*kind)).collect();
        let timeless = !self.compiled.variables.contains(NOW);
        if self.opened && timeless && self.seen.as_ref() == Some(&writes) {
            return;
        }
        self.opened = true;
        self.seen = Some(writes);
        objects.refresh(view, &self.compiled.kinds);
        let context = context(&self.compiled, objects, now);
        let look = evaluate(&self.compiled, &context);
        let wanted = self.kind != ExpectationKind::Never;
        let decisive = match (&look, self.kind) {
            (Look::Truth(truth), ExpectationKind::At) => Some(*truth),
            (Look::Failed(_), ExpectationKind::At) => Some(false),
            (Look::Truth(true), ExpectationKind::Within) => Some(true),
            (_, ExpectationKind::Within) => None,
            (Look::Truth(truth), _) => (*truth != wanted).then_some(false),
            (Look::Failed(_), _) => Some(false),
        };
        // Evidence costs more than the look itself; what is not decisive is told only at the end of a window.
        if decisive.is_none() && self.kind != ExpectationKind::Within {
            self.last = Some((now, String::new()));
            return;
        }
        let evidence = match look {
            Look::Failed(message) => message,
            Look::Truth(_) => evidence(&self.compiled, &context),
        };
        match decisive {
            Some(held) => self.decided = Some(Decision { held, at: now, evidence }),
            None => self.last = Some((now, evidence)),
        }
    }

    fn at_end(&mut self, end: Time) -> Option<Decision> {
        if let Some(decision) = self.decided.take() {
            return Some(decision);
        }
        let (_, evidence) = self.last.take()?;
        Some(match self.kind {
            ExpectationKind::At => return None,
            ExpectationKind::Within => {
                let until = self.to.min(end);
                Decision { held: false, at: until, evidence: format!("not true until {until}: {evidence}") }
            }
            ExpectationKind::Always | ExpectationKind::Never => {
                let word = if self.kind == ExpectationKind::Always { "true" } else { "false" };
                let until = self.to.min(end);
                Decision { held: true, at: until, evidence: format!("{word} from {} to {until}", self.from) }
            }
        })
    }

    fn result(&self, decision: &Decision) -> ExpectationResult {
        ExpectationResult {
            name: self.name.clone(),
            kind: self.kind,
            expression: self.expression.clone(),
            held: decision.held,
            at_ns: Some(decision.at.0),
            evidence: decision.evidence.clone(),
            place: self.place.clone(),
        }
    }
}

/// What is wrong with the variables of an expression, as the fidelity is.
fn misplaced(compiled: &Compiled, placement_only: bool) -> Option<String> {
    let study = compiled.variables.contains(STUDY);
    match (placement_only, study) {
        (false, true) => Some("there is a study only if spec.controlPlane.fidelity is placement".to_owned()),
        (true, _) if compiled.variables.iter().any(|name| name != STUDY) => {
            Some("placement alone has no objects to look at: the only variable is study".to_owned())
        }
        _ => None,
    }
}

/// Kind and window of an expectation; exactly one must be given.
fn window(one: &Expectation, end: Time) -> Result<(ExpectationKind, Time, Time), String> {
    let stretch = |window: Window| {
        let from = window.from.map_or(Time::ZERO, |from| Time(from.0.0));
        (from, window.to.map_or(end.max(from), |to| Time(to.0.0)))
    };
    let mut given = Vec::new();
    if let Some(at) = &one.at {
        given.push((ExpectationKind::At, (Time(at.value.0.0), Time(at.value.0.0))));
    }
    given.extend(one.within.as_ref().map(|window| (ExpectationKind::Within, stretch(window.value))));
    given.extend(one.always.as_ref().map(|window| (ExpectationKind::Always, stretch(window.value))));
    given.extend(one.never.as_ref().map(|window| (ExpectationKind::Never, stretch(window.value))));
    match given.as_slice() {
        [(_, (from, to))] if from > to => Err(format!("its window ends at {to}, before its beginning at {from}")),
        [(kind, (from, to))] => Ok((*kind, *from, *to)),
        [] => Err("expected one of at, within, always and never, found none".to_owned()),
        _ => Err("expected one of at, within, always and never, found several".to_owned()),
    }
}

fn context<'v>(compiled: &Compiled, objects: &'v Objects, now: Time) -> Context<'v, 'v> {
    let mut context = Context::with_env(ENV.clone());
    for name in &compiled.variables {
        let value: Box<dyn Val + 'v> = match name.strip_prefix('@') {
            None if name == NOW => Box::new(duration(now)),
            None => objects.list(kind_of(LISTS, name)),
            Some(READY) => Box::new(Finder { objects, lookup: Lookup::Ready }),
            Some(ENDPOINTS) => Box::new(Finder { objects, lookup: Lookup::Endpoints }),
            Some(finder) => Box::new(Finder { objects, lookup: Lookup::Object(kind_of(FINDERS, finder)) }),
        };
        context.add_variable_as_val(name.clone(), value);
    }
    context
}

fn kind_of(table: &[(&str, Kind)], name: &str) -> Kind {
    let found = table.iter().find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("{name} was checked when the expression was parsed")).1
}

fn duration(now: Time) -> CelDuration {
    CelDuration::from(chrono::Duration::nanoseconds(i64::try_from(now.0).unwrap_or(i64::MAX)))
}

fn evaluate(compiled: &Compiled, context: &Context<'_, '_>) -> Look {
    match Value::resolve_val(&compiled.root, context) {
        Ok(value) => match value.downcast_ref::<CelBool>() {
            Some(truth) => Look::Truth(*truth.inner()),
            None => Look::Failed(format!("expected true or false, found {}", json::show(value.as_ref()))),
        },
        Err(error) => Look::Failed(error_text(&error)),
    }
}

fn error_text(error: &cel::ExecutionError) -> String {
    match error {
        cel::ExecutionError::FunctionError { function, .. } if function == "duration" => {
            "duration takes a text such as 90s, 1m30s or 500ms".to_owned()
        }
        cel::ExecutionError::FunctionError { message, .. } => message.clone(),
        cel::ExecutionError::IndexOutOfBounds(cel::Value::Int(index)) => format!("there is no element {index}"),
        cel::ExecutionError::NoSuchKey(key) => format!("there is no field {key:?}"),
        other => other.to_string(),
    }
}

/// The values that decided, as `size(pods) = 11`.
fn evidence(compiled: &Compiled, context: &Context<'_, '_>) -> String {
    let mut parts: Vec<String> = Vec::new();
    for (text, operand) in &compiled.operands {
        let value = match Value::resolve_val(operand, context) {
            Ok(value) => json::show(value.as_ref()),
            Err(error) => error_text(&error),
        };
        let part = format!("{text} = {value}");
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    parts.join(", ")
}

/// The place in the file of a place in an expression: its n-th character that is not white space is the n-th of the
/// scalar's text, however YAML has folded it.
fn locate(text: &str, scalar: Place, expression: &str, fault: &Fault) -> Position {
    let mut behind = 0usize;
    for (index, line) in expression.split('\n').enumerate() {
        let shown = if index + 1 < fault.line as usize { line.chars().count() } else { fault.column as usize - 1 };
        behind += line.chars().take(shown).filter(|c| !c.is_whitespace()).count();
        if index + 1 >= fault.line as usize {
            break;
        }
    }
    let mut first = true;
    for (index, line) in text.lines().enumerate().skip((scalar.line as usize).saturating_sub(1)) {
        let mut start = if first { scalar.column as usize - 1 } else { 0 };
        if first {
            first = false;
            match line.chars().nth(start) {
                Some('|' | '>') => continue,
                Some('"' | '\'') => start += 1,
                _ => {}
            }
        }
        for (column, character) in line.chars().enumerate().skip(start) {
            if character.is_whitespace() {
                continue;
            }
            if behind == 0 {
                return Position { line: index as u32 + 1, column: column as u32 + 1 };
            }
            behind -= 1;
        }
    }
    scalar.start()
}
