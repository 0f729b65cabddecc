//! Secrets that images are pulled with.

use super::*;
use crate::kubelet::RuntimeRequest;
use crate::model::Secret;

fn with_secrets(names: &[&str]) -> PodSpec {
    PodSpec { image_pull_secrets: names.iter().map(|name| Name::from(*name)).collect(), ..spec(&["app"]) }
}

fn secret(bed: &mut Testbed, name: &str) {
    bed.create(Secret { meta: Meta::named("default", name), ..Secret::default() });
}

fn complaints(bed: &Testbed, name: &str) -> Vec<String> {
    let all = bed.events(Kind::Pod, name).into_iter();
    all.filter(|line| line.contains("FailedToRetrieveImagePullSecret")).collect()
}

#[test]
fn a_pull_secret_that_is_missing_is_complained_about_and_the_image_is_pulled_all_the_same() {
    let pulled = |name: &str| (format!("{name}:1"), Image::Remote(Span::from_secs(2)));
    let (image, remote) = pulled("app");
    // Which Secrets a pod names, of which `there` and `also` exist, and which are complained about.
    for (names, missing) in [
        (&[][..], ""),
        (&["there"], ""),
        (&["there", "also"], ""),
        (&["", "there"], ""),
        (&["gone"], "gone"),
        (&["gone", "there", "lost"], "gone, lost"),
    ] {
        let mut bed = bed(FakeRuntime::new().with_image(&image, remote));
        ["there", "also"].into_iter().for_each(|name| secret(&mut bed, name));
        create(&mut bed, "web", with_secrets(names));
        bed.run_until(Time::from_secs(20));
        assert!(pod(&bed, "web").is_ready(), "{names:?}: {:?}", pod(&bed, "web").status);
        let complaints = complaints(&bed, "web");
        assert_eq!(complaints.len(), usize::from(!missing.is_empty()), "{names:?}: {complaints:?}");
        let sentence = format!(
            "Warning FailedToRetrieveImagePullSecret x1: Unable to retrieve some image pull secrets ({missing}); \
             attempting to pull the image may not succeed."
        );
        assert!(complaints.iter().all(|line| line.ends_with(&sentence)), "{names:?}: {complaints:?}");
        let pulls = bed.to_runtimes.iter().filter_map(|it| match &it.2 {
            Msg::Runtime(RuntimeRequest::PullImage { secrets, .. }) => Some(secrets.clone()),
            _ => None,
        });
        let is_there = |name: &&&str| matches!(**name, "there" | "also");
        let shown: Vec<Name> = names.iter().filter(is_there).map(|name| Name::from(*name)).collect();
        assert_eq!(pulls.collect::<Vec<_>>(), [vec![], shown], "{names:?}: one look at what is there, one pull");
    }
}

#[test]
fn each_start_looks_for_the_pull_secrets_anew() {
    let runtime = FakeRuntime::new().with_exits("app", &[(Span::from_secs(5), 1), (Span::from_secs(9_000), 0)]);
    let mut bed = bed(runtime.with_exits("other", &[(Span::from_secs(5), 1)]));
    create(&mut bed, "web", with_secrets(&["late"]));
    bed.run_until(Time::from_secs(4));
    assert_eq!(complaints(&bed, "web").len(), 1);
    bed.run_until(Time::from_secs(60));
    assert_eq!(pod(&bed, "web").status.containers[0].restarts, 1);
    assert!(complaints(&bed, "web")[0].contains(" x2: "), "{:?}", complaints(&bed, "web"));
    let crashing = PodSpec { image_pull_secrets: vec!["later".into()], ..spec(&["other"]) };
    create(&mut bed, "next", crashing);
    bed.run_for(Span::from_secs(4));
    secret(&mut bed, "later");
    bed.run_for(Span::from_secs(120));
    assert!(pod(&bed, "next").status.containers[0].restarts > 1);
    assert!(complaints(&bed, "next")[0].contains(" x1: "), "it was there by then: {:?}", complaints(&bed, "next"));
}
