//! `kubectl expose`: a Service for what an object already selects.
//!
//! Source: `ExposeServiceOptions.RunExpose`, `createService`, staging/src/k8s.io/kubectl/pkg/cmd/expose/expose.go;
//! staging/src/k8s.io/kubectl/pkg/polymorphichelpers/{mapbasedselector,ports,multiprotocols}forobject.go (v1.34.1).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use wavetank_core::model::Kind;

use super::create::{creation, fails, number_or_text, object, only_flags};
use super::run::pairs_of;
use super::words::CommandLine;
use super::{Plan, Planned, Scene, Trouble, shown, targets};

const FLAGS: [&str; 11] = [
    "--cluster-ip",
    "--external-ip",
    "--labels",
    "--load-balancer-ip",
    "--name",
    "--port",
    "--protocol",
    "--selector",
    "--session-affinity",
    "--target-port",
    "--type",
];
const NAME_MAX: usize = 63;

pub(super) fn plan(scene: &Scene<'_>, line: &CommandLine, words: &[String]) -> Planned {
    only_flags(line, &FLAGS)?;
    // The selector is that of the Service, and selects no objects to expose.
    let keys = targets(scene, &line.without("--selector"), words)?;
    let expose = |key: wavetank_core::model::ObjectKey| {
        let (_, exposed) = shown(scene, &key)?;
        let service = service(line, key.kind, &key.name, &exposed)?;
        creation(scene, line, Kind::Service, &service, "kubectl-expose")
    };
    Plan::each(keys, expose)
}

fn service(line: &CommandLine, kind: Kind, exposed_name: &str, exposed: &Value) -> Result<Value, Trouble> {
    let text = |flag: &str| line.flag(flag).filter(|text| !text.is_empty());
    let selector = match text("--selector") {
        Some(selector) => pairs_of(selector)?,
        None => selector_of(kind, exposed)?,
    };
    let is_headless = text("--cluster-ip") == Some("None");
    let own_ports = ports_of(kind, exposed);
    let ports = match text("--port") {
        Some(port) => port.split(',').map(str::to_owned).collect(),
        None if own_ports.is_empty() && !is_headless => {
            return fails("couldn't find port via --port flag or introspection");
        }
        None => own_ports.iter().map(|(port, _)| port.to_string()).collect::<Vec<String>>(),
    };
    let mut ports = service_ports(line, &ports, &own_ports)?;
    for port in &mut ports {
        port["targetPort"] = text("--target-port").map_or_else(|| port["port"].clone(), number_or_text);
    }
    let short = exposed_name.get(..NAME_MAX).unwrap_or(exposed_name);
    let mut body = object(Kind::Service, text("--name").unwrap_or(short));
    let labels = match text("--labels") {
        Some(labels) => pairs_of(labels)?,
        None => exposed["metadata"]["labels"].as_object().cloned().unwrap_or_default(),
    };
    if !labels.is_empty() {
        body["metadata"]["labels"] = labels.into();
    }
    let mut spec = json!({"selector": selector, "ports": ports});
    let service_type = text("--type");
    for (field, value) in [
        ("type", service_type),
        ("loadBalancerIP", text("--load-balancer-ip").filter(|_| service_type == Some("LoadBalancer"))),
        ("clusterIP", text("--cluster-ip")),
        ("sessionAffinity", text("--session-affinity")),
    ] {
        if let Some(value) = value {
            spec[field] = value.into();
        }
    }
    if let Some(affinity) = text("--session-affinity").filter(|it| !["None", "ClientIP"].contains(it)) {
        return fails(format!("unknown session affinity: {affinity}"));
    }
    if let Some(address) = text("--external-ip") {
        spec["externalIPs"] = json!([address]);
    }
    body["spec"] = spec;
    Ok(body)
}

/// What an object selects, as pairs. Errors: it selects nothing, or in a way that pairs cannot say.
fn selector_of(kind: Kind, exposed: &Value) -> Result<Map<String, Value>, Trouble> {
    let introspection = |why: String| {
        Trouble::Fails(format!("couldn't retrieve selectors via --selector flag or introspection: {why}"))
    };
    let (found, why) = match kind {
        Kind::Pod => (&exposed["metadata"]["labels"], "the pod has no labels and cannot be exposed"),
        Kind::Service => (&exposed["spec"]["selector"], "the service has no pod selector set"),
        Kind::ReplicationController => (&exposed["spec"]["selector"], "selector must be specified"),
        Kind::Deployment => (
            &exposed["spec"]["selector"]["matchLabels"],
            "invalid deployment: no selectors, therefore cannot be exposed",
        ),
        Kind::ReplicaSet => (
            &exposed["spec"]["selector"]["matchLabels"],
            "invalid replicaset: no selectors, therefore cannot be exposed",
        ),
        kind => return fails(format!("cannot expose a {}", kind.qualified_name())),
    };
    let pairs = found.as_object().cloned().unwrap_or_default();
    if pairs.is_empty() {
        return Err(introspection(why.to_owned()));
    }
    let expressions = &exposed["spec"]["selector"]["matchExpressions"];
    if matches!(kind, Kind::Deployment | Kind::ReplicaSet) && expressions.as_array().is_some_and(|it| !it.is_empty()) {
        return Err(introspection(format!(
            "couldn't convert expressions - {expressions} to map-based selector format"
        )));
    }
    Ok(pairs)
}

/// The ports of an object, each once and in order, with their protocols.
fn ports_of(kind: Kind, exposed: &Value) -> Vec<(i64, Vec<String>)> {
    let spec = &exposed["spec"];
    let (lists, field): (Vec<&Value>, &str) = match kind {
        Kind::Service => (vec![&spec["ports"]], "port"),
        Kind::Pod => (container_ports(spec), "containerPort"),
        _ => (container_ports(&spec["template"]["spec"]), "containerPort"),
    };
    let (mut order, mut protocols): (Vec<i64>, BTreeMap<i64, Vec<String>>) = Default::default();
    for port in lists.into_iter().filter_map(Value::as_array).flatten() {
        let Some(number) = port[field].as_i64() else { continue };
        let protocol = port["protocol"].as_str().unwrap_or("TCP").to_owned();
        protocols.entry(number).or_insert_with(|| {
            order.push(number);
            Vec::new()
        });
        protocols.entry(number).or_default().push(protocol);
    }
    order.into_iter().map(|number| (number, protocols.remove(&number).unwrap_or_default())).collect()
}

fn container_ports(spec: &Value) -> Vec<&Value> {
    spec["containers"].as_array().into_iter().flatten().map(|container| &container["ports"]).collect()
}

/// The Service's ports, without targets: one for each protocol that the object has a port with, unless `--protocol`
/// says which.
fn service_ports(line: &CommandLine, ports: &[String], own: &[(i64, Vec<String>)]) -> Result<Vec<Value>, Trouble> {
    let asked = line.flag("--protocol").filter(|text| !text.is_empty());
    let mut made = Vec::new();
    for (place, text) in (1..).zip(ports) {
        let wrong = |_| Trouble::Fails(format!("strconv.Atoi: parsing {text:?}: invalid syntax"));
        let number: i32 = text.parse().map_err(wrong)?;
        let known = own.iter().find(|(port, _)| port.to_string() == **text).map_or(&[][..], |(_, known)| known);
        let port = |name: Option<String>, protocol: &str| {
            let mut port = json!({"port": number, "protocol": protocol});
            if let Some(name) = name {
                port["name"] = name.into();
            }
            port
        };
        let name = (ports.len() > 1).then(|| format!("port-{place}"));
        match (asked, known) {
            (Some(protocol), _) => made.push(port(name, protocol)),
            (None, []) => made.push(port(name, "TCP")),
            (None, [protocol]) => made.push(port(name, protocol)),
            (None, several) => {
                let named =
                    |protocol: &String| port(Some(format!("port-{place}-{}", protocol.to_lowercase())), protocol);
                made.extend(several.iter().map(named));
            }
        }
    }
    Ok(made)
}
