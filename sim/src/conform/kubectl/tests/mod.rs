//! Command lines against a small cluster: here those that change parts of objects, delete and read.

mod apply;
mod create;
mod expose;
mod files;
mod rollout;
mod set;

use serde_json::json;
use wavetank_core::model::{Deployment, Meta, Node};

use super::*;
use crate::conform::edge::tests::Bed as Shop;

/// Command lines are given to the shop's cluster.
struct Bed {
    shop: Shop,
}

impl Bed {
    /// With a Deployment `till` of two containers, and a node `n1`.
    fn new() -> Bed {
        let mut bed = Bed { shop: Shop::new() };
        bed.ask(Request::Create(Object::Node(Node { meta: Meta::named("", "n1"), ..Node::default() }.into())));
        let containers = json!([{"name": "till", "image": "till:1"}, {"name": "log", "image": "log:1"}]);
        let metadata = json!({"name": "till", "labels": {"a": "1"}});
        let body = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
            "spec": {"replicas": 2, "selector": {"matchLabels": {"part": "till"}},
                "template": {"metadata": {"labels": {"part": "till"}}, "spec": {"containers": containers}}}});
        bed.shop.grant("POST /apis/apps/v1/namespaces/shop/deployments", body);
        bed
    }

    fn ask(&mut self, request: Request) {
        self.shop.ask(request).unwrap_or_else(|refusal| panic!("{}", refusal.message));
    }

    fn understand(&self, line: &str) -> Command {
        self.understand_with(line, &[])
    }

    fn understand_with(&self, line: &str, manifests: &[Value]) -> Command {
        let core = &self.shop.core;
        understand(&Scene { core, namespace: "shop", pod: &|_| None, manifests, managers: None }, line)
    }

    /// Runs a line; why it fails, or nothing.
    fn run(&mut self, line: &str) -> String {
        self.run_with(line, &[])
    }

    /// The same with what its files describe.
    fn run_with(&mut self, line: &str, manifests: &[Value]) -> String {
        match self.understand_with(line, manifests) {
            Command::Do(plan) => {
                plan.requests.into_iter().chain(plan.then).for_each(|request| self.ask(request));
                plan.failure.unwrap_or_default()
            }
            other => panic!("{line}: {other:?}"),
        }
    }

    /// What a line asks for, without its being granted; it does not fail by itself.
    fn asked(&self, line: &str) -> Vec<Request> {
        match self.understand(line) {
            Command::Do(Plan { requests, failure: None, .. }) => requests,
            other => panic!("{line}: {other:?}"),
        }
    }

    /// An object of the namespace as clients see it.
    fn shown(&self, kind: Kind, name: &str) -> Value {
        let namespace = if kind.is_namespaced() { "shop" } else { "" };
        let object = self.shop.core.find(&ObjectKey::new(kind, namespace, name));
        to_json(&object.unwrap_or_else(|| panic!("{name} is not there")), Revision(0), EPOCH)
    }

    fn till(&self) -> Deployment {
        let (_, till) =
            self.shop.core.newest().find::<Deployment>(&"shop".into(), &"till".into()).expect("it is there");
        Deployment::clone(till)
    }

    fn node(&self) -> Node {
        let (_, node) = self.shop.core.newest().find::<Node>(&Name::default(), &"n1".into()).expect("it is there");
        Node::clone(node)
    }
}

#[test]
fn sizes_images_and_pauses_are_set_by_one_write_each() {
    let mut bed = Bed::new();
    assert_eq!(bed.run("scale deploy/till --replicas=5"), "");
    assert_eq!(bed.run("-n shop set image deployment till till=till:2 log=log:2"), "");
    assert_eq!(bed.run("rollout pause deployment/till"), "");
    let till = bed.till();
    let images: Vec<&str> = till.template.spec.containers.iter().map(|container| &*container.image).collect();
    assert_eq!((till.replicas, images, till.paused, till.meta.generation), (5, vec!["till:2", "log:2"], true, 4));
    assert_eq!(bed.run("set image deploy/till *=all:3"), "");
    assert!(bed.till().template.spec.containers.iter().all(|container| &*container.image == "all:3"));
}

#[test]
fn what_kubectl_checks_by_itself_fails_before_anything_is_asked() {
    let mut bed = Bed::new();
    for line in [
        "scale deploy/till --replicas=5 --current-replicas=7",
        "set image deploy/till nothing=x",
        "rollout resume deploy/till",
        "rollout undo deploy/till",
        "label deploy/till a=2",
        "taint nodes n1 dirty-",
        "cordon n9",
        "scale deploy/none --replicas=1",
        "rollout pause statefulset/db",
    ] {
        assert_ne!(bed.run(line), "", "{line}");
    }
    assert_eq!((bed.till().meta.generation, bed.till().replicas), (1, 2));
    bed.run("rollout pause deploy/till");
    assert_ne!(bed.run("rollout pause deploy/till"), "");
    assert_ne!(bed.run("rollout restart deploy/till"), "");
}

#[test]
fn labels_annotations_and_taints_come_and_go() {
    let mut bed = Bed::new();
    assert_eq!(bed.run("label deploy till a=2 b=3 --overwrite"), "");
    assert_eq!(bed.run("label deploy till a-"), "");
    assert_eq!(bed.run("annotate deploy/till note='two words'"), "");
    let meta = bed.till().meta;
    assert_eq!((meta.labels.get("a"), meta.labels.get("b").map(|it| &**it)), (None, Some("3")));
    // Of a Deployment's metadata its annotations count as its spec does.
    assert_eq!((meta.annotations.get("note").map(|it| &**it), meta.generation), (Some("two words"), 2));
    assert_eq!(bed.run("taint nodes n1 dirty=yes:NoSchedule dirty=yes:NoExecute"), "");
    let dirty = |bed: &Bed| bed.node().spec.taints.iter().filter(|taint| &*taint.key == "dirty").count();
    assert_eq!(dirty(&bed), 2);
    assert_ne!(bed.run("taint nodes n1 dirty=no:NoSchedule"), "", "without --overwrite");
    assert_eq!(bed.run("taint nodes n1 dirty:NoSchedule-"), "");
    assert_eq!(dirty(&bed), 1);
    assert_eq!(bed.run("taint node n1 dirty-"), "");
    assert_eq!(bed.run("cordon n1"), "");
    assert!(dirty(&bed) == 0 && bed.node().spec.unschedulable);
    assert_eq!(bed.run("uncordon n1"), "");
    assert!(!bed.node().spec.unschedulable);
}

#[test]
fn a_patch_is_of_the_type_that_its_flag_says() {
    let mut bed = Bed::new();
    assert_eq!(
        bed.run(
            r#"patch deploy till -p '{"spec":{"template":{"spec":{"containers":[{"name":"log","image":"log:9"}]}}}}'"#
        ),
        ""
    );
    assert_eq!(bed.till().template.spec.containers.len(), 2);
    assert_eq!(
        bed.run(r#"patch deploy/till --type=json -p '[{"op":"replace","path":"/spec/replicas","value":7}]'"#),
        ""
    );
    assert_eq!(bed.run(r#"patch deploy/till --type=merge -p '{"metadata":{"labels":{"a":null}}}'"#), "");
    let till = bed.till();
    assert_eq!((&*till.template.spec.containers[1].image, till.replicas), ("log:9", 7));
    assert_eq!(till.meta.labels.get("a"), None);
}

#[test]
fn a_deletion_has_the_grace_and_the_cascade_of_its_flags() {
    let bed = Bed::new();
    let delete = |line: &str| match &bed.asked(line)[..] {
        [Request::Delete { grace, propagation, .. }] => Some((grace.map(Span::as_secs), *propagation)),
        _ => None,
    };
    assert_eq!(delete("delete deploy till"), Some((None, Propagation::BackgroundAnyway)));
    assert_eq!(delete("delete deploy/till --cascade=foreground --now"), Some((Some(1), Propagation::Foreground)));
    assert_eq!(delete("delete deploy/till --cascade=orphan --grace-period=0"), Some((Some(1), Propagation::Orphan)));
    assert_eq!(delete("delete deploy/till --grace-period=0 --force"), Some((Some(0), Propagation::BackgroundAnyway)));
    assert_eq!(delete("delete deploy -l a=1"), Some((None, Propagation::BackgroundAnyway)));
    assert_eq!(delete("delete deploy -l a=2"), None);
    assert_eq!(delete("delete deploy none --ignore-not-found"), None);
    assert_eq!(delete("delete deploy --field-selector metadata.name!=till"), None);
    assert!(delete("delete deploy,svc --field-selector=metadata.name=till").is_some());
    assert_eq!(bed.asked("delete deploy,svc till").len(), 2, "one that is not there is told by its answer");
    let Command::Do(wrong) = bed.understand("delete deploy --field-selector=spec.paused=true") else {
        panic!("it fails")
    };
    assert!(wrong.failure.is_some_and(|said| said.contains("is not a known field selector")));
}

#[test]
fn reading_changes_nothing_and_the_unknown_is_not_passed_over() {
    let bed = Bed::new();
    for line in ["get pods -o wide", "rollout status deploy/till", "describe node n1", "drain n1 --dry-run=client"] {
        assert!(matches!(bed.understand(line), Command::Nothing), "{line}");
    }
    for line in [
        "create cm a --dry-run=client -o yaml | kubectl apply -f -",
        "apply -f - <<EOF",
        "apply -f till.yaml",
        "rollout restart deploy/till --dry-run=server",
        "label potatoes a b=c",
        "exec till -- ls",
    ] {
        assert!(matches!(bed.understand(line), Command::NotCovered(_)), "{line}");
    }
    let Command::Drain(options) =
        bed.understand("drain n1 --ignore-daemonsets --force --timeout=2m --grace-period=-1 --pod-selector=a=b")
    else {
        panic!("a drain");
    };
    assert!(options.ignore_daemon_sets && options.force && !options.disable_eviction);
    assert_eq!((options.timeout, options.grace), (Some(Span::from_secs(120)), None));
    assert!(options.pods.is_some());
    assert!(matches!(bed.understand("drain n1 --unknown"), Command::NotCovered(_)));
}

#[test]
fn a_job_is_made_by_hand_of_a_cron_job_s_template() {
    let mut bed = Bed::new();
    let template = json!({"metadata": {"labels": {"part": "count"}, "annotations": {"note": "nightly"}},
        "spec": {"template": {"spec": {
            "restartPolicy": "Never", "containers": [{"name": "count", "image": "count:1"}]}}}});
    let body = json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "count"},
        "spec": {"schedule": "5 1 * * *", "jobTemplate": template}});
    let path = Path { namespace: "shop".to_owned(), plural: "cronjobs".to_owned(), ..Path::default() };
    let Outcome::Ask(requests) = edge::translate(&bed.shop.core, "POST", &path, "", &body) else {
        panic!("a creation")
    };
    requests.into_iter().for_each(|request| bed.ask(request));
    assert_eq!(bed.run("create job today --from=cronjob/count"), "");
    let key = ObjectKey::new(Kind::Job, "shop", "today");
    let core = &bed.shop.core;
    let scene = Scene { core, namespace: "shop", pod: &|_| None, manifests: &[], managers: None };
    let (_, job) = shown(&scene, &key).ok().expect("a Job");
    let (meta, owner) = (&job["metadata"], &job["metadata"]["ownerReferences"][0]);
    assert_eq!(
        (meta["labels"]["part"].as_str(), meta["annotations"]["note"].as_str()),
        (Some("count"), Some("nightly"))
    );
    assert_eq!(meta["annotations"]["cronjob.kubernetes.io/instantiate"], "manual");
    assert_eq!((owner["kind"].as_str(), owner["name"].as_str()), (Some("CronJob"), Some("count")));
    assert_eq!((owner["controller"].as_bool(), owner.get("blockOwnerDeletion")), (Some(true), None));
    assert!(bed.run("create job other --from=deploy/till").contains("from must be an existing cronjob"));
    assert!(bed.run("create job other --from=cronjob/count -- date").contains("cannot specify --from and command"));
    assert!(bed.run("create job other").contains("either --image or --from must be specified"));
}
