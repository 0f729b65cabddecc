//! `kubectl run`: a pod of one container, and the Service for it that `--expose` asks for.
//!
//! Absent on purpose: pods that somebody looks into (`--attach`, `--stdin`, `--tty`, `--rm`), and `--overrides`.
//!
//! Source: `RunOptions.Run`, staging/src/k8s.io/kubectl/pkg/cmd/run/run.go; `BasicPod.Generate`,
//! staging/src/k8s.io/kubectl/pkg/generate/versioned/run.go (v1.34.1).

use serde_json::{Map, Value, json};
use wavetank_core::model::Kind;

use super::create::{creation, fails, object, only_flags, required};
use super::words::CommandLine;
use super::{Plan, Planned, Scene, Trouble};

const FLAGS: [&str; 11] = [
    "--annotations",
    "--command",
    "--env",
    "--expose",
    "--image",
    "--image-pull-policy",
    "--labels",
    "--port",
    "--privileged",
    "--quiet",
    "--restart",
];

pub(super) fn plan(scene: &Scene<'_>, line: &CommandLine, words: &[String]) -> Planned {
    only_flags(line, &FLAGS)?;
    let Some((name, more)) = words.split_first() else { return fails("NAME is required for run") };
    required(line, &["--image"])?;
    let text = |flag: &str| line.flag(flag).unwrap_or_default();
    if text("--image").is_empty() {
        return fails("--image is required");
    }
    if !is_image(text("--image")) {
        return fails(format!("Invalid image name {:?}: invalid reference format", text("--image")));
    }
    let exposes = line.is_set("--expose");
    if exposes && text("--port").is_empty() {
        return fails("--port must be set when exposing a service");
    }
    let restart = one_of(text("--restart"), "Always", &["Always", "OnFailure", "Never"], "restart policy")?;
    one_of(text("--image-pull-policy"), "", &["", "Always", "IfNotPresent", "Never"], "image pull policy")?;
    let labels = match text("--labels") {
        "" => Map::from_iter([("run".to_owned(), name.as_str().into())]),
        labels => pairs_of(labels)?,
    };
    let mut body = object(Kind::Pod, name);
    body["metadata"]["labels"] = labels.clone().into();
    let annotations = annotations(line)?;
    if !annotations.is_empty() {
        body["metadata"]["annotations"] = annotations.into();
    }
    let port = number_of(text("--port"))?;
    let args: Vec<&String> = more.iter().chain(&line.after).collect();
    body["spec"] = json!({
        "containers": [container(line, name, port, &args)?],
        "dnsPolicy": "ClusterFirst",
        "restartPolicy": restart,
    });
    let mut objects = vec![(Kind::Pod, body)];
    if let Some(port) = port.filter(|_| exposes) {
        let mut service = object(Kind::Service, name);
        // Labels that were asked for are those of both; the pod's own label is not.
        if !text("--labels").is_empty() {
            service["metadata"]["labels"] = labels.clone().into();
        }
        let ports = json!([{"port": port, "targetPort": port, "protocol": "TCP"}]);
        service["spec"] = json!({"selector": labels, "ports": ports});
        objects.push((Kind::Service, service));
    }
    // Without a pod there is no Service.
    let mut plan = Plan { one_by_one: true, ..Plan::default() };
    for (kind, body) in objects {
        plan.take(creation(scene, line, kind, &body, "kubectl-run"))?;
        if plan.failure.is_some() {
            break;
        }
    }
    Ok(plan)
}

fn container(line: &CommandLine, name: &str, port: Option<i32>, args: &[&String]) -> Result<Value, Trouble> {
    let mut container = json!({"name": name, "image": line.flag("--image")});
    if !args.is_empty() {
        container[if line.is_set("--command") { "command" } else { "args" }] = json!(args);
    }
    let mut variables = Vec::new();
    for pair in line.values("--env") {
        match pair.split_once('=').filter(|(name, _)| is_variable(name)) {
            Some((name, value)) => variables.push(json!({"name": name, "value": value})),
            None => return fails(format!("invalid env: {pair}")),
        }
    }
    if !variables.is_empty() {
        container["env"] = variables.into();
    }
    if let Some(policy) = line.flag("--image-pull-policy").filter(|policy| !policy.is_empty()) {
        container["imagePullPolicy"] = policy.into();
    }
    if let Some(port) = port {
        container["ports"] = json!([{"containerPort": port}]);
    }
    if line.is_set("--privileged") {
        container["securityContext"] = json!({"privileged": true});
    }
    Ok(container)
}

/// A flag's value, which must be one of these. Errors: it is none.
fn one_of<'a>(value: &'a str, default: &'a str, all: &[&str], what: &str) -> Result<&'a str, Trouble> {
    match value {
        "" => Ok(default),
        _ if all.contains(&value) => Ok(value),
        _ => fails(format!("invalid {what}: {value}")),
    }
}

fn number_of(text: &str) -> Result<Option<i32>, Trouble> {
    if text.is_empty() {
        return Ok(None);
    }
    let number = text.parse().map_err(|_| Trouble::Fails(format!("strconv.Atoi: parsing {text:?}: invalid syntax")))?;
    Ok(Some(number))
}

/// `a=b,c=d`. Source: `ParseLabels`, staging/src/k8s.io/kubectl/pkg/generate/generate.go.
pub(super) fn pairs_of(text: &str) -> Result<Map<String, Value>, Trouble> {
    let pair = |part: &str| match part.split('=').collect::<Vec<_>>()[..] {
        ["", _] => fails("unexpected empty label key"),
        [key, value] => Ok((key.to_owned(), Value::from(value))),
        _ => fails(format!("unexpected label spec: {part}")),
    };
    text.split(',').map(pair).collect()
}

/// Source: `ParsePairs`, staging/src/k8s.io/kubectl/pkg/cmd/util/helpers.go.
fn annotations(line: &CommandLine) -> Result<Map<String, Value>, Trouble> {
    let pair = |text: &str| match text.split_once('=').filter(|(key, _)| !key.is_empty()) {
        Some((key, value)) => Ok((key.to_owned(), Value::from(value))),
        None => fails(format!("invalid annotations format: {text}")),
    };
    line.values("--annotations").map(pair).collect()
}

/// Whether a word can be a variable's name: letters, digits, `_`, `-` and `.`, not like a path's dots.
///
/// Source: `IsEnvVarName`, staging/src/k8s.io/apimachinery/pkg/util/validation/validation.go.
pub(super) fn is_variable(name: &str) -> bool {
    let first = |letter: u8| letter.is_ascii_alphabetic() || b"_.-".contains(&letter);
    let is_word =
        name.bytes().next().is_some_and(first) && name.bytes().all(|letter| first(letter) || letter.is_ascii_digit());
    is_word && name != "." && !name.starts_with("..")
}

/// Whether a text names an image: `HOST:PORT/PATH:TAG@DIGEST`, all but the path optional.
///
/// Source: `ReferenceRegexp`, vendor/github.com/distribution/reference/regexp.go.
fn is_image(text: &str) -> bool {
    let (rest, digest) = text.split_once('@').map_or((text, None), |(rest, digest)| (rest, Some(digest)));
    let (path, tag) = match rest.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
        _ => (rest, None),
    };
    let is_word = |letter: u8| letter.is_ascii_alphanumeric() || letter == b'_';
    let is_tag = |tag: &str| {
        let mut letters = tag.bytes();
        tag.len() <= 128
            && letters.next().is_some_and(is_word)
            && letters.all(|letter| is_word(letter) || b".-".contains(&letter))
    };
    let is_digest = |digest: &str| {
        digest.split_once(':').is_some_and(|(algorithm, hex)| {
            !algorithm.is_empty() && hex.len() >= 32 && hex.bytes().all(|letter| letter.is_ascii_hexdigit())
        })
    };
    let mut parts: Vec<&str> = path.split('/').collect();
    if parts.len() > 1 && is_host(parts[0]) {
        parts.remove(0);
    }
    parts.into_iter().all(is_path_part) && tag.is_none_or(is_tag) && digest.is_none_or(is_digest)
}

/// A name of hosts, perhaps with a port.
fn is_host(text: &str) -> bool {
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|letter| letter.is_ascii_alphanumeric() || letter == b'-')
    };
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|letter| letter.is_ascii_digit());
    host.split('.').all(is_label) && port.is_none_or(is_port)
}

/// Small letters and digits, with separators between them: a dot, one or two underscores, or dashes.
fn is_path_part(text: &str) -> bool {
    let is_small = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    let separators = text.split(is_small).filter(|part| !part.is_empty());
    text.starts_with(is_small)
        && text.ends_with(is_small)
        && separators.into_iter().all(|it| matches!(it, "." | "_" | "__") || it.bytes().all(|letter| letter == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_told_from_what_is_none() {
        for image in ["a", "a:1", "shop/a_b:1.2", "registry.example:5000/shop/a__b--c", "Host/a", "a:v1-x_y.z"] {
            assert!(is_image(image), "{image}");
        }
        let digest = format!("a:1@sha256:{}", "0f".repeat(32));
        assert!(is_image(&digest) && !is_image("a@sha256:12"));
        for wrong in ["", "A", "a:", "a b", "a//b", "-a", "a_", "a:1:2", "a___b"] {
            assert!(!is_image(wrong), "{wrong}");
        }
    }
}
