//! How quick the parts of a play are, all by its seed: links, kubelets, and the components' clients.
//!
//! In plays of the first kind all are alike: one pace, and one share of the limits that the clients have. In those of
//! the second kind each has its own, as in clusters that served other scenarios beside: these kept some controllers
//! and their clients busy, and others not. Requests of others stand before ours in a client's queue then, and some
//! kubelets and components are later than others.
//!
//! Invariant: what a recording says of the clients' limits holds in plays of both kinds. Invariant: what one client
//! asks for leaves it in its order.

use std::collections::BTreeMap;

use wavetank_core::api::Request;
use wavetank_core::config::RateLimit;
use wavetank_core::digest::StableHasher;
use wavetank_core::draw::{Purpose, below, draw};
use wavetank_core::id::ProcId;
use wavetank_core::model::Object;
use wavetank_core::time::{Span, Time};

/// How many times as long delays are, by the seed: recorded clusters were more and less busy, with others' scenarios
/// too.
const PACES: [u64; 4] = [1, 1, 4, 12];

/// Requests per second and burst of each controller's client, by the seed, where the recording names none: those of the
/// defaults, and what other scenarios have left of them.
const SHARES: [(u32, u32); 4] = [(20, 30), (20, 1), (8, 8), (2, 4)];

/// How long a request of a client waits at most behind those of other scenarios, by the client and the seed, in a play
/// of the second kind: 1.2 s are 24 requests before it.
const BEHIND: [Span; 4] = [Span::ZERO, Span::from_millis(60), Span::from_millis(300), Span::from_millis(1_200)];

/// The same where the limit leaves room, or is the scheduler's: its component then only has others' work to do.
const BUSY: [Span; 4] = [Span::ZERO, Span::from_millis(15), Span::from_millis(50), Span::from_millis(120)];

/// Which of these ways a client has, by the seed: those of controllers that make pods have the most to ask for (each
/// pod, an event about it, and a status), so they are the busy ones of a cluster. Others may keep another one busy: in
/// every second 64 plays it is the other way round.
const OF_MAKERS: [usize; 4] = [1, 2, 3, 3];
const OF_OTHERS: [usize; 4] = [0, 0, 1, 2];

/// How many times as long all delays are in plays of the second kind, where what is slow is mostly a part.
const PACES_OF_PARTS: [u64; 4] = [1, 1, 1, 4];

/// The time from one token of the default limit to the next.
const TOKEN: Span = Span::from_millis(50);

/// How much later than in plays of the first kind a component hears the news at most, in one of the second kind.
const NEWS_LATE: [Span; 4] = [Span::ZERO, Span::from_millis(5), Span::from_millis(20), Span::from_millis(60)];

/// How long a kubelet takes for whatever it does, beside the delay that it keeps, by the seed: recorders were not all
/// equally quick, and what a request meets at that very moment hangs on it.
const KUBELET: [Span; 2] = [Span::from_millis(15), Span::from_millis(5)];

/// How late a kubelet is at most, beside what the pace makes of it, in a play of the second kind.
const LATE: [Span; 4] = [Span::from_millis(10), Span::from_millis(40), Span::from_millis(100), Span::from_millis(250)];

/// How long a user's request takes at most until it is done, in a play of the second kind: what the controllers do
/// meanwhile comes before it.
const STEP_LATE: [Span; 4] = [Span::ZERO, Span::ZERO, Span::from_millis(15), Span::from_millis(60)];

/// Plays of the same kind that follow each other.
const OF_A_KIND: u64 = (PACES.len() * 2 * SHARES.len()) as u64;

/// What a draw that is about no client is about.
const KUBELETS: u64 = 1;
const NEWS: u64 = 2;
const STEPS: u64 = 3;

/// How quick a play is.
pub(super) struct Pace {
    seed: u64,
    /// How many times as long delays are.
    pub(super) factor: u64,
    /// Whether answers may come before the watch shows what was written.
    pub(super) overtaking: bool,
    /// What the controllers' clients have, as the controller manager's flags say it.
    pub(super) client_limit: Option<RateLimit>,
    /// How long kubelets take at least.
    kubelet: Span,
    /// How late kubelets are at most, beside the pace.
    late: Span,
    /// What stands before each client's requests; none where all are alike.
    queues: Option<BTreeMap<(ProcId, u8), Queue>>,
    /// Whether others' requests count, not only their work.
    shared_limit: bool,
    /// Whether the controllers that make pods are the busy ones.
    makers_are_busy: bool,
}

/// A client's queue, in which others' requests stand, too.
#[derive(Clone, Copy)]
struct Queue {
    /// Which of four ways was drawn.
    drawn: usize,
    makes_pods: bool,
    /// When our last request has left or leaves.
    left_at: Time,
    count: u64,
}

impl Pace {
    /// The pace of a play of a recording that says so much of its clients' limits.
    pub(super) fn of(seed: u64, recorded_limit: Option<(u32, u32)>) -> Pace {
        let place = seed % OF_A_KIND;
        let is_second = seed / OF_A_KIND % 2 == 1;
        let share = if is_second { SHARES[0] } else { SHARES[(place / 8) as usize] };
        let (per_second, burst) = recorded_limit.unwrap_or(share);
        Pace {
            seed,
            factor: if is_second { PACES_OF_PARTS } else { PACES }[(place % PACES.len() as u64) as usize],
            overtaking: place / PACES.len() as u64 % 2 == 1,
            client_limit: Some(RateLimit { per_second, burst }),
            kubelet: KUBELET[(place / (2 * PACES.len() as u64) % 2) as usize],
            late: if is_second { LATE[one_of_four(seed, KUBELETS, 0)] } else { Span::ZERO },
            queues: is_second.then(BTreeMap::new),
            shared_limit: recorded_limit.is_none(),
            makers_are_busy: (seed / (2 * OF_A_KIND)).is_multiple_of(2),
        }
    }

    /// When a request that a component's client sends now leaves it.
    pub(super) fn leaves(&mut self, from: ProcId, client: u8, request: &Request, now: Time) -> Time {
        let Some(queues) = &mut self.queues else { return now };
        let (seed, entity) = (self.seed, StableHasher::hash_one(&(from.bits(), client)));
        let new = || Queue { drawn: one_of_four(seed, entity, 1), makes_pods: false, left_at: Time::ZERO, count: 0 };
        let queue = queues.entry((from, client)).or_insert_with(new);
        queue.makes_pods |= matches!(request, Request::Create(Object::Pod(_)));
        let is_busy = queue.makes_pods == self.makers_are_busy;
        let way = if is_busy { OF_MAKERS } else { OF_OTHERS }[queue.drawn];
        let shared = self.shared_limit && from == ProcId::CONTROLLER_MANAGER;
        let (behind, token) = if shared { (BEHIND[way], TOKEN) } else { (BUSY[way], Span::ZERO) };
        let drawn = |most: Span| Span(below(draw(seed, Purpose::ApiLatency, entity, queue.count), most.0 + 1));
        let left_at = match queue.left_at > now {
            // Behind one of ours that still waits there are fewer of others than before the first.
            true => queue.left_at + token + drawn(token + token),
            false => now + drawn(behind),
        };
        *queue = Queue { left_at, count: queue.count + 1, ..*queue };
        left_at
    }

    /// How late a component hears the news, beside what the link takes.
    pub(super) fn news_late(&self, to: ProcId, count: u64) -> Span {
        if self.queues.is_none() {
            return Span::ZERO;
        }
        let entity = StableHasher::hash_one(&to.bits());
        let most = NEWS_LATE[one_of_four(self.seed, entity, NEWS)];
        Span(below(draw(self.seed, Purpose::WatchDelay, entity, count), most.0 + 1))
    }

    /// How long after its recorded time a step's request is done; `None` in plays in which that takes no time.
    pub(super) fn step_late(&self, place: u64) -> Option<Span> {
        self.queues.as_ref()?;
        let most = STEP_LATE[one_of_four(self.seed, STEPS, 0)];
        (most > Span::ZERO).then(|| Span(below(draw(self.seed, Purpose::LinkDelay, STEPS, place), most.0 + 1)))
    }

    /// How long a kubelet takes for a duty, beside the delay that it keeps.
    pub(super) fn kubelet_takes(&self, duty: u64, count: u64) -> Span {
        let most = KUBELET[0].0 * (self.factor - 1) + self.late.0 + 1;
        self.kubelet + Span(below(draw(self.seed, Purpose::LinkDelay, duty, count), most))
    }
}

/// One of four ways, drawn for one part of a play.
fn one_of_four(seed: u64, part: u64, k: u64) -> usize {
    below(draw(seed, Purpose::Plan, part, k), 4) as usize
}

#[cfg(test)]
mod tests {
    use wavetank_core::model::{Kind, ObjectKey, Pod};

    use super::*;

    const NOW: Time = Time::from_secs(40);

    /// How long the first requests of so many clients wait that make pods.
    fn waits(seed: u64, limit: Option<(u32, u32)>) -> Vec<Span> {
        let mut pace = Pace::of(seed, limit);
        let request = Request::Create(Object::Pod(Pod::default().into()));
        (0..20).map(|client| pace.leaves(ProcId::CONTROLLER_MANAGER, client, &request, NOW).since(NOW)).collect()
    }

    #[test]
    fn in_plays_of_the_second_kind_some_clients_wait_longer_than_others() {
        let second = waits(OF_A_KIND, None);
        let count = |waits: &[Span], least: Span| waits.iter().filter(|wait| **wait > least).count();
        assert!((1..20).contains(&count(&second, BEHIND[1])) && count(&second, BEHIND[2]) > 0, "{second:?}");
        assert_eq!(count(&second, BEHIND[3]), 0, "{second:?}");
        let room = waits(OF_A_KIND, Some((500, 500)));
        assert!((1..20).contains(&count(&room, BUSY[1])) && count(&room, BUSY[2]) > 0, "{room:?}");
        assert_eq!(count(&room, BUSY[3]), 0, "{room:?}");
        for seed in [0, OF_A_KIND - 1, 2 * OF_A_KIND] {
            assert_eq!(waits(seed, None), vec![Span::ZERO; 20], "play {seed} is of the first kind");
        }
    }

    #[test]
    fn a_client_that_makes_no_pods_waits_less() {
        let total = |request: &Request| -> u64 {
            let leave = |seed| Pace::of(seed, None).leaves(ProcId::CONTROLLER_MANAGER, 1, request, NOW).since(NOW).0;
            (OF_A_KIND..2 * OF_A_KIND).map(leave).sum()
        };
        let key = ObjectKey::new(Kind::Pod, "shop", "till");
        let (look, make) = (Request::Get(key), Request::Create(Object::Pod(Pod::default().into())));
        assert!(0 < total(&look) && total(&look) < total(&make) / 2, "{} {}", total(&look), total(&make));
    }

    #[test]
    fn in_later_plays_it_is_the_one_that_makes_pods_that_waits_less() {
        let total = |request: &Request, from: u64| -> u64 {
            let leave = |seed| Pace::of(seed, None).leaves(ProcId::CONTROLLER_MANAGER, 1, request, NOW).since(NOW).0;
            (from + OF_A_KIND..from + 2 * OF_A_KIND).map(leave).sum()
        };
        let key = ObjectKey::new(Kind::Pod, "shop", "till");
        let (look, make) = (Request::Get(key), Request::Create(Object::Pod(Pod::default().into())));
        assert!(total(&look, 0) < total(&make, 0) && total(&make, 2 * OF_A_KIND) < total(&look, 2 * OF_A_KIND));
    }

    #[test]
    fn what_a_client_asks_for_leaves_in_its_order() {
        let mut pace = Pace::of(OF_A_KIND + 3, None);
        let request = Request::Create(Object::Pod(Pod::default().into()));
        for client in 0..20 {
            let at = |micros| NOW + Span::from_micros(micros);
            let leave = |micros| pace.leaves(ProcId::CONTROLLER_MANAGER, client, &request, at(micros));
            let times: Vec<Time> = (0..9).map(leave).collect();
            assert!(times.is_sorted(), "client {client}: {times:?}");
        }
    }

    #[test]
    fn the_news_kubelets_and_users_are_late_in_plays_of_the_second_kind_only() {
        let kubelets = |seed: u64| -> Vec<Span> {
            let pace = Pace::of(seed, Some((500, 500)));
            (0..20).map(|duty| pace.kubelet_takes(duty, 0)).collect()
        };
        assert_eq!(kubelets(0), vec![KUBELET[0]; 20]);
        assert_eq!(kubelets(2 * PACES.len() as u64), vec![KUBELET[1]; 20], "of half of the plays they are quicker");
        assert!(kubelets(OF_A_KIND).iter().any(|takes| *takes > KUBELET[0] + Span::from_millis(1)));
        let are_late = |seed: u64| (0..20).all(|place| Pace::of(seed, None).step_late(place).is_some());
        assert!(!(0..OF_A_KIND).any(are_late));
        let late = (OF_A_KIND..2 * OF_A_KIND).filter(|seed| are_late(*seed)).count();
        assert!((1..OF_A_KIND as usize).contains(&late), "in some plays: {late}");
        let news = |seed: u64| Pace::of(seed, None).news_late(ProcId::SCHEDULER, 0);
        assert!((0..OF_A_KIND).all(|seed| news(seed) == Span::ZERO));
        assert!((OF_A_KIND..2 * OF_A_KIND).any(|seed| news(seed) > NEWS_LATE[1]));
    }
}
