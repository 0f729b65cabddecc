//! Checks of containers' variables and of where they come from.
//!
//! Source: `ValidateEnv`, `ValidateEnvFrom`, `validateEnvVarValueFrom`, pkg/apis/core/validation/validation.go
//! (v1.34.1). `fileKeyRef` is behind a gate that is off: the API server drops it before it validates.

use k8s_openapi::api::core::v1::{EnvFromSource, EnvVar, EnvVarSource};

use super::names;
use super::report::{At, Report};
use super::sources::{ENV_FIELDS, field, resource};

/// Checks a container's variables.
pub(super) fn variables(report: &mut Report, at: &At, variables: &[EnvVar]) {
    for (index, variable) in variables.iter().enumerate() {
        let at = at.index(index);
        if variable.name.is_empty() {
            report.required(&at.child("name"), "");
        } else {
            report.invalid_each(&at.child("name"), &variable.name, names::environment_name(&variable.name));
        }
        let Some(source) = &variable.value_from else { continue };
        let at = at.child("valueFrom");
        self::source(report, &at, source);
        let given = usize::from(source.field_ref.is_some())
            + usize::from(source.resource_field_ref.is_some())
            + usize::from(source.config_map_key_ref.is_some())
            + usize::from(source.secret_key_ref.is_some());
        let has_value = variable.value.as_deref().is_some_and(|value| !value.is_empty());
        if given == 0 {
            let detail = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`";
            report.invalid(&at, &"", detail);
        } else if has_value {
            report.invalid(&at, &"", "may not be specified when `value` is not empty");
        } else if given > 1 {
            report.invalid(&at, &"", "may not have more than one field specified at a time");
        }
    }
}

/// Checks where a variable's value comes from, but not how many sources there are.
fn source(report: &mut Report, at: &At, source: &EnvVarSource) {
    if let Some(it) = &source.field_ref {
        field(report, &at.child("fieldRef"), it, &ENV_FIELDS);
    }
    if let Some(it) = &source.resource_field_ref {
        resource(report, &at.child("resourceFieldRef"), it, false);
    }
    let mut key = |at: At, object: &String, key: &String| {
        report.invalid_each(&at.child("name"), object, names::dns_subdomain(object));
        if key.is_empty() {
            report.required(&at.child("key"), "");
        } else {
            report.invalid_each(&at.child("key"), key, names::config_key(key));
        }
    };
    if let Some(it) = &source.config_map_key_ref {
        key(at.child("configMapKeyRef"), &it.name, &it.key);
    }
    if let Some(it) = &source.secret_key_ref {
        key(at.child("secretKeyRef"), &it.name, &it.key);
    }
}

/// Checks the sources of `envFrom`.
pub(super) fn from_objects(report: &mut Report, at: &At, sources: &[EnvFromSource]) {
    for (index, source) in sources.iter().enumerate() {
        let source_at = at.index(index);
        if let Some(prefix) = source.prefix.as_deref().filter(|prefix| !prefix.is_empty()) {
            report.invalid_each(&source_at.child("prefix"), &prefix, names::environment_name(prefix));
        }
        let objects = [
            ("configMapRef", source.config_map_ref.as_ref().map(|it| &it.name)),
            ("secretRef", source.secret_ref.as_ref().map(|it| &it.name)),
        ];
        for (kind, object) in objects.iter().filter_map(|(kind, object)| Some((kind, (*object)?))) {
            let at = source_at.child(kind).child("name");
            if object.is_empty() {
                report.required(&at, "");
            } else {
                report.invalid_each(&at, object, names::dns_subdomain(&names::without_trailing_dash(object)));
            }
        }
        match objects.iter().filter(|(_, object)| object.is_some()).count() {
            0 => report.invalid(at, &"", "must specify one of: `configMapRef` or `secretRef`"),
            1 => {}
            _ => report.invalid(at, &"", "may not have more than one field specified at a time"),
        }
    }
}
