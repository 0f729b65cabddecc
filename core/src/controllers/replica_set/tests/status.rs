//! What the status of a ReplicaSet says about its pods, and about what was refused.

use super::*;
use crate::model::Conditions;

/// A pod in words: its phase, `other` for labels beside the template's, the seconds for which it has been ready.
fn pod(words: &str, now: Time) -> Arc<Pod> {
    let mut pod = Pod { meta: Meta::named("default", "p").into(), ..Pod::default() };
    pod.meta.labels = Labels::new([("app", "web"), ("track", "stable")]);
    for word in words.split(' ') {
        match word {
            "pending" => pod.status.phase = Phase::Pending,
            "running" => pod.status.phase = Phase::Running,
            "other" => pod.meta.labels = Labels::new([("app", "web")]),
            age => {
                let age: u64 = age.strip_prefix("ready=").expect("one of the words above").parse().unwrap();
                let since = Time(now.0 - Span::from_secs(age).0);
                pod.status.conditions.set(ConditionKind::Ready, Status3::True, "", "", since);
            }
        }
    }
    Arc::new(pod)
}

fn status_of(set: &ReplicaSet, pods: &[&str], error: Option<&Refusal>) -> ReplicaSetStatus {
    let (config, mut out, now) = (Config::default(), Vec::new(), Time::from_secs(10_000));
    let ctx = Context { now, me: crate::id::ProcId::CONTROLLER_MANAGER, config: &config, out: &mut out };
    let pods = Pods::Listed(pods.iter().map(|words| pod(words, now)).collect());
    counted(&ctx, set, &pods, error)
}

#[test]
fn pods_are_counted_by_labels_readiness_and_availability() {
    let labels = Labels::new([("app", "web"), ("track", "stable")]);
    let strict = |min_ready: u64| ReplicaSet {
        min_ready: Span::from_secs(min_ready),
        template: PodTemplate { labels: labels.clone(), ..web(2).template },
        ..web(2)
    };
    // Seconds a pod must be ready; the pods; replicas, fully labelled, ready, available.
    let table = [
        (0, vec!["running ready=9"], (1, 1, 1, 1)),
        (0, vec!["running other ready=9"], (1, 0, 1, 1)),
        (0, vec!["running ready=9", "running ready=9"], (2, 2, 2, 2)),
        (0, vec!["running other ready=9", "running other ready=9"], (2, 0, 2, 2)),
        (0, vec!["running other ready=9", "running ready=9"], (2, 1, 2, 2)),
        (0, vec!["pending"], (1, 1, 0, 0)),
        (3_600, vec!["running ready=0"], (1, 1, 1, 0)),
        (3_600, vec!["running ready=3600"], (1, 1, 1, 1)),
        (3_600, vec!["running ready=7200"], (1, 1, 1, 1)),
        (3_600, vec!["running ready=3599", "running ready=3601", "pending"], (3, 3, 2, 1)),
    ];
    for (min_ready, pods, expected) in table {
        let status = status_of(&strict(min_ready), &pods, None);
        let counts = (status.replicas, status.fully_labeled, status.ready, status.available);
        assert_eq!(counts, expected, "{pods:?}, {min_ready} s");
    }
}

#[test]
fn a_refusal_is_a_condition_until_a_sync_succeeds() {
    let refusal = Refusal::NotFound(ObjectKey::new(Kind::Pod, "default", "p"));
    let failing = |reason: &str| {
        let mut set = web(10);
        set.status.conditions.set(ConditionKind::ReplicaFailure, Status3::True, reason, "before", Time::ZERO);
        set
    };
    let reason = |conditions: &Conditions| {
        conditions.get(ConditionKind::ReplicaFailure).map(|it| (it.reason.to_string(), it.message.to_string()))
    };
    let of = |set: &ReplicaSet, pods: &[&str], error| reason(&status_of(set, pods, error).conditions);
    let said = |reason: &str, what: &str| Some((reason.to_string(), format!("{what}{refusal}")));
    assert_eq!(of(&web(2), &["running"], Some(&refusal)), said("FailedCreate", ""));
    let surplus = of(&web(2), &["running", "running", "running"], Some(&refusal));
    assert_eq!(surplus, said("FailedDelete", "unable to delete pods: "));
    assert_eq!(of(&failing("Old"), &["running"], None), None);
    let kept = Some(("Old".to_string(), "before".to_string()));
    assert_eq!(of(&failing("Old"), &["running"], Some(&refusal)), kept, "a failure that is told is not told anew");
    assert_eq!(of(&web(2), &["running"], None), None);
}

#[test]
fn the_next_look_is_when_the_first_pod_becomes_available() {
    let now = Time::from_millis(10_000_700);
    let ready = |millis: u64| {
        let mut pod = Pod::default();
        let since = Time(now.0 - Span::from_millis(millis).0);
        pod.status.conditions.set(ConditionKind::Ready, Status3::True, "", "", since);
        Arc::new(pod)
    };
    let next = |pods: &[Arc<Pod>], min_ready: u64| {
        crate::controllers::pods::next_availability(pods, Span::from_secs(min_ready), now)
    };
    let unready = Arc::new(Pod::default());
    assert_eq!(next(&[], 5), None);
    assert_eq!(next(std::slice::from_ref(&unready), 5), None);
    assert_eq!(next(&[ready(0)], 0), None, "every ready pod is available");
    assert_eq!(next(&[unready, ready(0), ready(2_000), ready(4_300)], 5), Some(Span::from_millis(300)));
    assert_eq!(next(&[ready(6_000)], 5), None, "it is available");
    assert_eq!(next(&[Arc::new(Pod::default()), ready(6_000)], 5), None, "one is available, one is not ready");
    assert_eq!(next(&[ready(6_000), ready(1_000)], 5), Some(Span::from_millis(3_300)));
}
