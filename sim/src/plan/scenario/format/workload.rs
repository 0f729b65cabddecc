//! Workloads that come from recorded traces, and the scheduler's policy.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use wavetank_manifest::Spanned;

use super::{Duration, NameAt};

/// Pods that come from a recorded trace.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Workload {
    /// The trace.
    pub trace: Trace,
    /// Which of its pods count as typical.
    #[serde(default)]
    pub typical_pods: TypicalPods,
}

/// A trace in the format of Alibaba's GPU cluster trace of 2023: two CSV files.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trace {
    /// The pods' file.
    pub pods: NameAt,
    /// The nodes' file; without it, the cluster is that of `spec.nodes`.
    pub nodes: Option<NameAt>,
    /// In which order pods arrive.
    #[serde(default)]
    pub order: Order,
    /// In which order the nodes' names sort.
    #[serde(default)]
    pub node_order: Order,
    /// Where the orders, and the choice of pods that `demand` asks for, come from.
    #[serde(default)]
    pub draws: DrawsOf,
    /// How much GPU the pods ask for together, as a share of what the cluster has.
    pub demand: Option<Spanned<f64>>,
    /// When pods arrive.
    #[serde(default)]
    pub arrivals: Arrivals,
    /// From one arrival to the next, of pods that come one by one.
    pub interval: Option<Spanned<Duration>>,
}

/// An order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Order {
    /// As the file has it.
    #[default]
    File,
    /// Drawn from the seed.
    Shuffled,
}

/// Who makes a study's choices from the seed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DrawsOf {
    /// The project, as it makes all its draws.
    #[default]
    Own,
    /// The simulator that the FGD study was published with.
    Published,
}

/// When the pods of a trace arrive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Arrivals {
    /// One after the other, and none leaves.
    #[default]
    OneByOne,
    /// As recorded, and they leave as recorded.
    Recorded,
}

/// Which pods of a workload count as typical: the most frequent kinds.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TypicalPods {
    /// The share of all pods that the typical kinds make up.
    pub share: Option<Spanned<f64>>,
    /// Whether pods without GPUs count as well.
    pub cpu_pods: Option<bool>,
}

/// What the scheduler scores nodes by.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Scores by name and their weights; empty is the default profile.
    pub scores: Vec<(NameAt, i64)>,
    /// Filters beside those of Kubernetes.
    pub filters: Vec<NameAt>,
}

/// The name of the default profile where a policy can stand.
pub const DEFAULT_POLICY: &str = "Default";

impl<'de> Deserialize<'de> for Policy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Policy, D::Error> {
        struct PolicyVisitor;
        impl<'de> Visitor<'de> for PolicyVisitor {
            type Value = Policy;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a policy's name, such as FGD, or a mapping with scores and filters")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Policy, E> {
                let name = Spanned { value: name.to_owned(), span: Default::default() };
                let scores = if name.value == DEFAULT_POLICY { vec![] } else { vec![(name, 1)] };
                Ok(Policy { scores, filters: vec![] })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Policy, A::Error> {
                #[derive(Deserialize)]
                struct Parts {
                    scores: std::collections::BTreeMap<String, Spanned<u32>>,
                    #[serde(default)]
                    filters: Vec<NameAt>,
                }
                let parts = Parts::deserialize(de::value::MapAccessDeserializer::new(map))?;
                let score = |(name, weight): (String, Spanned<u32>)| {
                    (Spanned { value: name, span: weight.span }, i64::from(weight.value))
                };
                Ok(Policy { scores: parts.scores.into_iter().map(score).collect(), filters: parts.filters })
            }
        }
        deserializer.deserialize_any(PolicyVisitor)
    }
}
