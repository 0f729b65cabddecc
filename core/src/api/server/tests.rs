//! Who hears of a write, and how.

use std::sync::Arc;

use super::*;
use crate::api::Patch;
use crate::config::Config;
use crate::id::HostId;
use crate::model::{ConditionKind, Meta, Namespace, Object, Phase, PodStatus, ServiceAccount, Status3};
use crate::time::Time;

const KUBELET: ProcId = ProcId::kubelet(HostId(0));

struct Bed {
    api: ApiServer,
    store: Store,
    config: Config,
    out: Vec<Effect>,
    asked: u64,
}

impl Bed {
    /// A kubelet watches the pods of `n1`, of which there is one.
    fn new() -> Bed {
        let (api, store) = (ApiServer::new(), Store::new());
        let mut bed = Bed { api, store, config: Config::default(), out: Vec::new(), asked: 0 };
        bed.api.start(&mut bed.store);
        bed.watch();
        let namespace = Namespace::named("default");
        bed.ask(ProcId::CLIENT, Request::Create(Object::Namespace(Arc::new(namespace))));
        let account = ServiceAccount { meta: Meta::named("default", "default"), ..ServiceAccount::default() };
        bed.ask(ProcId::CLIENT, Request::Create(Object::ServiceAccount(Arc::new(account))));
        let pod = Pod { meta: Meta::named("default", "web").into(), node: Some("n1".into()), ..Pod::default() };
        bed.ask(ProcId::CLIENT, Request::Create(Pod::into_object(Arc::new(pod))));
        assert_eq!(bed.persist(), ["PodChanged"]);
        bed
    }

    fn ask(&mut self, from: ProcId, request: Request) {
        self.asked += 1;
        let Bed { api, store, config, out, asked } = self;
        let mut ctx = Context { now: Time::ZERO, me: ProcId::API_SERVER, config, out };
        api.on_message(&mut ctx, store, from, Msg::Request(RequestId(*asked), Box::new(request)));
    }

    fn watch(&mut self) {
        self.ask(KUBELET, Request::WatchPods { node: "n1".into() });
    }

    fn report(&mut self, phase: Phase) {
        let name = |text: &str| Name::from(text);
        let (_, pod) = self.store.newest().find::<Pod>(&name("default"), &name("web")).expect("the pod is there");
        let status = PodStatus { phase, ..PodStatus::default() }.into();
        let pod = Pod { status, ..Pod::clone(pod) };
        self.ask(KUBELET, Request::UpdateStatus { object: Pod::into_object(Arc::new(pod)), expected: None });
    }

    /// Everything is durable: what the kubelet is told then.
    fn persist(&mut self) -> Vec<&'static str> {
        self.out.clear();
        let head = self.store.head();
        let Bed { api, store, config, out, .. } = self;
        api.on_persisted(&mut Context { now: Time::ZERO, me: ProcId::API_SERVER, config, out }, store, head);
        let told = self.out.iter().filter_map(|effect| match effect {
            Effect::Send { to: KUBELET, body: Msg::PodChanged(_), .. } => Some("PodChanged"),
            Effect::Send { to: KUBELET, body: Msg::Response(_, Ok(_)), .. } => Some("Response"),
            Effect::Send { to: KUBELET, .. } => Some("something else"),
            _ => None,
        });
        told.collect()
    }
}

#[test]
fn a_kubelet_hears_of_its_own_report_by_the_answer_and_of_other_writes_by_its_watch() {
    let mut bed = Bed::new();
    bed.report(Phase::Running);
    assert_eq!(bed.persist(), ["Response"]);
    let (reason, message) = (Name::default(), Name::default());
    let patch = Patch::PodCondition { kind: ConditionKind::DisruptionTarget, status: Status3::True, reason, message };
    let key = ObjectKey::new(Kind::Pod, "default", "web");
    bed.report(Phase::Pending);
    bed.ask(ProcId::CONTROLLER_MANAGER, Request::Patch { key, patch });
    assert_eq!(bed.persist(), ["PodChanged", "Response"], "one for each write");
    bed.report(Phase::Running);
    bed.report(Phase::Running);
    assert_eq!(bed.persist(), ["Response", "Response"], "the second has written nothing");
}

#[test]
fn a_report_made_before_the_kubelet_listed_its_pods_anew_is_news_to_it() {
    let mut bed = Bed::new();
    bed.report(Phase::Running);
    bed.watch();
    assert_eq!(bed.persist(), ["PodChanged", "Response", "Response"]);
}

#[test]
fn a_pod_that_is_removed_by_force_is_marked_by_a_write_of_its_own() {
    let mut bed = Bed::new();
    let before = bed.store.head();
    let key = ObjectKey::new(Kind::Pod, "default", "web");
    let propagation = crate::api::Propagation::Background;
    bed.ask(ProcId::CLIENT, Request::Delete { key, uid: None, grace: Some(crate::time::Span::ZERO), propagation });
    assert_eq!(bed.store.head().0 - before.0, 2);
    let marked = bed.store.newest().at(Revision(before.0 + 1));
    let (_, pod) = marked.find::<Pod>(&Name::from("default"), &Name::from("web")).expect("it is still there");
    assert_eq!((pod.meta.deletion_grace, pod.meta.generation), (Some(crate::time::Span::ZERO), 2));
    assert!(bed.store.newest().find::<Pod>(&Name::from("default"), &Name::from("web")).is_none());
}

#[test]
fn a_dry_run_is_answered_and_leaves_nothing_behind() {
    let (mut bed, mut plain) = (Bed::new(), Bed::new());
    let digest = |bed: &Bed| (bed.store.digest(), bed.store.head());
    let before = digest(&bed);
    let created = |name: &str| {
        let pod = Pod { meta: Meta::named("default", name).into(), ..Pod::default() };
        Request::Create(Pod::into_object(Arc::new(pod)))
    };
    let key = ObjectKey::new(Kind::Pod, "default", "web");
    let propagation = crate::api::Propagation::Background;
    let deletion = Request::Delete { key: key.clone(), uid: None, grace: Some(crate::time::Span::ZERO), propagation };
    let patch = Patch::Label { key: "tier".into(), value: Some("front".into()) };
    let service = Service { meta: Meta::named("default", "till"), ..Service::default() };
    let asked = [
        created("new"),
        created("web"),
        deletion,
        Request::Patch { key, patch },
        Request::Create(Service::into_object(Arc::new(service.clone()))),
    ];
    for request in asked {
        bed.out.clear();
        let is_refused = request == created("web");
        bed.ask(ProcId::CLIENT, Request::DryRun(Box::new(request.clone())));
        let answers = bed.out.iter().map(|effect| match effect {
            Effect::Send { to: ProcId::CLIENT, body: Msg::Response(_, answer), .. } => answer.is_err(),
            other => panic!("{request:?} has another effect than its answer: {other:?}"),
        });
        assert_eq!(answers.collect::<Vec<_>>(), [is_refused], "{request:?}");
        assert_eq!(digest(&bed), before, "{request:?}");
    }
    // What is created afterwards is what it would have been without.
    for bed in [&mut bed, &mut plain] {
        bed.ask(ProcId::CLIENT, created("new"));
        bed.ask(ProcId::CLIENT, Request::Create(Service::into_object(Arc::new(service.clone()))));
    }
    assert_eq!(digest(&bed), digest(&plain));
}
