//! Actions and faults of the timeline that name machines.

use serde::Deserialize;
use wavetank_manifest::Spanned;

use super::{Bytes, Duration, LabelSelector, NameAt, Spread, TaintEffect};

/// An action or fault that names machines.
pub trait OnMachines {
    /// Which ones.
    fn chosen(&self) -> Chosen<'_>;
}

/// Some machines, as the file names them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chosen<'a> {
    /// One by name.
    pub node: Option<&'a NameAt>,
    /// Several by name.
    pub nodes: &'a [NameAt],
    /// All of a group.
    pub group: Option<&'a NameAt>,
    /// All of a zone.
    pub zone: Option<&'a NameAt>,
    /// All of several zones.
    pub zones: &'a [NameAt],
    /// All there are.
    pub all: bool,
}

impl Chosen<'_> {
    /// In words: `worker-2`, `zone a`, `group worker`.
    pub fn label(&self) -> String {
        let names = |names: &[NameAt]| names.iter().map(|name| name.value.as_str()).collect::<Vec<_>>().join(", ");
        let mut parts = Vec::new();
        parts.extend(self.node.map(|name| name.value.clone()));
        if !self.nodes.is_empty() {
            parts.push(names(self.nodes));
        }
        parts.extend(self.group.map(|name| format!("group {}", name.value)));
        parts.extend(self.zone.map(|name| format!("zone {}", name.value)));
        if !self.zones.is_empty() {
            parts.push(format!("zones {}", names(self.zones)));
        }
        if self.all {
            parts.push("all nodes".to_owned());
        }
        parts.join(" and ")
    }
}

/// Declares what names machines: `on_nodes` has the fields `node`, `nodes`, `group` and `zone`, `on_zones` has `zones`
/// and `all` as well; further fields follow.
macro_rules! on_machines {
    ($($(#[$about:meta])* $name:ident $reach:ident { $($further:tt)* })+) => {
        $(on_machines!(@$reach [$(#[$about])*] $name { $($further)* });)+
    };
    (@on_nodes [$($about:tt)*] $name:ident { $($further:tt)* }) => {
        on_machines!(@declare [$($about)*] $name { $($further)* } []);
    };
    (@on_zones [$($about:tt)*] $name:ident { $($further:tt)* }) => {
        on_machines!(@declare [$($about)*] $name {
            /// All of several zones.
            pub zones: Option<Vec<NameAt>>,
            /// All there are.
            #[serde(default)]
            pub all: bool,
            $($further)*
        } [zones all]);
    };
    (@declare [$($about:tt)*] $name:ident { $($further:tt)* } [$($zones:ident $all:ident)?]) => {
        $($about)*
        #[derive(Clone, Debug, Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub struct $name {
            /// One by name.
            pub node: Option<NameAt>,
            /// Several by name.
            pub nodes: Option<Vec<NameAt>>,
            /// All of a group.
            pub group: Option<NameAt>,
            /// All of a zone.
            pub zone: Option<NameAt>,
            $($further)*
        }

        impl OnMachines for $name {
            fn chosen(&self) -> Chosen<'_> {
                let chosen = Chosen {
                    node: self.node.as_ref(),
                    nodes: self.nodes.as_deref().unwrap_or_default(),
                    group: self.group.as_ref(),
                    zone: self.zone.as_ref(),
                    ..Chosen::default()
                };
                $(let zones = self.$zones.as_deref().unwrap_or_default();
                let chosen = Chosen { zones, all: self.$all, ..chosen };)?
                chosen
            }
        }
    };
}

on_machines! {
    /// Some of the machines.
    Machines on_zones {}

    /// `kubectl drain`.
    Drain on_nodes {
        /// Pass over pods of DaemonSets; without it they are an error.
        #[serde(default)]
        pub ignore_daemon_sets: bool,
        /// Pods without a controller go too; without it they are an error.
        #[serde(default)]
        pub force: bool,
        /// Pods with an `emptyDir` go too; without it they are an error.
        #[serde(default)]
        pub delete_empty_dir_data: bool,
        /// Delete pods, past their disruption budgets.
        #[serde(default)]
        pub disable_eviction: bool,
        /// The pods' grace, if not their own.
        pub grace_period: Option<Duration>,
        /// How long each node may take, if not as long as it likes.
        pub timeout: Option<Duration>,
        /// Only these pods.
        pub pod_selector: Option<LabelSelector>,
    }

    /// `kubectl taint`.
    TaintNodes on_nodes {
        /// The taint's key.
        pub key: String,
        /// Its value.
        #[serde(default)]
        pub value: String,
        /// What it does.
        pub effect: TaintEffect,
    }

    /// `kubectl taint … key-`.
    UntaintNodes on_nodes {
        /// The taint's key.
        pub key: String,
        /// Only the taint of this effect.
        pub effect: Option<TaintEffect>,
    }

    /// Something that is no pod uses what pods need.
    PressureOn on_zones {
        /// How much: bytes as a Kubernetes quantity, or processes.
        pub used: Option<Spanned<Bytes>>,
        /// Disk alone: the file system; that of the node if not said.
        #[serde(default)]
        pub filesystem: Filesystem,
    }

    /// One side of a network cut.
    Side on_zones {
        /// Whether the control plane is on this side.
        #[serde(default)]
        pub control_plane: bool,
    }

    /// Slow or lossy links between machines and the API server.
    SlowLink on_zones {
        /// How long a message takes.
        pub delay: Option<Spread>,
        /// How many messages of a million are lost.
        #[serde(default)]
        pub loss_per_million: Option<Spanned<u32>>,
    }
}

/// One of a machine's file systems.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Filesystem {
    /// That of `ephemeral-storage`.
    #[default]
    Node,
    /// That of images.
    Image,
}

/// A zone.
#[derive(Clone, Debug, Deserialize)]
pub struct ZoneName {
    /// Its name.
    pub zone: NameAt,
}

impl OnMachines for ZoneName {
    fn chosen(&self) -> Chosen<'_> {
        Chosen { zone: Some(&self.zone), ..Chosen::default() }
    }
}

/// No message passes between two groups.
#[derive(Clone, Debug, Deserialize)]
pub struct NetworkCut {
    /// The two groups.
    pub between: Spanned<Vec<Side>>,
}
