//! Reading files of text that a user names.

use std::io::ErrorKind;
use std::path::Path;

use crate::nearest;

/// The text of a file.
///
/// Errors: a sentence that names the file, says what is wrong with it, and has the nearest name if there is no such
/// file.
pub fn read(path: &Path) -> Result<String, String> {
    let name = path.display();
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let meant = neighbour(path).map_or_else(String::new, |name| format!("; did you mean {name:?}?"));
            return Err(format!("cannot read {name}: there is no such file{meant}"));
        }
        Err(error) if error.kind() == ErrorKind::IsADirectory => {
            return Err(format!("cannot read {name}: expected a file, found a directory"));
        }
        Err(error) => return Err(format!("cannot read {name}: {error}")),
    };
    as_text(bytes).map_err(|place| format!("cannot read {name}: expected text in UTF-8, found other bytes {place}"))
}

/// The bytes as text, or where they stop being text.
pub fn as_text(bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let column =
            1 + before.iter().rev().take_while(|byte| **byte != b'\n').filter(|byte| !is_inside(**byte)).count();
        format!("in line {line}, column {column}")
    })
}

/// Whether a byte goes on with a letter that has begun.
fn is_inside(byte: u8) -> bool {
    byte & 0b1100_0000 == 0b1000_0000
}

/// The file beside this path whose name is most like it.
fn neighbour(path: &Path) -> Option<String> {
    let dir = path.parent().filter(|dir| *dir != Path::new("")).unwrap_or(Path::new("."));
    let entries = std::fs::read_dir(dir).ok()?;
    let mut names: Vec<String> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort_unstable();
    let name = path.file_name()?.to_str()?;
    let found = nearest(name, names.iter().map(String::as_str))?;
    Some(path.with_file_name(found).display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_told_with_its_place() {
        assert_eq!(as_text(b"a\n\xc3\xa4b\xffc".to_vec()), Err("in line 2, column 3".to_owned()));
        assert_eq!(as_text("ä".into()), Ok("ä".to_owned()));
    }

    #[test]
    fn a_missing_file_has_the_nearest_name_beside_it_and_a_directory_is_no_file() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let missing = read(&dir.join("text_fil.rs")).unwrap_err();
        assert!(
            missing.contains("there is no such file; did you mean ") && missing.contains("text_file.rs"),
            "{missing}"
        );
        let nothing = read(&dir.join("none/of/these")).unwrap_err();
        assert!(nothing.ends_with("none/of/these: there is no such file"), "{nothing}");
        let directory = read(&dir).unwrap_err();
        assert!(directory.ends_with("src: expected a file, found a directory"), "{directory}");
    }
}
