//! Where two connections exchange their responses.

use std::collections::HashMap;

use crate::http::Response;

#[derive(Default)]
pub(crate) struct Exchanger {
    tickets: u64,
    /// Who waits for a partner, and with what.
    waiting: Option<(u64, Response)>,
    /// What partners have left for those who waited.
    left: HashMap<u64, Response>,
}

/// What comes of an offer.
pub(crate) enum Offer {
    /// Somebody was waiting: the partner's response. The offered one is left for the partner.
    Exchanged(Response),
    /// Nobody was: whoever comes next leaves a response under this ticket.
    Waiting(u64),
}

impl Exchanger {
    pub(crate) fn offer(&mut self, mine: Response) -> Offer {
        if let Some((ticket, theirs)) = self.waiting.take() {
            self.left.insert(ticket, mine);
            return Offer::Exchanged(theirs);
        }
        self.tickets += 1;
        self.waiting = Some((self.tickets, mine));
        Offer::Waiting(self.tickets)
    }

    /// What a partner has left.
    pub(crate) fn collect(&mut self, ticket: u64) -> Option<Response> {
        self.left.remove(&ticket)
    }

    /// Waits no longer; a partner may have come in the last moment.
    pub(crate) fn withdraw(&mut self, ticket: u64) -> Option<Response> {
        self.waiting.take_if(|(waiting, _)| *waiting == ticket);
        self.collect(ticket)
    }
}
