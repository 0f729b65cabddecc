//! Compares the scheduler's plugins with answers recorded from kube-scheduler.
//!
//! `cargo run -p wavetank-manifest --example scheduler_recordings -- FOLDER/mixed-*.json` reads each list of objects and
//! the `.expect.jsonl` beside it. Pods are placed where the recording has them, so one difference does not bring others
//! with it. Compared per pod: the set or number of feasible nodes, the best score and all nodes that have it, and the
//! message; where the recording has them, per node, the score of each plugin and the reasons of the refusal. A row
//! agrees if all of these do.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::Value;
use wavetank_core::config::SchedulerConfig;
use wavetank_core::digest::Shared;
use wavetank_core::id::{Name, RowId};
use wavetank_core::model::{Object, Pod, PodSpec, TaintEffect, Toleration, TolerationOperator};
use wavetank_core::scheduler::{NodeVerdict, Placement};
use wavetank_manifest::kubernetes::{read_manifests, to_object};

#[derive(Default)]
/// What was compared.
pub(crate) struct Tally {
    /// Agreeing and all rows, by what was compared.
    pub(crate) rows: BTreeMap<String, (u32, u32)>,
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

pub(crate) fn compare_case(path: &str, tally: &mut Tally) -> Result<(), String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let expect = std::fs::read_to_string(path.replace(".json", ".expect.jsonl")).map_err(|error| error.to_string())?;
    let mut list: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let items = list["items"].as_array_mut().ok_or("it has no items")?;
    items.retain(|item| item["kind"] != "PodDisruptionBudget");
    let objects = read_manifests(path, &list.to_string()).map_err(|errors| format!("{errors:?}"))?;
    let mut placement = Placement::new(1, &SchedulerConfig::default());
    let mut answers = expect.lines().map(serde_json::from_str::<Value>);
    for (number, mut located) in objects.into_iter().enumerate() {
        // Only defaults are wanted: the recordings contain nodes without what validation asks of manifests.
        let _admitted = located.admit();
        match to_object(&located).map_err(|errors| format!("{errors:?}"))? {
            Object::Node(node) => placement.set_node(&node),
            Object::Pod(pod) => {
                let answer = answers.next().ok_or("fewer answers than pods")?.map_err(|error| error.to_string())?;
                let spec = as_recorded(&pod.spec);
                let pod = Pod { spec, ..(*pod).clone() };
                let name = format!("{path} {}", pod.meta.name);
                let row = RowId { index: number as u32, generation: 0 };
                let status = answer["status"].as_str().unwrap_or_default();
                let mut agrees = true;
                if status == "bound" || status == "unschedulable" {
                    agrees = tally.compare(&name, &answer, &placement.explain(&pod));
                }
                if status == "unschedulable" && answer["preemption"].is_null() {
                    agrees &= tally.compare_message(&name, &answer, placement.place_pod(row, &pod));
                    placement.remove_pod(row);
                }
                tally.row("pod with everything", agrees, || format!("{name}: differs"));
                if let Some(node) = answer["node"].as_str() {
                    placement.put(row, &pod, &Arc::from(node));
                }
            }
            other => placement.set_object(&other),
        }
    }
    Ok(())
}

impl Tally {
    fn compare(&mut self, pod: &str, answer: &Value, verdicts: &[NodeVerdict]) -> bool {
        let texts = |value: &Value| -> Vec<String> {
            value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_string).collect()
        };
        let feasible: Vec<&NodeVerdict> = verdicts.iter().filter(|it| it.refused.is_empty()).collect();
        let count = answer["numFeasible"].as_u64();
        let mut agrees = self.row("number of feasible nodes", count == Some(feasible.len() as u64), || {
            format!("{pod}: recorded {count:?} feasible nodes, here {}", feasible.len())
        });
        if let Some(top_score) = answer["topScore"].as_i64() {
            let total = |it: &NodeVerdict| it.scores.iter().map(|(_, score)| score).sum::<i64>();
            let best = feasible.iter().map(|it| total(it)).max();
            let mut top: Vec<String> =
                feasible.iter().filter(|it| Some(total(it)) == best).map(|it| it.node.to_string()).collect();
            top.sort_unstable();
            let wanted = texts(&answer["top"]);
            agrees &= self.row("best nodes", best == Some(top_score) && top == wanted, || {
                format!("{pod}: recorded {top_score} at {wanted:?}, here {best:?} at {top:?}")
            });
        }
        for verdict in verdicts {
            agrees &= self.compare_node(pod, answer, verdict);
        }
        agrees
    }

    fn compare_node(&mut self, pod: &str, answer: &Value, verdict: &NodeVerdict) -> bool {
        let node = &*verdict.node;
        let mut agrees = true;
        let rejected = &answer["rejected"][node];
        if let Some(plugin) = rejected["plugin"].as_str() {
            let reasons = rejected["reasons"].as_array().into_iter().flatten();
            let mut wanted: Vec<&str> = reasons.filter_map(Value::as_str).collect();
            let mut texts: Vec<&str> = verdict.refused.iter().map(String::as_str).collect();
            texts.sort_unstable();
            wanted.sort_unstable();
            let resolvable = rejected["code"] == "Unschedulable";
            let equal = texts == wanted && resolvable == verdict.resolvable;
            agrees &= self.row(&format!("refusal by {plugin}"), equal, || {
                format!("{pod} {node}: recorded {rejected}, here {texts:?} resolvable {}", verdict.resolvable)
            });
        }
        let Some(scores) = answer["scores"][node]["plugins"].as_object() else { return agrees };
        for (plugin, wanted) in scores {
            let score = verdict.scores.iter().find(|(name, _)| name == plugin).map(|(_, score)| *score);
            agrees &= self.row(&format!("score of {plugin}"), score == wanted.as_i64(), || {
                format!("{pod} {node}: {plugin} recorded {wanted}, here {score:?}")
            });
        }
        for (plugin, score) in verdict.scores.iter().filter(|(plugin, _)| !scores.contains_key(*plugin)) {
            agrees &= self.row(&format!("no score of {plugin}"), false, || {
                format!("{pod} {node}: {plugin} is not recorded, here {score}")
            });
        }
        agrees
    }

    /// The recordings are without preemption, so their message ends before the core's part about it.
    fn compare_message(&mut self, pod: &str, answer: &Value, placed: Result<Name, String>) -> bool {
        let wanted = answer["message"].as_str().unwrap_or_default();
        let equal = placed.as_ref().is_err_and(|message| message.starts_with(wanted));
        self.row("message", equal, || format!("{pod}: recorded {wanted:?}, here {placed:?}"))
    }

    fn row(&mut self, what: &str, equal: bool, difference: impl Fn() -> String) -> bool {
        let (agreeing, all) = self.rows.entry(what.to_string()).or_default();
        *all += 1;
        *agreeing += u32::from(equal);
        if !equal && self.shown < 20 {
            self.shown += 1;
            println!("{}", difference());
        }
        equal
    }
}

/// The recordings have the default tolerations applied, but not what the API server makes of `matchLabelKeys` and
/// `mismatchLabelKeys` in terms about other pods: they were recorded from the scheduler alone, which ignores these.
fn as_recorded(spec: &Shared<PodSpec>) -> Shared<PodSpec> {
    let mut spec = (**spec).clone();
    if let Some(rules) = &mut spec.rules {
        for terms in [&mut rules.pod_affinity, &mut rules.pod_anti_affinity] {
            let preferred = terms.preferred.iter_mut().map(|weighted| &mut weighted.term);
            for term in terms.required.iter_mut().chain(preferred) {
                term.match_label_keys.clear();
                term.mismatch_label_keys.clear();
            }
        }
    }
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
