//! The controller manager: one process with all controllers, reading the store through one cursor.
//!
//! Each controller has a number: it is the number of its API client and of its work queue's timer, so answers and
//! timers find their way back. Invariant: controllers share nothing but the view; what one writes, another learns from
//! the watch. Absent on purpose: leader election.
//!
//! A folder or file each for the controllers. What they share: `news` (what each is told of), `reconciler` (the frame
//! of most), `work_queue`, `requests` (what a sync has under way), `expectations` (what the watch has yet to show),
//! `claims` (adoption and release), `pods`, `service_pods`, `revisions`, `kinds` (objects of any kind), `names`
//! (keys).

mod claims;
mod cron_job;
mod daemon_set;
mod deployment;
mod disruption;
mod endpoint_slice;
mod endpoints;
mod expectations;
mod garbage_collector;
mod job;
mod kinds;
mod names;
mod namespace;
mod news;
mod node_lifecycle;
mod pod_gc;
mod pods;
mod reconciler;
mod replica_set;
mod requests;
mod resource_quota;
mod revisions;
mod root_certificate;
mod service_account;
mod service_pods;
mod slice_mirroring;
mod stateful_set;
mod taint_eviction;
#[cfg(test)]
mod tests;
mod ttl_after_finished;
mod volumes;
mod work_queue;

pub(crate) use names::{NamespacedName, managing, owned_by, with_owner, without_owner};
pub(crate) use work_queue::WorkQueue;

use news::{News, Topics};
use replica_set::{ReplicaSets, Replicated};

use crate::api::Answer;
use crate::config::Config;
use crate::context::{Component, Context};
use crate::id::{ProcId, RequestId};
use crate::model::{ReplicaSet, ReplicationController};
use crate::seam::{Msg, TimerKind};
use crate::store::{Change, View};

/// One control loop.
pub(crate) trait Controller {
    /// What it listens to: it is told of no other changes.
    fn topics(&self) -> Topics;
    /// Begins, with everything that the view lists.
    fn start(&mut self, ctx: &mut Context<'_>, view: View<'_>);
    /// Notes one change; `view` is at the newest change of the delivery, [`View::sides`] shows the row before and after
    /// this one, and `view.at(change.revision)` the store as it was then.
    fn on_change(&mut self, ctx: &mut Context<'_>, view: View<'_>, news: &News<'_>);
    /// Acts on what the changes of a delivery, an answer or a timer have left to do, as far as it can: until it is told
    /// of something else there is nothing left that it could do, unless it minds the time.
    fn work(&mut self, ctx: &mut Context<'_>, view: View<'_>);
    /// Whether the passing of time alone makes work for it, which it looks for at every delivery.
    fn minds_time(&self) -> bool {
        false
    }
    /// Takes in the answer to one of its requests.
    fn on_answer(&mut self, ctx: &mut Context<'_>, view: View<'_>, id: RequestId, answer: Answer);
    /// Takes in one of its timers.
    fn on_timer(&mut self, ctx: &mut Context<'_>, view: View<'_>, kind: TimerKind);
    /// Takes in a renewal or a notice of the world; only the node lifecycle cares.
    fn on_notice(&mut self, _ctx: &mut Context<'_>, _view: View<'_>, _body: &Msg) {}
}

/// A controller manager with all its controllers.
pub struct ControllerManager {
    /// By number.
    controllers: Vec<Listener>,
}

/// A controller, its number, and what it listens to.
struct Listener {
    number: u8,
    topics: Topics,
    controller: Box<dyn Controller>,
}

impl ControllerManager {
    /// A controller manager that has not started.
    pub fn new(config: &Config) -> ControllerManager {
        let flags = &config.controller_manager;
        let controllers: Vec<(u8, Box<dyn Controller>)> = vec![
            (deployment::NUMBER, Box::new(deployment::Deployments::new(flags))),
            (<ReplicaSet as Replicated>::NUMBER, Box::new(ReplicaSets::<ReplicaSet>::new(flags))),
            (<ReplicationController as Replicated>::NUMBER, Box::new(ReplicaSets::<ReplicationController>::new(flags))),
            (stateful_set::NUMBER, Box::new(stateful_set::StatefulSets::new(flags))),
            (daemon_set::NUMBER, Box::new(daemon_set::DaemonSets::new(flags))),
            (endpoint_slice::NUMBER, Box::new(endpoint_slice::EndpointSlices::new(flags))),
            (endpoints::NUMBER, Box::new(endpoints::EndpointsOfServices::new(flags))),
            (slice_mirroring::NUMBER, Box::new(slice_mirroring::SliceMirroring::new(flags))),
            (garbage_collector::NUMBER, Box::new(garbage_collector::GarbageCollector::new(flags))),
            (namespace::NUMBER, Box::new(namespace::Namespaces::new(flags))),
            (disruption::NUMBER, Box::new(disruption::Disruption::new(flags))),
            (node_lifecycle::NodeLifecycle::NUMBER, Box::new(node_lifecycle::NodeLifecycle::new(config))),
            (taint_eviction::TaintEviction::NUMBER, Box::new(taint_eviction::TaintEviction::new(config))),
            (volumes::BINDER, Box::new(volumes::Binder::new(flags))),
            (volumes::ATTACH_DETACH, Box::new(volumes::AttachDetach::new(flags))),
            (volumes::PROTECTION, Box::new(volumes::Protection::new(flags))),
            (volumes::EPHEMERAL, Box::new(volumes::Ephemeral::new(flags))),
            (volumes::DRIVERS, Box::new(volumes::Drivers::new(config))),
            (cron_job::NUMBER, Box::new(cron_job::CronJobs::new(flags))),
            (ttl_after_finished::NUMBER, Box::new(ttl_after_finished::TtlAfterFinished::new(flags))),
            (job::NUMBER, Box::new(job::Jobs::new(flags))),
            (resource_quota::NUMBER, Box::new(resource_quota::ResourceQuotas::new(flags))),
            (service_account::NUMBER, Box::new(service_account::ServiceAccounts::new(flags))),
            (root_certificate::NUMBER, Box::new(root_certificate::RootCertificates::new(flags))),
            (pod_gc::PodGc::NUMBER, Box::new(pod_gc::PodGc::new(config))),
        ];
        let listener = |(number, controller): (u8, Box<dyn Controller>)| {
            let topics = controller.topics();
            Listener { number, topics, controller }
        };
        let mut controllers: Vec<Listener> = controllers.into_iter().map(listener).collect();
        controllers.sort_by_key(|it| it.number);
        ControllerManager { controllers }
    }

    fn numbered(&mut self, number: u8) -> &mut dyn Controller {
        let found = self.controllers.binary_search_by_key(&number, |it| it.number);
        &mut *self.controllers[found.expect("answers and timers carry their controller's number")].controller
    }
}

impl Component for ControllerManager {
    fn start(&mut self, ctx: &mut Context<'_>, view: View<'_>) {
        for Listener { controller, .. } in &mut self.controllers {
            controller.start(ctx, view);
            controller.work(ctx, view);
        }
    }

    fn on_changes(&mut self, ctx: &mut Context<'_>, view: View<'_>, changes: &[Change]) {
        let all: Vec<News<'_>> = changes.iter().map(|change| News::of(view, change)).collect();
        let topics_of_all = all.iter().fold(Topics::NONE, |topics, news| topics.and(news.topics));
        for Listener { topics, controller, .. } in &mut self.controllers {
            let is_told = topics.meet(topics_of_all);
            if is_told {
                all.iter().filter(|it| topics.meet(it.topics)).for_each(|news| controller.on_change(ctx, view, news));
            }
            if is_told || controller.minds_time() {
                controller.work(ctx, view);
            }
        }
    }

    fn on_message(&mut self, ctx: &mut Context<'_>, view: View<'_>, from: ProcId, body: Msg) {
        match body {
            Msg::Response(id, answer) => {
                let controller = self.numbered(id.client());
                controller.on_answer(ctx, view, id, answer);
                controller.work(ctx, view);
            }
            body @ (Msg::LeaseRenewed { .. } | Msg::Vouch { .. }) => {
                for Listener { controller, .. } in &mut self.controllers {
                    controller.on_notice(ctx, view, &body);
                }
            }
            other => panic!("{from} sent the controller manager what only others understand: {other:?}"),
        }
    }

    fn on_timer(&mut self, ctx: &mut Context<'_>, view: View<'_>, kind: TimerKind) {
        match kind {
            TimerKind::ClientTokens(number) | TimerKind::WorkQueue(number) => {
                let controller = self.numbered(number);
                controller.on_timer(ctx, view, kind);
                controller.work(ctx, view);
            }
            _ => {
                for Listener { controller, .. } in &mut self.controllers {
                    controller.on_timer(ctx, view, kind);
                    controller.work(ctx, view);
                }
            }
        }
    }
}
