//! The examination of this machine: can it be a node, and if not, what has to be done.
//!
//! Invariant: nothing stays behind; the pod that is tried out is removed, whether it started or not.

use std::{
    fmt,
    net::IpAddr,
    time::{Duration, Instant},
};

use crate::docker::{
    Attempt, ClusterName, ContainerName, ContainerSpec, DnsConfig, Engine, EngineError, MachineInfo, NameError,
    PodIdentity, Resources, SandboxNetwork, SandboxSpec, pause_image_name,
};

/// The oldest engine API that is known to work, that of Docker 20.10.
const API_MINOR_MIN: u32 = 41;

/// How one examination ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// As it should be; what was found.
    Good(String),
    /// It works, with a drawback.
    Weak {
        /// What was found.
        found: String,
        /// What would improve it.
        advice: String,
    },
    /// This machine cannot be a node.
    Bad {
        /// What was found.
        found: String,
        /// What has to be done.
        advice: String,
    },
}

/// What was examined, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was examined.
    pub subject: &'static str,
    /// How it ended.
    pub finding: Finding,
}

/// Examines the machine. Stops at the first thing without which the rest cannot be examined.
pub async fn examine() -> Vec<Check> {
    let engine = match Engine::connect().await {
        Ok(engine) => engine,
        // The error says what to do itself.
        Err(error) => return vec![bad("engine", &error, "do what this says, then run `real doctor` again")],
    };
    let info = match engine.info().await {
        Ok(info) => info,
        Err(error) => return vec![bad("engine", &error, "see the engine's own log (`journalctl -u docker`)")],
    };
    let mut checks = examine_machine(&info);
    checks.push(pause_image(&engine).await);
    checks.push(pod(&engine).await);
    checks
}

/// Whether no check found something that keeps this machine from being a node.
pub fn is_fit(checks: &[Check]) -> bool {
    !checks.iter().any(|check| matches!(check.finding, Finding::Bad { .. }))
}

/// What the engine's answer alone tells.
fn examine_machine(info: &MachineInfo) -> Vec<Check> {
    let found = format!("Docker {} on {}, API {}", info.engine_version, info.operating_system, info.api_version);
    let minor = info.api_version.strip_prefix("1.").and_then(|minor| minor.parse::<u32>().ok());
    let engine = if minor.is_some_and(|minor| minor >= API_MINOR_MIN) {
        Finding::Good(found)
    } else {
        Finding::Bad { found, advice: format!("install Docker 20.10 or later (API 1.{API_MINOR_MIN})") }
    };
    let found = format!("version {} by {}", info.cgroup_version, info.cgroup_driver);
    let cgroup = if matches!(info.cgroup_version.as_str(), "1" | "2") {
        Finding::Good(found)
    } else {
        Finding::Weak { found, advice: "requests and limits may not hold: use a kernel with cgroups".to_owned() }
    };
    let capacity = format!("{} processors, {} MiB", info.cpu.0 / 1000, info.memory.0 >> 20);
    let mut checks = vec![
        Check { subject: "engine", finding: engine },
        Check { subject: "machine", finding: Finding::Good(format!("{}: {capacity}", info.host_name)) },
        Check { subject: "kernel", finding: Finding::Good(info.kernel_version.clone()) },
        Check { subject: "cgroups", finding: cgroup },
        Check { subject: "storage", finding: Finding::Good(info.storage_driver.clone()) },
    ];
    checks.extend(info.warnings.iter().map(|warning| Check {
        subject: "engine's warning",
        finding: Finding::Weak { found: warning.clone(), advice: "see the engine's documentation".to_owned() },
    }));
    checks
}

async fn pause_image(engine: &Engine) -> Check {
    let finding = match engine.ensure_pause_image().await {
        Ok(false) => Finding::Good(format!("{} is there", pause_image_name().familiar())),
        Ok(true) => Finding::Good(format!("{} was made", pause_image_name().familiar())),
        Err(error) => return bad("pause image", &error, "free disk space, then run `real images build`"),
    };
    Check { subject: "pause image", finding }
}

/// Starts a pod and takes it away: the one examination that goes through the runtime and the network.
async fn pod(engine: &Engine) -> Check {
    let subject = "pod";
    let pod = match pod_identity() {
        Ok(pod) => pod,
        Err(error) => return bad(subject, &error, "report this as a mistake in Wavetank"),
    };
    let cluster = pod.cluster.clone();
    let began = Instant::now();
    let outcome = run_pod(engine, pod).await;
    let took = began.elapsed().as_millis();
    let removed = engine.remove_cluster(&cluster, Duration::ZERO).await;
    let finding = match (outcome, removed) {
        (Err(error), _) => {
            return bad(subject, &error, "the reason is the engine's own; does any container start there?");
        }
        (_, Err(error)) => return bad(subject, &error, "remove the container by hand: `docker ps -a`"),
        (Ok(Some(address)), Ok(())) => {
            Finding::Good(format!("sandbox and one container started in {took} ms, address {address}"))
        }
        (Ok(None), Ok(())) => Finding::Bad {
            found: "started without an address".to_owned(),
            advice: "give the engine its default bridge back (\"bridge\" in /etc/docker/daemon.json)".to_owned(),
        },
    };
    Check { subject, finding }
}

fn pod_identity() -> Result<PodIdentity, NameError> {
    let cluster = ClusterName::new(format!("doctor-{}", std::process::id()))?;
    let uid = cluster.to_string();
    PodIdentity::new(cluster, "default", "doctor", &uid)
}

/// A sandbox, and beside it the pause program once more as the pod's own container: no other image is needed.
async fn run_pod(engine: &Engine, pod: PodIdentity) -> Result<Option<IpAddr>, EngineError> {
    let spec = SandboxSpec {
        pod: pod.clone(),
        attempt: Attempt(0),
        host_name: "doctor".to_owned(),
        dns: DnsConfig::default(),
        network: SandboxNetwork::Bridge,
    };
    let sandbox = engine.run_sandbox(&spec).await?;
    let spec = ContainerSpec {
        pod,
        name: ContainerName::new("app").expect("a sound name"),
        attempt: Attempt(0),
        sandbox: sandbox.id,
        image: pause_image_name(),
        command: Vec::new(),
        args: Vec::new(),
        env: Vec::new(),
        files: Vec::new(),
        working_dir: None,
        resources: Resources::default(),
    };
    let id = engine.create_container(&spec).await?;
    engine.start(&id).await?;
    Ok(sandbox.address)
}

fn bad(subject: &'static str, error: &dyn std::error::Error, advice: &str) -> Check {
    Check { subject, finding: Finding::Bad { found: error.to_string(), advice: advice.to_owned() } }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = self.subject;
        match &self.finding {
            Finding::Good(found) => write!(f, "good  {subject}: {found}"),
            Finding::Weak { found, advice } => write!(f, "weak  {subject}: {found}\n      -> {advice}"),
            Finding::Bad { found, advice } => write!(f, "BAD   {subject}: {found}\n      -> {advice}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::{Bytes, MilliCpu};

    fn machine(api_version: &str, cgroup_version: &str) -> MachineInfo {
        MachineInfo {
            host_name: "lab".to_owned(),
            cpu: MilliCpu(2000),
            memory: Bytes(4 << 30),
            engine_version: "20.10.24".to_owned(),
            api_version: api_version.to_owned(),
            cgroup_version: cgroup_version.to_owned(),
            cgroup_driver: "cgroupfs".to_owned(),
            kernel_version: "6.1.0".to_owned(),
            operating_system: "Debian".to_owned(),
            storage_driver: "overlay2".to_owned(),
            warnings: vec!["No swap limit support".to_owned()],
        }
    }

    #[test]
    fn an_engine_that_is_too_old_is_told_with_the_one_to_install() {
        let checks = examine_machine(&machine("1.40", "1"));
        assert!(!is_fit(&checks));
        assert!(checks[0].to_string().contains("install Docker 20.10"), "{}", checks[0]);
        assert!(is_fit(&examine_machine(&machine("1.53", "2"))));
    }

    #[test]
    fn a_drawback_is_told_and_does_not_keep_the_machine_from_being_a_node() {
        let checks = examine_machine(&machine("1.41", "unknown"));
        assert!(is_fit(&checks));
        let weak = checks.iter().filter(|check| matches!(check.finding, Finding::Weak { .. }));
        assert_eq!(weak.map(|check| check.subject).collect::<Vec<_>>(), ["cgroups", "engine's warning"]);
    }
}
