//! In which order a creation is refused: plugins that change objects, validation, plugins that check, the store.

use wavetank_core::model::{ResourceQuota, ResourceQuotaStatus};

use super::*;

const PODS: &str = "POST /api/v1/namespaces/shop/pods";

#[test]
fn plugins_that_change_pods_are_heard_before_validation_and_those_that_check_after_it() {
    let invalid = json!({"restartPolicy": "Sometimes"});
    let with = |field: &str, value: Value| {
        let mut spec = invalid.clone();
        spec[field] = value;
        pod("a", spec)
    };
    let forbidden = |why: &str| (403, format!("pods \"a\" is forbidden: {why}"));
    let mut bed = Bed::new();
    let unknown_account = "error looking up service account shop/clerk: serviceaccount \"clerk\" not found";
    let table = [
        (with("serviceAccountName", json!("clerk")), forbidden(unknown_account)),
        (with("priorityClassName", json!("gold")), forbidden("no PriorityClass with name gold was found")),
        (with("runtimeClassName", json!("gvisor")), forbidden("pod rejected: RuntimeClass \"gvisor\" not found")),
        (
            with("priority", json!(5)),
            forbidden(
                "the integer value of priority (5) must not be provided in pod spec; priority admission controller \
                 computed 0 from the given PriorityClass name",
            ),
        ),
    ];
    for (body, expected) in table {
        assert_eq!(bed.send(PODS, body), expected);
    }
    // Of two plugins the first is heard.
    let mut both = with("priorityClassName", json!("gold"));
    both["spec"]["serviceAccountName"] = json!("clerk");
    assert_eq!(bed.send(PODS, both), forbidden(unknown_account));
    let (code, message) = bed.send(PODS, with("overhead", json!({"cpu": "100m"})));
    assert_eq!(code, 422, "{message}: a plugin that only checks comes later");
    let overhead = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead";
    assert_eq!(bed.send(PODS, pod("a", json!({"overhead": {"cpu": "100m"}}))), forbidden(overhead));
}

fn quota_status(quota: &mut std::sync::Arc<ResourceQuota>) -> &mut ResourceQuotaStatus {
    &mut std::sync::Arc::make_mut(quota).status
}

#[test]
fn a_limit_range_is_heard_after_validation_and_a_quota_last() {
    let mut bed = Bed::new();
    let range = json!({"metadata": {"name": "bounds"}, "spec": {"limits": [{"type": "Pod", "max": {"cpu": "1"}}]}});
    bed.grant("POST /api/v1/namespaces/shop/limitranges", range);
    let quota = json!({"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}});
    bed.grant("POST /api/v1/namespaces/shop/resourcequotas", quota);
    // Its controller has looked at it.
    let Some(Object::ResourceQuota(mut quota)) = bed.stored(Kind::ResourceQuota, "none") else { panic!("no quota") };
    let hard = quota.hard.clone();
    // None are allowed, and none are there.
    (quota_status(&mut quota).used, quota_status(&mut quota).hard) = (hard.clone(), hard);
    bed.ask(Request::UpdateStatus { object: Object::ResourceQuota(quota), expected: None }).expect("a status");
    let sized = |cpu: &str, more: Value| {
        let container =
            json!({"name": "till", "image": "till:1", "resources": {"requests": {"cpu": cpu}, "limits": {"cpu": cpu}}});
        let mut body = pod("a", more);
        body["spec"]["containers"][0] = container;
        body
    };
    let (code, message) = bed.send(PODS, sized("2", json!({"restartPolicy": "Sometimes"})));
    assert_eq!(code, 422, "{message}");
    let (code, message) = bed.send(PODS, sized("2", json!({})));
    assert_eq!((code, &*message), (403, "pods \"a\" is forbidden: maximum cpu usage per Pod is 1, but limit is 2"));
    let (code, message) = bed.send(PODS, sized("1", json!({})));
    assert_eq!(code, 403, "{message}");
    assert!(message.starts_with("pods \"a\" is forbidden: exceeded quota: none, "), "{message}");
}

#[test]
fn a_namespace_that_is_missing_or_going_is_told_before_anything_is_validated() {
    let mut bed = Bed::new();
    let bad = pod("a", json!({"restartPolicy": "Sometimes"}));
    assert_eq!(
        bed.send("POST /api/v1/namespaces/attic/pods", bad.clone()),
        (404, "namespaces \"attic\" not found".to_owned())
    );
    bed.grant("DELETE /api/v1/namespaces/shop", Value::Null);
    let going = "unable to create new content in namespace shop because it is being terminated";
    assert_eq!(bed.send(PODS, bad), (403, format!("pods \"a\" is forbidden: {going}")));
    let map = json!({"metadata": {"generateName": "Prices-"}});
    let expected = (403, format!("configmaps \"Prices-\" is forbidden: {going}"));
    assert_eq!(bed.send("POST /api/v1/namespaces/shop/configmaps", map), expected, "the name is not drawn yet");
    let nameless = (403, format!("configmaps \"Unknown\" is forbidden: {going}"));
    assert_eq!(bed.send("POST /api/v1/namespaces/shop/configmaps", json!({"metadata": {}})), nameless);
}

#[test]
fn a_refusal_tells_a_drawn_name_only_once_it_is_drawn() {
    let mut bed = Bed::new();
    let mut drawn = pod("", json!({"serviceAccountName": "clerk"}));
    drawn["metadata"] = json!({"generateName": "a-"});
    let (code, message) = bed.send(PODS, drawn.clone());
    assert!(code == 403 && message.starts_with("pods \"a-\" is forbidden: "), "{message}");
    drawn["spec"] = json!({"containers": []});
    let (code, message) = bed.send(PODS, drawn.clone());
    assert!(code == 422 && message.starts_with("Pod \"a-xxxxx\" is invalid: "), "{message}");
    drawn["metadata"] = json!({"generateName": "a".repeat(70)});
    let (_, message) = bed.send(PODS, drawn);
    assert!(message.starts_with(&format!("Pod \"{}xxxxx\" is invalid: ", "a".repeat(58))), "{message}");
}

#[test]
fn a_name_that_is_taken_beside_one_to_draw_is_told_as_a_drawn_one() {
    let mut bed = Bed::new();
    let mut map = json!({"metadata": {"name": "prices"}});
    let path = "POST /api/v1/namespaces/shop/configmaps";
    bed.grant(path, map.clone());
    let taken = "configmaps \"prices\" already exists";
    assert_eq!(bed.send(path, map.clone()), (409, taken.to_owned()));
    map["metadata"]["generateName"] = json!("pri-");
    let drawn = format!("{taken}, the server was not able to generate a unique name for the object");
    assert_eq!(bed.send(path, map), (409, drawn));
}

#[test]
fn a_name_whose_owner_is_going_is_taken_all_the_same() {
    let mut bed = Bed::new();
    let map = json!({"metadata": {"name": "prices", "finalizers": ["shop.example/wait"]}});
    bed.grant("POST /api/v1/namespaces/shop/configmaps", map.clone());
    bed.grant("DELETE /api/v1/namespaces/shop/configmaps/prices", Value::Null);
    let expected = (409, "object is being deleted: configmaps \"prices\" already exists".to_owned());
    assert_eq!(bed.send("POST /api/v1/namespaces/shop/configmaps", map), expected);
}
