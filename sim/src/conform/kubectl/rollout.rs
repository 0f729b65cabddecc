//! `kubectl rollout undo`, `restart`, `pause` and `resume`. Of these only `undo` can be tried without being stored.

use serde_json::{Value, json};
use wavetank_core::Core;
use wavetank_core::api::{Patch, Request};
use wavetank_core::model::{
    ControllerRevision, DaemonSet, Deployment, Kind, Labels, Object, ObjectKey, ReplicaSet, StatefulSet,
};

use super::change::STRATEGIC;
use super::words::CommandLine;
use super::{Plan, Planned, Scene, Trouble, patched, shown, targets};
use crate::conform::edge::Outcome;

const REVISION: &str = "deployment.kubernetes.io/revision";
/// Annotations that a Deployment keeps when it goes back.
///
/// Source: `annotationsToSkip`, staging/src/k8s.io/kubectl/pkg/polymorphichelpers/rollback.go (v1.34.1).
const KEPT: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    "deployment.kubernetes.io/revision-history",
    "deployment.kubernetes.io/desired-replicas",
    "deployment.kubernetes.io/max-replicas",
    "deprecated.deployment.rollback.to",
];
/// Kinds that have rollouts.
const ROLLED: [Kind; 3] = [Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet];

pub(super) fn plan(scene: &Scene<'_>, line: &CommandLine, words: &[String]) -> Planned {
    let Some((verb, words)) = words.split_first() else { return Err(Trouble::NotCovered) };
    let known: &[&str] = if verb == "undo" { &["--to-revision", "--selector", "--dry-run"] } else { &["--selector"] };
    if !line.knows_flags(known) {
        return Err(Trouble::NotCovered);
    }
    let wrong = |text: &str| Trouble::Fails(format!("revision must be a positive integer: {text}"));
    let revision = line.flag("--to-revision").map(|text| text.parse::<u64>().map_err(|_| wrong(text))).transpose()?;
    let act = |key: ObjectKey| {
        let (_, now) = shown(scene, &key)?;
        let paused = now["spec"]["paused"] == true;
        if !ROLLED.contains(&key.kind) || key.kind != Kind::Deployment && matches!(verb.as_str(), "pause" | "resume") {
            return Err(Trouble::Fails(format!("{} have no such rollout", key.kind.plural())));
        }
        let request = |patch: Patch| Ok(Outcome::Ask(vec![Request::Patch { key: key.clone(), patch }]));
        match (verb.as_str(), key.kind) {
            ("pause", _) if paused => Err(Trouble::Fails("is already paused".to_owned())),
            ("resume", _) if !paused => Err(Trouble::Fails("is not paused".to_owned())),
            ("pause" | "resume", _) => {
                let patch: Value = json!({"spec": {"paused": (verb == "pause").then_some(true)}});
                patched(scene, line, &key, STRATEGIC, &patch)
            }
            ("restart", _) if paused => {
                Err(Trouble::Fails("can't restart paused deployment (run rollout resume first)".to_owned()))
            }
            ("restart", _) => request(Patch::Restart),
            ("undo", Kind::Deployment) => undo(scene.core, &key, revision).map(|it| Outcome::Ask(vec![it])),
            ("undo", _) => match revision.filter(|it| *it > 0) {
                Some(wanted) => to_revision(scene.core, &key, wanted).map(Outcome::Ask),
                None => request(Patch::Undo),
            },
            _ => Err(Trouble::NotCovered),
        }
    };
    let mut plan = Plan::each(targets(scene, line, words)?, act)?;
    plan.only_try(line)?;
    Ok(plan)
}

/// The template of an earlier revision, as kubectl puts it back, with the annotations of that time.
///
/// Source: `DeploymentRollbacker.Rollback`, staging/src/k8s.io/kubectl/pkg/polymorphichelpers/rollback.go (v1.34.1).
fn undo(core: &Core, key: &ObjectKey, wanted: Option<u64>) -> Result<Request, Trouble> {
    let fails = |message: &str| Trouble::Fails(message.to_owned());
    let found = core.newest().find::<Deployment>(&key.namespace, &key.name);
    let (_, deployment) = found.ok_or_else(|| fails("not found"))?;
    let revision = |set: &ReplicaSet| -> u64 {
        set.meta.annotations.get(REVISION).and_then(|text| text.parse().ok()).unwrap_or(0)
    };
    let mut sets: Vec<&ReplicaSet> =
        core.newest().controlled_by::<ReplicaSet>(deployment.meta.uid).map(|(_, set)| &**set).collect();
    sets.sort_by_key(|set| std::cmp::Reverse(revision(set)));
    let set = match wanted {
        Some(wanted) if wanted > 0 => sets.into_iter().find(|set| revision(set) == wanted),
        _ => sets.into_iter().nth(1),
    };
    let set = set.ok_or_else(|| fails("unable to find specified revision in history"))?;
    if deployment.paused {
        return Err(fails("you cannot rollback a paused deployment; resume it first"));
    }
    let mut changed = Deployment::clone(deployment);
    changed.template = set.template.clone();
    changed.template.labels = changed.template.labels.without("pod-template-hash");
    if changed.template != deployment.template {
        let kept = deployment.meta.annotations.iter().filter(|(key, _)| KEPT.contains(&&***key));
        let earlier = set.meta.annotations.iter().filter(|(key, _)| !KEPT.contains(&&***key));
        changed.meta.annotations = Labels::new(kept.chain(earlier).map(|(key, value)| (key.clone(), value.clone())));
    }
    Ok(Request::Update { object: Object::Deployment(changed.into()), expected: None })
}

/// The template of an earlier revision of a StatefulSet or DaemonSet; one that it has already is no write.
///
/// Source: `StatefulSetRollbacker.Rollback`, `DaemonSetRollbacker.Rollback`, rollback.go (v1.34.1).
fn to_revision(core: &Core, key: &ObjectKey, wanted: u64) -> Result<Vec<Request>, Trouble> {
    let object = core.find(key).ok_or(Trouble::NotCovered)?;
    let mut revisions = core.newest().controlled_by::<ControllerRevision>(object.uid());
    let Some((_, earlier)) = revisions.find(|(_, it)| it.revision == wanted) else {
        return Err(Trouble::Fails(format!("unable to find specified revision {wanted} in history")));
    };
    let template = earlier.template.clone();
    let changed = match &object {
        Object::StatefulSet(set) => Object::StatefulSet(StatefulSet { template, ..StatefulSet::clone(set) }.into()),
        Object::DaemonSet(set) => Object::DaemonSet(DaemonSet { template, ..DaemonSet::clone(set) }.into()),
        _ => return Err(Trouble::NotCovered),
    };
    Ok(if changed == object { Vec::new() } else { vec![Request::Update { object: changed, expected: None }] })
}
