//! The library as its users see it: real sockets, against peers whose every byte the test decides and
//! against the sandbox.
//!
//! One program, which is linked once. What counts a process's threads and descriptors, sets its
//! environment or forks runs in a process of its own: `support::alone`. Programs of their own are
//! `secrets`, whose allocator looks into every block, `slipping` and `soak`, which load the machine, and
//! `no_roots` and `platform_verifier`, which are about other builds of the library.

mod support;

mod addresses;
mod approval_table;
mod exchanges;
mod faults;
mod fork;
mod logging;
mod moving;
mod names;
mod pem;
mod proxy;
mod questions;
mod schedules;
mod tls;
mod waiter;
mod waiting;
