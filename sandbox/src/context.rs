//! What the answers of one sandbox share.

use crate::state::State;

pub(crate) struct Context {
    pub(crate) state: State,
    /// It speaks TLS.
    pub(crate) tls: bool,
    pub(crate) capillary_http_status: bool,
    pub(crate) strict: bool,
}
