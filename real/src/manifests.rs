//! Manifests as requests: read, admitted, and refused where this world could not do what they say.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use wavetank_core::{
    api::{Request, admission::enforces_level},
    config::PodSecurityConfig,
    id::Name,
    model::{Container, Object, PodSpec, PodVolumeSource, ProbeAction},
};
use wavetank_manifest::{
    Error, Errors, Position,
    kubernetes::{Located, Manifest, Unmodelled, read_admitted, to_object, unmodelled_fields},
    text_file,
};

/// What manifests ask for.
#[derive(Debug, Default)]
pub struct Wanted {
    /// One request for each object, in the order of the files.
    pub requests: Vec<Request>,
    ignored: Vec<Ignored>,
}

/// What an object's manifest says that is valid, but changes nothing here.
#[derive(Debug)]
struct Ignored {
    /// The file with the place, and the object.
    what: String,
    namespace: Name,
    fields: Vec<(String, Unmodelled)>,
}

impl Wanted {
    /// What is valid and written, but changes nothing here; each a line with the file and the object. What the levels
    /// of PodSecurity look at counts in namespaces that enforce one: those of the manifests and those that are `there`.
    pub fn ignored(&self, there: &[Object]) -> Vec<String> {
        let written = self.requests.iter().filter_map(|request| match request {
            Request::Apply { object, .. } => Some(object),
            _ => None,
        });
        // That of `real`'s API server.
        let config = PodSecurityConfig::default();
        let mut under_levels = BTreeSet::new();
        for object in there.iter().chain(written) {
            let Object::Namespace(namespace) = object else { continue };
            // The manifests come later than what is there.
            if enforces_level(&config, &namespace.meta.name, &namespace.meta.labels) {
                under_levels.insert(&namespace.meta.name);
            } else {
                under_levels.remove(&namespace.meta.name);
            }
        }
        let line = |it: &Ignored| {
            let holds = |where_so: Unmodelled| where_so.holds(under_levels.contains(&it.namespace));
            let fields = it.fields.iter().filter(|(_, where_so)| holds(*where_so));
            let fields: Vec<&str> = fields.map(|(field, _)| field.as_str()).collect();
            (!fields.is_empty()).then(|| format!("{}: kept, but without effect: {}", it.what, fields.join(", ")))
        };
        self.ignored.iter().filter_map(line).collect()
    }
}

/// Reads manifest files. Mistakes of all files are reported together, those that cannot be read among them.
pub fn read(paths: &[PathBuf]) -> Result<Wanted, Errors> {
    let (mut wanted, mut errors) = (Wanted::default(), Vec::new());
    for path in paths {
        let located = match objects(path) {
            Ok(located) => located,
            Err(found) => {
                errors.extend(found.0);
                continue;
            }
        };
        for located in &located {
            match request(located) {
                Ok((request, ignored)) => {
                    wanted.requests.push(request);
                    wanted.ignored.push(ignored);
                }
                Err(found) => errors.extend(found.0),
            }
        }
    }
    if errors.is_empty() { Ok(wanted) } else { Err(Errors(errors)) }
}

/// The objects of a file, of which there is one at least.
fn objects(path: &Path) -> Result<Vec<Located<Manifest>>, Errors> {
    let name = path.display().to_string();
    let refuse = |message: String| Errors::from(Error::new("", Position::default(), "", message));
    let located = read_admitted(&name, &text_file::read(path).map_err(refuse)?)?;
    if located.is_empty() {
        return Err(refuse(format!("expected Kubernetes objects, found none in {name}")));
    }
    Ok(located)
}

fn request(located: &Located<Manifest>) -> Result<(Request, Ignored), Errors> {
    let object = to_object(located)?;
    refuse_grpc(located, &object)?;
    let ignored = ignored(located, &object);
    let sets_replicas = located.source.get("spec").and_then(|spec| spec.get("replicas")).is_some();
    Ok((Request::Apply { object, sets_replicas }, ignored))
}

/// The spec of an object's pods, and where it stands in the manifest.
fn pod_spec(object: &Object) -> Option<(&PodSpec, &'static str)> {
    match object {
        Object::Pod(pod) => Some((&pod.spec, "spec")),
        Object::Deployment(deployment) => Some((&deployment.template.spec, "spec.template.spec")),
        Object::ReplicaSet(set) => Some((&set.template.spec, "spec.template.spec")),
        Object::StatefulSet(set) => Some((&set.template.spec, "spec.template.spec")),
        Object::DaemonSet(set) => Some((&set.template.spec, "spec.template.spec")),
        Object::ReplicationController(set) => Some((&set.template.spec, "spec.template.spec")),
        Object::Job(job) => Some((&job.spec.template.spec, "spec.template.spec")),
        Object::CronJob(it) => Some((&it.template.spec.template.spec, "spec.jobTemplate.spec.template.spec")),
        _ => None,
    }
}

/// A gRPC health check needs HTTP/2, which the prober does not speak: better refused than never passing.
fn refuse_grpc(located: &Located<Manifest>, object: &Object) -> Result<(), Errors> {
    let Some((spec, path)) = pod_spec(object) else { return Ok(()) };
    let mut errors = Vec::new();
    for (list, containers) in [("containers", &spec.containers), ("initContainers", &spec.init_containers)] {
        for (place, container) in containers.iter().enumerate() {
            for probe in grpc_probes(container) {
                let path = format!("{path}.{list}[{place}].{probe}.grpc");
                let mut error = Error::new(
                    &located.file,
                    located.source.locate(&path),
                    &path,
                    "gRPC probes are not supported by `real` yet",
                );
                error.expected = ["httpGet", "tcpSocket", "exec"].map(str::to_owned).to_vec();
                errors.push(error);
            }
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Errors(errors)) }
}

fn grpc_probes(container: &Container) -> impl Iterator<Item = &'static str> {
    let probes = [
        ("readinessProbe", &container.readiness_probe),
        ("livenessProbe", &container.liveness_probe),
        ("startupProbe", &container.startup_probe),
    ];
    let grpc = |probe: &Option<wavetank_core::model::Probe>| {
        probe.as_ref().is_some_and(|probe| matches!(probe.action, ProbeAction::Grpc { .. }))
    };
    probes.into_iter().filter(move |(_, probe)| grpc(probe)).map(|(name, _)| name)
}

fn ignored(located: &Located<Manifest>, object: &Object) -> Ignored {
    let (at, kind) = (located.position(), located.value.kind().kind);
    let name = located.value.metadata().name.as_deref().unwrap_or_default();
    let what = format!("{}:{}:{}: {kind} {name}", located.file, at.line, at.column);
    let mut fields = unmodelled_fields(located);
    // Containers here share no directories yet.
    if let Some((spec, path)) = pod_spec(object)
        && spec.volumes.iter().any(|volume| matches!(volume.source, PodVolumeSource::EmptyDir(_)))
    {
        let whole = format!("{path}.volumes[].emptyDir");
        fields.retain(|(field, _)| !field.starts_with(&whole));
        fields.push((whole, Unmodelled::Everywhere));
        fields.sort();
    }
    Ignored { what, namespace: object.meta().namespace.clone(), fields }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read_text(name: &str, text: &str) -> Result<Wanted, Errors> {
        let path = std::env::temp_dir().join(format!("wavetank-{name}-{}.yaml", std::process::id()));
        fs::write(&path, text).expect("a writable folder");
        let outcome = read(std::slice::from_ref(&path));
        fs::remove_file(&path).expect("the file is ours");
        outcome
    }

    const POD: &str =
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n  - name: app\n    image: web:v1\n";

    #[test]
    fn a_grpc_probe_is_refused_with_its_place() {
        let text = format!("{POD}    readinessProbe:\n      grpc: {{port: 9000}}\n");
        let error = read_text("grpc", &text).expect_err("nobody could answer it").to_string();
        assert!(error.contains(":9:"), "{error}");
        assert!(error.contains("spec.containers[0].readinessProbe.grpc"), "{error}");
    }

    #[test]
    fn what_has_no_effect_is_said() {
        let wanted = read_text("hosts", &format!("{POD}  shareProcessNamespace: true\n")).expect("a valid pod");
        assert_eq!(wanted.requests.len(), 1);
        let ignored = wanted.ignored(&[]);
        assert!(ignored[0].ends_with(": Pod p: kept, but without effect: spec.shareProcessNamespace"), "{ignored:?}");
    }

    #[test]
    fn directories_that_containers_would_share_are_said_to_have_no_effect() {
        let text = format!("{POD}  volumes: [{{name: data, emptyDir: {{sizeLimit: 1Gi, medium: Memory}}}}]\n");
        let ignored = read_text("volumes", &text).expect("a valid pod").ignored(&[]);
        assert!(ignored[0].ends_with(": Pod p: kept, but without effect: spec.volumes[].emptyDir"), "{ignored:?}");
    }

    #[test]
    fn what_a_level_looks_at_has_an_effect_where_one_is_enforced() {
        let labelled = |level: &str| {
            let labels = format!("labels: {{pod-security.kubernetes.io/enforce: {level}}}");
            format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: default, {labels}}}}}\n---\n")
        };
        let read = |before: &str| read_text("level", &format!("{before}{POD}  hostPID: true\n")).expect("a valid pod");
        let there = |level: &str| match read(&labelled(level)).requests.remove(0) {
            Request::Apply { object, .. } => [object],
            other => panic!("a namespace is to be applied: {other:?}"),
        };
        assert!(read("").ignored(&[])[0].ends_with("Pod p: kept, but without effect: spec.hostPID"));
        assert_eq!(read(&labelled("baseline")).ignored(&[]), [""; 0]);
        assert_eq!(read("").ignored(&there("restricted")), [""; 0], "the running cluster's namespace counts too");
        assert_eq!(read(&labelled("privileged")).ignored(&there("restricted")).len(), 1);
    }

    #[test]
    fn a_file_without_objects_is_refused() {
        let error = read_text("empty", "# nothing\n---\n").expect_err("there is nothing to apply").to_string();
        assert!(error.starts_with("expected Kubernetes objects, found none in "), "{error}");
    }

    #[test]
    fn files_that_cannot_be_read_are_named_together_and_the_nearest_names() {
        let paths = ["/nonexistent/web.yaml", "src/manifest.rs", "src"].map(PathBuf::from);
        let errors = read(&paths).expect_err("none can be read");
        let told: Vec<String> = errors.0.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "cannot read /nonexistent/web.yaml: there is no such file",
                "cannot read src/manifest.rs: there is no such file; did you mean \"src/manifests.rs\"?",
                "cannot read src: expected a file, found a directory",
            ]
        );
    }
}
