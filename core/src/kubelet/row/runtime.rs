//! News of the container runtime. The kubelet sees containers' starts and ends when it lists them again, not before.

use crate::context::Context;
use crate::draw::{Purpose, draw, span_below};
use crate::facts::What;
use crate::id::{Name, Uid};
use crate::kubelet::heartbeat::{RUNTIME_AWAY_MAX, Runtime};
use crate::kubelet::pod_life::{Doing, PodLife};
use crate::kubelet::row::Row;
use crate::kubelet::{ContainerIndex, RunningPod, RuntimeEvent, admission};
use crate::model::Terminated;
use crate::seam::TimerKind;
use crate::time::{Span, Time};

/// A start or an end of a container that the next relist will show.
pub(super) enum Unseen {
    Started { pod: Uid, container: ContainerIndex, attempt: u32, serves: bool },
    Exited(Uid, ContainerIndex, u32, Exit),
}

impl Unseen {
    fn is_start_of(&self, of: (Uid, ContainerIndex, u32)) -> bool {
        matches!(self, Unseen::Started { pod, container, attempt, .. } if (*pod, *container, *attempt) == of)
    }
}

/// How and when a container ended.
#[derive(Clone, Copy)]
pub(super) struct Exit {
    code: i32,
    out_of_memory: bool,
    at: Time,
}

impl Row {
    pub(in crate::kubelet) fn on_runtime(&mut self, ctx: &mut Context<'_>, event: RuntimeEvent) {
        match event {
            RuntimeEvent::Pods(running) => self.on_pods(ctx, running),
            RuntimeEvent::Down => {
                let at = ctx.now + RUNTIME_AWAY_MAX;
                self.runtime_down_at = Some(at);
                self.arm_retry(ctx, at);
            }
            RuntimeEvent::Up => {
                self.runtime_down_at = None;
                self.set_runtime(ctx, Runtime::Up);
            }
            RuntimeEvent::UsageLow => self.on_usage_low(ctx),
            RuntimeEvent::Usage(usage) => self.on_usage(ctx, &usage),
            RuntimeEvent::ShuttingDown => self.on_shutting_down(ctx),
            RuntimeEvent::HookEnded { pod, container, attempt, kind, error } => {
                self.with_container(ctx, pod, container, |life, place, host| {
                    if life.containers[place].attempt == attempt {
                        life.on_hook_ended(place, kind, &error, host);
                    }
                });
            }
            RuntimeEvent::SandboxReady { pod, address } => self.with_pod(ctx, pod, |life, _| life.on_sandbox(address)),
            RuntimeEvent::SandboxFailed { pod, message } => {
                self.with_pod(ctx, pod, |life, host| life.on_sandbox_failed(&message, host));
            }
            RuntimeEvent::SandboxLost { pod } => self.with_pod(ctx, pod, |life, host| life.on_sandbox_lost(host)),
            RuntimeEvent::PodRemoved { pod } => self.with_pod(ctx, pod, |life, _| life.on_removed()),
            RuntimeEvent::ImageReady { pod, container, already_present, size } => {
                let took = self.pulls.finish((pod, container), ctx.now);
                let has_come = took.is_some().then(|| self.image_of(pod, container)).flatten();
                let pull = (took, size);
                self.with_pod(ctx, pod, |life, host| life.on_image(container, already_present, pull, host));
                if let Some(image) = has_come {
                    self.look_for_waiting(ctx, &image);
                }
            }
            RuntimeEvent::ImageFailed { pod, container, reason, message } => {
                self.pulls.finish((pod, container), ctx.now);
                self.with_pod(ctx, pod, |life, host| life.on_image_failed(container, (reason, message), host));
            }
            RuntimeEvent::ContainerFailed { pod, container, attempt, reason, message } => {
                self.with_container(ctx, pod, container, |life, place, host| {
                    life.on_start_failed(place, attempt, (reason, message), host);
                });
            }
            RuntimeEvent::ProbeChanged { pod, container, attempt, kind, passing } => {
                self.with_container(ctx, pod, container, |life, place, host| {
                    if life.containers[place].attempt == attempt {
                        life.on_probe(place, kind, passing, host);
                    }
                });
            }
            RuntimeEvent::ProbeFailed { pod, container, attempt, kind, tries } => {
                // It is said, and nothing else comes of it.
                let Some(place) = self.pods.place(&pod) else { return };
                let (life, mut host) = self.life_and_host(ctx, place);
                if let Some(place) = life.place(container).filter(|it| life.containers[*it].attempt == attempt) {
                    life.on_probe_failed(place, kind, &tries, &mut host);
                }
                return;
            }
            RuntimeEvent::ContainerStarted { pod, container, attempt, serves } => {
                self.with_container(ctx, pod, container, |life, place, host| life.on_started(place, attempt, host));
                let place = self.pods.place(&pod);
                self.see(ctx, place, Unseen::Started { pod, container, attempt, serves });
            }
            RuntimeEvent::ContainerExited { pod, container, attempt, exit_code, out_of_memory } => {
                let exit = Exit { code: exit_code, out_of_memory, at: ctx.now };
                let place = self.pods.place(&pod);
                if let Some(place) = place {
                    self.record_exit(ctx, place, container, attempt, &exit);
                }
                self.see(ctx, place, Unseen::Exited(pod, container, attempt, exit));
            }
        }
        self.pump_pulls(ctx);
    }

    fn image_of(&self, pod: Uid, container: ContainerIndex) -> Option<Name> {
        let life = self.pods.get(&pod)?;
        life.place(container).map(|place| life.image_of(place))
    }

    /// Tells the pods that wait for an image to be pulled again that it is on the node.
    fn look_for_waiting(&mut self, ctx: &mut Context<'_>, image: &Name) {
        let now = ctx.now;
        for (uid, container) in self.pulls.take_failed() {
            let mut still_waits = false;
            self.with_pod(ctx, uid, |life, _| still_waits = life.on_image_of_others(container, image, now));
            if still_waits {
                self.pulls.note_failure((uid, container));
            }
        }
    }

    fn record_exit(&self, ctx: &mut Context<'_>, pod: usize, container: ContainerIndex, attempt: u32, exit: &Exit) {
        let life = &self.pods[pod];
        let Some(place) = life.place(container) else { return };
        if life.containers[place].is_running() && life.containers[place].attempt == attempt {
            let container = life.spec(place).name.clone();
            if exit.out_of_memory {
                ctx.record(life.key(), What::OutOfMemory { container: container.clone() });
            }
            ctx.record(life.key(), What::Exited { container, exit_code: exit.code });
        }
    }

    /// The kubelet sees what it did itself at once, and everything else at its next relist. `pod` is the pod's place,
    /// if the kubelet has it.
    fn see(&mut self, ctx: &mut Context<'_>, pod: Option<usize>, event: Unseen) {
        let (Unseen::Started { container, .. } | Unseen::Exited(_, container, ..)) = &event;
        let by_itself = pod.map(|pod| &self.pods[pod]).is_some_and(|life| {
            let place = life.place(*container);
            let stopping = place.is_some_and(|place| life.containers[place].incidents().stopping.is_some());
            life.ending.is_some() || stopping
        });
        if !by_itself && ctx.config.kubelet.relist_period != Span::ZERO {
            if self.unseen.is_empty() {
                ctx.arm(TimerKind::Relist, next_relist(ctx));
            }
            if let Unseen::Exited(pod, container, attempt, _) = event {
                // A relist shows what there is: of a container that started and ended before it only the end.
                let start = (pod, container, attempt);
                self.unseen.retain(|it| !it.is_start_of(start));
            }
            self.unseen.push(event);
        } else if let Some(pod) = pod {
            self.show(ctx, pod, event);
        }
    }

    pub(super) fn relist(&mut self, ctx: &mut Context<'_>) {
        for event in std::mem::take(&mut self.unseen) {
            let (Unseen::Started { pod: uid, .. } | Unseen::Exited(uid, ..)) = &event;
            if let Some(pod) = self.pods.place(uid) {
                self.show(ctx, pod, event);
            }
        }
        self.pump_pulls(ctx);
    }

    fn show(&mut self, ctx: &mut Context<'_>, pod: usize, event: Unseen) {
        self.at_place(ctx, pod, |life, host| match event {
            Unseen::Started { container, attempt, serves, .. } => {
                if let Some(place) = life.place(container) {
                    life.on_seen(place, attempt, serves, host);
                }
            }
            Unseen::Exited(_, container, attempt, exit) => {
                if let Some(place) = life.place(container) {
                    let how = life.how_it_ended(place, exit.code, exit.out_of_memory, exit.at);
                    life.on_exited(place, attempt, how, host);
                }
            }
        });
    }

    /// What the runtime has when the kubelet starts: containers that run go on running.
    pub(super) fn on_pods(&mut self, ctx: &mut Context<'_>, running: Vec<RunningPod>) {
        if self.listed {
            return;
        }
        self.listed = true;
        for found in running {
            let mut life = PodLife::adopted(found);
            self.used.add(&admission::requests(&life.pod.spec));
            life.counted = true;
            self.pods.insert(life);
        }
        self.begin_statics(ctx);
        self.watch(ctx);
    }

    // ---- the common end of every event
}

/// The first relist after now; each host's relists have a phase of their own.
fn next_relist(ctx: &Context<'_>) -> Time {
    let period = ctx.config.kubelet.relist_period;
    let phase = span_below(draw(ctx.seed(), Purpose::RelistPhase, u64::from(ctx.me.index()), 0), period);
    let passed = (ctx.now + period).since(Time::ZERO + phase).0 / period.0;
    Time::ZERO + phase + Span(passed * period.0)
}

impl PodLife {
    /// How a container ended, for its status.
    fn how_it_ended(&self, place: usize, exit_code: i32, out_of_memory: bool, finished_at: Time) -> Terminated {
        let reason = match (out_of_memory, exit_code) {
            (true, _) => "OOMKilled",
            (false, 0) => "Completed",
            (false, _) => "Error",
        };
        let started_at = match self.containers[place].doing {
            Doing::Running(since) => since,
            _ => finished_at,
        };
        Terminated { exit_code, reason: reason.into(), started_at, finished_at }
    }
}
