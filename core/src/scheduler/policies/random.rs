//! Random: any feasible node, and any of its GPUs with room, each with the same chance.

use super::{Cycle, DeviceSet, NodeView, PodView, Policy};
use crate::draw::below;

pub(super) const NAME: &str = "Random";

pub(super) struct Random;

impl Policy for Random {
    fn name(&self) -> &'static str {
        NAME
    }

    fn score(&self, cycle: Cycle, _: PodView<'_>, _: NodeView<'_>) -> i64 {
        if u64::from(cycle.place) == below(cycle.draw, u64::from(cycle.feasible)) { 100 } else { 0 }
    }

    fn devices(&self, pod: PodView<'_>, node: NodeView<'_>, draw: u64) -> Option<DeviceSet> {
        if !pod.gpu().is_share() {
            return None;
        }
        let free = node.gpus().free().iter().enumerate();
        let with_room: Vec<usize> =
            free.filter(|(_, free)| **free >= pod.gpu().milli_each()).map(|(device, _)| device).collect();
        let chosen = (!with_room.is_empty()).then(|| with_room[below(draw, with_room.len() as u64) as usize]);
        chosen.map(DeviceSet::one)
    }
}
