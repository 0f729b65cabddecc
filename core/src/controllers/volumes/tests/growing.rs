//! Claims that grow.

use super::*;

/// A bed in which a claim has a volume of 1Gi and nobody uses it yet.
fn with_data(mode: VolumeMode) -> Testbed {
    let mut bed = bed();
    bed.create(StorageClass { allows_expansion: true, ..class("growing", BindingMode::Immediate) });
    let mut data = claim("data", "growing", "1Gi");
    data.spec.mode = mode;
    bed.create(data);
    bed.run_for(Span::from_secs(10));
    bed
}

/// Asks for another size; what the API server says to it.
fn grow(bed: &mut Testbed, name: &str, size: &str) -> String {
    let mut changed = PersistentVolumeClaim::clone(&bed.get("default", name).expect("the claim is there"));
    changed.spec.request = size.parse().expect("a quantity");
    bed.ask(Request::Update { object: Object::PersistentVolumeClaim(Arc::new(changed)), expected: None })
}

fn size(bed: &Testbed) -> (String, Vec<ConditionKind>) {
    let claim = bed.get::<PersistentVolumeClaim>("default", "data").expect("the claim is there");
    let conditions = claim.status.conditions.iter().map(|condition| condition.kind).collect();
    (claim.status.capacity.map(|it| it.to_string()).unwrap_or_default(), conditions)
}

#[test]
fn a_claim_grows_when_the_driver_and_then_the_node_have_done_their_part() {
    let mut bed = with_data(VolumeMode::Filesystem);
    assert_eq!(grow(&mut bed, "data", "2Gi"), "");
    bed.run_for(Span::from_secs(2));
    assert_eq!(size(&bed), ("1Gi".to_owned(), vec![ConditionKind::Resizing]));
    bed.run_for(Span::from_secs(5));
    assert_eq!(size(&bed), ("1Gi".to_owned(), vec![ConditionKind::FileSystemResizePending]));
    let volume = bed.get::<PersistentVolumeClaim>("default", "data").unwrap().spec.volume.clone();
    assert_eq!(bed.get::<PersistentVolume>("", &volume).unwrap().capacity.to_string(), "2Gi");
    bed.run_for(Span::from_secs(300));
    assert_eq!(size(&bed).0, "1Gi", "no pod has mounted it");
    let said = bed.events(Kind::PersistentVolumeClaim, "data").join("\n");
    for words in [
        "ExternalExpanding x1: waiting for an external controller to expand this PVC",
        "Resizing x1: External resizer is resizing volume pvc-",
        "FileSystemResizeRequired x1: Require file system resize of volume on node",
    ] {
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn a_pod_that_mounts_a_grown_volume_finishes_it() {
    let stand_in =
        crate::testbed::StandIn { start: Span::from_secs(1), ready: Span::from_secs(1), term: Span::from_secs(1) };
    let mut bed = with_data(VolumeMode::Filesystem).with_stand_in(stand_in);
    grow(&mut bed, "data", "2Gi");
    bed.run_for(Span::from_secs(10));
    let volumes = vec![PodVolume {
        name: "data".into(),
        source: PodVolumeSource::Claim { name: "data".into(), read_only: false },
    }];
    let spec = Shared::new(PodSpec { volumes, ..PodSpec::default() });
    bed.create(Pod { meta: Meta::named("default", "user").into(), spec, ..Pod::default() });
    bed.run_for(Span::from_secs(10));
    assert_eq!(size(&bed), ("2Gi".to_owned(), vec![]), "{:#?}", bed.told());
    let said = bed.events(Kind::Pod, "user").join("\n");
    assert!(
        said.contains("FileSystemResizeSuccessful x1: MountVolume.NodeExpandVolume succeeded for volume"),
        "{said}"
    );
    // While a pod uses it, the kubelet sees it within a minute.
    assert_eq!(grow(&mut bed, "data", "3Gi"), "");
    bed.run_for(Span::from_secs(70));
    assert_eq!(size(&bed), ("3Gi".to_owned(), vec![]));
}

#[test]
fn a_raw_block_device_needs_no_node() {
    let mut bed = with_data(VolumeMode::Block);
    grow(&mut bed, "data", "2Gi");
    bed.run_for(Span::from_secs(10));
    assert_eq!(size(&bed), ("2Gi".to_owned(), vec![]));
    let said = bed.events(Kind::PersistentVolumeClaim, "data").join("\n");
    assert!(said.contains("VolumeResizeSuccessful x1: Resize volume succeeded"), "{said}");
}

#[test]
fn growth_is_refused_without_a_class_that_allows_it_and_a_claim_does_not_shrink() {
    let mut bed = with_data(VolumeMode::Filesystem);
    bed.create(class("fixed", BindingMode::Immediate));
    bed.create(claim("other", "fixed", "1Gi"));
    bed.run_for(Span::from_secs(10));
    assert_eq!(
        grow(&mut bed, "other", "2Gi"),
        "persistentvolumeclaims \"other\" is forbidden: only dynamically provisioned pvc can be resized and the \
         storageclass that provisions the pvc must support resize"
    );
    let shrunk = grow(&mut bed, "data", "512Mi");
    assert!(shrunk.ends_with("storage: Forbidden: field can not be less than status.capacity"), "{shrunk}");
}

#[test]
fn growth_is_charged_to_the_quota() {
    let mut bed = with_data(VolumeMode::Filesystem);
    let hard = crate::model::Amounts::from([("requests.storage".into(), "1536Mi".parse().expect("a quantity"))]);
    bed.create(crate::model::ResourceQuota { meta: Meta::named("default", "q"), hard, ..Default::default() });
    bed.run_for(Span::from_secs(10));
    let found = grow(&mut bed, "data", "2Gi");
    let expected = "exceeded quota: q, requested: requests.storage=1Gi, used: requests.storage=1Gi, limited: \
                    requests.storage=1536Mi";
    assert!(found.ends_with(expected), "{found}");
    assert_eq!(grow(&mut bed, "data", "1280Mi"), "");
}

#[test]
fn a_volume_that_no_driver_here_enlarges_is_said_to_wait_for_somebody_else() {
    let mut bed = bed();
    bed.create(StorageClass { allows_expansion: true, ..class("shelf", BindingMode::Immediate) });
    bed.create(volume("shelf-1", "shelf", "1Gi"));
    bed.run_for(Span::from_secs(2));
    bed.create(claim("data", "shelf", "1Gi"));
    bed.run_for(Span::from_secs(5));
    assert_eq!(grow(&mut bed, "data", "2Gi"), "");
    bed.run_for(Span::from_secs(60));
    let said = bed.events(Kind::PersistentVolumeClaim, "data").join("\n");
    assert!(said.contains("ExternalExpanding x1: waiting for an external controller to expand this PVC"), "{said}");
    assert!(!said.contains("Resizing"), "{said}");
}
