use super::*;
use crate::model::Kind;
use crate::time::{Span, Time};

fn web() -> ObjectKey {
    ObjectKey::new(Kind::ReplicaSet, "shop", "web")
}

fn said(reason: &'static str, message: &str) -> Event {
    Event::normal("replicaset-controller", reason, message.to_string())
}

fn second(seconds: u64) -> Time {
    Time::from_secs(seconds)
}

#[test]
fn equal_events_are_counted_and_keep_their_first_time() {
    let mut log = EventLog::default();
    assert_eq!(log.take(second(3), &web(), &said("Pulled", "a")), Written::New(0));
    assert_eq!(log.take(second(5), &web(), &said("Pulled", "b")), Written::New(1));
    assert_eq!(log.take(second(9), &web(), &said("Pulled", "a")), Written::Again(0));
    let event = &log.all()[0];
    assert_eq!((event.count, event.first, event.last), (2, second(3), second(9)));
    assert_eq!(event.name(), format!("web.{:016x}", 3_000_000_000u64));
    assert_eq!(event.namespace(), "shop");
}

#[test]
fn the_tenth_different_message_is_combined_and_counts_from_there() {
    let mut log = EventLog::default();
    for number in 1..=9 {
        let message = format!("Created pod: web-{number}");
        assert!(matches!(log.take(second(number), &web(), &said("SuccessfulCreate", &message)), Written::New(_)));
    }
    for number in 10..=15 {
        let message = format!("Created pod: web-{number}");
        log.take(second(number), &web(), &said("SuccessfulCreate", &message));
    }
    assert_eq!(log.all().len(), 10);
    let combined = &log.all()[9];
    assert_eq!(combined.message, "(combined from similar events): Created pod: web-15");
    assert_eq!((combined.count, combined.first, combined.last), (6, second(10), second(15)));
    // Another reason about the same object is no similar event.
    assert!(matches!(log.take(second(16), &web(), &said("SuccessfulDelete", "x")), Written::New(10)));
}

#[test]
fn similar_events_are_a_new_matter_after_ten_minutes_of_silence() {
    let mut log = EventLog::default();
    for number in 0..12 {
        log.take(second(number), &web(), &said("SuccessfulCreate", &format!("{number}")));
    }
    let later = second(11) + Span::from_secs(601);
    log.take(later, &web(), &said("SuccessfulCreate", "other"));
    assert_eq!(log.all().last().expect("something was written").message, "other");
}

#[test]
fn a_source_says_25_things_about_an_object_and_then_one_every_five_minutes() {
    let mut log = EventLog::default();
    let reasons = ["A", "B", "C", "D", "E", "F"];
    let mut written = 0;
    for number in 0..60 {
        let event = said(reasons[number % 6], &format!("{}", number / 6 % 5));
        written += usize::from(log.take(second(number as u64), &web(), &event) != Written::Spam);
    }
    assert_eq!(written, 25);
    // Warnings, other objects and other sources have allowances of their own.
    let other = ObjectKey::new(Kind::ReplicaSet, "shop", "api");
    assert_ne!(log.take(second(60), &other, &said("A", "0")), Written::Spam);
    let warning = Event { event_type: EventType::Warning, ..said("A", "0") };
    assert_ne!(log.take(second(60), &web(), &warning), Written::Spam);
    assert_eq!(log.take(second(299), &web(), &said("A", "0")), Written::Spam);
    // What was stopped was counted: 10 times in the first minute, at 299 s and now.
    assert_eq!(log.take(second(301), &web(), &said("A", "0")), Written::Again(0));
    assert_eq!(log.all()[0].count, 4);
    assert_eq!(log.take(second(302), &web(), &said("A", "0")), Written::Spam);
}

#[test]
fn repetitions_about_one_version_of_a_pod_are_a_series() {
    let pod = ObjectKey::new(Kind::Pod, "shop", "web-1");
    let failed = |message: &str, version: u64| {
        let event = Event::warning("default-scheduler", "FailedScheduling", message.to_string());
        event.in_series("Scheduling", Some(Revision(version)))
    };
    let mut log = EventLog::default();
    assert_eq!(log.take(second(1), &pod, &failed("no nodes", 7)), Written::New(0));
    // The attempt has changed the pod's condition, so the next is about another version of it.
    assert_eq!(log.take(second(2), &pod, &failed("no nodes", 8)), Written::New(1));
    assert_eq!(log.take(second(4), &pod, &failed("still none", 8)), Written::Again(1));
    assert_eq!(log.take(second(8), &pod, &failed("still none", 8)), Written::Counted(1));
    assert_eq!((log.all()[1].count, &*log.all()[1].message), (2, "no nodes"), "the count of 3 is not yet written");
    // Half an hour and more later the series has ended, with its last count written.
    assert_eq!(log.take(second(2_000), &pod, &failed("again", 8)), Written::New(2));
    assert_eq!((log.all()[1].count, log.all()[1].last), (3, second(8)));
}

#[test]
fn a_restarted_component_counts_anew_and_events_go_after_an_hour() {
    let mut log = EventLog::default();
    log.take(second(1), &web(), &said("A", "x"));
    log.forget("replicaset-controller");
    assert_eq!(log.take(second(2_000), &web(), &said("A", "x")), Written::New(1));
    assert_eq!(log.kept(second(3_600)).count(), 2);
    assert_eq!(log.kept(second(3_601)).count(), 1);
}

#[test]
fn a_kubelet_that_has_started_again_knows_nothing_of_what_was_said_before() {
    let mut log = EventLog::default();
    let subject = ObjectKey::new(Kind::Node, "", "n1");
    let mut say = |at: u64, host: &str, reason: &'static str| {
        let event = Event::normal("kubelet", reason, "said").on_host(&host.into());
        log.take(Time::from_secs(at), &subject, &event)
    };
    assert_eq!(say(0, "n1", "Starting"), Written::New(0));
    assert_eq!(say(1, "n1", "NodeReady"), Written::New(1));
    assert_eq!(say(1, "n2", "NodeReady"), Written::New(2));
    assert_eq!(say(2, "n1", "NodeReady"), Written::Again(1));
    assert_eq!(say(3, "n1", "Starting"), Written::New(3));
    assert_eq!(say(4, "n1", "NodeReady"), Written::New(4));
    assert_eq!(say(5, "n2", "NodeReady"), Written::Again(2), "the kubelet of another node goes on");
    assert_eq!(say(6, "n1", "NodeReady"), Written::Again(4));
}

#[test]
fn a_kubelet_remembers_its_own_events_however_much_those_of_other_nodes_say() {
    let mut log = EventLog::default();
    let mut say = |host: &str, name: &str| {
        let subject = ObjectKey::new(Kind::Pod, "shop", name);
        log.take(Time::ZERO, &subject, &Event::warning("kubelet", "BackOff", "said").on_host(&host.into()))
    };
    assert_eq!(say("n1", "till"), Written::New(0));
    for other in 0..5_000 {
        assert_eq!(say(&format!("n{}", 2 + other % 100), &format!("web-{other}")), Written::New(1 + other));
    }
    assert_eq!(say("n1", "till"), Written::Again(0));
}

/// A kubelet says something about a pod, or ends what it repeats.
fn of_kubelet(log: &mut EventLog, at: u64, reason: &'static str, message: &str, repeats: Repeats) -> Written {
    let pod = ObjectKey::new(Kind::Pod, "shop", "web-1");
    let event = Event::warning("kubelet", reason, message.to_owned()).on_host(&"n1".into());
    log.take(second(at), &pod, &event.repeated(repeats))
}

fn every(period: u64, last: Option<u64>) -> Repeats {
    Repeats::Every { period: Span::from_secs(period), last: last.map_or(Time::FAR_FUTURE, second) }
}

/// Reason, count and last second of every event.
fn shown(log: &mut EventLog, now: u64) -> Vec<(String, u32, u64)> {
    log.catch_up(second(now));
    let last = |event: &EventObject| event.last.since(Time::ZERO).as_secs();
    log.all().iter().map(|event| (event.message.to_string(), event.count, last(event))).collect()
}

#[test]
fn what_is_repeated_is_said_at_its_own_times_up_to_the_last() {
    let mut log = EventLog::default();
    assert_eq!(of_kubelet(&mut log, 5, "Unhealthy", "a", every(10, Some(35))), Written::New(0));
    assert_eq!(of_kubelet(&mut log, 7, "BackOff", "b", every(4, Some(18))), Written::New(1));
    assert_eq!(shown(&mut log, 14), [("a".into(), 1, 5), ("b".into(), 2, 11)]);
    assert_eq!(shown(&mut log, 15), [("a".into(), 2, 15), ("b".into(), 3, 15)], "this moment counts");
    // What another event finds is as if each had been told on its own.
    assert_eq!(of_kubelet(&mut log, 40, "Unhealthy", "a", Repeats::Never), Written::Again(0));
    assert_eq!(shown(&mut log, 900), [("a".into(), 5, 40), ("b".into(), 3, 15)]);
}

#[test]
fn a_repetition_is_told_as_if_each_had_been_told_on_its_own() {
    let (mut apart, mut at_once) = (EventLog::default(), EventLog::default());
    let _ = of_kubelet(&mut at_once, 1, "Unhealthy", "a", every(7, None));
    let _ = of_kubelet(&mut at_once, 3, "BackOff", "b", every(10, Some(103)));
    for at in 1..1_000 {
        if at % 7 == 1 {
            let _ = of_kubelet(&mut apart, at, "Unhealthy", "a", Repeats::Never);
        }
        if at % 10 == 3 && at <= 103 {
            let _ = of_kubelet(&mut apart, at, "BackOff", "b", Repeats::Never);
        }
        if at % 50 == 20 {
            for log in [&mut apart, &mut at_once] {
                let _ = of_kubelet(log, at, "Failed", "c", Repeats::Never);
            }
        }
    }
    at_once.catch_up(second(999));
    assert_eq!(at_once.all(), apart.all());
}

#[test]
fn a_repetition_ends_by_reason_and_the_beginning_of_its_message() {
    let begun = || {
        let mut log = EventLog::default();
        for (reason, message) in [("Unhealthy", "Liveness: x"), ("Unhealthy", "Readiness: x"), ("BackOff", "Live")] {
            let _ = of_kubelet(&mut log, 0, reason, message, every(10, None));
        }
        log
    };
    let counts = |log: &mut EventLog| shown(log, 100).iter().map(|it| it.1).collect::<Vec<u32>>();
    for (reason, message, expected) in [
        ("Unhealthy", "Live", [4, 11, 11]),
        ("Unhealthy", "", [4, 4, 11]),
        ("Unhealthy", "x", [11, 11, 11]),
        ("BackOff", "", [11, 11, 4]),
    ] {
        let mut log = begun();
        assert_eq!(of_kubelet(&mut log, 40, reason, message, Repeats::Over), Written::Ended);
        let both_warned = expected.map(|count| count as u32);
        // All three are warnings about one pod: the 26th of them is spam.
        let told = counts(&mut log);
        assert!(told.iter().zip(both_warned).all(|(told, expected)| *told <= expected), "{told:?}");
        assert_eq!(told.iter().map(|count| *count == 4).collect::<Vec<_>>(), expected.map(|count| count == 4));
    }
    let mut log = begun();
    assert_eq!(of_kubelet(&mut log, 40, "", "", Repeats::AllOver), Written::Ended);
    assert_eq!(counts(&mut log), [4, 4, 4]);
    let mut log = begun();
    let _ = of_kubelet(&mut log, 40, "Starting", "", Repeats::Never);
    assert_eq!(counts(&mut log), [4, 4, 4, 1], "a kubelet that starts knows of nothing that it has repeated");
}

#[test]
fn an_equal_repetition_takes_the_place_of_the_one_before() {
    let mut log = EventLog::default();
    let _ = of_kubelet(&mut log, 0, "BackOff", "a", every(10, None));
    let _ = of_kubelet(&mut log, 14, "BackOff", "a", every(10, Some(34)));
    assert_eq!(shown(&mut log, 100), [("a".into(), 5, 34)], "at 0, 10, 14, 24 and 34 s");
    let _ = of_kubelet(&mut log, 200, "BackOff", "a", every(10, None));
    let _ = of_kubelet(&mut log, 203, "BackOff", "a", every(10, Some(203)));
    assert_eq!(shown(&mut log, 300), [("a".into(), 7, 203)]);
}
