//! The four plugins about volumes for one pod: PreFilter once, Filter node by node.
//!
//! What they say depends on claims and volumes, which change without any node changing, so nothing of it is cached:
//! pods with volumes are looked at node by node in each attempt, all others are not looked at here at all.

use crate::scheduler::cache::{Cache, NodeInfo};
use crate::scheduler::plugins::volume_binding::{self, Claims, Decision};
use crate::scheduler::plugins::volume_restrictions::{self, Restrictions};
use crate::scheduler::plugins::volume_zone::{self, Topology};
use crate::scheduler::plugins::{Plugin, Refusal, node_volume_limits};
use crate::scheduler::profile::Profile;
use crate::scheduler::storage::Storage;
use crate::scheduler::traits::PodVolumes;

/// A PreFilter that refuses every node: the plugin and its words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Rejection {
    pub(super) plugin: Plugin,
    pub(super) message: String,
}

/// What PreFilter has found of a pod's volumes.
#[derive(Debug, Default)]
pub(super) struct Filter {
    restrictions: Option<Restrictions>,
    counted: bool,
    claims: Option<Claims>,
    topologies: Vec<Topology>,
}

impl Filter {
    /// PreFilter of those of the plugins that the profile has, in their order.
    pub(super) fn of(
        profile: &Profile,
        pod: &PodVolumes,
        storage: &Storage,
        cache: &Cache,
    ) -> Result<Filter, Rejection> {
        let has = |plugin| profile.filters_with(plugin);
        let by = |plugin| move |message| Rejection { plugin, message };
        let mut filter = Filter::default();
        if has(Plugin::VolumeRestrictions) {
            let found = volume_restrictions::pre_filter(pod, storage, cache);
            filter.restrictions = found.map_err(by(Plugin::VolumeRestrictions))?;
        }
        filter.counted = has(Plugin::NodeVolumeLimits) && node_volume_limits::counts(pod);
        if has(Plugin::VolumeBinding) {
            filter.claims = volume_binding::pre_filter(pod, storage).map_err(by(Plugin::VolumeBinding))?;
        }
        if has(Plugin::VolumeZone) {
            filter.topologies = volume_zone::pre_filter(pod, storage).map_err(by(Plugin::VolumeZone))?;
        }
        Ok(filter)
    }

    /// Whether some node could be refused.
    pub(super) fn refuses(&self) -> bool {
        self.restrictions.is_some() || self.counted || self.claims.is_some() || !self.topologies.is_empty()
    }

    /// AddPod (1) and RemovePod (-1): another pod comes to a node or goes. The other plugins look at the node itself.
    pub(super) fn shift(&mut self, other: &PodVolumes, sign: i64) {
        if let Some(state) = &mut self.restrictions {
            state.shift(other, sign);
        }
    }

    /// Filter of one of the plugins.
    pub(super) fn refusal(&self, plugin: Plugin, pod: &PodVolumes, storage: &Storage, node: &NodeInfo) -> Refusal {
        match plugin {
            Plugin::VolumeRestrictions => {
                let state = self.restrictions.as_ref();
                state.map_or(Refusal::NONE, |state| volume_restrictions::filter(state, pod, node))
            }
            Plugin::NodeVolumeLimits if self.counted => node_volume_limits::filter(pod, storage, node),
            Plugin::VolumeBinding => {
                let decision = self.claims.as_ref().map(|claims| claims.decide(storage, node));
                decision.and_then(Result::err).unwrap_or(Refusal::NONE)
            }
            Plugin::VolumeZone => volume_zone::filter(&self.topologies, node),
            _ => Refusal::NONE,
        }
    }

    /// What is to be bound and made on the node that was chosen; `None` if all is bound.
    pub(super) fn decision(&self, storage: &Storage, node: &NodeInfo) -> Option<Decision> {
        let claims = self.claims.as_ref().filter(|claims| claims.wait())?;
        claims.decide(storage, node).ok()
    }
}
