//! The build without roots of its own: `--no-default-features`.

#![cfg(not(any(feature = "bundled-roots", feature = "platform-verifier")))]

use mfa::{ClientOptions, Code, HyperId};

#[test]
fn https_needs_the_caller_s_roots() {
    // HyperID's production, and a server of the caller's own.
    for base_url in [None, Some("https://127.0.0.1:1".to_owned())] {
        let mut options = ClientOptions::new();
        options.base_url = base_url;
        let error = HyperId::new(&options).unwrap_err();
        assert_eq!(error.code, Code::InvalidCa, "{error}");
    }
}
