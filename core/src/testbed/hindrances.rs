//! What a test puts in the way: requests of the controller manager and the scheduler that are refused, and news that
//! comes late to the controller manager.

use super::Testbed;
use crate::api::{Refusal, Request};
use crate::id::Revision;
use crate::seam::Input;

/// Whether a request is one that shall be refused.
type RefusedIf = Box<dyn Fn(&Request) -> bool>;

/// What is in the way.
#[derive(Default)]
pub(super) struct Hindrances {
    /// Requests that are refused, and how often still.
    refusals: Vec<(u32, RefusedIf, Refusal)>,
    /// The news after a revision, if it is held back.
    news: Option<(Revision, Vec<Input>)>,
}

impl Hindrances {
    /// Why a request is refused, which uses the refusal up once; `None` if it passes.
    pub(super) fn refusal(&mut self, request: &Request) -> Option<Refusal> {
        let place = self.refusals.iter().position(|(_, asks, _)| asks(request))?;
        let (times, _, refusal) = &mut self.refusals[place];
        let refusal = refusal.clone();
        *times -= 1;
        self.refusals.retain(|(times, ..)| *times > 0);
        Some(refusal)
    }

    /// Holds news of a revision back, or gives it back if it passes.
    pub(super) fn hold(&mut self, revision: Revision, input: Input) -> Option<Input> {
        match &mut self.news {
            Some((last, held)) if revision > *last => {
                held.push(input);
                None
            }
            _ => Some(input),
        }
    }
}

impl Testbed {
    /// The API server fails at the next so many requests of the controller manager and the scheduler of which this
    /// holds.
    pub(crate) fn refuse(&mut self, times: u32, asks: impl Fn(&Request) -> bool + 'static) {
        self.refuse_with(times, Refusal::Internal { message: "the disk is full".into() }, asks);
    }

    /// The same, with a refusal of its own.
    pub(crate) fn refuse_with(&mut self, times: u32, refusal: Refusal, asks: impl Fn(&Request) -> bool + 'static) {
        if times > 0 {
            self.hindrances.refusals.push((times, Box::new(asks), refusal));
        }
    }

    /// How many of the refusals that were asked for have not happened yet.
    pub(crate) fn refusals_left(&self) -> u32 {
        self.hindrances.refusals.iter().map(|(times, ..)| times).sum()
    }

    /// What is written after so many more revisions reaches the controller manager with [`Testbed::release_news`] only.
    pub(crate) fn hold_news_from(&mut self, revisions: u64) {
        self.hindrances.news = Some((Revision(self.core.revision().0 + revisions), Vec::new()));
    }

    /// The controller manager's watch shows what it has missed.
    pub(crate) fn release_news(&mut self) {
        let (_, held) = self.hindrances.news.take().expect("news was held back");
        for input in held {
            self.push(self.now, input);
        }
    }
}
