//! PodDisruptionBudgets, whose spec is shown as the user wrote it.

use serde_json::{Map, Value};
use wavetank_core::model::PodDisruptionBudget;

use super::{Show, entry, set, set_unless_empty, set_unless_zero};

impl Show<'_> {
    pub(super) fn disruption_budget(&self, root: &mut Map<String, Value>, budget: &PodDisruptionBudget) {
        let counts = &budget.status;
        let status = entry(root, "status");
        set_unless_zero(status, "observedGeneration", counts.observed_generation.into());
        set(status, "disruptionsAllowed", counts.disruptions_allowed);
        set(status, "currentHealthy", counts.current_healthy);
        set(status, "desiredHealthy", counts.desired_healthy);
        set(status, "expectedPods", counts.expected_pods);
        if !counts.disrupted_pods.is_empty() {
            let pods = counts.disrupted_pods.iter().map(|(pod, since)| (pod.to_string(), self.time(*since)));
            set(status, "disruptedPods", pods.collect::<Map<_, _>>());
        }
        let mut conditions = self.conditions(&counts.conditions);
        for condition in conditions.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
            set(condition, "observedGeneration", counts.observed_generation);
            condition.entry("message").or_insert_with(|| "".into());
        }
        set_unless_empty(status, "conditions", conditions);
    }
}
