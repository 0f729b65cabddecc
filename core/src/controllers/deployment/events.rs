//! What is said about a Deployment.
//!
//! Source: pkg/controller/deployment/{sync,deployment_controller}.go (v1.34.1).

use crate::api::Answer;
use crate::controllers::NamespacedName;
use crate::controllers::deployment::plan::Scaled;
use crate::controllers::deployment::{CREATE_FAILED, Stage};
use crate::events::Event;
use crate::model::{Kind, ObjectKey};

/// How this controller names itself in events.
const REPORTER: &str = "deployment-controller";

/// The event about an answer.
pub(super) fn told(stage: &Stage, place: usize, answer: &Answer) -> Option<(ObjectKey, Event)> {
    let Stage::Writes(plan) = stage else { return None };
    let (_, scaled) = plan.scaled.iter().find(|(write, _)| *write == place && answer.is_ok())?;
    let meta = &plan.deployment.meta;
    Some((NamespacedName::of_meta(meta).of(Kind::Deployment), event_of(scaled).about(meta)))
}

/// A ReplicaSet has another size than before.
fn event_of(Scaled { set, before, after }: &Scaled) -> Event {
    let direction = if before < after { "up" } else { "down" };
    let message = format!("Scaled {direction} replica set {set} from {before} to {after}");
    Event::normal(REPORTER, "ScalingReplicaSet", message)
}

/// The new ReplicaSet could not be created.
pub(super) fn create_failed(message: &str) -> Event {
    Event::warning(REPORTER, CREATE_FAILED, message.to_string())
}

/// The selector is empty.
pub(super) fn selecting_all() -> Event {
    let message = "This deployment is selecting all pods. A non-empty selector is required.";
    Event::warning(REPORTER, "SelectingAll", message)
}
