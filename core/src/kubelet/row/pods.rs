//! The pods of a node: which are taken on, how a change reaches one of them, and what is told of it.

use std::sync::Arc;

use crate::api::{Propagation, Request};
use crate::context::Context;
use crate::digest::Shared;
use crate::facts::What;
use crate::id::Uid;
use crate::kubelet::admission::{Obstacle, Rejection};
use crate::kubelet::pod_life::{Containers, Host, PodLife};
use crate::kubelet::row::{Asked, Row};
use crate::kubelet::volumes::Mounts;
use crate::kubelet::{ContainerIndex, admission, status};
use crate::model::{Object, Pod};
use crate::seam::TimerKind;
use crate::time::{Span, Time};

/// The grace of a pod that runs but that the API server does not have when its kubelet starts.
///
/// Source: `HandlePodCleanups`, pkg/kubelet/kubelet_pods.go (v1.34.1).
const ORPHAN_GRACE: Span = Span::from_secs(1);

impl Row {
    /// A pod is new or has changed.
    pub(in crate::kubelet) fn on_pod(&mut self, ctx: &mut Context<'_>, pod: Arc<Pod>) {
        if !self.listed || self.on_mirror(ctx, &pod) || self.is_for_waiting(&pod) {
            return;
        }
        let uid = pod.meta.uid;
        let mut fields_changed = false;
        match self.pods.place(&uid) {
            Some(place) if self.pods[place].confirmed && self.pods[place].is_echo(&pod) => {
                self.pods[place].pod = pod;
                return self.on_echo(ctx, place);
            }
            Some(place) => {
                let life = &mut self.pods[place];
                let (old, new) = (&life.pod.meta, &pod.meta);
                fields_changed = (&old.labels, &old.annotations) != (&new.labels, &new.annotations);
                life.take_version(pod);
            }
            None => self.take_on(ctx, pod),
        }
        if fields_changed {
            self.tell_of_fields(ctx, uid);
        }
        let mut adopted = false;
        self.with_pod(ctx, uid, |life, host| {
            if !life.confirmed {
                life.confirm(host);
                // Its containers run, so its volumes are there; which they are has to be found out again.
                adopted = true;
            }
            if life.pod.meta.is_terminating() {
                let grace = life.pod.meta.deletion_grace.unwrap_or(life.pod.spec.termination_grace);
                life.end(grace, true, host);
            }
        });
        if adopted {
            self.take_configs(ctx, uid);
        }
        if adopted
            && let Some(life) = self.pods.get(&uid)
            && let Some(mounts) = Mounts::of(&life.pod, ctx.now, true)
        {
            self.mounts.insert(uid, mounts);
            self.see_to_volumes(ctx, uid);
        }
    }

    /// The API server has what the kubelet last told of a pod. If something has happened since, that is told next; if
    /// not, the report would come out as it is, and what follows the last one of a pod that ends is its deletion.
    fn on_echo(&mut self, ctx: &mut Context<'_>, place: usize) {
        let life = &self.pods[place];
        debug_assert!(life.asked || life.news || status::desired(life, ctx.now) == *life.pod.status);
        match (life.asked, life.news) {
            (true, _) => {}
            (false, true) => self.settle(ctx, place),
            (false, false) => self.take_leave(ctx, place),
        }
    }

    pub(super) fn take_on(&mut self, ctx: &mut Context<'_>, pod: Arc<Pod>) {
        let uid = pod.meta.uid;
        let mut life = PodLife::new(pod, ctx.now);
        if life.pod.is_finished() {
            life.containers = Containers::none();
        } else {
            let admitted = match self.admit(&mut life, ctx.now) {
                Err(Obstacle::NoRoom(shortages)) => match self.make_room(ctx, life.pod.clone(), &shortages) {
                    Ok(()) => return,
                    Err(rejection) => Err(rejection),
                },
                Err(Obstacle::Refused(rejection)) => Err(rejection),
                Ok(()) => Ok(()),
            };
            match admitted {
                Err(rejection) => self.refuse(ctx, &mut life, rejection),
                Ok(()) => {
                    life.remember(ctx.now);
                    if let Some(mounts) = Mounts::of(&life.pod, ctx.now, false) {
                        life.waits_for_volumes = true;
                        self.mounts.insert(uid, mounts);
                    }
                }
            }
        }
        let begins = !life.containers.is_empty();
        self.pods.insert(life);
        if begins {
            self.take_configs(ctx, uid);
            self.begin_files(ctx, uid);
        }
        self.see_to_volumes(ctx, uid);
    }

    fn refuse(&self, ctx: &mut Context<'_>, life: &mut PodLife, rejection: Rejection) {
        let (reason, message) = (rejection.reason.clone(), rejection.message.clone());
        let said = message.strip_prefix("Pod was rejected: ").unwrap_or(&message);
        life.warn_pod(reason.to_string(), said.to_owned(), ctx);
        ctx.record(life.key(), What::Rejected { reason, message });
        life.containers = Containers::Refused(Box::new(rejection));
    }

    fn admit(&mut self, life: &mut PodLife, now: Time) -> Result<(), Obstacle> {
        let wanted = admission::requests(&life.pod.spec);
        if !life.pod.meta.is_terminating() {
            if let Some(why) = self.pressure_refusal(&life.pod) {
                return Err(Rejection::new("Evicted", &why).into());
            }
            let shortages = admission::shortages(&wanted, &self.used, &self.boot.allocatable);
            let is_static = self.is_static(life.uid());
            let is_critical = is_static || life.pod.spec.is_critical();
            if let Some(shortage) = shortages.first().filter(|_| !is_critical) {
                return Err(shortage.refusal().into());
            }
            match &self.node {
                Some(node) => admission::admit_to(&life.pod.spec, node)?,
                None => admission::admit_to(&life.pod.spec, &self.node_to_register(now))?,
            }
            if admission::has_host_ports(&life.pod.spec) {
                let mut others = self.pods.in_order().filter(|other| other.counted);
                if others.any(|other| admission::ports_clash(&life.pod.spec, &other.pod.spec)) {
                    return Err(admission::port_taken().into());
                }
            }
            if !is_static {
                admission::admit_beside(&life.pod.spec, self.taints())?;
            }
            if !shortages.is_empty() {
                return Err(Obstacle::NoRoom(shortages));
            }
            if self.shutdown.is_some() {
                return Err(Rejection::new("NodeShutdown", "Pod was rejected as the node is shutting down.").into());
            }
        }
        self.used.add(&wanted);
        life.counted = true;
        Ok(())
    }

    /// A pod's object is gone: what is left of it on the node goes too.
    pub(in crate::kubelet) fn on_pod_removed(&mut self, ctx: &mut Context<'_>, uid: Uid) {
        if self.on_mirror_removed(ctx, uid) {
            return;
        }
        self.keep_waiting(|waiting| waiting != uid);
        self.with_pod(ctx, uid, |life, host| {
            life.gone = true;
            let of_deletion = life.pod.meta.deletion_grace.filter(|grace| *grace > Span::ZERO);
            let grace = match life.confirmed {
                true => of_deletion.unwrap_or(life.pod.spec.termination_grace),
                // Nothing is known of it but that it runs.
                false => ORPHAN_GRACE,
            };
            life.end(grace, true, host);
        });
    }

    // ---- what the runtime tells

    pub(in crate::kubelet) fn host<'a, 'b>(&'a mut self, ctx: &'a mut Context<'b>) -> Host<'a, 'b> {
        Host {
            ctx,
            pulls: &mut self.pulls,
            configs: &self.configs,
            services: self.services.as_deref(),
            boot: &self.boot,
        }
    }

    /// A pod's row, and what the host has for it.
    pub(super) fn life_and_host<'a, 'b>(
        &'a mut self,
        ctx: &'a mut Context<'b>,
        place: usize,
    ) -> (&'a mut PodLife, Host<'a, 'b>) {
        let Row { boot, pods, pulls, configs, services, .. } = self;
        (&mut pods[place], Host { ctx, pulls, configs, services: services.as_deref(), boot })
    }

    pub(super) fn with_container(
        &mut self,
        ctx: &mut Context<'_>,
        uid: Uid,
        container: ContainerIndex,
        change: impl FnOnce(&mut PodLife, usize, &mut Host<'_, '_>),
    ) {
        self.with_pod(ctx, uid, |life, host| {
            if let Some(place) = life.place(container) {
                change(life, place, host);
            }
        });
    }

    /// Changes a pod's row, lets it do the next thing, and reports what is new. News of unknown pods is old news.
    pub(in crate::kubelet) fn with_pod(
        &mut self,
        ctx: &mut Context<'_>,
        uid: Uid,
        change: impl FnOnce(&mut PodLife, &mut Host<'_, '_>),
    ) {
        if let Some(place) = self.pods.place(&uid) {
            self.at_place(ctx, place, change);
        }
    }

    /// As [`Row::with_pod`], for the pod at a place.
    pub(super) fn at_place(
        &mut self,
        ctx: &mut Context<'_>,
        place: usize,
        change: impl FnOnce(&mut PodLife, &mut Host<'_, '_>),
    ) {
        let (life, mut host) = self.life_and_host(ctx, place);
        let uid = life.uid();
        change(life, &mut host);
        life.advance(&mut host);
        if self.pulls.are_waiting() {
            self.pump_pulls(ctx);
            // Others may be gone since, and the pod in another place.
            self.settle_pod(ctx, uid);
        } else {
            self.settle(ctx, place);
        }
        if self.pressure.is_some() {
            self.look_at_victim(ctx, uid);
        }
        if self.shutdown.is_some() {
            self.look_at_group(ctx);
        }
        if !self.room.is_empty() {
            self.look_at_room(ctx);
        }
    }

    pub(super) fn pump_pulls(&mut self, ctx: &mut Context<'_>) {
        while let Some(((uid, container), waits_since)) = self.pulls.next(&ctx.config.kubelet) {
            let Some(place) = self.pods.place(&uid) else { continue };
            let (life, mut host) = self.life_and_host(ctx, place);
            if life.begin_pull(container, &mut host) {
                self.pulls.begin((uid, container), waits_since, ctx.now);
            } else if life.place(container).is_some() {
                life.advance(&mut host);
                self.settle(ctx, place);
            }
        }
    }

    /// Looks at the pod of a uid as [`Row::settle`] does.
    pub(super) fn settle_pod(&mut self, ctx: &mut Context<'_>, uid: Uid) {
        if let Some(place) = self.pods.place(&uid) {
            self.settle(ctx, place);
        }
    }

    /// Gives back what an ended pod took, forgets a pod that is gone everywhere, and reports what is new.
    fn settle(&mut self, ctx: &mut Context<'_>, place: usize) {
        let life = &mut self.pods[place];
        let uid = life.uid();
        if life.is_settled() {
            if std::mem::take(&mut life.counted) {
                self.used.subtract(&admission::requests(&life.pod.spec));
            }
            if life.uses_configs || !self.files.is_empty() || !self.mounts.is_empty() {
                self.release_volumes(ctx, uid);
            }
        }
        let life = &self.pods[place];
        if life.gone && life.is_removed() {
            self.release_volumes(ctx, uid);
            self.pods.remove(place);
            self.pulls.forget(uid);
            return ctx.disarm(TimerKind::Pod(uid));
        }
        if self.statics.is_some() && self.is_static(uid) {
            return self.reflect(ctx, uid);
        }
        let life = &mut self.pods[place];
        if life.gone || life.asked || life.is_in_first_sync() || life.is_starting_again() {
            life.news = true;
            return;
        }
        life.news = false;
        let status = status::desired(life, ctx.now);
        if status == *life.pod.status {
            return self.take_leave(ctx, place);
        }
        let status = Shared::new(status);
        let Pod { meta, spec, own, node, status: _ } = &*life.pod;
        let (own, node) = (own.clone(), node.clone());
        let pod = Pod { meta: meta.clone(), spec: spec.clone(), own, node, status: status.clone() };
        life.said = Some(status);
        let object = Object::Pod(Arc::new(pod));
        self.ask_about(ctx, place, Request::UpdateStatus { object, expected: None });
    }

    /// Asks for the last deletion of a pod of which nothing is left but its object, and all is told.
    fn take_leave(&mut self, ctx: &mut Context<'_>, place: usize) {
        let life = &mut self.pods[place];
        if life.pod.meta.is_terminating() && life.takes_last_leave() {
            let (key, uid, propagation) = (life.key(), Some(life.uid()), Propagation::Background);
            self.ask_about(ctx, place, Request::Delete { key, uid, grace: Some(Span::ZERO), propagation });
        }
    }

    fn ask_about(&mut self, ctx: &mut Context<'_>, place: usize, request: Request) {
        let life = &mut self.pods[place];
        life.asked = true;
        let asked = Asked::Pod(life.uid());
        self.request(ctx, asked, request);
    }
}
