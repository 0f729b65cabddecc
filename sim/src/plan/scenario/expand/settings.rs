//! The control plane's settings.

use wavetank_core::api::admission::wrong_level;
use wavetank_core::config::{Config, Heartbeats, PodSecurityLevel, PolicyConfig, RateLimit, SchedulingCost, Ties};
use wavetank_core::scheduler::policies::{self, KUBERNETES_SCORES};
use wavetank_core::time::Span;
use wavetank_manifest::scheduler_configuration::SchedulerConfiguration;
use wavetank_manifest::{Error, Errors, Node, Value};

use super::Problems;
use super::ranges::Ranges;
use crate::plan::scenario::Inputs;
use crate::plan::scenario::format::{self, ControlPlane, Duration, Fidelity, NameAt, Scenario, Spec};
use crate::plan::{Delay, LinkProfile, NetworkPlan, Plan};

/// The largest weight of a score, as in KubeSchedulerConfiguration: weights times 100 stay within 32 bits.
const WEIGHT_MAX: i64 = 1_000;

/// Between components of one data centre; documented in `docs/scenario-format.md`.
fn modelled_network() -> NetworkPlan {
    let between = |min: u64, max: u64| Delay::Uniform { min: Span::from_micros(min), max: Span::from_micros(max) };
    NetworkPlan {
        request: between(2_000, 8_000),
        response: between(200, 1_000),
        watch: between(2_000, 15_000),
        persist: between(1_000, 5_000),
        node: LinkProfile { delay: between(500, 2_000), loss_per_million: 0 },
    }
}

pub(super) fn apply(plan: &mut Plan, scenario: &Scenario, problems: &mut Problems, tree: &Node, inputs: &mut Inputs) {
    let control = &scenario.spec.control_plane;
    let mut config = Config { seed: scenario.spec.seed, ..Config::default() };
    match scenario.epoch() {
        Ok(epoch) => config.epoch = epoch,
        Err(message) => {
            let place = scenario.spec.start_time.as_ref().map_or_else(Default::default, |start| start.span);
            problems.add(place, "spec.startTime", message);
        }
    }
    match control.fidelity {
        Fidelity::Modelled => {
            plan.network = modelled_network();
            config.scheduler.cost = SchedulingCost::KUBERNETES_1_34;
        }
        Fidelity::Instant | Fidelity::Placement => {
            config.controller_manager.client_limit = None;
            config.scheduler.client_limit = None;
        }
    }
    let network = &mut plan.network;
    let set = |slot: &mut Delay, value: &Option<format::Spread>| {
        if let Some(spread) = value {
            *slot = spread.0.clone();
        }
    };
    set(&mut network.request, &control.api_latency);
    set(&mut network.watch, &control.watch_delay);
    set(&mut network.persist, &control.persist_delay);
    if let Some(link) = &control.node_link {
        network.node = LinkProfile { delay: link.delay.0.clone(), loss_per_million: link.loss_per_million };
    }
    if control.scheduler_configuration.is_some() {
        match scheduler_configuration(tree, inputs) {
            Ok(configuration) => configuration.apply(&mut config.scheduler),
            Err(errors) => problems.errors.extend(errors.0),
        }
    }
    flags(&mut config, control);
    pod_security(&mut config, control, problems);
    let mut ranges = Ranges { problems: &mut *problems, tree };
    rates(&mut config, control, &mut ranges);
    ranges.check(control, &config);
    super::kubelet::apply(&mut config.kubelet, &control.kubelet, problems);
    plan.config = config;
    plan.placement_only = control.fidelity == Fidelity::Placement;
}

/// The configuration of PodSecurity: levels and versions must be known.
fn pod_security(config: &mut Config, control: &ControlPlane, problems: &mut Problems) {
    let (into, written) = (&mut config.api_server.pod_security, &control.pod_security);
    let modes = [
        ("enforce", &mut into.enforce, &written.enforce),
        ("audit", &mut into.audit, &written.audit),
        ("warn", &mut into.warn, &written.warn),
    ];
    for (mode, slot, written) in modes {
        let Some(written) = written else { continue };
        let (level, version) = written.value.split_once(':').unwrap_or((&written.value, "latest"));
        match wrong_level(level, version) {
            None => *slot = PodSecurityLevel { level: level.into(), version: version.into() },
            Some(why) => {
                let path = format!("spec.controlPlane.podSecurity.{mode}");
                problems.add(written.span, &path, format!("{why}, found {:?}", written.value));
            }
        }
    }
    into.exempt_namespaces = written.exempt_namespaces.iter().map(|name| name.as_str().into()).collect();
}

/// The scheduler's policy: its names must be those of policies or of Kubernetes' scores.
pub(super) fn policy(spec: &Spec, plan: &mut Plan, problems: &mut Problems) {
    let Some(policy) = &spec.control_plane.policy else { return };
    let path = "spec.controlPlane.policy";
    let place = |name: &NameAt| if name.span == Default::default() { policy.span } else { name.span };
    let mut config = PolicyConfig { typical_pods: plan.typical_pods.clone(), ..PolicyConfig::default() };
    let scorers = || policies::ALL.iter().filter(|listed| listed.scores).map(|listed| listed.name);
    for (name, weight) in &policy.value.scores {
        let listed = scorers().chain(KUBERNETES_SCORES).find(|known| *known == name.value);
        let path = format!("{path}.scores.{}", name.value);
        match listed {
            None => {
                let known = scorers().chain(KUBERNETES_SCORES).chain([format::DEFAULT_POLICY]);
                problems.unknown(place(name), &path, "policy", &name.value, known);
            }
            Some(_) if !(1..=WEIGHT_MAX).contains(weight) => {
                problems.add(place(name), &path, format!("expected a weight of 1 to {WEIGHT_MAX}, found {weight}"));
            }
            Some(name_known) => {
                let needs = policies::find(name_known).is_some_and(|listed| listed.needs_typical_pods);
                if needs && plan.typical_pods.kinds.is_empty() {
                    let message = format!("{name_known} has to know the workload's typical pods: give spec.workload");
                    problems.add(place(name), &path, message);
                }
                config.scores.push((name.value.as_str().into(), *weight));
            }
        }
    }
    for name in &policy.value.filters {
        if policies::find(&name.value).is_none() {
            let known = policies::ALL.iter().map(|listed| listed.name);
            problems.unknown(name.span, &format!("{path}.filters"), "policy", &name.value, known);
        }
        config.filters.push(name.value.as_str().into());
    }
    let is_default = policy.value.scores.is_empty() && policy.value.filters.is_empty();
    plan.config.scheduler.policy = (!is_default).then_some(config);
}

/// A configuration in place or the file of a path. Fields of the scenario beside it win.
fn scheduler_configuration(tree: &Node, inputs: &mut Inputs) -> Result<SchedulerConfiguration, Errors> {
    let path = "spec.controlPlane.schedulerConfiguration";
    let node = tree.find(path).expect("the field was read from here");
    let refuse =
        |message: String, inputs: &Inputs| Errors::from(Error::new(&inputs.name, node.span.start(), path, message));
    match &node.value {
        Value::String(written) => {
            let (name, text) = inputs.file(written).map_err(|message| refuse(message, inputs))?;
            SchedulerConfiguration::read(&name, &text)
        }
        Value::Map(_) => SchedulerConfiguration::from_node(&inputs.name, node),
        other => {
            let found = other.describe();
            Err(refuse(format!("expected a path or a KubeSchedulerConfiguration, found {found}"), inputs))
        }
    }
}

fn flags(config: &mut Config, control: &ControlPlane) {
    fn set(slot: &mut Span, value: Option<Duration>) {
        if let Some(Duration(span)) = value {
            *slot = span;
        }
    }
    let manager = &mut config.controller_manager;
    manager.client_limit = limit(manager.client_limit, control.kube_api_qps, control.kube_api_burst);
    manager.concurrent_syncs = control.concurrent_syncs.unwrap_or(manager.concurrent_syncs);
    set(&mut manager.node_monitor_period, control.node_monitor_period);
    set(&mut manager.node_monitor_grace_period, control.node_monitor_grace_period);
    set(&mut manager.node_startup_grace_period, control.node_startup_grace_period);
    let large = control.large_cluster_size_threshold;
    manager.large_cluster_size_threshold = large.unwrap_or(manager.large_cluster_size_threshold);
    let scheduler = &mut config.scheduler;
    scheduler.client_limit = limit(scheduler.client_limit, control.scheduler_qps, control.scheduler_burst);
    scheduler.ties = match control.ties {
        Some(format::Ties::First) => Ties::First,
        Some(format::Ties::Seeded) | None => Ties::Seeded,
    };
    let percentage = control.percentage_of_nodes_to_score;
    scheduler.percentage_of_nodes_to_score = percentage.unwrap_or(scheduler.percentage_of_nodes_to_score);
    if let Some(Duration(span)) = control.scheduling_cycle_time {
        scheduler.cost = SchedulingCost::constant(span);
    }
    let (cost, written) = (&mut scheduler.cost, &control.scheduling_cost);
    set(&mut cost.attempt, written.attempt);
    set(&mut cost.scored_node, written.scored_node);
    set(&mut cost.selected_node, written.selected_node);
    set(&mut cost.spread_node, written.spread_node);
    set(&mut cost.preferred_spread_node, written.preferred_spread_node);
    set(&mut cost.affinity_node, written.affinity_node);
    set(&mut cost.anti_affinity_node, written.anti_affinity_node);
    set(&mut cost.preferred_affinity_node, written.preferred_affinity_node);
    set(&mut scheduler.backoff_initial, control.pod_initial_backoff);
    set(&mut scheduler.backoff_max, control.pod_max_backoff);
    let kubelet = &mut config.kubelet;
    if let Some(Duration(lease)) = control.node_lease_duration {
        kubelet.lease_renew_interval = lease.scaled(1, 4);
    }
    kubelet.serialize_image_pulls = control.serialize_image_pulls.unwrap_or(kubelet.serialize_image_pulls);
    set(&mut kubelet.relist_period, control.relist_period);
    config.heartbeats = match control.heartbeats {
        Some(format::Heartbeats::Exact) => Heartbeats::Exact,
        Some(format::Heartbeats::Analytic) => Heartbeats::Analytic,
        None => Heartbeats::Analytic,
    };
}

/// A client's limit with what the file says; 0 queries per second is no limit.
fn limit(preset: Option<RateLimit>, per_second: Option<u32>, burst: Option<u32>) -> Option<RateLimit> {
    match (preset, per_second, burst) {
        (preset, None, None) => preset,
        (_, Some(0), _) => None,
        (preset, per_second, burst) => {
            let per_second = per_second.or(preset.map(|limit| limit.per_second)).unwrap_or(20);
            let burst = burst.or(preset.map(|limit| limit.burst)).unwrap_or(per_second);
            Some(RateLimit { per_second, burst })
        }
    }
}

/// Rates and shares, which the core counts in whole thousandths and percents.
fn rates(config: &mut Config, control: &ControlPlane, ranges: &mut Ranges<'_>) {
    let manager = &mut config.controller_manager;
    let mut whole = |slot: &mut u32, value: Option<f64>, scale: f64, max: f64, field: &str| match value {
        Some(value) if (0.0..=max).contains(&value) => *slot = (value * scale).round() as u32,
        Some(value) => ranges.refuse(field, format!("expected a number between 0 and {max}, found {value}")),
        None => {}
    };
    let rate = control.node_eviction_rate;
    whole(&mut manager.node_eviction_rate_per_1000_s, rate, 1_000.0, 1_000_000.0, "nodeEvictionRate");
    let rate = control.secondary_node_eviction_rate;
    let slot = &mut manager.secondary_node_eviction_rate_per_1000_s;
    whole(slot, rate, 1_000.0, 1_000_000.0, "secondaryNodeEvictionRate");
    let share = control.unhealthy_zone_threshold;
    whole(&mut manager.unhealthy_zone_threshold_percent, share, 100.0, 1.0, "unhealthyZoneThreshold");
}
