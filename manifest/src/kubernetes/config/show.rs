//! ConfigMaps, Secrets and ServiceAccounts as `kubectl get -o json` shows them, and what pods get from accounts.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use wavetank_core::id::Name;
use wavetank_core::model::{Blobs, ConfigMap, Pod, ROOT_CERTIFICATE, Secret, ServiceAccount, TOKEN_MOUNT_PATH};

use crate::kubernetes::to_json::{set, set_labels};

type Root = Map<String, Value>;

/// The life of a pod's token in seconds: `WarnOnlyBoundTokenExpirationSeconds`, pkg/serviceaccount (v1.34.1).
const TOKEN_SECONDS: u32 = 3_607;

fn set_blobs(root: &mut Root, key: &str, blobs: &Blobs) {
    if blobs.is_empty() {
        root.remove(key);
    } else {
        let pairs = blobs.iter().map(|(key, bytes)| (key.to_string(), Value::from(STANDARD.encode(bytes))));
        set(root, key, pairs.collect::<Root>());
    }
}

fn set_immutable(root: &mut Root, immutable: Option<bool>) {
    match immutable {
        Some(immutable) => set(root, "immutable", immutable),
        None => drop(root.remove("immutable")),
    }
}

fn names(names: &[Name]) -> Value {
    names.iter().map(|name| json!({"name": &**name})).collect()
}

pub(in crate::kubernetes) fn show_config_map(root: &mut Root, map: &ConfigMap) {
    set_labels(root, "data", &map.data);
    set_blobs(root, "binaryData", &map.binary);
    set_immutable(root, map.immutable);
}

pub(in crate::kubernetes) fn show_secret(root: &mut Root, secret: &Secret) {
    root.remove("stringData");
    set_blobs(root, "data", &secret.data);
    set(root, "type", &*secret.secret_type);
    set_immutable(root, secret.immutable);
}

pub(in crate::kubernetes) fn show_account(root: &mut Root, account: &ServiceAccount) {
    if !account.image_pull_secrets.is_empty() {
        set(root, "imagePullSecrets", names(&account.image_pull_secrets));
    }
    if let Some(automount) = account.automount {
        set(root, "automountServiceAccountToken", automount);
    }
}

/// What a pod has from its account: the account's name, its pull secrets, and the volume with its token.
pub(in crate::kubernetes) fn show_pod(spec: &mut Root, pod: &Pod) {
    if pod.spec.account.is_empty() {
        return;
    }
    set(spec, "serviceAccountName", &*pod.spec.account);
    set(spec, "serviceAccount", &*pod.spec.account);
    if !pod.spec.image_pull_secrets.is_empty() {
        set(spec, "imagePullSecrets", names(&pod.spec.image_pull_secrets));
    }
    let (Some(volume), Some(token)) = (pod.token_volume(), &pod.spec.token) else { return };
    if token.named.is_none() {
        push(spec, "volumes", token_volume(&volume));
    }
    let mut place = 0;
    for key in ["initContainers", "containers"] {
        for container in spec.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten() {
            if let (false, Some(container)) = (token.not_in.contains(&place), container.as_object_mut()) {
                let mount = json!({"name": &*volume, "readOnly": true, "mountPath": TOKEN_MOUNT_PATH});
                push(container, "volumeMounts", mount);
            }
            place += 1;
        }
    }
}

/// Source: `TokenVolumeSource`, plugin/pkg/admission/serviceaccount/admission.go (v1.34.1).
fn token_volume(name: &str) -> Value {
    let certificate = json!({"name": ROOT_CERTIFICATE, "items": [{"key": "ca.crt", "path": "ca.crt"}]});
    let namespace = json!({"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}});
    let sources = json!([
        {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
        {"configMap": certificate},
        {"downwardAPI": {"items": [namespace]}},
    ]);
    json!({"name": name, "projected": {"sources": sources, "defaultMode": 0o644}})
}

fn push(root: &mut Root, key: &str, value: Value) {
    let list = root.entry(key.to_owned()).or_insert_with(|| Value::Array(Vec::new()));
    if !list.is_array() {
        *list = Value::Array(Vec::new());
    }
    let list = list.as_array_mut().expect("it was just made a list");
    // Somebody may have written down what was shown before.
    if !list.iter().any(|other| other["name"] == value["name"]) {
        list.push(value);
    }
}
