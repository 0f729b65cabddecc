//! Names of images, as far as it matters whether they are any.
//!
//! Source: the grammar of github.com/distribution/reference, which `ParseImageName`, pkg/util/parsers/parsers.go
//! (v1.34.1) asks.

/// The longest name without domain, tag and digest, in bytes; one without a slash is in the folder `library`.
const PATH_MAX: usize = 255;
/// The longest tag, in bytes.
const TAG_MAX: usize = 128;

/// Whether a text is the name of an image: `[DOMAIN[:PORT]/]PATH[:TAG][@DIGEST]`.
pub(super) fn is_name(text: &str) -> bool {
    // A bare identifier is no name.
    if text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return false;
    }
    let (rest, digest) = text.split_once('@').map_or((text, None), |(rest, digest)| (rest, Some(digest)));
    let slash = rest.rfind('/').map_or(0, |at| at + 1);
    let (name, tag) = match rest[slash..].find(':') {
        Some(at) => (&rest[..slash + at], Some(&rest[slash + at + 1..])),
        None => (rest, None),
    };
    let (domain, path) = split(name);
    digest.is_none_or(is_digest)
        && tag.is_none_or(is_tag)
        && domain.is_none_or(is_domain)
        && path.len() + if domain.is_none() && !path.contains('/') { "library/".len() } else { 0 } <= PATH_MAX
        && path.split('/').all(is_component)
}

/// Only what has a dot, a port or a capital letter, or is `localhost`, is a domain.
fn split(name: &str) -> (Option<&str>, &str) {
    match name.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" || first.to_lowercase() != first => {
            (Some(first), rest)
        }
        _ => (None, name),
    }
}

fn is_domain(domain: &str) -> bool {
    let (host, port) = domain.rsplit_once(':').map_or((domain, None), |(host, port)| (host, Some(port)));
    let is_part = |part: &str| {
        let inside = part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        !part.is_empty() && inside && !part.starts_with('-') && !part.ends_with('-')
    };
    port.is_none_or(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
        && host.split('.').all(is_part)
}

/// Lower-case letters and digits, with one dot, one or two underscores or any dashes between them.
fn is_component(component: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = component.as_bytes();
    let ends = bytes.first().is_some_and(|&byte| is_letter(byte)) && bytes.last().is_some_and(|&byte| is_letter(byte));
    let mut separators = component.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    ends && separators.all(|it| matches!(it, "" | "." | "_" | "__") || it.bytes().all(|byte| byte == b'-'))
}

fn is_tag(tag: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= TAG_MAX
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'))
}

fn is_digest(digest: &str) -> bool {
    let Some((algorithm, hex)) = digest.split_once(':') else { return false };
    let starts = algorithm.split(['+', '.', '-', '_']).all(|part| {
        part.starts_with(|c: char| c.is_ascii_alphabetic()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    });
    // Of the algorithms that are known the length is known too; others are no digests.
    let length = match algorithm {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => return false,
    };
    starts && hex.len() == length && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::is_name;

    #[test]
    fn names_of_images_have_a_grammar() {
        let digest = "0".repeat(64);
        for good in ["a", "a:latest", "registry:5000/team/a", "a__b/c.d-e", "a:1", "Host/a", "localhost/a"] {
            assert!(is_name(good), "{good}");
        }
        assert!(is_name(&format!("a@sha256:{digest}")));
        for bad in ["", "A", "a b", "a:", "a:b c", "-a", "a/", "a..b", "a@sha256:00", &digest] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
