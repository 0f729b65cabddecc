//! What a kubelet asks the API server: one request about a pod at a time, and each anew if no answer comes.

use std::sync::Arc;

use crate::api::{Answer, Refusal, Reply, Request};
use crate::context::Context;
use crate::id::{ProcId, RequestId, Uid};
use crate::kubelet::files::FileMounts;
use crate::kubelet::heartbeat::{self, Runtime};
use crate::kubelet::row::Row;
use crate::kubelet::volumes::Mounts;
use crate::model::{Object, Pod};
use crate::seam::{Msg, TimerKind};
use crate::time::Time;

/// What a request under way is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::kubelet) enum Asked {
    Register,
    /// The node as it is stored, by way of one of its labels.
    Node,
    NodeStatus,
    Watch,
    Pod(Uid),
    /// Something about a pod's volumes.
    Volume(Uid),
    /// Which volumes the node uses.
    InUse,
    /// A ConfigMap or Secret.
    Config,
    /// The Services.
    Services,
    /// The mirror pod of a static pod.
    Mirror(Uid),
}

/// What the API server tells of the node's pods.
pub(in crate::kubelet) enum PodNews {
    /// All of them.
    Listed(Vec<Object>),
    /// One is new or has changed.
    Changed(Arc<Pod>),
    /// The object of one is gone.
    Removed(Uid),
}

impl Row {
    pub(in crate::kubelet) fn request(&mut self, ctx: &mut Context<'_>, asked: Asked, request: Request) -> RequestId {
        let id = RequestId(self.clock.start << 40 | self.requests);
        self.requests += 1;
        self.asked.push((id, asked, ctx.now));
        ctx.send(ProcId::API_SERVER, Msg::Request(id, Box::new(request)));
        let timeout = ctx.now + ctx.config.kubelet.request_timeout;
        self.arm_retry(ctx, timeout);
        id
    }

    /// One timer serves all requests: it is armed for the earliest need and looks again when it comes due.
    pub(in crate::kubelet) fn arm_retry(&mut self, ctx: &mut Context<'_>, at: Time) {
        if self.retry_armed.is_none_or(|armed| at < armed) {
            self.retry_armed = Some(at);
            ctx.arm(TimerKind::KubeletRetry, at);
        }
    }

    pub(super) fn retry(&mut self, ctx: &mut Context<'_>) {
        self.retry_armed = None;
        if self.watch_at.take_if(|at| *at <= ctx.now).is_some() {
            self.watch(ctx);
        }
        if self.runtime_down_at.take_if(|at| *at <= ctx.now).is_some() {
            self.set_runtime(ctx, Runtime::Down);
        }
        self.retry_mirrors(ctx);
        let (now, timeout) = (ctx.now, ctx.config.kubelet.request_timeout);
        let due = |mounts: &Mounts| mounts.due().is_some_and(|at| at <= now);
        let waiting: Vec<Uid> = self.mounts.iter().filter(|(_, mounts)| due(mounts)).map(|(uid, _)| *uid).collect();
        for uid in waiting {
            self.see_to_volumes(ctx, uid);
        }
        self.look_at_files(ctx);
        let late: Vec<RequestId> =
            self.asked.iter().filter(|(_, _, sent)| *sent + timeout <= now).map(|(id, ..)| *id).collect();
        for id in late {
            self.ask_again(ctx, id);
        }
        let next = self
            .asked
            .iter()
            .map(|(_, _, sent)| *sent + timeout)
            .chain(self.watch_at)
            .chain(self.runtime_down_at)
            .chain(self.mounts.values().filter_map(Mounts::due))
            .chain(self.files.values().map(FileMounts::due))
            .chain(self.mirrors_due())
            .min();
        if let Some(at) = next {
            self.arm_retry(ctx, at);
        }
    }

    pub(super) fn make_anew(&mut self, ctx: &mut Context<'_>, which: impl Fn(Asked) -> bool) {
        let chosen: Vec<RequestId> =
            self.asked.iter().filter(|(_, asked, _)| which(*asked)).map(|(id, ..)| *id).collect();
        for id in chosen {
            self.ask_again(ctx, id);
        }
    }

    pub(super) fn ask_again(&mut self, ctx: &mut Context<'_>, id: RequestId) {
        let Some(asked) = self.take_asked(id) else { return };
        match asked {
            Asked::Config => {
                if let Some(key) = self.configs.key_of(id) {
                    let id = self.request(ctx, Asked::Config, Request::WatchConfig(key.clone()));
                    self.configs.asked(&key, id);
                }
            }
            Asked::Register => self.register(ctx),
            Asked::Node | Asked::NodeStatus => self.look_at_node(ctx),
            Asked::Watch => self.watch(ctx),
            Asked::Services => self.watch_services(ctx),
            Asked::Mirror(uid) => self.on_mirror_silence(ctx, uid),
            Asked::InUse => {
                self.in_use.clear();
                self.report_in_use(ctx);
            }
            Asked::Volume(uid) => {
                if let Some(mounts) = self.mounts.get_mut(&uid) {
                    mounts.asked = false;
                }
                self.see_to_volumes(ctx, uid);
            }
            Asked::Pod(uid) => {
                if let Some(life) = self.pods.get_mut(&uid) {
                    life.asked = false;
                    life.forget_last_leave();
                }
                self.settle_pod(ctx, uid);
            }
        }
    }

    /// Answers to requests of this sort concern nobody any more.
    pub(in crate::kubelet) fn forget_asked(&mut self, which: Asked) {
        self.asked.retain(|(_, asked, _)| *asked != which);
    }

    pub(super) fn take_asked(&mut self, id: RequestId) -> Option<Asked> {
        let place = self.asked.iter().position(|(other, ..)| *other == id)?;
        Some(self.asked.swap_remove(place).1)
    }

    pub(in crate::kubelet) fn on_answer(&mut self, ctx: &mut Context<'_>, id: RequestId, answer: Answer) {
        let Some(asked) = self.take_asked(id) else { return };
        if let Ok(Reply::Object(Object::Node(node), _)) = &answer {
            if self.statics.is_some() {
                self.on_node_uid(ctx, node.meta.uid);
            }
            self.node = Some(node.clone());
        }
        match (asked, answer) {
            (Asked::Mirror(uid), answer) => self.on_mirror_answer(ctx, uid, answer),
            (Asked::Watch, Ok(Reply::Pods(pods))) => self.on_pod_news(ctx, PodNews::Listed(pods)),
            (Asked::Services, Ok(Reply::Services(list))) => {
                if let Some(services) = &mut self.services {
                    services.on_list(list);
                }
            }
            (Asked::Pod(uid), answer) => self.on_pod_answer(ctx, uid, answer),
            (Asked::Volume(uid), answer) => {
                if let Some(mounts) = self.mounts.get_mut(&uid) {
                    if let (Some(device), Some(life)) = (mounts.on_answer(&answer, ctx.now), self.pods.get(&uid)) {
                        let said = device.events(&self.boot.node, &life.pod.meta);
                        said.into_iter().for_each(|event| ctx.event(life.key(), event));
                    }
                    self.report_in_use(ctx);
                    self.see_to_volumes(ctx, uid);
                }
            }
            (Asked::Config, answer) => {
                self.configs.on_answer(id, answer);
                self.on_config_read(ctx);
            }
            (Asked::Register, Err(Refusal::AlreadyExists { .. })) => self.look_at_node(ctx),
            (Asked::Register, answer) => {
                self.reboot = self.reboot.filter(|_| answer.is_err());
                self.on_node_seen(ctx);
            }
            (Asked::Node, Ok(Reply::Object(Object::Node(node), _))) => {
                self.on_node_seen(ctx);
                let labels = self.boot.labels.clone();
                let missing = labels.iter().find(|(key, value)| node.meta.labels.get(key) != Some(*value));
                if let Some((key, value)) = missing {
                    return self.set_label(ctx, key.clone(), value.clone());
                }
                self.say_of_reboot(ctx);
                self.say_of_status(ctx, &node.status);
                self.say_of_cordon(ctx, &node);
                if let Some(node) = heartbeat::status_to_post(&self.boot, self.health(), &node, ctx.now) {
                    let request = Request::UpdateStatus { object: Object::Node(Arc::new(node)), expected: None };
                    self.request(ctx, Asked::NodeStatus, request);
                }
            }
            // A node that was deleted under its kubelet stays deleted until the kubelet starts again.
            (Asked::Node, Err(_)) => self.on_node_seen(ctx),
            _ => {}
        }
    }

    pub(super) fn on_pod_answer(&mut self, ctx: &mut Context<'_>, uid: Uid, answer: Answer) {
        let Some(life) = self.pods.get_mut(&uid).filter(|life| life.asked) else { return };
        life.asked = false;
        match answer {
            Ok(Reply::Object(Object::Pod(pod), _)) | Ok(Reply::Deleted(Some(Object::Pod(pod)))) => {
                self.on_pod(ctx, pod);
            }
            Ok(Reply::Deleted(None)) | Err(Refusal::NotFound(_) | Refusal::WrongUid { .. }) => {
                self.on_pod_removed(ctx, uid);
            }
            _ => {}
        }
    }

    /// The kubelet has seen its node, or knows that there is none: it turns to its pods.
    ///
    /// Source: `NewSourceApiserver`, pkg/kubelet/config/apiserver.go (v1.34.1), which waits for the node.
    fn on_node_seen(&mut self, ctx: &mut Context<'_>) {
        for news in self.early.take().into_iter().flatten() {
            self.on_pod_news(ctx, news);
        }
    }

    // ---- what the API server wants

    pub(in crate::kubelet) fn on_pod_news(&mut self, ctx: &mut Context<'_>, news: PodNews) {
        if let Some(early) = &mut self.early {
            return early.push(news);
        }
        match news {
            PodNews::Listed(pods) => self.on_list(ctx, pods),
            PodNews::Changed(pod) => self.on_pod(ctx, pod),
            PodNews::Removed(uid) => self.on_pod_removed(ctx, uid),
        }
    }

    pub(super) fn on_list(&mut self, ctx: &mut Context<'_>, pods: Vec<Object>) {
        let mut gone: Vec<Uid> = self.pods.uids().into_iter().filter(|uid| !self.is_static(*uid)).collect();
        if self.statics.is_some() {
            let listed: Vec<Uid> = pods.iter().map(Object::uid).collect();
            self.on_mirrors_listed(ctx, &listed);
        }
        self.keep_waiting(|uid| pods.iter().any(|pod| pod.uid() == uid));
        for object in pods {
            if let Object::Pod(pod) = object {
                gone.retain(|uid| *uid != pod.meta.uid);
                self.on_pod(ctx, pod);
            }
        }
        for uid in gone {
            self.on_pod_removed(ctx, uid);
        }
    }
}
