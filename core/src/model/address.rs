//! Addresses of pods.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str;

use serde::{Deserialize, Serialize};

use crate::id::Name;

/// The address of a pod, as its text says it. Nearly all are of IPv4, and a cluster has one for each pod, so that these
/// are kept as numbers, without memory of their own.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Name", into = "Name")]
pub struct Address(Kept);

#[derive(Clone, PartialEq, Eq)]
enum Kept {
    /// Of a text that is how these numbers are written.
    V4([u8; 4]),
    /// Of any other text.
    Text(Name),
}

/// The longest text of an address of IPv4.
const TEXT_MAX: usize = "255.255.255.255".len();

impl Address {
    /// The address of IPv4 of these numbers.
    pub const fn v4(numbers: [u8; 4]) -> Address {
        Address(Kept::V4(numbers))
    }

    /// Does something with the text.
    fn with_text<T>(&self, then: impl FnOnce(&str) -> T) -> T {
        match &self.0 {
            Kept::V4(numbers) => {
                let (mut text, mut length) = ([b'.'; TEXT_MAX], 0);
                for (place, number) in numbers.iter().enumerate() {
                    length += usize::from(place > 0);
                    for (unit, is_shown) in [(100, *number >= 100), (10, *number >= 10), (1, true)] {
                        if is_shown {
                            text[length] = b'0' + number / unit % 10;
                            length += 1;
                        }
                    }
                }
                then(str::from_utf8(&text[..length]).expect("digits and dots"))
            }
            Kept::Text(text) => then(text),
        }
    }
}

/// As of the texts.
impl Ord for Address {
    fn cmp(&self, other: &Address) -> Ordering {
        self.with_text(|text| other.with_text(|other| text.cmp(other)))
    }
}

impl PartialOrd for Address {
    fn partial_cmp(&self, other: &Address) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// As of the text.
impl Hash for Address {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.with_text(|text| text.hash(state));
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_text(|text| f.pad(text))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_text(|text| fmt::Debug::fmt(text, f))
    }
}

impl From<&str> for Address {
    fn from(text: &str) -> Address {
        // This reads the canonical form alone: no leading zeros, no other notation.
        match text.parse::<std::net::Ipv4Addr>() {
            Ok(address) => Address::v4(address.octets()),
            Err(_) => Address(Kept::Text(text.into())),
        }
    }
}

impl From<String> for Address {
    fn from(text: String) -> Address {
        Address::from(&*text)
    }
}

impl From<Name> for Address {
    fn from(text: Name) -> Address {
        Address::from(&*text)
    }
}

impl From<Address> for Name {
    fn from(address: Address) -> Name {
        match address.0 {
            Kept::V4(_) => address.with_text(|text| text.into()),
            Kept::Text(text) => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::StableHasher;

    #[test]
    fn an_address_is_as_its_text() {
        for text in ["10.0.0.2", "0.0.0.0", "255.255.255.255", "192.168.10.100", "fd00::7", "10.0.0.02", "", "10.0.1"] {
            let address = Address::from(text);
            assert_eq!(address.to_string(), text);
            assert_eq!(format!("{address:?} {address:<20}|"), format!("{text:?} {text:<20}|"));
            assert_eq!(StableHasher::hash_one(&address), StableHasher::hash_one(&Name::from(text)));
            assert_eq!(Name::from(address.clone()), Name::from(text));
            let json = serde_json::to_string(&address).expect("JSON");
            assert_eq!(json, format!("{text:?}"));
            assert_eq!(serde_json::from_str::<Address>(&json).expect("an address"), address);
        }
        assert_eq!(Address::from("10.1.2.3"), Address::v4([10, 1, 2, 3]));
        assert_ne!(Address::from("10.0.0.1"), Address::from("10.0.0.2"));
        let mut addresses = ["10.0.0.9", "fd00::7", "10.0.0.10", "9.0.0.1"].map(Address::from);
        addresses.sort();
        assert_eq!(addresses.map(|it| it.to_string()), ["10.0.0.10", "10.0.0.9", "9.0.0.1", "fd00::7"]);
    }
}
