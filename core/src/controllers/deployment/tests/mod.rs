mod identity;
mod ownership;
mod progressing;
mod rolling;
mod scaling;

use super::*;
use crate::api::{Patch, Propagation};
use crate::config::Config;
use crate::digest::Shared;
use crate::facts::What;
use crate::model::{Container, IntOrPercent, Labels, Meta, MetaExtras, PodSpec, PodTemplate, Selector};
use crate::testbed::Testbed;
use crate::time::{Span, Time};

fn bed() -> Testbed {
    let mut bed = Testbed::new(Config::default()).with_binder(&["n1", "n2"]);
    bed.add_node(0, "n1", "a", 8_000, 1 << 34);
    bed.add_node(1, "n2", "b", 8_000, 1 << 34);
    bed
}

fn web(replicas: u32) -> Deployment {
    let labels = Labels::new([("app", "web")]);
    let container = Container { name: "app".into(), image: "app:v1".into(), ..Container::default() };
    let spec = Shared::new(PodSpec { containers: vec![container], ..PodSpec::default() });
    Deployment {
        meta: Meta::named("default", "web"),
        replicas,
        selector: Selector::from_labels(labels.clone()),
        template: PodTemplate { labels, spec, ..PodTemplate::default() },
        revision_history_limit: 10,
        progress_deadline: Some(Span::from_secs(600)),
        ..Deployment::default()
    }
}

fn patch(bed: &mut Testbed, patch: Patch) {
    let key = NamespacedName::new("default".into(), "web".into()).of(Kind::Deployment);
    bed.request(Request::Patch { key, patch });
}

fn image(bed: &mut Testbed, image: &str) {
    patch(bed, Patch::Image { container: "app".into(), image: image.into() });
}

/// A sync of a Deployment over ReplicaSets written `name:size/available@noted`, oldest first, the new one marked `*`.
/// `noted` is the size of the Deployment for which the ReplicaSet was last scaled; without it, that is `before`.
fn plan(deployment: Deployment, before: &Deployment, sets: &str) -> Plan {
    let surge = sets::fenceposts(before).0 as u32;
    let mut plan = Plan {
        now: Time::from_secs(10_000),
        deployment: deployment.into(),
        version: None,
        old: Vec::new(),
        new: None,
        writes: Vec::new(),
        creation: None,
        scaled: Vec::new(),
        settled: None,
        look_again: None,
    };
    for (place, text) in sets.split_whitespace().enumerate() {
        let (text, noted) = text.split_once('@').unwrap_or((text, ""));
        let (name, sizes) = text.split_once(':').expect("a name and a size");
        let (size, available) = sizes.split_once('/').unwrap_or((sizes, "0"));
        let noted: u32 = noted.parse().unwrap_or(before.replicas);
        let annotations = Labels::new([
            ("deployment.kubernetes.io/desired-replicas", noted.to_string()),
            ("deployment.kubernetes.io/max-replicas", (noted + surge).to_string()),
        ]);
        let meta = Meta {
            created_at: Time::from_secs(100 * (place as u64 + 1)),
            extras: MetaExtras { annotations, ..MetaExtras::default() }.into(),
            ..Meta::named("default", name.trim_start_matches('*'))
        };
        let mut set = ReplicaSet { meta, replicas: size.parse().unwrap(), ..ReplicaSet::default() };
        (set.status.replicas, set.status.available) = (set.replicas, available.parse().unwrap());
        let it = sets::Set { set: set.into(), version: None };
        if name.starts_with('*') {
            plan.new = Some(it);
        } else {
            plan.old.push(it);
        }
    }
    plan
}

/// The sizes of a plan's ReplicaSets, written as [`plan`] reads them.
fn sizes_of(plan: &Plan) -> String {
    let old = plan.old.iter().map(|it| format!("{}:{}", it.set.meta.name, it.set.replicas));
    let new = plan.new.iter().map(|it| format!("*{}:{}", it.set.meta.name, it.set.replicas));
    old.chain(new).collect::<Vec<_>>().join(" ")
}

/// A Deployment of so many pods with this surge and unavailability.
fn rolling(replicas: u32, max_surge: u32, max_unavailable: u32) -> Deployment {
    let (max_surge, max_unavailable) = (IntOrPercent::Int(max_surge), IntOrPercent::Int(max_unavailable));
    Deployment { strategy: DeploymentStrategy::RollingUpdate { max_surge, max_unavailable }, ..web(replicas) }
}

/// Pods of this image run but are never ready; the stand-in kubelet goes by the name.
const BROKEN: &str = "app:never-ready";

/// Creations and sizes of ReplicaSets as the recordings write them: `rs1:new>10 rs1:10>8`.
fn steps(bed: &Testbed) -> String {
    let mut names: Vec<&str> = Vec::new();
    let mut steps: Vec<String> = Vec::new();
    for (_, fact) in bed.facts.iter().filter(|(_, fact)| fact.subject.kind == Kind::ReplicaSet) {
        let name = &*fact.subject.name;
        match &fact.what {
            What::Created { .. } => {
                names.push(name);
                steps.push(format!("rs{}:new", names.len()));
            }
            What::Scaled { from, to } => {
                let number = names.iter().position(|known| *known == name).expect("created before") + 1;
                steps.push(format!("rs{number}:{from}>{to}"));
            }
            _ => {}
        }
    }
    steps.join(" ")
}

fn conditions(bed: &Testbed) -> Vec<String> {
    let of_deployment = bed.facts.iter().filter(|(_, fact)| fact.subject.kind == Kind::Deployment);
    let texts = of_deployment.filter_map(|(_, fact)| match &fact.what {
        What::Condition { text } if text.starts_with("Progressing") => Some(text.to_string()),
        _ => None,
    });
    texts.collect()
}

fn sizes(bed: &Testbed) -> Vec<u32> {
    let mut sets: Vec<_> = bed.core.newest().all::<ReplicaSet>().map(|(_, set)| set.clone()).collect();
    sets.sort_by_key(|set| set.meta.created_at);
    sets.iter().map(|set| set.replicas).collect()
}

fn deployment(bed: &Testbed) -> Arc<Deployment> {
    bed.get::<Deployment>("default", "web").unwrap()
}

#[test]
fn a_rolling_update_takes_the_recorded_steps() {
    let mut bed = bed();
    bed.create(web(10));
    bed.run_for(Span::from_secs(10));
    image(&mut bed, "app:v2");
    bed.run_for(Span::from_secs(30));
    let steps = steps(&bed);
    // Recorded: deploy-ru-default. The later steps depend on how many pods become ready between two syncs.
    assert!(steps.starts_with("rs1:new rs2:new rs1:10>8 rs2:3>5 rs1:8>7 rs2:5>6 rs1:7>"), "{steps}");
    assert!(steps.ends_with(">0"), "{steps}");
    assert_eq!(sizes(&bed), [0, 10]);
    assert_eq!(
        conditions(&bed),
        [
            "Progressing=True (NewReplicaSetCreated)",
            "Progressing=True (ReplicaSetUpdated)",
            "Progressing=True (NewReplicaSetAvailable)",
            "Progressing=True (NewReplicaSetCreated)",
            "Progressing=True (ReplicaSetUpdated)",
            "Progressing=True (NewReplicaSetAvailable)",
        ]
    );
    let deployment = deployment(&bed);
    let status = &deployment.status;
    assert_eq!(
        (status.replicas, status.updated, status.ready, status.available, status.unavailable),
        (10, 10, 10, 10, 0)
    );
    assert_eq!(deployment.meta.annotations.get("deployment.kubernetes.io/revision").unwrap(), "2");
}

#[test]
fn a_rolling_update_never_has_too_many_or_too_few_pods() {
    let mut bed = bed();
    bed.create(web(10));
    bed.run_for(Span::from_secs(10));
    image(&mut bed, "app:v2");
    for _ in 0..300 {
        bed.run_for(Span::from_millis(100));
        let pods: Vec<_> = bed.core.newest().all::<Pod>().map(|(_, pod)| pod.clone()).collect();
        let active = pods.iter().filter(|pod| pod.is_active()).count();
        let ready = pods.iter().filter(|pod| pod.is_active() && pod.is_ready()).count();
        assert!(active <= 13, "{active} active pods at {}", bed.now());
        assert!(ready >= 8, "{ready} ready pods at {}", bed.now());
    }
    assert_eq!(sizes(&bed), [0, 10]);
}

#[test]
fn scaling_in_mid_rollout_is_proportional_as_recorded() {
    let mut bed = bed();
    bed.create(web(10));
    bed.run_for(Span::from_secs(10));
    image(&mut bed, BROKEN);
    bed.run_for(Span::from_secs(10));
    assert_eq!(sizes(&bed), [8, 5]);
    patch(&mut bed, Patch::Replicas(20));
    bed.run_for(Span::from_secs(10));
    patch(&mut bed, Patch::Replicas(12));
    bed.run_for(Span::from_secs(10));
    // Recorded: deploy-scale-mid, up to the scaling to 12.
    let expected = "rs1:new rs2:new rs1:10>8 rs2:3>5 rs1:8>15 rs2:5>10 rs1:15>9 rs2:10>6";
    assert_eq!(steps(&bed), expected);
    image(&mut bed, "app:v3");
    bed.run_for(Span::from_secs(10));
    let steps = steps(&bed);
    assert!(
        steps.starts_with(&format!("{expected} rs3:new rs2:6>0 rs3:0>6 rs1:9>8")),
        "the stuck pods go first: {steps}"
    );
}

#[test]
fn recreate_waits_until_the_last_old_pod_is_gone() {
    let mut bed = bed();
    bed.create(Deployment { strategy: DeploymentStrategy::Recreate, ..web(10) });
    bed.run_for(Span::from_secs(10));
    image(&mut bed, "app:v2");
    bed.run_for(Span::from_secs(30));
    // Recorded: deploy-recreate.
    assert_eq!(steps(&bed), "rs1:new rs1:10>0 rs2:new");
    let at = |wanted: &dyn Fn(&crate::facts::Fact) -> bool| -> Vec<Time> {
        bed.facts.iter().filter(|(_, fact)| wanted(fact)).map(|(at, _)| *at).collect()
    };
    let gone = at(&|fact| fact.subject.kind == Kind::Pod && fact.what == What::Deleted);
    let created = at(&|fact| fact.subject.kind == Kind::ReplicaSet && matches!(fact.what, What::Created { .. }));
    assert_eq!(gone.len(), 10);
    assert!(created[1] >= *gone.iter().max().unwrap());
    assert_eq!(sizes(&bed), [0, 10]);
}

#[test]
fn a_stalled_rollout_is_said_to_have_failed_and_going_back_removes_the_bad_pods_first() {
    let mut bed = bed();
    bed.create(Deployment { progress_deadline: Some(Span::from_secs(30)), ..web(10) });
    bed.run_for(Span::from_secs(10));
    image(&mut bed, BROKEN);
    bed.run_for(Span::from_secs(29));
    assert_eq!(conditions(&bed).last().unwrap(), "Progressing=True (ReplicaSetUpdated)");
    bed.run_for(Span::from_secs(6));
    assert_eq!(conditions(&bed).last().unwrap(), "Progressing=False (ProgressDeadlineExceeded)");
    assert_eq!(sizes(&bed), [8, 5]);
    image(&mut bed, "app:v1");
    bed.run_for(Span::from_secs(10));
    // Recorded: deploy-stall.
    assert_eq!(steps(&bed), "rs1:new rs2:new rs1:10>8 rs2:3>5 rs2:5>0 rs1:8>10");
    let revision = deployment(&bed).meta.annotations.get("deployment.kubernetes.io/revision").cloned().unwrap();
    assert_eq!(&*revision, "3", "a rollback is a new revision of the old ReplicaSet");
}

#[test]
fn a_paused_deployment_creates_no_replica_set_until_it_is_resumed() {
    let mut bed = bed();
    bed.create(web(4));
    bed.run_for(Span::from_secs(10));
    patch(&mut bed, Patch::Paused(true));
    image(&mut bed, "app:v2");
    bed.run_for(Span::from_secs(10));
    assert_eq!(steps(&bed), "rs1:new");
    assert_eq!(conditions(&bed).last().unwrap(), "Progressing=Unknown (DeploymentPaused)");
    patch(&mut bed, Patch::Replicas(6));
    bed.run_for(Span::from_secs(10));
    assert_eq!(steps(&bed), "rs1:new rs1:4>6", "a paused Deployment can be scaled");
    patch(&mut bed, Patch::Paused(false));
    bed.run_for(Span::from_secs(30));
    assert_eq!(sizes(&bed), [0, 6]);
    let conditions = conditions(&bed);
    let resumed = conditions.iter().position(|text| text.contains("DeploymentResumed")).unwrap();
    // Recorded: deploy-pause-resume. The sync that resumes also creates the ReplicaSet; its second status meets a
    // conflict.
    assert_eq!(conditions[resumed + 1], "Progressing=True (ReplicaSetUpdated)", "{conditions:?}");
    assert_eq!(conditions.last().unwrap(), "Progressing=True (NewReplicaSetAvailable)");
}

#[test]
fn old_replica_sets_beyond_the_history_are_removed() {
    let mut bed = bed();
    bed.create(Deployment { revision_history_limit: 2, ..web(2) });
    for version in 1..=5 {
        image(&mut bed, &format!("app:v{version}"));
        bed.run_for(Span::from_secs(20));
    }
    assert_eq!(sizes(&bed), [0, 0, 2]);
}

#[test]
fn a_taken_name_counts_as_a_collision_and_gets_another_hash() {
    let mut bed = bed();
    let mut wanted = web(2);
    wanted.meta.uid = crate::id::Uid::new(1);
    let taken = ReplicaSet {
        selector: Selector::from_labels(Labels::new([("app", "other")])),
        replicas: 0,
        ..sets::make_new(&wanted)
    };
    let meta = Meta { owners: [].into(), labels: Labels::default(), ..taken.meta.clone() };
    bed.create(ReplicaSet { meta, template: PodTemplate::default(), ..taken });
    bed.create(web(2));
    bed.run_for(Span::from_secs(10));
    assert_eq!(deployment(&bed).status.collision_count, 1);
    assert_eq!(deployment(&bed).status.available, 2);
}

#[test]
fn a_replica_set_of_the_same_template_is_adopted() {
    let mut bed = bed();
    bed.create(web(3));
    bed.run_for(Span::from_secs(10));
    let key = NamespacedName::new("default".into(), "web".into()).of(Kind::Deployment);
    bed.request(Request::Delete { key, uid: None, grace: None, propagation: Propagation::Orphan });
    bed.run_for(Span::from_secs(5));
    assert!(bed.get::<Deployment>("default", "web").is_none());
    assert_eq!(sizes(&bed), [3], "an orphan stays");
    bed.create(web(3));
    bed.run_for(Span::from_secs(10));
    assert_eq!(sizes(&bed), [3]);
    assert_eq!(conditions(&bed).last().unwrap(), "Progressing=True (NewReplicaSetAvailable)");
}

#[test]
fn surge_and_unavailability_are_rounded_apart_and_never_both_zero() {
    let posts = |replicas, max_surge, max_unavailable| {
        sets::fenceposts(&Deployment {
            strategy: DeploymentStrategy::RollingUpdate { max_surge, max_unavailable },
            ..web(replicas)
        })
    };
    let percent = IntOrPercent::Percent;
    assert_eq!(posts(10, percent(25), percent(25)), (3, 2));
    assert_eq!(posts(3, percent(25), percent(25)), (1, 0));
    assert_eq!(posts(3, IntOrPercent::Int(0), percent(25)), (0, 1));
    assert_eq!(posts(2, IntOrPercent::Int(0), IntOrPercent::Int(5)), (0, 2));
    assert_eq!(posts(0, percent(25), percent(25)), (0, 0));
}

#[test]
fn a_controller_manager_that_is_restarted_in_mid_rollout_goes_on_where_it_was() {
    use crate::id::ProcId;
    use crate::seam::Input;
    let mut bed = bed();
    bed.create(web(10));
    bed.run_for(Span::from_secs(10));
    image(&mut bed, "app:v2");
    for _ in 0..8 {
        bed.run_for(Span::from_millis(700));
        bed.input(Input::Crashed(ProcId::CONTROLLER_MANAGER));
        bed.run_for(Span::from_millis(300));
        bed.input(Input::Started(ProcId::CONTROLLER_MANAGER));
    }
    bed.run_for(Span::from_secs(30));
    assert_eq!(sizes(&bed), [0, 10]);
    assert_eq!(deployment(&bed).status.available, 10);
    assert_eq!(bed.core.newest().all::<Pod>().count(), 10);
}

#[test]
fn every_change_of_size_and_every_pod_is_said_as_an_event() {
    let mut bed = bed();
    bed.create(web(2));
    bed.run_for(Span::from_secs(10));
    image(&mut bed, "app:v2");
    bed.run_for(Span::from_secs(30));
    let sets: Vec<_> = bed.core.newest().all::<ReplicaSet>().map(|(_, set)| set.clone()).collect();
    let name = |size: u32| sets.iter().find(|set| set.replicas == size).expect("one of each").meta.name.clone();
    let (old, new) = (name(0), name(2));
    let said: Vec<String> = bed.events(Kind::Deployment, "web");
    let said: Vec<&str> = said.iter().filter_map(|line| line.split_once("x1: ").map(|(_, message)| message)).collect();
    assert_eq!(
        said,
        [
            format!("Scaled up replica set {old} from 0 to 2"),
            format!("Scaled up replica set {new} from 0 to 1"),
            format!("Scaled down replica set {old} from 2 to 1"),
            format!("Scaled up replica set {new} from 1 to 2"),
            format!("Scaled down replica set {old} from 1 to 0"),
        ]
    );
    let of_old: Vec<String> = bed.events(Kind::ReplicaSet, &old);
    assert_eq!(of_old.iter().filter(|line| line.contains("SuccessfulCreate x1: Created pod: web-")).count(), 2);
    assert_eq!(of_old.iter().filter(|line| line.contains("SuccessfulDelete x1: Deleted pod: web-")).count(), 2);
}
