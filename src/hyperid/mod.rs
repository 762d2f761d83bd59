//! HyperID: may this person be asked, ask, and what did they say.
//!
//! The wire facts and where each comes from: the provider's documentation and its published
//! clients. [S] marks what a source states, [I] what is inferred.

mod answer;
mod decision;
mod load;
#[cfg(all(test, target_os = "linux"))]
mod model;
mod policy;
mod request;
mod started;
mod wait;
mod waiter;
mod waiting;

pub use decision::{Approval, Decision};
pub use request::Request;
pub use wait::{OnUpdate, TokenProvider, WaitEnd, WaitOptions};
pub use waiter::{Event, EventKind, TicketOptions, Waiter, WaiterOptions};

use std::time::Duration;

use crate::call::{Call, Sending, repeatable};
use crate::driver::run_now;
use crate::error::{Error, Provider};
use crate::http::{Endpoint, Exchanged, Http, HttpRequest, Reuse, secure_random};
use crate::hyperid::decision::{Look, Reading, State};
use crate::hyperid::started::Started;
use crate::options::{CallOptions, ClientOptions};
use crate::per_process::PerProcess;
use crate::retry;
use crate::secret::Secret;
use crate::sys;

/// HyperID's production [S].
const PRODUCTION: &str = "https://api.hypersecureid.com";

/// A client for HyperID. Safe to use from any number of threads at once.
#[derive(Debug)]
pub struct HyperId {
    http: Http,
    availability: Endpoint,
    two_factor_types: Endpoint,
    start: Endpoint,
    status: Endpoint,
    cancel: Endpoint,
    started: PerProcess<Started>,
}

/// What is known of a transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transaction {
    /// What the person decided.
    pub decision: Decision,
    /// The transaction's id; 0: none is known.
    pub transaction_id: i64,
    /// The server's `transaction_status`.
    pub raw_status: Option<i32>,
    /// The server's `transaction_complete_result`.
    pub raw_complete_result: Option<i32>,
    /// How often the state was asked for.
    pub polls: u32,
    /// Since the call began.
    pub elapsed: Duration,
}

impl Transaction {
    /// What a state that was read says of the transaction: the one place that fills all of it, for
    /// `status` and for a wait. A field that is left out, here or there, does not compile.
    fn read(id: i64, state: &State, polls: u32, elapsed: Duration) -> Self {
        let State { decision, raw_status, raw_complete_result, is_final: _ } = *state;
        Transaction {
            decision,
            transaction_id: id,
            raw_status: Some(raw_status),
            raw_complete_result,
            polls,
            elapsed,
        }
    }
}

impl HyperId {
    /// Makes a client. Nothing is sent.
    pub fn new(options: &ClientOptions) -> Result<Self, Error> {
        Self::build(options).map_err(|e| Error { provider: Provider::HyperId, ..e })
    }

    fn build(options: &ClientOptions) -> Result<Self, Error> {
        let http = Http::new(options, Some(PRODUCTION), Some("authorization"))?;
        Ok(HyperId {
            availability: http.endpoint(answer::AVAILABILITY.path)?,
            two_factor_types: http.endpoint(answer::TWO_FACTOR_TYPES.path)?,
            start: http.endpoint(answer::START.path)?,
            status: http.endpoint(answer::STATUS.path)?,
            cancel: http.endpoint(answer::CANCEL.path)?,
            http,
            started: PerProcess::new(sys::fork_generation(), Started::default()),
        })
    }

    /// Whether the person has linked the authenticator app and so may be asked.
    pub fn availability(&self, access_token: &str, options: &CallOptions<'_>) -> Result<bool, Error> {
        self.call(access_token, options, |call, token| {
            let request = self.request(&self.availability, token, request::EMPTY);
            run_now(call.ask_patiently(&request, Reuse::Allowed, answer::available))
        })
    }

    /// The numbers of the second factors that the person has set up, as the server lists them.
    pub fn two_factor_types(&self, access_token: &str, options: &CallOptions<'_>) -> Result<Vec<i32>, Error> {
        self.call(access_token, options, |call, token| {
            let request = self.request(&self.two_factor_types, token, request::EMPTY);
            run_now(call.ask_patiently(&request, Reuse::Allowed, answer::two_factor_types))
        })
    }

    /// Asks the person: a push to their phone. Returns the transaction's id.
    ///
    /// Never repeated once a byte of it was sent; see `Error::outcome_unknown`.
    pub fn start(
        &self,
        access_token: &str,
        request: &Request<'_>,
        options: &CallOptions<'_>,
    ) -> Result<i64, Error> {
        self.call(access_token, options, |call, token| {
            let body = request::start(request)?;
            let sending = Sending::by(call.until);
            run_now(self.start_once(call, token, &body, sending)).result
        })
    }

    /// Reads a transaction's state once.
    pub fn status(
        &self,
        access_token: &str,
        id: i64,
        options: &CallOptions<'_>,
    ) -> Result<Transaction, Error> {
        self.call(access_token, options, |call, token| {
            let body = request::transaction_id(id)?;
            let request = self.request(&self.status, token, &body);
            let state = run_now(read_state(call, &request, id))?;
            Ok(Transaction::read(id, &state, call.attempts, call.start.elapsed()))
        })
    }

    /// Cancels a transaction. `Code::AlreadyCompleted`: the person was faster; read the status.
    pub fn cancel(&self, access_token: &str, id: i64, options: &CallOptions<'_>) -> Result<(), Error> {
        self.call(access_token, options, |call, token| {
            let sending = Sending::by(call.until);
            run_now(self.cancel_once(call, token, id, sending))
        })
    }

    fn call<'o, T>(
        &self,
        access_token: &str,
        options: &CallOptions<'o>,
        work: impl FnOnce(&mut Call<'_>, &Secret) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut call = Call::new(&self.http, Provider::HyperId, options, self.http.request_timeout);
        let token = Secret::header_material("access_token", access_token);
        token.and_then(|token| work(&mut call, &token)).map_err(|error| call.finish(error))
    }

    fn request<'p>(&self, endpoint: &'p Endpoint, token: &'p Secret, body: &'p [u8]) -> HttpRequest<'p> {
        HttpRequest { endpoint, bearer: Some(token), body, is_repeatable: true }
    }

    /// Asks the person. The error says whether that may have happened all the same.
    async fn start_once(
        &self,
        call: &mut Call<'_>,
        token: &Secret,
        body: &[u8],
        sending: Sending,
    ) -> Exchanged<i64> {
        let request = HttpRequest { is_repeatable: false, ..self.request(&self.start, token, body) };
        let started = call
            .ask_once(&request, sending, |answer| {
                let id = answer::started(answer)?;
                // An answer that came twice would join two questions.
                let is_new = self.started.current(Started::default).note(id);
                let again =
                    || Error::contradictory(format!("the answer's transaction {id} was started before"));
                if is_new { Ok(id) } else { Err(again()) }
            })
            .await;
        let (was_sent, was_early) = (started.sent, started.early);
        let result = started.result.map_err(|error| {
            let is_refused = answer::is_refusal(&error) || (answer::is_http_refusal(&error) && !was_early);
            let outcome_unknown = was_sent && !is_refused;
            let retryable = !outcome_unknown && retry::is_transient(&error);
            Error { outcome_unknown, retryable, ..error }
        });
        Exchanged { result, ..started }
    }

    async fn cancel_once(
        &self,
        call: &mut Call<'_>,
        token: &Secret,
        id: i64,
        sending: Sending,
    ) -> Result<(), Error> {
        let body = request::transaction_id(id)?;
        let request = HttpRequest { is_repeatable: false, ..self.request(&self.cancel, token, &body) };
        let sent = call.ask_once(&request, sending, |answer| answer::cancelled(answer, id)).await;
        // A second cancel is answered with "already cancelled": no harm.
        sent.result.map_err(repeatable)
    }
}

/// Reads the state; an approval that does not name its transaction is looked at a second time.
async fn read_state(call: &mut Call<'_>, request: &HttpRequest<'_>, id: i64) -> Result<State, Error> {
    let looks = [(Reuse::Allowed, Look::First), (Reuse::Forbidden, Look::Second)];
    for (reuse, look) in looks {
        if let Reading::State(state) =
            call.ask_patiently(request, reuse, |it| answer::state(it, id, look)).await?
        {
            return Ok(state);
        }
    }
    Err(Error::contradictory("the answer approves and does not say whom"))
}

/// A two-digit control code, zero padded, from a cryptographic source: show it beside the question
/// so that the person can compare it with the one in the app.
pub fn control_code() -> Result<String, Error> {
    loop {
        let mut byte = [0u8];
        secure_random(&mut byte).ok_or_else(|| Error::internal("the system has no random numbers"))?;
        // 200 is the largest multiple of 100 in a byte: no code is likelier than another.
        if byte[0] < 200 {
            return Ok(format!("{:02}", byte[0] % 100));
        }
    }
}
