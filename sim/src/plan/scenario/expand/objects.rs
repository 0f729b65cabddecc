//! Manifests to requests, and which objects the timeline can name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use wavetank_core::api::Request;
use wavetank_core::api::admission::enforces_level;
use wavetank_core::config::PodSecurityConfig;
use wavetank_core::id::Name;
use wavetank_core::model::{ConfigMap, Kind, Labels, Namespace, Object, ObjectKey, ServiceAccount};
use wavetank_core::time::Time;
use wavetank_manifest::kubernetes::{
    Located, Manifest, Unmodelled, read_manifests, read_node, to_object, unmodelled_fields,
};
use wavetank_manifest::yaml::Span as Place;
use wavetank_manifest::{Error, Errors, Node};

use super::{Problems, place};
use crate::plan::scenario::Inputs;
use crate::plan::scenario::format::{NameAt, Spec};
use crate::plan::{Plan, Step};

/// The namespaces of every cluster. A real API server creates them when it starts, and their accounts and certificates
/// are there before anybody uses the cluster; here all these are the plan's first requests, which have no label because
/// the user did not ask for them.
///
/// Source: pkg/controlplane/instance.go, `SystemNamespaces` (v1.34).
const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// A namespace of the cluster, its default account and its certificate.
fn contents(namespace: &str) -> [Object; 3] {
    [
        Object::Namespace(Arc::new(Namespace::named(namespace))),
        Object::ServiceAccount(Arc::new(ServiceAccount::default_of(namespace))),
        Object::ConfigMap(Arc::new(ConfigMap::root_certificate(namespace))),
    ]
}

/// Pods of one template as the file knows them: where, with which labels, which containers and images.
pub(super) struct Template {
    pub(super) namespace: Name,
    pub(super) labels: Labels,
    /// Container name and image.
    pub(super) containers: Vec<(Name, Name)>,
}

/// The objects that the scenario applies.
#[derive(Default)]
pub(super) struct Objects {
    known: BTreeMap<ObjectKey, Template>,
    namespaces: Vec<String>,
    /// Objects that are refused, so that nobody is told of them as unknown too.
    refused: BTreeSet<ObjectKey>,
    /// Whether there are manifests that cannot be read: nobody knows what they would have brought.
    unread: bool,
    /// Fields that are kept but have no effect, each with its object's namespace.
    not_modelled: Vec<(Name, String, Unmodelled)>,
    /// The labels that the scenario gives namespaces.
    labels: Vec<(Name, Labels)>,
}

impl Objects {
    /// Everything of `spec.manifests`, as requests of time zero.
    pub(super) fn manifests(
        &mut self,
        spec: &Spec,
        tree: &Node,
        inputs: &mut Inputs,
        plan: &mut Plan,
        problems: &mut Problems,
    ) {
        self.namespaces = NAMESPACES.map(str::to_owned).to_vec();
        plan.steps.extend(NAMESPACES.into_iter().flat_map(contents).map(|object| Step {
            at: Time::ZERO,
            request: Request::Create(object),
            label: String::new(),
            place: String::new(),
        }));
        let nodes = tree.get("spec").and_then(|spec| spec.get("manifests"));
        for index in 0..spec.manifests.len() {
            let Some(node) = nodes.and_then(|list| item(list, index)) else { continue };
            let path = format!("spec.manifests[{index}]");
            self.apply(node, &path, Time::ZERO, inputs, plan, problems);
        }
    }

    /// Applies a path or an object in place at a time.
    pub(super) fn apply(
        &mut self,
        node: &Node,
        path: &str,
        at: Time,
        inputs: &mut Inputs,
        plan: &mut Plan,
        problems: &mut Problems,
    ) {
        let mut read = match read(node, path, inputs) {
            Ok(read) => read,
            Err(errors) => {
                self.unread = true;
                return problems.extend(errors);
            }
        };
        // Namespaces first, as whoever reads a whole directory of manifests does it.
        read.sort_by_key(|located| !matches!(located.value, Manifest::Namespace(_)));
        for mut located in read {
            let object = located.admit().and_then(|()| to_object(&located));
            match object {
                Ok(object) => self.add(object, &located, at, inputs, plan, problems),
                Err(errors) => {
                    self.refused.extend(key(&located.value));
                    problems.extend(errors);
                }
            }
        }
    }

    /// Whether nothing is known of an object because its manifest is wrong, which has been told.
    fn is_told(&self, kind: Kind, namespace: &str, name: &str) -> bool {
        self.unread || self.refused.contains(&ObjectKey::new(kind, namespace, name))
    }

    fn add(
        &mut self,
        object: Object,
        located: &Located<Manifest>,
        at: Time,
        inputs: &Inputs,
        plan: &mut Plan,
        problems: &mut Problems,
    ) {
        let key = object.key();
        if key.kind == Kind::Namespace {
            self.namespaces.push(key.name.to_string());
        } else if key.kind.is_namespaced() && !self.namespaces.iter().any(|known| **known == *key.namespace) {
            if self.is_told(Kind::Namespace, "", &key.namespace) {
                return;
            }
            let at = located.source.locate("metadata.namespace");
            let message = format!("unknown namespace {:?}", key.namespace);
            let error = Error::new(&located.file, at, "metadata.namespace", message);
            let known = self.namespaces.iter().map(String::as_str);
            problems.errors.push(error.expecting(&key.namespace, known));
            return;
        }
        self.note(located, &object);
        let sets_replicas = located.source.get("spec").is_some_and(|spec| spec.get("replicas").is_some());
        plan.steps.push(Step {
            at,
            label: format!("apply {}", display(&key)),
            place: if located.file == inputs.name {
                place(inputs, located.position())
            } else {
                format!("{}:{}", located.file.rsplit('/').next().unwrap_or_default(), located.position().line)
            },
            request: Request::Apply { object, sets_replicas },
        });
    }

    /// Notes what pods an object makes, and which of its fields have no effect.
    pub(super) fn note(&mut self, located: &Located<Manifest>, object: &Object) {
        let key = object.key();
        let who = format!("{} {}", key.kind.name(), key.name);
        if let Object::Namespace(namespace) = object {
            self.labels.push((key.name.clone(), namespace.meta.labels.clone()));
        }
        let fields = unmodelled_fields(located).into_iter();
        let fields = fields.map(|(field, where_so)| (key.namespace.clone(), format!("{who}: {field}"), where_so));
        self.not_modelled.extend(fields);
        self.known.insert(key, template(object));
    }

    /// The key of an object that the scenario applies; a name that is not there is a problem.
    pub(super) fn find(
        &self,
        kind: Kind,
        namespace: Option<&NameAt>,
        name: &NameAt,
        path: &str,
        problems: &mut Problems,
    ) -> Option<ObjectKey> {
        let namespace_name = namespace.map_or("default", |namespace| namespace.value.as_str());
        if let Some(namespace) = namespace
            && !self.is_namespace(namespace, path, problems)
        {
            return None;
        }
        let key = ObjectKey::new(kind, namespace_name, &name.value);
        if self.known.contains_key(&key) || self.is_ordinal_pod(&key) {
            return Some(key);
        }
        if self.is_told(kind, namespace_name, &name.value) {
            return None;
        }
        let known = self.known.keys().filter(|other| other.kind == kind && other.namespace == key.namespace);
        let message = format!("unknown {} {:?} in namespace {namespace_name}", kind.name(), name.value);
        let error = Error::new(&problems.file, name.span.start(), path, message);
        problems.errors.push(error.expecting(&name.value, known.map(|key| &*key.name)));
        None
    }

    /// Whether a pod has the name of a StatefulSet and an ordinal: only such names of made pods are known beforehand.
    fn is_ordinal_pod(&self, key: &ObjectKey) -> bool {
        let Some((set, ordinal)) = key.name.rsplit_once('-').filter(|_| key.kind == Kind::Pod) else { return false };
        let is_number = !ordinal.is_empty() && ordinal.bytes().all(|byte| byte.is_ascii_digit());
        is_number && self.known.contains_key(&ObjectKey::new(Kind::StatefulSet, &key.namespace, set))
    }

    /// Whether a namespace is there; if not, that is a problem.
    pub(super) fn is_namespace(&self, namespace: &NameAt, path: &str, problems: &mut Problems) -> bool {
        let known = self.namespaces.contains(&namespace.value);
        if !known && !self.is_told(Kind::Namespace, "", &namespace.value) {
            let names = self.namespaces.iter().map(String::as_str);
            problems.unknown(namespace.span, path, "namespace", &namespace.value, names);
        }
        known
    }

    /// The template of an object that is there; `None` for objects without pods.
    pub(super) fn template(&self, key: &ObjectKey) -> Option<&Template> {
        self.known.get(key)
    }

    /// Notes that a template's containers get an image.
    pub(super) fn add_image(&mut self, key: &ObjectKey, container: Option<&str>, image: &str) {
        let Some(template) = self.known.get_mut(key) else { return };
        let names: Vec<Name> = template.containers.iter().map(|(name, _)| name.clone()).collect();
        for name in names.into_iter().filter(|name| container.is_none_or(|wanted| wanted == &**name)) {
            template.containers.push((name, image.into()));
        }
    }

    /// All templates.
    pub(super) fn templates(&self) -> impl Iterator<Item = &Template> {
        self.known.values()
    }

    /// Fields that are kept but have no effect, each with its object.
    pub(super) fn not_modelled(self, config: &PodSecurityConfig) -> Vec<String> {
        let is_under_level = |namespace: &Name| {
            let mut given = self.labels.iter().filter(|(of, _)| of == namespace).map(|(_, labels)| labels).peekable();
            match given.peek() {
                None => enforces_level(config, namespace, &Labels::default()),
                Some(_) => given.any(|labels| enforces_level(config, namespace, labels)),
            }
        };
        let is_told = |(namespace, _, where_so): &(Name, String, Unmodelled)| where_so.holds(is_under_level(namespace));
        let told = self.not_modelled.iter().filter(|it| is_told(it));
        let mut fields: Vec<String> = told.map(|(_, field, _)| field.clone()).collect();
        fields.sort();
        fields.dedup();
        fields
    }
}

/// `deployment/web`, with the namespace if it is not the default.
pub(super) fn display(key: &ObjectKey) -> String {
    let kind = key.kind.name().to_lowercase();
    match &*key.namespace {
        "" | "default" => format!("{kind}/{}", key.name),
        namespace => format!("{kind}/{} in {namespace}", key.name),
    }
}

/// The key of an object as its manifest has it.
fn key(manifest: &Manifest) -> Option<ObjectKey> {
    let (kind, meta) = (Kind::of_name(manifest.kind().kind)?, manifest.metadata());
    let namespace = meta.namespace.as_deref().filter(|namespace| !namespace.is_empty()).unwrap_or("default");
    let namespace = if kind.is_namespaced() { namespace } else { "" };
    Some(ObjectKey::new(kind, namespace, meta.name.as_deref().unwrap_or_default()))
}

/// The item of a sequence.
pub(super) fn item(list: &Node, index: usize) -> Option<&Node> {
    match &list.value {
        wavetank_manifest::Value::Seq(items) => items.get(index),
        _ => None,
    }
}

/// Reads a path or an object in place.
pub(super) fn read(node: &Node, path: &str, inputs: &mut Inputs) -> Result<Vec<Located<Manifest>>, Errors> {
    let refuse = |place: Place, message: String, inputs: &Inputs| {
        Errors::from(Error::new(&inputs.name, place.start(), path, message))
    };
    match &node.value {
        wavetank_manifest::Value::String(written) => {
            let (name, text) = inputs.file(written).map_err(|message| refuse(node.span, message, inputs))?;
            let found = read_manifests(&name, &text)?;
            if found.is_empty() {
                return Err(refuse(node.span, format!("expected Kubernetes objects, found none in {name}"), inputs));
            }
            Ok(found)
        }
        wavetank_manifest::Value::Map(_) => read_node(&inputs.name, node.clone()),
        other => {
            let message = format!("expected a path or a Kubernetes object, found {}", other.describe());
            Err(refuse(node.span, message, inputs))
        }
    }
}

fn template(object: &Object) -> Template {
    let parts = object.pod_parts();
    let all = parts.into_iter().flat_map(|(_, spec)| spec.init_containers.iter().chain(&spec.containers));
    let containers = all.map(|container| (container.name.clone(), container.image.clone())).collect();
    let labels = parts.map(|(labels, _)| labels.clone()).unwrap_or_default();
    Template { namespace: object.meta().namespace.clone(), labels, containers }
}
