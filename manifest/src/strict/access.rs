//! The parts of collections as serde visits them: entries, keys, elements, variants.

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::deserializer::{Path, Reader};
use super::fault::Fault;
use super::spanned;
use crate::yaml::{Key, Node, Value};

/// The entries of a mapping; with `fields`, only those that are fields.
pub(super) struct Entries<'de, 'p> {
    parent: Reader<'de, 'p>,
    entries: std::slice::Iter<'de, (Key, Node)>,
    fields: Option<&'static [&'static str]>,
    current: Option<&'de (Key, Node)>,
    /// How many pseudo fields of `Spanned` have been read, if they are asked for instead of entries.
    place: Option<usize>,
}

impl<'de, 'p> Entries<'de, 'p> {
    /// The entries of a mapping.
    pub(super) fn new(
        parent: Reader<'de, 'p>,
        entries: &'de [(Key, Node)],
        fields: Option<&'static [&'static str]>,
    ) -> Entries<'de, 'p> {
        Entries { parent, entries: entries.iter(), fields, current: None, place: None }
    }

    /// The pseudo fields of `Spanned`: the node's place and the node itself.
    pub(super) fn place(parent: Reader<'de, 'p>) -> Entries<'de, 'p> {
        Entries { parent, entries: [].iter(), fields: None, current: None, place: Some(0) }
    }

    /// The next key, if there is one left.
    #[inline(never)]
    fn next_key(&mut self) -> Option<KeyReader<'de>> {
        if let Some(step) = self.place {
            return spanned::FIELDS.get(step).map(|text| KeyReader { text });
        }
        let fields = self.fields;
        self.current = self.entries.find(|(key, _)| fields.is_none_or(|fields| fields.contains(&key.text.as_str())));
        self.current.map(|(key, _)| KeyReader { text: &key.text })
    }

    /// Gives the place of the current key to a fault that has none yet.
    #[cold]
    #[inline(never)]
    fn place_key(&self, fault: Fault) -> Fault {
        match self.current {
            Some((key, _)) => fault.at(key.span.start(), &Path::Key(&self.parent.path, &key.text)),
            None => fault,
        }
    }

    /// A reader of the value of the current key.
    #[inline(never)]
    fn value<'s>(&'s mut self) -> Result<Reader<'de, 's>, Fault> {
        if let Some(step) = self.place {
            self.place = Some(step + 1);
            let span = self.parent.node.span;
            let place = [span.line, span.column, span.end.line, span.end.column].get(step).copied();
            return Ok(Reader { place, ..self.parent });
        }
        let Some((key, node)) = self.current else {
            return Err(Fault::new("a value was asked for before its key".to_owned()));
        };
        let parent = &self.parent;
        let path = match self.fields {
            Some(_) => Path::Field(&parent.path, &key.text),
            None => Path::Key(&parent.path, &key.text),
        };
        Ok(Reader { node, place: None, path, context: parent.context })
    }
}

impl<'de> MapAccess<'de> for Entries<'de, '_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        let Some(key) = self.next_key() else { return Ok(None) };
        seed.deserialize(key).map(Some).map_err(|fault| self.place_key(fault))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Fault> {
        seed.deserialize(self.value()?)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.entries.len())
    }
}

/// A mapping's key: text, and a number or a boolean where the key's type asks for one.
pub(super) struct KeyReader<'de> {
    pub(super) text: &'de str,
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
pub(super) struct Items<'de, 'p> {
    parent: Reader<'de, 'p>,
    items: std::slice::Iter<'de, Node>,
    index: usize,
}

impl<'de, 'p> Items<'de, 'p> {
    pub(super) fn new(parent: Reader<'de, 'p>, items: &'de [Node]) -> Items<'de, 'p> {
        Items { parent, items: items.iter(), index: 0 }
    }

    /// A reader of the next element, if there is one left.
    #[inline(never)]
    fn next<'s>(&'s mut self) -> Option<Reader<'de, 's>> {
        let node = self.items.next()?;
        let path = Path::Index(&self.parent.path, self.index);
        self.index += 1;
        Some(Reader { node, place: None, path, context: self.parent.context })
    }

    /// What is wrong if not all elements were asked for.
    #[inline(never)]
    pub(super) fn left_over(&self) -> Option<Fault> {
        let left = self.items.len();
        let message = || format!("expected {} elements, found {}", self.index, self.index + left);
        (left > 0).then(|| Fault::new(message()))
    }
}

impl<'de> SeqAccess<'de> for &mut Items<'de, '_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let Some(reader) = self.next() else { return Ok(None) };
        seed.deserialize(reader).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// An enum's variant: a string, or a mapping of one key.
pub(super) struct Variant<'de, 'p> {
    pub(super) reader: Reader<'de, 'p>,
    pub(super) variant: &'de str,
    pub(super) content: Option<&'de Node>,
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
    /// A reader of the variant's content; a variant that needs content must have it.
    #[inline(never)]
    fn content(&self) -> Result<Reader<'de, '_>, Fault> {
        let Some(node) = self.content else {
            let message = format!("{:?} needs a value: expected a mapping `{}: …`", self.variant, self.variant);
            return Err(self.reader.place(Fault::new(message)));
        };
        let path = Path::Field(&self.reader.path, self.variant);
        Ok(Reader { node, place: None, path, context: self.reader.context })
    }
}

impl<'de> VariantAccess<'de> for Variant<'de, '_> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        match self.content {
            None | Some(Node { value: Value::Null, .. }) => Ok(()),
            Some(_) => Err(self.content()?.mismatch("nothing")),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        seed.deserialize(self.content()?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value, Fault> {
        self.content()?.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Fault> {
        let name = "fields of the variant";
        self.content()?.deserialize_struct(name, fields, visitor)
    }
}
