//! What the names of a recording stand for: `web#2` is the second ReplicaSet of Deployment `web`, `web#2-*` any of its
//! pods, `db~1` the first EndpointSlice of Service `db`.

use std::collections::{BTreeMap, BTreeSet};

use crate::conform::line::Line;

/// Kinds whose objects' names are drawn, with the mark between owner and number.
const NUMBERED: &[(&str, &str)] =
    &[("ReplicaSet", "#"), ("EndpointSlice", "~"), ("ControllerRevision", "@"), ("Job", "%")];

/// Owners whose pods are exchangeable.
const OWNERS_OF_LIKE_PODS: &[&str] = &["ReplicaSet", "DaemonSet", "Job", "ReplicationController"];

/// What names stand for.
pub(in crate::conform) struct Names {
    /// From kind and full name to what is structural.
    canonical: BTreeMap<(String, String), String>,
    /// Short names to be replaced in texts, the longest first.
    texts: Vec<(String, String)>,
    /// What the names of like pods begin with: texts also name pods that were refused and never came to be.
    prefixes: BTreeSet<String>,
}

impl Names {
    /// What the names stand for that are in these lines.
    pub(in crate::conform) fn of(lines: &[Line]) -> Names {
        let mut canonical: BTreeMap<(String, String), String> = BTreeMap::new();
        let mut counts: BTreeMap<(String, String), u32> = BTreeMap::new();
        let (mut texts, mut prefixes) = (Vec::new(), BTreeSet::new());
        for line in lines.iter().filter(|line| line.is_added() && line.kind != "Event") {
            let key = (line.kind.clone(), line.name.clone());
            // How often an object is made again under its name may be chance.
            if canonical.contains_key(&key) {
                continue;
            }
            let owner = line.text("owner");
            let (owner_kind, owner_name) = owner.split_once('/').unwrap_or_default();
            let owner_key = (owner_kind.to_owned(), format!("{}/{owner_name}", line.namespace()));
            let owner_name = canonical.get(&owner_key).cloned().unwrap_or_else(|| owner_name.to_owned());
            let mark = NUMBERED.iter().find(|(kind, _)| *kind == line.kind).map(|(_, mark)| *mark);
            if OWNERS_OF_LIKE_PODS.contains(&line.kind.as_str()) {
                prefixes.insert(format!("{}-", line.short_name()));
            }
            let name = match mark {
                Some(mark) if !owner.is_empty() => {
                    let count = counts.entry((line.kind.clone(), owner.to_owned())).or_insert(0);
                    *count += 1;
                    format!("{owner_name}{mark}{count}")
                }
                _ if line.kind == "Pod" && OWNERS_OF_LIKE_PODS.contains(&owner_kind) => format!("{owner_name}-*"),
                // A pod's own claim is named after the pod.
                _ if line.kind == "PersistentVolumeClaim" && owner_name.ends_with("-*") => {
                    let (_, pod) = owner.split_once('/').unwrap_or_default();
                    line.short_name().replacen(pod, &owner_name, 1)
                }
                _ => line.short_name().to_owned(),
            };
            if name != line.short_name() {
                texts.push((line.short_name().to_owned(), name.clone()));
            }
            canonical.insert(key, name);
        }
        texts.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        texts.dedup();
        Names { canonical, texts, prefixes }
    }

    pub(super) fn of_line(&self, line: &Line) -> String {
        let key = (line.kind.clone(), line.name.clone());
        self.canonical.get(&key).cloned().unwrap_or_else(|| line.short_name().to_owned())
    }

    pub(super) fn of_reference(&self, reference: &str, namespace: &str) -> String {
        let (kind, name) = reference.split_once('/').unwrap_or(("", reference));
        let key = (kind.to_owned(), format!("{namespace}/{name}"));
        match self.canonical.get(&key) {
            Some(name) => format!("{kind}/{name}"),
            None => reference.to_owned(),
        }
    }

    /// A text with what its names stand for.
    pub(in crate::conform) fn in_text(&self, text: &str) -> String {
        let mut text = self.prefixes.iter().fold(text.to_owned(), |text, prefix| without_suffixes(&text, prefix));
        for (name, canonical) in &self.texts {
            if text.contains(name.as_str()) {
                text = text.replace(name.as_str(), canonical);
            }
        }
        text
    }
}

/// A text with `prefix-*` for each quoted name that is the prefix and five drawn letters.
fn without_suffixes(text: &str, prefix: &str) -> String {
    let quoted = format!("\"{prefix}");
    let mut parts = text.split(&quoted);
    let mut leveled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_drawn = part.len() > 5 && part.is_char_boundary(5) && part[5..].starts_with('"');
        let rest = if is_drawn && part[..5].bytes().all(|it| it.is_ascii_alphanumeric()) { &part[5..] } else { part };
        leveled.push_str(&format!("\"{prefix}{}{rest}", if rest.len() < part.len() { "*" } else { "" }));
    }
    leveled
}
