//! Expressions: what is refused when they are read, and what they come to.

use super::program::{Compiled, Fault};

fn faults(source: &str) -> Vec<Fault> {
    Compiled::parse(source).expect_err(source)
}

#[test]
fn unknown_names_are_refused_where_they_stand() {
    let cases = [
        ("size(podz) == 1", 6, "unknown variable \"podz\"", Some("pods")),
        ("pods.all(p, q.x == 1)", 13, "unknown variable \"q\"", None),
        ("true && 1 == nodez.size()", 14, "unknown variable \"nodez\"", Some("nodes")),
    ];
    for (source, column, message, suggestion) in cases {
        let faults = faults(source);
        assert_eq!(faults.len(), 1, "{source}: {faults:?}");
        assert_eq!((faults[0].line, faults[0].column), (1, column), "{source}");
        assert!(faults[0].message.starts_with(message), "{source}: {}", faults[0].message);
        assert_eq!(faults[0].suggestion.as_deref(), suggestion, "{source}");
    }
    assert!(faults("deploymnt('web') == 1")[0].message.starts_with("unknown function \"deploymnt\""));
    assert!(faults("'a'.startWith('b')")[0].message.starts_with("unknown method \"startWith\""));
    let duration = &faults("now > duration('90')")[0];
    assert_eq!(duration.message, "expected a duration such as 90s, 1m30s or 500ms, found \"90\"");
    assert!(Compiled::parse("now - duration('-1.5h') > duration('90s')").is_ok());
    assert!(faults("pod('a', 'b')")[0].message.starts_with("pod takes one argument, found 2"));
    assert!(faults("size(pods) ==")[0].message.starts_with("not a CEL expression: "));
}

#[test]
fn variables_of_comprehensions_are_known_inside_them_alone() {
    assert!(Compiled::parse("pods.exists(p, nodes.all(n, n.metadata.name != p.metadata.name))").is_ok());
    assert_eq!(faults("pods.exists(p, true) && p.x == 1").len(), 1);
}

#[test]
fn an_expression_depends_on_the_kinds_that_it_mentions() {
    use wavetank_core::model::Kind;
    let kinds = |source: &str| Compiled::parse(source).unwrap().kinds.into_iter().collect::<Vec<_>>();
    assert_eq!(kinds("size(pods) == 1"), [Kind::Pod]);
    assert_eq!(kinds("size(endpoints('web')) == 1"), [Kind::Service, Kind::EndpointSlice]);
    assert_eq!(kinds("now > duration('5s')"), []);
}

#[test]
fn evidence_names_the_operands_as_they_were_written() {
    let texts =
        |source: &str| Compiled::parse(source).unwrap().operands.into_iter().map(|(text, _)| text).collect::<Vec<_>>();
    assert_eq!(
        texts("deployment(\"web\").status.readyReplicas == 12 && size(endpoints(\"web\")) >= size(pods)"),
        ["deployment(\"web\").status.readyReplicas", "size(endpoints(\"web\"))", "size(pods)"]
    );
    assert_eq!(texts("!ready(node('a'))"), ["ready(node('a'))"]);
    assert_eq!(texts("pods.all(p, ready(p))"), ["size(pods)"]);
}
