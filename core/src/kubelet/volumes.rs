//! A pod's volumes on its node: what the kubelet waits for before it makes the pod's sandbox.
//!
//! Claim by claim: the claim must be bound, its volume be known, the node say that it uses the volume, and the
//! attach/detach controller say that it is attached. Mounting or mapping itself takes no time. After the pod's last
//! container the node says that it uses the volume no more. Invariant: pods without claims have no row here.
//!
//! Source: `WaitForAttachAndMount`, pkg/kubelet/volumemanager/volume_manager.go; `VerifyControllerAttachedVolume`,
//! pkg/volume/util/operationexecutor/operation_generator.go (v1.34.1).

use crate::api::{Answer, Refusal, Reply, Request};
use crate::events::Event;
use crate::id::Name;
use crate::kubelet::pod_life::SYNC_RETRY;
use crate::model::{ClaimPhase, Kind, Meta, Object, ObjectKey, PersistentVolume, Pod, VolumeMode, VolumeSource};
use crate::time::{Span, Time};

/// How often a claim that is not bound is looked at again.
///
/// Source: `desiredStateOfWorldPopulatorLoopSleepPeriod`, pkg/kubelet/volumemanager (v1.34.1) looks every 100 ms; a
/// look that costs a request comes with the back-off of the operations here.
pub(super) const FIRST_WAIT: Span = Span::from_millis(500);
/// The longest time between two looks.
///
/// Source: `maxDurationBeforeRetry`, pkg/util/goroutinemap/exponentialbackoff/exponential_backoff.go (v1.34.1).
pub(super) const LONGEST_WAIT: Span = Span::from_secs(122);

/// The volumes of one pod.
pub(super) struct Mounts {
    namespace: Name,
    volumes: Vec<Wanted>,
    /// A request of this pod is under way.
    pub(super) asked: bool,
    next_try: Time,
    wait: Span,
    /// What is amiss with a claim or its volume, and when the pod says so the next time.
    fault: Option<String>,
    complains_at: Time,
    /// Whether the pod ran before this kubelet did.
    pub(super) adopted: bool,
}

struct Wanted {
    name: Name,
    claim: Name,
    need: Need,
    unique: Option<Name>,
    device: Option<Device>,
}

/// A volume that its pod gets as a device, and the folder of its plugin.
#[derive(Clone)]
pub(super) struct Device {
    volume: Name,
    plugin: &'static str,
}

/// What is to be found out next about a volume.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Need {
    Claim,
    Volume(Name),
    Driver(Name),
    Attached,
    Nothing,
}

impl Mounts {
    /// The volumes of a pod's claims; `None` if it has none.
    pub(super) fn of(pod: &Pod, now: Time, adopted: bool) -> Option<Mounts> {
        let wanted = pod.spec.volumes.iter().filter_map(|volume| {
            let (claim, _) = volume.claim_name(&pod.meta.name)?;
            Some(Wanted { name: volume.name.clone(), claim, need: Need::Claim, unique: None, device: None })
        });
        let volumes: Vec<Wanted> = wanted.collect();
        let namespace = pod.meta.namespace.clone();
        (!volumes.is_empty()).then_some(Mounts {
            namespace,
            volumes,
            asked: false,
            next_try: now,
            wait: FIRST_WAIT,
            fault: None,
            complains_at: now,
            adopted,
        })
    }

    /// Whether everything is there.
    pub(super) fn is_done(&self) -> bool {
        self.volumes.iter().all(|wanted| wanted.need == Need::Nothing)
    }

    /// When this is to be looked at next; `None` if all is there or an answer is awaited.
    pub(super) fn due(&self) -> Option<Time> {
        (!self.is_done() && !self.asked).then_some(self.next_try)
    }

    /// The unique names of the volumes that a driver attaches.
    pub(super) fn in_use(&self) -> impl Iterator<Item = &Name> {
        self.volumes.iter().filter_map(|wanted| wanted.unique.as_ref())
    }

    /// The next question, if it is time for one.
    pub(super) fn question(&self, node: &Name, now: Time) -> Option<Request> {
        if self.asked || self.next_try > now {
            return None;
        }
        let wanted = self.volumes.iter().find(|wanted| wanted.need != Need::Nothing)?;
        let none = Name::default();
        let key = |kind, namespace: &Name, name: &Name| {
            Some(Request::Get(ObjectKey { kind, namespace: namespace.clone(), name: name.clone() }))
        };
        match &wanted.need {
            Need::Claim => key(Kind::PersistentVolumeClaim, &self.namespace, &wanted.claim),
            Need::Volume(volume) => key(Kind::PersistentVolume, &none, volume),
            Need::Driver(driver) => key(Kind::CSIDriver, &none, driver),
            Need::Attached => key(Kind::Node, &none, node),
            Need::Nothing => None,
        }
    }

    /// Takes in an answer to the last question; returns the device that the pod has since then.
    pub(super) fn on_answer(&mut self, answer: &Answer, now: Time) -> Option<Device> {
        self.asked = false;
        let wanted = self.volumes.iter_mut().find(|wanted| wanted.need != Need::Nothing)?;
        let next = match (&wanted.need, answer) {
            (Need::Claim, Ok(Reply::Object(Object::PersistentVolumeClaim(claim), _)))
                if claim.status.phase == ClaimPhase::Bound && !claim.spec.volume.is_empty() =>
            {
                Some(Need::Volume(claim.spec.volume.clone()))
            }
            (Need::Volume(_), Ok(Reply::Object(Object::PersistentVolume(volume), _))) => {
                wanted.device = Device::of(volume);
                match volume.source.csi() {
                    Some((driver, handle)) => {
                        wanted.unique = Some(format!("kubernetes.io/csi/{driver}^{handle}").into());
                        Some(Need::Driver(driver))
                    }
                    None => Some(Need::Nothing),
                }
            }
            (Need::Driver(_), Err(Refusal::NotFound(_))) => Some(Need::Attached),
            (Need::Driver(_), Ok(Reply::Object(Object::CSIDriver(driver), _))) => {
                Some(if driver.attach_required { Need::Attached } else { Need::Nothing })
            }
            (Need::Attached, Ok(Reply::Object(Object::Node(node), _))) => {
                let attached = node.status.volumes.as_ref().map_or(&[][..], |volumes| &volumes.attached);
                let there = wanted.unique.as_ref().is_some_and(|unique| attached.contains(unique));
                there.then_some(Need::Nothing)
            }
            _ => None,
        };
        let (namespace, claim) = (&self.namespace, &wanted.claim);
        let fault = match (&wanted.need, answer) {
            _ if next.is_some() => None,
            (Need::Claim, Ok(_)) => Some("PVC is not bound".to_owned()),
            (Need::Claim, Err(Refusal::NotFound(_))) => {
                let why = format!("persistentvolumeclaims {:?} not found", &**claim);
                Some(format!("failed to fetch PVC from API server: {why}"))
            }
            (Need::Volume(volume), Err(Refusal::NotFound(_))) => {
                let why = format!("persistentvolumes {:?} not found", &**volume);
                Some(format!("failed to fetch PV {volume} from API server: {why}"))
            }
            _ => None,
        };
        self.fault = fault.map(|why| format!("error processing PVC {namespace}/{claim}: {why}"));
        match next {
            Some(next) => {
                wanted.need = next;
                self.next_try = now;
                self.wait = FIRST_WAIT;
                if wanted.need == Need::Nothing && !self.adopted { wanted.device.clone() } else { None }
            }
            None => {
                self.next_try = now + self.wait;
                self.wait = Span(self.wait.0 * 2).min(LONGEST_WAIT);
                None
            }
        }
    }

    /// What the pod says when something is amiss with a claim, once per sync. That it has waited in vain for two
    /// minutes it does not say: the error of such a wait counts as an interruption.
    ///
    /// Source: `WaitForAttachAndMount`, `verifyVolumesMountedFunc`, pkg/kubelet/volumemanager/volume_manager.go;
    /// `createVolumeSpec`, pkg/kubelet/volumemanager/populator; `SyncPod`, pkg/kubelet/kubelet.go (v1.34.1).
    pub(super) fn complaint(&mut self, node: &Name, meta: &Meta, now: Time) -> Option<Event> {
        let fault = self.fault.take_if(|_| self.complains_at <= now)?;
        self.complains_at = now + SYNC_RETRY;
        let names = |which: &dyn Fn(&Wanted) -> bool| {
            let names: Vec<&str> =
                self.volumes.iter().filter(|wanted| which(wanted)).map(|wanted| &*wanted.name).collect();
            names.join(" ")
        };
        let unmounted = names(&|wanted| wanted.need != Need::Nothing);
        let unattached = names(&|wanted| wanted.need == Need::Attached);
        let unprocessed = names(&|wanted| matches!(wanted.need, Need::Claim | Need::Volume(_) | Need::Driver(_)));
        let message = format!(
            "Unable to attach or mount volumes: unmounted volumes=[{unmounted}], unattached volumes=[{unattached}], \
             failed to process volumes=[{unprocessed}]: {fault}"
        );
        Some(Event::warning("kubelet", "FailedMount", message).about(meta).on_host(node))
    }
}

impl Device {
    /// The device that a volume is; `None` for a file system, and for types of volumes that nothing here depends on.
    fn of(volume: &PersistentVolume) -> Option<Device> {
        let plugin = match &volume.source {
            VolumeSource::Local(_) => "kubernetes.io~local-volume",
            source => source.csi().map(|_| "kubernetes.io/csi")?,
        };
        let is_device = volume.mode == VolumeMode::Block;
        is_device.then(|| Device { volume: volume.meta.name.clone(), plugin })
    }

    /// What the kubelet says when it has mapped the device: where for the node, and where for the pod.
    ///
    /// Source: `GenerateMapVolumeFunc`, pkg/volume/util/operationexecutor/operation_generator.go;
    /// `GetGlobalMapPath`, `GetPodDeviceMapPath`, pkg/volume/csi/csi_block.go, pkg/volume/local/local.go (v1.34.1).
    pub(super) fn events(&self, node: &Name, pod: &Meta) -> [Event; 2] {
        let Device { volume, plugin } = self;
        let folder = if plugin.contains('/') { "/dev" } else { "" };
        let of_node = format!("/var/lib/kubelet/plugins/{plugin}/volumeDevices/{volume}{folder}");
        let escaped = plugin.replace('/', "~");
        let of_pod = format!("/var/lib/kubelet/pods/{}/volumeDevices/{escaped}", pod.uid);
        [("globalMapPath", of_node), ("volumeMapPath", of_pod)].map(|(what, path)| {
            let message = format!("MapVolume.MapPodDevice succeeded for volume \"{volume}\" {what} \"{path}\"");
            Event::normal("kubelet", "SuccessfulMountVolume", message).about(pod).on_host(node)
        })
    }
}
