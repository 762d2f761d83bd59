//! Behaviours: what a magic token makes happen.
//!
//! `table` lists them all, `grammar` reads a token by it, `effect` is what comes out,
//! `nearest` guesses what a misspelt name was to be.

mod effect;
mod grammar;
mod nearest;
mod table;

use std::fmt::Write as _;

pub(crate) use effect::{
    DeliveryFault, Desync, Edit, Effect, Ending, Plan, ProfileChange, Replacement, THINKING, TokenFault,
};
pub use grammar::BehaviourError;
pub(crate) use grammar::{Behaviour, Part};

use table::{Argument, Row, TABLE};

/// One row of the table, for people and tests.
#[derive(Clone, Debug)]
pub struct BehaviourInfo {
    /// The bare name, as in `approve`.
    pub name: &'static str,
    /// The name with its argument, as in `approve[-after-MS]`.
    pub usage: String,
    /// The endpoints concerned when no `@ENDPOINT` is given.
    pub endpoints: String,
    /// What it does.
    pub help: &'static str,
}

/// Every behaviour a token can name, in the order of the documentation.
pub fn behaviours() -> Vec<BehaviourInfo> {
    let info = |row: &Row| BehaviourInfo {
        name: row.name,
        usage: usage(row),
        endpoints: row.endpoints.describe(),
        help: row.help,
    };
    TABLE.iter().map(info).collect()
}

/// Whether a behaviour, which is what follows `sandbox-`, can be used; why not.
pub fn check_behaviour(behaviour: &str) -> Result<(), BehaviourError> {
    Behaviour::parse(behaviour).map(drop)
}

/// The list of behaviours as plain text, as `mfa-sandbox --help` prints it.
pub fn help_text() -> String {
    let mut out = String::new();
    for row in behaviours() {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "  {:<30} {} [{}]", row.usage, row.help, row.endpoints);
    }
    out
}

fn usage(row: &Row) -> String {
    let name = row.name;
    match row.argument {
        Argument::None => name.to_owned(),
        Argument::After => format!("{name}[-after-MS]"),
        Argument::Number(label, None) | Argument::Signed(label, None) | Argument::Text(label) => {
            format!("{name}-{label}")
        }
        Argument::Number(label, Some(_)) | Argument::Signed(label, Some(_)) => format!("{name}[-{label}]"),
        Argument::Count(_) => format!("{name}[-TIMES]"),
        Argument::Http(None) => format!("{name}-STATUS"),
        Argument::Http(Some(_)) => format!("{name}[-STATUS]"),
    }
}
