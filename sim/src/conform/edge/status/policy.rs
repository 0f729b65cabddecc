//! Budgets, quotas and namespaces.

use wavetank_core::model::{DisruptionStatus, Namespace, ResourceQuotaStatus};

use super::written::Written;

pub(super) fn budget(status: &mut DisruptionStatus, written: &Written<'_>) -> Result<(), String> {
    written.only(&[
        "conditions",
        "currentHealthy",
        "desiredHealthy",
        "disruptedPods",
        "disruptionsAllowed",
        "expectedPods",
        "observedGeneration",
    ])?;
    status.observed_generation = written.generation();
    (status.disruptions_allowed, status.current_healthy) =
        (written.number("disruptionsAllowed"), written.number("currentHealthy"));
    (status.desired_healthy, status.expected_pods) = (written.number("desiredHealthy"), written.number("expectedPods"));
    let pods = written.new["disruptedPods"].as_object().into_iter().flatten();
    let stored = std::mem::take(&mut status.disrupted_pods);
    let since = |name: &str, at: &serde_json::Value| {
        let was = stored.get(name).copied().filter(|_| written.old["disruptedPods"][name] == *at);
        was.or_else(|| written.time_of(at)).unwrap_or(written.now)
    };
    status.disrupted_pods = pods.map(|(name, at)| (name.as_str().into(), since(name, at))).collect();
    written.conditions(&mut status.conditions);
    Ok(())
}

pub(super) fn quota(status: &mut ResourceQuotaStatus, written: &Written<'_>) -> Result<(), String> {
    written.only(&["hard", "used"])?;
    (status.hard, status.used) = (written.amounts("hard")?, written.amounts("used")?);
    Ok(())
}

/// The phase is what it must be: that is validated.
pub(super) fn namespace(namespace: &mut Namespace, written: &Written<'_>) -> Result<(), String> {
    written.only(&["conditions", "phase"])?;
    written.conditions(&mut namespace.conditions);
    Ok(())
}
