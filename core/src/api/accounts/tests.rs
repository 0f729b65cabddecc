use std::sync::Arc;

use super::*;
use crate::config::Config;
use crate::digest::Shared;
use crate::model::{ConfigMap, Labels, Meta, Resource, Secret, VolumeMount};
use crate::testbed::Testbed;

fn pod(namespace: &str, name: &str, spec: PodSpec) -> Pod {
    Pod { meta: Meta::named(namespace, name).into(), spec: Shared::new(spec), ..Pod::default() }
}

fn spec(account: &str) -> PodSpec {
    let container = Container { name: "app".into(), ..Container::default() };
    PodSpec { containers: vec![container], account: account.into(), ..PodSpec::default() }
}

fn ask<T: Resource>(bed: &mut Testbed, object: T) -> RequestId {
    bed.request(Request::Create(T::into_object(Arc::new(object))))
}

fn refusal(bed: &Testbed, id: RequestId) -> Option<String> {
    bed.answers.get(&id).map(|answer| answer.as_ref().err().map(ToString::to_string).unwrap_or_default())
}

#[test]
fn a_pod_of_an_unknown_account_is_refused_at_once() {
    let mut bed = Testbed::new(Config::default());
    let id = ask(&mut bed, pod("default", "p", spec("nope")));
    bed.run_for(Span::ZERO);
    let expected =
        "pods \"p\" is forbidden: error looking up service account default/nope: serviceaccount \"nope\" not found";
    assert_eq!(refusal(&bed, id).as_deref(), Some(expected));
}

#[test]
fn an_account_whose_name_is_no_part_of_a_path_cannot_be_looked_up() {
    for (name, why) in [("a/b", "may not contain '/'"), ("a%/", "may not contain '/' may not contain '%'")] {
        let mut bed = Testbed::new(Config::default());
        let id = ask(&mut bed, pod("default", "p", spec(name)));
        bed.run_for(Span::ZERO);
        let expected = format!(
            "pods \"p\" is forbidden: error looking up service account default/{name}: invalid resource name \
             \"{name}\": [{why}]"
        );
        assert_eq!(refusal(&bed, id), Some(expected));
    }
}

#[test]
fn a_refusal_before_the_name_is_drawn_has_what_the_name_is_made_of() {
    let mut bed = Testbed::new(Config::default());
    let mut drawn = pod("default", "p-", spec("nope"));
    drawn.meta.generate_name = true;
    let id = ask(&mut bed, drawn);
    bed.run_for(Span::ZERO);
    let expected =
        "pods \"p-\" is forbidden: error looking up service account default/nope: serviceaccount \"nope\" not found";
    assert_eq!(refusal(&bed, id).as_deref(), Some(expected));
}

#[test]
fn a_name_that_is_taken_by_a_pod_that_ends_is_refused_in_other_words() {
    let mut bed = Testbed::new(Config::default());
    let mut held = pod("default", "p", spec(""));
    held.meta.finalizers = [Name::from("example.com/wait")].into();
    ask(&mut bed, held.clone());
    let second = ask(&mut bed, held.clone());
    bed.run_for(Span::ZERO);
    assert_eq!(refusal(&bed, second).as_deref(), Some("pods \"p\" already exists"));
    let key = ObjectKey::new(Kind::Pod, "default", "p");
    bed.request(Request::Delete { key, uid: None, grace: None, propagation: crate::api::Propagation::Background });
    let third = ask(&mut bed, held);
    bed.run_for(Span::ZERO);
    assert_eq!(refusal(&bed, third).as_deref(), Some("object is being deleted: pods \"p\" already exists"));
}

#[test]
fn a_long_prefix_is_cut_before_the_letters_are_drawn() {
    let mut bed = Testbed::new(Config::default());
    let mut drawn = pod("default", &"p".repeat(70), spec(""));
    drawn.meta.generate_name = true;
    ask(&mut bed, drawn);
    bed.run_for(Span::ZERO);
    let pods: Vec<_> = bed.core.newest().all::<Pod>().map(|(_, pod)| pod.meta.name.clone()).collect();
    assert!(matches!(&pods[..], [name] if name.len() == 63 && name.starts_with(&"p".repeat(58))), "{pods:?}");
}

#[test]
fn pods_applied_with_their_namespace_wait_for_its_account() {
    let mut bed = Testbed::new(Config::default());
    ask(&mut bed, Namespace::named("shop"));
    let id = ask(&mut bed, pod("shop", "p", spec("")));
    bed.run_for(Span::ZERO);
    assert_eq!(refusal(&bed, id), None, "the request waits");
    bed.run_for(Span::from_millis(99));
    assert_eq!(refusal(&bed, id), None);
    bed.run_for(Span::from_millis(101));
    assert_eq!(refusal(&bed, id).as_deref(), Some(""));
    assert_eq!(&*bed.get::<Pod>("shop", "p").expect("the pod is there").spec.account, "default");
}

#[test]
fn an_account_that_does_not_come_is_missed_after_ten_looks() {
    let mut bed = Testbed::new(Config::default());
    bed.input(crate::seam::Input::Crashed(ProcId::CONTROLLER_MANAGER));
    ask(&mut bed, Namespace::named("shop"));
    let id = ask(&mut bed, pod("shop", "p", spec("")));
    bed.run_for(Span::from_millis(899));
    assert_eq!(refusal(&bed, id), None);
    bed.run_for(Span::from_millis(902));
    let expected =
        "pods \"p\" is forbidden: error looking up service account shop/default: serviceaccount \"default\" not found";
    assert_eq!(refusal(&bed, id).as_deref(), Some(expected));
}

#[test]
fn the_account_gives_a_token_unless_somebody_says_no_and_its_pull_secrets_unless_the_pod_has_its_own() {
    let mut bed = Testbed::new(Config::default());
    let pull = || vec!["registry".into()];
    bed.create(ServiceAccount {
        meta: Meta::named("default", "builder"),
        image_pull_secrets: pull(),
        automount: Some(false),
        ..ServiceAccount::default()
    });
    let taken =
        |path: &str| VolumeMount { name: "own".into(), path: path.into(), sub_path: Name::default(), read_only: true };
    let side = Container { name: "side".into(), mounts: vec![taken(TOKEN_MOUNT_PATH)], ..Container::default() };
    let mut two = spec("");
    two.containers.push(side.clone());
    bed.create(pod("default", "plain", spec("")));
    bed.create(pod("default", "two", two));
    bed.create(pod("default", "own", PodSpec { containers: vec![side], ..spec("") }));
    bed.create(pod("default", "no", PodSpec { automount: Some(false), ..spec("") }));
    bed.create(pod("default", "built", spec("builder")));
    bed.create(pod(
        "default",
        "asks",
        PodSpec { automount: Some(true), image_pull_secrets: vec!["mine".into()], ..spec("builder") },
    ));
    let of = |name: &str| bed.get::<Pod>("default", name).expect("the pod is there");
    assert_eq!(of("plain").spec.token.as_deref(), Some(&TokenVolume::default()));
    assert_eq!(of("two").spec.token.as_ref().expect("one container gets it").not_in, [1]);
    for without in ["own", "no", "built"] {
        assert_eq!(of(without).spec.token, None, "{without}");
    }
    assert_eq!(of("built").spec.image_pull_secrets, pull());
    assert!(of("asks").spec.token.is_some());
    assert_eq!(of("asks").spec.image_pull_secrets, [Name::from("mine")]);
    let (one, other) = (of("plain").token_volume().expect("it has one"), of("two").token_volume().expect("it has one"));
    assert!(one.starts_with(TOKEN_VOLUME) && one.len() == TOKEN_VOLUME.len() + 5 && one != other, "{one} {other}");
}

#[test]
fn what_is_immutable_stays_and_a_secret_keeps_its_type() {
    let mut bed = Testbed::new(Config::default());
    let map = |text: &str, immutable| ConfigMap {
        meta: Meta::named("default", "imm"),
        data: Labels::new([("a", text)]),
        immutable,
        ..ConfigMap::default()
    };
    bed.create(map("b", Some(true)));
    let mut update = |object: Object| {
        let id = bed.request(Request::Update { object, expected: None });
        bed.run_for(Span::ZERO);
        refusal(&bed, id).expect("it is answered")
    };
    let said = "ConfigMap \"imm\" is invalid: data: Forbidden: field is immutable when `immutable` is set";
    assert_eq!(update(Object::ConfigMap(Arc::new(map("c", Some(true))))), said);
    let both = update(Object::ConfigMap(Arc::new(map("c", None))));
    assert!(both.contains("[immutable: Forbidden: field is immutable when `immutable` is set, data: "), "{both}");
    let secret = Secret { meta: Meta::named("default", "s"), ..Secret::default() };
    bed.create(secret.clone());
    let other = Secret { secret_type: "kubernetes.io/tls".into(), ..secret };
    let id = bed.request(Request::Update { object: Object::Secret(Arc::new(other)), expected: None });
    bed.run_for(Span::ZERO);
    let said = "Secret \"s\" is invalid: type: Invalid value: \"kubernetes.io/tls\": field is immutable";
    assert_eq!(refusal(&bed, id).as_deref(), Some(said));
}
