//! Machines come, fall silent, come back and go; their stand-in kubelets hear of pods and renew their leases.

use serde_json::Value;
use wavetank_core::api::{Propagation, Reply, Request};
use wavetank_core::id::{HostId, Name, ProcId};
use wavetank_core::model::{Kind, Object, ObjectKey};
use wavetank_core::seam::{Input, Msg};
use wavetank_core::time::Span;

use super::{Bench, Happening};
use crate::conform::edge::{self, Outcome, Path};
use crate::conform::kubelets::Due;

/// How often a kubelet renews its lease.
const RENEWAL: Span = Span::from_secs(10);

impl Bench<'_> {
    pub(super) fn do_machine(&mut self, machine: &Value) {
        let name = machine["name"].as_str().unwrap_or_default().to_owned();
        let op = machine["op"].as_str().unwrap_or_default();
        if op == "add" {
            return self.add_machine(machine);
        }
        let Some(host) = self.kubelets.host(&name) else {
            return self.played.not_covered.push(format!("machine {name} was never added"));
        };
        match op {
            "die" => self.kubelets.set_alive(host, false),
            "back" => {
                self.kubelets.set_alive(host, true);
                let condition = serde_json::json!({"status": {"conditions": [
                    {"type": "Ready", "status": "True", "reason": "KubeletReady"},
                    {"type": "MemoryPressure", "status": "False", "reason": "KubeletHasSufficientMemory"},
                    {"type": "DiskPressure", "status": "False", "reason": "KubeletHasNoDiskPressure"},
                    {"type": "PIDPressure", "status": "False", "reason": "KubeletHasSufficientPID"},
                ]}});
                let path = Path {
                    plural: "nodes".to_owned(),
                    name: name.clone(),
                    subresource: "status".to_owned(),
                    ..Path::default()
                };
                let patch = "application/strategic-merge-patch+json";
                if let Outcome::Ask(requests) = edge::translate(&self.core, "PATCH", &path, patch, &condition) {
                    requests.into_iter().for_each(|request| self.ask(ProcId::kubelet(host), request));
                }
                self.wake(host, name.as_str().into());
            }
            "remove" => {
                self.kubelets.set_alive(host, false);
                let key = ObjectKey::new(Kind::Node, "", &name);
                let propagation = Propagation::Background;
                self.ask(ProcId::CLIENT, Request::Delete { key, uid: None, grace: None, propagation });
            }
            other => self.played.not_covered.push(format!("machines cannot {other:?}")),
        }
    }

    pub(super) fn add_machine(&mut self, machine: &Value) {
        match edge::node_of(machine) {
            Ok(node) => {
                let name = node.meta.name.clone();
                let host = self.kubelets.add(&name);
                self.ask(ProcId::kubelet(host), Request::Create(Object::Node(node.into())));
                self.wake(host, name);
            }
            Err(error) => self.played.not_covered.push(error),
        }
    }

    /// A kubelet connects and renews its lease from now on.
    fn wake(&mut self, host: HostId, node: Name) {
        self.ask(ProcId::kubelet(host), Request::WatchPods { node });
        let life = self.beats.entry(host).or_insert(0);
        *life += 1;
        let life = *life;
        self.push(self.now, Happening::Beat(host, life));
    }

    pub(super) fn beat(&mut self, host: HostId, life: u64) {
        if self.beats.get(&host) != Some(&life) || !self.kubelets.is_alive(host) {
            return;
        }
        let node = self.kubelets.node(host).clone();
        let body = Msg::Renew { node, renewal: self.now.0 / RENEWAL.0 };
        self.push(
            self.now,
            Happening::Input(Input::Message { from: ProcId::kubelet(host), to: ProcId::API_SERVER, body }),
        );
        self.push(self.now + RENEWAL, Happening::Beat(host, life));
    }

    pub(super) fn tell_kubelet(&mut self, host: HostId, body: Msg) {
        match body {
            Msg::PodChanged(pod) => {
                let plans = self.kubelets.hears(host, &pod);
                self.plan(plans);
            }
            Msg::PodRemoved(uid) => self.kubelets.forgets(uid),
            Msg::Response(_, Ok(Reply::Pods(pods))) => {
                for pod in pods {
                    if let Object::Pod(pod) = pod {
                        let plans = self.kubelets.hears(host, &pod);
                        self.plan(plans);
                    }
                }
            }
            _ => {}
        }
    }

    pub(super) fn plan(&mut self, plans: Vec<(Span, Due)>) {
        for (delay, due) in plans {
            // Kubelets of a busy cluster are late, each on its own.
            let takes = self.pace.kubelet_takes(due.entity(), self.pushed);
            self.push(self.now + delay + takes, Happening::Duty(due));
        }
    }
}
