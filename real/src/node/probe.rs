//! Probes: trying a container now and then, and telling when its state changes.

use std::{net::IpAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, MissedTickBehavior, interval_at, timeout},
};
use wavetank_core::{
    model::{Container, IntOrName, Probe, ProbeAction},
    time::Span,
};

use crate::docker::{ContainerId, Engine};

/// The longest status line that is read; a longer one is no HTTP.
const STATUS_LINE_BYTES_MAX: usize = 1024;

/// Where a probe goes.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) engine: Engine,
    pub(super) id: ContainerId,
    pub(super) address: IpAddr,
}

/// Counts results in a row and says when they change the state.
///
/// Source: `worker.doProbe`, pkg/kubelet/prober/worker.go (v1.34.1).
#[derive(Debug)]
pub(super) struct Thresholds {
    success: u32,
    failure: u32,
    /// The last result and how often in a row it came.
    run: Option<(bool, u32)>,
    told: Option<bool>,
}

impl Thresholds {
    pub(super) fn new(probe: &Probe) -> Thresholds {
        Thresholds { success: probe.success_threshold, failure: probe.failure_threshold, run: None, told: None }
    }

    /// Takes one result in; `Some` if the state is another one than was told before.
    pub(super) fn take(&mut self, passed: bool) -> Option<bool> {
        let count = match self.run {
            Some((last, count)) if last == passed => count.saturating_add(1),
            _ => 1,
        };
        self.run = Some((passed, count));
        let needed = if passed { self.success } else { self.failure };
        if count < needed || self.told == Some(passed) {
            return None;
        }
        self.told = Some(passed);
        Some(passed)
    }
}

/// Probes until it is dropped. Calls `tell` for the first state and for every other one.
pub(super) async fn run(target: Target, container: Container, probe: Probe, mut tell: impl AsyncFnMut(bool)) {
    let mut thresholds = Thresholds::new(&probe);
    let mut ticks = interval_at(Instant::now() + length(probe.initial_delay), length(probe.period));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Some(passing) = thresholds.take(once(&target, &container, &probe).await) {
            tell(passing).await;
        }
    }
}

/// One try. Whatever goes wrong within it is a failure of the probe: the container did not answer as it should.
async fn once(target: &Target, container: &Container, probe: &Probe) -> bool {
    let limit = length(probe.timeout);
    match &probe.action {
        ProbeAction::HttpGet { path, port } => match number(container, port) {
            Some(port) => {
                timeout(limit, http_get(target.address, port, path)).await.unwrap_or(Ok(false)).unwrap_or(false)
            }
            None => false,
        },
        ProbeAction::TcpSocket { port } => match number(container, port) {
            Some(port) => matches!(timeout(limit, TcpStream::connect((target.address, port))).await, Ok(Ok(_))),
            None => false,
        },
        ProbeAction::Exec { command } => {
            let command: Vec<String> = command.iter().map(|word| word.to_string()).collect();
            matches!(target.engine.exec(&target.id, &command, limit).await, Ok(0))
        }
        ProbeAction::Grpc { .. } => unreachable!("the manifest was refused when it was read"),
    }
}

/// The number of a port; `None` if no port of the container has the name.
fn number(container: &Container, port: &IntOrName) -> Option<u16> {
    match port {
        IntOrName::Int(number) => Some(*number),
        IntOrName::Name(name) => container.ports.iter().find(|port| port.name == *name).map(|port| port.port),
    }
}

/// Whether a GET is answered with 200 ..= 399.
///
/// Source: `DoHTTPProbe`, pkg/probe/http/http.go (v1.34.1). A redirection is not followed: its status counts, as it does
/// there for a redirection to another host.
async fn http_get(address: IpAddr, port: u16, path: &str) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect((address, port)).await?;
    let slash = if path.starts_with('/') { "" } else { "/" };
    let host = std::net::SocketAddr::from((address, port));
    let request = format!(
        "GET {slash}{path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: kube-probe/1.34\r\nAccept: */*\r\nConnection: close\r\n\r\n"
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
    Ok(status(&head).is_some_and(|status| (200..400).contains(&status)))
}

/// The status in the first line of an answer.
fn status(head: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(head.split(|byte| *byte == b'\n').next()?).ok()?;
    let mut words = line.trim_end().splitn(3, ' ');
    words.next().filter(|version| version.starts_with("HTTP/1."))?;
    words.next().filter(|status| status.len() == 3)?.parse().ok()
}

fn length(span: Span) -> Duration {
    Duration::from_nanos(span.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thresholds(success: u32, failure: u32) -> Thresholds {
        Thresholds { success, failure, run: None, told: None }
    }

    #[test]
    fn a_state_is_told_once_its_threshold_is_reached_and_then_only_when_it_changes() {
        let mut thresholds = thresholds(1, 3);
        let told: Vec<_> = [true, true, false, false, true, false, false, false, false, true]
            .into_iter()
            .map(|passed| thresholds.take(passed))
            .collect();
        let mut expected = [None; 10];
        (expected[0], expected[7], expected[9]) = (Some(true), Some(false), Some(true));
        assert_eq!(told, expected);
    }

    #[test]
    fn a_probe_that_never_succeeds_is_told_too() {
        let mut thresholds = thresholds(1, 2);
        assert_eq!([false, false, false].map(|passed| thresholds.take(passed)), [None, Some(false), None]);
    }

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
