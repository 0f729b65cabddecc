//! What components said of objects, as events.

use serde_json::Value;

use super::Teller;
use crate::conform::line::Line;
use crate::conform::unfit;

impl Teller {
    pub(super) fn event(&mut self, line: &Line) {
        if self.is_race_of_repair(line) {
            return;
        }
        let on = self.names.of_reference(line.text("on"), line.namespace());
        let on = if on.starts_with("Node/") { line.text("on").to_owned() } else { on };
        let said = format!("{} {}", line.text("etype"), line.text("reason"));
        if on.ends_with("-*") && line.text("reason") != "FailedScheduling" {
            self.push(line, format!("{on} said {said}"), "said".to_owned());
            return;
        }
        // Repeats of a scenario have namespaces of their own.
        let message = match line.namespace() {
            "" => line.text("message").to_owned(),
            namespace => line.text("message").replace(&format!("{namespace}/"), ""),
        };
        let message = without_uids(&self.names.in_text(&message));
        let message = unfit::levelled(&without_node_number(&message));
        let count = line.fields.get("count").and_then(Value::as_u64).filter(|count| *count > 1);
        let count = count.map(|count| format!(" x{count}")).unwrap_or_default();
        self.push(line, format!("{on} said {said}"), format!("{message}{count}"));
    }

    /// Whether a line is a warning of the loops that repair the allocation of addresses and node ports about a Service
    /// that has what is said not to be allocated: the loop was shown the Service before the allocation.
    ///
    /// Source: `syncService`, pkg/registry/core/service/ipallocator/controller/repairip.go; `doRunOnce`,
    /// pkg/registry/core/service/portallocator/controller/repair.go (v1.34.1).
    fn is_race_of_repair(&self, line: &Line) -> bool {
        let repairs = matches!(line.text("reason"), "ClusterIPNotAllocated" | "PortNotAllocated");
        let words: Vec<&str> = line.text("message").split([' ', ';']).collect();
        let Some((_, name)) = line.text("on").split_once('/').filter(|_| repairs) else { return false };
        let service = self.seen.get(&("Service".to_owned(), format!("{}/{name}", line.namespace())));
        let Some(spec) = service.and_then(|service| service.fields.get("spec")) else { return false };
        let addresses = spec["clusterIPs"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let ports = spec["ports"].as_array().into_iter().flatten().map(|port| port["nodePort"].to_string());
        addresses.map(str::to_owned).chain(ports).any(|allocated| words.contains(&allocated.as_str()))
    }
}

/// A text with `…` for each uid in it, which are drawn.
fn without_uids(text: &str) -> String {
    let level = |word: &str| if is_uid(word) { "…".to_owned() } else { word.to_owned() };
    text.split(' ').map(level).collect::<Vec<_>>().join(" ")
}

/// Whether a word has the form of a uid: `01234567-89ab-cdef-0123-456789abcdef`.
fn is_uid(word: &str) -> bool {
    let parts = word.split('-').map(|part| part.bytes().all(|it| it.is_ascii_hexdigit()).then_some(part.len()));
    parts.eq([8, 4, 4, 4, 12].map(Some))
}

/// Which of several like nodes a pod was assigned to is drawn: nodes of one name but for its number count as alike.
fn without_node_number(message: &str) -> String {
    match message.rsplit_once(" to ") {
        Some((start, node)) if start.starts_with("Successfully assigned") => {
            format!("{start} to {}*", node.trim_end_matches(|letter: char| letter.is_ascii_digit()))
        }
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_in_texts_are_alike_and_other_words_are_kept() {
        let said = "Preempted by pod 560c88a5-2a65-4285-917a-c9c9408af82d on node till-7f-0";
        assert_eq!(without_uids(said), "Preempted by pod … on node till-7f-0");
        assert_eq!(without_uids("560c88a5-2a65-4285-917a-c9c9408af82"), "560c88a5-2a65-4285-917a-c9c9408af82");
    }
}
