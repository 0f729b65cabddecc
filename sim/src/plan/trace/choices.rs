//! Where a study's choices come from: the project's draws, or those that the published FGD study has made.

use wavetank_core::draw::{Draws, Purpose, below};

use super::go_rand::GoRand;

/// The API client of the published simulator has ten informers, each of which draws a time-out between the choice of
/// pods and that of the nodes' order.
const INFORMERS: usize = 10;

/// What is chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Choice {
    /// The order of the pods.
    Pods = 0,
    /// The order of the nodes.
    Nodes = 1,
    /// Which pods are repeated.
    Repeated = 2,
    /// Which pods are left out.
    LeftOut = 3,
}

/// Where the choices of one seed come from.
pub enum Choices {
    /// From independent sequences of draws, one for each thing that is chosen.
    Own {
        /// The seed.
        seed: u64,
    },
    /// From the one sequence that the published simulator has from its seed. The choices must be asked for in its
    /// order: the pods' order, pods repeated or left out, the nodes' order.
    ///
    /// Source: `Simulate`, pkg/simulator/core.go, and the functions that it calls, in
    /// github.com/hkust-adsl/kubernetes-scheduler-simulator.
    Published(Box<GoRand>),
}

impl Choices {
    /// The choices of the published study under a seed.
    pub fn published(seed: u64) -> Choices {
        let mut go = GoRand::new(seed);
        // The simulator writes the first value into its log.
        go.int63();
        Choices::Published(Box::new(go))
    }

    /// Brings items into a drawn order.
    pub(super) fn shuffle<T>(&mut self, items: &mut [T], choice: Choice) {
        match self {
            Choices::Own { .. } => {
                // Fisher and Yates.
                let mut numbers = self.numbers(choice);
                for place in (1..items.len()).rev() {
                    items.swap(place, numbers.below(place + 1));
                }
            }
            Choices::Published(go) => go.shuffle(items),
        }
    }

    /// Each node's place in a drawn order.
    pub(super) fn places(&mut self, names: &[&str]) -> Vec<usize> {
        let mut places: Vec<usize> = (0..names.len()).collect();
        match self {
            Choices::Own { .. } => self.shuffle(&mut places, Choice::Nodes),
            Choices::Published(go) => {
                for _ in 0..INFORMERS {
                    go.int63();
                }
                // The places are drawn for the nodes by name.
                let mut by_name = places.clone();
                by_name.sort_by_key(|node| names[*node]);
                for (node, place) in by_name.into_iter().zip(go.permutation(names.len())) {
                    places[node] = place;
                }
            }
        }
        places
    }

    /// Numbers drawn one after the other.
    pub(super) fn numbers(&mut self, choice: Choice) -> Numbers<'_> {
        match self {
            Choices::Own { seed } => Numbers::Own(Box::new(Draws::new(*seed, Purpose::Trace, choice as u64))),
            Choices::Published(go) => Numbers::Published(go),
        }
    }
}

/// Numbers drawn one after the other.
pub(super) enum Numbers<'c> {
    Own(Box<Draws>),
    Published(&'c mut GoRand),
}

impl Numbers<'_> {
    /// A number in 0 .. limit.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        match self {
            Numbers::Own(draws) => below(draws.next().expect("draws do not end"), limit as u64) as usize,
            Numbers::Published(go) => go.below(limit),
        }
    }
}
