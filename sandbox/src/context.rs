//! What the answers of one sandbox share.

use crate::state::State;
use crate::terminal::Terminal;

pub(crate) struct Context {
    pub(crate) state: State,
    pub(crate) terminal: Terminal,
    /// It speaks TLS.
    pub(crate) tls: bool,
    pub(crate) capillary_http_status: bool,
    pub(crate) strict: bool,
}
