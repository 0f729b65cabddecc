//! Pod sandboxes: the pause container that holds a pod's network, IPC namespace and host name.

use std::net::IpAddr;

use bollard::models::{ContainerCreateBody, HostConfig};

use super::{
    Attempt, Container, ContainerId, Engine, EngineError, Identity, PodIdentity, Role, container::log_config, engine,
    pause_image_name,
};

/// Longest host name that the kernel takes besides the terminating zero.
const HOST_NAME_LENGTH_MAX: usize = 63;
/// What a sandbox is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxSpec {
    /// The pod.
    pub pod: PodIdentity,
    /// How many sandboxes the pod had before.
    pub attempt: Attempt,
    /// Host name inside the pod; `host_name_of_pod` makes a fitting one.
    pub host_name: String,
    /// How names are resolved inside the pod.
    pub dns: DnsConfig,
    /// Where its address comes from.
    pub network: SandboxNetwork,
}

/// What stands in the pod's `/etc/resolv.conf`. Empty lists leave the engine's own choice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DnsConfig {
    /// Name servers, asked in this order.
    pub servers: Vec<IpAddr>,
    /// Domains that complete a short name.
    pub searches: Vec<String>,
    /// Resolver options, for instance `ndots:5`.
    pub options: Vec<String>,
}

/// How a pod gets to the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SandboxNetwork {
    /// The engine's default bridge: an address of its own, reachable from this machine. The engine chooses it.
    Bridge,
    /// A network that was created on the engine under this name.
    Named(String),
    /// The machine's own network, as `hostNetwork: true` asks for.
    Host,
    /// Loopback only; whoever wants more puts it into the namespace.
    Unconnected,
}

/// A running sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sandbox {
    /// The pause container.
    pub id: ContainerId,
    /// The pod's address; `None` on the machine's own network and without a network.
    pub address: Option<IpAddr>,
}

impl Engine {
    /// Creates and starts a sandbox. The pause image is made when the engine does not have it.
    ///
    /// `Conflict`: this attempt of the pod exists already; list the containers and take the next attempt. If the
    /// sandbox cannot be started it is removed again, so that a failure leaves nothing behind.
    pub async fn run_sandbox(&self, spec: &SandboxSpec) -> Result<Sandbox, EngineError> {
        let identity = Identity { pod: spec.pod.clone(), role: Role::Sandbox, attempt: spec.attempt };
        let image = pause_image_name();
        let id = match self.create(&identity, &image, sandbox_body(spec)).await {
            Err(EngineError::ImageMissing { .. }) => {
                self.ensure_pause_image().await?;
                self.create(&identity, &image, sandbox_body(spec)).await?
            }
            outcome => outcome?,
        };
        let outcome = match self.start(&id).await {
            Ok(()) => self.inspect(&id).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(Container { address, .. }) => Ok(Sandbox { id, address }),
            Err(error) => {
                // The first failure is the cause. A removal that fails too leaves a created sandbox, which a listing
                // shows.
                let _ = self.remove(&id).await;
                Err(error)
            }
        }
    }
}

fn sandbox_body(spec: &SandboxSpec) -> ContainerCreateBody {
    let servers = spec.dns.servers.iter().map(IpAddr::to_string).collect();
    let host = HostConfig {
        network_mode: Some(match &spec.network {
            SandboxNetwork::Bridge => "bridge".to_owned(),
            SandboxNetwork::Named(name) => name.clone(),
            SandboxNetwork::Host => "host".to_owned(),
            SandboxNetwork::Unconnected => "none".to_owned(),
        }),
        // Shareable: without it the engine lets nobody else join the namespace.
        ipc_mode: Some("shareable".to_owned()),
        dns: some_unless_empty(servers),
        dns_search: some_unless_empty(spec.dns.searches.clone()),
        dns_options: some_unless_empty(spec.dns.options.clone()),
        cpu_shares: Some(2),
        log_config: Some(log_config()),
        ..HostConfig::default()
    };
    ContainerCreateBody {
        hostname: Some(spec.host_name.clone()),
        host_config: Some(host),
        ..ContainerCreateBody::default()
    }
}

fn some_unless_empty(list: Vec<String>) -> Option<Vec<String>> {
    if list.is_empty() { None } else { Some(list) }
}

/// The pod's name, cut to what the kernel takes, without a separator at its end.
///
/// Source: `truncatePodHostnameIfNeeded`, pkg/kubelet/kubelet_pods.go (v1.34.1).
pub fn host_name_of_pod(pod: &PodIdentity) -> String {
    // A pod's name is ASCII and begins with a letter or digit (`PodIdentity::new`), so the cut is sound and not empty.
    let name = pod.name();
    if name.len() <= HOST_NAME_LENGTH_MAX {
        return name.to_owned();
    }
    name[..HOST_NAME_LENGTH_MAX].trim_end_matches(['-', '.']).to_owned()
}

impl Container {
    /// The sandbox or container's address on the first of its networks that has one.
    pub(super) fn address_in(
        id: &ContainerId,
        settings: Option<bollard::models::NetworkSettings>,
    ) -> Result<Option<IpAddr>, EngineError> {
        let networks = settings.and_then(|settings| settings.networks).unwrap_or_default();
        // Networks come unordered; a sandbox has one, a container of ours none. By name, so that the answer is stable.
        let mut networks: Vec<_> = networks.into_iter().collect();
        networks.sort_by(|a, b| a.0.cmp(&b.0));
        for (name, endpoint) in networks {
            let Some(address) = endpoint.ip_address.filter(|address| !address.is_empty()) else { continue };
            return address
                .parse()
                .map(Some)
                .map_err(|_| engine::missing("inspect", &id.to_string(), &format!("a sound address on {name}")));
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::ClusterName;

    fn host_name(pod: &str) -> String {
        let cluster = ClusterName::new("demo").expect("a valid name");
        host_name_of_pod(&PodIdentity::new(cluster, "default", pod, "u").expect("valid names"))
    }

    #[test]
    fn a_long_pod_name_is_cut_for_the_kernel_and_never_ends_in_a_separator() {
        assert_eq!(host_name("web-0"), "web-0");
        assert_eq!(host_name(&"a".repeat(64)), "a".repeat(63));
        assert_eq!(host_name(&format!("{}-.-bcd", "a".repeat(60))), "a".repeat(60));
    }
}
