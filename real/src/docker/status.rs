//! What a container is doing: one by inspection, all of a cluster by listing.

use std::net::IpAddr;

use bollard::{
    models::{
        ContainerInspectResponse, ContainerState, ContainerStateStatusEnum as EngineState, ContainerSummaryStateEnum,
    },
    query_parameters::{InspectContainerOptions, ListContainersOptions},
};

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{ClusterName, ContainerId, Engine, EngineError, EngineTime, Identity, engine::missing};

const INSPECTIONS_AT_ONCE: usize = 8;

/// Where a container is in its life. A restart is a new container with the next attempt, so it goes forward only,
/// unless somebody starts an ended container by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Made, not started.
    Created,
    /// Its program runs (or is frozen, which the core does not tell apart).
    Running {
        /// When it started.
        started: EngineTime,
    },
    /// Its program ended or could not be started.
    Exited {
        /// The exit code; 128 plus the signal's number if a signal ended it.
        code: i64,
        /// Whether it went over its memory limit.
        oom_killed: bool,
        /// When it started; `None` if it never did.
        started: Option<EngineTime>,
        /// When it ended, not before `started`; `None` if it never started.
        finished: Option<EngineTime>,
        /// Why it could not be started, in the engine's words; empty if it could.
        error: String,
    },
}

/// A container or sandbox of ours, inspected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// The engine's identifier.
    pub id: ContainerId,
    /// Who it is.
    pub identity: Identity,
    /// What it does.
    pub phase: Phase,
    /// The address of a sandbox with a network; `None` for others. A stopped sandbox has none.
    pub address: Option<IpAddr>,
}

/// Everything with a cluster's label.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    /// Ours, ordered by identity.
    pub containers: Vec<Container>,
    /// Containers with the cluster's label whose other labels make no sense: made by hand. Never touched.
    pub foreign: Vec<ContainerId>,
}

/// One line of the engine's list: enough to tell whether an inspection would say anything new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) id: ContainerId,
    /// `None` for a foreign container.
    pub(super) identity: Option<Identity>,
    pub(super) state: Option<ContainerSummaryStateEnum>,
}

impl Summary {
    /// Whether the list shows another kind of phase than the one known.
    pub(super) fn differs_from(&self, known: &Phase) -> bool {
        use ContainerSummaryStateEnum as Listed;
        let kind = match self.state {
            Some(Listed::CREATED) => matches!(known, Phase::Created),
            Some(Listed::RUNNING | Listed::PAUSED | Listed::RESTARTING) => known.is_running(),
            Some(Listed::EXITED | Listed::DEAD) => matches!(known, Phase::Exited { .. }),
            _ => false,
        };
        !kind
    }
}

impl Phase {
    /// Whether its program runs.
    pub fn is_running(&self) -> bool {
        matches!(self, Self::Running { .. })
    }

    /// The exit code, if it ended.
    pub fn exit_code(&self) -> Option<i64> {
        match self {
            Self::Exited { code, .. } => Some(*code),
            _ => None,
        }
    }
}

impl Engine {
    /// What one container of ours is doing.
    pub async fn inspect(&self, id: &ContainerId) -> Result<Container, EngineError> {
        let ask = || self.docker.inspect_container(&id.0, None::<InspectContainerOptions>);
        let answer = self.read("inspect", &id.to_string(), ask).await?;
        read_container(id, answer)
    }

    /// Everything of a cluster, running or not. A container that is removed meanwhile is left out.
    pub async fn list(&self, cluster: &ClusterName) -> Result<Listing, EngineError> {
        let mut listing = Listing::default();
        let mut ours = Vec::new();
        for Summary { id, identity, .. } in self.summaries(cluster).await? {
            if identity.is_some() { ours.push(id) } else { listing.foreign.push(id) }
        }
        listing.containers = self.inspect_all(ours).await?;
        listing.containers.sort_by(|a, b| a.identity.cmp(&b.identity));
        listing.foreign.sort();
        Ok(listing)
    }

    /// Inspects many containers, some at a time. Those that are not there are left out.
    pub(super) async fn inspect_all(&self, ids: Vec<ContainerId>) -> Result<Vec<Container>, EngineError> {
        let inspections = stream::iter(ids).map(|id| async move {
            match self.inspect(&id).await {
                Ok(container) => Ok(Some(container)),
                Err(EngineError::NotFound { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        });
        let found: Vec<Option<Container>> = inspections.buffered(INSPECTIONS_AT_ONCE).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    pub(super) async fn summaries(&self, cluster: &ClusterName) -> Result<Vec<Summary>, EngineError> {
        let subject = format!("cluster {cluster}");
        let ask = || {
            let options = ListContainersOptions {
                all: true,
                filters: Some(cluster.filters()),
                ..ListContainersOptions::default()
            };
            self.docker.list_containers(Some(options))
        };
        let answers = self.read("list", &subject, ask).await?;
        let summary = |answer: bollard::models::ContainerSummary| {
            Ok(Summary {
                id: ContainerId(answer.id.ok_or_else(|| missing("list", &subject, "Id"))?),
                identity: Identity::from_labels(&answer.labels.unwrap_or_default()),
                state: answer.state,
            })
        };
        answers.into_iter().map(summary).collect()
    }
}

fn read_container(id: &ContainerId, answer: ContainerInspectResponse) -> Result<Container, EngineError> {
    let subject = id.to_string();
    let labels = answer.config.and_then(|config| config.labels).unwrap_or_default();
    let state = answer.state.ok_or_else(|| missing("inspect", &subject, "State"))?;
    Ok(Container {
        id: id.clone(),
        identity: Identity::from_labels(&labels)
            .ok_or_else(|| missing("inspect", &subject, "a sound set of labels"))?,
        phase: read_phase(&subject, state)?,
        address: Container::address_in(id, answer.network_settings)?,
    })
}

fn read_phase(subject: &str, state: ContainerState) -> Result<Phase, EngineError> {
    let time = |text: &Option<String>| {
        EngineTime::read(text.as_deref().unwrap_or_default())
            .map_err(|error| EngineError::BadTime { subject: subject.to_owned(), error })
    };
    let started = time(&state.started_at)?;
    let error = state.error.unwrap_or_default();
    match state.status.ok_or_else(|| missing("inspect", subject, "State.Status"))? {
        // A program that could not be started leaves a container that counts as created, with an error and a code.
        EngineState::CREATED if error.is_empty() => Ok(Phase::Created),
        EngineState::RUNNING | EngineState::PAUSED | EngineState::RESTARTING | EngineState::STOPPING => {
            Ok(Phase::Running { started: started.ok_or_else(|| missing("inspect", subject, "State.StartedAt"))? })
        }
        EngineState::CREATED | EngineState::EXITED | EngineState::REMOVING | EngineState::DEAD => Ok(Phase::Exited {
            code: state.exit_code.ok_or_else(|| missing("inspect", subject, "State.ExitCode"))?,
            oom_killed: state.oom_killed.unwrap_or(false),
            started,
            // The engine notes each time when it notices: a program that ends at once can have ended before it started.
            finished: time(&state.finished_at)?.max(started),
            error,
        }),
        state => Err(missing("inspect", subject, &format!("a known State.Status instead of {state}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(status: EngineState) -> ContainerState {
        ContainerState {
            status: Some(status),
            exit_code: Some(0),
            started_at: Some("2026-01-01T00:00:01.5Z".to_owned()),
            finished_at: Some("0001-01-01T00:00:00Z".to_owned()),
            ..ContainerState::default()
        }
    }

    fn never_started() -> ContainerState {
        ContainerState { started_at: Some("0001-01-01T00:00:00Z".to_owned()), ..state(EngineState::CREATED) }
    }

    #[test]
    fn a_program_that_ends_at_once_has_not_ended_before_it_started() {
        let finished_at = Some("2026-01-01T00:00:01.4Z".to_owned());
        let phase = read_phase("c", ContainerState { finished_at, ..state(EngineState::EXITED) }).expect("readable");
        let Phase::Exited { started, finished, .. } = phase else { panic!("{phase:?}") };
        assert!(started.is_some());
        assert_eq!(started, finished);
    }

    #[test]
    fn what_could_not_be_started_has_ended_without_a_time() {
        let failed = ContainerState { error: Some("no such file".to_owned()), exit_code: Some(127), ..never_started() };
        let phase = read_phase("c", failed).expect("readable");
        assert!(matches!(phase, Phase::Exited { code: 127, started: None, finished: None, .. }), "{phase:?}");
        assert_eq!(read_phase("c", never_started()).expect("readable"), Phase::Created);
    }

    #[test]
    fn an_answer_without_a_state_or_with_a_bad_time_is_an_error() {
        assert!(read_phase("c", ContainerState { status: None, ..never_started() }).is_err());
        let broken = ContainerState { started_at: Some("yesterday".to_owned()), ..state(EngineState::RUNNING) };
        assert!(matches!(read_phase("c", broken), Err(EngineError::BadTime { .. })));
        let timeless = ContainerState { started_at: None, ..state(EngineState::RUNNING) };
        assert!(read_phase("c", timeless).is_err(), "what runs has started");
    }

    #[test]
    fn a_frozen_container_counts_as_running_as_in_the_list() {
        let phase = read_phase("c", state(EngineState::PAUSED)).expect("readable");
        assert!(phase.is_running());
        let summary =
            Summary { id: ContainerId("c".to_owned()), identity: None, state: Some(ContainerSummaryStateEnum::PAUSED) };
        assert!(!summary.differs_from(&phase));
        assert!(summary.differs_from(&Phase::Created));
    }
}
