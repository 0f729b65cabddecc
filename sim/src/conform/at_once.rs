//! A core alone, whose storage takes no time: for requests of which only the answer is wanted.

use std::collections::VecDeque;

use wavetank_core::Core;
use wavetank_core::api::{Answer, Request};
use wavetank_core::id::{ProcId, RequestId};
use wavetank_core::seam::{Effect, Input, Msg};
use wavetank_core::time::Time;

/// Takes an input, and what storage says to it; the answers that are given.
pub(super) fn answers(core: &mut Core, input: Input) -> Vec<(RequestId, Answer)> {
    let mut answers = Vec::new();
    let mut inputs = VecDeque::from([input]);
    while let Some(input) = inputs.pop_front() {
        let mut effects = Vec::new();
        core.step(Time::ZERO, input, &mut effects);
        for effect in effects {
            match effect {
                Effect::Persist(revision) => inputs.push_front(Input::Persisted(revision)),
                Effect::Send { body: Msg::Response(id, answer), .. } => answers.push((id, answer)),
                _ => {}
            }
        }
    }
    answers
}

/// Asks as a client does; `None` if it is not answered.
pub(super) fn ask(core: &mut Core, id: RequestId, request: Request) -> Option<Answer> {
    let body = Msg::Request(id, Box::new(request));
    let input = Input::Message { from: ProcId::CLIENT, to: ProcId::API_SERVER, body };
    answers(core, input).into_iter().find_map(|(of, answer)| (of == id).then_some(answer))
}
