//! The ServiceAccount plugin: every pod runs under an account of its namespace, whose token it gets.
//!
//! The default account is made by a controller a moment after its namespace, so a pod that would run under it before it
//! is there waits: the API server looks for it ten times, a drawn 100 to 200 ms apart. Absent on purpose: the limit of
//! the Secrets that an account's pods may mount (`kubernetes.io/enforce-mountable-secrets`), and tokens themselves.
//!
//! Source: plugin/pkg/admission/serviceaccount/admission.go (v1.34.1).

#[cfg(test)]
mod tests;

use crate::api::{Request, read};
use crate::draw::{Purpose, below, draw};
use crate::id::{Name, ProcId, RequestId};
use crate::model::{
    CONFIG_MIRROR, Container, DEFAULT_ACCOUNT, Kind, Namespace, Object, ObjectKey, Pod, PodSpec, ServiceAccount,
    TOKEN_MOUNT_PATH, TOKEN_VOLUME, TokenVolume,
};
use crate::store::{Store, View};
use crate::time::{Span, Time};

/// How often the default account is looked for.
const ATTEMPTS: u32 = 10;

/// What a pod gets from its account.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Account {
    name: Name,
    gives_token: bool,
    pull_secrets: Vec<Name>,
}

impl Account {
    /// The account of a pod; `None` for a mirror pod, which has none. The error is why the pod is refused.
    pub(super) fn of(view: View<'_>, pod: &Pod) -> Result<Option<Account>, String> {
        if is_mirror(pod) {
            let has = |has: bool, what: &str| if has { Err(format!("a mirror pod may not {what}")) } else { Ok(None) };
            return has(!pod.spec.account.is_empty(), "reference service accounts");
        }
        let (namespace, name) = (&pod.meta.namespace, account_name(pod));
        let Some((_, account)) = view.find::<ServiceAccount>(namespace, &name) else {
            let why = no_path_segment(&name).unwrap_or_else(|| format!("serviceaccount {name:?} not found"));
            return Err(format!("error looking up service account {namespace}/{name}: {why}"));
        };
        let gives_token = pod.spec.automount.or(account.automount).unwrap_or(true);
        let pull_secrets = account.image_pull_secrets.clone();
        Ok(Some(Account { name, gives_token, pull_secrets }))
    }

    /// Gives it to the pods of a spec.
    pub(super) fn apply(&self, spec: &mut PodSpec) {
        spec.account = self.name.clone();
        if spec.image_pull_secrets.is_empty() {
            spec.image_pull_secrets.clone_from(&self.pull_secrets);
        }
        spec.token = if self.gives_token { token_volume(spec).map(Box::new) } else { None };
    }
}

/// Why an account cannot be asked for by a path, as the plugin does where it knows none of a name; `None` if it can.
///
/// Source: `IsValidPathSegmentName`, staging/src/k8s.io/apimachinery/pkg/api/validation/path/name.go; `Request.Name`,
/// staging/src/k8s.io/client-go/rest/request.go (v1.34.1).
fn no_path_segment(name: &str) -> Option<String> {
    let faults: Vec<String> = match name {
        "." | ".." => vec![format!("may not be '{name}'")],
        _ => ['/', '%'].iter().filter(|it| name.contains(**it)).map(|it| format!("may not contain '{it}'")).collect(),
    };
    (!faults.is_empty()).then(|| format!("invalid resource name {name:?}: [{}]", faults.join(" ")))
}

/// The volume with the token; `None` if every container has something else at its place.
fn token_volume(spec: &PodSpec) -> Option<TokenVolume> {
    let has_other = |container: &Container| container.mounts.iter().any(|mount| *mount.path == *TOKEN_MOUNT_PATH);
    let containers = spec.init_containers.iter().chain(&spec.containers);
    let not_in: Vec<u16> = containers.zip(0..).filter(|(it, _)| has_other(it)).map(|(_, place)| place).collect();
    let named = spec.volumes.iter().find(|volume| volume.name.starts_with(TOKEN_VOLUME));
    let all = spec.init_containers.len() + spec.containers.len();
    (not_in.len() < all).then(|| TokenVolume { named: named.map(|volume| volume.name.clone()), not_in })
}

fn is_mirror(pod: &Pod) -> bool {
    pod.meta.annotations.get(CONFIG_MIRROR).is_some()
}

fn account_name(pod: &Pod) -> Name {
    if pod.spec.account.is_empty() { DEFAULT_ACCOUNT } else { pod.spec.account.clone() }
}

/// Requests that wait for a default account.
#[derive(Default)]
pub(super) struct Held {
    requests: Vec<HeldRequest>,
    /// How many have waited so far.
    count: u64,
}

/// A request that waits.
struct HeldRequest {
    due: Time,
    interval: Span,
    attempts: u32,
    from: ProcId,
    id: RequestId,
    request: Request,
}

impl Held {
    /// Keeps a request.
    pub(super) fn hold(&mut self, seed: u64, now: Time, from: ProcId, id: RequestId, request: Request) {
        let drawn = below(draw(seed, Purpose::AccountLookup, self.count, 0), 100);
        self.count += 1;
        let interval = Span::from_millis(100 + drawn);
        self.requests.push(HeldRequest { due: now + interval, interval, attempts: 1, from, id, request });
    }

    /// The requests that are due and need not, or may not, wait longer.
    pub(super) fn take_due(&mut self, store: &Store, now: Time) -> Vec<(ProcId, RequestId, Request)> {
        let mut taken = Vec::new();
        for mut held in std::mem::take(&mut self.requests) {
            if held.due <= now {
                held.attempts += 1;
                held.due = now + held.interval;
                if held.attempts >= ATTEMPTS || !waits_for_account(store, &held.request) {
                    taken.push((held.from, held.id, held.request));
                    continue;
                }
            }
            self.requests.push(held);
        }
        taken
    }

    /// When the next request is due.
    pub(super) fn next(&self) -> Option<Time> {
        self.requests.iter().map(|held| held.due).min()
    }

    /// Forgets all requests: their connections are gone.
    pub(super) fn clear(&mut self) {
        self.requests.clear();
    }
}

/// Whether a request makes a pod under a default account that is not there yet.
pub(super) fn waits_for_account(store: &Store, request: &Request) -> bool {
    let pod = match request {
        Request::Create(Object::Pod(pod)) => pod,
        Request::DryRun(request) => return waits_for_account(store, request),
        Request::Apply { object: Object::Pod(pod), .. } => {
            let meta = &pod.meta;
            let key = ObjectKey { kind: Kind::Pod, namespace: meta.namespace.clone(), name: meta.name.clone() };
            if read::current(store, &key).is_some() {
                return false;
            }
            pod
        }
        _ => return false,
    };
    waits_for(store.newest(), pod)
}

/// Whether a pod would run under a default account that is not there yet.
pub(super) fn waits_for(view: View<'_>, pod: &Pod) -> bool {
    let (namespace, name) = (&pod.meta.namespace, account_name(pod));
    let lives = || view.find::<Namespace>(&Name::default(), namespace).is_some_and(|(_, it)| !it.meta.is_terminating());
    name == DEFAULT_ACCOUNT && !is_mirror(pod) && view.find::<ServiceAccount>(namespace, &name).is_none() && lives()
}
