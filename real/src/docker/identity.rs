//! Who a container is: the labels that tie it to a cluster, a pod and an attempt, and the name that keeps it unique.
//!
//! Invariant: `Identity::from_labels` gives back exactly what `Identity::labels` wrote. A program that starts again
//! recognises its containers by labels alone; names are for people and for refusing a second copy.

use std::{collections::HashMap, fmt};

const LABEL_CLUSTER: &str = "wavetank.dev/cluster";
const LABEL_NAMESPACE: &str = "wavetank.dev/namespace";
const LABEL_POD: &str = "wavetank.dev/pod";
const LABEL_UID: &str = "wavetank.dev/uid";
const LABEL_KIND: &str = "wavetank.dev/kind";
const LABEL_CONTAINER: &str = "wavetank.dev/container";
const LABEL_ATTEMPT: &str = "wavetank.dev/attempt";
const KIND_SANDBOX: &str = "sandbox";
const KIND_CONTAINER: &str = "container";
/// What stands for the container in the name of a sandbox. No container can be called so: upper case is not allowed.
const SANDBOX_NAME: &str = "POD";
/// Most characters of a DNS subdomain, the longest name Kubernetes gives.
const NAME_LENGTH_MAX: usize = 253;

/// A name that cannot be used for `what`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {found:?} is not valid: expected 1 to 253 of a-z, 0-9, '-' and '.', first and last a letter or digit")]
pub struct NameError {
    what: &'static str,
    found: String,
}

/// Which of several Wavetank clusters on one engine a container belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterName(String);

/// A container's name inside its pod.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerName(String);

/// The engine's own identifier of a container: 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerId(pub(super) String);

/// How many times this sandbox or container was created before, from zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Attempt(pub u32);

/// One pod, for ever: a pod of the same name that comes later has another `uid`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodIdentity {
    /// The cluster.
    pub cluster: ClusterName,
    namespace: String,
    name: String,
    uid: String,
}

/// What a container is within its pod.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The pause container that holds the pod's namespaces.
    Sandbox,
    /// One of the pod's own containers.
    Container(ContainerName),
}

/// Everything Wavetank writes on a container to recognise it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// The pod.
    pub pod: PodIdentity,
    /// The part it plays in the pod.
    pub role: Role,
    /// Which try this is.
    pub attempt: Attempt,
}

impl ClusterName {
    /// Checks and keeps the name.
    pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
        checked("cluster name", name.into()).map(Self)
    }

    /// The engine's filter for everything of this cluster.
    pub(super) fn filters(&self) -> HashMap<String, Vec<String>> {
        HashMap::from([("label".to_owned(), vec![format!("{LABEL_CLUSTER}={}", self.0)])])
    }
}

impl ContainerName {
    /// Checks and keeps the name.
    pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
        checked("container name", name.into()).map(Self)
    }
}

impl PodIdentity {
    /// Checks and keeps the pod's coordinates.
    pub fn new(cluster: ClusterName, namespace: &str, name: &str, uid: &str) -> Result<Self, NameError> {
        Ok(Self {
            cluster,
            namespace: checked("namespace", namespace.to_owned())?,
            name: checked("pod name", name.to_owned())?,
            uid: checked("pod uid", uid.to_owned())?,
        })
    }

    /// The pod's namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The pod's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The pod's unique identifier.
    pub fn uid(&self) -> &str {
        &self.uid
    }
}

impl Identity {
    /// The container's name: `wavetank_<container>_<pod>_<namespace>_<uid>_<attempt>`, `POD` for a sandbox.
    ///
    /// No part can contain an underscore, so two identities of different uid, role or attempt never share a name. The
    /// engine refuses a second container of one name, which is what makes creating idempotent.
    pub fn engine_name(&self) -> String {
        let container = match &self.role {
            Role::Sandbox => SANDBOX_NAME,
            Role::Container(name) => &name.0,
        };
        let PodIdentity { namespace, name, uid, .. } = &self.pod;
        format!("wavetank_{container}_{name}_{namespace}_{uid}_{}", self.attempt)
    }

    pub(super) fn labels(&self) -> HashMap<String, String> {
        let mut labels = HashMap::from([
            (LABEL_CLUSTER.to_owned(), self.pod.cluster.0.clone()),
            (LABEL_NAMESPACE.to_owned(), self.pod.namespace.clone()),
            (LABEL_POD.to_owned(), self.pod.name.clone()),
            (LABEL_UID.to_owned(), self.pod.uid.clone()),
            (LABEL_ATTEMPT.to_owned(), self.attempt.to_string()),
        ]);
        let kind = match &self.role {
            Role::Sandbox => KIND_SANDBOX,
            Role::Container(name) => {
                labels.insert(LABEL_CONTAINER.to_owned(), name.0.clone());
                KIND_CONTAINER
            }
        };
        labels.insert(LABEL_KIND.to_owned(), kind.to_owned());
        labels
    }

    /// Reads the labels back; `None` if they are not complete and sound, so not written by us.
    pub(super) fn from_labels(labels: &HashMap<String, String>) -> Option<Self> {
        let text = |label: &str| labels.get(label).map(String::as_str);
        let cluster = ClusterName::new(text(LABEL_CLUSTER)?).ok()?;
        let pod = PodIdentity::new(cluster, text(LABEL_NAMESPACE)?, text(LABEL_POD)?, text(LABEL_UID)?).ok()?;
        let role = match text(LABEL_KIND)? {
            KIND_SANDBOX => Role::Sandbox,
            KIND_CONTAINER => Role::Container(ContainerName::new(text(LABEL_CONTAINER)?).ok()?),
            _ => return None,
        };
        Some(Self { pod, role, attempt: Attempt(text(LABEL_ATTEMPT)?.parse().ok()?) })
    }
}

fn checked(what: &'static str, found: String) -> Result<String, NameError> {
    let edge = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let bytes = found.as_bytes();
    let inside = |byte: &u8| edge(Some(byte)) || matches!(byte, b'-' | b'.');
    if bytes.len() <= NAME_LENGTH_MAX && edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(inside) {
        Ok(found)
    } else {
        Err(NameError { what, found })
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ContainerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The first twelve digits, as the engine's own tools show it.
impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.get(..12).unwrap_or(&self.0))
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(role: Role) -> Identity {
        let cluster = ClusterName::new("demo").expect("a valid name");
        let pod = PodIdentity::new(cluster, "default", "web-0", "3f2a").expect("valid names");
        Identity { pod, role, attempt: Attempt(2) }
    }

    fn web() -> Role {
        Role::Container(ContainerName::new("web").expect("a valid name"))
    }

    #[test]
    fn a_restarted_program_recognises_its_containers_by_their_labels() {
        for role in [Role::Sandbox, web()] {
            let identity = identity(role);
            assert_eq!(Identity::from_labels(&identity.labels()), Some(identity));
        }
    }

    #[test]
    fn a_container_with_a_label_missing_is_not_taken_for_ours() {
        let labels = identity(web()).labels();
        for label in labels.keys() {
            let mut incomplete = labels.clone();
            incomplete.remove(label);
            assert_eq!(Identity::from_labels(&incomplete), None, "without {label}");
        }
    }

    #[test]
    fn names_say_which_attempt_of_which_pod_it_is() {
        assert_eq!(identity(web()).engine_name(), "wavetank_web_web-0_default_3f2a_2");
        assert_eq!(identity(Role::Sandbox).engine_name(), "wavetank_POD_web-0_default_3f2a_2");
    }

    #[test]
    fn a_name_that_would_blur_the_parts_is_refused() {
        for bad in ["", "a_b", "Web", "-a", "a-", "a b", &"a".repeat(254)] {
            assert!(ContainerName::new(bad).is_err(), "{bad:?} was accepted");
        }
    }
}
