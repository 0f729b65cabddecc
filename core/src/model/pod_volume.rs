//! The volumes of a pod, as its spec names them.

use serde::{Deserialize, Serialize};

use crate::id::Name;
use crate::model::{ClaimSpec, Disk, Labels, Pod};

/// A volume of a pod.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct PodVolume {
    /// Its name within the pod.
    pub name: Name,
    /// What it is.
    pub source: PodVolumeSource,
}

/// What a volume of a pod is.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum PodVolumeSource {
    /// The volume of a claim in the pod's namespace.
    Claim {
        /// The claim.
        name: Name,
        /// Whether it is only read.
        read_only: bool,
    },
    /// A volume that comes and goes with the pod, by a claim of its own.
    Ephemeral(Box<ClaimTemplate>),
    /// A volume that a CSI driver makes for this pod alone, without a claim.
    Csi {
        /// The driver.
        driver: Name,
    },
    /// A network disk.
    Disk(Disk),
    /// An empty directory.
    EmptyDir,
    /// A directory of the node.
    HostPath(Name),
    /// The keys of a ConfigMap.
    ConfigMap(Name),
    /// The keys of a Secret.
    Secret(Name),
    /// Several sources in one directory.
    Projected,
    /// A type that nothing depends on; its field's name.
    Other(Name),
}

/// The claim of an ephemeral volume, or of a StatefulSet's pods.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct ClaimTemplate {
    /// The claim's name where the template gives one (a StatefulSet's); empty for an ephemeral volume.
    pub name: Name,
    /// The claim's labels.
    pub labels: Labels,
    /// The claim's annotations.
    pub annotations: Labels,
    /// What it asks for.
    pub spec: ClaimSpec,
    /// The claim as the user wrote it (JSON text); parts that the core does not model are shown from here.
    pub original: Option<Name>,
}

impl PodVolume {
    /// The claim of this volume of a pod; `None` for a volume without a claim. The second part says whether the claim
    /// must belong to the pod.
    ///
    /// Source: `VolumeClaimName`, staging/src/k8s.io/component-helpers/storage/ephemeral/ephemeral.go (v1.34.1).
    pub fn claim_name(&self, pod: &str) -> Option<(Name, bool)> {
        match &self.source {
            PodVolumeSource::Claim { name, .. } => Some((name.clone(), false)),
            PodVolumeSource::Ephemeral(_) => Some((format!("{pod}-{}", self.name).into(), true)),
            _ => None,
        }
    }
}

impl Pod {
    /// The names of the claims that the pod uses, each with whether it must belong to the pod, in the spec's order.
    pub fn claims(&self) -> impl Iterator<Item = (Name, bool)> {
        self.spec.volumes.iter().filter_map(|volume| volume.claim_name(&self.meta.name))
    }
}
