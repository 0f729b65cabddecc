//! Ways back.

use wavetank_core::model::{ControllerRevision, OwnerReference, PodTemplate, StatefulSet};

use super::*;

impl Bed {
    fn ledger(&self) -> StatefulSet {
        let (_, set) =
            self.shop.core.newest().find::<StatefulSet>(&"shop".into(), &"ledger".into()).expect("it is there");
        StatefulSet::clone(set)
    }

    /// A revision that its controller noted.
    fn noted(&mut self, number: u64, template: PodTemplate) {
        let name = "ledger".into();
        let uid = self.ledger().meta.uid;
        let owner = OwnerReference { kind: Kind::StatefulSet, name, uid, controller: true, block_owner_deletion: true };
        let meta = Meta { owners: [owner].into(), ..Meta::named("shop", &format!("ledger-{number}")) };
        let revision = ControllerRevision { meta, revision: number, template };
        self.ask(Request::Create(Object::ControllerRevision(revision.into())));
    }
}

#[test]
fn a_stateful_set_goes_back_to_the_revision_that_is_named() {
    let mut bed = Bed::new();
    let body = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "ledger"},
        "spec": {"serviceName": "ledger", "selector": {"matchLabels": {"part": "ledger"}},
            "template": {"metadata": {"labels": {"part": "ledger"}},
                "spec": {"containers": [{"name": "ledger", "image": "ledger:1"}]}}}});
    let path = Path { namespace: "shop".to_owned(), plural: "statefulsets".to_owned(), ..Path::default() };
    let Outcome::Ask(requests) = edge::translate(&bed.shop.core, "POST", &path, "", &body) else {
        panic!("a creation")
    };
    requests.into_iter().for_each(|request| bed.ask(request));
    for number in 1..4 {
        assert_eq!(bed.run(&format!("set image sts/ledger ledger=ledger:{number}")), "");
        bed.noted(number, bed.ledger().template);
    }
    assert_eq!(bed.run("rollout undo sts/ledger --to-revision=1"), "");
    assert_eq!(&*bed.ledger().template.spec.containers[0].image, "ledger:1");
    let generation = bed.ledger().meta.generation;
    assert_eq!(bed.run("rollout undo statefulset ledger --to-revision=1"), "", "it is skipped");
    assert_eq!(bed.ledger().meta.generation, generation);
    assert_eq!(bed.run("rollout undo sts/ledger --to-revision=9"), "unable to find specified revision 9 in history");
    assert_eq!(bed.run("rollout undo sts/ledger --to-revision=-1"), "revision must be a positive integer: -1");
    assert_eq!(bed.run("rollout undo sts/ledger --dry-run=server"), "");
    assert_eq!(&*bed.ledger().template.spec.containers[0].image, "ledger:1", "it was only tried");
    assert_eq!(bed.run("delete sts ledger --dry-run=server"), "");
    assert!(!takes_time("delete sts ledger --dry-run=server") && takes_time("delete sts ledger"));
    assert!(!bed.ledger().meta.is_terminating(), "nor is that stored");
    assert_eq!(bed.run("rollout undo sts/ledger"), "");
    assert_eq!(&*bed.ledger().template.spec.containers[0].image, "ledger:2", "the one before the newest");
}
