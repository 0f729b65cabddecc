//! Scaling a Deployment, in proportion to the sizes of its ReplicaSets if a rollout is under way.
//!
//! Source: `scale`, pkg/controller/deployment/sync.go; `GetReplicaSetProportion`, util/deployment_util.go (v1.34.1).

use std::cmp::Reverse;

use crate::controllers::deployment::plan::{Plan, total};
use crate::controllers::deployment::sets::{self, Set};
use crate::model::{DeploymentStrategy, ReplicaSet};

impl Plan {
    /// Brings the ReplicaSets to the Deployment's size without going on with the rollout.
    pub(super) fn scale(&mut self) {
        let wanted = self.deployment.replicas;
        let active: Vec<Option<usize>> = self.active();
        match active[..] {
            [] if self.new.is_some() => {
                self.resize_new(wanted);
            }
            [] => self.resize_if_different(self.old.len().checked_sub(1), wanted),
            [None] => {
                self.resize_new(wanted);
            }
            [Some(place)] => self.resize_if_different(Some(place), wanted),
            _ if self.new.as_ref().is_some_and(|new| self.is_saturated(&new.set)) => {
                for place in active.into_iter().flatten() {
                    self.resize_old(place, 0);
                }
            }
            _ if self.deployment.strategy != DeploymentStrategy::Recreate => self.scale_in_proportion(active),
            _ => {}
        }
    }

    /// The ReplicaSets that want pods: places among the old ones, `None` for the new one, which comes last.
    fn active(&self) -> Vec<Option<usize>> {
        let old = (0..self.old.len()).filter(|place| self.old[*place].set.replicas > 0).map(Some);
        let new = self.new.iter().filter(|new| new.set.replicas > 0).map(|_| None);
        old.chain(new).collect()
    }

    fn resize_if_different(&mut self, place: Option<usize>, size: u32) {
        if let Some(place) = place.filter(|place| self.old[*place].set.replicas != size) {
            self.resize_old(place, size);
        }
    }

    /// Source: `IsSaturated`.
    pub(super) fn is_saturated(&self, new: &ReplicaSet) -> bool {
        let wanted = self.deployment.replicas;
        new.replicas == wanted
            && sets::desired_when_scaled(new) == Some(u64::from(wanted))
            && new.status.available == wanted
    }

    fn scale_in_proportion(&mut self, mut active: Vec<Option<usize>>) {
        let wanted = i64::from(self.deployment.replicas);
        let allowed = if wanted > 0 { wanted + sets::fenceposts(&self.deployment).0 } else { 0 };
        let to_add = allowed - total(self.all());
        // The larger first; of equal ones the newer first when there are pods to add, else the older first.
        active.sort_by_key(|place| {
            let set = &self.member(*place).set;
            let (second, name) = sets::age(&set.meta);
            let created = (second, name.clone());
            (Reverse(set.replicas), (to_add > 0).then(|| Reverse(created.clone())), created)
        });
        let mut added = 0;
        let mut sizes: Vec<i64> = Vec::new();
        for place in &active {
            let set = &self.member(*place).set;
            let share = if to_add == 0 { 0 } else { self.proportion(set, to_add, added) };
            added += share;
            sizes.push(i64::from(set.replicas) + share);
        }
        sizes[0] = (sizes[0] + to_add - added).max(0);
        for (place, size) in active.into_iter().zip(sizes) {
            let size = u32::try_from(size).expect("a share takes no more pods than a ReplicaSet has");
            match place {
                Some(place) => self.resize_old(place, size),
                None if !self.resize_new(size) => self.renote_new(),
                None => {}
            }
        }
    }

    fn member(&self, place: Option<usize>) -> &Set {
        place.map_or_else(|| self.new.as_ref().expect("the new ReplicaSet is active"), |place| &self.old[place])
    }

    /// How many of the pods to add (or, if negative, to remove) fall to one ReplicaSet.
    fn proportion(&self, set: &ReplicaSet, to_add: i64, added: i64) -> i64 {
        let left = to_add - added;
        // Nothing is left for this one, also where its own note would let it move against the others.
        if left == 0 {
            return 0;
        }
        let share = self.fraction(set);
        if to_add > 0 { share.min(left) } else { share.max(left) }
    }

    /// The change of size that keeps a ReplicaSet's part of the whole, rounded to the nearest, halves up.
    pub(super) fn fraction(&self, set: &ReplicaSet) -> i64 {
        let size = i64::from(set.replicas);
        if self.deployment.replicas == 0 {
            return -size;
        }
        let most = i64::from(self.deployment.replicas) + sets::fenceposts(&self.deployment).0;
        let noted = sets::most_when_scaled(set).filter(|most| *most > 0);
        let before = noted.map_or(i64::from(self.deployment.status.replicas), |most| most as i64);
        if before == 0 {
            return 0;
        }
        (2 * size * most + before) / (2 * before) - size
    }
}
