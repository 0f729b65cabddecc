//! Refused requests as they were recorded, each with its body as it was written: in which order its keys stand, and
//! which of them are there twice.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// A refused request.
#[derive(Clone, Debug)]
pub struct Refused {
    /// All that was recorded.
    pub case: Value,
    /// The body as it was written; `None` if there was none or if it was not recorded whole.
    pub written: Option<String>,
}

impl Refused {
    /// Reads a line of a recording.
    pub fn read(line: &str) -> serde_json::Result<Refused> {
        #[derive(serde::Deserialize)]
        struct Sent {
            #[serde(default)]
            body: Option<Text>,
        }
        let case: Value = serde_json::from_str(line)?;
        let sent: Option<Sent> = if case.is_object() { serde_json::from_str(line)? } else { None };
        let written = sent.and_then(|sent| sent.body).filter(|_| case["body"].is_object()).map(|text| text.0);
        Ok(Refused { case, written })
    }
}

/// JSON that is not taken apart: its keys stay as they stand.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text, D::Error> {
        deserializer.deserialize_any(Reader).map(Text)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<String, E> {
        Ok("null".to_owned())
    }

    fn visit_bool<E>(self, flag: bool) -> Result<String, E> {
        Ok(flag.to_string())
    }

    fn visit_i64<E>(self, number: i64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_u64<E>(self, number: u64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_f64<E>(self, number: f64) -> Result<String, E> {
        Ok(Value::from(number).to_string())
    }

    fn visit_str<E>(self, text: &str) -> Result<String, E> {
        Ok(Value::from(text).to_string())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<String, A::Error> {
        let mut parts = Vec::new();
        while let Some(Text(item)) = items.next_element()? {
            parts.push(item);
        }
        Ok(format!("[{}]", parts.join(",")))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<String, A::Error> {
        let mut parts = Vec::new();
        while let Some((key, Text(value))) = entries.next_entry::<String, Text>()? {
            parts.push(format!("{}:{value}", Value::from(key)));
        }
        Ok(format!("{{{}}}", parts.join(",")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_keeps_its_keys_as_they_stand() {
        let line = r#"{"case": "a", "body": {"z": [1, -2.5, null], "a": {"é": "\u00e9\""}, "z": true}, "code": 400}"#;
        let refused = Refused::read(line).expect("a line of JSON");
        assert_eq!(refused.written.as_deref(), Some(r#"{"z":[1,-2.5,null],"a":{"é":"é\""},"z":true}"#));
        assert_eq!(refused.case["code"], 400);
    }

    #[test]
    fn a_body_that_is_not_there_or_not_whole_has_no_text() {
        for line in [r#"{"code": 404}"#, r#"{"body": "(large)"}"#, r#"{"body": null}"#] {
            assert_eq!(Refused::read(line).expect("a line of JSON").written, None, "{line}");
        }
    }
}
