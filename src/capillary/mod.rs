//! Capillary's Auth Engine: is MFA registered for this user.
//!
//! The wire facts and where each comes from: the provider's documentation and its published
//! examples. [S] marks what a source states, [X] what is read off an example.

mod answer;

use serde::Serialize;
use zeroize::Zeroizing;

use crate::call::Call;
use crate::driver::run_now;
use crate::error::{Error, Provider};
use crate::http::{Endpoint, Http, HttpRequest, Reuse};
use crate::options::{CallOptions, ClientOptions};
use crate::secret::Secret;

/// A client for Capillary. Safe to use from any number of threads at once.
#[derive(Debug)]
pub struct Capillary {
    http: Http,
    is_mfa_registered: Endpoint,
}

/// Whether MFA is registered for a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistrationState {
    /// MFA is registered.
    Registered,
    /// The user exists and has not registered MFA.
    NotRegistered,
    /// The brand has no MFA at all.
    NotEnabled,
}

/// The answer to `Capillary::is_mfa_registered`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Registration {
    /// Whether MFA is registered.
    pub state: RegistrationState,
    /// The server's `status.code`.
    pub raw_code: i32,
    /// The answer's HTTP status.
    pub http_status: u16,
}

/// `POST /auth/v1/mfa/token/isMfaRegistered` [S].
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct IsMfaRegistered<'a> {
    brand: &'a str,
    device_id: &'a str,
    authorized_token: &'a str,
}

impl Capillary {
    /// Makes a client. Nothing is sent. `base_url` is required: each region has its own.
    pub fn new(options: &ClientOptions) -> Result<Self, Error> {
        Self::build(options).map_err(|e| Error { provider: Provider::Capillary, ..e })
    }

    fn build(options: &ClientOptions) -> Result<Self, Error> {
        let http = Http::new(options, None, None)?;
        Ok(Capillary { is_mfa_registered: http.endpoint("/auth/v1/mfa/token/isMfaRegistered")?, http })
    }

    /// Whether MFA is registered for the user whom `authorized_token` belongs to.
    pub fn is_mfa_registered(
        &self,
        brand: &str,
        device_id: &str,
        authorized_token: &str,
        options: &CallOptions<'_>,
    ) -> Result<Registration, Error> {
        let mut call = Call::new(&self.http, Provider::Capillary, options, self.http.request_timeout);
        let result = body(brand, device_id, authorized_token).and_then(|body| {
            let request = HttpRequest {
                endpoint: &self.is_mfa_registered,
                bearer: None,
                body: &body,
                is_repeatable: true,
            };
            run_now(call.ask_patiently(&request, Reuse::Allowed, answer::registration))
        });
        result.map_err(|error| call.finish(error))
    }
}

fn body(brand: &str, device_id: &str, authorized_token: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
    const MAX: usize = 1024;
    for (name, text) in [("brand", brand), ("device_id", device_id)] {
        if text.is_empty() || text.len() > MAX {
            return Err(Error::argument(format!("`{name}` is empty or longer than {MAX} bytes")));
        }
    }
    let token = Secret::header_material("authorized_token", authorized_token)?;
    // Large enough for the worst escaping, so that no copy of the token is left behind by growing.
    let capacity = 64 + 6 * (brand.len() + device_id.len()) + 2 * token.expose().len();
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    let fields = IsMfaRegistered { brand, device_id, authorized_token: token.expose() };
    serde_json::to_writer(&mut *bytes, &fields).map_err(|e| Error::internal(e.to_string()))?;
    Ok(bytes)
}
