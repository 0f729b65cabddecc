//! Parts of the templates of pods.

use super::*;

impl Bed {
    /// A container of the Deployment.
    fn container(&self, place: usize) -> Value {
        self.shown(Kind::Deployment, "till")["spec"]["template"]["spec"]["containers"][place].clone()
    }
}

#[test]
fn resources_of_all_containers_or_of_those_that_fit_are_set() {
    let mut bed = Bed::new();
    assert_eq!(bed.run("set resources deploy/till --limits=cpu=200m,memory=512Mi --requests=cpu=100m"), "");
    let expected = json!({"limits": {"cpu": "200m", "memory": "512Mi"}, "requests": {"cpu": "100m"}});
    assert_eq!((&bed.container(0)["resources"], &bed.container(1)["resources"]), (&expected, &expected));
    assert_eq!(bed.run("set resources deployment till -c=log --limits cpu=1"), "");
    assert_eq!(
        (&bed.container(0)["resources"]["limits"]["cpu"], &bed.container(1)["resources"]["limits"]["cpu"]),
        (&json!("200m"), &json!("1"))
    );
    let generation = bed.till().meta.generation;
    assert_eq!(bed.run("set resources deployment till -c=log --limits cpu=1"), "", "nothing is written for nothing");
    assert_eq!(bed.till().meta.generation, generation);
    assert!(
        bed.run("set resources deploy/till -c=none --limits=cpu=1").contains("unable to find container named none")
    );
    assert!(bed.run("set resources deploy/till").contains("you must specify an update to requests or limits"));
    assert!(bed.run("set resources node/n1 --limits=cpu=1").contains("does not have a pod template"));
}

#[test]
fn variables_are_set_in_their_places_removed_and_not_overwritten_unless_wished() {
    let mut bed = Bed::new();
    assert_eq!(bed.run("set env deploy/till A=1 B=2 C=3"), "");
    assert_eq!(bed.run("set env deploy/till B=4 D=5 A- -c till"), "");
    let named = |name: &str, value: &str| json!({"name": name, "value": value});
    assert_eq!(bed.container(0)["env"], json!([named("B", "4"), named("C", "3"), named("D", "5")]));
    assert_eq!(bed.container(1)["env"], json!([named("A", "1"), named("B", "2"), named("C", "3")]));
    let said = bed.run("set env deploy/till B=9 --overwrite=false");
    assert_eq!(said, "'B' already has a value (4), and --overwrite is false");
    assert_eq!(bed.run("set env deploy/till A- B- C- D-"), "");
    assert!(bed.container(0).get("env").is_none());
    assert_eq!(bed.run("create cm prices --from-literal=tea-cup=2 --from-literal=cake=3"), "");
    assert_eq!(bed.run("set env deploy/till --from=configmap/prices --prefix=SHOP_ --keys=tea-cup"), "");
    let expected =
        json!([{"name": "SHOP_TEA_CUP", "valueFrom": {"configMapKeyRef": {"name": "prices", "key": "tea-cup"}}}]);
    assert_eq!(bed.container(0)["env"], expected);
    assert_eq!(bed.run("set env deploy/till SHOP_TEA_CUP=9"), "");
    assert_eq!(bed.container(0)["env"], json!([named("SHOP_TEA_CUP", "9")]), "the reference is gone");
    let before = bed.shop.core.revision();
    assert_eq!(bed.run("set env deploy/till --list"), "");
    for (line, why) in [
        ("set env A=1", "one or more resources must be specified"),
        ("set env deploy/till A=1 deploy/other", "all resources must be specified before environment changes"),
        ("set env deploy/till A=1 A-", "can not both modify and remove the same environment variable"),
        ("set env deploy/till 1A=2", "is not a valid key name"),
        ("set env deploy/till --keys=a", "a configmap or secret must be provided with --from"),
        ("set env deploy/till --from=deploy/till", "unsupported resource specified in --from"),
        ("set env deploy/till deploy/none A=1", "not found"),
        ("set env deploy --all -l a=1 A=1", "cannot set --all and --selector at the same time"),
    ] {
        let said = bed.run(line);
        assert!(said.contains(why), "{line}: {said}");
    }
    assert_eq!(bed.shop.core.revision(), before, "what is not there fails the whole command");
}

#[test]
fn accounts_and_selectors_are_set() {
    let mut bed = Bed::new();
    assert_eq!(bed.run("set sa deploy/till clerk"), "");
    let spec = &bed.shown(Kind::Deployment, "till")["spec"]["template"]["spec"];
    assert_eq!(spec["serviceAccountName"], "clerk");
    assert_eq!(bed.run("create service clusterip web --tcp=80"), "");
    assert_eq!(bed.run("set selector service web 'part=till,tier=front'"), "");
    assert_eq!(bed.shown(Kind::Service, "web")["spec"]["selector"], json!({"part": "till", "tier": "front"}));
    assert!(bed.run("set selector deploy/till a=b").contains("setting a selector is only supported for Services"));
    assert!(bed.run("set selector svc/web 'a in (b)'").contains("not supported on this object"));
}

#[test]
fn one_image_that_fits_is_set_although_another_does_not() {
    let mut bed = Bed::new();
    assert_eq!(bed.run("set image deploy/till till=till:2 none=x"), "unable to find container named \"none\"");
    assert_eq!(bed.container(0)["image"], "till:2");
    assert!(bed.run("set image deploy/till *=a till=b").contains("all containers are already specified by *"));
    assert!(bed.run("set image deploy/till").contains("at least one image update is required"));
    assert!(bed.run("set image deploy/none till=x").contains("not found"));
    // With several objects, one that fails does not hold the others up.
    assert_eq!(
        bed.run("label deploy till none b=1"),
        "Error from server (NotFound): deployments.apps \"none\" not found"
    );
    assert_eq!(bed.shown(Kind::Deployment, "till")["metadata"]["labels"]["b"], "1");
}
