//! Responses that reach the wrong request, as behind a proxy that has lost count.

use std::time::Duration;

use crate::behaviour::Desync;
use crate::exchanger::Offer;
use crate::http::Response;
use crate::reply::Reply;
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
    /// Puts another response into the reply if the behaviour says so.
    pub(crate) fn apply(&mut self, reply: &mut Reply, state: &State) {
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

/// The response to the next request, or to the one that waits already, in place of `mine`; `mine` if nobody
/// comes in time. A connection has one request at a time, so the other one is another connection's.
fn exchange(state: &State, mine: Response, patience: Duration) -> Response {
    let offer = state.lock().exchanger.offer(mine.clone());
    let ticket = match offer {
        Offer::Exchanged(theirs) => {
            state.wake();
            return theirs;
        }
        Offer::Waiting(ticket) => ticket,
    };
    let theirs = state.wait(patience, |inner| inner.exchanger.collect(ticket));
    theirs.or_else(|| state.lock().exchanger.withdraw(ticket)).unwrap_or(mine)
}
