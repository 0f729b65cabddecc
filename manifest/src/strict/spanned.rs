//! A value together with its place.

use std::marker::PhantomData;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

use crate::yaml::{Position, Span};

/// The struct name by which [`Spanned`] asks this crate's deserializer for the place.
pub(super) const NAME: &str = "$wavetank::Spanned";

/// The pseudo fields that follow, in this order: four numbers and the value.
pub(super) const FIELDS: [&str; 5] = ["$line", "$column", "$end_line", "$end_column", "$value"];

/// A value and where it was written, so that a later check (a reference to a name that is not there) can say the place.
///
/// Readable only by this crate's readers; others give an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spanned<T> {
    /// What was written.
    pub value: T,
    /// Where it was written.
    pub span: Span,
}

impl<T> std::ops::Deref for Spanned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Spanned<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Spanned<T>, D::Error> {
        deserializer.deserialize_struct(NAME, &FIELDS, SpannedVisitor(PhantomData))
    }
}

struct SpannedVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for SpannedVisitor<T> {
    type Value = Spanned<T>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value with its place")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Spanned<T>, A::Error> {
        let mut number = |name: &'static str| match map.next_entry::<&str, u32>()? {
            Some((found, number)) if found == name => Ok(number),
            _ => Err(de::Error::custom("a value with its place can only be read by wavetank's own reader")),
        };
        let [line, column] = [number(FIELDS[0])?, number(FIELDS[1])?];
        let end = Position { line: number(FIELDS[2])?, column: number(FIELDS[3])? };
        match map.next_entry::<&str, T>()? {
            Some((_, value)) => Ok(Spanned { value, span: Span { line, column, end } }),
            None => Err(de::Error::missing_field(FIELDS[4])),
        }
    }
}
