//! An answer and how it is to be sent.

use crate::behaviour::Desync;
use crate::delivery::Delivery;
use crate::http::Response;

pub(crate) struct Reply {
    pub(crate) response: Response,
    pub(crate) delivery: Delivery,
    pub(crate) desync: Option<Desync>,
}

/// Sent well.
impl From<Response> for Reply {
    fn from(response: Response) -> Reply {
        Reply { response, delivery: Delivery::default(), desync: None }
    }
}
