//! What a study of placement measures: allocation, fragmentation and pods left over against the demand that has come.
//!
//! The demand's percentages and the means over them are those of the published analysis of the FGD experiments.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::json;
use wavetank_core::model::PodSpec;
use wavetank_core::scheduler::gpu::GPU_MILLI;
use wavetank_core::scheduler::policies::{Fragmentation, NodeView};
use wavetank_core::time::Time;
use wavetank_reports::record::{FactRow, POD_PHASES, Series, StepSeries, Study, StudyPoint};

use super::gpu_capacity;
use crate::plan::Plan;

/// A fact tells of every so many percent of demand.
const TOLD_EVERY: i64 = 10;
/// The columns of [`POD_PHASES`] that placement knows.
const PLACED_COLUMN: usize = 2;
const UNSCHEDULED_COLUMN: usize = 3;

/// The measurements of one run.
pub(super) struct Meter {
    /// Whether GPUs are what is measured; CPU otherwise.
    gpus: bool,
    capacity_milli: i64,
    cpu_capacity_milli: i64,
    memory_capacity: i64,
    fragmentation: Fragmentation,
    demand_milli: i64,
    arrived: u64,
    scheduled: u64,
    placed_now: i64,
    cluster: Cluster,
    nodes: Vec<NodeMeter>,
    /// By whole percent of demand.
    bins: BTreeMap<i64, Bin>,
    facts: Vec<FactRow>,
    series: Series,
}

/// How a node was when it last changed.
#[derive(Clone, Copy, Default)]
struct NodeMeter {
    idle_milli: i64,
    fragmented: i64,
    cpu_free: i64,
    memory_free: i64,
}

/// Sums over all nodes; `fragmented` counts thousandths times typical pods.
#[derive(Clone, Copy, Default)]
struct Cluster {
    idle_milli: i64,
    fragmented: i64,
    cpu_free: i64,
    memory_free: i64,
}

/// Sums over the events (arrivals and departures) of one bin.
#[derive(Clone, Copy, Default)]
struct Bin {
    events: i64,
    allocated: i64,
    fragmented: i64,
    /// Millionths of what is idle.
    of_idle: i64,
    unscheduled: i64,
}

impl Meter {
    pub(super) fn new(plan: &Plan) -> Meter {
        let gpus = gpu_capacity(plan);
        let allocatable = || plan.hosts.iter().map(|host| &host.boot.allocatable);
        let cpu_capacity_milli: i64 = allocatable().map(|resources| resources.cpu_milli).sum();
        Meter {
            gpus: gpus > 0,
            capacity_milli: if gpus > 0 { gpus } else { cpu_capacity_milli }.max(1),
            cpu_capacity_milli: cpu_capacity_milli.max(1),
            memory_capacity: allocatable().map(|resources| resources.memory_bytes).sum::<i64>().max(1),
            fragmentation: Fragmentation::of(&plan.typical_pods.kinds),
            demand_milli: 0,
            arrived: 0,
            scheduled: 0,
            placed_now: 0,
            cluster: Cluster::default(),
            nodes: vec![NodeMeter::default(); plan.hosts.len()],
            bins: BTreeMap::new(),
            facts: Vec::new(),
            series: series(gpus > 0),
        }
    }

    /// A node is as it is shown.
    pub(super) fn changed(&mut self, number: usize, node: NodeView<'_>) {
        let free = node.gpus().free();
        let new = NodeMeter {
            idle_milli: if self.gpus { node.gpus().free_total() } else { node.cpu_free() },
            fragmented: self.fragmentation.of_model(node.gpu_model()).expected(node.cpu_free(), free),
            cpu_free: node.cpu_free(),
            memory_free: node.memory_free(),
        };
        let old = std::mem::replace(&mut self.nodes[number], new);
        let cluster = &mut self.cluster;
        cluster.idle_milli += new.idle_milli - old.idle_milli;
        cluster.fragmented += new.fragmented - old.fragmented;
        cluster.cpu_free += new.cpu_free - old.cpu_free;
        cluster.memory_free += new.memory_free - old.memory_free;
    }

    /// A pod has come, and was bound or not.
    pub(super) fn arrived(&mut self, spec: &PodSpec, scheduled: bool) {
        let requests = spec.containers.iter().map(|container| &container.requests);
        let wanted = requests.map(|requests| match self.gpus {
            true => requests.extended.get(GPU_MILLI).copied().unwrap_or(0),
            false => requests.cpu_milli,
        });
        let before = self.percent();
        self.demand_milli += wanted.sum::<i64>();
        self.arrived += 1;
        self.scheduled += u64::from(scheduled);
        self.placed_now += i64::from(scheduled);
        // Told when the next tenth is reached, of the state that the last pod of this one has left.
        if self.percent() / TOLD_EVERY > before / TOLD_EVERY && self.arrived > 1 {
            let time_ns = self.series.other[0].rows.last().map_or(0, |(time_ns, _)| *time_ns);
            self.tell(time_ns, self.percent() / TOLD_EVERY * TOLD_EVERY, "Arrived");
        }
    }

    fn tell(&mut self, time_ns: u64, percent: i64, reason: &str) {
        let (seq, subject) = (self.facts.len() as u64, format!("demand {percent} %"));
        self.facts.push(FactRow::new((time_ns, seq), "study", subject, reason, self.sentence()));
    }

    fn sentence(&self) -> String {
        let percent = |per_mille: i64| format!("{}.{}", per_mille / 10, per_mille % 10);
        let what = if self.gpus { "GPU" } else { "CPU" };
        let mut text = format!("{} % of {what} allocated", percent(self.per_mille(self.allocated())));
        if self.gpus && self.fragmentation.pods() > 0 {
            text += &format!(", {} % fragmented", percent(self.per_mille(self.fragmented())));
        }
        text + &format!(", {} pods unscheduled", self.arrived - self.scheduled)
    }

    /// Everything of an instant has happened.
    pub(super) fn record(&mut self, at: Time) {
        let idle = self.cluster.idle_milli;
        let now = Bin {
            events: 1,
            allocated: self.allocated(),
            fragmented: self.fragmented(),
            of_idle: if idle == 0 { 0 } else { (i128::from(self.fragmented()) * 1_000_000 / i128::from(idle)) as i64 },
            unscheduled: (self.arrived - self.scheduled) as i64,
        };
        let bin = self.bins.entry(self.percent()).or_default();
        bin.events += 1;
        bin.allocated += now.allocated;
        bin.fragmented += now.fragmented;
        bin.of_idle += now.of_idle;
        bin.unscheduled += now.unscheduled;
        self.write_series(at, now);
    }

    fn write_series(&mut self, at: Time, now: Bin) {
        let per_mille = |free: i64, all: i64| (i128::from(all - free) * 1_000 / i128::from(all)) as i64;
        let cpu = per_mille(self.cluster.cpu_free, self.cpu_capacity_milli);
        let memory = per_mille(self.cluster.memory_free, self.memory_capacity);
        let mut phases = vec![0; POD_PHASES.len()];
        phases[PLACED_COLUMN] = self.placed_now;
        phases[UNSCHEDULED_COLUMN] = now.unscheduled;
        let mut row = vec![self.per_mille(now.allocated)];
        if self.gpus {
            row.push(self.per_mille(now.fragmented));
        }
        let series = &mut self.series;
        series.allocated_cpu.rows.push((at.0, vec![cpu]));
        series.allocated_memory.rows.push((at.0, vec![memory]));
        series.pods_by_phase.rows.push((at.0, phases));
        series.other[0].rows.push((at.0, row));
    }

    /// A pod that was bound has gone.
    pub(super) fn left(&mut self) {
        self.placed_now -= 1;
    }

    /// The demand in whole percent, halves to the even one, as the published analysis rounds.
    fn percent(&self) -> i64 {
        let (below, rest) =
            (self.demand_milli * 100 / self.capacity_milli, self.demand_milli * 100 % self.capacity_milli);
        match (2 * rest).cmp(&self.capacity_milli) {
            Ordering::Less => below,
            Ordering::Equal => below + below % 2,
            Ordering::Greater => below + 1,
        }
    }

    fn allocated(&self) -> i64 {
        self.capacity_milli - self.cluster.idle_milli
    }

    /// Thousandths of a GPU; 0 if nobody has said what is typical.
    fn fragmented(&self) -> i64 {
        self.cluster.fragmented / self.fragmentation.pods().max(1)
    }

    fn per_mille(&self, milli: i64) -> i64 {
        (i128::from(milli) * 1_000 / i128::from(self.capacity_milli)) as i64
    }

    pub(super) fn finish(mut self, end: Time) -> (Study, Vec<FactRow>, Series) {
        self.tell(end.0, self.percent(), "Ended");
        let points = self.points();
        let study = Study {
            resource: if self.gpus { "gpu" } else { "cpu" }.to_owned(),
            capacity_milli: self.capacity_milli as u64,
            pods_arrived: self.arrived,
            pods_scheduled: self.scheduled,
            pods_unscheduled: self.arrived - self.scheduled,
            points,
        };
        (study, self.facts, self.series)
    }

    fn points(&self) -> Vec<StudyPoint> {
        let mut before = Bin { events: 1, ..Bin::default() };
        let highest = self.bins.keys().next_back().copied().unwrap_or(0);
        let point = |percent: i64| {
            if let Some(bin) = self.bins.get(&percent) {
                before = *bin;
            }
            let mean = |sum: i64| sum as f64 / before.events as f64;
            let percent_of_capacity = |sum: i64| 100.0 * mean(sum) / self.capacity_milli as f64;
            StudyPoint {
                demand_percent: percent as u32,
                allocation_percent: percent_of_capacity(before.allocated),
                fragmentation_percent: percent_of_capacity(before.fragmented),
                fragmentation_of_idle_percent: mean(before.of_idle) / 10_000.0,
                unscheduled_pods: mean(before.unscheduled),
            }
        };
        (0..=highest).map(point).collect()
    }
}

/// What CEL expressions see: the totals, and each point by its percentage as `study.at["100"].allocation`.
pub fn as_seen_by_expectations(study: &Study) -> serde_json::Value {
    let at: serde_json::Map<String, serde_json::Value> = study
        .points
        .iter()
        .map(|point| {
            let value = json!({
                "allocation": point.allocation_percent,
                "fragmentation": point.fragmentation_percent,
                "fragmentationOfIdle": point.fragmentation_of_idle_percent,
                "unscheduledPods": point.unscheduled_pods,
            });
            (point.demand_percent.to_string(), value)
        })
        .collect();
    json!({
        "resource": study.resource,
        "capacityMilli": study.capacity_milli,
        "podsArrived": study.pods_arrived,
        "podsScheduled": study.pods_scheduled,
        "podsUnscheduled": study.pods_unscheduled,
        "at": at,
    })
}

fn series(gpus: bool) -> Series {
    let steps = |name: &str, unit: &str, columns: &[&str]| StepSeries {
        name: name.to_owned(),
        unit: unit.to_owned(),
        columns: columns.iter().map(|column| (*column).to_owned()).collect(),
        rows: Vec::new(),
    };
    let share = match gpus {
        true => steps("GPU allocation", "per mille", &["allocated", "fragmented"]),
        false => steps("CPU allocation", "per mille", &["allocated"]),
    };
    Series {
        pods_by_phase: steps("pods by phase", "pods", &POD_PHASES),
        nodes: steps("nodes", "nodes", &["ready", "not_ready"]),
        allocated_cpu: steps("allocated CPU", "per mille", &["total"]),
        allocated_memory: steps("allocated memory", "per mille", &["total"]),
        endpoints: Vec::new(),
        other: vec![share],
    }
}
