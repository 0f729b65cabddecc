//! What one node alone means to the pods of one class: a refusal, or scores.
//!
//! Most pods ask for CPU and memory and nothing else, and most nodes have no taints: such a pair needs the node's sums
//! only ([`BySums`]). For every other pair the plugins are asked as they stand; both ways give the same.

use crate::scheduler::cache::{Cache, Sums};
use crate::scheduler::float::balanced_score_of_two;
use crate::scheduler::plugins::{
    AnyPlugin, Normalization, Plugin, Refusal, balance_scores, default_fit, is_anywhere, is_default_balance,
    is_default_fit,
};
use crate::scheduler::policies::Cycle;
use crate::scheduler::profile::{Enabled, Profile};
use crate::scheduler::traits::PodTraits;

/// How many plugins of a profile may normalize their scores; of Kubernetes' own, two do.
pub(super) const NORMALIZED_MAX: usize = 4;

/// Raw scores of the plugins that normalize, in the profile's order; 0 where a plugin does not score the pod.
pub(super) type Raw = [i32; NORMALIZED_MAX];

/// One node as the class's pods see it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Entry {
    pub(super) refusal: Refusal,
    /// The weighted sum of the scores that need no normalization.
    pub(super) fixed: i32,
    pub(super) raw: Raw,
}

/// The plugins that score a class's pods, and the short way if there is one.
#[derive(Default)]
pub(super) struct Appraiser {
    plain: Vec<Enabled>,
    pub(super) normalized: Vec<(Enabled, Normalization)>,
    /// Those that are asked in every attempt.
    pub(super) uncached: Vec<Enabled>,
    by_sums: Option<BySums>,
}

/// What a node's sums say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Quick {
    /// The node takes the pod; the sum of the scores that need no normalization. The others' raw scores are 0.
    Takes(i32),
    /// It has no room.
    Refuses,
    /// They do not say.
    Unknown,
}

/// A pod that nothing but its requests of CPU and memory tells from others.
#[derive(Clone, Copy)]
struct BySums {
    /// Whether room is asked for at all.
    filters: bool,
    fit_weight: i64,
    balance_weight: i64,
    cpu: i64,
    memory: i64,
    cpu_scored: i64,
    memory_scored: i64,
}

impl Appraiser {
    /// Of a class's pods in a profile, while the cache's layout stays.
    pub(super) fn of(profile: &Profile, cache: &Cache, pod: &PodTraits) -> Appraiser {
        let with_normalization = |enabled: Enabled| (enabled, profile.normalization(enabled.plugin));
        // Where no node has images all score 0; the first image changes the layout.
        let useful =
            |enabled: &Enabled| enabled.plugin != AnyPlugin::InTree(Plugin::ImageLocality) || cache.has_images();
        let scorers = profile.scorers(pod).filter(useful);
        let (cached, uncached): (Vec<_>, _) = scorers.partition(|enabled| profile.is_cacheable(enabled.plugin));
        let (plain, normalized): (Vec<_>, _) = cached
            .into_iter()
            .map(with_normalization)
            .partition(|(_, normalization)| *normalization == Normalization::None);
        assert!(normalized.len() <= NORMALIZED_MAX, "more plugins normalize than there is room for");
        let plain: Vec<Enabled> = plain.into_iter().map(|(enabled, _)| enabled).collect();
        let by_sums = BySums::of(profile, pod, &plain, &normalized);
        Appraiser { plain, normalized, uncached, by_sums }
    }

    /// What the sums of a node say, for a pass over many nodes.
    #[inline]
    pub(super) fn quick(&self, sums: &Sums) -> Quick {
        self.by_sums.as_ref().map_or(Quick::Unknown, |by_sums| by_sums.of_node(sums))
    }

    /// What the plugins say of a node.
    pub(super) fn entry(&self, profile: &Profile, cache: &Cache, pod: &PodTraits, slot: u32) -> Entry {
        if let Quick::Takes(fixed) = self.quick(cache.sums(slot)) {
            return Entry { refusal: Refusal::NONE, fixed, raw: Raw::default() };
        }
        let node = cache.slot(slot);
        let refusal = profile.filter(pod, node);
        if !refusal.is_none() {
            return Entry { refusal, ..Entry::default() };
        }
        let score = |enabled: &Enabled| profile.score(enabled.plugin, Cycle::default(), pod, node);
        let plain = self.plain.iter().map(|enabled| enabled.weight * score(enabled));
        let fixed = narrow(plain.sum());
        let mut raw = Raw::default();
        for (raw, (enabled, _)) in raw.iter_mut().zip(&self.normalized) {
            *raw = narrow(score(enabled));
        }
        Entry { refusal, fixed, raw }
    }
}

impl BySums {
    /// `None` if some plugin looks at more of a plain node than its sums.
    fn of(
        profile: &Profile,
        pod: &PodTraits,
        plain: &[Enabled],
        normalized: &[(Enabled, Normalization)],
    ) -> Option<BySums> {
        let asks_for_two = pod.requests.ephemeral_bytes == 0 && pod.requests.extended.is_empty();
        let is_unbound = is_anywhere(&pod.spec) && pod.host_ports.is_empty() && profile.named_nodes(pod).is_none();
        let args = &profile.args;
        if !asks_for_two || !is_unbound || !profile.has_no_policies() || args.node_affinity.required.is_some() {
            return None;
        }
        // Without taints TaintToleration scores 0; no other plugin that normalizes does on every plain node.
        let is_taints = |enabled: &Enabled| enabled.plugin == AnyPlugin::InTree(Plugin::TaintToleration);
        if !normalized.iter().all(|(enabled, _)| is_taints(enabled)) {
            return None;
        }
        let (mut fit_weight, mut balance_weight) = (0, 0);
        for Enabled { plugin, weight, .. } in plain {
            match plugin {
                AnyPlugin::InTree(Plugin::NodeResourcesFit) if is_default_fit(&args.fit) => fit_weight = *weight,
                AnyPlugin::InTree(Plugin::NodeResourcesBalancedAllocation) if is_default_balance(&args.balance) => {
                    balance_weight = if balance_scores(&args.balance, pod) { *weight } else { 0 };
                }
                _ => return None,
            }
        }
        Some(BySums {
            filters: profile.filters_with(Plugin::NodeResourcesFit),
            fit_weight,
            balance_weight,
            cpu: pod.requests.cpu_milli,
            memory: pod.requests.memory_bytes,
            cpu_scored: pod.scored_cpu_milli,
            memory_scored: pod.scored_memory_bytes,
        })
    }

    #[inline]
    fn of_node(&self, node: &Sums) -> Quick {
        if !node.is_plain {
            return Quick::Unknown;
        }
        let lacks = |wanted: i64, left: i64| wanted > 0 && wanted > left;
        let is_full = || {
            node.pods_left <= 0
                || lacks(self.cpu, node.cpu_all - node.cpu_used)
                || lacks(self.memory, node.memory_all - node.memory_used)
        };
        if self.filters && is_full() {
            return Quick::Refuses;
        }
        let mut sum = 0;
        if self.fit_weight != 0 {
            let cpu = (node.cpu_scored + self.cpu_scored, node.cpu_all);
            sum += self.fit_weight * default_fit(cpu, (node.memory_scored + self.memory_scored, node.memory_all));
        }
        if self.balance_weight != 0 {
            let cpu = (node.cpu_used + self.cpu, node.cpu_all);
            let balance = balanced_score_of_two(cpu, (node.memory_used + self.memory, node.memory_all));
            sum += self.balance_weight * balance;
        }
        Quick::Takes(narrow(sum))
    }
}

fn narrow(score: i64) -> i32 {
    i32::try_from(score).expect("scores are small")
}
