//! What the system says about a process, without a word from it.

use std::fs;

use crate::Result;

/// Processor time of a process so far, in seconds.
#[derive(Clone, Copy, Default)]
pub struct Cpu {
    pub user: f64,
    pub system: f64,
}

impl Cpu {
    pub fn all(self) -> f64 {
        self.user + self.system
    }

    pub fn since(self, before: Cpu) -> Cpu {
        Cpu { user: self.user - before.user, system: self.system - before.system }
    }
}

/// Linux counts them so for programs, whatever its own clock ticks.
const TICKS_PER_SECOND: f64 = 100.0;

pub fn cpu(process: u32) -> Result<Cpu> {
    let file = format!("/proc/{process}/stat");
    let text = fs::read_to_string(&file).map_err(|e| format!("{file}: {e}"))?;
    read_cpu(&text).ok_or(format!("{file} has no processor time"))
}

/// The name, which stands in brackets, may have blanks and brackets of its own.
fn read_cpu(stat: &str) -> Option<Cpu> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut seconds = || Some(fields.next()?.parse::<f64>().ok()? / TICKS_PER_SECOND);
    Some(Cpu { user: seconds()?, system: seconds()? })
}

/// The most that was seen of each.
#[derive(Clone, Copy, Default)]
pub struct Most {
    pub threads: f64,
    pub descriptors: f64,
    /// In 10^6 bytes; the system itself keeps the most.
    pub memory_mb: f64,
}

impl Most {
    pub fn look(&mut self, process: u32) -> Result {
        let file = format!("/proc/{process}/status");
        let text = fs::read_to_string(&file).map_err(|e| format!("{file}: {e}"))?;
        let number = |name| field(&text, name).ok_or(format!("{file} has no {name}"));
        self.threads = self.threads.max(number("Threads")?);
        self.memory_mb = self.memory_mb.max(number("VmHWM")? * 1024.0 / 1e6);
        let open = fs::read_dir(format!("/proc/{process}/fd")).map_err(|e| format!("{file}: {e}"))?;
        self.descriptors = self.descriptors.max(open.count() as f64);
        Ok(())
    }
}

fn field(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_found_behind_any_name() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 100 0 0 0 250 125 0 0 20 0 1 0 5 6 7";
        let cpu = read_cpu(stat).expect("it is there");
        assert_eq!((cpu.user, cpu.system), (2.5, 1.25));
        assert!(read_cpu("7 (a) S 1 7").is_none());
    }

    #[test]
    fn fields_are_found_by_their_whole_names() {
        let status = "Name:\tx\nVmHWM:\t   11868 kB\nThreads:\t3\n";
        assert_eq!(field(status, "VmHWM"), Some(11868.0));
        assert_eq!(field(status, "Threads"), Some(3.0));
        assert_eq!(field(status, "Vm"), None);
    }

    #[test]
    fn this_process_can_be_watched() -> Result {
        let (mut most, id) = (Most::default(), std::process::id());
        most.look(id)?;
        assert!(most.threads >= 1.0 && most.descriptors >= 3.0 && most.memory_mb > 0.5);
        cpu(id).map(drop)
    }
}
