//! Services with a type of their own command each.
//!
//! Source: `ServiceOptions`, `parsePorts`, create_service.go.

use serde_json::{Value, json};
use wavetank_core::model::Kind;

use super::super::Trouble;
use super::{CommandLine, Made, fails, name, number, object, required};

pub(super) fn service(line: &CommandLine, words: &[String]) -> Made {
    let (what, words) = words.split_first().ok_or(Trouble::NotCovered)?;
    let (service_type, own) = match what.as_str() {
        "clusterip" => ("ClusterIP", &["--tcp", "--clusterip"][..]),
        "nodeport" => ("NodePort", &["--tcp", "--node-port"][..]),
        "loadbalancer" => ("LoadBalancer", &["--tcp"][..]),
        "externalname" => ("ExternalName", &["--tcp", "--external-name"][..]),
        _ => return Err(Trouble::NotCovered),
    };
    let name = name(line, words, own)?;
    let is_external = service_type == "ExternalName";
    if is_external {
        required(line, &["--external-name"])?;
    }
    let (address, node_port) = (line.flag("--clusterip").unwrap_or_default(), number(line, "--node-port")?);
    let tcp: Vec<&str> = line.list("--tcp").collect();
    if address != "None" && tcp.is_empty() && !is_external {
        return fails("at least one tcp port specifier must be provided");
    }
    let port = |text: &&str| {
        let (port, target) = ports(text)?;
        let mut made = json!({"name": text.replace(':', "-"), "protocol": "TCP", "port": port, "targetPort": target});
        if let Some(node_port) = node_port.filter(|port| *port != 0) {
            made["nodePort"] = node_port.into();
        }
        Ok(made)
    };
    let ports = tcp.iter().map(port).collect::<Result<Vec<Value>, Trouble>>()?;
    let mut body = object(Kind::Service, name);
    body["metadata"]["labels"] = json!({"app": name});
    body["spec"] = json!({"type": service_type, "selector": {"app": name}, "ports": ports});
    for (field, text) in [("clusterIP", address), ("externalName", line.flag("--external-name").unwrap_or_default())] {
        if !text.is_empty() {
            body["spec"][field] = text.into();
        }
    }
    Ok((Kind::Service, body))
}

/// `PORT` or `PORT:TARGET`, the second by number or name. What a name may be, the API server checks too.
fn ports(text: &str) -> Result<(u16, Value), Trouble> {
    let mut parts = text.split(':');
    let first = parts.next().unwrap_or_default();
    let port: u16 =
        first.parse().map_err(|_| Trouble::Fails(format!("strconv.ParseUint: parsing {first:?}: invalid syntax")))?;
    let target = match parts.next() {
        None => port.into(),
        Some(target) => match target.parse::<i64>() {
            Ok(number @ 1..=65_535) => number.into(),
            Ok(_) => return fails("must be between 1 and 65535, inclusive"),
            Err(_) => target.into(),
        },
    };
    Ok((port, target))
}
