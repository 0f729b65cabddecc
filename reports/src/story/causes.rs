//! What caused a fact, as far as order, ownership and authors make it certain.
//!
//! A cause is an earlier fact of the same run. Where several could be it, or none is recorded, there is none: a story
//! with a gap is better than one that guesses.

use std::collections::BTreeMap;

use super::replicas;
use crate::record::FactRow;

/// The facts of a run and what is looked up in them.
pub(super) struct Facts<'a> {
    pub(super) rows: &'a [FactRow],
    /// The places of each subject's facts, in order.
    of_subject: BTreeMap<&'a str, Vec<usize>>,
    /// The subject of each object's last known owner.
    owners: BTreeMap<&'a str, String>,
    /// Faults and requests by what they were aimed at.
    aimed_at: BTreeMap<&'a str, Vec<usize>>,
}

impl<'a> Facts<'a> {
    pub(super) fn new(rows: &'a [FactRow]) -> Facts<'a> {
        let mut facts = Facts { rows, of_subject: BTreeMap::new(), owners: BTreeMap::new(), aimed_at: BTreeMap::new() };
        for (index, fact) in rows.iter().enumerate() {
            facts.of_subject.entry(&fact.subject).or_default().push(index);
            for target in &fact.targets {
                facts.aimed_at.entry(target).or_default().push(index);
            }
            if fact.reason == "Created"
                && let Some(owner) = owner_in(fact)
            {
                facts.owners.insert(&fact.subject, owner);
            }
        }
        facts
    }

    /// The subject of an object's owner.
    pub(super) fn owner(&self, subject: &str) -> Option<&str> {
        self.owners.get(subject).map(String::as_str)
    }

    /// The facts of one subject, in order.
    pub(super) fn of(&self, subject: &str) -> &[usize] {
        self.of_subject.get(subject).map_or(&[], Vec::as_slice)
    }

    /// The faults and requests that were aimed at one subject, in order.
    pub(super) fn aimed_at(&self, subject: &str) -> &[usize] {
        self.aimed_at.get(subject).map_or(&[], Vec::as_slice)
    }

    /// The subjects that an object owns.
    pub(super) fn owned_by<'b>(&'b self, subject: &'b str) -> impl Iterator<Item = &'a str> + 'b {
        self.owners.iter().filter(move |(_, owner)| *owner == subject).map(|(owned, _)| *owned)
    }

    /// The last fact of a subject before a place that passes the test.
    fn last(&self, subject: &str, before: usize, test: impl Fn(&FactRow) -> bool) -> Option<usize> {
        self.of(subject).iter().rev().copied().find(|&index| index < before && test(&self.rows[index]))
    }

    /// The last fact of a subject before a place with one of these reasons.
    fn last_of(&self, subject: &str, before: usize, reasons: &[&str]) -> Option<usize> {
        self.last(subject, before, |fact| reasons.contains(&fact.reason.as_str()))
    }

    /// The node that a pod was bound to at a place.
    pub(super) fn node_of(&self, pod: &str, before: usize) -> Option<String> {
        let bound = self.last_of(pod, before, &["Scheduled", "Created"])?;
        self.rows[bound].message.strip_prefix("bound to ").map(|node| format!("node/{node}"))
    }

    /// The image whose pull begins or ends at a place.
    fn pull(&self, place: usize) -> Option<&str> {
        let fact = &self.rows[place];
        match fact.reason.as_str() {
            "Pulling" => fact.message.strip_prefix("pulling image "),
            "Pulled" => fact.message.strip_prefix("image ")?.split(' ').next(),
            "PullFailed" => fact.message.strip_prefix("image ")?.split_once(": ").map(|(image, _)| image),
            _ => None,
        }
    }

    /// Whether at a place a pull ends that has begun before.
    fn ends_pull(&self, place: usize) -> bool {
        let fact = &self.rows[place];
        let is_end = matches!(fact.reason.as_str(), "Pulled" | "PullFailed");
        let begun = || {
            self.last(&fact.subject, place, |other| {
                matches!(other.reason.as_str(), "Pulling" | "Pulled" | "PullFailed")
            })
        };
        is_end && begun().is_some_and(|begun| self.rows[begun].reason == "Pulling")
    }

    /// The last request of the user before a place that was aimed at a subject and begins with one of these verbs.
    fn request(&self, subject: &str, before: usize, verbs: &[&str]) -> Option<usize> {
        self.aimed_at(subject).iter().rev().copied().find(|&index| {
            let fact = &self.rows[index];
            let verb = |verb: &&str| fact.subject.strip_prefix(*verb).is_some_and(|rest| rest.starts_with(' '));
            index < before && fact.category == "action" && fact.reason == "Requested" && verbs.iter().any(verb)
        })
    }

    /// The last fault that had struck a node by a place, as a whole, and had not been undone.
    fn fault(&self, node: &str, before: usize) -> Option<usize> {
        let mut open: Vec<usize> = Vec::new();
        for &index in self.aimed_at(node).iter().take_while(|&&index| index < before) {
            let fact = &self.rows[index];
            match (fact.category.as_str(), fact.reason.as_str()) {
                // What uses up memory, disk or processes takes no node away.
                ("fault", "Begins") if !fact.subject.contains(" beside the pods of ") => open.push(index),
                ("fault", "Ends") => {
                    let same =
                        |&one: &usize| self.rows[one].subject == fact.subject && self.rows[one].message == fact.message;
                    if let Some(place) = open.iter().position(same) {
                        open.remove(place);
                    }
                }
                _ => {}
            }
        }
        open.last().copied()
    }
}

/// The causes of a run's facts.
pub(super) struct Causes<'a> {
    pub(super) facts: Facts<'a>,
    paired: BTreeMap<usize, usize>,
}

impl<'a> Causes<'a> {
    pub(super) fn new(rows: &'a [FactRow]) -> Causes<'a> {
        let facts = Facts::new(rows);
        let paired = replicas::paired(&facts);
        Causes { facts, paired }
    }

    /// Where the pods were created that made up for the loss of one.
    pub(super) fn made_up_for<'b>(&'b self, pod: &'b str) -> impl Iterator<Item = usize> + 'b {
        let rows = self.facts.rows;
        self.paired.iter().filter(move |(_, cause)| rows[**cause].subject == pod).map(|(created, _)| *created)
    }

    /// The fact that caused the one at a place.
    pub(super) fn of(&self, index: usize) -> Option<usize> {
        let fact = &self.facts.rows[index];
        if let Some(cause) = self.paired.get(&index) {
            return Some(*cause);
        }
        if fact.by == "user" {
            return self.of_the_user(index);
        }
        match fact.category.as_str() {
            "pod" => self.of_pod(index),
            "node" => self.of_node(index),
            _ => self.of_workload(index),
        }
    }

    fn of_the_user(&self, index: usize) -> Option<usize> {
        let fact = &self.facts.rows[index];
        let verbs: &[&str] = match fact.reason.as_str() {
            "Created" => &["apply", "create"],
            "DeletionRequested" | "Deleted" => &["delete"],
            "Scaled" => &["scale", "apply"],
            "TemplateChanged" => &["apply", "set image of", "restart", "undo"],
            "NodeNotSchedulable" => &["cordon", "drain"],
            "NodeSchedulable" => &["uncordon"],
            "Tainted" => &["taint"],
            "Untainted" => &["untaint"],
            _ => return None,
        };
        let direct = self.facts.request(&fact.subject, index, verbs);
        let node = || self.facts.node_of(&fact.subject, index);
        match fact.category.as_str() {
            // Nobody but a drain asks for the deletion of pods that no request names.
            "pod" if direct.is_none() && fact.reason != "Created" => self.facts.request(&node()?, index, &["drain"]),
            _ => direct,
        }
    }

    fn of_pod(&self, index: usize) -> Option<usize> {
        let (facts, fact) = (&self.facts, &self.facts.rows[index]);
        let subject = fact.subject.as_str();
        let last = |reasons: &[&str]| facts.last_of(subject, index, reasons);
        // Only what has happened since another fact can be the cause.
        let since = |reasons: &[&str], start: &[&str]| {
            last(reasons).filter(|found| last(start).is_none_or(|start| start < *found))
        };
        match fact.reason.as_str() {
            // A pod of a StatefulSet takes the place of the former one of its name.
            "Created" => last(&["Deleted"]),
            "TaintManagerEviction" => {
                let key = fact.message.strip_prefix("evicted: ")?;
                let node = facts.node_of(subject, index)?;
                facts.last(&node, index, |taint| {
                    taint.reason == "Tainted" && taint.message == format!("taint {key}:NoExecute added")
                })
            }
            "DeletionRequested" | "Deleted" => match fact.by.as_str() {
                _ if fact.reason == "Deleted" && since(&["DeletionRequested"], &["Created"]).is_some() => {
                    last(&["DeletionRequested"])
                }
                "taint-eviction-controller" => since(&["TaintManagerEviction"], &["Created"]),
                "default-scheduler" => since(&["Preempting"], &["Created"]),
                "garbage-collector-controller" => {
                    facts.last_of(facts.owner(subject)?, index, &["DeletionRequested", "Deleted"])
                }
                "pod-garbage-collector-controller" => {
                    facts.last_of(&facts.node_of(subject, index)?, index, &["Deleted"])
                }
                _ => None,
            },
            // The first attempt is made because the pod is there; what led to a later one is not told.
            "FailedScheduling" => {
                last(&["Created", "FailedScheduling"]).filter(|&found| facts.rows[found].reason == "Created")
            }
            // The pod that room is made for could not be placed.
            "Preempting" => {
                let (pod, _) = fact.message.strip_prefix("makes room for ")?.split_once(" on ")?;
                facts.last_of(pod, index, &["Created", "FailedScheduling", "Deleted"])
            }
            "Unready" if fact.by == "node-lifecycle-controller" => {
                facts.last_of(&facts.node_of(subject, index)?, index, &["NodeNotReady"])
            }
            "Unready" => since(&["DeletionRequested", "Exited", "Unhealthy"], &["Ready"]),
            "Ended" => self.of_an_end_by_the_kubelet(index),
            "Pulling" => self.of_a_turn_to_pull(index),
            "Killing" => since(&["DeletionRequested", "Unhealthy", "Evicted", "Ended"], &["Started"]),
            "Exited" => since(&["Killing", "OOMKilling"], &["Started"]),
            "BackOff" => last(&["Exited"]),
            "Started" if fact.message.contains("again (restart ") => last(&["Exited"]),
            "Succeeded" => since(&["Exited"], &["Started"]),
            "Failed" => since(&["Exited", "Evicted", "DeadlineExceeded", "Terminated"], &["Started"]),
            _ => None,
        }
    }

    /// Why a pull begins at that moment: another pod's on the node has ended, so that it is this one's turn.
    fn of_a_turn_to_pull(&self, index: usize) -> Option<usize> {
        let (facts, fact) = (&self.facts, &self.facts.rows[index]);
        let node = facts.node_of(&fact.subject, index)?;
        let at_once = (0..index).rev().take_while(|&place| facts.rows[place].time_ns == fact.time_ns);
        let mut ends = at_once.filter(|&place| facts.rows[place].subject != fact.subject && facts.ends_pull(place));
        ends.find(|&place| facts.node_of(&facts.rows[place].subject, place).as_deref() == Some(&node))
    }

    /// The pull for which a pod waits that wants one at some time: the only one on its node that is under way then.
    pub(super) fn of_a_wait_to_pull(&self, pod: &str, time_ns: u64) -> Option<usize> {
        let facts = &self.facts;
        let until = facts.rows.partition_point(|fact| fact.time_ns <= time_ns);
        let node = facts.node_of(pod, until)?;
        let begins = |&place: &usize| {
            let fact = &facts.rows[place];
            fact.reason == "Pulling"
                && facts.node_of(&fact.subject, place).as_deref() == Some(&node)
                && !facts.of(&fact.subject).iter().any(|&end| {
                    (place..until).contains(&end)
                        && (facts.rows[end].reason == "Deleted" || facts.pull(end) == facts.pull(place) && end > place)
                })
        };
        let mut under_way = (0..until).filter(begins);
        under_way.next().filter(|_| under_way.next().is_none())
    }

    /// Why a kubelet ends a pod: its node runs short, or is shut down; of other ends (a deadline) no cause is told.
    fn of_an_end_by_the_kubelet(&self, index: usize) -> Option<usize> {
        let (facts, fact) = (&self.facts, &self.facts.rows[index]);
        let node = facts.node_of(&fact.subject, index)?;
        if fact.message.starts_with("Terminated: Pod was terminated in response to imminent node shutdown") {
            return facts.last_of(&node, index, &["NodeShutdown"]);
        }
        let resource = fact.message.strip_prefix("Evicted: The node was low on resource: ")?;
        let condition = match resource.split('.').next()? {
            "memory" => "MemoryPressure",
            "pids" => "PIDPressure",
            _ => "DiskPressure",
        };
        let of_it = |fact: &FactRow| fact.reason == "Pressure" && fact.message.starts_with(condition);
        let last = facts.last(&node, index, of_it)?;
        facts.rows[last].message.ends_with(" begins").then_some(last)
    }

    fn of_node(&self, index: usize) -> Option<usize> {
        let (facts, fact) = (&self.facts, &self.facts.rows[index]);
        let node = fact.subject.as_str();
        let taint = fact.message.strip_prefix("taint ").unwrap_or("");
        let unreachable = taint.starts_with("node.kubernetes.io/unreachable:");
        let lost = unreachable || taint.starts_with("node.kubernetes.io/not-ready:");
        let pressure = ["memory", "disk", "pid"].into_iter().zip(["MemoryPressure", "DiskPressure", "PIDPressure"]);
        let mut pressure =
            pressure.filter(|(key, _)| taint.starts_with(&format!("node.kubernetes.io/{key}-pressure:")));
        let pressure = pressure.next().map(|(_, condition)| condition);
        let closed = taint.starts_with("node.kubernetes.io/unschedulable:");
        match fact.reason.as_str() {
            "NodeNotReady" | "NodeShutdown" => facts.fault(node, index),
            "NodeReady" => {
                let lost = facts.last_of(node, index, &["NodeNotReady"])?;
                let ended =
                    |&&place: &&usize| facts.rows[place].category == "fault" && facts.rows[place].reason == "Ends";
                let before = facts.aimed_at(node).iter().filter(|&&place| place < index);
                before.rev().find(ended).copied().filter(|ended| *ended > lost)
            }
            "Tainted" if lost => self.of_a_loss(node, index, unreachable),
            "Untainted" if lost => {
                let ready = facts.last_of(node, index, &["NodeReady"])?;
                match facts.last_of(node, index, &["NodeNotReady"]) {
                    // A node that is not ready changes one of these taints for the other.
                    Some(lost) if lost > ready => facts.last(node, index, |fact| {
                        let (_, effect) = taint.split_once(':').unwrap_or_default();
                        let other = if unreachable { "not-ready" } else { "unreachable" };
                        let effect = effect.trim_end_matches(" removed");
                        fact.reason == "Tainted"
                            && fact.message == format!("taint node.kubernetes.io/{other}:{effect} added")
                    }),
                    _ => Some(ready),
                }
            }
            "Tainted" | "Untainted" if pressure.is_some() => {
                let verb = if fact.reason == "Tainted" { "begins" } else { "ends" };
                facts.last(node, index, |fact| {
                    fact.reason == "Pressure" && pressure.is_some_and(|kind| fact.message == format!("{kind} {verb}"))
                })
            }
            "Tainted" if closed => facts.last_of(node, index, &["NodeNotSchedulable"]),
            "Untainted" if closed => facts.last_of(node, index, &["NodeSchedulable"]),
            _ => None,
        }
    }

    /// Why a node has a taint of those that are not ready: what is recorded of its condition or, if it had been lost
    /// otherwise before it was heard of no more, the fault.
    fn of_a_loss(&self, node: &str, index: usize, unreachable: bool) -> Option<usize> {
        let lost = self.facts.last_of(node, index, &["NodeNotReady"])?;
        let unheard = self.facts.rows[lost].message.ends_with("(NodeStatusUnknown)");
        if unreachable && !unheard { self.facts.fault(node, index) } else { Some(lost) }
    }

    fn of_workload(&self, index: usize) -> Option<usize> {
        let (facts, fact) = (&self.facts, &self.facts.rows[index]);
        let subject = fact.subject.as_str();
        match (fact.reason.as_str(), fact.by.as_str()) {
            ("Endpoints", _) => self.of_endpoints(index),
            ("Created", "deployment-controller") => {
                facts.last_of(facts.owner(subject)?, index, &["Created", "TemplateChanged"])
            }
            ("Scaled", "deployment-controller") => self.step_of_deployment(facts.owner(subject)?, index),
            ("DeletionRequested" | "Deleted", "garbage-collector-controller") => {
                facts.last_of(facts.owner(subject)?, index, &["DeletionRequested", "Deleted"])
            }
            ("Deleted", _) => {
                let asked = facts.last_of(subject, index, &["DeletionRequested"])?;
                let created = facts.last_of(subject, index, &["Created"]);
                created.is_none_or(|created| created < asked).then_some(asked)
            }
            _ => None,
        }
    }

    /// Why a Service's endpoints changed: what befell the first pod that left or, if none did, joined.
    fn of_endpoints(&self, index: usize) -> Option<usize> {
        let (facts, fact) = (&self.facts, &self.facts.rows[index]);
        let (kind, rest) = fact.subject.split_once('/')?;
        let namespace = rest.split_once('/').map(|(namespace, _)| namespace).filter(|_| kind == "service")?;
        let (_, moves) = fact.message.split_once(": ")?;
        let parts = || moves.split("; ");
        let first = |verb: &str| {
            let pods = parts().find_map(|part| part.strip_suffix(verb))?;
            let pod = pods.split([',', ' ']).next()?;
            Some(format!("pod/{namespace}/{pod}"))
        };
        let ends = ["DeletionRequested", "Deleted", "Unready", "Succeeded", "Failed"];
        match first(" left") {
            Some(pod) => {
                // A pod is marked and then not ready: the earlier of the two since it was ready is why it left.
                let ready = facts.last_of(&pod, index, &["Ready"]);
                let after = |place: &&usize| **place < index && ready.is_none_or(|ready| **place > ready);
                let end = |place: &&usize| ends.contains(&facts.rows[**place].reason.as_str());
                facts.of(&pod).iter().filter(after).find(end).copied()
            }
            None => facts.last_of(&first(" joined")?, index, &["Ready"]),
        }
    }

    /// Why a Deployment scales one of its ReplicaSets: its own new number or its rollout, when only one can be it.
    fn step_of_deployment(&self, deployment: &str, before: usize) -> Option<usize> {
        let facts = &self.facts;
        let rollout = facts.last_of(deployment, before, &["Created", "TemplateChanged"]);
        let number = facts.last_of(deployment, before, &["Scaled"]);
        let done = facts.last(deployment, before, |fact| fact.message.contains("(NewReplicaSetAvailable)"));
        match (number, rollout) {
            (None, rollout) => rollout,
            (Some(number), Some(rollout)) if number < rollout => {
                (done < Some(rollout)).then_some(rollout).filter(|_| {
                    // A number that was set before the rollout had been reached by then.
                    done.is_some_and(|done| done > number)
                })
            }
            (Some(number), Some(rollout)) => done.is_some_and(|done| done > rollout && done < number).then_some(number),
            (Some(number), None) => Some(number),
        }
    }
}

/// The numbers of `scaled from 3 to 6`.
pub(super) fn scaled(message: &str) -> Option<(u64, u64)> {
    let (from, to) = message.strip_prefix("scaled from ")?.split_once(" to ")?;
    Some((from.parse().ok()?, to.parse().ok()?))
}

/// The owner's subject of `created by ReplicaSet/web-5d4`.
fn owner_in(fact: &FactRow) -> Option<String> {
    let (kind, name) = fact.message.strip_prefix("created by ")?.split_once('/')?;
    let mut parts = fact.subject.split('/');
    let (_, namespace, own) = (parts.next()?, parts.next()?, parts.next());
    own.map(|_| format!("{}/{namespace}/{name}", kind.to_lowercase()))
}
