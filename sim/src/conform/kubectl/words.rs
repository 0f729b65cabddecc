//! A command line of kubectl taken apart: its words, its flags, and the objects that it names.

use wavetank_core::id::Name;
use wavetank_core::model::Kind;

/// Flags that are followed by their value if it is not joined to them by `=`.
const WITH_VALUE: &[&str] = &[
    "--annotations",
    "--cascade",
    "--cluster-ip",
    "--clusterip",
    "--container",
    "--containers",
    "--context",
    "--current-replicas",
    "--description",
    "--docker-email",
    "--docker-password",
    "--docker-server",
    "--docker-username",
    "--env",
    "--external-ip",
    "--external-name",
    "--field-manager",
    "--field-selector",
    "--filename",
    "--from",
    "--from-env-file",
    "--from-file",
    "--from-literal",
    "--grace-period",
    "--hard",
    "--image",
    "--image-pull-policy",
    "--keys",
    "--kubeconfig",
    "--kustomize",
    "--labels",
    "--limits",
    "--load-balancer-ip",
    "--max-unavailable",
    "--min-available",
    "--name",
    "--namespace",
    "--node-port",
    "--output",
    "--overrides",
    "--patch",
    "--patch-file",
    "--pod-selector",
    "--port",
    "--preemption-policy",
    "--prefix",
    "--protocol",
    "--prune-allowlist",
    "--replicas",
    "--request-timeout",
    "--requests",
    "--resource-version",
    "--restart",
    "--schedule",
    "--scopes",
    "--selector",
    "--server",
    "--session-affinity",
    "--subresource",
    "--target-port",
    "--tcp",
    "--template",
    "--timeout",
    "--to-revision",
    "--type",
    "--v",
    "--value",
];
/// Short flags, each with the long one that it stands for. Those of some verbs come before those of all.
const SHORT: &[(&[&str], &str, &str)] = &[
    (&["run", "expose"], "-l", "--labels"),
    (&["set"], "-c", "--containers"),
    (&["set"], "-e", "--env"),
    (&["create"], "-r", "--replicas"),
    (&[], "-c", "--container"),
    (&[], "-f", "--filename"),
    (&[], "-k", "--kustomize"),
    (&[], "-l", "--selector"),
    (&[], "-n", "--namespace"),
    (&[], "-R", "--recursive"),
    (&[], "-o", "--output"),
    (&[], "-p", "--patch"),
    (&[], "-s", "--server"),
    (&[], "-v", "--v"),
    (&[], "-A", "--all-namespaces"),
];
/// Flags that say nothing about what is done.
const IDLE: [&str; 10] = [
    "--allow-missing-template-keys",
    "--kubeconfig",
    "--namespace",
    "--output",
    "--request-timeout",
    "--server",
    "--show-managed-fields",
    "--template",
    "--timeout",
    "--v",
];

/// A command line without the word `kubectl`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// What is no flag, in order, up to `--`.
    pub words: Vec<String>,
    /// Flags by their long names, with their values; `true` for one that has none.
    pub flags: Vec<(String, String)>,
    /// What follows `--`.
    pub after: Vec<String>,
}

impl CommandLine {
    /// Takes a line apart. Quotes and backslashes hold words together, as in a shell; JSON that stands without quotes
    /// around it is one word, as it was before somebody wrote the words of a line down side by side.
    pub fn parse(line: &str) -> CommandLine {
        let mut parsed = CommandLine::default();
        let mut words = split(line).into_iter().peekable();
        while let Some(word) = words.next() {
            if word == "--" {
                parsed.after = words.collect();
                break;
            }
            let verb = parsed.words.first().map_or("", String::as_str);
            let Some((name, joined)) = flag(verb, &word) else {
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

    /// All values of a flag, in order.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.flags.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All values of a flag that takes lists: each may have several, between commas.
    pub fn list<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.values(name).flat_map(|value| value.split(',')).filter(|value| !value.is_empty())
    }

    /// The line without a flag.
    pub fn without(&self, name: &str) -> CommandLine {
        let flags = self.flags.iter().filter(|(known, _)| known != name).cloned().collect();
        CommandLine { words: self.words.clone(), flags, after: self.after.clone() }
    }

    /// Whether a flag is set.
    pub fn is_set(&self, name: &str) -> bool {
        matches!(self.flag(name), Some("true" | "1" | "t" | "T" | "TRUE" | "True"))
    }

    /// Whether the command waits until something has happened, and not for answers alone: a deletion waits until its
    /// objects are gone, unless they go at once or it is told not to wait.
    pub fn takes_its_time(&self) -> bool {
        match self.words.first().map(String::as_str) {
            Some("delete") => self.flag("--wait") != Some("false") && !self.is_set("--force"),
            Some("drain" | "wait") => true,
            Some("rollout") => self.words.get(1).is_some_and(|word| word == "status"),
            _ => false,
        }
    }

    /// Whether a shell would do more with the line than call the program: pipes, redirections, further commands.
    pub fn is_of_a_shell(&self) -> bool {
        const SHELL: [&str; 8] = ["|", "||", "&", "&&", ";", ">", ">>", "<"];
        let words = self.words.iter().chain(&self.after).chain(self.flags.iter().map(|(_, value)| value));
        words.into_iter().any(|word| SHELL.contains(&word.as_str()) || word.starts_with("<<"))
    }

    /// Whether all flags are among these or say nothing about what is done.
    pub fn knows_flags(&self, known: &[&str]) -> bool {
        self.flags.iter().all(|(name, _)| known.contains(&name.as_str()) || IDLE.contains(&name.as_str()))
    }
}

/// A flag's long name and the value that is joined to it; `None` for a word that is no flag. A short flag that is not
/// known keeps its letter as its name.
fn flag(verb: &str, word: &str) -> Option<(String, Option<String>)> {
    if word.starts_with("--") {
        let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        return Some((name.to_owned(), value.map(str::to_owned)));
    }
    if word == "-" || !word.starts_with('-') {
        return None;
    }
    let is_meant = |(verbs, short, _): &&(&[&str], &str, &str)| {
        word.starts_with(short) && (verbs.is_empty() || verbs.contains(&verb))
    };
    let Some((_, _, long)) = SHORT.iter().find(is_meant) else { return Some((word.to_owned(), None)) };
    let rest = word[2..].trim_start_matches('=');
    Some(((*long).to_owned(), (!rest.is_empty()).then(|| rest.to_owned())))
}

/// Splits a line as a shell does.
fn split(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut rest = line;
    while let Some(letter) = rest.chars().next() {
        let begins = word.as_ref().is_none_or(|word| word.ends_with('='));
        let json = ['{', '['].contains(&letter) && quote.is_none() && begins;
        if let Some(length) = json.then(|| json_length(rest)).flatten() {
            word.get_or_insert_default().push_str(&rest[..length]);
            rest = &rest[length..];
            continue;
        }
        rest = &rest[letter.len_utf8()..];
        match (letter, quote) {
            (_, Some(open)) if letter == open => quote = None,
            ('\\', None | Some('"')) => {
                let next = rest.chars().next().unwrap_or('\\');
                rest = rest.get(next.len_utf8()..).unwrap_or_default();
                // Between quotes a backslash means itself before most letters.
                let stays = quote.is_some() && !['"', '\\', '$', '`'].contains(&next);
                word.get_or_insert_default().extend(stays.then_some('\\').into_iter().chain([next]));
            }
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

/// How many bytes the JSON that a text begins with is long; `None` if it begins with none.
fn json_length(text: &str) -> Option<usize> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<serde::de::IgnoredAny>();
    values.next()?.ok()?;
    Some(values.byte_offset())
}

/// What words name: kinds, if they stand alone before the names, and objects.
pub(super) type Named = (Vec<Kind>, Vec<(Kind, Name)>);

/// The objects that words name: `deploy/web sts/db`, `pods a b` or `pods,services a`. Also the kinds alone, without any
/// name.
///
/// Errors: a word of no kind that we have.
pub(super) fn objects(words: &[String]) -> Result<Named, String> {
    if words.iter().any(|word| word.contains('/')) {
        let pairs = words.iter().map(|word| {
            let (kind, name) = word.split_once('/').ok_or_else(|| word.clone())?;
            Ok((kind_of(kind).ok_or_else(|| kind.to_owned())?, name.into()))
        });
        return Ok((Vec::new(), pairs.collect::<Result<_, String>>()?));
    }
    let Some((first, names)) = words.split_first() else { return Ok((Vec::new(), Vec::new())) };
    let kinds_of = |word: &str| match word {
        "all" => Ok(ALL.to_vec()),
        word => kind_of(word).map(|kind| vec![kind]).ok_or_else(|| word.to_owned()),
    };
    let kinds: Vec<Kind> = first.split(',').map(kinds_of).collect::<Result<Vec<_>, _>>()?.concat();
    let named = kinds.iter().flat_map(|kind| names.iter().map(|name| (*kind, name.as_str().into()))).collect();
    Ok((kinds, named))
}

/// The kinds that the word `all` means, in the order in which they are gone through.
///
/// Source: `Categories`, pkg/registry/*/*/storage (v1.34.1).
const ALL: [Kind; 9] = [
    Kind::Pod,
    Kind::ReplicationController,
    Kind::Service,
    Kind::DaemonSet,
    Kind::Deployment,
    Kind::ReplicaSet,
    Kind::StatefulSet,
    Kind::CronJob,
    Kind::Job,
];

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
    fn a_command_that_waits_for_what_it_began_takes_its_time() {
        let waits = |line: &str| CommandLine::parse(line).takes_its_time();
        for line in ["delete pods -l app=web", "drain n1 --force", "rollout status deploy/web", "delete pod a --now"] {
            assert!(waits(line), "{line}");
        }
        for line in ["delete pod a --wait=false", "delete pod a --force", "scale deploy/web --replicas=2", "cordon n1"]
        {
            assert!(!waits(line), "{line}");
        }
    }

    #[test]
    fn words_flags_and_quotes_come_apart() {
        let line = CommandLine::parse(
            r#"-n shop patch deploy/till --type merge -p '{"spec": {"paused": true}}' --wait=false"#,
        );
        assert_eq!(line.words, ["patch", "deploy/till"]);
        assert_eq!((line.flag("--namespace"), line.flag("--type")), (Some("shop"), Some("merge")));
        assert_eq!(line.flag("--patch"), Some(r#"{"spec": {"paused": true}}"#));
        assert_eq!((line.flag("--wait"), line.is_set("--wait"), line.flag("--force")), (Some("false"), false, None));
        assert!(line.knows_flags(&["--type", "--patch", "--wait"]) && !line.knows_flags(&["--type", "--patch"]));
    }

    #[test]
    fn what_a_shell_takes_away_is_taken_and_json_without_quotes_around_it_stays() {
        assert_eq!(split(r#"a\ b "c\"d\n" 'e\f'"#), ["a b", r#"c"d\n"#, r"e\f"]);
        let json = r#"{"spec": {"a": [1, "x y"]}}"#;
        assert_eq!(split(&format!("patch deploy/till -p {json} x")), ["patch", "deploy/till", "-p", json, "x"]);
        assert_eq!(split(&format!("--patch={json}")), [format!("--patch={json}")]);
        assert_eq!(split("-o jsonpath={.items[*]}"), ["-o", "jsonpath={.items[*]}"]);
    }

    #[test]
    fn a_flag_may_come_again_and_what_follows_two_dashes_is_none() {
        let line =
            CommandLine::parse("run till --image a --env=A=1 --env B=2 -l part=till -- sh -c 'echo a' --image b");
        assert_eq!((line.flag("--image"), line.flag("--labels")), (Some("a"), Some("part=till")));
        assert_eq!(line.values("--env").collect::<Vec<_>>(), ["A=1", "B=2"]);
        assert_eq!(line.after, ["sh", "-c", "echo a", "--image", "b"]);
        assert_eq!(CommandLine::parse("create x --image=a,b --image c").list("--image").count(), 3);
        assert_eq!(CommandLine::parse("set env deploy/till -e A=1 -c x").flag("--containers"), Some("x"));
        assert!(!CommandLine::parse("run till --image=a -it").knows_flags(&["--image"]), "it is not passed over");
        assert_eq!(CommandLine::parse("set env deploy/till -").words, ["set", "env", "deploy/till", "-"]);
    }

    #[test]
    fn objects_are_named_by_kind_and_slash_or_by_kind_and_names() {
        let words = |text: &str| objects(&split(text));
        let pair = |kind, name: &str| (kind, Name::from(name));
        assert_eq!(
            words("deploy/till sts/db"),
            Ok((Vec::new(), vec![pair(Kind::Deployment, "till"), pair(Kind::StatefulSet, "db")]))
        );
        assert_eq!(words("pod a b"), Ok((vec![Kind::Pod], vec![pair(Kind::Pod, "a"), pair(Kind::Pod, "b")])));
        assert_eq!(
            words("po,svc a"),
            Ok((vec![Kind::Pod, Kind::Service], vec![pair(Kind::Pod, "a"), pair(Kind::Service, "a")]))
        );
        assert_eq!(words("deployments.apps"), Ok((vec![Kind::Deployment], Vec::new())));
        assert_eq!(words("potatoes a"), Err("potatoes".to_owned()));
        let (kinds, named) = words("all,cm").expect("kinds");
        assert_eq!((kinds.len(), kinds.last(), named), (10, Some(&Kind::ConfigMap), Vec::new()));
    }
}
