//! What can go wrong between Wavetank and the engine: facts that a caller can act upon.

use std::{path::PathBuf, time::Duration};

use super::{ContainerId, EngineTimeError, ImageName};

/// A failed call to the Docker engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// There is no socket where the engine should listen.
    #[error(
        "no Docker engine: {path} does not exist; install Docker and start it (`sudo systemctl start docker`), or set \
         DOCKER_HOST=unix:///path/to/docker.sock"
    )]
    SocketMissing {
        /// The Unix socket that was looked for.
        path: PathBuf,
    },
    /// The socket is there, this user may not use it.
    #[error(
        "permission denied on {path}; add yourself to its group (`sudo usermod -aG docker $USER`, then log in again) \
         or run as root"
    )]
    PermissionDenied {
        /// The engine's Unix socket.
        path: PathBuf,
    },
    /// `DOCKER_HOST` names something other than a Unix socket: the node is this machine, so its engine is local.
    #[error(
        "DOCKER_HOST is {host:?}, expected unix:///path/to/docker.sock: only this machine's engine can be its node"
    )]
    NotLocal {
        /// The value found.
        host: String,
    },
    /// The engine does not answer: it was stopped, is restarting, or broke the connection in the middle of a call.
    #[error("the Docker engine went away during {call}: {reason}")]
    Gone {
        /// The call that was under way.
        call: &'static str,
        /// The transport's own words.
        reason: String,
    },
    /// The engine took too long. Whether the call took effect is unknown: look before repeating it.
    #[error("the Docker engine did not finish {call} of {subject} within {limit:?}")]
    TimedOut {
        /// The call that was under way.
        call: &'static str,
        /// What it was about.
        subject: String,
        /// How long it was waited for.
        limit: Duration,
    },
    /// The container, network or image that the call is about does not exist.
    #[error("{call}: {subject} does not exist: {message}")]
    NotFound {
        /// The refused call.
        call: &'static str,
        /// What it was about.
        subject: String,
        /// The engine's own words.
        message: String,
    },
    /// The state of the subject forbids the call, for instance a name that is taken.
    #[error("{call}: conflict on {subject}: {message}")]
    Conflict {
        /// The refused call.
        call: &'static str,
        /// What it was about.
        subject: String,
        /// The engine's own words.
        message: String,
    },
    /// A container was asked for whose image this machine does not have.
    #[error("image {image} is not on this machine (`real images list` shows what is)")]
    ImageMissing {
        /// The image, as asked for.
        image: ImageName,
    },
    /// The container exists but its program could not be started: no such program, not executable, bad directory.
    #[error("container {container} cannot run: {message}")]
    CannotRun {
        /// The container, which stays behind for inspection.
        container: ContainerId,
        /// The engine's own words.
        message: String,
    },
    /// Any other refusal.
    #[error("{call} of {subject} was refused with status {status}: {message}")]
    Refused {
        /// The refused call.
        call: &'static str,
        /// What it was about.
        subject: String,
        /// The HTTP status.
        status: u16,
        /// The engine's own words.
        message: String,
    },
    /// The engine's answer lacks something or cannot be read.
    #[error("the Docker engine's answer to {call} of {subject} is not understood: {message}")]
    Unreadable {
        /// The answered call.
        call: &'static str,
        /// What it was about.
        subject: String,
        /// What is wrong with the answer.
        message: String,
    },
    /// A point in time in the engine's answer cannot be read.
    #[error("the Docker engine's answer about {subject} has a bad time: {error}")]
    BadTime {
        /// What the answer was about.
        subject: String,
        /// What is wrong with the time.
        #[source]
        error: EngineTimeError,
    },
}

impl EngineError {
    /// Sorts what the client library reports into facts. `call` and `subject` say what was being done to what.
    pub(super) fn from_client(call: &'static str, subject: &str, error: bollard::errors::Error) -> Self {
        use bollard::errors::Error as Client;
        let subject = subject.to_owned();
        match error {
            Client::DockerResponseServerError { status_code: 404, message } => {
                Self::NotFound { call, subject, message }
            }
            Client::DockerResponseServerError { status_code: 409, message } => {
                Self::Conflict { call, subject, message }
            }
            Client::DockerResponseServerError { status_code, message } => {
                Self::Refused { call, subject, status: status_code, message }
            }
            Client::DockerStreamError { error } => Self::Refused { call, subject, status: 200, message: error },
            error @ (Client::HyperLegacyError { .. }
            | Client::HyperResponseError { .. }
            | Client::IOError { .. }
            | Client::SocketNotFoundError(_)
            | Client::RequestTimeoutError) => Self::Gone { call, reason: with_causes(&error) },
            error => Self::Unreadable { call, subject, message: with_causes(&error) },
        }
    }
}

/// The error and all its causes on one line: the transport hides "connection refused" two levels down.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = inner.source();
    }
    text
}
