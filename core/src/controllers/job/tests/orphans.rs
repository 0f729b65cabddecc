//! Pods with the Job's finalizer whose Job will not count them.

use super::*;
use crate::controllers::owned_by;
use crate::id::Uid;
use crate::model::{JOB_TRACKING, OwnerReference, Service};

#[test]
fn a_finalizer_is_taken_off_pods_that_no_job_will_count() {
    // Who manages the pod: nobody, a Job that runs, one that is over, one that is gone, an object of another kind; and
    // whether it manages the pod or only owns it.
    for (owner, manages, freed) in [
        ("nobody", false, true),
        ("running", true, false),
        ("finished", true, true),
        ("elsewhere", true, false),
        ("gone", true, true),
        ("service", true, false),
        ("running", false, true),
        ("service", false, true),
    ] {
        let mut bed = bed(run_on);
        bed.create(Service { meta: Meta::named("default", "s"), ..Service::default() });
        let mut job = job(|spec| {
            // Its own controller would count a pod that is being deleted as failed, and let it go.
            spec.pod_replacement = PodReplacement::Failed;
            spec.suspend = owner != "elsewhere";
            if owner == "elsewhere" {
                spec.managed_by = Some("example.com/other".into());
            }
        });
        job.meta.name = "j".into();
        bed.create(job);
        bed.run_for(Span::from_secs(2));
        if owner == "finished" {
            let mut ended = Job::clone(&read(&bed));
            let conditions = &mut ended.status.conditions;
            conditions.set(ConditionKind::Complete, Status3::True, "", "", Time::ZERO);
            bed.request(Request::UpdateStatus { object: Object::Job(Arc::new(ended)), expected: None });
            bed.run_for(Span::from_secs(2));
        }
        let reference = match owner {
            "nobody" => None,
            "service" => Some(owned_by(Kind::Service, &bed.get::<Service>("default", "s").unwrap().meta)),
            "gone" => Some(owned_by(Kind::Job, &Meta { uid: Uid::new(99), ..Meta::named("default", "never") })),
            _ => Some(owned_by(Kind::Job, &read(&bed).meta)),
        };
        let owners: Vec<OwnerReference> =
            reference.into_iter().map(|owner| OwnerReference { controller: manages, ..owner }).collect();
        let finalizers = [JOB_TRACKING.into(), "example.com/hold".into()].into();
        let labels = read(&bed).spec.selector.match_labels.clone();
        let meta = Meta { owners: owners.into(), finalizers, labels, ..Meta::named("default", "p") };
        bed.create(Pod { meta: meta.into(), node: Some("elsewhere".into()), ..Pod::default() });
        delete(&mut bed, ObjectKey::new(Kind::Pod, "default", "p"), Propagation::Background);
        bed.run_for(Span::from_secs(5));
        let pod = bed.get::<Pod>("default", "p").expect("somebody else holds it");
        assert_eq!(!pod.is_tracked_by_job(), freed, "{owner}, which manages it: {manages}; {:?}", pod.meta.finalizers);
    }
}
