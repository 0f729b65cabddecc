//! Waiting for a driver to attach a volume, and what its pods are told when that fails or takes too long.

use std::sync::Arc;

use super::attach_detach::{AttachDetach, REPORTER};
use crate::context::Context;
use crate::controllers::NamespacedName;
use crate::events::Event;
use crate::id::Name;
use crate::model::{Kind, Pod, VolumeAttachment};
use crate::time::{Span, Time};

/// How long an attempt to attach a volume waits for its driver. Source: `csiTimeout`, pkg/volume/csi/csi_plugin.go
/// (v1.34.1).
const ATTACH_TIMEOUT: Span = Span::from_secs(120);
/// The wait after a first failure, which doubles with each further one …
///
/// Source: pkg/util/goroutinemap/exponentialbackoff/exponential_backoff.go (v1.34.1).
const BACKOFF_FIRST: Span = Span::from_millis(500);
/// … up to this.
const BACKOFF_MAX: Span = Span::from_secs(122);

/// An attempt to attach a volume, which is one wait for its driver.
#[derive(Clone, Copy)]
pub(super) struct Attempt {
    /// When it began, or begins if the one before has failed.
    since: Time,
    /// The wait after its failure.
    backoff: Span,
}

impl AttachDetach {
    /// Waits for a driver to attach a volume, and tells its pods when that has failed or takes too long. What has been
    /// asked for stays asked for: a later attempt waits for the same attachment.
    ///
    /// Source: `waitForVolumeAttachDetachStatus`, pkg/volume/csi/csi_attacher.go; `GenerateAttachVolumeFunc`,
    /// pkg/volume/util/operationexecutor/operation_generator.go (v1.34.1).
    pub(super) fn await_attached(
        &mut self,
        ctx: &mut Context<'_>,
        attachment: &VolumeAttachment,
        (driver, handle): (&Name, &Name),
        pods: &[&Arc<Pod>],
    ) {
        let now = ctx.now;
        let first = Attempt { since: now, backoff: BACKOFF_FIRST };
        let attempt = self.attaching.entry(attachment.meta.name.clone()).or_insert(first);
        let late = attempt.since + ATTACH_TIMEOUT;
        let why = match &attachment.status.attach_error {
            _ if now < attempt.since => None,
            Some((_, message)) => Some(message.to_string()),
            None if now < late => None,
            None => Some(format!(
                "timed out waiting for external-attacher of {driver} CSI driver to attach volume {handle}"
            )),
        };
        let Some(why) = why else {
            let next = if now < attempt.since { attempt.since } else { late };
            return self.desk.queue.add_after(ctx, attachment.volume.clone(), next.since(now));
        };
        *attempt = Attempt { since: now + attempt.backoff, backoff: Span(attempt.backoff.0 * 2).min(BACKOFF_MAX) };
        let again = attempt.since.since(now);
        for pod in pods {
            let message = format!("AttachVolume.Attach failed for volume \"{}\" : {why}", attachment.volume);
            let event = Event::warning(REPORTER, "FailedAttachVolume", message).about(&pod.meta);
            ctx.event(NamespacedName::of_meta(&pod.meta).of(Kind::Pod), event);
        }
        self.desk.queue.add_after(ctx, attachment.volume.clone(), again);
    }
}
