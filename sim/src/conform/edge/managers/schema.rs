//! Which lists and maps of objects are made of parts that each have an owner, and which are one value.
//!
//! Source: the markers `+listType`, `+listMapKey`, `+mapType`, `+structType` and the tags `patchMergeKey` of
//! staging/src/k8s.io/api/*/v1/types.go and staging/src/k8s.io/apimachinery/pkg/apis/meta/v1/types.go (v1.34.1).

use serde_json::Value;

/// What a value is to its owners.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shape {
    /// One value, or a leaf.
    Whole,
    /// Fields, or pairs of a map.
    Fields,
    /// A list whose elements are told apart by these fields.
    Keyed(&'static [&'static str]),
    /// A list of plain values, each once.
    Set,
}

/// Objects that are one value, by the field that they are in.
const WHOLE: &[&str] = &[
    "configMapKeyRef",
    "dataSource",
    "fieldRef",
    "labelSelector",
    "namespaceSelector",
    "nodeSelector",
    "required",
    "requiredDuringSchedulingIgnoredDuringExecution",
    "resourceFieldRef",
    "scopeSelector",
    "secretKeyRef",
    "secretRef",
    "selector",
    "targetRef",
];

/// Lists whose elements are one value each.
const OF_WHOLE: &[&str] = &["imagePullSecrets", "ownerReferences", "secrets"];

/// Lists with keys, by field; the second is a field above it that tells lists of one name apart, or empty.
const KEYED: &[(&str, &str, &[&str])] = &[
    ("ports", "containers", &["containerPort", "protocol"]),
    ("ports", "initContainers", &["containerPort", "protocol"]),
    ("ports", "ephemeralContainers", &["containerPort", "protocol"]),
    ("ports", "spec", &["port", "protocol"]),
    ("addresses", "status", &["type"]),
    ("claims", "resources", &["name"]),
    ("conditions", "", &["type"]),
    ("containers", "", &["name"]),
    ("drivers", "", &["name"]),
    ("env", "", &["name"]),
    ("ephemeralContainers", "", &["name"]),
    ("hostAliases", "", &["ip"]),
    ("imagePullSecrets", "", &["name"]),
    ("initContainers", "", &["name"]),
    ("ownerReferences", "", &["uid"]),
    ("podIPs", "", &["ip"]),
    ("resourceClaims", "", &["name"]),
    ("schedulingGates", "", &["name"]),
    ("secrets", "", &["name"]),
    ("topologySpreadConstraints", "", &["topologyKey", "whenUnsatisfiable"]),
    ("volumeDevices", "", &["devicePath"]),
    ("volumeMounts", "", &["mountPath"]),
    ("volumes", "", &["name"]),
];

/// Lists that are sets, in the same way.
const SETS: &[(&str, &str)] = &[
    ("finalizers", "metadata"),
    ("podCIDRs", ""),
    ("values", "onExitCodes"),
    ("succeeded", "uncountedTerminatedPods"),
    ("failed", "uncountedTerminatedPods"),
    ("volumeLifecycleModes", ""),
];

/// What the value at the end of a trail of fields is. Elements of lists leave no trace in the trail.
pub(super) fn shape(trail: &[&str], value: &Value) -> Shape {
    let (field, above) = match trail {
        [.., above, field] => (*field, *above),
        [field] => (*field, ""),
        [] => ("", ""),
    };
    let fits = |name: &str, under: &str| name == field && (under.is_empty() || under == above);
    match value {
        Value::Object(fields) if fields.is_empty() || WHOLE.contains(&field) => Shape::Whole,
        Value::Object(_) => Shape::Fields,
        Value::Array(items) if items.is_empty() => Shape::Whole,
        Value::Array(items) => {
            if SETS.iter().any(|(name, under)| fits(name, under)) {
                return Shape::Set;
            }
            let keyed = KEYED.iter().find(|(name, under, _)| fits(name, under));
            match keyed {
                // Conditions of Jobs are not told apart, and neither are elements that are no objects.
                Some((_, _, keys)) if items.iter().all(Value::is_object) => Shape::Keyed(keys),
                _ => Shape::Whole,
            }
        }
        _ => Shape::Whole,
    }
}

/// Whether each element of a list with keys is one value.
pub(super) fn is_of_whole(field: &str) -> bool {
    OF_WHOLE.contains(&field)
}

/// The value of an element's key, which may be left out.
pub(super) fn key_of(element: &Value, key: &str) -> Value {
    match &element[key] {
        Value::Null if key == "protocol" => "TCP".into(),
        found => found.clone(),
    }
}
