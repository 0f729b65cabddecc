//! Pods that could be any of their owner's.

use super::{Teller, reason_only};
use crate::conform::line::Line;

impl Teller {
    /// A pod that could be any of its owner's: it adds to the owner's count, and its life to the lives.
    pub(super) fn like_pod(&mut self, subject: &str, before: Option<&Line>, line: &Line) {
        let (_, life) = self.lives.entry(line.name.clone()).or_insert_with(|| (subject.to_owned(), Vec::new()));
        let mut words: Vec<String> = Vec::new();
        let had = |test: fn(&Line) -> bool| before.is_some_and(test);
        let ready = |line: &Line| {
            let conditions = line.fields.get("conditions");
            conditions.and_then(|all| all["Ready"].as_str()).is_some_and(|text| text.starts_with("True"))
        };
        let terminating = |line: &Line| line.fields.contains_key("deletionTimestamp");
        if before.is_none() && line.is_added() {
            words.push("created".to_owned());
        }
        if !had(|line| !line.text("nodeName").is_empty()) && !line.text("nodeName").is_empty() {
            words.push("bound".to_owned());
        }
        if terminating(line) && !had(terminating) && !line.is_deleted() {
            words.push("deletion requested".to_owned());
        }
        let phase = line.text("phase");
        if before.is_some_and(|before| before.text("phase") != phase) {
            words.push(phase.to_owned());
        }
        if ready(line) != had(ready) && (ready(line) || !terminating(line)) {
            words.push(if ready(line) { "Ready" } else { "not Ready" }.to_owned());
        }
        let disruption = |line: &Line| {
            let conditions = line.fields.get("conditions")?;
            conditions["DisruptionTarget"].as_str().map(reason_only)
        };
        if let Some(disruption) = disruption(line).filter(|_| before.is_none_or(|before| disruption(before).is_none()))
        {
            words.push(format!("DisruptionTarget {disruption}"));
        }
        if line.is_deleted() {
            words.push("gone".to_owned());
        }
        life.extend(words.iter().cloned());
        for word in words.iter().filter(|word| matches!(word.as_str(), "created" | "deletion requested")) {
            self.push(line, format!("{subject} {word}"), word.clone());
        }
        if before.and_then(|before| before.fields.get("owner")) != line.fields.get("owner") {
            let owner = self.names.of_reference(line.text("owner"), line.namespace());
            if before.is_some() {
                self.push(line, format!("{subject} owner"), owner);
            }
        }
    }
}
