//! Expected fragmentation: how much of a node's idle GPUs a pod drawn from the workload could not use.
//!
//! For one typical pod, all idle GPU of a node is lost if the pod could not go there (too little CPU, too little GPU,
//! the wrong model, or a pod without GPUs); otherwise what is left on devices too full for it. The expectation weighs
//! this with the typical pods' shares. It is an exact sum in whole numbers: thousandths of a GPU times pods.
//!
//! Source: sections 3 and 4 of Beware of Fragmentation (USENIX ATC 2023). The simulator published with it ignores
//! memory, and so does this.

use crate::config::TypicalPod;
use crate::id::Name;
use crate::scheduler::gpu::{GpuRequest, WHOLE};

/// The expectation over some typical pods.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fragmentation {
    pods: i64,
    /// What the typical pods ask of GPUs, each once; pods without GPUs have none.
    shapes: Vec<GpuRequest>,
    /// For the models that some pod names, by name.
    models: Vec<(Name, Table)>,
    /// For all other models.
    others: Table,
}

/// The expectation on nodes of one model.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Table {
    pods: i64,
    shapes: Vec<GpuRequest>,
    /// CPU requests of typical pods, ascending; row `n + 1` counts the pods that `cpus[n]` suffices for.
    cpus: Vec<i64>,
    /// Pods by CPU row and by shape.
    rows: Vec<i64>,
}

impl Fragmentation {
    /// The expectation over these pods.
    pub fn of(pods: &[TypicalPod]) -> Fragmentation {
        let mut shapes: Vec<GpuRequest> = pods.iter().map(|pod| pod.gpu).filter(|gpu| !gpu.is_none()).collect();
        shapes.sort_unstable();
        shapes.dedup();
        let mut names: Vec<Name> = pods.iter().flat_map(|pod| pod.models.iter().cloned()).collect();
        names.sort_unstable();
        names.dedup();
        let table = |model: Option<&Name>| Table::of(pods, &shapes, model);
        let models = names.iter().map(|name| (name.clone(), table(Some(name)))).collect();
        let others = table(None);
        Fragmentation { pods: others.pods, models, others, shapes }
    }

    /// How many pods the typical pods stand for: what [`Table::expected`] is to be divided by.
    pub fn pods(&self) -> i64 {
        self.pods
    }

    /// The expectation on nodes with GPUs of this model.
    pub fn of_model(&self, model: Option<&Name>) -> &Table {
        let named = |model: &Name| self.models.iter().find(|(name, _)| name == model).map(|(_, table)| table);
        model.and_then(named).unwrap_or(&self.others)
    }
}

impl Table {
    fn of(pods: &[TypicalPod], shapes: &[GpuRequest], model: Option<&Name>) -> Table {
        let fits = |pod: &&TypicalPod| !pod.gpu.is_none() && pod.takes(model);
        let mut cpus: Vec<i64> = pods.iter().filter(fits).map(|pod| pod.cpu_milli).collect();
        cpus.sort_unstable();
        cpus.dedup();
        let mut rows = vec![0; (cpus.len() + 1) * shapes.len()];
        for pod in pods.iter().filter(fits) {
            let shape = shapes.binary_search(&pod.gpu).expect("every pod's shape is listed");
            let first = cpus.binary_search(&pod.cpu_milli).expect("every pod's CPU is listed") + 1;
            for row in first..=cpus.len() {
                rows[row * shapes.len() + shape] += i64::from(pod.count);
            }
        }
        let pods = pods.iter().map(|pod| i64::from(pod.count)).sum();
        Table { pods, shapes: shapes.to_vec(), cpus, rows }
    }

    /// What is fragmented of a node with so much CPU and so much of each GPU left: thousandths of a GPU, times
    /// [`Fragmentation::pods`].
    pub fn expected(&self, cpu_free: i64, free: &[u16]) -> i64 {
        let row = self.cpus.partition_point(|cpu| *cpu <= cpu_free);
        let row = &self.rows[row * self.shapes.len()..][..self.shapes.len()];
        let (mut total, mut used, mut idle) = (0, 0, 0);
        let mut most = 0;
        for left in free {
            total += i64::from(*left);
            most = most.max(*left);
            if *left == WHOLE {
                idle += 1;
            } else {
                used += i64::from(*left);
            }
        }
        let (mut served, mut lost) = (0, 0);
        for (shape, pods) in self.shapes.iter().zip(row) {
            if *pods == 0 {
                continue;
            }
            if shape.milli_each() == WHOLE {
                if shape.devices() <= idle {
                    served += pods;
                    lost += pods * used;
                }
            } else if shape.milli_each() <= most {
                let too_full = free.iter().filter(|left| **left < shape.milli_each());
                served += pods;
                lost += pods * too_full.map(|left| i64::from(*left)).sum::<i64>();
            }
        }
        total * (self.pods - served) + lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(cpu_milli: i64, gpu_milli: i64, models: &[&str], count: u32) -> TypicalPod {
        let models = models.iter().map(|model| (*model).into()).collect();
        TypicalPod { cpu_milli, gpu: GpuRequest::of_total(gpu_milli), models, count }
    }

    #[test]
    fn what_no_typical_pod_can_use_is_fragmented() {
        let pods = [
            pod(4_000, 500, &[], 3),
            pod(8_000, 1_000, &[], 2),
            pod(16_000, 2_000, &[], 1),
            pod(1_000, 0, &[], 4),
            pod(1_000, 300, &["A10", "T4"], 2),
        ];
        let fragmentation = Fragmentation::of(&pods);
        assert_eq!(fragmentation.pods(), 12);
        let (any, t4) = (fragmentation.of_model(None), fragmentation.of_model(Some(&"T4".into())));
        // Devices with 1,000, 400 and 200 left. Pods without GPUs and those of another model lose all 1,600; the pod
        // of two devices as well; the shares of 500 and the whole one lose 600.
        assert_eq!(any.expected(16_000, &[1_000, 400, 200]), (4 + 2 + 1) * 1_600 + (3 + 2) * 600);
        assert_eq!(t4.expected(16_000, &[1_000, 400, 200]), (4 + 1) * 1_600 + (3 + 2) * 600 + 2 * 200);
        // With 4 cores left the whole one does not fit either; with less than 1 core nothing does.
        assert_eq!(any.expected(4_000, &[1_000, 400, 200]), 9 * 1_600 + 3 * 600);
        assert_eq!(t4.expected(999, &[1_000, 400, 200]), 12 * 1_600);
        assert_eq!(any.expected(16_000, &[0, 0]), 0, "a full node has nothing to lose");
        assert_eq!(any.expected(16_000, &[]), 0);
    }
}
