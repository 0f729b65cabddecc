//! Images: the node's queue of pulls, and a container's way from a wanted image to its start.
//!
//! With `serializeImagePulls` there is one pull at a time, first come first served; otherwise `maxParallelImagePulls`.
//! A pull that begins when the registry's limit has no token left fails at once.
//!
//! Whether an image is there already is asked outside the queue (a pull with the policy `Never`), so a pod whose
//! images are present never waits behind another pod's long pull, as in Kubernetes.
//!
//! Source: `EnsureImageExists`, pkg/kubelet/images/image_manager.go (v1.34.1).

use std::collections::VecDeque;

use crate::api::Bucket;
use crate::config::KubeletConfig;
use crate::facts::What;
use crate::id::{Name, Uid};
use crate::kubelet::backoff::go_duration;
use crate::kubelet::configs::pull_secrets;
use crate::kubelet::pod_life::{Doing, Host, PodLife, SYNC_RETRY};
use crate::kubelet::values::Values;
use crate::kubelet::{ContainerIndex, ImageSize, RuntimeRequest};
use crate::model::{ConfigKind, PullPolicy};
use crate::time::{Span, Time};

/// How long `ErrImagePull` is shown before the pod's next sync makes `ImagePullBackOff` of it. (The sync is the one
/// that the new sandbox causes through the relist.)
const IMAGE_ERROR_SHOWN: Span = Span::from_secs(1);

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

    /// A container's image is to be pulled. Its event says so already while it waits for its turn.
    pub(super) fn queue_pull(&mut self, place: usize, host: &mut Host<'_, '_>) {
        let image = self.image_of(place);
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
        let (reason, mut message) = why;
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
        if *reason == *"ErrImagePull" {
            let pulls = &mut container.note().trouble.get_or_insert_default().pulls;
            pulls.grow(now, now, &host.ctx.config.kubelet);
            let until = now + pulls.delay();
            container.hold(until, &reason, message.to_string());
            let shown_at = (now + IMAGE_ERROR_SHOWN).min(until);
            container.note().trouble.get_or_insert_default().back_off_shown_at = Some(shown_at);
        } else {
            container.hold(now + SYNC_RETRY, &reason, message.to_string());
        }
        match &*reason {
            "ErrImageNeverPull" => self.warn(place, "ErrImageNeverPull", format_args!("{message}"), host),
            "InvalidImageName" => self.warn(place, "InspectFailed", format_args!("{message}"), host),
            _ => self.warn(place, "Failed", format_args!("Failed to pull image \"{image}\": {message}"), host),
        }
        self.warn(place, "Failed", format_args!("Error: {reason}"), host);
        let message = format!("{reason}: {message}").into();
        host.ctx.record(self.key(), What::PullFailed { image, message });
    }
}
