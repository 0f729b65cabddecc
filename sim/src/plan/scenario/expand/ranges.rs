//! Which values the control plane's numbers may have.
//!
//! Kubernetes' components refuse what is outside; where they do not, a value is refused here with which a component
//! would ask for its next turn at the very instant of the last one.

use wavetank_core::config::Config;
use wavetank_core::time::Span;
use wavetank_manifest::Node;

use super::Problems;
use crate::plan::scenario::format::{ControlPlane, Duration};

/// The shortest time from one turn of a loop to the next.
const PERIOD_MIN: Span = Span::from_millis(1);
/// `nodeLeaseDurationSeconds` is a whole number above zero.
const LEASE_MIN: Span = Span::from_secs(1);
/// With all packets lost a link is cut, which is a fault of its own.
const LOSS_MAX: u32 = 999_999;

/// The control plane's numbers with their places in the file.
pub(super) struct Ranges<'a> {
    pub(super) problems: &'a mut Problems,
    pub(super) tree: &'a Node,
}

impl Ranges<'_> {
    /// Source: `ValidateKubeSchedulerConfiguration`, pkg/scheduler/apis/config/validation/validation.go, and
    /// `ValidateKubeletConfiguration`, pkg/kubelet/apis/config/validation/validation.go (v1.34.1).
    pub(super) fn check(&mut self, control: &ControlPlane, config: &Config) {
        self.at_least("nodeMonitorPeriod", control.node_monitor_period, PERIOD_MIN);
        self.at_least("relistPeriod", control.relist_period, PERIOD_MIN);
        self.at_least("nodeLeaseDuration", control.node_lease_duration, LEASE_MIN);
        self.at_least("podInitialBackoff", control.pod_initial_backoff, PERIOD_MIN);
        let (initial, max) = (config.scheduler.backoff_initial, config.scheduler.backoff_max);
        if max < initial {
            let field = if control.pod_max_backoff.is_some() { "podMaxBackoff" } else { "podInitialBackoff" };
            self.refuse(field, format!("podMaxBackoff {max} is below podInitialBackoff {initial}"));
        }
        for (field, count) in [
            ("concurrentSyncs", control.concurrent_syncs),
            ("kubeAPIBurst", control.kube_api_burst),
            ("schedulerBurst", control.scheduler_burst),
        ] {
            if count == Some(0) {
                self.refuse(field, "expected 1 at least, found 0".to_owned());
            }
        }
        if let Some(percent) = control.percentage_of_nodes_to_score.filter(|percent| *percent > 100) {
            self.refuse("percentageOfNodesToScore", format!("expected a whole number up to 100, found {percent}"));
        }
        let loss = control.node_link.as_ref().map_or(0, |link| link.loss_per_million);
        if loss > LOSS_MAX {
            self.refuse("nodeLink", format!("expected lossPerMillion up to {LOSS_MAX}, found {loss}"));
        }
        if control.kubelet.max_parallel_image_pulls == Some(0) {
            self.refuse("kubelet", "expected maxParallelImagePulls of 1 at least, found 0".to_owned());
        }
    }

    fn at_least(&mut self, field: &str, value: Option<Duration>, least: Span) {
        if let Some(Duration(found)) = value.filter(|value| value.0 < least) {
            self.refuse(field, format!("expected {least} at least, found {found}"));
        }
    }

    /// Says at the place of a field of `spec.controlPlane` what is wrong with it.
    pub(super) fn refuse(&mut self, field: &str, message: String) {
        let node = ["controlPlane", field].iter().try_fold(self.tree.get("spec"), |node, key| Some(node?.get(key)));
        let place = node.flatten().map_or_else(Default::default, |node| node.span);
        self.problems.add(place, &format!("spec.controlPlane.{field}"), message);
    }
}
