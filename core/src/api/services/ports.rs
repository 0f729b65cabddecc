//! Ports of the nodes for Services: given ones are reserved, others drawn, within one request none twice.

use std::collections::BTreeMap;

use super::range::{self, Range};
use super::{internal, invalid};
use crate::api::Refusal;
use crate::config::ApiServerConfig;
use crate::context::Context;
use crate::draw::{Purpose, draw};
use crate::model::{NodePort, Service};

/// What one request reserves.
pub(super) struct Operation<'a> {
    config: &'a ApiServerConfig,
    seed: u64,
    given: &'a Range,
    drawn: &'a mut u64,
    /// What this request has reserved so far.
    reserved: Vec<NodePort>,
}

/// The node ports that a Service has.
pub(super) fn of(service: &Service) -> impl Iterator<Item = u32> {
    let written = service.ports.iter().filter_map(|port| port.node_port).chain(service.health_check_node_port);
    written.filter_map(|port| u32::try_from(port.0).ok())
}

impl<'a> Operation<'a> {
    pub(super) fn new(ctx: &Context<'a>, given: &'a Range, drawn: &'a mut u64) -> Operation<'a> {
        Operation { config: &ctx.config.api_server, seed: ctx.seed(), given, drawn, reserved: Vec::new() }
    }

    /// Gives a new Service its ports.
    ///
    /// Source: `txnAllocNodePorts`, `initNodePorts`, pkg/registry/core/service/storage/alloc.go (v1.34.1).
    pub(super) fn create(&mut self, service: &mut Service) -> Result<(), Refusal> {
        if service.uses_node_ports() {
            self.init_ports(service)?;
        }
        if service.needs_health_check() { self.health_check(service) } else { Ok(()) }
    }

    fn init_ports(&mut self, service: &mut Service) -> Result<(), Refusal> {
        // TCP and UDP of one Service port share their node port.
        let mut by_port: BTreeMap<u16, NodePort> = BTreeMap::new();
        for index in 0..service.ports.len() {
            let (number, given) = (service.ports[index].port, service.ports[index].node_port);
            if given.is_none() && !draws_ports(service) {
                continue;
            }
            match (by_port.get(&number).copied(), given) {
                (None, _) => {
                    let asked = service.ports.iter().filter(|port| port.port == number).find_map(|port| port.node_port);
                    let node_port = match asked {
                        Some(asked) => self.reserve(service, index, asked).map(|()| asked)?,
                        None => self.draw_port("failed to allocate a nodePort")?,
                    };
                    service.ports[index].node_port = Some(node_port);
                    by_port.insert(number, node_port);
                }
                (Some(shared), None) => service.ports[index].node_port = Some(shared),
                (Some(shared), Some(given)) if given != shared => self.reserve(service, index, given)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Gives a new version of a Service the ports that it has not yet; those that it has left go back by themselves.
    ///
    /// Source: `txnUpdateNodePorts`, `updateNodePorts`, pkg/registry/core/service/storage/alloc.go (v1.34.1).
    pub(super) fn update(&mut self, new: &mut Service, old: &Service) -> Result<(), Refusal> {
        if new.uses_node_ports() {
            for index in 0..new.ports.len() {
                let had = |number: NodePort| old.ports.iter().any(|port| port.node_port == Some(number));
                match new.ports[index].node_port {
                    Some(given) if had(given) || self.reserved.contains(&given) => {}
                    Some(given) => self.reserve(new, index, given)?,
                    None if !draws_ports(new) => {}
                    None => new.ports[index].node_port = Some(self.draw_port("failed to allocate a nodePort")?),
                }
            }
        }
        if new.needs_health_check() && !old.needs_health_check() { self.health_check(new) } else { Ok(()) }
    }

    fn health_check(&mut self, service: &mut Service) -> Result<(), Refusal> {
        match service.health_check_node_port {
            Some(asked) => self
                .check(asked)
                .map(|()| self.reserved.push(asked))
                .map_err(|why| internal(format!("failed to allocate requested HealthCheck NodePort {asked}: {why}"))),
            None => {
                service.health_check_node_port = Some(self.draw_port("failed to allocate a HealthCheck NodePort 0")?);
                Ok(())
            }
        }
    }

    fn reserve(&mut self, service: &Service, index: usize, port: NodePort) -> Result<(), Refusal> {
        self.check(port)
            .map_err(|why| invalid(service, format!("spec.ports[{index}].nodePort: Invalid value: {port}: {why}")))?;
        self.reserved.push(port);
        Ok(())
    }

    fn check(&self, port: NodePort) -> Result<(), String> {
        let (min, max) = (self.config.node_port_min, self.config.node_port_max);
        if !(NodePort::from(min)..=NodePort::from(max)).contains(&port) {
            return Err(format!("provided port is not in the valid range. The range of valid ports is {min}-{max}"));
        }
        if self.is_free(port) { Ok(()) } else { Err("provided port is already allocated".to_owned()) }
    }

    fn is_free(&self, port: NodePort) -> bool {
        !u32::try_from(port.0).is_ok_and(|port| self.given.has(port)) && !self.reserved.contains(&port)
    }

    fn draw_port(&mut self, failure: &str) -> Result<NodePort, Refusal> {
        let (min, max) = (u32::from(self.config.node_port_min), u32::from(self.config.node_port_max));
        let number = *self.drawn;
        *self.drawn += 1;
        let draw = |k| draw(self.seed, Purpose::NodePort, number, k);
        let is_free = |port: u32| u16::try_from(port).is_ok_and(|port| self.is_free(port.into()));
        let found = range::choose(min, max, static_band(max - min + 1), draw, is_free);
        let port = found.and_then(|port| u16::try_from(port).ok()).map(NodePort::from);
        let port = port.ok_or_else(|| internal(format!("{failure}: range is full")))?;
        self.reserved.push(port);
        Ok(port)
    }
}

/// How many ports at the beginning are drawn only when the others are used up.
///
/// Source: `calculateRangeOffset`, pkg/registry/core/service/portallocator/allocator.go (v1.34.1).
fn static_band(size: u32) -> u32 {
    if size <= 16 { 0 } else { (size / 32).clamp(16, 128) }
}

/// Whether ports that nobody has asked for are drawn.
///
/// Source: `shouldAllocateNodePorts`, pkg/registry/core/service/storage/alloc.go (v1.34.1).
fn draws_ports(service: &Service) -> bool {
    service.uses_node_ports() && service.allocates_node_ports != Some(false)
}
