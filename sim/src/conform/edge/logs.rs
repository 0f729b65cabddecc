//! What is asked of a pod's node by way of the API server: logs, commands, ports. Only what is refused before.
//!
//! Source: `ValidatePodLogOptions`, pkg/apis/core/validation/validation.go; `LogLocation`, `validateContainer`,
//! pkg/registry/core/pod/strategy.go (v1.34.1).

use wavetank_core::Core;
use wavetank_core::model::{Object, ObjectKey};

use super::{Outcome, Path, Status, not_found, together};

/// The answer to a request for the part of a pod, node or service that its machine has.
pub(super) fn answer(core: &Core, key: &ObjectKey, path: &Path) -> Outcome {
    if path.subresource == "log"
        && let Some(status) = wrong_options(&key.name, path)
    {
        return Outcome::Answered(status);
    }
    let stored = match core.find(key) {
        None => return not_found(key),
        Some(stored) => stored,
    };
    let takes_container = ["log", "exec", "attach"].contains(&path.subresource.as_str());
    let wrong = match &stored {
        Object::Pod(pod) if takes_container => {
            let (regular, initial) = (pod.spec.containers.iter(), pod.spec.init_containers.iter());
            let mut names = initial.clone().chain(regular.clone()).map(|container| &*container.name);
            let wanted = path.parameter("container").unwrap_or_default();
            let name = &key.name;
            if !wanted.is_empty() {
                let is_there = names.any(|name| name == wanted);
                (!is_there).then(|| format!("container {wanted} is not valid for pod {name}"))
            } else if regular.len() > 1 {
                let listed = |of: Vec<&str>| format!("[{}]", of.join(" "));
                let mut why = format!(
                    "a container name must be specified for pod {name}, choose one of: {}",
                    listed(regular.map(|it| &*it.name).collect())
                );
                if initial.len() > 0 {
                    let names = listed(initial.map(|it| &*it.name).collect());
                    why.push_str(&format!(" or one of the init containers: {names}"));
                }
                Some(why)
            } else {
                None
            }
        }
        _ => None,
    };
    wrong.map_or_else(|| Outcome::Ask(Vec::new()), |why| Outcome::Answered(Status::bad_request(why)))
}

/// What is said to options of a log that cannot be.
fn wrong_options(name: &str, path: &Path) -> Option<Status> {
    let number = |field: &str| path.parameter(field).and_then(|text| text.parse::<i64>().ok());
    let mut faults = Vec::new();
    if let Some(lines) = number("tailLines").filter(|lines| *lines < 0) {
        faults.push(format!("tailLines: Invalid value: {lines}: must be greater than or equal to 0"));
    }
    if let Some(bytes) = number("limitBytes").filter(|bytes| *bytes < 1) {
        faults.push(format!("limitBytes: Invalid value: {bytes}: must be greater than 0"));
    }
    match number("sinceSeconds") {
        Some(_) if path.parameter("sinceTime").is_some() => {
            faults.push("[]: Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified".to_owned());
        }
        Some(seconds) if seconds < 1 => {
            faults.push(format!("sinceSeconds: Invalid value: {seconds}: must be greater than 0"));
        }
        _ => {}
    }
    if path.parameter("stream").is_some() {
        faults.push("stream: Forbidden: may not be specified".to_owned());
    }
    let said = together(&faults)?;
    Some(Status::invalid(format!("PodLogOptions {name:?} is invalid: {said}")))
}
