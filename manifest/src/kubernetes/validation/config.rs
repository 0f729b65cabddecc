//! Checks of ConfigMaps, Secrets and ServiceAccounts.
//!
//! Where Kubernetes goes through keys in a random order they are in order here. Source: `ValidateConfigMap`,
//! `ValidateSecret`, `ValidateServiceAccount`, pkg/apis/core/validation/validation.go (v1.34.1).

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, ServiceAccount};

use super::report::{At, Report};
use super::{metadata, names};

/// Bytes that all values of an object may have together.
const BYTES_MAX: usize = 1024 * 1024;

/// Checks a ConfigMap.
pub(super) fn config_map(report: &mut Report, object: &ConfigMap) {
    metadata::check(report, &object.metadata, names::dns_subdomain);
    let mut bytes = 0;
    for (key, text) in object.data.iter().flatten() {
        let at = At::root("data").key(key);
        report.invalid_each(&at, key, names::config_key(key));
        if object.binary_data.as_ref().is_some_and(|binary| binary.contains_key(key)) {
            report.invalid(&at, key, "duplicate of key present in binaryData");
        }
        bytes += text.len();
    }
    for (key, value) in object.binary_data.iter().flatten() {
        report.invalid_each(&At::root("binaryData").key(key), key, names::config_key(key));
        bytes += value.0.len();
    }
    if bytes > BYTES_MAX {
        // The API server has no path for the object as a whole.
        report.too_long(&At::root("[]"), BYTES_MAX);
    }
}

/// Checks a Secret.
pub(super) fn secret(report: &mut Report, object: &Secret) {
    metadata::check(report, &object.metadata, names::dns_subdomain);
    let at = At::root("data");
    let data = object.data.clone().unwrap_or_default();
    for key in data.keys() {
        report.invalid_each(&at.key(key), key, names::config_key(key));
    }
    if data.values().map(|value| value.0.len()).sum::<usize>() > BYTES_MAX {
        report.too_long(&at, BYTES_MAX);
    }
    let lacks = |key: &str| !data.contains_key(key);
    match object.type_.as_deref().unwrap_or_default() {
        "kubernetes.io/service-account-token" => {
            let key = "kubernetes.io/service-account.name";
            let annotations = object.metadata.annotations.as_ref();
            if annotations.and_then(|it| it.get(key)).is_none_or(String::is_empty) {
                report.required(&At::root("metadata").child("annotations").key(key), "");
            }
        }
        "kubernetes.io/dockercfg" => json(report, &at, &data, ".dockercfg"),
        "kubernetes.io/dockerconfigjson" => json(report, &at, &data, ".dockerconfigjson"),
        "kubernetes.io/basic-auth" if lacks("username") && lacks("password") => {
            report.required(&at.key("username"), "");
            report.required(&at.key("password"), "");
        }
        "kubernetes.io/ssh-auth" if data.get("ssh-privatekey").is_none_or(|key| key.0.is_empty()) => {
            report.required(&at.key("ssh-privatekey"), "");
        }
        "kubernetes.io/tls" => {
            for key in ["tls.crt", "tls.key"].into_iter().filter(|key| lacks(key)) {
                report.required(&at.key(key), "");
            }
        }
        _ => {}
    }
}

/// What Go says of text that begins as no JSON value does; `None` if it begins as one.
fn no_beginning(text: &[u8]) -> Option<String> {
    let first = *text.iter().find(|byte| !byte.is_ascii_whitespace())?;
    let begins = matches!(first, b'{' | b'[' | b'"' | b'-' | b't' | b'f' | b'n' | b'0'..=b'9');
    (!begins).then(|| format!("invalid character '{}' looking for beginning of value", char::from(first)))
}

/// A value that must be a JSON object; what exactly is wrong with it is said in other words than Go's.
fn json(report: &mut Report, at: &At, data: &BTreeMap<String, ByteString>, key: &str) {
    let at = at.key(key);
    match data.get(key) {
        None => report.required(&at, ""),
        Some(value) => {
            if let Err(error) = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&value.0) {
                // Go has words of its own for JSON that ends too early.
                let early = error.is_eof().then(|| "unexpected end of JSON input".to_owned());
                let why = early.or_else(|| no_beginning(&value.0)).unwrap_or_else(|| error.to_string());
                report.invalid(&at, &"<secret contents redacted>", &why);
            }
        }
    }
}

/// Checks a ServiceAccount.
pub(super) fn account(report: &mut Report, object: &ServiceAccount) {
    metadata::check(report, &object.metadata, names::dns_subdomain);
}
