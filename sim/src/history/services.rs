//! Services: how many ready endpoints they had, and for how long none.

use wavetank_core::facts::What;
use wavetank_core::model::ObjectKey;
use wavetank_core::time::Time;
use wavetank_reports::record::ServiceRow;

use super::{Detail, History, Steps};

pub(super) struct ServiceState {
    ready: u64,
    not_ready: u64,
    first_ready: Option<Time>,
    ready_min: u64,
    empty_since: Option<Time>,
    without_ns: u64,
    pub(super) steps: Steps,
}

impl ServiceState {
    /// `read`: whether somebody will read its steps.
    pub(super) fn new(read: bool) -> ServiceState {
        ServiceState {
            ready: 0,
            not_ready: 0,
            first_ready: None,
            ready_min: 0,
            empty_since: None,
            without_ns: 0,
            steps: Steps::new(read),
        }
    }

    pub(super) fn take(&mut self, at: Time, ready: u64, not_ready: u64) {
        (self.ready, self.not_ready) = (ready, not_ready);
        self.steps.push(at, &[ready as i64, not_ready as i64]);
        match self.first_ready {
            None if ready > 0 => {
                self.first_ready = Some(at);
                self.ready_min = ready;
            }
            None => {}
            Some(_) => self.ready_min = self.ready_min.min(ready),
        }
        if let Some(since) = self.empty_since.take() {
            self.without_ns += at.since(since).0;
        }
        if ready == 0 && self.first_ready.is_some() {
            self.empty_since = Some(at);
        }
    }

    pub(super) fn row(&self, namespace: &str, name: &str, end: Time) -> ServiceRow {
        ServiceRow {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            first_ready_ns: self.first_ready.map(|at| at.0),
            without_endpoints_ns: self.without_ns + self.empty_since.map_or(0, |since| end.since(since).0),
            ready_min: self.ready_min,
            ready_end: self.ready,
            not_ready_end: self.not_ready,
        }
    }
}

impl History {
    pub(super) fn service(&mut self, at: Time, key: &ObjectKey, what: &What) {
        let names = (key.namespace.clone(), key.name.clone());
        let read = self.detail == Detail::Everything;
        let state = self.services.entry(names).or_insert_with(|| ServiceState::new(read));
        if let What::Endpoints { ready, not_ready, .. } = what {
            state.take(at, u64::from(*ready), u64::from(*not_ready));
        }
    }
}
