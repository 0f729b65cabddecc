use super::*;
use crate::model::{Meta, OwnerReference, Pod, PodStatus};

fn pod(name: &str) -> Pod {
    let mut meta = Meta::named("default", name);
    meta.uid = crate::id::Uid::new(StableHasher::hash_one(name).into());
    Pod { meta: meta.into(), ..Pod::default() }
}

fn names(view: View<'_>) -> Vec<String> {
    view.all::<Pod>().map(|(_, pod)| pod.meta.name.to_string()).collect()
}

#[test]
fn a_reader_sees_the_store_as_it_was_at_its_cursor() {
    let mut store = Store::new();
    let (row, _) = store.insert(pod("a"));
    store.open_cursor(ProcId::SCHEDULER);
    store.replace(row, Pod { node: Some("n1".into()), ..pod("a") });
    store.insert(pod("b"));
    assert_eq!(names(store.view_of(ProcId::SCHEDULER)), ["a"]);
    assert_eq!(store.view_of(ProcId::SCHEDULER).get::<Pod>(row).unwrap().node, None);
    assert_eq!(names(store.newest()), ["a", "b"]);
    let changes = store.advance_cursor(ProcId::SCHEDULER, store.head());
    assert_eq!(changes.len(), 2);
    assert_eq!(store.view_of(ProcId::SCHEDULER).get::<Pod>(row).unwrap().node.as_deref(), Some("n1"));
    let before = store.view_of(ProcId::SCHEDULER).before(changes[0].revision);
    assert_eq!(before.get::<Pod>(row).unwrap().node, None);
}

#[test]
fn a_deleted_row_stays_readable_until_the_last_cursor_has_passed_and_its_slot_is_used_again() {
    let mut store = Store::new();
    store.open_cursor(ProcId::SCHEDULER);
    let (row, _) = store.insert(pod("a"));
    store.advance_cursor(ProcId::SCHEDULER, store.head());
    store.trim();
    store.remove::<Pod>(row);
    assert!(store.view_of(ProcId::SCHEDULER).get::<Pod>(row).is_some());
    assert!(store.newest().get::<Pod>(row).is_none());
    let (second, _) = store.insert(pod("a"));
    assert_ne!(row.index, second.index, "the old row is still read");
    store.advance_cursor(ProcId::SCHEDULER, store.head());
    store.trim();
    let (third, _) = store.insert(pod("b"));
    assert_eq!((third.index, third.generation), (row.index, row.generation + 1));
    assert!(store.newest().get::<Pod>(row).is_none(), "an old id does not reach the slot's new row");
    assert_eq!(store.newest().find::<Pod>(&"default".into(), &"a".into()).unwrap().0, second);
}

#[test]
fn an_index_lists_what_the_reader_sees_and_not_what_is_newest() {
    let owner = OwnerReference {
        kind: Kind::ReplicaSet,
        name: "rs".into(),
        uid: crate::id::Uid::new(9),
        controller: true,
        block_owner_deletion: true,
    };
    let mut owned = pod("a");
    owned.meta.owners = [owner].into();
    let mut store = Store::new();
    let (row, _) = store.insert(owned.clone());
    store.open_cursor(ProcId::SCHEDULER);
    store.replace(row, Pod { node: Some("n1".into()), ..pod("a") });
    let seen = |view: View<'_>| view.controlled_by::<Pod>(crate::id::Uid::new(9)).count();
    assert_eq!((seen(store.view_of(ProcId::SCHEDULER)), seen(store.newest())), (1, 0));
    assert_eq!(store.newest().under::<Pod>(IndexKey::Node("n1".into())).count(), 1);
    assert_eq!(store.view_of(ProcId::SCHEDULER).under::<Pod>(IndexKey::Node("n1".into())).count(), 0);
    store.advance_cursor(ProcId::SCHEDULER, store.head());
    store.trim();
    assert_eq!(seen(store.newest()), 0);
}

#[test]
fn a_lost_write_leaves_no_trace() {
    let mut store = Store::new();
    let (row, _) = store.insert(pod("a"));
    let (durable, digest) = (store.head(), store.digest());
    store.open_cursor(ProcId::SCHEDULER);
    store.replace(
        row,
        Pod { status: PodStatus { phase: crate::model::Phase::Running, ..PodStatus::default() }.into(), ..pod("a") },
    );
    store.insert(pod("b"));
    store.remove::<Pod>(row);
    store.roll_back_to(durable);
    assert_eq!((store.head(), store.digest(), names(store.newest())), (durable, digest, vec!["a".to_string()]));
    store.insert(pod("b"));
    assert_eq!(names(store.newest()), ["a", "b"]);
}

#[test]
fn the_digest_depends_on_the_rows_and_not_on_the_way_to_them() {
    let mut one = Store::new();
    let (row, _) = one.insert(pod("a"));
    one.insert(pod("b"));
    one.remove::<Pod>(row);
    let mut other = Store::new();
    other.insert(pod("b"));
    assert_eq!(one.digest(), other.digest());
}
