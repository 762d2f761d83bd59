//! HyperID's discovery document, from which clients take the address of the calls. There is no sign-in behind it.

use std::net::SocketAddr;

use serde_json::json;

use crate::context::Context;
use crate::http::{Request, Response};
use crate::origin;
use crate::token::{SCOPE_MFA_CLIENT, SCOPE_SECOND_FACTOR};

const REALM: &str = "/auth/realms/HyperID";
const DOCUMENT: &str = "/auth/realms/HyperID/.well-known/openid-configuration";

const NO_SIGN_IN: &str = "the sandbox has no sign-in: its tokens are made up (sandbox-phone), or issued by the \
                          test; --any-token takes those of another server";

/// The document, or that there is no sign-in; `None` if the path is none of the realm's.
pub(crate) fn answer(context: &Context, request: &Request, local: SocketAddr) -> Option<Response> {
    match request.path() {
        DOCUMENT if request.method == "GET" => {
            let base = origin::base(request, local, context.tls);
            Some(Response::json(200, document(&base)))
        }
        DOCUMENT => Some(Response::text(405, "only GET").with("Allow", "GET")),
        path => path.starts_with(&format!("{REALM}/")).then(|| Response::text(501, NO_SIGN_IN)),
    }
}

fn document(base: &str) -> String {
    let realm = format!("{base}{REALM}");
    let connect = |name: &str| format!("{realm}/protocol/openid-connect/{name}");
    json!({
        "issuer": realm,
        "authorization_endpoint": connect("auth"),
        "token_endpoint": connect("token"),
        "introspection_endpoint": connect("token/introspect"),
        "userinfo_endpoint": connect("userinfo"),
        "end_session_endpoint": connect("logout"),
        "revocation_endpoint": connect("revoke"),
        "jwks_uri": connect("certs"),
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["HS256"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported":
            ["client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt"],
        "scopes_supported": ["openid", SCOPE_MFA_CLIENT, SCOPE_SECOND_FACTOR],
        "client_scopes_default": ["openid"],
        "client_scopes_optional": [SCOPE_MFA_CLIENT, SCOPE_SECOND_FACTOR],
        "identity_providers": [],
        "wallet_family": [0, 1],
        "wallet_source": [],
        "wallet_chain": [],
        "rest_api_token_endpoint": base,
        "rest_api_public_endpoint": base,
    })
    .to_string()
}
