//! What containers do, and where their images come from.

use std::collections::BTreeMap;

use serde::Deserialize;
use wavetank_manifest::Spanned;

use super::{Amount, Bytes, Duration, NameAt, Spread};

/// Images and the registry that has them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Registry {
    /// Images by their full names.
    #[serde(default)]
    pub images: BTreeMap<String, Image>,
    /// The size of every other image.
    pub default_size: Option<Bytes>,
    /// From a request to the first byte.
    pub latency: Option<Spread>,
}

/// One image.
#[derive(Clone, Debug, Deserialize)]
pub struct Image {
    /// Its size.
    pub size: Option<Bytes>,
    /// True if it cannot be pulled.
    #[serde(default)]
    pub missing: bool,
    /// The Secret, by its name in the pod's namespace, that must be among the pod's `imagePullSecrets`.
    pub secret: Option<String>,
}

/// What the containers of some pods do.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Behaviour {
    /// Which pods, by their labels.
    #[serde(default)]
    pub selector: LabelSelector,
    /// In which namespace; every one if not said.
    pub namespace: Option<NameAt>,
    /// Which container; every one if not said.
    pub container: Option<String>,
    /// The size of the images of these pods.
    pub image_size: Option<Spanned<Bytes>>,
    /// From the start request to a running container.
    pub start_delay: Option<Spread>,
    /// From a running container to a ready one.
    pub readiness_delay: Option<Spread>,
    /// From a running container to its end by itself.
    pub run_time: Option<Spread>,
    /// How it ends by itself.
    pub exit_code: Option<i32>,
    /// How it ends by itself, by chance.
    pub exit_codes: Option<Spanned<Vec<ExitChance>>>,
    /// What its first, second, … start does; after the last entry it runs for ever.
    pub starts: Option<Spanned<Vec<Start>>>,
    /// From the TERM signal to its end.
    pub stop_delay: Option<Spread>,
    /// The n-th pods to begin on a node among those selected, from 1; all if not said.
    pub replicas: Option<Spanned<Vec<u32>>>,
    /// Pods whose names end in these numbers, as those of a StatefulSet do; all if not said.
    #[serde(default)]
    pub ordinals: Vec<u32>,
    /// The n-th starts of the container, from 1; all if not said.
    pub on_starts: Option<Spanned<Vec<u32>>>,
    /// It never becomes ready, though it lives.
    #[serde(default)]
    pub never_ready: bool,
    /// How long it takes to answer a probe.
    pub response_time: Option<Duration>,
    /// When it does not answer its probes.
    pub outages: Option<Spanned<Vec<Outage>>>,
    /// It cannot be started: the runtime's message.
    pub start_error: Option<String>,
    /// How long its post-start hook takes.
    pub post_start: Option<Spread>,
    /// Its post-start hook fails.
    #[serde(default)]
    pub post_start_fails: bool,
    /// How long its pre-stop hook takes.
    pub pre_stop: Option<Spread>,
    /// Its working set.
    pub memory: Option<Spanned<Growth>>,
    /// Its writable layer and logs.
    pub disk: Option<Spanned<Growth>>,
    /// The `emptyDir` volume that its disk use lies in; its writable layer and logs if not said.
    pub disk_volume: Option<Spanned<String>>,
    /// Its CPU.
    pub cpu: Option<Spanned<Cpu>>,
    /// Its processes.
    #[serde(default)]
    pub processes: u32,
}

/// A time in which a container does not answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outage {
    /// From here, since the container's start.
    pub from: Duration,
    /// To here; for ever if not said.
    pub to: Option<Duration>,
    /// Its readiness probe alone fails.
    #[serde(default)]
    pub readiness_only: bool,
}

/// Bytes that grow.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Growth {
    /// At the start.
    #[serde(default = "no_bytes")]
    pub base: Bytes,
    /// So much more …
    pub grows_by: Option<Bytes>,
    /// … in each of these; a minute if not said.
    pub every: Option<Duration>,
    /// But never more than this.
    pub up_to: Option<Bytes>,
    /// How far base and growth of one start may be from these, in percent.
    #[serde(default)]
    pub spread: u32,
}

fn no_bytes() -> Bytes {
    Bytes(0)
}

/// CPU over time: constant, in steps, or a wave.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cpu {
    /// Always so much, as a Kubernetes quantity.
    pub usage: Option<Amount>,
    /// So much from each time on.
    pub steps: Option<Vec<CpuStep>>,
    /// After this the steps begin again.
    pub repeat_every: Option<Duration>,
    /// A wave.
    pub wave: Option<CpuWave>,
}

/// CPU use from a time on.
#[derive(Clone, Debug, Deserialize)]
pub struct CpuStep {
    /// Since the container's start.
    pub at: Duration,
    /// How much.
    pub usage: Amount,
}

/// CPU use that rises and falls.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CpuWave {
    /// The middle.
    pub mean: Amount,
    /// How far from the middle it gets.
    pub amplitude: Amount,
    /// From one peak to the next.
    pub period: Duration,
    /// When the first peak is, since the container's start.
    pub peak_at: Option<Duration>,
}

/// A label selector of Kubernetes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LabelSelector {
    /// Labels that must be there.
    #[serde(default)]
    pub match_labels: BTreeMap<String, String>,
    /// Further requirements.
    #[serde(default)]
    pub match_expressions: Vec<Requirement>,
}

/// One requirement of a label selector.
#[derive(Clone, Debug, Deserialize)]
pub struct Requirement {
    /// The label.
    pub key: String,
    /// How its value is compared.
    pub operator: Operator,
    /// The values compared with.
    #[serde(default)]
    pub values: Vec<String>,
}

/// How a label selector compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the names are those of Kubernetes")]
pub enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

/// One exit code and how likely it is.
#[derive(Clone, Debug, Deserialize)]
pub struct ExitChance {
    /// The exit code.
    pub code: i32,
    /// How likely it is among the others' weights.
    pub weight: u32,
}

/// What one start of a container does.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Start {
    /// How long it runs; for ever if not said.
    pub run_time: Option<Spread>,
    /// Its exit code.
    #[serde(default)]
    pub exit_code: i32,
}
