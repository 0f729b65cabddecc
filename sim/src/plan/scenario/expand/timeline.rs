//! The timeline: actions of the user become requests, faults become faults, both with drawn times.

use wavetank_core::api::{Patch, Propagation, Request};
use wavetank_core::id::{HostId, Name};
use wavetank_core::model::{Kind, ObjectKey};
use wavetank_core::time::{Span, Time};
use wavetank_manifest::yaml::Span as Place;
use wavetank_manifest::{Node, Spanned};

use super::behaviours::selector;
use super::machines::{Chosen, Fleet, effect};
use super::objects::{Objects, display, item};
use super::{Problems, drawn, place};
use crate::drain::DrainOptions;
use crate::plan::scenario::Inputs;
use crate::plan::scenario::format::{self, Entry, OnObject, Spec};
use crate::plan::{DrainPlan, Fault, FaultKind, LinkProfile, Plan, PressedResource, Side, Step};

/// The most repetitions of one entry.
const TIMES_MAX: u32 = 100_000;

/// What one entry does, before it gets its times.
enum Deed {
    /// Requests with their labels.
    Requests(Vec<(Request, String)>),
    /// A manifest.
    Apply,
    /// A drain with its label.
    Drain(DrainOptions, String),
    /// A fault with its label.
    Fault(FaultKind, String),
}

pub(super) fn expand(
    spec: &Spec,
    tree: &Node,
    inputs: &mut Inputs,
    fleet: &Fleet,
    objects: &mut Objects,
    plan: &mut Plan,
    problems: &mut Problems,
) {
    let nodes = tree.get("spec").and_then(|spec| spec.get("timeline"));
    for (index, entry) in spec.timeline.iter().enumerate() {
        let path = format!("spec.timeline[{index}]");
        let mut reader = Reader { fleet, objects, problems, path: &path, place: entry.span };
        let Some(deed) = reader.deed(&entry.value) else { continue };
        let times = Times::of(&entry.value, plan.config.seed, index as u64);
        let is_fault = matches!(deed, Deed::Fault(..));
        check_times(entry, &times, is_fault, &path, problems);
        let end = Time::ZERO.saturating_add(plan.duration);
        if let Some((from, _)) = times.0.first().filter(|(from, _)| *from > end && inputs.settings.until.is_none()) {
            problems.add(entry.span, &path, format!("it happens at {from}, after the run's end at {end}"));
        }
        let origin = place(inputs, entry.span.start());
        match deed {
            Deed::Apply => {
                let node = nodes.and_then(|list| item(list, index)).and_then(|node| node.get("apply"));
                for (at, _) in times.0 {
                    if let Some(node) = node {
                        objects.apply(node, &format!("{path}.apply"), at, inputs, plan, problems);
                    }
                }
            }
            Deed::Requests(requests) => {
                for (at, _) in times.0 {
                    plan.steps.extend(requests.iter().map(|(request, label)| Step {
                        at,
                        request: request.clone(),
                        label: label.clone(),
                        place: origin.clone(),
                    }));
                }
            }
            Deed::Drain(options, label) => plan.drains.extend(times.0.into_iter().map(|(at, _)| DrainPlan {
                at,
                options: options.clone(),
                label: label.clone(),
                place: origin.clone(),
            })),
            Deed::Fault(kind, label) => plan.faults.extend(times.0.into_iter().map(|(from, to)| Fault {
                from,
                to,
                kind: kind.clone(),
                label: label.clone(),
                place: origin.clone(),
            })),
        }
    }
    // The order of the file holds within one instant.
    plan.steps.sort_by_key(|step| step.at);
}

/// Beginnings and ends of one entry's repetitions.
struct Times(Vec<(Time, Option<Time>)>);

impl Times {
    fn of(entry: &Entry, seed: u64, index: u64) -> Times {
        let entity = (2 << 40) | index;
        let mut times = Vec::new();
        let count = entry.repeat.as_ref().map_or(1, |repeat| repeat.times.value.min(TIMES_MAX));
        let mut at = entry.at.as_ref().map_or(Time::ZERO, |at| drawn(seed, at, entity, 0));
        for round in 0..u64::from(count) {
            let end = match (&entry.recover, &entry.lasts) {
                (Some(recover), _) => Some(drawn(seed, recover, entity, 3 * round + 1)),
                (None, Some(lasts)) => Some(at.saturating_add(Span(drawn(seed, lasts, entity, 3 * round + 1).0))),
                (None, None) => None,
            };
            times.push((at, end));
            if let Some(repeat) = &entry.repeat {
                at = at.saturating_add(Span(drawn(seed, &repeat.every, entity, 3 * round + 2).0));
            }
        }
        Times(times)
    }
}

fn check_times(entry: &Spanned<Entry>, times: &Times, is_fault: bool, path: &str, problems: &mut Problems) {
    let place = entry.span;
    let entry = &entry.value;
    if entry.at.is_none() {
        problems.add(place, path, "missing field \"at\": when does it happen?");
    }
    if !is_fault && (entry.recover.is_some() || entry.lasts.is_some()) {
        problems.add(place, path, "only a fault ends: recover and for have no meaning for an action");
    }
    if entry.recover.is_some() && entry.lasts.is_some() {
        problems.add(place, path, "expected one of recover and for, found both");
    }
    if let Some(repeat) = &entry.repeat {
        if entry.recover.is_some() && repeat.times.value > 1 {
            problems.add(place, path, "a repeated fault needs for, how long each lasts: recover is one time");
        }
        if repeat.times.value == 0 || repeat.times.value > TIMES_MAX {
            problems.add(repeat.times.span, path, format!("expected times between 1 and {TIMES_MAX}"));
        }
    }
    for (from, to) in &times.0 {
        if to.is_some_and(|to| to <= *from) {
            let to = to.unwrap_or_default();
            problems.add(place, path, format!("it ends at {to}, which is not after its beginning at {from}"));
            break;
        }
    }
}

struct Reader<'a> {
    fleet: &'a Fleet,
    objects: &'a mut Objects,
    problems: &'a mut Problems,
    path: &'a str,
    place: Place,
}

impl Reader<'_> {
    /// What the entry does: exactly one thing.
    fn deed(&mut self, entry: &Entry) -> Option<Deed> {
        let mut deeds = Vec::new();
        if entry.apply.is_some() {
            deeds.push(Some(Deed::Apply));
        }
        deeds.extend(entry.scale.as_ref().map(|scale| self.scale(scale)));
        deeds.extend(entry.set_image.as_ref().map(|image| self.set_image(image)));
        deeds.extend(entry.delete.as_ref().map(|delete| self.delete(delete)));
        deeds.extend(entry.restart.as_ref().map(|what| self.rollout(what, Patch::Restart, "restart")));
        deeds.extend(entry.undo.as_ref().map(|what| self.rollout(what, Patch::Undo, "undo")));
        deeds.extend(entry.pause.as_ref().map(|what| self.pause(what)));
        deeds.extend(entry.resume.as_ref().map(|what| self.resume(what)));
        deeds.extend(entry.suspend.as_ref().map(|what| self.suspend(what)));
        deeds.extend(entry.label.as_ref().map(|label| self.label(label)));
        let cordons = [(&entry.cordon, true, "cordon"), (&entry.uncordon, false, "uncordon")];
        for (machines, unschedulable, verb) in cordons {
            deeds.extend(machines.as_ref().map(|machines| {
                let patch = Patch::Unschedulable(unschedulable);
                self.patch_nodes(&Chosen::from(machines), patch, verb)
            }));
        }
        deeds.extend(entry.drain.as_ref().map(|drain| self.drain(drain)));
        deeds.extend(entry.taint.as_ref().map(|taint| self.taint(taint)));
        deeds.extend(entry.untaint.as_ref().map(|taint| self.untaint(taint)));
        deeds.extend(self.faults(entry));
        match deeds.len() {
            1 => deeds.remove(0),
            0 => {
                let message = "expected one action or fault beside the time, such as apply, scale or crash";
                self.problems.add(self.place, self.path, message);
                None
            }
            _ => {
                let message = "expected one action or fault, found several: give each an entry of its own";
                self.problems.add(self.place, self.path, message);
                None
            }
        }
    }

    fn faults(&mut self, entry: &Entry) -> Vec<Option<Deed>> {
        let mut deeds = Vec::new();
        deeds.extend(entry.crash.as_ref().map(|machines| {
            let chosen = Chosen::from(machines);
            let hosts = self.choose(&chosen, "crash")?;
            Some(Deed::Fault(FaultKind::Crash { hosts }, format!("{} crashes", chosen.label())))
        }));
        deeds.extend(entry.power_loss.as_ref().map(|zone| {
            let chosen = Chosen { zone: Some(&zone.zone), ..Chosen::default() };
            let hosts = self.choose(&chosen, "powerLoss")?;
            Some(Deed::Fault(FaultKind::Crash { hosts }, format!("{} loses power", chosen.label())))
        }));
        deeds.extend(entry.kubelet_stop.as_ref().map(|machines| {
            let chosen = Chosen::from(machines);
            let hosts = self.choose(&chosen, "kubeletStop")?;
            Some(Deed::Fault(FaultKind::KubeletStop { hosts }, format!("kubelet of {} stops", chosen.label())))
        }));
        deeds.extend(entry.node_shutdown.as_ref().map(|machines| {
            let chosen = Chosen::from(machines);
            let hosts = self.choose(&chosen, "nodeShutdown")?;
            Some(Deed::Fault(FaultKind::Shutdown { hosts }, format!("{} shuts down", chosen.label())))
        }));
        let pressures = [
            (&entry.memory_pressure, PressedResource::Memory, "memoryPressure"),
            (&entry.disk_pressure, PressedResource::NodeFilesystem, "diskPressure"),
            (&entry.pid_pressure, PressedResource::Pids, "pidPressure"),
        ];
        for (pressure, resource, action) in pressures {
            deeds.extend(pressure.as_ref().map(|pressure| self.pressure(pressure, resource, action)));
        }
        deeds.extend(entry.network_cut.as_ref().map(|cut| self.network_cut(cut)));
        deeds.extend(entry.slow_link.as_ref().map(|link| self.slow_link(link)));
        deeds
    }

    fn pressure(&mut self, on: &format::PressureOn, resource: PressedResource, action: &str) -> Option<Deed> {
        let chosen = Chosen {
            node: on.node.as_ref(),
            nodes: on.nodes.as_ref(),
            group: on.group.as_ref(),
            zone: on.zone.as_ref(),
            zones: on.zones.as_ref(),
            all: on.all,
        };
        let hosts = self.choose(&chosen, action)?;
        let path = format!("{}.{action}", self.path);
        let Some(used) = on.used else {
            self.problems.add(self.place, &path, "missing field \"used\": how much is used beside the pods?");
            return None;
        };
        let (resource, what) = match (resource, on.filesystem) {
            (PressedResource::NodeFilesystem, format::Filesystem::Image) => (PressedResource::ImageFilesystem, "disk"),
            (PressedResource::NodeFilesystem, _) => (resource, "disk"),
            (_, format::Filesystem::Image) => {
                self.problems.add(self.place, &path, "filesystem has a meaning for diskPressure only");
                return None;
            }
            (PressedResource::Pids, _) => (resource, "processes"),
            _ => (resource, "memory"),
        };
        let used = used.value.0;
        let label = match resource {
            PressedResource::Pids => format!("{used} {what} beside the pods of {}", chosen.label()),
            _ => format!("{used} bytes of {what} used beside the pods of {}", chosen.label()),
        };
        Some(Deed::Fault(FaultKind::Pressure { hosts, resource, used }, label))
    }

    fn network_cut(&mut self, cut: &format::NetworkCut) -> Option<Deed> {
        let [a, b] = cut.between.value.as_slice() else {
            let message = format!("expected two groups, found {}", cut.between.value.len());
            self.problems.add(cut.between.span, &format!("{}.networkCut.between", self.path), message);
            return None;
        };
        let ((a, a_label), (b, b_label)) = (self.side(a)?, self.side(b)?);
        let both = a.hosts.iter().find(|host| b.hosts.contains(host));
        if both.is_some() || a.control_plane && b.control_plane {
            let message = "the two groups have members in common, which cannot be cut from themselves";
            self.problems.add(cut.between.span, &format!("{}.networkCut.between", self.path), message);
            return None;
        }
        Some(Deed::Fault(FaultKind::NetworkCut { a, b }, format!("network cut between {a_label} and {b_label}")))
    }

    fn side(&mut self, side: &format::Side) -> Option<(Side, String)> {
        let chosen = Chosen {
            node: side.node.as_ref(),
            nodes: side.nodes.as_ref(),
            group: side.group.as_ref(),
            zone: side.zone.as_ref(),
            zones: side.zones.as_ref(),
            all: side.all,
        };
        let mut label = chosen.label();
        if side.control_plane {
            let joint = if label.is_empty() { "" } else { " and " };
            label = format!("the control plane{joint}{label}");
            let path = format!("{}.networkCut", self.path);
            let hosts = self.fleet.choose(&chosen, &path, self.problems);
            return Some((Side { control_plane: true, hosts }, label));
        }
        let hosts = self.choose(&chosen, "networkCut")?;
        Some((Side { control_plane: false, hosts }, label))
    }

    fn slow_link(&mut self, link: &format::SlowLink) -> Option<Deed> {
        let chosen = Chosen {
            node: link.node.as_ref(),
            nodes: link.nodes.as_ref(),
            group: link.group.as_ref(),
            zone: link.zone.as_ref(),
            zones: link.zones.as_ref(),
            all: link.all,
        };
        let hosts = self.choose(&chosen, "slowLink")?;
        if link.delay.is_none() && link.loss_per_million.is_none() {
            self.problems.add(self.place, self.path, "slowLink needs a delay or lossPerMillion");
            return None;
        }
        let loss = link.loss_per_million.map_or(0, |loss| loss.value);
        if loss > 999_999 {
            let place = link.loss_per_million.map_or(self.place, |loss| loss.span);
            self.problems.add(place, self.path, format!("expected lossPerMillion up to 999999, found {loss}"));
        }
        let delay = link.delay.clone().map(|spread| spread.0).unwrap_or_default();
        let profile = LinkProfile { delay, loss_per_million: loss };
        Some(Deed::Fault(FaultKind::SlowLink { hosts, profile }, format!("slow link to {}", chosen.label())))
    }

    /// The machines of an action or fault; none at all is a problem.
    fn choose(&mut self, chosen: &Chosen<'_>, action: &str) -> Option<Vec<HostId>> {
        let path = format!("{}.{action}", self.path);
        let before = self.problems.errors.len();
        let hosts = self.fleet.choose(chosen, &path, self.problems);
        if self.problems.errors.len() > before {
            return None;
        }
        if hosts.is_empty() {
            let message = "names no machine: expected node, nodes, group, zone, zones or all";
            self.problems.add(self.place, &path, message);
            return None;
        }
        Some(hosts)
    }

    fn scale(&mut self, scale: &format::Scale) -> Option<Deed> {
        let key = self.one(scale, "scale")?;
        let label = format!("scale {} to {}", display(&key), scale.replicas);
        Some(requests(Request::Patch { key, patch: Patch::Replicas(scale.replicas) }, label))
    }

    fn suspend(&mut self, what: &format::Suspended) -> Option<Deed> {
        let key = self.one(what, "suspend")?;
        let label = format!("suspend {}", display(&key));
        Some(requests(Request::Patch { key, patch: Patch::Suspended(true) }, label))
    }

    fn resume(&mut self, what: &format::Held) -> Option<Deed> {
        let key = self.one(what, "resume")?;
        let label = format!("resume {}", display(&key));
        let patch = match key.kind {
            Kind::Deployment => Patch::Paused(false),
            _ => Patch::Suspended(false),
        };
        Some(requests(Request::Patch { key, patch }, label))
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
            self.problems.unknown(name.span, &path, "node", &name.value, self.fleet.names());
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

    fn rollout(&mut self, what: &format::Rollout, patch: Patch, verb: &str) -> Option<Deed> {
        let key = self.one(what, verb)?;
        let label = format!("{verb} {}", display(&key));
        Some(requests(Request::Patch { key, patch }, label))
    }

    fn pause(&mut self, what: &format::Pause) -> Option<Deed> {
        let key = self.one(what, "pause")?;
        let label = format!("pause {}", display(&key));
        Some(requests(Request::Patch { key, patch: Patch::Paused(true) }, label))
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

    fn patch_nodes(&mut self, chosen: &Chosen<'_>, patch: Patch, verb: &str) -> Option<Deed> {
        let hosts = self.choose(chosen, verb)?;
        let names: Vec<&str> = self.fleet.names_of(&hosts);
        let request = |name: &str| Request::Patch { key: ObjectKey::new(Kind::Node, "", name), patch: patch.clone() };
        Some(Deed::Requests(names.iter().map(|name| (request(name), format!("{verb} node/{name}"))).collect()))
    }

    fn drain(&mut self, drain: &format::Drain) -> Option<Deed> {
        let chosen = Chosen {
            node: drain.node.as_ref(),
            nodes: drain.nodes.as_ref(),
            group: drain.group.as_ref(),
            zone: drain.zone.as_ref(),
            ..Chosen::default()
        };
        let hosts = self.choose(&chosen, "drain")?;
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
        Some(Deed::Drain(options, format!("drain {}", chosen.label())))
    }

    fn taint(&mut self, taint: &format::TaintNodes) -> Option<Deed> {
        let chosen = Chosen {
            node: taint.node.as_ref(),
            nodes: taint.nodes.as_ref(),
            group: taint.group.as_ref(),
            zone: taint.zone.as_ref(),
            ..Chosen::default()
        };
        let added = wavetank_core::model::Taint {
            key: taint.key.as_str().into(),
            value: taint.value.as_str().into(),
            effect: effect(taint.effect),
            added_at: None,
        };
        self.patch_nodes(&chosen, Patch::AddTaint(added), "taint")
    }

    fn untaint(&mut self, taint: &format::UntaintNodes) -> Option<Deed> {
        let chosen = Chosen {
            node: taint.node.as_ref(),
            nodes: taint.nodes.as_ref(),
            group: taint.group.as_ref(),
            zone: taint.zone.as_ref(),
            ..Chosen::default()
        };
        let patch = Patch::RemoveTaint { key: taint.key.as_str().into(), effect: taint.effect.map(effect) };
        self.patch_nodes(&chosen, patch, "untaint")
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
