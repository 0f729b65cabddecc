//! The ephemeral volume controller: a pod's ephemeral volumes get their claims.
//!
//! Source: pkg/controller/volume/ephemeral/controller.go (v1.34.1).

use super::{object, versions};
use crate::api::Request;
use crate::config::ControllerManagerConfig;
use crate::context::Context;
use crate::controllers::news::{News, Topics};
use crate::controllers::reconciler::{Desk, Reconciler, Step};
use crate::controllers::{NamespacedName, owned_by};
use crate::events::Event;
use crate::model::{ClaimTemplate, Kind, Meta, MetaExtras, PersistentVolumeClaim, Pod, PodVolumeSource};
use crate::store::View;

/// The number of this controller's client and work queue.
pub(in crate::controllers) const NUMBER: u8 = 21;
/// How the controller names itself in events.
const REPORTER: &str = "ephemeral_volume";
/// `--concurrent-ephemeralvolume-syncs`.
const WORKERS: u32 = 5;

/// The controller.
pub(in crate::controllers) struct Ephemeral {
    desk: Desk<NamespacedName, ()>,
}

impl Ephemeral {
    /// The controller before its start.
    pub(in crate::controllers) fn new(config: &ControllerManagerConfig) -> Ephemeral {
        Ephemeral { desk: Desk::new(NUMBER, WORKERS, config.client_limit, |_| false) }
    }

    fn on_pod(&mut self, pod: &Pod) {
        let ephemeral = pod.spec.volumes.iter().any(|it| matches!(it.source, PodVolumeSource::Ephemeral(_)));
        if ephemeral && !pod.meta.is_terminating() {
            self.desk.queue.add(NamespacedName::of_meta(&pod.meta));
        }
    }
}

fn claim_of(pod: &Pod, template: &ClaimTemplate, name: &str) -> PersistentVolumeClaim {
    let (annotations, original) = (template.annotations.clone(), template.original.clone());
    let meta = Meta {
        labels: template.labels.clone(),
        owners: [owned_by(Kind::Pod, &pod.meta)].into(),
        extras: MetaExtras { annotations, original, ..MetaExtras::default() }.into(),
        ..Meta::named(&pod.meta.namespace, name)
    };
    PersistentVolumeClaim { meta, spec: template.spec.clone(), ..PersistentVolumeClaim::default() }
}

impl Reconciler for Ephemeral {
    type Key = NamespacedName;
    type Stage = ();

    fn topics(&self) -> Topics {
        Topics::of(Kind::PersistentVolumeClaim).and(Topics::POD_VOLUMES)
    }

    fn desk(&mut self) -> &mut Desk<NamespacedName, ()> {
        &mut self.desk
    }

    fn list(&mut self, _ctx: &mut Context<'_>, view: View<'_>) {
        for (_, pod) in view.all::<Pod>() {
            self.on_pod(pod);
        }
    }

    fn note(&mut self, _ctx: &mut Context<'_>, view: View<'_>, News { change, .. }: &News<'_>) {
        // Changes of a pod are passed over: its volumes stay as they are.
        if let Some((None, Some(pod))) = versions::<Pod>(view, change) {
            self.on_pod(pod);
        }
        if let Some((Some(claim), None)) = versions::<PersistentVolumeClaim>(view, change)
            && let Some(owner) = claim.meta.controller().filter(|owner| owner.kind == Kind::Pod)
            && let Some((_, pod)) = view.find::<Pod>(&claim.meta.namespace, &owner.name)
        {
            self.on_pod(pod);
        }
    }

    fn sync(&mut self, ctx: &mut Context<'_>, view: View<'_>, key: NamespacedName) -> Step<NamespacedName, ()> {
        let found = view.find::<Pod>(&key.namespace, &key.name).filter(|(_, pod)| !pod.meta.is_terminating());
        let Some((_, pod)) = found else { return self.desk.finish(ctx, &key, false) };
        let (mut batches, mut failed) = (Vec::new(), false);
        for volume in &pod.spec.volumes {
            let PodVolumeSource::Ephemeral(template) = &volume.source else { continue };
            let Some((name, _)) = volume.claim_name(&pod.meta.name) else { continue };
            match view.find::<PersistentVolumeClaim>(&key.namespace, &name) {
                None => batches.push(vec![Request::Create(object(claim_of(pod, template, &name)))]),
                Some((_, claim)) if claim.meta.controller().is_some_and(|it| it.uid == pod.meta.uid) => {}
                Some(_) => {
                    let namespace = &key.namespace;
                    let message = format!(
                        "ephemeral volume {}: PVC {namespace}/{name} was not created for pod {namespace}/{} (pod is \
                         not owner)",
                        volume.name, pod.meta.name
                    );
                    let event = Event::warning(REPORTER, "FailedBinding", message).about(&pod.meta);
                    ctx.event(key.of(Kind::Pod), event);
                    failed = true;
                }
            }
        }
        if failed && batches.is_empty() {
            return self.desk.finish(ctx, &key, true);
        }
        self.desk.begin(ctx, key, (), batches)
    }
}
