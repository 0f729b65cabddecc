//! Values in base64, read and refused as Go's decoder does it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::strict::Error;
use crate::yaml::{Node, Value};

/// Checks the values of an object's fields that hold base64, and takes out line breaks, which the decoder passes over.
///
/// Source: `Encoding.decodeQuantum` of Go's encoding/base64, by way of encoding/json.
pub(in crate::kubernetes) fn check_values(file: &str, kind: &str, document: &mut Node) -> Vec<Error> {
    let field = match kind {
        "Secret" => "data",
        "ConfigMap" => "binaryData",
        _ => return Vec::new(),
    };
    let mut errors = Vec::new();
    let Value::Map(entries) = &mut document.value else { return errors };
    let Some((_, node)) = entries.iter_mut().find(|(key, _)| key.text == field) else { return errors };
    let Value::Map(values) = &mut node.value else { return errors };
    for (key, value) in values {
        // Go reads bytes from a list of numbers as well.
        if let Value::Seq(items) = &value.value
            && let Some(bytes) = items.iter().map(byte).collect::<Option<Vec<u8>>>()
        {
            value.value = Value::String(STANDARD.encode(bytes));
        }
        let Value::String(text) = &mut value.value else { continue };
        if let Some(offset) = fault(text) {
            let message = format!("illegal base64 data at input byte {offset}");
            errors.push(Error::new(file, value.span.start(), &format!("{field}[{}]", key.text), message));
        } else if text.contains(['\r', '\n']) {
            text.retain(|letter| !matches!(letter, '\r' | '\n'));
        }
    }
    errors
}

fn byte(node: &Node) -> Option<u8> {
    match node.value {
        Value::Int(number) => u8::try_from(number).ok(),
        Value::Null => Some(0),
        _ => None,
    }
}

/// Where a text ceases to be base64: the byte that Go's decoder names. `None` if it is base64.
fn fault(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let is_break = |byte: u8| matches!(byte, b'\r' | b'\n');
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let (mut at, mut group) = (0, 0);
    while at < bytes.len() {
        let byte = bytes[at];
        at += 1;
        if is_break(byte) {
            continue;
        }
        if is_letter(byte) {
            group = (group + 1) % 4;
            continue;
        }
        if byte != b'=' || group < 2 {
            return Some(at - 1);
        }
        if group == 2 {
            while at < bytes.len() && is_break(bytes[at]) {
                at += 1;
            }
            if at == bytes.len() {
                return Some(at);
            }
            if bytes[at] != b'=' {
                return Some(at - 1);
            }
            at += 1;
        }
        while at < bytes.len() && is_break(bytes[at]) {
            at += 1;
        }
        return (at < bytes.len()).then_some(at);
    }
    // A last group that is not whole is missed where it began.
    (group > 0).then(|| bytes.len() - group)
}

#[cfg(test)]
mod tests {
    use super::fault;

    #[test]
    fn a_fault_is_where_go_finds_it() {
        for (text, expected) in [
            ("", None),
            ("YWJj", None),
            ("YWI=", None),
            ("YQ==", None),
            ("YW\nJj\n", None),
            ("!", Some(0)),
            ("not base64", Some(3)),
            ("YQ=", Some(3)),
            ("YQ=a", Some(2)),
            ("YWI=YWI=", Some(4)),
            ("YWJjY", Some(4)),
            ("YWJjYWI", Some(4)),
            ("Y===", Some(1)),
        ] {
            assert_eq!(fault(text), expected, "{text:?}");
        }
    }
}
