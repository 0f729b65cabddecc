//! A cluster as the scheduler sees it: nodes, pods and what steers their placement, from manifests or a dump.
//!
//! What the API server does with a new pod before the scheduler sees it is done here: defaults, the default tolerations
//! and priority admission. What it does on storing is not: `matchLabelKeys` of affinity terms count only as far as the
//! terms' selectors have them, because in a dump they do, and kube-scheduler looks at nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1 as api;
use k8s_openapi::api::scheduling::v1::PriorityClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use wavetank_core::digest::Shared;
use wavetank_core::id::{Name, Uid};
use wavetank_core::model::{ConditionKind, Kind, Object, OwnerReference, Phase, PlacementRules, Pod, PodTerm, Status3};
use wavetank_core::time::Time;

use super::defaults::{admit_pod, apply_defaults};
use super::kinds::Manifest;
use super::located::Located;
use super::read::read_node;
use super::to_core::to_object;
use crate::strict::{Error, Errors, from_node};
use crate::yaml::{self, Duplicates, Node, Value};

/// What is placed, and on what.
#[derive(Default)]
pub struct Snapshot {
    /// Nodes, Services, Namespaces, ReplicaSets and PodDisruptionBudgets, in the order of the files.
    pub objects: Vec<Object>,
    /// Pods, in the order of the files.
    pub pods: Vec<Arc<Pod>>,
    /// Kinds that have nothing to do with placement here, with how many objects of each there were.
    pub skipped: BTreeMap<String, usize>,
    /// How many pods have `matchLabelKeys` in affinity terms that no API server has brought into the selectors.
    pub unmerged: usize,
}

impl Snapshot {
    /// Reads files, given by name and text, each YAML or JSON with any number of objects and lists.
    ///
    /// Errors: what is not YAML or no object, an unknown field, a pod that the API server would refuse, a pod or node
    /// that is there twice, a priority class that is not there.
    pub fn read(files: &[(String, String)]) -> Result<Snapshot, Errors> {
        let mut reader = Reader::default();
        for (file, text) in files {
            reader.file = file.clone();
            match yaml::parse(text, Duplicates::LastWins) {
                Ok(documents) => documents.into_iter().for_each(|document| reader.document(document, None)),
                Err(error) => reader.errors.push(Error::new(file, error.position, "", error.message)),
            }
        }
        reader.finish()
    }
}

/// A pod that waits for all priority classes to be known.
struct Pending {
    located: Located<Manifest>,
}

#[derive(Default)]
struct Reader {
    file: String,
    input: Snapshot,
    pending: Vec<Pending>,
    classes: Vec<PriorityClass>,
    names: BTreeSet<(Kind, Name, Name)>,
    errors: Vec<Error>,
}

impl Reader {
    /// Reads one object or list; `inherited` is what the items of a typed list are, which need not say so.
    fn document(&mut self, document: Node, inherited: Option<(&str, &str)>) {
        let Value::Map(entries) = &document.value else {
            let message = format!("expected a Kubernetes object, found {}", document.value.describe());
            return self.errors.push(Error::new(&self.file, document.span.start(), "", message));
        };
        let header = |field, inherited: Option<&str>| {
            document.get(field).and_then(Node::as_str).or(inherited).map(str::to_owned)
        };
        let version = header("apiVersion", inherited.map(|it| it.0));
        let (Some(version), Some(kind)) = (version, header("kind", inherited.map(|it| it.1))) else {
            let field = if document.get("kind").is_some() { "apiVersion" } else { "kind" };
            let place = document.locate(field);
            return self.errors.push(Error::new(&self.file, place, field, format!("{field} not set")));
        };
        if let Some(item) = kind.strip_suffix("List")
            && entries.iter().any(|(key, _)| key.text == "items")
        {
            let inherited = (!item.is_empty()).then_some((version.as_str(), item));
            return self.list(document, inherited);
        }
        self.object(document, &version, &kind, inherited);
    }

    fn list(&mut self, list: Node, inherited: Option<(&str, &str)>) {
        let Value::Map(entries) = list.value else { return };
        for (key, node) in entries.into_iter().filter(|(key, _)| key.text == "items") {
            match node.value {
                Value::Seq(items) => items.into_iter().for_each(|item| self.document(item, inherited)),
                Value::Null => {}
                other => {
                    let message = format!("expected a sequence, found {}", other.describe());
                    self.errors.push(Error::new(&self.file, key.span.start(), "items", message));
                }
            }
        }
    }

    fn object(&mut self, document: Node, version: &str, kind: &str, inherited: Option<(&str, &str)>) {
        match (version, kind) {
            ("v1", "Node" | "Pod" | "Service" | "Namespace")
            | ("apps/v1", "ReplicaSet")
            | ("policy/v1", "PodDisruptionBudget") => {
                let document = if inherited.is_some() { with_header(document, version, kind) } else { document };
                match read_node(&self.file, document) {
                    Ok(objects) => objects.into_iter().for_each(|located| self.located(located)),
                    Err(errors) => self.errors.extend(errors.0),
                }
            }
            ("scheduling.k8s.io/v1", "PriorityClass") => match from_node::<PriorityClass>(&self.file, &document) {
                Ok(class) => self.classes.push(class),
                Err(errors) => self.errors.extend(errors.0),
            },
            (_, kind) => *self.input.skipped.entry(kind.to_owned()).or_insert(0) += 1,
        }
    }

    fn located(&mut self, mut located: Located<Manifest>) {
        if let Manifest::Pod(_) = located.value {
            return self.pending.push(Pending { located });
        }
        if let Err(Errors(mut errors)) = located.admit() {
            // Only a Service's selector matters here; the API server would ask for ports as well.
            let is_service = matches!(located.value, Manifest::Service(_));
            errors.retain(|error| !is_service || error.path != "spec.ports");
            if !errors.is_empty() {
                return self.errors.extend(errors);
            }
        }
        let Some(mut object) = self.made(&located) else { return };
        if let (Object::PodDisruptionBudget(budget), Manifest::PodDisruptionBudget(written)) =
            (&mut object, &located.value)
        {
            let status = written.status.clone().unwrap_or_default();
            let counted = &mut Arc::make_mut(budget).status;
            counted.disruptions_allowed = u32::try_from(status.disruptions_allowed).unwrap_or(0);
            let disrupted = status.disrupted_pods.into_iter().flatten();
            counted.disrupted_pods = disrupted.map(|(pod, _)| (pod.as_str().into(), Time::ZERO)).collect();
        }
        self.input.objects.push(object);
    }

    /// The core's object; `None` if there is one of the name already.
    fn made(&mut self, located: &Located<Manifest>) -> Option<Object> {
        let object = match to_object(located) {
            Ok(object) => object,
            Err(errors) => {
                self.errors.extend(errors.0);
                return None;
            }
        };
        let key = object.key();
        if !self.names.insert((key.kind, key.namespace.clone(), key.name.clone())) {
            let message = format!("{key} is there twice");
            self.errors.push(Error::new(&located.file, located.position(), "metadata.name", message));
            return None;
        }
        Some(object)
    }

    fn finish(mut self) -> Result<Snapshot, Errors> {
        for Pending { located } in std::mem::take(&mut self.pending) {
            self.pod(located);
        }
        if self.errors.is_empty() { Ok(self.input) } else { Err(Errors(self.errors)) }
    }

    fn pod(&mut self, mut located: Located<Manifest>) {
        apply_defaults(&mut located.value);
        let Manifest::Pod(pod) = &mut located.value else { unreachable!("only pods are pending") };
        let given = pod.spec.as_ref().and_then(|spec| spec.priority);
        admit_pod(pod);
        if let Err(message) = admit_priority(pod, given, &self.classes) {
            let path = "spec.priorityClassName";
            return self.errors.push(Error::new(&located.file, located.source.locate(path), path, message));
        }
        let written = (**pod).clone();
        if let Err(errors) = located.admit() {
            return self.errors.extend(errors.0);
        }
        let Some(Object::Pod(pod)) = self.made(&located) else { return };
        let mut pod = Arc::unwrap_or_clone(pod);
        // Nothing is shown of a pod but its name.
        pod.meta.original = None;
        complete(&mut pod, &written);
        self.input.unmerged += usize::from(forget_label_keys(&mut pod));
        self.input.pods.push(Arc::new(pod));
    }
}

/// An item of a typed list with what the list says of it.
fn with_header(document: Node, version: &str, kind: &str) -> Node {
    let Node { value: Value::Map(mut entries), span } = document else { return document };
    for (field, text) in [("apiVersion", version), ("kind", kind)] {
        if !entries.iter().any(|(key, _)| key.text == field) {
            let key = yaml::Key { text: field.to_owned(), span };
            entries.push((key, Node { value: Value::String(text.to_owned()), span }));
        }
    }
    Node { value: Value::Map(entries), span }
}

/// Priority admission: the class's priority and preemption policy, or those of the default class. A pod that has been
/// admitted elsewhere has its priority and keeps it, be its class here or not.
///
/// Source: plugin/pkg/admission/priority/admission.go (v1.34.1).
fn admit_priority(pod: &mut api::Pod, given: Option<i32>, classes: &[PriorityClass]) -> Result<(), String> {
    let spec = pod.spec.get_or_insert_default();
    if given.is_some() {
        spec.priority = given;
        return Ok(());
    }
    let named = |name: &str| classes.iter().find(|class| class.metadata.name.as_deref() == Some(name));
    let class = match spec.priority_class_name.as_deref().filter(|name| !name.is_empty()) {
        Some("system-cluster-critical" | "system-node-critical") => return Ok(()),
        Some(name) => Some(named(name).ok_or_else(|| format!("no PriorityClass with name {name} was found"))?),
        // Of several default classes the one with the lowest value counts.
        None => classes.iter().filter(|it| it.global_default == Some(true)).min_by_key(|it| it.value),
    };
    if let Some(class) = class {
        spec.priority = Some(class.value);
        if let Some(policy) = &class.preemption_policy {
            spec.preemption_policy = Some(policy.clone());
        }
    }
    Ok(())
}

/// What a dump says of a pod beyond what a new one has: its owner, its start and end, its phase, whether it makes room
/// for another, and where others make room for it.
fn complete(pod: &mut Pod, written: &api::Pod) {
    let owners = written.metadata.owner_references.iter().flatten();
    let of_replica_set = owners.filter(|it| it.kind == "ReplicaSet" && it.api_version == "apps/v1");
    pod.meta.owners = of_replica_set
        .map(|it| OwnerReference {
            kind: Kind::ReplicaSet,
            name: it.name.as_str().into(),
            uid: Uid::default(),
            controller: it.controller == Some(true),
            block_owner_deletion: false,
        })
        .collect();
    pod.meta.deleted_at = written.metadata.deletion_timestamp.as_ref().map(|_| Time::ZERO);
    pod.status.phase = match written.status.as_ref().and_then(|status| status.phase.as_deref()) {
        Some("Succeeded") => Phase::Succeeded,
        Some("Failed") => Phase::Failed,
        _ => pod.status.phase,
    };
    let Some(status) = &written.status else { return };
    // Only what is before what matters, so times from before 1970 may be as good as 1970.
    let seconds = |time: &meta::Time| u64::try_from(time.0.as_second()).unwrap_or(0);
    pod.status.started_at = status.start_time.as_ref().map(|time| Time::from_secs(seconds(time))).into();
    pod.status.nominated_node = status.nominated_node_name.as_deref().filter(|name| !name.is_empty()).map(Name::from);
    for condition in status.conditions.iter().flatten().filter(|it| it.type_ == "DisruptionTarget") {
        let holds = if condition.status == "True" { Status3::True } else { Status3::False };
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let (reason, message) = (text(&condition.reason), text(&condition.message));
        pod.status.conditions.set(ConditionKind::DisruptionTarget, holds, &reason, &message, Time::ZERO);
    }
}

/// Takes `matchLabelKeys` and `mismatchLabelKeys` out of the affinity terms; `true` if a term's selector lacks what
/// they would have brought into it.
fn forget_label_keys(pod: &mut Pod) -> bool {
    let Some(rules) = &pod.spec.rules else { return false };
    let mut with_keys = terms(rules).filter(|term| keys(term).next().is_some()).peekable();
    if with_keys.peek().is_none() {
        return false;
    }
    let unmerged = with_keys.any(|term| {
        let has = |key: &Name| {
            term.selector.as_ref().is_some_and(|it| it.match_expressions.iter().any(|one| one.key == *key))
        };
        keys(term).any(|key| pod.meta.labels.get(key).is_some() && !has(key))
    });
    drop(with_keys);
    let mut spec = (*pod.spec).clone();
    if let Some(rules) = &mut spec.rules {
        for terms in [&mut rules.pod_affinity, &mut rules.pod_anti_affinity] {
            let preferred = terms.preferred.iter_mut().map(|weighted| &mut weighted.term);
            for term in terms.required.iter_mut().chain(preferred) {
                term.match_label_keys.clear();
                term.mismatch_label_keys.clear();
            }
        }
    }
    pod.spec = Shared::new(spec);
    unmerged
}

fn terms(rules: &PlacementRules) -> impl Iterator<Item = &PodTerm> {
    let lists = [&rules.pod_affinity, &rules.pod_anti_affinity];
    lists.into_iter().flat_map(|it| it.required.iter().chain(it.preferred.iter().map(|weighted| &weighted.term)))
}

fn keys(term: &PodTerm) -> impl Iterator<Item = &Name> {
    term.match_label_keys.iter().chain(&term.mismatch_label_keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Snapshot, Errors> {
        Snapshot::read(&[("dump.yaml".to_owned(), text.to_owned())])
    }

    #[test]
    fn a_dump_of_a_cluster_is_read_with_its_status_owners_and_unknown_kinds() {
        let text = r#"{"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": [
            {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1", "managedFields": [{"manager": "kubelet",
                "operation": "Update", "apiVersion": "v1", "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1",
                "fieldsV1": {"f:status": {}}}]}, "status": {"capacity": {"cpu": "4", "memory": "8Gi", "pods": "110"},
                "nodeInfo": {"architecture": "amd64", "bootID": "", "containerRuntimeVersion": "", "kernelVersion": "",
                "kubeProxyVersion": "", "kubeletVersion": "v1.34.1", "machineID": "", "operatingSystem": "linux",
                "osImage": "", "systemUUID": ""}}},
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}}},
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "b"}},
            {"apiVersion": "v1", "kind": "PodList", "items": [{"metadata": {"name": "p1", "namespace": "shop",
                "uid": "7f", "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web",
                "uid": "1", "controller": true, "blockOwnerDeletion": true}]},
                "spec": {"containers": [{"name": "a", "image": "web"}], "nodeName": "n1", "priority": 7,
                "priorityClassName": "elsewhere"}, "status": {"phase": "Succeeded"}}]}]}"#;
        let snapshot = read(text).unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!((snapshot.objects.len(), snapshot.pods.len()), (2, 1));
        assert_eq!(snapshot.skipped, [("ConfigMap".to_owned(), 1)].into());
        let pod = &snapshot.pods[0];
        assert_eq!((pod.node.as_deref(), pod.spec.priority, pod.is_finished()), (Some("n1"), 7, true));
        assert_eq!(pod.meta.controller().map(|owner| &*owner.name), Some("web"));
        assert_eq!(pod.spec.tolerations.len(), 2);
    }

    #[test]
    fn priority_comes_from_the_class_and_a_class_that_is_not_there_is_named() {
        let class = "apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\n";
        let pod = |rest: &str| {
            format!(
                "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec: {{containers: [{{name: a, image: \
                 b}}]{rest}}}\n"
            )
        };
        let classes = format!(
            "{class}metadata: {{name: high}}\nvalue: 900\npreemptionPolicy: Never\n---\n{class}metadata: {{name: \
             usual}}\nvalue: 5\nglobalDefault: true\n"
        );
        let of = |rest: &str| {
            let snapshot = read(&format!("{classes}{}", pod(rest))).unwrap_or_else(|errors| panic!("{errors}"));
            let spec = &snapshot.pods[0].spec;
            (spec.priority, spec.rules.as_ref().is_some_and(|rules| rules.never_preempts))
        };
        assert_eq!(of(", priorityClassName: high"), (900, true));
        assert_eq!(of(", priorityClassName: system-node-critical"), (2_000_001_000, false));
        assert_eq!(of(""), (5, false));
        let missing = read(&pod(", priorityClassName: hihg")).err().expect("the class is not there").to_string();
        assert_eq!(missing, "dump.yaml:5:43: spec.priorityClassName: no PriorityClass with name hihg was found");
    }
}
