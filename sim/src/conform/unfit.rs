//! The scheduler's message about a pod that fits nowhere, where a recorded cluster had nodes that we know nothing of.
//!
//! A cluster that several scenarios shared counts nodes of all of them, and tries a pod again when any of these nodes
//! changes. So our message agrees with a recorded one that counts more nodes if it has no reason that is not in that
//! one, and none more often; and our sequence of messages agrees if it is part of the recorded one, from the same
//! beginning to the same end. Releases later than 1.34.1 count all untolerated taints together; the comparison does so
//! for both sides. How many changes of nodes one attempt sees is chance: our sequence may be part of the recorded one
//! with the same nodes, too.

use std::collections::BTreeMap;

use crate::conform::story::Entry;

/// A message taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Unfit {
    /// What comes before `0/5 nodes`.
    before: String,
    nodes: u32,
    reasons: BTreeMap<String, u32>,
}

/// Whether both sequences have messages of this sort, of which the recorded ones begin with no fewer nodes: they may
/// have been said again where ours were not.
pub fn may_be_repeated(recorded: &[Entry], ours: &[Entry]) -> bool {
    let nodes = |entries: &[Entry]| entries.iter().find_map(|entry| Unfit::parse(&entry.value)).map(|it| it.nodes);
    nodes(recorded).zip(nodes(ours)).is_some_and(|(recorded, ours)| recorded >= ours)
}

/// Whether two values agree, as far as nodes are concerned that both know of.
pub fn agree(recorded: &str, ours: &str) -> bool {
    if recorded == ours {
        return true;
    }
    let (Some(recorded), Some(ours)) = (Unfit::parse(recorded), Unfit::parse(ours)) else { return false };
    let known = |(reason, count): (&String, &u32)| recorded.reasons.get(reason).is_some_and(|there| there >= count);
    recorded.before == ours.before
        && recorded.nodes >= ours.nodes
        && ours.reasons.iter().all(known)
        && (recorded.nodes > ours.nodes || recorded.reasons == ours.reasons)
}

/// How releases up to 1.34.1 and later ones say that another pod has a claim that one pod alone may use.
const IN_USE: [&str; 2] = [
    "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode",
    "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod",
];

/// A message in which all untolerated taints are counted together and a claim in use is told of as later releases do;
/// any other text as it is.
///
/// The reasons stand in the order of their texts, counts included.
pub fn levelled(text: &str) -> String {
    let text = &text.replace(IN_USE[0], IN_USE[1]);
    const TAINT: &str = " node(s) had untolerated taint";
    let Some((before, rest)) = text.split_once(" nodes are available: ").filter(|(_, rest)| rest.contains(TAINT))
    else {
        return text.to_owned();
    };
    let end = rest.find(". ").unwrap_or(rest.trim_end_matches('.').len());
    let (reasons, after) = rest.split_at(end);
    let taints = |part: &str| part.split_once(TAINT).and_then(|(count, _)| count.parse::<u32>().ok());
    let mut parts: Vec<String> = reasons.split(", ").filter(|part| taints(part).is_none()).map(str::to_owned).collect();
    parts.push(format!("{}{TAINT}(s)", reasons.split(", ").filter_map(taints).sum::<u32>()));
    parts.sort_unstable();
    format!("{before} nodes are available: {}{after}", parts.join(", "))
}

/// Whether our sequence is part of the recorded one, from the same beginning to the same end.
pub fn is_part(recorded: &[Entry], ours: &[Entry]) -> bool {
    let (Some(first), Some(last)) = (ours.first(), ours.last()) else { return recorded.is_empty() };
    let ends = recorded.first().is_some_and(|it| agree(&it.value, &first.value))
        && recorded.last().is_some_and(|it| agree(&it.value, &last.value));
    let mut rest = recorded.iter();
    ends && ours.iter().all(|entry| rest.any(|it| agree(&it.value, &entry.value)))
}

impl Unfit {
    fn parse(text: &str) -> Option<Unfit> {
        let text = &levelled(text);
        let at = text.find("0/")?;
        let (before, rest) = text.split_at(at);
        let (nodes, reasons) = rest[2..].split_once(" nodes are available: ")?;
        // What follows the first sentence depends on preemption over all nodes, foreign ones too.
        let reasons = reasons.split(". ").next()?.trim_end_matches('.');
        let mut counted = BTreeMap::new();
        for part in reasons.split(", ") {
            let (count, reason) = part.split_once(' ').unwrap_or(("1", part));
            let (count, reason) = match count.parse() {
                Ok(count) => (count, reason),
                Err(_) => (1, part),
            };
            *counted.entry(reason.to_owned()).or_insert(0) += count;
        }
        Some(Unfit { before: before.to_owned(), nodes: nodes.parse().ok()?, reasons: counted })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(values: &[&str]) -> Vec<Entry> {
        values.iter().map(|value| Entry { at_ms: 0, value: (*value).to_owned() }).collect()
    }

    const RECORDED: &str = "False(Unschedulable): 0/20 nodes are available: 17 Insufficient cpu, 3 node(s) had \
                            untolerated taint(s). no new claims";

    #[test]
    fn our_reasons_must_be_among_the_recorded_ones_and_no_more_often() {
        let ours = |reasons: &str| format!("False(Unschedulable): 0/5 nodes are available: {reasons}.");
        assert!(agree(RECORDED, &ours("4 Insufficient cpu, 1 node(s) had untolerated taint {gpu: yes}")));
        assert!(!agree(RECORDED, &ours("1 Insufficient memory, 4 Insufficient cpu")));
        assert!(!agree(RECORDED, &ours("4 node(s) had untolerated taint {gpu: yes}, 1 Insufficient cpu")));
    }

    #[test]
    fn with_the_same_nodes_messages_must_be_equal_but_for_the_names_of_taints() {
        let recorded = "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint(s).";
        let taints = "0/3 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {a: b}, 1 node(s) \
                      had untolerated taint {c: }.";
        assert!(agree(recorded, taints));
        assert!(!agree(
            recorded,
            "0/3 nodes are available: 2 Insufficient cpu, 1 node(s) had untolerated taint {a: b}."
        ));
        let fewer = entries(&["0/2 nodes are available: 2 Insufficient cpu."]);
        assert!(!may_be_repeated(&fewer, &entries(&[taints])), "fewer than we have");
    }

    #[test]
    fn taints_are_counted_together_and_reasons_stand_in_order() {
        let ours = "0/7 nodes are available: 1 node(s) had untolerated taint {k: v}, 2 node(s) had untolerated taint \
                    {node.kubernetes.io/not-ready: }, 2 Insufficient cpu, 2 node(s) were unschedulable. preemption: \
                    0/7 nodes are available: 7 Preemption is not helpful for scheduling.";
        let recorded = "0/7 nodes are available: 2 Insufficient cpu, 2 node(s) were unschedulable, 3 node(s) had \
                        untolerated taint(s). preemption: 0/7 nodes are available: 7 Preemption is not helpful for \
                        scheduling.";
        assert_eq!(levelled(ours), recorded);
        assert_eq!(levelled(recorded), recorded);
        let short = "False(Unschedulable): 0/1 nodes are available: 1 node(s) had untolerated taint {a: b}.";
        assert_eq!(levelled(short), short.replace(" {a: b}", "(s)"));
        assert_eq!(levelled("Created pod: a"), "Created pod: a");
        let in_use = |reason: &str| format!("0/8 nodes are available: 8 {reason}. no new claims");
        assert_eq!(levelled(&in_use(IN_USE[0])), in_use(IN_USE[1]));
    }

    #[test]
    fn our_sequence_begins_and_ends_as_the_recorded_one_and_leaves_out_what_foreign_nodes_caused() {
        let one = "0/9 nodes are available: 9 Insufficient cpu.";
        let two = "0/9 nodes are available: 8 Insufficient cpu, 1 node(s) were unschedulable.";
        let recorded = entries(&[one, two, one, "True"]);
        assert!(is_part(&recorded, &entries(&["0/2 nodes are available: 2 Insufficient cpu.", "True"])));
        assert!(!is_part(&recorded, &entries(&["0/2 nodes are available: 2 Insufficient cpu."])), "never bound");
        assert!(!is_part(&recorded, &entries(&["True"])), "bound at once");
        assert!(!is_part(&recorded, &[]));
        let gated = |values: &[&str]| {
            [entries(&["Scheduling is blocked due to non-empty scheduling gates"]), entries(values)].concat()
        };
        let ours = gated(&["0/2 nodes are available: 2 Insufficient cpu."]);
        assert!(may_be_repeated(&gated(&[one, one]), &ours), "what comes before counts no nodes");
        assert!(!may_be_repeated(&gated(&[]), &ours), "never without room");
    }
}
