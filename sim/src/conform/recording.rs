//! A recording of a real cluster, as its folder has it: what was asked for, and every change that the watches showed.
//!
//! Times of a folder may come from several clocks: a recorder that resets its clock writes steps whose times begin
//! again. [`Recording::read`] puts all steps on the clock of the events, by the creations that both tell of. Absent on
//! purpose: `summary.md`, which is prose, except for the flags of the controller manager that it quotes.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use wavetank_manifest::yaml::{Duplicates, parse};

use crate::conform::kubectl::{CommandLine, transcript};
use crate::conform::line::Line;
use crate::conform::refusals::Refused;
use crate::conform::unrecorded;
use wavetank_manifest::text_file;

/// One folder.
#[derive(Clone, Debug)]
pub struct Recording {
    /// The folder's name.
    pub name: String,
    /// The namespace that the scenario has to itself.
    pub namespace: String,
    /// What was done, by time.
    pub steps: Vec<Step>,
    /// What the watches showed, in order of the store's revisions.
    pub lines: Vec<Line>,
    /// Requests that the API server refused, each with its answer.
    pub refused: Vec<Refused>,
    /// The wall-clock time of zero on the recording's clock: Unix time in milliseconds.
    pub zero_unix_ms: i64,
    /// `--kube-api-qps` and `--kube-api-burst` of the controller manager, where they are not the defaults.
    pub client_limit: Option<(u32, u32)>,
}

/// One thing that was done.
#[derive(Clone, Debug)]
pub struct Step {
    /// When, in milliseconds on the clock of the events.
    pub at_ms: i64,
    /// When the one before it was done: a command line that takes its time is recorded at its end, and began then.
    pub from_ms: i64,
    /// What.
    pub what: Deed,
}

/// What was done.
#[derive(Clone, Debug)]
pub enum Deed {
    /// A request to the API server.
    Request {
        /// `POST`, `PATCH` …
        method: String,
        /// The path, with its query.
        path: String,
        /// The media type of a patch; empty otherwise.
        content_type: String,
        /// The body, or null.
        body: Value,
        /// The status code of the answer.
        code: u16,
        /// What a refusal says, where it is recorded.
        message: Option<String>,
    },
    /// Something happened to a machine: `add`, `die`, `back` or `remove`.
    Machine(Value),
    /// A command line of kubectl, its exit code, and what is told beside it.
    Kubectl(String, i64, Beside),
}

/// What a recording tells beside a command line.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    /// What its files or standard input describe.
    pub manifests: Vec<Value>,
    /// What it was told of levels of PodSecurity; `None` where nobody wrote down what it said.
    pub warnings: Option<BTreeSet<String>>,
}

/// How far the time at which the events show a creation may be from its step's on the same clock.
const ON_TIME_MS: i64 = 2_000;

/// How long a recording's first command may have taken.
const FIRST_COMMAND_MS: i64 = 2_000;

/// How long a command takes at most that waits for nothing but answers.
const QUICK_MS: i64 = 2_000;

impl Recording {
    /// Reads a folder. Errors: a file that is not there or not of the format, with its name and place.
    pub fn read(folder: &Path) -> Result<Recording, String> {
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let text = |file: &str| text_file::read(&folder.join(file));
        let bad = folder.join("bad.jsonl");
        if bad.is_file() {
            let refused = lines_of(&text("bad.jsonl")?, &bad, Refused::read)?;
            return Ok(Recording { refused, ..Recording::empty(name) });
        }
        let steps_file = folder.join("steps.yaml");
        let documents = parse(&quoted(&text("steps.yaml")?), Duplicates::LastWins)
            .map_err(|error| format!("{}: {error}", steps_file.display()))?;
        let root = documents.first().map(|node| node.to_json()).unwrap_or_default();
        let mut recording = Recording::empty(name);
        recording.namespace = root["namespace"].as_str().unwrap_or_default().to_owned();
        let events_file = folder.join("events.jsonl");
        let zero = root["t0_unix"].as_f64().unwrap_or(0.0);
        recording.zero_unix_ms = (zero * 1e3).round() as i64;
        // A folder of steps alone is a recording to be made.
        let events = if events_file.is_file() { text("events.jsonl")? } else { String::new() };
        for (number, value) in (1..).zip(json_lines(&events, &events_file)?) {
            let line =
                Line::from_json(value).map_err(|error| format!("{}:{number}: {error}", events_file.display()))?;
            recording.lines.push(line);
        }
        let items = root["steps"].as_array().ok_or_else(|| format!("{}: steps not set", steps_file.display()))?;
        let mut clocks: Vec<Vec<Step>> = vec![Vec::new()];
        let mut done_ms = None;
        for (number, item) in (1..).zip(items) {
            let at_ms = item["t_ms"]
                .as_i64()
                .ok_or_else(|| format!("{}: step {number}: t_ms is no whole number", steps_file.display()))?;
            let resets = item["note"].as_str().is_some_and(|note| note.contains("t0 ") && note.contains("reset"));
            let before = clocks.last().and_then(|clock| clock.last()).map(|step| step.at_ms);
            if resets || before.is_some_and(|before| at_ms < before) {
                clocks.push(Vec::new());
                done_ms = None;
            }
            if let Some(what) = deed(item) {
                // What a first command did is shown before its end.
                let earliest_ms = if matches!(what, Deed::Kubectl(..)) { at_ms - FIRST_COMMAND_MS } else { at_ms };
                let from_ms = done_ms.unwrap_or(earliest_ms).min(at_ms);
                clocks.last_mut().expect("there is a clock").push(Step { at_ms, from_ms, what });
            }
            done_ms = Some(at_ms);
        }
        recording.steps = on_one_clock(clocks, &recording.lines);
        let defaults = folder.join("defaults.json");
        if defaults.is_file() {
            let sent: Value = serde_json::from_str(&text("defaults.json")?)
                .map_err(|error| format!("{}: {error}", defaults.display()))?;
            recording.steps.extend(creations(&sent, &recording));
            recording.steps.sort_by_key(|step| step.at_ms);
        }
        let transcript = folder.join("kubectl.txt");
        if transcript.is_file() && !recording.steps.iter().any(|step| matches!(step.what, Deed::Kubectl(..))) {
            let spoken = transcript::read(&text("kubectl.txt")?);
            let steps = transcript::steps(&spoken, &recording.steps, &recording.lines);
            recording.steps.extend(steps);
            recording.steps.sort_by_key(|step| step.at_ms);
        }
        let unrecorded = unrecorded::creations(&recording.steps, &recording.lines);
        recording.steps.extend(unrecorded);
        let removals = unrecorded::removals(&recording.steps, &recording.lines);
        recording.steps.extend(removals);
        recording.steps.sort_by_key(|step| step.at_ms);
        let first_ms = recording.steps.first().map(|step| step.at_ms);
        for step in &mut recording.steps {
            if let Deed::Kubectl(line, _, Beside { manifests, .. }) = &step.what {
                let line = CommandLine::parse(line);
                let is_quick = !line.takes_its_time();
                let earliest_ms = if is_quick { step.from_ms.max(step.at_ms - QUICK_MS) } else { step.from_ms };
                let shown = transcript::shown_ms(&line, manifests, &[], &recording.lines, earliest_ms);
                let unseen_ms = if is_quick || first_ms == Some(step.at_ms) { step.at_ms } else { step.from_ms };
                step.from_ms = shown.filter(|shown| *shown <= step.at_ms).unwrap_or(unseen_ms);
            }
        }
        let summary = folder.join("summary.md");
        if summary.is_file() {
            recording.client_limit = client_limit(&text("summary.md")?);
        }
        Ok(recording)
    }

    pub(super) fn empty(name: String) -> Recording {
        Recording {
            name,
            namespace: String::new(),
            steps: Vec::new(),
            lines: Vec::new(),
            refused: Vec::new(),
            zero_unix_ms: 0,
            client_limit: None,
        }
    }

    /// The name without the letter of a repeat: `deploy-stall` of `deploy-stall-b`.
    pub fn scenario(&self) -> &str {
        self.name.strip_suffix("-b").or_else(|| self.name.strip_suffix("-c")).unwrap_or(&self.name)
    }
}

/// Quotes what the recorder's YAML means as text and kubectl's dialect does not: `null` as a key (notes on pods without
/// a node), and `y` and `n` as keys and values.
fn quoted(text: &str) -> String {
    let quoted = |line: &str| {
        let bare = line.trim_start_matches([' ', '-']);
        let before = &line[..line.len() - bare.len()];
        let line = match bare.split_once(':') {
            Some((key @ ("null" | "y" | "n"), rest)) if rest.is_empty() || rest.starts_with(' ') => {
                format!("{before}\"{key}\":{rest}")
            }
            _ => line.to_owned(),
        };
        match line.rsplit_once(' ') {
            Some((start, word @ ("y" | "n"))) => format!("{start} \"{word}\""),
            _ => line,
        }
    };
    text.lines().map(quoted).collect::<Vec<_>>().join("\n")
}

fn json_lines(text: &str, file: &Path) -> Result<Vec<Value>, String> {
    lines_of(text, file, |line| serde_json::from_str(line))
}

fn lines_of<T>(text: &str, file: &Path, read: fn(&str) -> serde_json::Result<T>) -> Result<Vec<T>, String> {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(number, line)| read(line).map_err(|error| format!("{}:{number}: {error}", file.display()))).collect()
}

/// Objects that were created to see what is filled in, by kind: `sent`, `code`, `stored`.
fn creations(defaults: &Value, recording: &Recording) -> Vec<Step> {
    let cases = defaults.as_object().into_iter().flatten();
    let step = |(kind, case): (&String, &Value)| {
        let body = case["sent"].clone();
        let name = format!("{}/{}", recording.namespace, body["metadata"]["name"].as_str()?);
        let shown = recording.lines.iter().find(|line| line.is_added() && line.kind == *kind && line.name == name)?;
        let (group, plural) = collection(body["apiVersion"].as_str()?, kind);
        let what = Deed::Request {
            method: "POST".to_owned(),
            path: format!("/{group}/namespaces/{}/{plural}", recording.namespace),
            content_type: String::new(),
            body,
            code: case["code"].as_u64().and_then(|code| u16::try_from(code).ok()).unwrap_or(0),
            message: None,
        };
        Some(Step { at_ms: shown.at_ms, from_ms: shown.at_ms, what })
    };
    cases.filter_map(step).collect()
}

/// Where the objects of a kind are: `apis/apps/v1` and `deployments`.
fn collection(api_version: &str, kind: &str) -> (String, String) {
    let root = if api_version.contains('/') { "apis" } else { "api" };
    let lower = kind.to_lowercase();
    let plural = match lower.strip_suffix('y').or(lower.strip_suffix('s')) {
        Some(stem) if lower.ends_with('y') => format!("{stem}ies"),
        Some(_) => format!("{lower}es"),
        None => format!("{lower}s"),
    };
    (format!("{root}/{api_version}"), plural)
}

fn deed(item: &Value) -> Option<Deed> {
    let text = |key: &str| item[key].as_str().unwrap_or_default().to_owned();
    if let Some(request) = item["request"].as_str() {
        let (method, path) = request.split_once(' ')?;
        return Some(Deed::Request {
            method: method.to_owned(),
            path: path.to_owned(),
            content_type: text("content_type"),
            body: item["body"].clone(),
            code: item["response_code"].as_u64().and_then(|code| u16::try_from(code).ok()).unwrap_or(0),
            message: item["response"]["message"].as_str().map(str::to_owned),
        });
    }
    if item["fake_kubelet"].is_object() {
        return Some(Deed::Machine(item["fake_kubelet"].clone()));
    }
    let code = item["rc"].as_i64().unwrap_or(0);
    let (command, piped) = here_document(item["kubectl"].as_str()?);
    let warnings = item["stderr"].as_str().map(warnings);
    Some(Deed::Kubectl(command.to_owned(), code, Beside { manifests: manifests(item, command, piped), warnings }))
}

/// What kubectl was told of levels of PodSecurity: each once, as it tells each once. After what is told of the pods of
/// a namespace as a whole come lines that begin with a pod's name.
fn warnings(said: &str) -> BTreeSet<String> {
    const OF_PODS: [&str; 2] = ["new PodSecurity enforce level ", "existing pods in namespace "];
    let mut of_pods = false;
    let warnings = said.lines().filter_map(|line| line.strip_prefix("Warning: "));
    let told = warnings.filter(|text| {
        of_pods |= OF_PODS.iter().any(|begin| text.starts_with(begin));
        of_pods || text.starts_with("would violate PodSecurity ")
    });
    told.map(str::to_owned).collect()
}

/// A command line and what a here-document after it pipes into the command.
fn here_document(command: &str) -> (&str, Option<String>) {
    let parts = command.split_once('\n').and_then(|(head, rest)| Some((head.rsplit_once("<<")?, rest)));
    let Some(((line, mark), rest)) = parts else { return (command, None) };
    let mark = mark.trim_start_matches('-').trim().trim_matches(['\'', '"']);
    let lines = rest.lines().take_while(|text| text.trim() != mark).map(|text| format!("{text}\n"));
    (line.trim_end(), Some(lines.collect()))
}

/// What the files of a command describe, object by object: `files` has their contents by name; `body`, or for standard
/// input `stdin`, that of the only one. Contents are text or the objects themselves.
fn manifests(item: &Value, command: &str, piped: Option<String>) -> Vec<Value> {
    let line = CommandLine::parse(command);
    let mut body = [&item["stdin"], &item["body"]].into_iter().find(|content| !content.is_null()).cloned();
    let mut piped = piped.map(Value::from);
    let mut found = Vec::new();
    for file in line.list("--filename") {
        let named = item["files"].get(file).cloned();
        let content = named.or_else(|| if file == "-" { piped.take() } else { None }).or_else(|| body.take());
        unfold(content.unwrap_or_default(), &mut found);
    }
    found
}

fn unfold(content: Value, found: &mut Vec<Value>) {
    match content {
        Value::Null => {}
        Value::String(text) => {
            let documents = parse(&text, Duplicates::LastWins).unwrap_or_default();
            documents.iter().for_each(|document| unfold(document.to_json(), found));
        }
        Value::Array(items) => items.into_iter().for_each(|item| unfold(item, found)),
        mut object => {
            let is_list = object["kind"].as_str().is_some_and(|kind| kind.ends_with("List"));
            match object["items"].take() {
                Value::Array(items) if is_list => items.into_iter().for_each(|item| unfold(item, found)),
                _ => {
                    object.as_object_mut().map(|fields| fields.remove("items"));
                    found.push(object);
                }
            }
        }
    }
}

/// Moves each clock's steps onto the clock of the events: the last clock is that one, and an earlier clock is found by
/// the last creation before the following clock's first step that a step asks for and an event shows.
fn on_one_clock(clocks: Vec<Vec<Step>>, lines: &[Line]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut before_ms = i64::MAX;
    for (number, clock) in clocks.into_iter().rev().enumerate() {
        let found = clock.iter().find_map(|step| Some(created_ms(&step.what, lines, before_ms)? - step.at_ms));
        // The last clock is the events' own, unless its creations are shown at quite another time, and none at its own.
        let is_on_time = |step: &Step| is_shown_on_time(step, lines);
        let keeps = number == 0 && clock.iter().any(is_on_time);
        let shift = found.filter(|found| !keeps && (number > 0 || found.abs() > ON_TIME_MS));
        let shift = shift.unwrap_or(0);
        let moved = |step: Step| Step { at_ms: step.at_ms + shift, from_ms: step.from_ms + shift, ..step };
        steps.extend(clock.into_iter().map(moved));
        before_ms = steps.iter().map(|step| step.at_ms).min().unwrap_or(before_ms);
    }
    steps.sort_by_key(|step| step.at_ms);
    steps
}

/// Whether the events show about when a step asks for it that an object comes; objects of one name come several times.
fn is_shown_on_time(step: &Step, lines: &[Line]) -> bool {
    let Some((kind, name)) = created(&step.what) else { return false };
    let times = step.at_ms - ON_TIME_MS..=step.at_ms + ON_TIME_MS;
    lines.iter().any(|line| line.is_added() && line.kind == kind && line.name == name && times.contains(&line.at_ms))
}

/// When the events show the object that a step creates: the last time before a point.
fn created_ms(what: &Deed, lines: &[Line], before_ms: i64) -> Option<i64> {
    let (kind, name) = created(what)?;
    let shows = |line: &&Line| line.is_added() && line.kind == kind && line.name == name && line.at_ms <= before_ms;
    lines.iter().rev().find(shows).map(|line| line.at_ms)
}

/// The kind and full name of the object that a step creates.
fn created(what: &Deed) -> Option<(&str, String)> {
    let (kind, name) = match what {
        Deed::Machine(machine) if machine["op"] == "add" => ("Node", machine["name"].as_str()?.to_owned()),
        Deed::Request { method, path, body, code: 201, .. } if method == "POST" => {
            let kind = body["kind"].as_str()?;
            let namespace = path.split("/namespaces/").nth(1).and_then(|rest| rest.split('/').next());
            let name = body["metadata"]["name"].as_str()?;
            (kind, namespace.map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}")))
        }
        _ => return None,
    };
    Some((kind, name))
}

/// `--kube-api-qps=500 --kube-api-burst=1000`, as a summary quotes the flags.
fn client_limit(summary: &str) -> Option<(u32, u32)> {
    let flag = |name: &str| {
        let rest = summary.split(name).nth(1)?;
        rest.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
    };
    Some((flag("--kube-api-qps=")?, flag("--kube-api-burst=")?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn creation(at_ms: i64) -> Step {
        let (method, path) = ("POST".to_owned(), "/apis/apps/v1/namespaces/shop/replicasets".to_owned());
        let body = json!({"kind": "ReplicaSet", "metadata": {"name": "till"}});
        let what = Deed::Request { method, path, content_type: String::new(), body, code: 201, message: None };
        Step { at_ms, from_ms: at_ms, what }
    }

    fn comes(at_ms: i64) -> Line {
        let line = json!({"t_ms": at_ms, "type": "ADDED", "kind": "ReplicaSet", "name": "shop/till"});
        Line::from_json(line).expect("the line is whole")
    }

    fn times(clocks: Vec<Vec<Step>>, lines: &[Line]) -> Vec<i64> {
        on_one_clock(clocks, lines).iter().map(|step| step.at_ms).collect()
    }

    #[test]
    fn a_command_s_files_are_beside_it_or_piped_into_it() {
        let names = |item: Value| match deed(&item).expect("a command") {
            Deed::Kubectl(line, _, Beside { manifests, .. }) => {
                (line, manifests.iter().map(|it| it["metadata"]["name"].clone()).collect::<Vec<_>>())
            }
            other => panic!("{other:?}"),
        };
        let named = |name: &str| json!({"kind": "ConfigMap", "metadata": {"name": name}});
        let (piped, beside) = ("apply -f -", "apply -f a.yaml -f b.yaml");
        for item in [
            json!({"kubectl": piped, "body": named("till")}),
            json!({"kubectl": piped, "stdin": "kind: ConfigMap\nmetadata: {name: till}\n---\n"}),
            json!({"kubectl": format!("{piped} <<'END'\nkind: ConfigMap\nmetadata: {{name: till}}\nEND\n")}),
            json!({"kubectl": piped, "body": {"kind": "List", "items": [named("till")]}}),
        ] {
            assert_eq!(names(item), (piped.to_owned(), vec!["till".into()]));
        }
        let files = json!({"a.yaml": [named("till"), named("desk")], "b.yaml": named("lamp")});
        let found = names(json!({"kubectl": beside, "files": files}));
        assert_eq!(found, (beside.to_owned(), vec!["till".into(), "desk".into(), "lamp".into()]));
        assert_eq!(names(json!({"kubectl": beside})).1, Vec::<Value>::new());
    }

    #[test]
    fn an_object_that_is_made_again_does_not_move_the_clock() {
        let clock = || vec![creation(0), creation(7_200)];
        assert_eq!(times(vec![clock()], &[comes(10), comes(7_210)]), [0, 7_200]);
        let moved = times(vec![clock()], &[comes(30_010), comes(37_210)]);
        assert_eq!(moved[1] - moved[0], 7_200, "{moved:?}");
        assert!(moved[0] >= 30_000, "{moved:?}");
    }
}
