//! Links: how long each message is on its way.
//!
//! Three kinds of way lead to and from the API server: that of a component beside it (requests, answers, watch news),
//! that of a machine, and the lane of lease renewals. Invariant: messages from one process to another do not overtake
//! each other. Invariant: a renewal's way depends on its host, start and number alone, and takes no part in the order
//! of the other messages, so that sending it or not disturbs nothing else. Absent on purpose: machines that talk to
//! each other, bandwidth, and who is up (that is [`crate::world`]'s).

use wavetank_core::draw::{BLOCK, Purpose, below, draw, draw_block};
use wavetank_core::id::{HostId, ProcId, ProcKind};
use wavetank_core::seam::Msg;
use wavetank_core::time::{Span, Time};

use crate::plan::{Delay, LinkProfile, NetworkPlan};

/// The first retransmission time-out of a lost packet; each further one is twice as long, up to [`TIMEOUT_MAX`].
const TIMEOUT_FIRST: Span = Span::from_millis(200);
/// Source: `TCP_RTO_MAX`, include/net/tcp.h (Linux).
const TIMEOUT_MAX: Span = Span::from_secs(120);
/// After so many losses in a row the packet gets through, so that a message is late and never lost.
const LOSSES_MAX: u64 = 15;
/// Links of the components beside the API server come before those of the machines: at most this many.
const COMPONENT_LINKS: u32 = 32;

/// What a link remembers.
#[derive(Clone, Copy, Debug, Default)]
struct Lane {
    messages: u64,
    last_arrival: Time,
    /// The draws of the newest messages' delays, and which block of them it is, counted from 1.
    drawn: [u64; BLOCK as usize],
    block: u64,
}

impl Lane {
    /// The draw for the delay of message number `count`.
    fn draw(&mut self, seed: u64, link: u32, count: u64) -> u64 {
        let block = count / BLOCK;
        if self.block != block + 1 {
            self.drawn = draw_block(seed, Purpose::LinkDelay, link.into(), block);
            self.block = block + 1;
        }
        self.drawn[(count % BLOCK) as usize]
    }
}

/// A message's place among simultaneous arrivals, and its time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Arrival {
    /// When it arrives.
    pub(crate) at: Time,
    /// The link's number, dense, below 2^22.
    pub(crate) link: u32,
    /// Which message of the link it is.
    pub(crate) count: u64,
}

/// Which renewal: the host, which start of its kubelet, and which since that start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RenewalId {
    pub(crate) host: HostId,
    pub(crate) start: u64,
    pub(crate) renewal: u64,
}

/// All links of a cluster.
#[derive(Debug)]
pub(crate) struct Network {
    seed: u64,
    plan: NetworkPlan,
    lanes: Vec<Lane>,
    /// When the newest renewal of each host arrives at the API server and at the controller manager.
    renewals: Vec<[Time; 2]>,
}

impl Network {
    pub(crate) fn new(seed: u64, plan: NetworkPlan, hosts: u32) -> Network {
        let lanes = COMPONENT_LINKS as usize + 2 * hosts as usize;
        Network { seed, plan, lanes: vec![Lane::default(); lanes], renewals: vec![[Time::ZERO; 2]; hosts as usize] }
    }

    /// Puts a message on its way. `node` is the profile of the machine's link at this time; `instant` messages take no
    /// time (notices of the world, and what establishes a cluster before its run begins).
    pub(crate) fn send(
        &mut self,
        now: Time,
        from: ProcId,
        to: ProcId,
        body: &Msg,
        node: Option<&LinkProfile>,
        instant: bool,
    ) -> Arrival {
        let link = link_between(from, to);
        let lane = &mut self.lanes[link as usize];
        let count = lane.messages;
        lane.messages += 1;
        let way = match (from.kind(), to.kind()) {
            _ if instant => Span::ZERO,
            (ProcKind::World, _) => Span::ZERO,
            (ProcKind::Kubelet, _) | (_, ProcKind::Kubelet) => {
                let profile = node.unwrap_or(&self.plan.node);
                let lost = retransmissions(profile.loss_per_million, self.seed, u64::from(link), count);
                sample(&profile.delay, || lane.draw(self.seed, link, count)) + lost
            }
            (ProcKind::ApiServer, _) => {
                let delay = if matches!(body, Msg::Response(..)) { &self.plan.response } else { &self.plan.watch };
                sample(delay, || lane.draw(self.seed, link, count))
            }
            _ => sample(&self.plan.request, || lane.draw(self.seed, link, count)),
        };
        let at = now.saturating_add(way).max(lane.last_arrival);
        lane.last_arrival = at;
        Arrival { at, link, count }
    }

    /// How long the disk takes for its `count`-th write.
    pub(crate) fn persist_delay(&self, count: u64) -> Span {
        let disk = u64::from(link_between(ProcId::API_SERVER, ProcId::API_SERVER));
        sample(&self.plan.persist, || draw(self.seed, Purpose::LinkDelay, disk, count))
    }

    /// When a renewal sent at `now` is at the API server.
    pub(crate) fn send_renewal(&mut self, now: Time, id: RenewalId, node: Option<&LinkProfile>) -> Time {
        let at = now.saturating_add(self.renewal_way(id, node));
        self.note_renewal(id.host, at)
    }

    /// When the news of a renewal, told by the API server at `now`, is at the controller manager.
    pub(crate) fn send_renewal_news(&mut self, now: Time, id: RenewalId) -> Time {
        let at = now.saturating_add(self.renewal_news_way(id));
        self.note_renewal_news(id.host, at)
    }

    /// When the newest renewal that a host has sent is at the API server.
    pub(crate) fn newest_renewal(&self, host: HostId) -> Time {
        self.renewals[host.0 as usize][0]
    }

    /// A renewal is due at the API server then: it is there at that time, or with the one before it if that is later.
    pub(crate) fn note_renewal(&mut self, host: HostId, at: Time) -> Time {
        let last = &mut self.renewals[host.0 as usize][0];
        *last = (*last).max(at);
        *last
    }

    /// The same for the news of a renewal at the controller manager.
    pub(crate) fn note_renewal_news(&mut self, host: HostId, at: Time) -> Time {
        let last = &mut self.renewals[host.0 as usize][1];
        *last = (*last).max(at);
        *last
    }

    /// How long a renewal is on its way to the API server. Its loss is drawn like its delay, by the renewal.
    pub(crate) fn renewal_way(&self, id: RenewalId, node: Option<&LinkProfile>) -> Span {
        let profile = node.unwrap_or(&self.plan.node);
        let entity = renewal_entity(id);
        let delay = sample(&profile.delay, || draw(self.seed, Purpose::LeaseDelay, entity, 2 * id.renewal));
        // The upper half of the entities is no link's, so these losses are drawn apart from every message's.
        delay + retransmissions(profile.loss_per_million, self.seed, 1 << 63 | entity, id.renewal)
    }

    /// How long the news of a renewal is on its way from the API server to the controller manager.
    pub(crate) fn renewal_news_way(&self, id: RenewalId) -> Span {
        sample(&self.plan.watch, || draw(self.seed, Purpose::LeaseDelay, renewal_entity(id), 2 * id.renewal + 1))
    }

    /// The longest that a renewal can be on its way altogether without faults; `None` if there is no bound.
    pub(crate) fn renewal_way_max(&self) -> Option<Span> {
        (self.plan.node.loss_per_million == 0).then(|| self.plan.node.delay.longest() + self.plan.watch.longest())
    }
}

/// A link's number: components first, then two for each machine.
fn link_between(from: ProcId, to: ProcId) -> u32 {
    match (from.host(), to.host()) {
        (Some(host), _) => COMPONENT_LINKS + 2 * host.0,
        (None, Some(host)) if from.kind() != ProcKind::World => COMPONENT_LINKS + 2 * host.0 + 1,
        (None, Some(_)) => 0,
        (None, None) => 1 + component(from) * 5 + component(to),
    }
}

fn component(process: ProcId) -> u32 {
    assert!(process.index() == 0, "there is one {:?}: {process}", process.kind());
    process.kind() as u32
}

fn renewal_entity(id: RenewalId) -> u64 {
    u64::from(id.host.0) << 20 | id.start
}

/// A draw is made only where it can matter.
fn sample(delay: &Delay, draw: impl FnOnce() -> u64) -> Span {
    match delay {
        Delay::Constant(span) => *span,
        delay => delay.sample(draw()),
    }
}

/// What the losses of one packet cost.
fn retransmissions(loss_per_million: u32, seed: u64, entity: u64, packet: u64) -> Span {
    let mut cost = Span::ZERO;
    if loss_per_million == 0 {
        return cost;
    }
    for loss in 0..LOSSES_MAX {
        let drawn = draw(seed, Purpose::LinkLoss, entity, packet * (LOSSES_MAX + 1) + loss);
        if below(drawn, 1_000_000) >= u64::from(loss_per_million) {
            break;
        }
        cost = cost + TIMEOUT_MAX.min(TIMEOUT_FIRST * (1 << loss));
    }
    cost
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_core::id::Revision;

    fn network(node: LinkProfile) -> Network {
        Network::new(7, NetworkPlan { node, ..NetworkPlan::default() }, 3)
    }

    fn jittery(loss_per_million: u32) -> LinkProfile {
        LinkProfile { delay: Delay::Exponential { mean: Span::from_millis(50) }, loss_per_million }
    }

    #[test]
    fn a_message_does_not_overtake_the_one_before_it() {
        let mut network = network(jittery(100_000));
        let (from, to) = (ProcId::kubelet(HostId(1)), ProcId::API_SERVER);
        let mut send = |milli| network.send(Time::from_millis(milli), from, to, &Msg::Reconnected, None, false);
        let arrivals: Vec<Arrival> = (0..500).map(&mut send).collect();
        assert!(arrivals.windows(2).all(|pair| pair[0].at <= pair[1].at && pair[0].count < pair[1].count));
        assert!(arrivals.windows(2).any(|pair| pair[0].at == pair[1].at), "one of them had to wait");
    }

    #[test]
    fn a_lost_packet_costs_a_time_out_and_the_next_loss_twice_that() {
        assert_eq!(retransmissions(0, 7, 1, 1), Span::ZERO);
        let costs: Vec<Span> = (0..20_000).map(|packet| retransmissions(250_000, 7, 1, packet)).collect();
        let share = |cost: Span| costs.iter().filter(|it| **it == cost).count();
        let (none, one, two) = (share(Span::ZERO), share(Span::from_millis(200)), share(Span::from_millis(600)));
        assert!((14_700..15_300).contains(&none), "{none}");
        assert!((3_500..4_000).contains(&one), "{one}");
        assert!((800..1_100).contains(&two), "{two}");
    }

    #[test]
    fn renewals_disturb_no_other_message() {
        let (mut with, mut without) = (network(jittery(10_000)), network(jittery(10_000)));
        let (from, to) = (ProcId::kubelet(HostId(1)), ProcId::API_SERVER);
        for round in 0..100 {
            let now = Time::from_secs(round);
            with.send_renewal(now, RenewalId { host: HostId(1), start: 0, renewal: round }, None);
            let body = Msg::Advance(Revision(round));
            assert_eq!(with.send(now, from, to, &body, None, false), without.send(now, from, to, &body, None, false));
        }
    }

    #[test]
    fn every_pair_of_processes_has_a_link_of_its_own() {
        let components = [ProcId::CLIENT, ProcId::SCHEDULER, ProcId::CONTROLLER_MANAGER];
        let mut links = std::collections::BTreeSet::new();
        for component in components {
            assert!(links.insert(link_between(component, ProcId::API_SERVER)));
            assert!(links.insert(link_between(ProcId::API_SERVER, component)));
            assert!(links.insert(link_between(ProcId::WORLD, component)));
        }
        for host in 0..3 {
            let kubelet = ProcId::kubelet(HostId(host));
            assert!(links.insert(link_between(kubelet, ProcId::API_SERVER)));
            assert!(links.insert(link_between(ProcId::API_SERVER, kubelet)));
        }
        assert!(links.insert(link_between(ProcId::WORLD, ProcId::kubelet(HostId(0)))));
    }
}
