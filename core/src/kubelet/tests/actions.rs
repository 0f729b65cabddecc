//! What becomes of a pod's containers when some of them end, fail their probes or lose their sandbox.

use super::*;
use crate::kubelet::RuntimeEvent;

/// Containers by name: `app` runs for ever, `good` ends well after a second and `bad` with code 3, `fickle` ends once,
/// `sick` fails its liveness probe after three seconds, `slow` waits ten seconds for its image. A number may follow.
fn runtime() -> FakeRuntime {
    let second = Span::from_secs(1);
    let mut runtime = FakeRuntime::new().with_image("slow:1", Image::Remote(Span::from_secs(10)));
    for (name, exits) in [
        ("good", vec![(second, 0)]),
        ("good2", vec![(second, 0)]),
        ("bad", vec![(second, 3)]),
        ("fickle", vec![(second, 1), (Span::from_secs(10_000), 0)]),
    ] {
        runtime = runtime.with_exits(name, &exits);
    }
    runtime.dead_after.insert("sick".into(), Span::from_secs(3));
    runtime
}

/// Lets a pod run for a minute, in which it may lose its sandbox at five seconds. Init containers with a `+` are
/// sidecars. Returns which containers were started, with a `+` those that were more than once, and the phase.
fn outcome(policy: RestartPolicy, init: &str, main: &str, loses_sandbox: bool) -> String {
    let of = |word: &str| {
        let name = word.trim_start_matches('+');
        let liveness_probe = (name == "sick").then(probe);
        Container { sidecar: word.starts_with('+'), liveness_probe, ..container(name) }
    };
    let all = |words: &str| words.split_whitespace().map(of).collect::<Vec<_>>();
    let mut bed = bed(runtime());
    let spec =
        PodSpec { restart_policy: policy, init_containers: all(init), containers: all(main), ..PodSpec::default() };
    create(&mut bed, "web", spec);
    bed.run_until(Time::from_secs(5));
    if loses_sandbox {
        let event = RuntimeEvent::SandboxLost { pod: pod(&bed, "web").meta.uid };
        let from = ProcId::runtime(HostId(0));
        bed.input(Input::Message { from, to: kubelet(), body: Msg::RuntimeEvent(event) });
    }
    bed.run_until(Time::from_secs(60));
    let told = story(&bed, "web");
    let started = |name: &str| {
        let text = format!("container {name} started");
        told.iter().filter(|line| line.ends_with(&text) || line.contains(&format!("{text} "))).count()
    };
    let names = init.split_whitespace().chain(main.split_whitespace()).map(|word| word.trim_start_matches('+'));
    let shown = names.filter_map(|name| match started(name) {
        0 => None,
        1 => Some(name.to_owned()),
        _ => Some(format!("{name}+")),
    });
    format!("{}: {:?}", shown.collect::<Vec<_>>().join(" "), pod(&bed, "web").status.phase)
}

#[test]
fn containers_start_again_as_policy_and_kind_say() {
    use RestartPolicy::{Always, Never, OnFailure};
    // The policy, init containers, containers, whether the sandbox is lost; what was started, and the phase.
    let table = [
        (Always, "", "app", false, "app: Running"),
        (Always, "", "good app", false, "good+ app: Running"),
        (Always, "", "bad app", false, "bad+ app: Running"),
        (OnFailure, "", "good app", false, "good app: Running"),
        (OnFailure, "", "bad app", false, "bad+ app: Running"),
        (OnFailure, "", "good good2", false, "good good2: Succeeded"),
        (Never, "", "good bad app", false, "good bad app: Running"),
        (Never, "", "good bad", false, "good bad: Failed"),
        (Always, "", "sick", false, "sick+: Running"),
        (OnFailure, "", "sick", false, "sick+: Running"),
        (Never, "", "sick app", false, "sick app: Running"),
        (Never, "", "sick", false, "sick: Failed"),
        // Init containers.
        (Always, "good", "app", false, "good app: Running"),
        (Always, "good bad", "app", false, "good bad+: Pending"),
        (OnFailure, "bad good", "app", false, "bad+: Pending"),
        (Never, "good bad", "app", false, "good bad: Failed"),
        (Never, "fickle", "app", false, "fickle: Failed"),
        // Sidecars start again whatever the policy, and end with the others.
        (Never, "+app", "good", false, "app good: Succeeded"),
        (Never, "+fickle", "app", false, "fickle+ app: Running"),
        (Never, "+fickle good", "app", false, "fickle+ good app: Running"),
        (OnFailure, "+fickle", "good good2", false, "fickle+ good good2: Succeeded"),
        (Never, "+sick", "app", false, "sick+ app: Running"),
        (Always, "+bad", "app", false, "bad+ app: Running"),
        // The sandbox is lost: everything begins anew, unless nothing may.
        (Always, "", "app", true, "app+: Running"),
        (OnFailure, "", "app", true, "app+: Running"),
        (OnFailure, "", "good app", true, "good app+: Running"),
        (Never, "", "app", true, "app: Failed"),
        (Never, "", "good bad", true, "good bad: Failed"),
        (OnFailure, "", "good good2", true, "good good2: Succeeded"),
        (Never, "", "slow", true, "slow: Running"),
        (Always, "good", "app", true, "good+ app+: Running"),
        (OnFailure, "bad", "app", true, "bad+: Pending"),
        (Never, "bad", "app", true, "bad: Failed"),
        (Never, "good", "slow", true, "good: Pending"),
        (Always, "+app", "good", true, "app+ good+: Running"),
        (Never, "+app", "slow", true, "app: Pending"),
        (OnFailure, "+app good", "fickle", true, "app+ good+ fickle+: Running"),
    ];
    let mut wrong = Vec::new();
    for (policy, init, main, lost, expected) in table {
        let found = outcome(policy, init, main, lost);
        if found != expected {
            wrong.push(format!(
                "{policy:?} [{init}] {main}, sandbox lost: {lost}\n  expected {expected}\n  found    {found}"
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
