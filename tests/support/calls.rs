//! Every call that goes over the network, for what must hold for each of them.

use std::sync::atomic::{AtomicUsize, Ordering};

use mfa::{CallOptions, Capillary, ClientOptions, Error, HyperId, Request};

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Call {
    Availability,
    Types,
    Start,
    Status,
    Cancel,
    Registered,
}

/// Makes one call with a client that it keeps.
pub type Ask = dyn Fn(&CallOptions<'_>) -> Result<(), Error>;

impl Call {
    pub const ALL: [Call; 6] =
        [Call::Availability, Call::Types, Call::Start, Call::Status, Call::Cancel, Call::Registered];

    /// Makes the call with a client of its own.
    pub fn run(self, options: &ClientOptions, call: &CallOptions<'_>) -> Result<(), Error> {
        self.of(options)(call)
    }

    /// The call on one client, to be made any number of times.
    pub fn of(self, options: &ClientOptions) -> Box<Ask> {
        if self == Call::Registered {
            let client = Capillary::new(options).unwrap();
            return Box::new(move |call| client.is_mfa_registered("b", "d", "t", call).map(drop));
        }
        let client = HyperId::new(options).unwrap();
        let request = Request::new().question("?");
        match self {
            Call::Availability => Box::new(move |call| client.availability("t", call).map(drop)),
            Call::Types => Box::new(move |call| client.two_factor_types("t", call).map(drop)),
            Call::Start => Box::new(move |call| client.start("t", &request, call).map(drop)),
            Call::Status => Box::new(move |call| client.status("t", 3, call).map(drop)),
            _ => Box::new(move |call| client.cancel("t", 3, call)),
        }
    }

    /// After trouble that may pass, it is made again.
    pub fn is_repeatable(self) -> bool {
        !matches!(self, Call::Start | Call::Cancel)
    }

    /// The body of an answer that says yes. Each start has an id of its own, of three digits.
    pub fn success(self) -> String {
        static STARTED: AtomicUsize = AtomicUsize::new(100);
        let text = match self {
            Call::Availability => r#"{"result":0,"is_available":true}"#,
            Call::Types => r#"{"result":0,"auth_types":[]}"#,
            Call::Start => {
                let id = STARTED.fetch_add(1, Ordering::SeqCst);
                return format!(r#"{{"result":0,"transaction_id":{id}}}"#);
            }
            Call::Status => r#"{"result":0,"transaction_status":0}"#,
            Call::Cancel => r#"{"result":0}"#,
            Call::Registered => r#"{"status":{"success":true,"code":200}}"#,
        };
        text.to_owned()
    }

    /// The body of one that must never be taken for the answer to this call.
    pub fn unasked(self) -> &'static str {
        match self {
            Call::Status => r#"{"result":0,"transaction_status":1,"transaction_complete_result":0}"#,
            _ => "nobody asked",
        }
    }
}
