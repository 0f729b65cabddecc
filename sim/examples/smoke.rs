use std::sync::Arc;
use wavetank_core::api::Request;
use wavetank_core::config::*;
use wavetank_core::digest::Shared;
use wavetank_core::id::HostId;
use wavetank_core::kubelet::Boot;
use wavetank_core::model::*;
use wavetank_core::time::*;
use wavetank_sim::plan::*;
use wavetank_sim::world::*;
struct O;
fn main() {
    let nodes: u32 = std::env::args().nth(1).unwrap().parse().unwrap();
    let pods: u32 = std::env::args().nth(2).unwrap().parse().unwrap();
    let secs: u64 = std::env::args().nth(3).unwrap().parse().unwrap();
    let kill = std::env::args().nth(4).is_some();
    let mut plan = Plan { duration: Span::from_secs(secs), ..Plan::default() };
    plan.config.seed = 42;
    plan.config.heartbeats = Heartbeats::Analytic;
    plan.config.controller_manager.client_limit = None;
    plan.config.scheduler.client_limit = None;
    for n in 0..nodes {
        let res = Resources { cpu_milli: 8000, memory_bytes: 32 << 30, pods: 110, ..Resources::default() };
        let name = format!("node-{n}");
        plan.hosts.push(HostPlan {
            boot: Arc::new(Boot {
                node: name.as_str().into(),
                labels: Labels::new([
                    ("kubernetes.io/hostname".to_string(), name.clone()),
                    ("topology.kubernetes.io/zone".into(), format!("z{}", n % 3)),
                ]),
                capacity: res.clone(),
                allocatable: res,
                taints: vec![],
                address: format!("192.168.{}.{}", n / 250, n % 250).into(),
                pod_network: format!("10.{}.{}", n / 250, n % 250).into(),
            }),
            starts_at: Time::ZERO,
            pull_bytes_per_second: 100_000_000,
            images: vec![],
        });
    }
    let step = |at, request| Step { at, request, label: "x".into(), place: "y".into() };
    plan.steps.push(step(
        Time::ZERO,
        Request::Create(Object::Namespace(Arc::new(Namespace { meta: Meta::named("", "default") }))),
    ));
    let c = Container {
        name: "app".into(),
        image: "web:1".into(),
        requests: Resources { cpu_milli: 100, memory_bytes: 64 << 20, ..Resources::default() },
        ..Container::default()
    };
    let spec = PodSpec { containers: vec![c], ..PodSpec::default() };
    let labels = Labels::new([("app", "web")]);
    let dep = Deployment {
        meta: Meta::named("default", "web"),
        replicas: pods,
        selector: Selector::from_labels(labels.clone()),
        template: PodTemplate { labels: labels.clone(), annotations: Labels::default(), spec: Shared::new(spec) },
        revision_history_limit: 10,
        progress_deadline: Some(Span::from_secs(600)),
        ..Deployment::default()
    };
    plan.steps.push(step(Time::ZERO, Request::Create(Object::Deployment(Arc::new(dep)))));
    let svc = Service {
        meta: Meta::named("default", "web"),
        selector: Some(labels),
        ports: vec![ServicePort {
            name: "".into(),
            protocol: Protocol::Tcp,
            port: 80,
            target: IntOrName::Int(8080),
            node_port: None,
        }],
        ..Service::default()
    };
    if std::env::var("SVC").is_ok() {
        plan.steps.push(step(Time::ZERO, Request::Create(Object::Service(Arc::new(svc)))));
    }
    if kill {
        plan.faults.push(Fault {
            from: Time::from_secs(60),
            to: None,
            kind: FaultKind::Crash { hosts: vec![HostId(1)] },
            label: "crash".into(),
            place: "p".into(),
        });
    }
    let out = run(&plan, &mut Unobserved);
    if pods < 100 {
        for (t, f) in &out.facts {
            println!("{t} {} {}: {}", f.subject, f.what.reason(), f.what);
        }
    }
    println!("{} steps {} facts {} fp {} digest {}", out.end, out.steps, out.facts.len(), out.fingerprint, out.digest);
}
