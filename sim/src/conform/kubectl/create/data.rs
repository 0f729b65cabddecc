//! ConfigMaps and Secrets of literals, and accounts. What a file says no line shows, and a name with a hash of the
//! contents is not made.
//!
//! Source: create_configmap.go, create_secret.go, create_secret_docker.go, create_serviceaccount.go;
//! `ParseLiteralSource`, staging/src/k8s.io/kubectl/pkg/util/util.go.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use wavetank_core::model::Kind;

use super::super::Trouble;
use super::{CommandLine, Made, fails, name, object};

pub(super) fn config_map(line: &CommandLine, words: &[String]) -> Made {
    let name = name(line, words, &["--from-literal"])?;
    let mut body = object(Kind::ConfigMap, name);
    let data = literals(line, |value| value.to_owned(), &|key| {
        format!("cannot add key {key:?}, another key by that name already exists in Data for ConfigMap {name:?}")
    })?;
    if !data.is_empty() {
        body["data"] = data.into();
    }
    Ok((Kind::ConfigMap, body))
}

pub(super) fn secret(line: &CommandLine, words: &[String]) -> Made {
    let (what, words) = words.split_first().ok_or(Trouble::NotCovered)?;
    match what.as_str() {
        "generic" => {
            let name = name(line, words, &["--from-literal", "--type"])?;
            let taken = |key: &str| format!("cannot add key {key}, another key by that name already exists");
            let data = literals(line, |value| STANDARD.encode(value), &taken)?;
            Ok((Kind::Secret, secret_of(name, line.flag("--type").unwrap_or_default(), data)))
        }
        "docker-registry" => {
            let own = ["--docker-username", "--docker-password", "--docker-email", "--docker-server"];
            let name = name(line, words, &own)?;
            let data = Map::from_iter([(".dockerconfigjson".to_owned(), STANDARD.encode(registry(line)?).into())]);
            Ok((Kind::Secret, secret_of(name, "kubernetes.io/dockerconfigjson", data)))
        }
        // A certificate and its key are files.
        _ => Err(Trouble::NotCovered),
    }
}

fn secret_of(name: &str, secret_type: &str, data: Map<String, Value>) -> Value {
    let mut body = object(Kind::Secret, name);
    if !secret_type.is_empty() {
        body["type"] = secret_type.into();
    }
    if !data.is_empty() {
        body["data"] = data.into();
    }
    body
}

pub(super) fn service_account(line: &CommandLine, words: &[String]) -> Made {
    let name = name(line, words, &[])?;
    Ok((Kind::ServiceAccount, object(Kind::ServiceAccount, name)))
}

/// `--from-literal=KEY=VALUE`, each key once. What a key may be, the API server checks too.
fn literals(
    line: &CommandLine,
    encode: impl Fn(&str) -> String,
    taken: &dyn Fn(&str) -> String,
) -> Result<Map<String, Value>, Trouble> {
    let mut data = Map::new();
    for literal in line.values("--from-literal") {
        let Some((key, value)) = literal.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            return fails(format!("invalid literal source {literal}, expected key=value"));
        };
        if data.insert(key.to_owned(), encode(value).into()).is_some() {
            return fails(taken(key));
        }
    }
    Ok(data)
}

/// What a container engine keeps of a registry. Source: `handleDockerCfgJSONContent`, create_secret_docker.go.
fn registry(line: &CommandLine) -> Result<String, Trouble> {
    let text = |flag: &str| line.flag(flag).unwrap_or_default();
    let server = line.flag("--docker-server").unwrap_or("https://index.docker.io/v1/");
    let (user, password, email) = (text("--docker-username"), text("--docker-password"), text("--docker-email"));
    if user.is_empty() || password.is_empty() || server.is_empty() {
        return fails(
            "either --from-file or the combination of --docker-username, --docker-password and --docker-server is \
             required",
        );
    }
    let mut entry = json!({"username": user, "password": password});
    if !email.is_empty() {
        entry["email"] = email.into();
    }
    entry["auth"] = STANDARD.encode(format!("{user}:{password}")).into();
    Ok(json!({"auths": {server: entry}}).to_string())
}
