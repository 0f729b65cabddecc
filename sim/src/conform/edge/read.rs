//! What reading is answered with, as far as the code and a refusal go.
//!
//! Source: `ListResource`, staging/src/k8s.io/apiserver/pkg/endpoints/handlers/get.go; `decodeContinue`,
//! staging/src/k8s.io/apiserver/pkg/storage/continue.go (v1.34.1).

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use wavetank_core::Core;
use wavetank_core::model::{Kind, ObjectKey};

use super::{Outcome, Path, Status, not_found, options};

/// The answer to a reading of one object, of a list, or the beginning of a watch. Nothing is asked of the core.
pub(super) fn answer(core: &Core, kind: Kind, path: &Path) -> Outcome {
    if !path.name.is_empty() {
        let key = ObjectKey::new(kind, &path.namespace, &path.name);
        return if core.find(&key).is_some() { Outcome::Ask(Vec::new()) } else { not_found(&key) };
    }
    if let Err(status) = options::of_list(kind, path) {
        return Outcome::Answered(status);
    }
    let version = path.parameter("resourceVersion").unwrap_or_default();
    let watches = path.parameter("watch").is_some_and(|text| text != "0" && text != "false");
    if !version.is_empty() && version.parse::<u64>().is_err() {
        let why = format!("strconv.ParseUint: parsing {version:?}: invalid syntax");
        let message = format!("resourceVersion: Invalid value: {version:?}: {why}");
        return Outcome::Answered(if watches {
            Status::internal(message)
        } else {
            Status::bad_request(format!("invalid resource version: {message}"))
        });
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

/// How a token that continues a list is written. Go passes over bits behind the last byte.
const TOKEN: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, NO_PAD.with_decode_allow_trailing_bits(true));

/// Why a token that continues a list cannot be read; `None` if it can.
fn continuation(token: &str) -> Option<String> {
    let Ok(bytes) = TOKEN.decode(token) else {
        // Go reads from the left; without a wrong letter it is the last one that begins a byte and does not end it.
        let letters = URL_SAFE.as_str().as_bytes();
        let at = token.bytes().position(|letter| !letters.contains(&letter)).unwrap_or(token.len() - 1);
        return Some(format!("illegal base64 data at input byte {at}"));
    };
    match bytes.first() {
        Some(b'{') => serde_json::from_slice::<serde_json::Value>(&bytes)
            .err()
            .map(|_| String::from("unexpected end of JSON input")),
        Some(first) => Some(format!("invalid character '{}' looking for beginning of value", char::from(*first))),
        None => Some("unexpected end of JSON input".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_refused_where_it_ceases_to_be_one() {
        let json = TOKEN.encode(r#"{"v":"meta.k8s.io/v1","rv":7,"start":"a\u0000"}"#);
        let text = TOKEN.encode("later");
        for (token, why) in [
            (&*json, None),
            (&json[..json.len() - 4], Some("unexpected end of JSON input")),
            (&*text, Some("invalid character 'l' looking for beginning of value")),
            ("ey!J9=", Some("illegal base64 data at input byte 2")),
            ("eyJ2I", Some("illegal base64 data at input byte 4")),
            // The last letter says more than the byte that it ends.
            ("e31", None),
        ] {
            assert_eq!(continuation(token).as_deref(), why, "{token}");
        }
    }
}
