//! Configuration files as users have them, and as they get them wrong.

use wavetank_core::config::{Plugin, Point, ScoringStrategy, SpreadDefaults};
use wavetank_core::model::ResourceName;

use super::*;

const HEAD: &str = "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n";

fn read(rest: &str) -> SchedulerConfiguration {
    SchedulerConfiguration::read("config.yaml", &format!("{HEAD}{rest}")).unwrap_or_else(|errors| panic!("{errors}"))
}

fn errors(rest: &str) -> Vec<String> {
    let errors = SchedulerConfiguration::read("c", &format!("{HEAD}{rest}")).expect_err("the file is wrong");
    errors.0.iter().map(ToString::to_string).collect()
}

fn names(plugins: &[Plugin]) -> Vec<&'static str> {
    plugins.iter().map(|plugin| plugin.name()).collect()
}

#[test]
fn an_empty_file_is_the_default_profile() {
    let configuration = read("");
    assert_eq!(configuration.profiles, [ProfileConfig::default()]);
    assert_eq!((configuration.backoff_initial, configuration.backoff_max), (Span::from_secs(1), Span::from_secs(10)));
    let mut config = SchedulerConfig::default();
    configuration.apply(&mut config);
    assert_eq!(config, SchedulerConfig::default());
}

#[test]
fn a_plugin_that_is_enabled_again_at_its_point_goes_first_with_its_new_weight() {
    let rest = "
profiles:
- plugins:
    score:
      disabled: [{name: NodeAffinity}, {name: ImageLocality}]
      enabled: [{name: ImageLocality, weight: 12}, {name: PodTopologySpread, weight: 5}]
";
    let profile = &read(rest).profiles[0];
    // ImageLocality is disabled for multiPoint only, so it is what the point adds: last. PodTopologySpread overrides.
    assert_eq!(
        names(profile.at(Point::Score)),
        [
            "PodTopologySpread",
            "TaintToleration",
            "NodeResourcesFit",
            "VolumeBinding",
            "InterPodAffinity",
            "NodeResourcesBalancedAllocation",
            "ImageLocality"
        ]
    );
    assert_eq!((profile.weight(Plugin::ImageLocality), profile.weight(Plugin::PodTopologySpread)), (12, 5));
    assert_eq!(profile.weight(Plugin::TaintToleration), 3);
    assert!(profile.calls(Point::Filter, Plugin::NodeAffinity), "only its scores are gone");
}

#[test]
fn a_star_clears_a_point_and_multi_point_brings_plugins_to_all_of_theirs() {
    let rest = "
profiles:
- schedulerName: lean
  plugins:
    multiPoint:
      disabled: [{name: '*'}]
      enabled:
      - {name: PrioritySort}
      - {name: DefaultBinder}
      - {name: TaintToleration, weight: 9}
      - {name: NodeResourcesFit}
    preScore: {disabled: [{name: NodeResourcesFit}]}
    filter: {disabled: [{name: TaintToleration}]}
    score: {enabled: [{name: NodeResourcesFit, weight: 0}]}
";
    let profile = &read(rest).profiles[0];
    assert_eq!(names(profile.at(Point::Filter)), ["NodeResourcesFit"]);
    assert_eq!(names(profile.at(Point::Score)), ["NodeResourcesFit", "TaintToleration"]);
    assert_eq!(names(profile.at(Point::PreScore)), ["TaintToleration"]);
    assert_eq!((profile.weight(Plugin::TaintToleration), profile.weight(Plugin::NodeResourcesFit)), (9, 1));
    assert_eq!(profile.at(Point::PostFilter), []);
}

#[test]
fn several_profiles_have_their_own_plugins_arguments_and_percentages() {
    let rest = "
percentageOfNodesToScore: 40
podInitialBackoffSeconds: 2
podMaxBackoffSeconds: 60
clientConnection: {qps: 200, burst: 400}
profiles:
- schedulerName: default-scheduler
- schedulerName: binpack
  percentageOfNodesToScore: 100
  plugins: {score: {disabled: [{name: '*'}], enabled: [{name: NodeResourcesFit}]}}
  pluginConfig:
  - name: NodeResourcesFit
    args:
      apiVersion: kubescheduler.config.k8s.io/v1
      kind: NodeResourcesFitArgs
      ignoredResources: [example.com/fpga]
      ignoredResourceGroups: [example.org]
      scoringStrategy:
        type: RequestedToCapacityRatio
        resources: [{name: nvidia.com/gpu, weight: 5}, {name: cpu}]
        requestedToCapacityRatio: {shape: [{utilization: 0, score: 0}, {utilization: 100, score: 10}]}
  - name: PodTopologySpread
    args:
      defaultingType: List
      defaultConstraints: [{maxSkew: 2, topologyKey: rack, whenUnsatisfiable: DoNotSchedule}]
  - name: NodeAffinity
    args:
      addedAffinity:
        requiredDuringSchedulingIgnoredDuringExecution:
          nodeSelectorTerms: [{matchExpressions: [{key: pool, operator: In, values: [batch]}]}]
  - {name: InterPodAffinity, args: {hardPodAffinityWeight: 50}}
  - {name: DefaultPreemption, args: {minCandidateNodesPercentage: 20}}
  - {name: VolumeBinding, args: {bindTimeoutSeconds: 60}}
";
    let configuration = read(rest);
    assert_eq!(configuration.percentage_of_nodes_to_score, Some(40));
    assert_eq!(configuration.client_limit, Some(Some(RateLimit { per_second: 200, burst: 400 })));
    let [first, second] = &configuration.profiles[..] else { panic!("two profiles") };
    assert_eq!(first, &ProfileConfig::default());
    assert_eq!((&*second.name, second.percentage_of_nodes_to_score), ("binpack", Some(100)));
    assert_eq!(names(second.at(Point::Score)), ["NodeResourcesFit"]);
    let args = &second.args;
    assert_eq!(args.fit.strategy, ScoringStrategy::RequestedToCapacityRatio(vec![(0, 0), (100, 10)]));
    assert_eq!(args.fit.resources, [(ResourceName::named("nvidia.com/gpu"), 5), (ResourceName::Cpu, 1)]);
    assert!(args.fit.ignored.contains("example.com/fpga") && args.fit.ignored_groups.contains("example.org"));
    let SpreadDefaults::List(constraints) = &args.spread else { panic!("a list was written") };
    assert_eq!((&*constraints[0].topology_key, constraints[0].max_skew, constraints[0].required), ("rack", 2, true));
    let required = args.node_affinity.required.as_ref().expect("it was written");
    assert_eq!(&*required[0].labels[0].key, "pool");
    assert_eq!(args.pod_affinity.required_term_weight, 50);
    assert_eq!((args.preemption.candidate_percent_min, args.preemption.candidates_min), (20, 100));
    assert_eq!(args.volume_binding.timeout, Span::from_secs(60));
}

#[test]
fn mistakes_are_named_with_their_place_and_the_nearest_name() {
    let rest = "
percentageOfNodesToScore: 101
podInitialBackoffSeconds: 20
profiles:
- schedulerName: a
  plugins:
    filter: {enabled: [{name: NodeAffinty}, {name: ImageLocality}]}
    score: {disabled: [{name: NodeResourceFit}]}
  pluginConfig:
  - {name: NodeResourcesFit, args: {scoringStrategy: {resources: [{name: cpu, weight: 101}]}}}
  - {name: InterPodAffinity, args: {hardPodAffinityWeight: -1}}
- schedulerName: a
  pluginConfig:
  - {name: DefaultPreemption, args: {minCandidateNodesPercent: 1}}
";
    assert_eq!(
        errors(rest),
        [
            "c:1:1: podMaxBackoffSeconds: Invalid value: 10: must be greater than or equal to PodInitialBackoffSeconds",
            "c:4:1: percentageOfNodesToScore: Invalid value: 101: not in valid range [0-100]",
            "c:9:25: profiles[0].plugins.filter.enabled[0].name: FilterPlugin \"NodeAffinty\" does not exist; did you \
             mean \"NodeAffinity\"?",
            "c:9:45: profiles[0].plugins.filter.enabled[1]: plugin \"ImageLocality\" does not extend FilterPlugin \
             plugin",
            "c:10:25: profiles[0].plugins.score.disabled[0].name: there is no plugin \"NodeResourceFit\" that could \
             be disabled; did you mean \"NodeResourcesFit\"?",
            "c:12:37: profiles[0].pluginConfig[0].args.scoringStrategy.type: Unsupported value: \"\": supported \
             values: \"LeastAllocated\", \"MostAllocated\", \"RequestedToCapacityRatio\"",
            "c:12:79: profiles[0].pluginConfig[0].args.scoringStrategy.resources[0].weight: Invalid value: 101: \
             resource weight of cpu not in valid range (0, 100]",
            "c:13:37: profiles[0].pluginConfig[1].args.hardPodAffinityWeight: Invalid value: -1: not in valid range \
             [0, 100]",
            "c:14:3: profiles[1].schedulerName: Duplicate value: profiles[0].schedulerName",
            "c:16:38: profiles[1].pluginConfig[0].args.minCandidateNodesPercent: unknown field \
             \"minCandidateNodesPercent\"; did you mean \"minCandidateNodesPercentage\"?",
        ]
    );
}

#[test]
fn what_cannot_be_simulated_is_refused_rather_than_passed_over() {
    let extender = errors("extenders: [{urlPrefix: 'http://127.0.0.1', filterVerb: filter}]\n");
    assert_eq!(extender, ["c:3:13: extenders[0]: extenders are not supported: nobody answers their calls"]);
    let unprepared = errors("profiles: [{plugins: {preFilter: {disabled: [{name: NodePorts}]}}}]\n");
    assert_eq!(
        unprepared,
        ["c:3:23: profiles[0].plugins.preFilter: NodePorts without its preFilter fails for every pod; that is not \
             supported"]
    );
    let unsorted = errors("profiles: [{schedulerName: a, plugins: {queueSort: {disabled: [{name: PrioritySort}]}}}]\n");
    assert!(
        unsorted[0].contains("only one queue sort plugin required for profile with scheduler name \"a\", but got 0")
    );
    let old = "apiVersion: kubescheduler.config.k8s.io/v1beta3\nkind: KubeSchedulerConfiguration\n";
    let old = SchedulerConfiguration::read("c", old).expect_err("the version is gone").to_string();
    let text =
        "no kind \"KubeSchedulerConfiguration\" is registered for version \"kubescheduler.config.k8s.io/v1beta3\"";
    assert!(old.contains(text), "{old}");
}
