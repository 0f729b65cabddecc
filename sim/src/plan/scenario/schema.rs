//! The JSON Schema of scenario files, for editors.

/// The schema's text (JSON Schema, draft 2020-12).
///
/// Written by hand beside [`super::format`]; tests compare its properties with the fields that the reader takes, and
/// check every scenario of the repository against it.
pub fn schema() -> &'static str {
    include_str!("schema.json")
}
