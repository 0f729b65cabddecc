//! Which fields are named as without effect.

use crate::kubernetes::{Located, Manifest, read_admitted, unmodelled_fields};

/// The fields that are named in a namespace that enforces a level, or in one that does not.
fn named(located: &Located<Manifest>, under_level: bool) -> Vec<String> {
    let fields = unmodelled_fields(located).into_iter().filter(|(_, where_so)| where_so.holds(under_level));
    fields.map(|(field, _)| field).collect()
}

#[test]
fn what_levels_look_at_counts_where_one_is_enforced() {
    let text = "
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  hostPID: true
  securityContext: {runAsNonRoot: true, fsGroup: 3}
  containers: [{name: a, image: 'a:1', securityContext: {privileged: true, readOnlyRootFilesystem: true}}]
";
    let objects = read_admitted("p.yaml", text).unwrap();
    assert_eq!(
        named(&objects[0], false),
        ["spec.containers[].securityContext", "spec.hostPID", "spec.securityContext"]
    );
    assert_eq!(
        named(&objects[0], true),
        ["spec.containers[].securityContext.readOnlyRootFilesystem", "spec.securityContext.fsGroup"]
    );
}

#[test]
fn what_the_core_does_not_act_on_is_named_once_and_nothing_else_is() {
    let text = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      hostPID: true
      affinity: {podAntiAffinity: {}}
      dnsPolicy: Default
      containers:
      - {name: a, image: 'web:1', resources: {requests: {cpu: 1}}, lifecycle: {},
         volumeMounts: [{name: data, mountPath: /d}]}
      - {name: b, image: 'web:1', volumeMounts: [{name: data, mountPath: /d}], readinessProbe: {tcpSocket: {port: 80}}}
      volumes: [{name: data, emptyDir: {}}, {name: ram, emptyDir: {medium: Memory, sizeLimit: 1Gi}}]
";
    let objects = read_admitted("web.yaml", text).unwrap();
    assert_eq!(named(&objects[0], false), ["spec.template.spec.dnsPolicy", "spec.template.spec.hostPID"]);
}
