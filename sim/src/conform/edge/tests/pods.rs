//! Evictions and bindings: codes, reasons in words, preconditions, and what comes first.

use std::sync::Arc;

use wavetank_core::model::{ConditionKind, Phase, Status3};
use wavetank_core::time::Time;

use super::*;

const UID: &str = "0b5a3c9e-7f3e-4a55-8f27-d6a1f9a2c001";

fn path(pod: &str, part: &str) -> String {
    format!("POST /api/v1/namespaces/shop/pods/{pod}/{part}")
}

fn eviction(pod: &str, options: Value) -> Value {
    json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}, "deleteOptions": options})
}

fn binding(pod: &str, node: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod}, "target": {"kind": "Node", "name": node}})
}

impl Bed {
    /// A pod that runs and is ready.
    fn running(&mut self, name: &str) {
        let mut body = pod(name, json!({"nodeName": "n1"}));
        body["metadata"]["labels"] = json!({"app": "till"});
        self.grant("POST /api/v1/namespaces/shop/pods", body);
        let Some(Object::Pod(mut stored)) = self.stored(Kind::Pod, name) else { panic!("{name} is not there") };
        let status = &mut Arc::make_mut(&mut stored).status;
        status.phase = Phase::Running;
        status.conditions.set(ConditionKind::Ready, Status3::True, "", "", Time::ZERO);
        let request = Request::UpdateStatus { object: Object::Pod(stored), expected: None };
        self.ask(request).expect("a status of a pod");
    }

    /// A budget that its controller has looked at.
    fn budget(&mut self, name: &str, allowed: u32) {
        let spec = json!({"minAvailable": 1, "selector": {"matchLabels": {"app": "till"}}});
        let body = json!({"metadata": {"name": name}, "spec": spec});
        self.grant("POST /apis/policy/v1/namespaces/shop/poddisruptionbudgets", body);
        let Some(Object::PodDisruptionBudget(mut stored)) = self.stored(Kind::PodDisruptionBudget, name) else {
            panic!("{name} is not there")
        };
        let generation = stored.meta.generation;
        let status = &mut Arc::make_mut(&mut stored).status;
        (status.observed_generation, status.disruptions_allowed) = (generation, allowed);
        (status.current_healthy, status.desired_healthy) = (1 + allowed, 1);
        let request = Request::UpdateStatus { object: Object::PodDisruptionBudget(stored), expected: None };
        self.ask(request).expect("a status of a budget");
    }
}

const HELD: &str = "Cannot evict pod as it would violate the pod's disruption budget.";

#[test]
fn an_eviction_is_refused_for_its_body_its_namespace_its_name_its_pod_and_its_budget_in_this_order() {
    let mut bed = Bed::new();
    bed.running("a");
    bed.budget("tills", 0);
    let other_kind = "Pod in version \"v1\" cannot be handled as a Eviction: converting (v1.Pod) to (policy.Eviction): \
                      unknown conversion";
    let wrong = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "b"}});
    assert_eq!(bed.send(&path("a", "eviction"), wrong), (400, other_kind.to_owned()));
    let mut elsewhere = eviction("b", json!({}));
    elsewhere["metadata"]["namespace"] = json!("attic");
    let message = "the namespace of the provided object does not match the namespace sent on the request";
    assert_eq!(bed.send(&path("a", "eviction"), elsewhere), (400, message.to_owned()));
    let message = "name in URL does not match name in Eviction object";
    assert_eq!(bed.send(&path("a", "eviction"), eviction("b", json!({}))), (400, message.to_owned()));
    let missing = bed.send(&path("b", "eviction"), eviction("b", json!({})));
    assert_eq!(missing, (404, "pods \"b\" not found".to_owned()));
    assert_eq!(bed.send(&path("a", "eviction"), eviction("a", json!({}))), (429, HELD.to_owned()));
    let attic = "POST /api/v1/namespaces/attic/pods/a/eviction";
    assert_eq!(bed.send(attic, eviction("b", json!({}))), (404, "namespaces \"attic\" not found".to_owned()));
    bed.budget("more-tills", 1);
    let several = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
    assert_eq!(bed.send(&path("a", "eviction"), eviction("a", json!({}))), (500, several.to_owned()));
}

#[test]
fn an_eviction_is_refused_for_another_identity_only_where_the_budget_would_let_it_pass() {
    let mut bed = Bed::new();
    bed.running("a");
    bed.budget("tills", 0);
    let asked = |field: &str, value: &str| eviction("a", json!({"preconditions": {field: value}}));
    assert_eq!(bed.send(&path("a", "eviction"), asked("uid", UID)), (429, HELD.to_owned()));
    bed.grant("DELETE /apis/policy/v1/namespaces/shop/poddisruptionbudgets/tills", Value::Null);
    let uid = bed.stored(Kind::Pod, "a").expect("it was refused").uid();
    let message = format!(
        "Operation cannot be fulfilled on Pod \"a\": the UID in the precondition ({UID}) does not match the UID in \
         record ({uid}). The object might have been deleted and then recreated"
    );
    assert_eq!(bed.send(&path("a", "eviction"), asked("uid", UID)), (409, message));
    let (code, message) = bed.send(&path("a", "eviction"), asked("resourceVersion", "3"));
    assert_eq!(code, 409);
    assert!(message.contains("the ResourceVersion in the precondition (3) does not match"), "{message}");
    // The budget has paid by then, and its controller is told of a pod that did not go.
    bed.budget("tills", 2);
    let allowed = |bed: &Bed| match bed.stored(Kind::PodDisruptionBudget, "tills") {
        Some(Object::PodDisruptionBudget(budget)) => {
            (budget.status.disruptions_allowed, budget.status.disrupted_pods.contains_key("a"))
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(bed.send(&format!("{}?dryRun=All", path("a", "eviction")), asked("uid", UID)).0, 409);
    assert_eq!(allowed(&bed), (2, false), "a dry run takes nothing");
    assert_eq!(bed.send(&path("a", "eviction"), asked("uid", UID)).0, 409);
    assert_eq!(allowed(&bed), (1, true));
    assert_eq!(bed.send(&path("a", "eviction"), asked("resourceVersion", "3")).0, 409);
    assert_eq!(allowed(&bed), (0, true));
    assert_eq!(bed.send(&path("a", "eviction"), asked("uid", UID)).0, 429);
    bed.grant("DELETE /apis/policy/v1/namespaces/shop/poddisruptionbudgets/tills", Value::Null);
    assert_eq!(bed.send(&path("a", "eviction"), asked("uid", &uid.to_string())).0, 200);
    assert!(bed.stored(Kind::Pod, "a").is_some_and(|pod| pod.meta().is_terminating()), "it has its grace");
}

#[test]
fn nothing_is_evicted_or_bound_in_a_namespace_that_is_going() {
    let mut bed = Bed::new();
    bed.running("a");
    bed.pod("b", json!({}));
    bed.grant("DELETE /api/v1/namespaces/shop", Value::Null);
    let refusal = |pod: &str| {
        let why = "unable to create new content in namespace shop because it is being terminated";
        (403, format!("pods \"{pod}\" is forbidden: {why}"))
    };
    assert_eq!(bed.send(&path("a", "eviction"), eviction("a", json!({}))), refusal("a"));
    assert_eq!(bed.send(&path("b", "binding"), binding("b", "n1")), refusal("b"));
    // Components that ask the core hear the same.
    let pod_b = bed.stored(Kind::Pod, "b").expect("it was not bound");
    let key = pod_b.key();
    let bind =
        Request::Bind { namespace: key.namespace.clone(), name: key.name.clone(), uid: pod_b.uid(), node: "n1".into() };
    assert_eq!(bed.ask(bind).map_err(|status| (status.code, status.message)), Err(refusal("b")));
    let evict = Request::Evict { key, uid: None, grace: None, dry_run: false };
    assert_eq!(bed.ask(evict).map_err(|status| (status.code, status.message)), Err(refusal("b")));
}

#[test]
fn a_binding_is_refused_for_its_target_its_preconditions_and_its_pod() {
    let mut bed = Bed::new();
    bed.pod("a", json!({}));
    bed.pod("gated", json!({"schedulingGates": [{"name": "shop.example/wait"}]}));
    let mut wrong = binding("a", "");
    assert_eq!(bed.send(&path("a", "binding"), wrong.clone()), (500, "target.name: Required value".to_owned()));
    wrong["target"]["kind"] = json!("Pod");
    let both = "[target.kind: Unsupported value: \"Pod\": supported values: \"Node\", \"<empty>\", target.name: \
                Required value]";
    assert_eq!(bed.send(&path("a", "binding"), wrong), (500, both.to_owned()));
    let missing = bed.send(&path("b", "binding"), binding("b", "n1"));
    assert_eq!(missing, (404, "pods \"b\" not found".to_owned()));
    let uid = bed.stored(Kind::Pod, "a").expect("a pod").uid();
    let mut other = binding("a", "n1");
    other["metadata"]["uid"] = json!(UID);
    let message = format!(
        "Operation cannot be fulfilled on pods \"a\": StorageError: invalid object, Code: 4, Key: \
         /registry/pods/shop/a, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: \
         {UID}, UID in object meta: {uid}"
    );
    assert_eq!(bed.send(&path("a", "binding"), other.clone()), (409, message));
    other["metadata"] = json!({"name": "a", "resourceVersion": "3"});
    let (code, message) = bed.send(&path("a", "binding"), other);
    assert!(
        code == 409 && message.contains("ResourceVersion in precondition: 3, ResourceVersion in object"),
        "{message}"
    );
    let mut right = binding("a", "n1");
    right["metadata"]["uid"] = json!(uid.to_string());
    assert_eq!(bed.send(&path("a", "binding"), right).0, 200);
    let conflict =
        |pod: &str, why: &str| (409, format!("Operation cannot be fulfilled on pods/binding \"{pod}\": {why}"));
    let bound = conflict("a", "pod a is already assigned to node \"n1\"");
    assert_eq!(bed.send(&path("a", "binding"), binding("a", "n2")), bound);
    let gated = conflict("gated", "pod gated has non-empty .spec.schedulingGates");
    assert_eq!(bed.send(&path("gated", "binding"), binding("gated", "n1")), gated);
    bed.grant("DELETE /api/v1/namespaces/shop/pods/a", Value::Null);
    let going = conflict("a", "pod a is being deleted, cannot be assigned to a host");
    assert_eq!(bed.send(&path("a", "binding"), binding("a", "n1")), going);
}
