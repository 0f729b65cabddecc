//! A machine that shuts down: its pods are ended group by group, the least important first, and then it may go off.
//!
//! Each group has its own time; a group that has ended early gives the rest of its time to nobody, the next one begins
//! at once. Without a configured grace the machine goes off at once and its pods are told nothing.
//!
//! Source: `podManager.killPods`, `groupByPriority`, `migrateConfig`, pkg/kubelet/nodeshutdown/nodeshutdown_manager.go
//! (v1.34.1). Absent on purpose: waiting for volumes, and a shutdown that is called off.

use std::collections::VecDeque;

use crate::config::ShutdownConfig;
use crate::context::Context;
use crate::facts::What;
use crate::id::{Name, Uid};
use crate::kubelet::RuntimeRequest;
use crate::kubelet::ending::Verdict;
use crate::kubelet::row::Row;
use crate::model::SYSTEM_CRITICAL_PRIORITY;
use crate::seam::TimerKind;
use crate::time::Span;

/// A shutdown that is under way.
pub(super) struct Shutdown {
    /// Groups that are still to be ended, the next one first.
    groups: VecDeque<Group>,
    /// The group whose end is waited for.
    ending: Vec<Uid>,
}

struct Group {
    grace: Span,
    pods: Vec<Uid>,
}

/// The groups of a configuration: (priority from which on, time), by priority. Empty if there is no graceful shutdown.
fn periods(config: &ShutdownConfig) -> Vec<(i32, Span)> {
    let mut periods = config.by_priority.clone();
    if periods.is_empty() && config.grace > Span::ZERO && config.critical_grace <= config.grace {
        let whole = |span: Span| Span::from_secs(span.as_secs());
        let others = whole(Span(config.grace.0 - config.critical_grace.0));
        periods = vec![(0, others), (SYSTEM_CRITICAL_PRIORITY, whole(config.critical_grace))];
    }
    periods.sort_by_key(|(priority, _)| *priority);
    periods
}

/// Which group a priority belongs to: the last one that begins at or below it, or the first.
fn group_of(periods: &[(i32, Span)], priority: i32) -> usize {
    periods.iter().rposition(|(from, _)| *from <= priority).unwrap_or(0)
}

impl Row {
    /// The machine is about to go off.
    pub(super) fn on_shutting_down(&mut self, ctx: &mut Context<'_>) {
        if self.shutdown.is_some() {
            return;
        }
        let periods = periods(&ctx.config.kubelet.shutdown);
        if periods.is_empty() {
            return self.host(ctx).ask(RuntimeRequest::PowerOff);
        }
        let mut groups: VecDeque<Group> =
            periods.iter().map(|(_, grace)| Group { grace: *grace, pods: Vec::new() }).collect();
        for life in self.pods.in_order().filter(|life| !life.is_settled() && !life.containers.is_empty()) {
            groups[group_of(&periods, life.pod.spec.priority)].pods.push(life.uid());
        }
        groups.retain(|group| !group.pods.is_empty());
        self.shutdown = Some(Box::new(Shutdown { groups, ending: Vec::new() }));
        ctx.record(self.node_key(), What::ShuttingDown);
        self.say_of_node(ctx, "Shutdown", "Shutdown manager detected shutdown event");
        self.look_at_node(ctx);
        self.next_group(ctx);
    }

    /// Ends the next group, or lets the machine go off.
    pub(super) fn next_group(&mut self, ctx: &mut Context<'_>) {
        let Some(shutdown) = &mut self.shutdown else { return };
        let Some(Group { grace, pods }) = shutdown.groups.pop_front() else {
            shutdown.ending.clear();
            ctx.disarm(TimerKind::Shutdown);
            return self.host(ctx).ask(RuntimeRequest::PowerOff);
        };
        shutdown.ending = pods.clone();
        ctx.arm(TimerKind::Shutdown, ctx.now + grace);
        for uid in pods {
            let Some(own) = self.pods.get(&uid).map(|life| life.pod.spec.termination_grace) else { continue };
            let message = Name::from("Pod was terminated in response to imminent node shutdown.");
            let verdict = Verdict { reason: "Terminated".into(), disruption: Some(message.clone()), message };
            self.end_pod(ctx, uid, verdict, own.min(grace));
        }
        self.look_at_group(ctx);
    }

    /// A pod has changed: if it was the last of its group, the next group's time begins.
    pub(super) fn look_at_group(&mut self, ctx: &mut Context<'_>) {
        let Some(shutdown) = &mut self.shutdown else { return };
        let before = shutdown.ending.len();
        let pods = &self.pods;
        shutdown.ending.retain(|uid| pods.get(uid).is_some_and(|life| !life.is_settled()));
        if before > 0 && shutdown.ending.is_empty() {
            self.next_group(ctx);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_groups_of_their_own_critical_pods_get_the_end_of_the_time() {
        let seconds = Span::from_secs;
        let config = ShutdownConfig { grace: seconds(30), critical_grace: seconds(10), by_priority: Vec::new() };
        assert_eq!(periods(&config), [(0, seconds(20)), (SYSTEM_CRITICAL_PRIORITY, seconds(10))]);
        let all = ShutdownConfig { critical_grace: seconds(30), ..config.clone() };
        assert_eq!(periods(&all), [(0, seconds(0)), (SYSTEM_CRITICAL_PRIORITY, seconds(30))]);
        let none = ShutdownConfig { critical_grace: seconds(0), ..config.clone() };
        assert_eq!(periods(&none), [(0, seconds(30)), (SYSTEM_CRITICAL_PRIORITY, seconds(0))]);
        let odd = ShutdownConfig { critical_grace: Span::from_millis(10_400), ..config.clone() };
        assert_eq!(periods(&odd), [(0, seconds(19)), (SYSTEM_CRITICAL_PRIORITY, seconds(10))], "whole seconds");
        assert_eq!(periods(&ShutdownConfig::default()), []);
        let wrong = ShutdownConfig { critical_grace: seconds(40), ..config };
        assert_eq!(periods(&wrong), [], "more than all the time there is");
    }

    #[test]
    fn a_priority_belongs_to_the_group_that_begins_below_it() {
        let groups = [(10, Span::ZERO), (100, Span::ZERO), (1_000, Span::ZERO)];
        let found: Vec<usize> = [-5, 9, 10, 99, 100, 999, 1_000, 5_000].map(|it| group_of(&groups, it)).to_vec();
        assert_eq!(found, [0, 0, 0, 0, 1, 1, 2, 2]);
    }
}
