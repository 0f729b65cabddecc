//! Hooks: a command in the container, a GET, or a pause.
//!
//! Source: `handlerRunner.Run`, pkg/kubelet/lifecycle/handlers.go (v1.34.1).

use std::time::Duration;

use tokio::time::{sleep, timeout};
use wavetank_core::{
    model::{Container, Hook},
    time::Span,
};

use super::probe::{Target, http_get, length, number};

/// The longest that a command without a limit may take: a year.
const EVER: Duration = Duration::from_secs(365 * 24 * 3_600);

/// Runs a hook to its end, or for as long as it may take; says what went wrong.
pub(super) async fn run(
    target: &Target,
    container: &Container,
    hook: &Hook,
    limit: Option<Span>,
) -> Result<(), String> {
    let limit = limit.map_or(EVER, length);
    match timeout(limit, to_its_end(target, container, hook, limit)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(format!("the hook took longer than {} s", limit.as_secs())),
    }
}

async fn to_its_end(target: &Target, container: &Container, hook: &Hook, limit: Duration) -> Result<(), String> {
    match hook {
        Hook::Sleep { length: pause } => {
            sleep(length(*pause)).await;
            Ok(())
        }
        Hook::Exec { command } => {
            let command: Vec<String> = command.iter().map(|word| word.to_string()).collect();
            match target.engine.exec(&target.id, &command, limit).await {
                Ok((0, _)) => Ok(()),
                Ok((code, _)) => Err(format!("the command ended with exit code {code}")),
                Err(error) => Err(error.to_string()),
            }
        }
        Hook::HttpGet { path, port } => {
            let Some(port) = number(container, port) else {
                return Err(format!("no port of container {} is named {port:?}", container.name));
            };
            match http_get(target.address, port, path).await {
                Ok(Some(200..400)) => Ok(()),
                Ok(_) => Err(format!("GET {path} was not answered with a status of 200 to 399")),
                Err(error) => Err(format!("GET {path}: {error}")),
            }
        }
    }
}
