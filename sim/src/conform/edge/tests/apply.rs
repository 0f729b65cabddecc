//! Server-side apply: what can be told without the managers of fields.

use super::*;

const MAP: &str = "/api/v1/namespaces/shop/configmaps/prices";

fn applied(bed: &mut Bed, query: &str, body: Value) -> Result<(u16, String), String> {
    let path = Path::parse(&format!("{MAP}?{query}")).expect("a path of objects");
    match translate(&bed.core, "PATCH", &path, "application/apply-patch+yaml", &body) {
        Outcome::Answered(status) | Outcome::AnsweredAfter(_, status) => Ok((status.code, status.message)),
        Outcome::NotCovered(what) => Err(what),
        Outcome::Ask(requests) => {
            let refusal = requests.into_iter().find_map(|request| bed.ask(request).err());
            Ok(refusal.map_or((200, String::new()), |status| (status.code, status.message)))
        }
    }
}

fn prices(tea: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "prices"}, "data": {"tea": tea}})
}

fn tea(bed: &Bed) -> Option<Value> {
    let stored = bed.stored(Kind::ConfigMap, "prices")?;
    let shown = wavetank_manifest::kubernetes::to_json(&stored, wavetank_core::id::Revision(0), EPOCH);
    Some(shown["data"]["tea"].clone())
}

#[test]
fn what_is_not_there_is_created_and_what_is_as_it_shall_be_stays() {
    let mut bed = Bed::new();
    let done = Ok((200, String::new()));
    assert_eq!(applied(&mut bed, "fieldManager=till&dryRun=All", prices("2")), done);
    assert_eq!(tea(&bed), None);
    assert_eq!(applied(&mut bed, "fieldManager=till", prices("2")), done);
    assert_eq!(tea(&bed), Some(json!("2")));
    let before = bed.core.digest();
    assert_eq!(applied(&mut bed, "fieldManager=desk", prices("2")), done);
    assert_eq!(bed.core.digest(), before);
    assert!(applied(&mut bed, "fieldManager=desk", prices("3")).is_err(), "that depends on whose the field is");
    assert_eq!(applied(&mut bed, "fieldManager=desk&force=true", prices("3")), done);
    assert_eq!(tea(&bed), Some(json!("3")));
}

#[test]
fn an_apply_is_refused_for_its_options_its_version_and_its_name() {
    let mut bed = Bed::new();
    let options = |why: &str| Ok((422, format!("PatchOptions.meta.k8s.io \"\" is invalid: {why}")));
    let missing = "fieldManager: Required value: is required for apply patch";
    assert_eq!(applied(&mut bed, "", prices("2")), options(missing));
    let stage = "dryRun: Unsupported value: [\"Some\"]: supported values: \"All\"";
    assert_eq!(applied(&mut bed, "dryRun=Some", prices("2")), options(&format!("[{missing}, {stage}]")));
    let forced = bed.send(&format!("PATCH {MAP}?force=true"), json!({}));
    assert_eq!(Ok(forced), options("force: Forbidden: may not be specified for non-apply patch"));
    let bad = |message: &str| Ok((400, message.to_owned()));
    let mut other = prices("2");
    other["apiVersion"] = json!("v2");
    let expected = "Incorrect version specified in apply patch. Specified patch version: v2, expected: v1";
    assert_eq!(applied(&mut bed, "fieldManager=till", other), bad(expected));
    let mut other = prices("2");
    other["metadata"]["name"] = json!("costs");
    let expected = "the name of the object (costs) does not match the name on the URL (prices)";
    assert_eq!(applied(&mut bed, "fieldManager=till", other), bad(expected));
    let mut other = prices("2");
    other["metadata"]["managedFields"] = json!([{"manager": "till"}]);
    assert_eq!(applied(&mut bed, "fieldManager=till", other), bad("metadata.managedFields must be nil"));
}

#[test]
fn where_owners_are_known_an_apply_of_another_s_field_is_refused_unless_it_is_forced() {
    let mut bed = Bed::new();
    let mut managers = Managers::default();
    let maker = Manager { name: "maker".to_owned(), applies: false, subresource: String::new() };
    bed.grant("POST /api/v1/namespaces/shop/configmaps", prices("2"));
    managers.note(None, bed.stored(Kind::ConfigMap, "prices").as_ref(), &maker);
    let ask = |bed: &Bed, managers: &Managers, query: &str, body: Value| {
        let path = Path::parse(&format!("{MAP}?{query}")).expect("a path of objects");
        translate_among(&bed.core, Some(managers), "PATCH", &path, APPLY, &body)
    };
    let refused = ask(&bed, &managers, "fieldManager=desk", prices("3"));
    let expected = "Apply failed with 1 conflict: conflict with \"maker\" using v1: .data.tea";
    assert!(
        matches!(&refused, Outcome::Answered(status) if status.code == 409 && status.message == expected),
        "{refused:?}"
    );
    let Outcome::Ask(requests) = ask(&bed, &managers, "fieldManager=desk&force=true", prices("3")) else {
        panic!("it is forced")
    };
    requests.into_iter().for_each(|request| bed.ask(request).expect("it is granted"));
    assert_eq!(tea(&bed), Some(json!("3")));
    for odd in [json!({"data": {"tea": null}}), json!({"dada": {}})] {
        let mut body = prices("3");
        body.as_object_mut().expect("an object").extend(odd.as_object().expect("an object").clone());
        assert!(matches!(ask(&bed, &managers, "fieldManager=desk", body), Outcome::NotCovered(_)), "{odd}");
    }
    let mut stale = prices("3");
    stale["metadata"]["resourceVersion"] = json!("3");
    let conflict = ask(&bed, &managers, "fieldManager=desk", stale);
    assert!(matches!(&conflict, Outcome::Answered(status) if status.code == 409), "{conflict:?}");
}

#[test]
fn kubectl_takes_what_its_client_applied_before_and_notes_what_it_applies() {
    let mut bed = Bed::new();
    let mut managers = Managers::default();
    let client = Manager { name: "kubectl-client-side-apply".to_owned(), applies: false, subresource: String::new() };
    let mut body = prices("2");
    body["metadata"]["annotations"] = json!({LAST_APPLIED: as_last_applied(&prices("2"))});
    bed.grant("POST /api/v1/namespaces/shop/configmaps", body);
    managers.note(None, bed.stored(Kind::ConfigMap, "prices").as_ref(), &client);
    let ask = |bed: &Bed, managers: &Managers, name: &str| {
        let path = Path::parse(&format!("{MAP}?fieldManager={name}")).expect("a path of objects");
        translate_among(&bed.core, Some(managers), "PATCH", &path, APPLY, &prices("3"))
    };
    assert!(matches!(ask(&bed, &managers, "desk"), Outcome::Answered(status) if status.code == 409));
    let Outcome::Ask(requests) = ask(&bed, &managers, "kubectl") else { panic!("it was its own") };
    requests.into_iter().for_each(|request| bed.ask(request).expect("it is granted"));
    let stored = bed.stored(Kind::ConfigMap, "prices").expect("it is there");
    let shown = wavetank_manifest::kubernetes::to_json(&stored, wavetank_core::id::Revision(0), EPOCH);
    assert_eq!(shown["metadata"]["annotations"][LAST_APPLIED], as_last_applied(&prices("3")));
    // What somebody else gave another value since is not its own any more.
    let other = Manager { name: "other".to_owned(), ..client.clone() };
    bed.grant(&format!("PATCH {MAP}"), json!({"data": {"tea": "9"}}));
    managers.note(Some(&stored), bed.stored(Kind::ConfigMap, "prices").as_ref(), &other);
    assert!(matches!(ask(&bed, &managers, "kubectl"), Outcome::Answered(status) if status.code == 409));
}
