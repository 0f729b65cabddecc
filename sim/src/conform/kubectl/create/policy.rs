//! ResourceQuotas, PodDisruptionBudgets and PriorityClasses.
//!
//! Source: create_quota.go, create_pdb.go, create_priorityclass.go.

use serde_json::{Map, Value, json};
use wavetank_core::model::Kind;

use super::super::Trouble;
use super::{CommandLine, Made, fails, name, number, object};
use crate::conform::selectors;

pub(super) fn quota(line: &CommandLine, words: &[String]) -> Made {
    let name = name(line, words, &["--hard", "--scopes"])?;
    let text = |flag: &str| line.flag(flag).filter(|text| !text.is_empty());
    let mut body = object(Kind::ResourceQuota, name);
    body["spec"] = json!({});
    if let Some(hard) = text("--hard") {
        body["spec"]["hard"] = amounts(hard)?.into();
    }
    if let Some(scopes) = text("--scopes") {
        let scopes: Vec<&str> = scopes.split(',').collect();
        if scopes.contains(&"") {
            return fails("invalid resource quota scope \"\"");
        }
        body["spec"]["scopes"] = scopes.into();
    }
    Ok((Kind::ResourceQuota, body))
}

/// `cpu=1,memory=1G`. A quantity that is none the API server refuses too.
///
/// Source: `populateResourceListV1`, create_quota.go and staging/src/k8s.io/kubectl/pkg/generate/versioned/run.go.
pub(in crate::conform::kubectl) fn amounts(text: &str) -> Result<Map<String, Value>, Trouble> {
    let pair = |part: &str| match part.split('=').collect::<Vec<_>>()[..] {
        [resource, amount] => Ok((resource.to_owned(), Value::from(amount))),
        _ => fails(format!("Invalid argument syntax {part}, expected <resource>=<value>")),
    };
    text.split(',').map(pair).collect()
}

pub(super) fn budget(line: &CommandLine, words: &[String]) -> Made {
    let name = name(line, words, &["--min-available", "--max-unavailable", "--selector"])?;
    let text = |flag: &str| line.flag(flag).filter(|text| !text.is_empty());
    let Some(selector) = text("--selector") else { return fails("a selector must be specified") };
    let (field, flag, limit) = match (text("--min-available"), text("--max-unavailable")) {
        (None, None) => return fails("one of min-available or max-unavailable must be specified"),
        (Some(_), Some(_)) => return fails("min-available and max-unavailable cannot be both specified"),
        (Some(limit), None) => ("minAvailable", "min-available", limit),
        (None, Some(limit)) => ("maxUnavailable", "max-unavailable", limit),
    };
    let digits = limit.strip_suffix('%').unwrap_or(limit);
    if digits.is_empty() || !digits.bytes().all(|letter| letter.is_ascii_digit()) {
        return fails(format!("invalid format specified for {flag}"));
    }
    let selector = selectors::manifest(selector).map_err(Trouble::Fails)?;
    let mut body = object(Kind::PodDisruptionBudget, name);
    body["spec"] = json!({"selector": selector, field: number_or_text(limit)});
    Ok((Kind::PodDisruptionBudget, body))
}

/// A number of 32 bits, or the text. Source: `Parse`, staging/src/k8s.io/apimachinery/pkg/util/intstr/intstr.go.
pub(in crate::conform::kubectl) fn number_or_text(text: &str) -> Value {
    text.parse::<i32>().map_or_else(|_| text.into(), Value::from)
}

pub(super) fn priority_class(line: &CommandLine, words: &[String]) -> Made {
    let name = name(line, words, &["--value", "--global-default", "--description", "--preemption-policy"])?;
    let mut body = object(Kind::PriorityClass, name);
    body["value"] = number(line, "--value")?.unwrap_or(0).into();
    body["preemptionPolicy"] = line.flag("--preemption-policy").unwrap_or("PreemptLowerPriority").into();
    if line.is_set("--global-default") {
        body["globalDefault"] = true.into();
    }
    if let Some(description) = line.flag("--description") {
        body["description"] = description.into();
    }
    Ok((Kind::PriorityClass, body))
}
