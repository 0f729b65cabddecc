//! What jobs and the engine's watch report of sandboxes and containers.

use wavetank_core::{
    id::Uid,
    kubelet::{ContainerIndex, FailedTries, ImageSize, RuntimeEvent},
};

use super::{
    CODE_UNKNOWN, News, Node, exit_of,
    jobs::Failure,
    pods::{ContainerRecord, uid_of},
    probe::Told,
};
use crate::docker::{Change, Container, ContainerId, Identity, Role, Sandbox};

impl Node {
    pub(super) async fn on_news(&mut self, news: News) {
        match news {
            News::Sandbox { pod, outcome } => self.sandbox_made(pod, outcome).await,
            News::Image { pod, container, outcome } => {
                let event = match outcome {
                    Ok(already_present) => {
                        let size = ImageSize::default();
                        RuntimeEvent::ImageReady { pod, container, already_present, size }
                    }
                    Err(Failure { reason, message }) => RuntimeEvent::ImageFailed { pod, container, reason, message },
                };
                self.tell(event).await;
            }
            News::Started { pod, container, attempt, outcome } => {
                self.container_started(pod, container, attempt, outcome).await;
            }
            News::Stopped { pod, container, attempt, end } => {
                let (code, out_of_memory) = end.unwrap_or((CODE_UNKNOWN, false));
                self.container_exited(pod, container, attempt, code, out_of_memory).await;
            }
            News::Removed { pod } => {
                self.pods.remove(&pod);
                self.tell(RuntimeEvent::PodRemoved { pod }).await;
            }
            News::Hook { pod, container, attempt, kind, error } => {
                let error = error.into();
                self.tell(RuntimeEvent::HookEnded { pod, container, attempt, kind, error }).await;
            }
            News::Probe { pod, container, attempt, kind, told } => {
                // It may have ended while the probe was under way.
                let record = self.pods.get(&pod).and_then(|pod| pod.container(container, attempt));
                if !record.is_some_and(ContainerRecord::is_running) {
                    return;
                }
                let event = match told {
                    Told::Failed(how) => {
                        let tries = Box::new(FailedTries { how, until: None });
                        RuntimeEvent::ProbeFailed { pod, container, attempt, kind, tries }
                    }
                    Told::Changed(passing) => RuntimeEvent::ProbeChanged { pod, container, attempt, kind, passing },
                };
                self.tell(event).await;
            }
        }
    }

    async fn sandbox_made(&mut self, pod: Uid, outcome: Result<Sandbox, String>) {
        let Some(record) = self.pods.get_mut(&pod) else { return };
        record.making = false;
        record.sandbox_attempt += 1;
        let event = match outcome {
            Ok(sandbox) => {
                record.sandbox = Some(sandbox);
                RuntimeEvent::SandboxReady { pod, address: record.address() }
            }
            Err(message) => RuntimeEvent::SandboxFailed { pod, message: message.into() },
        };
        // It may have been seen to end before its making was told.
        let ended = record.sandbox.as_ref().is_some_and(|sandbox| record.ended_sandboxes.contains(&sandbox.id));
        record.ended_sandboxes.clear();
        if ended {
            record.sandbox = None;
        }
        self.tell(event).await;
        if ended {
            self.tell(RuntimeEvent::SandboxLost { pod }).await;
        }
        self.remove_when_idle(pod);
    }

    async fn container_started(
        &mut self,
        pod: Uid,
        container: ContainerIndex,
        attempt: u32,
        outcome: Result<ContainerId, Failure>,
    ) {
        let now = self.clock.now();
        let Some(podded) = self.pods.get_mut(&pod) else { return };
        let Some(record) = podded.container_mut(container, attempt) else { return };
        match outcome {
            Ok(id) => {
                record.id = Some(id);
                record.started_at = Some(now);
                let (ended, stop_wanted) = (record.ended_early.take(), record.stop_wanted.take());
                let old = podded.superseded(container, attempt);
                let serves = true;
                self.tell(RuntimeEvent::ContainerStarted { pod, container, attempt, serves }).await;
                if !old.is_empty() {
                    let jobs = self.jobs.clone();
                    self.running.spawn(async move { jobs.remove_all(old).await });
                }
                if let Some((code, out_of_memory)) = ended {
                    self.container_exited(pod, container, attempt, code, out_of_memory).await;
                } else if let Some(grace) = stop_wanted {
                    self.stop(pod, container, attempt, grace).await;
                }
            }
            Err(Failure { reason, message }) => {
                record.exited = Some((CODE_UNKNOWN, now));
                self.tell(RuntimeEvent::ContainerFailed { pod, container, attempt, reason, message }).await;
            }
        }
        self.remove_when_idle(pod);
    }

    async fn container_exited(
        &mut self,
        pod: Uid,
        container: ContainerIndex,
        attempt: u32,
        code: i32,
        out_of_memory: bool,
    ) {
        let now = self.clock.now();
        let Some(record) = self.pods.get_mut(&pod).and_then(|pod| pod.container_mut(container, attempt)) else {
            return;
        };
        if record.exited.is_some() {
            return;
        }
        if record.started_at.is_none() {
            // Its start is told first.
            record.ended_early = Some((code, out_of_memory));
            return;
        }
        record.exited = Some((code, now));
        record.probes.abort_all();
        self.tell(RuntimeEvent::ContainerExited { pod, container, attempt, exit_code: code, out_of_memory }).await;
    }

    pub(super) async fn on_change(&mut self, change: Change) {
        match change {
            Change::Seen(Container { id, identity, phase, .. }) => {
                let Some(record) = uid_of(&identity).and_then(|uid| self.pods.get_mut(&uid)) else { return };
                record.engine_ids.insert(id.clone());
                match (&identity.role, exit_of(&phase)) {
                    (Role::Sandbox, Some(_)) => self.sandbox_ended(&id, &identity).await,
                    (Role::Container(_), Some((code, out_of_memory))) => {
                        self.identified_exited(&identity, code, out_of_memory).await;
                    }
                    (_, None) => {}
                }
            }
            Change::Gone(id, identity) => {
                if let Some(record) = uid_of(&identity).and_then(|uid| self.pods.get_mut(&uid)) {
                    record.engine_ids.remove(&id);
                }
                match identity.role {
                    Role::Sandbox => self.sandbox_ended(&id, &identity).await,
                    Role::Container(_) => self.identified_exited(&identity, CODE_UNKNOWN, false).await,
                }
            }
            Change::Synced => {}
            Change::EngineLost(error) => {
                self.notices.engine(Some(&error));
                self.tell(RuntimeEvent::Down).await;
            }
            Change::EngineBack => {
                self.notices.engine(None);
                self.tell(RuntimeEvent::Up).await;
            }
        }
    }

    async fn sandbox_ended(&mut self, id: &ContainerId, identity: &Identity) {
        let Some(uid) = uid_of(identity) else { return };
        let Some(record) = self.pods.get_mut(&uid) else { return };
        if record.making {
            record.ended_sandboxes.insert(id.clone());
        }
        if record.removing || record.sandbox.as_ref().is_none_or(|sandbox| sandbox.id != *id) {
            return;
        }
        record.sandbox = None;
        self.tell(RuntimeEvent::SandboxLost { pod: uid }).await;
    }

    async fn identified_exited(&mut self, identity: &Identity, code: i32, out_of_memory: bool) {
        let Some(uid) = uid_of(identity) else { return };
        let Some(container) = self.pods.get(&uid).and_then(|record| record.index_of(identity)) else { return };
        self.container_exited(uid, container, identity.attempt.0, code, out_of_memory).await;
    }
}
