//! What reading is answered with, as far as the code and a refusal go.
//!
//! Source: `ListResource`, staging/src/k8s.io/apiserver/pkg/endpoints/handlers/get.go; `decodeContinue`,
//! staging/src/k8s.io/apiserver/pkg/storage/continue.go (v1.34.1).

use wavetank_core::Core;
use wavetank_core::model::{Kind, ObjectKey};

use super::{Outcome, Path, Status, find, not_found, resources};
use crate::conform::selectors;

/// The answer to a reading of one object, of a list, or the beginning of a watch. Nothing is asked of the core.
pub(super) fn answer(core: &Core, kind: Kind, path: &Path) -> Outcome {
    if !path.name.is_empty() {
        let key = ObjectKey::new(kind, &path.namespace, &path.name);
        return if find(core, &key).is_some() { Outcome::Ask(Vec::new()) } else { not_found(&key) };
    }
    if let Some(error) = path.parameter("labelSelector").and_then(|text| selectors::parse(&text).err()) {
        return Outcome::Answered(Status::bad_request(error));
    }
    if let Some(status) = path.parameter("fieldSelector").and_then(|text| resources::wrong_fields(kind, &text)) {
        return Outcome::Answered(status);
    }
    let version = path.parameter("resourceVersion").unwrap_or_default();
    let watches = path.parameter("watch").is_some_and(|text| text != "0" && text != "false");
    if !version.is_empty() && version.parse::<u64>().is_err() {
        let why = format!("strconv.ParseUint: parsing {version:?}: invalid syntax");
        let message = if watches { format!("resourceVersion: Invalid value: {version:?}: {why}") } else { why };
        return Outcome::Answered(if watches { Status::internal(message) } else { Status::bad_request(message) });
    }
    match path.parameter("continue").filter(|token| !token.is_empty()).map(|token| continuation(&token)) {
        Some(Some(why)) => {
            let message = format!("invalid continue token: continue key is not valid: {why}");
            Outcome::Answered(Status::bad_request(message))
        }
        // A token of the recorded cluster is none of ours.
        Some(None) => Outcome::NotCovered("a continued list".to_owned()),
        None => Outcome::Ask(Vec::new()),
    }
}

/// Why a token that continues a list cannot be read; `None` if it can.
fn continuation(token: &str) -> Option<String> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (mut bits, mut count, mut bytes) = (0u32, 0, Vec::new());
    for (at, letter) in token.chars().enumerate() {
        let Some(value) = ALPHABET.find(letter) else { return Some(format!("illegal base64 data at input byte {at}")) };
        (bits, count) = (bits << 6 | u32::try_from(value).unwrap_or(0), count + 6);
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    if token.len() % 4 == 1 {
        return Some(format!("illegal base64 data at input byte {}", token.len() - 1));
    }
    match bytes.first() {
        Some(b'{') => serde_json::from_slice::<serde_json::Value>(&bytes)
            .err()
            .map(|_| String::from("unexpected end of JSON input")),
        Some(first) => Some(format!("invalid character '{}' looking for beginning of value", char::from(*first))),
        None => Some("unexpected end of JSON input".to_owned()),
    }
}
