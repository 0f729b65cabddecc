//! The deserializer itself: nodes to serde visitors, with the path of what is being read.

use std::cell::RefCell;
use std::fmt;

use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::error::{Error, nearest};
use super::spanned;
use crate::quantity::Quantity;
use crate::yaml::{Key, Node, Position, Value};

/// The name under which k8s-openapi's quantities ask to be read.
const QUANTITY: &str = "Quantity";

/// What the readers of one document share.
pub(super) struct Context<'a> {
    file: &'a str,
    unknown: RefCell<Vec<Error>>,
}

impl<'a> Context<'a> {
    pub(super) fn new(file: &'a str) -> Context<'a> {
        Context { file, unknown: RefCell::new(Vec::new()) }
    }

    pub(super) fn into_errors(self) -> Vec<Error> {
        self.unknown.into_inner()
    }
}

/// The way from the document's root, as a list through the callers' stack frames.
#[derive(Clone, Copy)]
enum Path<'p> {
    Root,
    /// A struct's field: `.name`.
    Field(&'p Path<'p>, &'p str),
    /// A mapping's key: `[name]`.
    Key(&'p Path<'p>, &'p str),
    Index(&'p Path<'p>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Field(Path::Root, name) => write!(f, "{name}"),
            Path::Field(parent, name) => write!(f, "{parent}.{name}"),
            Path::Key(Path::Root, name) => write!(f, "{name}"),
            Path::Key(parent, name) => write!(f, "{parent}[{name}]"),
            Path::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// An error on its way up; the innermost reader that sees it gives it its place.
#[derive(Debug)]
pub(super) struct Fault {
    message: String,
    expected: Vec<String>,
    suggestion: Option<String>,
    place: Option<(Position, String)>,
}

impl Fault {
    fn new(message: String) -> Fault {
        Fault { message, expected: Vec::new(), suggestion: None, place: None }
    }

    fn one_of(message: String, written: &str, expected: &[&str]) -> Fault {
        Fault {
            message,
            expected: expected.iter().map(|&name| name.to_owned()).collect(),
            suggestion: nearest(written, expected.iter().copied()).map(str::to_owned),
            place: None,
        }
    }

    pub(super) fn into_error(self, file: &str, root: &Node) -> Error {
        let (at, path) = self.place.unwrap_or_else(|| (root.span.start(), String::new()));
        Error { expected: self.expected, suggestion: self.suggestion, ..Error::new(file, at, &path, self.message) }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Fault {
        Fault::new(message.to_string())
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Fault {
        Fault::new(format!("expected {}, found {}", readable(expected), describe(unexpected)))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Fault {
        Fault::invalid_type(unexpected, expected)
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Fault {
        Fault::new(format!("expected {}, found {length} elements", readable(expected)))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Fault {
        Fault::one_of(format!("unknown value {variant:?}"), variant, expected)
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Fault {
        Fault::one_of(format!("unknown field {field:?}"), field, expected)
    }

    fn missing_field(field: &'static str) -> Fault {
        Fault::new(format!("missing field {field:?}"))
    }

    fn duplicate_field(field: &'static str) -> Fault {
        Fault::new(format!("field {field:?} is set twice"))
    }
}

/// What a visitor expects, without Rust's type names.
fn readable(expected: &dyn Expected) -> String {
    let text = expected.to_string();
    match text.as_str() {
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "a whole number".to_owned(),
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" => "a whole number that is not negative".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "IntOrString" => "a whole number or a string".to_owned(),
        "Quantity" => "a quantity such as 500m or 1Gi".to_owned(),
        "a map" => "a mapping".to_owned(),
        name if !name.contains([' ', '/']) && name.starts_with(|first: char| first.is_ascii_uppercase()) => {
            format!("a mapping ({name})")
        }
        other => match other.strip_prefix("struct ") {
            Some(name) => format!("a mapping ({name})"),
            None => other.to_owned(),
        },
    }
}

fn describe(unexpected: Unexpected<'_>) -> String {
    match unexpected {
        Unexpected::Bool(flag) => Value::Bool(flag).describe(),
        Unexpected::Signed(number) => Value::Int(number.into()).describe(),
        Unexpected::Unsigned(number) => Value::Int(number.into()).describe(),
        Unexpected::Float(number) => Value::Float(number).describe(),
        Unexpected::Str(text) => Value::String(text.to_owned()).describe(),
        Unexpected::Unit | Unexpected::Option => "null".to_owned(),
        Unexpected::Seq => "a sequence".to_owned(),
        Unexpected::Map => "a mapping".to_owned(),
        other => other.to_string(),
    }
}

/// Reads one node.
#[derive(Clone, Copy)]
pub(super) struct Reader<'de, 'p> {
    node: &'de Node,
    path: Path<'p>,
    context: &'p Context<'p>,
}

impl<'de, 'p> Reader<'de, 'p> {
    pub(super) fn new(node: &'de Node, context: &'p Context<'p>) -> Reader<'de, 'p> {
        Reader { node, path: Path::Root, context }
    }

    /// Gives this node's place to a result that has none yet.
    fn placed<T>(self, result: Result<T, Fault>) -> Result<T, Fault> {
        result.map_err(|mut fault| {
            fault.place.get_or_insert_with(|| (self.node.span.start(), self.path.to_string()));
            fault
        })
    }

    fn mismatch<T>(self, expected: &str) -> Result<T, Fault> {
        let found = self.node.value.describe();
        let hint = match (&self.node.value, expected) {
            (Value::Bool(_) | Value::Int(_) | Value::Float(_), "a string") => " (put it in quotes to make it a string)",
            _ => "",
        };
        self.placed(Err(Fault::new(format!("expected {expected}, found {found}{hint}"))))
    }

    /// The integer, if it is one between `min` and `max`.
    fn integer(self, min: i128, max: i128) -> Result<i128, Fault> {
        match self.node.value {
            Value::Int(number) if (min..=max).contains(&number) => Ok(number),
            Value::Int(_) => self.mismatch(&format!("a whole number between {min} and {max}")),
            _ => self.mismatch("a whole number"),
        }
    }

    /// Notes every key of the mapping that is no field; the reading goes on without it.
    fn note_unknown(self, entries: &[(Key, Node)], fields: &'static [&'static str]) {
        for (key, _) in entries.iter().filter(|(key, _)| !fields.contains(&key.text.as_str())) {
            let path = Path::Field(&self.path, &key.text).to_string();
            let message = format!("unknown field {:?}", key.text);
            let error = Error::new(self.context.file, key.span.start(), &path, message);
            self.context.unknown.borrow_mut().push(error.expecting(&key.text, fields.iter().copied()));
        }
    }

    fn visit_entries<V: Visitor<'de>>(
        self,
        entries: &'de [(Key, Node)],
        fields: Option<&'static [&'static str]>,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let access = Entries { parent: self, entries: entries.iter(), fields, current: None };
        self.placed(visitor.visit_map(access))
    }

    fn visit_items<V: Visitor<'de>>(self, items: &'de [Node], visitor: V) -> Result<V::Value, Fault> {
        let count = items.len();
        let mut access = Items { parent: self, items: items.iter(), index: 0 };
        let value = self.placed(visitor.visit_seq(&mut access))?;
        if access.items.len() == 0 {
            return Ok(value);
        }
        self.placed(Err(Fault::new(format!("expected {} elements, found {count}", access.index))))
    }
}

macro_rules! deserialize_integers {
    ($($method:ident $visit:ident $type:ty;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            // The range check makes the conversion exact.
            let number = self.integer(<$type>::MIN as i128, <$type>::MAX as i128)? as $type;
            self.placed(visitor.$visit(number))
        }
    )*};
}

impl<'de> Deserializer<'de> for Reader<'de, '_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let result = match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(flag) => visitor.visit_bool(*flag),
            Value::Int(number) => match (i64::try_from(*number), u64::try_from(*number)) {
                (Ok(number), _) => visitor.visit_i64(number),
                (_, Ok(number)) => visitor.visit_u64(number),
                _ => visitor.visit_i128(*number),
            },
            Value::Float(number) => visitor.visit_f64(*number),
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Seq(items) => return self.visit_items(items, visitor),
            Value::Map(entries) => return self.visit_entries(entries, None, visitor),
        };
        self.placed(result)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.node.value {
            Value::Bool(flag) => self.placed(visitor.visit_bool(flag)),
            _ => self.mismatch("true or false"),
        }
    }

    deserialize_integers! {
        deserialize_i8 visit_i8 i8;
        deserialize_i16 visit_i16 i16;
        deserialize_i32 visit_i32 i32;
        deserialize_i64 visit_i64 i64;
        deserialize_i128 visit_i128 i128;
        deserialize_u8 visit_u8 u8;
        deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32;
        deserialize_u64 visit_u64 u64;
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let number = self.integer(0, i128::MAX)?;
        self.placed(visitor.visit_u128(number.unsigned_abs()))
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.node.value {
            Value::Int(number) => self.placed(visitor.visit_f64(number as f64)),
            Value::Float(number) => self.placed(visitor.visit_f64(number)),
            _ => self.mismatch("a number"),
        }
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::String(text) => self.placed(visitor.visit_borrowed_str(text)),
            _ => self.mismatch("a string"),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.node.value {
            Value::Null => self.placed(visitor.visit_none()),
            _ => self.placed(visitor.visit_some(self)),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.node.value {
            Value::Null => self.placed(visitor.visit_unit()),
            _ => self.mismatch("nothing"),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Fault> {
        // k8s-openapi keeps quantities as any text; here is the one place where a wrong one still has its place.
        if let (QUANTITY, Value::String(text)) = (name, &self.node.value) {
            let checked =
                Quantity::parse(text).map_err(|error| Fault::new(format!("{text:?} is no quantity: {error}")));
            self.placed(checked)?;
        }
        self.placed(visitor.visit_newtype_struct(self))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Seq(items) => self.visit_items(items, visitor),
            _ => self.mismatch("a sequence"),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Map(entries) => self.visit_entries(entries, None, visitor),
            _ => self.mismatch("a mapping"),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if name == spanned::NAME {
            return self.placed(visitor.visit_map(Place { reader: self, step: 0 }));
        }
        match &self.node.value {
            Value::Map(entries) => {
                self.note_unknown(entries, fields);
                self.visit_entries(entries, Some(fields), visitor)
            }
            _ => self.mismatch(&format!("a mapping ({name})")),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let (variant, content) = match &self.node.value {
            Value::String(text) => (text.as_str(), None),
            Value::Map(entries) => match entries.as_slice() {
                [(key, node)] => (key.text.as_str(), Some(node)),
                _ => {
                    let message = format!("expected a mapping with one key, found {} keys", entries.len());
                    return self.placed(Err(Fault::one_of(message, "", variants)));
                }
            },
            other => {
                let message = format!("expected a name, found {}", other.describe());
                return self.placed(Err(Fault::one_of(message, "", variants)));
            }
        };
        self.placed(visitor.visit_enum(Variant { reader: self, variant, content }))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.placed(visitor.visit_unit())
    }

    forward_to_deserialize_any! { identifier }
}

/// The entries of a mapping; with `fields`, only those that are fields.
struct Entries<'de, 'p> {
    parent: Reader<'de, 'p>,
    entries: std::slice::Iter<'de, (Key, Node)>,
    fields: Option<&'static [&'static str]>,
    current: Option<&'de (Key, Node)>,
}

impl<'de> MapAccess<'de> for Entries<'de, '_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        let fields = self.fields;
        self.current = self.entries.find(|(key, _)| fields.is_none_or(|fields| fields.contains(&key.text.as_str())));
        let Some((key, _)) = self.current else { return Ok(None) };
        seed.deserialize(KeyReader { text: &key.text }).map(Some).map_err(|mut fault| {
            let path = Path::Key(&self.parent.path, &key.text);
            fault.place.get_or_insert_with(|| (key.span.start(), path.to_string()));
            fault
        })
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Fault> {
        let Some((key, node)) = self.current else {
            return Err(Fault::new("a value was asked for before its key".to_owned()));
        };
        let parent = &self.parent;
        let path = match self.fields {
            Some(_) => Path::Field(&parent.path, &key.text),
            None => Path::Key(&parent.path, &key.text),
        };
        seed.deserialize(Reader { node, path, context: parent.context })
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.entries.len())
    }
}

/// A mapping's key: text, and a number or a boolean where the key's type asks for one.
struct KeyReader<'de> {
    text: &'de str,
}

macro_rules! deserialize_parsed_keys {
    ($($method:ident $visit:ident $type:ty, $expected:literal;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            match self.text.parse::<$type>() {
                Ok(value) => visitor.$visit(value),
                Err(_) => Err(Fault::new(format!("expected {} as the key, found {:?}", $expected, self.text))),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for KeyReader<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_borrowed_str(self.text)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_enum(self.text.into_deserializer())
    }

    deserialize_parsed_keys! {
        deserialize_bool visit_bool bool, "true or false";
        deserialize_i32 visit_i32 i32, "a whole number";
        deserialize_i64 visit_i64 i64, "a whole number";
        deserialize_u8 visit_u8 u8, "a whole number between 0 and 255";
        deserialize_u16 visit_u16 u16, "a whole number between 0 and 65535";
        deserialize_u32 visit_u32 u32, "a whole number that is not negative";
        deserialize_u64 visit_u64 u64, "a whole number that is not negative";
    }

    forward_to_deserialize_any! {
        i8 i16 f32 f64 char str string bytes byte_buf option unit unit_struct seq tuple tuple_struct map struct
        identifier ignored_any
    }
}

/// The elements of a sequence.
struct Items<'de, 'p> {
    parent: Reader<'de, 'p>,
    items: std::slice::Iter<'de, Node>,
    index: usize,
}

impl<'de> SeqAccess<'de> for &mut Items<'de, '_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let Some(node) = self.items.next() else { return Ok(None) };
        let path = Path::Index(&self.parent.path, self.index);
        self.index += 1;
        seed.deserialize(Reader { node, path, context: self.parent.context }).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// The pseudo fields of `Spanned`.
struct Place<'de, 'p> {
    reader: Reader<'de, 'p>,
    step: usize,
}

impl<'de> MapAccess<'de> for Place<'de, '_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        let Some(field) = spanned::FIELDS.get(self.step) else { return Ok(None) };
        seed.deserialize(KeyReader { text: field }).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Fault> {
        let span = self.reader.node.span;
        let number = [span.line, span.column, span.end.line, span.end.column].get(self.step).copied();
        self.step += 1;
        match number {
            Some(number) => seed.deserialize(number.into_deserializer()),
            None => seed.deserialize(self.reader),
        }
    }
}

/// An enum's variant: a string, or a mapping of one key.
struct Variant<'de, 'p> {
    reader: Reader<'de, 'p>,
    variant: &'de str,
    content: Option<&'de Node>,
}

impl<'de, 'p> EnumAccess<'de> for Variant<'de, 'p> {
    type Error = Fault;
    type Variant = Variant<'de, 'p>;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Variant<'de, 'p>), Fault> {
        let value = self.reader.placed(seed.deserialize(KeyReader { text: self.variant }))?;
        Ok((value, self))
    }
}

impl<'de> Variant<'de, '_> {
    /// Runs `read` on the variant's content; a variant that needs content must have it.
    fn content<T>(self, read: impl FnOnce(Reader<'de, '_>) -> Result<T, Fault>) -> Result<T, Fault> {
        let Some(node) = self.content else {
            let message = format!("{:?} needs a value: expected a mapping `{}: …`", self.variant, self.variant);
            return self.reader.placed(Err(Fault::new(message)));
        };
        let path = Path::Field(&self.reader.path, self.variant);
        read(Reader { node, path, context: self.reader.context })
    }
}

impl<'de> VariantAccess<'de> for Variant<'de, '_> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        match self.content {
            None | Some(Node { value: Value::Null, .. }) => Ok(()),
            Some(_) => self.content(|reader| reader.mismatch("nothing")),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        self.content(|reader| seed.deserialize(reader))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value, Fault> {
        self.content(|reader| reader.deserialize_seq(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Fault> {
        let name = "fields of the variant";
        self.content(|reader| reader.deserialize_struct(name, fields, visitor))
    }
}
