//! Checks of ResourceQuotas, LimitRanges and PriorityClasses.
//!
//! Where Kubernetes goes through resources in a random order they are in order here. Source: `ValidateResourceQuota`,
//! `ValidateLimitRange`, pkg/apis/core/validation/validation.go; the tables of resources and scopes,
//! pkg/apis/core/helper/helpers.go; pkg/apis/scheduling/validation/validation.go (v1.34.1).

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{LimitRange, LimitRangeItem, ResourceQuota, ResourceQuotaSpec};
use k8s_openapi::api::scheduling::v1::PriorityClass;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as QuantityText;
use wavetank_core::model::SYSTEM_PRIORITY_CLASSES;
use wavetank_core::quantity::{Format, Quantity};

use super::report::{AsJson, AsWritten, At, Report};
use super::{metadata, names, resources, shown};

const POD_COMPUTE: [&str; 6] = ["cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"];
const SCOPES: [&str; 7] = [
    "Terminating",
    "NotTerminating",
    "BestEffort",
    "NotBestEffort",
    "PriorityClass",
    "VolumeAttributesClass",
    "CrossNamespacePodAffinity",
];
/// Scopes that exclude each other.
const OPPOSITES: [[&str; 2]; 2] = [["BestEffort", "NotBestEffort"], ["NotTerminating", "Terminating"]];
/// The largest priority of a user's class.
const HIGHEST_USER_PRIORITY: i32 = 1_000_000_000;

/// Checks a ResourceQuota.
pub(super) fn quota(report: &mut Report, object: &ResourceQuota) {
    metadata::check(report, &object.metadata, names::dns_subdomain);
    let (spec, at) = (object.spec.clone().unwrap_or_default(), At::root("spec"));
    for (name, text) in spec.hard.iter().flatten() {
        quota_amount(report, &at.child("hard").key(name), name, text);
    }
    let plain = spec.scopes.clone().unwrap_or_default();
    if !plain.is_empty() {
        let at = at.child("scopes");
        for scope in &plain {
            if !SCOPES.contains(&scope.as_str()) {
                report.invalid(&at, &AsJson(&plain), "unsupported scope");
            }
            for _ in unfit(&spec, scope) {
                report.invalid(&at, &AsJson(&plain), "unsupported scope applied to resource");
            }
        }
        conflicts(report, &at, &plain.iter().map(String::as_str).collect(), &plain);
    }
    scope_selector(report, &at.child("scopeSelector").child("matchExpressions"), &spec);
}

/// Checks what a quota says of one resource.
pub(super) fn quota_amount(report: &mut Report, at: &At, name: &str, text: &QuantityText) {
    report.invalid_each(at, &name, resources::name_faults(name));
    if !name.contains('/') && !resources::is_standard_for_quota(name) {
        report.invalid(at, &name, "must be a standard resource for quota");
    }
    resources::amount(report, at, name, text);
}

/// The limited resources to which a scope does not apply.
fn unfit<'a>(spec: &'a ResourceQuotaSpec, scope: &str) -> Vec<&'a String> {
    let fits = |name: &str| match scope {
        "Terminating" | "NotTerminating" | "NotBestEffort" | "PriorityClass" | "CrossNamespacePodAffinity" => {
            name == "pods" || POD_COMPUTE.contains(&name)
        }
        "BestEffort" => name == "pods",
        "VolumeAttributesClass" => matches!(name, "persistentvolumeclaims" | "requests.storage"),
        _ => true,
    };
    let names = spec.hard.iter().flat_map(BTreeMap::keys);
    names.filter(|name| resources::is_standard_for_quota(name) && !fits(name)).collect()
}

fn conflicts(report: &mut Report, at: &At, scopes: &BTreeSet<&str>, plain: &[String]) {
    for _ in OPPOSITES.iter().filter(|pair| pair.iter().all(|scope| scopes.contains(scope))) {
        report.invalid(at, &AsJson(&plain), "conflicting scopes");
    }
}

fn scope_selector(report: &mut Report, at: &At, spec: &ResourceQuotaSpec) {
    let Some(selector) = &spec.scope_selector else { return };
    let mut scopes = BTreeSet::new();
    for requirement in selector.match_expressions.iter().flatten() {
        let (scope, operator) = (requirement.scope_name.as_str(), requirement.operator.as_str());
        if !SCOPES.contains(&scope) {
            report.invalid(&at.child("scopeName"), &scope, "unsupported scope");
        }
        for _ in unfit(spec, scope) {
            report.invalid(at, &AsWritten(&shown::scopes(selector)), "unsupported scope applied to resource");
        }
        if SCOPES.contains(&scope) && !scope.ends_with("Class") && operator != "Exists" {
            let rule = "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, \
                        ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, \
                        ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";
            report.invalid(&at.child("operator"), &operator, rule);
        }
        let values = requirement.values.clone().unwrap_or_default();
        match operator {
            "In" | "NotIn" if values.is_empty() => {
                let rule = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
                report.required(&at.child("values"), rule);
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let rule = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
                report.invalid(&at.child("values"), &AsJson(&values), rule);
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            _ => report.invalid(&at.child("operator"), &operator, "not a valid selector operator"),
        }
        scopes.insert(scope);
    }
    conflicts(report, at, &scopes, spec.scopes.as_deref().unwrap_or_default());
}

/// Checks a LimitRange.
pub(super) fn range(report: &mut Report, object: &LimitRange) {
    metadata::check(report, &object.metadata, names::dns_subdomain);
    let mut seen = BTreeSet::new();
    for (index, item) in object.spec.iter().flat_map(|spec| &spec.limits).enumerate() {
        let at = At::root("spec").child("limits").index(index);
        let faults = names::qualified_name(&item.type_);
        let standard = ["Pod", "Container", "PersistentVolumeClaim"].contains(&item.type_.as_str());
        if faults.is_empty() && !item.type_.contains('/') && !standard {
            let rule = "must be a standard limit type or fully qualified";
            report.invalid(&at.child("type"), &item.type_, rule);
        }
        report.invalid_each(&at.child("type"), &item.type_, faults);
        if !seen.insert(item.type_.as_str()) {
            report.duplicate(&at.child("type"), &item.type_, "");
        }
        limits(report, &at, item);
    }
}

type Lists<'a> = BTreeMap<&'static str, BTreeMap<&'a str, Quantity>>;

/// Checks the names in the lists of one limit, and then the lists against each other.
fn limits(report: &mut Report, at: &At, item: &LimitRangeItem) {
    let for_pods = item.type_ == "Pod";
    let lists: [(&'static str, Option<&BTreeMap<String, QuantityText>>); 5] = [
        ("max", item.max.as_ref()),
        ("min", item.min.as_ref()),
        ("default", item.default.as_ref()),
        ("defaultRequest", item.default_request.as_ref()),
        ("maxLimitRequestRatio", item.max_limit_request_ratio.as_ref()),
    ];
    let mut read = Lists::new();
    for (field, list) in lists {
        let forbidden = for_pods && field.starts_with("default");
        if forbidden && list.is_some_and(|list| !list.is_empty()) {
            report.forbidden(&at.child(field), "may not be specified when `type` is 'Pod'");
        }
        if field == "maxLimitRequestRatio" {
            claim_limits(report, at, item);
        }
        for (name, text) in list.into_iter().flatten().filter(|_| !forbidden) {
            let at = at.child(field).key(name);
            if for_pods || item.type_ == "Container" {
                resources::container_name(report, &at, name);
            } else {
                report.invalid_each(&at, name, resources::name_faults(name));
            }
            if let Ok(amount) = text.0.parse::<Quantity>() {
                read.entry(field).or_default().insert(name, amount);
            }
        }
    }
    let resources: BTreeSet<&str> = read.values().flat_map(|list| list.keys().copied()).collect();
    for name in resources {
        against_each_other(report, at, name, &read);
    }
}

fn claim_limits(report: &mut Report, at: &At, item: &LimitRangeItem) {
    let lists = [&item.min, &item.max];
    let any = lists.into_iter().flatten().any(|list| list.contains_key("storage"));
    if item.type_ == "PersistentVolumeClaim" && !any {
        let rule = "either minimum or maximum storage value is required, but neither was provided";
        report.required(&at.child("limits"), rule);
    }
}

fn against_each_other(report: &mut Report, at: &At, name: &str, lists: &Lists<'_>) {
    let amount = |list: &str| lists.get(list).and_then(|list| list.get(name)).copied();
    // (the smaller list, the larger one, under which field, whose value is shown, how they are called)
    let orders = [
        ("min", "max", "min", "min", "min value", "max value"),
        ("min", "defaultRequest", "defaultRequest", "defaultRequest", "min value", "default request value"),
        ("defaultRequest", "max", "defaultRequest", "defaultRequest", "default request value", "max value"),
        (
            "defaultRequest",
            "default",
            "defaultRequest",
            "defaultRequest",
            "default request value",
            "default limit value",
        ),
        ("min", "default", "default", "min", "min value", "default value"),
        ("default", "max", "default", "max", "default value", "max value"),
    ];
    for (small, large, field, shown, small_name, large_name) in orders {
        if let (Some(small), Some(large), Some(shown)) = (amount(small), amount(large), amount(shown))
            && small > large
        {
            let rule = format!("{small_name} {small} is greater than {large_name} {large}");
            report.invalid(&at.child(field).key(name), &shown.to_string(), &rule);
        }
    }
    ratio(report, &at.child("maxLimitRequestRatio").key(name), amount);
    if let (Some(limit), Some(request)) = (amount("default"), amount("defaultRequest"))
        && limit != request
        && !resources::may_be_overcommitted(name)
    {
        let rule = format!("default value {limit} must equal to defaultRequest value {request} in {name}");
        report.invalid(&at.child("defaultRequest").key(name), &request.to_string(), &rule);
    }
}

fn ratio(report: &mut Report, at: &At, amount: impl Fn(&str) -> Option<Quantity>) {
    let Some(ratio) = amount("maxLimitRequestRatio") else { return };
    if ratio < Quantity::from_units(1, Format::DecimalSi) {
        report.invalid(at, &ratio.to_string(), &format!("ratio {ratio} is less than 1"));
    }
    if let (Some(min), Some(max)) = (amount("min"), amount("max")) {
        let limit = max.milli_value() as f64 / min.milli_value() as f64;
        if ratio.milli_value() as f64 / 1_000.0 > limit {
            report.invalid(at, &ratio.to_string(), &format!("ratio {ratio} is greater than max/min = {limit:.6}"));
        }
    }
}

/// Checks a PriorityClass.
pub(super) fn class(report: &mut Report, object: &PriorityClass) {
    metadata::check(report, &object.metadata, names::dns_subdomain);
    let name = object.metadata.name.as_deref().unwrap_or_default();
    if name.starts_with("system-") {
        let known = SYSTEM_PRIORITY_CLASSES.iter().find(|(known, _)| *known == name);
        let fault = match known {
            None => Some(format!("{name} is not a known system priority class")),
            Some((_, value)) if *value != object.value => {
                Some(format!("value of {name} PriorityClass must be {value}"))
            }
            Some(_) if object.global_default == Some(true) => {
                Some(format!("globalDefault of {name} PriorityClass must be false"))
            }
            Some(_) => None,
        };
        if let Some(fault) = fault {
            let rule = "priority class names with 'system-' prefix are reserved for system use only. error: ";
            report.forbidden(&At::root("metadata").child("name"), &format!("{rule}{fault}"));
        }
    } else if object.value > HIGHEST_USER_PRIORITY {
        let rule = format!("maximum allowed value of a user defined priority is {HIGHEST_USER_PRIORITY}");
        report.forbidden(&At::root("value"), &rule);
    }
    if let Some(policy) = object.preemption_policy.as_deref() {
        report.one_of(&At::root("preemptionPolicy"), Some(policy), &["PreemptLowerPriority", "Never"]);
    }
}
