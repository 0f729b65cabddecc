//! Requests that a real API server refused: ours must refuse them with the same code, reason and message.

use serde_json::Value;
use wavetank_manifest::kubernetes::{KINDS, apply_defaults, read_manifests, validate};

use crate::conform::compare::Difference;
use crate::conform::{Comparison, brief, is_supported};

/// Compares every refusal of a folder.
pub fn compare(refused: &[Value]) -> Comparison {
    let mut differences = Vec::new();
    let mut missing = Vec::new();
    for case in refused {
        let name = case["case"].as_str().unwrap_or_default();
        let kind = case["body"]["kind"].as_str().unwrap_or_default();
        let method = case["request"].as_str().and_then(|request| request.split(' ').next()).unwrap_or("POST");
        if method != "POST" || kind.is_empty() || !is_supported(kind) {
            let what = if method == "POST" && !kind.is_empty() { kind } else { method };
            missing.push(format!("{what} ({name})"));
            continue;
        }
        let answer = &case["response"];
        let expected = (
            case["code"].as_u64().or(answer["code"].as_u64()).unwrap_or(0),
            text(answer, case, "reason"),
            text(answer, case, "message"),
        );
        let ours = refusal(&case["body"]);
        if ours != expected {
            let shown = |of: &(u64, String, String)| format!("{} {}: {}", of.0, of.1, of.2);
            differences.push(Difference {
                at_ms: 0,
                track: format!("{name}: {}", brief(&case["body"])),
                recorded: shown(&expected),
                ours: shown(&ours),
            });
        }
    }
    if !differences.is_empty() {
        Comparison::Differs(differences, refused.len())
    } else if !missing.is_empty() {
        Comparison::NotCovered(missing)
    } else {
        Comparison::Equal(refused.len())
    }
}

fn text(answer: &Value, case: &Value, key: &str) -> String {
    answer[key].as_str().or(case[key].as_str()).unwrap_or_default().to_owned()
}

/// Code, reason and message of our own refusal; 201 if there is none.
fn refusal(body: &Value) -> (u64, String, String) {
    let kind = body["kind"].as_str().unwrap_or_default();
    let api_version = body["apiVersion"].as_str().unwrap_or_default();
    if !KINDS.iter().any(|known| known.kind == kind && known.api_version == api_version) {
        let version = api_version.rsplit('/').next().unwrap_or_default();
        let message = format!(
            "{kind} in version {version:?} cannot be handled as a {kind}: no kind {kind:?} is registered for version \
             {api_version:?} in scheme \"k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30\""
        );
        return (400, "BadRequest".to_owned(), message);
    }
    let meta = &body["metadata"];
    if meta["name"].as_str().unwrap_or_default().is_empty()
        && meta["generateName"].as_str().unwrap_or_default().is_empty()
    {
        let message =
            format!("{kind} \"\" is invalid: metadata.name: Required value: name or generateName is required");
        return (422, "Invalid".to_owned(), message);
    }
    let mut objects = match read_manifests("body", &body.to_string()) {
        Ok(objects) => objects,
        Err(errors) => return (400, "BadRequest".to_owned(), errors.to_string()),
    };
    let Some(object) = objects.first_mut() else { return (400, "BadRequest".to_owned(), "no object".to_owned()) };
    apply_defaults(&mut object.value);
    match validate(&object.value) {
        Ok(()) => (201, String::new(), String::new()),
        Err(invalid) => (422, "Invalid".to_owned(), invalid.to_string()),
    }
}
