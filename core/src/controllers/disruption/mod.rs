//! The disruption controller: counts for each PodDisruptionBudget how many pods may be taken away now.
//!
//! It also takes back the mark of pods that were to be disrupted and were not. Invariant: a status names the version
//! that it was counted for, so an eviction granted meanwhile is never counted away. Source:
//! pkg/controller/disruption/disruption.go (v1.34.1). Absent on purpose: the scale subresource of custom resources.

mod count;
mod tally;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::api::{Refusal, Request};
use crate::config::ControllerManagerConfig;
use crate::context::Context;
use crate::controllers::NamespacedName;
use crate::controllers::news::{News, Topics};
use crate::controllers::reconciler::{Desk, Reconciler, Step};
use crate::controllers::requests::Ended;
use crate::draw::{Purpose, below, draw};
use crate::events::Event;
use crate::id::Name;
use crate::model::{ConditionKind, Kind, Object, Pod, PodDisruptionBudget, Selector, SelectorRequirement, Status3};
use crate::store::View;
use crate::time::{Span, Time};

use tally::{Tallies, Tally};

/// How this controller names itself in events.
const REPORTER: &str = "controllermanager";
/// The number of this controller's client and work queue.
pub(super) const NUMBER: u8 = 17;
/// How long a granted eviction counts if the pod does not go, and how long a pod may carry the mark of a disruption
/// that does not come (`DeletionTimeout`, `stalePodDisruptionTimeout`).
const PATIENCE: Span = Span::from_secs(120);
/// How much later than that a budget is looked at again: the rate-limited queue's first delay.
const RECHECK_DELAY: Span = Span::from_millis(5);
/// One worker for budgets and one for marks that have become stale.
const WORKERS: u32 = 2;
/// Why DisruptionAllowed is false when the pods could not be counted.
const SYNC_FAILED: &str = "SyncFailed";
/// The reason of a mark that the kubelet set, which never becomes stale.
const BY_KUBELET: &str = "TerminationByKubelet";

/// The controller.
pub(super) struct Disruption {
    desk: Desk<Key, Stage>,
    tallies: Tallies,
}

/// What a sync is for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(in crate::controllers) enum Key {
    /// A budget.
    Budget(NamespacedName),
    /// A pod whose mark may be stale.
    Mark(NamespacedName),
}

/// What a sync waits for: one write, after which the budget is looked at again at a time.
pub(in crate::controllers) struct Stage {
    again: Option<Time>,
}

impl Disruption {
    /// The controller before its start.
    pub(super) fn new(config: &ControllerManagerConfig) -> Disruption {
        Disruption { desk: Desk::new(NUMBER, WORKERS, config.client_limit, |_| false), tallies: Tallies::default() }
    }

    fn sync_budget(&mut self, ctx: &mut Context<'_>, view: View<'_>, name: &NamespacedName) -> Step<Key, Stage> {
        let key = Key::Budget(name.clone());
        let Some((row, stored)) = view.find::<PodDisruptionBudget>(&name.namespace, &name.name) else {
            return self.desk.finish(ctx, &key, false);
        };
        let mut budget = PodDisruptionBudget::clone(stored);
        let mut again = None;
        let tally = self.tallies.of(row);
        debug_assert_eq!(*tally, Tally::walked(view, stored), "the counts of {name:?} have gone astray");
        if tally.pods == 0 {
            let event = Event::normal(REPORTER, "NoPods", "No matching pods found").about(&stored.meta);
            ctx.event(name.of(Kind::PodDisruptionBudget), event);
        }
        match count::count(view, stored, tally, ctx.now) {
            Ok(counted) => {
                if counted.has_unmanaged {
                    let event = Event::warning(REPORTER, "UnmanagedPods", unmanaged_pods(stored.selector.as_ref()));
                    ctx.event(name.of(Kind::PodDisruptionBudget), event.about(&stored.meta));
                }
                for pod in &counted.not_deleted {
                    say_not_deleted(ctx, view, &name.namespace, pod);
                }
                again = counted.again;
                counted.write_into(&mut budget);
                if budget.status != stored.status || !stored.status.condition_is_up_to_date() {
                    budget.status.update_condition(ctx.now);
                }
            }
            Err(message) => {
                let text = format!("Failed to calculate the number of expected pods: {message}");
                let event = Event::warning(REPORTER, "CalculateExpectedPodCountFailed", text).about(&stored.meta);
                ctx.event(name.of(Kind::PodDisruptionBudget), event);
                budget.status.disruptions_allowed = 0;
                let conditions = &mut budget.status.conditions;
                conditions.set(ConditionKind::DisruptionAllowed, Status3::False, SYNC_FAILED, &message, ctx.now);
            }
        }
        let changed = budget.status != stored.status;
        let expected = view.version_of::<PodDisruptionBudget>(row);
        let object = Object::PodDisruptionBudget(Arc::new(budget));
        let write = changed.then_some(Request::UpdateStatus { object, expected });
        self.desk.begin(ctx, key, Stage { again }, [write.into_iter().collect()])
    }

    /// Takes back a mark that has been there for too long on a pod that was not deleted.
    ///
    /// Source: `syncStalePodDisruption`.
    fn sync_mark(&mut self, ctx: &mut Context<'_>, view: View<'_>, name: &NamespacedName) -> Step<Key, Stage> {
        let key = Key::Mark(name.clone());
        let found = view.find::<Pod>(&name.namespace, &name.name);
        let Some((row, pod, stale_at)) = found.and_then(|(row, pod)| Some((row, pod, stale_at(pod)?))) else {
            return self.desk.finish(ctx, &key, false);
        };
        if stale_at > ctx.now {
            self.desk.queue.add_after(ctx, key.clone(), stale_at.since(ctx.now));
            return self.desk.finish(ctx, &key, false);
        }
        let mut pod = Pod::clone(pod);
        pod.status.conditions.set(ConditionKind::DisruptionTarget, Status3::False, "", "", ctx.now);
        let expected = view.version_of::<Pod>(row);
        let write = Request::UpdateStatus { object: Object::Pod(Arc::new(pod)), expected };
        self.desk.begin(ctx, key, Stage { again: None }, [vec![write]])
    }

    fn on_pod(&mut self, ctx: &mut Context<'_>, view: View<'_>, old: Option<&Pod>, new: Option<&Pod>) {
        let Some(pod) = new.or(old) else { return };
        if let Some(stale_at) = new.and_then(stale_at) {
            let delay = stale_at.max(ctx.now).since(ctx.now);
            self.desk.queue.add_after(ctx, Key::Mark(NamespacedName::of_meta(&pod.meta)), delay);
        }
        if view.writes(Kind::PodDisruptionBudget) == 0 {
            return;
        }
        let (mut chosen, mut others) = (None, Vec::new());
        for (row, budget) in view.in_namespace::<PodDisruptionBudget>(&pod.meta.namespace) {
            self.tallies.note_pod(row, budget, old, new);
            if budget.guards(&pod.meta.labels) {
                let name = NamespacedName::of_meta(&budget.meta);
                others.extend(chosen.replace(name));
            }
        }
        let several = !others.is_empty();
        if several {
            chosen = any_of(ctx, pod, chosen.into_iter().chain(others).collect());
        }
        if let Some(name) = chosen {
            if several {
                let (namespace, own, chosen) = (&pod.meta.namespace, &pod.meta.name, &name.name);
                let message = format!(
                    "Pod \"{namespace}\"/\"{own}\" matches multiple PodDisruptionBudgets.  Chose \"{chosen}\" \
                     arbitrarily."
                );
                let event = Event::warning(REPORTER, "MultiplePodDisruptionBudgets", message).about(&pod.meta);
                ctx.event(NamespacedName::of_meta(&pod.meta).of(Kind::Pod), event);
            }
            self.desk.queue.add(Key::Budget(name));
        }
    }
}

/// One of several budgets of a pod. Each change of the pod wakes one of them only, another each time, as it happens: so
/// in the end all of them have counted it.
///
/// Source: `getPdbForPod`, which takes the first that its index gives, in the order of a Go map.
fn any_of(ctx: &Context<'_>, pod: &Pod, budgets: Vec<NamespacedName>) -> Option<NamespacedName> {
    let drawn = draw(ctx.seed(), Purpose::BudgetChoice, pod.meta.uid.low(), ctx.now.0);
    let place = below(drawn, budgets.len() as u64) as usize;
    budgets.into_iter().nth(place)
}

/// What is said of a budget some of whose pods nobody manages.
///
/// Source: `trySync`, and `String` of label selectors,
/// staging/src/k8s.io/apimachinery/pkg/apis/meta/v1/generated.pb.go.
fn unmanaged_pods(selector: Option<&Selector>) -> String {
    let selector = selector.cloned().unwrap_or_default();
    let labels: String = selector.match_labels.iter().map(|(key, value)| format!("{key}: {value},")).collect();
    let requirement = |it: &SelectorRequirement| {
        let values: Vec<&str> = it.values.iter().map(|value| &**value).collect();
        let (key, operator, values) = (&it.key, it.operator, values.join(" "));
        format!("LabelSelectorRequirement{{Key:{key},Operator:{operator:?},Values:[{values}],}},")
    };
    let requirements: String = selector.match_expressions.iter().map(requirement).collect();
    format!(
        "Pods selected by this PodDisruptionBudget (selector: \
         &LabelSelector{{MatchLabels:map[string]string{{{labels}}},\
         MatchExpressions:[]LabelSelectorRequirement{{{requirements}}},}}) were found to be unmanaged. As a result, \
         the status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for \
         these pods please set \".spec.minAvailable\" field of the PDB to an integer value."
    )
}

/// Says of a pod that its eviction was granted and that it is still there. (The budget's namespace stands where its
/// name should.)
///
/// Source: `buildDisruptedPodMap`.
fn say_not_deleted(ctx: &mut Context<'_>, view: View<'_>, namespace: &Name, pod: &Name) {
    let Some((_, pod)) = view.find::<Pod>(namespace, pod) else { return };
    let message = format!("Pod was expected by PDB {namespace}/{namespace} to be deleted but it wasn't");
    let event = Event::warning(REPORTER, "NotDeleted", message).about(&pod.meta);
    ctx.event(NamespacedName::of_meta(&pod.meta).of(Kind::Pod), event);
}

/// When a pod's mark becomes stale, counted from the whole second that the API keeps; `None` if it has none that could.
///
/// Source: `nonTerminatingPodHasStaleDisruptionCondition`, pkg/controller/disruption/disruption.go (v1.34.1).
fn stale_at(pod: &Pod) -> Option<Time> {
    let kind = ConditionKind::DisruptionTarget;
    if !pod.status.conditions.is_true(kind) || !pod.is_active() {
        return None;
    }
    let mark = pod.status.conditions.get(kind).filter(|mark| *mark.reason != *BY_KUBELET)?;
    Some(mark.changed_at.whole_second() + PATIENCE)
}

impl Reconciler for Disruption {
    type Key = Key;
    type Stage = Stage;

    fn topics(&self) -> Topics {
        Topics::of_all(&[Kind::PodDisruptionBudget, Kind::Pod])
    }

    fn desk(&mut self) -> &mut Desk<Key, Stage> {
        &mut self.desk
    }

    fn list(&mut self, ctx: &mut Context<'_>, view: View<'_>) {
        for (row, budget) in view.all::<PodDisruptionBudget>() {
            self.tallies.note_budget(view, row, None, Some(budget));
            self.desk.queue.add(Key::Budget(NamespacedName::of_meta(&budget.meta)));
        }
        for (_, pod) in view.all::<Pod>() {
            // The tallies have counted it.
            self.on_pod(ctx, view, Some(pod), Some(pod));
        }
    }

    fn note(&mut self, ctx: &mut Context<'_>, view: View<'_>, News { change, pods, .. }: &News<'_>) {
        let after = view.at(change.revision);
        match change.kind {
            Kind::PodDisruptionBudget => {
                let (old, new) = view.sides::<PodDisruptionBudget>(change);
                self.tallies.note_budget(after, change.row, old, new);
                if let Some(budget) = new {
                    self.desk.queue.add(Key::Budget(NamespacedName::of_meta(&budget.meta)));
                }
            }
            Kind::Pod => self.on_pod(ctx, after, pods.0, pods.1),
            _ => {}
        }
    }

    fn sync(&mut self, ctx: &mut Context<'_>, view: View<'_>, key: Key) -> Step<Key, Stage> {
        match &key {
            Key::Budget(name) => self.sync_budget(ctx, view, name),
            Key::Mark(name) => self.sync_mark(ctx, view, name),
        }
    }

    fn proceed(&mut self, ctx: &mut Context<'_>, _view: View<'_>, ended: Ended<Key, Stage>) -> Step<Key, Stage> {
        let Ended { key, stage, error, .. } = ended;
        let failed = error.is_some_and(|error| !matches!(error, Refusal::NotFound(_)));
        if let (Some(again), false) = (stage.again, failed) {
            self.desk.queue.add_after(ctx, key.clone(), again.max(ctx.now).since(ctx.now) + RECHECK_DELAY);
        }
        self.desk.finish(ctx, &key, failed)
    }
}
