//! Whose pods are whose, Jobs that go, and many pods at once.

use super::*;

#[test]
fn a_job_of_another_manager_is_left_alone() {
    let mut bed = bed(run_on);
    bed.create(job(|spec| spec.managed_by = Some("example.com/scheduler".into())));
    bed.run_for(Span::from_secs(5));
    assert_eq!((pods(&bed).len(), told(&read(&bed))), (0, String::new()));
    let mut own = self::bed(run_on);
    own.create(job(|spec| spec.managed_by = Some("kubernetes.io/job-controller".into())));
    own.run_for(Span::from_secs(1));
    assert_eq!(pods(&own).len(), 1);
}

#[test]
fn a_job_with_a_selector_of_its_own_adopts_pods_and_releases_those_that_no_longer_fit() {
    let mut bed = bed(run_on);
    let labels = Labels::new([("app", "j")]);
    let orphan =
        Pod { meta: Meta { labels: labels.clone(), ..Meta::named("default", "lone") }.into(), ..Pod::default() };
    bed.create(orphan);
    bed.run_for(Span::from_secs(2));
    bed.create(job(|spec| {
        (spec.manual_selector, spec.selector) = (true, Selector::from_labels(labels));
        (spec.completions, spec.parallelism) = (Some(2), 2);
    }));
    bed.run_for(Span::from_secs(3));
    assert_eq!(pods(&bed).len(), 2, "one of the two was there already");
    let lone = bed.get::<Pod>("default", "lone").unwrap();
    assert_eq!(lone.meta.controller().map(|owner| owner.uid), Some(read(&bed).meta.uid));
    assert!(lone.is_tracked_by_job());
    assert_eq!(read(&bed).status.active, 2);

    let key = ObjectKey::new(Kind::Pod, "default", "lone");
    bed.request(Request::Patch { key, patch: Patch::Label { key: "app".into(), value: Some("x".into()) } });
    bed.run_for(Span::from_secs(4));
    let lone = bed.get::<Pod>("default", "lone").unwrap();
    assert!(lone.meta.owners.is_empty() && !lone.is_tracked_by_job());
    assert_eq!(pods(&bed).len(), 3);
}

#[test]
fn an_orphan_is_adopted_when_it_gets_the_right_labels_in_the_namespace_of_the_job() {
    let mut bed = bed(run_on);
    let wanted = Labels::new([("app", "j")]);
    bed.create(Namespace::named("shop"));
    bed.run_for(Span::from_secs(1));
    bed.create(job(|spec| {
        (spec.manual_selector, spec.selector) = (true, Selector::from_labels(wanted.clone()));
        (spec.completions, spec.parallelism) = (Some(2), 0);
    }));
    for (namespace, labels) in [("default", Labels::default()), ("shop", wanted.clone())] {
        bed.create(Pod { meta: Meta { labels, ..Meta::named(namespace, "lone") }.into(), ..Pod::default() });
    }
    bed.run_for(Span::from_secs(3));
    let owners = |bed: &Testbed, namespace| {
        bed.get::<Pod>(namespace, "lone").map(|pod| (pod.meta.owners.len(), pod.meta.is_terminating()))
    };
    assert_eq!(owners(&bed, "default"), Some((0, false)), "it is not selected");
    assert_eq!(owners(&bed, "shop"), Some((0, false)), "it is in another namespace");
    let key = ObjectKey::new(Kind::Pod, "default", "lone");
    bed.request(Request::Patch { key, patch: Patch::Labels(wanted) });
    bed.run_for(Span::from_secs(3));
    let adopted = owners(&bed, "default");
    assert!(adopted.is_none_or(|(owners, ends)| owners == 1 && ends), "adopted and one too many: {:?}", bed.told());
    assert_eq!(owners(&bed, "shop"), Some((0, false)));
}

#[test]
fn the_pods_of_a_deleted_job_go_with_it_and_those_of_an_orphaning_one_stay_without_finalizers() {
    let mut bed = bed(run_on);
    bed.create(job(|spec| (spec.completions, spec.parallelism) = (Some(2), 2)));
    bed.run_for(Span::from_secs(3));
    delete(&mut bed, key(), Propagation::Background);
    bed.run_for(Span::from_secs(5));
    assert_eq!(pods(&bed).len(), 0, "{:?}", bed.told());

    bed.create(job(|spec| (spec.completions, spec.parallelism) = (Some(2), 2)));
    bed.run_for(Span::from_secs(3));
    delete(&mut bed, key(), Propagation::Orphan);
    bed.run_for(Span::from_secs(5));
    assert!(bed.get::<Job>("default", "j").is_none());
    assert_eq!(pods(&bed).len(), 2);
    assert!(pods(&bed).iter().all(|pod| pod.meta.owners.is_empty() && !pod.is_tracked_by_job()));

    bed.create(job(|_| {}));
    bed.run_for(Span::from_secs(3));
    delete(&mut bed, key(), Propagation::Foreground);
    bed.run_for(Span::from_millis(500));
    assert!(read(&bed).meta.is_terminating(), "the Job waits for its pod");
    bed.run_for(Span::from_secs(5));
    assert!(bed.get::<Job>("default", "j").is_none());
}

#[test]
fn a_namespace_with_a_running_job_can_be_deleted() {
    let mut bed = bed(run_on);
    bed.create(Namespace::named("shop"));
    bed.create(Job {
        meta: Meta::named("shop", "j"),
        ..job(|spec| (spec.completions, spec.parallelism) = (Some(9), 3))
    });
    bed.run_for(Span::from_secs(3));
    assert_eq!(pods(&bed).len(), 3);
    delete(&mut bed, ObjectKey::new(Kind::Namespace, "", "shop"), Propagation::Background);
    bed.run_for(Span::from_secs(60));
    assert!(bed.get::<Namespace>("", "shop").is_none(), "{:?}", bed.told());
}

#[test]
fn a_burst_of_pods_starts_slowly_and_no_sync_makes_more_than_500() {
    let mut bed = bed(run_on);
    bed.create(job(|spec| (spec.completions, spec.parallelism) = (Some(1_200), 1_200)));
    bed.run_for(Span::from_millis(900));
    assert_eq!(pods(&bed).len(), 500);
    bed.run_for(Span::from_secs(2));
    assert_eq!(pods(&bed).len(), 1_200, "and none twice");
}

#[test]
fn a_thousand_pods_that_end_together_are_counted_500_at_a_time_and_each_once() {
    let mut bed = bed(|_| Some((Span::from_secs(8), 0)));
    bed.create(job(|spec| (spec.completions, spec.parallelism) = (Some(1_000), 1_000)));
    let history = history(&mut bed, 30);
    assert!(history.iter().any(|line| line.contains("succeeded 500")), "{history:?}");
    assert_eq!(read(&bed).status.succeeded, 1_000);
    assert!(told(&read(&bed)).ends_with("Complete=True(CompletionsReached)"));
}

#[test]
fn a_restarted_controller_manager_counts_on_where_the_status_ends() {
    let mut bed = bed(succeed);
    bed.create(job(|spec| (spec.completions, spec.parallelism) = (Some(6), 2)));
    bed.run_for(Span::from_millis(6_500));
    bed.input(crate::seam::Input::Crashed(crate::id::ProcId::CONTROLLER_MANAGER));
    bed.run_for(Span::from_secs(5));
    bed.input(crate::seam::Input::Started(crate::id::ProcId::CONTROLLER_MANAGER));
    bed.run_for(Span::from_secs(20));
    assert_eq!(read(&bed).status.succeeded, 6);
    assert_eq!(pods(&bed).len(), 6, "no pod was made twice");
    assert!(told(&read(&bed)).ends_with("Complete=True(CompletionsReached)"));
}
