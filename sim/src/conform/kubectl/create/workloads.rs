//! Deployments, Jobs and CronJobs of images.

use serde_json::{Value, json};
use wavetank_core::model::Kind;

use super::super::{Scene, Trouble, shown, targets};
use super::{CommandLine, Made, container_name, fails, name, number, object, required};

/// Source: `createDeployment`, create_deployment.go.
pub(super) fn deployment(line: &CommandLine, words: &[String]) -> Made {
    let name = name(line, words, &["--image", "--port", "--replicas"])?;
    required(line, &["--image"])?;
    let images: Vec<&str> = line.list("--image").collect();
    if images.len() > 1 && !line.after.is_empty() {
        return fails("cannot specify multiple --image options and command");
    }
    let (port, replicas) = (number(line, "--port")?, number(line, "--replicas")?.unwrap_or(1));
    let container = |image: &&str| with_command(json!({"name": container_name(image), "image": image}), line);
    let mut containers: Vec<Value> = images.iter().map(container).collect();
    if let (Some(port), Some(first)) = (port.filter(|port| *port >= 0), containers.first_mut()) {
        first["ports"] = json!([{"containerPort": port}]);
    }
    let labels = json!({"app": name});
    let mut body = object(Kind::Deployment, name);
    body["metadata"]["labels"] = labels.clone();
    body["spec"] = json!({
        "replicas": replicas,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
    });
    Ok((Kind::Deployment, body))
}

/// Source: `CreateJobOptions.Validate`, `createJob`, create_job.go.
pub(super) fn job(scene: &Scene<'_>, line: &CommandLine, words: &[String]) -> Made {
    let name = name(line, words, &["--image", "--from"])?;
    let text = |flag: &str| line.flag(flag).filter(|text| !text.is_empty());
    match (text("--image"), text("--from")) {
        (Some(_), Some(_)) | (None, None) => fails("either --image or --from must be specified"),
        (None, Some(_)) if !line.after.is_empty() => fails("cannot specify --from and command"),
        (None, Some(from)) => job_of_cron_job(scene, line, name, from),
        (Some(image), None) => {
            let mut body = object(Kind::Job, name);
            body["spec"] = json!({"template": pod_template(line, name, image, "Never")});
            Ok((Kind::Job, body))
        }
    }
}

/// A Job made by hand of a CronJob's template (`kubectl create job NAME --from=cronjob/NAME`).
///
/// Source: `createJobFromCronJob`, create_job.go.
fn job_of_cron_job(scene: &Scene<'_>, line: &CommandLine, name: &str, from: &str) -> Made {
    let [key] = targets(scene, line, &[from.to_owned()])?.try_into().map_err(|_| Trouble::NotCovered)?;
    if key.kind != Kind::CronJob {
        return fails("from must be an existing cronjob");
    }
    let (_, cron_job) = shown(scene, &key)?;
    let template = &cron_job["spec"]["jobTemplate"];
    let mut annotations = template["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
    annotations.entry("cronjob.kubernetes.io/instantiate").or_insert_with(|| "manual".into());
    let owner = json!({
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "name": cron_job["metadata"]["name"],
        "uid": cron_job["metadata"]["uid"],
        "controller": true,
    });
    let mut body = object(Kind::Job, name);
    body["metadata"]["labels"] = template["metadata"]["labels"].clone();
    body["metadata"]["annotations"] = annotations.into();
    body["metadata"]["ownerReferences"] = json!([owner]);
    body["spec"] = template["spec"].clone();
    Ok((Kind::Job, body))
}

/// Source: `createCronJob`, create_cronjob.go.
pub(super) fn cron_job(line: &CommandLine, words: &[String]) -> Made {
    let name = name(line, words, &["--image", "--schedule", "--restart"])?;
    required(line, &["--image", "--schedule"])?;
    let restart = line.flag("--restart").filter(|text| !text.is_empty()).unwrap_or("OnFailure");
    let template = pod_template(line, name, line.flag("--image").unwrap_or_default(), restart);
    let mut body = object(Kind::CronJob, name);
    body["spec"] = json!({
        "schedule": line.flag("--schedule").unwrap_or_default(),
        "jobTemplate": {"metadata": {"name": name}, "spec": {"template": template}},
    });
    Ok((Kind::CronJob, body))
}

fn pod_template(line: &CommandLine, name: &str, image: &str, restart: &str) -> Value {
    let container = with_command(json!({"name": name, "image": image}), line);
    json!({"spec": {"containers": [container], "restartPolicy": restart}})
}

fn with_command(mut container: Value, line: &CommandLine) -> Value {
    if !line.after.is_empty() {
        container["command"] = line.after.clone().into();
    }
    container
}
