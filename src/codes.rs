// The code table: the one source of every error code's number, name and texts.
//
// `build.rs` reads this file (it includes it as a module) and writes from it the Rust enum
// `mfa::Code`, the enumerators of `include/mfa.h`, and what `mfa_code_name` and
// `mfa_code_message` return. `cargo xtask header` writes the bindings' enumerations from it.
//
// Rules: a range says who must act (see `RANGES`); a number is never reused, a retired one
// stays here as a comment; numbers keep clear of HTTP's, so that nobody mistakes one for it.

/// One code.
pub struct Entry {
    /// The number that crosses the C ABI.
    pub number: i32,
    /// The name in C.
    pub name: &'static str,
    /// What happened, in one sentence.
    pub meaning: &'static str,
    /// What to do about it, in one sentence.
    pub remedy: &'static str,
}

/// A range of codes, by who must act.
pub struct Range {
    /// First number.
    pub first: i32,
    /// Last number.
    pub last: i32,
    /// A name for the range's group, as the bindings use it for their base classes.
    pub group: &'static str,
    /// Who must act.
    pub meaning: &'static str,
}

pub const RANGES: &[Range] = &[
    Range { first: 1, last: 99, group: "Caller", meaning: "the calling program is wrong" },
    Range {
        first: 100,
        last: 199,
        group: "Network",
        meaning: "the network failed, or the call's deadline passed",
    },
    Range { first: 200, last: 299, group: "Answer", meaning: "the server's answer cannot be trusted" },
    Range { first: 300, last: 399, group: "Credential", meaning: "the credential was refused" },
    Range { first: 400, last: 499, group: "Provider", meaning: "the provider refused the request" },
    Range { first: 500, last: 599, group: "Cancelled", meaning: "the caller ended the call" },
    Range { first: 900, last: 999, group: "Internal", meaning: "libmfa itself failed" },
];

pub const CODES: &[Entry] = &[
    Entry {
        number: 0,
        name: "MFA_OK",
        meaning: "The call did what it was asked.",
        remedy: "Read the answer; this code alone never means that anybody approved.",
    },
    // 1–99: the caller's code.
    Entry {
        number: 1,
        name: "MFA_ERR_INVALID_ARGUMENT",
        meaning: "An argument has a value that is not allowed.",
        remedy: "Correct the argument that the message names; nothing was sent.",
    },
    Entry {
        number: 2,
        name: "MFA_ERR_NULL_POINTER",
        meaning: "An argument that must not be `NULL` is `NULL`.",
        remedy: "Pass the argument that the message names; nothing was sent.",
    },
    Entry {
        number: 3,
        name: "MFA_ERR_STRUCT_SIZE",
        meaning: "A struct's size is below the first release's or above 4096.",
        remedy: "Initialise the struct as the header says; in a binding this is a defect of it. Nothing was sent.",
    },
    Entry {
        number: 4,
        name: "MFA_ERR_INVALID_UTF8",
        meaning: "A string is not valid UTF-8.",
        remedy: "Convert the argument that the message names to UTF-8; nothing was sent.",
    },
    Entry {
        number: 5,
        name: "MFA_ERR_INVALID_URL",
        meaning: "A URL is malformed, or has a part that is not allowed.",
        remedy: "Use https://host[:port][/prefix], without user info, query or fragment; nothing was sent.",
    },
    Entry {
        number: 6,
        name: "MFA_ERR_INSECURE_URL",
        meaning: "The URL is http, which would send the token in clear.",
        remedy: "Use https; for a server on this machine set `MFA_CLIENT_ALLOW_LOOPBACK_HTTP`.",
    },
    Entry {
        number: 7,
        name: "MFA_ERR_INVALID_CA",
        meaning: "`ca_pem` holds no certificate, or one that cannot be used as a root.",
        remedy: "Pass one or more PEM blocks \"BEGIN CERTIFICATE\", each a CA's certificate.",
    },
    Entry {
        number: 8,
        name: "MFA_ERR_BUSY",
        meaning: "Another thread is driving the waiter.",
        remedy: "Let one thread at a time drive a waiter.",
    },
    Entry {
        number: 9,
        name: "MFA_ERR_FORKED",
        meaning: "The handle belongs to the process that forked this one.",
        remedy: "Make a new one in this process.",
    },
    Entry {
        number: 10,
        name: "MFA_ERR_NOT_ENDED",
        meaning: "The event does not end its wait, so that there is no outcome yet.",
        remedy: "Go on until the event that ends it.",
    },
    // 100–199: the network, the deadline among them.
    Entry {
        number: 110,
        name: "MFA_ERR_TIMEOUT",
        meaning: "The call's own deadline passed.",
        remedy: "Allow more time, or ask again later; `out` holds what was known last.",
    },
    Entry {
        number: 111,
        name: "MFA_ERR_DNS",
        meaning: "The server's name could not be resolved.",
        remedy: "Check the base URL and this machine's name resolution.",
    },
    Entry {
        number: 112,
        name: "MFA_ERR_CONNECT",
        meaning: "No connection could be made.",
        remedy: "Check that the server is up and reachable; `os_error` says why the last address failed.",
    },
    Entry {
        number: 113,
        name: "MFA_ERR_CONNECT_TIMEOUT",
        meaning: "No connection was ready within `connect_timeout_ms` (name, TCP and TLS together).",
        remedy: "Check the network, a firewall perhaps, or allow more time to connect.",
    },
    Entry {
        number: 114,
        name: "MFA_ERR_TLS",
        meaning: "TLS failed: the certificate is not trusted, or the handshake broke.",
        remedy: "Read the message: it tells expiry, a wrong host and an unknown issuer apart.",
    },
    Entry {
        number: 115,
        name: "MFA_ERR_CONNECTION_LOST",
        meaning: "The connection ended or was reset before a whole answer had arrived.",
        remedy: "Ask again, unless `MFA_ERROR_OUTCOME_UNKNOWN` is set: then the request may have been carried out.",
    },
    Entry {
        number: 116,
        name: "MFA_ERR_REQUEST_TIMEOUT",
        meaning: "One exchange took longer than `request_timeout_ms` while the call's deadline lay further off.",
        remedy: "Ask again, unless `MFA_ERROR_OUTCOME_UNKNOWN` is set, or raise `request_timeout_ms`.",
    },
    Entry {
        number: 117,
        name: "MFA_ERR_PROXY",
        meaning: "The proxy refused to connect, or gave an answer that is not HTTP.",
        remedy: "Check the proxy's address and credentials; `http_status` holds its answer.",
    },
    // 200–299: the answer.
    Entry {
        number: 210,
        name: "MFA_ERR_MALFORMED_ANSWER",
        meaning: "The answer is not what the protocol allows: broken HTTP, not JSON, a field missing or of a wrong type.",
        remedy: "Check that `base_url` names the provider itself; nothing in the answer was believed.",
    },
    Entry {
        number: 211,
        name: "MFA_ERR_ANSWER_TOO_LARGE",
        meaning: "The answer's header or body is larger, or its JSON nested deeper, than any genuine answer.",
        remedy: "Check that `base_url` names the provider itself; the connection was dropped.",
    },
    Entry {
        number: 212,
        name: "MFA_ERR_CONTRADICTORY_ANSWER",
        meaning: "The answer contradicts itself or the question, for example by naming another transaction.",
        remedy: "Treat it as no answer; report it to the provider if it goes on.",
    },
    Entry {
        number: 213,
        name: "MFA_ERR_HTTP_STATUS",
        meaning: "The server answered with an HTTP status that has no meaning here, a redirect among them.",
        remedy: "See `http_status`; check `base_url` and what stands between this machine and the provider.",
    },
    // 300–399: the credentials. The same three, whichever of its tables the endpoint uses.
    Entry {
        number: 310,
        name: "MFA_ERR_TOKEN_EXPIRED",
        meaning: "The token has expired.",
        remedy: "Get a fresh token and ask again.",
    },
    Entry {
        number: 311,
        name: "MFA_ERR_TOKEN_INVALID",
        meaning: "The server does not accept the token.",
        remedy: "Sign in again; check that the token belongs to this server.",
    },
    Entry {
        number: 312,
        name: "MFA_ERR_ACCESS_DENIED",
        meaning: "The token is good but does not allow this call: a scope is missing.",
        remedy: "Request the scope when signing in (HyperID: mfa-client, second-factor-auth-client).",
    },
    // 400–499: the provider's refusal.
    Entry {
        number: 460,
        name: "MFA_ERR_UNAVAILABLE",
        meaning: "The service is temporarily unavailable.",
        remedy: "Ask again later; `retry_after_ms` says when, if the server said so.",
    },
    Entry {
        number: 461,
        name: "MFA_ERR_RATE_LIMITED",
        meaning: "Too many requests.",
        remedy: "Ask again later; `retry_after_ms` says when, if the server said so.",
    },
    Entry {
        number: 462,
        name: "MFA_ERR_PROVIDER_INVALID_PARAMETERS",
        meaning: "The provider found the request's parameters invalid.",
        remedy: "Check the request's fields against the provider's documentation; `provider_code` holds its number.",
    },
    Entry {
        number: 463,
        name: "MFA_ERR_TRANSACTION_NOT_FOUND",
        meaning: "The provider knows no such transaction for this token.",
        remedy: "Check the id, and that the token belongs to the user who was asked.",
    },
    Entry {
        number: 464,
        name: "MFA_ERR_DEVICE_NOT_FOUND",
        meaning: "The provider found no device of the user to ask on.",
        remedy: "Let the user link the authenticator app again, or leave `device_id` out.",
    },
    Entry {
        number: 465,
        name: "MFA_ERR_TEMPLATE_NOT_FOUND",
        meaning: "The provider knows no such template.",
        remedy: "Check `template_id`; 4 is the plain question.",
    },
    Entry {
        number: 466,
        name: "MFA_ERR_ALREADY_EXPIRED",
        meaning: "The transaction cannot be cancelled: it has expired.",
        remedy: "Nothing is left to do; start a new one if the answer is still wanted.",
    },
    Entry {
        number: 467,
        name: "MFA_ERR_ALREADY_COMPLETED",
        meaning: "The transaction cannot be cancelled: the person has answered already.",
        remedy: "Read the status: the answer is there and must not be dropped.",
    },
    Entry {
        number: 468,
        name: "MFA_ERR_ALREADY_CANCELLED",
        meaning: "The transaction cannot be cancelled: it has been cancelled or declined already.",
        remedy: "Nothing is left to do.",
    },
    Entry {
        number: 469,
        name: "MFA_ERR_AUTHENTICATOR_NOT_LINKED",
        meaning: "The person has not linked the authenticator app, so nobody can be asked.",
        remedy: "Let the person link the app first, or use another factor; no push was sent.",
    },
    Entry {
        number: 470,
        name: "MFA_ERR_PROVIDER_REFUSED",
        meaning: "The provider refused with a number that libmfa has no name for.",
        remedy: "Look `provider_code` up in the provider's documentation.",
    },
    // 500–599: ended at the caller's wish.
    Entry {
        number: 550,
        name: "MFA_ERR_CANCELLED",
        meaning: "The caller ended the call, with its `cancel` or from a callback.",
        remedy: "A started transaction goes on until it is cancelled or expires, unless `MFA_ERROR_WITHDRAWN` is set; `out` holds what was known last.",
    },
    // 900–: internal.
    Entry {
        number: 900,
        name: "MFA_ERR_INTERNAL",
        meaning: "libmfa itself failed; this is a defect, or the system refused it a resource.",
        remedy: "Report it with the message; do not treat the call as an answer.",
    },
];
