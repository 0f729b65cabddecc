//! What one sync of a StatefulSet asks for, and what its messages say of it.
//!
//! Source: pkg/controller/statefulset/stateful_pod_control.go (v1.34.1).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::api::{Answer, Refusal, Request};
use crate::controllers::requests::Pass;
use crate::controllers::stateful_set::control::of_owners;
use crate::controllers::stateful_set::events;
use crate::id::Name;
use crate::model::{Meta, Pod, StatefulSet, StatefulSetStatus};
use crate::store::View;

/// What a sync does.
#[derive(Default)]
pub(in crate::controllers) struct Plan {
    /// Creations, changes and deletions; a batch leaves when the one before is granted.
    pub(super) batches: Vec<Vec<Request>>,
    /// The status if all of them are granted.
    pub(super) status: StatefulSetStatus,
    /// What each request does to which pod, in the same order.
    pub(super) actions: Vec<Action>,
    /// Pods that are made together with claims of theirs.
    pub(super) with_new_claims: Vec<Arc<Pod>>,
    /// Pods that were made and of which it is not said until their claims have the owners that they shall have.
    pub(super) untold: Vec<Action>,
    /// What could not even be tried, and why: the sync fails when the requests before it are granted.
    pub(super) obstacle: Option<(Action, String)>,
    /// What is wrong with claims of pods that shall be made, by the pods' names: these are not made.
    pub(super) faults: BTreeMap<Name, Vec<String>>,
    /// The places of requests that depend on the claims of their own pods and on what was asked for before these, each
    /// with the place of the first of the claims.
    pub(super) after_claims: BTreeMap<usize, usize>,
    /// Claims that somebody else manages, though the retention policy wants the set or a pod to.
    pub(super) conflicts: Vec<Name>,
    /// Whether the last of them deletes a pod of an old revision, which the status takes off already.
    pub(super) replaces: bool,
}

/// What is done for a pod, as events name it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Action {
    pub(super) verb: Verb,
    pub(super) subject: Subject,
    /// The pod's name.
    pub(super) pod: Name,
}

/// What is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verb {
    Create,
    Update,
    Delete,
}

/// To what it is done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Subject {
    Pod,
    Claim(Name),
    /// The owners of a claim of a pod that the set should have.
    Owners(Name),
    /// The same of a pod that the set should not have.
    OwnersOfCondemned(Name),
}

impl Verb {
    /// As messages have it.
    pub(super) fn text(self) -> &'static str {
        match self {
            Verb::Create => "create",
            Verb::Update => "update",
            Verb::Delete => "delete",
        }
    }
}

impl Plan {
    /// Adds what is asked for together: claims first, and then the rest. Of that leaves what belongs to other pods than
    /// those whose claims are refused, or have a `fault`.
    pub(super) fn push(&mut self, batch: Vec<(Action, Request)>, faults: Vec<(Name, Vec<String>)>) {
        let from = self.actions.len();
        let (claims, others): (Vec<_>, Vec<_>) = batch.into_iter().partition(|(action, _)| action.makes_claim());
        let is_gated = !claims.is_empty() || !faults.is_empty();
        self.faults.extend(faults);
        self.push_batch(claims);
        let places = self.actions.len()..self.actions.len() + others.len();
        self.after_claims.extend(places.filter(|_| is_gated).map(|place| (place, from)));
        self.push_batch(others);
    }

    fn push_batch(&mut self, batch: Vec<(Action, Request)>) {
        if !batch.is_empty() {
            let (actions, requests): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
            self.actions.extend(actions);
            self.batches.push(requests);
        }
    }

    /// Whether the request at a place leaves, and what is said of the pod if it does not.
    ///
    /// Source: `CreateStatefulPod`, pkg/controller/statefulset/stateful_pod_control.go (v1.34.1).
    pub(super) fn pass(&self, set: &Meta, place: usize, answers: &[Option<Answer>]) -> Pass {
        let refusal = |place: usize| answers.get(place)?.as_ref()?.as_ref().err();
        let failed = |place| refusal(place).is_some_and(|refusal| !matches!(refusal, Refusal::NotFound(_)));
        let own = self.after_claims.get(&place).filter(|from| !(0..**from).any(failed));
        if own.is_none() {
            return Pass::IfAllWell;
        }
        let action = &self.actions[place];
        let Some(fault) = self.fault_of(&action.pod, refusal) else { return Pass::Anyway };
        let refused = self.claims_of(&action.pod).find_map(|(place, _)| refusal(place).cloned());
        let refusal = refused.unwrap_or_else(|| Refusal::Internal { message: fault.as_str().into() });
        Pass::Never(Box::new((refusal, action.makes_pod().then(|| events::failed(action, set, &fault)))))
    }

    /// What is wrong with the claims of a pod that shall be made, if anything is. Kubernetes tells it in any order.
    ///
    /// Source: `createPersistentVolumeClaims`, stateful_pod_control.go.
    pub(super) fn fault_of<'a>(&self, pod: &Name, refusal: impl Fn(usize) -> Option<&'a Refusal>) -> Option<String> {
        let refused = self.claims_of(pod).filter_map(|(place, claim)| {
            refusal(place).map(|refusal| format!("failed to create PVC {claim}: {refusal}"))
        });
        together(&refused.chain(self.faults.get(pod).into_iter().flatten().cloned()).collect::<Vec<_>>())
    }

    /// The claims that are made for a pod, with the places of their creations.
    fn claims_of(&self, pod: &Name) -> impl Iterator<Item = (usize, &Name)> {
        let pod = pod.clone();
        self.actions.iter().enumerate().filter_map(move |(place, action)| match &action.subject {
            Subject::Claim(claim) if action.pod == pod => Some((place, claim)),
            _ => None,
        })
    }

    /// The writes that give the claims made in this sync the owners that the retention policy wants, as far as the
    /// watch has shown the claims by now; what is missing comes with a later sync.
    ///
    /// Source: `CreateStatefulPod`, pkg/controller/statefulset/stateful_pod_control.go (v1.34.1).
    pub(super) fn owners_of_new_claims(&self, view: View<'_>, set: &StatefulSet) -> Vec<(Action, Request)> {
        let is_new = |action: &Action| match &action.subject {
            Subject::Owners(claim) => self.actions.iter().any(|it| it.subject == Subject::Claim(claim.clone())),
            _ => false,
        };
        let updates = self.with_new_claims.iter().flat_map(|pod| of_owners(view, set, pod));
        updates.filter(|(action, _)| is_new(action)).collect()
    }

    /// Whether an action makes a pod and its claims may get other owners afterwards: that it was made is said after
    /// that only, and not at all if it fails.
    ///
    /// Source: `CreateStatefulPod`, pkg/controller/statefulset/stateful_pod_control.go (v1.34.1).
    pub(super) fn is_told_later(&self, set: &StatefulSet, action: &Action) -> bool {
        let has_new_claims = || self.with_new_claims.iter().any(|pod| pod.meta.name == action.pod);
        let makes_pod = action.makes_pod();
        let has_owners = self.actions.iter().any(|it| it.is_of_owners(&action.pod));
        makes_pod && (has_owners || set.claim_retention.deleted_with_set && has_new_claims())
    }

    /// The pods that were made and of which that was not said, if all that was asked for about the owners of their
    /// claims was granted.
    pub(super) fn made(&self, set: &StatefulSet, answers: &[Answer]) -> Vec<Action> {
        let answered = |place: usize| answers.get(place).is_some_and(Answer::is_ok);
        let has_owners = |action: &Action| {
            self.actions.iter().enumerate().all(|(place, it)| !it.is_of_owners(&action.pod) || answered(place))
        };
        let untold =
            self.actions.iter().enumerate().filter(|(place, it)| answered(*place) && self.is_told_later(set, it));
        untold.map(|(_, action)| action).filter(|action| has_owners(action)).cloned().collect()
    }
}

impl Action {
    /// Whether it gives a claim of a pod its owners.
    fn is_of_owners(&self, pod: &Name) -> bool {
        self.pod == *pod && matches!(self.subject, Subject::Owners(_))
    }

    pub(super) fn of_pod(verb: Verb, pod: &Pod) -> Action {
        Action { verb, subject: Subject::Pod, pod: pod.meta.name.clone() }
    }

    pub(super) fn on(self, subject: Subject) -> Action {
        Action { subject, ..self }
    }

    /// Whether it is the making of a pod.
    pub(super) fn makes_pod(&self) -> bool {
        (self.verb, &self.subject) == (Verb::Create, &Subject::Pod)
    }

    /// Whether it is the making of a claim.
    pub(super) fn makes_claim(&self) -> bool {
        self.verb == Verb::Create && matches!(self.subject, Subject::Claim(_))
    }

    /// What is told of an action that failed.
    pub(super) fn failure(&self, set: &str, error: &str) -> String {
        let (verb, pod) = (self.verb.text(), &self.pod);
        let of_pod = |error: &str| format!("{verb} Pod {pod} in StatefulSet {set} failed error: {error}");
        match &self.subject {
            Subject::Pod => of_pod(error),
            Subject::Owners(claim) | Subject::OwnersOfCondemned(claim) => {
                of_pod(&format!("could not update claim {claim} for delete policy ownerRefs: {error}"))
            }
            Subject::Claim(claim) => {
                format!("{verb} Claim {claim} for Pod {pod} in StatefulSet {set} failed error: {error}")
            }
        }
    }
}

/// Several errors stand in brackets; `None` if there are none.
pub(super) fn together(errors: &[String]) -> Option<String> {
    match errors {
        [] => None,
        [only] => Some(only.clone()),
        several => Some(format!("[{}]", several.join(", "))),
    }
}
