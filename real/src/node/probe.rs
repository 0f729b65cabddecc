//! Probes: trying a container now and then. What the tries add up to is the core's, the same in both worlds.

use std::{io, net::IpAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, MissedTickBehavior, interval_at, timeout},
};
use wavetank_core::{
    kubelet::{ProbeFailure, ProbeKind, ProbeTally},
    model::{Container, IntOrName, Probe, ProbeAction},
    time::Span,
};

use crate::docker::{ContainerId, Engine, EngineError};

/// The longest status line that is read; a longer one is no HTTP.
const STATUS_LINE_BYTES_MAX: usize = 1024;

/// Where a probe goes.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) engine: Engine,
    pub(super) id: ContainerId,
    pub(super) address: IpAddr,
}

/// What a probe tells.
#[derive(Debug)]
pub(super) enum Told {
    /// A try has failed.
    Failed(ProbeFailure),
    /// The result has changed: whether it passes.
    Changed(bool),
}

/// Probes until it is dropped or has decided about its container, for the first time after `delay`. Calls `tell` for
/// each try that fails and then for a result that counts.
///
/// Source: `doProbe`, pkg/kubelet/prober/worker.go (v1.34.1).
pub(super) async fn run(
    target: Target,
    container: Container,
    (kind, probe): (ProbeKind, Probe),
    delay: Span,
    mut tell: impl AsyncFnMut(Told),
) {
    let mut tally = ProbeTally::new();
    let mut ticks = interval_at(Instant::now() + length(delay), length(probe.period));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let outcome = once(&target, &container, &probe).await;
        let passes = outcome.is_ok();
        if let Err(how) = outcome {
            tell(Told::Failed(how)).await;
        }
        if let Some(passing) = tally.observe(&probe, passes) {
            tell(Told::Changed(passing)).await;
            if kind == ProbeKind::Startup || kind == ProbeKind::Liveness && !passing {
                return;
            }
        }
    }
}

/// One try. Whatever goes wrong within it is a failure of the probe: the container did not answer as it should.
async fn once(target: &Target, container: &Container, probe: &Probe) -> Result<(), ProbeFailure> {
    let limit = length(probe.timeout);
    let unnamed = || ProbeFailure::Said("couldn't find the port by its name".into());
    match &probe.action {
        ProbeAction::HttpGet { path, port } => {
            let port = number(container, port).ok_or_else(unnamed)?;
            match timeout(limit, http_get(target.address, port, path)).await {
                Ok(Ok(Some(200..400))) => Ok(()),
                Ok(Ok(Some(status))) => {
                    Err(ProbeFailure::Said(format!("HTTP probe failed with statuscode: {status}").into()))
                }
                Ok(Ok(None)) => Err(ProbeFailure::Said("malformed HTTP response".into())),
                Ok(Err(error)) => Err(failure(&error)),
                Err(_) => Err(ProbeFailure::TimedOut),
            }
        }
        ProbeAction::TcpSocket { port } => {
            let port = number(container, port).ok_or_else(unnamed)?;
            match timeout(limit, TcpStream::connect((target.address, port))).await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) => Err(failure(&error)),
                Err(_) => Err(ProbeFailure::TimedOut),
            }
        }
        ProbeAction::Exec { command } => {
            let command: Vec<String> = command.iter().map(|word| word.to_string()).collect();
            match target.engine.exec(&target.id, &command, limit).await {
                Ok((0, _)) => Ok(()),
                Ok((_, written)) => Err(ProbeFailure::Said(written.into())),
                Err(EngineError::TimedOut { .. }) => Err(ProbeFailure::TimedOut),
                Err(error) => Err(ProbeFailure::Said(error.to_string().into())),
            }
        }
        ProbeAction::Grpc { .. } => unreachable!("the manifest was refused when it was read"),
    }
}

/// What a connection that fails says of the container.
fn failure(error: &io::Error) -> ProbeFailure {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ProbeFailure::Refused,
        _ => ProbeFailure::Said(error.to_string().into()),
    }
}

/// The number of a port; `None` if no port of the container has the name.
pub(super) fn number(container: &Container, port: &IntOrName) -> Option<u16> {
    match port {
        IntOrName::Int(number) => Some(*number),
        IntOrName::Name(name) => container.ports.iter().find(|port| port.name == *name).map(|port| port.port),
    }
}

/// The status that a GET is answered with, of which 200 ..= 399 are good; `None` is no answer of HTTP.
///
/// Source: `DoHTTPProbe`, pkg/probe/http/http.go (v1.34.1). A redirection is not followed: its status counts, as it
/// does there for a redirection to another host.
pub(super) async fn http_get(address: IpAddr, port: u16, path: &str) -> io::Result<Option<u16>> {
    let mut stream = TcpStream::connect((address, port)).await?;
    let slash = if path.starts_with('/') { "" } else { "/" };
    let host = std::net::SocketAddr::from((address, port));
    let request = format!(
        "GET {slash}{path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: kube-probe/1.34\r\nAccept: */*\r\nConnection: \
         close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    let mut piece = [0; 256];
    while !head.contains(&b'\n') && head.len() <= STATUS_LINE_BYTES_MAX {
        match stream.read(&mut piece).await? {
            0 => break,
            count => head.extend_from_slice(&piece[..count]),
        }
    }
    Ok(status(&head))
}

/// The status in the first line of an answer.
fn status(head: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(head.split(|byte| *byte == b'\n').next()?).ok()?;
    let mut words = line.trim_end().splitn(3, ' ');
    words.next().filter(|version| version.starts_with("HTTP/1."))?;
    words.next().filter(|status| status.len() == 3)?.parse().ok()
}

pub(super) fn length(span: Span) -> Duration {
    Duration::from_nanos(span.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_read_from_a_whole_first_line_of_http_only() {
        assert_eq!(status(b"HTTP/1.1 200 OK\r\n"), Some(200));
        assert_eq!(status(b"HTTP/1.0 404\r\n"), Some(404));
        for bad in
            [&b""[..], b"HTTP/1.1", b"SSH-2.0-OpenSSH_9\r\n", b"HTTP/1.1 20 OK\r\n", b"HTTP/1.1 \xff\xff\xff\r\n"]
        {
            assert_eq!(status(bad), None, "{bad:?}");
        }
    }
}
