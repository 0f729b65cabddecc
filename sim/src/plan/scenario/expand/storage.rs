//! The CSI drivers of a scenario.

use std::collections::BTreeSet;

use wavetank_core::config::{CsiDriverConfig, SpanRange, StorageConfig};
use wavetank_core::time::Span;
use wavetank_manifest::Spanned;

use super::Problems;
use crate::plan::scenario::format::{Provisioner, Scenario, Spread};
use crate::plan::{Delay, Plan};

/// What an operation takes if the file does not say.
const USUAL: SpanRange = SpanRange { min: Span::from_secs(1), max: Span::from_secs(3) };

pub(super) fn apply(plan: &mut Plan, scenario: &Scenario, problems: &mut Problems) {
    let mut seen = BTreeSet::new();
    let mut drivers = Vec::new();
    for (index, provisioner) in scenario.spec.storage.provisioners.iter().enumerate() {
        let path = format!("spec.storage.provisioners[{index}]");
        if !seen.insert(provisioner.name.value.as_str()) {
            let message = format!("there are two provisioners {:?}", provisioner.name.value);
            problems.add(provisioner.name.span, &format!("{path}.name"), message);
        }
        drivers.push(driver(provisioner, problems, &path));
    }
    plan.config.storage = StorageConfig { drivers };
}

fn driver(it: &Provisioner, problems: &mut Problems, path: &str) -> CsiDriverConfig {
    let mut of =
        |spread: &Option<Spanned<Spread>>, field: &str| range(spread.as_ref(), problems, &format!("{path}.{field}"));
    CsiDriverConfig {
        name: it.name.value.as_str().into(),
        attach_required: it.attach_required.unwrap_or(true),
        topology_keys: it.topology_keys.iter().map(|key| key.as_str().into()).collect(),
        volumes_per_node: it.volumes_per_node,
        provision: of(&it.provision, "provision"),
        attach: of(&it.attach, "attach"),
        detach: of(&it.detach, "detach"),
        resize: of(&it.resize, "resize"),
    }
}

/// The core draws these times itself, evenly; it knows no other distribution.
fn range(spread: Option<&Spanned<Spread>>, problems: &mut Problems, path: &str) -> SpanRange {
    match spread.map(|spread| (&spread.value.0, spread)) {
        None => USUAL,
        Some((Delay::Constant(span), _)) => SpanRange { min: *span, max: *span },
        Some((Delay::Uniform { min, max }, _)) => SpanRange { min: *min, max: *max },
        Some((_, spread)) => {
            let message = "expected a length of time or a uniform distribution; a driver's times have no other";
            problems.add(spread.span, path, message.to_owned());
            USUAL
        }
    }
}
