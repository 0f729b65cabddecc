//! The defaults and refusals against what a real API server answered (`tests/data/README.md`).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use wavetank_manifest::kubernetes::{Cause, Manifest, admit_pod, apply_defaults, read_manifests, validate};

#[derive(Deserialize)]
struct Refused {
    case: String,
    body: Value,
    code: u16,
    message: String,
    causes: Vec<RefusedCause>,
}

#[derive(Deserialize)]
struct RefusedCause {
    reason: String,
    message: String,
    field: String,
}

#[derive(Deserialize)]
struct Defaulted {
    sent: Value,
    stored: Value,
}

#[derive(Debug)]
/// A refusal as the API server words it: the whole message, and reason, message and field of each cause.
struct Refusal {
    message: String,
    causes: Vec<[String; 3]>,
}

/// Reads, defaults and validates.
fn admit(body: &Value) -> Result<(), Refusal> {
    let read = read_manifests("sent.json", &body.to_string());
    let mut objects = read.map_err(|errors| Refusal { message: errors.to_string(), causes: Vec::new() })?;
    let object = &mut objects[0].value;
    apply_defaults(object);
    validate(object).map_err(|invalid| {
        let parts = |cause: &Cause| [cause.reason.name().to_owned(), cause.message.clone(), cause.field.clone()];
        Refusal { message: invalid.to_string(), causes: invalid.causes.iter().map(parts).collect() }
    })
}

#[test]
fn a_value_of_a_wrong_type_can_be_told_in_go_s_words() {
    let said = |text: &str| {
        let errors = read_manifests("d.yaml", text).expect_err("a type is wrong");
        errors.0[0].go_message()
    };
    let deployment =
        |spec: &str| format!("apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: d}}\nspec: {spec}\n");
    let replicas = said(&deployment("{replicas: three}")).expect("it is a wrong type");
    assert_eq!(
        replicas,
        "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"
    );
    let image = said(&deployment("{template: {spec: {containers: [{name: c, image: 5}]}}}"));
    let expected = "json: cannot unmarshal number into Go struct field Container.spec.template.spec.containers.image \
                    of type string";
    assert_eq!(image.as_deref(), Some(expected));
    assert_eq!(said(&deployment("{replica: 3}")), None);
}

#[test]
fn what_the_api_server_refuses_is_refused_with_its_own_message_and_causes() {
    let recorded = include_str!("data/refused-by-api-server.jsonl");
    let cases: Vec<Refused> = recorded.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut equal = 0;
    for case in cases.iter().filter(|case| case.code == 422 && case.case != "pod without name") {
        let refusal = admit(&case.body).expect_err(&case.case);
        let expected: Vec<[String; 3]> =
            case.causes.iter().map(|c| [c.reason.clone(), c.message.clone(), c.field.clone()]).collect();
        assert_eq!(refusal.message, case.message, "{}", case.case);
        assert_eq!(refusal.causes, expected, "{}", case.case);
        equal += 1;
    }
    assert_eq!(equal, 18, "recorded refusals of the kinds that are read");
}

#[test]
fn what_the_api_server_refuses_before_validation_is_refused_while_reading() {
    let recorded = include_str!("data/refused-by-api-server.jsonl");
    let expected = BTreeMap::from([
        ("pod without name", "sent.json:1:33: metadata.name: Required value: name or generateName is required"),
        (
            "wrong type (replicas is a string)",
            "sent.json:1:88: spec.replicas: expected a whole number, found the string \"three\"",
        ),
        (
            "wrong apiVersion",
            "sent.json:1:15: apiVersion: no kind \"Deployment\" in version \"apps/v9\"; did you mean \"apps/v1\"?",
        ),
    ]);
    let mut told = BTreeMap::new();
    let cases: Vec<Refused> = recorded.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for case in cases.iter().filter(|case| expected.contains_key(case.case.as_str())) {
        told.insert(case.case.as_str(), admit(&case.body).expect_err(&case.case).message);
    }
    let told: BTreeMap<&str, &str> = told.iter().map(|(case, message)| (*case, message.as_str())).collect();
    assert_eq!(told, expected);
}

#[test]
fn defaults_are_those_that_the_api_server_stored() {
    let recorded: BTreeMap<String, Defaulted> =
        serde_json::from_str(include_str!("data/defaulted-by-api-server.json")).unwrap();
    assert_eq!(recorded.len(), 4);
    for (kind, case) in &recorded {
        let mut object = read_manifests("sent.json", &case.sent.to_string()).unwrap().remove(0).value;
        apply_defaults(&mut object);
        if let Manifest::Pod(pod) = &mut object {
            admit_pod(pod);
        }
        assert_eq!(validate(&object), Ok(()), "{kind}");
        assert_eq!(serde_json::to_value(&object).unwrap()["spec"], case.stored["spec"], "{kind}");
    }
}

#[test]
fn defaulting_twice_changes_nothing() {
    for object in read_manifests("web.yaml", include_str!("data/web.yaml")).unwrap() {
        let mut once = object.value;
        apply_defaults(&mut once);
        let mut twice = once.clone();
        apply_defaults(&mut twice);
        assert_eq!(once, twice);
    }
}
