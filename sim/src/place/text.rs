//! The rows as a table for people: where each pod goes and why, and what each node lacked for those that go nowhere.

use std::collections::BTreeMap;

use super::{Rejected, Row, Scores, Status};

/// So many nodes of one reason are named.
const NODES_SHOWN: usize = 6;
/// So many of the best nodes' scores are shown with full detail.
const SCORES_SHOWN: usize = 3;

/// The table, with a last line that counts. Ends with a line feed.
pub fn render(rows: &[Row]) -> String {
    let pod_width = rows.iter().map(|row| row.pod.chars().count()).max().unwrap_or(0).max(3);
    let goes = |row: &Row| row.node.clone().unwrap_or_else(|| "-".to_owned());
    let node_width = rows.iter().map(|row| goes(row).chars().count()).max().unwrap_or(0).max(4);
    let mut text = format!("{:pod_width$}  {:node_width$}  WHY\n", "POD", "NODE");
    for row in rows {
        let mut why = reasons(row).into_iter();
        let first = why.next().unwrap_or_default();
        text.push_str(&format!("{:pod_width$}  {:node_width$}  {first}\n", row.pod, goes(row)));
        for line in why {
            text.push_str(&format!("{:pod_width$}  {:node_width$}  {line}\n", "", ""));
        }
    }
    text.push_str(&format!("\n{}\n", counted(rows)));
    text
}

fn counted(rows: &[Row]) -> String {
    let kinds = [
        (Status::Bound, "placed"),
        (Status::Prebound, "placed before"),
        (Status::Unschedulable, "unschedulable"),
        (Status::Gated, "gated"),
        (Status::Finished, "finished"),
        (Status::Ignored, "left to other schedulers"),
        (Status::Error, "not tried"),
    ];
    let count = |status| rows.iter().filter(|row| row.status == status).count();
    let parts = kinds.into_iter().map(|(status, name)| (count(status), name)).filter(|(count, _)| *count > 0);
    let parts: Vec<String> = parts.map(|(count, name)| format!("{count} {name}")).collect();
    let noun = if rows.len() == 1 { "pod" } else { "pods" };
    format!("{} {noun}: {}", rows.len(), if parts.is_empty() { "none".to_owned() } else { parts.join(", ") })
}

/// The lines of the last column.
fn reasons(row: &Row) -> Vec<String> {
    match row.status {
        Status::Bound => placed(row),
        Status::Unschedulable => match (lacking(&row.rejected), row.message.clone().unwrap_or_default()) {
            (lines, message) if lines.is_empty() => vec![message],
            // The message says of each reason how many nodes have it; the lines say which.
            (lines, message) => {
                let head = message.split_inclusive(':').next().unwrap_or_default().to_owned();
                let preemption = row.preemption.as_ref().and_then(|it| it.message.as_ref());
                let preemption = preemption.map(|message| format!("  preemption: {message}"));
                std::iter::once(head).chain(lines).chain(preemption).collect()
            }
        },
        Status::Prebound => vec!["was there before".to_owned()],
        Status::Finished => vec!["has ended".to_owned()],
        Status::Gated | Status::Ignored | Status::Error => vec![row.message.clone().unwrap_or_default()],
    }
}

fn placed(row: &Row) -> Vec<String> {
    let (feasible, checked) = (row.num_feasible.unwrap_or(0), row.num_checked.unwrap_or(0));
    let mut first = match feasible {
        1 => format!("the only one of {checked} that takes it"),
        _ => format!("{feasible} of {checked} take it"),
    };
    if let Some(score) = row.top_score {
        first.push_str(&match row.top.len() {
            1 => format!("; best with {score}"),
            ties => format!("; one of {ties} best with {score}"),
        });
    }
    let mut lines: Vec<String> =
        row.preemption.iter().map(|it| format!("in place of {}", it.victims.join(", "))).collect();
    lines.push(first);
    let mut best: Vec<(&String, &Scores)> = row.scores.iter().collect();
    let chosen = |node: &String| row.node.as_ref() != Some(node);
    best.sort_by(|one, other| {
        other.1.total.cmp(&one.1.total).then(chosen(one.0).cmp(&chosen(other.0))).then(one.0.cmp(other.0))
    });
    for (node, scores) in best.iter().take(SCORES_SHOWN) {
        let parts: Vec<String> = scores.plugins.iter().map(|(plugin, score)| format!("{plugin} {score}")).collect();
        lines.push(format!("  {node} {}: {}", scores.total, parts.join(", ")));
    }
    if best.len() > SCORES_SHOWN {
        lines.push(format!("  and {} more nodes with lower or equal scores", best.len() - SCORES_SHOWN));
    }
    lines.extend(lacking(&row.rejected));
    lines
}

/// The nodes by what they lack, most nodes first.
fn lacking(rejected: &BTreeMap<String, Rejected>) -> Vec<String> {
    let mut alike: BTreeMap<(&str, &[String]), Vec<&str>> = BTreeMap::new();
    for (node, why) in rejected {
        alike.entry((why.plugin, &why.reasons)).or_default().push(node);
    }
    let mut groups: Vec<_> = alike.into_iter().collect();
    groups.sort_by_key(|(_, nodes)| std::cmp::Reverse(nodes.len()));
    let line = |((plugin, reasons), nodes): ((&str, &[String]), Vec<&str>)| {
        let count = nodes.len();
        let more = count.saturating_sub(NODES_SHOWN);
        let mut names = nodes.into_iter().take(NODES_SHOWN).collect::<Vec<_>>().join(", ");
        if more > 0 {
            names.push_str(&format!(" and {more} more"));
        }
        format!("  {count} {} ({plugin}): {names}", reasons.join(", "))
    };
    groups.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use wavetank_core::config::{SchedulerConfig, Ties};
    use wavetank_core::scheduler::Detail;
    use wavetank_manifest::kubernetes::Snapshot;

    use crate::place::{Manner, place, render, settings};

    const OBJECTS: &str = "
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Node, metadata: {name: big}, status: {allocatable: {cpu: 4, memory: 8Gi, pods: 10}}}
- {apiVersion: v1, kind: Node, metadata: {name: small}, status: {allocatable: {cpu: 1, memory: 8Gi, pods: 10}}}
- apiVersion: v1
  kind: Node
  metadata: {name: tainted}
  spec: {taints: [{key: dedicated, value: db, effect: NoSchedule}]}
  status: {allocatable: {cpu: 4, memory: 8Gi, pods: 10}}
- apiVersion: v1
  kind: Pod
  metadata: {name: runs}
  spec: {nodeName: big, containers: [{name: a, image: a, resources: {requests: {cpu: 3}}}]}
- {apiVersion: v1, kind: Pod, metadata: {name: fits}, spec: {containers: [{name: a, image: a, resources: {requests: \
                           {cpu: 100m}}}]}}
- {apiVersion: v1, kind: Pod, metadata: {name: large}, spec: {containers: [{name: a, image: a, resources: {requests: \
                           {cpu: 2}}}]}}
- {apiVersion: v1, kind: Pod, metadata: {name: other}, spec: {schedulerName: batch, containers: [{name: a, image: a}]}}
- {apiVersion: v1, kind: Pod, metadata: {name: gated}, spec: {schedulingGates: [{name: wait}], containers: [{name: a, \
                           image: a}]}}
";

    #[test]
    fn the_table_says_where_each_pod_goes_and_what_each_node_lacked() {
        let snapshot = Snapshot::read(&[("o".to_owned(), OBJECTS.to_owned())]).unwrap();
        let config = SchedulerConfig { ties: Ties::First, ..settings(None) };
        let mut rows = Vec::new();
        let manner = Manner { seed: 1, detail: Detail::Refusals, preempt: false };
        place(&snapshot, &config, manner, &mut |row| rows.push(row));
        let expected = "\
POD            NODE   WHY
default/runs   big    was there before
default/fits   small  2 of 3 take it; best with 488
default/large  -      0/3 nodes are available:
                        2 Insufficient cpu (NodeResourcesFit): big, small
                        1 node(s) had untolerated taint {dedicated: db} (TaintToleration): tainted
default/other  -      no profile has the scheduler name \"batch\", only [\"default-scheduler\"]
default/gated  -      Scheduling is blocked due to non-empty scheduling gates

5 pods: 1 placed, 1 placed before, 1 unschedulable, 1 gated, 1 left to other schedulers
";
        assert_eq!(render(&rows), expected, "{}", render(&rows));
    }

    #[test]
    fn the_table_names_the_pods_that_made_room_and_says_why_none_did() {
        let objects = "
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Node, metadata: {name: one}, status: {allocatable: {cpu: 1, memory: 8Gi, pods: 10}}}
- {apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: high}, value: 7}
- {apiVersion: v1, kind: Pod, metadata: {name: low}, spec: {containers: [{name: a, image: a, resources: {requests: \
                       {cpu: 600m}}}]}}
- {apiVersion: v1, kind: Pod, metadata: {name: high}, spec: {priorityClassName: high, containers: [{name: a, image: a, \
                       resources: {requests: {cpu: 600m}}}]}}
- {apiVersion: v1, kind: Pod, metadata: {name: late}, spec: {containers: [{name: a, image: a, resources: {requests: \
                       {cpu: 600m}}}]}}
";
        let snapshot = Snapshot::read(&[("o".to_owned(), objects.to_owned())]).unwrap();
        let config = SchedulerConfig { ties: Ties::First, ..settings(None) };
        let mut rows = Vec::new();
        let manner = Manner { seed: 1, detail: Detail::Refusals, preempt: true };
        place(&snapshot, &config, manner, &mut |row| rows.push(row));
        let expected = "\
POD           NODE  WHY
default/low   one   the only one of 1 that takes it
default/high  one   in place of default/low
                    the only one of 1 that takes it
default/late  -     0/1 nodes are available:
                      1 Insufficient cpu (NodeResourcesFit): one
                      preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.

3 pods: 2 placed, 1 unschedulable
";
        assert_eq!(render(&rows), expected, "{}", render(&rows));
    }
}
