//! Which ReplicaSet is the new one, and its name, revision and annotations.

use super::*;
use crate::model::PlacementRules;

fn template(image: &str, labels: &[(&str, &str)], annotations: &[(&str, &str)]) -> PodTemplate {
    let container = Container { name: "app".into(), image: image.into(), ..Container::default() };
    let spec = Shared::new(PodSpec { containers: vec![container], ..PodSpec::default() });
    let pairs = |pairs: &[(&str, &str)]| Labels::new(pairs.iter().copied());
    PodTemplate { labels: pairs(labels), annotations: pairs(annotations), spec }
}

#[test]
fn templates_are_compared_without_their_hash() {
    const HASH: &str = "pod-template-hash";
    let one = |labels: &[(&str, &str)]| template("app:v1", labels, &[]);
    let two = |labels: &[(&str, &str)]| template("app:v2", labels, &[]);
    let noted = |annotation: &str| template("app:v1", &[(HASH, "1"), ("a", "b")], &[(annotation, "x")]);
    let on = |node: &str, labels: &[(&str, &str)]| {
        let mut template = one(labels);
        let rules = PlacementRules { template_node: Some(node.into()), ..PlacementRules::default() };
        template.spec = Shared::new(PodSpec { rules: Some(Box::new(rules)), ..PodSpec::clone(&template.spec) });
        template
    };
    let table = [
        ("for the same node", on("n1", &[(HASH, "1")]), on("n1", &[(HASH, "2")]), true),
        ("for another node", on("n1", &[(HASH, "1")]), on("n2", &[(HASH, "2")]), false),
        ("for any node", on("n1", &[(HASH, "1")]), one(&[(HASH, "1")]), false),
        ("alike", one(&[(HASH, "1"), ("a", "b")]), one(&[(HASH, "1"), ("a", "b")]), true),
        ("another hash", one(&[(HASH, "1"), ("a", "b")]), one(&[(HASH, "2"), ("a", "b")]), true),
        ("one has no hash", one(&[("a", "b")]), one(&[(HASH, "2"), ("a", "b")]), true),
        ("as many labels, but others", one(&[("a", "b")]), one(&[(HASH, "2")]), false),
        ("a label more", one(&[(HASH, "1")]), one(&[(HASH, "1"), ("a", "b")]), false),
        ("other annotations", noted("former"), noted("latter"), false),
        ("another spec, another hash", one(&[(HASH, "1"), ("a", "b")]), two(&[(HASH, "2"), ("a", "b")]), false),
        ("another spec, no hash", one(&[("a", "b")]), two(&[(HASH, "2"), ("a", "b")]), false),
        ("another spec, other labels", one(&[("a", "b")]), two(&[("c", "b")]), false),
    ];
    for (story, former, latter, expected) in table {
        assert_eq!(sets::same_template(&former, &latter), expected, "{story}");
        assert_eq!(sets::same_template(&latter, &former), expected, "{story}, the other way round");
    }
}

#[test]
fn the_oldest_set_of_the_template_is_the_new_one_and_all_others_are_old() {
    let deployment = web(1);
    let set = |name: &str, template: PodTemplate, created: u64| {
        let meta = Meta { created_at: Time::from_secs(created), ..Meta::named("default", name) };
        sets::Set { set: ReplicaSet { meta, template, ..ReplicaSet::default() }.into(), version: None }
    };
    let hashed = |hash: &str| {
        let labels = deployment.template.labels.with("pod-template-hash", hash);
        PodTemplate { labels, ..deployment.template.clone() }
    };
    let other = || template("app:v0", &[("app", "web")], &[]);
    let new_among = |mut all: Vec<sets::Set>| {
        sets::sort_by_creation(&mut all);
        let place = sets::find_new(&deployment, &all);
        let new = place.map(|place| all.remove(place).set.meta.name.to_string());
        (new, all.iter().map(|it| it.set.meta.name.to_string()).collect::<Vec<_>>().join(" "))
    };
    let some = |name: &str| Some(name.to_string());
    assert_eq!(new_among(vec![set("new", hashed("x"), 60), set("old", other(), 0)]), (some("new"), "old".into()));
    assert_eq!(
        new_among(vec![set("new", hashed("x"), 60), set("old", other(), 0), set("twin", hashed("y"), 30)]),
        (some("twin"), "old new".into()),
        "of two sets of one template the younger counts as old"
    );
    let mut latter = set("latter", other(), 60);
    Arc::make_mut(&mut latter.set).meta.created_at = Time::from_millis(60_100);
    let mut former = set("former", other(), 60);
    Arc::make_mut(&mut former.set).meta.created_at = Time::from_millis(60_900);
    assert_eq!(new_among(vec![latter, former]), (None, "former latter".into()), "of one second's the name counts");
    assert_eq!(new_among(vec![set("old", other(), 0)]), (None, "old".into()));
    assert_eq!(new_among(vec![set("new", hashed("x"), 60)]), (some("new"), String::new()));
}

#[test]
fn a_long_name_is_cut_to_leave_room_for_the_hash() {
    let long = |letter: &str, count: usize| letter.repeat(count);
    assert_eq!(sets::name_of("web", "abcde12345"), "web-abcde12345");
    assert_eq!(sets::name_of(&long("a", 242), "abcde12345"), format!("{}-abcde12345", long("a", 242)));
    assert_eq!(sets::name_of(&long("b", 250), "abcde12345"), format!("{}-abcde12345", long("b", 242)));
    assert_eq!(sets::name_of(&long("d", 252), &long("h", 252)), format!("{}-{}", long("d", 252), long("h", 252)));
}

#[test]
fn a_revision_only_rises_and_the_ones_before_are_kept_as_history() {
    let mut deployment = web(1);
    deployment.meta.annotations = Labels::new([
        ("deployment.kubernetes.io/revision", "1"),
        ("kubectl.kubernetes.io/last-applied-configuration", "{}"),
        ("team", "blue"),
    ]);
    let annotate = |set: &mut ReplicaSet, revision: u64| {
        let annotations = sets::annotations_of_new(&deployment, &set.meta.annotations, revision);
        assert_ne!(annotations.as_ref(), Some(&set.meta.annotations), "what is as it should be is not given back");
        annotations.into_iter().for_each(|annotations| set.meta.annotations = annotations);
    };
    let mut set = ReplicaSet::default();
    for revision in 11..=14 {
        annotate(&mut set, revision);
        assert_eq!(sets::revision_of(&set), revision);
    }
    let read = |set: &ReplicaSet, key: &str| set.meta.annotations.get(key).map(|text| text.to_string());
    assert_eq!(read(&set, "deployment.kubernetes.io/revision-history").as_deref(), Some("11,12,13"));
    assert_eq!(read(&set, "team").as_deref(), Some("blue"));
    assert_eq!(read(&set, "kubectl.kubernetes.io/last-applied-configuration"), None, "some annotations are not copied");
    let before = set.clone();
    annotate(&mut set, 9);
    assert_eq!(set, before, "a lower revision changes nothing");
    for revision in 1_000..2_000 {
        annotate(&mut set, revision);
    }
    let history = read(&set, "deployment.kubernetes.io/revision-history").unwrap();
    assert!(history.len() <= 2_000 && history.ends_with(",1998") && !history.starts_with("11,"), "{history}");
}

/// What a plan writes, in its order: `rs x:2` (a ReplicaSet and its size) and `status 5` (the Deployment's revision).
fn writes_of(plan: &Plan) -> String {
    let text = |request: &Request| match request {
        Request::Update { object: Object::ReplicaSet(set), .. } => format!("rs {}:{}", set.meta.name, set.replicas),
        Request::UpdateStatus { object: Object::Deployment(deployment), .. } => {
            format!("status {}", deployment.meta.annotations.get(&sets::REVISION).map_or("none", |revision| revision))
        }
        other => panic!("{other:?}"),
    };
    plan.writes.iter().flatten().map(text).collect::<Vec<_>>().join(", ")
}

#[test]
fn a_set_that_is_rolled_back_to_gets_its_revision_then_the_deployment_and_grows_only_then() {
    let before = rolling(4, 1, 1);
    let revised = |set: &mut ReplicaSet, revision: &str| {
        set.meta.annotations = set.meta.annotations.with(sets::REVISION, revision);
    };
    let rolled_back = |revision: &str| {
        let mut plan = plan(before.clone(), &before, "v2:4/4 *v1:0");
        Arc::make_mut(&mut plan.deployment).meta.annotations = Labels::new([(sets::REVISION, "2")]);
        revised(Arc::make_mut(&mut plan.old[0].set), "2");
        revised(Arc::make_mut(&mut plan.new.as_mut().unwrap().set), revision);
        plan
    };
    let mut first = rolled_back("1");
    first.decide(None, &|_| false);
    assert_eq!((writes_of(&first).as_str(), first.look_again), ("rs v1:0", Some(Again::RateLimited)));
    let mut second = rolled_back("3");
    second.decide(None, &|_| false);
    assert_eq!(writes_of(&second), "status 3, rs v1:1, status 3");

    let mut paused = rolled_back("1");
    let deployment = Arc::make_mut(&mut paused.deployment);
    (deployment.paused, deployment.progress_deadline) = (true, None);
    paused.decide(None, &|_| false);
    assert_eq!(writes_of(&paused), "rs v1:0, status 2", "a paused Deployment is seen to at once");
}
