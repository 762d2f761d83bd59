//! What the chores share: building the library and C programs, starting sandboxes, running processes.
#![forbid(unsafe_code)]

pub mod c_compiler;
pub mod cargo;
pub mod dependencies;
pub mod files;
pub mod library;
pub mod notices;
pub mod packages;
pub mod process;
pub mod released;
pub mod sandbox;
pub mod sbom;
pub mod sizes;
pub mod std_source;
pub mod wine;
pub mod workspace;

/// What went wrong, in a sentence for the person at the terminal.
pub type Result<T = ()> = std::result::Result<T, String>;
