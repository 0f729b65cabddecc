//! A plain cluster for benchmarks: equal machines in three zones, and one ReplicaSet behind one Service unless a
//! benchmark has other steps.

use std::sync::Arc;

use wavetank_core::api::Request;
use wavetank_core::config::{Config, KubeletConfig};
use wavetank_core::digest::Shared;
use wavetank_core::kubelet::Boot;
use wavetank_core::model::{
    Container, Labels, Meta, Namespace, Object, PodSpec, PodTemplate, ReplicaSet, Resources, Selector, Service,
};
use wavetank_core::time::{Span, Time};
use wavetank_sim::plan::{Behaviour, Delay, Exit, HostPlan, LinkProfile, NetworkPlan, Plan, Step};

/// A cluster of `nodes` machines with `pods` pods under one seed. Requests take milliseconds; a pod is ready a second
/// or two after it is bound.
pub(crate) fn plan(seed: u64, nodes: u32, pods: u32) -> Plan {
    let kubelet = KubeletConfig { relist_period: Span::ZERO, ..KubeletConfig::default() };
    let millis = |milli| Delay::Constant(Span::from_millis(milli));
    Plan {
        config: Config { seed, kubelet, ..Config::default() },
        network: NetworkPlan {
            request: millis(2),
            response: millis(1),
            watch: Delay::Uniform { min: Span::from_millis(1), max: Span::from_millis(10) },
            persist: millis(2),
            node: LinkProfile {
                delay: Delay::Uniform { min: Span::from_micros(500), max: Span::from_millis(5) },
                loss_per_million: 0,
            },
        },
        hosts: (0..nodes).map(host).collect(),
        behaviours: vec![Behaviour {
            namespace: None,
            pods: Selector::default(),
            container: None,
            start_delay: Delay::Uniform { min: Span::from_millis(500), max: Span::from_millis(1_500) },
            readiness_delay: Delay::Constant(Span::from_secs(1)),
            run_time: None,
            exit: Exit::Code(0),
            stop_delay: Delay::Constant(Span::from_secs(1)),
            which: Default::default(),
            hooks: Default::default(),
            health: Default::default(),
            usage: Default::default(),
        }],
        steps: [namespace(), service(), replica_set(pods)].map(created_at_zero).to_vec(),
        duration: Span::from_secs(600),
        ..Plan::default()
    }
}

fn host(index: u32) -> HostPlan {
    let name = format!("node-{index}");
    let zone = ["a", "b", "c"][index as usize % 3];
    let capacity = Resources { cpu_milli: 8_000, memory_bytes: 32 << 30, pods: 110, ..Resources::default() };
    let boot = Boot {
        node: name.as_str().into(),
        labels: Labels::new([("kubernetes.io/hostname", name.as_str()), ("topology.kubernetes.io/zone", zone)]),
        capacity: capacity.clone(),
        allocatable: capacity,
        taints: Vec::new(),
        address: format!("192.168.{}.{}", index / 250, index % 250 + 1).into(),
        pod_network: "".into(),
        static_pods: Vec::new(),
    };
    HostPlan {
        boot: Arc::new(boot),
        starts_at: Time::ZERO,
        pull_bytes_per_second: 100_000_000,
        images: vec!["web:1".into()],
        image_filesystem_bytes: None,
        pids: 0,
    }
}

fn labels() -> Labels {
    Labels::new([("app", "web")])
}

fn namespace() -> Object {
    Object::Namespace(Arc::new(Namespace::named("default")))
}

fn service() -> Object {
    Object::Service(Arc::new(Service {
        meta: Meta::named("default", "web"),
        selector: Some(labels()),
        ..Service::default()
    }))
}

fn replica_set(replicas: u32) -> Object {
    let container = Container {
        name: "app".into(),
        image: "web:1".into(),
        requests: Resources { cpu_milli: 50, ..Resources::default() },
        ..Container::default()
    };
    let spec = Shared::new(PodSpec { containers: vec![container], ..PodSpec::default() });
    let template = PodTemplate { labels: labels(), spec, ..PodTemplate::default() };
    Object::ReplicaSet(Arc::new(ReplicaSet {
        meta: Meta::named("default", "web"),
        replicas,
        selector: Selector::from_labels(labels()),
        template,
        ..ReplicaSet::default()
    }))
}

fn created_at_zero(object: Object) -> Step {
    let label = format!("create {}", object.key());
    Step { at: Time::ZERO, request: Request::Create(object), label, place: "benches/cluster".into() }
}
