//! Image names and their one long form: `web` means `docker.io/library/web:latest`.

use std::{fmt, str::FromStr};

const REGISTRY_DEFAULT: &str = "docker.io";
const REGISTRY_LEGACY: &str = "index.docker.io";
const OFFICIAL_PREFIX: &str = "library/";
const TAG_DEFAULT: &str = "latest";
const TAG_LENGTH_MAX: usize = 128;
const REPOSITORY_LENGTH_MAX: usize = 255;
const DIGEST_PREFIX: &str = "sha256:";
const DIGEST_DIGITS: usize = 64;

/// An image's name in its long form. Two spellings of one image are equal.
///
/// Source: `ParseNormalizedNamed` and `TagNameOnly` of github.com/distribution/reference (v0.6.0), which the kubelet
/// and the engine both use. Absent: the grammar's digest algorithms other than sha256.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageName {
    registry: String,
    path: String,
    version: Version,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Version {
    Tag(String),
    /// The hexadecimal digits. A tag beside a digest means nothing and is dropped.
    Digest(String),
}

/// Why a text is not an image name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("image name {found:?} is not valid: {problem}")]
pub struct ImageNameError {
    found: String,
    problem: &'static str,
}

impl ImageName {
    /// The short form that the engine's own lists use: without the default registry and its `library/`.
    pub fn familiar(&self) -> String {
        let long = self.to_string();
        let Some(path) = long.strip_prefix("docker.io/") else { return long };
        path.strip_prefix(OFFICIAL_PREFIX).unwrap_or(path).to_owned()
    }

    /// Repository and tag for the engine's import; `None` if the name is a digest, which cannot be chosen.
    pub(super) fn repository_and_tag(&self) -> Option<(String, &str)> {
        match &self.version {
            Version::Tag(tag) => Some((format!("{}/{}", self.registry, self.path), tag)),
            Version::Digest(_) => None,
        }
    }
}

impl FromStr for ImageName {
    type Err = ImageNameError;

    fn from_str(text: &str) -> Result<Self, ImageNameError> {
        let invalid = |problem| ImageNameError { found: text.to_owned(), problem };
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest_digits(digest).map_err(invalid)?)),
            None => (text, None),
        };
        let (registry, rest) = split_registry(rest);
        let (path, tag) = match rest.rsplit_once(':') {
            Some((path, tag)) => (path, Some(checked_tag(tag).map_err(invalid)?)),
            None => (rest, None),
        };
        check_path(path).map_err(invalid)?;
        let official = registry == REGISTRY_DEFAULT && !path.contains('/');
        let path = if official { format!("{OFFICIAL_PREFIX}{path}") } else { path.to_owned() };
        if registry.len() + 1 + path.len() > REPOSITORY_LENGTH_MAX {
            return Err(invalid("registry and path have more than 255 characters"));
        }
        let version = match digest {
            Some(digits) => Version::Digest(digits),
            None => Version::Tag(tag.unwrap_or(TAG_DEFAULT).to_owned()),
        };
        Ok(Self { registry: registry.to_owned(), path, version })
    }
}

/// The part before the first slash is a registry only if it looks like a host: it has a dot or port, or is `localhost`.
fn split_registry(text: &str) -> (&str, &str) {
    match text.split_once('/') {
        Some((REGISTRY_LEGACY, rest)) => (REGISTRY_DEFAULT, rest),
        Some((host, rest)) if is_host(host) => (host, rest),
        _ => (REGISTRY_DEFAULT, text),
    }
}

/// An upper-case letter cannot be part of a path, so it too makes a host.
fn is_host(text: &str) -> bool {
    text == "localhost" || text.contains(['.', ':']) || text.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn check_path(path: &str) -> Result<(), &'static str> {
    if path.is_empty() {
        return Err("the repository is empty");
    }
    for part in path.split('/') {
        let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        if part.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err("the repository must be lower case");
        }
        if !part.bytes().all(|byte| alphanumeric(byte) || matches!(byte, b'.' | b'_' | b'-')) {
            return Err("the repository may contain a-z, 0-9, '.', '_', '-' and '/' only");
        }
        let ends = (part.bytes().next(), part.bytes().next_back());
        if !matches!(ends, (Some(first), Some(last)) if alphanumeric(first) && alphanumeric(last)) {
            return Err("each part of the repository begins and ends with a letter or digit");
        }
        if ["..", "._", "_.", "___", ".-", "-.", "_-", "-_"].iter().any(|pair| part.contains(pair)) {
            return Err("separators in the repository are one '.', one or two '_', or any number of '-'");
        }
    }
    Ok(())
}

fn checked_tag(tag: &str) -> Result<&str, &'static str> {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let sound = tag.bytes().next().is_some_and(word)
        && tag.len() <= TAG_LENGTH_MAX
        && tag.bytes().all(|byte| word(byte) || matches!(byte, b'.' | b'-'));
    if sound {
        Ok(tag)
    } else {
        Err("a tag has 1 to 128 letters, digits, '_', '.' and '-', and begins with none of the last two")
    }
}

fn digest_digits(digest: &str) -> Result<String, &'static str> {
    match digest.strip_prefix(DIGEST_PREFIX) {
        Some(digits)
            if digits.len() == DIGEST_DIGITS
                && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) =>
        {
            Ok(digits.to_owned())
        }
        _ => Err("after '@' comes sha256: and 64 hexadecimal digits in lower case"),
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { registry, path, version } = self;
        match version {
            Version::Tag(tag) => write!(f, "{registry}/{path}:{tag}"),
            Version::Digest(digits) => write!(f, "{registry}/{path}@{DIGEST_PREFIX}{digits}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long(text: &str) -> String {
        text.parse::<ImageName>().expect("a valid name").to_string()
    }

    #[test]
    fn every_spelling_of_an_image_is_one_image() {
        for spelling in ["web", "web:latest", "library/web", "docker.io/web", "index.docker.io/library/web:latest"] {
            assert_eq!(long(spelling), "docker.io/library/web:latest", "{spelling}");
        }
        assert_eq!(long("team/web:v1"), "docker.io/team/web:v1");
        assert_eq!(long("localhost/web"), "localhost/web:latest");
        assert_eq!(long("registry:5000/web"), "registry:5000/web:latest");
        assert_eq!(long("ghcr.io/team/web:v1"), "ghcr.io/team/web:v1");
        let digest = "0".repeat(64);
        assert_eq!(long(&format!("web:v1@sha256:{digest}")), format!("docker.io/library/web@sha256:{digest}"));
    }

    #[test]
    fn the_engines_lists_show_the_short_form() {
        for (text, short) in
            [("web", "web:latest"), ("team/web", "team/web:latest"), ("localhost/web:v1", "localhost/web:v1")]
        {
            assert_eq!(text.parse::<ImageName>().expect("a valid name").familiar(), short);
        }
    }

    #[test]
    fn what_is_not_an_image_name_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "empty"),
            ("web:", "a tag"),
            ("web:a b", "a tag"),
            ("Web", "lower case"),
            ("team/we b", "may contain"),
            ("-web", "begins and ends"),
            ("team//web", "begins and ends"),
            ("we..b", "separators"),
            ("web@sha256:12", "hexadecimal"),
        ] {
            let error = text.parse::<ImageName>().expect_err(text).to_string();
            assert!(error.contains(reason), "{text:?}: {error}");
        }
    }
}
