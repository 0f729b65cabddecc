//! Whose each field is, in recordings in which somebody applies configurations. In others nobody asks, and nothing is
//! kept.
//!
//! Requests tell their managers' names, and kubectl's commands have theirs. The name of a client that gives none is in
//! its `User-Agent`, which is not recorded: it is the one that a recorded refusal tells and nobody gave.

use serde_json::Value;
use wavetank_core::api::{Patch, Request};
use wavetank_core::id::{ProcKind, RequestId};
use wavetank_core::model::ObjectKey;
use wavetank_core::seam::{Input, Msg};

use super::Bench;
use crate::conform::edge::{self, APPLY, Manager, Managers, Path};
use crate::conform::kubectl::{self, Applied};
use crate::conform::recording::{Deed, Recording};

/// The name of a client that no answer tells.
const UNTOLD: &str = "unknown";

/// Nothing is owned yet; `None` if nobody applies anything.
pub(super) fn begin(recording: &Recording) -> Option<Managers> {
    let applies = |deed: &Deed| match deed {
        Deed::Request { content_type, .. } => content_type == APPLY,
        Deed::Kubectl(line, ..) => kubectl::applies(line),
        Deed::Machine(_) => false,
    };
    recording.steps.iter().any(|step| applies(&step.what)).then(Managers::default)
}

impl Bench<'_> {
    /// Who writes what comes of an input.
    pub(super) fn writer(&self, input: &Input) -> Manager {
        let (name, applies, subresource) = match input {
            Input::Message { from, body: Msg::Request(id, request), .. } => {
                let is_client = from.kind() == ProcKind::Client;
                let subresource = match &**request {
                    Request::UpdateStatus { .. } => "status",
                    Request::Patch { patch: Patch::PodCondition { .. } | Patch::PodNomination { .. }, .. } => "status",
                    Request::Patch { patch: Patch::Replicas(_), .. } if is_client => "scale",
                    _ => "",
                };
                let (name, applies) = match from.kind() {
                    ProcKind::Client => self.client(*id),
                    ProcKind::ControllerManager => ("kube-controller-manager".to_owned(), false),
                    ProcKind::Scheduler => ("kube-scheduler".to_owned(), false),
                    ProcKind::Kubelet => ("kubelet".to_owned(), false),
                    _ => ("kube-apiserver".to_owned(), false),
                };
                (name, applies, subresource)
            }
            _ => ("kube-apiserver".to_owned(), false, ""),
        };
        Manager { name, applies, subresource: subresource.to_owned() }
    }

    /// The name of who did a step, and whether it applied something.
    fn client(&self, id: RequestId) -> (String, bool) {
        let place = usize::try_from(id.0).unwrap_or(usize::MAX);
        match self.recording.steps.get(place).map(|step| &step.what) {
            Some(Deed::Request { path, content_type, .. }) => {
                let given = Path::parse(path).and_then(|path| path.parameter("fieldManager"));
                let given = given.filter(|name| !name.is_empty());
                (given.unwrap_or_else(|| untold(self.recording)), content_type == APPLY)
            }
            Some(Deed::Kubectl(line, ..)) => (kubectl::writer(line), kubectl::applies(line)),
            _ => (UNTOLD.to_owned(), false),
        }
    }

    /// Notes the owners of what was written since the last look.
    pub(super) fn note_owners(&mut self, writer: Option<Manager>) {
        let (Some(managers), Some(writer)) = (&mut self.managers, writer) else { return };
        for (_, before, after) in self.core.written_since(self.shown) {
            managers.note(before.as_ref(), after.as_ref(), &writer);
        }
    }

    /// Notes that a step has asked for an apply, which is done at once if there is nothing to write.
    pub(super) fn note_apply(&mut self, place: usize, sent: (&str, &str), path: &Path, body: &Value, done: bool) {
        let is_dry = path.parameter("dryRun").is_some_and(|wish| !wish.is_empty());
        if self.managers.is_none() || sent != ("PATCH", APPLY) || is_dry {
            return;
        }
        let Some(key) = edge::key_at(path) else { return };
        let applier = edge::applier(path);
        self.applying(place, Applied { key, config: body.clone(), applier, hand_over: Vec::new() }, done);
    }

    /// The same of one object, also of a command line.
    pub(super) fn applying(&mut self, place: usize, applied: Applied, done: bool) {
        let key = applied.key.clone();
        self.applying.insert((place, key.clone()), applied);
        if done {
            self.apply_answered(place, &key);
        }
    }

    /// Notes that an apply of a step was granted.
    pub(super) fn apply_answered(&mut self, place: usize, key: &ObjectKey) {
        let Some(Applied { key, config, applier, hand_over }) = self.applying.remove(&(place, key.clone())) else {
            return;
        };
        if let Some(managers) = &mut self.managers {
            managers.applied(&key, &config, &applier);
            managers.forget(&key, &hand_over);
        }
    }
}

/// The name in a recorded refusal of an apply that nobody gave: that of a client without a given one.
fn untold(recording: &Recording) -> String {
    let said = recording.steps.iter().filter_map(|step| match &step.what {
        Deed::Request { code: 409, message: Some(message), .. } => Some(message),
        _ => None,
    });
    let told = said.flat_map(|message| {
        ["conflict with \"", "conflicts with \""].into_iter().flat_map(|words| {
            message.split(words).skip(1).filter_map(|rest| rest.split('"').next()).collect::<Vec<&str>>()
        })
    });
    let is_given = |name: &str| {
        name.starts_with("kube-")
            || recording.steps.iter().any(|step| match &step.what {
                Deed::Request { path, .. } => {
                    Path::parse(path).and_then(|path| path.parameter("fieldManager")).is_some_and(|it| it == *name)
                }
                Deed::Kubectl(line, ..) => kubectl::writer(line) == name,
                Deed::Machine(_) => false,
            })
    };
    told.into_iter().find(|name| !is_given(name)).unwrap_or(UNTOLD).to_owned()
}
