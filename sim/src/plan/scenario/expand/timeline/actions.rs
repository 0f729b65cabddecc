//! What users do: requests about objects and nodes, and drains.

use wavetank_core::api::{Patch, Propagation, Request};
use wavetank_core::id::Name;
use wavetank_core::model::{Kind, ObjectKey, Taint};
use wavetank_core::time::Span;

use super::{Deed, Reader};
use crate::drain::DrainOptions;
use crate::plan::scenario::expand::behaviours::selector;
use crate::plan::scenario::expand::machines::effect;
use crate::plan::scenario::expand::objects::display;
use crate::plan::scenario::format::{self, Entry, OnMachines, OnObject};

impl Reader<'_> {
    /// The actions of an entry; `None` for one that is a problem.
    pub(super) fn actions(&mut self, entry: &Entry) -> Vec<Option<Deed>> {
        let mut deeds = Vec::new();
        deeds.extend(entry.scale.as_ref().map(|scale| self.scale(scale)));
        deeds.extend(entry.set_image.as_ref().map(|image| self.set_image(image)));
        deeds.extend(entry.delete.as_ref().map(|delete| self.delete(delete)));
        deeds.extend(entry.restart.as_ref().map(|what| self.patch_one(what, "restart", Patch::Restart)));
        deeds.extend(entry.undo.as_ref().map(|what| self.patch_one(what, "undo", Patch::Undo)));
        deeds.extend(entry.pause.as_ref().map(|what| self.patch_one(what, "pause", Patch::Paused(true))));
        deeds.extend(entry.resume.as_ref().map(|what| self.resume(what)));
        deeds.extend(entry.suspend.as_ref().map(|what| self.patch_one(what, "suspend", Patch::Suspended(true))));
        deeds.extend(entry.label.as_ref().map(|label| self.label(label)));
        let cordons = [(&entry.cordon, true, "cordon"), (&entry.uncordon, false, "uncordon")];
        for (machines, unschedulable, verb) in cordons {
            let patch = Patch::Unschedulable(unschedulable);
            deeds.extend(machines.as_ref().map(|machines| self.patch_nodes(machines, patch, verb)));
        }
        deeds.extend(entry.drain.as_ref().map(|drain| self.drain(drain)));
        deeds.extend(entry.taint.as_ref().map(|taint| self.taint(taint)));
        deeds.extend(entry.untaint.as_ref().map(|taint| self.untaint(taint)));
        deeds
    }

    /// One change of the object that is named, in the verb's own words.
    fn patch_one(&mut self, what: &impl OnObject, verb: &str, patch: Patch) -> Option<Deed> {
        let key = self.one(what, verb)?;
        let label = format!("{verb} {}", display(&key));
        Some(requests(Request::Patch { key, patch }, label))
    }

    /// What goes on is a rollout, a Job or a CronJob.
    fn resume(&mut self, what: &format::Held) -> Option<Deed> {
        let patch = if what.deployment.is_some() { Patch::Paused(false) } else { Patch::Suspended(false) };
        self.patch_one(what, "resume", patch)
    }

    fn scale(&mut self, scale: &format::Scale) -> Option<Deed> {
        let key = self.one(scale, "scale")?;
        let label = format!("scale {} to {}", display(&key), scale.replicas);
        Some(requests(Request::Patch { key, patch: Patch::Replicas(scale.replicas) }, label))
    }

    fn set_image(&mut self, set: &format::SetImage) -> Option<Deed> {
        let key = self.one(set, "setImage")?;
        if let (Some(container), Some(template)) = (&set.container, self.objects.template(&key)) {
            let mut known: Vec<&str> = template.containers.iter().map(|(name, _)| &**name).collect();
            known.dedup();
            if !known.contains(&container.value.as_str()) {
                let path = format!("{}.setImage.container", self.path);
                self.problems.unknown(container.span, &path, "container", &container.value, known);
                return None;
            }
        }
        let container = set.container.as_ref().map(|name| name.value.as_str());
        self.objects.add_image(&key, container, &set.image);
        let label = format!("set image of {} to {}", display(&key), set.image);
        let container: Name = container.unwrap_or("*").into();
        Some(requests(
            Request::Patch { key, patch: Patch::Image { container, image: set.image.as_str().into() } },
            label,
        ))
    }

    /// The one object that is named.
    fn one(&mut self, of: &impl OnObject, action: &str) -> Option<ObjectKey> {
        let (candidates, namespace) = (of.named(), of.namespace());
        let path = format!("{}.{action}", self.path);
        let mut named = candidates.iter().filter_map(|(kind, name)| Some((*kind, (*name)?)));
        let (Some((kind, name)), None) = (named.next(), named.next()) else {
            let kinds: Vec<String> = candidates.iter().map(|(kind, _)| field_of(*kind)).collect();
            let message = format!("expected one object by its kind: one of {}", kinds.join(", "));
            self.problems.add(self.place, &path, message);
            return None;
        };
        if kind == Kind::Node {
            if self.fleet.names().any(|known| known == name.value) {
                return Some(ObjectKey::new(Kind::Node, "", &name.value));
            }
            if self.fleet.is_complete() {
                self.problems.unknown(name.span, &path, "node", &name.value, self.fleet.names());
            }
            return None;
        }
        self.objects.find(kind, namespace, name, &format!("{path}.{}", field_of(kind)), self.problems)
    }

    fn delete(&mut self, delete: &format::Delete) -> Option<Deed> {
        let propagation = match delete.propagation {
            format::Propagation::Background => Propagation::Background,
            format::Propagation::Foreground => Propagation::Foreground,
            format::Propagation::Orphan => Propagation::Orphan,
        };
        let grace = delete.grace_period.map(|grace| grace.0);
        if delete.kind.is_some() || delete.selector.is_some() {
            return self.delete_matching(delete, grace, propagation);
        }
        let alone = delete.named().iter().all(|(_, name)| name.is_none());
        let key = match &delete.namespace {
            Some(namespace) if alone => {
                let path = format!("{}.delete.namespace", self.path);
                self.objects
                    .is_namespace(namespace, &path, self.problems)
                    .then(|| ObjectKey::new(Kind::Namespace, "", &namespace.value))?
            }
            _ => self.one(delete, "delete")?,
        };
        let label = format!("delete {}", display(&key));
        Some(requests(Request::Delete { key, uid: None, grace, propagation }, label))
    }

    /// All objects of a kind that a selector matches.
    fn delete_matching(
        &mut self,
        delete: &format::Delete,
        grace: Option<Span>,
        propagation: Propagation,
    ) -> Option<Deed> {
        let path = format!("{}.delete", self.path);
        let (Some(kind_at), Some(matching)) = (&delete.kind, &delete.selector) else {
            self.problems.add(self.place, &path, "expected kind and selector together: which objects of which kind?");
            return None;
        };
        if delete.named().iter().any(|(_, name)| name.is_some()) {
            self.problems.add(self.place, &path, "expected a name or kind and selector, found both");
            return None;
        }
        let candidates: Vec<Kind> = delete.named().iter().map(|(kind, _)| *kind).collect();
        let Some(kind) = candidates.iter().copied().find(|kind| kind.name() == kind_at.value) else {
            let known = candidates.iter().map(|kind| kind.name());
            self.problems.unknown(kind_at.span, &format!("{path}.kind"), "kind", &kind_at.value, known);
            return None;
        };
        if let Some(namespace) = &delete.namespace
            && !self.objects.is_namespace(namespace, &format!("{path}.namespace"), self.problems)
        {
            return None;
        }
        let usual = if kind.is_namespaced() { "default" } else { "" };
        let namespace = delete.namespace.as_ref().filter(|_| kind.is_namespaced());
        let namespace: Name = namespace.map_or(usual, |name| name.value.as_str()).into();
        let selector = selector(matching);
        let pairs = selector.match_labels.iter().map(|(key, value)| format!("{key}={value}"));
        let others = selector.match_expressions.iter().map(|it| format!("{} {:?}", it.key, it.operator));
        let label = format!("delete {} with {}", kind.plural(), pairs.chain(others).collect::<Vec<_>>().join(","));
        Some(requests(Request::DeleteMatching { kind, namespace, selector, grace, propagation }, label))
    }

    fn label(&mut self, label: &format::Label) -> Option<Deed> {
        let key = self.one(label, "label")?;
        let value = label.value.as_deref().map(Name::from);
        let words = match &value {
            Some(value) => format!("label {} {}={value}", display(&key), label.key),
            None => format!("label {} {}-", display(&key), label.key),
        };
        let patch = Patch::Label { key: label.key.as_str().into(), value };
        Some(requests(Request::Patch { key, patch }, words))
    }

    fn patch_nodes(&mut self, on: &impl OnMachines, patch: Patch, verb: &str) -> Option<Deed> {
        let hosts = self.choose(on.chosen(), verb)?;
        let names: Vec<&str> = self.fleet.names_of(&hosts);
        let request = |name: &str| Request::Patch { key: ObjectKey::new(Kind::Node, "", name), patch: patch.clone() };
        Some(Deed::Requests(names.iter().map(|name| (request(name), format!("{verb} node/{name}"))).collect()))
    }

    fn drain(&mut self, drain: &format::Drain) -> Option<Deed> {
        let hosts = self.choose(drain.chosen(), "drain")?;
        let options = DrainOptions {
            nodes: self.fleet.names_of(&hosts).into_iter().map(Name::from).collect(),
            ignore_daemon_sets: drain.ignore_daemon_sets,
            force: drain.force,
            delete_empty_dir_data: drain.delete_empty_dir_data,
            disable_eviction: drain.disable_eviction,
            grace: drain.grace_period.map(|grace| grace.0),
            timeout: drain.timeout.map(|limit| limit.0),
            pods: drain.pod_selector.as_ref().map(selector),
        };
        Some(Deed::Drain(options, format!("drain {}", drain.chosen().label())))
    }

    fn taint(&mut self, taint: &format::TaintNodes) -> Option<Deed> {
        let added = Taint {
            key: taint.key.as_str().into(),
            value: taint.value.as_str().into(),
            effect: effect(taint.effect),
            added_at: None,
        };
        self.patch_nodes(taint, Patch::AddTaint(added), "taint")
    }

    fn untaint(&mut self, taint: &format::UntaintNodes) -> Option<Deed> {
        let patch = Patch::RemoveTaint { key: taint.key.as_str().into(), effect: taint.effect.map(effect) };
        self.patch_nodes(taint, patch, "untaint")
    }
}

fn requests(request: Request, label: String) -> Deed {
    Deed::Requests(vec![(request, label)])
}

/// The kind as the file's field: `replicaSet`.
fn field_of(kind: Kind) -> String {
    let name = kind.name();
    name[..1].to_lowercase() + &name[1..]
}
