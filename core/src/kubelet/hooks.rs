//! Hooks: a post-start hook holds the pod's next container back, and a failed one ends its own container.
//!
//! Pre-stop hooks are part of a stop; see `ending`.
//!
//! Source: `startContainer`, pkg/kubelet/kuberuntime/kuberuntime_container.go (v1.34.1).

use crate::facts::What;
use crate::id::Name;
use crate::kubelet::pod_life::{Host, PodLife, PostStart};
use crate::kubelet::{HookKind, RuntimeRequest};
use crate::model::{Container, Hook};
use crate::time::Span;

impl PodLife {
    /// A container has been started: its post-start hook begins, if it has one.
    pub(super) fn begin_post_start(&mut self, place: usize, host: &mut Host<'_, '_>) {
        let hook = self.spec(place).lifecycle.as_ref().and_then(|lifecycle| lifecycle.post_start.clone());
        if let Some(hook) = hook {
            self.containers[place].note().post_start = PostStart::Running;
            self.run_hook(place, HookKind::PostStart, hook, None, host);
        }
    }

    /// A hook has ended.
    pub(super) fn on_hook_ended(&mut self, place: usize, kind: HookKind, error: &Name, host: &mut Host<'_, '_>) {
        if kind == HookKind::PreStop {
            return self.on_pre_stop_ended(place, error, host);
        }
        let container = &mut self.containers[place];
        let seen = match container.incidents().post_start {
            PostStart::Running => false,
            PostStart::RunningSeen => true,
            PostStart::Done | PostStart::Failed => return,
        };
        if error.is_empty() {
            container.note().post_start = PostStart::Done;
            let (attempt, serves) = (container.attempt, container.incidents().serves);
            if seen {
                self.on_seen(place, attempt, serves, host);
            }
            return;
        }
        container.note().post_start = PostStart::Failed;
        let message = self.hook_failure(place, error);
        let container = &mut self.containers[place];
        container.note().trouble.get_or_insert_default().message = message;
        let container = self.spec(place).name.clone();
        self.warn(place, "FailedPostStartHook", format_args!("PostStartHook failed"), host);
        host.ctx.record(self.key(), What::HookFailed { container, hook: "PostStart".into() });
        if self.ending.is_none() {
            self.stop_because(place, self.pod.spec.termination_grace, "FailedPostStartHook".to_owned(), host);
        }
    }

    /// What the container's status says of its post-start hook, once the container has ended for that.
    ///
    /// Source: `handlerRunner.Run`, pkg/kubelet/lifecycle/handlers.go (v1.34.1), without the output.
    fn hook_failure(&self, place: usize, error: &Name) -> Name {
        let Container { name, lifecycle, .. } = self.spec(place);
        let kind = match lifecycle.as_ref().and_then(|lifecycle| lifecycle.post_start.as_ref()) {
            Some(Hook::Exec { command }) => format!("Exec lifecycle hook ([{}])", command.join(" ")),
            Some(Hook::HttpGet { path, .. }) => format!("HTTP lifecycle hook ({path})"),
            Some(Hook::Sleep { length }) => format!("Sleep lifecycle hook ({})", length.as_secs()),
            None => "Lifecycle hook".to_owned(),
        };
        let pod = self.full_name();
        format!("{kind} for Container \"{name}\" in Pod \"{pod}\" failed - error: {error}").into()
    }

    pub(super) fn run_hook(
        &self,
        place: usize,
        kind: HookKind,
        hook: Hook,
        limit: Option<Span>,
        host: &mut Host<'_, '_>,
    ) {
        let (pod, container, attempt) = (self.uid(), self.index(place), self.containers[place].attempt);
        host.ask(RuntimeRequest::RunHook { pod, container, attempt, kind, hook: Box::new(hook), limit });
    }
}
