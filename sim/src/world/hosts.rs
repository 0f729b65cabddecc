//! Machines and their kubelets: who is up, who is cut off, and what faults do to them.
//!
//! Faults on one machine are counted: it comes back when the last one has ended.

use wavetank_core::id::{HostId, ProcId};
use wavetank_core::kubelet::RuntimeEvent;
use wavetank_core::seam::{Input, Msg};
use wavetank_core::time::{Span, Time};

use crate::fleet::Outcome as FleetOutcome;
use crate::plan::{FaultKind, LinkProfile, Plan, Side};
use crate::queue::EventQueue;
use crate::world::SimWorld;
use crate::world::event::{Class, Event};

/// How long a host must have been undisturbed before the world vouches for it again: long enough that the renewals that
/// count (at most four) have all been sent since.
const VOUCH_AFTER: Span = Span::from_secs(60);

/// What the world knows of one machine.
#[derive(Clone, Debug, Default)]
pub(super) struct Host {
    /// Whether it has been switched on.
    pub(super) present: bool,
    /// Crash faults that last.
    crashes: u32,
    /// KubeletStop faults that last.
    stops: u32,
    /// Shutdown faults that last.
    shutdowns: u32,
    /// Whether it is off because of a shutdown: its kubelet has let it go.
    off: bool,
    /// Network cuts that last between this machine and the API server.
    pub(super) cuts: u32,
    /// SlowLink faults that last, by number, in the order in which they began.
    slow: Vec<u32>,
    /// Whether it has been off since its kubelet last ran.
    was_off: bool,
    /// Whether its kubelet runs.
    pub(super) kubelet_up: bool,
    /// Which life of its kubelet this is; 0 before the first.
    pub(super) incarnation: u32,
    /// When this life began.
    pub(super) started_at: Time,
    /// The newest life of which the API server has had a message.
    connected: u32,
    /// The newest life whose watch of its pods the API server has, if it is unbroken.
    watching: Option<u32>,
    /// Whether the world vouches for its renewals.
    pub(super) vouched: bool,
    /// Counts the disturbances.
    pub(super) disturbance: u32,
}

impl Host {
    /// The profile that replaces the plan's on the machine's link: that of the SlowLink that began last.
    pub(super) fn profile<'p>(&self, plan: &'p Plan) -> Option<&'p LinkProfile> {
        let fault = *self.slow.last()?;
        match &plan.faults[fault as usize].kind {
            FaultKind::SlowLink { profile, .. } => Some(profile),
            other => panic!("fault {fault} makes a link slow but is {other:?}"),
        }
    }

    /// How often its kubelet had been started before this life.
    pub(super) fn start_number(&self) -> u64 {
        u64::from(self.incarnation).saturating_sub(1)
    }

    /// A message of one of its kubelet's lives has reached the API server.
    pub(super) fn connect(&mut self, life: u32, watches: bool) {
        self.connected = self.connected.max(life);
        if watches && self.cuts == 0 {
            self.watching = Some(life);
        }
    }

    /// Whether there is a connection on which the API server can send this: an answer needs that of the life that
    /// asked, news needs an unbroken watch.
    pub(super) fn hears(&self, body: &Msg) -> bool {
        match body {
            Msg::PodChanged(_)
            | Msg::PodRemoved(_)
            | Msg::ConfigChanged(_)
            | Msg::ConfigRemoved(_)
            | Msg::NodeChanged(_) => self.watching == Some(self.incarnation),
            _ => self.connected == self.incarnation,
        }
    }

    /// Whether no fault touches it.
    pub(super) fn undisturbed(&self) -> bool {
        self.present && self.crashes + self.stops + self.shutdowns + self.cuts == 0 && self.slow.is_empty()
    }
}

/// The hosts whose way to the API server a cut breaks. Links between hosts carry nothing yet, so a cut without the
/// control plane on one side breaks none.
fn cut_off<'a>(a: &'a Side, b: &'a Side) -> &'a [HostId] {
    match (a.control_plane, b.control_plane) {
        (true, _) => &b.hosts,
        (_, true) => &a.hosts,
        (false, false) => &[],
    }
}

fn hosts_of(kind: &FaultKind) -> &[HostId] {
    match kind {
        FaultKind::Crash { hosts }
        | FaultKind::KubeletStop { hosts }
        | FaultKind::Shutdown { hosts }
        | FaultKind::Pressure { hosts, .. }
        | FaultKind::SlowLink { hosts, .. } => hosts,
        FaultKind::NetworkCut { a, b } => cut_off(a, b),
    }
}

/// Panics if a fault cannot be: whoever writes plans checks what people write.
pub(super) fn check(kind: &FaultKind, hosts: usize, place: &str) {
    let known = |host: &HostId| (host.0 as usize) < hosts;
    let all: Vec<&HostId> = match kind {
        FaultKind::NetworkCut { a, b } => {
            assert!(!(a.control_plane && b.control_plane), "{place}: the control plane is on both sides of a cut");
            let both = a.hosts.iter().find(|host| b.hosts.contains(host));
            assert!(both.is_none(), "{place}: {both:?} is on both sides of a cut");
            a.hosts.iter().chain(&b.hosts).collect()
        }
        kind => hosts_of(kind).iter().collect(),
    };
    let unknown = all.into_iter().find(|host| !known(host));
    assert!(unknown.is_none(), "{place}: a fault names {unknown:?}, but there are {hosts} hosts");
}

impl<Q: EventQueue> SimWorld<Q> {
    pub(super) fn host_starts(&mut self, host: HostId) {
        self.hosts[host.0 as usize].present = true;
        self.start_or_stop_kubelet(host);
        if self.hosts[host.0 as usize].undisturbed() {
            self.vouch(host);
        }
    }

    pub(super) fn fault_begins(&mut self, fault: u32) {
        let plan = std::sync::Arc::clone(&self.plan);
        let kind = &plan.faults[fault as usize].kind;
        if let FaultKind::Pressure { .. } = kind {
            return self.press(kind, true);
        }
        for host in hosts_of(kind).iter().copied() {
            self.disturb(host);
            let row = &mut self.hosts[host.0 as usize];
            match kind {
                FaultKind::Crash { .. } => {
                    row.crashes += 1;
                    row.was_off = true;
                    self.fleet.power_off(host);
                }
                FaultKind::KubeletStop { .. } => row.stops += 1,
                FaultKind::Shutdown { .. } => {
                    row.shutdowns += 1;
                    self.begin_shutdown(host);
                }
                FaultKind::Pressure { .. } => unreachable!("handled above"),
                FaultKind::NetworkCut { .. } => {
                    row.cuts += 1;
                    row.watching = None;
                }
                FaultKind::SlowLink { .. } => row.slow.push(fault),
            }
            self.start_or_stop_kubelet(host);
        }
    }

    pub(super) fn fault_ends(&mut self, fault: u32) {
        let plan = std::sync::Arc::clone(&self.plan);
        let kind = &plan.faults[fault as usize].kind;
        if let FaultKind::Pressure { .. } = kind {
            return self.press(kind, false);
        }
        for host in hosts_of(kind).iter().copied() {
            if let FaultKind::Shutdown { .. } = kind {
                self.power_off(host);
            }
            let row = &mut self.hosts[host.0 as usize];
            match kind {
                FaultKind::Crash { .. } => row.crashes -= 1,
                FaultKind::KubeletStop { .. } => row.stops -= 1,
                FaultKind::Shutdown { .. } => {
                    row.shutdowns -= 1;
                    row.off &= row.shutdowns > 0;
                }
                FaultKind::Pressure { .. } => unreachable!("handled above"),
                FaultKind::NetworkCut { .. } => row.cuts -= 1,
                FaultKind::SlowLink { .. } => row.slow.retain(|it| *it != fault),
            }
            let reconnected = matches!(kind, FaultKind::NetworkCut { .. }) && row.cuts == 0 && row.kubelet_up;
            if reconnected {
                self.tell(ProcId::kubelet(host), Msg::Reconnected);
            }
            self.start_or_stop_kubelet(host);
            self.settle_down(host);
        }
    }

    /// Somebody presses the button: a kubelet that runs may end its pods first.
    fn begin_shutdown(&mut self, host: HostId) {
        if self.hosts[host.0 as usize].kubelet_up {
            self.outcomes.push(FleetOutcome::Tell(RuntimeEvent::ShuttingDown));
            self.set_off(host);
        } else {
            self.power_off(host);
        }
    }

    /// A machine that shuts down goes off, if it is not off already.
    pub(super) fn power_off(&mut self, host: HostId) {
        let row = &mut self.hosts[host.0 as usize];
        if row.shutdowns > 0 && !row.off {
            row.off = true;
            row.was_off = true;
            self.fleet.power_off(host);
            self.start_or_stop_kubelet(host);
        }
    }

    /// Something that is no pod begins to use what pods need, or ceases to.
    fn press(&mut self, kind: &FaultKind, begins: bool) {
        let FaultKind::Pressure { hosts, resource, used } = kind else { return };
        for host in hosts.iter().copied() {
            self.fleet.press(self.now, host, *resource, *used, begins, &mut self.outcomes);
            self.set_off(host);
        }
    }

    /// Brings a kubelet to what its machine's faults allow.
    fn start_or_stop_kubelet(&mut self, host: HostId) {
        let (now, kubelet) = (self.now, ProcId::kubelet(host));
        let row = &mut self.hosts[host.0 as usize];
        let runs = row.present && row.crashes == 0 && row.stops == 0 && !row.off;
        if runs == row.kubelet_up {
            return;
        }
        row.kubelet_up = runs;
        if runs {
            row.incarnation += 1;
            row.started_at = now;
            let rebooted = std::mem::take(&mut row.was_off) && row.incarnation > 1;
            let boot = self.plan.hosts[host.0 as usize].boot.clone();
            self.tell(kubelet, Msg::Boot(boot));
            if rebooted {
                self.tell(kubelet, Msg::Rebooted);
            }
            self.ready.push_back(Input::Started(kubelet));
            if self.is_analytic() {
                self.tell(kubelet, Msg::Heartbeats { exact: true });
            }
        } else {
            self.timers.forget(kubelet);
            self.ready.push_back(Input::Crashed(kubelet));
        }
    }

    /// A fault is about to touch a host.
    fn disturb(&mut self, host: HostId) {
        self.hosts[host.0 as usize].disturbance += 1;
        if self.hosts[host.0 as usize].vouched {
            self.cease_to_vouch(host);
        }
    }

    /// A fault has ceased to touch a host.
    fn settle_down(&mut self, host: HostId) {
        let row = &self.hosts[host.0 as usize];
        if row.undisturbed() && self.is_analytic() {
            let again = Event::VouchAgain { host, disturbance: row.disturbance };
            // A renewal sent over a slow link can be on its way long after the fault, and holds back those behind it.
            let quiet_from = self.now.max(self.network.newest_renewal(host));
            let at = quiet_from.saturating_add(VOUCH_AFTER);
            self.push_from(at, Class::Fault, ProcId::WORLD, again);
        }
    }

    pub(super) fn vouch_again(&mut self, host: HostId, disturbance: u32) {
        let row = &self.hosts[host.0 as usize];
        if row.disturbance == disturbance && row.undisturbed() {
            self.vouch(host);
        }
    }
}
