//! Responses that reach the wrong request, as behind a proxy that has lost count.

use std::collections::HashMap;
use std::time::Duration;

use crate::behaviour::Desync;
use crate::http::Response;
use crate::route::Reply;
use crate::state::State;

/// What a connection remembers of its answers.
#[derive(Default)]
pub(crate) struct ConnectionDesync {
    /// What the previous request should have got.
    previous: Option<Response>,
    /// It stays one answer behind.
    behind: bool,
}

impl ConnectionDesync {
    /// Puts another answer into the reply if the behaviour says so.
    pub(crate) fn pass(&mut self, reply: &mut Reply, state: &State) {
        if let Some(Desync::Exchange(ms)) = reply.desync {
            reply.response = exchange(state, reply.response.clone(), Duration::from_millis(ms));
        }
        self.behind |= reply.desync == Some(Desync::PreviousFromNowOn);
        let previous = self.previous.replace(reply.response.clone());
        if self.behind || reply.desync == Some(Desync::Previous) {
            reply.response = previous.unwrap_or_else(|| reply.response.clone());
        }
    }
}

/// Where two connections meet to change answers.
#[derive(Default)]
pub(crate) struct Exchanger {
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
    let exchanger = &mut inner.exchanger;
    if let Some((ticket, theirs)) = exchanger.waiting.take() {
        exchanger.left.insert(ticket, mine);
        drop(inner);
        state.wake();
        return theirs;
    }
    exchanger.tickets += 1;
    let ticket = exchanger.tickets;
    exchanger.waiting = Some((ticket, mine.clone()));
    drop(inner);
    let theirs = state.wait(patience, |inner| inner.exchanger.left.remove(&ticket));
    theirs.or_else(|| state.lock().exchanger.leave(ticket)).unwrap_or(mine)
}

impl Exchanger {
    /// Waits no longer; a partner may have come in the last moment.
    fn leave(&mut self, ticket: u64) -> Option<Response> {
        self.waiting.take_if(|(waiting, _)| *waiting == ticket);
        self.left.remove(&ticket)
    }
}
