//! What goes wrong: machines, kubelets, links and what runs short.

use wavetank_core::id::HostId;
use wavetank_core::quantity::{Format, Quantity};

use super::{Deed, Reader};
use crate::plan::scenario::format::{self, Entry, OnMachines};
use crate::plan::{FaultKind, LinkProfile, PressedResource, Side};

impl Reader<'_> {
    /// The faults of an entry; `None` for one that is a problem.
    pub(super) fn faults(&mut self, entry: &Entry) -> Vec<Option<Deed>> {
        let mut deeds = Vec::new();
        deeds.extend(
            entry.crash.as_ref().map(|on| {
                self.fault(on, "crash", |hosts| FaultKind::Crash { hosts }, |names| format!("{names} crashes"))
            }),
        );
        deeds.extend(entry.power_loss.as_ref().map(|on| {
            self.fault(on, "powerLoss", |hosts| FaultKind::Crash { hosts }, |names| format!("{names} loses power"))
        }));
        deeds.extend(entry.kubelet_stop.as_ref().map(|on| {
            let label = |names: String| format!("kubelet of {names} stops");
            self.fault(on, "kubeletStop", |hosts| FaultKind::KubeletStop { hosts }, label)
        }));
        deeds.extend(entry.node_shutdown.as_ref().map(|on| {
            self.fault(on, "nodeShutdown", |hosts| FaultKind::Shutdown { hosts }, |names| format!("{names} shuts down"))
        }));
        let pressures = [
            (&entry.memory_pressure, PressedResource::Memory, "memoryPressure"),
            (&entry.disk_pressure, PressedResource::NodeFilesystem, "diskPressure"),
            (&entry.pid_pressure, PressedResource::Pids, "pidPressure"),
        ];
        for (pressure, resource, action) in pressures {
            deeds.extend(pressure.as_ref().map(|pressure| self.pressure(pressure, resource, action)));
        }
        deeds.extend(entry.network_cut.as_ref().map(|cut| self.network_cut(cut)));
        deeds.extend(entry.slow_link.as_ref().map(|link| self.slow_link(link)));
        deeds
    }

    /// A fault of machines, with a label that names them.
    fn fault(
        &mut self,
        on: &impl OnMachines,
        action: &str,
        kind: fn(Vec<HostId>) -> FaultKind,
        label: fn(String) -> String,
    ) -> Option<Deed> {
        let hosts = self.choose(on.chosen(), action)?;
        Some(Deed::Fault(kind(hosts), label(on.chosen().label())))
    }

    fn pressure(&mut self, on: &format::PressureOn, resource: PressedResource, action: &str) -> Option<Deed> {
        let chosen = on.chosen();
        let hosts = self.choose(chosen, action)?;
        let path = format!("{}.{action}", self.path);
        let Some(used) = on.used else {
            self.problems.add(self.place, &path, "missing field \"used\": how much is used beside the pods?");
            return None;
        };
        let (resource, what) = match (resource, on.filesystem) {
            (PressedResource::NodeFilesystem, format::Filesystem::Image) => (PressedResource::ImageFilesystem, "disk"),
            (PressedResource::NodeFilesystem, _) => (resource, "disk"),
            (_, format::Filesystem::Image) => {
                self.problems.add(self.place, &path, "filesystem has a meaning for diskPressure only");
                return None;
            }
            (PressedResource::Pids, _) => (resource, "processes"),
            _ => (resource, "memory"),
        };
        let used = used.value.0;
        let label = match resource {
            PressedResource::Pids => format!("{used} {what} beside the pods of {}", chosen.label()),
            _ => {
                let amount = Quantity::from_units(i64::try_from(used).unwrap_or(i64::MAX), Format::BinarySi);
                format!("{amount} of {what} used beside the pods of {}", chosen.label())
            }
        };
        Some(Deed::Fault(FaultKind::Pressure { hosts, resource, used }, label))
    }

    fn network_cut(&mut self, cut: &format::NetworkCut) -> Option<Deed> {
        let [a, b] = cut.between.value.as_slice() else {
            let message = format!("expected two groups, found {}", cut.between.value.len());
            self.problems.add(cut.between.span, &format!("{}.networkCut.between", self.path), message);
            return None;
        };
        let ((a, a_label), (b, b_label)) = (self.side(a)?, self.side(b)?);
        let both = a.hosts.iter().find(|host| b.hosts.contains(host));
        if both.is_some() || a.control_plane && b.control_plane {
            let message = "the two groups have members in common, which cannot be cut from themselves";
            self.problems.add(cut.between.span, &format!("{}.networkCut.between", self.path), message);
            return None;
        }
        Some(Deed::Fault(FaultKind::NetworkCut { a, b }, format!("network cut between {a_label} and {b_label}")))
    }

    fn side(&mut self, side: &format::Side) -> Option<(Side, String)> {
        let chosen = side.chosen();
        let mut label = chosen.label();
        if side.control_plane {
            let joint = if label.is_empty() { "" } else { " and " };
            label = format!("the control plane{joint}{label}");
            let path = format!("{}.networkCut", self.path);
            let hosts = self.fleet.choose(chosen, &path, self.problems);
            return Some((Side { control_plane: true, hosts }, label));
        }
        let hosts = self.choose(chosen, "networkCut")?;
        Some((Side { control_plane: false, hosts }, label))
    }

    fn slow_link(&mut self, link: &format::SlowLink) -> Option<Deed> {
        let chosen = link.chosen();
        let hosts = self.choose(chosen, "slowLink")?;
        if link.delay.is_none() && link.loss_per_million.is_none() {
            self.problems.add(self.place, self.path, "slowLink needs a delay or lossPerMillion");
            return None;
        }
        let loss = link.loss_per_million.map_or(0, |loss| loss.value);
        if loss > 999_999 {
            let place = link.loss_per_million.map_or(self.place, |loss| loss.span);
            self.problems.add(place, self.path, format!("expected lossPerMillion up to 999999, found {loss}"));
        }
        let delay = link.delay.clone().map(|spread| spread.0).unwrap_or_default();
        let profile = LinkProfile { delay, loss_per_million: loss };
        Some(Deed::Fault(FaultKind::SlowLink { hosts, profile }, format!("slow link to {}", chosen.label())))
    }
}
