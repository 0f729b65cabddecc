//! The columns of quotas and priority classes.
//!
//! Source: `printResourceQuota`, `printPriorityClass`, pkg/printers/internalversion/printers.go (v1.34.1).

use wavetank_core::model::{PriorityClass, ResourceQuota};

pub(super) const QUOTA_HEADS: &[&str] = &["NAME", "REQUEST", "LIMIT", "AGE"];
pub(super) const CLASS_HEADS: &[&str] = &["NAME", "VALUE", "GLOBAL-DEFAULT", "AGE"];

pub(super) fn quota(name: String, quota: &ResourceQuota, age: String) -> Vec<String> {
    let column = |limits: bool| {
        let hard = quota.status.hard.iter().filter(|(resource, _)| resource.starts_with("limits.") == limits);
        let cell = hard.map(|(resource, hard)| {
            let used = quota.status.used.get(resource).copied().unwrap_or_default();
            format!("{resource}: {used}/{hard}")
        });
        cell.collect::<Vec<_>>().join(", ")
    };
    vec![name, column(false), column(true), age]
}

pub(super) fn class(name: String, class: &PriorityClass, age: String) -> Vec<String> {
    vec![name, class.value.to_string(), class.global_default.to_string(), age]
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_core::model::{Amounts, ResourceQuotaStatus};

    #[test]
    fn a_quota_shows_requests_and_limits_apart() {
        let list = |pairs: &[(&str, &str)]| -> Amounts {
            pairs.iter().map(|(name, amount)| ((*name).into(), amount.parse().expect("a quantity"))).collect()
        };
        let hard = list(&[("limits.cpu", "4"), ("pods", "10"), ("requests.cpu", "2")]);
        let used = list(&[("limits.cpu", "500m"), ("pods", "3"), ("requests.cpu", "250m")]);
        let object = ResourceQuota { status: ResourceQuotaStatus { hard, used }, ..ResourceQuota::default() };
        let row = quota("q".to_owned(), &object, "5s".to_owned());
        assert_eq!(row, ["q", "pods: 3/10, requests.cpu: 250m/2", "limits.cpu: 500m/4", "5s"]);
    }
}
