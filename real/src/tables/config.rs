//! The columns of ConfigMaps, Secrets and ServiceAccounts.
//!
//! Source: `printConfigMap`, `printSecret`, `printServiceAccount`, pkg/printers/internalversion/printers.go (v1.34.1).

use wavetank_core::model::{ConfigMap, Secret, ServiceAccount};

pub(super) const CONFIG_MAP_HEADS: &[&str] = &["NAME", "DATA", "AGE"];
pub(super) const SECRET_HEADS: &[&str] = &["NAME", "TYPE", "DATA", "AGE"];
pub(super) const ACCOUNT_HEADS: &[&str] = &["NAME", "SECRETS", "AGE"];

pub(super) fn config_map(name: String, map: &ConfigMap, age: String) -> Vec<String> {
    vec![name, (map.data.iter().count() + map.binary.len()).to_string(), age]
}

pub(super) fn secret(name: String, secret: &Secret, age: String) -> Vec<String> {
    vec![name, secret.secret_type.to_string(), secret.data.len().to_string(), age]
}

pub(super) fn account(name: String, account: &ServiceAccount, age: String) -> Vec<String> {
    vec![name, account.secrets.len().to_string(), age]
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_core::model::Labels;

    #[test]
    fn keys_are_counted_and_values_are_not_shown() {
        let map = ConfigMap {
            data: Labels::new([("a", "1"), ("b", "2")]),
            binary: [("c".into(), b"3"[..].into())].into(),
            ..ConfigMap::default()
        };
        assert_eq!(config_map("settings".to_owned(), &map, "5s".to_owned()), ["settings", "3", "5s"]);
        let keys = Secret { data: [("key".into(), b"secret"[..].into())].into(), ..Secret::default() };
        assert_eq!(secret("keys".to_owned(), &keys, "5s".to_owned()), ["keys", "Opaque", "1", "5s"]);
    }
}
