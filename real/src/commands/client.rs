//! The commands that talk to a running cluster: `apply`, `get`, `scale`, `set-image`, `restart`, `delete`; and `down`.

use std::{path::PathBuf, time::Duration};

use wavetank_core::{
    api::{Patch, Propagation, Reply, Request},
    model::{Kind, ObjectKey},
};
use wavetank_real::{
    cluster,
    control::{Listener, Order, Outcome, order},
    docker::{ClusterName, Engine},
    manifests, tables,
};

use super::{CLUSTER_DEFAULT, cluster_name};
use crate::Failure;

/// Which cluster.
#[derive(clap::Args)]
pub(crate) struct Which {
    /// Name of the cluster.
    #[arg(long, default_value = CLUSTER_DEFAULT, value_parser = cluster_name)]
    cluster: ClusterName,
}

/// Which object.
#[derive(clap::Args)]
pub(crate) struct Target {
    /// Kind and name, such as deployment/web.
    #[arg(value_name = "KIND/NAME", value_parser = kind_and_name)]
    object: (Kind, String),
    /// Its namespace.
    #[arg(long, short, default_value = "default")]
    namespace: String,
    #[command(flatten)]
    which: Which,
}

/// What is asked of a running cluster.
#[derive(clap::Subcommand)]
pub(crate) enum Client {
    /// Creates the objects of manifests or brings them to what the manifests say.
    Apply {
        /// Manifest file, YAML or JSON; can be repeated.
        #[arg(long = "manifest", short = 'f', value_name = "FILE", required = true)]
        manifests: Vec<PathBuf>,
        #[command(flatten)]
        which: Which,
    },
    /// Lists the objects of a kind: pods, deployments, replicasets, nodes, services, namespaces, endpointslices.
    Get {
        /// The kind.
        #[arg(value_parser = kind)]
        kind: Kind,
        #[command(flatten)]
        which: Which,
    },
    /// Changes the number of pods of a Deployment or ReplicaSet.
    Scale {
        #[command(flatten)]
        target: Target,
        /// How many.
        #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = replicas)]
        replicas: u32,
    },
    /// Changes an image of a Deployment, which starts a rolling update.
    SetImage {
        #[command(flatten)]
        target: Target,
        /// Container and image, such as app=web:v2; `*` is every container.
        #[arg(value_name = "CONTAINER=IMAGE", value_parser = container_and_image)]
        image: (String, String),
    },
    /// Replaces all pods of a Deployment, as a rolling update.
    Restart {
        #[command(flatten)]
        target: Target,
    },
    /// Deletes an object and what it owns.
    Delete {
        #[command(flatten)]
        target: Target,
    },
    /// Removes the containers that `real up --keep` left behind.
    Down {
        #[command(flatten)]
        which: Which,
    },
}

pub(crate) async fn run(client: Client) -> Result<(), Failure> {
    match client {
        Client::Apply { manifests, which } => {
            let wanted = manifests::read(&manifests)?;
            let Outcome::Objects(_, namespaces) = order(&which.cluster, &Order::List(Kind::Namespace)).await? else {
                return Err(Failure::unexpected());
            };
            wanted.ignored(&namespaces).iter().for_each(|line| eprintln!("{line}"));
            send(&which, wanted.requests).await
        }
        Client::Get { kind, which } => get(&which, kind).await,
        Client::Scale { target, replicas } => target.patch(Patch::Replicas(replicas)).await,
        Client::SetImage { target, image: (container, image) } => {
            target.patch(Patch::Image { container: container.into(), image: image.into() }).await
        }
        Client::Restart { target } => target.patch(Patch::Restart).await,
        Client::Delete { target } => {
            let (key, propagation) = (target.key(), Propagation::Background);
            send(&target.which, vec![Request::Delete { key, uid: None, grace: None, propagation }]).await
        }
        Client::Down { which } => down(&which.cluster).await,
    }
}

impl Target {
    fn key(&self) -> ObjectKey {
        let (kind, name) = &self.object;
        let namespace = if kind.is_namespaced() { self.namespace.as_str() } else { "" };
        ObjectKey::new(*kind, namespace, name)
    }

    async fn patch(&self, patch: Patch) -> Result<(), Failure> {
        send(&self.which, vec![Request::Patch { key: self.key(), patch }]).await
    }
}

/// Sends requests and tells what became of each.
async fn send(which: &Which, requests: Vec<Request>) -> Result<(), Failure> {
    let deleted: Vec<Option<ObjectKey>> = requests.iter().map(deleted_key).collect();
    let outcome = order(&which.cluster, &Order::Requests(requests)).await?;
    let Outcome::Answers(answers) = outcome else { return Err(Failure::unexpected()) };
    let mut refusals = Vec::new();
    for (answer, deleted) in answers.into_iter().zip(deleted) {
        match answer {
            Ok(Reply::Object(object, _)) => println!("{} accepted", object.key()),
            Ok(Reply::Deleted(Some(object))) => println!("{} is being deleted", object.key()),
            Ok(Reply::Deleted(None)) => match deleted {
                Some(key) => println!("{key} deleted"),
                None => return Err(Failure::unexpected()),
            },
            Ok(Reply::Pods(_) | Reply::Services(_)) => return Err(Failure::unexpected()),
            Err(refusal) => refusals.push(refusal),
        }
    }
    if refusals.is_empty() { Ok(()) } else { Err(Failure::Refusals(refusals)) }
}

/// What a request deletes, which its answer does not name.
fn deleted_key(request: &Request) -> Option<ObjectKey> {
    match request {
        Request::Delete { key, .. } => Some(key.clone()),
        _ => None,
    }
}

async fn get(which: &Which, kind: Kind) -> Result<(), Failure> {
    let outcome = order(&which.cluster, &Order::List(kind)).await?;
    let Outcome::Objects(now, objects) = outcome else { return Err(Failure::unexpected()) };
    if objects.is_empty() {
        println!("no {} in cluster {}", kind.plural(), which.cluster);
    } else {
        print!("{}", tables::table(now, &objects));
    }
    Ok(())
}

async fn down(name: &ClusterName) -> Result<(), Failure> {
    // Whoever holds the socket owns the containers.
    let _listener = Listener::bind(name).await?;
    let removed = cluster::clean(&Engine::connect().await?, name, Duration::from_secs(10)).await?;
    println!("{} of cluster {name} removed", super::containers(removed));
    Ok(())
}

fn kind(text: &str) -> Result<Kind, String> {
    let text = text.to_ascii_lowercase();
    let known =
        |kind: &&Kind| kind.plural() == text || kind.name().to_ascii_lowercase() == text || kind.short_name() == text;
    Kind::ALL.iter().find(known).copied().ok_or_else(|| {
        let all: Vec<_> = Kind::ALL.iter().map(|kind| kind.plural()).collect();
        format!("there is no kind {text:?}; expected one of {}", all.join(", "))
    })
}

fn kind_and_name(text: &str) -> Result<(Kind, String), String> {
    match text.split_once('/') {
        Some((found, name)) if !name.is_empty() => Ok((kind(found)?, name.to_owned())),
        _ => Err("expected KIND/NAME, such as deployment/web".to_owned()),
    }
}

/// Kubernetes' own range: an `int32` that is not negative.
fn replicas(text: &str) -> Result<u32, String> {
    let wrong = || format!("expected a whole number from 0 to {}", i32::MAX);
    text.parse().ok().filter(|count| i32::try_from(*count).is_ok()).ok_or_else(wrong)
}

fn container_and_image(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((container, image)) if !container.is_empty() && !image.is_empty() => {
            Ok((container.to_owned(), image.to_owned()))
        }
        _ => Err("expected CONTAINER=IMAGE, such as app=web:v2".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_the_names_that_kubectl_knows() {
        for text in ["deployment", "deployments", "Deployment", "deploy"] {
            assert_eq!(kind_and_name(&format!("{text}/web")), Ok((Kind::Deployment, "web".to_owned())), "{text}");
        }
        assert!(kind("widgets").expect_err("no such kind").contains("expected one of namespaces, nodes, pods"));
        assert!(kind_and_name("web").is_err());
    }

    #[test]
    fn numbers_of_pods_are_refused_with_the_range() {
        assert_eq!((replicas("0"), replicas("2147483647")), (Ok(0), Ok(2_147_483_647)));
        for wrong in ["-1", "x", "1.5", "2147483648", ""] {
            assert_eq!(replicas(wrong), Err("expected a whole number from 0 to 2147483647".to_owned()), "{wrong}");
        }
    }
}
