use super::*;
use crate::api::Request;
use crate::config::Config;
use crate::digest::Shared;
use crate::model::{Meta, Object, PlacementRules, Pod, Resource};
use crate::testbed::Testbed;
use crate::time::Span;

fn class(name: &str, value: i32) -> PriorityClass {
    PriorityClass { meta: Meta::named("", name), value, ..PriorityClass::default() }
}

fn pod(name: &str, spec: PodSpec) -> Pod {
    Pod { meta: Meta::named("default", name).into(), spec: Shared::new(spec), ..Pod::default() }
}

fn of_class(class: &str) -> PodSpec {
    PodSpec { priority_class: class.into(), ..PodSpec::default() }
}

fn ask(bed: &mut Testbed, request: Request) -> String {
    let id = bed.request(request);
    bed.run_for(Span::ZERO);
    bed.answers[&id].as_ref().err().map(ToString::to_string).unwrap_or_default()
}

fn create<T: Resource>(bed: &mut Testbed, object: T) -> String {
    ask(bed, Request::Create(T::into_object(Arc::new(object))))
}

fn priority(bed: &Testbed, name: &str) -> (String, i32) {
    let spec = bed.get::<Pod>("default", name).expect("the pod is there").spec.clone();
    (spec.priority_class.to_string(), spec.priority)
}

#[test]
fn a_pod_gets_the_priority_of_its_class() {
    let mut bed = Testbed::new(Config::default());
    bed.create(class("high", 1_000));
    assert_eq!(create(&mut bed, pod("a", of_class("high"))), "");
    assert_eq!(priority(&bed, "a"), ("high".to_owned(), 1_000));
    assert_eq!(create(&mut bed, pod("b", of_class("system-node-critical"))), "");
    assert_eq!(priority(&bed, "b").1, 2_000_001_000);
    assert_eq!(create(&mut bed, pod("c", PodSpec::default())), "");
    assert_eq!(priority(&bed, "c"), (String::new(), 0));
    let found = create(&mut bed, pod("d", of_class("hihg")));
    assert_eq!(found, "pods \"d\" is forbidden: no PriorityClass with name hihg was found");
}

#[test]
fn pods_without_a_class_get_the_default_one_of_which_there_is_one() {
    let mut bed = Testbed::new(Config::default());
    bed.create(PriorityClass { global_default: true, ..class("usual", 10) });
    assert_eq!(create(&mut bed, pod("a", PodSpec::default())), "");
    assert_eq!(priority(&bed, "a"), ("usual".to_owned(), 10));
    let expected = "priorityclasses.scheduling.k8s.io \"other\" is forbidden: PriorityClass usual is already marked as \
                    default. Only one default can exist";
    assert_eq!(create(&mut bed, PriorityClass { global_default: true, ..class("other", 20) }), expected);
    bed.create(class("other", 20));
    let object = Object::PriorityClass(Arc::new(PriorityClass { global_default: true, ..class("other", 20) }));
    assert_eq!(ask(&mut bed, Request::Update { object, expected: None }), expected);
}

#[test]
fn what_a_manifest_says_itself_must_be_what_the_class_says() {
    let mut bed = Testbed::new(Config::default());
    bed.create(class("high", 1_000));
    let given = |priority| PodSpec { given_priority: Some(priority), ..of_class("high") };
    assert_eq!(create(&mut bed, pod("a", given(1_000))), "");
    let found = create(&mut bed, pod("b", given(7)));
    assert_eq!(
        found,
        "pods \"b\" is forbidden: the integer value of priority (7) must not be provided in pod spec; priority admission \
         controller computed 1000 from the given PriorityClass name"
    );
    let rules = Some(Box::new(PlacementRules { never_preempts: true, ..PlacementRules::default() }));
    let found = create(&mut bed, pod("c", PodSpec { rules: rules.clone(), ..of_class("high") }));
    assert!(found.contains("the string value of PreemptionPolicy (Never) must not be provided in pod spec"), "{found}");
    let found = create(&mut bed, pod("d", PodSpec { rules, ..PodSpec::default() }));
    assert_eq!(
        found,
        "pods \"d\" is forbidden: the string value of PreemptionPolicy (Never) must not be provided in pod spec; \
         priority admission controller computed PreemptLowerPriority from the given PriorityClass name",
        "without a class too"
    );
}

#[test]
fn a_pod_that_says_that_it_preempts_is_not_of_a_class_that_never_does() {
    let mut bed = Testbed::new(Config::default());
    bed.create(PriorityClass { never_preempts: true, ..class("patient", 1_000) });
    let says = || Some(Box::new(PlacementRules { says_it_preempts: true, ..PlacementRules::default() }));
    let found = create(&mut bed, pod("a", PodSpec { rules: says(), ..of_class("patient") }));
    assert!(found.contains("PreemptionPolicy (PreemptLowerPriority) must not be provided"), "{found}");
    assert!(found.contains("computed Never from"), "{found}");
    assert_eq!(create(&mut bed, pod("b", PodSpec { rules: says(), ..PodSpec::default() })), "");
    assert_eq!(bed.get::<Pod>("default", "b").expect("it is there").spec.rules, None, "nothing is left of it");
}

#[test]
fn what_a_class_makes_of_its_pods_stays() {
    let mut bed = Testbed::new(Config::default());
    bed.create(PriorityClass { never_preempts: true, ..class("high", 1_000) });
    assert_eq!(create(&mut bed, pod("a", of_class("high"))), "");
    assert!(
        bed.get::<Pod>("default", "a")
            .expect("the pod is there")
            .spec
            .rules
            .as_ref()
            .is_some_and(|it| it.never_preempts)
    );
    let object = Object::PriorityClass(Arc::new(class("high", 2_000)));
    assert_eq!(
        ask(&mut bed, Request::Update { object, expected: None }),
        "PriorityClass.scheduling.k8s.io \"high\" is invalid: [value: Forbidden: may not be changed in an update., \
         preemptionPolicy: Invalid value: \"PreemptLowerPriority\": field is immutable]"
    );
}
