//! One run of a loaded scenario, from its plan to the record that is reported.

use wavetank_core::Core;
use wavetank_core::api::{Patch, Refusal, Request};
use wavetank_core::config::{SchedulerConfig, SchedulingCost};
use wavetank_core::facts::Fact;
use wavetank_core::model::Object;
use wavetank_core::time::{Span, Time};
use wavetank_reports::record::{FactRow, Marker, RunRecord, SCHEMA, Summary, Text, World};

use crate::expect::Watch;
use crate::history::{Detail, Finished, History, subject_of};
use crate::placement::{self, Played};
use crate::plan::Plan;
use crate::plan::scenario::Loaded;
use crate::plan::scenario::format::{Fidelity, Scenario};
use crate::record::Outcome;
use crate::world::{Flow, Observer, Options, Simulation};

/// The Kubernetes version whose behaviour is mirrored.
pub const KUBERNETES_VERSION: &str = "1.34";

/// What a run came to.
#[derive(Debug)]
pub struct Executed {
    /// Everything to report.
    pub record: RunRecord,
    /// Pods were asked for and not one was bound to a node.
    pub nothing_scheduled: bool,
}

impl Executed {
    /// Whether every expectation held.
    pub fn held(&self) -> bool {
        self.record.summary.expectations.iter().all(|one| one.held)
    }
}

/// Runs a scenario. `progress` is told the virtual time whenever the cluster has settled.
pub fn execute(loaded: &Loaded, mut watch: Watch, detail: Detail, progress: &mut dyn FnMut(Time)) -> Executed {
    if loaded.plan.placement_only {
        return execute_placement(loaded, watch, progress);
    }
    watch.set_hosts(&loaded.plan.hosts);
    let next_wake = watch.next_wake(None);
    let mut onlooker = Onlooker { watch, history: History::new(detail), next_wake, progress };
    plan_facts(&loaded.plan, &mut onlooker.history);
    // The history keeps what reports tell of the facts, and of events only in full.
    let options = Options { keep_facts: false, events: detail == Detail::Everything, ..Options::default() };
    let mut simulation: Simulation = Simulation::with_options(&loaded.plan, options);
    simulation.run(&mut onlooker);
    let outcome = simulation.outcome();
    let Onlooker { watch, mut history, .. } = onlooker;
    let mut warnings = loaded.warnings.clone();
    warnings.extend(refusals(&loaded.plan, &outcome, &mut history));
    warnings.extend(drains(&loaded.plan, &outcome, &mut history));
    warnings.extend(history.warnings());
    let (expectations, unseen) = watch.finish(outcome.end);
    for one in &expectations {
        // Those that were decided during the run have been told then.
        if !history.has_told(&one.name) {
            history.tell_expectation(one);
        }
    }
    warnings.extend(unseen.iter().map(|name| format!("expectation {name:?} was not looked at: the run ended before")));
    let nothing_scheduled = asks_for_pods(&loaded.plan, outcome.end) && history.scheduled().1 == 0;
    if nothing_scheduled {
        warnings.push("pods were asked for and not one was bound to a node".to_owned());
    }
    let fingerprint = outcome.fingerprint.to_string();
    let pinned_fingerprint = pinned(loaded, &fingerprint, &mut warnings);
    let Finished { facts, events, pods, nodes, services, series, mut counts } = history.finish(outcome.end);
    counts.faults = loaded.plan.faults.iter().filter(|fault| fault.from <= outcome.end).count() as u64;
    let summary = Summary {
        expectations,
        counts,
        warnings,
        fingerprint,
        pinned_fingerprint,
        digest: outcome.digest.to_string(),
        duration_ns: outcome.end.0,
        events: outcome.steps,
        ..summary(loaded)
    };
    let markers = markers(&loaded.plan, outcome.end);
    Executed { record: RunRecord { summary, facts, events, pods, nodes, services, series, markers }, nothing_scheduled }
}

/// Plays the scheduler's choices alone.
fn execute_placement(loaded: &Loaded, watch: Watch, progress: &mut dyn FnMut(Time)) -> Executed {
    let Played { end, events, fingerprint, digest, study, mut facts, pods, nodes, series, counts, left_out } =
        placement::play(&loaded.plan, progress);
    let mut warnings = Vec::new();
    if left_out > 0 {
        warnings.push(format!("the run ended before {left_out} of the plan's requests: give it a longer duration"));
    }
    let nothing_scheduled = study.pods_arrived > 0 && study.pods_scheduled == 0;
    if nothing_scheduled {
        warnings.push("pods were asked for and not one was bound to a node".to_owned());
    }
    let expectations = watch.of_study(end, &placement::as_seen_by_expectations(&study));
    facts.extend(expectations.iter().zip(facts.len() as u64..).map(|(one, seq)| {
        let reason = if one.held { "Held" } else { "Broken" };
        FactRow::new((end.0, seq), "expectation", one.name.as_str(), reason, one.evidence.as_str())
    }));
    let fingerprint = fingerprint.to_string();
    let pinned_fingerprint = pinned(loaded, &fingerprint, &mut warnings);
    let summary = Summary {
        expectations,
        counts,
        warnings,
        fingerprint,
        pinned_fingerprint,
        digest: digest.to_string(),
        duration_ns: end.0,
        events,
        study: Some(study),
        ..summary(loaded)
    };
    let (events, services, markers) = (Vec::new(), Vec::new(), Vec::new());
    let record = RunRecord { summary, facts, events, pods, nodes, services, series, markers };
    Executed { record, nothing_scheduled }
}

struct Onlooker<'a> {
    watch: Watch,
    history: History,
    /// What [`Watch::next_wake`] gives, kept because it is asked for at every input.
    next_wake: Option<Time>,
    progress: &'a mut dyn FnMut(Time),
}

impl Observer for Onlooker<'_> {
    fn settled(&mut self, now: Time, core: &Core, facts_since: &[(Time, Fact)]) -> Flow {
        self.history.take(now, core, facts_since);
        let decided = self.watch.settled(now, core.newest());
        for index in &decided {
            if let Some(result) = self.watch.result(*index) {
                self.history.tell_expectation(&result);
            }
        }
        if !decided.is_empty() || self.next_wake.is_some_and(|wake| wake <= now) {
            self.next_wake = self.watch.next_wake(Some(now));
        }
        (self.progress)(now);
        Flow::Continue
    }

    fn next_wake(&self) -> Option<Time> {
        self.next_wake
    }
}

/// What the plan does to the cluster, as lines of the account.
fn plan_facts(plan: &Plan, history: &mut History) {
    let end = Time::ZERO.saturating_add(plan.duration);
    for step in plan.steps.iter().filter(|step| step.at <= end && !step.label.is_empty()) {
        let targets = step.request.target().iter().map(|key| subject_of(key).into()).collect();
        history.tell_aimed(step.at, "action", &step.label, "Requested", &step.place, targets);
    }
    for drain in plan.drains.iter().filter(|drain| drain.at <= end) {
        let targets = drain.options.nodes.iter().map(|node| format!("node/{node}").into()).collect();
        history.tell_aimed(drain.at, "action", &drain.label, "Requested", &drain.place, targets);
    }
    for fault in plan.faults.iter().filter(|fault| fault.from <= end) {
        let nodes = fault.kind.hosts().map(|host| format!("node/{}", plan.hosts[host.0 as usize].boot.node).into());
        let targets: Vec<Text> = nodes.collect();
        history.tell_aimed(fault.from, "fault", &fault.label, "Begins", &fault.place, targets.clone());
        if let Some(to) = fault.to.filter(|to| *to <= end) {
            history.tell_aimed(to, "fault", &fault.label, "Ends", &fault.place, targets);
        }
    }
}

/// Requests of the plan that the API server refused, as lines of the account and as warnings.
fn refusals(plan: &Plan, outcome: &Outcome, history: &mut History) -> Vec<String> {
    let mut warnings = Vec::new();
    for refused in &outcome.refusals {
        let step = &plan.steps[refused.step as usize];
        // What every namespace has the controllers can have brought first, where requests take no time.
        let is_of_user = !step.label.is_empty() || matches!(step.request, Request::Create(Object::Pod(_)));
        if !is_of_user && matches!(refused.refusal, Refusal::AlreadyExists { .. }) {
            continue;
        }
        history.tell(refused.at, "action", &step.label, "Refused", &refused.refusal.to_string());
        warnings.push(format!("{}: {} was refused at {}: {}", step.place, step.label, refused.at, refused.refusal));
    }
    warnings
}

/// What the plan's drains have said, as lines of the account; those that failed as warnings.
fn drains(plan: &Plan, outcome: &Outcome, history: &mut History) -> Vec<String> {
    let mut warnings = Vec::new();
    for note in &outcome.drain_notes {
        let drain = &plan.drains[note.drain as usize];
        history.tell(note.at, "action", &drain.label, note.reason, &note.text);
        if note.failed {
            warnings.push(format!("{}: {} failed at {}", drain.place, drain.label, note.at));
        }
    }
    warnings
}

/// Whether the plan wants at least one pod before the run ends.
fn asks_for_pods(plan: &Plan, end: Time) -> bool {
    plan.steps.iter().filter(|step| step.at < end).any(|step| match &step.request {
        Request::Apply { object, .. } | Request::Create(object) => match object {
            Object::Pod(_) => true,
            Object::Deployment(deployment) => deployment.replicas > 0,
            Object::ReplicaSet(set) => set.replicas > 0,
            Object::ReplicationController(set) => set.replicas > 0,
            Object::Job(job) => job.spec.parallelism > 0 && !job.spec.suspend,
            Object::StatefulSet(set) => set.replicas > 0,
            Object::DaemonSet(_) => true,
            _ => false,
        },
        Request::Patch { patch: Patch::Replicas(replicas), .. } => *replicas > 0,
        _ => false,
    })
}

/// The pinned fingerprint if it belongs to this run and is another one.
fn pinned(loaded: &Loaded, fingerprint: &str, warnings: &mut Vec<String>) -> Option<String> {
    let pinned = &loaded.scenario.spec.fingerprint.as_ref()?.value;
    if !loaded.inputs.settings.is_empty() {
        warnings.push("the pinned fingerprint was not compared: the command line changes the run".to_owned());
        return None;
    }
    (pinned != fingerprint).then(|| pinned.clone())
}

fn markers(plan: &Plan, end: Time) -> Vec<Marker> {
    let mut markers: Vec<Marker> = plan
        .faults
        .iter()
        .filter(|fault| fault.from <= end)
        .map(|fault| Marker {
            from_ns: fault.from.0,
            to_ns: fault.to.filter(|to| *to <= end).map(|to| to.0),
            label: fault.label.clone(),
        })
        .collect();
    markers.sort_by_key(|marker| marker.from_ns);
    markers
}

/// The part of the summary that is known before the run.
fn summary(loaded: &Loaded) -> Summary {
    let scenario = &loaded.scenario;
    Summary {
        schema: SCHEMA.to_owned(),
        scenario: scenario.metadata.name.clone(),
        description: scenario.metadata.description.clone(),
        file: loaded.inputs.file_name().to_owned(),
        seed: scenario.spec.seed,
        world: World::Sim,
        fidelity: match scenario.spec.control_plane.fidelity {
            Fidelity::Instant => "instant".to_owned(),
            Fidelity::Modelled => "modelled".to_owned(),
            Fidelity::Placement => "placement".to_owned(),
        },
        kubernetes_version: KUBERNETES_VERSION.to_owned(),
        wavetank_version: env!("CARGO_PKG_VERSION").to_owned(),
        duration_ns: 0,
        events: 0,
        fingerprint: String::new(),
        pinned_fingerprint: None,
        digest: String::new(),
        expectations: Vec::new(),
        counts: Default::default(),
        warnings: Vec::new(),
        not_modelled: loaded.not_modelled.clone(),
        methods: methods(scenario, &loaded.plan.config.scheduler),
        study: None,
    }
}

/// A span in the largest unit of which it has one or more, with all its digits: `2.564 ms`, `1 µs`.
fn exact(span: Span) -> String {
    let units = [("s", 1_000_000_000), ("ms", 1_000_000), ("µs", 1_000), ("ns", 1)];
    let (unit, size) = units.into_iter().find(|(_, size)| span.0 >= *size).unwrap_or(("ns", 1));
    let fraction = (size + span.0 % size).to_string();
    let fraction = fraction[1..].trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{}{point}{fraction} {unit}", span.0 / size)
}

/// What the run's times rest on, as people read it.
fn methods(scenario: &Scenario, scheduler: &SchedulerConfig) -> Vec<String> {
    let control = &scenario.spec.control_plane;
    if control.fidelity == Fidelity::Placement {
        return Vec::new();
    }
    let cost = &scheduler.cost;
    let of = match *cost {
        SchedulingCost::NONE => "attempts take no time".to_owned(),
        _ => {
            let (attempt, node) = (exact(cost.attempt), exact(cost.scored_node));
            format!("an attempt takes {attempt} and {node} per node scored, more with rules about pods")
        }
    };
    let basis = match *cost {
        SchedulingCost::NONE => "",
        SchedulingCost::KUBERNETES_1_34 => " (fitted to scheduler_perf's thresholds of Kubernetes 1.34)",
        _ => " (as the scenario says)",
    };
    let limit = match scheduler.client_limit {
        None => "requests are not limited".to_owned(),
        Some(limit) => format!("{} requests per second, {} at once", limit.per_second, limit.burst),
    };
    vec![format!("scheduler: {of}{basis}; {limit}")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_in_the_unit_that_fits_and_whole() {
        let told = [2_564_000, 1_900, 1_000_000, 1_020, 7, 0, 2_000_000_050].map(|ns| exact(Span(ns)));
        assert_eq!(told, ["2.564 ms", "1.9 µs", "1 ms", "1.02 µs", "7 ns", "0 ns", "2.00000005 s"]);
    }
}
