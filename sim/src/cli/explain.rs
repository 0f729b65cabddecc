//! `sim explain`: the story of one object of a recorded run, with its causes.

use std::collections::BTreeSet;
use std::path::PathBuf;

use wavetank_manifest::nearest;
use wavetank_reports::recorded::{Recorded, read_directory};
use wavetank_reports::story::{Story, render_story, story, subjects};

use super::{Exit, Format, complain, print, terminal};

/// So many names are listed when several objects match.
const LISTED_MAX: usize = 20;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The directory of a run.
    run_dir: PathBuf,
    /// The object: KIND/NAME or KIND/NAMESPACE/NAME; the beginning of a name is enough.
    object: String,
    /// What is printed.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub(super) fn run(arguments: &Arguments) -> Exit {
    match told(arguments) {
        Ok(story) => print(&rendered(&story, arguments.format), Exit::Held),
        Err(error) => {
            complain(&error);
            Exit::BadInput
        }
    }
}

fn told(arguments: &Arguments) -> Result<Story, String> {
    let recorded = read_directory(&arguments.run_dir).map_err(|error| error.to_string())?;
    let subject = find(&recorded, &arguments.object)?;
    Ok(story(&recorded, subject))
}

fn rendered(story: &Story, format: Format) -> String {
    match format {
        Format::Text => {
            let (width, colour) = terminal();
            render_story(story, width, colour)
        }
        Format::Json => {
            let mut text = serde_json::to_string_pretty(story).expect("a story is plain data");
            text.push('\n');
            text
        }
    }
}

/// The one subject that a name means.
fn find<'a>(recorded: &'a Recorded, name: &str) -> Result<&'a str, String> {
    let subjects = subjects(recorded);
    let parts: Vec<&str> = name.split('/').collect();
    let (kind, namespace, short) = match parts[..] {
        [kind, short] => (kind, None, short),
        [kind, namespace, short] => (kind, Some(namespace), short),
        _ => {
            return Err(format!(
                "{name:?} names no object: expected KIND/NAME or KIND/NAMESPACE/NAME, such as pod/web-1"
            ));
        }
    };
    let kind = kind_of(kind);
    let of_kind: Vec<Subject<'_>> =
        subjects.iter().filter_map(|whole| Subject::of(whole)).filter(|one| one.kind == kind).collect();
    if of_kind.is_empty() {
        let kinds: BTreeSet<&str> =
            subjects.iter().filter_map(|whole| Subject::of(whole)).map(|one| one.kind).collect();
        return Err(match nearest(&kind, kinds.iter().copied()) {
            Some(near) => format!("the run has no {kind}: did you mean {near}?"),
            None if kinds.is_empty() => "the run has no facts about objects: it was one of placement alone".to_owned(),
            None => format!("the run has no {kind:?}; it has {}", Vec::from_iter(kinds).join(", ")),
        });
    }
    let in_namespace = |one: &&Subject<'_>| namespace.is_none_or(|namespace| one.namespace == namespace);
    let exact: Vec<&Subject<'_>> = of_kind.iter().filter(in_namespace).filter(|one| one.name == short).collect();
    let beginning: Vec<&Subject<'_>> =
        of_kind.iter().filter(in_namespace).filter(|one| one.name.starts_with(short)).collect();
    // As with kubectl, a name without its namespace is one of `default` if there is such.
    let usual = exact.iter().find(|one| one.namespace == "default").copied();
    let candidates = if exact.is_empty() { &beginning } else { &exact };
    match (usual, &candidates[..]) {
        (Some(one), _) => Ok(one.whole),
        (None, [one]) => Ok(one.whole),
        (None, []) => Err(format!("the run has no {name}; it has\n{}", listed(&nearest_first(short, &of_kind)))),
        (None, several) => Err(format!("{name} is not one object; it could be\n{}", listed(several))),
    }
}

/// All subjects, the one with the name most like another first.
fn nearest_first<'a, 'b>(name: &str, subjects: &'b [Subject<'a>]) -> Vec<&'b Subject<'a>> {
    let near = nearest(name, subjects.iter().map(|one| one.name));
    let mut all: Vec<&Subject<'a>> = subjects.iter().collect();
    all.sort_by_key(|one| Some(one.name) != near);
    all
}

/// A subject in its parts.
struct Subject<'a> {
    whole: &'a str,
    kind: &'a str,
    /// Empty for objects of the cluster.
    namespace: &'a str,
    name: &'a str,
}

impl<'a> Subject<'a> {
    fn of(whole: &'a str) -> Option<Subject<'a>> {
        let (kind, rest) = whole.split_once('/')?;
        let (namespace, name) = rest.split_once('/').unwrap_or(("", rest));
        Some(Subject { whole, kind, namespace, name })
    }
}

/// The kind that a user's word means: kubectl's short names and plurals too.
fn kind_of(word: &str) -> String {
    let word = word.to_lowercase();
    let known = wavetank_core::model::Kind::ALL.iter().find(|kind| {
        let name = kind.name().to_lowercase();
        word == name || word == format!("{name}s") || word == kind.short_name()
    });
    known.map_or(word, |kind| kind.name().to_lowercase())
}

fn listed(subjects: &[&Subject<'_>]) -> String {
    let mut text: String = subjects.iter().take(LISTED_MAX).map(|one| format!("  {}\n", one.whole)).collect();
    if subjects.len() > LISTED_MAX {
        text.push_str(&format!("  … and {} more\n", subjects.len() - LISTED_MAX));
    }
    text
}
