//! `kubectl set image`, `resources`, `env`, `serviceaccount` and `selector`.
//!
//! What is not there fails the whole command; what fails with one object does not hold the others up. Absent on
//! purpose: `set subject`, as there is no access control, and variables that are read from standard input.
//!
//! Source: staging/src/k8s.io/kubectl/pkg/cmd/set (v1.34.1).

use serde_json::{Map, Value, json};
use wavetank_core::model::{Kind, ObjectKey};

use super::create::{amounts, fails, only_flags};
use super::run::is_variable;
use super::words::CommandLine;
use super::{Plan, Planned, Scene, Trouble, all_shown, patched, shown, targets};
use crate::conform::edge::Outcome;
use crate::conform::selectors;

const NONE_NAMED: &str = "one or more resources must be specified as <resource> <name> or <resource>/<name>";

pub(super) fn plan(scene: &Scene<'_>, line: &CommandLine, words: &[String]) -> Planned {
    let (what, words) = words.split_first().ok_or(Trouble::NotCovered)?;
    match what.as_str() {
        "image" => image(scene, line, words),
        "resources" => resources(scene, line, words),
        "env" => env(scene, line, words),
        "serviceaccount" | "sa" => service_account(scene, line, words),
        "selector" => selector(scene, line, words),
        _ => Err(Trouble::NotCovered),
    }
}

/// Where objects of a kind have the spec of their pods. Errors: they have none.
fn place(kind: Kind) -> Result<&'static str, Trouble> {
    Ok(match kind {
        Kind::Pod => "/spec",
        Kind::CronJob => "/spec/jobTemplate/spec/template/spec",
        Kind::Deployment
        | Kind::ReplicaSet
        | Kind::StatefulSet
        | Kind::DaemonSet
        | Kind::ReplicationController
        | Kind::Job => "/spec/template/spec",
        kind => return fails(format!("the object is not a pod or does not have a pod template: {}", kind.name())),
    })
}

/// Changes the spec of the pods of objects: one write each, and none where it stays as it is. What `edit` gives back
/// fails the command and not the write.
fn edit(
    scene: &Scene<'_>,
    line: &CommandLine,
    keys: Vec<ObjectKey>,
    mut edit: impl FnMut(&mut Value) -> Result<Option<String>, Trouble>,
) -> Planned {
    let objects = all_shown(scene, keys)?;
    let mut failure = None;
    let mut plan = Plan::each(objects, |(key, now): (ObjectKey, Value)| {
        let place = place(key.kind)?;
        let before = now.pointer(place).cloned().unwrap_or_default();
        let mut after = before.clone();
        if let Some(message) = edit(&mut after)? {
            failure.get_or_insert(message);
        }
        if after == before {
            return Ok(Outcome::Ask(Vec::new()));
        }
        replaced(scene, line, &key, place, &after)
    })?;
    plan.failure = plan.failure.or(failure);
    Ok(plan)
}

/// One field of an object becomes another value, as kubectl's patch of the difference makes it.
fn replaced(
    scene: &Scene<'_>,
    line: &CommandLine,
    key: &ObjectKey,
    place: &str,
    value: &Value,
) -> Result<Outcome, Trouble> {
    let patch = json!([{"op": "add", "path": place, "value": value}]);
    patched(scene, line, key, "application/json-patch+json", &patch)
}

/// The containers of a spec whose names fit, and then its init containers.
fn containers<'a>(spec: &'a mut Value, wanted: &str) -> Vec<&'a mut Value> {
    let Value::Object(spec) = spec else { return Vec::new() };
    let (mut usual, mut init) = (Vec::new(), Vec::new());
    for (field, list) in spec {
        let chosen = match field.as_str() {
            "containers" => &mut usual,
            "initContainers" => &mut init,
            _ => continue,
        };
        let all = list.as_array_mut().into_iter().flatten();
        chosen.extend(all.filter(|container| fits(container["name"].as_str().unwrap_or_default(), wanted)));
    }
    usual.append(&mut init);
    usual
}

/// Whether a name fits a pattern with `*`: as kubectl compares, which holds the pattern's end to the name's only.
///
/// Source: `selectString`, helper.go.
fn fits(name: &str, pattern: &str) -> bool {
    if !pattern.contains('*') {
        return name == pattern;
    }
    let parts: Vec<&str> = pattern.split('*').collect();
    let mut at = 0;
    for (place, part) in parts.iter().enumerate().filter(|(_, part)| !part.is_empty()) {
        match name[at..].find(part) {
            Some(next) if next >= at && (place + 1 < parts.len() || name.len() == part.len() + next) => at = next,
            _ => return false,
        }
    }
    true
}

/// Errors: everything and a selection are asked for at once.
fn not_both(line: &CommandLine) -> Result<(), Trouble> {
    if line.is_set("--all") && line.flag("--selector").is_some_and(|text| !text.is_empty()) {
        return fails("cannot set --all and --selector at the same time");
    }
    Ok(())
}

/// `set image deploy/till till=till:2 log=log:3`, or `*=…` for every container.
///
/// Source: `SetImageOptions`, set_image.go.
fn image(scene: &Scene<'_>, line: &CommandLine, words: &[String]) -> Planned {
    only_flags(line, &["--selector", "--all"])?;
    let first = words.iter().position(|word| word.contains('=')).unwrap_or(words.len());
    let (named, changes) = words.split_at(first);
    let changes: Vec<(&str, &str)> = changes.iter().filter_map(|word| word.split_once('=')).collect();
    if changes.len() + first < words.len() {
        return fails("all resources must be specified before image changes");
    }
    not_both(line)?;
    match &changes[..] {
        _ if named.is_empty() => return fails(NONE_NAMED),
        [] => return fails("at least one image update is required"),
        [_] => {}
        several if several.iter().any(|(of, _)| *of == "*") => {
            return fails(
                "all containers are already specified by *, but saw more than one container_name=image pairs",
            );
        }
        _ => {}
    }
    let set = |spec: &mut Value| {
        let mut missing = None;
        for (of, image) in &changes {
            let found = containers(spec, if of.contains('*') && *of != "*" { "" } else { of });
            if found.is_empty() {
                missing.get_or_insert(format!("unable to find container named {of:?}"));
            }
            found.into_iter().for_each(|container| container["image"] = (*image).into());
        }
        Ok(missing)
    };
    edit(scene, line, targets(scene, line, named)?, set)
}

/// Source: `SetResourcesOptions`, set_resources.go.
fn resources(scene: &Scene<'_>, line: &CommandLine, words: &[String]) -> Planned {
    only_flags(line, &["--all", "--containers", "--limits", "--requests", "--selector"])?;
    let keys = targets(scene, line, words)?;
    not_both(line)?;
    let mut wanted: Vec<(&str, Map<String, Value>)> = Vec::new();
    for (flag, field) in [("--limits", "limits"), ("--requests", "requests")] {
        if let Some(text) = line.flag(flag).filter(|text| !text.is_empty()) {
            wanted.push((field, amounts(text)?));
        }
    }
    if wanted.is_empty() {
        return fails("you must specify an update to requests or limits (in the form of --requests/--limits)");
    }
    let pattern = line.flag("--containers").unwrap_or("*");
    edit(scene, line, keys, |spec| {
        let found = containers(spec, pattern);
        let missing = found.is_empty().then(|| format!("unable to find container named {pattern}"));
        for container in found {
            for (field, amounts) in &wanted {
                for (resource, amount) in amounts {
                    container["resources"][*field][resource] = amount.clone();
                }
            }
        }
        Ok(missing)
    })
}

/// Source: `EnvOptions`, set_env.go; `ParseEnv`, env/env_parse.go.
fn env(scene: &Scene<'_>, line: &CommandLine, words: &[String]) -> Planned {
    let own = ["--all", "--containers", "--env", "--from", "--keys", "--list", "--overwrite", "--prefix", "--selector"];
    only_flags(line, &own)?;
    not_both(line)?;
    let is_change = |word: &String| word.find('=').is_some_and(|at| at > 0) || word.ends_with('-');
    let first = words.iter().position(is_change).unwrap_or(words.len());
    let (named, changes) = words.split_at(first);
    if !changes.iter().all(is_change) {
        return fails(format!("all resources must be specified before environment changes: {}", words.join(" ")));
    }
    if named.is_empty() {
        return fails(NONE_NAMED);
    }
    if line.flag("--keys").is_some() && line.flag("--from").is_none() {
        return fails("when specifying --keys, a configmap or secret must be provided with --from");
    }
    if line.is_set("--list") {
        return Ok(Plan::default());
    }
    let (mut set, removed) = variables(line.values("--env").chain(changes.iter().map(String::as_str)))?;
    if let Some(from) = line.flag("--from").filter(|from| !from.is_empty()) {
        set.extend(injected(scene, line, from)?);
    }
    for variable in &mut set {
        let name = format!("{}{}", line.flag("--prefix").unwrap_or_default(), variable["name"].as_str().unwrap_or(""));
        variable["name"] = name.into();
    }
    let overwrites = line.flag("--overwrite").is_none_or(|_| line.is_set("--overwrite"));
    let pattern = line.flag("--containers").unwrap_or("*");
    edit(scene, line, targets(scene, line, named)?, |spec| {
        for container in containers(spec, pattern) {
            let present = container["env"].as_array().cloned().unwrap_or_default();
            if !overwrites {
                no_overwrites(&present, &set)?;
            }
            let after = updated(&present, &set, &removed);
            match container {
                Value::Object(container) if after.is_empty() => drop(container.remove("env")),
                container => container["env"] = after.into(),
            }
        }
        Ok(None)
    })
}

/// `NAME=VALUE` sets and `NAME-` removes: what is set, and the names of what is removed.
fn variables<'a>(words: impl Iterator<Item = &'a str>) -> Result<(Vec<Value>, Vec<&'a str>), Trouble> {
    let (mut set, mut removed) = (Vec::new(), Vec::new());
    for word in words {
        match word.split_once('=') {
            // What is read from standard input is not recorded.
            None if word == "-" => return Err(Trouble::NotCovered),
            Some((name, value)) if is_variable(name) => set.push(json!({"name": name, "value": value})),
            Some((name, _)) => return fails(format!("{name:?} is not a valid key name")),
            None => match word.strip_suffix('-') {
                Some(name) => removed.push(name),
                None => return fails(format!("unknown environment variable: {word}")),
            },
        }
    }
    if removed.iter().any(|name| set.iter().any(|variable| variable["name"] == *name)) {
        return fails("can not both modify and remove the same environment variable in the same command");
    }
    Ok((set, removed))
}

/// Variables for the keys of a ConfigMap or Secret.
fn injected(scene: &Scene<'_>, line: &CommandLine, from: &str) -> Result<Vec<Value>, Trouble> {
    let wanted: Vec<&str> = line.list("--keys").collect();
    let mut variables = Vec::new();
    for key in targets(scene, &line.without("--selector"), &[from.to_owned()])? {
        let reference = match key.kind {
            Kind::Secret => "secretKeyRef",
            Kind::ConfigMap => "configMapKeyRef",
            _ => return fails("unsupported resource specified in --from"),
        };
        let (_, now) = shown(scene, &key)?;
        let keys = now["data"].as_object().into_iter().flatten().map(|(key, _)| key.as_str());
        for data_key in keys.filter(|key| wanted.is_empty() || wanted.contains(key)) {
            let letter = |letter: char| if letter.is_ascii_alphanumeric() || letter == '_' { letter } else { '_' };
            let name: String = data_key.chars().map(letter).collect::<String>().to_uppercase();
            variables.push(json!({"name": name, "valueFrom": {reference: {"name": &*key.name, "key": data_key}}}));
        }
    }
    Ok(variables)
}

/// Source: `validateNoOverwrites`, set_env.go.
fn no_overwrites(present: &[Value], set: &[Value]) -> Result<(), Trouble> {
    let text = |variable: &Value| variable["value"].as_str().unwrap_or_default().to_owned();
    for new in set {
        let clash = present.iter().find(|old| old["name"] == new["name"] && text(old) != text(new));
        if let Some(old) = clash {
            let name = old["name"].as_str().unwrap_or_default();
            return fails(format!("'{name}' already has a value ({}), and --overwrite is false", text(old)));
        }
    }
    Ok(())
}

/// Variables keep their places, and those that were not there come last.
///
/// Source: `updateEnv`, helper.go.
fn updated(present: &[Value], set: &[Value], removed: &[&str]) -> Vec<Value> {
    let mut covered: Vec<Value> = removed.iter().map(|name| (*name).into()).collect();
    let mut after = Vec::new();
    for old in present.iter().filter(|old| !removed.iter().any(|name| old["name"] == *name)) {
        let newer = set.iter().find(|new| new["name"] == old["name"]);
        match newer {
            Some(_) if covered.contains(&old["name"]) => {}
            Some(new) => {
                covered.push(new["name"].clone());
                after.push(new.clone());
            }
            None => after.push(old.clone()),
        }
    }
    for new in set {
        if !covered.contains(&new["name"]) {
            covered.push(new["name"].clone());
            after.push(new.clone());
        }
    }
    after
}

/// Source: `SetServiceAccountOptions`, set_serviceaccount.go.
fn service_account(scene: &Scene<'_>, line: &CommandLine, words: &[String]) -> Planned {
    only_flags(line, &["--all"])?;
    let Some((account, named)) = words.split_last() else { return fails("serviceaccount is required") };
    edit(scene, line, targets(scene, line, named)?, |spec| {
        spec["serviceAccountName"] = account.as_str().into();
        // The older name of the field follows.
        if let Some(older) = spec.get_mut("serviceAccount") {
            *older = account.as_str().into();
        }
        Ok(None)
    })
}

/// Source: `SetSelectorOptions`, `updateSelectorForObject`, set_selector.go.
fn selector(scene: &Scene<'_>, line: &CommandLine, words: &[String]) -> Planned {
    only_flags(line, &["--all"])?;
    let Some((text, named)) = words.split_last() else { return fails("one selector is required") };
    let selector = selectors::manifest(text).map_err(Trouble::Fails)?;
    let pairs = selector["matchLabels"].as_object().cloned().unwrap_or_default();
    Plan::each(targets(scene, line, named)?, |key| {
        shown(scene, &key)?;
        match &selector["matchExpressions"] {
            _ if key.kind != Kind::Service => fails("setting a selector is only supported for Services"),
            Value::Null => replaced(scene, line, &key, "/spec/selector", &pairs.clone().into()),
            expressions => fails(format!("match expression {expressions} not supported on this object")),
        }
    })
}
