//! The file's shape: `KubeSchedulerConfiguration` v1 and the plugins' arguments.
//!
//! Source: staging/src/k8s.io/kube-scheduler/config/v1/{types,types_pluginargs}.go,
//! staging/src/k8s.io/component-base/config/v1alpha1/types.go (v1.34.1).

use k8s_openapi::api::core::v1::{NodeAffinity, TopologySpreadConstraint};
use serde::Deserialize;
use serde::de::IgnoredAny;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct KubeSchedulerConfiguration {
    #[serde(rename = "apiVersion")]
    pub(super) _api_version: Option<String>,
    #[serde(rename = "kind")]
    pub(super) _kind: Option<String>,
    pub(super) parallelism: Option<i32>,
    pub(super) leader_election: Option<LeaderElection>,
    pub(super) client_connection: Option<ClientConnection>,
    #[serde(rename = "enableProfiling")]
    pub(super) _enable_profiling: Option<bool>,
    #[serde(rename = "enableContentionProfiling")]
    pub(super) _enable_contention_profiling: Option<bool>,
    pub(super) percentage_of_nodes_to_score: Option<i32>,
    pub(super) pod_initial_backoff_seconds: Option<i64>,
    pub(super) pod_max_backoff_seconds: Option<i64>,
    pub(super) profiles: Option<Vec<Profile>>,
    pub(super) extenders: Option<Vec<IgnoredAny>>,
    #[serde(rename = "delayCacheUntilActive")]
    pub(super) _delay_cache_until_active: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct LeaderElection {
    pub(super) leader_elect: Option<bool>,
    #[serde(rename = "leaseDuration")]
    pub(super) _lease_duration: Option<String>,
    #[serde(rename = "renewDeadline")]
    pub(super) _renew_deadline: Option<String>,
    #[serde(rename = "retryPeriod")]
    pub(super) _retry_period: Option<String>,
    pub(super) resource_lock: Option<String>,
    #[serde(rename = "resourceName")]
    pub(super) _resource_name: Option<String>,
    #[serde(rename = "resourceNamespace")]
    pub(super) _resource_namespace: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ClientConnection {
    #[serde(rename = "kubeconfig")]
    pub(super) _kubeconfig: Option<String>,
    #[serde(rename = "acceptContentTypes")]
    pub(super) _accept_content_types: Option<String>,
    #[serde(rename = "contentType")]
    pub(super) _content_type: Option<String>,
    pub(super) qps: Option<f64>,
    pub(super) burst: Option<i32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Profile {
    pub(super) scheduler_name: Option<String>,
    pub(super) percentage_of_nodes_to_score: Option<i32>,
    pub(super) plugins: Option<Plugins>,
    pub(super) plugin_config: Option<Vec<PluginConfig>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Plugins {
    pub(super) pre_enqueue: Option<PluginSet>,
    pub(super) queue_sort: Option<PluginSet>,
    pub(super) pre_filter: Option<PluginSet>,
    pub(super) filter: Option<PluginSet>,
    pub(super) post_filter: Option<PluginSet>,
    pub(super) pre_score: Option<PluginSet>,
    pub(super) score: Option<PluginSet>,
    pub(super) reserve: Option<PluginSet>,
    pub(super) permit: Option<PluginSet>,
    pub(super) pre_bind: Option<PluginSet>,
    pub(super) bind: Option<PluginSet>,
    pub(super) post_bind: Option<PluginSet>,
    pub(super) multi_point: Option<PluginSet>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PluginSet {
    pub(super) enabled: Option<Vec<PluginEntry>>,
    pub(super) disabled: Option<Vec<PluginEntry>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PluginEntry {
    pub(super) name: String,
    pub(super) weight: Option<i32>,
}

/// The arguments are read from the tree, because the plugin's name says what they are.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PluginConfig {
    pub(super) name: String,
    #[serde(rename = "args")]
    pub(super) _args: IgnoredAny,
}

/// Arguments of any plugin: what says of which they are.
pub(super) trait Args {
    fn api_version(&self) -> Option<&str>;
    fn kind(&self) -> Option<&str>;
}

macro_rules! args {
    ($($(#[$doc:meta])* $name:ident { $($(#[$attribute:meta])* $field:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Default, Deserialize)]
            #[serde(rename_all = "camelCase", default)]
            pub(super) struct $name {
                api_version: Option<String>,
                kind: Option<String>,
                $($(#[$attribute])* pub(super) $field: $type,)*
            }

            impl Args for $name {
                fn api_version(&self) -> Option<&str> {
                    self.api_version.as_deref()
                }

                fn kind(&self) -> Option<&str> {
                    self.kind.as_deref()
                }
            }
        )*
    };
}

args! {
    NodeResourcesFitArgs {
        ignored_resources: Option<Vec<String>>,
        ignored_resource_groups: Option<Vec<String>>,
        scoring_strategy: Option<Strategy>,
    }
    NodeResourcesBalancedAllocationArgs { resources: Option<Vec<ResourceSpec>>, }
    InterPodAffinityArgs {
        hard_pod_affinity_weight: Option<i32>,
        ignore_preferred_terms_of_existing_pods: Option<bool>,
    }
    PodTopologySpreadArgs {
        default_constraints: Option<Vec<TopologySpreadConstraint>>,
        defaulting_type: Option<String>,
    }
    NodeAffinityArgs { added_affinity: Option<NodeAffinity>, }
    DefaultPreemptionArgs {
        min_candidate_nodes_percentage: Option<i32>,
        min_candidate_nodes_absolute: Option<i32>,
    }
    VolumeBindingArgs { bind_timeout_seconds: Option<i64>, shape: Option<Vec<ShapePoint>>, }
    /// Not modelled; read so that a mistake in it is found.
    DynamicResourcesArgs {
        #[serde(rename = "filterTimeout")]
        _filter_timeout: Option<String>,
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Strategy {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) resources: Option<Vec<ResourceSpec>>,
    pub(super) requested_to_capacity_ratio: Option<RequestedToCapacityRatio>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RequestedToCapacityRatio {
    pub(super) shape: Option<Vec<ShapePoint>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ResourceSpec {
    pub(super) name: String,
    pub(super) weight: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ShapePoint {
    pub(super) utilization: i32,
    pub(super) score: i32,
}
