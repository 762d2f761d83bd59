//! An answer belongs to its question: nobody's approval opens a door for somebody else, although
//! whole answers come twice, late, on the wrong connection, or in place of others.
//!
//! The server decides right and keeps a book; what goes out on its connections may be another answer,
//! one too many or none. Every approval that a caller sees is looked up in the book. What nothing on
//! the wire can show is left out: exchanged refusals, which name nobody; where status answers have no
//! ids, everything that passes from one connection to another; and a connection that is out of step by
//! two, on which a start's answer, hidden behind a refusal, could come to the same person's next start.
//!
//! `MFA_SLIPPING_CALLS` sets how many calls the two storms make together, `MFA_SLIPPING_ROUNDS` the
//! rounds of the smaller tests, and `MFA_SLIPPING_SEED` what all that is random comes from.

mod book;
mod chance;
mod rounds;
mod server;
mod settings;
mod storm;
#[path = "../integration/support/waits.rs"]
mod waits;

#[test]
fn in_a_storm_nobody_approves_another_question() {
    storm::run(true);
}

#[test]
fn in_a_storm_without_ids_nobody_approves_another_question() {
    storm::run(false);
}

#[test]
fn an_answer_that_comes_twice_approves_for_nobody_else() {
    rounds::twice(true);
}

#[test]
fn an_answer_without_id_that_comes_twice_approves_for_nobody_else() {
    rounds::twice(false);
}

#[test]
fn a_connection_out_of_step_is_left() {
    rounds::out_of_step(true);
}

#[test]
fn a_connection_out_of_step_without_ids_is_left() {
    rounds::out_of_step(false);
}
