//! Updates: rolling, with surge, on deletion, and the history of revisions.

use super::*;

#[test]
fn a_rolling_update_leaves_no_more_nodes_without_a_pod_than_allowed() {
    let mut bed = bed(5);
    bed.create(DaemonSet { strategy: rolling(0, 2), ..agent() });
    bed.run_for(Span::from_secs(10));
    image(&mut bed, "app:v2");
    let mut fewest = 5;
    for _ in 0..300 {
        bed.run_for(Span::from_millis(100));
        let ready = pods(&bed).iter().filter(|pod| pod.is_ready() && !pod.meta.is_terminating()).count();
        fewest = fewest.min(ready);
        assert!(ready >= 3, "{ready} ready pods at {}", bed.now());
    }
    assert_eq!(fewest, 3, "the limit is made use of");
    assert_eq!(placed(&bed), "n0:v2 n1:v2 n2:v2 n3:v2 n4:v2");
    assert_eq!((counts(&bed), revisions(&bed)), ([5, 5, 5, 5, 5, 0], vec![1, 2]));
    assert_eq!((set(&bed).template_generation, set(&bed).meta.generation), (2, 2));
}

#[test]
fn the_replacement_is_made_when_the_old_pod_has_ended_and_not_before() {
    let mut bed = bed(1);
    bed.create(agent());
    bed.run_for(Span::from_secs(10));
    image(&mut bed, "app:v2");
    bed.run_for(Span::from_millis(900));
    assert_eq!(placed(&bed), "n0:-v1");
    bed.run_for(Span::from_millis(300));
    assert_eq!(placed(&bed), "n0:v2");
}

#[test]
fn a_surge_puts_the_new_pod_beside_the_old_one_until_it_is_available() {
    let mut bed = bed(3);
    bed.create(DaemonSet { strategy: rolling(1, 0), ..agent() });
    bed.run_for(Span::from_secs(10));
    image(&mut bed, "app:v2");
    let mut most = 0;
    for _ in 0..300 {
        bed.run_for(Span::from_millis(100));
        let active = pods(&bed).iter().filter(|pod| pod.is_active()).count();
        let ready = pods(&bed).iter().filter(|pod| pod.is_active() && pod.is_ready()).count();
        most = most.max(active);
        assert!(active <= 4, "{active} pods at {}", bed.now());
        assert!(ready >= 3, "{ready} ready pods at {}", bed.now());
    }
    assert_eq!(most, 4);
    assert_eq!((placed(&bed).as_str(), counts(&bed)), ("n0:v2 n1:v2 n2:v2", [3, 3, 3, 3, 3, 0]));
}

#[test]
fn an_update_that_is_never_ready_stops_at_the_limit_and_going_back_replaces_the_broken_pods_at_once() {
    let mut bed = bed(4);
    bed.create(agent());
    bed.run_for(Span::from_secs(10));
    image(&mut bed, BROKEN);
    bed.run_for(Span::from_secs(20));
    assert_eq!(placed(&bed).matches("never-ready").count(), 1, "{}", placed(&bed));
    assert_eq!(counts(&bed), [4, 4, 3, 1, 3, 0]);
    image(&mut bed, "app:v1");
    bed.run_for(Span::from_secs(10));
    assert_eq!(placed(&bed), "n0:v1 n1:v1 n2:v1 n3:v1");
    assert_eq!(revisions(&bed), [2, 3], "the old revision is the newest now");
}

#[test]
fn on_delete_waits_for_somebody_to_delete_the_pods() {
    let mut bed = bed(2);
    bed.create(DaemonSet { strategy: DaemonSetStrategy::OnDelete, ..agent() });
    bed.run_for(Span::from_secs(10));
    image(&mut bed, "app:v2");
    bed.run_for(Span::from_secs(10));
    assert_eq!((placed(&bed).as_str(), counts(&bed)), ("n0:v1 n1:v1", [2, 2, 2, 0, 2, 0]));
    let name = pods(&bed).iter().find(|pod| pod.node.as_deref() == Some("n0")).unwrap().meta.name.clone();
    delete(&mut bed, Kind::Pod, &name, Propagation::Background);
    bed.run_for(Span::from_secs(10));
    assert_eq!((placed(&bed).as_str(), counts(&bed)), ("n0:v2 n1:v1", [2, 2, 2, 1, 2, 0]));
}

#[test]
fn min_ready_slows_a_rolling_update_down() {
    let mut bed = bed(2);
    bed.create(DaemonSet { min_ready: Span::from_secs(10), ..agent() });
    bed.run_for(Span::from_secs(12));
    assert_eq!(counts(&bed), [2, 2, 2, 2, 0, 0]);
    bed.run_for(Span::from_secs(5));
    assert_eq!(counts(&bed), [2, 2, 2, 2, 2, 0]);
    image(&mut bed, "app:v2");
    bed.run_for(Span::from_secs(12));
    assert_eq!(placed(&bed).matches("v2").count(), 1, "the second waits for the first to be available");
    bed.run_for(Span::from_secs(25));
    assert_eq!(counts(&bed), [2, 2, 2, 2, 2, 0]);
}

#[test]
fn the_history_is_kept_to_its_limit() {
    let mut bed = bed(1);
    bed.create(DaemonSet { revision_history_limit: 1, ..agent() });
    for version in 1..=4 {
        image(&mut bed, &format!("app:v{version}"));
        bed.run_for(Span::from_secs(10));
    }
    assert_eq!(revisions(&bed), [3, 4]);
}

#[test]
fn a_revision_name_that_is_taken_counts_as_a_collision() {
    let mut bed = bed(1);
    let hash = crate::controllers::revisions::template_hash(&agent().template, None);
    let meta = Meta::named("default", &format!("agent-{hash}"));
    bed.create(ControllerRevision { meta, revision: 1, template: PodTemplate::default() });
    bed.create(agent());
    bed.run_for(Span::from_secs(10));
    assert_eq!(placed(&bed), "n0:v1");
    assert_eq!(set(&bed).status.collision_count, Some(1));
    assert_eq!(revisions(&bed).len(), 2);
}

#[test]
fn an_orphaned_revision_is_adopted_in_the_set_s_own_namespace_only() {
    let mut bed = bed(1);
    bed.create(crate::model::Namespace::named("shop"));
    bed.run_for(Span::from_secs(1));
    for namespace in ["default", "shop"] {
        let meta = Meta { labels: Labels::new([("app", "agent")]), ..Meta::named(namespace, "lost") };
        bed.create(ControllerRevision { meta, revision: 7, template: PodTemplate::default() });
    }
    bed.create(agent());
    bed.run_for(Span::from_secs(5));
    let owners = |namespace: &str| bed.get::<ControllerRevision>(namespace, "lost").unwrap().meta.owners.len();
    assert_eq!((owners("default"), owners("shop")), (1, 0));
}
