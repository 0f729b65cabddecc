//! Writing a run's fingerprint into its scenario file: one line, all others stay as they are.

/// The text with `spec.fingerprint` set, or why that must be done by hand.
///
/// A line that pins is rewritten; otherwise one is added as the first of `spec`. Only files in block style can be
/// edited, as `spec:` must have a line of its own.
pub(super) fn pinned(text: &str, fingerprint: &str) -> Result<String, &'static str> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let Some(spec) = lines.iter().position(|line| line.trim_end() == "spec:") else {
        return Err("there is no line `spec:`; set spec.fingerprint by hand");
    };
    let indent = |line: &str| line.len() - line.trim_start().len();
    let content = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let Some(depth) = lines[spec + 1..].iter().find(|line| content(line)).map(|line| indent(line)) else {
        return Err("spec is empty; set spec.fingerprint by hand");
    };
    let pin = format!("{}fingerprint: \"{fingerprint}\"\n", " ".repeat(depth));
    let within = lines[spec + 1..].iter().take_while(|line| !content(line) || indent(line) >= depth).count();
    let own = |line: &&str| indent(line) == depth && line.trim_start().starts_with("fingerprint:");
    let mut edited: Vec<&str> = lines.clone();
    match lines[spec + 1..spec + 1 + within].iter().position(own) {
        Some(place) => edited[spec + 1 + place] = &pin,
        None => edited.insert(spec + 1, &pin),
    }
    Ok(edited.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_added_and_rewritten_and_nothing_else_changes() {
        let text = "kind: Scenario\nspec:\n  # why\n  seed: 1\n  expect:\n    - {name: fingerprint}\n";
        let once = pinned(text, "0123456789abcdef").unwrap();
        assert_eq!(once, text.replace("spec:\n", "spec:\n  fingerprint: \"0123456789abcdef\"\n"));
        let twice = pinned(&once, "fedcba9876543210").unwrap();
        assert_eq!(twice, once.replace("0123456789abcdef", "fedcba9876543210"));
    }

    #[test]
    fn what_cannot_be_edited_by_lines_is_left_alone() {
        assert!(pinned("{kind: Scenario, spec: {seed: 1}}", "0123456789abcdef").is_err());
        assert!(pinned("spec:\n", "0123456789abcdef").is_err());
    }
}
