//! Which taints follow from which conditions, and what becomes of conditions that nobody renews.

use super::*;

fn taints(bed: &Testbed, node: &str) -> Vec<String> {
    let node = bed.get::<Node>("", node).unwrap();
    let mut shown: Vec<String> = node
        .spec
        .taints
        .iter()
        .filter_map(|taint| Some(format!("{}:{:?}", taint.key.strip_prefix("node.kubernetes.io/")?, taint.effect)))
        .collect();
    shown.sort();
    shown
}

#[test]
fn each_condition_has_its_taint() {
    use ConditionKind::{DiskPressure, MemoryPressure, NetworkUnavailable, PidPressure, Ready};
    type Conditions = &'static [(ConditionKind, Status3)];
    let table: [(Conditions, &[&str]); 8] = [
        (&[], &[]),
        (&[(NetworkUnavailable, Status3::True)], &["network-unavailable:NoSchedule"]),
        (&[(NetworkUnavailable, Status3::False)], &[]),
        (&[(MemoryPressure, Status3::True)], &["memory-pressure:NoSchedule"]),
        (
            &[(DiskPressure, Status3::True), (PidPressure, Status3::True)],
            &["disk-pressure:NoSchedule", "pid-pressure:NoSchedule"],
        ),
        (&[(MemoryPressure, Status3::Unknown)], &[]),
        (&[(Ready, Status3::False)], &["not-ready:NoExecute", "not-ready:NoSchedule"]),
        (&[(Ready, Status3::Unknown)], &["unreachable:NoExecute", "unreachable:NoSchedule"]),
    ];
    for (conditions, expected) in table {
        let mut bed = cluster(&["a", "a"]);
        bed.run_until(secs(20));
        for (kind, status) in conditions {
            bed.set_node_condition("n0", *kind, *status, "ByTest");
            bed.run_for(Span::ZERO);
        }
        bed.run_until(secs(35));
        assert_eq!(taints(&bed, "n0"), expected, "{conditions:?}");
        for (kind, _) in conditions {
            let status = if *kind == Ready { Status3::True } else { Status3::False };
            bed.set_node_condition("n0", *kind, status, "ByTest");
            bed.run_for(Span::ZERO);
        }
        bed.run_until(secs(60));
        assert_eq!(taints(&bed, "n0"), Vec::<String>::new(), "{conditions:?}, and back");
    }
}

#[test]
fn a_kubelet_that_says_itself_that_its_node_is_not_ready_sees_to_its_pods_itself() {
    for status in [Status3::True, Status3::False, Status3::Unknown] {
        let mut bed = cluster(&["a", "a"]);
        add_pod(&mut bed, "p", "n0", None);
        bed.run_until(secs(20));
        bed.set_node_condition("n0", ConditionKind::Ready, status, "ByTest");
        bed.run_until(secs(60));
        assert!(bed.get::<Pod>("default", "p").unwrap().is_ready(), "only silence has pods marked: {status:?}");
    }
}

#[test]
fn what_a_silent_kubelet_last_said_of_its_node_becomes_unknown_but_for_the_network() {
    let mut bed = cluster(&["a", "a"]);
    for kind in [ConditionKind::MemoryPressure, ConditionKind::NetworkUnavailable] {
        bed.set_node_condition("n0", kind, Status3::False, "ByKubelet");
        bed.run_for(Span::ZERO);
    }
    bed.run_until(secs(20));
    bed.silence(0);
    bed.run_until(secs(100));
    let node = bed.get::<Node>("", "n0").unwrap();
    let shown = |kind| node.status.conditions.get(kind).map(|it| (it.status, it.reason.to_string()));
    let said = |status, reason: &str| Some((status, reason.to_owned()));
    assert_eq!(shown(ConditionKind::Ready), said(Status3::Unknown, "NodeStatusUnknown"));
    assert_eq!(shown(ConditionKind::MemoryPressure), said(Status3::Unknown, "NodeStatusUnknown"));
    assert_eq!(shown(ConditionKind::DiskPressure), said(Status3::Unknown, "NodeStatusNeverUpdated"));
    assert_eq!(shown(ConditionKind::NetworkUnavailable), said(Status3::False, "ByKubelet"));
}

#[test]
fn a_node_that_speaks_once_more_gets_the_whole_grace_from_then() {
    let mut bed = cluster(&["a", "a"]);
    bed.run_until(secs(12));
    bed.create(Node { meta: Meta::named("", "old"), ..Node::default() });
    let containers = vec![Container { name: "app".into(), ..Container::default() }];
    let spec = PodSpec { containers, scheduler_name: "nobody".into(), ..PodSpec::default() };
    let meta = Meta::named("default", "p").into();
    bed.create(Pod { meta, spec: Shared::new(spec), node: Some("old".into()), ..Pod::default() });
    let mut pod = Pod::clone(&bed.get::<Pod>("default", "p").unwrap());
    pod.status.conditions.set(ConditionKind::Ready, Status3::True, "", "", secs(12));
    bed.request(Request::UpdateStatus { object: Object::Pod(Arc::new(pod)), expected: None });
    for at in [20, 58] {
        bed.run_until(secs(at));
        let mut node = Node::clone(&bed.get::<Node>("", "old").unwrap());
        node.status.conditions.set(ConditionKind::Ready, Status3::True, "KubeletReady", "", bed.now());
        node.status.conditions.touch(ConditionKind::Ready, bed.now());
        bed.request(Request::UpdateStatus { object: Object::Node(Arc::new(node)), expected: None });
    }
    bed.run_until(secs(200));
    let node = bed.get::<Node>("", "old").unwrap();
    let shown = |kind| {
        let it = node.status.conditions.get(kind).unwrap();
        (it.status, it.reason.to_string(), it.updated_at)
    };
    let stopped = "NodeStatusUnknown".to_owned();
    assert_eq!(shown(ConditionKind::Ready), (Status3::Unknown, stopped, secs(58)), "when it last spoke is kept");
    for kind in [ConditionKind::MemoryPressure, ConditionKind::DiskPressure, ConditionKind::PidPressure] {
        let never = "NodeStatusNeverUpdated".to_owned();
        assert_eq!(shown(kind), (Status3::Unknown, never, secs(12)), "{kind:?}: as old as the node");
    }
    let since = node.status.conditions.get(ConditionKind::Ready).unwrap().changed_at;
    // Looked at every five seconds: the words of 58 s are seen at 60 s.
    assert_eq!(since, secs(110));
    assert_eq!(times(&bed, "pods/default/p Unready"), [secs(110)], "{:#?}", bed.told());
}

#[test]
fn a_node_lives_by_its_lease_or_by_its_status_and_is_unknown_without_either() {
    // Whether its kubelet renews its lease, and whether it tells of its status every ten seconds, from 100 s on;
    // whether it ever told of it before. What Ready says at 130 s and at 200 s.
    for (renews, tells, had_status, early, late) in [
        (true, false, true, "True", "True"),
        (false, true, true, "True", "True"),
        (true, true, true, "True", "True"),
        (false, false, true, "True", "Unknown"),
        (true, false, false, "none", "none"),
        (false, false, false, "Unknown", "Unknown"),
    ] {
        let mut bed = cluster(&["a", "a"]);
        // Another node lives on, so that the zone is in order.
        bed.stop_renewals();
        let renew = |bed: &mut Testbed, at: u64, host: u32| {
            let number = at * 10 + u64::from(host);
            bed.renew_at(secs(at), host, &format!("n{host}"), number);
        };
        for at in (5..=200).step_by(10) {
            renew(&mut bed, at, 0);
            if at < 100 && had_status || renews {
                renew(&mut bed, at, 1);
            }
        }
        if !had_status {
            let mut bare = Node::clone(&bed.get::<Node>("", "n1").unwrap());
            bare.status.conditions = Default::default();
            bed.request(Request::UpdateStatus { object: Object::Node(Arc::new(bare)), expected: None });
        }
        let ready = |bed: &Testbed| {
            let node = bed.get::<Node>("", "n1").unwrap();
            node.status.conditions.get(ConditionKind::Ready).map_or("none".to_owned(), |it| format!("{:?}", it.status))
        };
        bed.run_until(secs(95));
        let mut seen = Vec::new();
        for at in (100..=200).step_by(10) {
            if tells {
                bed.set_node_condition("n1", ConditionKind::Ready, Status3::True, "KubeletReady");
            }
            bed.run_until(secs(at));
            if at == 130 || at == 200 {
                seen.push(ready(&bed));
            }
        }
        let story = format!("renews {renews}, tells {tells}, had a status {had_status}: {:?}", bed.told());
        assert_eq!(seen, [early, late], "{story}");
    }
}

#[test]
fn whatever_a_node_last_said_is_kept_for_the_grace_and_is_unknown_then() {
    // What Ready last said; what it says forty seconds into the silence, and after seventy.
    for (last, early) in [
        (Some(Status3::True), "True"),
        (Some(Status3::False), "False"),
        (Some(Status3::Unknown), "Unknown"),
        (None, "none"),
    ] {
        let mut bed = cluster(&["a", "a"]);
        bed.run_until(secs(100));
        let mut node = Node::clone(&bed.get::<Node>("", "n1").unwrap());
        match last {
            Some(status) => drop(node.status.conditions.set(ConditionKind::Ready, status, "Said", "", bed.now())),
            None => drop(node.status.conditions.remove(ConditionKind::Ready)),
        }
        bed.request(Request::UpdateStatus { object: Object::Node(Arc::new(node)), expected: None });
        bed.silence(1);
        let ready = |bed: &Testbed| {
            let node = bed.get::<Node>("", "n1").unwrap();
            node.status.conditions.get(ConditionKind::Ready).map_or("none".to_owned(), |it| format!("{:?}", it.status))
        };
        bed.run_until(secs(140));
        assert_eq!(ready(&bed), early, "{last:?}");
        bed.run_until(secs(170));
        assert_eq!(ready(&bed), "Unknown", "{last:?}: {:?}", bed.told());
    }
}

#[test]
fn a_pod_that_could_not_be_marked_is_marked_by_a_later_pass_and_so_is_a_node() {
    let of = |kind: Kind| {
        move |request: &Request| {
            let writes = matches!(request, Request::UpdateStatus { .. } | Request::Patch { .. });
            writes && request.target().is_some_and(|key| key.kind == kind)
        }
    };
    for (kind, refusals) in [(Kind::Pod, 0), (Kind::Pod, 1), (Kind::Pod, 3), (Kind::Node, 1)] {
        let mut bed = cluster(&["a", "a"]);
        add_pod(&mut bed, "p", "n1", None);
        bed.run_until(secs(100));
        assert!(bed.get::<Pod>("default", "p").unwrap().is_ready());
        bed.silence(1);
        bed.refuse(refusals, of(kind));
        bed.run_until(secs(190));
        let ready = |status: Option<crate::model::Condition>| status.map(|it| it.status);
        let node = bed.get::<Node>("", "n1").unwrap();
        assert_eq!(ready(node.status.conditions.get(ConditionKind::Ready)), Some(Status3::Unknown), "{kind:?}");
        let pod = bed.get::<Pod>("default", "p").unwrap();
        assert!(!pod.is_ready(), "{kind:?}, {refusals} refusals: {:?}", bed.told());
        assert_eq!(bed.refusals_left(), 0, "{kind:?}");
    }
}
