//! The kinds that this controller serves.
//!
//! Source: pkg/controller/replication/{replication_controller.go,conversion.go} (v1.34.1).

use std::sync::Arc;

use crate::model::{Object, ReplicaSet, ReplicationController, Selector};
use crate::store::Stored;
use crate::time::Span;

/// A kind that keeps a number of equal pods.
pub(in crate::controllers) trait Replicated: Stored {
    /// The number of the kind's client and work queue.
    const NUMBER: u8;
    /// How the kind's controller names itself in events.
    const REPORTER: &'static str;
    /// The object as a ReplicaSet.
    fn as_set(version: &Arc<Self>) -> Arc<ReplicaSet>;
    /// The object that such a ReplicaSet stands for.
    fn from_set(set: ReplicaSet) -> Object;
    /// Which pods are its own.
    fn selector(&self) -> &Selector;
    /// How long a pod must be ready to count as available.
    fn min_ready(&self) -> Span;
}

impl Replicated for ReplicaSet {
    const NUMBER: u8 = 1;
    const REPORTER: &'static str = "replicaset-controller";

    fn as_set(version: &Arc<ReplicaSet>) -> Arc<ReplicaSet> {
        version.clone()
    }

    fn from_set(set: ReplicaSet) -> Object {
        Object::ReplicaSet(Arc::new(set))
    }

    fn selector(&self) -> &Selector {
        &self.selector
    }

    fn min_ready(&self) -> Span {
        self.min_ready
    }
}

impl Replicated for ReplicationController {
    const NUMBER: u8 = 13;
    const REPORTER: &'static str = "replication-controller";

    fn as_set(version: &Arc<ReplicationController>) -> Arc<ReplicaSet> {
        let ReplicationController { meta, replicas, min_ready, selector, template, status } =
            ReplicationController::clone(version);
        Arc::new(ReplicaSet { meta, replicas, min_ready, selector, template, status })
    }

    fn from_set(set: ReplicaSet) -> Object {
        let ReplicaSet { meta, replicas, min_ready, selector, template, status } = set;
        let controller = ReplicationController { meta, replicas, min_ready, selector, template, status };
        Object::ReplicationController(Arc::new(controller))
    }

    fn selector(&self) -> &Selector {
        &self.selector
    }

    fn min_ready(&self) -> Span {
        self.min_ready
    }
}
