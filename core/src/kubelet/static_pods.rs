//! Static pods: those that a kubelet has from its own files, and their images at the API server, the mirror pods.
//!
//! A static pod runs whatever the API server says or however long it is silent. The kubelet makes a mirror pod for
//! each, writes the status there, and makes it again when somebody deletes it. Nobody but this kubelet ends a static
//! pod. Invariant: a static pod's own object, with the uid that is made of its file, is never sent to the API server.
//!
//! Source: pkg/kubelet/config/common.go (`applyDefaults`), pkg/kubelet/pod/mirror_client.go, `tryReconcileMirrorPods`,
//! pkg/kubelet/kubelet.go (v1.34.1). Absent on purpose: files that change while the kubelet runs, and the annotation
//! `kubernetes.io/config.seen`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::api::{Answer, Propagation, Refusal, Reply, Request};
use crate::context::Context;
use crate::digest::{Shared, StableHasher};
use crate::id::{Name, Uid};
use crate::kubelet::Boot;
use crate::kubelet::row::{Asked, Row};
use crate::kubelet::status;
use crate::model::{
    CONFIG_HASH, CONFIG_MIRROR, CONFIG_SOURCE, Kind, Object, ObjectKey, OwnerReference, Pod, PodStatus, TaintEffect,
    Toleration, TolerationOperator,
};
use crate::time::{Span, Time};

/// How long after a mirror pod could not be made it is tried again, if the static pod does not change before.
///
/// Source: `SyncPod`, pkg/kubelet/kubelet.go, and `SyncFrequency`, pkg/kubelet/apis/config/v1beta1/defaults.go
/// (v1.34.1), without its jitter.
const RESYNC: Span = Span::from_secs(60);

/// The static pods of a kubelet.
pub(super) struct Statics {
    /// By the uid that is made of the file.
    pods: BTreeMap<Uid, Mirror>,
    /// The node's own identity, which the mirror pods name as their owner.
    node: Option<Uid>,
}

/// What the API server has of a static pod.
#[derive(Default)]
struct Mirror {
    pod: Option<Arc<Pod>>,
    asked: bool,
    /// The static pod has changed since the mirror pod was last asked for: its kubelet looks after both again.
    changed: bool,
    retry_at: Option<Time>,
}

impl Statics {
    /// What a kubelet knows of its static pods when it starts; nothing if it has none.
    pub(super) fn of(boot: &Boot) -> Option<Box<Statics>> {
        let pods =
            boot.static_pods.iter().map(|manifest| (of_manifest(manifest, &boot.node).meta.uid, Mirror::default()));
        (!boot.static_pods.is_empty()).then(|| Box::new(Statics { pods: pods.collect(), node: None }))
    }
}

/// The pod that a kubelet makes of a manifest among its files.
fn of_manifest(manifest: &Pod, node: &Name) -> Pod {
    let mut pod = manifest.clone();
    let high = StableHasher::hash_one(&(node, &pod.meta.namespace, &pod.meta.name));
    let low = StableHasher::hash_one(&(node, pod.spec.stable_hash(), &pod.meta.labels, &pod.meta.annotations));
    let uid = Uid::new(u128::from(high) << 64 | u128::from(low));
    let hash: Name = format!("{:032x}", uid.bits()).into();
    let mut spec = (*pod.spec).clone();
    spec.tolerations.push(Toleration {
        key: Name::default(),
        operator: TolerationOperator::Exists,
        value: Name::default(),
        effect: Some(TaintEffect::NoExecute),
        seconds: None,
    });
    pod.spec = Shared::new(spec);
    pod.meta.name = format!("{}-{node}", pod.meta.name).into();
    pod.meta.uid = uid;
    pod.meta.annotations = pod.meta.annotations.with(CONFIG_HASH, hash).with(CONFIG_SOURCE, "file");
    pod.node = Some(node.clone());
    pod.status = PodStatus::default().into();
    pod
}

/// The mirror pod of a static pod, as its kubelet asks for it.
fn mirror_of(pod: &Pod, node: &Name, uid: Uid) -> Pod {
    let owner =
        OwnerReference { kind: Kind::Node, name: node.clone(), uid, controller: true, block_owner_deletion: false };
    let mut mirror = pod.clone();
    let hash = pod.meta.annotations.get(CONFIG_HASH).cloned().unwrap_or_default();
    mirror.meta.annotations = mirror.meta.annotations.with(CONFIG_MIRROR, hash);
    mirror.meta.owners = [owner].into();
    mirror.status = PodStatus::default().into();
    mirror
}

impl Row {
    /// Takes on the static pods, when the runtime has said what runs already.
    pub(super) fn begin_statics(&mut self, ctx: &mut Context<'_>) {
        let boot = self.boot.clone();
        for manifest in &boot.static_pods {
            self.on_pod(ctx, Arc::new(of_manifest(manifest, &boot.node)));
        }
    }

    /// Whether a pod is one of this kubelet's files.
    pub(super) fn is_static(&self, uid: Uid) -> bool {
        self.statics.as_ref().is_some_and(|statics| statics.pods.contains_key(&uid))
    }

    /// The node is registered: mirror pods can be made.
    pub(super) fn on_node_uid(&mut self, ctx: &mut Context<'_>, node: Uid) {
        let Some(statics) = self.statics.as_mut().filter(|statics| statics.node != Some(node)) else { return };
        statics.node = Some(node);
        self.reflect_all(ctx, |_| true);
    }

    /// A mirror pod is new or has changed; `false` if the pod is none.
    pub(super) fn on_mirror(&mut self, ctx: &mut Context<'_>, pod: &Arc<Pod>) -> bool {
        let Some(hash) = pod.meta.annotations.get(CONFIG_MIRROR) else { return false };
        let statics = self.statics.as_mut().map(|statics| &mut statics.pods);
        let found = statics.and_then(|pods| pods.iter_mut().find(|(uid, _)| *format!("{:032x}", uid.bits()) == **hash));
        match found {
            Some((uid, mirror)) => {
                mirror.pod = Some(pod.clone());
                let uid = *uid;
                self.reflect(ctx, uid);
            }
            // The image of what no file says is taken away.
            None => {
                let key = ObjectKey::new(Kind::Pod, &pod.meta.namespace, &pod.meta.name);
                let uid = pod.meta.uid;
                let request = removal(key, uid);
                self.request(ctx, Asked::Mirror(uid), request);
            }
        }
        true
    }

    /// A mirror pod is gone: it is made again at once; `false` if the pod was none.
    pub(super) fn on_mirror_removed(&mut self, ctx: &mut Context<'_>, gone: Uid) -> bool {
        let is_gone = |mirror: &Mirror| mirror.pod.as_ref().is_some_and(|pod| pod.meta.uid == gone);
        let mut pods = self.statics.iter_mut().flat_map(|statics| statics.pods.iter_mut());
        let Some((uid, mirror)) = pods.find(|(_, mirror)| is_gone(mirror)) else { return false };
        mirror.pod = None;
        let uid = *uid;
        self.reflect(ctx, uid);
        true
    }

    /// The API server has listed the node's pods: mirror pods that are not among them are gone.
    pub(super) fn on_mirrors_listed(&mut self, ctx: &mut Context<'_>, listed: &[Uid]) {
        let pods = self.statics.iter().flat_map(|statics| statics.pods.values());
        let known = pods.filter_map(|mirror| mirror.pod.as_ref()).map(|pod| pod.meta.uid);
        let gone: Vec<Uid> = known.filter(|uid| !listed.contains(uid)).collect();
        for uid in gone {
            self.on_mirror_removed(ctx, uid);
        }
        self.reflect_all(ctx, |mirror| mirror.pod.is_none());
    }

    /// An answer about a mirror pod.
    pub(super) fn on_mirror_answer(&mut self, ctx: &mut Context<'_>, uid: Uid, answer: Answer) {
        let now = ctx.now;
        let Some(mirror) = self.statics.as_mut().and_then(|statics| statics.pods.get_mut(&uid)) else { return };
        mirror.asked = false;
        let was_there = mirror.pod.is_some();
        match answer {
            Ok(Reply::Object(Object::Pod(pod), _) | Reply::Deleted(Some(Object::Pod(pod)))) => mirror.pod = Some(pod),
            Ok(_) => mirror.pod = None,
            // What was there is not: the next look makes it.
            Err(Refusal::NotFound(_)) if was_there => mirror.pod = None,
            // The watch has shown it while it was being made: a kubelet that starts knows its node before its pods.
            Err(Refusal::AlreadyExists { .. }) if was_there => {}
            Err(_) => {
                mirror.retry_at = Some(now + RESYNC);
                self.arm_retry(ctx, now + RESYNC);
                if was_there {
                    return;
                }
            }
        }
        self.reflect(ctx, uid);
    }

    /// The request about a mirror pod got no answer in time.
    pub(super) fn on_mirror_silence(&mut self, ctx: &mut Context<'_>, uid: Uid) {
        if let Some(mirror) = self.statics.as_mut().and_then(|statics| statics.pods.get_mut(&uid)) {
            mirror.asked = false;
            self.reflect(ctx, uid);
        }
    }

    /// Makes the mirror pods whose time has come.
    pub(super) fn retry_mirrors(&mut self, ctx: &mut Context<'_>) {
        let now = ctx.now;
        self.reflect_all(ctx, |mirror| mirror.retry_at.is_some_and(|at| at <= now));
    }

    /// When a mirror pod is to be tried next.
    pub(super) fn mirrors_due(&self) -> impl Iterator<Item = Time> {
        self.statics.iter().flat_map(|statics| statics.pods.values()).filter_map(|mirror| mirror.retry_at)
    }

    fn reflect_all(&mut self, ctx: &mut Context<'_>, which: impl Fn(&Mirror) -> bool) {
        let pods = self.statics.iter().flat_map(|statics| statics.pods.iter());
        let chosen: Vec<Uid> = pods.filter(|(_, mirror)| which(mirror)).map(|(uid, _)| *uid).collect();
        for uid in chosen {
            self.reflect(ctx, uid);
        }
    }

    /// Brings the mirror pod of a static pod to what the pod is.
    pub(super) fn reflect(&mut self, ctx: &mut Context<'_>, uid: Uid) {
        let Some(life) = self.pods.get_mut(&uid) else { return };
        life.news = false;
        // The status is the kubelet's own; the mirror pod only shows it.
        let status = status::desired(life, ctx.now);
        let changed = status != *life.pod.status;
        if changed {
            let Pod { meta, spec, own, node, status: _ } = &*life.pod;
            let (meta, spec, own, node) = (meta.clone(), spec.clone(), own.clone(), node.clone());
            life.pod = Arc::new(Pod { meta, spec, own, node, status: status.into() });
        }
        let pod = life.pod.clone();
        let node_name = self.boot.node.clone();
        let Some(statics) = &mut self.statics else { return };
        let Some(mirror) = statics.pods.get_mut(&uid) else { return };
        mirror.changed |= changed;
        if mirror.asked {
            return;
        }
        let request = match (&mirror.pod, statics.node) {
            (Some(image), _) if image.meta.is_terminating() => {
                removal(ObjectKey::new(Kind::Pod, &image.meta.namespace, &image.meta.name), image.meta.uid)
            }
            (Some(image), _) if image.status == pod.status => {
                mirror.retry_at = None;
                return;
            }
            (Some(image), _) => {
                let shown = Pod { status: pod.status.clone(), ..Pod::clone(image) };
                Request::UpdateStatus { object: Object::Pod(Arc::new(shown)), expected: None }
            }
            (None, Some(node)) if mirror.changed || mirror.retry_at.is_none_or(|at| at <= ctx.now) => {
                Request::Create(Object::Pod(Arc::new(mirror_of(&pod, &node_name, node))))
            }
            (None, _) => return,
        };
        (mirror.asked, mirror.changed, mirror.retry_at) = (true, false, None);
        self.request(ctx, Asked::Mirror(uid), request);
    }
}

/// The request by which a kubelet takes a mirror pod away at once.
fn removal(key: ObjectKey, uid: Uid) -> Request {
    Request::Delete { key, uid: Some(uid), grace: Some(Span::ZERO), propagation: Propagation::Background }
}
