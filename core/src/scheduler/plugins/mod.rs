//! The scheduler's plugins: which extension points each implements, and what it says there.
//!
//! A plugin is a value of [`Plugin`]; what it computes is a pure function of a pod's traits and one node's slot, so the
//! plain loop and the cached one call the same code. The plugins about volumes look at claims too: see
//! [`super::volumes`]. Plugins of Kubernetes that have no file here are not part of the model: DynamicResources'
//! allocations. DefaultPreemption is [`super::preemption`]. NodeName needs no file: a pod that names its node never
//! enters the queue.

mod image_locality;
pub(super) mod inter_pod_affinity;
mod node_affinity;
mod node_ports;
mod node_resources;
mod node_unschedulable;
pub(super) mod node_volume_limits;
mod resource_scores;
mod taint_toleration;
pub(super) mod topology_spread;
pub(super) mod volume_binding;
pub(super) mod volume_restrictions;
pub(super) mod volume_zone;

pub(super) use crate::config::Plugin;
use crate::config::PluginArgs;
use crate::scheduler::cache::NodeInfo;
use crate::scheduler::events::{Event, Hint};
use crate::scheduler::profile::Profile;
use crate::scheduler::surroundings::Surroundings;
use crate::scheduler::traits::PodTraits;

pub(super) use image_locality::images;
pub(super) use node_affinity::is_anywhere;
pub(super) use node_affinity::matches as node_affinity_matches;
pub(super) use node_affinity::named_nodes;
pub(super) use node_resources::Shortage;
pub(super) use resource_scores::{balance_scores, default_fit, is_default_balance, is_default_fit};

/// Whoever refuses or scores nodes in a profile, in the order in which they are asked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum AnyPlugin {
    /// A plugin of Kubernetes.
    InTree(Plugin),
    /// A policy of [`super::policies`], by its place among the profile's: [`Profile`] holds them and asks them.
    Policy(u8),
}

impl AnyPlugin {
    /// Whether the event could make it take back its refusal of this pod.
    pub(super) fn hint(self, args: &PluginArgs, around: &Surroundings, pod: &PodTraits, event: &Event<'_>) -> Hint {
        match self {
            AnyPlugin::InTree(plugin) => plugin.hint(args, around, pod, event),
            // Kubernetes does the same for plugins that do not say which events they wait for.
            AnyPlugin::Policy(_) => Hint::Queue,
        }
    }
}

/// Why a node cannot take a pod.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub(super) enum Reason {
    /// It is cordoned.
    Unschedulable = 0,
    /// It has a taint that the pod does not tolerate.
    UntoleratedTaint = 1,
    /// It does not have the labels that the pod wants.
    AffinityMismatch = 2,
    /// A host port is taken.
    PortTaken = 3,
    /// It has as many pods as it may have.
    TooManyPods = 4,
    /// Not enough CPU is left.
    InsufficientCpu = 5,
    /// Not enough memory is left.
    InsufficientMemory = 6,
    /// Not enough ephemeral storage is left.
    InsufficientEphemeral = 7,
    /// Not enough of some extended resource is left; which one is found again when a person asks.
    InsufficientExtended = 8,
    /// It is not one of the nodes that the pod names.
    NotNamed = 9,
    /// It lacks a label that a spread constraint needs.
    SpreadLabelMissing = 10,
    /// One more pod here would break a spread constraint.
    SpreadTooUneven = 11,
    /// The pods that the pod wants near are not.
    AffinityUnsatisfied = 12,
    /// Pods that the pod shuns are near.
    AntiAffinityUnsatisfied = 13,
    /// Pods that shun the pod are near.
    ShunnedByOthers = 14,
    /// A disk of the pod is in use there.
    DiskConflict = 15,
    /// A claim for one pod has a pod.
    ClaimForOnePodTaken = 16,
    /// It has as many volumes of some driver as it can have.
    TooManyVolumes = 17,
    /// A bound volume cannot be reached from there.
    VolumeUnreachable = 18,
    /// There is no volume for some claim, and none can be made there.
    NoVolumeToBind = 19,
    /// A volume could be made there if there were room.
    NotEnoughStorage = 20,
    /// A claim is bound to a volume that is not there.
    VolumeMissing = 21,
    /// It is in another zone than some volume.
    VolumeZoneConflict = 22,
    /// The terms of the pod name nodes that exclude each other.
    NamesConflict = 23,
    /// It does not have the labels that the scheduler's configuration asks for.
    Enforced = 24,
}

const _: () = assert!(Reason::ALL.len() <= 30, "each reason needs a bit below that of policies");

impl Reason {
    /// All reasons, by number.
    pub(super) const ALL: [Reason; 25] = [
        Reason::Unschedulable,
        Reason::UntoleratedTaint,
        Reason::AffinityMismatch,
        Reason::PortTaken,
        Reason::TooManyPods,
        Reason::InsufficientCpu,
        Reason::InsufficientMemory,
        Reason::InsufficientEphemeral,
        Reason::InsufficientExtended,
        Reason::NotNamed,
        Reason::SpreadLabelMissing,
        Reason::SpreadTooUneven,
        Reason::AffinityUnsatisfied,
        Reason::AntiAffinityUnsatisfied,
        Reason::ShunnedByOthers,
        Reason::DiskConflict,
        Reason::ClaimForOnePodTaken,
        Reason::TooManyVolumes,
        Reason::VolumeUnreachable,
        Reason::NoVolumeToBind,
        Reason::NotEnoughStorage,
        Reason::VolumeMissing,
        Reason::VolumeZoneConflict,
        Reason::NamesConflict,
        Reason::Enforced,
    ];

    /// The plugin that gives this reason.
    pub(super) fn plugin(self) -> Plugin {
        match self {
            Reason::Unschedulable => Plugin::NodeUnschedulable,
            Reason::UntoleratedTaint => Plugin::TaintToleration,
            Reason::AffinityMismatch | Reason::NotNamed | Reason::NamesConflict | Reason::Enforced => {
                Plugin::NodeAffinity
            }
            Reason::PortTaken => Plugin::NodePorts,
            Reason::SpreadLabelMissing | Reason::SpreadTooUneven => Plugin::PodTopologySpread,
            Reason::AffinityUnsatisfied | Reason::AntiAffinityUnsatisfied | Reason::ShunnedByOthers => {
                Plugin::InterPodAffinity
            }
            Reason::DiskConflict | Reason::ClaimForOnePodTaken => Plugin::VolumeRestrictions,
            Reason::TooManyVolumes => Plugin::NodeVolumeLimits,
            Reason::VolumeUnreachable | Reason::NoVolumeToBind | Reason::NotEnoughStorage | Reason::VolumeMissing => {
                Plugin::VolumeBinding
            }
            Reason::VolumeZoneConflict => Plugin::VolumeZone,
            _ => Plugin::NodeResourcesFit,
        }
    }
}

/// The reasons of one node, all from the first plugin that refuses it, and whether removing pods could change it.
///
/// A bit for each reason; or, of a policy, its number, and a person who wants to know why has it asked again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) struct Refusal(u32);

impl Refusal {
    /// The node takes the pod.
    pub(super) const NONE: Refusal = Refusal(0);
    /// Set if no removal of pods helps (`UnschedulableAndUnresolvable`).
    const UNRESOLVABLE: u32 = 1 << 31;
    /// Set if the low byte is the number of a policy.
    const BY_POLICY: u32 = 1 << 30;
    /// No removal of pods helps; the reason is told elsewhere.
    pub(super) const UNRESOLVABLE_ALONE: Refusal = Refusal(Refusal::UNRESOLVABLE);

    /// A refusal that the removal of pods could lift.
    pub(super) fn because(reason: Reason) -> Refusal {
        Refusal(1 << reason as u32)
    }

    /// A refusal that no removal of pods can lift.
    pub(super) fn for_good(reason: Reason) -> Refusal {
        Refusal(1 << reason as u32 | Refusal::UNRESOLVABLE)
    }

    /// A refusal by the policy with this number in the profile.
    pub(super) fn by_policy(policy: u8, for_good: bool) -> Refusal {
        Refusal(Refusal::BY_POLICY | u32::from(policy) | if for_good { Refusal::UNRESOLVABLE } else { 0 })
    }

    /// Adds further reasons of the same plugin.
    pub(super) fn and(self, other: Refusal) -> Refusal {
        debug_assert!(!self.is_by_policy() && !other.is_by_policy(), "a policy has one reason");
        Refusal(self.0 | other.0)
    }

    /// Whether there is no reason.
    pub(super) fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Whether a policy refuses.
    pub(super) fn is_by_policy(self) -> bool {
        self.0 & Refusal::BY_POLICY != 0
    }

    /// Whether the reason is among these.
    pub(super) fn has(self, reason: Reason) -> bool {
        !self.is_by_policy() && self.0 & 1 << reason as u32 != 0
    }

    /// Who refuses.
    pub(super) fn plugin(self) -> Option<AnyPlugin> {
        if self.is_by_policy() {
            return Some(AnyPlugin::Policy((self.0 & 0xff) as u8));
        }
        let reason = Reason::ALL.into_iter().find(|reason| self.has(*reason));
        reason.map(|reason| AnyPlugin::InTree(reason.plugin()))
    }

    /// Whether the node is passed over before any plugin is asked about it, because the pod names others.
    pub(super) fn is_by_name(self) -> bool {
        self.has(Reason::NotNamed) || self.has(Reason::NamesConflict)
    }

    /// Whether no removal of pods helps.
    pub(super) fn is_unresolvable(self) -> bool {
        self.0 & Refusal::UNRESOLVABLE != 0
    }
}

/// How a plugin's raw scores become 0 ..= 100.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Normalization {
    /// They are 0 ..= 100 as they are.
    None,
    /// 100 · x / highest, truncated.
    ByHighest,
    /// 100 − 100 · x / highest; all 100 if the highest is 0.
    ByHighestReversed,
    /// 100 · (x − lowest) / (highest − lowest), truncated; all 0 if these are the same.
    ByRange,
}

/// The lowest and the highest raw score of all nodes that are scored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Range {
    pub(super) lowest: i64,
    pub(super) highest: i64,
}

impl Range {
    /// The range of no scores at all.
    pub(super) const EMPTY: Range = Range { lowest: i64::MAX, highest: i64::MIN };

    /// The range with one more score.
    pub(super) fn with(self, score: i64) -> Range {
        Range { lowest: self.lowest.min(score), highest: self.highest.max(score) }
    }
}

impl Normalization {
    /// A raw score's place in 0 ..= 100, given the range of all nodes that are scored.
    ///
    /// Source: `DefaultNormalizeScore`, pkg/scheduler/framework/plugins/helper/normalize_score.go (v1.34.1).
    pub(super) fn apply(self, score: i64, range: Range) -> i64 {
        let Range { lowest, highest } = range;
        match self {
            Normalization::None => score,
            Normalization::ByHighest if highest == 0 => score,
            Normalization::ByHighest => 100 * score / highest,
            Normalization::ByHighestReversed if highest == 0 => 100,
            Normalization::ByHighestReversed => 100 - 100 * score / highest,
            Normalization::ByRange if highest == lowest => 0,
            Normalization::ByRange => 100 * (score - lowest) / (highest - lowest),
        }
    }
}

impl Plugin {
    /// Filter: why the node alone cannot take the pod. Plugins without this point refuse nothing; those that look at
    /// other nodes' pods are asked by [`super::relations`].
    pub(super) fn filter(self, args: &PluginArgs, pod: &PodTraits, node: &NodeInfo) -> Refusal {
        match self {
            Plugin::NodeUnschedulable => node_unschedulable::filter(pod, node),
            Plugin::TaintToleration => taint_toleration::filter(pod, node),
            Plugin::NodeAffinity => node_affinity::filter(&args.node_affinity, pod, node),
            Plugin::NodePorts => node_ports::filter(pod, node),
            Plugin::NodeResourcesFit => node_resources::filter(&args.fit, pod, node),
            _ => Refusal::NONE,
        }
    }

    /// Whether [`Plugin::filter`] ever refuses.
    pub(super) fn refuses_single_nodes(self) -> bool {
        matches!(
            self,
            Plugin::NodeUnschedulable
                | Plugin::TaintToleration
                | Plugin::NodeAffinity
                | Plugin::NodePorts
                | Plugin::NodeResourcesFit
        )
    }

    /// Whether the plugin scores nodes one by one.
    pub(super) fn scores_single_nodes(self) -> bool {
        matches!(
            self,
            Plugin::TaintToleration
                | Plugin::NodeAffinity
                | Plugin::NodeResourcesFit
                | Plugin::NodeResourcesBalancedAllocation
                | Plugin::ImageLocality
        )
    }

    /// Whether the plugin scores nodes in the model.
    pub(super) fn is_modelled_scorer(self) -> bool {
        self.scores_single_nodes() || matches!(self, Plugin::PodTopologySpread | Plugin::InterPodAffinity)
    }

    /// PreScore of a plugin that scores single nodes: whether it scores them for this pod.
    pub(super) fn scores(self, args: &PluginArgs, pod: &PodTraits) -> bool {
        match self {
            Plugin::NodeAffinity => node_affinity::scores(&args.node_affinity, pod),
            Plugin::NodeResourcesBalancedAllocation => resource_scores::balance_scores(&args.balance, pod),
            other => other.scores_single_nodes(),
        }
    }

    /// Score: the node's raw score, to be normalized over all nodes that are scored.
    pub(super) fn score(self, args: &PluginArgs, pod: &PodTraits, node: &NodeInfo) -> i64 {
        match self {
            Plugin::ImageLocality => image_locality::score(pod, node),
            Plugin::TaintToleration => taint_toleration::score(pod, node),
            Plugin::NodeAffinity => node_affinity::score(&args.node_affinity, pod, node),
            Plugin::NodeResourcesFit => resource_scores::fit(&args.fit, pod, node),
            Plugin::NodeResourcesBalancedAllocation => resource_scores::balance(&args.balance, pod, node),
            _ => unreachable!("{self:?} scores no single node"),
        }
    }

    /// NormalizeScore.
    pub(super) fn normalization(self) -> Normalization {
        match self {
            Plugin::TaintToleration => Normalization::ByHighestReversed,
            Plugin::NodeAffinity => Normalization::ByHighest,
            _ => Normalization::None,
        }
    }

    /// Whether the event could make the plugin take back its refusal of this pod.
    pub(super) fn hint(self, args: &PluginArgs, around: &Surroundings, pod: &PodTraits, event: &Event<'_>) -> Hint {
        match self {
            _ if event.wakes_unasked(self) => Hint::Queue,
            Plugin::NodeUnschedulable => node_unschedulable::hint(pod, event),
            Plugin::TaintToleration => taint_toleration::hint(pod, event),
            Plugin::NodeAffinity => node_affinity::hint(&args.node_affinity, pod, event),
            Plugin::NodePorts => node_ports::hint(pod, event),
            Plugin::NodeResourcesFit => node_resources::hint(pod, event),
            Plugin::VolumeRestrictions => volume_restrictions::hint(pod, event),
            Plugin::NodeVolumeLimits => node_volume_limits::hint(pod, event),
            Plugin::VolumeBinding => volume_binding::hint(pod, event),
            Plugin::VolumeZone => volume_zone::hint(pod, event),
            Plugin::PodTopologySpread => topology_spread::hint(&args.spread, around, pod, event),
            Plugin::InterPodAffinity => inter_pod_affinity::hint(pod, event),
            _ => Hint::Skip,
        }
    }
}

/// What a node says about its reasons, to people. The taint and the extended resources are looked up on the node, and a
/// policy is asked again.
pub(super) fn texts(profile: &Profile, pod: &PodTraits, node: &NodeInfo, refusal: Refusal) -> Vec<String> {
    if let Some(AnyPlugin::Policy(policy)) = refusal.plugin() {
        return profile.policy_text(policy, pod, node).map(str::to_owned).into_iter().collect();
    }
    let mut texts = Vec::new();
    for reason in Reason::ALL.into_iter().filter(|reason| refusal.has(*reason)) {
        match reason {
            Reason::UntoleratedTaint => {
                let taint = taint_toleration::first_untolerated(pod, node).expect("the refusal names a taint");
                texts.push(format!("node(s) had untolerated taint {{{}: {}}}", taint.key, taint.value));
            }
            Reason::InsufficientExtended => {
                let missing =
                    node_resources::shortages(&profile.args.fit, pod, node).filter_map(|shortage| match shortage {
                        Shortage::Extended(name, _) => Some(format!("Insufficient {name}")),
                        Shortage::Other(_) => None,
                    });
                texts.extend(missing);
            }
            other => texts.push(fixed_text(other).to_string()),
        }
    }
    texts
}

/// The text of a reason that says the same of every node.
fn fixed_text(reason: Reason) -> &'static str {
    match reason {
        Reason::Unschedulable => "node(s) were unschedulable",
        Reason::AffinityMismatch => "node(s) didn't match Pod's node affinity/selector",
        Reason::NotNamed => "node(s) didn't satisfy plugin(s) [NodeAffinity]",
        Reason::NamesConflict => "pod affinity terms conflict",
        Reason::Enforced => "node(s) didn't match scheduler-enforced node affinity",
        Reason::PortTaken => "node(s) didn't have free ports for the requested pod ports",
        Reason::TooManyPods => "Too many pods",
        Reason::InsufficientCpu => "Insufficient cpu",
        Reason::InsufficientMemory => "Insufficient memory",
        Reason::InsufficientEphemeral => "Insufficient ephemeral-storage",
        Reason::SpreadLabelMissing => "node(s) didn't match pod topology spread constraints (missing required label)",
        Reason::SpreadTooUneven => "node(s) didn't match pod topology spread constraints",
        Reason::AffinityUnsatisfied => "node(s) didn't match pod affinity rules",
        Reason::AntiAffinityUnsatisfied => "node(s) didn't match pod anti-affinity rules",
        Reason::ShunnedByOthers => "node(s) didn't satisfy existing pods anti-affinity rules",
        Reason::DiskConflict => "node(s) had no available disk",
        Reason::ClaimForOnePodTaken => {
            "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"
        }
        Reason::TooManyVolumes => "node(s) exceed max volume count",
        Reason::VolumeUnreachable => "node(s) didn't match PersistentVolume's node affinity",
        Reason::NoVolumeToBind => "node(s) didn't find available persistent volumes to bind",
        Reason::NotEnoughStorage => "node(s) did not have enough free storage",
        Reason::VolumeMissing => "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)",
        Reason::VolumeZoneConflict => "node(s) had no available volume zone",
        Reason::UntoleratedTaint | Reason::InsufficientExtended => unreachable!("{reason:?} depends on the node"),
    }
}
