//! Command lines of kubectl that change something, as requests: `rollout undo`, `cordon`, `uncordon` and `drain`.

use wavetank_core::Core;
use wavetank_core::api::{Patch, Request};
use wavetank_core::id::Name;
use wavetank_core::model::{Deployment, Kind, Labels, Object, ObjectKey, ReplicaSet, Selector};
use wavetank_core::time::Span;

use crate::drain::DrainOptions;

/// What a command line comes to.
pub enum Command {
    /// One request.
    Ask(Request),
    /// A drain, which takes its time.
    Drain(DrainOptions),
    /// Only something to read.
    Nothing,
    /// The command fails before it asks for anything.
    Fails,
    /// Nothing here can do that.
    NotCovered,
}

/// Understands a command line, without the word `kubectl`.
pub fn understand(core: &Core, namespace: &Name, line: &str) -> Command {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        ["rollout", "history" | "status", ..] => Command::Nothing,
        ["rollout", "undo", ..] => {
            let deployment = words.iter().find_map(|word| word.split_once('/')).map(|(_, name)| Name::from(name));
            let revision = words.iter().find_map(|word| word.strip_prefix("--to-revision="));
            let revision = revision.and_then(|it| it.parse().ok());
            let request = deployment.and_then(|name| undo(core, namespace, &name, revision));
            request.map_or(Command::Fails, Command::Ask)
        }
        ["cordon", node] => Command::Ask(unschedulable(node, true)),
        ["uncordon", node] => Command::Ask(unschedulable(node, false)),
        ["drain", node, ref flags @ ..] => drain_options(node, flags).map_or(Command::NotCovered, Command::Drain),
        _ => Command::NotCovered,
    }
}

/// Whether a command line takes its time: the recorded time of such a line is that of its end.
pub fn takes_time(line: &str) -> bool {
    line.starts_with("drain ")
}

fn unschedulable(node: &str, holds: bool) -> Request {
    Request::Patch { key: ObjectKey::new(Kind::Node, "", node), patch: Patch::Unschedulable(holds) }
}

/// The flags of `kubectl drain`; `None` if one is unknown.
fn drain_options(node: &str, flags: &[&str]) -> Option<DrainOptions> {
    let mut options = DrainOptions { nodes: vec![node.into()], ..DrainOptions::default() };
    for flag in flags {
        let (name, value) = flag.split_once('=').unwrap_or((flag, "true"));
        match name {
            "--ignore-daemonsets" => options.ignore_daemon_sets = value == "true",
            "--force" => options.force = value == "true",
            "--delete-emptydir-data" => options.delete_empty_dir_data = value == "true",
            "--disable-eviction" => options.disable_eviction = value == "true",
            "--grace-period" => options.grace = value.parse().ok().map(Span::from_secs),
            "--timeout" => options.timeout = Some(Span::from_secs(seconds(value)?)),
            "--pod-selector" => {
                let pairs: Option<Vec<(&str, &str)>> = value.split(',').map(|pair| pair.split_once('=')).collect();
                options.pods = Some(Selector::from_labels(Labels::new(pairs?)));
            }
            _ => return None,
        }
    }
    Some(options)
}

/// `60s`, `2m` or `1h` in seconds.
fn seconds(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at(text.len().checked_sub(1)?);
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

/// The template of an earlier revision, as kubectl puts it back.
///
/// Source: staging/src/k8s.io/kubectl/pkg/polymorphichelpers/rollback.go (v1.34.1).
fn undo(core: &Core, namespace: &Name, name: &Name, wanted: Option<u64>) -> Option<Request> {
    let (_, deployment) = core.newest().find::<Deployment>(namespace, name)?;
    let revision = |set: &ReplicaSet| -> u64 {
        set.meta.annotations.get("deployment.kubernetes.io/revision").and_then(|text| text.parse().ok()).unwrap_or(0)
    };
    let mut sets: Vec<&ReplicaSet> =
        core.newest().controlled_by::<ReplicaSet>(deployment.meta.uid).map(|(_, set)| &**set).collect();
    sets.sort_by_key(|set| std::cmp::Reverse(revision(set)));
    let set = match wanted {
        Some(wanted) if wanted > 0 => sets.into_iter().find(|set| revision(set) == wanted)?,
        _ => sets.into_iter().nth(1)?,
    };
    let mut changed = Deployment::clone(deployment);
    changed.template = set.template.clone();
    changed.template.labels = changed.template.labels.without("pod-template-hash");
    Some(Request::Update { object: Object::Deployment(changed.into()), expected: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_of_a_drain_are_understood_and_others_are_not_passed_over() {
        let flags = ["--ignore-daemonsets", "--force", "--timeout=2m", "--grace-period=-1", "--pod-selector=a=b"];
        let options = drain_options("n1", &flags).expect("all are known");
        assert!(options.ignore_daemon_sets && options.force && !options.disable_eviction);
        assert_eq!((options.timeout, options.grace), (Some(Span::from_secs(120)), None));
        assert_eq!(options.pods, Some(Selector::from_labels(Labels::new([("a", "b")]))));
        assert_eq!(drain_options("n1", &["--dry-run=server"]), None);
    }
}
