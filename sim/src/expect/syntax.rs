//! What the parser of CEL says of a text that is no expression, in plain words.

use super::program::Fault;

/// The parser's mistake with its place.
pub(super) fn fault(error: &cel::ParseError) -> Fault {
    let line = u32::try_from(error.pos.0).unwrap_or(1).max(1);
    // The parser counts columns from 0.
    let column = u32::try_from(error.pos.1).unwrap_or(0) + 1;
    let message = error.msg.strip_prefix("Syntax error: ").unwrap_or(&error.msg);
    Fault { line, column, message: format!("not a CEL expression: {}", plain(message)), suggestion: None }
}

/// The parser lists every kind of token that could stand at a place; one is worth telling, many are not.
fn plain(message: &str) -> String {
    let found = ["mismatched input ", "extraneous input "].iter().find_map(|start| message.strip_prefix(start));
    let found = found.and_then(|rest| rest.split_once(" expecting "));
    let missing = || message.strip_prefix("missing ")?.split_once(" at ").map(|(expected, found)| (found, expected));
    let Some((found, expected)) = found.or_else(missing) else {
        return message.to_owned();
    };
    let expected = match expected {
        "<EOF>" => "nothing more".to_owned(),
        _ if expected.starts_with('{') => "a value, such as size(pods) or 12".to_owned(),
        _ => expected.to_owned(),
    };
    let found = if found == "'<EOF>'" { "its end" } else { found };
    format!("expected {expected}, found {found}")
}

#[cfg(test)]
mod tests {
    use super::super::program::Compiled;

    #[test]
    fn a_mistake_of_syntax_is_told_in_plain_words() {
        for (source, told) in [
            ("", "not a CEL expression: expected a value, such as size(pods) or 12, found its end"),
            ("size(pods) ==", "not a CEL expression: expected a value, such as size(pods) or 12, found its end"),
            ("size(pods) == 1 2", "not a CEL expression: expected nothing more, found '2'"),
            ("size(pods", "not a CEL expression: expected ')', found its end"),
        ] {
            let faults = Compiled::parse(source).expect_err(source);
            assert_eq!(faults[0].message, told, "{source}");
        }
    }
}
