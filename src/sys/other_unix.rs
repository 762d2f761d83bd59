//! The Unixes beside Linux: what is opened is told afterwards that it must not wait, and a waker is a pipe.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use super::Owned;
use super::unix::adopt;

/// A socket that does not wait.
pub(super) fn new_socket(family: libc::c_int) -> io::Result<OwnedFd> {
    // SAFETY: socket(2) takes no pointer, and what it opens nobody else knows; fcntl and setsockopt work on that descriptor and a local integer alone.
    unsafe {
        let socket = adopt(libc::socket(family, libc::SOCK_STREAM, 0))?;
        let fd = socket.as_raw_fd();
        libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC);
        libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK);
        #[cfg(target_vendor = "apple")]
        {
            let on: libc::c_int = 1;
            let size = size_of::<libc::c_int>() as libc::socklen_t;
            let name = libc::SO_NOSIGPIPE;
            libc::setsockopt(fd, libc::SOL_SOCKET, name, (&raw const on).cast(), size);
        }
        Ok(socket)
    }
}

/// A descriptor that becomes readable and stays so until it is cleared: a pipe.
#[derive(Debug)]
pub(crate) struct Waker {
    read_end: Owned<OwnedFd>,
    write_end: Owned<OwnedFd>,
}

impl Waker {
    pub(crate) fn new() -> io::Result<Self> {
        let mut fds = [-1; 2];
        // SAFETY: pipe(2) fills the two descriptors, which nobody else knows.
        let [read_end, write_end] = unsafe {
            if libc::pipe(fds.as_mut_ptr()) != 0 {
                return Err(io::Error::last_os_error());
            }
            fds.map(|fd| adopt(fd))
        };
        let waker = Waker { read_end: Owned::new(read_end?), write_end: Owned::new(write_end?) };
        for end in [&waker.read_end, &waker.write_end] {
            // SAFETY: these fcntl take integers, and the descriptor is open.
            unsafe {
                libc::fcntl(end.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC);
                libc::fcntl(end.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK);
            }
        }
        Ok(waker)
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.read_end.as_raw_fd()
    }

    /// Makes the descriptor readable. One write(2), nothing else: safe in a signal handler.
    pub(crate) fn wake(&self) {
        // SAFETY: the descriptor is open and one byte is readable. A failure means that the waker has
        // been woken so often that it cannot get any more readable.
        unsafe {
            libc::write(self.write_end.as_raw_fd(), [1u8].as_ptr().cast(), 1);
        }
    }

    pub(super) fn clear(&self) {
        let mut raised = [0u8; 512];
        // SAFETY: the descriptor is open, and so many bytes are writable.
        while unsafe { libc::read(self.fd(), raised.as_mut_ptr().cast(), raised.len()) }
            == raised.len() as isize
        {}
    }
}
