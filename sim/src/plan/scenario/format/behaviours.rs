//! What containers do, and where their images come from.

use std::collections::BTreeMap;

use serde::Deserialize;
use wavetank_manifest::Spanned;

use super::{Bytes, NameAt, Spread};

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
