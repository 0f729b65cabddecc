//! Storage: the CSI drivers that make, attach and delete volumes.

use serde::Deserialize;
use wavetank_manifest::Spanned;

use super::{NameAt, Spread};

/// The storage of the cluster.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Storage {
    /// The CSI drivers, each on every node.
    #[serde(default)]
    pub provisioners: Vec<Provisioner>,
}

/// A modelled CSI driver.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Provisioner {
    /// Its name, which StorageClasses give as their provisioner.
    pub name: NameAt,
    /// Whether its volumes are attached to nodes before they are mounted; they are if not said.
    pub attach_required: Option<bool>,
    /// The node labels that tell where a volume can be reached; none is everywhere.
    #[serde(default)]
    pub topology_keys: Vec<String>,
    /// How many volumes a node can have.
    pub volumes_per_node: Option<u32>,
    /// How long it takes to make or delete a volume: a time, or `uniform`.
    pub provision: Option<Spanned<Spread>>,
    /// How long it takes to attach a volume.
    pub attach: Option<Spanned<Spread>>,
    /// How long it takes to detach a volume.
    pub detach: Option<Spanned<Spread>>,
    /// How long it takes to enlarge a volume.
    pub resize: Option<Spanned<Spread>>,
}
