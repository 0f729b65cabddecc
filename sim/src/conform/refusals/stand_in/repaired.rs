//! What was there before a PUT that is refused for its own faults: what was written, without the faults.

use serde_json::Value;
use wavetank_core::Core;

use crate::conform::edge::{self, Outcome, Path};

/// How often a fault is mended before one gives up.
const STEPS: usize = 24;

/// The written object with the value of `plain`, or none, in each place that ours would refuse; `None` if that does not
/// make it good.
pub(super) fn repaired(core: &Core, path: &Path, written: &Value, plain: &Value) -> Option<Value> {
    let at = Path { name: String::new(), subresource: String::new(), query: String::new(), ..path.clone() };
    let (mut object, mut last, mut height) = (written.clone(), String::new(), 0);
    for _ in 0..STEPS {
        let message = match edge::translate(core, "POST", &at, "", &object) {
            Outcome::Ask(_) => return Some(object),
            Outcome::Answered(status) if status.code == 422 => status.message,
            _ => return None,
        };
        let field = first_field(&message)?;
        // A place that is still refused is mended by way of what it is a part of.
        height = if message == last { height + 1 } else { 0 };
        last = message;
        let keep = field.len().checked_sub(height).filter(|keep| *keep > 0)?;
        mend(&mut object, plain, &field[..keep]);
    }
    None
}

/// The parts of the path of the first reason's field.
fn first_field(message: &str) -> Option<Vec<String>> {
    let (_, reasons) = message.split_once(" is invalid: ")?;
    let (field, _) = reasons.trim_start_matches('[').split_once(": ")?;
    let mut parts = vec![String::new()];
    let mut inside = false;
    for letter in field.chars() {
        match letter {
            '[' if !inside => (inside, parts) = (true, with_new(parts)),
            ']' if inside => inside = false,
            '.' if !inside => parts.push(String::new()),
            letter => parts.last_mut()?.push(letter),
        }
    }
    Some(parts)
}

fn with_new(mut parts: Vec<String>) -> Vec<String> {
    parts.push(String::new());
    parts
}

/// Gives a place the value that it has in `plain`, or takes it out; of a place that is not there, the nearest that is.
fn mend(object: &mut Value, plain: &Value, field: &[String]) {
    for length in (1..=field.len()).rev() {
        let (place, key) = (&field[..length - 1], &field[length - 1]);
        let good = at(plain, &field[..length]);
        let Some(parent) = place.iter().try_fold(&mut *object, |value, key| child(value, key)) else { continue };
        match (parent, good) {
            (Value::Object(map), Some(good)) => {
                map.insert(key.clone(), good.clone());
                return;
            }
            // Nothing can be without these.
            (Value::Object(map), None) if key == "name" && length > 2 || key == "image" => {
                map.insert(key.clone(), "of-the-stand-in".into());
                return;
            }
            (Value::Object(map), None) if map.contains_key(key) => {
                map.remove(key);
                return;
            }
            (Value::Array(items), good) => {
                let Some(index) = key.parse().ok().filter(|index| *index < items.len()) else { continue };
                match good {
                    Some(good) => items[index] = good.clone(),
                    None => drop(items.remove(index)),
                }
                return;
            }
            _ => {}
        }
    }
}

fn child<'a>(value: &'a mut Value, key: &str) -> Option<&'a mut Value> {
    match value {
        Value::Object(map) => map.get_mut(key),
        Value::Array(items) => items.get_mut(key.parse::<usize>().ok()?),
        _ => None,
    }
}

fn at<'a>(value: &'a Value, field: &[String]) -> Option<&'a Value> {
    field.iter().try_fold(value, |value, key| match value {
        Value::Object(map) => map.get(key),
        Value::Array(items) => items.get(key.parse::<usize>().ok()?),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_place_gets_its_plain_value_or_goes() {
        let plain = json!({"spec": {"containers": [{"name": "c"}]}});
        let mut object = json!({"spec": {"containers": [{"name": "C!", "image": "a"}], "hostname": "-"}});
        let message = r#"Pod "x" is invalid: [spec.containers[0].name: Invalid value: "C!": bad, spec.hostname: bad]"#;
        let field = first_field(message).expect("a field");
        assert_eq!(field, ["spec", "containers", "0", "name"]);
        mend(&mut object, &plain, &field);
        mend(&mut object, &plain, &["spec".to_owned(), "hostname".to_owned(), "deeper".to_owned()]);
        assert_eq!(object, json!({"spec": {"containers": [{"name": "c", "image": "a"}]}}));
        let key = first_field(r#"ConfigMap "x" is invalid: data[a b.c]: Invalid value: "a b.c": bad"#);
        assert_eq!(key, Some(vec!["data".to_owned(), "a b.c".to_owned()]));
    }
}
