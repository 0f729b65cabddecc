//! What pods ask for of what the nodes have, over time.

use std::collections::BTreeMap;

use wavetank_core::model::Resources;
use wavetank_core::time::Time;
use wavetank_reports::record::StepSeries;

use super::Steps;

/// Requested and allocatable amounts by zone: every change of them, from which the rows are made at the end, when all
/// zones are known.
#[derive(Default)]
pub(super) struct Allocation {
    /// The zones' numbers.
    zones: BTreeMap<String, usize>,
    changes: Vec<Change>,
    /// Nobody will read the series: no changes are kept.
    unread: bool,
}

struct Change {
    at: Time,
    zone: usize,
    by: Share,
}

#[derive(Clone, Copy, Default)]
struct Share {
    cpu_requested: i64,
    cpu: i64,
    memory_requested: i64,
    memory: i64,
}

/// What one series shows of a share: what is requested, and of how much.
type Part = fn(&Share) -> (i64, i64);

impl Allocation {
    /// No nodes yet; changes are kept if somebody will read the series.
    pub(super) fn new(read: bool) -> Allocation {
        Allocation { unread: !read, ..Allocation::default() }
    }

    /// A node comes with what it has (1) or takes it along (-1).
    pub(super) fn offer(&mut self, at: Time, zone: &str, amounts: &Resources, sign: i64) {
        let (cpu, memory) = (sign * amounts.cpu_milli, sign * amounts.memory_bytes);
        self.change(at, zone, Share { cpu, memory, ..Share::default() });
    }

    /// A pod takes what it asks for (1) or gives it back (-1).
    pub(super) fn take(&mut self, at: Time, zone: &str, amounts: &Resources, sign: i64) {
        let (cpu_requested, memory_requested) = (sign * amounts.cpu_milli, sign * amounts.memory_bytes);
        self.change(at, zone, Share { cpu_requested, memory_requested, ..Share::default() });
    }

    fn change(&mut self, at: Time, zone: &str, by: Share) {
        if self.unread {
            return;
        }
        let zone = match self.zones.get(zone) {
            Some(number) => *number,
            None => {
                let number = self.zones.len();
                self.zones.insert(zone.to_owned(), number);
                number
            }
        };
        self.changes.push(Change { at, zone, by });
    }

    /// CPU and memory over time, per mille, in all and by zone.
    pub(super) fn series(&self) -> (StepSeries, StepSeries) {
        let named: Vec<(&str, usize)> = self
            .zones
            .iter()
            .filter(|(zone, _)| !zone.is_empty())
            .map(|(zone, number)| (zone.as_str(), *number))
            .collect();
        let cpu: Part = |share| (share.cpu_requested, share.cpu);
        let memory: Part = |share| (share.memory_requested, share.memory);
        let (mut cpu_steps, mut memory_steps) = (Steps::default(), Steps::default());
        let mut shares = vec![Share::default(); self.zones.len()];
        let mut row = Vec::new();
        for instant in self.changes.chunk_by(|one, next| one.at == next.at) {
            instant.iter().for_each(|change| shares[change.zone].add(&change.by));
            for (part, steps) in [(cpu, &mut cpu_steps), (memory, &mut memory_steps)] {
                let all = shares.iter().map(part).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
                row.clear();
                row.push(per_mille(all));
                row.extend(named.iter().map(|(_, number)| per_mille(part(&shares[*number]))));
                steps.push(instant[0].at, &row);
            }
        }
        let mut columns = vec!["total"];
        columns.extend(named.iter().map(|(zone, _)| *zone));
        let series = |name: &str, steps: Steps| steps.series(name.to_owned(), "per mille", &columns);
        (series("allocated CPU", cpu_steps), series("allocated memory", memory_steps))
    }
}

impl Share {
    fn add(&mut self, by: &Share) {
        self.cpu_requested += by.cpu_requested;
        self.cpu += by.cpu;
        self.memory_requested += by.memory_requested;
        self.memory += by.memory;
    }
}

fn per_mille((requested, there): (i64, i64)) -> i64 {
    if there > 0 { requested * 1_000 / there } else { 0 }
}
