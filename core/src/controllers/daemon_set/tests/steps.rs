//! One step at a time: which pods of which nodes go and which are made, in a rollout and outside one.

use super::*;
use crate::controllers::daemon_set::backoff::Backoff;
use crate::controllers::daemon_set::fit::NodeFit;
use crate::controllers::daemon_set::manage::{PodsByNode, Situation, Wanted, is_updated};
use crate::model::{ConditionKind, Status3};
use crate::time::Time;

const NOW: Time = Time::from_secs(10_000);

/// A pod in words: `new` or `old` (or `newer`, made later), `+` if available, `*` if ready for a moment only, `-` if
/// not ready, `~` if it is being deleted, `!` if it has failed, `.` if it has succeeded.
fn pod(node: &str, words: &str) -> Arc<Pod> {
    let mut pod = Pod { meta: Meta::named("default", &format!("{node}-{words}")).into(), ..Pod::default() };
    pod.node = Some(node.into());
    pod.status.phase = Phase::Running;
    let hash = if words.starts_with("new") { "h2" } else { "h1" };
    pod.meta.labels = Labels::new([("controller-revision-hash", hash), ("pod-template-generation", hash)]);
    pod.meta.created_at = Time::from_secs(if words.contains("er") { 9_000 } else { 1_000 });
    for mark in words.chars().filter(|letter| !letter.is_alphabetic()) {
        let ready =
            |pod: &mut Pod, since| pod.status.conditions.set(ConditionKind::Ready, Status3::True, "", "", since);
        match mark {
            '+' => drop(ready(&mut pod, Time::from_secs(1_000))),
            '*' => drop(ready(&mut pod, NOW)),
            '~' => pod.meta.deleted_at = Some(NOW),
            '!' => pod.status.phase = Phase::Failed,
            '.' => pod.status.phase = Phase::Succeeded,
            _ => {}
        }
    }
    Arc::new(pod)
}

/// Nodes with their pods: `n0=old+,new- n1= n2!=old+`; `!` marks a node that should run no pod but keeps one it has,
/// and `?` one where no pod may stay.
fn step(strategy: DaemonSetStrategy, nodes: &str, act: impl Fn(&Situation<'_>) -> Wanted) -> String {
    let set = DaemonSet { strategy, min_ready: Span::from_secs(5), template_generation: 2, ..agent() };
    let (mut fits, mut pods) = (Vec::new(), PodsByNode::new());
    for text in nodes.split_whitespace() {
        let (node, on_it) = text.split_once('=').expect("a node and its pods");
        let name = node.trim_end_matches(['!', '?']);
        fits.push(NodeFit { name: name.into(), should_run: node == name, may_stay: !node.ends_with('?') });
        for words in on_it.split(',').filter(|words| !words.is_empty()) {
            pods.entry(name.into()).or_default().push(pod(name, words));
        }
    }
    let hash = "h2".into();
    let wanted = act(&Situation { now: NOW, set: &set, hash: &hash, nodes: &fits, pods: &pods });
    let mut lines: Vec<String> = wanted.creations.iter().map(|node| format!("+{node}")).collect();
    lines.extend(
        wanted
            .deletions
            .iter()
            .map(|pod| format!("-{}", pod.meta.name.replace("-old", ":old").replace("-new", ":new"))),
    );
    lines.sort();
    lines.join(" ")
}

#[test]
fn a_rollout_in_place_keeps_to_the_number_of_nodes_without_an_available_pod() {
    let roll = |unavailable, nodes| step(rolling(0, unavailable), nodes, |it| it.roll());
    assert_eq!(roll(1, "a=new+ b=new+"), "", "nothing is old");
    assert_eq!(roll(2, "a=old+ b=old+"), "-a:old+ -b:old+");
    assert_eq!(roll(3, "a=new- b=new- c=new- d=old+ e=old+"), "", "three are unavailable already");
    assert_eq!(roll(2, "a=old- b=old- c=old+ d=old+"), "-a:old- -b:old-", "old ones that are not available go first");
    assert_eq!(roll(1, "a=old- b=old- c=old- d=old-"), "-a:old- -b:old- -c:old- -d:old-", "and all of them at once");
    assert_eq!(roll(1, "a=new- b=old- c=old-"), "-b:old- -c:old-");
    assert_eq!(roll(2, "a=new- b=new- c=old- d=old+"), "-c:old-", "healthy old ones are saved");
    assert_eq!(roll(1, "a=old+ b="), "", "a node without a pod counts as unavailable");
    assert_eq!(roll(2, "a=old+ b="), "-a:old+");
    assert_eq!(roll(1, "a=old+ b=new+~"), "", "so does one whose pod ends");
    assert_eq!(roll(1, "a=old+ b=new*"), "", "and one whose pod was not ready for long enough");
    assert_eq!(roll(2, "a=old+ b=old+,new+"), "-a:old+", "a node with both waits until one has gone");
    assert_eq!(roll(1, "a!=old+ b=new+"), "-a:old+", "old pods go from nodes that are not meant, too");
}

#[test]
fn a_rollout_with_surge_puts_so_many_new_pods_beside_old_ones() {
    let roll = |surge, nodes| step(rolling(surge, 0), nodes, |it| it.roll());
    assert_eq!(roll(1, "a=new+ b=new+"), "");
    assert_eq!(roll(2, "a=old+ b=old+"), "+a +b");
    assert_eq!(roll(1, "a=old- b=old- c=old-"), "+a +b +c", "old ones that are not available need no surge");
    assert_eq!(roll(2, "a=old+,new- b=old+,new- c=old+"), "", "two surge already");
    assert_eq!(roll(2, "a=old+,new- b=new+ c=old+"), "+c");
    assert_eq!(roll(1, "a=old+,new+ b=old+"), "+b -a:old+", "the old one goes when the new one is available");
    assert_eq!(roll(1, "a=old+,new* b=old+"), "", "not before");
    assert_eq!(roll(1, "a!=old- b=new+"), "-a:old-", "an unavailable old pod of a node that is not meant goes");
    assert_eq!(roll(1, "a!=old+ b=new+"), "-a:old+", "an available one when there are enough without it");
    assert_eq!(roll(1, "a!=old+ b=new-"), "", "else it stays");
}

#[test]
fn a_rollout_with_surge_waits_while_an_old_pod_is_on_a_node_that_is_gone() {
    let set = DaemonSet { strategy: rolling(1, 0), template_generation: 2, ..agent() };
    let fits = [NodeFit { name: "a".into(), should_run: true, may_stay: true }];
    let misses = |on_a: &str, on_b: &str| {
        let (hash, mut pods) = ("h2".into(), PodsByNode::new());
        pods.insert("a".into(), vec![pod("a", on_a)]);
        pods.insert("b".into(), vec![pod("b", on_b)]);
        let wanted = Situation { now: NOW, set: &set, hash: &hash, nodes: &fits, pods: &pods }.roll();
        (wanted.misses_node, wanted.creations.len() + wanted.deletions.len())
    };
    assert_eq!(misses("old+", "old+"), (true, 0));
    assert_eq!(misses("old-", "old-"), (true, 0));
    assert_eq!(misses("old+", "new+"), (false, 1), "a new pod there is nothing to decide about");
    assert_eq!(misses("old+", "old+~"), (false, 1), "nor is one that is being deleted");
}

#[test]
fn a_rollout_that_waits_for_the_pods_of_a_lost_node_goes_on_when_they_are_gone() {
    let mut bed = bed(3);
    bed.create(DaemonSet { strategy: rolling(1, 0), ..agent() });
    bed.run_for(Span::from_secs(20));
    let on = |bed: &Testbed| -> Vec<String> {
        let pods = bed.core.newest().all::<Pod>().map(|(_, pod)| pod.clone());
        pods.map(|pod| format!("{}:{}", pod.node.clone().unwrap_or_default(), pod.spec.containers[0].image)).collect()
    };
    assert_eq!(on(&bed).len(), 3, "{:?}", bed.told());
    bed.silence(0);
    delete(&mut bed, Kind::Node, "n0", Propagation::Background);
    image(&mut bed, "app:v2");
    bed.run_for(Span::from_secs(30));
    assert!(on(&bed).iter().all(|it| !it.ends_with(":v2")), "{:?}", on(&bed));
    bed.run_for(Span::from_secs(120));
    assert!(on(&bed).len() == 2 && on(&bed).iter().all(|it| it.ends_with(":v2")), "{:?}", on(&bed));
}

#[test]
fn the_limits_are_shares_of_the_nodes_that_should_run_a_pod() {
    let limits = |surge, unavailable, nodes: &str| {
        let strategy = DaemonSetStrategy::RollingUpdate { max_surge: surge, max_unavailable: unavailable };
        let set = DaemonSet { strategy, ..agent() };
        let fit = |text: &str| NodeFit { name: text.into(), should_run: !text.ends_with('!'), may_stay: true };
        let fits: Vec<NodeFit> = nodes.split_whitespace().map(fit).collect();
        let (hash, pods) = ("h2".into(), PodsByNode::new());
        Situation { now: NOW, set: &set, hash: &hash, nodes: &fits, pods: &pods }.limits()
    };
    let (count, percent) = (IntOrPercent::Int, IntOrPercent::Percent);
    assert_eq!(limits(count(0), count(0), ""), (0, 0));
    assert_eq!(limits(count(0), count(1), "a b"), (0, 1));
    assert_eq!(limits(count(0), percent(50), "a b"), (0, 1));
    assert_eq!(limits(percent(50), count(0), "a b"), (1, 0));
    assert_eq!(limits(percent(100), count(0), "a b"), (2, 0));
    assert_eq!(limits(count(0), percent(10), "a b c"), (0, 1), "rounded up");
    assert_eq!(limits(percent(50), count(0), "a b! c!"), (1, 0), "only nodes that are meant count");
    assert_eq!(limits(percent(0), percent(0), "a b"), (0, 1), "both zero would hold every rollout");
}

#[test]
fn outside_a_rollout_each_node_that_is_meant_has_one_pod() {
    let manage = |nodes| step(rolling(0, 1), nodes, |it| it.manage(&mut Backoff::default()));
    assert_eq!(manage(""), "");
    assert_eq!(manage("a= b!= c=new+"), "+a");
    assert_eq!(manage("a=old+"), "", "an old pod is the rollout's business");
    assert_eq!(manage("a=new+,newer+"), "-a:newer+", "of two the older stays");
    assert_eq!(manage("a!=new+ b?=new+"), "-b:new+", "a pod stays where only new ones are kept away");
    assert_eq!(manage("a=new! b=new. c=new+"), "-a:new! -b:new.", "what has ended goes, to be made anew");
    assert_eq!(manage("a=new!,newer+"), "-a:new!");
    assert_eq!(manage("a=new+~"), "", "one that ends is waited for");
    assert_eq!(manage("a?=new+~"), "", "and not deleted twice");
}

#[test]
fn with_surge_an_old_pod_stays_until_the_new_one_is_available() {
    let manage = |nodes| step(rolling(1, 0), nodes, |it| it.manage(&mut Backoff::default()));
    assert_eq!(manage("a=old+,new-"), "");
    assert_eq!(manage("a=old+,new*"), "", "ready is not available");
    assert_eq!(manage("a=old+,new+"), "-a:old+");
    assert_eq!(manage("a=old-,new-"), "-a:old-", "an old pod that is not ready helps nobody");
    assert_eq!(manage("a=old*,new-"), "", "one that is ready does");
    assert_eq!(manage("a=old+~"), "+a", "an old pod that ends makes room at once");
    assert_eq!(manage("a=old+~,new-"), "");
    assert_eq!(manage("a=new+,newer+ b=old+,older+"), "-a:newer+ -b:older+", "of one sort the older stays");
    assert_eq!(manage("a!=old+~"), "", "not on a node that is not meant");
}

#[test]
fn a_pod_is_up_to_date_by_its_hash_or_its_generation() {
    let set = DaemonSet { template_generation: 3, ..agent() };
    let labelled = |pairs: &[(&str, &str)]| {
        let mut pod = Pod::default();
        pod.meta.labels = Labels::new(pairs.iter().copied());
        (is_updated(&set, &"h2".into(), &pod), is_updated(&set, &"".into(), &pod))
    };
    let (hash, generation) = ("controller-revision-hash", "pod-template-generation");
    // Labels of the pod; whether it is up to date with the hash `h2`, and with none.
    type Row<'a> = (&'a [(&'a str, &'a str)], (bool, bool));
    let table: [Row<'_>; 10] = [
        (&[], (false, false)),
        (&[(generation, "3")], (true, true)),
        (&[(generation, "2")], (false, false)),
        (&[(generation, "three")], (false, false)),
        (&[(hash, "h2")], (true, false)),
        (&[(hash, "h1")], (false, false)),
        (&[(hash, "")], (false, false)),
        (&[(hash, ""), (generation, "3")], (true, true)),
        (&[(hash, "h1"), (generation, "3")], (true, true)),
        (&[(hash, "h2"), (generation, "2")], (true, false)),
    ];
    for (labels, expected) in table {
        assert_eq!(labelled(labels), expected, "{labels:?}");
    }
}
