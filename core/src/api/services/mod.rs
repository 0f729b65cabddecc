//! What the API server gives to Services: an address, ports of the nodes, families of addresses.
//!
//! Invariant: what is given away is what the stored Services have. It follows the writes, so a request that is refused
//! later takes nothing, and a Service that goes or changes its type gives back what it had.
//!
//! Source: pkg/registry/core/service/storage/{alloc,storage}.go, pkg/registry/core/service/{ipallocator,portallocator}
//! and `dropTypeDependentFields`, pkg/registry/core/service/strategy.go (v1.34.1). A cluster here has one range, of
//! IPv4. Absent on purpose: the objects IPAddress and ServiceCIDR. The address of the Service `kubernetes` is kept free
//! for it; whoever plays an API server's start makes it.

mod families;
mod ports;
mod range;
#[cfg(test)]
mod tests;
mod update;

use std::net::Ipv4Addr;
use std::sync::Arc;

use crate::api::{ApiServer, Refusal};
use crate::config::AddressRange;
use crate::context::Context;
use crate::draw::{Purpose, draw};
use crate::id::{Name, Revision};
use crate::model::{Kind, Meta, Object, ObjectKey, Service};
use crate::store::Store;

use ports::Operation;
use range::Range;

/// What is given away.
#[derive(Clone, Default)]
pub(super) struct Allocators {
    /// Addresses, as numbers.
    addresses: Range,
    /// Node ports.
    ports: Range,
    /// How many node ports have been drawn.
    drawn: u64,
}

impl Allocators {
    /// What the Services of a store have.
    pub(super) fn of(store: &Store) -> Allocators {
        let mut allocators = Allocators::default();
        for (_, service) in store.newest().all::<Service>() {
            allocators.take(service);
        }
        allocators
    }

    /// Follows the writes after a revision.
    pub(super) fn follow(&mut self, store: &Store, before: Revision) {
        for change in store.changes_between(before, store.head()).iter().filter(|change| change.kind == Kind::Service) {
            let old = store.object_at(Kind::Service, change.row, Revision(change.revision.0 - 1));
            let new = store.object_at(Kind::Service, change.row, change.revision);
            if let Some(Object::Service(old)) = &old {
                self.give_back(old);
            }
            if let Some(Object::Service(new)) = &new {
                self.take(new);
            }
        }
    }

    /// Completes a Service that is about to be created.
    pub(super) fn admit(&mut self, ctx: &Context<'_>, service: &mut Service, creation: u64) -> Result<(), Refusal> {
        families::complete(service, None).map_err(|message| invalid(service, message))?;
        self.give_address(ctx, service, creation)?;
        let mut operation = Operation::new(ctx, &self.ports, &mut self.drawn);
        operation.create(service)
    }

    fn give_address(&self, ctx: &Context<'_>, service: &mut Service, creation: u64) -> Result<(), Refusal> {
        if service.is_alias() || service.headless {
            return Ok(());
        }
        let band = Addresses(ctx.config.api_server.service_addresses);
        match &service.cluster_ip {
            Some(text) => {
                let refuse = |why: &str| {
                    let message =
                        format!("spec.clusterIPs: Invalid value: [{text:?}]: failed to allocate IP {text}: {why}");
                    Err(invalid(service, message))
                };
                let Some(address) = number_of(text).filter(|address| band.contains(*address)) else {
                    return refuse("the provided network does not match the current range");
                };
                if let Err(why) = band.may_be_given(address) {
                    return refuse(&why);
                }
                let is_kept = address == band.first() && !is_of_the_api_server(&service.meta);
                if is_kept || self.addresses.has(address) {
                    return refuse("provided IP is already allocated");
                }
            }
            None => {
                let draw = |k| draw(ctx.seed(), Purpose::ServiceAddress, creation, k);
                // The first address is the Service `kubernetes`'.
                let is_free = |address| address != band.first() && !self.addresses.has(address);
                let Some(address) = range::choose(band.first(), band.last(), band.static_band(), draw, is_free) else {
                    return Err(internal("failed to allocate a serviceIP: range is full"));
                };
                service.cluster_ip = Some(Ipv4Addr::from(address).to_string().into());
            }
        }
        Ok(())
    }

    fn take(&mut self, service: &Service) {
        self.addresses.take(service.cluster_ip.as_deref().and_then(number_of));
        self.ports.take(ports::of(service));
    }

    fn give_back(&mut self, service: &Service) {
        self.addresses.give_back(service.cluster_ip.as_deref().and_then(number_of));
        self.ports.give_back(ports::of(service));
    }
}

/// Whether it is the Service by which pods reach the API server, for which the first address is kept.
///
/// Source: `CreateOrUpdateMasterServiceIfNeeded`, pkg/controlplane/controller/kubernetesservice/controller.go
/// (v1.34.1).
fn is_of_the_api_server(meta: &Meta) -> bool {
    (&*meta.namespace, &*meta.name) == ("default", "kubernetes")
}

impl ApiServer {
    /// Completes and checks a new version of a Service; other objects stay as they are.
    pub(super) fn prepare_service_update(
        &mut self,
        ctx: &Context<'_>,
        store: &Store,
        object: &mut Object,
    ) -> Result<(), Refusal> {
        let Object::Service(new) = object else { return Ok(()) };
        let Some((_, old)) = store.newest().find::<Service>(&new.meta.namespace, &new.meta.name) else { return Ok(()) };
        let new = Arc::make_mut(new);
        update::keep_given(new, old);
        update::drop_unused(new, old);
        update::check(new, old).map_err(|message| invalid(new, message))?;
        families::complete(new, Some(old)).map_err(|message| invalid(new, message))?;
        if old.is_alias() {
            self.services.give_address(ctx, new, self.creations)?;
        }
        let mut operation = Operation::new(ctx, &self.services.ports, &mut self.services.drawn);
        operation.update(new, old)
    }
}

/// The range of addresses and its bands.
struct Addresses(AddressRange);

impl Addresses {
    /// The first address that a Service can have: the network's own is none.
    fn first(&self) -> u32 {
        self.0.first + 1
    }

    /// The last one: the broadcast address is none.
    fn last(&self) -> u32 {
        self.0.first + self.0.size() - 2
    }

    fn contains(&self, address: u32) -> bool {
        address & !(self.0.size() - 1) == self.0.first
    }

    fn may_be_given(&self, address: u32) -> Result<(), String> {
        if (self.first()..=self.last()).contains(&address) {
            return Ok(());
        }
        let (ip, network) = (Ipv4Addr::from(address), Ipv4Addr::from(self.0.first));
        Err(format!(
            "the provided IP ({ip}) is not in the valid range. The range of valid IPs is {network}/{}",
            self.0.prefix
        ))
    }

    /// How many addresses at the beginning are drawn only when the others are used up: they are for those who choose.
    ///
    /// Source: `calculateRangeOffset`, pkg/registry/core/service/ipallocator/bitmap.go (v1.34.1).
    fn static_band(&self) -> u32 {
        let size = self.0.size();
        if size <= 16 { 0 } else { (size / 16).clamp(16, 256) }
    }
}

fn number_of(text: &str) -> Option<u32> {
    text.parse::<Ipv4Addr>().ok().map(u32::from)
}

fn invalid(service: &Service, message: String) -> Refusal {
    let key = ObjectKey::new(Kind::Service, &service.meta.namespace, &service.meta.name);
    Refusal::Invalid { key, message: message.into() }
}

fn internal(message: impl Into<Name>) -> Refusal {
    Refusal::Internal { message: message.into() }
}
