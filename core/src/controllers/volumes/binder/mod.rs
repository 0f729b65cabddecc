//! The binder of claims and volumes (`persistentvolume-binder-controller`).
//!
//! Unbound claims are looked at again every 15 s, as the resynchronisation of the real one does. Differences: one
//! worker for claims and volumes together; a volume is recycled at once, without a pod that does it; the growth of
//! volumes and the migration of in-tree volumes' annotations are not modelled.
//!
//! Here is the loop; `claims` and `volumes` say what a sync of either wants, as a `Plan`.
//!
//! Source: pkg/controller/volume/persistentvolume/{pv_controller,index}.go (v1.34.1).

mod claims;
mod plan;
mod volumes;

use std::collections::BTreeSet;

use super::{is_pod_terminated, object, versions};
use crate::config::ControllerManagerConfig;
use crate::context::Context;
use crate::controllers::NamespacedName;
use crate::controllers::news::{News, Topics};
use crate::controllers::reconciler::{Desk, Reconciler, Step};
use crate::controllers::requests::Ended;
use crate::events::Event;
use crate::id::Name;
use crate::model::{Kind, Meta, ObjectKey, PersistentVolume, PersistentVolumeClaim};
use crate::store::View;
use crate::time::{Span, Time};
use claims::sync_claim;
use plan::Plan;
use volumes::sync_volume;

/// The number of this controller's client and work queue.
pub(in crate::controllers) const NUMBER: u8 = 14;
/// How the controller names itself in events.
const REPORTER: &str = "persistentvolume-controller";
/// `--pvclaimbinder-sync-period`.
const RESYNC_PERIOD: Span = Span::from_secs(15);

/// The controller.
pub(in crate::controllers) struct Binder {
    desk: Desk<Key, Stage>,
    started_at: Time,
    /// Claims that will be looked at again at the next resynchronisation.
    unsettled: BTreeSet<Key>,
}

/// What a sync is for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(in crate::controllers) enum Key {
    /// A claim.
    Claim(NamespacedName),
    /// A volume.
    Volume(Name),
}

/// What a sync says once its writes have been granted.
pub(in crate::controllers) struct Stage {
    events: Vec<(ObjectKey, Event)>,
}

impl Binder {
    /// The controller before its start.
    pub(in crate::controllers) fn new(config: &ControllerManagerConfig) -> Binder {
        let desk = Desk::new(NUMBER, 1, config.client_limit, |_| false);
        Binder { desk, started_at: Time::ZERO, unsettled: BTreeSet::new() }
    }

    fn on_claim(&mut self, meta: &Meta) {
        self.desk.queue.add(Key::Claim(NamespacedName::of_meta(meta)));
    }

    /// The next point of the grid on which everything is looked at again.
    fn until_resync(&self, now: Time) -> Span {
        let passed = now.since(self.started_at).0 % RESYNC_PERIOD.0;
        Span(RESYNC_PERIOD.0 - passed)
    }
}

impl Reconciler for Binder {
    type Key = Key;
    type Stage = Stage;

    fn topics(&self) -> Topics {
        Topics::of_all(&[Kind::PersistentVolumeClaim, Kind::PersistentVolume])
    }

    fn desk(&mut self) -> &mut Desk<Key, Stage> {
        &mut self.desk
    }

    fn list(&mut self, ctx: &mut Context<'_>, view: View<'_>) {
        self.started_at = ctx.now;
        for (_, volume) in view.all::<PersistentVolume>() {
            self.desk.queue.add(Key::Volume(volume.meta.name.clone()));
        }
        for (_, claim) in view.all::<PersistentVolumeClaim>() {
            self.on_claim(&claim.meta);
        }
    }

    fn note(&mut self, ctx: &mut Context<'_>, view: View<'_>, News { change, .. }: &News<'_>) {
        if let Some((old, new)) = versions::<PersistentVolume>(view, change) {
            let Some(volume) = new.or(old) else { return };
            self.desk.queue.add(Key::Volume(volume.meta.name.clone()));
            if new.is_none()
                && let Some(claim) = &volume.claim
            {
                let (namespace, name) = (claim.namespace.clone(), claim.name.clone());
                self.desk.queue.add(Key::Claim(NamespacedName::new(namespace, name)));
            }
            // A claim whose volume has lost it is not told: it is looked at with all others.
            if let (Some(old), Some(new)) = (old, new)
                && let Some(claim) = old.claim.as_ref().filter(|_| old.claim != new.claim)
            {
                let key = Key::Claim(NamespacedName::new(claim.namespace.clone(), claim.name.clone()));
                let delay = self.until_resync(ctx.now);
                self.desk.queue.add_after(ctx, key, delay);
            }
        }
        if let Some((old, new)) = versions::<PersistentVolumeClaim>(view, change) {
            let Some(claim) = new.or(old) else { return };
            self.on_claim(&claim.meta);
            if new.is_none() && !claim.spec.volume.is_empty() {
                self.desk.queue.add(Key::Volume(claim.spec.volume.clone()));
            }
        }
    }

    fn sync(&mut self, ctx: &mut Context<'_>, view: View<'_>, key: Key) -> Step<Key, Stage> {
        self.unsettled.remove(&key);
        let plan = match &key {
            Key::Claim(name) => match view.find::<PersistentVolumeClaim>(&name.namespace, &name.name) {
                Some((_, claim)) => sync_claim(view, claim),
                None => Plan::default(),
            },
            Key::Volume(name) => match view.find::<PersistentVolume>(&Name::default(), name) {
                Some((_, volume)) => sync_volume(view, volume),
                None => Plan::default(),
            },
        };
        if plan.unsettled && self.unsettled.insert(key.clone()) {
            let delay = self.until_resync(ctx.now);
            self.desk.queue.add_after(ctx, key.clone(), delay);
        }
        let batches = plan.writes.into_iter().map(|write| vec![write]);
        self.desk.begin(ctx, key, Stage { events: plan.events }, batches)
    }

    fn proceed(&mut self, ctx: &mut Context<'_>, _view: View<'_>, ended: Ended<Key, Stage>) -> Step<Key, Stage> {
        let Ended { key, stage, error, .. } = ended;
        if error.is_none() {
            for (subject, event) in stage.events {
                ctx.event(subject, event);
            }
        } else if self.unsettled.insert(key.clone()) {
            // A refusal means that something has changed, which will be seen; the resynchronisation comes anyway.
            let delay = self.until_resync(ctx.now);
            self.desk.queue.add_after(ctx, key.clone(), delay);
        }
        self.desk.finish(ctx, &key, false)
    }
}
