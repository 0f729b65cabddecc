//! A command line of kubectl taken apart: its words, its flags, and the objects that it names.

use wavetank_core::id::Name;
use wavetank_core::model::Kind;

/// Flags that are followed by their value if it is not joined to them by `=`.
const WITH_VALUE: &[&str] = &[
    "--cascade",
    "--container",
    "--current-replicas",
    "--field-selector",
    "--filename",
    "--from",
    "--grace-period",
    "--image",
    "--namespace",
    "--output",
    "--patch",
    "--pod-selector",
    "--replicas",
    "--selector",
    "--subresource",
    "--timeout",
    "--to-revision",
    "--type",
];
/// Short flags, each with the long one that it stands for.
const SHORT: &[(&str, &str)] = &[
    ("-c", "--container"),
    ("-f", "--filename"),
    ("-l", "--selector"),
    ("-n", "--namespace"),
    ("-o", "--output"),
    ("-p", "--patch"),
    ("-A", "--all-namespaces"),
];

/// A command line without the word `kubectl`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// What is no flag, in order.
    pub words: Vec<String>,
    /// Flags by their long names, with their values; `true` for one that has none.
    pub flags: Vec<(String, String)>,
}

impl CommandLine {
    /// Takes a line apart. Quotes hold words together, as in a shell.
    pub fn parse(line: &str) -> CommandLine {
        let mut parsed = CommandLine::default();
        let mut words = split(line).into_iter().peekable();
        while let Some(word) = words.next() {
            let Some((name, joined)) = flag(&word) else {
                parsed.words.push(word);
                continue;
            };
            let value = joined.or_else(|| WITH_VALUE.contains(&&*name).then(|| words.next()).flatten());
            parsed.flags.push((name, value.unwrap_or_else(|| "true".to_owned())));
        }
        parsed
    }

    /// The value of a flag, the last if it is there more than once.
    pub fn flag(&self, name: &str) -> Option<&str> {
        self.flags.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether a flag is set.
    pub fn is_set(&self, name: &str) -> bool {
        self.flag(name) == Some("true")
    }

    /// Whether all flags are among these or say nothing about what is done.
    pub fn knows_flags(&self, known: &[&str]) -> bool {
        const IDLE: [&str; 5] = ["--namespace", "--wait", "--output", "--timeout", "--record"];
        self.flags.iter().all(|(name, _)| known.contains(&name.as_str()) || IDLE.contains(&name.as_str()))
    }
}

/// A flag's long name and the value that is joined to it; `None` for a word that is no flag.
fn flag(word: &str) -> Option<(String, Option<String>)> {
    if word.starts_with("--") {
        let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        return Some((name.to_owned(), value.map(str::to_owned)));
    }
    let (_, long) = SHORT.iter().find(|(short, _)| word.starts_with(short))?;
    let rest = word[2..].trim_start_matches('=');
    Some(((*long).to_owned(), (!rest.is_empty()).then(|| rest.to_owned())))
}

fn split(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for letter in line.chars() {
        match (letter, quote) {
            (_, Some(open)) if letter == open => quote = None,
            ('\'' | '"', None) => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (_, None) if letter.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

/// What words name: a kind, if it stands alone before the names, and objects.
pub(super) type Named = (Option<Kind>, Vec<(Kind, Name)>);

/// The objects that words name: `deploy/web sts/db` or `pods a b`. Also the kind alone, without any name.
///
/// Errors: a word of no kind that we have.
pub(super) fn objects(words: &[String]) -> Result<Named, String> {
    if words.iter().any(|word| word.contains('/')) {
        let pairs = words.iter().map(|word| {
            let (kind, name) = word.split_once('/').ok_or_else(|| word.clone())?;
            Ok((kind_of(kind).ok_or_else(|| kind.to_owned())?, name.into()))
        });
        return Ok((None, pairs.collect::<Result<_, String>>()?));
    }
    let Some((first, names)) = words.split_first() else { return Ok((None, Vec::new())) };
    let kind = kind_of(first).ok_or_else(|| first.clone())?;
    Ok((Some(kind), names.iter().map(|name| (kind, name.as_str().into())).collect()))
}

/// The kind that a word means: its plural, its name or its short name, with or without its group.
fn kind_of(word: &str) -> Option<Kind> {
    let (word, group) = word.split_once('.').map_or((word, None), |(word, group)| (word, Some(group)));
    let means = |kind: &&Kind| {
        let group_of = kind.api_version().split_once('/').map_or("", |(group, _)| group);
        let named = kind.plural() == word || kind.short_name() == word || kind.name().eq_ignore_ascii_case(word);
        named && group.is_none_or(|group| group == group_of)
    };
    Kind::ALL.iter().find(means).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_flags_and_quotes_come_apart() {
        let line = CommandLine::parse(
            r#"-n shop patch deploy/till --type merge -p '{"spec": {"paused": true}}' --wait=false"#,
        );
        assert_eq!(line.words, ["patch", "deploy/till"]);
        assert_eq!((line.flag("--namespace"), line.flag("--type")), (Some("shop"), Some("merge")));
        assert_eq!(line.flag("--patch"), Some(r#"{"spec": {"paused": true}}"#));
        assert_eq!((line.flag("--wait"), line.is_set("--wait"), line.flag("--force")), (Some("false"), false, None));
        assert!(line.knows_flags(&["--type", "--patch"]) && !line.knows_flags(&["--type"]));
    }

    #[test]
    fn objects_are_named_by_kind_and_slash_or_by_kind_and_names() {
        let words = |text: &str| objects(&split(text));
        let pair = |kind, name: &str| (kind, Name::from(name));
        assert_eq!(
            words("deploy/till sts/db"),
            Ok((None, vec![pair(Kind::Deployment, "till"), pair(Kind::StatefulSet, "db")]))
        );
        assert_eq!(words("pod a b"), Ok((Some(Kind::Pod), vec![pair(Kind::Pod, "a"), pair(Kind::Pod, "b")])));
        assert_eq!(words("deployments.apps"), Ok((Some(Kind::Deployment), Vec::new())));
        assert_eq!(words("potatoes a"), Err("potatoes".to_owned()));
    }
}
