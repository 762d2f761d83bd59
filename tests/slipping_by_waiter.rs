//! The tests of `slipping`, each wait and confirm through a waiter.

#[path = "slipping/main.rs"]
mod slipping;
