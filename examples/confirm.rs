//! The whole story from Rust: ask a person, wait, and act on the answer.
//!
//! Against the sandbox (`cargo run -p mfa-sandbox` prints its address):
//!
//!     MFA_BASE_URL=http://127.0.0.1:PORT MFA_TOKEN=sandbox-approve cargo run --example confirm
//!
//! HyperID's production is asked only where MFA_BASE_URL says "production".
//!
//! Exits with 0 when the person approved, 1 when not, 2 when there is no answer.

use std::io::Write;
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::time::Duration;

use mfa::{CallOptions, ClientOptions, Error, HyperId, Request, Transaction, WaitOptions, control_code};

fn main() -> ExitCode {
    match confirm() {
        Ok(transaction) if transaction.decision.is_approved() => {
            println!("\nApproved.");
            ExitCode::SUCCESS
        }
        Ok(transaction) => {
            println!("\nNot approved: {:?}.", transaction.decision);
            ExitCode::from(1)
        }
        Err(error) => {
            eprintln!("\n{error}\n{}", error.code.message());
            if error.outcome_unknown {
                eprintln!("The person may have been asked all the same: do not ask again blindly.");
            }
            ExitCode::from(2)
        }
    }
}

fn confirm() -> Result<Transaction, Error> {
    let token = std::env::var("MFA_TOKEN").unwrap_or_default();
    let mut options = ClientOptions::new();
    let base_url = std::env::var("MFA_BASE_URL").unwrap_or_default();
    if base_url != "production" {
        // Also where it is missing or misspelt, so that it asks nobody then. http is in order for a local sandbox alone.
        options = options.allow_loopback_http(base_url.starts_with("http://")).base_url(base_url);
    }
    let client = HyperId::new(&options)?;

    let code = control_code()?;
    println!("Compare the code in your app: {code}");
    let request = Request::new().question("Let the Rust example in?").code(&code);
    let mut show = |so_far: &Transaction| {
        print!("\r{:5.1} s, asked {} times ", so_far.elapsed.as_secs_f32(), so_far.polls);
        let _ = std::io::stdout().flush();
        ControlFlow::Continue(())
    };
    let mut wait = WaitOptions::new().on_update(&mut show).cancel_on_timeout(true);
    let call = CallOptions::new().timeout(Duration::from_secs(60));

    let end = client.confirm(&token, &request, &mut wait, &call);
    end.result.map(|()| end.transaction)
}
