//! StatefulSets and DaemonSets: defaults, the API server's refusals, the way into the core and back.

use wavetank_core::id::Revision;
use wavetank_core::model::{DaemonSetStrategy, IntOrPercent, Object, PodManagement, StatefulSetStrategy};
use wavetank_manifest::kubernetes::{
    apply_defaults, read_admitted, read_manifests, to_json, to_object, unmodelled_fields, validate,
};

const TEMPLATE: &str = "{metadata: {labels: {app: x}}, spec: {containers: [{name: c, image: a}]}}";

/// What the API server says of an object of this kind with these fields in its spec; nothing if it takes it.
fn refusal(kind: &str, spec: &str) -> String {
    let text = format!(
        "{{apiVersion: apps/v1, kind: {kind}, metadata: {{name: s}}, \
         spec: {{selector: {{matchLabels: {{app: x}}}}, template: {TEMPLATE}, {spec}}}}}"
    );
    let mut object = read_manifests("s.yaml", &text).expect("the object can be read").remove(0).value;
    apply_defaults(&mut object);
    validate(&object).err().map(|invalid| invalid.to_string()).unwrap_or_default()
}

#[test]
fn a_stateful_set_is_refused_in_the_api_servers_words() {
    let refused = |spec: &str| refusal("StatefulSet", spec).replace("StatefulSet.apps \"s\" is invalid: ", "");
    assert_eq!(refused("replicas: 3"), "");
    assert_eq!(
        refused("podManagementPolicy: Fast"),
        "spec.podManagementPolicy: Invalid value: \"Fast\": must be 'OrderedReady' or 'Parallel'"
    );
    assert_eq!(
        refused("updateStrategy: {type: OnDelete, rollingUpdate: {partition: 2}}"),
        "spec.updateStrategy.rollingUpdate: Invalid value: {\"Partition\":2,\"MaxUnavailable\":null}: \
         only allowed for updateStrategy 'RollingUpdate'"
    );
    assert_eq!(
        refused("updateStrategy: {type: Recreate}"),
        "spec.updateStrategy: Invalid value: {\"Type\":\"Recreate\",\"RollingUpdate\":null}: \
         must be 'RollingUpdate' or 'OnDelete'"
    );
    assert_eq!(
        refused("updateStrategy: {rollingUpdate: {partition: -1}}"),
        "spec.updateStrategy.rollingUpdate.partition: Invalid value: -1: must be greater than or equal to 0"
    );
    assert_eq!(
        refused("persistentVolumeClaimRetentionPolicy: {whenScaled: Keep}"),
        "spec.persistentVolumeClaimRetentionPolicy.whenScaled: Unsupported value: \"Keep\": \
         supported values: \"Retain\", \"Delete\""
    );
    assert_eq!(
        refused("ordinals: {start: -3}"),
        "spec.ordinals.start: Invalid value: -3: must be greater than or equal to 0"
    );
    assert!(refused("serviceName: Not_A_Label").starts_with("spec.serviceName: Invalid value: \"Not_A_Label\": "));
    assert_eq!(
        refused("volumeClaimTemplates: [{metadata: {name: d}, spec: {accessModes: [ReadWriteOnce]}}]"),
        "spec.volumeClaimTemplates[0].spec.resources[storage]: Required value"
    );
    assert_eq!(refused("revisionHistoryLimit: -1"), "", "a negative limit keeps all revisions");
}

#[test]
fn a_daemon_set_is_refused_in_the_api_servers_words() {
    let refused = |spec: &str| refusal("DaemonSet", spec).replace("DaemonSet.apps \"s\" is invalid: ", "");
    assert_eq!(refused("minReadySeconds: 5"), "");
    let rolling = |update: &str| refused(&format!("updateStrategy: {{rollingUpdate: {{{update}}}}}"));
    // Recorded: bad-input.
    assert_eq!(
        rolling("maxUnavailable: 0"),
        "spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0"
    );
    assert_eq!(
        rolling("maxUnavailable: 1, maxSurge: 10%"),
        "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: \"10%\": may not be set when maxUnavailable is \
         non-zero"
    );
    assert_eq!(
        rolling("maxUnavailable: 0, maxSurge: 101%"),
        "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: \"101%\": must not be greater than 100%"
    );
    assert_eq!(
        refused("updateStrategy: {type: Fast}"),
        "spec.updateStrategy: Unsupported value: {\"Type\":\"Fast\",\"RollingUpdate\":null}: \
         supported values: \"RollingUpdate\", \"OnDelete\""
    );
    assert_eq!(
        refused("revisionHistoryLimit: -1"),
        "spec.revisionHistoryLimit: Invalid value: -1: must be greater than or equal to 0"
    );
}

#[test]
fn a_stateful_set_goes_into_the_core_and_comes_back_with_its_defaults() {
    let text = "
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  ordinals: {start: 2}
  updateStrategy: {rollingUpdate: {partition: 1, maxUnavailable: 2}}
  persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete}
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      containers:
      - {name: db, image: 'db:1', volumeMounts: [{name: data, mountPath: /data}]}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
";
    let located = read_admitted("db.yaml", text).unwrap().remove(0);
    let ignored: Vec<String> = unmodelled_fields(&located).into_iter().map(|(field, _)| field).collect();
    assert!(
        ignored.contains(&"spec.updateStrategy.rollingUpdate.maxUnavailable".to_owned()),
        "an alpha gate: {ignored:?}"
    );
    assert!(!ignored.iter().any(|field| field.starts_with("spec.volumeClaimTemplates")), "{ignored:?}");
    let object = to_object(&located).unwrap();
    let Object::StatefulSet(set) = &object else { panic!("{object:?}") };
    assert_eq!((set.replicas, set.start_ordinal, &*set.service_name), (1, Some(2), "db"));
    assert_eq!(set.strategy, StatefulSetStrategy::RollingUpdate { partition: Some(1) });
    assert_eq!((set.management, set.revision_history_limit), (PodManagement::OrderedReady, Some(10)));
    assert_eq!((&*set.claim_templates[0].name, set.claim_retention.deleted_with_set), ("data", true));
    let shown = to_json(&object, Revision(7), 0);
    let spec = &shown["spec"];
    assert_eq!(spec["updateStrategy"]["rollingUpdate"], serde_json::json!({"partition": 1}));
    assert_eq!(spec["podManagementPolicy"], "OrderedReady");
    assert_eq!(spec["persistentVolumeClaimRetentionPolicy"]["whenScaled"], "Retain");
    let claim = &spec["volumeClaimTemplates"][0];
    assert_eq!((&claim["kind"], &claim["metadata"]["name"]), (&"PersistentVolumeClaim".into(), &"data".into()));
    assert_eq!(claim["spec"]["volumeMode"], "Filesystem");
    assert_eq!(
        shown["status"],
        serde_json::json!({"replicas": 0, "availableReplicas": 0}),
        "as recorded before a sync"
    );
}

#[test]
fn a_daemon_set_goes_into_the_core_and_comes_back_with_its_defaults() {
    let text = format!(
        "{{apiVersion: apps/v1, kind: DaemonSet, metadata: {{name: s}}, \
         spec: {{selector: {{matchLabels: {{app: x}}}}, template: {TEMPLATE}}}}}"
    );
    let located = read_admitted("s.yaml", &text).unwrap().remove(0);
    let object = to_object(&located).unwrap();
    let Object::DaemonSet(set) = &object else { panic!("{object:?}") };
    let (max_surge, max_unavailable) = (IntOrPercent::Int(0), IntOrPercent::Int(1));
    assert_eq!(set.strategy, DaemonSetStrategy::RollingUpdate { max_surge, max_unavailable });
    let shown = to_json(&object, Revision(7), 0);
    let rolling = serde_json::json!({"maxSurge": 0, "maxUnavailable": 1});
    assert_eq!(shown["spec"]["updateStrategy"]["rollingUpdate"], rolling);
    let counts = ["currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady"];
    assert!(counts.iter().all(|count| shown["status"][count] == 0), "{}", shown["status"]);
}

#[test]
fn a_controller_revision_is_left_to_the_cluster() {
    let text = "{apiVersion: apps/v1, kind: ControllerRevision, metadata: {name: r}, data: {a: 1}, revision: 1}";
    let located = read_admitted("r.yaml", text).unwrap().remove(0);
    let refused = to_object(&located).unwrap_err().to_string();
    assert!(refused.contains("a ControllerRevision is written by the cluster itself"), "{refused}");
}

#[test]
fn the_largest_progress_deadline_is_none_and_a_missing_one_ten_minutes() {
    for (given, expected) in
        [("", Some(600)), ("progressDeadlineSeconds: 30", Some(30)), ("progressDeadlineSeconds: 2147483647", None)]
    {
        let text = format!(
            "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: d}}, spec: {{selector: {{matchLabels: {{app: \
             x}}}}, template: {TEMPLATE}, {given}}}}}"
        );
        let object = to_object(&read_admitted("d.yaml", &text).unwrap().remove(0)).unwrap();
        let Object::Deployment(deployment) = &object else { panic!("{object:?}") };
        assert_eq!(deployment.progress_deadline.map(|deadline| deadline.as_secs()), expected, "{given:?}");
        let shown = &to_json(&object, Revision(7), 0)["spec"]["progressDeadlineSeconds"];
        assert_eq!(*shown, expected.unwrap_or(2_147_483_647), "{given:?}");
    }
}
