use super::*;
use crate::api::Request;
use crate::config::Config;
use crate::digest::Shared;
use crate::model::{Labels, Meta, Object, PlacementRules, Pod, Resource};
use crate::testbed::Testbed;

fn class(name: &str, value: i32) -> PriorityClass {
    PriorityClass { meta: Meta::named("", name), value, ..PriorityClass::default() }
}

fn pod(name: &str, spec: PodSpec) -> Pod {
    Pod { meta: Meta::named("default", name).into(), spec: Shared::new(spec), ..Pod::default() }
}

fn of_class(class: &str) -> PodSpec {
    PodSpec { priority_class: class.into(), ..PodSpec::default() }
}

fn create<T: Resource>(bed: &mut Testbed, object: T) -> String {
    bed.ask(Request::Create(T::into_object(Arc::new(object))))
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
    assert_eq!(bed.ask(Request::Update { object, expected: None }), expected);
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
        "pods \"b\" is forbidden: the integer value of priority (7) must not be provided in pod spec; priority \
         admission controller computed 1000 from the given PriorityClass name"
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
        bed.ask(Request::Update { object, expected: None }),
        "PriorityClass.scheduling.k8s.io \"high\" is invalid: [value: Forbidden: may not be changed in an update., \
         preemptionPolicy: Invalid value: \"PreemptLowerPriority\": field is immutable]"
    );
}

#[test]
fn a_pod_is_admitted_with_what_its_class_and_itself_say() {
    // Classes there are (name and value, `*` the default, `!` one that never preempts); the pod's class, priority and
    // policy; whether it is a mirror pod; the priority that it gets, `None` if it is refused.
    let usual: &[&str] = &["usual*=1000", "other=2000"];
    type Row<'a> = (&'a [&'a str], &'a str, Option<i32>, &'a str, bool, Option<i32>);
    let table: [Row<'_>; 22] = [
        (usual, "usual", None, "", false, Some(1_000)),
        (&["usual*=1000"], "", None, "", false, Some(1_000)),
        (&[], "", None, "", false, Some(0)),
        (&["other=2000"], "", None, "", false, Some(0)),
        (&[], "system-cluster-critical", None, "", false, Some(2_000_000_000)),
        (&[], "system-node-critical", None, "", true, Some(2_000_001_000)),
        (usual, "none", None, "", false, None),
        (&[], "", Some(7), "", false, None),
        (&[], "", Some(7), "", true, None),
        (&[], "", Some(0), "", false, Some(0)),
        (&["other=2000"], "other", Some(2_000), "", false, Some(2_000)),
        (&["other=2000"], "other", Some(1_999), "", false, None),
        (usual, "", Some(1_000), "", false, Some(1_000)),
        (&[], "system-cluster-critical", Some(2_000_000_000), "", false, Some(2_000_000_000)),
        (&["patient!=5"], "patient", None, "", false, Some(5)),
        (&["patient!=5"], "patient", None, "Never", false, Some(5)),
        (&["patient!=5"], "patient", None, "PreemptLowerPriority", false, None),
        (&["other=5"], "other", None, "", false, Some(5)),
        (&["other=5"], "other", None, "Never", false, None),
        (&["other=5"], "other", None, "PreemptLowerPriority", false, Some(5)),
        (&["usual*=5"], "", None, "Never", false, None),
        (&["usual*=5"], "", None, "PreemptLowerPriority", false, Some(5)),
    ];
    for (classes, class_name, given_priority, policy, mirror, expected) in table {
        let mut bed = Testbed::new(Config::default());
        for words in classes {
            let (name, value) = words.split_once('=').expect("a name and a value");
            let (global_default, never_preempts) = (name.ends_with('*'), name.ends_with('!'));
            let plain = class(name.trim_end_matches(['*', '!']), value.parse().expect("a value"));
            bed.create(PriorityClass { global_default, never_preempts, ..plain });
        }
        let rules = match policy {
            "Never" => Some(PlacementRules { never_preempts: true, ..PlacementRules::default() }),
            "" => None,
            _ => Some(PlacementRules { says_it_preempts: true, ..PlacementRules::default() }),
        };
        let mut asked = pod("p", PodSpec { given_priority, rules: rules.map(Box::new), ..of_class(class_name) });
        if mirror {
            asked.meta.annotations = Labels::new([("kubernetes.io/config.mirror", "hash")]);
        }
        let refusal = create(&mut bed, asked);
        let found = bed.get::<Pod>("default", "p").map(|pod| pod.spec.priority);
        assert_eq!(found, expected, "{classes:?}: class {class_name:?}, {given_priority:?}, {policy:?}: {refusal}");
    }
}

#[test]
fn a_class_may_stay_or_cease_to_be_the_default_and_counts_while_it_is() {
    let mut bed = Testbed::new(Config::default());
    let usual = || PriorityClass { global_default: true, ..class("usual", 10) };
    let of_next = |bed: &mut Testbed, name: &str| {
        assert_eq!(create(bed, pod(name, PodSpec::default())), "");
        priority(bed, name)
    };
    let update = |class| Request::Update { object: Object::PriorityClass(Arc::new(class)), expected: None };
    assert_eq!(of_next(&mut bed, "before"), (String::new(), 0));
    assert_eq!(create(&mut bed, usual()), "");
    assert_eq!(of_next(&mut bed, "a"), ("usual".to_owned(), 10));
    let mut described = usual();
    described.meta.labels = Labels::new([("for", "others")]);
    assert_eq!(bed.ask(update(described)), "", "it stays the default");
    assert_eq!(of_next(&mut bed, "b"), ("usual".to_owned(), 10));
    assert_eq!(bed.ask(update(class("usual", 10))), "", "it ceases to be");
    assert_eq!(of_next(&mut bed, "c"), (String::new(), 0));
    assert_eq!(create(&mut bed, PriorityClass { global_default: true, ..class("next", 20) }), "", "its place is free");
    assert_eq!(of_next(&mut bed, "d"), ("next".to_owned(), 20));
    let key = crate::model::ObjectKey::new(crate::model::Kind::PriorityClass, "", "next");
    let propagation = crate::api::Propagation::Background;
    assert_eq!(bed.ask(Request::Delete { key, uid: None, grace: None, propagation }), "");
    assert_eq!(of_next(&mut bed, "e"), (String::new(), 0));
    assert_eq!(priority(&bed, "a").1, 10, "what a pod has it keeps");
}
