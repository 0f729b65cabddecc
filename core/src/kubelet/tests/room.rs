//! Stories of critical pods that come to a node without room for them.

use super::*;
use crate::model::{Labels, SYSTEM_CRITICAL_PRIORITY};

fn with_cpu(cpu_milli: i64, priority: i32) -> PodSpec {
    let requests = Resources { cpu_milli, ..Resources::default() };
    PodSpec { containers: vec![Container { requests, ..container("app") }], priority, ..PodSpec::default() }
}

fn full_bed() -> Testbed {
    let mut bed = bed(FakeRuntime { stop: Span::from_secs(3), ..FakeRuntime::new() });
    for (name, cpu_milli) in [("small", 500), ("large", 2_000), ("medium", 1_500)] {
        create(&mut bed, name, with_cpu(cpu_milli, 0));
    }
    bed.run_until(Time::from_secs(10));
    bed
}

#[test]
fn a_critical_pod_starts_when_another_has_made_room_for_it() {
    let mut bed = full_bed();
    create(&mut bed, "vital", with_cpu(1_000, SYSTEM_CRITICAL_PRIORITY));
    bed.run_until(Time::from_secs(12));
    assert_eq!(times(&bed, "medium", "Killing"), ["10s"], "it is the smallest that is large enough");
    assert_eq!(pod(&bed, "vital").status.started_at.get(), None, "it waits");
    bed.run_until(Time::from_secs(20));
    assert!(pod(&bed, "vital").is_ready());
    assert_eq!(times(&bed, "vital", "Started"), ["13.5s"]);
    let medium = pod(&bed, "medium").status;
    let told = (medium.phase, &*medium.reason, &*medium.message);
    assert_eq!(told, (Phase::Failed, "Preempting", "Preempted in order to admit critical pod"));
    let target = medium.conditions.get(ConditionKind::DisruptionTarget).expect("it was disrupted");
    assert_eq!(&*target.message, "Pod was preempted by Kubelet to accommodate a critical pod.");
    assert!(["small", "large"].iter().all(|name| pod(&bed, name).is_ready()));
    let said = bed.times_said("Preempted in order to admit critical pod");
    assert_eq!(said, 1, "as an event");
}

#[test]
fn a_critical_pod_is_refused_where_nobody_can_make_room_or_room_is_not_all_that_is_missing() {
    let mut bed = full_bed();
    create(&mut bed, "huge", with_cpu(5_000, SYSTEM_CRITICAL_PRIORITY));
    let elsewhere = Labels::default().with("disk", "ssd");
    create(&mut bed, "choosy", PodSpec { node_selector: elsewhere, ..with_cpu(1_000, SYSTEM_CRITICAL_PRIORITY) });
    create(&mut bed, "plain", with_cpu(1_000, SYSTEM_CRITICAL_PRIORITY - 1));
    bed.run_until(Time::from_secs(20));
    let huge = pod(&bed, "huge").status;
    let sentence = "Pod was rejected: Unexpected error while attempting to recover from admission failure: preemption: \
                    error finding a set of pods to preempt: no set of running pods found to reclaim resources: \
                    [(res: cpu, q: 1000), ]";
    assert_eq!((&*huge.reason, &*huge.message), ("UnexpectedAdmissionError", sentence));
    assert_eq!(&*pod(&bed, "choosy").status.reason, "NodeAffinity");
    assert_eq!(&*pod(&bed, "plain").status.reason, "OutOfcpu");
    assert!(["small", "medium", "large"].iter().all(|name| pod(&bed, name).is_ready()), "nobody was ended in vain");
}

#[test]
fn a_pod_that_goes_while_others_make_room_for_it_is_not_started() {
    let mut bed = full_bed();
    create(&mut bed, "vital", with_cpu(1_000, SYSTEM_CRITICAL_PRIORITY));
    bed.run_until(Time::from_secs(11));
    delete(&mut bed, "vital", Some(Span::ZERO));
    bed.run_until(Time::from_secs(30));
    assert_eq!(times(&bed, "vital", "Started"), [""; 0]);
    assert_eq!(pod(&bed, "medium").status.phase, Phase::Failed);
}

#[test]
fn a_refused_pod_has_no_conditions_of_the_kubelet_s() {
    let mut bed = full_bed();
    create(&mut bed, "late", with_cpu(1_000, 0));
    bed.run_until(Time::from_secs(12));
    let late = pod(&bed, "late").status;
    assert_eq!((&*late.reason, late.conditions.iter().count()), ("OutOfcpu", 0), "{:?}", late.conditions);
}
