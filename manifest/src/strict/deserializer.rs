//! The deserializer itself: nodes to serde visitors, with the path of what is being read.

use std::cell::RefCell;
use std::fmt;

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{Deserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::access::{Entries, Items, Variant};
use super::error::{Error, Wanted};
use super::fault::Fault;
use super::meant::meant_quantity;
use super::{go_time, spanned};
use crate::yaml::{Key, Node, Value};
use wavetank_core::quantity::{ParseQuantityError, Quantity};

/// The name under which k8s-openapi's quantities ask to be read.
const QUANTITY: &str = "Quantity";

/// The names under which its times ask.
const TIMES: [&str; 2] = ["Time", MICRO_TIME];
const MICRO_TIME: &str = "MicroTime";

/// What the readers of one document share.
pub(super) struct Context<'a> {
    file: &'a str,
    /// Whether null stands for the zero value of any type, and times are read, as in Go.
    reads_as_go: bool,
    unknown: RefCell<Vec<Error>>,
}

impl<'a> Context<'a> {
    pub(super) fn new(file: &'a str) -> Context<'a> {
        Context { file, reads_as_go: false, unknown: RefCell::new(Vec::new()) }
    }

    pub(super) fn of_a_request(file: &'a str) -> Context<'a> {
        Context { reads_as_go: true, ..Context::new(file) }
    }

    pub(super) fn into_errors(self) -> Vec<Error> {
        self.unknown.into_inner()
    }
}

/// The way from the document's root, as a list through the callers' stack frames.
#[derive(Clone, Copy)]
pub(super) enum Path<'p> {
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

/// Reads one node.
#[derive(Clone, Copy)]
pub(super) struct Reader<'de, 'p> {
    pub(super) node: &'de Node,
    /// One number of the node's place, which is then read in its stead.
    ///
    /// A field rather than a deserializer of its own: every type that is read would be compiled once more for it.
    pub(super) place: Option<u32>,
    pub(super) path: Path<'p>,
    pub(super) context: &'p Context<'p>,
}

impl<'de, 'p> Reader<'de, 'p> {
    pub(super) fn new(node: &'de Node, context: &'p Context<'p>) -> Reader<'de, 'p> {
        Reader { node, place: None, path: Path::Root, context }
    }

    /// Gives this node's place to a result that has none yet.
    pub(super) fn placed<T>(self, result: Result<T, Fault>) -> Result<T, Fault> {
        result.map_err(|fault| self.place(fault))
    }

    /// Gives this node's place to a fault that has none yet.
    #[cold]
    #[inline(never)]
    pub(super) fn place(self, fault: Fault) -> Fault {
        fault.at(self.node.span.start(), &self.path)
    }

    /// Whether this node stands for the zero value of whatever is to be read.
    fn is_zero(self) -> bool {
        self.context.reads_as_go && self.node.value == Value::Null
    }

    /// This node is not what it should be.
    #[cold]
    #[inline(never)]
    pub(super) fn mismatch(self, expected: &str) -> Fault {
        let found = self.node.value.describe();
        let hint = match (&self.node.value, expected) {
            (Value::Bool(_) | Value::Int(_) | Value::Float(_), "a string") => " (put it in quotes to make it a string)",
            _ => "",
        };
        let fault = Fault::new(format!("expected {expected}, found {found}{hint}"));
        self.place(fault.wrong_type(go_type(expected), go_value(&self.node.value, expected)))
    }

    /// The entries of a mapping that is to be read as the struct `name`; keys that are no fields are noted.
    #[inline(never)]
    fn fields(self, name: &'static str, fields: &'static [&'static str]) -> Result<Entries<'de, 'p>, Fault> {
        if name == spanned::NAME {
            return Ok(Entries::place(self));
        }
        let entries = match &self.node.value {
            Value::Map(entries) => entries.as_slice(),
            _ if self.is_zero() => &[],
            _ => return Err(self.mismatch(&format!("a mapping ({name})")).wanted(Wanted::Struct(name))),
        };
        self.note_faults(entries, Some(fields));
        Ok(Entries::new(self, entries, Some(fields)))
    }

    /// The elements of a sequence.
    #[inline(never)]
    fn items(self) -> Result<Items<'de, 'p>, Fault> {
        match &self.node.value {
            Value::Seq(items) => Ok(Items::new(self, items)),
            _ if self.is_zero() => Ok(Items::new(self, &[])),
            _ => Err(self.mismatch("a sequence")),
        }
    }

    /// The entries of a mapping whose keys may be any.
    #[inline(never)]
    fn entries(self) -> Result<Entries<'de, 'p>, Fault> {
        match &self.node.value {
            Value::Map(entries) => {
                self.note_faults(entries, None);
                Ok(Entries::new(self, entries, None))
            }
            _ if self.is_zero() => Ok(Entries::new(self, &[], None)),
            _ => Err(self.mismatch("a mapping")),
        }
    }

    /// The text of a string.
    #[inline(never)]
    fn text(self) -> Result<&'de str, Fault> {
        match &self.node.value {
            Value::String(text) => Ok(text),
            _ if self.is_zero() => Ok(""),
            _ => Err(self.mismatch("a string")),
        }
    }

    /// k8s-openapi keeps quantities as any text; here is the one place where a wrong one still has its place.
    #[inline(never)]
    fn check_quantity(self) -> Result<(), Fault> {
        let Value::String(text) = &self.node.value else { return Ok(()) };
        let fault = |error: ParseQuantityError| {
            let fault = Fault::new(format!("{text:?} is no quantity: {error}"));
            fault.said(error.to_string()).meant(meant_quantity(text))
        };
        text.parse::<Quantity>().map(drop).map_err(|error| self.place(fault(error)))
    }

    /// The name of an enum's variant, with what it holds.
    #[inline(never)]
    fn variant(self, variants: &'static [&'static str]) -> Result<Variant<'de, 'p>, Fault> {
        let message = match &self.node.value {
            Value::String(text) => return Ok(Variant { reader: self, variant: text, content: None }),
            Value::Map(entries) => match entries.as_slice() {
                [(key, node)] => return Ok(Variant { reader: self, variant: &key.text, content: Some(node) }),
                _ => format!("expected a mapping with one key, found {} keys", entries.len()),
            },
            other => format!("expected a name, found {}", other.describe()),
        };
        Err(self.place(Fault::one_of(message, "", variants)))
    }

    /// The integer, if it is one between `min` and `max`.
    fn integer(self, go_type: &'static str, min: i128, max: i128) -> Result<i128, Fault> {
        if let Some(number) = self.place {
            return Ok(number.into());
        }
        match self.node.value {
            Value::Int(number) if (min..=max).contains(&number) => Ok(number),
            // An integer that fits nowhere has been read as a float.
            _ if self.is_huge() || matches!(self.node.value, Value::Int(_)) => {
                let expected = format!("a whole number between {min} and {max}");
                Err(self.mismatch(&expected).wanted(Wanted::Plain(go_type)))
            }
            _ if self.is_zero() => Ok(0),
            _ => Err(self.mismatch("a whole number").wanted(Wanted::Plain(go_type))),
        }
    }

    /// Whether it is a number beyond all integers.
    fn is_huge(&self) -> bool {
        matches!(self.node.value, Value::Float(number) if number.abs() >= i64::MAX as f64)
    }

    /// Notes every key of the mapping that is none of its fields, and of a request's body those that are set before;
    /// the reading goes on without them. With no `fields`, keys may be any.
    fn note_faults(self, entries: &[(Key, Node)], fields: Option<&'static [&'static str]>) {
        // What says what an object is belongs to no type.
        let is_header = |key: &str| {
            self.context.reads_as_go && matches!(self.path, Path::Root) && ["apiVersion", "kind"].contains(&key)
        };
        for (place, (key, _)) in entries.iter().enumerate() {
            let name = key.text.as_str();
            let is_known = fields.is_none_or(|fields| fields.contains(&name)) || is_header(name);
            let is_twin = || entries[..place].iter().any(|(earlier, _)| earlier.text == name);
            let words = match is_known {
                false => "unknown field",
                true if self.context.reads_as_go && is_twin() => "duplicate field",
                true => continue,
            };
            self.note(words, key, fields.filter(|_| !is_known).unwrap_or_default());
        }
    }

    /// Notes a key with what is wrong with it; `expected` are the keys that would have been taken.
    #[cold]
    fn note(self, words: &str, key: &Key, expected: &'static [&'static str]) {
        let path = Path::Field(&self.path, &key.text).to_string();
        let error = Error::new(self.context.file, key.span.start(), &path, format!("{words} {:?}", key.text));
        let said = self.context.reads_as_go.then(|| format!("{words} {path:?}"));
        let error = Error { said, ..error.expecting(&key.text, expected.iter().copied()) };
        self.context.unknown.borrow_mut().push(error);
    }

    fn visit_items<V: Visitor<'de>>(self, mut items: Items<'de, 'p>, visitor: V) -> Result<V::Value, Fault> {
        let value = self.placed(visitor.visit_seq(&mut items))?;
        match items.left_over() {
            None => Ok(value),
            Some(fault) => Err(self.place(fault)),
        }
    }
}

/// What Go calls a type that messages here call otherwise.
fn go_type(expected: &str) -> Option<Wanted> {
    match expected {
        "a string" => Some(Wanted::Plain("string")),
        "true or false" => Some(Wanted::Plain("bool")),
        "a number" => Some(Wanted::Plain("float64")),
        _ => None,
    }
}

/// What Go's JSON reader calls a value; a number that is no whole one of the type's range is shown.
fn go_value(value: &Value, expected: &str) -> String {
    match value {
        Value::Int(number) if expected.starts_with("a whole number") => format!("number {number}"),
        Value::Float(number) if expected.starts_with("a whole number") => format!("number {number}"),
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Int(_) | Value::Float(_) => "number".to_owned(),
        Value::String(_) => "string".to_owned(),
        Value::Seq(_) => "array".to_owned(),
        Value::Map(_) => "object".to_owned(),
    }
}

macro_rules! deserialize_integers {
    ($($method:ident $visit:ident $type:ty, $go_type:literal;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            // The range check makes the conversion exact.
            let number = self.integer($go_type, <$type>::MIN as i128, <$type>::MAX as i128)? as $type;
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
            Value::Seq(items) => return self.visit_items(Items::new(self, items), visitor),
            Value::Map(entries) => visitor.visit_map(Entries::new(self, entries, None)),
        };
        self.placed(result)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.node.value {
            Value::Bool(flag) => self.placed(visitor.visit_bool(flag)),
            _ if self.is_zero() => self.placed(visitor.visit_bool(false)),
            _ => Err(self.mismatch("true or false")),
        }
    }

    deserialize_integers! {
        deserialize_i8 visit_i8 i8, "int8";
        deserialize_i16 visit_i16 i16, "int16";
        deserialize_i32 visit_i32 i32, "int32";
        deserialize_i64 visit_i64 i64, "int64";
        deserialize_i128 visit_i128 i128, "int64";
        deserialize_u8 visit_u8 u8, "uint8";
        deserialize_u16 visit_u16 u16, "uint16";
        deserialize_u32 visit_u32 u32, "uint32";
        deserialize_u64 visit_u64 u64, "uint64";
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let number = self.integer("uint64", 0, i128::MAX)?;
        self.placed(visitor.visit_u128(number.unsigned_abs()))
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.node.value {
            Value::Int(number) => self.placed(visitor.visit_f64(number as f64)),
            Value::Float(number) => self.placed(visitor.visit_f64(number)),
            _ => Err(self.mismatch("a number")),
        }
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let text = self.text()?;
        self.placed(visitor.visit_borrowed_str(text))
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
            _ => Err(self.mismatch("nothing")),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Fault> {
        if name == QUANTITY {
            if self.is_zero() {
                return self.placed(visitor.visit_newtype_struct(BorrowedStrDeserializer::<Fault>::new("0")));
            }
            self.check_quantity()?;
        } else if let (Value::String(text), true) = (&self.node.value, TIMES.contains(&name))
            && self.context.reads_as_go
            && let Some(said) = go_time::fault(text, name == MICRO_TIME)
        {
            return Err(self.place(Fault::new(format!("{text:?} is no time such as 2026-01-31T12:00:00Z")).said(said)));
        }
        self.placed(visitor.visit_newtype_struct(self))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.visit_items(self.items()?, visitor)
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
        let entries = self.entries()?;
        self.placed(visitor.visit_map(entries))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let entries = self.fields(name, fields)?;
        visitor.visit_map(entries).map_err(|fault| self.place(fault.within(name)))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let variant = self.variant(variants)?;
        self.placed(visitor.visit_enum(variant))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.placed(visitor.visit_unit())
    }

    forward_to_deserialize_any! { identifier }
}
