use serde_json::{Value, json};
use wavetank_core::id::Revision;
use wavetank_core::model::{EnvSource, FileSource, Object, PodVolumeSource};

use crate::kubernetes::{read_admitted, to_json, to_object, unmodelled_fields};

fn faults(text: &str) -> Vec<String> {
    let errors = read_admitted("m.yaml", text).expect_err("the manifest is faulty");
    errors.0.iter().map(ToString::to_string).collect()
}

fn object(text: &str) -> Object {
    let located = read_admitted("m.yaml", text).expect("the manifest is good");
    to_object(&located[0]).expect("the kind is modelled")
}

fn shown(text: &str) -> Value {
    to_json(&object(text), Revision(1), 0)
}

fn has(found: &[String], text: &str) {
    assert!(found.iter().any(|fault| fault.contains(text)), "{text}: {found:#?}");
}

#[test]
fn a_config_map_comes_back_and_its_keys_are_checked() {
    let map = shown(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: x}\nbinaryData: {b: AAE=}\nimmutable: true\n",
    );
    assert_eq!((&map["data"], &map["binaryData"]), (&json!({"a": "x"}), &json!({"b": "AAE="})));
    assert_eq!(map["immutable"], true);
    let found = faults(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {'a b': x, '..d': w, e: z}\nbinaryData: {e: \
         AA==}\n",
    );
    has(
        &found,
        "data[a b]: Invalid value: \"a b\": a valid config key must consist of alphanumeric characters, '-', '_' or \
         '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
    );
    has(&found, "data[..d]: Invalid value: \"..d\": must not start with '..'");
    has(&found, "data[e]: Invalid value: \"e\": duplicate of key present in binaryData");
    let large =
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\ndata: {{a: {}}}\n", "x".repeat(1 << 20 | 1));
    has(&faults(&large), "[]: Too long: may not be more than 1048576 bytes");
}

#[test]
fn text_of_a_secret_goes_before_its_base64_and_is_shown_as_such() {
    let secret = shown(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata:\n  a: YQ==\n  b: |\n    YmJi\n    YmI=\nstringData: \
         {a: z}\n",
    );
    assert_eq!(secret["data"], json!({"a": "eg==", "b": "YmJiYmI="}));
    assert_eq!((&secret["type"], &secret["stringData"]), (&json!("Opaque"), &Value::Null));
}

#[test]
fn what_is_no_base64_is_refused_where_it_stands() {
    let found = faults("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata:\n  a: YQ==\n  b: not base64\n");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("m.yaml:6:6: "), "{found:?}");
    has(&found, "data[b]: illegal base64 data at input byte 3");
}

#[test]
fn secrets_of_a_type_have_its_keys() {
    let of = |kind: &str, rest: &str| {
        faults(&format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\ntype: kubernetes.io/{kind}\n{rest}"))
    };
    let tls = of("tls", "stringData: {tls.crt: x}\n");
    assert_eq!(tls.len(), 1, "{tls:?}");
    has(&tls, "data[tls.key]: Required value");
    has(&of("basic-auth", ""), "data[password]: Required value");
    has(&of("ssh-auth", "stringData: {ssh-privatekey: ''}\n"), "data[ssh-privatekey]: Required value");
    has(&of("dockerconfigjson", ""), "data[.dockerconfigjson]: Required value");
    let redacted = "data[.dockercfg]: Invalid value: \"<secret contents redacted>\": ";
    has(&of("dockercfg", "stringData: {.dockercfg: '['}\n"), redacted);
    let annotation = "metadata.annotations[kubernetes.io/service-account.name]: Required value";
    has(&of("service-account-token", ""), annotation);
}

const POD: &str = "
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  serviceAccountName: builder
  containers:
  - name: app
    image: 'app:1'
    envFrom: [{configMapRef: {name: all}, prefix: X_}, {secretRef: {name: s, optional: true}}]
    env:
    - {name: A, valueFrom: {configMapKeyRef: {name: c, key: k}}}
    - {name: B, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}
    volumeMounts: [{name: files, mountPath: /etc/app, subPath: a}]
  volumes:
  - name: files
    projected:
      sources:
      - configMap: {name: c, items: [{key: k, path: a, mode: 0400}]}
      - downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}
";

#[test]
fn what_a_pod_takes_from_elsewhere_is_acted_on() {
    let located = read_admitted("m.yaml", POD).expect("the manifest is good");
    assert_eq!(unmodelled_fields(&located[0]), []);
    let Object::Pod(pod) = object(POD) else { panic!("a pod was read") };
    assert_eq!(&*pod.spec.account, "builder");
    let container = &pod.spec.containers[0];
    assert_eq!((&*container.env_from[0].prefix, container.env_from[1].optional), ("X_", true));
    let Some(EnvSource::Resource { divisor_milli, .. }) = container.env[1].from.as_deref() else {
        panic!("{container:?}")
    };
    assert_eq!(*divisor_milli, 1_048_576_000);
    let PodVolumeSource::Files(files) = &pod.spec.volumes[0].source else { panic!("{:?}", pod.spec.volumes) };
    let FileSource::Keys { items, .. } = &files.sources[0] else { panic!("{files:?}") };
    assert_eq!((files.projected, files.default_mode, items[0].mode), (true, 0o644, Some(0o400)));
    let names: Vec<&str> = pod.spec.references.iter().map(|it| &*it.name).collect();
    assert_eq!(names, ["all", "c", "c", "s"]);
}

#[test]
fn sources_that_cannot_be_are_named() {
    let found = faults(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n  - name: app\n    image: 'app:1'\n    \
         envFrom: [{prefix: 'a='}]\n    env:\n    - {name: A, valueFrom: {configMapKeyRef: {name: C, key: 'a \
         b'}}}\n    - {name: B, valueFrom: {fieldRef: {fieldPath: metadata.labels}}}\n    - {name: C, valueFrom: \
         {fieldRef: {fieldPath: spec.nope}}}\n    - {name: D, valueFrom: {resourceFieldRef: {resource: limits.cpu, \
         divisor: 1Mi}}}\n  volumes:\n  - {name: v, configMap: {name: c, defaultMode: 01000, items: [{key: k, path: \
         ../x}]}}\n  - {name: w, secret: {}}\n",
    );
    has(
        &found,
        "spec.volumes[0].configMap.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal)",
    );
    has(&found, "spec.volumes[0].configMap.items[0].path: Invalid value: \"../x\": must not contain '..'");
    has(&found, "spec.volumes[1].secret.secretName: Required value");
    let env = "spec.containers[0].env";
    has(&found, &format!("{env}From[0].prefix: Invalid value: \"a=\": a valid environment variable name"));
    has(&found, &format!("{env}From: Invalid value: \"\": must specify one of: `configMapRef` or `secretRef`"));
    has(&found, &format!("{env}[0].valueFrom.configMapKeyRef.key: Invalid value: \"a b\": a valid config key"));
    has(
        &found,
        &format!("{env}[1].valueFrom.fieldRef.fieldPath: Unsupported value: \"metadata.labels\": supported values: "),
    );
    let unknown = "error converting fieldPath: field label not supported: spec.nope";
    has(&found, &format!("{env}[2].valueFrom.fieldRef.fieldPath: Invalid value: \"spec.nope\": {unknown}"));
    has(&found, &format!("{env}[3].valueFrom.resourceFieldRef.divisor: Invalid value: \"limits.cpu\": only divisor's"));
}
