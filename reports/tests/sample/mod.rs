//! A made-up record that looks like a real one: six nodes in three zones, a web Deployment of twelve replicas; a node
//! dies at 60 s, is seen NotReady at 107 s, its pods are evicted at 407 s and replaced.

use wavetank_reports::record::*;

pub(crate) const SECOND: u64 = 1_000_000_000;
const END: u64 = 500 * SECOND;
const DIES: u64 = 60 * SECOND;
const NOT_READY: u64 = 107 * SECOND;
const EVICTED: u64 = 407 * SECOND;

pub(crate) fn record() -> RunRecord {
    let pods = pods();
    let services = vec![ServiceRow {
        namespace: "default".into(),
        name: "web".into(),
        first_ready_ns: pods.iter().filter_map(|pod| pod.ready_ns).min(),
        without_endpoints_ns: 0,
        ready_min: 10,
        ready_end: 12,
        not_ready_end: 0,
    }];
    let facts = facts(&pods);
    let series = series(&pods);
    let markers = vec![Marker { from_ns: DIES, to_ns: None, label: "node-2 loses power".into() }];
    RunRecord { summary: summary(), facts, events: events(), pods, nodes: nodes(), services, series, markers }
}

/// A run in which nothing was and nothing happened.
pub(crate) fn empty() -> RunRecord {
    let mut summary = summary();
    (summary.duration_ns, summary.events) = (0, 0);
    (summary.expectations, summary.warnings, summary.not_modelled) = (vec![], vec![], vec![]);
    summary.counts = Counts::default();
    let none = StepSeries::default;
    let series = Series {
        pods_by_phase: none(),
        nodes: none(),
        allocated_cpu: none(),
        allocated_memory: none(),
        endpoints: vec![],
        other: vec![],
    };
    RunRecord {
        summary,
        facts: vec![],
        events: vec![],
        pods: vec![],
        nodes: vec![],
        services: vec![],
        series,
        markers: vec![],
    }
}

pub(crate) fn steps(name: &str, unit: &str, columns: &[&str], rows: Vec<(u64, Vec<i64>)>) -> StepSeries {
    let columns = columns.iter().map(|&column| column.to_owned()).collect();
    StepSeries { name: name.into(), unit: unit.into(), columns, rows }
}

fn summary() -> Summary {
    let expectation =
        |name: &str, kind, expression: &str, held, at: Option<u64>, evidence: &str, line: u32| ExpectationResult {
            name: name.into(),
            kind,
            expression: expression.into(),
            held,
            at_ns: at,
            evidence: evidence.into(),
            place: format!("scenarios/incidents/node-death.yaml:{line}"),
        };
    Summary {
        schema: SCHEMA.into(),
        scenario: "A node dies and its pods move".into(),
        description: "One of six nodes loses power. The node lifecycle controller notices after its grace period, \
                      taints the node, and evicts the pods after their 300 s toleration; the ReplicaSet replaces them \
                      elsewhere."
            .into(),
        file: "scenarios/incidents/node-death.yaml".into(),
        seed: 42,
        world: World::Sim,
        fidelity: "modelled".into(),
        kubernetes_version: "1.34.1".into(),
        wavetank_version: "0.1.0".into(),
        duration_ns: END,
        events: 18_423,
        fingerprint: "9f3a61c07be42d18".into(),
        pinned_fingerprint: None,
        digest: "0d51e7aa93b2c4f6".into(),
        expectations: vec![
            expectation(
                "all replicas come up",
                ExpectationKind::Within,
                "30s: ready(deployment/web) == 12",
                true,
                Some(4_812_000_000),
                "12 of 12 ready",
                31,
            ),
            expectation(
                "the service never runs dry",
                ExpectationKind::Always,
                "endpoints(service/web) > 0",
                true,
                None,
                "never fewer than 10 ready endpoints",
                34,
            ),
            expectation(
                "no more than one replica is lost",
                ExpectationKind::Always,
                "after 30s: ready(deployment/web) >= 11",
                false,
                Some(NOT_READY),
                "10 of 12 ready: web-7c9d5-k02 and web-7c9d5-k08 were on node-2",
                37,
            ),
            expectation(
                "replicas are back",
                ExpectationKind::At,
                "480s: ready(deployment/web) == 12",
                true,
                Some(480 * SECOND),
                "12 of 12 ready",
                40,
            ),
        ],
        counts: Counts {
            pods_created: 14,
            pods_scheduled: 14,
            pods_deleted: 2,
            pods_running_end: 12,
            pods_pending_end: 0,
            pods_succeeded_end: 0,
            pods_failed_end: 0,
            restarts: 0,
            nodes: 6,
            nodes_ready_end: 5,
            faults: 1,
        },
        warnings: vec!["image example/web:1.0 has no stated size: 100 MiB is assumed".into()],
        not_modelled: vec!["Deployment web: spec.template.spec.containers[0].securityContext".into()],
        methods: vec!["scheduler: 2.6 ms per attempt and 2.3 µs per node scored, fitted to scheduler_perf".into()],
        study: None,
    }
}

fn pods() -> Vec<PodRow> {
    (0..14u64)
        .map(|index| {
            let late = index >= 12;
            let node = if late { [4, 5][index as usize - 12] } else { index % 6 + 1 };
            let created = if late { EVICTED + 12_000_000 } else { 510_000_000 + index * 9_000_000 };
            let scheduled = created + 31_000_000 + index * index * 4_300_000;
            let pulled = scheduled + if late { 40_000_000 } else { 1_900_000_000 + (index * 7 % 5) * 230_000_000 };
            let started = pulled + 320_000_000;
            let dead = node == 2 && !late;
            PodRow {
                namespace: "default".into(),
                name: format!("web-7c9d5-k{index:02}").into(),
                owner: "ReplicaSet/web-7c9d5".into(),
                node: Some(format!("node-{node}").into()),
                created_ns: created,
                scheduled_ns: Some(scheduled),
                pulled_ns: Some(pulled),
                started_ns: Some(started),
                ready_ns: Some(started + 1_000_000_000 - (index % 4) * 110_000_000),
                deleted_ns: dead.then_some(EVICTED),
                gone_ns: None,
                restarts: 0,
                phase: "Running".into(),
                reason: if dead { "NodeLost".into() } else { Text::new() },
            }
        })
        .collect()
}

fn nodes() -> Vec<NodeRow> {
    (1..=6u64)
        .map(|index| NodeRow {
            name: format!("node-{index}"),
            zone: format!("zone-{}", ["a", "b", "c"][(index as usize - 1) % 3]),
            cpu_milli: 3_920,
            memory_bytes: 15 << 30,
            pods: 110,
            created_ns: 0,
            ready_ns: Some(120_000_000 + index * 7_000_000),
            gone_ns: None,
            not_ready: if index == 2 { vec![Interval { from_ns: NOT_READY, to_ns: None }] } else { vec![] },
            pods_end: if [4, 5].contains(&index) { 3 } else { 2 },
            pods_max: if [4, 5].contains(&index) { 3 } else { 2 },
        })
        .collect()
}

fn events() -> Vec<EventRow> {
    let event = |first_ns, last_ns, count, kind: &str, reason: &str, message: &str| EventRow {
        first_ns,
        last_ns,
        count,
        kind: kind.into(),
        reason: reason.into(),
        subject: "replicaset/default/web-5d4".into(),
        source: "replicaset-controller".into(),
        message: message.into(),
    };
    vec![
        event(0, 0, 1, "Normal", "SuccessfulCreate", "Created pod: web-5d4-b4kx9"),
        event(1_000_000_000, 9_000_000_000, 4, "Warning", "FailedCreate", "Error creating: no room, \"quota\""),
    ]
}

fn facts(pods: &[PodRow]) -> Vec<FactRow> {
    let mut facts = Vec::new();
    let mut tell = |time_ns: u64, category: &str, subject: String, reason: &str, message: String| {
        facts.push(FactRow::new((time_ns, 0), category, subject, reason, message));
    };
    for node in nodes() {
        tell(
            node.ready_ns.unwrap(),
            "node",
            format!("node/{}", node.name),
            "NodeReady",
            "kubelet is posting ready status".into(),
        );
    }
    tell(500_000_000, "action", "deployment/default/web".into(), "Applied", "12 replicas".into());
    tell(
        505_000_000,
        "deployment",
        "deployment/default/web".into(),
        "ScalingReplicaSet",
        "scaled up web-7c9d5 from 0 to 12".into(),
    );
    for pod in pods {
        let subject = format!("pod/default/{}", pod.name);
        let node = pod.node.clone().unwrap();
        tell(pod.created_ns, "pod", subject.clone(), "Created", "by ReplicaSet/web-7c9d5".into());
        tell(pod.scheduled_ns.unwrap(), "pod", subject.clone(), "Scheduled", format!("to {node}"));
        tell(pod.pulled_ns.unwrap(), "pod", subject.clone(), "Pulled", "example/web:1.0".into());
        tell(pod.started_ns.unwrap(), "pod", subject.clone(), "Started", "container web".into());
        tell(pod.ready_ns.unwrap(), "pod", subject.clone(), "Ready", String::new());
        if let Some(deleted) = pod.deleted_ns {
            tell(NOT_READY, "pod", subject.clone(), "NodeNotReady", format!("{node} is not ready"));
            tell(
                deleted,
                "pod",
                subject,
                "TaintManagerEviction",
                "node.kubernetes.io/unreachable, tolerated for 300 s".into(),
            );
        }
    }
    tell(DIES, "fault", "node/node-2".into(), "PowerLoss", "node-2 loses power".into());
    tell(NOT_READY, "node", "node/node-2".into(), "NodeNotReady", "no lease renewal for 40 s".into());
    tell(NOT_READY, "service", "service/default/web".into(), "EndpointsChanged", "10 ready, 2 not ready".into());
    tell(NOT_READY, "expectation", "no more than one replica is lost".into(), "Broken", "10 of 12 ready".into());
    facts.sort_by_key(|fact| fact.time_ns);
    for (seq, fact) in (0..).zip(&mut facts) {
        fact.seq = seq;
    }
    facts
}

fn series(pods: &[PodRow]) -> Series {
    let mut instants: Vec<u64> = vec![0, NOT_READY, EVICTED];
    for pod in pods {
        instants.push(pod.created_ns);
        instants.extend([pod.scheduled_ns, pod.started_ns, pod.ready_ns].into_iter().flatten());
    }
    instants.sort_unstable();
    instants.dedup();
    let over = |values: &dyn Fn(u64) -> Vec<i64>| instants.iter().map(|&at| (at, values(at))).collect::<Vec<_>>();
    let endpoints = |at| {
        let count = |phase: usize| pods.iter().filter(|pod| phase_at(pod, at) == Some(phase)).count() as i64;
        vec![count(0), count(1)]
    };
    let by_phase =
        |at| (0..7).map(|phase| pods.iter().filter(|pod| phase_at(pod, at) == Some(phase)).count() as i64).collect();
    let shares = |per_pod: i64| {
        move |at| {
            let bound = |zone: Option<u64>| {
                let here = |pod: &&PodRow| {
                    let node: u64 = pod.node.as_ref().unwrap()[5..].parse().unwrap();
                    pod.scheduled_ns.unwrap() <= at
                        && pod.deleted_ns.is_none_or(|gone| at < gone)
                        && zone.is_none_or(|zone| (node - 1) % 3 == zone)
                };
                pods.iter().filter(here).count() as i64
            };
            vec![
                bound(None) * per_pod / 6,
                bound(Some(0)) * per_pod / 2,
                bound(Some(1)) * per_pod / 2,
                bound(Some(2)) * per_pod / 2,
            ]
        }
    };
    let zones = ["total", "zone-a", "zone-b", "zone-c"];
    let ready = |at| {
        if at < 1 {
            vec![0, 6]
        } else if at < NOT_READY {
            vec![6, 0]
        } else {
            vec![5, 1]
        }
    };
    Series {
        pods_by_phase: steps("pods by phase", "pods", &POD_PHASES, over(&by_phase)),
        nodes: steps("nodes", "nodes", &["ready", "not_ready"], over(&ready)),
        allocated_cpu: steps("allocated cpu", "per mille", &zones, over(&shares(127))),
        allocated_memory: steps("allocated memory", "per mille", &zones, over(&shares(33))),
        endpoints: vec![steps("default/web", "endpoints", &["ready", "not_ready"], over(&endpoints))],
        other: vec![steps(
            "etcd database size",
            "MiB",
            &["member-0", "member-1"],
            vec![(0, vec![2, 2]), (90 * SECOND, vec![14, 12]), (300 * SECOND, vec![31, 30])],
        )],
    }
}

fn phase_at(pod: &PodRow, at: u64) -> Option<usize> {
    let past = |time: Option<u64>| time.is_some_and(|time| time <= at);
    if at < pod.created_ns || past(pod.gone_ns) {
        None
    } else if past(pod.deleted_ns) {
        Some(4)
    } else if pod.node.as_deref() == Some("node-2") && at >= NOT_READY {
        Some(1)
    } else if past(pod.ready_ns) {
        Some(0)
    } else if past(pod.started_ns) {
        Some(1)
    } else {
        Some(if past(pod.scheduled_ns) { 2 } else { 3 })
    }
}
