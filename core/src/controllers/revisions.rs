//! ControllerRevisions: in which a StatefulSet or DaemonSet keeps its templates, and how they are named.
//!
//! Source: pkg/controller/history/controller_history.go (v1.34.1). The hash is our own: Kubernetes hashes the JSON text
//! of a StatefulSet's template, and Go's memory layout of a Deployment's or DaemonSet's.

use std::sync::Arc;

use crate::controllers::{owned_by, with_owner};
use crate::digest::StableHasher;
use crate::draw::LETTERS;
use crate::id::Name;
use crate::model::{ControllerRevision, Kind, Labels, Meta, MetaExtras, PodTemplate};

/// The label of a pod that tells of which revision it is.
pub(crate) const REVISION_LABEL: &str = "controller-revision-hash";
/// How much of an owner's name a revision's name has, in characters.
const PREFIX_LIMIT: usize = 223;

/// A template's hash in letters, as it stands in names: 32 bits as a decimal number, one letter per digit. Collisions
/// so far change it.
pub(crate) fn template_hash(template: &PodTemplate, collisions: Option<u32>) -> Name {
    let hash = StableHasher::hash_one(&(template, collisions));
    let digits = ((hash ^ (hash >> 32)) as u32).to_string();
    digits.bytes().map(|digit| char::from(LETTERS[usize::from(digit) % LETTERS.len()])).collect::<String>().into()
}

/// A revision as its owner asks for it; `labels` come with the template's.
pub(crate) fn revision_of(
    kind: Kind,
    owner: &Meta,
    template: &PodTemplate,
    (hash_label, hash): (&str, Name),
    revision: u64,
) -> ControllerRevision {
    let prefix: String = owner.name.chars().take(PREFIX_LIMIT).collect();
    let labels: Labels = template.labels.with(hash_label, hash.clone());
    let meta = Meta {
        labels,
        owners: [owned_by(kind, owner)].into(),
        extras: MetaExtras { annotations: owner.annotations.clone(), ..MetaExtras::default() }.into(),
        ..Meta::named(&owner.namespace, &format!("{prefix}-{hash}"))
    };
    ControllerRevision { meta, revision, template: template.clone() }
}

/// A revision whose adoption was granted, with its owner. Kubernetes still has it as it was before, so that its next
/// write of it meets a conflict and is made again with the owner; writing it with the owner at once comes to the same.
pub(crate) fn adopted(kind: Kind, owner: &Meta, mut revision: Arc<ControllerRevision>) -> Arc<ControllerRevision> {
    if !revision.meta.is_managed() {
        let owners = with_owner(&revision.meta, kind, owner);
        Arc::make_mut(&mut revision).meta.owners = owners;
    }
    revision
}

/// Older revisions first; of equal ones the older object, by whole seconds, then the smaller name.
///
/// Source: `byRevision`, pkg/controller/history/controller_history.go (v1.34.1).
pub(crate) fn sort(revisions: &mut [Arc<ControllerRevision>]) {
    revisions.sort_by(|one, other| {
        let key = |it: &ControllerRevision| (it.revision, it.meta.created_at.whole_second());
        key(one).cmp(&key(other)).then_with(|| one.meta.name.cmp(&other.meta.name))
    });
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::digest::Shared;
    use crate::model::{Container, PodSpec};
    use crate::time::Time;

    fn template(image: &str) -> PodTemplate {
        let container = Container { name: "app".into(), image: image.into(), ..Container::default() };
        let spec = PodSpec { containers: vec![container], ..PodSpec::default() };
        PodTemplate { spec: Shared::new(spec), ..PodTemplate::default() }
    }

    #[test]
    fn revisions_of_one_number_and_second_are_in_the_order_of_their_names() {
        let made = |name: &str, revision, millis| {
            let created_at = Time::from_millis(millis);
            Arc::new(ControllerRevision {
                revision,
                meta: Meta { created_at, ..Meta::named("default", name) },
                ..ControllerRevision::default()
            })
        };
        let mut all = [made("c", 2, 100), made("b", 1, 1_100), made("a", 1, 1_900), made("d", 1, 900)];
        sort(&mut all);
        assert_eq!(all.map(|it| it.meta.name.to_string()), ["d", "a", "b", "c"]);
    }

    #[test]
    fn templates_and_counts_of_collisions_have_hashes_of_their_own() {
        let version = |number: u32| template(&format!("app:v{number}"));
        let hashes: BTreeSet<Name> = (0..1_000).map(|number| template_hash(&version(number), None)).collect();
        assert_eq!(hashes.len(), 1_000, "each of a thousand templates has another hash");
        assert_eq!(template_hash(&version(7), None), template_hash(&version(7), None), "equal ones have equal hashes");
        let counts = [None, Some(1), Some(2), Some(u32::MAX), Some(u32::MAX - 1)];
        let hashes: BTreeSet<Name> = counts.into_iter().map(|count| template_hash(&version(7), count)).collect();
        assert_eq!(hashes.len(), counts.len());
    }
}
