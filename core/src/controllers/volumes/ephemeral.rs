//! The ephemeral volume controller: a pod's ephemeral volumes get their claims.
//!
//! Source: pkg/controller/volume/ephemeral/controller.go (v1.34.1).

use std::sync::Arc;

use super::{object, versions};
use crate::api::{Answer, Request};
use crate::config::ControllerManagerConfig;
use crate::context::Context;
use crate::controllers::news::{News, Topics};
use crate::controllers::reconciler::{Desk, Reconciler, Step};
use crate::controllers::requests::Ended;
use crate::controllers::{NamespacedName, owned_by};
use crate::events::Event;
use crate::id::Name;
use crate::model::{ClaimTemplate, Kind, Meta, MetaExtras, ObjectKey, PersistentVolumeClaim, Pod, PodVolumeSource};
use crate::store::View;

/// The number of this controller's client and work queue.
pub(in crate::controllers) const NUMBER: u8 = 21;
/// How the controller names itself in events.
const REPORTER: &str = "ephemeral_volume";
/// `--concurrent-ephemeralvolume-syncs`.
const WORKERS: u32 = 5;

/// The controller.
pub(in crate::controllers) struct Ephemeral {
    desk: Desk<NamespacedName, Stage>,
}

/// The creation of claims, one after the other.
pub(in crate::controllers) struct Stage {
    pod: Arc<Pod>,
    /// The volume and the claim of each.
    made: Vec<(Name, Name)>,
    /// What is wrong with the next volume's claim, if that is there and not the pod's.
    conflict: Option<String>,
}

impl Ephemeral {
    /// The controller before its start.
    pub(in crate::controllers) fn new(config: &ControllerManagerConfig) -> Ephemeral {
        Ephemeral { desk: Desk::new(NUMBER, WORKERS, config.client_limit, |_| false).telling(told) }
    }

    fn on_pod(&mut self, pod: &Pod) {
        let ephemeral = pod.spec.volumes.iter().any(|it| matches!(it.source, PodVolumeSource::Ephemeral(_)));
        if ephemeral && !pod.meta.is_terminating() {
            self.desk.queue.add(NamespacedName::of_meta(&pod.meta));
        }
    }
}

/// The event about an answer: only what fails is told.
fn told(stage: &Stage, place: usize, answer: &Answer) -> Option<(ObjectKey, Event)> {
    let (volume, claim) = &stage.made[place];
    let refusal = answer.as_ref().err()?;
    Some(failed(&stage.pod, &format!("ephemeral volume {volume}: create PVC {claim}: {refusal}")))
}

fn failed(pod: &Pod, message: &str) -> (ObjectKey, Event) {
    let event = Event::warning(REPORTER, "FailedBinding", message.to_owned()).about(&pod.meta);
    (NamespacedName::of_meta(&pod.meta).of(Kind::Pod), event)
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
    type Stage = Stage;

    fn topics(&self) -> Topics {
        Topics::of(Kind::PersistentVolumeClaim).and(Topics::POD_VOLUMES)
    }

    fn desk(&mut self) -> &mut Desk<NamespacedName, Stage> {
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
        // Whoever's the claim was: a pod whose own it could not be may have waited for its end. Its name begins with
        // the pod's.
        if let Some((Some(claim), None)) = versions::<PersistentVolumeClaim>(view, change) {
            let (namespace, name) = (&claim.meta.namespace, &claim.meta.name);
            let pod_of = |(dash, _)| view.find::<Pod>(namespace, &name[..dash].into()).map(|(_, pod)| pod);
            let pods = name.match_indices('-').filter_map(pod_of);
            let waiting = pods.filter(|pod| pod.claims().any(|(of_volume, owned)| owned && of_volume == *name));
            waiting.for_each(|pod| self.on_pod(pod));
        }
    }

    fn sync(&mut self, ctx: &mut Context<'_>, view: View<'_>, key: NamespacedName) -> Step<NamespacedName, Stage> {
        let found = view.find::<Pod>(&key.namespace, &key.name).filter(|(_, pod)| !pod.meta.is_terminating());
        let Some((_, pod)) = found else { return self.desk.finish(ctx, &key, false) };
        let mut batches = Vec::new();
        let mut stage = Stage { pod: pod.clone(), made: Vec::new(), conflict: None };
        for volume in &pod.spec.volumes {
            let PodVolumeSource::Ephemeral(template) = &volume.source else { continue };
            let Some((name, _)) = volume.claim_name(&pod.meta.name) else { continue };
            match view.find::<PersistentVolumeClaim>(&key.namespace, &name) {
                None => {
                    batches.push(vec![Request::Create(object(claim_of(pod, template, &name)))]);
                    stage.made.push((volume.name.clone(), name));
                }
                Some((_, claim)) if claim.meta.controller().is_some_and(|it| it.uid == pod.meta.uid) => {}
                Some(_) => {
                    let namespace = &key.namespace;
                    stage.conflict = Some(format!(
                        "ephemeral volume {}: PVC {namespace}/{name} was not created for pod {namespace}/{} (pod is \
                         not owner)",
                        volume.name, pod.meta.name
                    ));
                    break;
                }
            }
        }
        self.desk.begin(ctx, key, stage, batches)
    }

    fn proceed(
        &mut self,
        ctx: &mut Context<'_>,
        _view: View<'_>,
        ended: Ended<NamespacedName, Stage>,
    ) -> Step<NamespacedName, Stage> {
        let Ended { key, stage, error, .. } = ended;
        if let (Some(message), None) = (&stage.conflict, &error) {
            let (subject, event) = failed(&stage.pod, message);
            ctx.event(subject, event);
        }
        self.desk.finish(ctx, &key, error.is_some() || stage.conflict.is_some())
    }
}
