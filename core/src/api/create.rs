//! Creating objects: names, identity, namespace checks and what the API server fills in.

use std::sync::Arc;

use crate::api::admission;
use crate::api::namespace::{NAMESPACE_CONTENT, check_namespace};
use crate::api::{Answer, ApiServer, Refusal, Taken, apply, read, storage, update};
use crate::context::Context;
use crate::draw::{LETTERS, Purpose, below, draw, draw_uid};
use crate::id::{Name, Uid};
use crate::model::{
    CSIDriver, CSINode, CSIStorageCapacity, Conditions, ConfigMap, ControllerRevision, CronJob, DaemonSet, Deployment,
    EndpointSlice, Endpoints, JOB_NAME_LABELS, JOB_UID_LABELS, Job, Kind, Labels, LimitRange, Meta, Namespace, Node,
    Object, ObjectKey, PersistentVolume, PersistentVolumeClaim, PersistentVolumeStatus, Pod, PodDisruptionBudget,
    PriorityClass, ReplicaSet, ReplicationController, ResourceQuota, Secret, Service, ServiceAccount, StatefulSet,
    StorageClass, VolumeAttachment, with_object,
};
use crate::store::{Store, Stored};

/// How often a drawn name may collide before the creation is refused.
const NAME_ATTEMPTS: u64 = 8;

/// What comes before the drawn letters is cut at so many bytes.
///
/// Source: `MaxGeneratedNameLength`, staging/src/k8s.io/apiserver/pkg/storage/names/generate.go (v1.34.1).
const PREFIX_MAX: usize = 58;

/// What the API server fills in when it stores a new object of a kind.
trait Created: Stored {
    /// Completes the object, which has its name and identity already.
    fn on_creation(&mut self, api: &mut ApiServer, ctx: &Context<'_>);
}

macro_rules! created {
    ($($kind:ident: |$object:ident, $api:ident, $ctx:ident| $fill_in:expr;)*) => {
        $(impl Created for $kind {
            #[allow(unused_variables, reason = "most kinds need only a part")]
            fn on_creation(&mut self, $api: &mut ApiServer, $ctx: &Context<'_>) {
                let $object = self;
                $fill_in
            }
        })*
    };
}

created! {
    Namespace: |namespace, api, ctx| hold_by_content(namespace);
    Node: |node, api, ctx| admission::taint_node(node);
    Pod: |pod, api, ctx| {};
    ReplicaSet: |set, api, ctx| set.status = Default::default();
    Deployment: |deployment, api, ctx| deployment.status = Default::default();
    Service: |service, api, ctx| {};
    EndpointSlice: |slice, api, ctx| {};
    Endpoints: |endpoints, api, ctx| {};
    StatefulSet: |set, api, ctx| set.status = Default::default();
    DaemonSet: |set, api, ctx| {
        set.status = Default::default();
        set.template_generation = set.template_generation.max(1);
    };
    ControllerRevision: |revision, api, ctx| {};
    Job: |job, api, ctx| complete_job(job);
    CronJob: |cron_job, api, ctx| cron_job.status = Default::default();
    ReplicationController: |set, api, ctx| set.status = Default::default();
    PersistentVolume: |volume, api, ctx|
        volume.status = PersistentVolumeStatus { phase_changed_at: Some(ctx.now), ..Default::default() };
    PersistentVolumeClaim: |claim, api, ctx| claim.status = Default::default();
    StorageClass: |class, api, ctx| {};
    CSINode: |node, api, ctx| {};
    VolumeAttachment: |attachment, api, ctx| attachment.status = Default::default();
    CSIDriver: |driver, api, ctx| {};
    CSIStorageCapacity: |capacity, api, ctx| {};
    ConfigMap: |map, api, ctx| {};
    Secret: |secret, api, ctx| {};
    ServiceAccount: |account, api, ctx| {};
    ResourceQuota: |quota, api, ctx| quota.status = Default::default();
    LimitRange: |range, api, ctx| {};
    PriorityClass: |class, api, ctx| {};
    PodDisruptionBudget: |budget, api, ctx| budget.status = Default::default();
}

impl ApiServer {
    /// Stores a new object.
    pub(super) fn create(&mut self, ctx: &mut Context<'_>, store: &mut Store, mut object: Object) -> Answer {
        storage::admit(store, &mut object);
        if let Object::Service(service) = &mut object {
            let service = Arc::make_mut(service);
            check_namespace(
                store.newest(),
                &ObjectKey::new(Kind::Service, &service.meta.namespace, &service.meta.name),
            )?;
            self.services.admit(ctx, service, self.creations)?;
        }
        with_object!(object, version => self.create_kind(ctx, store, version))
    }

    /// Creates the object or brings an existing one to what it says, as `kubectl apply` does.
    pub(super) fn apply(
        &mut self,
        ctx: &mut Context<'_>,
        store: &mut Store,
        object: Object,
        sets_replicas: bool,
    ) -> Answer {
        let key = object.key();
        match read::current(store, &key) {
            None => self.create(ctx, store, object),
            Some(stored) => {
                let mut merged = apply::merged(object, &stored, sets_replicas);
                self.prepare_service_update(ctx, store, &mut merged)?;
                update::update(ctx, store, merged, None)
            }
        }
    }

    fn create_kind<T: Created>(&mut self, ctx: &mut Context<'_>, store: &mut Store, object: Arc<T>) -> Answer {
        let mut object = Arc::unwrap_or_clone(object);
        let Meta { namespace, name, generate_name, .. } = object.meta();
        let key = ObjectKey { kind: T::KIND, namespace: namespace.clone(), name: name.clone() };
        let generate_name = *generate_name;
        if T::KIND.is_namespaced() {
            // All objects of a namespace share its name, so that comparing their keys reads it seldom.
            object.meta_mut().namespace = check_namespace(store.newest(), &key)?;
        }
        let creation = self.creations;
        let name = if generate_name {
            free_name::<T>(ctx.seed(), store, &key, creation)?
        } else if let Some((_, there)) = store.newest().find::<T>(&key.namespace, &key.name) {
            let taken = Taken { by_one_that_ends: there.meta().is_terminating(), though_generated: false };
            // Admission comes first, so a creation that fails here has been charged to the namespace's quotas.
            self.admission.admit(ctx, store, object, &key.name)?;
            return Err(Refusal::AlreadyExists { key, taken });
        } else {
            key.name.clone()
        };
        self.creations += 1;
        let meta = object.meta_mut();
        meta.name = name;
        meta.generate_name = false;
        meta.uid = uid(ctx.seed(), creation);
        meta.generation = 1;
        meta.created_at = ctx.now;
        if (meta.deleted_at, meta.deletion_grace) != (None, None) {
            (meta.deleted_at, meta.deletion_grace) = (None, None);
        }
        object.on_creation(self, ctx);
        let object = self.admission.admit(ctx, store, object, &key.name)?;
        let (row, revision) = store.insert(object);
        Ok(read::stored::<T>(store, row, revision))
    }
}

fn free_name<T: Stored>(seed: u64, store: &Store, key: &ObjectKey, creation: u64) -> Result<Name, Refusal> {
    let prefix = key.name.get(..PREFIX_MAX).unwrap_or(&key.name);
    let (mut last, mut taken) = (Name::default(), Taken { though_generated: true, ..Taken::default() });
    for attempt in 0..NAME_ATTEMPTS {
        let mut letters = draw(seed, Purpose::NameSuffix, creation, attempt);
        let mut name = String::with_capacity(prefix.len() + 5);
        name.push_str(prefix);
        for _ in 0..5 {
            let letter = below(letters, LETTERS.len() as u64);
            letters = letters.wrapping_mul(LETTERS.len() as u64);
            name.push(char::from(LETTERS[letter as usize]));
        }
        let name: Name = name.into();
        let Some((_, there)) = store.newest().find::<T>(&key.namespace, &name) else { return Ok(name) };
        taken.by_one_that_ends = there.meta().is_terminating();
        last = name;
    }
    Err(Refusal::AlreadyExists { key: ObjectKey { name: last, ..key.clone() }, taken })
}

/// A namespace goes only when the namespace controller has emptied it.
///
/// Source: `namespaceStrategy.PrepareForCreate`, pkg/registry/core/namespace/strategy.go (v1.34.1).
fn hold_by_content(namespace: &mut Namespace) {
    namespace.conditions = Conditions::default();
    let finalizers = &mut namespace.finalizers;
    if !finalizers.iter().any(|finalizer| **finalizer == *NAMESPACE_CONTENT) {
        *finalizers = finalizers.iter().cloned().chain([NAMESPACE_CONTENT.into()]).collect();
    }
}

/// Makes the selector and the labels of a Job that has not chosen its own. A Job without labels gets its template's:
/// those are one map in the API server when the selector is made, so the made labels are among them.
///
/// Source: `generateSelector`, pkg/registry/batch/job/strategy.go; `SetDefaults_Job`, pkg/apis/batch/v1/defaults.go
/// (v1.34.1).
fn complete_job(job: &mut Job) {
    job.status = Default::default();
    let takes_template_labels = job.meta.labels.is_empty() && !job.spec.template.labels.is_empty();
    if !job.spec.manual_selector {
        let uid: Name = job.meta.uid.to_string().into();
        let names = JOB_NAME_LABELS.map(|key| (key, job.meta.name.clone()));
        let mut labels = job.spec.template.labels.clone();
        for (key, value) in names.into_iter().chain(JOB_UID_LABELS.map(|key| (key, uid.clone()))) {
            if labels.get(key).is_none() {
                labels = labels.with(key, value);
            }
        }
        job.spec.template.labels = labels;
        let selected: &mut Labels = &mut job.spec.selector.match_labels;
        if selected.get(JOB_UID_LABELS[1]).is_none() {
            *selected = selected.with(JOB_UID_LABELS[1], uid);
        }
    }
    if takes_template_labels {
        job.meta.labels = job.spec.template.labels.clone();
    }
}

/// A UUID of version 4, drawn by the number of objects created before.
fn uid(seed: u64, creation: u64) -> Uid {
    draw_uid(seed, Purpose::Uid, creation, 0)
}
