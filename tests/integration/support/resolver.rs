//! A resolver whose answers, and silence, the test decides.
//!
//! The system's cannot be made slow without changing the machine, so this program brings its own: the
//! linker takes a program's definition before the C library's. All else is real: libmfa's threads, its
//! waiting and its giving up. Names in ".test", which is set aside for tests and never exists, say what
//! they mean; all others are the C library's:
//!
//! - `hang….test` is not answered until the process ends;
//! - `again.test`, `system.test`: the resolver fails, for now, and with an errno;
//! - `127-0-0-2.127-0-0-1.test`: these addresses, in this order;
//! - all else in ".test" does not exist.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Look-ups that have begun and hang.
pub static HANGING: AtomicUsize = AtomicUsize::new(0);

/// What `system.test` fails with.
pub const ERRNO: i32 = libc::ENETDOWN;

/// Marks an entry: no flag of `getaddrinfo`'s, which a result of the C library may have.
const OURS: c_int = 0x4d46_4100;

/// One entry of a result, with the address that it points to.
#[repr(C)]
struct Entry {
    info: libc::addrinfo,
    address: libc::sockaddr_in,
}

/// Takes no lock and knows no thread: a forked child may call it.
///
/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
unsafe extern "C" fn getaddrinfo(
    name: *const c_char,
    service: *const c_char,
    hints: *const libc::addrinfo,
    result: *mut *mut libc::addrinfo,
) -> c_int {
    // SAFETY: std hands a string over.
    let text = unsafe { CStr::from_ptr(name) }.to_str().unwrap();
    let Some(name) = text.strip_suffix(".test") else {
        // SAFETY: the arguments are what std hands over, and the C library's are of this type.
        return unsafe {
            std::mem::transmute::<*mut c_void, Resolve>(next(c"getaddrinfo"))(name, service, hints, result)
        };
    };
    if name.starts_with("hang") {
        HANGING.fetch_add(1, Ordering::SeqCst);
        loop {
            std::thread::sleep(std::time::Duration::from_secs(3600));
        }
    }
    let addresses: Option<Vec<Ipv4Addr>> =
        name.split('.').map(|label| label.replace('-', ".").parse().ok()).collect();
    match (name, addresses) {
        (_, Some(addresses)) => {
            // SAFETY: std hands a place for the result over.
            unsafe { *result = list(&addresses) };
            0
        }
        ("again", _) => libc::EAI_AGAIN,
        ("system", _) => {
            // SAFETY: errno is this thread's own.
            unsafe { *libc::__errno_location() = ERRNO };
            libc::EAI_SYSTEM
        }
        _ => libc::EAI_NONAME,
    }
}

type Resolve = unsafe extern "C" fn(
    *const c_char,
    *const c_char,
    *const libc::addrinfo,
    *mut *mut libc::addrinfo,
) -> c_int;
type Free = unsafe extern "C" fn(*mut libc::addrinfo);

/// The C library's own function.
fn next(name: &CStr) -> *mut c_void {
    // SAFETY: it only looks the name up.
    let function = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) };
    assert!(!function.is_null(), "{name:?} is not there");
    function
}

fn list(addresses: &[Ipv4Addr]) -> *mut libc::addrinfo {
    addresses.iter().rev().fold(std::ptr::null_mut(), |next, ip| {
        // SAFETY: all-zero bytes are valid for both.
        let mut entry: Box<Entry> = Box::new(unsafe { std::mem::zeroed() });
        entry.address.sin_family = libc::AF_INET as libc::sa_family_t;
        entry.address.sin_addr.s_addr = u32::from_ne_bytes(ip.octets());
        entry.info.ai_flags = OURS;
        entry.info.ai_family = libc::AF_INET;
        entry.info.ai_socktype = libc::SOCK_STREAM;
        entry.info.ai_addrlen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
        entry.info.ai_next = next;
        let entry = Box::into_raw(entry);
        // SAFETY: `entry` was just made, and lives until it is freed.
        unsafe { (*entry).info.ai_addr = (&raw mut (*entry).address).cast() };
        entry.cast()
    })
}

/// What came from this program goes here too.
///
/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
unsafe extern "C" fn freeaddrinfo(mut list: *mut libc::addrinfo) {
    // SAFETY: a list is the caller's until it is freed.
    if !list.is_null() && unsafe { (*list).ai_flags } != OURS {
        // SAFETY: it is the C library's, whose function is of this type.
        return unsafe { std::mem::transmute::<*mut c_void, Free>(next(c"freeaddrinfo"))(list) };
    }
    while !list.is_null() {
        // SAFETY: `getaddrinfo` above made it of a box, whose first field this is.
        let entry = unsafe { Box::from_raw(list.cast::<Entry>()) };
        list = entry.info.ai_next;
    }
}
