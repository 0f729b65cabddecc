//! `$(NAME)` in commands, arguments and environment variables.

use std::collections::BTreeMap;

use wavetank_core::{kubelet::ContainerConfig, model::Container};

use crate::docker::ContainerSpec;

/// Expands the references of a container to its own environment variables. A variable sees those before it.
///
/// Source: `makeEnvironmentVariables`, pkg/kubelet/kubelet_pods.go, and `ExpandContainerCommandAndArgs`,
/// pkg/kubelet/container/helpers.go (v1.34.1). Absent: the variables of Services.
pub(super) fn expand(container: &Container, config: Option<&ContainerConfig>, spec: &mut ContainerSpec) {
    let mut known = BTreeMap::new();
    for (name, value) in config.iter().flat_map(|config| &config.variables) {
        known.insert(name.to_string(), value.to_string());
        spec.env.push((name.to_string(), value.to_string()));
    }
    for (place, var) in container.env.iter().enumerate() {
        // What comes from elsewhere is taken as it is; what is not there, and may be missing, is left out.
        let value = match &var.from {
            None => expand_text(&var.value, &known),
            Some(_) => match config.and_then(|config| config.values.get(place)?.as_ref()) {
                Some(value) => value.to_string(),
                None => continue,
            },
        };
        known.insert(var.name.to_string(), value.clone());
        spec.env.push((var.name.to_string(), value));
    }
    spec.command = container.command.iter().map(|word| expand_text(word, &known)).collect();
    spec.args = container.args.iter().map(|word| expand_text(word, &known)).collect();
}

/// Replaces `$(NAME)` by the variable's value and `$$` by `$`; a reference to an unknown variable stays as it is.
///
/// Source: `Expand`, third_party/forked/golang/expansion/expand.go (v1.34.1).
fn expand_text(text: &str, known: &BTreeMap<String, String>) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(tail) = after.strip_prefix('$') {
            expanded.push('$');
            rest = tail;
            continue;
        }
        let reference = after.strip_prefix('(').and_then(|inside| inside.split_once(')'));
        match reference.and_then(|(name, tail)| Some((known.get(name)?, tail))) {
            Some((value, tail)) => {
                expanded.push_str(value);
                rest = tail;
            }
            None => {
                expanded.push('$');
                rest = after;
            }
        }
    }
    expanded.push_str(rest);
    expanded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_replaced_escapes_shortened_and_everything_else_is_kept() {
        let known = BTreeMap::from([("A".to_owned(), "$(B)".to_owned()), ("B".to_owned(), "2".to_owned())]);
        for (text, expected) in [
            ("x$(B)y", "x2y"),
            ("$(A)", "$(B)"),
            ("$$(B) $$", "$(B) $"),
            ("$(C) $(B", "$(C) $(B"),
            ("$B é$", "$B é$"),
            ("", ""),
        ] {
            assert_eq!(expand_text(text, &known), expected, "{text}");
        }
    }
}
