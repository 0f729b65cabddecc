//! What the pods on all nodes mean for one pod: the state of the plugins that look beyond one node, computed for each
//! attempt.
//!
//! Kubernetes asks these plugins after all others, so a node's own refusal, which the board caches, comes first. Where
//! no constraint or term is about a pod there are no relations, and the search costs what it costs without them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::scheduler::cache::{Cache, NodeInfo};
use crate::scheduler::classes::{ClassId, Classes};
use crate::scheduler::plugins::topology_spread::Bonuses;
use crate::scheduler::plugins::volume_binding::Decision;
use crate::scheduler::plugins::{Plugin, Refusal, inter_pod_affinity, topology_spread};
use crate::scheduler::profile::{Enabled, Profile};
use crate::scheduler::sieve::Gate;
use crate::scheduler::storage::Storage;
use crate::scheduler::stretch::Stretch;
use crate::scheduler::surroundings::Surroundings;
use crate::scheduler::traits::{PodTraits, PodVolumes};
use crate::scheduler::volumes;

/// The plugins that look beyond the node.
const RELATED: [Plugin; 6] = [
    Plugin::VolumeRestrictions,
    Plugin::NodeVolumeLimits,
    Plugin::VolumeBinding,
    Plugin::VolumeZone,
    Plugin::PodTopologySpread,
    Plugin::InterPodAffinity,
];

/// PreFilter and PreScore of PodTopologySpread, InterPodAffinity and the plugins about volumes.
#[derive(Default)]
pub(super) struct Relations {
    /// The pod's volumes, if something is to be looked at for them.
    volumes: Option<(Arc<PodVolumes>, volumes::Filter)>,
    spread: Option<topology_spread::Filter>,
    affinity: Option<inter_pod_affinity::Filter>,
    spread_preferences: Option<(Enabled, topology_spread::Preferences)>,
    affinity_preferences: Option<(Enabled, inter_pod_affinity::Preferences)>,
    /// By slot: why the node cannot take the pod beside the pods that are nominated to it, also as people read it.
    nominated: BTreeMap<u32, (Refusal, Vec<String>)>,
}

/// Among what a pod is looked at.
pub(super) struct Scene<'a> {
    pub(super) profile: &'a Profile,
    pub(super) cache: &'a mut Cache,
    pub(super) around: &'a Surroundings,
    /// The pod that a node is sought for.
    pub(super) pod: &'a PodTraits,
}

impl Relations {
    /// Counts; `None` if nothing beyond single nodes is about the class's pods.
    pub(super) fn of(
        profile: &Profile,
        cache: &mut Cache,
        classes: &mut Classes,
        around: &Surroundings,
        class: ClassId,
    ) -> Option<Relations> {
        let (mut spread, mut affinity) = (None, None);
        let (mut spread_preferences, mut affinity_preferences) = (None, None);
        let (filters, scores) =
            (profile.filters_with(Plugin::PodTopologySpread), profile.scorer(Plugin::PodTopologySpread));
        if filters {
            spread = topology_spread::Filter::of(&profile.args.spread, cache, classes, around, class);
        }
        if let Some(enabled) = scores {
            let preferences = topology_spread::Preferences::of(&profile.args.spread, cache, classes, around, class);
            spread_preferences = preferences.map(|preferences| (enabled, preferences));
        }
        // Without terms on either side there is nothing to count.
        if classes.any_terms() {
            let pod = classes.traits(class);
            if profile.filters_with(Plugin::InterPodAffinity) {
                affinity = inter_pod_affinity::Filter::of(cache, classes, around, pod);
            }
            if let Some(enabled) = profile.scorer(Plugin::InterPodAffinity) {
                let args = profile.args.pod_affinity;
                let preferences = inter_pod_affinity::Preferences::of(args, cache, classes, around, pod);
                affinity_preferences = preferences.map(|preferences| (enabled, preferences));
            }
        }
        let pod_volumes = classes.traits(class).volumes.clone();
        let volumes = pod_volumes.and_then(|pod| {
            // A pod that PreFilter refuses is not looked at any further: see `rejection`.
            let filter = volumes::Filter::of(profile, &pod, &around.storage, cache).ok()?;
            filter.refuses().then_some((pod, filter))
        });
        let nominated = BTreeMap::new();
        let relations = Relations { volumes, spread, affinity, spread_preferences, affinity_preferences, nominated };
        (relations.refuses() || relations.scores_nodes()).then_some(relations)
    }

    /// The same with refusals because of the pods that are nominated to nodes.
    pub(super) fn with_nominated(
        relations: Option<Relations>,
        nominated: BTreeMap<u32, (Refusal, Vec<String>)>,
    ) -> Option<Relations> {
        if nominated.is_empty() {
            return relations;
        }
        Some(Relations { nominated, ..relations.unwrap_or_default() })
    }

    /// Why the node cannot take the pod beside the pods that are nominated to it.
    pub(super) fn nominated_refusal(&self, slot: u32) -> Option<&(Refusal, Vec<String>)> {
        self.nominated.get(&slot)
    }

    /// PreFilter's AddPod (1) and RemovePod (-1): another pod comes to a slot or goes, in thought.
    pub(super) fn shift(&mut self, scene: Scene<'_>, slot: u32, other: &PodTraits, sign: i64) {
        let Scene { profile, cache, around, pod } = scene;
        if let Some(spread) = &mut self.spread {
            spread.shift(Scene { profile, cache: &mut *cache, around, pod }, slot, other, sign);
        }
        if let Some(affinity) = &mut self.affinity {
            affinity.shift(Scene { profile, cache, around, pod }, slot, other, sign);
        }
        if let (Some((_, filter)), Some(volumes)) = (&mut self.volumes, &other.volumes) {
            filter.shift(volumes, sign);
        }
    }

    /// Filter: what whole domains of nodes are refused.
    pub(super) fn gates(&self) -> impl Iterator<Item = Gate> {
        let spread = self.spread.iter().flat_map(topology_spread::Filter::gates);
        spread.chain(self.affinity.iter().flat_map(inter_pod_affinity::Filter::gates))
    }

    /// Whether more than [`Relations::gates`] refuses nodes.
    pub(super) fn asks_single_nodes(&self) -> bool {
        self.volumes.is_some() || !self.nominated.is_empty()
    }

    /// Filter: whether these plugins let the node take the pod.
    pub(super) fn admit(&self, storage: &Storage, cache: &Cache, slot: u32) -> bool {
        let node = cache.slot(slot);
        !self.nominated.contains_key(&slot)
            && RELATED.into_iter().all(|plugin| self.refusal(storage, node, plugin, slot).is_none())
    }

    /// Filter: why the node cannot take the pod in the eyes of one of these plugins.
    pub(super) fn refusal(&self, storage: &Storage, node: &NodeInfo, plugin: Plugin, slot: u32) -> Refusal {
        let refusal = match plugin {
            Plugin::PodTopologySpread => self.spread.as_ref().map(|spread| spread.refusal(slot)),
            Plugin::InterPodAffinity => self.affinity.as_ref().map(|affinity| affinity.refusal(slot)),
            plugin => {
                let volumes = self.volumes.as_ref();
                volumes.map(|(pod, filter)| filter.refusal(plugin, pod, storage, node))
            }
        };
        refusal.unwrap_or(Refusal::NONE)
    }

    /// Score and NormalizeScore: each plugin's scores of the feasible nodes, 0 ..= 100.
    pub(super) fn scores(&self, cache: &Cache, classes: &Classes, feasible: &[u32]) -> Vec<(Enabled, Vec<i64>)> {
        let spread = self.spread_scores(cache, classes, feasible);
        let spread = spread.map(|(enabled, scores)| (enabled, scores.by_place()));
        let affinity = self.affinity_preferences.as_ref();
        let affinity = affinity.map(|(enabled, preferences)| (*enabled, preferences.scores(feasible)));
        spread.into_iter().chain(affinity).collect()
    }

    /// Adds to each feasible node's total the weighted sum of these scores.
    pub(super) fn add_scores(&self, cache: &Cache, classes: &Classes, feasible: &[u32], totals: &mut [i64]) {
        if let Some((enabled, scores)) = self.spread_scores(cache, classes, feasible) {
            scores.add_to(totals, enabled.weight);
        }
        if let Some((enabled, preferences)) = &self.affinity_preferences {
            for (total, score) in totals.iter_mut().zip(preferences.scores(feasible)) {
                debug_assert!((0..=100).contains(&score), "{:?} scores {score}", enabled.plugin);
                *total += enabled.weight * score;
            }
        }
    }

    /// What other nodes' pods mean for each node of a stretch, by kinds of nodes, given how many of the nodes are
    /// feasible and which. `None` if other nodes' pods refuse some, or if it is not told by kinds.
    pub(super) fn bonuses(
        &self,
        cache: &Cache,
        classes: &Classes,
        stretch: &Stretch,
        feasible: (usize, impl Fn(usize) -> bool),
    ) -> Option<Bonuses> {
        let (enabled, preferences) = self.spread_preferences.as_ref()?;
        if self.refuses() || self.affinity_preferences.is_some() || !self.nominated.is_empty() {
            return None;
        }
        preferences.bonuses(cache, classes, enabled.weight, stretch, feasible)
    }

    fn spread_scores(
        &self,
        cache: &Cache,
        classes: &Classes,
        feasible: &[u32],
    ) -> Option<(Enabled, topology_spread::Scores)> {
        let (enabled, preferences) = self.spread_preferences.as_ref()?;
        Some((*enabled, preferences.scores(cache, classes, feasible)))
    }

    /// VolumeBinding: what is to be bound and made on the node that was chosen.
    pub(super) fn decision(&self, storage: &Storage, cache: &Cache, slot: u32) -> Option<Decision> {
        let (_, filter) = self.volumes.as_ref()?;
        filter.decision(storage, cache.slot(slot))
    }

    /// Whether the pod is spread, by constraints and by preference.
    pub(super) fn spreads(&self) -> (bool, bool) {
        (self.spread.is_some(), self.spread_preferences.is_some())
    }

    fn refuses(&self) -> bool {
        self.volumes.is_some() || self.spread.is_some() || self.affinity.is_some()
    }

    fn scores_nodes(&self) -> bool {
        self.spread_preferences.is_some() || self.affinity_preferences.is_some()
    }
}
