//! `$(NAME)` in commands, arguments and environment variables.

use std::collections::{BTreeMap, BTreeSet};

use wavetank_core::{kubelet::ContainerConfig, model::Container};

use crate::docker::ContainerSpec;

/// Expands the references of a container to its own environment variables. A variable sees those before it, and those
/// of Services where it has no other of that name.
///
/// Source: `makeEnvironmentVariables`, pkg/kubelet/kubelet_pods.go, and `ExpandContainerCommandAndArgs`,
/// pkg/kubelet/container/helpers.go (v1.34.1).
pub(super) fn expand(container: &Container, config: Option<&ContainerConfig>, spec: &mut ContainerSpec) {
    let Expanded { env, command, args } = expanded(container, config);
    (spec.env, spec.command, spec.args) = (env, command, args);
}

/// What becomes of a container's variables, command and arguments.
#[derive(Default)]
struct Expanded {
    env: Vec<(String, String)>,
    command: Vec<String>,
    args: Vec<String>,
}

fn expanded(container: &Container, config: Option<&ContainerConfig>) -> Expanded {
    let mut spec = Expanded::default();
    let links = config.iter().flat_map(|config| &config.services);
    let mut known: BTreeMap<String, String> =
        links.clone().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let mut own = BTreeSet::new();
    for (name, value) in config.iter().flat_map(|config| &config.variables) {
        known.insert(name.to_string(), value.to_string());
        own.insert(&**name);
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
        own.insert(&*var.name);
        spec.env.push((var.name.to_string(), value));
    }
    let others = links.filter(|(name, _)| !own.contains(&**name));
    spec.env.extend(others.map(|(name, value)| (name.to_string(), value.to_string())));
    spec.command = container.command.iter().map(|word| expand_text(word, &known)).collect();
    spec.args = container.args.iter().map(|word| expand_text(word, &known)).collect();
    spec
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
    use wavetank_core::id::Name;
    use wavetank_core::model::EnvVar;

    use super::*;

    fn pairs(list: &[(&str, &str)]) -> Vec<(Name, Name)> {
        list.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    #[test]
    fn the_variables_of_services_are_seen_by_others_and_give_way_to_those_of_their_name() {
        let variable = |name: &str, value: &str| EnvVar { name: name.into(), value: value.into(), from: None };
        let env = vec![
            variable("URL", "http://$(WEB_SERVICE_HOST):$(WEB_SERVICE_PORT)/$(FROM_MAP)"),
            variable("WEB_SERVICE_PORT", "8080"),
            variable("AGAIN", "$(WEB_SERVICE_PORT)"),
        ];
        let args = vec!["$(WEB_SERVICE_HOST)".into(), "$(WEB_SERVICE_PORT)".into(), "$(FROM_MAP)".into()];
        let container = Container { env, args, ..Container::default() };
        let config = ContainerConfig {
            variables: pairs(&[("FROM_MAP", "m"), ("OTHER_PORT", "mine")]),
            values: vec![None, None, None],
            services: pairs(&[
                ("OTHER_PORT", "tcp://10.0.0.2:1"),
                ("WEB_SERVICE_HOST", "10.0.0.1"),
                ("WEB_SERVICE_PORT", "80"),
            ]),
            files: Vec::new(),
        };
        let expanded = expanded(&container, Some(&config));
        let shown: Vec<String> = expanded.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let expected = [
            "FROM_MAP=m",
            "OTHER_PORT=mine",
            "URL=http://10.0.0.1:80/m",
            "WEB_SERVICE_PORT=8080",
            "AGAIN=8080",
            "WEB_SERVICE_HOST=10.0.0.1",
        ];
        assert_eq!(shown, expected);
        assert_eq!(expanded.args, ["10.0.0.1", "8080", "m"]);
    }

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
