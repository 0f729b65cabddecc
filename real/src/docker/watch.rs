//! The watch: what changes among a cluster's containers, whoever changed it.
//!
//! The truth is a full list each second; the engine's events only make the next list come sooner. An event that was
//! lost, doubled, late or out of order therefore costs at most a second (half a minute for a restart by hand, which a
//! list does not show) and is never believed. The kubelet's pod lifecycle event generator (pkg/kubelet/pleg/generic.go,
//! v1.34.1) works alike.
//!
//! Invariant: changes of one container come in the order of its life, and after `Gone` its identifier never returns.
//! Invariant: what is true when the engine has answered is reported, also after it was away. Absent on purpose: the
//! steps in between; a container that starts and dies between two lists is seen once, dead.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bollard::{models::EventMessage, query_parameters::EventsOptions};
use futures_util::{FutureExt, Stream, StreamExt};
use tokio::{sync::mpsc, task::JoinHandle, time::MissedTickBehavior};

use super::{ClusterName, Container, ContainerId, Engine, EngineError, Identity};

/// How long a change can stay unseen when no event tells of it.
const RELIST_PERIOD: Duration = Duration::from_secs(1);
/// Every so many periods everything is inspected. A list does not show that a running container was ended and started
/// again by hand, and the event that does can be lost while the subscription is renewed.
const TICKS_PER_INSPECTION: u32 = 30;
/// Events of one action come in groups (die, network, stop): one list answers them all.
const EVENT_GATHER: Duration = Duration::from_millis(10);
/// Changes that wait to be taken; then the watch waits too, and lists again afterwards.
const CHANGES_WAITING_MAX: usize = 1024;
/// The events that can mean another phase or another member.
const ACTIONS: [&str; 8] = ["create", "start", "die", "oom", "kill", "stop", "destroy", "unpause"];

/// Something that a watch saw.
#[derive(Debug)]
pub enum Change {
    /// A container or sandbox that is new or in another phase than before.
    Seen(Container),
    /// A container or sandbox that was removed.
    Gone(ContainerId, Identity),
    /// The first complete list has been told: what has not been seen by now does not exist.
    Synced,
    /// The engine stopped answering. What is known may be out of date until `EngineBack`.
    EngineLost(EngineError),
    /// The engine answers again, and everything that changed meanwhile has been told.
    EngineBack,
}

/// A running watch; dropping it ends it.
#[derive(Debug)]
pub struct Watch {
    changes: mpsc::Receiver<Change>,
    task: JoinHandle<()>,
}

impl Watch {
    /// The next change; waits for one. `None` only when the runtime is shutting down.
    ///
    /// Safe to abandon halfway (in `select!`): no change is lost.
    pub async fn next(&mut self) -> Option<Change> {
        self.changes.recv().await
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Engine {
    /// Starts watching a cluster: first everything that is there, then `Synced`, then what changes.
    pub fn watch(&self, cluster: &ClusterName) -> Watch {
        let (sender, changes) = mpsc::channel(CHANGES_WAITING_MAX);
        let watcher = Watcher {
            engine: self.clone(),
            cluster: cluster.clone(),
            known: BTreeMap::new(),
            suspects: BTreeSet::new(),
            synced: false,
            answering: true,
            sender,
        };
        Watch { changes, task: tokio::spawn(watcher.run()) }
    }
}

struct Watcher {
    engine: Engine,
    cluster: ClusterName,
    known: BTreeMap<ContainerId, Container>,
    /// Containers that an event named since they were last inspected.
    suspects: BTreeSet<ContainerId>,
    /// Whether a whole list has been told.
    synced: bool,
    /// Whether the last list succeeded; at first it is taken to.
    answering: bool,
    sender: mpsc::Sender<Change>,
}

/// The reader has gone, so nobody wants to know more.
struct Unwatched;

impl Watcher {
    async fn run(mut self) {
        let mut ticks = tokio::time::interval(RELIST_PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ticks_passed: u32 = 0;
        let mut events = self.subscribe().fuse().boxed();
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    ticks_passed = ticks_passed.wrapping_add(1);
                    if ticks_passed.is_multiple_of(TICKS_PER_INSPECTION) {
                        self.suspects.extend(self.known.keys().cloned());
                    }
                }
                event = events.next() => match event {
                    Some(Ok(event)) => {
                        self.suspect(event);
                        tokio::time::sleep(EVENT_GATHER).await;
                        while let Some(Some(Ok(event))) = events.next().now_or_never() {
                            self.suspect(event);
                        }
                    }
                    // The subscription ended: events may be missing, so everything is suspect, at the next tick.
                    Some(Err(_)) | None => {
                        self.suspects.extend(self.known.keys().cloned());
                        ticks.tick().await;
                        events = self.subscribe().fuse().boxed();
                    }
                },
            }
            if let Err(Unwatched) = self.relist_and_tell().await {
                return;
            }
        }
    }

    fn subscribe(&self) -> impl Stream<Item = Result<EventMessage, bollard::errors::Error>> + use<> {
        let mut filters = self.cluster.filters();
        filters.insert("type".to_owned(), vec!["container".to_owned()]);
        filters.insert("event".to_owned(), ACTIONS.map(str::to_owned).to_vec());
        self.engine.docker.events(Some(EventsOptions { filters: Some(filters), ..EventsOptions::default() }))
    }

    fn suspect(&mut self, event: EventMessage) {
        if let Some(id) = event.actor.and_then(|actor| actor.id) {
            self.suspects.insert(ContainerId(id));
        }
    }

    async fn relist_and_tell(&mut self) -> Result<(), Unwatched> {
        match self.relist().await {
            Ok(changes) => {
                for change in changes {
                    self.tell(change).await?;
                }
                if !std::mem::replace(&mut self.answering, true) {
                    self.tell(Change::EngineBack).await?;
                }
                if !std::mem::replace(&mut self.synced, true) {
                    self.tell(Change::Synced).await?;
                }
            }
            Err(error) => {
                // The engine may have come back as another process: what is known is in doubt until inspected anew.
                self.suspects.extend(self.known.keys().cloned());
                if std::mem::replace(&mut self.answering, false) {
                    self.tell(Change::EngineLost(error)).await?;
                }
            }
        }
        Ok(())
    }

    /// Lists, inspects what may differ, and gives the differences to what is known. A failure changes nothing.
    async fn relist(&mut self) -> Result<Vec<Change>, EngineError> {
        let present: BTreeMap<_, _> = self
            .engine
            .summaries(&self.cluster)
            .await?
            .into_iter()
            .filter(|summary| summary.identity.is_some())
            .map(|summary| (summary.id.clone(), summary))
            .collect();
        let doubtful: Vec<ContainerId> = present
            .values()
            .filter(|summary| {
                let known = self.known.get(&summary.id);
                known.is_none_or(|known| summary.differs_from(&known.phase)) || self.suspects.contains(&summary.id)
            })
            .map(|summary| summary.id.clone())
            .collect();
        // What was removed since the list is left out here, and told by the next list.
        let inspected = self.engine.inspect_all(doubtful).await?;
        Ok(self.accept(&present.into_keys().collect(), inspected))
    }

    /// Makes the new state the known one and says what differed: first what went, then what came.
    fn accept(&mut self, present: &BTreeSet<ContainerId>, inspected: Vec<Container>) -> Vec<Change> {
        self.suspects.clear();
        let mut changes = Vec::new();
        self.known.retain(|id, container| {
            let stays = present.contains(id);
            if !stays {
                changes.push(Change::Gone(id.clone(), container.identity.clone()));
            }
            stays
        });
        for container in inspected {
            if self.known.get(&container.id) != Some(&container) {
                self.known.insert(container.id.clone(), container.clone());
                changes.push(Change::Seen(container));
            }
        }
        changes
    }

    async fn tell(&self, change: Change) -> Result<(), Unwatched> {
        self.sender.send(change).await.map_err(|_| Unwatched)
    }
}
