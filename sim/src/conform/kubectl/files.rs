//! Commands about objects that files or standard input describe: `create -f`, `replace -f` and `delete -f`, and what
//! `apply -f` shares with them. Absent on purpose: directories and kustomizations.
//!
//! Source: `RunCreate`, staging/src/k8s.io/kubectl/pkg/cmd/create/create.go; `Run`, replace/replace.go (v1.34.1).

use serde_json::{Value, json};
use wavetank_core::model::{Kind, ObjectKey};

use super::create::{fails, query};
use super::words::CommandLine;
use super::{Plan, Planned, Scene, Trouble, manager};
use crate::conform::edge::{self, LAST_APPLIED, Outcome, Path};

/// Flags of all commands with files; that directories are gone through says nothing of one file.
const COMMON: [&str; 6] = ["--dry-run", "--field-manager", "--filename", "--recursive", "--validate", "--wait"];

/// An object of a file.
pub(super) struct Described {
    kind: Kind,
    pub(super) key: ObjectKey,
    pub(super) body: Value,
}

/// Source: `RunCreate`.
pub(super) fn create(scene: &Scene<'_>, line: &CommandLine) -> Planned {
    only_flags(line, &["--save-config"])?;
    Plan::each(described(scene, line)?, |it| {
        let body = if line.is_set("--save-config") { with_itself(&it.body) } else { it.body.clone() };
        sent(scene, line, "POST", &it, "", &body)
    })
}

/// Without a version in the file it is that of the object as it is.
///
/// Source: `Run`; `Helper.Replace`, staging/src/k8s.io/cli-runtime/pkg/resource/helper.go (v1.34.1).
pub(super) fn replace(scene: &Scene<'_>, line: &CommandLine, words: &[String]) -> Planned {
    only_flags(line, &["--save-config"])?;
    if !words.is_empty() {
        return Err(Trouble::NotCovered);
    }
    Plan::each(described(scene, line)?, |it| {
        let keeps = line.is_set("--save-config") || !it.body["metadata"]["annotations"][LAST_APPLIED].is_null();
        let mut body = if keeps { with_itself(&it.body) } else { it.body.clone() };
        if body["metadata"]["resourceVersion"].is_null() {
            body["metadata"]["resourceVersion"] = "0".into();
        }
        sent(scene, line, "PUT", &it, "", &body)
    })
}

/// The objects that files describe, in the files' order.
pub(super) fn keys(scene: &Scene<'_>, line: &CommandLine) -> Result<Vec<ObjectKey>, Trouble> {
    Ok(described(scene, line)?.into_iter().map(|it| it.key).collect())
}

/// The kinds and names of what files describe, as far as we have such kinds.
pub(super) fn named(manifests: &[Value]) -> Vec<(Kind, String)> {
    let known = |body: &Value| {
        let kind = Kind::of_name(body["kind"].as_str()?)?;
        Some((kind, body["metadata"]["name"].as_str()?.to_owned()))
    };
    manifests.iter().filter_map(known).collect()
}

/// Takes the files apart.
///
/// Errors: the line does not show them, a kind that we do not have, and a namespace that the line says otherwise.
pub(super) fn described(scene: &Scene<'_>, line: &CommandLine) -> Result<Vec<Described>, Trouble> {
    if scene.manifests.is_empty() {
        return Err(Trouble::NotCovered);
    }
    let one = |body: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (version, name) = (text(&body["apiVersion"]), text(&body["kind"]));
        let kind = Kind::of_name(&name).filter(|kind| kind.api_version() == version);
        let kind = kind.ok_or_else(|| Trouble::Request(format!("{name} of {version}")))?;
        let mut body = body.clone();
        if !kind.is_namespaced() {
            let key = ObjectKey::new(kind, "", &text(&body["metadata"]["name"]));
            return Ok(Described { kind, key, body });
        }
        let (wanted, said) = (line.flag("--namespace"), text(&body["metadata"]["namespace"]));
        if let Some(wanted) = wanted.filter(|wanted| !said.is_empty() && said != **wanted) {
            return fails(format!(
                "the namespace from the provided object \"{said}\" does not match the namespace \"{wanted}\". You \
                 must pass '--namespace={said}' to perform this operation."
            ));
        }
        let namespace = if said.is_empty() { wanted.unwrap_or(scene.namespace) } else { &said };
        body["metadata"]["namespace"] = namespace.into();
        Ok(Described { kind, key: ObjectKey::new(kind, namespace, &text(&body["metadata"]["name"])), body })
    };
    scene.manifests.iter().map(one).collect()
}

/// Asks for what an object shall be. Fields that nobody knows are refused, unless the line says otherwise.
pub(super) fn sent(
    scene: &Scene<'_>,
    line: &CommandLine,
    method: &str,
    it: &Described,
    content_type: &str,
    body: &Value,
) -> Result<Outcome, Trouble> {
    let path = path_of(line, it, if method == "POST" { "" } else { &it.key.name })?;
    debug_assert_eq!(path.plural, it.kind.plural());
    Ok(edge::translate(scene.core, method, &path, content_type, body))
}

/// Where a name of the kind is asked for, with what the line says of fields and dry runs. Errors: a wish about dry runs
/// that kubectl does not know.
pub(super) fn path_of(line: &CommandLine, it: &Described, name: &str) -> Result<Path, Trouble> {
    let validation = match line.flag("--validate").unwrap_or("true") {
        "true" | "strict" => "Strict",
        "warn" => "Warn",
        _ => "Ignore",
    };
    let query = format!("{}&fieldValidation={validation}", query(line, &manager(line))?);
    Ok(Path { query, name: name.to_owned(), ..Path::of(&it.key) })
}

/// A configuration that carries itself as an annotation.
///
/// Source: `GetModifiedConfiguration`, staging/src/k8s.io/kubectl/pkg/util/apply.go (v1.34.1).
pub(super) fn with_itself(body: &Value) -> Value {
    let mut body = body.clone();
    if !body["metadata"]["annotations"].is_object() {
        body["metadata"]["annotations"] = json!({});
    }
    edge::without_last_applied(&mut body);
    body["metadata"]["annotations"][LAST_APPLIED] = edge::as_last_applied(&body).into();
    body
}

pub(super) fn only_flags(line: &CommandLine, known: &[&str]) -> Result<(), Trouble> {
    let known: Vec<&str> = known.iter().chain(&COMMON).copied().collect();
    if line.knows_flags(&known) { Ok(()) } else { Err(Trouble::NotCovered) }
}
