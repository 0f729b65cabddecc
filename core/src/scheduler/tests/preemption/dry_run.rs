//! What the dry run says against really removing pods and putting them back, on random clusters.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::row;
use crate::config::SchedulerConfig;
use crate::digest::Shared;
use crate::model::{Labels, Meta, Object, Pod, PodDisruptionBudget, Selector};
use crate::scheduler::dry_run::{Candidate, DryRun};
use crate::scheduler::placement::Placement;
use crate::scheduler::plugins::Refusal;
use crate::scheduler::reference::Case;
use crate::scheduler::relations::Relations;
use crate::scheduler::tests::oracle::{self, Step};
use crate::scheduler::traits::Identity;
use crate::time::Time;

const NO_VICTIMS: &str = "No preemption victims found for incoming pod";

/// A random cluster with all its pods, by row.
struct Cluster {
    placement: Placement,
    pods: Vec<Pod>,
}

impl Cluster {
    /// The pods of every class get one of five priorities, and each its own start.
    fn of(steps: &[Step], priorities: &[u8]) -> Cluster {
        let mut cluster = Cluster { placement: Placement::new(1, &SchedulerConfig::default()), pods: Vec::new() };
        oracle::set_storage(&mut cluster.placement);
        for app in ["a", "b"] {
            let mut budget =
                PodDisruptionBudget { meta: Meta::named("default", app), ..PodDisruptionBudget::default() };
            budget.selector = Some(Selector::from_labels(Labels::new([("app", app)])));
            budget.status.disruptions_allowed = u32::from(app == "b");
            cluster.placement.set_object(&Object::PodDisruptionBudget(Arc::new(budget)));
        }
        for (number, step) in steps.iter().enumerate() {
            match step {
                Step::Place { class } => {
                    let priority = priorities[number % priorities.len()];
                    let mut pod = prioritized(oracle::pod(*class, false), i32::from(priority) * 10);
                    pod.status.started_at = Time::from_secs(1_000 - number as u64).into();
                    let place = row(cluster.pods.len());
                    // A refusal is as good an outcome as a node here.
                    let _ = cluster.placement.place_pod(place, &pod);
                    cluster.pods.push(pod);
                }
                other => {
                    oracle::apply(&mut cluster.placement, other, &mut (0..cluster.pods.len()).map(row).collect(), &[])
                }
            }
        }
        cluster.placement.cache.refresh();
        cluster
    }

    /// Why the slot refuses the pod, from scratch.
    fn refusal(&mut self, pod: &Pod, slot: u32) -> (Refusal, Vec<String>) {
        let placement = &mut self.placement;
        let class = placement.classes.of(&pod.spec, &Identity::of(pod));
        placement.classes.hold(class);
        let profiles = placement.classes.profiles().clone();
        let (cache, classes) = (&mut placement.cache, &mut placement.classes);
        let relations = Relations::of(&profiles[0], cache, classes, &placement.around, class);
        let (cache, classes, around) = (&placement.cache, &placement.classes, &placement.around);
        let case = Case { profile: &profiles[0], cache, classes, around, class, relations: relations.as_ref() };
        let refusal = case.refusal(slot);
        let told = (refusal, case.texts(slot, refusal));
        placement.classes.release(class);
        told
    }

    /// The same beside the nominated pods, which are really put there, and then without them.
    fn check(&mut self, seeker: &Pod, nominated: &[Pod], slot: u32) -> Result<(), Vec<String>> {
        let node = self.placement.cache.slot(slot).name.clone();
        let first = self.pods.len() + 1;
        let counted: Vec<&Pod> = nominated.iter().filter(|it| it.spec.priority >= seeker.spec.priority).collect();
        for (number, pod) in counted.iter().enumerate() {
            self.placement.put(row(first + number), pod, &node);
        }
        let beside = self.refusal(seeker, slot);
        (0..counted.len()).for_each(|number| self.placement.remove_pod(row(first + number)));
        for (refusal, texts) in [beside, self.refusal(seeker, slot)] {
            if !refusal.is_none() {
                return Err(texts);
            }
        }
        Ok(())
    }

    /// What the dry run should say: pods are really removed and put back.
    fn plain(&mut self, seeker: &Pod, nominated: &[Pod], slot: u32) -> Result<(Vec<usize>, u32), Vec<String>> {
        let node = self.placement.cache.slot(slot).name.clone();
        let Placement { cache, classes, .. } = &self.placement;
        let lower = cache.pods_on(slot).filter(|pod| classes.priority(pod.class) < seeker.spec.priority);
        let mut lower: Vec<usize> = lower.map(|pod| pod.row.index as usize).collect();
        if lower.is_empty() {
            return Err(vec![NO_VICTIMS.to_owned()]);
        }
        lower.iter().for_each(|index| self.placement.remove_pod(row(*index)));
        let important = |index: &usize, pods: &[Pod]| {
            (-i64::from(pods[*index].spec.priority), pods[*index].status.started_at.get())
        };
        lower.sort_by_key(|index| important(index, &self.pods));
        let checked = self.check(seeker, nominated, slot);
        let mut victims = Vec::new();
        let mut violations = 0;
        if checked.is_ok() {
            let mut allowed = [("a", 0), ("b", 1)];
            let (violating, others): (Vec<usize>, Vec<usize>) = lower.iter().copied().partition(|index| {
                let meta = &self.pods[*index].meta;
                if *meta.namespace != *"default" {
                    // A budget speaks of pods of its own namespace only.
                    return false;
                }
                let app = meta.labels.get("app").cloned().expect("every pod has the label");
                let budget = allowed.iter_mut().find(|(of, _)| **of == *app).expect("both have a budget");
                budget.1 -= 1;
                budget.1 < 0
            });
            for (index, violates) in violating.iter().map(|it| (*it, 1)).chain(others.iter().map(|it| (*it, 0))) {
                self.placement.put(row(index), &self.pods[index].clone(), &node);
                if self.check(seeker, nominated, slot).is_err() {
                    self.placement.remove_pod(row(index));
                    victims.push(index);
                    violations += violates;
                }
            }
            victims.sort_by_key(|index| important(index, &self.pods));
        } else {
            victims.clone_from(&lower);
        }
        victims.iter().for_each(|index| self.placement.put(row(*index), &self.pods[*index].clone(), &node));
        checked.map(|()| (victims, violations))
    }

    fn fast(&mut self, seeker: &Pod, slots: &[u32]) -> Vec<Result<Candidate, Vec<String>>> {
        let placement = &mut self.placement;
        let class = placement.classes.of(&seeker.spec, &Identity::of(seeker));
        placement.classes.hold(class);
        let profiles = placement.classes.profiles().clone();
        let (cache, classes) = (&mut placement.cache, &mut placement.classes);
        let relations = Relations::of(&profiles[0], cache, classes, &placement.around, class);
        let mut run = DryRun {
            profile: &profiles[0],
            cache: &mut placement.cache,
            classes: &placement.classes,
            around: &placement.around,
            nominations: &placement.nominations,
            row: row(self.pods.len()),
            class,
            relations,
        };
        let said = slots.iter().map(|slot| run.on_node(*slot)).collect();
        placement.classes.release(class);
        said
    }
}

fn prioritized(mut pod: Pod, priority: i32) -> Pod {
    let mut spec = (*pod.spec).clone();
    spec.priority = priority;
    pod.spec = Shared::new(spec);
    pod
}

fn agree(steps: &[Step], priorities: &[u8], nominated: &[(u8, u8, u8)], seeker: (u8, u8)) -> Result<(), TestCaseError> {
    let mut cluster = Cluster::of(steps, priorities);
    let seeker = prioritized(oracle::pod(seeker.0, false), i32::from(seeker.1) * 10 + 5);
    let order: Vec<u32> = cluster.placement.cache.order().to_vec();
    let mut on: Vec<Vec<Pod>> = vec![Vec::new(); order.len()];
    for (number, (class, priority, node)) in nominated.iter().enumerate().filter(|_| !order.is_empty()) {
        let place = usize::from(*node) % order.len();
        let pod = prioritized(oracle::pod(*class, false), i32::from(*priority) * 10 + 5);
        let name = cluster.placement.cache.slot(order[place]).name.clone();
        let Placement { classes, nominations, .. } = &mut cluster.placement;
        let class = classes.of(&pod.spec, &Identity::of(&pod));
        nominations.set(classes, row(10_000 + number), class, &name);
        on[place].push(pod);
    }
    let fast = cluster.fast(&seeker, &order);
    for ((slot, nominated), fast) in order.iter().zip(&on).zip(fast) {
        let plain = cluster.plain(&seeker, nominated, *slot);
        let fast =
            fast.map(|it| (it.victims.iter().map(|it| it.row.index as usize).collect::<Vec<_>>(), it.violations));
        if let Ok((victims, _)) = &plain
            && victims.is_empty()
        {
            // The node takes the pod as it is; nobody looks at it then.
            prop_assert!(fast.is_err());
            continue;
        }
        prop_assert_eq!(fast, plain, "slot {}", slot);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn removing_pods_in_thought_says_what_removing_them_says(
        steps in proptest::collection::vec(oracle::step(), 20..120),
        priorities in proptest::collection::vec(0..5_u8, 1..8),
        // Nominated pods have no terms: Kubernetes does not see those of pods that are on no node.
        nominated in proptest::collection::vec((0..12_u8, 0..6_u8, any::<u8>()), 0..6),
        // All classes but those with volumes.
        seeker in (prop_oneof![0..16_u8, 19..24_u8], 0..6_u8),
    ) {
        agree(&steps, &priorities, &nominated, seeker)?;
    }
}
