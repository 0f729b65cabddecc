//! Field managers: who owns which fields of an object, as far as server-side apply needs it.
//!
//! A write makes its writer the owner of the fields that it changes, and takes them from others; an apply makes the
//! applier the owner of what its configuration says. An apply of another value than a field's owner gave it is refused,
//! or with `force` takes the field; a field that its applier alone owned, and that its configuration says no longer, is
//! removed. Absent on purpose: `managedFields` themselves, their times, and other versions of an API than its first.
//!
//! `paths` is what an object's fields are, `schema` which lists and maps have parts, `merge` puts a configuration in.
//!
//! Source: `Updater.Update`, `Updater.Apply`, vendor/sigs.k8s.io/structured-merge-diff/v6/merge/update.go;
//! staging/src/k8s.io/apimachinery/pkg/util/managedfields/internal (v1.34.1).

mod merge;
mod paths;
mod schema;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use wavetank_core::id::Revision;
use wavetank_core::model::{Object, ObjectKey};
use wavetank_manifest::kubernetes::to_json;

use super::apply::KUBECTL;
use super::{EPOCH, Status, scale};
use paths::{FieldPath, Fields, fields_of};

/// Who writes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Manager {
    /// The name.
    pub name: String,
    /// Whether it applies configurations; writes of one name in both ways are those of two managers.
    pub applies: bool,
    /// The part of the object that it writes; empty for the object itself.
    pub subresource: String,
}

impl Manager {
    /// As a refusal names it: an updater with the version that it writes.
    fn told(&self, api_version: &str) -> String {
        let mut told = format!("{:?}", self.name);
        if !self.subresource.is_empty() {
            told += &format!(" with subresource {:?}", self.subresource);
        }
        if !self.applies {
            told += &format!(" using {api_version}");
        }
        told
    }
}

/// The owners of the fields of all objects.
#[derive(Clone, Debug, Default)]
pub struct Managers {
    owned: BTreeMap<ObjectKey, BTreeMap<Manager, BTreeSet<FieldPath>>>,
}

impl Managers {
    /// Notes a write that was stored.
    pub fn note(&mut self, before: Option<&Object>, after: Option<&Object>, writer: &Manager) {
        let Some(object) = before.or(after) else { return };
        let key = object.key();
        let Some(after) = after else { return drop(self.owned.remove(&key)) };
        let without = not_written(&writer.subresource);
        let json = |object: &Object| fields_of(&to_json(object, Revision(0), EPOCH), without);
        let (old, new) = (before.map(json).unwrap_or_default(), json(after));
        let owners = self.owned.entry(key).or_default();
        let gone = |path: &FieldPath| old.contains_key(path) && !new.contains_key(path);
        for (owner, fields) in owners.iter_mut() {
            fields.retain(|path| !gone(path) && (owner == writer || !differs(&old, &new, path)));
        }
        // What an applier owns its configuration says.
        if !writer.applies {
            let written = new.keys().filter(|path| differs(&old, &new, path)).cloned();
            owners.entry(writer.clone()).or_default().extend(written);
        }
        owners.retain(|_, fields| !fields.is_empty());
    }

    /// Notes that a configuration was applied.
    pub fn applied(&mut self, key: &ObjectKey, config: &Value, applier: &Manager) {
        let fields: BTreeSet<FieldPath> = fields_of(config, not_written(&applier.subresource)).into_keys().collect();
        let owners = self.owned.entry(key.clone()).or_default();
        owners.insert(applier.clone(), fields);
        owners.retain(|_, fields| !fields.is_empty());
    }

    /// Those who wrote kubectl's note of what its client applied last: they apply as its client does.
    pub(super) fn client_side(&self, key: &ObjectKey) -> Vec<Manager> {
        let is_one = |(manager, fields): &(&Manager, &BTreeSet<FieldPath>)| {
            !manager.applies && manager.subresource.is_empty() && fields.iter().any(FieldPath::is_last_applied)
        };
        self.owned.get(key).into_iter().flatten().filter(is_one).map(|(manager, _)| manager.clone()).collect()
    }

    /// The owners of an object's fields after a configuration was applied and its applier was given the fields of
    /// others; kubectl's note of what was applied last stays, if it is kubectl that applies.
    pub(super) fn handed_over(&self, key: &ObjectKey, from: &[Manager], applier: &Manager, config: &Value) -> Managers {
        let mut owners = self.owned.get(key).cloned().unwrap_or_default();
        let given: Vec<FieldPath> = from.iter().filter_map(|manager| owners.remove(manager)).flatten().collect();
        let said = fields_of(config, not_written(&applier.subresource)).into_keys();
        let stays = |path: &FieldPath| applier.name == KUBECTL && path.is_last_applied();
        owners.insert(applier.clone(), given.into_iter().filter(|path| !stays(path)).chain(said).collect());
        Managers { owned: BTreeMap::from([(key.clone(), owners)]) }
    }

    /// Notes that managers have given their fields of an object to who applied.
    pub fn forget(&mut self, key: &ObjectKey, gone: &[Manager]) {
        if let Some(owners) = self.owned.get_mut(key) {
            owners.retain(|manager, _| !gone.contains(manager));
        }
    }

    /// The object that comes of applying a configuration to what is there.
    ///
    /// Errors: others own fields that the configuration says otherwise, and nobody forces it.
    pub(super) fn apply(
        &self,
        key: &ObjectKey,
        live: &Value,
        config: &Value,
        applier: &Manager,
        conflicts: Conflicts<'_>,
    ) -> Result<Value, Status> {
        let none = BTreeMap::new();
        let owners = self.owned.get(key).unwrap_or(&none);
        let without = not_written(&applier.subresource);
        let wanted = fields_of(config, without);
        let mut after = live.clone();
        let mut said = config.clone();
        for field in without {
            said.as_object_mut().map(|fields| fields.remove(*field));
        }
        merge::merge(&mut after, &said);
        for path in
            owners.get(applier).into_iter().flatten().filter(|path| !path.is_key() && !wanted.contains_key(path))
        {
            let is_owned = |path: &FieldPath, by: &FieldPath| by == path || by.is_within(path);
            let mut others = owners.iter().filter(|(owner, _)| *owner != applier).flat_map(|(_, fields)| fields);
            if !others.any(|by| is_owned(path, by)) && !wanted.keys().any(|by| is_owned(path, by)) {
                merge::remove(&mut after, path);
            }
        }
        let (old, new) = (fields_of(live, without), fields_of(&after, without));
        let Conflicts { force, last } = conflicts;
        let last = last.map(|last| fields_of(last, without)).unwrap_or_default();
        let is_refused = |path: &&FieldPath| differs(&old, &new, path) && !is_as_applied(&last, &old, path);
        let refusals: Vec<(&Manager, Vec<&FieldPath>)> = owners
            .iter()
            .filter(|(owner, _)| *owner != applier)
            .map(|(owner, fields)| (owner, fields.iter().filter(is_refused).collect()))
            .filter(|(_, fields): &(_, Vec<&FieldPath>)| !fields.is_empty())
            .collect();
        let api_version = match applier.subresource.as_str() {
            "scale" => scale::API_VERSION,
            _ => key.kind.api_version(),
        };
        if force || refusals.is_empty() { Ok(after) } else { Err(refused(api_version, refusals)) }
    }
}

/// What becomes of fields that others own and gave another value.
#[derive(Clone, Copy, Default)]
pub(super) struct Conflicts<'a> {
    /// They are taken.
    pub(super) force: bool,
    /// What kubectl's client applied last: what is still so may be taken.
    pub(super) last: Option<&'a Value>,
}

/// Whether a field is as it was applied.
///
/// Source: `allowedConflictsFromLastApplied`,
/// staging/src/k8s.io/apimachinery/pkg/util/managedfields/internal/lastappliedmanager.go (v1.34.1).
fn is_as_applied(last: &Fields, live: &Fields, path: &FieldPath) -> bool {
    last.get(path).is_some_and(|value| live.get(path) == Some(value))
}

/// Whether a field is there with another value than before.
fn differs(old: &Fields, new: &Fields, path: &FieldPath) -> bool {
    new.get(path).is_some_and(|value| old.get(path) != Some(value))
}

/// What a write of an object, or of a part of it, leaves alone, whatever it says.
///
/// Source: `GetResetFields`, pkg/registry/*/*/strategy.go (v1.34.1).
fn not_written(subresource: &str) -> &'static [&'static str] {
    match subresource {
        "status" => &["spec", "metadata"],
        // A Scale has no other field that anybody owns.
        "scale" => &["metadata", "status"],
        _ => &["status"],
    }
}

/// Source: `getConflictMessage`, conflict.go.
fn refused(api_version: &str, mut conflicts: Vec<(&Manager, Vec<&FieldPath>)>) -> Status {
    for (_, fields) in &mut conflicts {
        fields.sort_by(|one, other| one.told_before(other));
    }
    let count: usize = conflicts.iter().map(|(_, fields)| fields.len()).sum();
    let told = match &conflicts[..] {
        [(manager, fields)] if fields.len() == 1 => {
            format!("conflict: conflict with {}: {}", manager.told(api_version), fields[0])
        }
        several => {
            let lines = several.iter().flat_map(|(manager, fields)| {
                let head = format!("conflicts with {}:", manager.told(api_version));
                [head].into_iter().chain(fields.iter().map(|path| format!("- {path}")))
            });
            format!("conflicts: {}", lines.collect::<Vec<_>>().join("\n"))
        }
    };
    Status::new(409, "Conflict", format!("Apply failed with {count} {told}"))
}
