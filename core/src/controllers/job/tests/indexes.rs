//! Indexed Jobs: each index once, limits of single indexes, success policies.

use super::*;

#[test]
fn an_indexed_job_makes_each_index_succeed_once_as_recorded() {
    // Recorded: job-indexed, job j.
    let mut bed = bed(|_| Some((Span::from_secs(3), 0)));
    bed.create(job(indexed(5, 2)));
    let history = history(&mut bed, 20);
    assert_eq!(
        history.last().unwrap(),
        "15.0: succeeded 5, completed 0-4, SuccessCriteriaMet=True(CompletionsReached), \
         Complete=True(CompletionsReached)"
    );
    assert!(history.contains(&"5.0: active 2, succeeded 2, completed 0,1".to_owned()), "{history:?}");
    let mut names: Vec<String> = pods(&bed).iter().map(|pod| pod.meta.name[..4].to_owned()).collect();
    names.sort();
    assert_eq!(names, ["j-0-", "j-1-", "j-2-", "j-3-", "j-4-"]);
    for pod in pods(&bed) {
        let index = pod.completion_index().unwrap().to_string();
        assert_eq!(pod.meta.labels.get(COMPLETION_INDEX).map(|text| &**text), Some(&*index));
    }
}

#[test]
fn an_index_fails_alone_when_it_has_a_limit_of_its_own_as_recorded() {
    // Recorded: job-indexed, job k: index 1 fails each time; its second pod comes 10 s after the first failure.
    fn index_1_fails(pod: &Pod) -> Option<(Span, i32)> {
        Some((Span::from_secs(2), i32::from(pod.completion_index() == Some(1))))
    }
    let mut bed = bed(index_1_fails);
    bed.create(job(|spec| {
        indexed(4, 4)(spec);
        spec.backoff_limit = i32::MAX as u32;
        spec.backoff_limit_per_index = Some(1);
        spec.max_failed_indexes = Some(3);
    }));
    let history = history(&mut bed, 25);
    assert_eq!(
        history,
        [
            "0.1: active 4, failed indexes \"\"",
            "2.0: active 4, ready 4, failed indexes \"\"",
            "4.0: succeeded 3, completed 0,2,3, failed indexes \"\"",
            "13.0: active 1, succeeded 3, completed 0,2,3, failed indexes \"\"",
            "14.0: active 1, succeeded 3, failed 1, completed 0,2,3, failed indexes \"\"",
            "15.0: active 1, ready 1, succeeded 3, failed 1, completed 0,2,3, failed indexes \"\"",
            "17.0: succeeded 3, failed 2, completed 0,2,3, failed indexes \"1\", FailureTarget=True(FailedIndexes), \
             Failed=True(FailedIndexes)",
        ]
    );
    let counts: Vec<Option<String>> = pods(&bed)
        .iter()
        .filter(|pod| pod.completion_index() == Some(1))
        .map(|pod| pod.meta.annotations.get(FAILURES).map(ToString::to_string))
        .collect();
    assert_eq!(counts.len(), 2);
    assert!(counts.contains(&Some("0".to_owned())) && counts.contains(&Some("1".to_owned())), "{counts:?}");
}

#[test]
fn too_many_failed_indexes_end_the_job_at_once() {
    let mut bed = bed(|pod| Some((Span::from_secs(2), i32::from(pod.completion_index() < Some(2)))));
    bed.create(job(|spec| {
        indexed(6, 3)(spec);
        spec.backoff_limit = i32::MAX as u32;
        (spec.backoff_limit_per_index, spec.max_failed_indexes) = (Some(0), Some(1));
    }));
    bed.run_for(Span::from_secs(10));
    let job = read(&bed);
    assert_eq!(job.status.failed_indexes.as_ref().unwrap().to_string(), "0,1");
    assert!(told(&job).ends_with("Failed=True(MaxFailedIndexesExceeded)"), "{}", told(&job));
}

#[test]
fn a_success_policy_ends_the_other_pods_without_counting_them_as_failed() {
    let mut bed = bed(|pod| (pod.completion_index() == Some(0)).then_some((Span::from_secs(3), 0)));
    bed.create(job(|spec| {
        indexed(3, 3)(spec);
        spec.success_policy = Some(vec![SuccessRule { indexes: Some("0".into()), count: None }]);
    }));
    let history = history(&mut bed, 12);
    assert!(
        history.contains(
            &"5.0: terminating 2, succeeded 1, completed 0, SuccessCriteriaMet=True(SuccessPolicy)".to_owned()
        ),
        "{history:?}"
    );
    assert_eq!(
        told(&read(&bed)),
        "succeeded 1, completed 0, SuccessCriteriaMet=True(SuccessPolicy), Complete=True(SuccessPolicy)"
    );
    let condition = read(&bed).status.conditions.get(ConditionKind::Complete).unwrap().message.clone();
    assert_eq!(&*condition, "Matched rules at index 0");
}

#[test]
fn pods_of_one_index_beyond_the_first_and_of_indexes_that_are_gone_are_deleted() {
    let mut bed = bed(run_on);
    bed.create(job(indexed(3, 3)));
    bed.run_for(Span::from_secs(3));
    let mut fewer = Job::clone(&read(&bed));
    (fewer.spec.completions, fewer.spec.parallelism) = (Some(2), 2);
    bed.request(Request::Update { object: Object::Job(Arc::new(fewer)), expected: None });
    bed.run_for(Span::from_secs(4));
    let mut left: Vec<Option<u32>> = pods(&bed).iter().map(|pod| pod.completion_index()).collect();
    left.sort();
    assert_eq!(left, [Some(0), Some(1)]);

    let mut twin = Pod::clone(&pods(&bed)[0]);
    (twin.meta.name, twin.node) = ("twin".into(), None);
    bed.create(twin);
    bed.run_for(Span::from_secs(5));
    assert_eq!(pods(&bed).len(), 2);
    assert!(bed.get::<Pod>("default", "twin").is_none(), "the one that has come less far goes");
}
