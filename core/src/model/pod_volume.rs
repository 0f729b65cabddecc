//! The volumes of a pod, as its spec names them.

use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

use crate::digest::StableHasher;
use crate::draw::{LETTERS, below};
use crate::id::Name;
use crate::model::{ClaimSpec, ConfigKind, Disk, EnvSource, Labels, Pod};
use crate::quantity::Quantity;

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
    EmptyDir(EmptyDir),
    /// A directory of the node.
    HostPath(Name),
    /// Files that the kubelet writes: of a ConfigMap, of a Secret, about the pod itself, or of several such sources.
    Files(Box<FileVolume>),
    /// A type that nothing depends on; its field's name.
    Other(Name),
}

/// An empty directory.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct EmptyDir {
    /// How large it may become (`sizeLimit`); `None` or 0 is no limit. Of a disk's, the pod is evicted then; memory's
    /// is full then.
    pub size_limit: Option<Quantity>,
    /// Where its files lie.
    pub medium: Medium,
}

/// Where the files of an empty directory lie.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Medium {
    /// On the node's disk.
    #[default]
    Disk,
    /// In memory: they count as memory of the container that writes them.
    Memory,
    /// In huge pages, which are set aside for the pod from the start.
    HugePages,
}

/// A directory without a limit, and one on the disk, have the hash that they would have without these fields, so that
/// fingerprints stay.
impl Hash for EmptyDir {
    fn hash<H: Hasher>(&self, state: &mut H) {
        if let Some(limit) = &self.size_limit {
            limit.hash(state);
        }
        if self.medium != Medium::Disk {
            self.medium.hash(state);
        }
    }
}

/// A volume whose files the kubelet writes (`configMap`, `secret`, `downwardAPI`, `projected`).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct FileVolume {
    /// The permissions of files that have none of their own.
    pub default_mode: u16,
    /// Whether it is of type `projected`, which goes on past a source that is not there and names all of them.
    pub projected: bool,
    /// Where the files come from; of two files with one path the later counts.
    pub sources: Vec<FileSource>,
}

/// Where files of a volume come from.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum FileSource {
    /// Keys of a ConfigMap or Secret.
    Keys {
        /// ConfigMap or Secret.
        kind: ConfigKind,
        /// Its name.
        name: Name,
        /// Whether the volume does without it and without its keys.
        optional: bool,
        /// Which keys, under which paths; empty is all, each under its own name.
        items: Vec<KeyToPath>,
    },
    /// A field of the pod, or a request or limit of one of its containers.
    Downward {
        /// The file.
        path: Name,
        /// What it says.
        value: EnvSource,
        /// Its permissions.
        mode: Option<u16>,
    },
    /// A token of the pod's account, which nothing here reads.
    Token {
        /// The file.
        path: Name,
    },
}

/// A key as a file.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct KeyToPath {
    /// The key.
    pub key: Name,
    /// The file, relative to the volume.
    pub path: Name,
    /// Its permissions.
    pub mode: Option<u16>,
}

/// Where a pod finds the token of its account.
pub const TOKEN_MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// How the names of volumes with such a token begin.
pub const TOKEN_VOLUME: &str = "kube-api-access-";

/// The volume with the token of its account, the API server's certificate and the namespace's name, which admission
/// adds to pods. All pods of a template share this note; the volume's name, which is drawn for each pod, follows from
/// the pod's uid (`Pod::token_volume`).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct TokenVolume {
    /// Whether the volume is added; if not, the pod has one that its manifest names, and its name is here.
    pub named: Option<Name>,
    /// The places of containers that mount something else at its path: init containers, then the others.
    pub not_in: Vec<u16>,
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

impl PodVolume {
    /// The ConfigMaps and Secrets whose files the volume shows.
    pub fn config(&self) -> impl Iterator<Item = (ConfigKind, &Name)> {
        let sources = match &self.source {
            PodVolumeSource::Files(files) => &files.sources[..],
            _ => &[],
        };
        sources.iter().filter_map(|source| match source {
            FileSource::Keys { kind, name, .. } => Some((*kind, name)),
            FileSource::Downward { .. } | FileSource::Token { .. } => None,
        })
    }
}

impl Pod {
    /// The name of the volume with the account's token that admission has added; `None` if there is none.
    pub fn token_volume(&self) -> Option<Name> {
        let token = self.spec.token.as_ref()?;
        if let Some(named) = &token.named {
            return Some(named.clone());
        }
        let mut letters = StableHasher::hash_one(&self.meta.uid);
        let mut name = String::from(TOKEN_VOLUME);
        for _ in 0..5 {
            name.push(char::from(LETTERS[below(letters, LETTERS.len() as u64) as usize]));
            letters = letters.wrapping_mul(LETTERS.len() as u64);
        }
        Some(name.into())
    }

    /// Whether the kubelet mounts the API server's certificate for the pod beside what its manifest names.
    pub fn needs_root_certificate(&self) -> bool {
        self.spec.token.as_ref().is_some_and(|token| token.named.is_none())
    }

    /// The names of the claims that the pod uses, each with whether it must belong to the pod, in the spec's order.
    pub fn claims(&self) -> impl Iterator<Item = (Name, bool)> {
        self.spec.volumes.iter().filter_map(|volume| volume.claim_name(&self.meta.name))
    }
}
