//! Our cluster against recordings of real ones: the same steps, and what came of them compared.
//!
//! A recording is a folder with `steps.yaml` (what was asked for and when, and what happened to machines) and
//! `events.jsonl` (every change that watches showed), or with `bad.jsonl` (requests that were refused). [`conform`]
//! does the steps again in a small world ([`mod@bench`]) with stand-in kubelets ([`kubelets`]), writes down every
//! change in the recording's own form ([`shown`]), tells the [`story`] of both and compares them track by track
//! ([`compare`]). `docs/conform.md` says what is compared and how strictly.
//!
//! Invariant: a recording whose kinds we do not have is never equal.
//!
//! What steps ask for goes by way of `edge` (HTTP requests) and `kubectl` (command lines, `selectors`); `names` finds
//! our twins of recorded objects, `unrecorded` makes what recordings leave out, `unfit` compares the scheduler's
//! complaints. `refusals`, on a core `at_once`, is about requests that were refused; `recording` and `line` read the
//! files.

mod at_once;
pub mod bench;
pub mod compare;
pub mod edge;
pub mod kubectl;
pub mod kubelets;
pub mod line;
pub mod names;
pub mod recording;
pub mod refusals;
pub mod selectors;
pub mod shown;
pub mod story;
pub mod unfit;
pub mod unrecorded;

use std::collections::BTreeSet;

use serde_json::Value;
use wavetank_core::time::Span;
use wavetank_manifest::kubernetes::KINDS;

use compare::{Difference, Tolerance};
use recording::{Deed, Recording};

/// Times may be so far apart, in milliseconds, where the cluster had nothing else to do.
pub const TOLERANCE_MS: i64 = 1_500;
/// The same where other scenarios shared the recorded controllers' clients and their limits of 20 requests per second.
pub const TOLERANCE_SHARED_MS: i64 = 12_000;
/// Added once a machine has died or has said that it is not well.
pub const TOLERANCE_AFTER_DEATH_MS: i64 = 15_000;

/// Added for the times of Kubernetes events, which their components write at leisure.
pub const TOLERANCE_SAID_MS: i64 = 4_000;

/// What the recording shows last is shown so much later in a play, in milliseconds, where nothing holds it up.
const LATE_MS: i64 = 500;

/// How many times more the plays are made where no more than [`CHANCES`] tracks differ.
const ROUNDS: usize = 7;
/// Of long recordings the rounds are fewer: about so many lines in all, and one round at least.
const LINES_OF_ROUNDS: usize = 20_000;
/// So many tracks may be by chance what few plays have.
const CHANCES: usize = 6;

/// What became of one folder.
#[derive(Debug)]
pub struct Verdict {
    /// The folder's name.
    pub name: String,
    /// How it compares.
    pub outcome: Comparison,
    /// In how many plays each track agrees, the fewest first.
    pub agreements: Vec<(usize, String)>,
}

/// How a folder compares.
#[derive(Debug)]
pub enum Comparison {
    /// Everything that is compared is equal; so many tracks or refusals.
    Equal(usize),
    /// The differences, earliest first, and how many tracks there are.
    Differs(Vec<Difference>, usize),
    /// Kinds or requests that nothing here can do.
    NotCovered(Vec<String>),
    /// Kinds that we do not have, and how the recording compares without what was asked of them.
    Without(Vec<String>, Box<Comparison>),
}

/// Compares all recordings of one scenario with plays by these seeds.
pub fn conform(repeats: &[Recording], seeds: &[u64]) -> Vec<Verdict> {
    let first = &repeats[0];
    let verdict = |it: &Recording, (outcome, agreements)| Verdict { name: it.name.clone(), outcome, agreements };
    if !first.refused.is_empty() {
        return repeats.iter().map(|it| verdict(it, (refusals::compare(&it.refused), Vec::new()))).collect();
    }
    let stories: Vec<_> = repeats.iter().map(|it| story::tell(&it.lines, from_ms(it))).collect();
    let outcome = |recording: &Recording| match unknown_kinds(recording) {
        kinds if kinds.is_empty() => compare_patiently(recording, &stories, seeds),
        kinds => {
            let (rest, agreements) = compare_patiently(&without(recording, &kinds), &stories, seeds);
            (Comparison::Without(kinds, Box::new(rest)), agreements)
        }
    };
    repeats.iter().map(|it| verdict(it, outcome(it))).collect()
}

/// How a recording compares, and in how many plays each of its tracks agrees.
type Compared = (Comparison, Vec<(usize, String)>);

/// One folder's steps, played so often; where few tracks differ, played again as often with other seeds, some times
/// over. What happens once in hundreds of plays is shown by one recording among as many tracks, and a difference that
/// is no chance stays one in all of them.
fn compare_patiently(recording: &Recording, stories: &[story::Story], seeds: &[u64]) -> Compared {
    let (mut outcome, agreements) = compare_one(recording, stories, seeds);
    let count = seeds.len() as u64;
    let rounds = (LINES_OF_ROUNDS / recording.lines.len().max(1)).clamp(1, ROUNDS);
    for round in 1..=rounds as u64 {
        let Comparison::Differs(differences, tracks) = &mut outcome else { break };
        if differences.len() > CHANCES {
            break;
        }
        let others: Vec<u64> = seeds.iter().map(|seed| seed.wrapping_add(round * count)).collect();
        let again = match compare_one(recording, stories, &others).0 {
            Comparison::Differs(again, _) => again,
            Comparison::Equal(_) => Vec::new(),
            Comparison::NotCovered(_) | Comparison::Without(..) => break,
        };
        differences.retain(|one| again.iter().any(|other| other.track == one.track));
        if differences.is_empty() {
            outcome = Comparison::Equal(*tracks);
        }
    }
    (outcome, agreements)
}

/// One folder's steps, played; what comes of them may be what any of the repeats shows.
fn compare_one(recording: &Recording, stories: &[story::Story], seeds: &[u64]) -> Compared {
    let mut plays: Vec<bench::Played> = seeds.iter().map(|seed| bench::play(recording, *seed, Span::ZERO)).collect();
    // When within its period a controller looks at everything depends on when it was started: that is left to chance.
    let phases = (1..looking_period_secs(&recording.lines).div_ceil(2)).map(|step| Span::from_secs(2 * step));
    plays.extend(phases.map(|phase| bench::play(recording, seeds[0], phase)));
    if let Some(play) = plays.iter().find(|play| !play.not_covered.is_empty()) {
        return (Comparison::NotCovered(play.not_covered.clone()), Vec::new());
    }
    // A recording ends at some point: what was under way then may be done in ours or not.
    let end_ms = recording.lines.iter().map(|line| line.at_ms).max().unwrap_or(0);
    // Volumes that only claims tell of are not all that there were.
    let unknown_volumes = !unrecorded::volumes(&recording.steps, &recording.lines).is_empty();
    // Of nodes that it shared with other scenarios a recording shows nothing.
    let shown: BTreeSet<&str> =
        recording.lines.iter().filter(|line| line.kind == "Node").map(|line| line.name.as_str()).collect();
    let is_told = |line: &&line::Line| match line.kind.as_str() {
        "PersistentVolume" => !unknown_volumes,
        "Node" => shown.contains(line.name.as_str()),
        _ => true,
    };
    let told = |play: &bench::Played, end_ms: i64| {
        let lines: Vec<_> = play.lines.iter().filter(is_told).filter(|line| line.at_ms <= end_ms).cloned().collect();
        story::tell(&lines, from_ms(recording))
    };
    let told_to: Vec<Vec<story::Story>> =
        plays.iter().map(|play| vec![told(play, end_ms), told(play, i64::MAX)]).collect();
    let troubles = |step: &&recording::Step| match &step.what {
        Deed::Machine(machine) => machine["op"] == "die",
        Deed::Request { method, path, .. } => {
            method == "PATCH" && path.contains("/nodes/") && path.ends_with("/status")
        }
        Deed::Kubectl(..) => false,
    };
    let death_ms = recording.steps.iter().find(troubles);
    let tolerance = Tolerance {
        base_ms: if recording.client_limit.is_some() { TOLERANCE_MS } else { TOLERANCE_SHARED_MS },
        after_death_ms: TOLERANCE_AFTER_DEATH_MS,
        said_ms: TOLERANCE_SAID_MS,
        death_ms: death_ms.map(|step| step.at_ms),
        shown_ms: (scene_ends_ms(recording), end_ms),
    };
    let unwatched = unwatched(recording);
    let is_compared = |track: &str| is_compared(track, &unwatched) && is_shown(track, recording);
    let mut agreements = compare::agreements(stories, &told_to, tolerance);
    agreements.retain(|(_, track)| is_compared(track));
    let mut played: Vec<story::Story> = told_to.into_iter().flatten().collect();
    let mut differences = compare::differences(stories, &played, tolerance);
    if !differences.is_empty() {
        played.extend(plays.iter().map(|play| told(play, end_ms + LATE_MS)));
        let still = compare::differences(stories, &played, tolerance);
        differences.retain(|one| still.iter().any(|other| other.track == one.track));
    }
    differences.retain(|difference| is_compared(&difference.track));
    differences.extend(answers(recording, &plays));
    differences.sort_by_key(|difference| difference.at_ms);
    let tracks = stories[0].keys().filter(|track| is_compared(track)).count();
    let outcome =
        if differences.is_empty() { Comparison::Equal(tracks) } else { Comparison::Differs(differences, tracks) };
    (outcome, agreements)
}

/// What the binder says of claims again each time that it looks at all of them.
const SAID_OF_CLAIMS: [&str; 4] =
    ["FailedBinding", "ProvisioningFailed", "WaitForFirstConsumer", "ExternalProvisioning"];

/// The period of the controller whose looks at everything the recording shows; zero if it shows none.
fn looking_period_secs(lines: &[line::Line]) -> u64 {
    let is_claim_said = |line: &line::Line| line.kind == "Event" && SAID_OF_CLAIMS.contains(&line.text("reason"));
    let is_collected = |line: &line::Line| {
        let target = line
            .fields
            .get("conditions")
            .map_or("", |conditions| conditions["DisruptionTarget"].as_str().unwrap_or(""));
        let never_bound = line.fields.contains_key("deletionTimestamp") && !line.fields.contains_key("nodeName");
        let failed = line.text("phase") == "Failed";
        line.kind == "Pod" && (target.contains("DeletionByPodGC") || never_bound && failed) || is_out_of_service(line)
    };
    match (lines.iter().any(is_collected), lines.iter().any(is_claim_said)) {
        (true, _) => bench::POD_GC_PERIOD_SECS,
        (false, true) => bench::BINDER_PERIOD_SECS,
        (false, false) => 0,
    }
}

/// Whether a line shows a node that is out of service: the collector takes the pods off that were to go from there.
///
/// Source: `gcTerminating`, pkg/controller/podgc/gc_controller.go (v1.34.1).
fn is_out_of_service(line: &line::Line) -> bool {
    let taints = line.fields.get("taints").and_then(Value::as_array).into_iter().flatten();
    let mut texts = taints.filter_map(Value::as_str);
    line.kind == "Node" && texts.any(|taint| taint.starts_with("node.kubernetes.io/out-of-service="))
}

/// Steps that were answered otherwise in every play.
fn answers(recording: &Recording, plays: &[bench::Played]) -> Vec<Difference> {
    let differing = (0..recording.steps.len()).filter_map(|place| {
        let mut found = plays.iter().map(|play| answer(place, recording, play));
        let first = found.next()??;
        found.all(|difference| difference.is_some()).then_some(first)
    });
    differing.collect()
}

/// How the answer to a step differs in a play.
fn answer(place: usize, recording: &Recording, play: &bench::Played) -> Option<Difference> {
    let step = &recording.steps[place];
    let differs =
        |track: String, recorded: String, ours: String| Some(Difference { at_ms: step.at_ms, track, recorded, ours });
    match &step.what {
        Deed::Request { method, path, code, message: said, .. } => {
            let (ours, message) = play.codes.get(&place)?;
            let track = format!("answer to {method} {path}");
            // A refusal's words are compared too, where the recording has them.
            if ours == code && *ours >= 400 && said.as_ref().is_some_and(|said| !says_the_same(said, message)) {
                return differs(track, said.clone().unwrap_or_default(), message.clone());
            }
            // A creation that is answered with 200 instead of 201 is an eviction or binding; both say that it is done.
            if ours / 100 == code / 100 && (*ours < 300 || ours == code) {
                return None;
            }
            differs(track, code.to_string(), format!("{ours} {message}").trim_end().to_owned())
        }
        Deed::Kubectl(command, code, beside) => {
            let (ours, said) = play.commands.get(&place)?;
            let recorded = i32::from(*code != 0);
            if *ours == recorded {
                let recorded = beside.warnings.as_ref()?;
                let heard = play.warnings.get(&place);
                let listed = |told: Option<&BTreeSet<String>>, lines: &[line::Line]| {
                    let names = story::Names::of(lines);
                    let told: BTreeSet<String> = told.into_iter().flatten().map(|it| names.in_text(it)).collect();
                    told.into_iter().collect::<Vec<_>>().join("; ")
                };
                let is_same = heard.map_or(recorded.is_empty(), |heard| heard == recorded);
                let texts = (!is_same).then(|| (listed(Some(recorded), &recording.lines), listed(heard, &play.lines)));
                let (recorded, ours) = texts.filter(|(recorded, ours)| recorded != ours)?;
                return differs(format!("warnings of kubectl {command}"), recorded, ours);
            }
            let track = format!("exit code of kubectl {command}");
            differs(track, recorded.to_string(), format!("{ours} {said}").trim_end().to_owned())
        }
        Deed::Machine(_) => None,
    }
}

/// Whether two refusals have the same words. Several reasons stand in brackets, and admission collects those about
/// bounds by going through a map: their order is chance.
///
/// Source: `PodValidateLimitFunc`, plugin/pkg/admission/limitranger/admission.go (v1.34.1).
fn says_the_same(one: &str, other: &str) -> bool {
    fn parts(text: &str) -> Option<(&str, Vec<&str>)> {
        let (before, reasons) = text.strip_suffix(']')?.split_once(": [")?;
        let mut parts: Vec<&str> = reasons.split(", ").collect();
        parts.sort_unstable();
        Some((before, parts))
    }
    let (one, other) = (refusals::plain(one), refusals::plain(other));
    one == other || parts(&one).is_some_and(|one| parts(&other) == Some(one))
}

/// When the scenario itself begins: what came before it sets the scene.
fn from_ms(recording: &Recording) -> i64 {
    recording.steps.iter().map(begins_ms).min().unwrap_or(0)
}

/// When a step was begun: a command is recorded at its end.
fn begins_ms(step: &recording::Step) -> i64 {
    if matches!(step.what, Deed::Kubectl(..)) { step.from_ms } else { step.at_ms }
}

/// When the first thing is done but for machines that join: these may have joined in an earlier scenario already.
fn scene_ends_ms(recording: &Recording) -> i64 {
    let joins = |step: &&recording::Step| matches!(&step.what, Deed::Machine(machine) if machine["op"] == "add");
    let others = recording.steps.iter().filter(|step| !joins(step));
    others.map(begins_ms).min().unwrap_or(from_ms(recording))
}

/// Kinds that the steps ask for and that we do not have.
fn unknown_kinds(recording: &Recording) -> Vec<String> {
    let kinds: BTreeSet<&str> = recording.steps.iter().filter_map(asked_kind).collect();
    kinds.into_iter().filter(|kind| !is_supported(kind)).map(str::to_owned).collect()
}

/// The kind that a step creates.
fn asked_kind(step: &recording::Step) -> Option<&str> {
    let Deed::Request { method, path, body, .. } = &step.what else { return None };
    let creates = method == "POST" && !path.ends_with("/eviction") && !path.ends_with("/binding");
    body["kind"].as_str().filter(|_| creates)
}

/// A recording without the requests about objects of some kinds.
fn without(recording: &Recording, kinds: &[String]) -> Recording {
    let is_theirs = |kind: &str| kinds.iter().any(|known| known == kind);
    let paths: BTreeSet<String> = recording
        .steps
        .iter()
        .filter(|step| asked_kind(step).is_some_and(is_theirs))
        .filter_map(|step| match &step.what {
            Deed::Request { path, .. } => edge::Path::parse(path).map(|path| path.plural),
            _ => None,
        })
        .collect();
    let stays = |step: &&recording::Step| match &step.what {
        Deed::Request { path, .. } => edge::Path::parse(path).is_none_or(|path| !paths.contains(&path.plural)),
        _ => true,
    };
    Recording { steps: recording.steps.iter().filter(stays).cloned().collect(), ..recording.clone() }
}

/// Whether manifests of a kind can be read, and so whether its controllers are there.
fn is_supported(kind: &str) -> bool {
    KINDS.iter().any(|known| known.kind == kind)
}

/// Kinds that recorders do not watch.
const UNWATCHED: &[&str] = &["LimitRange", "ServiceAccount"];

/// Kinds that this recorder did not watch: objects of them were created, and no line shows one. Most Services have
/// Endpoints, so that lines without any were recorded without a look at them.
fn unwatched(recording: &Recording) -> BTreeSet<&str> {
    let made = |step: &&recording::Step| match &step.what {
        Deed::Request { code, path, .. } => *code == 201 && !path.contains("dryRun"),
        _ => false,
    };
    let mut kinds: BTreeSet<&str> = recording.steps.iter().filter(made).filter_map(asked_kind).collect();
    kinds.insert("Endpoints");
    for step in &recording.steps {
        if let Deed::Kubectl(command, 0, beside) = &step.what {
            kinds.extend(kubectl::made(command, &beside.manifests).into_iter().map(|(kind, _)| kind.name()));
        }
    }
    kinds.into_iter().filter(|kind| !recording.lines.iter().any(|line| line.kind == *kind)).collect()
}

/// The namespace that ours has for what belongs to none of the recording's, and that no recording shows.
const UNSHOWN_NAMESPACE: &str = "Namespace/default";

/// Whether a track is of a kind that we have and that was watched.
fn is_compared(track: &str, unwatched: &BTreeSet<&str>) -> bool {
    let kind = track.split(['/', ':']).next().unwrap_or_default();
    let is_watched = !UNWATCHED.contains(&kind) && !unwatched.contains(kind);
    is_watched && !track.starts_with(UNSHOWN_NAMESPACE) && is_supported(kind)
}

/// Whether a recording shows what a track is about, if that is a field of a spec: which of these are essential is the
/// recorder's choice, and one that it shows of no object of a kind is none of them.
fn is_shown(track: &str, recording: &Recording) -> bool {
    let Some((subject, field)) = track.split_once(' ') else { return true };
    let kind = subject.split('/').next().unwrap_or_default();
    let of_kind: Vec<_> = recording.lines.iter().filter(|line| line.kind == kind).collect();
    // Which volume a claim was given says nothing where it is not known which others there were.
    if kind == "EndpointSlice" && field.trim_end_matches(" lives").ends_with(story::HINTS) {
        let endpoints = of_kind.iter().filter_map(|line| line.fields.get("endpoints")?.as_object());
        return endpoints.flat_map(|all| all.values()).any(|endpoint| !endpoint["hints"].is_null());
    }
    let of_volumes = || recording.lines.iter().any(|line| line.kind == "PersistentVolume");
    let key = match field {
        "volume" | "claim" if of_volumes() => "spec",
        "volume" | "claim" => return false,
        field => field,
    };
    let is_choice = key.starts_with("spec") || matches!(key, "image" | "nominatedNodeName" | "volumesAttached");
    !is_choice || of_kind.is_empty() || of_kind.iter().any(|line| line.fields.contains_key(key))
}

/// The first words of a JSON value, for messages.
pub(crate) fn brief(value: &Value) -> String {
    value.to_string().chars().take(120).collect()
}

#[cfg(test)]
mod tests;
