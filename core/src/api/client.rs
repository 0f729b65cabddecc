//! A component's client of the API server: it numbers requests and keeps to a rate limit.
//!
//! Invariant: requests leave in the order in which they were made. Absent on purpose: retries, which belong to work
//! queues, and connections, which belong to the world.

use std::collections::VecDeque;

use crate::api::Request;
use crate::config::RateLimit;
use crate::context::Context;
use crate::id::{ProcId, RequestId};
use crate::seam::{Msg, TimerKind};
use crate::time::{Span, Time};

/// One client with its own bucket of tokens. A process can have up to 256 of them.
pub struct Client {
    number: u8,
    next: u64,
    limit: Option<Bucket>,
    waiting: VecDeque<(RequestId, Box<Request>)>,
    /// Whether requests wait for [`Client::release`].
    held: bool,
}

/// The most requests that may wait for tokens: more means that a component asks without end.
const WAITING_LIMIT: usize = 2_000_000;

impl Client {
    /// Client `number` of a process.
    pub fn new(number: u8, limit: Option<RateLimit>) -> Client {
        Client { number, next: 0, limit: limit.map(Bucket::full), waiting: VecDeque::new(), held: false }
    }

    /// Sends a request as soon as the rate limit lets it; the answer will carry the returned number.
    pub fn send(&mut self, ctx: &mut Context<'_>, request: Request) -> RequestId {
        if self.next == 0 {
            // A process that was restarted must not take answers to its former life's requests for its own: (1) it asks
            // number 0; (2) it dies and starts again; (3) it asks number 0 again; (4) the first answer arrives. Numbers
            // begin with the nanosecond of the first request, which the former life cannot have reached.
            self.next = ctx.now.0;
        }
        let id = RequestId::of_client(self.number, self.next);
        self.next += 1;
        let request = Box::new(request);
        if !self.held && self.waiting.is_empty() && self.take_token(ctx.now) {
            ctx.send(ProcId::API_SERVER, Msg::Request(id, request));
        } else {
            assert!(self.waiting.len() < WAITING_LIMIT, "{} has {WAITING_LIMIT} requests waiting", ctx.me);
            self.waiting.push_back((id, request));
            self.arm(ctx);
        }
        id
    }

    /// Whoever asks is busy: what is asked from here on leaves at [`Client::release`].
    pub fn hold(&mut self) {
        self.held = true;
    }

    /// Sends what was held back, as far as tokens allow.
    pub fn release(&mut self, ctx: &mut Context<'_>) {
        self.held = false;
        self.on_tokens(ctx);
    }

    /// Sends what the tokens of this moment allow; to be called when [`TimerKind::ClientTokens`] comes due.
    pub fn on_tokens(&mut self, ctx: &mut Context<'_>) {
        while !self.held && !self.waiting.is_empty() && self.take_token(ctx.now) {
            let (id, request) = self.waiting.pop_front().expect("the queue was just seen to hold a request");
            ctx.send(ProcId::API_SERVER, Msg::Request(id, request));
        }
        self.arm(ctx);
    }

    fn take_token(&mut self, now: Time) -> bool {
        self.limit.as_mut().is_none_or(|bucket| bucket.take(now))
    }

    fn arm(&self, ctx: &mut Context<'_>) {
        if let (Some(bucket), false) = (&self.limit, self.waiting.is_empty() || self.held) {
            ctx.arm(TimerKind::ClientTokens(self.number), bucket.next_token(ctx.now));
        }
    }
}

/// A bucket of tokens that refills evenly.
pub(crate) struct Bucket {
    interval: Span,
    burst: u64,
    /// When the bucket would have been empty, had it never been taken from since: tokens = (now − this) / interval.
    empty_at: u64,
    started: bool,
}

impl Bucket {
    /// A full bucket.
    pub(crate) fn full(limit: RateLimit) -> Bucket {
        assert!(limit.per_second > 0 && limit.burst > 0, "a rate limit needs a rate and a burst");
        Bucket {
            interval: Span(1_000_000_000 / u64::from(limit.per_second)),
            burst: u64::from(limit.burst),
            empty_at: 0,
            started: false,
        }
    }

    /// Times are shifted by the bucket's whole depth, so that a full bucket at time zero needs no negative number.
    fn shifted(&self, now: Time) -> u64 {
        now.0 + self.burst * self.interval.0
    }

    /// Takes a token; whether there was one.
    pub(crate) fn take(&mut self, now: Time) -> bool {
        let now = self.shifted(now);
        let fullest = now - self.burst * self.interval.0;
        if !self.started || self.empty_at < fullest {
            self.started = true;
            self.empty_at = fullest;
        }
        if now - self.empty_at < self.interval.0 {
            return false;
        }
        self.empty_at += self.interval.0;
        true
    }

    fn next_token(&self, now: Time) -> Time {
        let due = self.empty_at + self.interval.0;
        Time(due.saturating_sub(self.burst * self.interval.0)).max(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_lets_a_burst_through_and_then_keeps_the_rate() {
        let mut bucket = Bucket::full(RateLimit { per_second: 20, burst: 30 });
        let at_once = (0..100).filter(|_| bucket.take(Time::ZERO)).count();
        assert_eq!(at_once, 30);
        assert_eq!(bucket.next_token(Time::ZERO), Time::from_millis(50));
        let in_ten_seconds = (1..=10_000).filter(|milli| bucket.take(Time::from_millis(*milli))).count();
        assert_eq!(in_ten_seconds, 200);
        assert_eq!((0..100).filter(|_| bucket.take(Time::from_secs(1_000))).count(), 30);
    }
}
