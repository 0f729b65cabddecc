//! What admission makes of an object on its way into the store: what it adds to pods, whom it turns away, whom it
//! charges.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::api::accounts::Account;
use crate::api::limit_ranger::{self, ContainerDefaults};
use crate::api::priority::{self, Priority};
use crate::api::{Refusal, accounts, namespace, pod_security, quota, storage};
use crate::config::PodSecurityConfig;
use crate::context::Context;
use crate::digest::{Shared, StableHasher};
use crate::id::Name;
use crate::model::{
    ConditionKind, Kind, Labels, Meta, Namespace, Node, Object, ObjectKey, PersistentVolumeClaim, Pod, PodSpec,
    PodStatus, Resource, ResourceQuota, Status3, Taint, TaintEffect, Toleration, TolerationOperator,
};
use crate::store::{Store, View};
use crate::time::Time;

/// The taint of a node whose kubelet says that it is not ready.
pub const NOT_READY: &str = "node.kubernetes.io/not-ready";
/// The taint of a node whose kubelet is silent.
pub const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
/// How long a pod endures them by default, in seconds.
const DEFAULT_TOLERATION_SECONDS: i64 = 300;

/// How many completed specs are remembered before all are forgotten.
const REMEMBERED_LIMIT: usize = 4_096;

/// Admission with a memory: pods of one template share one completed spec, as they share the template's.
#[derive(Default)]
pub(super) struct Admission {
    /// The completed spec by the hash of what it was completed from.
    completed: BTreeMap<u64, Completed>,
}

/// A spec, what it was completed with, and what became of it.
struct Completed {
    given: Shared<PodSpec>,
    additions: Additions,
    spec: Shared<PodSpec>,
    /// What the LimitRanger says that it filled in.
    limits_said: Option<Name>,
    /// What validation says of the containers with what was filled in.
    fault: Option<Name>,
}

/// What the cluster and the namespace add to a pod.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Additions {
    containers: ContainerDefaults,
    account: Option<Account>,
    priority: Option<Priority>,
}

impl Admission {
    /// Completes an object that is about to be created, checks it and charges it to the quotas of its namespace.
    ///
    /// The order is that of the API server's plugins: those that change the object, those that check it, quotas last.
    /// A name that is drawn is drawn between these: those that change the object call it `asked`, as it was asked for.
    ///
    /// Source: `AllOrderedPlugins`, pkg/kubeapiserver/options/plugins.go; `extractResourceName`,
    /// staging/src/k8s.io/apiserver/pkg/admission/errors.go (v1.34.1).
    pub(super) fn admit<T: Resource>(
        &mut self,
        ctx: &Context<'_>,
        store: &mut Store,
        object: T,
        asked: &Name,
    ) -> Result<T, Refusal> {
        if !concerns::<T>(store.newest(), object.meta()) {
            return Ok(object);
        }
        let mut object = T::into_object(Arc::new(object));
        let key = object.key();
        let forbidden = |message: String| Refusal::Forbidden { key: key.clone(), message: message.into() };
        if let Object::Pod(pod) = &mut object {
            let completed = self.complete_pod(store.newest(), Arc::make_mut(pod), ctx.now).map_err(|message| {
                let key = ObjectKey { name: asked.clone(), ..key.clone() };
                Refusal::Forbidden { key, message: message.into() }
            })?;
            if let Some(message) = &completed.fault {
                return Err(Refusal::Invalid { key, message: message.clone() });
            }
        }
        if let Object::Namespace(namespace) = &object {
            refuse_labels(namespace, pod_security::wrong_labels(&namespace.meta.labels))?;
        }
        check(&ctx.config.api_server.pod_security, store.newest(), &object).map_err(forbidden)?;
        quota::charge(ctx, store, &object, None, quota::Limit::Enforced).map_err(forbidden)?;
        let admitted = T::from_object(&object).expect("the object is of the kind that came in").clone();
        drop(object);
        Ok(Arc::unwrap_or_clone(admitted))
    }

    /// Completes a pod on its way into the store.
    fn complete_pod(&mut self, view: View<'_>, pod: &mut Pod, now: Time) -> Result<&Completed, String> {
        pod.status = PodStatus::default().into();
        mark_if_gated(pod, now);
        let additions = Additions {
            containers: ContainerDefaults::of(view, &pod.meta.namespace),
            account: Account::of(view, pod)?,
            priority: Priority::of(view, &pod.spec)?,
        };
        let hash = StableHasher::hash_one(&(pod.spec.stable_hash(), &additions));
        let fits = |known: &&Completed| known.given == pod.spec && known.additions == additions;
        if self.completed.get(&hash).filter(fits).is_none() {
            if self.completed.len() >= REMEMBERED_LIMIT {
                self.completed.clear();
            }
            self.completed.insert(hash, Completed::of(pod.spec.clone(), additions));
        }
        let completed = &self.completed[&hash];
        pod.spec = completed.spec.clone();
        if let Some(said) = &completed.limits_said {
            pod.meta.annotations = pod.meta.annotations.with(limit_ranger::ANNOTATION, said.clone());
        }
        Ok(completed)
    }
}

/// What the plugins that change objects say to a creation, before anything is validated; `None` if they have nothing
/// against it. The name is the one that was asked for, be it to be drawn. Only of a pod more is looked at than the
/// namespace; one whose default account is still to come is waited for.
pub fn early_refusal(view: View<'_>, key: &ObjectKey, pod: Option<&Pod>) -> Option<Refusal> {
    if !key.kind.is_namespaced() {
        return None;
    }
    if let Err(refusal) = namespace::check_namespace(view, key) {
        return Some(refusal);
    }
    let pod = pod?;
    let waits = accounts::waits_for(view, pod);
    let account = if waits { Ok(()) } else { Account::of(view, pod).map(drop) };
    let fault = account.and_then(|()| Priority::of(view, &pod.spec).map(drop)).err()?;
    Some(Refusal::Forbidden { key: key.clone(), message: fault.into() })
}

impl Completed {
    fn of(given: Shared<PodSpec>, additions: Additions) -> Completed {
        let mut spec = given.clone();
        let (mut limits_said, mut fault) = (None, None);
        if additions.containers != ContainerDefaults::default()
            || additions.account.is_some()
            || lacks_requests(&given)
            || additions.priority.is_some()
            || priority::is_given(&given)
        {
            let mut changed = (*given).clone();
            request_what_is_limited(&mut changed);
            limits_said = additions.containers.apply(&mut changed);
            if limits_said.is_some() {
                fault = limit_ranger::requests_beyond_limits(&changed);
            }
            if let Some(account) = &additions.account {
                account.apply(&mut changed);
            }
            if let Some(priority) = &additions.priority {
                priority.apply(&mut changed);
            }
            priority::forget_given(&mut changed);
            spec = Shared::new(changed);
        }
        add_default_tolerations(&mut spec);
        Completed { given, additions, spec, limits_said, fault }
    }
}

/// Whether a container has a limit on something that it does not request.
fn lacks_requests(spec: &PodSpec) -> bool {
    let all = spec.containers.iter().chain(&spec.init_containers);
    all.into_iter().any(|container| {
        let written = container.written_requests();
        container.limits.quantities().keys().any(|name| !written.contains_key(name))
    })
}

/// What a container only limits it also requests. Templates leave that open: it is settled for each pod.
///
/// Source: `SetDefaults_Pod`, pkg/apis/core/v1/defaults.go (v1.34.1).
fn request_what_is_limited(spec: &mut PodSpec) {
    for container in spec.containers.iter_mut().chain(&mut spec.init_containers) {
        let written = container.written_requests();
        for (name, limit) in container.limits.quantities() {
            if !written.contains_key(&name) {
                container.requests.set_quantity(&name, limit);
            }
        }
    }
}

/// Whether any plugin has a say about an object: most clusters have no quotas, and only pods are completed.
fn concerns<T: Resource>(view: View<'_>, meta: &Meta) -> bool {
    match T::KIND {
        Kind::Pod | Kind::PersistentVolumeClaim | Kind::PriorityClass | Kind::Namespace => true,
        kind => kind.is_namespaced() && view.in_namespace::<ResourceQuota>(&meta.namespace).next().is_some(),
    }
}

/// Checks a change of an object, and charges what it will use more.
pub(super) fn admit_update<T: Resource>(ctx: &Context<'_>, store: &mut Store, new: &T, old: &T) -> Result<(), Refusal> {
    const LOOKED_AT: [Kind; 5] =
        [Kind::Pod, Kind::Service, Kind::PersistentVolumeClaim, Kind::PriorityClass, Kind::Namespace];
    if !LOOKED_AT.contains(&T::KIND) {
        return Ok(());
    }
    let wrap = |object: &T| T::into_object(Arc::new(object.clone()));
    let (new, old) = (wrap(new), wrap(old));
    let forbidden = |message: String| Refusal::Forbidden { key: new.key(), message: message.into() };
    let security = &ctx.config.api_server.pod_security;
    match (&new, &old) {
        (Object::Pod(new), Object::Pod(old)) => {
            let violation = || pod_security::violation(security, store.newest(), new);
            if pod_security::concerns_update(&new.spec, &old.spec)
                && let Some(why) = violation()
            {
                return Err(forbidden(why));
            }
        }
        // What is wrong already may stay.
        (Object::Namespace(new), Object::Namespace(old)) => {
            let fault = pod_security::wrong_labels(&new.meta.labels);
            if fault != pod_security::wrong_labels(&old.meta.labels) {
                refuse_labels(new, fault)?;
            }
        }
        _ if old.meta().is_terminating() => {}
        _ => check(security, store.newest(), &new).map_err(forbidden)?,
    }
    storage::check_growth(store.newest(), &new, &old).map_err(forbidden)?;
    if quota::counts_update(&new, &old) {
        quota::charge(ctx, store, &new, Some(&old), quota::Limit::Enforced).map_err(forbidden)?;
    }
    Ok(())
}

/// Charges a claim whose status names another class to the quotas of that class, which do not refuse it.
///
/// Source: `pvcEvaluator.Handles`, pkg/quota/v1/evaluator/core/persistent_volume_claims.go; `CheckRequest`,
/// staging/src/k8s.io/apiserver/pkg/admission/plugin/resourcequota/controller.go (v1.34.1).
pub(super) fn admit_claim_status(
    ctx: &Context<'_>,
    store: &mut Store,
    new: &PersistentVolumeClaim,
    old: &Arc<PersistentVolumeClaim>,
) -> Result<(), Refusal> {
    if new.status.attributes_class == old.status.attributes_class {
        return Ok(());
    }
    let new = PersistentVolumeClaim { status: new.status.clone(), ..PersistentVolumeClaim::clone(old) };
    let (new, old) = (Object::PersistentVolumeClaim(new.into()), Object::PersistentVolumeClaim(old.clone()));
    let forbidden = |message: String| Refusal::Forbidden { key: new.key(), message: message.into() };
    quota::charge(ctx, store, &new, Some(&old), quota::Limit::Ignored).map_err(forbidden)
}

/// Refuses a namespace for what is wrong with its labels, if anything is.
fn refuse_labels(namespace: &Namespace, fault: Option<String>) -> Result<(), Refusal> {
    let key = || ObjectKey { kind: Kind::Namespace, namespace: Name::default(), name: namespace.meta.name.clone() };
    fault.map_or(Ok(()), |message| Err(Refusal::Invalid { key: key(), message: message.into() }))
}

/// Why the level of its namespace forbids a pod.
pub fn security_refusal(config: &PodSecurityConfig, view: View<'_>, pod: &Pod) -> Option<Refusal> {
    let message = pod_security::violation(config, view, pod)?.into();
    let key = ObjectKey { kind: Kind::Pod, namespace: pod.meta.namespace.clone(), name: pod.meta.name.clone() };
    Some(Refusal::Forbidden { key, message })
}

/// Whether a namespace of these labels enforces a level of PodSecurity that forbids anything.
pub fn enforces_level(config: &PodSecurityConfig, namespace: &str, labels: &Labels) -> bool {
    pod_security::enforces(config, namespace, labels)
}

/// What is wrong with a level of PodSecurity or its version; nothing if both are in order.
pub fn wrong_level(level: &str, version: &str) -> Option<String> {
    pod_security::wrong_level(level, version)
}

/// What the plugins that only check have to say.
fn check(config: &PodSecurityConfig, view: View<'_>, object: &Object) -> Result<(), String> {
    match object {
        Object::PriorityClass(class) => priority::check_class(view, class),
        Object::Pod(pod) => {
            limit_ranger::check(view, object)?;
            pod_security::violation(config, view, pod).map_or(Ok(()), Err)
        }
        object => limit_ranger::check(view, object),
    }
}

/// Keeps pods off a new node until the node lifecycle has seen that it is ready.
///
/// Source: plugin/pkg/admission/nodetaint/admission.go (v1.34.1).
pub(super) fn taint_node(node: &mut Node) {
    let taint =
        Taint { key: NOT_READY.into(), value: Name::default(), effect: TaintEffect::NoSchedule, added_at: None };
    if !node.spec.taints.iter().any(|present| present.same_mark(&taint)) {
        node.spec.taints.push(taint);
    }
}

/// Says that the scheduler will not look at the pod yet.
///
/// Source: `applySchedulingGatedCondition`, pkg/registry/core/pod/strategy.go (v1.34.1).
fn mark_if_gated(pod: &mut Pod, now: Time) {
    if pod.spec.rules.as_ref().is_some_and(|rules| !rules.scheduling_gates.is_empty()) {
        let (reason, message) = ("SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates");
        pod.status.conditions.set(ConditionKind::PodScheduled, Status3::False, reason, message, now);
    }
}

/// Source: plugin/pkg/admission/defaulttolerationseconds/admission.go (v1.34.1).
fn add_default_tolerations(shared: &mut Shared<PodSpec>) {
    let covers = |toleration: &Toleration, key: &str| {
        (*toleration.key == *key || toleration.key.is_empty())
            && toleration.effect.is_none_or(|effect| effect == TaintEffect::NoExecute)
    };
    let missing: Vec<&str> = [NOT_READY, UNREACHABLE]
        .into_iter()
        .filter(|key| !shared.tolerations.iter().any(|toleration| covers(toleration, key)))
        .collect();
    if missing.is_empty() {
        return;
    }
    let mut spec = (**shared).clone();
    spec.tolerations.extend(missing.into_iter().map(|key| Toleration {
        key: key.into(),
        operator: TolerationOperator::Exists,
        value: "".into(),
        effect: Some(TaintEffect::NoExecute),
        seconds: Some(DEFAULT_TOLERATION_SECONDS),
    }));
    *shared = Shared::new(spec);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A toleration in words: `key[:NoExecute][/seconds]`; the key `*` is every key.
    fn toleration(words: &str) -> Toleration {
        let (words, seconds) = words.split_once('/').map_or((words, None), |(words, text)| (words, text.parse().ok()));
        let (key, effect) = words.split_once(':').map_or((words, None), |(key, _)| (key, Some(TaintEffect::NoExecute)));
        let key = match key {
            "*" => "",
            "not-ready" => NOT_READY,
            "unreachable" => UNREACHABLE,
            other => other,
        };
        Toleration { key: key.into(), operator: TolerationOperator::Exists, value: "".into(), effect, seconds }
    }

    #[test]
    fn what_a_pod_does_not_say_of_nodes_in_trouble_is_added_for_five_minutes() {
        let (not_ready, unreachable) = ("not-ready:NoExecute/300", "unreachable:NoExecute/300");
        let table: [(&[&str], &[&str]); 8] = [
            (&[], &[not_ready, unreachable]),
            (&["other:NoExecute/700"], &[not_ready, unreachable]),
            (&["not-ready:NoExecute/700"], &[unreachable]),
            (&["unreachable:NoExecute/700"], &[not_ready]),
            (&["not-ready:NoExecute/700", "unreachable:NoExecute/700"], &[]),
            (&["unreachable"], &[not_ready]),
            (&["*"], &[]),
            (&["*:NoExecute/5"], &[]),
        ];
        for (given, added) in table {
            let given: Vec<Toleration> = given.iter().map(|words| toleration(words)).collect();
            let expected: Vec<Toleration> =
                given.iter().cloned().chain(added.iter().map(|it| toleration(it))).collect();
            let mut spec = Shared::new(PodSpec { tolerations: given, ..PodSpec::default() });
            add_default_tolerations(&mut spec);
            assert_eq!(spec.tolerations, expected);
        }
    }
}
