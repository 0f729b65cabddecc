//! Volumes whose files the kubelet writes: a pod waits until all of them can be set up.
//!
//! An attempt that fails is told as an event and made again after a growing wait; that the missing object has appeared
//! is seen by the next attempt. When an object, or the pod's own labels, change, the volumes of running pods that show
//! it are set up again at the pod's next sync, some time within the minute and a half between two of them; variables
//! stay as they were. Invariant: pods whose volumes could all be set up at once, and whose objects have not changed
//! since, have no row here.
//!
//! Source: pkg/kubelet/volumemanager/reconciler; `GenerateMountVolumeFunc`,
//! pkg/volume/util/operationexecutor/operation_generator.go; pkg/volume/util/nestedpendingoperations (v1.34.1).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::api::Request;
use crate::context::Context;
use crate::draw::{Purpose, draw, span_below};
use crate::events::Event;
use crate::facts::What;
use crate::id::{Name, ProcId, Uid};
use crate::kubelet::configs::{kind_of, needs, pull_secrets};
use crate::kubelet::row::{Asked, Row};
use crate::kubelet::values::Values;
use crate::kubelet::volumes::{FIRST_WAIT, LONGEST_WAIT};
use crate::kubelet::{ContainerConfig, RuntimeRequest};
use crate::model::{FileSource, ObjectKey, Pod, PodVolume, PodVolumeSource};
use crate::seam::Msg;
use crate::time::{Span, Time};

/// The longest time between two syncs of a pod: `syncFrequency` and half of it by chance.
///
/// Source: `completeWork`, pkg/kubelet/pod_workers.go (v1.34.1).
const SYNC_PERIOD_MAX: Span = Span::from_secs(90);

/// What a pod waits for.
pub(super) struct FileMounts {
    /// Objects of the pod have not been read: nothing is tried before then.
    reads_until: Option<Time>,
    unmounted: Vec<Unmounted>,
    /// The pod runs already.
    runs: bool,
}

struct Unmounted {
    volume: Name,
    tries_at: Time,
    wait: Span,
}

impl FileMounts {
    /// When this is to be looked at next.
    pub(super) fn due(&self) -> Time {
        let tries = || self.unmounted.iter().map(|it| it.tries_at).min();
        self.reads_until.or_else(tries).expect("a pod waits for a reading or a volume")
    }
}

impl Values<'_> {
    /// Sets up a volume by its name: that of the account's token, or one of the spec.
    fn set_up(&self, volume: &Name) -> Result<(), String> {
        match self.pod.spec.volumes.iter().find(|it| it.name == *volume).map(|it| &it.source) {
            Some(PodVolumeSource::Files(files)) => self.files(files).map(|_| ()),
            Some(_) => Ok(()),
            None => self.root_certificate(),
        }
    }

    /// Whether all volumes can be set up now.
    fn can_set_up_all(&self) -> bool {
        let sets_up = |source: &PodVolumeSource| match source {
            PodVolumeSource::Files(files) => self.files(files).is_ok(),
            _ => true,
        };
        (!self.pod.needs_root_certificate() || self.root_certificate().is_ok())
            && self.pod.spec.volumes.iter().all(|volume| sets_up(&volume.source))
    }
}

/// The names of a pod's volumes with files, that of the account's token last.
fn volumes_of(pod: &Pod) -> Vec<Name> {
    let files = pod.spec.volumes.iter().filter(|it| matches!(it.source, PodVolumeSource::Files(_)));
    let token = pod.token_volume().filter(|_| pod.needs_root_certificate());
    files.map(|volume| volume.name.clone()).chain(token).collect()
}

/// Whether a pod names ConfigMaps or Secrets, for whatever purpose.
fn names_objects(pod: &Pod) -> bool {
    !pod.spec.references.is_empty() || pull_secrets(pod).next().is_some()
}

impl Row {
    /// A new pod's objects are watched from now on.
    pub(super) fn take_configs(&mut self, ctx: &mut Context<'_>, uid: Uid) {
        let Some(life) = self.pods.get_mut(&uid) else { return };
        let needs_nothing = !names_objects(&life.pod) && !life.pod.needs_root_certificate();
        if life.uses_configs || needs_nothing {
            return;
        }
        life.uses_configs = true;
        for key in needs(&life.pod) {
            if self.configs.add_user(&key, ctx.now) {
                let id = self.request(ctx, Asked::Config, Request::WatchConfig(key.clone()));
                self.configs.asked(&key, id);
            }
        }
    }

    /// A pod waits no more. Most nodes have none that waits, and an empty map of its own takes no memory.
    fn forget_files(&mut self, uid: Uid) {
        if self.files.remove(&uid).is_some() && self.files.is_empty() {
            self.files = BTreeMap::new();
        }
    }

    /// A pod that has ended uses its objects no more.
    pub(super) fn give_configs_back(&mut self, ctx: &mut Context<'_>, uid: Uid) {
        self.forget_files(uid);
        let Some(life) = self.pods.get_mut(&uid).filter(|life| life.uses_configs) else { return };
        life.uses_configs = false;
        for key in needs(&life.pod) {
            if self.configs.remove_user(&key) {
                ctx.send(ProcId::API_SERVER, Msg::Unwatch(key));
            }
        }
    }

    /// All objects are read anew: their watches have broken.
    pub(super) fn rewatch_configs(&mut self, ctx: &mut Context<'_>) {
        self.forget_asked(Asked::Config);
        for key in self.configs.keys() {
            let id = self.request(ctx, Asked::Config, Request::WatchConfig(key.clone()));
            self.configs.asked(&key, id);
        }
    }

    /// A new pod waits for its files, unless they can be written at once.
    pub(super) fn begin_files(&mut self, ctx: &mut Context<'_>, uid: Uid) {
        let Some(life) = self.pods.get_mut(&uid).filter(|life| life.uses_configs) else { return };
        let values = Values { pod: &life.pod, address: None, configs: &self.configs, services: None, boot: &self.boot };
        let sets_up = values.can_set_up_all();
        if sets_up && !names_objects(&life.pod) {
            return;
        }
        let reads_until = self.configs.waits_until(&needs(&life.pod), ctx.now);
        if sets_up && reads_until.is_none() {
            return;
        }
        let unmounted = |volume| Unmounted { volume, tries_at: ctx.now, wait: FIRST_WAIT };
        let unmounted = volumes_of(&life.pod).into_iter().map(unmounted).collect();
        life.waits_for_volumes = true;
        self.files.insert(uid, FileMounts { reads_until, unmounted, runs: false });
        self.see_to_files(ctx, uid);
    }

    /// Something of what pods wait to read has been read.
    pub(super) fn on_config_read(&mut self, ctx: &mut Context<'_>) {
        let reading = self.files.iter().filter(|(_, files)| files.reads_until.is_some());
        for uid in reading.map(|(uid, _)| *uid).collect::<Vec<_>>() {
            self.see_to_files(ctx, uid);
        }
    }

    /// Looks at all pods whose time has come.
    pub(super) fn look_at_files(&mut self, ctx: &mut Context<'_>) {
        let due: Vec<Uid> =
            self.files.iter().filter(|(_, files)| files.due() <= ctx.now).map(|(uid, _)| *uid).collect();
        for uid in due {
            self.see_to_files(ctx, uid);
        }
    }

    /// An object has changed: the volumes of running pods that show it are set up again at their next sync.
    pub(super) fn set_up_again(&mut self, ctx: &mut Context<'_>, key: &ObjectKey) {
        let shows =
            |volume: &PodVolume| volume.config().any(|(kind, name)| kind_of(kind) == key.kind && *name == key.name);
        let mut concerned: Vec<(Uid, Vec<Name>)> = Vec::new();
        for life in self.pods.in_order() {
            let runs = life.uses_configs && !life.waits_for_volumes && life.pod.meta.namespace == key.namespace;
            if runs && !life.pod.spec.references.is_empty() {
                let volumes = life.pod.spec.volumes.iter().filter(|volume| shows(volume));
                concerned.push((life.uid(), volumes.map(|volume| volume.name.clone()).collect()));
            }
        }
        for (uid, volumes) in concerned {
            self.set_up_at_next_sync(ctx, uid, volumes);
        }
    }

    /// The labels or annotations of a pod have changed: its volumes that tell of them are set up again.
    pub(super) fn tell_of_fields(&mut self, ctx: &mut Context<'_>, uid: Uid) {
        let Some(life) = self.pods.get(&uid).filter(|life| !life.waits_for_volumes) else { return };
        let tells = |volume: &&PodVolume| match &volume.source {
            PodVolumeSource::Files(files) => files.sources.iter().any(|it| matches!(it, FileSource::Downward { .. })),
            _ => false,
        };
        let volumes = life.pod.spec.volumes.iter().filter(tells).map(|volume| volume.name.clone()).collect();
        self.set_up_at_next_sync(ctx, uid, volumes);
    }

    fn set_up_at_next_sync(&mut self, ctx: &mut Context<'_>, uid: Uid, volumes: Vec<Name>) {
        if volumes.is_empty() {
            return;
        }
        let drawn = draw(ctx.seed(), Purpose::PodResync, uid.low(), ctx.now.0);
        let tries_at = ctx.now + span_below(drawn, SYNC_PERIOD_MAX);
        let empty = FileMounts { reads_until: None, unmounted: Vec::new(), runs: true };
        let files = self.files.entry(uid).or_insert(empty);
        for volume in volumes {
            if !files.unmounted.iter().any(|it| it.volume == volume) {
                files.unmounted.push(Unmounted { volume, tries_at, wait: FIRST_WAIT });
            }
        }
        let due = files.due();
        self.arm_retry(ctx, due);
    }

    /// The running containers of a pod get the files of volumes that have been set up again.
    fn update_files(&mut self, ctx: &mut Context<'_>, uid: Uid, volumes: Vec<Name>) {
        let Some(life) = self.pods.get(&uid).filter(|_| !volumes.is_empty()) else { return };
        let values = Values { pod: &life.pod, address: None, configs: &self.configs, services: None, boot: &self.boot };
        let mut updates = Vec::new();
        for (place, container) in life.containers.iter().enumerate().filter(|(_, it)| it.is_running()) {
            let files = values.mounted_files(life.spec(place)).unwrap_or_default();
            if files.iter().any(|file| file.updated) {
                let config = Arc::new(ContainerConfig { files, ..ContainerConfig::default() });
                let (container, attempt) = (life.index(place), container.attempt);
                updates.push(RuntimeRequest::UpdateFiles { pod: uid, container, attempt, config });
            }
        }
        let key = life.key();
        volumes.into_iter().for_each(|volume| ctx.record(key.clone(), What::FilesUpdated { volume }));
        let mut host = self.host(ctx);
        updates.into_iter().for_each(|update| host.ask(update));
    }

    /// Tries the volumes that are due, and lets the pod begin when all are there.
    fn see_to_files(&mut self, ctx: &mut Context<'_>, uid: Uid) {
        let node = self.boot.node.clone();
        let (Some(files), Some(life)) = (self.files.get_mut(&uid), self.pods.get(&uid)) else { return };
        files.reads_until = self.configs.waits_until(&needs(&life.pod), ctx.now);
        if files.reads_until.is_none() {
            let values =
                Values { pod: &life.pod, address: None, configs: &self.configs, services: None, boot: &self.boot };
            let (now, runs) = (ctx.now, files.runs);
            let mut updated = Vec::new();
            files.unmounted.retain_mut(|it| {
                if it.tries_at > now {
                    return true;
                }
                let Err(why) = values.set_up(&it.volume) else {
                    updated.extend(runs.then(|| it.volume.clone()));
                    return false;
                };
                let message = format!("MountVolume.SetUp failed for volume {:?} : {why}", &*it.volume);
                let event = Event::warning("kubelet", "FailedMount", message).about(&life.pod.meta).on_host(&node);
                ctx.event(life.key(), event);
                it.tries_at = now + it.wait;
                it.wait = Span(it.wait.0 * 2).min(LONGEST_WAIT);
                true
            });
            let (done, due) = (files.unmounted.is_empty(), (!files.unmounted.is_empty()).then(|| files.due()));
            if done {
                self.forget_files(uid);
            }
            match due {
                _ if runs => {
                    self.update_files(ctx, uid, updated);
                    return due.into_iter().for_each(|due| self.arm_retry(ctx, due));
                }
                None => return self.volumes_are_there(ctx, uid),
                Some(_) => {}
            }
        }
        let Some(files) = self.files.get(&uid) else { return };
        let due = files.due();
        self.arm_retry(ctx, due);
    }
}
