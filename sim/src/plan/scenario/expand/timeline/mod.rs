//! The timeline: actions of the user become requests, faults become faults, both with drawn times.
//!
//! `actions` and `faults` read what an entry does; when and how often it does it is here.

mod actions;
mod faults;

use wavetank_core::api::Request;
use wavetank_core::id::HostId;
use wavetank_core::time::{Span, Time};
use wavetank_manifest::yaml::Span as Place;
use wavetank_manifest::{Node, Spanned};

use super::machines::Fleet;
use super::objects::{Objects, item};
use super::{Problems, drawn, place};
use crate::drain::DrainOptions;
use crate::plan::scenario::Inputs;
use crate::plan::scenario::format::{Chosen, Entry, Spec};
use crate::plan::{DrainPlan, Fault, FaultKind, Plan, Step};

/// The most repetitions of one entry.
const TIMES_MAX: u32 = 100_000;

/// What one entry does, before it gets its times.
enum Deed {
    /// Requests with their labels.
    Requests(Vec<(Request, String)>),
    /// A manifest.
    Apply,
    /// A drain with its label.
    Drain(DrainOptions, String),
    /// A fault with its label.
    Fault(FaultKind, String),
}

/// Adds the entries of the timeline to the plan.
pub(super) fn expand(
    spec: &Spec,
    tree: &Node,
    inputs: &mut Inputs,
    fleet: &Fleet,
    objects: &mut Objects,
    plan: &mut Plan,
    problems: &mut Problems,
) {
    let nodes = tree.get("spec").and_then(|spec| spec.get("timeline"));
    for (index, entry) in spec.timeline.iter().enumerate() {
        let path = format!("spec.timeline[{index}]");
        let mut reader = Reader { fleet, objects, problems, path: &path, place: entry.span };
        let Some(deed) = reader.deed(&entry.value) else { continue };
        let times = Times::of(&entry.value, plan.config.seed, index as u64);
        let is_fault = matches!(deed, Deed::Fault(..));
        check_times(entry, &times, is_fault, &path, problems);
        let end = Time::ZERO.saturating_add(plan.duration);
        if let Some((from, _)) = times.0.first().filter(|(from, _)| *from > end && inputs.settings.until.is_none()) {
            problems.add(entry.span, &path, format!("it happens at {from}, after the run's end at {end}"));
        }
        let origin = place(inputs, entry.span.start());
        match deed {
            Deed::Apply => {
                let node = nodes.and_then(|list| item(list, index)).and_then(|node| node.get("apply"));
                for (at, _) in times.0 {
                    if let Some(node) = node {
                        objects.apply(node, &format!("{path}.apply"), at, inputs, plan, problems);
                    }
                }
            }
            Deed::Requests(requests) => {
                for (at, _) in times.0 {
                    plan.steps.extend(requests.iter().map(|(request, label)| Step {
                        at,
                        request: request.clone(),
                        label: label.clone(),
                        place: origin.clone(),
                    }));
                }
            }
            Deed::Drain(options, label) => plan.drains.extend(times.0.into_iter().map(|(at, _)| DrainPlan {
                at,
                options: options.clone(),
                label: label.clone(),
                place: origin.clone(),
            })),
            Deed::Fault(kind, label) => plan.faults.extend(times.0.into_iter().map(|(from, to)| Fault {
                from,
                to,
                kind: kind.clone(),
                label: label.clone(),
                place: origin.clone(),
            })),
        }
    }
    // The order of the file holds within one instant.
    plan.steps.sort_by_key(|step| step.at);
}

/// Beginnings and ends of one entry's repetitions.
struct Times(Vec<(Time, Option<Time>)>);

impl Times {
    fn of(entry: &Entry, seed: u64, index: u64) -> Times {
        let entity = (2 << 40) | index;
        let mut times = Vec::new();
        let count = entry.repeat.as_ref().map_or(1, |repeat| repeat.times.value.min(TIMES_MAX));
        let mut at = entry.at.as_ref().map_or(Time::ZERO, |at| drawn(seed, at, entity, 0));
        for round in 0..u64::from(count) {
            let end = match (&entry.recover, &entry.lasts) {
                (Some(recover), _) => Some(drawn(seed, recover, entity, 3 * round + 1)),
                (None, Some(lasts)) => Some(at.saturating_add(Span(drawn(seed, lasts, entity, 3 * round + 1).0))),
                (None, None) => None,
            };
            times.push((at, end));
            if let Some(repeat) = &entry.repeat {
                at = at.saturating_add(Span(drawn(seed, &repeat.every, entity, 3 * round + 2).0));
            }
        }
        Times(times)
    }
}

fn check_times(entry: &Spanned<Entry>, times: &Times, is_fault: bool, path: &str, problems: &mut Problems) {
    let place = entry.span;
    let entry = &entry.value;
    if entry.at.is_none() {
        problems.add(place, path, "missing field \"at\": when does it happen?");
    }
    if !is_fault && (entry.recover.is_some() || entry.lasts.is_some()) {
        problems.add(place, path, "only a fault ends: recover and for have no meaning for an action");
    }
    if entry.recover.is_some() && entry.lasts.is_some() {
        problems.add(place, path, "expected one of recover and for, found both");
    }
    if let Some(repeat) = &entry.repeat {
        if entry.recover.is_some() && repeat.times.value > 1 {
            problems.add(place, path, "a repeated fault needs for, how long each lasts: recover is one time");
        }
        if repeat.times.value == 0 || repeat.times.value > TIMES_MAX {
            problems.add(repeat.times.span, path, format!("expected times between 1 and {TIMES_MAX}"));
        }
    }
    for (from, to) in &times.0 {
        if to.is_some_and(|to| to <= *from) {
            let to = to.unwrap_or_default();
            problems.add(place, path, format!("it ends at {to}, which is not after its beginning at {from}"));
            break;
        }
    }
}

struct Reader<'a> {
    fleet: &'a Fleet,
    objects: &'a mut Objects,
    problems: &'a mut Problems,
    path: &'a str,
    place: Place,
}

impl Reader<'_> {
    /// What the entry does: exactly one thing.
    fn deed(&mut self, entry: &Entry) -> Option<Deed> {
        let mut deeds = Vec::new();
        if entry.apply.is_some() {
            deeds.push(Some(Deed::Apply));
        }
        deeds.extend(self.actions(entry));
        deeds.extend(self.faults(entry));
        match deeds.len() {
            1 => deeds.remove(0),
            0 => {
                let message = "expected one action or fault beside the time, such as apply, scale or crash";
                self.problems.add(self.place, self.path, message);
                None
            }
            _ => {
                let message = "expected one action or fault, found several: give each an entry of its own";
                self.problems.add(self.place, self.path, message);
                None
            }
        }
    }

    /// The machines of an action or fault; none at all is a problem.
    fn choose(&mut self, chosen: Chosen<'_>, action: &str) -> Option<Vec<HostId>> {
        let path = format!("{}.{action}", self.path);
        let before = self.problems.errors.len();
        let hosts = self.fleet.choose(chosen, &path, self.problems);
        if self.problems.errors.len() > before || (hosts.is_empty() && !self.fleet.is_complete()) {
            return None;
        }
        if hosts.is_empty() {
            let message = "names no machine: expected node, nodes, group, zone, zones or all";
            self.problems.add(self.place, &path, message);
            return None;
        }
        Some(hosts)
    }
}
