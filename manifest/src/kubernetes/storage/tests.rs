use serde_json::Value;
use wavetank_core::id::Revision;
use wavetank_core::model::{EmptyDir, Object, PodVolumeSource};

use crate::kubernetes::{
    Unmodelled, apply_defaults, read_admitted, read_manifests, to_json, to_object, unmodelled_fields, validate,
};

/// The API server's message for a manifest of one object, or nothing if it is accepted.
fn refusal(text: &str) -> String {
    let mut objects = read_manifests("a.yaml", text).unwrap_or_else(|errors| panic!("{}", errors.render(text)));
    let object = &mut objects[0].value;
    apply_defaults(object);
    validate(object).map_or_else(|invalid| invalid.to_string(), |()| String::new())
}

fn claim(spec: &str) -> String {
    let text = format!("{{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {{name: c}}, spec: {{{spec}}}}}");
    refusal(&text).replace("PersistentVolumeClaim \"c\" is invalid: ", "")
}

fn volume(spec: &str) -> String {
    let text = format!("{{apiVersion: v1, kind: PersistentVolume, metadata: {{name: v}}, spec: {{{spec}}}}}");
    refusal(&text).replace("PersistentVolume \"v\" is invalid: ", "")
}

const SIZE: &str = "resources: {requests: {storage: 1Gi}}";

#[test]
fn claims_are_checked_field_by_field() {
    assert_eq!(claim(&format!("accessModes: [ReadWriteOnce], {SIZE}")), "");
    for (spec, expected) in [
        (SIZE.to_owned(), "spec.accessModes: Required value: at least 1 access mode is required"),
        ("accessModes: [ReadWriteOnce]".to_owned(), "spec.resources[storage]: Required value"),
        (
            format!("accessModes: [WriteOnly], {SIZE}"),
            "spec.accessModes: Unsupported value: \"WriteOnly\": supported values: \"ReadOnlyMany\", \
             \"ReadWriteMany\", \"ReadWriteOnce\", \"ReadWriteOncePod\"",
        ),
        (
            format!("accessModes: [ReadWriteOncePod, ReadWriteOnce], {SIZE}"),
            "spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes",
        ),
        (
            "accessModes: [ReadWriteOnce], resources: {requests: {storage: '0'}}".to_owned(),
            "spec.resources[storage]: Invalid value: \"0\": must be greater than zero",
        ),
        (
            format!("accessModes: [ReadWriteOnce], volumeMode: Tape, {SIZE}"),
            "spec.volumeMode: Unsupported value: \"Tape\": supported values: \"Block\", \"Filesystem\"",
        ),
    ] {
        assert_eq!(claim(&spec), expected, "{spec}");
    }
}

#[test]
fn volumes_are_checked_field_by_field() {
    let sound = "accessModes: [ReadWriteOnce], capacity: {storage: 1Gi}";
    assert_eq!(volume(&format!("{sound}, hostPath: {{path: /d}}")), "");
    for (spec, expected) in [
        (sound.to_owned(), "spec: Required value: must specify a volume type"),
        (
            "hostPath: {path: /d}".to_owned(),
            "[spec.accessModes: Required value, spec.capacity: Required value, spec.capacity: Unsupported value: null: \
             supported values: \"storage\"]",
        ),
        (
            format!("{sound}, hostPath: {{path: /d}}, nfs: {{server: s, path: /}}"),
            "spec.nfs: Forbidden: may not specify more than 1 volume type",
        ),
        (
            format!("{sound}, local: {{path: /d/../e}}"),
            "[spec.local.path: Invalid value: \"/d/../e\": must not contain '..', spec.nodeAffinity: Required value: \
             Local volume requires node affinity]",
        ),
        (format!("{sound}, csi: {{driver: d, volumeHandle: ''}}"), "spec.csi.volumeHandle: Required value"),
        (
            format!("{sound}, hostPath: {{path: /.}}, persistentVolumeReclaimPolicy: Recycle"),
            "spec.persistentVolumeReclaimPolicy: Forbidden: may not be 'recycle' for a hostPath mount of '/'",
        ),
        (
            format!("{sound}, hostPath: {{path: /d}}, nodeAffinity: {{required: {{nodeSelectorTerms: []}}}}"),
            "spec.nodeAffinity.required.nodeSelectorTerms: Required value: must have at least one node selector term",
        ),
    ] {
        assert_eq!(volume(&spec), expected, "{spec}");
    }
}

#[test]
fn classes_and_what_drivers_write_are_checked() {
    let of = |kind: &str, rest: &str| {
        refusal(&format!("{{apiVersion: storage.k8s.io/v1, kind: {kind}, metadata: {{name: x}}, {rest}}}"))
    };
    assert_eq!(of("StorageClass", "provisioner: csi.example.com"), "");
    assert_eq!(
        of("StorageClass", "provisioner: a, reclaimPolicy: Recycle, volumeBindingMode: Later"),
        "StorageClass.storage.k8s.io \"x\" is invalid: [reclaimPolicy: Unsupported value: \"Recycle\": supported \
         values: \"Delete\", \"Retain\", volumeBindingMode: Unsupported value: \"Later\": supported values: \
         \"Immediate\", \"WaitForFirstConsumer\"]"
    );
    assert_eq!(
        of("CSINode", "spec: {drivers: [{name: a, nodeID: n1}, {name: a, nodeID: '', allocatable: {count: -1}}]}"),
        "CSINode.storage.k8s.io \"x\" is invalid: [spec.drivers[1].nodeID: Required value, \
         spec.drivers[1].allocatable.count: Invalid value: -1: must be greater than or equal to 0, \
         spec.drivers[1].name: Duplicate value: \"a\"]"
    );
    assert_eq!(
        of("VolumeAttachment", "spec: {attacher: a, nodeName: n1, source: {}}"),
        "VolumeAttachment.storage.k8s.io \"x\" is invalid: spec.source: Required value: must specify exactly one of \
         inlineVolumeSpec and persistentVolumeName"
    );
    assert_eq!(of("CSIDriver", "spec: {attachRequired: false}"), "");
    assert_eq!(of("CSIStorageCapacity", "storageClassName: fast, capacity: 1Gi, nodeTopology: {}"), "");
}

#[test]
fn pods_name_their_claims_and_templates_of_claims_are_checked() {
    let pod = |volume: &str| {
        let text = format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: p}}, spec: {{containers: [{{name: c, image: i}}], volumes: \
             [{{name: d, {volume}}}]}}}}"
        );
        refusal(&text).replace("Pod \"p\" is invalid: ", "")
    };
    assert_eq!(
        pod("persistentVolumeClaim: {claimName: ''}"),
        "spec.volumes[0].persistentVolumeClaim.claimName: Required value"
    );
    assert_eq!(
        pod("emptyDir: {}, secret: {secretName: s}"),
        "spec.volumes[0].secret: Forbidden: may not specify more than 1 volume type"
    );
    assert_eq!(pod("ephemeral: {}"), "spec.volumes[0].ephemeral.volumeClaimTemplate: Required value");
    assert_eq!(
        pod("ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce]}}}"),
        "spec.volumes[0].ephemeral.volumeClaimTemplate.spec.resources[storage]: Required value"
    );
}

#[test]
fn a_volume_comes_back_as_it_was_applied_with_its_defaults() {
    let text = "
apiVersion: v1
kind: PersistentVolume
metadata: {name: v, labels: {tier: fast}}
spec:
  capacity: {storage: 1536Mi}
  accessModes: [ReadWriteOnce]
  storageClassName: fast
  mountOptions: [noatime]
  claimRef: {namespace: default, name: data, uid: 6b1e7a0e-5f0c-4f0e-8a57-0242ac120002}
  csi: {driver: csi.example.com, volumeHandle: h1, fsType: xfs}
  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: zone, operator: In, values: [a]}]}]}}
";
    let objects = read_admitted("v.yaml", text).unwrap_or_else(|errors| panic!("{}", errors.render(text)));
    assert_eq!(unmodelled_fields(&objects[0]), [("spec.mountOptions".to_owned(), Unmodelled::Everywhere)]);
    let object = to_object(&objects[0]).expect("a volume is for users to write");
    let Object::PersistentVolume(volume) = &object else { panic!("{object:?}") };
    assert_eq!(volume.source.csi(), Some(("csi.example.com".into(), "h1".into())));
    let shown = to_json(&object, Revision(3), 0);
    assert_eq!(shown["spec"]["capacity"]["storage"], "1536Mi");
    assert_eq!(shown["spec"]["persistentVolumeReclaimPolicy"], "Retain");
    assert_eq!(shown["spec"]["claimRef"]["uid"], "6b1e7a0e-5f0c-4f0e-8a57-0242ac120002");
    assert_eq!(shown["spec"]["csi"]["fsType"], "xfs");
    assert_eq!(shown["spec"]["mountOptions"][0], "noatime");
    assert_eq!(shown["status"]["phase"], "Pending");
    assert_eq!(shown["spec"]["volumeName"], Value::Null);
}

#[test]
fn the_volumes_of_a_pod_reach_the_core() {
    let text = "
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  containers: [{name: c, image: i}]
  volumes:
  - {name: a, persistentVolumeClaim: {claimName: data}}
  - name: b
    ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}}
  - {name: c, emptyDir: {}}
";
    let objects = read_admitted("p.yaml", text).unwrap_or_else(|errors| panic!("{}", errors.render(text)));
    let object = to_object(&objects[0]).expect("a pod is for users to write");
    let Object::Pod(pod) = &object else { panic!("{object:?}") };
    let claims: Vec<_> = pod.claims().map(|(name, owned)| (name.to_string(), owned)).collect();
    assert_eq!(claims, [("data".to_owned(), false), ("p-b".to_owned(), true)]);
    assert_eq!(pod.spec.volumes[2].source, PodVolumeSource::EmptyDir(EmptyDir::default()));
}
