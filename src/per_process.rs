//! What each process has its own of.

use once_cell::race::OnceBox;

use crate::sys::fork_generation;

/// The value of this process and, behind it, those of its forked descendants.
///
/// A lock that another thread of the parent held while forking would stay locked in the child for
/// ever. So a child leaves its parent's value alone and appends its own.
#[derive(Debug)]
pub(crate) struct PerProcess<T> {
    generation: u32,
    value: T,
    next: OnceBox<PerProcess<T>>,
}

impl<T> PerProcess<T> {
    /// `value` belongs to the process of this fork generation.
    pub(crate) const fn new(generation: u32, value: T) -> Self {
        PerProcess { generation, value, next: OnceBox::new() }
    }

    /// This process's; `make` makes it where it has none yet.
    pub(crate) fn current(&self, make: impl Fn() -> T) -> &T {
        let generation = fork_generation();
        let mut link = self;
        while link.generation != generation {
            link = link.next.get_or_init(|| Box::new(PerProcess::new(generation, make())));
        }
        &link.value
    }

    /// That of the process of this fork generation, where it has one.
    pub(crate) fn of(&self, generation: u32) -> Option<&T> {
        let mut link = self;
        while link.generation != generation {
            link = link.next.get()?;
        }
        Some(&link.value)
    }
}
