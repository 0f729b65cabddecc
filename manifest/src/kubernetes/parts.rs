//! What objects of many kinds are made of, in the core's forms: names, labels, selectors.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as api;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use wavetank_core::id::Name;
use wavetank_core::model::{Labels, Selector, SelectorOperator, SelectorRequirement};

pub(crate) fn name(text: &str) -> Name {
    text.into()
}

pub(crate) fn optional(text: Option<&String>) -> Name {
    text.map(|text| name(text)).unwrap_or_default()
}

pub(crate) fn labels(map: Option<&BTreeMap<String, String>>) -> Labels {
    Labels::new(map.into_iter().flatten().map(|(key, value)| (key.as_str(), value.as_str())))
}

pub(crate) fn selector(selector: &LabelSelector) -> Selector {
    let requirements = selector.match_expressions.iter().flatten();
    Selector {
        match_labels: labels(selector.match_labels.as_ref()),
        match_expressions: requirements
            .map(|it| requirement(&it.key, &it.operator, it.values.as_deref().unwrap_or_default()))
            .collect(),
    }
}

pub(crate) fn requirement(key: &str, operator: &str, values: &[String]) -> SelectorRequirement {
    let operator = match operator {
        "In" => SelectorOperator::In,
        "NotIn" => SelectorOperator::NotIn,
        "Exists" => SelectorOperator::Exists,
        "DoesNotExist" => SelectorOperator::DoesNotExist,
        "Gt" => SelectorOperator::Gt,
        "Lt" => SelectorOperator::Lt,
        other => unreachable!("operator {other} is refused by validation"),
    };
    SelectorRequirement { key: name(key), operator, values: values.iter().map(|value| name(value)).collect() }
}

pub(crate) fn term(term: &api::NodeSelectorTerm) -> Vec<SelectorRequirement> {
    let of_labels = term.match_expressions.iter().flatten();
    of_labels.map(|it| requirement(&it.key, &it.operator, it.values.as_deref().unwrap_or_default())).collect()
}
