//! Kubernetes objects as CEL values that borrow: an expression touches a few fields of many objects, so nothing is
//! converted before it is asked for.

use std::sync::OnceLock;

use cel::ExecutionError;
use cel::common::traits::{self, Container, Indexer, Iterable, Sizer};
use cel::common::types::{CelBool, CelDouble, CelInt, CelList, CelNull, CelString, MAP_TYPE, Type};
use cel::common::value::{CowVal, Val};
use serde_json::Value as Json;

type JsonMap = serde_json::Map<String, Json>;

/// A JSON value as CEL's: whole numbers are ints, as a Kubernetes user expects of `replicas == 3`.
pub(super) fn value(json: &Json) -> Box<dyn Val + '_> {
    match json {
        Json::Null => Box::new(CelNull),
        Json::Bool(flag) => Box::new(CelBool::from(*flag)),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Box::new(CelInt::from(whole)),
            (None, Some(float)) => Box::new(CelDouble::from(float)),
            (None, None) => Box::new(CelNull),
        },
        Json::String(text) => Box::new(CelString::from(text.as_str())),
        Json::Array(items) => Box::new(CelList::from(items.iter().map(value).collect::<Vec<_>>())),
        Json::Object(map) => Box::new(Object { map, keys: OnceLock::new() }),
    }
}

/// A JSON object; its fields become values when they are asked for.
#[derive(Debug)]
struct Object<'v> {
    map: &'v JsonMap,
    /// The keys as values, made when somebody iterates.
    keys: OnceLock<Vec<Box<dyn Val + 'v>>>,
}

impl Clone for Object<'_> {
    fn clone(&self) -> Self {
        Object { map: self.map, keys: OnceLock::new() }
    }
}

impl<'v> Object<'v> {
    fn keys(&self) -> &[Box<dyn Val + 'v>] {
        let make = || self.map.keys().map(|key| Box::new(CelString::from(key.as_str())) as Box<dyn Val + 'v>).collect();
        self.keys.get_or_init(make)
    }
}

/// A key's text; other types cannot be keys of a JSON object.
pub(super) fn key_text(key: &dyn Val) -> Result<&str, ExecutionError> {
    key.downcast_ref::<CelString>().map(|text| text.inner()).ok_or_else(|| ExecutionError::UnexpectedType {
        got: key.get_type().name().to_owned(),
        want: "string".to_owned(),
    })
}

impl<'v> Val for Object<'v> {
    fn get_type(&self) -> &Type {
        &MAP_TYPE
    }

    fn cel_type() -> &'static Type {
        &MAP_TYPE
    }

    fn as_container(&self) -> Option<&dyn Container> {
        Some(self)
    }

    fn as_indexer<'b, 'w>(&'b self) -> Option<&'b (dyn Indexer + 'w)>
    where
        Self: 'w,
    {
        Some(self)
    }

    fn as_iterable<'b, 'w>(&'b self) -> Option<&'b (dyn Iterable + 'w)>
    where
        Self: 'w,
    {
        Some(self)
    }

    fn as_sizer(&self) -> Option<&dyn Sizer> {
        Some(self)
    }

    fn equals(&self, other: &dyn Val) -> bool {
        let (Some(sizer), Some(indexer)) = (other.as_sizer(), other.as_indexer()) else { return false };
        i64::try_from(self.map.len()).is_ok_and(|len| *sizer.size().inner() == len)
            && self.map.iter().all(|(key, mine)| {
                indexer.get(&CelString::from(key.as_str())).is_ok_and(|theirs| value(mine).equals(theirs.as_ref()))
            })
    }

    fn clone_as_boxed<'w>(&self) -> Box<dyn Val + 'w>
    where
        Self: 'w,
    {
        Box::new(self.clone())
    }
}

impl Container for Object<'_> {
    fn contains(&self, key: &dyn Val) -> Result<bool, ExecutionError> {
        Ok(self.map.contains_key(key_text(key)?))
    }
}

impl<'v> Indexer for Object<'v> {
    fn get<'b, 'w>(&'b self, key: &dyn Val) -> Result<CowVal<'b, 'w>, ExecutionError>
    where
        Self: 'w,
    {
        let key = key_text(key)?;
        match self.map.get(key) {
            Some(found) => Ok(CowVal::Owned(value(found))),
            None => Err(ExecutionError::NoSuchKey(std::sync::Arc::new(key.to_owned()))),
        }
    }

    fn steal<'w>(self: Box<Self>, key: &dyn Val) -> Result<Box<dyn Val + 'w>, ExecutionError>
    where
        Self: 'w,
    {
        self.get(key).map(CowVal::into_owned)
    }
}

impl<'v> Iterable for Object<'v> {
    fn iter<'b, 'w>(&'b self) -> Box<dyn traits::Iterator<'b, 'w> + 'b>
    where
        Self: 'w,
    {
        Box::new(Keys(self.keys().iter()))
    }
}

struct Keys<'b, 'v>(std::slice::Iter<'b, Box<dyn Val + 'v>>);

impl<'b, 'v: 'w, 'w> traits::Iterator<'b, 'w> for Keys<'b, 'v> {
    fn next(&mut self) -> Option<&'b (dyn Val + 'w)> {
        self.0.next().map(|key| key.as_ref() as &'b (dyn Val + 'w))
    }
}

impl Sizer for Object<'_> {
    fn size(&self) -> CelInt {
        CelInt::from(i64::try_from(self.map.len()).unwrap_or(i64::MAX))
    }
}

/// A value in words, for evidence: as CEL writes it, cut to a readable length.
pub(super) fn show(shown: &dyn Val) -> String {
    let mut text = String::new();
    write(shown, &mut text);
    const SHOWN_MAX: usize = 120;
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn write(shown: &dyn Val, text: &mut String) {
    use std::fmt::Write;
    // Writing to a string cannot fail.
    let _ = if let Some(found) = shown.downcast_ref::<CelString>() {
        write!(text, "{:?}", found.inner())
    } else if let Some(found) = shown.downcast_ref::<CelInt>() {
        write!(text, "{}", found.inner())
    } else if let Some(found) = shown.downcast_ref::<CelBool>() {
        write!(text, "{}", found.inner())
    } else if let Some(found) = shown.downcast_ref::<CelDouble>() {
        write!(text, "{}", found.inner())
    } else if shown.downcast_ref::<CelNull>().is_some() {
        write!(text, "null")
    } else if let Some(duration) = shown.downcast_ref::<cel::common::types::CelDuration>() {
        let nanos = duration.inner().num_nanoseconds().and_then(|nanos| u64::try_from(nanos).ok());
        match nanos {
            Some(nanos) => write!(text, "{}", wavetank_core::time::Span(nanos)),
            None => write!(text, "{duration:?}"),
        }
    } else if let Some(name) = object_name(shown) {
        write!(text, "{name}")
    } else if let (Some(list), "list") = (shown.as_iterable(), shown.get_type().name()) {
        text.push('[');
        let mut items = list.iter();
        let mut first = true;
        while let Some(item) = items.next() {
            if !first {
                text.push_str(", ");
            }
            first = false;
            write(item, text);
        }
        text.push(']');
        Ok(())
    } else {
        write!(text, "a {}", shown.get_type().name())
    };
}

/// A Kubernetes object's name, which says more than its hundred fields.
fn object_name(shown: &dyn Val) -> Option<String> {
    let metadata = shown.as_indexer()?.get(&CelString::from("metadata")).ok()?;
    let name = metadata.as_indexer()?.get(&CelString::from("name")).ok()?;
    name.downcast_ref::<CelString>().map(|name| name.inner().to_owned())
}
