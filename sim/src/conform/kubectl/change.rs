//! Commands that change one part of objects: `scale`, `label`, `annotate`, `taint`, `cordon`, `patch`.

use serde_json::{Map, Value, json};
use wavetank_core::model::Kind;
use wavetank_manifest::yaml::{Duplicates, parse};

use super::create::{only_flags, query};
use super::words::CommandLine;
use super::{Plan, Planned, Scene, Trouble, all_shown, manager, patched, shown, targets};
use crate::conform::edge::{self, Path};

const MERGE: &str = "application/merge-patch+json";
pub(super) const STRATEGIC: &str = "application/strategic-merge-patch+json";
/// Kinds whose size can be set (`kubectl scale`).
const SCALED: [Kind; 4] = [Kind::Deployment, Kind::ReplicaSet, Kind::StatefulSet, Kind::ReplicationController];

pub(super) fn cordon(scene: &Scene<'_>, line: &CommandLine, words: &[String], holds: bool) -> Planned {
    only_flags(line, &["--selector"])?;
    let words: Vec<String> = ["nodes".to_owned()].into_iter().chain(words.iter().cloned()).collect();
    let keys = targets(scene, line, &words)?;
    let patch = json!({"spec": {"unschedulable": holds.then_some(true)}});
    Plan::each(all_shown(scene, keys)?, |(key, _)| patched(scene, line, &key, STRATEGIC, &patch))
}

/// Source: `ScaleOptions.RunScale`, staging/src/k8s.io/kubectl/pkg/cmd/scale/scale.go (v1.34.1).
pub(super) fn scale(scene: &Scene<'_>, line: &CommandLine, words: &[String]) -> Planned {
    only_flags(line, &["--replicas", "--current-replicas", "--selector", "--all"])?;
    let number = |flag: &str| line.flag(flag).and_then(|text| text.parse::<u32>().ok());
    let Some(replicas) = number("--replicas") else {
        return Err(Trouble::Fails("The --replicas=COUNT flag is required".to_owned()));
    };
    let query = query(line, &manager(line))?;
    let scaled = |key| {
        let (_, now): (_, Value) = shown(scene, &key)?;
        if !SCALED.contains(&key.kind) {
            return Err(Trouble::Fails("the server could not find the requested resource".to_owned()));
        }
        if number("--current-replicas").is_some_and(|wanted| now["spec"]["replicas"] != wanted) {
            return Err(Trouble::Fails("expected another number of replicas".to_owned()));
        }
        let path = Path { subresource: "scale".to_owned(), query: query.clone(), ..Path::of(&key) };
        let scale = json!({"metadata": {"name": &*key.name}, "spec": {"replicas": replicas}});
        Ok(edge::translate(scene.core, "PUT", &path, "", &scale))
    };
    Plan::each(targets(scene, line, words)?, scaled)
}

/// `key=value` sets and `key-` removes; what is there with another value needs `--overwrite`.
///
/// Source: `LabelOptions.RunLabel`, staging/src/k8s.io/kubectl/pkg/cmd/label/label.go (v1.34.1).
pub(super) fn pairs(scene: &Scene<'_>, line: &CommandLine, words: &[String], field: &str) -> Planned {
    only_flags(line, &["--overwrite", "--selector", "--all", "--field-selector"])?;
    let is_change = |word: &&String| word.contains('=') || word.ends_with('-');
    let changes: Map<String, Value> = words
        .iter()
        .filter(is_change)
        .map(|word| match word.split_once('=') {
            Some((key, value)) => (key.to_owned(), value.into()),
            None => (word.trim_end_matches('-').to_owned(), Value::Null),
        })
        .collect();
    let named: Vec<String> = words.iter().filter(|word| !is_change(word)).cloned().collect();
    let change = |key| {
        let (_, now) = shown(scene, &key)?;
        let present = &now["metadata"][field];
        let clashes = |(name, value): &(&String, &Value)| {
            value.is_string() && present[name.as_str()].is_string() && present[name.as_str()] != **value
        };
        if let Some((name, _)) = changes.iter().find(clashes).filter(|_| !line.is_set("--overwrite")) {
            let had = present[name.as_str()].as_str().unwrap_or_default();
            let message = format!("'{name}' already has a value ({had}), and --overwrite is false");
            return Err(Trouble::Fails(message));
        }
        patched(scene, line, &key, MERGE, &json!({"metadata": {field: changes}}))
    };
    Plan::each(targets(scene, line, &named)?, change)
}

/// Source: `reorganizeTaints`, staging/src/k8s.io/kubectl/pkg/cmd/taint/utils.go (v1.34.1).
pub(super) fn taint(scene: &Scene<'_>, line: &CommandLine, words: &[String]) -> Planned {
    only_flags(line, &["--overwrite", "--selector", "--all"])?;
    let is_change = |word: &&String| word.contains(':') || word.ends_with('-');
    let (removed, added): (Vec<&String>, Vec<&String>) =
        words.iter().filter(is_change).partition(|word| word.ends_with('-'));
    let added: Vec<Value> = added.iter().map(|word| taint_of(word)).collect();
    let removed: Vec<Value> = removed.iter().map(|word| taint_of(word.trim_end_matches('-'))).collect();
    let named: Vec<String> = words.iter().filter(|word| !is_change(word)).cloned().collect();
    let same = |one: &Value, other: &Value| one["key"] == other["key"] && one["effect"] == other["effect"];
    let change = |key| {
        let (_, now) = shown(scene, &key)?;
        let present: Vec<Value> = now["spec"]["taints"].as_array().cloned().unwrap_or_default();
        if !line.is_set("--overwrite") && added.iter().any(|new| present.iter().any(|old| same(new, old))) {
            return Err(Trouble::Fails("the node already has such a taint and --overwrite is false".to_owned()));
        }
        let kept = present.into_iter().filter(|old| !added.iter().any(|new| same(new, old)));
        let mut taints: Vec<Value> = added.iter().cloned().chain(kept).collect();
        for gone in &removed {
            let before = taints.len();
            taints.retain(|it| it["key"] != gone["key"] || !gone["effect"].is_null() && it["effect"] != gone["effect"]);
            if taints.len() == before {
                return Err(Trouble::Fails(format!("taint {} not found", gone["key"])));
            }
        }
        patched(scene, line, &key, MERGE, &json!({"spec": {"taints": taints}}))
    };
    Plan::each(targets(scene, line, &named)?, change)
}

/// `key=value:Effect`, `key:Effect` or `key`.
fn taint_of(text: &str) -> Value {
    let (pair, effect) = text.split_once(':').map_or((text, None), |(pair, effect)| (pair, Some(effect)));
    let (key, value) = pair.split_once('=').map_or((pair, None), |(key, value)| (key, Some(value)));
    let mut taint = json!({"key": key});
    for (field, text) in [("value", value), ("effect", effect)] {
        if let Some(text) = text {
            taint[field] = text.into();
        }
    }
    taint
}

/// Source: `PatchOptions.RunPatch`, staging/src/k8s.io/kubectl/pkg/cmd/patch/patch.go (v1.34.1).
pub(super) fn patch(scene: &Scene<'_>, line: &CommandLine, words: &[String]) -> Planned {
    only_flags(line, &["--type", "--patch", "--subresource"])?;
    let media_type = match line.flag("--type").unwrap_or("strategic") {
        "strategic" => STRATEGIC,
        "merge" => MERGE,
        "json" => "application/json-patch+json",
        _ => return Err(Trouble::Fails("--type must be one of [json merge strategic]".to_owned())),
    };
    let text = line.flag("--patch").ok_or_else(|| Trouble::Fails("must specify --patch".to_owned()))?;
    // A patch may be YAML as well.
    let documents = parse(text, Duplicates::LastWins);
    let documents = documents.map_err(|error| Trouble::Fails(format!("unable to parse {text:?}: {error}")))?;
    let body = documents.first().map(|document| document.to_json()).unwrap_or_default();
    let subresource = line.flag("--subresource").unwrap_or_default();
    let query = query(line, &manager(line))?;
    let change = |key| {
        shown(scene, &key)?;
        let path = Path { subresource: subresource.to_owned(), query: query.clone(), ..Path::of(&key) };
        Ok(edge::translate(scene.core, "PATCH", &path, media_type, &body))
    };
    Plan::each(targets(scene, line, words)?, change)
}
