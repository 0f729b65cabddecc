//! The options of a request that stand in its query.
//!
//! Source: `ValidateCreateOptions`, `ValidatePatchOptions`, `ValidateDryRun`,
//! staging/src/k8s.io/apimachinery/pkg/apis/meta/v1/validation/validation.go (v1.34.1).

use super::{Path, Status};

const MANAGER_MAX: usize = 128;

/// What is wrong with a request's options, which are of the kind `kind`.
pub(super) fn fault(path: &Path, kind: &str) -> Option<Status> {
    let mut faults = Vec::new();
    if path.parameter("fieldManager").is_some_and(|manager| manager.len() > MANAGER_MAX) {
        faults.push(format!("fieldManager: Too long: may not be more than {MANAGER_MAX} bytes"));
    }
    if let Some(wish) = path.parameter("dryRun").filter(|wish| wish != "All") {
        faults.push(format!("dryRun: Unsupported value: [{wish:?}]: supported values: \"All\""));
    }
    let validation = path.parameter("fieldValidation");
    if let Some(wish) = validation.filter(|wish| !["", "Ignore", "Strict", "Warn"].contains(&wish.as_str())) {
        let supported = r#"supported values: "", "Ignore", "Strict", "Warn""#;
        faults.push(format!("fieldValidation: Unsupported value: {wish:?}: {supported}"));
    }
    let said = match faults.as_slice() {
        [] => return None,
        [only] => only.clone(),
        several => format!("[{}]", several.join(", ")),
    };
    Some(Status::invalid(format!("{kind}.meta.k8s.io \"\" is invalid: {said}")))
}
