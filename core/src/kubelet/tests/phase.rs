//! Phase and conditions of a pod, from the states of its containers.

use std::sync::Arc;

use super::*;
use crate::kubelet::status::{self, give_up_the_missing, phase};
use crate::model::{Conditions, ContainerStatus, PodStatus, PodStatusExtras, Terminated};

/// Init containers, sidecars and regular containers by letters: `w` waits, `r` runs, `s` has succeeded, `f` has failed,
/// `b` waits to be started again after a failure, `d` after a success. Before the bar the init containers, of which
/// upper case is a sidecar: `W`, `R` runs and has not started up, `U` is up, `T` has ended, `B` waits to be started
/// again.
fn pod_of(letters: &str) -> (PodSpec, PodStatus) {
    let (init, main) = letters.split_once('|').unwrap_or(("", letters));
    let ended = |exit_code: i32| {
        let (started_at, finished_at) = (Time::ZERO, Time::ZERO);
        Arc::new(Terminated { exit_code, reason: "Error".into(), started_at, finished_at })
    };
    let waiting = || ContainerState::Waiting { reason: "".into(), message: "".into() };
    let status = |letter: char| {
        let (state, last_terminated) = match letter {
            'w' | 'W' => (waiting(), None),
            'r' | 'R' | 'U' => (ContainerState::Running { since: Time::ZERO }, None),
            's' | 'T' => (ContainerState::Terminated(ended(0)), None),
            'f' => (ContainerState::Terminated(ended(1)), None),
            'b' | 'B' => (waiting(), Some(ended(1))),
            'd' => (waiting(), Some(ended(0))),
            other => panic!("no such container: {other}"),
        };
        let started = matches!(letter, 'r' | 'U');
        ContainerStatus { state, last_terminated, ready: started, started, restarts: 0 }
    };
    let containers = |letters: &str, kind: &str| -> Vec<Container> {
        let one = |(place, letter): (usize, char)| Container {
            sidecar: letter.is_uppercase(),
            ..container(&format!("{kind}{place}"))
        };
        letters.chars().enumerate().map(one).collect()
    };
    let spec =
        PodSpec { containers: containers(main, "c"), init_containers: containers(init, "i"), ..PodSpec::default() };
    let extras = PodStatusExtras { init_containers: init.chars().map(status).collect(), ..PodStatusExtras::default() };
    let containers = main.chars().map(status).collect();
    let status = PodStatus { containers, extras: extras.into(), ..PodStatus::default() };
    (spec, status)
}

fn is_waiting(status: &ContainerStatus) -> bool {
    matches!(status.state, ContainerState::Waiting { .. })
}

use RestartPolicy::{Always, Never, OnFailure};

fn check(rows: &[(RestartPolicy, &str, bool, Phase)]) {
    for (policy, letters, settled, expected) in rows {
        let (spec, status) = pod_of(letters);
        let spec = PodSpec { restart_policy: *policy, ..spec };
        let initialized = status.containers.iter().any(|it| it.last_terminated.is_some() || !is_waiting(it));
        let told = phase(&spec, &status, *settled, initialized);
        assert_eq!(told, *expected, "{policy:?} {letters}, settled {settled}");
    }
}

#[test]
fn the_phase_follows_the_regular_containers() {
    use Phase::{Failed, Pending, Running, Succeeded};
    check(&[
        (Always, "ww", false, Pending),
        (Always, "rr", false, Running),
        (Always, "ss", false, Running),
        (Always, "ss", true, Succeeded),
        (Always, "ff", false, Running),
        (Always, "ff", true, Failed),
        (Always, "sf", true, Failed),
        (Always, "rs", false, Running),
        (Always, "rw", false, Pending),
        (Always, "rb", false, Running),
        (Always, "bb", false, Running),
        (Always, "bd", true, Failed),
        (OnFailure, "ww", false, Pending),
        (OnFailure, "rr", false, Running),
        (OnFailure, "ss", false, Succeeded),
        (OnFailure, "ff", false, Running),
        (OnFailure, "sf", false, Running),
        (OnFailure, "rs", false, Running),
        (OnFailure, "rw", false, Pending),
        (OnFailure, "rb", false, Running),
        (OnFailure, "sb", false, Running),
        (Never, "ww", false, Pending),
        (Never, "rr", false, Running),
        (Never, "ss", false, Succeeded),
        (Never, "ff", false, Failed),
        (Never, "sf", false, Failed),
        (Never, "rf", false, Running),
        (Never, "rs", false, Running),
        (Never, "sw", false, Pending),
    ]);
}

#[test]
fn init_containers_keep_a_pod_pending_or_fail_it() {
    use Phase::{Failed, Pending, Running, Succeeded};
    check(&[
        (Always, "w|ww", false, Pending),
        (Always, "r|ww", false, Pending),
        (Always, "s|ww", false, Pending),
        (Always, "f|ww", false, Pending),
        (Always, "b|ww", false, Pending),
        (Always, "d|ww", false, Pending),
        (Always, "s|rr", false, Running),
        (Always, "ss|ss", true, Succeeded),
        (Always, "sw|ww", false, Pending),
        (OnFailure, "f|ww", false, Pending),
        (Never, "w|ww", false, Pending),
        (Never, "r|ww", false, Pending),
        (Never, "s|ww", false, Pending),
        (Never, "f|ww", false, Failed),
        (Never, "b|ww", false, Failed),
        (Never, "s|rr", false, Running),
        (Never, "s|ss", false, Succeeded),
        (Never, "s|sf", false, Failed),
    ]);
}

#[test]
fn sidecars_count_while_they_run_and_not_when_they_have_ended() {
    use Phase::{Failed, Pending, Running, Succeeded};
    check(&[
        (Always, "W|ww", false, Pending),
        (Always, "R|ww", false, Pending),
        (Always, "U|ww", false, Pending),
        (Always, "B|ww", false, Pending),
        (Always, "T|ww", false, Pending),
        (Always, "R|rr", false, Running),
        (Always, "U|rr", false, Running),
        (Always, "U|ss", false, Running),
        (Always, "T|ss", false, Running),
        (Always, "T|ss", true, Succeeded),
        (Always, "B|rr", false, Running),
        (Always, "Us|ww", false, Pending),
        (Always, "Uw|ww", false, Pending),
        (Always, "Us|rr", false, Running),
        (Never, "W|ww", false, Pending),
        (Never, "R|ww", false, Pending),
        (Never, "T|ww", false, Pending),
        (Never, "U|rr", false, Running),
        (Never, "U|ss", false, Running),
        (Never, "T|ss", false, Succeeded),
        (Never, "T|ff", false, Failed),
        (Never, "B|ss", false, Succeeded),
        (Never, "Uf|ww", false, Failed),
        (Never, "W|rr", false, Pending),
    ]);
}

#[test]
fn what_ran_in_a_sandbox_before_this_one_initializes_nothing() {
    for (letters, initialized, expected) in [
        ("sR|s", false, Phase::Pending),
        ("sR|s", true, Phase::Running),
        ("sU|s", false, Phase::Running),
        ("sR|f", false, Phase::Pending),
        ("rR|r", true, Phase::Pending),
    ] {
        let (spec, status) = pod_of(letters);
        assert_eq!(phase(&spec, &status, false, initialized), expected, "{letters}, initialized {initialized}");
    }
}

/// Initialized, ContainersReady and PodReadyToStartContainers of such a pod, with reasons: `True`, `False(…: …)`.
fn conditions(letters: &str, phase: Phase, has_sandbox: bool) -> [String; 3] {
    let (spec, mut status) = pod_of(letters);
    status.phase = phase;
    let conditions = status::conditions(&status, &Conditions::default(), &spec, has_sandbox, Time::ZERO);
    let shown = |kind: ConditionKind| {
        let it = conditions.get(kind).expect("the kubelet sets it");
        let why =
            [&*it.reason, &*it.message].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(": ");
        if why.is_empty() { format!("{:?}", it.status) } else { format!("{:?}({why})", it.status) }
    };
    [ConditionKind::Initialized, ConditionKind::ContainersReady, ConditionKind::PodReadyToStartContainers].map(shown)
}

#[test]
fn conditions_say_which_containers_are_not_ready_or_not_done() {
    let unready = |names: &str| format!("False(ContainersNotReady: containers with unready status: [{names}])");
    let undone = |names: &str| format!("False(ContainersNotInitialized: containers with incomplete status: [{names}])");
    let yes = || "True".to_owned();
    let rows = [
        ("rr", Phase::Running, yes(), yes()),
        ("rw", Phase::Running, yes(), unready("c1")),
        ("ww", Phase::Pending, yes(), unready("c0 c1")),
        ("ss", Phase::Succeeded, "True(PodCompleted)".into(), "False(PodCompleted)".into()),
        ("sf", Phase::Failed, yes(), "False(PodFailed)".into()),
        ("w|w", Phase::Pending, undone("i0"), unready("c0")),
        ("sr|w", Phase::Pending, undone("i1"), unready("c0")),
        ("ss|w", Phase::Pending, yes(), unready("c0")),
        ("f|w", Phase::Failed, undone("i0"), "False(PodFailed)".into()),
        ("s|r", Phase::Running, yes(), yes()),
        ("b|r", Phase::Running, yes(), yes()),
        ("W|w", Phase::Pending, undone("i0"), unready("i0 c0")),
        ("R|w", Phase::Pending, undone("i0"), unready("i0 c0")),
        ("U|w", Phase::Pending, yes(), unready("c0")),
        ("U|r", Phase::Running, yes(), yes()),
        ("R|r", Phase::Running, yes(), unready("i0")),
        ("T|r", Phase::Running, yes(), unready("i0")),
        ("Us|r", Phase::Running, yes(), yes()),
        ("T|s", Phase::Succeeded, "True(PodCompleted)".into(), "False(PodCompleted)".into()),
    ];
    for (letters, phase, initialized, ready) in rows {
        assert_eq!(conditions(letters, phase, true), [initialized, ready, yes()], "{letters}");
    }
    assert_eq!(conditions("ww", Phase::Pending, false)[2], "False");
}

#[test]
fn a_sentence_that_still_holds_is_kept_and_another_is_not_taken_for_it() {
    let told = |letters: &str, before: &Conditions| {
        let (spec, status) = pod_of(letters);
        status::conditions(&status, before, &spec, true, Time::ZERO)
    };
    let sentence = |it: &Conditions| it.message(ConditionKind::Ready).expect("the kubelet sets it").clone();
    let first = told("ww", &Conditions::default());
    assert!(Name::ptr_eq(&sentence(&first), &sentence(&told("ww", &first))));
    let mut before = first;
    for (letters, names) in
        [("w", "[c0]"), ("ww", "[c0 c1]"), ("rw", "[c1]"), ("www", "[c0 c1 c2]"), ("wwr", "[c0 c1]")]
    {
        let now = told(letters, &before);
        assert_eq!(*sentence(&now), *format!("containers with unready status: {names}"));
        assert_eq!(now, told(letters, &Conditions::default()), "{letters}");
        before = now;
    }
    assert_eq!(*sentence(&told("rr", &before)), *"");
}

/// The containers of a pod that was removed, by letters as above; `x` is lost.
fn given_up(letters: &str) -> String {
    let (spec, mut status) = pod_of(letters);
    give_up_the_missing(&spec, &mut status, Time::ZERO);
    let letter = |(before, status): (char, &ContainerStatus)| match &status.state {
        ContainerState::Terminated(how) if *how.reason == *"ContainerStatusUnknown" && how.exit_code == 137 => 'x',
        _ => before,
    };
    let (init, main) = letters.split_once('|').unwrap_or(("", letters));
    let init: String = init.chars().zip(&status.init_containers).map(letter).collect();
    let main: String = main.chars().zip(&status.containers).map(letter).collect();
    if init.is_empty() { main } else { format!("{init}|{main}") }
}

#[test]
fn what_a_removed_pod_never_told_counts_as_lost() {
    for (before, after) in [
        ("f", "f"),
        ("s", "s"),
        ("r", "x"),
        ("b", "x"),
        ("w", "x"),
        ("rfs", "xfs"),
        ("w|w", "x|w"),
        ("ww|w", "xw|w"),
        ("wwfw|w", "xxfw|w"),
        ("wwf|w", "xxf|w"),
        ("wws|w", "xxs|x"),
        ("wwd|w", "xxx|x"),
        ("w|r", "x|x"),
        ("w|s", "x|s"),
        ("w|d", "x|x"),
        ("wsf|wfs", "xsf|xfs"),
        ("U|w", "x|x"),
        ("R|w", "x|w"),
        ("T|w", "T|w"),
    ] {
        assert_eq!(given_up(before), after, "{before}");
    }
    for phase in [Phase::Pending, Phase::Running, Phase::Unknown, Phase::Succeeded, Phase::Failed] {
        let (spec, mut status) = pod_of("w");
        status.phase = phase;
        give_up_the_missing(&spec, &mut status, Time::ZERO);
        let expected = if phase == Phase::Succeeded { Phase::Succeeded } else { Phase::Failed };
        assert_eq!(status.phase, expected, "{phase:?}");
    }
}
