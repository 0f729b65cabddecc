//! Units, expansion, and the schema against the reader.

use std::collections::BTreeSet;

use wavetank_core::id::HostId;
use wavetank_core::time::{Span, Time};

use super::*;
use crate::plan::FaultKind;

fn loaded(spec: &str) -> Result<Loaded, Rejected> {
    let text =
        format!("apiVersion: wavetank/v1\nkind: Scenario\nmetadata: {{name: t}}\nspec:\n  duration: 10m\n{spec}");
    let files = Files::Recorded([("none.yaml".to_owned(), "# nothing\n---\n".to_owned())].into());
    Loaded::read(Inputs::new("t.yaml".to_owned(), text, Settings::default(), files))
}

#[test]
fn durations_are_read_as_go_writes_them() {
    let cases = [
        ("90s", 90_000_000_000),
        ("1m30s", 90_000_000_000),
        ("1.5h", 5_400_000_000_000),
        ("500ms", 500_000_000),
        (".5s", 500_000_000),
        ("20us", 20_000),
        ("20µs", 20_000),
        ("0", 0),
        ("1h0m0.000000001s", 3_600_000_000_001),
    ];
    for (text, nanos) in cases {
        assert_eq!(parse_span(text), Ok(Span(nanos)), "{text}");
    }
    for text in ["", "s", "5", "-1s", "1 s", "1..5s", "5d", "99999999h", "1e3s"] {
        assert!(parse_span(text).is_err(), "{text}");
    }
}

#[test]
fn groups_become_machines_with_zones_in_turn() {
    let plan = loaded("  nodes: [{name: w, count: 4, zones: [a, b, c]}, {name: solo}]\n").unwrap().plan;
    let named: Vec<(String, String)> = plan
        .hosts
        .iter()
        .map(|host| {
            let zone = host.boot.labels.get("topology.kubernetes.io/zone").map(|zone| zone.to_string());
            (host.boot.node.to_string(), zone.unwrap_or_default())
        })
        .collect();
    let expected = [("w-1", "a"), ("w-2", "b"), ("w-3", "c"), ("w-4", "a"), ("solo", "")];
    assert_eq!(named, expected.map(|(name, zone)| (name.to_owned(), zone.to_owned())));
    let networks: BTreeSet<&str> = plan.hosts.iter().map(|host| &*host.boot.pod_network).collect();
    assert_eq!(networks.len(), 5);
}

#[test]
fn repeated_faults_have_their_own_times_and_taking_one_entry_out_changes_no_other() {
    let both = "  nodes: [{name: w, count: 2}]\n  timeline:\n    - {at: 1m, crash: {node: w-1}, for: 20s, repeat: \
                {every: 2m, times: 3}}\n    - {at: {uniform: {min: 1m, max: 2m}}, kubeletStop: {all: true}}\n";
    let plan = loaded(both).unwrap().plan;
    let times: Vec<(Time, Option<Time>)> = plan.faults.iter().take(3).map(|fault| (fault.from, fault.to)).collect();
    let second = Time::from_secs;
    assert_eq!(
        times,
        [(second(60), Some(second(80))), (second(180), Some(second(200))), (second(300), Some(second(320)))]
    );
    assert_eq!(plan.faults[3].kind, FaultKind::KubeletStop { hosts: vec![HostId(0), HostId(1)] });
    assert_eq!(plan.faults[3].label, "kubelet of all nodes stops");
    let without = loaded(&both.replace(", repeat: {every: 2m, times: 3}", "")).unwrap().plan;
    assert_eq!(without.faults[1], plan.faults[3]);
}

#[test]
fn what_makes_no_sense_is_refused_with_its_place() {
    let cases = [
        ("  timeline: [{at: 1s}]\n", "t.yaml:7:14: spec.timeline[0]: expected one action or fault beside the time"),
        ("  timeline: [{at: 5s, crash: {node: w-1}, recover: 5s}]\n", "it ends at 5s, which is not after"),
        ("  timeline: [{at: 5s, cordon: {node: w-1}, for: 5s}]\n", "only a fault ends"),
        ("  timeline: [{at: 5s, networkCut: {between: [{all: true}, {node: w-1}]}}]\n", "members in common"),
        ("  timeline: [{at: 5s, networkCut: {between: [{all: true}]}}]\n", "expected two groups, found 1"),
        ("  timeline: [{at: {unifrm: {min: 1s, max: 2s}}, crash: {all: true}}]\n", "did you mean \"uniform\"?"),
        ("  timeline: [{at: {uniform: {min: 3s, max: 2s}}, crash: {all: true}}]\n", "min 3s is above max 2s"),
        ("  manifests: [there.yaml]\n", "t.yaml:7:15: spec.manifests[0]: the recorded run has no file \"there.yaml\""),
        ("  manifests: [none.yaml]\n", "spec.manifests[0]: expected Kubernetes objects, found none in none.yaml"),
        ("  behaviours: [{imageSize: 1Mi}]\n", "no pod of the manifests fits"),
        ("  fingerprint: 5e0851\n", "t.yaml:7:16: spec.fingerprint: expected 16 hex digits, found \"5e0851\""),
        ("  fingerprint: 0123456789ABCDEF\n", "spec.fingerprint: expected 16 hex digits"),
        ("  timeline: [{at: 999999999h, crash: {all: true}}]\n", "\"999999999h\" is longer than 584 years"),
        ("  timeline: [{at: 1.2.3s, crash: {all: true}}]\n", "expected a duration such as 90s"),
        ("  timeline: [{at: s, crash: {all: true}}]\n", "expected a duration such as 90s"),
        ("  controlPlane: {unhealthyZoneThreshold: 55}\n", "expected a number between 0 and 1, found 55"),
        ("  controlPlane: {nodeMonitorPeriod: 0}\n", "nodeMonitorPeriod: expected 0.001s at least, found 0s"),
        ("  controlPlane: {nodeLeaseDuration: 999ms}\n", "nodeLeaseDuration: expected 1s at least, found 0.999s"),
        ("  controlPlane: {relistPeriod: 0}\n", "relistPeriod: expected 0.001s at least, found 0s"),
        ("  controlPlane: {podInitialBackoff: 0}\n", "podInitialBackoff: expected 0.001s at least, found 0s"),
        ("  controlPlane: {podInitialBackoff: 11s}\n", "podMaxBackoff 10s is below podInitialBackoff 11s"),
        ("  controlPlane: {concurrentSyncs: 0}\n", "concurrentSyncs: expected 1 at least, found 0"),
        ("  controlPlane: {kubeAPIBurst: 0}\n", "kubeAPIBurst: expected 1 at least, found 0"),
        ("  controlPlane: {schedulerBurst: 0}\n", "schedulerBurst: expected 1 at least, found 0"),
        ("  controlPlane: {percentageOfNodesToScore: 101}\n", "expected a whole number up to 100, found 101"),
        ("  controlPlane: {nodeLink: {delay: 1ms, lossPerMillion: 1000000}}\n", "lossPerMillion up to 999999"),
        ("  controlPlane: {kubelet: {maxParallelImagePulls: 0}}\n", "maxParallelImagePulls of 1 at least"),
    ];
    for (more, expected) in cases {
        let rejected = loaded(&format!("  nodes: [{{name: w, count: 1}}]\n{more}")).unwrap_err();
        let told = rejected.errors.to_string();
        assert!(told.contains(expected), "{more}: {told}");
        assert!(rejected.render().contains('^'), "{}", rejected.render());
    }
}

/// What a kubelet's fields make of thresholds and minimum reclaims, or what is said of them.
fn eviction_of(fields: &str) -> Result<String, String> {
    let spec = format!("  nodes: [{{name: w, count: 1}}]\n  controlPlane: {{kubelet: {{{fields}}}}}\n");
    let loaded = loaded(&spec).map_err(|rejected| rejected.errors.to_string())?;
    let eviction = &loaded.plan.config.kubelet.eviction;
    let thresholds = eviction.thresholds.iter().map(|it| match it.grace {
        None => format!("{:?} {:?}", it.signal, it.value),
        Some(grace) => format!("{:?} {:?} after {grace}", it.signal, it.value),
    });
    let reclaims = eviction.minimum_reclaim.iter().map(|(signal, value)| format!("{signal:?} back {value:?}"));
    Ok(thresholds.chain(reclaims).collect::<Vec<_>>().join(", "))
}

#[test]
fn thresholds_are_read_as_amounts_or_shares_and_switched_off_by_nothing_and_everything() {
    for (fields, expected) in [
        ("evictionHard: {}", ""),
        (
            "evictionHard: {memory.available: 150Mi}, evictionSoft: {memory.available: 300Mi}, \
             evictionSoftGracePeriod: {memory.available: 30s}, evictionMinimumReclaim: {memory.available: 0}",
            "MemoryAvailable Number(157286400), MemoryAvailable Number(314572800) after 30s, MemoryAvailable back \
             Number(0)",
        ),
        (
            "evictionHard: {memory.available: 10%}, evictionSoft: {memory.available: 30%}, \
             evictionSoftGracePeriod: {memory.available: 30s}, evictionMinimumReclaim: {memory.available: 5%}",
            "MemoryAvailable Permille(100), MemoryAvailable Permille(300) after 30s, MemoryAvailable back Permille(50)",
        ),
        (
            "evictionHard: {imagefs.available: 2Gi, nodefs.available: 1Gi}",
            "ImageFsAvailable Number(2147483648), NodeFsAvailable Number(1073741824)",
        ),
        (
            "evictionHard: {imagefs.available: 25.5%, nodefs.available: 10%}",
            "ImageFsAvailable Permille(255), NodeFsAvailable Permille(100)",
        ),
        ("evictionHard: {memory.available: 0%, nodefs.available: 10%}", "NodeFsAvailable Permille(100)"),
        ("evictionHard: {memory.available: 100%, nodefs.available: 10%}", "NodeFsAvailable Permille(100)"),
    ] {
        assert_eq!(eviction_of(fields), Ok(expected.to_owned()), "{fields}");
    }
}

#[test]
fn thresholds_that_are_none_are_refused_with_what_was_expected() {
    let amount = "expected a quantity such as 100Mi or a share such as 10%";
    for (fields, expected) in [
        ("evictionHard: {mem.available: 150Mi}", "unknown eviction signal"),
        ("evictionHard: {memory.available: 150Mi, mem.available: 150Mi}", "unknown eviction signal"),
        ("evictionHard: {memory.available: -150Mi}", amount),
        ("evictionHard: {memory.available: -15%}", amount),
        ("evictionHard: {memory.available: 150%}", amount),
        ("evictionHard: {memory.available: 0}", amount),
        ("evictionHard: {memory.available: \"\"}", amount),
        ("evictionHard: {memory.available: foo%}", amount),
        ("evictionHard: {memory.available: 12%345}", amount),
        ("evictionSoft: {memory.available: -150Mi}, evictionSoftGracePeriod: {memory.available: 1m}", amount),
        ("evictionSoft: {memory.available: 150Mi}", "a soft threshold needs its grace"),
        ("evictionSoft: {memory.available: 1Mi}, evictionSoftGracePeriod: {memory.available: -30s}", "-30s"),
        ("evictionSoft: {memory.available: 1Mi}, evictionSoftGracePeriod: {memory.available: thirty}", "thirty"),
        ("evictionSoftGracePeriod: {mem.available: 30s}", "unknown soft threshold"),
        ("evictionMinimumReclaim: {memory.available: -300Mi}", amount),
        ("evictionMinimumReclaim: {mem.available: 300Mi}", "unknown eviction signal"),
        ("evictionMinimumReclaim: {memory.available: \"\"}", amount),
        ("evictionMinimumReclaim: {memory.available: -15%}", amount),
        ("evictionMinimumReclaim: {memory.available: 0%}", amount),
        ("evictionMinimumReclaim: {memory.available: a%}", amount),
    ] {
        let refusal = eviction_of(fields).expect_err(fields);
        assert!(refusal.contains(expected), "{fields}: {refusal}");
    }
}

#[test]
fn thresholds_of_images_are_percentages_the_low_one_below_the_high_one() {
    for (high, low, is_right) in [
        (2, 1, true),
        (100, 80, true),
        (-1, 0, false),
        (101, 80, false),
        (85, -1, false),
        (85, 101, false),
        (1, 2, false),
        (80, 80, false),
    ] {
        let fields = format!("imageGCHighThresholdPercent: {high}, imageGCLowThresholdPercent: {low}");
        let found = eviction_of(&fields);
        assert_eq!(found.is_ok(), is_right, "{fields}: {found:?}");
        if let Err(refusal) = found {
            assert!(refusal.contains("expected"), "{fields}: {refusal}");
        }
    }
}

#[test]
fn inputs_survive_being_recorded() {
    let files = Files::Recorded([("a.yaml".to_owned(), "apiVersion: v1".to_owned())].into());
    let set = vec!["spec.seed=3".to_owned()];
    let settings = Settings { seed: Some(7), until: Some(Span::from_secs(5)), set, ..Settings::default() };
    let mut inputs = Inputs::new("s.yaml".to_owned(), "text".to_owned(), settings.clone(), files);
    inputs.file("a.yaml").unwrap();
    let names: Vec<String> = inputs.to_files().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["inputs/scenario.yaml", "inputs/manifests/0.yaml", "inputs/inputs.json"]);
    assert!(inputs.file("b.yaml").is_err());
}

/// Learns which fields a type reads by asking it to be read.
struct FieldsOf;

#[derive(Debug)]
struct Fields(Option<&'static [&'static str]>);

impl std::fmt::Display for Fields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::error::Error for Fields {}

impl serde::de::Error for Fields {
    fn custom<T: std::fmt::Display>(_: T) -> Fields {
        Fields(None)
    }
}

impl<'de> serde::Deserializer<'de> for FieldsOf {
    type Error = Fields;

    fn deserialize_any<V: serde::de::Visitor<'de>>(self, _: V) -> Result<V::Value, Fields> {
        Err(Fields(None))
    }

    fn deserialize_struct<V: serde::de::Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Fields> {
        Err(Fields(Some(fields)))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

fn fields_of<'de, T: serde::Deserialize<'de>>() -> BTreeSet<&'static str> {
    let Err(Fields(Some(fields))) = T::deserialize(FieldsOf) else { panic!("the type is no struct") };
    fields.iter().copied().collect()
}

#[test]
fn the_schema_has_exactly_the_fields_that_the_reader_takes() {
    let schema: serde_json::Value = serde_json::from_str(schema()).unwrap();
    let cases: Vec<(&str, BTreeSet<&str>)> = vec![
        ("", fields_of::<format::Scenario>()),
        ("/properties/metadata", fields_of::<format::Metadata>()),
        ("/$defs/spec", fields_of::<format::Spec>()),
        ("/$defs/spec/properties/controlPlane", fields_of::<format::ControlPlane>()),
        ("/$defs/spec/properties/controlPlane/properties/nodeLink", fields_of::<format::Link>()),
        ("/$defs/spec/properties/registry", fields_of::<format::Registry>()),
        ("/$defs/nodeGroup", fields_of::<format::NodeGroup>()),
        ("/$defs/taint", fields_of::<format::Taint>()),
        ("/$defs/behaviour", fields_of::<format::Behaviour>()),
        ("/$defs/labelSelector", fields_of::<format::LabelSelector>()),
        ("/$defs/entry", fields_of::<format::Entry>()),
        ("/$defs/entry/properties/scale", fields_of::<format::Scale>()),
        ("/$defs/entry/properties/setImage", fields_of::<format::SetImage>()),
        ("/$defs/entry/properties/delete", fields_of::<format::Delete>()),
        ("/$defs/entry/properties/crash", fields_of::<format::Machines>()),
        ("/$defs/entry/properties/drain", fields_of::<format::Drain>()),
        ("/$defs/entry/properties/taint", fields_of::<format::TaintNodes>()),
        ("/$defs/entry/properties/untaint", fields_of::<format::UntaintNodes>()),
        ("/$defs/entry/properties/label", fields_of::<format::Label>()),
        ("/$defs/entry/properties/slowLink", fields_of::<format::SlowLink>()),
        ("/$defs/spec/properties/controlPlane/properties/kubelet", fields_of::<format::Kubelet>()),
        ("/$defs/spec/properties/controlPlane/properties/podSecurity", fields_of::<format::PodSecurity>()),
        ("/$defs/growth", fields_of::<format::Growth>()),
        ("/$defs/behaviour/properties/cpu", fields_of::<format::Cpu>()),
        ("/$defs/behaviour/properties/cpu/properties/wave", fields_of::<format::CpuWave>()),
        ("/$defs/entry/properties/diskPressure", fields_of::<format::PressureOn>()),
        ("/$defs/entry/properties/nodeShutdown", fields_of::<format::Machines>()),
        ("/$defs/expectation", fields_of::<format::Expectation>()),
    ];
    for (path, fields) in cases {
        let properties = schema.pointer(path).and_then(|part| part["properties"].as_object()).expect(path);
        let listed: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
        assert_eq!(listed, fields, "{path}");
    }
}

#[test]
fn what_a_level_looks_at_is_named_as_without_effect_only_where_none_is_enforced() {
    let not_modelled = |level: &str| {
        let labels = format!("labels: {{pod-security.kubernetes.io/enforce: {level}}}");
        let spec = format!(
            "  nodes: [{{name: w}}]\n  manifests:\n    - {{apiVersion: v1, kind: Namespace, metadata: {{name: shop, \
             {labels}}}}}\n    - {{apiVersion: v1, kind: Pod, metadata: {{name: p, namespace: shop}}, spec: {{hostPID: \
             true, securityContext: {{runAsUser: 5, fsGroup: 3}}, containers: [{{name: c, image: 'c:1'}}]}}}}\n"
        );
        loaded(&spec).unwrap().not_modelled
    };
    assert_eq!(not_modelled("baseline"), ["Pod p: spec.securityContext.fsGroup"]);
    assert_eq!(not_modelled("privileged"), ["Pod p: spec.hostPID", "Pod p: spec.securityContext"]);
    let of_configuration = |security: &str| {
        let spec = format!(
            "  nodes: [{{name: w}}]\n  controlPlane: {{podSecurity: {security}}}\n  manifests:\n    - {{apiVersion: \
             v1, kind: Pod, metadata: {{name: p}}, spec: {{hostPID: true, containers: [{{name: c, image: 'c:1'}}]}}}}\n"
        );
        loaded(&spec).map(|loaded| loaded.not_modelled)
    };
    assert_eq!(of_configuration("{enforce: baseline}").unwrap(), [""; 0]);
    assert_eq!(of_configuration("{warn: 'baseline:v1.30'}").unwrap(), ["Pod p: spec.hostPID"]);
    assert_eq!(of_configuration("{enforce: baseline, exemptNamespaces: [default]}").unwrap(), ["Pod p: spec.hostPID"]);
    let wrong = of_configuration("{enforce: strict}").expect_err("there is no such level").errors.to_string();
    assert!(wrong.contains("spec.controlPlane.podSecurity.enforce"), "{wrong}");
    assert!(wrong.contains("must be one of privileged, baseline, restricted"), "{wrong}");
    let wrong = of_configuration("{audit: 'baseline:1.30'}").expect_err("there is no such version").errors.to_string();
    assert!(wrong.contains("must be \"latest\" or \"v1.x\""), "{wrong}");
}
