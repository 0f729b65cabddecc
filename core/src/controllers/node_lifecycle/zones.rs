//! How many nodes of each zone are ready, what state that makes of the zone, and which rate of taints follows.
//!
//! Counts are kept up to date node by node, so that a pass over a quiet cluster costs nothing. Source:
//! `ComputeZoneState`, `handleDisruption`, pkg/controller/nodelifecycle/node_lifecycle_controller.go (v1.34.1).

use std::collections::BTreeMap;

use crate::config::ControllerManagerConfig;
use crate::controllers::node_lifecycle::taint_queue::TaintQueue;
use crate::id::Name;
use crate::time::Time;

/// Region and zone.
pub(super) type ZoneKey = (Name, Name);

/// What the share of ready nodes makes of a zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ZoneState {
    /// Not judged yet.
    Initial,
    /// Most nodes are ready.
    Normal,
    /// At least three nodes, and 55 % of all, are not ready.
    PartialDisruption,
    /// No node is ready.
    FullDisruption,
}

impl ZoneState {
    /// The state's name in facts.
    pub(super) fn name(self) -> &'static str {
        match self {
            ZoneState::Initial => "Initial",
            ZoneState::Normal => "Normal",
            ZoneState::PartialDisruption => "PartialDisruption",
            ZoneState::FullDisruption => "FullDisruption",
        }
    }
}

/// One zone.
pub(super) struct Zone {
    ready: u32,
    not_ready: u32,
    state: ZoneState,
    /// Its nodes that wait for a NoExecute taint.
    pub(super) queue: TaintQueue,
}

/// What a pass has to do after it has judged the zones.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Disruption {
    /// Nothing.
    None,
    /// No node anywhere is ready, which is new: take all taints off.
    Entered,
    /// Some node is ready again, and none was: nobody counts as silent.
    Left,
}

/// All zones.
#[derive(Default)]
pub(super) struct Zones {
    zones: BTreeMap<ZoneKey, Zone>,
}

impl Zones {
    /// A zone, new if need be.
    pub(super) fn entry(&mut self, key: &ZoneKey, config: &ControllerManagerConfig) -> &mut Zone {
        self.zones.entry(key.clone()).or_insert_with(|| Zone {
            ready: 0,
            not_ready: 0,
            state: ZoneState::Initial,
            queue: TaintQueue::new(config.node_eviction_rate_per_1000_s),
        })
    }

    /// A zone that is known.
    pub(super) fn get_mut(&mut self, key: &ZoneKey) -> Option<&mut Zone> {
        self.zones.get_mut(key)
    }

    /// The zones, by key.
    pub(super) fn keys(&self) -> impl Iterator<Item = &ZoneKey> {
        self.zones.keys()
    }

    /// When the next token is there for a node that waits, over all zones.
    pub(super) fn next_taint(&self) -> Option<Time> {
        self.zones.values().filter_map(|zone| zone.queue.next()).min()
    }

    /// Forgets all nodes that wait or have been tainted.
    pub(super) fn clear_queues(&mut self) {
        for zone in self.zones.values_mut() {
            zone.queue.clear();
        }
    }

    /// Replaces what was counted for a node.
    pub(super) fn count(&mut self, before: Option<&(ZoneKey, bool)>, after: Option<&(ZoneKey, bool)>) {
        if let Some((key, ready)) = before {
            let zone = self.zones.get_mut(key).expect("a counted node's zone is known");
            *zone.tally(*ready) -= 1;
        }
        if let Some((key, ready)) = after {
            let zone = self.zones.get_mut(key).expect("a node's zone is made before it is counted");
            *zone.tally(*ready) += 1;
        }
    }

    /// Judges all zones at the end of a pass and sets their rates; reports each change of state but the first judgement
    /// that all is well.
    pub(super) fn judge(
        &mut self,
        config: &ControllerManagerConfig,
        now: Time,
        mut report: impl FnMut(&ZoneKey, ZoneState),
    ) -> Disruption {
        let judged: Vec<(ZoneKey, ZoneState)> = self
            .zones
            .iter()
            .filter(|(_, zone)| zone.size() > 0)
            .map(|(key, zone)| (key.clone(), zone.compute(config)))
            .collect();
        let all_are = judged.iter().all(|(_, state)| *state == ZoneState::FullDisruption);
        let all_were = judged.iter().all(|(key, _)| self.zones[key].state == ZoneState::FullDisruption);
        // A zone that has lost all its nodes is forgotten: should it come back, it is judged anew.
        for zone in self.zones.values_mut().filter(|zone| zone.size() == 0) {
            zone.state = ZoneState::Initial;
        }
        if all_are && all_were {
            return Disruption::None;
        }
        for (key, state) in &judged {
            let zone = self.zones.get_mut(key).expect("the zone was just judged");
            let before = std::mem::replace(&mut zone.state, *state);
            if all_are {
                zone.queue.set_rate(0, now);
            } else if before != *state || all_were {
                zone.queue.set_rate(zone.rate(config), now);
            }
            if before != *state && (before, *state) != (ZoneState::Initial, ZoneState::Normal) {
                report(key, *state);
            }
        }
        match (all_are, all_were) {
            (true, _) => Disruption::Entered,
            (_, true) => Disruption::Left,
            _ => Disruption::None,
        }
    }
}

impl Zone {
    fn tally(&mut self, ready: bool) -> &mut u32 {
        if ready { &mut self.ready } else { &mut self.not_ready }
    }

    fn size(&self) -> u32 {
        self.ready + self.not_ready
    }

    fn compute(&self, config: &ControllerManagerConfig) -> ZoneState {
        let (failed, size) = (u64::from(self.not_ready), u64::from(self.size()));
        if self.ready == 0 && failed > 0 {
            ZoneState::FullDisruption
        } else if failed > 2 && failed * 100 >= size * u64::from(config.unhealthy_zone_threshold_percent) {
            ZoneState::PartialDisruption
        } else {
            ZoneState::Normal
        }
    }

    fn rate(&self, config: &ControllerManagerConfig) -> u32 {
        match self.state {
            ZoneState::PartialDisruption if self.size() > config.large_cluster_size_threshold => {
                config.secondary_node_eviction_rate_per_1000_s
            }
            ZoneState::PartialDisruption => 0,
            _ => config.node_eviction_rate_per_1000_s,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state_of(ready: u32, not_ready: u32) -> ZoneState {
        let queue = TaintQueue::new(100);
        Zone { ready, not_ready, state: ZoneState::Initial, queue }.compute(&ControllerManagerConfig::default())
    }

    #[test]
    fn three_of_five_disrupt_a_zone_in_part_and_two_of_three_do_not() {
        assert_eq!(state_of(1, 2), ZoneState::Normal, "two failed nodes are too few");
        assert_eq!(state_of(2, 3), ZoneState::PartialDisruption);
        assert_eq!(state_of(9, 11), ZoneState::PartialDisruption, "55 % exactly");
        assert_eq!(state_of(46, 54), ZoneState::Normal, "54 %");
        assert_eq!(state_of(0, 1), ZoneState::FullDisruption);
        assert_eq!(state_of(6, 4), ZoneState::Normal);
    }
}
