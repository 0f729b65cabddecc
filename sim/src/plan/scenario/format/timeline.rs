//! The timeline: its entries, and the actions that name one object. What names machines is in `on_machines`.

use serde::Deserialize;
use serde::de::IgnoredAny;
use wavetank_core::model::Kind;
use wavetank_manifest::Spanned;

use super::on_machines::{Drain, Machines, NetworkCut, PressureOn, SlowLink, TaintNodes, UntaintNodes, ZoneName};
use super::{Duration, LabelSelector, NameAt, Spread};

/// Something at a time: one action of the user, or one fault.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// When.
    pub at: Option<Spread>,
    /// Faults: when they end.
    pub recover: Option<Spread>,
    /// Faults: how long they last.
    #[serde(rename = "for")]
    pub lasts: Option<Spread>,
    /// The same again, several times.
    pub repeat: Option<Repeat>,
    /// Apply a manifest: a path, or an object in place.
    pub apply: Option<Spanned<IgnoredAny>>,
    /// Change the wanted number of pods.
    pub scale: Option<Scale>,
    /// Change an image.
    pub set_image: Option<SetImage>,
    /// Delete an object.
    pub delete: Option<Delete>,
    /// Make new pods of the same template.
    pub restart: Option<Rollout>,
    /// Goes back to the template before (`kubectl rollout undo`).
    pub undo: Option<Rollout>,
    /// Hold a rollout.
    pub pause: Option<Pause>,
    /// Go on with a rollout, a Job or a CronJob.
    pub resume: Option<Held>,
    /// Hold a Job or CronJob.
    pub suspend: Option<Suspended>,
    /// Let no new pods onto nodes.
    pub cordon: Option<Machines>,
    /// Let new pods onto nodes again.
    pub uncordon: Option<Machines>,
    /// Cordon nodes and evict their pods.
    pub drain: Option<Drain>,
    /// Add a taint to nodes.
    pub taint: Option<TaintNodes>,
    /// Remove a taint from nodes.
    pub untaint: Option<UntaintNodes>,
    /// Set or remove a label.
    pub label: Option<Label>,
    /// Fault: machines crash and boot again at the end.
    pub crash: Option<Machines>,
    /// Fault: a zone loses power and gets it back at the end.
    pub power_loss: Option<ZoneName>,
    /// Fault: kubelets stop; containers run on.
    pub kubelet_stop: Option<Machines>,
    /// Fault: machines are shut down in an orderly way and boot again at the end.
    pub node_shutdown: Option<Machines>,
    /// Fault: something that is no pod uses memory.
    pub memory_pressure: Option<PressureOn>,
    /// Fault: something that is no pod uses disk.
    pub disk_pressure: Option<PressureOn>,
    /// Fault: something that is no pod has processes.
    pub pid_pressure: Option<PressureOn>,
    /// Fault: no message passes between two groups.
    pub network_cut: Option<NetworkCut>,
    /// Fault: slow or lossy links to the API server.
    pub slow_link: Option<SlowLink>,
}

/// The same again, several times.
#[derive(Clone, Debug, Deserialize)]
pub struct Repeat {
    /// From one to the next.
    pub every: Spread,
    /// How often in all.
    pub times: Spanned<u32>,
}

/// An action that names one object by its kind.
pub trait OnObject {
    /// The kinds that it can be about, and the name under each.
    fn named(&self) -> Vec<(Kind, Option<&NameAt>)>;
    /// The namespace, if the file says one.
    fn namespace(&self) -> Option<&NameAt>;
}

/// Declares actions on one object: the kinds that each can be about are listed once, as fields of the file.
macro_rules! on_object {
    ($($(#[$about:meta])* $name:ident on $($field:ident: $kind:ident),+ $(; with { $($rest:tt)+ })?)+) => {
        $($(#[$about])*
        #[derive(Clone, Debug, Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub struct $name {
            $(#[doc = concat!("The name of a ", stringify!($kind), ".")] pub $field: Option<NameAt>,)+
            /// The namespace, if not `default`.
            pub namespace: Option<NameAt>,
            $($($rest)+)?
        }

        impl OnObject for $name {
            fn named(&self) -> Vec<(Kind, Option<&NameAt>)> {
                vec![$((Kind::$kind, self.$field.as_ref())),+]
            }

            fn namespace(&self) -> Option<&NameAt> {
                self.namespace.as_ref()
            }
        })+
    };
}

on_object! {
    /// `kubectl rollout pause`.
    Pause on deployment: Deployment

    /// What can be held: a rollout, a Job or a CronJob.
    Held on deployment: Deployment, job: Job, cron_job: CronJob

    /// What can be suspended.
    Suspended on job: Job, cron_job: CronJob

    /// Something that is rolled out.
    Rollout on deployment: Deployment, stateful_set: StatefulSet, daemon_set: DaemonSet

    /// `kubectl scale`.
    Scale on deployment: Deployment, replica_set: ReplicaSet, replication_controller: ReplicationController, job: Job,
        stateful_set: StatefulSet; with {
        /// The wanted number of pods; a Job's parallelism.
        pub replicas: u32,
    }

    /// `kubectl set image`.
    SetImage on deployment: Deployment, replica_set: ReplicaSet, replication_controller: ReplicationController,
        cron_job: CronJob, stateful_set: StatefulSet, daemon_set: DaemonSet; with {
        /// The container; every one if not said.
        pub container: Option<NameAt>,
        /// The image.
        pub image: String,
    }

    /// `kubectl delete`. A namespace alone is the object to be deleted.
    Delete on deployment: Deployment, replica_set: ReplicaSet, replication_controller: ReplicationController, job: Job,
        cron_job: CronJob, stateful_set: StatefulSet, daemon_set: DaemonSet, pod: Pod, config_map: ConfigMap,
        secret: Secret, service_account: ServiceAccount, service: Service, node: Node; with {
        /// With a selector, in place of a name: the kind of which all that it matches are deleted.
        pub kind: Option<NameAt>,
        /// Which objects of the kind.
        pub selector: Option<LabelSelector>,
        /// The pods' grace, if not their own.
        pub grace_period: Option<Duration>,
        /// What becomes of the objects that it owns.
        #[serde(default)]
        pub propagation: Propagation,
    }

    /// `kubectl label`.
    Label on deployment: Deployment, replica_set: ReplicaSet, replication_controller: ReplicationController, job: Job,
        cron_job: CronJob, stateful_set: StatefulSet, daemon_set: DaemonSet, pod: Pod, service: Service,
        node: Node; with {
        /// The label.
        pub key: String,
        /// Its value; the label is removed without one.
        pub value: Option<String>,
    }
}

/// What becomes of the objects that a deleted object owns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are those of kubectl")]
pub enum Propagation {
    #[default]
    Background,
    Foreground,
    Orphan,
}
