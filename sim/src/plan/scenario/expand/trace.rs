//! A recorded workload to machines and requests.

use std::collections::BTreeMap;
use std::sync::Arc;

use wavetank_core::api::{Propagation, Request};
use wavetank_core::digest::Shared;
use wavetank_core::kubelet::Boot;
use wavetank_core::model::{
    Container, Kind, Labels, Meta, Object, ObjectKey, Pod, PodSpec, Resources, SelectorOperator, SelectorRequirement,
};
use wavetank_core::scheduler::gpu::{GPU_MILLI, GPU_MODEL, WHOLE};
use wavetank_core::time::{Span, Time};
use wavetank_manifest::{Errors, Spanned};

use super::Problems;
use super::machines::{Fleet, MACHINES_MAX, PULL_BYTES_PER_SECOND};
use crate::plan::scenario::Inputs;
use crate::plan::scenario::format::{Arrivals, DrawsOf, NameAt, Order, Spec, Trace, TypicalPods, Workload};
use crate::plan::trace::{self, Choices, TraceNode, TracePod};
use crate::plan::{HostPlan, Plan, Step};

/// How many pods a machine of a trace takes: as many as in the study that the trace was published with.
const PODS_PER_NODE: i64 = 1_001;
/// Between two pods that come one by one.
const INTERVAL: Span = Span::from_secs(1);
/// The namespace of a trace's pods.
const NAMESPACE: &str = "default";
/// The share of all pods that typical kinds make up, per mille.
const TYPICAL_PER_MILLE: u64 = 950;
/// The largest demand, in clusters: more would take long and say nothing.
const DEMAND_MAX: f64 = 100.0;

/// Adds the scenario's trace to the plan.
pub(super) fn expand(spec: &Spec, inputs: &mut Inputs, fleet: &mut Fleet, plan: &mut Plan, problems: &mut Problems) {
    let Some(workload) = &spec.workload else {
        if spec.nodes.is_empty() {
            problems.add(
                spec.duration.span,
                "spec.nodes",
                "expected machines: nodes, or a workload whose trace has them",
            );
        }
        return;
    };
    let Workload { trace, typical_pods } = &workload.value;
    let nodes =
        trace.nodes.as_ref().and_then(|file| Some((file, read(file, "nodes", inputs, problems, trace::nodes)?)));
    if trace.nodes.is_none() && spec.nodes.is_empty() {
        problems.add(workload.span, "spec.workload.trace.nodes", "expected machines: here, or as spec.nodes");
    }
    let seed = plan.config.seed;
    let mut choices = match trace.draws {
        DrawsOf::Own => Choices::Own { seed },
        DrawsOf::Published => Choices::published(seed),
    };
    if let Some(mut pods) = read(&trace.pods, "pods", inputs, problems, trace::pods) {
        typical(typical_pods, &pods, plan, problems);
        if trace.order == Order::Shuffled {
            trace::pod_order(&mut choices, &mut pods);
        }
        if let Some(demand) = &trace.demand {
            let of_trace =
                nodes.iter().flat_map(|(_, nodes)| nodes).map(|node| i64::from(node.gpus) * i64::from(WHOLE));
            let of_hosts = plan.hosts.iter().map(|host| host.boot.allocatable.extended.get(GPU_MILLI).copied());
            let gpu_milli = of_trace.sum::<i64>() + of_hosts.map(Option::unwrap_or_default).sum::<i64>();
            scale(&mut choices, &mut pods, demand, gpu_milli, problems);
        }
        arrivals(trace, &pods, plan, problems);
    }
    if let Some((file, nodes)) = nodes {
        let order = (trace.node_order == Order::Shuffled).then(|| trace::node_order(&mut choices, &nodes));
        machines(file, &nodes, order, fleet, plan, problems);
    }
}

/// What the workload is typically made of.
fn typical(wanted: &TypicalPods, pods: &[TracePod], plan: &mut Plan, problems: &mut Problems) {
    let share = wanted.share.as_ref();
    let per_mille = share.map_or(TYPICAL_PER_MILLE, |share| (share.value * 1_000.0).round() as u64);
    if let Some(share) = share.filter(|share| !(0.0..=1.0).contains(&share.value)) {
        let message = format!("expected a share between 0 and 1, found {}", share.value);
        problems.add(share.span, "spec.workload.typicalPods.share", message);
    }
    plan.typical_pods = trace::typical_pods(pods, per_mille, wanted.cpu_pods.unwrap_or(true));
}

/// Repeats pods or leaves some out until they ask for a share of so much GPU.
fn scale(
    choices: &mut Choices,
    pods: &mut Vec<TracePod>,
    demand: &Spanned<f64>,
    gpu_milli: i64,
    problems: &mut Problems,
) {
    let path = "spec.workload.trace.demand";
    if !(0.0..=DEMAND_MAX).contains(&demand.value) {
        let message = format!("expected a share of the cluster's GPUs of 0 to {DEMAND_MAX}, found {}", demand.value);
        problems.add(demand.span, path, message);
    } else if gpu_milli == 0 {
        let message = format!("no machine has GPUs ({GPU_MILLI}), so no demand is a share of them");
        problems.add(demand.span, path, message);
    } else {
        trace::scale_to_demand(choices, pods, (gpu_milli as f64 * demand.value).floor() as i64);
    }
}

/// What a plan that only places pods cannot have.
pub(super) fn check_placement(spec: &Spec, plan: &Plan, problems: &mut Problems) {
    let path = "spec.controlPlane.fidelity";
    let place = spec.duration.span;
    let placed = |request: &Request| match request {
        Request::Create(object) | Request::Apply { object, .. } => {
            use Kind::{ConfigMap, Namespace, Pod, Secret, Service, ServiceAccount};
            matches!(object.key().kind, Pod | Namespace | Service | ConfigMap | Secret | ServiceAccount)
        }
        Request::Delete { key, .. } => key.kind == Kind::Pod,
        _ => false,
    };
    if let Some(step) = plan.steps.iter().find(|step| !placed(&step.request)) {
        let what = format!("placement alone has no controllers: {} ({}) would have no effect", step.label, step.place);
        problems.add(place, path, what);
    }
    if let Some(fault) = plan.faults.first() {
        problems.add(place, path, format!("placement alone has no faults: {} ({})", fault.label, fault.place));
    }
    if let Some(late) = plan.hosts.iter().find(|host| host.starts_at != Time::ZERO) {
        problems.add(place, path, format!("placement alone has all nodes from the start: {}", late.boot.node));
    }
}

fn read<T>(
    file: &NameAt,
    field: &str,
    inputs: &mut Inputs,
    problems: &mut Problems,
    reader: impl Fn(&str, &str) -> Result<Vec<T>, Errors>,
) -> Option<Vec<T>> {
    match inputs.file(&file.value) {
        Err(message) => {
            problems.add(file.span, &format!("spec.workload.trace.{field}"), message);
            None
        }
        Ok((name, text)) => match reader(&name, &text) {
            Ok(rows) => Some(rows),
            Err(errors) => {
                problems.extend(errors);
                None
            }
        },
    }
}

/// The machines, their names numbered in an order if there is one.
fn machines(
    file: &NameAt,
    nodes: &[TraceNode],
    order: Option<Vec<usize>>,
    fleet: &mut Fleet,
    plan: &mut Plan,
    problems: &mut Problems,
) {
    if plan.hosts.len() + nodes.len() > MACHINES_MAX {
        let message = format!("{} machines are too many: at most {MACHINES_MAX}", plan.hosts.len() + nodes.len());
        return problems.add(file.span, "spec.workload.trace.nodes", message);
    }
    for (index, node) in nodes.iter().enumerate() {
        // The number sorts before everything else in the name, and is as long as the longest.
        let name = match &order {
            Some(order) => format!("{:0width$}-{}", order[index], node.name, width = nodes.len().to_string().len()),
            None => node.name.clone(),
        };
        let host = machine(&name, node, plan.hosts.len() as u32 + 1);
        if !fleet.add(&name, host, plan) {
            problems.add(file.span, "spec.workload.trace.nodes", format!("there are two nodes of the name {name:?}"));
        }
    }
}

fn machine(name: &str, node: &TraceNode, number: u32) -> HostPlan {
    let mut capacity = Resources {
        cpu_milli: node.cpu_milli,
        memory_bytes: node.memory_mib << 20,
        pods: PODS_PER_NODE,
        ..Resources::default()
    };
    let mut labels: BTreeMap<String, String> = [("kubernetes.io/os", "linux"), ("kubernetes.io/arch", "amd64")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    labels.insert("kubernetes.io/hostname".to_owned(), name.to_owned());
    if node.gpus > 0 {
        capacity.extended.insert(GPU_MILLI.into(), i64::from(node.gpus) * i64::from(WHOLE));
        labels.insert(GPU_MODEL.to_owned(), node.model.clone());
    }
    let boot = Boot {
        node: name.into(),
        labels: Labels::new(labels),
        allocatable: capacity.clone(),
        capacity,
        taints: Vec::new(),
        address: format!("172.{}.{}.{}", 16 + (number >> 16), (number >> 8) & 255, number & 255).into(),
        pod_network: format!("10.{}.{}", (number >> 8) & 255, number & 255).into(),
        static_pods: Vec::new(),
    };
    HostPlan {
        boot: Arc::new(boot),
        starts_at: Time::ZERO,
        pull_bytes_per_second: PULL_BYTES_PER_SECOND,
        images: Vec::new(),
        image_filesystem_bytes: None,
        pids: 0,
    }
}

/// The pods' requests. Pods of one kind share their spec.
fn arrivals(trace: &Trace, pods: &[TracePod], plan: &mut Plan, problems: &mut Problems) {
    let interval = trace.interval.map_or(INTERVAL, |interval| interval.value.0);
    let path = "spec.workload.trace";
    if let Some(interval) = trace.interval.filter(|_| trace.arrivals == Arrivals::Recorded) {
        problems.add(interval.span, &format!("{path}.interval"), "an interval is for pods that come oneByOne");
    }
    let first = pods.iter().filter_map(|pod| pod.created_s).min().unwrap_or(0);
    let mut specs: BTreeMap<(i64, i64, i64, &[_]), Shared<PodSpec>> = BTreeMap::new();
    let mut steps = Vec::with_capacity(pods.len());
    for (index, pod) in pods.iter().enumerate() {
        let kind = (pod.cpu_milli, pod.memory_mib, pod.gpu.total(), pod.models.as_slice());
        let spec = specs.entry(kind).or_insert_with(|| Shared::new(spec_of(pod))).clone();
        let meta = Meta::named(NAMESPACE, &pod.name);
        let request = Request::Create(Object::Pod(Arc::new(Pod { meta: meta.into(), spec, ..Pod::default() })));
        let step = |at: Time, request: Request| Step { at, request, label: String::new(), place: String::new() };
        match trace.arrivals {
            Arrivals::OneByOne => {
                steps.push(step(Time::ZERO.saturating_add(interval.scaled(index as u64, 1)), request))
            }
            Arrivals::Recorded => {
                let Some(created) = pod.created_s else {
                    let message = format!("pod {:?} has no creation_time, so it cannot come as recorded", pod.name);
                    return problems.add(trace.pods.span, &format!("{path}.arrivals"), message);
                };
                let at = |seconds: u64| Time::ZERO.saturating_add(Span::from_secs(seconds - first));
                steps.push(step(at(created), request));
                if let Some(deleted) = pod.deleted_s {
                    let key = ObjectKey::new(Kind::Pod, NAMESPACE, &pod.name);
                    let propagation = Propagation::Background;
                    let grace = Some(Span::ZERO);
                    steps.push(step(at(deleted), Request::Delete { key, uid: None, grace, propagation }));
                }
            }
        }
    }
    // Whoever leaves at an instant makes room for whoever comes then.
    steps.sort_by_key(|step| (step.at, matches!(step.request, Request::Create(_))));
    plan.steps.extend(steps);
}

fn spec_of(pod: &TracePod) -> PodSpec {
    let mut requests =
        Resources { cpu_milli: pod.cpu_milli, memory_bytes: pod.memory_mib << 20, ..Resources::default() };
    if !pod.gpu.is_none() {
        requests.extended.insert(GPU_MILLI.into(), pod.gpu.total());
    }
    let container = Container {
        name: "main".into(),
        image: "trace".into(),
        requests: requests.clone(),
        limits: requests,
        ..Container::default()
    };
    let mut spec = PodSpec { containers: vec![container], ..PodSpec::default() };
    if !pod.models.is_empty() {
        let values = pod.models.clone();
        let models = SelectorRequirement { key: GPU_MODEL.into(), operator: SelectorOperator::In, values };
        spec.required_node_affinity = vec![vec![models]];
    }
    spec
}
