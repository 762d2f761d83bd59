//! HTTP/1.1 by hand over `std::net`: a library server would keep us from breaking HTTP on purpose, which is
//! half of what the sandbox is for.

mod date;
mod request;
mod response;

pub(crate) use date::date;
pub(crate) use request::{NoRequest, Reader, Request, Timeouts};
pub(crate) use response::Response;
