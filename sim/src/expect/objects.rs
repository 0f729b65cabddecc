//! What expressions see of the cluster: Kubernetes-shaped JSON per object version, made once and only if it is asked
//! for.

use std::collections::{BTreeMap, BTreeSet};

use cel::ExecutionError;
use cel::common::traits::Indexer;
use cel::common::types::{CelBool, CelInt, CelList, CelString, MAP_TYPE, Type};
use cel::common::value::{CowVal, Val};
use serde_json::Value as Json;
use wavetank_core::id::{Name, RowId};
use wavetank_core::model::{Kind, Node, Object};
use wavetank_core::store::View;
use wavetank_manifest::kubernetes::to_json_with_hosts;

use super::json::{key_text, value};
use crate::plan::HostPlan;

/// All objects of one kind, by namespace and name.
#[derive(Debug, Default)]
struct Table {
    /// The store's count of writes when this was taken.
    writes: Option<u64>,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    row: RowId,
    namespace: Name,
    name: Name,
    /// Kept so that its address is not used again while the JSON is here.
    version: Object,
    json: Json,
}

/// The tables of all kinds; those that nobody asked for are empty.
#[derive(Debug)]
pub(super) struct Objects {
    /// The Unix time of the run's start, in seconds.
    epoch: i64,
    hosts: Hosts,
    tables: [Table; Kind::SLOTS],
}

/// The addresses of machines by the names of their nodes. A kubelet has written its own into its pods, where it stays
/// when the node's object goes.
type Hosts = BTreeMap<Name, Name>;

impl Objects {
    /// Tables that nobody has asked for yet.
    pub(super) fn new(epoch: i64) -> Objects {
        Objects { epoch, hosts: Hosts::new(), tables: Default::default() }
    }

    /// There are these machines.
    pub(super) fn set_hosts(&mut self, hosts: &[HostPlan]) {
        self.hosts = hosts.iter().map(|host| (host.boot.node.clone(), host.boot.address.clone())).collect();
    }

    /// Brings the tables of some kinds to the view.
    pub(super) fn refresh(&mut self, view: View<'_>, kinds: &BTreeSet<Kind>) {
        for kind in kinds {
            let table = &mut self.tables[*kind as usize];
            let writes = view.writes(*kind);
            if table.writes == Some(writes) {
                continue;
            }
            table.writes = Some(writes);
            table.refresh(view, *kind, self.epoch, &self.hosts);
        }
    }

    /// All objects of a kind as a CEL list.
    pub(super) fn list(&self, kind: Kind) -> Box<dyn Val + '_> {
        let entries = &self.tables[kind as usize].entries;
        Box::new(CelList::from(entries.iter().map(|entry| value(&entry.json)).collect::<Vec<_>>()))
    }

    fn find(&self, kind: Kind, key: &str) -> Option<&Json> {
        let (namespace, name) = match key.split_once('/') {
            Some(parts) => parts,
            None if kind.is_namespaced() => ("default", key),
            None => ("", key),
        };
        let entries = &self.tables[kind as usize].entries;
        let at = entries.binary_search_by(|entry| (&*entry.namespace, &*entry.name).cmp(&(namespace, name))).ok()?;
        Some(&entries[at].json)
    }

    /// The ready addresses of a service, sorted; `None` if there is no such service.
    fn endpoints(&self, key: &str) -> Option<Vec<&str>> {
        self.find(Kind::Service, key)?;
        let (namespace, name) = key.split_once('/').unwrap_or(("default", key));
        let mut ready = BTreeSet::new();
        for entry in &self.tables[Kind::EndpointSlice as usize].entries {
            let service = entry.json.pointer("/metadata/labels/kubernetes.io~1service-name").and_then(Json::as_str);
            if *entry.namespace != *namespace || service != Some(name) {
                continue;
            }
            for endpoint in entry.json["endpoints"].as_array().into_iter().flatten() {
                // An endpoint without the condition is ready (EndpointConditions in discovery/v1).
                if endpoint.pointer("/conditions/ready").and_then(Json::as_bool).unwrap_or(true) {
                    ready.extend(endpoint["addresses"].as_array().into_iter().flatten().filter_map(Json::as_str));
                }
            }
        }
        Some(ready.into_iter().collect())
    }
}

impl Table {
    fn refresh(&mut self, view: View<'_>, kind: Kind, epoch: i64, hosts: &Hosts) {
        let host_of = |node: &Name| match view.find::<Node>(&Name::default(), node) {
            Some((_, node)) => node.status.address.clone(),
            None => hosts.get(node).cloned(),
        };
        let mut old = std::mem::take(&mut self.entries).into_iter().peekable();
        for (row, version) in view.objects(kind) {
            let (namespace, name) = (version.meta().namespace.clone(), version.meta().name.clone());
            while old.next_if(|entry| (&entry.namespace, &entry.name) < (&namespace, &name)).is_some() {}
            let known = old.next_if(|entry| entry.row == row);
            let entry = known.filter(|entry| entry.version.is_same_version(&version)).unwrap_or_else(|| {
                let revision = view.revision_of(kind, row).unwrap_or_default();
                let json = to_json_with_hosts(&version, revision, epoch, &host_of);
                Entry { row, namespace, name, version, json }
            });
            self.entries.push(entry);
        }
    }
}

/// What a hidden variable looks up.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lookup {
    /// An object of a kind by its name.
    Object(Kind),
    /// The ready addresses of a service.
    Endpoints,
    /// Whether an object is ready.
    Ready,
}

/// A function of this program as a value that is indexed with its argument.
#[derive(Clone, Debug)]
pub(super) struct Finder<'v> {
    pub(super) objects: &'v Objects,
    pub(super) lookup: Lookup,
}

impl<'v> Val for Finder<'v> {
    fn get_type(&self) -> &Type {
        &MAP_TYPE
    }

    fn cel_type() -> &'static Type {
        &MAP_TYPE
    }

    fn as_indexer<'b, 'w>(&'b self) -> Option<&'b (dyn Indexer + 'w)>
    where
        Self: 'w,
    {
        Some(self)
    }

    fn clone_as_boxed<'w>(&self) -> Box<dyn Val + 'w>
    where
        Self: 'w,
    {
        Box::new(self.clone())
    }
}

impl<'v> Indexer for Finder<'v> {
    fn get<'b, 'w>(&'b self, argument: &dyn Val) -> Result<CowVal<'b, 'w>, ExecutionError>
    where
        Self: 'w,
    {
        let objects: &'v Objects = self.objects;
        let missing = |what: &str, key: &str| ExecutionError::FunctionError {
            function: what.to_owned(),
            message: format!("there is no {what} {key:?}"),
        };
        match self.lookup {
            Lookup::Object(kind) => {
                let key = key_text(argument)?;
                objects.find(kind, key).map(|json| CowVal::Owned(value(json))).ok_or_else(|| missing(kind.name(), key))
            }
            Lookup::Endpoints => {
                let key = key_text(argument)?;
                let addresses = objects.endpoints(key).ok_or_else(|| missing("Service", key))?;
                let items = addresses.into_iter().map(|text| Box::new(CelString::from(text)) as Box<dyn Val + 'w>);
                Ok(CowVal::owned(CelList::from(items.collect::<Vec<_>>())))
            }
            Lookup::Ready => Ok(CowVal::owned(CelBool::from(is_ready(argument)?))),
        }
    }

    fn steal<'w>(self: Box<Self>, argument: &dyn Val) -> Result<Box<dyn Val + 'w>, ExecutionError>
    where
        Self: 'w,
    {
        self.get(argument).map(CowVal::into_owned)
    }
}

/// Whether a pod or node is Ready, a Deployment or DaemonSet is fully rolled out and available, a ReplicaSet,
/// ReplicationController or StatefulSet has its pods available (a StatefulSet with a partition or `OnDelete` is never
/// fully rolled out), a Job has as many active pods as it may have and all of them are ready.
fn is_ready(object: &dyn Val) -> Result<bool, ExecutionError> {
    let kind = text(object, &["kind"]).unwrap_or_default();
    match kind.as_str() {
        "Pod" | "Node" => Ok(condition(object, "Ready")),
        "DaemonSet" => {
            let count = |field: &str| number(object, &["status", field]).unwrap_or(0);
            let wanted = count("desiredNumberScheduled");
            let counts = ["currentNumberScheduled", "updatedNumberScheduled", "numberReady", "numberAvailable"];
            let ready = counts.iter().all(|field| count(field) == wanted) && count("numberMisscheduled") == 0;
            Ok(ready && is_observed(object))
        }
        "Deployment" | "ReplicaSet" | "ReplicationController" | "StatefulSet" => {
            let wanted = number(object, &["spec", "replicas"]).unwrap_or(1);
            let counts = ["replicas", "readyReplicas", "availableReplicas"];
            let mut ready = counts.iter().all(|field| number(object, &["status", field]).unwrap_or(0) == wanted);
            ready &= is_observed(object);
            if kind == "Deployment" {
                ready &= number(object, &["status", "updatedReplicas"]).unwrap_or(0) == wanted;
            }
            Ok(ready)
        }
        "Job" => {
            let active = number(object, &["status", "active"]).unwrap_or(0);
            let succeeded = number(object, &["status", "succeeded"]).unwrap_or(0);
            let parallelism = number(object, &["spec", "parallelism"]).unwrap_or(1);
            let open = number(object, &["spec", "completions"]).map_or(parallelism, |wanted| wanted - succeeded);
            let ready = number(object, &["status", "ready"]).unwrap_or(0);
            Ok(active == open.min(parallelism).max(0) && ready == active)
        }
        _ => Err(ExecutionError::FunctionError {
            function: "ready".to_owned(),
            message: format!(
                "expected a Pod, Node, Deployment, ReplicaSet, ReplicationController, StatefulSet, DaemonSet or Job, \
                 found {}",
                super::json::show(object)
            ),
        }),
    }
}

/// Whether the status is about the newest generation.
fn is_observed(object: &dyn Val) -> bool {
    number(object, &["status", "observedGeneration"]) == number(object, &["metadata", "generation"])
}

/// The value at a path of fields.
fn at<T>(object: &dyn Val, path: &[&str], read: impl FnOnce(&dyn Val) -> Option<T>) -> Option<T> {
    match path {
        [] => read(object),
        [field, rest @ ..] => {
            let inner = object.as_indexer()?.get(&CelString::from(*field)).ok()?;
            at(inner.as_ref(), rest, read)
        }
    }
}

fn text(object: &dyn Val, path: &[&str]) -> Option<String> {
    at(object, path, |found| found.downcast_ref::<CelString>().map(|text| text.inner().to_owned()))
}

fn number(object: &dyn Val, path: &[&str]) -> Option<i64> {
    at(object, path, |found| found.downcast_ref::<CelInt>().map(|number| *number.inner()))
}

fn condition(object: &dyn Val, wanted: &str) -> bool {
    let holds = at(object, &["status", "conditions"], |list| {
        let mut items = list.as_iterable()?.iter();
        while let Some(item) = items.next() {
            if text(item, &["type"]).as_deref() == Some(wanted) {
                return Some(text(item, &["status"]).as_deref() == Some("True"));
            }
        }
        None
    });
    holds.unwrap_or(false)
}
