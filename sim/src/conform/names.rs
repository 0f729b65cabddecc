//! Which of our objects is which of the recording's: names that were drawn differ, places in order of creation agree.

use std::collections::BTreeMap;

use wavetank_core::model::{Kind, Object};

use crate::conform::edge::Path;
use crate::conform::line::Line;

/// Kinds whose names are drawn or made of hashes, with the owners that have them so.
const NAMED_BY_OWNER: &[(Kind, &[&str])] = &[
    (Kind::Pod, &["ReplicaSet", "Job", "DaemonSet", "ReplicationController"]),
    (Kind::ReplicaSet, &["Deployment"]),
    (Kind::EndpointSlice, &["Service", "Endpoints"]),
    (Kind::ControllerRevision, &["StatefulSet", "DaemonSet"]),
];

/// Our objects with drawn names, by kind and owner's name stem and in order of creation.
#[derive(Default)]
pub struct Twins {
    /// Living objects of an owner: names in order of creation.
    living: BTreeMap<String, Vec<String>>,
}

impl Twins {
    /// Notes a change of ours.
    pub fn note(&mut self, before: Option<&Object>, after: Option<&Object>) {
        let named = |kind: Kind| NAMED_BY_OWNER.iter().any(|(known, _)| *known == kind);
        let Some(object) = after.or(before).filter(|object| named(object.kind())) else { return };
        let meta = object.meta();
        let owner = meta.controller().map(|owner| owner.name.to_string()).unwrap_or_default();
        let stem = stem(&owner, &meta.labels.get("pod-template-hash").map(|hash| hash.to_string()).unwrap_or_default());
        let names = self.living.entry(format!("{}/{}/{stem}", object.kind().name(), meta.namespace)).or_default();
        match (before, after) {
            (None, Some(_)) => names.push(meta.name.to_string()),
            (Some(_), None) => names.retain(|name| *name != *meta.name),
            _ => {}
        }
    }

    /// Our name of an object that a step of the recording names; `None` if it is the same or there is no such object.
    pub fn ours(&self, lines: &[Line], at_ms: i64, path: &Path) -> Option<String> {
        let (kind, owners) = NAMED_BY_OWNER.iter().find(|(kind, _)| kind.plural() == path.plural)?;
        let full = format!("{}/{}", path.namespace, path.name);
        let mut living: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        let mut wanted = None;
        for line in lines.iter().filter(|line| line.kind == kind.name() && line.at_ms <= at_ms) {
            let owner = line.text("owner").split_once('/').map_or("", |(_, name)| name);
            let hash = line.fields.get("labels").and_then(|labels| labels["pod-template-hash"].as_str());
            let key = format!("{}/{}/{}", kind.name(), line.namespace(), stem(owner, hash.unwrap_or_default()));
            if line.is_added() {
                living.entry(key.clone()).or_default().push(&line.name);
            } else if line.is_deleted() {
                living.entry(key.clone()).or_default().retain(|name| *name != line.name);
            }
            // Other owners give names that are the same everywhere.
            let owner_kind = line.text("owner").split('/').next().unwrap_or_default();
            if line.name == full && owners.contains(&owner_kind) {
                wanted = Some(key);
            }
        }
        let key = wanted?;
        let place = living.get(&key)?.iter().position(|name| *name == full)?;
        self.living.get(&key)?.get(place).cloned()
    }
}

/// The addresses that Services of a recording have at a time: namespace, name and address.
pub fn living_addresses(lines: &[Line], at_ms: i64) -> Vec<(String, String, String)> {
    let mut living: BTreeMap<&str, &str> = BTreeMap::new();
    for line in lines.iter().filter(|line| line.kind == "Service" && line.at_ms <= at_ms) {
        let address = line.fields.get("spec").and_then(|spec| spec["clusterIP"].as_str()).filter(|it| *it != "None");
        match address.filter(|_| !line.is_deleted()) {
            Some(address) => drop(living.insert(&line.name, address)),
            None => drop(living.remove(line.name.as_str())),
        }
    }
    let named = |(name, address): (&str, &str)| {
        let (namespace, name) = name.split_once('/')?;
        Some((namespace.to_owned(), name.to_owned(), address.to_owned()))
    };
    living.into_iter().filter_map(named).collect()
}

/// An owner's name without the hash of its template.
fn stem(owner: &str, hash: &str) -> String {
    match owner.strip_suffix(hash).filter(|_| !hash.is_empty()) {
        Some(stem) => format!("{stem}*"),
        None => owner.to_owned(),
    }
}
