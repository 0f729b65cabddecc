//! What pods ask for of what the nodes have, over time.

use std::collections::BTreeMap;

use wavetank_core::model::Resources;
use wavetank_core::time::Time;
use wavetank_reports::record::StepSeries;

use super::Steps;

/// Requested and allocatable amounts, in all and by zone.
#[derive(Default)]
pub(super) struct Allocation {
    zones: BTreeMap<String, Share>,
    /// Times at which something changed, with every zone's share then.
    rows: Vec<(Time, BTreeMap<String, Share>)>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Share {
    cpu_requested: i64,
    cpu: i64,
    memory_requested: i64,
    memory: i64,
}

impl Allocation {
    /// A node comes with what it has (1) or takes it along (-1).
    pub(super) fn offer(&mut self, at: Time, zone: &str, amounts: &Resources, sign: i64) {
        let share = self.zones.entry(zone.to_owned()).or_default();
        share.cpu += sign * amounts.cpu_milli;
        share.memory += sign * amounts.memory_bytes;
        self.note(at);
    }

    /// A pod takes what it asks for (1) or gives it back (-1).
    pub(super) fn take(&mut self, at: Time, zone: &str, amounts: &Resources, sign: i64) {
        let share = self.zones.entry(zone.to_owned()).or_default();
        share.cpu_requested += sign * amounts.cpu_milli;
        share.memory_requested += sign * amounts.memory_bytes;
        self.note(at);
    }

    /// CPU over time.
    pub(super) fn cpu(&self) -> StepSeries {
        self.series("allocated CPU", |share| (share.cpu_requested, share.cpu))
    }

    /// Memory over time.
    pub(super) fn memory(&self) -> StepSeries {
        self.series("allocated memory", |share| (share.memory_requested, share.memory))
    }

    fn note(&mut self, at: Time) {
        match self.rows.last_mut() {
            Some((last, row)) if *last == at => row.clone_from(&self.zones),
            _ => self.rows.push((at, self.zones.clone())),
        }
    }

    /// Per mille, in all and by zone.
    fn series(&self, name: &str, part: impl Fn(&Share) -> (i64, i64)) -> StepSeries {
        let per_mille = |requested: i64, there: i64| if there > 0 { requested * 1_000 / there } else { 0 };
        let zones: Vec<&String> = self.zones.keys().filter(|zone| !zone.is_empty()).collect();
        let mut columns = vec!["total".to_owned()];
        columns.extend(zones.iter().map(|zone| (*zone).clone()));
        let mut steps = Steps::default();
        for (at, shares) in &self.rows {
            let sum = shares.values().map(&part).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
            let mut row = vec![per_mille(sum.0, sum.1)];
            row.extend(zones.iter().map(|zone| {
                let (requested, there) = shares.get(*zone).map_or((0, 0), &part);
                per_mille(requested, there)
            }));
            steps.push(*at, &row);
        }
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        steps.series(name, "per mille", &columns)
    }
}
