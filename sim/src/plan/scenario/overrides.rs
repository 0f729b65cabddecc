//! `--set path=value`, and a value of `--matrix`: changes of the tree before it is typed, so that the same reader
//! refuses what is wrong.

use wavetank_manifest::yaml::{self, Duplicates, Key, Position, Span, Value};
use wavetank_manifest::{Error, Errors, Node, nearest};

use super::Inputs;

/// One step of a path.
enum Step<'a> {
    Name(&'a str),
    Index(usize),
}

/// Sets one value, which this option of the command line has given. A key that the file does not have is added; whether
/// such a field exists is the reader's business.
///
/// Errors: a path that leads nowhere, a value that is not YAML.
pub(super) fn apply(tree: &mut Node, (option, setting): (&str, &str)) -> Result<(), Errors> {
    let source = format!("{option} {setting}");
    let refuse = |message: String| Errors::from(Error::new(&source, Position::default(), "", message));
    let Some((path, text)) = setting.split_once('=') else {
        return Err(refuse("expected path=value, such as spec.seed=7".to_owned()));
    };
    let steps = steps(path).ok_or_else(|| refuse(format!("{path:?} is not a path such as spec.nodes[0].count")))?;
    let mut values = yaml::parse(text, Duplicates::Refused).map_err(|error| refuse(error.message))?;
    let mut value = match values.len() {
        0 => Node { value: Value::Null, span: Span::default() },
        1 => values.remove(0),
        _ => return Err(refuse("expected one value".to_owned())),
    };
    forget_places(&mut value);
    let mut node = tree;
    let mut walked = String::new();
    let mut steps = steps.into_iter().peekable();
    while let Some(step) = steps.next() {
        node = match (step, &mut node.value) {
            (Step::Name(name), Value::Map(entries)) => {
                if !walked.is_empty() {
                    walked.push('.');
                }
                walked.push_str(name);
                let place = match entries.iter().position(|(key, _)| key.text == name) {
                    Some(place) => place,
                    None if matches!(steps.peek(), Some(Step::Index(_))) => {
                        let meant = nearest(name, entries.iter().map(|(key, _)| key.text.as_str()));
                        let meant = meant.map_or_else(String::new, |name| format!("; did you mean {name:?}?"));
                        return Err(refuse(format!("{walked}: the file has no such list{meant}")));
                    }
                    None => {
                        let key = Key { text: name.to_owned(), span: Span::default() };
                        entries.push((key, Node { value: Value::Map(Vec::new()), span: Span::default() }));
                        entries.len() - 1
                    }
                };
                &mut entries[place].1
            }
            (Step::Index(index), Value::Seq(items)) => {
                walked.push_str(&format!("[{index}]"));
                let count = items.len();
                items.get_mut(index).ok_or_else(|| refuse(format!("{walked}: {}", numbered(count))))?
            }
            (Step::Name(name), other) => {
                return Err(refuse(format!("{walked}: {} has no field {name:?}", other.describe())));
            }
            (Step::Index(index), other) => {
                return Err(refuse(format!("{walked}: {} has no element {index}", other.describe())));
            }
        };
    }
    *node = value;
    Ok(())
}

/// Which elements a list has.
fn numbered(count: usize) -> String {
    match count {
        0 => "the list is empty".to_owned(),
        1 => "the list has one element, [0]".to_owned(),
        _ => format!("the list has the elements [0] to [{}]", count - 1),
    }
}

/// Gives errors without a place, which come from the command line, the name of that setting.
pub(super) fn name_source(mut errors: Errors, inputs: &Inputs) -> Errors {
    for error in errors.0.iter_mut().filter(|error| error.line == 0) {
        let path = error.path.clone();
        let cause = inputs.settings.options().rev().find(|(_, setting)| {
            let set = setting.split_once('=').map_or("", |(path, _)| path);
            set == path || set.starts_with(path.as_str()) || path.starts_with(set)
        });
        if let Some((option, setting)) = cause {
            error.file = format!("{option} {setting}");
        }
    }
    errors
}

fn steps(path: &str) -> Option<Vec<Step<'_>>> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('[') {
            let (index, behind) = inside.split_once(']')?;
            steps.push(match index.parse() {
                Ok(index) => Step::Index(index),
                Err(_) => Step::Name(index),
            });
            if !behind.is_empty() && !behind.starts_with(['.', '[']) {
                return None;
            }
            rest = behind;
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            if end == 0 {
                return None;
            }
            steps.push(Step::Name(&rest[..end]));
            rest = &rest[end..];
        }
        if let Some(behind) = rest.strip_prefix('.') {
            if behind.is_empty() {
                return None;
            }
            rest = behind;
        }
    }
    (!steps.is_empty()).then_some(steps)
}

/// A value of the command line has no place in the file.
fn forget_places(node: &mut Node) {
    node.span = Span::default();
    match &mut node.value {
        Value::Seq(items) => items.iter_mut().for_each(forget_places),
        Value::Map(entries) => entries.iter_mut().for_each(|(key, value)| {
            key.span = Span::default();
            forget_places(value);
        }),
        _ => {}
    }
}
