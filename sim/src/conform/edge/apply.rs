//! Server-side apply, as far as it goes without knowing whose each field is: an object that is not there is created,
//! one that is already as it shall be stays, and with `force` what is applied counts, whoever had it. A change without
//! `force` depends on the managers of its fields, and is not covered.
//!
//! Source: `applyPatcher`, staging/src/k8s.io/apiserver/pkg/endpoints/handlers/patch.go;
//! `structuredMergeManager.Apply`, staging/src/k8s.io/apimachinery/pkg/util/managedfields/internal/structuredmerge.go
//! (v1.34.1).

use serde_json::Value;
use wavetank_core::Core;
use wavetank_core::id::Revision;
use wavetank_core::model::ObjectKey;
use wavetank_manifest::kubernetes::{PatchType, apply_patch, to_json};

use super::change::{Sent, change, wrong_name};
use super::{EPOCH, Outcome, Path, Status, create, options};

/// The media type of such a patch.
pub(super) const MEDIA_TYPE: &str = "application/apply-patch+yaml";

/// Applies a configuration.
pub(super) fn apply(core: &Core, key: &ObjectKey, path: &Path, body: &Value) -> Outcome {
    if let Some(status) = options::patch_fault(path, true) {
        return Outcome::Answered(status);
    }
    let version = body["apiVersion"].as_str().unwrap_or_default();
    if version != key.kind.api_version() {
        return Outcome::Answered(Status::bad_request(format!(
            "Incorrect version specified in apply patch. Specified patch version: {version}, expected: {}",
            key.kind.api_version()
        )));
    }
    if !body["metadata"]["managedFields"].is_null() {
        return Outcome::Answered(Status::bad_request("metadata.managedFields must be nil"));
    }
    let wrong = create::wrong_namespace(body, &key.namespace).or_else(|| wrong_name(key, body));
    let Some(current) = core.find(key) else {
        return match wrong {
            Some(status) => Outcome::Answered(status),
            None if path.subresource.is_empty() => create::create(core, key.kind, path, body),
            None => super::not_found(key),
        };
    };
    if let Some(status) = wrong {
        return Outcome::Answered(status);
    }
    let before = to_json(&current, Revision(0), EPOCH);
    let mut after = before.clone();
    if apply_patch(PatchType::StrategicMerge, &mut after, body).is_ok_and(|()| after == before) {
        return Outcome::Ask(Vec::new());
    }
    if path.parameter("force").as_deref() == Some("true") {
        // What is merged by the keys of lists is merged alike.
        let content_type = "application/strategic-merge-patch+json";
        let path = Path { query: without_force(&path.query), ..path.clone() };
        return change(core, key, &path, &Sent { method: "PATCH", content_type, body });
    }
    Outcome::NotCovered("server-side apply over fields of others".to_owned())
}

fn without_force(query: &str) -> String {
    let kept: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("force=")).collect();
    kept.join("&")
}
