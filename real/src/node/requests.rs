//! What the kubelet asks for.

use std::{sync::Arc, time::Duration};

use wavetank_core::{
    id::Uid,
    kubelet::{
        ContainerConfig, ContainerIndex, HookKind, ProbeKind, RunningContainer, RunningPod, RuntimeEvent,
        RuntimeRequest, first_try,
    },
    model::{Hook, Pod, Probe},
    time::{Span, Time},
};

use super::{
    CODE_UNKNOWN, News, Node, exit_of, hook,
    jobs::{self, Failure},
    pods::{self, ContainerRecord, PodRecord},
    probe,
};

impl Node {
    pub(super) async fn on_request(&mut self, request: RuntimeRequest) {
        match request {
            RuntimeRequest::CreateSandbox { pod } => self.create_sandbox(pod).await,
            RuntimeRequest::PullImage { pod, container, image, policy, .. } => {
                let jobs = self.jobs.clone();
                self.spawn(async move { News::Image { pod, container, outcome: jobs.pull(&image, policy).await } });
            }
            RuntimeRequest::StartContainer { pod, container, attempt, config } => {
                self.start(pod, container, attempt, config).await;
            }
            RuntimeRequest::UpdateFiles { pod, container, attempt, config } => {
                self.update_files((pod, container, attempt), &config);
            }
            RuntimeRequest::StopContainer { pod, container, attempt, grace } => {
                self.stop(pod, container, attempt, grace).await;
            }
            RuntimeRequest::Probe { pod, container, attempt, kind, probe, ticks_from } => {
                self.probe((pod, container, attempt), kind, probe.map(|probe| *probe), ticks_from).await;
            }
            RuntimeRequest::RunHook { pod, container, attempt, kind, hook, limit } => {
                self.run_hook((pod, container, attempt), kind, *hook, limit).await;
            }
            // What the machine has left is not looked at here: it belongs to more than this cluster.
            RuntimeRequest::WatchUsage(_) | RuntimeRequest::RemoveImages(_) | RuntimeRequest::PowerOff => {}
            RuntimeRequest::Usage => self.tell(RuntimeEvent::Usage(Arc::default())).await,
            RuntimeRequest::RemovePod { pod } => self.remove(pod).await,
            RuntimeRequest::List => self.tell(RuntimeEvent::Pods(self.list())).await,
        }
    }

    /// Makes the pod's sandbox. Asked again while one is being made or runs, it makes no second one.
    async fn create_sandbox(&mut self, pod: Arc<Pod>) {
        let uid = pod.meta.uid;
        let record = match self.pods.get_mut(&uid) {
            Some(record) => record,
            None => match self.jobs.record(pod) {
                Ok(record) => self.pods.entry(uid).or_insert(record),
                Err(error) => {
                    let message = error.to_string().into();
                    return self.tell(RuntimeEvent::SandboxFailed { pod: uid, message }).await;
                }
            },
        };
        if let Some(address) = record.sandbox.as_ref().map(|_| record.address()) {
            return self.tell(RuntimeEvent::SandboxReady { pod: uid, address }).await;
        }
        if record.making || record.removing {
            return;
        }
        record.making = true;
        let (jobs, spec, leftovers) = (self.jobs.clone(), self.jobs.sandbox_spec(record), record.everything());
        self.spawn(async move { News::Sandbox { pod: uid, outcome: jobs.sandbox(spec, leftovers).await } });
    }

    /// Writes files into a running container again. Its next start gets them anyway, so a failure is not told.
    fn update_files(&mut self, (pod, container, attempt): (Uid, ContainerIndex, u32), config: &ContainerConfig) {
        let record = self.pods.get(&pod).and_then(|pod| pod.container(container, attempt));
        let Some(id) = record.filter(|record| record.is_running()).and_then(|record| record.id.clone()) else { return };
        let (jobs, files) = (self.jobs.clone(), jobs::files(config, |file| file.updated));
        self.running.spawn(async move {
            let _ = jobs.engine.put_files(&id, &files).await;
        });
    }

    async fn start(
        &mut self,
        pod: Arc<Pod>,
        container: ContainerIndex,
        attempt: u32,
        config: Option<Arc<ContainerConfig>>,
    ) {
        let uid = pod.meta.uid;
        let prepared = match self.pods.get_mut(&uid) {
            Some(record) => self.jobs.container_spec(record, container, attempt, config.as_deref()).inspect(|_| {
                record.containers.entry(container).or_default().insert(attempt, ContainerRecord::default());
            }),
            None => Err(Failure::create("the pod has no sandbox")),
        };
        match prepared {
            Ok(spec) => {
                let jobs = self.jobs.clone();
                self.spawn(
                    async move { News::Started { pod: uid, container, attempt, outcome: jobs.start(&spec).await } },
                );
            }
            Err(Failure { reason, message }) => {
                self.tell(RuntimeEvent::ContainerFailed { pod: uid, container, attempt, reason, message }).await;
            }
        }
    }

    /// Stops a container. One that is not there, or whose end was told already, is told (again) to have ended.
    pub(super) async fn stop(&mut self, pod: Uid, container: ContainerIndex, attempt: u32, grace: Span) {
        let record = self.pods.get(&pod).and_then(|pod| pod.container(container, attempt));
        match record {
            Some(ContainerRecord { id: Some(id), exited: None, started_at: Some(_), .. }) => {
                let (id, jobs) = (id.clone(), self.jobs.clone());
                let grace = Duration::from_nanos(grace.0);
                self.spawn(async move {
                    let end = jobs.stop(&id, grace).await.and_then(|container| exit_of(&container.phase));
                    News::Stopped { pod, container, attempt, end }
                });
            }
            // It is being created: what to stop is known when that is done.
            Some(ContainerRecord { id: None, exited: None, .. }) => {
                if let Some(record) = self.pods.get_mut(&pod).and_then(|pod| pod.container_mut(container, attempt)) {
                    record.stop_wanted = Some(grace);
                }
            }
            record => {
                let code = record.and_then(|record| record.exited).map_or(CODE_UNKNOWN, |(code, _)| code);
                let out_of_memory = false;
                self.tell(RuntimeEvent::ContainerExited { pod, container, attempt, exit_code: code, out_of_memory })
                    .await;
            }
        }
    }

    async fn probe(
        &mut self,
        (pod, container, attempt): (Uid, ContainerIndex, u32),
        kind: ProbeKind,
        probe: Option<Probe>,
        ticks_from: Time,
    ) {
        let now = self.clock.now();
        let Some(record) = self.pods.get_mut(&pod) else { return };
        let Some(probe) = probe else {
            // A container without a readiness probe is ready once it runs.
            if record.container(container, attempt).is_some_and(ContainerRecord::is_running) {
                self.tell(RuntimeEvent::ProbeChanged { pod, container, attempt, kind, passing: true }).await;
            }
            return;
        };
        let Some(spec) = pods::spec_of(&record.pod, container).cloned() else { return };
        let address = record.sandbox.as_ref().and_then(|sandbox| sandbox.address).unwrap_or(self.jobs.address);
        let Some(record) = record.container_mut(container, attempt).filter(|record| record.is_running()) else {
            return;
        };
        let Some(id) = record.id.clone() else { return };
        let delay = first_try(&probe, record.started_at.unwrap_or(now), now, ticks_from).since(now);
        let target = probe::Target { engine: self.jobs.engine.clone(), id, address };
        let news = self.news.clone();
        record.probes.spawn(probe::run(target, spec, (kind, probe), delay, async move |told| {
            // Refused only while the node ends.
            let _ = news.send(News::Probe { pod, container, attempt, kind, told }).await;
        }));
    }

    /// Runs a hook. One of a container that does not run has failed.
    async fn run_hook(
        &mut self,
        (pod, container, attempt): (Uid, ContainerIndex, u32),
        kind: HookKind,
        hook: Hook,
        limit: Option<Span>,
    ) {
        let record = self.pods.get(&pod);
        let found = record.and_then(|pod| Some((pod, pods::spec_of(&pod.pod, container)?.clone())));
        let id = |pod: &PodRecord| pod.container(container, attempt).filter(|it| it.is_running())?.id.clone();
        let target = found.and_then(|(record, spec)| {
            let address = record.sandbox.as_ref().and_then(|sandbox| sandbox.address).unwrap_or(self.jobs.address);
            Some((probe::Target { engine: self.jobs.engine.clone(), id: id(record)?, address }, spec))
        });
        let Some((target, spec)) = target else {
            let error = "the container does not run".into();
            return self.tell(RuntimeEvent::HookEnded { pod, container, attempt, kind, error }).await;
        };
        self.spawn(async move {
            let error = hook::run(&target, &spec, &hook, limit).await.err().unwrap_or_default();
            News::Hook { pod, container, attempt, kind, error }
        });
    }

    /// Removes everything of a pod, once no job of it is under way that could still create something.
    async fn remove(&mut self, pod: Uid) {
        match self.pods.get_mut(&pod) {
            None => self.tell(RuntimeEvent::PodRemoved { pod }).await,
            Some(record) if record.removing => {}
            Some(record) => {
                record.removing = true;
                self.remove_when_idle(pod);
            }
        }
    }

    pub(super) fn remove_when_idle(&mut self, pod: Uid) {
        let Some(record) = self.pods.get_mut(&pod) else { return };
        if !record.removing || record.removal_began || record.is_creating() {
            return;
        }
        record.removal_began = true;
        let (jobs, everything) = (self.jobs.clone(), record.everything());
        self.spawn(async move {
            jobs.remove_all(everything).await;
            News::Removed { pod }
        });
    }

    fn list(&self) -> Vec<RunningPod> {
        let container = |index: ContainerIndex, attempt: u32, record: &ContainerRecord| {
            let started_at = record.started_at?;
            Some(RunningContainer { container: index, attempt, started_at, exited: record.exited })
        };
        let pods = self.pods.values().filter(|record| record.sandbox.is_some() && !record.removing);
        pods.map(|record| RunningPod {
            pod: record.pod.clone(),
            address: record.address(),
            containers: record.all().filter_map(|(index, attempt, record)| container(index, attempt, record)).collect(),
        })
        .collect()
    }
}
