//! The syntax of names, labels, ports and percentages, with the API server's words for what is wrong.
//!
//! Each function gives one text per fault, none for a good value.
//!
//! Source: staging/src/k8s.io/apimachinery/pkg/util/validation/validation.go, v1.34.

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const QUALIFIED: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";

/// A function of this module.
pub(super) type Check = fn(&str) -> Vec<String>;

/// The beginning of a generated name, which may end with a dash. As in the API server, the letter before the dash goes
/// with it.
pub(super) fn without_trailing_dash(prefix: &str) -> String {
    match prefix.strip_suffix('-') {
        Some(rest) if !rest.is_empty() => {
            let mut letters = rest.chars();
            letters.next_back();
            format!("{}a", letters.as_str())
        }
        _ => prefix.to_owned(),
    }
}

/// RFC 1123 label: a namespace's, container's or port's name.
pub(super) fn dns_label(value: &str) -> Vec<String> {
    let mut faults = longer_than(value, 63);
    if !is_label(value) {
        faults.push(if is_subdomain(value) {
            "must not contain dots".to_owned()
        } else {
            let rule = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
                        start and end with an alphanumeric character";
            pattern(rule, LABEL, &["my-name", "123-abc"])
        });
    }
    faults
}

/// RFC 1123 subdomain: most objects' names.
pub(super) fn dns_subdomain(value: &str) -> Vec<String> {
    let mut faults = longer_than(value, 253);
    if !is_subdomain(value) {
        let rule = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and \
                    must start and end with an alphanumeric character";
        faults.push(pattern(rule, &format!("{LABEL}(\\.{LABEL})*"), &["example.com"]));
    }
    faults
}

/// A domain to search in, whose parts may begin with an underscore.
pub(super) fn dns_subdomain_with_underscore(value: &str) -> Vec<String> {
    let is_part = |part: &str| {
        let bytes = part.strip_prefix('_').unwrap_or(part).as_bytes();
        let ends = bytes.first().is_some_and(|&b| is_label_byte(b)) && bytes.last().is_some_and(|&b| is_label_byte(b));
        ends && bytes.iter().all(|&byte| is_label_byte(byte) || matches!(byte, b'-' | b'_'))
    };
    let mut faults = longer_than(value, 253);
    if !value.split('.').all(is_part) {
        let rule = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or \
                    '.', and must start and end with an alphanumeric character";
        let label = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?";
        faults.push(pattern(rule, &format!("{label}(\\.{label})*"), &["example.com"]));
    }
    faults
}

/// A domain name of at least two parts; a dot may end it.
pub(super) fn domain_name(value: &str) -> Vec<String> {
    let value = value.strip_suffix('.').unwrap_or(value);
    let faults = dns_subdomain(value);
    if !faults.is_empty() {
        return vec![faults.join(",")];
    }
    if !value.contains('.') {
        return vec!["should be a domain with at least two segments separated by dots".to_owned()];
    }
    Vec::new()
}

/// RFC 1035 label: a Service's name, which must begin with a letter.
pub(super) fn dns_1035_label(value: &str) -> Vec<String> {
    let mut faults = longer_than(value, 63);
    if !(is_label(value) && value.starts_with(|first: char| first.is_ascii_lowercase())) {
        let rule = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an \
                    alphabetic character, and end with an alphanumeric character";
        faults.push(pattern(rule, "[a-z]([-a-z0-9]*[a-z0-9])?", &["my-name", "abc-123"]));
    }
    faults
}

/// A name that can stand in a path.
pub(super) fn path_segment(value: &str) -> Vec<String> {
    if matches!(value, "." | "..") {
        return vec![format!("may not be '{value}'")];
    }
    ["/", "%"].iter().filter(|mark| value.contains(**mark)).map(|mark| format!("may not contain '{mark}'")).collect()
}

/// A label's or annotation's key: a name with an optional subdomain and slash before it.
pub(super) fn qualified_name(value: &str) -> Vec<String> {
    let rule = || {
        let rule = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
                    alphanumeric character";
        pattern(rule, QUALIFIED, &["MyName", "my.name", "123-abc"])
    };
    let parts: Vec<&str> = value.split('/').collect();
    let mut faults = Vec::new();
    let name = match parts.as_slice() {
        [name] => name,
        [prefix, name] => {
            if prefix.is_empty() {
                faults.push("prefix part must be non-empty".to_owned());
            } else {
                faults.extend(dns_subdomain(prefix).into_iter().map(|fault| format!("prefix part {fault}")));
            }
            name
        }
        _ => {
            let rest = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
            return vec![format!("a qualified name {} {rest}", rule())];
        }
    };
    if name.is_empty() {
        faults.push("name part must be non-empty".to_owned());
    } else {
        faults.extend(longer_than(name, 63).into_iter().map(|fault| format!("name part {fault}")));
    }
    if !is_qualified(name) {
        faults.push(format!("name part {}", rule()));
    }
    faults
}

/// A label's value.
pub(super) fn label_value(value: &str) -> Vec<String> {
    let mut faults = longer_than(value, 63);
    if !(value.is_empty() || is_qualified(value)) {
        let rule = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and \
                    must start and end with an alphanumeric character";
        faults.push(pattern(rule, &format!("({QUALIFIED})?"), &["MyValue", "my_value", "12345"]));
    }
    faults
}

/// What is wrong with the key of a label.
pub fn label_key_faults(key: &str) -> Vec<String> {
    qualified_name(key)
}

/// What is wrong with the value of a label.
pub fn label_value_faults(value: &str) -> Vec<String> {
    label_value(value)
}

/// The name of a header of HTTP.
pub(super) fn http_header(value: &str) -> Vec<String> {
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Vec::new();
    }
    let rule = "a valid HTTP header must consist of alphanumeric characters or '-'";
    vec![pattern(rule, "[-A-Za-z0-9]+", &["X-Header-Name"])]
}

/// A port's name.
pub(super) fn port_name(value: &str) -> Vec<String> {
    let mut faults = longer_than(value, 15);
    if value.is_empty() || !value.bytes().all(|byte| is_label_byte(byte) || byte == b'-') {
        faults.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned());
    }
    if !value.bytes().any(|byte| byte.is_ascii_lowercase()) {
        faults.push("must contain at least one letter (a-z)".to_owned());
    }
    if value.contains("--") {
        faults.push("must not contain consecutive hyphens".to_owned());
    }
    if value.starts_with('-') || value.ends_with('-') {
        faults.push("must not begin or end with a hyphen".to_owned());
    }
    faults
}

/// A port's number.
pub(super) fn port_number(port: i32) -> Vec<String> {
    in_range(i64::from(port), 1, 65535)
}

/// A number between two bounds, both included.
pub(super) fn in_range(value: i64, min: i64, max: i64) -> Vec<String> {
    if (min..=max).contains(&value) { Vec::new() } else { vec![format!("must be between {min} and {max}, inclusive")] }
}

/// A percentage such as `25%`.
pub(super) fn percent(value: &str) -> Vec<String> {
    if percent_value(value).is_some() {
        return Vec::new();
    }
    let rule = "a valid percent string must be a numeric string followed by an ending '%'";
    vec![pattern(rule, "[0-9]+%", &["1%", "93%"])]
}

/// The number in a percentage; capped, so that absurdly long ones stay large.
pub(super) fn percent_value(value: &str) -> Option<u64> {
    let digits = value.strip_suffix('%')?;
    let numeric = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    numeric.then(|| digits.parse().unwrap_or(u64::MAX))
}

/// A key of a ConfigMap or Secret.
pub(super) fn config_key(value: &str) -> Vec<String> {
    let mut faults = longer_than(value, 253);
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
        let rule = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'";
        faults.push(pattern(rule, "[-._a-zA-Z0-9]+", &["key.name", "KEY_NAME", "key-name"]));
    }
    match value {
        "." | ".." => faults.push(format!("must not be '{value}'")),
        other if other.starts_with("..") => faults.push("must not start with '..'".to_owned()),
        _ => {}
    }
    faults
}

/// An environment variable's name.
pub(super) fn environment_name(value: &str) -> Vec<String> {
    if value.chars().all(|c| (c.is_ascii_graphic() || c == ' ') && c != '=') {
        return Vec::new();
    }
    vec!["a valid environment variable name must consist only of printable ASCII characters other than '='".to_owned()]
}

fn longer_than(value: &str, max: usize) -> Vec<String> {
    if value.len() > max { vec![format!("must be no more than {max} characters")] } else { Vec::new() }
}

/// A rule with examples and its regular expression, as the API server words it.
fn pattern(rule: &str, regex: &str, examples: &[&str]) -> String {
    let examples: Vec<String> = examples.iter().map(|example| format!("'{example}', ")).collect();
    format!("{rule} (e.g. {}regex used for validation is '{regex}')", examples.join(" or "))
}

fn is_label_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn is_label(value: &str) -> bool {
    let bytes = value.as_bytes();
    let ends = bytes.first().is_some_and(|&b| is_label_byte(b)) && bytes.last().is_some_and(|&b| is_label_byte(b));
    ends && bytes.iter().all(|&byte| is_label_byte(byte) || byte == b'-')
}

fn is_subdomain(value: &str) -> bool {
    value.split('.').all(is_label)
}

fn is_qualified(value: &str) -> bool {
    let bytes = value.as_bytes();
    let ends =
        bytes.first().is_some_and(u8::is_ascii_alphanumeric) && bytes.last().is_some_and(u8::is_ascii_alphanumeric);
    ends && bytes.iter().all(|&byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}
