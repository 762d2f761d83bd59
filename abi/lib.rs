//! `libmfa.so` and `libmfa.a`: the exports of `src/ffi/` at the top, and nothing else.

extern crate mfa as _;
