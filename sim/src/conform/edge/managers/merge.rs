//! A configuration merged into an object, and fields taken out of one.

use serde_json::Value;

use super::paths::{FieldPath, Step, element_step, told};
use super::schema::{self, Shape};

/// Puts what a configuration says over what an object has. Elements that are new come last.
pub(super) fn merge(live: &mut Value, config: &Value) {
    merge_at(live, config, &mut Vec::new());
}

fn merge_at<'a>(live: &mut Value, config: &'a Value, trail: &mut Vec<&'a str>) {
    match (schema::shape(trail, config), live) {
        (Shape::Fields, Value::Object(live)) => {
            for (name, value) in config.as_object().into_iter().flatten() {
                trail.push(name);
                match live.get_mut(name) {
                    Some(there) => merge_at(there, value, trail),
                    None => drop(live.insert(name.clone(), value.clone())),
                }
                trail.pop();
            }
        }
        (Shape::Set, Value::Array(live)) => {
            for member in config.as_array().into_iter().flatten() {
                if !live.contains(member) {
                    live.push(member.clone());
                }
            }
        }
        (Shape::Keyed(keys), Value::Array(live)) => {
            let is_whole = trail.last().is_some_and(|field| schema::is_of_whole(field));
            for element in config.as_array().into_iter().flatten() {
                let step = element_step(keys, element);
                match live.iter_mut().find(|it| element_step(keys, it) == step) {
                    Some(there) if is_whole => *there = element.clone(),
                    Some(there) => {
                        for (name, value) in element.as_object().into_iter().flatten() {
                            trail.push(name);
                            merge_at(&mut there[name], value, trail);
                            trail.pop();
                        }
                    }
                    None => live.push(element.clone()),
                }
            }
        }
        // An empty map or list says nothing of what is in it.
        (Shape::Whole, Value::Object(_)) if config.as_object().is_some_and(serde_json::Map::is_empty) => {}
        (Shape::Whole, Value::Array(there)) if !there.is_empty() && config.as_array().is_some_and(Vec::is_empty) => {}
        (_, live) => *live = config.clone(),
    }
}

/// Takes a field out of an object. What it was in stays, empty perhaps.
pub(super) fn remove(object: &mut Value, path: &FieldPath) {
    let Some((last, above)) = path.0.split_last() else { return };
    let mut place = object;
    for step in above {
        let found = match (step, place) {
            (Step::Field(name), Value::Object(fields)) => fields.get_mut(name),
            (Step::Element(keys), Value::Array(list)) => list.iter_mut().find(|it| is_element(keys, it)),
            _ => None,
        };
        match found {
            Some(found) => place = found,
            None => return,
        }
    }
    match (last, place) {
        (Step::Field(name), Value::Object(fields)) => drop(fields.remove(name)),
        (Step::Element(keys), Value::Array(list)) => list.retain(|it| !is_element(keys, it)),
        (Step::Member(value), Value::Array(list)) => list.retain(|it| told(it) != *value),
        _ => {}
    }
}

fn is_element(keys: &[(&'static str, String)], element: &Value) -> bool {
    keys.iter().all(|(key, value)| told(&schema::key_of(element, key)) == *value)
}
