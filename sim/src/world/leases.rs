//! Lease renewals: sent one by one, or vouched for by the world (analytic leases).
//!
//! While nothing touches a host, its renewals come in time whatever happens elsewhere, so the world vouches for them
//! and none is an event. Before a fault touches it, the world works out from the same draws which renewals would have
//! been delivered and which would be on their way, and hands that over. Invariant: what the node lifecycle knows at any
//! instant at which it looks at a host that is not vouched for is what it would know had every renewal been sent.

use wavetank_core::api::leases::Renewals;
use wavetank_core::id::{HostId, Name, ProcId};
use wavetank_core::seam::Msg;
use wavetank_core::time::{Span, Time};

use crate::queue::EventQueue;
use crate::world::event::{Class, Event};
use crate::world::{LEASE_COUNTS, SimWorld};

/// How many of the delivered renewals are told when the world ceases to vouch.
const DELIVERED_MAX: usize = 4;
/// The tie counts of renewals on their way to the API server and of the news of them, so that both are their own.
const RENEWAL_COUNTS: u32 = 0x3fff_ffff;
const NEWS_COUNTS: u32 = LEASE_COUNTS | 0x4000_0000;

impl<Q: EventQueue> SimWorld<Q> {
    /// A kubelet sends a renewal.
    pub(super) fn send_renewal(&mut self, from: ProcId, node: Name, renewal: u64) {
        let host = from.host().expect("kubelets renew leases");
        if self.hosts[host.0 as usize].cuts > 0 {
            return;
        }
        let id = self.renewal_id(host, renewal);
        let profile = self.hosts[host.0 as usize].profile(&self.plan);
        let at = self.network.send_renewal(self.now, id, profile);
        self.push_renewal(at, host, node, renewal);
    }

    /// The API server tells the controller manager of a renewal.
    pub(super) fn send_renewal_news(&mut self, node: Name, renewal: u64) {
        let host = self.host_of(&node);
        let id = self.renewal_id(host, renewal);
        let at = self.network.send_renewal_news(self.now, id);
        self.push_renewal_news(at, host, node, renewal);
    }

    fn push_renewal(&mut self, at: Time, host: HostId, node: Name, renewal: u64) {
        let from = ProcId::kubelet(host);
        let connection = self.hosts[host.0 as usize].incarnation;
        let body = Msg::Renew { node, renewal };
        let event = Event::Message { from, to: ProcId::API_SERVER, body, connection };
        let count = LEASE_COUNTS | renewal as u32 & RENEWAL_COUNTS;
        self.push_counted(at, Class::Network, from.bits(), count, event);
    }

    fn push_renewal_news(&mut self, at: Time, host: HostId, node: Name, renewal: u64) {
        let (from, to) = (ProcId::API_SERVER, ProcId::CONTROLLER_MANAGER);
        let event = Event::Message { from, to, body: Msg::LeaseRenewed { node, renewal }, connection: 0 };
        // Keyed by the host, whose renewal it is, so that the API server's own count is left alone.
        let count = NEWS_COUNTS | renewal as u32 & RENEWAL_COUNTS;
        self.push_counted(at, Class::Network, ProcId::kubelet(host).bits(), count, event);
    }

    /// The world vouches for a host, if the settings want that and its renewals are sure to be in time.
    pub(super) fn vouch(&mut self, host: HostId) {
        if !self.is_analytic() || !self.always_in_time() {
            return;
        }
        let row = &mut self.hosts[host.0 as usize];
        assert!(row.kubelet_up && !row.vouched, "{host:?} can be vouched for");
        row.vouched = true;
        let node = self.node_of(host);
        self.tell(ProcId::CONTROLLER_MANAGER, Msg::Vouch { node, vouched: true, delivered: Vec::new() });
        self.tell(ProcId::kubelet(host), Msg::Heartbeats { exact: false });
    }

    /// The world ceases to vouch for a host: what had been delivered is told, what is on its way arrives.
    pub(super) fn cease_to_vouch(&mut self, host: HostId) {
        let node = self.node_of(host);
        let (now, mut delivered) = (self.now, Vec::new());
        for (renewal, sent) in (0..).zip(self.renewals(host)).take_while(|(_, sent)| *sent < now) {
            let id = self.renewal_id(host, renewal);
            let stored = sent.saturating_add(self.network.renewal_way(id, None));
            self.network.note_renewal(host, stored);
            if stored >= now {
                self.push_renewal(stored, host, node.clone(), renewal);
                continue;
            }
            let known = stored.saturating_add(self.network.renewal_news_way(id));
            self.network.note_renewal_news(host, known);
            if known >= now {
                self.push_renewal_news(known, host, node.clone(), renewal);
                continue;
            }
            if delivered.len() == DELIVERED_MAX {
                delivered.remove(0);
            }
            delivered.push(known);
        }
        self.hosts[host.0 as usize].vouched = false;
        self.tell(ProcId::CONTROLLER_MANAGER, Msg::Vouch { node, vouched: false, delivered });
        self.tell(ProcId::kubelet(host), Msg::Heartbeats { exact: true });
    }

    /// The renewals of a host's kubelet in this life.
    fn renewals(&self, host: HostId) -> Renewals {
        let (row, config) = (&self.hosts[host.0 as usize], &self.plan.config);
        let (interval, jitter) = (config.kubelet.lease_renew_interval, config.kubelet.lease_jitter_percent);
        Renewals::new(config.seed, host, row.started_at, row.start_number(), interval, jitter)
    }

    /// Whether, without a fault, no renewal overtakes another and the node lifecycle never misses one for too long.
    fn always_in_time(&self) -> bool {
        let Some(way) = self.network.renewal_way_max() else { return false };
        let (kubelet, manager) = (&self.plan.config.kubelet, &self.plan.config.controller_manager);
        let interval = kubelet.lease_renew_interval;
        let longest = interval.scaled(100 + u64::from(kubelet.lease_jitter_percent), 100);
        let gap = Span(longest.0.saturating_add(way.0));
        way < interval && gap < manager.node_monitor_grace_period
    }

    fn node_of(&self, host: HostId) -> Name {
        self.plan.hosts[host.0 as usize].boot.node.clone()
    }

    fn host_of(&self, node: &Name) -> HostId {
        *self.by_node.get(node).unwrap_or_else(|| panic!("no host has the node {node}"))
    }
}
