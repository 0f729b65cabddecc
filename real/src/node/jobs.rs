//! The engine's calls that a kubelet's requests come down to.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::sleep;
use wavetank_core::{
    id::Name,
    kubelet::{ContainerConfig, ContainerIndex, MountedFile},
    model::{Container as ContainerModel, Pod, PodSpec, PullPolicy},
};

use super::{
    expansion::expand,
    pods::{PodRecord, spec_of},
};
use crate::docker::{
    Attempt, Bytes, ClusterName, Container, ContainerId, ContainerName, ContainerSpec, DnsConfig, Engine, EngineError,
    EngineTime, FileSpec, Identity, ImageName, MilliCpu, NameError, Phase, PodIdentity, Resources, Role, Sandbox,
    SandboxNetwork, SandboxSpec, host_name_of_pod,
};

/// Pause before a call that found no engine is repeated.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// A program that is process 1 and has not installed its handlers does not receive SIGTERM, and would then be killed
/// without a chance to finish. A container that has just started is therefore given this long before it is told to end.
const HANDLERS_WITHIN: Duration = Duration::from_millis(500);

/// The calls, and what they need.
#[derive(Debug)]
pub(super) struct Jobs {
    pub(super) engine: Engine,
    pub(super) cluster: ClusterName,
    pub(super) address: IpAddr,
    pub(super) memory_bytes: i64,
}

/// Why something could not be done, in the kubelet's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) reason: Name,
    pub(super) message: Name,
}

impl Failure {
    fn new(reason: &str, message: impl ToString) -> Failure {
        Failure { reason: reason.into(), message: message.to_string().into() }
    }

    pub(super) fn create(message: impl ToString) -> Failure {
        Failure::new("CreateContainerError", message)
    }
}

impl Jobs {
    pub(super) fn record(&self, pod: Arc<Pod>) -> Result<PodRecord, NameError> {
        let meta = &pod.meta;
        let identity = PodIdentity::new(self.cluster.clone(), &meta.namespace, &meta.name, &meta.uid.to_string())?;
        Ok(PodRecord::new(pod, identity, self.address))
    }

    pub(super) fn sandbox_spec(&self, record: &PodRecord) -> SandboxSpec {
        let host = record.pod.spec.host_network;
        SandboxSpec {
            pod: record.identity.clone(),
            attempt: Attempt(record.sandbox_attempt),
            host_name: host_name_of_pod(&record.identity),
            dns: DnsConfig::default(),
            network: if host { SandboxNetwork::Host } else { SandboxNetwork::Bridge },
        }
    }

    pub(super) fn container_spec(
        &self,
        record: &PodRecord,
        index: ContainerIndex,
        attempt: u32,
        config: Option<&ContainerConfig>,
    ) -> Result<ContainerSpec, Failure> {
        let container = spec_of(&record.pod, index).ok_or_else(|| Failure::create("no such container"))?;
        let sandbox = record.sandbox.as_ref().ok_or_else(|| Failure::create("the pod's sandbox does not run"))?;
        let mut spec = ContainerSpec {
            pod: record.identity.clone(),
            name: ContainerName::new(&*container.name).map_err(Failure::create)?,
            attempt: Attempt(attempt),
            sandbox: sandbox.id.clone(),
            image: container.image.parse().map_err(|error| Failure::new("InvalidImageName", error))?,
            command: Vec::new(),
            args: Vec::new(),
            env: Vec::new(),
            files: config.map(|config| files(config, |_| true)).unwrap_or_default(),
            working_dir: container.working_dir.as_ref().map(|text| text.to_string()),
            resources: resources(&record.pod.spec, container, self.memory_bytes),
        };
        expand(container, config, &mut spec);
        Ok(spec)
    }

    /// Removes what an earlier sandbox left, then makes the new one.
    pub(super) async fn sandbox(&self, spec: SandboxSpec, leftovers: Vec<ContainerId>) -> Result<Sandbox, String> {
        self.remove_all(leftovers).await;
        match self.engine.run_sandbox(&spec).await {
            // An earlier call took effect although its answer was lost: that sandbox is unknown to everybody.
            Err(EngineError::Conflict { .. }) => {
                let identity = Identity { pod: spec.pod.clone(), role: Role::Sandbox, attempt: spec.attempt };
                self.remove_namesake(&identity).await.map_err(|error| error.to_string())?;
                self.engine.run_sandbox(&spec).await.map_err(|error| error.to_string())
            }
            outcome => outcome.map_err(|error| error.to_string()),
        }
    }

    /// Sees to it that an image is there; tells whether it was there before.
    pub(super) async fn pull(&self, image: &str, policy: PullPolicy) -> Result<bool, Failure> {
        let image: ImageName = image.parse().map_err(|error| Failure::new("InvalidImageName", error))?;
        let failed = |error: EngineError| Failure::new("ErrImagePull", error);
        let present = policy != PullPolicy::Always && self.engine.has_image(&image).await.map_err(failed)?;
        match policy {
            _ if present => Ok(true),
            PullPolicy::Never => {
                let message = format!("image {} is not on this machine and is never pulled", image.familiar());
                Err(Failure::new("ErrImageNeverPull", message))
            }
            PullPolicy::Always | PullPolicy::IfNotPresent => {
                self.engine.pull_image(&image).await.map(|()| false).map_err(failed)
            }
        }
    }

    pub(super) async fn start(&self, spec: &ContainerSpec) -> Result<ContainerId, Failure> {
        let id = match self.engine.create_container(spec).await {
            Err(EngineError::Conflict { .. }) => {
                let role = Role::Container(spec.name.clone());
                let identity = Identity { pod: spec.pod.clone(), role, attempt: spec.attempt };
                self.remove_namesake(&identity).await.map_err(Failure::create)?;
                self.engine.create_container(spec).await.map_err(Failure::create)?
            }
            outcome => outcome.map_err(Failure::create)?,
        };
        if let Err(error) = self.engine.put_files(&id, &spec.files).await {
            self.remove_all(vec![id]).await;
            return Err(Failure::create(error));
        }
        match self.engine.start(&id).await {
            Ok(()) => Ok(id),
            Err(error) => {
                // A container that failed to start has no log: it is of no use, and its name is wanted again.
                self.remove_all(vec![id]).await;
                Err(Failure::new("RunContainerError", error))
            }
        }
    }

    /// Stops a container, however long the engine is away; gives it as it was left, `None` if it is gone.
    pub(super) async fn stop(&self, id: &ContainerId, grace: Duration) -> Option<Container> {
        loop {
            let outcome = match self.engine.inspect(id).await {
                Ok(container) => match container.phase {
                    Phase::Running { started } => {
                        sleep(young_for(started, SystemTime::now()).min(grace)).await;
                        self.engine.stop(id, grace).await
                    }
                    Phase::Created | Phase::Exited { .. } => return Some(container),
                },
                Err(error) => Err(error),
            };
            match outcome {
                Ok(()) => {}
                Err(EngineError::NotFound { .. }) => return None,
                Err(_) => sleep(RETRY_PAUSE).await,
            }
        }
    }

    /// Removes containers and sandboxes, however long the engine is away.
    pub(super) async fn remove_all(&self, ids: Vec<ContainerId>) {
        for id in ids {
            while self.engine.remove(&id).await.is_err() {
                sleep(RETRY_PAUSE).await;
            }
        }
    }

    async fn remove_namesake(&self, identity: &Identity) -> Result<(), EngineError> {
        for container in self.engine.list(&self.cluster).await?.containers {
            if container.identity == *identity {
                self.engine.remove(&container.id).await?;
            }
        }
        Ok(())
    }
}

/// Those files of a container that fit.
pub(super) fn files(config: &ContainerConfig, fits: impl Fn(&MountedFile) -> bool) -> Vec<FileSpec> {
    let file = |file: &MountedFile| FileSpec {
        path: file.path.to_string(),
        mode: u32::from(file.mode),
        data: file.data.clone(),
    };
    config.files.iter().filter(|it| fits(it)).map(file).collect()
}

/// How much longer a container that started then counts as just started. Both clocks are this machine's.
fn young_for(started: EngineTime, now: SystemTime) -> Duration {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let age = now.saturating_sub(Duration::from_nanos(started.0));
    HANDLERS_WITHIN.saturating_sub(age)
}

/// What the engine is told about a container's resources.
fn resources(pod: &PodSpec, container: &ContainerModel, memory_bytes: i64) -> Resources {
    let amount = |amount: i64| u64::try_from(amount).unwrap_or(0);
    let limit = |limit: i64| u64::try_from(limit).ok().filter(|limit| *limit > 0);
    Resources {
        cpu_request: MilliCpu(amount(container.requests.cpu_milli)),
        cpu_limit: limit(container.limits.cpu_milli).map(MilliCpu),
        memory_limit: limit(container.limits.memory_bytes).map(Bytes),
        oom_score_adjust: oom_score(pod, container, memory_bytes),
    }
}

/// Who dies first when memory runs out, by quality of service.
///
/// Source: `GetContainerOOMScoreAdjust`, pkg/kubelet/qos/policy.go (v1.34.1).
fn oom_score(pod: &PodSpec, container: &ContainerModel, memory_bytes: i64) -> i16 {
    i16::try_from(pod.oom_score_adjust(container, memory_bytes.max(1))).expect("between -997 and 1000")
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_core::model::Resources as Amounts;

    fn pod(requests: (i64, i64), limits: (i64, i64)) -> PodSpec {
        let list = |(cpu_milli, memory_bytes)| Amounts { cpu_milli, memory_bytes, ..Amounts::default() };
        let container = ContainerModel { requests: list(requests), limits: list(limits), ..ContainerModel::default() };
        PodSpec { containers: vec![container], ..PodSpec::default() }
    }

    #[test]
    fn who_dies_first_follows_the_quality_of_service() {
        let score = |pod: PodSpec| oom_score(&pod, &pod.containers[0], 4_000);
        assert_eq!(score(pod((100, 1_000), (100, 1_000))), -997, "guaranteed");
        assert_eq!(score(pod((0, 0), (0, 0))), 1000, "best effort");
        assert_eq!(score(pod((100, 1_000), (0, 0))), 750, "burstable: a quarter of the memory");
        assert_eq!(score(pod((100, 4_000), (0, 0))), 3, "burstable, but never as safe as guaranteed");
    }

    #[test]
    fn only_a_container_that_has_just_started_is_given_time_for_its_handlers() {
        let started = EngineTime(1_000_000_000_000);
        let at = |millis| SystemTime::UNIX_EPOCH + Duration::from_secs(1_000) + Duration::from_millis(millis);
        assert_eq!(young_for(started, at(0)), HANDLERS_WITHIN);
        assert_eq!(young_for(started, at(200)), Duration::from_millis(300));
        assert_eq!(young_for(started, at(500)), Duration::ZERO);
        assert_eq!(young_for(started, at(9_000)), Duration::ZERO);
        // A clock that was set back makes nobody wait longer than that.
        assert_eq!(young_for(started, SystemTime::UNIX_EPOCH), HANDLERS_WITHIN);
    }

    #[test]
    fn a_limit_of_zero_is_no_limit() {
        let spec = pod((250, 0), (0, 64 << 20));
        let found = resources(&spec, &spec.containers[0], 1 << 30);
        assert_eq!((found.cpu_request, found.cpu_limit), (MilliCpu(250), None));
        assert_eq!(found.memory_limit, Some(Bytes(64 << 20)));
    }
}
