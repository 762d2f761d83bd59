//! The build that trusts what the platform trusts: `--features platform-verifier`.

#![cfg(feature = "platform-verifier")]

use mfa::{CallOptions, ClientOptions, Code, HyperId};
use mfa_sandbox::{Options, Sandbox};

/// In a process of its own for each case: the platform's roots are read from `SSL_CERT_FILE` here.
#[test]
fn the_platform_s_roots_decide() {
    let sandbox = Sandbox::start(Options { tls: true, strict: true, ..Options::default() }).unwrap();
    if let Some(expected) = std::env::var_os("MFA_TEST_EXPECT") {
        let mut options = ClientOptions::new();
        options.base_url = std::env::var("MFA_TEST_URL").ok();
        let client = HyperId::new(&options).unwrap();
        let result = client.availability("sandbox-approve", &CallOptions::default()).map_err(|e| e.code);
        assert_eq!(result, if expected == "trusted" { Ok(true) } else { Err(Code::Tls) });
        return;
    }
    let other = Sandbox::start(Options { tls: true, strict: true, ..Options::default() }).unwrap();
    for (trusted, expected) in [(&sandbox, "trusted"), (&other, "unknown")] {
        let file = std::env::temp_dir().join(format!("mfa-roots-{}-{expected}.pem", std::process::id()));
        std::fs::write(&file, trusted.ca_pem().unwrap()).unwrap();
        let run = std::process::Command::new(std::env::current_exe().unwrap())
            .env("SSL_CERT_FILE", &file)
            .env("MFA_TEST_URL", sandbox.hyperid_url())
            .env("MFA_TEST_EXPECT", expected)
            .output()
            .unwrap();
        std::fs::remove_file(&file).unwrap();
        assert!(run.status.success(), "{expected}: {}", String::from_utf8_lossy(&run.stdout));
    }
}
