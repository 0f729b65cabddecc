//! Compares the scheduler's plugins with answers recorded from kube-scheduler.
//!
//! `cargo run -p wavetank-manifest --example scheduler_recordings -- FOLDER/mixed-small-*.json` reads each list of
//! objects and the `.expect.jsonl` beside it. Pods are placed where the recording has them, so one difference does not
//! bring others with it. Compared per node: the scores of the plugins that the core has, and the reasons of refusals
//! by those plugins. Normalized scores are compared only where the core's set of feasible nodes is the recorded one,
//! because pods with features that the core lacks (spread, pod affinity) are feasible on other nodes here.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::Value;
use wavetank_core::config::SchedulerConfig;
use wavetank_core::digest::Shared;
use wavetank_core::id::{Name, RowId};
use wavetank_core::model::{Object, PodSpec, TaintEffect, Toleration, TolerationOperator};
use wavetank_core::scheduler::{NodeVerdict, Placement};
use wavetank_manifest::kubernetes::{Manifest, read_manifests, to_object};

/// Plugins whose refusals the core gives as well.
const FILTERS: [&str; 5] = ["NodeUnschedulable", "TaintToleration", "NodeAffinity", "NodePorts", "NodeResourcesFit"];

#[derive(Default)]
struct Tally {
    /// Agreeing and all rows, by what was compared.
    rows: BTreeMap<String, (u32, u32)>,
    shown: u32,
}

fn main() -> ExitCode {
    let mut tally = Tally::default();
    for path in std::env::args().skip(1) {
        if let Err(message) = compare_case(&path, &mut tally) {
            eprintln!("{path}: {message}");
            return ExitCode::FAILURE;
        }
    }
    for (what, (equal, all)) in &tally.rows {
        println!("{what}: {equal} of {all} rows agree");
    }
    let differing = tally.rows.values().any(|(equal, all)| equal != all);
    if differing { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn compare_case(path: &str, tally: &mut Tally) -> Result<(), String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let expect = std::fs::read_to_string(path.replace(".json", ".expect.jsonl")).map_err(|error| error.to_string())?;
    let mut list: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let items = list["items"].as_array_mut().ok_or("it has no items")?;
    items.retain(|item| item["kind"] == "Node" || item["kind"] == "Pod");
    let objects = read_manifests(path, &list.to_string()).map_err(|errors| format!("{errors:?}"))?;
    let mut placement = Placement::new(1, &SchedulerConfig::default());
    let mut answers = expect.lines().map(serde_json::from_str::<Value>);
    for (number, mut located) in objects.into_iter().enumerate() {
        // Only defaults are wanted: the recordings contain nodes without what validation asks of manifests.
        let _admitted = located.admit();
        let api_spec = match &located.value {
            Manifest::Pod(pod) => pod.spec.clone(),
            _ => None,
        };
        match to_object(&located).map_err(|errors| format!("{errors:?}"))? {
            Object::Node(node) => placement.set_node(&node),
            Object::Pod(pod) => {
                let answer = answers.next().ok_or("fewer answers than pods")?.map_err(|error| error.to_string())?;
                let spec = with_default_tolerations(&pod.spec);
                let name = format!("{path} {}", pod.meta.name);
                let status = answer["status"].as_str().unwrap_or_default();
                if api_spec.is_some() && (status == "bound" || status == "unschedulable") {
                    tally.compare(&name, &answer, &placement.explain(&spec));
                }
                let row = RowId { index: number as u32, generation: 0 };
                if status == "unschedulable" && answer["preemption"].is_null() {
                    tally.compare_message(&name, &answer, placement.place(row, &spec));
                    placement.remove_pod(row);
                }
                if let Some(node) = answer["node"].as_str() {
                    placement.put(row, &spec, &Arc::from(node));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

impl Tally {
    fn compare(&mut self, pod: &str, answer: &Value, verdicts: &[NodeVerdict]) {
        let feasible: Vec<&str> =
            answer["feasible"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mine: Vec<&str> =
            verdicts.iter().filter(|it| it.refused.is_empty()).map(|verdict| &*verdict.node).collect();
        let same_set = mine.len() == feasible.len() && mine.iter().all(|node| feasible.contains(node));
        for verdict in verdicts {
            let node = &*verdict.node;
            if feasible.contains(&node) {
                let refused = &verdict.refused;
                self.row("feasible node", refused.is_empty(), || format!("{pod} {node}: here refused for {refused:?}"));
            }
            let rejected = &answer["rejected"][node];
            if let Some(plugin) = rejected["plugin"].as_str().filter(|plugin| FILTERS.contains(plugin)) {
                let reasons: Vec<&str> =
                    rejected["reasons"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                let mut texts: Vec<&str> = verdict.refused.iter().map(String::as_str).collect();
                let mut wanted = reasons.clone();
                texts.sort_unstable();
                wanted.sort_unstable();
                let resolvable = rejected["code"] == "Unschedulable";
                let equal = texts == wanted && resolvable == verdict.resolvable;
                self.row(&format!("refusal by {plugin}"), equal, || {
                    format!("{pod} {node}: recorded {rejected}, here {texts:?} resolvable {}", verdict.resolvable)
                });
            }
            let Some(scores) = answer["scores"][node]["plugins"].as_object() else { continue };
            for (plugin, wanted) in scores {
                let normalized = plugin == "TaintToleration" || plugin == "NodeAffinity";
                let known = normalized || plugin.starts_with("NodeResources");
                if !known || (normalized && !same_set) || !verdict.refused.is_empty() {
                    continue;
                }
                let score = verdict.scores.iter().find(|(name, _)| name == plugin).map(|(_, score)| *score);
                self.row(&format!("score of {plugin}"), score == wanted.as_i64(), || {
                    format!("{pod} {node}: {plugin} recorded {wanted}, here {score:?}")
                });
            }
        }
    }

    /// The recordings are without preemption, so their message ends before the core's part about it.
    fn compare_message(&mut self, pod: &str, answer: &Value, placed: Result<Name, String>) {
        let mut plugins = answer["unschedulablePlugins"].as_array().into_iter().flatten().filter_map(Value::as_str);
        if !plugins.all(|plugin| FILTERS.contains(&plugin)) {
            return;
        }
        let wanted = answer["message"].as_str().unwrap_or_default();
        let equal = placed.as_ref().is_err_and(|message| message.starts_with(wanted));
        self.row("message", equal, || format!("{pod}: recorded {wanted:?}, here {placed:?}"));
    }

    fn row(&mut self, what: &str, equal: bool, difference: impl Fn() -> String) {
        let (agreeing, all) = self.rows.entry(what.to_string()).or_default();
        *all += 1;
        *agreeing += u32::from(equal);
        if !equal && self.shown < 20 {
            self.shown += 1;
            println!("{}", difference());
        }
    }
}

/// The recordings have the default tolerations applied.
fn with_default_tolerations(spec: &Shared<PodSpec>) -> Shared<PodSpec> {
    let mut spec = (**spec).clone();
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        spec.tolerations.push(Toleration {
            key: key.into(),
            operator: TolerationOperator::Exists,
            value: "".into(),
            effect: Some(TaintEffect::NoExecute),
            seconds: Some(300),
        });
    }
    Shared::new(spec)
}
