//! The combinations of a sweep: `--matrix path=value,value`, each a field of the scenario and the values it takes.

/// A field and its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axis {
    /// The field's path as `--set` takes it.
    pub path: String,
    /// Its values, in the order of the command line.
    pub values: Vec<String>,
}

/// All axes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matrix(pub Vec<Axis>);

/// One combination: a value for every axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Path and value.
    pub values: Vec<(String, String)>,
}

impl Axis {
    /// Reads `path=value,value`. A path that begins in the scenario's `spec` may leave `spec.` out. Commas within
    /// brackets, braces or quotation marks do not part values.
    ///
    /// Errors: a sentence that says what was expected.
    pub fn parse(text: &str) -> Result<Axis, String> {
        let (path, values) = text.split_once('=').unwrap_or((text, ""));
        let values = split(values);
        if path.is_empty() || values.iter().any(String::is_empty) {
            return Err(format!("expected path=value,value, such as controlPlane.policy=FGD,BestFit, found {text:?}"));
        }
        if let Some(twice) = values.iter().enumerate().find(|(place, value)| values[..*place].contains(value)) {
            return Err(format!("{path} is given the value {:?} twice", twice.1));
        }
        let top = path.split(['.', '[']).next().unwrap_or_default();
        let is_whole = ["spec", "metadata", "apiVersion", "kind"].contains(&top);
        let path = if is_whole { path.to_owned() } else { format!("spec.{path}") };
        Ok(Axis { path, values })
    }

    /// The field's last name, for headings: `policy` of `spec.controlPlane.policy`.
    pub fn name(&self) -> &str {
        name_of(&self.path)
    }
}

/// The last name of a path.
pub(super) fn name_of(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// A value as people read it: of a path to a file, the file's stem.
pub(super) fn shown(value: &str) -> &str {
    let file = value.rsplit('/').next().unwrap_or(value);
    if value.contains('/') { file.rsplit_once('.').map_or(file, |(stem, _)| stem) } else { value }
}

impl Matrix {
    /// All combinations; those that differ in the last axis only stand together.
    pub fn cells(&self) -> Vec<Cell> {
        let mut cells = vec![Cell { values: Vec::new() }];
        for axis in &self.0 {
            let with = |cell: Cell| {
                let value = move |value: &String| {
                    let mut values = cell.values.clone();
                    values.push((axis.path.clone(), value.clone()));
                    Cell { values }
                };
                axis.values.iter().map(value).collect::<Vec<_>>()
            };
            cells = cells.into_iter().flat_map(with).collect();
        }
        cells
    }
}

impl Cell {
    /// As `--set` takes them.
    pub fn settings(&self) -> impl Iterator<Item = String> {
        self.values.iter().map(|(path, value)| format!("{path}={value}"))
    }

    /// The value on an axis.
    pub fn value(&self, path: &str) -> Option<&str> {
        self.values.iter().find(|(known, _)| known == path).map(|(_, value)| value.as_str())
    }

    /// In words: `policy=FGD pods=default`; `the scenario as it is` without any axis.
    pub fn label(&self) -> String {
        let parts = self.values.iter().map(|(path, value)| format!("{}={}", name_of(path), shown(value)));
        let text = parts.collect::<Vec<_>>().join(" ");
        if text.is_empty() { "the scenario as it is".to_owned() } else { text }
    }
}

fn split(text: &str) -> Vec<String> {
    let (mut parts, mut depth, mut quote) = (vec![String::new()], 0u32, None);
    for letter in text.chars() {
        match (quote, letter) {
            (Some(mark), _) if mark == letter => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(letter),
            (None, '[' | '{') => depth += 1,
            (None, ']' | '}') => depth = depth.saturating_sub(1),
            (None, ',') if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            (None, _) => {}
        }
        parts.last_mut().expect("there is one part at least").push(letter);
    }
    parts.into_iter().map(|part| part.trim().to_owned()).collect()
}

/// Reads `42..51` (both included), `7` or `1,5,9..12`.
///
/// Errors: a sentence that says what was expected.
pub fn parse_seeds(text: &str) -> Result<Vec<u64>, String> {
    const SEEDS_MAX: u64 = 100_000;
    let wrong = || format!("expected seeds such as 42..51 (both included) or 1,5,9, found {text:?}");
    let mut seeds = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once("..").unwrap_or((part, part));
        let last = last.strip_prefix('=').unwrap_or(last);
        let number = |text: &str| text.trim().parse::<u64>().map_err(|_| wrong());
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return Err(wrong());
        }
        if last - first >= SEEDS_MAX {
            return Err(format!("{text:?} are too many seeds: expected {SEEDS_MAX} at most"));
        }
        seeds.extend(first..=last);
    }
    seeds.sort_unstable();
    seeds.dedup();
    Ok(seeds)
}
