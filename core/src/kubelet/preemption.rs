//! Room for critical pods: on a node without room for one that was bound to it, others are ended.
//!
//! The pod waits until they have ended, and is looked at again then. Pods without requests go first, those whose
//! requests are their limits last, and of each class those whose requests come nearest to what is missing.
//!
//! Source: `HandleAdmissionFailure`, `getPodsToPreempt`, pkg/kubelet/preemption/preemption.go (v1.34.1), which ends
//! them one after the other and hears of no other pod meanwhile; here they end together.

use std::cmp::Reverse;
use std::sync::Arc;

use crate::context::Context;
use crate::id::{Name, Uid};
use crate::kubelet::admission::{Rejection, Shortage, requests};
use crate::kubelet::ending::Verdict;
use crate::kubelet::row::Row;
use crate::model::{Pod, QosClass, Resources};

/// A critical pod for which others make room.
pub(super) struct Waiting {
    pod: Arc<Pod>,
    victims: Vec<Uid>,
}

/// What is missing of a resource.
type Missing = (Name, i64);

/// What a pod gives back if it goes.
struct Candidate {
    uid: Uid,
    class: QosClass,
    requests: Resources,
}

/// How fine the parts are in which distances are compared.
const PARTS: i128 = 1 << 40;

fn amount(of: &Resources, resource: &Name) -> i64 {
    match &**resource {
        "pods" => 1,
        "cpu" => of.cpu_milli,
        "memory" => of.memory_bytes,
        "ephemeral-storage" => of.ephemeral_bytes,
        _ => of.extended.get(resource).copied().unwrap_or(0),
    }
}

/// What is still missing if these pods go.
fn without<'a>(missing: &[Missing], gone: impl Iterator<Item = &'a Candidate> + Clone) -> Vec<Missing> {
    let rest = missing.iter().map(|(name, wanted)| {
        let given: i64 = gone.clone().map(|candidate| amount(&candidate.requests, name)).sum();
        (name.clone(), wanted - given)
    });
    rest.filter(|(_, wanted)| *wanted > 0).collect()
}

/// How far a pod is from giving what is missing: the squares of the shares that are left of each resource, together.
fn distance(missing: &[Missing], candidate: &Candidate) -> i128 {
    let of_one = |(name, wanted): &Missing| {
        let left = (wanted - amount(&candidate.requests, name)).max(0);
        let share = i128::from(left) * PARTS / i128::from(*wanted);
        share * share
    };
    missing.iter().map(of_one).sum()
}

/// The nearest pods of a class that give what is missing; the smaller of two that are as near.
fn nearest(mut pods: Vec<&Candidate>, mut missing: Vec<Missing>) -> Result<Vec<&Candidate>, String> {
    let mut chosen = Vec::new();
    while !missing.is_empty() {
        let key = |place: &usize| {
            let Candidate { requests, .. } = pods[*place];
            (distance(&missing, pods[*place]), requests.memory_bytes, requests.cpu_milli, Reverse(*place))
        };
        let Some(place) = (0..pods.len()).min_by_key(key) else { return Err(none_found(&missing)) };
        let pod = pods.swap_remove(place);
        missing = without(&missing, [pod].into_iter());
        chosen.push(pod);
    }
    Ok(chosen)
}

/// Which pods go, so that nothing is missing any more. The error is that there are none.
fn choose(candidates: &[Candidate], missing: &[Missing]) -> Result<Vec<Uid>, String> {
    let lacking = without(missing, candidates.iter());
    if !lacking.is_empty() {
        return Err(none_found(&lacking));
    }
    let of = |class| candidates.iter().filter(|it| it.class == class).collect::<Vec<_>>();
    let (careless, burstable) = (of(QosClass::BestEffort), of(QosClass::Burstable));
    let others = careless.iter().chain(&burstable).copied();
    let guaranteed = nearest(of(QosClass::Guaranteed), without(missing, others))?;
    let others = careless.iter().chain(&guaranteed).copied();
    let burstable = nearest(burstable, without(missing, others))?;
    let others = burstable.iter().chain(&guaranteed).copied();
    let careless = nearest(careless, without(missing, others))?;
    Ok(careless.into_iter().chain(burstable).chain(guaranteed).map(|it| it.uid).collect())
}

fn none_found(missing: &[Missing]) -> String {
    let list: String = missing.iter().map(|(name, wanted)| format!("(res: {name}, q: {wanted}), ")).collect();
    format!("no set of running pods found to reclaim resources: [{list}]")
}

impl Row {
    /// Ends others to make room for a critical pod, which waits for that. The error is why it is refused.
    pub(super) fn make_room(
        &mut self,
        ctx: &mut Context<'_>,
        pod: Arc<Pod>,
        shortages: &[Shortage],
    ) -> Result<(), Rejection> {
        let may_go = |other: &Pod| {
            let other_is_critical = other.spec.is_critical() || self.is_static(other.meta.uid);
            !other_is_critical || pod.spec.priority > other.spec.priority
        };
        let others = self.pods.in_order().filter(|life| life.counted && may_go(&life.pod));
        let candidate = |pod: &Pod| {
            let (class, requests) = (pod.spec.qos_class(), requests(&pod.spec));
            Candidate { uid: pod.meta.uid, class, requests }
        };
        let candidates: Vec<Candidate> = others.map(|life| candidate(&life.pod)).collect();
        let missing: Vec<Missing> = shortages.iter().map(|it| (it.resource.clone(), it.missing())).collect();
        let victims = choose(&candidates, &missing).map_err(|why| {
            let why = format!("preemption: error finding a set of pods to preempt: {why}");
            let message = format!("Unexpected error while attempting to recover from admission failure: {why}");
            Rejection::new("UnexpectedAdmissionError", &message)
        })?;
        self.room.push(Waiting { pod, victims: victims.clone() });
        for uid in victims {
            let Some(grace) = self.pods.get(&uid).map(|life| life.pod.spec.termination_grace) else { continue };
            let message = "Preempted in order to admit critical pod".into();
            let disruption = Some("Pod was preempted by Kubelet to accommodate a critical pod.".into());
            self.end_pod(ctx, uid, Verdict { reason: "Preempting".into(), message, disruption }, grace);
        }
        self.look_at_room(ctx);
        Ok(())
    }

    /// A newer version of a pod that waits for room; `false` if it is none.
    pub(super) fn is_for_waiting(&mut self, pod: &Arc<Pod>) -> bool {
        let Some(waiting) = self.room.iter_mut().find(|waiting| waiting.pod.meta.uid == pod.meta.uid) else {
            return false;
        };
        waiting.pod = pod.clone();
        true
    }

    /// Pods that wait for room are taken on when those that made it have ended.
    pub(super) fn look_at_room(&mut self, ctx: &mut Context<'_>) {
        let pods = &self.pods;
        let has_room = |waiting: &Waiting| waiting.victims.iter().all(|uid| pods.get(uid).is_none_or(|it| !it.counted));
        let Some(place) = self.room.iter().position(has_room) else { return };
        let Waiting { pod, .. } = self.room.remove(place);
        self.on_pod(ctx, pod);
        self.look_at_room(ctx);
    }

    /// Only these of the pods that wait for room are still wanted, and static pods.
    pub(super) fn keep_waiting(&mut self, is_wanted: impl Fn(Uid) -> bool) {
        let mut room = std::mem::take(&mut self.room);
        room.retain(|Waiting { pod, .. }| is_wanted(pod.meta.uid) || self.is_static(pod.meta.uid));
        self.room = room;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Candidates as `class cpu memory`, numbered from 0; what is missing; who goes.
    fn chosen(candidates: &[(QosClass, i64, i64)], cpu: i64, memory: i64) -> Result<Vec<u128>, String> {
        let candidate = |(number, (class, cpu_milli, memory_bytes)): (usize, &(QosClass, i64, i64))| Candidate {
            uid: Uid::new(number as u128),
            class: *class,
            requests: Resources { cpu_milli: *cpu_milli, memory_bytes: *memory_bytes, ..Resources::default() },
        };
        let candidates: Vec<Candidate> = candidates.iter().enumerate().map(candidate).collect();
        let missing = [("cpu".into(), cpu), ("memory".into(), memory)].into_iter().filter(|(_, wanted)| *wanted > 0);
        let chosen = choose(&candidates, &missing.collect::<Vec<_>>())?;
        Ok(chosen.into_iter().map(|uid| uid.bits()).collect())
    }

    #[test]
    fn those_go_who_give_what_is_missing_with_the_least_loss() {
        use QosClass::{BestEffort, Burstable, Guaranteed};
        let all = [(BestEffort, 0, 0), (Burstable, 100, 200), (Burstable, 300, 300), (Guaranteed, 200, 200)];
        for (cpu, memory, expected) in [
            (100, 0, vec![1]),
            (100, 300, vec![2]),
            (300, 0, vec![2]),
            (350, 0, vec![2, 1]),
            (500, 0, vec![2, 3]),
            (600, 0, vec![1, 2, 3]),
        ] {
            let mut found = chosen(&all, cpu, memory).expect("there are enough");
            let mut wanted = expected;
            (found.sort_unstable(), wanted.sort_unstable());
            assert_eq!(found, wanted, "{cpu} of CPU and {memory} of memory are missing");
        }
        let refusal = "no set of running pods found to reclaim resources: [(res: cpu, q: 50), ]";
        assert_eq!(chosen(&all, 650, 0), Err(refusal.to_owned()));
    }
}
