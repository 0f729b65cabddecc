//! `KubeSchedulerConfiguration` files, as kube-scheduler's `--config` takes them.
//!
//! Read strictly with places, defaulted and validated with Kubernetes' own messages, then made into the core's plain
//! data: profiles with the plugins of each extension point in order. What is valid but not simulated is refused and
//! named: extenders, plugins that are not kube-scheduler's own, a plugin that runs without what it prepares for itself.
//! Read and without effect in the simulation: `parallelism`, `leaderElection`, profiling, `kubeconfig`.
//!
//! Source: pkg/scheduler/apis/config/{v1,validation}, pkg/scheduler/framework/runtime/framework.go (v1.34.1).

mod args;
mod format;
mod plugins;
#[cfg(test)]
mod tests;

use serde::Deserialize;
use wavetank_core::config::{Plugin, PluginArgs, Point, ProfileConfig, RateLimit, SchedulerConfig};
use wavetank_core::time::Span;

use crate::kubernetes::validation::report::{At, Report};
use crate::strict::{Error, Errors};
use crate::yaml::{self, Duplicates, Node, Position, Value};
use format::{Args, ClientConnection, KubeSchedulerConfiguration, Profile};

/// The only version that kube-scheduler 1.34 reads.
const API_VERSION: &str = "kubescheduler.config.k8s.io/v1";
const KIND: &str = "KubeSchedulerConfiguration";

/// What a configuration file says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SchedulerConfiguration {
    /// `percentageOfNodesToScore` as written; 0 is adaptive, `None` was not written.
    pub percentage_of_nodes_to_score: Option<u32>,
    /// `podInitialBackoffSeconds`.
    pub backoff_initial: Span,
    /// `podMaxBackoffSeconds`.
    pub backoff_max: Span,
    /// `clientConnection.qps` and `burst`; `None` if neither was written, `Some(None)` is no limit.
    pub client_limit: Option<Option<RateLimit>>,
    /// `profiles`, at least one.
    pub profiles: Vec<ProfileConfig>,
}

impl SchedulerConfiguration {
    /// Reads a file, YAML or JSON. `file` is its name for messages.
    ///
    /// Errors: what is not YAML, an unknown field or plugin, a wrong type, everything that kube-scheduler refuses, and
    /// what is not supported.
    pub fn read(file: &str, text: &str) -> Result<SchedulerConfiguration, Errors> {
        let documents = yaml::parse(text, Duplicates::Refused).map_err(|error| Error::from_syntax(file, error))?;
        match documents.as_slice() {
            [document] => SchedulerConfiguration::from_node(file, document),
            [] => Err(Error::new(file, Position { line: 1, column: 1 }, "", "the file has no content").into()),
            [_, second, ..] => {
                let message = "a second document begins here; expected one document in this file";
                Err(Error::new(file, second.span.start(), "", message).into())
            }
        }
    }

    /// Reads a configuration that stands inside another file. Errors: as [`SchedulerConfiguration::read`].
    pub fn from_node(file: &str, node: &Node) -> Result<SchedulerConfiguration, Errors> {
        header(file, node)?;
        let written: KubeSchedulerConfiguration = crate::strict::from_node(file, node)?;
        let mut problems = Problems { file, root: node, errors: Vec::new() };
        let configuration = checked(&written, &mut problems);
        if problems.errors.is_empty() { Ok(configuration) } else { Err(Errors(problems.errors).sorted()) }
    }

    /// Sets what the file says in a scheduler's settings.
    pub fn apply(&self, config: &mut SchedulerConfig) {
        config.percentage_of_nodes_to_score = self.percentage_of_nodes_to_score.unwrap_or(0);
        config.backoff_initial = self.backoff_initial;
        config.backoff_max = self.backoff_max;
        config.client_limit = self.client_limit.unwrap_or(config.client_limit);
        config.profiles.clone_from(&self.profiles);
    }
}

fn header(file: &str, node: &Node) -> Result<(), Errors> {
    let Value::Map(_) = node.value else {
        let message = format!("expected a mapping ({KIND}), found {}", node.value.describe());
        return Err(Error::new(file, node.span.start(), "", message).into());
    };
    for (field, expected) in [("apiVersion", API_VERSION), ("kind", KIND)] {
        let found = node.get(field);
        let Some(text) = found.and_then(Node::as_str).filter(|text| !text.is_empty()) else {
            let message =
                format!("Object '{}' is missing; expected {expected}", if field == "kind" { "Kind" } else { field });
            return Err(Error::new(file, found.unwrap_or(node).span.start(), field, message).into());
        };
        if text != expected {
            let written = |field| node.get(field).and_then(Node::as_str).unwrap_or_default();
            let (kind, version) = (written("kind"), written("apiVersion"));
            let message = format!("no kind {kind:?} is registered for version {version:?}");
            let place = found.unwrap_or(node).span.start();
            return Err(Error::new(file, place, field, message).expecting(text, [expected]).into());
        }
    }
    Ok(())
}

/// What is wrong so far, and where to look for the places.
struct Problems<'a> {
    file: &'a str,
    root: &'a Node,
    errors: Vec<Error>,
}

impl Problems<'_> {
    fn refuse(&mut self, path: &str, message: String) {
        self.errors.push(Error::new(self.file, self.root.locate(path), path, message));
    }

    fn refuse_name<'a>(&mut self, path: &str, message: String, name: &str, known: impl Iterator<Item = &'a str>) {
        let error = Error::new(self.file, self.root.locate(path), path, message);
        self.errors.push(error.expecting(name, known));
    }

    /// Places the causes that a check has found.
    fn report(&mut self, check: impl FnOnce(&mut Report)) {
        let mut report = Report::default();
        check(&mut report);
        for cause in report.causes {
            self.refuse(&cause.field, cause.message);
        }
    }

    /// Reads the arguments of a plugin and checks them.
    fn args<'de, T: Args + Deserialize<'de>>(
        &mut self,
        plugin: Plugin,
        node: &'de Node,
        path: &str,
        check: impl FnOnce(T, &mut Report),
    ) {
        let args: T = match crate::strict::from_node(self.file, node) {
            Ok(args) => args,
            Err(errors) => {
                let placed = |error: Error| Error { path: joined(path, &error.path), ..error };
                return self.errors.extend(errors.0.into_iter().map(placed));
            }
        };
        let wanted = format!("{}Args", plugin.name());
        if args.kind().is_some_and(|kind| kind != wanted) || args.api_version().is_some_and(|it| it != API_VERSION) {
            let (kind, version) = (args.kind().unwrap_or(&wanted), args.api_version().unwrap_or(API_VERSION));
            let message = format!(
                "args for plugin {} were not of type {wanted} of {API_VERSION}, got {kind} of {version}",
                plugin.name()
            );
            return self.refuse(&format!("{path}.kind"), message);
        }
        self.report(|report| check(args, report));
    }
}

fn joined(path: &str, rest: &str) -> String {
    if rest.is_empty() { path.to_owned() } else { format!("{path}.{rest}") }
}

fn checked(written: &KubeSchedulerConfiguration, problems: &mut Problems<'_>) -> SchedulerConfiguration {
    let initial = written.pod_initial_backoff_seconds.unwrap_or(1);
    let longest = written.pod_max_backoff_seconds.unwrap_or(10);
    problems.report(|report| {
        let root = At::root;
        if let Some(count) = written.parallelism.filter(|count| *count <= 0) {
            report.invalid(&root("parallelism"), &count, "should be an integer value greater than zero");
        }
        percentage(report, &root("percentageOfNodesToScore"), written.percentage_of_nodes_to_score);
        if initial <= 0 {
            report.invalid(&root("podInitialBackoffSeconds"), &initial, "must be greater than 0");
        }
        if longest < initial {
            let detail = "must be greater than or equal to PodInitialBackoffSeconds";
            report.invalid(&root("podMaxBackoffSeconds"), &longest, detail);
        }
        if let Some(election) = written.leader_election.as_ref().filter(|it| it.leader_elect.unwrap_or(true))
            && let Some(lock) = election.resource_lock.as_ref().filter(|lock| !matches!(lock.as_str(), "" | "leases"))
        {
            let at = root("leaderElection").child("resourceLock");
            report.invalid(&at, lock, "resourceLock value must be \"leases\"");
        }
        if let Some(burst) = written.client_connection.as_ref().and_then(|it| it.burst).filter(|burst| *burst < 0) {
            report.invalid(&root("clientConnection").child("burst"), &burst, "must be non-negative");
        }
    });
    if written.extenders.as_ref().is_some_and(|extenders| !extenders.is_empty()) {
        problems.refuse("extenders[0]", "extenders are not supported: nobody answers their calls".to_owned());
    }
    let client_limit = written.client_connection.as_ref().and_then(|it| client_limit(it, problems));
    let seconds = |count: i64| Span::from_secs(u64::try_from(count).unwrap_or(0).min(1 << 30));
    SchedulerConfiguration {
        percentage_of_nodes_to_score: written.percentage_of_nodes_to_score.and_then(|it| u32::try_from(it).ok()),
        backoff_initial: seconds(initial),
        backoff_max: seconds(longest),
        client_limit,
        profiles: profiles(written.profiles.as_deref().unwrap_or_default(), problems),
    }
}

fn percentage(report: &mut Report, at: &At, percentage: Option<i32>) {
    if let Some(found) = percentage.filter(|percentage| !(0..=100).contains(percentage)) {
        report.invalid(at, &found, "not in valid range [0-100]");
    }
}

/// `None` if nothing is written; 0 is the default and less than 0 no limit, as in client-go.
fn client_limit(written: &ClientConnection, problems: &mut Problems<'_>) -> Option<Option<RateLimit>> {
    let qps = written.qps.filter(|qps| *qps != 0.0);
    let burst = written.burst.filter(|burst| *burst != 0);
    if qps.is_none() && burst.is_none() {
        return None;
    }
    let qps = qps.unwrap_or(50.0);
    if qps < 0.0 {
        return Some(None);
    }
    if qps.fract() != 0.0 || qps > f64::from(u32::MAX) {
        problems.refuse("clientConnection.qps", format!("{qps} is not supported: expected a whole number"));
    }
    let burst = burst.map_or(100, |burst| u32::try_from(burst).unwrap_or(0)).max(1);
    Some(Some(RateLimit { per_second: (qps as u32).max(1), burst }))
}

fn profiles(written: &[Profile], problems: &mut Problems<'_>) -> Vec<ProfileConfig> {
    let none = [Profile::default()];
    let written = if written.is_empty() { &none } else { written };
    let mut profiles: Vec<ProfileConfig> = Vec::new();
    for (index, profile) in written.iter().enumerate() {
        let path = format!("profiles[{index}]");
        // Only a single profile has a default name.
        let default = if written.len() == 1 { "default-scheduler" } else { "" };
        let name = profile.scheduler_name.as_deref().unwrap_or(default);
        problems.report(|report| {
            let at = At::root(&path);
            if name.is_empty() {
                report.required(&at.child("schedulerName"), "");
            }
            percentage(report, &at.child("percentageOfNodesToScore"), profile.percentage_of_nodes_to_score);
        });
        if let Some(first) = profiles.iter().position(|other| *other.name == *name).filter(|_| !name.is_empty()) {
            let message = format!("Duplicate value: profiles[{first}].schedulerName");
            problems.refuse(&format!("{path}.schedulerName"), message);
        }
        profiles.push(self::profile(profile, name, &path, problems));
    }
    let sorters = |profile: &ProfileConfig| profile.at(Point::QueueSort).to_vec();
    for (index, profile) in profiles.iter().enumerate().skip(1) {
        if sorters(profile) != sorters(&profiles[0]) {
            let message = "must be the same for all profiles".to_owned();
            problems.refuse(&format!("profiles[{index}].plugins.queueSort"), message);
        }
    }
    profiles
}

fn profile(written: &Profile, name: &str, path: &str, problems: &mut Problems<'_>) -> ProfileConfig {
    let mut profile = ProfileConfig {
        name: name.into(),
        percentage_of_nodes_to_score: written.percentage_of_nodes_to_score.and_then(|it| u32::try_from(it).ok()),
        ..ProfileConfig::default()
    };
    if let Some(plugins) = &written.plugins {
        let expanded = plugins::expand(plugins, &format!("{path}.plugins"), name, problems);
        (profile.points, profile.weights) = (expanded.points, expanded.weights);
    }
    profile.args = plugin_args(written, path, problems);
    profile
}

fn plugin_args(written: &Profile, path: &str, problems: &mut Problems<'_>) -> PluginArgs {
    let mut all = PluginArgs::default();
    let entries = written.plugin_config.as_deref().unwrap_or_default();
    for (index, entry) in entries.iter().enumerate() {
        let path = format!("{path}.pluginConfig[{index}]");
        let name = entry.name.as_str();
        if entries[..index].iter().any(|other| other.name == name) {
            problems.refuse(&path, format!("Duplicate value: {name:?}"));
        }
        let Some(plugin) = Plugin::named(name) else {
            if plugins::REMOVED.contains(&name) {
                problems.refuse(&path, plugins::was_removed(name));
            } else {
                let message = format!("there is no plugin {name:?}");
                problems.refuse_name(&format!("{path}.name"), message, name, plugins::names());
            }
            continue;
        };
        let path = format!("{path}.args");
        let root = problems.root;
        match root.find(&path).filter(|node| node.value != Value::Null) {
            Some(node) => args::read(plugin, node, &path, &mut all, problems),
            None => problems.refuse(&path, format!("decoding args for plugin {name}: there are none")),
        }
    }
    all
}
