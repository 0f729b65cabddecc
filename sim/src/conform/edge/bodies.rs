//! Bodies that cannot be read at all: of which kind of which version they are is not to be found out.
//!
//! Source: `transformDecodeError`, `summarizeData`,
//! staging/src/k8s.io/apiserver/pkg/endpoints/handlers/{response,rest}.go;
//! `SimpleMetaFactory.Interpret`, staging/src/k8s.io/apimachinery/pkg/runtime/serializer/json/meta.go (v1.34.1).

use serde_json::Value;

use super::{Path, Status, options};

/// The Go type that is read first of every body.
const HEADER: &str =
    r#"struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }"#;

/// How many bytes of a body are shown.
const SHOWN_BYTES: usize = 30;

/// What is said to a body of which no kind can be read, where one of `kind` is expected. The request's options come
/// first.
pub(super) fn unrecognized(method: &str, path: &Path, kind: &str, body: &Value) -> Option<Status> {
    let why = header_fault(body)?;
    let options = options::fault(path, if method == "POST" { "CreateOptions" } else { "UpdateOptions" });
    Some(options.unwrap_or_else(|| {
        let shown = summary(body);
        Status::bad_request(format!("the object provided is unrecognized (must be of type {kind}): {why} ({shown})"))
    }))
}

/// Why neither kind nor version can be read of a body; no body is `null`.
pub(super) fn header_fault(body: &Value) -> Option<String> {
    let why = match body {
        Value::Null => "unexpected end of JSON input".to_owned(),
        Value::Object(fields) => {
            let is_wrong = |field: &&str| fields.get(*field).is_some_and(|it| !it.is_string() && !it.is_null());
            let field = ["apiVersion", "kind"].into_iter().find(is_wrong)?;
            let found = go_type(&fields[field]);
            format!("json: cannot unmarshal {found} into Go struct field .{field} of type string")
        }
        other => format!("json: cannot unmarshal {} into Go value of type {HEADER}", go_type(other)),
    };
    Some(format!("couldn't get version/kind; json parse error: {why}"))
}

/// What Go's reader calls a value.
pub(super) fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The beginning of a body: as text if it is an object, or else in hexadecimal.
fn summary(body: &Value) -> String {
    let text = spaced(body);
    let bytes = text.as_bytes();
    let shown = &bytes[..bytes.len().min(SHOWN_BYTES)];
    let shown = match body {
        Value::Null => return "<empty>".to_owned(),
        Value::Object(_) => String::from_utf8_lossy(shown).into_owned(),
        _ => shown.iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    if bytes.len() > SHOWN_BYTES { format!("{shown} ...") } else { shown }
}

/// JSON as clients write it: with a space after each colon and comma.
fn spaced(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(spaced).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let pair = |(key, value): (&String, &Value)| format!("{}: {}", Value::from(key.as_str()), spaced(value));
            format!("{{{}}}", fields.iter().map(pair).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_body_that_tells_no_kind_is_refused_with_its_beginning() {
        let said = |body: Value| unrecognized("POST", &Path::default(), "Pod", &body).map(|status| status.message);
        let start =
            "the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: ";
        assert_eq!(said(Value::Null), Some(format!("{start}unexpected end of JSON input (<empty>)")));
        let array = format!("{start}json: cannot unmarshal array into Go value of type {HEADER} (5b5d)");
        assert_eq!(said(json!([])), Some(array));
        let field = r#"json: cannot unmarshal number into Go struct field .kind of type string ({"kind": 3})"#;
        assert_eq!(said(json!({"kind": 3})), Some(format!("{start}{field}")));
        let long = said(json!("x".repeat(40))).expect("text is no object");
        assert!(long.ends_with(&format!("(22{} ...)", "78".repeat(29))), "{long}");
        assert_eq!(said(json!({"kind": null})), None);
        let path = Path { query: "dryRun=x".to_owned(), ..Path::default() };
        let options = unrecognized("PUT", &path, "Pod", &json!(1)).expect("it is refused");
        assert!(options.message.starts_with("UpdateOptions.meta.k8s.io"), "{}", options.message);
    }
}
