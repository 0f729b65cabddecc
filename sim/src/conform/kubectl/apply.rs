//! `kubectl apply -f`, in both its ways.
//!
//! That of kubectl's client keeps what it applied as an annotation of the object, and when it applies something else it
//! takes away what it applied before and others left alone; with `--force`, what cannot be changed so is deleted and
//! made again. That of the server (`--server-side`) asks the API server to do it, and then hands over what the client's
//! way had applied before: what of that the configuration says no longer goes with a second request. `--prune` deletes
//! what was applied once and is in no file. Absent on purpose: `--applyset`, `--subresource`, and waiting until a
//! forced deletion is done: kubectl gives up at once without a `--timeout`.
//!
//! Source: `ApplyOptions.Validate`, `applyOneObject`, `migrateToSSAIfNecessary`,
//! staging/src/k8s.io/kubectl/pkg/cmd/apply/apply.go; `Patcher.Patch`, apply/patcher.go; apply/prune.go;
//! staging/src/k8s.io/kubectl/pkg/util/prune/prune.go (v1.34.1).

use std::collections::BTreeSet;

use serde_json::{Value, json};
use wavetank_core::api::{Propagation, Request};
use wavetank_core::id::Revision;
use wavetank_core::model::{Kind, Labels, ObjectKey, Selector};
use wavetank_core::time::Span;
use wavetank_manifest::kubernetes::{three_way_patch, to_json};

use super::change::STRATEGIC;
use super::create::fails;
use super::files::{Described, described, only_flags, path_of, sent, with_itself};
use super::words::CommandLine;
use super::{Applied, Plan, Planned, Scene, Trouble, propagation};
use crate::conform::edge::{self, APPLY, EPOCH, LAST_APPLIED, Outcome};
use crate::conform::selectors;

/// Flags beside those of all commands with files.
const KNOWN: [&str; 10] = [
    "--all",
    "--cascade",
    "--force",
    "--force-conflicts",
    "--grace-period",
    "--overwrite",
    "--prune",
    "--prune-allowlist",
    "--selector",
    "--server-side",
];

/// What is looked through for what is in no file, unless the line says otherwise, as far as we have such kinds.
const PRUNED: [Kind; 14] = [
    Kind::ConfigMap,
    Kind::PersistentVolumeClaim,
    Kind::Pod,
    Kind::ReplicationController,
    Kind::Secret,
    Kind::Service,
    Kind::Job,
    Kind::CronJob,
    Kind::DaemonSet,
    Kind::Deployment,
    Kind::ReplicaSet,
    Kind::StatefulSet,
    Kind::Namespace,
    Kind::PersistentVolume,
];

pub(super) fn plan(scene: &Scene<'_>, line: &CommandLine, words: &[String]) -> Planned {
    only_flags(line, &KNOWN)?;
    let is_plain = line.flag("--overwrite").is_none_or(|text| text == "true");
    if !words.is_empty() || !is_plain {
        return Err(Trouble::NotCovered);
    }
    if let Some(message) = at_odds(line) {
        return Err(Trouble::Fails(message.to_owned()));
    }
    let selector = line.flag("--selector").map(selectors::parse).transpose().map_err(Trouble::Fails)?;
    let mut objects = described(scene, line)?;
    if let Some(selector) = &selector {
        objects.retain(|it| selector.matches(&labels(&it.body)));
    }
    if objects.is_empty() {
        return fails("no objects passed to apply");
    }
    let pruned = if line.is_set("--prune") { pruned(scene, line, &objects, selector.as_ref())? } else { Vec::new() };
    let is_dry = line.flag("--dry-run").is_some_and(|wish| wish == "server");
    let (mut applied, mut then) = (Vec::new(), Vec::new());
    let mut plan = Plan::each(objects, |it| {
        if it.key.name.is_empty() {
            let drawn = it.body["metadata"]["generateName"].as_str().filter(|text| !text.is_empty());
            return fails(match drawn {
                Some(prefix) => format!("from {prefix}: cannot use generate name with apply"),
                None => "resource name may not be empty".to_owned(),
            });
        }
        if line.is_set("--server-side") {
            return by_server(scene, line, it, if is_dry { None } else { Some((&mut applied, &mut then)) });
        }
        match by_client(scene, line, &it)? {
            Outcome::Answered(status) if line.is_set("--force") && [409, 422].contains(&status.code) => {
                let outcome = sent(scene, line, "POST", &it, "", &with_itself(&it.body))?;
                if let Outcome::Ask(requests) = outcome {
                    then.extend(requests);
                    return Ok(Outcome::Ask(vec![deletion(line, it.key)?]));
                }
                Ok(outcome)
            }
            outcome => Ok(outcome),
        }
    })?;
    plan.applied = applied;
    plan.then = then;
    if plan.failure.is_none() {
        for key in pruned {
            plan.then.push(match deletion(line, key)? {
                request if is_dry => Request::DryRun(Box::new(request)),
                request => request,
            });
        }
    }
    Ok(plan)
}

/// Why flags do not go together.
///
/// Source: `ApplyOptions.Validate`.
fn at_odds(line: &CommandLine) -> Option<&'static str> {
    let [server_side, force, all, prune] = ["--server-side", "--force", "--all", "--prune"].map(|it| line.is_set(it));
    let is_dry = line.flag("--dry-run").is_some_and(|wish| wish == "server");
    let selects = line.flag("--selector").is_some_and(|text| !text.is_empty());
    if line.is_set("--force-conflicts") && !server_side {
        Some("--force-conflicts only works with --server-side")
    } else if server_side && force {
        Some("--force cannot be used with --server-side")
    } else if is_dry && force {
        Some("--dry-run=server cannot be used with --force")
    } else if all && selects {
        Some("cannot set --all and --selector at the same time")
    } else if prune && force {
        Some("--force cannot be used with --prune")
    } else if prune && !all && !selects {
        Some(
            "all resources selected for prune without explicitly passing --all. To prune all resources, pass the --all \
             flag. If you did not mean to prune all resources, specify a label selector",
        )
    } else if prune && server_side {
        Some("--prune is in alpha and doesn't currently work on objects created by server-side apply")
    } else {
        None
    }
}

fn by_client(scene: &Scene<'_>, line: &CommandLine, it: &Described) -> Result<Outcome, Trouble> {
    let wanted = with_itself(&it.body);
    let Some(current) = scene.core.find(&it.key) else {
        let mut body = wanted;
        drop_nulls(&mut body);
        return sent(scene, line, "POST", it, "", &body);
    };
    let current = to_json(&current, Revision(0), EPOCH);
    let last = current["metadata"]["annotations"][LAST_APPLIED].as_str();
    let last: Option<Value> = last.filter(|text| !text.is_empty()).and_then(|text| serde_json::from_str(text).ok());
    let patch = three_way_patch(last.as_ref(), &wanted, &current);
    // What is as it shall be is not asked for.
    if patch == json!({}) {
        return Ok(Outcome::Ask(Vec::new()));
    }
    sent(scene, line, "PATCH", it, STRATEGIC, &patch)
}

/// The API server applies it. `noted` takes what was applied, and what is asked for when that is done.
fn by_server(
    scene: &Scene<'_>,
    line: &CommandLine,
    it: Described,
    noted: Option<(&mut Vec<Applied>, &mut Vec<Request>)>,
) -> Result<Outcome, Trouble> {
    let mut path = path_of(line, &it, &it.key.name)?;
    path.query += if line.is_set("--force-conflicts") { "&force=true" } else { "&force=false" };
    let outcome = edge::translate_among(scene.core, scene.managers, "PATCH", &path, APPLY, &it.body);
    if let (Outcome::Ask(requests), Some((applied, then)), Some(managers)) = (&outcome, noted, scene.managers) {
        let applier = edge::applier(&path);
        let after = requests.iter().find_map(|request| match request {
            Request::Update { object, .. } => Some(object.clone()),
            _ => None,
        });
        let mut hand_over = Vec::new();
        if let Some(after) = after.or_else(|| scene.core.find(&it.key)) {
            let (from, outcome) = edge::hand_over(managers, after, &it.body, &applier);
            hand_over = from;
            match outcome {
                Outcome::Ask(requests) => then.extend(requests),
                other => return Ok(other),
            }
        }
        applied.push(Applied { key: it.key, config: it.body, applier, hand_over });
    }
    Ok(outcome)
}

/// What was applied once by kubectl's client, is selected, and is in no file: in the namespaces of the files and of the
/// line, and beside all namespaces.
fn pruned(
    scene: &Scene<'_>,
    line: &CommandLine,
    objects: &[Described],
    selector: Option<&Selector>,
) -> Result<Vec<ObjectKey>, Trouble> {
    let listed: Vec<&str> = line.list("--prune-allowlist").collect();
    let kinds = if listed.is_empty() {
        PRUNED.to_vec()
    } else {
        listed.into_iter().map(kind_of).collect::<Result<_, Trouble>>()?
    };
    let visited = objects.iter().map(|it| &it.key.namespace).filter(|namespace| !namespace.is_empty()).cloned();
    let visited: BTreeSet<_> = visited.chain(line.flag("--namespace").map(Into::into)).collect();
    let mut keys = Vec::new();
    for kind in kinds {
        for (_, object) in scene.core.newest().objects(kind) {
            let (key, meta) = (object.key(), object.meta());
            let is_looked_at = !kind.is_namespaced() || visited.contains(&key.namespace);
            let is_selected = selector.is_none_or(|selector| selector.matches(&meta.labels));
            let was_applied = meta.annotations.get(LAST_APPLIED).is_some();
            if is_looked_at && is_selected && was_applied && !objects.iter().any(|it| it.key == key) {
                keys.push(key);
            }
        }
    }
    // All of one namespace come before those of the next, and what is in none comes last.
    keys.sort_by(|one, other| {
        (one.namespace.is_empty(), &one.namespace).cmp(&(other.namespace.is_empty(), &other.namespace))
    });
    Ok(keys)
}

/// Source: `ParseResources`, staging/src/k8s.io/kubectl/pkg/util/prune/prune.go (v1.34.1).
fn kind_of(text: &str) -> Result<Kind, Trouble> {
    let parts: Vec<&str> = text.split('/').collect();
    let [group, version, name] = parts[..] else {
        return fails(format!("invalid GroupVersionKind format: {text}, please follow <group/version/kind>"));
    };
    let api_version = if matches!(group, "" | "core") { version.to_owned() } else { format!("{group}/{version}") };
    let kind = Kind::of_name(name).filter(|kind| kind.api_version() == api_version);
    kind.ok_or_else(|| Trouble::Request(format!("{name} of {api_version}")))
}

/// Source: `asDeleteOptions`.
fn deletion(line: &CommandLine, key: ObjectKey) -> Result<Request, Trouble> {
    let grace = line.flag("--grace-period").and_then(|text| text.parse::<u64>().ok()).map(Span::from_secs);
    let propagation: Propagation = propagation(line)?;
    Ok(Request::Delete { key, uid: None, grace, propagation })
}

fn labels(body: &Value) -> Labels {
    let pairs = body["metadata"]["labels"].as_object().into_iter().flatten();
    Labels::new(pairs.map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default())))
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}
