//! From a profile's `plugins` to the list of each extension point: the merge with the default profile, then the
//! expansion of `multiPoint`.
//!
//! Source: `mergePluginSet`, pkg/scheduler/apis/config/v1/default_plugins.go; `updatePluginList`,
//! `expandMultiPointPlugins`, `getScoreWeights`, pkg/scheduler/framework/runtime/framework.go (v1.34.1).

use std::collections::BTreeMap;

use wavetank_core::config::{Plugin, Point};
use wavetank_core::scheduler::WEIGHT_SUM_MAX;

use super::Problems;
use super::format::{PluginEntry, PluginSet, Plugins};
use crate::strict::nearest;

/// Plugins of earlier versions.
///
/// Source: `invalidPluginsByVersion`, pkg/scheduler/apis/config/validation/validation.go (v1.34.1).
pub(super) const REMOVED: [&str; 4] = ["AzureDiskLimits", "CinderLimits", "EBSLimits", "GCEPDLimits"];

/// All names of plugins.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    Plugin::DEFAULTS.iter().map(|(plugin, _)| plugin.name())
}

/// A plugin with the weight that was written; 0 for none.
type Weighed = (Plugin, i32);

/// A `PluginSet` with plugins in place of names.
#[derive(Clone, Default)]
struct Set {
    enabled: Vec<Weighed>,
    disabled: Vec<Plugin>,
    all_disabled: bool,
}

/// The points of a profile, and the weights of the plugins that score.
pub(super) struct Expanded {
    pub(super) points: BTreeMap<Point, Vec<Plugin>>,
    pub(super) weights: BTreeMap<Plugin, u32>,
}

/// Merges and expands; `path` is that of `plugins`, `profile` the scheduler's name.
pub(super) fn expand(plugins: &Plugins, path: &str, profile: &str, problems: &mut Problems<'_>) -> Expanded {
    let multi_path = format!("{path}.multiPoint");
    let multi = set(plugins.multi_point.as_ref(), &multi_path, None, problems);
    let multi = merged_with_default(&multi);
    let mut expanded = Expanded { points: BTreeMap::new(), weights: BTreeMap::new() };
    let mut scoring = Vec::new();
    for point in Point::ALL {
        let (field, of_point) = of_point(plugins, point);
        let set = set(of_point, &format!("{path}.{field}"), Some(point), problems);
        if point == Point::Score {
            scoring.clone_from(&set.enabled);
        }
        expanded.points.insert(point, expand_point(&set, &multi, point, &multi_path, problems));
    }
    scoring.extend(&multi.enabled);
    for (plugin, weight) in scoring.into_iter().filter(|(plugin, _)| plugin.points().contains(&Point::Score)) {
        // The first weight counts: that of `score` before that of `multiPoint`.
        expanded.weights.entry(plugin).or_insert(u32::try_from(weight).unwrap_or(0).max(1));
    }
    check_whole(&expanded, path, profile, problems);
    expanded
}

fn of_point(plugins: &Plugins, point: Point) -> (&'static str, Option<&PluginSet>) {
    match point {
        Point::PreEnqueue => ("preEnqueue", plugins.pre_enqueue.as_ref()),
        Point::QueueSort => ("queueSort", plugins.queue_sort.as_ref()),
        Point::PreFilter => ("preFilter", plugins.pre_filter.as_ref()),
        Point::Filter => ("filter", plugins.filter.as_ref()),
        Point::PostFilter => ("postFilter", plugins.post_filter.as_ref()),
        Point::PreScore => ("preScore", plugins.pre_score.as_ref()),
        Point::Score => ("score", plugins.score.as_ref()),
        Point::Reserve => ("reserve", plugins.reserve.as_ref()),
        Point::Permit => ("permit", plugins.permit.as_ref()),
        Point::PreBind => ("preBind", plugins.pre_bind.as_ref()),
        Point::Bind => ("bind", plugins.bind.as_ref()),
        Point::PostBind => ("postBind", plugins.post_bind.as_ref()),
    }
}

/// Reads names; what an extension point itself enables must implement it, and be there once. A disabled plugin that
/// does not exist changes nothing, as in Kubernetes, unless it looks like a mistake.
fn set(written: Option<&PluginSet>, path: &str, point: Option<Point>, problems: &mut Problems<'_>) -> Set {
    let mut set = Set::default();
    // The first point for which Kubernetes would look up the names of `multiPoint`.
    let interface = point.unwrap_or(Point::PreFilter);
    let Some(written) = written else { return set };
    for (index, PluginEntry { name, weight }) in written.enabled.iter().flatten().enumerate() {
        let at = format!("{path}.enabled[{index}]");
        let weight = weight.unwrap_or(0);
        if weight < 0 {
            let message = format!("a score weight of {weight} is not supported: expected 0 or more");
            problems.refuse(&format!("{at}.weight"), message);
        }
        match Plugin::named(name) {
            Some(plugin) if point.is_some_and(|point| !plugin.points().contains(&point)) => {
                problems.refuse(&at, format!("plugin {name:?} does not extend {interface:?}Plugin plugin"));
            }
            Some(plugin) if point.is_some() && set.enabled.iter().any(|(other, _)| *other == plugin) => {
                problems.refuse(&at, already(plugin, interface));
            }
            Some(plugin) => set.enabled.push((plugin, weight)),
            None if REMOVED.contains(&name.as_str()) => problems.refuse(&at, was_removed(name)),
            None => {
                let message = format!("{interface:?}Plugin {name:?} does not exist");
                problems.refuse_name(&format!("{at}.name"), message, name, names());
            }
        }
    }
    for (index, PluginEntry { name, .. }) in written.disabled.iter().flatten().enumerate() {
        match Plugin::named(name) {
            Some(plugin) => set.disabled.push(plugin),
            None if name == "*" => set.all_disabled = true,
            None if nearest(name, names()).is_none() || REMOVED.contains(&name.as_str()) => {}
            None => {
                let message = format!("there is no plugin {name:?} that could be disabled");
                problems.refuse_name(&format!("{path}.disabled[{index}].name"), message, name, names());
            }
        }
    }
    set
}

/// What is said of a plugin of earlier versions.
pub(super) fn was_removed(name: &str) -> String {
    let version = super::API_VERSION;
    format!(
        "Invalid value: {name:?}: was invalid in version {version:?} (KubeSchedulerConfiguration is version \
         {version:?})"
    )
}

/// `multiPoint`, merged: defaults keep their place, with the weight that is written if they are named again.
fn merged_with_default(custom: &Set) -> Set {
    let mut enabled: Vec<Weighed> = Vec::new();
    let mut replaced = Vec::new();
    if !custom.all_disabled {
        for (plugin, weight) in Plugin::DEFAULTS {
            if custom.disabled.contains(&plugin) {
                continue;
            }
            // Of several entries of one plugin the last one takes the default's place.
            match custom.enabled.iter().rposition(|(other, _)| *other == plugin) {
                Some(index) => {
                    replaced.push(index);
                    enabled.push(custom.enabled[index]);
                }
                None => enabled.push((plugin, i32::try_from(weight).expect("default weights are small"))),
            }
        }
    }
    let further = custom.enabled.iter().enumerate().filter(|(index, _)| !replaced.contains(index));
    enabled.extend(further.map(|(_, entry)| *entry));
    Set { enabled, ..custom.clone() }
}

fn already(plugin: Plugin, point: Point) -> String {
    format!("plugin {:?} already registered as \"{point:?}Plugin\"", plugin.name())
}

/// First what overrides `multiPoint`, then the rest of `multiPoint`, then what only the point enables.
fn expand_point(set: &Set, multi: &Set, point: Point, multi_path: &str, problems: &mut Problems<'_>) -> Vec<Plugin> {
    let own: Vec<Plugin> = set.enabled.iter().map(|(plugin, _)| *plugin).collect();
    if set.all_disabled || multi.enabled.is_empty() {
        return own;
    }
    let (mut overriding, mut inherited) = (Vec::new(), Vec::new());
    for (plugin, _) in multi.enabled.iter().filter(|(plugin, _)| plugin.points().contains(&point)) {
        if set.disabled.contains(plugin) {
            continue;
        }
        if own.contains(plugin) {
            overriding.push(*plugin);
        } else if inherited.contains(plugin) {
            problems.refuse(multi_path, already(*plugin, point));
        } else {
            inherited.push(*plugin);
        }
    }
    let mut plugins: Vec<Plugin> = own.iter().copied().filter(|plugin| overriding.contains(plugin)).collect();
    plugins.extend(inherited);
    plugins.extend(own.into_iter().filter(|plugin| !overriding.contains(plugin)));
    plugins
}

/// What must hold of a profile as a whole.
fn check_whole(expanded: &Expanded, path: &str, profile: &str, problems: &mut Problems<'_>) {
    let at = |point: Point| &expanded.points[&point];
    let sorters = at(Point::QueueSort).len();
    if sorters != 1 {
        let message = format!(
            "only one queue sort plugin required for profile with scheduler name {profile:?}, but got {sorters}"
        );
        problems.refuse(&format!("{path}.queueSort"), message);
    }
    if at(Point::Bind).is_empty() {
        let message = format!("at least one bind plugin is needed for profile with scheduler name {profile:?}");
        problems.refuse(&format!("{path}.bind"), message);
    }
    // Without what the first point prepares, these fail at the second for every pod.
    let pairs = [(Point::PreFilter, Point::Filter, "preFilter"), (Point::PreScore, Point::Score, "preScore")];
    for (before, after, field) in pairs {
        for plugin in at(after).iter().filter(|plugin| needs(**plugin, before) && !at(before).contains(plugin)) {
            let name = plugin.name();
            let message = format!("{name} without its {field} fails for every pod; that is not supported");
            problems.refuse(&format!("{path}.{field}"), message);
        }
    }
    let total: i64 = at(Point::Score).iter().map(|plugin| i64::from(expanded.weights[plugin])).sum();
    if total > WEIGHT_SUM_MAX {
        let message = format!("score weights that sum up to {total} are not supported: at most {WEIGHT_SUM_MAX}");
        problems.refuse(&format!("{path}.score"), message);
    }
}

/// Whether a plugin reads at one point what it wrote at the one before, without another way to come by it.
fn needs(plugin: Plugin, before: Point) -> bool {
    match before {
        Point::PreFilter => matches!(
            plugin,
            Plugin::NodePorts
                | Plugin::NodeResourcesFit
                | Plugin::PodTopologySpread
                | Plugin::InterPodAffinity
                | Plugin::VolumeRestrictions
                | Plugin::VolumeBinding
                | Plugin::DynamicResources
        ),
        _ => matches!(plugin, Plugin::TaintToleration | Plugin::PodTopologySpread | Plugin::InterPodAffinity),
    }
}
