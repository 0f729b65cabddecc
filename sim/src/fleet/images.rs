//! Images: what a machine has of them, and what a pull of one takes.

use wavetank_core::digest::StableHasher;
use wavetank_core::draw::{Purpose, draw};
use wavetank_core::id::{HostId, Name, Uid};
use wavetank_core::kubelet::{ContainerIndex, ImageSize, RuntimeEvent};
use wavetank_core::model::PullPolicy;
use wavetank_core::time::Time;

use super::{Fleet, FleetEvent, Outcome, behaviour};
use crate::plan::Delay;

impl Fleet {
    /// The number of an image, which it gets when it is first heard of.
    pub(super) fn image_number(&mut self, image: &Name) -> u32 {
        if let Some(number) = self.images.get(image) {
            return *number;
        }
        let number = self.images.len() as u32;
        let size = self.registry.images.get(image).copied().flatten().unwrap_or(self.registry.default_size_bytes);
        self.image_sizes.push((image.clone(), size));
        self.images.insert(image.clone(), number);
        number
    }

    /// A kubelet asks for an image.
    pub(super) fn pull(
        &mut self,
        now: Time,
        host: HostId,
        (pod, container): (Uid, ContainerIndex),
        (image, secrets): (Name, &[Name]),
        policy: PullPolicy,
        out: &mut Vec<Outcome>,
    ) {
        let number = self.image_number(&image);
        let machine = &mut self.machines[host.0 as usize];
        let present = machine.has_image(number);
        match policy {
            PullPolicy::IfNotPresent | PullPolicy::Never if present => {
                let (already_present, size) = (true, ImageSize(self.image_sizes[number as usize].1));
                out.push(Outcome::Tell(RuntimeEvent::ImageReady { pod, container, already_present, size }));
            }
            PullPolicy::Never => out.push(Outcome::Tell(RuntimeEvent::ImageFailed {
                pod,
                container,
                reason: "ErrImageNeverPull".into(),
                message: format!("Container image \"{image}\" is not present with pull policy of Never").into(),
            })),
            PullPolicy::Always | PullPolicy::IfNotPresent => {
                let size = self.registry.images.get(&image).copied().unwrap_or(Some(self.registry.default_size_bytes));
                // Who may not have an image is told what those are told who ask for one that is not there.
                let may_pull = self.registry.secrets.get(&image).is_none_or(|secret| secrets.contains(secret));
                let size = size.filter(|_| may_pull);
                let latency = match &self.registry.latency {
                    Delay::Constant(span) => *span,
                    delay => {
                        let entity = StableHasher::hash_one(&(host, &image));
                        delay.sample(draw(self.seed, Purpose::ImagePull, entity, u64::from(machine.pulls)))
                    }
                };
                // What is there need not be transferred again, but the registry is asked.
                let bytes = if present { Some(0) } else { size };
                let done = machine.transfer(now.saturating_add(latency), bytes.unwrap_or(0));
                out.push(Outcome::Later(done, FleetEvent::Pulled { pod, container, image, found: size.is_some() }));
            }
        }
    }

    /// An image has arrived, or the registry has refused it: what the kubelet is told.
    pub(super) fn pulled(
        &mut self,
        now: Time,
        host: HostId,
        (pod, container): (Uid, ContainerIndex),
        image: &Name,
        found: bool,
    ) -> RuntimeEvent {
        if !found {
            let message = behaviour::pull_error(image);
            return RuntimeEvent::ImageFailed { pod, container, reason: "ErrImagePull".into(), message };
        }
        let number = self.image_number(image);
        self.machines[host.0 as usize].keep_image(number, now);
        let size = ImageSize(self.image_sizes[number as usize].1);
        RuntimeEvent::ImageReady { pod, container, already_present: false, size }
    }
}
