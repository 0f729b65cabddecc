//! Images: the node's queue of pulls, and a container's way from a wanted image to its start.
//!
//! With `serializeImagePulls` there is one pull at a time, first come first served; otherwise `maxParallelImagePulls`.
//! A pull that begins when the registry's limit has no token left fails at once.
//!
//! Whether an image is there already is asked outside the queue (a pull with the policy `Never`), so a pod whose
//! images are present never waits behind another pod's long pull, as in Kubernetes.
//!
//! A failed pull counts for a pod and an image: another container of the pod with that image waits as well. It is tried
//! again by the first of the pod's syncs after its wait, which come every ten seconds; each tells what has come of the
//! one before. An image that has come onto the node meanwhile is found by the next sync.
//!
//! Source: `EnsureImageExists`, `pullImage`, `evalCRIPullErr`, pkg/kubelet/images/image_manager.go; `SyncPod`,
//! pkg/kubelet/kubelet.go (v1.34.1).

use std::collections::VecDeque;

use crate::api::Bucket;
use crate::config::KubeletConfig;
use crate::facts::What;
use crate::id::{Name, Uid};
use crate::kubelet::backoff::go_duration;
use crate::kubelet::configs::pull_secrets;
use crate::kubelet::pod_life::{BackOff, Doing, FailedPulls, Host, PodLife, SYNC_RETRY, Told};
use crate::kubelet::values::Values;
use crate::kubelet::{ContainerIndex, ImageSize, RuntimeRequest};
use crate::model::{ConfigKind, PullPolicy};
use crate::time::{Span, Time};

/// From a container's first failure to the pod's next sync, which the new sandbox causes through the relist.
const SYNC_AFTER_SANDBOX: Span = Span::from_secs(1);

/// What runtimes say of a pull that fails for a reason with a name of its own, and how that is put into a sentence.
///
/// Source: staging/src/k8s.io/cri-api/pkg/errors/errors.go (v1.34.1).
const NAMED_FAILURES: [(&str, &str); 2] = [
    ("RegistryUnavailable", "the registry is unavailable"),
    ("SignatureValidationFailed", "the signature validation failed"),
];

/// A container that needs an image.
pub(super) type Needy = (Uid, ContainerIndex);

/// How long a pull took, without and with the wait for its turn.
pub(super) struct Took {
    alone: Span,
    in_all: Span,
}

/// The pulls that wait and the ones under way.
#[derive(Default)]
pub(super) struct Pulls {
    /// With the time since when.
    waiting: VecDeque<(Needy, Time)>,
    /// With the times since when they wait and are under way; with serial pulls, at most one.
    under_way: Vec<(Needy, Time, Time)>,
    /// The containers that wait for their image to be pulled again, and some that do so no more.
    failed: Vec<Needy>,
    /// `registryPullQPS`; made at the first pull.
    tokens: Option<Box<Bucket>>,
}

impl Pulls {
    /// Puts a container at the queue's end.
    pub(super) fn enqueue(&mut self, needy: Needy, now: Time) {
        self.waiting.push_back((needy, now));
    }

    /// Whether any container waits for its pull.
    pub(super) fn are_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// A container's pull has failed, and another one does not come at once.
    pub(super) fn note_failure(&mut self, needy: Needy) {
        if !self.failed.contains(&needy) {
            self.failed.push(needy);
        }
    }

    /// The containers of which it was noted that their pull has failed; nothing is noted of them any more.
    pub(super) fn take_failed(&mut self) -> Vec<Needy> {
        std::mem::take(&mut self.failed)
    }

    /// A pod is gone.
    pub(super) fn forget(&mut self, pod: Uid) {
        self.failed.retain(|(uid, _)| *uid != pod);
    }

    /// The next container whose pull may begin; the caller either begins it with [`Pulls::begin`] or drops it.
    pub(super) fn next(&mut self, config: &KubeletConfig) -> Option<(Needy, Time)> {
        if !self.are_waiting() {
            return None;
        }
        let most = match config.max_parallel_image_pulls {
            _ if config.serialize_image_pulls => 1,
            Some(most) => most.max(1) as usize,
            None => usize::MAX,
        };
        if self.under_way.len() >= most { None } else { self.waiting.pop_front() }
    }

    /// Whether the registry's limit lets one more pull begin.
    ///
    /// Source: `throttledImageService`, pkg/kubelet/images/helpers.go (v1.34.1).
    fn take_token(&mut self, config: &KubeletConfig, now: Time) -> bool {
        let Some(limit) = config.registry_limit else { return true };
        self.tokens.get_or_insert_with(|| Box::new(Bucket::full(limit))).take(now)
    }

    /// A pull has begun, for which its container has waited since then.
    pub(super) fn begin(&mut self, needy: Needy, waits_since: Time, now: Time) {
        self.under_way.push((needy, waits_since, now));
    }

    /// A pull has ended, well or badly; one that was never begun is no mistake (it was a look at what is there).
    pub(super) fn finish(&mut self, needy: Needy, now: Time) -> Option<Took> {
        let place = self.under_way.iter().position(|(other, ..)| *other == needy)?;
        let (_, waits_since, since) = self.under_way.remove(place);
        Some(Took { alone: now.since(since), in_all: now.since(waits_since) })
    }
}

impl PodLife {
    /// Says which of the Secrets that its images are pulled with are not there; they are pulled all the same. A kubelet
    /// does so in each sync of the pod, here it is said in those that start something.
    ///
    /// Source: `getPullSecretsForPod`, pkg/kubelet/kubelet_pods.go (v1.34.1).
    pub(super) fn look_at_pull_secrets(&self, host: &mut Host<'_, '_>) {
        let namespace = &self.pod.meta.namespace;
        let is_missing = |name: &&Name| host.configs.get(ConfigKind::Secret, namespace, name).is_err();
        let missing: Vec<&str> = pull_secrets(&self.pod).filter(is_missing).map(|name| &**name).collect();
        if !missing.is_empty() {
            let names = missing.join(", ");
            let rest = "attempting to pull the image may not succeed.";
            let message = format!("Unable to retrieve some image pull secrets ({names}); {rest}");
            self.warn_pod("FailedToRetrieveImagePullSecret", message, host.ctx);
        }
    }

    /// A container's image is to be pulled, unless a pull of it for this pod has failed a short time ago. Its event
    /// says so already while it waits for its turn.
    pub(super) fn queue_pull(&mut self, place: usize, host: &mut Host<'_, '_>) {
        let image = self.image_of(place);
        if let Some(until) = self.failed_pulls_of(&image).and_then(|it| it.backoff.until_since_update(host.ctx.now)) {
            self.give_up_start(place);
            let next = host.ctx.now + self.until_next_sync(place);
            let trouble = self.containers[place].note().trouble.get_or_insert_default();
            trouble.until = first_sync_from(next, until);
            host.pulls.note_failure((self.uid(), self.index(place)));
            return self.hold_back_pull(place, next, host);
        }
        self.say(place, "Pulling", format_args!("Pulling image \"{image}\""), host);
        self.containers[place].doing = Doing::Queued;
        host.pulls.enqueue((self.uid(), self.index(place)), host.ctx.now);
    }

    /// It is this container's turn to pull; returns whether it still wants to.
    pub(super) fn begin_pull(&mut self, index: ContainerIndex, host: &mut Host<'_, '_>) -> bool {
        let Some(place) = self.place(index).filter(|place| self.containers[*place].doing == Doing::Queued) else {
            return false;
        };
        self.containers[place].doing = Doing::Pulling;
        if !host.pulls.take_token(&host.ctx.config.kubelet, host.ctx.now) {
            host.ctx.record(self.key(), What::Pulling { image: self.image_of(place) });
            self.on_image_failed(index, ("ErrImagePull".into(), "pull QPS exceeded".into()), host);
            return false;
        }
        let (image, policy) = (self.image_of(place), self.spec(place).pull_policy);
        host.ctx.record(self.key(), What::Pulling { image: image.clone() });
        let configs = host.configs;
        let namespace = &self.pod.meta.namespace;
        let is_there = |name: &&Name| configs.get(ConfigKind::Secret, namespace, name).is_ok();
        let secrets = pull_secrets(&self.pod).filter(is_there).cloned().collect();
        host.ask(RuntimeRequest::PullImage { pod: self.uid(), container: index, image, policy, secrets });
        true
    }

    /// The image is there.
    pub(super) fn on_image(
        &mut self,
        index: ContainerIndex,
        already_present: bool,
        (took, size): (Option<Took>, ImageSize),
        host: &mut Host<'_, '_>,
    ) {
        let Some(place) = self.place(index) else { return };
        if !matches!(self.containers[place].doing, Doing::Checking | Doing::Pulling) {
            return;
        }
        let image = self.image_of(place);
        match took {
            Some(Took { alone, in_all }) => {
                let (alone, in_all, ImageSize(size)) = (go_duration(alone), go_duration(in_all), size);
                let took = format_args!("in {alone} ({in_all} including waiting). Image size: {size} bytes.");
                self.say(place, "Pulled", format_args!("Successfully pulled image \"{image}\" {took}"), host);
            }
            None => {
                self.say(place, "Pulled", format_args!("Container image \"{image}\" already present on machine"), host);
            }
        }
        host.ctx.record(self.key(), What::Pulled { image, already_present });
        let attempt = self.containers[place].attempt;
        let pod = self.as_begun(place);
        let (configs, services, boot) = (host.configs, host.services, host.boot);
        let values = Values { pod: &pod, address: self.address(), configs, services, boot };
        match values.of_container(self.spec(place)) {
            Ok(config) => {
                self.containers[place].doing = Doing::Starting;
                host.ask(RuntimeRequest::StartContainer { pod, container: index, attempt, config });
            }
            Err(why) => {
                self.give_up_start(place);
                self.warn(place, "Failed", format_args!("Error: {why}"), host);
                self.containers[place].hold(host.ctx.now + SYNC_RETRY, "CreateContainerConfigError", why);
            }
        }
    }

    /// The image is not there: pull it, or wait and pull again.
    pub(super) fn on_image_failed(&mut self, index: ContainerIndex, why: (Name, Name), host: &mut Host<'_, '_>) {
        let Some(place) = self.place(index) else { return };
        let (image, policy) = (self.image_of(place), self.spec(place).pull_policy);
        let container = &self.containers[place];
        let (mut reason, mut message) = why;
        match container.doing {
            Doing::Checking if policy == PullPolicy::IfNotPresent && *reason == *"ErrImageNeverPull" => {
                return self.queue_pull(place, host);
            }
            Doing::Checking | Doing::Pulling => {}
            _ => return,
        }
        let now = host.ctx.now;
        self.give_up_start(place);
        let container = &mut self.containers[place];
        if *reason == *"InvalidImageName" {
            message = format!("Failed to apply default image tag \"{image}\": {message}").into();
        }
        let said = message.clone();
        if *reason == *"ErrImagePull" {
            (reason, message) = self.note_failed_pull(place, &image, message, host);
        } else {
            container.hold(now + SYNC_RETRY, &reason, message.to_string());
        }
        match &*reason {
            "ErrImageNeverPull" => self.warn(place, "ErrImageNeverPull", format_args!("{message}"), host),
            "InvalidImageName" => self.warn(place, "InspectFailed", format_args!("{message}"), host),
            _ => self.warn(place, "Failed", format_args!("Failed to pull image \"{image}\": {said}"), host),
        }
        self.warn(place, "Failed", format_args!("Error: {reason}"), host);
        let message = format!("{reason}: {message}").into();
        host.ctx.record(self.key(), What::PullFailed { image, message });
    }

    /// Takes note of a pull that has failed, and of when it is tried again. Returns the reason and the sentence that
    /// the status will have of it.
    fn note_failed_pull(&mut self, place: usize, image: &Name, said: Name, host: &mut Host<'_, '_>) -> (Name, Name) {
        let now = host.ctx.now;
        let mut backoff = self.failed_pulls_of(image).map(|it| it.backoff).unwrap_or_default();
        backoff.grow(now, now, &host.ctx.config.kubelet);
        let named = NAMED_FAILURES.iter().find_map(|(name, why)| Some((name, why, said.strip_prefix(name)?)));
        let (reason, message) = match named {
            Some((name, why, rest)) => {
                (Name::from(*name), format!("image pull failed for {image} because {why}{rest}").into())
            }
            None => ("ErrImagePull".into(), said),
        };
        let next = now + self.until_next_sync(place);
        let needy = (self.uid(), self.index(place));
        let container = &mut self.containers[place];
        let is_first = container.is_new_to_trouble();
        let trouble = container.note().trouble.get_or_insert_default();
        trouble.until = first_sync_from(next, backoff.until_since_update(now).unwrap_or(now));
        trouble.next_told = Some((next, Told::PullFailed));
        trouble.pulls = FailedPulls { image: image.clone(), backoff, reason: reason.clone(), message: message.clone() };
        if is_first {
            container.tell(&reason, message.to_string());
        }
        host.pulls.note_failure(needy);
        (reason, message)
    }

    /// The failed pulls of an image for this pod, whichever container they were for.
    fn failed_pulls_of(&self, image: &Name) -> Option<&FailedPulls> {
        let troubles = self.containers.iter().filter_map(|container| container.incidents().trouble.as_ref());
        let of_image = troubles.map(|trouble| &trouble.pulls).filter(|pulls| pulls.image == *image);
        of_image.max_by_key(|pulls| pulls.backoff.updated())
    }

    /// How long it is to the pod's next sync after one in which this container was not started.
    fn until_next_sync(&self, place: usize) -> Span {
        if self.containers[place].is_new_to_trouble() { SYNC_AFTER_SANDBOX } else { SYNC_RETRY }
    }

    /// A sync tells that the pull has failed; if the wait is not over it goes on waiting.
    pub(super) fn tell_failed_pull(&mut self, place: usize, host: &mut Host<'_, '_>) {
        let now = host.ctx.now;
        let Some(trouble) = self.containers[place].trouble_mut() else { return };
        (trouble.reason, trouble.message) = (trouble.pulls.reason.clone(), trouble.pulls.message.clone());
        if trouble.until > now {
            self.hold_back_pull(place, now + SYNC_RETRY, host);
        }
    }

    /// A sync finds that the image is not to be pulled yet, which the next one tells.
    fn hold_back_pull(&mut self, place: usize, next: Time, host: &mut Host<'_, '_>) {
        let image = self.image_of(place);
        let Some(trouble) = self.containers[place].trouble_mut() else { return };
        trouble.next_told = Some((next.min(trouble.until), Told::ImagePullBackOff));
        self.back_off(place, BackOff::Pull, host);
        self.sync_others(place, host);
        let message = format!("ImagePullBackOff: {}", self.pull_back_off(&image)).into();
        host.ctx.record(self.key(), What::PullFailed { image, message });
    }

    /// A sync tells that the image is not to be pulled yet.
    pub(super) fn tell_pull_back_off(&mut self, place: usize) {
        let message = self.pull_back_off(&self.image_of(place));
        self.containers[place].tell("ImagePullBackOff", message);
    }

    fn pull_back_off(&self, image: &Name) -> String {
        match self.failed_pulls_of(image) {
            Some(FailedPulls { reason, message, .. }) => {
                format!("Back-off pulling image \"{image}\": {reason}: {message}")
            }
            None => format!("Back-off pulling image \"{image}\""),
        }
    }

    /// An image has come onto the node for another pod: the next sync of this one finds it. Returns whether the
    /// container still waits for an image.
    pub(super) fn on_image_of_others(&mut self, index: ContainerIndex, image: &Name, now: Time) -> bool {
        let Some(place) = self.place(index) else { return false };
        if self.containers[place].doing != Doing::Waiting && self.containers[place].doing != Doing::Ended {
            return false;
        }
        let is_looked_for = self.spec(place).pull_policy == PullPolicy::IfNotPresent;
        let is_it = is_looked_for && self.image_of(place) == *image;
        let Some(trouble) = self.containers[place].trouble_mut().filter(|trouble| trouble.until > now) else {
            return false;
        };
        if is_it && trouble.pulls.image == *image {
            let syncs_left = trouble.until.since(now).0 / SYNC_RETRY.0;
            trouble.until = Time(trouble.until.0 - syncs_left * SYNC_RETRY.0);
            return false;
        }
        true
    }
}

/// The first sync at or after a time, if the next one is then.
fn first_sync_from(next: Time, from: Time) -> Time {
    let more = from.since(next).0.div_ceil(SYNC_RETRY.0);
    next + Span(more * SYNC_RETRY.0)
}
