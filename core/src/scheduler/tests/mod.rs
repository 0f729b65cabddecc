//! Stories of the whole scheduler process on the test bed.

mod oracle;

use crate::config::Config;
use crate::digest::Shared;
use crate::model::{Container, Meta, Pod, PodSpec, Resources};
use crate::testbed::Testbed;
use crate::time::Span;

fn pod(name: &str, cpu_milli: i64) -> Pod {
    let requests = Resources { cpu_milli, memory_bytes: 64 << 20, ..Resources::default() };
    let container = Container { name: "app".into(), requests, ..Container::default() };
    let spec = PodSpec { containers: vec![container], ..PodSpec::default() };
    Pod { meta: Meta::named("default", name), spec: Shared::new(spec), ..Pod::default() }
}

#[test]
fn pods_spread_over_empty_nodes_and_the_last_one_waits_for_room() {
    let mut bed = Testbed::new(Config::default());
    bed.add_node(0, "n1", "a", 1_000, 1 << 30);
    bed.add_node(1, "n2", "b", 1_000, 1 << 30);
    for name in ["p1", "p2", "p3"] {
        bed.create(pod(name, 600));
    }
    bed.run_for(Span::from_secs(5));
    let node = |bed: &Testbed, name: &str| bed.get::<Pod>("default", name).and_then(|pod| pod.node.clone());
    assert_ne!(node(&bed, "p1"), node(&bed, "p2"), "{:#?}", bed.told());
    assert_eq!(node(&bed, "p3"), None);
    let told = bed.told();
    let failed: Vec<&String> = told.iter().filter(|line| line.contains("FailedScheduling")).collect();
    assert_eq!(failed.len(), 1, "{told:#?}");
    assert!(
        failed[0].ends_with(
            "0/2 nodes are available: 2 Insufficient cpu. no new claims to deallocate, preemption: \
             0/2 nodes are available: 2 No preemption victims found for incoming pod."
        ),
        "{failed:?}"
    );
    bed.add_node(2, "n3", "a", 1_000, 1 << 30);
    bed.run_for(Span::from_secs(5));
    assert_eq!(node(&bed, "p3").as_deref(), Some("n3"), "{:#?}", bed.told());
}
