//! `kubectl create` of one object that flags describe, and what other commands that create objects share with it.
//!
//! `workloads` makes Deployments, Jobs and CronJobs, `services` Services, `data` ConfigMaps, Secrets and accounts,
//! `policy` quotas, budgets and priority classes. Absent on purpose: objects of files, which a recorded line does not
//! show, and kinds of access control, which we do not have.
//!
//! Source: staging/src/k8s.io/kubectl/pkg/cmd/create (v1.34.1).

mod data;
mod policy;
mod services;
mod workloads;

pub(super) use policy::{amounts, number_or_text};

use std::fmt::Write;

use serde_json::{Value, json};
use wavetank_core::model::Kind;

use super::words::CommandLine;
use super::{Plan, Planned, Scene, Trouble};
use crate::conform::edge::{self, Outcome, Path};

/// What stands for the letters that are drawn to end a name.
const DRAWN: &str = "xxxxx";
/// Flags of every command that creates something. Annotations with what was created are not made.
const COMMON: [&str; 3] = ["--dry-run", "--field-manager", "--validate"];

/// A kind and the object of it that a line makes.
type Made = Result<(Kind, Value), Trouble>;

pub(super) fn plan(scene: &Scene<'_>, line: &CommandLine, words: &[String]) -> Planned {
    let (what, words) = words.split_first().ok_or(Trouble::NotCovered)?;
    let (kind, body) = match what.as_str() {
        "namespace" | "ns" => namespace(line, words),
        "deployment" | "deploy" => workloads::deployment(line, words),
        "job" => workloads::job(scene, line, words),
        "cronjob" | "cj" => workloads::cron_job(line, words),
        "service" | "svc" => services::service(line, words),
        "configmap" | "cm" => data::config_map(line, words),
        "secret" => data::secret(line, words),
        "serviceaccount" | "sa" => data::service_account(line, words),
        "quota" | "resourcequota" => policy::quota(line, words),
        "poddisruptionbudget" | "pdb" => policy::budget(line, words),
        "priorityclass" | "pc" => policy::priority_class(line, words),
        _ => Err(Trouble::NotCovered),
    }?;
    Plan::each(vec![body], |body| creation(scene, line, kind, &body, "kubectl-create"))
}

/// The creation of an object, or the dry run of one.
pub(super) fn creation(
    scene: &Scene<'_>,
    line: &CommandLine,
    kind: Kind,
    body: &Value,
    manager: &str,
) -> Result<Outcome, Trouble> {
    let namespace = line.flag("--namespace").unwrap_or(scene.namespace);
    let path = Path {
        namespace: if kind.is_namespaced() { namespace.to_owned() } else { String::new() },
        plural: kind.plural().to_owned(),
        query: query(line, manager)?,
        ..Path::default()
    };
    Ok(edge::translate(scene.core, "POST", &path, "", body))
}

/// The query of a request that changes something: who asks for it, and whether it is to be stored.
///
/// Errors: a wish that kubectl does not know.
pub(super) fn query(line: &CommandLine, manager: &str) -> Result<String, Trouble> {
    let manager = line.flag("--field-manager").unwrap_or(manager);
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("fieldManager", manager);
    if is_dry_run(line)? {
        query.append_pair("dryRun", "All");
    }
    Ok(query.finish())
}

/// Whether nothing of what a line asks for is to be stored. Errors: a wish that kubectl does not know.
pub(super) fn is_dry_run(line: &CommandLine) -> Result<bool, Trouble> {
    match line.flag("--dry-run") {
        None | Some("none" | "false" | "0") => Ok(false),
        Some("server") => Ok(true),
        Some(other) => fails(format!("Invalid dry-run value ({other}). Must be \"none\", \"server\", or \"client\".")),
    }
}

/// The name of what is created. Errors: flags beside the common ones and `known`, and another number of names than one.
fn name<'a>(line: &CommandLine, words: &'a [String], known: &[&str]) -> Result<&'a str, Trouble> {
    only_flags(line, known)?;
    match words {
        [name] if name.is_empty() => fails("name must be specified"),
        [name] => Ok(name),
        _ => fails(format!("exactly one NAME is required, got {}", words.len())),
    }
}

/// Errors: a flag that is none of these, nor one that every such command has.
pub(super) fn only_flags(line: &CommandLine, known: &[&str]) -> Result<(), Trouble> {
    let known: Vec<&str> = known.iter().chain(&COMMON).copied().collect();
    if line.knows_flags(&known) { Ok(()) } else { Err(Trouble::NotCovered) }
}

/// Errors: one of the flags is not set; all of those are told.
pub(super) fn required(line: &CommandLine, flags: &[&str]) -> Result<(), Trouble> {
    let missing = flags.iter().filter(|flag| line.flag(flag).is_none());
    let named: Vec<String> = missing.map(|flag| format!("{:?}", flag.trim_start_matches('-'))).collect();
    if named.is_empty() { Ok(()) } else { fails(format!("required flag(s) {} not set", named.join(", "))) }
}

/// The value of a flag that is a whole number of 32 bits.
pub(super) fn number(line: &CommandLine, flag: &str) -> Result<Option<i32>, Trouble> {
    let read = |text: &str| {
        text.parse().map_err(|_| {
            let why = format!("strconv.ParseInt: parsing {text:?}: invalid syntax");
            Trouble::Fails(format!("invalid argument {text:?} for {flag:?} flag: {why}"))
        })
    };
    line.flag(flag).map(read).transpose()
}

pub(super) fn fails<T>(message: impl Into<String>) -> Result<T, Trouble> {
    Err(Trouble::Fails(message.into()))
}

/// A namespace. Source: `createNamespace`, create_namespace.go.
fn namespace(line: &CommandLine, words: &[String]) -> Made {
    let name = name(line, words, &[])?;
    Ok((Kind::Namespace, object(Kind::Namespace, name)))
}

/// An object with nothing but its kind and name.
pub(super) fn object(kind: Kind, name: &str) -> Value {
    json!({"apiVersion": kind.api_version(), "kind": kind.name(), "metadata": {"name": name}})
}

/// The kind and name of the object that a line makes if it succeeds; `None` if that is none, or what a file says.
pub(super) fn made(words: &[String]) -> Option<(Kind, &str)> {
    let (what, rest) = words.split_first()?;
    let (kind, rest) = match what.as_str() {
        "namespace" | "ns" => (Kind::Namespace, rest),
        "deployment" | "deploy" => (Kind::Deployment, rest),
        "job" => (Kind::Job, rest),
        "cronjob" | "cj" => (Kind::CronJob, rest),
        "service" | "svc" => (Kind::Service, rest.get(1..)?),
        "configmap" | "cm" => (Kind::ConfigMap, rest),
        "secret" => (Kind::Secret, rest.get(1..)?),
        "serviceaccount" | "sa" => (Kind::ServiceAccount, rest),
        "quota" | "resourcequota" => (Kind::ResourceQuota, rest),
        "poddisruptionbudget" | "pdb" => (Kind::PodDisruptionBudget, rest),
        "priorityclass" | "pc" => (Kind::PriorityClass, rest),
        _ => return None,
    };
    Some((kind, rest.first()?.as_str()))
}

/// The name of a container, made of its image.
///
/// Source: `buildPodSpec`, `sanitizeAndUniquify`, create_deployment.go.
fn container_name(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or_default();
    let bare = last.split([':', '@']).next().unwrap_or_default();
    let mut name = bare.replace(['_', '.'], "-");
    if bare.contains(['_', '.']) {
        write!(name, "-{DRAWN}").expect("texts take everything");
    }
    name
}
