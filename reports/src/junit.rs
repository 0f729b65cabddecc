//! JUnit XML, for the test views of build servers: one suite, one case per scenario.
//!
//! The dialect is the one that Jenkins, GitLab and GitHub actions read: `testsuites`, `testsuite`, `testcase`,
//! `failure` and `error`. Absent on purpose: time stamps and host names.

use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

/// What became of one scenario.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScenarioOutcome {
    /// The scenario's name.
    pub scenario: String,
    /// Its file, as the user named it.
    pub file: String,
    /// Wall-clock time that it took, in seconds; left out of the file when `None`, for files that must not vary.
    pub seconds: Option<f64>,
    /// Expectations that were broken.
    pub failures: Vec<Failure>,
    /// Why it could not be run at all.
    pub error: Option<String>,
}

/// A broken expectation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The expectation's name.
    pub expectation: String,
    /// What was found, with its time and values.
    pub message: String,
}

/// The XML document of a suite called `suite`.
///
/// Characters that XML cannot write become U+FFFD.
///
/// # Errors
/// None in practice: writing into memory fails only when memory runs out.
pub fn render(suite: &str, outcomes: &[ScenarioOutcome]) -> io::Result<String> {
    let mut bytes = Vec::new();
    let mut writer = Writer::new_with_indent(&mut bytes, b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let count = |test: fn(&ScenarioOutcome) -> bool| outcomes.iter().filter(|one| test(one)).count().to_string();
    let failures = count(|one| one.error.is_none() && !one.failures.is_empty());
    let errors = count(|one| one.error.is_some());
    let tests = outcomes.len().to_string();
    let totals = [("tests", tests.as_str()), ("failures", &failures), ("errors", &errors)];
    writer.create_element("testsuites").with_attributes(totals).write_inner_content(|writer| {
        let name = clean(suite);
        let suite = writer.create_element("testsuite").with_attribute(("name", name.as_str())).with_attributes(totals);
        suite.write_inner_content(|writer| outcomes.iter().try_for_each(|outcome| write_case(writer, outcome)))?;
        Ok(())
    })?;
    bytes.push(b'\n');
    Ok(String::from_utf8(bytes).expect("the writer was given strings"))
}

fn write_case(writer: &mut Writer<&mut Vec<u8>>, outcome: &ScenarioOutcome) -> io::Result<()> {
    let (name, file) = (clean(&outcome.scenario), clean(&outcome.file));
    let mut case = writer.create_element("testcase").with_attributes([
        ("name", name.as_str()),
        ("classname", file.as_str()),
        ("file", file.as_str()),
    ]);
    if let Some(seconds) = outcome.seconds {
        case = case.with_attribute(("time", format!("{seconds:.3}").as_str()));
    }
    if outcome.error.is_none() && outcome.failures.is_empty() {
        case.write_empty()?;
        return Ok(());
    }
    case.write_inner_content(|writer| {
        if let Some(error) = &outcome.error {
            write_problem(writer, "error", "the scenario could not be run", error)?;
        }
        outcome.failures.iter().try_for_each(|one| write_problem(writer, "failure", &one.expectation, &one.message))
    })?;
    Ok(())
}

fn write_problem(writer: &mut Writer<&mut Vec<u8>>, element: &str, message: &str, text: &str) -> io::Result<()> {
    let (message, text) = (clean(message), clean(text));
    writer
        .create_element(element)
        .with_attribute(("message", message.as_str()))
        .write_text_content(BytesText::new(&text))?;
    Ok(())
}

/// Replaces what XML 1.0 has no way to write.
fn clean(text: &str) -> String {
    let is_control = |letter: char| matches!(letter, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}');
    let allowed = |letter: char| !is_control(letter) && !matches!(letter, '\u{fffe}' | '\u{ffff}');
    text.chars().map(|letter| if allowed(letter) { letter } else { '\u{fffd}' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_tells_what_held_what_broke_and_what_could_not_run() {
        let held = ScenarioOutcome {
            scenario: "quiet".into(),
            file: "a.yaml".into(),
            seconds: Some(0.25),
            ..Default::default()
        };
        let failures =
            vec![Failure { expectation: "ready >= 10".into(), message: "9 < 10 & falling \u{1b}[0m".into() }];
        let broken =
            ScenarioOutcome { scenario: "node \"dies\"".into(), file: "b.yaml".into(), failures, ..Default::default() };
        let unrun = ScenarioOutcome {
            scenario: "typo".into(),
            file: "c.yaml".into(),
            error: Some("line 3".into()),
            ..Default::default()
        };
        let expected = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="3" failures="1" errors="1">
  <testsuite name="scenarios" tests="3" failures="1" errors="1">
    <testcase name="quiet" classname="a.yaml" file="a.yaml" time="0.250"/>
    <testcase name="node &quot;dies&quot;" classname="b.yaml" file="b.yaml">
      <failure message="ready &gt;= 10">9 &lt; 10 &amp; falling �[0m</failure>
    </testcase>
    <testcase name="typo" classname="c.yaml" file="c.yaml">
      <error message="the scenario could not be run">line 3</error>
    </testcase>
  </testsuite>
</testsuites>
"#;
        assert_eq!(render("scenarios", &[held, broken, unrun]).unwrap(), expected);
    }
}
