//! `$(NAME)` in commands, arguments and environment variables.

use std::collections::BTreeMap;

use wavetank_core::model::Container;

use crate::docker::ContainerSpec;

/// Expands the references of a container to its own environment variables. A variable sees those before it.
///
/// Source: `makeEnvironmentVariables`, pkg/kubelet/kubelet_pods.go, and `ExpandContainerCommandAndArgs`,
/// pkg/kubelet/container/helpers.go (v1.34.1). Absent: the variables of Services.
pub(super) fn expand(container: &Container, spec: &mut ContainerSpec) {
    let mut known = BTreeMap::new();
    // A variable that takes its value from elsewhere is named as not modelled when the manifest is read.
    for var in container.env.iter().filter(|var| var.from.is_none()) {
        let value = expand_text(&var.value, &known);
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
