//! Requests that a real API server refused: ours must refuse them with the same code, reason and message.
//!
//! Who asks is not recorded, nor what they may: that a user was denied a right, the answer tells, and ours denies it in
//! turn. The recordings do not tell what was there before ([`stand_in`] does): the namespace of most cases is, with its
//! account, and an object of which the answer does not say that it is not there. Drawn uids are alike, and whole
//! templates and specs that the API server quotes in its message are not compared.

mod stand_in;
mod written;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use wavetank_core::Core;
use wavetank_core::api::Request;
use wavetank_core::config::Config;
use wavetank_core::id::{ProcId, RequestId};
use wavetank_core::model::{ClaimPhase, Kind, Labels, Namespace, Object, ObjectKey, ServiceAccount};
use wavetank_core::seam::Input;

use crate::conform::bench::SERVICE_ADDRESSES;
use crate::conform::compare::Difference;
use crate::conform::edge::{self, Outcome, Path, Status};
use crate::conform::{Comparison, at_once, brief};

pub use written::Refused;

/// A request and its recorded answer.
struct Case<'a> {
    name: &'a str,
    method: &'a str,
    path: &'a str,
    content_type: &'a str,
    body: Value,
    /// The body as it was written.
    written: Option<&'a str>,
    /// What was answered.
    status: Status,
}

/// How many letters end a generated name.
const DRAWN_LETTERS: usize = 5;

/// Compares every refusal of a folder.
pub fn compare(refused: &[Refused]) -> Comparison {
    let mut differences = Vec::new();
    let mut missing = Vec::new();
    let home = home(refused);
    for case in refused.iter().map(Case::read) {
        let ours = match case.answer(&home) {
            Ok(ours) => ours,
            Err(what) => {
                missing.push(format!("{} {what} ({})", case.method, case.name));
                continue;
            }
        };
        let (ours, recorded) = (case.without_drawn_name(ours), case.without_drawn_name(case.status.clone()));
        if !agree(&recorded, &ours) {
            let shown = |of: &Status| format!("{} {}: {}", of.code, of.reason, of.message);
            differences.push(Difference {
                at_ms: 0,
                track: format!("{}: {} {} {}", case.name, case.method, case.path, brief(&case.body)),
                recorded: shown(&case.status),
                ours: shown(&ours),
            });
        }
    }
    if !differences.is_empty() {
        Comparison::Differs(differences, refused.len())
    } else if !missing.is_empty() {
        Comparison::NotCovered(missing)
    } else {
        Comparison::Equal(refused.len())
    }
}

/// The namespace of most cases.
fn home(refused: &[Refused]) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for path in refused.iter().filter_map(|case| Path::parse(Case::read(case).path)) {
        *counts.entry(path.namespace).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(namespace, _)| namespace).unwrap_or_default()
}

impl<'a> Case<'a> {
    fn read(Refused { case, written }: &'a Refused) -> Case<'a> {
        let text = |key: &str| case[key].as_str().unwrap_or_default();
        let (method, path) = text("request").split_once(' ').unwrap_or(("POST", ""));
        let answer = &case["response"];
        let of_answer = |key: &str| answer[key].as_str().or(case[key].as_str()).unwrap_or_default().to_owned();
        let code = case["code"].as_u64().or(answer["code"].as_u64()).and_then(|code| u16::try_from(code).ok());
        // What is no Status is text; of what was done, the object.
        let message = answer.as_str().map_or_else(|| of_answer("message"), |text| text.trim_end().to_owned());
        let status = Status { code: code.unwrap_or(0), reason: of_answer("reason"), message };
        let body = match case["body"].as_str() {
            Some("(large)") => too_large(path, &answer["details"]["name"]),
            _ => case["body"].clone(),
        };
        let (name, content_type) = (text("case"), text("content_type"));
        Case { name, method, path, content_type, body, written: written.as_deref(), status }
    }

    /// An answer with `…` for the letters that were drawn to end the name of the object that was asked for.
    fn without_drawn_name(&self, mut status: Status) -> Status {
        let meta = &self.body["metadata"];
        let prefix = meta["generateName"].as_str().filter(|_| meta["name"].as_str().unwrap_or_default().is_empty());
        if let Some((prefix, at)) = prefix.and_then(|prefix| Some((prefix, status.message.find(prefix)?))) {
            let end = at + prefix.len() + DRAWN_LETTERS;
            if status.message.get(end..).is_some_and(|rest| rest.starts_with('"')) {
                let drawn = status.message[at..end].to_owned();
                status.message = status.message.replace(&drawn, &format!("{prefix}…"));
            }
        }
        status
    }

    /// Our answer in a world that has what the recorded answer tells. Errors: what nothing here can do.
    fn answer(&self, home: &str) -> Result<Status, String> {
        if let Some(user) = edge::denied_user(&self.status.message) {
            return Ok(edge::denied(user, self.method, self.path));
        }
        let mut path = Path::parse(self.path).ok_or_else(|| self.path.to_owned())?;
        let mut world = World::new(home);
        if let Some((level, version)) = enforced(&self.status.message) {
            world.enforce(&path.namespace, level, version);
        }
        for body in stand_in::objects(&world.core, self.method, &path, &self.body, &self.status) {
            let at = Path { name: String::new(), subresource: String::new(), query: String::new(), ..path.clone() };
            match edge::translate(&world.core, "POST", &at, "", &body) {
                Outcome::Ask(requests) => {
                    requests.into_iter().try_for_each(|it| world.ask(it).map_err(|it| it.message))?
                }
                Outcome::Answered(status) | Outcome::AnsweredAfter(_, status) => {
                    return Err(format!("stand-in: {}", status.message));
                }
                Outcome::NotCovered(what) => return Err(what),
            }
            world.settle(&path, &self.status);
        }
        let body = match self.method {
            "POST" if path.subresource.is_empty() => self.body.clone(),
            _ => edge::without_right_preconditions(&self.body, self.status.code, &self.status.message),
        };
        let stored = world.core.find(&ObjectKey::new(Kind::Job, &path.namespace, &path.name));
        let body = match stored.filter(|_| path.plural == "jobs") {
            Some(job) => stand_in::with_uid(&body, &job.uid().to_string()),
            None => body,
        };
        path.written = self.written.map(Into::into);
        match edge::translate(&world.core, self.method, &path, self.content_type, &body) {
            Outcome::Answered(status) | Outcome::AnsweredAfter(_, status) => Ok(status),
            Outcome::NotCovered(what) => Err(what),
            Outcome::Ask(requests) => {
                let refusal = requests.into_iter().find_map(|request| world.ask(request).err());
                let code = if self.method == "POST" { 201 } else { 200 };
                Ok(refusal.unwrap_or(Status { code, reason: String::new(), message: String::new() }))
            }
        }
    }
}

/// The level that an answer says that its namespace enforces, and its version.
fn enforced(message: &str) -> Option<(&str, &str)> {
    message.split("violates PodSecurity \"").nth(1)?.split('"').next()?.split_once(':')
}

/// A body that is too large to be recorded: of the kind of the path, and a little over a mebibyte.
fn too_large(path: &str, name: &Value) -> Value {
    let plural = Path::parse(path).map(|path| path.plural).unwrap_or_default();
    let kind = if plural == "secrets" { "Secret" } else { "ConfigMap" };
    let field = if kind == "Secret" { "stringData" } else { "data" };
    json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, field: {"all": "x".repeat((1 << 20) + 1)}})
}

/// An API server alone.
struct World {
    core: Core,
    asked: u64,
}

impl World {
    /// One that has a namespace with its account, and those of the system.
    fn new(home: &str) -> World {
        let mut config = Config::default();
        config.api_server.service_addresses = SERVICE_ADDRESSES;
        let mut world = World { core: Core::new(config), asked: 0 };
        at_once::answers(&mut world.core, Input::Started(ProcId::API_SERVER));
        for name in [home, "default", "kube-system"] {
            let namespace = Namespace::named(name);
            let objects =
                [Object::Namespace(namespace.into()), Object::ServiceAccount(ServiceAccount::default_of(name).into())];
            for object in objects {
                // A home that is one of the others is there already.
                drop(world.ask(Request::Create(object)));
            }
        }
        for request in edge::own_service(&world.core, SERVICE_ADDRESSES) {
            world.ask(request).expect("the API server's own Service");
        }
        world
    }

    /// Gives a namespace the labels of a level of PodSecurity.
    fn enforce(&mut self, namespace: &str, level: &str, version: &str) {
        let Some(Object::Namespace(mut namespace)) = self.core.find(&ObjectKey::new(Kind::Namespace, "", namespace))
        else {
            return;
        };
        let prefix = "pod-security.kubernetes.io/enforce";
        let labels = Arc::make_mut(&mut namespace);
        labels.meta.labels = Labels::new([(prefix, level), (&*format!("{prefix}-version"), version)]);
        drop(self.ask(Request::Update { object: Object::Namespace(namespace), expected: None }));
    }

    /// Brings what was there into the state that an answer tells of: a claim that cannot shrink or grow is bound.
    fn settle(&mut self, path: &Path, answer: &Status) {
        let tells = ["status.capacity", "pvc can be resized"].iter().any(|words| answer.message.contains(words));
        let key = ObjectKey::new(Kind::PersistentVolumeClaim, &path.namespace, &path.name);
        if let (true, Some(Object::PersistentVolumeClaim(mut claim))) = (tells, self.core.find(&key)) {
            let changed = Arc::make_mut(&mut claim);
            changed.status.phase = ClaimPhase::Bound;
            changed.status.capacity = Some(changed.spec.request);
            let object = Object::PersistentVolumeClaim(claim);
            drop(self.ask(Request::UpdateStatus { object, expected: None }));
        }
    }

    /// Asks and gets the answer.
    fn ask(&mut self, request: Request) -> Result<(), Status> {
        self.asked += 1;
        let answer = at_once::ask(&mut self.core, RequestId(self.asked), request);
        answer.map_or(Ok(()), |answer| answer.map(drop).map_err(|refusal| Status::of(&refusal)))
    }
}

/// Whether two answers are the same but for what is drawn and for what is quoted whole. Reasons that are found by going
/// through a map come in any order.
fn agree(recorded: &Status, ours: &Status) -> bool {
    let plain = |status: &Status| Status { message: plain(&status.message), ..status.clone() };
    let (recorded, ours) = (plain(recorded), plain(ours));
    let same_kind = (recorded.code, &recorded.reason) == (ours.code, &ours.reason);
    recorded == ours
        || same_kind
            && goes_through_a_map(&recorded.message)
            && parts(&recorded.message).is_some_and(|recorded| parts(&ours.message) == Some(recorded))
}

/// A message without what is drawn and what is quoted whole: uids, stored versions, templates, the difference of two
/// specs.
pub fn plain(text: &str) -> String {
    without_quoted(&without_difference(&without_versions(&without_uids(&without_token_volumes(text)))))
}

/// A text with `…` for the letters that were drawn to end the name of a volume with an account's token.
fn without_token_volumes(text: &str) -> String {
    const BEGIN: &str = "kube-api-access-";
    let mut parts = text.split(BEGIN);
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_drawn = part.get(DRAWN_LETTERS..).is_some_and(|rest| rest.starts_with('"'));
        plain += BEGIN;
        plain += if is_drawn { "…" } else { "" };
        plain += if is_drawn { &part[DRAWN_LETTERS..] } else { part };
    }
    plain
}

/// A text with `…` for each version that an object is said to have.
fn without_versions(text: &str) -> String {
    let mut plain = text.to_owned();
    for before in ["ResourceVersion in record (", "ResourceVersion in object meta: "] {
        let Some(start) = plain.find(before).map(|at| at + before.len()) else { continue };
        let digits = plain[start..].bytes().take_while(u8::is_ascii_digit).count();
        plain.replace_range(start..start + digits, "…");
    }
    plain
}

/// Whether some of a message's reasons are about entries of maps, through which Go goes in no order.
fn goes_through_a_map(message: &str) -> bool {
    let is_key = |rest: &str| rest.split(']').next().is_some_and(|key| key.contains(|c: char| !c.is_ascii_digit()));
    message.split('[').skip(2).any(is_key)
        || ["labels: ", "matchLabels: ", "annotations: ", "nodeSelector: ", "selector: "]
            .iter()
            .any(|it| message.contains(it))
}

/// The parts of a message with several reasons, in order.
fn parts(text: &str) -> Option<(&str, Vec<&str>)> {
    let (before, reasons) = text.strip_suffix(']')?.split_once(": [")?;
    let mut parts: Vec<&str> = reasons.split(", ").collect();
    parts.sort_unstable();
    Some((before, parts))
}

/// A text without the lines of a difference, which begin with a place and are unchanged, new or gone.
fn without_difference(text: &str) -> String {
    let mut plain = String::new();
    let mut inside = false;
    for (index, line) in text.split('\n').enumerate() {
        inside = line.starts_with("@@ ") || inside && (line.starts_with([' ', '-', '+']) || line.is_empty());
        if inside {
            continue;
        }
        if index > 0 && !line.starts_with(", ") && !line.starts_with(']') {
            plain.push('\n');
        }
        plain.push_str(line);
    }
    plain
}

/// A text with `…` for each uid.
fn without_uids(text: &str) -> String {
    const LENGTH: usize = 36;
    let is_uid = |text: &str| {
        text.bytes().enumerate().all(|(at, letter)| match at {
            8 | 13 | 18 | 23 => letter == b'-',
            _ => letter.is_ascii_hexdigit(),
        })
    };
    let (mut plain, mut rest) = (String::new(), text);
    while let Some(first) = rest.chars().next() {
        let length = if rest.get(..LENGTH).is_some_and(is_uid) { LENGTH } else { first.len_utf8() };
        plain.push_str(if length == LENGTH { "…" } else { &rest[..length] });
        rest = &rest[length..];
    }
    plain
}

/// A text without the template that an immutable one is quoted with.
fn without_quoted(text: &str) -> String {
    // A patch that makes what cannot be read is answered with all of it.
    const PATCHED: &str = "patch: Invalid value: \"{";
    if let (Some(start), Some(end)) = (text.find(PATCHED), text.rfind("}\": ")) {
        return format!("{}{}", &text[..start + PATCHED.len()], &text[end..]);
    }
    let mut plain = text.to_owned();
    // With its labels first, if there are any.
    for before in [": {\"labels\":", ": {\"annotations\":", ": {\"Spec\":"] {
        let Some(start) = plain.find(before).map(|at| at + ": ".len()) else { continue };
        if let Some(length) = length_of_object(&plain[start..])
            && plain[start + length..].starts_with(": field is immutable")
        {
            plain.replace_range(start - ": ".len()..start + length, "");
        }
    }
    plain
}

/// How long the JSON object is that a text begins with.
fn length_of_object(text: &str) -> Option<usize> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<serde::de::IgnoredAny>();
    values.next()?.ok()?;
    Some(values.byte_offset())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_the_same_but_for_uids_and_what_is_quoted_whole() {
        let status = |message: &str| Status { code: 422, reason: "Invalid".to_owned(), message: message.to_owned() };
        let one = status("uid 15ee43bd-69ba-4366-befd-cbcd966f4775 is wrong");
        assert!(agree(&one, &status("uid 00000000-69ba-4366-befd-cbcd966f4775 is wrong")));
        assert!(!agree(&one, &status("uid 15ee43bd-69ba-4366-befd-cbcd966f477 is wrong")));
        let quoted = status("spec.template: Invalid value: {\"labels\":{\"a\":\"b\"},\"Spec\":{}}: field is immutable");
        assert!(agree(&quoted, &status("spec.template: Invalid value: field is immutable")));
        let labels = status("x is invalid: [metadata.labels: bad a, metadata.labels: bad b]");
        assert!(agree(&labels, &status("x is invalid: [metadata.labels: bad b, metadata.labels: bad a]")));
        let ports = status("x is invalid: [spec.ports[0].port: bad, spec.type: bad]");
        assert!(
            !agree(&ports, &status("x is invalid: [spec.type: bad, spec.ports[0].port: bad]")),
            "these have an order"
        );
        let patched =
            |object: &str, why: &str| status(&format!(" \"\" is invalid: patch: Invalid value: \"{object}\": {why}"));
        assert!(agree(&patched(r#"{\"a\":1}"#, "bad"), &patched(r#"{\"b\":{}}"#, "bad")));
        assert!(!agree(&patched(r#"{\"a\":1}"#, "bad"), &patched(r#"{\"a\":1}"#, "worse")));
        let policy = "spec.successPolicy: Invalid value: {\"Rules\":[]}: field is immutable";
        let template = "spec.template: Invalid value:";
        let bare = status(&format!("[{template} {{\"Spec\":{{\"a\":\"}}\"}}}}: field is immutable, {policy}]"));
        assert!(agree(&bare, &status(&format!("[{template} field is immutable, {policy}]"))));
        assert!(!agree(&bare, &status(&format!("[{template} field is immutable]"))), "the policy is compared");
        let selector = status("spec.selector: Invalid value: {\"matchLabels\":{\"a\":\"b\"}}: field is immutable");
        assert!(!agree(&selector, &status("spec.selector: Invalid value: field is immutable")));
        assert!(agree(&status("may not change\n@@ -1,7 +1,7 @@\n x"), &status("may not change")));
        let both = status("[may not change\n@@ -1,7 +1,7 @@\n x\n-y\n, nor that]");
        assert!(agree(&both, &status("[may not change, nor that]")));
        assert!(!agree(&both, &status("[may not change]")));
        let version = status("the ResourceVersion in the precondition (1) is not the ResourceVersion in record (812).");
        assert!(agree(&version, &status(&version.message.replace("812", "7"))));
        assert!(!agree(&version, &status(&version.message.replace("(1)", "(2)"))), "the wanted one is compared");
        let mount = status("spec.containers[0].volumeMounts[0].name: Not found: \"kube-api-access-lgn5l\"");
        assert!(agree(&mount, &status(&mount.message.replace("lgn5l", "7jjgl"))));
        assert!(!agree(&mount, &status(&mount.message.replace("lgn5l", "lgn5l-b"))), "somebody's own volume");
    }
}
