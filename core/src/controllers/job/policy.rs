//! What a failed pod means to its Job, and when an Indexed Job has succeeded early.
//!
//! Source: pkg/controller/job/{pod_failure_policy.go,success_policy.go} (v1.34.1).

use crate::model::{Container, Phase};
use crate::model::{
    ContainerState, ContainerStatus, FailureAction, FailurePattern, FailureRule, IndexSet, JobSpec, Pod,
    PodReplacement, Status3, SuccessRule,
};

/// What a pod failure policy says of a failed pod.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Verdict {
    /// Whether the failure counts.
    pub(super) counts: bool,
    /// What the first rule that fits demands; `None` if none does.
    pub(super) action: Option<FailureAction>,
    /// Why the Job has failed, if it has.
    pub(super) fails_job: Option<String>,
}

/// Whether a pod has failed in the eyes of its Job: it has, or it is being deleted and is replaced before it ends.
pub(super) fn has_failed(spec: &JobSpec, pod: &Pod) -> bool {
    match pod.status.phase {
        Phase::Failed => true,
        Phase::Succeeded => false,
        _ => pod.meta.is_terminating() && !replaces_only_failed(spec),
    }
}

/// Whether a pod that is being deleted is replaced only when it has ended.
pub(super) fn replaces_only_failed(spec: &JobSpec) -> bool {
    spec.pod_replacement == PodReplacement::Failed || spec.pod_failure_policy.is_some()
}

/// What the policy of a Job says of a failed pod; without a policy, or if no rule fits, the failure counts.
pub(super) fn judge(spec: &JobSpec, pod: &Pod) -> Verdict {
    let rules = spec.pod_failure_policy.iter().flatten().enumerate();
    let fitting = rules.filter_map(|(place, rule)| Some((place, rule, fit(rule, pod)?)));
    let Some((place, rule, cause)) = fitting.into_iter().next() else {
        return Verdict { counts: true, action: None, fails_job: None };
    };
    let fails_job = (rule.action == FailureAction::FailJob)
        .then(|| format!("{cause} matching {:?} rule at index {place}", rule.action));
    Verdict { counts: rule.action != FailureAction::Ignore, action: Some(rule.action), fails_job }
}

/// Why a rule fits a pod, in the words of the Job's condition.
fn fit(rule: &FailureRule, pod: &Pod) -> Option<String> {
    let (namespace, name) = (&pod.meta.namespace, &pod.meta.name);
    match &rule.on {
        FailurePattern::ExitCodes { container, is_in, codes } => {
            let fits = |(spec, status): (&Container, &ContainerStatus)| {
                let ContainerState::Terminated(end) = &status.state else { return None };
                let named = container.as_ref().is_none_or(|wanted| *wanted == spec.name);
                let listed = codes.contains(&end.exit_code) == *is_in;
                (named && end.exit_code != 0 && listed).then(|| (spec.name.clone(), end.exit_code))
            };
            let regular = pod.spec.containers.iter().zip(&pod.status.containers);
            let init = pod.spec.init_containers.iter().zip(&pod.status.init_containers);
            let (found, code) = regular.chain(init).find_map(fits)?;
            Some(format!("Container {found} for pod {namespace}/{name} failed with exit code {code}"))
        }
        FailurePattern::Conditions(patterns) => {
            let fits = |wanted: &str, status: Status3| {
                patterns.iter().any(|(kind, wanted_status)| **kind == *wanted && *wanted_status == status)
            };
            let mut conditions = pod.status.conditions.iter();
            let found = conditions.find(|condition| fits(&format!("{:?}", condition.kind), condition.status))?;
            Some(format!("Pod {namespace}/{name} has condition {:?}", found.kind))
        }
    }
}

/// The message of the first rule of a success policy that the succeeded indexes meet.
pub(super) fn met(rules: &[SuccessRule], completions: u32, succeeded: &IndexSet) -> Option<String> {
    if succeeded.is_empty() {
        return None;
    }
    let holds = |rule: &SuccessRule| match (&rule.indexes, rule.count) {
        (Some(text), count) => {
            let required = IndexSet::parse(text, completions);
            let have = required.shared_with(succeeded);
            !required.is_empty() && (have == required.len() || count.is_some_and(|count| have >= count))
        }
        (None, Some(count)) => succeeded.len() >= count,
        (None, None) => false,
    };
    rules.iter().position(holds).map(|place| format!("Matched rules at index {place}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::digest::Shared;
    use crate::id::Name;
    use crate::model::{ConditionKind, Meta, PodSpec, Terminated};
    use crate::time::Time;

    /// A failed pod with containers `main`, `log` and the init container `setup`, and their exit codes; `None` runs.
    fn failed(main: Option<i32>, log: Option<i32>, setup: Option<i32>) -> Pod {
        let named = |name: &str| Container { name: name.into(), ..Container::default() };
        let status = |code: Option<i32>| {
            let end = |exit_code| Terminated {
                exit_code,
                reason: "Error".into(),
                started_at: Time::ZERO,
                finished_at: Time::ZERO,
            };
            let state = code.map_or(ContainerState::Running { since: Time::ZERO }, |code| {
                ContainerState::Terminated(Arc::new(end(code)))
            });
            ContainerStatus { state, last_terminated: None, ready: false, started: true, restarts: 0 }
        };
        let spec = PodSpec {
            containers: vec![named("main"), named("log")],
            init_containers: vec![named("setup")],
            ..PodSpec::default()
        };
        let mut pod = Pod { meta: Meta::named("ns", "p").into(), spec: Shared::new(spec), ..Pod::default() };
        pod.status.phase = Phase::Failed;
        pod.status.containers = vec![status(main), status(log)].into();
        pod.status.init_containers = vec![status(setup)];
        pod
    }

    fn codes(action: FailureAction, container: Option<&str>, is_in: bool, codes: &[i32]) -> FailureRule {
        let on = FailurePattern::ExitCodes { container: container.map(Name::from), is_in, codes: codes.to_vec() };
        FailureRule { action, on }
    }

    fn condition(action: FailureAction, kind: &str, status: Status3) -> FailureRule {
        FailureRule { action, on: FailurePattern::Conditions(vec![(kind.into(), status)]) }
    }

    fn verdict(rules: Vec<FailureRule>, pod: &Pod) -> (bool, Option<FailureAction>, String) {
        let spec = JobSpec { pod_failure_policy: Some(rules), ..JobSpec::default() };
        let Verdict { counts, action, fails_job } = judge(&spec, pod);
        (counts, action, fails_job.unwrap_or_default())
    }

    use FailureAction::{Count, FailIndex, FailJob, Ignore};

    #[test]
    fn without_a_policy_or_a_fitting_rule_a_failure_counts() {
        let pod = failed(Some(2), Some(0), Some(0));
        let none = Verdict { counts: true, action: None, fails_job: None };
        assert_eq!(judge(&JobSpec::default(), &pod), none);
        assert_eq!(verdict(Vec::new(), &pod), (true, None, String::new()));
        assert_eq!(verdict(vec![codes(FailJob, None, true, &[1, 3])], &pod), (true, None, String::new()));
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let pod = failed(Some(2), Some(0), Some(0));
        let fits = |action| codes(action, None, true, &[2]);
        assert_eq!(verdict(vec![fits(Ignore), fits(FailJob)], &pod), (false, Some(Ignore), String::new()));
        assert_eq!(verdict(vec![fits(Count), fits(FailJob)], &pod), (true, Some(Count), String::new()));
        assert_eq!(verdict(vec![fits(FailIndex)], &pod), (true, Some(FailIndex), String::new()));
        let message = "Container main for pod ns/p failed with exit code 2 matching FailJob rule at index 1";
        let rules = vec![codes(Ignore, None, true, &[9]), fits(FailJob)];
        assert_eq!(verdict(rules, &pod), (true, Some(FailJob), message.to_owned()));
    }

    #[test]
    fn exit_codes_fit_by_list_and_by_container_and_zero_never_does() {
        let fits = |rule: FailureRule, pod: &Pod| verdict(vec![rule], pod).1.is_some();
        let pod = failed(Some(0), Some(5), Some(7));
        assert!(fits(codes(Count, None, true, &[5]), &pod));
        assert!(fits(codes(Count, None, true, &[7]), &pod), "an init container is looked at too");
        assert!(fits(codes(Count, Some("log"), true, &[5]), &pod));
        assert!(!fits(codes(Count, Some("main"), true, &[5]), &pod));
        assert!(fits(codes(Count, Some("setup"), false, &[5]), &pod));
        assert!(fits(codes(Count, None, false, &[5]), &pod), "7 is not in the list");
        assert!(!fits(codes(Count, None, false, &[5, 7]), &pod), "what is left is zero");
        assert!(!fits(codes(Count, None, false, &[3]), &failed(None, None, None)), "nothing has ended");
    }

    #[test]
    fn conditions_fit_by_type_and_status() {
        // What a rule asks for, the condition of the pod, whether it fits.
        let (yes, no, unknown) = (Status3::True, Status3::False, Status3::Unknown);
        let table = [
            ("DisruptionTarget", yes, Some(yes), true),
            ("DisruptionTarget", no, Some(yes), false),
            ("DisruptionTarget", unknown, Some(yes), false),
            ("DisruptionTarget", no, Some(no), true),
            ("DisruptionTarget", yes, Some(unknown), false),
            ("DisruptionTarget", unknown, Some(unknown), true),
            ("DisruptionTarget", yes, None, false),
            ("ConfigIssue", yes, Some(yes), false),
        ];
        for (kind, wanted, has, fits) in table {
            let mut pod = failed(Some(137), Some(0), Some(0));
            if let Some(status) = has {
                pod.status.conditions.set(ConditionKind::DisruptionTarget, status, "", "", Time::ZERO);
            }
            let expected = if fits { (false, Some(Ignore), String::new()) } else { (true, None, String::new()) };
            let found = verdict(vec![condition(Ignore, kind, wanted)], &pod);
            assert_eq!(found, expected, "{kind}={wanted:?} for a pod that has {has:?}");
            let message = format!("Pod ns/p has condition {kind} matching FailJob rule at index 0");
            let fails = verdict(vec![condition(FailJob, kind, wanted)], &pod).2;
            assert_eq!(fails, if fits { message } else { String::new() }, "{kind}={wanted:?} for {has:?}");
        }
    }

    #[test]
    fn a_pod_that_is_being_deleted_has_failed_unless_only_failed_ones_are_replaced() {
        let mut pod = failed(None, None, None);
        pod.status.phase = Phase::Running;
        let policy = JobSpec { pod_failure_policy: Some(Vec::new()), ..JobSpec::default() };
        let patient = JobSpec { pod_replacement: PodReplacement::Failed, ..JobSpec::default() };
        assert!(!has_failed(&JobSpec::default(), &pod));
        pod.meta.deleted_at = Some(Time::ZERO);
        assert!(has_failed(&JobSpec::default(), &pod));
        assert!(!has_failed(&policy, &pod) && !has_failed(&patient, &pod));
        pod.status.phase = Phase::Succeeded;
        assert!(!has_failed(&JobSpec::default(), &pod));
        pod.status.phase = Phase::Failed;
        assert!(has_failed(&patient, &pod));
    }

    /// Rules in words, one `[indexes]/[count]` each: `0-2/` asks for all of these, `/4` for any four.
    fn success_rules(words: &str) -> Vec<SuccessRule> {
        let rule = |word: &str| {
            let (indexes, count) = word.split_once('/').expect("indexes and a count");
            let indexes = (indexes != "-").then(|| Name::from(indexes));
            SuccessRule { indexes, count: count.parse().ok() }
        };
        words.split_whitespace().map(rule).collect()
    }

    #[test]
    fn a_success_policy_is_met_by_its_first_rule_that_holds() {
        // The rules (`-` for no indexes); what has succeeded of ten indexes; which rule is met.
        let table = [
            ("", "0", None),
            ("0/", "1-9", None),
            ("0/", "0", Some(0)),
            ("0/", "", None),
            ("0,2-5/3", "1-3,9", None),
            ("0,2-5/3", "0,1,4,5", Some(0)),
            ("-/4", "0-2", None),
            ("-/4", "0-2,7", Some(0)),
            ("-/4", "", None),
            ("0/ -/4", "1-9", Some(1)),
            ("0/ -/4", "0-9", Some(0)),
            ("8/ 3,5/", "0-1,3-6", Some(1)),
            ("12-14/", "1-9", None),
            ("12-14,16/ -/5", "2-4", None),
            ("-/", "1-9", None),
            ("/", "1-9", None),
            ("/", "", None),
            ("no-index/", "0", None),
            // Sets that overlap in every way, with and without a number that is enough.
            ("1-2,5-6/", "0-3,4-8", Some(0)),
            ("3-5,7-9/", "3-5,7-9", Some(0)),
            ("3-5,7-8/", "3-6,7-9", Some(0)),
            ("0-3,5-7/", "2-3,6-8", None),
            ("0-3,5-7/4", "2-3,6-8", Some(0)),
            ("0-3,5-7/5", "2-3,6-8", None),
            ("2-4,6-9/", "1-3,5-8", None),
            ("2-4,6-9/5", "1-3,5-8", Some(0)),
            ("0-5,7-9/", "1-4,8", None),
            ("0-5,7-9/5", "1-4,8", Some(0)),
            ("0-6,8-9/", "1-2,4-9", None),
            ("0-6,8-9/7", "1-2,4-9", Some(0)),
            ("0-4,6-9/", "1-4,6-9", None),
            ("0-4,6-9/8", "1-4,6-9", Some(0)),
            ("0-3,6-8/", "1-9", None),
            ("0-3,6-8/6", "1-9", Some(0)),
            ("3-6/2", "0-1,4-5", Some(0)),
            ("3-6/3", "0-2,6-7", None),
        ];
        for (rules, succeeded, expected) in table {
            let message = expected.map(|place: u32| format!("Matched rules at index {place}"));
            let found = met(&success_rules(rules), 10, &IndexSet::parse(succeeded, 10));
            assert_eq!(found, message, "{rules:?} with {succeeded:?}");
        }
    }
}
