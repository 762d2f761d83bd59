//! State that belongs to one process: a forked child gets its own.
//!
//! A lock that another thread of the parent held while forking would stay locked in the child for
//! ever, and what a child shares with its parent (connections, for instance) it must not use. So a
//! child leaves the parent's state alone and appends its own.

use once_cell::race::OnceBox;

use crate::sys::fork_generation;

/// The state of this process and, behind it, those of its forked descendants.
#[derive(Debug)]
pub(crate) struct PerProcess<T> {
    generation: u32,
    value: T,
    next: OnceBox<PerProcess<T>>,
}

impl<T> PerProcess<T> {
    /// With this process's state.
    pub(crate) fn new(value: T) -> Self {
        PerProcess { generation: fork_generation(), value, next: OnceBox::new() }
    }

    /// The state of the process that asks; a child's first question makes it.
    pub(crate) fn current(&self, make: impl Fn() -> T) -> &T {
        let generation = fork_generation();
        let mut state = self;
        while state.generation != generation {
            state = state
                .next
                .get_or_init(|| Box::new(PerProcess { generation, value: make(), next: OnceBox::new() }));
        }
        &state.value
    }
}
