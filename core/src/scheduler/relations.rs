//! What the pods on all nodes mean for one pod: the state of the plugins that look beyond one node, computed for each
//! attempt.
//!
//! Kubernetes asks these plugins after all others, so a node's own refusal, which the board caches, comes first. Where
//! no constraint or term is about a pod there are no relations, and the search costs what it costs without them.

use crate::scheduler::cache::Cache;
use crate::scheduler::classes::{ClassId, Classes};
use crate::scheduler::plugins::{Plugin, Refusal, inter_pod_affinity, topology_spread};
use crate::scheduler::profile::{Enabled, Profile};
use crate::scheduler::surroundings::Surroundings;

/// PreFilter and PreScore of PodTopologySpread and InterPodAffinity.
pub(super) struct Relations {
    spread: Option<topology_spread::Filter>,
    affinity: Option<inter_pod_affinity::Filter>,
    spread_preferences: Option<(Enabled, topology_spread::Preferences)>,
    affinity_preferences: Option<(Enabled, inter_pod_affinity::Preferences)>,
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
        let pod = classes.traits(class);
        if filters {
            spread = topology_spread::Filter::of(&profile.args.spread, cache, classes, around, pod);
        }
        if let Some(enabled) = scores {
            let preferences = topology_spread::Preferences::of(&profile.args.spread, cache, around, pod);
            if let Some(domains) = preferences.as_ref().and_then(|preferences| preferences.tallied()) {
                classes.tally(domains);
            }
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
        let relations = Relations { spread, affinity, spread_preferences, affinity_preferences };
        (relations.refuses() || relations.scores_nodes()).then_some(relations)
    }

    /// Filter: whether these plugins let the node take the pod.
    pub(super) fn admit(&self, slot: u32) -> bool {
        self.refusal(Plugin::PodTopologySpread, slot).is_none()
            && self.refusal(Plugin::InterPodAffinity, slot).is_none()
    }

    /// Filter: why the node cannot take the pod in the eyes of one of these plugins.
    pub(super) fn refusal(&self, plugin: Plugin, slot: u32) -> Refusal {
        let refusal = match plugin {
            Plugin::PodTopologySpread => self.spread.as_ref().map(|spread| spread.refusal(slot)),
            Plugin::InterPodAffinity => self.affinity.as_ref().map(|affinity| affinity.refusal(slot)),
            _ => None,
        };
        refusal.unwrap_or(Refusal::NONE)
    }

    /// Score and NormalizeScore: each plugin's scores of the feasible nodes, 0 ..= 100.
    pub(super) fn scores(
        &self,
        cache: &Cache,
        classes: &Classes,
        class: ClassId,
        feasible: &[u32],
    ) -> Vec<(Enabled, Vec<i64>)> {
        let spread = self.spread_preferences.as_ref().map(|(enabled, preferences)| {
            (*enabled, preferences.scores(cache, classes, classes.traits(class), feasible))
        });
        let affinity = self.affinity_preferences.as_ref();
        let affinity = affinity.map(|(enabled, preferences)| (*enabled, preferences.scores(feasible)));
        spread.into_iter().chain(affinity).collect()
    }

    /// Each feasible node's weighted sum of these scores.
    pub(super) fn totals(&self, cache: &Cache, classes: &Classes, class: ClassId, feasible: &[u32]) -> Vec<i64> {
        let mut totals = vec![0; feasible.len()];
        for (enabled, scores) in self.scores(cache, classes, class, feasible) {
            for (total, score) in totals.iter_mut().zip(scores) {
                assert!((0..=100).contains(&score), "{:?} scores {score}", enabled.plugin);
                *total += enabled.weight * score;
            }
        }
        totals
    }

    fn refuses(&self) -> bool {
        self.spread.is_some() || self.affinity.is_some()
    }

    fn scores_nodes(&self) -> bool {
        self.spread_preferences.is_some() || self.affinity_preferences.is_some()
    }
}
