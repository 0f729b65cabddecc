//! Commands that change one part of objects: `scale`, `label`, `annotate`, `taint`, `set image`, `cordon`, `patch`.

use serde_json::{Map, Value, json};
use wavetank_core::model::Kind;

use super::words::CommandLine;
use super::{Planned, Scene, Trouble, patched, shown, targets};
use crate::conform::edge::{self, Path};

const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
/// Kinds whose size can be set (`kubectl scale`).
const SCALED: [Kind; 4] = [Kind::Deployment, Kind::ReplicaSet, Kind::StatefulSet, Kind::ReplicationController];

pub(super) fn cordon(scene: &Scene<'_>, line: &CommandLine, words: &[String], holds: bool) -> Planned {
    if !line.knows_flags(&["--selector"]) {
        return Err(Trouble::NotCovered);
    }
    let words: Vec<String> = ["nodes".to_owned()].into_iter().chain(words.iter().cloned()).collect();
    let keys = targets(scene, line, &words)?;
    let patch = json!({"spec": {"unschedulable": holds.then_some(true)}});
    keys.iter().map(|key| shown(scene, key).map(|_| patched(scene, key, STRATEGIC, &patch))).collect()
}

/// Source: `ScaleOptions.RunScale`, staging/src/k8s.io/kubectl/pkg/cmd/scale/scale.go (v1.34.1).
pub(super) fn scale(scene: &Scene<'_>, line: &CommandLine, words: &[String]) -> Planned {
    if !line.knows_flags(&["--replicas", "--current-replicas", "--selector", "--all"]) {
        return Err(Trouble::NotCovered);
    }
    let number = |flag: &str| line.flag(flag).and_then(|text| text.parse::<u32>().ok());
    let Some(replicas) = number("--replicas") else {
        return Err(Trouble::Fails("The --replicas=COUNT flag is required".to_owned()));
    };
    let scaled = |key| {
        let (_, now) = shown(scene, &key)?;
        if !SCALED.contains(&key.kind) {
            return Err(Trouble::Fails("the server could not find the requested resource".to_owned()));
        }
        if number("--current-replicas").is_some_and(|wanted| now["spec"]["replicas"] != wanted) {
            return Err(Trouble::Fails("expected another number of replicas".to_owned()));
        }
        let path = Path { subresource: "scale".to_owned(), ..Path::of(&key) };
        let scale = json!({"metadata": {"name": &*key.name}, "spec": {"replicas": replicas}});
        Ok(edge::translate(scene.core, "PUT", &path, "", &scale))
    };
    targets(scene, line, words)?.into_iter().map(scaled).collect()
}

/// `key=value` sets and `key-` removes; what is there with another value needs `--overwrite`.
///
/// Source: `LabelOptions.RunLabel`, staging/src/k8s.io/kubectl/pkg/cmd/label/label.go (v1.34.1).
pub(super) fn pairs(scene: &Scene<'_>, line: &CommandLine, words: &[String], field: &str) -> Planned {
    if !line.knows_flags(&["--overwrite", "--selector", "--all"]) {
        return Err(Trouble::NotCovered);
    }
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
        Ok(patched(scene, &key, MERGE, &json!({"metadata": {field: changes}})))
    };
    targets(scene, line, &named)?.into_iter().map(change).collect()
}

/// Source: `reorganizeTaints`, staging/src/k8s.io/kubectl/pkg/cmd/taint/utils.go (v1.34.1).
pub(super) fn taint(scene: &Scene<'_>, line: &CommandLine, words: &[String]) -> Planned {
    if !line.knows_flags(&["--overwrite", "--selector", "--all"]) {
        return Err(Trouble::NotCovered);
    }
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
        Ok(patched(scene, &key, MERGE, &json!({"spec": {"taints": taints}})))
    };
    targets(scene, line, &named)?.into_iter().map(change).collect()
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

/// `set image deploy/till till=till:2 log=log:3`, or `*=…` for every container.
pub(super) fn image(scene: &Scene<'_>, line: &CommandLine, words: &[String]) -> Planned {
    if !line.knows_flags(&["--selector", "--all"]) {
        return Err(Trouble::NotCovered);
    }
    let (changes, named): (Vec<&String>, Vec<&String>) = words.iter().partition(|word| word.contains('='));
    let changes: Vec<(&str, &str)> = changes.iter().filter_map(|word| word.split_once('=')).collect();
    let named: Vec<String> = named.into_iter().cloned().collect();
    let change = |key: wavetank_core::model::ObjectKey| {
        let (_, now) = shown(scene, &key)?;
        let mut patch = json!({});
        let (spec, place) = match key.kind {
            Kind::Pod => (&now["spec"], &mut patch["spec"]),
            Kind::CronJob => {
                let spec = &now["spec"]["jobTemplate"]["spec"]["template"]["spec"];
                (spec, &mut patch["spec"]["jobTemplate"]["spec"]["template"]["spec"])
            }
            _ => (&now["spec"]["template"]["spec"], &mut patch["spec"]["template"]["spec"]),
        };
        for list in ["containers", "initContainers"] {
            let names = spec[list].as_array().into_iter().flatten().map(|container| container["name"].clone());
            let wanted = |name: &Value| {
                changes.iter().rev().find(|(of, _)| *of == "*" || name == of).map(|(_, image)| (*image).to_owned())
            };
            let changed: Vec<Value> =
                names.filter_map(|name| Some(json!({"image": wanted(&name)?, "name": name}))).collect();
            if !changed.is_empty() {
                place[list] = changed.into();
            }
        }
        let set = ["containers", "initContainers"].map(|list| place[list].as_array().cloned().unwrap_or_default());
        let missing = changes.iter().find(|(of, _)| *of != "*" && !set.iter().flatten().any(|it| it["name"] == *of));
        if let Some((of, _)) = missing {
            return Err(Trouble::Fails(format!("unable to find container named {of:?}")));
        }
        Ok(patched(scene, &key, STRATEGIC, &patch))
    };
    targets(scene, line, &named)?.into_iter().map(change).collect()
}

pub(super) fn patch(scene: &Scene<'_>, line: &CommandLine, words: &[String]) -> Planned {
    if !line.knows_flags(&["--type", "--patch", "--subresource"]) {
        return Err(Trouble::NotCovered);
    }
    let media_type = match line.flag("--type").unwrap_or("strategic") {
        "strategic" => STRATEGIC,
        "merge" => MERGE,
        "json" => "application/json-patch+json",
        _ => return Err(Trouble::Fails("--type must be one of [json merge strategic]".to_owned())),
    };
    let text = line.flag("--patch").ok_or_else(|| Trouble::Fails("must specify --patch".to_owned()))?;
    let body: Value = serde_json::from_str(text).map_err(|_| Trouble::NotCovered)?;
    let subresource = line.flag("--subresource").unwrap_or_default();
    let change = |key| {
        shown(scene, &key)?;
        let path = Path { subresource: subresource.to_owned(), ..Path::of(&key) };
        Ok(edge::translate(scene.core, "PATCH", &path, media_type, &body))
    };
    targets(scene, line, words)?.into_iter().map(change).collect()
}

/// A Job made by hand of a CronJob's template (`kubectl create job NAME --from=cronjob/NAME`).
///
/// Source: `CreateJobOptions.createJobFromCronJob`, staging/src/k8s.io/kubectl/pkg/cmd/create/create_job.go (v1.34.1).
pub(super) fn job_of_cron_job(scene: &Scene<'_>, line: &CommandLine, words: &[String]) -> Planned {
    let (Some(from), true) = (line.flag("--from"), line.knows_flags(&["--from"])) else {
        return Err(Trouble::NotCovered);
    };
    let [key] = targets(scene, line, &[from.to_owned()])?.try_into().map_err(|_| Trouble::NotCovered)?;
    if key.kind != Kind::CronJob {
        return Err(Trouble::Fails("from must be an existing cronjob".to_owned()));
    }
    let (_, cron_job) = shown(scene, &key)?;
    let template = &cron_job["spec"]["jobTemplate"];
    let mut annotations = template["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
    annotations.insert("cronjob.kubernetes.io/instantiate".to_owned(), "manual".into());
    let owner = json!({
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "name": cron_job["metadata"]["name"],
        "uid": cron_job["metadata"]["uid"],
        "controller": true,
    });
    let body = json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": words[1],
            "labels": template["metadata"]["labels"],
            "annotations": annotations,
            "ownerReferences": [owner],
        },
        "spec": template["spec"],
    });
    let path = Path { namespace: key.namespace.to_string(), plural: "jobs".to_owned(), ..Path::default() };
    Ok(vec![edge::translate(scene.core, "POST", &path, "", &body)])
}
