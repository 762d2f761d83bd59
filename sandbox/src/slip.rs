//! Answers that reach the wrong question, as behind a proxy that has lost count.

use std::collections::HashMap;
use std::time::Duration;

use crate::behaviour::Slip;
use crate::http::Response;
use crate::route::Reply;
use crate::state::State;

/// What a connection remembers of its answers.
#[derive(Default)]
pub(crate) struct Slips {
    /// What the previous request should have got.
    previous: Option<Response>,
    /// It stays one answer behind.
    behind: bool,
}

impl Slips {
    /// Puts another answer into the reply if that is wished for.
    pub(crate) fn pass(&mut self, reply: &mut Reply, state: &State) {
        if let Some(Slip::Exchange(ms)) = reply.slip {
            reply.response = exchange(state, reply.response.clone(), Duration::from_millis(ms));
        }
        self.behind |= reply.slip == Some(Slip::PreviousFromNowOn);
        let previous = self.previous.replace(reply.response.clone());
        if self.behind || reply.slip == Some(Slip::Previous) {
            reply.response = previous.unwrap_or_else(|| reply.response.clone());
        }
    }
}

/// Where two connections meet to change answers.
#[derive(Default)]
pub(crate) struct Exchange {
    tickets: u64,
    /// Who waits for a partner, and with what.
    waiting: Option<(u64, Response)>,
    /// What partners have left for those who waited.
    left: HashMap<u64, Response>,
}

/// The answer of the next request, or of the one that waits already, in place of `mine`; `mine` if nobody
/// comes in time. A connection has one request at a time, so the other one is another connection's.
fn exchange(state: &State, mine: Response, patience: Duration) -> Response {
    let mut inner = state.lock();
    let exchange = &mut inner.exchange;
    if let Some((ticket, theirs)) = exchange.waiting.take() {
        exchange.left.insert(ticket, mine);
        drop(inner);
        state.wake();
        return theirs;
    }
    exchange.tickets += 1;
    let ticket = exchange.tickets;
    exchange.waiting = Some((ticket, mine.clone()));
    drop(inner);
    let theirs = state.wait(patience, |inner| inner.exchange.left.remove(&ticket));
    theirs.or_else(|| state.lock().exchange.leave(ticket)).unwrap_or(mine)
}

impl Exchange {
    /// Waits no longer; a partner may have come in the last moment.
    fn leave(&mut self, ticket: u64) -> Option<Response> {
        self.waiting.take_if(|(waiting, _)| *waiting == ticket);
        self.left.remove(&ticket)
    }
}
