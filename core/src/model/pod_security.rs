//! What the levels of the Pod Security Standards have against a pod's spec.
//!
//! Nearly all of it is about fields that nothing else here looks at, so the edge that reads specs says it
//! ([`PodSecurity`]), and admission which of it a namespace's labels forbid. A spec that says nothing of these fields,
//! as most do, takes no memory: what such a spec lacks follows from its containers' names.
//!
//! Source: staging/src/k8s.io/pod-security-admission/policy/{registry,check_*}.go (v1.34.1).

use std::borrow::Cow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::Name;
use crate::model::PodSpec;

/// A run of minor versions of a level, such as 1.8 up to and without 1.25.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Minors {
    /// The first.
    pub from: u16,
    /// The first that is not one of them.
    pub until: u16,
}

impl Minors {
    /// None at all.
    pub const NONE: Minors = Minors { from: 0, until: 0 };

    /// All from one on.
    pub const fn since(from: u16) -> Minors {
        Minors { from, until: u16::MAX }
    }

    /// Those of them that are older than one.
    pub const fn before(self, until: u16) -> Minors {
        Minors { from: self.from, until }
    }

    fn has(self, minor: u16) -> bool {
        (self.from..self.until).contains(&minor)
    }
}

/// Whose spec fails a check. Of a pod the API server fills in more than of a template, so that a check may fail of the
/// pods alone, or of both in different words.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Judged {
    /// That of the template and that of the pods made from it.
    #[default]
    Both,
    /// That of a pod.
    Pod,
    /// That of a template.
    Template,
}

/// A check that a spec fails.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Violation {
    /// The versions of the level `baseline` that check it.
    pub baseline: Minors,
    /// The versions of the level `restricted` that check it.
    pub restricted: Minors,
    /// Whose spec fails it.
    pub judged: Judged,
    /// In short, and in detail in brackets.
    pub said: Name,
}

/// What is told of pods has the hash that it had before there were words for templates, so that fingerprints stay.
impl Hash for Violation {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.baseline, self.restricted, &self.said).hash(state);
        if self.judged == Judged::Template {
            true.hash(state);
        }
    }
}

impl Violation {
    /// One of pods and templates that is told in short and in detail.
    pub fn new((baseline, restricted): Levels, (short, detail): Failure) -> Violation {
        Violation { baseline, restricted, judged: Judged::Both, said: format!("{short} ({detail})").into() }
    }

    /// It is told without its detail where several pods are told of together.
    ///
    /// Source: `AggregateCheckResult.ForbiddenReason`,
    /// staging/src/k8s.io/pod-security-admission/policy/checks.go (v1.34.1).
    pub fn short(said: &str) -> &str {
        said.split_once(" (").map_or(said, |(short, _)| short)
    }
}

/// A failed check in short and in detail.
pub type Failure = (&'static str, String);
/// The versions of the levels `baseline` and `restricted` that have a check.
pub type Levels = (Minors, Minors);

/// What the levels have against a spec, in the order in which it is told; nothing for a spec that is as plain as can be.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PodSecurity(Option<Arc<Vec<Violation>>>);

/// A spec that says nothing of its security has the hash that it would have without this field, so that fingerprints
/// stay.
impl Hash for PodSecurity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        if let Some(violations) = &self.0 {
            violations.hash(state);
        }
    }
}

impl PodSecurity {
    /// Keeps what was found about a spec with containers of these names (init containers first).
    pub fn of(found: Vec<Violation>, containers: &[&str]) -> PodSecurity {
        PodSecurity((found != of_plain(containers)).then(|| Arc::new(found)))
    }
}

impl PodSpec {
    /// What a version of a level forbids of it as the spec of a pod or of a template: `minor` is that of 1.x, and what
    /// is later than all is the latest.
    pub fn violations(&self, restricted: bool, minor: u16, judged: Judged) -> Vec<Name> {
        let all = match &self.security.0 {
            Some(violations) => Cow::Borrowed(&***violations),
            // The lower level has nothing against it.
            None if !restricted => return Vec::new(),
            None => {
                let names = self.init_containers.iter().chain(&self.containers).map(|container| &*container.name);
                Cow::Owned(of_plain(&names.collect::<Vec<_>>()))
            }
        };
        let minor = minor.min(u16::MAX - 1);
        let told = |it: &&Violation| {
            let versions = if restricted { it.restricted } else { it.baseline };
            versions.has(minor) && (it.judged == Judged::Both || it.judged == judged)
        };
        all.iter().filter(told).map(|violation| violation.said.clone()).collect()
    }
}

/// What the higher level wants of every container, and since when.
pub const ESCALATION: Levels = (Minors::NONE, Minors::since(8));
/// The same of capabilities.
pub const CAPABILITIES: Levels = (Minors::NONE, Minors::since(22));
/// The same of users.
pub const NON_ROOT: Levels = (Minors::NONE, Minors::since(0));
/// The same of system calls.
pub const SECCOMP: Levels = (Minors::NONE, Minors::since(19));

/// What the higher level has against containers that say nothing of their security.
fn of_plain(names: &[&str]) -> Vec<Violation> {
    if names.is_empty() {
        return Vec::new();
    }
    vec![
        Violation::new(ESCALATION, may_escalate(names)),
        Violation::new(CAPABILITIES, (UNRESTRICTED, keep_capabilities(names))),
        Violation::new(NON_ROOT, may_be_root(names)),
        Violation::new(SECCOMP, may_call_all(names)),
    ]
}

/// `container "a"` or `containers "a", "b"`.
pub fn listed(what: &str, names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    format!("{what}{} {}", if names.len() == 1 { "" } else { "s" }, quoted.join(", "))
}

/// Containers that may get more rights than they begin with.
pub fn may_escalate(names: &[&str]) -> Failure {
    let who = listed("container", names);
    ("allowPrivilegeEscalation != false", format!("{who} must set securityContext.allowPrivilegeEscalation=false"))
}

/// How it is called that containers have capabilities which they should not.
pub const UNRESTRICTED: &str = "unrestricted capabilities";

/// Containers that do not give up all capabilities.
pub fn keep_capabilities(names: &[&str]) -> String {
    format!(r#"{} must set securityContext.capabilities.drop=["ALL"]"#, listed("container", names))
}

/// Containers that may run as root, because neither they nor their pod say otherwise.
pub fn may_be_root(names: &[&str]) -> Failure {
    let who = listed("container", names);
    ("runAsNonRoot != true", format!("pod or {who} must set securityContext.runAsNonRoot=true"))
}

/// Containers that may make all system calls, because neither they nor their pod say otherwise.
pub fn may_call_all(names: &[&str]) -> Failure {
    let wanted = r#"must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost""#;
    ("seccompProfile", format!("pod or {} {wanted}", listed("container", names)))
}
