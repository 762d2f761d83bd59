//! Log lines for the caller: nothing secret in them, and nothing done when they are off.

use std::cell::Cell;
use std::fmt;

use crate::options::{ClientOptions, LogLevel, LogSink};

thread_local! {
    static IN_SINK: Cell<bool> = const { Cell::new(false) };
}

/// Leaves the sink, also when a panic unwinds.
struct Leave;

impl Drop for Leave {
    fn drop(&mut self) {
        IN_SINK.set(false);
    }
}

pub(crate) struct Log {
    level: LogLevel,
    sink: Option<LogSink>,
}

impl Log {
    pub(crate) fn new(options: &ClientOptions) -> Self {
        Log { level: options.log_level, sink: options.log.clone() }
    }

    pub(crate) fn is_on(&self, level: LogLevel) -> bool {
        self.sink.is_some() && level <= self.level
    }

    pub(crate) fn line(&self, level: LogLevel, line: fmt::Arguments<'_>) {
        if !self.is_on(level) {
            return;
        }
        let Some(sink) = &self.sink else { return };
        // A sink that calls the library would otherwise be called by its own calls, without end.
        if IN_SINK.replace(true) {
            return;
        }
        let _leave = Leave;
        sink(level, &line.to_string());
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("level", &self.level).finish_non_exhaustive()
    }
}
