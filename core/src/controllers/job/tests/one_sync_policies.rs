//! What a single sync concludes from policies, limits and deadlines; written as in [`one_sync`].

use super::one_sync::check;

#[test]
fn rules_for_failed_pods_are_followed() {
    let failed = "FailureTarget=True(PodFailurePolicy)";
    let over = format!("failed 1, {failed}, Failed=True(PodFailurePolicy)");
    let ending = format!("-1 terminating 1, failed 2, {failed}");
    check(&[
        ("another container is meant", "p=1 c=1 b=1 FailJob=5@side", "failed!5", "+1 active 1, failed 1"),
        ("a pod that runs is not judged", "p=1 c=1 FailJob=5", "running!5", "active 1"),
        ("an exit code fails the Job", "p=1 c=1 FailJob=5", "failed!5", &over),
        (
            "what was found before stands",
            "p=1 c=1 was-target FailJob=5",
            "failed!5",
            "failed 1, FailureTarget=True(Before), Failed=True(Before)",
        ),
        (
            "the pod that decided is gone",
            "p=1 c=1 was-target was-failed",
            "",
            "failed 1, FailureTarget=True(Before), Failed=True(Before)",
        ),
        ("the other pods are ended", "p=2 c=2 FailJob=5", "running failed!5", &ending),
        ("an Indexed Job too", "p=2 c=2 indexed FailJob=5", "0:running 1:failed!5", &ending),
        ("a code that is not in the list", "p=1 c=1 FailJob=!5,6", "failed!42", &over),
        (
            "a code that is in the list of others",
            "p=1 c=1 b=0 FailJob=!5,6",
            "failed!5",
            "failed 1, FAILING, Failed=True(BackoffLimitExceeded)",
        ),
        ("an init container's code", "p=1 c=1 FailJob=5", "failed^5", &over),
        ("the first rule that fits: ignored", "p=1 c=1 b=0 Ignore=2,3 FailJob=2,3", "failed!2", "+1 active 1"),
        ("ignored failures do not count", "p=1 c=1 b=0 Ignore=1", "failed!1", "+1 active 1"),
        ("no rule fits", "p=1 c=1 b=0 FailJob=5", "failed!1", "failed 1, FAILING, Failed=True(BackoffLimitExceeded)"),
        (
            "the first rule that fits: counted",
            "p=1 c=1 b=0 Count=1,2 Ignore=2,3",
            "failed!2",
            "failed 1, FAILING, Failed=True(BackoffLimitExceeded)",
        ),
        (
            "a condition that counts",
            "p=1 c=1 b=0 Count=disrupted Ignore=disrupted",
            "failed*",
            "failed 1, FAILING, Failed=True(BackoffLimitExceeded)",
        ),
        ("a condition that is ignored", "p=1 c=1 b=0 Ignore=disrupted", "failed*", "+1 active 1"),
        ("a condition that fails the Job", "p=1 c=1 FailJob=disrupted", "failed*", &over),
        (
            "one of several failed pods",
            "p=3 c=3 b=6 FailJob=5",
            "failed!1 failed!5 failed!2 running",
            &format!("-1 terminating 1, failed 4, {failed}"),
        ),
        (
            "several failed pods, none ignored",
            "p=3 c=3 b=1 Ignore=5",
            "failed!5 failed!1 failed!2 running",
            "-1 terminating 1, failed 3, FAILING",
        ),
        ("a pod that ends has not failed yet", "p=1 c=1 b=0 FailJob=disrupted", "ending*", "terminating 1"),
    ]);
}

#[test]
fn an_index_fails_alone_up_to_its_limit() {
    check(&[
        (
            "a second try succeeds",
            "p=2 c=2 indexed i=1",
            "0:failed#0 0:succeeded#1 1:succeeded#0",
            "succeeded 2, failed 1, completed 0,1, failed indexes \"\", COMPLETE",
        ),
        (
            "a failed pod waits until it is replaced",
            "p=2 c=2 indexed i=1",
            "0:failed#0 1:running#0",
            "+[0] active 2, failed indexes \"\"",
        ),
        (
            "then it counts",
            "p=2 c=2 indexed i=1",
            "0:failed#0 0:running#1 1:running#0",
            "active 2, failed 1, failed indexes \"\"",
        ),
        (
            "its limit is reached",
            "p=2 c=2 indexed i=1",
            "0:failed#1 1:running#0",
            "active 1, failed 1, failed indexes \"0\"",
        ),
        (
            "without a second try",
            "p=2 c=2 indexed i=0",
            "0:failed#0 1:running#0",
            "active 1, failed 1, failed indexes \"0\"",
        ),
        (
            "a rule fails the index",
            "p=2 c=2 indexed i=1 FailIndex=3",
            "0:failed#0!3 1:running#0",
            "active 1, failed 1, failed indexes \"0\"",
        ),
        (
            "a rule fails the Job",
            "p=2 c=2 indexed i=1 FailJob=3",
            "0:failed#0!3 1:running#0",
            "-1 terminating 1, failed 2, failed indexes \"\", FailureTarget=True(PodFailurePolicy)",
        ),
        (
            "a rule ignores the failure",
            "p=2 c=2 indexed i=0 Ignore=3",
            "0:failed#0!3 1:running#0",
            "+[0] active 2, failed indexes \"\"",
        ),
        (
            "the limit of the Job comes first",
            "p=2 c=2 b=0 indexed i=1",
            "0:failed#0 1:running#0",
            "-1 terminating 1, failed 2, failed indexes \"\", FAILING",
        ),
        (
            "all indexes are decided",
            "p=2 c=2 indexed i=1",
            "0:failed#1 1:succeeded#0",
            "succeeded 1, failed 1, completed 1, failed indexes \"0\", FailureTarget=True(FailedIndexes), \
             Failed=True(FailedIndexes)",
        ),
        (
            "too many failed",
            "p=3 c=4 indexed i=1 m=1",
            "0:failed#1 1:failed#1 2:succeeded#0 3:running#0",
            "-1 terminating 1, succeeded 1, failed 3, completed 2, failed indexes \"0,1\", \
             FailureTarget=True(MaxFailedIndexesExceeded)",
        ),
        ("an index beyond the last", "p=1 c=2 indexed i=0", "3:failed#0 0:running#0", "active 1, failed indexes \"\""),
        (
            "failed indexes are kept",
            "p=2 c=3 indexed i=0 lost=0",
            "1:failed#0 2:running#0",
            "active 1, failed 1, failed indexes \"0,1\"",
        ),
        (
            "those beyond the last are not",
            "p=2 c=3 indexed i=0 lost=9",
            "1:failed#0 2:running#0",
            "+[0] active 2, failed 1, failed indexes \"1\"",
        ),
        (
            "a failed pod that was counted before",
            "p=2 c=2 indexed i=0",
            "0:failed#0% 1:running#0",
            "+[0] active 2, failed indexes \"\"",
        ),
        (
            "of several with as many failures the last to end waits",
            "p=1 c=2 indexed i=4",
            "0:failed#1@990 0:failed#1@20",
            "failed 1, failed indexes \"\"",
        ),
        (
            "in whatever order they come",
            "p=1 c=2 indexed i=4",
            "0:failed#1@20 0:failed#1@990",
            "failed 1, failed indexes \"\"",
        ),
        (
            "all of them have ended long ago",
            "p=1 c=2 indexed i=4",
            "0:failed#1@20 0:failed#1@50",
            "+[0] active 1, failed 1, failed indexes \"\"",
        ),
        (
            "of several the one with most failures waits",
            "p=1 c=2 indexed i=4",
            "0:failed#0 0:failed#2 0:failed#1",
            "+[0] active 1, failed 2, failed indexes \"\"",
        ),
    ]);
}

#[test]
fn indexes_that_have_succeeded_are_kept_and_merged() {
    check(&[
        (
            "separate",
            "p=1 c=13 indexed done=0,4,5,10-12",
            "2:succeeded 7:succeeded 8:succeeded 1:running",
            "active 1, succeeded 9, completed 0,2,4,5,7,8,10-12",
        ),
        (
            "before and after",
            "p=1 c=9 indexed done=3,4,6",
            "2:succeeded 7:succeeded 8:succeeded 0:running",
            "active 1, succeeded 6, completed 2-4,6-8",
        ),
        (
            "between",
            "p=1 c=9 indexed done=2,7,8",
            "3:succeeded 4:succeeded 6:succeeded 0:running",
            "active 1, succeeded 6, completed 2-4,6-8",
        ),
        (
            "within",
            "p=1 c=10 indexed done=2-7",
            "0:succeeded 3:succeeded 5:succeeded 9:succeeded 1:running",
            "active 1, succeeded 8, completed 0,2-7,9",
        ),
        (
            "partly beyond the last",
            "p=1 c=10 indexed done=0-5,8-10",
            "6:running",
            "active 1, succeeded 8, completed 0-5,8,9",
        ),
        (
            "one success of two pods",
            "p=1 c=11 indexed",
            "2:failed 5:succeeded 5:succeeded 10:failed 10:succeeded 0:running",
            "active 1, succeeded 2, failed 2, completed 5,10",
        ),
        (
            "several beyond the last",
            "p=1 c=3 indexed",
            "0:succeeded 3:succeeded 4:succeeded 7:succeeded 1:running",
            "active 1, succeeded 1, completed 0",
        ),
        (
            "no index and negative ones",
            "p=1 c=6 indexed",
            "0:succeeded 1:running 2:succeeded 3:succeeded succeeded -2:succeeded",
            "active 1, succeeded 3, completed 0,2,3",
        ),
        ("a work queue's pods flip from failed to succeeded", "p=1 c=2", "succeeded running", "active 1, succeeded 1"),
    ]);
}

#[test]
fn a_success_policy_ends_the_job_before_all_indexes_are_done() {
    let met = "SuccessCriteriaMet=True(SuccessPolicy)";
    let ending = format!("-1 terminating 1, succeeded 2, completed 0,1, {met}");
    let kept =
        "succeeded 1, failed 1, completed 1, SuccessCriteriaMet=True(SuccessPolicy), Complete=True(SuccessPolicy)";
    check(&[
        ("met", "p=3 c=3 indexed met=0,1", "0:succeeded 1:succeeded 2:running", &ending),
        ("met by count", "p=3 c=3 indexed met=/2", "0:succeeded 1:succeeded 2:running", &ending),
        ("met by one of two rules", "p=3 c=3 indexed met=2 met=0-2/2", "0:succeeded 1:succeeded 2:running", &ending),
        ("not met", "p=3 c=3 indexed met=1,2", "0:succeeded 1:running 2:running", "active 2, succeeded 1, completed 0"),
        (
            "all done and met",
            "p=2 c=2 indexed met=0,1",
            "0:succeeded 1:succeeded",
            &format!("succeeded 2, completed 0,1, {met}, Complete=True(SuccessPolicy)"),
        ),
        ("met with a pod that failed", "p=2 c=2 indexed met=1", "0:failed 1:succeeded", kept),
        (
            "met, and a rule would fail the Job",
            "p=2 c=2 indexed met=1 FailJob=5 was-met",
            "0:failed!5 1:succeeded",
            kept,
        ),
        (
            "failed first by a rule",
            "p=2 c=2 indexed met=1 FailJob=5",
            "0:failed!5 1:succeeded",
            "succeeded 1, failed 1, completed 1, FailureTarget=True(PodFailurePolicy), Failed=True(PodFailurePolicy)",
        ),
        (
            "failed first by the limit",
            "p=2 c=2 b=0 indexed met=1",
            "0:failed 1:succeeded",
            "succeeded 1, failed 1, completed 1, FAILING, Failed=True(BackoffLimitExceeded)",
        ),
        (
            "a failure that was found before stands",
            "p=2 c=2 indexed met=1 was-target",
            "0:failed 1:succeeded",
            "succeeded 1, failed 1, completed 1, FailureTarget=True(Before), Failed=True(Before)",
        ),
    ]);
}

#[test]
fn restarts_count_against_the_limit_of_a_job_that_restarts_on_failure() {
    check(&[
        ("no limit, no restart", "p=1 c=1 b=0 on-failure", "running~0", "active 1"),
        ("a limit of one, no restart", "p=1 c=1 b=1 on-failure", "running~0", "active 1"),
        ("a limit of one, reached", "p=1 c=1 b=1 on-failure", "running~1", "-1 terminating 1, failed 1, FAILING"),
        ("by a pending pod", "p=1 c=1 b=1 on-failure", "pending~1", "-1 terminating 1, failed 1, FAILING"),
        ("by several pods", "p=2 c=2 b=2 on-failure", "2xrunning~1", "-2 terminating 2, failed 2, FAILING"),
        ("by several pending pods", "p=2 c=2 b=2 on-failure", "2xpending~1", "-2 terminating 2, failed 2, FAILING"),
        ("three of one pod", "p=1 c=1 b=3 on-failure", "running~3", "-1 terminating 1, failed 1, FAILING"),
        ("three of one pending pod", "p=1 c=1 b=3 on-failure", "pending~3", "-1 terminating 1, failed 1, FAILING"),
        ("not reached", "p=2 c=2 b=3 on-failure", "2xrunning~1", "active 2"),
        ("restarts do not count without the policy", "p=1 c=1 b=1", "running~9", "active 1"),
        (
            "suspended",
            "p=2 c=4 b=6 suspend on-failure",
            "running~3 running~0",
            "-2 terminating 2, Suspended=True(JobSuspended)",
        ),
        ("enough have succeeded", "p=2 c=2 b=6 on-failure", "2xsucceeded~2", "succeeded 2, COMPLETE"),
    ]);
}

#[test]
fn failures_count_against_the_limit_of_a_job_that_never_restarts() {
    let failed = |count: u32| format!("failed {count}, FAILING, Failed=True(BackoffLimitExceeded)");
    check(&[
        ("one more is allowed", "p=1 c=1 b=1", "failed", "+1 active 1, failed 1"),
        ("a pod still runs", "p=1 c=1 b=0", "running", "active 1"),
        ("one too many", "p=1 c=1 b=0", "failed", &failed(1)),
        ("two too many", "p=1 c=1 b=1", "2xfailed", &failed(2)),
        ("six are allowed", "p=2 c=2 b=6", "6xfailed", "+2 active 2, failed 6"),
        ("seven are not", "p=2 c=2 b=6", "7xfailed", &failed(7)),
    ]);
}

#[test]
fn a_job_that_is_active_for_too_long_fails() {
    let late = "FailureTarget=True(DeadlineExceeded)";
    check(&[
        ("pods still run", "p=1 c=1 d=10", "running", &format!("-1 terminating 1, failed 1, {late}")),
        (
            "some have succeeded",
            "p=1 c=2 d=10",
            "running succeeded",
            &format!("-1 terminating 1, succeeded 1, failed 1, {late}"),
        ),
        ("before any pod was made", "p=1 c=1 d=10", "", &format!("{late}, Failed=True(DeadlineExceeded)")),
        (
            "the limit of failures is looked at first",
            "p=1 c=1 b=0 d=10",
            "failed",
            "failed 1, FAILING, Failed=True(BackoffLimitExceeded)",
        ),
        (
            "a suspended Job is not active",
            "p=1 c=2 d=10 suspend",
            "running",
            "-1 terminating 1, Suspended=True(JobSuspended)",
        ),
        ("in time", "p=1 c=1 d=5000", "running", "active 1"),
        (
            "an ending pod delays the end",
            "p=1 c=1 d=10 failed-only",
            "ending",
            &format!("terminating 1, failed 1, {late}"),
        ),
    ]);
}
