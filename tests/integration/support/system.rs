//! What the tests ask of the system, where each system has it in its own way.

use std::net::TcpStream;
use std::time::Duration;

/// What the system calls a connection that is refused.
#[cfg(unix)]
pub const CONNECTION_REFUSED: i32 = libc::ECONNREFUSED;
#[cfg(windows)]
pub const CONNECTION_REFUSED: i32 = windows_sys::Win32::Networking::WinSock::WSAECONNREFUSED;

/// Sends a reset, whoever else holds the socket open.
#[cfg(unix)]
pub fn reset(stream: TcpStream) {
    use std::os::fd::AsRawFd;
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let size = size_of::<libc::linger>() as libc::socklen_t;
    // SAFETY: the descriptor is open and `linger` outlives the calls; connecting to AF_UNSPEC
    // dissolves the association, which with this option set sends a reset.
    unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size,
        );
        let nowhere = libc::sockaddr { sa_family: libc::AF_UNSPEC as libc::sa_family_t, sa_data: [0; 14] };
        libc::connect(stream.as_raw_fd(), &raw const nowhere, size_of::<libc::sockaddr>() as libc::socklen_t);
    }
}

/// Closes with a reset. Nobody else may hold the socket open.
#[cfg(windows)]
pub fn reset(stream: TcpStream) {
    use std::os::windows::io::AsRawSocket;
    use windows_sys::Win32::Networking::WinSock::{LINGER, SO_LINGER, SOL_SOCKET, setsockopt};
    let linger = LINGER { l_onoff: 1, l_linger: 0 };
    // SAFETY: the socket is open, and `linger` outlives the call.
    unsafe {
        setsockopt(
            stream.as_raw_socket() as usize,
            SOL_SOCKET,
            SO_LINGER,
            (&raw const linger).cast(),
            size_of::<LINGER>() as i32,
        );
    }
}

/// The time that this thread has worked.
#[cfg(unix)]
pub fn worked() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` outlives the call.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(windows)]
pub fn worked() -> Duration {
    use windows_sys::Win32::Foundation::FILETIME;
    use windows_sys::Win32::System::Threading::{GetCurrentThread, GetThreadTimes};
    let mut times = [FILETIME { dwLowDateTime: 0, dwHighDateTime: 0 }; 4];
    let [created, ended, kernel, user] = &mut times;
    // SAFETY: the four outlive the call.
    assert!(unsafe { GetThreadTimes(GetCurrentThread(), created, ended, kernel, user) } != 0);
    let hundreds_of_ns =
        |time: &FILETIME| (u64::from(time.dwHighDateTime) << 32) | u64::from(time.dwLowDateTime);
    Duration::from_nanos(100 * (hundreds_of_ns(&times[2]) + hundreds_of_ns(&times[3])))
}

/// How many descriptors this process has open: handles of every kind, on Windows.
#[cfg(unix)]
pub fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

#[cfg(windows)]
pub fn descriptors() -> usize {
    use windows_sys::Win32::System::Threading::{GetCurrentProcess, GetProcessHandleCount};
    let mut count = 0;
    // SAFETY: `count` outlives the call.
    assert!(unsafe { GetProcessHandleCount(GetCurrentProcess(), &raw mut count) } != 0);
    count as usize
}

/// How many threads this process has.
#[cfg(unix)]
pub fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

#[cfg(windows)]
pub fn threads() -> usize {
    use windows_sys::Win32::Foundation::CloseHandle;
    use windows_sys::Win32::System::Diagnostics::ToolHelp::{
        CreateToolhelp32Snapshot, TH32CS_SNAPTHREAD, THREADENTRY32, Thread32First, Thread32Next,
    };
    let own = std::process::id();
    let mut count = 0;
    // SAFETY: all-zero bytes are a valid entry; it outlives the calls, and the list of all threads in the
    // system is closed after its use.
    unsafe {
        let list = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0);
        let mut entry: THREADENTRY32 = std::mem::zeroed();
        entry.dwSize = size_of::<THREADENTRY32>() as u32;
        let mut found = Thread32First(list, &raw mut entry);
        while found != 0 {
            count += usize::from(entry.th32OwnerProcessID == own);
            found = Thread32Next(list, &raw mut entry);
        }
        CloseHandle(list);
    }
    count
}

/// The memory that this process has in use, in KiB.
#[cfg(unix)]
pub fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[cfg(windows)]
pub fn resident() -> u64 {
    use windows_sys::Win32::System::ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS};
    use windows_sys::Win32::System::Threading::GetCurrentProcess;
    let size = size_of::<PROCESS_MEMORY_COUNTERS>() as u32;
    // SAFETY: all-zero bytes are valid counters; they outlive the call, which is told their size.
    unsafe {
        let mut counters: PROCESS_MEMORY_COUNTERS = std::mem::zeroed();
        assert!(K32GetProcessMemoryInfo(GetCurrentProcess(), &raw mut counters, size) != 0);
        counters.WorkingSetSize as u64 / 1024
    }
}

/// How many times longer things may take here: what stands in for Windows goes through another process
/// at every call.
pub const SLOWNESS: u32 = if cfg!(windows) { 8 } else { 1 };
