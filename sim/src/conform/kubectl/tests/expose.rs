//! Pods of one line, and Services for what is there.

use super::*;

#[test]
fn a_pod_has_what_its_flags_say_and_a_service_follows_it() {
    let mut bed = Bed::new();
    assert_eq!(
        bed.run(
            "run one --image=one:1 --env=A=1 --env B=x=y --port=80 --restart=Never --annotations=note=a -- serve now"
        ),
        ""
    );
    let one = bed.shown(Kind::Pod, "one");
    let container = &one["spec"]["containers"][0];
    assert_eq!((&one["metadata"]["labels"], &one["spec"]["restartPolicy"]), (&json!({"run": "one"}), &json!("Never")));
    assert_eq!(one["metadata"]["annotations"]["note"], "a");
    assert_eq!(container["env"], json!([{"name": "A", "value": "1"}, {"name": "B", "value": "x=y"}]));
    assert_eq!((&container["args"], &container["ports"][0]["containerPort"]), (&json!(["serve", "now"]), &json!(80)));
    assert_eq!(bed.run("run two --image=two:1 -l part=till,tier=front --command -- serve"), "");
    let two = bed.shown(Kind::Pod, "two");
    assert_eq!(two["metadata"]["labels"], json!({"part": "till", "tier": "front"}));
    assert_eq!(two["spec"]["containers"][0]["command"], json!(["serve"]));
    assert_eq!(bed.run("run three --image=three:1 --port=80 --expose"), "");
    let three = bed.shown(Kind::Service, "three");
    assert_eq!(
        (&three["spec"]["selector"], &three["spec"]["ports"][0]["targetPort"]),
        (&json!({"run": "three"}), &json!(80))
    );
    assert!(three["metadata"].get("labels").is_none());
}

#[test]
fn a_service_is_asked_for_only_once_its_pod_was_granted() {
    let bed = Bed::new();
    let Command::Do(plan) = bed.understand("run three --image=three:1 --port=80 --expose") else { panic!("requests") };
    assert!(plan.one_by_one && plan.requests.len() == 2);
    for (line, why) in [
        ("run --image=a", "NAME is required for run"),
        ("run a --expose --image=a", "--port must be set when exposing a service"),
        ("run a --image=a --restart=Sometimes", "invalid restart policy: Sometimes"),
        ("run a --image=a --image-pull-policy=Maybe", "invalid image pull policy: Maybe"),
        ("run a --image=a --env=1=2", "invalid env: 1=2"),
        ("run a --image=a --labels=b", "unexpected label spec: b"),
        ("run a", "required flag(s) \"image\" not set"),
        ("run a --image=A", "Invalid image name \"A\""),
        ("run A --image=a", "metadata.name: Invalid value"),
    ] {
        let Command::Do(plan) = bed.understand(line) else { panic!("{line}") };
        assert!(plan.requests.is_empty(), "{line}");
        let said = plan.failure.unwrap_or_default();
        assert!(said.contains(why), "{line}: {said}");
    }
}

#[test]
fn what_is_exposed_gives_the_service_its_selector_its_labels_and_its_ports() {
    let mut bed = Bed::new();
    assert_eq!(bed.run("expose deployment till --port=80 --target-port=http --type=NodePort"), "");
    let till = bed.shown(Kind::Service, "till");
    assert_eq!(
        (&till["spec"]["selector"], &till["metadata"]["labels"]),
        (&json!({"part": "till"}), &json!({"a": "1"}))
    );
    let port = &till["spec"]["ports"][0];
    assert_eq!((&port["port"], &port["targetPort"], &port["protocol"]), (&json!(80), &json!("http"), &json!("TCP")));
    assert_eq!(till["spec"]["type"], "NodePort");
    // A Service's own ports are those of the next one.
    assert_eq!(bed.run("expose svc/till --name=again --protocol=UDP -l b=2 --selector=x=y"), "");
    let again = bed.shown(Kind::Service, "again");
    assert_eq!(
        (&again["spec"]["ports"][0]["port"], &again["spec"]["ports"][0]["protocol"]),
        (&json!(80), &json!("UDP"))
    );
    assert_eq!((&again["spec"]["selector"], &again["metadata"]["labels"]), (&json!({"x": "y"}), &json!({"b": "2"})));
    let ports = json!([{"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP"}, {"name": "http", "port": 80}]);
    let body = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "names"},
        "spec": {"selector": {"app": "names"}, "ports": ports}});
    let path = Path { namespace: "shop".to_owned(), plural: "services".to_owned(), ..Path::default() };
    let Outcome::Ask(requests) = edge::translate(&bed.shop.core, "POST", &path, "", &body) else {
        panic!("a creation")
    };
    requests.into_iter().for_each(|request| bed.ask(request));
    assert_eq!(bed.run("expose service names --name=more --cluster-ip=None"), "");
    let more = bed.shown(Kind::Service, "more");
    let told: Vec<String> = more["spec"]["ports"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|port| format!("{} {} {}", port["name"].as_str().unwrap_or(""), port["port"], port["protocol"]))
        .collect();
    assert_eq!(told, ["port-1-udp 53 \"UDP\"", "port-1-tcp 53 \"TCP\"", "port-2 80 \"TCP\""]);
}

#[test]
fn what_cannot_be_exposed_says_so() {
    let mut bed = Bed::new();
    for (line, why) in [
        ("expose deploy/till", "couldn't find port via --port flag or introspection"),
        ("expose node/n1 --port=80", "cannot expose a Node"),
        ("expose deploy/none --port=80", "not found"),
        ("expose deploy/till --port=x", "strconv.Atoi"),
        ("expose deploy/till --port=80 --session-affinity=Some", "unknown session affinity: Some"),
    ] {
        let said = bed.run(line);
        assert!(said.contains(why), "{line}: {said}");
    }
    assert_eq!(bed.shop.core.newest().objects(Kind::Service).len(), 0);
}
