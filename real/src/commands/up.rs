//! `real up`: runs a cluster in the foreground and tells what happens.

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
    time::Duration,
};

use tokio::signal::unix::{Signal, SignalKind, signal};
use wavetank_core::{
    Core,
    facts::{Fact, What},
    model::{Kind, Pod},
    time::Time,
};
use wavetank_real::{
    cluster::{Cluster, ClusterSettings, Ending, clean},
    control::{Listener, ask},
    docker::{ClusterName, Engine, EngineError},
    manifests::{self, Wanted},
    node::Notices,
    world::Account,
};

use super::{CLUSTER_DEFAULT, cluster_name, duration};
use crate::Failure;

/// How long programs may take to end by themselves when the cluster is taken down.
const GRACE: Duration = Duration::from_secs(10);

/// What `real up` is told.
#[derive(clap::Args)]
pub(crate) struct Up {
    /// Manifest file to apply, YAML or JSON; can be repeated. Read again on SIGHUP.
    #[arg(long = "manifest", short = 'f', value_name = "FILE")]
    manifests: Vec<PathBuf>,
    /// Name of the cluster; several can run side by side.
    #[arg(long, default_value = CLUSTER_DEFAULT, value_parser = cluster_name)]
    cluster: ClusterName,
    /// Directory for `inputs.log`, which is replaced [default: wavetank-real/CLUSTER].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Leave the containers behind at the end.
    #[arg(long)]
    keep: bool,
    /// End by itself after this long, such as 90s or 5m.
    #[arg(long = "for", value_name = "DURATION", allow_hyphen_values = true, value_parser = duration)]
    limit: Option<Duration>,
}

/// Why the run goes to its end.
enum Reason {
    Signal(&'static str),
    Limit,
}

pub(crate) async fn run(arguments: Up) -> Result<(), Failure> {
    let wanted = manifests::read(&arguments.manifests)?;
    let engine = Engine::connect().await?;
    let listener = Listener::bind(&arguments.cluster).await?;
    let found = engine.list(&arguments.cluster).await?.containers.len();
    if found > 0 {
        say(format_args!("removing {found} containers that an earlier run of cluster {} left", arguments.cluster));
        clean(&engine, &arguments.cluster, GRACE).await?;
    }
    let name = arguments.cluster.to_string();
    let out = arguments.out.clone().unwrap_or_else(|| ["wavetank-real", &name].iter().collect());
    fs::create_dir_all(&out).map_err(|error| Failure::Directory { path: out.clone(), error })?;
    let journal = out.join(wavetank_journal::FILE_NAME);
    let settings = ClusterSettings {
        engine: engine.clone(),
        name: arguments.cluster.clone(),
        journal: journal.clone(),
        account: Box::new(Terminal),
        notices: Box::new(Terminal),
    };
    let mut signals = Signals::new().map_err(Failure::Runtime)?;
    let mut cluster = Cluster::start(settings).await?;
    say(format_args!(
        "cluster {name} on node {}, seed {}, journal {}",
        cluster.node_name,
        cluster.seed,
        journal.display()
    ));
    let outcome = attend(&mut cluster, &listener, &arguments, wanted, &mut signals).await;
    drop(listener);
    // A run that failed is taken down like any other: nothing stays behind unless it was asked for.
    let stopped = cluster.stop().await;
    let cleaned = take_down(&engine, &arguments, &mut signals).await;
    outcome?;
    let ending = stopped?;
    cleaned?;
    if let Some(Ending { steps, fingerprint }) = ending {
        say(format_args!("{steps} inputs in {}, fingerprint {fingerprint}", journal.display()));
        say(format_args!("`sim replay {}` tells this run again", out.display()));
    }
    Ok(())
}

/// Applies the manifests, then serves orders until something ends the run.
async fn attend(
    cluster: &mut Cluster,
    listener: &Listener,
    arguments: &Up,
    wanted: Wanted,
    signals: &mut Signals,
) -> Result<(), Failure> {
    let (outside, picture) = (cluster.outside.clone(), cluster.picture.clone());
    let serving = listener.serve(cluster.clock, outside.clone(), picture);
    let limit = async {
        match arguments.limit {
            Some(limit) => tokio::time::sleep(limit).await,
            None => std::future::pending().await,
        }
    };
    let attending = async {
        apply(&outside, wanted).await?;
        loop {
            signals.hang_up.recv().await;
            // A mistake in an edited manifest must not end a running cluster.
            match manifests::read(&arguments.manifests) {
                Ok(wanted) => {
                    say(format_args!("SIGHUP: applying the manifests again"));
                    if let Err(failure) = apply(&outside, wanted).await {
                        say(format_args!("{failure}"));
                    }
                }
                Err(error) => say(format_args!("{error}")),
            }
        }
    };
    let reason = tokio::select! {
        () = serving => unreachable!("the control socket is served for ever"),
        outcome = attending => return outcome,
        error = cluster.failed() => return Err(error.into()),
        () = limit => Reason::Limit,
        _ = signals.interrupt.recv() => Reason::Signal("interrupted"),
        _ = signals.terminate.recv() => Reason::Signal("SIGTERM"),
    };
    match reason {
        Reason::Signal(signal) => say(format_args!("{signal}: ending")),
        Reason::Limit => say(format_args!("the time is over: ending")),
    }
    Ok(())
}

async fn apply(
    outside: &tokio::sync::mpsc::Sender<wavetank_real::world::Outside>,
    wanted: Wanted,
) -> Result<(), Failure> {
    for line in wanted.ignored(&[]) {
        say(format_args!("{line}"));
    }
    for request in wanted.requests {
        // No answer means that the run has ended, for a reason that is told elsewhere.
        if let Some(Err(refusal)) = ask(outside, request).await {
            return Err(Failure::Refusals(vec![refusal]));
        }
    }
    Ok(())
}

async fn take_down(engine: &Engine, arguments: &Up, signals: &mut Signals) -> Result<(), Failure> {
    let cluster = &arguments.cluster;
    if arguments.keep {
        let left = engine.list(cluster).await?.containers.len();
        let kept = super::containers(left);
        say(format_args!("kept: {kept}; `real down --cluster {cluster}` removes what is left"));
        return Ok(());
    }
    let removed = tokio::select! {
        removed = clean(engine, cluster, GRACE) => removed?,
        _ = signals.interrupt.recv() => {
            say(format_args!("interrupted again: killing what is left"));
            clean(engine, cluster, Duration::ZERO).await?
        }
    };
    say(format_args!("{} removed", super::containers(removed)));
    Ok(())
}

/// The signals that a run answers to, caught from its beginning.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> io::Result<Signals> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }
}

/// Tells on standard output.
struct Terminal;

impl Account for Terminal {
    fn tell(&mut self, now: Time, fact: &Fact, core: &Core) {
        if matches!(fact.what, What::Event(_)) {
            return; // For `kubectl get events`; what matters of them is a fact of its own.
        }
        let seconds = format!("{}.{:03}s", now.0 / 1_000_000_000, now.0 / 1_000_000 % 1_000);
        let at = match fact.what {
            What::Ready if fact.subject.kind == Kind::Pod => address(fact, core),
            _ => String::new(),
        };
        say(format_args!("{seconds:>10}  {}: {}{at}", fact.subject, fact.what));
    }
}

impl Notices for Terminal {
    fn engine(&mut self, lost: Option<&EngineError>) {
        match lost {
            Some(error) => say(format_args!("the Docker engine does not answer: {error}")),
            None => say(format_args!("the Docker engine answers again")),
        }
    }
}

fn address(fact: &Fact, core: &Core) -> String {
    let found = core.newest().find::<Pod>(&fact.subject.namespace, &fact.subject.name);
    let address = found.and_then(|(_, pod)| pod.status.pod_ip.clone());
    address.map(|address| format!(" at {address}")).unwrap_or_default()
}

/// One line. A reader that has gone (`| head`) does not end the cluster.
fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stdout(), "{line}");
}
