//! Objects that flags describe.

use super::*;

#[test]
fn a_deployment_has_its_name_as_label_and_containers_named_after_their_images() {
    let mut bed = Bed::new();
    assert_eq!(bed.run("create deployment web --image=registry.example/shop/web:1.2 -r 3 --port=80"), "");
    let web = bed.shown(Kind::Deployment, "web");
    let labels = json!({"app": "web"});
    assert_eq!((&web["metadata"]["labels"], &web["spec"]["selector"]["matchLabels"]), (&labels, &labels));
    assert_eq!((&web["spec"]["template"]["metadata"]["labels"], &web["spec"]["replicas"]), (&labels, &json!(3)));
    let container = &web["spec"]["template"]["spec"]["containers"][0];
    assert_eq!((&container["name"], &container["ports"][0]["containerPort"]), (&json!("web"), &json!(80)));
    assert_eq!(container["image"], "registry.example/shop/web:1.2");
    assert_eq!(bed.run("create deploy two --image=a_b:1,c --image=d"), "");
    let names: Vec<Value> = (0..3)
        .map(|place| {
            bed.shown(Kind::Deployment, "two")["spec"]["template"]["spec"]["containers"][place]["name"].clone()
        })
        .collect();
    assert_eq!(names, ["a-b-xxxxx", "c", "d"], "what a name may not have is replaced, and letters are drawn");
    assert_eq!(bed.run("create deployment done --image=a -- sh -c 'sleep 9'"), "");
    let done = bed.shown(Kind::Deployment, "done");
    assert_eq!(done["spec"]["template"]["spec"]["containers"][0]["command"], json!(["sh", "-c", "sleep 9"]));
}

#[test]
fn jobs_and_cron_jobs_have_their_name_for_their_container() {
    let mut bed = Bed::new();
    assert_eq!(bed.run("create job count --image=count:1 -- count --all"), "");
    let job = bed.shown(Kind::Job, "count");
    let spec = &job["spec"]["template"]["spec"];
    assert_eq!((&spec["containers"][0]["name"], &spec["restartPolicy"]), (&json!("count"), &json!("Never")));
    assert_eq!(spec["containers"][0]["command"], json!(["count", "--all"]));
    assert_eq!(bed.run("create cj tick --image=tick:1 --schedule='*/5 * * * *' --restart=Never"), "");
    let tick = bed.shown(Kind::CronJob, "tick");
    assert_eq!((&tick["spec"]["schedule"], &tick["metadata"]["name"]), (&json!("*/5 * * * *"), &json!("tick")));
    let template = &tick["spec"]["jobTemplate"];
    assert_eq!(template["metadata"]["name"], "tick");
    assert_eq!(template["spec"]["template"]["spec"]["restartPolicy"], "Never");
    assert_eq!(bed.run("create cronjob tock --image=tock:1 --schedule '@hourly'"), "");
    let tock = bed.shown(Kind::CronJob, "tock");
    assert_eq!(tock["spec"]["jobTemplate"]["spec"]["template"]["spec"]["restartPolicy"], "OnFailure");
}

#[test]
fn services_of_each_type_have_the_ports_of_their_pairs() {
    let mut bed = Bed::new();
    assert_eq!(bed.run("create service clusterip web --tcp=80:8080 --tcp=443"), "");
    let web = bed.shown(Kind::Service, "web");
    assert_eq!((&web["spec"]["type"], &web["spec"]["selector"]["app"]), (&json!("ClusterIP"), &json!("web")));
    let ports = json!([
        {"name": "80-8080", "port": 80, "protocol": "TCP", "targetPort": 8080},
        {"name": "443", "port": 443, "protocol": "TCP", "targetPort": 443},
    ]);
    assert_eq!((&web["spec"]["ports"], &web["metadata"]["labels"]["app"]), (&ports, &json!("web")));
    assert_eq!(bed.run("create svc clusterip bare --clusterip=None"), "");
    assert_eq!(bed.shown(Kind::Service, "bare")["spec"]["clusterIP"], "None");
    assert_eq!(bed.run("create service nodeport out --tcp=80:http --node-port=30080"), "");
    let port = &bed.shown(Kind::Service, "out")["spec"]["ports"][0];
    assert_eq!((&port["nodePort"], &port["targetPort"]), (&json!(30_080), &json!("http")));
    assert_eq!(bed.run("create service loadbalancer edge --tcp=80"), "");
    assert_eq!(bed.shown(Kind::Service, "edge")["spec"]["type"], "LoadBalancer");
    assert_eq!(bed.run("create service externalname far --external-name far.example"), "");
    let far = bed.shown(Kind::Service, "far");
    assert_eq!((&far["spec"]["type"], &far["spec"]["externalName"]), (&json!("ExternalName"), &json!("far.example")));
}

#[test]
fn quotas_budgets_and_priority_classes_say_what_their_flags_say() {
    let mut bed = Bed::new();
    assert_eq!(bed.run("create quota few --hard=pods=5,cpu=1500m --scopes=NotTerminating"), "");
    let few = bed.shown(Kind::ResourceQuota, "few");
    let expected = json!({"hard": {"pods": "5", "cpu": "1500m"}, "scopes": ["NotTerminating"]});
    assert_eq!(few["spec"], expected);
    assert_eq!(bed.run("create pdb most --selector='app=web,tier in (front)' --min-available=50%"), "");
    let most = bed.shown(Kind::PodDisruptionBudget, "most");
    let selector = json!({"matchLabels": {"app": "web"},
        "matchExpressions": [{"key": "tier", "operator": "In", "values": ["front"]}]});
    assert_eq!((&most["spec"]["selector"], &most["spec"]["minAvailable"]), (&selector, &json!("50%")));
    assert_eq!(bed.run("create poddisruptionbudget one --selector app=web --max-unavailable 1"), "");
    assert_eq!(bed.shown(Kind::PodDisruptionBudget, "one")["spec"]["maxUnavailable"], 1);
    assert_eq!(bed.run("create priorityclass high --value=1000 --description 'goes first'"), "");
    let high = bed.shown(Kind::PriorityClass, "high");
    assert_eq!((&high["value"], &high["preemptionPolicy"]), (&json!(1_000), &json!("PreemptLowerPriority")));
    assert_eq!(high["description"], "goes first");
}

#[test]
fn maps_secrets_accounts_and_namespaces_are_made_of_literals() {
    let mut bed = Bed::new();
    assert_eq!(bed.run("create cm prices --from-literal=tea=2 --from-literal=cake='3=x'"), "");
    assert_eq!(bed.shown(Kind::ConfigMap, "prices")["data"], json!({"tea": "2", "cake": "3=x"}));
    assert_eq!(bed.run("create secret generic key --from-literal=word=sesame --type=shop.example/key"), "");
    let key = bed.shown(Kind::Secret, "key");
    assert_eq!((&key["data"]["word"], &key["type"]), (&json!("c2VzYW1l"), &json!("shop.example/key")));
    assert_eq!(bed.run("create secret docker-registry pull --docker-username=u --docker-password=p"), "");
    assert_eq!(bed.shown(Kind::Secret, "pull")["type"], "kubernetes.io/dockerconfigjson");
    assert_eq!(bed.run("create serviceaccount clerk"), "");
    assert_eq!(bed.shown(Kind::ServiceAccount, "clerk")["metadata"]["name"], "clerk");
    assert_eq!(bed.run("create ns attic"), "");
    assert_eq!(bed.shown(Kind::Namespace, "attic")["metadata"]["name"], "attic");
}

#[test]
fn a_line_that_kubectl_or_the_api_server_refuses_creates_nothing() {
    let mut bed = Bed::new();
    let head = bed.shop.core.revision();
    for (line, why) in [
        ("create deployment web", "required flag(s) \"image\" not set"),
        ("create deployment web other --image=a", "exactly one NAME is required, got 2"),
        ("create deployment --image=a -- web", "exactly one NAME is required, got 0"),
        ("create deployment web --image=a --image=b -- x", "cannot specify multiple --image options and command"),
        ("create deployment web --image=a --replicas=x", "invalid argument \"x\""),
        ("create deployment Web --image=a", "metadata.name: Invalid value"),
        ("create cronjob tick --image=a", "required flag(s) \"schedule\" not set"),
        ("create cronjob tick --image=a --schedule=never", "spec.schedule: Invalid value"),
        ("create service clusterip web", "at least one tcp port specifier must be provided"),
        ("create service clusterip web --tcp=x", "strconv.ParseUint"),
        ("create service clusterip web --tcp=80:70000", "must be between 1 and 65535, inclusive"),
        ("create service externalname far", "required flag(s) \"external-name\" not set"),
        ("create quota few --hard=pods", "Invalid argument syntax pods, expected <resource>=<value>"),
        ("create quota few --scopes=a,,b", "invalid resource quota scope"),
        ("create pdb most --min-available=1", "a selector must be specified"),
        ("create pdb most --selector=a=b", "one of min-available or max-unavailable must be specified"),
        ("create pdb most --selector=a=b --min-available=x", "invalid format specified for min-available"),
        ("create pdb most --selector=a!=b --min-available=1", "is not a valid label selector operator"),
        ("create cm prices --from-literal=tea", "invalid literal source tea, expected key=value"),
        ("create cm prices --from-literal=a=1 --from-literal=a=2", "another key by that name already exists"),
        ("create secret docker-registry pull", "either --from-file or the combination"),
        ("create ns attic --dry-run=perhaps", "Invalid dry-run value (perhaps)"),
    ] {
        let said = bed.run(line);
        assert!(said.contains(why), "{line}: {said}");
    }
    assert_eq!(bed.shop.core.revision(), head);
}

#[test]
fn a_dry_run_stores_nothing_and_what_a_line_does_not_show_is_not_covered() {
    let mut bed = Bed::new();
    let head = bed.shop.core.revision();
    assert_eq!(bed.run("create deployment web --image=a --dry-run=server"), "");
    assert_eq!(bed.run("label deploy till a=2 --overwrite --dry-run=server"), "");
    assert!(matches!(bed.understand("create deployment web --image=a --dry-run=client -o yaml"), Command::Nothing));
    assert_eq!(bed.shop.core.revision(), head);
    for line in [
        "create -f till.yaml",
        "create cm prices --from-file=prices.txt",
        "create cm prices --from-literal=a=1 --append-hash",
        "create secret tls key --cert=a --key=b",
        "create deployment web --image=a --save-config",
        "create ingress way --rule=a/b=c:80",
        "create role clerk --verb=get --resource=pods",
        "run till --image=a -it -- sh",
        "run till --image=a --overrides={}",
        "set env deploy/till -",
        "set subject rolebinding a --user=b",
        "scale deploy/till --replicas=1 --resource-version=4",
        "set image deploy/till till=till:2 --record",
        "autoscale deploy/till --max=3",
        "replace -f till.yaml",
    ] {
        assert!(matches!(bed.understand(line), Command::NotCovered(_)), "{line}");
    }
}

#[test]
fn what_a_line_makes_is_told_by_its_words() {
    let told = |line: &str| {
        made(line, &[]).iter().map(|(kind, name)| format!("{} {name}", kind.name())).collect::<Vec<_>>().join(", ")
    };
    for (line, expected) in [
        ("create deployment web --image=a", "Deployment web"),
        ("-n shop create service nodeport web --tcp=80", "Service web"),
        ("create secret generic key", "Secret key"),
        ("run till --image=a", "Pod till"),
        ("run till --image=a --port=80 --expose", "Pod till, Service till"),
        ("expose deploy/till --port=80", "Service till"),
        ("expose deploy till --port=80 --name=front", "Service front"),
        ("create -f web.yaml", ""),
        ("scale deploy/web --replicas=2", ""),
    ] {
        assert_eq!(told(line), expected, "{line}");
    }
}
