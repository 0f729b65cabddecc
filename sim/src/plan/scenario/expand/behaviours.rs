//! Behaviours of containers, and the image sizes that they set.

use wavetank_core::id::Name;
use wavetank_core::model::{Labels, Selector, SelectorOperator, SelectorRequirement};
use wavetank_core::time::Span;

use super::objects::Objects;
use super::{Problems, conduct};
use crate::plan::scenario::format::{self, LabelSelector, Operator, Spec, Spread};
use crate::plan::{Behaviour, Delay, Exit, Plan, ScriptedStart};

/// How long a container takes to stop if the file does not say: a well-behaved one ends almost at once.
const STOP_DELAY: Span = Span::from_millis(100);

/// Gives sentences about behaviours that concern nobody.
pub(super) fn expand(spec: &Spec, objects: &Objects, plan: &mut Plan, problems: &mut Problems) -> Vec<String> {
    let mut idle = Vec::new();
    for (index, behaviour) in spec.behaviours.iter().enumerate() {
        let path = format!("spec.behaviours[{index}]");
        if let Some(namespace) = &behaviour.namespace {
            objects.is_namespace(namespace, &format!("{path}.namespace"), problems);
        }
        let pods = selector(&behaviour.selector);
        let fits = |template: &&super::objects::Template| {
            let namespace = behaviour.namespace.as_ref();
            namespace.is_none_or(|namespace| *namespace.value == *template.namespace) && pods.matches(&template.labels)
        };
        let images: Vec<Name> = objects
            .templates()
            .filter(fits)
            .flat_map(|template| &template.containers)
            .filter(|(name, _)| behaviour.container.as_deref().is_none_or(|wanted| wanted == &**name))
            .map(|(_, image)| image.clone())
            .collect();
        // Pods of a trace have no template, and no template has the labels that controllers give to pods.
        if images.is_empty() && spec.workload.is_none() && !asks_for_given_labels(&behaviour.selector) {
            idle.push(format!("{path} concerns no container: no pod of the manifests or the timeline fits it"));
        }
        if let Some(size) = behaviour.image_size {
            set_sizes(images, size, &path, plan, problems);
        }
        let exit = exit(behaviour, &path, problems);
        plan.behaviours.push(Behaviour {
            namespace: behaviour.namespace.as_ref().map(|namespace| namespace.value.as_str().into()),
            pods,
            container: behaviour.container.as_deref().map(Name::from),
            start_delay: delay(&behaviour.start_delay),
            readiness_delay: delay(&behaviour.readiness_delay),
            run_time: behaviour.run_time.as_ref().map(|spread| spread.0.clone()),
            exit,
            stop_delay: behaviour.stop_delay.as_ref().map_or(Delay::Constant(STOP_DELAY), |spread| spread.0.clone()),
            which: conduct::which(behaviour, &path, problems),
            hooks: conduct::hooks(behaviour),
            health: conduct::health(behaviour, &path, problems),
            usage: conduct::usage(behaviour, &path, problems),
        });
    }
    idle
}

/// Whether a selector asks for labels that controllers give to pods by themselves, such as a completion index.
fn asks_for_given_labels(selector: &LabelSelector) -> bool {
    const GIVEN: [&str; 4] = ["controller-revision-hash", "controller-uid", "job-name", "pod-template-hash"];
    let keys = selector.match_labels.keys().map(|key| key.as_str());
    let mut keys = keys.chain(selector.match_expressions.iter().map(|requirement| requirement.key.as_str()));
    keys.any(|key| GIVEN.contains(&key) || key.contains("kubernetes.io/"))
}

fn delay(spread: &Option<Spread>) -> Delay {
    spread.as_ref().map_or_else(Delay::default, |spread| spread.0.clone())
}

fn set_sizes(
    images: Vec<Name>,
    size: wavetank_manifest::Spanned<format::Bytes>,
    path: &str,
    plan: &mut Plan,
    problems: &mut Problems,
) {
    let path = format!("{path}.imageSize");
    if images.is_empty() {
        problems.add(size.span, &path, "no pod of the manifests fits this selector, so there is no image to size");
    }
    for image in images {
        let wanted = Some(size.value.0);
        match plan.registry.images.get(&image) {
            Some(known) if *known != wanted => {
                let message = format!("image {image:?} has another size already");
                problems.add(size.span, &path, message);
                return;
            }
            _ => plan.registry.images.insert(image, wanted),
        };
    }
}

fn exit(behaviour: &format::Behaviour, path: &str, problems: &mut Problems) -> Exit {
    let ends = [behaviour.exit_code.is_some(), behaviour.exit_codes.is_some(), behaviour.starts.is_some()];
    let place = behaviour.starts.as_ref().map(|starts| starts.span);
    let place = place.or(behaviour.exit_codes.as_ref().map(|codes| codes.span)).unwrap_or_default();
    if ends.iter().filter(|set| **set).count() > 1 {
        problems.add(place, path, "expected one of exitCode, exitCodes and starts, found several");
    }
    if let Some(starts) = &behaviour.starts {
        if behaviour.run_time.is_some() {
            problems.add(place, path, "runTime has no meaning beside starts, which have their own");
        }
        let script = |start: &format::Start| ScriptedStart {
            run_time: start.run_time.as_ref().map(|spread| spread.0.clone()),
            code: start.exit_code,
        };
        return Exit::Script(starts.value.iter().map(script).collect());
    }
    if let Some(codes) = &behaviour.exit_codes {
        if codes.value.is_empty() || codes.value.iter().any(|chance| chance.weight == 0) {
            problems.add(codes.span, &format!("{path}.exitCodes"), "expected codes with weights of at least 1");
        }
        return Exit::Chance(codes.value.iter().map(|chance| (chance.code, chance.weight)).collect());
    }
    Exit::Code(behaviour.exit_code.unwrap_or(0))
}

pub(super) fn selector(selector: &LabelSelector) -> Selector {
    let requirement = |from: &format::Requirement| SelectorRequirement {
        key: from.key.as_str().into(),
        operator: match from.operator {
            Operator::In => SelectorOperator::In,
            Operator::NotIn => SelectorOperator::NotIn,
            Operator::Exists => SelectorOperator::Exists,
            Operator::DoesNotExist => SelectorOperator::DoesNotExist,
        },
        values: from.values.iter().map(|value| value.as_str().into()).collect(),
    };
    Selector {
        match_labels: Labels::new(selector.match_labels.iter().map(|(key, value)| (key.as_str(), value.as_str()))),
        match_expressions: selector.match_expressions.iter().map(requirement).collect(),
    }
}
