//! Every call that goes over the network, for what must hold for each of them.
//!
//! Each question about a call is a whole match, so that a new one has to answer it; that `ALL` lacks
//! none is for `faults.rs` to see.

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
        match self {
            Call::Availability => hyperid(options, |client, call| client.availability("t", call).map(drop)),
            Call::Types => hyperid(options, |client, call| client.two_factor_types("t", call).map(drop)),
            Call::Start => hyperid(options, |client, call| {
                let request = Request::new().question("?");
                client.start("t", &request, call).map(drop)
            }),
            Call::Status => hyperid(options, |client, call| client.status("t", 3, call).map(drop)),
            Call::Cancel => hyperid(options, |client, call| client.cancel("t", 3, call)),
            Call::Registered => {
                let client = Capillary::new(options).unwrap();
                Box::new(move |call| client.is_mfa_registered("b", "d", "t", call).map(drop))
            }
        }
    }

    /// Its name in C.
    pub fn export(self) -> &'static str {
        match self {
            Call::Availability => "mfa_hyperid_availability",
            Call::Types => "mfa_hyperid_two_factor_types",
            Call::Start => "mfa_hyperid_start",
            Call::Status => "mfa_hyperid_status",
            Call::Cancel => "mfa_hyperid_cancel",
            Call::Registered => "mfa_capillary_is_mfa_registered",
        }
    }

    /// After trouble that may pass, it is made again.
    pub fn is_repeatable(self) -> bool {
        match self {
            Call::Availability | Call::Types | Call::Status | Call::Registered => true,
            Call::Start | Call::Cancel => false,
        }
    }

    /// Once it was sent, a person may have been asked.
    pub fn asks_a_person(self) -> bool {
        match self {
            Call::Start => true,
            Call::Availability | Call::Types | Call::Status | Call::Cancel | Call::Registered => false,
        }
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
            Call::Availability | Call::Types | Call::Start | Call::Cancel | Call::Registered => {
                "nobody asked"
            }
        }
    }
}

fn hyperid(
    options: &ClientOptions,
    ask: impl Fn(&HyperId, &CallOptions<'_>) -> Result<(), Error> + 'static,
) -> Box<Ask> {
    let client = HyperId::new(options).unwrap();
    Box::new(move |call| ask(&client, call))
}
