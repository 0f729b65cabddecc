//! What pods need beside containers: ConfigMaps, Secrets, Services and volumes, and their changes.

use crate::api::{Patch, Request};
use crate::context::Context;
use crate::id::{Name, Uid};
use crate::kubelet::row::{Asked, Row};
use crate::kubelet::volumes::Mounts;
use crate::model::{Kind, Object, ObjectKey};

impl Row {
    /// A ConfigMap or Secret is new or has changed.
    pub(in crate::kubelet) fn on_config(&mut self, ctx: &mut Context<'_>, object: Object) {
        let key = object.key();
        if let (Kind::Service, Some(services)) = (key.kind, &mut self.services) {
            return services.on_changed(object);
        }
        self.configs.on_changed(object);
        self.on_config_read(ctx);
        self.set_up_again(ctx, &key);
    }

    /// A ConfigMap or Secret is gone.
    pub(in crate::kubelet) fn on_config_removed(&mut self, ctx: &mut Context<'_>, key: &ObjectKey) {
        if let (Kind::Service, Some(services)) = (key.kind, &mut self.services) {
            return services.on_removed(key);
        }
        self.configs.on_removed(key);
        self.set_up_again(ctx, key);
    }

    /// Some of a pod's volumes are there: it begins if it waits for no others.
    pub(in crate::kubelet) fn volumes_are_there(&mut self, ctx: &mut Context<'_>, uid: Uid) {
        let waits = self.files.contains_key(&uid) || self.mounts.get(&uid).is_some_and(|mounts| !mounts.is_done());
        let Some(life) = self.pods.get_mut(&uid).filter(|_| !waits) else { return };
        if std::mem::take(&mut life.waits_for_volumes) {
            self.with_pod(ctx, uid, |_, _| {});
        }
    }

    /// Asks for what is to be known next of a pod's volumes, and lets the pod begin when all is there.
    pub(super) fn see_to_volumes(&mut self, ctx: &mut Context<'_>, uid: Uid) {
        let Some(mounts) = self.mounts.get_mut(&uid) else { return };
        let (node, Some(life)) = (&self.boot.node, self.pods.get_mut(&uid)) else { return };
        if let Some(complaint) = mounts.complaint(node, &life.pod.meta, ctx.now) {
            ctx.event(life.key(), complaint);
        }
        if mounts.is_done() {
            return self.volumes_are_there(ctx, uid);
        }
        if let Some(question) = mounts.question(node, ctx.now) {
            mounts.asked = true;
            self.request(ctx, Asked::Volume(uid), question);
        } else if let Some(due) = mounts.due() {
            self.arm_retry(ctx, due);
        }
    }

    /// Tells which volumes the node uses, if that is news. While it is not known what adopted pods use, nothing is
    /// told.
    pub(super) fn report_in_use(&mut self, ctx: &mut Context<'_>) {
        if self.mounts.values().any(|mounts| mounts.adopted && !mounts.is_done()) {
            return;
        }
        let mut in_use: Vec<Name> = self.mounts.values().flat_map(Mounts::in_use).cloned().collect();
        in_use.sort();
        in_use.dedup();
        if in_use != self.in_use {
            self.in_use.clone_from(&in_use);
            let key = ObjectKey { kind: Kind::Node, namespace: "".into(), name: self.boot.node.clone() };
            self.request(ctx, Asked::InUse, Request::Patch { key, patch: Patch::VolumesInUse(in_use) });
        }
    }

    /// The volumes of a pod in which nothing runs any more, or that is gone, are given back.
    pub(super) fn release_volumes(&mut self, ctx: &mut Context<'_>, uid: Uid) {
        self.give_configs_back(ctx, uid);
        if !self.mounts.is_empty() && self.mounts.remove(&uid).is_some() {
            self.report_in_use(ctx);
        }
    }
}
