//! The configuration of the PodSecurity plugin.

use serde::{Deserialize, Serialize};

use crate::id::{Name, literal};

/// What stands where a namespace's labels say nothing, and which namespaces are exempt.
///
/// Absent on purpose: exempt users and runtime classes, of which there are none here.
///
/// Source: `PodSecurityConfiguration`, staging/src/k8s.io/pod-security-admission/admission/api/types.go (v1.34.1).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct PodSecurityConfig {
    /// What pods must hold to.
    pub enforce: PodSecurityLevel,
    /// What the audit is told of.
    pub audit: PodSecurityLevel,
    /// What users are warned of.
    pub warn: PodSecurityLevel,
    /// The namespaces whose labels are ignored, and whose pods may have anything.
    pub exempt_namespaces: Vec<Name>,
}

/// A level of the Pod Security Standards in a version.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct PodSecurityLevel {
    /// `privileged`, `baseline` or `restricted`.
    pub level: Name,
    /// `latest` or `v1.x`.
    pub version: Name,
}

impl Default for PodSecurityLevel {
    /// Nothing is forbidden.
    fn default() -> PodSecurityLevel {
        PodSecurityLevel { level: literal!("privileged"), version: literal!("latest") }
    }
}
