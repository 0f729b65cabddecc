//! What pods are given beside their images: ConfigMaps, Secrets, and the accounts that they run under.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{Name, literal};
use crate::model::{Labels, Meta};

/// The account of pods that name none; every namespace has one.
pub const DEFAULT_ACCOUNT: Name = literal!("default");
/// The ConfigMap that every namespace gets: the certificate by which pods know the API server.
pub const ROOT_CERTIFICATE: Name = literal!("kube-root-ca.crt");
/// Its key.
pub const ROOT_CERTIFICATE_KEY: &str = "ca.crt";
/// The type of a Secret that names none.
pub const OPAQUE: &str = "Opaque";

/// Values that are no text, by key.
pub type Blobs = BTreeMap<Name, Arc<[u8]>>;

/// Which of the two kinds that hold configuration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum ConfigKind {
    /// A ConfigMap.
    ConfigMap,
    /// A Secret.
    Secret,
}

/// What a pod takes from a ConfigMap or Secret of its namespace.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct ObjectReference {
    /// ConfigMap or Secret.
    pub kind: ConfigKind,
    /// Its name.
    pub name: Name,
    /// Whether the pod starts without it.
    pub optional: bool,
    /// Keys that must be there; empty is whatever it has.
    pub keys: Vec<Name>,
    /// The volume that shows it; `None` for environment variables.
    pub volume: Option<Name>,
}

/// A ConfigMap.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct ConfigMap {
    /// Names and labels.
    pub meta: Meta,
    /// Text by key.
    pub data: Labels,
    /// What is no text, by key.
    pub binary: Blobs,
    /// Whether its values stay as they are; `None` if nobody has said.
    pub immutable: Option<bool>,
}

/// A Secret.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Secret {
    /// Names and labels.
    pub meta: Meta,
    /// What it is for: `Opaque`, `kubernetes.io/tls` and so on.
    pub secret_type: Name,
    /// Values by key.
    pub data: Blobs,
    /// Whether its values stay as they are; `None` if nobody has said.
    pub immutable: Option<bool>,
}

impl Default for Secret {
    fn default() -> Self {
        Secret { meta: Meta::default(), secret_type: OPAQUE.into(), data: Blobs::new(), immutable: None }
    }
}

/// A ServiceAccount.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct ServiceAccount {
    /// Names and labels.
    pub meta: Meta,
    /// The Secrets that its pods may use, by name.
    pub secrets: Vec<Name>,
    /// The Secrets with which its pods' images are pulled, by name.
    pub image_pull_secrets: Vec<Name>,
    /// Whether its pods get a token; `None` is yes.
    pub automount: Option<bool>,
}

impl ServiceAccount {
    /// The account that every namespace gets.
    pub fn default_of(namespace: &str) -> ServiceAccount {
        ServiceAccount { meta: Meta::named(namespace, &DEFAULT_ACCOUNT), ..ServiceAccount::default() }
    }
}

impl ConfigMap {
    /// The ConfigMap with the API server's certificate that every namespace gets. Simulated API servers have none, so a
    /// text stands in its place.
    ///
    /// Source: `syncNamespace`, pkg/controller/certificates/rootcacertpublisher/publisher.go (v1.34.1).
    pub fn root_certificate(namespace: &str) -> ConfigMap {
        let mut meta = Meta::named(namespace, &ROOT_CERTIFICATE);
        meta.annotations = Labels::new([(DESCRIPTION, ROOT_CERTIFICATE_DESCRIPTION)]);
        ConfigMap { meta, data: Labels::new([(ROOT_CERTIFICATE_KEY, CERTIFICATE)]), ..ConfigMap::default() }
    }

    /// The bytes under a key.
    pub fn value(&self, key: &str) -> Option<Arc<[u8]>> {
        let text = self.data.get(key).map(|text| Arc::from(text.as_bytes()));
        text.or_else(|| self.binary.get(key).cloned())
    }
}

/// The annotation of the certificate's ConfigMap.
pub(crate) const DESCRIPTION: &str = "kubernetes.io/description";
const ROOT_CERTIFICATE_DESCRIPTION: &str = "Contains a CA bundle that can be used to verify the kube-apiserver when \
                                            using \
     internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across \
     distributions of Kubernetes clusters.";
/// What stands in the place of a certificate.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nd2F2ZXRhbms=\n-----END CERTIFICATE-----\n";
